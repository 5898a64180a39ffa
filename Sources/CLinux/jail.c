#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

__attribute__((noreturn)) static void fail(int failures, enum cjail_stage stage, int code) {
    struct cjail_failure failure = {.stage = stage, .code = code};
    // Below PIPE_BUF: written as a whole or not at all. If not, the exit code alone still says that the jail failed.
    while (write(failures, &failure, sizeof failure) < 0 && errno == EINTR) {
    }
    _exit(125);
}

static void restore_signals(void) {
    // The kernel's struct sigaction, all zero: SIG_DFL, no flags, no mask. Not by sigaction(3), which refuses the two
    // signals that glibc keeps for itself; its posix_spawn(3), by which the janitor was started, leaves them ignored
    // (sysdeps/unix/sysv/linux/spawni.c). The call fails for SIGKILL and SIGSTOP, which are at their default anyway.
    unsigned long standard[4] = {0};
    for (int number = 1; number < NSIG; number++) syscall(__NR_rt_sigaction, number, standard, NULL, NSIG / 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Lowers a limit; one that is lower already stays.
static int lower(const struct cjail_limit *limit) {
    struct rlimit now;
    if (getrlimit(limit->resource, &now) < 0) return -errno;
    if (now.rlim_max > limit->hard) now.rlim_max = limit->hard;
    if (now.rlim_cur > limit->soft) now.rlim_cur = limit->soft;
    return setrlimit(limit->resource, &now) < 0 ? -errno : 0;
}

static int install_filter(const struct cjail_instruction *filter, int count, int broker) {
    struct {
        unsigned short length;
        const struct cjail_instruction *first;
    } program = {.length = (unsigned short)count, .first = filter};
    // 2 is SECCOMP_MODE_FILTER. prctl rather than seccomp(2): the same thing where no flag is wanted.
    if (broker < 0) return prctl(PR_SET_SECCOMP, 2, &program) < 0 ? -errno : 0;
    // 1 is SECCOMP_SET_MODE_FILTER, 8 SECCOMP_FILTER_FLAG_NEW_LISTENER, 32 WAIT_KILLABLE_RECV (Linux 5.19): a call that
    // the broker has taken is interrupted by death alone. Otherwise each signal makes the call anew, and a program with
    // a fast timer gets nowhere on a busy machine. The listener is close-on-exec: the program never has it.
    int listener = outcome(syscall(__NR_seccomp, 1, 8 | 32, &program));
    return listener < 0 ? listener : cbroker_send_descriptor(broker, listener);
}

// With no_new_privs, root does not get them back by executing (security/commoncap.c, cap_bprm_creds_from_file).
static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return outcome(syscall(__NR_capset, &header, none));
}

// The program as execvp(3) would find it, but by the command's own PATH and without running a file as a shell script.
static int execute(const struct cjail_child *child) {
    int code = ENOENT;
    for (char *const *candidate = child->candidates; *candidate != NULL; candidate++) {
        execve(*candidate, child->arguments, child->environment);
        // A later folder may have it; of several reasons, one that is not "not there" is the one worth telling.
        if (errno != ENOENT && errno != ENOTDIR) {
            code = errno;
            if (code != EACCES) break;
        }
    }
    return code;
}

__attribute__((noreturn)) static void become(const struct cjail_child *child, pid_t janitor) {
    // Without a terminal that is ours, and in a process group that is not: no terminal signal comes in.
    if (setsid() < 0) fail(child->failures, CJAIL_STAGE_SESSION, errno);
    // Only a session leader without one may take a terminal, and only one that is no other session's (tty_ioctl(4)).
    if (child->terminal >= 0 && ioctl(child->terminal, TIOCSCTTY, 0) < 0)
        fail(child->failures, CJAIL_STAGE_TERMINAL, errno);
    // If the janitor is killed the command goes too. It may have been, just before this call.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail(child->failures, CJAIL_STAGE_SESSION, errno);
    if (getppid() != janitor) _exit(125);
    for (int i = 0; i < child->limit_count; i++) {
        int code = lower(&child->limits[i]);
        if (code < 0) fail(child->failures, CJAIL_STAGE_LIMITS, -code);
    }
    if (fchdir(child->directory) < 0) fail(child->failures, CJAIL_STAGE_DIRECTORY, errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(child->failures, CJAIL_STAGE_PRIVILEGES, errno);
    if (child->drops_capabilities) {
        int code = drop_capabilities();
        if (code < 0) fail(child->failures, CJAIL_STAGE_PRIVILEGES, -code);
    }
    int code = cjail_landlock_enter(child->ruleset);
    if (code < 0) fail(child->failures, CJAIL_STAGE_LANDLOCK, -code);
    // Before the filter: close-on-exec for everything but 0, 1 and 2. 4 is CLOSE_RANGE_CLOEXEC.
    if (syscall(__NR_close_range, 3, ~0U, 4) < 0) fail(child->failures, CJAIL_STAGE_DESCRIPTORS, errno);
    restore_signals();
    code = install_filter(child->filter, child->filter_count, child->broker);
    if (code < 0) fail(child->failures, CJAIL_STAGE_SECCOMP, -code);
    fail(child->failures, CJAIL_STAGE_EXECUTE, execute(child));
}

// vfork: the page tables of a static Swift program take longer to copy than all else that the child does. Until it
// executes or ends the child has our memory and stack, and we stand still (we can be killed). It changes nothing in
// memory but errno; signal handlers, mask, limits, folder and credentials are its own from the start (clone(2)).
// PR_SET_DUMPABLE, which belongs to the memory, is not touched: capset only takes away (kernel/cred.c, commit_creds).
int cjail_start(const struct cjail_child *child) {
    pid_t self = getpid();
    pid_t pid = vfork();
    if (pid < 0) return -errno;
    if (pid == 0) become(child, self);
    return pid;
}
