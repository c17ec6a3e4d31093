/* A library to preload before the executable: it ends the process, as SIGKILL does, between two steps on the disk.
 *
 *     cc -shared -fPIC -O2 -o die.so die.c -ldl
 *     LD_PRELOAD=./die.so DIE_LOG=steps.log DIE_AT=17 conch …
 *
 * A step is a call of rename, unlink, mkdir, rmdir or fsync.
 *
 * DIE_LOG    one line per step, appended before it is made: its number, the call, the path (for fsync the descriptor's)
 * DIE_AT     the number of the step before which the process dies, from 1 on
 * DIE_AFTER  the process dies after the first rename to a path that ends so
 *
 * Linux only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int steps;

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void step(const char *call, const char *path) {
    int number = ++steps;
    const char *log = getenv("DIE_LOG"), *at = getenv("DIE_AT");
    if (log) {
        char line[4300];
        int length = snprintf(line, sizeof line, "%d %s %s\n", number, call, path);
        int file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (file >= 0) {
            if (write(file, line, length) != length) abort();
            close(file);
        }
    }
    if (at && atoi(at) == number) die();
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = next("rename");
    step("rename", to);
    int done = real(from, to);
    const char *after = getenv("DIE_AFTER");
    if (after && strlen(to) >= strlen(after) && !strcmp(to + strlen(to) - strlen(after), after)) die();
    return done;
}

int unlink(const char *path) {
    static int (*real)(const char *);
    if (!real) real = next("unlink");
    step("unlink", path);
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    static int (*real)(const char *, mode_t);
    if (!real) real = next("mkdir");
    step("mkdir", path);
    return real(path, mode);
}

int rmdir(const char *path) {
    static int (*real)(const char *);
    if (!real) real = next("rmdir");
    step("rmdir", path);
    return real(path);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = next("fsync");
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    step("fsync", path);
    return real(file);
}
