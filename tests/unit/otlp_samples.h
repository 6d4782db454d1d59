/* OTLP payloads for tests: the captured ones of tests/data/otlp, and random ones. */
#ifndef PW_TESTS_OTLP_SAMPLES_H
#define PW_TESTS_OTLP_SAMPLES_H

#include <glob.h>
#include <jansson.h>
#include "collector/wire.h"
#include "core/json_reader.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/telemetry.h"
#include "tests/unit/unit.h"

struct otlp_sample {
    char name[64];
    enum pw_signal signal;
    bool is_json;
    int status; /* that a collector answers */
    char *body; /* PW_JSON_PADDING bytes behind it, and no more */
    size_t size;
};

struct otlp_samples {
    struct otlp_sample *items;
    size_t count;
};

/* Exactly as much as may be read of a JSON document, so that AddressSanitizer sees a step further.
 * free() it. */
static inline char *padded_copy(const char *text, size_t size)
{
    char *copy = malloc(size + PW_JSON_PADDING);
    assert_non_null(copy);
    memcpy(copy, text, size);
    memset(copy + size, '1', PW_JSON_PADDING); /* what would change a number before it */
    return copy;
}

static inline char *source_path(const char *below)
{
    const char *source = getenv("PW_SOURCE_DIR");
    char *path = pw_path_join(source ? source : ".", below, NULL);
    assert_non_null(path);
    return path;
}

static inline void load_sample(const char *expect_path, struct otlp_sample *ret_sample)
{
    static const char suffix[] = ".expect.json";
    struct pw_err err = PW_ERR_INIT;
    json_t *expect = json_load_file(expect_path, 0, NULL);
    assert_non_null(expect);
    const char *name = strrchr(expect_path, '/') + 1;
    size_t folder = (size_t)(name - expect_path);
    size_t length = strlen(name) - strlen(suffix);
    memset(ret_sample, 0, sizeof(*ret_sample));
    assert_true(length < sizeof(ret_sample->name));
    memcpy(ret_sample->name, name, length);

    const char *signal = json_string_value(json_object_get(expect, "signal"));
    ret_sample->signal = strcmp(signal, "metrics") == 0  ? PW_SIGNAL_METRICS
                         : strcmp(signal, "traces") == 0 ? PW_SIGNAL_TRACES
                                                         : PW_SIGNAL_LOGS;
    ret_sample->is_json =
        strcmp(json_string_value(json_object_get(expect, "encoding")), "json") == 0;
    const json_t *status = json_object_get(expect, "status");
    ret_sample->status = status ? (int)json_integer_value(status) : 200;
    json_decref(expect);

    char path[4096];
    char *text = NULL;
    snprintf(path, sizeof(path), "%.*s%s.%s", (int)folder, expect_path, ret_sample->name,
             ret_sample->is_json ? "json" : "pb");
    assert_int_equal(pw_file_read(path, PW_LIMIT_OTLP_BODY_BYTES, &text, &ret_sample->size, &err),
                     0);
    ret_sample->body = padded_copy(text, ret_sample->size);
    free(text);
}

static inline struct otlp_samples load_samples(void)
{
    glob_t found;
    char *pattern = source_path("tests/data/otlp/*.expect.json");
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    free(pattern);
    struct otlp_samples samples = {.count = found.gl_pathc};
    samples.items = calloc(samples.count, sizeof(*samples.items));
    assert_non_null(samples.items);
    for (size_t i = 0; i < samples.count; i++) {
        load_sample(found.gl_pathv[i], &samples.items[i]);
    }
    globfree(&found);
    assert_true(samples.count > 40);
    return samples;
}

static inline void free_samples(struct otlp_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        free(samples->items[i].body);
    }
    free(samples->items);
}

static inline const struct otlp_sample *find_sample(const struct otlp_samples *samples,
                                                    const char *name)
{
    for (size_t i = 0; i < samples->count; i++) {
        if (strcmp(samples->items[i].name, name) == 0) {
            return &samples->items[i];
        }
    }
    fail_msg("no sample %s", name);
    return NULL;
}

/* --- random ones: the same in every run --- */

/* xorshift64*; `*state` must not be 0. Below `bound`. */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * UINT64_C(2685821657736338717) >> 16) % bound;
}

static inline void add_varint(struct pw_str *out, uint64_t value)
{
    for (; value > 0x7f; value >>= 7) {
        pw_str_add_char(out, (char)(value | 0x80));
    }
    pw_str_add_char(out, (char)value);
}

static inline void add_tag(struct pw_str *out, uint64_t number, unsigned wire_type)
{
    add_varint(out, number << 3 | wire_type);
}

static inline void add_length_prefixed(struct pw_str *out, const void *bytes, size_t count)
{
    add_varint(out, count);
    pw_str_add_bytes(out, bytes, count);
}

static inline void add_random_text(uint64_t *state, struct pw_str *out)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "service.name",
                                        "quote \" back \\ line \n \x01 \x7f",
                                        "\xc3\xa9\xe2\x82\xac",
                                        "a rather long text in which only the end \xf0\x9f\x98\x80",
                                        "sixteen bytes --"};
    if (random_below(state, 50) == 0) {
        add_length_prefixed(out, "nul\0behind", 10);
        return;
    }
    const char *text = texts[random_below(state, sizeof(texts) / sizeof(*texts))];
    add_length_prefixed(out, text, strlen(text));
}

static inline uint64_t random_bits(uint64_t *state)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   127,
                                   128,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   INT64_MAX,
                                   (uint64_t)INT64_MIN,
                                   UINT64_MAX,
                                   UINT64_C(0x7ff0000000000000),
                                   UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x7ff8000000000000),
                                   UINT64_C(0x3ff8000000000000),
                                   UINT64_C(0x4415af1d78b58c40)};
    if (random_below(state, 3) == 0) {
        return random_below(state, UINT64_MAX) << 32 ^ random_below(state, UINT64_MAX);
    }
    return odd[random_below(state, sizeof(odd) / sizeof(*odd))];
}

static inline unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32: return 5;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 1;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return 2;
    default: return 0;
    }
}

static inline void add_random_number(uint64_t *state, struct pw_str *out, unsigned wire_type)
{
    uint64_t bits = random_bits(state);
    if (wire_type == 0) {
        add_varint(out, bits);
    } else {
        pw_str_add_bytes(out, &bits, wire_type == 1 ? 8 : 4);
    }
}

static inline void add_random_unknown(uint64_t *state, struct pw_str *out)
{
    static const unsigned wire_types[] = {0, 1, 2, 5};
    unsigned wire_type = wire_types[random_below(state, 4)];
    add_tag(out, 100 + random_below(state, 100000), wire_type);
    if (wire_type == 2) {
        add_random_text(state, out);
    } else {
        add_random_number(state, out, wire_type);
    }
}

/* Well-formed, with all that an encoder may do: any order, numbers packed or not, repeated scalars,
 * several members of a oneof, unknown fields. At most `depth` messages deep. */
static inline void add_random_message(uint64_t *state, const ProtobufCMessageDescriptor *descriptor,
                                      unsigned depth, struct pw_str *out)
{
    uint64_t seen = 0;
    uint64_t count = random_below(state, 2 * descriptor->n_fields + 2);
    if (random_below(state, 40) == 0) {
        count += 100;
    }
    for (uint64_t i = 0; i < count; i++) {
        unsigned index = (unsigned)random_below(state, descriptor->n_fields + 1);
        if (index == descriptor->n_fields) {
            add_random_unknown(state, out);
            continue;
        }
        const ProtobufCFieldDescriptor *field = &descriptor->fields[index];
        bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        unsigned wire_type = wire_type_of(field->type);
        PW_STR_AUTO inner = PW_STR_INIT;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (depth == 1 || (!repeated && (seen >> index & 1) != 0)) {
                continue;
            }
            add_random_message(state, field->descriptor, depth - 1, &inner);
            add_tag(out, field->id, 2);
            add_length_prefixed(out, inner.text, inner.length);
        } else if (wire_type == 2) {
            add_tag(out, field->id, 2);
            add_random_text(state, out);
        } else if (repeated && random_below(state, 2) == 0) {
            for (uint64_t j = random_below(state, 30); j > 0; j--) {
                add_random_number(state, &inner, wire_type);
            }
            add_tag(out, field->id, 2);
            add_length_prefixed(out, inner.text, inner.length);
        } else {
            add_tag(out, field->id, wire_type);
            add_random_number(state, out, wire_type);
        }
        seen |= UINT64_C(1) << index;
    }
}

#endif
