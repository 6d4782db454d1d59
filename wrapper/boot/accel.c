#include "wrapper/boot/accel.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/boot/accel_impl.h"
#ifdef __x86_64__
#include <x86intrin.h>
#endif

const char *pw_accel_name(enum pw_accel accel)
{
    return accel == PW_ACCEL_KVM ? "kvm" : "tcg";
}

const char *pw_kvm_name(enum pw_kvm kvm)
{
    static const char *const names[] = {"usable", "emulated", "absent", "denied", "broken"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == PW_KVM_COUNT, "a name for each");
    return names[kvm];
}

/* The rate of the time stamp counter */

bool pw_tsc_is_constant(const char *cpuinfo)
{
    /* Of the first CPU; Linux gives the same flags to all. */
    const char *line = strstr(cpuinfo, "\nflags");
    if (!line) {
        return false;
    }
    const char *end = line + 1 + strcspn(line + 1, "\n");
    static const char *const flags[] = {" constant_tsc", " nonstop_tsc"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const size_t length = strlen(flags[i]);
        const char *found = line;
        while ((found = memmem(found, (size_t)(end - found), flags[i], length))) {
            found += length;
            if (*found == ' ' || *found == '\n' || *found == '\0') {
                return true;
            }
        }
    }
    return false;
}

#ifdef __x86_64__

struct edge {
    uint64_t tsc;
    int64_t clock_ns, width_ns;
};

static int64_t raw_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return now.tv_sec * PW_NS_PER_SEC + now.tv_nsec;
}

/* Both at one moment: of several readings the one that took least, so was not interrupted. */
static struct edge read_edge(void)
{
    enum { READINGS = 50 };
    struct edge best = {.width_ns = INT64_MAX};
    for (int i = 0; i < READINGS; i++) {
        const int64_t before_ns = raw_ns();
        const uint64_t tsc = __rdtsc();
        const int64_t width_ns = raw_ns() - before_ns;
        if (width_ns < best.width_ns) {
            best = (struct edge){tsc, before_ns + width_ns / 2, width_ns};
        }
    }
    return best;
}

static double khz_between(const struct edge *from, const struct edge *to)
{
    const int64_t ns = to->clock_ns - from->clock_ns;
    return ns > 0 ? (double)(int64_t)(to->tsc - from->tsc) * 1e6 / (double)ns : 0.0;
}

unsigned pw_tsc_measure_khz(void)
{
    enum { WINDOWS = 5, WINDOW_MS = 10 };
    /* One that differs more from the whole has another rate, and not only its edges' errors. */
    const double tolerance = 200e-6;
    struct edge edges[WINDOWS + 1];
    for (int i = 0; i <= WINDOWS; i++) {
        if (i > 0) {
            nanosleep(&(struct timespec){.tv_nsec = WINDOW_MS * PW_NS_PER_MS}, NULL);
        }
        edges[i] = read_edge();
    }
    const double khz = khz_between(&edges[0], &edges[WINDOWS]);
    for (int i = 0; i < WINDOWS; i++) {
        const double part = khz_between(&edges[i], &edges[i + 1]);
        if (part < khz * (1 - tolerance) || part > khz * (1 + tolerance)) {
            return 0;
        }
    }
    return khz >= 1.0 && khz < 1e8 ? (unsigned)(khz + 0.5) : 0;
}

#else

unsigned pw_tsc_measure_khz(void)
{
    return 0;
}

#endif

static unsigned find_tsc_khz(void)
{
    enum { CPUINFO_BYTES = 16 << 20 };
    PW_FREE_AUTO char *cpuinfo = NULL;
    if (pw_file_read("/proc/cpuinfo", CPUINFO_BYTES, &cpuinfo, NULL, NULL) != 0 || !cpuinfo) {
        return 0;
    }
    return pw_tsc_is_constant(cpuinfo) ? pw_tsc_measure_khz() : 0;
}

/* The choice */

int pw_accel_choose_probed(const char *wanted, const struct pw_kvm_probe *probe,
                           struct pw_accel_choice *ret_choice, struct pw_err *err)
{
    const bool is_kvm = strcmp(wanted, "kvm") == 0;
    const bool is_auto = strcmp(wanted, "auto") == 0;
    if (!is_kvm && !is_auto && strcmp(wanted, "tcg") != 0) {
        return pw_err_set(err, PW_ERR_USAGE, "`%s` is no accelerator: auto, kvm or tcg", wanted);
    }
    if (is_kvm && probe->kvm != PW_KVM_USABLE) {
        pw_err_set(err, PW_ERR_INPUT, "KVM cannot be used: %s", probe->reason);
        return pw_err_remedy(
            err, "%s",
            probe->kvm == PW_KVM_DENIED
                ? "Become a member of the group kvm (usermod -aG kvm USER, and log "
                  "in again), or emulate with --accel tcg."
                : "Emulate with --accel tcg.");
    }
    *ret_choice = (struct pw_accel_choice){.kvm = *probe};
    ret_choice->accel =
        (is_kvm || is_auto) && probe->kvm == PW_KVM_USABLE ? PW_ACCEL_KVM : PW_ACCEL_TCG;
    return 0;
}

int pw_accel_choose(const char *wanted, struct pw_accel_choice *ret_choice, struct pw_err *err)
{
    struct pw_kvm_probe probe;
    pw_kvm_probe("/dev/kvm", &probe);
    if (pw_accel_choose_probed(wanted, &probe, ret_choice, err) != 0) {
        return -1;
    }
    ret_choice->tsc_khz = find_tsc_khz();
    return 0;
}
