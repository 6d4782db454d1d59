#include "wrapper/probe/host_cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "wrapper/probe/cgroup_layout.h"
#include "wrapper/probe/proc_file.h"

enum { LIST_BYTES = 4096 };

static void add_words(json_t *list, char *words, const char *separators, bool *failed)
{
    char *word;

    while ((word = strsep(&words, separators)) != NULL) {
        if (*word != '\0')
            pw_json_append(list, pw_json_string_or_null(word), failed);
    }
}

/* A v1 hierarchy without controllers has only a name. */
static json_t *v1_controllers(const struct pw_cgroup_layout *layout, bool *failed)
{
    json_t *list = json_array();

    for (size_t i = 0; layout != NULL && i < layout->count; i++) {
        char names[sizeof layout->places[i].names];
        memcpy(names, layout->places[i].names, sizeof names);
        if (strncmp(names, "name=", strlen("name=")) != 0)
            add_words(list, names, ",", failed);
    }
    return list;
}

/* The group in the v2 hierarchy, or else in the first v1 hierarchy; NULL: there is none. */
static const struct pw_cgroup_place *own_place(const struct pw_cgroup_layout *layout, bool has_v1)
{
    const struct pw_cgroup_place *v1 = NULL;

    for (size_t i = 0; layout != NULL && i < layout->count; i++) {
        const struct pw_cgroup_place *place = &layout->places[i];
        /* The kernel lists v2 also where nobody mounted it. */
        if (place->is_v2 && (place->folder[0] != '\0' || !has_v1))
            return place;
        if (!place->is_v2 && v1 == NULL)
            v1 = place;
    }
    return v1;
}

static bool file_in(const struct pw_cgroup_place *group, const char *name, char path[PATH_MAX])
{
    return group->folder[0] != '\0' &&
           snprintf(path, PATH_MAX, "%s/%s", group->folder, name) < PATH_MAX;
}

/* A group may be divided by whoever may make folders in it and move its own processes. */
static json_t *delegated_of(const struct pw_cgroup_place *group)
{
    char path[PATH_MAX];

    if (!group->is_v2 || !file_in(group, "cgroup.procs", path))
        return json_null();
    return json_boolean(faccessat(AT_FDCWD, group->folder, W_OK, AT_EACCESS) == 0 &&
                        faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0);
}

static json_t *controllers_of(const struct pw_cgroup_place *group, bool *failed)
{
    char controllers[LIST_BYTES] = "", path[PATH_MAX];
    json_t *list = json_array();

    if (file_in(group, "cgroup.controllers", path))
        (void)pw_proc_text_read(AT_FDCWD, path, controllers, sizeof controllers);
    add_words(list, controllers, " \n", failed);
    return list;
}

json_t *pw_host_cgroup(const char *proc_root, bool *failed)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL; /* stays so where there are no cgroups */
    struct pw_err err = PW_ERR_INIT;

    if (pw_cgroup_layout_read(proc_root, &layout, &err) != 0 && err.cls == PW_ERR_MEMORY) {
        *failed = true;
        return NULL;
    }
    json_t *object = json_object(), *v1 = v1_controllers(layout, failed);
    const struct pw_cgroup_place *own = own_place(layout, json_array_size(v1) > 0);
    bool is_v2 = own != NULL && own->is_v2;
    pw_json_put(object, "version", own ? json_integer(is_v2 ? 2 : 1) : json_null(), failed);
    pw_json_put(object, "path", pw_json_string_or_null(own ? own->path : NULL), failed);
    pw_json_put(object, "controllers", is_v2 ? controllers_of(own, failed) : json_incref(v1),
                failed);
    pw_json_put(object, "v1_controllers", v1, failed);
    pw_json_put(object, "delegated", own ? delegated_of(own) : json_null(), failed);
    return object;
}
