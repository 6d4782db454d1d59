/*
 * The job of a guest (guest_proto.h), for all workers of a session: as the file {worker_dir}/job of
 * their outfit, in which wrapper/run replaces what differs from worker to worker.
 *
 * The command's environment: what the image's configuration has, less PERFWRAP_*; and with
 * `reports`, on the user network, what wrapper/run/environment.h gives workers that report, with
 * the gateway for loopback. Always PERFWRAP_ITERATION and PERFWRAP_WORKER_ID. The image's entry
 * point is not used: `exec` stands in its place.
 */
#ifndef PW_BOOT_JOB_H
#define PW_BOOT_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/machine.h"

struct pw_job {
    const char *exec; /* --exec; NULL: the guest's own `true`. By the image's /bin/sh -c; with
                         `is_words`: split and run as it is */
    bool is_words;    /* the image has no shell, or there is no image */
    const struct pw_image *image;   /* NULL: none */
    const char *const *environment; /* NAME=VALUE, with placeholders of wrapper/run/outfit.h; they
                                       go before all others but PERFWRAP_* */
    size_t environment_count;
    enum pw_network network;
    bool hold;
    bool reports; /* OTLP goes to the worker's endpoint, through the gateway */
};

/* *ret_verbatim: bytes at its beginning without placeholders: all that the user or the image says
 * is there, so braces in it stay. PW_ERR_USAGE if `exec` cannot be split, or is too long. */
int pw_job_make(const struct pw_job *job, struct pw_str *ret_text, size_t *ret_verbatim,
                struct pw_err *err);

#endif
