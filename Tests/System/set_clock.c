// Preloaded into agentd by the tests: clocks that a test sets while the process runs, as an administrator or NTP sets a
// node's. So the program that is tried is the one that is shipped, and no other process has a part in it.
//
// CLOCK_REALTIME is the kernel's plus the milliseconds that stand in the file TEST_CLOCK, as a 64-bit number. A timed wait
// on a condition ends, as the kernel's does (futex(2), FUTEX_CLOCK_REALTIME), when that clock has come to the wait's end:
// libfaketime works out the end when the wait begins, and so never shows what a step of the clock does to it.
//
// TEST_SPEED: time for this process goes so many times as fast; it is for waits that are long by design.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL

static volatile int64_t *offset;
static int64_t speed = 1, began_awake, began;

static int64_t kernel_time(clockid_t clock) {
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now);
    return now.tv_sec * BILLION + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TEST_CLOCK"), *factor = getenv("TEST_SPEED");
    if (path) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        void *map = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
        if (file < 0 || map == MAP_FAILED) abort();
        offset = map;
        close(file);
    }
    if (factor) speed = strtol(factor, NULL, 10);
    began_awake = kernel_time(CLOCK_MONOTONIC);
    began = kernel_time(CLOCK_BOOTTIME);
}

static int64_t faster(int64_t time, int64_t since) { return since + (time - since) * speed; }

static int64_t now(clockid_t clock) {
    int64_t time = kernel_time(clock);
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE: return time + (offset ? *offset * 1000000 : 0);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE: return faster(time, began_awake);
    case CLOCK_BOOTTIME: return faster(time, began);
    default: return time;
    }
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    int64_t time = now(clock);
    *result = (struct timespec){time / BILLION, time % BILLION};
    return 0;
}

int gettimeofday(struct timeval *result, void *zone) {
    (void)zone;
    int64_t time = now(CLOCK_REALTIME);
    *result = (struct timeval){time / BILLION, time % BILLION / 1000};
    return 0;
}

time_t time(time_t *result) {
    time_t seconds = now(CLOCK_REALTIME) / BILLION;
    if (result) *result = seconds;
    return seconds;
}

int poll(struct pollfd *set, nfds_t count, int timeout) {
    int shorter = timeout > 0 ? (timeout + (int)speed - 1) / (int)speed : timeout;
    return (int)syscall(SYS_poll, set, count, shorter);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *end) {
    // The version with which programs are linked: without it the one of before 2003 is found.
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    // One that goes by CLOCK_MONOTONIC has an end of soon after the boot.
    if (end->tv_sec < BILLION) return next(condition, mutex, end);
    while (now(CLOCK_REALTIME) < end->tv_sec * BILLION + end->tv_nsec) {
        int64_t soon = kernel_time(CLOCK_REALTIME) + 10000000;
        struct timespec slice = {soon / BILLION, soon % BILLION};
        int result = next(condition, mutex, &slice);
        if (result != ETIMEDOUT) return result;
    }
    return ETIMEDOUT;
}
