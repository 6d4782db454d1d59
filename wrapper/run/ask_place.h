/*
 * What the text of a mark names: the addresses of `[HOST:]PORT`, of a Unix socket, of an HTTP URL.
 *
 * HOST is a numeric address ("127.0.0.1", "[::1]") or `localhost`, so that no name service is asked
 * in the middle of a measurement. Unix sockets: a path, or `@NAME` for an abstract one. URLs:
 * http://HOST[:PORT][/PATH][?QUERY]; over TLS nothing is asked. Threads: no shared state.
 */
#ifndef PW_RUN_ASK_PLACE_H
#define PW_RUN_ASK_PLACE_H

#include <stddef.h>
#include "core/err.h"
#include "wrapper/run/ask_dial.h"
#include "wrapper/run/marks.h"

enum { PW_PLACE_DIALS = 2 };

struct pw_place {
    struct pw_dial dials[PW_PLACE_DIALS]; /* localhost is two addresses */
    size_t dial_count;
    char *request; /* of HTTP; owned */
};

/* `source`: TCP, UNIX or HTTP. Errors: PW_ERR_USAGE with the remedy. */
int pw_place_parse(enum pw_mark_source source, const char *text, struct pw_place *ret_place,
                   struct pw_err *err);
void pw_place_done(struct pw_place *place); /* zeroed memory is fine, if dial_count is 0 */

#endif
