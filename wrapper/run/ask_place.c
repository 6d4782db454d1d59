#include "wrapper/run/ask_place.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "core/str.h"

enum { HOST_BYTES = 128, PORT_BYTES = 6 };

void pw_place_done(struct pw_place *place)
{
    for (size_t i = 0; i < place->dial_count; i++)
        pw_dial_done(&place->dials[i]);
    free(place->request);
    *place = (struct pw_place){0};
}

static struct pw_dial *add_dial(struct pw_place *place)
{
    struct pw_dial *dial = &place->dials[place->dial_count++];
    *dial = (struct pw_dial){.fd = -1, .socket_type = SOCK_STREAM};
    return dial;
}

/* `[HOST:]PORT`, `HOST`, taken apart. */
struct authority {
    char host[HOST_BYTES]; /* "": not given */
    char port[PORT_BYTES]; /* "": not given */
};

static bool is_port(const char *text, size_t length)
{
    unsigned port = 0;
    if (length == 0 || length >= PORT_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

/* False if it is none. `bare_is_port`: what has no colon is a port, not a host. */
static bool split(const char *text, size_t length, bool bare_is_port, struct authority *ret)
{
    const char *end = text + length, *host = text, *host_end, *port = NULL;
    *ret = (struct authority){0};
    if (length > 0 && *text == '[') {
        host++;
        host_end = memchr(text, ']', length);
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return false;
        port = host_end + 1 < end ? host_end + 2 : NULL;
    } else {
        const char *colon = memrchr(text, ':', length);
        if (colon && memchr(text, ':', length) != colon) /* IPv6 stands in brackets */
            return false;
        host_end = colon ? colon : bare_is_port ? text : end;
        port = colon ? colon + 1 : bare_is_port ? text : NULL;
        if (colon == text)
            return false;
    }
    size_t host_length = (size_t)(host_end - host);
    if (host_length >= HOST_BYTES || (port && !is_port(port, (size_t)(end - port))))
        return false;
    memcpy(ret->host, host, host_length);
    if (port)
        memcpy(ret->port, port, (size_t)(end - port));
    return true;
}

static int add_address(struct pw_place *place, const char *host, const char *port,
                       struct pw_err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0 || !found) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is neither a numeric address nor localhost", host);
        return pw_err_remedy(err, "give an address such as 127.0.0.1 or [::1]; names are not "
                                  "looked up while measuring");
    }
    struct pw_dial *dial = add_dial(place);
    memcpy(&dial->address, found->ai_addr, found->ai_addrlen);
    dial->address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int add_addresses(struct pw_place *place, const struct authority *authority,
                         struct pw_err *err)
{
    if (authority->host[0] && strcasecmp(authority->host, "localhost") != 0)
        return add_address(place, authority->host, authority->port, err);
    if (add_address(place, "127.0.0.1", authority->port, err))
        return -1;
    return add_address(place, "::1", authority->port, err);
}

static int parse_tcp(const char *text, struct pw_place *place, struct pw_err *err)
{
    struct authority authority;
    if (!split(text, strlen(text), true, &authority) || !authority.port[0]) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is not [HOST:]PORT", text);
        return pw_err_remedy(err, "give a port from 1 to 65535, as in tcp:8080 or tcp:[::1]:8080");
    }
    return add_addresses(place, &authority, err);
}

static int parse_unix(const char *text, struct pw_place *place, struct pw_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(text);
    bool is_abstract = text[0] == '@';
    if (length <= (is_abstract ? 1 : 0)) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is no path of a socket", text);
        return pw_err_remedy(err, "give one, as in unix:/run/x.sock or unix:@name");
    }
    if (length >= sizeof address.sun_path) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is longer than a socket's path can be (%zu bytes)",
                   text, sizeof address.sun_path - 1);
        return pw_err_remedy(err, "let the program listen at a shorter path, or set TMPDIR to a "
                                  "shorter one if it is in the worker's folder");
    }
    memcpy(address.sun_path, text, length);
    if (is_abstract)
        address.sun_path[0] = '\0';
    struct pw_dial *dial = add_dial(place);
    memcpy(&dial->address, &address, sizeof address);
    /* The name of an abstract socket ends where the address does; a path's NUL belongs to it. */
    dial->address_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (is_abstract ? 0 : 1));
    return 0;
}

static int refuse_url(const char *text, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_USAGE, "`%s` is no URL that can be asked", text);
    return pw_err_remedy(err, "give http://HOST[:PORT]/PATH with a numeric address or localhost; "
                              "for a server with TLS take tcp:PORT");
}

/* What is sent: the head of a GET (RFC 9112). `at` is the path and query, without a fragment. */
static int make_request(struct pw_place *place, const char *at, size_t length,
                        const struct authority *authority, struct pw_err *err)
{
    bool is_v6 = strchr(authority->host, ':') != NULL;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(&text, "GET %s%.*s HTTP/1.1\r\nHost: %s%s%s", *at == '/' ? "" : "/", (int)length,
                at, is_v6 ? "[" : "", authority->host, is_v6 ? "]" : "");
    if (strcmp(authority->port, "80") != 0)
        pw_str_addf(&text, ":%s", authority->port);
    pw_str_add(&text, "\r\nUser-Agent: perfwrap\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    size_t request_length = text.length;
    place->request = pw_str_take(&text, err);
    if (!place->request)
        return -1;
    for (size_t i = 0; i < place->dial_count; i++) {
        place->dials[i].request = place->request;
        place->dials[i].request_length = request_length;
    }
    return 0;
}

static int parse_http(const char *text, struct pw_place *place, struct pw_err *err)
{
    static const char scheme[] = "http:";
    struct authority authority;
    const char *at = text;
    if (strncasecmp(at, scheme, sizeof scheme - 1) == 0)
        at += sizeof scheme - 1;
    if (strncmp(at, "//", 2) != 0)
        return refuse_url(text, err);
    at += 2;
    size_t length = strcspn(at, "/?#");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '\x7f') /* would be more than one request */
            return refuse_url(text, err);
    if (!split(at, length, false, &authority) || !authority.host[0])
        return refuse_url(text, err);
    if (!authority.port[0])
        memcpy(authority.port, "80", sizeof "80");
    if (add_addresses(place, &authority, err))
        return -1;
    at += length;
    return make_request(place, at, strcspn(at, "#"), &authority, err);
}

int pw_place_parse(enum pw_mark_source source, const char *text, struct pw_place *ret_place,
                   struct pw_err *err)
{
    struct pw_place place = {0};
    int failed = -1;
    switch (source) {
    case PW_MARK_TCP: failed = parse_tcp(text, &place, err); break;
    case PW_MARK_UNIX: failed = parse_unix(text, &place, err); break;
    case PW_MARK_HTTP: failed = parse_http(text, &place, err); break;
    default: pw_err_set(err, PW_ERR_INTERNAL, "`%s` is not asked over a socket", text); break;
    }
    if (failed) {
        pw_place_done(&place);
        return -1;
    }
    *ret_place = place;
    return 0;
}
