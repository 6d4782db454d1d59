/* What the files of sla/compare.h share: its sides and their samples. */
#ifndef PW_SLA_COMPARE_IMPL_H
#define PW_SLA_COMPARE_IMPL_H

#include "core/limits.h"
#include "sla/compare.h"

struct pw_compare_input {
    const struct pw_summary *const *summaries;
    size_t count;
};

/* Fills everything of a side but its name. */
int pw_compare_describe_side(const struct pw_compare_input *input,
                             struct pw_comparison_side *ret_side, struct pw_err *err);
/* Most workers that an iteration of the side had at once. */
double pw_compare_concurrency(const struct pw_compare_input *input);
/* The side's values of a metric, one an iteration at most; free(*ret_values), NULL and 0 if there
 * are none. */
int pw_compare_sample(const struct pw_compare_input *input, const struct pw_metric *metric,
                      double **ret_values, size_t *ret_count, struct pw_err *err);
/* The same of a mark or a phase. */
int pw_compare_sample_moment(const struct pw_compare_input *input, const char *path,
                             double **ret_values, size_t *ret_count, struct pw_err *err);

/* Most rows of marks and phases that a comparison has. */
enum { PW_COMPARE_MOMENTS_MAX = 2 * PW_LIMIT_MOMENTS + 1 };
/* Fills the comparison's `moments`: the marks, then the phases, that a summary of A and one of B
 * have, in A's order. */
int pw_compare_find_moments(struct pw_comparison *comparison, const struct pw_compare_input *a,
                            const struct pw_compare_input *b, struct pw_err *err);

/* What makes the two sides less than alike: warnings of the comparison. */
/* Refuses boots on machines that differ. */
int pw_compare_refuse_guests(const struct pw_compare_input *a, const struct pw_compare_input *b,
                             struct pw_err *err);
int pw_compare_warn(struct pw_comparison *comparison, const struct pw_compare_input *a,
                    const struct pw_compare_input *b, struct pw_err *err);

#endif
