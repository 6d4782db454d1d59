#include "wrapper/run/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/str.h"

enum {
    RING_BYTES = PW_LIMIT_OUTPUT_TAIL_BYTES,
    READ_BYTES = 65536,
    PIPE_BYTES = 256 * 1024, /* fewer wake-ups for a target that prints much */
};

int pw_tail_open_unkept(struct pw_tail *tail, int *ret_write_fd, struct pw_err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return pw_err_system(err, errno, "create output pipe");
    tail->fd = ends[0];
    tail->total = 0;
    fcntl(tail->fd, F_SETFL, O_NONBLOCK);
    *ret_write_fd = ends[1];
    return 0;
}

int pw_tail_open(struct pw_tail *tail, int *ret_write_fd, struct pw_err *err)
{
    PW_FD_AUTO write_fd = -1;
    if (pw_tail_open_unkept(tail, &write_fd, err))
        return -1;
    fcntl(tail->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a wish: users may be limited */
    tail->ring = malloc(RING_BYTES);
    if (!tail->ring) {
        pw_tail_done(tail);
        return pw_err_memory(err);
    }
    *ret_write_fd = pw_fd_take(&write_fd);
    return 0;
}

void pw_tail_done(struct pw_tail *tail)
{
    pw_fd_done(&tail->fd);
    free(tail->ring);
    tail->ring = NULL;
}

static void keep(struct pw_tail *tail, const char *bytes, size_t count)
{
    if (!tail->ring) {
        tail->total += count;
        return;
    }
    if (count > RING_BYTES) {
        tail->total += count - RING_BYTES;
        bytes += count - RING_BYTES;
        count = RING_BYTES;
    }
    size_t at = (size_t)(tail->total % RING_BYTES);
    size_t first = count < RING_BYTES - at ? count : RING_BYTES - at;
    memcpy(tail->ring + at, bytes, first);
    memcpy(tail->ring, bytes + first, count - first);
    tail->total += count;
}

bool pw_tail_drain(struct pw_tail *tail, size_t limit)
{
    static _Thread_local char buffer[READ_BYTES];
    for (size_t done = 0; tail->fd >= 0 && done < limit;) {
        ssize_t got = read(tail->fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return true;
        if (tail->watch)
            pw_mark_watch_hear(tail->watch, tail->source, buffer, got > 0 ? (size_t)got : 0,
                               pw_clock_now_ns());
        if (got <= 0) {
            pw_fd_done(&tail->fd);
            return false;
        }
        keep(tail, buffer, (size_t)got);
        done += (size_t)got;
    }
    return tail->fd >= 0;
}

char *pw_tail_text(const struct pw_tail *tail)
{
    if (!tail->ring)
        return NULL;
    size_t length = tail->total < RING_BYTES ? (size_t)tail->total : RING_BYTES;
    size_t from = (size_t)((tail->total - length) % RING_BYTES);
    char *text = malloc(length + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        char c = tail->ring[(from + i) % RING_BYTES];
        text[i] = c ? c : '?';
    }
    text[length] = '\0';
    return text;
}

const char *pw_text_last_lines(char *text, unsigned count)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    return pw_lines_last(text, length, count);
}
