/* The network, by ioctl: netdevice(7). */
#include "wrapper/boot/guest/guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INTERFACES_MAX = 32, LINK_WAIT_MS = 2000 };
static const char step[] = "network";

static void set_flags(int fd, struct ifreq *request)
{
    if (ioctl(fd, SIOCGIFFLAGS, request) == 0) {
        request->ifr_flags |= IFF_UP;
        ioctl(fd, SIOCSIFFLAGS, request);
    }
}

void pw_guest_net_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        set_flags(fd, &request);
        close(fd);
    }
}

static bool find_interface(int fd, struct ifreq *request)
{
    for (int index = 1; index <= INTERFACES_MAX; index++) {
        request->ifr_ifindex = index;
        if (ioctl(fd, SIOCGIFNAME, request) == 0 && strcmp(request->ifr_name, "lo") != 0) {
            return true;
        }
    }
    return false;
}

static void put_address(struct sockaddr *to, in_addr_t address)
{
    const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    memcpy(to, &from, sizeof from);
}

static in_addr_t parse_address(const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1) {
        pw_guest_fault(step, EINVAL);
    }
    return address.s_addr;
}

/* What is sent before the link is there is lost, and tried again only after a second. IFF_RUNNING
 * would tell as well, but up to a second late. */
static void wait_for_link(int fd, const struct ifreq *interface)
{
    struct ifreq request = *interface;
    for (int waited_ms = 0; waited_ms < LINK_WAIT_MS; waited_ms++) {
        struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
        request.ifr_data = (char *)&link;
        if (ioctl(fd, SIOCETHTOOL, &request) != 0 || link.data != 0) {
            return;
        }
        pw_guest_nap();
    }
    pw_guest_fault(step, ENETDOWN);
}

static void change(int fd, unsigned long what, struct ifreq *request)
{
    if (ioctl(fd, what, request) != 0) {
        pw_guest_fault(step, errno);
    }
}

const char *pw_guest_net_up(char *network)
{
    char *bits_text = strchr(network, '/'), *gateway = strchr(network, ',');
    struct ifreq request = {0};
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    if (!bits_text || !gateway || gateway < bits_text) {
        pw_guest_fault(step, EINVAL);
        return NULL;
    }
    *bits_text++ = *gateway++ = '\0';
    char *name_server = strchr(gateway, ',');
    if (name_server) {
        *name_server++ = '\0';
        parse_address(name_server);
    }
    unsigned long bits = strtoul(bits_text, NULL, 10);
    if (bits < 1 || bits > 32) {
        pw_guest_fault(step, EINVAL);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        pw_guest_fault(step, errno);
    }
    if (!find_interface(fd, &request)) {
        pw_guest_fault(step, ENODEV);
    }
    put_address(&request.ifr_addr, parse_address(network));
    change(fd, SIOCSIFADDR, &request);
    put_address(&request.ifr_netmask, htonl(UINT32_MAX << (32 - bits)));
    change(fd, SIOCSIFNETMASK, &request);
    set_flags(fd, &request);
    wait_for_link(fd, &request);
    put_address(&route.rt_dst, INADDR_ANY);
    put_address(&route.rt_genmask, INADDR_ANY);
    put_address(&route.rt_gateway, parse_address(gateway));
    if (ioctl(fd, SIOCADDRT, &route) != 0) {
        pw_guest_fault(step, errno);
    }
    close(fd);
    return name_server;
}
