/* wrapper/boot/verdict: what became of a boot. */
#include "tests/unit/unit.h"

#include "core/str.h"
#include "wrapper/boot/verdict.h"

static const char panic[] =
    "[    0.9] /dev/root: Can't open blockdev\r\n"
    "[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
    "[    0.9] CPU: 0 PID: 1\r\n\r\n[    0.9] \033[1mCall\033[0m Trace:\t<TASK>\xff\r\n";

static const struct pw_moment_names names = {.count = 4,
                                             .names = {"vmm_start", "kernel", "rootfs", "exec"}};
static struct pw_moments moments;
static struct pw_boot_end end;
static struct pw_boot_judgement judgement;

static int begin(void **state)
{
    (void)state;
    pw_moments_init(&moments);
    end = (struct pw_boot_end){.names = &names, .moments = &moments};
    return 0;
}

static void judge(enum pw_boot_verdict expected)
{
    memset(&judgement, 0xa5, sizeof(judgement));
    pw_boot_judge(&end, &judgement);
    assert_string_equal(pw_boot_verdict_name(judgement.verdict), pw_boot_verdict_name(expected));
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < PW_BOOT_COUNT; i++) {
        assert_non_null(pw_boot_verdict_name(i));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(pw_boot_verdict_name(i), pw_boot_verdict_name(j));
        }
    }
    assert_string_equal(pw_boot_verdict_name(PW_BOOT_COMMAND_FAILED), "guest_command_failed");
}

static void test_ok(void **state)
{
    (void)state;
    end.end = PW_END_UNTIL; /* perfwrap ends the monitor at the mark */
    end.told = "PW kernel uptime=0.500\nPW exec code=0 signal=0 uptime=1.000\n";
    judge(PW_BOOT_OK);
    assert_int_equal(judgement.return_code, 0);
    assert_int_equal(judgement.signal, 0);
    assert_string_equal(judgement.detail, "");
    end.end = PW_END_EXITED; /* it was faster */
    end.return_code = 85;
    judge(PW_BOOT_OK);
    assert_int_equal(judgement.return_code, 0);
}

static void test_codes(void **state)
{
    static const struct {
        const char *keys;
        int code, signal;
    } cases[] = {{"code=1 signal=0", 1, 0},
                 {"code=7 signal=0", 7, 0},
                 {"code=126 signal=0", 126, 0},
                 {"code=128 signal=0 uptime=1.2", 128, 0},
                 {"code=255 signal=0", 255, 0},
                 {"code=0 signal=9", 137, 9},
                 {"uptime=1.0 signal=15 code=0", 143, 15},
                 {"code=0 signal=64 x=y", 192, 64}};
    (void)state;
    end.end = PW_END_UNTIL;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        PW_STR_AUTO told = PW_STR_INIT;
        pw_str_addf(&told, "PW exec %s\r\n", cases[i].keys);
        end.told = told.text;
        judge(PW_BOOT_COMMAND_FAILED);
        assert_int_equal(judgement.return_code, cases[i].code);
        assert_int_equal(judgement.signal, cases[i].signal);
        assert_true(judgement.detail[0] != '\0');
    }
}

/* What is not exactly an answer is none. */
static void test_no_answers(void **state)
{
    static const char *const cases[] = {
        "PW exec code=0 signal=0", /* incomplete */
        "PW exec code=0\n",        /* half */
        "PW exec signal=0\n",
        "PW exec\n",
        "PW exec code= signal=0\n",
        "PW exec code=256 signal=0\n",
        "PW exec code=0 signal=65\n",
        "PW exec code=-1 signal=0\n",
        "PW exec code=0x0 signal=0\n",
        "PW exec code=00000000000 signal=0\n",
        "PW exec xcode=0 signal=0\n",
        "PW execute code=0 signal=0\n",
        "x PW exec code=0 signal=0\n", /* within a line */
        " PW exec code=0 signal=0\n",
        "PW  exec code=0 signal=0\n",
        "PWexec code=0 signal=0\n",
        "PW exec code=0 signal=0\001\n",
        "\n",
        "",
    };
    (void)state;
    end.end = PW_END_MISSED;
    end.return_code = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        end.told = cases[i];
        judge(PW_BOOT_PANIC);
        assert_int_equal(judgement.return_code, 1);
    }
}

static void test_console(void **state)
{
    (void)state;
    end.end = PW_END_UNTIL;
    end.console = "PW kernel uptime=1\r\nPW exec code=3 signal=0\r\nhello\r\n"
                  "PW exec code=4 signal=0\r\n\r\n";
    judge(PW_BOOT_COMMAND_FAILED); /* a monitor without ports; the last one counts */
    assert_int_equal(judgement.return_code, 4);
    end.told = "PW kernel uptime=1\nPW exec code=0 signal=0\n";
    judge(PW_BOOT_OK);
    end.told = "PW kernel uptime=1\n"; /* the guest has the port: this is its command's output */
    end.end = PW_END_MISSED;
    end.return_code = 1;
    judge(PW_BOOT_PANIC);
    assert_contains(judgement.detail, "without an answer");
}

static void test_fault(void **state)
{
    (void)state;
    end.end = PW_END_MISSED;
    end.return_code = 85;
    end.told =
        "PW kernel uptime=1\nPW fault uptime=1.2 step=rootfs errno=2 text=mount /dev/vda: none\n";
    judge(PW_BOOT_FAULT);
    assert_int_equal(judgement.return_code, 1);
    assert_contains(judgement.detail,
                    "could not go on: step=rootfs errno=2 text=mount /dev/vda: none");
}

static void test_panic(void **state)
{
    (void)state;
    end.end = PW_END_MISSED; /* QEMU ends with 0, which is recorded as 1 */
    end.return_code = 1;
    end.console = panic;
    end.errors = "qemu: warning: something\n";
    judge(PW_BOOT_PANIC);
    assert_int_equal(judgement.return_code, 1);
    assert_string_equal(judgement.detail,
                        "Kernel panic - not syncing: VFS: Unable to mount root fs\n"
                        "[    0.9] /dev/root: Can't open blockdev\n"
                        "[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs\n"
                        "[    0.9] CPU: 0 PID: 1\n[    0.9] [1mCall[0m Trace: <TASK>?");
    end.end = PW_END_TIMEOUT; /* it panicked and hangs */
    end.return_code = 124;
    judge(PW_BOOT_PANIC);
    end.end = PW_END_EXITED;
    end.return_code = 0;
    end.console = "bye\n";
    judge(PW_BOOT_PANIC);
    assert_int_equal(judgement.return_code, 1); /* it is no success */
    assert_contains(judgement.detail, "bye");
    end.console = NULL;
    judge(PW_BOOT_PANIC);
    assert_contains(judgement.detail, "nothing was on its console");
}

static void test_last_lines(void **state)
{
    PW_STR_AUTO console = PW_STR_INIT;
    (void)state;
    for (int i = 1; i <= 100; i++) {
        pw_str_addf(&console, "line %d\n", i);
    }
    end.end = PW_END_EXITED;
    end.console = console.text;
    judge(PW_BOOT_PANIC);
    assert_contains(judgement.detail, "\nline 81\n");
    assert_contains(judgement.detail, "\nline 100");
    assert_null(strstr(judgement.detail, "line 80"));
    pw_str_clear(&console);
    for (int i = 0; i < 100; i++) { /* too long for all */
        pw_str_addf(&console, "%d%0500d\n", i, i);
    }
    end.console = console.text;
    judge(PW_BOOT_PANIC);
    assert_true(strlen(judgement.detail) < sizeof(judgement.detail));
    assert_contains(judgement.detail, "\n990000");
}

static void test_monitor(void **state)
{
    (void)state;
    end.end = PW_END_MISSED;
    end.return_code = 1;
    end.errors = "qemu-system-x86_64: could not load kernel\n";
    judge(PW_BOOT_MONITOR_ERROR);
    assert_int_equal(judgement.return_code, 1);
    assert_contains(judgement.detail, "could not load kernel");
    end.return_code = 2;
    end.console = "something\n";
    judge(PW_BOOT_MONITOR_ERROR);
    assert_int_equal(judgement.return_code, 2);
    end.errors = "KVM internal error. Suberror: 1\nemulation failure\n";
    end.end = PW_END_TIMEOUT;
    end.return_code = 124;
    judge(PW_BOOT_MONITOR_ERROR);
    assert_contains(judgement.detail, "KVM");
    end.end = PW_END_LOST;
    end.errors = NULL;
    end.return_code = 0;
    judge(PW_BOOT_MONITOR_ERROR);
    assert_int_equal(judgement.return_code, 1);
}

static void test_crashed(void **state)
{
    (void)state;
    end.signal = 11;
    end.return_code = 139;
    end.errors = "oops\n";
    end.end = PW_END_SIGNALED;
    judge(PW_BOOT_MONITOR_CRASHED);
    assert_int_equal(judgement.return_code, 139);
    assert_int_equal(judgement.signal, 11);
    assert_string_equal(judgement.detail, "signal 11 ended the monitor\noops");
    end.end = PW_END_MISSED;
    judge(PW_BOOT_MONITOR_CRASHED);
    end.told = "PW exec code=0 signal=0\n"; /* after the answer it may do what it likes */
    judge(PW_BOOT_OK);
}

static void test_timeout(void **state)
{
    (void)state;
    end.end = PW_END_TIMEOUT;
    end.return_code = 124;
    judge(PW_BOOT_TIMEOUT);
    assert_int_equal(judgement.return_code, 124);
    assert_string_equal(judgement.detail, "no answer in time; no phase was reached");
    end.errors = "waiting for a lock\n";
    judge(PW_BOOT_TIMEOUT);
    assert_contains(judgement.detail, "waiting for a lock");
    moments.at_ns[0] = 5;
    moments.at_ns[2] = 90;
    moments.at_ns[1] = 90;
    end.console = "still here\n";
    judge(PW_BOOT_TIMEOUT);
    assert_string_equal(judgement.detail,
                        "no answer in time; the last phase reached: rootfs\nstill here");
    end.names = NULL; /* nobody watched: the marks themselves say it */
    end.told = "PW kernel uptime=1\nPW modules uptime=2\n";
    judge(PW_BOOT_TIMEOUT);
    assert_contains(judgement.detail, "reached: modules");
    end.told = "PW exec code=0 signal=0\n"; /* too late */
    judge(PW_BOOT_TIMEOUT);
}

static void test_interrupted(void **state)
{
    (void)state;
    end.end = PW_END_INTERRUPTED;
    end.return_code = 143;
    end.signal = 15;
    judge(PW_BOOT_INTERRUPTED);
    assert_int_equal(judgement.return_code, 143);
    assert_int_equal(judgement.signal, 15);
}

/* Unknown is not success. */
static void test_unreadable(void **state)
{
    (void)state;
    end.end = PW_END_UNTIL;
    end.told = "PW exec code=none\n";
    judge(PW_BOOT_FAULT);
    assert_int_equal(judgement.return_code, 1);
    static const struct pw_moment_names others = {.count = 1, .names = {"network"}};
    end.names = &others; /* --until network */
    end.told = "PW network uptime=1\n";
    judge(PW_BOOT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_names, begin),
        cmocka_unit_test_setup(test_ok, begin),
        cmocka_unit_test_setup(test_codes, begin),
        cmocka_unit_test_setup(test_no_answers, begin),
        cmocka_unit_test_setup(test_console, begin),
        cmocka_unit_test_setup(test_fault, begin),
        cmocka_unit_test_setup(test_panic, begin),
        cmocka_unit_test_setup(test_last_lines, begin),
        cmocka_unit_test_setup(test_monitor, begin),
        cmocka_unit_test_setup(test_crashed, begin),
        cmocka_unit_test_setup(test_timeout, begin),
        cmocka_unit_test_setup(test_interrupted, begin),
        cmocka_unit_test_setup(test_unreadable, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
