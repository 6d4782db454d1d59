/* wrapper/probe/powers: fake machines that allow all, some and nothing, and this one. */
#include <linux/btf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/fake_root.h"
#include "wrapper/probe/powers.h"

static const char *const names[] = {"btf",
                                    "bpf_tracepoints",
                                    "bpf_tp_btf",
                                    "bpf_ring_buffer",
                                    "lockdown",
                                    "memlock",
                                    "perf_events",
                                    "perf_events_kernel",
                                    "perf_events_machine",
                                    "perf_cycles",
                                    "perf_event_paranoid",
                                    "kptr_restrict",
                                    "cgroup_v2",
                                    "cgroup_leaves",
                                    "cgroup_controllers",
                                    "cgroup_v1_memory",
                                    "smaps_rollup",
                                    "ptrace_scope",
                                    "realtime_priority",
                                    "clocksource",
                                    "cpu_governor",
                                    "load",
                                    "steal_time",
                                    "noise",
                                    "wakeup_jitter",
                                    "transparent_hugepage",
                                    "swap"};
static const char *const asked_of_the_kernel[] = {
    "bpf_tracepoints",     "bpf_tp_btf",  "bpf_ring_buffer",   "perf_events", "perf_events_kernel",
    "perf_events_machine", "perf_cycles", "realtime_priority", "noise",       "wakeup_jitter"};

static const char clocksource[] = "sys/devices/system/clocksource/clocksource0/current_clocksource";

static const struct pw_power *find(const struct pw_powers *powers, const char *name)
{
    for (size_t i = 0; i < powers->count; i++) {
        if (strcmp(powers->items[i].name, name) == 0)
            return &powers->items[i];
    }
    fail_msg("no power %s", name);
    abort();
}

/* What holds of each power of any machine. */
static void assert_whole(const struct pw_powers *powers)
{
    assert_int_equal(powers->count, sizeof names / sizeof *names);
    for (size_t i = 0; i < powers->count; i++) {
        const struct pw_power *power = &powers->items[i];
        assert_string_equal(power->name, names[i]);
        assert_string_equal(pw_power_name(i), names[i]);
        assert_non_null(power->area);
        assert_true(power->state >= PW_POWER_OK && power->state <= PW_POWER_ABSENT);
        assert_true(power->found[0] != '\0' && strlen(power->found) < sizeof power->found);
        assert_non_null(power->adds);
        if (power->state == PW_POWER_OK)
            assert_null(power->remedy);
        else
            assert_non_null(power->remedy);
    }
    assert_null(pw_power_name(powers->count));
}

static struct pw_powers probe(const struct fake_root *fake)
{
    char proc[PATH_MAX], sys[PATH_MAX];
    struct pw_powers powers;

    fake_path(fake, proc, "proc");
    fake_path(fake, sys, "sys");
    pw_powers_probe(proc, sys, &powers);
    assert_whole(&powers);
    for (size_t i = 0; i < sizeof asked_of_the_kernel / sizeof *asked_of_the_kernel; i++) {
        const struct pw_power *power = find(&powers, asked_of_the_kernel[i]);
        assert_string_equal(pw_power_state_name(power->state), "absent");
        assert_contains(power->found, "not tried");
    }
    return powers;
}

static void assert_power(const struct pw_powers *powers, const char *name, const char *state,
                         const char *part)
{
    const struct pw_power *power = find(powers, name);

    if (strcmp(pw_power_state_name(power->state), state) != 0)
        fail_msg("%s: %s (%s), not %s", name, pw_power_state_name(power->state), power->found,
                 state);
    assert_contains(power->found, part);
}

static void fake_btf(const struct fake_root *fake, unsigned char version)
{
    const struct btf_header header = {
        .magic = BTF_MAGIC, .version = version, .hdr_len = sizeof header};

    fake_bytes(fake, "sys/kernel/btf/vmlinux", (const char *)&header, sizeof header);
}

/* Mounts version 2 at the folder `group` of the fake. */
static void fake_cgroup_v2(const struct fake_root *fake, const char *controllers)
{
    char folder[PATH_MAX], row[2 * PATH_MAX];

    fake_path(fake, folder, "group");
    snprintf(row, sizeof row, "36 35 0:30 / %s rw - cgroup2 cgroup2 rw\n", folder);
    fake_text(fake, "proc/self/mountinfo", row);
    fake_text(fake, "proc/self/cgroup", "0::/\n");
    fake_text(fake, "group/cgroup.procs", "");
    fake_text(fake, "group/cgroup.controllers", controllers);
}

static void test_nothing_there(void **state)
{
    struct pw_powers powers = probe(*state);

    assert_power(&powers, "btf", "absent", "No such file");
    assert_power(&powers, "perf_event_paranoid", "absent", "no perf events");
    assert_power(&powers, "kptr_restrict", "absent", "");
    assert_power(&powers, "lockdown", "ok", "not in use");
    assert_power(&powers, "cgroup_v2", "absent", "");
    assert_power(&powers, "cgroup_leaves", "absent", "");
    assert_power(&powers, "cgroup_controllers", "absent", "cpu io memory pids");
    assert_power(&powers, "clocksource", "absent", "not known");
    assert_power(&powers, "load", "absent", "not known");
    assert_power(&powers, "steal_time", "absent", "not known");
    assert_power(&powers, "swap", "absent", "not known");
    assert_power(&powers, "cgroup_v1_memory", "absent", "");
    assert_power(&powers, "smaps_rollup", "absent", "No such file");
    assert_power(&powers, "ptrace_scope", "ok", "not restricted");
    assert_power(&powers, "cpu_governor", "absent", "");
    assert_power(&powers, "memlock", "absent", "");
    assert_power(&powers, "transparent_hugepage", "absent", "");
}

static void test_missing_folders(void **state)
{
    struct pw_powers powers;

    (void)state;
    pw_powers_probe("/nowhere/proc", "/nowhere/sys", &powers);
    assert_whole(&powers);
    assert_power(&powers, "btf", "absent", "");
    assert_power(&powers, "cgroup_v2", "absent", "");
}

static void test_all_allowed(void **state)
{
    const struct fake_root *fake = *state;

    fake_btf(fake, BTF_VERSION);
    fake_cgroup_v2(fake, "cpuset cpu io memory pids\n");
    fake_text(fake, "proc/sys/kernel/perf_event_paranoid", "-1\n");
    fake_text(fake, "proc/sys/kernel/kptr_restrict", "0\n");
    fake_text(fake, "proc/kallsyms",
              "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\n");
    fake_text(fake, "proc/sys/kernel/yama/ptrace_scope", "0\n");
    fake_text(fake, "proc/self/smaps_rollup",
              "00400000-7fff00000000 ---p 00000000 00:00 0 [rollup]\nRss: 2048 kB\nPss: 1024 kB\n"
              "Pss_Anon: 512 kB\nPss_File: 512 kB\nPss_Shmem: 0 kB\nSwapPss: 0 kB\n");
    fake_text(fake, "proc/self/limits",
              "Limit                     Soft Limit           Hard Limit           Units     \n"
              "Max locked memory         unlimited            unlimited            bytes     \n");
    fake_text(fake, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    fake_text(fake, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    fake_text(fake, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    fake_text(fake, clocksource, "tsc\n");
    fake_text(fake, "proc/loadavg", "0.50 0.33 0.99 4/103 30039\n");
    fake_text(fake, "proc/stat",
              "cpu  500 0 300 190 0 0 5 5 2 0\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\n"
              "ctxt 5\n");
    fake_text(fake, "proc/meminfo", "SwapTotal:  1024 kB\nSwapFree:   1024 kB\n");
    struct pw_powers powers = probe(fake);
    assert_power(&powers, "btf", "ok", "version 1");
    assert_power(&powers, "perf_event_paranoid", "ok", "-1");
    assert_power(&powers, "kptr_restrict", "ok", "shown (kptr_restrict 0)");
    assert_power(&powers, "lockdown", "ok", "none");
    assert_power(&powers, "cgroup_v2", "ok", "is in `/`");
    assert_power(&powers, "cgroup_leaves", "ok", "divided");
    assert_power(&powers, "clocksource", "ok", "tsc");
    assert_power(&powers, "load", "ok", "0.50 in the last minute, on 2 CPUs");
    assert_power(&powers, "steal_time", "ok", "0.50 %");
    assert_power(&powers, "swap", "ok", "0 of 1 MiB");
    assert_power(&powers, "cgroup_controllers", "ok", "cpu, io, memory, pids");
    assert_power(&powers, "cgroup_v1_memory", "ok", "not needed");
    assert_power(&powers, "smaps_rollup", "ok", "Pss 1024 KiB");
    assert_power(&powers, "ptrace_scope", "ok", "scope 0");
    assert_power(&powers, "cpu_governor", "ok", "performance");
    assert_power(&powers, "memlock", "ok", "unlimited");
    assert_power(&powers, "transparent_hugepage", "ok", "madvise");
}

static void test_restricted(void **state)
{
    const struct fake_root *fake = *state;

    fake_btf(fake, BTF_VERSION + 1);
    fake_cgroup_v2(fake, "cpu pids\n");
    fake_text(fake, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
    fake_text(fake, "proc/sys/kernel/perf_event_paranoid", "2\n");
    fake_text(fake, "proc/sys/kernel/kptr_restrict", "1\n");
    fake_text(fake, "proc/kallsyms", "0000000000000000 T _stext\n0000000000000000 T _text\n");
    fake_text(fake, "proc/sys/kernel/yama/ptrace_scope", "1\n");
    fake_text(fake, "proc/self/smaps_rollup", "Rss: 2048 kB\nPss: 1024 kB\n");
    fake_text(fake, "proc/self/limits",
              "Max locked memory         65536                65536                bytes     \n");
    fake_text(fake, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    fake_text(fake, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    fake_text(fake, "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    fake_text(fake, clocksource, "hpet\n");
    fake_text(fake, "proc/loadavg", "0.51 0.33 0.99 4/103 30039\n");
    fake_text(fake, "proc/stat", "cpu  500 0 300 175 0 0 5 20 2 0\ncpu0 1 0 0 0 0 0 0 0 0 0\n");
    fake_text(fake, "proc/meminfo", "SwapTotal:  4096 kB\nSwapFree:   1024 kB\n");
    struct pw_powers powers = probe(fake);
    assert_power(&powers, "btf", "absent", "version 2");
    assert_power(&powers, "perf_event_paranoid", "limited", "2");
    assert_power(&powers, "kptr_restrict", "denied", "hidden (kptr_restrict 1)");
    assert_power(&powers, "lockdown", "limited", "integrity");
    assert_power(&powers, "cgroup_controllers", "limited", "missing: io memory");
    assert_power(&powers, "smaps_rollup", "limited", "5.3");
    assert_power(&powers, "ptrace_scope", "limited", "scope 1");
    assert_power(&powers, "cpu_governor", "limited", "powersave");
    assert_power(&powers, "memlock", "limited", "64 KiB");
    assert_power(&powers, "transparent_hugepage", "limited", "always");
    assert_power(&powers, "clocksource", "limited", "hpet");
    assert_power(&powers, "load", "limited", "0.51 in the last minute, on 1 CPU");
    assert_power(&powers, "steal_time", "limited", "2.00 %");
    assert_power(&powers, "swap", "limited", "3 of 4 MiB");

    fake_text(fake, "proc/sys/kernel/perf_event_paranoid", "3\n");
    fake_text(fake, "proc/sys/kernel/yama/ptrace_scope", "3\n");
    fake_text(fake, "sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    fake_text(fake, "sys/kernel/btf/vmlinux", "no types at all, but long enough");
    powers = probe(fake);
    assert_power(&powers, "perf_event_paranoid", "denied", "3");
    assert_power(&powers, "ptrace_scope", "denied", "3");
    assert_power(&powers, "lockdown", "denied", "confidentiality");
    assert_power(&powers, "btf", "absent", "types");
    /* What does not bind a user with the capability is no restriction. */
    fake_text(fake, "proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
    fake_text(fake, "proc/sys/kernel/yama/ptrace_scope", "1\n");
    powers = probe(fake);
    assert_power(&powers, "perf_event_paranoid", "ok", "does not bind");
    assert_power(&powers, "ptrace_scope", "ok", "does not bind");
    assert_power(&powers, "memlock", "ok", "does not bind");
}

static void test_version_1(void **state)
{
    const struct fake_root *fake = *state;

    char folder[PATH_MAX], row[PATH_MAX + 128];

    fake_path(fake, folder, "mounted");
    snprintf(row, sizeof row, "36 35 0:30 / %s rw - cgroup cgroup rw,cpu,memory\n", folder);
    fake_text(fake, "proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/a/b\n0::/\n");
    fake_text(fake, "proc/self/mountinfo", row);
    struct pw_powers powers = probe(fake);
    assert_power(&powers, "cgroup_v2", "absent", "");
    assert_power(&powers, "cgroup_v1_memory", "limited", "No such file");
    fake_dir(fake, "mounted/a/b");
    powers = probe(fake);
    assert_power(&powers, "cgroup_v1_memory", "ok", "divided");
    assert_power(&powers, "cgroup_controllers", "absent", "missing: cpu io memory pids");
}

/* This machine: each power is known, and figures are possible ones. */
static void test_this_machine(void **state)
{
    struct pw_powers powers, again;

    (void)state;
    pw_powers_probe("/proc", "/sys", &powers);
    assert_whole(&powers);
    for (size_t i = 0; i < powers.count; i++) {
        const struct pw_power *power = &powers.items[i];
        print_message("%-20s %-7s %s\n", power->name, pw_power_state_name(power->state),
                      power->found);
        assert_null(strstr(power->found, "not tried"));
    }
    static const char gap[] = "largest gap in 20 ms: ";
    const char *noise = find(&powers, "noise")->found;
    assert_memory_equal(noise, gap, strlen(gap));
    double gap_us = strtod(noise + strlen(gap), NULL);
    assert_true(gap_us > 0 && gap_us < 60e6);
    static const char jitter[] = "31 wake-ups late by ";
    const char *wakeups = find(&powers, "wakeup_jitter")->found;
    assert_memory_equal(wakeups, jitter, strlen(jitter));
    assert_true(strtod(wakeups + strlen(jitter), NULL) > 0);
    /* The typed program is the untyped one by another way. */
    if (find(&powers, "btf")->state == PW_POWER_OK)
        assert_null(strstr(find(&powers, "bpf_tp_btf")->found, "lack"));
    /* Who may have the kernel's part may have the user's. */
    if (find(&powers, "perf_events_kernel")->state == PW_POWER_OK)
        assert_int_equal(find(&powers, "perf_events")->state, PW_POWER_OK);
    /* Nothing stays: no descriptor, and the second time is as the first. */
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pw_powers_probe("/proc", "/sys", &again);
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(before >= 0);
    assert_int_equal(after, before + 1);
    close(before);
    close(after);
    for (size_t i = 0; i < powers.count; i++) {
        /* These are of the moment. */
        const char *name = powers.items[i].name;
        if (strcmp(name, "noise") != 0 && strcmp(name, "wakeup_jitter") != 0 &&
            strcmp(name, "load") != 0)
            assert_int_equal(powers.items[i].state, again.items[i].state);
    }
}

/* Texts that the kernel would not write: nothing is made of them. */
static void test_nonsense(void **state)
{
    const struct fake_root *fake = *state;

    fake_text(fake, "proc/stat", "cpu  500 0 300\ncpu0 1\n");
    fake_text(fake, "proc/loadavg", "much\n");
    fake_text(fake, "proc/meminfo", "SwapTotal:  4096 kB\n");
    fake_text(fake, clocksource, "\n");
    fake_text(fake, "proc/self/limits", "Max locked memory\n");
    fake_text(fake, "proc/self/cgroup", "::::\n4:memory\n\n");
    fake_text(fake, "sys/kernel/btf/vmlinux", "x");
    fake_text(fake, "sys/kernel/security/lockdown", "[");
    fake_text(fake, "sys/kernel/mm/transparent_hugepage/enabled", "always");
    struct pw_powers powers = probe(fake);
    assert_power(&powers, "steal_time", "absent", "not known");
    assert_power(&powers, "load", "absent", "not known");
    assert_power(&powers, "swap", "absent", "not known");
    assert_power(&powers, "cgroup_v1_memory", "absent", "");
    assert_power(&powers, "btf", "absent", "types");
    assert_power(&powers, "transparent_hugepage", "absent", "");
}

static void test_state_names(void **state)
{
    (void)state;
    assert_string_equal(pw_power_state_name(PW_POWER_OK), "ok");
    assert_string_equal(pw_power_state_name(PW_POWER_LIMITED), "limited");
    assert_string_equal(pw_power_state_name(PW_POWER_DENIED), "denied");
    assert_string_equal(pw_power_state_name(PW_POWER_ABSENT), "absent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_there, fake_machine_make, fake_machine_remove),
        cmocka_unit_test(test_missing_folders),
        cmocka_unit_test_setup_teardown(test_all_allowed, fake_machine_make, fake_machine_remove),
        cmocka_unit_test_setup_teardown(test_restricted, fake_machine_make, fake_machine_remove),
        cmocka_unit_test_setup_teardown(test_version_1, fake_machine_make, fake_machine_remove),
        cmocka_unit_test_setup_teardown(test_nonsense, fake_machine_make, fake_machine_remove),
        cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_state_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
