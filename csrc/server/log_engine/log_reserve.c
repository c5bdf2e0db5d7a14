#include "server/log_engine/log_reserve.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 }; /* a nearly full disk still has some chunks */

size_t uk_log_largest_file(void)
{
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < SIZE_MAX ? (size_t)limit.rlim_cur
                                                                           : SIZE_MAX;
}

void uk_log_reserve_fill(int reserve, size_t bytes)
{
  if (reserve < 0)
    return;
  if (bytes > uk_log_largest_file())
    bytes = uk_log_largest_file() / CHUNK * CHUNK;
  for (size_t at = 0; at < bytes && posix_fallocate(reserve, (off_t)at, CHUNK) == 0;)
    at += CHUNK;
}

void uk_log_reserve_release(int reserve)
{
  /* If this fails, the writes that follow fail for lack of room, as without a reserve. */
  if (reserve >= 0 && ftruncate(reserve, 0) != 0)
    return;
}

int uk_log_reserve_open(const char *directory, size_t bytes)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/reserve", directory) >= (int)sizeof path)
    return -1;
  int reserve = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  uk_log_reserve_fill(reserve, bytes);
  return reserve;
}
