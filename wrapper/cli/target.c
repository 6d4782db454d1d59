#include "wrapper/cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/pattern.h"
#include "core/str.h"
#include "wrapper/probe/proc_file.h"

enum {
    LISTED_MAX = 10,
    LISTED_BYTES = 40,
    STAT_BYTES = 2048,
    PATH_BYTES = 64,
    FIRST_ENTRIES = 256
};

struct entry {
    pid_t pid, parent;
    bool matches, is_own; /* own: perfwrap or above it */
};

/* All processes, sorted by pid. */
struct census {
    int root_fd;
    struct pw_pattern *pattern;
    struct entry *entries;
    size_t count, capacity;
    char *line; /* PW_LIMIT_COMMAND_LINE_BYTES */
    bool failed;
};

static bool matches(struct census *census, pid_t pid)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%d/cmdline", pid);
    ssize_t length =
        pw_proc_text_read(census->root_fd, path, census->line, PW_LIMIT_COMMAND_LINE_BYTES);
    while (length > 0 && census->line[length - 1] == '\0') {
        length--;
    }
    for (ssize_t i = 0; i < length; i++) {
        census->line[i] = census->line[i] ? census->line[i] : ' ';
    }
    /* Kernel threads have none. */
    return length > 0 && pw_pattern_matches(census->pattern, census->line, (size_t)length);
}

static void add_process(void *context, pid_t pid)
{
    struct census *census = context;
    char path[PATH_BYTES], text[STAT_BYTES];
    struct pw_proc_stat stat;
    if (census->failed) {
        return;
    }
    snprintf(path, sizeof path, "%d/stat", pid);
    ssize_t length = pw_proc_text_read(census->root_fd, path, text, sizeof text);
    if (length < 0 || !pw_proc_stat_parse(text, (size_t)length, &stat) || stat.state == 'Z' ||
        stat.state == 'X') {
        return;
    }
    if (census->count == census->capacity) {
        size_t capacity = census->capacity ? census->capacity * 2 : FIRST_ENTRIES;
        struct entry *entries = capacity <= 2 * (size_t)PW_LIMIT_TREE_PROCESSES
                                    ? reallocarray(census->entries, capacity, sizeof *entries)
                                    : NULL;
        if (!entries) {
            census->failed = true;
            return;
        }
        census->entries = entries;
        census->capacity = capacity;
    }
    census->entries[census->count++] =
        (struct entry){.pid = pid, .parent = stat.ppid, .matches = matches(census, pid)};
}

static int compare_pids(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

static struct entry *find(const struct census *census, pid_t pid)
{
    struct entry key = {.pid = pid};
    return census->count == 0 ? NULL
                              : bsearch(&key, census->entries, census->count,
                                        sizeof *census->entries, compare_pids);
}

static void mark_own(const struct census *census)
{
    char text[STAT_BYTES];
    struct pw_proc_stat self;
    ssize_t length = pw_proc_text_read(census->root_fd, "self/stat", text, sizeof text);
    if (length < 0 || !pw_proc_stat_parse(text, (size_t)length, &self)) {
        return;
    }
    struct entry *entry = find(census, self.pid);
    while (entry && !entry->is_own) {
        entry->is_own = true;
        entry = find(census, entry->parent);
    }
}

/* Processes are read one after the other: links that were read at different times may form a
 * circle, so the way up has an end. */
static bool is_root(const struct census *census, const struct entry *entry)
{
    if (!entry->matches || entry->is_own) {
        return false;
    }
    const struct entry *above = find(census, entry->parent);
    for (size_t steps = 0; above && above != entry && steps < census->count; steps++) {
        if (above->matches && !above->is_own) {
            return false;
        }
        above = find(census, above->parent);
    }
    return true;
}

/* "123 (the command)". */
static void add_listed(struct census *census, pid_t pid, struct pw_str *out)
{
    (void)matches(census, pid); /* reads its command line */
    pw_str_addf(out, "%s%d (", out->length > 0 ? ", " : "", pid);
    for (const char *c = census->line; *c && c < census->line + LISTED_BYTES; c++) {
        pw_str_add_char(out, *c >= ' ' && *c <= '~' ? *c : '?');
    }
    pw_str_add(out, strlen(census->line) > LISTED_BYTES ? "…)" : ")");
}

static int refuse_several(struct census *census, const struct pw_target *target, struct pw_err *err)
{
    PW_STR_AUTO list = PW_STR_INIT;
    for (size_t i = 0; i < target->count && i < LISTED_MAX; i++) {
        add_listed(census, target->pids[i], &list);
    }
    pw_err_set(err, PW_ERR_INPUT, "%zu processes match: %s%s", target->count, list.text,
               target->count > LISTED_MAX ? ", …" : "");
    err->sys = ENOTUNIQ;
    return pw_err_remedy(err, "give one's pid instead, make the expression narrower, or sum them "
                              "with --all");
}

static int select_roots(struct census *census, bool all, struct pw_target *target,
                        struct pw_err *err)
{
    target->pids = calloc(census->count + 1, sizeof *target->pids);
    if (!target->pids) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < census->count; i++) {
        if (is_root(census, &census->entries[i])) {
            target->pids[target->count++] = census->entries[i].pid;
        }
    }
    if (target->count == 0) {
        pw_err_set(err, PW_ERR_INPUT, "no process has a command line that --match `%s` matches",
                   target->text);
        err->sys = ESRCH;
        return pw_err_remedy(err, "perfwrap itself and what started it never match; try the "
                                  "expression with pgrep -fa");
    }
    return target->count > 1 && !all ? refuse_several(census, target, err) : 0;
}

static int take_census(struct census *census, const char *proc_root, struct pw_err *err)
{
    census->root_fd = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (census->root_fd < 0) {
        return pw_err_system(err, errno, "open `%s`", proc_root);
    }
    census->line = malloc(PW_LIMIT_COMMAND_LINE_BYTES);
    if (!census->line) {
        return pw_err_memory(err);
    }
    enum pw_proc_outcome outcome = pw_proc_numbers_read(census->root_fd, add_process, census);
    if (census->failed || outcome != PW_PROC_OK) {
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` could not be read to its end", proc_root);
    }
    if (census->count > 0) {
        qsort(census->entries, census->count, sizeof *census->entries, compare_pids);
    }
    mark_own(census);
    return 0;
}

static int resolve_match(const char *match, bool all, const char *proc_root,
                         struct pw_target *target, struct pw_err *err)
{
    struct pw_pattern *pattern = NULL;
    if (pw_pattern_new(match, false, &pattern, err) != 0) {
        return pw_err_prefix(err, "option --match");
    }
    struct census census = {.root_fd = -1, .pattern = pattern};
    int result = take_census(&census, proc_root, err);
    if (result == 0) {
        result = select_roots(&census, all, target, err);
    }
    pw_fd_done(&census.root_fd);
    free(census.entries);
    free(census.line);
    pw_pattern_free(pattern);
    return result;
}

static int resolve_pid(const char *word, struct pw_target *target, struct pw_err *err)
{
    char *end = NULL;
    errno = 0;
    long pid = strtol(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0') {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is no pid", word);
        return pw_err_remedy(err, "to find a process by its command line: --match REGEX");
    }
    if (errno == ERANGE || pid < 1 || pid > INT_MAX) {
        pw_err_set(err, PW_ERR_USAGE, "%s is no pid: it must be from 1 to %d", word, INT_MAX);
        return -1;
    }
    if (pid == getpid()) {
        return pw_err_set(err, PW_ERR_USAGE, "%ld is perfwrap itself", pid);
    }
    target->pids = malloc(sizeof *target->pids);
    if (!target->pids) {
        return pw_err_memory(err);
    }
    target->pids[0] = (pid_t)pid;
    target->count = 1;
    return 0;
}

int pw_target_resolve(const char *word, const char *match, bool all, const char *proc_root,
                      struct pw_target *ret_target, struct pw_err *err)
{
    PW_TARGET_AUTO target = {.text = word ? word : match};
    if (!word && !match) {
        pw_err_set(err, PW_ERR_USAGE, "no TARGET given");
        return pw_err_remedy(err, "give a pid, or --match REGEX to find a process by its command "
                                  "line");
    }
    if (word && match) {
        return pw_err_set(err, PW_ERR_USAGE, "both a pid and --match: give one of them");
    }
    if (all && !match) {
        return pw_err_set(err, PW_ERR_USAGE, "--all goes with --match only");
    }
    int result =
        word ? resolve_pid(word, &target, err) : resolve_match(match, all, proc_root, &target, err);
    if (result != 0) {
        return -1;
    }
    *ret_target = target;
    target.pids = NULL;
    return 0;
}

void pw_target_done(struct pw_target *target)
{
    free(target->pids);
    target->pids = NULL;
}
