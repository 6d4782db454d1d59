/* Sums of eBPF's account against targets of known truth: memory, switches, waits, and where the
 * wall's time went. Skipped as in test_account.c. */
#include "unit.h"

#ifdef PW_BPF
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include "tests/unit/accounted_worker.h"
#include "wrapper/probe/proc_file.h"

enum { MIB = 1 << 20 };
static const size_t SPIKE = (size_t)150 * MIB;

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
    sleep_ns(100000000);
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
    assert_true(ret.wait_ns[PW_WAIT_SLEEP] > 8 * 99000000LL);
    /* On a busy machine it may have to wait for a CPU before it waits for the first of them. */
    assert_true(ret.wait_ns[PW_WAIT_LOCK] > 15000000LL);
    assert_true(ret.wait_ns[PW_WAIT_LOCK] + ret.wait_ns[PW_WAIT_RUNQ] > 95000000LL);
    done(told, &ret);
}

static void burn_half(struct told *told)
{
    (void)told;
    burn(500000000);
}

static pid_t start_hog(int cpu)
{
    pid_t hog = fork();
    if (hog == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(cpu);
        for (;;) {}
    }
    assert_true(hog > 0);
    return hog;
}

static void test_hog(void **state)
{
    (void)state;
    struct pw_kernel_account ret;
    pid_t hog = start_hog(0);
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

static bool is_asleep(pid_t pid)
{
    char path[32];
    struct pw_proc_stat stat;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    return pw_proc_stat_read(fd, &stat) == PW_PROC_OK && stat.state == 'S';
}

static void wall_stages(struct told *told)
{
    (void)told;
    burn(50000000);
    sleep_ns(60000000);
    pid_t pid = fork();
    if (pid == 0) {
        while (!is_asleep(getppid())) {
            sched_yield();
        }
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

static void miss_switches(const struct pw_account_knobs *knobs)
{
    struct pw_kernel_account ret;
    int64_t wall_ns = 0;
    pid_t hog = start_hog(0);
    struct told *told = account_of(burn_half, 0, knobs, &ret, &wall_ns);
    kill(hog, SIGKILL);
    waitpid(hog, NULL, 0);
    print_message("wall %.1f ms, CPU %.1f, on CPU %.1f, waited for it %.1f\n",
                  (double)wall_ns / 1e6, (double)ret.cpu_ns / 1e6, (double)ret.wall.on_cpu_ns / 1e6,
                  (double)ret.wall.runq_ns / 1e6);
    assert_int_equal(wall_sum(&ret.wall), wall_ns);
    assert_int_equal(ret.processes, 1);
    assert_true(fabs((double)ret.cpu_ns - 500e6) < 10e6);
    assert_true(fabs((double)(ret.wall.on_cpu_ns - ret.cpu_ns)) < 10e6);
    assert_true(ret.wall.runq_ns > 100000000);
    assert_true(ret.untraced >= 5); /* and slices of some ms each: a fifth of a hundred and more */
    done(told, &ret);
}

/* Kernels may leave out single calls of the tracepoint: the time on CPUs stays right. */
static void test_missed_switches(void **state)
{
    (void)state;
    miss_switches(&(struct pw_account_knobs){.missed_comings = 5});
    miss_switches(&(struct pw_account_knobs){.missed_leavings = 5});
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_switches),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_hog),
        cmocka_unit_test(test_wall),    cmocka_unit_test(test_missed_switches),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests_name("account_sums", tests, NULL, NULL);
}

#else
static void test_sums(void **state)
{
    (void)state;
    print_message("built without eBPF\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums)};
    return cmocka_run_group_tests_name("account_sums", tests, NULL, NULL);
}
#endif
