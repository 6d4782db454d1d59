/*
 * A network for tests: this process in a network namespace of its own, and a link from there to
 * another one whose packets take as long as the test wants, or are lost. Two TUN devices and a
 * thread that carries packets between them: sch_netem, which would do the same, is a module that
 * not every kernel has. Both ends are the kernel's own TCP.
 *
 * Needs root and /dev/net/tun.
 */
#ifndef PW_TESTS_SLOW_LINK_H
#define PW_TESTS_SLOW_LINK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOW_LINK_NEAR "10.83.0.1"
#define SLOW_LINK_FAR "10.83.0.2"

enum { SLOW_LINK_PACKETS = 1024, SLOW_LINK_BYTES = 2048 };

struct slow_packet {
    int64_t due_ns;
    int to; /* of the link's ends */
    size_t size;
    unsigned char bytes[SLOW_LINK_BYTES];
};

struct slow_link {
    int ends[2];           /* TUN devices: near, far */
    atomic_llong delay_ns; /* of each direction */
    atomic_uint lose_data; /* so many of the next packets with data that go to the far end */
    atomic_bool ends_now;
    pthread_t thread;
    unsigned first, count; /* a ring, by the time they are due */
    struct slow_packet packets[SLOW_LINK_PACKETS];
};

static inline int64_t slow_link_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline bool slow_link_up(const char *name, const char *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    struct sockaddr_in in = {.sin_family = AF_INET};
    bool good = true;
    if (address) {
        inet_pton(AF_INET, address, &in.sin_addr);
        memcpy(&request.ifr_addr, &in, sizeof(in));
        good = ioctl(fd, SIOCSIFADDR, &request) == 0;
        inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
        memcpy(&request.ifr_netmask, &in, sizeof(in));
        good = good && ioctl(fd, SIOCSIFNETMASK, &request) == 0;
    }
    good = good && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags |= IFF_UP;
    good = good && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return good;
}

/* A namespace of one's own, with its loopback. */
static inline bool slow_link_enter(void)
{
    return unshare(CLONE_NEWNET) == 0 && slow_link_up("lo", NULL);
}

static inline int slow_link_tun(const char *address)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 && slow_link_up(request.ifr_name, address)) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* IPv4 and TCP with more than their headers. */
static inline bool slow_link_has_data(const unsigned char *packet, size_t size)
{
    if (size < 40 || packet[0] >> 4 != 4 || packet[9] != IPPROTO_TCP) {
        return false;
    }
    size_t header = (packet[0] & 15UL) * 4;
    return size > header + 13 && size > header + (packet[header + 12] >> 4) * 4UL;
}

static inline void slow_link_receive(struct slow_link *link, int from)
{
    while (link->count < SLOW_LINK_PACKETS) {
        struct slow_packet *packet =
            &link->packets[(link->first + link->count) % SLOW_LINK_PACKETS];
        ssize_t got = read(link->ends[from], packet->bytes, sizeof(packet->bytes));
        if (got <= 0) {
            return;
        }
        packet->size = (size_t)got;
        packet->to = !from;
        packet->due_ns = slow_link_now_ns() + atomic_load(&link->delay_ns);
        if (from == 0 && atomic_load(&link->lose_data) &&
            slow_link_has_data(packet->bytes, packet->size)) {
            atomic_fetch_sub(&link->lose_data, 1);
            continue;
        }
        link->count++;
    }
}

static inline void *slow_link_run(void *argument)
{
    struct slow_link *link = argument;
    prctl(PR_SET_TIMERSLACK, 1);
    while (!atomic_load(&link->ends_now)) {
        int64_t now = slow_link_now_ns(), wait = 20000000;
        while (link->count && link->packets[link->first].due_ns <= now) {
            struct slow_packet *packet = &link->packets[link->first];
            if (write(link->ends[packet->to], packet->bytes, packet->size) < 0) {
                /* The device is full: lost, as on any network. */
            }
            link->first = (link->first + 1) % SLOW_LINK_PACKETS;
            link->count--;
        }
        if (link->count && link->packets[link->first].due_ns - now < wait) {
            wait = link->packets[link->first].due_ns - now;
        }
        struct pollfd polled[2] = {{.fd = link->ends[0], .events = POLLIN},
                                   {.fd = link->ends[1], .events = POLLIN}};
        struct timespec timeout = {.tv_nsec = wait};
        if (ppoll(polled, 2, &timeout, NULL) > 0) {
            slow_link_receive(link, 0);
            slow_link_receive(link, 1);
        }
    }
    return NULL;
}

/* A TCP listener of any port (*ret_port, network order) in the namespace that this thread is in. */
static inline int slow_link_listen(int family, uint16_t *ret_port)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {0};
    address.sin6_family = (sa_family_t)family;
    socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    *ret_port = address.sin6_port; /* at the same place in both families */
    return fd;
}

/* Begins the link, and listens at its far end. NULL: not possible here. */
static inline struct slow_link *slow_link_begin(int delay_ms, int *ret_listener, uint16_t *ret_port)
{
    struct slow_link *link = calloc(1, sizeof(*link));
    int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (!link || here < 0) {
        free(link);
        return NULL;
    }
    atomic_store(&link->delay_ns, (int64_t)delay_ms * 1000000);
    link->ends[0] = slow_link_tun(SLOW_LINK_NEAR);
    link->ends[1] = *ret_listener = -1;
    if (unshare(CLONE_NEWNET) == 0) {
        link->ends[1] = slow_link_tun(SLOW_LINK_FAR);
        *ret_listener = slow_link_listen(AF_INET, ret_port);
    }
    bool back = setns(here, CLONE_NEWNET) == 0;
    close(here);
    if (!back || link->ends[0] < 0 || link->ends[1] < 0 || *ret_listener < 0 ||
        pthread_create(&link->thread, NULL, slow_link_run, link) != 0) {
        free(link); /* its descriptors go with the test */
        return NULL;
    }
    return link;
}

static inline void slow_link_end(struct slow_link *link)
{
    atomic_store(&link->ends_now, true);
    pthread_join(link->thread, NULL);
    close(link->ends[0]);
    close(link->ends[1]);
    free(link);
}

#endif
