#include "core/interval.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* A probability that equals its limit but for rounding keeps it. */
static const double SLACK = 1 + 1e-12;
static const struct pw_interval UNBOUNDED = {-INFINITY, INFINITY};

double pw_normal_cdf(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* c[0] + c[1] x + … + c[7] x^7 */
static double polynomial(const double c[8], double x)
{
    double sum = c[7];
    for (int i = 6; i >= 0; i--) {
        sum = sum * x + c[i];
    }
    return sum;
}

/* Wichura 1988, algorithm AS 241 (PPND16): relative error about 1e-16. */
double pw_normal_quantile(double p)
{
    static const double middle[2][8] = {
        {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
         1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
         3.3430575583588128105e4, 2.5090809287301226727e3},
        {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
         2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
         5.2264952788528545610e3},
    };
    static const double shoulder[2][8] = {
        {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
         3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
         2.27238449892691845833e-2, 7.74545014278341407640e-4},
        {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
         1.05075007164441684324e-9},
    };
    static const double tail[2][8] = {
        {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
         2.71155556874348757815e-5, 2.01033439929228813265e-7},
        {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
         2.04426310338993978564e-15},
    };
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(middle[0], r) / polynomial(middle[1], r);
    }
    double outside = q < 0 ? p : 1 - p;
    if (!(outside > 0)) {
        return q < 0 ? -INFINITY : INFINITY;
    }
    double r = sqrt(-log(outside));
    double z = r <= 5 ? polynomial(shoulder[0], r - 1.6) / polynomial(shoulder[1], r - 1.6)
                      : polynomial(tail[0], r - 5) / polynomial(tail[1], r - 5);
    return q < 0 ? -z : z;
}

/* What Stirling's formula for log(gamma(z)) lacks: DLMF 5.11.1. */
static double stirling_rest(double z)
{
    if (z < 10) {
        int sign = 0; /* lgamma() writes a global variable */
        return lgamma_r(z, &sign) - ((z - 0.5) * log(z) - z + 0.5 * log(2 * M_PI));
    }
    double w = 1 / (z * z);
    return (1 / 12.0 - w * (1 / 360.0 - w * (1 / 1260.0 - w * (1 / 1680.0 - w / 1188.0)))) / z;
}

/* log(1 + d), also given as log(one_and_d), for d from -1 up. */
static double log_near_one(double d, double one_and_d)
{
    return d > -0.5 ? log1p(d) : log(one_and_d);
}

/* x^a y^b / B(a, b) for y = 1 - x. In this form nothing large cancels out: Loader 2000, "Fast and
 * accurate computation of binomial probabilities". */
static double beta_front(double a, double b, double x, double y)
{
    double sum = a + b;
    double away = x * b - a * y;
    return sqrt(a / sum * b / (2 * M_PI)) *
           exp(a * log_near_one(away / a, x * sum / a) + b * log_near_one(-away / b, y * sum / b) +
               stirling_rest(sum) - stirling_rest(a) - stirling_rest(b));
}

/*
 * The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated from the front
 * by Lentz's method as modified by Thompson and Barnett 1986. Converges in about sqrt(max(a, b))
 * steps where x < (a + 1) / (a + b + 2).
 */
static double beta_fraction(double a, double b, double x)
{
    enum { STEPS_MAX = 100000 };
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= STEPS_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + even / c;
        c = fabs(c) < tiny ? tiny : c;
        value *= c * d;
        d = 1 + odd * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + odd / c;
        c = fabs(c) < tiny ? tiny : c;
        value *= c * d;
        if (fabs(c * d - 1) < 2 * DBL_EPSILON) {
            break;
        }
    }
    return value;
}

/* The regularised incomplete beta function I_x(a, b); y is 1 - x, which the caller has exactly. */
static double incomplete_beta(double a, double b, double x, double y)
{
    if (x <= 0 || y <= 0) {
        return x <= 0 ? 0 : 1;
    }
    double front = beta_front(a, b, x, y);
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, y) / b;
}

double pw_student_cdf(double t, double degrees)
{
    double squares = degrees + t * t;
    double outside =
        isinf(squares) ? 0 : incomplete_beta(degrees / 2, 0.5, degrees / squares, t * t / squares);
    return t > 0 ? 1 - outside / 2 : outside / 2;
}

/* Newton's method on the lower half, kept between bounds by bisection. */
double pw_student_quantile(double p, double degrees)
{
    if (p > 0.5) {
        return -pw_student_quantile(1 - p, degrees);
    }
    if (!(p > 0) || p == 0.5) {
        return p == 0.5 ? 0 : -INFINITY;
    }
    double half = degrees / 2;
    double density_0 =
        exp(stirling_rest(half + 0.5) - stirling_rest(half) - 0.5 + half * log1p(0.5 / half)) /
        sqrt(2 * M_PI);
    double low = -1;
    while (pw_student_cdf(low, degrees) > p && low > -DBL_MAX / 2) {
        low *= 2;
    }
    double high = 0;
    double t = fmax(low, pw_normal_quantile(p));
    for (int step = 0; step < 200; step++) {
        double excess = pw_student_cdf(t, degrees) - p;
        *(excess > 0 ? &high : &low) = t;
        double density = density_0 * exp(-(half + 0.5) * log1p(t * t / degrees));
        double next = t - excess / density;
        if (!(next > low && next < high)) {
            next = low + (high - low) / 2;
        }
        bool settled = fabs(next - t) <= 4 * DBL_EPSILON * fabs(t);
        t = next;
        if (settled) {
            break;
        }
    }
    return t;
}

double pw_binomial_cdf(size_t k, size_t n, double p)
{
    if (k >= n) {
        return 1;
    }
    return incomplete_beta((double)(n - k), (double)k + 1, 1 - p, p);
}

/* P(X >= k) of the same. */
static double binomial_from(size_t k, size_t n, double p)
{
    return k == 0 ? 1 : incomplete_beta((double)k, (double)(n - k) + 1, p, 1 - p);
}

static bool all_finite(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/*
 * With B values below the percentile, B binomial(n, p), the value of rank r is above it with
 * P(B < r): the lower rank is the largest with P(B < r) <= tail, the upper the least with
 * P(B >= r) <= tail.
 */
struct pw_interval pw_interval_of_percentile(const double *sorted, size_t n, double p,
                                             double confidence)
{
    struct pw_interval interval = UNBOUNDED;
    if (!all_finite(sorted, n)) {
        return interval;
    }
    double tail = (1 - confidence) / 2 * SLACK;
    size_t rank = 0;
    size_t beyond = n + 1;
    while (rank + 1 < beyond) {
        size_t middle = rank + (beyond - rank) / 2;
        *(pw_binomial_cdf(middle - 1, n, p) <= tail ? &rank : &beyond) = middle;
    }
    if (rank > 0) {
        interval.low = sorted[rank - 1];
    }
    size_t below = 0;
    rank = n + 1;
    while (below + 1 < rank) {
        size_t middle = below + (rank - below) / 2;
        *(binomial_from(middle, n, p) <= tail ? &rank : &below) = middle;
    }
    if (rank <= n) {
        interval.high = sorted[rank - 1];
    }
    return interval;
}

size_t pw_interval_needed(double p, double confidence)
{
    double tail = (1 - confidence) / 2 * SLACK;
    double share = fmax(p, 1 - p);
    if (!(share < 1) || !(tail > 0)) {
        return SIZE_MAX;
    }
    double n = fmax(1, floor(log(tail) / log(share)));
    while (pow(share, n) > tail) {
        n++;
    }
    return n < (double)SIZE_MAX ? (size_t)n : SIZE_MAX;
}

struct pw_interval pw_interval_of_mean(const double *values, size_t n, double confidence)
{
    if (n < 2 || !all_finite(values, n)) {
        return UNBOUNDED;
    }
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    long double mean = sum / (long double)n;
    long double squares = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    long double error = sqrtl(squares / (long double)(n - 1) / (long double)n);
    long double reach = -pw_student_quantile((1 - confidence) / 2, (double)(n - 1)) * error;
    return (struct pw_interval){(double)(mean - reach), (double)(mean + reach)};
}
