#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

// linux/openat2.h, repeated because older headers lack it.
struct clinux_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
#define CLINUX_RESOLVE_NO_MAGICLINKS 0x02
#define CLINUX_RESOLVE_NO_SYMLINKS 0x04
#define CLINUX_RESOLVE_BENEATH 0x08

int clinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    int result = prctl(option, a, b, c, d);
    return result < 0 ? -errno : result;
}

static int open_how(int directory, const char *path, int flags, unsigned int mode, uint64_t resolve) {
    struct clinux_open_how how = {.flags = (uint64_t)(unsigned int)flags, .mode = mode, .resolve = resolve};
    for (;;) {
        long result = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (result >= 0) return (int)result;
        // EAGAIN: a rename raced with the walk (openat2(2)); the walk is simply made again.
        if (errno != EINTR && errno != EAGAIN) return -errno;
    }
}

int clinux_open_beneath(int directory, const char *path, int flags, unsigned int mode, int no_symlinks) {
    uint64_t links = no_symlinks ? CLINUX_RESOLVE_NO_SYMLINKS : 0;
    return open_how(directory, path, flags, mode, CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_MAGICLINKS | links);
}

int clinux_open_straight(const char *path, int flags) {
    return open_how(AT_FDCWD, path, flags, 0, CLINUX_RESOLVE_NO_SYMLINKS);
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int clinux_pidfd_open(int pid) {
    long result = syscall(SYS_pidfd_open, pid, 0);
    return result < 0 ? -errno : (int)result;
}

int clinux_pidfd_send_signal(int pidfd, int signal) {
    long result = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
    return result < 0 ? -errno : (int)result;
}

int clinux_signal_descriptor(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -errno;
    int result = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return result < 0 ? -errno : result;
}

int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    for (;;) {
        ssize_t count = read(descriptor, &info, sizeof info);
        if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
        if (count < 0 && errno == EAGAIN) return 0;
        if (count < 0 && errno != EINTR) return -errno;
    }
}

int clinux_spawn(const char *path, char *const arguments[], char *const environment[], const int *ours,
                 const int *childs, int count, int new_session) {
    // 64 descriptors are more than any contract of ours passes; a fixed bound keeps the numbers below small.
    if (count < 0 || count > 64) return -EINVAL;
    int floor = 3;
    for (int i = 0; i < count; i++) {
        if (childs[i] >= floor) floor = childs[i] + 1;
        if (ours[i] >= floor) floor = ours[i] + 1;
    }

    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return -code;
    posix_spawnattr_t attributes;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -code;
    }

    // Two steps, first out of the way and then into place: a wanted number may be one that is still to be copied.
    int highest = 2;
    for (int i = 0; i < count && code == 0; i++) {
        code = posix_spawn_file_actions_adddup2(&actions, ours[i], floor + i);
    }
    for (int i = 0; i < count && code == 0; i++) {
        code = posix_spawn_file_actions_adddup2(&actions, floor + i, childs[i]);
        if (childs[i] > highest) highest = childs[i];
    }
    // The numbers of a contract are dense from 0 on: what is above the highest is not for the child.
    if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, highest + 1);

    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (code == 0) code = posix_spawnattr_setsigmask(&attributes, &none);
    if (code == 0) code = posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (new_session) flags |= POSIX_SPAWN_SETSID;
    if (code == 0) code = posix_spawnattr_setflags(&attributes, flags);

    // Never left at 0: a pid of 0 that reached kill() would signal our own group.
    pid_t pid = -1;
    if (code == 0) code = posix_spawn(&pid, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return -code;
    return pid > 0 ? pid : -ECHILD;
}

static int argument_count;
static char **arguments;

// glibc hands argc, argv and envp to constructors, in static programs too (csu/libc-start.c, call_init).
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
    argument_count = count;
    arguments = values;
}

int clinux_argument_count(void) { return argument_count; }

const char *clinux_argument(int index) {
    return index >= 0 && index < argument_count ? arguments[index] : NULL;
}

int64_t clinux_filesystem_type(const char *path) {
    struct statfs result;
    while (statfs(path, &result) < 0) {
        if (errno != EINTR) return -errno;
    }
    return (int64_t)(uint32_t)result.f_type;
}
