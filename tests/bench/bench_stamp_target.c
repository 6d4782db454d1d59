/*
 * A worker that times itself, so that perfwrap's time for it can be checked.
 *
 *   bench_stamp_target MILLISECONDS
 *
 * Run by perfwrap, which sets PERFWRAP_RUN_DIR, PERFWRAP_ITERATION and PERFWRAP_WORKER_ID. Writes
 * $PERFWRAP_RUN_DIR/stamp-<iteration>-<worker>: two int64_t of the machine's byte order,
 * CLOCK_MONOTONIC in ns as main() starts and right before _exit(). Between the two it sleeps. The
 * file is mapped and its page touched before the sleep, so that the second stamp is one plain store
 * and nothing follows it but the end. Linked statically: the dynamic linker would run before main()
 * and pass for the wrapper's error.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct stamps {
    int64_t start_ns, end_ns;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct stamps *open_stamps(void)
{
    const char *dir = getenv("PERFWRAP_RUN_DIR");
    const char *iteration = getenv("PERFWRAP_ITERATION");
    const char *worker = getenv("PERFWRAP_WORKER_ID");
    char path[4096];
    if (dir == NULL || iteration == NULL || worker == NULL) {
        fprintf(stderr, "bench_stamp_target: not started by perfwrap\n");
        return NULL;
    }
    int length = snprintf(path, sizeof path, "%s/stamp-%s-%s", dir, iteration, worker);
    if (length < 0 || (size_t)length >= sizeof path)
        return NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct stamps)) != 0) {
        perror(path);
        return NULL;
    }
    void *page = mmap(NULL, sizeof(struct stamps), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        perror(path);
        return NULL;
    }
    return page;
}

int main(int argc, char *argv[])
{
    int64_t start_ns = now_ns();
    long milliseconds = argc == 2 ? strtol(argv[1], NULL, 10) : -1;
    if (milliseconds < 0) {
        fprintf(stderr, "usage: bench_stamp_target MILLISECONDS\n");
        return 2;
    }
    struct stamps *stamps = open_stamps();
    if (stamps == NULL)
        return 1;
    stamps->start_ns = start_ns;
    struct timespec pause = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
    stamps->end_ns = now_ns();
    _exit(0);
}
