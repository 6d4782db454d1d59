#include "wrapper/cli/option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/json.h"
#include "core/str.h"

void pw_option_describe_range(const struct pw_option *option, char *buffer, size_t size)
{
    snprintf(buffer, size, "a %snumber%s%s from %.15g to %.15g",
             option->type == PW_OPTION_UNSIGNED ? "whole " : "", option->unit ? " of " : "",
             option->unit ? option->unit : "", option->min, option->max);
}

static int refuse_number(const struct pw_option *option, const char *text, struct pw_err *err)
{
    char range[128];
    pw_option_describe_range(option, range, sizeof range);
    return pw_err_set(err, PW_ERR_USAGE, "option --%s: `%s` is not %s", option->name, text, range);
}

/* strtod() takes blanks, hexadecimal, "inf" and "nan" too: a decimal number has none of their
 * letters. */
static int read_number(const struct pw_option *option, const char *text, double *ret_number,
                       struct pw_err *err)
{
    bool whole = option->type == PW_OPTION_UNSIGNED;
    char *end = NULL;
    double number = strtod(text, &end);
    if (!*text || strspn(text, whole ? "0123456789" : "0123456789.eE+-") != strlen(text) || *end ||
        !isfinite(number) || number < option->min || number > option->max) {
        return refuse_number(option, text, err);
    }
    *ret_number = number;
    return 0;
}

static int refuse_codes(const struct pw_option *option, const char *text, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_USAGE, "option --%s: `%s` is not a list of return codes", option->name,
               text);
    return pw_err_remedy(err, "give codes from 1 to 255 and ranges of them: --%s=1,64-78",
                         option->name);
}

static bool read_code(const char **at, unsigned *ret_code)
{
    unsigned code = 0;
    size_t digits = strspn(*at, "0123456789");
    for (size_t i = 0; i < digits && code <= 255; i++) {
        code = code * 10 + (unsigned)((*at)[i] - '0');
    }
    if (digits == 0 || code < 1 || code > 255) {
        return false;
    }
    *at += digits;
    *ret_code = code;
    return true;
}

static int read_codes(const struct pw_option *option, const char *text,
                      struct pw_option_codes *ret_codes, struct pw_err *err)
{
    struct pw_option_codes codes = {.given = true};
    for (const char *at = text;;) {
        unsigned first = 0, last = 0;
        if (!read_code(&at, &first)) {
            return refuse_codes(option, text, err);
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!read_code(&at, &last) || last < first) {
                return refuse_codes(option, text, err);
            }
        }
        memset(codes.code + first, 1, last - first + 1);
        if (!*at) {
            break;
        }
        if (*at++ != ',') {
            return refuse_codes(option, text, err);
        }
    }
    *ret_codes = codes;
    return 0;
}

static int check_string(const struct pw_option *option, const char *text, struct pw_err *err)
{
    if (option->check) {
        return option->check(text, err) == 0 ? 0 : pw_err_prefix(err, "option --%s", option->name);
    }
    if (!*text) {
        return pw_err_set(err, PW_ERR_USAGE, "option --%s: the value is empty", option->name);
    }
    return 0;
}

static int store_item(const struct pw_option *option, const char *text, struct pw_option_list *list,
                      struct pw_err *err)
{
    if (check_string(option, text, err) != 0) {
        return -1;
    }
    if (list->count == PW_LIMIT_OPTION_LIST) {
        return pw_err_set(err, PW_ERR_USAGE, "option --%s: given more than %d times", option->name,
                          PW_LIMIT_OPTION_LIST);
    }
    list->items[list->count++] = text;
    return 0;
}

bool pw_option_may_be_bare(const struct pw_option *option)
{
    return option->bare || option->type == PW_OPTION_FLAG || option->type == PW_OPTION_CODES;
}

static int store(const struct pw_option *option, const char *text, void *place, struct pw_err *err)
{
    double number = NAN;
    switch (option->type) {
    case PW_OPTION_UNSIGNED:
    case PW_OPTION_NUMBER:
        if (read_number(option, text, &number, err) != 0) {
            return -1;
        }
        if (option->type == PW_OPTION_NUMBER) {
            *(double *)place = number;
        } else {
            *(unsigned *)place = (unsigned)number; /* no table allows more than it holds */
        }
        return 0;
    case PW_OPTION_STRING:
        if (check_string(option, text, err) != 0) {
            return -1;
        }
        *(const char **)place = text;
        return 0;
    case PW_OPTION_LIST: return store_item(option, text, place, err);
    case PW_OPTION_CODES: return read_codes(option, text, place, err);
    case PW_OPTION_FLAG: break;
    }
    return pw_err_set(err, PW_ERR_USAGE, "option --%s takes no value", option->name);
}

/* Sets what an option without a value means. */
static int store_bare(const struct pw_option *option, void *place, struct pw_err *err)
{
    if (option->bare) {
        return store(option, option->bare, place, err);
    }
    if (option->type == PW_OPTION_CODES) {
        *(struct pw_option_codes *)place = (struct pw_option_codes){.all = true};
    } else {
        *(bool *)place = true;
    }
    return 0;
}

static int store_default(const struct pw_option *option, void *target, struct pw_err *err)
{
    void *place = (char *)target + option->offset;
    if (option->initial && option->type != PW_OPTION_STRING) {
        return store(option, option->initial, place, err);
    }
    switch (option->type) {
    case PW_OPTION_FLAG: *(bool *)place = false; break;
    case PW_OPTION_UNSIGNED: *(unsigned *)place = 0; break;
    case PW_OPTION_NUMBER: *(double *)place = NAN; break;
    case PW_OPTION_STRING: *(const char **)place = option->initial; break;
    case PW_OPTION_LIST: ((struct pw_option_list *)place)->count = 0; break;
    case PW_OPTION_CODES: *(struct pw_option_codes *)place = (struct pw_option_codes){0}; break;
    }
    return 0;
}

static size_t count_also(const struct pw_option_set *set)
{
    return set->also ? set->also->count : 0;
}

/* By the index of struct pw_parsed. */
static const struct pw_option *option_at(const struct pw_option_set *set, size_t index)
{
    size_t before = count_also(set);
    return index < before ? &set->also->options[index] : &set->options[index - before];
}

/* From the last to the first, so that the set's own options hide others. -1: none. */
static int find_option(const struct pw_option_set *set, const char *name, char letter)
{
    for (size_t i = count_also(set) + set->count; i-- > 0;) {
        const struct pw_option *option = option_at(set, i);
        if (name ? strcmp(option->name, name) == 0 : option->letter == letter) {
            return (int)i;
        }
    }
    return -1;
}

/* The only option that `name` is the beginning of: what was meant by an abbreviation. */
static const char *find_completion(const struct pw_option_set *set, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < count_also(set) + set->count; i++) {
        const char *candidate = option_at(set, i)->name;
        if (strncmp(candidate, name, strlen(name)) == 0) {
            if (found && strcmp(found, candidate) != 0) {
                return NULL;
            }
            found = candidate;
        }
    }
    return found;
}

static int refuse_unknown(const struct pw_option_set *set, const char *name, struct pw_err *err)
{
    const char *names[PW_OPTIONS_MAX + 1] = {NULL};
    for (size_t i = 0; i < count_also(set) + set->count; i++) {
        names[i] = option_at(set, i)->name;
    }
    const char *nearest = pw_nearest_name(name, names);
    if (!nearest && *name) {
        nearest = find_completion(set, name);
    }
    pw_err_set(err, PW_ERR_USAGE, "unknown option --%s", name);
    if (nearest) {
        return pw_err_remedy(err, "did you mean --%s?", nearest);
    }
    return pw_err_remedy(err, "--help lists all options");
}

struct reader {
    const struct pw_option_set *set;
    int argc, at; /* `at`: the word that is read now */
    char *const *argv;
    void *target;
    struct pw_parsed *parsed;
};

static int take_option(struct reader *reader, int index, const char *text, struct pw_err *err)
{
    const struct pw_option *option = option_at(reader->set, (size_t)index);
    if (!text && !pw_option_may_be_bare(option)) {
        /* `--` is taken for what it nearly always is: a forgotten value. `--name=--` is possible.
         */
        if (reader->at + 1 >= reader->argc || strcmp(reader->argv[reader->at + 1], "--") == 0) {
            return pw_err_set(err, PW_ERR_USAGE, "option --%s needs a value (%s)", option->name,
                              option->argument);
        }
        text = reader->argv[++reader->at];
    }
    reader->parsed->given[index] = true;
    reader->parsed->stopped = option->stops;
    void *place = (char *)reader->target + option->offset;
    return text ? store(option, text, place, err) : store_bare(option, place, err);
}

static int take_long(struct reader *reader, const char *word, struct pw_err *err)
{
    char name[64];
    size_t length = strcspn(word, "=");
    const char *value = word[length] == '=' ? word + length + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), word);
    int index = find_option(reader->set, name, 0);
    return index >= 0 ? take_option(reader, index, value, err)
                      : refuse_unknown(reader->set, name, err);
}

/* `-qn5`: flags one after the other; the first option with a value takes what is left of the word.
 */
static int take_short(struct reader *reader, const char *letters, struct pw_err *err)
{
    for (; *letters && !reader->parsed->stopped; letters++) {
        int index = find_option(reader->set, NULL, *letters);
        if (index < 0) {
            pw_err_set(err, PW_ERR_USAGE, "unknown option -%c", *letters);
            return pw_err_remedy(err, "--help lists all options");
        }
        if (option_at(reader->set, (size_t)index)->type != PW_OPTION_FLAG) {
            return take_option(reader, index, letters[1] ? letters + 1 : NULL, err);
        }
        if (take_option(reader, index, NULL, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int pw_parsed_add_operand(struct pw_parsed *parsed, size_t most, const char *word,
                          struct pw_err *err)
{
    if (!parsed->operands) {
        parsed->operands = calloc(most, sizeof(*parsed->operands));
    }
    if (!parsed->operands) {
        return pw_err_memory(err);
    }
    parsed->operands[parsed->operand_count++] = word;
    return 0;
}

void pw_parsed_done(struct pw_parsed *parsed)
{
    free(parsed->operands);
    parsed->operands = NULL;
    parsed->operand_count = 0;
}

int pw_options_parse(const struct pw_option_set *set, int argc, char *const *argv, void *target,
                     struct pw_parsed *ret_parsed, struct pw_err *err)
{
    struct pw_parsed parsed = {.rest = -1, .stray = -1};
    struct reader reader = {
        .set = set, .argc = argc, .argv = argv, .target = target, .parsed = &parsed};
    for (size_t i = 0; i < count_also(set) + set->count; i++) {
        if (store_default(option_at(set, i), target, err) != 0) {
            return -1;
        }
    }
    for (; reader.at < argc && !parsed.stopped; reader.at++) {
        const char *word = argv[reader.at];
        int failed = 0;
        if (strcmp(word, "--") == 0) {
            parsed.rest = reader.at + 1;
            break;
        }
        if (word[0] != '-' || !word[1]) {
            if (parsed.operand_count == set->operands) {
                parsed.stray = reader.at;
                break;
            }
            failed = pw_parsed_add_operand(&parsed, (size_t)argc, word, err);
        } else if (word[1] == '-') {
            failed = take_long(&reader, word + 2, err);
        } else {
            failed = take_short(&reader, word + 1, err);
        }
        if (failed) {
            pw_parsed_done(&parsed);
            return -1;
        }
    }
    *ret_parsed = parsed;
    return 0;
}

static json_t *list_to_json(const struct pw_option_list *list, bool names_only)
{
    json_t *array = json_array();
    bool failed = !array;
    for (size_t i = 0; i < list->count && !failed; i++) {
        const char *item = list->items[i];
        char *shown = strndup(item, names_only ? strcspn(item, "=") : strlen(item));
        failed = !shown || json_array_append_new(array, pw_json_string_or_null(shown)) != 0;
        free(shown);
    }
    if (failed) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *value_to_json(const struct pw_option *option, const void *target)
{
    const void *place = (const char *)target + option->offset;
    switch (option->type) {
    case PW_OPTION_FLAG: return json_boolean(*(const bool *)place);
    case PW_OPTION_UNSIGNED: return json_integer(*(const unsigned *)place);
    case PW_OPTION_NUMBER: return pw_json_number(pw_value_of(*(const double *)place), false);
    case PW_OPTION_STRING: return pw_json_string_or_null(*(const char *const *)place);
    case PW_OPTION_LIST: return list_to_json(place, option->names_only);
    case PW_OPTION_CODES: break; /* decides about the exit status, not about the measurement */
    }
    return NULL;
}

json_t *pw_options_profile(const struct pw_option_set *set, const void *target, struct pw_err *err)
{
    json_t *profile = json_object();
    bool failed = !profile;
    for (size_t i = 0; i < set->count; i++) {
        if (set->options[i].profile_key) {
            pw_json_put(profile, set->options[i].profile_key,
                        value_to_json(&set->options[i], target), &failed);
        }
    }
    if (failed) {
        json_decref(profile);
        pw_err_memory(err);
        return NULL;
    }
    return profile;
}
