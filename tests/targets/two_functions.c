/*
 * two_functions MS [plain | kernel | jit]: uses MS ms of CPU time in two functions, heavy() and
 * light(), 70 to 30, both called by work(), which is called by main().
 *
 *   plain   both count (default)
 *   kernel  heavy() reads zeros from /dev/zero into 1 MiB, so its time is the kernel's
 *   jit     heavy() calls code that was copied into anonymous memory, as a JIT compiler makes it,
 *           whose name (jitted_code) stands in /tmp/perf-PID.map
 *
 * Truth: printed at the end, "heavy NS light NS all NS pid PID": by CLOCK_THREAD_CPUTIME_ID, read
 * at the borders of each call; `all` is the process's user and system time. Not optimised, with
 * frame pointers (see its flags in the build). Where copied code may not be executed it prints
 * nothing and returns 99.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "tests/targets/target.h"

enum { PIECES = 50, COUNT = 300000, BUFFER_BYTES = 1 << 20, PATH_BYTES = 64 };

#define NOT_INLINED __attribute__((noinline))

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* In a section of its own, so that it can be copied: it calls nothing and has no data. */
extern const char __start_pw_jitted[], __stop_pw_jitted[];
__attribute__((noinline, section("pw_jitted"))) static void count_copied(void)
{
    for (volatile int i = 0; i < COUNT; i++) {}
}

static void (*jitted)(void);
static char *zeros;
static int zero_fd = -1;

NOT_INLINED static long long heavy(long long ns)
{
    long long began_ns = now_ns();
    while (now_ns() - began_ns < ns) {
        if (zero_fd >= 0) {
            if (read(zero_fd, zeros, BUFFER_BYTES) != BUFFER_BYTES) {
                target_die("/dev/zero");
            }
        } else if (jitted) {
            jitted();
        } else {
            for (volatile int i = 0; i < COUNT; i++) {}
        }
    }
    return now_ns() - began_ns;
}

NOT_INLINED static long long light(long long ns)
{
    long long began_ns = now_ns();
    while (now_ns() - began_ns < ns) {
        for (volatile int i = 0; i < COUNT; i++) {}
    }
    return now_ns() - began_ns;
}

NOT_INLINED static void work(long ms, long long *heavy_ns, long long *light_ns)
{
    long long piece_ns = ms * 1000000LL / PIECES;
    for (int i = 0; i < PIECES; i++) {
        *heavy_ns += heavy(piece_ns * 7 / 10);
        *light_ns += light(piece_ns * 3 / 10);
    }
}

static void make_code(void)
{
    char path[PATH_BYTES];
    size_t size = (size_t)(__stop_pw_jitted - __start_pw_jitted);
    void *code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        target_die("mmap");
    }
    memcpy(code, __start_pw_jitted, size);
    if (mprotect(code, size, PROT_READ | PROT_EXEC) != 0) {
        target_die("mprotect");
    }
    size_t offset = (size_t)((const char *)count_copied - __start_pw_jitted);
    void *start = (char *)code + offset;
    memcpy(&jitted, &start, sizeof jitted);
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    FILE *map = fopen(path, "wxe");
    if (!map) {
        target_die(path);
    }
    fprintf(map, "%llx %zx jitted_code\n", (unsigned long long)(size_t)start, size - offset);
    if (fclose(map) != 0) {
        target_die(path);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("MS [plain|kernel|jit]");
    }
    long ms = target_number(argv[1]);
    const char *kind = argc > 2 ? argv[2] : "plain";
    if (strcmp(kind, "kernel") == 0) {
        zeros = malloc(BUFFER_BYTES);
        zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        if (!zeros || zero_fd < 0) {
            target_die("/dev/zero");
        }
    } else if (strcmp(kind, "jit") == 0) {
        make_code();
    } else if (strcmp(kind, "plain") != 0) {
        target_usage("MS [plain|kernel|jit]");
    }
    long long heavy_ns = 0, light_ns = 0;
    work(ms, &heavy_ns, &light_ns);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    long long all_ns = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000LL +
                       (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000LL;
    printf("heavy %lld light %lld all %lld pid %d\n", heavy_ns, light_ns, all_ns, (int)getpid());
    return 0;
}
