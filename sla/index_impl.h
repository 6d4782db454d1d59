/*
 * What the files behind sla/index.h share. Not for others.
 *
 * A run is what an index needs of one summary: some numbers and a few short texts. It is read from
 * the file (index_read.c) or taken from the cache (index_cache.c), by several threads
 * (index_load.c); runs become groups (index_group.c), each metric of a group is judged
 * (index_judge.c), and the judgements become JSON (index_json.c).
 */
#ifndef PW_SLA_INDEX_IMPL_H
#define PW_SLA_INDEX_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "core/change_points.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/trend.h"
#include "core/value.h"
#include "sla/index.h"

/* ---------------------------------------------------------------- runs */

/* Texts that are kept of a summary. */
enum pw_index_text {
    PW_INDEX_GENERATED_AT,
    PW_INDEX_PROFILE_NAME,
    PW_INDEX_RUN_DIR,
    PW_INDEX_CPU_MODEL,
    PW_INDEX_KERNEL,
    PW_INDEX_ARCH,
    PW_INDEX_ACCELERATOR,
    PW_INDEX_GUEST,   /* of boots: lines "key=value" of what sla/guest.h names, less the accelerator
                       */
    PW_INDEX_MOMENTS, /* of marks and phases: see index_moments.c */
    PW_INDEX_TEXT_COUNT
};

/* Which file, and which content of it: as stat(2) tells. */
struct pw_index_identity {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
};

enum pw_index_state { PW_INDEX_UNREAD, PW_INDEX_READ, PW_INDEX_FROM_CACHE, PW_INDEX_SKIPPED };

struct pw_index_run {
    char *path;
    size_t order; /* in which it was given */
    enum pw_index_state state;
    char *reason;                           /* of a skipped one */
    char *block;                            /* holds the texts; NULL: the cache does */
    const char *texts[PW_INDEX_TEXT_COUNT]; /* NULL: the summary has none */
    double values[PW_INDEX_METRIC_COUNT];   /* NAN: not there */
    double cpu_count;                       /* NAN: not there */
    struct pw_index_identity identity;
    bool regular;
    bool cacheable; /* a regular file that has been left alone for a while */
    /* `generated_at` as a time. */
    bool has_time;
    int64_t time_sec;
    int32_t time_nsec;
};

/* All runs of a call, in the order in which they were given. They stay where they are in memory
 * while more come. */
enum { PW_INDEX_BLOCK = 1024, PW_INDEX_BLOCKS = PW_LIMIT_INPUT_FILES / PW_INDEX_BLOCK + 1 };
struct pw_index_runs {
    struct pw_index_run *blocks[PW_INDEX_BLOCKS];
    size_t count;
};
struct pw_index_run *pw_index_runs_at(const struct pw_index_runs *runs, size_t i);
/* Adds one that was not read. `info`: as the file was before anybody reads it. */
int pw_index_runs_add(struct pw_index_runs *runs, const char *path, const struct stat *info,
                      struct pw_err *err);
void pw_index_runs_done(struct pw_index_runs *runs);

void pw_index_identify(const struct stat *info, struct pw_index_identity *ret_identity);
bool pw_index_identity_equal(const struct pw_index_identity *a, const struct pw_index_identity *b);

/* ---------------------------------------------------------------- reading (index_read.c) */

/* Reads summaries one after the other; one for each thread. */
struct pw_index_reader;
int pw_index_reader_new(struct pw_index_reader **ret_reader, struct pw_err *err);
void pw_index_reader_free(struct pw_index_reader *reader);
/* Fills what is read of run->path. A file that is broken or no summary is PW_ERR_INPUT. */
int pw_index_reader_read(struct pw_index_reader *reader, struct pw_index_run *run,
                         struct pw_err *err);
/* ---------------------------------------------------------------- moments (index_moments.c) */

/* The medians of a summary's marks and phases as one text, a line each, in the order of the
 * summary: `marks.ready_ms.p50=12.5`. Nothing is added where there are none, and none beyond
 * PW_LIMIT_INDEX_MOMENT_BYTES. `summary`: the object `summary` of the document. */
void pw_index_moments_text(const json_t *summary, struct pw_str *ret_text);
/* The number of that name ("marks.ready_ms.p50") in a run; NAN if it has none. */
double pw_index_moment(const struct pw_index_run *run, const char *name);

/* The names that any run of a group has: those of its latest run first. */
enum { PW_INDEX_GROUP_MOMENTS_MAX = 256, PW_INDEX_MOMENT_NAME_MAX = PW_LIMIT_MOMENT_NAME + 24 };
struct pw_index_moment_names {
    char (*names)[PW_INDEX_MOMENT_NAME_MAX];
    size_t count;
};
struct pw_index_group;
int pw_index_moment_names_of(const struct pw_index_group *group,
                             struct pw_index_moment_names *ret_names, struct pw_err *err);
void pw_index_moment_names_done(struct pw_index_moment_names *names);

/* ---------------------------------------------------------------- times (index_time.c) */

/* RFC 3339: "2026-02-23T10:13:12.96+01:00"; without an offset it is taken for UTC. */
bool pw_index_parse_time(const char *text, int64_t *ret_sec, int32_t *ret_nsec);

/* ---------------------------------------------------------------- the cache (index_cache.c) */

struct pw_index_cache;
/* Reads the cache at `path`; one that is not there, or was damaged (*ret_fault says how, a constant
 * text, else NULL), is empty. PW_ERR_INPUT if the file is something else, which is not to be
 * overwritten. */
int pw_index_cache_open(const char *path, struct pw_index_cache **ret_cache, const char **ret_fault,
                        struct pw_err *err);
/* As pw_index_cache_open(), of bytes; takes them, also on failure. For tests. */
int pw_index_cache_decode(char *bytes, size_t size, struct pw_index_cache **ret_cache,
                          const char **ret_fault, struct pw_err *err);
/* Puts the head before `count` records, so that the whole is sound as far as its sums go. */
void pw_index_cache_seal(char *bytes, size_t size, uint64_t count);
void pw_index_cache_free(struct pw_index_cache *cache);
size_t pw_index_cache_count(const struct pw_index_cache *cache);
/* Fills the run from the cache if its file (run->identity) is still the one that was read. Its
 * texts are the cache's. Any number of threads, for different runs. */
bool pw_index_cache_take(struct pw_index_cache *cache, struct pw_index_run *run);
/* Writes what `runs` say, and what the cache knows of other files that are still there; nothing if
 * that is what the file holds. */
int pw_index_cache_update(struct pw_index_cache *cache, const char *path,
                          const struct pw_index_runs *runs, struct pw_err *err);

/* ---------------------------------------------------------------- threads (index_threads.c) */

/* As many as CPUs are allowed. */
size_t pw_index_thread_count(void);
/* Calls `work` for each i < count, in any order, by as many threads. The first failure ends it. */
int pw_index_each(size_t count, int (*work)(size_t i, void *context, struct pw_err *err),
                  void *context, struct pw_err *err);

/* ---------------------------------------------------------------- all of them (index_load.c) */

/* Finds the files that `words` name, and reads them while it does. *ret_runs is to be ended with
 * pw_index_runs_done(), also after a failure. */
int pw_index_load_runs(const char *const *words, size_t count, struct pw_index_cache *cache,
                       const struct pw_index_options *options, struct pw_index_runs *ret_runs,
                       struct pw_err *err);

/* ---------------------------------------------------------------- groups (index_group.c) */

struct pw_index_group {
    char *name;
    struct pw_index_run **runs; /* oldest first; those that count: the last `window` of the latest
                                   run's machine */
    size_t count, capacity;
    size_t excluded; /* of other machines */
};
struct pw_index_groups {
    struct pw_index_group *items; /* in the order in which their first run was given */
    size_t count, capacity;
};
int pw_index_groups_make(const struct pw_index_runs *runs, const struct pw_index_options *options,
                         struct pw_index_groups *ret_groups, struct pw_err *err);
void pw_index_groups_done(struct pw_index_groups *groups);
/* The group's name of a run; free() it. */
char *pw_index_group_name(const struct pw_index_run *run, bool exact, struct pw_err *err);
bool pw_index_same_machine(const struct pw_index_run *a, const struct pw_index_run *b);

/* ---------------------------------------------------------------- judging (index_judge.c) */

enum pw_index_status {
    PW_INDEX_INSUFFICIENT,
    PW_INDEX_GREEN,
    PW_INDEX_YELLOW,
    PW_INDEX_RED,
    PW_INDEX_STATUS_COUNT
};
const char *pw_index_status_name(enum pw_index_status status);

/* Where a value stands in a sample. */
struct pw_index_standing {
    size_t n;
    struct pw_value median, mad, robust_z, robust_z_fallback, delta_pct;
};

struct pw_index_judgement {
    size_t n; /* 0: nothing else is set */
    bool higher_is_better;
    double current, mean, trimmed_mean, p95, p99, min, max, std, iqr;
    struct pw_value cv;
    struct pw_index_standing window;     /* of the current value in all of them, itself included */
    struct pw_index_standing baseline;   /* in those before it */
    enum pw_index_status status, strict; /* by `window` */
    enum pw_index_status baseline_status;
    double noise_floor;
    struct pw_change_point *points; /* `index` is that of the run in its group */
    size_t point_count;
    bool has_trend;
    struct pw_trend trend;
};
int pw_index_judge(const struct pw_index_group *group, size_t metric, unsigned min_samples,
                   struct pw_index_judgement *ret_judgement, struct pw_err *err);
/* The same of a mark or a phase: "marks.ready_ms.p50". Lower is better, and the noise floor is that
 * of latency_ms. */
int pw_index_judge_moment(const struct pw_index_group *group, const char *name,
                          unsigned min_samples, struct pw_index_judgement *ret_judgement,
                          struct pw_err *err);
void pw_index_judgement_done(struct pw_index_judgement *judgement);
/* Every metric of every group: that of group g is [g * PW_INDEX_METRIC_COUNT + metric]. */
int pw_index_judge_all(const struct pw_index_groups *groups, unsigned min_samples,
                       struct pw_index_judgement **ret_judgements, struct pw_err *err);
void pw_index_judgements_free(struct pw_index_judgement *judgements, size_t group_count);

/* ---------------------------------------------------------------- JSON (index_json.c) */

json_t *pw_index_to_json(const struct pw_index_groups *groups, const struct pw_index_runs *runs,
                         const struct pw_index_options *options, struct pw_err *err);

#endif
