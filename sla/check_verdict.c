/* What the results of bounds mean together. */
#include "sla/check.h"

const char *pw_verdict_name(enum pw_verdict verdict)
{
    static const char *const names[PW_VERDICT_COUNT] = {
        [PW_VERDICT_PASS] = "pass",       [PW_VERDICT_FAIL] = "fail",
        [PW_VERDICT_NO_DATA] = "no_data", [PW_VERDICT_INCONCLUSIVE] = "inconclusive",
        [PW_VERDICT_SKIPPED] = "skipped",
    };
    return names[verdict];
}

/* From best to worst. */
static int badness(enum pw_verdict verdict)
{
    switch (verdict) {
    case PW_VERDICT_FAIL: return 3;
    case PW_VERDICT_NO_DATA: return 2;
    case PW_VERDICT_INCONCLUSIVE: return 1;
    case PW_VERDICT_PASS:
    case PW_VERDICT_SKIPPED:
    case PW_VERDICT_COUNT: break;
    }
    return 0;
}

enum pw_verdict pw_check_verdict(const struct pw_check_report *report, bool tell_apart)
{
    enum pw_verdict worst = PW_VERDICT_PASS;
    for (size_t i = 0; i < report->count; i++) {
        enum pw_verdict verdict = report->results[i].taken_for;
        if (report->results[i].bound->severity == PW_SEVERITY_WARNING) {
            continue;
        }
        if (verdict == PW_VERDICT_NO_DATA && !tell_apart) {
            verdict = PW_VERDICT_FAIL;
        }
        worst = badness(verdict) > badness(worst) ? verdict : worst;
    }
    return worst;
}

enum pw_verdict pw_check_verdict_of_all(const struct pw_check_report *reports, size_t count,
                                        bool tell_apart)
{
    enum pw_verdict worst = PW_VERDICT_PASS;
    for (size_t i = 0; i < count; i++) {
        enum pw_verdict verdict = pw_check_verdict(&reports[i], tell_apart);
        worst = badness(verdict) > badness(worst) ? verdict : worst;
    }
    return worst;
}

int pw_check_exit_status(enum pw_verdict verdict, bool tell_apart)
{
    if (verdict == PW_VERDICT_PASS || verdict == PW_VERDICT_SKIPPED) {
        return 0;
    }
    return verdict != PW_VERDICT_FAIL && tell_apart ? 3 : 1;
}
