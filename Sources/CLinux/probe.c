#define _GNU_SOURCE
#include "clinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// linux/seccomp.h and linux/filter.h: a filter of one instruction, "allow".
#define FILTER_MODE 2
#define WITH_LISTENER (1U << 3)

static int no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0; }

static int filter(unsigned int flags) {
    const struct cjail_instruction allow = {.code = 0x06, .operand = 0x7FFF0000};
    struct {
        unsigned short length;
        const struct cjail_instruction *first;
    } program = {.length = 1, .first = &allow};
    int code = no_new_privileges();
    if (code < 0) return code;
    return syscall(__NR_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, flags, &program) < 0 ? -errno : 0;
}

// Into a domain that handles these rights and grants none.
static int enter(uint64_t files, uint64_t network, uint64_t scopes) {
    int code = no_new_privileges();
    int ruleset = code < 0 ? code : cjail_landlock_ruleset(files, network, scopes);
    return ruleset < 0 ? ruleset : cjail_landlock_enter(ruleset);
}

// What was to be refused with `expected` gave `result`.
static int refused(long result, int expected) { return result < 0 && errno == expected ? 0 : -ENOTSUP; }

static int connect_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (number < 0) return -1;
    return connect(number, (struct sockaddr *)&address, sizeof address);
}

static int try_here(enum clinux_trial trial) {
    int code;
    switch (trial) {
    case CLINUX_TRY_USER_NAMESPACE: return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
    case CLINUX_TRY_NO_NEW_PRIVILEGES: return no_new_privileges();
    case CLINUX_TRY_FILTER: return filter(0);
    case CLINUX_TRY_LISTENER: return filter(WITH_LISTENER);
    case CLINUX_TRY_FILES:
        code = enter(1 << 2 | 1 << 3, 0, 0);
        return code < 0 ? code : refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EACCES);
    case CLINUX_TRY_REFER: return enter(1 << 13, 0, 0);
    case CLINUX_TRY_TRUNCATE: return enter(1 << 14, 0, 0);
    case CLINUX_TRY_DEVICE_CONTROL: return enter(1 << 15, 0, 0);
    case CLINUX_TRY_SOCKET_PATHS: return enter(1 << 16, 0, 0);
    case CLINUX_TRY_TCP:
        code = enter(0, 1 << 0 | 1 << 1, 0);
        return code < 0 ? code : refused(connect_somewhere(), EACCES);
    case CLINUX_TRY_SIGNALS:
        code = enter(0, 0, 1 << 1);
        return code < 0 ? code : refused(kill(getppid(), 0), EPERM);
    }
    return -EINVAL;
}

int clinux_try(enum clinux_trial trial) {
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) {
        // A filter that kills instead of refusing is an answer too.
        int code = -try_here(trial);
        _exit(code > 255 ? 255 : code);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    if (WIFEXITED(status)) return -WEXITSTATUS(status);
    return -EPERM;
}
