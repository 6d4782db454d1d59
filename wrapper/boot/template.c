/* Command lines and configuration files of monitors other than QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/guest_proto.h"
#include "wrapper/boot/initrd.h"
#include "wrapper/boot/machine.h"

#define DISK_NAME "disk.ext4"
#define INITRD_NAME "initrd"
#define JOB_NAME "job"
#define CONFIG_NAME "config.json"

enum placeholder { KERNEL, INITRD, DISK, MEMORY_MIB, VCPUS, CMDLINE, NET, JOB, CONFIG };

/* The first ones are replaced here, in the order of the enum; those behind by wrapper/run. */
static const char *const placeholder_names[] = {
    "kernel",          "initrd",        "disk",        "memory_mib",
    "vcpus",           "cmdline",       "net",         "job",
    "config",          "worker_dir",    "run_dir",     "run_id",
    "worker_id",       "iteration",     "endpoint",    "metrics_endpoint",
    "traces_endpoint", "logs_endpoint", "traceparent", "endpoint_port",
    "endpoint_path",   "unix_ns",       NULL};

struct writer {
    const struct pw_machine *machine;
    const char *cmdline;
    bool escapes; /* for strings of JSON */
    struct pw_str *out;
};

/* Length of the name if `at`, which is a `{`, begins a placeholder, else 0. Source:
 * wrapper/run/outfit.h, which takes other braces as they are. */
static size_t name_length(const char *at)
{
    size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
    return at[1 + length] == '}' ? length : 0;
}

/* Its index in placeholder_names, or that of their end. */
static size_t find_placeholder(const char *name, size_t length)
{
    size_t i = 0;
    while (placeholder_names[i] && (strlen(placeholder_names[i]) != length ||
                                    strncmp(placeholder_names[i], name, length) != 0)) {
        i++;
    }
    return i;
}

static int fail_unknown(const char *name, size_t length, struct pw_err *err)
{
    PW_FREE_AUTO char *word = strndup(name, length);
    const char *nearest = word ? pw_nearest_name(word, placeholder_names) : NULL;
    pw_err_set(err, PW_ERR_USAGE, "{%.*s} is no placeholder", (int)(length < 64 ? length : 64),
               name);
    if (nearest) {
        return pw_err_remedy(err, "write {%s}", nearest);
    }
    return pw_err_remedy(err, "there are {kernel} {initrd} {disk} {memory_mib} {vcpus} {cmdline} "
                              "{net} {job} {config} {worker_dir}");
}

static void add_value(const struct writer *writer, const char *value)
{
    if (!writer->escapes) {
        pw_str_add(writer->out, value);
        return;
    }
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c < ' ') {
            pw_str_addf(writer->out, "\\u%04x", c);
        } else {
            pw_str_add(writer->out, c == '"' || c == '\\' ? "\\" : "");
            pw_str_add_char(writer->out, (char)c);
        }
    }
}

static int add_placeholder(const struct writer *writer, size_t placeholder, struct pw_err *err)
{
    const struct pw_machine *machine = writer->machine;
    switch (placeholder) {
    case KERNEL: add_value(writer, machine->kernel->image); break;
    case INITRD: pw_str_add(writer->out, "{worker_dir}/" INITRD_NAME); break;
    case DISK:
        if (!machine->image) {
            pw_err_set(err, PW_ERR_USAGE,
                       "{disk} stands for the disk of an image, and none is "
                       "given");
            return pw_err_remedy(err, "name one with --image, or leave {disk} out");
        }
        pw_str_add(writer->out, "{worker_dir}/" DISK_NAME);
        break;
    case MEMORY_MIB: pw_str_addf(writer->out, "%u", machine->size->memory_mib); break;
    case VCPUS: pw_str_addf(writer->out, "%u", machine->size->vcpus); break;
    case CMDLINE: add_value(writer, writer->cmdline); break;
    case NET: add_value(writer, machine->network == PW_NETWORK_USER ? "user" : "isolated"); break;
    case JOB: pw_str_add(writer->out, "{worker_dir}/" JOB_NAME); break;
    case CONFIG: pw_str_add(writer->out, "{worker_dir}/" CONFIG_NAME); break;
    default: pw_str_addf(writer->out, "{%s}", placeholder_names[placeholder]); break;
    }
    return 0;
}

static int expand(const struct writer *writer, const char *text, struct pw_err *err)
{
    while (*text) {
        size_t plain = strcspn(text, "{");
        pw_str_add_bytes(writer->out, text, plain);
        text += plain;
        if (!*text) {
            break;
        }
        size_t length = name_length(text);
        if (length == 0) {
            pw_str_add_char(writer->out, *text++);
            continue;
        }
        size_t found = find_placeholder(text + 1, length);
        if (!placeholder_names[found]) {
            return fail_unknown(text + 1, length, err);
        }
        if (add_placeholder(writer, found, err) != 0) {
            return -1;
        }
        text += length + 2;
    }
    return writer->out->failed ? pw_err_memory(err) : 0;
}

int pw_machine_template(const struct pw_machine *machine, const char *template,
                        struct pw_words *ret_argv, struct pw_err *err)
{
    PW_FREE_AUTO char **parts = NULL;
    PW_FREE_AUTO char *cmdline = pw_machine_cmdline(machine, false, err);
    PW_WORDS_AUTO words = {0};
    if (!cmdline || pw_split_words(template, &parts, err) != 0 || !parts) {
        return -1;
    }
    for (size_t i = 0; parts[i]; i++) {
        PW_STR_AUTO word = PW_STR_INIT;
        const struct writer writer = {.machine = machine, .cmdline = cmdline, .out = &word};
        if (expand(&writer, parts[i], err) != 0) {
            return -1;
        }
        pw_words_addf(&words, "%s", word.text);
    }
    if (words.failed) {
        return pw_err_memory(err);
    }
    *ret_argv = words;
    words = (struct pw_words){0};
    return 0;
}

int pw_machine_config(const struct pw_machine *machine, const char *template,
                      struct pw_str *ret_text, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_FREE_AUTO char *cmdline = pw_machine_cmdline(machine, false, err);
    const struct writer writer = {
        .machine = machine,
        .cmdline = cmdline,
        .escapes = template[strspn(template, " \t\r\n")] == '{',
        .out = &text,
    };
    if (!cmdline || expand(&writer, template, err) != 0) {
        return -1;
    }
    *ret_text = text;
    text = PW_STR_INIT;
    return 0;
}

void pw_machine_find_uses(const char *template, struct pw_machine_uses *uses)
{
    for (const char *at = strchr(template, '{'); at; at = strchr(at + 1, '{')) {
        size_t found = find_placeholder(at + 1, name_length(at));
        uses->disk = uses->disk || found == DISK;
        uses->initrd = uses->initrd || found == INITRD;
        uses->job = uses->job || found == JOB;
        uses->config = uses->config || found == CONFIG;
    }
}

/* The shared first file system, and the worker's job behind it. */
static int make_initrd(const char *shared, const char *worker_dir, struct pw_err *err)
{
    size_t size = 0;
    PW_FREE_AUTO char *job = NULL;
    PW_FREE_AUTO char *job_path = pw_path_join(worker_dir, JOB_NAME, err);
    PW_FREE_AUTO char *path = pw_path_join(worker_dir, INITRD_NAME, err);
    if (!job_path || !path || pw_file_read(job_path, PW_JOB_BYTES, &job, &size, err) != 0 ||
        pw_file_clone(shared, path, NULL, err) != 0) {
        return -1;
    }
    PW_STR_AUTO archive = PW_STR_INIT;
    pw_initrd_add_job(&archive, job, size);
    if (archive.failed) {
        return pw_err_memory(err);
    }
    PW_FD_AUTO fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || pw_fd_write_all(fd, archive.text, archive.length) != 0) {
        return pw_err_system(err, errno, "write `%s`", path);
    }
    return 0;
}

int pw_machine_prepare_worker(const struct pw_machine *machine, const struct pw_machine_uses *uses,
                              const char *worker_dir, struct pw_clone *ret_clone,
                              struct pw_err *err)
{
    struct pw_clone clone = {0};
    if (uses->disk && machine->image) {
        PW_FREE_AUTO char *disk = pw_path_join(worker_dir, DISK_NAME, err);
        if (!disk || pw_file_clone(machine->image->disk, disk, &clone, err) != 0) {
            return -1;
        }
    }
    if (uses->initrd && make_initrd(machine->initrd, worker_dir, err) != 0) {
        return -1;
    }
    *ret_clone = clone;
    return 0;
}
