/* Workers whose truth is known, accounted for by eBPF: for tests of what the account says. Only
 * where perfwrap is built with it (PW_BPF). */
#ifndef PW_TESTS_UNIT_ACCOUNTED_WORKER_H
#define PW_TESTS_UNIT_ACCOUNTED_WORKER_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "wrapper/probe/bpf/account_impl.h"

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static inline void sleep_ns(long ns)
{
    const struct timespec time = {ns / 1000000000, ns % 1000000000};
    nanosleep(&time, NULL);
}

static inline void burn(int64_t cpu_ns)
{
    for (int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns;
         clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end;) {}
}

static inline void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Privilege or kernel are missing: NULL, and the test is skipped. All else is a failure. */
static inline struct pw_account *open_or_skip(unsigned slots, const struct pw_account_knobs *knobs)
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

static inline struct told *told_new(void)
{
    void *told =
        mmap(NULL, sizeof(struct told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    return told;
}

static inline void start(struct pw_account *account, struct worker *worker)
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

static inline int64_t finish(struct pw_account *account, struct worker *worker,
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
static inline struct told *account_of(void (*body)(struct told *told), int cpu,
                                      const struct pw_account_knobs *knobs,
                                      struct pw_kernel_account *ret, int64_t *ret_wall_ns)
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

static inline void done(struct told *told, struct pw_kernel_account *ret)
{
    pw_kernel_account_done(ret);
    munmap(told, sizeof *told);
}

static inline const struct pw_kernel_process *by_pid(const struct pw_kernel_account *ret, pid_t pid)
{
    for (size_t i = 0; i < ret->process_count; i++) {
        if (ret->process_list[i].pid == pid) {
            return &ret->process_list[i];
        }
    }
    fail_msg("no process %d", (int)pid);
    return NULL;
}

#endif
