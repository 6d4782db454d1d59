#include "wrapper/probe/footprint_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/proc_file.h"

enum {
    DEFAULT_MIB = 128,   /* QEMU's, of a machine type that has no other */
    LINE_BYTES = 8192,   /* a path has up to 4096, and each newline in it becomes \012 */
    SLACK_KIB = 8 << 10, /* a neighbour with the same rights may be in the same mapping */
};

/* The number of KiB that `text` says: digits and a suffix, MiB without one. */
static uint64_t kib_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || errno != 0 || number > UINT32_MAX) {
        return 0;
    }
    switch (*end) {
    case 'k':
    case 'K': return number;
    case '\0':
    case ',':
    case 'm':
    case 'M': return number << 10;
    case 'g':
    case 'G': return number << 20;
    case 't':
    case 'T': return number << 30;
    default: return 0;
    }
}

static bool is_qemu(const char *word)
{
    const char *slash = strrchr(word, '/');
    const char *name = slash ? slash + 1 : word;
    return strncmp(name, "qemu-system-", strlen("qemu-system-")) == 0 ||
           strcmp(name, "qemu-kvm") == 0;
}

/* `-m 512`, `-m 2G,slots=2,maxmem=8G`, `-m size=2G`. */
static uint64_t memory_of(const char *value)
{
    const char *size = strncmp(value, "size=", 5) == 0 ? value + 5 : NULL;
    const char *later = strstr(value, ",size=");
    if (!size && later) {
        size = later + strlen(",size=");
    }
    return kib_of(size ? size : value);
}

uint64_t pw_foot_guest_parse(const char *words, size_t length)
{
    uint64_t kib = (uint64_t)DEFAULT_MIB << 10;
    const char *end = words + length;
    if (length == 0 || words[length - 1] != '\0' || !is_qemu(words)) {
        return 0;
    }
    for (const char *word = words; word < end; word += strlen(word) + 1) {
        const char *value = word + strlen(word) + 1;
        if ((strcmp(word, "-m") == 0 || strcmp(word, "--m") == 0) && value < end) {
            kib = memory_of(value);
        }
    }
    return kib;
}

uint64_t pw_foot_guest_kib(int dir_fd)
{
    PW_FREE_AUTO char *words = malloc(PW_LIMIT_COMMAND_LINE_BYTES);
    if (!words) {
        return 0;
    }
    ssize_t length = pw_proc_text_read(dir_fd, "cmdline", words, PW_LIMIT_COMMAND_LINE_BYTES);
    return length > 0 ? pw_foot_guest_parse(words, (size_t)length) : 0;
}

/* One mapping of /proc/PID/smaps. */
struct mapping {
    bool fits;
    uint64_t size_kib, rss_kib, pss_kib, hugetlb_kib;
};

/* Guests' memory is read and written, never executed, and is anonymous or of a file system that
 * holds its files in memory. */
static bool may_be_guest(const char *rights, const char *path)
{
    static const char *const backings[] = {
        "/memfd:", "/dev/shm/", "/dev/zero", "/dev/hugepages", "/anon_hugepage", "[anon:", "/SYSV"};
    if (strncmp(rights, "rw-", 3) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof backings / sizeof *backings; i++) {
        if (strncmp(path, backings[i], strlen(backings[i])) == 0) {
            return true;
        }
    }
    return *path == '\0';
}

/* Behind `count` words and the blanks that follow each. */
static const char *skip_words(const char *at, int count)
{
    for (int i = 0; i < count; i++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    return at;
}

/* "7f3c3e00000-7f3d3e00000 rw-p 00000000 00:01 42   /memfd:ram (deleted)" */
static bool begin_mapping(const char *line, struct mapping *ret_mapping)
{
    char *rest = NULL;
    uint64_t start = strtoull(line, &rest, 16);
    if (rest == line || *rest != '-') {
        return false;
    }
    const char *second = rest + 1;
    uint64_t end = strtoull(second, &rest, 16);
    if (rest == second || *rest != ' ' || end < start) {
        return false;
    }
    const char *rights = rest + 1;
    *ret_mapping = (struct mapping){.fits = may_be_guest(rights, skip_words(rights, 4)),
                                    .size_kib = (end - start) >> 10};
    return true;
}

/* Adds the number of the line "<name>: <number> kB". */
static void add_kib(const char *line, const char *name, uint64_t *kib)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) == 0 && line[length] == ':') {
        *kib += strtoull(line + length + 1, NULL, 10);
    }
}

static void add_line(const char *line, struct mapping *mapping)
{
    add_kib(line, "Rss", &mapping->rss_kib);
    add_kib(line, "Pss", &mapping->pss_kib);
    add_kib(line, "Shared_Hugetlb", &mapping->hugetlb_kib);
    add_kib(line, "Private_Hugetlb", &mapping->hugetlb_kib);
}

/* The mapping whose size is nearest to the guest's, and whether it is the only such one. */
struct search {
    uint64_t guest_kib;
    bool found, is_tied;
    struct mapping best;
};

static void consider(struct search *search, const struct mapping *mapping)
{
    if (!mapping->fits || mapping->size_kib < search->guest_kib ||
        mapping->size_kib > search->guest_kib + SLACK_KIB) {
        return;
    }
    if (search->found && mapping->size_kib >= search->best.size_kib) {
        search->is_tied |= mapping->size_kib == search->best.size_kib;
        return;
    }
    search->found = true;
    search->is_tied = false;
    search->best = *mapping;
}

static void search_all(FILE *smaps, struct search *search)
{
    char line[LINE_BYTES];
    struct mapping mapping = {0}, next;
    while (fgets(line, sizeof line, smaps)) {
        line[strcspn(line, "\n")] = '\0';
        if (begin_mapping(line, &next)) {
            consider(search, &mapping);
            mapping = next;
        } else {
            add_line(line, &mapping);
        }
    }
    consider(search, &mapping);
}

static struct pw_foot_guest absent(enum pw_absence reason)
{
    return (struct pw_foot_guest){pw_value_absent(reason), pw_value_absent(reason)};
}

struct pw_foot_guest pw_foot_guest_read(int dir_fd, uint64_t guest_kib)
{
    struct search search = {.guest_kib = guest_kib};
    int fd = openat(dir_fd, "smaps", O_RDONLY | O_CLOEXEC);
    FILE *smaps = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!smaps) {
        bool denied = pw_proc_outcome_of(errno) == PW_PROC_DENIED;
        if (fd >= 0) {
            close(fd);
        }
        return absent(denied ? PW_ABSENT_NO_PERMISSION : PW_ABSENT_NO_SAMPLES);
    }
    search_all(smaps, &search);
    bool denied = ferror(smaps) && pw_proc_outcome_of(errno) == PW_PROC_DENIED;
    fclose(smaps);
    if (!search.found || search.is_tied) {
        return absent(denied ? PW_ABSENT_NO_PERMISSION : PW_ABSENT_NO_SAMPLES);
    }
    const struct mapping *best = &search.best;
    return (struct pw_foot_guest){pw_value_of((double)(best->rss_kib + best->hugetlb_kib)),
                                  pw_value_of((double)(best->pss_kib + best->hugetlb_kib))};
}
