#include "wrapper/cli/steady.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/run/signals.h"

/* Durations are typed in decimal: 1 / 0.1 is 10, whatever the binary numbers say. */
static const double SLACK = 1e-9;
static const double CONFIDENCE = 0.95;
/* Of fewer values, even without ties, no order is rare enough for a 95 % interval (Kendall). */
enum { TREND_LEAST = 5 };

void pw_steady_done(struct pw_steady *steady)
{
    free(steady->samples);
    steady->samples = NULL;
}

int pw_steady_count(double duration_sec, double interval_sec, size_t *ret_count, struct pw_err *err)
{
    if (interval_sec > duration_sec) {
        return pw_err_set(err, PW_ERR_USAGE,
                          "steady interval must be less than or equal to duration");
    }
    double count = floor(duration_sec / interval_sec * (1 + SLACK)) + 1;
    if (count > PW_LIMIT_STEADY_SAMPLES) {
        pw_err_set(err, PW_ERR_USAGE, "%.0f samples are too many: at most %d", count,
                   PW_LIMIT_STEADY_SAMPLES);
        return pw_err_remedy(err, "give a longer --interval or a shorter --duration");
    }
    *ret_count = (size_t)count;
    return 0;
}

/* One measurement under way. */
struct sampling {
    struct pw_foot_session *session;
    struct pw_steady *steady;
    int timer_fd, signal_fd, target_fd; /* target_fd: pidfd, or -1 */
    int64_t start_ns;
    uint64_t last_cpu_ns;
};

/* Until `due_ns`. False, and steady->end, if something came before. */
static bool wait_until(struct sampling *sampling, int64_t due_ns)
{
    struct itimerspec due = {
        .it_value = {.tv_sec = due_ns / PW_NS_PER_SEC, .tv_nsec = due_ns % PW_NS_PER_SEC}};
    struct pollfd ends[] = {{.fd = sampling->timer_fd, .events = POLLIN},
                            {.fd = sampling->signal_fd, .events = POLLIN},
                            {.fd = sampling->target_fd, .events = POLLIN}};
    timerfd_settime(sampling->timer_fd, TFD_TIMER_ABSTIME, &due, NULL);
    while (poll(ends, sizeof ends / sizeof *ends, -1) < 0 && errno == EINTR) {}
    int signal = ends[1].revents ? pw_signals_read(sampling->signal_fd) : 0;
    if (signal != 0) {
        sampling->steady->end = PW_STEADY_INTERRUPTED;
        sampling->steady->signal = signal;
    } else if (ends[2].revents) {
        sampling->steady->end = PW_STEADY_TARGET_ENDED;
    }
    return sampling->steady->end == PW_STEADY_DONE;
}

static bool take_sample(struct sampling *sampling, int64_t due_ns)
{
    struct pw_steady *steady = sampling->steady;
    struct pw_foot_look look;
    struct pw_steady_sample sample = {.cpu_percent = pw_value_absent(PW_ABSENT_NOT_MEASURED)};
    int64_t at_ns = pw_clock_now_ns();
    clock_gettime(CLOCK_REALTIME, &sample.at);
    if (pw_footprint_look(sampling->session->footprint, &look) != PW_FOOT_SEEN) {
        steady->end = PW_STEADY_TARGET_ENDED;
        return false;
    }
    sample.offset_ns = at_ns - sampling->start_ns;
    sample.late_ns = at_ns - due_ns;
    sample.took_ns = pw_clock_now_ns() - at_ns;
    sample.process_count = look.process_count;
    for (size_t f = 0; f < PW_FOOT_COUNT; f++) {
        sample.totals[f] = look.totals[f];
    }
    if (steady->count > 0) {
        int64_t since_ns = sample.offset_ns - steady->samples[steady->count - 1].offset_ns;
        sample.cpu_percent =
            pw_value_of(100 * (double)(look.cpu_ns - sampling->last_cpu_ns) / (double)since_ns);
    }
    sampling->last_cpu_ns = look.cpu_ns;
    if (look.skipped > steady->skipped_processes) {
        steady->skipped_processes = look.skipped;
    }
    steady->samples[steady->count++] = sample;
    return true;
}

static void sample_all(struct sampling *sampling, size_t count)
{
    struct pw_steady *steady = sampling->steady;
    double interval_ns = steady->interval_sec * (double)PW_NS_PER_SEC;
    sampling->start_ns = pw_clock_now_ns();
    for (size_t k = 0; k < count; k++) {
        int64_t due_ns = sampling->start_ns + (int64_t)((double)k * interval_ns);
        if (k > 0 && due_ns < pw_clock_now_ns()) {
            steady->missed++;
            continue;
        }
        if (!wait_until(sampling, due_ns) || !take_sample(sampling, due_ns)) {
            break;
        }
    }
    steady->ended_ns = pw_clock_now_ns() - sampling->start_ns;
}

int pw_steady_run(struct pw_foot_session *session, int signal_fd, struct pw_steady *steady,
                  struct pw_err *err)
{
    size_t count = 0;
    if (pw_steady_count(steady->duration_sec, steady->interval_sec, &count, err) != 0) {
        return -1;
    }
    steady->samples = calloc(count + 1, sizeof *steady->samples);
    if (!steady->samples) {
        return pw_err_memory(err);
    }
    struct sampling sampling = {
        .session = session, .steady = steady, .signal_fd = signal_fd, .target_fd = -1};
    sampling.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sampling.timer_fd < 0) {
        return pw_err_system(err, errno, "create a timer");
    }
    /* So that the end is known at once; without it, at the next sample. A pid that was given again
     * since the first look is found out by the look itself. */
    if (session->target.count == 1) {
        sampling.target_fd = pidfd_open(session->target.pids[0], 0);
    }
    sample_all(&sampling, count);
    pw_fd_done(&sampling.timer_fd);
    pw_fd_done(&sampling.target_fd);
    return 0;
}

/* The summary */

enum source { SOURCE_FIELD, SOURCE_CPU, SOURCE_PROCESSES };
static const struct {
    const char *key, *label; /* NULL: those of the field */
    enum pw_foot_unit unit;
    enum source source;
    enum pw_foot_id field;
} sources[PW_STEADY_SERIES_COUNT] = {
    {NULL, NULL, PW_FOOT_KIB, SOURCE_FIELD, PW_FOOT_RSS},
    {NULL, NULL, PW_FOOT_KIB, SOURCE_FIELD, PW_FOOT_PSS},
    {NULL, NULL, PW_FOOT_KIB, SOURCE_FIELD, PW_FOOT_USS},
    {"cpu_percent", "CPU, %", PW_FOOT_NUMBER, SOURCE_CPU, PW_FOOT_COUNT},
    {"process_count", "processes", PW_FOOT_NUMBER, SOURCE_PROCESSES, PW_FOOT_COUNT},
    {NULL, NULL, PW_FOOT_NUMBER, SOURCE_FIELD, PW_FOOT_THREADS},
    {NULL, NULL, PW_FOOT_NUMBER, SOURCE_FIELD, PW_FOOT_OPEN_FILES},
    {NULL, NULL, PW_FOOT_KIB, SOURCE_FIELD, PW_FOOT_GUEST_PSS},
    {NULL, NULL, PW_FOOT_KIB, SOURCE_FIELD, PW_FOOT_OVERHEAD},
};

static struct pw_value value_of(const struct pw_steady_sample *sample, size_t series)
{
    switch (sources[series].source) {
    case SOURCE_CPU: return sample->cpu_percent;
    case SOURCE_PROCESSES: return pw_value_of((double)sample->process_count);
    case SOURCE_FIELD: break;
    }
    return sample->totals[sources[series].field];
}

/* The slope per value becomes one per minute. */
static int find_trend(const struct pw_steady *steady, const double *values, size_t n,
                      struct pw_steady_series *series, struct pw_err *err)
{
    const struct pw_steady_sample *samples = steady->samples;
    double span_ns =
        (double)(samples[steady->count - 1].offset_ns - samples[steady->count - n].offset_ns);
    struct pw_trend trend;
    if (pw_trend_of(values, n, CONFIDENCE, &trend, err) != 0) {
        return -1;
    }
    if (n < TREND_LEAST) {
        trend.slope_ci = (struct pw_interval){-INFINITY, INFINITY};
    } else if (series->stats.min.number >= series->stats.max.number) {
        /* All pairs are tied: their slopes are all 0, and so is every bound on them. */
        trend.slope_ci = (struct pw_interval){0, 0};
    }
    double per_minute = 60 * (double)PW_NS_PER_SEC * (double)(n - 1) / span_ns;
    trend.slope *= per_minute;
    trend.slope_ci.low *= per_minute;
    trend.slope_ci.high *= per_minute;
    series->per_minute = trend;
    series->has_trend = true;
    return 0;
}

int pw_steady_summarise(const struct pw_steady *steady,
                        struct pw_steady_series ret_series[PW_STEADY_SERIES_COUNT],
                        struct pw_err *err)
{
    PW_FREE_AUTO double *values = calloc(steady->count + 1, sizeof *values);
    if (!values) {
        return pw_err_memory(err);
    }
    for (size_t s = 0; s < PW_STEADY_SERIES_COUNT; s++) {
        const struct pw_foot_field *field =
            sources[s].source == SOURCE_FIELD ? &pw_foot_fields[sources[s].field] : NULL;
        struct pw_steady_series series = {.key = field ? field->key : sources[s].key,
                                          .label = field ? field->label : sources[s].label,
                                          .unit = sources[s].unit,
                                          .is_of_guest =
                                              field && sources[s].field >= PW_FOOT_PROCESS_FIELDS,
                                          .absence = PW_ABSENT_NO_SAMPLES};
        size_t n = 0;
        for (size_t i = 0; i < steady->count; i++) {
            struct pw_value value = value_of(&steady->samples[i], s);
            if (pw_value_is_present(value)) {
                values[n++] = value.number;
            } else if (sources[s].source == SOURCE_FIELD) {
                series.absence = value.state;
            }
        }
        if (pw_stats_describe(values, n, false, &series.stats, err) != 0) {
            return -1;
        }
        /* Of CPU time, the first sample has none. */
        size_t whole = steady->count - (sources[s].source == SOURCE_CPU && steady->count > 0);
        if (n >= 2 && n == whole && find_trend(steady, values, n, &series, err) != 0) {
            return -1;
        }
        ret_series[s] = series;
    }
    return 0;
}

const char *pw_steady_direction(const struct pw_steady_series *series)
{
    const struct pw_interval *ci = &series->per_minute.slope_ci;
    if (!series->has_trend || !isfinite(ci->low) || !isfinite(ci->high)) {
        return "unknown";
    }
    return ci->low > 0 ? "rising" : ci->high < 0 ? "falling" : "none";
}
