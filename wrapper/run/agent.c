#include "wrapper/run/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/run/toml.h"

/* "<$CODEX_HOME, else $HOME/.codex>/<name>"; *ret_path NULL: there is no such folder to look in. */
static int codex_path(const char *name, char **ret_path, struct pw_err *err)
{
    const char *own = getenv("CODEX_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int length = 0;
    if (own && *own)
        length = asprintf(&path, "%s/%s", own, name);
    else if (home && *home)
        length = asprintf(&path, "%s/.codex/%s", home, name);
    if (length < 0)
        return pw_err_memory(err);
    *ret_path = path;
    return 0;
}

/* A file of the user's codex. *ret_text NULL if there is none. */
static int read_own(const char *name, char **ret_text, size_t *ret_size, struct pw_err *err)
{
    PW_FREE_AUTO char *path = NULL;
    struct pw_err read_err = PW_ERR_INIT;
    if (codex_path(name, &path, err))
        return -1;
    if (!path || pw_file_read(path, PW_LIMIT_TEMPLATE_BYTES, ret_text, ret_size, &read_err) == 0 ||
        read_err.sys == ENOENT || read_err.sys == ENOTDIR)
        return 0;
    if (err)
        *err = read_err;
    return pw_err_remedy(err, "make it readable, or set CODEX_HOME to another folder");
}

static int read_given(const char *path, char **ret_text, size_t *ret_size, struct pw_err *err)
{
    if (pw_file_read(path, PW_LIMIT_TEMPLATE_BYTES, ret_text, ret_size, err) == 0)
        return 0;
    return pw_err_remedy(err, "name a readable file of at most %d KiB with --agent-config",
                         PW_LIMIT_TEMPLATE_BYTES / 1024);
}

/* What of it is the user's ends up at the beginning, `*ret_verbatim` bytes of it. */
static int make_codex_config(const struct pw_agent_request *request, const char *text, size_t size,
                             struct pw_worker_file *file, struct pw_err *err)
{
    static const char reporting[] =
        "\n[otel]\n"
        "environment = \"perfwrap\"\n"
        "log_user_prompt = false\n"
        "exporter = { otlp-http = { endpoint = \"{logs_endpoint}\", protocol = \"binary\" } }\n"
        "trace_exporter = { otlp-http = { endpoint = \"{traces_endpoint}\", protocol = \"binary\" } "
        "}\n"
        "metrics_exporter = { otlp-http = { endpoint = \"{metrics_endpoint}\", protocol = "
        "\"binary\" } }\n";
    PW_STR_AUTO config = PW_STR_INIT;
    if (strlen(text) != size)
        return pw_err_set(err, PW_ERR_INPUT, "it holds a NUL byte");
    if (!request->reports)
        pw_str_add(&config, text);
    else if (pw_toml_drop_table(text, "otel", &config, err))
        return -1;
    file->verbatim = request->config ? 0 : config.length; /* a file that is given is a template */
    if (request->reports)
        pw_str_add(&config, reporting);
    file->size = config.length;
    file->text = pw_str_take(&config, err);
    return file->text ? 0 : -1;
}

static int add_codex_config(const struct pw_agent_request *request, struct pw_outfit *outfit,
                            struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    struct pw_worker_file file = {0};
    int failed = request->config ? read_given(request->config, &text, &size, err)
                                 : read_own("config.toml", &text, &size, err);
    if (failed)
        return -1;
    if (make_codex_config(request, text ? text : "", size, &file, err)) {
        pw_err_prefix(err, "%s", request->config ? request->config : "codex's config.toml");
        return pw_err_remedy(err, "mend it, or name another file with --agent-config");
    }
    file.dest = strdup("codex-home/config.toml");
    return pw_outfit_add_file(outfit, &file, err);
}

static int add_codex(const struct pw_agent_request *request, struct pw_outfit *outfit,
                     struct pw_err *err)
{
    struct pw_worker_file auth = {.secret = true};
    if (add_codex_config(request, outfit, err) ||
        pw_outfit_add_variable(outfit, "CODEX_HOME={worker_dir}/codex-home", err))
        return -1;
    const char *databases = getenv("CODEX_SQLITE_HOME"); /* else shared by all workers */
    if (databases && *databases &&
        pw_outfit_add_variable(outfit, "CODEX_SQLITE_HOME={worker_dir}/codex-home", err))
        return -1;
    if (read_own("auth.json", &auth.text, &auth.size, err))
        return -1;
    if (!auth.text)
        return 0;
    auth.verbatim = auth.size;
    auth.dest = strdup("codex-home/auth.json");
    return pw_outfit_add_file(outfit, &auth, err);
}

static const struct {
    const char *name;
    int (*add)(const struct pw_agent_request *request, struct pw_outfit *outfit,
               struct pw_err *err);
    const char *stream_pattern;
} agents[] = {
    /* It names its streaming times after turns and server-sent events: time to first token, to
     * first message, between events. */
    {"codex", add_codex,
     "(stream|first_token|first_event|ttfb|chunk).*(duration|latency|ms)|"
     "codex\\.(turn\\.ttf[tm]|sse_event)\\.duration"},
    {"none", NULL, NULL},
};

const char *pw_agent_stream_pattern(const char *name)
{
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
        if (strcmp(agents[i].name, name) == 0)
            return agents[i].stream_pattern;
    return NULL;
}

int pw_agent_add(const struct pw_agent_request *request, struct pw_outfit *outfit,
                 struct pw_err *err)
{
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
        if (strcmp(agents[i].name, request->name) == 0)
            return agents[i].add ? agents[i].add(request, outfit, err) : 0;
    pw_err_set(err, PW_ERR_USAGE, "unknown agent `%s`", request->name);
    return pw_err_remedy(err,
                         "known: codex, none; for others there are --worker-file and --worker-env");
}
