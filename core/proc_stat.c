#include "core/proc_stat.h"

#include <limits.h>
#include <string.h>

enum {
    FIELD_STATE = 3, /* the first field behind comm */
    FIELD_LAST = 24, /* the last one that is used */
};
#define PF_KTHREAD UINT64_C(0x00200000) /* include/linux/sched.h of the kernel */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool pw_proc_number_next(const char **cursor, const char *end, uint64_t *ret_number)
{
    const char *c = *cursor;
    bool negative = c < end && *c == '-';
    uint64_t number = 0;
    if (negative) {
        c++;
    }
    if (c >= end || !is_digit(*c)) {
        return false;
    }
    for (; c < end && is_digit(*c); c++) {
        unsigned digit = (unsigned)(*c - '0');
        number = number >= PW_PROC_NUMBER_MAX / 10 ? PW_PROC_NUMBER_MAX : number * 10 + digit;
    }
    *cursor = c;
    *ret_number = negative ? 0 : number;
    return true;
}

bool pw_proc_pid_of(uint64_t number, pid_t *ret_pid)
{
    if (number > INT_MAX) {
        return false;
    }
    *ret_pid = (pid_t)number;
    return true;
}

bool pw_proc_stat_parse(const char *text, size_t length, struct pw_proc_stat *ret_stat)
{
    const char *end = text + length;
    const char *cursor = text;
    /* comm, field 2, stands in parentheses and may hold spaces and parentheses itself; nothing
     * behind it does, so the last one ends it. */
    const char *comm_end = memrchr(text, ')', length);
    uint64_t fields[FIELD_LAST + 1] = {0};
    struct pw_proc_stat stat = {0};
    if (!comm_end || !pw_proc_number_next(&cursor, end, &fields[1])) {
        return false;
    }
    cursor = comm_end + 1;
    if (end - cursor < 2 || cursor[0] != ' ') {
        return false;
    }
    stat.state = cursor[1];
    cursor += 2;
    for (int field = FIELD_STATE + 1; field <= FIELD_LAST; field++) {
        if (cursor >= end || *cursor++ != ' ' ||
            !pw_proc_number_next(&cursor, end, &fields[field])) {
            return false;
        }
    }
    if (!pw_proc_pid_of(fields[1], &stat.pid) || !pw_proc_pid_of(fields[4], &stat.ppid)) {
        return false;
    }
    stat.is_kernel_thread = (fields[9] & PF_KTHREAD) != 0;
    stat.has_waited = fields[11] > 0;
    stat.utime_ticks = fields[14];
    stat.stime_ticks = fields[15];
    stat.cutime_ticks = fields[16];
    stat.cstime_ticks = fields[17];
    stat.threads = fields[20];
    stat.starttime_ticks = fields[22];
    stat.rss_pages = fields[24];
    *ret_stat = stat;
    return true;
}
