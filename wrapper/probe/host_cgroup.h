/*
 * The cgroup part of wrapper/probe/host.h: in which control group the caller is, and what it may do
 * there. Source: cgroups(7), Documentation/admin-guide/cgroup-v2.rst, proc(5) for mountinfo.
 */
#ifndef PW_PROBE_HOST_CGROUP_H
#define PW_PROBE_HOST_CGROUP_H

#include <jansson.h>
#include <stdbool.h>

/*
 * New object (NULL and *failed without memory): version (2 if a v2 hierarchy is mounted, also
 * beside v1; else 1; null without cgroups), path of the caller in that hierarchy, controllers[]
 * that its group has there, v1_controllers[] that are taken by v1 hierarchies, delegated (true if
 * the caller may make groups below its own; null if not known). Where groups are is found by
 * cgroup_layout.h. `proc_root`: "/proc", or a fake in tests.
 */
json_t *pw_host_cgroup(const char *proc_root, bool *failed);

#endif
