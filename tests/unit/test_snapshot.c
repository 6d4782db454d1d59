/* wrapper/boot/snapshot.h with what it is made of, qmp.h and monitor.h. This program plays the
 * machine monitor as well: it starts itself, and PW_FAKE says how the monitor behaves. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/limits.h"
#include "wrapper/boot/monitor.h"
#include "wrapper/boot/qmp.h"
#include "wrapper/boot/snapshot.h"

enum { LONG_SEC = 60 };
#define SAVED "the state of a machine"
#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"

/* Playing the monitor */

static void say(int fd, const char *text)
{
    if (pw_fd_write_all(fd, text, strlen(text)) != 0) {
        _exit(1);
    }
}

/* One line of a command, and the descriptor that came with it. Ends with the conversation. */
static void hear(int fd, char *line, size_t capacity, int *passed_fd)
{
    size_t length = 0;
    for (;;) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        struct iovec byte = {.iov_base = line + length, .iov_len = 1};
        struct msghdr message = {.msg_iov = &byte,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        if (length + 1 >= capacity || recvmsg(fd, &message, 0) != 1) {
            _exit(0);
        }
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header) {
            memcpy(passed_fd, CMSG_DATA(header), sizeof(int));
        }
        if (line[length] == '\n') {
            line[length] = '\0';
            return;
        }
        length++;
    }
}

static bool is(const char *line, const char *command)
{
    char text[64];
    snprintf(text, sizeof(text), "\"execute\":\"%s\"", command);
    return strstr(line, text) != NULL;
}

/* Answers until the other end is closed. */
static void answer(int fd, const char *how)
{
    char line[4096], reply[512];
    int state_fd = -1, asked = 0;
    say(fd, strcmp(how, "no greeting") == 0 ? "{\"hello\": 1}\r\n" : GREETING);
    for (int id = 1;; id++) {
        const char *value = "{}";
        hear(fd, line, sizeof(line), &state_fd);
        if (is(line, "migrate") && strcmp(how, "dies") == 0) {
            raise(SIGKILL);
        }
        if (is(line, "migrate") && strcmp(how, "silent") == 0) {
            continue;
        }
        if (is(line, "migrate") && strcmp(how, "refuses") == 0) {
            say(fd, "{\"id\": 4, \"error\": {\"class\": \"GenericError\", \"desc\": \"not "
                    "today\"}}\r\n");
            continue;
        }
        if (is(line, "migrate") && strcmp(how, "rubbish") == 0) {
            say(fd, "rubbish\r\n");
        }
        if (is(line, "migrate") && strcmp(how, "wrong id") == 0) {
            id += 7;
        }
        if (is(line, "migrate")) {
            say(state_fd, SAVED);
            say(fd, "{\"event\": \"STOP\", \"data\": {}, \"timestamp\": {}}\r\n");
        }
        if (is(line, "query-migrate")) {
            value = strcmp(how, "fails") == 0
                        ? "{\"status\": \"failed\", \"error-desc\": \"no room\"}"
                    : asked++ < 2 || strcmp(how, "never done") == 0
                        ? "{\"status\": \"active\", \"ram\": {}}"
                        : "{\"status\": \"completed\"}";
        }
        snprintf(reply, sizeof(reply), "{\"return\": %s, \"id\": %d}\r\n", value, id);
        say(fd, reply);
    }
}

/* The monitor's main(). */
static int play(char **argv, const char *how)
{
    static const char key[] = "path=";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat job;
    for (; *argv; argv++) {
        const char *path = strstr(*argv, "socket,") ? strstr(*argv, key) : NULL;
        const char *file = strstr(*argv, ",file=");
        if (path) {
            snprintf(address.sun_path, sizeof(address.sun_path), "%s", path + strlen(key));
        }
        if (file && (stat(file + strlen(",file="), &job) != 0 || job.st_size != 5)) {
            say(STDERR_FILENO, "no job\n");
            return 1;
        }
    }
    if (strcmp(how, "no start") == 0) {
        say(STDERR_FILENO, "monitor: cannot\nstart\n");
        return 1;
    }
    if (strcmp(how, "fault") == 0) {
        say(3, "PW kernel uptime=0.5\nPW fault step=modules errno=2 text=none\n");
        pause();
    }
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 1) != 0) {
        return 1;
    }
    say(STDOUT_FILENO, "Linux version\r\n");
    say(3, "PW kernel uptime=0.5\n");
    if (strcmp(how, "hangs") == 0) {
        pause();
    }
    say(3, "PW ready uptime=0.6\n");
    answer(accept(listener, NULL, NULL), how);
    return 0;
}

/* The conversation alone */

/* A socket whose other end is answered as `how`. */
static int start_server(const char *how, pid_t *ret_pid)
{
    int both[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        close(both[0]);
        if (strcmp(how, "flood") == 0) {
            signal(SIGPIPE, SIG_DFL);
            for (;;) {
                say(both[1], "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
            }
        }
        answer(both[1], how);
    }
    close(both[1]);
    return both[0];
}

/* Returns what saving comes to, with what was saved. */
static int converse(const char *how, double limit_sec, struct pw_err *err, char saved[64])
{
    PW_QMP_AUTO qmp = PW_QMP_INIT;
    pid_t server;
    FILE *state = tmpfile();
    assert_non_null(state);
    int fd = start_server(how, &server);
    int status = pw_qmp_start(fd, pw_clock_now_ns() + pw_ms_to_ns(limit_sec * 1e3), &qmp, err);
    if (status == 0) {
        status = pw_qmp_save(&qmp, fileno(state), err);
    }
    pw_qmp_close(&qmp);
    assert_int_equal(waitpid(server, NULL, 0), server);
    rewind(state);
    saved[fread(saved, 1, 63, state)] = '\0';
    fclose(state);
    return status;
}

static void test_conversation(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char saved[64];
    (void)state;
    assert_int_equal(converse("well", LONG_SEC, &err, saved), 0);
    assert_string_equal(saved, SAVED);
}

static void test_bad_conversations(void **state)
{
    static const struct {
        const char *how, *part;
    } cases[] = {
        {"no greeting", "no greeting"},
        {"refuses", "refuses `migrate`: not today"},
        {"rubbish", "not an answer: `rubbish"},
        {"wrong id", "no answer to the command"},
        {"fails", "cannot be saved: failed: no room"},
        {"dies", "has ended"},
        {"flood", "too long an answer"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_err err = PW_ERR_INIT;
        char saved[64];
        assert_int_equal(converse(cases[i].how, LONG_SEC, &err, saved), -1);
        assert_int_equal(err.cls, PW_ERR_SYSTEM);
        assert_contains(err.message, cases[i].part);
    }
}

static void test_silent_monitor(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char saved[64];
    (void)state;
    assert_int_equal(converse("silent", 0.2, &err, saved), -1);
    assert_int_equal(err.sys, ETIMEDOUT);
    assert_contains(err.message, "in time");
}

/* The monitor answers at once, again and again, so that there is always something to read. */
static void test_interrupted_while_saving(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char saved[64];
    sigset_t blocked, before;
    int sig = 0;
    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
    PW_QMP_AUTO qmp = PW_QMP_INIT;
    pid_t server;
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = start_server("never done", &server);
    assert_int_equal(pw_qmp_start(fd, pw_clock_now_ns() + LONG_SEC * PW_NS_PER_SEC, &qmp, &err), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(pw_qmp_save(&qmp, fileno(file), &err), -1);
    assert_int_equal(err.sys, EINTR);
    assert_int_equal(sigwait(&blocked, &sig), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    pw_qmp_close(&qmp);
    assert_int_equal(waitpid(server, NULL, 0), server);
    fclose(file);
    assert_int_equal(converse("never done", 0.2, &err, saved), -1);
    assert_int_equal(err.sys, ETIMEDOUT);
}

static void test_no_socket(void **state)
{
    struct pw_qmp qmp = PW_QMP_INIT;
    struct pw_err err = PW_ERR_INIT;
    char path[200];
    char *missing = in_folder(state, "socket");
    assert_int_equal(pw_qmp_open(missing, INT64_MAX, &qmp, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(pw_qmp_open(path, INT64_MAX, &qmp, &err), -1);
    assert_contains(err.message, "too long");
    assert_int_equal(qmp.fd, -1);
    free(missing);
}

/* With a monitor */

struct world {
    struct pw_state state;
    struct pw_guest_kernel kernel;
    struct pw_machine machine;
    char *initrd, *state_path;
    char own_path[4096];
};

static void make_world(void **state, struct world *world)
{
    ssize_t length = readlink("/proc/self/exe", world->own_path, sizeof(world->own_path) - 1);
    assert_true(length > 0);
    world->own_path[length] = '\0';
    world->state_path = in_folder(state, "state");
    world->initrd = in_folder(state, "initrd");
    assert_int_equal(pw_file_write(world->initrd, "first", 5, 0600, NULL), 0);
    assert_int_equal(pw_state_open(world->state_path, &world->state, NULL), 0);
    world->kernel = (struct pw_guest_kernel){.image = world->initrd, .digest = "0123"};
    world->machine = (struct pw_machine){
        .size = pw_machine_size_find("tiny"),
        .accel = {.accel = PW_ACCEL_TCG, .tsc_khz = 2600100},
        .kernel = &world->kernel,
        .initrd = world->initrd,
        .monitor = world->own_path,
    };
}

static void drop_world(struct world *world)
{
    pw_state_close(&world->state);
    free(world->initrd);
    free(world->state_path);
}

static int prepare(struct world *world, const char *how, double timeout_sec,
                   struct pw_snapshot *snapshot, struct pw_err *err)
{
    setenv("PW_FAKE", how, 1);
    int status = pw_snapshot_prepare(&world->state, &world->machine, "version 1", timeout_sec,
                                     snapshot, err);
    unsetenv("PW_FAKE");
    /* No child is left, dead or alive. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return status;
}

static void assert_entry_holds_state_only(const char *state_file)
{
    PW_STR_AUTO folder = PW_STR_INIT;
    pw_str_add_bytes(&folder, state_file, (size_t)(strrchr(state_file, '/') - state_file));
    DIR *entries = opendir(folder.text);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] != '.') {
            assert_string_equal(entry->d_name, "state");
        }
    }
    closedir(entries);
}

static void test_snapshot(void **state)
{
    struct world world = {0};
    struct pw_snapshot first = {0}, again = {0}, other = {0};
    struct pw_err err = PW_ERR_INIT;
    char *text = NULL;
    make_world(state, &world);
    if (prepare(&world, "well", LONG_SEC, &first, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_true(first.made);
    assert_int_equal(first.bytes, strlen(SAVED));
    assert_true(first.prepare_ns > 0);
    assert_int_equal(pw_file_read(first.state_file, 1000, &text, NULL, NULL), 0);
    assert_entry_holds_state_only(first.state_file);
    assert_string_equal(text, SAVED);
    /* It is there: no monitor is started. The TSC's rate, measured again, is a little another. */
    world.machine.accel.tsc_khz = 2600090;
    assert_int_equal(prepare(&world, "no start", LONG_SEC, &again, &err), 0);
    assert_false(again.made);
    assert_string_equal(again.state_file, first.state_file);
    /* What the state depends on. */
    world.machine.size = pw_machine_size_find("small");
    assert_int_equal(prepare(&world, "well", LONG_SEC, &other, &err), 0);
    assert_true(other.made);
    assert_string_not_equal(other.state_file, first.state_file);
    pw_snapshot_done(&other);
    world.machine.size = pw_machine_size_find("tiny");
    assert_int_equal(pw_file_write(world.initrd, "second", 6, 0600, NULL), 0);
    assert_int_equal(prepare(&world, "well", LONG_SEC, &other, &err), 0);
    assert_true(other.made);
    free(text);
    pw_snapshot_done(&first);
    pw_snapshot_done(&again);
    pw_snapshot_done(&other);
    drop_world(&world);
}

static void test_bad_monitors(void **state)
{
    static const struct {
        const char *how;
        double timeout_sec;
        const char *part;
    } cases[] = {
        {"no start", LONG_SEC,
         "ended before it came to `ready`; it said last: monitor: cannot "
         "| start"},
        {"fault", LONG_SEC, "PW fault step=modules errno=2 text=none"},
        {"hangs", 0.5, "in time; it said last: Linux version"},
        {"dies", LONG_SEC, "has ended"},
        {"fails", LONG_SEC, "no room"},
    };
    struct world world = {0};
    make_world(state, &world);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_snapshot snapshot = {0};
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(prepare(&world, cases[i].how, cases[i].timeout_sec, &snapshot, &err), -1);
        assert_int_equal(err.cls, PW_ERR_SYSTEM);
        assert_contains(err.message, cases[i].part);
        assert_null(strchr(err.message, '\n'));
        assert_null(snapshot.state_file);
    }
    drop_world(&world);
}

static void test_missing_monitor(void **state)
{
    struct world world = {0};
    struct pw_snapshot snapshot = {0};
    struct pw_err err = PW_ERR_INIT;
    make_world(state, &world);
    world.machine.monitor = "/nonexistent/monitor";
    assert_int_equal(prepare(&world, "", LONG_SEC, &snapshot, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.message, "/nonexistent/monitor");
    drop_world(&world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_bad_conversations),
        cmocka_unit_test(test_silent_monitor),
        cmocka_unit_test(test_interrupted_while_saving),
        cmocka_unit_test_setup_teardown(test_no_socket, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_snapshot, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_bad_monitors, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_missing_monitor, make_folder, drop_folder),
    };
    const char *how = getenv("PW_FAKE");
    if (how && argc > 1) {
        return play(argv, how);
    }
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
