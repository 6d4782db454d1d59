#include "wrapper/cli/footprint_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "wrapper/cli/envelope.h"

enum { SHOWN_MAX = 20, CELL_FIELDS = 5, NANO_TIME_BYTES = 48 };

bool pw_foot_wants_json(const struct pw_foot_options *given)
{
    return given->json || pw_envelope_is_used() || strcmp(given->format, "json") == 0;
}

int pw_foot_check_format(const char *text, struct pw_err *err)
{
    static const char *const formats[] = {"text", "markdown", "json"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(text, formats[i]) == 0) {
            return 0;
        }
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of text, markdown, json", text);
}

int pw_foot_print(const struct pw_foot_options *given, const struct pw_document *document,
                  json_t *json)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    if (pw_foot_wants_json(given)) {
        return pw_envelope_print(json);
    }
    json_decref(json);
    bool color = !given->no_color && pw_cli_may_color(STDOUT_FILENO);
    int result = strcmp(given->format, "markdown") == 0
                     ? pw_document_to_markdown(document, &text, &err)
                     : pw_document_to_text(document, color, &text, &err);
    return result == 0 ? pw_cli_print(&text) : pw_cli_fail(&err);
}

/* The session */

int pw_foot_set_error(const struct pw_target *target, enum pw_foot_outcome outcome,
                      struct pw_err *err)
{
    if (outcome == PW_FOOT_DENIED) {
        pw_err_set(err, PW_ERR_INPUT, "process %d is there, but /proc does not show it",
                   target->pids[0]);
        err->sys = EACCES;
        return pw_err_remedy(err, "/proc may be mounted with hidepid: run perfwrap as the "
                                  "process's user, or as root");
    }
    pw_err_set(err, PW_ERR_INPUT, "there is no process %d, or it has ended", target->pids[0]);
    err->sys = ESRCH;
    return -1;
}

/* Words of digits are pids, and so are those that can only be a mistyped one. */
static bool is_name(const char *word)
{
    return word[strspn(word, "0123456789")] != '\0' && *word != '-' && *word != '+';
}

static int find_machine(const char *name, const struct pw_foot_options *given,
                        struct pw_foot_session *session, struct pw_err *err)
{
    PW_STATE_AUTO state = {0};
    if (pw_kept_check_name(name, err) != 0) {
        return pw_err_remedy(err, "TARGET is a pid, or the name of a machine that `perfwrap boot "
                                  "--keep NAME` left running; or give --match REGEX");
    }
    if (pw_state_open(given->state_dir, &state, err) != 0) {
        return -1;
    }
    if (pw_kept_find(&state, name, &session->machine, err) != 0) {
        if (err->sys == ESRCH) {
            pw_err_remedy(err,
                          "`perfwrap boot --keep NAME` leaves a machine running, `boot --list` "
                          "lists them; for another process give its pid, or --match REGEX");
        }
        return -1;
    }
    session->is_machine = true;
    session->target.pids = malloc(sizeof *session->target.pids);
    if (!session->target.pids) {
        return pw_err_memory(err);
    }
    session->target.text = name;
    session->target.pids[0] = session->machine.monitor;
    session->target.count = 1;
    return 0;
}

static int find_target(const struct pw_foot_options *given, const struct pw_parsed *parsed,
                       struct pw_foot_session *session, struct pw_err *err)
{
    const char *word = parsed->operand_count > 0 ? parsed->operands[0] : NULL;
    if (word && !given->match && !given->all && is_name(word)) {
        return find_machine(word, given, session, err);
    }
    return pw_target_resolve(word, given->match, given->all, "/proc", &session->target, err);
}

int pw_foot_session_open(const struct pw_foot_options *given, const struct pw_parsed *parsed,
                         struct pw_foot_session *session, struct pw_err *err)
{
    if (find_target(given, parsed, session, err) != 0 ||
        pw_proc_open("/proc", &session->proc, err) != 0 ||
        pw_footprint_open(session->proc, session->target.pids, session->target.count,
                          &session->footprint, err) != 0) {
        return -1;
    }
    if (session->is_machine) {
        pw_footprint_set_guest(session->footprint, session->machine.monitor,
                               (uint64_t)session->machine.memory_mib << 10);
    }
    clock_gettime(CLOCK_REALTIME, &session->at);
    enum pw_foot_outcome outcome = pw_footprint_look(session->footprint, &session->look);
    if (outcome != PW_FOOT_SEEN) {
        return pw_foot_set_error(&session->target, outcome, err);
    }
    const struct pw_foot_process *first = pw_footprint_process(session->footprint, 0);
    if (first->is_kernel_thread) {
        pw_err_set(err, PW_ERR_INPUT, "process %d is a kernel thread: it has no memory of its own",
                   first->pid);
        err->sys = EOPNOTSUPP;
        return -1;
    }
    return 0;
}

void pw_foot_session_done(struct pw_foot_session *session)
{
    pw_footprint_close(session->footprint);
    pw_proc_close(session->proc);
    pw_target_done(&session->target);
    if (session->is_machine) {
        pw_kept_done(&session->machine);
    }
}

/* JSON */

json_t *pw_foot_time_to_json(struct timespec wall)
{
    struct tm parts = {0};
    char text[NANO_TIME_BYTES];
    gmtime_r(&wall.tv_sec, &parts);
    size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, sizeof text - used, ".%09ldZ", wall.tv_nsec);
    return json_string(text);
}

/* As proc(5) explains the letters. */
static const char *state_name(char state)
{
    switch (state) {
    case 'R': return "running";
    case 'S': return "sleeping";
    case 'D': return "disk_sleep";
    case 'T': return "stopped";
    case 't': return "tracing_stop";
    case 'Z': return "leader_ended"; /* and other threads live on */
    case 'I': return "idle";
    default: return "unknown";
    }
}

static const char *backend_of(const struct pw_foot_session *session)
{
    const char *own = session->is_machine
                          ? json_string_value(json_object_get(session->machine.machine, "backend"))
                          : NULL;
    return own ? own : session->is_machine ? "machine" : "process";
}

void pw_foot_head_to_json(json_t *root, const char *benchmark,
                          const struct pw_foot_session *session, bool *failed)
{
    const struct pw_target *target = &session->target;
    char state = pw_footprint_process(session->footprint, 0)->state;
    json_t *pids = json_array();
    for (size_t i = 0; i < target->count && i < PW_LIMIT_FOOTPRINT_LISTED; i++) {
        pw_json_append(pids, json_integer(target->pids[i]), failed);
    }
    pw_json_put(root, "benchmark", json_string(benchmark), failed);
    pw_json_put(root, "workspace", pw_json_string_or_null(target->text), failed);
    pw_json_put(root, "backend", json_string(backend_of(session)), failed);
    pw_json_put(root, "pid", json_integer(target->pids[0]), failed);
    pw_json_put(root, "pids", pids, failed);
    pw_json_put(root, "state", json_string(state == 'T' || state == 't' ? "stopped" : "running"),
                failed);
}

void pw_foot_values_to_json(json_t *object, const struct pw_value *values, size_t count,
                            json_t *unavailable, bool *failed)
{
    for (size_t f = 0; f < count; f++) {
        const struct pw_foot_field *field = &pw_foot_fields[f];
        pw_json_put(object, field->key, pw_json_number(values[f], field->unit != PW_FOOT_SECONDS),
                    failed);
        if (unavailable && !pw_value_is_present(values[f])) {
            pw_json_put(unavailable, field->key, json_string(pw_absence_name(values[f].state)),
                        failed);
        }
    }
}

static json_t *process_to_json(const struct pw_foot_process *process, bool *failed)
{
    json_t *object = json_object(), *unavailable = json_object();
    pw_json_put(object, "pid", json_integer(process->pid), failed);
    pw_json_put(object, "ppid", json_integer(process->ppid), failed);
    pw_json_put(object, "name", pw_json_string_or_null(process->name), failed);
    pw_json_put(object, "state", json_string(state_name(process->state)), failed);
    pw_foot_values_to_json(object, process->values, PW_FOOT_PROCESS_FIELDS, unavailable, failed);
    pw_json_put(object, "unavailable", unavailable, failed);
    return object;
}

json_t *pw_footprint_to_json(const struct pw_foot_session *session)
{
    const struct pw_foot_look *look = &session->look;
    size_t listed = look->process_count < PW_LIMIT_FOOTPRINT_LISTED ? look->process_count
                                                                    : PW_LIMIT_FOOTPRINT_LISTED;
    bool failed = false;
    json_t *root = json_object(), *unavailable = json_object(), *processes = json_array();
    pw_foot_head_to_json(root, "footprint", session, &failed);
    pw_json_put(root, "at", pw_foot_time_to_json(session->at), &failed);
    pw_json_put(root, "process_count", json_integer((json_int_t)look->process_count), &failed);
    pw_json_put(root, "skipped_processes", json_integer((json_int_t)look->skipped), &failed);
    pw_foot_values_to_json(root, look->totals, PW_FOOT_COUNT, unavailable, &failed);
    pw_json_put(root, "unavailable", unavailable, &failed);
    for (size_t i = 0; i < listed; i++) {
        const struct pw_foot_process *process = pw_footprint_process(session->footprint, i);
        pw_json_append(processes, process_to_json(process, &failed), &failed);
    }
    pw_json_put(root, "processes", processes, &failed);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* The document */

void pw_foot_add_value(struct pw_str *out, enum pw_foot_unit unit, struct pw_value value)
{
    if (!pw_value_is_present(value)) {
        for (const char *c = pw_absence_name(value.state); *c; c++) {
            pw_str_add_char(out, *c == '_' ? ' ' : *c);
        }
    } else if (unit == PW_FOOT_KIB) {
        pw_str_addf(out, "%.2f MiB", value.number / 1024);
    } else if (unit == PW_FOOT_SECONDS) {
        pw_str_addf(out, "%.2f s", value.number);
    } else {
        pw_str_addf(out, "%.0f", value.number);
    }
}

void pw_foot_target_field(struct pw_document *document, const struct pw_foot_session *session)
{
    const struct pw_target *target = &session->target;
    const struct pw_foot_process *first = pw_footprint_process(session->footprint, 0);
    if (session->is_machine) {
        pw_document_field(document, "machine", "%s (%s), %u MiB, monitor %d (%s)", target->text,
                          backend_of(session), session->machine.memory_mib, first->pid,
                          first->name);
    } else if (target->count == 1) {
        pw_document_field(document, "process", "%d (%s)", first->pid, first->name);
    } else {
        pw_document_field(document, "processes", "%zu that match %s", target->count, target->text);
    }
}

/* The processes with most RSS, largest first, at most SHOWN_MAX. Returns their number. */
static size_t find_largest(const struct pw_foot_session *session,
                           const struct pw_foot_process *ret_largest[SHOWN_MAX])
{
    size_t found = 0;
    for (size_t i = 0; i < session->look.process_count; i++) {
        const struct pw_foot_process *process = pw_footprint_process(session->footprint, i);
        double rss = process->values[PW_FOOT_RSS].number;
        size_t place = found < SHOWN_MAX ? found++ : SHOWN_MAX;
        while (place > 0 && ret_largest[place - 1]->values[PW_FOOT_RSS].number < rss) {
            if (place < SHOWN_MAX) {
                ret_largest[place] = ret_largest[place - 1];
            }
            place--;
        }
        if (place < SHOWN_MAX) {
            ret_largest[place] = process;
        }
    }
    return found;
}

static void add_processes(const struct pw_foot_session *session, struct pw_document *document)
{
    static const char *const headers[] = {"process", "name",    "RSS",       "PSS",
                                          "USS",     "threads", "open files"};
    static const enum pw_foot_id shown[CELL_FIELDS] = {PW_FOOT_RSS, PW_FOOT_PSS, PW_FOOT_USS,
                                                       PW_FOOT_THREADS, PW_FOOT_OPEN_FILES};
    size_t count = session->look.process_count;
    const struct pw_foot_process *largest[SHOWN_MAX];
    size_t shown_count = find_largest(session, largest);
    pw_document_table(document, headers, sizeof headers / sizeof *headers, 2);
    for (size_t i = 0; i < shown_count; i++) {
        pw_document_cell(document, "%d", largest[i]->pid);
        pw_document_cell(document, "%s", largest[i]->name);
        for (size_t f = 0; f < CELL_FIELDS; f++) {
            PW_STR_AUTO cell = PW_STR_INIT;
            pw_foot_add_value(&cell, pw_foot_fields[shown[f]].unit, largest[i]->values[shown[f]]);
            pw_document_cell(document, "%s", cell.text);
        }
    }
    if (count > shown_count) {
        pw_document_paragraph(document, "%zu smaller ones are not shown; --json lists up to %d.",
                              count - shown_count, PW_LIMIT_FOOTPRINT_LISTED);
    }
}

void pw_footprint_report(const struct pw_foot_session *session, struct pw_document *document)
{
    const struct pw_foot_look *look = &session->look;
    bool refused = false;
    pw_document_heading(document, 1, "Footprint");
    pw_foot_target_field(document, session);
    pw_document_field(document, "in all", "%zu process%s", look->process_count,
                      look->process_count == 1 ? "" : "es");
    for (size_t f = 0; f < PW_FOOT_COUNT; f++) {
        if (f >= PW_FOOT_PROCESS_FIELDS && look->totals[f].state == PW_ABSENT_NOT_SUPPORTED) {
            continue; /* no machine */
        }
        PW_STR_AUTO text = PW_STR_INIT;
        pw_foot_add_value(&text, pw_foot_fields[f].unit, look->totals[f]);
        pw_document_field(document, pw_foot_fields[f].label, "%s", text.text);
        refused |= look->totals[f].state == PW_ABSENT_NO_PERMISSION;
    }
    if (look->process_count > 1) {
        add_processes(session, document);
    }
    if (refused) {
        pw_document_finding(document, "no permission",
                            "the kernel tells some numbers to the process's own user only",
                            "run perfwrap as that user, or as root");
    }
    if (look->skipped > 0) {
        pw_document_finding(document, "large tree",
                            "more processes than perfwrap follows: the sums are too small", NULL);
    }
}
