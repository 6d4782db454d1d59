#include "wrapper/boot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/guest_proto.h"
#include "wrapper/boot/monitor.h"
#include "wrapper/boot/qmp.h"

enum { FILE_MODE = 0600, KHZ_STEP = 10000, SOCKET_PATH_BYTES = 64 };
static const char state_name[] = "state", job_name[] = "job", socket_name[] = "qmp";
static const char worker_folder[] = "{worker_dir}";

/* How a process calls the folder that it has open as PW_MONITOR_FOLDER_FD: whatever its name is,
 * so it is short enough for a socket, and has no comma that a monitor takes for its own. */
#define OPEN_FOLDER "/dev/fd/4"
_Static_assert(PW_MONITOR_FOLDER_FD == 4, "the number is in OPEN_FOLDER");

struct making {
    const struct pw_machine *machine;
    int64_t timeout_ns;
};

void pw_snapshot_done(struct pw_snapshot *snapshot)
{
    free(snapshot->state_file);
    *snapshot = (struct pw_snapshot){0};
}

/* The words with OPEN_FOLDER for {worker_dir}. */
static int place_words(const struct pw_words *words, struct pw_words *ret_words, struct pw_err *err)
{
    PW_WORDS_AUTO placed = {0};
    for (size_t i = 0; i < words->count; i++) {
        PW_STR_AUTO word = PW_STR_INIT;
        const char *at = words->items[i], *found;
        while ((found = strstr(at, worker_folder))) {
            pw_str_add_bytes(&word, at, (size_t)(found - at));
            pw_str_add(&word, OPEN_FOLDER);
            at = found + strlen(worker_folder);
        }
        pw_str_add(&word, at);
        placed.failed = placed.failed || word.failed;
        pw_words_addf(&placed, "%s", word.text);
    }
    if (placed.failed) {
        return pw_err_memory(err);
    }
    *ret_words = placed;
    placed = (struct pw_words){0};
    return 0;
}

static int save(int folder_fd, int64_t deadline_ns, struct pw_err *err)
{
    PW_QMP_AUTO qmp = PW_QMP_INIT;
    char socket_path[SOCKET_PATH_BYTES];
    snprintf(socket_path, sizeof(socket_path), "/proc/self/fd/%d/%s", folder_fd, socket_name);
    PW_FD_AUTO state_fd =
        openat(folder_fd, state_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (state_fd < 0) {
        return pw_err_system(err, errno, "create the file `%s`", state_name);
    }
    return pw_qmp_open(socket_path, deadline_ns, &qmp, err) != 0 ||
                   pw_qmp_save(&qmp, state_fd, err) != 0
               ? -1
               : 0;
}

static int run_and_save(const struct making *making, int folder_fd, struct pw_err *err)
{
    PW_MONITOR_AUTO monitor = PW_MONITOR_INIT;
    PW_WORDS_AUTO words = {0}, argv = {0};
    struct pw_machine machine = *making->machine;
    const int64_t deadline_ns = pw_clock_now_ns() + making->timeout_ns;
    machine.waits_for_state = false;
    machine.qmp_socket = OPEN_FOLDER "/qmp";
    if (pw_machine_qemu(&machine, &words, err) != 0 || place_words(&words, &argv, err) != 0 ||
        pw_monitor_start((const char *const *)argv.items, folder_fd, &monitor, err) != 0) {
        return -1;
    }
    return pw_monitor_wait_for_mark(&monitor, "ready", deadline_ns, err) != 0 ||
                   save(folder_fd, deadline_ns, err) != 0
               ? -1
               : 0;
}

/* A pw_entry_make. The machine's job and control socket are there only meanwhile. */
static int make_snapshot(void *context, const char *folder, struct pw_err *err)
{
    PW_FREE_AUTO char *job = pw_path_join(folder, job_name, err);
    if (!job || pw_file_write(job, PW_JOB_WAIT, sizeof PW_JOB_WAIT, FILE_MODE, err) != 0) {
        return -1;
    }
    PW_FD_AUTO folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return pw_err_system(err, errno, "open `%s`", folder);
    }
    if (run_and_save(context, folder_fd, err) != 0) {
        return -1;
    }
    unlinkat(folder_fd, job_name, 0);
    unlinkat(folder_fd, socket_name, 0);
    return 0;
}

/* All that the state depends on. The TSC's rate is measured anew each time, and differs a little.
 */
static int make_key(const struct pw_machine *machine, const char *monitor_version,
                    char ret_key[PW_DIGEST_TEXT], struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    char initrd[PW_DIGEST_TEXT];
    struct pw_machine rounded = *machine;
    rounded.accel.tsc_khz = (machine->accel.tsc_khz + KHZ_STEP / 2) / KHZ_STEP * KHZ_STEP;
    PW_FREE_AUTO char *cmdline = pw_machine_cmdline(&rounded, true, err);
    if (!cmdline) {
        return -1;
    }
    if (pw_digest_file(machine->initrd, initrd, err) != 0) {
        return -1;
    }
    pw_str_addf(&text, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n", PERFWRAP_VERSION, machine->monitor,
                monitor_version, pw_accel_name(machine->accel.accel),
                pw_machine_type_name(machine->type), machine->kernel->digest, initrd);
    pw_str_addf(&text, "%s\n%u %u %d %d %llu\n", cmdline, machine->size->memory_mib,
                machine->size->vcpus, (int)machine->network, machine->image != NULL,
                machine->image ? (unsigned long long)machine->image->disk_bytes : 0);
    if (text.failed) {
        return pw_err_memory(err);
    }
    pw_digest_bytes(text.text, text.length, ret_key);
    return 0;
}

int pw_snapshot_prepare(const struct pw_state *state, const struct pw_machine *machine,
                        const char *monitor_version, double timeout_sec,
                        struct pw_snapshot *ret_snapshot, struct pw_err *err)
{
    const int64_t start_ns = pw_clock_now_ns();
    struct making making = {.machine = machine, .timeout_ns = pw_ms_to_ns(timeout_sec * 1e3)};
    struct pw_entry entry = {0};
    struct stat info;
    char key[PW_DIGEST_TEXT];
    if (make_key(machine, monitor_version, key, err) != 0 ||
        pw_state_entry(state, "snapshots", key, make_snapshot, &making, &entry, err) != 0) {
        return pw_err_prefix(err, "prepare the snapshot");
    }
    char *path = pw_path_join(entry.path, state_name, err);
    bool made = entry.made;
    pw_entry_done(&entry);
    if (!path) {
        return -1;
    }
    if (stat(path, &info) != 0) {
        pw_err_system(err, errno, "read the snapshot `%s`", path);
        free(path);
        return -1;
    }
    *ret_snapshot = (struct pw_snapshot){.state_file = path,
                                         .bytes = (uint64_t)info.st_size,
                                         .made = made,
                                         .prepare_ns = pw_clock_now_ns() - start_ns};
    return 0;
}
