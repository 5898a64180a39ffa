#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

// Takes out of `set` what was ignored on purpose before us: by nohup(1), or by a shell for its background jobs. A
// blocked signal is queued even if it is ignored (signal(7)), and would so come back. PID 1 has no such starter.
static void respect_ignored(sigset_t *set) {
    const int kept[] = {SIGHUP, SIGINT, SIGQUIT};
    for (unsigned i = 0; getpid() != 1 && i < sizeof kept / sizeof *kept; i++) {
        struct sigaction inherited;
        if (sigaction(kept[i], NULL, &inherited) == 0 && inherited.sa_handler == SIG_IGN) sigdelset(set, kept[i]);
    }
}

int clinux_signals_open(int faults) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (sigaction(SIGCHLD, &standard, NULL) < 0) return -errno;
    sigset_t set;
    sigfillset(&set);
    const int of_faults[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
    for (unsigned i = 0; !faults && i < sizeof of_faults / sizeof *of_faults; i++) sigdelset(&set, of_faults[i]);
    respect_ignored(&set);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0) return -errno;
    int result = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return result < 0 ? -errno : result;
}

int clinux_signals_next(int descriptor, struct clinux_signal *signal) {
    struct signalfd_siginfo information;
    for (;;) {
        ssize_t count = read(descriptor, &information, sizeof information);
        if (count == (ssize_t)sizeof information) {
            signal->number = (int)information.ssi_signo;
            signal->code = information.ssi_code;
            signal->pid = (int)information.ssi_pid;
            return 1;
        }
        if (count >= 0 || errno == EAGAIN) return 0;
        if (errno != EINTR) return -errno;
    }
}

const char *clinux_signal_name(int number) { return sigabbrev_np(number); }

int clinux_has_children(void) {
    for (;;) {
        // WNOWAIT: it stays to be reaped.
        if (waitid(P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT) == 0) return 1;
        if (errno != EINTR) return 0;
    }
}

int clinux_has_stopped(int pid) {
    siginfo_t information = {0};
    if (waitid(P_PID, (id_t)pid, &information, WSTOPPED | WNOHANG) < 0) return 0;
    return information.si_pid == pid;
}

int clinux_spawn_inheriting(const char *path, char *const arguments[], char *const environment[], int group,
                            int terminal) {
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return -code;
    posix_spawnattr_t attributes;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -code;
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    respect_ignored(&all);
    code = posix_spawnattr_setsigmask(&attributes, &none);
    if (code == 0) code = posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (group) flags |= POSIX_SPAWN_SETPGROUP;
    if (code == 0) code = posix_spawnattr_setflags(&attributes, flags);
    if (code == 0) code = posix_spawnattr_setpgroup(&attributes, 0);
    // In the child, after its group is made and with all signals blocked (sysdeps/unix/sysv/linux/spawni.c): a child
    // in the background that reads the terminal before its parent has put it in front would be stopped.
    if (code == 0 && group && terminal >= 0) code = posix_spawn_file_actions_addtcsetpgrp_np(&actions, terminal);
    // Never left at 0: a pid of 0 that reached kill() would signal our own group.
    pid_t pid = -1;
    if (code == 0) code = posix_spawn(&pid, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return -code;
    return pid > 0 ? pid : -ECHILD;
}

static int root_is_ours;

// A constructor of Swift's runtime looks for swift-backtrace beside /proc/self/exe and aborts where there is no /proc
// (stdlib/public/runtime/Paths.cpp), before any line of ours has run. It does not look if it has SWIFT_ROOT. 101 is
// the first priority that is free for programs: this runs before it.
__attribute__((constructor(101))) static void start_without_proc(void) {
    if (access("/proc/self/exe", F_OK) < 0 && !getenv("SWIFT_ROOT")) root_is_ours = setenv("SWIFT_ROOT", "/", 0) == 0;
}

char *const *clinux_environment(void) {
    if (root_is_ours) unsetenv("SWIFT_ROOT");
    root_is_ours = 0;
    return environ;
}

void clinux_forget_start(void) {
    // Of the linker: the first byte of the program, and the one after its code. Only whole pages of code, which is
    // never written to: of written ones the kernel would forget what was written.
    extern const char __executable_start[], etext[];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)etext & ~(page - 1);
    if (end > first) (void)madvise((void *)first, end - first, MADV_DONTNEED);
    malloc_trim(0);
}

const char *clinux_executable(void) { return (const char *)getauxval(AT_EXECFN); }
