/* A library for LD_PRELOAD: the clocks of a program are as many milliseconds ahead as the file says
 * that the environment variable MOVED_CLOCK names: DIGITS for the monotonic clock, then a sign and
 * DIGITS for the wall clock. spec/support/moved_clock.lua writes it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

enum { DIGITS = 16, CONTROL_BYTES = 2 * DIGITS + 1 };

static const volatile char *control;

static int64_t read_digits(int from)
{
  int64_t ahead = 0;
  for (int i = from; control != NULL && i < from + DIGITS; i++)
    ahead = ahead * 10 + (control[i] - '0');
  return ahead * 1000000;
}

static int64_t nanoseconds_ahead(void)
{
  return read_digits(0);
}

static int64_t wall_nanoseconds_ahead(void)
{
  if (control == NULL)
    return 0;
  return control[DIGITS] == '-' ? -read_digits(DIGITS + 1) : read_digits(DIGITS + 1);
}

static struct timespec moved(const struct timespec *time, int64_t nanoseconds)
{
  int64_t all = time->tv_nsec + nanoseconds;
  struct timespec result = {time->tv_sec + all / 1000000000, all % 1000000000};
  if (result.tv_nsec < 0) {
    result.tv_sec--;
    result.tv_nsec += 1000000000;
  }
  return result;
}

PUBLIC int clock_gettime(clockid_t clock, struct timespec *time)
{
  int status = (int)syscall(SYS_clock_gettime, clock, time);
  if (status == 0 && clock == CLOCK_MONOTONIC)
    *time = moved(time, nanoseconds_ahead());
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    *time = moved(time, wall_nanoseconds_ahead());
  return status;
}

PUBLIC int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
  struct timespec now;
  (void)zone;
  int status = clock_gettime(CLOCK_REALTIME, &now);
  *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return status;
}

PUBLIC time_t time(time_t *seconds)
{
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (seconds != NULL)
    *seconds = now.tv_sec;
  return now.tv_sec;
}

/* The conditions of the server are on the monotonic clock. */
PUBLIC int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
  const struct timespec real = moved(until, -nanoseconds_ahead());
  return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &real);
}

__attribute__((constructor)) static void map_control(void)
{
  const char *path = getenv("MOVED_CLOCK");
  int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0)
    return;
  void *mapped = mmap(NULL, CONTROL_BYTES, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  control = mapped != MAP_FAILED ? mapped : NULL;
}
