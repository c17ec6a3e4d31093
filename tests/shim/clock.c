/* A library to preload before the server: the wall clock jumps as a file says. Time that has passed is not touched.
 *
 *     cc -shared -fPIC -O2 -o clock.so clock.c
 *     LD_PRELOAD=./clock.so SHIM_CLOCK=offset.txt conch serve …
 *
 * SHIM_CLOCK names a file with the seconds that are added, which may be less than zero; it may appear and change at any
 * time. Linux only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    static _Atomic long long known, looked = -1;
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    /* A hundred times a second is often enough. */
    long long tick = now.tv_sec * 100 + now.tv_nsec / 10000000;
    if (atomic_exchange(&looked, tick) == tick) return atomic_load(&known);
    const char *path = getenv("SHIM_CLOCK");
    if (!path) return 0;
    char text[32];
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return atomic_load(&known);
    long length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (length <= 0) return atomic_load(&known);
    text[length] = 0;
    atomic_store(&known, atoll(text));
    return atomic_load(&known);
}

int clock_gettime(clockid_t id, struct timespec *out) {
    int outcome = (int)syscall(SYS_clock_gettime, id, out);
    if (outcome == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += offset();
    return outcome;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
