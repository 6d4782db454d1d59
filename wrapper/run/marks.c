#include "wrapper/run/marks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "core/pattern.h"
#include "core/str.h"
#include "wrapper/run/ask_place.h"

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/* As they are written on the command line. In the place of PW_MARK_GUEST, which is not, stands
 * another name of stdout. */
enum { ALIAS_OF_STDOUT = PW_MARK_GUEST };
static const char *const source_names[PW_MARK_SOURCE_COUNT + 1] = {
    [PW_MARK_STDOUT] = "stdout",     [PW_MARK_STDERR] = "stderr",
    [PW_MARK_FD3] = "fd3",           [PW_MARK_FILE] = "file",
    [PW_MARK_TCP] = "tcp",           [PW_MARK_UNIX] = "unix",
    [PW_MARK_HTTP] = "http",         [PW_MARK_OTLP_SPAN] = "otlp:span",
    [PW_MARK_OTLP_LOG] = "otlp:log", [ALIAS_OF_STDOUT] = "serial",
    [PW_MARK_SOURCE_COUNT] = NULL,
};

const char *pw_mark_source_name(enum pw_mark_source source)
{
    return source == PW_MARK_GUEST ? "guest" : source_names[source];
}

bool pw_mark_hears(const struct pw_mark *mark, enum pw_mark_source stream)
{
    if (mark->source == PW_MARK_GUEST)
        return stream == PW_MARK_FD3 || stream == PW_MARK_STDOUT;
    return mark->source == stream;
}

bool pw_marks_hear(const struct pw_marks *marks, enum pw_mark_source stream)
{
    if (stream == PW_MARK_STDERR && marks->hopeless)
        return true;
    for (size_t i = 0; i < marks->names.count; i++)
        if (pw_mark_hears(&marks->items[i], stream))
            return true;
    return false;
}

bool pw_marks_has(const struct pw_marks *marks, enum pw_mark_source source)
{
    for (size_t i = 0; i < marks->names.count; i++)
        if (marks->items[i].source == source)
            return true;
    return false;
}

void pw_marks_done(struct pw_marks *marks)
{
    for (size_t i = 0; i < marks->names.count; i++) {
        free(marks->items[i].text);
        pw_pattern_free(marks->items[i].pattern);
    }
    *marks = PW_MARKS_INIT;
}

static int find_name(const struct pw_marks *marks, const char *name, size_t length)
{
    for (size_t i = 0; i < marks->names.count; i++)
        if (strlen(marks->names.names[i]) == length &&
            strncmp(marks->names.names[i], name, length) == 0)
            return (int)i;
    return -1;
}

static int check_name(const struct pw_marks *marks, const char *name, size_t length,
                      struct pw_err *err)
{
    if (length == 0 || length > PW_LIMIT_MOMENT_NAME) {
        pw_err_set(err, PW_ERR_USAGE, "the name in `%s` has %zu bytes", name, length);
        return pw_err_remedy(err, "give it a name of 1 to %d letters, digits, _ and -",
                             PW_LIMIT_MOMENT_NAME);
    }
    if (length == 3 && strncmp(name, "end", length) == 0) {
        pw_err_set(err, PW_ERR_USAGE, "the name `end` is taken: it is the worker's end");
        return pw_err_remedy(err, "choose another name");
    }
    if (find_name(marks, name, length) >= 0) {
        pw_err_set(err, PW_ERR_USAGE, "two marks are named `%.*s`", (int)length, name);
        return pw_err_remedy(err, "give each mark a name of its own");
    }
    if (marks->names.count == PW_LIMIT_MOMENTS) {
        pw_err_set(err, PW_ERR_USAGE, "more than %d marks", PW_LIMIT_MOMENTS);
        return pw_err_remedy(err, "leave some out");
    }
    return 0;
}

/* Which source `text` begins with; *ret_rest is what is behind its colon. */
static int find_source(const char *text, enum pw_mark_source *ret_source, const char **ret_rest,
                       struct pw_err *err)
{
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        *ret_source = PW_MARK_HTTP; /* a URL as it is */
        *ret_rest = text;
        return 0;
    }
    for (int i = 0; i < PW_MARK_SOURCE_COUNT; i++) {
        size_t length = strlen(source_names[i]);
        char behind = i == PW_MARK_FD3 ? '\0' : ':';
        if (strncmp(text, source_names[i], length) != 0 || text[length] != behind)
            continue;
        *ret_source = i == ALIAS_OF_STDOUT ? PW_MARK_STDOUT : (enum pw_mark_source)i;
        *ret_rest = text + length + (behind == ':');
        return 0;
    }
    char kind[32] = "";
    size_t length = strcspn(text, ":");
    if (strncmp(text, "otlp:", 5) == 0)
        length = 5 + strcspn(text + 5, ":");
    if (length < sizeof kind)
        memcpy(kind, text, length);
    const char *nearest = *kind ? pw_nearest_name(kind, source_names) : NULL;
    pw_err_set(err, PW_ERR_USAGE, "`%s` is no source of marks", text);
    if (nearest)
        return pw_err_remedy(err, "did you mean `%s%s`?", nearest,
                             strcmp(nearest, "fd3") == 0 ? "" : ":");
    return pw_err_remedy(err, "one of stdout:/REGEX/, stderr:/REGEX/, serial:/REGEX/, fd3, "
                              "file:PATH, tcp:[HOST:]PORT, unix:PATH, http:URL, otlp:span:NAME, "
                              "otlp:log:/REGEX/");
}

static int make_pattern(struct pw_mark *mark, const char *rest, struct pw_err *err)
{
    size_t length = strlen(rest);
    if (length < 2 || rest[0] != '/' || rest[length - 1] != '/') {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is not /REGEX/", rest);
        return pw_err_remedy(err, "put the regular expression between slashes: %s:/listening on/",
                             pw_mark_source_name(mark->source));
    }
    char *text = strndup(rest + 1, length - 2);
    if (!text)
        return pw_err_memory(err);
    int result = pw_pattern_new(text, false, &mark->pattern, err);
    free(text);
    return result;
}

static bool has_placeholder(const char *text)
{
    return strchr(text, '{') != NULL;
}

static int check_port(const char *rest, struct pw_err *err)
{
    enum { PORT_MAX = 65535, DIGITS_MAX = 5 };
    const char *colon = strrchr(rest, ':');
    const char *port = colon ? colon + 1 : rest;
    size_t digits = strspn(port, "0123456789");
    bool valid = digits > 0 && digits <= DIGITS_MAX && !port[digits] &&
                 strtol(port, NULL, 10) >= 1 && strtol(port, NULL, 10) <= PORT_MAX;
    if (!valid && !has_placeholder(port)) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is no port", port);
        return pw_err_remedy(err, "write tcp:PORT or tcp:HOST:PORT, with a PORT from 1 to %d",
                             PORT_MAX);
    }
    if (colon == rest || strpbrk(rest, " \t/")) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` names no host", rest);
        return pw_err_remedy(err, "write tcp:PORT or tcp:HOST:PORT");
    }
    return 0;
}

static int check_url(const char *url, struct pw_err *err)
{
    static const char scheme[] = "http://";
    bool valid = strncmp(url, scheme, strlen(scheme)) == 0;
    size_t host = valid ? strcspn(url + strlen(scheme), "/?#") : 0;
    for (const char *c = url; *c; c++)
        valid = valid && *c > 0x20 && *c < 0x7f;
    if (valid && host > 0 && !memchr(url + strlen(scheme), '@', host))
        return 0;
    pw_err_set(err, PW_ERR_USAGE, "`%s` is no URL that can be asked", url);
    return pw_err_remedy(err,
                         "write http:http://HOST:PORT/PATH: no https, no user name, no blanks");
}

static int check_path(enum pw_mark_source source, const char *path, struct pw_err *err)
{
    const struct sockaddr_un *address = NULL;
    if (!*path) {
        pw_err_set(err, PW_ERR_USAGE, "no path");
        return pw_err_remedy(err, "write %s:PATH", pw_mark_source_name(source));
    }
    if (source == PW_MARK_UNIX && !has_placeholder(path) &&
        strlen(path) >= sizeof address->sun_path) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is too long for a socket's path", path);
        return pw_err_remedy(err, "the kernel takes at most %zu bytes",
                             sizeof address->sun_path - 1);
    }
    return 0;
}

/* Whether whoever asks can make something of it. With placeholders that shows when they are
 * replaced. */
static int check_place(enum pw_mark_source source, const char *text, struct pw_err *err)
{
    struct pw_place place = {0};
    if (has_placeholder(text))
        return 0;
    if (pw_place_parse(source, text, &place, err))
        return -1;
    pw_place_done(&place);
    return 0;
}

/* What is behind the source's name, into the mark. */
static int take_rest(struct pw_mark *mark, const char *rest, struct pw_err *err)
{
    int failed = 0;
    switch (mark->source) {
    case PW_MARK_STDOUT:
    case PW_MARK_STDERR:
    case PW_MARK_OTLP_LOG: failed = make_pattern(mark, rest, err); break;
    case PW_MARK_TCP: failed = check_port(rest, err); break;
    case PW_MARK_HTTP: failed = check_url(rest, err); break;
    case PW_MARK_FILE:
    case PW_MARK_UNIX: failed = check_path(mark->source, rest, err); break;
    case PW_MARK_OTLP_SPAN:
        if (!*rest)
            failed = pw_err_set(err, PW_ERR_USAGE, "otlp:span: without a span's name");
        break;
    case PW_MARK_FD3:
    case PW_MARK_GUEST:
    case PW_MARK_SOURCE_COUNT: break;
    }
    if (!failed && (mark->source == PW_MARK_TCP || mark->source == PW_MARK_UNIX ||
                    mark->source == PW_MARK_HTTP))
        failed = check_place(mark->source, rest, err);
    if (failed)
        return -1;
    mark->text = strdup(rest);
    return mark->text ? 0 : pw_err_memory(err);
}

/* Takes what `mark` owns. */
static void append(struct pw_marks *marks, const char *name, size_t length,
                   const struct pw_mark *mark)
{
    char *copy = marks->names.names[marks->names.count];
    memcpy(copy, name, length);
    copy[length] = '\0';
    marks->items[marks->names.count++] = *mark;
}

int pw_marks_add_guest(struct pw_marks *marks, const char *name, struct pw_err *err)
{
    const struct pw_mark mark = {.source = PW_MARK_GUEST};
    size_t length = strlen(name);
    if (strspn(name, name_letters) != length)
        return pw_err_set(err, PW_ERR_USAGE, "`%s` is no name of a mark", name);
    if (check_name(marks, name, length, err))
        return -1;
    append(marks, name, length, &mark);
    return 0;
}

int pw_marks_add(struct pw_marks *marks, const char *text, struct pw_err *err)
{
    struct pw_mark mark = {0};
    const char *rest = "";
    size_t length = strspn(text, name_letters);
    if (text[length] != '=') {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is not NAME=SOURCE", text);
        return pw_err_remedy(err, "write it as ready=tcp:8080, with letters, digits, _ and - in "
                                  "the name");
    }
    if (check_name(marks, text, length, err))
        return -1;
    if (find_source(text + length + 1, &mark.source, &rest, err) || take_rest(&mark, rest, err)) {
        pw_pattern_free(mark.pattern);
        return pw_err_prefix(err, "mark `%.*s`", (int)length, text);
    }
    append(marks, text, length, &mark);
    return 0;
}

int pw_marks_set_until(struct pw_marks *marks, const char *name, struct pw_err *err)
{
    const char *names[PW_LIMIT_MOMENTS + 1] = {NULL};
    int found = find_name(marks, name, strlen(name));
    if (found >= 0) {
        marks->until = found;
        return 0;
    }
    for (size_t i = 0; i < marks->names.count; i++)
        names[i] = marks->names.names[i];
    const char *nearest = pw_nearest_name(name, names);
    pw_err_set(err, PW_ERR_USAGE, "no mark is named `%s`", name);
    if (nearest)
        return pw_err_remedy(err, "did you mean `%s`?", nearest);
    return pw_err_remedy(err, "say what it is: --mark %s=tcp:8080", name);
}
