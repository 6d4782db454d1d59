/*
 * Presets for agents that take their configuration from a file: --agent NAME adds to the outfit
 * what NAME needs to run in a home of its own and to report to perfwrap.
 *
 * codex: each worker has CODEX_HOME={worker_dir}/codex-home. Its config.toml is the given file (as
 * a template, see outfit.h), else the user's own, else empty; where workers report, its [otel]
 * table is replaced. [analytics] is left alone: codex 0.169 exports metrics with it, without it,
 * and with `enabled = false`. A bearer token is not written into it, for the exporter reads
 * OTEL_EXPORTER_OTLP_HEADERS. The user's auth.json, if there is one, is copied, as a secret file;
 * what codex may renew in the copy is lost with it. Nothing else of the user's home is copied: no
 * sessions, prompts or caches; paths in config.toml have to be absolute. As its home is below the
 * folder for temporary files, codex says on standard error that it makes no aliases of itself
 * there.
 */
#ifndef PW_RUN_AGENT_H
#define PW_RUN_AGENT_H

#include <stdbool.h>
#include "core/err.h"
#include "wrapper/run/outfit.h"

struct pw_agent_request {
    const char *name;
    const char *config; /* file, or NULL */
    bool reports;       /* its workers are told to report */
};

/* Adds the agent's variables and files, reading its files. "none" adds nothing. PW_ERR_USAGE for an
 * unknown name, PW_ERR_INPUT for a file that cannot be read or used. */
int pw_agent_add(const struct pw_agent_request *request, struct pw_outfit *outfit,
                 struct pw_err *err);
/* Which of its metrics are of the stream family, where the general pattern does not know its names;
 * NULL: the general one. For an unknown name too. */
const char *pw_agent_stream_pattern(const char *name);

#endif
