/*
 * How a field of an OTLP message is called in JSON, and how its bytes are written there. Source:
 * proto3 JSON mapping; OTLP specification, "JSON Protobuf Encoding".
 */
#ifndef PW_COLLECTOR_JSON_NAMES_H
#define PW_COLLECTOR_JSON_NAMES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

enum { PW_OTLP_NAME_MAX = 32 }; /* with the NUL; a longer name is a defect of the schema */

/* The lowerCamelCase name into ret_name; its length. */
size_t pw_otlp_json_name(const ProtobufCFieldDescriptor *field, char ret_name[PW_OTLP_NAME_MAX]);
/* Whether it is a trace or span id: hex in JSON, where other bytes are base64. */
bool pw_otlp_is_id(const ProtobufCFieldDescriptor *field);

#endif
