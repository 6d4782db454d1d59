#include <fcntl.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/saturate.h"
#include "wrapper/probe/tree_impl.h"

/* Whether the pid is still that of the process that the last sample found. */
static bool is_same(struct pw_tree *tree, struct pw_tree_process *process)
{
    PW_PROC_BORROWED_AUTO file;
    struct pw_proc_stat stat;

    return pw_proc_borrow(tree->proc, &process->stat_fd, 0, &file, "%d/stat", process->pid) ==
               PW_PROC_OK &&
           pw_proc_stat_read(file.fd, &stat) == PW_PROC_OK &&
           stat.starttime_ticks == process->starttime_ticks;
}

static void add_rollup(struct pw_memory_breakdown *breakdown, const struct pw_proc_rollup *rollup)
{
    const struct {
        uint64_t *sum;
        uint64_t part;
    } parts[] = {
        {&breakdown->rss_bytes, rollup->part_bytes[PW_ROLLUP_RSS]},
        {&breakdown->pss_bytes, rollup->pss_bytes},
        {&breakdown->anon_bytes, rollup->part_bytes[PW_ROLLUP_PSS_ANON]},
        {&breakdown->file_bytes, rollup->part_bytes[PW_ROLLUP_PSS_FILE]},
        {&breakdown->shmem_bytes, rollup->part_bytes[PW_ROLLUP_PSS_SHMEM]},
        {&breakdown->swap_bytes, rollup->part_bytes[PW_ROLLUP_SWAP_PSS]},
        {&breakdown->footprint_bytes, rollup->footprint_bytes},
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        *parts[i].sum = pw_add_saturated(*parts[i].sum, parts[i].part);
    breakdown->has_parts = breakdown->has_parts && rollup->has_footprint;
    breakdown->processes++;
}

/* An open file stays with the memory that the process had when it was opened. So if the process is
 * the same after both are open, both are of one memory, and that is of this process. */
static enum pw_proc_outcome add_process(struct pw_tree *tree, struct pw_tree_process *process,
                                        struct pw_memory_maps *maps,
                                        struct pw_memory_breakdown *breakdown)
{
    PW_FD_AUTO rollup_fd = -1;
    PW_FD_AUTO maps_fd = -1;
    struct pw_proc_rollup rollup;
    enum pw_proc_outcome outcome =
        pw_proc_open_file(tree->proc, 0, &rollup_fd, "%d/smaps_rollup", process->pid);

    if (outcome == PW_PROC_OK)
        outcome = pw_proc_open_file(tree->proc, 0, &maps_fd, "%d/smaps", process->pid);
    if (outcome == PW_PROC_OK && !is_same(tree, process))
        outcome = PW_PROC_GONE;
    if (outcome == PW_PROC_OK)
        outcome = pw_proc_rollup_read(rollup_fd, &rollup);
    if (outcome != PW_PROC_OK)
        return outcome;
    add_rollup(breakdown, &rollup);
    outcome = pw_memory_maps_read(maps, maps_fd);
    /* One that ended in between: its sums are there, but not all of its mappings. */
    return outcome == PW_PROC_GONE ? PW_PROC_FAILED : outcome;
}

bool pw_tree_break_down(struct pw_tree *tree, struct pw_memory_maps *maps,
                        struct pw_memory_breakdown *ret_breakdown)
{
    struct pw_memory_breakdown breakdown = {.has_parts = true};

    if (tree->proc->source == PW_PROC_NONE || !tree->proc->has_rollup)
        return false;
    pw_memory_maps_begin(maps);
    for (size_t i = 0; i < tree->count; i++) {
        struct pw_tree_process *process = &tree->processes[i];
        if (!process->seen || process->gone)
            continue;
        if (breakdown.processes >= PW_LIMIT_MAPPED_PROCESSES) {
            breakdown.partial = true;
            break;
        }
        enum pw_proc_outcome outcome = add_process(tree, process, maps, &breakdown);
        /* Who has ended has no memory any more; a zombie too, whose files are empty or gone. */
        if (outcome != PW_PROC_OK && outcome != PW_PROC_GONE)
            breakdown.partial = true;
    }
    if (breakdown.processes == 0)
        return false;
    breakdown.at_ns = pw_clock_now_ns();
    pw_memory_maps_top(maps, &breakdown);
    *ret_breakdown = breakdown;
    return true;
}
