/*
 * A CPU profile as files that other tools read.
 *
 *   folded   one line a stack, outermost first: `process;main;parse 1200` (weights in us); what
 *            flamegraph.pl and speedscope read
 *   pprof    gzip'd protobuf of google/pprof (proto/profile.proto): samples/count and cpu/ns
 *   svg      a flame graph, self-contained: zooms, searches, no script from elsewhere; frames under
 *            0.1 % of the time are left out and counted
 *
 * Broken stacks stand under a frame "[broken stack]"; in pprof they have a label stack=broken, and
 * all have a label process. Equal profiles give equal bytes, whatever the order of their stacks.
 *
 * `ret_*` starts as PW_STR_INIT and is replaced. All names are escaped for the format (a semicolon
 * becomes ':' in folded); control characters and what is not UTF-8 become '?'. Threads: no shared
 * state.
 */
#ifndef PW_EXPORTERS_CPU_PROFILE_H
#define PW_EXPORTERS_CPU_PROFILE_H

#include "core/cpu_profile.h"
#include "core/str.h"

int pw_cpu_profile_to_folded(const struct pw_cpu_profile *profile, struct pw_str *ret_text,
                             struct pw_err *err);
int pw_cpu_profile_to_pprof(const struct pw_cpu_profile *profile, struct pw_str *ret_bytes,
                            struct pw_err *err);
int pw_cpu_profile_to_svg(const struct pw_cpu_profile *profile, const char *title,
                          struct pw_str *ret_text, struct pw_err *err);

#endif
