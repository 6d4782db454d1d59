#include "wrapper/cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/stats.h"

static const int64_t redraw_ns = 100 * PW_NS_PER_MS;

void pw_progress_init(struct pw_progress *progress, int fd, unsigned planned, int64_t now_ns)
{
    *progress = (struct pw_progress){
        .fd = fd, .planned = planned, .started_at_ns = now_ns, .last_end_ns = now_ns};
}

void pw_progress_done(struct pw_progress *progress)
{
    pw_progress_clear(progress);
    free(progress->sorted_ms);
    progress->sorted_ms = NULL;
}

/* A median that lacks one value for want of memory is no reason to disturb the run. */
static void keep_duration(struct pw_progress *progress, double duration_ms)
{
    if (progress->count == progress->capacity) {
        size_t capacity = progress->capacity > 0 ? progress->capacity * 2 : 64;
        double *bigger = reallocarray(progress->sorted_ms, capacity, sizeof *bigger);
        if (!bigger) {
            return;
        }
        progress->sorted_ms = bigger;
        progress->capacity = capacity;
    }
    size_t at = progress->count++;
    for (; at > 0 && progress->sorted_ms[at - 1] > duration_ms; at--) {
        progress->sorted_ms[at] = progress->sorted_ms[at - 1];
    }
    progress->sorted_ms[at] = duration_ms;
}

void pw_progress_format(const struct pw_progress *progress, int64_t now_ns, struct pw_str *ret_text)
{
    double elapsed_sec = pw_ns_to_sec(now_ns - progress->started_at_ns);
    if (progress->name) {
        pw_str_addf(ret_text, "%s: ", progress->name);
    }
    pw_str_addf(ret_text, "%s %u", progress->warmup ? "warm-up" : "iteration", progress->number);
    if (progress->total > 0) {
        pw_str_addf(ret_text, "/%u", progress->total);
    }
    pw_str_addf(ret_text, "  %u running  %.1f s elapsed", progress->running, elapsed_sec);
    if (progress->done > 0 && progress->planned >= progress->done) {
        double each_sec =
            pw_ns_to_sec(progress->last_end_ns - progress->started_at_ns) / progress->done;
        double left_sec = each_sec * progress->planned - elapsed_sec;
        pw_str_addf(ret_text, "  about %.1f s left", left_sec > 0 ? left_sec : 0);
    }
    if (progress->count > 0) {
        pw_str_addf(ret_text, "  median %.3f ms",
                    pw_stats_percentile_sorted(progress->sorted_ms, progress->count, 0.5));
    }
}

static void write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(fd, bytes, count);
        if (written <= 0) {
            return; /* a terminal that is gone misses nothing */
        }
        bytes += written;
        count -= (size_t)written;
    }
}

/* Never wider than the terminal: a wrapped line could not be rewritten. */
static void draw(struct pw_progress *progress, int64_t now_ns)
{
    struct winsize size = {0};
    PW_STR_AUTO line = PW_STR_INIT;
    if (progress->fd < 0) {
        return;
    }
    pw_str_add(&line, "\r");
    pw_progress_format(progress, now_ns, &line);
    if (ioctl(progress->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
        line.length > size.ws_col) {
        line.length = size.ws_col; /* all ASCII; the first byte takes no column */
    }
    pw_str_add(&line, "\x1b[K");
    write_all(progress->fd, line.text, line.length);
    progress->on_screen = true;
    progress->drawn_at_ns = now_ns;
}

void pw_progress_begin(struct pw_progress *progress, bool warmup, unsigned number, unsigned total,
                       int64_t now_ns)
{
    progress->warmup = warmup;
    progress->number = number;
    progress->total = total;
    pw_progress_tick(progress, 0, now_ns);
}

void pw_progress_end(struct pw_progress *progress, bool warmup, double duration_ms, int64_t now_ns)
{
    if (progress->fd < 0) {
        return;
    }
    progress->done++;
    progress->last_end_ns = now_ns;
    if (!warmup) {
        keep_duration(progress, duration_ms);
    }
    pw_progress_tick(progress, 0, now_ns);
}

void pw_progress_tick(struct pw_progress *progress, unsigned running, int64_t now_ns)
{
    progress->running = running;
    if (!progress->on_screen || now_ns - progress->drawn_at_ns >= redraw_ns) {
        draw(progress, now_ns);
    }
}

void pw_progress_clear(struct pw_progress *progress)
{
    if (progress->fd >= 0 && progress->on_screen) {
        write_all(progress->fd, "\r\x1b[K", 4);
        progress->on_screen = false;
    }
}
