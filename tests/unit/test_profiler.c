/*
 * wrapper/run/profiler with real programs on this machine's kernel: what the profile says against
 * what the program says of itself. Where perf events are refused, the tests say so and are skipped.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/run/profiler.h"

/* Where CPUs are shared with others, samples of the whole machine hit by chance: more of them. */
enum {
    WORK_MS = 1000,
    WORK_MS_BY_CHANCE = 3000,
    NOBODY = 65534,
    TICK_MS = 100,
    REFUSED_STATUS = 77
};
static const double usual_hz = 997;

/* A process that waits for a word, starts a program and waits for it: as a warden. */
struct warden {
    pid_t pid;
    int go, pidfd, output;
    struct rusage use; /* of the program and what it waited for */
};

struct truth {
    double heavy_ns, light_ns, all_ns;
    int pid;
};

static char *target_path(const char *name)
{
    const char *folder = getenv("PW_TARGETS");
    if (!folder) {
        print_message("PW_TARGETS is not set\n");
        skip();
    }
    return pw_path_join(folder, name, NULL);
}

/* The program as a file that is in a mount namespace of this process alone; or ends it. */
static char *hide_program(const char *folder, const char *program)
{
    PW_FREE_AUTO char *text = NULL;
    char *path = pw_path_join(folder, "program", NULL);
    size_t size = 0;
    if (!path || pw_file_read(program, 1 << 24, &text, &size, NULL) != 0 ||
        unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, NULL) != 0 ||
        pw_file_write(path, text, size, 0700, NULL) != 0) {
        _exit(REFUSED_STATUS);
    }
    return path;
}

static void be_warden(int go, int output, const char *hidden_in, char *const *argv)
{
    char word = 0;
    if (read(go, &word, 1) != 1) {
        _exit(1);
    }
    const char *program = hidden_in ? hide_program(hidden_in, argv[0]) : argv[0];
    pid_t pid = fork();
    if (pid == 0) {
        dup2(output, STDOUT_FILENO);
        execv(program, argv);
        _exit(REFUSED_STATUS);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static struct warden make_warden(const char *folder, char *const *argv)
{
    int go[2], output[2];
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct warden warden = {.go = go[1], .output = output[0]};
    warden.pid = fork();
    assert_true(warden.pid >= 0);
    if (warden.pid == 0) {
        close(go[1]);
        be_warden(go[0], output[1], folder, argv);
    }
    close(go[0]);
    close(output[1]);
    warden.pidfd = (int)syscall(SYS_pidfd_open, warden.pid, 0);
    assert_true(warden.pidfd >= 0);
    return warden;
}

static struct pw_profiler *open_or_skip(const struct pw_profiler_options *options)
{
    struct pw_profiler *profiler = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_profiler_open(options, &profiler, &err) != 0) {
        assert_true(err.cls == PW_ERR_SYSTEM && err.remedy[0] != '\0');
        print_message("perf events are refused here: %s: %s\n", err.message, err.remedy);
        skip();
    }
    return profiler;
}

static void watch(struct pw_profiler *profiler, unsigned slot, const struct warden *warden)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_profiler_watch(profiler, slot, warden->pid, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(write(warden->go, "g", 1), 1);
}

/* Drains as a session does until the warden has ended; returns its exit status. */
static int await(struct pw_profiler *profiler, struct warden *warden)
{
    struct pollfd polls[] = {{.fd = warden->pidfd, .events = POLLIN},
                             {.fd = pw_profiler_fd(profiler), .events = POLLIN}};
    while (!(polls[0].revents & POLLIN)) {
        assert_true(poll(polls, 2, TICK_MS) >= 0);
        pw_profiler_drain(profiler);
    }
    int status = 0;
    assert_int_equal(wait4(warden->pid, &status, 0, &warden->use), warden->pid);
    pw_fd_done(&warden->pidfd);
    pw_fd_done(&warden->go);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static double number_behind(const char *text, const char *word)
{
    const char *found = strstr(text, word);
    assert_non_null(found);
    return strtod(found + strlen(word), NULL);
}

static struct truth truth_of(struct warden *warden)
{
    struct truth truth = {.pid = 0};
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_fd_read_all(warden->output, "output", 4096, &text, NULL, NULL), 0);
    pw_fd_done(&warden->output);
    if (text[0] != '\0') {
        truth.heavy_ns = number_behind(text, "heavy ");
        truth.light_ns = number_behind(text, "light ");
        truth.all_ns = number_behind(text, "all ");
        truth.pid = (int)number_behind(text, "pid ");
    }
    return truth;
}

static void take(struct pw_profiler *profiler, unsigned slot, struct pw_cpu_profile *ret_profile)
{
    struct pw_err err = PW_ERR_INIT;
    pw_cpu_profile_init(ret_profile, 0);
    if (pw_profiler_take(profiler, slot, ret_profile, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

/* One program from its start to its profile. Returns its exit status. */
static int run(struct pw_profiler *profiler, const char *folder, char *const *argv,
               struct pw_cpu_profile *ret_profile, struct truth *ret_truth)
{
    struct warden warden = make_warden(folder, argv);
    watch(profiler, 0, &warden);
    int status = await(profiler, &warden);
    pw_profiler_end(profiler, 0);
    *ret_truth = truth_of(&warden);
    take(profiler, 0, ret_profile);
    print_message("%s: %lu samples, %.1f ms, %lu broken, %lu lost\n", argv[0], ret_profile->samples,
                  (double)ret_profile->weight_ns / 1e6, ret_profile->broken, ret_profile->lost);
    return status;
}

/* What all hotspots of a name have, also those that are never a leaf. */
struct part {
    double self_ns, total_ns;
    enum pw_frame_kind kind;
};
static struct part part_of(const struct pw_cpu_profile *profile, const char *name)
{
    struct part part = {.kind = PW_FRAME_UNKNOWN};
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct pw_stack *stack = &profile->stacks[i];
        for (uint32_t k = 0; k < stack->depth; k++) {
            const struct pw_frame *frame = &profile->frames[stack->frames[k]];
            if (strcmp(frame->name, name) == 0) {
                part.kind = frame->kind;
                part.self_ns += k == 0 ? (double)stack->weight_ns : 0;
                part.total_ns += (double)stack->weight_ns;
                break;
            }
        }
    }
    return part;
}

static double kernel_leaves_ns(const struct pw_cpu_profile *profile)
{
    double sum_ns = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct pw_stack *stack = &profile->stacks[i];
        bool is_kernel = profile->frames[stack->frames[0]].kind == PW_FRAME_KERNEL;
        sum_ns += is_kernel ? (double)stack->weight_ns : 0;
    }
    return sum_ns;
}

/* Of all samples: those whose leaf has a name like "[program+0x1234]". */
static double unnamed_ns(const struct pw_cpu_profile *profile, const char *begin)
{
    double sum_ns = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct pw_stack *stack = &profile->stacks[i];
        const char *name = profile->frames[stack->frames[0]].name;
        sum_ns += strncmp(name, begin, strlen(begin)) == 0 ? (double)stack->weight_ns : 0;
    }
    return sum_ns;
}

static void assert_ratio(double part, double whole, double expected, double tolerance,
                         const char *what)
{
    print_message("%s: %.2f %%\n", what, 100 * part / whole);
    if (!(fabs(part / whole - expected) <= tolerance)) {
        fail_msg("%s: %.2f %%, not %.2f %%", what, 100 * part / whole, 100 * expected);
    }
}

/* Whether what ran in user space has no name but "[program+0x1234]". What the kernel does
 * meanwhile, also for others (interrupts), has names whatever became of the program. */
static void assert_unnamed(const struct pw_cpu_profile *profile, bool expected)
{
    double user_ns = (double)profile->weight_ns - kernel_leaves_ns(profile);
    print_message("%.1f ms, of them %.1f in user space\n", (double)profile->weight_ns / 1e6,
                  user_ns / 1e6);
    assert_ratio(unnamed_ns(profile, "[program+0x"), user_ns, expected, 0.1, "object and offset");
}

/* Tests */

/* In both modes: the hotspots are the program's own 70 and 30, and all weights its CPU time. */
static void check_two_functions(bool inherited_only)
{
    unsigned files = open_files();
    PW_FREE_AUTO char *path = target_path("two_functions");
    const struct pw_profiler_options options = {
        .hz = usual_hz, .slots = 1, .inherited_only = inherited_only};
    struct pw_profiler *profiler = open_or_skip(&options);
    const struct pw_profiler_facts *facts = pw_profiler_facts(profiler);
    print_message("%s\n", facts->text);
    assert_true(!inherited_only || strcmp(facts->mode, "inherited") == 0);
    assert_string_equal(facts->event, "cpu-clock");
    for (int round = 0; round < 2; round++) { /* as two iterations */
        struct pw_cpu_profile profile;
        struct truth truth;
        char ms[16];
        snprintf(ms, sizeof ms, "%d", inherited_only ? WORK_MS : WORK_MS_BY_CHANCE);
        int status =
            run(profiler, NULL, (char *const[]){path, ms, "plain", NULL}, &profile, &truth);
        assert_int_equal(status, 0);
        struct part heavy = part_of(&profile, "heavy"), light = part_of(&profile, "light"),
                    work = part_of(&profile, "work"), main_part = part_of(&profile, "main");
        double worked_ns = truth.heavy_ns + truth.light_ns;
        assert_ratio(truth.heavy_ns, worked_ns, 0.7, 0.03, "as it was made");
        assert_ratio(heavy.self_ns, heavy.self_ns + light.self_ns, truth.heavy_ns / worked_ns, 0.03,
                     "heavy of both");
        assert_ratio(heavy.total_ns, worked_ns, truth.heavy_ns / worked_ns, 0.08, "heavy's total");
        assert_ratio((double)profile.weight_ns, truth.all_ns, 1, 0.08, "weights of the CPU time");
        assert_ratio(work.self_ns, worked_ns, 0, 0.01, "work itself");
        assert_ratio(work.total_ns, worked_ns, 1, 0.08, "work with what it calls");
        assert_ratio(main_part.total_ns, work.total_ns, 1, 0.01, "main of work");
        assert_int_equal(heavy.kind, PW_FRAME_USER);
        assert_ratio((double)profile.broken, (double)profile.samples, 0, 0.02, "broken");
        assert_int_equal(profile.lost, 0);
        assert_near(profile.hz, usual_hz);
        pw_cpu_profile_done(&profile);
    }
    pw_profiler_free(profiler);
    assert_int_equal(open_files(), files);
}

static void two_functions(void **state)
{
    (void)state;
    check_two_functions(false);
}

static void two_functions_inherited(void **state)
{
    (void)state;
    check_two_functions(true);
}

static void kernel_part(void **state)
{
    (void)state;
    PW_FREE_AUTO char *path = target_path("two_functions");
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct pw_cpu_profile profile;
    struct truth truth;
    assert_int_equal(
        run(profiler, NULL, (char *const[]){path, "600", "kernel", NULL}, &profile, &truth), 0);
    const struct pw_profiler_facts *facts = pw_profiler_facts(profiler);
    if (facts->has_kernel) {
        struct part heavy = part_of(&profile, "heavy");
        assert_ratio(kernel_leaves_ns(&profile), (double)profile.weight_ns,
                     truth.heavy_ns / truth.all_ns, 0.08, "the kernel's");
        assert_ratio(heavy.self_ns, truth.heavy_ns, 0, 0.05, "heavy itself");
        /* Its caller is found through read() of the C library, which has no frame of its own:
         * then it is heavy's that stands there, or heavy hides. */
        assert_true(part_of(&profile, "work").total_ns > 0.8 * (double)profile.weight_ns);
    }
    if (facts->has_kernel_names) {
        assert_ratio(unnamed_ns(&profile, "[kernel]"), truth.heavy_ns, 0, 0.05, "without a name");
    }
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
}

static void jit_code(void **state)
{
    (void)state;
    char map[64];
    PW_FREE_AUTO char *path = target_path("two_functions");
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct pw_cpu_profile profile;
    struct truth truth;
    int status = run(profiler, NULL, (char *const[]){path, "600", "jit", NULL}, &profile, &truth);
    snprintf(map, sizeof map, "/tmp/perf-%d.map", truth.pid);
    if (truth.pid > 0) {
        assert_int_equal(unlink(map), 0);
    }
    if (status == 0) {
        struct part jitted = part_of(&profile, "jitted_code");
        assert_int_equal(jitted.kind, PW_FRAME_JIT);
        assert_ratio(jitted.self_ns, (double)profile.weight_ns, truth.heavy_ns / truth.all_ns, 0.08,
                     "code made at run time");
        assert_ratio(part_of(&profile, "heavy").total_ns, (double)profile.weight_ns,
                     truth.heavy_ns / truth.all_ns, 0.08, "its caller's");
    }
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
    if (status != 0) {
        print_message("memory that was written may not be executed here\n");
        skip();
    }
}

/* A program that reads the clock all the time, which is the kernel's code in its own space. */
static void vdso(void **state)
{
    (void)state;
    PW_FREE_AUTO char *path = target_path("burn_cpu");
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct pw_cpu_profile profile;
    struct truth truth;
    unsigned named = 0;
    assert_int_equal(run(profiler, NULL, (char *const[]){path, "300", NULL}, &profile, &truth), 0);
    for (size_t i = 0; i < profile.frame_count; i++) {
        const struct pw_frame *frame = &profile.frames[i];
        if (strcmp(frame->object, "[vdso]") == 0) {
            print_message("%s\n", frame->name);
            named += frame->name[0] != '[';
        }
    }
    double unnamed = unnamed_ns(&profile, "[vdso]"), all_ns = (double)profile.weight_ns;
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
    if (named == 0 && unnamed <= 0) {
        print_message("this machine's clock is read in the kernel\n");
        skip();
    }
    assert_true(named > 0);
    assert_ratio(unnamed, all_ns, 0, 0.05, "of the clock's code without a name");
}

static void short_programs(void **state)
{
    (void)state;
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct warden warden = make_warden(
        NULL, (char *const[]){"/bin/sh", "-c",
                              "i=0; while [ $i -lt 2000 ]; do /bin/true; i=$((i+1)); done", NULL});
    watch(profiler, 0, &warden);
    assert_int_equal(await(profiler, &warden), 0);
    pw_fd_done(&warden.output);
    struct pw_cpu_profile profile;
    take(profiler, 0, &profile);
    double cpu_ns = (double)(warden.use.ru_utime.tv_sec + warden.use.ru_stime.tv_sec) * 1e9 +
                    (double)(warden.use.ru_utime.tv_usec + warden.use.ru_stime.tv_usec) * 1e3;
    double of_true_ns = 0;
    for (size_t i = 0; i < profile.stack_count; i++) {
        bool is_true = strcmp(profile.processes[profile.stacks[i].process], "true") == 0;
        of_true_ns += is_true ? (double)profile.stacks[i].weight_ns : 0;
    }
    print_message("%lu samples, %.0f ms of %.0f ms, of true %.0f ms\n", profile.samples,
                  (double)profile.weight_ns / 1e6, cpu_ns / 1e6, of_true_ns / 1e6);
    if (strcmp(pw_profiler_facts(profiler)->mode, "whole-machine") == 0) {
        assert_ratio((double)profile.weight_ns, cpu_ns, 1, 0.12, "weights of the CPU time");
        assert_true(of_true_ns > 0.3 * cpu_ns);
    }
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
}

/* A copy of the program that is gone, or without names, when its samples are looked at. */
static void check_nameless(void **state, bool is_deleted)
{
    PW_FREE_AUTO char *path = target_path("two_functions");
    PW_FREE_AUTO char *copy = in_folder(state, "program");
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_read(path, 1 << 24, &text, &size, NULL), 0);
    assert_int_equal(pw_file_write(copy, text, size, 0700, NULL), 0);
    if (!is_deleted) {
        pid_t pid = fork();
        if (pid == 0) {
            execlp("strip", "strip", copy, (char *)NULL);
            _exit(REFUSED_STATUS);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0) {
            print_message("there is no strip here\n");
            skip();
        }
    }
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct warden warden = make_warden(NULL, (char *const[]){copy, "300", "plain", NULL});
    watch(profiler, 0, &warden);
    assert_int_equal(await(profiler, &warden), 0);
    pw_fd_done(&warden.output);
    if (is_deleted) {
        assert_int_equal(unlink(copy), 0);
    }
    struct pw_cpu_profile profile;
    take(profiler, 0, &profile);
    assert_unnamed(&profile, true);
    assert_true(part_of(&profile, "heavy").total_ns <= 0);
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
}

static void stripped(void **state)
{
    check_nameless(state, false);
}

static void deleted(void **state)
{
    check_nameless(state, true);
}

/* Written over: the same inode. */
static void write_in_place(const char *path, const char *bytes, size_t size)
{
    PW_FD_AUTO fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pw_fd_write_all(fd, bytes, size), 0);
}

/* Another file has the path of the program that ran: its names would be wrong ones. What runs next
 * there has its own. */
static void check_replaced(void **state, bool is_in_place)
{
    PW_FREE_AUTO char *path = target_path("two_functions");
    PW_FREE_AUTO char *other = target_path("burn_cpu");
    PW_FREE_AUTO char *copy = in_folder(state, "program");
    PW_FREE_AUTO char *text = NULL;
    PW_FREE_AUTO char *other_text = NULL;
    size_t size = 0, other_size = 0;
    assert_int_equal(pw_file_read(path, 1 << 24, &text, &size, NULL), 0);
    assert_int_equal(pw_file_read(other, 1 << 24, &other_text, &other_size, NULL), 0);
    assert_int_equal(pw_file_write(copy, other_text, other_size, 0700, NULL), 0);
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    for (int round = 0; round < 4; round++) {
        bool is_kept = round % 2 == 1;
        struct pw_cpu_profile profile;
        if (is_in_place) {
            write_in_place(copy, text, size);
        } else {
            assert_int_equal(pw_file_write(copy, text, size, 0700, NULL), 0);
        }
        struct warden warden = make_warden(NULL, (char *const[]){copy, "300", "plain", NULL});
        watch(profiler, 0, &warden);
        assert_int_equal(await(profiler, &warden), 0);
        pw_fd_done(&warden.output);
        if (!is_kept && is_in_place) {
            write_in_place(copy, other_text, other_size);
        } else if (!is_kept) {
            assert_int_equal(pw_file_write(copy, other_text, other_size, 0700, NULL), 0);
        }
        take(profiler, 0, &profile);
        assert_unnamed(&profile, !is_kept);
        assert_true((part_of(&profile, "heavy").total_ns > 0) == is_kept);
        pw_cpu_profile_done(&profile);
    }
    pw_profiler_free(profiler);
}

static void replaced(void **state)
{
    check_replaced(state, false);
}

static void written_over(void **state)
{
    check_replaced(state, true);
}

/* The program is only in its own mount namespace, which has gone with it. */
static void other_namespace(void **state)
{
    PW_FREE_AUTO char *path = target_path("two_functions");
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct pw_cpu_profile profile;
    struct truth truth;
    int status =
        run(profiler, *state, (char *const[]){path, "300", "plain", NULL}, &profile, &truth);
    if (status == 0) {
        assert_unnamed(&profile, true);
    }
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
    if (status != 0) {
        assert_int_equal(status, REFUSED_STATUS);
        print_message("mount namespaces are refused here\n");
        skip();
    }
}

static void time_limit(void **state)
{
    (void)state;
    PW_FREE_AUTO char *path = target_path("two_functions");
    struct pw_profiler *profiler = open_or_skip(
        &(const struct pw_profiler_options){.hz = usual_hz, .slots = 2, .time_limit_sec = 0.25});
    struct warden warden = make_warden(NULL, (char *const[]){path, "600", "plain", NULL});
    int64_t began_ns = pw_clock_now_ns();
    watch(profiler, 1, &warden);
    int64_t watched_ns = pw_clock_now_ns();
    assert_int_equal(await(profiler, &warden), 0);
    pw_fd_done(&warden.output);
    struct pw_cpu_profile profile;
    take(profiler, 1, &profile); /* without an end: take is one */
    assert_true(profile.samples > 10);
    assert_true(profile.first_at_ns > began_ns);
    assert_true(profile.last_at_ns <= watched_ns + 250 * PW_NS_PER_MS);
    assert_true(profile.weight_ns <= 260 * PW_NS_PER_MS);
    pw_cpu_profile_done(&profile);
    take(profiler, 1, &profile);
    assert_int_equal(profile.samples, 0);
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
}

/* As nobody: own user space, or a refusal that says what helps. In a process of its own. */
static void without_privileges(void **state)
{
    (void)state;
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_file_read("/proc/sys/kernel/perf_event_paranoid", 64, &text, NULL, NULL),
                     0);
    long paranoid = strtol(text, NULL, 10);
    pid_t pid = fork();
    if (pid == 0) {
        const struct pw_profiler_options options = {.hz = usual_hz, .slots = 1};
        struct pw_profiler *profiler = NULL;
        struct pw_err err = PW_ERR_INIT;
        if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(2);
        }
        if (pw_profiler_open(&options, &profiler, &err) != 0) {
            print_message("refused: %s: %s\n", err.message, err.remedy);
            _exit(err.cls == PW_ERR_SYSTEM && err.remedy[0] != '\0' ? 3 : 4);
        }
        const struct pw_profiler_facts *facts = pw_profiler_facts(profiler);
        print_message("%s\n", facts->text);
        bool is_told = strcmp(facts->mode, "inherited") != 0 || strstr(facts->text, "not of the");
        bool is_allowed = paranoid <= 0 || strcmp(facts->mode, "inherited") == 0;
        bool is_kernel_told = paranoid <= 1 || strstr(facts->text, "are not seen");
        pw_profiler_free(profiler);
        _exit(is_told && is_allowed && is_kernel_told ? 0 : 5);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 3) {
        print_message("perf events are refused to nobody here (perf_event_paranoid %ld)\n",
                      paranoid);
        return;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void write_text(const char *root, const char *name, const char *text)
{
    PW_FREE_AUTO char *path = pw_path_join(root, name, NULL);
    assert_int_equal(pw_file_write(path, text, strlen(text), 0600, NULL), 0);
}

/* What a kernel allows, said by files that are made here. */
static void facts_of_limits(void **state)
{
    PW_FREE_AUTO char *folder = in_folder(state, "sys/kernel");
    assert_int_equal(pw_dir_make(folder, NULL), 0);
    write_text(*state, "sys/kernel/perf_event_max_sample_rate", "500\n");
    write_text(*state, "kallsyms", "0000000000000000 T startup\n");
    struct pw_profiler *profiler = open_or_skip(
        &(const struct pw_profiler_options){.hz = usual_hz, .slots = 1, .proc_root = *state});
    const struct pw_profiler_facts *facts = pw_profiler_facts(profiler);
    assert_near(facts->hz, 500);
    assert_near(facts->hz_asked, usual_hz);
    assert_contains(facts->text, "500 Hz (997 asked");
    assert_false(facts->has_kernel_names);
    assert_true(!facts->has_kernel || strstr(facts->text, "kptr_restrict"));
    pw_profiler_free(profiler);
}

/* With one more file each time: a clear refusal, until there are enough. */
static void assert_refused_until_enough_files(unsigned files)
{
    struct pw_profiler *profiler = NULL;
    struct rlimit limit, few;
    unsigned refused = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (few = limit, few.rlim_cur = 3; !profiler && few.rlim_cur < limit.rlim_cur;
         few.rlim_cur++) {
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int failed = pw_profiler_open(
            &(const struct pw_profiler_options){.hz = usual_hz, .slots = 1}, &profiler, &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (failed == 0 || err.sys == EACCES || err.sys == EPERM) {
            break;
        }
        refused++;
        assert_null(profiler);
        assert_int_equal(err.sys, EMFILE);
        assert_contains(err.remedy, "ulimit -n");
        assert_int_equal(open_files(), files);
    }
    print_message("refused with %u numbers of files\n", refused);
    pw_profiler_free(profiler);
}

static void refusals(void **state)
{
    (void)state;
    unsigned files = open_files();
    static const struct pw_profiler_options wrong[] = {
        {.hz = 0.5, .slots = 1},
        {.hz = NAN, .slots = 1},
        {.hz = 20000, .slots = 1},
        {.hz = 997, .slots = 1, .time_limit_sec = -1},
        {.hz = 997, .slots = 1, .time_limit_sec = NAN},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pw_profiler *profiler = NULL;
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_profiler_open(&wrong[i], &profiler, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_null(profiler);
    }
    assert_refused_until_enough_files(files);
    /* A worker that has gone before it is watched: the slot's calls do nothing. */
    struct pw_profiler *profiler =
        open_or_skip(&(const struct pw_profiler_options){.hz = usual_hz, .slots = 1});
    struct pw_err err = PW_ERR_INIT;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pw_profiler_watch(profiler, 0, pid, &err), -1);
    assert_true(pw_err_is_set(&err));
    assert_int_equal(pw_profiler_watch(profiler, 1, pid, &err), -1);
    pw_profiler_drain(profiler);
    pw_profiler_end(profiler, 0);
    pw_profiler_end(profiler, 7);
    struct pw_cpu_profile profile;
    take(profiler, 0, &profile);
    assert_int_equal(profile.samples, 0);
    pw_cpu_profile_done(&profile);
    pw_profiler_free(profiler);
    pw_profiler_free(NULL);
    assert_int_equal(open_files(), files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_functions),
        cmocka_unit_test(two_functions_inherited),
        cmocka_unit_test(kernel_part),
        cmocka_unit_test(jit_code),
        cmocka_unit_test(vdso),
        cmocka_unit_test(short_programs),
        cmocka_unit_test_setup_teardown(stripped, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(deleted, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(replaced, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(written_over, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(other_namespace, make_folder, drop_folder),
        cmocka_unit_test(time_limit),
        cmocka_unit_test(without_privileges),
        cmocka_unit_test_setup_teardown(facts_of_limits, make_folder, drop_folder),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
