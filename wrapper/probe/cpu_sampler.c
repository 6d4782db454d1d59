#include "wrapper/probe/cpu_sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/cpu_names.h"
#include "wrapper/probe/perf_maps.h"
#include "wrapper/probe/perf_ring.h"
#include "wrapper/probe/perf_stacks.h"
#include "wrapper/probe/perf_way.h"

/* A record has its time a little before it can be read: what is younger than this waits for the
 * next time, so that no older one of another CPU comes after it. */
enum { SETTLE_NS = 2000000 };

struct slot {
    bool is_watched;
    uint64_t since_ns, until_ns; /* it is watched, and samples are kept */
    pid_t warden_pid;
    int *fds; /* of each ring's CPU */
    struct pw_perf_maps *maps;
    struct pw_perf_stacks stacks;
    uint64_t lost_before;     /* by then, of what is counted for all */
    uint64_t lost, lost_told; /* since it is watched; of these, in a profile */
    int64_t counted_ns;       /* likewise: CPU time by the events' counters */
};

struct owner {
    uint64_t id; /* of an event */
    unsigned slot;
};

struct pw_cpu_sampler {
    char *proc_root;
    struct pw_perf_way way;
    int64_t watch_ns;
    unsigned slot_count;
    struct slot *slots;
    struct pw_perf_ring *rings;
    size_t ring_count;
    struct owner *owners; /* by id */
    size_t owner_count;
    int epoll_fd;
    int *whole_fds; /* of each ring's CPU */
    unsigned watched_count;
};

/* Life */

static int open_rings(struct pw_cpu_sampler *sampler, struct pw_err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    sampler->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sampler->epoll_fd < 0) {
        return pw_err_system(err, errno, "epoll_create1");
    }
    sampler->rings = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof *sampler->rings);
    if (!sampler->rings) {
        return pw_err_memory(err);
    }
    for (int cpu = 0; cpu < cpus; cpu++) {
        struct pw_err why = PW_ERR_INIT;
        struct pw_perf_ring *ring = &sampler->rings[sampler->ring_count];
        if (!pw_perf_ring_open(ring, cpu, &why)) {
            if (!pw_err_is_set(&why)) {
                continue;
            }
            if (err) {
                *err = why;
            }
            return -1;
        }
        sampler->ring_count++;
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(sampler->epoll_fd, EPOLL_CTL_ADD, ring->fd, &event) != 0) {
            return pw_err_system(err, errno, "epoll_ctl of a buffer for samples");
        }
    }
    if (sampler->ring_count == 0) {
        return pw_err_set(err, PW_ERR_SYSTEM, "no CPU has a buffer for samples");
    }
    return 0;
}

static int open_whole(struct pw_cpu_sampler *sampler, struct pw_err *err)
{
    sampler->whole_fds = reallocarray(NULL, sampler->ring_count, sizeof(int));
    if (!sampler->whole_fds) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < sampler->ring_count; i++) {
        sampler->whole_fds[i] = -1;
    }
    for (size_t i = 0; sampler->way.is_whole && i < sampler->ring_count; i++) {
        int fd = pw_perf_open(&sampler->way.attr, -1, sampler->rings[i].cpu);
        if (fd < 0) {
            return pw_perf_refused(err, errno, "the software CPU clock");
        }
        sampler->whole_fds[i] = fd;
        if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, sampler->rings[i].fd) != 0) {
            return pw_err_system(err, errno, "lead samples into a buffer");
        }
    }
    return 0;
}

static void switch_whole(const struct pw_cpu_sampler *sampler, bool on)
{
    for (size_t i = 0; i < sampler->ring_count; i++) {
        if (sampler->whole_fds[i] >= 0) {
            (void)ioctl(sampler->whole_fds[i], on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE,
                        0);
        }
    }
}

static int make_slots(struct pw_cpu_sampler *sampler, unsigned slots, struct pw_err *err)
{
    sampler->slots = calloc(slots, sizeof *sampler->slots);
    sampler->owners = reallocarray(NULL, slots * sampler->ring_count, sizeof *sampler->owners);
    if (!sampler->slots || !sampler->owners) {
        return pw_err_memory(err);
    }
    sampler->slot_count = slots;
    for (unsigned i = 0; i < slots; i++) {
        sampler->slots[i].fds = reallocarray(NULL, sampler->ring_count, sizeof(int));
        if (!sampler->slots[i].fds) {
            return pw_err_memory(err);
        }
    }
    return 0;
}

int pw_cpu_sampler_new(const struct pw_cpu_sampler_options *options,
                       struct pw_cpu_sampler **ret_sampler, struct pw_err *err)
{
    if (options->slots < 1 || options->slots > PW_LIMIT_WORKERS) {
        return pw_err_set(err, PW_ERR_INTERNAL, "samples of %u workers", options->slots);
    }
    struct pw_cpu_sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler) {
        return pw_err_memory(err);
    }
    sampler->epoll_fd = -1;
    sampler->proc_root = strdup(options->proc_root);
    sampler->watch_ns = options->watch_ns;
    int failed = sampler->proc_root ? pw_perf_way_find(sampler->proc_root, options->hz,
                                                       options->whole_machine, &sampler->way, err)
                                    : pw_err_memory(err);
    if (failed != 0 || open_rings(sampler, err) != 0 || open_whole(sampler, err) != 0 ||
        make_slots(sampler, options->slots, err) != 0) {
        pw_cpu_sampler_free(sampler);
        return -1;
    }
    *ret_sampler = sampler;
    return 0;
}

static void empty_slot(struct slot *slot)
{
    pw_perf_stacks_done(&slot->stacks);
    pw_perf_maps_free(slot->maps);
    slot->maps = NULL;
}

static void close_events(struct slot *slot, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slot->fds[i] >= 0) {
            close(slot->fds[i]);
        }
    }
}

void pw_cpu_sampler_free(struct pw_cpu_sampler *sampler)
{
    if (!sampler) {
        return;
    }
    for (unsigned i = 0; sampler->slots && i < sampler->slot_count; i++) {
        struct slot *slot = &sampler->slots[i];
        if (slot->is_watched && !sampler->way.is_whole) {
            close_events(slot, sampler->ring_count);
        }
        empty_slot(slot);
        free(slot->fds);
    }
    for (size_t i = 0; i < sampler->ring_count; i++) {
        if (sampler->whole_fds) {
            pw_fd_done(&sampler->whole_fds[i]);
        }
        pw_perf_ring_close(&sampler->rings[i]);
    }
    pw_fd_done(&sampler->epoll_fd);
    free(sampler->slots);
    free(sampler->owners);
    free(sampler->whole_fds);
    free(sampler->rings);
    free(sampler->proc_root);
    free(sampler);
}

const char *pw_cpu_sampler_event(const struct pw_cpu_sampler *sampler)
{
    (void)sampler;
    return "cpu-clock";
}

bool pw_cpu_sampler_is_whole(const struct pw_cpu_sampler *sampler)
{
    return sampler->way.is_whole;
}

const struct pw_err *pw_cpu_sampler_why_not_whole(const struct pw_cpu_sampler *sampler)
{
    return &sampler->way.why_not_whole;
}

bool pw_cpu_sampler_has_kernel(const struct pw_cpu_sampler *sampler)
{
    return !sampler->way.attr.exclude_kernel;
}

int pw_cpu_sampler_fd(const struct pw_cpu_sampler *sampler)
{
    return sampler->epoll_fd;
}

/* Events of a slot */

/* Ids grow: the array stays in order, but for what another thread of the kernel may have begun. */
static void add_owner(struct pw_cpu_sampler *sampler, struct owner owner)
{
    size_t at = sampler->owner_count++;
    while (at > 0 && sampler->owners[at - 1].id > owner.id) {
        sampler->owners[at] = sampler->owners[at - 1];
        at--;
    }
    sampler->owners[at] = owner;
}

static void drop_owners(struct pw_cpu_sampler *sampler, unsigned slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < sampler->owner_count; i++) {
        if (sampler->owners[i].slot != slot) {
            sampler->owners[kept++] = sampler->owners[i];
        }
    }
    sampler->owner_count = kept;
}

static struct slot *owner_of(const struct pw_cpu_sampler *sampler, uint64_t id)
{
    size_t low = 0, high = sampler->owner_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sampler->owners[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_known = low < sampler->owner_count && sampler->owners[low].id == id;
    return is_known ? &sampler->slots[sampler->owners[low].slot] : NULL;
}

/* False: failed, with errno. A CPU that was switched off meanwhile has no event. */
static bool open_event(struct pw_cpu_sampler *sampler, unsigned slot, pid_t pid, size_t at)
{
    const struct pw_perf_ring *ring = &sampler->rings[at];
    PW_FD_AUTO fd = pw_perf_open(&sampler->way.attr, pid, ring->cpu);
    sampler->slots[slot].fds[at] = -1;
    if (fd < 0) {
        return errno == ENODEV;
    }
    uint64_t id = 0;
    if (ioctl(fd, PERF_EVENT_IOC_ID, &id) != 0) {
        return false;
    }
    /* In the table before records can come. */
    add_owner(sampler, (struct owner){.id = id, .slot = slot});
    if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) != 0) {
        return false;
    }
    sampler->slots[slot].fds[at] = pw_fd_take(&fd);
    return true;
}

/* Of the events and all that have inherited them: CPU time, and (PERF_FORMAT_LOST) how much could
 * not be written. */
struct counts {
    uint64_t counted_ns, lost;
};

static struct counts sum_counts(const struct pw_cpu_sampler *sampler, const int *fds)
{
    struct counts sum = {.lost = 0};
    for (size_t i = 0; i < sampler->ring_count; i++) {
        struct counts one = {.lost = 0};
        if (fds[i] >= 0 && read(fds[i], &one, sizeof one) >= (ssize_t)sizeof one.counted_ns) {
            sum.counted_ns += one.counted_ns;
            sum.lost += one.lost;
        }
    }
    return sum;
}

static void end_events(struct pw_cpu_sampler *sampler, unsigned slot_number)
{
    if (!sampler->way.is_whole) {
        close_events(&sampler->slots[slot_number], sampler->ring_count);
        drop_owners(sampler, slot_number);
    } else if (--sampler->watched_count == 0) {
        switch_whole(sampler, false);
    }
}

int pw_cpu_sampler_watch(struct pw_cpu_sampler *sampler, unsigned slot_number, pid_t warden_pid,
                         struct pw_err *err)
{
    if (slot_number >= sampler->slot_count || sampler->slots[slot_number].is_watched) {
        return pw_err_set(err, PW_ERR_INTERNAL, "samples for slot %u", slot_number);
    }
    struct slot *slot = &sampler->slots[slot_number];
    empty_slot(slot);
    slot->lost = slot->lost_told = 0;
    slot->counted_ns = 0;
    slot->lost_before = 0;
    slot->warden_pid = warden_pid;
    slot->maps = pw_perf_maps_new();
    if (!slot->maps) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < sampler->ring_count; i++) {
        slot->fds[i] = -1;
    }
    slot->since_ns = (uint64_t)pw_clock_now_ns();
    slot->until_ns =
        sampler->watch_ns > 0 ? slot->since_ns + (uint64_t)sampler->watch_ns : UINT64_MAX;
    if (sampler->way.is_whole) {
        if (sampler->watched_count == 0) {
            switch_whole(sampler, true);
        }
        sampler->watched_count++;
        slot->lost_before = sum_counts(sampler, sampler->whole_fds).lost;
    }
    for (size_t i = 0; !sampler->way.is_whole && i < sampler->ring_count; i++) {
        if (!open_event(sampler, slot_number, warden_pid, i)) {
            int sys = errno;
            close_events(slot, i);
            drop_owners(sampler, slot_number);
            return pw_perf_refused(err, sys, "the software CPU clock");
        }
    }
    /* Behind the events, so that nothing falls between both. */
    if (pw_perf_maps_read(slot->maps, sampler->proc_root, warden_pid, err) != 0) {
        end_events(sampler, slot_number);
        return pw_err_prefix(err, "read what process %d has mapped", warden_pid);
    }
    slot->is_watched = true;
    return 0;
}

static void read_counts(const struct pw_cpu_sampler *sampler, struct slot *slot)
{
    if (!slot->is_watched) {
        return;
    }
    struct counts sum = sum_counts(sampler, sampler->way.is_whole ? sampler->whole_fds : slot->fds);
    slot->counted_ns = sampler->way.is_whole ? 0 : (int64_t)sum.counted_ns;
    if (sampler->way.attr.read_format) {
        slot->lost = sum.lost - slot->lost_before;
    }
}

int64_t pw_cpu_sampler_counted_ns(struct pw_cpu_sampler *sampler, unsigned slot_number)
{
    if (slot_number >= sampler->slot_count) {
        return 0;
    }
    read_counts(sampler, &sampler->slots[slot_number]);
    return sampler->slots[slot_number].counted_ns;
}

/* Records */

/* Of a record of all that run: a process belongs to the slot that knows it, a new one to its
 * parent's. What was written before the slot was watched is of others that had the pid. */
static struct slot *knower_of(const struct pw_cpu_sampler *sampler,
                              const struct perf_event_header *record,
                              const struct pw_perf_tail *tail)
{
    const uint32_t *body = (const void *)(record + 1); /* pid, and in a fork its parent's */
    if (record->size < sizeof *record + sizeof *tail + 2 * sizeof *body) {
        return NULL;
    }
    pid_t pid = (pid_t)tail->pid;
    if (record->type == PERF_RECORD_FORK) {
        pid = (pid_t)body[1];
    } else if (record->type != PERF_RECORD_SAMPLE) {
        pid = (pid_t)body[0];
    }
    for (unsigned i = 0; i < sampler->slot_count; i++) {
        struct slot *slot = &sampler->slots[i];
        if (slot->is_watched && tail->time_ns >= slot->since_ns &&
            pw_perf_maps_knows(slot->maps, pid)) {
            return slot;
        }
    }
    return NULL;
}

/* What a CPU has lost may have been anyone's. */
static void lose(const struct pw_cpu_sampler *sampler, uint64_t count)
{
    for (unsigned i = 0; i < sampler->slot_count; i++) {
        sampler->slots[i].lost += sampler->slots[i].is_watched ? count : 0;
    }
}

/* A process was begun in `owner` or, NULL, by somebody else: in no other slot the pid is what it
 * was. A thread has its process's pid; and what was written before a slot was watched was known
 * when that began. */
static void forget(const struct pw_cpu_sampler *sampler, const struct slot *owner,
                   const struct perf_event_header *fork, uint64_t at_ns)
{
    const uint32_t *body = (const void *)(fork + 1); /* pid, and its parent's */
    if (fork->size < sizeof *fork + sizeof(struct pw_perf_tail) + 2 * sizeof *body) {
        return;
    }
    for (unsigned i = 0; i < sampler->slot_count; i++) {
        const struct slot *slot = &sampler->slots[i];
        if (slot->maps && slot != owner && body[0] != body[1] && at_ns >= slot->since_ns) {
            pw_perf_maps_forget(slot->maps, (pid_t)body[0]);
        }
    }
}

static void take_record(const struct pw_cpu_sampler *sampler,
                        const struct perf_event_header *record, const struct pw_perf_tail *tail)
{
    if (sampler->way.is_whole && record->type == PERF_RECORD_LOST) {
        lose(sampler,
             sampler->way.attr.read_format ? 0 : ((const uint64_t *)(const void *)(record + 1))[1]);
        return;
    }
    struct slot *slot =
        sampler->way.is_whole ? knower_of(sampler, record, tail) : owner_of(sampler, tail->id);
    if (sampler->way.is_whole && record->type == PERF_RECORD_FORK) {
        forget(sampler, slot, record, tail->time_ns);
    }
    if (!slot || !slot->maps) {
        return; /* the slot has ended, and this came too late for it */
    }
    if (record->type == PERF_RECORD_SAMPLE) {
        if ((pid_t)tail->pid != slot->warden_pid && tail->time_ns <= slot->until_ns) {
            pw_perf_stacks_add(&slot->stacks, slot->maps, sampler->way.most_addresses, record);
        }
    } else if (record->type == PERF_RECORD_LOST) {
        const uint64_t *body = (const void *)(record + 1); /* id, count */
        slot->lost += sampler->way.attr.read_format ? 0 : body[1];
    } else {
        pw_perf_maps_record(slot->maps, record);
    }
}

/* The ring with the oldest record; NULL: none has one until then. */
static struct pw_perf_ring *oldest(const struct pw_cpu_sampler *sampler, uint64_t until_ns)
{
    struct pw_perf_ring *found = NULL;
    for (size_t i = 0; i < sampler->ring_count; i++) {
        const struct pw_perf_tail *tail = pw_perf_ring_peek_tail(&sampler->rings[i]);
        if (tail && tail->time_ns <= until_ns) {
            until_ns = tail->time_ns;
            found = &sampler->rings[i];
        }
    }
    return found;
}

static void drain_until(const struct pw_cpu_sampler *sampler, uint64_t until_ns)
{
    for (size_t i = 0; i < sampler->ring_count; i++) {
        pw_perf_ring_refresh(&sampler->rings[i]);
    }
    for (struct pw_perf_ring *ring = oldest(sampler, until_ns); ring;
         ring = oldest(sampler, until_ns)) {
        const struct pw_perf_tail tail = *pw_perf_ring_peek_tail(ring);
        take_record(sampler, pw_perf_ring_peek(ring), &tail);
        pw_perf_ring_drop(ring);
    }
}

void pw_cpu_sampler_drain(struct pw_cpu_sampler *sampler)
{
    drain_until(sampler, (uint64_t)(pw_clock_now_ns() - SETTLE_NS));
}

void pw_cpu_sampler_unwatch(struct pw_cpu_sampler *sampler, unsigned slot_number)
{
    if (slot_number >= sampler->slot_count || !sampler->slots[slot_number].is_watched) {
        return;
    }
    struct slot *slot = &sampler->slots[slot_number];
    for (size_t i = 0; i < sampler->ring_count; i++) {
        if (slot->fds[i] >= 0) {
            (void)ioctl(slot->fds[i], PERF_EVENT_IOC_DISABLE, 0);
        }
    }
    drain_until(sampler, (uint64_t)pw_clock_now_ns());
    read_counts(sampler, slot);
    end_events(sampler, slot_number);
    slot->is_watched = false;
}

int pw_cpu_sampler_take(struct pw_cpu_sampler *sampler, unsigned slot_number,
                        const struct pw_symbolizer *symbolizer, struct pw_cpu_profile *profile,
                        struct pw_err *err)
{
    if (slot_number >= sampler->slot_count) {
        return pw_err_set(err, PW_ERR_INTERNAL, "samples of slot %u", slot_number);
    }
    struct slot *slot = &sampler->slots[slot_number];
    if (!slot->maps) {
        return 0;
    }
    read_counts(sampler, slot);
    profile->lost += slot->lost - slot->lost_told;
    slot->lost_told = slot->lost;
    const struct pw_perf_stacks *stacks = &slot->stacks;
    if (stacks->first_at_ns > 0) {
        if (profile->first_at_ns == 0 || stacks->first_at_ns < profile->first_at_ns) {
            profile->first_at_ns = stacks->first_at_ns;
        }
        if (stacks->last_at_ns > profile->last_at_ns) {
            profile->last_at_ns = stacks->last_at_ns;
        }
    }
    int failed = pw_cpu_names_add(stacks, slot->maps, symbolizer, profile, err);
    pw_perf_stacks_done(&slot->stacks);
    if (!slot->is_watched) {
        empty_slot(slot);
    }
    return failed;
}
