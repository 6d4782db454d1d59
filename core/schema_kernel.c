#include "core/json.h"
#include "core/schema_impl.h"

static const struct pw_schema_field kernel_fields[] = {
    {"exact", "boolean", "True if nothing was lost and every thread was tracked."},
    {"lost_events", "integer", "Ends of processes that the kernel could not tell: not listed."},
    {"untracked_threads", "integer", "Threads over the limit, which are in none of the numbers."},
    {"untraced_switches", "integer",
     "Switches to or from a thread that the kernel did not trace: their moments follow from the "
     "scheduler's count of its time on CPUs. What it waited for is taken to be a CPU."},
};

static const struct pw_schema_field process_fields[] = {
    {"pid", "integer", "Its process number."},
    {"ppid", "integer", "Who began it."},
    {"comm", "string", "Its command name at its end."},
    {"started_ms", "number", "From the worker's spawn. Unit: ms."},
    {"ended_ms", "number|null", "Likewise; null: it still ran. Unit: ms."},
    {"exit_code", "integer|null", "Its exit status."},
    {"signal", "integer|null", "The signal that ended it."},
    {"threads", "integer", "Threads that it had."},
    {"cpu_ms", "number", "Its CPU time. Unit: ms."},
    {"peak_rss_mb", "number", "Its largest resident set. Unit: MiB."},
};

static const struct pw_schema_field remote_fields[] = {
    {"address", "string", "The remote address; `*`: all beyond the limit."},
    {"port", "integer", "The remote port."},
    {"connects", "integer", "Connections that were established."},
    {"failed", "integer", "Attempts that were refused or timed out."},
    {"pending", "integer", "Attempts that were neither yet."},
    {"mean_connect_ms", "number|null", "Mean time to establish one. Unit: ms."},
    {"longest_connect_ms", "number|null", "Longest time to establish one. Unit: ms."},
    {"sent_bytes", "integer", "Bytes sent. Unit: B."},
    {"received_bytes", "integer", "Bytes received. Unit: B."},
    {"retransmits", "integer", "Segments sent again."},
};

static const struct pw_schema_field syscall_fields[] = {
    {"name", "string|null", "The call's name."},
    {"number", "integer", "Its number on this architecture."},
    {"count", "integer", "Calls."},
    {"total_ms", "number", "Time in them, waiting included. Unit: ms."},
    {"longest_ms", "number", "The longest one. Unit: ms."},
};

static const struct pw_schema_field peak_fields[] = {
    {"tree_rss_mb", "number", "Resident memory of the tree at its peak. Unit: MiB."},
    {"at_ms", "number", "When that was, from the spawn. Unit: ms."},
    {"held_by", "array", "Who held it: pid, comm, rss_mb; the largest first."},
    {"largest_process", "object", "The process with the largest peak of its own."},
};

static const struct pw_schema_field slot_fields[] = {
    {"below_ms", "number", "Upper end of the slot. Unit: ms."},
    {"count", "integer", "Waits for a CPU that were shorter, and no shorter than the slot before."},
};

static const struct pw_schema_field rung_fields[] = {
    {"name", "string", "`ebpf`, `cgroup` or `proc`."},
    {"state", "string", "`used`, `refused` or `not_asked`."},
    {"why", "string|null", "Why it was refused, or what of it is missing."},
    {"remedy", "string|null", "What to do about that."},
    {"setup_ms", "number|null", "Time to get it ready, before the first iteration. Unit: ms."},
    {"cannot_see", "string|null", "What it cannot see by its nature."},
};

static const struct pw_schema_field source_fields[] = {
    {"about", "string", "What is measured."},
    {"rung", "string|null", "Who measured it best; null: nobody."},
    {"metric", "string|null", "The metric that holds it."},
    {"source", "string|null", "Where that comes from."},
    {"cannot_see", "string|null", "What it cannot see."},
};

static const struct pw_schema_field missed_fields[] = {
    {"metric", "string", "A metric that is sampled, or of processes that were waited for."},
    {"exact", "string", "The exact one of the same thing."},
    {"mean", "number|null", "Mean of the one."},
    {"exact_mean", "number|null", "Mean of the other."},
    {"missed_pct", "number", "By how much the first is smaller. Unit: percent."},
};

static const struct pw_schema_field accounting_fields[] = {
    {"asked", "string", "--accounting."},
    {"used", "string", "The highest rung that was used."},
    {"exact", "boolean|null", "Whether what eBPF counted is exact; null: it was not used."},
    {"lost_events", "integer", "Events that were lost, of all workers."},
    {"untracked_threads", "integer", "Threads over the limit, of all workers."},
    {"untraced_switches", "integer", "Switches that the kernel did not trace, of all workers."},
    {"rungs", "array", "The ladder: the most exact one first."},
    {"ebpf_powers", "object|null", "What eBPF could see on this machine."},
    {"sources", "array", "What was measured by whom."},
    {"sampling_missed", "array", "What sampling missed, where the exact number is known too."},
};

static const struct pw_schema_field breakdown_fields[] = {
    {"at_ms", "number", "When it was, from the spawn. Unit: ms."},
    {"processes", "integer", "Processes that are in it."},
    {"rss_mb", "number", "Resident memory. Unit: MiB."},
    {"pss_mb", "number", "The same with shared pages divided by their users. Unit: MiB."},
    {"anon_mb", "number|null", "Anonymous part of that. Unit: MiB."},
    {"file_mb", "number|null", "The part that is files. Unit: MiB."},
    {"shmem_mb", "number|null", "The part that is shared memory. Unit: MiB."},
    {"swap_mb", "number|null", "What is swapped out. Unit: MiB."},
    {"footprint_mb", "number|null", "Anonymous, shared and swapped. Unit: MiB."},
    {"peak_footprint_mb", "number|null", "Largest footprint in any sample. Unit: MiB."},
    {"mappings", "array", "The largest by name: name, pss_mb, rss_mb, swap_mb, processes."},
    {"mapping_names", "integer", "Names in all."},
    {"partial", "boolean", "True if a process could not be read."},
};

static const struct pw_schema_field cpu_profile_fields[] = {
    {"event", "string", "The clock that was sampled."},
    {"mode", "string", "`whole-machine` or `inherited`: how the workers were sampled."},
    {"hz", "number", "Samples a second of CPU time."},
    {"has_kernel", "boolean", "True if the kernel's part of stacks was seen."},
    {"samples", "integer", "Samples of all measured iterations."},
    {"weight_ms", "number", "The CPU time that they stand for. Unit: ms."},
    {"broken_stacks_pct", "number", "Samples whose callers could not all be found. Unit: percent."},
    {"lost_samples", "integer", "Records that did not fit into the kernel's buffers."},
    {"how", "string", "How it was sampled, in words, with the reasons."},
};

/* An array of objects with these fields. */
#define LIST_OF(fields, failed) \
    pw_schema_array(object_of(fields, sizeof(fields) / sizeof((fields)[0]), failed), failed)

static json_t *object_of(const struct pw_schema_field *fields, size_t count, bool *failed)
{
    json_t *object = pw_schema_object(NULL, failed);
    pw_schema_add_fields(object, fields, count, failed);
    return object;
}

/* Takes `member`. */
static void add_described(json_t *schema, const char *key, const char *description, json_t *member,
                          bool *failed)
{
    pw_json_put(member, "description", json_string(description), failed);
    pw_schema_add_optional(schema, key, member, failed);
}

void pw_schema_add_worker_kernel(json_t *worker, bool *failed)
{
    json_t *kernel = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(kernel, kernel_fields, failed);
    json_t *blocked = pw_schema_of("object", NULL, failed);
    pw_json_put(blocked, "additionalProperties", pw_schema_of("number", NULL, failed), failed);
    add_described(kernel, "blocked_by_ms", "What kernel_wall_blocked_ms was spent waiting for.",
                  blocked, failed);
    add_described(kernel, "runq_histogram", "How long threads waited for a CPU, one entry a wait.",
                  LIST_OF(slot_fields, failed), failed);
    json_t *peak = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(peak, peak_fields, failed);
    add_described(kernel, "memory_peak", "The tree's memory at its largest.", peak, failed);
    add_described(kernel, "tcp_remotes", "Remote endpoints that it connected to.",
                  LIST_OF(remote_fields, failed), failed);
    add_described(kernel, "slowest_syscalls", "System calls by the time in them.",
                  LIST_OF(syscall_fields, failed), failed);
    add_described(
        kernel, "processes",
        "Its processes, the first ones; in the iteration's file only when there are many.",
        LIST_OF(process_fields, failed), failed);
    add_described(worker, "kernel",
                  "What the kernel accounted of its tree; absent where it could not.", kernel,
                  failed);
    add_described(
        worker, "memory_at_peak",
        "What the tree's memory was at the largest footprint seen (--vmmap-snapshots).",
        object_of(breakdown_fields, sizeof(breakdown_fields) / sizeof(breakdown_fields[0]), failed),
        failed);
}

json_t *pw_schema_accounting(bool *failed)
{
    json_t *accounting = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(accounting, accounting_fields, failed);
    pw_schema_refine(accounting, "rungs", LIST_OF(rung_fields, failed), failed);
    pw_schema_refine(accounting, "sources", LIST_OF(source_fields, failed), failed);
    pw_schema_refine(accounting, "sampling_missed", LIST_OF(missed_fields, failed), failed);
    pw_schema_allow_null(accounting, failed);
    return accounting;
}

void pw_schema_add_cpu_profile(json_t *traces, bool *failed)
{
    for (size_t i = 0; i < sizeof(cpu_profile_fields) / sizeof(cpu_profile_fields[0]); i++) {
        const struct pw_schema_field *field = &cpu_profile_fields[i];
        pw_schema_add_optional(traces, field->key,
                               pw_schema_of(field->types, field->description, failed), failed);
    }
}
