#include "wrapper/cli/envelope.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/str.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

static bool in_use;

void pw_envelope_use(bool use)
{
    in_use = use;
}

bool pw_envelope_is_used(void)
{
    return in_use;
}

int pw_envelope_words_before(int argc, char *const *argv)
{
    int at = 0;
    while (at < argc) {
        if (strcmp(argv[at], "--json") == 0 || strncmp(argv[at], "--mode=", 7) == 0) {
            at++;
        } else if (strcmp(argv[at], "--mode") == 0 && at + 1 < argc) {
            at += 2;
        } else {
            break;
        }
    }
    return at < argc && pw_command_find(argv[at]) ? at : 0;
}

bool pw_envelope_asked_for(int argc, char *const *argv)
{
    bool asked = false;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--mode=", 7) == 0) {
            asked = strcmp(argv[i] + 7, "ax") == 0;
        } else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
            asked = strcmp(argv[++i], "ax") == 0;
        }
    }
    return asked;
}

/* The first row that fits decides; `sys` 0: any errno, class PW_ERR_NONE: any class. */
static const struct {
    enum pw_err_class cls;
    int sys;
    const char *kind;
} kinds[] = {
    {PW_ERR_NONE, ESRCH, "not_found"},
    {PW_ERR_NONE, ENOENT, "not_found"},
    {PW_ERR_NONE, ENOTUNIQ, "conflict"},
    {PW_ERR_NONE, EEXIST, "conflict"},
    {PW_ERR_NONE, EBUSY, "conflict"},
    {PW_ERR_NONE, EACCES, "policy_denied"},
    {PW_ERR_NONE, EPERM, "policy_denied"},
    {PW_ERR_NONE, EROFS, "policy_denied"},
    {PW_ERR_NONE, ENOMEM, "resource_exhausted"},
    {PW_ERR_NONE, EMFILE, "resource_exhausted"},
    {PW_ERR_NONE, ENFILE, "resource_exhausted"},
    {PW_ERR_NONE, ENOSPC, "resource_exhausted"},
    {PW_ERR_NONE, EDQUOT, "resource_exhausted"},
    {PW_ERR_NONE, ENOSYS, "unsupported"},
    {PW_ERR_NONE, EOPNOTSUPP, "unsupported"},
    {PW_ERR_NONE, EAGAIN, "transient"},
    {PW_ERR_NONE, EINTR, "transient"},
    {PW_ERR_NONE, ETIMEDOUT, "transient"},
    {PW_ERR_MEMORY, 0, "resource_exhausted"},
    {PW_ERR_EXEC_DENIED, 0, "policy_denied"},
    {PW_ERR_EXEC_MISSING, 0, "not_found"},
};

const char *pw_envelope_kind(const struct pw_err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((kinds[i].cls == PW_ERR_NONE || kinds[i].cls == err->cls) &&
            (kinds[i].sys == 0 || kinds[i].sys == err->sys)) {
            return kinds[i].kind;
        }
    }
    return "permanent";
}

/* Takes the reference; NULL if memory ran out while it was made. */
static int print(json_t *document)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    if (!document) {
        pw_err_memory(&err);
        return pw_cli_fail(&err);
    }
    PW_FREE_AUTO char *dumped = pw_json_dump(document, &err);
    json_decref(document);
    if (!dumped) {
        return pw_cli_fail(&err);
    }
    pw_str_add(&text, dumped);
    return pw_cli_print(&text);
}

/* {"ok": …, KEY: content}; takes the reference. */
static json_t *wrap(bool ok, const char *key, json_t *content)
{
    bool failed = false;
    json_t *document = json_object();
    pw_json_put(document, "ok", json_boolean(ok), &failed);
    pw_json_put(document, key, content, &failed);
    if (failed) {
        json_decref(document);
        return NULL;
    }
    return document;
}

int pw_envelope_print(json_t *result)
{
    return print(in_use && result ? wrap(true, "result", result) : result);
}

int pw_envelope_fail(const struct pw_err *err, json_t *partial)
{
    bool failed = false;
    json_t *error = json_object();
    in_use = false; /* should this fail, it can be told on standard error only */
    pw_json_put(error, "kind", json_string(pw_envelope_kind(err)), &failed);
    pw_json_put(error, "message", pw_json_string_or_null(err->message), &failed);
    if (err->remedy[0]) {
        pw_json_put(error, "remediation", pw_json_string_or_null(err->remedy), &failed);
    }
    if (partial) {
        pw_json_put(error, "partial_output", partial, &failed);
    }
    if (failed) {
        json_decref(error);
        error = NULL;
    }
    int status = print(wrap(false, "error", error));
    return status == PW_EXIT_OK ? PW_EXIT_WORKER_FAILED : status;
}

int pw_envelope_check_mode(const char *text, struct pw_err *err)
{
    return strcmp(text, "ax") == 0 || strcmp(text, "plain") == 0
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of plain, ax", text);
}
