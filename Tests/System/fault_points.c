// Preloaded into `agentd loop` by the tests: each call that changes something outside of the process is a point at which
// it can be made to die, or to fail. So the program that is tried is the one that is shipped.
//
// A point is named by its call and the kind of its file, and numbered from 1 within that name: "fdatasync wal 12". The
// environment says what to do: FAULT_LOG, a file that gets a line for each point; FAULT_AT, "NAME NUMBER" (or "NAME
// NUMBER+": that one and all that follow); FAULT_DO, "kill", "stop", an errno in decimal, or
// "torn": half of what is to be written is, and then the disk is full.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAMES 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[48];
    long count;
} points[NAMES];
static int log_descriptor = -1;
static char wanted[64];
static long wanted_number, and_on, action;
static int is_on, is_torn, signal_to_send;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("FAULT_LOG"), *at = getenv("FAULT_AT"), *what = getenv("FAULT_DO");
    // Whatever starts it gets the library too.
    is_on = strcmp(program_invocation_short_name, "agentd") == 0 && (log != NULL || at != NULL);
    if (!is_on) return;
    if (log) log_descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (at) {
        const char *space = strrchr(at, ' ');
        snprintf(wanted, sizeof wanted, "%.*s", (int)(space - at), at);
        char *end;
        wanted_number = strtol(space + 1, &end, 10);
        and_on = *end == '+';
    }
    signal_to_send = what && strcmp(what, "stop") == 0 ? SIGSTOP : SIGKILL;
    is_torn = what && strcmp(what, "torn") == 0;
    action = is_torn ? ENOSPC : what ? strtol(what, NULL, 10) : 0;
}

static const char *kind_of(const char *path) {
    const char *end = strrchr(path, '/');
    const char *name = end ? end + 1 : path;
    if (name[0] == '~') return "making";
    if (strstr(path, "/objects")) return "object";
    if (strstr(path, ".fetched")) return "fetched";
    if (strstr(name, ".claims")) return "claims";
    if (strstr(path, "/output_")) return "output";
    if (strstr(name, ".backup")) return "backup";
    if (strstr(name, ".new") || strstr(name, ".restored")) return "new";
    if (strstr(name, ".reserve")) return "reserve";
    if (strstr(name, "-wal")) return "wal";
    if (strstr(name, "-shm")) return "shm";
    if (strstr(name, ".db")) return "database";
    if (strstr(path, "/project")) return "project";
    if (strstr(path, "socket:")) return "socket";
    if (strstr(path, "pipe:")) return "pipe";
    if (strstr(path, "/checkpoints")) return "folder";
    return "other";
}

// Counts the point. Returns the errno with which the call has to fail, 0 if it is to be made.
static int point(const char *call, const char *kind) {
    char name[48], line[80];
    snprintf(name, sizeof name, "%s %s", call, kind);
    pthread_mutex_lock(&lock);
    int index = 0;
    while (index < NAMES - 1 && points[index].name[0] && strcmp(points[index].name, name) != 0) index++;
    strcpy(points[index].name, name);
    long number = ++points[index].count;
    pthread_mutex_unlock(&lock);
    if (log_descriptor >= 0) {
        int length = snprintf(line, sizeof line, "%s %ld\n", name, number);
        syscall(SYS_write, log_descriptor, line, length);
    }
    if (strcmp(name, wanted) != 0 || !(number == wanted_number || (and_on && number > wanted_number))) return 0;
    if (action == 0) syscall(SYS_kill, getpid(), signal_to_send);
    return (int)action;
}

static int at_descriptor(const char *call, int descriptor) {
    if (!is_on) return 0;
    char link[40], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return point(call, kind_of(path));
}

static int at_path(const char *call, const char *path) { return is_on ? point(call, kind_of(path)) : 0; }

// A name within an open folder, as the tools have it for the project tree.
static int at_folder(const char *call, int folder, const char *path) {
    return folder == AT_FDCWD || path[0] == '/' ? at_path(call, path) : at_descriptor(call, folder);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define UNLESS(fault)                                                                                                  \
    do {                                                                                                               \
        int code = (fault);                                                                                            \
        if (code) {                                                                                                    \
            errno = code;                                                                                              \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
    int failing = at_descriptor("pwrite", descriptor);
    if (failing && is_torn && NEXT(pwrite64)(descriptor, bytes, size / 2, offset) < 0) return -1;
    UNLESS(failing);
    return NEXT(pwrite64)(descriptor, bytes, size, offset);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    return pwrite64(descriptor, bytes, size, offset);
}
// The room for the reserve. It gives its error back.
int posix_fallocate64(int descriptor, off64_t offset, off64_t size) {
    int code = at_descriptor("fallocate", descriptor);
    return code ? code : NEXT(posix_fallocate64)(descriptor, offset, size);
}
int posix_fallocate(int descriptor, off_t offset, off_t size) { return posix_fallocate64(descriptor, offset, size); }
int fdatasync(int descriptor) {
    UNLESS(at_descriptor("fdatasync", descriptor));
    return NEXT(fdatasync)(descriptor);
}
int fsync(int descriptor) {
    UNLESS(at_descriptor("fsync", descriptor));
    return NEXT(fsync)(descriptor);
}
int ftruncate(int descriptor, off_t size) {
    UNLESS(at_descriptor("ftruncate", descriptor));
    return NEXT(ftruncate)(descriptor, size);
}
int ftruncate64(int descriptor, off64_t size) {
    UNLESS(at_descriptor("ftruncate", descriptor));
    return NEXT(ftruncate64)(descriptor, size);
}
int rename(const char *from, const char *to) {
    UNLESS(at_path("rename", to));
    return NEXT(rename)(from, to);
}
int link(const char *from, const char *to) {
    UNLESS(at_path("link", to));
    return NEXT(link)(from, to);
}
int unlink(const char *path) {
    UNLESS(at_path("unlink", path));
    return NEXT(unlink)(path);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    UNLESS(at_folder("renameat", to_folder, to));
    return NEXT(renameat)(from_folder, from, to_folder, to);
}
int unlinkat(int folder, const char *path, int flags) {
    UNLESS(at_folder("unlinkat", folder, path));
    return NEXT(unlinkat)(folder, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    UNLESS(at_path("mkdir", path));
    return NEXT(mkdir)(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
    UNLESS(at_folder("mkdirat", folder, path));
    return NEXT(mkdirat)(folder, path, mode);
}
// What is written to a file of the project or the output of a command, and to a pipe or socket.
ssize_t write(int descriptor, const void *bytes, size_t size) {
    UNLESS(at_descriptor("write", descriptor));
    return NEXT(write)(descriptor, bytes, size);
}
int connect(int descriptor, const struct sockaddr *address, socklen_t size) {
    UNLESS(at_descriptor("connect", descriptor));
    return NEXT(connect)(descriptor, address, size);
}
ssize_t send(int descriptor, const void *bytes, size_t size, int flags) {
    UNLESS(at_descriptor("send", descriptor));
    return NEXT(send)(descriptor, bytes, size, flags);
}
// A janitor that was started ahead gets its command so.
ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
    UNLESS(at_descriptor("sendmsg", descriptor));
    return NEXT(sendmsg)(descriptor, message, flags);
}
// Looks and openings, which change nothing: points only where one of them is asked for, not in a log of all.
static int at_look(const char *call, const char *path) {
    size_t length = strlen(call);
    return is_on && strncmp(wanted, call, length) == 0 && wanted[length] == ' ' ? point(call, kind_of(path)) : 0;
}
int access(const char *path, int mode) {
    UNLESS(at_look("access", path));
    return NEXT(access)(path, mode);
}
int statfs64(const char *path, struct statfs64 *result) {
    UNLESS(at_look("statfs", path));
    return NEXT(statfs64)(path, result);
}
int statfs(const char *path, struct statfs *result) {
    UNLESS(at_look("statfs", path));
    return NEXT(statfs)(path, result);
}
int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    UNLESS(at_look("open", path));
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return open64(path, flags, mode);
}
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]) {
    int code = is_on ? point("posix_spawn", "command") : 0;
    return code ? code : NEXT(posix_spawn)(pid, path, actions, attributes, arguments, environment);
}
