#define _GNU_SOURCE
#include "child.h"
#include "clinux.h"
#include "cmessage.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The message: how many candidates, arguments and entries of the environment, and then all of them, each with its zero
// byte. With it come the working directory and the command's 0, 1 and 2.
struct counts {
    uint32_t candidates, arguments, environment;
};
enum { MESSAGE_SIZE = 128 << 10, MOST_WORDS = 4096, DESCRIPTORS = 4 };

// Used by one side in the janitor and by the other in its child, each in its own memory; pages only where written.
static char message[MESSAGE_SIZE];
static char *words[MOST_WORDS + 3];

// MARK: The child

// All of the janitor's descriptors but 0, 1, 2 and these two: above all the socket at whose end the janitor goes.
static int close_all_but(int one, int other) {
    unsigned lower = (unsigned)(one < other ? one : other), upper = (unsigned)(one < other ? other : one);
    if (lower > 3 && syscall(__NR_close_range, 3U, lower - 1, 0) < 0) return -errno;
    if (upper > lower + 1 && syscall(__NR_close_range, lower + 1, upper - 1, 0) < 0) return -errno;
    return syscall(__NR_close_range, upper + 1, ~0U, 0) < 0 ? -errno : 0;
}

// Takes `count` words out of the message; NULL if they are not all there.
static char **take(uint32_t count, char **place, char **next, const char *end) {
    for (uint32_t i = 0; i < count; i++) {
        char *zero = memchr(*next, 0, (size_t)(end - *next));
        if (zero == NULL) return NULL;
        place[i] = *next;
        *next = zero + 1;
    }
    place[count] = NULL;
    return place;
}

// Waits for the command, as long as the janitor lives: with that its end of the socket goes.
__attribute__((noreturn)) static void await_command(struct cjail_child *child, int socket) {
    int descriptors[CMESSAGE_DESCRIPTORS], count;
    int size = cmessage_receive(socket, message, MESSAGE_SIZE, descriptors, &count);
    // Nobody is there to be told.
    if (size == 0 || size == -ECONNRESET) _exit(125);
    if (size < 0) child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, -size);
    struct counts counts;
    if (count != DESCRIPTORS || (size_t)size < sizeof counts)
        child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, EBADMSG);
    memcpy(&counts, message, sizeof counts);
    if ((uint64_t)counts.candidates + counts.arguments + counts.environment > MOST_WORDS)
        child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, EBADMSG);
    char *next = message + sizeof counts;
    const char *end = message + size;
    char **arguments = words + counts.candidates + 1;
    child->candidates = take(counts.candidates, words, &next, end);
    child->arguments = take(counts.arguments, arguments, &next, end);
    child->environment = take(counts.environment, arguments + counts.arguments + 1, &next, end);
    if (child->candidates == NULL || child->arguments == NULL || child->environment == NULL)
        child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, EBADMSG);
    if (fchdir(descriptors[0]) < 0) child_fail(child->failures, CJAIL_STAGE_DIRECTORY, errno);
    // The received numbers are all above 2, which are open; these lose their close-on-exec.
    for (int i = 0; i < 3; i++)
        if (dup2(descriptors[i + 1], i) < 0) child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, errno);
    // As in the start with a command. 4 is CLOSE_RANGE_CLOEXEC.
    if (syscall(__NR_close_range, 3, ~0U, 4) < 0) child_fail(child->failures, CJAIL_STAGE_DESCRIPTORS, errno);
    child_execute(child);
}

__attribute__((noreturn)) static void become(const struct cjail_child *prepared, pid_t janitor, int socket) {
    struct cjail_child child = *prepared;
    child_take_session(&child, janitor);
    child_confine(&child);
    int code = close_all_but(socket, child.failures);
    if (code < 0) child_fail(child.failures, CJAIL_STAGE_DESCRIPTORS, -code);
    // For ps(1); execve sets it anew. Its command line is its janitor's.
    prctl(PR_SET_NAME, "agent-jail next");
    child_filter(&child);
    // The filter's listener: its copy has been sent.
    if (close_all_but(socket, child.failures) < 0) _exit(125);
    // Written once, so that they are not the janitor's any more when it counts.
    message[0] = 0;
    words[0] = NULL;
    await_command(&child, socket);
}

// MARK: The janitor

// fork, not vfork: it goes on beside us. Its memory is as little dumpable as ours (kernel/fork.c, mm_init).
int cjail_prepare(const struct cjail_child *child, int socket) {
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) become(child, self, socket);
    return pid;
}

int cjail_waits(int pid) {
    siginfo_t information = {0};
    // Without taking anything: who has ended is reaped as every other.
    if (waitid(P_PID, (id_t)pid, &information, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0) return -errno;
    return information.si_pid == 0 ? 0 : -ESRCH;
}

static int add(char *const *strings, uint32_t *count, size_t *size) {
    for (; *strings != NULL; strings++, ++*count) {
        size_t length = strlen(*strings) + 1;
        if (length > MESSAGE_SIZE - *size) return -EMSGSIZE;
        memcpy(message + *size, *strings, length);
        *size += length;
    }
    return 0;
}

int cjail_give(int socket, const struct cjail_child *child) {
    struct counts counts = {0};
    size_t size = sizeof counts;
    if (add(child->candidates, &counts.candidates, &size) < 0 || add(child->arguments, &counts.arguments, &size) < 0 ||
        add(child->environment, &counts.environment, &size) < 0 ||
        counts.candidates + counts.arguments + counts.environment > MOST_WORDS)
        return -EMSGSIZE;
    memcpy(message, &counts, sizeof counts);
    const int descriptors[DESCRIPTORS] = {child->directory, 0, 1, 2};
    return cmessage_send(socket, message, (int)size, descriptors, DESCRIPTORS);
}
