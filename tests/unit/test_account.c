/* Exact accounting by eBPF against targets of known truth: which processes there are, and what
 * happens where it is refused or too small. Skipped, saying so, where this machine or this build
 * does not let it run. */
#include "unit.h"

#ifdef PW_BPF
#include <account.skel.h>
#include <bpf/bpf.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include "tests/unit/accounted_worker.h"

enum { NOBODY = 65534 };

static void thousand_forks(struct told *told)
{
    (void)told;
    for (int i = 0; i < 1000; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
}

static void test_forks(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(thousand_forks, -1, NULL, &ret, NULL);
    assert_int_equal(ret.processes, 1001);
    assert_int_equal(ret.process_count, 1001);
    assert_int_equal(ret.lost, 0);
    assert_int_equal(ret.untracked, 0);
    assert_int_equal(ret.threads, 0);
    assert_int_equal(ret.peak_processes, 2);
    assert_int_equal(ret.peak_children, 1);
    for (size_t i = 0; i < ret.process_count; i++) {
        const struct pw_kernel_process *process = &ret.process_list[i];
        assert_true(process->ended_at_ns > process->started_at_ns);
        assert_int_equal(i == 0 ? process->pid : process->ppid, told->pid);
    }
    done(told, &ret);
}

static void orphan(struct told *told)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0) {
        _exit(1);
    }
    pid_t middle = fork();
    if (middle == 0) {
        told->numbers[0] = getpid();
        if (fork() == 0) {
            while (getppid() == told->numbers[0]) {
                sched_yield();
            }
            told->numbers[1] = getpid();
            _exit(3);
        }
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 0) { /* until the orphan has gone */
        _exit(1);
    }
}

static void test_orphan(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(orphan, 0, NULL, &ret, NULL);
    assert_int_equal(ret.processes, 3);
    const struct pw_kernel_process *process = by_pid(&ret, (pid_t)told->numbers[1]);
    assert_int_equal(process->ppid, told->numbers[0]);
    assert_int_equal(WEXITSTATUS(process->status), 3);
    done(told, &ret);
}

static void endings(struct told *told)
{
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 1) {
                raise(SIGKILL);
            }
            _exit(i == 0 ? 7 : 0);
        }
        told->numbers[i] = pid;
        waitpid(pid, NULL, 0);
    }
    _exit(42);
}

static void test_endings(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(endings, 0, NULL, &ret, NULL);
    assert_int_equal(WEXITSTATUS(by_pid(&ret, (pid_t)told->numbers[0])->status), 7);
    assert_int_equal(WTERMSIG(by_pid(&ret, (pid_t)told->numbers[1])->status), SIGKILL);
    assert_int_equal(by_pid(&ret, (pid_t)told->numbers[2])->status, 0);
    assert_int_equal(by_pid(&ret, told->pid)->status, told->status);
    done(told, &ret);
}

static void *execute_true(void *arg)
{
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
    return arg;
}

static void exec_of_thread(struct told *told)
{
    pthread_t thread;
    (void)told;
    pthread_create(&thread, NULL, execute_true, NULL);
    for (;;) {
        pause();
    }
}

static void test_exec_of_thread(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(exec_of_thread, 0, NULL, &ret, NULL);
    assert_int_equal(told->status, 0);
    assert_int_equal(ret.processes, 1);
    assert_int_equal(ret.threads, 1);
    assert_int_equal(ret.execs, 1);
    assert_int_equal(ret.process_count, 1);
    assert_string_equal(ret.process_list[0].comm, "true");
    assert_int_equal(ret.process_list[0].status, 0);
    assert_true(ret.process_list[0].ended_at_ns > 0);
    assert_int_equal(ret.voluntary, told->usage.ru_nvcsw);
    done(told, &ret);
}

static void vfork_and_exec(struct told *told)
{
    (void)told;
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): what is tested */
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "0.1", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static void test_vfork(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(vfork_and_exec, 0, NULL, &ret, NULL);
    assert_int_equal(ret.processes, 2);
    assert_int_equal(ret.execs, 1);
    /* On a busy machine it may have to wait for a CPU while the child sleeps already. */
    assert_true(ret.wait_ns[PW_WAIT_CHILD] > 9000000);
    assert_true(ret.wait_ns[PW_WAIT_CHILD] + ret.wait_ns[PW_WAIT_RUNQ] > 99000000);
    assert_true(ret.wait_ns[PW_WAIT_SLEEP] > 99000000);
    assert_string_equal(ret.process_list[1].comm, "sleep");
    uint64_t sum = ret.process_list[0].rss_at_tree_peak_bytes;
    assert_int_equal(sum + ret.process_list[1].rss_at_tree_peak_bytes, ret.peak_rss_bytes);
    assert_true(ret.peak_rss_bytes >= ret.process_list[0].peak_rss_bytes);
    done(told, &ret);
}

/* The same number twice, as the kernel allows it to who may administer the pid namespace. */
static void same_pid(struct told *told)
{
    pid_t pid = 0;
    for (int i = 0; i < 2; i++) {
        struct clone_args args = {.exit_signal = SIGCHLD};
        if (i > 0) {
            args.set_tid = (uint64_t)(uintptr_t)&pid;
            args.set_tid_size = 1;
        }
        pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
        if (child == 0) {
            _exit(i + 1);
        }
        told->numbers[i] = child;
        waitpid(child, NULL, 0);
        pid = child;
    }
}

static void test_same_pid(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(same_pid, 0, NULL, &ret, NULL);
    bool same = told->numbers[0] == told->numbers[1];
    if (same) {
        assert_int_equal(ret.process_count, 3);
        assert_int_equal(ret.process_list[1].pid, ret.process_list[2].pid);
        assert_int_equal(WEXITSTATUS(ret.process_list[1].status), 1);
        assert_int_equal(WEXITSTATUS(ret.process_list[2].status), 2);
    }
    done(told, &ret);
    if (!same) {
        print_message("skipped: this kernel gives no chosen pid\n");
        skip();
    }
}

/* Processes in a pid namespace of their own are told as this one numbers them. */
static void deeper(struct told *told)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (child == 0) {
        if (fork() == 0) {
            _exit(5);
        }
        wait(NULL);
        _exit(6);
    }
    told->numbers[0] = child;
    waitpid(child, NULL, 0);
}

static void test_deeper(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(deeper, 0, NULL, &ret, NULL);
    pid_t child = (pid_t)told->numbers[0];
    if (child > 0) {
        assert_int_equal(ret.process_count, 3);
        assert_int_equal(WEXITSTATUS(by_pid(&ret, child)->status), 6);
        assert_int_equal(ret.process_list[2].ppid, child);
        assert_true(ret.process_list[2].pid > 2);
        assert_int_equal(WEXITSTATUS(ret.process_list[2].status), 5);
    }
    done(told, &ret);
    if (child <= 0) {
        print_message("skipped: no pid namespace can be made\n");
        skip();
    }
}

static void one_child(struct told *told)
{
    (void)told;
    if (fork() == 0) {
        burn(20000000);
        _exit(0);
    }
    wait(NULL);
}

static void three_children(struct told *told)
{
    int ends[2];
    char byte;
    (void)told;
    if (pipe(ends) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            close(ends[1]);
            if (read(ends[0], &byte, 1) != 0) { /* until all are there */
                _exit(1);
            }
            sleep_ns(20000000);
            _exit(0);
        }
    }
    close(ends[1]);
    while (wait(NULL) > 0) {}
}

static void test_two_slots(void **state)
{
    (void)state;
    struct pw_account *account = open_or_skip(2, NULL);
    struct worker workers[2] = {{.body = one_child, .slot = 0, .cpu = -1},
                                {.body = three_children, .slot = 1, .cpu = -1}};
    struct pw_kernel_account ret[2];
    start(account, &workers[0]);
    start(account, &workers[1]);
    finish(account, &workers[0], &ret[0]);
    finish(account, &workers[1], &ret[1]);
    assert_int_equal(ret[0].processes, 2);
    assert_int_equal(ret[1].processes, 4);
    assert_int_equal(ret[1].peak_children, 3);
    assert_true(ret[0].cpu_ns >= 20000000);
    assert_true(ret[1].wait_ns[PW_WAIT_SLEEP] >= 60000000);
    /* A slot begins at zero again. */
    done(workers[0].told, &ret[0]);
    workers[0].body = one_child;
    start(account, &workers[0]);
    finish(account, &workers[0], &ret[0]);
    assert_int_equal(ret[0].processes, 2);
    assert_int_equal(ret[0].process_count, 2);
    pw_account_close(account);
    done(workers[0].told, &ret[0]);
    done(workers[1].told, &ret[1]);
}

static __attribute__((noinline)) pid_t end_at_once(void)
{
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): what is tested */
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

enum { MANY = 100000 };

static void many(struct told *told)
{
    (void)told;
    for (int i = 0; i < MANY; i++) {
        waitpid(end_at_once(), NULL, 0);
    }
}

static void test_lost(void **state)
{
    (void)state;
    const struct pw_account_knobs knobs = {.ring_bytes = 4096};
    struct pw_kernel_account ret;
    drains_meanwhile = false;
    struct told *told = account_of(many, -1, &knobs, &ret, NULL);
    drains_meanwhile = true;
    print_message("%llu lost\n", (unsigned long long)ret.lost);
    assert_int_equal(ret.processes, MANY + 1);
    assert_true(ret.lost > 0);
    assert_int_equal(ret.process_count + ret.lost, MANY + 1);
    done(told, &ret);
}

static void fifty_at_once(struct told *told)
{
    int ends[2];
    char byte;
    (void)told;
    if (pipe(ends) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 50; i++) {
        if (fork() == 0) {
            close(ends[1]);
            _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
        }
    }
    close(ends[1]);
    while (wait(NULL) > 0) {}
}

static void test_limit(void **state)
{
    (void)state;
    const struct pw_account_knobs knobs = {.threads = 16};
    struct pw_kernel_account ret;
    struct told *told = account_of(fifty_at_once, -1, &knobs, &ret, NULL);
    assert_true(ret.untracked > 0);
    assert_true(ret.processes >= 16);
    assert_int_equal(ret.processes + ret.untracked, 51);
    done(told, &ret);
    told = account_of(fifty_at_once, -1, NULL, &ret, NULL);
    assert_int_equal(ret.untracked, 0);
    assert_int_equal(ret.peak_processes, 51);
    assert_int_equal(ret.peak_children, 50);
    assert_true(ret.wait_ns[PW_WAIT_PIPE] > 0);
    done(told, &ret);
}

static void test_older_kernel(void **state)
{
    (void)state;
    const struct pw_account_knobs knobs = {.no_fetch = true, .no_memory = true};
    struct pw_account *account = open_or_skip(1, &knobs);
    struct worker worker = {.body = thousand_forks, .cpu = 0};
    struct pw_kernel_account ret;
    assert_false(pw_account_powers(account)->decomposition);
    assert_false(pw_account_powers(account)->memory);
    assert_true(pw_account_powers(account)->tree);
    assert_contains(pw_account_why_not(account), "decomposition");
    start(account, &worker);
    finish(account, &worker, &ret);
    assert_int_equal(ret.processes, 1001);
    assert_int_equal(ret.process_count, 1001);
    assert_int_equal(ret.voluntary, worker.told->usage.ru_nvcsw);
    assert_int_equal(ret.peak_rss_bytes, 0);
    pw_account_close(account);
    done(worker.told, &ret);
}

static void test_unprivileged(void **state)
{
    (void)state;
    struct told *told = told_new();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct pw_account_options options = {.slots = 1};
        struct pw_account *account = NULL;
        struct pw_err err = PW_ERR_INIT;
        if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(9);
        }
        bool refused = pw_account_open(&options, &account, &err) == -1 && account == NULL;
        snprintf((char *)told->numbers, sizeof told->numbers, "%.40s", err.message);
        pw_account_close(account);
        _exit(refused && err.cls == PW_ERR_SYSTEM && strstr(err.remedy, "CAP_BPF") ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    print_message("%s\n", (const char *)told->numbers);
    munmap(told, sizeof *told);
    assert_int_equal(status, 0);
}

enum { LINKS_MAX = 32 };

/* What is attached for this account: others may have theirs. */
static unsigned links_of(const struct pw_account *account, unsigned ids[LINKS_MAX])
{
    const struct pw_account_loaded *loaded = &account->loaded;
    size_t maps = PW_ACCOUNT_OWN_MAPS + (loaded->has_io ? sizeof account->io / sizeof(int) : 0);
    unsigned count = 0;
    for (size_t i = maps; i < loaded->count && count < LINKS_MAX; i++) {
        struct bpf_link_info info = {0};
        unsigned size = sizeof info;
        if (bpf_obj_get_info_by_fd(loaded->fds[i], &info, &size) == 0) {
            ids[count++] = info.id;
        }
    }
    return count;
}

static void test_open_and_close(void **state)
{
    (void)state;
    unsigned ids[LINKS_MAX];
    int64_t began = now_ns();
    struct pw_account *account = open_or_skip(1, NULL);
    int64_t opened = now_ns();
    unsigned count = links_of(account, ids);
    assert_true(count >= 6);
    for (unsigned i = 0; i < count; i++) {
        int fd = bpf_link_get_fd_by_id(ids[i]);
        assert_true(fd >= 0);
        close(fd);
    }
    int64_t closing = now_ns();
    pw_account_close(account);
    int64_t closed = now_ns();
    print_message("opened in %.1f ms, closed in %.1f ms\n", (double)(opened - began) / 1e6,
                  (double)(closed - closing) / 1e6);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(bpf_link_get_fd_by_id(ids[i]), -ENOENT);
    }
    pw_account_close(NULL);
}

/* A kernel that refuses programs for I/O, and then those for memory: the others are loaded. */
static void test_refused_parts(void **state)
{
    (void)state;
    const struct pw_account_knobs no_io = {.refuses_io = true};
    const struct pw_account_knobs no_memory = {.refuses_io = true, .refuses_memory = true};
    struct pw_account *account = open_or_skip(1, &no_io);
    assert_true(pw_account_powers(account)->memory);
    assert_false(pw_account_powers(account)->tcp);
    assert_contains(pw_account_why_not(account), "block, tcp, syscalls: refused");
    pw_account_close(account);
    account = open_or_skip(1, &no_memory);
    assert_false(pw_account_powers(account)->memory);
    assert_false(pw_account_powers(account)->block);
    assert_contains(pw_account_why_not(account), "memory: refused");
    struct worker worker = {.body = thousand_forks, .cpu = 0};
    struct pw_kernel_account ret;
    start(account, &worker);
    finish(account, &worker, &ret);
    assert_int_equal(ret.processes, 1001);
    assert_true(ret.powers.decomposition);
    pw_account_close(account);
    done(worker.told, &ret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_close), cmocka_unit_test(test_forks),
        cmocka_unit_test(test_orphan),         cmocka_unit_test(test_endings),
        cmocka_unit_test(test_exec_of_thread), cmocka_unit_test(test_vfork),
        cmocka_unit_test(test_same_pid),       cmocka_unit_test(test_two_slots),
        cmocka_unit_test(test_lost),           cmocka_unit_test(test_limit),
        cmocka_unit_test(test_older_kernel),   cmocka_unit_test(test_refused_parts),
        cmocka_unit_test(test_deeper),         cmocka_unit_test(test_unprivileged),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}

#else
#include "wrapper/probe/bpf/account.h"

static void test_built_without(void **state)
{
    (void)state;
    const struct pw_account_options options = {.slots = 1};
    struct pw_account *account = NULL;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_account_open(&options, &account, &err), -1);
    assert_null(account);
    assert_string_equal(err.message, "built without eBPF");
    pw_account_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_built_without)};
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
#endif
