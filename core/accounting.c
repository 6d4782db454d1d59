#include "core/accounting.h"

#include "core/json.h"
#include "core/stats.h"

/* What each rung is for, and where it is blind by its nature. */
static const struct {
    const char *name, *cannot_see;
} rungs[PW_RUNG_COUNT] = {
    [PW_RUNG_EBPF] = {"ebpf", "what others do on a worker's behalf: writing back of files, "
                              "services that it asks by a socket"},
    [PW_RUNG_CGROUP] = {"cgroup", "single processes: it has sums and peaks of the whole only, and "
                                  "the warden's some hundred KiB are in its memory"},
    [PW_RUNG_PROC] = {"proc", "what begins and ends between two samples; the CPU time of processes "
                              "that nobody waited for"},
};

/* A question that may have several answers: the metrics that give them, the best first. */
struct question {
    const char *about;
    struct answer {
        enum pw_rung rung;
        enum pw_metric_id metric;
        const char *cannot_see;
    } answers[3];
    size_t count;
};
#define ANSWERS(...)          \
    .answers = {__VA_ARGS__}, \
    .count = sizeof((struct answer[]){__VA_ARGS__}) / sizeof(struct answer)
static const struct question questions[] = {
    {.about = "processes",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_PROCESSES, "nothing"},
             {PW_RUNG_PROC, PW_METRIC_TREE_PROCESSES_SEEN,
              "processes that lived between two samples"})},
    {.about = "most processes at once",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_PEAK_PROCESSES, "nothing"},
             {PW_RUNG_CGROUP, PW_METRIC_CGROUP_PIDS_PEAK, "what is a thread and what a process"},
             {PW_RUNG_PROC, PW_METRIC_TREE_PEAK_PROCESSES, "peaks between two samples"})},
    {.about = "memory of the tree",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_PEAK_RSS,
              "changes smaller than the kernel's counting batch: 32 pages a CPU and process (64 a "
              "thread before Linux 6.2), more on machines of over 16 CPUs"},
             {PW_RUNG_CGROUP, PW_METRIC_CGROUP_MEMORY_PEAK,
              "whose it is; file cache counts, pages that another cgroup touched first do not"},
             {PW_RUNG_PROC, PW_METRIC_TREE_PEAK_RSS_MB, "peaks between two samples"})},
    {.about = "memory of one process",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_PEAK_PROCESS_RSS,
              "changes smaller than the kernel's counting batch"},
             {PW_RUNG_PROC, PW_METRIC_MAX_RSS_MB,
              "processes that nobody waited for; the kernel counts in batches here too"})},
    {.about = "CPU time",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_CPU, "nothing"},
             {PW_RUNG_CGROUP, PW_METRIC_CGROUP_USER_CPU, "single processes"},
             {PW_RUNG_PROC, PW_METRIC_USER_CPU, "processes that nobody waited for"})},
    {.about = "context switches",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_VOLUNTARY, "nothing"},
             {PW_RUNG_PROC, PW_METRIC_VOLUNTARY_CTX_SWITCHES, "processes that nobody waited for"})},
    {.about = "waiting for a CPU",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_WAIT_RUNQ,
              "CPU time that a hypervisor gave to other machines"},
             {PW_RUNG_CGROUP, PW_METRIC_CGROUP_PRESSURE_CPU, "how many tasks waited at once"})},
    {.about = "where the time went",
     ANSWERS(
         {PW_RUNG_EBPF, PW_METRIC_KERNEL_WALL_ON_CPU, "what it waited for beyond this machine"})},
    {.about = "page faults",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_MINOR_FAULTS, "nothing"},
             {PW_RUNG_PROC, PW_METRIC_MINOR_FAULTS, "processes that nobody waited for"})},
    {.about = "bytes to and from storage",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_READ_BYTES, "nothing"},
             {PW_RUNG_CGROUP, PW_METRIC_CGROUP_IO_READ, "file systems without a block device"},
             {PW_RUNG_PROC, PW_METRIC_IO_READ, "processes that nobody waited for"})},
    {.about = "latency of block devices",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_BLOCK_REQUESTS,
              "requests that the kernel's threads make, such as writing back"})},
    {.about = "latency of the network",
     ANSWERS({PW_RUNG_EBPF, PW_METRIC_KERNEL_TCP_CONNECTS,
              "UDP and QUIC; connections of before the worker's start"})},
};

/* Sampled, exact: what they measure is the same. */
static const enum pw_metric_id twins[][2] = {
    {PW_METRIC_TREE_PEAK_RSS_MB, PW_METRIC_KERNEL_PEAK_RSS},
    {PW_METRIC_TREE_PEAK_PROCESSES, PW_METRIC_KERNEL_PEAK_PROCESSES},
    {PW_METRIC_TREE_PROCESSES_SEEN, PW_METRIC_KERNEL_PROCESSES},
    {PW_METRIC_PEAK_DIRECT_CHILDREN, PW_METRIC_KERNEL_PEAK_CHILDREN},
    {PW_METRIC_VOLUNTARY_CTX_SWITCHES, PW_METRIC_KERNEL_VOLUNTARY},
    {PW_METRIC_INVOLUNTARY_CTX_SWITCHES, PW_METRIC_KERNEL_INVOLUNTARY},
    {PW_METRIC_MINOR_FAULTS, PW_METRIC_KERNEL_MINOR_FAULTS},
};

const char *pw_rung_name(enum pw_rung rung)
{
    return rungs[rung].name;
}

const char *pw_rung_state_name(enum pw_rung_state state)
{
    static const char *const names[] = {
        [PW_RUNG_NOT_ASKED] = "not_asked", [PW_RUNG_USED] = "used", [PW_RUNG_REFUSED] = "refused"};
    return names[state];
}

static json_t *text_or_null(const char *text)
{
    return pw_json_string_or_null(text[0] != '\0' ? text : NULL);
}

static json_t *rungs_to_json(const struct pw_accounting *accounting, bool *failed)
{
    json_t *list = json_array();
    for (enum pw_rung rung = 0; rung < PW_RUNG_COUNT; rung++) {
        enum pw_rung_state state = accounting->rungs[rung].state;
        bool used = state == PW_RUNG_USED;
        json_t *entry = json_object();
        pw_json_put(entry, "name", json_string(rungs[rung].name), failed);
        pw_json_put(entry, "state", json_string(pw_rung_state_name(state)), failed);
        pw_json_put(entry, "why", text_or_null(accounting->rungs[rung].why), failed);
        pw_json_put(entry, "remedy", text_or_null(accounting->rungs[rung].remedy), failed);
        pw_json_put(entry, "setup_ms",
                    used ? json_real(accounting->rungs[rung].setup_ms) : json_null(), failed);
        pw_json_put(entry, "cannot_see", used ? json_string(rungs[rung].cannot_see) : json_null(),
                    failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

/* For each question the best metric that has a value. */
static json_t *sources_to_json(const struct pw_stats *stats, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        const struct question *question = &questions[i];
        const struct answer *best = NULL;
        for (size_t j = 0; !best && j < question->count; j++) {
            best = stats[question->answers[j].metric].n > 0 ? &question->answers[j] : NULL;
        }
        const struct pw_metric *row = best ? &pw_metrics[best->metric] : NULL;
        json_t *entry = json_object();
        pw_json_put(entry, "about", json_string(question->about), failed);
        pw_json_put(entry, "rung", best ? json_string(rungs[best->rung].name) : json_null(),
                    failed);
        pw_json_put(entry, "metric", row ? json_string(row->path) : json_null(), failed);
        pw_json_put(entry, "source", row ? json_string(row->source) : json_null(), failed);
        pw_json_put(entry, "cannot_see", best ? json_string(best->cannot_see) : json_null(),
                    failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

/* How far the sampled or waited-for number lies below the exact one, where both are known. */
static json_t *missed_to_json(const struct pw_stats *stats, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
        const struct pw_stats *seen = &stats[twins[i][0]];
        const struct pw_stats *exact = &stats[twins[i][1]];
        if (seen->n == 0 || exact->n == 0) {
            continue;
        }
        double part = exact->mean.number > 0 ? seen->mean.number / exact->mean.number : 1;
        json_t *entry = json_object();
        pw_json_put(entry, "metric", json_string(pw_metrics[twins[i][0]].path), failed);
        pw_json_put(entry, "exact", json_string(pw_metrics[twins[i][1]].path), failed);
        pw_json_put(entry, "mean", pw_json_number(seen->mean, false), failed);
        pw_json_put(entry, "exact_mean", pw_json_number(exact->mean, false), failed);
        pw_json_put(entry, "missed_pct", json_real((1 - part) * 100), failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

static json_t *powers_to_json(const struct pw_kernel_powers *powers, bool *failed)
{
    const struct {
        const char *name;
        bool has;
    } items[] = {
        {"tree", powers->tree},       {"memory", powers->memory},
        {"waits", powers->waits},     {"decomposition", powers->decomposition},
        {"reasons", powers->reasons}, {"faults", powers->faults},
        {"io", powers->io},           {"block", powers->block},
        {"tcp", powers->tcp},         {"syscalls", powers->syscalls},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        pw_json_put(object, items[i].name, json_boolean(items[i].has), failed);
    }
    return object;
}

static const char *used_rung(const struct pw_accounting *accounting)
{
    for (enum pw_rung rung = 0; rung < PW_RUNG_COUNT; rung++) {
        if (accounting->rungs[rung].state == PW_RUNG_USED) {
            return rungs[rung].name;
        }
    }
    return "none";
}

json_t *pw_accounting_to_json(const struct pw_accounting *accounting, const struct pw_stats *stats,
                              bool *failed)
{
    if (!accounting->is_stated) {
        return json_null();
    }
    bool has_ebpf = accounting->rungs[PW_RUNG_EBPF].state == PW_RUNG_USED;
    bool is_exact = accounting->lost == 0 && accounting->untracked == 0;
    json_t *object = json_object();
    pw_json_put(object, "asked", json_string(accounting->asked), failed);
    pw_json_put(object, "used", json_string(used_rung(accounting)), failed);
    pw_json_put(object, "exact",
                has_ebpf && accounting->workers > 0 ? json_boolean(is_exact) : json_null(), failed);
    pw_json_put(object, "lost_events", json_integer((json_int_t)accounting->lost), failed);
    pw_json_put(object, "untracked_threads", json_integer((json_int_t)accounting->untracked),
                failed);
    pw_json_put(object, "untraced_switches", json_integer((json_int_t)accounting->untraced),
                failed);
    pw_json_put(object, "rungs", rungs_to_json(accounting, failed), failed);
    pw_json_put(object, "ebpf_powers",
                has_ebpf ? powers_to_json(&accounting->powers, failed) : json_null(), failed);
    pw_json_put(object, "sources", sources_to_json(stats, failed), failed);
    pw_json_put(object, "sampling_missed", missed_to_json(stats, failed), failed);
    return object;
}
