/*
 * Output for programs: `--json` prints a result as one JSON document; `--mode ax` puts it, or the
 * error, into an envelope, so that whoever calls reads exactly one document on standard output
 * whatever happened:
 *
 *   {"ok": true, "result": {...}}
 *   {"ok": false, "error": {"kind": "not_found", "message": "...", "remediation": "..."}}
 *
 * The mode is of the whole process: pw_cli_main() sets it from the words before any of them is
 * understood, so that a word that is not understood comes in the envelope too. Threads: the main
 * one.
 */
#ifndef PW_CLI_ENVELOPE_H
#define PW_CLI_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include "core/err.h"

/* The words of `perfwrap --json SUBCOMMAND …` and `perfwrap --mode ax SUBCOMMAND …` that stand
 * before the subcommand: their number, 0 if what follows them is none. */
int pw_envelope_words_before(int argc, char *const *argv);
/* Whether the words ask for the envelope: `--mode ax` or `--mode=ax` before any `--`. */
bool pw_envelope_asked_for(int argc, char *const *argv);

void pw_envelope_use(bool use);
bool pw_envelope_is_used(void);

/* What the envelope calls the failure: "transient", "permanent", "conflict", "not_found",
 * "resource_exhausted", "unsupported" or "policy_denied". */
const char *pw_envelope_kind(const struct pw_err *err);
/* Prints a result, in the envelope if it is used; takes the reference. Returns the exit status. */
int pw_envelope_print(json_t *result);
/* Prints the error's envelope. `partial` (the reference is taken; may be NULL) is what was found
 * before. Returns the exit status, 1. */
int pw_envelope_fail(const struct pw_err *err, json_t *partial);

/* For the option `--mode`. */
int pw_envelope_check_mode(const char *text, struct pw_err *err);

#endif
