#include "wrapper/probe/host_cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "wrapper/probe/proc_file.h"

enum { LIST_BYTES = 4096, MOUNTS_BYTES = 256 << 10, ROW_FIELDS = 5 };

struct cgroup {
    int version;                            /* 0: none */
    char path[PATH_MAX], v1_path[PATH_MAX]; /* in the v2 hierarchy, in the first v1 hierarchy */
    char folder[PATH_MAX];                  /* of the group in the mounted v2 hierarchy, or "" */
    char v1_names[LIST_BYTES];              /* with commas */
};

/* mountinfo writes blanks and backslashes in paths as three octal digits. In place. */
static void unescape(char *path)
{
    char *to = path;

    for (const char *from = path; *from != '\0'; to++) {
        if (*from == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/*
 * A row of /proc/self/mountinfo: "36 35 98:0 /root /mount/point options … - type source options".
 * If it mounts a v2 hierarchy, finds the group's folder in it: a mount may show only what is below
 * its root.
 */
static bool use_mount(struct cgroup *cgroup, char *row)
{
    char *fields[ROW_FIELDS] = {NULL}, *rest = row;
    char *type = strstr(row, " - ");
    size_t root_length;

    if (type == NULL || strncmp(type + 3, "cgroup2 ", strlen("cgroup2 ")) != 0)
        return false;
    for (int i = 0; i < ROW_FIELDS; i++) {
        fields[i] = strsep(&rest, " ");
        if (rest == NULL)
            return false;
    }
    unescape(fields[3]);
    unescape(fields[4]);
    root_length = strcmp(fields[3], "/") == 0 ? 0 : strlen(fields[3]);
    if (strncmp(cgroup->path, fields[3], root_length) != 0)
        return false;
    int length = snprintf(cgroup->folder, sizeof cgroup->folder, "%s%s", fields[4],
                          cgroup->path + root_length);
    return length < (int)sizeof cgroup->folder;
}

static void find_folder(struct cgroup *cgroup, int proc_fd, char *text)
{
    char *row;

    cgroup->folder[0] = '\0';
    if (pw_proc_text_read(proc_fd, "self/mountinfo", text, MOUNTS_BYTES) <= 0)
        return;
    while ((row = strsep(&text, "\n")) != NULL) {
        if (use_mount(cgroup, row))
            return;
        cgroup->folder[0] = '\0';
    }
}

/* A row of /proc/self/cgroup: "ID:controllers:path"; v2 is "0::path", a v1 hierarchy without
 * controllers has only a name ("name=systemd"). */
static void use_row(struct cgroup *cgroup, char *row)
{
    char *id = strsep(&row, ":"), *names = strsep(&row, ":");
    bool is_v2 = row != NULL && strcmp(id, "0") == 0 && *names == '\0';

    if (row == NULL)
        return;
    if (is_v2 || cgroup->version == 0)
        cgroup->version = is_v2 ? 2 : 1;
    if (is_v2)
        snprintf(cgroup->path, sizeof cgroup->path, "%s", row);
    else if (cgroup->v1_path[0] == '\0')
        snprintf(cgroup->v1_path, sizeof cgroup->v1_path, "%s", row);
    if (*names != '\0' && strncmp(names, "name=", strlen("name=")) != 0) {
        size_t length = strlen(cgroup->v1_names);
        snprintf(cgroup->v1_names + length, sizeof cgroup->v1_names - length, "%s%s",
                 length > 0 ? "," : "", names);
    }
}

static json_t *list_of(char *names, const char *separators, bool *failed)
{
    json_t *list = json_array();
    char *name;

    while ((name = strsep(&names, separators)) != NULL) {
        if (*name != '\0')
            pw_json_append(list, pw_json_string_or_null(name), failed);
    }
    return list;
}

/* A group may be divided by whoever may make folders in it and move its own processes. */
static json_t *delegated_of(const struct cgroup *cgroup)
{
    char path[PATH_MAX];

    if (cgroup->folder[0] == '\0')
        return json_null();
    int length = snprintf(path, sizeof path, "%s/cgroup.procs", cgroup->folder);
    if (length >= (int)sizeof path)
        return json_null();
    return json_boolean(faccessat(AT_FDCWD, cgroup->folder, W_OK, AT_EACCESS) == 0 &&
                        faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0);
}

static json_t *describe(struct cgroup *cgroup, bool *failed)
{
    json_t *object = json_object();
    char controllers[LIST_BYTES] = "", path[PATH_MAX];
    const char *own = cgroup->version == 2 ? cgroup->path : cgroup->v1_path;
    json_t *v1 = list_of(cgroup->v1_names, ",", failed);

    int length = snprintf(path, sizeof path, "%s/cgroup.controllers", cgroup->folder);
    if (cgroup->folder[0] != '\0' && length < (int)sizeof path)
        (void)pw_proc_text_read(AT_FDCWD, path, controllers, sizeof controllers);
    pw_json_put(object, "version", cgroup->version ? json_integer(cgroup->version) : json_null(),
                failed);
    pw_json_put(object, "path", pw_json_string_or_null(cgroup->version ? own : NULL), failed);
    pw_json_put(object, "controllers",
                cgroup->version == 2 ? list_of(controllers, " \n", failed) : json_incref(v1),
                failed);
    pw_json_put(object, "v1_controllers", v1, failed);
    pw_json_put(object, "delegated", delegated_of(cgroup), failed);
    return object;
}

json_t *pw_host_cgroup(int proc_fd, bool *failed)
{
    PW_FREE_AUTO struct cgroup *cgroup = calloc(1, sizeof *cgroup);
    PW_FREE_AUTO char *text = malloc(MOUNTS_BYTES);

    if (cgroup == NULL || text == NULL) {
        *failed = true;
        return NULL;
    }
    if (pw_proc_text_read(proc_fd, "self/cgroup", text, MOUNTS_BYTES) > 0) {
        char *rows = text, *row;
        while ((row = strsep(&rows, "\n")) != NULL)
            use_row(cgroup, row);
    }
    if (cgroup->version == 2)
        find_folder(cgroup, proc_fd, text);
    /* The kernel lists v2 also where nobody mounted it. */
    if (cgroup->version == 2 && cgroup->folder[0] == '\0' && cgroup->v1_names[0] != '\0')
        cgroup->version = 1;
    return describe(cgroup, failed);
}
