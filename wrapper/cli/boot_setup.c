#include "wrapper/cli/boot_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/initrd.h"
#include "wrapper/boot/job.h"
#include "wrapper/boot/verdict.h"

/* What QEMU itself takes besides the guest's memory: code, tables, the kernel's image. Measured on
 * idle machines: 67 MiB of files that machines share, and about 10 MiB of its own. */
enum { MONITOR_OVERHEAD_MIB = 96 };

static void tell(void *context, const char *text)
{
    const struct pw_boot_setup *setup = context;
    if (!setup->options->run.quiet) {
        fprintf(stderr, "perfwrap: %s\n", text);
    }
}

static bool is_snapshot(const struct pw_boot_options *options)
{
    return strcmp(options->start, "snapshot") == 0;
}

/* The monitor */

static int find_monitor(struct pw_boot_setup *setup, struct pw_err *err)
{
    const struct pw_boot_options *options = setup->options;
    PW_FREE_AUTO char *word = NULL;
    setup->is_qemu = !options->vmm_cmd;
    if (options->vmm_cmd) {
        char **words = NULL;
        if (pw_split_words(options->vmm_cmd, &words, err) != 0) {
            return pw_err_prefix(err, "option --vmm-cmd");
        }
        word = strdup(words[0]);
        free(words);
        if (!word) {
            return pw_err_memory(err);
        }
    }
    const char *name = word ? word : "qemu-system-x86_64";
    const char *given = word && strchr(word, '/') ? word : options->supervisor;
    const char *package = word ? NULL : "qemu-system-x86";
    if (pw_tool_find(name, given, package, &setup->monitor, err) != 0) {
        return pw_err_prefix(err, "the machine monitor");
    }
    return pw_machine_version(setup->monitor, &setup->version, err);
}

/* Room */

int pw_boot_check_memory(const struct pw_boot_setup *setup, const json_t *environment,
                         struct pw_err *err)
{
    const struct pw_boot_options *options = setup->options;
    const struct pw_machine_size *size = setup->machine.size;
    unsigned long long machines = (unsigned long long)options->run.concurrency + options->hold;
    unsigned long long needed_mib = machines * (size->memory_mib + MONITOR_OVERHEAD_MIB);
    double available = json_number_value(json_object_get(environment, "memory_available_mb"));
    if (available <= 0 || (double)needed_mib <= available) {
        return 0;
    }
    pw_err_set(err, PW_ERR_SYSTEM,
               "%llu machines of %u MiB need %llu MiB with their monitors, and this host has %.0f "
               "MiB available",
               machines, size->memory_mib, needed_mib, available);
    err->sys = ENOMEM;
    return pw_err_remedy(err, "use a smaller --profile, or fewer with --concurrency and --hold");
}

/* The first file system */

struct initrd {
    const struct pw_str *archive;
};

static int write_initrd(void *context, const char *folder, struct pw_err *err)
{
    const struct initrd *initrd = context;
    PW_FREE_AUTO char *path = pw_path_join(folder, "initrd", err);
    if (!path) {
        return -1;
    }
    return pw_file_write(path, initrd->archive->text, initrd->archive->length, 0600, err);
}

static int make_initrd(struct pw_boot_setup *setup, struct pw_err *err)
{
    const struct pw_machine *machine = &setup->machine;
    const struct pw_initrd_needs needs = {.disk = machine->image != NULL,
                                          .network = machine->network == PW_NETWORK_USER,
                                          .pci = machine->type == PW_MACHINE_PC};
    PW_STR_AUTO archive = PW_STR_INIT;
    struct initrd context = {.archive = &archive};
    struct pw_entry entry = {0};
    char digest[PW_DIGEST_TEXT];
    if (pw_initrd_build(&setup->kernel, &needs, &archive, err) != 0) {
        return pw_err_prefix(err, "the guest's first file system");
    }
    pw_digest_bytes(archive.text, archive.length, digest);
    if (pw_state_entry(&setup->state, "initrds", digest, write_initrd, &context, &entry, err) !=
        0) {
        return -1;
    }
    setup->initrd = pw_path_join(entry.path, "initrd", err);
    pw_entry_done(&entry);
    setup->machine.initrd = setup->initrd;
    return setup->initrd ? 0 : -1;
}

/* In the order in which things need each other. */

static int prepare_image(struct pw_boot_setup *setup, struct pw_err *err)
{
    const struct pw_boot_options *options = setup->options;
    const struct pw_image_request request = {.reference = options->image,
                                             .disk_mib = setup->machine.size->disk_mib,
                                             .mke2fs = options->mke2fs,
                                             .state = &setup->state,
                                             .progress = tell,
                                             .progress_context = setup};
    if (!options->image) {
        return 0;
    }
    if (pw_image_prepare(&request, &setup->image, err) != 0) {
        return -1;
    }
    setup->machine.image = &setup->image;
    return 0;
}

static int prepare_snapshot(struct pw_boot_setup *setup, struct pw_err *err)
{
    if (!is_snapshot(setup->options)) {
        return 0;
    }
    tell(setup, "looking for the snapshot, or making it");
    if (pw_snapshot_prepare(&setup->state, &setup->machine, setup->version,
                            setup->options->timeout_sec, &setup->snapshot, err) != 0) {
        return pw_err_prefix(err, "the snapshot");
    }
    setup->machine.waits_for_state = true;
    return 0;
}

/* The words of another monitor, and its configuration file. */
static int make_foreign(struct pw_boot_setup *setup, struct pw_err *err)
{
    const struct pw_boot_options *options = setup->options;
    PW_FREE_AUTO char *config = NULL;
    if (pw_machine_template(&setup->machine, options->vmm_cmd, &setup->argv, err) != 0) {
        return pw_err_prefix(err, "option --vmm-cmd");
    }
    pw_machine_find_uses(options->vmm_cmd, &setup->uses);
    if (!options->vmm_config) {
        return 0;
    }
    if (pw_file_read(options->vmm_config, PW_LIMIT_TEMPLATE_BYTES, &config, NULL, err) != 0 ||
        pw_machine_config(&setup->machine, config, &setup->config, err) != 0) {
        return pw_err_prefix(err, "option --vmm-config");
    }
    pw_machine_find_uses(config, &setup->uses);
    return 0;
}

int pw_boot_set_up(const struct pw_boot_options *options, struct pw_boot_setup *setup,
                   struct pw_err *err)
{
    struct pw_machine *machine = &setup->machine;
    setup->options = options;
    machine->size = pw_machine_size_find(options->size);
    machine->network =
        strcmp(options->network, "user") == 0 ? PW_NETWORK_USER : PW_NETWORK_ISOLATED;
    if (find_monitor(setup, err) != 0 ||
        pw_state_open(options->state_dir, &setup->state, err) != 0 ||
        pw_accel_choose(options->accel, &machine->accel, err) != 0 ||
        pw_kernel_find(&setup->state, options->kernel, &setup->kernel, err) != 0) {
        return -1;
    }
    machine->monitor = setup->monitor;
    machine->no_sandbox = setup->is_qemu && !pw_machine_has_sandbox(setup->monitor);
    machine->kernel = &setup->kernel;
    machine->type = pw_machine_type_for(&machine->accel);
    if (prepare_image(setup, err) != 0 || make_initrd(setup, err) != 0 ||
        prepare_snapshot(setup, err) != 0) {
        return -1;
    }
    return setup->is_qemu ? pw_machine_qemu(machine, &setup->argv, err) : make_foreign(setup, err);
}

void pw_boot_setup_done(struct pw_boot_setup *setup)
{
    pw_words_done(&setup->argv);
    pw_str_done(&setup->config);
    pw_snapshot_done(&setup->snapshot);
    pw_image_done(&setup->image);
    pw_guest_kernel_done(&setup->kernel);
    pw_state_close(&setup->state);
    free(setup->monitor);
    free(setup->version);
    free(setup->initrd);
    *setup = PW_BOOT_SETUP_INIT;
}
