#include "wrapper/run/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/summary.h"

enum { STAMPS_TRIED = 3600 };

static int make_stamped(const char *out_dir, const char *name, char **ret_path, struct pw_err *err)
{
    time_t now = time(NULL);
    for (int i = 0; i < STAMPS_TRIED; i++) {
        char stamp[PW_TIMESTAMP_MAX];
        pw_clock_format_stamp(now + i, stamp);
        PW_FREE_AUTO char *path = NULL;
        if (asprintf(&path, "%s/%s-%s", out_dir, name, stamp) < 0) {
            path = NULL;
            return pw_err_memory(err);
        }
        if (mkdir(path, 0777) == 0) {
            *ret_path = path;
            path = NULL;
            return 0;
        }
        if (errno != EEXIST) {
            pw_err_system(err, errno, "create folder `%s`", path);
            return pw_err_remedy(err, "name a writable folder with --out-dir");
        }
    }
    return pw_err_set(err, PW_ERR_SYSTEM, "no free name for a run folder in `%s`", out_dir);
}

int pw_run_dir_make(const char *out_dir, const char *name, char **ret_path, struct pw_err *err)
{
    if (pw_dir_make(out_dir, err))
        return pw_err_remedy(err, "name a writable folder with --out-dir");
    PW_FREE_AUTO char *absolute = realpath(out_dir, NULL);
    if (!absolute)
        return pw_err_system(err, errno, "find folder `%s`", out_dir);
    PW_FREE_AUTO char *path = NULL;
    if (make_stamped(absolute, name ? name : "local-perf", &path, err))
        return -1;
    if (pw_dir_check_writable(path, err)) {
        rmdir(path);
        return -1;
    }
    *ret_path = path;
    path = NULL;
    return 0;
}

int pw_run_dir_write_iteration(const char *run_dir, const struct pw_iteration_record *iteration,
                               struct pw_err *err)
{
    char name[32];
    snprintf(name, sizeof name, "iteration-%03u.json", iteration->number);
    PW_FREE_AUTO char *path = pw_path_join(run_dir, name, err);
    if (!path)
        return -1;
    json_t *document = pw_iteration_to_json(iteration, err);
    if (!document)
        return -1;
    int result = pw_json_write_file(path, document, err);
    json_decref(document);
    return result;
}
