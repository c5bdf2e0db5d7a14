#include "common/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/directory.h"

/* The folder of a path, as a path. Precondition: the path has less than PATH_MAX bytes. */
static void folder_of(char folder[PATH_MAX], const char *path)
{
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  memcpy(folder, path, length);
  folder[length] = '\0';
  if (length == 0)
    strcpy(folder, slash == NULL ? "." : "/");
}

/* Reading. */

/* What is wrong with the folder, formatted; false if it is safe. */
static bool folder_is_unsafe(const char *path, char *message, size_t size)
{
  char folder[PATH_MAX];
  struct stat status;
  folder_of(folder, path);
  if (stat(folder, &status) != 0)
    snprintf(message, size, "%s: %s", folder, strerror(errno));
  else if (status.st_uid != geteuid() && status.st_uid != 0)
    snprintf(message, size, "%s belongs to another user (uid %u)", folder, (unsigned)status.st_uid);
  else if ((status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0)
    snprintf(message, size, "others may write to %s (mode %o); chmod go-w it", folder,
             (unsigned)status.st_mode & 07777);
  else
    return false;
  return true;
}

static bool file_is_unsafe(int file, const char *path, char *message, size_t size)
{
  struct stat status;
  if (fstat(file, &status) != 0)
    snprintf(message, size, "%s: %s", path, strerror(errno));
  else if (!S_ISREG(status.st_mode))
    snprintf(message, size, "%s is not a regular file", path);
  else if (status.st_uid != geteuid())
    snprintf(message, size, "%s belongs to another user (uid %u)", path, (unsigned)status.st_uid);
  else if ((status.st_mode & 077) != 0)
    snprintf(message, size, "others may read or write %s (mode %o); chmod 600 it", path,
             (unsigned)status.st_mode & 07777);
  else
    return false;
  return true;
}

/* Returns the bytes read, or -1 with errno set. */
static ssize_t read_all(int file, char *bytes, size_t size)
{
  size_t length = 0;
  while (length < size) {
    ssize_t got = read(file, bytes + length, size - length);
    if (got == 0)
      break;
    if (got < 0 && errno != EINTR)
      return -1;
    if (got > 0)
      length += (size_t)got;
  }
  return (ssize_t)length;
}

static bool read_line(int file, char *line, size_t line_size, const char *path, char *message,
                      size_t size)
{
  ssize_t length = read_all(file, line, line_size);
  if (length < 0) {
    snprintf(message, size, "%s: %s", path, strerror(errno));
    return false;
  }
  const char *end = memchr(line, '\n', (size_t)length);
  size_t used = end != NULL ? (size_t)(end - line) : (size_t)length;
  if (used < line_size && memchr(line, '\0', used) == NULL) {
    line[used] = '\0';
    return true;
  }
  snprintf(message, size, "%s: the first line holds a NUL, or %zu bytes or more", path, line_size);
  return false;
}

enum uk_secret uk_secret_read(char *secret, size_t secret_size, const char *path, char *message,
                              size_t size)
{
  int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno == ENOENT)
    return UK_SECRET_NONE;
  if (file < 0) {
    snprintf(message, size, "%s: %s", path,
             errno == ELOOP ? "a symbolic link, where a file is expected" : strerror(errno));
    return UK_SECRET_REFUSED;
  }
  bool good = !folder_is_unsafe(path, message, size) &&
              !file_is_unsafe(file, path, message, size) &&
              read_line(file, secret, secret_size, path, message, size);
  close(file);
  return good ? UK_SECRET_READ : UK_SECRET_REFUSED;
}

/* Writing. */

static int write_all(int file, const char *text, size_t length)
{
  while (length > 0) {
    ssize_t written = write(file, text, length);
    if (written < 0 && errno != EINTR)
      return errno;
    if (written > 0) {
      text += written;
      length -= (size_t)written;
    }
  }
  return fsync(file) == 0 ? 0 : errno;
}

int uk_secret_write(const char *path, const char *text, size_t length)
{
  char draft[PATH_MAX], folder[PATH_MAX];
  unsigned long long number = 0; /* random: drafts that a crash left behind do not collide */
  if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
    return errno;
  int size = snprintf(draft, sizeof draft, "%s.%llx", path, number);
  if (size < 0 || (size_t)size >= sizeof draft)
    return ENAMETOOLONG;
  int file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0)
    return errno;
  int error = write_all(file, text, length);
  if (close(file) != 0 && error == 0)
    error = errno;
  if (error == 0 && link(draft, path) != 0)
    error = errno;
  unlink(draft);
  folder_of(folder, path);
  return error != 0 ? error : uk_directory_sync(folder);
}
