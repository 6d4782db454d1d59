#include "collector/wire.h"

#include <assert.h>
#include <limits.h>
#include <otlp.pb-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "collector/arena.h"
#include "core/json_reader.h"
#include "core/limits.h"

enum {
    TAG_BYTES_MAX = 5,     /* protobuf-c takes no longer ones, */
    LENGTH_BYTES_MAX = 5,  /* here neither */
    VARINT_BYTES_MAX = 10, /* 64 bits */
    UNKNOWN_FIELD = 63,    /* its bit in frame.seen */
    PATH_MAX_SHOWN = 256,
    /* protobuf-c notes each field of a message in a list before it decodes them: 16 on its stack,
     * then slabs from its allocator, each twice as large as the one before. */
    FIRST_SLAB = 16,
    NOTE_BYTES = 32,
};

/* A message that is being read. */
struct frame {
    const ProtobufCMessageDescriptor *descriptor;
    const ProtobufCFieldDescriptor *field; /* that is being read; NULL if it is unknown */
    const ProtobufCFieldDescriptor *guess; /* the last one that was known */
    const uint8_t *end;
    uint64_t seen; /* bits by a field's place in the descriptor, and UNKNOWN_FIELD */
    size_t notes;  /* fields so far */
    size_t slab;   /* size of the last slab */
};

struct checker {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *field_start; /* for messages */
    size_t need;
    unsigned depth; /* of `frames` in use */
    struct frame frames[PW_LIMIT_OTLP_DEPTH];
};

const ProtobufCMessageDescriptor *pw_otlp_descriptor(enum pw_signal signal)
{
    static const ProtobufCMessageDescriptor *const descriptors[PW_SIGNAL_COUNT] = {
        [PW_SIGNAL_METRICS] = &otlp__metrics_request__descriptor,
        [PW_SIGNAL_TRACES] = &otlp__traces_request__descriptor,
        [PW_SIGNAL_LOGS] = &otlp__logs_request__descriptor,
    };
    assert((unsigned)signal < PW_SIGNAL_COUNT);
    return descriptors[signal];
}

/* "resource_metrics.scope_metrics" */
static void format_path(const struct checker *checker, char path[PATH_MAX_SHOWN])
{
    size_t used = 0;
    path[0] = '\0';
    for (unsigned i = 0; i < checker->depth && checker->frames[i].field; i++) {
        int count = snprintf(path + used, PATH_MAX_SHOWN - used, "%s%s", i > 0 ? "." : "",
                             checker->frames[i].field->name);
        used += (size_t)count;
        if (used >= PATH_MAX_SHOWN) {
            memcpy(path + PATH_MAX_SHOWN - 4, "...", 4);
            return;
        }
    }
}

static int refuse(const struct checker *checker, struct pw_err *err, const char *what)
{
    char path[PATH_MAX_SHOWN];
    format_path(checker, path);
    return pw_err_set(err, PW_ERR_INPUT, "byte %zu: %s%s%s",
                      (size_t)(checker->field_start - checker->start), path,
                      path[0] != '\0' ? ": " : "", what);
}

/* False when it does not end before `end` or within `most` bytes. */
static inline bool read_varint(const uint8_t **at, const uint8_t *end, unsigned most,
                               uint64_t *ret_value)
{
    const uint8_t *byte = *at;
    uint64_t value = 0;
    for (unsigned i = 0; i < most && byte < end; i++, byte++) {
        value |= (uint64_t)(*byte & 0x7f) << (7 * i);
        if ((*byte & 0x80) == 0) {
            *at = byte + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t word = 0;
    size_t i = 0;
    for (; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        if ((word & high_bits) != 0)
            return pw_utf8_is_valid((const char *)bytes, size);
    }
    word = 0;
    memcpy(&word, bytes + i, size - i);
    return (word & high_bits) == 0 || pw_utf8_is_valid((const char *)bytes, size);
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default: return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

size_t pw_otlp_value_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    default: return 4;
    }
}

/* NULL: unknown. Fields mostly come in order, or one many times. */
static const ProtobufCFieldDescriptor *find_field(const struct frame *frame, uint64_t number)
{
    const ProtobufCFieldDescriptor *fields = frame->descriptor->fields;
    const ProtobufCFieldDescriptor *end = fields + frame->descriptor->n_fields;
    const ProtobufCFieldDescriptor *field = frame->guess;
    if (field < end && field->id == number)
        return field;
    if (field + 1 < end && field[1].id == number)
        return field + 1;
    for (field = fields; field < end; field++) {
        if (field->id == number)
            return field;
    }
    return NULL;
}

static int check_packed(struct checker *checker, const ProtobufCFieldDescriptor *field,
                        uint64_t size, struct pw_err *err)
{
    const uint8_t *end = checker->at + size;
    uint64_t count = 0;
    switch (wire_type_of(field->type)) {
    case PROTOBUF_C_WIRE_TYPE_64BIT: count = size / 8; break;
    case PROTOBUF_C_WIRE_TYPE_32BIT: count = size / 4; break;
    default:
        while (checker->at < end) {
            uint64_t value = 0;
            if (!read_varint(&checker->at, end, VARINT_BYTES_MAX, &value))
                return refuse(checker, err, "a packed number does not end");
            count++;
        }
    }
    if (wire_type_of(field->type) != PROTOBUF_C_WIRE_TYPE_VARINT &&
        size % pw_otlp_value_bytes(field->type) != 0)
        return refuse(checker, err, "packed numbers do not fill their field");
    checker->at = end;
    checker->need += count * pw_otlp_value_bytes(field->type);
    return 0;
}

static int enter(struct checker *checker, const ProtobufCMessageDescriptor *descriptor,
                 uint64_t size, struct pw_err *err)
{
    if (checker->depth == PW_LIMIT_OTLP_DEPTH) {
        return pw_err_set(err, PW_ERR_INPUT, "byte %zu: messages are nested more than %d deep",
                          (size_t)(checker->field_start - checker->start), PW_LIMIT_OTLP_DEPTH);
    }
    assert(descriptor->n_fields <= UNKNOWN_FIELD);
    struct frame *frame = &checker->frames[checker->depth++];
    *frame = (struct frame){.descriptor = descriptor,
                            .guess = descriptor->fields,
                            .end = checker->at + size,
                            .slab = FIRST_SLAB};
    checker->need += pw_arena_taken(descriptor->sizeof_message);
    return 0;
}

static int check_length_prefixed(struct checker *checker, struct frame *frame,
                                 const ProtobufCFieldDescriptor *field, bool again,
                                 struct pw_err *err)
{
    const uint8_t *prefix = checker->at;
    uint64_t size = 0;
    if (!read_varint(&checker->at, frame->end, LENGTH_BYTES_MAX, &size) ||
        size > (uint64_t)(frame->end - checker->at))
        return refuse(checker, err, "it is longer than what it is in");
    if (!field) {
        checker->need += pw_arena_taken((size_t)(checker->at - prefix) + size);
        checker->at += size;
        return 0;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        /* protobuf-c merges the second into the first by copying all lists of both: that would be
         * quadratic, and no encoder writes it. */
        if (again && field->label != PROTOBUF_C_LABEL_REPEATED)
            return refuse(checker, err, "field appears twice");
        return enter(checker, field->descriptor, size, err);
    case PROTOBUF_C_TYPE_STRING:
        if (!is_text(checker->at, size))
            return refuse(checker, err, "not valid UTF-8");
        checker->need += pw_arena_taken(size + 1);
        checker->at += size;
        return 0;
    case PROTOBUF_C_TYPE_BYTES:
        checker->need += pw_arena_taken(size);
        checker->at += size;
        return 0;
    default: return check_packed(checker, field, size, err);
    }
}

/* What protobuf-c takes for a field besides its content. `again`: not the message's first. */
static void count_field(struct checker *checker, struct frame *frame,
                        const ProtobufCFieldDescriptor *field, bool again, bool packed)
{
    /* With slabs up to this size, twice it less the first fit. */
    if (frame->notes++ == 2 * frame->slab - FIRST_SLAB) {
        frame->slab *= 2;
        checker->need += pw_arena_taken(frame->slab * NOTE_BYTES);
    }
    size_t array_bytes = 0;
    if (!field)
        array_bytes = sizeof(ProtobufCMessageUnknownField);
    else if (field->label == PROTOBUF_C_LABEL_REPEATED)
        array_bytes = packed ? 0 : pw_otlp_value_bytes(field->type);
    else
        return;
    checker->need += array_bytes + (again ? 0 : PW_ARENA_ALIGN);
}

static int check_fixed(struct checker *checker, const struct frame *frame, size_t size,
                       struct pw_err *err)
{
    if (size > (size_t)(frame->end - checker->at))
        return refuse(checker, err, "it is longer than what it is in");
    checker->at += size;
    return 0;
}

static int check_field(struct checker *checker, struct frame *frame, struct pw_err *err)
{
    uint64_t tag = 0;
    uint64_t ignored = 0;
    checker->field_start = checker->at;
    frame->field = NULL;
    if (!read_varint(&checker->at, frame->end, TAG_BYTES_MAX, &tag) || tag > UINT32_MAX ||
        tag >> 3 == 0)
        return refuse(checker, err, "not a field's tag");

    const ProtobufCFieldDescriptor *field = find_field(frame, tag >> 3);
    unsigned type = tag & 7;
    unsigned bit = field ? (unsigned)(field - frame->descriptor->fields) : UNKNOWN_FIELD;
    bool again = (frame->seen >> bit & 1) != 0;
    frame->seen |= UINT64_C(1) << bit;
    bool packed = false;
    if (field) {
        frame->field = frame->guess = field;
        unsigned fitting = wire_type_of(field->type);
        packed = type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && type != fitting &&
                 field->label == PROTOBUF_C_LABEL_REPEATED;
        if (type != fitting && !packed)
            return refuse(checker, err, "wrong wire type");
    }
    count_field(checker, frame, field, again, packed);

    const uint8_t *content = checker->at;
    switch (type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        if (!read_varint(&checker->at, frame->end, VARINT_BYTES_MAX, &ignored))
            return refuse(checker, err, "a number does not end");
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        if (check_fixed(checker, frame, 8, err) != 0)
            return -1;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        if (check_fixed(checker, frame, 4, err) != 0)
            return -1;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return check_length_prefixed(checker, frame, field, again, err);
    default: return refuse(checker, err, "groups are not supported");
    }
    if (!field)
        checker->need += pw_arena_taken((size_t)(checker->at - content));
    return 0;
}

int pw_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                  size_t *ret_need, struct pw_err *err)
{
    struct checker checker;
    checker.start = checker.at = checker.field_start = bytes;
    checker.need = 0;
    checker.depth = 0;
    if (size > INT_MAX)
        return pw_err_set(err, PW_ERR_INPUT, "longer than a protobuf message can be");
    if (enter(&checker, descriptor, size, err) != 0)
        return -1;
    while (checker.depth > 0) {
        struct frame *frame = &checker.frames[checker.depth - 1];
        if (checker.at == frame->end)
            checker.depth--;
        else if (check_field(&checker, frame, err) != 0)
            return -1;
    }
    *ret_need = checker.need;
    return 0;
}
