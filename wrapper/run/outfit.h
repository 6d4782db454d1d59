/*
 * What each worker is given besides its environment: variables and files that the command line asks
 * for (--otel-env, --worker-env, --worker-file) or that an agent needs (agent.h).
 *
 * Both may hold placeholders: {worker_dir}, {run_dir}, {run_id}, {worker_id}, {iteration},
 * {unix_ns}, {endpoint}, {endpoint_port}, {endpoint_path}, {metrics_endpoint}, {traces_endpoint},
 * {logs_endpoint}, {traceparent}. They are replaced for each worker, those from {endpoint} on by
 * nothing if it is not told to report. {unix_ns} is the time at which that is done, in nanoseconds
 * since 1970; {endpoint_port} and {endpoint_path} are parts of {endpoint}, for a worker that
 * reaches it by another address, and {endpoint_path} has no slash at its end. Other braces stay as
 * they are, for templates are often TOML or JSON, and so does every other byte, NUL too.
 *
 * Life: zeroed memory is an empty outfit; it is filled while the plan is made, constant afterwards,
 * and ended with pw_outfit_done(). It owns its strings, which may be secret: none of them is ever
 * part of a message. Threads: any may read.
 */
#ifndef PW_RUN_OUTFIT_H
#define PW_RUN_OUTFIT_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/run/environment.h"

/* A file that each worker gets, mode 0600, in folders of mode 0700. */
struct pw_worker_file {
    char *dest; /* in the worker's folder, with placeholders */
    char *text;
    size_t size;
    size_t verbatim; /* so many bytes at its beginning are taken as they are; placeholders are
                        replaced behind them */
    bool secret;     /* removed when the worker has ended, not only with its folder */
};

struct pw_outfit {
    char **variables; /* "NAME=VALUE", with placeholders; of one name the last one counts */
    size_t variable_count;
    struct pw_worker_file *files;
    size_t file_count;
};

void pw_outfit_done(struct pw_outfit *outfit);
/* Adds "NAME=VALUE". PW_ERR_USAGE if NAME is none, or one of perfwrap's own. */
int pw_outfit_add_variable(struct pw_outfit *outfit, const char *text, struct pw_err *err);
/* Adds a file. Takes file->dest and file->text, also if it fails. PW_ERR_USAGE unless `dest` stays
 * in the worker's folder. */
int pw_outfit_add_file(struct pw_outfit *outfit, struct pw_worker_file *file, struct pw_err *err);
/* Adds "TEMPLATE=DEST", split at the last `=`; TEMPLATE is read now. PW_ERR_INPUT if it cannot be
 * read or is larger than PW_LIMIT_TEMPLATE_BYTES. */
int pw_outfit_add_template(struct pw_outfit *outfit, const char *text, struct pw_err *err);
/* The value of a variable as it was given, NULL if there is none. */
const char *pw_outfit_variable(const struct pw_outfit *outfit, const char *name);

/* Adds `text` with the placeholders replaced. */
void pw_outfit_expand(const char *text, size_t length, const struct pw_worker_facts *facts,
                      struct pw_str *out);
/* The NULL-terminated `words`, each with the placeholders replaced; free with
 * pw_environment_free(). NULL and err when out of memory. */
char **pw_outfit_expand_words(char *const *words, const struct pw_worker_facts *facts,
                              struct pw_err *err);
/* Writes the files into the worker's folder. `outfit` NULL: none. */
int pw_outfit_give(const struct pw_outfit *outfit, const struct pw_worker_facts *facts,
                   struct pw_err *err);
/* When the worker has ended, however it did: removes the secret ones. */
void pw_outfit_take_secrets(const struct pw_outfit *outfit, const struct pw_worker_facts *facts);

#endif
