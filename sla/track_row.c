/* One row of the tracking table. */
#include <string.h>
#include <time.h>
#include "sla/suggest_impl.h"
#include "sla/track_impl.h"

const char *const pw_track_headers[PW_TRACK_COLUMNS] = {
    [PW_TRACK_DATE] = "Date (UTC)",
    [PW_TRACK_RUN] = "Run",
    [PW_TRACK_PROFILE] = "Profile",
    [PW_TRACK_COMMAND] = "Command",
    [PW_TRACK_COUNTS] = "N",
    [PW_TRACK_FAILED] = "Failed",
    [PW_TRACK_P50] = "Latency p50 ms",
    [PW_TRACK_P95] = "p95 ms",
    [PW_TRACK_THROUGHPUT] = "Throughput runs/s",
    [PW_TRACK_RSS] = "Max RSS MiB",
    [PW_TRACK_CPU] = "CPU s",
    [PW_TRACK_DELTA] = "Δ p50",
    [PW_TRACK_NOTE] = "Note",
};

enum { COMMAND_SHOWN = 60, NAME_SHOWN = 200 }; /* characters */

/* Length of the UTF-8 character at `text`, which is well-formed or at least ends in a NUL. */
static size_t character_length(const char *text)
{
    size_t length = 1;
    while ((text[length] & 0xC0) == 0x80) {
        length++;
    }
    return length;
}

/* Characters that would move a cursor, end a line, or change the direction of the text around them:
 * C0, DEL, C1, line and paragraph separators, and the bidirectional controls (Unicode 15, section
 * 23.2). */
static bool is_control(const char *text, size_t length)
{
    const unsigned char *c = (const unsigned char *)text;
    if (length == 1) {
        return c[0] < 0x20 || c[0] == 0x7f;
    }
    if (length == 2) {
        return c[0] == 0xC2 && c[1] < 0xA0;
    }
    return length == 3 && c[0] == 0xE2 &&
           ((c[1] == 0x80 && c[2] >= 0xA8 && c[2] <= 0xAE) ||
            (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9));
}

void pw_track_add_cell(struct pw_str *out, const char *text)
{
    while (*text) {
        size_t length = character_length(text);
        if (is_control(text, length)) {
            pw_str_add_char(out, ' ');
        } else if (*text == '<') {
            pw_str_add(out, "&lt;");
        } else if (*text == '&') {
            pw_str_add(out, "&amp;");
        } else {
            if (strchr("|\\`*[]~", *text)) {
                pw_str_add_char(out, '\\');
            }
            pw_str_add_bytes(out, text, length);
        }
        text += length;
    }
}

static void add_shortened(struct pw_str *out, const char *text, size_t most)
{
    PW_STR_AUTO kept = PW_STR_INIT;
    size_t count = 0;
    for (; *text && count < most; count++) {
        size_t length = character_length(text);
        pw_str_add_bytes(&kept, text, length);
        text += length;
    }
    pw_track_add_cell(out, kept.text);
    pw_str_add(out, *text ? "…" : "");
    out->failed = out->failed || kept.failed;
}

/* `count` digits, at most 4, and the character behind them ('\0': any), which is then read too. */
static bool read_digits(const char **text, int count, char behind, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        number = 10 * number + (**text - '0');
    }
    if (behind != '\0' && *(*text)++ != behind) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* "Z", "+01:00": what has to be taken from the time to be UTC. */
static bool read_offset(const char *text, long *ret_sec)
{
    int hours, minutes;
    bool east = *text == '+';
    if (strcmp(text, "Z") == 0) {
        *ret_sec = 0;
        return true;
    }
    if ((!east && *text != '-') || !(text++, read_digits(&text, 2, ':', &hours)) ||
        !read_digits(&text, 2, '\0', &minutes) || *text != '\0' || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_sec = (east ? 1L : -1L) * (hours * 3600L + minutes * 60L);
    return true;
}

/* RFC 3339, with any offset, to "2026-11-21 15:02:16" in UTC. */
static bool add_date(struct pw_str *out, const char *text)
{
    struct tm tm = {0};
    long offset_sec;
    char buffer[32];
    if (!text || !read_digits(&text, 4, '-', &tm.tm_year) ||
        !read_digits(&text, 2, '-', &tm.tm_mon) || !read_digits(&text, 2, 'T', &tm.tm_mday) ||
        !read_digits(&text, 2, ':', &tm.tm_hour) || !read_digits(&text, 2, ':', &tm.tm_min) ||
        !read_digits(&text, 2, '\0', &tm.tm_sec)) {
        return false;
    }
    if (*text == '.') {
        text += 1 + strspn(text + 1, "0123456789");
    }
    if (!read_offset(text, &offset_sec) || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
        tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t utc = timegm(&tm) - offset_sec;
    if (!gmtime_r(&utc, &tm) || strftime(buffer, sizeof(buffer), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        return false;
    }
    pw_str_add(out, buffer);
    return true;
}

static void add_number(struct pw_str *out, struct pw_value value, int decimals)
{
    if (pw_value_is_present(value)) {
        pw_str_addf(out, "%.*f", decimals, value.number);
    } else {
        pw_str_add(out, "n/a");
    }
}

static void add_numbers(const struct pw_summary *summary, struct pw_str cells[PW_TRACK_COLUMNS])
{
    struct pw_value concurrency = pw_summary_number(summary, "profile.concurrency");
    add_number(&cells[PW_TRACK_COUNTS], pw_summary_number(summary, "iterations"), 0);
    pw_str_add(&cells[PW_TRACK_COUNTS], " x ");
    add_number(&cells[PW_TRACK_COUNTS],
               pw_value_is_present(concurrency) ? concurrency : pw_value_of(1), 0);
    add_number(&cells[PW_TRACK_FAILED],
               pw_summary_stat(summary, PW_METRIC_FAILED_RUNS, PW_STAT_SCALAR), 0);
    add_number(&cells[PW_TRACK_P50], pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_P50), 3);
    add_number(&cells[PW_TRACK_P95], pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_P95), 3);
    add_number(&cells[PW_TRACK_THROUGHPUT],
               pw_summary_stat(summary, PW_METRIC_THROUGHPUT, PW_STAT_MEAN), 3);
    struct pw_value rss = pw_summary_stat(summary, PW_METRIC_MAX_RSS_MB, PW_STAT_MAX);
    if (!pw_value_is_present(rss)) { /* older files have KiB only */
        rss = pw_summary_stat(summary, PW_METRIC_MAX_RSS_KB, PW_STAT_MAX);
        rss.number /= 1024;
    }
    add_number(&cells[PW_TRACK_RSS], rss, 2);
    struct pw_value cpu = pw_summary_stat(summary, PW_METRIC_USER_CPU, PW_STAT_MEAN);
    struct pw_value system = pw_summary_stat(summary, PW_METRIC_SYSTEM_CPU, PW_STAT_MEAN);
    cpu.number += system.number;
    add_number(&cells[PW_TRACK_CPU], pw_value_is_present(system) ? cpu : system, 3);
}

int pw_track_cells_of(const struct pw_summary *summary, const char *path, const char *note,
                      struct pw_str cells[PW_TRACK_COLUMNS], struct pw_err *err)
{
    PW_STR_AUTO run = PW_STR_INIT;
    PW_STR_AUTO profile = PW_STR_INIT;
    if (!add_date(&cells[PW_TRACK_DATE], pw_summary_string(summary, "generated_at"))) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` has no date in `generated_at`", path);
    }
    const char *command = pw_summary_string(summary, "command");
    pw_suggest_run_name(summary, path, &run);
    pw_suggest_profile_of(summary, path, &profile);
    add_shortened(&cells[PW_TRACK_RUN], run.text, NAME_SHOWN);
    add_shortened(&cells[PW_TRACK_PROFILE], profile.text, NAME_SHOWN);
    add_shortened(&cells[PW_TRACK_COMMAND], command ? command : "n/a", COMMAND_SHOWN);
    add_numbers(summary, cells);
    add_shortened(&cells[PW_TRACK_NOTE], note ? note : "", NAME_SHOWN);
    bool failed = run.failed || profile.failed;
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        failed = failed || cells[i].failed;
    }
    return failed ? pw_err_memory(err) : 0;
}
