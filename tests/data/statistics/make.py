#!/usr/bin/python3
"""Writes expected.json: what other implementations make of generated samples.

    tests/data/statistics/make.py            # needs numpy and scipy (Debian: python3-scipy)

Python's statistics module, scipy (1.10.1 when it was last written), and, where neither has a method, brute force with
whole numbers from its definition: all permutations, all pairs, all splits, a linear program for the dip. The unit tests
read the file and need none of this. Infinite ends of intervals are written as null.
"""
import fractions
import itertools
import json
import math
import os
import random
import statistics

import numpy
from scipy import optimize, stats

HERE = os.path.dirname(os.path.abspath(__file__))
EXACT_MAX = 50
random_source = random.Random(20260223)


def normal(n, digits=3, mean=100.0, deviation=5.0):
    return [round(random_source.gauss(mean, deviation), digits) for _ in range(n)]


def log_normal(n, digits=3):
    return [round(random_source.lognormvariate(3, 0.7), digits) for _ in range(n)]


def different(n, make):
    while True:
        values = make(n)
        if len(set(values)) == n:
            return values


def end(value):
    return None if math.isinf(value) else value


# One sample


def binomial_tail(k, n, p):
    """P(X <= k), exactly."""
    p = fractions.Fraction(p).limit_denominator(1000)
    return sum(math.comb(n, i) * p**i * (1 - p)**(n - i) for i in range(k + 1))


def percentile_interval(ordered, p, confidence):
    n = len(ordered)
    tail = (1 - fractions.Fraction(confidence).limit_denominator(1000)) / 2
    lower = [r for r in range(1, n + 1) if binomial_tail(r - 1, n, p) <= tail]
    upper = [r for r in range(1, n + 1) if 1 - binomial_tail(r - 1, n, p) <= tail]
    return [ordered[lower[-1] - 1] if lower else None, ordered[upper[0] - 1] if upper else None]


def student_quantile(p, degrees):
    """scipy's own is right to nine digits only; its distribution function is to more."""
    if p == 0.5:
        return 0.0
    lower = min(p, 1 - p)
    rough = abs(stats.t.ppf(lower, degrees))
    exact = optimize.brentq(lambda t: stats.t.cdf(-t, degrees) / lower - 1, 0.99 * rough, 1.01 * rough, xtol=1e-14,
                            rtol=1e-14)
    return exact if p > 0.5 else -exact


def describe(values):
    n, ordered = len(values), sorted(values)
    cuts = statistics.quantiles(values, n=100, method="inclusive") if n > 1 else values * 99
    median = statistics.median(values)
    case = {"values": values, "mean": statistics.fmean(values), "p50": median, "p90": cuts[89], "p95": cuts[94],
            "p99": cuts[98], "min": ordered[0], "max": ordered[-1],
            "stddev": statistics.stdev(values) if n > 1 else None,
            "mad": statistics.median(abs(v - median) for v in values), "mean_intervals": [], "intervals": []}
    for confidence in (0.9, 0.95, 0.99):
        if n < 2:
            low, high = None, None
        elif len(set(values)) == 1:
            low, high = values[0], values[0]
        else:
            mean, reach = statistics.fmean(values), student_quantile((1 + confidence) / 2, n - 1) * stats.sem(values)
            assert numpy.allclose(stats.t.interval(confidence, n - 1, loc=mean, scale=stats.sem(values)),
                                  (mean - reach, mean + reach), rtol=1e-8)
            low, high = mean - reach, mean + reach
        case["mean_intervals"].append([confidence, low, high])
    for p, confidence in ((0.5, 0.95), (0.5, 0.99), (0.9, 0.95), (0.95, 0.9), (0.1, 0.95)):
        case["intervals"].append([p, confidence, *percentile_interval(ordered, p, confidence)])
    return case


def one_sample():
    samples = [normal(1), [0.0], normal(2), [7.25, 7.25], [3.0] * 5, [1.0, 1.0, 1.0, 9.0], [-1.5, 0.0, 1.5]]
    samples += [[1e12 + v for v in normal(9)], [v * 1e-9 for v in normal(9)], [0.0] * 12]
    for n in (3, 4, 5, 6, 7, 8, 10, 15, 20, 29, 30, 47, 72, 73):
        samples += [normal(n), log_normal(n), normal(n, 0)]
    return [describe(values) for values in samples]


def distributions():
    table = {"normal_cdf": [], "normal_quantile": [], "student_cdf": [], "student_quantile": [], "binomial_cdf": []}
    for z in (-37, -20, -8, -5, -3, -1.96, -1, -0.1, 0, 0.1, 0.5, 1.645, 2.5, 4, 6):
        table["normal_cdf"].append([z, stats.norm.cdf(z)])
    for p in (1e-300, 1e-100, 1e-20, 1e-10, 1e-5, 0.001, 0.025, 0.05, 0.074, 0.076, 0.3, 0.5, 0.8, 0.924, 0.926, 0.975,
              0.999, 0.9999999):
        table["normal_quantile"].append([p, stats.norm.ppf(p)])
    for degrees in (1, 2, 3, 4.5, 9, 19, 100, 1e4, 1e6):
        for t in (-30, -4, -2, -0.5, -0.01, 0, 0.3, 1, 2.7, 12):
            table["student_cdf"].append([t, degrees, stats.t.cdf(t, degrees)])
        for p in (1e-6, 0.005, 0.025, 0.3, 0.5, 0.6, 0.95, 0.975, 0.9995):
            table["student_quantile"].append([p, degrees, student_quantile(p, degrees)])
    for n in (1, 2, 5, 20, 72, 1000, 100000):
        for p in (0.05, 0.5, 0.9, 0.95, 0.99):
            for k in sorted({0, n // 2, int(n * p), max(0, n - 1), n}):
                table["binomial_cdf"].append([k, n, p, stats.binom.cdf(k, n, p)])
    return table


def needed(p, confidence):
    """The least n where the interval has both ends that p asks for."""
    tail = (1 - fractions.Fraction(confidence).limit_denominator(1000)) / 2
    share = fractions.Fraction(max(p, 1 - p)).limit_denominator(1000)
    return next(n for n in itertools.count(1) if share**n <= tail)


# Two samples


def rank_sum_counts(m, n):
    """How many orders have U = 0, 1, …: the coefficients of a Gaussian binomial."""
    counts = [1]
    for i in range(1, m + 1):
        raised = counts + [0] * (n + i)
        for u, count in enumerate(counts):
            raised[u + n + i] -= count
        for u in range(i, len(raised)):  # divided by 1 - x^i
            raised[u] += raised[u - i]
        counts = raised[:i * n + 1]
    return counts


def permutation_p(a, b):
    """Of the rank sum; every way to choose the places of a, one by one or counted by their sum."""
    doubled = [int(2 * r) for r in stats.rankdata(a + b)]
    middle, m, total = len(a) * (len(a) + len(b) + 1), len(a), math.comb(len(a) + len(b), len(a))
    distance = abs(sum(doubled[:m]) - middle)
    if total <= 20000:
        far = sum(abs(sum(chosen) - middle) >= distance for chosen in itertools.combinations(doubled, m))
        return far / total
    ways = [{} for _ in range(m + 1)]
    ways[0][0] = 1
    for value in doubled:
        for k in range(m, 0, -1):
            for so_far, count in ways[k - 1].items():
                ways[k][so_far + value] = ways[k].get(so_far + value, 0) + count
    return float(fractions.Fraction(sum(c for s, c in ways[m].items() if abs(s - middle) >= distance), total))


def two_samples_p(a, b):
    small = max(len(a), len(b)) <= EXACT_MAX
    if len(set(a + b)) == 1:
        return 1.0
    if small and len(set(a + b)) < len(a + b):
        return permutation_p(a, b)
    return stats.mannwhitneyu(a, b, alternative="two-sided", method="exact" if small else "asymptotic").pvalue


def shift_interval(a, b, confidence):
    m, n = len(a), len(b)
    differences = sorted(y - x for x in a for y in b)
    if max(m, n) <= EXACT_MAX:
        counts, total = rank_sum_counts(m, n), math.comb(m + n, m)
        tail = (1 - fractions.Fraction(confidence).limit_denominator(1000)) / 2
        k = sum(fractions.Fraction(sum(counts[:u + 1]), total) <= tail for u in range(m * n // 2 + 1))
    else:
        k = max(0, math.floor(m * n / 2 + 0.5 + stats.norm.ppf((1 - confidence) / 2)
                              * math.sqrt(m * n * (m + n + 1) / 12)))
    return [differences[k - 1], differences[-k]] if k else [None, None]


def compare(a, b):
    differences = numpy.subtract.outer(b, a).ravel()
    return {"a": a, "b": b, "median_a": statistics.median(a), "median_b": statistics.median(b),
            "shift": float(numpy.median(differences)), "p": float(two_samples_p(a, b)),
            "effect": float(numpy.mean(numpy.sign(differences))),
            "intervals": [[c, *shift_interval(a, b, c)] for c in (0.9, 0.95, 0.99)]}


def two_samples():
    cases = [([5.0], [5.0]), ([5.0], [6.0]), ([5.0, 5.0], [5.0, 5.0]), ([1.0] * 8, [1.0] * 6), ([1.0] * 5, [2.0] * 5),
             ([1.0, 2.0, 2.0], [2.0, 3.0]), ([-2.0, -1.0], [1.0, 2.0])]
    for m, n in ((1, 2), (1, 9), (2, 2), (2, 7), (3, 3), (4, 4), (3, 8), (5, 5), (6, 5), (7, 7), (10, 10), (9, 14),
                 (20, 20), (12, 33), (30, 30), (50, 50)):
        for by in (0, 4):
            both = different(m + n, normal)
            cases.append((both[:m], [round(v + by, 3) for v in both[m:]]))
            skewed = different(m + n, log_normal)
            cases.append((skewed[:m], skewed[m:]))
            cases.append((normal(m, 0), normal(n, 0, 100 + by)))
    for m, n in ((51, 20), (60, 60), (80, 55)):
        for digits in (3, 0):
            for by in (0, 1, 3):
                cases.append((normal(m, digits), normal(n, digits, 100 + by)))
    cases.append(([3.0] * 60, [3.0] * 70))
    return [compare(a, b) for a, b in cases]


def dip(values):
    """The least distance to a distribution function that is convex up to a value and concave from it on: a linear
    program for each value that may be the mode. Only there the function may jump."""
    x, n = sorted(values), len(values)
    least = 1.0
    for mode in range(n):
        place = [i if i <= mode else i + 1 for i in range(n)]  # the mode has two: from the left, from the right
        rows, bounds, distance = [], [], n + 1

        def at_most(terms, bound):
            row = [0.0] * (n + 2)
            for column, factor in terms:
                row[column] += factor
            rows.append(row)
            bounds.append(bound)
        for i in range(n):
            right = mode + 1 if i == mode else place[i]
            for column, heights in ((place[i], [i] if i == mode else [i, i + 1]), (right, [i + 1])):
                for height in heights:
                    at_most([(column, 1), (distance, -1)], height / n)
                    at_most([(column, -1), (distance, -1)], -height / n)
        for column in range(n):
            at_most([(column, 1), (column + 1, -1)], 0)
        for i in range(1, n - 1):
            before, after = 1 / (x[i] - x[i - 1]), 1 / (x[i + 1] - x[i])
            if i < mode:
                at_most([(place[i], before + after), (place[i - 1], -before), (place[i + 1], -after)], 0)
            if i > mode:
                left = mode + 1 if i - 1 == mode else place[i - 1]
                at_most([(place[i], -before - after), (left, before), (place[i + 1], after)], 0)
        result = optimize.linprog([0] * (n + 1) + [1], A_ub=rows, b_ub=bounds, bounds=[(0, 1)] * (n + 2))
        if result.status == 0:
            least = min(least, result.fun)
    return least


def dips():
    samples = [different(n, make) for n in (2, 3, 5, 9, 12, 20) for make in (normal, log_normal)]
    for n in (6, 10, 15, 24):
        samples.append(different(n, lambda n: normal(n // 2) + normal(n - n // 2, 3, 140)))
        samples.append(different(n, lambda n: normal(n // 3) + normal(n - n // 3, 3, 150)))
        samples.append([round(random_source.random(), 6) for _ in range(n)])
    return [{"values": values, "dip": dip(values)} for values in samples]


# Series


def inversion_counts(n):
    counts = [1]
    for value in range(2, n + 1):
        longer = [0] * (len(counts) + value - 1)
        for d, count in enumerate(counts):
            for added in range(value):
                longer[d + added] += count
        counts = longer
    return counts


def trend(values):
    n = len(values)
    pairs = list(itertools.combinations(range(n), 2))
    slopes = sorted((values[j] - values[i]) / (j - i) for i, j in pairs)
    s = sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)
    tail = fractions.Fraction(1, 40)
    if n <= EXACT_MAX and len(set(values)) == n:
        p = stats.kendalltau(range(n), values, method="exact").pvalue
        counts = inversion_counts(n)
        k, share = 0, fractions.Fraction(counts[0], math.factorial(n))
        while share <= tail:
            k += 1
            share += fractions.Fraction(counts[k], math.factorial(n))
    else:
        ties = sum(t * (t - 1) * (2 * t + 5) for t in (values.count(v) for v in set(values)))
        deviation = math.sqrt((n * (n - 1) * (2 * n + 5) - ties) / 18)
        p = min(1.0, 2 * stats.norm.sf(max(0, abs(s) - 1) / deviation)) if deviation else 1.0
        k = math.floor((len(slopes) + 1 + stats.norm.ppf(0.025) * deviation) / 2)
        k = k if 1 <= k and 2 * k <= len(slopes) + 1 else 0
    slope = stats.theilslopes(values, range(n))[0]
    return {"values": values, "slope": float(slope), "p": float(p),
            "interval": [slopes[k - 1], slopes[-k]] if k else [None, None]}


def trends():
    samples = [[1.0, 1.0], [1.0, 2.0], [3.0] * 7, [1.0, 2.0, 3.0], [4.0, 4.0, 5.0, 5.0, 6.0]]
    for n in (4, 5, 6, 8, 12, 20, 30, 50, 55):
        for slope in (0, 0.3, -0.8):
            samples.append([round(v + slope * i, 3) for i, v in enumerate(different(n, normal))])
        samples.append(normal(n, 0))
    return [trend(values) for values in samples]


def energy(left, right):
    """Of two samples: equation 5 of Matteson and James 2014, from all pairs."""
    m, k = len(left), len(right)
    between = statistics.fmean(abs(x - y) for x in left for y in right)
    within = [statistics.fmean(abs(x - y) for x, y in itertools.combinations(side, 2)) for side in (left, right)]
    return m * k / (m + k) * (2 * between - within[0] - within[1])


def change_points():
    cases = []
    kinds = ((12, 6, 12, 60), (20, 10, 20, 30), (20, 4, 20, 60), (30, 15, 30, 25), (30, 25, 30, 40),
             (30, 27, 30, 90), (30, 10, 16, 60), (40, 30, 40, 30), (60, 20, 30, 40), (60, 50, 60, -30))
    for n, at, end_at, by in kinds:
        for digits in (3, 0):
            values = [v + (by if at <= i < end_at else 0) for i, v in enumerate(normal(n, digits))]
            splits = [(energy(values[:i], values[i:j]), i) for i in range(3, n - 2) for j in range(i + 3, n + 1)]
            cases.append({"values": values, "index": max(splits)[1], "planted": at})
    return cases


def main():
    document = {"distributions": distributions(), "one_sample": one_sample(),
                "needed": [[p, c, needed(p, c)] for p in (0.01, 0.5, 0.9, 0.95, 0.99) for c in (0.9, 0.95, 0.99)],
                "two_samples": two_samples(), "dips": dips(), "trends": trends(), "change_points": change_points()}
    with open(os.path.join(HERE, "expected.json"), "w", encoding="ascii") as file:
        lines = []
        for key, part in document.items():
            rows = ([f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in part.items()]
                    if isinstance(part, dict) else [json.dumps(row, separators=(",", ":")) for row in part])
            open_, close = "{}" if isinstance(part, dict) else "[]"
            lines.append(f"{json.dumps(key)}:{open_}\n" + ",\n".join(rows) + f"\n{close}")
        file.write("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
