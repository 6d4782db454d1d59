#include "wrapper/boot/base/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/proc_stat.h"

enum { STAT_BYTES = 4096, GRACE_MS = 3000, KILL_MS = 10000 };

static bool read_start(pid_t pid, uint64_t *ret_start_ticks)
{
    char path[64];
    size_t size = 0;
    struct pw_proc_stat found;
    PW_FREE_AUTO char *text = NULL;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (pw_file_read(path, STAT_BYTES, &text, &size, NULL) != 0 ||
        !pw_proc_stat_parse(text, size, &found) || found.state == 'Z' || found.state == 'X') {
        return false;
    }
    *ret_start_ticks = found.starttime_ticks;
    return true;
}

static int read_boot_id(char ret_id[PW_BOOT_ID_TEXT], struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    if (pw_file_read("/proc/sys/kernel/random/boot_id", STAT_BYTES, &text, NULL, err) != 0) {
        return -1;
    }
    snprintf(ret_id, PW_BOOT_ID_TEXT, "%.*s", (int)strcspn(text, "\n"), text);
    return 0;
}

int pw_process_find(pid_t pid, struct pw_process *ret_process, struct pw_err *err)
{
    struct pw_process process = {.pid = pid};
    if (pid < 1 || !read_start(pid, &process.start_ticks)) {
        pw_err_set(err, PW_ERR_INPUT, "process %d is gone", (int)pid);
        pw_err_errno(err, ESRCH);
        return -1;
    }
    if (read_boot_id(process.boot_id, err) != 0) {
        return -1;
    }
    *ret_process = process;
    return 0;
}

bool pw_process_runs(const struct pw_process *process)
{
    struct pw_process found;
    return pw_process_find(process->pid, &found, NULL) == 0 &&
           found.start_ticks == process->start_ticks &&
           strcmp(found.boot_id, process->boot_id) == 0;
}

/* 1 if it has ended within the time, 0 if not. */
static int wait_end(int pidfd, int64_t time_ms)
{
    const int64_t until_ns = pw_clock_now_ns() + time_ms * PW_NS_PER_MS;
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    for (;;) {
        int64_t left_ms = (until_ns - pw_clock_now_ns()) / PW_NS_PER_MS;
        int count = poll(&poller, 1, left_ms > 0 ? (int)left_ms : 0);
        if (count > 0) {
            return 1;
        }
        if (left_ms <= 0 || (count < 0 && errno != EINTR)) {
            return 0;
        }
    }
}

/* ESRCH: it has ended meanwhile. */
static int send_signal(int pidfd, int signal)
{
    return pidfd_send_signal(pidfd, signal, NULL, 0) == 0 || errno == ESRCH ? 0 : -1;
}

int pw_process_end(const struct pw_process *process, bool with_term, struct pw_err *err)
{
    int pid = (int)process->pid;
    PW_FD_AUTO pidfd = pidfd_open(process->pid, 0);
    if (pidfd < 0) {
        return errno == ESRCH ? 0 : pw_err_system(err, errno, "open process %d", pid);
    }
    /* Looked at behind the open: so the descriptor is of that process, or it has ended. */
    if (!pw_process_runs(process)) {
        return 0;
    }
    if (with_term && send_signal(pidfd, SIGTERM) != 0) {
        return pw_err_system(err, errno, "end process %d", pid);
    }
    if (wait_end(pidfd, GRACE_MS)) {
        return 0;
    }
    if (send_signal(pidfd, SIGKILL) != 0) {
        return pw_err_system(err, errno, "end process %d", pid);
    }
    return wait_end(pidfd, KILL_MS)
               ? 0
               : pw_err_set(err, PW_ERR_SYSTEM, "process %d does not end, though killed", pid);
}
