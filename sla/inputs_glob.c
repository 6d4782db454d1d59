/* Globs: glob(7), and ** for any number of folders. glob(3) has no **, and takes patterns that
 * match nothing in different ways. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/limits.h"
#include "sla/inputs_impl.h"

/* One pattern while it is walked. */
struct matcher {
    struct pw_input_walk *walk;
    struct pw_str path; /* what has been matched so far */
    unsigned depth;
};

static int match(struct matcher *matcher, const char *pattern, struct pw_err *err);

/* What a whole pattern matched: as if it had been given. */
static int take(struct matcher *matcher, struct pw_err *err)
{
    struct stat info;
    if (stat(matcher->path.text, &info) != 0) {
        return 0;
    }
    return S_ISDIR(info.st_mode) ? pw_input_add_folder(matcher->walk, matcher->path.text, err)
                                 : pw_input_add_file(matcher->walk, matcher->path.text, &info, err);
}

/* `name` is the next segment of the path; `rest` what is left of the pattern, "" at its end. */
static int step(struct matcher *matcher, const char *name, size_t length, const char *rest,
                struct pw_err *err)
{
    if (matcher->depth == PW_LIMIT_FOLDER_DEPTH) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s`: folders more than %d deep", matcher->walk->word,
                          PW_LIMIT_FOLDER_DEPTH);
    }
    size_t before = pw_input_path_push(&matcher->path, name, length);
    if (matcher->path.failed) {
        return pw_err_memory(err);
    }
    matcher->depth++;
    int failed = *rest ? match(matcher, rest, err) : take(matcher, err);
    matcher->depth--;
    pw_input_path_pop(&matcher->path, before);
    return failed;
}

static bool is_visible(const char *name, void *context)
{
    (void)context;
    return name[0] != '.';
}

static bool fits(const char *name, void *context)
{
    return fnmatch(context, name, FNM_PERIOD) == 0;
}

/* Steps into each name in the current folder that `wanted` accepts. */
static int step_into(struct matcher *matcher, bool (*wanted)(const char *name, void *context),
                     void *context, bool folders_only, const char *rest, struct pw_err *err)
{
    struct pw_input_names names;
    const char *here = matcher->path.length > 0 ? matcher->path.text : ".";
    if (pw_input_names_read(here, wanted, context, &names, err) != 0) {
        return -1;
    }
    int failed = 0;
    for (size_t i = 0; i < names.count && !failed; i++) {
        const struct pw_input_name *name = &names.items[i];
        if (name->folder || !folders_only) {
            failed = step(matcher, name->name, strlen(name->name), rest, err);
        }
    }
    pw_input_names_done(&names);
    return failed;
}

/* `pattern` begins with `**`; `rest` is what follows it. */
static int match_any_depth(struct matcher *matcher, const char *pattern, const char *rest,
                           struct pw_err *err)
{
    while (strncmp(rest, "**/", 3) == 0) {
        rest += 3; /* twice is the same, and would be walked many times */
    }
    if (!*rest || strcmp(rest, "**") == 0) {
        const char *here = matcher->path.length > 0 ? matcher->path.text : ".";
        return pw_input_add_folder(matcher->walk, here, err);
    }
    if (match(matcher, rest, err) != 0) {
        return -1;
    }
    return step_into(matcher, is_visible, NULL, true, pattern, err);
}

static int match(struct matcher *matcher, const char *pattern, struct pw_err *err)
{
    size_t length = strcspn(pattern, "/");
    const char *rest = pattern + length + strspn(pattern + length, "/");
    if (length == 2 && strncmp(pattern, "**", 2) == 0) {
        return match_any_depth(matcher, pattern, rest, err);
    }
    char *segment = strndup(pattern, length);
    if (!segment) {
        return pw_err_memory(err);
    }
    int failed = strpbrk(segment, "*?[") ? step_into(matcher, fits, segment, false, rest, err)
                                         : step(matcher, segment, length, rest, err);
    free(segment);
    return failed;
}

int pw_input_add_glob(struct pw_input_walk *walk, struct pw_err *err)
{
    struct matcher matcher = {.walk = walk, .path = PW_STR_INIT};
    const char *pattern = walk->word + strspn(walk->word, "/");
    if (pattern > walk->word) {
        pw_str_add_char(&matcher.path, '/');
    }
    int failed = matcher.path.failed ? pw_err_memory(err) : match(&matcher, pattern, err);
    pw_str_done(&matcher.path);
    return failed;
}
