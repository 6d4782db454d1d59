/*
 * Samples of CPUs against programs of known use, on this machine's kernel. Where perf events are
 * refused, these tests say so and are skipped.
 *
 * The programs are forks of this one: their functions are in sections of their own, so that the
 * symbolizer, which is replaced here, knows them by their addresses.
 */
#include "tests/unit/unit.h"

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

/* The share of its CPU time that the worse of two workers has in its profile. */
static double sample_two(struct pw_cpu_sampler *sampler)
{
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
    double worse = 1;
    for (unsigned i = 0; i < 2; i++) {
        struct pw_cpu_profile profile;
        take(sampler, i, &profile);
        assert_int_equal(self_ns(&profile, own[1 - i]), 0);
        double share = (double)self_ns(&profile, own[i]) / (double)wardens[i].report->cpu_ns;
        worse = fabs(share - 1) > fabs(worse - 1) ? share : worse;
        pw_cpu_profile_done(&profile);
        end_warden(&wardens[i]);
    }
    return worse;
}

/*
 * Periods that pass while the machine holds the timer back, as a busy host does, are not in the
 * kernel's cpu-clock; and of a whole machine it is a sample of the time, with its chance where
 * CPUs are shared. So a share may be tried for more than once.
 */
static void assert_share_soon(double (*share_of)(struct pw_cpu_sampler *sampler),
                              struct pw_cpu_sampler *sampler, double tolerance, const char *what)
{
    double share = share_of(sampler);
    for (int attempt = 1; attempt < 5 && fabs(share - 1) > tolerance; attempt++) {
        share = share_of(sampler);
    }
    assert_share(share, 1, 1, tolerance, what);
}

static void two_slots(void **state)
{
    (void)state;
    unsigned files = open_files();
    SAMPLER_OR_SKIP(sampler, usual_hz, 2);
    assert_share_soon(sample_two, sampler, 0.1, "the worse of two");
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
 * The stacks are deeper than the kernel walks. Returns how much of the CPU time samples and lost
 * ones make up. */
static double fill_buffers(struct pw_cpu_sampler *sampler)
{
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
    double counted_ns = (double)(profile.samples + profile.lost) * (1e9 / FAST_HZ);
    double share = counted_ns / (double)warden.report->cpu_ns;
    pw_cpu_profile_done(&profile);
    end_warden(&warden);
    return share;
}

static void full_buffers(void **state)
{
    (void)state;
    SAMPLER_OR_SKIP(sampler, FAST_HZ, 1);
    assert_share_soon(fill_buffers, sampler, 0.05, "samples and lost ones");
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
