/*
 * Samples of CPUs against programs of known use, on this machine's kernel; and what is made of the
 * kernel's records, against ones that are made here. Where perf events are refused, the first say
 * so and are skipped.
 *
 * The programs are forks of this one: their functions are in sections of their own, so that the
 * symbolizer, which is replaced here, knows them by their addresses.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/cpu_profile.h"
#include "wrapper/probe/cpu_sampler.h"
#include "wrapper/probe/perf_maps.h"
#include "wrapper/probe/perf_ring.h"
#include "wrapper/probe/perf_stacks.h"

/* Callers are found by frame pointers: gcc can be told to keep them here, clang cannot. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")
#define HAS_FRAME_POINTERS true
#else
#define HAS_FRAME_POINTERS false
#endif

/* Threads begin in ThreadSanitizer's library, of which the sampler knows nothing. */
#ifdef __SANITIZE_THREAD__
#define BEGINS_ELSEWHERE true
#else
#define BEGINS_ELSEWHERE false
#endif

enum { SPINS = 2000000, ROUNDS = 100, DEPTH = 200, PROGRAMS = 40, FAST_HZ = 10000 };
static const double usual_hz = 997;

#define IN_SECTION(name) __attribute__((noinline, section(#name)))
#define DECLARE_SECTION(name) extern const char __start_##name[], __stop_##name[]
DECLARE_SECTION(pw_long);
DECLARE_SECTION(pw_short);
DECLARE_SECTION(pw_caller);

/* What a program reports, in memory that it shares with this one. */
struct report {
    int64_t long_ns, short_ns, cpu_ns;
};
static struct report *reports;

IN_SECTION(pw_long) static void spin_long(void)
{
    for (volatile unsigned i = 0; i < SPINS; i++) {}
}

IN_SECTION(pw_short) static void spin_short(void)
{
    for (volatile unsigned i = 0; i < SPINS; i++) {}
}

IN_SECTION(pw_caller) static int64_t burn(void (*spin)(void), int64_t ns)
{
    int64_t began_ns = pw_clock_thread_cpu_ns(), used_ns = 0;
    while (used_ns < ns) {
        spin();
        used_ns = pw_clock_thread_cpu_ns() - began_ns;
    }
    return used_ns;
}

__attribute__((noinline)) static int64_t burn_deep(unsigned depth, int64_t ns)
{
    int64_t used_ns = depth > 0 ? burn_deep(depth - 1, ns) : burn(spin_long, ns);
    return used_ns + (used_ns < 0);
}

static int64_t cpu_of(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * PW_NS_PER_SEC +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Programs */

static void work_both(struct report *report)
{
    for (int i = 0; i < ROUNDS; i++) {
        report->long_ns += burn(spin_long, 14 * PW_NS_PER_MS);
        report->short_ns += burn(spin_short, 6 * PW_NS_PER_MS);
    }
}

static void work_long(struct report *report)
{
    report->long_ns += burn(spin_long, 500 * PW_NS_PER_MS);
}

static void work_short(struct report *report)
{
    report->short_ns += burn(spin_short, 500 * PW_NS_PER_MS);
}

static void work_deep(struct report *report)
{
    report->long_ns += burn_deep(DEPTH, 900 * PW_NS_PER_MS);
}

static void work_forever(struct report *report)
{
    for (;;) {
        report->long_ns += burn(spin_long, PW_NS_PER_MS);
    }
}

static void work_programs(struct report *report)
{
    (void)report;
    for (int i = 0; i < PROGRAMS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
}

/* As a warden: a process that waits for a word, starts the program and waits for it. */
struct warden {
    pid_t pid;
    int pidfd, go;
    struct report *report;
};

struct job {
    void (*work)(struct report *);
    struct report *report;
};

static void *do_job(void *context)
{
    const struct job *job = context;
    job->work(job->report);
    return NULL;
}

static void be_warden(int go, void (*work)(struct report *), struct report *report)
{
    char word = 0;
    if (read(go, &word, 1) != 1) {
        _exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        /* In a thread: whoever called this test has no frame pointers, perhaps. */
        struct job job = {.work = work, .report = report};
        pthread_t thread;
        if (pthread_create(&thread, NULL, do_job, &job) != 0 || pthread_join(thread, NULL) != 0) {
            _exit(1);
        }
        report->cpu_ns = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    _exit(0);
}

static struct warden make_warden(unsigned number, void (*work)(struct report *))
{
    int go[2];
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    struct warden warden = {.go = go[1], .report = &reports[number]};
    *warden.report = (struct report){.cpu_ns = 0};
    warden.pid = fork();
    assert_true(warden.pid >= 0);
    if (warden.pid == 0) {
        setpgid(0, 0);
        close(go[1]);
        be_warden(go[0], work, warden.report);
    }
    setpgid(warden.pid, warden.pid);
    close(go[0]);
    warden.pidfd = (int)syscall(SYS_pidfd_open, warden.pid, 0);
    assert_true(warden.pidfd >= 0);
    return warden;
}

static void let_go(const struct warden *warden)
{
    assert_int_equal(write(warden->go, "g", 1), 1);
}

static void end_warden(struct warden *warden)
{
    kill(-warden->pid, SIGKILL);
    waitpid(warden->pid, NULL, 0);
    pw_fd_done(&warden->pidfd);
    pw_fd_done(&warden->go);
}

/* Drains as perfwrap does, until the warden has ended. */
static void drain_to_end(struct pw_cpu_sampler *sampler, const struct warden *warden)
{
    struct pollfd polls[] = {{.fd = warden->pidfd, .events = POLLIN},
                             {.fd = pw_cpu_sampler_fd(sampler), .events = POLLIN}};
    while (!(polls[0].revents & POLLIN)) {
        assert_true(poll(polls, 2, 100) >= 0);
        pw_cpu_sampler_drain(sampler);
    }
}

/* The symbolizer of these tests: the sections by their names, and nothing else. */

struct asked {
    uint64_t user, kernel, of_file;
};

static bool lies_in(uint64_t address, const char *start, const char *stop)
{
    return address >= (uintptr_t)start && address < (uintptr_t)stop;
}

static const char *name_user(void *context, const struct pw_symbol_place *place,
                             enum pw_frame_kind *ret_kind)
{
    struct asked *asked = context;
    asked->user++;
    asked->of_file += place->file.inode > 0 && place->mapped_at_ns > 0;
    *ret_kind = PW_FRAME_USER;
    if (lies_in(place->address, __start_pw_long, __stop_pw_long)) {
        return "spin_long";
    }
    if (lies_in(place->address, __start_pw_short, __stop_pw_short)) {
        return "spin_short";
    }
    return lies_in(place->address, __start_pw_caller, __stop_pw_caller) ? "burn" : NULL;
}

static const char *name_kernel(void *context, uint64_t address)
{
    ((struct asked *)context)->kernel++;
    return address ? "in_kernel" : NULL;
}

/* What a profile says */

static bool is_named(const struct pw_cpu_profile *profile, const struct pw_stack *stack,
                     uint32_t depth, const char *name)
{
    return depth < stack->depth && strcmp(profile->frames[stack->frames[depth]].name, name) == 0;
}

static int64_t self_ns(const struct pw_cpu_profile *profile, const char *name)
{
    int64_t sum_ns = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        sum_ns +=
            is_named(profile, &profile->stacks[i], 0, name) ? profile->stacks[i].weight_ns : 0;
    }
    return sum_ns;
}

/* Of the stacks of a process that have a frame in a file of this name, wherever it is. */
static uint64_t samples_in(const struct pw_cpu_profile *profile, const char *process,
                           const char *file)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct pw_stack *stack = &profile->stacks[i];
        bool has_file = false;
        for (uint32_t k = 0; k < stack->depth; k++) {
            const char *object = profile->frames[stack->frames[k]].object;
            const char *slash = strrchr(object, '/');
            has_file |= slash && strncmp(slash + 1, file, strlen(file)) == 0;
        }
        if (has_file && strcmp(profile->processes[stack->process], process) == 0) {
            samples += stack->samples;
        }
    }
    return samples;
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

/* NULL: refused here, and said. */
static bool whole_machine; /* what make_sampler() asks for */

static struct pw_cpu_sampler *make_sampler(double hz, unsigned slots)
{
    struct pw_cpu_sampler_options options = {
        .hz = hz, .slots = slots, .whole_machine = whole_machine, .proc_root = "/proc"};
    struct pw_cpu_sampler *sampler = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_cpu_sampler_new(&options, &sampler, &err) != 0) {
        assert_true(err.cls == PW_ERR_SYSTEM && err.remedy[0] != '\0');
        print_message("perf events are refused here: %s: %s\n", err.message, err.remedy);
        return NULL;
    }
    return sampler;
}

static void watch(struct pw_cpu_sampler *sampler, unsigned slot, const struct warden *warden)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_cpu_sampler_watch(sampler, slot, warden->pid, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static struct asked take(struct pw_cpu_sampler *sampler, unsigned slot,
                         struct pw_cpu_profile *ret_profile)
{
    struct pw_err err = PW_ERR_INIT;
    struct asked asked = {.user = 0};
    const struct pw_symbolizer symbolizer = {
        .context = &asked, .user = name_user, .kernel = name_kernel};
    pw_cpu_profile_init(ret_profile, 0);
    if (pw_cpu_sampler_take(sampler, slot, &symbolizer, ret_profile, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return asked;
}

#define SAMPLER_OR_SKIP(name, hz, slots)                         \
    struct pw_cpu_sampler *(name) = make_sampler((hz), (slots)); \
    if (!(name)) {                                               \
        skip();                                                  \
    }

static void assert_share(double part, double whole, double expected, double tolerance,
                         const char *what)
{
    print_message("%s: %.2f %%\n", what, 100 * part / whole);
    if (!(fabs(part / whole - expected) <= tolerance)) {
        fail_msg("%s: %.2f %%, not %.2f %%", what, 100 * part / whole, 100 * expected);
    }
}

/* Tests */

static void two_functions(void **state)
{
    (void)state;
    unsigned files = open_files();
    int64_t began_ns = pw_clock_now_ns();
    SAMPLER_OR_SKIP(sampler, usual_hz, 1);
    struct warden warden = make_warden(0, work_both);
    watch(sampler, 0, &warden);
    let_go(&warden);
    drain_to_end(sampler, &warden);
    pw_cpu_sampler_unwatch(sampler, 0);

    struct pw_cpu_profile profile;
    struct asked asked = take(sampler, 0, &profile);
    double long_ns = (double)self_ns(&profile, "spin_long"),
           short_ns = (double)self_ns(&profile, "spin_short"),
           worked_ns = (double)(warden.report->long_ns + warden.report->short_ns);
    assert_share(long_ns, long_ns + short_ns, (double)warden.report->long_ns / worked_ns, 0.03,
                 "the longer of two functions");
    assert_share((double)warden.report->long_ns, worked_ns, 0.7, 0.03, "as it was made");
    assert_share((double)profile.weight_ns, (double)warden.report->cpu_ns, 1, 0.03,
                 "samples of the CPU time");
    assert_share((double)pw_cpu_sampler_counted_ns(sampler, 0), (double)warden.report->cpu_ns, 1,
                 0.05, "what the kernel has counted");
    assert_share(long_ns + short_ns, (double)profile.weight_ns, 1, 0.1, "in both functions");
    assert_int_equal(profile.lost, 0);
    assert_int_equal(profile.beyond_limit, 0);
    assert_near((double)profile.weight_ns, (double)profile.samples * round(1e9 / usual_hz));
    assert_true(profile.first_at_ns >= began_ns && profile.last_at_ns <= pw_clock_now_ns());
    assert_true(profile.last_at_ns - profile.first_at_ns >= 1000 * PW_NS_PER_MS);
    /* A stack is symbolized once. */
    assert_true(asked.user < profile.samples / 2);
    if (HAS_FRAME_POINTERS) {
        uint64_t called = 0;
        for (size_t i = 0; i < profile.stack_count; i++) {
            const struct pw_stack *stack = &profile.stacks[i];
            called += is_named(&profile, stack, 1, "burn") ? stack->samples : 0;
        }
        assert_share((double)called, (double)profile.samples, 1, 0.1, "with their caller");
        if (!BEGINS_ELSEWHERE) {
            assert_share((double)profile.broken, (double)profile.samples, 0, 0.1, "broken stacks");
        }
    }
    pw_cpu_profile_done(&profile);
    take(sampler, 0, &profile);
    assert_int_equal(profile.samples, 0);
    pw_cpu_profile_done(&profile);
    end_warden(&warden);
    pw_cpu_sampler_free(sampler);
    assert_int_equal(open_files(), files);
}

static void short_programs(void **state)
{
    (void)state;
    SAMPLER_OR_SKIP(sampler, FAST_HZ, 1);
    struct warden warden = make_warden(0, work_programs);
    watch(sampler, 0, &warden);
    let_go(&warden);
    drain_to_end(sampler, &warden);
    pw_cpu_sampler_unwatch(sampler, 0);
    struct pw_cpu_profile profile;
    struct asked asked = take(sampler, 0, &profile);
    uint64_t loader = samples_in(&profile, "true", "ld-"),
             libc = samples_in(&profile, "true", "libc");
    print_message("%d programs: %lu samples, %lu in the loader, %lu in the C library, %zu stacks\n",
                  PROGRAMS, profile.samples, loader, libc, profile.stack_count);
    assert_true(loader >= PROGRAMS / 2);
    assert_true(samples_in(&profile, "true", "test_cpu_sampler") == 0);
    assert_int_equal(profile.lost, 0);
    print_message("%lu of %lu places are in a file that is told\n", asked.of_file, asked.user);
    assert_true(asked.of_file > asked.user / 2);
    if (pw_cpu_sampler_has_kernel(sampler)) {
        assert_true(asked.kernel > 0);
    }
    pw_cpu_profile_done(&profile);
    end_warden(&warden);
    pw_cpu_sampler_free(sampler);
}

static void two_slots(void **state)
{
    (void)state;
    unsigned files = open_files();
    SAMPLER_OR_SKIP(sampler, usual_hz, 2);
    struct warden wardens[] = {make_warden(0, work_long), make_warden(1, work_short)};
    for (unsigned i = 0; i < 2; i++) {
        watch(sampler, i, &wardens[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        let_go(&wardens[i]);
    }
    static const char *const own[] = {"spin_long", "spin_short"};
    for (unsigned i = 0; i < 2; i++) {
        drain_to_end(sampler, &wardens[i]);
        pw_cpu_sampler_unwatch(sampler, i);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct pw_cpu_profile profile;
        take(sampler, i, &profile);
        assert_share((double)self_ns(&profile, own[i]), (double)wardens[i].report->cpu_ns, 1, 0.1,
                     own[i]);
        assert_int_equal(self_ns(&profile, own[1 - i]), 0);
        pw_cpu_profile_done(&profile);
        end_warden(&wardens[i]);
    }
    pw_cpu_sampler_free(sampler);
    assert_int_equal(open_files(), files);
}

/* Waits until a running program has used so much more. */
static void await_use(const struct warden *warden, int64_t more_ns)
{
    volatile int64_t *used_ns = &warden->report->long_ns;
    int64_t until_ns = *used_ns + more_ns;
    while (*used_ns < until_ns) {
        sched_yield();
    }
}

static void unwatched(void **state)
{
    (void)state;
    SAMPLER_OR_SKIP(sampler, usual_hz, 1);
    struct warden warden = make_warden(0, work_forever);
    struct pw_err err = PW_ERR_INIT;
    watch(sampler, 0, &warden);
    assert_int_equal(pw_cpu_sampler_watch(sampler, 0, warden.pid, &err), -1);
    let_go(&warden);
    await_use(&warden, 50 * PW_NS_PER_MS);
    pw_cpu_sampler_unwatch(sampler, 0);
    int64_t ended_ns = pw_clock_now_ns();
    await_use(&warden, 50 * PW_NS_PER_MS);
    pw_cpu_sampler_drain(sampler);
    struct pw_cpu_profile profile;
    take(sampler, 0, &profile);
    assert_in_range(profile.samples, 40, 100);
    assert_true(profile.last_at_ns <= ended_ns);
    pw_cpu_profile_done(&profile);
    /* Again, for what is running: without its maps, which are its warden's here. */
    watch(sampler, 0, &warden);
    await_use(&warden, 20 * PW_NS_PER_MS);
    pw_cpu_sampler_unwatch(sampler, 0);
    take(sampler, 0, &profile);
    assert_int_equal(profile.samples, 0); /* it was not started below the watch */
    pw_cpu_profile_done(&profile);
    end_warden(&warden);
    pw_cpu_sampler_free(sampler);
}

/* Nobody drains: the descriptor says so, what does not fit is counted, and with it all is there.
 * The stacks are deeper than the kernel walks. */
static void full_buffers(void **state)
{
    (void)state;
    SAMPLER_OR_SKIP(sampler, FAST_HZ, 1);
    struct warden warden = make_warden(0, work_deep);
    struct pollfd polls[] = {{.fd = warden.pidfd, .events = POLLIN},
                             {.fd = pw_cpu_sampler_fd(sampler), .events = POLLIN}};
    watch(sampler, 0, &warden);
    assert_int_equal(poll(&polls[1], 1, 0), 0);
    let_go(&warden);
    assert_int_equal(poll(&polls[0], 1, -1), 1);
    bool is_readable = poll(&polls[1], 1, 0) == 1;
    pw_cpu_sampler_unwatch(sampler, 0);
    struct pw_cpu_profile profile;
    take(sampler, 0, &profile);
    print_message("%lu samples, %lu lost\n", profile.samples, profile.lost);
    if (HAS_FRAME_POINTERS) {
        assert_true(is_readable);
        assert_true(profile.lost > 0);
        assert_share((double)profile.broken, (double)profile.samples, 1, 0.05, "broken stacks");
    }
    assert_share((double)(profile.samples + profile.lost) * (1e9 / FAST_HZ),
                 (double)warden.report->cpu_ns, 1, 0.05, "samples and lost ones");
    pw_cpu_profile_done(&profile);
    end_warden(&warden);
    pw_cpu_sampler_free(sampler);
}

static void refusals(void **state)
{
    (void)state;
    static const double wrong[] = {0, 0.5, -1, 10001, NAN, INFINITY};
    unsigned files = open_files();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pw_cpu_sampler_options options = {.hz = wrong[i], .slots = 1, .proc_root = "/proc"};
        struct pw_cpu_sampler *sampler = NULL;
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_cpu_sampler_new(&options, &sampler, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_null(sampler);
    }
    SAMPLER_OR_SKIP(sampler, usual_hz, 1);
    struct warden warden = make_warden(0, work_long);
    end_warden(&warden);
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_cpu_sampler_watch(sampler, 0, warden.pid, &err), -1);
    assert_int_equal(err.sys, ESRCH);
    pw_cpu_sampler_unwatch(sampler, 0);
    assert_string_equal(pw_cpu_sampler_event(sampler), "cpu-clock");
    pw_cpu_sampler_free(sampler);
    pw_cpu_sampler_free(NULL);
    assert_int_equal(open_files(), files);
}

/* Records that are made here */

struct record {
    struct perf_event_header header;
    unsigned char body[512];
};

static void tell(struct pw_perf_maps *maps, uint32_t type, uint16_t misc, const void *body,
                 size_t size)
{
    struct record record = {.header = {.type = type, .misc = misc}};
    memcpy(record.body, body, size);
    size_t padded = (size + 7) / 8 * 8;
    record.header.size = (uint16_t)(sizeof record.header + padded + sizeof(struct pw_perf_tail));
    pw_perf_maps_record(maps, &record.header);
}

static void tell_task(struct pw_perf_maps *maps, uint32_t type, uint32_t pid, uint32_t ppid,
                      uint32_t tid)
{
    uint32_t body[] = {pid, ppid, tid, ppid, 0, 0};
    tell(maps, type, 0, body, sizeof body);
}

static void tell_exec(struct pw_perf_maps *maps, uint32_t pid, const char *name)
{
    unsigned char body[8 + 16] = {0};
    memcpy(body, (uint32_t[]){pid, pid}, 8);
    memcpy(body + 8, name, strlen(name) + 1);
    tell(maps, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, body, sizeof body);
}

/* Of device 8:1. The flag is one that kernels leave there for others' sake. */
static void tell_inode(struct pw_perf_maps *maps, uint32_t pid, const uint64_t range[3],
                       uint64_t inode, const char *path)
{
    unsigned char body[256] = {0};
    memcpy(body, (uint32_t[]){pid, pid}, 8);
    memcpy(body + 8, range, 24);
    memcpy(body + 32, (uint32_t[]){8, 1}, 8);
    memcpy(body + 40, (uint64_t[]){inode, 77}, 16);
    memcpy(body + 56, (uint32_t[]){PROT_READ | PROT_EXEC, 0}, 8);
    memcpy(body + 64, path, strlen(path) + 1);
    tell(maps, PERF_RECORD_MMAP2, inode % 2 ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0, body,
         64 + (strlen(path) + 8) / 8 * 8);
}

static void tell_map(struct pw_perf_maps *maps, uint32_t pid, uint64_t start, uint64_t length,
                     uint64_t offset, const char *path)
{
    tell_inode(maps, pid, (uint64_t[]){start, length, offset}, 4, path);
}

static void assert_place(const struct pw_perf_maps *maps, pid_t pid, uint64_t address,
                         const char *path, uint64_t offset)
{
    uint64_t found = 0;
    uint32_t object = pw_perf_maps_resolve(maps, pid, address, &found);
    if (!path) {
        assert_int_equal(object, PW_PERF_OBJECT_NOWHERE);
        return;
    }
    assert_int_not_equal(object, PW_PERF_OBJECT_NOWHERE);
    assert_string_equal(pw_perf_maps_object(maps, object)->path, path);
    assert_int_equal(found, offset);
}

static void maps_of_a_tree(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    assert_non_null(maps);
    tell_task(maps, PERF_RECORD_FORK, 10, 9, 10);
    assert_place(maps, 10, 0x1000, NULL, 0);
    tell_exec(maps, 10, "first");
    tell_map(maps, 10, 0x10000, 0x8000, 0x1000, "/bin/first");
    assert_string_equal(pw_perf_maps_comm(maps, 10), "first");
    assert_place(maps, 10, 0x10000, "/bin/first", 0x1000);
    assert_place(maps, 10, 0x17fff, "/bin/first", 0x8fff);
    assert_place(maps, 10, 0x18000, NULL, 0);
    assert_place(maps, 10, 0xffff, NULL, 0);

    /* A fork has its parent's, and what either maps later is its own. */
    tell_task(maps, PERF_RECORD_FORK, 11, 10, 11);
    tell_map(maps, 11, 0x12000, 0x2000, 0, "/lib/b.so");
    assert_place(maps, 11, 0x11fff, "/bin/first", 0x2fff);
    assert_place(maps, 11, 0x12000, "/lib/b.so", 0);
    assert_place(maps, 11, 0x14000, "/bin/first", 0x5000);
    assert_place(maps, 10, 0x12000, "/bin/first", 0x3000);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "first");

    /* Over several, over all. */
    tell_map(maps, 11, 0x11000, 0x4000, 0, "/lib/c.so");
    assert_place(maps, 11, 0x13000, "/lib/c.so", 0x2000);
    assert_place(maps, 11, 0x15000, "/bin/first", 0x6000);
    tell_map(maps, 11, 0, 0x100000, 0, "//anon");
    assert_place(maps, 11, 0x15000, "", 0x15000);
    assert_place(maps, 11, 0x10000, "", 0x10000);

    /* An exec has nothing of what was before. */
    tell_exec(maps, 11, "second");
    assert_place(maps, 11, 0x15000, NULL, 0);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "second");
    assert_place(maps, 10, 0x12000, "/bin/first", 0x3000);

    /* A process lives as long as one of its threads; its pid may then be another's. */
    tell_task(maps, PERF_RECORD_FORK, 10, 10, 20);
    tell_task(maps, PERF_RECORD_EXIT, 10, 9, 10);
    assert_place(maps, 10, 0x10000, "/bin/first", 0x1000);
    assert_int_equal(pw_perf_maps_processes(maps), 2);
    tell_task(maps, PERF_RECORD_EXIT, 10, 9, 20);
    assert_place(maps, 10, 0x10000, NULL, 0);
    assert_int_equal(pw_perf_maps_processes(maps), 1);
    tell_task(maps, PERF_RECORD_FORK, 11, 9, 11);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "");
    assert_int_equal(pw_perf_maps_dropped(maps), 0);

    /* One that has gone is known by its name, until a thousand others have. */
    tell_exec(maps, 11, "late");
    tell_task(maps, PERF_RECORD_EXIT, 11, 9, 11);
    assert_true(pw_perf_maps_knows(maps, 11));
    assert_string_equal(pw_perf_maps_comm(maps, 11), "late");
    assert_int_equal(pw_perf_maps_processes(maps), 0);
    for (uint32_t pid = 1000; pid < 3000; pid++) {
        tell_task(maps, PERF_RECORD_FORK, pid, 9, pid);
        tell_task(maps, PERF_RECORD_EXIT, pid, 9, pid);
    }
    assert_false(pw_perf_maps_knows(maps, 11));
    assert_true(pw_perf_maps_knows(maps, 2999));
    pw_perf_maps_forget(maps, 2999);
    assert_false(pw_perf_maps_knows(maps, 2999));
    assert_int_equal(pw_perf_maps_processes(maps), 0);
    pw_perf_maps_free(maps);
}

static void maps_share_objects(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    uint64_t offset = 0;
    for (uint32_t pid = 1; pid <= 1000; pid++) {
        tell_map(maps, pid, UINT64_C(0x1000) * pid, 0x1000, 0, "/bin/same");
        tell_map(maps, pid, 0x1000000, 0x1000, 0, "//anon");
    }
    uint32_t first = pw_perf_maps_resolve(maps, 1, 0x1010, &offset);
    assert_int_equal(first, pw_perf_maps_resolve(maps, 999, 0x1000 * 999 + 0x10, &offset));
    assert_int_equal(offset, 0x10);
    const struct pw_perf_object *object = pw_perf_maps_object(maps, first);
    assert_int_equal(object->file.inode, 4);
    assert_int_equal(object->pid, 1000);
    /* What is made in memory is each process's own. */
    assert_int_not_equal(pw_perf_maps_resolve(maps, 1, 0x1000010, &offset),
                         pw_perf_maps_resolve(maps, 2, 0x1000010, &offset));
    assert_int_equal(pw_perf_maps_processes(maps), 1000);

    /* The kernel's own image is one for all; it tells the address as its offset. */
    tell_map(maps, 1, 0x7000000, 0x2000, 0x7000000, "[vdso]");
    tell_map(maps, 2, 0x8000000, 0x2000, 0x8000000, "[vdso]");
    assert_place(maps, 1, 0x7001234, "[vdso]", 0x1234);
    assert_place(maps, 2, 0x8001234, "[vdso]", 0x1234);
    assert_int_equal(pw_perf_maps_resolve(maps, 1, 0x7000010, &offset),
                     pw_perf_maps_resolve(maps, 2, 0x8000010, &offset));

    /* One path, two files. */
    tell_inode(maps, 1, (uint64_t[]){0x9000000, 0x1000, 0}, 5, "/bin/new");
    tell_inode(maps, 2, (uint64_t[]){0x9000000, 0x1000, 0}, 5, "/bin/new");
    tell_inode(maps, 3, (uint64_t[]){0x9000000, 0x1000, 0}, 6, "/bin/new");
    uint32_t five = pw_perf_maps_resolve(maps, 1, 0x9000010, &offset);
    assert_int_equal(five, pw_perf_maps_resolve(maps, 2, 0x9000010, &offset));
    assert_int_not_equal(five, pw_perf_maps_resolve(maps, 3, 0x9000010, &offset));
    object = pw_perf_maps_object(maps, five);
    assert_int_equal(object->file.major, 8);
    assert_int_equal(object->file.minor, 1);
    assert_int_equal(object->file.inode, 5);
    assert_int_equal(object->file.generation, 77);
    pw_perf_maps_free(maps);
}

static void malformed_records(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    for (uint32_t type = 0; type < 32; type++) {
        for (uint16_t size = 0; size <= 128; size++) {
            /* On the heap and exactly that large: a sanitizer sees what is read beyond. */
            size_t bytes =
                size < sizeof(struct perf_event_header) ? sizeof(struct perf_event_header) : size;
            struct perf_event_header *record = malloc(bytes);
            struct pw_perf_tail tail;
            assert_non_null(record);
            memset(record, 0xff, bytes);
            record->type = type;
            record->size = size;
            pw_perf_maps_record(maps, record);
            if (type == PERF_RECORD_SAMPLE && pw_perf_tail_read(record, &tail)) {
                struct pw_perf_stacks stacks = {.stack_count = 0};
                pw_perf_stacks_add(&stacks, maps, 127, record);
                assert_int_equal(stacks.stack_count, 0);
                pw_perf_stacks_done(&stacks);
            }
            free(record);
        }
    }
    pw_perf_maps_free(maps);
}

/* Samples of addresses in one map: which of them become frames. */
static void add_chain(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                      const uint64_t *chain, size_t length)
{
    struct {
        struct perf_event_header header;
        uint64_t words[64];
    } record = {.header = {.type = PERF_RECORD_SAMPLE}};
    struct pw_perf_sample fixed = {.pid = 5, .time_ns = 77, .period = 1000, .chain_length = length};
    memcpy(record.words, &fixed, sizeof fixed);
    memcpy((unsigned char *)record.words + sizeof fixed, chain, length * sizeof *chain);
    record.header.size = (uint16_t)(sizeof record.header + sizeof fixed + length * sizeof *chain);
    pw_perf_stacks_add(stacks, maps, 8, &record.header);
}

static void chains(void **state)
{
    (void)state;
    const uint64_t user = (uint64_t)PERF_CONTEXT_USER, kernel = (uint64_t)PERF_CONTEXT_KERNEL;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    struct pw_perf_stacks stacks = {.stack_count = 0};
    tell_map(maps, 5, 0x10000, 0x10000, 0, "/bin/five");
    add_chain(
        &stacks, maps,
        (uint64_t[]){kernel, 0xffffffff81000010, 0xffffffff81000020, user, 0x10100, 0x10200, 0}, 7);
    assert_int_equal(stacks.stack_count, 1);
    const struct pw_perf_stack *stack = &stacks.stacks[0];
    assert_int_equal(stack->depth, 4);
    assert_int_equal(stack->user_depth, 2);
    assert_false(stack->cut);
    static const uint64_t offsets[] = {0xffffffff81000010, 0xffffffff8100001f, 0x100, 0x1ff};
    for (size_t i = 0; i < 4; i++) {
        assert_true(stacks.frames[stacks.words[stack->first + i]].offset == offsets[i]);
    }
    /* Once more the same, one whose caller is no code, one as deep as it can be. */
    add_chain(
        &stacks, maps,
        (uint64_t[]){kernel, 0xffffffff81000010, 0xffffffff81000020, user, 0x10100, 0x10200, 1}, 7);
    assert_int_equal(stacks.stack_count, 1);
    assert_int_equal(stacks.stacks[0].samples, 2);
    add_chain(&stacks, maps, (uint64_t[]){user, 0x10100, 0x7777777}, 3);
    assert_true(stacks.stacks[1].cut);
    assert_int_equal(stacks.stacks[1].depth, 1);
    uint64_t deep[9] = {user,    0x10001, 0x10002, 0x10003, 0x10004,
                        0x10005, 0x10006, 0x10007, 0x10008};
    add_chain(&stacks, maps, deep, 9);
    assert_true(stacks.stacks[2].cut);
    add_chain(&stacks, maps, deep, 8);
    assert_false(stacks.stacks[3].cut);
    /* A leaf that is nowhere stays one. */
    add_chain(&stacks, maps, (uint64_t[]){user, 0x50}, 2);
    assert_int_equal(stacks.frames[stacks.words[stacks.stacks[4].first]].object,
                     PW_PERF_OBJECT_NOWHERE);
    assert_int_equal(stacks.beyond, 0);
    add_chain(&stacks, maps, &user, 0);
    assert_int_equal(stacks.beyond, 1);
    assert_int_equal(stacks.beyond_ns, 1000);
    pw_perf_stacks_done(&stacks);
    pw_perf_maps_free(maps);
}

/* Programs that are shorter than a period: only who looks at all that runs sees them as they are.
 */
static void whole_machine_sampled(void **state)
{
    (void)state;
    unsigned files = open_files();
    whole_machine = true;
    struct pw_cpu_sampler *sampler = make_sampler(usual_hz, 2);
    whole_machine = false;
    if (!sampler || !pw_cpu_sampler_is_whole(sampler)) {
        print_message("sampling the whole machine is refused here\n");
        pw_cpu_sampler_free(sampler);
        skip();
    }
    struct warden wardens[] = {make_warden(0, work_programs), make_warden(1, work_both)};
    for (unsigned i = 0; i < 2; i++) {
        watch(sampler, i, &wardens[i]);
        let_go(&wardens[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        drain_to_end(sampler, &wardens[i]);
        pw_cpu_sampler_unwatch(sampler, i);
    }
    struct pw_cpu_profile profile;
    take(sampler, 0, &profile);
    print_message("%lu samples of %.1f ms\n", profile.samples,
                  (double)wardens[0].report->cpu_ns / 1e6);
    assert_true((double)profile.weight_ns > 0.4 * (double)wardens[0].report->cpu_ns);
    assert_int_equal(self_ns(&profile, "spin_long"), 0);
    pw_cpu_profile_done(&profile);
    take(sampler, 1, &profile);
    double long_ns = (double)self_ns(&profile, "spin_long"),
           short_ns = (double)self_ns(&profile, "spin_short"),
           worked_ns = (double)(wardens[1].report->long_ns + wardens[1].report->short_ns);
    assert_share(long_ns, long_ns + short_ns, (double)wardens[1].report->long_ns / worked_ns, 0.05,
                 "the longer of two functions");
    assert_share((double)profile.weight_ns, (double)wardens[1].report->cpu_ns, 1, 0.1,
                 "samples of the CPU time");
    assert_int_equal(samples_in(&profile, "true", ""), 0);
    assert_int_equal(profile.lost, 0);
    pw_cpu_profile_done(&profile);
    for (unsigned i = 0; i < 2; i++) {
        end_warden(&wardens[i]);
    }
    pw_cpu_sampler_free(sampler);
    assert_int_equal(open_files(), files);
}

static int share_reports(void **state)
{
    (void)state;
    reports = mmap(NULL, sizeof(struct report) * 2, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return reports == MAP_FAILED ? -1 : 0;
}

static int drop_reports(void **state)
{
    (void)state;
    return munmap(reports, sizeof(struct report) * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_of_a_tree),
        cmocka_unit_test(maps_share_objects),
        cmocka_unit_test(malformed_records),
        cmocka_unit_test(chains),
        cmocka_unit_test(refusals),
        cmocka_unit_test(two_functions),
        cmocka_unit_test(short_programs),
        cmocka_unit_test(two_slots),
        cmocka_unit_test(unwatched),
        cmocka_unit_test(full_buffers),
        cmocka_unit_test(whole_machine_sampled),
    };
    return cmocka_run_group_tests(tests, share_reports, drop_reports);
}
