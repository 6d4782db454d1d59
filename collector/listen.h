/*
 * The collector's listening socket, and the URL under which it is reached.
 *
 * Numeric addresses only, so that no name service is asked. Threads: no shared state.
 */
#ifndef PW_COLLECTOR_LISTEN_H
#define PW_COLLECTOR_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include "core/err.h"

struct pw_address {
    struct sockaddr_storage bytes;
    socklen_t length;
    bool is_loopback; /* nobody beyond this machine can reach it */
};

/* "ADDRESS:PORT", "ADDRESS", ":PORT", "[ADDRESS]:PORT", "[ADDRESS]"; "localhost" is 127.0.0.1. NULL
 * or "": 127.0.0.1, any free port. Errors: PW_ERR_USAGE. */
int pw_address_parse(const char *text, struct pw_address *ret_address, struct pw_err *err);
/* Binds and listens, close-on-exec and non-blocking. *ret_url: free() it; for an address that
 * stands for all, loopback's. Errors: PW_ERR_SYSTEM, with the remedy. */
int pw_listen(const struct pw_address *address, int *ret_fd, char **ret_url, struct pw_err *err);

#endif
