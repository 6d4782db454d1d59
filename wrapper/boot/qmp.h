/*
 * A conversation with QEMU over its control socket, with a deadline for all of it. It ends with
 * EINTR if perfwrap is asked to end (base/interrupt.h).
 * Source: QEMU, "QEMU Machine Protocol Specification": a greeting, then a line of JSON for each
 * command and each answer, with events in between. Threads: no shared state.
 */
#ifndef PW_BOOT_QMP_H
#define PW_BOOT_QMP_H

#include <jansson.h>
#include <stdint.h>
#include "core/err.h"
#include "core/str.h"

struct pw_qmp {
    int fd;
    int64_t deadline_ns;
    json_int_t last_id;
    struct pw_str input; /* that no answer was made of yet */
};
#define PW_QMP_AUTO __attribute__((cleanup(pw_qmp_close))) struct pw_qmp
#define PW_QMP_INIT ((struct pw_qmp){.fd = -1, .input = PW_STR_INIT})

/* Connects, and hears the greeting. PW_ERR_SYSTEM, ETIMEDOUT behind the deadline. */
int pw_qmp_open(const char *socket_path, int64_t deadline_ns, struct pw_qmp *ret_qmp,
                struct pw_err *err);
/* The same on a connected socket, which it takes. */
int pw_qmp_start(int fd, int64_t deadline_ns, struct pw_qmp *ret_qmp, struct pw_err *err);
void pw_qmp_close(struct pw_qmp *qmp);

/* Says `command` with `arguments` (taken; NULL: none) and `passed_fd` (-1: none), and waits for the
 * answer: *ret_value, a new reference, or discarded if it is NULL. PW_ERR_SYSTEM if the command is
 * refused, with QEMU's words, or the other end is gone, late, or speaks something else. */
int pw_qmp_call(struct pw_qmp *qmp, const char *command, json_t *arguments, int passed_fd,
                json_t **ret_value, struct pw_err *err);
/* Saves the machine's state, while it runs, to `state_fd`: a regular file. */
int pw_qmp_save(struct pw_qmp *qmp, int state_fd, struct pw_err *err);

#endif
