/* Makes the clock of a container wrong: loaded before each of its programs, it adds the seconds that stand in /tmp/clock to the
 * time of day, from one second to the next. What only measures how long something takes (CLOCK_MONOTONIC) stays as it is, as on a
 * machine whose clock is set anew.
 *
 * libfaketime does the same, but timed waits fail, end at once, or never end with it, under Python 3.11 and Java 17.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A moment of the time of day, not one of a clock that began with the machine. */
#define IS_OF_DAY(moment) ((moment)->tv_sec > 1000000000)

static int of_kernel(clockid_t clock, struct timespec *now) { return (int)syscall(SYS_clock_gettime, clock, now); }

static time_t wrong_by(void) {
    static time_t looked = -1, seconds = 0;
    struct timespec now;
    of_kernel(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec != looked) {
        int before = errno;
        char text[24] = "0";
        int file = open("/tmp/clock", O_RDONLY | O_CLOEXEC);
        ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
        if (file >= 0) close(file);
        text[length > 0 ? length : 0] = 0;
        seconds = (time_t)atol(text);
        looked = now.tv_sec;
        errno = before;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = of_kernel(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += wrong_by();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}

/* Who waits until a moment of this clock must be woken at that moment of the kernel's. */
static struct timespec until(const struct timespec *moment) {
    struct timespec kernels = *moment;
    if (IS_OF_DAY(moment)) kernels.tv_sec -= wrong_by();
    return kernels;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict moment) {
    static int (*next)(sem_t *, const struct timespec *);
    if (!next) next = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec kernels = until(moment);
    return next(semaphore, &kernels);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict moment) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    /* Of this one the C library also has an older version, which takes conditions of another size. */
    if (!next) {
        void *found = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
        if (!found) found = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
        next = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))found;
    }
    struct timespec kernels = until(moment);
    return next(condition, mutex, &kernels);
}
