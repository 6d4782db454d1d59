#include "wrapper/boot/job.h"

#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/guest_proto.h"

/* What QEMU's user network gives a guest. Source: QEMU, "Network emulation", "Using the user mode
 * network stack": the host's loopback is at the gateway's address. */
#define GUEST_ADDRESS "10.0.2.15/24"
#define GATEWAY "10.0.2.2"
#define NAME_SERVER "10.0.2.3"
#define ENDPOINT "http://" GATEWAY ":{endpoint_port}{endpoint_path}"

/* What placeholders may grow to, in all. */
enum { EXPANDED_BYTES = 8192 };

/* Of a longer command the job has no second form. */
enum { ALT_BYTES = 65536 };

static void add_line(struct pw_str *text, const char *key, const char *value)
{
    pw_str_add(text, key);
    pw_str_add(text, value);
    pw_str_add_char(text, '\0');
}

static bool has_name(const char *variable, const char *name)
{
    size_t length = strlen(name);
    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The value of a variable of the image; NULL if it has none, or an empty one. */
static const char *image_value(const struct pw_image *image, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; image && image->environment && image->environment[i]; i++) {
        const char *variable = image->environment[i];
        if (has_name(variable, name)) {
            value = variable[strlen(name) + 1] ? variable + strlen(name) + 1 : NULL;
        }
    }
    return value;
}

/* Set for a guest that reports, unless its image does. */
static const char *const if_unset[][2] = {
    {"OTEL_METRICS_EXPORTER", "otlp"},   {"OTEL_TRACES_EXPORTER", "otlp"},
    {"OTEL_LOGS_EXPORTER", "otlp"},      {"OTEL_BSP_SCHEDULE_DELAY", "500"},
    {"OTEL_BLRP_SCHEDULE_DELAY", "500"}, {"OTEL_METRIC_EXPORT_INTERVAL", "1000"},
};
enum { IF_UNSET = sizeof(if_unset) / sizeof(*if_unset) };

/* Meant for another collector than the guest's; as wrapper/run/environment.c has it. */
static bool is_of_collector(const char *variable)
{
    return has_prefix(variable, "OTEL_EXPORTER_OTLP_") &&
           !has_name(variable, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE") &&
           !has_name(variable, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION");
}

/* Whether something else stands for it, if the guest reports. */
static bool is_replaced(const struct pw_image *image, const char *variable)
{
    static const char *const names[] = {"OTEL_RESOURCE_ATTRIBUTES", "NO_PROXY", "no_proxy",
                                        "TRACEPARENT", "TRACESTATE"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (has_name(variable, names[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < IF_UNSET; i++) {
        if (has_name(variable, if_unset[i][0])) {
            return !image_value(image, if_unset[i][0]);
        }
    }
    /* SDKs refuse one that is longer than the interval. */
    if (has_name(variable, "OTEL_METRIC_EXPORT_TIMEOUT")) {
        return !image_value(image, "OTEL_METRIC_EXPORT_INTERVAL");
    }
    return is_of_collector(variable);
}

/* Of two with one name the later counts. */
static bool comes_again(char *const *variable)
{
    size_t length = strcspn(*variable, "=") + 1;
    for (char *const *other = variable + 1; *other; other++) {
        if (strncmp(*other, *variable, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the user gives a variable of that name: it goes before all but perfwrap's own. */
static bool is_given(const struct pw_job *job, const char *variable)
{
    size_t length = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < job->environment_count; i++) {
        if (strncmp(job->environment[i], variable, length) == 0) {
            return true;
        }
    }
    return false;
}

static int add_image_environment(struct pw_str *text, const struct pw_job *job, bool reports,
                                 struct pw_err *err)
{
    const struct pw_image *image = job->image;
    char *const *first = image ? image->environment : NULL;
    size_t count = 0;
    while (first && count <= PW_LIMIT_IMAGE_VARIABLES && first[count]) {
        count++;
    }
    if (count > PW_LIMIT_IMAGE_VARIABLES) {
        return pw_err_set(err, PW_ERR_INPUT, "the image has more than %d variables",
                          PW_LIMIT_IMAGE_VARIABLES);
    }
    for (char *const *at = first; at && *at; at++) {
        if (**at != '=' && strchr(*at, '=') && !has_prefix(*at, "PERFWRAP_") &&
            !(reports && is_replaced(image, *at)) && !comes_again(at) && !is_given(job, *at)) {
            add_line(text, "env=", *at);
        }
    }
    return 0;
}

/* A proxy could not reach the collector, and some HTTP clients would ask it to. */
static void add_no_proxy(struct pw_str *text, const struct pw_image *image)
{
    const char *upper = image_value(image, "NO_PROXY");
    const char *lower = image_value(image, "no_proxy");
    const char *const names[] = {"NO_PROXY", "no_proxy"};
    const char *const values[] = {upper ? upper : lower, lower ? lower : upper};
    for (size_t i = 0; i < 2; i++) {
        pw_str_addf(text, "env=%s=%s", names[i], values[i] ? values[i] : "");
        if (!values[i] || strcmp(values[i], "*") != 0) {
            pw_str_addf(text, "%s127.0.0.1,localhost," GATEWAY, values[i] ? "," : "");
        }
        pw_str_add_char(text, '\0');
    }
}

/* What else is the same for all workers. */
static void add_constant(struct pw_str *text, const struct pw_job *job, bool reports)
{
    const struct pw_image *image = job->image;
    for (size_t i = 0; reports && i < IF_UNSET; i++) {
        PW_STR_AUTO variable = PW_STR_INIT;
        pw_str_addf(&variable, "%s=%s", if_unset[i][0], if_unset[i][1]);
        if (!image_value(image, if_unset[i][0]) && !is_given(job, variable.text)) {
            add_line(text, "env=", variable.text);
        }
    }
    if (reports && !is_given(job, "OTEL_EXPORTER_OTLP_PROTOCOL=")) {
        add_line(text, "env=OTEL_EXPORTER_OTLP_PROTOCOL=", "http/protobuf");
    }
    if (reports && !is_given(job, "NO_PROXY=") && !is_given(job, "no_proxy=")) {
        add_no_proxy(text, image);
    }
    if (image) {
        add_line(text, "root=", "vda");
        if (image->folder && *image->folder) {
            add_line(text, "cwd=", image->folder);
        }
        if (image->user && *image->user) {
            add_line(text, "user=", image->user);
        }
    }
    if (job->network == PW_NETWORK_USER) {
        add_line(text, "net=", GUEST_ADDRESS "," GATEWAY "," NAME_SERVER);
    }
    if (job->hold) {
        add_line(text, "hold=", "1");
    }
}

/* The image's attributes and ours behind them. They stand where placeholders are replaced: a brace
 * is percent-encoded, which is the same in a value. Source: OpenTelemetry specification, "Resource
 * SDK": W3C Baggage, without properties. */
static void add_resource_attributes(struct pw_str *text, const struct pw_image *image)
{
    const char *inherited = image_value(image, "OTEL_RESOURCE_ATTRIBUTES");
    pw_str_add(text, "env=OTEL_RESOURCE_ATTRIBUTES=");
    for (const char *item = inherited ? inherited : ""; *item; item += *item == ',') {
        size_t length = strcspn(item, ",");
        const char *key = item + strspn(item, " \t");
        bool is_kept = key < item + length && !has_prefix(key, "perfwrap.");
        for (size_t i = 0; is_kept && i < length; i++) {
            pw_str_add(text, item[i] == '{' ? "%7B" : (char[2]){item[i], '\0'});
        }
        pw_str_add(text, is_kept ? "," : "");
        item += length;
    }
    add_line(text, "perfwrap.run.id={run_id},perfwrap.iteration={iteration},",
             "perfwrap.worker={worker_id}");
}

static void add_of_worker(struct pw_str *text, const struct pw_job *job, bool reports)
{
    static const char *const reporting[] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT=" ENDPOINT,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" ENDPOINT "/v1/metrics",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" ENDPOINT "/v1/traces",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=" ENDPOINT "/v1/logs",
        "TRACEPARENT={traceparent}",
    };
    for (size_t i = 0; reports && i < sizeof(reporting) / sizeof(*reporting); i++) {
        if (!is_given(job, reporting[i])) {
            add_line(text, "env=", reporting[i]);
        }
    }
    if (reports && !is_given(job, "OTEL_RESOURCE_ATTRIBUTES=")) {
        add_resource_attributes(text, job->image);
    }
    for (size_t i = 0; i < job->environment_count; i++) {
        if (!has_prefix(job->environment[i], "PERFWRAP_")) {
            add_line(text, "env=", job->environment[i]);
        }
    }
    add_line(text, "env=PERFWRAP_ITERATION=", "{iteration}");
    add_line(text, "env=PERFWRAP_WORKER_ID=", "{worker_id}");
    add_line(text, "clock=", "{unix_ns}");
}

static void add_words(struct pw_str *text, const char *key, char *const *words)
{
    for (; words && *words; words++) {
        add_line(text, key, *words);
    }
}

static int add_command(struct pw_str *text, const struct pw_job *job, struct pw_err *err)
{
    PW_FREE_AUTO char **words = NULL;
    if (!job->exec) {
        return 0;
    }
    int result = pw_split_words(job->exec, &words, job->is_words ? err : NULL);
    if (job->is_words) {
        add_words(text, "arg=", words);
        return result != 0 ? pw_err_prefix(err, "--exec") : 0;
    }
    add_line(text, "arg=", "/bin/sh");
    add_line(text, "arg=", "-c");
    add_line(text, "arg=", job->exec);
    if (strlen(job->exec) <= ALT_BYTES) {
        add_words(text, "alt=", words); /* what only a shell would understand has none */
    }
    return 0;
}

int pw_job_make(const struct pw_job *job, struct pw_str *ret_text, size_t *ret_verbatim,
                struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    const bool reports = job->reports && job->network == PW_NETWORK_USER;
    if (add_command(&text, job, err) != 0 || add_image_environment(&text, job, reports, err) != 0) {
        return -1;
    }
    add_constant(&text, job, reports);
    size_t verbatim = text.length;
    add_of_worker(&text, job, reports);
    if (text.failed) {
        return pw_err_memory(err);
    }
    if (text.length > PW_JOB_BYTES - EXPANDED_BYTES) {
        pw_err_set(err, PW_ERR_USAGE, "the command and its environment are larger than %d KiB",
                   (PW_JOB_BYTES - EXPANDED_BYTES) / 1024);
        return pw_err_remedy(err, "put the command into a file of the image");
    }
    *ret_text = text;
    *ret_verbatim = verbatim;
    text = PW_STR_INIT;
    return 0;
}
