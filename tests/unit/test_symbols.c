/* wrapper/probe/symbols: names of this very program, of libraries, of JIT code and of the kernel;
 * and files that are stripped, replaced, cut off or somebody else's. */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/clock.h"
#include "tests/unit/fake_root.h"
#include "wrapper/probe/symbols/demangle.h"
#include "wrapper/probe/symbols/symbol_table.h"
#include "wrapper/probe/symbols/symbols.h"

/* Names to be found. */
__attribute__((noinline)) static int known_static(int number)
{
    __asm__ volatile("" ::: "memory");
    return number * 3;
}
int pw_test_known_exported(int number);
__attribute__((noinline)) int pw_test_known_exported(int number)
{
    __asm__ volatile("" ::: "memory");
    return known_static(number) + 1;
}

int main(void);

static char own_path[PATH_MAX];

static int set_up(void **state)
{
    static struct fake_root fake;
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);

    assert_true(length > 0);
    own_path[length] = '\0';
    assert_int_equal(pw_test_known_exported(2), 7);
    fake_root_make(&fake);
    fake_dir(&fake, "proc");
    *state = &fake;
    return 0;
}

static int tear_down(void **state)
{
    fake_root_remove(*state);
    return 0;
}

/* Where an address of this process lies, by its own mappings. */
struct mapping {
    char path[PATH_MAX];
    uint64_t offset;
};
static struct mapping mapping_of(uint64_t address)
{
    struct mapping found = {.path = ""};
    char line[PATH_MAX + 128];
    FILE *maps = fopen("/proc/self/maps", "re");

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        /* "start-end rwxp offset device inode path" */
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        uint64_t start = strtoull(strsep(&rest, "-"), NULL, 16);
        uint64_t end = strtoull(strsep(&rest, " "), NULL, 16);
        (void)strsep(&rest, " ");
        uint64_t offset = strtoull(strsep(&rest, " "), NULL, 16);
        (void)strsep(&rest, " ");
        (void)strsep(&rest, " ");
        assert_non_null(rest);
        if (address >= start && address < end) {
            snprintf(found.path, sizeof found.path, "%s", rest + strspn(rest, " "));
            found.offset = address - start + offset;
        }
    }
    (void)fclose(maps);
    assert_true(found.path[0] != '\0');
    return found;
}

static struct pw_symbols *new_symbols(const char *proc_root)
{
    struct pw_symbols *symbols = NULL;
    struct pw_err err = PW_ERR_INIT;

    assert_int_equal(pw_symbols_new(proc_root, &symbols, &err), 0);
    return symbols;
}

/* As the process had it, or the same place in another file. */
static const char *name_of(struct pw_symbols *symbols, uint64_t address, const char *path)
{
    struct mapping mapping = mapping_of(address);
    const struct pw_symbol_place place = {
        .object = path != NULL ? path : mapping.path,
        .file_offset = mapping.offset,
        .address = address,
        .pid = getpid(),
    };
    enum pw_frame_kind kind = PW_FRAME_UNKNOWN;
    const char *name = pw_symbols_user(symbols, &place, &kind);

    assert_int_equal(kind, name == NULL ? PW_FRAME_UNKNOWN : PW_FRAME_USER);
    return name;
}

static void test_finds_own_functions(void **state)
{
    struct pw_symbols *symbols = new_symbols("/proc");

    (void)state;
    const char *name = name_of(symbols, (uintptr_t)known_static, NULL);
    assert_string_equal(name, "known_static");
    assert_string_equal(name_of(symbols, (uintptr_t)known_static + 3, NULL), "known_static");
    assert_string_equal(name_of(symbols, (uintptr_t)pw_test_known_exported, NULL),
                        "pw_test_known_exported");
    assert_string_equal(name_of(symbols, (uintptr_t)main, NULL), "main");
    /* Names stay where they are. */
    assert_ptr_equal(name, name_of(symbols, (uintptr_t)known_static + 1, NULL));
    pw_symbols_free(symbols);
}

static void test_finds_libraries(void **state)
{
    struct pw_symbols *symbols = new_symbols("/proc");
    void *found = dlsym(RTLD_NEXT, "qsort_r");

    (void)state;
    assert_non_null(found);
    assert_string_equal(name_of(symbols, (uintptr_t)found, NULL), "qsort_r");
    /* An alias with underscores yields. */
    found = dlsym(RTLD_NEXT, "__sched_yield");
    assert_non_null(found);
    assert_string_equal(name_of(symbols, (uintptr_t)found, NULL), "sched_yield");
    pw_symbols_free(symbols);
}

static void test_finds_vdso(void **state)
{
    struct pw_symbols *symbols = new_symbols("/proc");
    void *image = dlopen("linux-vdso.so.1", RTLD_NOLOAD | RTLD_NOW);
    void *found = image == NULL ? NULL : dlsym(image, "__vdso_clock_gettime");

    (void)state;
    if (found == NULL) {
        pw_symbols_free(symbols);
        print_message("this machine has no vdso of the usual kind\n");
        skip();
    }
    const char *name = name_of(symbols, (uintptr_t)found, NULL);
    assert_non_null(name);
    if (name != NULL)
        assert_contains(name, "clock_gettime");
    pw_symbols_free(symbols);
    if (image != NULL)
        dlclose(image);
}

/* False: there is no such tool. */
static bool run_tool(char *const *argv)
{
    pid_t pid;
    int status = -1;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        return false;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return false;
    assert_int_equal(status, 0);
    return true;
}

static size_t aligned(size_t size)
{
    return (size + 3) / 4 * 4;
}

/* The build id that is mapped, as the kernel would tell it. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *context)
{
    struct pw_symbol_place *place = context;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        const char *at = (const char *)(info->dlpi_addr + header->p_vaddr);
        const char *end = at + header->p_memsz;
        while (header->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *name = at + sizeof *note;
            const char *bytes = name + aligned(note->n_namesz);
            if (note->n_type == NT_GNU_BUILD_ID && strcmp(name, "GNU") == 0) {
                place->build_id_size = note->n_descsz;
                memcpy(place->build_id, bytes, note->n_descsz);
                return 1;
            }
            at = bytes + aligned(note->n_descsz);
        }
    }
    return 1; /* this program comes first */
}

static struct pw_symbol_place place_with_id(uint64_t address, const struct mapping *mapping)
{
    struct pw_symbol_place place = {.object = mapping->path,
                                    .file_offset = mapping->offset,
                                    .address = address,
                                    .pid = getpid()};

    dl_iterate_phdr(find_build_id, &place);
    return place;
}

static void test_build_id(void **state)
{
    struct pw_symbols *symbols = new_symbols("/proc");
    struct mapping mapping = mapping_of((uintptr_t)known_static);
    struct pw_symbol_place place = place_with_id((uintptr_t)known_static, &mapping);
    enum pw_frame_kind kind = PW_FRAME_UNKNOWN;

    (void)state;
    if (place.build_id_size == 0) {
        pw_symbols_free(symbols);
        print_message("this build has no build id\n");
        skip();
    }
    const char *name = pw_symbols_user(symbols, &place, &kind);
    assert_non_null(name);
    assert_string_equal(name, "known_static");
    place.build_id[0] ^= 1; /* another file was mapped there */
    assert_null(pw_symbols_user(symbols, &place, &kind));
    place.build_id[0] ^= 1;
    place.build_id_size--;
    assert_null(pw_symbols_user(symbols, &place, &kind));
    pw_symbols_free(symbols);
}

static bool is_known_static(struct pw_symbols *symbols, const struct pw_symbol_place *place)
{
    enum pw_frame_kind kind = PW_FRAME_UNKNOWN;
    const char *name = pw_symbols_user(symbols, place, &kind);

    return name != NULL && strcmp(name, "known_static") == 0;
}

/* No build id is told: a file is what was mapped by its inode and the time of its last change. */
static void test_replaced(void **state)
{
    char path[PATH_MAX];
    struct stat stat_now;
    struct pw_symbols *symbols = new_symbols("/proc");
    struct mapping mapping = mapping_of((uintptr_t)known_static);

    fake_path(*state, path, "program");
    assert_true(run_tool((char *[]){"cp", own_path, path, NULL}));
    assert_int_equal(stat(path, &stat_now), 0);
    struct pw_symbol_place place = {
        .object = path,
        .file_offset = mapping.offset,
        .address = (uintptr_t)known_static,
        .pid = getpid(),
        .file = {.major = major(stat_now.st_dev),
                 .minor = minor(stat_now.st_dev),
                 .inode = stat_now.st_ino},
        .mapped_at_ns = pw_clock_now_ns(),
    };
    assert_true(is_known_static(symbols, &place));
    place.mapped_at_ns -= PW_NS_PER_SEC; /* before it was written */
    assert_false(is_known_static(symbols, &place));
    place.mapped_at_ns += PW_NS_PER_SEC;
    place.file.inode++;
    assert_false(is_known_static(symbols, &place));
    place.file.inode--;
    place.file.generation++; /* told of no file that is there: the kernel does not say */
    assert_true(is_known_static(symbols, &place));
    place.file.generation--;

    /* Written in place: what was mapped before was read before, what is mapped now is another. */
    assert_true(run_tool((char *[]){"cp", "/bin/true", path, NULL}));
    assert_true(is_known_static(symbols, &place));
    place.mapped_at_ns = pw_clock_now_ns();
    assert_false(is_known_static(symbols, &place));
    assert_true(run_tool((char *[]){"cp", own_path, path, NULL}));
    assert_false(is_known_static(symbols, &place));
    place.mapped_at_ns = pw_clock_now_ns();
    assert_true(is_known_static(symbols, &place));
    assert_int_equal(unlink(path), 0);
    place.mapped_at_ns = pw_clock_now_ns();
    assert_false(is_known_static(symbols, &place));
    pw_symbols_free(symbols);
}

static void test_stripped(void **state)
{
    char path[PATH_MAX];
    struct pw_symbols *symbols = new_symbols("/proc");

    fake_path(*state, path, "stripped");
    if (!run_tool((char *[]){"strip", "-o", path, own_path, NULL})) {
        pw_symbols_free(symbols);
        print_message("strip is not there\n");
        skip();
    }
    assert_null(name_of(symbols, (uintptr_t)known_static, path));
    assert_null(name_of(symbols, (uintptr_t)main, path));
    /* Of a library what is exported stays. */
    fake_path(*state, path, "libc");
    void *found = dlsym(RTLD_NEXT, "qsort_r");
    struct mapping libc = mapping_of((uintptr_t)found);
    assert_true(run_tool((char *[]){"strip", "-o", path, libc.path, NULL}));
    assert_string_equal(name_of(symbols, (uintptr_t)found, path), "qsort_r");
    pw_symbols_free(symbols);
}

/* A process with another root, and a debug file there. */
static void test_other_root(void **state)
{
    const struct fake_root *fake = *state;
    char root[PATH_MAX], file[PATH_MAX], debug[PATH_MAX], link[PATH_MAX], status[128];
    struct mapping mapping = mapping_of((uintptr_t)known_static);
    struct pw_symbol_place place = place_with_id((uintptr_t)known_static, &mapping);
    enum pw_frame_kind kind = PW_FRAME_UNKNOWN;

    if (place.build_id_size < 2 || !run_tool((char *[]){"true", NULL})) {
        print_message("this build has no build id\n");
        skip();
    }
    snprintf(status, sizeof status, "Name:\tx\nNSpid:\t%d\t7\n", (int)place.pid);
    snprintf(link, sizeof link, "proc/%d/status", (int)place.pid);
    fake_text(fake, link, status);
    fake_path(fake, root, "root");
    fake_dir(fake, "root/bin");
    fake_dir(fake, "root/opt");
    snprintf(status, sizeof status, "proc/%d/root", (int)place.pid);
    fake_path(fake, link, status);
    assert_int_equal(symlink(root, link), 0);
    fake_path(fake, file, "root/opt/program");
    /* A link that leads somewhere else outside of that root. */
    fake_path(fake, link, "root/bin/program");
    assert_int_equal(symlink("/opt/program", link), 0);
    if (!run_tool((char *[]){"strip", "-o", file, own_path, NULL})) {
        print_message("strip is not there\n");
        skip();
    }
    char proc[PATH_MAX];
    fake_path(fake, proc, "proc");
    place.object = "/bin/program";

    struct pw_symbols *symbols = new_symbols(proc);
    assert_null(pw_symbols_user(symbols, &place, &kind));
    pw_symbols_free(symbols);

    int length =
        snprintf(debug, sizeof debug, "root/usr/lib/debug/.build-id/%02x", place.build_id[0]);
    fake_dir(fake, debug);
    debug[length++] = '/';
    for (size_t i = 1; i < place.build_id_size; i++)
        length +=
            snprintf(debug + length, sizeof debug - (size_t)length, "%02x", place.build_id[i]);
    snprintf(debug + length, sizeof debug - (size_t)length, ".debug");
    fake_path(fake, file, debug);
    if (!run_tool((char *[]){"objcopy", "--only-keep-debug", own_path, file, NULL})) {
        print_message("objcopy is not there\n");
        skip();
    }
    symbols = new_symbols(proc);
    const char *name = pw_symbols_user(symbols, &place, &kind);
    assert_non_null(name);
    assert_string_equal(name, "known_static");
    /* Its perf map has the number that it has itself, and belongs to the one that owns it. */
    fake_text(fake, "root/tmp/perf-7.map", "1000 10 inner\n");
    place.object = "//anon";
    place.address = 0x1008;
    name = pw_symbols_user(symbols, &place, &kind);
    assert_non_null(name);
    assert_string_equal(name, "inner");
    assert_int_equal(kind, PW_FRAME_JIT);
    pw_symbols_free(symbols);
    if (geteuid() == 0) {
        fake_path(fake, file, "root/tmp/perf-7.map");
        assert_int_equal(chown(file, 12345, 12345), 0);
        symbols = new_symbols(proc);
        assert_null(pw_symbols_user(symbols, &place, &kind));
        pw_symbols_free(symbols);
    }
}

/* Every length at which a file may have been cut off, near the places that count. */
static void test_truncated(void **state)
{
    const struct fake_root *fake = *state;
    char path[PATH_MAX], name[64];
    char *bytes = NULL;
    size_t size = 0;

    assert_int_equal(pw_file_read(own_path, (size_t)1 << 30, &bytes, &size, NULL), 0);
    struct pw_symbols *symbols = new_symbols("/proc");
    unsigned named = 0;
    for (size_t i = 0; i <= 64; i++) {
        size_t length = i < 32 ? i * 8 : size / 32 * (i - 32);
        snprintf(name, sizeof name, "cut-%zu", i);
        fake_bytes(fake, name, bytes, length < size ? length : size);
        fake_path(fake, path, name);
        const char *found = name_of(symbols, (uintptr_t)known_static, path);
        if (found != NULL)
            assert_string_equal(found, "known_static");
        named += found != NULL ? 1 : 0;
    }
    assert_true(named < 33); /* section headers come last */
    fake_bytes(fake, "whole", bytes, size);
    fake_path(fake, path, "whole");
    assert_string_equal(name_of(symbols, (uintptr_t)known_static, path), "known_static");
    /* Bytes that lie. */
    for (size_t i = 0; i < 200; i++) {
        size_t at = i < 64 ? i : size - 4096 + i * 16;
        char old = bytes[at];
        bytes[at] = (char)~old;
        snprintf(name, sizeof name, "lie-%zu", i);
        fake_bytes(fake, name, bytes, size);
        fake_path(fake, path, name);
        (void)name_of(symbols, (uintptr_t)known_static, path);
        assert_int_equal(unlink(path), 0);
        bytes[at] = old;
    }
    pw_symbols_free(symbols);
    free(bytes);
}

static void test_no_files(void **state)
{
    struct pw_symbols *symbols = new_symbols("/proc");
    char pipe_path[PATH_MAX];

    fake_path(*state, pipe_path, "pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const char *const paths[] = {"",         "[heap]",   "//anon",       "/nowhere/x",
                                 "/tmp",     pipe_path,  "/dev/null",    "/dev/tty",
                                 "relative", "/memfd:x", "/x (deleted)", "/SYSV0"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_null(name_of(symbols, (uintptr_t)known_static, paths[i]));
    }
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s (deleted)", own_path);
    assert_null(name_of(symbols, (uintptr_t)known_static, path));
    pw_symbols_free(symbols);
}

static void test_perf_map(void **state)
{
    static const char text[] = "1000 20 first\n"
                               "0x2000 10 with blanks in it\n"
                               "nonsense\n"
                               "3000 zz bad\n"
                               "3000\n"
                               "4000 0 empty\n"
                               "1000 20 rewritten\n"
                               "10000000000000000 10 too long\n"
                               "fffffffffffffff0 100 around\n"
                               "5000 100 outer\n"
                               "5010 10 inner\n"
                               "6000 10 last";
    static const struct {
        uint64_t address;
        const char *name;
    } wanted[] = {{0xfff, NULL},
                  {0x1000, "rewritten"},
                  {0x101f, "rewritten"},
                  {0x1020, NULL},
                  {0x2008, "with blanks in it"},
                  {0x3000, NULL},
                  {0x4000, NULL},
                  {0xfffffffffffffff8, NULL},
                  {0x500f, "outer"},
                  {0x5010, "inner"},
                  {0x5020, "outer"},
                  {0x50ff, "outer"},
                  {0x5100, NULL},
                  {0x6000, "last"},
                  {0x6010, NULL}};
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    assert_int_equal(pw_file_write(path, text, strlen(text), 0600, NULL), 0);
    struct pw_symbols *symbols = new_symbols("/proc");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct pw_symbol_place place = {
            .object = "//anon", .address = wanted[i].address, .pid = getpid()};
        enum pw_frame_kind kind = PW_FRAME_UNKNOWN;
        const char *name = pw_symbols_user(symbols, &place, &kind);
        if (wanted[i].name == NULL) {
            assert_null(name);
        } else {
            assert_non_null(name);
            assert_string_equal(name, wanted[i].name);
            assert_int_equal(kind, PW_FRAME_JIT);
        }
    }
    pw_symbols_free(symbols);
    assert_int_equal(unlink(path), 0);
}

/* What somebody else left under that name says nothing. */
static void test_perf_map_of_others(void **state)
{
    char path[64];
    const struct pw_symbol_place place = {.object = "", .address = 0x1000, .pid = getpid()};
    enum pw_frame_kind kind = PW_FRAME_UNKNOWN;

    (void)state;
    if (geteuid() != 0) {
        print_message("only root can give files away\n");
        skip();
    }
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    assert_int_equal(pw_file_write(path, "1000 20 x\n", 10, 0644, NULL), 0);
    assert_int_equal(chown(path, 12345, 12345), 0);
    struct pw_symbols *symbols = new_symbols("/proc");
    assert_null(pw_symbols_user(symbols, &place, &kind));
    pw_symbols_free(symbols);
    assert_int_equal(unlink(path), 0);
}

static void test_kernel(void **state)
{
    char line[512];
    uint64_t schedule = 0;
    FILE *file = fopen("/proc/kallsyms", "re");

    (void)state;
    while (file != NULL && schedule == 0 && fgets(line, sizeof line, file) != NULL) {
        if (strlen(line) > 17 && strcmp(line + 17, "T schedule\n") == 0)
            schedule = strtoull(line, NULL, 16);
    }
    if (file != NULL)
        (void)fclose(file);
    struct pw_symbols *symbols = new_symbols("/proc");
    if (schedule == 0) {
        assert_null(pw_symbols_kernel(symbols, UINT64_C(0xffffffff81000010)));
        pw_symbols_free(symbols);
        print_message("the kernel hides its addresses\n");
        skip();
    }
    const char *name = pw_symbols_kernel(symbols, schedule + 4);
    assert_non_null(name);
    assert_string_equal(name, "schedule");
    assert_null(pw_symbols_kernel(symbols, 0x1000));
    assert_null(pw_symbols_kernel(symbols, UINT64_MAX));
    pw_symbols_free(symbols);
}

static const char *kernel_name(const struct fake_root *fake, const char *text, uint64_t address)
{
    static char copy[64];
    char proc[PATH_MAX];

    fake_text(fake, "proc/kallsyms", text);
    fake_path(fake, proc, "proc");
    struct pw_symbols *symbols = new_symbols(proc);
    const char *name = pw_symbols_kernel(symbols, address);
    snprintf(copy, sizeof copy, "%s", name == NULL ? "(none)" : name);
    pw_symbols_free(symbols);
    return copy;
}

static void test_kallsyms_text(void **state)
{
    static const char text[] = "0000000000000000 A fixed\n"
                               "ffffffff81000100 W weak\n"
                               "ffffffff81000100 T strong\n"
                               "ffffffff81000200 D data\n"
                               "ffffffffc0000000 t in_module\t[mod]\n";

    assert_string_equal(kernel_name(*state, text, 0xffffffff810001ff), "strong");
    assert_string_equal(kernel_name(*state, text, 0xffffffff81000200), "(none)");
    assert_string_equal(kernel_name(*state, text, 0xffffffff810000ff), "(none)");
    assert_string_equal(kernel_name(*state, text, 0xffffffffc0000010), "in_module");
    assert_string_equal(kernel_name(*state, text, 0xffffffffc0100000), "(none)");
    assert_string_equal(kernel_name(*state, "0000000000000000 T a\n0000000000000000 T b\n", 0),
                        "(none)");
    assert_string_equal(kernel_name(*state, "", 1), "(none)");
}

static void test_table(void **state)
{
    struct pw_symbol symbols[] = {
        {.start = 100, .size = 50, .name = "big"},
        {.start = 120, .size = 0, .limit = 1000, .name = "label_within"},
        {.start = 110, .size = 10, .name = "nested"},
        {.start = 140, .size = 40, .name = "overlapping"},
        {.start = 200, .size = 0, .limit = 230, .name = "unsized"},
        {.start = 240, .size = 0, .limit = 1000, .name = "to_next"},
        {.start = 250, .size = 5, .rank = 4, .name = "_alias"},
        {.start = 250, .size = 5, .rank = 0, .name = "alias"},
        {.start = UINT64_MAX - 1, .size = 5, .name = "around"},
    };
    static const struct {
        uint64_t address;
        const char *name;
    } wanted[] = {{99, NULL},       {100, "big"},         {110, "nested"},      {120, "big"},
                  {139, "big"},     {140, "overlapping"}, {179, "overlapping"}, {180, NULL},
                  {229, "unsized"}, {230, NULL},          {249, "to_next"},     {250, "alias"},
                  {255, NULL},      {UINT64_MAX, NULL}};
    struct pw_symbol_table table;

    (void)state;
    assert_true(pw_symbol_table_build(symbols, sizeof symbols / sizeof *symbols, &table));
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *name = pw_symbol_table_find(&table, wanted[i].address);
        if (name == NULL || wanted[i].name == NULL) {
            if (name != wanted[i].name)
                fail_msg("%llu: %s", (unsigned long long)wanted[i].address, name);
        } else {
            assert_string_equal(name, wanted[i].name);
        }
    }
    pw_symbol_table_done(&table);
    assert_true(pw_symbol_table_build(NULL, 0, &table));
    assert_null(pw_symbol_table_find(&table, 1));
    pw_symbol_table_done(&table);
}

static void assert_demangled(const char *name, const char *wanted)
{
    char *text = pw_demangle(name);

    if (wanted == NULL) {
        assert_null(text);
    } else {
        assert_non_null(text);
        assert_string_equal(text, wanted);
    }
    free(text);
}

/* f(A<int, int>, A<that, that>, A<that, that>, ...): each twice as long as the one before it. */
static const char *doubled(char bomb[512], int times)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    int length = snprintf(bomb, 512, "_Z1f1AIiiE");

    for (int i = 0; i < times; i++)
        length +=
            snprintf(bomb + length, 512 - (size_t)length, "S_IS%c_S%c_E", digits[i], digits[i]);
    return bomb;
}

static void test_demangle(void **state)
{
    char bomb[512];

    (void)state;
    assert_demangled("_ZN3foo3barEi", "foo::bar(int)");
    assert_demangled("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
                     "core::fmt::Write::write_fmt");
    assert_demangled("_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                     "<&T as core::fmt::Display>::fmt");
    assert_demangled("_ZN3foo3bar17h0123456789abcdeXE", "foo::bar::h0123456789abcdeX");
    assert_demangled("main", NULL);
    assert_demangled("", NULL);
    assert_demangled("_Z", NULL);
    assert_demangled("_RNvC7mycrate3foo", NULL);
    char *text = pw_demangle(doubled(bomb, 6));
    assert_non_null(text);
    assert_true(strlen(text) > 256);
    free(text);
    assert_demangled(doubled(bomb, 30), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_finds_own_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_finds_libraries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_finds_vdso, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_build_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stripped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_truncated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_perf_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_perf_map_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kallsyms_text, set_up, tear_down),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_demangle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
