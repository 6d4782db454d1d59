/*
 * Resident memory of the tree's address spaces, one at a time and all at one moment.
 *
 * The tracepoint comes with every page that is counted, for the whole machine, so the usual case
 * must cost next to nothing: each CPU remembers which address space it saw last and whether that
 * is one of ours. The kernel counts in per-CPU parts (since 6.2) that join the whole in batches of
 * 32 pages a CPU; the exact sum over all CPUs is taken whenever a part has joined, and every
 * PW_RSS_EVENTS events. Before 6.2 threads kept such parts, up to 64 events, which nobody sees.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_MEMORY_BPF_H
#define PW_PROBE_BPF_ACCOUNT_MEMORY_BPF_H

enum { PW_RSS_EVENTS = 16, PW_RSS_CPUS = 64, PW_RSS_SWAP = 2 /* MM_SWAPENTS */ };

const volatile unsigned int cpus = 1; /* possible ones; set before loading */
const volatile bool have_percpu_lookup = false;
/* Moves on whenever an address space begins or ends to be ours: what CPUs remember is void then,
 * because the kernel uses addresses again. */
__u64 mm_generation = 1;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* set before loading */
    __type(key, __u64);
    __type(value, struct pw_mm_entry);
} mms SEC(".maps");

struct pw_mm_seen {
    __u64 mm, generation;
    __s64 count[PW_BPF_MEMBERS];
    __u32 events;
    bool ours;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pw_mm_seen);
} mm_seen SEC(".maps");

/* Where each CPU's memory for per-CPU variables is, relative to pointers to such; 0: not known. The
 * kernel's own table need not be among the symbols that a program may name, but a per-CPU map tells
 * the same: where its value is on a CPU, and its pointer. */
__u64 cpu_offsets[PW_RSS_CPUS];
volatile __u64 scratch; /* an address that goes through here is a number to the verifier */

static __always_inline void find_cpu_offsets(void)
{
    __u32 zero = 0;
    __u64 pointer = 0;

    if (!have_percpu_lookup || cpu_offsets[0])
        return;
    scratch = (__u64)&mm_seen;
    bpf_probe_read_kernel(&pointer, sizeof pointer,
                          (void *)(scratch + bpf_core_field_offset(struct bpf_array, pptrs)));
    for (__u32 cpu = 0; cpu < PW_RSS_CPUS; cpu++) {
        if (cpu >= cpus)
            break;
        void *value = bpf_map_lookup_percpu_elem(&mm_seen, &zero, cpu);
        if (!value || !pointer)
            return;
        cpu_offsets[cpu] = (__u64)value;
        *(volatile __u64 *)&cpu_offsets[cpu] -= pointer;
    }
}

/* What differs between kernels is in functions of their own: within one the compiler would compute
 * places before it asks whether they exist. */

/* Before 6.2. */
static __noinline __s64 joined_pages_old(unsigned long mm, __u32 member)
{
    __s64 count = 0;
    unsigned long counts = mm + bpf_core_field_offset(struct mm_struct___old, rss_stat);
    bpf_probe_read_kernel(&count, sizeof count, (void *)(counts + member * sizeof(long)));
    return count;
}

/* Since 6.2. */
static __noinline __s64 joined_pages_percpu(unsigned long mm, __u32 member)
{
    __s64 count = 0;
    unsigned long counter = mm + bpf_core_field_offset(struct mm_struct, rss_stat);
    counter += member * bpf_core_type_size(struct percpu_counter);
    counter += bpf_core_field_offset(struct percpu_counter, count);
    bpf_probe_read_kernel(&count, sizeof count, (void *)counter);
    return count;
}

/* What has joined the whole. Address spaces are numbers here: for each pointer that a program reads
 * through one whose type is known, recent kernels look through all their types when they check it,
 * for half a millisecond. */
static __always_inline __s64 joined_pages(unsigned long mm, __u32 member)
{
    return bpf_core_field_exists(((struct mm_struct *)0)->rss_stat)
               ? joined_pages_percpu(mm, member)
               : joined_pages_old(mm, member);
}

/* The same without a helper's call: this is what every page pays. */
static __noinline __s64 joined_pages_now(struct mm_struct *mm, __u32 member)
{
    if (member == 0)
        return mm->rss_stat[0].count;
    if (member == 1)
        return mm->rss_stat[1].count;
    return member == 3 ? mm->rss_stat[3].count : 0;
}

/* What has not yet. */
static __noinline __s64 parted_pages(unsigned long mm, __u32 member)
{
    unsigned long counter = mm + bpf_core_field_offset(struct mm_struct, rss_stat);
    unsigned long parts = 0;
    __s64 pages = 0;

    counter += member * bpf_core_type_size(struct percpu_counter);
    counter += bpf_core_field_offset(struct percpu_counter, counters);
    bpf_probe_read_kernel(&parts, sizeof parts, (void *)counter);
    for (__u32 cpu = 0; cpu < PW_RSS_CPUS; cpu++) {
        if (cpu >= cpus)
            break;
        __s32 part = 0;
        bpf_probe_read_kernel(&part, sizeof part, (void *)(parts + cpu_offsets[cpu]));
        pages += part;
    }
    return pages;
}

static __always_inline __s64 exact_pages(unsigned long mm, __u32 member)
{
    __s64 pages = joined_pages(mm, member);
    if (bpf_core_field_exists(((struct mm_struct *)0)->rss_stat) && cpu_offsets[0] &&
        cpus <= PW_RSS_CPUS)
        pages += parted_pages(mm, member);
    return pages > 0 ? pages : 0;
}

/* The tree's sum changes by `delta` pages because those of `entry` do. Who held the peak is told
 * afterwards: before the first change since the last peak, an address space notes what it held at
 * that peak. */
static __always_inline void change_total(struct pw_slot_sums *sums, struct pw_mm_entry *entry,
                                         __s64 delta)
{
    __u64 seq = sums->peak_seq;
    if (entry->snap_seq != seq) {
        entry->snap_pages = entry->total;
        entry->snap_seq = seq;
    }
    __u64 total = add_and_get((__u64 *)&entry->total, delta);
    raise_to(&entry->peak_pages, (__s64)total > 0 ? total : 0);
    __s64 tree = add_and_get((__u64 *)&sums->rss_pages, delta);
    if (tree > 0 && (__u64)tree > sums->peak_rss_pages) {
        raise_to(&sums->peak_rss_pages, tree);
        sums->peak_rss_at_ns = bpf_ktime_get_ns();
        add(&sums->peak_seq, 1);
    }
}

static __always_inline void count_member(struct pw_slot_sums *sums, struct pw_mm_entry *entry,
                                         unsigned long mm, __u32 member)
{
    __s64 pages = exact_pages(mm, member);
    __s64 before = entry->pages[member & 3];
    if (have_fetch)
        before = __sync_lock_test_and_set(&entry->pages[member & 3], pages);
    else
        entry->pages[member & 3] = pages;
    if (pages != before)
        change_total(sums, entry, pages - before);
}

static __always_inline void count_members(struct pw_slot_sums *sums, struct pw_mm_entry *entry,
                                          unsigned long mm)
{
    for (__u32 member = 0; member < PW_BPF_MEMBERS; member++) {
        if (member != PW_RSS_SWAP)
            count_member(sums, entry, mm, member);
    }
}

/* A process begins to use `mm`, which may have pages already. Its key, 0 if there is none. */
static __always_inline __u64 use_mm(struct pw_slot_sums *sums, __u32 slot, unsigned long mm)
{
    __u64 key = mm;
    if (!key)
        return 0;
    struct pw_mm_entry *entry = bpf_map_lookup_elem(&mms, &key);
    if (entry) {
        add(&entry->users, 1);
        return key;
    }
    struct pw_mm_entry fresh = {.slot = slot, .users = 1};
    find_cpu_offsets();
    fresh.snap_seq = sums->peak_seq;
    if (bpf_map_update_elem(&mms, &key, &fresh, BPF_ANY))
        return 0;
    add(&mm_generation, 1);
    entry = bpf_map_lookup_elem(&mms, &key);
    if (entry)
        count_members(sums, entry, mm);
    return key;
}

/* Hands over to the process what remains to be told of an address space that ends. */
static __always_inline void keep_snapshot(struct pw_process_entry *process,
                                          const struct pw_mm_entry *entry)
{
    if (entry->snap_seq == process->snap_seq) {
        process->snap_pages += entry->snap_pages;
    } else if (entry->snap_seq > process->snap_seq) {
        process->snap_seq = entry->snap_seq;
        process->snap_pages = entry->snap_pages;
    }
}

/* A process no longer uses the address space `key`; `mm` is it, or 0 if it is gone already. */
static __always_inline void leave_mm(struct pw_slot_sums *sums, __u64 key, unsigned long mm,
                                     struct pw_process_entry *process)
{
    struct pw_mm_entry *entry = key ? bpf_map_lookup_elem(&mms, &key) : NULL;
    if (!entry)
        return;
    if (mm)
        count_members(sums, entry, mm);
    if (process && entry->peak_pages > process->peak_pages)
        process->peak_pages = entry->peak_pages;
    if (add_and_get(&entry->users, -1ULL) != 0)
        return;
    if (entry->total)
        change_total(sums, entry, -entry->total);
    if (process)
        keep_snapshot(process, entry);
    bpf_map_delete_elem(&mms, &key);
    add(&mm_generation, 1);
}

SEC("tp_btf/rss_stat")
int BPF_PROG(pw_rss_stat, struct mm_struct *mm, int kind)
{
    __u32 zero = 0;
    __u64 member = (__u32)kind;
    struct pw_mm_seen *seen = bpf_map_lookup_elem(&mm_seen, &zero);
    if (!seen || member >= PW_BPF_MEMBERS || member == PW_RSS_SWAP)
        return 0;
    /* For the verifier, from which the compiler hides the bound. */
    asm volatile("%0 &= 3" : "+r"(member));
    bool same = seen->mm == (__u64)mm && seen->generation == mm_generation;
    if (same && !seen->ours)
        return 0;
    __s64 joined = bpf_core_field_exists(mm->rss_stat)
                       ? joined_pages_now(mm, member)
                       : joined_pages_old((unsigned long)mm, member);
    if (same && seen->count[member] == joined && ++seen->events % PW_RSS_EVENTS)
        return 0;

    __u64 key = (__u64)mm;
    __u64 generation = mm_generation;
    struct pw_mm_entry *entry = bpf_map_lookup_elem(&mms, &key);
    if (!same) {
        for (int i = 0; i < PW_BPF_MEMBERS; i++)
            seen->count[i] = -1;
    }
    seen->mm = key;
    seen->generation = generation;
    seen->ours = entry != NULL;
    seen->count[member] = joined;
    if (!entry)
        return 0;
    struct pw_slot_sums *sums = sums_of(entry->slot);
    if (sums)
        count_member(sums, entry, key, member);
    return 0;
}

#endif
