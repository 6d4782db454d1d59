/* What the parts of powers.h share: the table is in powers.c, the probes are in powers_*.c, by what
 * they ask. Threads: one at a time. */
#ifndef PW_PROBE_POWERS_IMPL_H
#define PW_PROBE_POWERS_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "wrapper/probe/powers.h"

enum { PW_POWER_LINE_BYTES = 256, PW_POWER_TEXT_BYTES = 8192 };

/* What the probes look at. */
struct pw_power_machine {
    const char *proc_root;
    int proc_fd, sys_fd;
    bool is_real;   /* not fakes: the kernel may be asked too */
    json_t *cgroup; /* as pw_host_cgroup() says */
};
typedef void pw_power_probe(const struct pw_power_machine *machine, struct pw_power *power);

__attribute__((format(printf, 3, 4))) void pw_power_say(struct pw_power *power,
                                                        enum pw_power_state state,
                                                        const char *format, ...);
/* Denied or absent, as the errno means. */
void pw_power_say_refusal(struct pw_power *power, int sys);
/* The first line of a small file; NULL and errno. `line` is PW_POWER_LINE_BYTES large. */
const char *pw_power_read_line(int dir_fd, const char *path, char *line);
/* The word in brackets of "always [madvise] never"; NULL: there is none. Changes `line`. */
const char *pw_power_chosen_word(char *line);
bool pw_power_has_capability(const struct pw_power_machine *machine, unsigned number);

/* powers_bpf.c */
pw_power_probe pw_power_probe_btf, pw_power_probe_tracepoints, pw_power_probe_tp_btf,
    pw_power_probe_ring_buffer;
/* powers_perf.c */
pw_power_probe pw_power_probe_perf_own, pw_power_probe_perf_kernel, pw_power_probe_perf_machine,
    pw_power_probe_perf_cycles, pw_power_probe_perf_paranoid, pw_power_probe_kernel_symbols,
    pw_power_probe_lockdown, pw_power_probe_memlock;
/* powers_proc.c */
pw_power_probe pw_power_probe_cgroup_v2, pw_power_probe_cgroup_leaves,
    pw_power_probe_cgroup_controllers, pw_power_probe_memory_v1, pw_power_probe_smaps_rollup,
    pw_power_probe_ptrace;
/* powers_quiet.c */
pw_power_probe pw_power_probe_realtime, pw_power_probe_governor, pw_power_probe_clocksource,
    pw_power_probe_load, pw_power_probe_steal, pw_power_probe_noise, pw_power_probe_wakeups,
    pw_power_probe_hugepages, pw_power_probe_swap;

#endif
