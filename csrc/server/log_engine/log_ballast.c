#include "server/log_engine/log_ballast.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 }; /* a nearly full disk gives some of them */

void uk_log_ballast_keep(int ballast, size_t bytes)
{
  if (ballast < 0)
    return;
  for (size_t at = 0; at < bytes && posix_fallocate(ballast, (off_t)at, CHUNK) == 0;)
    at += CHUNK;
}

void uk_log_ballast_give(int ballast)
{
  /* Where it fails, what follows fails for want of room, as without a ballast. */
  if (ballast >= 0 && ftruncate(ballast, 0) != 0)
    return;
}

int uk_log_ballast_open(const char *directory, size_t bytes)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/reserve", directory) >= (int)sizeof path)
    return -1;
  int ballast = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  uk_log_ballast_keep(ballast, bytes);
  return ballast;
}
