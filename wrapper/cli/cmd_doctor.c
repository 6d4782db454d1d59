/* `perfwrap doctor`: what this machine lets perfwrap see, and how to let it see more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "core/document.h"
#include "core/json.h"
#include "wrapper/boot/accel.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/help.h"
#include "wrapper/probe/powers.h"

enum {
    WIDTH_PLAIN = 80, /* where there is no terminal to ask */
    WIDTH_LEAST = 60,
    WIDTH_MOST = 120, /* longer lines are hard to read */
    NAME_SHOWN = 24,  /* bytes of a mistyped name: the list behind it is to fit too */
    STATE_WIDTH = 9,  /* of "limited" and two blanks */
    WORDS_INDENT = 9, /* of "    for: " */
    LABEL_GAP = 2,    /* between a field's label and its text (core/document_text.c) */
};

struct doctor_options {
    bool json, no_color, help;
    const char *mode;
    struct pw_option_list require;
};

static const char kvm_name[] = "kvm";

/* The names of all powers, in order; NULL: no further one. */
static const char *name_of(size_t index)
{
    const char *name = pw_power_name(index);
    return name || (index > 0 && !pw_power_name(index - 1)) ? name : kvm_name;
}

/* Calls of `visit` for each name between commas, until one is not 0. */
static int each_name(const char *list, int (*visit)(void *context, const char *name, size_t length),
                     void *context)
{
    int result = 0;
    for (const char *name = list; result == 0;) {
        size_t length = strcspn(name, ",");
        result = visit(context, name, length);
        if (name[length] == '\0') {
            break;
        }
        name += length + 1;
    }
    return result;
}

static bool is_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && strncmp(name, text, length) == 0;
}

static int check_name(void *context, const char *text, size_t length)
{
    struct pw_err *err = context;
    PW_STR_AUTO known = PW_STR_INIT;
    for (size_t i = 0; name_of(i); i++) {
        if (is_name(name_of(i), text, length)) {
            return 0;
        }
        pw_str_add(&known, i > 0 ? ", " : "");
        pw_str_add(&known, name_of(i));
    }
    int shown = length < NAME_SHOWN ? (int)length : NAME_SHOWN;
    return pw_err_set(err, PW_ERR_USAGE, "no power is called `%.*s`; there are: %s", shown, text,
                      known.text);
}

static int check_require(const char *text, struct pw_err *err)
{
    return each_name(text, check_name, err);
}

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "require",
     .type = PW_OPTION_LIST,
     .argument = "NAME[,NAME]",
     .check = check_require,
     .offset = offsetof(struct doctor_options, require),
     .help = "Exit with 1 unless each of these powers is ok, as for a job that would be worth "
             "nothing without. May be repeated. Without it the exit status is 0, whatever was "
             "found."},
    {.name = "json",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct doctor_options, json),
     .help = "Print one JSON document; may also stand before the subcommand."},
    {.name = "mode",
     .type = PW_OPTION_STRING,
     .argument = "plain|ax",
     .initial = "plain",
     .check = pw_envelope_check_mode,
     .offset = offsetof(struct doctor_options, mode),
     .help =
         "ax: exactly one JSON document on standard output, with `ok` and `result` or `error`."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct doctor_options, no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(doctor_options),
};
const struct pw_option_set pw_doctor_option_set = {.options = options,
                                                   .count = sizeof options / sizeof *options,
                                                   .groups = groups,
                                                   .group_count = 1};

_Static_assert(sizeof((struct pw_power *)0)->found >= sizeof((struct pw_kvm_probe *)0)->reason,
               "a reason is found whole");

/* KVM is asked by what boots machines with it, which wrapper/probe does not know. */
static void add_kvm(struct pw_powers *powers)
{
    static const enum pw_power_state states[PW_KVM_COUNT] = {[PW_KVM_USABLE] = PW_POWER_OK,
                                                             [PW_KVM_EMULATED] = PW_POWER_LIMITED,
                                                             [PW_KVM_ABSENT] = PW_POWER_ABSENT,
                                                             [PW_KVM_DENIED] = PW_POWER_DENIED,
                                                             [PW_KVM_BROKEN] = PW_POWER_LIMITED};
    struct pw_kvm_probe probe;
    if (powers->count >= PW_POWERS_MAX) {
        return;
    }
    pw_kvm_probe("/dev/kvm", &probe);
    struct pw_power *power = &powers->items[powers->count++];
    *power = (struct pw_power){
        .name = kvm_name,
        .area = "Machines",
        .state = states[probe.kvm],
        .adds = "machines at full speed for `perfwrap boot`; without it they are emulated",
    };
    (void)snprintf(power->found, sizeof(power->found), "%s", probe.reason);
    if (power->state != PW_POWER_OK) {
        power->remedy = "join the group kvm; on a virtual machine let its host allow nested "
                        "virtualization";
    }
}

struct required {
    const struct pw_powers *powers;
    const struct pw_power *missing[PW_POWERS_MAX]; /* required and not ok; each once */
    size_t missing_count;
};

static int note_missing(void *context, const char *text, size_t length)
{
    struct required *required = context;
    for (size_t i = 0; i < required->powers->count; i++) {
        const struct pw_power *power = &required->powers->items[i];
        bool is_missing = power->state != PW_POWER_OK && is_name(power->name, text, length);
        for (size_t k = 0; k < required->missing_count; k++) {
            is_missing = is_missing && required->missing[k] != power;
        }
        if (is_missing) {
            required->missing[required->missing_count++] = power;
        }
    }
    return 0;
}

static void find_missing(const struct pw_option_list *list, struct required *required)
{
    for (size_t i = 0; i < list->count; i++) {
        (void)each_name(list->items[i], note_missing, required);
    }
}

static json_t *to_json(const struct pw_powers *powers, const struct required *required)
{
    bool failed = false;
    json_t *root = json_object(), *list = json_array(), *missing = json_array();
    for (size_t i = 0; i < powers->count; i++) {
        const struct pw_power *power = &powers->items[i];
        json_t *item = json_object();
        pw_json_put(item, "name", json_string(power->name), &failed);
        pw_json_put(item, "area", json_string(power->area), &failed);
        pw_json_put(item, "state", json_string(pw_power_state_name(power->state)), &failed);
        pw_json_put(item, "found", pw_json_string_or_null(power->found), &failed);
        pw_json_put(item, "adds", pw_json_string_or_null(power->adds), &failed);
        pw_json_put(item, "remedy", pw_json_string_or_null(power->remedy), &failed);
        pw_json_append(list, item, &failed);
    }
    for (size_t i = 0; i < required->missing_count; i++) {
        pw_json_append(missing, json_string(required->missing[i]->name), &failed);
    }
    pw_json_put(root, "powers", list, &failed);
    pw_json_put(root, "missing", missing, &failed);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static size_t line_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return WIDTH_PLAIN;
    }
    return size.ws_col < WIDTH_LEAST  ? WIDTH_LEAST
           : size.ws_col > WIDTH_MOST ? WIDTH_MOST
                                      : size.ws_col;
}

/* How much of `text` goes on a line with room for `room` bytes: whole words, at least one. */
static size_t line_length(const char *text, size_t room)
{
    size_t length = strlen(text);
    if (length <= room) {
        return length;
    }
    length = room;
    while (length > 0 && text[length] != ' ') {
        length--;
    }
    return length > 0 ? length : strcspn(text, " ");
}

static const char *next_line(const char *text, size_t length)
{
    text += length;
    return text + strspn(text, " ");
}

/* "NAME  STATE    FOUND", and what does not fit below FOUND. */
static void report_found(const struct pw_power *power, const char *label, size_t width,
                         struct pw_document *document)
{
    const char *state = pw_power_state_name(power->state), *text = power->found;
    size_t room = width - strlen(label) - LABEL_GAP - STATE_WIDTH;
    do {
        int length = (int)line_length(text, room);
        if (power->state == PW_POWER_OK) {
            pw_document_field(document, label, "%-*s%.*s", STATE_WIDTH, state, length, text);
        } else {
            pw_document_bad_field(document, label, "%-*s%.*s", STATE_WIDTH, state, length, text);
        }
        text = next_line(text, (size_t)length);
        label = state = "";
    } while (*text != '\0');
}

/* "    HEAD TEXT", and what does not fit below TEXT. */
static void report_words(const char *head, const char *text, size_t width,
                         struct pw_document *document)
{
    size_t room = width - WORDS_INDENT;
    do {
        int length = (int)line_length(text, room);
        pw_document_paragraph(document, "%*s%.*s", WORDS_INDENT, head, length, text);
        text = next_line(text, (size_t)length);
        head = "";
    } while (*text != '\0');
}

static void report_power(const struct pw_power *power, const char *label, size_t width,
                         struct pw_document *document)
{
    report_found(power, label, width, document);
    report_words("for: ", power->adds, width, document);
    if (power->remedy) {
        report_words("do:  ", power->remedy, width, document);
    }
}

static void report(const struct pw_powers *powers, const struct required *required,
                   struct pw_document *document)
{
    size_t counts[PW_POWER_ABSENT + 1] = {0}, label_width = 0;
    for (size_t i = 0; i < powers->count; i++) {
        size_t length = strlen(powers->items[i].name);
        label_width = length > label_width ? length : label_width;
    }
    const size_t width = line_width();
    for (size_t i = 0; i < powers->count; i++) {
        const struct pw_power *power = &powers->items[i];
        if (i == 0 || strcmp(power->area, power[-1].area) != 0) {
            pw_document_heading(document, 2, power->area);
        }
        /* So that all areas have one column for names. */
        char label[64];
        (void)snprintf(label, sizeof(label), "%-*s", (int)label_width, power->name);
        report_power(power, label, width, document);
        counts[power->state]++;
    }
    pw_document_heading(document, 2, "In all");
    pw_document_paragraph(document,
                          "%zu ok, %zu limited, %zu denied, %zu absent; none of them is "
                          "needed to measure.",
                          counts[PW_POWER_OK], counts[PW_POWER_LIMITED], counts[PW_POWER_DENIED],
                          counts[PW_POWER_ABSENT]);
    for (size_t i = 0; i < required->missing_count; i++) {
        pw_document_bad_field(document, "required, and not ok", "%s", required->missing[i]->name);
    }
}

static int set_missing(const struct required *required, struct pw_err *err)
{
    PW_STR_AUTO names = PW_STR_INIT;
    for (size_t i = 0; i < required->missing_count; i++) {
        pw_str_addf(&names, "%s%s (%s)", i > 0 ? ", " : "", required->missing[i]->name,
                    pw_power_state_name(required->missing[i]->state));
    }
    pw_err_set(err, PW_ERR_SYSTEM, "required, and not ok: %s", names.text);
    pw_err_errno(err, EOPNOTSUPP);
    return pw_err_remedy(err, "%s", required->missing[0]->remedy);
}

static int print(const struct doctor_options *given, const struct pw_powers *powers,
                 const struct required *required)
{
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    if (given->json || pw_envelope_is_used()) {
        return pw_envelope_print(to_json(powers, required));
    }
    report(powers, required, &document);
    bool color = !given->no_color && pw_cli_may_color(STDOUT_FILENO);
    if (pw_document_to_text(&document, color, &text, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return pw_cli_print(&text);
}

int pw_cmd_doctor(const struct pw_command *command, int argc, char *const *argv)
{
    struct doctor_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_powers powers;
    struct required required = {.powers = &powers};
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    pw_powers_probe("/proc", "/sys", &powers);
    add_kvm(&powers);
    find_missing(&given.require, &required);
    if (required.missing_count > 0 && pw_envelope_is_used()) {
        set_missing(&required, &err);
        return pw_envelope_fail(&err, to_json(&powers, &required));
    }
    status = print(&given, &powers, &required);
    return status == PW_EXIT_OK && required.missing_count > 0 ? PW_EXIT_WORKER_FAILED : status;
}
