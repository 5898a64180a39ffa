// The kernel calls that Swift cannot make itself: variadic ones, ones Debian 12's headers do not know yet, and all
// that must run between a fork and an exec, where only async-signal-safe C is allowed.
//
// Only plain int types appear here: <sys/types.h> in a header breaks Swift's InternalImportsByDefault.
// Every function returns a result >= 0, or -errno.
#ifndef CLINUX_H
#define CLINUX_H

#include <stdint.h>

#include "cbroker.h"
#include "cjail.h"
#include "cinit.h"
#include "cmessage.h"
#include "cprobe.h"
#include "cterminal.h"

// prctl(option, a, b, c, d).
int clinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

// openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, and RESOLVE_NO_SYMLINKS if `no_symlinks`: opens `path`
// under `directory`, never outside it.
int clinux_open_beneath(int directory, const char *path, int flags, unsigned int mode, int no_symlinks);
// Opens a path that no symbolic link is a part of (openat2, RESOLVE_NO_SYMLINKS); -ELOOP if one is.
int clinux_open_straight(const char *path, int flags);

// pipe2(2) with O_CLOEXEC: ends[0] reads, ends[1] writes.
int clinux_pipe(int ends[2]);

// pidfd_open(2), pidfd_send_signal(2).
int clinux_pidfd_open(int pid);
int clinux_pidfd_send_signal(int pidfd, int signal);

// The arguments the kernel gave this process, kept by a constructor: a static Swift program reads them from
// /proc/self/cmdline, which is empty for PID 1 of a container without /proc.
int clinux_argument_count(void);
const char *clinux_argument(int index);

// Blocks the signals in the calling thread and returns a non-blocking, close-on-exec signalfd(2) of them.
int clinux_signal_descriptor(const int *signals, int count);
// The next pending signal of a signalfd; 0 if there is none.
int clinux_next_signal(int descriptor);

// Starts `path` by posix_spawn(3) with an empty signal mask and default dispositions, in a new session if asked.
// Descriptor ours[i] becomes childs[i]; every other one above 2 is closed. Returns the pid.
int clinux_spawn(const char *path, char *const arguments[], char *const environment[], const int *ours,
                 const int *childs, int count, int new_session);

// The f_type of the file system that `path` is on, or -errno.
int64_t clinux_filesystem_type(const char *path);

#endif
