#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

int clinux_terminal_open(int *controller, int *terminal) {
    int ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ours < 0) return -errno;
    int unlocked = 0;
    // TIOCGPTPEER rather than ptsname(3): it needs no path, and so no second devpts can come between.
    int theirs = ioctl(ours, TIOCSPTLCK, &unlocked) < 0 ? -1 : ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (theirs < 0) {
        int code = errno;
        close(ours);
        return -code;
    }
    *controller = ours;
    *terminal = theirs;
    return 0;
}

int clinux_window_get(int terminal, unsigned short *rows, unsigned short *columns) {
    struct winsize size;
    if (ioctl(terminal, TIOCGWINSZ, &size) < 0) return -errno;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}

int clinux_window_set(int terminal, unsigned short rows, unsigned short columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(terminal, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

long clinux_write_now(int descriptor, const void *bytes, unsigned long count) {
    struct stat status;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    for (;;) {
        if (fstat(descriptor, &status) < 0) return -errno;
        ssize_t result;
        if (S_ISSOCK(status.st_mode)) {
            result = send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (S_ISFIFO(status.st_mode)) {
            result = pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT);
            // Before Linux 6.4 pipes do not know the flag; then PIPE_BUF bytes go at once if poll has said so (pipe(7)).
            if (result < 0 && errno == EOPNOTSUPP) result = write(descriptor, bytes, count < 4096 ? count : 4096);
        } else {
            // A file has no reader to wait for, nor has /dev/null (major 1: Documentation/admin-guide/devices.txt). A
            // terminal that poll calls writable takes this much soon, if not at once.
            int takes_all = S_ISREG(status.st_mode) || (S_ISCHR(status.st_mode) && major(status.st_rdev) == 1);
            result = write(descriptor, bytes, takes_all || count < 256 ? count : 256);
        }
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

int clinux_is_pipe(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

long clinux_move_now(int source, int sink, unsigned long count) {
    for (;;) {
        // The flag is for this call and both pipes, and leaves the descriptors as they are (fs/splice.c, do_splice).
        ssize_t result = splice(source, NULL, sink, NULL, count, SPLICE_F_NONBLOCK);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

int clinux_waiting_bytes(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? -errno : count;
}

int clinux_is_ignored(int signal) {
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void clinux_die_of(int signal) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signal);
}
