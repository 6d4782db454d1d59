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

static char *make_stamped(const char *out_dir, const char *name, struct pw_err *err)
{
    time_t now = time(NULL);
    for (int i = 0; i < STAMPS_TRIED; i++) {
        char stamp[PW_TIMESTAMP_MAX], *path;
        pw_clock_format_stamp(now + i, stamp);
        if (asprintf(&path, "%s/%s-%s", out_dir, name, stamp) < 0) {
            pw_err_memory(err);
            return NULL;
        }
        if (mkdir(path, 0777) == 0)
            return path;
        int sys = errno;
        if (sys != EEXIST) {
            pw_err_system(err, sys, "create folder `%s`", path);
            pw_err_remedy(err, "name a writable folder with --out-dir");
        }
        free(path);
        if (sys != EEXIST)
            return NULL;
    }
    pw_err_set(err, PW_ERR_SYSTEM, "no free name for a run folder in `%s`", out_dir);
    return NULL;
}

int pw_run_dir_make(const char *out_dir, const char *name, char **ret_path, struct pw_err *err)
{
    if (pw_dir_make(out_dir, err))
        return pw_err_remedy(err, "name a writable folder with --out-dir");
    PW_FREE_AUTO char *absolute = realpath(out_dir, NULL);
    if (!absolute)
        return pw_err_system(err, errno, "find folder `%s`", out_dir);
    char *path = make_stamped(absolute, name ? name : "local-perf", err);
    if (!path)
        return -1;
    if (pw_dir_check_writable(path, err)) {
        rmdir(path);
        free(path);
        return -1;
    }
    *ret_path = path;
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
