/*
 * A machine: what it is made of, and the monitor's command line for it.
 *
 * Each machine is a worker of a session (wrapper/run); the words hold the placeholders of
 * wrapper/run/outfit.h ("{worker_dir}"), which are replaced for each. Descriptor 3 of the monitor
 * takes the guest's marks, standard output is its serial console, standard input the state that a
 * snapshot start reads.
 * Threads: no shared state.
 */
#ifndef PW_BOOT_MACHINE_H
#define PW_BOOT_MACHINE_H

#include <stdbool.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/accel.h"
#include "wrapper/boot/base/clone.h"
#include "wrapper/boot/image/image.h"
#include "wrapper/boot/kernel.h"

struct pw_machine_size {
    const char *name; /* "tiny", "small", "medium", "large" */
    unsigned memory_mib, vcpus, disk_mib;
};
enum { PW_MACHINE_SIZES = 4 };
extern const struct pw_machine_size pw_machine_sizes[PW_MACHINE_SIZES];
/* NULL if there is none of that name. */
const struct pw_machine_size *pw_machine_size_find(const char *name);

enum pw_network { PW_NETWORK_ISOLATED, PW_NETWORK_USER };
enum pw_machine_type { PW_MACHINE_MICROVM, PW_MACHINE_PC };

struct pw_machine {
    const struct pw_machine_size *size;
    struct pw_accel_choice accel;
    enum pw_machine_type type;
    enum pw_network network;
    const struct pw_guest_kernel *kernel;
    const char *initrd;           /* path */
    const struct pw_image *image; /* NULL: none */
    const char *monitor;          /* path of QEMU, or what --supervisor names */
    bool waits_for_state;         /* starts from a snapshot, read from standard input */
    const char *qmp_socket;       /* path; NULL: none */
    bool no_sandbox;              /* this QEMU cannot confine itself, see has_sandbox() */
};

/* A list of words that owns them, NULL-terminated. */
struct pw_words {
    char **items;
    size_t count;
    bool failed; /* memory ran out */
};
#define PW_WORDS_AUTO __attribute__((cleanup(pw_words_done))) struct pw_words
void pw_words_done(struct pw_words *words);
__attribute__((format(printf, 2, 3))) void pw_words_addf(struct pw_words *words, const char *format,
                                                         ...);

/* QEMU's words. The job is the file {worker_dir}/job. PW_ERR_USAGE for a path that QEMU's options
 * cannot hold. */
int pw_machine_qemu(const struct pw_machine *machine, struct pw_words *ret_argv,
                    struct pw_err *err);
/* The kernel's command line. free() it; NULL and err. */
char *pw_machine_cmdline(const struct pw_machine *machine, bool is_qemu, struct pw_err *err);

/*
 * Other monitors than QEMU: their words come from `--vmm-cmd`, and a configuration file, if they
 * want one, from `--vmm-config`. Both may hold {kernel}, {cmdline}, {memory_mib}, {vcpus}, {net}
 * ("user" or "isolated"), and what lies in each worker's folder: {disk}, a private clone of the
 * image; {initrd}, with the job in it; {job}; {config}. The placeholders of wrapper/run/outfit.h
 * stay for it to replace. Any other name in braces is PW_ERR_USAGE, with the nearest, and so is
 * {disk} without an image. Guests without I/O ports tell their marks on the console.
 */

/* The words of `template`, split as a shell would; each placeholder stays within its word. */
int pw_machine_template(const struct pw_machine *machine, const char *template,
                        struct pw_words *ret_argv, struct pw_err *err);
/* The text of a configuration file, for {worker_dir}/config.json. What is replaced is escaped as
 * JSON wants it if the template begins with `{`. */
int pw_machine_config(const struct pw_machine *machine, const char *template,
                      struct pw_str *ret_text, struct pw_err *err);
/* What of the worker's folder a template names; `uses` is added to. */
struct pw_machine_uses {
    bool disk, initrd, job, config;
};
void pw_machine_find_uses(const char *template, struct pw_machine_uses *uses);
/* Makes a worker's {worker_dir}/disk.ext4 and {worker_dir}/initrd, as far as they are used, when
 * its {worker_dir}/job is there. *ret_clone: of the disk; zeros if there is none. */
int pw_machine_prepare_worker(const struct pw_machine *machine, const struct pw_machine_uses *uses,
                              const char *worker_dir, struct pw_clone *ret_clone,
                              struct pw_err *err);

/* The type for this accelerator: microvm unless the TSC's rate is not known. */
enum pw_machine_type pw_machine_type_for(const struct pw_accel_choice *accel);
const char *pw_machine_type_name(enum pw_machine_type type);
/* "QEMU emulator version 7.2.22 ..." : the first line of `monitor --version`; "" if it says none.
 * PW_ERR_INPUT if it cannot be run. free(*ret_version). */
int pw_machine_version(const char *monitor, char **ret_version, struct pw_err *err);
/* Whether this QEMU was built with seccomp: it is asked. */
bool pw_machine_has_sandbox(const char *monitor);

#endif
