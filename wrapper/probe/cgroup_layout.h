/*
 * Where the control groups are: the hierarchies that the caller is in (/proc/self/cgroup), the
 * folders where they are mounted (/proc/self/mountinfo), and whether a systemd has delegated its
 * group. Reads only. Sources: cgroups(7), cgroup_namespaces(7), proc(5);
 * systemd.resource-control(5) and CGROUP_DELEGATION for the attributes `user.delegate` (systemd
 * 251) and `trusted.delegate`.
 */
#ifndef PW_PROBE_CGROUP_LAYOUT_H
#define PW_PROBE_CGROUP_LAYOUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"

enum { PW_CGROUP_PLACES = 32 };

/* The caller's group in one hierarchy. */
struct pw_cgroup_place {
    bool is_v2;
    bool is_read_only;     /* mounted so */
    char names[128];       /* "memory", "cpu,cpuacct", "name=systemd"; "" for version 2 */
    char path[PATH_MAX];   /* as the kernel names it, within the namespace */
    char folder[PATH_MAX]; /* where it is to be seen, or "" */
    size_t mount_length;   /* of the mount point, the start of `folder` */
};

struct pw_cgroup_layout {
    size_t count;
    struct pw_cgroup_place places[PW_CGROUP_PLACES];
};

/* free(*ret_layout). PW_ERR_SYSTEM where the kernel has no control groups. Where mountinfo cannot
 * be read no folder is known. */
int pw_cgroup_layout_read(const char *proc_root, struct pw_cgroup_layout **ret_layout,
                          struct pw_err *err);
/* The place of version 2 (`name` NULL), or of the version 1 hierarchy with that name among its
 * controllers; NULL if there is none or it is not mounted where it can be seen. */
const struct pw_cgroup_place *pw_cgroup_layout_find(const struct pw_cgroup_layout *layout,
                                                    const char *name);
/* No systemd manages it, or systemd has delegated it or a group above it. */
bool pw_cgroup_layout_is_delegated(const struct pw_cgroup_layout *layout, const char *run_root);

#endif
