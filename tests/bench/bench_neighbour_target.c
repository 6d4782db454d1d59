/*
 * bench_neighbour_target SECONDS: stands in for `sleep` in one of several workers, and instead of
 * sleeping posts OTLP/JSON metrics to its endpoint for as long. BENCH_BODY names the file with the
 * request's body, BENCH_MB_PER_SEC the rate; with a rate of 0 it sleeps.
 *
 * Exit status 1 if it was not answered 200, or did not come to nine tenths of the rate.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct request {
    char head[512];
    size_t head_size;
    const char *body;
    size_t body_size;
};

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sleep_ms(double ms)
{
    if (ms <= 0)
        return;
    long seconds = (long)(ms / 1e3);
    nanosleep(&(struct timespec){.tv_sec = seconds,
                                 .tv_nsec = (long)((ms - (double)seconds * 1e3) * 1e6)},
              NULL);
}

/* The variable holds "http://127.0.0.1:PORT/PATH". */
static int connect_to_endpoint(const char **ret_path)
{
    static const char prefix[] = "http://127.0.0.1:";
    const char *url = getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
    if (!url || strncmp(url, prefix, sizeof prefix - 1) != 0)
        return -1;
    char *path = NULL;
    const unsigned long port = strtoul(url + sizeof prefix - 1, &path, 10);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    *ret_path = path;
    return fd;
}

static int send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Replies of the collector fit into one segment. */
static int post(int fd, const struct request *request)
{
    static const char ok[] = "HTTP/1.1 200";
    char reply[4096];
    if (send_all(fd, request->head, request->head_size) != 0 ||
        send_all(fd, request->body, request->body_size) != 0)
        return -1;
    ssize_t got = recv(fd, reply, sizeof reply, 0);
    return got > (ssize_t)sizeof ok && memcmp(reply, ok, sizeof ok - 1) == 0 ? 0 : -1;
}

static int post_for(double ms, double bytes_per_ms, const char *path_of_body)
{
    struct request request;
    struct stat facts;
    const char *path = NULL;
    int body = open(path_of_body, O_RDONLY | O_CLOEXEC);
    if (body < 0 || fstat(body, &facts) != 0)
        return fail(path_of_body);
    request.body_size = (size_t)facts.st_size;
    request.body = mmap(NULL, request.body_size, PROT_READ, MAP_PRIVATE, body, 0);
    int fd = connect_to_endpoint(&path);
    if (request.body == MAP_FAILED || fd < 0)
        return fail("connect to the endpoint");
    request.head_size = (size_t)snprintf(request.head, sizeof request.head,
                                         "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                                         "application/json\r\nContent-Length: %zu\r\n\r\n",
                                         path, request.body_size);
    double begin_ms = now_ms(), posted = 0;
    while (now_ms() < begin_ms + ms) {
        if (post(fd, &request) != 0)
            return fail("post");
        posted += (double)request.body_size;
        double next_ms = begin_ms + posted / bytes_per_ms;
        sleep_ms((next_ms < begin_ms + ms ? next_ms : begin_ms + ms) - now_ms());
    }
    return posted < 0.9 * ms * bytes_per_ms;
}

int main(int argc, char **argv)
{
    const char *body = getenv("BENCH_BODY"), *rate = getenv("BENCH_MB_PER_SEC");
    if (argc != 2 || !body || !rate) {
        fprintf(stderr,
                "usage: BENCH_BODY=FILE BENCH_MB_PER_SEC=N bench_neighbour_target SECONDS\n");
        return 2;
    }
    double bytes_per_ms = strtod(rate, NULL) * 1e3, ms = strtod(argv[1], NULL) * 1e3;
    if (bytes_per_ms > 0)
        return post_for(ms, bytes_per_ms, body);
    sleep_ms(ms);
    return 0;
}
