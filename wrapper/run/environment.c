#include "wrapper/run/environment.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "core/str.h"
#include "wrapper/run/outfit.h"

/* An environment that is being made. Running out of memory is sticky. */
struct builder {
    char **items; /* NULL-terminated */
    size_t count;
    bool failed;
};

/* Takes `text`. */
static void add(struct builder *builder, char *text)
{
    char **larger = text ? reallocarray(builder->items, builder->count + 2, sizeof *larger) : NULL;
    if (!larger) {
        builder->failed = true;
        free(text);
        return;
    }
    builder->items = larger;
    larger[builder->count++] = text;
    larger[builder->count] = NULL;
}

struct setting {
    const char *name, *value;
};

static bool is_named(const char *variable, const char *name, size_t length)
{
    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

/* The value of a variable, NULL if it is not set or empty: for OpenTelemetry that is the same. */
static const char *get(const struct builder *builder, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < builder->count; i++)
        if (is_named(builder->items[i], name, length))
            return builder->items[i][length + 1] ? builder->items[i] + length + 1 : NULL;
    return NULL;
}

static void unset_if(struct builder *builder,
                     bool (*is_meant)(const char *variable, const char *name), const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < builder->count; i++) {
        if (is_meant(builder->items[i], name))
            free(builder->items[i]);
        else
            builder->items[kept++] = builder->items[i];
    }
    builder->count = kept;
    if (builder->items)
        builder->items[kept] = NULL;
}

static bool has_name(const char *variable, const char *name)
{
    return is_named(variable, name, strlen(name));
}

static void unset(struct builder *builder, const char *name)
{
    unset_if(builder, has_name, name);
}

static void set(struct builder *builder, const char *name, const char *value)
{
    char *text;
    unset(builder, name);
    add(builder, asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text);
}

/* Sets it to what a pw_str holds. */
static void set_text(struct builder *builder, const char *name, const struct pw_str *value)
{
    builder->failed |= value->failed;
    set(builder, name, value->text);
}

static void set_expanded(struct builder *builder, const char *name, const char *value,
                         const struct pw_worker_facts *facts)
{
    PW_STR_AUTO expanded = PW_STR_INIT;
    pw_outfit_expand(value, strlen(value), facts, &expanded);
    set_text(builder, name, &expanded);
}

static void inherit(struct builder *builder)
{
    for (size_t i = 0; environ && environ[i]; i++)
        add(builder, strdup(environ[i]));
}

/* Meant for another collector than the one that the worker is given. */
static bool is_of_collector(const char *variable, const char *prefix)
{
    static const char *const kept[] = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                                       "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (has_name(variable, kept[i]))
            return false;
    return strncmp(variable, prefix, strlen(prefix)) == 0;
}

/* Percent-encodes all but the unreserved characters of RFC 3986. */
static void add_encoded(struct pw_str *out, const char *text)
{
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            pw_str_add_char(out, *text);
        else
            pw_str_addf(out, "%%%02X", (unsigned char)*text);
    }
}

/* The inherited attributes and ours behind them. Those of a perfwrap around this one are replaced:
 * which of two with one name counts is not specified. */
static void set_resource_attributes(struct builder *builder, const struct pw_worker_facts *facts)
{
    static const char name[] = "OTEL_RESOURCE_ATTRIBUTES", own[] = "perfwrap.";
    const char *inherited = get(builder, name);
    PW_STR_AUTO value = PW_STR_INIT;
    for (const char *item = inherited ? inherited : ""; *item; item += *item == ',') {
        size_t length = strcspn(item, ",");
        const char *key = item + strspn(item, " \t");
        if (key < item + length && strncmp(key, own, strlen(own)) != 0) {
            pw_str_add_bytes(&value, item, length);
            pw_str_add_char(&value, ',');
        }
        item += length;
    }
    if (facts->run_id) {
        pw_str_add(&value, "perfwrap.run.id=");
        add_encoded(&value, facts->run_id);
        pw_str_add_char(&value, ',');
    }
    pw_str_addf(&value, "perfwrap.iteration=%u,perfwrap.worker=%u", facts->iteration,
                facts->worker_id);
    set_text(builder, name, &value);
}

/* Whether `entry` is in the comma-separated list, blanks aside. */
static bool lists(const char *list, const char *entry)
{
    size_t wanted = strlen(entry);
    for (; *list; list += *list == ',') {
        list += strspn(list, " \t");
        size_t length = strcspn(list, ","), trimmed = length;
        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == wanted && strncasecmp(list, entry, wanted) == 0)
            return true;
        list += length;
    }
    return false;
}

/* The host of an http URL, without the brackets of an IPv6 address. */
static void add_host(struct pw_str *out, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    if (*host == '[')
        pw_str_add_bytes(out, host + 1, strcspn(host + 1, "]"));
    else
        pw_str_add_bytes(out, host, strcspn(host, ":/"));
}

static void add_no_proxy(struct pw_str *out, const char *inherited, const char *const *hosts,
                         size_t count)
{
    pw_str_add(out, inherited ? inherited : "");
    for (size_t i = 0; i < count && strcmp(out->text, "*") != 0; i++)
        if (!lists(out->text, hosts[i]))
            pw_str_addf(out, "%s%s", out->length ? "," : "", hosts[i]);
}

/* A proxy could not reach a collector on loopback, and some HTTP clients would ask it to. */
static void set_no_proxy(struct builder *builder, const struct pw_worker_facts *facts)
{
    const char *upper = get(builder, "NO_PROXY"), *lower = get(builder, "no_proxy");
    PW_STR_AUTO host = PW_STR_INIT;
    PW_STR_AUTO upper_value = PW_STR_INIT;
    PW_STR_AUTO lower_value = PW_STR_INIT;
    add_host(&host, facts->endpoint);
    const char *const hosts[] = {"127.0.0.1", "localhost", host.text};
    const size_t count = sizeof hosts / sizeof *hosts;
    add_no_proxy(&upper_value, upper ? upper : lower, hosts, count);
    add_no_proxy(&lower_value, lower ? lower : upper, hosts, count);
    builder->failed |= host.failed;
    set_text(builder, "NO_PROXY", &upper_value);
    set_text(builder, "no_proxy", &lower_value);
}

/* Where the worker reports to, and that it does. */
static void set_reporting(struct builder *builder, const struct pw_plan *plan,
                          const struct pw_worker_facts *facts)
{
    static const struct setting always[] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "{endpoint}"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "{metrics_endpoint}"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "{traces_endpoint}"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "{logs_endpoint}"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
    };
    static const struct setting if_unset[] = {
        {"OTEL_METRICS_EXPORTER", "otlp"},   {"OTEL_TRACES_EXPORTER", "otlp"},
        {"OTEL_LOGS_EXPORTER", "otlp"},      {"OTEL_BSP_SCHEDULE_DELAY", "500"},
        {"OTEL_BLRP_SCHEDULE_DELAY", "500"},
    };
    if (!get(builder, "OTEL_METRIC_EXPORT_INTERVAL")) {
        set(builder, "OTEL_METRIC_EXPORT_INTERVAL", "1000");
        unset(builder, "OTEL_METRIC_EXPORT_TIMEOUT"); /* SDKs refuse one that is longer */
    }
    unset_if(builder, is_of_collector, "OTEL_EXPORTER_OTLP_");
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        set_expanded(builder, always[i].name, always[i].value, facts);
    for (size_t i = 0; i < sizeof if_unset / sizeof *if_unset; i++)
        if (!get(builder, if_unset[i].name))
            set(builder, if_unset[i].name, if_unset[i].value);
    if (facts->bearer_token) {
        PW_STR_AUTO header = PW_STR_INIT;
        pw_str_add(&header, "Authorization=Bearer%20");
        add_encoded(&header, facts->bearer_token);
        set_text(builder, "OTEL_EXPORTER_OTLP_HEADERS", &header);
    }
    set_resource_attributes(builder, facts);
    if (facts->trace_id && facts->span_id) {
        set_expanded(builder, "TRACEPARENT", "{traceparent}", facts);
        unset(builder, "TRACESTATE"); /* belongs to the trace that was inherited */
    }
    if (plan->otlp_mode == PW_OTLP_AUTO)
        set_no_proxy(builder, facts);
}

static void set_outfit(struct builder *builder, const struct pw_outfit *outfit,
                       const struct pw_worker_facts *facts)
{
    for (size_t i = 0; outfit && i < outfit->variable_count; i++) {
        const char *variable = outfit->variables[i];
        const char *value = strchr(variable, '=') + 1;
        char *name = strndup(variable, (size_t)(value - 1 - variable));
        if (name)
            set_expanded(builder, name, value, facts);
        builder->failed |= !name;
        free(name);
    }
}

static void set_own(struct builder *builder, const struct pw_plan *plan,
                    const struct pw_worker_facts *facts)
{
    static const struct {
        const char *name, *value;
        bool of_hooks;
    } own[] = {
        {"PERFWRAP_ITERATION", "{iteration}", true},
        {"PERFWRAP_WORKER_ID", "{worker_id}", false},
        {"PERFWRAP_RUN_DIR", "{run_dir}", true},
        {"PERFWRAP_WORKER_DIR", "{worker_dir}", false},
    };
    unset(builder, "PERFWRAP_MARK_FD");
    if (facts->worker_id > 0 && plan->marks && pw_marks_hear(plan->marks, PW_MARK_FD3))
        set(builder, "PERFWRAP_MARK_FD", "3");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        unset(builder, own[i].name);
        if (facts->worker_id > 0 || own[i].of_hooks)
            set_expanded(builder, own[i].name, own[i].value, facts);
    }
}

char **pw_environment_new(const struct pw_plan *plan, const struct pw_worker_facts *facts,
                          struct pw_err *err)
{
    struct builder builder = {0};
    inherit(&builder);
    if (facts->worker_id > 0) {
        if (facts->endpoint)
            set_reporting(&builder, plan, facts);
        set_outfit(&builder, plan->outfit, facts);
    }
    set_own(&builder, plan, facts);
    if (!builder.failed)
        return builder.items;
    pw_environment_free(builder.items);
    pw_err_memory(err);
    return NULL;
}

void pw_environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        free(environment[i]);
    free(environment);
}
