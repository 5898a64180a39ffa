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

// An address that a socket of the family can send to: of a Unix socket its own.
static socklen_t some_address(int descriptor, int family, struct sockaddr_storage *address) {
    // Port 9 discards what it gets (RFC 863), should it get something.
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    sa_family_t unnamed = AF_UNIX;
    socklen_t length = sizeof *address;
    switch (family) {
    case AF_INET: memcpy(address, &v4, sizeof v4); return sizeof v4;
    case AF_INET6: memcpy(address, &v6, sizeof v6); return sizeof v6;
    default:
        // Without a name it is given one (unix(7), "Autobind feature").
        if (bind(descriptor, (const struct sockaddr *)&unnamed, sizeof unnamed) < 0) return 0;
        return getsockname(descriptor, (struct sockaddr *)address, &length) < 0 ? 0 : length;
    }
}

int cbroker_can_mute(int family, int protocol) {
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (descriptor < 0) return 0;
    struct sockaddr_storage address;
    const struct sockaddr *to = (const struct sockaddr *)&address;
    socklen_t length = some_address(descriptor, family, &address);
    int is_mute = length > 0 && cbroker_mute(descriptor) == 0 &&
                  sendto(descriptor, "", 0, MSG_NOSIGNAL, to, length) < 0 && errno == EPIPE &&
                  connect(descriptor, to, length) == 0 && send(descriptor, "", 0, MSG_NOSIGNAL) < 0 && errno == EPIPE;
    close(descriptor);
    return is_mute;
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
