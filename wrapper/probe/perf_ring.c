#include "wrapper/probe/perf_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "wrapper/probe/perf_way.h"

/* Two MiB hold some seconds of deep stacks; 512 KiB is what kernel.perf_event_mlock_kb gives to
 * those without privileges. */
enum { MOST_PAGES = 512, FEWEST_PAGES = 8, RECORD_BYTES_MAX = 65536 };

struct perf_event_attr pw_perf_attr(void)
{
    return (struct perf_event_attr){
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(struct perf_event_attr),
        .sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                       PERF_SAMPLE_TIME | PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN,
        .sample_id_all = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .exclude_hv = 1,
    };
}

int pw_perf_open(const struct perf_event_attr *attr, pid_t pid, int cpu)
{
    return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool map(struct pw_perf_ring *ring, size_t page_bytes, struct pw_err *err)
{
    for (size_t pages = MOST_PAGES; pages >= FEWEST_PAGES; pages /= 2) {
        ring->map_bytes = (pages + 1) * page_bytes;
        void *base = mmap(NULL, ring->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
        if (base != MAP_FAILED) {
            ring->page = base;
            ring->data_bytes = pages * page_bytes;
            return true;
        }
        if (errno != EPERM && errno != ENOMEM) {
            break;
        }
    }
    pw_err_system(err, errno, "map a buffer for samples of CPU %d", ring->cpu);
    pw_err_remedy(err, "raise kernel.perf_event_mlock_kb or the memlock limit (ulimit -l)");
    return false;
}

bool pw_perf_ring_open(struct pw_perf_ring *ring, int cpu, struct pw_err *err)
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    struct perf_event_attr attr = pw_perf_attr();
    attr.config = PERF_COUNT_SW_DUMMY;
    attr.disabled = 1;
    attr.exclude_kernel = 1;
    attr.watermark = 1; /* with no number: half of it */
    *ring = (struct pw_perf_ring){.fd = pw_perf_open(&attr, getpid(), cpu), .cpu = cpu};
    if (ring->fd < 0) {
        if (errno != ENODEV) {
            pw_perf_refused(err, errno, "a buffer for samples");
        }
        return false;
    }
    ring->piece = malloc(RECORD_BYTES_MAX);
    if (!ring->piece) {
        pw_err_memory(err);
    }
    if (!ring->piece || !map(ring, (size_t)page_bytes, err)) {
        pw_perf_ring_close(ring);
        return false;
    }
    return true;
}

void pw_perf_ring_close(struct pw_perf_ring *ring)
{
    if (ring->page) {
        munmap(ring->page, ring->map_bytes);
    }
    free(ring->piece);
    if (ring->fd >= 0) {
        close(ring->fd);
    }
    *ring = (struct pw_perf_ring){.fd = -1};
}

void pw_perf_ring_refresh(struct pw_perf_ring *ring)
{
    ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

static const unsigned char *data_of(const struct pw_perf_ring *ring)
{
    return (const unsigned char *)ring->page + ring->page->data_offset;
}

/* Records are aligned to eight bytes: a header is never in two parts. */
const struct perf_event_header *pw_perf_ring_peek(struct pw_perf_ring *ring)
{
    if (ring->head - ring->tail < sizeof(struct perf_event_header)) {
        return NULL;
    }
    size_t at = ring->tail & (ring->data_bytes - 1), until_end = ring->data_bytes - at;
    const struct perf_event_header *record = (const void *)(data_of(ring) + at);
    if (record->size < sizeof *record || record->size > ring->head - ring->tail) {
        ring->tail = ring->head; /* cannot be, and would never end */
        return NULL;
    }
    if (record->size <= until_end) {
        return record;
    }
    size_t size = record->size;
    memcpy(ring->piece, record, until_end);
    memcpy(ring->piece + until_end, data_of(ring), size - until_end);
    return (const void *)ring->piece;
}

const struct pw_perf_tail *pw_perf_ring_peek_tail(struct pw_perf_ring *ring)
{
    while (!ring->is_next_known) {
        const struct perf_event_header *record = pw_perf_ring_peek(ring);
        if (!record) {
            return NULL;
        }
        ring->is_next_known = pw_perf_tail_read(record, &ring->next);
        if (!ring->is_next_known) {
            pw_perf_ring_drop(ring);
        }
    }
    return &ring->next;
}

void pw_perf_ring_drop(struct pw_perf_ring *ring)
{
    ring->is_next_known = false;
    size_t at = ring->tail & (ring->data_bytes - 1);
    const struct perf_event_header *record = (const void *)(data_of(ring) + at);
    ring->tail += record->size;
    __atomic_store_n(&ring->page->data_tail, ring->tail, __ATOMIC_RELEASE);
}

bool pw_perf_tail_read(const struct perf_event_header *record, struct pw_perf_tail *ret_tail)
{
    if (record->type == PERF_RECORD_SAMPLE) {
        const struct pw_perf_sample *sample = (const void *)(record + 1);
        if (record->size < sizeof *record + sizeof *sample) {
            return false;
        }
        *ret_tail = (struct pw_perf_tail){
            .pid = sample->pid, .tid = sample->tid, .time_ns = sample->time_ns, .id = sample->id};
        return true;
    }
    if (record->size < sizeof *record + sizeof *ret_tail) {
        return false;
    }
    memcpy(ret_tail, (const unsigned char *)record + record->size - sizeof *ret_tail,
           sizeof *ret_tail);
    return true;
}
