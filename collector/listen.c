#include "collector/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"

enum { HOST_MAX = INET6_ADDRSTRLEN };

static int refuse(const char *text, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_USAGE, "`%s` is no address to listen at", text);
    return pw_err_remedy(err, "give a numeric address and a port: 127.0.0.1:4318, [::1]:4318 or "
                              ":4318");
}

/* Splits "HOST:PORT" and so on; *port is "" if there is none. */
static bool split(const char *text, char host[HOST_MAX], const char **port)
{
    const char *start = text, *end;
    if (text[0] == '[') {
        start = text + 1;
        end = strchr(start, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        *port = end[1] ? end + 2 : "";
    } else {
        end = text + strcspn(text, ":");
        *port = *end ? end + 1 : "";
    }
    bool has_port = text[0] == '[' ? end[1] == ':' : *end == ':';
    if ((has_port && !**port) || (size_t)(end - start) >= HOST_MAX)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    return true;
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
    size_t length = strlen(text);
    if (length > 5 || strspn(text, "0123456789") != length)
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    *ret_port = htons((uint16_t)port);
    return port <= UINT16_MAX;
}

int pw_address_parse(const char *text, struct pw_address *ret_address, struct pw_err *err)
{
    char host[HOST_MAX];
    const char *port_text;
    in_port_t port;
    if (!text)
        text = "";
    if (!split(text, host, &port_text) || !parse_port(port_text, &port))
        return refuse(text, err);
    if (!host[0] || strcmp(host, "localhost") == 0)
        snprintf(host, sizeof host, "127.0.0.1");
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = port};
    struct pw_address address = {0};
    if (text[0] != '[' && inet_pton(AF_INET, host, &four.sin_addr) == 1) {
        memcpy(&address.bytes, &four, sizeof four);
        address.length = sizeof four;
        address.is_loopback = ntohl(four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    } else if (text[0] == '[' && inet_pton(AF_INET6, host, &six.sin6_addr) == 1) {
        memcpy(&address.bytes, &six, sizeof six);
        address.length = sizeof six;
        address.is_loopback = IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
    } else {
        return refuse(text, err);
    }
    *ret_address = address;
    return 0;
}

/* "127.0.0.1:4318" or "[::1]:4318"; `reach`: how to reach it, where the address stands for all. */
static void print(const struct sockaddr_storage *bytes, bool reach, char *text, size_t size)
{
    char host[HOST_MAX] = "?";
    if (bytes->ss_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, bytes, sizeof six);
        if (reach && IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr))
            six.sin6_addr = in6addr_loopback;
        inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(six.sin6_port));
        return;
    }
    struct sockaddr_in four;
    memcpy(&four, bytes, sizeof four);
    if (reach && four.sin_addr.s_addr == htonl(INADDR_ANY))
        four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet_ntop(AF_INET, &four.sin_addr, host, sizeof host);
    snprintf(text, size, "%s:%u", host, ntohs(four.sin_port));
}

static int explain(int sys, const struct pw_address *address, struct pw_err *err)
{
    char text[HOST_MAX + 16];
    print(&address->bytes, false, text, sizeof text);
    pw_err_system(err, sys, "listen for telemetry at %s", text);
    switch (sys) {
    case EADDRINUSE:
        return pw_err_remedy(err, "choose another port, or none: then any free one is taken");
    case EADDRNOTAVAIL: return pw_err_remedy(err, "choose an address of this machine (ip address)");
    case EACCES: return pw_err_remedy(err, "choose a port above 1023, or none");
    default: return -1;
    }
}

int pw_listen(const struct pw_address *address, int *ret_fd, char **ret_url, struct pw_err *err)
{
    const int on = 1;
    int fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return explain(errno, address, err);
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char text[HOST_MAX + 16];
    /* SO_REUSEADDR: also while connections of an earlier run linger (TIME_WAIT); socket(7). */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, (const struct sockaddr *)&address->bytes, address->length) ||
        listen(fd, SOMAXCONN) || getsockname(fd, (struct sockaddr *)&bound, &length)) {
        explain(errno, address, err);
        pw_fd_done(&fd);
        return -1;
    }
    print(&bound, true, text, sizeof text);
    char *url = NULL;
    if (asprintf(&url, "http://%s", text) < 0) {
        pw_fd_done(&fd);
        return pw_err_memory(err);
    }
    *ret_fd = fd;
    *ret_url = url;
    return 0;
}
