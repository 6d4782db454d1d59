#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/probe/cgroup_impl.h"
#include "wrapper/probe/proc_file.h"

#define US_TO_NS 1e3

/* Where a sum is read: the first of its rows whose file is there. */
static const struct source {
    size_t offset; /* in struct pw_cgroup_sums */
    bool is_v2;
    const char *file, *line, *key;
    double scale;
} sources[] = {
#define SUM(name) offsetof(struct pw_cgroup_sums, name)
    {SUM(cpu_ns), true, "cpu.stat", "", "usage_usec", US_TO_NS},
    {SUM(cpu_user_ns), true, "cpu.stat", "", "user_usec", US_TO_NS},
    {SUM(cpu_system_ns), true, "cpu.stat", "", "system_usec", US_TO_NS},
    {SUM(cpu_ns), false, "cpuacct.usage", "", NULL, 1},
    {SUM(cpu_user_ns), false, "cpuacct.usage_user", "", NULL, 1},
    {SUM(cpu_system_ns), false, "cpuacct.usage_sys", "", NULL, 1},
    {SUM(memory_peak_bytes), true, "memory.peak", "", NULL, 1},
    {SUM(memory_peak_bytes), false, "memory.max_usage_in_bytes", "", NULL, 1},
    {SUM(oom_kills), true, "memory.events", "", "oom_kill", 1},
    {SUM(oom_kills), false, "memory.oom_control", "", "oom_kill", 1},
    {SUM(pids_peak), true, "pids.peak", "", NULL, 1},
    {SUM(pids_peak), false, "pids.peak", "", NULL, 1},
    {SUM(io_read_bytes), true, "io.stat", "", "rbytes", 1},
    {SUM(io_write_bytes), true, "io.stat", "", "wbytes", 1},
    {SUM(io_reads), true, "io.stat", "", "rios", 1},
    {SUM(io_writes), true, "io.stat", "", "wios", 1},
    {SUM(cpu_some_ns), true, "cpu.pressure", "some", "total", US_TO_NS},
    {SUM(cpu_full_ns), true, "cpu.pressure", "full", "total", US_TO_NS},
    {SUM(memory_some_ns), true, "memory.pressure", "some", "total", US_TO_NS},
    {SUM(memory_full_ns), true, "memory.pressure", "full", "total", US_TO_NS},
    {SUM(io_some_ns), true, "io.pressure", "some", "total", US_TO_NS},
    {SUM(io_full_ns), true, "io.pressure", "full", "total", US_TO_NS},
};

/* Those that only grow: a sum is what they have grown by. */
static const size_t counters[] = {
    SUM(cpu_ns),         SUM(cpu_user_ns),   SUM(cpu_system_ns),  SUM(throttled_ns),
    SUM(oom_kills),      SUM(io_read_bytes), SUM(io_write_bytes), SUM(io_reads),
    SUM(io_writes),      SUM(cpu_some_ns),   SUM(cpu_full_ns),    SUM(memory_some_ns),
    SUM(memory_full_ns), SUM(io_some_ns),    SUM(io_full_ns),
#undef SUM
};

static struct pw_value *sum_at(struct pw_cgroup_sums *sums, size_t offset)
{
    return (struct pw_value *)(void *)((char *)sums + offset);
}

static bool take_number(const char *text, double *sum)
{
    char *end;
    double number = strtod(text, &end);

    /* Digits only: neither a sign nor what strtod(3) also knows. */
    if (end == text || strspn(text, "0123456789") != (size_t)(end - text))
        return false;
    *sum += number;
    return true;
}

/* The number of `key` in a line of words, "key N" or "… key=N …". */
static bool take_key(char *line, const char *key, double *sum)
{
    size_t length = strlen(key);

    for (char *word; (word = strsep(&line, " ")) != NULL;) {
        if (strncmp(word, key, length) != 0)
            continue;
        if (word[length] == '=')
            return take_number(word + length + 1, sum);
        if (word[length] == '\0' && line != NULL)
            return take_number(line, sum);
    }
    return false;
}

bool pw_cgroup_number_find(const char *text, const char *line, const char *key, double *ret_number)
{
    double sum = 0;
    bool is_found = false;
    char row[512];

    if (key == NULL) {
        (void)snprintf(row, sizeof row, "%.*s", (int)strcspn(text, "\n"), text);
        is_found = take_number(row, &sum);
    }
    for (size_t length; key != NULL && *text != '\0'; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        if (length >= sizeof row || strncmp(text, line, strlen(line)) != 0)
            continue;
        (void)snprintf(row, sizeof row, "%.*s", (int)length, text);
        is_found = take_key(row, key, &sum) || is_found;
    }
    /* io.stat has a line for each device that was used: none is no missing number. */
    if (!is_found && (key == NULL || !(key[0] == 'r' || key[0] == 'w')))
        return false;
    *ret_number = sum;
    return true;
}

static struct pw_value read_source(const struct pw_cgroup_branch *branch, const char *group,
                                   const struct source *source)
{
    char path[PW_CGROUP_NAME_MAX + 64], text[PW_CGROUP_TEXT_MAX];
    double number;

    (void)snprintf(path, sizeof path, "%s/%s", group, source->file);
    if (pw_proc_text_read(branch->home_fd, path, text, sizeof text) < 0)
        return pw_value_absent(errno == EACCES || errno == EPERM ? PW_ABSENT_NO_PERMISSION
                                                                 : PW_ABSENT_NOT_SUPPORTED);
    if (!pw_cgroup_number_find(text, source->line, source->key, &number))
        return pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    return pw_value_of(number * source->scale);
}

void pw_cgroup_read_sums(const struct pw_cgroup_branch *branches, size_t count, const char *group,
                         const bool *is_in, struct pw_cgroup_sums *ret_sums)
{
    struct pw_cgroup_sums sums = {0};

    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct pw_value *sum = sum_at(&sums, sources[i].offset);
        for (size_t b = 0; b < count && !pw_value_is_present(*sum); b++) {
            if (is_in[b] && branches[b].is_v2 == sources[i].is_v2)
                *sum = read_source(&branches[b], group, &sources[i]);
        }
        if (sum->state == PW_ABSENT_NOT_MEASURED)
            *sum = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    }
    sums.throttled_ns = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    *ret_sums = sums;
}

void pw_cgroup_sums_since(struct pw_cgroup_sums *sums, const struct pw_cgroup_sums *base)
{
    struct pw_cgroup_sums before = *base;

    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        struct pw_value *sum = sum_at(sums, counters[i]);
        const struct pw_value *begin = sum_at(&before, counters[i]);
        if (pw_value_is_present(*sum) && pw_value_is_present(*begin))
            *sum = pw_value_of(sum->number - begin->number);
    }
    /* The warden, which was alone when `base` was taken, is a member all the time. */
    if (pw_value_is_present(sums->pids_peak) && pw_value_is_present(base->pids_peak))
        sums->pids_peak = pw_value_of(sums->pids_peak.number - base->pids_peak.number);
}
