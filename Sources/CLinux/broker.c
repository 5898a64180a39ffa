#define _GNU_SOURCE
#include "clinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

int cbroker_is_available(void) {
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    return outcome(syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
}

// MARK: The listener's way from the child to the janitor

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int cbroker_send_descriptor(int socket, int descriptor) {
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union control control = {{0}};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    for (;;) {
        ssize_t count = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (count >= 0 || errno != EINTR) return outcome(count);
    }
}

int cbroker_take_descriptor(int socket) {
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union control control = {{0}};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    for (;;) {
        ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (count == 0 || header == NULL || header->cmsg_type != SCM_RIGHTS) return -EPIPE;
        int descriptor;
        memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
        return descriptor;
    }
}

// MARK: Calls that wait

static int control(int listener, unsigned long request, void *argument) {
    for (;;) {
        int result = ioctl(listener, request, argument);
        if (result >= 0 || errno != EINTR) return outcome(result);
    }
}

int cbroker_receive(int listener, struct cbroker_call *call) {
    // The kernel refuses a structure that is not all zero (EINVAL).
    struct seccomp_notif notification = {0};
    int result = control(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification);
    if (result < 0) return result;
    call->id = notification.id;
    call->pid = (int32_t)notification.pid;
    call->number = notification.data.nr;
    for (int i = 0; i < 6; i++) call->arguments[i] = notification.data.args[i];
    return 0;
}

int cbroker_answer(int listener, uint64_t id, int64_t result, int error) {
    struct seccomp_notif_resp answer = {.id = id, .val = error ? 0 : result, .error = -error};
    return control(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

int cbroker_proceed(int listener, uint64_t id) {
    struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    return control(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

int cbroker_give(int listener, uint64_t id, int descriptor, int close_on_exec) {
    struct seccomp_notif_addfd addition = {.id = id,
                                           .flags = SECCOMP_ADDFD_FLAG_SEND,
                                           .srcfd = (uint32_t)descriptor,
                                           .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
    return control(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition);
}

int cbroker_replace(int listener, uint64_t id, int descriptor, int number, int close_on_exec) {
    struct seccomp_notif_addfd addition = {.id = id,
                                           .flags = SECCOMP_ADDFD_FLAG_SETFD,
                                           .srcfd = (uint32_t)descriptor,
                                           .newfd = (uint32_t)number,
                                           .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
    return control(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition);
}

int cbroker_read(int pid, uint64_t address, void *buffer, int length) {
    struct iovec here = {.iov_base = buffer, .iov_len = (size_t)length};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = (size_t)length};
    ssize_t count = process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (count < 0) return -errno;
    return count == length ? 0 : -EFAULT;
}

int cbroker_is_waiting(int listener, uint64_t id) {
    return control(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

// MARK: Descriptors of the caller

// The inode in "socket:[123]".
static int64_t inode_of(int folder, const char *name) {
    char link[64];
    ssize_t count = readlinkat(folder, name, link, sizeof link - 1);
    if (count < 0) return errno == ENOENT ? -EBADF : -errno;
    link[count] = 0;
    return strncmp(link, "socket:[", 8) == 0 ? strtoll(link + 8, NULL, 10) : -ENOTSOCK;
}

int64_t cbroker_socket_inode(int pid, int descriptor) {
    if (descriptor < 0) return -EBADF;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, descriptor);
    return inode_of(AT_FDCWD, path);
}

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// Whether it came to the end before `until`.
static int mark_held(int processes, const char *pid, const int64_t *inodes, unsigned char *held, int count, int64_t until) {
    char path[64];
    snprintf(path, sizeof path, "%.20s/fd", pid);
    int folder = openat(processes, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return 1;
    DIR *descriptors = fdopendir(folder);
    if (descriptors == NULL) {
        close(folder);
        return 1;
    }
    int in_time = 1;
    unsigned looked = 0;
    for (struct dirent *entry; in_time && (entry = readdir(descriptors)) != NULL;) {
        if (++looked % 64 == 0) in_time = microseconds() < until;
        int64_t inode = entry->d_name[0] == '.' ? -1 : inode_of(folder, entry->d_name);
        if (inode < 0) continue;
        for (int i = 0; i < count; i++) held[i] |= inodes[i] == inode;
    }
    closedir(descriptors);
    return in_time;
}

void cbroker_find_held(const int64_t *inodes, unsigned char *held, int count, int64_t budget) {
    DIR *processes = opendir("/proc");
    // What cannot be told is taken to be so: the socket is kept.
    memset(held, processes == NULL, (size_t)count);
    if (processes == NULL) return;
    char self[16];
    snprintf(self, sizeof self, "%d", (int)getpid());
    int64_t until = microseconds() + budget;
    int in_time = 1;
    for (struct dirent *entry; in_time && (entry = readdir(processes)) != NULL;) {
        char first = entry->d_name[0];
        if (first < '1' || first > '9' || strcmp(entry->d_name, self) == 0) continue;
        in_time = mark_held(dirfd(processes), entry->d_name, inodes, held, count, until) && microseconds() < until;
    }
    closedir(processes);
    if (!in_time) memset(held, 1, (size_t)count);
}

int cbroker_process_link(int pid, const char *name, char *buffer, int size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return outcome(readlink(path, buffer, (size_t)size));
}

int cbroker_process_file(int pid, const char *name, char *buffer, int size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    int result = outcome(read(file, buffer, (size_t)size));
    close(file);
    return result;
}

int cbroker_closes_on_exec(int pid, int descriptor) {
    char name[32], text[512];
    snprintf(name, sizeof name, "fdinfo/%d", descriptor);
    int count = cbroker_process_file(pid, name, text, sizeof text - 1);
    if (count < 0) return 0;
    text[count] = 0;
    const char *flags = strstr(text, "flags:");
    return flags != NULL && (strtol(flags + 6, NULL, 8) & O_CLOEXEC) != 0;
}

static uint64_t mask(const char *status, const char *name) {
    const char *line = strstr(status, name);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 16);
}

int cbroker_has_signal(int pid) {
    char status[4096];
    int count = cbroker_process_file(pid, "status", status, sizeof status - 1);
    if (count < 0) return 0;
    status[count] = 0;
    // The name in its first line has its newlines escaped (fs/proc/array.c, task_name).
    uint64_t pending = mask(status, "\nSigPnd:") | mask(status, "\nShdPnd:");
    return (pending & ~mask(status, "\nSigBlk:") & mask(status, "\nSigCgt:")) != 0;
}

// MARK: Sockets

int cbroker_socket(int family, int type, int protocol) {
    return outcome(socket(family, type | SOCK_CLOEXEC, protocol));
}

int cbroker_connect(int descriptor, const void *address, int length) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    // The flag belongs to the socket, which the caller has too: it is put back at once. Nobody can wait on a socket that
    // is not connected, so nobody misses it.
    if (!(flags & O_NONBLOCK) && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    int result = outcome(connect(descriptor, address, (socklen_t)length));
    if (!(flags & O_NONBLOCK)) fcntl(descriptor, F_SETFL, flags);
    return result;
}

int cbroker_open_beneath(int root, const char *path) {
    return clinux_open_beneath(root, path, O_PATH | O_CLOEXEC, 0, 0);
}

int cbroker_is_missing(const char *path) {
    struct stat information;
    return stat(path, &information) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

// SO_PEERPIDFD (asm-generic/socket.h, Linux 6.5), which Debian 12's headers do not know.
#define PEER_PIDFD 77

int cbroker_listened(int descriptor) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid != getpid()) return 0;
    // The number alone could be that of a process that has gone; of such a one there is no pidfd.
    int pidfd = -1;
    length = sizeof pidfd;
    if (getsockopt(descriptor, SOL_SOCKET, PEER_PIDFD, &pidfd, &length) < 0) return 0;
    close(pidfd);
    return 1;
}

int cbroker_has_name(int descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return getsockname(descriptor, (struct sockaddr *)&address, &length) == 0 && length > sizeof(sa_family_t);
}

int cbroker_is_connected(int descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return getpeername(descriptor, (struct sockaddr *)&address, &length) == 0;
}

void cbroker_copy_options(int from, int to) {
    static const int options[] = {SO_PASSCRED, SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT, SO_LINGER};
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        char value[64];
        socklen_t length = sizeof value;
        if (getsockopt(from, SOL_SOCKET, options[i], value, &length) == 0)
            setsockopt(to, SOL_SOCKET, options[i], value, length);
    }
    static const int sizes[] = {SO_SNDBUF, SO_RCVBUF};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int value;
        socklen_t length = sizeof value;
        if (getsockopt(from, SOL_SOCKET, sizes[i], &value, &length) < 0) continue;
        // The kernel doubles what it is given (socket(7)).
        value /= 2;
        setsockopt(to, SOL_SOCKET, sizes[i], &value, sizeof value);
    }
}

// A line of /proc/net/tcp: "sl: ADDRESS:PORT ADDRESS:PORT STATE …" (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
static int listens(const char *path, const char *wanted) {
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    char line[512], local[64], state[8];
    int found = 0;
    while (!found && fgets(line, sizeof line, file) != NULL)
        // 0A is TCP_LISTEN.
        found = sscanf(line, " %*s %63s %*s %7s", local, state) == 2 && strcmp(state, "0A") == 0 &&
                strcmp(local, wanted) == 0;
    fclose(file);
    return found;
}

int cbroker_listening_family(const unsigned char address[4], int port) {
    uint32_t word;
    memcpy(&word, address, sizeof word);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%08X:%04X", word, port);
    if (listens("/proc/net/tcp", wanted)) return 4;
    snprintf(wanted, sizeof wanted, "0000000000000000FFFF0000%08X:%04X", word, port);
    return listens("/proc/net/tcp6", wanted) ? 6 : 0;
}

int cbroker_take_mapped(int descriptor) {
    int only = 0, off = 0;
    socklen_t length = sizeof only;
    if (getsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) < 0) return -errno;
    if (only && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0) return -errno;
    return only;
}

// MARK: Waiting

int cbroker_set(void) { return outcome(epoll_create1(EPOLL_CLOEXEC)); }

int cbroker_watch(int set, int descriptor, int for_output, int64_t token) {
    struct epoll_event event = {.events = for_output ? EPOLLOUT : EPOLLIN, .data.u64 = (uint64_t)token};
    return outcome(epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event));
}

int cbroker_forget(int set, int descriptor) {
    struct epoll_event event = {0};
    return outcome(epoll_ctl(set, EPOLL_CTL_DEL, descriptor, &event));
}

int64_t cbroker_next(int set) {
    struct epoll_event event;
    int count = epoll_wait(set, &event, 1, 0);
    if (count <= 0) return 0;
    int64_t token = (int64_t)event.data.u64;
    return event.events == EPOLLHUP ? -token : token;
}
