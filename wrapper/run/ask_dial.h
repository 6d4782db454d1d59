/*
 * One address that is asked whether something answers there: by connecting, and for HTTP by a GET.
 *
 * A dial keeps its socket from one refusal to the next, which makes asking cheaper by a third. It
 * never blocks: what takes longer waits for pw_dial_wants() of its descriptor. Nothing is read of a
 * reply but its first line, and what of the rest is there then, so that closing does not reset the
 * connection under the server's hands.
 *
 * Threads: one at a time.
 */
#ifndef PW_RUN_ASK_DIAL_H
#define PW_RUN_ASK_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* How long an answer may take that does not come at once. */
#define PW_DIAL_PATIENCE_NS INT64_C(1000000000)

enum pw_dial_result {
    PW_DIAL_NO,     /* nothing there, or not what was asked for */
    PW_DIAL_YES,    /* it answers */
    PW_DIAL_WAIT,   /* not known yet: pw_dial_go_on() when the descriptor is ready */
    PW_DIAL_MISSED, /* it could not be asked: no descriptor or memory free */
};

enum pw_dial_state { PW_DIAL_IDLE, PW_DIAL_CONNECTING, PW_DIAL_ANSWERING };

enum { PW_DIAL_LINE_BYTES = 32 };

struct pw_dial {
    struct sockaddr_storage address;
    socklen_t address_length;
    int socket_type;
    const char *request; /* borrowed; NULL: an accepted connection is the answer */
    size_t request_length;
    int fd; /* -1: none */
    enum pw_dial_state state;
    int64_t give_up_at_ns; /* unless idle */
    size_t sent;           /* of the request */
    size_t received;       /* of the reply's head */
    char line[PW_DIAL_LINE_BYTES];
    size_t line_length;
    bool in_interim; /* within the head of a 1xx reply, which another one follows */
};

/* Asks anew. Not while it waits. */
enum pw_dial_result pw_dial_start(struct pw_dial *dial, int64_t now_ns);
/* What came of waiting so far; PW_DIAL_NO when the patience is over. */
enum pw_dial_result pw_dial_go_on(struct pw_dial *dial, int64_t now_ns);
/* EPOLLIN or EPOLLOUT: what it waits for. */
unsigned pw_dial_wants(const struct pw_dial *dial);
/* Closes its socket; it may be started again. */
void pw_dial_done(struct pw_dial *dial);

#endif
