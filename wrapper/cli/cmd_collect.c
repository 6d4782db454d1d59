#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "collector/collector.h"
#include "collector/transcode.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "exporters/report.h"
#include "wrapper/cli/command.h"
#include "wrapper/run/signals.h"

/* `perfwrap collect`: the collector by itself. */

struct collect_options {
    const char *listen, *out, *bearer_token;
    double duration_sec;
    unsigned max_body_mb;
    bool json, quiet, help;
};

enum { SECONDS_MAX = 31536000 };

#define FIELD(name) .offset = offsetof(struct collect_options, name)
static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "listen",
     .type = PW_OPTION_STRING,
     .argument = "[ADDRESS][:PORT]",
     .initial = "127.0.0.1:4318",
     FIELD(listen),
     .help = "Where to listen. :0 takes any free port. An address other than loopback needs "
             "--bearer-token."},
    {.name = "bearer-token",
     .type = PW_OPTION_STRING,
     .argument = "TOKEN",
     FIELD(bearer_token),
     .help = "Answer 401 to requests without `Authorization: Bearer TOKEN`."},
    {.name = "duration-sec",
     .type = PW_OPTION_NUMBER,
     .argument = "SEC",
     .min = 0.001,
     .max = SECONDS_MAX,
     .unit = "s",
     FIELD(duration_sec),
     .help = "End after this time. Without it: on SIGINT or SIGTERM."},
    {.name = "out",
     .type = PW_OPTION_STRING,
     .argument = "FILE",
     FIELD(out),
     .help = "Append each request to FILE as one line of OTLP/JSON, whatever its encoding was."},
    {.name = "max-body-mb",
     .type = PW_OPTION_UNSIGNED,
     .argument = "N",
     .initial = "64",
     .min = 1,
     .max = PW_LIMIT_OTLP_BODY_BYTES >> 20,
     .unit = "MiB",
     FIELD(max_body_mb),
     .help = "Largest request, before and after decompression; a larger one is answered 413."},
    {.name = "json",
     .type = PW_OPTION_FLAG,
     FIELD(json),
     .help = "Print the summary at the end as JSON, and nothing else on standard output."},
    {.name = "quiet",
     .letter = 'q',
     .type = PW_OPTION_FLAG,
     FIELD(quiet),
     .help = "Do not print a line for each request."},
    PW_OPTION_HELP(collect_options),
};
const struct pw_option_set pw_collect_option_set = {.options = options,
                                                    .count = sizeof options / sizeof *options,
                                                    .groups = groups,
                                                    .group_count = 1};

/* What the decoder's thread writes to. The first failure ends the call; nothing after it is
 * stored. */
struct store {
    const char *path;
    int fd; /* -1: requests are not stored */
    bool announce;
    int wake_fd; /* written to when storing failed */
    struct pw_str line;
    pthread_mutex_t lock; /* of `err` */
    struct pw_err err;
};

static void keep_failure(struct store *store, int sys)
{
    pthread_mutex_lock(&store->lock);
    pw_err_system(&store->err, sys, "write `%s`", store->path);
    pw_err_remedy(&store->err, "make room, or name another file with --out; what was written is "
                               "whole up to the last line but one");
    pthread_mutex_unlock(&store->lock);
    close(store->fd);
    store->fd = -1;
    ssize_t ignored = write(store->wake_fd, "!", 1);
    (void)ignored;
}

/* Called for each request that was accepted, on the decoder's thread. */
static void take_payload(void *context, const struct pw_payload *payload)
{
    struct store *store = context;
    if (store->announce) {
        struct timespec received = {.tv_sec = payload->received_unix_ns / PW_NS_PER_SEC,
                                    .tv_nsec = payload->received_unix_ns % PW_NS_PER_SEC};
        char time[PW_RFC3339_MAX];
        pw_clock_format_rfc3339(received, time);
        fprintf(stderr, "%s %s %s %llu bytes\n", time, pw_signal_name(payload->signal),
                payload->was_json ? "json" : "protobuf", (unsigned long long)payload->bytes);
    }
    if (store->fd < 0) {
        return;
    }
    pw_str_clear(&store->line);
    pw_transcode_to_json(payload->request, &store->line);
    pw_str_add_char(&store->line, '\n');
    if (store->line.failed) {
        keep_failure(store, ENOMEM);
    } else if (pw_fd_write_all(store->fd, store->line.text, store->line.length) != 0) {
        keep_failure(store, errno);
    }
}

static int open_store(const struct collect_options *given, int wake_fd, struct store *store,
                      struct pw_err *err)
{
    *store = (struct store){.path = given->out,
                            .fd = -1,
                            .announce = !given->quiet && !given->json,
                            .wake_fd = wake_fd,
                            .line = PW_STR_INIT,
                            .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!given->out) {
        return 0;
    }
    store->fd = open(given->out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (store->fd < 0) {
        pw_err_system(err, errno, "open `%s`", given->out);
        return pw_err_remedy(err, "name a writable file with --out");
    }
    return 0;
}

/* Until a signal, the end of the time, or a failure to store; a signal is the normal end. */
static void wait_for_end(double duration_sec, int signal_fd, int failure_fd)
{
    struct pollfd ends[] = {{.fd = signal_fd, .events = POLLIN},
                            {.fd = failure_fd, .events = POLLIN}};
    int64_t until_ns =
        isnan(duration_sec) ? INT64_MAX : pw_clock_now_ns() + pw_ms_to_ns(duration_sec * 1e3);
    for (;;) {
        int64_t left_ms = (until_ns - pw_clock_now_ns()) / PW_NS_PER_MS + 1;
        if (until_ns != INT64_MAX && left_ms <= 0) {
            return;
        }
        int timeout = until_ns == INT64_MAX ? -1 : (int)(left_ms > 1000000 ? 1000000 : left_ms);
        if (poll(ends, 2, timeout) > 0) {
            return;
        }
    }
}

static json_t *document_of(const struct pw_telemetry *telemetry, const struct pw_strays *strays,
                           struct pw_err *err)
{
    bool failed = false;
    json_t *root = json_object();
    pw_json_put(root, "telemetry", pw_telemetry_counts_to_json(telemetry, &failed), &failed);
    pw_json_put(root, "strays", pw_strays_to_json(strays, &failed), &failed);
    pw_json_put(root, "otel_metrics", pw_telemetry_metrics_to_json(telemetry, true, &failed),
                &failed);
    pw_json_put(root, "otel_actions", pw_telemetry_actions_to_json(telemetry, &failed), &failed);
    pw_json_put(root, "otel_spans", pw_telemetry_spans_to_json(telemetry, &failed), &failed);
    if (failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return root;
}

static int print_end(const struct collect_options *given, const struct pw_telemetry *telemetry,
                     const struct pw_strays *strays)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    json_t *root = document_of(telemetry, strays, &err);
    if (!root) {
        return pw_cli_fail(&err);
    }
    if (given->json) {
        PW_FREE_AUTO char *dumped = pw_json_dump(root, &err);
        pw_str_add(&text, dumped ? dumped : "");
    } else {
        PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
        pw_report_telemetry(root, &document);
        pw_document_to_text(&document, pw_cli_may_color(STDOUT_FILENO), &text, &err);
    }
    json_decref(root);
    return pw_err_is_set(&err) ? pw_cli_fail(&err) : pw_cli_print(&text);
}

/* With everything open: listens, waits, and tells what came. */
static int collect(const struct collect_options *given, const struct pw_classifier *classifier,
                   struct store *store, const int ends[2], struct pw_err *err)
{
    struct pw_collector *collector = NULL;
    struct pw_endpoint *endpoint = NULL;
    struct pw_telemetry telemetry = {0};
    struct pw_strays strays = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct pw_collector_options listening = {.listen = given->listen,
                                                   .bearer_token = given->bearer_token,
                                                   .body_limit = (size_t)given->max_body_mb << 20,
                                                   .classifier = classifier,
                                                   .tap = take_payload,
                                                   .tap_context = store};
    const struct pw_endpoint_options open_to_all = {
        .is_public = true, .since_unix_ns = now.tv_sec * PW_NS_PER_SEC + now.tv_nsec};
    int result = pw_collector_start(&listening, &collector, err);
    if (result == 0) {
        result = pw_endpoint_open(collector, &open_to_all, &endpoint, err);
    }
    if (result == 0) {
        fprintf(stderr, "perfwrap: listening on %s\n", pw_endpoint_url(endpoint));
        wait_for_end(given->duration_sec, ends[0], ends[1]);
        pw_endpoints_flush(collector, &endpoint, 1, 0);
        pw_collector_strays(collector, &strays);
        result = pw_endpoint_close(endpoint, &telemetry, err);
    }
    pw_collector_stop(collector);
    if (result != 0) {
        return pw_cli_fail(err);
    }
    int status = print_end(given, &telemetry, &strays);
    pw_telemetry_done(&telemetry);
    return pw_err_is_set(&store->err) ? pw_cli_fail(&store->err) : status;
}

int pw_cmd_collect(const struct pw_command *command, int argc, char *const *argv)
{
    struct collect_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    struct pw_classifier *classifier = NULL;
    struct store store;
    int status, wake[2];
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    pw_signals_prepare();
    int signal_fd = pw_signals_open(&err);
    if (signal_fd < 0) {
        return pw_cli_fail(&err);
    }
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        pw_err_system(&err, errno, "create a pipe");
        close(signal_fd);
        return pw_cli_fail(&err);
    }
    if (open_store(&given, wake[1], &store, &err) != 0 ||
        pw_classifier_new(&pw_classifier_defaults, &classifier, &err) != 0) {
        status = pw_cli_fail(&err);
    } else {
        status = collect(&given, classifier, &store, (int[]){signal_fd, wake[0]}, &err);
    }
    pw_classifier_free(classifier);
    pw_fd_done(&store.fd);
    pw_str_done(&store.line);
    close(wake[0]);
    close(wake[1]);
    close(signal_fd);
    return status;
}
