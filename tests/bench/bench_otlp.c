/*
 * How fast the collector takes in OTLP/HTTP: the same body again and again, over some connections.
 *
 *   bench_otlp BODY TYPE CONNECTIONS REQUESTS
 *
 * BODY is a file of delta metrics, TYPE "json" or "protobuf". It is sent with different times in
 * turn, for points that are sent again would not be added. The senders are threads of a process of
 * their own, so that the CPU time of this one is the collector's alone: HTTP, check, decoding and
 * aggregation. Prints one JSON object: datapoints as the collector counted them, cpu_sec, wall_sec,
 * points_per_cpu_sec, and the resident set after a tenth of the requests and at the end (KiB), for
 * a collector must not grow. Exit status 1 if a request was not answered 200.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "collector/collector.h"
#include "core/clock.h"
#include "core/file.h"

enum {
    CONNECTIONS_MAX = 64,
    BODY_MAX = 64 << 20,
    HEAD_MAX = 512,
    VARIANTS = 32, /* far more than the points of a series that the collector remembers */
};

/* What the senders share. */
struct load {
    const char *head;
    char *bodies[VARIANTS];
    size_t head_size, body_size;
    uint16_t port;
    long requests; /* of each connection */
    struct {
        long begun, done; /* requests of all connections */
    } volatile *counts;
};

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = send(fd, bytes, size, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* Reads one reply; true if it says 200. Replies of the collector are short and have a length. */
static bool read_reply(int fd)
{
    char reply[4096];
    size_t got = 0;
    for (;;) {
        ssize_t count = recv(fd, reply + got, sizeof reply - 1 - got, 0);
        if (count <= 0)
            return false;
        got += (size_t)count;
        reply[got] = '\0';
        const char *end = strstr(reply, "\r\n\r\n");
        const char *length = strcasestr(reply, "\r\ncontent-length:");
        if (!end)
            continue;
        size_t body = length ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
        if (got >= (size_t)(end + 4 - reply) + body)
            return strncmp(reply, "HTTP/1.1 200", strlen("HTTP/1.1 200")) == 0;
    }
}

static void *send_all(void *argument)
{
    const struct load *load = argument;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(load->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (long i = 0; i < load->requests; i++) {
        long variant = __atomic_fetch_add(&load->counts->begun, 1, __ATOMIC_RELAXED) % VARIANTS;
        if (!write_all(fd, load->head, load->head_size) ||
            !write_all(fd, load->bodies[variant], load->body_size) || !read_reply(fd))
            break;
        __atomic_add_fetch(&load->counts->done, 1, __ATOMIC_RELAXED);
    }
    close(fd);
    return NULL;
}

static int send_from_here(struct load *load, int connections)
{
    pthread_t threads[CONNECTIONS_MAX];
    for (int i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, send_all, load) != 0)
            return 1;
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    return load->counts->done == load->requests * connections ? 0 : 1;
}

static long resident_kb(void)
{
    PW_FREE_AUTO char *text = NULL;
    if (pw_file_read("/proc/self/statm", HEAD_MAX, &text, NULL, NULL) != 0)
        return 0;
    char *second = strchr(text, ' ');
    return second ? strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static double cpu_sec(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Moves the points' times by `seconds`; returns how many there were. In JSON two digits
 * of the seconds are replaced, in protobuf fixed64 fields 3 that hold a time of our days are (tag
 * 0x19). */
static size_t shift_times(char *body, size_t size, bool is_json, unsigned seconds)
{
    static const char member[] = "\"timeUnixNano\": \"";
    enum { SECONDS_DIGITS = 8, TAG = 0x19 };
    size_t count = 0;
    for (char *at = body;
         is_json && (at = memmem(at, size - (size_t)(at - body), member, sizeof member - 1));
         count++) {
        at += sizeof member - 1;
        at[SECONDS_DIGITS] = (char)('0' + seconds / 10);
        at[SECONDS_DIGITS + 1] = (char)('0' + seconds % 10);
    }
    for (size_t i = 0; !is_json && i + 9 <= size; i++) {
        uint64_t time;
        memcpy(&time, body + i + 1, sizeof time);
        if (body[i] != TAG || time < UINT64_C(1700000000000000000) ||
            time > UINT64_C(1900000000000000000))
            continue;
        time += seconds * (uint64_t)PW_NS_PER_SEC;
        memcpy(body + i + 1, &time, sizeof time);
        count++;
        i += sizeof time;
    }
    return count;
}

static bool make_bodies(struct load *load, const char *body, bool is_json)
{
    for (unsigned i = 0; i < VARIANTS; i++) {
        load->bodies[i] = malloc(load->body_size);
        if (!load->bodies[i])
            return false;
        memcpy(load->bodies[i], body, load->body_size);
        if (shift_times(load->bodies[i], load->body_size, is_json, i) == 0)
            return false;
    }
    return true;
}

static int measure(struct pw_collector *collector, struct load *load, int connections)
{
    struct pw_endpoint *endpoint;
    struct pw_telemetry telemetry = {0};
    if (pw_endpoint_open(collector, &(struct pw_endpoint_options){.is_public = true}, &endpoint,
                         NULL) != 0)
        return 1;
    double cpu_before = cpu_sec();
    int64_t began = pw_clock_now_ns();
    pid_t sender = fork();
    if (sender == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(send_from_here(load, connections));
    }
    long early_kb = 0, tenth = load->requests * connections / 10;
    int status = 1;
    while (waitpid(sender, &status, WNOHANG) == 0) {
        if (early_kb == 0 && __atomic_load_n(&load->counts->done, __ATOMIC_RELAXED) >= tenth)
            early_kb = resident_kb();
        usleep(1000); /* nothing waits for this; it only watches */
    }
    pw_endpoints_flush(collector, &endpoint, 1, 60000);
    double wall = pw_ns_to_sec(pw_clock_now_ns() - began), cpu = cpu_sec() - cpu_before;
    long late_kb = resident_kb();
    if (pw_endpoint_close(endpoint, &telemetry, NULL) != 0)
        return 1;
    printf("{\"datapoints\": %llu, \"cpu_sec\": %.6f, \"wall_sec\": %.6f, "
           "\"points_per_cpu_sec\": %.0f, \"early_rss_kb\": %ld, \"late_rss_kb\": %ld, "
           "\"requests\": %ld}\n",
           (unsigned long long)telemetry.datapoints, cpu, wall, (double)telemetry.datapoints / cpu,
           early_kb, late_kb, load->counts->done);
    /* A sender that was held up may repeat a time just then: one in a hundred at the most. */
    bool all_added = telemetry.losses[PW_LOSS_REPEATED] <= telemetry.datapoints / 100;
    pw_telemetry_done(&telemetry);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && all_added ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *body = NULL;
    char head[HEAD_MAX];
    struct load load = {.head = head};
    int connections = argc == 5 ? (int)strtol(argv[3], NULL, 10) : 0;
    if (connections < 1 || connections > CONNECTIONS_MAX) {
        fprintf(stderr, "usage: bench_otlp BODY json|protobuf CONNECTIONS REQUESTS\n");
        return 2;
    }
    struct pw_classifier *classifier = NULL;
    struct pw_collector *collector = NULL;
    if (pw_file_read(argv[1], BODY_MAX, &body, &load.body_size, &err) != 0 ||
        pw_classifier_new(&pw_classifier_defaults, &classifier, &err) != 0 ||
        pw_collector_start(&(struct pw_collector_options){.classifier = classifier}, &collector,
                           &err) != 0) {
        fprintf(stderr, "bench_otlp: %s\n", err.message);
        return 1;
    }
    bool is_json = strcmp(argv[2], "json") == 0;
    if (!make_bodies(&load, body, is_json)) {
        fprintf(stderr, "bench_otlp: %s holds no times\n", argv[1]);
        return 1;
    }
    load.requests = strtol(argv[4], NULL, 10) / connections;
    load.port = (uint16_t)strtoul(strrchr(pw_collector_url(collector), ':') + 1, NULL, 10);
    load.counts =
        mmap(NULL, sizeof *load.counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    load.head_size = (size_t)snprintf(head, sizeof head,
                                      "POST /v1/metrics HTTP/1.1\r\nHost: bench\r\nContent-Type: "
                                      "application/%s\r\nContent-Length: %zu\r\n\r\n",
                                      is_json ? "json" : "x-protobuf", load.body_size);
    int status = load.counts == MAP_FAILED ? 1 : measure(collector, &load, connections);
    for (unsigned i = 0; i < VARIANTS; i++)
        free(load.bodies[i]);
    pw_collector_stop(collector);
    pw_classifier_free(classifier);
    return status;
}
