/* Marks and the phases between them, of an iteration and of a run: core/moments.h. */
#include <stdio.h>
#include <stdlib.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/summary_impl.h"

int64_t pw_worker_duration_ns(const struct pw_worker_record *worker)
{
    int64_t duration_ns = worker->ended_at_ns - worker->started_at_ns;
    return duration_ns > 0 ? duration_ns : -1;
}

/* The blocks, in the order of the documents. A phase more than there are marks: "end". */
enum block { MARKS, PHASES, BLOCK_COUNT };
static const char *const block_names[BLOCK_COUNT] = {[MARKS] = "marks", [PHASES] = "phases"};

static size_t count_of(const struct pw_moment_names *names, enum block block)
{
    return names->count + (block == PHASES);
}

static const char *name_of(const struct pw_moment_names *names, size_t index)
{
    return index < names->count ? names->names[index] : PW_PHASE_END;
}

/* Adds what the iteration's successful workers have to `values`: theirs of one mark or phase. */
static size_t gather(const struct pw_iteration_record *iteration, enum block block, size_t index,
                     double *values)
{
    size_t n = 0;
    for (size_t i = 0; iteration->moment_names && i < iteration->worker_count; i++) {
        const struct pw_worker_record *worker = &iteration->workers[i];
        if (worker->return_code != 0) {
            continue;
        }
        int64_t ns = -1;
        if (block == MARKS) {
            ns = worker->moments.at_ns[index];
        } else {
            int64_t phase_ns[PW_LIMIT_MOMENTS + 1];
            pw_moments_phases(iteration->moment_names, &worker->moments,
                              pw_worker_duration_ns(worker), phase_ns);
            ns = phase_ns[index];
        }
        if (ns >= 0) {
            values[n++] = pw_ns_to_ms(ns);
        }
    }
    return n;
}

static struct pw_value mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return n > 0 ? pw_value_of(sum / (double)n) : pw_value_absent(PW_ABSENT_NO_SAMPLES);
}

void pw_summary_put_iteration_moments(json_t *object, const struct pw_iteration_record *iteration,
                                      bool *failed)
{
    const struct pw_moment_names *names = iteration->moment_names;
    if (!names) {
        return;
    }
    PW_FREE_AUTO double *values = calloc(iteration->worker_count + 1, sizeof(*values));
    if (!values) {
        *failed = true;
        return;
    }
    for (enum block block = 0; block < BLOCK_COUNT; block++) {
        json_t *means = json_object();
        for (size_t i = 0; i < count_of(names, block); i++) {
            char key[PW_MOMENT_KEY_MAX];
            pw_moment_key(name_of(names, i), key);
            size_t n = gather(iteration, block, i, values);
            pw_json_put(means, key, pw_json_number(mean_of(values, n), false), failed);
        }
        pw_json_put(object, block_names[block], means, failed);
    }
}

static json_t *statistics(const double *values, size_t n, bool *failed)
{
    struct pw_stats stats;
    if (pw_stats_describe(values, n, false, &stats, NULL) != 0) {
        *failed = true;
        return NULL;
    }
    const struct {
        const char *key;
        struct pw_value value;
    } members[] = {
        {pw_stat_name(PW_STAT_MEAN), stats.mean},     {pw_stat_name(PW_STAT_P50), stats.p50},
        {pw_stat_name(PW_STAT_P95), stats.p95},       {pw_stat_name(PW_STAT_P99), stats.p99},
        {pw_stat_name(PW_STAT_MIN), stats.min},       {pw_stat_name(PW_STAT_MAX), stats.max},
        {pw_stat_name(PW_STAT_STDDEV), stats.stddev},
    };
    json_t *object = json_object();
    pw_json_put(object, "count", json_integer((json_int_t)n), failed);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        pw_json_put(object, members[i].key, pw_json_number(members[i].value, false), failed);
    }
    return object;
}

static void put_reason(json_t *summary, enum block block, const char *key, bool *failed)
{
    char path[sizeof("phases.") + PW_MOMENT_KEY_MAX];
    snprintf(path, sizeof(path), "%s.%s", block_names[block], key);
    pw_json_put(json_object_get(summary, "unavailable"), path,
                json_string(pw_absence_name(PW_ABSENT_NO_SAMPLES)), failed);
}

void pw_summary_put_moments(json_t *summary, const struct pw_run_record *run, bool *failed)
{
    const struct pw_moment_names *names = run->moment_names;
    size_t workers = 0;
    if (!names) {
        return;
    }
    for (size_t i = 0; i < run->iteration_count; i++) {
        workers += run->iterations[i].worker_count;
    }
    PW_FREE_AUTO double *values = calloc(workers + 1, sizeof(*values));
    if (!values) {
        *failed = true;
        return;
    }
    for (enum block block = 0; block < BLOCK_COUNT; block++) {
        json_t *entries = json_object();
        for (size_t i = 0; i < count_of(names, block); i++) {
            char key[PW_MOMENT_KEY_MAX];
            size_t n = 0;
            pw_moment_key(name_of(names, i), key);
            for (size_t j = 0; j < run->iteration_count; j++) {
                n += gather(&run->iterations[j], block, i, values + n);
            }
            pw_json_put(entries, key, statistics(values, n, failed), failed);
            if (n == 0) {
                put_reason(summary, block, key, failed);
            }
        }
        pw_json_put(summary, block_names[block], entries, failed);
    }
}
