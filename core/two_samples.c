#include "core/two_samples.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/stats.h"

/* A probability that equals its limit but for rounding keeps it. */
static const double SLACK = 1 + 1e-12;

struct sorted_pair {
    const double *a, *b; /* ascending */
    size_t n_a, n_b;
};

/* Where the values stand among all. */
struct ranks {
    uint64_t sum_b;  /* of B's doubled ranks; equal values share their mean rank */
    double tie_term; /* sum over groups of t equal values of t³ - t */
};

static double *sorted_copy(const double *values, size_t n, struct pw_err *err)
{
    if (n == 0) {
        pw_err_set(err, PW_ERR_INPUT, "a sample without values cannot be compared");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            pw_err_set(err, PW_ERR_INPUT, "value %zu of a sample is not a finite number", i + 1);
            return NULL;
        }
    }
    return pw_stats_sorted_copy(values, n, err);
}

/* `doubled`: if not NULL, room for n_a + n_b doubled ranks, in ascending order. */
static struct ranks rank(const struct sorted_pair *pair, unsigned *doubled)
{
    struct ranks ranks = {0};
    size_t i = 0;
    size_t j = 0;
    while (i < pair->n_a || j < pair->n_b) {
        size_t before = i + j;
        size_t before_b = j;
        double value =
            j == pair->n_b || (i < pair->n_a && pair->a[i] <= pair->b[j]) ? pair->a[i] : pair->b[j];
        while (i < pair->n_a && pair->a[i] == value) {
            i++;
        }
        while (j < pair->n_b && pair->b[j] == value) {
            j++;
        }
        size_t ties = i + j - before;
        uint64_t shared = 2 * (uint64_t)before + ties + 1;
        ranks.sum_b += shared * (j - before_b);
        ranks.tie_term += ((double)ties * (double)ties - 1) * (double)ties;
        for (size_t k = 0; doubled && k < ties; k++) {
            doubled[before + k] = (unsigned)shared;
        }
    }
    return ranks;
}

static double binomial_coefficient(size_t n, size_t k)
{
    double value = 1;
    for (size_t i = 1; i <= k; i++) {
        value = value * (double)(n - k + i) / (double)i;
    }
    return value;
}

/*
 * P(U <= u) for u = 0 … m n / 2, of the rank-sum statistic U of samples of m and n values without
 * ties. The number of orders with U = u is f(m, n, u) = f(m - 1, n, u - n) + f(m, n - 1, u) (Mann
 * and Whitney 1947). free() it.
 */
static double *exact_distribution(size_t m, size_t n, struct pw_err *err)
{
    size_t width = m * n / 2 + 1;
    PW_FREE_AUTO double *counts = calloc((m + 1) * width, sizeof(*counts));
    double *cumulative = calloc(width, sizeof(*cumulative));
    if (!counts || !cumulative) {
        free(cumulative);
        pw_err_memory(err);
        return NULL;
    }
    for (size_t i = 0; i <= m; i++) {
        counts[i * width] = 1;
    }
    for (size_t step = 1; step <= n; step++) {
        for (size_t i = 1; i <= m; i++) {
            const double *less = counts + (i - 1) * width;
            double *row = counts + i * width;
            for (size_t u = step; u < width; u++) {
                row[u] += less[u - step];
            }
        }
    }
    double total = binomial_coefficient(m + n, m);
    double sum = 0;
    for (size_t u = 0; u < width; u++) {
        sum += counts[m * width + u];
        cumulative[u] = sum / total;
    }
    return cumulative;
}

/*
 * The share of all ways to choose `chosen` of the doubled ranks whose sum is as far from its
 * expectation as `observed` or farther: the permutation test of the rank sum, all permutations.
 * They are counted by sum, one rank after the other (shift algorithm of Streitberg and Röhmel
 * 1986).
 */
static int tied_p(const unsigned *doubled, size_t n, size_t chosen, uint64_t observed,
                  double *ret_p, struct pw_err *err)
{
    enum { ROWS = PW_TWO_SAMPLES_EXACT_MAX + 1 };
    size_t largest[ROWS] = {0}; /* sum of that many of the ranks up to here */
    size_t width = 1;
    for (size_t i = n - chosen; i < n; i++) {
        width += doubled[i];
    }
    PW_FREE_AUTO double *counts = calloc((chosen + 1) * width, sizeof(*counts));
    if (!counts) {
        return pw_err_memory(err);
    }
    counts[0] = 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1 < chosen ? i + 1 : chosen; k >= 1; k--) {
            const double *from = counts + (k - 1) * width;
            double *to = counts + k * width + doubled[i];
            for (size_t sum = 0; sum <= largest[k - 1]; sum++) {
                to[sum] += from[sum];
            }
            largest[k] = largest[k - 1] + doubled[i];
        }
    }
    int64_t expected = (int64_t)(chosen * (n + 1));
    int64_t distance = llabs((int64_t)observed - expected);
    double as_far = 0;
    for (size_t sum = 0; sum < width; sum++) {
        if (llabs((int64_t)sum - expected) >= distance) {
            as_far += counts[chosen * width + sum];
        }
    }
    *ret_p = fmin(1, as_far / binomial_coefficient(n, chosen));
    return 0;
}

/* Standard deviation of U under the hypothesis, Lehmann 1975. */
static double rank_sum_deviation(double n_a, double n_b, double tie_term)
{
    double n = n_a + n_b;
    return sqrt(n_a * n_b / 12 * (n + 1 - tie_term / (n * (n - 1))));
}

/* `lower_tail` is what exact_distribution() gives, NULL for large samples. */
static int test(const struct sorted_pair *pair, const double *lower_tail,
                struct pw_two_samples *result, struct pw_err *err)
{
    unsigned doubled[2 * PW_TWO_SAMPLES_EXACT_MAX] = {0};
    struct ranks ranks = rank(pair, lower_tail ? doubled : NULL);
    double n_a = (double)pair->n_a;
    double n_b = (double)pair->n_b;
    double u_b = (double)ranks.sum_b / 2 - n_b * (n_b + 1) / 2;
    result->effect = 2 * u_b / (n_a * n_b) - 1;
    double least = fmin(u_b, n_a * n_b - u_b);
    if (lower_tail && ranks.tie_term > 0) {
        size_t n = pair->n_a + pair->n_b;
        uint64_t sum_a = (uint64_t)n * (n + 1) - ranks.sum_b;
        return pair->n_a < pair->n_b ? tied_p(doubled, n, pair->n_a, sum_a, &result->p, err)
                                     : tied_p(doubled, n, pair->n_b, ranks.sum_b, &result->p, err);
    }
    if (lower_tail) {
        result->p = fmin(1, 2 * lower_tail[(size_t)least]);
        return 0;
    }
    double deviation = rank_sum_deviation(n_a, n_b, ranks.tie_term);
    double z = deviation > 0 ? (n_a * n_b / 2 - least - 0.5) / deviation : 0;
    result->p = fmin(1, 2 * pw_normal_cdf(-z));
    return 0;
}

/* How many of the differences b - a are at most `limit`. */
static uint64_t count_up_to(const struct sorted_pair *pair, double limit)
{
    uint64_t count = 0;
    size_t j = 0;
    for (size_t i = 0; i < pair->n_a; i++) {
        while (j < pair->n_b && pair->b[j] - pair->a[i] <= limit) {
            j++;
        }
        count += j;
    }
    return count;
}

/* Doubles in their order as whole numbers, and back. */
static uint64_t key_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_of(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The difference b - a of rank k (from 1) in ascending order, by halving the doubles between the
 * least and the greatest: at most 64 times. */
static double difference_of_rank(const struct sorted_pair *pair, uint64_t k)
{
    uint64_t low = key_of(pair->b[0] - pair->a[pair->n_a - 1]);
    uint64_t high = key_of(pair->b[pair->n_b - 1] - pair->a[0]);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (count_up_to(pair, value_of(middle)) >= k) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return value_of(low) + 0.0; /* no -0 */
}

/* How many differences the interval leaves out at each end. Without ties it is exact; ties make it
 * wider than it need be. */
static uint64_t left_out(const struct sorted_pair *pair, const double *lower_tail, double tail)
{
    if (lower_tail) {
        uint64_t k = 0;
        while (k <= pair->n_a * pair->n_b / 2 && lower_tail[k] <= tail) {
            k++;
        }
        return k;
    }
    double n_a = (double)pair->n_a;
    double n_b = (double)pair->n_b;
    double k =
        floor(n_a * n_b / 2 + 0.5 + pw_normal_quantile(tail) * rank_sum_deviation(n_a, n_b, 0));
    return k > 0 ? (uint64_t)k : 0;
}

static int estimate(const struct sorted_pair *pair, const double *lower_tail, double confidence,
                    struct pw_two_samples *result, struct pw_err *err)
{
    if (!isfinite(pair->b[0] - pair->a[pair->n_a - 1]) ||
        !isfinite(pair->b[pair->n_b - 1] - pair->a[0])) {
        return pw_err_set(err, PW_ERR_INPUT, "the samples' values are too large to be compared");
    }
    uint64_t differences = (uint64_t)pair->n_a * pair->n_b;
    double low = difference_of_rank(pair, (differences + 1) / 2);
    double high = differences % 2 ? low : difference_of_rank(pair, differences / 2 + 1);
    result->shift = low / 2 + high / 2;
    result->shift_ci = (struct pw_interval){-INFINITY, INFINITY};
    uint64_t k = left_out(pair, lower_tail, (1 - confidence) / 2 * SLACK);
    if (k > 0) {
        result->shift_ci.low = difference_of_rank(pair, k);
        result->shift_ci.high = difference_of_rank(pair, differences + 1 - k);
    }
    return 0;
}

static int compare_sorted(const struct sorted_pair *pair, double confidence,
                          struct pw_two_samples *result, struct pw_err *err)
{
    PW_FREE_AUTO double *lower_tail = NULL;
    if (pair->n_a <= PW_TWO_SAMPLES_EXACT_MAX && pair->n_b <= PW_TWO_SAMPLES_EXACT_MAX) {
        lower_tail = exact_distribution(pair->n_a, pair->n_b, err);
        if (!lower_tail) {
            return -1;
        }
    }
    if (test(pair, lower_tail, result, err) != 0) {
        return -1;
    }
    return estimate(pair, lower_tail, confidence, result, err);
}

int pw_two_samples_compare(const double *a, size_t n_a, const double *b, size_t n_b,
                           double confidence, struct pw_two_samples *ret_result, struct pw_err *err)
{
    PW_FREE_AUTO double *sorted_a = sorted_copy(a, n_a, err);
    if (!sorted_a) {
        return -1;
    }
    PW_FREE_AUTO double *sorted_b = sorted_copy(b, n_b, err);
    if (!sorted_b) {
        return -1;
    }
    struct sorted_pair pair = {sorted_a, sorted_b, n_a, n_b};
    struct pw_two_samples result = {
        .n_a = n_a,
        .n_b = n_b,
        .median_a = pw_stats_median_sorted(sorted_a, n_a),
        .median_b = pw_stats_median_sorted(sorted_b, n_b),
    };
    if (compare_sorted(&pair, confidence, &result, err) != 0 ||
        pw_is_bimodal(a, n_a, &result.bimodal_a, err) != 0 ||
        pw_is_bimodal(b, n_b, &result.bimodal_b, err) != 0) {
        return -1;
    }
    *ret_result = result;
    return 0;
}
