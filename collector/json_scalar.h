/*
 * The scalars of proto3 JSON: numbers as numbers or as strings, bytes as base64 or hex. Private to
 * transcode_*.c. Threads: no shared state.
 */
#ifndef PW_COLLECTOR_JSON_SCALAR_H
#define PW_COLLECTOR_JSON_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/json_reader.h"
#include "core/str.h"

/* `value` itself if it is a number, *scratch for a string that holds one, else NULL. What comes
 * back is of one of the three kinds of numbers. */
const struct pw_json_value *pw_json_number_in(struct pw_json_reader *reader,
                                              const struct pw_json_value *value,
                                              struct pw_json_value *scratch);
/* Of a number with an integral value: 5, 5.0, 5e0. The signed one in two's complement. False if it
 * is not one, or out of range. */
bool pw_json_to_signed(const struct pw_json_value *number, int64_t least, int64_t most,
                       uint64_t *ret_value);
bool pw_json_to_unsigned(const struct pw_json_value *number, uint64_t most, uint64_t *ret_value);
/* A number, as pw_json_number_in() finds it, or "NaN", "Infinity", "-Infinity"; false for others.
 */
bool pw_json_to_double(struct pw_json_reader *reader, const struct pw_json_value *value,
                       double *ret_value);

/* Hex of any case. `length` / 2 bytes. False if it is not that. */
bool pw_hex_decode(const char *text, size_t length, uint8_t *ret_bytes);
/* Base64, also the one for URLs, also without padding. At most `length` / 4 * 3 + 2 bytes. */
bool pw_base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_count);

void pw_json_add_signed(struct pw_str *out, int64_t value);
void pw_json_add_unsigned(struct pw_str *out, uint64_t value);
void pw_json_add_hex(struct pw_str *out, const uint8_t *bytes, size_t count);
void pw_json_add_base64(struct pw_str *out, const uint8_t *bytes, size_t count);
/* A JSON string of UTF-8 `text`, in quotes. */
void pw_json_add_string(struct pw_str *out, const char *text, size_t length);
/* The shortest of 15, 16, 17 digits that is read back as the same; NaN and infinities as strings.
 */
void pw_json_add_double(struct pw_str *out, double value);

#endif
