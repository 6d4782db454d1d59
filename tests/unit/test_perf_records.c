/* What records of perf events tell of maps and stacks, with records that are made here. */
#include "tests/unit/unit.h"

#include <linux/perf_event.h>
#include <sys/mman.h>
#include "wrapper/probe/perf_maps.h"
#include "wrapper/probe/perf_ring.h"
#include "wrapper/probe/perf_stacks.h"

struct record {
    struct perf_event_header header;
    unsigned char body[512];
};

static void tell(struct pw_perf_maps *maps, uint32_t type, uint16_t misc, const void *body,
                 size_t size)
{
    struct record record = {.header = {.type = type, .misc = misc}};
    memcpy(record.body, body, size);
    size_t padded = (size + 7) / 8 * 8;
    record.header.size = (uint16_t)(sizeof record.header + padded + sizeof(struct pw_perf_tail));
    pw_perf_maps_record(maps, &record.header);
}

static void tell_task(struct pw_perf_maps *maps, uint32_t type, uint32_t pid, uint32_t ppid,
                      uint32_t tid)
{
    uint32_t body[] = {pid, ppid, tid, ppid, 0, 0};
    tell(maps, type, 0, body, sizeof body);
}

static void tell_exec(struct pw_perf_maps *maps, uint32_t pid, const char *name)
{
    unsigned char body[8 + 16] = {0};
    memcpy(body, (uint32_t[]){pid, pid}, 8);
    memcpy(body + 8, name, strlen(name) + 1);
    tell(maps, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, body, sizeof body);
}

/* Of device 8:1. The flag is one that kernels leave there for others' sake. */
static void tell_inode(struct pw_perf_maps *maps, uint32_t pid, const uint64_t range[3],
                       uint64_t inode, const char *path)
{
    unsigned char body[256] = {0};
    memcpy(body, (uint32_t[]){pid, pid}, 8);
    memcpy(body + 8, range, 24);
    memcpy(body + 32, (uint32_t[]){8, 1}, 8);
    memcpy(body + 40, (uint64_t[]){inode, 77}, 16);
    memcpy(body + 56, (uint32_t[]){PROT_READ | PROT_EXEC, 0}, 8);
    memcpy(body + 64, path, strlen(path) + 1);
    tell(maps, PERF_RECORD_MMAP2, inode % 2 ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0, body,
         64 + (strlen(path) + 8) / 8 * 8);
}

static void tell_map(struct pw_perf_maps *maps, uint32_t pid, uint64_t start, uint64_t length,
                     uint64_t offset, const char *path)
{
    tell_inode(maps, pid, (uint64_t[]){start, length, offset}, 4, path);
}

static void assert_place(const struct pw_perf_maps *maps, pid_t pid, uint64_t address,
                         const char *path, uint64_t offset)
{
    uint64_t found = 0;
    uint32_t object = pw_perf_maps_resolve(maps, pid, address, &found);
    if (!path) {
        assert_int_equal(object, PW_PERF_OBJECT_NOWHERE);
        return;
    }
    assert_int_not_equal(object, PW_PERF_OBJECT_NOWHERE);
    assert_string_equal(pw_perf_maps_object(maps, object)->path, path);
    assert_int_equal(found, offset);
}

static void maps_of_a_tree(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    assert_non_null(maps);
    tell_task(maps, PERF_RECORD_FORK, 10, 9, 10);
    assert_place(maps, 10, 0x1000, NULL, 0);
    tell_exec(maps, 10, "first");
    tell_map(maps, 10, 0x10000, 0x8000, 0x1000, "/bin/first");
    assert_string_equal(pw_perf_maps_comm(maps, 10), "first");
    assert_place(maps, 10, 0x10000, "/bin/first", 0x1000);
    assert_place(maps, 10, 0x17fff, "/bin/first", 0x8fff);
    assert_place(maps, 10, 0x18000, NULL, 0);
    assert_place(maps, 10, 0xffff, NULL, 0);

    /* A fork has its parent's, and what either maps later is its own. */
    tell_task(maps, PERF_RECORD_FORK, 11, 10, 11);
    tell_map(maps, 11, 0x12000, 0x2000, 0, "/lib/b.so");
    assert_place(maps, 11, 0x11fff, "/bin/first", 0x2fff);
    assert_place(maps, 11, 0x12000, "/lib/b.so", 0);
    assert_place(maps, 11, 0x14000, "/bin/first", 0x5000);
    assert_place(maps, 10, 0x12000, "/bin/first", 0x3000);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "first");

    /* Over several, over all. */
    tell_map(maps, 11, 0x11000, 0x4000, 0, "/lib/c.so");
    assert_place(maps, 11, 0x13000, "/lib/c.so", 0x2000);
    assert_place(maps, 11, 0x15000, "/bin/first", 0x6000);
    tell_map(maps, 11, 0, 0x100000, 0, "//anon");
    assert_place(maps, 11, 0x15000, "", 0x15000);
    assert_place(maps, 11, 0x10000, "", 0x10000);

    /* An exec has nothing of what was before. */
    tell_exec(maps, 11, "second");
    assert_place(maps, 11, 0x15000, NULL, 0);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "second");
    assert_place(maps, 10, 0x12000, "/bin/first", 0x3000);

    /* A process lives as long as one of its threads; its pid may then be another's. */
    tell_task(maps, PERF_RECORD_FORK, 10, 10, 20);
    tell_task(maps, PERF_RECORD_EXIT, 10, 9, 10);
    assert_place(maps, 10, 0x10000, "/bin/first", 0x1000);
    assert_int_equal(pw_perf_maps_processes(maps), 2);
    tell_task(maps, PERF_RECORD_EXIT, 10, 9, 20);
    assert_place(maps, 10, 0x10000, NULL, 0);
    assert_int_equal(pw_perf_maps_processes(maps), 1);
    tell_task(maps, PERF_RECORD_FORK, 11, 9, 11);
    assert_string_equal(pw_perf_maps_comm(maps, 11), "");
    assert_int_equal(pw_perf_maps_dropped(maps), 0);

    /* One that has gone is known by its name, until a thousand others have. */
    tell_exec(maps, 11, "late");
    tell_task(maps, PERF_RECORD_EXIT, 11, 9, 11);
    assert_true(pw_perf_maps_knows(maps, 11));
    assert_string_equal(pw_perf_maps_comm(maps, 11), "late");
    assert_int_equal(pw_perf_maps_processes(maps), 0);
    for (uint32_t pid = 1000; pid < 3000; pid++) {
        tell_task(maps, PERF_RECORD_FORK, pid, 9, pid);
        tell_task(maps, PERF_RECORD_EXIT, pid, 9, pid);
    }
    assert_false(pw_perf_maps_knows(maps, 11));
    assert_true(pw_perf_maps_knows(maps, 2999));
    pw_perf_maps_forget(maps, 2999);
    assert_false(pw_perf_maps_knows(maps, 2999));
    assert_int_equal(pw_perf_maps_processes(maps), 0);
    pw_perf_maps_free(maps);
}

static void maps_share_objects(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    uint64_t offset = 0;
    for (uint32_t pid = 1; pid <= 1000; pid++) {
        tell_map(maps, pid, UINT64_C(0x1000) * pid, 0x1000, 0, "/bin/same");
        tell_map(maps, pid, 0x1000000, 0x1000, 0, "//anon");
    }
    uint32_t first = pw_perf_maps_resolve(maps, 1, 0x1010, &offset);
    assert_int_equal(first, pw_perf_maps_resolve(maps, 999, 0x1000 * 999 + 0x10, &offset));
    assert_int_equal(offset, 0x10);
    const struct pw_perf_object *object = pw_perf_maps_object(maps, first);
    assert_int_equal(object->file.inode, 4);
    assert_int_equal(object->pid, 1000);
    /* What is made in memory is each process's own. */
    assert_int_not_equal(pw_perf_maps_resolve(maps, 1, 0x1000010, &offset),
                         pw_perf_maps_resolve(maps, 2, 0x1000010, &offset));
    assert_int_equal(pw_perf_maps_processes(maps), 1000);

    /* The kernel's own image is one for all; it tells the address as its offset. */
    tell_map(maps, 1, 0x7000000, 0x2000, 0x7000000, "[vdso]");
    tell_map(maps, 2, 0x8000000, 0x2000, 0x8000000, "[vdso]");
    assert_place(maps, 1, 0x7001234, "[vdso]", 0x1234);
    assert_place(maps, 2, 0x8001234, "[vdso]", 0x1234);
    assert_int_equal(pw_perf_maps_resolve(maps, 1, 0x7000010, &offset),
                     pw_perf_maps_resolve(maps, 2, 0x8000010, &offset));

    /* One path, two files. */
    tell_inode(maps, 1, (uint64_t[]){0x9000000, 0x1000, 0}, 5, "/bin/new");
    tell_inode(maps, 2, (uint64_t[]){0x9000000, 0x1000, 0}, 5, "/bin/new");
    tell_inode(maps, 3, (uint64_t[]){0x9000000, 0x1000, 0}, 6, "/bin/new");
    uint32_t five = pw_perf_maps_resolve(maps, 1, 0x9000010, &offset);
    assert_int_equal(five, pw_perf_maps_resolve(maps, 2, 0x9000010, &offset));
    assert_int_not_equal(five, pw_perf_maps_resolve(maps, 3, 0x9000010, &offset));
    object = pw_perf_maps_object(maps, five);
    assert_int_equal(object->file.major, 8);
    assert_int_equal(object->file.minor, 1);
    assert_int_equal(object->file.inode, 5);
    assert_int_equal(object->file.generation, 77);
    pw_perf_maps_free(maps);
}

static void malformed_records(void **state)
{
    (void)state;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    for (uint32_t type = 0; type < 32; type++) {
        for (uint16_t size = 0; size <= 128; size++) {
            /* On the heap and exactly that large: a sanitizer sees what is read beyond. */
            size_t bytes =
                size < sizeof(struct perf_event_header) ? sizeof(struct perf_event_header) : size;
            struct perf_event_header *record = malloc(bytes);
            struct pw_perf_tail tail;
            assert_non_null(record);
            memset(record, 0xff, bytes);
            record->type = type;
            record->size = size;
            pw_perf_maps_record(maps, record);
            if (type == PERF_RECORD_SAMPLE && pw_perf_tail_read(record, &tail)) {
                struct pw_perf_stacks stacks = {.stack_count = 0};
                pw_perf_stacks_add(&stacks, maps, 127, record);
                assert_int_equal(stacks.stack_count, 0);
                pw_perf_stacks_done(&stacks);
            }
            free(record);
        }
    }
    pw_perf_maps_free(maps);
}

/* Samples of addresses in one map: which of them become frames. */
static void add_chain(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                      const uint64_t *chain, size_t length)
{
    struct {
        struct perf_event_header header;
        uint64_t words[64];
    } record = {.header = {.type = PERF_RECORD_SAMPLE}};
    struct pw_perf_sample fixed = {.pid = 5, .time_ns = 77, .period = 1000, .chain_length = length};
    memcpy(record.words, &fixed, sizeof fixed);
    memcpy((unsigned char *)record.words + sizeof fixed, chain, length * sizeof *chain);
    record.header.size = (uint16_t)(sizeof record.header + sizeof fixed + length * sizeof *chain);
    pw_perf_stacks_add(stacks, maps, 8, &record.header);
}

static void chains(void **state)
{
    (void)state;
    const uint64_t user = (uint64_t)PERF_CONTEXT_USER, kernel = (uint64_t)PERF_CONTEXT_KERNEL;
    struct pw_perf_maps *maps = pw_perf_maps_new();
    struct pw_perf_stacks stacks = {.stack_count = 0};
    tell_map(maps, 5, 0x10000, 0x10000, 0, "/bin/five");
    add_chain(
        &stacks, maps,
        (uint64_t[]){kernel, 0xffffffff81000010, 0xffffffff81000020, user, 0x10100, 0x10200, 0}, 7);
    assert_int_equal(stacks.stack_count, 1);
    const struct pw_perf_stack *stack = &stacks.stacks[0];
    assert_int_equal(stack->depth, 4);
    assert_int_equal(stack->user_depth, 2);
    assert_false(stack->cut);
    static const uint64_t offsets[] = {0xffffffff81000010, 0xffffffff8100001f, 0x100, 0x1ff};
    for (size_t i = 0; i < 4; i++) {
        assert_true(stacks.frames[stacks.words[stack->first + i]].offset == offsets[i]);
    }
    /* Once more the same, one whose caller is no code, one as deep as it can be. */
    add_chain(
        &stacks, maps,
        (uint64_t[]){kernel, 0xffffffff81000010, 0xffffffff81000020, user, 0x10100, 0x10200, 1}, 7);
    assert_int_equal(stacks.stack_count, 1);
    assert_int_equal(stacks.stacks[0].samples, 2);
    add_chain(&stacks, maps, (uint64_t[]){user, 0x10100, 0x7777777}, 3);
    assert_true(stacks.stacks[1].cut);
    assert_int_equal(stacks.stacks[1].depth, 1);
    uint64_t deep[9] = {user,    0x10001, 0x10002, 0x10003, 0x10004,
                        0x10005, 0x10006, 0x10007, 0x10008};
    add_chain(&stacks, maps, deep, 9);
    assert_true(stacks.stacks[2].cut);
    add_chain(&stacks, maps, deep, 8);
    assert_false(stacks.stacks[3].cut);
    /* A leaf that is nowhere stays one. */
    add_chain(&stacks, maps, (uint64_t[]){user, 0x50}, 2);
    assert_int_equal(stacks.frames[stacks.words[stacks.stacks[4].first]].object,
                     PW_PERF_OBJECT_NOWHERE);
    assert_int_equal(stacks.beyond, 0);
    add_chain(&stacks, maps, &user, 0);
    assert_int_equal(stacks.beyond, 1);
    assert_int_equal(stacks.beyond_ns, 1000);
    pw_perf_stacks_done(&stacks);
    pw_perf_maps_free(maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_of_a_tree),
        cmocka_unit_test(maps_share_objects),
        cmocka_unit_test(malformed_records),
        cmocka_unit_test(chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
