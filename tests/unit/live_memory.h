/*
 * A warden and its worker that hold known memory, for tests: 64 MiB private, 32 MiB of a memfd, 16
 * MiB of a file, all of it touched by the worker and by a child that it forks, which shares it.
 *
 * The truth: what the two have more than the worker had before, by Pss, is those sizes; by Rss it
 * is twice as much. Nothing waits for time to pass: orders and reports go through pipes.
 */
#ifndef PW_TESTS_UNIT_LIVE_MEMORY_H
#define PW_TESTS_UNIT_LIVE_MEMORY_H

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/unit.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define LIVE_MIB ((size_t)1 << 20)
enum { LIVE_ANON_MIB = 64, LIVE_SHMEM_MIB = 32, LIVE_FILE_MIB = 16 };
#define LIVE_ANON_NAME "pw test pool"
#define LIVE_MEMFD_NAME "pw-test-frames"

/* What the worker does when it is told so; it reports the same letter back. */
enum live_order { LIVE_HOLD = 'h', LIVE_DROP = 'd', LIVE_END = 'e' };

struct live_worker {
    pid_t warden, root;
    int orders, reports; /* the test's ends */
    bool anon_has_name;  /* the kernel has CONFIG_ANON_VMA_NAME */
};

static inline void live_need(bool holds)
{
    if (!holds)
        _exit(9);
}

/* Without sanitizers, whose notes on this memory would be memory too. */
#define LIVE_AS_IT_IS __attribute__((noinline, no_sanitize("address"), no_sanitize("thread")))

LIVE_AS_IT_IS static unsigned live_read_pages(const volatile char *bytes, size_t mib)
{
    unsigned sum = 0;

    for (size_t at = 0; at < mib * LIVE_MIB; at += 4096)
        sum += (unsigned char)bytes[at];
    return sum;
}

LIVE_AS_IT_IS static void live_write_pages(volatile char *bytes, size_t mib)
{
    for (size_t at = 0; at < mib * LIVE_MIB; at += 4096)
        bytes[at] = 1;
}

static inline void live_report(int reports, char what)
{
    live_need(write(reports, &what, 1) == 1);
}

struct live_memory {
    char *anon, *shmem, *file;
    pid_t child;
};

/* Maps and touches all, and forks the child. `file` is one of LIVE_FILE_MIB. */
static inline void live_hold(struct live_memory *memory, const char *file)
{
    int memfd = memfd_create(LIVE_MEMFD_NAME, MFD_CLOEXEC), fd = open(file, O_RDONLY | O_CLOEXEC);
    int ready[2];
    char byte;

    live_need(memfd >= 0 && fd >= 0 && ftruncate(memfd, (off_t)(LIVE_SHMEM_MIB * LIVE_MIB)) == 0);
    memory->anon = mmap(NULL, LIVE_ANON_MIB * LIVE_MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory->shmem =
        mmap(NULL, LIVE_SHMEM_MIB * LIVE_MIB, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    memory->file = mmap(NULL, LIVE_FILE_MIB * LIVE_MIB, PROT_READ, MAP_PRIVATE, fd, 0);
    live_need(memory->anon != MAP_FAILED && memory->shmem != MAP_FAILED &&
              memory->file != MAP_FAILED && pipe(ready) == 0);
    close(memfd);
    close(fd);
    (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory->anon, LIVE_ANON_MIB * LIVE_MIB,
                LIVE_ANON_NAME);
    live_write_pages(memory->anon, LIVE_ANON_MIB);
    live_write_pages(memory->shmem, LIVE_SHMEM_MIB);
    (void)live_read_pages(memory->file, LIVE_FILE_MIB);
    memory->child = fork();
    live_need(memory->child >= 0);
    if (memory->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* What is shared with a file is mapped anew after a fork, when it is touched. */
        (void)live_read_pages(memory->shmem, LIVE_SHMEM_MIB);
        (void)live_read_pages(memory->file, LIVE_FILE_MIB);
        live_report(ready[1], 'r');
        for (;;)
            pause();
    }
    live_need(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
}

static inline void live_drop(struct live_memory *memory)
{
    live_need(kill(memory->child, SIGKILL) == 0 &&
              waitpid(memory->child, NULL, 0) == memory->child);
    munmap(memory->anon, LIVE_ANON_MIB * LIVE_MIB);
    munmap(memory->shmem, LIVE_SHMEM_MIB * LIVE_MIB);
    munmap(memory->file, LIVE_FILE_MIB * LIVE_MIB);
}

static inline void live_be_worker(int orders, int reports, const char *file)
{
    struct live_memory memory = {0};
    char order;

    while (read(orders, &order, 1) == 1 && order != LIVE_END) {
        if (order == LIVE_HOLD)
            live_hold(&memory, file);
        else
            live_drop(&memory);
        live_report(reports, order);
    }
    _exit(0);
}

static inline void live_start(struct live_worker *worker, const char *file)
{
    int orders[2], reports[2];

    /* Asked of a page of our own. */
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    worker->anon_has_name = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, 4096, "x") == 0;
    munmap(page, 4096);
    assert_int_equal(pipe2(orders, O_CLOEXEC) | pipe2(reports, O_CLOEXEC), 0);
    worker->warden = fork();
    assert_true(worker->warden >= 0);
    if (worker->warden == 0) {
        int status = -1;
        close(orders[1]);
        close(reports[0]);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid_t root = fork();
        if (root == 0)
            live_be_worker(orders[0], reports[1], file);
        live_need(root > 0 && write(reports[1], &root, sizeof root) == sizeof root);
        while (waitpid(-1, &status, 0) != root) {}
        _exit(status != 0);
    }
    close(orders[0]);
    close(reports[1]);
    worker->orders = orders[1];
    worker->reports = reports[0];
    assert_int_equal(read(worker->reports, &worker->root, sizeof worker->root),
                     sizeof worker->root);
}

static inline void live_tell(struct live_worker *worker, enum live_order order)
{
    char letter = (char)order, answer = 0;

    assert_int_equal(write(worker->orders, &letter, 1), 1);
    if (order == LIVE_END)
        return;
    assert_int_equal(read(worker->reports, &answer, 1), 1);
    assert_int_equal(answer, letter);
}

static inline void live_end(struct live_worker *worker)
{
    int status = -1;

    live_tell(worker, LIVE_END);
    close(worker->orders);
    close(worker->reports);
    assert_int_equal(waitpid(worker->warden, &status, 0), worker->warden);
    assert_int_equal(status, 0);
}

/* A file of LIVE_FILE_MIB in the test's folder. */
static inline char *live_file(void **state)
{
    char *path = in_folder(state, "pages of a file");
    PW_FREE_AUTO char *bytes = malloc(LIVE_FILE_MIB * LIVE_MIB);

    assert_non_null(bytes);
    memset(bytes, 3, LIVE_FILE_MIB * LIVE_MIB);
    PW_FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pw_fd_write_all(fd, bytes, LIVE_FILE_MIB * LIVE_MIB), 0);
    return path;
}

/* A fork of a program with a sanitizer has some MiB of its own, for both are writing in there. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIVE_SANITIZED
#endif
#endif
#if defined(LIVE_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIVE_FORK_MIB 8.0
#else
#define LIVE_FORK_MIB 0.0
#endif

/* Within one percent, and what a fork costs. */
static inline void assert_mib(double bytes, double before_bytes, double mib, const char *what)
{
    double found = (bytes - before_bytes) / LIVE_MIB;

    if (found < mib * 0.99 || found > mib * 1.01 + LIVE_FORK_MIB)
        fail_msg("%s: %.3f MiB, not %.3f", what, found, mib);
}

#endif
