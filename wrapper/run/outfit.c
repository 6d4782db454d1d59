#include "wrapper/run/outfit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"

#define OWN_PREFIX "PERFWRAP_"

static void file_done(struct pw_worker_file *file)
{
    free(file->dest);
    free(file->text);
    *file = (struct pw_worker_file){0};
}

void pw_outfit_done(struct pw_outfit *outfit)
{
    for (size_t i = 0; i < outfit->variable_count; i++)
        free(outfit->variables[i]);
    for (size_t i = 0; i < outfit->file_count; i++)
        file_done(&outfit->files[i]);
    free(outfit->variables);
    free(outfit->files);
    *outfit = (struct pw_outfit){0};
}

/* Length of the name at the beginning of "NAME=VALUE", 0 if there is none that is valid. Source:
 * POSIX, "Environment Variables": letters, digits and underscores, no digit first. */
static size_t name_length(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t length = strspn(text, letters);
    return text[length] == '=' && !(*text >= '0' && *text <= '9') ? length : 0;
}

int pw_outfit_add_variable(struct pw_outfit *outfit, const char *text, struct pw_err *err)
{
    size_t length = name_length(text);
    if (length == 0) { /* the text is not shown: its value may be a secret */
        pw_err_set(err, PW_ERR_USAGE, "no valid name and `=` at the beginning");
        return pw_err_remedy(err, "write NAME=VALUE, with letters, digits and _ in NAME");
    }
    if (strncmp(text, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
        return pw_err_set(err, PW_ERR_USAGE,
                          "%.*s: names that begin with " OWN_PREFIX " are perfwrap's own",
                          (int)length, text);
    char **larger = reallocarray(outfit->variables, outfit->variable_count + 1, sizeof *larger);
    if (larger)
        outfit->variables = larger;
    char *copy = larger ? strdup(text) : NULL;
    if (!copy)
        return pw_err_memory(err);
    outfit->variables[outfit->variable_count++] = copy;
    return 0;
}

const char *pw_outfit_variable(const struct pw_outfit *outfit, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = outfit->variable_count; i-- > 0;)
        if (strncmp(outfit->variables[i], name, length) == 0 && outfit->variables[i][length] == '=')
            return outfit->variables[i] + length + 1;
    return NULL;
}

static void add_text(struct pw_str *out, const char *text)
{
    pw_str_add(out, text ? text : "");
}

static void add_endpoint(struct pw_str *out, const struct pw_worker_facts *facts, const char *path)
{
    if (facts->endpoint)
        pw_str_addf(out, "%s%s", facts->endpoint, path);
}

/* Source: RFC 3986, "Syntax Components". */
static const char *authority_of(const char *url)
{
    const char *colon = strstr(url, "://");
    return colon ? colon + 3 : url;
}

/* The port that the endpoint's URL names, or its scheme's. */
static void add_port(struct pw_str *out, const char *url)
{
    const char *host = authority_of(url);
    size_t length = strcspn(host, "/");
    const char *colon = memrchr(host, ':', length), *bracket = memrchr(host, ']', length);
    if (colon && (!bracket || colon > bracket))
        pw_str_add_bytes(out, colon + 1, (size_t)(host + length - colon - 1));
    else
        pw_str_add(out, strncmp(url, "https:", 6) == 0 ? "443" : "80");
}

static void add_path(struct pw_str *out, const char *url)
{
    const char *host = authority_of(url);
    pw_str_add(out, host + strcspn(host, "/"));
}

static void add_now(struct pw_str *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pw_str_addf(out, "%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
}

enum placeholder {
    WORKER_DIR,
    RUN_DIR,
    RUN_ID,
    WORKER_ID,
    ITERATION,
    UNIX_NS,
    ENDPOINT,
    ENDPOINT_PORT,
    ENDPOINT_PATH,
    METRICS_ENDPOINT,
    TRACES_ENDPOINT,
    LOGS_ENDPOINT,
    TRACEPARENT,
    PLACEHOLDER_COUNT
};

/* PLACEHOLDER_COUNT if it is none. */
static enum placeholder find_placeholder(const char *name, size_t length)
{
    static const char *const names[PLACEHOLDER_COUNT] = {
        [WORKER_DIR] = "worker_dir",
        [RUN_DIR] = "run_dir",
        [RUN_ID] = "run_id",
        [WORKER_ID] = "worker_id",
        [ITERATION] = "iteration",
        [UNIX_NS] = "unix_ns",
        [ENDPOINT] = "endpoint",
        [ENDPOINT_PORT] = "endpoint_port",
        [ENDPOINT_PATH] = "endpoint_path",
        [METRICS_ENDPOINT] = "metrics_endpoint",
        [TRACES_ENDPOINT] = "traces_endpoint",
        [LOGS_ENDPOINT] = "logs_endpoint",
        [TRACEPARENT] = "traceparent",
    };
    enum placeholder found = 0;
    while (found < PLACEHOLDER_COUNT &&
           (strlen(names[found]) != length || strncmp(names[found], name, length) != 0))
        found++;
    return found;
}

static void add_placeholder(enum placeholder placeholder, const struct pw_worker_facts *facts,
                            struct pw_str *out)
{
    switch (placeholder) {
    case WORKER_DIR: add_text(out, facts->worker_dir); break;
    case RUN_DIR: add_text(out, facts->run_dir); break;
    case RUN_ID: add_text(out, facts->run_id); break;
    case WORKER_ID: pw_str_addf(out, "%u", facts->worker_id); break;
    case ITERATION: pw_str_addf(out, "%u", facts->iteration); break;
    case UNIX_NS: add_now(out); break;
    case ENDPOINT: add_endpoint(out, facts, ""); break;
    case ENDPOINT_PORT:
        if (facts->endpoint)
            add_port(out, facts->endpoint);
        break;
    case ENDPOINT_PATH:
        if (facts->endpoint)
            add_path(out, facts->endpoint);
        break;
    case METRICS_ENDPOINT: add_endpoint(out, facts, "/v1/metrics"); break;
    case TRACES_ENDPOINT: add_endpoint(out, facts, "/v1/traces"); break;
    case LOGS_ENDPOINT: add_endpoint(out, facts, "/v1/logs"); break;
    case TRACEPARENT:
        if (facts->trace_id && facts->span_id) /* W3C Trace Context: version 00, sampled */
            pw_str_addf(out, "00-%s-%s-01", facts->trace_id, facts->span_id);
        break;
    case PLACEHOLDER_COUNT: break;
    }
}

void pw_outfit_expand(const char *text, size_t length, const struct pw_worker_facts *facts,
                      struct pw_str *out)
{
    static const char in_names[] = "abcdefghijklmnopqrstuvwxyz_";
    const char *end = text + length;
    while (text < end) {
        const char *at = memchr(text, '{', (size_t)(end - text));
        pw_str_add_bytes(out, text, (size_t)((at ? at : end) - text));
        if (!at)
            return;
        const char *name = at + 1, *behind = name;
        while (behind < end && *behind && strchr(in_names, *behind))
            behind++;
        enum placeholder found = PLACEHOLDER_COUNT;
        if (behind < end && *behind == '}')
            found = find_placeholder(name, (size_t)(behind - name));
        if (found == PLACEHOLDER_COUNT)
            pw_str_add_char(out, '{');
        else
            add_placeholder(found, facts, out);
        text = found == PLACEHOLDER_COUNT ? name : behind + 1;
    }
}

char **pw_outfit_expand_words(char *const *words, const struct pw_worker_facts *facts,
                              struct pw_err *err)
{
    size_t count = 0;
    while (words[count])
        count++;
    char **expanded = calloc(count + 1, sizeof *expanded);
    if (!expanded) {
        pw_err_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        PW_STR_AUTO word = PW_STR_INIT;
        pw_outfit_expand(words[i], strlen(words[i]), facts, &word);
        expanded[i] = pw_str_take(&word, err);
        if (!expanded[i]) {
            pw_environment_free(expanded);
            return NULL;
        }
    }
    return expanded;
}

static bool leaves_folder(const char *path)
{
    bool leaves = *path == '/';
    for (const char *part = path; *part; part += *part == '/') {
        size_t length = strcspn(part, "/");
        leaves = leaves || (length == 2 && strncmp(part, "..", 2) == 0);
        part += length;
    }
    return leaves;
}

/* Where in the worker's folder `dest` is; free() it. NULL and err if it is not. */
static char *find_place(const char *dest, const struct pw_worker_facts *facts, struct pw_err *err)
{
    PW_STR_AUTO expanded = PW_STR_INIT;
    pw_outfit_expand(dest, strlen(dest), facts, &expanded);
    if (expanded.failed) {
        pw_err_memory(err);
        return NULL;
    }
    const char *path = expanded.text;
    size_t folder = strlen(facts->worker_dir);
    if (strncmp(path, facts->worker_dir, folder) == 0 && path[folder] == '/')
        path += folder + 1;
    if (leaves_folder(path)) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` leaves the worker's folder", dest);
        pw_err_remedy(err, "name a path within it, without `..`: config/agent.toml");
        return NULL;
    }
    const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!*last || strcmp(last, ".") == 0) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` names no file", dest);
        return NULL;
    }
    return pw_path_join(facts->worker_dir, path, err);
}

static int check_dest(const char *dest, struct pw_err *err)
{
    static const struct pw_worker_facts sample = {.worker_dir = "//worker", .run_dir = "/run"};
    PW_FREE_AUTO char *path = find_place(dest, &sample, err);
    return path ? 0 : -1;
}

int pw_outfit_add_file(struct pw_outfit *outfit, struct pw_worker_file *file, struct pw_err *err)
{
    if (!file->dest || !file->text) {
        file_done(file);
        return pw_err_memory(err);
    }
    int failed = check_dest(file->dest, err);
    struct pw_worker_file *larger =
        failed ? NULL : reallocarray(outfit->files, outfit->file_count + 1, sizeof *larger);
    if (!larger) {
        file_done(file);
        return failed ? -1 : pw_err_memory(err);
    }
    outfit->files = larger;
    outfit->files[outfit->file_count++] = *file;
    *file = (struct pw_worker_file){0};
    return 0;
}

int pw_outfit_add_template(struct pw_outfit *outfit, const char *text, struct pw_err *err)
{
    const char *equal = strrchr(text, '=');
    if (!equal || equal == text) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is not TEMPLATE=DEST", text);
        return pw_err_remedy(err, "name a file, and where in the worker's folder its copy goes");
    }
    PW_FREE_AUTO char *path = strndup(text, (size_t)(equal - text));
    struct pw_worker_file file = {0};
    if (!path)
        return pw_err_memory(err);
    if (pw_file_read(path, PW_LIMIT_TEMPLATE_BYTES, &file.text, &file.size, err))
        return pw_err_remedy(err, "name a readable file of at most %d KiB",
                             PW_LIMIT_TEMPLATE_BYTES / 1024);
    file.dest = strdup(equal + 1);
    return pw_outfit_add_file(outfit, &file, err);
}

/* The folders between the worker's own and the file. The mode is set apart from the umask. */
static int make_parents(char *path, size_t folder, struct pw_err *err)
{
    for (char *slash = strchr(path + folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool failed = (mkdir(path, 0700) && errno != EEXIST) || chmod(path, 0700);
        if (failed)
            pw_err_system(err, errno, "make folder `%s`", path);
        *slash = '/';
        if (failed)
            return -1;
    }
    return 0;
}

/* No flush to the disk: the file does not outlive the worker. */
static int write_file(const char *path, const struct pw_str *text, struct pw_err *err)
{
    PW_FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600))
        return pw_err_system(err, errno, "create `%s`", path);
    for (size_t done = 0; done < text->length;) {
        ssize_t count = write(fd, text->text + done, text->length - done);
        if (count < 0 && errno != EINTR)
            return pw_err_system(err, errno, "write `%s`", path);
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static int give_file(const struct pw_worker_file *file, const struct pw_worker_facts *facts,
                     struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_FREE_AUTO char *path = find_place(file->dest, facts, err);
    if (!path)
        return -1;
    pw_str_add_bytes(&text, file->text, file->verbatim);
    pw_outfit_expand(file->text + file->verbatim, file->size - file->verbatim, facts, &text);
    if (text.failed)
        return pw_err_memory(err);
    if (make_parents(path, strlen(facts->worker_dir), err))
        return -1;
    return write_file(path, &text, err);
}

int pw_outfit_give(const struct pw_outfit *outfit, const struct pw_worker_facts *facts,
                   struct pw_err *err)
{
    for (size_t i = 0; outfit && i < outfit->file_count; i++)
        if (give_file(&outfit->files[i], facts, err))
            return pw_err_prefix(err, "give worker %u its files", facts->worker_id);
    return 0;
}

void pw_outfit_take_secrets(const struct pw_outfit *outfit, const struct pw_worker_facts *facts)
{
    for (size_t i = 0; outfit && facts->worker_dir && i < outfit->file_count; i++) {
        if (!outfit->files[i].secret)
            continue;
        PW_FREE_AUTO char *path = find_place(outfit->files[i].dest, facts, NULL);
        if (path)
            unlink(path);
    }
}
