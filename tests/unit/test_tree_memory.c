/* wrapper/probe/tree_memory: what the memory of a worker's tree consists of, held against what a
 * worker is known to have mapped. */
#include "tests/unit/fake_root.h"
#include "tests/unit/live_memory.h"
#include "wrapper/probe/tree.h"

enum { NOBODY = 65534 };

struct look {
    struct pw_proc *proc;
    struct pw_tree *tree;
    struct pw_memory_maps *maps;
};

static void open_look(struct look *look, const char *root, pid_t warden, pid_t pid)
{
    assert_int_equal(pw_proc_open(root, &look->proc, NULL), 0);
    assert_int_equal(pw_tree_open(look->proc, warden, pid, &look->tree, NULL), 0);
    assert_int_equal(pw_memory_maps_new(&look->maps, NULL), 0);
}

static void close_look(struct look *look)
{
    pw_memory_maps_free(look->maps);
    pw_tree_close(look->tree);
    pw_proc_close(look->proc);
}

static struct pw_memory_breakdown break_down(struct look *look)
{
    struct pw_tree_sample sample;
    struct pw_memory_breakdown breakdown;

    assert_int_equal(pw_tree_sample(look->tree, PW_TREE_WANT_MAPS, &sample), PW_TREE_SAMPLED);
    assert_true(pw_tree_break_down(look->tree, look->maps, &breakdown));
    assert_int_equal(breakdown.processes, sample.processes);
    assert_true(breakdown.at_ns >= sample.latest_ns);
    assert_false(breakdown.partial);
    /* The same files beside each other, of processes that hold still. */
    assert_mib((double)breakdown.pss_bytes, sample.pss_bytes.number - 100. * LIVE_MIB, 100, "pss");
    return breakdown;
}

static const struct pw_memory_mapping *find(const struct pw_memory_breakdown *breakdown,
                                            const char *name)
{
    for (size_t i = 0; i < breakdown->mapping_count; i++) {
        if (strcmp(breakdown->mappings[i].name, name) == 0)
            return &breakdown->mappings[i];
    }
    for (size_t i = 0; i < breakdown->mapping_count; i++)
        print_message("%s: %.3f MiB\n", breakdown->mappings[i].name,
                      (double)breakdown->mappings[i].pss_bytes / LIVE_MIB);
    fail_msg("no mapping %s", name);
    abort();
}

static void assert_named(const struct pw_memory_breakdown *breakdown,
                         const struct pw_memory_breakdown *before, const char *name, double mib)
{
    const struct pw_memory_mapping *mapping = find(breakdown, name);
    double pss_bytes = 0, rss_bytes = 0;

    for (size_t i = 0; i < before->mapping_count; i++) {
        if (strcmp(before->mappings[i].name, name) == 0) {
            pss_bytes = (double)before->mappings[i].pss_bytes;
            rss_bytes = (double)before->mappings[i].rss_bytes;
        }
    }
    assert_mib((double)mapping->pss_bytes, pss_bytes, mib, name);
    /* The child has all else twice too. */
    assert_mib((double)mapping->rss_bytes, 2 * rss_bytes, 2 * mib, name);
    assert_int_equal(mapping->processes, 2);
}

static void test_known_memory(void **state)
{
    PW_FREE_AUTO char *file = live_file(state);
    struct live_worker worker;
    struct look look;

    live_start(&worker, file);
    open_look(&look, "/proc", worker.warden, worker.root);
    struct pw_memory_breakdown before = break_down(&look);
    assert_int_equal(before.processes, 1);
    live_tell(&worker, LIVE_HOLD);
    struct pw_memory_breakdown held = break_down(&look);
    assert_int_equal(held.processes, 2);
    assert_true(held.has_parts);
    assert_mib((double)held.anon_bytes, (double)before.anon_bytes, LIVE_ANON_MIB, "anon");
    assert_mib((double)held.shmem_bytes, (double)before.shmem_bytes, LIVE_SHMEM_MIB, "shmem");
    assert_mib((double)held.file_bytes, (double)before.file_bytes, LIVE_FILE_MIB, "file");
    assert_mib((double)held.pss_bytes, (double)before.pss_bytes,
               LIVE_ANON_MIB + LIVE_SHMEM_MIB + LIVE_FILE_MIB, "pss");
    assert_mib((double)held.footprint_bytes, (double)before.footprint_bytes,
               LIVE_ANON_MIB + LIVE_SHMEM_MIB, "footprint");
    assert_named(&held, &before, worker.anon_has_name ? "[anon:" LIVE_ANON_NAME "]" : "[anon]",
                 LIVE_ANON_MIB);
    assert_named(&held, &before, "memfd:" LIVE_MEMFD_NAME, LIVE_SHMEM_MIB);
    assert_named(&held, &before, file, LIVE_FILE_MIB);
    for (size_t i = 1; i < held.mapping_count; i++)
        assert_true(held.mappings[i - 1].pss_bytes >= held.mappings[i].pss_bytes);

    /* The file is deleted, and its name tells so. */
    assert_int_equal(unlink(file), 0);
    char deleted[PATH_MAX];
    (void)snprintf(deleted, sizeof deleted, "%s (deleted)", file);
    held = break_down(&look);
    assert_named(&held, &before, deleted, LIVE_FILE_MIB);
    live_tell(&worker, LIVE_DROP);
    held = break_down(&look);
    assert_int_equal(held.processes, 1);
    assert_mib((double)held.pss_bytes, (double)before.pss_bytes - 100. * LIVE_MIB, 100, "dropped");
    live_end(&worker);
    struct pw_memory_breakdown after = {.processes = 77};
    assert_false(pw_tree_break_down(look.tree, look.maps, &after));
    assert_int_equal(after.processes, 77);
    close_look(&look);
}

/* Another user may see that the processes are there, but not into them. */
static void test_denied(void **state)
{
    struct live_worker worker;
    struct look look;
    struct pw_tree_sample sample;
    struct pw_memory_breakdown breakdown;

    (void)state;
    if (geteuid() != 0)
        skip();
    live_start(&worker, "/dev/null");
    open_look(&look, "/proc", worker.warden, worker.root);
    assert_int_equal(seteuid(NOBODY), 0);
    enum pw_tree_outcome outcome = pw_tree_sample(look.tree, PW_TREE_WANT_BASIC, &sample);
    bool has = pw_tree_break_down(look.tree, look.maps, &breakdown);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(outcome, PW_TREE_SAMPLED);
    assert_false(has);
    live_end(&worker);
    close_look(&look);
}

static void fake_process(const struct fake_root *fake, pid_t pid, pid_t parent,
                         const char *children)
{
    char name[64], text[256];

    (void)snprintf(name, sizeof name, "%d/stat", pid);
    (void)snprintf(text, sizeof text,
                   "%d (x) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 10 0 0 0 0 0 0 0 0 0 0 0 "
                   "0 0 0 17 0 0 0 0 0 0\n",
                   pid, parent);
    fake_text(fake, name, text);
    (void)snprintf(name, sizeof name, "%d/task/%d/children", pid, pid);
    fake_text(fake, name, children);
    (void)snprintf(name, sizeof name, "%d/smaps_rollup", pid);
    fake_text(fake, name, "Rss: 20 kB\nPss: 10 kB\n");
    (void)snprintf(name, sizeof name, "%d/smaps", pid);
    fake_text(fake, name, "1-2 rw-p 0 0:0 0 /a\nRss: 20 kB\nPss: 10 kB\n");
}

/* Linux before 5.3; a process whose mappings cannot be read; and a pid that was given again. */
static void test_fakes(void **state)
{
    struct fake_root fake;
    struct look look;
    struct pw_tree_sample sample;
    struct pw_memory_breakdown breakdown;

    (void)state;
    fake_root_make(&fake);
    fake_text(&fake, "self/smaps_rollup", "");
    fake_text(
        &fake, "self/stat",
        "9 (me) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 "
        "0 0 0 0 0\n");
    fake_text(&fake, "self/task/9/children", "");
    fake_process(&fake, 100, 1, "101 ");
    fake_process(&fake, 101, 100, "102 ");
    fake_process(&fake, 102, 101, "");
    open_look(&look, fake.path, 100, 101);
    if (strcmp(pw_proc_tree_source(look.proc), "none") == 0)
        fail_msg("the fake is not taken for a /proc");
    assert_int_equal(pw_tree_sample(look.tree, PW_TREE_WANT_BASIC, &sample), PW_TREE_SAMPLED);
    assert_int_equal(sample.processes, 2);
    assert_true(pw_tree_break_down(look.tree, look.maps, &breakdown));
    assert_int_equal(breakdown.processes, 2);
    assert_false(breakdown.has_parts);
    assert_false(breakdown.partial);
    assert_int_equal(breakdown.pss_bytes, 20480);
    assert_int_equal(breakdown.mappings[0].processes, 2);
    assert_int_equal(breakdown.mappings[0].pss_bytes, 20480);

    char path[PATH_MAX];
    fake_path(&fake, path, "102/smaps");
    assert_int_equal(unlink(path), 0);
    fake_dir(&fake, "102/smaps");
    assert_true(pw_tree_break_down(look.tree, look.maps, &breakdown));
    assert_true(breakdown.partial);
    assert_int_equal(breakdown.processes, 2);
    assert_int_equal(breakdown.mappings[0].pss_bytes, 10240);

    fake_text(
        &fake, "102/stat",
        "102 (y) S 101 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 555 0 10 0 0 0 0 0 0 0 0 0 0 0 0 0 "
        "0 17 0 0 0 0 0 0\n");
    assert_true(pw_tree_break_down(look.tree, look.maps, &breakdown));
    assert_int_equal(breakdown.processes, 1);
    assert_false(breakdown.partial);
    close_look(&look);
    fake_root_remove(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_memory, make_folder, drop_folder),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_fakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
