#include "wrapper/probe/powers.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "wrapper/probe/host_cgroup.h"
#include "wrapper/probe/proc_file.h"

enum {
    LINE_BYTES = 256,
    TEXT_BYTES = 8192,
    KVM_API_VERSION_WANTED = 12,
    NOISE_LOOP_NS = 20000000,
    NOISE_MOST_NS = 1000000, /* a gap that would show in what is measured */
    MEMLOCK_WANTED_KIB = 8192,
};

/* What the probes look at. */
struct machine {
    int proc_fd, sys_fd;
    bool is_real; /* not fakes: the kernel may be asked too */
    json_t *cgroup;
};

__attribute__((format(printf, 3, 4))) static void say(struct pw_power *power,
                                                      enum pw_power_state state, const char *format,
                                                      ...)
{
    va_list args;

    power->state = state;
    va_start(args, format);
    (void)vsnprintf(power->found, sizeof power->found, format, args);
    va_end(args);
}

static void say_refusal(struct pw_power *power, int sys)
{
    bool is_denied = sys == EPERM || sys == EACCES;

    say(power, is_denied ? PW_POWER_DENIED : PW_POWER_ABSENT, "%s", strerror(sys));
}

/* The first line of a small file; NULL and errno. `line` is LINE_BYTES large. */
static const char *read_line(int dir_fd, const char *path, char *line)
{
    ssize_t length = pw_proc_text_read(dir_fd, path, line, LINE_BYTES);

    if (length == 0)
        errno = ENODATA;
    if (length <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* The word in brackets of "always [madvise] never"; NULL: there is none. Changes `line`. */
static const char *chosen_word(char *line)
{
    char *begin = strchr(line, '[');

    if (begin == NULL)
        return NULL;
    begin[1 + strcspn(begin + 1, "]")] = '\0';
    return begin + 1;
}

static bool has_capability(const struct machine *machine, unsigned number)
{
    char text[TEXT_BYTES];
    const char *line = NULL;

    if (pw_proc_text_read(machine->proc_fd, "self/status", text, sizeof text) > 0)
        line = pw_proc_line_find(text, "CapEff");
    return line != NULL && (strtoull(line, NULL, 16) >> number & 1) != 0;
}

static void probe_btf(const struct machine *machine, struct pw_power *power)
{
    struct btf_header header;
    struct stat stat;
    PW_FD_AUTO fd = openat(machine->sys_fd, "kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, &header, sizeof header);

    if (length < 0 || fstat(fd, &stat) != 0)
        say_refusal(power, errno);
    else if (length < (ssize_t)sizeof header || header.magic != BTF_MAGIC)
        say(power, PW_POWER_ABSENT, "it does not hold the kernel's types");
    else if (header.version != BTF_VERSION)
        say(power, PW_POWER_ABSENT, "version %u, not %d", header.version, BTF_VERSION);
    else
        say(power, PW_POWER_OK, "version 1, %lld KiB", (long long)stat.st_size / 1024);
}

static int call_bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* A program that does nothing (`return 0`) on the end of a process, for a moment. By the raw
 * tracepoint, which needs no tracefs. */
static void probe_bpf_tracepoints(const struct machine *machine, struct pw_power *power)
{
    static const char license[] = "GPL", tracepoint[] = "sched_process_exit";
    const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;

    (void)machine;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    attr.insns = (uintptr_t)program;
    attr.insn_cnt = sizeof program / sizeof *program;
    attr.license = (uintptr_t)license;
    PW_FD_AUTO loaded = call_bpf(BPF_PROG_LOAD, &attr);
    if (loaded < 0) {
        say_refusal(power, errno);
        return;
    }
    memset(&attr, 0, sizeof attr);
    attr.raw_tracepoint.name = (uintptr_t)tracepoint;
    attr.raw_tracepoint.prog_fd = (uint32_t)loaded;
    PW_FD_AUTO attached = call_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
    if (attached < 0)
        say(power, errno == EPERM || errno == EACCES ? PW_POWER_DENIED : PW_POWER_LIMITED,
            "a program loads, but cannot be attached: %s", strerror(errno));
    else
        say(power, PW_POWER_OK, "a program was attached to %s", tracepoint);
}

static void probe_bpf_ring_buffer(const struct machine *machine, struct pw_power *power)
{
    union bpf_attr attr;

    (void)machine;
    memset(&attr, 0, sizeof attr);
    attr.map_type = BPF_MAP_TYPE_RINGBUF;
    attr.max_entries = (uint32_t)sysconf(_SC_PAGESIZE);
    PW_FD_AUTO fd = call_bpf(BPF_MAP_CREATE, &attr);
    if (fd >= 0)
        say(power, PW_POWER_OK, "one was made");
    else if (errno == EINVAL)
        say(power, PW_POWER_ABSENT, "this kernel has none (Linux 5.8 and later do)");
    else
        say_refusal(power, errno);
}

/* An event on this process: opened, and closed at once. */
static bool open_event(struct pw_power *power, uint32_t type, uint64_t config, bool with_kernel)
{
    struct perf_event_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = type;
    attr.config = config;
    attr.sample_freq = 997;
    attr.freq = 1;
    attr.sample_type = PERF_SAMPLE_IP;
    attr.disabled = 1;
    attr.exclude_hv = 1;
    attr.exclude_kernel = !with_kernel;
    PW_FD_AUTO fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        say_refusal(power, errno);
    return fd >= 0;
}

static void probe_perf_user(const struct machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, false))
        say(power, PW_POWER_OK, "cpu-clock opens at 997 Hz");
}

static void probe_perf_kernel(const struct machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true))
        say(power, PW_POWER_OK, "cpu-clock opens with the kernel's part");
}

static void probe_perf_cycles(const struct machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, false))
        say(power, PW_POWER_OK, "cycles open at 997 Hz");
}

static void probe_perf_paranoid(const struct machine *machine, struct pw_power *power)
{
    char line[LINE_BYTES];
    const char *text = read_line(machine->proc_fd, "sys/kernel/perf_event_paranoid", line);

    if (text == NULL) {
        say(power, PW_POWER_ABSENT, "this kernel has no perf events");
        return;
    }
    long level = strtol(text, NULL, 10);
    if (level <= 1)
        say(power, PW_POWER_OK, "%ld", level);
    else if (has_capability(machine, CAP_SYS_ADMIN) || has_capability(machine, CAP_PERFMON))
        say(power, PW_POWER_OK, "%ld, which does not bind this user", level);
    else
        say(power, level == 2 ? PW_POWER_LIMITED : PW_POWER_DENIED, "%ld", level);
}

/* Whether addresses are there, or zeros instead. */
static void probe_kernel_symbols(const struct machine *machine, struct pw_power *power)
{
    char text[TEXT_BYTES], line[LINE_BYTES];
    const char *restriction = read_line(machine->proc_fd, "sys/kernel/kptr_restrict", line);

    if (pw_proc_text_read(machine->proc_fd, "kallsyms", text, sizeof text) <= 0) {
        say(power, PW_POWER_ABSENT, "there is no kallsyms");
        return;
    }
    bool is_shown = false;
    for (const char *row = text; row != NULL && !is_shown; row = strchr(row, '\n')) {
        row += *row == '\n' ? 1 : 0;
        is_shown = strtoull(row, NULL, 16) != 0;
    }
    say(power, is_shown ? PW_POWER_OK : PW_POWER_DENIED, "addresses are %s (kptr_restrict %.8s)",
        is_shown ? "shown" : "hidden", restriction != NULL ? restriction : "unknown");
}

static void probe_lockdown(const struct machine *machine, struct pw_power *power)
{
    char line[LINE_BYTES];
    const char *mode = NULL;

    if (read_line(machine->sys_fd, "kernel/security/lockdown", line) != NULL)
        mode = chosen_word(line);
    if (mode == NULL)
        say(power, PW_POWER_OK, "not in use");
    else
        say(power,
            strcmp(mode, "none") == 0              ? PW_POWER_OK
            : strcmp(mode, "confidentiality") == 0 ? PW_POWER_DENIED
                                                   : PW_POWER_LIMITED,
            "%.64s", mode);
}

static bool has_name(const json_t *list, const char *name)
{
    size_t i;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (text != NULL && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static bool is_version_2(const struct machine *machine)
{
    return json_integer_value(json_object_get(machine->cgroup, "version")) == 2;
}

static void probe_cgroup_v2(const struct machine *machine, struct pw_power *power)
{
    const json_t *delegated = json_object_get(machine->cgroup, "delegated");

    if (!is_version_2(machine))
        say(power, PW_POWER_ABSENT, "this kernel or this machine has no version 2 hierarchy");
    else if (!json_is_boolean(delegated))
        say(power, PW_POWER_ABSENT, "it is not mounted where this process can see its group");
    else if (!json_is_true(delegated))
        say(power, PW_POWER_DENIED, "mounted, but this group is not delegated to this user");
    else
        say(power, PW_POWER_OK, "mounted, and this group may be divided");
}

static void probe_cgroup_controllers(const struct machine *machine, struct pw_power *power)
{
    static const char *const wanted[] = {"cpu", "io", "memory", "pids"};
    const json_t *list = json_object_get(machine->cgroup, "controllers");
    char missing[64] = "";
    unsigned found = 0;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        size_t length = strlen(missing);
        if (is_version_2(machine) && has_name(list, wanted[i]))
            found++;
        else
            (void)snprintf(missing + length, sizeof missing - length, " %s", wanted[i]);
    }
    if (found == sizeof wanted / sizeof *wanted)
        say(power, PW_POWER_OK, "cpu, io, memory, pids");
    else
        say(power, found > 0 ? PW_POWER_LIMITED : PW_POWER_ABSENT, "missing:%s", missing);
}

/* The group of this process in the version 1 hierarchy with the memory controller. */
static bool find_memory_v1(const struct machine *machine, char *path, size_t size)
{
    char text[TEXT_BYTES];

    if (pw_proc_text_read(machine->proc_fd, "self/cgroup", text, sizeof text) <= 0)
        return false;
    for (char *rest = text, *row; (row = strsep(&rest, "\n")) != NULL;) {
        (void)strsep(&row, ":");
        char *names = row == NULL ? NULL : strsep(&row, ":");
        while (row != NULL && names != NULL) {
            const char *name = strsep(&names, ",");
            if (strcmp(name, "memory") == 0)
                return snprintf(path, size, "fs/cgroup/memory%s", row) < (int)size;
        }
    }
    return false;
}

static void probe_memory_v1(const struct machine *machine, struct pw_power *power)
{
    char path[PATH_MAX];

    if (is_version_2(machine) &&
        has_name(json_object_get(machine->cgroup, "controllers"), "memory"))
        say(power, PW_POWER_OK, "not needed: version 2 has the controller");
    else if (!find_memory_v1(machine, path, sizeof path))
        say(power, PW_POWER_ABSENT, "no version 1 hierarchy has it");
    else if (faccessat(machine->sys_fd, path, W_OK | X_OK, AT_EACCESS) != 0)
        say(power, errno == EACCES || errno == EROFS ? PW_POWER_DENIED : PW_POWER_LIMITED,
            "this group's folder: %s", strerror(errno));
    else
        say(power, PW_POWER_OK, "this group may be divided");
}

static void probe_kvm(const struct machine *machine, struct pw_power *power)
{
    PW_FD_AUTO fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    (void)machine;
    if (fd < 0) {
        say_refusal(power, errno);
        return;
    }
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version == KVM_API_VERSION_WANTED)
        say(power, PW_POWER_OK, "opens, version %d of its interface", version);
    else
        say(power, PW_POWER_ABSENT, "version %d of its interface, not %d", version,
            KVM_API_VERSION_WANTED);
}

static void probe_smaps_rollup(const struct machine *machine, struct pw_power *power)
{
    struct pw_proc_rollup rollup;
    PW_FD_AUTO fd = openat(machine->proc_fd, "self/smaps_rollup", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        say_refusal(power, errno);
        return;
    }
    enum pw_proc_outcome outcome = pw_proc_rollup_read(fd, &rollup);
    if (outcome == PW_PROC_DENIED)
        say(power, PW_POWER_DENIED, "it opens, but cannot be read");
    else if (outcome != PW_PROC_OK)
        say(power, PW_POWER_ABSENT, "it cannot be read or understood");
    else if (!rollup.has_footprint)
        say(power, PW_POWER_LIMITED, "without the parts of Pss (Linux 5.3 and later have them)");
    else
        say(power, PW_POWER_OK, "this process: Pss %llu KiB",
            (unsigned long long)rollup.pss_bytes / 1024);
}

static void probe_ptrace(const struct machine *machine, struct pw_power *power)
{
    char line[LINE_BYTES];
    const char *text = read_line(machine->proc_fd, "sys/kernel/yama/ptrace_scope", line);

    if (text == NULL) {
        say(power, PW_POWER_OK, "not restricted");
        return;
    }
    long scope = strtol(text, NULL, 10);
    if (scope <= 0 || (scope < 3 && has_capability(machine, CAP_SYS_PTRACE)))
        say(power, PW_POWER_OK, "scope %ld%s", scope,
            scope > 0 ? ", which does not bind this user" : "");
    else
        say(power, scope == 1 ? PW_POWER_LIMITED : PW_POWER_DENIED, "scope %ld", scope);
}

static void probe_governor(const struct machine *machine, struct pw_power *power)
{
    char line[LINE_BYTES];
    const char *text =
        read_line(machine->sys_fd, "devices/system/cpu/cpu0/cpufreq/scaling_governor", line);

    if (text == NULL)
        say(power, PW_POWER_ABSENT, "not known (as in most virtual machines)");
    else
        say(power, strcmp(text, "performance") == 0 ? PW_POWER_OK : PW_POWER_LIMITED, "%.64s",
            text);
}

/* Reading the clock without end: whatever takes the CPU away shows as a gap. */
static void probe_noise(const struct machine *machine, struct pw_power *power)
{
    int64_t start_ns = pw_clock_now_ns(), last_ns = start_ns, largest_ns = 0;

    (void)machine;
    while (last_ns - start_ns < NOISE_LOOP_NS) {
        int64_t now_ns = pw_clock_now_ns();
        largest_ns = now_ns - last_ns > largest_ns ? now_ns - last_ns : largest_ns;
        last_ns = now_ns;
    }
    say(power, largest_ns < NOISE_MOST_NS ? PW_POWER_OK : PW_POWER_LIMITED,
        "largest gap in 20 ms: %.1f us", (double)largest_ns / 1000);
}

static void probe_memlock(const struct machine *machine, struct pw_power *power)
{
    static const char name[] = "Max locked memory";
    char text[TEXT_BYTES];
    char *line = NULL;

    if (pw_proc_text_read(machine->proc_fd, "self/limits", text, sizeof text) > 0)
        line = strstr(text, name);
    if (line == NULL) {
        say(power, PW_POWER_ABSENT, "not known");
        return;
    }
    line += strlen(name);
    line += strspn(line, " ");
    if (strncmp(line, "unlimited", strlen("unlimited")) == 0) {
        say(power, PW_POWER_OK, "unlimited");
        return;
    }
    unsigned long long kib = strtoull(line, NULL, 10) / 1024;
    bool is_free = has_capability(machine, CAP_IPC_LOCK);
    say(power, is_free || kib >= MEMLOCK_WANTED_KIB ? PW_POWER_OK : PW_POWER_LIMITED, "%llu KiB%s",
        kib, is_free ? ", which does not bind this user" : "");
}

static void probe_hugepages(const struct machine *machine, struct pw_power *power)
{
    char line[LINE_BYTES];
    const char *mode = NULL;

    if (read_line(machine->sys_fd, "kernel/mm/transparent_hugepage/enabled", line) != NULL)
        mode = chosen_word(line);
    if (mode == NULL)
        say(power, PW_POWER_ABSENT, "this kernel has none");
    else
        say(power, strcmp(mode, "always") == 0 ? PW_POWER_LIMITED : PW_POWER_OK, "%.64s", mode);
}

#define AS_ROOT "run as root, or with CAP_BPF and CAP_PERFMON"

static const struct {
    const char *name;
    void (*probe)(const struct machine *machine, struct pw_power *power);
    bool needs_kernel; /* is left out with fakes */
    const char *adds, *remedy;
} table[] = {
    {"btf", probe_btf, false,
     "the kernel's types, by which the eBPF programs find their way in any kernel",
     "use a kernel with CONFIG_DEBUG_INFO_BTF=y and readable /sys/kernel/btf/vmlinux"},
    {"bpf_tracepoints", probe_bpf_tracepoints, true,
     "exact accounting: each process and thread, waits, page faults, block I/O, TCP",
     AS_ROOT
     ", in a container with these too; kernels before 5.11 also want `ulimit -l unlimited`"},
    {"bpf_ring_buffer", probe_bpf_ring_buffer, true,
     "start and end of each process as an event, in order and without losses unseen",
     AS_ROOT ", on Linux 5.8 or later"},
    {"perf_events", probe_perf_user, true, "the CPU profile: where the workers' code runs",
     "sysctl kernel.perf_event_paranoid=2, or CAP_PERFMON; in a container allow perf_event_open"},
    {"perf_events_kernel", probe_perf_kernel, true,
     "the kernel's part of stacks in the CPU profile",
     "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON"},
    {"perf_cycles", probe_perf_cycles, true,
     "samples by hardware cycles instead of a timer, also where interrupts are off",
     "on a virtual machine let its host pass the performance counters through (vPMU)"},
    {"perf_event_paranoid", probe_perf_paranoid, false,
     "the kernel's rule on who may use perf events",
     "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON"},
    {"kptr_restrict", probe_kernel_symbols, false,
     "names of the kernel's functions in the CPU profile",
     "sysctl kernel.kptr_restrict=0 (1 with CAP_SYSLOG), and kernel.perf_event_paranoid=1"},
    {"lockdown", probe_lockdown, false, "eBPF and perf events may read the kernel's memory",
     "boot without lockdown=confidentiality; Secure Boot may set it"},
    {"cgroup_v2", probe_cgroup_v2, false,
     "a group for each worker: nobody escapes, all is killed at once, CPU time is exact",
     "mount cgroup2, and delegate: systemd-run --user --scope -p Delegate=yes perfwrap ..."},
    {"cgroup_controllers", probe_cgroup_controllers, false,
     "peaks of memory and processes, I/O and throttling of each worker's group",
     "enable them in each parent's cgroup.subtree_control; boot without version 1"},
    {"cgroup_v1_memory", probe_memory_v1, false,
     "the peak of memory of each worker's group where version 2 lacks the controller",
     "run as root where the hierarchy is mounted, or use version 2"},
    {"kvm", probe_kvm, true,
     "machines at full speed for `perfwrap boot`, which also probes how fast they are",
     "join the group kvm; on a virtual machine let its host allow nested virtualization"},
    {"smaps_rollup", probe_smaps_rollup, false,
     "footprints: memory shared with others counted in parts (Pss), swap",
     "use Linux 5.3 or later with CONFIG_PROC_PAGE_MONITOR=y"},
    {"ptrace_scope", probe_ptrace, false,
     "attaching debuggers to workers that hang; perfwrap's own figures do not need it",
     "sysctl kernel.yama.ptrace_scope=0"},
    {"cpu_governor", probe_governor, false, "times that do not depend on the clock rate's changes",
     "cpupower frequency-set -g performance"},
    {"noise", probe_noise, true, "how far times can be trusted: what else takes the CPU",
     "stop what else runs here, or leave it CPUs of its own; use a machine of your own"},
    {"memlock", probe_memlock, false, "larger buffers for samples, so that none are lost",
     "ulimit -l unlimited"},
    {"transparent_hugepage", probe_hugepages, false,
     "memory figures in small pages: with `always`, a touched byte may count as 2 MiB",
     "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
};
_Static_assert(sizeof table / sizeof *table <= PW_POWERS_MAX, "one row is one power");

void pw_powers_probe(const char *proc_root, const char *sys_root, struct pw_powers *ret_powers)
{
    bool failed = false;
    struct pw_powers powers = {.count = sizeof table / sizeof *table};
    /* A folder that is missing only makes its powers absent. */
    PW_FD_AUTO proc_fd = open(proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    PW_FD_AUTO sys_fd = open(sys_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct machine machine = {
        .proc_fd = proc_fd,
        .sys_fd = sys_fd,
        .is_real = strcmp(proc_root, "/proc") == 0 && strcmp(sys_root, "/sys") == 0,
        .cgroup = pw_host_cgroup(proc_fd, &failed),
    };

    for (size_t i = 0; i < powers.count; i++) {
        struct pw_power *power = &powers.items[i];
        power->name = table[i].name;
        power->adds = table[i].adds;
        if (table[i].needs_kernel && !machine.is_real)
            say(power, PW_POWER_ABSENT, "not tried: this is not the machine's own /proc and /sys");
        else
            table[i].probe(&machine, power);
        power->remedy = power->state == PW_POWER_OK ? NULL : table[i].remedy;
    }
    json_decref(machine.cgroup);
    *ret_powers = powers;
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
