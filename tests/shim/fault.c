/* A library to preload before the server: it writes down in which order data reaches the disk and answers leave, and it
 * makes the disk fail on demand.
 *
 *     cc -shared -fPIC -O2 -o fault.so fault.c
 *     LD_PRELOAD=./fault.so SHIM_LOG=calls.log SHIM_MARK=zzq SHIM_CONTROL=fault.txt conch serve …
 *
 * SHIM_LOG       one line per call, appended whole, so that the order of lines is the order of events over all threads:
 *
 *                    write    CLASS SIZE RESULT MARK…     after the call has returned
 *                    sync     CLASS begin                 before fsync or fdatasync
 *                    sync     CLASS end RESULT            after it has returned
 *                    truncate CLASS SIZE RESULT
 *                    send     STATUS SIZE MARK…           before bytes leave through a socket; STATUS is that of an HTTP
 *                                                         answer which begins in them, or "-"
 *                    fault    CALL CLASS ERRNO            a failure was made
 *
 *                CLASS is wal, db or shm: data.db-wal, data.db, data.db-shm. Other files are not looked at. RESULT is
 *                what the call returned, or "-ERRNO".
 * SHIM_MARK      a prefix of [a-z0-9]; every word of 15 such characters that begins with it and occurs in the bytes of a
 *                write or an answer is a MARK. A test that gives its records such ids can follow each of them.
 * SHIM_CONTROL   a file that may appear, change and go at any time (replace it by rename). Each line is a failure:
 *
 *                    ERRNO CALL CLASS [above=BYTES] [after=COUNT] [times=COUNT]
 *
 *                    ENOSPC room FILES above=BYTES    the file system says that so many bytes are free (FILES: any word)
 *
 *                ERRNO is ENOSPC or EIO, CALL is write, sync or truncate. `above`: only calls that would make the file
 *                longer than this (a disk of that size). `after`: lets so many matching calls pass first. `times`: fails
 *                so often, then no more; without it as long as the line is there. Counts begin anew with each new file.
 *
 * Linux only; the calls are made by number, so that nothing depends on the order in which libraries are loaded.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MARK_LENGTH = 15, LINE = 16384, RULES = 16 };

struct rule {
    int error;
    char call[16], class[8];
    long long above, after, times;
};

static int log_fd = -1;
static const char *mark, *control;
static size_t mark_length;

static pthread_mutex_t rules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES];
static int rule_count;
static struct stat rules_file;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIM_LOG");
    if (path) log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    mark = getenv("SHIM_MARK");
    mark_length = mark ? strlen(mark) : 0;
    control = getenv("SHIM_CONTROL");
}

/* "wal", "db", "shm", "socket", or NULL for everything else. */
static const char *class_of(int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    if (strncmp(path, "socket:", 7) == 0) return "socket";
    const char *file = strrchr(path, '/');
    if (!file) return NULL;
    if (strcmp(file, "/data.db-wal") == 0) return "wal";
    if (strcmp(file, "/data.db") == 0) return "db";
    if (strcmp(file, "/data.db-shm") == 0) return "shm";
    return NULL;
}

static int is_file(const char *class) {
    return class && strcmp(class, "socket") != 0;
}

static void say(const char *line, size_t length) {
    if (log_fd >= 0) syscall(SYS_write, log_fd, line, length);
}

__attribute__((format(printf, 1, 2))) static void sayf(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0) say(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* Appends " MARK" for every marked word in the bytes. */
static size_t add_marks(char *line, size_t at, const char *bytes, size_t size) {
    if (mark_length == 0 || size < MARK_LENGTH) return at;
    const char *end = bytes + size - MARK_LENGTH;
    for (const char *word = bytes; word <= end && at + MARK_LENGTH + 2 < LINE;) {
        word = memmem(word, (size_t)(end - word) + mark_length, mark, mark_length);
        if (!word || word > end) break;
        size_t length = mark_length;
        while (length < MARK_LENGTH && (islower((unsigned char)word[length]) || isdigit((unsigned char)word[length]))) length++;
        if (length == MARK_LENGTH) {
            line[at++] = ' ';
            memcpy(line + at, word, MARK_LENGTH);
            at += MARK_LENGTH;
        }
        word += length;
    }
    return at;
}

static long long result_of(long result) {
    return result < 0 ? -(long long)errno : result;
}

static void log_write(const char *class, const char *bytes, size_t size, long result) {
    if (log_fd < 0) return;
    int saved = errno;
    char line[LINE];
    size_t at = (size_t)snprintf(line, LINE, "write %s %zu %lld", class, size, result_of(result));
    at = add_marks(line, at, bytes, size);
    line[at++] = '\n';
    say(line, at);
    errno = saved;
}

static void log_send(const struct iovec *parts, size_t count) {
    if (log_fd < 0) return;
    char line[LINE], status[4] = "-";
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].iov_len;
    if (count && parts[0].iov_len >= 12 && memcmp(parts[0].iov_base, "HTTP/1.1 ", 9) == 0) {
        memcpy(status, (const char *)parts[0].iov_base + 9, 3);
        status[3] = 0;
    }
    size_t at = (size_t)snprintf(line, LINE, "send %s %zu", status, size);
    for (size_t i = 0; i < count; i++) at = add_marks(line, at, parts[i].iov_base, parts[i].iov_len);
    line[at++] = '\n';
    say(line, at);
}

static void read_rules(void) {
    struct stat file;
    if (stat(control, &file) != 0) {
        rule_count = 0;
        memset(&rules_file, 0, sizeof rules_file);
        return;
    }
    if (file.st_ino == rules_file.st_ino && file.st_mtim.tv_sec == rules_file.st_mtim.tv_sec
        && file.st_mtim.tv_nsec == rules_file.st_mtim.tv_nsec) return;
    char text[2048];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    rules_file = file;
    rule_count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && rule_count < RULES;) {
        char error[16], *option;
        struct rule rule = {.above = -1, .times = -1};
        if (sscanf(line, "%15s %15s %7s", error, rule.call, rule.class) != 3) continue;
        rule.error = strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
        if ((option = strstr(line, "above="))) rule.above = atoll(option + 6);
        if ((option = strstr(line, "after="))) rule.after = atoll(option + 6);
        if ((option = strstr(line, "times="))) rule.times = atoll(option + 6);
        rules[rule_count++] = rule;
    }
}

/* True when the call has to fail; errno is set. `end` is where the file would end. */
static int fails(const char *call, const char *class, long long end) {
    if (!control) return 0;
    int error = 0;
    pthread_mutex_lock(&rules_lock);
    read_rules();
    for (int i = 0; i < rule_count && !error; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->call, call) != 0 || strcmp(rule->class, class) != 0) continue;
        if (rule->above >= 0 && end <= rule->above) continue;
        if (rule->after > 0) {
            rule->after--;
        } else if (rule->times != 0) {
            if (rule->times > 0) rule->times--;
            error = rule->error;
        }
    }
    pthread_mutex_unlock(&rules_lock);
    if (!error) return 0;
    sayf("fault %s %s %s\n", call, class, error == ENOSPC ? "ENOSPC" : "EIO");
    errno = error;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    const char *class = fd == log_fd ? NULL : class_of(fd);
    if (!is_file(class)) {
        if (class) log_send(&(struct iovec){(void *)bytes, size}, 1);
        return syscall(SYS_write, fd, bytes, size);
    }
    long long at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    long result = fails("write", class, at + (long long)size) ? -1 : syscall(SYS_write, fd, bytes, size);
    log_write(class, bytes, size, result);
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    const char *class = class_of(fd);
    if (!is_file(class)) return syscall(SYS_pwrite64, fd, bytes, size, offset);
    long result = fails("write", class, offset + (long long)size) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
    log_write(class, bytes, size, result);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    return pwrite64(fd, bytes, size, offset);
}

static int synchronise(long number, int fd) {
    const char *class = class_of(fd);
    if (!is_file(class)) return (int)syscall(number, fd);
    sayf("sync %s begin\n", class);
    int result = fails("sync", class, 0) ? -1 : (int)syscall(number, fd);
    int saved = errno;
    sayf("sync %s end %lld\n", class, result_of(result));
    errno = saved;
    return result;
}

int fsync(int fd) {
    return synchronise(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return synchronise(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t size) {
    const char *class = class_of(fd);
    if (!is_file(class)) return (int)syscall(SYS_ftruncate, fd, size);
    int result = fails("truncate", class, size) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
    int saved = errno;
    sayf("truncate %s %lld %lld\n", class, (long long)size, result_of(result));
    errno = saved;
    return result;
}

int ftruncate(int fd, off_t size) {
    return ftruncate64(fd, size);
}

/* What the file system has room for, or what a rule says of it. */
int statvfs(const char *path, struct statvfs *found) {
    struct statfs real;
    if (syscall(SYS_statfs, path, &real) != 0) return -1;
    memset(found, 0, sizeof *found);
    found->f_bsize = (unsigned long)real.f_bsize;
    found->f_frsize = (unsigned long)(real.f_frsize ? real.f_frsize : real.f_bsize);
    found->f_blocks = real.f_blocks;
    found->f_bfree = real.f_bfree;
    found->f_bavail = real.f_bavail;
    found->f_files = real.f_files;
    found->f_ffree = found->f_favail = real.f_ffree;
    if (!control) return 0;
    pthread_mutex_lock(&rules_lock);
    read_rules();
    for (int i = 0; i < rule_count; i++)
        if (strcmp(rules[i].call, "room") == 0 && rules[i].above >= 0)
            found->f_bavail = (fsblkcnt_t)rules[i].above / found->f_frsize;
    pthread_mutex_unlock(&rules_lock);
    return 0;
}

int statvfs64(const char *path, struct statvfs64 *found) {
    return statvfs(path, (struct statvfs *)found);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    const char *class = class_of(fd);
    if (class && !is_file(class) && count > 0) log_send(parts, (size_t)count);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    log_send(&(struct iovec){(void *)bytes, size}, 1);
    return syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    return sendto(fd, bytes, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    log_send(message->msg_iov, message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}
