#include "wrapper/probe/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/cgroup_impl.h"
#include "wrapper/probe/cgroup_layout.h"
#include "wrapper/probe/proc_file.h"

/* Of the folder, not of a worker: for the trial. */
#define TRIAL_WORKER UINT_MAX

struct leaf {
    char name[PW_CGROUP_NAME_MAX]; /* "": none */
    bool is_in[PW_CGROUP_BRANCHES];
    struct pw_cgroup_sums base;
};

struct pw_cgroups {
    struct pw_cgroup_branch branches[PW_CGROUP_BRANCHES];
    size_t branch_count;
    char home[PW_CGROUP_NAME_MAX]; /* what our folders are called */
    struct leaf *leaves;           /* by worker */
    size_t leaf_count;
    unsigned long serial; /* of the last leaf */
    int throttle_fd;      /* the folder of the nearest group with the cpu controller, or -1 */
    bool is_throttle_v2;
    struct pw_cgroup_powers powers;
};

static void say_why_not(struct pw_cgroup_powers *powers, const char *text)
{
    size_t length = strlen(powers->why_not);

    (void)snprintf(powers->why_not + length, sizeof powers->why_not - length, "%s%s",
                   length > 0 ? "; " : "", text);
}

/* --- The leaves --- */

static void remove_leaf(struct pw_cgroups *cgroups, const char *name, int *ret_sys)
{
    for (size_t i = 0; i < cgroups->branch_count; i++) {
        if (pw_cgroup_remove(cgroups->branches[i].home_fd, name) != 0)
            *ret_sys = errno;
    }
}

/* In all branches that take it; each that does not is left out for this leaf. */
static int make_leaf(struct pw_cgroups *cgroups, unsigned worker, pid_t pid, struct leaf *ret_leaf,
                     struct pw_err *err)
{
    struct leaf leaf = {.name = ""};
    bool is_anywhere = false;

    if (worker == TRIAL_WORKER)
        (void)snprintf(leaf.name, sizeof leaf.name, "worker-trial");
    else
        (void)snprintf(leaf.name, sizeof leaf.name, "worker-%u.%lu", worker, ++cgroups->serial);
    for (size_t i = 0; i < cgroups->branch_count; i++) {
        const struct pw_cgroup_branch *branch = &cgroups->branches[i];
        leaf.is_in[i] = mkdirat(branch->home_fd, leaf.name, 0755) == 0 &&
                        pw_cgroup_attach(branch->home_fd, leaf.name, pid) == 0;
        is_anywhere = is_anywhere || leaf.is_in[i];
        if (!leaf.is_in[i] && !is_anywhere)
            pw_cgroup_refuse(err, errno, branch);
    }
    if (!is_anywhere) {
        int sys = 0;
        remove_leaf(cgroups, leaf.name, &sys);
        return -1;
    }
    *ret_leaf = leaf;
    return 0;
}

static const struct leaf *leaf_of(const struct pw_cgroups *cgroups, unsigned worker)
{
    if (worker >= cgroups->leaf_count || cgroups->leaves[worker].name[0] == '\0')
        return NULL;
    return &cgroups->leaves[worker];
}

static int make_room(struct pw_cgroups *cgroups, unsigned worker, struct pw_err *err)
{
    size_t count = (size_t)worker + 1;

    if (worker >= PW_LIMIT_WORKERS)
        return pw_err_set(err, PW_ERR_INTERNAL, "worker %u has no control group", worker);
    if (count <= cgroups->leaf_count)
        return 0;
    struct leaf *grown = reallocarray(cgroups->leaves, count, sizeof *grown);
    if (grown == NULL)
        return pw_err_memory(err);
    memset(grown + cgroups->leaf_count, 0, (count - cgroups->leaf_count) * sizeof *grown);
    cgroups->leaves = grown;
    cgroups->leaf_count = count;
    return 0;
}

static struct pw_value read_throttled(const struct pw_cgroups *cgroups)
{
    char text[PW_CGROUP_TEXT_MAX];
    double number;

    if (cgroups->throttle_fd < 0 ||
        pw_proc_text_read(cgroups->throttle_fd, "cpu.stat", text, sizeof text) < 0 ||
        !pw_cgroup_number_find(
            text, "", cgroups->is_throttle_v2 ? "throttled_usec" : "throttled_time", &number))
        return pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    return pw_value_of(cgroups->is_throttle_v2 ? number * 1e3 : number);
}

static void read_leaf(const struct pw_cgroups *cgroups, const struct leaf *leaf,
                      struct pw_cgroup_sums *ret_sums)
{
    pw_cgroup_read_sums(cgroups->branches, cgroups->branch_count, leaf->name, leaf->is_in,
                        ret_sums);
    ret_sums->throttled_ns = read_throttled(cgroups);
}

int pw_cgroup_enter(struct pw_cgroups *cgroups, unsigned worker, pid_t warden_pid,
                    struct pw_err *err)
{
    if (make_room(cgroups, worker, err) != 0)
        return -1;
    if (leaf_of(cgroups, worker) != NULL)
        (void)pw_cgroup_leave(cgroups, worker, NULL);
    struct leaf *leaf = &cgroups->leaves[worker];
    if (make_leaf(cgroups, worker, warden_pid, leaf, err) != 0)
        return pw_err_prefix(err, "worker %u", worker);
    read_leaf(cgroups, leaf, &leaf->base);
    return 0;
}

void pw_cgroup_read(const struct pw_cgroups *cgroups, unsigned worker,
                    struct pw_cgroup_sums *ret_sums)
{
    const struct leaf *leaf = leaf_of(cgroups, worker);

    *ret_sums = (struct pw_cgroup_sums){0};
    if (leaf == NULL)
        return;
    read_leaf(cgroups, leaf, ret_sums);
    pw_cgroup_sums_since(ret_sums, &leaf->base);
}

/* The first branch it is in: version 2, if that takes it. */
static int list_leaf(const struct pw_cgroups *cgroups, const struct leaf *leaf,
                     struct pw_cgroup_pids *pids)
{
    for (size_t i = 0; i < cgroups->branch_count; i++) {
        if (leaf->is_in[i])
            return pw_cgroup_list(cgroups->branches[i].home_fd, leaf->name, pids);
    }
    return 0;
}

int pw_cgroup_members(const struct pw_cgroups *cgroups, unsigned worker, pid_t **ret_pids,
                      size_t *ret_count, struct pw_err *err)
{
    const struct leaf *leaf = leaf_of(cgroups, worker);
    struct pw_cgroup_pids pids = {.pids = NULL};

    if (leaf != NULL && list_leaf(cgroups, leaf, &pids) != 0) {
        pw_err_system(err, errno, "read the members of control group `%s`", leaf->name);
        pw_cgroup_pids_done(&pids);
        return -1;
    }
    *ret_pids = pids.pids;
    *ret_count = pids.count;
    return 0;
}

int pw_cgroup_leave(struct pw_cgroups *cgroups, unsigned worker, struct pw_err *err)
{
    const struct leaf *leaf = leaf_of(cgroups, worker);
    char name[PW_CGROUP_NAME_MAX];
    int sys = 0;

    if (leaf == NULL)
        return 0;
    (void)snprintf(name, sizeof name, "%s", leaf->name);
    cgroups->leaves[worker].name[0] = '\0';
    remove_leaf(cgroups, name, &sys);
    if (sys != 0)
        return pw_err_system(err, sys, "remove control group `%s` of worker %u", name, worker);
    return 0;
}

/* A child that is born meanwhile is in the list the next time. */
static void move_out(const struct pw_cgroup_branch *branch, const char *name)
{
    enum { ROUNDS = 16 };

    for (int i = 0; i < ROUNDS; i++) {
        struct pw_cgroup_pids pids = {.pids = NULL};
        bool is_empty = pw_cgroup_list(branch->home_fd, name, &pids) != 0 || pids.count == 0;
        for (size_t j = 0; j < pids.count; j++) {
            if (branch->has_moved)
                (void)pw_cgroup_attach(branch->home_fd, PW_CGROUP_SELF, pids.pids[j]);
            else
                (void)pw_cgroup_attach(branch->own_fd, ".", pids.pids[j]);
        }
        pw_cgroup_pids_done(&pids);
        if (is_empty)
            return;
    }
}

int pw_cgroup_release(struct pw_cgroups *cgroups, unsigned worker, struct pw_err *err)
{
    const struct leaf *leaf = leaf_of(cgroups, worker);

    for (size_t i = 0; leaf != NULL && i < cgroups->branch_count; i++)
        move_out(&cgroups->branches[i], leaf->name);
    return pw_cgroup_leave(cgroups, worker, err);
}

/* --- Opening --- */

/* A process that waits for the end of its pipe. It is made with a bare clone(2), as fork(2) would
 * call handlers of other threads' libraries, and tells nobody of its end. */
static pid_t start_idle(int pipe_fds[2])
{
    char byte;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        (void)syscall(SYS_close, pipe_fds[1]);
        while (syscall(SYS_read, pipe_fds[0], &byte, 1UL) < 0) {}
        (void)syscall(SYS_exit_group, 0);
    }
    return pid;
}

/* Branches that take no process are given up, with what they say. */
static void keep_branches(struct pw_cgroups *cgroups, const bool *is_in)
{
    size_t kept = 0;

    for (size_t i = 0; i < cgroups->branch_count; i++) {
        struct pw_cgroup_branch *branch = &cgroups->branches[i];
        if (is_in[i]) {
            cgroups->branches[kept++] = *branch;
            continue;
        }
        char text[64];
        (void)snprintf(text, sizeof text, "%s: its groups take no process", branch->label);
        say_why_not(&cgroups->powers, text);
        pw_cgroup_home_remove(branch);
    }
    cgroups->branch_count = kept;
}

static void find_powers(struct pw_cgroups *cgroups, const char *name)
{
    struct pw_cgroup_powers *powers = &cgroups->powers;

    for (size_t i = 0; i < cgroups->branch_count; i++) {
        const struct pw_cgroup_branch *branch = &cgroups->branches[i];
        int fd = branch->home_fd;
        bool has_v1_peak =
            !branch->is_v2 && pw_cgroup_has_file(fd, name, "memory.max_usage_in_bytes");
        powers->is_v2 |= branch->is_v2;
        powers->moved |= branch->has_moved;
        powers->kill |= faccessat(fd, "cgroup.kill", W_OK, AT_EACCESS) == 0;
        powers->cpu |= pw_cgroup_has_file(fd, name, branch->is_v2 ? "cpu.stat" : "cpuacct.usage");
        powers->memory_v1 |= has_v1_peak;
        powers->memory_peak |= has_v1_peak || pw_cgroup_has_file(fd, name, "memory.peak");
        powers->pids_peak |= pw_cgroup_has_file(fd, name, "pids.peak");
        powers->io |= pw_cgroup_has_file(fd, name, "io.stat");
        powers->pressure |= pw_cgroup_has_file(fd, name, "cpu.pressure");
    }
}

static int try_branches(struct pw_cgroups *cgroups, struct pw_err *err)
{
    struct leaf leaf;
    int pipe_fds[2] = {-1, -1}, sys = 0;
    pid_t pid = start_idle(pipe_fds);

    if (pid < 0) {
        pw_err_system(err, errno, "start a process to try a control group with");
    } else if (make_leaf(cgroups, TRIAL_WORKER, pid, &leaf, err) == 0) {
        find_powers(cgroups, leaf.name);
    } else {
        sys = -1;
    }
    pw_fd_done(&pipe_fds[1]);
    while (pid > 0 && waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR) {}
    pw_fd_done(&pipe_fds[0]);
    if (pid < 0 || sys != 0)
        return -1;
    remove_leaf(cgroups, leaf.name, &sys);
    keep_branches(cgroups, leaf.is_in);
    return 0;
}

static bool has_controller(const struct pw_cgroup_place *v2, const char *name)
{
    char path[PATH_MAX + sizeof "/cgroup.controllers"], text[1024];

    if (v2 == NULL)
        return false;
    (void)snprintf(path, sizeof path, "%s/cgroup.controllers", v2->folder);
    if (pw_proc_text_read(AT_FDCWD, path, text, sizeof text) <= 0)
        return false;
    for (char *rest = text, *word; (word = strsep(&rest, " \n")) != NULL;) {
        if (strcmp(word, name) == 0)
            return true;
    }
    return false;
}

/* A hierarchy that refuses is not used; the first refusal is what the caller hears if all do. */
static void add_branch(struct pw_cgroups *cgroups, const struct pw_cgroup_place *place,
                       const char *name, struct pw_err *err)
{
    struct pw_cgroup_branch *branch = &cgroups->branches[cgroups->branch_count];
    struct pw_err refusal = PW_ERR_INIT;
    char why_not[sizeof cgroups->powers.why_not] = "";

    if (place == NULL || cgroups->branch_count == PW_CGROUP_BRANCHES)
        return;
    for (size_t i = 0; i < cgroups->branch_count; i++) {
        if (strcmp(cgroups->branches[i].folder, place->folder) == 0)
            return;
    }
    *branch = (struct pw_cgroup_branch){.is_v2 = place->is_v2, .own_fd = -1, .home_fd = -1};
    (void)snprintf(branch->label, sizeof branch->label, name == NULL ? "v2" : "v1 %s", name);
    (void)snprintf(branch->folder, sizeof branch->folder, "%s", place->folder);
    (void)snprintf(branch->home, sizeof branch->home, "%s", cgroups->home);
    if (pw_cgroup_home_make(branch, &refusal) == 0) {
        cgroups->branch_count++;
        pw_cgroup_control_enable(branch, why_not, sizeof why_not);
    } else {
        (void)snprintf(why_not, sizeof why_not, "%s: %s", branch->label, strerror(refusal.sys));
        if (err != NULL && !pw_err_is_set(err))
            *err = refusal;
    }
    if (why_not[0] != '\0')
        say_why_not(&cgroups->powers, why_not);
}

static void add_branches(struct pw_cgroups *cgroups, const struct pw_cgroup_layout *layout,
                         struct pw_err *err)
{
    static const char *const wanted[] = {"memory", "pids"};
    const struct pw_cgroup_place *v2 = pw_cgroup_layout_find(layout, NULL);

    add_branch(cgroups, v2, NULL, err);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!has_controller(v2, wanted[i]))
            add_branch(cgroups, pw_cgroup_layout_find(layout, wanted[i]), wanted[i], err);
    }
    if (cgroups->branch_count == 0 || !cgroups->branches[0].is_v2)
        add_branch(cgroups, pw_cgroup_layout_find(layout, "cpuacct"), "cpuacct", err);
}

/* From our own group upwards, as far as it is to be seen. */
static void find_throttle(struct pw_cgroups *cgroups, const struct pw_cgroup_layout *layout)
{
    const struct pw_cgroup_place *place = pw_cgroup_layout_find(layout, "cpu");
    char folder[PATH_MAX];

    cgroups->is_throttle_v2 = place == NULL;
    if (place == NULL)
        place = pw_cgroup_layout_find(layout, NULL);
    if (place == NULL)
        return;
    (void)snprintf(folder, sizeof folder, "%s", place->folder);
    for (char *slash = folder + strlen(folder);
         slash != NULL && (size_t)(slash - folder) >= place->mount_length;
         slash = strrchr(folder, '/')) {
        *slash = '\0';
        cgroups->throttle_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (pw_value_is_present(read_throttled(cgroups)))
            return;
        pw_fd_done(&cgroups->throttle_fd);
    }
}

static int refuse_place(const struct pw_cgroup_layout *layout, struct pw_err *err)
{
    const char *path = layout->count > 0 ? layout->places[layout->count - 1].path : "/";

    pw_err_set(err, PW_ERR_SYSTEM, "the control group `%s` is not to be seen in any mount", path);
    return pw_err_remedy(err, "mount -t cgroup2 none /sys/fs/cgroup; containers: a control group "
                              "namespace with its own mount");
}

static int open_layout(struct pw_cgroups *cgroups, const struct pw_cgroups_setup *setup,
                       const struct pw_cgroup_layout *layout, struct pw_err *err)
{
    struct pw_err refusal = PW_ERR_INIT;

    if (!setup->is_forced && !pw_cgroup_layout_is_delegated(layout, setup->run_root)) {
        pw_err_set(err, PW_ERR_SYSTEM, "perfwrap's control group is systemd's, and not delegated");
        return pw_err_remedy(err, "systemd-run --user --scope -p Delegate=yes perfwrap ...; or "
                                  "--accounting cgroup, to use it all the same");
    }
    add_branches(cgroups, layout, &refusal);
    if (cgroups->branch_count == 0 && pw_err_is_set(&refusal)) {
        if (err != NULL)
            *err = refusal;
        return -1;
    }
    if (cgroups->branch_count == 0)
        return refuse_place(layout, err);
    find_throttle(cgroups, layout);
    return try_branches(cgroups, err);
}

int pw_cgroups_open(const struct pw_cgroups_setup *setup, struct pw_cgroups **ret_cgroups,
                    struct pw_err *err)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL;

    if (pw_cgroup_layout_read(setup->proc_root, &layout, err) != 0)
        return -1;
    struct pw_cgroups *cgroups = calloc(1, sizeof *cgroups);
    if (cgroups == NULL)
        return pw_err_memory(err);
    cgroups->throttle_fd = -1;
    pw_cgroup_home_choose(cgroups->home);
    if (open_layout(cgroups, setup, layout, err) != 0) {
        pw_cgroups_close(cgroups);
        return -1;
    }
    *ret_cgroups = cgroups;
    return 0;
}

void pw_cgroups_close(struct pw_cgroups *cgroups)
{
    if (cgroups == NULL)
        return;
    for (size_t i = 0; i < cgroups->leaf_count; i++)
        (void)pw_cgroup_leave(cgroups, (unsigned)i, NULL);
    for (size_t i = 0; i < cgroups->branch_count; i++)
        pw_cgroup_home_remove(&cgroups->branches[i]);
    pw_fd_done(&cgroups->throttle_fd);
    free(cgroups->leaves);
    free(cgroups);
}

void pw_cgroups_get_powers(const struct pw_cgroups *cgroups, struct pw_cgroup_powers *ret_powers)
{
    *ret_powers = cgroups->powers;
}
