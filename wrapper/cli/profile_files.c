#include "wrapper/cli/profile_files.h"

#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/str.h"
#include "exporters/cpu_profile.h"

enum { FILE_MODE = 0666 };

struct file {
    const char *suffix;
    int (*render)(const struct pw_cpu_profile *profile, const char *title, struct pw_str *ret_bytes,
                  struct pw_err *err);
};

static int render_folded(const struct pw_cpu_profile *profile, const char *title,
                         struct pw_str *ret_bytes, struct pw_err *err)
{
    (void)title;
    return pw_cpu_profile_to_folded(profile, ret_bytes, err);
}

static int render_pprof(const struct pw_cpu_profile *profile, const char *title,
                        struct pw_str *ret_bytes, struct pw_err *err)
{
    (void)title;
    return pw_cpu_profile_to_pprof(profile, ret_bytes, err);
}

static int write_one(const struct pw_cpu_profile *profile, const char *run_dir, const char *name,
                     const char *title, const struct file *file, struct pw_err *err)
{
    PW_STR_AUTO bytes = PW_STR_INIT;
    if (file->render(profile, title, &bytes, err) != 0) {
        return pw_err_prefix(err, "make %s", name);
    }
    PW_FREE_AUTO char *path = pw_path_join(run_dir, name, err);
    if (!path) {
        return -1;
    }
    return pw_file_write(path, bytes.text, bytes.length, FILE_MODE, err);
}

int pw_profile_files_write(const struct pw_cpu_profile *profile, const char *run_dir,
                           const char *stem, const char *title, enum pw_profile_files which,
                           json_t *paths, struct pw_err *err)
{
    static const struct file files[] = {
        {.suffix = ".pb.gz", .render = render_pprof},
        {.suffix = ".folded", .render = render_folded},
        {.suffix = ".svg", .render = pw_cpu_profile_to_svg},
    };
    size_t count = which == PW_PROFILE_FILES_PPROF ? 1 : sizeof files / sizeof *files;
    if (stem[0] == '\0' || strchr(stem, '/')) {
        return pw_err_set(err, PW_ERR_INTERNAL, "a profile's files named `%s`", stem);
    }
    PW_FREE_AUTO char *folder = pw_path_join(run_dir, PW_PROFILE_FOLDER, err);
    if (!folder) {
        return -1;
    }
    if (pw_dir_make(folder, err) != 0) {
        return -1;
    }
    struct pw_err first = PW_ERR_INIT;
    for (size_t i = 0; i < count; i++) {
        struct pw_err why = PW_ERR_INIT;
        PW_STR_AUTO name = PW_STR_INIT;
        pw_str_addf(&name, PW_PROFILE_FOLDER "/%s%s", stem, files[i].suffix);
        if (name.failed || write_one(profile, run_dir, name.text, title, &files[i], &why) != 0 ||
            json_array_append_new(paths, json_string(name.text)) != 0) {
            if (!pw_err_is_set(&why)) {
                pw_err_memory(&why);
            }
            if (!pw_err_is_set(&first)) {
                first = why;
            }
        }
    }
    if (!pw_err_is_set(&first)) {
        return 0;
    }
    if (err) {
        *err = first;
    }
    return -1;
}
