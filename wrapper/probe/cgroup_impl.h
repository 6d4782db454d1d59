/*
 * What the parts of wrapper/probe/cgroup.h share: one hierarchy in which leaves are made, and what
 * is done with single groups. Groups are named by an open folder and a name in it. Nothing here
 * keeps state but in the objects that are passed.
 */
#ifndef PW_PROBE_CGROUP_IMPL_H
#define PW_PROBE_CGROUP_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "core/err.h"
#include "wrapper/probe/cgroup.h"

enum {
    PW_CGROUP_BRANCHES = 4,     /* version 2; memory, pids and cpuacct of version 1 */
    PW_CGROUP_NAME_MAX = 40,    /* of a folder or leaf of ours */
    PW_CGROUP_TEXT_MAX = 16384, /* of a file of a group that is read */
};

/* Those that are enabled where they are not; cpu is not among them, see cgroup.h. */
enum pw_cgroup_controller { PW_CGROUP_MEMORY, PW_CGROUP_PIDS, PW_CGROUP_IO, PW_CGROUP_CONTROLLERS };

struct pw_cgroup_branch {
    bool is_v2;
    char label[16]; /* "v2", "v1 memory" */
    char folder[PATH_MAX];
    int own_fd;                    /* perfwrap's own group; -1: not open */
    int home_fd;                   /* our folder in it, locked; -1: none */
    char home[PW_CGROUP_NAME_MAX]; /* its name */
    /* Version 2: */
    bool has[PW_CGROUP_CONTROLLERS];     /* leaves have it */
    bool enabled[PW_CGROUP_CONTROLLERS]; /* by us in the own group, to be taken back */
    bool has_moved;                      /* this process is in the leaf `self` */
};

struct pw_cgroup_pids {
    pid_t *pids;
    size_t count, capacity;
};

/* cgroup_group.c. Each that returns int: 0, or -1 and errno. */
int pw_cgroup_write(int dir_fd, const char *group, const char *file, const char *text);
int pw_cgroup_attach(int dir_fd, const char *group, pid_t pid); /* 0: this process */
/* Adds the members of a group and of all groups in it. */
int pw_cgroup_list(int dir_fd, const char *group, struct pw_cgroup_pids *pids);
void pw_cgroup_pids_done(struct pw_cgroup_pids *pids);
/* Kills the members, again and again, and removes the group with all groups in it. A group that is
 * not there is fine. */
int pw_cgroup_remove(int dir_fd, const char *group);
bool pw_cgroup_has_file(int dir_fd, const char *group, const char *file);

/* cgroup_home.c. */
#define PW_CGROUP_SELF "self"
/* A name for the folder, the same in all branches unless it is taken in one. */
void pw_cgroup_home_choose(char name[PW_CGROUP_NAME_MAX]);
/* Removes what others left behind, makes the folder `branch->home` and locks it. */
int pw_cgroup_home_make(struct pw_cgroup_branch *branch, struct pw_err *err);
/* Removes it; perfwrap is moved back where it has been moved. */
void pw_cgroup_home_remove(struct pw_cgroup_branch *branch);
/* Fills `err` with what a refusal in this branch means, and what helps. Returns -1. */
int pw_cgroup_refuse(struct pw_err *err, int sys, const struct pw_cgroup_branch *branch);

/* cgroup_control.c: so that leaves have controllers, as far as this can be done. */
extern const char *const pw_cgroup_controller_names[PW_CGROUP_CONTROLLERS];
void pw_cgroup_control_enable(struct pw_cgroup_branch *branch, char *why_not, size_t size);
void pw_cgroup_control_disable(struct pw_cgroup_branch *branch);

/* cgroup_read.c: from the leaf `group` of those branches that `is_in` marks. */
void pw_cgroup_read_sums(const struct pw_cgroup_branch *branches, size_t count, const char *group,
                         const bool *is_in, struct pw_cgroup_sums *ret_sums);
/* The counters that go on with time become what they have grown by since `base`. */
void pw_cgroup_sums_since(struct pw_cgroup_sums *sums, const struct pw_cgroup_sums *base);
/* A group's number in a file: `text` is "N" (key NULL), lines "key N", or lines "… key=N …", which
 * are summed up over all that begin with `line` ("" any). */
bool pw_cgroup_number_find(const char *text, const char *line, const char *key, double *ret_number);

#endif
