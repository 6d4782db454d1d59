#include "sla/number.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/json.h"
#include "core/stats.h"
#include "core/str.h"
#include "sla/subject_impl.h"

/* A lookup under way. */
struct finder {
    const struct pw_summary *summary;
    const struct pw_bound *bound;
    struct pw_number *number;
    struct pw_err *err;
};

void pw_number_done(struct pw_number *number)
{
    free(number->sample);
    free(number->reason);
    *number = (struct pw_number){0};
}

/* The number is not there: says why. -1 if memory ran out. */
__attribute__((format(printf, 3, 4))) static int absent(struct finder *finder,
                                                        enum pw_absence state, const char *format,
                                                        ...)
{
    char text[PW_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    free(finder->number->reason);
    finder->number->value = pw_value_absent(state);
    finder->number->reason = strdup(text);
    return finder->number->reason ? 0 : pw_err_memory(finder->err);
}

static void present(struct finder *finder, double number)
{
    finder->number->value = pw_value_of(number);
    if (number != floor(number)) {
        finder->number->integer = false;
    }
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

static int shown(const char *name)
{
    return pw_piece_shown((struct pw_piece){name, strlen(name)});
}

/* Why what is null in the summary is so: `path` is a metric's, or a block's. */
static enum pw_absence absence_of(const struct finder *finder, const char *path)
{
    const json_t *summary = json_object_get(pw_summary_root(finder->summary), "summary");
    const json_t *reasons = json_object_get(summary, "unavailable");
    const char *name = json_string_value(json_object_get(reasons, path));
    for (enum pw_absence state = 0; name && state <= PW_ABSENT_NO_SAMPLES; state++) {
        if (state != PW_PRESENT && strcmp(name, pw_absence_name(state)) == 0) {
            return state;
        }
    }
    return PW_ABSENT_NOT_MEASURED;
}

/* Takes the number that `value` should be: the statistic `stat` ("" for none) of `place`, whose
 * `unavailable` entry is `path`. */
static int take(struct finder *finder, const json_t *value, const char *path, const char *place,
                const char *stat)
{
    const char *dot = stat[0] != '\0' ? "." : "";
    if (json_is_number(value)) {
        present(finder, json_number_value(value));
        return 0;
    }
    if (!value) {
        return absent(finder, PW_ABSENT_NOT_MEASURED, "the summary has no `%.*s%s%s`", shown(place),
                      place, dot, stat);
    }
    if (json_is_null(value)) {
        enum pw_absence state = absence_of(finder, path);
        return absent(finder, state, "`%.*s%s%s` is null (%s)", shown(place), place, dot, stat,
                      pw_absence_name(state));
    }
    return absent(finder, PW_ABSENT_NOT_MEASURED, "`%.*s%s%s` is %s, not a number", shown(place),
                  place, dot, stat, type_name(value));
}

static const json_t *summary_block(const struct finder *finder)
{
    return json_object_get(pw_summary_root(finder->summary), "summary");
}

static void set_unit(struct finder *finder, const char *text)
{
    finder->number->unit_text = text && text[0] != '\0' ? text : NULL;
    finder->number->unit = finder->number->unit_text ? pw_unit_find(text, strlen(text)) : NULL;
}

/* Metrics. */

static int find_sample(struct finder *finder)
{
    struct pw_number *number = finder->number;
    const struct pw_bound *bound = finder->bound;
    int status = bound->subject == PW_SUBJECT_MOMENT
                     ? pw_worker_sample_of_moment(finder->summary, bound->name, &number->sample,
                                                  &number->sample_count, finder->err)
                     : pw_sample_of_metric(finder->summary, bound->metric, &number->sample,
                                           &number->sample_count, finder->err);
    if (status != 0) {
        return -1;
    }
    if (number->sample_count > 0) {
        pw_stats_sort(number->sample, number->sample_count);
    }
    return 0;
}

static struct pw_value pick(const struct pw_stats *stats, enum pw_aggregate_kind kind)
{
    switch (kind) {
    case PW_AGGREGATE_MEAN: return stats->mean;
    case PW_AGGREGATE_MIN: return stats->min;
    case PW_AGGREGATE_MAX: return stats->max;
    case PW_AGGREGATE_STDDEV: return stats->stddev;
    case PW_AGGREGATE_MAD: return stats->mad;
    case PW_AGGREGATE_TOTAL: return stats->total;
    case PW_AGGREGATE_PERCENTILE:
    case PW_AGGREGATE_COUNT:
    case PW_AGGREGATE_FAILURES:
    case PW_AGGREGATE_NONE: break;
    }
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

static int compute(struct finder *finder)
{
    const struct pw_number *number = finder->number;
    const char *path = finder->bound->name;
    struct pw_aggregate aggregate = finder->bound->aggregate;
    if (number->sample_count == 0) {
        return absent(finder, absence_of(finder, path), "the summary has no value of `%s`", path);
    }
    if (aggregate.kind == PW_AGGREGATE_PERCENTILE) {
        present(finder,
                pw_stats_percentile_sorted(number->sample, number->sample_count, aggregate.p));
        return 0;
    }
    struct pw_stats stats;
    if (pw_stats_describe(number->sample, number->sample_count, false, &stats, finder->err) != 0) {
        return -1;
    }
    struct pw_value value = pick(&stats, aggregate.kind);
    if (!pw_value_is_present(value)) {
        char text[PW_AGGREGATE_TEXT_MAX];
        pw_aggregate_text(aggregate, text);
        return absent(finder, PW_ABSENT_NO_SAMPLES, "%zu value%s of `%s`: no %s of so few",
                      number->sample_count, number->sample_count == 1 ? "" : "s", path, text);
    }
    present(finder, value.number);
    return 0;
}

static int find_metric(struct finder *finder)
{
    const struct pw_metric *metric = finder->bound->metric;
    enum pw_aggregate_kind kind = finder->bound->aggregate.kind;
    set_unit(finder, metric->unit);
    finder->number->integer =
        metric->integer && (kind == PW_AGGREGATE_NONE || kind == PW_AGGREGATE_MIN ||
                            kind == PW_AGGREGATE_MAX || kind == PW_AGGREGATE_TOTAL);
    const json_t *place = pw_json_find(summary_block(finder), metric->path);
    if (kind == PW_AGGREGATE_NONE) {
        return take(finder, place, metric->path, metric->path, "");
    }
    if (find_sample(finder) != 0) {
        return -1;
    }
    enum pw_stat stat = pw_aggregate_stat(finder->bound->aggregate);
    const char *name = stat < PW_STAT_COUNT ? pw_stat_name(stat) : "";
    if (json_is_null(place)) {
        return take(finder, place, metric->path, metric->path, "");
    }
    if (place && !json_is_object(place)) {
        return absent(finder, PW_ABSENT_NOT_MEASURED, "`%s` is %s, not an object", metric->path,
                      json_is_number(place) ? "a number" : type_name(place));
    }
    const json_t *stated = stat < PW_STAT_COUNT ? json_object_get(place, name) : NULL;
    /* What schema v4 says must be stated counts as missing where it is not: as the old checker has
     * it. */
    bool must = metric->frozen && stat < PW_STAT_COUNT && (metric->stats & PW_STAT_BIT(stat)) != 0;
    return stated || must ? take(finder, stated, metric->path, metric->path, name)
                          : compute(finder);
}

/* Marks and phases. */

/* There is no such mark: names those that there are. */
static int absent_moment(struct finder *finder, const json_t *block)
{
    const char *name = finder->bound->name;
    bool phase = strncmp(name, "phases.", strlen("phases.")) == 0;
    PW_STR_AUTO has = PW_STR_INIT;
    const char *key = NULL;
    const json_t *entry = NULL;
    if (!json_is_object(block)) {
        return block ? absent(finder, PW_ABSENT_NOT_MEASURED, "`%s` is %s, not an object",
                              phase ? "phases" : "marks",
                              json_is_number(block) ? "a number" : type_name(block))
                     : absent(finder, PW_ABSENT_NOT_MEASURED,
                              "the summary has no `%.*s`: it was measured without --mark",
                              shown(name), name);
    }
    /* jansson's iterator takes a pointer that is not const but changes nothing. */
    json_object_foreach((json_t *)block, key, entry)
    {
        (void)entry;
        pw_str_addf(&has, "%s%.*s", has.length > 0 ? ", " : "", shown(key), key);
        if (has.length > 200) {
            pw_str_add(&has, ", …");
            break;
        }
    }
    return absent(finder, PW_ABSENT_NOT_MEASURED, "the summary has no `%.*s`; its %s are %s",
                  shown(name), name, phase ? "phases" : "marks",
                  has.length > 0 ? has.text : "none");
}

static int find_moment(struct finder *finder)
{
    const struct pw_bound *bound = finder->bound;
    const char *key = strchr(bound->name, '.') + 1; /* always there: see sla/subject.c */
    const json_t *block =
        json_object_getn(summary_block(finder), bound->name, (size_t)(key - 1 - bound->name));
    const json_t *entry = json_object_get(block, key);
    bool counts = pw_aggregate_is_count(bound->aggregate.kind);
    set_unit(finder, counts ? "count" : "ms");
    finder->number->integer = counts;
    if (!entry) {
        return absent_moment(finder, block);
    }
    if (find_sample(finder) != 0) {
        return -1;
    }
    if (counts) {
        return take(finder, json_object_get(entry, "count"), bound->name, bound->name, "count");
    }
    enum pw_stat stat = pw_aggregate_stat(bound->aggregate);
    const char *name = stat < PW_STAT_COUNT ? pw_stat_name(stat) : "";
    const json_t *stated = stat < PW_STAT_COUNT ? json_object_get(entry, name) : NULL;
    return stated ? take(finder, stated, bound->name, bound->name, name) : compute(finder);
}

/* Telemetry. */

/* A block of telemetry is not what it should be: null where nothing was collected. */
static int absent_block(struct finder *finder, const json_t *block, const char *name)
{
    return json_is_number(block)
               ? absent(finder, PW_ABSENT_NOT_MEASURED, "`%s` is a number, not a block", name)
               : take(finder, block, name, name, "");
}

/* A statistic's keys, by whom it is of: of a metric whichever is there; of an action, and of a span
 * if that calls it something else. */
struct keys {
    const char *metric[2], *duration[2];
};

static struct keys keys_of(struct pw_aggregate aggregate)
{
    switch (aggregate.kind) {
    case PW_AGGREGATE_MEAN: return (struct keys){{"mean", NULL}, {"mean_ms", NULL}};
    case PW_AGGREGATE_MIN: return (struct keys){{"min", NULL}, {"min_ms", NULL}};
    case PW_AGGREGATE_MAX: return (struct keys){{"max", NULL}, {"max_ms", NULL}};
    case PW_AGGREGATE_STDDEV: return (struct keys){{NULL, NULL}, {"stddev_ms", NULL}};
    case PW_AGGREGATE_TOTAL: return (struct keys){{"total", "sum"}, {"total_ms", NULL}};
    case PW_AGGREGATE_COUNT: return (struct keys){{"count", NULL}, {"count", NULL}};
    case PW_AGGREGATE_FAILURES: return (struct keys){{NULL, NULL}, {"failures", "errors"}};
    case PW_AGGREGATE_PERCENTILE:
        return aggregate.p == 0.5    ? (struct keys){{"p50", NULL}, {"median_ms", NULL}}
               : aggregate.p == 0.95 ? (struct keys){{"p95", NULL}, {"p95_ms", NULL}}
               : aggregate.p == 0.99 ? (struct keys){{"p99", NULL}, {"p99_ms", NULL}}
                                     : (struct keys){{NULL, NULL}, {NULL, NULL}};
    case PW_AGGREGATE_MAD:
    case PW_AGGREGATE_NONE: break;
    }
    return (struct keys){{NULL, NULL}, {NULL, NULL}};
}

static void set_count(struct finder *finder, const json_t *entry)
{
    const json_t *count = json_object_get(entry, "count");
    double number = json_is_number(count) ? json_number_value(count) : 0;
    if (number >= 1 && number <= 0x1p53) {
        finder->number->sample_count = (size_t)number;
    }
}

/* Names the statistics that an entry has, for the reason why another is not there. */
static int absent_statistic(struct finder *finder, const json_t *entry)
{
    static const char *const names[] = {"mean", "p50",   "p95", "p99",  "min",
                                        "max",  "total", "sum", "count"};
    PW_STR_AUTO has = PW_STR_INIT;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_is_number(json_object_get(entry, names[i]))) {
            pw_str_addf(&has, "%s%s", has.length > 0 ? ", " : "",
                        strcmp(names[i], "sum") == 0 ? "total" : names[i]);
        }
    }
    char text[PW_AGGREGATE_TEXT_MAX];
    pw_aggregate_text(finder->bound->aggregate, text);
    const char *type = json_string_value(json_object_get(entry, "type"));
    return absent(finder, PW_ABSENT_NOT_MEASURED, "the metric (%.20s) has no %s, only %s",
                  type ? type : "unknown type", text, has.length > 0 ? has.text : "points");
}

static int find_otel(struct finder *finder)
{
    const struct pw_bound *bound = finder->bound;
    const json_t *metrics = json_object_get(summary_block(finder), "otel_metrics");
    const json_t *entry = json_object_get(metrics, bound->name);
    bool counts = pw_aggregate_is_count(bound->aggregate.kind);
    set_unit(finder, counts ? "count" : json_string_value(json_object_get(entry, "unit")));
    finder->number->integer = counts;
    if (!json_is_object(metrics)) {
        return absent_block(finder, metrics, "otel_metrics");
    }
    if (!json_is_object(entry)) {
        return absent(finder, PW_ABSENT_NO_SAMPLES, "no OTLP metric `%.*s` was received",
                      shown(bound->name), bound->name);
    }
    set_count(finder, entry);
    struct keys keys = keys_of(bound->aggregate);
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = keys.metric[i] ? json_object_get(entry, keys.metric[i]) : NULL;
        if (value) {
            return take(finder, value, "otel_metrics", bound->name, keys.metric[i]);
        }
    }
    return absent_statistic(finder, entry);
}

static int find_duration(struct finder *finder, const char *block, const char *what)
{
    const struct pw_bound *bound = finder->bound;
    bool counts = pw_aggregate_is_count(bound->aggregate.kind);
    const json_t *entries = json_object_get(summary_block(finder), block);
    set_unit(finder, counts ? "count" : "ms");
    finder->number->integer = counts;
    if (!json_is_array(entries)) {
        return absent_block(finder, entries, block);
    }
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        struct keys keys = keys_of(bound->aggregate);
        bool is_span = bound->subject == PW_SUBJECT_SPAN && keys.duration[1];
        const char *key = keys.duration[is_span];
        if (name && key && strcmp(name, bound->name) == 0) {
            set_count(finder, entry);
            return take(finder, json_object_get(entry, key), block, bound->name, key);
        }
    }
    return absent(finder, PW_ABSENT_NO_SAMPLES, "no %s `%.*s` was received", what,
                  shown(bound->name), bound->name);
}

/* Other numbers. */

/* The unit that an OTLP metric states, by the dotted name of a number in it. */
static const char *stated_unit(const struct finder *finder, const char *name)
{
    const char *dot = strrchr(name, '.');
    char *place = dot ? strndup(name, (size_t)(dot - name)) : NULL;
    const json_t *entry = place ? pw_json_find(summary_block(finder), place) : NULL;
    free(place);
    if (dot && (strcmp(dot, ".count") == 0 || strcmp(dot, ".points") == 0)) {
        return "count";
    }
    return json_string_value(json_object_get(entry, "unit"));
}

static int find_other(struct finder *finder)
{
    const char *name = finder->bound->name;
    const json_t *root = pw_summary_root(finder->summary);
    const json_t *value = pw_json_find_number(summary_block(finder), name);
    if (!value) {
        value = pw_json_find_number(root, name);
    }
    if (!value) {
        value = pw_json_find(summary_block(finder), name);
    }
    if (!value) {
        value = pw_json_find(root, name);
    }
    bool in_summary = false;
    const char *unit = pw_subject_unit(finder->bound, &in_summary);
    set_unit(finder, in_summary ? stated_unit(finder, name) : unit);
    finder->number->integer = json_is_integer(value);
    return take(finder, value, name, name, "");
}

int pw_number_find(const struct pw_summary *summary, const struct pw_bound *bound,
                   struct pw_number *ret_number, struct pw_err *err)
{
    struct pw_number number = {.value = pw_value_absent(PW_ABSENT_NOT_MEASURED)};
    struct finder finder = {.summary = summary, .bound = bound, .number = &number, .err = err};
    int status = -1;
    switch (bound->subject) {
    case PW_SUBJECT_METRIC: status = find_metric(&finder); break;
    case PW_SUBJECT_OTEL: status = find_otel(&finder); break;
    case PW_SUBJECT_ACTION: status = find_duration(&finder, "otel_actions", "action"); break;
    case PW_SUBJECT_SPAN: status = find_duration(&finder, "otel_spans", "span"); break;
    case PW_SUBJECT_MOMENT: status = find_moment(&finder); break;
    case PW_SUBJECT_NUMBER: status = find_other(&finder); break;
    }
    if (status != 0) {
        pw_number_done(&number);
        return -1;
    }
    *ret_number = number;
    return 0;
}
