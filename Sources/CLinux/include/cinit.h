// What PID 1 needs of the kernel and of glibc beyond clinux.h. Same rules: plain int types, results >= 0 or -errno.
#ifndef CINIT_H
#define CINIT_H

// A signal that was sent to us: its number, why (si_code) and by whom (si_pid).
struct clinux_signal {
    int number;
    int code;
    int pid;
};

// Blocks all signals but those that nohup(1) or a shell made us ignore, and without `faults` those that a fault raises,
// gives SIGCHLD its default disposition back (inherited as ignored it would make the kernel throw exit statuses away)
// and returns a non-blocking signalfd(2) for the rest. A fault of our own ends us though its signal is blocked: the
// kernel gives that its default action back and unblocks it, for PID 1 too (kernel/signal.c, force_sig_info_to_task).
int clinux_signals_open(int faults);

// The next signal: 1 and `signal` filled, 0 if none is there.
int clinux_signals_next(int descriptor, struct clinux_signal *signal);

// "TERM" for 15, or NULL for a number that has no name.
const char *clinux_signal_name(int number);

// 1 if there is any child, running or ended, that has not been waited for; else 0.
int clinux_has_children(void);

// Starts `path` by posix_spawn(3) with an empty signal mask and default dispositions, but for what nohup(1) or a shell
// made us ignore; every descriptor that is not close-on-exec is passed on. With `group` it has a process group of its
// own, which, if `terminal` is not -1, becomes the foreground one of the terminal open there. Returns the pid.
int clinux_spawn_inheriting(const char *path, char *const arguments[], char *const environment[], int group,
                            int terminal);

// 1 if the child has been stopped since this was last asked.
int clinux_has_stopped(int pid);

// Our environment as the kernel gave it, its bytes untouched.
char *const *clinux_environment(void);

// Takes the pages of our code out of our memory map (madvise(2), MADV_DONTNEED); those that are still used come back
// from the page cache, a few faults of a microsecond. Of the code that has run, most belongs to the start of Swift's
// runtime and is never used again. What the heap holds and nobody uses goes back too (malloc_trim(3)).
void clinux_forget_start(void);

// The path by which the kernel started this program (AT_EXECFN of the auxiliary vector; needs no /proc), or NULL.
const char *clinux_executable(void);

#endif
