#include "wrapper/cli/boot_other.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/document.h"
#include "core/file.h"
#include "core/json.h"
#include "wrapper/boot/base/state.h"
#include "wrapper/boot/kernel.h"
#include "wrapper/boot/machines.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/help.h"
#include "wrapper/run/signals.h"

bool pw_boot_is_other(const struct pw_boot_options *options)
{
    return options->fetch_kernel || options->list || options->stop;
}

int pw_boot_fail(const struct pw_err *err)
{
    struct pw_err interrupted = PW_ERR_INIT;
    PW_FD_AUTO fd = pw_signals_open(&interrupted);
    int sig = fd >= 0 ? pw_signals_read(fd) : 0;
    if (sig == 0) {
        return pw_cli_fail(err);
    }
    bool in_envelope = pw_envelope_is_used();
    pw_err_set(&interrupted, PW_ERR_SYSTEM, "interrupted by signal %d (%s)", sig, strsignal(sig));
    interrupted.sys = EINTR;
    int status = pw_cli_fail(&interrupted);
    return in_envelope ? status : PW_EXIT_SIGNAL + sig;
}

static bool wants_json(const struct pw_boot_options *options)
{
    return options->run.json || pw_envelope_is_used();
}

/* Prints `json` (the reference is taken), or the text. */
static int print(const struct pw_boot_options *options, json_t *json, const struct pw_str *text)
{
    if (wants_json(options)) {
        return pw_envelope_print(json);
    }
    json_decref(json);
    return pw_cli_print(text);
}

static int fetch(const struct pw_boot_options *options, const struct pw_state *state,
                 struct pw_err *err)
{
    PW_GUEST_KERNEL_AUTO kernel = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    bool is_new = false, failed = false;
    if (!options->run.quiet) {
        fputs("perfwrap: looking for the distribution's kernel for virtual machines\n", stderr);
    }
    pw_signals_prepare();
    if (pw_kernel_fetch(state, &kernel, &is_new, err) != 0) {
        return pw_boot_fail(err);
    }
    json_t *json = json_object();
    pw_json_put(json, "guest_kernel", pw_json_string_or_null(kernel.release), &failed);
    pw_json_put(json, "image", pw_json_string_or_null(kernel.image), &failed);
    pw_json_put(json, "sha256", pw_json_string_or_null(kernel.digest), &failed);
    pw_json_put(json, "new", json_boolean(is_new), &failed);
    pw_str_addf(&text, "guest_kernel=%s\nkernel_image=%s\n", kernel.release, kernel.image);
    return print(options, json, &text);
}

static int stop(const struct pw_boot_options *options, const struct pw_state *state,
                struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    bool failed = false;
    if (pw_kept_stop(state, options->stop, err) != 0) {
        return pw_cli_fail(err);
    }
    json_t *json = json_object();
    pw_json_put(json, "stopped", pw_json_string_or_null(options->stop), &failed);
    pw_str_addf(&text, "stopped=%s\n", options->stop);
    return print(options, json, &text);
}

static void describe(const struct pw_kept *kept, json_t *list, struct pw_document *document,
                     bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "name", pw_json_string_or_null(kept->name), failed);
    pw_json_put(object, "pid", json_integer(kept->monitor), failed);
    pw_json_put(object, "started_at", pw_json_string_or_null(kept->started_at), failed);
    pw_json_put(object, "memory_mib", json_integer(kept->memory_mib), failed);
    pw_json_put(object, "machine", json_incref(kept->machine), failed);
    pw_json_append(list, object, failed);
    pw_document_cell(document, "%s", kept->name);
    pw_document_cell(document, "%s", kept->started_at);
    pw_document_cell(document, "%d", kept->monitor);
    pw_document_cell(document, "%u", kept->memory_mib);
}

static int list(const struct pw_boot_options *options, const struct pw_state *state,
                struct pw_err *err)
{
    static const char *const headers[] = {"Machine", "Since", "PID", "MiB"};
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_kept *kept = NULL;
    size_t count = 0;
    bool failed = false;
    if (pw_kept_list(state, &kept, &count, err) != 0) {
        return pw_cli_fail(err);
    }
    json_t *root = json_object(), *machines = json_array();
    pw_document_table(&document, headers, sizeof headers / sizeof *headers, 2);
    for (size_t i = 0; i < count; i++) {
        describe(&kept[i], machines, &document, &failed);
        pw_kept_done(&kept[i]);
    }
    free(kept);
    pw_json_put(root, "machines", machines, &failed);
    bool color = !options->run.no_color && pw_cli_may_color(STDOUT_FILENO);
    if (failed || pw_document_to_text(&document, color, &text, err) != 0) {
        json_decref(root);
        pw_err_memory(err);
        return pw_cli_fail(err);
    }
    return print(options, root, &text);
}

int pw_boot_other(const struct pw_boot_options *options)
{
    PW_STATE_AUTO state = {0};
    struct pw_err err = PW_ERR_INIT;
    if (pw_state_open(options->state_dir, &state, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return options->fetch_kernel ? fetch(options, &state, &err)
           : options->list       ? list(options, &state, &err)
                                 : stop(options, &state, &err);
}
