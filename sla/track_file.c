/* The tracking table as a file that several calls may want at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "sla/track.h"

struct pw_track_file {
    char *path;
    int lock_fd;
    mode_t mode;
    bool changed;
    struct pw_str text;
};

/* The folder of `path`, locked: of the folder, for the file itself is replaced by a rename, so a
 * lock of it would be one of a file that is gone. */
static int lock_folder(const char *path, int *ret_fd, struct pw_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    PW_FREE_AUTO char *folder = slash ? strndup(path, length > 0 ? length : 1) : strdup(".");
    if (!folder) {
        return pw_err_memory(err);
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        pw_err_set(err, PW_ERR_INPUT, "open folder `%s`: %s", folder, strerror(errno));
        return pw_err_remedy(err, "Make the folder first, or name another file with --file.");
    }
    int result;
    do {
        result = flock(fd, LOCK_EX);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        pw_err_system(err, errno, "lock folder `%s`", folder);
        close(fd);
        return pw_err_remedy(err, "Name a file on a file system with locks (flock) with --file.");
    }
    *ret_fd = fd;
    return 0;
}

static int read_text(struct pw_track_file *file, struct pw_err *err)
{
    struct stat status;
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    if (stat(file->path, &status) != 0) {
        return errno == ENOENT
                   ? 0
                   : pw_err_set(err, PW_ERR_INPUT, "open `%s`: %s", file->path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is no regular file", file->path);
    }
    file->mode = status.st_mode & 07777;
    if (pw_file_read(file->path, PW_LIMIT_TRACK_BYTES, &text, &size, err) != 0) {
        return -1;
    }
    if (memchr(text, '\0', size)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is no text: it has a NUL byte", file->path);
    }
    pw_str_add_bytes(&file->text, text, size);
    return file->text.failed ? pw_err_memory(err) : 0;
}

struct pw_track_file *pw_track_open(const char *path, struct pw_err *err)
{
    struct pw_track_file *file = calloc(1, sizeof(*file));
    if (!file) {
        pw_err_memory(err);
        return NULL;
    }
    file->lock_fd = -1;
    file->mode = 0666;
    file->text = PW_STR_INIT;
    file->path = realpath(path, NULL);
    if (!file->path) {
        file->path = strdup(path); /* not there yet */
    }
    if (!file->path) {
        pw_err_memory(err);
        pw_track_close(file);
        return NULL;
    }
    if (lock_folder(file->path, &file->lock_fd, err) != 0 || read_text(file, err) != 0) {
        pw_track_close(file);
        return NULL;
    }
    return file;
}

int pw_track_add(struct pw_track_file *file, const struct pw_summary *summary, const char *path,
                 const char *note, enum pw_track_change *ret_change, struct pw_err *err)
{
    struct pw_str text = PW_STR_INIT;
    if (pw_track_update(file->text.text, summary, path, note, &text, ret_change, err) != 0) {
        pw_str_done(&text);
        return pw_err_prefix(err, "`%s`", file->path);
    }
    pw_str_done(&file->text);
    file->text = text;
    file->changed = file->changed || *ret_change != PW_TRACK_UNCHANGED;
    return 0;
}

int pw_track_save(const struct pw_track_file *file, bool *ret_written, struct pw_err *err)
{
    if (file->text.length > PW_LIMIT_TRACK_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` would be larger than %d MiB", file->path,
                          PW_LIMIT_TRACK_BYTES >> 20);
    }
    if (file->changed &&
        pw_file_write(file->path, file->text.text, file->text.length, file->mode, err) != 0) {
        return -1;
    }
    *ret_written = file->changed;
    return 0;
}

void pw_track_close(struct pw_track_file *file)
{
    if (file) {
        pw_fd_done(&file->lock_fd); /* gives the lock back */
        free(file->path);
        pw_str_done(&file->text);
        free(file);
    }
}
