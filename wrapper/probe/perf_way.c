#include "wrapper/probe/perf_way.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/perf_ring.h"

enum { PATH_BYTES = 256, NUMBER_BYTES = 64 };

static bool read_sysctl(const char *proc_root, const char *name, double *ret_value)
{
    char path[PATH_BYTES];
    PW_FREE_AUTO char *text = NULL;
    snprintf(path, sizeof path, "%s/sys/kernel/%s", proc_root, name);
    if (pw_file_read(path, NUMBER_BYTES, &text, NULL, NULL) != 0) {
        return false;
    }
    *ret_value = strtod(text, NULL);
    return true;
}

int pw_perf_refused(struct pw_err *err, int sys, const char *what)
{
    pw_err_system(err, sys, "perf_event_open of %s", what);
    switch (sys) {
    case EACCES:
    case EPERM:
        return pw_err_remedy(err, "set sysctl kernel.perf_event_paranoid to 2 or less, or give "
                                  "perfwrap CAP_PERFMON (in a container, its seccomp filter may "
                                  "refuse it too)");
    case ENOSYS:
    case ENOENT:
    case EOPNOTSUPP:
        return pw_err_remedy(err, "a kernel with CONFIG_PERF_EVENTS is needed (in a container, its "
                                  "seccomp filter may refuse it too)");
    case EMFILE: return pw_err_remedy(err, "one file a CPU and worker is needed: raise ulimit -n");
    case ENFILE: return pw_err_remedy(err, "raise sysctl fs.file-max");
    case ENOSPC:
    case EMLINK:
    case EBUSY:
        return pw_err_remedy(err, "the kernel has no room for another event: end other profilers");
    default: return -1;
    }
}

double pw_perf_most_hz(const char *proc_root)
{
    double most = 0;
    bool is_less = read_sysctl(proc_root, "perf_event_max_sample_rate", &most) && most >= 1 &&
                   most < PW_PERF_HZ_MAX;
    return is_less ? most : PW_PERF_HZ_MAX;
}

/* Leaves out of `attr` what this kernel does not know or not allow. */
static int find_powers(struct perf_event_attr *attr, bool is_whole, struct pw_err *err)
{
    struct perf_event_attr probe = *attr;
    probe.disabled = 1;
    for (;;) {
        int fd = is_whole ? pw_perf_open(&probe, -1, 0) : pw_perf_open(&probe, getpid(), -1);
        int sys = errno;
        if (fd >= 0) {
            close(fd);
            break;
        }
        if (sys == EINVAL && probe.read_format) {
            probe.read_format = 0; /* before Linux 6.0 */
        } else if ((sys == EACCES || sys == EPERM) && !probe.exclude_kernel && !is_whole) {
            probe.exclude_kernel = 1;
        } else {
            return pw_perf_refused(err, sys, "the software CPU clock");
        }
    }
    probe.disabled = 0;
    *attr = probe;
    return 0;
}

/* No build ids (attr.build_id): the kernel reads them from the file each time that one is mapped,
 * which costs a program of a millisecond some per cent of its time. Whether a file is the one that
 * was mapped is told by symbols/. */
static struct perf_event_attr attr_of(double hz, unsigned most_addresses)
{
    struct perf_event_attr attr = pw_perf_attr();
    attr.config = PERF_COUNT_SW_CPU_CLOCK;
    attr.sample_period = (uint64_t)llround((double)PW_NS_PER_SEC / hz);
    attr.sample_max_stack = (uint16_t)most_addresses;
    attr.read_format = PERF_FORMAT_LOST;
    attr.inherit = 1;
    attr.mmap = 1;
    attr.mmap2 = 1;
    attr.comm = 1;
    attr.comm_exec = 1;
    attr.task = 1;
    return attr;
}

int pw_perf_way_find(const char *proc_root, double hz, bool want_whole, struct pw_perf_way *ret_way,
                     struct pw_err *err)
{
    if (!(hz >= 1 && hz <= PW_PERF_HZ_MAX)) {
        return pw_err_set(err, PW_ERR_USAGE, "%g samples a second: it must be 1 to %d", hz,
                          PW_PERF_HZ_MAX);
    }
    double most = pw_perf_most_hz(proc_root);
    if (hz > most) {
        pw_err_set(err, PW_ERR_SYSTEM, "%g samples a second: this kernel allows %g", hz, most);
        return pw_err_remedy(err, "raise sysctl kernel.perf_event_max_sample_rate");
    }
    struct pw_perf_way way = {.most_addresses = PW_LIMIT_SAMPLED_DEPTH,
                              .why_not_whole = PW_ERR_INIT};
    double deepest = 0;
    if (read_sysctl(proc_root, "perf_event_max_stack", &deepest) && deepest >= 1 &&
        deepest < PW_LIMIT_SAMPLED_DEPTH) {
        way.most_addresses = (unsigned)deepest;
    }
    way.attr = attr_of(hz, way.most_addresses);
    struct perf_event_attr whole = way.attr;
    whole.inherit = 0;
    whole.exclude_idle = 1;
    way.is_whole = want_whole && find_powers(&whole, true, &way.why_not_whole) == 0;
    if (way.is_whole) {
        whole.disabled = 1;
        way.attr = whole;
    } else if (find_powers(&way.attr, false, err) != 0) {
        return -1;
    }
    *ret_way = way;
    return 0;
}
