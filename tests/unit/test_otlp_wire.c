#include "collector/wire.h"

#include <otlp.pb-c.h>
#include "collector/arena.h"
#include "tests/unit/otlp_samples.h"

/* --- arena --- */

static void test_arena(void **state)
{
    (void)state;
    struct pw_arena arena = PW_ARENA_INIT;
    unsigned char *objects[2000];
    assert_int_equal(arena.limit, PW_LIMIT_OTLP_DECODED_BYTES);
    pw_arena_reset(&arena); /* an empty one */
    for (int round = 0; round < 3; round++) {
        size_t taken = 0;
        for (size_t i = 0; i < 2000; i++) {
            size_t size = i % 500 == 7 ? 200000 : i % 97;
            objects[i] = pw_arena_alloc(&arena, size);
            assert_non_null(objects[i]);
            assert_int_equal((uintptr_t)objects[i] % PW_ARENA_ALIGN, 0);
            memset(objects[i], (int)(i % 251), size);
            taken += size == 0 ? 16 : (size + 15) / 16 * 16;
            assert_int_equal(arena.total, taken);
        }
        for (size_t i = 0; i < 2000; i++) { /* none lies on another */
            size_t size = i % 500 == 7 ? 200000 : i % 97;
            for (size_t j = 0; j < size; j++) {
                assert_int_equal(objects[i][j], i % 251);
            }
        }
        pw_arena_reset(&arena);
        assert_int_equal(arena.total, 0);
    }
    pw_arena_done(&arena);
    pw_arena_done(&arena);
}

/* The second request of a size finds its memory where the first one had it; up to a bound. */
static void test_arena_keeps_memory(void **state)
{
    (void)state;
    struct pw_arena arena = PW_ARENA_INIT;
    const void *first = NULL;
    for (int round = 0; round < 4; round++) {
        const void *begin = pw_arena_alloc(&arena, 100);
        assert_non_null(begin);
        for (int i = 0; i < 3000; i++) {
            assert_non_null(pw_arena_alloc(&arena, 1000));
        }
        const void *end = pw_arena_alloc(&arena, 100);
        if (round > 0) { /* all in one block */
            assert_ptr_equal((const char *)begin + 112 + (size_t)3000 * 1008, end);
        }
        assert_true(round < 2 || begin == first);
        first = begin;
        pw_arena_reset(&arena);
    }
    assert_non_null(pw_arena_alloc(&arena, 100 << 20));
    pw_arena_reset(&arena);
    assert_non_null(pw_arena_alloc(&arena, 1));
    pw_arena_done(&arena);
}

static void test_arena_limit(void **state)
{
    (void)state;
    struct pw_arena arena = {.limit = 100};
    assert_null(pw_arena_alloc(&arena, 101));
    assert_null(pw_arena_alloc(&arena, SIZE_MAX));
    assert_null(pw_arena_alloc(&arena, SIZE_MAX - 15));
    assert_non_null(pw_arena_alloc(&arena, 48));
    assert_non_null(pw_arena_alloc(&arena, 48));
    assert_int_equal(arena.total, 96);
    assert_null(pw_arena_alloc(&arena, 1)); /* 16 with its alignment */
    pw_arena_reset(&arena);
    assert_non_null(pw_arena_alloc(&arena, 90));
    pw_arena_done(&arena);
}

/* --- the check --- */

static int check(enum pw_signal signal, const char *bytes, size_t size, struct pw_err *err)
{
    size_t need = 0;
    uint8_t *copy = malloc(size + 1); /* so that AddressSanitizer sees a step beyond it */
    assert_non_null(copy);
    uint8_t *exact = copy + 1;
    memcpy(exact, bytes, size);
    int status = pw_wire_check(pw_otlp_descriptor(signal), exact, size, &need, err);
    free(copy);
    return status;
}

/* What passes the check is decoded by protobuf-c, within what the check said. */
static void assert_decodes(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                           size_t size, size_t need, struct pw_arena *arena)
{
    ProtobufCAllocator allocator = pw_arena_allocator(arena);
    pw_arena_reset(arena);
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    assert_non_null(message);
    if (arena->total > need) {
        fail_msg("%zu bytes took %zu, not %zu", size, arena->total, need);
    }
}

static void test_captured(void **state)
{
    (void)state;
    struct otlp_samples samples = load_samples();
    struct pw_arena arena = PW_ARENA_INIT;
    size_t refused = 0;
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(sample->signal);
        struct pw_err err = PW_ERR_INIT;
        size_t need = 0;
        if (sample->is_json || (sample->status != 200 && sample->status != 400)) {
            continue;
        }
        int status =
            pw_wire_check(descriptor, (const uint8_t *)sample->body, sample->size, &need, &err);
        if ((status == 0) != (sample->status == 200)) {
            fail_msg("%s: %s", sample->name, status == 0 ? "taken" : err.message);
        }
        if (status != 0) {
            assert_int_equal(err.cls, PW_ERR_INPUT);
            refused++;
            continue;
        }
        assert_decodes(descriptor, (const uint8_t *)sample->body, sample->size, need, &arena);
        assert_true(need < 12 * sample->size + 200);
        assert_true(need < arena.total + arena.total / 8 + 200); /* a close bound */
        /* Cut off anywhere it is another message or none; never a wrong bound. */
        for (size_t cut = 0; cut < sample->size; cut += 1 + cut / 200) {
            if (pw_wire_check(descriptor, (const uint8_t *)sample->body, cut, &need, NULL) == 0) {
                assert_decodes(descriptor, (const uint8_t *)sample->body, cut, need, &arena);
            }
        }
    }
    assert_int_equal(refused, 3);
    pw_arena_done(&arena);
    free_samples(&samples);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
#define CASE(bytes, message) {bytes, sizeof(bytes) - 1, message}
        CASE("\x0a", "byte 0: resource_metrics: it is longer than what it is in"),
        CASE("\x0a\x01", "byte 0: resource_metrics: it is longer"),
        CASE("\x0a\x02\x0a\x01", "byte 2: resource_metrics.resource: it is longer"),
        CASE("\x0a\x00\x0a\x05\x12\x03\x12\x01\x08",
             "byte 8: resource_metrics.scope_metrics.metrics.name: wrong wire type"),
        CASE("\x08\x01", "byte 0: resource_metrics: wrong wire type"),
        CASE("\x0d\x01\x00\x00\x00", "wrong wire type"),
        CASE("\x80\x00", "byte 0: not a field's tag"), /* protobuf-c takes it */
        CASE("\x00\x00", "byte 0: not a field's tag"),
        CASE("\x8a\x80\x80\x80\x80\x00\x00", "not a field's tag"),
        CASE("\xf8\xff\xff\xff\x1f\x00", "not a field's tag"), /* over 32 bits */
        CASE("\x8a", "not a field's tag"),
        CASE("\x0a\x80\x80\x80\x80\x80\x00", "it is longer"), /* protobuf-c wants 5 bytes at most */
        CASE("\x0a\xff\xff\xff\xff\x0f", "it is longer"),
        CASE("\x0b\x0c", "wrong wire type"),
        CASE("\xa3\x06\xa4\x06", "byte 0: groups are not supported"),
        CASE("\xa4\x06", "groups are not supported"),
        CASE("\xa6\x06", "groups are not supported"),
        CASE("\xa7\x06", "groups are not supported"),
        CASE("\xa0\x06\x80", "a number does not end"), /* unknown fields of each type */
        CASE("\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a number does not end"),
        CASE("\xa1\x06\x01\x02\x03\x04\x05\x06\x07", "it is longer"),
        CASE("\xa5\x06\x01\x02\x03", "it is longer"),
        CASE("\xa2\x06\x04\x01\x02\x03", "it is longer"),
        CASE("\x0a\x03\x1a\x01\xff", "byte 2: resource_metrics.schema_url: not valid UTF-8"),
        CASE("\x0a\x04\x1a\x02\xc3\x28", "not valid UTF-8"),
        /* A resource twice: to be merged. */
        CASE("\x0a\x04\x0a\x00\x0a\x00", "byte 4: resource_metrics.resource: field appears twice"),
        /* ResourceMetrics.scope_metrics.metrics: a gauge twice. */
        CASE("\x0a\x08\x12\x06\x12\x04\x2a\x00\x2a\x00", "gauge: field appears twice"),
        CASE("\x0a\x09\x12\x07\x12\x05\x4a\x03\x0a\x01\x05",
             "byte 10: resource_metrics.scope_metrics.metrics.histogram.data_points: not a"),
        /* Histogram points: packed fixed64 of 7 bytes; packed varints of an exponential one. */
        CASE("\x0a\x11\x12\x0f\x12\x0d\x4a\x0b\x0a\x09\x32\x07\x01\x02\x03\x04\x05\x06\x07",
             "data_points.bucket_counts: packed numbers do not fill their field"),
        CASE("\x0a\x0e\x12\x0c\x12\x0a\x52\x08\x0a\x06\x42\x04\x12\x02\x01\x80",
             "positive.bucket_counts: a packed number does not end"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        if (check(PW_SIGNAL_METRICS, cases[i].bytes, cases[i].size, &err) == 0) {
            fail_msg("taken: case %zu, %s", i, cases[i].message);
        }
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, cases[i].message);
    }
    size_t need = 0;
    assert_int_equal(pw_wire_check(pw_otlp_descriptor(PW_SIGNAL_METRICS), (const uint8_t *)"",
                                   (size_t)1 << 31, &need, NULL),
                     -1);
}

static void test_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
#define CASE(bytes) {bytes, sizeof(bytes) - 1}
        CASE(""),
        CASE("\x0a\x00"),
        CASE("\x8a\x80\x80\x80\x00\x80\x80\x80\x80\x00"), /* padded tag and length */
        CASE("\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        CASE("\xfa\xff\xff\xff\x0f\x03\x61\x62\x63"), /* the highest number there is */
        CASE("\x0a\x06\x1a\x01\x61\x1a\x01\x62"),     /* a string twice: the last counts */
        CASE("\x0a\x03\x1a\x01\x00"),
        /* Exponential histogram: bucket counts packed, empty, single, in padded varints. */
        CASE("\x0a\x15\x12\x13\x12\x11\x52\x0f\x0a\x0d\x42\x0b\x12\x03\x01\x80\x00\x12\x00\x10\x07"
             "\x10\x07"),
        /* A metric with a gauge and a sum: the last counts. */
        CASE("\x0a\x08\x12\x06\x12\x04\x2a\x00\x3a\x00"),
#undef CASE
    };
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(PW_SIGNAL_METRICS);
    struct pw_arena arena = PW_ARENA_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        size_t need = 0;
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        if (pw_wire_check(descriptor, bytes, cases[i].size, &need, &err) != 0) {
            fail_msg("case %zu: %s", i, err.message);
        }
        assert_decodes(descriptor, bytes, cases[i].size, need, &arena);
    }
    pw_arena_done(&arena);
}

/* Two wide characters anywhere around the check's steps of eight bytes, whole and broken. */
static void test_text(void **state)
{
    (void)state;
    for (size_t length = 0; length < 40; length++) {
        for (size_t at = 0; at < length; at++) {
            char text[44] = "\x0a\x00\x1a\x00";
            size_t rest = length - at;
            text[1] = (char)(length + 2);
            text[3] = (char)length;
            memset(text + 4, 'a', length);
            assert_int_equal(check(PW_SIGNAL_LOGS, text, length + 4, NULL), 0);
            memcpy(text + 4 + at, "\xe2\x82\xac", rest < 3 ? rest : 3);
            assert_int_equal(check(PW_SIGNAL_LOGS, text, length + 4, NULL), rest < 3 ? -1 : 0);
        }
    }
}

/* AnyValue within ArrayValue within …, `depth` of them, in the attributes of a resource. */
static void add_nested(struct pw_str *out, unsigned depth)
{
    PW_STR_AUTO inner = PW_STR_INIT;
    for (unsigned i = 0; i < depth; i++) {
        PW_STR_AUTO outer = PW_STR_INIT;
        bool is_array = (depth - i) % 2 == 0; /* the outermost is an AnyValue */
        add_tag(&outer, is_array ? 1 : 5, 2);
        add_length_prefixed(&outer, inner.text, inner.length);
        pw_str_clear(&inner);
        pw_str_add_bytes(&inner, i == 0 ? "" : outer.text, i == 0 ? 0 : outer.length);
    }
    static const unsigned numbers[] = {2, 1, 1, 1}; /* value, attributes, resource, request */
    for (size_t i = 0; i < 4; i++) {
        PW_STR_AUTO outer = PW_STR_INIT;
        add_tag(&outer, numbers[i], 2);
        add_length_prefixed(&outer, inner.text, inner.length);
        pw_str_clear(&inner);
        pw_str_add_bytes(&inner, outer.text, outer.length);
    }
    pw_str_add_bytes(out, inner.text, inner.length);
}

static void test_depth(void **state)
{
    (void)state;
    /* Around them: request, ResourceLogs, Resource, KeyValue. */
    for (unsigned depth = PW_LIMIT_OTLP_DEPTH - 5; depth < PW_LIMIT_OTLP_DEPTH + 3; depth++) {
        PW_STR_AUTO bytes = PW_STR_INIT;
        struct pw_err err = PW_ERR_INIT;
        bool fits = depth + 4 <= PW_LIMIT_OTLP_DEPTH;
        add_nested(&bytes, depth);
        assert_int_equal(check(PW_SIGNAL_LOGS, bytes.text, bytes.length, &err), fits ? 0 : -1);
        if (!fits) {
            assert_contains(err.message, "nested more than 64 deep");
        }
    }
    PW_STR_AUTO bytes = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    add_nested(&bytes, PW_LIMIT_OTLP_DEPTH - 4);
    bytes.text[bytes.length - 2] = '\x0d'; /* another wire type in the innermost */
    assert_int_equal(check(PW_SIGNAL_LOGS, bytes.text, bytes.length, &err), -1);
    assert_contains(err.message, "resource_logs.resource.attributes.value.array_value");
    assert_contains(err.message, "...: wrong wire type"); /* a long path is cut, not the reason */
}

/* Lists around the sizes at which protobuf-c takes more memory to note them. */
static void test_long_lists(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(PW_SIGNAL_METRICS);
    struct pw_arena arena = PW_ARENA_INIT;
    PW_STR_AUTO known = PW_STR_INIT;
    PW_STR_AUTO unknown = PW_STR_INIT;
    for (size_t count = 1; count < 1100; count++) {
        size_t need = 0;
        pw_str_add_bytes(&known, "\x0a\x00", 2);
        pw_str_add_bytes(&unknown, "\xa0\x06\x01", 3);
        const uint8_t *bytes = (const uint8_t *)known.text;
        assert_int_equal(pw_wire_check(descriptor, bytes, known.length, &need, NULL), 0);
        assert_decodes(descriptor, bytes, known.length, need, &arena);
        assert_true(need <= arena.total + 32);
        bytes = (const uint8_t *)unknown.text;
        assert_int_equal(pw_wire_check(descriptor, bytes, unknown.length, &need, NULL), 0);
        assert_decodes(descriptor, bytes, unknown.length, need, &arena);
        assert_true(need <= arena.total + 32);
    }
    pw_arena_done(&arena);
}

static void test_random(void **state)
{
    (void)state;
    struct pw_arena arena = PW_ARENA_INIT;
    uint64_t random = 42;
    size_t mutants_taken = 0;
    for (int i = 0; i < 1500; i++) {
        const ProtobufCMessageDescriptor *descriptor =
            pw_otlp_descriptor((enum pw_signal)(i % PW_SIGNAL_COUNT));
        PW_STR_AUTO message = PW_STR_INIT;
        struct pw_err err = PW_ERR_INIT;
        size_t need = 0;
        add_random_message(&random, descriptor, 8, &message);
        uint8_t *bytes = (uint8_t *)message.text;
        if (pw_wire_check(descriptor, bytes, message.length, &need, &err) != 0) {
            fail_msg("message %d: %s", i, err.message);
        }
        assert_decodes(descriptor, bytes, message.length, need, &arena);
        for (int j = 0; j < 20 && message.length > 0; j++) {
            size_t at = (size_t)random_below(&random, message.length);
            uint8_t before = bytes[at];
            uint64_t bit = UINT64_C(1) << random_below(&random, 8);
            bytes[at] = (uint8_t)(j % 2 ? before ^ bit : random_below(&random, 256));
            if (pw_wire_check(descriptor, bytes, message.length, &need, NULL) == 0) {
                assert_decodes(descriptor, bytes, message.length, need, &arena);
                mutants_taken++;
            }
            bytes[at] = before;
        }
    }
    assert_true(mutants_taken > 1000);
    pw_arena_done(&arena);
}

/* Wherever memory ends, decoding fails cleanly. */
static void test_arena_too_small(void **state)
{
    (void)state;
    struct otlp_samples samples = load_samples();
    const struct otlp_sample *sample = find_sample(&samples, "edge_metrics_proto");
    const uint8_t *body = (const uint8_t *)sample->body;
    struct pw_arena arena = PW_ARENA_INIT;
    ProtobufCAllocator allocator = pw_arena_allocator(&arena);
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(sample->signal);
    assert_non_null(protobuf_c_message_unpack(descriptor, &allocator, sample->size, body));
    size_t total = arena.total;
    for (size_t limit = 0; limit <= total; limit += PW_ARENA_ALIGN) {
        pw_arena_reset(&arena);
        arena.limit = limit;
        const ProtobufCMessage *message =
            protobuf_c_message_unpack(descriptor, &allocator, sample->size, body);
        assert_int_equal(message != NULL, limit == total);
    }
    pw_arena_done(&arena);
    free_samples(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_keeps_memory),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_captured),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_arena_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
