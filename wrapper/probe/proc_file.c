#include "wrapper/probe/proc_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"

enum {
    STAT_TEXT_MAX = 2048,    /* 52 fields of at most 20 digits, and a comm of at most 64 bytes */
    ROLLUP_TEXT_MAX = 4096,  /* some 25 short lines */
    LIST_CHUNK_BYTES = 8192, /* more than the page that the kernel gives at a time */
};

enum pw_proc_outcome pw_proc_outcome_of(int sys)
{
    switch (sys) {
    case 0: return PW_PROC_OK;
    case ESRCH:
    case ENOENT: return PW_PROC_GONE;
    case EACCES:
    case EPERM: return PW_PROC_DENIED;
    default: return PW_PROC_FAILED;
    }
}

enum pw_proc_outcome pw_proc_stat_read(int fd, struct pw_proc_stat *ret_stat)
{
    char text[STAT_TEXT_MAX];
    ssize_t length = pread(fd, text, sizeof text, 0);

    if (length < 0)
        return pw_proc_outcome_of(errno);
    if (length == 0)
        return PW_PROC_GONE;
    return pw_proc_stat_parse(text, (size_t)length, ret_stat) ? PW_PROC_OK : PW_PROC_FAILED;
}

bool pw_proc_pid_next(const char **cursor, const char *end, pid_t *ret_pid)
{
    const char *c = *cursor;
    uint64_t number;

    while (c < end && (*c == ' ' || *c == '\n'))
        c++;
    *cursor = c;
    /* A number that touches the end may go on in the next chunk. */
    if (!pw_proc_number_next(&c, end, &number) || c == end || *c != ' ' ||
        !pw_proc_pid_of(number, ret_pid))
        return false;
    *cursor = c + 1;
    return true;
}

enum pw_proc_outcome pw_proc_children_read(int fd, void (*visit)(void *context, pid_t pid),
                                           void *context)
{
    char text[LIST_CHUNK_BYTES];
    off_t offset = 0;

    for (;;) {
        ssize_t length = pread(fd, text, sizeof text, offset);
        const char *cursor = text;
        pid_t pid;

        if (length < 0)
            return pw_proc_outcome_of(errno);
        while (pw_proc_pid_next(&cursor, text + length, &pid))
            visit(context, pid);
        if (cursor == text)
            return length == 0 ? PW_PROC_OK : PW_PROC_FAILED;
        offset += cursor - text;
    }
}

const char *pw_proc_line_find(const char *text, const char *name)
{
    size_t name_length = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, name, name_length) != 0)
            continue;
        const char *value = line + name_length;
        value += strspn(value, " \t");
        if (*value == ':')
            return value + 1 + strspn(value + 1, " \t");
    }
    return NULL;
}

/* The number of a "<name>:   <number> kB" line, in bytes. */
static bool kilobytes_find(const char *text, const char *name, uint64_t *ret_bytes)
{
    const char *value = pw_proc_line_find(text, name);
    uint64_t kilobytes;

    if (value == NULL || !pw_proc_number_next(&value, value + strlen(value), &kilobytes))
        return false;
    *ret_bytes = kilobytes > PW_PROC_NUMBER_MAX / 1024 ? PW_PROC_NUMBER_MAX : kilobytes * 1024;
    return true;
}

static const char *const rollup_lines[PW_ROLLUP_PARTS] = {
    [PW_ROLLUP_RSS] = "Rss",
    [PW_ROLLUP_PSS_ANON] = "Pss_Anon",
    [PW_ROLLUP_PSS_FILE] = "Pss_File",
    [PW_ROLLUP_PSS_SHMEM] = "Pss_Shmem",
    [PW_ROLLUP_SWAP_PSS] = "SwapPss",
    [PW_ROLLUP_PRIVATE_CLEAN] = "Private_Clean",
    [PW_ROLLUP_PRIVATE_DIRTY] = "Private_Dirty",
    [PW_ROLLUP_PRIVATE_HUGETLB] = "Private_Hugetlb",
    [PW_ROLLUP_SHARED_HUGETLB] = "Shared_Hugetlb",
};

bool pw_proc_rollup_parse(const char *text, size_t length, struct pw_proc_rollup *ret_rollup)
{
    char copy[ROLLUP_TEXT_MAX];
    struct pw_proc_rollup rollup = {0};
    const uint64_t *bytes = rollup.part_bytes;

    if (length >= sizeof copy)
        length = sizeof copy - 1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (!kilobytes_find(copy, "Pss", &rollup.pss_bytes))
        return false;
    for (size_t i = 0; i < PW_ROLLUP_PARTS; i++)
        rollup.has_part[i] = kilobytes_find(copy, rollup_lines[i], &rollup.part_bytes[i]);
    rollup.has_footprint = rollup.has_part[PW_ROLLUP_PSS_ANON] &&
                           rollup.has_part[PW_ROLLUP_PSS_SHMEM] &&
                           rollup.has_part[PW_ROLLUP_SWAP_PSS];
    if (rollup.has_footprint)
        rollup.footprint_bytes =
            bytes[PW_ROLLUP_PSS_ANON] + bytes[PW_ROLLUP_PSS_SHMEM] + bytes[PW_ROLLUP_SWAP_PSS];
    *ret_rollup = rollup;
    return true;
}

enum pw_proc_outcome pw_proc_rollup_read(int fd, struct pw_proc_rollup *ret_rollup)
{
    char text[ROLLUP_TEXT_MAX];
    ssize_t length = pread(fd, text, sizeof text, 0);

    if (length < 0)
        return pw_proc_outcome_of(errno);
    return pw_proc_rollup_parse(text, (size_t)length, ret_rollup) ? PW_PROC_OK : PW_PROC_FAILED;
}

enum pw_proc_outcome pw_proc_numbers_read(int dir_fd, void (*visit)(void *context, pid_t number),
                                          void *context)
{
    _Alignas(struct dirent64) char entries[LIST_CHUNK_BYTES];

    if (lseek(dir_fd, 0, SEEK_SET) < 0)
        return pw_proc_outcome_of(errno);
    for (;;) {
        ssize_t length = getdents64(dir_fd, entries, sizeof entries);

        if (length <= 0)
            return length == 0 ? PW_PROC_OK : pw_proc_outcome_of(errno);
        for (ssize_t at = 0; at < length;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);
            const char *name = entry->d_name, *end = name + strlen(name);
            uint64_t number;
            pid_t pid;

            if (*name != '-' && pw_proc_number_next(&name, end, &number) && name == end &&
                pw_proc_pid_of(number, &pid))
                visit(context, pid);
            at += entry->d_reclen;
        }
    }
}

ssize_t pw_proc_text_read(int dir_fd, const char *path, char *buffer, size_t size)
{
    PW_FD_AUTO fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t length = 0;

    if (fd < 0)
        return -1;
    while (length < size - 1) {
        ssize_t got = read(fd, buffer + length, size - 1 - length);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    buffer[length] = '\0';
    return (ssize_t)length;
}
