#include "collector/body.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "collector/collector_impl.h"
#include "core/json_reader.h"

enum {
    FIRST_BYTES = 16 << 10,            /* when the length is not known */
    FIRST_BYTES_MOST = 1 << 20,        /* when it is: saying a length must not cost memory */
    GZIP_WINDOW_BITS = MAX_WBITS + 16, /* zlib's inflateInit2: gzip, and nothing else */
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

enum pw_body_result pw_body_init(struct pw_body *body, struct pw_collector *collector,
                                 struct pw_endpoint *endpoint, bool gzip, size_t expected)
{
    *body = (struct pw_body){.collector = collector, .endpoint = endpoint, .expected = expected};
    if (!gzip)
        return PW_BODY_TAKEN;
    body->inflater = calloc(1, sizeof *body->inflater);
    if (body->inflater && inflateInit2(body->inflater, GZIP_WINDOW_BITS) == Z_OK)
        return PW_BODY_TAKEN;
    free(body->inflater);
    body->inflater = NULL;
    return PW_BODY_NO_MEMORY;
}

static void end_inflater(struct pw_body *body)
{
    if (!body->inflater)
        return;
    inflateEnd(body->inflater);
    free(body->inflater);
    body->inflater = NULL;
}

static void set_held(struct pw_body *body, size_t held)
{
    if (held != body->held)
        pw_queue_change_room(body->collector, body->endpoint, body->held, held);
    body->held = held;
}

void pw_body_done(struct pw_body *body)
{
    end_inflater(body);
    free(body->bytes);
    body->bytes = NULL;
    body->size = body->capacity = 0;
    set_held(body, 0);
}

static bool take_room(struct pw_body *body, size_t capacity)
{
    size_t more = capacity - body->capacity;
    if (!pw_queue_take_room(body->collector, body->endpoint, more))
        return false;
    body->held += more;
    return true;
}

/* Makes room for `need` bytes in all; doubles, as long as the budget has that much. */
static enum pw_body_result reserve(struct pw_body *body, size_t need)
{
    if (need <= body->capacity)
        return PW_BODY_TAKEN;
    size_t capacity = body->capacity   ? body->capacity * 2
                      : body->expected ? min_size(body->expected, FIRST_BYTES_MOST)
                                       : FIRST_BYTES;
    size_t most = body->expected ? body->expected : body->collector->limits.body_bytes + 1;
    capacity = max_size(min_size(capacity, most), need);
    if (!take_room(body, capacity)) {
        capacity = need;
        if (!take_room(body, capacity))
            return PW_BODY_NO_ROOM;
    }
    uint8_t *bytes = realloc(body->bytes, capacity + PW_JSON_PADDING);
    if (!bytes) {
        set_held(body, body->capacity);
        return PW_BODY_NO_MEMORY;
    }
    body->bytes = bytes;
    body->capacity = capacity;
    return PW_BODY_TAKEN;
}

/* One step of the inflater, into the free part of the buffer. */
static enum pw_body_result inflate_step(struct pw_body *body)
{
    z_stream *stream = body->inflater;
    size_t space = min_size(body->capacity - body->size, UINT_MAX);
    stream->next_out = body->bytes + body->size;
    stream->avail_out = (uInt)space;
    if (body->between_members && inflateReset(stream) != Z_OK)
        return PW_BODY_CORRUPT;
    int result = inflate(stream, Z_NO_FLUSH);
    body->size += space - stream->avail_out;
    body->between_members = result == Z_STREAM_END;
    if (body->size > body->collector->limits.body_bytes)
        return PW_BODY_TOO_LARGE;
    if (result == Z_MEM_ERROR)
        return PW_BODY_NO_MEMORY;
    return result == Z_OK || result == Z_STREAM_END ? PW_BODY_TAKEN : PW_BODY_CORRUPT;
}

static enum pw_body_result inflate_all(struct pw_body *body, const void *bytes, size_t *size)
{
    z_stream *stream = body->inflater;
    enum pw_body_result result = PW_BODY_TAKEN;
    size_t left = *size;
    while (result == PW_BODY_TAKEN && left) {
        if (body->size == body->capacity) /* one byte over the limit shows that it is passed */
            result = reserve(
                body, min_size(body->size + FIRST_BYTES, body->collector->limits.body_bytes + 1));
        if (result != PW_BODY_TAKEN)
            break;
        size_t part = min_size(left, UINT_MAX);
        /* zlib.h declares it const only with ZLIB_CONST */
        stream->next_in = (Bytef *)(uintptr_t)((const uint8_t *)bytes + (*size - left));
        stream->avail_in = (uInt)part;
        result = inflate_step(body);
        left -= part - stream->avail_in;
    }
    *size = left;
    return result;
}

enum pw_body_result pw_body_add(struct pw_body *body, const void *bytes, size_t *size)
{
    if (body->inflater)
        return inflate_all(body, bytes, size);
    if (*size > body->collector->limits.body_bytes - body->size)
        return PW_BODY_TOO_LARGE;
    enum pw_body_result result = reserve(body, body->size + *size);
    if (result != PW_BODY_TAKEN)
        return result;
    memcpy(body->bytes + body->size, bytes, *size);
    body->size += *size;
    *size = 0;
    return PW_BODY_TAKEN;
}

enum pw_body_result pw_body_finish(struct pw_body *body)
{
    /* The checksum is a member's last, and is taken only when all before it has been inflated. */
    if (body->inflater && !body->between_members)
        return PW_BODY_TRUNCATED;
    enum pw_body_result result = reserve(body, body->size ? body->size : 1);
    if (result != PW_BODY_TAKEN)
        return result;
    end_inflater(body);
    memset(body->bytes + body->size, 0, PW_JSON_PADDING);
    return PW_BODY_TAKEN;
}

void pw_body_replace(struct pw_body *body, uint8_t *bytes, size_t size, size_t capacity)
{
    free(body->bytes);
    body->bytes = bytes;
    body->size = size;
    body->capacity = capacity;
    set_held(body, capacity);
}
