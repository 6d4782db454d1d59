/* SHA-256, in lower-case hex. Threads: no shared state. Source: FIPS 180-4, by nettle. */
#ifndef PW_BOOT_BASE_DIGEST_H
#define PW_BOOT_BASE_DIGEST_H

#include <nettle/sha2.h>
#include <stddef.h>
#include "core/err.h"

enum { PW_DIGEST_TEXT = 65 };

void pw_digest_bytes(const void *bytes, size_t size, char ret_digest[PW_DIGEST_TEXT]);
/* Of what was put into the context, which begins anew. */
void pw_digest_end(struct sha256_ctx *context, char ret_digest[PW_DIGEST_TEXT]);
/* Of a file's content. PW_ERR_INPUT if it cannot be read. */
int pw_digest_file(const char *path, char ret_digest[PW_DIGEST_TEXT], struct pw_err *err);

#endif
