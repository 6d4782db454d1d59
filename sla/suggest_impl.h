/*
 * Inside the suggester: what a rule is, what it sees and how it speaks.
 *
 * Own rules are one table, pw_rules[] in suggest_rules.c, with their thresholds beside it; the
 * functions that judge are in suggest_judge_*.c, of one kind each. A judge calls pw_rule_fire()
 * when its rule fires, and does nothing when a number that it needs is missing.
 */
#ifndef PW_SLA_SUGGEST_IMPL_H
#define PW_SLA_SUGGEST_IMPL_H

#include <stdbool.h>
#include "core/metric.h"
#include "core/str.h"
#include "core/value.h"
#include "sla/suggest.h"

/*
 * How far a suggestion may be trusted. A fact that was counted (failures, lost payloads) is "high".
 * A statistic: "high" from 20 values, "medium" from 5, else "low". What is inferred from something
 * else, because nothing measures it directly, is at most "medium". Of an index: "high" from 20 runs
 * and a robust z of 3, "low" under 8 runs, else "medium".
 */
enum pw_confidence { PW_CONFIDENCE_LOW, PW_CONFIDENCE_MEDIUM, PW_CONFIDENCE_HIGH };
enum { PW_CONFIDENT_SAMPLES = 20, PW_SOME_SAMPLES = 5, PW_SOME_RUNS = 8 };
enum pw_confidence pw_confidence_of(double samples, bool counted, bool inferred);

/* One entry of `warnings` or `findings`. Texts are borrowed; those that may be NULL are missing in
 * the document then. */
struct pw_suggestion {
    const char *profile, *signal;
    enum pw_suggest_severity severity;
    const char *basis; /* may be NULL */
    const char *message, *advice;
    const char *metric;
    struct pw_value baseline, current;
    const char *baseline_is; /* may be NULL: there is none */
    bool changed;            /* from `baseline` to `current`, so the change is worth saying */
    double samples;
    enum pw_confidence confidence;
    const char *next_command;
};
/* `list`: "warnings" or "findings". */
int pw_suggestion_put(json_t *document, const char *list, const struct pw_suggestion *suggestion,
                      struct pw_err *err);

/* A number as a person writes it: four significant digits, whole from 1000 on. */
enum { PW_SHORT_NUMBER_MAX = 32 };
const char *pw_short_number(char buffer[PW_SHORT_NUMBER_MAX], double number);
#define PW_SHORT(number) pw_short_number((char[PW_SHORT_NUMBER_MAX]){0}, (number))

/* What a run is called: the last segment of `run_dir`, else of the folder of `path`. And the group
 * of the contract, section 8: the profile name or that, without the time stamp at its end. */
void pw_suggest_run_name(const struct pw_summary *summary, const char *path,
                         struct pw_str *ret_name);
void pw_suggest_profile_of(const struct pw_summary *summary, const char *path,
                           struct pw_str *ret_name);

/* The contract's rules over an index, as a table, for the list. */
void pw_suggest_list_index_rules(struct pw_document *report);
int pw_suggest_index_rules_to_json(json_t *list, struct pw_err *err);

/* Thresholds of the own rules: suggest_rules.c says why each is what it is. */
enum pw_threshold_id {
    PW_LEAST_MS,
    PW_CPU_BOUND_PCT,
    PW_WAITING_PCT,
    PW_PREEMPTIONS_PER_CPU_SEC,
    PW_PREEMPTIONS_LEAST,
    PW_RUNQ_PCT,
    PW_EXIT_TAIL_PCT,
    PW_STORAGE_MIB_PER_SEC,
    PW_STORAGE_LEAST_MIB,
    PW_MAJOR_FAULTS,
    PW_TREND_ITERATIONS,
    PW_TREND_P,
    PW_TREND_SURE_P,
    PW_TREND_GROWTH_PCT,
    PW_FOOTPRINT_GROWTH_PCT,
    PW_MEMORY_SHARE_PCT,
    PW_SPAWN_PCT,
    PW_COLLECT_PCT,
    PW_OBSERVE_PCT,
    PW_NOISE_PCT,
    PW_NOISE_RUNS,
    PW_TAIL_RATIO,
    PW_TAIL_RUNS,
    PW_STRAGGLER_RATIO,
    PW_ACTION_PCT,
    PW_SPAN_PCT,
    PW_HOT_FRAME_PCT,
    PW_THRESHOLD_COUNT
};
struct pw_threshold {
    const char *name; /* what stands in braces in a rule's `fires_when` */
    double value;
    const char *unit; /* "" for a plain number */
    const char *why;
};
extern const struct pw_threshold pw_thresholds[PW_THRESHOLD_COUNT];

/* Why workers failed, as far as the return code and `termination` tell. */
enum pw_failure {
    PW_FAILURE_TIMEOUT,
    PW_FAILURE_KILLED,  /* SIGKILL */
    PW_FAILURE_CRASHED, /* SEGV, BUS, ILL, FPE, ABRT, SYS, TRAP */
    PW_FAILURE_SIGNALED,
    PW_FAILURE_NOT_RUN, /* 126, 127: by a shell's convention */
    PW_FAILURE_LOST,    /* its warden died */
    PW_FAILURE_RETURNED,
    PW_FAILURE_COUNT
};
enum { PW_CODES_LISTED = 6 };
struct pw_failures {
    size_t count;
    size_t returned; /* of these: a return code of 128 and more that somebody else passed on */
    size_t code_count, further;
    struct {
        int code;
        size_t count;
    } codes[PW_CODES_LISTED];
};

/* Sums over the workers that have all of it: of a worker without any number nothing is known. */
struct pw_worker_sums {
    size_t count;
    double duration_ms, cpu_sec, preemptions;
};

/* What rules look at. */
struct pw_rule_case {
    const struct pw_summary *summary;
    const char *path, *profile;
    json_t *document;
    size_t iterations, workers, successful;
    struct pw_value cores; /* that the run may use; absent if the summary does not say */
    double concurrency;
    struct pw_value wall_ms; /* mean duration of a worker */
    struct pw_worker_sums sums;
    struct pw_failures failures[PW_FAILURE_COUNT];
};

struct pw_rule {
    const char *signal;
    enum pw_suggest_severity severity;
    const char *looks_at;   /* the numbers, by name */
    const char *fires_when; /* thresholds in braces */
    const char *advice;
    const char *next; /* template: {command}, {summary} */
    int (*judge)(const struct pw_rule *rule, const struct pw_rule_case *seen, struct pw_err *err);
    unsigned which; /* for a judge of several rows */
};
extern const struct pw_rule pw_rules[];
extern const size_t pw_rule_count;

/* What a rule found. */
struct pw_rule_evidence {
    const char *metric;
    struct pw_value baseline, current;
    const char *baseline_is;
    double samples;
    bool counted;
    bool inferred; /* or otherwise unsure: confidence is at most medium */
    bool changed;  /* see struct pw_suggestion */
};
__attribute__((format(printf, 5, 6))) int pw_rule_fire(const struct pw_rule *rule,
                                                       const struct pw_rule_case *seen,
                                                       struct pw_rule_evidence evidence,
                                                       struct pw_err *err, const char *format, ...);

double pw_threshold(enum pw_threshold_id id);
/* Fills *ret_case; `profile` of it is made in `profile`. */
void pw_rule_case_of(const struct pw_summary *summary, const char *path, json_t *document,
                     struct pw_str *profile, struct pw_rule_case *ret_case);
/* `fires_when` with the thresholds' values; a template with what it names. */
void pw_rule_fill_thresholds(const char *text, struct pw_str *ret_text);
void pw_rule_fill_command(const char *text, const char *command, const char *summary_path,
                          struct pw_str *ret_text);
/* How many of the names in braces in `text` are thresholds' and, in *ret_unknown, are not. */
size_t pw_rule_count_thresholds(const char *text, size_t *ret_unknown);

/* The judges. Of several rows, by `which`: */
int pw_judge_failure(const struct pw_rule *rule, const struct pw_rule_case *seen,
                     struct pw_err *err); /* enum pw_failure */
int pw_judge_run_warning(const struct pw_rule *rule, const struct pw_rule_case *seen,
                         struct pw_err *err); /* the signal is the warning's kind */
enum pw_growing { PW_GROWING_MEMORY, PW_GROWING_DESCRIPTORS, PW_GROWING_LATENCY };
int pw_judge_growth(const struct pw_rule *rule, const struct pw_rule_case *seen,
                    struct pw_err *err); /* enum pw_growing */
enum pw_named { PW_NAMED_ACTIONS, PW_NAMED_SPANS };
int pw_judge_slow_name(const struct pw_rule *rule, const struct pw_rule_case *seen,
                       struct pw_err *err); /* enum pw_named */
int pw_judge_failed_name(const struct pw_rule *rule, const struct pw_rule_case *seen,
                         struct pw_err *err); /* enum pw_named */
/* Of one row: */
#define PW_JUDGE(name)                                                               \
    int pw_judge_##name(const struct pw_rule *rule, const struct pw_rule_case *seen, \
                        struct pw_err *err)
PW_JUDGE(boots_failed);
PW_JUDGE(cpu_bound);
PW_JUDGE(cpu_saturated);
PW_JUDGE(run_queue);
PW_JUDGE(waiting);
PW_JUDGE(exit_tail);
PW_JUDGE(storage);
PW_JUDGE(major_faults);
PW_JUDGE(footprint);
PW_JUDGE(memory_pressure);
PW_JUDGE(spawn);
PW_JUDGE(collection);
PW_JUDGE(observer);
PW_JUDGE(noise);
PW_JUDGE(tail);
PW_JUDGE(stragglers);
PW_JUDGE(hot_frame);

#endif
