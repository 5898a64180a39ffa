#define _GNU_SOURCE
#include "child.h"
#include "clinux.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

__attribute__((noreturn)) void child_fail(int failures, enum cjail_stage stage, int code) {
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

void child_take_session(const struct cjail_child *child, pid_t janitor) {
    // Without a terminal that is ours, and in a process group that is not: no terminal signal comes in.
    if (setsid() < 0) child_fail(child->failures, CJAIL_STAGE_SESSION, errno);
    // Only a session leader without one may take a terminal, and only one that is no other session's (tty_ioctl(4)).
    if (child->terminal >= 0 && ioctl(child->terminal, TIOCSCTTY, 0) < 0)
        child_fail(child->failures, CJAIL_STAGE_TERMINAL, errno);
    // If the janitor is killed the command goes too. It may have been, just before this call.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) child_fail(child->failures, CJAIL_STAGE_SESSION, errno);
    if (getppid() != janitor) _exit(125);
    for (int i = 0; i < child->limit_count; i++) {
        int code = lower(&child->limits[i]);
        if (code < 0) child_fail(child->failures, CJAIL_STAGE_LIMITS, -code);
    }
}

void child_confine(const struct cjail_child *child) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) child_fail(child->failures, CJAIL_STAGE_PRIVILEGES, errno);
    if (child->drops_capabilities) {
        int code = drop_capabilities();
        if (code < 0) child_fail(child->failures, CJAIL_STAGE_PRIVILEGES, -code);
    }
    int code = cjail_landlock_enter(child->ruleset);
    if (code < 0) child_fail(child->failures, CJAIL_STAGE_LANDLOCK, -code);
}

void child_filter(const struct cjail_child *child) {
    restore_signals();
    int code = install_filter(child->filter, child->filter_count, child->broker);
    if (code < 0) child_fail(child->failures, CJAIL_STAGE_SECCOMP, -code);
}

void child_execute(const struct cjail_child *child) {
    child_fail(child->failures, CJAIL_STAGE_EXECUTE, execute(child));
}

__attribute__((noreturn)) static void become(const struct cjail_child *child, pid_t janitor) {
    child_take_session(child, janitor);
    if (fchdir(child->directory) < 0) child_fail(child->failures, CJAIL_STAGE_DIRECTORY, errno);
    child_confine(child);
    // Before the filter: close-on-exec for everything but 0, 1 and 2. 4 is CLOSE_RANGE_CLOEXEC.
    if (syscall(__NR_close_range, 3, ~0U, 4) < 0) child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, errno);
    child_filter(child);
    child_execute(child);
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
