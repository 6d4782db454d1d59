/*
 * What machine this is: the `environment` block of a summary, so that numbers of different machines
 * are not mixed. Nothing secret: no host name, no user, no environment variables.
 */
#ifndef PW_PROBE_HOST_H
#define PW_PROBE_HOST_H

#include <jansson.h>
#include "core/err.h"

/*
 * New object with: kernel, arch, cpu_model, cpu_count (online), cpu_allowed (affinity),
 * cpu_governor, cpu_mhz, memory_total_mb, memory_available_mb, swap_total_mb (MiB), load_1m,
 * load_5m, load_15m, clock_ticks_per_sec, page_size_bytes, clocksource, transparent_hugepage,
 * cgroup (see wrapper/probe/host_cgroup.h), ebpf (available | no_permission | not_supported),
 * perf_event_paranoid, kvm (as ebpf), container (name or null), virtualization (name or null),
 * user_is_root. What cannot be read is null. `proc_root`, `sys_root`: "/proc", "/sys", or fakes in
 * tests. Errors: PW_ERR_MEMORY, with NULL.
 */
json_t *pw_host_describe(const char *proc_root, const char *sys_root, struct pw_err *err);

#endif
