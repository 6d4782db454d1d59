/* From stacks of places to stacks of names, for cpu_sampler.c. */
#ifndef PW_PROBE_CPU_NAMES_H
#define PW_PROBE_CPU_NAMES_H

#include "core/cpu_profile.h"
#include "core/err.h"
#include "wrapper/probe/perf_maps.h"
#include "wrapper/probe/perf_stacks.h"
#include "wrapper/probe/symbolizer.h"

/* Adds all stacks to the profile; broken ones as cpu_sampler.h defines them. */
int pw_cpu_names_add(const struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                     const struct pw_symbolizer *symbolizer, struct pw_cpu_profile *profile,
                     struct pw_err *err);

#endif
