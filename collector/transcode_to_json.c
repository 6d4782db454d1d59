#include <string.h>
#include "collector/json_names.h"
#include "collector/json_scalar.h"
#include "collector/transcode.h"
#include "collector/wire.h"
#include "core/limits.h"

/* A place in a message: of a field, or of an element of a repeated one. */
union place {
    const void *at;
    const int32_t *int32;
    const uint32_t *uint32;
    const int64_t *int64;
    const uint64_t *uint64;
    const double *number;
    const protobuf_c_boolean *boolean;
    const char *const *string;
    const ProtobufCBinaryData *bytes;
    const ProtobufCMessage *const *message;
};

static void add_message(struct pw_str *out, const ProtobufCMessage *message, unsigned depth);

static const void *at_offset(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static bool is_default(ProtobufCType type, union place place)
{
    uint64_t bits = 0;
    switch (type) {
    case PROTOBUF_C_TYPE_STRING: return !*place.string || (*place.string)[0] == '\0';
    case PROTOBUF_C_TYPE_MESSAGE: return !*place.message;
    case PROTOBUF_C_TYPE_BYTES: return place.bytes->len == 0;
    default:
        memcpy(&bits, place.at, pw_otlp_value_bytes(type)); /* -0.0 is not the default */
        return bits == 0;
    }
}

static void add_bytes(struct pw_str *out, const ProtobufCFieldDescriptor *field,
                      const ProtobufCBinaryData *bytes)
{
    pw_str_add_char(out, '"');
    if (pw_otlp_is_id(field))
        pw_json_add_hex(out, bytes->data, bytes->len);
    else
        pw_json_add_base64(out, bytes->data, bytes->len);
    pw_str_add_char(out, '"');
}

static void add_value(struct pw_str *out, const ProtobufCFieldDescriptor *field, union place place,
                      unsigned depth)
{
    const char *text = "";
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        pw_str_add_char(out, '"');
        pw_json_add_signed(out, *place.int64);
        pw_str_add_char(out, '"');
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        pw_str_add_char(out, '"');
        pw_json_add_unsigned(out, *place.uint64);
        pw_str_add_char(out, '"');
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: pw_json_add_unsigned(out, *place.uint32); break;
    case PROTOBUF_C_TYPE_DOUBLE: pw_json_add_double(out, *place.number); break;
    case PROTOBUF_C_TYPE_BOOL: pw_str_add(out, *place.boolean ? "true" : "false"); break;
    case PROTOBUF_C_TYPE_STRING:
        text = *place.string ? *place.string : "";
        pw_json_add_string(out, text, strlen(text));
        break;
    case PROTOBUF_C_TYPE_BYTES: add_bytes(out, field, place.bytes); break;
    case PROTOBUF_C_TYPE_MESSAGE: add_message(out, *place.message, depth + 1); break;
    default: pw_json_add_signed(out, *place.int32); break; /* enums too */
    }
}

static void add_list(struct pw_str *out, const ProtobufCFieldDescriptor *field, const char *first,
                     size_t count, unsigned depth)
{
    pw_str_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            pw_str_add_char(out, ',');
        add_value(out, field, (union place){.at = first + i * pw_otlp_value_bytes(field->type)},
                  depth);
    }
    pw_str_add_char(out, ']');
}

static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)at_offset(message, field->quantifier_offset) > 0;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)at_offset(message, field->quantifier_offset) == field->id;
    return !is_default(field->type, (union place){.at = at_offset(message, field->offset)});
}

static void add_message(struct pw_str *out, const ProtobufCMessage *message, unsigned depth)
{
    bool first = true;
    if (depth > PW_LIMIT_OTLP_DEPTH) { /* pw_wire_check() lets none through */
        out->failed = true;
        return;
    }
    pw_str_add_char(out, '{');
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const void *place = at_offset(message, field->offset);
        char name[PW_OTLP_NAME_MAX];
        if (!is_present(message, field))
            continue;
        pw_otlp_json_name(field, name);
        pw_str_add(out, first ? "\"" : ",\"");
        pw_str_add(out, name);
        pw_str_add(out, "\":");
        first = false;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            add_list(out, field, *(const char *const *)place,
                     *(const size_t *)at_offset(message, field->quantifier_offset), depth);
        else
            add_value(out, field, (union place){.at = place}, depth);
    }
    pw_str_add_char(out, '}');
}

void pw_transcode_to_json(const ProtobufCMessage *message, struct pw_str *out)
{
    add_message(out, message, 1);
}
