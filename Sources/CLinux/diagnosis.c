#define _GNU_SOURCE
#include "cbroker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { TCP_LISTEN_STATE = 10 }; // include/net/tcp_states.h

int cbroker_diagnosis(void) {
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    return descriptor < 0 ? -errno : descriptor;
}

// Reads the one answer to a request that asks for one socket. The kernel makes it within the request's own send(2)
// (net/netlink/af_netlink.c, netlink_unicast_kernel), so it is there, or is an error.
static int answer(int descriptor, struct inet_diag_msg *found) {
    union {
        struct nlmsghdr header;
        char bytes[2048];
    } reply;
    ssize_t count = recv(descriptor, &reply, sizeof reply, 0);
    if (count < 0) return -errno;
    if (!NLMSG_OK(&reply.header, (unsigned)count)) return -EPROTO;
    if (reply.header.nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr error;
        if (reply.header.nlmsg_len < NLMSG_LENGTH(sizeof error)) return -EPROTO;
        memcpy(&error, NLMSG_DATA(&reply.header), sizeof error);
        return error.error < 0 ? error.error : -EPROTO;
    }
    if (reply.header.nlmsg_len < NLMSG_LENGTH(sizeof *found)) return -EPROTO;
    memcpy(found, NLMSG_DATA(&reply.header), sizeof *found);
    return 0;
}

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

static struct question question(int family, int protocol, uint32_t states) {
    return (struct question){
        .header = {.nlmsg_len = sizeof(struct question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = (uint8_t)family,
                    .sdiag_protocol = (uint8_t)protocol,
                    .idiag_states = states,
                    // lo's number (include/net/flow.h, LOOPBACK_IFINDEX): sockets that are bound to it are found too.
                    .id.idiag_if = 1,
                    .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
    };
}

// The family of what was found, and whether it stands on this address of 4 or 16 bytes alone.
static int place(const struct inet_diag_msg *found, const unsigned char *address, int length, int *is_exact) {
    static const unsigned char mapped[12] = {[10] = 255, [11] = 255};
    const unsigned char *own = (const unsigned char *)found->id.idiag_src;
    if (found->idiag_family == AF_INET) {
        *is_exact = length == 4 && memcmp(own, address, 4) == 0;
        return 4;
    }
    *is_exact = length == 4 ? memcmp(own, mapped, 12) == 0 && memcmp(own + 12, address, 4) == 0
                            : memcmp(own, address, 16) == 0;
    return 6;
}

int cbroker_find_listener(int diagnosis, const unsigned char *address, int length, int port, int *is_exact) {
    struct question message = question(length == 4 ? AF_INET : AF_INET6, IPPROTO_TCP, 1u << TCP_LISTEN_STATE);
    message.request.id.idiag_sport = htons((uint16_t)port);
    memcpy(message.request.id.idiag_src, address, (size_t)length);
    if (send(diagnosis, &message, sizeof message, 0) < 0) return -errno;
    struct inet_diag_msg found;
    int result = answer(diagnosis, &found);
    if (result == -ENOENT) return 0;
    if (result < 0) return result;
    return found.idiag_state == TCP_LISTEN_STATE ? place(&found, address, length, is_exact) : 0;
}

int cbroker_find_receiver(int diagnosis, int protocol, const unsigned char from[4], int from_port,
                          const unsigned char to[4], int to_port, int *is_exact) {
    struct question message = question(AF_INET, protocol, ~0u);
    // Of UDP the kernel takes the source for the other end's address (net/ipv4/udp_diag.c, udp_dump_one).
    message.request.id.idiag_sport = htons((uint16_t)from_port);
    message.request.id.idiag_dport = htons((uint16_t)to_port);
    memcpy(message.request.id.idiag_src, from, 4);
    memcpy(message.request.id.idiag_dst, to, 4);
    if (send(diagnosis, &message, sizeof message, 0) < 0) return -errno;
    struct inet_diag_msg found;
    int result = answer(diagnosis, &found);
    if (result == -ENOENT) return 0;
    return result < 0 ? result : place(&found, to, 4, is_exact);
}

// What is looked for: a file by its numbers, or an abstract name.
struct wanted {
    int is_file;
    struct unix_diag_vfs file;
    const unsigned char *name;
    int length;
};

static int is_wanted(const struct nlmsghdr *header, const struct wanted *wanted) {
    struct rtattr *attribute = (struct rtattr *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct unix_diag_msg)));
    int rest = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg)));
    for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
        int length = (int)RTA_PAYLOAD(attribute);
        if (wanted->is_file && attribute->rta_type == UNIX_DIAG_VFS && length == (int)sizeof wanted->file)
            return memcmp(RTA_DATA(attribute), &wanted->file, sizeof wanted->file) == 0;
        if (!wanted->is_file && attribute->rta_type == UNIX_DIAG_NAME)
            return length == wanted->length && memcmp(RTA_DATA(attribute), wanted->name, (size_t)length) == 0;
    }
    return 0;
}

int64_t cbroker_find_unix(int diagnosis, int type, int place, const unsigned char *name, int length) {
    struct wanted wanted = {.is_file = place >= 0, .name = name, .length = length};
    if (place >= 0) {
        struct stat status;
        if (fstat(place, &status) < 0) return -errno;
        // The kernel's own form of a device's number, and the inode's low half (net/unix/diag.c, sk_diag_dump_vfs).
        wanted.file.udiag_vfs_ino = (uint32_t)status.st_ino;
        wanted.file.udiag_vfs_dev = (uint32_t)(major(status.st_dev) << 20 | minor(status.st_dev));
    }
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = type == SOCK_DGRAM ? ~0u : 1u << TCP_LISTEN_STATE,
                    .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS},
    };
    if (send(diagnosis, &message, sizeof message, 0) < 0) return -errno;
    int64_t found = 0;
    // To its end: a dump that is left half read makes the next request fail (EBUSY).
    for (;;) {
        union {
            struct nlmsghdr header;
            char bytes[16384];
        } reply;
        ssize_t count = recv(diagnosis, &reply, sizeof reply, 0);
        if (count < 0) return errno == EAGAIN ? found : -errno;
        unsigned rest = (unsigned)count;
        for (struct nlmsghdr *header = &reply.header; NLMSG_OK(header, rest); header = NLMSG_NEXT(header, rest)) {
            if (header->nlmsg_type == NLMSG_DONE) return found;
            if (header->nlmsg_type == NLMSG_ERROR) return -EPROTO;
            if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) continue;
            struct unix_diag_msg socket;
            memcpy(&socket, NLMSG_DATA(header), sizeof socket);
            int is_kind = type != SOCK_DGRAM || socket.udiag_type == SOCK_DGRAM;
            if (!is_kind || !is_wanted(header, &wanted)) continue;
            // Of a file's inode the kernel tells half, so two may look alike.
            found = found == 0 || found == socket.udiag_ino ? socket.udiag_ino : -EEXIST;
        }
    }
}
