#include "wrapper/probe/powers_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "wrapper/probe/host_cgroup.h"
#include "wrapper/probe/proc_file.h"

void pw_power_say(struct pw_power *power, enum pw_power_state state, const char *format, ...)
{
    va_list args;

    power->state = state;
    va_start(args, format);
    (void)vsnprintf(power->found, sizeof power->found, format, args);
    va_end(args);
}

void pw_power_say_refusal(struct pw_power *power, int sys)
{
    bool is_denied = sys == EPERM || sys == EACCES;

    pw_power_say(power, is_denied ? PW_POWER_DENIED : PW_POWER_ABSENT, "%s", strerror(sys));
}

/* The first line of a small file; NULL and errno. `line` is PW_POWER_LINE_BYTES large. */
const char *pw_power_read_line(int dir_fd, const char *path, char *line)
{
    ssize_t length = pw_proc_text_read(dir_fd, path, line, PW_POWER_LINE_BYTES);

    if (length == 0)
        errno = ENODATA;
    if (length <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0')
        errno = ENODATA;
    return line[0] != '\0' ? line : NULL;
}

/* The word in brackets of "always [madvise] never"; NULL: there is none. Changes `line`. */
const char *pw_power_chosen_word(char *line)
{
    char *begin = strchr(line, '[');

    if (begin == NULL)
        return NULL;
    begin[1 + strcspn(begin + 1, "]")] = '\0';
    return begin[1] != '\0' ? begin + 1 : NULL;
}

bool pw_power_has_capability(const struct pw_power_machine *machine, unsigned number)
{
    char text[PW_POWER_TEXT_BYTES];
    const char *line = NULL;

    if (pw_proc_text_read(machine->proc_fd, "self/status", text, sizeof text) > 0)
        line = pw_proc_line_find(text, "CapEff");
    return line != NULL && (strtoull(line, NULL, 16) >> number & 1) != 0;
}

#define AS_ROOT "run as root, or with CAP_BPF and CAP_PERFMON"

static const char ebpf[] = "eBPF", profile[] = "CPU profile", groups[] = "Control groups",
                  processes[] = "Processes", times[] = "Times that can be trusted",
                  memory[] = "Memory figures";

static const struct {
    const char *name, *area;
    pw_power_probe *probe;
    bool needs_kernel; /* is left out with fakes */
    const char *adds, *remedy;
} table[] = {
    {"btf", ebpf, pw_power_probe_btf, false,
     "the kernel's types, by which the eBPF programs find their way in any kernel",
     "use a kernel with CONFIG_DEBUG_INFO_BTF=y and readable /sys/kernel/btf/vmlinux"},
    {"bpf_tracepoints", ebpf, pw_power_probe_tracepoints, true,
     "exact accounting: each process and thread, waits, page faults, block I/O, TCP",
     AS_ROOT
     ", in a container with these too; kernels before 5.11 also want `ulimit -l unlimited`"},
    {"bpf_tp_btf", ebpf, pw_power_probe_tp_btf, true,
     "the same tracepoints with typed arguments, which cost less to read",
     AS_ROOT ", on a kernel with BTF (Linux 5.5 or later)"},
    {"bpf_ring_buffer", ebpf, pw_power_probe_ring_buffer, true,
     "start and end of each process as an event, in order and without losses unseen",
     AS_ROOT ", on Linux 5.8 or later"},
    {"lockdown", ebpf, pw_power_probe_lockdown, false,
     "eBPF and perf events may read the kernel's memory",
     "boot without lockdown=confidentiality; Secure Boot may set it"},
    {"memlock", ebpf, pw_power_probe_memlock, false,
     "larger buffers for samples, so that none are lost", "ulimit -l unlimited"},
    {"perf_events", profile, pw_power_probe_perf_own, true,
     "the CPU profile: where the workers' code runs",
     "sysctl kernel.perf_event_paranoid=2, or CAP_PERFMON; in a container allow perf_event_open"},
    {"perf_events_kernel", profile, pw_power_probe_perf_kernel, true,
     "the kernel's part of stacks in the CPU profile",
     "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON"},
    {"perf_events_machine", profile, pw_power_probe_perf_machine, true,
     "what else ran on the CPUs beside the workers",
     "sysctl kernel.perf_event_paranoid=-1, or CAP_PERFMON"},
    {"perf_cycles", profile, pw_power_probe_perf_cycles, true,
     "samples by hardware cycles instead of a timer, also where interrupts are off",
     "on a virtual machine let its host pass the performance counters through (vPMU)"},
    {"perf_event_paranoid", profile, pw_power_probe_perf_paranoid, false,
     "the kernel's rule on who may use perf events",
     "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON"},
    {"kptr_restrict", profile, pw_power_probe_kernel_symbols, false,
     "names of the kernel's functions in the CPU profile",
     "sysctl kernel.kptr_restrict=0 (1 with CAP_SYSLOG), and kernel.perf_event_paranoid=1"},
    {"cgroup_v2", groups, pw_power_probe_cgroup_v2, false,
     "the kernel's own sums over a group of processes: CPU time, pressure",
     "mount cgroup2 on /sys/fs/cgroup, in a container too"},
    {"cgroup_leaves", groups, pw_power_probe_cgroup_leaves, false,
     "a group for each worker: nobody escapes, all is killed at once, CPU time is exact",
     "run as root, or delegate: systemd-run --user --scope -p Delegate=yes perfwrap ..."},
    {"cgroup_controllers", groups, pw_power_probe_cgroup_controllers, false,
     "peaks of memory and processes, I/O and throttling of each worker's group",
     "enable them in each parent's cgroup.subtree_control; boot without version 1"},
    {"cgroup_v1_memory", groups, pw_power_probe_memory_v1, false,
     "the peak of memory of each worker's group where version 2 lacks the controller",
     "run as root where the hierarchy is mounted, or use version 2"},
    {"smaps_rollup", processes, pw_power_probe_smaps_rollup, false,
     "footprints: memory shared with others counted in parts (Pss), swap",
     "use Linux 5.3 or later with CONFIG_PROC_PAGE_MONITOR=y"},
    {"ptrace_scope", processes, pw_power_probe_ptrace, false,
     "attaching debuggers to workers that hang; perfwrap's own figures do not need it",
     "sysctl kernel.yama.ptrace_scope=0"},
    {"realtime_priority", times, pw_power_probe_realtime, true,
     "ends of workers noticed at once, however many others want the CPU",
     "run as root or with CAP_SYS_NICE, or ulimit -r 1"},
    {"clocksource", times, pw_power_probe_clocksource, false,
     "moments read in some 30 ns and without a system call",
     "boot without clocksource=; on a virtual machine let its host offer a constant TSC"},
    {"cpu_governor", times, pw_power_probe_governor, false,
     "times that do not depend on the clock rate's changes",
     "cpupower frequency-set -g performance; on a virtual machine, on its host"},
    {"load", times, pw_power_probe_load, false,
     "times that others, who want the CPUs too, do not lengthen",
     "stop what else runs here, or wait until it has ended"},
    {"steal_time", times, pw_power_probe_steal, false,
     "times that the host of a virtual machine does not lengthen",
     "use a machine whose CPUs are not shared with other guests"},
    {"noise", times, pw_power_probe_noise, true,
     "how far times can be trusted: what else takes the CPU",
     "stop what else runs here, or leave it CPUs of its own; use a machine of your own"},
    {"wakeup_jitter", times, pw_power_probe_wakeups, true,
     "how far short times can be trusted: how late a process runs that is to run",
     "stop what else runs here; turn deep idle states off (cpupower idle-set -D 10)"},
    {"transparent_hugepage", memory, pw_power_probe_hugepages, false,
     "memory figures in small pages: with `always`, a touched byte may count as 2 MiB",
     "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
    {"swap", memory, pw_power_probe_swap, false,
     "resident sets that hold all of a worker's memory, and times without paging",
     "swapoff -a where there is memory enough; footprints count what is swapped out"},
};
enum { TABLE_COUNT = sizeof table / sizeof *table };
_Static_assert((int)TABLE_COUNT <= (int)PW_POWERS_MAX, "one row is one power");

void pw_powers_probe(const char *proc_root, const char *sys_root, struct pw_powers *ret_powers)
{
    bool failed = false;
    struct pw_powers powers = {.count = TABLE_COUNT};
    /* A folder that is missing only makes its powers absent. */
    PW_FD_AUTO proc_fd = open(proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    PW_FD_AUTO sys_fd = open(sys_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct pw_power_machine machine = {
        .proc_root = proc_root,
        .proc_fd = proc_fd,
        .sys_fd = sys_fd,
        .is_real = strcmp(proc_root, "/proc") == 0 && strcmp(sys_root, "/sys") == 0,
        .cgroup = pw_host_cgroup(proc_root, &failed),
    };

    for (size_t i = 0; i < powers.count; i++) {
        struct pw_power *power = &powers.items[i];
        power->name = table[i].name;
        power->area = table[i].area;
        power->adds = table[i].adds;
        if (table[i].needs_kernel && !machine.is_real)
            pw_power_say(power, PW_POWER_ABSENT,
                         "not tried: this is not the machine's own /proc and /sys");
        else
            table[i].probe(&machine, power);
        power->remedy = power->state == PW_POWER_OK ? NULL : table[i].remedy;
    }
    json_decref(machine.cgroup);
    *ret_powers = powers;
}

const char *pw_power_name(size_t index)
{
    return index < TABLE_COUNT ? table[index].name : NULL;
}

const char *pw_power_state_name(enum pw_power_state state)
{
    switch (state) {
    case PW_POWER_OK: return "ok";
    case PW_POWER_LIMITED: return "limited";
    case PW_POWER_DENIED: return "denied";
    case PW_POWER_ABSENT: return "absent";
    }
    return "absent";
}
