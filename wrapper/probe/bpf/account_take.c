#include <account.skel.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/probe/bpf/account_impl.h"

_Static_assert((int)PW_BPF_WAITS == (int)PW_WAIT_COUNT &&
                   (int)PW_BPF_WAIT_OTHER == (int)PW_WAIT_OTHER,
               "the programs number reasons as core/kernel_account.h does");
_Static_assert((int)PW_BPF_HISTOGRAM == (int)PW_KERNEL_SLOTS &&
                   (int)PW_BPF_COMM == (int)PW_KERNEL_COMM,
               "the programs' sizes are those of core/kernel_account.h");

enum { ROOM_FOR_LATE = 16 };

int pw_account_keep(void *context, void *data, size_t size)
{
    struct pw_account *account = context;
    const struct pw_process_event *event = data;
    if (size < sizeof *event || event->slot >= account->slot_count)
        return 0;
    struct pw_account_slot *slot = &account->slots[event->slot];
    if (!slot->watched)
        return 0;
    if (slot->count >= PW_LIMIT_KERNEL_PROCESSES) {
        slot->lost++;
        return 0;
    }
    if (slot->count == slot->capacity) {
        size_t capacity = slot->capacity ? 2 * slot->capacity : 64;
        struct pw_process_event *grown = reallocarray(slot->ended, capacity, sizeof *grown);
        if (!grown) {
            slot->lost++;
            return 0;
        }
        slot->ended = grown;
        slot->capacity = capacity;
    }
    slot->ended[slot->count++] = *event;
    return 0;
}

int pw_account_fd(const struct pw_account *account)
{
    return ring_buffer__epoll_fd(account->ring);
}

void pw_account_drain(struct pw_account *account)
{
    ring_buffer__consume(account->ring);
}

int pw_account_watch(struct pw_account *account, unsigned slot, pid_t warden_pid,
                     struct pw_err *err)
{
    if (slot >= account->slot_count)
        return pw_err_set(err, PW_ERR_INTERNAL, "eBPF accounting has no slot %u", slot);
    struct pw_account_slot *own = &account->slots[slot];
    const struct pw_slot_sums sums = {.used = 1, .warden_pid = warden_pid, .peak_seq = 1};
    uint32_t warden = (uint32_t)warden_pid;

    pw_account_drain(account);
    own->watched = true;
    own->is_marked = false;
    own->warden_pid = warden_pid;
    own->lost = 0;
    own->count = 0;
    if (bpf_map_update_elem(account->loaded.fds[PW_ACCOUNT_SLOTS], &slot, &sums, BPF_ANY) ||
        bpf_map_update_elem(account->loaded.fds[PW_ACCOUNT_WARDENS], &warden, &slot, BPF_ANY))
        return pw_err_system(err, errno, "watch process %d by eBPF", (int)warden_pid);
    return 0;
}

void pw_account_mark(struct pw_account *account, unsigned slot)
{
    if (slot >= account->slot_count || !account->slots[slot].watched)
        return;
    struct pw_account_slot *own = &account->slots[slot];
    own->is_marked =
        bpf_map_lookup_elem(account->loaded.fds[PW_ACCOUNT_SLOTS], &slot, &own->at_mark) == 0;
}

/* A slot while it is taken. */
struct taking {
    struct pw_account *account;
    uint32_t slot;
    struct pw_slot_sums sums;
    int64_t ended_at_ns;
    struct pw_kernel_account *ret;
    size_t room; /* of its list of processes */
};

static int fd_of(const struct taking *taking, enum pw_account_map map)
{
    return taking->account->loaded.fds[map];
}

/* Calls `each` with all entries of a map. It may delete the one it is given. */
static void walk(struct taking *taking, enum pw_account_map map, void *value,
                 void (*each)(struct taking *taking, uint64_t key, void *value))
{
    int fd = fd_of(taking, map);
    uint64_t key = 0, next = 0;
    int more = bpf_map_get_next_key(fd, NULL, &next);
    for (unsigned limit = PW_LIMIT_KERNEL_THREADS; more == 0 && limit > 0; limit--) {
        key = next;
        more = bpf_map_get_next_key(fd, &key, &next);
        if (bpf_map_lookup_elem(fd, &key, value) == 0)
            each(taking, key, value);
    }
}

static void add_process(struct taking *taking, const struct pw_process_event *event,
                        uint64_t snap_pages)
{
    struct pw_kernel_account *ret = taking->ret;
    uint64_t page = taking->account->page_bytes;
    struct pw_kernel_process *process = &ret->process_list[ret->process_count++];
    *process = (struct pw_kernel_process){
        .pid = event->pid,
        .ppid = event->ppid,
        .started_at_ns = (int64_t)event->started_ns,
        .ended_at_ns = (int64_t)event->ended_ns,
        .status = event->status,
        .threads = event->threads,
        .cpu_ns = (int64_t)event->cpu_ns,
        .peak_rss_bytes = event->peak_pages * page,
        .rss_at_tree_peak_bytes = snap_pages * page,
    };
    memcpy(process->comm, event->comm, sizeof process->comm);
    process->comm[sizeof process->comm - 1] = '\0';
    if (process->peak_rss_bytes > ret->peak_process_rss_bytes) {
        ret->peak_process_rss_bytes = process->peak_rss_bytes;
        ret->peak_process_pid = process->pid;
        memcpy(ret->peak_process_comm, process->comm, sizeof process->comm);
    }
}

/* `less`: of which they are in the sum already, or NULL. */
static void add_counts(struct pw_task_counts *sum, const struct pw_task_counts *more,
                       const struct pw_task_counts *less)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more, *without = (const uint64_t *)less;
    for (int i = 0; i < PW_TASK_COUNTS; i++)
        to[i] += from[i] - (without ? without[i] : 0);
}

/* One that still runs, or has ended but is not switched out for the last time: its counts so far.
 */
static void take_thread(struct taking *taking, uint64_t key, void *value)
{
    const struct pw_thread_entry *entry = value;
    struct pw_slot_sums *sums = &taking->sums;
    struct pw_process_entry process;
    struct pw_task_counts counts = entry->counts;

    if (entry->slot != taking->slot)
        return;
    uint64_t ended = (uint64_t)taking->ended_at_ns;
    uint64_t since = ended > entry->since_ns ? ended - entry->since_ns : 0;
    if (entry->state == PW_THREAD_ON_CPU)
        counts.cpu_ns += since;
    else if (entry->state == PW_THREAD_RUNQ)
        sums->wait_ns[PW_BPF_WAIT_RUNQ] += since;
    else if (entry->reason < PW_BPF_WAITS)
        sums->wait_ns[entry->reason] += since;
    add_counts(&sums->counts, &counts, NULL);
    int fd = fd_of(taking, PW_ACCOUNT_PROCESSES);
    if (bpf_map_lookup_elem(fd, &entry->process, &process) == 0) {
        process.cpu_ns += counts.cpu_ns;
        bpf_map_update_elem(fd, &entry->process, &process, BPF_EXIST);
    }
    bpf_map_delete_elem(fd_of(taking, PW_ACCOUNT_THREADS), &key);
}

static void take_process(struct taking *taking, uint64_t key, void *value)
{
    const struct pw_process_entry *entry = value;
    if (entry->slot != taking->slot)
        return;
    struct pw_process_event event = {
        .slot = entry->slot,
        .pid = entry->pid,
        .ppid = entry->ppid,
        .status = entry->status,
        .threads = entry->threads,
        .started_ns = entry->started_ns,
        .ended_ns = entry->ended_ns,
        .cpu_ns = entry->cpu_ns,
        .peak_pages = entry->peak_pages,
    };
    memcpy(event.comm, entry->comm, sizeof event.comm);
    uint64_t seq = taking->sums.peak_seq;
    uint64_t at_peak = entry->snap_seq == seq ? entry->snap_pages : 0;
    struct pw_mm_entry mm;
    if (entry->mm && bpf_map_lookup_elem(fd_of(taking, PW_ACCOUNT_MMS), &entry->mm, &mm) == 0) {
        at_peak += mm.snap_seq == seq ? mm.snap_pages : (uint64_t)mm.total;
        if (mm.peak_pages > event.peak_pages)
            event.peak_pages = mm.peak_pages;
        /* Another process in the same address space does not hold it once more. */
        bpf_map_delete_elem(fd_of(taking, PW_ACCOUNT_MMS), &entry->mm);
    }
    if (taking->ret->process_count < taking->room)
        add_process(taking, &event, at_peak);
    else
        taking->sums.lost++;
    bpf_map_delete_elem(fd_of(taking, PW_ACCOUNT_PROCESSES), &key);
}

static void drop_mm(struct taking *taking, uint64_t key, void *value)
{
    const struct pw_mm_entry *entry = value;
    if (entry->slot == taking->slot)
        bpf_map_delete_elem(fd_of(taking, PW_ACCOUNT_MMS), &key);
}

/* Threads that came to their end since the sums were read are in the kernel's, and no longer among
 * the entries. */
static void add_late(struct taking *taking, const struct pw_slot_sums *before)
{
    struct pw_slot_sums *sums = &taking->sums, late;
    if (bpf_map_lookup_elem(fd_of(taking, PW_ACCOUNT_SLOTS), &taking->slot, &late) != 0)
        return;
    add_counts(&sums->counts, &late.counts, &before->counts);
}

/* What has not ended: counted as far as it got, and forgotten. */
static void take_rest(struct taking *taking)
{
    const struct pw_slot_sums before = taking->sums;
    struct pw_thread_entry thread;
    struct pw_process_entry process;
    struct pw_mm_entry mm;
    walk(taking, PW_ACCOUNT_THREADS, &thread, take_thread);
    add_late(taking, &before);
    walk(taking, PW_ACCOUNT_PROCESSES, &process, take_process);
    walk(taking, PW_ACCOUNT_MMS, &mm, drop_mm);
    taking->account->data->mm_generation++;
}

static int by_start(const void *a, const void *b)
{
    const struct pw_kernel_process *left = a, *right = b;
    if (left->started_at_ns != right->started_at_ns)
        return left->started_at_ns < right->started_at_ns ? -1 : 1;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

static int64_t cut(int64_t *part_ns, int64_t excess_ns)
{
    int64_t taken_ns = *part_ns < excess_ns ? *part_ns : excess_ns;
    *part_ns -= taken_ns;
    return excess_ns - taken_ns;
}

/* What was accounted after the last moment: between that and pw_account_mark() as a rule, so it was
 * most likely on a CPU, as who tells of a moment is. */
static void cut_wall(struct pw_kernel_wall *wall, int64_t excess_ns)
{
    excess_ns = cut(&wall->on_cpu_ns, excess_ns);
    excess_ns = cut(&wall->runq_ns, excess_ns);
    for (int i = PW_WAIT_COUNT - 1; i >= 0; i--)
        excess_ns = cut(&wall->blocked_by_ns[i], excess_ns);
    excess_ns = cut(&wall->io_ns, excess_ns);
    cut(&wall->spawn_ns, excess_ns);
}

/* All parts add up to the worker's duration: the last, what follows the root's exit, is the rest.
 */
static void take_wall(const struct taking *taking, int64_t spawned_at_ns, int64_t ended_at_ns)
{
    const struct pw_account_slot *own = &taking->account->slots[taking->slot];
    const struct pw_slot_sums *sums = &taking->sums;
    if (own->is_marked && (int64_t)sums->last_ns > ended_at_ns)
        sums = &own->at_mark;
    struct pw_kernel_wall *wall = &taking->ret->wall;
    if (!taking->ret->powers.decomposition)
        return;
    if (!sums->began_ns) {
        wall->spawn_ns = ended_at_ns - spawned_at_ns;
        return;
    }
    wall->spawn_ns = (int64_t)sums->began_ns - spawned_at_ns;
    wall->on_cpu_ns = (int64_t)sums->wall_on_cpu_ns;
    wall->runq_ns = (int64_t)sums->wall_runq_ns;
    wall->io_ns = (int64_t)sums->wall_io_ns;
    for (int i = 0; i < PW_WAIT_COUNT; i++)
        wall->blocked_by_ns[i] = (int64_t)sums->wall_blocked_ns[i];
    /* Ended processes have a tail; of what still runs the last state lasts until the end. */
    const uint64_t mask = (1ULL << 21) - 1;
    int64_t *last = &wall->blocked_by_ns[PW_WAIT_OTHER];
    if (sums->root_exit_ns)
        last = &wall->exit_tail_ns;
    else if (sums->states & mask)
        last = &wall->on_cpu_ns;
    else if (sums->states >> 21 & mask)
        last = &wall->runq_ns;
    else if (sums->states >> 42)
        last = &wall->io_ns;
    int64_t rest_ns = ended_at_ns - (int64_t)sums->last_ns;
    if (rest_ns >= 0)
        *last += rest_ns;
    else
        cut_wall(wall, -rest_ns);
    for (int i = 0; i < PW_WAIT_COUNT; i++)
        wall->blocked_ns += wall->blocked_by_ns[i];
}

static void take_sums(const struct taking *taking)
{
    const struct pw_slot_sums *sums = &taking->sums;
    struct pw_kernel_account *ret = taking->ret;
    ret->lost = sums->lost + taking->account->slots[taking->slot].lost;
    ret->untracked = sums->untracked;
    ret->untraced = sums->untraced;
    ret->processes = sums->processes;
    ret->threads = sums->threads;
    ret->execs = sums->execs;
    ret->peak_processes = sums->peak_processes;
    ret->peak_children = sums->peak_children;
    const struct pw_task_counts *counts = &sums->counts;
    ret->cpu_ns = (int64_t)counts->cpu_ns;
    ret->voluntary = counts->voluntary;
    ret->involuntary = counts->involuntary;
    ret->minor_faults = counts->minor_faults;
    ret->major_faults = counts->major_faults;
    ret->read_chars = counts->read_chars;
    ret->written_chars = counts->written_chars;
    ret->read_bytes = counts->read_bytes;
    ret->written_bytes = counts->written_bytes;
    for (int i = 0; i < PW_WAIT_COUNT; i++)
        ret->wait_ns[i] = (int64_t)sums->wait_ns[i];
    for (int i = 0; i < PW_KERNEL_SLOTS; i++)
        ret->runq_slots[i] = sums->runq_slots[i];
    ret->longest_runq_ns = (int64_t)sums->longest_runq_ns;
    if (ret->powers.memory) {
        ret->peak_rss_bytes = sums->peak_rss_pages * taking->account->page_bytes;
        ret->peak_rss_at_ns = (int64_t)sums->peak_rss_at_ns;
    }
}

/* From here on nothing joins the slot. What its threads still do until they are forgotten is
 * counted in what is not looked at again. */
static int stop_watching(struct taking *taking, struct pw_err *err)
{
    struct pw_account_slot *own = &taking->account->slots[taking->slot];
    uint32_t warden = (uint32_t)own->warden_pid, slot = taking->slot;
    bpf_map_delete_elem(fd_of(taking, PW_ACCOUNT_WARDENS), &warden);
    int fd = fd_of(taking, PW_ACCOUNT_SLOTS);
    if (bpf_map_lookup_elem(fd, &slot, &taking->sums) != 0)
        return pw_err_system(err, errno, "read the eBPF accounting");
    struct pw_slot_sums unused = taking->sums;
    unused.used = 0;
    if (bpf_map_update_elem(fd, &slot, &unused, BPF_ANY) != 0)
        return pw_err_system(err, errno, "end the eBPF accounting");
    pw_account_drain(taking->account);
    own->watched = false;
    return 0;
}

int pw_account_take(struct pw_account *account, unsigned slot, int64_t spawned_at_ns,
                    int64_t ended_at_ns, struct pw_kernel_account *ret, struct pw_err *err)
{
    struct taking taking = {
        .account = account, .slot = slot, .ended_at_ns = ended_at_ns, .ret = ret};
    if (slot >= account->slot_count || !account->slots[slot].watched)
        return pw_err_set(err, PW_ERR_INTERNAL, "eBPF accounting does not watch slot %u", slot);
    struct pw_account_slot *own = &account->slots[slot];
    if (stop_watching(&taking, err) != 0)
        return -1;
    ret->powers = account->loaded.powers;
    /* What lives on may have begun more in between. */
    size_t most = own->count + (size_t)taking.sums.present + ROOM_FOR_LATE;
    taking.room = most < PW_LIMIT_KERNEL_PROCESSES ? most : PW_LIMIT_KERNEL_PROCESSES;
    ret->process_list = calloc(taking.room, sizeof *ret->process_list);
    if (!ret->process_list)
        return pw_err_memory(err);
    ret->process_count = 0;
    for (size_t i = 0; i < own->count; i++) {
        const struct pw_process_event *event = &own->ended[i];
        bool then = event->snap_seq == taking.sums.peak_seq;
        add_process(&taking, event, then ? event->snap_pages : 0);
    }
    free(own->ended);
    own->ended = NULL;
    own->count = own->capacity = 0;
    if (taking.sums.present > 0)
        take_rest(&taking);
    qsort(ret->process_list, ret->process_count, sizeof *ret->process_list, by_start);
    take_sums(&taking);
    take_wall(&taking, spawned_at_ns, ended_at_ns);
    if (account->loaded.has_io) {
        int failed = pw_account_io_take(&account->io, slot, ret, err);
        pw_account_io_forget(&account->io, slot);
        return failed;
    }
    return 0;
}
