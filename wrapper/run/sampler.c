#include "wrapper/run/sampler.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "core/clock.h"
#include "wrapper/probe/tree.h"
#include "wrapper/probe/tree_stats.h"

#define FIRST_GAP_NS INT64_C(1000000)
#define LONGEST_GAP_NS (INT64_C(10) * PW_NS_PER_SEC) /* however dear a tree is to read */
#define MAPS_GAP_NS INT64_C(100000000)               /* between two looks at smaps_rollup */

/* CPU that the close samples after a start may take, in percent of a core: many starts at once must
 * not be in the way of each other. */
#define START_PCT 5.0
#define CREDIT_NS INT64_C(10000000) /* CPU that workers may use ahead, all together */
enum { ALIGNED_TICKS = 2 };         /* shorter gaps than this many ticks are left as they are */

#define PEAK_GROWTH 1.02   /* what has grown by as much is looked into again, if that is paid for */
#define SUDDEN_GROWTH 1.5  /* and by as much also in advance */
#define BREAKDOWN_PCT 50.0 /* of the budget, that breakdowns may take when nothing was saved up */
/* What a breakdown may cost more for each byte that there is more: the kernel walks all pages
 * twice, and needs some 50 ns for one of 4 KiB. */
#define BREAKDOWN_NS_PER_BYTE (100.0 / 4096)
#define CREDIT_PLENTY 0.9 /* of what can be saved up: enough for a breakdown however dear it is */

struct slot {
    struct pw_tree *tree; /* NULL: free */
    struct pw_tree_stats stats;
    int64_t last_at_ns, next_at_ns, gap_ns;
    int64_t next_top_ns, next_maps_ns;
    int64_t credit_ns; /* CPU it may still use; below 0: owes */
    int64_t busy_ns;   /* wall time spent on it */
    /* With the plan's vmmap_snapshots: */
    struct pw_memory_breakdown breakdown; /* the largest so far, if there is one */
    bool has_breakdown;
    double looked_rss_bytes;     /* when the last breakdown was taken; not the RSS in it */
    double peak_footprint_bytes; /* of all samples */
    int64_t next_breakdown_ns, breakdown_cost_ns; /* when it is paid for; what the last one cost */
};

struct pw_sampler {
    const struct pw_plan *plan;
    unsigned slot_count;
    pthread_t thread;
    bool threaded;
    int64_t tick_ns;       /* the kernel's */
    pthread_mutex_t trees; /* guards the next four; held for one sample at a time */
    struct pw_proc *proc;
    struct pw_memory_maps *maps; /* for breakdowns; NULL: none are wanted */
    struct slot *slots;
    int64_t charged_ns;   /* CPU of the thread that workers have paid for */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool ending;
    unsigned added; /* grows when a slot was filled: look again */
    unsigned active;
    int64_t active_since_ns; /* while active > 0 */
    struct pw_observer observer;
};

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ns(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long it takes until a worker's share of `pct` percent of a core pays for `cost_ns` of CPU. */
static int64_t time_to_earn_ns(int64_t cost_ns, unsigned active, double pct)
{
    return (int64_t)((double)cost_ns * active * 100.0 / pct);
}

/* `at_ns`, or a little earlier, when the CPU times of running threads were just brought up to date:
 * if that does not change the gap by much. */
static int64_t on_tick(const struct pw_sampler *sampler, int64_t at_ns, int64_t gap_ns)
{
    if (gap_ns < ALIGNED_TICKS * sampler->tick_ns)
        return at_ns;
    return pw_clock_behind_tick_ns(at_ns, sampler->tick_ns);
}

static int64_t top_due_ns(const struct pw_sampler *sampler, const struct slot *slot)
{
    return on_tick(sampler, slot->next_top_ns, pw_ms_to_ns(sampler->plan->top_interval_ms));
}

/*
 * When to look again. The gap doubles up to the interval, but many workers' close looks after their
 * starts may not take more than START_PCT together. The CPU budget is a token bucket: a worker
 * earns its share of it, saves up to its share of CREDIT_NS, and one that is in debt waits until it
 * has earned it: then the gap is longer than the interval, and true is returned.
 */
static bool plan_next(const struct pw_sampler *sampler, struct slot *slot, int64_t now,
                      int64_t cost_ns, unsigned active)
{
    const struct pw_plan *plan = sampler->plan;
    double pct = plan->probe_budget_pct;
    int64_t interval = pw_ms_to_ns(plan->probe_interval_ms);
    int64_t earned = (int64_t)((double)(now - slot->last_at_ns) * pct / 100.0 / active);
    slot->credit_ns = min_ns(slot->credit_ns + earned, CREDIT_NS / active) - cost_ns;
    int64_t gap = max_ns(slot->gap_ns * 2, time_to_earn_ns(cost_ns, active, START_PCT));
    slot->gap_ns = gap = min_ns(gap, interval);
    int64_t wait = slot->credit_ns < 0 ? time_to_earn_ns(-slot->credit_ns, active, pct) : 0;
    bool lengthened = wait > interval;
    if (lengthened)
        gap = min_ns(wait, LONGEST_GAP_NS);
    slot->next_at_ns = on_tick(sampler, now + gap, gap);
    if (plan->top_attach)
        slot->next_at_ns = min_ns(slot->next_at_ns, top_due_ns(sampler, slot));
    return lengthened;
}

/*
 * Whether a breakdown is paid for: out of what the worker has saved up, as far as its cost can be
 * told before, or because the last one was so long ago that samples had their half of the budget.
 * A short life with a small budget may end before either; so what has grown by a half is looked
 * into unless the worker is in debt, and the gap behind it becomes longer. That is rare: sizes
 * double some twenty times at most.
 */
static bool can_pay_breakdown(const struct slot *slot, double rss_bytes, int64_t now,
                              unsigned active)
{
    double most_ns = (double)CREDIT_NS / active * CREDIT_PLENTY;
    double cost_ns = (double)slot->breakdown_cost_ns;
    if (rss_bytes > slot->looked_rss_bytes)
        cost_ns += (rss_bytes - slot->looked_rss_bytes) * BREAKDOWN_NS_PER_BYTE;
    if (slot->credit_ns < 0)
        return false;
    return now >= slot->next_breakdown_ns || rss_bytes > slot->looked_rss_bytes * SUDDEN_GROWTH ||
           (double)slot->credit_ns >= (cost_ns < most_ns ? cost_ns : most_ns);
}

/* Whether there is more memory than in the breakdown that is kept. RSS is known at each sample and
 * tells of a sudden peak; the footprint is known at some, and grows also where RSS does not (swap).
 */
static bool is_breakdown_due(const struct pw_sampler *sampler, struct slot *slot,
                             const struct pw_tree_sample *sample, int64_t now, unsigned active)
{
    double footprint_bytes = 0, rss_bytes = (double)sample->rss_bytes;
    if (!sampler->maps)
        return false;
    if (pw_value_is_present(sample->footprint_bytes))
        footprint_bytes = sample->footprint_bytes.number;
    if (footprint_bytes > slot->peak_footprint_bytes)
        slot->peak_footprint_bytes = footprint_bytes;
    double kept_bytes = slot->has_breakdown ? (double)slot->breakdown.footprint_bytes : 0;
    bool is_larger = rss_bytes > slot->looked_rss_bytes * PEAK_GROWTH ||
                     footprint_bytes > kept_bytes * PEAK_GROWTH;
    return is_larger && can_pay_breakdown(slot, rss_bytes, now, active);
}

static void take_breakdown(struct pw_sampler *sampler, struct slot *slot,
                           const struct pw_tree_sample *sample, unsigned active)
{
    struct pw_memory_breakdown breakdown;
    int64_t cpu_ns = pw_clock_thread_cpu_ns();
    slot->looked_rss_bytes = (double)sample->rss_bytes;
    if (pw_tree_break_down(slot->tree, sampler->maps, &breakdown)) {
        pw_tree_stats_add_breakdown(&slot->stats, &breakdown);
        if ((double)breakdown.footprint_bytes > slot->peak_footprint_bytes)
            slot->peak_footprint_bytes = (double)breakdown.footprint_bytes;
        const struct pw_memory_breakdown *kept = &slot->breakdown;
        bool is_larger = breakdown.has_parts ? breakdown.footprint_bytes > kept->footprint_bytes
                                             : breakdown.pss_bytes > kept->pss_bytes;
        if (!slot->has_breakdown || is_larger)
            slot->breakdown = breakdown;
        slot->has_breakdown = true;
        /* It read what a sample with maps would. */
        slot->next_maps_ns = pw_clock_now_ns() + MAPS_GAP_NS;
    }
    slot->breakdown_cost_ns = pw_clock_thread_cpu_ns() - cpu_ns;
    double pct = sampler->plan->probe_budget_pct * BREAKDOWN_PCT / 100.0;
    slot->next_breakdown_ns =
        pw_clock_now_ns() + time_to_earn_ns(slot->breakdown_cost_ns, active, pct);
}

static void sample_slot(struct pw_sampler *sampler, struct slot *slot, unsigned active)
{
    const struct pw_plan *plan = sampler->plan;
    int64_t now = pw_clock_now_ns();
    bool maps = (plan->pss || plan->vmmap_snapshots) && now >= slot->next_maps_ns;
    bool top = plan->top_attach && now >= top_due_ns(sampler, slot);
    struct pw_tree_sample sample;
    enum pw_tree_outcome outcome =
        pw_tree_sample(slot->tree, maps ? PW_TREE_WANT_MAPS : PW_TREE_WANT_BASIC, &sample);
    if (outcome == PW_TREE_SAMPLED)
        pw_tree_stats_add(&slot->stats, &sample, top);
    if (outcome == PW_TREE_SAMPLED && is_breakdown_due(sampler, slot, &sample, now, active))
        take_breakdown(sampler, slot, &sample, active);
    if (maps)
        slot->next_maps_ns = now + MAPS_GAP_NS;
    if (top)
        slot->next_top_ns += pw_ms_to_ns(plan->top_interval_ms);
    if (top && slot->next_top_ns <= now)
        slot->next_top_ns = now + pw_ms_to_ns(plan->top_interval_ms);
    /* All that the thread has used since the sample before, waking up included. */
    int64_t cpu_ns = pw_clock_thread_cpu_ns(), cost = cpu_ns - sampler->charged_ns;
    sampler->charged_ns = cpu_ns;
    bool lengthened = plan_next(sampler, slot, now, cost, active);
    slot->busy_ns += pw_clock_now_ns() - now;
    pthread_mutex_lock(&sampler->lock);
    sampler->observer.samples += outcome == PW_TREE_SAMPLED;
    sampler->observer.lengthened_gaps += lengthened;
    if (now - slot->last_at_ns > sampler->observer.largest_gap_ns)
        sampler->observer.largest_gap_ns = now - slot->last_at_ns;
    pthread_mutex_unlock(&sampler->lock);
    slot->last_at_ns = now;
}

/* Samples every slot that is due; returns when the next one will be. */
static int64_t sample_due(struct pw_sampler *sampler, unsigned active)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < sampler->slot_count; i++) {
        struct slot *slot = &sampler->slots[i];
        pthread_mutex_lock(&sampler->trees);
        if (slot->tree && slot->next_at_ns <= pw_clock_now_ns())
            sample_slot(sampler, slot, active);
        if (slot->tree)
            next = min_ns(next, slot->next_at_ns);
        pthread_mutex_unlock(&sampler->trees);
    }
    return next;
}

static void *sampler_main(void *argument)
{
    struct pw_sampler *sampler = argument;
    pthread_mutex_lock(&sampler->lock);
    while (!sampler->ending) {
        unsigned seen = sampler->added, active = sampler->active;
        pthread_mutex_unlock(&sampler->lock);
        int64_t next = sample_due(sampler, active ? active : 1);
        pthread_mutex_lock(&sampler->lock);
        sampler->observer.sampler_cpu_ns = pw_clock_thread_cpu_ns();
        struct timespec until = {.tv_sec = next / PW_NS_PER_SEC, .tv_nsec = next % PW_NS_PER_SEC};
        while (!sampler->ending && sampler->added == seen && pw_clock_now_ns() < next)
            if (next == INT64_MAX)
                pthread_cond_wait(&sampler->changed, &sampler->lock);
            else
                pthread_cond_timedwait(&sampler->changed, &sampler->lock, &until);
    }
    pthread_mutex_unlock(&sampler->lock);
    return NULL;
}

static int init_sampler(struct pw_sampler *sampler, struct pw_err *err)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sampler->lock, NULL);
    pthread_mutex_init(&sampler->trees, NULL);
    sampler->slots = calloc(sampler->slot_count, sizeof *sampler->slots);
    if (!sampler->slots) {
        sampler->slot_count = 0;
        return pw_err_memory(err);
    }
    sampler->observer.tree_source = "none";
    if (sampler->plan->probe_budget_pct <= 0 || pw_proc_open("/proc", &sampler->proc, NULL))
        return 0;
    sampler->observer.tree_source = pw_proc_tree_source(sampler->proc);
    if (sampler->plan->vmmap_snapshots && pw_memory_maps_new(&sampler->maps, err))
        return -1;
    int sys = pthread_create(&sampler->thread, NULL, sampler_main, sampler);
    if (sys) {
        pw_err_system(err, sys, "start sampling thread");
        return pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max)");
    }
    sampler->threaded = true;
    return 0;
}

int pw_sampler_new(const struct pw_plan *plan, struct pw_sampler **ret_sampler, struct pw_err *err)
{
    struct pw_sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return pw_err_memory(err);
    sampler->plan = plan;
    sampler->tick_ns = pw_clock_tick_ns();
    sampler->slot_count = plan->concurrency;
    if (init_sampler(sampler, err)) {
        pw_sampler_free(sampler);
        return -1;
    }
    *ret_sampler = sampler;
    return 0;
}

void pw_sampler_free(struct pw_sampler *sampler)
{
    if (!sampler)
        return;
    if (sampler->threaded) {
        pthread_mutex_lock(&sampler->lock);
        sampler->ending = true;
        pthread_cond_signal(&sampler->changed);
        pthread_mutex_unlock(&sampler->lock);
        pthread_join(sampler->thread, NULL);
    }
    for (unsigned i = 0; i < sampler->slot_count; i++)
        pw_tree_close(sampler->slots[i].tree);
    free(sampler->slots);
    pw_memory_maps_free(sampler->maps);
    pw_proc_close(sampler->proc);
    pthread_cond_destroy(&sampler->changed);
    pthread_mutex_destroy(&sampler->trees);
    pthread_mutex_destroy(&sampler->lock);
    free(sampler);
}

int pw_sampler_add(struct pw_sampler *sampler, unsigned index, pid_t warden_pid, pid_t root_pid,
                   int64_t spawned_at_ns, struct pw_err *err)
{
    if (!sampler->threaded)
        return 0;
    struct slot *slot = &sampler->slots[index];
    pthread_mutex_lock(&sampler->trees);
    int result = pw_tree_open(sampler->proc, warden_pid, root_pid, &slot->tree, err);
    if (result == 0) {
        pw_tree_stats_init(&slot->stats, spawned_at_ns, sampler->plan->top_attach);
        int64_t now = pw_clock_now_ns();
        slot->last_at_ns = spawned_at_ns;
        slot->next_at_ns = slot->next_top_ns = slot->next_maps_ns = now;
        slot->gap_ns = FIRST_GAP_NS / 2;
        slot->busy_ns = 0;
        slot->has_breakdown = false;
        slot->looked_rss_bytes = slot->peak_footprint_bytes = 0;
        slot->breakdown_cost_ns = slot->next_breakdown_ns = 0;
        slot->credit_ns = CREDIT_NS; /* cut to its share at the first sample */
    }
    pthread_mutex_unlock(&sampler->trees);
    if (result)
        return result;
    pthread_mutex_lock(&sampler->lock);
    sampler->added++;
    if (sampler->active++ == 0)
        sampler->active_since_ns = pw_clock_now_ns();
    pthread_cond_signal(&sampler->changed);
    pthread_mutex_unlock(&sampler->lock);
    return 0;
}

void pw_sampler_take(struct pw_sampler *sampler, unsigned index, int64_t ended_at_ns,
                     int64_t cpu_ns, struct pw_value *values)
{
    struct slot *slot = &sampler->slots[index];
    pthread_mutex_lock(&sampler->trees);
    struct pw_tree *tree = slot->tree;
    slot->tree = NULL;
    if (tree) {
        pw_tree_stats_finish(&slot->stats, ended_at_ns, cpu_ns, -1);
        pw_tree_stats_values(&slot->stats, tree, values);
        values[PW_METRIC_STEP_MONITOR_LOOP] = pw_value_of(pw_ns_to_ms(slot->busy_ns));
        pthread_mutex_lock(&sampler->lock);
        sampler->observer.processes_skipped += pw_tree_skipped(tree);
        if (--sampler->active == 0)
            sampler->observer.observed_ns += pw_clock_now_ns() - sampler->active_since_ns;
        pthread_mutex_unlock(&sampler->lock);
        pw_tree_close(tree);
    }
    pthread_mutex_unlock(&sampler->trees);
}

bool pw_sampler_take_breakdown(struct pw_sampler *sampler, unsigned index,
                               struct pw_memory_breakdown *ret_breakdown)
{
    struct slot *slot = &sampler->slots[index];
    pthread_mutex_lock(&sampler->trees);
    bool has_breakdown = slot->has_breakdown && slot->tree == NULL;
    if (has_breakdown) {
        *ret_breakdown = slot->breakdown;
        ret_breakdown->peak_footprint_bytes = (uint64_t)slot->peak_footprint_bytes;
        slot->has_breakdown = false;
    }
    pthread_mutex_unlock(&sampler->trees);
    return has_breakdown;
}

void pw_sampler_observer(struct pw_sampler *sampler, struct pw_observer *ret_observer)
{
    pthread_mutex_lock(&sampler->lock);
    *ret_observer = sampler->observer;
    pthread_mutex_unlock(&sampler->lock);
}
