#include "wrapper/probe/powers_impl.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/probe/proc_file.h"

enum { MEMLOCK_WANTED_KIB = 8192 };

/* Opens an event and closes it at once; `machine_wide`: on CPU 0 with all that runs there, else on
 * this process. */
static bool open_event(struct pw_power *power, uint32_t type, uint64_t config, bool with_kernel,
                       bool machine_wide)
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
    PW_FD_AUTO fd = (int)syscall(SYS_perf_event_open, &attr, machine_wide ? -1 : 0,
                                 machine_wide ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == EOPNOTSUPP))
        pw_power_say(power, PW_POWER_ABSENT, "the CPUs show no such counter");
    else if (fd < 0)
        pw_power_say_refusal(power, errno);
    return fd >= 0;
}

void pw_power_probe_perf_own(const struct pw_power_machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, false, false))
        pw_power_say(power, PW_POWER_OK, "cpu-clock opens at 997 Hz");
}

void pw_power_probe_perf_kernel(const struct pw_power_machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true, false))
        pw_power_say(power, PW_POWER_OK, "cpu-clock opens with the kernel's part");
}

void pw_power_probe_perf_machine(const struct pw_power_machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true, true))
        pw_power_say(power, PW_POWER_OK, "cpu-clock opens for all of a CPU");
}

void pw_power_probe_perf_cycles(const struct pw_power_machine *machine, struct pw_power *power)
{
    (void)machine;
    if (open_event(power, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, false, false))
        pw_power_say(power, PW_POWER_OK, "cycles open at 997 Hz");
}

void pw_power_probe_perf_paranoid(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *text = pw_power_read_line(machine->proc_fd, "sys/kernel/perf_event_paranoid", line);

    if (text == NULL) {
        pw_power_say(power, PW_POWER_ABSENT, "this kernel has no perf events");
        return;
    }
    long level = strtol(text, NULL, 10);
    if (level <= 1)
        pw_power_say(power, PW_POWER_OK, "%ld", level);
    else if (pw_power_has_capability(machine, CAP_SYS_ADMIN) ||
             pw_power_has_capability(machine, CAP_PERFMON))
        pw_power_say(power, PW_POWER_OK, "%ld, which does not bind this user", level);
    else
        pw_power_say(power, level == 2 ? PW_POWER_LIMITED : PW_POWER_DENIED, "%ld", level);
}

/* Whether addresses are there, or zeros instead. */
void pw_power_probe_kernel_symbols(const struct pw_power_machine *machine, struct pw_power *power)
{
    char text[PW_POWER_TEXT_BYTES], line[PW_POWER_LINE_BYTES];
    const char *restriction =
        pw_power_read_line(machine->proc_fd, "sys/kernel/kptr_restrict", line);

    if (pw_proc_text_read(machine->proc_fd, "kallsyms", text, sizeof text) <= 0) {
        pw_power_say(power, PW_POWER_ABSENT, "there is no kallsyms");
        return;
    }
    bool is_shown = false;
    for (const char *row = text; row != NULL && !is_shown; row = strchr(row, '\n')) {
        row += *row == '\n' ? 1 : 0;
        is_shown = strtoull(row, NULL, 16) != 0;
    }
    pw_power_say(power, is_shown ? PW_POWER_OK : PW_POWER_DENIED,
                 "addresses are %s (kptr_restrict %.8s)", is_shown ? "shown" : "hidden",
                 restriction != NULL ? restriction : "unknown");
}

void pw_power_probe_lockdown(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *mode = NULL;

    if (pw_power_read_line(machine->sys_fd, "kernel/security/lockdown", line) != NULL)
        mode = pw_power_chosen_word(line);
    if (mode == NULL)
        pw_power_say(power, PW_POWER_OK, "not in use");
    else
        pw_power_say(power,
                     strcmp(mode, "none") == 0              ? PW_POWER_OK
                     : strcmp(mode, "confidentiality") == 0 ? PW_POWER_DENIED
                                                            : PW_POWER_LIMITED,
                     "%.64s", mode);
}

void pw_power_probe_memlock(const struct pw_power_machine *machine, struct pw_power *power)
{
    static const char name[] = "Max locked memory";
    char text[PW_POWER_TEXT_BYTES];
    char *line = NULL;

    if (pw_proc_text_read(machine->proc_fd, "self/limits", text, sizeof text) > 0)
        line = strstr(text, name);
    if (line == NULL) {
        pw_power_say(power, PW_POWER_ABSENT, "not known");
        return;
    }
    line += strlen(name);
    line += strspn(line, " ");
    if (strncmp(line, "unlimited", strlen("unlimited")) == 0) {
        pw_power_say(power, PW_POWER_OK, "unlimited");
        return;
    }
    unsigned long long kib = strtoull(line, NULL, 10) / 1024;
    bool is_free = pw_power_has_capability(machine, CAP_IPC_LOCK);
    pw_power_say(power, is_free || kib >= MEMLOCK_WANTED_KIB ? PW_POWER_OK : PW_POWER_LIMITED,
                 "%llu KiB%s", kib, is_free ? ", which does not bind this user" : "");
}
