/* Control groups as the kernel has them, where this machine lets us make some. */
#include "wrapper/probe/cgroup.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/probe/cgroup_impl.h"
#include "wrapper/probe/cgroup_layout.h"

enum { MIB = 1 << 20, TARGET_MIB = 64, WAIT_MS = 5000, BURNT_NS = 200000000 };

/* What a child tells: it lives in memory that all share. */
struct shared {
    pid_t daemon;
    int is_ready;
    int64_t used_ns; /* CPU time of the child itself */
};

static struct shared *share(void)
{
    void *shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    return shared;
}

/* A played warden: waits until told, works, and then waits to be ended. */
struct played {
    pid_t pid;
    int order_fd, done_fd;
};

static struct played start_warden(void (*work)(struct shared *), struct shared *shared)
{
    int order[2], done[2];
    char byte;

    assert_int_equal(pipe2(order, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(order[1]);
        if (read(order[0], &byte, 1) != 1)
            _exit(1);
        work(shared);
        (void)!write(done[1], "x", 1);
        (void)!read(order[0], &byte, 1);
        _exit(0);
    }
    close(order[0]);
    close(done[1]);
    return (struct played){.pid = pid, .order_fd = order[1], .done_fd = done[0]};
}

static void let_work(const struct played *warden)
{
    char byte;
    assert_int_equal(write(warden->order_fd, "x", 1), 1);
    assert_int_equal(read(warden->done_fd, &byte, 1), 1);
}

static void end_warden(struct played *warden)
{
    close(warden->order_fd);
    close(warden->done_fd);
    /* Others have the pipe, too: they were made later. */
    assert_int_equal(kill(warden->pid, SIGKILL), 0);
    assert_int_equal(waitpid(warden->pid, NULL, 0), warden->pid);
}

static struct pw_cgroups *open_or_skip(void)
{
    struct pw_cgroups_setup setup = PW_CGROUPS_SETUP_INIT;
    struct pw_cgroups *cgroups = NULL;
    struct pw_err err = PW_ERR_INIT;

    if (pw_cgroups_open(&setup, &cgroups, &err) != 0) {
        assert_int_equal(err.cls, PW_ERR_SYSTEM);
        assert_true(err.remedy[0] != '\0');
        print_message("[  SKIP  ] %s; %s\n", err.message, err.remedy);
        skip();
    }
    return cgroups;
}

static void enter(struct pw_cgroups *cgroups, unsigned worker, pid_t pid)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_cgroup_enter(cgroups, worker, pid, &err) != 0)
        fail_msg("%s", err.message);
}

static bool is_member(const struct pw_cgroups *cgroups, unsigned worker, pid_t pid)
{
    PW_FREE_AUTO pid_t *pids = NULL;
    size_t count = 0;
    bool is_found = false;

    assert_int_equal(pw_cgroup_members(cgroups, worker, &pids, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        is_found = is_found || pids[i] == pid;
    return is_found;
}

/* Valgrind 3.19 does not know pidfd_open(2). */
static void need_pidfds(void)
{
    PW_FD_AUTO fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd < 0) {
        print_message("[  SKIP  ] pidfd_open: %s\n", strerror(errno));
        skip();
    }
}

static int open_pid(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

static bool has_ended(int pid_fd, int wait_ms)
{
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    return poll(&poll_fd, 1, wait_ms) == 1;
}

/* Where this process was at first: open() may move it. */
static struct pw_cgroup_layout *own_layout;

static int find_own(void **state)
{
    (void)state;
    (void)pw_cgroup_layout_read("/proc", &own_layout, NULL);
    return 0;
}

static int forget_own(void **state)
{
    (void)state;
    free(own_layout);
    return 0;
}

/* The name of the folder in whose leaf a process is, and whether it stands in our own group. */
static void home_of(pid_t pid, char name[PW_CGROUP_NAME_MAX])
{
    char path[64];
    PW_FREE_AUTO char *text = NULL;

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    assert_int_equal(pw_file_read(path, 1 << 16, &text, NULL, NULL), 0);
    const char *at = strstr(text, "/perfwrap-");
    assert_non_null(at);
    snprintf(name, PW_CGROUP_NAME_MAX, "%.*s", (int)strcspn(at + 1, "/\n"), at + 1);
}

static bool stands(const char *name)
{
    const struct pw_cgroup_layout *layout = own_layout;
    bool is_found = false;
    char path[PATH_MAX + PW_CGROUP_NAME_MAX];

    assert_non_null(layout);
    for (size_t i = 0; i < layout->count; i++) {
        snprintf(path, sizeof path, "%s/%s", layout->places[i].folder, name);
        is_found = is_found || (layout->places[i].folder[0] != '\0' && access(path, F_OK) == 0);
    }
    return is_found;
}

static void touch_memory(struct shared *shared)
{
    (void)shared;
    void *memory = mmap(NULL, (size_t)TARGET_MIB * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory != MAP_FAILED)
        munmap(memory, (size_t)TARGET_MIB * MIB);
}

static void test_memory_peak(void **state)
{
    (void)state;
    struct pw_cgroups *cgroups = open_or_skip();
    struct pw_cgroup_powers powers;
    struct pw_cgroup_sums sums;
    char home[PW_CGROUP_NAME_MAX];

    pw_cgroups_get_powers(cgroups, &powers);
    struct played warden = start_warden(touch_memory, NULL);
    enter(cgroups, 3, warden.pid);
    home_of(warden.pid, home);
    assert_true(stands(home));
    let_work(&warden);
    pw_cgroup_read(cgroups, 3, &sums);
    end_warden(&warden);
    assert_int_equal(pw_cgroup_leave(cgroups, 3, NULL), 0);
    pw_cgroups_close(cgroups);
    assert_false(stands(home));
    print_message("powers: v2 %d kill %d cpu %d memory %d (v1 %d) pids %d io %d pressure %d moved "
                  "%d: %s\n",
                  powers.is_v2, powers.kill, powers.cpu, powers.memory_peak, powers.memory_v1,
                  powers.pids_peak, powers.io, powers.pressure, powers.moved, powers.why_not);
    assert_int_equal(pw_value_is_present(sums.memory_peak_bytes), powers.memory_peak);
    assert_int_equal(pw_value_is_present(sums.pids_peak), powers.pids_peak);
    assert_int_equal(pw_value_is_present(sums.io_reads), powers.io);
    assert_int_equal(pw_value_is_present(sums.cpu_ns), powers.cpu);
    if (!powers.memory_peak) {
        print_message("[  SKIP  ] no memory controller\n");
        skip();
    }
    print_message("memory peak %.0f bytes, 64 MiB %+.3f %%\n", sums.memory_peak_bytes.number,
                  100 * (sums.memory_peak_bytes.number / ((double)TARGET_MIB * MIB) - 1));
    assert_true(fabs(sums.memory_peak_bytes.number / ((double)TARGET_MIB * MIB) - 1) < 0.02);
}

static void burn_cpu(struct shared *shared)
{
    int64_t begin_ns = pw_clock_thread_cpu_ns();
    pid_t pid = fork();

    if (pid == 0) {
        while (pw_clock_thread_cpu_ns() < BURNT_NS) {}
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    shared->used_ns = pw_clock_thread_cpu_ns() - begin_ns;
}

static void test_cpu_time(void **state)
{
    (void)state;
    need_pidfds(); /* Valgrind works when the burner exits */
    struct pw_cgroups *cgroups = open_or_skip();
    struct pw_cgroup_sums sums;
    struct shared *shared = share();
    struct played warden = start_warden(burn_cpu, shared);

    enter(cgroups, 0, warden.pid);
    let_work(&warden);
    pw_cgroup_read(cgroups, 0, &sums);
    end_warden(&warden);
    pw_cgroups_close(cgroups); /* without leave() */
    if (!pw_value_is_present(sums.cpu_ns)) {
        print_message("[  SKIP  ] no CPU time of groups\n");
        skip();
    }
    double error = (sums.cpu_ns.number - (double)shared->used_ns) / BURNT_NS - 1;
    munmap(shared, sizeof *shared);
    print_message("0.2 s of CPU: %+.3f %%\n", 100 * error);
    assert_true(fabs(error) < 0.03);
    if (pw_value_is_present(sums.pids_peak))
        assert_value(sums.pids_peak, 1); /* the burner, without the warden */
    if (pw_value_is_present(sums.cpu_some_ns))
        assert_true(sums.cpu_some_ns.number >= 0);
}

static void daemonize(struct shared *shared)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            shared->daemon = getpid();
            __atomic_store_n(&shared->is_ready, 1, __ATOMIC_SEQ_CST);
            for (;;)
                pause();
        }
        _exit(0);
    }
    wait(NULL);
    while (!__atomic_load_n(&shared->is_ready, __ATOMIC_SEQ_CST))
        sched_yield();
}

static void test_daemon(void **state)
{
    (void)state;
    need_pidfds();
    struct pw_cgroups *cgroups = open_or_skip();
    struct shared *shared = share();
    struct played warden = start_warden(daemonize, shared);
    struct pw_err err = PW_ERR_INIT;

    enter(cgroups, 1, warden.pid);
    let_work(&warden);
    assert_true(is_member(cgroups, 1, warden.pid));
    assert_true(is_member(cgroups, 1, shared->daemon));
    assert_false(is_member(cgroups, 0, shared->daemon));
    PW_FD_AUTO daemon_fd = open_pid(shared->daemon);
    end_warden(&warden);
    assert_false(has_ended(daemon_fd, 0));
    if (pw_cgroup_leave(cgroups, 1, &err) != 0)
        fail_msg("%s", err.message);
    assert_true(has_ended(daemon_fd, WAIT_MS));
    assert_false(is_member(cgroups, 1, shared->daemon));
    pw_cgroups_close(cgroups);
    munmap(shared, sizeof *shared);
}

static void test_release(void **state)
{
    (void)state;
    need_pidfds();
    struct pw_cgroups *cgroups = open_or_skip();
    struct shared *shared = share();
    struct played warden = start_warden(daemonize, shared);
    char home[PW_CGROUP_NAME_MAX];

    enter(cgroups, 0, warden.pid);
    home_of(warden.pid, home);
    let_work(&warden);
    PW_FD_AUTO daemon_fd = open_pid(shared->daemon);
    end_warden(&warden);
    assert_int_equal(pw_cgroup_release(cgroups, 0, NULL), 0);
    pw_cgroups_close(cgroups);
    assert_false(stands(home));
    assert_false(has_ended(daemon_fd, 0));
    assert_int_equal(kill(shared->daemon, SIGKILL), 0);
    assert_true(has_ended(daemon_fd, WAIT_MS));
    munmap(shared, sizeof *shared);
}

/* Many at once, each again and again: nothing mixes, and nothing stays. */
static void test_many(void **state)
{
    (void)state;
    enum { WORKERS = 16, ROUNDS = 3 };
    struct pw_cgroups *cgroups = open_or_skip();
    struct played wardens[WORKERS];
    char home[PW_CGROUP_NAME_MAX];

    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < WORKERS; i++) {
            wardens[i] = start_warden(touch_memory, NULL);
            enter(cgroups, i, wardens[i].pid);
        }
        home_of(wardens[0].pid, home);
        for (unsigned i = 0; i < WORKERS; i++) {
            PW_FREE_AUTO pid_t *pids = NULL;
            size_t count = 0;
            assert_int_equal(pw_cgroup_members(cgroups, i, &pids, &count, NULL), 0);
            assert_int_equal(count, 1);
            assert_int_equal(pids[0], wardens[i].pid);
        }
        for (unsigned i = 0; i < WORKERS; i++) {
            end_warden(&wardens[i]);
            assert_int_equal(pw_cgroup_leave(cgroups, i, NULL), 0);
        }
    }
    pw_cgroups_close(cgroups);
    assert_false(stands(home));
}

/* Another perfwrap, with a process in its leaf; its pid is daemon's. */
static pid_t start_other(struct shared *shared)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct pw_cgroups_setup setup = PW_CGROUPS_SETUP_INIT;
        struct pw_cgroups *cgroups = NULL;
        pid_t sleeper = fork();
        if (sleeper == 0) {
            for (;;)
                pause();
        }
        if (pw_cgroups_open(&setup, &cgroups, NULL) != 0 ||
            pw_cgroup_enter(cgroups, 0, sleeper, NULL) != 0)
            _exit(1);
        shared->daemon = sleeper;
        __atomic_store_n(&shared->is_ready, 1, __ATOMIC_SEQ_CST);
        for (;;)
            pause();
    }
    while (!__atomic_load_n(&shared->is_ready, __ATOMIC_SEQ_CST)) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        sched_yield();
    }
    return pid;
}

static void test_stale(void **state)
{
    (void)state;
    need_pidfds();
    char killed_home[PW_CGROUP_NAME_MAX], living_home[PW_CGROUP_NAME_MAX];

    struct pw_cgroups *cgroups = open_or_skip();
    struct pw_cgroup_powers powers;
    pw_cgroups_get_powers(cgroups, &powers);
    pw_cgroups_close(cgroups);
    if (powers.moved) {
        print_message("[  SKIP  ] this group has room for one perfwrap\n");
        skip();
    }
    struct shared *killed = share(), *living = share();
    pid_t killed_pid = start_other(killed), living_pid = start_other(living);
    PW_FD_AUTO killed_fd = open_pid(killed->daemon);
    PW_FD_AUTO living_fd = open_pid(living->daemon);
    home_of(killed->daemon, killed_home);
    home_of(living->daemon, living_home);
    assert_int_equal(kill(killed_pid, SIGKILL), 0);
    assert_int_equal(waitpid(killed_pid, NULL, 0), killed_pid);
    assert_true(stands(killed_home));
    assert_false(has_ended(killed_fd, 0));

    cgroups = open_or_skip();
    assert_false(stands(killed_home));
    assert_true(has_ended(killed_fd, WAIT_MS));
    assert_true(stands(living_home));
    assert_false(has_ended(living_fd, 0));
    pw_cgroups_close(cgroups);

    assert_int_equal(kill(living_pid, SIGKILL), 0);
    assert_int_equal(waitpid(living_pid, NULL, 0), living_pid);
    cgroups = open_or_skip();
    assert_false(stands(living_home));
    assert_true(has_ended(living_fd, WAIT_MS));
    pw_cgroups_close(cgroups);
    munmap(killed, sizeof *killed);
    munmap(living, sizeof *living);
}

/* A folder that has our name, but groups that we would not make, is not touched. */
static void test_not_ours(void **state)
{
    (void)state;
    struct pw_cgroups *cgroups = open_or_skip();
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL;
    char path[PATH_MAX + 64], inner[PATH_MAX + 96];

    pw_cgroups_close(cgroups);
    assert_int_equal(pw_cgroup_layout_read("/proc", &layout, NULL), 0);
    const struct pw_cgroup_place *place = pw_cgroup_layout_find(layout, NULL);
    if (place == NULL)
        skip();
    snprintf(path, sizeof path, "%s/perfwrap-zzzzzz", place->folder);
    snprintf(inner, sizeof inner, "%s/other", path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mkdir(inner, 0755), 0);
    cgroups = open_or_skip();
    pw_cgroups_close(cgroups);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(path), 0);
}

/* Version 1 has no cgroup.kill. */
static void test_remove_in_v1(void **state)
{
    (void)state;
    need_pidfds();
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL;
    const struct pw_cgroup_place *place = NULL;
    char group[PW_CGROUP_NAME_MAX], nested[PW_CGROUP_NAME_MAX + 8];
    struct shared *shared = share();

    snprintf(group, sizeof group, "perfwrap-test-%d", (int)getpid());
    snprintf(nested, sizeof nested, "%s/nested", group);
    if (pw_cgroup_layout_read("/proc", &layout, NULL) == 0)
        place = pw_cgroup_layout_find(layout, "pids");
    PW_FD_AUTO own_fd = place == NULL ? -1 : open(place->folder, O_RDONLY | O_DIRECTORY);
    if (own_fd < 0 || mkdirat(own_fd, group, 0755) != 0) {
        print_message("[  SKIP  ] no version 1, or not ours\n");
        skip();
    }
    assert_int_equal(mkdirat(own_fd, nested, 0755), 0);
    struct played warden = start_warden(daemonize, shared);
    assert_int_equal(pw_cgroup_attach(own_fd, nested, warden.pid), 0);
    let_work(&warden);
    PW_FD_AUTO daemon_fd = open_pid(shared->daemon);
    assert_int_equal(pw_cgroup_remove(own_fd, group), 0);
    assert_true(has_ended(daemon_fd, WAIT_MS));
    assert_int_equal(pw_cgroup_remove(own_fd, group), 0); /* is not there: fine */
    end_warden(&warden);
    munmap(shared, sizeof *shared);
}

/* Somebody removes our folder: an error, and nothing else. */
static void test_removed_meanwhile(void **state)
{
    (void)state;
    struct pw_cgroups *cgroups = open_or_skip();
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL;
    struct pw_cgroup_powers powers;
    struct pw_cgroup_sums sums;
    struct pw_err err = PW_ERR_INIT;
    struct played warden = start_warden(touch_memory, NULL);
    char home[PW_CGROUP_NAME_MAX], path[PATH_MAX + PW_CGROUP_NAME_MAX];

    pw_cgroups_get_powers(cgroups, &powers);
    enter(cgroups, 0, warden.pid);
    home_of(warden.pid, home);
    end_warden(&warden);
    if (powers.moved) {
        pw_cgroups_close(cgroups);
        print_message("[  SKIP  ] this process is in it\n");
        skip();
    }
    assert_int_equal(pw_cgroup_leave(cgroups, 0, NULL), 0);
    assert_int_equal(pw_cgroup_layout_read("/proc", &layout, NULL), 0);
    for (size_t i = 0; i < layout->count; i++) {
        snprintf(path, sizeof path, "%s/%s", layout->places[i].folder, home);
        (void)rmdir(path);
    }
    assert_false(stands(home));
    assert_int_equal(pw_cgroup_enter(cgroups, 0, getpid(), &err), -1);
    assert_contains(err.message, "worker 0: ");
    assert_contains(err.remedy, "removed");
    pw_cgroup_read(cgroups, 0, &sums);
    assert_absent(sums.cpu_ns, PW_ABSENT_NOT_MEASURED);
    assert_int_equal(pw_cgroup_leave(cgroups, 0, NULL), 0);
    pw_cgroups_close(cgroups);
}

static void test_unprivileged(void **state)
{
    (void)state;
    int status = -1;

    if (geteuid() != 0) {
        print_message("[  SKIP  ] only root can become somebody without rights\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct pw_cgroups_setup setup = PW_CGROUPS_SETUP_INIT;
        struct pw_cgroups *cgroups = NULL;
        struct pw_err err = PW_ERR_INIT;
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(2);
        if (pw_cgroups_open(&setup, &cgroups, &err) == 0)
            _exit(3);
        bool is_told = err.sys == EROFS || strstr(err.remedy, "Delegate=yes") != NULL;
        _exit(err.cls == PW_ERR_SYSTEM && is_told ? 0 : 4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_peak),
        cmocka_unit_test(test_cpu_time),
        cmocka_unit_test(test_daemon),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_remove_in_v1),
        cmocka_unit_test(test_removed_meanwhile),
        cmocka_unit_test(test_unprivileged),
    };
    return cmocka_run_group_tests(tests, find_own, forget_own);
}
