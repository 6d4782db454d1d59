/*
 * Command-line options as data. A subcommand describes its options in one table; the parser, the
 * help, the manual page, the suggestions for mistyped names and the `profile` object of a summary
 * are loops over it.
 *
 * Syntax: `--name=value`, `--name value`, `-nvalue`, `-n value`, flags bundled as in `-qn5`. Long
 * names are not abbreviated. `--` ends the options. A repeated option: the last one wins, unless it
 * is a list. Numbers are read strictly. Values are borrowed from the argument vector. Threads: no
 * shared state.
 */
#ifndef PW_CLI_OPTION_H
#define PW_CLI_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/limits.h"

enum pw_option_type {
    PW_OPTION_FLAG,     /* bool */
    PW_OPTION_UNSIGNED, /* unsigned */
    PW_OPTION_NUMBER,   /* double; NAN if not given and without a default */
    PW_OPTION_STRING,   /* const char *; NULL if not given and without a default */
    PW_OPTION_CODES, /* struct pw_option_codes; its argument is optional: `--name` or `--name=LIST`
                      */
    PW_OPTION_LIST,  /* struct pw_option_list: may be repeated, and each value is kept */
};

struct pw_option_list {
    size_t count;
    const char *items[PW_LIMIT_OPTION_LIST];
};

/* `--ignore-failure`: which return codes are meant. */
struct pw_option_codes {
    bool all;                /* given without a list */
    bool given;              /* `code` is to be used */
    unsigned char code[256]; /* 1 for each code of the list */
};

struct pw_option {
    const char *name; /* without the dashes */
    char letter;      /* short form, or 0 */
    enum pw_option_type type;
    unsigned group;       /* index into the set's groups */
    const char *argument; /* what the help calls the value; NULL for a flag */
    const char *initial;  /* the default as it would be typed, or NULL */
    const char
        *bare; /* what `--name` without `=value` means, for an option with an optional value */
    double min, max;  /* of an unsigned or a number */
    const char *unit; /* of a number, for messages: "ms"; may be NULL */
    /* A further check of a string, or of each of a list; NULL: it must not be empty. A default is
     * not checked. */
    int (*check)(const char *text, struct pw_err *err);
    const char
        *profile_key; /* key in the summary's `profile`; NULL: does not change the measurement */
    bool names_only;  /* of a list of NAME=VALUE: `profile` gets no values, they may be secret */
    size_t offset;    /* of the value in the target structure */
    const char *help; /* a sentence or two */
    const char *no_effect; /* why it has none in this build; NULL: it has one */
    bool stops;            /* what follows is not read (--help, --version) */
};

/* Whether `--name` may stand alone. */
bool pw_option_may_be_bare(const struct pw_option *option);

/* --help, for the table of a subcommand whose `struct target` has a flag `help`. */
#define PW_OPTION_HELP(target)                                                \
    {                                                                         \
        .name = "help", .letter = 'h', .type = PW_OPTION_FLAG, .stops = true, \
        .offset = offsetof(struct target, help), .help = "Show this help."    \
    }

enum { PW_OPTIONS_MAX = 96 };
#define PW_OPERANDS_ANY SIZE_MAX

struct pw_option_set {
    const struct pw_option *options;
    size_t count;              /* at most PW_OPTIONS_MAX */
    const char *const *groups; /* their headings */
    size_t group_count;
    size_t operands; /* how many words that are no options are taken */
    /* A set whose options are taken too, or NULL. The target then begins with that set's target. An
     * option of the same name or letter hides its. */
    const struct pw_option_set *also;
};

struct pw_parsed {
    const char **operands; /* the words themselves are borrowed */
    size_t operand_count;
    int rest;     /* index of the first word after `--`; -1: there was no `--` */
    int stray;    /* index of the first word that is neither; -1: none. Nothing after it is read. */
    bool stopped; /* by an option with `stops` */
    /* Which options were there, by their index in the set; those of `also` come first. */
    bool given[PW_OPTIONS_MAX];
};
/* Adds one of at most `most` words: the same `most` at each call. */
int pw_parsed_add_operand(struct pw_parsed *parsed, size_t most, const char *word,
                          struct pw_err *err);
void pw_parsed_done(struct pw_parsed *parsed);
#define PW_PARSED_AUTO __attribute__((cleanup(pw_parsed_done))) struct pw_parsed

/* Fills `target` with the defaults, then reads argv[0] … argv[argc - 1]. *ret_parsed is to be ended
 * with pw_parsed_done(), unless this fails. Errors: PW_ERR_USAGE, with the nearest name or the
 * allowed range as remedy; PW_ERR_MEMORY. */
int pw_options_parse(const struct pw_option_set *set, int argc, char *const *argv, void *target,
                     struct pw_parsed *ret_parsed, struct pw_err *err);
/* The options of the set that change the measurement, by their `profile_key`, in table order. New
 * reference; NULL and err. */
json_t *pw_options_profile(const struct pw_option_set *set, const void *target, struct pw_err *err);
/* What a number may be: "a whole number from 1 to 10", "a number of ms from 0 to 60000". */
void pw_option_describe_range(const struct pw_option *option, char *buffer, size_t size);

#endif
