/* wrapper/boot/machines: machines that were left running, with processes of this test as monitors.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/json.h"
#include "core/str.h"
#include "wrapper/boot/base/process.h"
#include "wrapper/boot/machines.h"

static struct pw_state kept_state;
static struct pw_err err;

static int begin(void **state)
{
    err = PW_ERR_INIT;
    int failed = make_folder(state);
    kept_state.path = *state;
    return failed;
}

/* A monitor, and its parent, the keeper, which ends with it. */
struct machine {
    pid_t monitor, keeper;
};

static void be_monitor(bool ignores_term, int ready_fd)
{
    pid_t pid = getpid();
    signal(SIGTERM, ignores_term ? SIG_IGN : SIG_DFL);
    alarm(60); /* whatever becomes of the test */
    if (write(ready_fd, &pid, sizeof(pid)) != sizeof(pid)) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

static struct machine start(bool ignores_term)
{
    int fds[2];
    struct machine machine;
    assert_int_equal(pipe(fds), 0);
    machine.keeper = fork();
    assert_true(machine.keeper >= 0);
    if (machine.keeper == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            be_monitor(ignores_term, fds[1]);
        }
        waitpid(pid, NULL, 0);
        _exit(0);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &machine.monitor, sizeof(pid_t)), sizeof(pid_t));
    close(fds[0]);
    return machine;
}

/* Until it has ended, as a keeper that ended is reaped by its own parent. */
static void reap(const struct machine *machine)
{
    kill(machine->monitor, SIGKILL);
    assert_int_equal(waitpid(machine->keeper, NULL, 0), machine->keeper);
}

static int keep(const char *name, const struct machine *machine)
{
    struct pw_kept kept = {.name = (char *)name,
                           .monitor = machine->monitor,
                           .keeper = machine->keeper,
                           .memory_mib = 256,
                           .machine = json_pack("{s:s}", "accel", "tcg"),
                           .started_at = (char *)"2026-11-21T08:30:02.123456+00:00"};
    int failed = pw_kept_write(&kept_state, &kept, &err);
    json_decref(kept.machine);
    return failed;
}

static bool note_exists(const char *name)
{
    PW_STR_AUTO path = PW_STR_INIT;
    pw_str_addf(&path, "%s/machines/%s.json", kept_state.path, name);
    return access(path.text, F_OK) == 0;
}

static void write_note(const char *name, const char *text)
{
    PW_STR_AUTO path = PW_STR_INIT;
    pw_str_addf(&path, "%s/machines/%s", kept_state.path, name);
    assert_int_equal(pw_file_write(path.text, text, strlen(text), 0600, &err), 0);
}

static void test_names(void **state)
{
    static const char *const refused[] = {
        "",    ".",
        "..",  "../x",
        "a/b", "/a",
        ".a",  "-a",
        "_a",  "a b",
        "a\n", "\xc3\xa4",
        "a%",  "a2345678901234567890123456789012345678901234567890123456789012345" /* 65 bytes */};
    static const char *const taken[] = {
        "a", "0", "A.b-c_d", "a..",
        "a234567890123456789012345678901234567890123456789012345678901234" /* 64 */};
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_int_equal(pw_kept_check_name(refused[i], &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_int_equal(pw_kept_claim(&kept_state, refused[i], &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_int_equal(pw_kept_stop(&kept_state, refused[i], &err), -1);
        pw_kept_disclaim(&kept_state, refused[i]);
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
        assert_int_equal(pw_kept_check_name(taken[i], &err), 0);
        assert_int_equal(pw_kept_claim(&kept_state, taken[i], &err), 0);
        assert_true(note_exists(taken[i]));
    }
}

static void test_claim(void **state)
{
    struct pw_kept kept = {0};
    struct pw_kept *all = NULL;
    size_t count = 99;
    (void)state;
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), 0);
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, EEXIST);
    assert_contains(err.message, "is being started");
    assert_int_equal(pw_kept_find(&kept_state, "a", &kept, &err), -1); /* none runs yet */
    assert_int_equal(err.sys, ESRCH);
    assert_int_equal(pw_kept_list(&kept_state, &all, &count, &err), 0);
    assert_int_equal(count, 0);
    free(all);
    pw_kept_disclaim(&kept_state, "a");
    assert_false(note_exists("a"));
    pw_kept_disclaim(&kept_state, "a");
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), 0);
}

/* Who claimed it has died. */
static void test_stale_claim(void **state)
{
    int status = 1;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        _exit(pw_kept_claim(&kept_state, "a", NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(note_exists("a"));
    pw_kept_disclaim(&kept_state, "a"); /* not ours */
    assert_true(note_exists("a"));
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), 0);
}

static void test_keep_and_stop(void **state)
{
    struct pw_kept kept = {0};
    (void)state;
    struct machine machine = start(false);
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), 0);
    assert_int_equal(keep("a", &machine), 0);
    pw_kept_disclaim(&kept_state, "a"); /* it is no claim any more */
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), -1);
    assert_int_equal(err.sys, EEXIST);
    assert_contains(err.message, "runs");
    assert_int_equal(pw_kept_find(&kept_state, "a", &kept, &err), 0);
    assert_string_equal(kept.name, "a");
    assert_int_equal(kept.monitor, machine.monitor);
    assert_int_equal(kept.keeper, machine.keeper);
    assert_int_equal(kept.memory_mib, 256);
    assert_string_equal(json_string_value(json_object_get(kept.machine, "accel")), "tcg");
    assert_string_equal(kept.started_at, "2026-11-21T08:30:02.123456+00:00");
    pw_kept_done(&kept);
    assert_int_equal(pw_kept_stop(&kept_state, "a", &err), 0);
    assert_int_equal(kill(machine.monitor, 0), -1);
    assert_false(note_exists("a"));
    assert_int_equal(pw_kept_stop(&kept_state, "a", &err), -1);
    assert_int_equal(err.sys, ESRCH);
    assert_int_equal(waitpid(machine.keeper, NULL, 0), machine.keeper);
}

static void test_stop_stubborn(void **state)
{
    (void)state;
    struct machine machine = start(true);
    assert_int_equal(keep("a", &machine), 0);
    assert_int_equal(pw_kept_stop(&kept_state, "a", &err), 0);
    assert_int_equal(kill(machine.monitor, 0), -1);
    assert_int_equal(waitpid(machine.keeper, NULL, 0), machine.keeper);
}

static void test_gone(void **state)
{
    struct pw_kept kept = {0};
    (void)state;
    struct machine machine = start(false);
    assert_int_equal(keep("a", &machine), 0);
    reap(&machine);
    assert_true(note_exists("a"));
    assert_int_equal(pw_kept_find(&kept_state, "a", &kept, &err), -1);
    assert_int_equal(err.sys, ESRCH);
    assert_false(note_exists("a"));
    assert_int_equal(keep("a", &machine), -1);
    assert_int_equal(err.sys, ESRCH);
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), 0);
}

/* The pid lives, but is another process: it is neither found nor ended. */
static void test_other_process(void **state)
{
    static const struct {
        long long ticks;
        bool other_boot;
    } cases[] = {{-1, false}, {0, true}};
    struct pw_process self;
    struct pw_kept kept = {0};
    (void)state;
    assert_int_equal(pw_process_find(getpid(), &self, &err), 0);
    assert_true(pw_process_runs(&self));
    assert_int_equal(pw_kept_claim(&kept_state, "x", &err), 0); /* makes the folder */
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        long long ticks = (long long)self.start_ticks + cases[i].ticks;
        pw_str_addf(&text,
                    "{\"name\":\"a\",\"boot_id\":\"%s\",\"monitor\":{\"pid\":%d,\"start_ticks\":"
                    "%lld},\"keeper\":{\"pid\":%d,\"start_ticks\":%lld},\"memory_mib\":1,"
                    "\"machine\":{},\"started_at\":\"x\"}",
                    cases[i].other_boot ? "of-another-boot" : self.boot_id, (int)getpid(), ticks,
                    (int)getpid(), ticks);
        write_note("a.json", text.text);
        assert_int_equal(pw_kept_find(&kept_state, "a", &kept, &err), -1);
        assert_int_equal(err.sys, ESRCH);
        assert_false(note_exists("a"));
        write_note("a.json", text.text);
        assert_int_equal(pw_kept_stop(&kept_state, "a", &err), -1);
    }
}

static void test_damaged(void **state)
{
    static const char long_id[] = "{\"name\":\"a\",\"claimed_by\":{\"pid\":1,\"start_ticks\":1},"
                                  "\"boot_id\":\"0123456789012345678901234567890123456\"}";
    static const char *const cases[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"name\":\"a\",\"name\":\"a\"}",
        "{\"name\":\"a\",\"boot_id\":\"b\",\"claimed_by\":{\"pid\":-1,\"start_ticks\":1}}",
        "{\"name\":\"a\",\"boot_id\":\"b\",\"claimed_by\":{\"pid\":0,\"start_ticks\":1}}",
        "{\"name\":\"a\",\"boot_id\":\"b\",\"claimed_by\":{\"pid\":4294967297,\"start_ticks\":1}}",
        long_id,
        "{\"name\":\"a\",\"boot_id\":\"b\",\"monitor\":{\"pid\":1},\"memory_mib\":1}"};
    struct pw_kept kept = {0};
    struct pw_kept *all = NULL;
    size_t count = 0;
    (void)state;
    assert_int_equal(pw_kept_claim(&kept_state, "x", &err), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        write_note("a.json", cases[i]);
        assert_int_equal(pw_kept_find(&kept_state, "a", &kept, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, "does not describe a machine");
        assert_contains(err.remedy, "remove");
        assert_int_equal(pw_kept_claim(&kept_state, "a", &err), -1);
        assert_int_equal(pw_kept_stop(&kept_state, "a", &err), -1);
        assert_int_equal(pw_kept_list(&kept_state, &all, &count, &err), -1);
        assert_true(note_exists("a")); /* for a human to look at */
    }
}

static void test_list(void **state)
{
    struct pw_kept *all = NULL;
    size_t count = 0;
    (void)state;
    struct machine machines[3] = {start(false), start(false), start(false)};
    assert_int_equal(keep("b", &machines[0]), 0);
    assert_int_equal(keep("a", &machines[1]), 0);
    assert_int_equal(keep("c", &machines[2]), 0);
    assert_int_equal(pw_kept_claim(&kept_state, "d", &err), 0);
    write_note("..json", "none of ours");
    write_note("a.json.12-0.tmp", "left behind by a crash");
    reap(&machines[2]);
    assert_int_equal(pw_kept_list(&kept_state, &all, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(all[0].name, "a");
    assert_int_equal(all[0].monitor, machines[1].monitor);
    assert_string_equal(all[1].name, "b");
    assert_false(note_exists("c"));
    PW_STR_AUTO aside = PW_STR_INIT;
    pw_str_addf(&aside, "%s/machines/a.json.12-0.tmp", kept_state.path);
    assert_int_equal(access(aside.text, F_OK), -1);
    for (size_t i = 0; i < count; i++) {
        pw_kept_done(&all[i]);
    }
    free(all);
    reap(&machines[0]);
    reap(&machines[1]);
}

static void test_taken_by_other(void **state)
{
    (void)state;
    struct machine one = start(false);
    struct machine other = start(false);
    assert_int_equal(keep("a", &one), 0);
    assert_int_equal(keep("a", &one), 0); /* its own may be written again */
    assert_int_equal(keep("a", &other), -1);
    assert_int_equal(err.sys, EEXIST);
    reap(&one);
    reap(&other);
}

/* Of many that want one name at a time exactly one gets it. */
static void test_race(void **state)
{
    enum { RUNNERS = 12 };
    pid_t runners[RUNNERS];
    int gate[2];
    int won[2];
    char winners[RUNNERS + 1];
    (void)state;
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(pipe(won), 0);
    for (int i = 0; i < RUNNERS; i++) {
        runners[i] = fork();
        if (runners[i] == 0) {
            char byte = 0;
            close(gate[1]);
            (void)!read(gate[0], &byte, 1); /* all at once */
            if (pw_kept_claim(&kept_state, "a", NULL) == 0) {
                (void)!write(won[1], "w", 1);
            }
            close(won[1]);
            for (;;) { /* a claim counts while its maker lives */
                pause();
            }
        }
    }
    close(gate[1]);
    close(gate[0]);
    close(won[1]);
    size_t count = 0;
    for (ssize_t got = 1; got > 0; count += got > 0 ? (size_t)got : 0) {
        got = read(won[0], winners + count, sizeof(winners) - count);
    }
    close(won[0]);
    assert_int_equal(count, 1);
    for (int i = 0; i < RUNNERS; i++) {
        kill(runners[i], SIGKILL);
        waitpid(runners[i], NULL, 0);
    }
}

static void test_folder_refused(void **state)
{
    PW_FREE_AUTO char *file = in_folder(state, "machines");
    assert_int_equal(pw_file_write(file, "x", 1, 0600, &err), 0);
    assert_int_equal(pw_kept_claim(&kept_state, "a", &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.message, "machines");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_claim, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_stale_claim, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_keep_and_stop, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_stop_stubborn, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_gone, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_other_process, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_damaged, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_list, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_taken_by_other, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_race, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_folder_refused, begin, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
