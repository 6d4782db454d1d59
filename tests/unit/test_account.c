/* Exact accounting by eBPF against targets of known truth. Skipped, saying so, where this machine
 * or this build does not let it run. */
#include "unit.h"

#ifdef PW_BPF
#include <account.skel.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "wrapper/probe/bpf/account_impl.h"

enum { MIB = 1 << 20, NOBODY = 65534 };
static const size_t SPIKE = (size_t)150 * MIB;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static void sleep_ns(long ns)
{
    const struct timespec time = {ns / 1000000000, ns % 1000000000};
    nanosleep(&time, NULL);
}

static void burn(int64_t cpu_ns)
{
    for (int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns;
         clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end;) {}
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Privilege or kernel are missing: NULL, and the test is skipped. All else is a failure. */
static struct pw_account *open_or_skip(unsigned slots, const struct pw_account_knobs *knobs)
{
    const struct pw_account_options options = {.slots = slots};
    static const struct pw_account_knobs usual;
    struct pw_account *account = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_account_open_as(&options, knobs ? knobs : &usual, &account, &err) == 0) {
        return account;
    }
    if (err.sys == EPERM || err.sys == EACCES || access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
        print_message("skipped: %s (%s)\n", err.message, err.remedy);
        skip();
    }
    fail_msg("%s", err.message);
    return NULL;
}

/* What a worker does, and what it tells; in memory shared with it. */
struct told {
    struct rusage usage; /* of the root and all that was waited for */
    int status;
    pid_t pid;
    long numbers[8];
};

struct worker {
    void (*body)(struct told *told);
    struct told *told;
    unsigned slot;
    int cpu; /* -1: any */
    pid_t warden;
    int go;
    int64_t spawned_at_ns;
};

static struct told *told_new(void)
{
    void *told =
        mmap(NULL, sizeof(struct told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    return told;
}

static void start(struct pw_account *account, struct worker *worker)
{
    int go[2];
    assert_int_equal(pipe(go), 0);
    worker->told = told_new();
    worker->warden = fork();
    assert_true(worker->warden >= 0);
    if (worker->warden == 0) {
        char byte;
        close(go[1]);
        if (worker->cpu >= 0) {
            pin(worker->cpu);
        }
        if (read(go[0], &byte, 1) != 1) {
            _exit(1);
        }
        pid_t root = fork();
        if (root == 0) {
            worker->body(worker->told);
            _exit(0);
        }
        worker->told->pid = root;
        wait4(root, &worker->told->status, 0, &worker->told->usage);
        _exit(0);
    }
    close(go[0]);
    worker->go = go[1];
    struct pw_err err = PW_ERR_INIT;
    if (pw_account_watch(account, worker->slot, worker->warden, &err) != 0) {
        fail_msg("%s", err.message);
    }
    worker->spawned_at_ns = now_ns();
    assert_int_equal(write(worker->go, "g", 1), 1);
}

static bool drains_meanwhile = true; /* what the kernel tells is read while the worker runs */

static int64_t finish(struct pw_account *account, struct worker *worker,
                      struct pw_kernel_account *ret)
{
    struct pw_err err = PW_ERR_INIT;
    int status;
    while (waitpid(worker->warden, &status, WNOHANG) == 0) {
        if (drains_meanwhile) {
            pw_account_drain(account);
        }
        sleep_ns(1000000);
    }
    close(worker->go);
    int64_t ended_at_ns = now_ns();
    pw_kernel_account_init(ret);
    if (pw_account_take(account, worker->slot, worker->spawned_at_ns, ended_at_ns, ret, &err) !=
        0) {
        fail_msg("%s", err.message);
    }
    return ended_at_ns - worker->spawned_at_ns;
}

/* One worker that runs `body`, in a fresh accounting. */
static struct told *account_of(void (*body)(struct told *told), int cpu,
                               const struct pw_account_knobs *knobs, struct pw_kernel_account *ret,
                               int64_t *ret_wall_ns)
{
    struct pw_account *account = open_or_skip(1, knobs);
    struct worker worker = {.body = body, .cpu = cpu};
    start(account, &worker);
    int64_t wall_ns = finish(account, &worker, ret);
    if (ret_wall_ns) {
        *ret_wall_ns = wall_ns;
    }
    pw_account_close(account);
    return worker.told;
}

static void done(struct told *told, struct pw_kernel_account *ret)
{
    pw_kernel_account_done(ret);
    munmap(told, sizeof *told);
}

static const struct pw_kernel_process *by_pid(const struct pw_kernel_account *ret, pid_t pid)
{
    for (size_t i = 0; i < ret->process_count; i++) {
        if (ret->process_list[i].pid == pid) {
            return &ret->process_list[i];
        }
    }
    fail_msg("no process %d", (int)pid);
    return NULL;
}

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

static long resident_bytes(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || !fgets(text, sizeof text, file)) {
        _exit(1);
    }
    fclose(file);
    return strtol(strchr(text, ' '), NULL, 10) * sysconf(_SC_PAGESIZE);
}

static void spike(struct told *told)
{
    told->numbers[0] = resident_bytes();
    if (fork() == 0) {
        if (fork() == 0) {
            prctl(PR_SET_NAME, "spike");
            told->numbers[1] = getpid();
            told->numbers[2] = resident_bytes();
            char *memory =
                mmap(NULL, SPIKE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            madvise(memory, SPIKE, MADV_NOHUGEPAGE);
            memset(memory, 1, SPIKE);
            sleep_ns(5000000);
            munmap(memory, SPIKE);
            sleep_ns(5000000);
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    wait(NULL);
}

static void test_memory(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(spike, -1, NULL, &ret, NULL);
    double base = (double)told->numbers[2], held = (double)SPIKE;
    print_message("peak %.2f MiB of the tree, %.2f of one process, which began with %.2f\n",
                  (double)ret.peak_rss_bytes / MIB, (double)ret.peak_process_rss_bytes / MIB,
                  base / MIB);
    assert_true(fabs((double)ret.peak_process_rss_bytes - base - held) <= 0.01 * held);
    assert_int_equal(ret.peak_process_pid, told->numbers[1]);
    assert_string_equal(ret.peak_process_comm, "spike");
    const struct pw_kernel_process *process = by_pid(&ret, (pid_t)told->numbers[1]);
    assert_true(fabs((double)process->rss_at_tree_peak_bytes - base - held) <= 0.01 * held);
    assert_true(ret.peak_rss_at_ns > process->started_at_ns);
    assert_true(ret.peak_rss_at_ns < process->ended_at_ns);
    uint64_t sum = 0;
    for (size_t i = 0; i < ret.process_count; i++) {
        sum += ret.process_list[i].rss_at_tree_peak_bytes;
    }
    assert_int_equal(sum, ret.peak_rss_bytes);
    assert_true((double)ret.peak_rss_bytes > held + base);
    done(told, &ret);
}

static void naps(struct told *told)
{
    (void)told;
    for (int i = 0; i < 200; i++) {
        sleep_ns(1000000);
    }
}

static void test_switches(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(naps, 0, NULL, &ret, NULL);
    assert_true(told->usage.ru_nvcsw > 100);
    assert_int_equal(ret.voluntary, told->usage.ru_nvcsw);
    assert_int_equal(ret.involuntary, told->usage.ru_nivcsw);
    assert_int_equal(ret.minor_faults, told->usage.ru_minflt);
    assert_int_equal(ret.major_faults, told->usage.ru_majflt);
    assert_true(ret.wait_ns[PW_WAIT_SLEEP] > 0);
    done(told, &ret);
}

static void *nap_a_little(void *arg)
{
    sleep_ns(20000000);
    return arg;
}

static void eight_threads(struct told *told)
{
    pthread_t threads[8];
    (void)told;
    for (int i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, nap_a_little, NULL);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    struct told *told = account_of(eight_threads, 0, NULL, &ret, NULL);
    assert_int_equal(ret.threads, 8);
    assert_int_equal(ret.processes, 1);
    assert_int_equal(ret.process_list[0].threads, 9);
    assert_int_equal(ret.voluntary, told->usage.ru_nvcsw);
    assert_int_equal(ret.involuntary, told->usage.ru_nivcsw);
    assert_int_equal(ret.minor_faults, told->usage.ru_minflt);
    assert_true(ret.wait_ns[PW_WAIT_SLEEP] > 8 * 19000000LL);
    assert_true(ret.wait_ns[PW_WAIT_LOCK] > 15000000LL);
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

static void burn_half(struct told *told)
{
    (void)told;
    burn(500000000);
}

static void test_hog(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    pid_t hog = fork();
    if (hog == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(0);
        for (;;) {}
    }
    struct pw_account *account = open_or_skip(1, NULL);
    struct worker worker = {.body = burn_half, .cpu = 0};
    start(account, &worker);
    finish(account, &worker, &ret);
    kill(hog, SIGKILL);
    waitpid(hog, NULL, 0);
    pw_account_close(account);
    const struct pw_kernel_process *root = &ret.process_list[0];
    double wall = (double)(root->ended_at_ns - root->started_at_ns);
    double waited = (double)ret.wait_ns[PW_WAIT_RUNQ], cpu = (double)ret.cpu_ns;
    print_message("wall %.1f ms, CPU %.1f, waited for it %.1f, the tree %.1f\n", wall / 1e6,
                  cpu / 1e6, waited / 1e6, (double)ret.wall.runq_ns / 1e6);
    assert_true(waited > 0.2 * wall);
    /* Behind its exit it still has to get the CPU to be gone: that is in the tail of the wall. */
    double tail = (double)ret.wall.exit_tail_ns, parts = (double)ret.wall.runq_ns;
    assert_true(waited >= 0.97 * (wall - cpu));
    assert_true(waited - tail <= 1.03 * (wall - cpu));
    assert_true(parts <= waited);
    assert_true(parts + tail >= 0.97 * waited);
    uint64_t count = 0;
    for (int i = 0; i < PW_KERNEL_SLOTS; i++) {
        count += ret.runq_slots[i];
    }
    assert_true(count >= ret.involuntary);
    done(worker.told, &ret);
}

static int64_t wall_sum(const struct pw_kernel_wall *wall)
{
    int64_t blocked = 0;
    for (int i = 0; i < PW_WAIT_COUNT; i++) {
        blocked += wall->blocked_by_ns[i];
    }
    assert_int_equal(blocked, wall->blocked_ns);
    return wall->spawn_ns + wall->on_cpu_ns + wall->runq_ns + wall->io_ns + wall->blocked_ns +
           wall->exit_tail_ns;
}

static void wall_stages(struct told *told)
{
    (void)told;
    burn(50000000);
    sleep_ns(60000000);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ns(70000000);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void test_wall(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    int64_t wall_ns = 0;
    struct told *told = account_of(wall_stages, -1, NULL, &ret, &wall_ns);
    const struct pw_kernel_wall *wall = &ret.wall;
    print_message("wall %.1f: spawn %.3f, on CPU %.1f, runq %.1f, io %.1f, blocked %.1f, tail "
                  "%.2f ms\n",
                  (double)wall_ns / 1e6, (double)wall->spawn_ns / 1e6,
                  (double)wall->on_cpu_ns / 1e6, (double)wall->runq_ns / 1e6,
                  (double)wall->io_ns / 1e6, (double)wall->blocked_ns / 1e6,
                  (double)wall->exit_tail_ns / 1e6);
    assert_int_equal(wall_sum(wall), wall_ns);
    assert_true(wall->on_cpu_ns >= 50000000);
    assert_true(wall->blocked_by_ns[PW_WAIT_SLEEP] >= 130000000);
    assert_true(wall->spawn_ns > 0 && wall->exit_tail_ns > 0);
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
        execl("/bin/sleep", "sleep", "0.01", (char *)NULL);
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
    assert_true(ret.wait_ns[PW_WAIT_CHILD] > 9000000);
    assert_true(ret.wait_ns[PW_WAIT_SLEEP] > 9000000);
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

static void hundred_thousand(struct told *told)
{
    (void)told;
    for (int i = 0; i < 100000; i++) {
        waitpid(end_at_once(), NULL, 0);
    }
}

static void test_lost(void **state)
{
    (void)state;
    const struct pw_account_knobs knobs = {.ring_bytes = 4096};
    struct pw_kernel_account ret;
    drains_meanwhile = false;
    struct told *told = account_of(hundred_thousand, -1, &knobs, &ret, NULL);
    drains_meanwhile = true;
    print_message("%llu lost\n", (unsigned long long)ret.lost);
    assert_int_equal(ret.processes, 100001);
    assert_true(ret.lost > 0);
    assert_int_equal(ret.process_count + ret.lost, 100001);
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

static void stay(struct told *told)
{
    burn(10000000);
    told->numbers[0] = 1;
    for (;;) {
        pause();
    }
}

/* A worker that still runs when its account is taken. */
static void test_held(void **state)
{
    (void)state;
    struct pw_account *account = open_or_skip(1, NULL);
    struct worker worker = {.body = stay, .cpu = -1};
    struct pw_kernel_account ret;
    struct pw_err err = PW_ERR_INIT;
    start(account, &worker);
    while (*(volatile long *)&worker.told->numbers[0] == 0) {
        sleep_ns(1000000);
    }
    int64_t ended_at_ns = now_ns();
    pw_kernel_account_init(&ret);
    assert_int_equal(pw_account_take(account, 0, worker.spawned_at_ns, ended_at_ns, &ret, &err), 0);
    assert_int_equal(ret.processes, 1);
    assert_int_equal(ret.process_count, 1);
    assert_int_equal(ret.process_list[0].ended_at_ns, 0);
    assert_true(ret.process_list[0].rss_at_tree_peak_bytes > 0);
    assert_true(ret.cpu_ns >= 10000000);
    assert_int_equal(wall_sum(&ret.wall), ended_at_ns - worker.spawned_at_ns);
    assert_int_equal(ret.wall.exit_tail_ns, 0);
    kill(worker.warden, SIGKILL);
    waitpid(worker.warden, NULL, 0);
    close(worker.go);
    kill(worker.told->pid, SIGKILL);
    pw_account_close(account);
    done(worker.told, &ret);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_close), cmocka_unit_test(test_forks),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_switches),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_endings),        cmocka_unit_test(test_hog),
        cmocka_unit_test(test_wall),           cmocka_unit_test(test_exec_of_thread),
        cmocka_unit_test(test_vfork),          cmocka_unit_test(test_same_pid),
        cmocka_unit_test(test_two_slots),      cmocka_unit_test(test_lost),
        cmocka_unit_test(test_limit),          cmocka_unit_test(test_held),
        cmocka_unit_test(test_older_kernel),   cmocka_unit_test(test_deeper),
        cmocka_unit_test(test_unprivileged),
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
