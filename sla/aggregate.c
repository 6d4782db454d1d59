#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/metric.h"
#include "sla/subject_impl.h"

static const struct {
    const char *word;
    struct pw_aggregate aggregate;
} words[] = {
    {"mean", {PW_AGGREGATE_MEAN, 0}},         {"avg", {PW_AGGREGATE_MEAN, 0}},
    {"med", {PW_AGGREGATE_PERCENTILE, 0.5}},  {"median", {PW_AGGREGATE_PERCENTILE, 0.5}},
    {"min", {PW_AGGREGATE_MIN, 0}},           {"max", {PW_AGGREGATE_MAX, 0}},
    {"stddev", {PW_AGGREGATE_STDDEV, 0}},     {"mad", {PW_AGGREGATE_MAD, 0}},
    {"total", {PW_AGGREGATE_TOTAL, 0}},       {"count", {PW_AGGREGATE_COUNT, 0}},
    {"failures", {PW_AGGREGATE_FAILURES, 0}}, {"errors", {PW_AGGREGATE_FAILURES, 0}},
};
enum { WORD_COUNT = sizeof(words) / sizeof(words[0]) };

const char *const pw_aggregate_words[] = {"mean",   "avg", "med",   "median", "min",      "max",
                                          "stddev", "mad", "total", "count",  "failures", "errors",
                                          "p50",    "p95", "p99",   NULL};

bool pw_aggregate_is_count(enum pw_aggregate_kind kind)
{
    return kind == PW_AGGREGATE_COUNT || kind == PW_AGGREGATE_FAILURES;
}

bool pw_aggregate_find(struct pw_piece word, struct pw_aggregate *ret_aggregate)
{
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (pw_piece_is(word, words[i].word)) {
            *ret_aggregate = words[i].aggregate;
            return true;
        }
    }
    /* p95, p99.9; longer ones say no more. */
    char digits[16] = "";
    if (word.length < 2 || word.length > sizeof(digits) || word.text[0] != 'p') {
        return false;
    }
    memcpy(digits, word.text + 1, word.length - 1);
    size_t dots = 0;
    for (size_t i = 0; i < word.length - 1; i++) {
        bool dot = digits[i] == '.';
        dots += dot;
        if ((!dot && !isdigit((unsigned char)digits[i])) ||
            (dot && (i == 0 || i == word.length - 2))) {
            return false;
        }
    }
    double percent = strtod(digits, NULL);
    if (dots > 1 || percent > 100) {
        return false;
    }
    *ret_aggregate = (struct pw_aggregate){PW_AGGREGATE_PERCENTILE, percent / 100};
    return true;
}

void pw_aggregate_text(struct pw_aggregate aggregate, char text[PW_AGGREGATE_TEXT_MAX])
{
    text[0] = '\0';
    if (aggregate.kind == PW_AGGREGATE_PERCENTILE) {
        snprintf(text, PW_AGGREGATE_TEXT_MAX, "p(%.10g)", 100 * aggregate.p);
        return;
    }
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (words[i].aggregate.kind == aggregate.kind) {
            snprintf(text, PW_AGGREGATE_TEXT_MAX, "%s", words[i].word);
            return;
        }
    }
}

enum pw_stat pw_aggregate_stat(struct pw_aggregate aggregate)
{
    switch (aggregate.kind) {
    case PW_AGGREGATE_NONE: return PW_STAT_SCALAR;
    case PW_AGGREGATE_MEAN: return PW_STAT_MEAN;
    case PW_AGGREGATE_MIN: return PW_STAT_MIN;
    case PW_AGGREGATE_MAX: return PW_STAT_MAX;
    case PW_AGGREGATE_STDDEV: return PW_STAT_STDDEV;
    case PW_AGGREGATE_MAD: return PW_STAT_MAD;
    case PW_AGGREGATE_TOTAL: return PW_STAT_TOTAL;
    case PW_AGGREGATE_COUNT:
    case PW_AGGREGATE_FAILURES: return PW_STAT_COUNT;
    case PW_AGGREGATE_PERCENTILE: break;
    }
    return aggregate.p == 0.5    ? PW_STAT_P50
           : aggregate.p == 0.9  ? PW_STAT_P90
           : aggregate.p == 0.95 ? PW_STAT_P95
           : aggregate.p == 0.99 ? PW_STAT_P99
                                 : PW_STAT_COUNT;
}
