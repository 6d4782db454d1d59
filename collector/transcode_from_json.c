#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "collector/json_scalar.h"
#include "collector/transcode.h"
#include "collector/transcode_schema.h"
#include "core/json_reader.h"
#include "core/limits.h"

enum {
    LENGTH_BYTES = 4, /* of a message: padded, because it is known only at its end */
    LENGTH_BITS = 28,
    VARINT_MAX = 10,
    FRAMES_MAX = 2 * PW_LIMIT_OTLP_DEPTH, /* each message but the first may be in a list */
    FIRST_CAPACITY = 4096,
    PLACE_MAX_SHOWN = 300,
};

/* A message, or a list of messages, that is being written. */
struct frame {
    struct pw_otlp_type *type;     /* of the message */
    struct pw_otlp_member *member; /* of the message: the one being written; of a list: itself */
    bool is_list;
    size_t index;     /* of a list: elements that were begun */
    size_t length_at; /* of a message: where its length stands; 0 for the outermost */
    uint64_t seen;    /* of a message: masks of the members so far */
    uint8_t *guess;   /* of a message: which member comes next */
};

/* What struct pw_str is, without a call for each number. */
struct sink {
    uint8_t *bytes;
    size_t length, capacity;
};

struct pw_transcoder {
    struct pw_json_reader *reader;
    struct pw_otlp_schema schema;
    struct sink sink;
    unsigned depth; /* of `frames` in use */
    unsigned message_depth;
    struct frame frames[FRAMES_MAX];
};

int pw_transcoder_new(struct pw_transcoder **ret_transcoder, struct pw_err *err)
{
    struct pw_transcoder *transcoder = calloc(1, sizeof(*transcoder));
    if (!transcoder)
        return pw_err_memory(err);
    if (pw_json_reader_new(&transcoder->reader, err) != 0 ||
        pw_otlp_schema_init(&transcoder->schema, err) != 0) {
        pw_transcoder_free(transcoder);
        return -1;
    }
    *ret_transcoder = transcoder;
    return 0;
}

void pw_transcoder_free(struct pw_transcoder *transcoder)
{
    if (!transcoder)
        return;
    pw_json_reader_free(transcoder->reader);
    pw_otlp_schema_done(&transcoder->schema);
    free(transcoder);
}

/* "resourceMetrics[0].scopeMetrics[1].scope" */
static void format_place(const struct pw_transcoder *transcoder, char place[PLACE_MAX_SHOWN])
{
    size_t used = 0;
    place[0] = '\0';
    for (unsigned i = 0; i < transcoder->depth; i++) {
        const struct frame *frame = &transcoder->frames[i];
        char *end = place + used;
        size_t room = PLACE_MAX_SHOWN - used;
        int count = 0;
        if (frame->is_list)
            count = snprintf(end, room, "[%zu]", frame->index - 1);
        else if (frame->member)
            count = snprintf(end, room, "%s%s", i > 0 ? "." : "", frame->member->name);
        used += (size_t)count;
        if (used >= PLACE_MAX_SHOWN) {
            memcpy(place + PLACE_MAX_SHOWN - 4, "...", 4);
            return;
        }
    }
}

static int refuse(const struct pw_transcoder *transcoder, const char *what, struct pw_err *err)
{
    char place[PLACE_MAX_SHOWN];
    format_place(transcoder, place);
    return pw_err_set(err, PW_ERR_INPUT, "%s: %s", place, what);
}

/* --- bytes --- */

/* Room for `count` more bytes. */
static int grow(struct sink *sink, size_t count, struct pw_err *err)
{
    size_t capacity = sink->capacity > 0 ? sink->capacity : FIRST_CAPACITY;
    if (count > SIZE_MAX / 4 - sink->length)
        return pw_err_memory(err);
    while (capacity - sink->length < count)
        capacity *= 2;
    uint8_t *bytes = realloc(sink->bytes, capacity);
    if (!bytes)
        return pw_err_memory(err);
    sink->bytes = bytes;
    sink->capacity = capacity;
    return 0;
}

static inline int reserve(struct sink *sink, size_t count, struct pw_err *err)
{
    return sink->capacity - sink->length >= count ? 0 : grow(sink, count, err);
}

/* The following want room that was reserved: a tag takes PW_OTLP_TAG_MAX, a number VARINT_MAX. */
static inline void put_tag(struct sink *sink, const struct pw_otlp_member *member)
{
    memcpy(sink->bytes + sink->length, member->tag, PW_OTLP_TAG_MAX);
    sink->length += member->tag_length;
}

static inline void put_varint(struct sink *sink, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        sink->bytes[sink->length++] = (uint8_t)(value | 0x80);
    sink->bytes[sink->length++] = (uint8_t)value;
}

static inline void put_fixed64(struct sink *sink, uint64_t value)
{
    value = htole64(value);
    memcpy(sink->bytes + sink->length, &value, sizeof(value));
    sink->length += sizeof(value);
}

static inline void put_fixed32(struct sink *sink, uint32_t value)
{
    value = htole32(value);
    memcpy(sink->bytes + sink->length, &value, sizeof(value));
    sink->length += sizeof(value);
}

/* Something whose length is not known yet: its place. */
static int begin_length(struct sink *sink, const struct pw_otlp_member *member, size_t *ret_at,
                        struct pw_err *err)
{
    if (reserve(sink, PW_OTLP_TAG_MAX + LENGTH_BYTES, err) != 0)
        return -1;
    put_tag(sink, member);
    *ret_at = sink->length;
    sink->length += LENGTH_BYTES;
    return 0;
}

static int end_length(struct pw_transcoder *transcoder, size_t at, struct pw_err *err)
{
    uint8_t *bytes = transcoder->sink.bytes + at;
    size_t length = transcoder->sink.length - at - LENGTH_BYTES;
    if (length >> LENGTH_BITS != 0)
        return refuse(transcoder, "too long", err);
    for (int i = 0; i < LENGTH_BYTES - 1; i++)
        bytes[i] = (uint8_t)(length >> (7 * i) | 0x80);
    bytes[LENGTH_BYTES - 1] = (uint8_t)(length >> (7 * (LENGTH_BYTES - 1)));
    return 0;
}

/* --- scalars --- */

static uint64_t zigzag(uint64_t value)
{
    return value << 1 ^ (0 - (value >> 63)); /* all ones if it is negative */
}

static int put_integer(struct pw_transcoder *transcoder, ProtobufCType type,
                       const struct pw_json_value *value, struct pw_err *err)
{
    struct pw_json_value scratch;
    const struct pw_json_value *number = pw_json_number_in(transcoder->reader, value, &scratch);
    uint64_t integer = 0;
    bool fits = false;
    if (!number)
        return refuse(transcoder, "not a number", err);
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        fits = pw_json_to_signed(number, INT64_MIN, INT64_MAX, &integer);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: fits = pw_json_to_unsigned(number, UINT64_MAX, &integer); break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: fits = pw_json_to_unsigned(number, UINT32_MAX, &integer); break;
    default: fits = pw_json_to_signed(number, INT32_MIN, INT32_MAX, &integer); break;
    }
    if (!fits)
        return refuse(transcoder, "not an integer, or out of range", err);
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64: put_fixed64(&transcoder->sink, integer); break;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32: put_fixed32(&transcoder->sink, (uint32_t)integer); break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SINT64: put_varint(&transcoder->sink, zigzag(integer)); break;
    default: put_varint(&transcoder->sink, integer); break;
    }
    return 0;
}

/* Room for it must be reserved. */
static int put_number(struct pw_transcoder *transcoder, ProtobufCType type,
                      const struct pw_json_value *value, struct pw_err *err)
{
    double number = 0;
    uint64_t bits = 0;
    switch (type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!pw_json_to_double(transcoder->reader, value, &number))
            return refuse(transcoder, "not a number", err);
        memcpy(&bits, &number, sizeof(bits));
        put_fixed64(&transcoder->sink, bits);
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        if (value->kind != PW_JSON_BOOL)
            return refuse(transcoder, "neither true nor false", err);
        put_varint(&transcoder->sink, value->boolean);
        return 0;
    default: return put_integer(transcoder, type, value, err);
    }
}

/* A string or bytes, with their tag. */
static int put_text(struct pw_transcoder *transcoder, const struct pw_otlp_member *member,
                    const struct pw_json_value *value, struct pw_err *err)
{
    struct sink *sink = &transcoder->sink;
    size_t length = value->length;
    if (value->kind != PW_JSON_STRING)
        return refuse(transcoder, "not a string", err);
    if (reserve(sink, PW_OTLP_TAG_MAX + VARINT_MAX + length, err) != 0)
        return -1;
    put_tag(sink, member);
    if (member->type == PROTOBUF_C_TYPE_STRING) {
        put_varint(sink, length);
        memcpy(sink->bytes + sink->length, value->text, length);
    } else if (member->is_id) {
        put_varint(sink, length / 2);
        if (!pw_hex_decode(value->text, length, sink->bytes + sink->length))
            return refuse(transcoder, "not bytes in hex", err);
        length /= 2;
    } else {
        size_t prefix_at = sink->length;
        /* The length is known afterwards, but how long it can be is before. */
        uint8_t *bytes = sink->bytes + prefix_at + VARINT_MAX;
        if (!pw_base64_decode(value->text, length, bytes, &length))
            return refuse(transcoder, "not base64", err);
        put_varint(sink, length);
        memmove(sink->bytes + sink->length, bytes, length);
    }
    sink->length += length;
    return 0;
}

static bool is_text(const struct pw_otlp_member *member)
{
    return member->type == PROTOBUF_C_TYPE_STRING || member->type == PROTOBUF_C_TYPE_BYTES;
}

/* --- messages --- */

static struct frame *push(struct pw_transcoder *transcoder)
{
    assert(transcoder->depth < FRAMES_MAX);
    return &transcoder->frames[transcoder->depth++];
}

static int begin_message(struct pw_transcoder *transcoder, const struct pw_otlp_member *member,
                         const struct pw_json_value *value, struct pw_err *err)
{
    size_t length_at = 0;
    if (value->kind != PW_JSON_OBJECT)
        return refuse(transcoder, "not an object", err);
    if (transcoder->message_depth == PW_LIMIT_OTLP_DEPTH)
        return refuse(transcoder, "nested too deep", err);
    if (begin_length(&transcoder->sink, member, &length_at, err) != 0)
        return -1;
    transcoder->message_depth++;
    pw_json_reader_enter(transcoder->reader);
    *push(transcoder) = (struct frame){
        .type = member->message, .length_at = length_at, .guess = &member->message->first};
    return 0;
}

/* Numbers are packed; without any, nothing is written. */
static int put_packed(struct pw_transcoder *transcoder, struct frame *list, struct pw_err *err)
{
    struct sink *sink = &transcoder->sink;
    struct pw_json_value value;
    size_t begin = sink->length;
    size_t length_at = 0;
    if (begin_length(sink, list->member, &length_at, err) != 0)
        return -1;
    while (pw_json_reader_next(transcoder->reader, &value)) {
        list->index++;
        if (reserve(sink, VARINT_MAX, err) != 0 ||
            put_number(transcoder, list->member->type, &value, err) != 0)
            return -1;
    }
    transcoder->depth--;
    if (list->index == 0) {
        sink->length = begin;
        return 0;
    }
    return end_length(transcoder, length_at, err);
}

static int put_list(struct pw_transcoder *transcoder, struct pw_otlp_member *member,
                    const struct pw_json_value *value, struct pw_err *err)
{
    if (value->kind != PW_JSON_ARRAY)
        return refuse(transcoder, "not an array", err);
    pw_json_reader_enter(transcoder->reader);
    struct frame *list = push(transcoder);
    *list = (struct frame){.member = member, .is_list = true};
    if (member->type == PROTOBUF_C_TYPE_MESSAGE || is_text(member))
        return 0;
    return put_packed(transcoder, list, err);
}

static int put_element(struct pw_transcoder *transcoder, struct frame *list,
                       const struct pw_json_value *value, struct pw_err *err)
{
    list->index++;
    if (is_text(list->member))
        return put_text(transcoder, list->member, value, err);
    return begin_message(transcoder, list->member, value, err);
}

static int put_member(struct pw_transcoder *transcoder, struct frame *frame,
                      const struct pw_json_value *value, struct pw_err *err)
{
    struct pw_otlp_member *member =
        pw_otlp_find_member(frame->type, value->key, value->key_length, frame->guess);
    if (!member)
        return 0;
    frame->guess = &member->follower;
    if (value->kind == PW_JSON_NULL)
        return 0;
    frame->member = member;
    if ((frame->seen & member->mask) != 0)
        return refuse(transcoder, "given twice, or besides another one that excludes it", err);
    frame->seen |= member->mask;
    if (member->is_list)
        return put_list(transcoder, member, value, err);
    if (member->type == PROTOBUF_C_TYPE_MESSAGE)
        return begin_message(transcoder, member, value, err);
    if (is_text(member))
        return put_text(transcoder, member, value, err);
    if (reserve(&transcoder->sink, PW_OTLP_TAG_MAX + VARINT_MAX, err) != 0)
        return -1;
    put_tag(&transcoder->sink, member);
    return put_number(transcoder, member->type, value, err);
}

static int end_frame(struct pw_transcoder *transcoder, const struct frame *frame,
                     struct pw_err *err)
{
    transcoder->depth--;
    if (frame->is_list)
        return 0;
    transcoder->message_depth--;
    return transcoder->depth > 0 ? end_length(transcoder, frame->length_at, err) : 0;
}

static int walk(struct pw_transcoder *transcoder, struct pw_otlp_type *type, struct pw_err *err)
{
    struct pw_json_value value;
    transcoder->depth = 0;
    transcoder->message_depth = 1;
    pw_json_reader_enter(transcoder->reader);
    *push(transcoder) = (struct frame){.type = type, .guess = &type->first};
    while (transcoder->depth > 0) {
        struct frame *frame = &transcoder->frames[transcoder->depth - 1];
        int status = !pw_json_reader_next(transcoder->reader, &value)
                         ? end_frame(transcoder, frame, err)
                     : frame->is_list ? put_element(transcoder, frame, &value, err)
                                      : put_member(transcoder, frame, &value, err);
        if (status != 0)
            return -1;
    }
    return 0;
}

static int transcode(struct pw_transcoder *transcoder, struct pw_otlp_type *type, const char *text,
                     size_t size, struct pw_err *err)
{
    struct pw_json_value root;
    if (pw_json_reader_open(transcoder->reader, text, size, &root, err) != 0)
        return -1;
    int status = root.kind == PW_JSON_OBJECT
                     ? walk(transcoder, type, err)
                     : pw_err_set(err, PW_ERR_INPUT, "the document is not an object");
    pw_json_reader_close(transcoder->reader);
    return status;
}

int pw_transcode_from_json(struct pw_transcoder *transcoder,
                           const ProtobufCMessageDescriptor *descriptor, const char *text,
                           size_t size, struct pw_str *out, struct pw_err *err)
{
    struct pw_otlp_type *type = pw_otlp_type_of(&transcoder->schema, descriptor);
    if (!type)
        return pw_err_set(err, PW_ERR_INTERNAL, "%s is no OTLP request", descriptor->name);
    /* The buffer is borrowed from `out`, and goes back with what was written, also on failure. */
    pw_str_clear(out);
    struct sink *sink = &transcoder->sink;
    *sink = (struct sink){.bytes = out->capacity > 0 ? (uint8_t *)out->text : NULL,
                          .capacity = out->capacity};
    int status = reserve(sink, 1, err);
    if (status == 0)
        status = transcode(transcoder, type, text, size, err);
    if (status == 0)
        status = reserve(sink, 1, err);
    if (sink->capacity > 0) {
        size_t length = status == 0 ? sink->length : 0;
        sink->bytes[length] = '\0';
        *out = (struct pw_str){
            .text = (char *)sink->bytes, .length = length, .capacity = sink->capacity};
    }
    return status;
}
