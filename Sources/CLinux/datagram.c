#define _GNU_SOURCE
#include "cbroker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

int cbroker_mute(int descriptor) {
    // An unconnected socket is shut down and reported as not connected (net/ipv4/af_inet.c, inet_shutdown).
    return shutdown(descriptor, SHUT_WR) == 0 || errno == ENOTCONN ? 0 : -errno;
}

// Whether a new socket, once it is mute, cannot send to an address (none: to its own): 1 if it was refused for its being
// mute, 0 if the address cannot be reached at all, -1 otherwise.
static int is_refused(int family, int protocol, const void *address, socklen_t length) {
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (descriptor < 0) return -1;
    struct sockaddr_storage own;
    if (address == NULL) {
        // Without a name it is given one (unix(7), "Autobind feature").
        sa_family_t unnamed = AF_UNIX;
        length = sizeof own;
        if (bind(descriptor, (const struct sockaddr *)&unnamed, sizeof unnamed) == 0 &&
            getsockname(descriptor, (struct sockaddr *)&own, &length) == 0)
            address = &own;
    }
    int off = 0, result = -1;
    if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (address != NULL && cbroker_mute(descriptor) == 0 &&
        sendto(descriptor, "", 0, MSG_NOSIGNAL, address, length) < 0) {
        if (errno == ENETUNREACH || errno == EADDRNOTAVAIL || errno == EHOSTUNREACH)
            result = 0;
        else if (errno == EPIPE && connect(descriptor, address, length) == 0 &&
                 send(descriptor, "", 0, MSG_NOSIGNAL) < 0 && errno == EPIPE)
            result = 1;
    }
    close(descriptor);
    return result;
}

int cbroker_can_mute(int family, int protocol) {
    // Port 9 discards what it gets (RFC 863), should it get something.
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    static const unsigned char loopback[16] = {[10] = 255, [11] = 255, [12] = 127, [15] = 1};
    memcpy(&mapped.sin6_addr, loopback, sizeof loopback);
    if (family == AF_UNIX) return is_refused(family, protocol, NULL, 0) == 1;
    if (family == AF_INET) return is_refused(family, protocol, &v4, sizeof v4) == 1;
    // Without IPv6 in this network such a socket still speaks IPv4.
    int six = is_refused(family, protocol, &v6, sizeof v6), four = is_refused(family, protocol, &mapped, sizeof mapped);
    return six >= 0 && four >= 0 && six + four > 0;
}

int cbroker_give_pair(int listener, uint64_t id, int pid, uint64_t place, int type, int close_on_exec) {
    int pair[2], numbers[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    int result = 0;
    for (int i = 0; i < 2 && result >= 0; i++) {
        struct seccomp_notif_addfd addition = {
            .id = id, .srcfd = (uint32_t)pair[i], .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
        result = numbers[i] = outcome(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition));
    }
    close(pair[0]);
    close(pair[1]);
    return result < 0 ? result : cbroker_write(pid, place, numbers, sizeof numbers);
}

int cbroker_give_as(int listener, uint64_t id, int descriptor, int number, int close_on_exec) {
    struct seccomp_notif_addfd addition = {.id = id,
                                           .flags = SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD,
                                           .srcfd = (uint32_t)descriptor,
                                           .newfd = (uint32_t)number,
                                           .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
    return outcome(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition));
}

int cbroker_write(int pid, uint64_t address, const void *buffer, int length) {
    struct iovec here = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = (size_t)length};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = (size_t)length};
    ssize_t count = process_vm_writev(pid, &here, 1, &there, 1, 0);
    if (count < 0) return -errno;
    return count == length ? 0 : -EFAULT;
}

int cbroker_send(int descriptor, const void *data, int count, const void *address, int length) {
    for (;;) {
        ssize_t sent =
            sendto(descriptor, data, (size_t)count, MSG_DONTWAIT | MSG_NOSIGNAL, address, (socklen_t)length);
        if (sent >= 0 || errno != EINTR) return outcome(sent);
    }
}

int cbroker_shares(int descriptor) {
    int address = 0, port = 0;
    socklen_t length = sizeof address;
    if (getsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &address, &length) < 0 ||
        getsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &port, &length) < 0)
        return -errno;
    return (address ? CBROKER_SHARES_ADDRESS : 0) | (port ? CBROKER_SHARES_PORT : 0);
}

int cbroker_share(int descriptor, int shares) {
    int address = (shares & CBROKER_SHARES_ADDRESS) != 0, port = (shares & CBROKER_SHARES_PORT) != 0;
    int result = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &address, sizeof address);
    return outcome(result < 0 ? result : setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &port, sizeof port));
}
