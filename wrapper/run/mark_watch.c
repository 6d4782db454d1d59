#include "wrapper/run/mark_watch.h"

#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/pattern.h"
#include "wrapper/run/mark_board.h"

enum { LINE_BYTES = PW_LIMIT_MARK_LINE_BYTES };

/* A line of output takes a sane pattern some microseconds at most. */
#define SLOW_LINE_NS INT64_C(50000)

int pw_mark_watch_init(struct pw_mark_watch *watch, const struct pw_marks *marks,
                       struct pw_err *err)
{
    *watch = (struct pw_mark_watch){.marks = marks};
    for (int i = 0; i < PW_MARK_STREAMS; i++) {
        if (!pw_marks_hear(marks, (enum pw_mark_source)i))
            continue;
        watch->streams[i].line = malloc(LINE_BYTES);
        if (!watch->streams[i].line) {
            pw_mark_watch_done(watch);
            return pw_err_memory(err);
        }
    }
    pw_mark_watch_reset(watch);
    return 0;
}

void pw_mark_watch_done(struct pw_mark_watch *watch)
{
    for (int i = 0; i < PW_MARK_STREAMS; i++)
        free(watch->streams[i].line);
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++)
        free(watch->places[i]);
    *watch = (struct pw_mark_watch){0};
}

void pw_mark_watch_reset(struct pw_mark_watch *watch)
{
    for (int i = 0; i < PW_MARK_STREAMS; i++)
        watch->streams[i] = (struct pw_mark_stream){.line = watch->streams[i].line};
    for (size_t i = 0; i < watch->marks->names.count; i++) {
        atomic_store(&watch->at_ns[i], 0);
        free(watch->places[i]);
        watch->places[i] = NULL;
        for (int stream = 0; stream < PW_MARK_STREAMS; stream++)
            watch->streams[stream].wanted +=
                pw_mark_hears(&watch->marks->items[i], (enum pw_mark_source)stream);
    }
    watch->streams[PW_MARK_STDERR].wanted += watch->marks->hopeless != NULL;
    watch->unknown = 0;
    watch->closed = watch->gave_up = watch->hopeless = false;
}

/* True if it is the first time. */
static bool note(struct pw_mark_watch *watch, size_t mark, int64_t at_ns)
{
    int64_t never = 0;
    return atomic_compare_exchange_strong(&watch->at_ns[mark], &never, at_ns);
}

void pw_mark_watch_see(struct pw_mark_watch *watch, size_t mark, int64_t at_ns)
{
    if (note(watch, mark, at_ns) && watch->board && watch->marks->until == (int)mark)
        pw_mark_board_wake(watch->board);
}

/* `PW NAME`, and whatever behind a blank. */
static bool is_named(const char *line, size_t length, const char *name)
{
    static const char word[] = "PW ";
    size_t before = strlen(word), name_length = strlen(name), whole = before + name_length;
    return length >= whole && memcmp(line, word, before) == 0 &&
           memcmp(line + before, name, name_length) == 0 &&
           (length == whole || line[whole] == ' ' || line[whole] == '\t' || line[whole] == '\r');
}

/* Whether the line is that mark. */
static bool matches(const struct pw_mark_watch *watch, size_t mark, const char *line, size_t length)
{
    const struct pw_pattern *pattern = watch->marks->items[mark].pattern;
    if (!pattern)
        return is_named(line, length, watch->marks->names.names[mark]);
    return atomic_load(&watch->at_ns[mark]) == 0 && pw_pattern_matches(pattern, line, length);
}

/* The mark came on a stream: nobody waits for it any more, on whatever stream. */
static void hear_mark(struct pw_mark_watch *watch, size_t mark, int64_t at_ns)
{
    if (!note(watch, mark, at_ns))
        return;
    for (int i = 0; i < PW_MARK_STREAMS; i++)
        watch->streams[i].wanted -=
            pw_mark_hears(&watch->marks->items[mark], (enum pw_mark_source)i);
}

/* The patterns of a stream that have not matched are not looked for any more. */
static void give_up(struct pw_mark_watch *watch, enum pw_mark_source source)
{
    struct pw_mark_stream *stream = &watch->streams[source];
    stream->gave_up = true;
    for (size_t i = 0; i < watch->marks->names.count; i++) {
        const struct pw_mark *mark = &watch->marks->items[i];
        if (!mark->pattern || !pw_mark_hears(mark, source) || atomic_load(&watch->at_ns[i]) != 0)
            continue;
        stream->wanted--;
        watch->gave_up = true;
    }
}

/* Nothing more than the text is looked for: it stays wanted to the end. */
static void look_for_hopeless(struct pw_mark_watch *watch, const char *line, size_t length)
{
    const char *text = watch->marks->hopeless;
    watch->hopeless |= text && memmem(line, length, text, strlen(text));
}

static void take_line(struct pw_mark_watch *watch, enum pw_mark_source source, const char *line,
                      size_t length, int64_t at_ns)
{
    struct pw_mark_stream *stream = &watch->streams[source];
    int64_t began = pw_clock_now_ns();
    bool known = pw_marks_has(watch->marks, PW_MARK_GUEST);
    for (size_t i = 0; i < watch->marks->names.count; i++) {
        const struct pw_mark *mark = &watch->marks->items[i];
        if (!pw_mark_hears(mark, source) || (mark->pattern && stream->gave_up) ||
            !matches(watch, i, line, length))
            continue;
        known = true;
        hear_mark(watch, i, at_ns);
    }
    if (source == PW_MARK_STDERR)
        look_for_hopeless(watch, line, length);
    watch->unknown += source == PW_MARK_FD3 && !known;
    stream->lines++;
    stream->spent_ns += pw_clock_now_ns() - began;
    if (!stream->gave_up && stream->spent_ns > pw_ms_to_ns(PW_LIMIT_MARK_MATCH_MS) &&
        stream->spent_ns / (int64_t)stream->lines > SLOW_LINE_NS)
        give_up(watch, source);
}

/* The line is complete. */
static void end_line(struct pw_mark_watch *watch, enum pw_mark_source source, int64_t at_ns)
{
    struct pw_mark_stream *stream = &watch->streams[source];
    if (!stream->skips)
        take_line(watch, source, stream->line, stream->length, at_ns);
    stream->skips = false;
    stream->length = 0;
}

/* More of the present line; once there is too much of it, that is the line. */
static void add_piece(struct pw_mark_watch *watch, enum pw_mark_source source, const char *bytes,
                      size_t count, int64_t at_ns)
{
    struct pw_mark_stream *stream = &watch->streams[source];
    size_t room = LINE_BYTES - stream->length;
    size_t taken = count < room ? count : room;
    if (stream->skips)
        return;
    memcpy(stream->line + stream->length, bytes, taken);
    stream->length += taken;
    if (count > room) {
        end_line(watch, source, at_ns);
        stream->skips = true;
    }
}

void pw_mark_watch_hear(struct pw_mark_watch *watch, enum pw_mark_source source, const char *bytes,
                        size_t count, int64_t at_ns)
{
    struct pw_mark_stream *stream = &watch->streams[source];
    if (!stream->line || watch->closed)
        return;
    if (count == 0 && stream->length > 0)
        end_line(watch, source, at_ns);
    while (count > 0 && (stream->wanted > 0 || source == PW_MARK_FD3)) {
        const char *newline = memchr(bytes, '\n', count);
        size_t piece = newline ? (size_t)(newline - bytes) : count;
        add_piece(watch, source, bytes, piece, at_ns);
        if (!newline)
            return;
        end_line(watch, source, at_ns);
        bytes += piece + 1;
        count -= piece + 1;
    }
}

void pw_mark_watch_close(struct pw_mark_watch *watch, int64_t at_ns)
{
    for (int i = 0; i < PW_MARK_STREAMS; i++)
        pw_mark_watch_hear(watch, (enum pw_mark_source)i, NULL, 0, at_ns);
    watch->closed = true;
}

bool pw_mark_watch_is_until(const struct pw_mark_watch *watch)
{
    return watch->marks->until >= 0 && atomic_load(&watch->at_ns[watch->marks->until]) != 0;
}

void pw_mark_watch_moments(const struct pw_mark_watch *watch, int64_t spawned_at_ns,
                           int64_t ended_at_ns, struct pw_moments *ret_moments)
{
    pw_moments_init(ret_moments);
    for (size_t i = 0; i < watch->marks->names.count; i++) {
        enum pw_mark_source source = watch->marks->items[i].source;
        bool is_read =
            (int)source < PW_MARK_STREAMS || source == PW_MARK_FILE || source == PW_MARK_GUEST;
        int64_t at_ns = atomic_load(&watch->at_ns[i]);
        if (at_ns > ended_at_ns && is_read)
            at_ns = ended_at_ns;
        if (at_ns >= spawned_at_ns && at_ns <= ended_at_ns && at_ns != 0)
            ret_moments->at_ns[i] = at_ns - spawned_at_ns;
    }
}
