#include "wrapper/boot/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/guest_proto.h"

enum { VERSION_TIMEOUT_SEC = 20 };

/* What the sandbox may not do. Source: QEMU, "-sandbox": a killed call ends QEMU with SIGSYS. */
#define SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

const struct pw_machine_size pw_machine_sizes[PW_MACHINE_SIZES] = {
    {"tiny", 256, 1, 512},
    {"small", 512, 2, 1024},
    {"medium", 2048, 2, 8192},
    {"large", 4096, 4, 16384},
};

const struct pw_machine_size *pw_machine_size_find(const char *name)
{
    for (size_t i = 0; i < PW_MACHINE_SIZES; i++) {
        if (strcmp(pw_machine_sizes[i].name, name) == 0) {
            return &pw_machine_sizes[i];
        }
    }
    return NULL;
}

/* Without HPET and PM timer, as in a microvm, the guest has to measure the TSC against an emulated
 * timer, and hangs for ever where that fails; told the rate, it does not measure. */
enum pw_machine_type pw_machine_type_for(const struct pw_accel_choice *accel)
{
    return accel->accel == PW_ACCEL_KVM || accel->tsc_khz > 0 ? PW_MACHINE_MICROVM : PW_MACHINE_PC;
}

const char *pw_machine_type_name(enum pw_machine_type type)
{
    return type == PW_MACHINE_MICROVM ? "microvm" : "pc";
}

/*
 * Sources: Linux, Documentation/admin-guide/kernel-parameters. Early parameters are done in their
 * order: the early console writes what was said until then, and `quiet` silences what follows. Its
 * first line tells that the monitor has started the kernel. The crypto self-tests and the
 * security modules take a fifth of a boot under TCG. QEMU ends with -no-reboot at any reset, and a
 * triple fault is the fastest; other monitors know the keyboard controller's.
 */
char *pw_machine_cmdline(const struct pw_machine *machine, bool is_qemu, struct pw_err *err)
{
    PW_STR_AUTO line = PW_STR_INIT;
    pw_str_addf(&line, "earlyprintk=ttyS0,115200 quiet console=ttyS0 panic=-1 reboot=%s",
                is_qemu ? "t" : "k");
    /* Under TCG the TSC of each of a guest's CPUs is the host's, so they agree, which the kernel
     * would not believe of several: it would count ticks, 4 ms apart and late on a busy host, for
     * its clock. KVM tells the guest its rate itself. */
    if (is_qemu && machine->accel.accel == PW_ACCEL_TCG && machine->accel.tsc_khz > 0) {
        pw_str_addf(&line, " tsc_early_khz=%u tsc=reliable", machine->accel.tsc_khz);
    }
    pw_str_add(&line, " cryptomgr.notests lsm=");
    return pw_str_take(&line, err);
}

/* A path within one of QEMU's comma-separated options: commas are doubled. One that is relative
 * begins with `./`, so that nothing in it is taken for a protocol. */
static void add_option_path(struct pw_str *option, const char *path)
{
    pw_str_add(option, *path == '/' || *path == '{' ? "" : "./");
    for (; *path; path++) {
        pw_str_add(option, *path == ',' ? ",," : (char[2]){*path, '\0'});
    }
}

static void add_option(struct pw_words *words, const char *name, const struct pw_str *value)
{
    words->failed = words->failed || value->failed;
    pw_words_addf(words, "%s", name);
    pw_words_addf(words, "%s", value->text);
}

static void add_pair(struct pw_words *words, const char *name, const char *value)
{
    pw_words_addf(words, "%s", name);
    pw_words_addf(words, "%s", value);
}

static int check_path(const char *what, const char *path, struct pw_err *err)
{
    if (path && strchr(path, '\n')) {
        pw_err_set(err, PW_ERR_USAGE, "the path of the %s holds a newline", what);
        return pw_err_remedy(err, "rename it");
    }
    return 0;
}

/* {worker_dir} is put into options by who does not know their commas. */
static int check_worker_folder(struct pw_err *err)
{
    const char *folder = getenv("TMPDIR");
    if (folder && strpbrk(folder, ",\n")) {
        pw_err_set(err, PW_ERR_USAGE,
                   "TMPDIR, `%s`, holds a comma or a newline, at which QEMU "
                   "divides its options",
                   folder);
        return pw_err_remedy(err, "set TMPDIR to a folder with a plain name");
    }
    return 0;
}

static int check_machine(const struct pw_machine *machine, struct pw_err *err)
{
    const size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (machine->qmp_socket && strlen(machine->qmp_socket) > longest) {
        return pw_err_set(err, PW_ERR_USAGE, "the path of a socket, `%s`, is longer than %zu bytes",
                          machine->qmp_socket, longest);
    }
    return check_path("kernel", machine->kernel->image, err) ||
                   check_path("first file system", machine->initrd, err) ||
                   check_path("image", machine->image ? machine->image->disk : NULL, err) ||
                   check_path("control socket", machine->qmp_socket, err) ||
                   check_worker_folder(err)
               ? -1
               : 0;
}

static void add_base(struct pw_words *words, const struct pw_machine *machine)
{
    bool is_kvm = machine->accel.accel == PW_ACCEL_KVM;
    pw_words_addf(words, "%s", machine->monitor);
    add_pair(words, "-name", "perfwrap");
    add_pair(words, "-accel", is_kvm ? "kvm" : "tcg");
    if (is_kvm) {
        add_pair(words, "-cpu", "host");
    }
    /* Merged pages would make the footprint depend on what else runs. */
    add_pair(words, "-machine",
             machine->type == PW_MACHINE_PC ? "pc,mem-merge=off" : "microvm,mem-merge=off");
    static const char *const plain[] = {"-nodefaults", "-no-user-config", "-no-reboot"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        pw_words_addf(words, "%s", plain[i]);
    }
    add_pair(words, "-display", "none");
    pw_words_addf(words, "-m");
    pw_words_addf(words, "%u", machine->size->memory_mib);
    pw_words_addf(words, "-smp");
    pw_words_addf(words, "%u", machine->size->vcpus);
    if (!machine->no_sandbox) {
        add_pair(words, "-sandbox", SANDBOX);
    }
}

/* The console is written to standard output as to a file, for `stdio` would read standard input. */
static void add_channels(struct pw_words *words, const struct pw_machine *machine)
{
    add_pair(words, "-chardev", "file,id=con,path=/dev/fd/1");
    add_pair(words, "-serial", "chardev:con");
    add_pair(words, "-chardev", "file,id=ctl,path=/dev/fd/3");
    pw_words_addf(words, "-device");
    pw_words_addf(words, "isa-debugcon,iobase=0x%x,chardev=ctl", PW_MARK_PORT);
    pw_words_addf(words, "-device");
    pw_words_addf(words, "isa-debug-exit,iobase=0x%x,iosize=4", PW_EXIT_PORT);
    pw_words_addf(words, "-fw_cfg");
    pw_words_addf(words, "name=" PW_JOB_FW_CFG ",file={worker_dir}/job");
    if (machine->qmp_socket) {
        PW_STR_AUTO socket = PW_STR_INIT;
        pw_str_add(&socket, "socket,id=qmp,server=on,wait=off,path=");
        add_option_path(&socket, machine->qmp_socket);
        add_option(words, "-chardev", &socket);
        add_pair(words, "-mon", "chardev=qmp,mode=control");
    }
    if (machine->waits_for_state) {
        add_pair(words, "-incoming", "fd:0");
    }
}

/* The disk is shared: what a guest writes goes to a file that is unlinked already. */
static void add_devices(struct pw_words *words, const struct pw_machine *machine)
{
    bool is_pc = machine->type == PW_MACHINE_PC;
    if (machine->image) {
        PW_STR_AUTO drive = PW_STR_INIT;
        pw_str_add(&drive, "id=disk,format=raw,if=none,snapshot=on,file=");
        add_option_path(&drive, machine->image->disk);
        add_option(words, "-drive", &drive);
        add_pair(words, "-device",
                 is_pc ? "virtio-blk-pci,drive=disk" : "virtio-blk-device,drive=disk");
    }
    if (machine->network == PW_NETWORK_USER) {
        add_pair(words, "-netdev", "user,id=net");
        /* Without the feature `status` the link is up from the start, so no first packet is lost.
         * The option ROM would boot over the network, and is a file that may be missing. */
        add_pair(words, "-device",
                 is_pc ? "virtio-net-pci,netdev=net,status=off,romfile="
                       : "virtio-net-device,netdev=net,status=off");
    }
}

int pw_machine_qemu(const struct pw_machine *machine, struct pw_words *ret_argv, struct pw_err *err)
{
    if (check_machine(machine, err) != 0) {
        return -1;
    }
    PW_FREE_AUTO char *cmdline = pw_machine_cmdline(machine, true, err);
    if (!cmdline) {
        return -1;
    }
    PW_WORDS_AUTO words = {0};
    add_base(&words, machine);
    add_channels(&words, machine);
    add_devices(&words, machine);
    add_pair(&words, "-kernel", machine->kernel->image);
    add_pair(&words, "-initrd", machine->initrd);
    add_pair(&words, "-append", cmdline);
    if (words.failed) {
        return pw_err_memory(err);
    }
    *ret_argv = words;
    words = (struct pw_words){0};
    return 0;
}

int pw_machine_version(const char *monitor, char **ret_version, struct pw_err *err)
{
    PW_STR_AUTO output = PW_STR_INIT;
    const char *const argv[] = {monitor, "--version", NULL};
    const struct pw_tool_call call = {
        .argv = argv, .timeout_sec = VERSION_TIMEOUT_SEC, .output = &output};
    if (pw_tool_run(&call, err) != 0) {
        if (err) {
            err->cls = PW_ERR_INPUT;
        }
        return pw_err_remedy(err, "name the machine monitor's program with --supervisor");
    }
    char *version = strndup(output.text, strcspn(output.text, "\r\n"));
    if (!version) {
        return pw_err_memory(err);
    }
    *ret_version = version;
    return 0;
}

/* Options are taken in their order: without seccomp QEMU stops at the first. */
bool pw_machine_has_sandbox(const char *monitor)
{
    const char *const argv[] = {monitor, "-sandbox", SANDBOX, "--version", NULL};
    const struct pw_tool_call call = {.argv = argv, .timeout_sec = VERSION_TIMEOUT_SEC};
    return pw_tool_run(&call, NULL) == 0;
}
