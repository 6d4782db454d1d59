/*
 * Boots of virtual machines are never compared across what they depend on most: an emulated machine
 * says nothing about one on hardware, and another kernel, monitor, way to start or state of the
 * host's memory management makes another benchmark. A summary is one of a machine if its
 * `environment` names a guest's kernel or a monitor; of others these functions say nothing.
 * Threads: no state.
 */
#ifndef PW_SLA_GUEST_H
#define PW_SLA_GUEST_H

#include <jansson.h>
#include <stdbool.h>
#include "core/str.h"

/* Below `environment`: "accelerator", "guest_kernel", "monitor", "boot_start", "cache_state",
 * "transparent_hugepage", "ksm". */
enum { PW_GUEST_KEYS = 7 };
extern const char *const pw_guest_keys[PW_GUEST_KEYS];

/* `root`: of a summary. */
bool pw_guest_is_one(const json_t *root);
/* The value of a key; NULL if it is not known. */
const json_t *pw_guest_value(const json_t *root, const char *key);
/* Whether both are known and not the same. */
bool pw_guest_differs(const json_t *a, const json_t *b, const char *key);
/* The first key in which the machines of two summaries differ; NULL: none, or one is of no machine.
 * What is not known of one of them differs from nothing. */
const char *pw_guest_difference(const json_t *a, const json_t *b);
/* A value as it is shown: "qemu-tcg", "0". */
void pw_guest_add_value(struct pw_str *out, const json_t *value);

#endif
