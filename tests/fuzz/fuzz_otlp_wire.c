/* A binary body from outside, as each of the signals: what passes the check is decoded by
 * protobuf-c within the memory that was foretold, and can be written as JSON and read back as the
 * same. */
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

/* False if the check refuses it. */
static int to_json(struct pw_arena *arena, enum pw_signal signal, const uint8_t *bytes, size_t size,
                   struct pw_str *out)
{
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(signal);
    ProtobufCAllocator allocator = pw_arena_allocator(arena);
    struct pw_err err = PW_ERR_INIT;
    size_t need = 0;
    if (pw_wire_check(descriptor, bytes, size, &need, &err) != 0) {
        check(err.cls == PW_ERR_INPUT && err.message[0] != '\0');
        return 0;
    }
    pw_arena_reset(arena);
    const ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    check(message != NULL && arena->total <= need);
    pw_str_clear(out);
    pw_transcode_to_json(message, out);
    check(!out->failed);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_transcoder *transcoder;
    static struct pw_arena arena = {.limit = PW_LIMIT_OTLP_DECODED_BYTES};
    if (!transcoder)
        check(pw_transcoder_new(&transcoder, NULL) == 0);

    PW_STR_AUTO json = PW_STR_INIT;
    PW_STR_AUTO bytes = PW_STR_INIT;
    PW_STR_AUTO again = PW_STR_INIT;
    for (int i = 0; i < PW_SIGNAL_COUNT; i++) {
        static const char padding[PW_JSON_PADDING];
        enum pw_signal signal = (enum pw_signal)i;
        if (!to_json(&arena, signal, data, size, &json))
            continue;
        size_t length = json.length;
        pw_str_add_bytes(&json, padding, sizeof(padding));
        check(pw_transcode_from_json(transcoder, pw_otlp_descriptor(signal), json.text, length,
                                     &bytes, NULL) == 0);
        check(to_json(&arena, signal, (const uint8_t *)bytes.text, bytes.length, &again));
        check(length == again.length && memcmp(json.text, again.text, length) == 0);
    }
    return 0;
}
