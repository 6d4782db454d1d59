#include "collector/reply.h"

#include <string.h>
#include <strings.h>

/* google/rpc/code.proto */
enum {
    CODE_INVALID_ARGUMENT = 3,
    CODE_NOT_FOUND = 5,
    CODE_RESOURCE_EXHAUSTED = 8,
    CODE_UNIMPLEMENTED = 12,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16,
};
/* Keys of fields of wire types 0 (varint) and 2 (length-delimited). */
#define VARINT_FIELD(number) (char)((number) << 3)
#define LENGTH_FIELD(number) (char)((number) << 3 | 2)

static const char *const media_types[PW_MEDIA_COUNT] = {
    [PW_MEDIA_JSON] = "application/json",
    [PW_MEDIA_PROTOBUF] = "application/x-protobuf",
    [PW_MEDIA_PROTOBUF_SHORT] = "application/protobuf",
};

const char *pw_media_type(enum pw_media media)
{
    return media_types[media];
}

bool pw_media_parse(const char *content_type, enum pw_media *ret_media)
{
    if (!content_type)
        return false;
    content_type += strspn(content_type, " \t");
    size_t length = strcspn(content_type, "; \t"); /* parameters say nothing to us */
    for (unsigned i = 0; i < PW_MEDIA_COUNT; i++)
        if (strlen(media_types[i]) == length &&
            strncasecmp(media_types[i], content_type, length) == 0) {
            *ret_media = i;
            return true;
        }
    return false;
}

static int code_of(unsigned http_status)
{
    switch (http_status) {
    case 401: return CODE_UNAUTHENTICATED;
    case 404: return CODE_NOT_FOUND;
    case 405: return CODE_UNIMPLEMENTED;
    case 413: return CODE_RESOURCE_EXHAUSTED;
    case 503: return CODE_UNAVAILABLE;
    default: return CODE_INVALID_ARGUMENT;
    }
}

/* Printable ASCII is valid UTF-8, and needs no escapes in JSON but these two. */
static void add_text(struct pw_str *out, const char *text, bool json)
{
    for (; *text; text++) {
        char c = *text >= ' ' && *text <= '~' ? *text : '?';
        if (json && (c == '"' || c == '\\'))
            pw_str_add_char(out, '\\');
        pw_str_add_char(out, c);
    }
}

static void add_varint(struct pw_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        pw_str_add_char(out, (char)(value | 0x80));
    pw_str_add_char(out, (char)value);
}

static void add_bytes_field(struct pw_str *out, unsigned number, const struct pw_str *bytes)
{
    pw_str_add_char(out, LENGTH_FIELD(number));
    add_varint(out, bytes->length);
    pw_str_add_bytes(out, bytes->text, bytes->length);
    out->failed |= bytes->failed;
}

static void add_text_field(struct pw_str *out, unsigned number, const char *text)
{
    pw_str_add_char(out, LENGTH_FIELD(number));
    add_varint(out, strlen(text));
    add_text(out, text, false);
}

static const char bad_request[] = "type.googleapis.com/google.rpc.BadRequest";

/* Status{code=1, message=2, details=3: Any{type_url=1, value=2: BadRequest{field_violations=1:
 * {description=2}}}}: for a 400 the details should be there. */
static void add_status_protobuf(struct pw_str *out, unsigned http_status, const char *message)
{
    pw_str_add_char(out, VARINT_FIELD(1));
    add_varint(out, (uint64_t)code_of(http_status));
    add_text_field(out, 2, message);
    if (http_status != 400)
        return;
    PW_STR_AUTO violation = PW_STR_INIT, violations = PW_STR_INIT, any = PW_STR_INIT;
    add_text_field(&violation, 2, message);
    add_bytes_field(&violations, 1, &violation);
    add_text_field(&any, 1, bad_request);
    add_bytes_field(&any, 2, &violations);
    add_bytes_field(out, 3, &any);
}

static void add_status_json(struct pw_str *out, unsigned http_status, const char *message)
{
    pw_str_addf(out, "{\"code\":%d,\"message\":\"", code_of(http_status));
    add_text(out, message, true);
    pw_str_add_char(out, '"');
    if (http_status == 400) {
        pw_str_addf(out, ",\"details\":[{\"@type\":\"%s\",\"fieldViolations\":[{\"description\":\"",
                    bad_request);
        add_text(out, message, true);
        pw_str_add(out, "\"}]}]");
    }
    pw_str_add_char(out, '}');
}

void pw_reply_status(enum pw_media media, unsigned http_status, const char *message,
                     struct pw_str *out)
{
    if (media == PW_MEDIA_JSON)
        add_status_json(out, http_status, message);
    else
        add_status_protobuf(out, http_status, message);
}

void pw_reply_partial(enum pw_media media, enum pw_signal signal, uint64_t rejected,
                      const char *message, struct pw_str *out)
{
    static const char *const names[PW_SIGNAL_COUNT] = {
        [PW_SIGNAL_METRICS] = "rejectedDataPoints",
        [PW_SIGNAL_TRACES] = "rejectedSpans",
        [PW_SIGNAL_LOGS] = "rejectedLogRecords",
    };
    if (media == PW_MEDIA_JSON) {
        pw_str_add(out, "{\"partialSuccess\":{");
        if (rejected)
            pw_str_addf(out, "\"%s\":\"%llu\",", names[signal], (unsigned long long)rejected);
        pw_str_add(out, "\"errorMessage\":\"");
        add_text(out, message, true);
        pw_str_add(out, "\"}}");
        return;
    }
    PW_STR_AUTO partial = PW_STR_INIT;
    if (rejected) {
        pw_str_add_char(&partial, VARINT_FIELD(1));
        add_varint(&partial, rejected);
    }
    add_text_field(&partial, 2, message);
    add_bytes_field(out, 1, &partial);
}
