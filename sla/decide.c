/* The verdict on one metric: see sla/compare.h. */
#include <math.h>
#include "sla/compare.h"

enum pw_comparison_verdict pw_comparison_decide(const struct pw_two_samples *result,
                                                double p_adjusted, double floor,
                                                enum pw_better better, double alpha)
{
    const struct pw_interval *interval = &result->shift_ci;
    if (!isfinite(interval->low) || !isfinite(interval->high)) {
        return PW_COMPARISON_UNSURE;
    }
    if (interval->low >= -floor && interval->high <= floor) {
        return PW_COMPARISON_SAME;
    }
    bool certain = p_adjusted <= alpha && (interval->low > 0 || interval->high < 0);
    if (!certain || fabs(result->shift) < floor) {
        return PW_COMPARISON_UNSURE;
    }
    switch (better) {
    case PW_BETTER_LOWER: return result->shift > 0 ? PW_COMPARISON_SLOWER : PW_COMPARISON_FASTER;
    case PW_BETTER_HIGHER: return result->shift < 0 ? PW_COMPARISON_SLOWER : PW_COMPARISON_FASTER;
    case PW_BETTER_NEITHER: break;
    }
    return PW_COMPARISON_CHANGED;
}
