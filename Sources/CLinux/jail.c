#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// MARK: Landlock

#define LANDLOCK_VERSION (1U << 0)
#define LANDLOCK_PATH_BENEATH 1

struct landlock_ruleset {
    uint64_t handled_files;
    uint64_t handled_network; // ABI 4
    uint64_t scoped;          // ABI 6
};
struct landlock_path {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

int cjail_landlock_abi(void) { return outcome(syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION)); }

int cjail_landlock_ruleset(uint64_t files, uint64_t network, uint64_t scopes) {
    struct landlock_ruleset attributes = {.handled_files = files, .handled_network = network, .scoped = scopes};
    return outcome(syscall(__NR_landlock_create_ruleset, &attributes, sizeof attributes, 0));
}

int cjail_landlock_grant_path(int ruleset, int path, uint64_t files) {
    struct landlock_path rule = {.allowed = files, .parent = path};
    return outcome(syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_PATH_BENEATH, &rule, 0));
}

int cjail_landlock_enter(int ruleset) { return outcome(syscall(__NR_landlock_restrict_self, ruleset, 0)); }

int cjail_open_path(const char *path) {
    for (;;) {
        int result = open(path, O_PATH | O_CLOEXEC);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

int cjail_open_straight(const char *path) { return clinux_open_straight(path, O_PATH | O_CLOEXEC); }

int cjail_open_folder_beneath(int root, const char *path) {
    return clinux_open_beneath(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
}

// MARK: Signals

int cjail_take_signals(void) {
    sigset_t all;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0) return -errno;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (sigaction(SIGCHLD, &standard, NULL) < 0) return -errno;
    return outcome(signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC));
}

int cjail_next_signal(int signals) {
    struct signalfd_siginfo information;
    for (;;) {
        ssize_t count = read(signals, &information, sizeof information);
        if (count == sizeof information) return (int)information.ssi_signo;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return 0;
        return count < 0 ? -errno : -EIO;
    }
}

// MARK: Processes

int cjail_become_janitor(void) {
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return -errno;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) return -errno;
    return outcome(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int cjail_reap(int *status) {
    for (;;) {
        // __WALL: a plain wait passes over children whose end is not announced by SIGCHLD, and then says "no child".
        // Orphans come to us with SIGCHLD (kernel/exit.c, reparent_leader); the bound of the sweep shall not rest on it.
        pid_t pid = waitpid(-1, status, WNOHANG | __WALL);
        if (pid >= 0) return pid;
        if (errno != EINTR) return -errno;
    }
}

int cjail_witness(int *release) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        char byte;
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        _exit(0);
    }
    int code = errno;
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return -code;
    }
    *release = ends[1];
    return pid;
}
