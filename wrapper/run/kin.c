#include "wrapper/run/kin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Adds the children that one thread's `children` file names. */
static int add_children_of_thread(pid_t pid, const char *tid, pid_t *pids, size_t capacity,
                                  size_t *count)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    char buffer[4096];
    pid_t child = 0;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                child = child * 10 + (buffer[i] - '0');
                continue;
            }
            if (child > 0 && *count < capacity)
                pids[(*count)++] = child;
            child = 0;
        }
    }
    close(fd);
    return 0;
}

static int add_children(pid_t pid, pid_t *pids, size_t capacity, size_t *count)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return errno == ENOENT ? 0 : -1;
    const struct dirent *entry;
    while ((entry = readdir(tasks)))
        if (entry->d_name[0] != '.')
            add_children_of_thread(pid, entry->d_name, pids, capacity, count);
    closedir(tasks);
    return 0;
}

bool pw_kin_holds(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* Reads /proc/PID/stat; fields 2 comm, 3 state, 4 ppid. */
static bool read_stat(pid_t pid, char comm[PW_KIN_COMM_MAX], char *ret_state, pid_t *ret_parent)
{
    char path[32], buffer[256];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    if (got <= 0)
        return false;
    buffer[got] = '\0';
    const char *open_bracket = strchr(buffer, '(');
    const char *close_bracket = strrchr(buffer, ')');
    if (!open_bracket || !close_bracket || close_bracket[1] != ' ')
        return false;
    size_t length = (size_t)(close_bracket - open_bracket) - 1;
    if (length >= PW_KIN_COMM_MAX)
        length = PW_KIN_COMM_MAX - 1;
    memcpy(comm, open_bracket + 1, length);
    comm[length] = '\0';
    *ret_state = close_bracket[2];
    *ret_parent = (pid_t)strtol(close_bracket + 3, NULL, 10);
    return true;
}

/* Where the kernel has no `children` files: passes over all processes until a pass adds none. */
static ssize_t scan(pid_t ancestor, pid_t *pids, size_t capacity)
{
    size_t count = 0;
    bool added = true;
    while (added) {
        added = false;
        DIR *proc = opendir("/proc");
        if (!proc)
            return -1;
        const struct dirent *entry;
        while ((entry = readdir(proc))) {
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), parent;
            char comm[PW_KIN_COMM_MAX], state;
            if (pid <= 0 || count >= capacity || pw_kin_holds(pids, count, pid) ||
                !read_stat(pid, comm, &state, &parent))
                continue;
            if (parent == ancestor || pw_kin_holds(pids, count, parent)) {
                pids[count++] = pid;
                added = true;
            }
        }
        closedir(proc);
    }
    return (ssize_t)count;
}

ssize_t pw_kin_list(pid_t ancestor, pid_t *pids, size_t capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", ancestor, ancestor);
    if (access(path, R_OK))
        return scan(ancestor, pids, capacity);
    size_t count = 0;
    if (add_children(ancestor, pids, capacity, &count))
        return -1;
    for (size_t next = 0; next < count; next++)
        add_children(pids[next], pids, capacity, &count);
    return (ssize_t)count;
}

bool pw_kin_describe(pid_t pid, char comm[PW_KIN_COMM_MAX], char *ret_state)
{
    pid_t parent;
    return read_stat(pid, comm, ret_state, &parent);
}
