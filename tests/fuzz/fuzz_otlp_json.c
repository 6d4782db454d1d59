/* A JSON body from outside, as each of the signals: what is transcoded passes the check of binary
 * bodies, is decoded within the memory that was foretold, and survives the way to JSON and back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "collector/arena.h"
#include "collector/transcode.h"
#include "collector/wire.h"
#include "core/json_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

/* Not more than may be read, so that a step beyond is seen. */
static int transcode(struct pw_transcoder *transcoder, enum pw_signal signal, const void *text,
                     size_t size, struct pw_str *out)
{
    struct pw_err err = PW_ERR_INIT;
    char *copy = malloc(size + PW_JSON_PADDING);
    check(copy != NULL);
    if (size > 0)
        memcpy(copy, text, size);
    memset(copy + size, '1', PW_JSON_PADDING);
    int status =
        pw_transcode_from_json(transcoder, pw_otlp_descriptor(signal), copy, size, out, &err);
    free(copy);
    check(status == 0 || (err.cls == PW_ERR_INPUT && out->length == 0));
    return status;
}

static void to_json(struct pw_arena *arena, enum pw_signal signal, const struct pw_str *bytes,
                    struct pw_str *out)
{
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(signal);
    const uint8_t *body = (const uint8_t *)bytes->text;
    ProtobufCAllocator allocator = pw_arena_allocator(arena);
    size_t need = 0;
    check(pw_wire_check(descriptor, body, bytes->length, &need, NULL) == 0);
    pw_arena_reset(arena);
    const ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, bytes->length, body);
    check(message != NULL && arena->total <= need);
    pw_str_clear(out);
    pw_transcode_to_json(message, out);
    check(!out->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_transcoder *transcoder;
    static struct pw_arena arena = {.limit = PW_LIMIT_OTLP_DECODED_BYTES};
    if (!transcoder)
        check(pw_transcoder_new(&transcoder, NULL) == 0);

    PW_STR_AUTO bytes = PW_STR_INIT;
    PW_STR_AUTO json = PW_STR_INIT;
    PW_STR_AUTO again = PW_STR_INIT;
    for (int i = 0; i < PW_SIGNAL_COUNT; i++) {
        enum pw_signal signal = (enum pw_signal)i;
        if (transcode(transcoder, signal, data, size, &bytes) != 0)
            continue;
        to_json(&arena, signal, &bytes, &json);
        check(transcode(transcoder, signal, json.text, json.length, &bytes) == 0);
        to_json(&arena, signal, &bytes, &again);
        check(json.length == again.length && memcmp(json.text, again.text, json.length) == 0);
    }
    return 0;
}
