// Preloaded into agentd: the process of the given role prints the secret in $CRASH_SECRET, in two pieces, and dies of a
// fault, $CRASH_AFTER milliseconds after its start. What a bug of ours would be.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

// By a timer: a thread of its own would keep the loop from being confined.
static void crash(int number) {
    (void)number;
    char key[256];
    int file = open(getenv("CRASH_SECRET"), O_RDONLY);
    ssize_t count = file < 0 ? -1 : read(file, key, sizeof key);
    if (count <= 0) _exit(99);
    dprintf(2, "Fatal error: the key is ");
    if (write(2, key, (size_t)count / 2) < 0) _exit(98);
    usleep(20000);
    if (write(2, key + count / 2, (size_t)(count - count / 2)) < 0) _exit(97);
    dprintf(2, ", unexpectedly\n");
    raise(SIGSEGV);
}

__attribute__((constructor)) static void begin(void) {
    char line[4096] = "";
    int file = open("/proc/self/cmdline", O_RDONLY);
    ssize_t count = file < 0 ? 0 : read(file, line, sizeof line - 1);
    if (file >= 0) close(file);
    const char *role = count > 0 ? line + strlen(line) + 1 : "";
    if (!getenv("CRASH_ROLE") || strcmp(role, getenv("CRASH_ROLE")) != 0) return;
    signal(SIGALRM, crash);
    long after = atol(getenv("CRASH_AFTER"));
    struct itimerval timer = {.it_value = {.tv_sec = after / 1000, .tv_usec = after % 1000 * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}
