/* What rules look at, gathered once, and how they speak. */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/record.h"
#include "sla/suggest_impl.h"

double pw_threshold(enum pw_threshold_id id)
{
    return pw_thresholds[id].value;
}

static struct pw_value number_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? pw_value_of(json_number_value(value))
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* `-YYYYMMDD-HHMMSS` at the end, as run folders have it. */
static size_t length_without_stamp(const char *name)
{
    static const char stamp[] = "-dddddddd-dddddd";
    size_t length = strlen(name), size = sizeof(stamp) - 1;
    for (size_t i = 0; i < size; i++) {
        if (length <= size) {
            return length;
        }
        char c = name[length - size + i];
        if (stamp[i] == 'd' ? c < '0' || c > '9' : c != stamp[i]) {
            return length;
        }
    }
    return length - size;
}

void pw_suggest_profile_of(const struct pw_summary *summary, const char *path,
                           struct pw_str *ret_name)
{
    const char *name = pw_summary_string(summary, "profile.name");
    PW_STR_AUTO folder = PW_STR_INIT;
    if (!name || !*name) {
        pw_suggest_run_name(summary, path, &folder);
        name = folder.text;
    }
    pw_str_add_bytes(ret_name, name, length_without_stamp(name));
}

/* The last segment of the `length` bytes at `path`. */
static void add_last_segment(struct pw_str *out, const char *path, size_t length)
{
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    pw_str_add_bytes(out, path + start, length - start);
}

void pw_suggest_run_name(const struct pw_summary *summary, const char *path,
                         struct pw_str *ret_name)
{
    const char *run_dir = pw_summary_string(summary, "run_dir");
    if (run_dir) {
        add_last_segment(ret_name, run_dir, strlen(run_dir));
    }
    const char *slash = strrchr(path, '/');
    if (ret_name->length == 0 && slash) {
        add_last_segment(ret_name, path, (size_t)(slash - path));
    }
    if (ret_name->length == 0) {
        pw_str_add(ret_name, path);
    }
}

static bool is_crash(int sig)
{
    static const int crashes[] = {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        if (crashes[i] == sig) {
            return true;
        }
    }
    return false;
}

static enum pw_failure failure_of_signal(int sig)
{
    return sig == SIGKILL ? PW_FAILURE_KILLED
                          : (is_crash(sig) ? PW_FAILURE_CRASHED : PW_FAILURE_SIGNALED);
}

/* The signal that a return code stands for: 128+S, by a shell's convention, or -S, as Python has
 * it; 0 if for none. */
static int signal_of_code(int code)
{
    int sig = code > 128 ? code - 128 : -code;
    return (code > 128 || code < 0) && sig <= SIGRTMAX ? sig : 0;
}

/* PW_FAILURE_COUNT if it is none that a rule speaks of. *ret_passed_on: the worker ended by itself
 * with a code that stands for a signal, so something below it was killed. */
static enum pw_failure failure_of(int code, const char *termination, bool *ret_passed_on)
{
    int sig = signal_of_code(code);
    *ret_passed_on = false;
    if (termination && strcmp(termination, pw_end_name(PW_END_INTERRUPTED)) == 0) {
        return PW_FAILURE_COUNT;
    }
    if (termination && strcmp(termination, pw_end_name(PW_END_LOST)) == 0) {
        return PW_FAILURE_LOST;
    }
    /* The older harness has no `termination`: its 124 is its own deadline. */
    bool timeout =
        termination ? strcmp(termination, pw_end_name(PW_END_TIMEOUT)) == 0 : code == 124;
    if (timeout) {
        return PW_FAILURE_TIMEOUT;
    }
    if (sig > 0) {
        *ret_passed_on = termination && strcmp(termination, pw_end_name(PW_END_EXITED)) == 0;
        return failure_of_signal(sig);
    }
    return code == 126 || code == 127 ? PW_FAILURE_NOT_RUN : PW_FAILURE_RETURNED;
}

static void count_failure(struct pw_failures *failures, int code, bool passed_on)
{
    failures->count++;
    failures->returned += passed_on;
    for (size_t i = 0; i < failures->code_count; i++) {
        if (failures->codes[i].code == code) {
            failures->codes[i].count++;
            return;
        }
    }
    if (failures->code_count == PW_CODES_LISTED) {
        failures->further++;
        return;
    }
    failures->codes[failures->code_count].code = code;
    failures->codes[failures->code_count++].count = 1;
}

static void look_at_worker(struct pw_rule_case *seen, const json_t *worker)
{
    struct pw_value code = number_in(worker, "return_code");
    seen->workers++;
    if (pw_value_is_present(code) && code.number == 0) {
        seen->successful++;
    } else if (pw_value_is_present(code) && fabs(code.number) < 1e6) {
        bool passed_on;
        enum pw_failure failure =
            failure_of((int)code.number, json_string_value(json_object_get(worker, "termination")),
                       &passed_on);
        if (failure < PW_FAILURE_COUNT) {
            count_failure(&seen->failures[failure], (int)code.number, passed_on);
        }
    }
    struct pw_value duration = number_in(worker, "duration_ms");
    struct pw_value user = number_in(worker, "user_cpu_sec");
    struct pw_value system = number_in(worker, "system_cpu_sec");
    struct pw_value preempted = number_in(worker, "involuntary_ctx_switches");
    if (pw_value_is_present(duration) && pw_value_is_present(user) && pw_value_is_present(system) &&
        pw_value_is_present(preempted)) {
        seen->sums.count++;
        seen->sums.duration_ms += duration.number;
        seen->sums.cpu_sec += user.number + system.number;
        seen->sums.preemptions += preempted.number;
    }
}

static void look_at_runs(struct pw_rule_case *seen)
{
    const json_t *runs = json_object_get(pw_summary_root(seen->summary), "runs");
    seen->iterations = json_array_size(runs);
    for (size_t i = 0; i < seen->iterations; i++) {
        const json_t *run = json_array_get(runs, i);
        const json_t *workers = json_object_get(run, "worker_results");
        if (json_array_size(workers) == 0) {
            look_at_worker(seen, run); /* the older harness, one worker at a time */
        }
        for (size_t k = 0; k < json_array_size(workers); k++) {
            look_at_worker(seen, json_array_get(workers, k));
        }
    }
}

void pw_rule_case_of(const struct pw_summary *summary, const char *path, json_t *document,
                     struct pw_str *profile, struct pw_rule_case *ret_case)
{
    struct pw_rule_case seen = {.summary = summary, .path = path, .document = document};
    pw_suggest_profile_of(summary, path, profile);
    seen.profile = profile->text;
    struct pw_value concurrency = pw_summary_number(summary, "profile.concurrency");
    seen.concurrency = pw_value_is_present(concurrency) ? fmax(1, concurrency.number) : 1;
    seen.cores = pw_summary_number(summary, "environment.cpu_allowed");
    if (!pw_value_is_present(seen.cores)) {
        seen.cores = pw_summary_number(summary, "environment.cpu_count");
    }
    if (seen.cores.number < 1) {
        seen.cores = pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    look_at_runs(&seen);
    seen.wall_ms = pw_summary_stat(summary, PW_METRIC_WORKER_LATENCY, PW_STAT_MEAN);
    if (!pw_value_is_present(seen.wall_ms)) {
        /* The older harness, or nobody succeeded: with several at once the window is longer than a
         * worker's duration, so shares come out too small, never too large. */
        seen.wall_ms = pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_MEAN);
    }
    *ret_case = seen;
}

const char *pw_short_number(char buffer[PW_SHORT_NUMBER_MAX], double number)
{
    if (fabs(number) >= 1000 && fabs(number) < 1e15) {
        snprintf(buffer, PW_SHORT_NUMBER_MAX, "%.0f", number);
    } else {
        snprintf(buffer, PW_SHORT_NUMBER_MAX, "%.4g", number);
    }
    return buffer;
}

/* The name in braces at `text`, which begins with one: *ret_length is that of the whole. */
static bool name_at(const char *text, const char *name, size_t *ret_length)
{
    size_t length = strlen(name);
    if (text[0] != '{' || strncmp(text + 1, name, length) != 0 || text[length + 1] != '}') {
        return false;
    }
    *ret_length = length + 2;
    return true;
}

void pw_rule_fill_thresholds(const char *text, struct pw_str *ret_text)
{
    while (*text) {
        size_t length = 0;
        for (size_t i = 0; *text == '{' && length == 0 && i < PW_THRESHOLD_COUNT; i++) {
            const struct pw_threshold *threshold = &pw_thresholds[i];
            if (name_at(text, threshold->name, &length)) {
                pw_str_addf(ret_text, "%s%s%s", PW_SHORT(threshold->value),
                            *threshold->unit ? " " : "", threshold->unit);
            }
        }
        if (length == 0) {
            pw_str_add_char(ret_text, *text);
            length = 1;
        }
        text += length;
    }
}

size_t pw_rule_count_thresholds(const char *text, size_t *ret_unknown)
{
    size_t known = 0;
    *ret_unknown = 0;
    for (text = strchr(text, '{'); text; text = strchr(text + 1, '{')) {
        size_t length = 0;
        for (size_t i = 0; length == 0 && i < PW_THRESHOLD_COUNT; i++) {
            known += name_at(text, pw_thresholds[i].name, &length);
        }
        *ret_unknown += length == 0;
    }
    return known;
}

enum { COMMAND_SHOWN_BYTES = 1000 };

/* The command of a summary, each word quoted anew: whatever the file says, what is to be typed is
 * one command and nothing more. */
static void add_command(struct pw_str *out, const char *command)
{
    PW_FREE_AUTO char **words = NULL;
    PW_STR_AUTO quoted = PW_STR_INIT;
    if (command && pw_split_words(command, &words, NULL) == 0) {
        pw_str_add_command(&quoted, words);
    }
    bool usable = quoted.length > 0 && quoted.length <= COMMAND_SHOWN_BYTES;
    for (const char *c = quoted.text; *c; c++) {
        usable = usable && (unsigned char)*c >= 0x20 && *c != 0x7f;
    }
    pw_str_add(out, usable ? quoted.text : "CMD");
}

void pw_rule_fill_command(const char *text, const char *command, const char *summary_path,
                          struct pw_str *ret_text)
{
    while (*text) {
        size_t length = 0;
        if (name_at(text, "command", &length)) {
            add_command(ret_text, command);
        } else if (name_at(text, "summary", &length)) {
            pw_str_add_shell_word(ret_text, summary_path);
        } else {
            pw_str_add_char(ret_text, *text);
            length = 1;
        }
        text += length;
    }
}

enum pw_confidence pw_confidence_of(double samples, bool counted, bool inferred)
{
    enum pw_confidence confidence =
        counted || samples >= PW_CONFIDENT_SAMPLES
            ? PW_CONFIDENCE_HIGH
            : (samples >= PW_SOME_SAMPLES ? PW_CONFIDENCE_MEDIUM : PW_CONFIDENCE_LOW);
    return inferred && confidence == PW_CONFIDENCE_HIGH ? PW_CONFIDENCE_MEDIUM : confidence;
}

int pw_rule_fire(const struct pw_rule *rule, const struct pw_rule_case *seen,
                 struct pw_rule_evidence evidence, struct pw_err *err, const char *format, ...)
{
    PW_FREE_AUTO char *message = NULL;
    PW_STR_AUTO next = PW_STR_INIT;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&message, format, args);
    va_end(args);
    if (length < 0) {
        message = NULL;
        return pw_err_memory(err);
    }
    pw_rule_fill_command(rule->next, pw_summary_string(seen->summary, "command"), seen->path,
                         &next);
    if (next.failed) {
        return pw_err_memory(err);
    }
    const struct pw_suggestion suggestion = {
        .profile = seen->profile,
        .signal = rule->signal,
        .severity = rule->severity,
        .message = message,
        .advice = rule->advice,
        .metric = evidence.metric,
        .baseline = evidence.baseline,
        .current = evidence.current,
        .baseline_is = evidence.baseline_is,
        .changed = evidence.changed,
        .samples = evidence.samples,
        .confidence = pw_confidence_of(evidence.samples, evidence.counted, evidence.inferred),
        .next_command = next.text,
    };
    return pw_suggestion_put(seen->document, "findings", &suggestion, err);
}

int pw_suggest_from_summary(const struct pw_summary *summary, const char *path, json_t *document,
                            struct pw_err *err)
{
    PW_STR_AUTO profile = PW_STR_INIT;
    struct pw_rule_case seen;
    pw_rule_case_of(summary, path, document, &profile, &seen);
    if (profile.failed) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < pw_rule_count; i++) {
        if (pw_rules[i].judge(&pw_rules[i], &seen, err) != 0) {
            return pw_err_prefix(err, "rule %s", pw_rules[i].signal);
        }
    }
    return 0;
}
