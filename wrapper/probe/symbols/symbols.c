#include "wrapper/probe/symbols/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/proc_file.h"
#include "wrapper/probe/symbols/symbol_elf.h"

enum {
    FIRST_SLOTS = 256,
    PATH_BYTES = 4096,
    STATUS_BYTES = 8192,
    VDSO_BYTES_MAX = 1 << 20,
    FILE_AGE_MAX_SEC = 1 << 30 /* more is as good as ever */
};

static const char vdso[] = "[vdso]";

/* A process's root folder, if it is not this one's: found when its pid is first seen. */
struct process {
    pid_t pid;     /* 0: a free slot */
    bool is_alive; /* it was */
    bool is_elsewhere;
    uid_t uid;       /* if it was alive */
    pid_t inner_pid; /* in its own pid namespace */
    dev_t root_device;
    ino_t root_inode;
};

/* A file or a perf map that was tried to read. */
struct object {
    char *path;    /* NULL: a perf map */
    uint64_t hash; /* of all up to the build id */
    dev_t root_device;
    ino_t root_inode; /* both 0: this process's root */
    pid_t pid;        /* of a perf map */
    unsigned char build_id[PW_BUILD_ID_MAX];
    size_t build_id_size;
    struct pw_file_id id; /* as it was mapped */
    struct found {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec modified, changed;
    } found;                  /* what was there under the path; all 0: nothing */
    int64_t looked_at_ns;     /* the last time */
    int64_t since_ns;         /* it has been there like that */
    struct pw_symbol_elf elf; /* of a perf map only the table */
};

struct pw_symbols {
    int proc_fd;
    struct process *processes; /* a hash table, PW_LIMIT_SYMBOL_PROCESSES at most */
    size_t process_slots, process_count;
    struct object *objects;
    size_t object_count, object_capacity;
    uint32_t *slots; /* a hash table of numbers of objects + 1 */
    size_t slot_count;
    size_t held_bytes;
    bool has_kernel; /* it was tried */
    struct pw_symbol_table kernel;
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

int pw_symbols_new(const char *proc_root, struct pw_symbols **ret_symbols, struct pw_err *err)
{
    struct pw_symbols *symbols = calloc(1, sizeof *symbols);

    if (symbols == NULL)
        return pw_err_memory(err);
    symbols->proc_fd = open(proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (symbols->proc_fd < 0) {
        int sys = errno;
        free(symbols);
        return pw_err_system(err, sys, "open `%s`", proc_root);
    }
    *ret_symbols = symbols;
    return 0;
}

void pw_symbols_free(struct pw_symbols *symbols)
{
    if (symbols == NULL)
        return;
    for (size_t i = 0; i < symbols->object_count; i++) {
        free(symbols->objects[i].path);
        pw_symbol_elf_done(&symbols->objects[i].elf);
    }
    free(symbols->objects);
    free(symbols->slots);
    free(symbols->processes);
    pw_symbol_table_done(&symbols->kernel);
    pw_fd_done(&symbols->proc_fd);
    free(symbols);
}

/* What is found of a process while it lives. */
static struct process look_at(const struct pw_symbols *symbols, pid_t pid)
{
    struct process process = {.pid = pid, .inner_pid = pid};
    struct stat folder, root, own;
    char path[64], status[STATUS_BYTES];

    (void)snprintf(path, sizeof path, "%d", (int)pid);
    if (fstatat(symbols->proc_fd, path, &folder, 0) != 0)
        return process;
    process.is_alive = true;
    process.uid = folder.st_uid;
    (void)snprintf(path, sizeof path, "%d/status", (int)pid);
    if (pw_proc_text_read(symbols->proc_fd, path, status, sizeof status) > 0) {
        /* One number for each pid namespace, the innermost last. */
        const char *line = pw_proc_line_find(status, "NSpid");
        const char *end = line == NULL ? NULL : line + strcspn(line, "\n");
        while (line != NULL && line < end) {
            char *behind;
            long number = strtol(line, &behind, 10);
            if (behind == line || behind > end)
                break;
            if (number > 0 && number <= INT32_MAX)
                process.inner_pid = (pid_t)number;
            line = behind;
        }
    }
    (void)snprintf(path, sizeof path, "%d/root", (int)pid);
    /* Another mount namespace has another root, unless it is a plain copy; its id tells then. */
    if (fstatat(symbols->proc_fd, path, &root, 0) != 0 || stat("/", &own) != 0)
        return process;
    process.is_elsewhere = root.st_dev != own.st_dev || root.st_ino != own.st_ino;
    process.root_device = root.st_dev;
    process.root_inode = root.st_ino;
    (void)snprintf(path, sizeof path, "%d/ns/mnt", (int)pid);
    if (fstatat(symbols->proc_fd, path, &root, 0) == 0 && stat("/proc/self/ns/mnt", &own) == 0 &&
        (root.st_ino != own.st_ino || root.st_dev != own.st_dev)) {
        process.is_elsewhere = true;
        process.root_device ^= root.st_dev;
        process.root_inode = process.root_inode * 31 + root.st_ino;
    }
    return process;
}

static bool grow_processes(struct pw_symbols *symbols)
{
    size_t count = symbols->process_slots == 0 ? FIRST_SLOTS : symbols->process_slots * 2;
    struct process *larger = calloc(count, sizeof *larger);

    if (larger == NULL)
        return false;
    for (size_t i = 0; i < symbols->process_slots; i++) {
        const struct process *old = &symbols->processes[i];
        size_t at = hash_bytes(1, &old->pid, sizeof old->pid) & (count - 1);
        while (old->pid != 0 && larger[at].pid != 0)
            at = (at + 1) & (count - 1);
        if (old->pid != 0)
            larger[at] = *old;
    }
    free(symbols->processes);
    symbols->processes = larger;
    symbols->process_slots = count;
    return true;
}

static struct process find_process(struct pw_symbols *symbols, pid_t pid)
{
    const struct process nobody = {.pid = pid, .inner_pid = pid};

    if (pid <= 0)
        return nobody;
    if (symbols->process_count * 2 >= symbols->process_slots &&
        symbols->process_slots < 2 * (size_t)PW_LIMIT_SYMBOL_PROCESSES && !grow_processes(symbols))
        return nobody;
    size_t mask = symbols->process_slots - 1;
    size_t at = hash_bytes(1, &pid, sizeof pid) & mask;
    while (symbols->processes[at].pid != 0 && symbols->processes[at].pid != pid)
        at = (at + 1) & mask;
    if (symbols->processes[at].pid == pid)
        return symbols->processes[at];
    struct process process = look_at(symbols, pid);
    if (symbols->process_count < PW_LIMIT_SYMBOL_PROCESSES) {
        symbols->processes[at] = process;
        symbols->process_count++;
    }
    return process;
}

/* A regular file below a process's root, or this one's if `process` is not elsewhere. Symbolic
 * links of another root are followed in it, never out of it. First without opening it, for opening
 * a device or a pipe can do harm. -1: it cannot be had. */
static int open_file(const struct pw_symbols *symbols, const struct process *process,
                     const char *path, struct stat *ret_stat)
{
    char name[64];
    PW_FD_AUTO root = -1;
    PW_FD_AUTO place = -1;

    if (process->is_elsewhere) {
        const struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                                     .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        (void)snprintf(name, sizeof name, "%d/root", (int)process->pid);
        root = openat(symbols->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
            return -1;
        place = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    } else {
        place = open(path, O_PATH | O_CLOEXEC);
    }
    if (place < 0 || fstat(place, ret_stat) != 0 || !S_ISREG(ret_stat->st_mode))
        return -1;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", place);
    return open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static void hold(struct pw_symbols *symbols, struct pw_symbol_table *table)
{
    if (table->bytes > PW_LIMIT_SYMBOL_HELD_BYTES - symbols->held_bytes)
        pw_symbol_table_done(table);
    symbols->held_bytes += table->bytes;
}

/* The full table that was taken out of the file when it was packaged, if it is installed. */
static void use_debug_file(const struct pw_symbols *symbols, const struct process *process,
                           struct pw_symbol_elf *elf)
{
    char path[128] = "/usr/lib/debug/.build-id/";
    struct pw_symbol_elf debug;
    struct stat stat;
    size_t length = strlen(path);

    if (elf->build_id_size < 2)
        return;
    for (size_t i = 0; i < elf->build_id_size; i++) {
        length += (size_t)snprintf(path + length, sizeof path - length, "%02x%s", elf->build_id[i],
                                   i == 0 ? "/" : "");
    }
    (void)snprintf(path + length, sizeof path - length, ".debug");
    PW_FD_AUTO fd = open_file(symbols, process, path, &stat);
    if (fd < 0 || !pw_symbol_elf_read(fd, &debug))
        return;
    if (debug.is_full && debug.build_id_size == elf->build_id_size &&
        memcmp(debug.build_id, elf->build_id, elf->build_id_size) == 0) {
        struct pw_symbol_table table = elf->table;
        elf->table = debug.table;
        elf->is_full = true;
        debug.table = table;
    }
    pw_symbol_elf_done(&debug);
}

/* The kernel's code that it maps into each process, as it is mapped into this one; -1: none. It is
 * a whole ELF file, whose section headers come last (vdso(7)). */
static int open_vdso(void)
{
    const void *image = (const void *)getauxval(AT_SYSINFO_EHDR); /* NOLINT(*-no-int-to-ptr) */
    const ElfW(Ehdr) *header = image;
    PW_FD_AUTO fd = memfd_create("vdso", MFD_CLOEXEC);

    if (image == NULL || fd < 0)
        return -1;
    size_t size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    if (size > VDSO_BYTES_MAX || pw_fd_write_all(fd, image, size) != 0)
        return -1;
    return pw_fd_take(&fd);
}

/* Whether it is the inode that was mapped. The kernel tells of a mapping the numbers of the file
 * system itself; stat(2) tells another device where one makes several (btrfs), or several one
 * (overlayfs). */
static bool is_mapped_one(int fd, const struct pw_file_id *id, const struct stat *stat)
{
    struct statfs system;

    if (id->inode == 0)
        return true;
    if (stat->st_ino != id->inode)
        return false;
    if (major(stat->st_dev) == id->major && minor(stat->st_dev) == id->minor)
        return true;
    return fstatfs(fd, &system) == 0 &&
           (system.f_type == BTRFS_SUPER_MAGIC || system.f_type == OVERLAYFS_SUPER_MAGIC);
}

/* On CLOCK_MONOTONIC, when a file was last written, or came to be under its name; steps of the wall
 * clock since then are not seen. Its time of change, as the one of modification can be set. */
static int64_t changed_at_ns(const struct stat *stat)
{
    struct timespec wall;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    int64_t ago_sec = (int64_t)wall.tv_sec - stat->st_ctim.tv_sec;
    if (ago_sec > FILE_AGE_MAX_SEC)
        return INT64_MIN;
    if (ago_sec < -FILE_AGE_MAX_SEC)
        return INT64_MAX;
    return pw_clock_now_ns() - ago_sec * PW_NS_PER_SEC - (wall.tv_nsec - stat->st_ctim.tv_nsec);
}

static bool is_as_found(const struct found *a, const struct found *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Opens what is there under the path; -1: nothing, or the same as the last time. */
static int look(const struct pw_symbols *symbols, const struct process *process,
                struct object *object)
{
    struct stat stat;
    struct found found = {.inode = 0};
    bool is_first = object->looked_at_ns == 0;

    object->looked_at_ns = pw_clock_now_ns();
    if (strcmp(object->path, vdso) == 0) {
        object->since_ns = INT64_MIN;
        return is_first ? open_vdso() : -1;
    }
    PW_FD_AUTO fd = open_file(symbols, process, object->path, &stat);
    if (fd >= 0) {
        found = (struct found){.device = stat.st_dev,
                               .inode = stat.st_ino,
                               .size = stat.st_size,
                               .modified = stat.st_mtim,
                               .changed = stat.st_ctim};
        object->since_ns = is_mapped_one(fd, &object->id, &stat) ? changed_at_ns(&stat) : INT64_MAX;
    }
    if (!is_first && is_as_found(&found, &object->found))
        return -1;
    object->found = found;
    return pw_fd_take(&fd);
}

static void read_elf(struct pw_symbols *symbols, const struct process *process,
                     struct object *object)
{
    static const struct process here = {0};
    struct pw_symbol_elf elf;
    struct found before = object->found;
    PW_FD_AUTO fd = look(symbols, process, object);

    if (!is_as_found(&before, &object->found)) {
        symbols->held_bytes -= object->elf.table.bytes;
        pw_symbol_elf_done(&object->elf);
        object->elf = (struct pw_symbol_elf){.segment_count = 0};
    }
    if (fd < 0 || !pw_symbol_elf_read(fd, &elf))
        return;
    if (object->build_id_size > 0 &&
        (elf.build_id_size != object->build_id_size ||
         memcmp(elf.build_id, object->build_id, elf.build_id_size) != 0)) {
        pw_symbol_elf_done(&elf);
        return;
    }
    if (!elf.is_full)
        use_debug_file(symbols, process, &elf);
    if (!elf.is_full && process->is_elsewhere)
        use_debug_file(symbols, &here, &elf);
    hold(symbols, &elf.table);
    object->elf = elf;
}

static void read_perf_map(struct pw_symbols *symbols, const struct process *process,
                          struct object *object)
{
    char path[64];
    PW_FREE_AUTO char *text = NULL;
    struct stat stat;
    size_t length = 0;

    (void)snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)process->inner_pid);
    PW_FD_AUTO fd = open_file(symbols, process, path, &stat);
    uid_t owner = process->is_alive ? process->uid : geteuid();
    if (fd < 0 || (stat.st_uid != owner && stat.st_uid != 0))
        return;
    if (pw_fd_read_all(fd, path, PW_LIMIT_SYMBOL_MAP_BYTES, &text, &length, NULL) == 0 &&
        pw_symbol_table_of_perf_map(text, length, &object->elf.table))
        hold(symbols, &object->elf.table);
}

static bool is_same(const struct object *a, const struct object *b)
{
    return a->hash == b->hash && a->pid == b->pid && a->root_device == b->root_device &&
           a->root_inode == b->root_inode && a->build_id_size == b->build_id_size &&
           memcmp(a->build_id, b->build_id, a->build_id_size) == 0 && a->id.inode == b->id.inode &&
           a->id.generation == b->id.generation && a->id.major == b->id.major &&
           a->id.minor == b->id.minor && (a->path == NULL) == (b->path == NULL) &&
           (a->path == NULL || strcmp(a->path, b->path) == 0);
}

/* Into slots that are empty. */
static void index_objects(struct pw_symbols *symbols)
{
    size_t mask = symbols->slot_count - 1;

    for (size_t i = 0; i < symbols->object_count; i++) {
        size_t at = symbols->objects[i].hash & mask;
        while (symbols->slots[at] != 0)
            at = (at + 1) & mask;
        symbols->slots[at] = (uint32_t)i + 1;
    }
}

static bool grow_objects(struct pw_symbols *symbols)
{
    size_t capacity = symbols->object_capacity == 0 ? FIRST_SLOTS : symbols->object_capacity * 2;
    struct object *larger = reallocarray(symbols->objects, capacity, sizeof *larger);

    if (larger == NULL)
        return false;
    symbols->objects = larger;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(symbols->slots);
    symbols->slots = slots;
    symbols->slot_count = capacity * 2;
    symbols->object_capacity = capacity;
    index_objects(symbols);
    return true;
}

/* The object as it was read before, or read now: the latter also if it was mapped later than that.
 * NULL: there are too many, or no memory. `wanted` lends its path. */
static struct object *find_object(struct pw_symbols *symbols, const struct process *process,
                                  struct object *wanted, int64_t mapped_at_ns)
{
    if (symbols->object_count == symbols->object_capacity &&
        symbols->object_capacity < PW_LIMIT_SYMBOL_OBJECTS && !grow_objects(symbols))
        return NULL;
    wanted->hash = hash_bytes(1, wanted->build_id, wanted->build_id_size);
    wanted->hash = hash_bytes(wanted->hash, &wanted->pid, sizeof wanted->pid);
    wanted->hash = hash_bytes(wanted->hash, &wanted->root_inode, sizeof wanted->root_inode);
    wanted->hash = hash_bytes(wanted->hash, &wanted->id.inode, sizeof wanted->id.inode);
    if (wanted->path != NULL)
        wanted->hash = hash_bytes(wanted->hash, wanted->path, strlen(wanted->path));
    size_t mask = symbols->slot_count - 1;
    size_t at = wanted->hash & mask;
    for (; symbols->slots[at] != 0; at = (at + 1) & mask) {
        struct object *object = &symbols->objects[symbols->slots[at] - 1];
        if (is_same(object, wanted)) {
            if (object->path != NULL && mapped_at_ns > object->looked_at_ns)
                read_elf(symbols, process, object);
            return object;
        }
    }
    if (symbols->object_count == symbols->object_capacity)
        return NULL;
    struct object *object = &symbols->objects[symbols->object_count];
    *object = *wanted;
    if (wanted->path != NULL) {
        object->path = strdup(wanted->path);
        if (object->path == NULL)
            return NULL;
    }
    symbols->slots[at] = (uint32_t)++symbols->object_count;
    if (object->path != NULL)
        read_elf(symbols, process, object);
    else
        read_perf_map(symbols, process, object);
    return object;
}

/* Whether the mapping is of a file that could be opened by its name. */
static bool is_file(const char *path)
{
    static const char deleted[] = " (deleted)";
    size_t length = strnlen(path, PATH_BYTES);

    if (path[0] != '/' || path[1] == '/' || length == PATH_BYTES)
        return false;
    if (length > strlen(deleted) && strcmp(path + length - strlen(deleted), deleted) == 0)
        return false;
    return strncmp(path, "/memfd:", strlen("/memfd:")) != 0 &&
           strncmp(path, "/SYSV", strlen("/SYSV")) != 0;
}

const char *pw_symbols_user(struct pw_symbols *symbols, const struct pw_symbol_place *place,
                            enum pw_frame_kind *ret_kind)
{
    struct process process = find_process(symbols, place->pid);
    struct object wanted = {0};
    bool is_plain = is_file(place->object) || strcmp(place->object, vdso) == 0;
    uint64_t address = place->address;

    if (process.is_elsewhere) {
        wanted.root_device = process.root_device;
        wanted.root_inode = process.root_inode;
    }
    if (is_plain) {
        wanted.path = (char *)place->object;
        if (place->build_id_size > PW_BUILD_ID_MAX)
            return NULL;
        wanted.build_id_size = place->build_id_size;
        memcpy(wanted.build_id, place->build_id, place->build_id_size);
        wanted.id = place->file;
    } else {
        if (place->pid <= 0)
            return NULL;
        wanted.pid = place->pid;
    }
    struct object *object = find_object(symbols, &process, &wanted, place->mapped_at_ns);
    if (object == NULL ||
        (is_plain && place->mapped_at_ns > 0 && place->mapped_at_ns < object->since_ns) ||
        (is_plain && !pw_symbol_elf_address(&object->elf, place->file_offset, &address)))
        return NULL;
    const char *name = pw_symbol_table_find(&object->elf.table, address);
    if (name != NULL)
        *ret_kind = is_plain ? PW_FRAME_USER : PW_FRAME_JIT;
    return name;
}

static void read_kernel(struct pw_symbols *symbols)
{
    PW_FREE_AUTO char *text = NULL;
    size_t length = 0;
    PW_FD_AUTO fd = openat(symbols->proc_fd, "kallsyms", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 &&
        pw_fd_read_all(fd, "kallsyms", PW_LIMIT_SYMBOL_MAP_BYTES, &text, &length, NULL) == 0)
        (void)pw_symbol_table_of_kallsyms(text, length, &symbols->kernel);
}

const char *pw_symbols_kernel(struct pw_symbols *symbols, uint64_t address)
{
    if (!symbols->has_kernel) {
        symbols->has_kernel = true;
        read_kernel(symbols);
    }
    return pw_symbol_table_find(&symbols->kernel, address);
}

void pw_symbols_forget_processes(struct pw_symbols *symbols)
{
    size_t kept = 0;

    if (symbols->process_slots > 0)
        memset(symbols->processes, 0, symbols->process_slots * sizeof *symbols->processes);
    symbols->process_count = 0;
    for (size_t i = 0; i < symbols->object_count; i++) {
        struct object *object = &symbols->objects[i];
        if (object->path != NULL) {
            symbols->objects[kept++] = *object;
            continue;
        }
        symbols->held_bytes -= object->elf.table.bytes;
        pw_symbol_elf_done(&object->elf);
    }
    symbols->object_count = kept;
    if (symbols->slot_count > 0)
        memset(symbols->slots, 0, symbols->slot_count * sizeof *symbols->slots);
    index_objects(symbols);
}

static const char *name_user(void *symbols, const struct pw_symbol_place *place,
                             enum pw_frame_kind *ret_kind)
{
    return pw_symbols_user(symbols, place, ret_kind);
}

static const char *name_kernel(void *symbols, uint64_t address)
{
    return pw_symbols_kernel(symbols, address);
}

struct pw_symbolizer pw_symbols_symbolizer(struct pw_symbols *symbols)
{
    return (struct pw_symbolizer){.context = symbols, .user = name_user, .kernel = name_kernel};
}
