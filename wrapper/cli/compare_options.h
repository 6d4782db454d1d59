/* What `compare` and `ab` have in common: their options, and the comparison as output. */
#ifndef PW_CLI_COMPARE_OPTIONS_H
#define PW_CLI_COMPARE_OPTIONS_H

#include <stdbool.h>
#include "core/err.h"
#include "core/str.h"
#include "sla/compare.h"
#include "wrapper/cli/option.h"

struct pw_compare_choices {
    const char *floor, *confidence; /* percent, as typed */
    const char *format, *fail_on;   /* fail_on: NULL if not given */
    bool all, no_color;
    bool across; /* of `compare` */
};

/* Rows for an option table, in the group of that index; `base` is the offset of a struct
 * pw_compare_choices in the table's target. */
#define PW_COMPARE_OPTION_ROWS(base, group_index)                                                 \
    {.name = "floor",                                                                             \
     .type = PW_OPTION_STRING,                                                                    \
     .group = (group_index),                                                                      \
     .argument = "PCT",                                                                           \
     .initial = "3%",                                                                             \
     .check = pw_compare_check_floor,                                                             \
     .offset = (base) + offsetof(struct pw_compare_choices, floor),                               \
     .help = "Changes smaller than this part of A's median are of no interest: such a metric is " \
             "called the same, or unsure. What perfwrap itself can tell apart is a floor too."},  \
        {.name = "confidence",                                                                    \
         .type = PW_OPTION_STRING,                                                                \
         .group = (group_index),                                                                  \
         .argument = "PCT",                                                                       \
         .initial = "95%",                                                                        \
         .check = pw_compare_check_confidence,                                                    \
         .offset = (base) + offsetof(struct pw_compare_choices, confidence),                      \
         .help = "Of the intervals; what is left of 100 is the chance that two equal sides are "  \
                 "called different in any metric that counts for a gate."},                       \
        {.name = "format",                                                                        \
         .type = PW_OPTION_STRING,                                                                \
         .group = (group_index),                                                                  \
         .argument = "text|markdown|json",                                                        \
         .initial = "text",                                                                       \
         .check = pw_compare_check_format,                                                        \
         .offset = (base) + offsetof(struct pw_compare_choices, format),                          \
         .help = "A table for a terminal, Markdown, or every number as JSON."},                   \
        {.name = "all",                                                                           \
         .type = PW_OPTION_FLAG,                                                                  \
         .group = (group_index),                                                                  \
         .offset = (base) + offsetof(struct pw_compare_choices, all),                             \
         .help = "Also metrics of which neither more nor less is better, those that repeat "      \
                 "others, and perfwrap's own times; --fail-on then looks at every one."},         \
    {                                                                                             \
        .name = "fail-on", .type = PW_OPTION_STRING, .group = (group_index),                      \
        .argument = "VERDICTS", .check = pw_compare_check_fail_on,                                \
        .offset = (base) + offsetof(struct pw_compare_choices, fail_on),                          \
        .help =                                                                                   \
            "Exit status 1 if a metric that counts for a gate (latency, throughput, max_rss_mb, " \
            "CPU seconds) has one of these verdicts: slower, unsure, faster, same, changed, "     \
            "with commas between. slower stands for worse, also in memory. B also fails if a "    \
            "larger share of its workers failed than of A's."                                     \
    }

int pw_compare_check_floor(const char *text, struct pw_err *err);
int pw_compare_check_confidence(const char *text, struct pw_err *err);
int pw_compare_check_format(const char *text, struct pw_err *err);
int pw_compare_check_fail_on(const char *text, struct pw_err *err);

/* The choices were checked. */
struct pw_compare_options pw_compare_options_of(const struct pw_compare_choices *choices);
int pw_compare_render(const struct pw_comparison *comparison,
                      const struct pw_compare_choices *choices, struct pw_str *ret_text,
                      struct pw_err *err);
/* PW_EXIT_OK, or 1 if --fail-on says so: why is told on standard error. */
int pw_compare_gate(const struct pw_comparison *comparison,
                    const struct pw_compare_choices *choices);

#endif
