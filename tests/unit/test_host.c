/* wrapper/probe/host: fake machines of several kinds, and this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/json.h"
#include "tests/unit/fake_root.h"
#include "wrapper/probe/host.h"

static const char *const keys[] = {"kernel",
                                   "arch",
                                   "cpu_model",
                                   "cpu_count",
                                   "cpu_allowed",
                                   "cpu_governor",
                                   "cpu_mhz",
                                   "memory_total_mb",
                                   "memory_available_mb",
                                   "swap_total_mb",
                                   "load_1m",
                                   "load_5m",
                                   "load_15m",
                                   "clock_ticks_per_sec",
                                   "page_size_bytes",
                                   "clocksource",
                                   "transparent_hugepage",
                                   "ksm",
                                   "cgroup",
                                   "ebpf",
                                   "perf_event_paranoid",
                                   "kvm",
                                   "container",
                                   "virtualization",
                                   "user_is_root"};

static json_t *describe(const struct fake_root *fake)
{
    char proc[PATH_MAX], sys[PATH_MAX];
    struct pw_err err = PW_ERR_INIT;

    fake_path(fake, proc, "proc");
    fake_path(fake, sys, "sys");
    json_t *host = pw_host_describe(proc, sys, &err);
    assert_non_null(host);
    assert_int_equal(json_object_size(host), sizeof keys / sizeof *keys);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (json_object_get(host, keys[i]) == NULL)
            fail_msg("no %s", keys[i]);
    }
    return host;
}

static void assert_text(const json_t *host, const char *path, const char *text)
{
    const json_t *value = pw_json_find(host, path);

    if (text == NULL)
        assert_true(json_is_null(value));
    else if (!json_is_string(value))
        fail_msg("%s is no string", path);
    else
        assert_string_equal(json_string_value(value), text);
}

static void assert_number(const json_t *host, const char *path, double number)
{
    const json_t *value = pw_json_find(host, path);

    if (!json_is_number(value))
        fail_msg("%s is no number", path);
    if (json_number_value(value) != number)
        fail_msg("%s is %f, not %f", path, json_number_value(value), number);
}

static void assert_words(const json_t *host, const char *path, const char *words)
{
    char text[512] = "";
    const json_t *list = pw_json_find(host, path);

    assert_true(json_is_array(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s ",
                 json_string_value(json_array_get(list, i)));
    }
    assert_string_equal(text, words);
}

static void nothing_to_read(void **state)
{
    json_t *host = describe(*state);
    static const char *const known[] = {"arch", "clock_ticks_per_sec", "page_size_bytes", "ebpf",
                                        "kvm",  "user_is_root",        "cgroup"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        bool is_known = false;
        for (size_t j = 0; j < sizeof known / sizeof *known; j++)
            is_known = is_known || strcmp(keys[i], known[j]) == 0;
        if (json_is_null(json_object_get(host, keys[i])) == is_known)
            fail_msg("%s", keys[i]);
    }
    assert_text(host, "cgroup.path", NULL);
    assert_true(json_is_null(pw_json_find(host, "cgroup.version")));
    assert_words(host, "cgroup.controllers", "");
    assert_string_not_equal(json_string_value(json_object_get(host, "ebpf")), "available");
    json_decref(host);

    struct pw_err err = PW_ERR_INIT;
    host = pw_host_describe("/no/such/proc", "/no/such/sys", &err);
    assert_non_null(host);
    assert_text(host, "kernel", NULL);
    json_decref(host);
}

static void everything_there(void **state)
{
    struct fake_root *fake = *state;
    fake_text(fake, "proc/sys/kernel/osrelease", "6.1.0-test\n");
    fake_text(fake, "proc/sys/kernel/perf_event_paranoid", "-1\n");
    fake_text(fake, "proc/cpuinfo",
              "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Some CPU @ 2.00GHz\n"
              "cpu MHz\t\t: 1999.5\nflags\t\t: fpu vme\n\nprocessor\t: 1\n");
    fake_text(fake, "sys/devices/system/cpu/online", "0-3,8,10-11\n");
    fake_text(fake, "proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-2,5\n");
    fake_text(fake, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    fake_text(fake, "proc/meminfo",
              "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1536 kB\nSwapTotal: 0 kB\n");
    fake_text(fake, "proc/loadavg", "0.50 1.25 2.00 1/100 4242\n");
    fake_text(fake, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    fake_text(fake, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    fake_text(fake, "sys/kernel/mm/ksm/run", "1\n");
    json_t *host = describe(fake);
    assert_text(host, "kernel", "6.1.0-test");
    assert_text(host, "cpu_model", "Some CPU @ 2.00GHz");
    assert_number(host, "cpu_count", 7);
    assert_number(host, "cpu_allowed", 4);
    assert_text(host, "cpu_governor", "performance");
    assert_number(host, "cpu_mhz", 1999.5);
    assert_number(host, "memory_total_mb", 2);
    assert_number(host, "memory_available_mb", 1.5);
    assert_number(host, "swap_total_mb", 0);
    assert_number(host, "load_1m", 0.5);
    assert_number(host, "load_5m", 1.25);
    assert_number(host, "load_15m", 2);
    assert_number(host, "clock_ticks_per_sec", (double)sysconf(_SC_CLK_TCK));
    assert_number(host, "page_size_bytes", (double)sysconf(_SC_PAGESIZE));
    assert_text(host, "clocksource", "tsc");
    assert_text(host, "transparent_hugepage", "madvise");
    assert_int_equal(json_integer_value(json_object_get(host, "ksm")), 1);
    assert_number(host, "perf_event_paranoid", -1);
    assert_text(host, "container", NULL);
    assert_text(host, "virtualization", NULL);
    /* Its sys has no types of the kernel, so a program that loads is not enough. */
    assert_string_not_equal(json_string_value(json_object_get(host, "ebpf")), "available");
    json_decref(host);
}

static void speed_from_cpufreq_and_bad_lists(void **state)
{
    struct fake_root *fake = *state;
    fake_text(fake, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n");
    fake_text(fake, "sys/devices/system/cpu/online", "3-1\n");
    fake_text(fake, "proc/loadavg", "0.50\n");
    fake_text(fake, "proc/self/status", "Cpus_allowed_list:\tgarbage\n");
    json_t *host = describe(fake);
    assert_number(host, "cpu_mhz", 1500);
    assert_text(host, "cpu_count", NULL);
    assert_text(host, "cpu_allowed", NULL);
    assert_number(host, "load_1m", 0.5);
    assert_text(host, "load_5m", NULL);
    json_decref(host);
}

/* The mount point is a folder of the fake, with a blank in it. */
static void cgroup_v2(void **state)
{
    struct fake_root *fake = *state;
    char mounts[2 * PATH_MAX];
    fake_text(fake, "proc/self/cgroup", "0::/outer/user.slice/mine\n");
    snprintf(mounts, sizeof mounts,
             "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
             "38 31 0:38 /outer %s/cg\\0402 rw,relatime shared:1 - cgroup2 cgroup2 rw\n",
             fake->path);
    fake_text(fake, "proc/self/mountinfo", mounts);
    fake_text(fake, "cg 2/user.slice/mine/cgroup.controllers", "cpu memory pids\n");
    fake_text(fake, "cg 2/user.slice/mine/cgroup.procs", "");
    json_t *host = describe(fake);
    assert_number(host, "cgroup.version", 2);
    assert_text(host, "cgroup.path", "/outer/user.slice/mine");
    assert_words(host, "cgroup.controllers", "cpu memory pids ");
    assert_words(host, "cgroup.v1_controllers", "");
    assert_true(json_is_true(pw_json_find(host, "cgroup.delegated")));
    json_decref(host);

    char path[PATH_MAX];
    fake_path(fake, path, "cg 2/user.slice/mine/cgroup.procs");
    assert_int_equal(unlink(path), 0);
    host = describe(fake);
    assert_true(json_is_false(pw_json_find(host, "cgroup.delegated")));
    json_decref(host);
}

static void cgroup_v1(void **state)
{
    struct fake_root *fake = *state;
    fake_text(fake, "proc/self/cgroup",
              "9:name=systemd:/s\n4:memory:/docker/abc\n2:cpu,cpuacct:/\n0::/\n");
    fake_text(fake, "proc/self/mountinfo",
              "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
    json_t *host = describe(fake);
    assert_number(host, "cgroup.version", 1);
    assert_words(host, "cgroup.controllers", "memory cpu cpuacct ");
    assert_words(host, "cgroup.v1_controllers", "memory cpu cpuacct ");
    assert_true(json_is_null(pw_json_find(host, "cgroup.delegated")));
    json_decref(host);
}

static void assert_container(struct fake_root *fake, const char *name)
{
    json_t *host = describe(fake);

    assert_text(host, "container", name);
    json_decref(host);
}

static void containers(void **state)
{
    struct fake_root *fake = *state;
    fake_text(fake, "proc/self/cgroup", "0::/kubepods/burstable/pod1\n");
    fake_text(fake, "proc/self/mountinfo", "1 1 0:1 / /none rw - cgroup2 cgroup2 rw\n");
    assert_container(fake, "kubernetes");
    fake_text(fake, "proc/self/root/.dockerenv", "");
    assert_container(fake, "docker");
    fake_text(fake, "proc/self/root/run/.containerenv", "");
    assert_container(fake, "podman");
    fake_text(fake, "proc/self/root/run/systemd/container", "systemd-nspawn\n");
    assert_container(fake, "systemd-nspawn");
    static const char environment[] = "PATH=/bin\0container=lxc\0SECRET=1";
    fake_bytes(fake, "proc/1/environ", environment, sizeof environment);
    assert_container(fake, "lxc");
}

static void assert_virtualization(struct fake_root *fake, const char *vendor, const char *product,
                                  const char *name)
{
    fake_text(fake, "sys/class/dmi/id/sys_vendor", vendor);
    fake_text(fake, "sys/class/dmi/id/product_name", product);
    json_t *host = describe(fake);
    assert_text(host, "virtualization", name);
    json_decref(host);
}

static void virtual_machines(void **state)
{
    struct fake_root *fake = *state;
    fake_text(fake, "proc/cpuinfo", "flags\t\t: fpu nohypervisor\nbugs\t: hypervisor\n");
    assert_virtualization(fake, "Dell Inc.\n", "PowerEdge R7\n", NULL);
    assert_virtualization(fake, "Microsoft Corporation\n", "Surface Pro\n", NULL);
    assert_virtualization(fake, "Microsoft Corporation\n", "Virtual Machine\n", "hyper-v");
    assert_virtualization(fake, "QEMU\n", "Standard PC\n", "qemu");
    assert_virtualization(fake, "Red Hat\n", "KVM\n", "kvm");
    assert_virtualization(fake, "innotek GmbH\n", "VirtualBox\n", "virtualbox");
    assert_virtualization(fake, "Amazon EC2\n", "m5.large\n", "amazon ec2");
    assert_virtualization(fake, "Amazon EC2\n", "m5.metal\n", NULL);
    fake_text(fake, "proc/cpuinfo", "flags\t\t: fpu hypervisor lahf_lm\n");
    assert_virtualization(fake, "Dell Inc.\n", "PowerEdge R7\n", "unknown hypervisor");
    fake_text(fake, "proc/device-tree/hypervisor/compatible", "linux,kvm");
    assert_virtualization(fake, "", "", "kvm");
    fake_text(fake, "sys/hypervisor/type", "xen\n");
    assert_virtualization(fake, "", "", "xen");
}

static void this_machine(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    json_t *host = pw_host_describe("/proc", "/sys", &err);
    assert_non_null(host);
    assert_true(json_is_string(json_object_get(host, "kernel")));
    assert_number(host, "cpu_count", (double)sysconf(_SC_NPROCESSORS_ONLN));
    double pages = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double total = json_number_value(json_object_get(host, "memory_total_mb"));
    assert_true(total > pages / 1048576 * 0.99 && total < pages / 1048576 * 1.01);
    assert_true(json_number_value(json_object_get(host, "cpu_allowed")) >= 1);
    static const char *const powers[] = {"ebpf", "kvm"};
    for (size_t i = 0; i < 2; i++) {
        const char *power = json_string_value(json_object_get(host, powers[i]));
        assert_non_null(power);
        assert_true(!strcmp(power, "available") || !strcmp(power, "no_permission") ||
                    !strcmp(power, "not_supported"));
    }
    if (geteuid() == 0 && seteuid(65534) == 0) { /* the same without powers */
        json_t *weak = pw_host_describe("/proc", "/sys", &err);
        assert_int_equal(seteuid(0), 0);
        assert_string_not_equal(json_string_value(json_object_get(weak, "ebpf")), "available");
        assert_true(json_is_false(json_object_get(weak, "user_is_root")));
        assert_false(json_is_true(pw_json_find(weak, "cgroup.delegated")));
        json_decref(weak);
    }
    json_decref(host);
}

#define HOST_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fake_machine_make, fake_machine_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(nothing_to_read),
        HOST_TEST(everything_there),
        HOST_TEST(speed_from_cpufreq_and_bad_lists),
        HOST_TEST(cgroup_v2),
        HOST_TEST(cgroup_v1),
        HOST_TEST(containers),
        HOST_TEST(virtual_machines),
        cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
