// Many orphans that die in one instant: for the tests of PID 1 and for Benchmarks/run.
//
//   orphans COUNT          makes them, lets them die, prints the milliseconds until the last one was reaped
//   orphans COUNT CODE     lets them die by its own exit with CODE
//
// They are children of a process that has ended, and all wait for one pipe's end. Exits with 3 if they cannot be made.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    _exit(3);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void make(int count, volatile pid_t *pids, const int ends[2]) {
    close(ends[1]);
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char byte;
            ssize_t ignored = read(ends[0], &byte, 1);
            _exit((int)ignored);
        }
        if (pid < 0) fail("fork");
        pids[i] = pid;
    }
    _exit(0);
}

int main(int count, char **arguments) {
    if (count < 2) return 3;
    int wanted = atoi(arguments[1]), ends[2], status;
    volatile pid_t *pids = mmap(NULL, (size_t)wanted * sizeof *pids, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pids == MAP_FAILED || pipe(ends) < 0) fail("mmap, pipe");
    pid_t mother = fork();
    if (mother == 0) make(wanted, pids, ends);
    if (mother < 0 || waitpid(mother, &status, 0) != mother || status != 0) fail("the mother");
    if (count > 2) return atoi(arguments[2]);
    double start = now();
    close(ends[1]);
    for (int i = 0; i < wanted; i++) {
        // A zombie can still be signalled; only one that was waited for is gone.
        while (kill(pids[i], 0) == 0 || errno == EPERM) {
            if (now() - start > 60e3) {
                fprintf(stderr, "%d of %d are not reaped after a minute\n", wanted - i, wanted);
                return 4;
            }
            usleep(200);
        }
    }
    printf("%.1f\n", now() - start);
    return 0;
}
