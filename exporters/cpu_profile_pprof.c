/*
 * Field numbers: message Profile and its parts in google/pprof, proto/profile.proto; wire format:
 * "Encoding" in the documentation of Protocol Buffers. There a repeated number is packed, and a
 * number that is 0 is left out.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "exporters/cpu_profile.h"
#include "exporters/cpu_profile_impl.h"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

enum profile_field {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING_TABLE = 6,
    PROFILE_DURATION_NANOS = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};
enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT = 2 };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum label_field { LABEL_KEY = 1, LABEL_STR = 2 };
enum mapping_field { MAPPING_ID = 1, MAPPING_FILENAME = 5, MAPPING_HAS_FUNCTIONS = 7 };
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID = 2, LOCATION_LINE = 4 };
enum line_field { LINE_FUNCTION_ID = 1 };
enum function_field {
    FUNCTION_ID = 1,
    FUNCTION_NAME = 2,
    FUNCTION_SYSTEM_NAME = 3,
    FUNCTION_FILENAME = 4
};

/* The head of the string table; names of frames, objects, processes and comments follow. */
enum fixed_text {
    TEXT_EMPTY,
    TEXT_SAMPLES,
    TEXT_COUNT,
    TEXT_CPU,
    TEXT_NANOSECONDS,
    TEXT_PROCESS,
    TEXT_STACK,
    TEXT_BROKEN,
    FIXED_TEXTS,
};
static const char *const fixed_texts[FIXED_TEXTS] = {
    "", "samples", "count", "cpu", "nanoseconds", "process", "stack", "broken",
};

struct writer {
    const struct pw_cpu_profile *profile;
    struct pw_profile_order order;
    struct pw_str out;
    struct pw_str message, inner;                                    /* being built */
    uint64_t first_name, first_object, first_process, first_comment; /* in the string table */
};

/* --- wire format --- */

static void put_varint(struct pw_str *str, uint64_t value)
{
    while (value >= 0x80) {
        pw_str_add_char(str, (char)(0x80 | (value & 0x7F)));
        value >>= 7;
    }
    pw_str_add_char(str, (char)value);
}

static void put_number(struct pw_str *str, unsigned field, uint64_t value)
{
    if (value != 0) {
        put_varint(str, (uint64_t)field << 3 | WIRE_VARINT);
        put_varint(str, value);
    }
}

static void put_bytes(struct pw_str *str, unsigned field, const char *bytes, size_t length)
{
    put_varint(str, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(str, length);
    pw_str_add_bytes(str, bytes, length);
}

/* Moves `message` into `str` as a field of it. */
static void put_message(struct pw_str *str, unsigned field, struct pw_str *message)
{
    put_bytes(str, field, message->text, message->length);
    str->failed = str->failed || message->failed;
    pw_str_clear(message);
}

/* --- the parts of a profile --- */

static void put_value_type(struct writer *writer, unsigned field, enum fixed_text type,
                           enum fixed_text unit)
{
    put_number(&writer->message, VALUE_TYPE_TYPE, type);
    put_number(&writer->message, VALUE_TYPE_UNIT, unit);
    put_message(&writer->out, field, &writer->message);
}

static void put_label(struct writer *writer, enum fixed_text key, uint64_t text)
{
    put_number(&writer->inner, LABEL_KEY, key);
    put_number(&writer->inner, LABEL_STR, text);
    put_message(&writer->message, SAMPLE_LABEL, &writer->inner);
}

static void put_sample(struct writer *writer, const struct pw_stack *stack)
{
    for (uint32_t i = 0; i < stack->depth; i++) {
        put_varint(&writer->inner, (uint64_t)writer->order.ranks[stack->frames[i]] + 1);
    }
    put_message(&writer->message, SAMPLE_LOCATION_ID, &writer->inner);
    put_varint(&writer->inner, stack->samples < INT64_MAX ? stack->samples : INT64_MAX);
    put_varint(&writer->inner, (uint64_t)stack->weight_ns);
    put_message(&writer->message, SAMPLE_VALUE, &writer->inner);
    put_label(writer, TEXT_PROCESS,
              writer->first_process + writer->order.processes.ranks[stack->process]);
    if (stack->broken) {
        put_label(writer, TEXT_STACK, TEXT_BROKEN);
    }
    put_message(&writer->out, PROFILE_SAMPLE, &writer->message);
}

/* The empty name of an object comes first in the order, and is no mapping. */
static bool has_nameless(const struct pw_profile_names *objects)
{
    return objects->distinct > 0 && pw_profile_name(objects, objects->first[0])[0] == '\0';
}

/* 0: none. */
static uint64_t mapping_of(const struct writer *writer, uint32_t frame)
{
    const struct pw_profile_names *objects = &writer->order.objects;
    return objects->ranks[frame] + (has_nameless(objects) ? 0U : 1U);
}

/* The addresses are gone: names were found when the profile was made. Saying so (has_functions)
 * keeps pprof from looking for the files. */
static void put_mappings(struct writer *writer)
{
    const struct pw_profile_names *objects = &writer->order.objects;
    for (uint32_t i = 0; i < objects->distinct; i++) {
        uint64_t mapping = mapping_of(writer, objects->first[i]);
        if (mapping != 0) {
            put_number(&writer->message, MAPPING_ID, mapping);
            put_number(&writer->message, MAPPING_FILENAME, writer->first_object + i);
            put_number(&writer->message, MAPPING_HAS_FUNCTIONS, true);
            put_message(&writer->out, PROFILE_MAPPING, &writer->message);
        }
    }
}

/* One location and one function a frame, of the same number. */
static void put_frames(struct writer *writer)
{
    const struct pw_profile_order *order = &writer->order;
    for (uint32_t i = 0; i < order->distinct; i++) {
        put_number(&writer->inner, LINE_FUNCTION_ID, (uint64_t)i + 1);
        put_number(&writer->message, LOCATION_ID, (uint64_t)i + 1);
        put_number(&writer->message, LOCATION_MAPPING_ID, mapping_of(writer, order->first[i]));
        put_message(&writer->message, LOCATION_LINE, &writer->inner);
        put_message(&writer->out, PROFILE_LOCATION, &writer->message);
    }
    for (uint32_t i = 0; i < order->distinct; i++) {
        uint64_t name = writer->first_name + order->names.ranks[order->first[i]];
        put_number(&writer->message, FUNCTION_ID, (uint64_t)i + 1);
        put_number(&writer->message, FUNCTION_NAME, name);
        put_number(&writer->message, FUNCTION_SYSTEM_NAME, name);
        uint64_t mapping = mapping_of(writer, order->first[i]);
        if (mapping != 0) {
            put_number(&writer->message, FUNCTION_FILENAME,
                       writer->first_object + order->objects.ranks[order->first[i]]);
        }
        put_message(&writer->out, PROFILE_FUNCTION, &writer->message);
    }
}

static void put_names(struct writer *writer, const struct pw_profile_names *names)
{
    for (uint32_t i = 0; i < names->distinct; i++) {
        const char *name = pw_profile_name(names, names->first[i]);
        put_bytes(&writer->out, PROFILE_STRING_TABLE, name, strlen(name));
    }
}

static void put_comment(struct writer *writer, uint64_t count, const char *what)
{
    if (count != 0) {
        pw_str_addf(&writer->inner, "%llu %s", (unsigned long long)count, what);
        put_message(&writer->out, PROFILE_STRING_TABLE, &writer->inner);
        put_varint(&writer->message, writer->first_comment++);
    }
}

static void put_texts(struct writer *writer)
{
    for (int i = 0; i < FIXED_TEXTS; i++) {
        put_bytes(&writer->out, PROFILE_STRING_TABLE, fixed_texts[i], strlen(fixed_texts[i]));
    }
    put_names(writer, &writer->order.names);
    put_names(writer, &writer->order.objects);
    put_names(writer, &writer->order.processes);
    const struct pw_cpu_profile *profile = writer->profile;
    put_comment(writer, profile->lost, "samples lost: the kernel's buffers were full");
    put_comment(writer, profile->broken, "samples with callers missing: label stack=broken");
    put_comment(writer, profile->beyond_limit, "samples beyond the limits of a profile");
    if (writer->message.length > 0) {
        put_message(&writer->out, PROFILE_COMMENT, &writer->message);
    }
}

static void put_profile(struct writer *writer)
{
    const struct pw_cpu_profile *profile = writer->profile;
    const struct pw_profile_order *order = &writer->order;
    writer->first_name = FIXED_TEXTS;
    writer->first_object = writer->first_name + order->names.distinct;
    writer->first_process = writer->first_object + order->objects.distinct;
    writer->first_comment = writer->first_process + order->processes.distinct;
    put_value_type(writer, PROFILE_SAMPLE_TYPE, TEXT_SAMPLES, TEXT_COUNT);
    put_value_type(writer, PROFILE_SAMPLE_TYPE, TEXT_CPU, TEXT_NANOSECONDS);
    for (size_t i = 0; i < order->stack_count; i++) {
        put_sample(writer, order->stacks[i]);
    }
    put_mappings(writer);
    put_frames(writer);
    put_texts(writer);
    if (profile->first_at_ns > 0 && profile->last_at_ns > profile->first_at_ns) {
        put_number(&writer->out, PROFILE_DURATION_NANOS,
                   (uint64_t)(profile->last_at_ns - profile->first_at_ns));
    }
    if (profile->hz >= 1e-9) {
        put_value_type(writer, PROFILE_PERIOD_TYPE, TEXT_CPU, TEXT_NANOSECONDS);
        put_number(&writer->out, PROFILE_PERIOD, (uint64_t)(1e9 / profile->hz + 0.5));
    }
    put_number(&writer->out, PROFILE_DEFAULT_SAMPLE_TYPE, TEXT_CPU);
}

/* --- gzip --- */

/* Without a time in its head (zlib writes 0), so that equal profiles are equal files. */
static int compress_into(const struct pw_str *bytes, struct pw_str *out, struct pw_err *err)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 };
    z_stream stream = {.next_in = (unsigned char *)bytes->text};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return pw_err_memory(err);
    }
    unsigned char buffer[16384];
    size_t left = bytes->length;
    int status;
    do {
        if (stream.avail_in == 0) {
            stream.avail_in = left < UINT_MAX ? (unsigned)left : UINT_MAX;
            left -= stream.avail_in;
        }
        stream.next_out = buffer;
        stream.avail_out = sizeof(buffer);
        status = deflate(&stream, left == 0 ? Z_FINISH : Z_NO_FLUSH);
        pw_str_add_bytes(out, buffer, sizeof(buffer) - stream.avail_out);
    } while (status == Z_OK);
    deflateEnd(&stream);
    if (out->failed) {
        return pw_err_memory(err);
    }
    return status == Z_STREAM_END ? 0 : pw_err_set(err, PW_ERR_INTERNAL, "zlib failed: %d", status);
}

int pw_cpu_profile_to_pprof(const struct pw_cpu_profile *profile, struct pw_str *ret_bytes,
                            struct pw_err *err)
{
    struct writer writer = {
        .profile = profile, .out = PW_STR_INIT, .message = PW_STR_INIT, .inner = PW_STR_INIT};
    /* A frame is one function in one object: names alone would mix up equal ones of several. */
    if (pw_profile_order_make(profile, '\0', true, &writer.order, err) != 0) {
        return -1;
    }
    put_profile(&writer);
    pw_profile_order_done(&writer.order);
    pw_str_done(&writer.message);
    pw_str_done(&writer.inner);
    struct pw_str packed = PW_STR_INIT;
    int status = writer.out.failed ? pw_err_memory(err) : compress_into(&writer.out, &packed, err);
    pw_str_done(&writer.out);
    if (status != 0) {
        pw_str_done(&packed);
        return -1;
    }
    pw_str_done(ret_bytes);
    *ret_bytes = packed;
    return 0;
}
