#include "core/kernel_account.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/metric.h"

static const double MIB = 1048576.0;

/* Names of system calls by number, made from the C library's header when this was built. */
static const char *const syscall_names[] = {
#include <syscall_names.inc>
};

const char *pw_wait_name(enum pw_wait wait)
{
    static const char *const names[PW_WAIT_COUNT] = {
        [PW_WAIT_RUNQ] = "runq",   [PW_WAIT_IO] = "io",     [PW_WAIT_LOCK] = "lock",
        [PW_WAIT_SLEEP] = "sleep", [PW_WAIT_POLL] = "poll", [PW_WAIT_NETWORK] = "network",
        [PW_WAIT_CHILD] = "child", [PW_WAIT_PIPE] = "pipe", [PW_WAIT_OTHER] = "other",
    };
    return names[wait];
}

void pw_kernel_account_init(struct pw_kernel_account *account)
{
    *account = (struct pw_kernel_account){0};
}

void pw_kernel_account_done(struct pw_kernel_account *account)
{
    free(account->process_list);
    free(account->remotes);
    free(account->slowest);
    pw_kernel_account_init(account);
}

/* Sets rows in one go: those of a power that is missing are absent. */
struct setter {
    struct pw_value *values;
    bool has;
};

static void set(const struct setter *setter, enum pw_metric_id id, double number)
{
    setter->values[id] =
        setter->has ? pw_value_of(number) : pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
}

static void set_ms(const struct setter *setter, enum pw_metric_id id, int64_t ns)
{
    set(setter, id, pw_ns_to_ms(ns));
}

/* A mean of nothing is no number. */
static void set_mean_ms(const struct setter *setter, enum pw_metric_id id, int64_t sum_ns,
                        uint64_t count)
{
    if (setter->has && count == 0) {
        setter->values[id] = pw_value_absent(PW_ABSENT_NO_SAMPLES);
    } else {
        set(setter, id, count > 0 ? pw_ns_to_ms(sum_ns) / (double)count : 0);
    }
}

static void set_tree(const struct pw_kernel_account *account, struct pw_value *values)
{
    const struct setter tree = {values, account->powers.tree};
    set(&tree, PW_METRIC_KERNEL_PROCESSES, (double)account->processes);
    set(&tree, PW_METRIC_KERNEL_THREADS, (double)account->threads);
    set(&tree, PW_METRIC_KERNEL_EXECS, (double)account->execs);
    set(&tree, PW_METRIC_KERNEL_PEAK_PROCESSES, (double)account->peak_processes);
    set(&tree, PW_METRIC_KERNEL_PEAK_CHILDREN, (double)account->peak_children);
    set(&tree, PW_METRIC_KERNEL_CPU, pw_ns_to_sec(account->cpu_ns));
    set(&tree, PW_METRIC_KERNEL_VOLUNTARY, (double)account->voluntary);
    set(&tree, PW_METRIC_KERNEL_INVOLUNTARY, (double)account->involuntary);
}

static void set_times(const struct pw_kernel_account *account, struct pw_value *values)
{
    const struct setter wall = {values, account->powers.decomposition};
    set_ms(&wall, PW_METRIC_KERNEL_WALL_SPAWN, account->wall.spawn_ns);
    set_ms(&wall, PW_METRIC_KERNEL_WALL_ON_CPU, account->wall.on_cpu_ns);
    set_ms(&wall, PW_METRIC_KERNEL_WALL_RUNQ, account->wall.runq_ns);
    set_ms(&wall, PW_METRIC_KERNEL_WALL_IO, account->wall.io_ns);
    set_ms(&wall, PW_METRIC_KERNEL_WALL_BLOCKED, account->wall.blocked_ns);
    set_ms(&wall, PW_METRIC_KERNEL_WALL_EXIT_TAIL, account->wall.exit_tail_ns);

    static const enum pw_metric_id ids[PW_WAIT_COUNT] = {
        [PW_WAIT_RUNQ] = PW_METRIC_KERNEL_WAIT_RUNQ,
        [PW_WAIT_IO] = PW_METRIC_KERNEL_WAIT_IO,
        [PW_WAIT_LOCK] = PW_METRIC_KERNEL_WAIT_LOCK,
        [PW_WAIT_SLEEP] = PW_METRIC_KERNEL_WAIT_SLEEP,
        [PW_WAIT_POLL] = PW_METRIC_KERNEL_WAIT_POLL,
        [PW_WAIT_NETWORK] = PW_METRIC_KERNEL_WAIT_NETWORK,
        [PW_WAIT_CHILD] = PW_METRIC_KERNEL_WAIT_CHILD,
        [PW_WAIT_PIPE] = PW_METRIC_KERNEL_WAIT_PIPE,
        [PW_WAIT_OTHER] = PW_METRIC_KERNEL_WAIT_OTHER,
    };
    for (enum pw_wait wait = 0; wait < PW_WAIT_COUNT; wait++) {
        bool is_told = wait <= PW_WAIT_IO || account->powers.reasons;
        const struct setter waits = {values, account->powers.waits && is_told};
        set_ms(&waits, ids[wait], account->wait_ns[wait]);
    }
    const struct setter waits = {values, account->powers.waits};
    set_ms(&waits, PW_METRIC_KERNEL_RUNQ_MAX, account->longest_runq_ns);
}

static void set_memory_and_io(const struct pw_kernel_account *account, struct pw_value *values)
{
    const struct setter memory = {values, account->powers.memory};
    set(&memory, PW_METRIC_KERNEL_PEAK_RSS, (double)account->peak_rss_bytes / MIB);
    set(&memory, PW_METRIC_KERNEL_PEAK_PROCESS_RSS, (double)account->peak_process_rss_bytes / MIB);
    const struct setter faults = {values, account->powers.faults};
    set(&faults, PW_METRIC_KERNEL_MINOR_FAULTS, (double)account->minor_faults);
    set(&faults, PW_METRIC_KERNEL_MAJOR_FAULTS, (double)account->major_faults);
    const struct setter io = {values, account->powers.io};
    set(&io, PW_METRIC_KERNEL_RCHAR, (double)account->read_chars);
    set(&io, PW_METRIC_KERNEL_WCHAR, (double)account->written_chars);
    set(&io, PW_METRIC_KERNEL_READ_BYTES, (double)account->read_bytes);
    set(&io, PW_METRIC_KERNEL_WRITE_BYTES, (double)account->written_bytes);
    const struct setter block = {values, account->powers.block};
    set(&block, PW_METRIC_KERNEL_BLOCK_REQUESTS, (double)account->block_requests);
    set(&block, PW_METRIC_KERNEL_BLOCK_READ, (double)account->block_read_bytes);
    set(&block, PW_METRIC_KERNEL_BLOCK_WRITE, (double)account->block_written_bytes);
    set_mean_ms(&block, PW_METRIC_KERNEL_BLOCK_MEAN, account->block_ns, account->block_requests);
    set_mean_ms(&block, PW_METRIC_KERNEL_BLOCK_MAX, account->longest_block_ns,
                account->block_requests > 0);
}

static void set_network(const struct pw_kernel_account *account, struct pw_value *values)
{
    const struct setter tcp = {values, account->powers.tcp};
    set(&tcp, PW_METRIC_KERNEL_TCP_CONNECTS, (double)account->tcp_connects);
    set(&tcp, PW_METRIC_KERNEL_TCP_FAILED, (double)account->tcp_failed);
    set_mean_ms(&tcp, PW_METRIC_KERNEL_TCP_MEAN, account->tcp_connect_ns, account->tcp_connects);
    set_mean_ms(&tcp, PW_METRIC_KERNEL_TCP_MAX, account->longest_tcp_connect_ns,
                account->tcp_connects > 0);
    set(&tcp, PW_METRIC_KERNEL_TCP_SENT, (double)account->tcp_sent_bytes);
    set(&tcp, PW_METRIC_KERNEL_TCP_RECEIVED, (double)account->tcp_received_bytes);
    set(&tcp, PW_METRIC_KERNEL_TCP_RETRANSMITS, (double)account->tcp_retransmits);
    if (account->powers.syscalls) { /* only where they were asked for */
        values[PW_METRIC_KERNEL_SYSCALLS] = pw_value_of((double)account->syscalls);
    }
}

void pw_kernel_account_set_values(const struct pw_kernel_account *account, struct pw_value *values)
{
    set_tree(account, values);
    set_times(account, values);
    set_memory_and_io(account, values);
    set_network(account, values);
}

static void put_count(json_t *object, const char *key, uint64_t count, bool *failed)
{
    pw_json_put(object, key, json_integer((json_int_t)count), failed);
}

static void put_number(json_t *object, const char *key, double number, bool *failed)
{
    pw_json_put(object, key, pw_json_number(pw_value_of(number), false), failed);
}

static void put_ms(json_t *object, const char *key, int64_t ns, bool *failed)
{
    put_number(object, key, pw_ns_to_ms(ns), failed);
}

static void put_text(json_t *object, const char *key, const char *text, bool *failed)
{
    pw_json_put(object, key, pw_json_string_or_null(text), failed);
}

static json_t *blocked_by(const struct pw_kernel_account *account, bool *failed)
{
    json_t *object = json_object();
    for (enum pw_wait wait = PW_WAIT_LOCK; wait < PW_WAIT_COUNT; wait++) {
        put_ms(object, pw_wait_name(wait), account->wall.blocked_by_ns[wait], failed);
    }
    return object;
}

/* Slots up to the last one that counted something. */
static json_t *runq_histogram(const struct pw_kernel_account *account, bool *failed)
{
    json_t *list = json_array();
    unsigned used = PW_KERNEL_SLOTS;
    while (used > 0 && account->runq_slots[used - 1] == 0) {
        used--;
    }
    for (unsigned i = 0; i < used; i++) {
        json_t *slot = json_object();
        put_number(slot, "below_ms", (double)(UINT64_C(2) << i) / 1e3, failed);
        put_count(slot, "count", account->runq_slots[i], failed);
        pw_json_append(list, slot, failed);
    }
    return list;
}

/* The process that held most of the tree's peak among those that come after `last` in that order;
 * NULL: none held any more. */
static const struct pw_kernel_process *next_holder(const struct pw_kernel_account *account,
                                                   const struct pw_kernel_process *last)
{
    const struct pw_kernel_process *found = NULL;
    for (size_t i = 0; i < account->process_count; i++) {
        const struct pw_kernel_process *process = &account->process_list[i];
        uint64_t part = process->rss_at_tree_peak_bytes;
        bool comes_after = !last || part < last->rss_at_tree_peak_bytes ||
                           (part == last->rss_at_tree_peak_bytes && process > last);
        if (part > 0 && comes_after && (!found || part > found->rss_at_tree_peak_bytes)) {
            found = process;
        }
    }
    return found;
}

/* Who held the tree's peak: the largest ones. */
static json_t *holders(const struct pw_kernel_account *account, bool *failed)
{
    enum { HOLDERS_LISTED = 10 };
    json_t *list = json_array();
    const struct pw_kernel_process *process = next_holder(account, NULL);
    for (int i = 0; process && i < HOLDERS_LISTED; i++) {
        json_t *holder = json_object();
        put_count(holder, "pid", (uint64_t)process->pid, failed);
        put_text(holder, "comm", process->comm, failed);
        put_number(holder, "rss_mb", (double)process->rss_at_tree_peak_bytes / MIB, failed);
        pw_json_append(list, holder, failed);
        process = next_holder(account, process);
    }
    return list;
}

static json_t *memory_peak(const struct pw_kernel_account *account, int64_t spawned_at_ns,
                           bool *failed)
{
    json_t *object = json_object();
    put_number(object, "tree_rss_mb", (double)account->peak_rss_bytes / MIB, failed);
    put_ms(object, "at_ms", account->peak_rss_at_ns - spawned_at_ns, failed);
    pw_json_put(object, "held_by", holders(account, failed), failed);
    json_t *largest = json_object();
    put_count(largest, "pid", (uint64_t)account->peak_process_pid, failed);
    put_text(largest, "comm", account->peak_process_comm, failed);
    put_number(largest, "rss_mb", (double)account->peak_process_rss_bytes / MIB, failed);
    pw_json_put(object, "largest_process", largest, failed);
    return object;
}

static json_t *process_entry(const struct pw_kernel_process *process, int64_t spawned_at_ns,
                             bool *failed)
{
    bool ended = process->ended_at_ns != 0;
    bool by_signal = ended && WIFSIGNALED(process->status);
    json_t *entry = json_object();
    put_count(entry, "pid", (uint64_t)process->pid, failed);
    put_count(entry, "ppid", (uint64_t)process->ppid, failed);
    put_text(entry, "comm", process->comm, failed);
    put_ms(entry, "started_ms", process->started_at_ns - spawned_at_ns, failed);
    pw_json_put(entry, "ended_ms",
                ended ? json_real(pw_ns_to_ms(process->ended_at_ns - spawned_at_ns)) : json_null(),
                failed);
    pw_json_put(entry, "exit_code",
                ended && !by_signal ? json_integer(WEXITSTATUS(process->status)) : json_null(),
                failed);
    pw_json_put(entry, "signal", by_signal ? json_integer(WTERMSIG(process->status)) : json_null(),
                failed);
    put_count(entry, "threads", process->threads, failed);
    put_ms(entry, "cpu_ms", process->cpu_ns, failed);
    put_number(entry, "peak_rss_mb", (double)process->peak_rss_bytes / MIB, failed);
    return entry;
}

static json_t *processes(const struct pw_kernel_account *account, int64_t spawned_at_ns,
                         bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < account->process_count && i < PW_LIMIT_KERNEL_PROCESSES_LISTED; i++) {
        pw_json_append(list, process_entry(&account->process_list[i], spawned_at_ns, failed),
                       failed);
    }
    return list;
}

static json_t *remotes(const struct pw_kernel_account *account, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < account->remote_count; i++) {
        const struct pw_kernel_remote *remote = &account->remotes[i];
        bool any = remote->connects > 0;
        json_t *entry = json_object();
        put_text(entry, "address", remote->address, failed);
        put_count(entry, "port", remote->port, failed);
        put_count(entry, "connects", remote->connects, failed);
        put_count(entry, "failed", remote->failed, failed);
        put_count(entry, "pending", remote->pending, failed);
        pw_json_put(entry, "mean_connect_ms",
                    any ? json_real(pw_ns_to_ms(remote->connect_ns) / (double)remote->connects)
                        : json_null(),
                    failed);
        pw_json_put(entry, "longest_connect_ms",
                    any ? json_real(pw_ns_to_ms(remote->longest_connect_ns)) : json_null(), failed);
        put_count(entry, "sent_bytes", remote->sent_bytes, failed);
        put_count(entry, "received_bytes", remote->received_bytes, failed);
        put_count(entry, "retransmits", remote->retransmits, failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

static json_t *syscalls(const struct pw_kernel_account *account, bool *failed)
{
    static const int known = (int)(sizeof(syscall_names) / sizeof(syscall_names[0]));
    json_t *list = json_array();
    for (size_t i = 0; i < account->slowest_count; i++) {
        const struct pw_kernel_syscall *call = &account->slowest[i];
        bool named = call->number >= 0 && call->number < known && syscall_names[call->number];
        json_t *entry = json_object();
        put_text(entry, "name", named ? syscall_names[call->number] : NULL, failed);
        pw_json_put(entry, "number", json_integer(call->number), failed);
        put_count(entry, "count", call->count, failed);
        put_ms(entry, "total_ms", call->total_ns, failed);
        put_ms(entry, "longest_ms", call->longest_ns, failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

json_t *pw_kernel_account_to_json(const struct pw_kernel_account *account, int64_t spawned_at_ns,
                                  bool *failed)
{
    const struct pw_kernel_powers *powers = &account->powers;
    json_t *object = json_object();
    pw_json_put(object, "exact", json_boolean(account->lost == 0 && account->untracked == 0),
                failed);
    put_count(object, "lost_events", account->lost, failed);
    put_count(object, "untracked_threads", account->untracked, failed);
    put_count(object, "untraced_switches", account->untraced, failed);
    if (powers->decomposition) {
        pw_json_put(object, "blocked_by_ms", blocked_by(account, failed), failed);
    }
    if (powers->waits) {
        pw_json_put(object, "runq_histogram", runq_histogram(account, failed), failed);
    }
    if (powers->memory) {
        pw_json_put(object, "memory_peak", memory_peak(account, spawned_at_ns, failed), failed);
    }
    if (powers->tcp) {
        pw_json_put(object, "tcp_remotes", remotes(account, failed), failed);
    }
    if (powers->syscalls) {
        pw_json_put(object, "slowest_syscalls", syscalls(account, failed), failed);
    }
    if (powers->tree) {
        pw_json_put(object, "processes", processes(account, spawned_at_ns, failed), failed);
    }
    return object;
}
