#include "collector/json_names.h"

#include <assert.h>
#include <string.h>

size_t pw_otlp_json_name(const ProtobufCFieldDescriptor *field, char ret_name[PW_OTLP_NAME_MAX])
{
    size_t length = 0;
    bool upper = false;
    for (const char *at = field->name; *at != '\0'; at++) {
        if (*at == '_') {
            upper = true;
            continue;
        }
        assert(length < PW_OTLP_NAME_MAX - 1);
        ret_name[length++] = (char)(upper && *at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
        upper = false;
    }
    ret_name[length] = '\0';
    return length;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

bool pw_otlp_is_id(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_BYTES &&
           (ends_in(field->name, "trace_id") || ends_in(field->name, "span_id"));
}
