/*
 * How a sample is taken. The tree's processes stand in one array in the order in which they were
 * found, and a sample visits them in that order: stat first, then the list of children, of which
 * the unknown ones go to the array's end and are visited in the same sample. A process is found
 * through an ancestor, and gets a new parent only among its ancestors (the warden, or a subreaper
 * of the target's own), so the order has this property: every process stands behind all that can
 * ever wait for it.
 *
 * CPU time. While a process exists, also as a zombie, its own time is what its CPU clock says; when
 * it is waited for, that moves to cutime and cstime of whoever waited; if its parent ignores
 * SIGCHLD it vanishes. Two sums, neither of which is ever above the truth: snapshot: own and
 * waited-for time of all processes, and the warden's waited-for time. As whoever may wait is read
 * before those it may wait for, a time that moves meanwhile is missed for one sample, never counted
 * twice. The kernel adds the time to the parent's just before it removes the child, which then has
 * state X: those are left out here. Times lost to an ignored SIGCHLD are missing. followed: the own
 * time of every process up to when it was last read. Misses what a process did after that, and
 * processes that no sample saw. The tree's CPU time is the largest value that either of them ever
 * had, so it never decreases.
 *
 * How exact that is. Own times are in nanoseconds. cutime and cstime are in whole clock ticks of 10
 * ms, cut off: a process's time loses up to a tick in each when it is waited for, and the snapshot
 * may fall below the followed sum by that, which then counts. A tick that becomes full was partly
 * used before: so a difference of two samples may be too large by what was cut off in the first,
 * and the sample says how much that can be. A process whose CPU clock cannot be had (a /proc of
 * another pid namespace, say) gives its own time in such ticks too.
 */
#include "wrapper/probe/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/saturate.h"
#include "wrapper/probe/proc.h"
#include "wrapper/probe/proc_file.h"
#include "wrapper/probe/tree_impl.h"

enum { PATH_BYTES = 64, FIRST_CAPACITY = 16, SLOTS_PER_PROCESS = 2 };

/* What one look at a process found. */
struct reading {
    struct pw_proc_stat stat;
    uint64_t own_ns;
};

/* One sample while it is taken. */
struct look {
    struct pw_tree *tree;
    struct pw_tree_sample *sample;
    unsigned want;
    uint64_t snapshot_ns;
    uint64_t hidden_ns;    /* at most, in clock ticks that are not full */
    uint64_t skipped;      /* for want of room */
    uint64_t listed;       /* children of the process that is being visited */
    int task_fd;           /* /proc/PID/task of the process that is being visited */
    uint64_t thread_pages; /* RSS that its threads report; they share it */
    uint64_t rollups;      /* smaps_rollup files that were read */
    bool rollup_denied, rollup_without_footprint;
    uint64_t pss_bytes, footprint_bytes;
};

/* The array of processes and its hash table */

static size_t slot_of(const struct pw_tree *tree, pid_t pid)
{
    /* Linux gives pids one after the other, so their low digits are spread well. */
    size_t mask = tree->slot_count - 1, slot = (size_t)pid & mask;

    while (tree->slots[slot] != 0 && tree->processes[tree->slots[slot] - 1].pid != pid)
        slot = (slot + 1) & mask;
    return slot;
}

/* The index plus 1, 0 if there is none; one that went away in this sample is still found. */
static uint32_t find(const struct pw_tree *tree, pid_t pid)
{
    return tree->slots[slot_of(tree, pid)];
}

static void fill_slots(struct pw_tree *tree)
{
    memset(tree->slots, 0, tree->slot_count * sizeof *tree->slots);
    for (size_t i = 0; i < tree->count; i++)
        tree->slots[slot_of(tree, tree->processes[i].pid)] = (uint32_t)(i + 1);
}

static bool grow(struct pw_tree *tree)
{
    size_t capacity = tree->capacity ? tree->capacity * 2 : FIRST_CAPACITY;
    struct pw_tree_process *processes = reallocarray(tree->processes, capacity, sizeof *processes);

    if (processes == NULL)
        return false;
    tree->processes = processes;
    uint32_t *slots = reallocarray(tree->slots, capacity * SLOTS_PER_PROCESS, sizeof *slots);
    if (slots == NULL)
        return false;
    tree->slots = slots;
    tree->slot_count = capacity * SLOTS_PER_PROCESS;
    tree->capacity = capacity;
    fill_slots(tree);
    return true;
}

static void process_init(struct pw_tree_process *process, pid_t pid)
{
    *process = (struct pw_tree_process){.pid = pid, .stat_fd = -1, .children_fd = -1};
}

/* Puts a process at the end, also in place of one that is gone and had the same pid. */
static bool add(struct pw_tree *tree, pid_t pid)
{
    if (tree->count >= PW_LIMIT_TREE_PROCESSES || (tree->count == tree->capacity && !grow(tree)))
        return false;
    size_t slot = slot_of(tree, pid);
    process_init(&tree->processes[tree->count++], pid);
    tree->slots[slot] = (uint32_t)tree->count;
    return true;
}

static void forget(struct pw_tree *tree, struct pw_tree_process *process)
{
    process->gone = true;
    pw_proc_keep_no_more(tree->proc, &process->stat_fd);
    pw_proc_keep_no_more(tree->proc, &process->children_fd);
    if (process->is_root)
        pw_proc_keep_no_more(tree->proc, &tree->root_fds_fd);
}

/* Keeps the order: the CPU sums depend on it. */
static void remove_gone(struct pw_tree *tree)
{
    size_t left = 0;

    for (size_t i = 0; i < tree->count; i++) {
        if (!tree->processes[i].gone)
            tree->processes[left++] = tree->processes[i];
    }
    if (left == tree->count)
        return;
    tree->count = left;
    fill_slots(tree);
}

/* Children */

static void found_child(void *context, pid_t pid)
{
    struct look *look = context;
    struct pw_tree *tree = look->tree;
    uint32_t known = find(tree, pid);

    look->listed++;
    if (pid == tree->warden.pid || (known != 0 && !tree->processes[known - 1].gone))
        return;
    if (!add(tree, pid))
        look->skipped++;
}

static void visit_thread_children(void *context, pid_t tid)
{
    struct look *look = context;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%d/children", tid);
    PW_FD_AUTO fd = openat(look->task_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)pw_proc_children_read(fd, found_child, look);
}

static void visit_threads(struct look *look, pid_t pid, void (*visit)(void *context, pid_t tid))
{
    PW_FD_AUTO fd = -1;

    if (pw_proc_open_file(look->tree->proc, O_DIRECTORY, &fd, "%d/task", pid) != PW_PROC_OK)
        return;
    look->task_fd = fd;
    (void)pw_proc_numbers_read(fd, visit, look);
}

/* Adds what is not known yet, counts all in look->listed. May move the array that `process` is in.
 * Lists that cannot be read are those of processes that just ended; their children are found
 * elsewhere, or later. */
static void visit_children(struct look *look, struct pw_tree_process *process, uint64_t threads)
{
    struct pw_proc *proc = look->tree->proc;
    pid_t pid = process->pid;

    look->listed = 0;
    if (proc->source == PW_PROC_SCAN) {
        pw_proc_scanned_children(proc, pid, found_child, look);
        return;
    }
    /* A child is listed at the thread that forked it. */
    if (threads > 1) {
        visit_threads(look, pid, visit_thread_children);
        return;
    }
    PW_PROC_BORROWED_AUTO file;
    if (pw_proc_borrow(proc, &process->children_fd, 0, &file, "%d/task/%d/children", pid, pid) ==
        PW_PROC_OK)
        (void)pw_proc_children_read(file.fd, found_child, look);
}

/* Numbers of one process */

static uint64_t ns_of(const struct pw_proc *proc, uint64_t ticks)
{
    uint64_t limit = (uint64_t)(INT64_MAX / proc->ns_per_tick);

    return (ticks < limit ? ticks : limit) * (uint64_t)proc->ns_per_tick;
}

/* An open stat file stays with the process that had the pid when it was opened. So if the file can
 * be read after the clock was, the pid was not given again between, and the clock is this process's
 * too. */
static enum pw_proc_outcome read_stat(struct pw_proc *proc, struct pw_tree_process *process,
                                      struct reading *ret_reading)
{
    PW_PROC_BORROWED_AUTO file;
    enum pw_proc_outcome outcome =
        pw_proc_borrow(proc, &process->stat_fd, 0, &file, "%d/stat", process->pid);
    struct reading reading;

    if (outcome != PW_PROC_OK)
        return outcome;
    bool has_clock = pw_proc_clock_read(proc, process->pid, &process->clock, &reading.own_ns);
    outcome = pw_proc_stat_read(file.fd, &reading.stat);
    if (outcome != PW_PROC_OK)
        return outcome;
    if (!has_clock)
        reading.own_ns = ns_of(proc, reading.stat.utime_ticks + reading.stat.stime_ticks);
    *ret_reading = reading;
    return PW_PROC_OK;
}

static void read_thread_pages(void *context, pid_t tid)
{
    struct look *look = context;
    struct pw_proc_stat stat;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%d/stat", tid);
    PW_FD_AUTO fd = openat(look->task_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && pw_proc_stat_read(fd, &stat) == PW_PROC_OK &&
        stat.rss_pages > look->thread_pages)
        look->thread_pages = stat.rss_pages;
}

/* A process whose first thread has ended before the others is a zombie by its state, and
 * /proc/PID/stat says that it has no memory; its other threads know better. */
static uint64_t rss_pages(struct look *look, const struct pw_proc_stat *stat)
{
    if (stat->state != 'Z')
        return stat->rss_pages;
    look->thread_pages = 0;
    visit_threads(look, stat->pid, read_thread_pages);
    return look->thread_pages;
}

static void count_descriptor(void *context, pid_t descriptor)
{
    (void)descriptor;
    ++*(uint64_t *)context;
}

static struct pw_value count_fds(struct pw_tree *tree, pid_t pid)
{
    struct stat dir;
    uint64_t count = 0;
    PW_PROC_BORROWED_AUTO file;
    enum pw_proc_outcome outcome =
        pw_proc_borrow(tree->proc, &tree->root_fds_fd, O_DIRECTORY, &file, "%d/fd", pid);

    if (outcome == PW_PROC_OK && tree->proc->is_real && fstat(file.fd, &dir) == 0 &&
        dir.st_size > 0)
        return pw_value_of((double)dir.st_size);
    /* Before Linux 6.2 that is 0. */
    if (outcome == PW_PROC_OK)
        outcome = pw_proc_numbers_read(file.fd, count_descriptor, &count);
    if (outcome == PW_PROC_OK)
        return pw_value_of((double)count);
    return pw_value_absent(outcome == PW_PROC_DENIED ? PW_ABSENT_NO_PERMISSION
                                                     : PW_ABSENT_NO_SAMPLES);
}

/* Not from a kept descriptor: that would stay with the memory that the process had before an exec.
 */
static void add_rollup(struct look *look, pid_t pid)
{
    PW_FD_AUTO fd = -1;
    struct pw_proc_rollup rollup;
    enum pw_proc_outcome outcome =
        pw_proc_open_file(look->tree->proc, 0, &fd, "%d/smaps_rollup", pid);

    if (outcome == PW_PROC_OK)
        outcome = pw_proc_rollup_read(fd, &rollup);
    if (outcome == PW_PROC_DENIED)
        look->rollup_denied = true;
    if (outcome != PW_PROC_OK)
        return;
    look->rollups++;
    look->pss_bytes += rollup.pss_bytes;
    look->footprint_bytes += rollup.footprint_bytes;
    if (!rollup.has_footprint)
        look->rollup_without_footprint = true;
}

/* The time of those that it has waited for. */
static uint64_t read_waited(struct look *look, const struct pw_proc_stat *stat)
{
    if (stat->has_waited)
        look->hidden_ns += ns_of(look->tree->proc, 2); /* less than one in each field */
    return ns_of(look->tree->proc, stat->cutime_ticks + stat->cstime_ticks);
}

static void add_cpu(struct look *look, struct pw_tree_process *process,
                    const struct reading *reading)
{
    struct pw_tree *tree = look->tree;

    if (reading->own_ns > process->own_ns) {
        tree->followed_ns = pw_add_saturated(tree->followed_ns, reading->own_ns - process->own_ns);
        process->own_ns = reading->own_ns;
    }
    if (reading->stat.state != 'X') {
        uint64_t waited_ns = read_waited(look, &reading->stat);
        look->snapshot_ns = pw_add_saturated(look->snapshot_ns, process->own_ns);
        look->snapshot_ns = pw_add_saturated(look->snapshot_ns, waited_ns);
    }
    if (process->is_root)
        tree->root_ns = process->own_ns;
}

/* One sample of one process */

/* True if the file of a process is missing although the process exists: a /proc mounted with
 * hidepid. */
static bool is_hidden(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* Reads a process's stat and checks that the pid is still, or for the first time, that of a process
 * of the tree. If it is not, the process is forgotten. */
static bool read_process(struct pw_tree *tree, struct pw_tree_process *process,
                         struct reading *ret_reading)
{
    struct reading reading;
    const struct pw_proc_stat *stat = &reading.stat;
    enum pw_proc_outcome outcome = read_stat(tree->proc, process, &reading);
    bool is_ours = outcome == PW_PROC_OK;

    if (outcome == PW_PROC_DENIED)
        tree->denied = true;
    if (outcome == PW_PROC_DENIED || outcome == PW_PROC_FAILED)
        return false;
    if (is_ours && process->seen)
        is_ours = stat->starttime_ticks == process->starttime_ticks;
    else if (is_ours)
        is_ours =
            stat->ppid == tree->warden.pid || (!process->is_root && find(tree, stat->ppid) != 0);
    if (is_ours) {
        if (!process->seen)
            tree->seen++;
        process->seen = true;
        process->starttime_ticks = stat->starttime_ticks;
        *ret_reading = reading;
        return true;
    }
    if (!process->seen && outcome == PW_PROC_GONE && is_hidden(process->pid))
        tree->denied = true;
    else if (!process->seen && !process->is_root)
        tree->missed++;
    forget(tree, process);
    return false;
}

static void visit(struct look *look, size_t index)
{
    struct pw_tree *tree = look->tree;
    struct pw_tree_sample *sample = look->sample;
    struct pw_tree_process *process = &tree->processes[index];
    struct reading reading;
    const struct pw_proc_stat *stat = &reading.stat;
    bool is_root = process->is_root;

    if (!read_process(tree, process, &reading))
        return;
    add_cpu(look, process, &reading);
    if (stat->state == 'X' || (stat->state == 'Z' && stat->threads <= 1))
        return;
    uint64_t rss_bytes = rss_pages(look, stat) * tree->proc->page_bytes;
    sample->processes++;
    sample->threads += (uint32_t)stat->threads;
    sample->rss_bytes += rss_bytes;
    visit_children(look, process, stat->threads);
    if ((look->want & PW_TREE_WANT_MAPS) && tree->proc->has_rollup)
        add_rollup(look, stat->pid);
    if (is_root) {
        sample->root_rss_bytes = rss_bytes;
        sample->direct_children = pw_value_of((double)look->listed);
        sample->open_fds = count_fds(tree, stat->pid);
    }
}

/* The warden has waited for the worker and for orphans; its own time is perfwrap's. */
static void visit_warden(struct look *look)
{
    struct pw_tree *tree = look->tree;
    struct reading reading;
    enum pw_proc_outcome outcome = read_stat(tree->proc, &tree->warden, &reading);

    if (outcome == PW_PROC_DENIED || (outcome == PW_PROC_GONE && is_hidden(tree->warden.pid)))
        tree->denied = true;
    if (outcome != PW_PROC_OK)
        return;
    tree->warden_ns = read_waited(look, &reading.stat);
    visit_children(look, &tree->warden, reading.stat.threads);
}

static void set_maps(const struct look *look, struct pw_tree_sample *sample)
{
    enum pw_absence reason = PW_PRESENT;

    if (!(look->want & PW_TREE_WANT_MAPS))
        reason = PW_ABSENT_NOT_MEASURED;
    else if (!look->tree->proc->has_rollup)
        reason = PW_ABSENT_NOT_SUPPORTED;
    else if (look->rollup_denied)
        reason = PW_ABSENT_NO_PERMISSION;
    else if (look->rollups == 0)
        reason = PW_ABSENT_NO_SAMPLES;
    sample->pss_bytes = sample->footprint_bytes = pw_value_absent(reason);
    if (reason != PW_PRESENT)
        return;
    sample->pss_bytes = pw_value_of((double)look->pss_bytes);
    sample->footprint_bytes = look->rollup_without_footprint
                                  ? pw_value_absent(PW_ABSENT_NOT_SUPPORTED)
                                  : pw_value_of((double)look->footprint_bytes);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int64_t signed_ns(uint64_t ns)
{
    return ns < INT64_MAX ? (int64_t)ns : INT64_MAX;
}

static void set_cpu(const struct look *look, struct pw_tree_sample *sample)
{
    struct pw_tree *tree = look->tree;
    uint64_t snapshot_ns = pw_add_saturated(look->snapshot_ns, tree->warden_ns);
    uint64_t most_ns = pw_add_saturated(snapshot_ns, look->hidden_ns);

    tree->tree_ns = larger(tree->tree_ns, larger(snapshot_ns, tree->followed_ns));
    sample->cpu_ns = signed_ns(tree->tree_ns);
    sample->cpu_most_ns = signed_ns(larger(tree->tree_ns, most_ns));
    sample->cpu_followed_ns = signed_ns(tree->followed_ns);
    sample->root_cpu_ns = signed_ns(tree->root_ns);
}

/* The tree as a whole */

int pw_tree_open(struct pw_proc *proc, pid_t warden_pid, pid_t root_pid, struct pw_tree **ret_tree,
                 struct pw_err *err)
{
    struct pw_tree *tree = calloc(1, sizeof *tree);

    if (tree == NULL)
        return pw_err_memory(err);
    tree->proc = proc;
    tree->root_fds_fd = -1;
    process_init(&tree->warden, warden_pid);
    if (!add(tree, root_pid)) {
        pw_tree_close(tree);
        return pw_err_memory(err);
    }
    tree->processes[0].is_root = true;
    *ret_tree = tree;
    return 0;
}

void pw_tree_close(struct pw_tree *tree)
{
    if (tree == NULL)
        return;
    for (size_t i = 0; i < tree->count; i++)
        forget(tree, &tree->processes[i]);
    forget(tree, &tree->warden);
    free(tree->processes);
    free(tree->slots);
    free(tree);
}

enum pw_tree_outcome pw_tree_sample(struct pw_tree *tree, unsigned want,
                                    struct pw_tree_sample *ret_sample)
{
    struct pw_tree_sample sample = {
        .earliest_ns = pw_clock_tick_before_ns(pw_clock_now_ns(), tree->proc->clock_tick_ns),
        .open_fds = pw_value_absent(PW_ABSENT_NO_SAMPLES),
        .direct_children = pw_value_absent(PW_ABSENT_NO_SAMPLES),
    };
    struct look look = {.tree = tree, .sample = &sample, .want = want};

    if (tree->proc->source == PW_PROC_NONE)
        return PW_TREE_GONE;
    if (tree->proc->source == PW_PROC_SCAN)
        pw_proc_scan(tree->proc);
    visit_warden(&look);
    for (size_t i = 0; i < tree->count; i++)
        visit(&look, i);
    remove_gone(tree);
    if (look.skipped > tree->skipped)
        tree->skipped = look.skipped;

    set_cpu(&look, &sample);
    sample.latest_ns = pw_clock_now_ns();
    if (sample.processes == 0)
        return PW_TREE_GONE;
    set_maps(&look, &sample);
    *ret_sample = sample;
    return PW_TREE_SAMPLED;
}

uint64_t pw_tree_processes_seen(const struct pw_tree *tree)
{
    return tree->seen;
}

uint64_t pw_tree_missed_exits(const struct pw_tree *tree)
{
    return tree->missed;
}

uint64_t pw_tree_skipped(const struct pw_tree *tree)
{
    return tree->skipped;
}

enum pw_absence pw_tree_absence(const struct pw_tree *tree)
{
    if (tree->proc->source == PW_PROC_NONE)
        return tree->proc->absence;
    return tree->denied ? PW_ABSENT_NO_PERMISSION : PW_ABSENT_NO_SAMPLES;
}
