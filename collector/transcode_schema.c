#include "collector/transcode_schema.h"

#include <stdlib.h>
#include <string.h>
#include "collector/wire.h"

enum { ONEOF_BITS_FROM = 32 }; /* of pw_otlp_member.mask; those below are members' */

struct pw_otlp_type *pw_otlp_type_of(struct pw_otlp_schema *schema,
                                     const ProtobufCMessageDescriptor *descriptor)
{
    for (unsigned i = 0; i < schema->type_count; i++) {
        if (schema->types[i].descriptor == descriptor)
            return &schema->types[i];
    }
    return NULL;
}

static struct pw_otlp_type *add_type(struct pw_otlp_schema *schema,
                                     const ProtobufCMessageDescriptor *descriptor,
                                     struct pw_err *err)
{
    struct pw_otlp_type *type = pw_otlp_type_of(schema, descriptor);
    if (type)
        return type;
    if (schema->type_count == PW_OTLP_TYPES_MAX || descriptor->n_fields > ONEOF_BITS_FROM) {
        pw_err_set(err, PW_ERR_INTERNAL, "OTLP schema: too large at %s", descriptor->name);
        return NULL;
    }
    type = &schema->types[schema->type_count];
    type->members = calloc(descriptor->n_fields, sizeof(*type->members));
    if (!type->members) {
        pw_err_memory(err);
        return NULL;
    }
    schema->type_count++;
    type->descriptor = descriptor;
    type->member_count = descriptor->n_fields;
    return type;
}

static unsigned wire_type_of(const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32: return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return PROTOBUF_C_WIRE_TYPE_64BIT;
    default: return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Members of one oneof share the place where the message notes which of them is set. */
static uint64_t mask_of(const ProtobufCMessageDescriptor *descriptor, unsigned index)
{
    const ProtobufCFieldDescriptor *fields = descriptor->fields;
    uint64_t mask = UINT64_C(1) << index;
    if ((fields[index].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return mask;
    unsigned first = 0;
    while (fields[first].quantifier_offset != fields[index].quantifier_offset)
        first++;
    return mask | UINT64_C(1) << (ONEOF_BITS_FROM + first);
}

static int fill_member(struct pw_otlp_schema *schema, const ProtobufCMessageDescriptor *descriptor,
                       unsigned index, struct pw_otlp_member *member, struct pw_err *err)
{
    const ProtobufCFieldDescriptor *field = &descriptor->fields[index];
    member->name_length = (uint8_t)pw_otlp_json_name(field, member->name);
    for (uint64_t tag = (uint64_t)field->id << 3 | wire_type_of(field);; tag >>= 7) {
        member->tag[member->tag_length++] = (uint8_t)(tag > 0x7f ? tag | 0x80 : tag);
        if (tag <= 0x7f)
            break;
    }
    member->follower = (uint8_t)(index + 1);
    member->is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    member->is_id = pw_otlp_is_id(field);
    member->type = field->type;
    member->mask = mask_of(descriptor, index);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        member->message = add_type(schema, field->descriptor, err);
        if (!member->message)
            return -1;
    }
    return 0;
}

int pw_otlp_schema_init(struct pw_otlp_schema *schema, struct pw_err *err)
{
    for (unsigned signal = 0; signal < PW_SIGNAL_COUNT; signal++) {
        if (!add_type(schema, pw_otlp_descriptor((enum pw_signal)signal), err))
            return -1;
    }
    for (unsigned i = 0; i < schema->type_count; i++) { /* which grows meanwhile */
        struct pw_otlp_type *type = &schema->types[i];
        for (unsigned j = 0; j < type->member_count; j++) {
            if (fill_member(schema, type->descriptor, j, &type->members[j], err) != 0)
                return -1;
        }
    }
    return 0;
}

void pw_otlp_schema_done(struct pw_otlp_schema *schema)
{
    for (unsigned i = 0; i < schema->type_count; i++)
        free(schema->types[i].members);
    schema->type_count = 0;
}

static bool has_name(const struct pw_otlp_member *member, const char *name, size_t length)
{
    return member->name_length == length && memcmp(member->name, name, length) == 0;
}

struct pw_otlp_member *pw_otlp_find_member(const struct pw_otlp_type *type, const char *name,
                                           size_t length, uint8_t *guess)
{
    if (*guess < type->member_count && has_name(&type->members[*guess], name, length))
        return &type->members[*guess];
    for (unsigned i = 0; i < type->member_count; i++) {
        if (has_name(&type->members[i], name, length)) {
            *guess = (uint8_t)i;
            return &type->members[i];
        }
    }
    return NULL;
}
