/*
 * E-divisive (Matteson and James 2014, alpha 1) by bisection: in each segment the split where the
 * energy statistic is largest, then both sides in the same way. For short segments, as in the
 * paper, the values after the split need not reach to the segment's end: a level that lasted only
 * for a while is found too.
 *
 * Significance is by permutation, not by Student's t as in Hunter: the split was chosen because the
 * sides differ there, and a t-test of that choice calls noise a change far too often (Hunter makes
 * up for that with a limit of 0.001). A permutation makes the same choice again, so the level is
 * kept whatever the distribution is. Permutations end early where a result is out of reach, which
 * makes series without a change cheap (Besag and Clifford 1991).
 */
#include "core/change_points.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/random.h"
#include "core/stats.h"

enum {
    LEAST = PW_CHANGE_POINTS_LEAST,
    SPLIT_LEAST = 2 * LEAST, /* values of a segment with a split */
    TABLE_MAX = 128, /* values of a segment for which all ends of the second level are tried */
    PERMUTATIONS_MIN = 199,
    PERMUTATIONS_MAX = 9999,
};

struct search {
    double *values; /* of the segment, permuted */
    double *sorted;
    size_t *rank;    /* of each value in `sorted`, permuted with the values */
    double *total;   /* by rank: sum of the distances to all values of the segment */
    double *table;   /* (TABLE_MAX + 1)^2 */
    double *tree;    /* of the values by rank: their sums … */
    double *numbers; /* … and how many, as binary indexed trees */
    uint64_t random;
};

struct split {
    size_t at;
    double statistic;
};

static double median_of(const double *values, size_t n, double *scratch)
{
    memcpy(scratch, values, n * sizeof(*scratch));
    pw_stats_sort(scratch, n);
    return pw_stats_median_sorted(scratch, n);
}

/* 0 <= number < limit, limit < 2^32. */
static size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(((pw_splitmix64(state) >> 32) * limit) >> 32);
}

/* Sums of distances: between the m values of one side and the k of the other, and between all pairs
 * within each. Equation 5 of the paper. */
static double energy(double between, double within_m, double within_k, size_t m, size_t k)
{
    double x = (double)m;
    double y = (double)k;
    double distance =
        2 * between / (x * y) - 2 * within_m / (x * (x - 1)) - 2 * within_k / (y * (y - 1));
    return x * y / (x + y) * distance;
}

/* table[i][j] is the sum of the distances between the first i and the first j values. */
static struct split split_by_table(const struct search *search, size_t n)
{
    size_t width = n + 1;
    double *table = search->table;
    memset(table, 0, width * sizeof(*table));
    for (size_t i = 0; i < n; i++) {
        double row = 0;
        double *next = table + (i + 1) * width;
        next[0] = 0;
        for (size_t j = 0; j < n; j++) {
            row += fabs(search->values[i] - search->values[j]);
            next[j + 1] = table[i * width + j + 1] + row;
        }
    }
    struct split best = {LEAST, -INFINITY};
    for (size_t at = LEAST; at + LEAST <= n; at++) {
        double within = table[at * width + at] / 2;
        for (size_t end = at + LEAST; end <= n; end++) {
            double between = table[at * width + end] - 2 * within;
            double rest = table[end * width + end] / 2 - within - between;
            double statistic = energy(between, within, rest, at, end - at);
            if (statistic > best.statistic) {
                best = (struct split){at, statistic};
            }
        }
    }
    return best;
}

static void tree_add(double *tree, size_t n, size_t rank, double value)
{
    for (size_t i = rank + 1; i <= n; i += i & -i) {
        tree[i] += value;
    }
}

/* Of the ranks below `rank`. */
static double tree_sum(const double *tree, size_t rank)
{
    double sum = 0;
    for (size_t i = rank; i > 0; i -= i & -i) {
        sum += tree[i];
    }
    return sum;
}

/* The second level always reaches to the end: value by value moves to the left side. */
static struct split split_by_tree(const struct search *search, size_t n)
{
    memset(search->tree, 0, (n + 1) * sizeof(double));
    memset(search->numbers, 0, (n + 1) * sizeof(double));
    double right = 0;
    for (size_t i = 0; i < n; i++) {
        right += search->total[i] / 2;
    }
    double left = 0;
    double between = 0;
    double left_sum = 0;
    struct split best = {LEAST, -INFINITY};
    for (size_t i = 0; i + LEAST < n; i++) {
        double value = search->values[i];
        size_t rank = search->rank[i];
        double below = tree_sum(search->tree, rank);
        double count = tree_sum(search->numbers, rank);
        double to_left = value * count - below + (left_sum - below) - value * ((double)i - count);
        double to_right = search->total[rank] - to_left;
        left += to_left;
        right -= to_right;
        between += to_right - to_left;
        left_sum += value;
        tree_add(search->tree, n, rank, value);
        tree_add(search->numbers, n, rank, 1);
        if (i + 1 >= LEAST) {
            double statistic = energy(between, left, right, i + 1, n - i - 1);
            if (statistic > best.statistic) {
                best = (struct split){i + 1, statistic};
            }
        }
    }
    return best;
}

static struct split best_split(const struct search *search, size_t n)
{
    return n <= TABLE_MAX ? split_by_table(search, n) : split_by_tree(search, n);
}

/* Loads a segment, with its values moved and scaled so that rounding cannot tell permutations
 * apart: false if all are equal. */
static bool load(struct search *search, const double *values, size_t n)
{
    memcpy(search->sorted, values, n * sizeof(*values));
    pw_stats_sort(search->sorted, n);
    double origin = search->sorted[n / 2];
    double scale = fmax(search->sorted[n - 1] - origin, origin - search->sorted[0]);
    if (!(scale > 0)) {
        return false;
    }
    double sum = 0;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        search->sorted[i] = (search->sorted[i] - origin) / scale;
        total += search->sorted[i];
    }
    for (size_t i = 0; i < n; i++) {
        double value = search->sorted[i];
        search->total[i] = value * (double)i - sum + (total - sum) - value * (double)(n - i);
        sum += value;
    }
    for (size_t i = 0; i < n; i++) {
        search->values[i] = (values[i] - origin) / scale;
        const double *found =
            bsearch(&search->values[i], search->sorted, n, sizeof(double), pw_stats_compare);
        search->rank[i] = found ? (size_t)(found - search->sorted) : 0;
    }
    return true;
}

static void shuffle(struct search *search, size_t n)
{
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = random_below(&search->random, i + 1);
        double value = search->values[i];
        search->values[i] = search->values[j];
        search->values[j] = value;
        size_t rank = search->rank[i];
        search->rank[i] = search->rank[j];
        search->rank[j] = rank;
    }
}

/* The share of the permutations whose best split is as good, the series itself among them; or some
 * number above `significance`. */
static double permutation_p(struct search *search, size_t n, double statistic, double significance)
{
    double wanted = fmin(ceil(2 / significance) - 1, PERMUTATIONS_MAX);
    int permutations = wanted > PERMUTATIONS_MIN ? (int)wanted : PERMUTATIONS_MIN;
    double limit = statistic - 1e-9 * fabs(statistic);
    int as_good = 1;
    for (int i = 0; i < permutations; i++) {
        shuffle(search, n);
        as_good += best_split(search, n).statistic >= limit;
        if (as_good > significance * (permutations + 1)) {
            break;
        }
    }
    return (double)as_good / (permutations + 1);
}

/* Places of the significant splits between `first` and `end`, with their p; by bisection. */
struct found {
    struct pw_change_point *points;
    size_t count;
};

static void bisect(struct search *search, const double *values, size_t n, double significance,
                   struct found *found)
{
    struct {
        size_t first, end;
    } open[PW_CHANGE_POINTS_MAX_VALUES / LEAST + 2] = {{0, n}};
    size_t count = 1;
    while (count > 0) {
        size_t first = open[count - 1].first;
        size_t length = open[count - 1].end - first;
        count--;
        if (length < SPLIT_LEAST || !load(search, values + first, length)) {
            continue;
        }
        struct split split = best_split(search, length);
        double p = permutation_p(search, length, split.statistic, significance);
        if (p > significance) {
            continue;
        }
        found->points[found->count++] = (struct pw_change_point){.index = first + split.at, .p = p};
        open[count].first = first + split.at;
        open[count++].end = first + length;
        open[count].first = first;
        open[count++].end = first + split.at;
    }
}

static int compare_points(const void *left, const void *right)
{
    size_t a = ((const struct pw_change_point *)left)->index;
    size_t b = ((const struct pw_change_point *)right)->index;
    return (a > b) - (a < b);
}

static void measure_levels(const double *values, size_t n, struct found *found, double *scratch)
{
    for (size_t i = 0; i < found->count; i++) {
        size_t at = found->points[i].index;
        size_t first = i == 0 ? 0 : found->points[i - 1].index;
        size_t end = i + 1 == found->count ? n : found->points[i + 1].index;
        found->points[i].before = median_of(values + first, at - first, scratch);
        found->points[i].after = median_of(values + at, end - at, scratch);
    }
}

/* The smallest change goes first, for its neighbours' levels then change. */
static void drop_small(const double *values, size_t n, double floor, struct found *found,
                       double *scratch)
{
    for (;;) {
        measure_levels(values, n, found, scratch);
        size_t smallest = 0;
        double least = INFINITY;
        for (size_t i = 0; i < found->count; i++) {
            double change = fabs(found->points[i].after - found->points[i].before);
            if (change < least) {
                least = change;
                smallest = i;
            }
        }
        if (found->count == 0 || (least >= floor && least > 0)) {
            return;
        }
        found->count--;
        memmove(found->points + smallest, found->points + smallest + 1,
                (found->count - smallest) * sizeof(*found->points));
    }
}

static int search_all(const double *values, size_t n, double significance, double floor,
                      struct found *found, struct pw_err *err)
{
    size_t side = (n < TABLE_MAX ? n : TABLE_MAX) + 1;
    size_t columns = 6 * (n + 1);
    PW_FREE_AUTO double *room = calloc(columns + side * side, sizeof(*room));
    PW_FREE_AUTO size_t *ranks = calloc(n, sizeof(*ranks));
    if (!room || !ranks) {
        return pw_err_memory(err);
    }
    struct search search = {
        .values = room,
        .sorted = room + (n + 1),
        .rank = ranks,
        .total = room + 2 * (n + 1),
        .tree = room + 3 * (n + 1),
        .numbers = room + 4 * (n + 1),
        .table = room + columns,
        .random = 20260223, /* any fixed number */
    };
    bisect(&search, values, n, significance, found);
    qsort(found->points, found->count, sizeof(*found->points), compare_points);
    drop_small(values, n, floor, found, room + 5 * (n + 1));
    return 0;
}

int pw_change_points_find(const double *values, size_t n, double significance, double floor,
                          struct pw_change_point **ret_points, size_t *ret_count,
                          struct pw_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]) || fabs(values[i]) > 1e300) {
            return pw_err_set(err, PW_ERR_INPUT, "value %zu of a series is not a finite number",
                              i + 1);
        }
    }
    size_t skipped = n > PW_CHANGE_POINTS_MAX_VALUES ? n - PW_CHANGE_POINTS_MAX_VALUES : 0;
    struct found found = {.points = calloc(n - skipped + 1, sizeof(*found.points))};
    if (!found.points) {
        return pw_err_memory(err);
    }
    if (n >= SPLIT_LEAST &&
        search_all(values + skipped, n - skipped, significance, floor, &found, err) != 0) {
        free(found.points);
        return -1;
    }
    for (size_t i = 0; i < found.count; i++) {
        found.points[i].index += skipped;
    }
    *ret_points = found.points;
    *ret_count = found.count;
    return 0;
}
