// The kernel's side of the connect broker: system calls of a jailed process that wait for the janitor's answer
// (seccomp's user notification, seccomp_unotify(2)), and what the janitor needs to know of the caller.
//
// Every function returns a result >= 0, or -errno. None of them allocates; none waits but cbroker_receive, and that
// only if it is called without a call being there.
#ifndef CBROKER_H
#define CBROKER_H

#include <stdint.h>

// A call that waits. The arguments are the kernel's copy: the caller cannot change them any more.
struct cbroker_call {
    uint64_t id;
    int32_t pid; // of the thread
    int32_t number;
    uint64_t arguments[6];
};

// Whether this kernel, and what filters us, knows the notification.
int cbroker_is_available(void);
// Sends an open descriptor through a Unix socket, and takes one (close-on-exec); -EPIPE if the other end has gone.
int cbroker_send_descriptor(int socket, int descriptor);
int cbroker_take_descriptor(int socket);

// The next call that waits; to be called once the listener is readable. -ENOENT if the caller has gone meanwhile.
int cbroker_receive(int listener, struct cbroker_call *call);
// Ends a call with a result, or with an error (errno, positive). -ENOENT if the caller has gone, or was interrupted.
int cbroker_answer(int listener, uint64_t id, int64_t result, int error);
// Has the kernel make the call after all. Only for what the kernel itself decides: the caller can change its memory.
int cbroker_proceed(int listener, uint64_t id);
// Puts a copy of `descriptor` into the caller, and ends its call with the copy's number.
int cbroker_give(int listener, uint64_t id, int descriptor, int close_on_exec);
// Puts a copy of `descriptor` into the caller under `number`, in the place of what is there. The call goes on waiting.
int cbroker_replace(int listener, uint64_t id, int descriptor, int number, int close_on_exec);
// Reads the memory of a process that waits: all of it or -EFAULT.
int cbroker_read(int pid, uint64_t address, void *buffer, int length);
// Whether the call still waits: if so, what was read under its pid was the caller's.
int cbroker_is_waiting(int listener, uint64_t id);

// What /proc calls a descriptor of a process: the inode of a socket; -EBADF, -ENOTSOCK, or why it cannot be seen.
int64_t cbroker_socket_inode(int pid, int descriptor);
// Marks in `held` which of the sockets are open in some process but ours. It looks through the descriptors of every
// process that we may look into: those of the command, and few others. It ends after `budget` microseconds; all are marked
// then.
void cbroker_find_held(const int64_t *inodes, unsigned char *held, int count, int64_t budget);
// Whether a descriptor of a process is closed when it executes a program.
int cbroker_closes_on_exec(int pid, int descriptor);
// A link of /proc/<pid> (cwd), or a file of it (comm): how many bytes were put into `buffer`.
int cbroker_process_link(int pid, const char *name, char *buffer, int size);
int cbroker_process_file(int pid, const char *name, char *buffer, int size);

// Whether a signal waits for the thread that it has a handler for and does not block.
int cbroker_has_signal(int pid);

// A TCP or Unix socket, close-on-exec; blocking or not as in `type`.
int cbroker_socket(int family, int type, int protocol);
// connect(2) that never waits, whatever the socket's own mode is.
int cbroker_connect(int descriptor, const void *address, int length);
// An O_PATH descriptor of what `path` names beneath `root`, links that stay beneath it followed.
int cbroker_open_beneath(int root, const char *path);
int cbroker_is_missing(const char *path);
// Whether it was we who called listen(2) for the socket's peer.
int cbroker_listened(int descriptor);
// Whether the socket has an address, and whether a peer.
int cbroker_has_name(int descriptor);
int cbroker_is_connected(int descriptor);
// The options that a Unix socket can have been given before it is connected.
void cbroker_copy_options(int from, int to);
// What listens on exactly this IPv4 address (network order) and port: 4 for a socket of IPv4, 6 for one of IPv6 that has
// the address as a mapped one, 0 for none. For kernels without sock_diag(7): it reads through all TCP sockets.
int cbroker_listening_family(const unsigned char address[4], int port);
// A socket to ask the kernel for sockets by (sock_diag(7)).
int cbroker_diagnosis(void);
// What takes connections to an address of 4 or 16 bytes (network order): 4 for a socket of IPv4, 6 for one of IPv6, 0 for
// none. is_exact: whether it stands on that address alone, not on "any". Microseconds, however many sockets there are.
int cbroker_find_listener(int diagnosis, const unsigned char *address, int length, int port, int *is_exact);
// The inode of the Unix socket of this type (SOCK_DGRAM; else: that listens) at the file that `place` was opened for, or, if
// that is negative, at an abstract name (its bytes with the leading zero). 0: none, or one whose file system gives its files
// other numbers than stat(2) says. -EEXIST: several, for all that the kernel tells.
int64_t cbroker_find_unix(int diagnosis, int type, int place, const unsigned char *name, int length);
// Switches IPV6_V6ONLY off; whether it was on.
int cbroker_take_mapped(int descriptor);

// MARK: Datagrams

// Takes a datagram socket the right to send, for good: every way to send on it fails with EPIPE, whoever has it. The kernel
// looks before it makes the first buffer of a datagram (net/core/sock.c, sock_alloc_send_pskb), and nothing clears the
// flag. It still receives, can be bound, and connected.
int cbroker_mute(int descriptor);
// Whether that is so on this kernel, for a family and a protocol: it is tried.
int cbroker_can_mute(int family, int protocol);
// Puts a pair of Unix sockets into the caller, and their numbers into its memory. The call goes on waiting.
int cbroker_give_pair(int listener, uint64_t id, int pid, uint64_t place, int type, int close_on_exec);
// As cbroker_give, under `number`, in the place of what is there.
int cbroker_give_as(int listener, uint64_t id, int descriptor, int number, int close_on_exec);
// Writes to the memory of a process that waits.
int cbroker_write(int pid, uint64_t address, const void *buffer, int length);
// Sends one datagram, without waiting; how many bytes. No address: to the peer.
int cbroker_send(int descriptor, const void *data, int count, const void *address, int length);
// SO_REUSEADDR and SO_REUSEPORT: whether another socket may have the same address.
enum { CBROKER_SHARES_ADDRESS = 1, CBROKER_SHARES_PORT = 2 };
int cbroker_shares(int descriptor);
int cbroker_share(int descriptor, int shares);
// Which socket of a protocol (IPPROTO_UDP, IPPROTO_UDPLITE) gets a datagram from one IPv4 address and port to another
// (network order) on the loopback: 4 for one of IPv4, 6 for one of IPv6, 0 for none. is_exact: whether it stands on that
// address alone, not on "any".
int cbroker_find_receiver(int diagnosis, int protocol, const unsigned char from[4], int from_port,
                          const unsigned char to[4], int to_port, int *is_exact);

// MARK: System V objects

enum cbroker_ipc { CBROKER_MEMORY, CBROKER_SEMAPHORES, CBROKER_MESSAGES };

// Makes one without a key. size: bytes of memory, or how many semaphores; mode: the permission bits.
int cbroker_ipc_make(enum cbroker_ipc kind, uint64_t size, int mode);
// 1 if it is there, 2 if it is memory that is gone once nobody has it attached, 0 if it is not there. Memory that another
// process has made is not there: the kernel gives the id of what is gone to others.
int cbroker_ipc_exists(enum cbroker_ipc kind, int id);
// 0, or -errno.
int cbroker_ipc_remove(enum cbroker_ipc kind, int id);

// MARK: Waiting for several at once (epoll)

int cbroker_set(void);
// Watches for input, or for output or an error. `token` must not be 0.
int cbroker_watch(int set, int descriptor, int for_output, int64_t token);
int cbroker_forget(int set, int descriptor);
// The token of one that is ready, negative if its other end has gone; 0 if there is none.
int64_t cbroker_next(int set);

#endif
