#include "wrapper/probe/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"

enum { PATH_BYTES = 64, FIRST_LINKS = 256 };

static enum pw_proc_outcome open_path(const struct pw_proc *proc, int flags, int *ret_fd,
                                      const char *path)
{
    int fd = openat(proc->root_fd, path, O_RDONLY | O_CLOEXEC | flags);

    if (fd < 0)
        return pw_proc_outcome_of(errno);
    *ret_fd = fd;
    return PW_PROC_OK;
}

enum pw_proc_outcome pw_proc_open_file(const struct pw_proc *proc, int flags, int *ret_fd,
                                       const char *path, ...)
{
    char text[PATH_BYTES];
    va_list arguments;

    va_start(arguments, path);
    vsnprintf(text, sizeof text, path, arguments);
    va_end(arguments);
    return open_path(proc, flags, ret_fd, text);
}

/* Finds out how descendants can be found, and whether pids here are those that the clocks go by,
 * with the caller itself as the process to try it on. */
static void choose_sources(struct pw_proc *proc)
{
    PW_FD_AUTO stat_fd = -1;
    PW_FD_AUTO children_fd = -1;
    struct pw_proc_stat self;
    enum pw_proc_outcome outcome = pw_proc_open_file(proc, 0, &stat_fd, "self/stat");

    if (outcome == PW_PROC_OK)
        outcome = pw_proc_stat_read(stat_fd, &self);
    if (outcome != PW_PROC_OK) {
        proc->source = PW_PROC_NONE;
        proc->absence =
            outcome == PW_PROC_DENIED ? PW_ABSENT_NO_PERMISSION : PW_ABSENT_NOT_SUPPORTED;
        return;
    }
    outcome = pw_proc_open_file(proc, 0, &children_fd, "self/task/%d/children", self.pid);
    proc->source = outcome == PW_PROC_OK ? PW_PROC_CHILDREN : PW_PROC_SCAN;
    proc->has_clocks = proc->is_real && self.pid == getpid();
    if (proc->has_clocks)
        proc->clock_tick_ns = pw_clock_tick_ns();
}

int pw_proc_open(const char *root, struct pw_proc **ret_proc, struct pw_err *err)
{
    struct pw_proc *proc = calloc(1, sizeof *proc);
    struct statfs fs;
    struct rlimit files;

    if (proc == NULL)
        return pw_err_memory(err);
    proc->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc->root_fd < 0) {
        pw_err_system(err, errno, "open `%s`", root);
        free(proc);
        return -1;
    }
    proc->is_real = fstatfs(proc->root_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
    proc->has_rollup = faccessat(proc->root_fd, "self/smaps_rollup", F_OK, 0) == 0;
    proc->clock_tick_ns = 1;
    proc->ns_per_tick = PW_NS_PER_SEC / sysconf(_SC_CLK_TCK);
    proc->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        rlim_t limit = files.rlim_cur < INT_MAX ? files.rlim_cur : INT_MAX;
        proc->kept_limit = (unsigned)(limit * PW_LIMIT_KEPT_FDS_SHARE_PCT / 100);
    }
    choose_sources(proc);
    *ret_proc = proc;
    return 0;
}

void pw_proc_close(struct pw_proc *proc)
{
    if (proc == NULL)
        return;
    close(proc->root_fd);
    free(proc->links);
    free(proc);
}

const char *pw_proc_tree_source(const struct pw_proc *proc)
{
    static const char *const names[] = {
        [PW_PROC_CHILDREN] = "children", [PW_PROC_SCAN] = "scan", [PW_PROC_NONE] = "none"};

    return names[proc->source];
}

enum pw_proc_outcome pw_proc_borrow(struct pw_proc *proc, int *kept, int flags,
                                    struct pw_proc_borrowed *ret_borrowed, const char *path, ...)
{
    enum pw_proc_outcome outcome = PW_PROC_OK;
    int fd = *kept;

    if (fd < 0) {
        char text[PATH_BYTES];
        va_list arguments;
        va_start(arguments, path);
        vsnprintf(text, sizeof text, path, arguments);
        va_end(arguments);
        outcome = open_path(proc, flags, &fd, text);
    }
    if (fd >= 0 && *kept < 0 && proc->kept < proc->kept_limit) {
        *kept = fd;
        proc->kept++;
    }
    *ret_borrowed = (struct pw_proc_borrowed){.fd = fd, .is_kept = *kept >= 0};
    return outcome;
}

void pw_proc_give_back(struct pw_proc_borrowed *borrowed)
{
    if (!borrowed->is_kept)
        pw_fd_done(&borrowed->fd);
}

void pw_proc_keep_no_more(struct pw_proc *proc, int *kept)
{
    if (*kept >= 0)
        proc->kept--;
    pw_fd_done(kept);
}

bool pw_proc_clock_read(const struct pw_proc *proc, pid_t pid, clockid_t *clock,
                        uint64_t *ret_cpu_ns)
{
    struct timespec used;

    if (!proc->has_clocks)
        return false;
    /* The id of a process's CPU clock is never 0, which is CLOCK_REALTIME. */
    if (*clock == 0 && clock_getcpuclockid(pid, clock) != 0)
        return false;
    if (clock_gettime(*clock, &used) != 0)
        return false;
    *ret_cpu_ns = (uint64_t)used.tv_sec * PW_NS_PER_SEC + (uint64_t)used.tv_nsec;
    return true;
}

static void add_link(void *context, pid_t pid)
{
    struct pw_proc *proc = context;
    PW_FD_AUTO fd = -1;
    struct pw_proc_stat stat;

    if (proc->link_count >= PW_LIMIT_TREE_PROCESSES)
        return;
    if (pw_proc_open_file(proc, 0, &fd, "%d/stat", pid) != PW_PROC_OK ||
        pw_proc_stat_read(fd, &stat) != PW_PROC_OK)
        return;
    if (proc->link_count == proc->link_capacity) {
        size_t capacity = proc->link_capacity ? proc->link_capacity * 2 : FIRST_LINKS;
        struct pw_proc_link *links = reallocarray(proc->links, capacity, sizeof *links);
        if (links == NULL)
            return;
        proc->links = links;
        proc->link_capacity = capacity;
    }
    proc->links[proc->link_count++] = (struct pw_proc_link){.parent = stat.ppid, .child = pid};
}

static int compare_links(const void *a, const void *b)
{
    const struct pw_proc_link *left = a, *right = b;

    if (left->parent != right->parent)
        return left->parent < right->parent ? -1 : 1;
    return (left->child > right->child) - (left->child < right->child);
}

void pw_proc_scan(struct pw_proc *proc)
{
    PW_FD_AUTO fd = -1;

    proc->link_count = 0;
    if (pw_proc_open_file(proc, O_DIRECTORY, &fd, ".") != PW_PROC_OK)
        return;
    /* If it is cut short, the processes that are missing are found by the next scan. */
    (void)pw_proc_numbers_read(fd, add_link, proc);
    if (proc->link_count > 0)
        qsort(proc->links, proc->link_count, sizeof *proc->links, compare_links);
}

void pw_proc_scanned_children(const struct pw_proc *proc, pid_t parent,
                              void (*visit)(void *context, pid_t pid), void *context)
{
    size_t low = 0, high = proc->link_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (proc->links[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < proc->link_count && proc->links[low].parent == parent; low++)
        visit(context, proc->links[low].child);
}
