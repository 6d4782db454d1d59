/* wrapper/run/held and kind.h, by whole sessions: workers that are left running after their mark,
 * and kinds of workers that are prepared and judged. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/json.h"
#include "core/summary.h"
#include "wrapper/run/kind.h"
#include "wrapper/run/session.h"
#include "wrapper/run/signals.h"

enum { EVENT_TIMEOUT_MS = 20000, WORKERS_MAX = 16 };

/* A session of shell scripts that tell their pids in a file, and its mark `ready`. */
struct bench {
    char pids[PATH_MAX], script[2 * PATH_MAX];
    char *argv[4];
    struct pw_marks marks;
    struct pw_plan plan;
    struct pw_run_record run;
    struct pw_session *session;
};

static char *folder;

static void bench_init(struct bench *bench, const char *script)
{
    *bench = (struct bench){.marks = PW_MARKS_INIT};
    snprintf(bench->pids, sizeof bench->pids, "%s/pids", folder);
    unlink(bench->pids);
    snprintf(bench->script, sizeof bench->script, "echo $$ >>%s; %s", bench->pids, script);
    bench->argv[0] = (char *)"sh";
    bench->argv[1] = (char *)"-c";
    bench->argv[2] = bench->script;
    assert_int_equal(pw_marks_add(&bench->marks, "ready=fd3", NULL), 0);
    assert_int_equal(pw_marks_set_until(&bench->marks, "ready", NULL), 0);
    bench->plan = (struct pw_plan){.argv = bench->argv,
                                   .command_text = "test",
                                   .concurrency = 1,
                                   .iterations = 3,
                                   .iterations_given = true,
                                   .max_iterations = 1000,
                                   .timeout_sec = 60,
                                   .kill_grace_ms = 1000,
                                   .out_dir = folder,
                                   .probe_interval_ms = 20,
                                   .probe_budget_pct = 1,
                                   .otlp_mode = PW_OTLP_OFF,
                                   .marks = &bench->marks};
    pw_run_record_init(&bench->run);
}

static void bench_done(struct bench *bench)
{
    pw_run_record_done(&bench->run);
    pw_marks_done(&bench->marks);
}

static void open_bench(struct bench *bench, const struct pw_session_events *events)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_session_open(&bench->plan, events, &bench->run, &bench->session, &err) != 0 ||
        pw_session_start(bench->session, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static void step(struct bench *bench)
{
    struct pw_err err = PW_ERR_INIT;
    bool kept;
    if (pw_session_step(bench->session, &kept, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_true(kept);
}

/* The pids that workers have told, in the order of their start. */
static size_t read_pids(const struct bench *bench, pid_t pids[WORKERS_MAX])
{
    size_t count = 0;
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_file_read(bench->pids, 4096, &text, NULL, NULL), 0);
    for (char *at = text; *at && count < WORKERS_MAX; at = strchr(at, '\n') + 1) {
        pids[count++] = (pid_t)strtol(at, NULL, 10);
    }
    return count;
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Whether the process has ended, waiting for that for a while. A zombie has. */
static bool has_ended(pid_t pid, int wait_ms)
{
    int fd = open_pidfd(pid);
    struct pollfd event = {.fd = fd, .events = POLLIN};
    bool ended = fd < 0 || poll(&event, 1, wait_ms) == 1;
    if (fd >= 0) {
        close(fd);
    }
    return ended;
}

static unsigned count_alive(const struct bench *bench)
{
    pid_t pids[WORKERS_MAX];
    size_t count = read_pids(bench, pids);
    unsigned alive = 0;
    for (size_t i = 0; i < count; i++) {
        alive += !has_ended(pids[i], 0);
    }
    return alive;
}

#define STAYS "echo PW ready >&3; exec sleep 1000"
/* The same without exec, which makes the peak of memory that can be read begin anew. */
#define STAYS_ITSELF "echo PW ready >&3; sleep 1000; :"

static void the_last_ones_are_held(void **state)
{
    (void)state;
    struct bench bench;
    pid_t pids[WORKERS_MAX];
    bench_init(&bench, STAYS_ITSELF);
    bench.plan.hold = 2;
    open_bench(&bench, NULL);
    for (unsigned i = 1; i <= 5; i++) {
        step(&bench);
        assert_int_equal(count_alive(&bench), i < 2 ? i : 2);
    }
    assert_int_equal(read_pids(&bench, pids), 5);
    assert_true(has_ended(pids[2], 0)); /* the oldest go first */
    assert_false(has_ended(pids[3], 0));
    assert_false(has_ended(pids[4], 0));
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(count_alive(&bench), 0);
    for (size_t i = 0; i < 5; i++) {
        const struct pw_worker_record *worker = &bench.run.iterations[i].workers[0];
        assert_int_equal(worker->end, PW_END_UNTIL);
        assert_int_equal(worker->return_code, 0);
        assert_int_equal(worker->pid, pids[i]);
        assert_true(worker->duration_ms > 0 && worker->duration_ms < 10000);
        assert_int_equal(worker->moments.at_ns[0], worker->ended_at_ns - worker->started_at_ns);
        assert_true(worker->values[PW_METRIC_MAX_RSS_KB].number > 100);
        assert_near(worker->values[PW_METRIC_MAX_RSS_MB].number,
                    worker->values[PW_METRIC_MAX_RSS_KB].number / 1024);
        assert_true(pw_value_is_present(worker->values[PW_METRIC_USER_CPU]));
        assert_true(pw_value_is_present(worker->values[PW_METRIC_SYSTEM_CPU]));
        assert_true(pw_value_is_present(worker->values[PW_METRIC_TREE_SAMPLES]));
        assert_absent(worker->values[PW_METRIC_MINOR_FAULTS], PW_ABSENT_NOT_MEASURED);
        assert_absent(worker->values[PW_METRIC_TEARDOWN], PW_ABSENT_NOT_MEASURED);
    }
    assert_int_equal(bench.run.orphans_total, 0);
    bench_done(&bench);
}

/* CPU time is what was used until the mark, of all that was waited for. */
static void cpu_time_until_the_mark(void **state)
{
    (void)state;
    enum { TICKS_MS = 50 };
    struct bench bench;
    bench_init(&bench, "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done); "
                       "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; " STAYS);
    bench.plan.hold = 1;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    const struct pw_worker_record *worker = &bench.run.iterations[0].workers[0];
    double cpu_ms = 1e3 * (worker->values[PW_METRIC_USER_CPU].number +
                           worker->values[PW_METRIC_SYSTEM_CPU].number);
    assert_true(cpu_ms > 0);
    assert_true(cpu_ms <= worker->duration_ms + TICKS_MS);
    double pct = worker->values[PW_METRIC_CPU_PCT].number;
    assert_true(fabs(pct - 100 * cpu_ms / worker->duration_ms) < 2); /* read just after the mark */
    bench_done(&bench);
}

/* More at once than are to stay. */
static void a_crowd_is_trimmed(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, STAYS);
    bench.plan.hold = 2;
    bench.plan.concurrency = 3;
    bench.plan.warmup = 1;
    open_bench(&bench, NULL);
    assert_int_equal(count_alive(&bench), 2);
    step(&bench);
    assert_int_equal(count_alive(&bench), 2);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(count_alive(&bench), 0);
    bench_done(&bench);
}

/* Without the mark a worker has failed, and nothing is held of it. */
static void who_fails_is_not_held(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, "exit 3");
    bench.plan.hold = 2;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(bench.run.iterations[0].workers[0].end, PW_END_MISSED);
    assert_int_equal(bench.run.iterations[0].workers[0].return_code, 3);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    bench_done(&bench);

    bench_init(&bench, "exec sleep 1000");
    bench.plan.hold = 2;
    bench.plan.timeout_sec = 0.1;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(bench.run.iterations[0].workers[0].end, PW_END_TIMEOUT);
    assert_int_equal(count_alive(&bench), 0);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    bench_done(&bench);
}

/* The deadline is the mark's, not the machine's; and each keeps a folder of its own. */
static void held_beyond_the_deadline(void **state)
{
    (void)state;
    enum { DEADLINE_MS = 300 };
    struct bench bench;
    pid_t pids[WORKERS_MAX];
    bench_init(&bench, "cd $PERFWRAP_WORKER_DIR && echo here >file; " STAYS);
    bench.plan.hold = 2;
    bench.plan.timeout_sec = DEADLINE_MS / 1e3;
    open_bench(&bench, NULL);
    step(&bench);
    step(&bench);
    read_pids(&bench, pids);
    assert_false(has_ended(pids[0], 2 * DEADLINE_MS));
    char places[2][PATH_MAX];
    for (int i = 0; i < 2; i++) {
        char link[64];
        snprintf(link, sizeof link, "/proc/%d/cwd/file", pids[i]);
        assert_non_null(realpath(link, places[i]));
    }
    assert_string_not_equal(places[0], places[1]);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(access(places[i], F_OK), -1);
    }
    bench_done(&bench);
}

/* What is left running when a signal ends the session. */
static void interrupt(void *context, bool warmup, const struct pw_iteration_record *iteration)
{
    (void)context;
    (void)warmup;
    if (iteration->number == 2) {
        kill(getpid(), SIGTERM);
    }
}

static void a_signal_ends_all(void **state)
{
    (void)state;
    const struct pw_session_events events = {.iteration_ended = interrupt};
    struct bench bench;
    bench_init(&bench, STAYS);
    bench.plan.hold = 3;
    bench.plan.keep = true;
    assert_int_equal(pw_session_run(&bench.plan, &events, &bench.run, NULL), 0);
    assert_int_equal(bench.run.interrupted_by, SIGTERM);
    assert_int_equal(bench.run.iteration_count, 2);
    assert_int_equal(count_alive(&bench), 0);
    bench_done(&bench);
}

/* perfwrap is killed: the wardens of held workers see it. */
static void killed_perfwrap_leaves_none(void **state)
{
    (void)state;
    struct bench bench;
    int ends[2];
    char byte;
    pid_t pids[WORKERS_MAX];
    bench_init(&bench, STAYS);
    bench.plan.hold = 3;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        open_bench(&bench, NULL);
        for (int i = 0; i < 3; i++) {
            step(&bench);
        }
        if (write(ends[1], "x", 1) == 1) {
            for (;;) {
                pause();
            }
        }
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    assert_int_equal(read_pids(&bench, pids), 3);
    assert_int_equal(count_alive(&bench), 3);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 3; i++) {
        assert_true(has_ended(pids[i], EVENT_TIMEOUT_MS));
    }
    bench_done(&bench);
}

struct kept {
    unsigned count;
    pid_t worker, warden;
};

static void note_kept(void *context, const struct pw_worker_record *worker, pid_t warden)
{
    struct kept *kept = context;
    assert_int_equal(worker->end, PW_END_UNTIL);
    assert_null(worker->stderr_tail);
    *kept = (struct kept){kept->count + 1, worker->pid, warden};
}

/* Nothing of ours is open in the warden: no pipe, whose end somebody may wait for, no file. */
static void expect_no_descriptors(pid_t warden)
{
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/%d/fd", warden);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        if (length < 0) {
            continue; /* . and .. */
        }
        target[length] = '\0';
        if (strcmp(target, "/dev/null") != 0 && strncmp(target, "anon_inode:", 11) != 0) {
            fail_msg("descriptor %s is %s", entry->d_name, target);
        }
    }
    closedir(dir);
}

static void kept_for_good(void **state)
{
    (void)state;
    struct kept kept = {0};
    const struct pw_session_events events = {.context = &kept, .kept = note_kept};
    struct bench bench;
    char fifo[PATH_MAX], script[2 * PATH_MAX], byte;
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    /* Standard output has no reader any more: it neither ends the worker nor holds it up. */
    snprintf(script, sizeof script,
             "echo PW ready >&3; head -c 3000000 /dev/zero; cat /dev/zero | head -c 100; "
             "echo x >%s; exec sleep 1000",
             fifo);
    bench_init(&bench, script);
    bench.plan.hold = 1;
    bench.plan.keep = true;
    open_bench(&bench, &events);
    int inherited[2]; /* as if perfwrap had been started with it */
    assert_int_equal(pipe(inherited), 0);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(kept.count, 1);
    int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
    assert_int_equal(count_alive(&bench), 1);
    assert_false(has_ended(kept.worker, 0));
    assert_false(has_ended(kept.warden, 0));
    expect_no_descriptors(kept.warden);
    close(inherited[1]); /* the reader sees the end, for the warden does not hold it open */
    assert_int_equal(read(inherited[0], &byte, 1), 0);
    close(inherited[0]);

    assert_int_equal(kill(kept.warden, SIGKILL), 0);
    assert_true(has_ended(kept.worker, EVENT_TIMEOUT_MS));
    assert_int_equal(waitpid(kept.warden, NULL, 0), kept.warden);
    bench_done(&bench);
}

/* The other way round: the worker ends, and its warden with it. Of two held, both are kept; of one
 * that has ended meanwhile nothing is said. */
static void a_kept_worker_ends_its_warden(void **state)
{
    (void)state;
    struct kept kept = {0};
    const struct pw_session_events events = {.context = &kept, .kept = note_kept};
    struct bench bench;
    pid_t pids[WORKERS_MAX];
    bench_init(&bench, STAYS);
    bench.plan.hold = 2;
    bench.plan.keep = true;
    open_bench(&bench, &events);
    step(&bench);
    step(&bench);
    read_pids(&bench, pids);
    kill(pids[0], SIGKILL);
    assert_true(has_ended(pids[0], EVENT_TIMEOUT_MS));
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(kept.count, 1);
    assert_int_equal(kept.worker, pids[1]);
    assert_int_equal(kill(kept.worker, SIGTERM), 0);
    assert_true(has_ended(kept.warden, EVENT_TIMEOUT_MS));
    assert_int_equal(waitpid(kept.warden, NULL, 0), kept.warden);
    bench_done(&bench);
}

/* An ended one is what others are measured without: no one is held. */
static void teardown_is_told(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench,
               "trap 'sleep 0.1; exit 0' TERM; echo PW ready >&3; while :; do sleep 1; done");
    bench.plan.kill_grace_ms = 20000;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    const struct pw_worker_record *worker = &bench.run.iterations[0].workers[0];
    assert_int_equal(worker->end, PW_END_UNTIL);
    assert_true(worker->values[PW_METRIC_TEARDOWN].number >= 100);
    assert_true(worker->values[PW_METRIC_TEARDOWN].number < 20000);
    bench_done(&bench);
}

/* One that ends by itself is not sent TERM; one that does not, after the patience. */
static void patience_with_who_ends_by_itself(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, "trap 'echo TERM >&2' TERM; echo PW ready >&3; sleep 0.05; exit 0");
    bench.plan.until_patience_ms = 20000;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    const struct pw_worker_record *worker = &bench.run.iterations[0].workers[0];
    assert_int_equal(worker->end, PW_END_UNTIL);
    assert_true(worker->values[PW_METRIC_TEARDOWN].number >= 50);
    assert_true(worker->values[PW_METRIC_TEARDOWN].number < 20000);
    assert_string_equal(worker->stderr_tail, "");
    bench_done(&bench);

    bench_init(&bench, "echo PW ready >&3; exec sleep 1000");
    bench.plan.until_patience_ms = 100;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    worker = &bench.run.iterations[0].workers[0];
    assert_int_equal(worker->end, PW_END_UNTIL);
    assert_true(worker->values[PW_METRIC_TEARDOWN].number >= 100);
    bench_done(&bench);
}

static void who_says_that_it_is_hopeless_is_ended(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, "echo some hopeless state >&2; exec sleep 1000");
    bench.marks.hopeless = "hopeless";
    bench.plan.until_patience_ms = 1000000;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    const struct pw_worker_record *worker = &bench.run.iterations[0].workers[0];
    assert_int_equal(worker->end, PW_END_MISSED);
    assert_int_equal(worker->return_code, 1);
    assert_int_equal(worker->signal, 0);
    bench_done(&bench);

    /* The text on another stream says nothing, and neither does a part of it. */
    bench_init(&bench, "echo hopeless; echo hope >&2; echo PW ready >&3; exec sleep 1000");
    bench.marks.hopeless = "hopeless";
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(bench.run.iterations[0].workers[0].end, PW_END_UNTIL);
    bench_done(&bench);
}

/* A kind whose workers tell on descriptor 3 how they ended. */
struct kind_notes {
    unsigned prepared, judged;
    char seen[512], out[512], errors[512];
    int prepare_fails_at;
};

static int prepare_kind(void *context, const struct pw_worker_facts *facts,
                        struct pw_worker_record *record, struct pw_err *err)
{
    struct kind_notes *notes = context;
    notes->prepared++;
    assert_int_equal(record->id, facts->worker_id);
    assert_int_equal(access(facts->worker_dir, W_OK), 0);
    record->values[PW_METRIC_DISK_CLONE] = pw_value_of(7.5);
    if (notes->prepare_fails_at == (int)facts->iteration) {
        return pw_err_set(err, PW_ERR_INPUT, "no disk");
    }
    return 0;
}

static int judge_kind(void *context, const struct pw_worker_output *output,
                      struct pw_worker_record *record, struct pw_err *err)
{
    struct kind_notes *notes = context;
    const char *code = output->told ? strstr(output->told, "code=") : NULL;
    notes->judged++;
    snprintf(notes->seen, sizeof notes->seen, "%s", output->told ? output->told : "NULL");
    snprintf(notes->out, sizeof notes->out, "%s", output->out ? output->out : "NULL");
    snprintf(notes->errors, sizeof notes->errors, "%s", output->err ? output->err : "NULL");
    record->verdict = record->end == PW_END_TIMEOUT ? "timeout" : "ok";
    if (record->end == PW_END_UNTIL && code) {
        record->return_code = (int)strtol(code + strlen("code="), NULL, 10);
    }
    if (record->return_code != 0 && record->end == PW_END_UNTIL) {
        record->verdict = "guest_command_failed";
        record->verdict_detail = strdup("it returned 7\nand more");
        return record->verdict_detail ? 0 : pw_err_memory(err);
    }
    return 0;
}

static const char *worker_string(const struct bench *bench, unsigned iteration, const char *key)
{
    static char text[512];
    char path[PATH_MAX];
    json_t *root = NULL;
    snprintf(path, sizeof path, "%s/iteration-%03u.json", bench->run.run_dir, iteration);
    assert_int_equal(pw_json_read_file(path, &root, NULL), 0);
    const json_t *value =
        json_object_get(json_array_get(json_object_get(root, "worker_results"), 0), key);
    snprintf(text, sizeof text, "%s", value ? json_string_value(value) : "absent");
    json_decref(root);
    return text;
}

static void verdicts_decide(void **state)
{
    (void)state;
    struct kind_notes notes = {.prepare_fails_at = -1};
    const struct pw_worker_kind kind = {&notes, prepare_kind, judge_kind};
    struct bench bench;
    bench_init(&bench, "echo out; echo bad >&2; echo PW other >&3; "
                       "case $PERFWRAP_ITERATION in 2) echo PW ready code=7 >&3;; 3) ;; "
                       "*) echo PW ready code=0 >&3;; esac; exec sleep 1000");
    bench.plan.kind = &kind;
    bench.plan.warmup = 1;
    bench.plan.timeout_sec = 0.5;
    open_bench(&bench, NULL);
    step(&bench);
    assert_string_equal(notes.seen, "PW other\nPW ready code=0\n");
    assert_string_equal(notes.out, "out\n");
    assert_string_equal(notes.errors, "bad\n");
    step(&bench);
    step(&bench);
    assert_int_equal(notes.prepared, 4);
    assert_int_equal(notes.judged, 4);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(bench.run.iterations[0].workers[0].return_code, 0);
    assert_int_equal(bench.run.iterations[1].workers[0].return_code, 7);
    assert_int_equal(bench.run.iterations[1].workers[0].end, PW_END_UNTIL);
    assert_int_equal(bench.run.iterations[2].workers[0].return_code, 124);
    assert_value(bench.run.iterations[1].values[PW_METRIC_DISK_CLONE], 7.5);
    assert_string_equal(worker_string(&bench, 1, "verdict"), "ok");
    assert_string_equal(worker_string(&bench, 2, "verdict"), "guest_command_failed");
    assert_string_equal(worker_string(&bench, 2, "verdict_detail"), "it returned 7\nand more");
    assert_string_equal(worker_string(&bench, 3, "verdict"), "timeout");
    struct pw_summary *summary = pw_summary_build(&bench.run, NULL);
    assert_non_null(summary);
    assert_value(pw_summary_number(summary, "verdicts.ok"), 1);
    assert_value(pw_summary_number(summary, "verdicts.guest_command_failed"), 1);
    assert_value(pw_summary_number(summary, "verdicts.timeout"), 1);
    assert_value(pw_summary_number(summary, "failed_runs_total"), 2);
    pw_summary_free(summary);
    bench_done(&bench);
}

static void who_is_judged_a_failure_is_not_held(void **state)
{
    (void)state;
    struct kind_notes notes = {.prepare_fails_at = -1};
    const struct pw_worker_kind kind = {&notes, NULL, judge_kind};
    struct bench bench;
    bench_init(&bench, "echo PW ready code=$((PERFWRAP_ITERATION % 2)) >&3; exec sleep 1000");
    bench.plan.kind = &kind;
    bench.plan.hold = 4;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(count_alive(&bench), 0);
    step(&bench);
    assert_int_equal(count_alive(&bench), 1);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    assert_int_equal(count_alive(&bench), 0);
    bench_done(&bench);
}

/* What cannot be prepared is not measured, and ends the session; who is held ends, too. */
static void a_failing_preparation_ends_the_session(void **state)
{
    (void)state;
    struct kind_notes notes = {.prepare_fails_at = 2};
    const struct pw_worker_kind kind = {&notes, prepare_kind, NULL};
    struct pw_err err = PW_ERR_INIT;
    struct bench bench;
    bench_init(&bench, STAYS);
    bench.plan.kind = &kind;
    bench.plan.hold = 4;
    bench.plan.keep = true;
    assert_int_equal(pw_session_run(&bench.plan, NULL, &bench.run, &err), -1);
    assert_contains(err.message, "prepare worker 1: no disk");
    assert_int_equal(bench.run.iteration_count, 1);
    assert_int_equal(count_alive(&bench), 0);
    bench_done(&bench);
}

/* A word is one word, whatever is in it, and each worker has its own. */
static void words_are_expanded(void **state)
{
    (void)state;
    struct bench bench;
    char *argv[] = {(char *)"sh",
                    (char *)"-c",
                    (char *)"echo \"$0|$1|$#\" >>\"$2/words\"; echo PW ready >&3",
                    (char *)"{worker_id} a'b",
                    (char *)"{iteration}{nothing}",
                    (char *)"{run_dir}",
                    NULL};
    bench_init(&bench, "");
    bench.plan.argv = argv;
    bench.plan.concurrency = 2;
    bench.plan.iterations = 1;
    bench.plan.argv_has_placeholders = true;
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    char path[PATH_MAX];
    PW_FREE_AUTO char *text = NULL;
    snprintf(path, sizeof path, "%s/words", bench.run.run_dir);
    assert_int_equal(pw_file_read(path, 4096, &text, NULL, NULL), 0);
    assert_contains(text, "1 a'b|1{nothing}|2\n");
    assert_contains(text, "2 a'b|1{nothing}|2\n");
    bench_done(&bench);
}

/* A guest has one way to tell its marks: its console. */
static void guests_tell_on_standard_output(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, "printf 'booting\\r\\nPW kernel\\r\\nPW up code=0\\r\\n'; exec sleep 1000");
    pw_marks_done(&bench.marks);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "kernel", NULL), 0);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "up", NULL), 0);
    assert_int_equal(pw_marks_add(&bench.marks, "boot=serial:/^booting/", NULL), 0);
    assert_int_equal(pw_marks_set_until(&bench.marks, "up", NULL), 0);
    open_bench(&bench, NULL);
    step(&bench);
    assert_int_equal(pw_session_close(bench.session, NULL), 0);
    const struct pw_worker_record *worker = &bench.run.iterations[0].workers[0];
    assert_int_equal(worker->end, PW_END_UNTIL);
    for (int i = 0; i < 3; i++) {
        assert_true(worker->moments.at_ns[i] > 0);
    }
    assert_int_equal(bench.run.warning_count, 0);
    bench_done(&bench);
}

static int prepare(void **state)
{
    pw_signals_prepare();
    if (make_folder(state) != 0) {
        return -1;
    }
    folder = *state;
    return setenv("TMPDIR", folder, 1); /* one session is killed and leaves its private folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_ones_are_held),
        cmocka_unit_test(cpu_time_until_the_mark),
        cmocka_unit_test(a_crowd_is_trimmed),
        cmocka_unit_test(who_fails_is_not_held),
        cmocka_unit_test(held_beyond_the_deadline),
        cmocka_unit_test(a_signal_ends_all),
        cmocka_unit_test(killed_perfwrap_leaves_none),
        cmocka_unit_test(kept_for_good),
        cmocka_unit_test(a_kept_worker_ends_its_warden),
        cmocka_unit_test(teardown_is_told),
        cmocka_unit_test(patience_with_who_ends_by_itself),
        cmocka_unit_test(who_says_that_it_is_hopeless_is_ended),
        cmocka_unit_test(verdicts_decide),
        cmocka_unit_test(who_is_judged_a_failure_is_not_held),
        cmocka_unit_test(a_failing_preparation_ends_the_session),
        cmocka_unit_test(words_are_expanded),
        cmocka_unit_test(guests_tell_on_standard_output),
    };
    return cmocka_run_group_tests(tests, prepare, drop_folder);
}
