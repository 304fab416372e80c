/* A wall clock that can be stepped while the program runs: adds the 64-bit offset, in microseconds, that stands in the
 * file named by CHAOS_CLOCK. The kernel is asked by raw calls, so nothing here allocates or recurses: the server's
 * allocator reads the clock before it is ready itself. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("CHAOS_CLOCK");
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    long where = syscall(SYS_mmap, 0, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (where > 0) offset = (volatile int64_t *)where;
    syscall(SYS_close, fd);
}

int clock_gettime(clockid_t id, struct timespec *t) {
    long failed = syscall(SYS_clock_gettime, id, t);
    if (failed || !offset || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return (int)failed;
    int64_t us = (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000 + *offset;
    t->tv_nsec = us % 1000000 * 1000 + t->tv_nsec % 1000;
    t->tv_sec = us / 1000000;
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
