/*
 * Samples of a running process tree at fixed times: at start + k * interval, also for k = 0, up to
 * the duration. A time that has passed while a sample was taken is left out and counted. What comes
 * of it as JSON and as a document is in steady_report.c. Threads: no shared state.
 */
#ifndef PW_CLI_STEADY_H
#define PW_CLI_STEADY_H

#include <jansson.h>
#include <stdint.h>
#include <time.h>
#include "core/document.h"
#include "core/stats.h"
#include "core/trend.h"
#include "wrapper/cli/footprint_report.h"

struct pw_steady_sample {
    struct timespec at; /* wall clock */
    int64_t offset_ns;  /* from the start, CLOCK_MONOTONIC */
    int64_t late_ns;    /* behind its time */
    int64_t took_ns;
    size_t process_count;
    struct pw_value totals[PW_FOOT_COUNT];
    struct pw_value cpu_percent; /* since the sample before; of one CPU: 200 for two busy ones */
};

enum pw_steady_end { PW_STEADY_DONE, PW_STEADY_TARGET_ENDED, PW_STEADY_INTERRUPTED };

struct pw_steady {
    double duration_sec, interval_sec;
    struct pw_steady_sample *samples;
    size_t count;
    size_t missed; /* times that had passed while a sample was taken */
    size_t skipped_processes;
    enum pw_steady_end end;
    int signal;       /* that interrupted it */
    int64_t ended_ns; /* from the start */
};
#define PW_STEADY_AUTO __attribute__((cleanup(pw_steady_done))) struct pw_steady
void pw_steady_done(struct pw_steady *steady);

/* How many times there are; more than PW_LIMIT_STEADY_SAMPLES are refused. */
int pw_steady_count(double duration_sec, double interval_sec, size_t *ret_count,
                    struct pw_err *err);
/* Samples until the end of the duration, or of the target, or a signal from `signal_fd`
 * (wrapper/run/signals.h). `steady` has its duration and interval. Errors: PW_ERR_SYSTEM,
 * PW_ERR_MEMORY; that the target ended is none. */
int pw_steady_run(struct pw_foot_session *session, int signal_fd, struct pw_steady *steady,
                  struct pw_err *err);

/* The series that are summarised. */
enum { PW_STEADY_SERIES_COUNT = 9 };
struct pw_steady_series {
    const char *key, *label;
    enum pw_foot_unit unit;
    struct pw_stats stats;
    bool is_of_guest;
    bool has_trend; /* two samples at least, and the number known in all */
    struct pw_trend per_minute;
    enum pw_absence absence; /* why there is no value at all */
};
int pw_steady_summarise(const struct pw_steady *steady,
                        struct pw_steady_series ret_series[PW_STEADY_SERIES_COUNT],
                        struct pw_err *err);
/* "rising" or "falling" if the 95 % interval of the slope leaves 0 out, "none", or "unknown" if
 * there are too few values to tell. */
const char *pw_steady_direction(const struct pw_steady_series *series);

json_t *pw_steady_to_json(const struct pw_foot_session *session, const struct pw_steady *steady,
                          const struct pw_steady_series series[PW_STEADY_SERIES_COUNT]);
void pw_steady_report(const struct pw_foot_session *session, const struct pw_steady *steady,
                      const struct pw_steady_series series[PW_STEADY_SERIES_COUNT],
                      struct pw_document *document);

#endif
