#include "wrapper/run/profiler.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/cpu_sampler.h"
#include "wrapper/probe/perf_way.h"
#include "wrapper/probe/symbols/symbols.h"

enum { KALLSYMS_BYTES = 16384, PATH_BYTES = 256 };
static const double seconds_max = 1e9;

struct slot {
    bool is_watched;
    int64_t until_ns; /* INT64_MAX: no limit */
};

struct pw_profiler {
    struct pw_cpu_sampler *sampler;
    struct pw_symbols *symbols;
    struct pw_profiler_facts facts;
    int64_t limit_ns; /* 0: none */
    unsigned slot_count;
    struct slot slots[];
};

/* Whether addresses are shown: else all lines of /proc/kallsyms begin with zeros. */
static bool shows_kernel_names(const char *proc_root)
{
    char path[PATH_BYTES], text[KALLSYMS_BYTES + 1];
    snprintf(path, sizeof path, "%s/kallsyms", proc_root);
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, KALLSYMS_BYTES);
    text[length > 0 ? length : 0] = '\0';
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (isxdigit((unsigned char)line[strspn(line, "0")]))
            return true;
    }
    return false;
}

static void say(struct pw_profiler_facts *facts, const struct pw_cpu_sampler *sampler)
{
    bool is_whole = pw_cpu_sampler_is_whole(sampler);
    const struct pw_err *why = pw_cpu_sampler_why_not_whole(sampler);
    char rate[128], reason[sizeof why->message + 64] = "";
    if (facts->hz < facts->hz_asked) {
        snprintf(rate, sizeof rate,
                 "%g Hz (%g asked; kernel.perf_event_max_sample_rate allows no more)", facts->hz,
                 facts->hz_asked);
    } else {
        snprintf(rate, sizeof rate, "%g Hz", facts->hz);
    }
    if (pw_err_is_set(why))
        snprintf(reason, sizeof reason, "; not of the whole machine: %s", why->message);
    snprintf(facts->text, sizeof facts->text, "%s at %s, %s%s; kernel stacks %s", facts->event,
             rate,
             is_whole ? "of all that runs, the workers' processes picked out"
                      : "of events that the workers' processes inherit (those that live for less "
                        "than a period are mostly missed)",
             reason,
             !facts->has_kernel         ? "are not seen (kernel.perf_event_paranoid)"
             : !facts->has_kernel_names ? "are seen without names (kernel.kptr_restrict)"
                                        : "are seen");
}

static int make_sampler(struct pw_profiler *profiler, const struct pw_profiler_options *options,
                        const char *proc_root, struct pw_err *err)
{
    struct pw_profiler_facts *facts = &profiler->facts;
    facts->hz_asked = options->hz;
    facts->hz = options->hz;
    /* What is no rate at all is refused, not lowered. */
    if (options->hz <= PW_PERF_HZ_MAX)
        facts->hz = fmin(options->hz, pw_perf_most_hz(proc_root));
    const struct pw_cpu_sampler_options sampler = {.hz = facts->hz,
                                                   .whole_machine = !options->inherited_only,
                                                   .watch_ns = profiler->limit_ns,
                                                   .slots = options->slots,
                                                   .proc_root = proc_root};
    if (pw_cpu_sampler_new(&sampler, &profiler->sampler, err) != 0)
        return -1;
    facts->event = pw_cpu_sampler_event(profiler->sampler);
    facts->mode = pw_cpu_sampler_is_whole(profiler->sampler) ? "whole-machine" : "inherited";
    facts->has_kernel = pw_cpu_sampler_has_kernel(profiler->sampler);
    facts->has_kernel_names = facts->has_kernel && shows_kernel_names(proc_root);
    say(facts, profiler->sampler);
    return 0;
}

int pw_profiler_open(const struct pw_profiler_options *options, struct pw_profiler **ret_profiler,
                     struct pw_err *err)
{
    const char *proc_root = options->proc_root ? options->proc_root : "/proc";
    if (!(options->time_limit_sec >= 0 && options->time_limit_sec <= seconds_max))
        return pw_err_set(err, PW_ERR_USAGE, "a CPU profile of %g s: it must be 0 to %g",
                          options->time_limit_sec, seconds_max);
    if (options->slots < 1 || options->slots > PW_LIMIT_WORKERS)
        return pw_err_set(err, PW_ERR_INTERNAL, "a CPU profile of %u workers", options->slots);
    struct pw_profiler *profiler =
        calloc(1, sizeof *profiler + options->slots * sizeof profiler->slots[0]);
    if (!profiler)
        return pw_err_memory(err);
    profiler->slot_count = options->slots;
    profiler->limit_ns = llround(options->time_limit_sec * PW_NS_PER_SEC);
    if (make_sampler(profiler, options, proc_root, err) != 0 ||
        pw_symbols_new(proc_root, &profiler->symbols, err) != 0) {
        pw_profiler_free(profiler);
        if (err && err->sys == EMFILE && err->remedy[0] == '\0')
            pw_err_remedy(err, "one file a CPU and worker is needed: raise ulimit -n");
        return -1;
    }
    *ret_profiler = profiler;
    return 0;
}

void pw_profiler_free(struct pw_profiler *profiler)
{
    if (!profiler)
        return;
    pw_cpu_sampler_free(profiler->sampler);
    pw_symbols_free(profiler->symbols);
    free(profiler);
}

const struct pw_profiler_facts *pw_profiler_facts(const struct pw_profiler *profiler)
{
    return &profiler->facts;
}

int pw_profiler_watch(struct pw_profiler *profiler, unsigned slot, pid_t warden_pid,
                      struct pw_err *err)
{
    int64_t began_ns = pw_clock_now_ns();
    if (pw_cpu_sampler_watch(profiler->sampler, slot, warden_pid, err) != 0)
        return -1;
    profiler->slots[slot] = (struct slot){
        .is_watched = true,
        .until_ns = profiler->limit_ns > 0 ? began_ns + profiler->limit_ns : INT64_MAX};
    return 0;
}

int pw_profiler_fd(const struct pw_profiler *profiler)
{
    return pw_cpu_sampler_fd(profiler->sampler);
}

void pw_profiler_drain(struct pw_profiler *profiler)
{
    int64_t now_ns = pw_clock_now_ns();
    for (unsigned i = 0; i < profiler->slot_count; i++) {
        if (profiler->slots[i].is_watched && now_ns > profiler->slots[i].until_ns)
            pw_profiler_end(profiler, i);
    }
    pw_cpu_sampler_drain(profiler->sampler);
}

void pw_profiler_end(struct pw_profiler *profiler, unsigned slot)
{
    if (slot >= profiler->slot_count || !profiler->slots[slot].is_watched)
        return;
    profiler->slots[slot].is_watched = false;
    pw_cpu_sampler_unwatch(profiler->sampler, slot);
}

int pw_profiler_take(struct pw_profiler *profiler, unsigned slot, struct pw_cpu_profile *profile,
                     struct pw_err *err)
{
    const struct pw_symbolizer symbolizer = pw_symbols_symbolizer(profiler->symbols);
    pw_profiler_end(profiler, slot);
    if (profile->hz <= 0)
        profile->hz = profiler->facts.hz;
    /* What had these pids when names were asked for the last time has gone. */
    pw_symbols_forget_processes(profiler->symbols);
    return pw_cpu_sampler_take(profiler->sampler, slot, &symbolizer, profile, err);
}
