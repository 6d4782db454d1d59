#include "wrapper/probe/footprint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/saturate.h"
#include "wrapper/probe/footprint_guest.h"
#include "wrapper/probe/footprint_read.h"
#include "wrapper/probe/proc.h"

enum { FIRST_CAPACITY = 16, SLOTS_PER_PROCESS = 2, PATH_BYTES = 64 };

/* A process of the tree. */
struct member {
    struct pw_foot_process process; /* as of the last look at which it was alive */
    bool seen, gone, alive;
    uint64_t starttime_ticks;
    uint64_t own_ns, waited_ns; /* CPU time: its own, and of those it has waited for */
};

struct pw_footprint {
    struct pw_proc *proc;
    struct member *members;
    size_t count, capacity;
    uint32_t *living;  /* indices into `members`, as of the last look */
    uint32_t *slots;   /* hash table by pid: index into `members` plus 1, 0 for free */
    size_t slot_count; /* a power of two */
    size_t skipped;    /* in this look */
    bool denied;
    uint64_t followed_ns, cpu_ns;
    pid_t guest_pid; /* see pw_footprint_set_guest() */
    uint64_t guest_kib;
    int task_fd; /* /proc/PID/task of the process whose children are looked for */
};

/* The array of members and its hash table */

static size_t slot_of(const struct pw_footprint *tree, pid_t pid)
{
    size_t mask = tree->slot_count - 1, slot = (size_t)pid & mask;
    while (tree->slots[slot] != 0 && tree->members[tree->slots[slot] - 1].process.pid != pid) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static struct member *find(const struct pw_footprint *tree, pid_t pid)
{
    uint32_t at = tree->slots[slot_of(tree, pid)];
    return at ? &tree->members[at - 1] : NULL;
}

static void fill_slots(struct pw_footprint *tree)
{
    memset(tree->slots, 0, tree->slot_count * sizeof *tree->slots);
    for (size_t i = 0; i < tree->count; i++) {
        tree->slots[slot_of(tree, tree->members[i].process.pid)] = (uint32_t)(i + 1);
    }
}

static bool grow(struct pw_footprint *tree)
{
    size_t capacity = tree->capacity ? tree->capacity * 2 : FIRST_CAPACITY;
    struct member *members = reallocarray(tree->members, capacity, sizeof *members);
    if (!members) {
        return false;
    }
    tree->members = members;
    uint32_t *living = reallocarray(tree->living, capacity, sizeof *living);
    if (!living) {
        return false;
    }
    tree->living = living;
    uint32_t *slots = reallocarray(tree->slots, capacity * SLOTS_PER_PROCESS, sizeof *slots);
    if (!slots) {
        return false;
    }
    tree->slots = slots;
    tree->slot_count = capacity * SLOTS_PER_PROCESS;
    tree->capacity = capacity;
    fill_slots(tree);
    return true;
}

static bool add(struct pw_footprint *tree, pid_t pid, bool is_root)
{
    bool is_full = !tree->members || tree->count == tree->capacity;
    if (tree->count >= PW_LIMIT_TREE_PROCESSES || (is_full && !grow(tree))) {
        return false;
    }
    size_t slot = slot_of(tree, pid);
    tree->members[tree->count++] =
        (struct member){.process = {.pid = pid, .is_root = is_root, .state = '?'}};
    tree->slots[slot] = (uint32_t)tree->count;
    return true;
}

static void remove_gone(struct pw_footprint *tree)
{
    size_t left = 0;
    for (size_t i = 0; i < tree->count; i++) {
        if (!tree->members[i].gone) {
            tree->members[left++] = tree->members[i];
        }
    }
    if (left < tree->count) {
        tree->count = left;
        fill_slots(tree);
    }
}

/* Children */

static void found_child(void *context, pid_t pid)
{
    struct pw_footprint *tree = context;
    if (tree->proc->has_clocks && pid == getpid()) {
        return;
    }
    const struct member *known = find(tree, pid);
    if ((!known || known->gone) && !add(tree, pid, false)) {
        tree->skipped++;
    }
}

/* A child is listed at the thread that forked it. */
static void visit_thread(void *context, pid_t tid)
{
    struct pw_footprint *tree = context;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%d/children", tid);
    PW_FD_AUTO fd = openat(tree->task_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)pw_proc_children_read(fd, found_child, tree);
    }
}

/* May move the members. */
static void visit_children(struct pw_footprint *tree, int dir_fd, pid_t pid)
{
    if (tree->proc->source == PW_PROC_SCAN) {
        pw_proc_scanned_children(tree->proc, pid, found_child, tree);
        return;
    }
    PW_FD_AUTO fd = openat(dir_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        tree->task_fd = fd;
        (void)pw_proc_numbers_read(fd, visit_thread, tree);
    }
}

/* One process */

/* A /proc mounted with hidepid shows nothing of a process that exists. */
static bool is_hidden(const struct pw_footprint *tree, pid_t pid)
{
    return tree->proc->has_clocks && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Whether what was read is the member, or, for the first time, a child of one. */
static bool is_ours(const struct pw_footprint *tree, const struct member *member,
                    const struct pw_proc_stat *stat)
{
    if (member->seen) {
        return stat->starttime_ticks == member->starttime_ticks;
    }
    return member->process.is_root || find(tree, stat->ppid) != NULL;
}

static void follow_cpu(struct pw_footprint *tree, struct member *member,
                       const struct pw_foot_reading *reading)
{
    const struct pw_proc_stat *stat = &reading->stat;
    if (reading->own_ns > member->own_ns) {
        tree->followed_ns = pw_add_saturated(tree->followed_ns, reading->own_ns - member->own_ns);
        member->own_ns = reading->own_ns;
    }
    if (!member->seen) { /* the time of those that it had waited for when it was found */
        tree->followed_ns = pw_add_saturated(
            tree->followed_ns, pw_foot_ns_of(tree->proc, stat->cutime_ticks + stat->cstime_ticks));
    }
    member->waited_ns = pw_foot_ns_of(tree->proc, stat->cutime_ticks + stat->cstime_ticks);
}

static void visit(struct pw_footprint *tree, size_t index)
{
    struct member *member = &tree->members[index];
    struct pw_foot_process *process = &member->process;
    struct pw_foot_reading reading;
    PW_FD_AUTO dir_fd = -1;
    enum pw_proc_outcome outcome =
        pw_proc_open_file(tree->proc, O_DIRECTORY, &dir_fd, "%d", process->pid);
    member->alive = false;
    if (outcome == PW_PROC_OK) {
        outcome = pw_foot_stat_read(tree->proc, dir_fd, process->pid, &reading, process->name);
    }
    if (outcome == PW_PROC_DENIED || (outcome == PW_PROC_GONE && !member->seen &&
                                      process->is_root && is_hidden(tree, process->pid))) {
        tree->denied = true;
        return;
    }
    if (outcome != PW_PROC_OK || !is_ours(tree, member, &reading.stat)) {
        member->gone = outcome != PW_PROC_FAILED;
        return;
    }
    follow_cpu(tree, member, &reading);
    member->seen = true;
    member->starttime_ticks = reading.stat.starttime_ticks;
    process->ppid = reading.stat.ppid;
    process->state = reading.stat.state;
    process->is_kernel_thread = reading.stat.is_kernel_thread;
    if (process->state == 'X' || (process->state == 'Z' && reading.stat.threads <= 1)) {
        return;
    }
    process->guest_kib = tree->guest_kib > 0 && process->pid == tree->guest_pid
                             ? tree->guest_kib
                             : pw_foot_guest_kib(dir_fd);
    member->alive = pw_foot_values_read(tree->proc, dir_fd, &reading, process);
    visit_children(tree, dir_fd, process->pid);
}

/* The tree as a whole */

static void add_value(struct pw_value *total, struct pw_value part)
{
    if (pw_value_is_present(*total)) {
        *total = pw_value_is_present(part) ? pw_value_of(total->number + part.number) : part;
    }
}

/* As wrapper/probe/tree.c does: two sums that are both never above the truth, and the largest value
 * that either ever had. */
static void add_cpu(struct pw_footprint *tree)
{
    uint64_t snapshot_ns = 0;
    for (size_t i = 0; i < tree->count; i++) {
        const struct member *member = &tree->members[i];
        if (!member->gone && member->process.state != 'X') {
            snapshot_ns = pw_add_saturated(snapshot_ns, member->own_ns);
            snapshot_ns = pw_add_saturated(snapshot_ns, member->waited_ns);
        }
    }
    uint64_t larger = snapshot_ns > tree->followed_ns ? snapshot_ns : tree->followed_ns;
    tree->cpu_ns = larger > tree->cpu_ns ? larger : tree->cpu_ns;
}

/* Of the guests and what is left when they are taken out; `totals` has the rest. */
static void add_guests(const struct pw_footprint *tree, struct pw_value totals[PW_FOOT_COUNT])
{
    struct pw_value rss = pw_value_of(0), pss = rss;
    bool any = false;
    for (size_t i = 0; i < tree->count; i++) {
        const struct member *member = &tree->members[i];
        if (member->alive && member->process.guest_kib > 0) {
            add_value(&rss, member->process.values[PW_FOOT_GUEST_RSS]);
            add_value(&pss, member->process.values[PW_FOOT_GUEST_PSS]);
            any = true;
        }
    }
    struct pw_value overhead = totals[PW_FOOT_PSS];
    add_value(&overhead, totals[PW_FOOT_HUGETLB]);
    if (!pw_value_is_present(pss)) {
        overhead = pss;
    } else if (pw_value_is_present(overhead)) {
        overhead.number = overhead.number > pss.number ? overhead.number - pss.number : 0;
    }
    struct pw_value none = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    totals[PW_FOOT_GUEST_RSS] = any ? rss : none;
    totals[PW_FOOT_GUEST_PSS] = any ? pss : none;
    totals[PW_FOOT_OVERHEAD] = any ? overhead : none;
}

enum pw_foot_outcome pw_footprint_look(struct pw_footprint *footprint,
                                       struct pw_foot_look *ret_look)
{
    struct pw_foot_look look = {0};
    size_t roots = 0;
    footprint->skipped = 0;
    footprint->denied = footprint->proc->source == PW_PROC_NONE;
    if (footprint->proc->source == PW_PROC_SCAN) {
        pw_proc_scan(footprint->proc);
    }
    for (size_t i = 0; i < footprint->count; i++) {
        visit(footprint, i);
    }
    remove_gone(footprint);
    add_cpu(footprint);
    for (size_t f = 0; f < PW_FOOT_PROCESS_FIELDS; f++) {
        look.totals[f] = pw_value_of(0);
    }
    for (size_t i = 0; i < footprint->count; i++) {
        const struct member *member = &footprint->members[i];
        for (size_t f = 0; f < PW_FOOT_PROCESS_FIELDS && member->alive; f++) {
            add_value(&look.totals[f], member->process.values[f]);
        }
        if (member->alive) {
            footprint->living[look.process_count++] = (uint32_t)i;
            roots += member->process.is_root;
        }
    }
    add_guests(footprint, look.totals);
    if (roots == 0) {
        return footprint->denied ? PW_FOOT_DENIED : PW_FOOT_GONE;
    }
    look.skipped = footprint->skipped;
    look.cpu_ns = footprint->cpu_ns;
    *ret_look = look;
    return PW_FOOT_SEEN;
}

void pw_footprint_set_guest(struct pw_footprint *footprint, pid_t pid, uint64_t guest_kib)
{
    footprint->guest_pid = pid;
    footprint->guest_kib = guest_kib;
}

const struct pw_foot_process *pw_footprint_process(const struct pw_footprint *footprint,
                                                   size_t index)
{
    return &footprint->members[footprint->living[index]].process;
}

int pw_footprint_open(struct pw_proc *proc, const pid_t *roots, size_t count,
                      struct pw_footprint **ret_footprint, struct pw_err *err)
{
    struct pw_footprint *footprint = calloc(1, sizeof *footprint);
    if (!footprint) {
        return pw_err_memory(err);
    }
    footprint->proc = proc;
    for (size_t i = 0; i < count; i++) {
        if (!add(footprint, roots[i], true)) {
            pw_footprint_close(footprint);
            return pw_err_memory(err);
        }
    }
    *ret_footprint = footprint;
    return 0;
}

void pw_footprint_close(struct pw_footprint *footprint)
{
    if (footprint) {
        free(footprint->members);
        free(footprint->living);
        free(footprint->slots);
        free(footprint);
    }
}
