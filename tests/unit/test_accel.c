/* wrapper/boot/accel: the probe of KVM, the choice, and the rate of the time stamp counter. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/boot/accel.h"
#include "wrapper/boot/accel_impl.h"

static struct pw_kvm_probe probe(const char *device)
{
    struct pw_kvm_probe result;
    memset(&result, 0x55, sizeof(result));
    pw_kvm_probe(device, &result);
    assert_true(strlen(result.reason) > 0 && strlen(result.reason) < sizeof(result.reason));
    return result;
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(pw_accel_name(PW_ACCEL_KVM), "kvm");
    assert_string_equal(pw_accel_name(PW_ACCEL_TCG), "tcg");
    assert_string_equal(pw_kvm_name(PW_KVM_USABLE), "usable");
    assert_string_equal(pw_kvm_name(PW_KVM_EMULATED), "emulated");
    assert_string_equal(pw_kvm_name(PW_KVM_ABSENT), "absent");
    assert_string_equal(pw_kvm_name(PW_KVM_DENIED), "denied");
    assert_string_equal(pw_kvm_name(PW_KVM_BROKEN), "broken");
}

static void no_kvm(void **state)
{
    (void)state;
    struct pw_kvm_probe result = probe("/no/such/device");
    assert_int_equal(result.kvm, PW_KVM_ABSENT);
    assert_contains(result.reason, "No such file");
    assert_true(result.loop_ms < 0);
#ifdef __x86_64__
    result = probe("/dev/null");
    assert_int_equal(result.kvm, PW_KVM_BROKEN);
    assert_contains(result.reason, "not KVM");
    assert_int_equal(probe("/").kvm, PW_KVM_BROKEN); /* a folder */
#endif
}

static void denied(void **state)
{
    char *path = in_folder(state, "kvm");
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(pw_file_write(path, "", 0, 0000, NULL), 0);
    pid_t user = fork();
    if (user == 0) {
        enum { NOBODY = 65534 };
        if (geteuid() == 0 && setuid(NOBODY) != 0) {
            _exit(2);
        }
        struct pw_kvm_probe result = probe(path);
        _exit(result.kvm == PW_KVM_DENIED && strstr(result.reason, "Permission denied") ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(user, &status, 0), user);
    assert_int_equal(status, 0);
    free(path);
}

static unsigned count_fds(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Whatever this machine has: a verdict that fits its figure, soon, and nothing changed by it. */
static void this_machine(void **state)
{
    (void)state;
    sigset_t before, after, pending;
    const unsigned fds = count_fds();
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &before), 0);
    const int64_t began_ns = pw_clock_now_ns();
    struct pw_kvm_probe result = probe("/dev/kvm");
    const double took_ms = pw_ns_to_ms(pw_clock_now_ns() - began_ns);
    print_message("KVM here: %s, %s (%.1f ms)\n", pw_kvm_name(result.kvm), result.reason, took_ms);
    assert_true(took_ms < 5000); /* a machine in use may be late; a guest that hangs is for ever */
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigpending(&pending), 0);
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
        assert_int_not_equal(sigismember(&pending, sig), 1);
    }
    assert_int_equal(count_fds(), fds);
    if (result.kvm == PW_KVM_USABLE) {
        assert_true(result.loop_ms >= 0 && result.loop_ms < 2.0);
    } else if (result.kvm == PW_KVM_EMULATED) {
        assert_true(result.loop_ms < 0 || result.loop_ms >= 2.0);
    }
}

static void choice(void **state)
{
    (void)state;
    const struct pw_kvm_probe usable = {.kvm = PW_KVM_USABLE, .reason = "Well."};
    const struct pw_kvm_probe denied_probe = {.kvm = PW_KVM_DENIED, .reason = "Not for you."};
    const struct pw_kvm_probe emulated = {.kvm = PW_KVM_EMULATED, .reason = "Slow."};
    struct pw_accel_choice chosen = {.accel = PW_ACCEL_TCG};
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_accel_choose_probed("auto", &usable, &chosen, &err), 0);
    assert_int_equal(chosen.accel, PW_ACCEL_KVM);
    assert_string_equal(chosen.kvm.reason, "Well.");
    assert_int_equal(pw_accel_choose_probed("kvm", &usable, &chosen, &err), 0);
    assert_int_equal(chosen.accel, PW_ACCEL_KVM);
    assert_int_equal(pw_accel_choose_probed("tcg", &usable, &chosen, &err), 0);
    assert_int_equal(chosen.accel, PW_ACCEL_TCG);
    assert_int_equal(pw_accel_choose_probed("auto", &emulated, &chosen, &err), 0);
    assert_int_equal(chosen.accel, PW_ACCEL_TCG);
    assert_int_equal(chosen.kvm.kvm, PW_KVM_EMULATED);

    assert_int_equal(pw_accel_choose_probed("kvm", &emulated, &chosen, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "Slow.");
    assert_contains(err.remedy, "--accel tcg");
    assert_int_equal(pw_accel_choose_probed("kvm", &denied_probe, &chosen, &err), -1);
    assert_contains(err.remedy, "group kvm");
    assert_int_equal(pw_accel_choose_probed("KVM", &usable, &chosen, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_int_equal(pw_accel_choose("none", &chosen, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
}

static void constant_rate_is_told(void **state)
{
    (void)state;
    static const char begin[] = "processor\t: 0\nvendor_id\t: x constant_tsc\n";
    static const struct {
        const char *rest;
        bool is_constant;
    } cases[] = {
        {"flags\t\t: fpu constant_tsc sse\n", true},
        {"flags\t\t: fpu nonstop_tsc", true},
        {"flags\t\t: fpu constant_tsc\n", true},
        {"flags\t\t: fpu tsc sse\n", false},
        {"flags\t\t: fpu constant_tsc_x sse\n", false},
        {"flags\t\t: fpu\nbugs\t: constant_tsc\n", false},
        {"flags\t\t:", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s%s", begin, cases[i].rest);
        assert_int_equal(pw_tsc_is_constant(text), cases[i].is_constant);
    }
}

/* Twice the same; and what the kernel found, where it says so. */
static void rate_is_measured(void **state)
{
    (void)state;
#ifndef __x86_64__
    assert_int_equal(pw_tsc_measure_khz(), 0);
#else
    PW_FREE_AUTO char *cpuinfo = NULL;
    assert_int_equal(pw_file_read("/proc/cpuinfo", 16 << 20, &cpuinfo, NULL, NULL), 0);
    if (!pw_tsc_is_constant(cpuinfo)) {
        print_message("this machine's time stamp counter is not constant\n");
        skip();
    }
    const unsigned first = pw_tsc_measure_khz(), second = pw_tsc_measure_khz();
    print_message("time stamp counter: %u kHz, again: %u kHz\n", first, second);
    if (first == 0 || second == 0) {
        print_message("it was not measured evenly: the machine is too busy\n");
        skip();
    }
    assert_true(fabs((double)first - second) < 200e-6 * first);
    struct pw_accel_choice chosen = {.tsc_khz = 0};
    assert_int_equal(pw_accel_choose("auto", &chosen, NULL), 0);
    assert_true(chosen.tsc_khz == 0 || fabs((double)first - chosen.tsc_khz) < 200e-6 * first);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(no_kvm),
        cmocka_unit_test_setup_teardown(denied, make_folder, drop_folder),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(choice),
        cmocka_unit_test(constant_rate_is_told),
        cmocka_unit_test(rate_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
