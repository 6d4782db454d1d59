#include "wrapper/run/accounts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include "core/clock.h"
#include "core/cpu_profile.h"
#include "core/json.h"
#include "wrapper/probe/bpf/account.h"
#include "wrapper/probe/cgroup.h"
#include "wrapper/run/profiler.h"

/* Descriptors that the session needs besides, and each of its workers. */
enum { FDS_OF_SESSION = 16, FDS_OF_WORKER = 10 };
/* What a profile's files must leave free on the disk: the numbers come first. */
enum { DISK_ROOM_BYTES = 4 << 20 };

struct pw_accounts {
    const struct pw_plan *plan;
    struct pw_run_record *run;
    bool is_explicit; /* --accounting named a rung: its values have a reason if they are absent */
    struct pw_account *account;
    struct pw_cgroups *cgroups;
    struct pw_profiler *profiler;
    struct pw_cpu_profile profile; /* of all measured iterations */
    json_t *trace_paths;
    unsigned profiled; /* iterations */
    enum { SLOT_FREE, SLOT_WATCHED, SLOT_TAKEN } * slots;
    bool told; /* a failure of a worker's watching was warned of */
    bool told_of_files;
};

/* A failure as advice: its remedy, or where to look for one. */
static const char *advice_of(const struct pw_err *err)
{
    return err->remedy[0] ? err->remedy : "see `perfwrap doctor`";
}

static bool is_named(const struct pw_plan *plan, enum pw_rung rung)
{
    return plan->accounting && strcmp(plan->accounting, pw_rung_name(rung)) == 0;
}

/* A rung that was asked for by name and cannot be had is worth a warning; one that `auto` only
 * tried is not. */
static void refuse(struct pw_accounts *accounts, enum pw_rung rung, const struct pw_err *err)
{
    struct pw_accounting *accounting = &accounts->run->accounting;
    accounting->rungs[rung].state = PW_RUNG_REFUSED;
    snprintf(accounting->rungs[rung].why, PW_ACCOUNTING_WHY, "%s", err->message);
    snprintf(accounting->rungs[rung].remedy, PW_ACCOUNTING_WHY, "%s", err->remedy);
    if (is_named(accounts->plan, rung))
        pw_run_record_warn(accounts->run, "accounting_refused", advice_of(err), NULL,
                           "--accounting %s: %s; a lower source is used", pw_rung_name(rung),
                           err->message);
}

/* `missing`: what of it the machine does not allow, or "". */
static void use(struct pw_accounts *accounts, enum pw_rung rung, int64_t began_ns,
                const char *missing)
{
    struct pw_accounting *accounting = &accounts->run->accounting;
    accounting->rungs[rung].state = PW_RUNG_USED;
    accounting->rungs[rung].setup_ms = pw_ns_to_ms(pw_clock_now_ns() - began_ns);
    snprintf(accounting->rungs[rung].why, PW_ACCOUNTING_WHY, "%s", missing);
}

static unsigned count_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* Whether the workers can still be run with the descriptors that are left: what is optional must
 * not take them away. */
static int leave_files(const struct pw_accounts *accounts, struct pw_err *err)
{
    struct rlimit limit;
    unsigned needed = FDS_OF_SESSION + FDS_OF_WORKER * accounts->plan->concurrency;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        count_open_files() + needed <= limit.rlim_cur)
        return 0;
    pw_err_set(err, PW_ERR_SYSTEM,
               "it would leave too few open files for the workers (no more than %ju are allowed)",
               (uintmax_t)limit.rlim_cur);
    return pw_err_remedy(err, "raise the limit on open files (ulimit -n), or lower --concurrency");
}

static void open_account(struct pw_accounts *accounts)
{
    const struct pw_account_options options = {.slots = accounts->plan->concurrency,
                                               .syscalls = accounts->plan->account_syscalls};
    struct pw_err err = PW_ERR_INIT;
    int64_t began_ns = pw_clock_now_ns();
    if (pw_account_open(&options, &accounts->account, &err) || leave_files(accounts, &err)) {
        pw_account_close(accounts->account);
        accounts->account = NULL;
        refuse(accounts, PW_RUNG_EBPF, &err);
        return;
    }
    use(accounts, PW_RUNG_EBPF, began_ns, pw_account_why_not(accounts->account));
    accounts->run->accounting.powers = *pw_account_powers(accounts->account);
}

static void open_cgroups(struct pw_accounts *accounts)
{
    struct pw_cgroups_setup setup = PW_CGROUPS_SETUP_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct pw_cgroup_powers powers;
    setup.is_forced = is_named(accounts->plan, PW_RUNG_CGROUP);
    int64_t began_ns = pw_clock_now_ns();
    int result = accounts->plan->hold > 0
                     ? pw_err_set(&err, PW_ERR_SYSTEM, "workers that are held outlive their cgroup")
                     : pw_cgroups_open(&setup, &accounts->cgroups, &err);
    if (result || leave_files(accounts, &err)) {
        pw_cgroups_close(accounts->cgroups);
        accounts->cgroups = NULL;
        refuse(accounts, PW_RUNG_CGROUP, &err);
        return;
    }
    pw_cgroups_get_powers(accounts->cgroups, &powers);
    use(accounts, PW_RUNG_CGROUP, began_ns, powers.why_not);
}

static void open_profiler(struct pw_accounts *accounts)
{
    const struct pw_plan *plan = accounts->plan;
    const struct pw_profiler_options options = {.hz = plan->cpu_profile_hz,
                                                .time_limit_sec = plan->cpu_profile_limit_sec,
                                                .slots = plan->concurrency};
    struct pw_err err = PW_ERR_INIT;
    if (plan->cpu_profile_hz <= 0)
        return;
    if (pw_profiler_open(&options, &accounts->profiler, &err) || leave_files(accounts, &err)) {
        pw_profiler_free(accounts->profiler);
        accounts->profiler = NULL;
        pw_run_record_warn(accounts->run, "no_cpu_profile", advice_of(&err), NULL,
                           "no CPU profile: %s", err.message);
    }
}

/* The highest rung that the plan allows. */
static enum pw_rung best_rung(const struct pw_plan *plan)
{
    for (enum pw_rung rung = 0; rung < PW_RUNG_COUNT; rung++)
        if (is_named(plan, rung))
            return rung;
    return PW_RUNG_EBPF;
}

int pw_accounts_open(const struct pw_plan *plan, struct pw_run_record *run,
                     struct pw_accounts **ret_accounts, struct pw_err *err)
{
    *ret_accounts = NULL;
    if (!plan->accounting && plan->cpu_profile_hz <= 0)
        return 0;
    struct pw_accounts *accounts = calloc(1, sizeof *accounts);
    if (!accounts)
        return pw_err_memory(err);
    pw_cpu_profile_init(&accounts->profile, 0);
    accounts->plan = plan;
    accounts->run = run;
    accounts->slots = calloc(plan->concurrency, sizeof *accounts->slots);
    accounts->trace_paths = json_array();
    if (!accounts->slots || !accounts->trace_paths) {
        pw_accounts_close(accounts);
        return pw_err_memory(err);
    }
    if (plan->accounting) {
        enum pw_rung best = best_rung(plan);
        accounts->is_explicit = strcmp(plan->accounting, "auto") != 0;
        run->accounting.is_stated = true;
        run->accounting.asked = plan->accounting;
        run->accounting.rungs[PW_RUNG_PROC].state = PW_RUNG_USED;
        if (best <= PW_RUNG_EBPF)
            open_account(accounts);
        if (best <= PW_RUNG_CGROUP)
            open_cgroups(accounts);
    }
    open_profiler(accounts);
    *ret_accounts = accounts;
    return 0;
}

/* Text for people about how the profile was taken, and how whole it is. */
static json_t *describe_profile(const struct pw_accounts *accounts, bool *failed)
{
    const struct pw_profiler_facts *facts = pw_profiler_facts(accounts->profiler);
    const struct pw_cpu_profile *profile = &accounts->profile;
    double samples = profile->samples > 0 ? (double)profile->samples : 1;
    json_t *object = json_object();
    pw_json_put(object, "trace_paths", json_incref(accounts->trace_paths), failed);
    pw_json_put(object, "hotspots_top",
                pw_cpu_profile_hotspots_json(profile, accounts->plan->cpu_profile_hotspots, failed),
                failed);
    pw_json_put(object, "event", json_string(facts->event), failed);
    pw_json_put(object, "mode", json_string(facts->mode), failed);
    pw_json_put(object, "hz", json_real(facts->hz), failed);
    pw_json_put(object, "has_kernel", json_boolean(facts->has_kernel), failed);
    pw_json_put(object, "samples", json_integer((json_int_t)profile->samples), failed);
    pw_json_put(object, "weight_ms", json_real(pw_ns_to_ms(profile->weight_ns)), failed);
    pw_json_put(object, "broken_stacks_pct", json_real(100.0 * (double)profile->broken / samples),
                failed);
    pw_json_put(object, "lost_samples", json_integer((json_int_t)profile->lost), failed);
    pw_json_put(object, "how", json_string(facts->text), failed);
    return object;
}

/* The profile's files, of an iteration or (0) of the whole run. Without them the numbers are still
 * worth something: it is warned, once, and the run goes on. */
static void write_files(struct pw_accounts *accounts, const struct pw_cpu_profile *profile,
                        unsigned iteration)
{
    struct pw_run_record *run = accounts->run;
    struct pw_err err = PW_ERR_INIT;
    struct statvfs disk;
    int result = 0;
    if (!accounts->plan->write_profile)
        return;
    if (statvfs(run->run_dir, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < DISK_ROOM_BYTES)
        result = pw_err_set(&err, PW_ERR_SYSTEM, "less than %d MiB are free in `%s`",
                            DISK_ROOM_BYTES >> 20, run->run_dir);
    else
        result = accounts->plan->write_profile(profile, run->run_dir, iteration,
                                               accounts->trace_paths, &err);
    if (result == 0 || accounts->told_of_files)
        return;
    accounts->told_of_files = true;
    pw_run_record_warn(run, "no_profile_files",
                       err.remedy[0] ? err.remedy : "make room in the results' folder", NULL,
                       "files of the CPU profile are missing: %s", err.message);
}

/* The files of the whole run, and the block for the summary. */
static void finish_profile(struct pw_accounts *accounts)
{
    struct pw_run_record *run = accounts->run;
    bool failed = false;
    if (accounts->profiled > 0)
        write_files(accounts, &accounts->profile, 0);
    run->cpu_profile = describe_profile(accounts, &failed);
    if (failed) {
        json_decref(run->cpu_profile);
        run->cpu_profile = NULL;
    }
}

/* That a number is not what its name says must not only stand in the file. */
static void warn_inexact(const struct pw_accounts *accounts)
{
    const struct pw_accounting *accounting = &accounts->run->accounting;
    if (accounting->lost + accounting->untracked == 0)
        return;
    pw_run_record_warn(
        accounts->run, "not_exact",
        "keep a CPU free for perfwrap, which must read what the kernel tells; run fewer at once",
        NULL,
        "the kernel's account is not exact: %" PRIu64 " events were lost, %" PRIu64
        " threads not followed",
        accounting->lost, accounting->untracked);
}

void pw_accounts_close(struct pw_accounts *accounts)
{
    if (!accounts)
        return;
    warn_inexact(accounts);
    if (accounts->profiler)
        finish_profile(accounts);
    pw_profiler_free(accounts->profiler);
    pw_cgroups_close(accounts->cgroups);
    pw_account_close(accounts->account);
    pw_cpu_profile_done(&accounts->profile);
    json_decref(accounts->trace_paths);
    free(accounts->slots);
    free(accounts);
}

/* Of the first failure only: the others are its like. */
static void tell(struct pw_accounts *accounts, const char *what, const struct pw_err *err)
{
    if (accounts->told)
        return;
    accounts->told = true;
    pw_run_record_warn(accounts->run, "not_accounted", advice_of(err), NULL,
                       "a worker is not in the %s: %s", what, err->message);
}

void pw_accounts_watch(struct pw_accounts *accounts, unsigned slot, pid_t warden_pid)
{
    struct pw_err err = PW_ERR_INIT;
    if (!accounts)
        return;
    accounts->slots[slot] = SLOT_WATCHED;
    if (accounts->cgroups && pw_cgroup_enter(accounts->cgroups, slot, warden_pid, &err))
        tell(accounts, "cgroups' account", &err);
    if (accounts->account && pw_account_watch(accounts->account, slot, warden_pid, &err))
        tell(accounts, "kernel's account", &err);
    if (accounts->profiler && pw_profiler_watch(accounts->profiler, slot, warden_pid, &err))
        tell(accounts, "CPU profile", &err);
}

void pw_accounts_mark(struct pw_accounts *accounts, unsigned slot)
{
    if (accounts && accounts->account)
        pw_account_mark(accounts->account, slot);
}

void pw_accounts_end(struct pw_accounts *accounts, unsigned slot)
{
    if (accounts && accounts->profiler)
        pw_profiler_end(accounts->profiler, slot);
}

void pw_accounts_fds(const struct pw_accounts *accounts, int ret_fds[PW_ACCOUNTS_FDS])
{
    ret_fds[0] = accounts && accounts->account ? pw_account_fd(accounts->account) : -1;
    ret_fds[1] = accounts && accounts->profiler ? pw_profiler_fd(accounts->profiler) : -1;
}

void pw_accounts_drain(struct pw_accounts *accounts)
{
    if (accounts && accounts->account)
        pw_account_drain(accounts->account);
    if (accounts && accounts->profiler)
        pw_profiler_drain(accounts->profiler);
}

static struct pw_value scaled(struct pw_value value, double factor)
{
    return pw_value_is_present(value) ? pw_value_of(value.number * factor) : value;
}

static void take_cgroup(struct pw_accounts *accounts, unsigned slot, struct pw_value *values)
{
    static const double MIB = 1048576, SEC = 1e9, MS = 1e6;
    struct pw_cgroup_sums sums;
    pw_cgroup_read(accounts->cgroups, slot, &sums);
    values[PW_METRIC_CGROUP_USER_CPU] = scaled(sums.cpu_user_ns, 1 / SEC);
    values[PW_METRIC_CGROUP_SYSTEM_CPU] = scaled(sums.cpu_system_ns, 1 / SEC);
    values[PW_METRIC_CGROUP_THROTTLED] = scaled(sums.throttled_ns, 1 / MS);
    values[PW_METRIC_CGROUP_MEMORY_PEAK] = scaled(sums.memory_peak_bytes, 1 / MIB);
    values[PW_METRIC_CGROUP_PIDS_PEAK] = sums.pids_peak;
    values[PW_METRIC_CGROUP_IO_READ] = sums.io_read_bytes;
    values[PW_METRIC_CGROUP_IO_WRITE] = sums.io_write_bytes;
    values[PW_METRIC_CGROUP_PRESSURE_CPU] = scaled(sums.cpu_some_ns, 1 / MS);
    values[PW_METRIC_CGROUP_PRESSURE_MEMORY] = scaled(sums.memory_some_ns, 1 / MS);
    values[PW_METRIC_CGROUP_PRESSURE_IO] = scaled(sums.io_some_ns, 1 / MS);
    values[PW_METRIC_CGROUP_OOM_KILLS] = sums.oom_kills;
}

static int take_account(struct pw_accounts *accounts, unsigned slot,
                        struct pw_worker_record *record, struct pw_err *err)
{
    struct pw_accounting *accounting = &accounts->run->accounting;
    struct pw_kernel_account account;
    struct pw_err own = PW_ERR_INIT;
    bool failed = false;
    if (record->ended_at_ns <= record->started_at_ns) /* it never ran: pw_accounts_drop() */
        return 0;
    accounts->slots[slot] = SLOT_TAKEN;
    pw_kernel_account_init(&account);
    int result = pw_account_take(accounts->account, slot, record->started_at_ns,
                                 record->ended_at_ns, &account, &own);
    if (result) {
        tell(accounts, "kernel's account", &own);
    } else {
        pw_kernel_account_set_values(&account, record->values);
        record->kernel = pw_kernel_account_to_json(&account, record->started_at_ns, &failed);
        accounting->lost += account.lost;
        accounting->untracked += account.untracked;
        accounting->untraced += account.untraced;
        accounting->workers++;
    }
    pw_kernel_account_done(&account);
    return failed ? pw_err_memory(err) : 0;
}

/* Of a rung that was asked for by name, also what is missing is told. */
static void set_absent(const struct pw_accounts *accounts, struct pw_value *values)
{
    const struct pw_accounting *accounting = &accounts->run->accounting;
    const struct pw_kernel_account nothing = {0};
    if (accounts->is_explicit && accounting->rungs[PW_RUNG_EBPF].state == PW_RUNG_REFUSED)
        pw_kernel_account_set_values(&nothing, values);
    if (!is_named(accounts->plan, PW_RUNG_CGROUP) ||
        accounting->rungs[PW_RUNG_CGROUP].state != PW_RUNG_REFUSED)
        return;
    for (int id = PW_METRIC_CGROUP_USER_CPU; id <= PW_METRIC_CGROUP_OOM_KILLS; id++)
        values[id] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
}

int pw_accounts_take(struct pw_accounts *accounts, unsigned slot, struct pw_worker_record *record,
                     struct pw_err *err)
{
    if (!accounts)
        return 0;
    if (accounts->cgroups)
        take_cgroup(accounts, slot, record->values);
    if (accounts->account)
        return take_account(accounts, slot, record, err);
    set_absent(accounts, record->values);
    return 0;
}

static void leave_cgroup(struct pw_accounts *accounts, unsigned slot)
{
    struct pw_err err = PW_ERR_INIT;
    int result = accounts->plan->keep_orphans ? pw_cgroup_release(accounts->cgroups, slot, &err)
                                              : pw_cgroup_leave(accounts->cgroups, slot, &err);
    if (result)
        tell(accounts, "cgroups' account any more", &err);
}

void pw_accounts_drop(struct pw_accounts *accounts, unsigned slot)
{
    struct pw_kernel_account unwanted;
    if (!accounts || accounts->slots[slot] == SLOT_FREE)
        return;
    if (accounts->cgroups)
        leave_cgroup(accounts, slot);
    pw_kernel_account_init(&unwanted);
    if (accounts->slots[slot] == SLOT_WATCHED) {
        int64_t now_ns = pw_clock_now_ns();
        pw_accounts_end(accounts, slot);
        if (accounts->account)
            pw_account_take(accounts->account, slot, now_ns, now_ns, &unwanted, NULL);
    }
    pw_kernel_account_done(&unwanted);
    accounts->slots[slot] = SLOT_FREE;
}

/* The iteration's own part: file, hotspots. */
static int keep_profile(struct pw_accounts *accounts, const struct pw_cpu_profile *profile,
                        struct pw_iteration_record *iteration, struct pw_err *err)
{
    bool failed = false;
    size_t before = json_array_size(accounts->trace_paths);
    write_files(accounts, profile, iteration->number);
    const char *path = json_string_value(json_array_get(accounts->trace_paths, before));
    iteration->trace_path = path ? strdup(path) : NULL;
    iteration->hotspots =
        pw_cpu_profile_hotspots_json(profile, accounts->plan->cpu_profile_hotspots, &failed);
    iteration->values[PW_METRIC_TRACE_COUNT] = pw_value_of(path ? 1 : 0);
    accounts->profiled++;
    return failed ? pw_err_memory(err) : pw_cpu_profile_merge(&accounts->profile, profile, err);
}

int pw_accounts_take_profile(struct pw_accounts *accounts, struct pw_iteration_record *iteration,
                             struct pw_err *err)
{
    struct pw_cpu_profile profile;
    struct pw_err own = PW_ERR_INIT;
    int result = 0;
    if (!accounts || !accounts->profiler)
        return 0;
    pw_cpu_profile_init(&profile, 0);
    for (unsigned i = 0; i < iteration->worker_count; i++)
        if (pw_profiler_take(accounts->profiler, i, &profile, &own))
            tell(accounts, "CPU profile", &own);
    if (iteration->number > 0)
        result = keep_profile(accounts, &profile, iteration, err);
    pw_cpu_profile_done(&profile);
    return result;
}
