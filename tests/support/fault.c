/* A disk that fails when it is told to: put in front of the C library by LD_PRELOAD, for files below FAULT_FOLDER.
 *
 * FAULT_FILE holds one word, which is read at each call:
 *   well      nothing happens
 *   sync      fsync and fdatasync fail with EIO
 *   full      writing fails with ENOSPC, unless the store's reserve was deleted; the reserve can't be written
 *   readonly  writing, and opening for writing, fail with EROFS
 * FAULT_KILL=N ends the process at its N-th write or sync.
 * FAULT_SYNCED names a file that says how many bytes of the write-ahead log are on the disk for certain: its size before
 * the last sync of it that succeeded. A power cut may take the rest.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_below(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

/* The path of an open file below the folder. */
static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int told(const char *word) {
    char text[32] = {0};
    const char *file = getenv("FAULT_FILE");
    int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0) return 0;
    ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    return length > 0 && strcmp(text, word) == 0;
}

static void count(void) {
    static int calls = 0;
    const char *last = getenv("FAULT_KILL");
    if (last && __sync_add_and_fetch(&calls, 1) >= atoi(last)) _exit(137);
}

/* Why a write to this file fails; 0 if it doesn't. */
static int refusal(int fd) {
    char path[4096];
    int saved = errno;
    if (!path_of(fd, path, sizeof path)) { errno = saved; return 0; }
    count();
    int why = 0;
    if (told("readonly")) why = EROFS;
    if (told("full")) {
        char reserve[4200];
        struct stat found;
        const char *ending = strrchr(path, '.');
        snprintf(reserve, sizeof reserve, "%s/fanfare.db.reserve", getenv("FAULT_FOLDER"));
        if ((ending && strcmp(ending, ".reserve") == 0) || stat(reserve, &found) == 0) why = ENOSPC;
    }
    errno = saved;
    return why;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define REFUSE(fd) \
    do { int why = refusal(fd); if (why) { errno = why; return -1; } } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    REFUSE(fd);
    return real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    REFUSE(fd);
    return real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    REFUSE(fd);
    return real(fd, data, size, at);
}

static int sync_refusal(int fd) {
    char path[4096];
    int saved = errno, why = 0;
    if (path_of(fd, path, sizeof path)) {
        count();
        if (told("sync")) why = EIO;
        if (told("readonly")) why = EROFS;
    }
    errno = saved;
    return why;
}

/* Syncs, unless that is to fail, and notes how much of the log it brought to the disk. */
static int synced(int (*real)(int), int fd) {
    char path[4096];
    const char *file = getenv("FAULT_SYNCED");
    struct stat before;
    int why = sync_refusal(fd);
    if (why) { errno = why; return -1; }
    int is_log = file && path_of(fd, path, sizeof path) && strlen(path) > 4
        && strcmp(path + strlen(path) - 4, "-wal") == 0 && fstat(fd, &before) == 0;
    int result = real(fd);
    if (is_log && result == 0) {
        char text[32];
        int length = snprintf(text, sizeof text, "%020lld", (long long)before.st_size);
        int out = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (out >= 0) {
            syscall(SYS_pwrite64, out, text, length, 0);
            syscall(SYS_close, out);
        }
    }
    return result;
}

int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(real, fd);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(real, fd);
}

static int may_open(const char *path, int flags) {
    if (!(flags & (O_WRONLY | O_RDWR | O_CREAT)) || !is_below(path) || !told("readonly")) return 1;
    errno = EROFS;
    return 0;
}

int open(const char *path, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return may_open(path, flags) ? real(path, flags, mode) : -1;
}

int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return may_open(path, flags) ? real(path, flags, mode) : -1;
}
