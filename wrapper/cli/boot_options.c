#include "wrapper/cli/boot_options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include "wrapper/boot/machines.h"
#include "wrapper/cli/envelope.h"

_Static_assert(offsetof(struct pw_boot_options, run) == 0,
               "the options of run are filled in place");

enum { GROUP_MACHINE, GROUP_START, GROUP_DENSITY, GROUP_TOOLS, GROUP_STATE, GROUP_OUTPUT };
static const char *const groups[] = {
    [GROUP_MACHINE] = "The machine",        [GROUP_START] = "How it is started",
    [GROUP_DENSITY] = "Machines that stay", [GROUP_TOOLS] = "Programs of others",
    [GROUP_STATE] = "Kernel and cache",     [GROUP_OUTPUT] = "Output for programs",
};

enum { TIMEOUT_SEC_MAX = 86400 };

static int check_size(const char *text, struct pw_err *err)
{
    const char *names[PW_MACHINE_SIZES + 1] = {NULL};
    if (pw_machine_size_find(text)) {
        return 0;
    }
    for (size_t i = 0; i < PW_MACHINE_SIZES; i++) {
        names[i] = pw_machine_sizes[i].name;
    }
    const char *nearest = pw_nearest_name(text, names);
    pw_err_set(err, PW_ERR_USAGE, "`%s` is none of tiny, small, medium, large", text);
    return nearest ? pw_err_remedy(err, "did you mean %s?", nearest) : -1;
}

static int check_one_of(const char *text, const char *const *names, const char *list,
                        struct pw_err *err)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            return 0;
        }
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of %s", text, list);
}

static int check_network(const char *text, struct pw_err *err)
{
    static const char *const names[] = {"isolated", "user", NULL};
    return check_one_of(text, names, "isolated, user", err);
}

static int check_start(const char *text, struct pw_err *err)
{
    static const char *const names[] = {"cold", "snapshot", NULL};
    return check_one_of(text, names, "cold, snapshot", err);
}

static int check_accel(const char *text, struct pw_err *err)
{
    static const char *const names[] = {"auto", "kvm", "tcg", NULL};
    return check_one_of(text, names, "auto, kvm, tcg", err);
}

static int check_variable(const char *text, struct pw_err *err)
{
    size_t length = strcspn(text, "=");
    return length > 0 && text[length] == '='
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is not NAME=VALUE", text);
}

#define OFFSET(field) offsetof(struct pw_boot_options, field)
static const struct pw_option options[] = {
    {.name = "image",
     .type = PW_OPTION_STRING,
     .group = GROUP_MACHINE,
     .argument = "REF",
     .offset = OFFSET(image),
     .profile_key = "image",
     .help = "The root file system: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker://NAME or a bare "
             "NAME (pulled with skopeo), dir:FOLDER or ext4:FILE. Made into an ext4 file once per "
             "digest, and never changed by a machine. Without it: only perfwrap's own init."},
    {.name = "exec",
     .type = PW_OPTION_STRING,
     .group = GROUP_MACHINE,
     .argument = "CMD",
     .initial = "true",
     .offset = OFFSET(exec),
     .profile_key = "exec",
     .help =
         "The command in the guest whose end is the end of the boot, by the image's /bin/sh -c. "
         "Its exit status is the worker's. Without an image: true, false or exit N."},
    {.name = "profile",
     .type = PW_OPTION_STRING,
     .group = GROUP_MACHINE,
     .argument = "tiny|small|medium|large",
     .initial = "tiny",
     .check = check_size,
     .offset = OFFSET(size),
     .profile_key = "machine_profile",
     .help = "Memory, virtual CPUs and disk: tiny 256 MiB, 1, 512 MiB; small 512 MiB, 2, 1 GiB; "
             "medium 2 GiB, 2, 8 GiB; large 4 GiB, 4, 16 GiB."},
    {.name = "network",
     .type = PW_OPTION_STRING,
     .group = GROUP_MACHINE,
     .argument = "isolated|user",
     .initial = "isolated",
     .check = check_network,
     .offset = OFFSET(network),
     .profile_key = "network",
     .help =
         "user: the guest is 10.0.2.15, without privileges on the host, and what it reports over "
         "OTLP reaches its worker's endpoint; it also reaches every port of this host's "
         "loopback and the outside. isolated: no network device."},
    {.name = "env",
     .type = PW_OPTION_LIST,
     .group = GROUP_MACHINE,
     .argument = "NAME=VALUE",
     .check = check_variable,
     .offset = OFFSET(environment),
     .profile_key = "guest_env",
     .names_only = true,
     .help =
         "A variable for the guest's command; the placeholders of --worker-env are replaced in it."},
    {.name = "start",
     .type = PW_OPTION_STRING,
     .group = GROUP_START,
     .argument = "cold|snapshot",
     .initial = "cold",
     .check = check_start,
     .offset = OFFSET(start),
     .profile_key = "boot_start",
     .help =
         "snapshot: each machine begins with the state that one machine had when its kernel was "
         "up and its modules loaded, and gets its own command."},
    {.name = "accel",
     .type = PW_OPTION_STRING,
     .group = GROUP_START,
     .argument = "auto|kvm|tcg",
     .initial = "auto",
     .check = check_accel,
     .offset = OFFSET(accel),
     .profile_key = "accel",
     .help =
         "auto: KVM if a probe shows that it runs guests at the CPU's own speed, else emulation "
         "(TCG). That /dev/kvm opens is not enough."},
    {.name = "timeout",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_START,
     .argument = "SEC",
     .initial = "120",
     .min = 0.01,
     .max = TIMEOUT_SEC_MAX,
     .unit = "s",
     .offset = OFFSET(timeout_sec),
     .profile_key = "boot_timeout_sec",
     .help = "For one boot, from its spawn. A machine that has not answered by then is ended; its "
             "verdict is `timeout`, with the last phase that it reached."},
    {.name = "hold",
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_DENSITY,
     .argument = "N",
     .initial = "0",
     .min = 0,
     .max = PW_LIMIT_MACHINES,
     .offset = OFFSET(hold),
     .profile_key = "hold",
     .help =
         "Leave the last N machines running, idle, while the next ones are measured: how does a "
         "boot fare beside them?"},
    {.name = "keep",
     .type = PW_OPTION_STRING,
     .group = GROUP_DENSITY,
     .argument = "NAME",
     .check = pw_kept_check_name,
     .offset = OFFSET(keep),
     .help = "Leave the one machine of this call running when perfwrap ends, for footprint, steady "
             "and --stop."},
    {.name = "stop",
     .type = PW_OPTION_STRING,
     .group = GROUP_DENSITY,
     .argument = "NAME",
     .check = pw_kept_check_name,
     .offset = OFFSET(stop),
     .help = "Boot nothing: end a machine that was kept."},
    {.name = "list",
     .type = PW_OPTION_FLAG,
     .group = GROUP_DENSITY,
     .offset = OFFSET(list),
     .help = "Boot nothing: list the machines that were kept and still run."},
    {.name = "supervisor",
     .type = PW_OPTION_STRING,
     .group = GROUP_TOOLS,
     .argument = "PATH",
     .offset = OFFSET(supervisor),
     .profile_key = "supervisor",
     .help = "The machine monitor's program. Default: qemu-system-x86_64."},
    {.name = "vmm-cmd",
     .type = PW_OPTION_STRING,
     .group = GROUP_TOOLS,
     .argument = "TEMPLATE",
     .offset = OFFSET(vmm_cmd),
     .profile_key = "vmm_cmd",
     .help =
         "Start another monitor with these words, in which {kernel} {initrd} {disk} {memory_mib} "
         "{vcpus} {cmdline} {net} {job} {config} {worker_dir} are replaced; no shell. The guest "
         "tells its marks on descriptor 3 or on its console, which is standard output."},
    {.name = "vmm-config",
     .type = PW_OPTION_STRING,
     .group = GROUP_TOOLS,
     .argument = "FILE",
     .offset = OFFSET(vmm_config),
     .profile_key = "vmm_config",
     .help =
         "A template with the same placeholders, written for each machine: {config} is its path."},
    {.name = "mke2fs",
     .type = PW_OPTION_STRING,
     .group = GROUP_TOOLS,
     .argument = "PATH",
     .offset = OFFSET(mke2fs),
     .help =
         "The program that makes the images' file systems. Default: from PATH, /usr/sbin, /sbin."},
    {.name = "kernel",
     .type = PW_OPTION_STRING,
     .group = GROUP_STATE,
     .argument = "PATH",
     .offset = OFFSET(kernel),
     .profile_key = "guest_kernel",
     .help =
         "The guest's kernel: vmlinux or vmlinuz. Default: the newest that --fetch-kernel got."},
    {.name = "fetch-kernel",
     .type = PW_OPTION_FLAG,
     .group = GROUP_STATE,
     .offset = OFFSET(fetch_kernel),
     .help = "Boot nothing: get the distribution's kernel for virtual machines from its packages, "
             "into the state folder, without installing it."},
    {.name = "state-dir",
     .type = PW_OPTION_STRING,
     .group = GROUP_STATE,
     .argument = "DIR",
     .offset = OFFSET(state_dir),
     .help = "Where kernels, images, snapshots and the list of kept machines are. Default: "
             "$XDG_STATE_HOME/perfwrap, or ~/.local/state/perfwrap."},
    {.name = "mode",
     .type = PW_OPTION_STRING,
     .group = GROUP_OUTPUT,
     .argument = "plain|ax",
     .initial = "plain",
     .check = pw_envelope_check_mode,
     .offset = OFFSET(mode),
     .help = "ax: exactly one JSON document on standard output whatever happens, with `ok` and "
             "`result` or `error`, and exit status 1 on any error. May also stand before the "
             "subcommand, as --json may."},
    {.name = "help",
     .letter = 'h',
     .type = PW_OPTION_FLAG,
     .group = GROUP_OUTPUT,
     .stops = true,
     .offset = OFFSET(help),
     .help = "Show this help."},
};
const struct pw_option_set pw_boot_option_set = {.options = options,
                                                 .count = sizeof options / sizeof *options,
                                                 .groups = groups,
                                                 .group_count = sizeof groups / sizeof *groups,
                                                 .also = &pw_run_option_set};

/* Options of run that speak of a command on this host. */
static int refuse(const struct pw_parsed *parsed, struct pw_err *err)
{
    static const struct pw_refused_option refused[] = {
        {"cmd", "say with --exec what the guest runs"},
        {"shell", "say with --exec what the guest runs"},
        {"timeout-sec", "use --timeout"},
        {"until", "a boot ends with the guest's command: --exec"},
        {"output", "the console is read for the guest's marks"},
        {"input", "the guest's command reads nothing"},
        {"agent", "give the agent its settings in the image, or with --env"},
        {"agent-config", "give the agent its settings in the image, or with --env"},
        {"otel-env", "use --env"},
        {"worker-env", "use --env"},
        {"worker-file", "put files into the image"},
        {"keep-orphans", "use --keep"},
        {"extend-to", "say with --iterations how many are measured"},
        {"version", "perfwrap --version"},
    };
    return pw_run_refuse(parsed, refused, sizeof refused / sizeof *refused, "boot", err);
}

static int refuse_pairs(const struct pw_boot_options *given, struct pw_err *err)
{
    const struct pw_run_options *run = &given->run;
    bool is_single =
        run->iterations == 1 && run->concurrency == 1 && run->warmup == 0 && given->hold == 0;
    if (given->keep && !is_single) {
        pw_err_set(err, PW_ERR_USAGE, "--keep is for one machine");
        return pw_err_remedy(err, "leave out --iterations, --concurrency, --warmup and --hold, or "
                                  "use --hold alone");
    }
    if (given->vmm_cmd && strcmp(given->start, "snapshot") == 0) {
        pw_err_set(err, PW_ERR_USAGE, "--start snapshot works with QEMU only");
        return pw_err_remedy(err, "leave out --vmm-cmd, or use --start cold");
    }
    if (given->vmm_cmd && given->supervisor) {
        pw_err_set(err, PW_ERR_USAGE,
                   "--supervisor names QEMU's program, --vmm-cmd another monitor");
        return pw_err_remedy(err, "give one of them");
    }
    if (given->vmm_config && !given->vmm_cmd) {
        pw_err_set(err, PW_ERR_USAGE, "--vmm-config without --vmm-cmd");
        return pw_err_remedy(err, "name the monitor with --vmm-cmd");
    }
    if (given->fetch_kernel + given->list + (given->stop != NULL) > 1) {
        return pw_err_set(err, PW_ERR_USAGE,
                          "--fetch-kernel, --list and --stop exclude each other");
    }
    return 0;
}

int pw_boot_options_complete(struct pw_boot_options *given, const struct pw_parsed *parsed,
                             struct pw_err *err)
{
    struct pw_run_options *run = &given->run;
    if (refuse(parsed, err) != 0) {
        return -1;
    }
    if (!pw_run_is_given(parsed, "iterations") && isnan(run->max_time_sec) &&
        isnan(run->until_ci_pct)) {
        run->iterations = 1;
    }
    if (!pw_run_is_given(parsed, "warmup")) {
        run->warmup = 0;
    }
    if (!run->profile_name) {
        run->profile_name = "boot";
    }
    run->timeout_sec = given->timeout_sec;
    run->output = "tail";
    return refuse_pairs(given, err);
}
