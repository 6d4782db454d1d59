#include "wrapper/probe/footprint_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/probe/footprint_guest.h"

enum { TEXT_BYTES = 4096, PATH_BYTES = 64 };

const struct pw_foot_field pw_foot_fields[PW_FOOT_COUNT] = {
    [PW_FOOT_RSS] = {"rss_kib", "RSS", PW_FOOT_KIB},
    [PW_FOOT_PSS] = {"pss_kib", "PSS", PW_FOOT_KIB},
    [PW_FOOT_USS] = {"uss_kib", "USS", PW_FOOT_KIB},
    [PW_FOOT_PSS_ANON] = {"pss_anon_kib", "PSS, anonymous", PW_FOOT_KIB},
    [PW_FOOT_PSS_FILE] = {"pss_file_kib", "PSS, files", PW_FOOT_KIB},
    [PW_FOOT_PSS_SHMEM] = {"pss_shmem_kib", "PSS, shared memory", PW_FOOT_KIB},
    [PW_FOOT_SWAP_PSS] = {"swap_pss_kib", "swapped out", PW_FOOT_KIB},
    [PW_FOOT_HUGETLB] = {"hugetlb_kib", "huge pages (hugetlb)", PW_FOOT_KIB},
    [PW_FOOT_PEAK_RSS] = {"peak_rss_kib", "peak RSS", PW_FOOT_KIB},
    [PW_FOOT_THREADS] = {"threads", "threads", PW_FOOT_NUMBER},
    [PW_FOOT_OPEN_FILES] = {"open_files", "open files", PW_FOOT_NUMBER},
    [PW_FOOT_CPU_USER] = {"cpu_user_seconds", "CPU time, user", PW_FOOT_SECONDS},
    [PW_FOOT_CPU_SYSTEM] = {"cpu_system_seconds", "CPU time, system", PW_FOOT_SECONDS},
    [PW_FOOT_GUEST_RSS] = {"guest_rss_kib", "guest memory, RSS", PW_FOOT_KIB},
    [PW_FOOT_GUEST_PSS] = {"guest_pss_kib", "guest memory, PSS", PW_FOOT_KIB},
    [PW_FOOT_OVERHEAD] = {"monitor_overhead_kib", "all but the guest, PSS", PW_FOOT_KIB},
};

/* The lines of smaps_rollup that make up a field. */
static const struct {
    enum pw_foot_id field;
    enum pw_proc_rollup_part first, second; /* PW_ROLLUP_PARTS: no second one */
} sums[] = {
    {PW_FOOT_RSS, PW_ROLLUP_RSS, PW_ROLLUP_PARTS},
    {PW_FOOT_USS, PW_ROLLUP_PRIVATE_CLEAN, PW_ROLLUP_PRIVATE_DIRTY},
    {PW_FOOT_PSS_ANON, PW_ROLLUP_PSS_ANON, PW_ROLLUP_PARTS},
    {PW_FOOT_PSS_FILE, PW_ROLLUP_PSS_FILE, PW_ROLLUP_PARTS},
    {PW_FOOT_PSS_SHMEM, PW_ROLLUP_PSS_SHMEM, PW_ROLLUP_PARTS},
    {PW_FOOT_SWAP_PSS, PW_ROLLUP_SWAP_PSS, PW_ROLLUP_PARTS},
    {PW_FOOT_HUGETLB, PW_ROLLUP_PRIVATE_HUGETLB, PW_ROLLUP_SHARED_HUGETLB},
};

uint64_t pw_foot_ns_of(const struct pw_proc *proc, uint64_t ticks)
{
    uint64_t limit = (uint64_t)(INT64_MAX / proc->ns_per_tick);
    return (ticks < limit ? ticks : limit) * (uint64_t)proc->ns_per_tick;
}

/* The comm between the first parenthesis and the last. */
static void copy_name(const char *text, char name[PW_FOOT_NAME_BYTES])
{
    const char *first = strchr(text, '('), *last = strrchr(text, ')');
    size_t length = first && last > first ? (size_t)(last - first - 1) : 0;
    length = length < PW_FOOT_NAME_BYTES ? length : PW_FOOT_NAME_BYTES - 1;
    if (length > 0) {
        memcpy(name, first + 1, length);
    }
    name[length] = '\0';
}

enum pw_proc_outcome pw_foot_stat_read(const struct pw_proc *proc, int dir_fd, pid_t pid,
                                       struct pw_foot_reading *ret_reading,
                                       char name[PW_FOOT_NAME_BYTES])
{
    char text[TEXT_BYTES];
    struct pw_foot_reading reading;
    clockid_t clock = 0;
    /* If stat can be read after the clock was, the clock is of the same process. */
    bool has_clock = pw_proc_clock_read(proc, pid, &clock, &reading.own_ns);
    ssize_t length = pw_proc_text_read(dir_fd, "stat", text, sizeof text);
    if (length < 0) {
        return pw_proc_outcome_of(errno);
    }
    if (!pw_proc_stat_parse(text, (size_t)length, &reading.stat)) {
        return length == 0 ? PW_PROC_GONE : PW_PROC_FAILED;
    }
    if (!has_clock) {
        reading.own_ns = pw_foot_ns_of(proc, reading.stat.utime_ticks + reading.stat.stime_ticks);
    }
    if (name) {
        copy_name(text, name);
    }
    *ret_reading = reading;
    return PW_PROC_OK;
}

static enum pw_absence absence_of(enum pw_proc_outcome outcome)
{
    return outcome == PW_PROC_DENIED ? PW_ABSENT_NO_PERMISSION : PW_ABSENT_NO_SAMPLES;
}

static void add_part(const struct pw_proc_rollup *rollup, enum pw_proc_rollup_part part,
                     double *kib, bool *known)
{
    if (part != PW_ROLLUP_PARTS) {
        *kib += (double)rollup->part_bytes[part] / 1024;
        *known = *known && rollup->has_part[part];
    }
}

static void take_rollup(const struct pw_proc_rollup *rollup, struct pw_value values[PW_FOOT_COUNT])
{
    values[PW_FOOT_PSS] = pw_value_of((double)rollup->pss_bytes / 1024);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        double kib = 0;
        bool known = true;
        add_part(rollup, sums[i].first, &kib, &known);
        add_part(rollup, sums[i].second, &kib, &known);
        if (known) {
            values[sums[i].field] = pw_value_of(kib);
        } else {
            values[sums[i].field] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
        }
    }
}

static void read_rollup(const struct pw_proc *proc, int dir_fd,
                        struct pw_value values[PW_FOOT_COUNT])
{
    struct pw_proc_rollup rollup = {0};
    PW_FD_AUTO fd = openat(dir_fd, "smaps_rollup", O_RDONLY | O_CLOEXEC);
    enum pw_proc_outcome outcome =
        fd < 0 ? pw_proc_outcome_of(errno) : pw_proc_rollup_read(fd, &rollup);
    if (outcome == PW_PROC_OK) {
        take_rollup(&rollup, values);
        return;
    }
    enum pw_absence absence = proc->has_rollup ? absence_of(outcome) : PW_ABSENT_NOT_SUPPORTED;
    values[PW_FOOT_PSS] = pw_value_absent(absence);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        values[sums[i].field] = pw_value_absent(absence);
    }
}

/* "<name>: <number> kB". */
static bool status_kib(const char *text, const char *name, struct pw_value *ret_value)
{
    const char *value = pw_proc_line_find(text, name);
    if (!value || *value < '0' || *value > '9') {
        return false;
    }
    *ret_value = pw_value_of((double)strtoull(value, NULL, 10));
    return true;
}

/* What everybody may read, and what stands in for smaps_rollup where that is refused. */
static bool read_status(int dir_fd, struct pw_value values[PW_FOOT_COUNT])
{
    char text[TEXT_BYTES];
    struct pw_value ignored;
    ssize_t length = pw_proc_text_read(dir_fd, "status", text, sizeof text);
    if (length < 0) {
        values[PW_FOOT_PEAK_RSS] = pw_value_absent(absence_of(pw_proc_outcome_of(errno)));
        return pw_proc_outcome_of(errno) != PW_PROC_GONE;
    }
    if (!status_kib(text, "VmSize", &ignored)) {
        return false;
    }
    if (!status_kib(text, "VmHWM", &values[PW_FOOT_PEAK_RSS])) {
        values[PW_FOOT_PEAK_RSS] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    }
    if (!pw_value_is_present(values[PW_FOOT_RSS])) {
        (void)status_kib(text, "VmRSS", &values[PW_FOOT_RSS]);
    }
    if (!pw_value_is_present(values[PW_FOOT_HUGETLB])) {
        (void)status_kib(text, "HugetlbPages", &values[PW_FOOT_HUGETLB]);
    }
    return true;
}

static void count_descriptor(void *context, pid_t descriptor)
{
    (void)descriptor;
    ++*(uint64_t *)context;
}

static struct pw_value count_files(const struct pw_proc *proc, int dir_fd)
{
    struct stat status;
    uint64_t count = 0;
    PW_FD_AUTO fd = openat(dir_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum pw_proc_outcome outcome = fd < 0 ? pw_proc_outcome_of(errno) : PW_PROC_OK;
    /* Linux 6.2 tells their number as the folder's size; 0 before that. */
    if (outcome == PW_PROC_OK && proc->is_real && fstat(fd, &status) == 0) {
        count = (uint64_t)status.st_size;
    }
    if (outcome == PW_PROC_OK && count == 0) {
        outcome = pw_proc_numbers_read(fd, count_descriptor, &count);
    }
    return outcome == PW_PROC_OK ? pw_value_of((double)count)
                                 : pw_value_absent(absence_of(outcome));
}

struct thread_search {
    int task_fd, found_fd;
};

static void try_thread(void *context, pid_t tid)
{
    struct thread_search *search = context;
    char path[PATH_BYTES], text[TEXT_BYTES];
    struct pw_proc_stat stat;
    if (search->found_fd >= 0) {
        return;
    }
    snprintf(path, sizeof path, "%d", tid);
    int fd = openat(search->task_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t length = pw_proc_text_read(fd, "stat", text, sizeof text);
    if (length > 0 && pw_proc_stat_parse(text, (size_t)length, &stat) && stat.state != 'Z' &&
        stat.state != 'X') {
        search->found_fd = fd;
    } else {
        close(fd);
    }
}

/* A process whose first thread has ended before the others is a zombie by its files; those of any
 * other thread tell of the memory that they share. */
static int open_living_thread(int dir_fd)
{
    PW_FD_AUTO task_fd = openat(dir_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct thread_search search = {.task_fd = task_fd, .found_fd = -1};
    if (task_fd >= 0) {
        (void)pw_proc_numbers_read(task_fd, try_thread, &search);
    }
    return search.found_fd;
}

static void read_guest(int dir_fd, struct pw_foot_process *process)
{
    struct pw_value none = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    struct pw_foot_guest guest = {none, none};
    if (process->guest_kib > 0) {
        guest = pw_foot_guest_read(dir_fd, process->guest_kib);
    }
    process->values[PW_FOOT_GUEST_RSS] = guest.rss_kib;
    process->values[PW_FOOT_GUEST_PSS] = guest.pss_kib;
}

bool pw_foot_values_read(const struct pw_proc *proc, int dir_fd,
                         const struct pw_foot_reading *reading, struct pw_foot_process *process)
{
    const struct pw_proc_stat *stat = &reading->stat;
    struct pw_value *values = process->values;
    PW_FD_AUTO thread_fd = stat->state == 'Z' ? open_living_thread(dir_fd) : -1;
    int fd = thread_fd >= 0 ? thread_fd : dir_fd;
    /* The guest before the whole, which holds it: memory grows more often than it shrinks. */
    read_guest(fd, process);
    read_rollup(proc, fd, values);
    if (!read_status(fd, values) && !stat->is_kernel_thread) {
        return false;
    }
    if (!pw_value_is_present(values[PW_FOOT_RSS]) && stat->is_kernel_thread) {
        values[PW_FOOT_RSS] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    } else if (!pw_value_is_present(values[PW_FOOT_RSS])) {
        values[PW_FOOT_RSS] = pw_value_of((double)(stat->rss_pages * proc->page_bytes) / 1024);
    }
    values[PW_FOOT_THREADS] = pw_value_of((double)stat->threads);
    values[PW_FOOT_OPEN_FILES] = count_files(proc, fd);
    values[PW_FOOT_CPU_USER] =
        pw_value_of(pw_ns_to_sec((int64_t)pw_foot_ns_of(proc, stat->utime_ticks)));
    values[PW_FOOT_CPU_SYSTEM] =
        pw_value_of(pw_ns_to_sec((int64_t)pw_foot_ns_of(proc, stat->stime_ticks)));
    return true;
}
