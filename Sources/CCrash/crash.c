#define _GNU_SOURCE
#include "ccrash.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char heading[64];

// Only calls that are safe in a signal handler (signal-safety(7)); backtrace(3) is once libgcc has been loaded, which
// ccrash_install sees to.
static void write_stack(int number) {
    char line[128];
    size_t length = 0;
    const char *signal_name = sigabbrev_np(number);
    const char *const parts[] = {heading, "SIG", signal_name ? signal_name : "?", "; the stack of the thread:\n"};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t part = strlen(parts[i]);
        if (length + part > sizeof line) break;
        memcpy(line + length, parts[i], part);
        length += part;
    }
    void *frames[64];
    int count = backtrace(frames, 64);
    if (write(STDERR_FILENO, line, length) < 0) return;
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

static void on_quit(int number) {
    int kept = errno;
    write_stack(number);
    errno = kept;
}

// SA_RESETHAND has put the default action back, so the signal that is raised again ends the process.
static void on_fault(int number) {
    write_stack(number);
    raise(number);
}

void ccrash_install(const char *name) {
    snprintf(heading, sizeof heading, "%.40s: ", name);
    void *frame;
    backtrace(&frame, 1);
    // A stack of its own, or a stack overflow could not be told. Never freed: it serves until the end.
    static char stack[65536];
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternative, NULL);
    struct sigaction quit = {.sa_handler = on_quit, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigaction(SIGQUIT, &quit, NULL);
    struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_RESETHAND | SA_ONSTACK | SA_NODEFER};
    const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) sigaction(faults[i], &fault, NULL);
}
