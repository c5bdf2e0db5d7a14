#include "common/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool cannot_be_synced(int error)
{
  return error == EACCES || error == EPERM || error == EINVAL || error == EROFS;
}

int uk_directory_sync(const char *path)
{
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return cannot_be_synced(errno) ? 0 : errno;
  int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return cannot_be_synced(error) ? 0 : error;
}

/* Returns 0 if the directory exists now, else an errno. */
static int make_one(const char *path)
{
  struct stat status;
  if (mkdir(path, 0700) == 0)
    return 0;
  int error = errno;
  if (stat(path, &status) == 0)
    return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
  return error;
}

/* Creates the directory that is named by the first `end` bytes, and syncs the one above it, which
 * the first `start` bytes name. */
static int make_level(const char *path, size_t start, size_t end)
{
  char part[PATH_MAX];
  memcpy(part, path, end);
  part[end] = '\0';
  int error = make_one(part);
  if (error != 0)
    return error;
  part[start] = '\0';
  return uk_directory_sync(start > 0 ? part : ".");
}

int uk_directory_make(const char *path)
{
  if (strlen(path) >= PATH_MAX)
    return ENAMETOOLONG;
  size_t start = strspn(path, "/");
  size_t above = start > 0 ? 1 : 0;
  int error = path[start] == '\0' && start == 0 ? ENOENT : 0;
  while (error == 0 && path[start] != '\0') {
    size_t end = start + strcspn(path + start, "/");
    error = make_level(path, above, end);
    above = end;
    start = end + strspn(path + end, "/");
  }
  return error;
}
