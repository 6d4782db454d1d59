/* What `steady` prints. */
#include <math.h>
#include <string.h>
#include "core/clock.h"
#include "core/json.h"
#include "wrapper/cli/steady.h"

enum { TABLE_COLUMNS = 8, WHY_BYTES = 160 };

static const char *const end_names[] = {[PW_STEADY_DONE] = "duration",
                                        [PW_STEADY_TARGET_ENDED] = "target_ended",
                                        [PW_STEADY_INTERRUPTED] = "signal"};

static json_t *number(double value)
{
    return pw_json_number(pw_value_of(value), false);
}

static json_t *sample_to_json(const struct pw_steady_sample *sample, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "at", pw_foot_time_to_json(sample->at), failed);
    pw_json_put(object, "offset_seconds", number(pw_ns_to_sec(sample->offset_ns)), failed);
    pw_json_put(object, "late_ms", number(pw_ns_to_ms(sample->late_ns)), failed);
    pw_json_put(object, "took_ms", number(pw_ns_to_ms(sample->took_ns)), failed);
    pw_json_put(object, "process_count", json_integer((json_int_t)sample->process_count), failed);
    pw_json_put(object, "cpu_percent", pw_json_number(sample->cpu_percent, false), failed);
    pw_foot_values_to_json(object, sample->totals, PW_FOOT_COUNT, NULL, failed);
    return object;
}

/* A bound of the interval that is not finite becomes null. */
static json_t *trend_to_json(const struct pw_steady_series *series, bool *failed)
{
    const struct pw_trend *trend = &series->per_minute;
    if (!series->has_trend) {
        return json_null();
    }
    json_t *object = json_object();
    pw_json_put(object, "per_minute", number(trend->slope), failed);
    pw_json_put(object, "ci95_low", number(trend->slope_ci.low), failed);
    pw_json_put(object, "ci95_high", number(trend->slope_ci.high), failed);
    pw_json_put(object, "p", number(trend->p), failed);
    pw_json_put(object, "direction", json_string(pw_steady_direction(series)), failed);
    return object;
}

static json_t *series_to_json(const struct pw_steady_series *series, bool *failed)
{
    const struct pw_stats *stats = &series->stats;
    bool whole = series->unit != PW_FOOT_SECONDS;
    json_t *object = json_object();
    pw_json_put(object, "count", json_integer((json_int_t)stats->n), failed);
    pw_json_put(object, "min", pw_json_number(stats->min, whole), failed);
    pw_json_put(object, "mean", pw_json_number(stats->mean, whole), failed);
    pw_json_put(object, "p50", pw_json_number(stats->p50, whole), failed);
    pw_json_put(object, "p95", pw_json_number(stats->p95, whole), failed);
    pw_json_put(object, "max", pw_json_number(stats->max, whole), failed);
    pw_json_put(object, "stddev", pw_json_number(stats->stddev, whole), failed);
    pw_json_put(object, "trend", trend_to_json(series, failed), failed);
    if (stats->n == 0) {
        pw_json_put(object, "unavailable", json_string(pw_absence_name(series->absence)), failed);
    }
    return object;
}

/* To whole KiB, as readers of these keys expect. */
static json_t *whole_kib(struct pw_value value)
{
    value.number = round(value.number);
    return pw_json_number(value, true);
}

static json_t *summary_to_json(const struct pw_steady *steady,
                               const struct pw_steady_series series[PW_STEADY_SERIES_COUNT],
                               bool *failed)
{
    const struct pw_stats *rss = &series[0].stats;
    json_t *summary = json_object(), *all = json_object();
    pw_json_put(summary, "count", json_integer((json_int_t)steady->count), failed);
    pw_json_put(summary, "min_kib", whole_kib(rss->min), failed);
    pw_json_put(summary, "avg_kib", whole_kib(rss->mean), failed);
    pw_json_put(summary, "p95_kib", whole_kib(rss->p95), failed);
    pw_json_put(summary, "max_kib", whole_kib(rss->max), failed);
    for (size_t s = 0; s < PW_STEADY_SERIES_COUNT; s++) {
        pw_json_put(all, series[s].key, series_to_json(&series[s], failed), failed);
    }
    pw_json_put(summary, "series", all, failed);
    return summary;
}

/* Why a field is null in some sample. */
static json_t *unavailable_to_json(const struct pw_steady *steady, bool *failed)
{
    json_t *reasons = json_object();
    for (size_t f = 0; f < PW_FOOT_COUNT; f++) {
        for (size_t i = 0; i < steady->count; i++) {
            struct pw_value value = steady->samples[i].totals[f];
            if (!pw_value_is_present(value)) {
                pw_json_put(reasons, pw_foot_fields[f].key,
                            json_string(pw_absence_name(value.state)), failed);
                break;
            }
        }
    }
    return reasons;
}

json_t *pw_steady_to_json(const struct pw_foot_session *session, const struct pw_steady *steady,
                          const struct pw_steady_series series[PW_STEADY_SERIES_COUNT])
{
    bool failed = false;
    json_t *root = json_object(), *samples = json_array();
    pw_foot_head_to_json(root, "steady", session, &failed);
    pw_json_put(root, "duration_seconds", pw_json_number(pw_value_of(steady->duration_sec), true),
                &failed);
    pw_json_put(root, "interval_seconds", pw_json_number(pw_value_of(steady->interval_sec), true),
                &failed);
    pw_json_put(root, "ended_by", json_string(end_names[steady->end]), &failed);
    pw_json_put(root, "ended_after_seconds", number(pw_ns_to_sec(steady->ended_ns)), &failed);
    pw_json_put(root, "missed_samples", json_integer((json_int_t)steady->missed), &failed);
    pw_json_put(root, "skipped_processes", json_integer((json_int_t)steady->skipped_processes),
                &failed);
    for (size_t i = 0; i < steady->count; i++) {
        pw_json_append(samples, sample_to_json(&steady->samples[i], &failed), &failed);
    }
    pw_json_put(root, "samples", samples, &failed);
    pw_json_put(root, "unavailable", unavailable_to_json(steady, &failed), &failed);
    pw_json_put(root, "summary", summary_to_json(steady, series, &failed), &failed);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* The document */

/* KiB as MiB: a slope of a few KiB must not become 0.00. */
static void add_number(struct pw_document *document, enum pw_foot_unit unit, struct pw_value value)
{
    if (!pw_value_is_present(value)) {
        pw_document_cell(document, "-");
    } else {
        pw_document_cell(document, unit == PW_FOOT_KIB ? "%.2f" : "%.1f",
                         unit == PW_FOOT_KIB ? value.number / 1024 : value.number);
    }
}

static void add_trend(struct pw_document *document, const struct pw_steady_series *series)
{
    const struct pw_trend *trend = &series->per_minute;
    double factor = series->unit == PW_FOOT_KIB ? 1.0 / 1024 : 1;
    if (!series->has_trend) {
        pw_document_cell(document, "-");
        pw_document_cell(document, "-");
    } else {
        pw_document_cell(document, "%+.3g", trend->slope * factor);
        if (isfinite(trend->slope_ci.low) && isfinite(trend->slope_ci.high)) {
            pw_document_cell(document, "%+.3g to %+.3g", trend->slope_ci.low * factor,
                             trend->slope_ci.high * factor);
        } else {
            pw_document_cell(document, "too few samples");
        }
    }
    pw_document_cell(document, "%s", pw_steady_direction(series));
}

static void add_series(const struct pw_steady_series series[PW_STEADY_SERIES_COUNT],
                       struct pw_document *document)
{
    static const char *const headers[TABLE_COLUMNS] = {
        "series", "min", "mean", "p95", "max", "per minute", "95 % interval", "trend"};
    pw_document_table(document, headers, TABLE_COLUMNS, 1);
    for (size_t s = 0; s < PW_STEADY_SERIES_COUNT; s++) {
        const struct pw_stats *stats = &series[s].stats;
        if (stats->n == 0 && series[s].is_of_guest &&
            series[s].absence == PW_ABSENT_NOT_SUPPORTED) {
            continue; /* no machine */
        }
        pw_document_cell(document, "%s%s", series[s].label,
                         series[s].unit == PW_FOOT_KIB ? ", MiB" : "");
        add_number(document, series[s].unit, stats->min);
        add_number(document, series[s].unit, stats->mean);
        add_number(document, series[s].unit, stats->p95);
        add_number(document, series[s].unit, stats->max);
        add_trend(document, &series[s]);
    }
}

static void add_findings(const struct pw_steady *steady,
                         const struct pw_steady_series series[PW_STEADY_SERIES_COUNT],
                         struct pw_document *document)
{
    bool refused = false;
    for (size_t s = 0; s < PW_STEADY_SERIES_COUNT; s++) {
        refused |= series[s].stats.n == 0 && series[s].absence == PW_ABSENT_NO_PERMISSION;
    }
    if (steady->missed > 0) {
        char why[WHY_BYTES];
        snprintf(why, sizeof why, "%zu times passed while a sample was taken and have none",
                 steady->missed);
        pw_document_finding(document, "slow samples", why,
                            "give a longer --interval: the kernel walks all of the tree's page "
                            "tables for each sample");
    }
    if (refused) {
        pw_document_finding(document, "no permission",
                            "the kernel tells some numbers to the process's own user only",
                            "run perfwrap as that user, or as root");
    }
    if (steady->skipped_processes > 0) {
        pw_document_finding(document, "large tree",
                            "more processes than perfwrap follows: the sums are too small", NULL);
    }
}

void pw_steady_report(const struct pw_foot_session *session, const struct pw_steady *steady,
                      const struct pw_steady_series series[PW_STEADY_SERIES_COUNT],
                      struct pw_document *document)
{
    double ended_sec = pw_ns_to_sec(steady->ended_ns);
    pw_document_heading(document, 1, "Steady state");
    pw_foot_target_field(document, session);
    pw_document_field(document, "samples", "%zu, every %g s for %g s", steady->count,
                      steady->interval_sec, steady->duration_sec);
    if (steady->end == PW_STEADY_TARGET_ENDED) {
        pw_document_bad_field(document, "ended", "the process ended after %.2f s", ended_sec);
    } else if (steady->end == PW_STEADY_INTERRUPTED) {
        pw_document_bad_field(document, "ended", "by signal %d after %.2f s", steady->signal,
                              ended_sec);
    }
    add_series(series, document);
    add_findings(steady, series, document);
}
