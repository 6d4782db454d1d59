/* What the numbers of a run say about the run itself: one small rule a warning, in one list. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/record.h"
#include "core/stats.h"
#include "core/str.h"

enum { OUTLIERS_LEAST_ITERATIONS = 10, P95_LEAST_RUNS = 20 };

static const double slow_first_ratio = 1.5;
static const double slow_first_least_ms = 5.0;

/* What several rules need. */
struct evidence {
    struct pw_run_record *run;
    const double *durations_ms; /* of the iterations that have one */
    size_t n;
    struct pw_stats stats; /* of durations_ms */
    size_t workers, successful, timeouts;
    size_t failures;   /* without timeouts */
    int first_failure; /* return code of the first of them */
    double missed_exits;
};

/* The counts are at most iterations times workers: they fit. */
static json_int_t whole(size_t count)
{
    return (json_int_t)count;
}

static int judge_outliers(const struct evidence *seen, struct pw_err *err)
{
    size_t outliers = 0;
    size_t high = 0;
    if (seen->n < OUTLIERS_LEAST_ITERATIONS) {
        return 0;
    }
    if (pw_stats_count_outliers(seen->durations_ms, seen->n, &outliers, &high, err) != 0) {
        return -1;
    }
    if (outliers == 0) {
        return 0;
    }
    double median = seen->stats.p50.number;
    double longest = seen->stats.max.number;
    return pw_run_record_warn(
        seen->run, "outliers",
        "Something else may have disturbed these runs. Close other programs, or measure more "
        "iterations.",
        json_pack("{s:I, s:I, s:I, s:f, s:f}", "outliers", whole(outliers), "slower", whole(high),
                  "iterations", whole(seen->n), "median_ms", median, "max_ms", longest),
        "%zu of %zu iterations lie far from the rest (%zu slower, %zu faster): median %.3f ms, "
        "longest %.3f ms.",
        outliers, seen->n, high, outliers - high, median, longest);
}

static int judge_slow_first_run(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    if (seen->n == 0) {
        return 0;
    }
    bool warmed_up = seen->run->first_warmup_ms > 0;
    double first = warmed_up ? seen->run->first_warmup_ms : seen->durations_ms[0];
    double median = seen->stats.p50.number;
    if (first <= slow_first_ratio * median || first <= median + slow_first_least_ms) {
        return 0;
    }
    return pw_run_record_warn(
        seen->run, "slow_first_run",
        warmed_up ? "The warm-up kept it out of the statistics. If cold starts matter to you, "
                    "measure them: --warmup 0 and --prepare with what empties the caches."
                  : "Caches were probably cold. Add --warmup 1 to keep the first run out of the "
                    "statistics, or --prepare to make every run cold.",
        json_pack("{s:f, s:f, s:b}", "first_ms", first, "median_ms", median, "warmup", warmed_up),
        "The first %s took %.3f ms, the median is %.3f ms.",
        warmed_up ? "warm-up iteration" : "iteration", first, median);
}

static int judge_high_load(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    const json_t *load = json_object_get(seen->run->environment, "load_1m");
    const json_t *cpus = json_object_get(seen->run->environment, "cpu_count");
    if (!json_is_number(load) || !json_is_number(cpus) ||
        json_number_value(load) <= json_number_value(cpus)) {
        return 0;
    }
    double load_1m = json_number_value(load);
    double cpu_count = json_number_value(cpus);
    return pw_run_record_warn(seen->run, "high_load",
                              "Other programs compete for the CPUs. Measure on a quiet machine.",
                              json_pack("{s:f, s:f}", "load_1m", load_1m, "cpu_count", cpu_count),
                              "The load before the run was %.2f on %.0f CPUs.", load_1m, cpu_count);
}

static int judge_few_runs(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    if (seen->n == 0 || seen->workers == 0 || seen->successful >= P95_LEAST_RUNS) {
        return 0;
    }
    return pw_run_record_warn(seen->run, "few_runs_for_p95",
                              "Raise --iterations until there are at least 20 successful runs.",
                              json_pack("{s:I, s:i}", "successful_runs", whole(seen->successful),
                                        "needed", (int)P95_LEAST_RUNS),
                              "p95 and p99 of %zu successful %s are little more than the maximum.",
                              seen->successful, seen->successful == 1 ? "run" : "runs");
}

static int judge_failures(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    if (seen->failures == 0) {
        return 0;
    }
    return pw_run_record_warn(
        seen->run, "failures",
        "See stderr_tail and termination of the failed workers in the iteration files. Where "
        "such an exit is fine, say so with --ignore-failure.",
        json_pack("{s:I, s:I, s:i}", "failed_runs", whole(seen->failures), "total_runs",
                  whole(seen->workers), "first_return_code", seen->first_failure),
        "%zu of %zu runs failed, the first with return code %d.", seen->failures, seen->workers,
        seen->first_failure);
}

static int judge_timeouts(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    if (seen->timeouts == 0) {
        return 0;
    }
    return pw_run_record_warn(
        seen->run, "timeouts", "Raise --timeout-sec, or find out what the command waits for.",
        json_pack("{s:I, s:I}", "timeout_runs", whole(seen->timeouts), "total_runs",
                  whole(seen->workers)),
        "%zu of %zu runs were ended at the deadline.", seen->timeouts, seen->workers);
}

/* How many successful workers have the moment. */
static size_t count_moment(const struct pw_run_record *run, size_t moment)
{
    size_t count = 0;
    for (size_t i = 0; i < run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &run->iterations[i];
        for (size_t j = 0; iteration->moment_names && j < iteration->worker_count; j++) {
            const struct pw_worker_record *worker = &iteration->workers[j];
            count += worker->return_code == 0 && worker->moments.at_ns[moment] >= 0;
        }
    }
    return count;
}

static int judge_marks(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    const struct pw_moment_names *names = seen->run->moment_names;
    for (size_t i = 0; names && seen->successful > 0 && i < names->count; i++) {
        size_t came = count_moment(seen->run, i);
        if (came == seen->successful) {
            continue;
        }
        int status = pw_run_record_warn(
            seen->run, came > 0 ? "mark_missing_in_some" : "mark_never_came",
            came > 0 ? "Its numbers are of the workers that it came for, and not of all. A worker "
                       "that ends early may lack it; --until makes that a failure."
                     : "Look whether its source says what the command really does: a pattern must "
                       "match within one line, and a port or a file may be another.",
            json_pack("{s:s, s:I, s:I}", "mark", names->names[i], "workers", whole(came),
                      "successful_runs", whole(seen->successful)),
            "The mark %s came for %zu of %zu successful %s.", names->names[i], came,
            seen->successful, seen->successful == 1 ? "run" : "runs");
        if (status != 0) {
            return -1;
        }
    }
    return 0;
}

static int judge_orphans(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    const struct pw_run_record *run = seen->run;
    if (run->orphans_total == 0) {
        return 0;
    }
    /* --keep-orphans holds for all of them alike. */
    bool kept = run->orphan_count > 0 && run->orphans[0].kept;
    return pw_run_record_warn(
        seen->run, "orphans",
        kept ? "They may still be running and disturb what is measured next."
             : "The command should wait for what it starts; --keep-orphans leaves it alone.",
        json_pack("{s:I, s:b}", "orphans", (json_int_t)run->orphans_total, "kept", kept),
        "%llu %s outlived the command that started them and %s.",
        (unsigned long long)run->orphans_total, run->orphans_total == 1 ? "process" : "processes",
        kept ? "were left alone" : "were ended");
}

static int judge_sampling(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    const struct pw_observer *observer = &seen->run->observer;
    if (observer->lengthened_gaps == 0) {
        return 0;
    }
    double gap_ms = (double)observer->largest_gap_ns / 1e6;
    return pw_run_record_warn(
        seen->run, "sampling_stretched",
        "Short peaks may be missing. Raise --probe-budget-pct if that matters.",
        json_pack("{s:I, s:I, s:f, s:f}", "lengthened_gaps", (json_int_t)observer->lengthened_gaps,
                  "samples", (json_int_t)observer->samples, "largest_gap_ms", gap_ms, "budget_pct",
                  observer->budget_pct),
        "%llu of %llu samples came later than asked for, to keep the CPU budget of %g %%: longest "
        "gap %.1f ms.",
        (unsigned long long)observer->lengthened_gaps, (unsigned long long)observer->samples,
        observer->budget_pct, gap_ms);
}

static int judge_missed_exits(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    if (seen->missed_exits <= 0) {
        return 0;
    }
    return pw_run_record_warn(
        seen->run, "missed_exits",
        "Peaks of memory and CPU may lack them; CPU seconds of processes that were waited for do "
        "not. A smaller --probe-interval-ms sees more.",
        json_pack("{s:I}", "missed_exits", (json_int_t)seen->missed_exits),
        "%.0f short-lived %s ended before the first sample.", seen->missed_exits,
        seen->missed_exits > 1 ? "processes" : "process");
}

/* Something that kept telemetry out of the numbers. */
struct cause {
    const char *key, *words, *advice; /* causes of one advice stand beside each other */
    uint64_t count;
};

static bool describe_causes(const struct cause *causes, size_t count, struct pw_str *message,
                            struct pw_str *advice, json_t *data)
{
    bool failed = false;
    bool found = false;
    const char *given = "";
    for (size_t i = 0; i < count; i++) {
        pw_json_put(data, causes[i].key, json_integer((json_int_t)causes[i].count), &failed);
        if (causes[i].count == 0) {
            continue;
        }
        pw_str_addf(message, "%s%s: %" PRIu64, found ? ", " : " ", causes[i].words,
                    causes[i].count);
        found = true;
        if (strcmp(causes[i].advice, given) != 0) {
            pw_str_addf(advice, "%s%s", *given ? " " : "", causes[i].advice);
            given = causes[i].advice;
        }
    }
    pw_str_add(message, ".");
    return !failed && !message->failed && !advice->failed;
}

static int warn_of_causes(const struct evidence *seen, const char *kind, const char *beginning,
                          const struct cause *causes, size_t count)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = causes[i].count > largest ? causes[i].count : largest;
    }
    if (largest == 0) {
        return 0;
    }
    PW_STR_AUTO message = PW_STR_INIT;
    PW_STR_AUTO advice = PW_STR_INIT;
    json_t *data = json_object();
    pw_str_add(&message, beginning);
    if (!describe_causes(causes, count, &message, &advice, data)) {
        json_decref(data);
        return -1;
    }
    return pw_run_record_warn(seen->run, kind, advice.text, data, "%s", message.text);
}

static int judge_telemetry_lost(const struct evidence *seen, struct pw_err *err)
{
    static const char flush[] = "Let the command flush its telemetry and wait for the answer "
                                "before it exits, or raise --otel-flush-wait-ms.";
    static const char form[] = "It must send OTLP over HTTP: protobuf or JSON, plain or gzip.";
    static const char less[] = "Let it report less often, or start fewer workers at once.";
    static const char values[] = "Look at how the command records these metrics.";
    static const char place[] = "Whatever reports without its worker's path is not counted: the "
                                "path is part of OTEL_EXPORTER_OTLP_ENDPOINT.";
    (void)err;
    const uint64_t *losses = seen->run->telemetry.losses;
    const struct pw_strays *strays = &seen->run->strays;
    const struct cause causes[] = {
        {"late", "payloads late", flush, losses[PW_LOSS_LATE]},
        {"cut_off", "payloads cut off", flush, losses[PW_LOSS_CUT_OFF]},
        {"undecodable", "payloads undecodable", form, losses[PW_LOSS_UNDECODABLE]},
        {"unsupported", "payloads of another kind", form, losses[PW_LOSS_UNSUPPORTED]},
        {"too_large", "payloads too large",
         "Let it send smaller batches, or raise --otlp-max-body-mb.", losses[PW_LOSS_TOO_LARGE]},
        {"busy", "payloads without room", less, losses[PW_LOSS_BUSY]},
        {"memory", "payloads without memory", less, losses[PW_LOSS_MEMORY]},
        {"invalid_point", "datapoints or spans that contradict themselves", values,
         losses[PW_LOSS_INVALID_POINT]},
        {"not_a_number", "datapoints that are NaN or infinite", values,
         losses[PW_LOSS_NOT_A_NUMBER]},
        {"unknown_path", "requests to unknown paths", place, strays->unknown_path},
        {"unauthorized", "requests without the token", place, strays->unauthorized},
        {"connections_refused", "connections refused", less, strays->connections_refused},
    };
    return warn_of_causes(seen, "telemetry_lost", "Not all telemetry is in the numbers:", causes,
                          sizeof(causes) / sizeof(causes[0]));
}

static int judge_telemetry_limits(const struct evidence *seen, struct pw_err *err)
{
    (void)err;
    const uint64_t *losses = seen->run->telemetry.losses;
    const struct cause causes[] = {
        {"series_limit", "datapoints of further series",
         "Totals lack these series: keep attributes with many different values out of metrics.",
         losses[PW_LOSS_SERIES_LIMIT]},
        {"span_limit", "further spans", "Durations lack these spans: sample the traces.",
         losses[PW_LOSS_SPAN_LIMIT]},
        {"name_limit", "spans, log records and histogram series of further names",
         "Keep identifiers out of the names of spans and actions.", losses[PW_LOSS_NAME_LIMIT]},
        {"unlisted_iterations", "iterations whose metrics and actions runs[] does not list",
         "The iteration files have them.", seen->run->otel_unlisted},
    };
    return warn_of_causes(seen, "telemetry_limits", "There is more telemetry than is kept:", causes,
                          sizeof(causes) / sizeof(causes[0]));
}

static void count_workers(struct evidence *seen, const struct pw_iteration_record *iteration)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        const struct pw_worker_record *worker = &iteration->workers[i];
        seen->workers++;
        if (worker->return_code == 0) {
            seen->successful++;
        } else if (worker->end == PW_END_TIMEOUT) {
            seen->timeouts++;
        } else if (seen->failures++ == 0) {
            seen->first_failure = worker->return_code;
        }
    }
}

int pw_run_record_judge(struct pw_run_record *run, struct pw_err *err)
{
    static int (*const rules[])(const struct evidence *seen, struct pw_err *err) = {
        judge_failures, judge_timeouts,       judge_marks,          judge_orphans,
        judge_outliers, judge_slow_first_run, judge_few_runs,       judge_high_load,
        judge_sampling, judge_missed_exits,   judge_telemetry_lost, judge_telemetry_limits,
    };
    PW_FREE_AUTO double *durations_ms = calloc(run->iteration_count + 1, sizeof(*durations_ms));
    if (!durations_ms) {
        return pw_err_memory(err);
    }
    struct evidence seen = {.run = run, .durations_ms = durations_ms};
    for (size_t i = 0; i < run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &run->iterations[i];
        struct pw_value duration = iteration->values[PW_METRIC_LATENCY];
        if (pw_value_is_present(duration)) {
            durations_ms[seen.n++] = duration.number;
        }
        struct pw_value missed = iteration->values[PW_METRIC_TREE_MISSED_EXITS];
        seen.missed_exits += pw_value_is_present(missed) ? missed.number : 0;
        count_workers(&seen, iteration);
    }
    if (pw_stats_describe(durations_ms, seen.n, false, &seen.stats, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i](&seen, err) != 0) {
            return pw_err_is_set(err) ? -1 : pw_err_memory(err);
        }
    }
    return 0;
}
