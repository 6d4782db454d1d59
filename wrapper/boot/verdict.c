#include "wrapper/boot/verdict.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/str.h"
#include "wrapper/boot/guest_proto.h"

enum {
    LINE_BYTES = 512,   /* of a mark; longer ones are none */
    NAME_BYTES = 64,    /* of a mark's name */
    CONSOLE_LINES = 20, /* shown of a machine that gave no answer */
    ERROR_LINES = 3,    /* shown of the monitor's standard error */
    CODE_MAX = 255,
    SIGNAL_MAX = 64,
    STATUS_TIMEOUT = 124, /* contract of worker records */
    STATUS_SIGNALED = 128,
};

const char *pw_boot_verdict_name(enum pw_boot_verdict verdict)
{
    static const char *const names[PW_BOOT_COUNT] = {
        [PW_BOOT_OK] = "ok",
        [PW_BOOT_COMMAND_FAILED] = "guest_command_failed",
        [PW_BOOT_FAULT] = "guest_fault",
        [PW_BOOT_PANIC] = "guest_panic",
        [PW_BOOT_MONITOR_ERROR] = "monitor_error",
        [PW_BOOT_MONITOR_CRASHED] = "monitor_crashed",
        [PW_BOOT_TIMEOUT] = "timeout",
        [PW_BOOT_INTERRUPTED] = "interrupted",
    };
    return names[verdict];
}

/* What the guest said of its command. */
enum answer_kind { ANSWER_NONE, ANSWER_EXEC, ANSWER_FAULT };
struct answer {
    enum answer_kind kind;
    unsigned code, signal; /* EXEC */
    char text[LINE_BYTES]; /* FAULT: all behind the name */
    char mark[NAME_BYTES]; /* the last mark's name; "": there was none */
};

/* Printable ASCII of one line, or "" if it holds something else. */
static void take_line(const char *at, size_t length, char ret_line[LINE_BYTES])
{
    while (length > 0 && at[length - 1] == '\r') {
        length--;
    }
    ret_line[0] = '\0';
    if (length >= LINE_BYTES) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isprint((unsigned char)at[i])) {
            return;
        }
    }
    memcpy(ret_line, at, length);
    ret_line[length] = '\0';
}

/* The number behind ` KEY=`; false if there is none, or it is larger than `most`. */
static bool find_number(const char *line, const char *key, unsigned most, unsigned *ret_number)
{
    size_t length = strlen(key);
    for (const char *at = strchr(line, ' '); at; at = strchr(at + 1, ' ')) {
        if (strncmp(at + 1, key, length) != 0 || at[1 + length] != '=') {
            continue;
        }
        const char *digits = at + length + 2;
        size_t count = strspn(digits, "0123456789");
        if (count == 0 || count > 4 || (digits[count] != ' ' && digits[count] != '\0')) {
            return false;
        }
        unsigned long number = strtoul(digits, NULL, 10);
        *ret_number = (unsigned)number;
        return number <= most;
    }
    return false;
}

static void take_mark(const char *line, struct answer *answer)
{
    if (strncmp(line, "PW ", 3) != 0) {
        return;
    }
    const char *name = line + 3;
    size_t length = strcspn(name, " ");
    if (length == 0 || length >= NAME_BYTES) {
        return;
    }
    memcpy(answer->mark, name, length);
    answer->mark[length] = '\0';
    unsigned code = 0;
    unsigned signal = 0;
    if (strcmp(answer->mark, "exec") == 0 && find_number(line, "code", CODE_MAX, &code) &&
        find_number(line, "signal", SIGNAL_MAX, &signal)) {
        answer->kind = ANSWER_EXEC;
        answer->code = code;
        answer->signal = signal;
    } else if (strcmp(answer->mark, "fault") == 0) {
        answer->kind = ANSWER_FAULT;
        snprintf(answer->text, sizeof(answer->text), "%s", name + length + (name[length] == ' '));
    }
}

/* Lines that are complete only: the machine may end in the middle of one. The last answer counts,
 * for init speaks after its command, which may have imitated it on the console. */
static void read_marks(const char *text, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_NONE};
    for (const char *end = text ? strchr(text, '\n') : NULL; end; end = strchr(text, '\n')) {
        char line[LINE_BYTES];
        take_line(text, (size_t)(end - text), line);
        take_mark(line, answer);
        text = end + 1;
    }
}

/* Where the last `count` lines begin. */
static const char *last_lines(const char *text, unsigned count)
{
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    return pw_lines_last(text, length, count);
}

/* Adds what of a line can be printed; blank lines are left out. Escape sequences lose their ESC. */
static void add_line(struct pw_str *out, const char *line, size_t length)
{
    size_t start = out->length;
    bool has_text = false;
    if (length > LINE_BYTES) {
        length = LINE_BYTES;
    }
    pw_str_add(out, out->length > 0 ? "\n" : "");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c == '\t' || isprint(c)) {
            pw_str_add_char(out, c == '\t' ? ' ' : (char)c);
            has_text = has_text || isgraph(c);
        } else if (c >= 0x80) {
            pw_str_add_char(out, '?');
        }
    }
    if (!has_text && out->length > start) {
        out->length = start;
        out->text[start] = '\0';
    }
}

static void add_last_lines(struct pw_str *out, const char *text, unsigned count)
{
    for (const char *at = text ? last_lines(text, count) : ""; *at; at += *at == '\n') {
        size_t length = strcspn(at, "\n");
        add_line(out, at, length);
        at += length;
    }
}

/* The sentence, and beneath it the end of `more`, of which the beginning is left out if it is too
 * long. */
static void say(struct pw_boot_judgement *judgement, const char *sentence, const char *more,
                unsigned lines)
{
    PW_STR_AUTO text = PW_STR_INIT;
    add_last_lines(&text, more, lines);
    const size_t size = sizeof(judgement->detail);
    int used = snprintf(judgement->detail, size, "%s", sentence);
    if (used < 0 || (size_t)used + 2 >= size || text.length == 0 || text.failed) {
        return;
    }
    size_t room = size - (size_t)used - 2;
    const char *from = text.text;
    if (text.length > room) {
        from += text.length - room;
        const char *next = strchr(from, '\n'); /* whole lines only, if there is one */
        from = next ? next + 1 : from;
    }
    snprintf(judgement->detail + used, size - (size_t)used, "\n%s", from);
}

static const char *find_panic(const char *console)
{
    return console ? strstr(console, "Kernel panic - not syncing") : NULL;
}

/* What QEMU says when KVM gives up; the monitor then stays, with its guest stopped. */
static bool reports_kvm_failure(const char *errors)
{
    return errors && (strstr(errors, "KVM internal error") || strstr(errors, "KVM: entry failed"));
}

static bool is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n")] == '\0';
}

/* The last moment that came; of two at one time the later name. NULL: none came. */
static const char *last_moment(const struct pw_boot_end *end)
{
    const char *name = NULL;
    int64_t last_ns = 0;
    for (size_t i = 0; end->names && end->moments && i < end->names->count; i++) {
        if (end->moments->at_ns[i] >= 0 && (!name || end->moments->at_ns[i] >= last_ns)) {
            name = end->names->names[i];
            last_ns = end->moments->at_ns[i];
        }
    }
    return name;
}

static void judge_answer(const struct pw_boot_end *end, const struct answer *answer,
                         struct pw_boot_judgement *judgement)
{
    char sentence[LINE_BYTES + 64];
    if (answer->kind == ANSWER_FAULT) {
        const char *text = answer->text; /* behind `uptime=SECONDS`, which says nothing here */
        text += strncmp(text, "uptime=", 7) == 0 ? strcspn(text, " ") : 0;
        text += strspn(text, " ");
        judgement->verdict = PW_BOOT_FAULT;
        judgement->return_code = 1;
        snprintf(sentence, sizeof(sentence), "the guest's init could not go on: %s", text);
        say(judgement, sentence, end->console, ERROR_LINES);
        return;
    }
    judgement->signal = (int)answer->signal;
    judgement->return_code =
        answer->signal > 0 ? STATUS_SIGNALED + (int)answer->signal : (int)answer->code;
    judgement->verdict = judgement->return_code == 0 ? PW_BOOT_OK : PW_BOOT_COMMAND_FAILED;
    if (answer->signal > 0) {
        snprintf(judgement->detail, sizeof(judgement->detail),
                 "signal %u ended the guest's command", answer->signal);
    } else if (answer->code > 0) {
        snprintf(judgement->detail, sizeof(judgement->detail), "the guest's command returned %u",
                 answer->code);
    }
}

static void judge_timeout(const struct pw_boot_end *end, const char *mark,
                          struct pw_boot_judgement *judgement)
{
    const char *phase = last_moment(end);
    char sentence[256];
    phase = phase ? phase : mark;
    judgement->verdict = PW_BOOT_TIMEOUT;
    judgement->return_code = STATUS_TIMEOUT;
    if (*phase) {
        snprintf(sentence, sizeof(sentence), "no answer in time; the last phase reached: %s",
                 phase);
    } else {
        snprintf(sentence, sizeof(sentence), "no answer in time; no phase was reached");
    }
    say(judgement, sentence, end->console, ERROR_LINES);
    if (!*phase && is_blank(end->console)) {
        say(judgement, sentence, end->errors, ERROR_LINES);
    }
}

/* The monitor's own: never 0, for there was no answer. */
static void judge_monitor(const struct pw_boot_end *end, const char *sentence,
                          struct pw_boot_judgement *judgement)
{
    judgement->verdict = PW_BOOT_MONITOR_ERROR;
    judgement->return_code = end->return_code != 0 ? end->return_code : 1;
    say(judgement, sentence, end->errors, ERROR_LINES);
}

static void judge_panic(const struct pw_boot_end *end, struct pw_boot_judgement *judgement)
{
    const char *panic = find_panic(end->console);
    char sentence[256] = "the machine ended without an answer; the console's last lines:";
    judgement->verdict = PW_BOOT_PANIC;
    judgement->return_code = 1;
    if (panic) {
        PW_STR_AUTO line = PW_STR_INIT;
        add_line(&line, panic, strcspn(panic, "\n"));
        snprintf(sentence, sizeof(sentence), "%.200s", line.text);
    } else if (is_blank(end->console)) {
        snprintf(sentence, sizeof(sentence),
                 "the machine ended without an answer, and nothing was on its console");
    }
    say(judgement, sentence, end->console, CONSOLE_LINES);
}

/* Whether the machine ended, not the monitor. The return code 1 says nothing by itself: then it was
 * the machine if that had said something, or the monitor has nothing to say. A monitor that cannot
 * start always has. */
static bool is_machines_end(const struct pw_boot_end *end, const char *mark)
{
    if (find_panic(end->console)) {
        return true;
    }
    if (end->end == PW_END_TIMEOUT || end->signal != 0) {
        return false;
    }
    if (end->return_code == 0 || end->return_code == PW_EXIT_STATUS) {
        return true;
    }
    /* A worker that ends with 0 before its mark is recorded as 1. */
    return end->end == PW_END_MISSED && end->return_code == 1 &&
           (*mark || !is_blank(end->console) || is_blank(end->errors));
}

static void judge_silent(const struct pw_boot_end *end, const char *mark,
                         struct pw_boot_judgement *judgement)
{
    char sentence[128];
    if (reports_kvm_failure(end->errors)) {
        judge_monitor(end, "KVM cannot run this guest", judgement);
    } else if (end->end == PW_END_LOST) {
        judge_monitor(end, "what became of the monitor is not known", judgement);
    } else if (is_machines_end(end, mark)) {
        judge_panic(end, judgement);
    } else if (end->end == PW_END_TIMEOUT) {
        judge_timeout(end, mark, judgement);
    } else if (end->signal != 0) {
        judgement->verdict = PW_BOOT_MONITOR_CRASHED;
        judgement->signal = end->signal;
        judgement->return_code = STATUS_SIGNALED + end->signal;
        snprintf(sentence, sizeof(sentence), "signal %d ended the monitor", end->signal);
        say(judgement, sentence, end->errors, ERROR_LINES);
    } else {
        snprintf(sentence, sizeof(sentence), "the monitor ended with %d", end->return_code);
        judge_monitor(end, sentence, judgement);
    }
}

/* Whether the mark `exec` was among those that were waited for. */
static bool awaits_exec(const struct pw_boot_end *end)
{
    for (size_t i = 0; end->names && i < end->names->count; i++) {
        if (strcmp(end->names->names[i], "exec") == 0) {
            return true;
        }
    }
    return false;
}

void pw_boot_judge(const struct pw_boot_end *end, struct pw_boot_judgement *ret_judgement)
{
    struct pw_boot_judgement judgement = {.verdict = PW_BOOT_OK};
    struct answer answer;
    read_marks(end->told, &answer);
    /* A guest with the port says nothing on the console: what looks like a mark there is none. */
    if (!*answer.mark) {
        read_marks(end->console, &answer);
    }
    if (end->end == PW_END_INTERRUPTED) {
        judgement.verdict = PW_BOOT_INTERRUPTED;
        judgement.return_code = end->return_code;
        judgement.signal = end->signal;
    } else if (answer.kind != ANSWER_NONE && end->end != PW_END_TIMEOUT) {
        judge_answer(end, &answer, &judgement);
    } else if (end->end != PW_END_UNTIL) {
        judge_silent(end, answer.mark, &judgement);
    } else if (awaits_exec(end)) {
        judgement.verdict = PW_BOOT_FAULT;
        judgement.return_code = 1;
        say(&judgement, "the guest did not say how its command ended", end->console, ERROR_LINES);
    }
    *ret_judgement = judgement;
}
