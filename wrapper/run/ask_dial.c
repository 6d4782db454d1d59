#include "wrapper/run/ask_dial.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include "core/file.h"

enum {
    HEAD_LIMIT_BYTES = 16384, /* interim replies and all */
    DRAIN_LIMIT_BYTES = 65536,
};

unsigned pw_dial_wants(const struct pw_dial *dial)
{
    bool reads = dial->state == PW_DIAL_ANSWERING && dial->sent == dial->request_length;
    return reads ? EPOLLIN : EPOLLOUT;
}

void pw_dial_done(struct pw_dial *dial)
{
    pw_fd_done(&dial->fd);
    dial->state = PW_DIAL_IDLE;
}

static enum pw_dial_result finish(struct pw_dial *dial, enum pw_dial_result result)
{
    pw_dial_done(dial);
    return result;
}

static bool is_internet(const struct pw_dial *dial)
{
    return dial->address.ss_family != AF_UNIX;
}

static int open_socket(struct pw_dial *dial)
{
    const int on = 1;
    dial->fd = socket(dial->address.ss_family, dial->socket_type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        return -1;
    /* The kernel may choose the very port that is asked as our own: then this keeps us out of the
     * way of the server that wants to bind to it. */
    if (is_internet(dial))
        setsockopt(dial->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return 0;
}

/* A socket that connects to the port which the kernel chose as its own is connected to itself (TCP,
 * simultaneous open): sooner or later that happens to everyone who asks a free port again and
 * again. */
static bool is_own_echo(const struct pw_dial *dial)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_length = sizeof here, there_length = sizeof there;
    if (getsockname(dial->fd, (struct sockaddr *)&here, &here_length) ||
        getpeername(dial->fd, (struct sockaddr *)&there, &there_length))
        return false;
    return here_length == there_length && memcmp(&here, &there, here_length) == 0;
}

static enum pw_dial_result drop_own_echo(struct pw_dial *dial)
{
    const struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT on the server's port */
    setsockopt(dial->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return finish(dial, PW_DIAL_NO);
}

/* "HTTP/1.1 204 No Content" -> 204; 0 if it is none. */
static unsigned status_of(const char *line)
{
    static const char version[] = "HTTP/1.";
    if (strncmp(line, version, sizeof version - 1) != 0)
        return 0;
    const char *at = line + sizeof version - 1;
    if (!isdigit((unsigned char)at[0]) || at[1] != ' ')
        return 0;
    unsigned status = 0;
    for (at += 2; isdigit((unsigned char)*at) && status < 1000; at++)
        status = status * 10 + (unsigned)(*at - '0');
    return status >= 100 && status < 600 && (*at == ' ' || *at == '\0') ? status : 0;
}

/* `line` is complete, and cut off if it was long. */
static enum pw_dial_result take_line(struct pw_dial *dial)
{
    size_t length = dial->line_length;
    if (length > 0 && dial->line[length - 1] == '\r')
        length--;
    dial->line[length] = '\0';
    dial->line_length = 0;
    if (dial->in_interim) {
        dial->in_interim = length > 0;
        return PW_DIAL_WAIT;
    }
    unsigned status = status_of(dial->line);
    dial->in_interim = status / 100 == 1;
    if (dial->in_interim)
        return PW_DIAL_WAIT;
    return status / 100 == 2 ? PW_DIAL_YES : PW_DIAL_NO;
}

static enum pw_dial_result take_bytes(struct pw_dial *dial, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (++dial->received > HEAD_LIMIT_BYTES)
            return PW_DIAL_NO;
        if (bytes[i] != '\n') {
            if (dial->line_length < sizeof dial->line - 1)
                dial->line[dial->line_length++] = bytes[i];
            continue;
        }
        enum pw_dial_result result = take_line(dial);
        if (result != PW_DIAL_WAIT)
            return result;
    }
    return PW_DIAL_WAIT;
}

/* What is there already of the rest: bytes that nobody has read would make the close a reset. */
static void drain(const struct pw_dial *dial)
{
    char scrap[4096];
    size_t drained = 0;
    for (ssize_t got; drained < DRAIN_LIMIT_BYTES; drained += (size_t)got) {
        got = recv(dial->fd, scrap, sizeof scrap, MSG_DONTWAIT);
        if (got <= 0)
            return;
    }
}

static enum pw_dial_result converse(struct pw_dial *dial)
{
    char bytes[2048];
    while (dial->sent < dial->request_length) {
        ssize_t sent = send(dial->fd, dial->request + dial->sent, dial->request_length - dial->sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return PW_DIAL_WAIT;
        if (sent < 0 && errno != EINTR)
            return finish(dial, PW_DIAL_NO);
        dial->sent += sent > 0 ? (size_t)sent : 0;
    }
    for (;;) {
        ssize_t got = recv(dial->fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            return PW_DIAL_WAIT;
        if (got < 0 && errno == EINTR)
            continue;
        enum pw_dial_result result = got > 0 ? take_bytes(dial, bytes, (size_t)got) : PW_DIAL_NO;
        if (result != PW_DIAL_WAIT) {
            if (got > 0)
                drain(dial);
            return finish(dial, result);
        }
    }
}

static enum pw_dial_result connected(struct pw_dial *dial)
{
    if (is_internet(dial) && is_own_echo(dial))
        return drop_own_echo(dial);
    if (!dial->request)
        return finish(dial, PW_DIAL_YES);
    dial->state = PW_DIAL_ANSWERING;
    dial->sent = dial->received = dial->line_length = 0;
    dial->in_interim = false;
    return converse(dial);
}

/* connect(2) starts; called again it tells how things stand, in one call less than getsockopt(2)
 * and poll(2) would take. Over loopback the refusal is there at the second call. */
static enum pw_dial_result dial_once(struct pw_dial *dial)
{
    if (connect(dial->fd, (const struct sockaddr *)&dial->address, dial->address_length) == 0)
        return connected(dial);
    switch (errno) {
    case EISCONN: return connected(dial);
    case EINPROGRESS:
    case EALREADY:
    case EINTR: return PW_DIAL_WAIT;
    case EPROTOTYPE: /* a Unix socket that is not a stream */
        dial->socket_type = dial->socket_type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM;
        return finish(dial, PW_DIAL_NO);
    case ECONNREFUSED:
    case ENOENT: dial->state = PW_DIAL_IDLE; return PW_DIAL_NO; /* the socket can ask again */
    default: return finish(dial, PW_DIAL_NO);
    }
}

enum pw_dial_result pw_dial_start(struct pw_dial *dial, int64_t now_ns)
{
    if (dial->fd < 0 && open_socket(dial))
        return errno == EAFNOSUPPORT ? PW_DIAL_NO : PW_DIAL_MISSED; /* no IPv6 here */
    dial->state = PW_DIAL_CONNECTING;
    dial->give_up_at_ns = now_ns + PW_DIAL_PATIENCE_NS;
    enum pw_dial_result result = dial_once(dial);
    return result == PW_DIAL_WAIT && dial->state == PW_DIAL_CONNECTING ? dial_once(dial) : result;
}

enum pw_dial_result pw_dial_go_on(struct pw_dial *dial, int64_t now_ns)
{
    if (dial->state == PW_DIAL_IDLE)
        return PW_DIAL_NO;
    enum pw_dial_result result =
        dial->state == PW_DIAL_ANSWERING ? converse(dial) : dial_once(dial);
    if (result == PW_DIAL_WAIT && now_ns >= dial->give_up_at_ns)
        result = PW_DIAL_NO;
    if (result != PW_DIAL_WAIT)
        pw_dial_done(dial); /* it is watched for events that must not come any more */
    return result;
}
