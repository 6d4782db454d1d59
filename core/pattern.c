#include "core/pattern.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Far more than a line of some thousand bytes takes with any sane pattern, and done within
 * milliseconds. The heap limit is in KiB. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 16384 };

/* Kept from match to match, since it grows a heap of its own, which takes longer to get than most
 * matches take. Belongs to the thread that sets `taken`; others get along with one for the moment.
 */
struct workplace {
    pcre2_match_data *data;
    atomic_flag taken;
};

struct pw_pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    struct workplace *workplace;
};

void pw_pattern_free(struct pw_pattern *pattern)
{
    if (!pattern) {
        return;
    }
    if (pattern->workplace) {
        pcre2_match_data_free(pattern->workplace->data);
    }
    free(pattern->workplace);
    pcre2_code_free(pattern->code);
    pcre2_match_context_free(pattern->limits);
    free(pattern);
}

static int set_fault(const char *text, int code, size_t offset, struct pw_err *err)
{
    PCRE2_UCHAR message[128] = "";
    pcre2_get_error_message(code, message, sizeof message);
    return pw_err_set(err, PW_ERR_USAGE, "`%s`: at character %zu: %s", text, offset + 1,
                      (const char *)message);
}

static int prepare(struct pw_pattern *pattern)
{
    pattern->limits = pcre2_match_context_create(NULL);
    pattern->workplace = calloc(1, sizeof *pattern->workplace);
    if (!pattern->limits || !pattern->workplace) {
        return -1;
    }
    atomic_flag_clear(&pattern->workplace->taken);
    pattern->workplace->data = pcre2_match_data_create(1, NULL);
    return pattern->workplace->data ? 0 : -1;
}

int pw_pattern_new(const char *text, bool ignore_case, struct pw_pattern **ret_pattern,
                   struct pw_err *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    struct pw_pattern *pattern = calloc(1, sizeof *pattern);
    if (!pattern) {
        return pw_err_memory(err);
    }
    if (prepare(pattern) != 0) {
        pw_pattern_free(pattern);
        return pw_err_memory(err);
    }
    pcre2_set_match_limit(pattern->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (ignore_case ? PCRE2_CASELESS : 0);
    pattern->code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
    if (!pattern->code) {
        pw_pattern_free(pattern);
        return set_fault(text, code, offset, err);
    }
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* without it, it is only slower */
    *ret_pattern = pattern;
    return 0;
}

/* Over the limits: no. The small stack of compiled patterns is no reason: interpreted, it needs
 * none.
 */
static bool match(const struct pw_pattern *pattern, const char *subject, size_t length,
                  pcre2_match_data *data)
{
    PCRE2_SPTR text = (PCRE2_SPTR)subject;
    int result = pcre2_match(pattern->code, text, length, 0, 0, data, pattern->limits);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(pattern->code, text, length, 0, PCRE2_NO_JIT, data, pattern->limits);
    }
    return result >= 0;
}

/* Without memory: no. */
bool pw_pattern_matches(const struct pw_pattern *pattern, const char *subject, size_t length)
{
    struct workplace *workplace = pattern->workplace;
    if (!atomic_flag_test_and_set(&workplace->taken)) {
        bool found = match(pattern, subject, length, workplace->data);
        atomic_flag_clear(&workplace->taken);
        return found;
    }
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    bool found = data && match(pattern, subject, length, data);
    pcre2_match_data_free(data);
    return found;
}
