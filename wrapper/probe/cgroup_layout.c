#include "wrapper/probe/cgroup_layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"

/* Fields of a row of /proc/self/mountinfo in front of the optional ones. */
enum { ROW_ROOT = 3, ROW_POINT = 4, ROW_OPTIONS = 5, ROW_FIELDS = 6 };

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

static bool list_has(const char *list, const char *name)
{
    size_t length = strlen(name);

    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == length && memcmp(list, name, length) == 0)
            return true;
        list += part + (list[part] == ',');
    }
    return false;
}

static bool goes_up(const char *path)
{
    size_t length = strlen(path);
    return strstr(path, "/../") != NULL || (length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

/* A row of /proc/self/cgroup: "ID:controllers:path". */
static void use_group_row(struct pw_cgroup_layout *layout, char *row)
{
    char *id = strsep(&row, ":"), *names = strsep(&row, ":");
    struct pw_cgroup_place *place = &layout->places[layout->count];

    if (row == NULL || row[0] != '/' || layout->count == PW_CGROUP_PLACES)
        return;
    if (strlen(names) >= sizeof place->names || strlen(row) >= sizeof place->path)
        return;
    place->is_v2 = strcmp(id, "0") == 0 && names[0] == '\0';
    (void)snprintf(place->names, sizeof place->names, "%s", names);
    (void)snprintf(place->path, sizeof place->path, "%s", row);
    layout->count++;
}

/* Whether a mount of that type and these options of its super block is of the place's hierarchy. */
static bool is_of(const struct pw_cgroup_place *place, const char *type, const char *options)
{
    if (place->is_v2 || strcmp(type, "cgroup") != 0)
        return place->is_v2 && strcmp(type, "cgroup2") == 0;
    char first[sizeof place->names];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(place->names, ","), place->names);
    return first[0] != '\0' && list_has(options, first);
}

/*
 * A mount shows the hierarchy from its root downwards; both root and path are relative to the
 * namespace, and begin with "/.." where they lie outside. Then names are missing, and what has no
 * common beginning cannot be related.
 */
static void place_in_mount(struct pw_cgroup_place *place, char *const *fields)
{
    const char *root = fields[ROW_ROOT], *rest = place->path;
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(rest, root, length) != 0 || (rest[length] != '/' && rest[length] != '\0'))
        return;
    rest += length;
    if (goes_up(rest))
        return;
    bool is_read_only = list_has(fields[ROW_OPTIONS], "ro");
    /* Of several mounts the first one is taken, but a writable one before others. */
    if (place->folder[0] != '\0' && (is_read_only || !place->is_read_only))
        return;
    int written = snprintf(place->folder, sizeof place->folder, "%s%s", fields[ROW_POINT],
                           strcmp(rest, "/") == 0 ? "" : rest);
    if (written >= (int)sizeof place->folder) {
        place->folder[0] = '\0';
        return;
    }
    place->is_read_only = is_read_only;
    place->mount_length = strlen(fields[ROW_POINT]);
}

/* "36 35 98:0 /root /point options optional… - type source super-options". */
static void use_mount_row(struct pw_cgroup_layout *layout, char *row)
{
    char *fields[ROW_FIELDS], *rest = strstr(row, " - ");

    if (rest == NULL)
        return;
    *rest = '\0';
    rest += strlen(" - ");
    const char *type = strsep(&rest, " ");
    (void)strsep(&rest, " ");
    if (rest == NULL || strncmp(type, "cgroup", strlen("cgroup")) != 0)
        return;
    for (int i = 0; i < ROW_FIELDS; i++) {
        fields[i] = strsep(&row, " ");
        if (fields[i] == NULL)
            return;
    }
    unescape(fields[ROW_ROOT]);
    unescape(fields[ROW_POINT]);
    for (size_t i = 0; i < layout->count; i++) {
        if (is_of(&layout->places[i], type, rest))
            place_in_mount(&layout->places[i], fields);
    }
}

static int read_rows(const char *proc_root, const char *name, struct pw_cgroup_layout *layout,
                     void (*use)(struct pw_cgroup_layout *, char *), struct pw_err *err)
{
    PW_FREE_AUTO char *path = pw_path_join(proc_root, name, err);
    PW_FREE_AUTO char *text = NULL;

    if (path == NULL || pw_file_read(path, PW_LIMIT_TOOL_OUTPUT_BYTES, &text, NULL, err) != 0)
        return -1;
    for (char *rest = text, *row; (row = strsep(&rest, "\n")) != NULL;)
        use(layout, row);
    return 0;
}

int pw_cgroup_layout_read(const char *proc_root, struct pw_cgroup_layout **ret_layout,
                          struct pw_err *err)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout = calloc(1, sizeof *layout);
    struct pw_err why = PW_ERR_INIT;

    if (layout == NULL)
        return pw_err_memory(err);
    if (read_rows(proc_root, "self/cgroup", layout, use_group_row, &why) != 0) {
        if (why.cls == PW_ERR_MEMORY)
            return pw_err_memory(err);
        pw_err_set(err, PW_ERR_SYSTEM, "this machine shows no control groups");
        return pw_err_remedy(err, "mount /proc, and use a kernel with CONFIG_CGROUPS");
    }
    if (layout->count == 0) { /* so the kernel says until the first mount */
        pw_err_set(err, PW_ERR_SYSTEM, "no control groups are mounted");
        return pw_err_remedy(err, "mount -t cgroup2 none /sys/fs/cgroup");
    }
    (void)read_rows(proc_root, "self/mountinfo", layout, use_mount_row, NULL);
    *ret_layout = layout;
    layout = NULL;
    return 0;
}

const struct pw_cgroup_place *pw_cgroup_layout_find(const struct pw_cgroup_layout *layout,
                                                    const char *name)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct pw_cgroup_place *place = &layout->places[i];
        if (place->folder[0] == '\0' || place->is_v2 != (name == NULL))
            continue;
        if (name == NULL || list_has(place->names, name))
            return place;
    }
    return NULL;
}

static bool has_mark(const char *folder)
{
    static const char *const marks[] = {"user.delegate", "trusted.delegate"};
    char value = '\0';

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (getxattr(folder, marks[i], &value, 1) == 1 && value == '1')
            return true;
    }
    return false;
}

/* The root of a namespace has a file that the root of the machine does not have. */
static bool is_namespace_root(const struct pw_cgroup_place *place)
{
    char path[PATH_MAX + sizeof "/cgroup.events"];

    (void)snprintf(path, sizeof path, "%s/cgroup.events", place->folder);
    return place->is_v2 && strcmp(place->path, "/") == 0 && access(path, F_OK) == 0;
}

bool pw_cgroup_layout_is_delegated(const struct pw_cgroup_layout *layout, const char *run_root)
{
    const struct pw_cgroup_place *place = pw_cgroup_layout_find(layout, NULL);
    char folder[PATH_MAX];

    (void)snprintf(folder, sizeof folder, "%s/systemd/system", run_root);
    if (access(folder, F_OK) != 0)
        return true;
    if (place == NULL)
        place = pw_cgroup_layout_find(layout, "name=systemd");
    if (place == NULL)
        return false;
    if (strstr(place->path, "/user@") != NULL || is_namespace_root(place))
        return true;
    (void)snprintf(folder, sizeof folder, "%s", place->folder);
    for (char *slash = folder + strlen(folder);
         slash != NULL && (size_t)(slash - folder) >= place->mount_length;
         slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (has_mark(folder))
            return true;
    }
    return false;
}
