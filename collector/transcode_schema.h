/*
 * The message descriptors, prepared for looking fields up by their JSON names: private to
 * transcode_from_json.c.
 *
 * Threads: a schema belongs to one at a time, because it learns the order in which a sender writes
 * the members of an object, and looks there first.
 */
#ifndef PW_COLLECTOR_TRANSCODE_SCHEMA_H
#define PW_COLLECTOR_TRANSCODE_SCHEMA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/json_names.h"
#include "core/err.h"

enum { PW_OTLP_TYPES_MAX = 64, PW_OTLP_TAG_MAX = 8 };

struct pw_otlp_type;
struct pw_otlp_member {
    char name[PW_OTLP_NAME_MAX]; /* in JSON */
    uint8_t name_length;
    uint8_t tag_length;
    uint8_t tag[PW_OTLP_TAG_MAX]; /* as it is written: repeated numbers are packed */
    uint8_t follower;             /* the member that came after this one the last time */
    bool is_list, is_id;
    ProtobufCType type;
    uint64_t mask; /* its bit, and that of its oneof if it is in one */
    struct pw_otlp_type *message;
};

struct pw_otlp_type {
    const ProtobufCMessageDescriptor *descriptor;
    struct pw_otlp_member *members;
    unsigned member_count;
    uint8_t first; /* the member that came first the last time */
};

struct pw_otlp_schema {
    struct pw_otlp_type types[PW_OTLP_TYPES_MAX];
    unsigned type_count;
};

/* All messages that can be in the export requests. Into zeroed memory; errors: PW_ERR_MEMORY,
 * PW_ERR_INTERNAL. End with pw_otlp_schema_done(), after a failure too. */
int pw_otlp_schema_init(struct pw_otlp_schema *schema, struct pw_err *err);
void pw_otlp_schema_done(struct pw_otlp_schema *schema);
/* NULL if it is none of them. */
struct pw_otlp_type *pw_otlp_type_of(struct pw_otlp_schema *schema,
                                     const ProtobufCMessageDescriptor *descriptor);
/* The member of this name, or NULL. `*guess` is where to look first, and is corrected: `first` of
 * the type or `follower` of the member before. */
struct pw_otlp_member *pw_otlp_find_member(const struct pw_otlp_type *type, const char *name,
                                           size_t length, uint8_t *guess);

#endif
