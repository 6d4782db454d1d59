#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/base/tool.h"

static int executable(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return errno;
    }
    if (!S_ISREG(info.st_mode)) {
        return EACCES;
    }
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* A tool may be run in another folder. */
static int make_absolute(const char *path, char **ret_path, struct pw_err *err)
{
    if (path[0] == '/') {
        *ret_path = strdup(path);
        return *ret_path ? 0 : pw_err_memory(err);
    }
    PW_FREE_AUTO char *here = getcwd(NULL, 0);
    if (!here) {
        return pw_err_system(err, errno, "find the current folder");
    }
    char *joined = pw_path_join(here, path, err);
    if (!joined) {
        return -1;
    }
    *ret_path = joined;
    return 0;
}

/* Looks in the folders of `list`, between colons. Returns 0, or errno: EACCES if one was there that
 * may not be executed. */
static int look_in(const char *list, const char *name, char **ret_found)
{
    int sys = ENOENT;
    while (*list != '\0') {
        size_t length = strcspn(list, ":");
        char *path = NULL;
        /* An empty folder is the current one (POSIX); nobody wants that here. */
        if (length > 0 && asprintf(&path, "%.*s/%s", (int)length, list, name) >= 0) {
            int refused = executable(path);
            if (refused == 0) {
                *ret_found = path;
                return 0;
            }
            if (refused == EACCES) {
                sys = EACCES;
            }
            free(path);
        }
        list += length + (list[length] == ':');
    }
    return sys;
}

static int look_everywhere(const char *name, char **ret_found)
{
    const char *path = getenv("PATH");
    int sys = look_in(path ? path : "/usr/local/bin:/usr/bin:/bin", name, ret_found);
    if (sys != 0) {
        int other = look_in("/usr/sbin:/sbin", name, ret_found);
        sys = other == ENOENT ? sys : other;
    }
    return sys;
}

int pw_tool_find(const char *name, const char *given, const char *package, char **ret_path,
                 struct pw_err *err)
{
    const char *wanted = given ? given : name;
    PW_FREE_AUTO char *found = NULL;
    int sys = ENOENT;
    if (given) {
        sys = executable(given);
    }
    if (given && sys == 0) {
        return make_absolute(given, ret_path, err);
    }
    if (!given || (sys == ENOENT && !strchr(given, '/') && given[0] != '\0')) {
        sys = look_everywhere(wanted, &found);
    }
    if (sys == 0 && found) {
        return make_absolute(found, ret_path, err);
    }
    if (sys == ENOENT && !given) {
        pw_err_set(err, PW_ERR_INPUT, "the program `%s` is not installed", name);
    } else {
        pw_err_set(err, PW_ERR_INPUT, "the program `%s` cannot be run: %s", wanted, strerror(sys));
    }
    pw_err_errno(err, sys);
    if (sys == ENOENT && package) {
        pw_err_remedy(err, "Install the package that has it: apt-get install %s", package);
    }
    return -1;
}
