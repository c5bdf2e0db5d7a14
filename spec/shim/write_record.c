/* A library for LD_PRELOAD: records what a program writes to the files of a data folder, and what
 * it sends, in the order in which it happens. spec/support/write_order.lua reads the record.
 *
 * The environment variable WRITE_RECORD names the file. Each call is "KIND NAME OFFSET LENGTH\n"
 * and, of a write and a send, the bytes:
 *
 *   write     of a file; NAME is the last part of its path
 *   durable   the same through a descriptor that syncs each write
 *   truncate  OFFSET is the new length
 *   sync      of a file, or of a folder, whose NAME is "."
 *   rename    LENGTH bytes are the new NAME
 *   send      through a socket; NAME is "-"
 *   mapped    a file was mapped so that memory writes to it, which this does not record
 *
 * A lock is held around each call, so the record is in the order of their effects. A send stands
 * before its effect, all others after it. Calls that fail are left out. */
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

enum { NAME = 256, PARTS = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int output = -1;

__attribute__((constructor)) static void open_output(void)
{
  const char *path = getenv("WRITE_RECORD");
  if (path != NULL)
    output =
      (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* A record that is cut short would mislead; the test sees that the process is gone. */
static void put(const void *bytes, size_t length)
{
  const char *next = bytes;
  while (length > 0) {
    ssize_t written = syscall(SYS_write, output, next, length);
    if (written < 0)
      _exit(99);
    next += written;
    length -= (size_t)written;
  }
}

static void put_head(const char *kind, const char *name, off_t at, size_t length)
{
  char head[NAME + 80];
  int size = snprintf(head, sizeof head, "%s %s %lld %zu\n", kind, name, (long long)at, length);
  put(head, (size_t)size);
}

static void put_parts(const struct iovec *parts, int count, size_t length)
{
  for (int i = 0; i < count && length > 0; i++) {
    size_t part = parts[i].iov_len < length ? parts[i].iov_len : length;
    put(parts[i].iov_base, part);
    length -= part;
  }
}

static size_t length_of(const struct iovec *parts, size_t count)
{
  size_t length = 0;
  for (size_t i = 0; i < count; i++)
    length += parts[i].iov_len;
  return length;
}

/* The name of a regular file or folder; false for anything else, and when nothing is recorded. */
static bool name_of(int fd, char name[NAME])
{
  char link[64], path[NAME];
  struct stat status;
  int before = errno;
  if (output < 0 || fd <= 2 || fstat(fd, &status) != 0 ||
      (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) {
    errno = before;
    return false;
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length <= 0)
    return false;
  path[length] = '\0';
  const char *slash = strrchr(path, '/');
  snprintf(name, NAME, "%s", S_ISDIR(status.st_mode) ? "." : slash + 1);
  return true;
}

static bool is_socket(int fd)
{
  struct stat status;
  return output >= 0 && fd > 2 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static const char *kind_of_write(int fd)
{
  return (fcntl(fd, F_GETFL) & O_DSYNC) != 0 ? "durable" : "write";
}

/* Writing to files. At -1: where the descriptor stands. */

static ssize_t raw_write(int fd, const struct iovec *parts, int count, off_t at)
{
  if (at < 0)
    return syscall(SYS_writev, fd, parts, count);
  return syscall(SYS_pwritev, fd, parts, count, at, 0);
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t at)
{
  char name[NAME];
  if (!name_of(fd, name))
    return raw_write(fd, parts, count, at);
  pthread_mutex_lock(&lock);
  off_t place = at < 0 ? (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) : at;
  ssize_t written = raw_write(fd, parts, count, at);
  int error = errno;
  if (written > 0) {
    put_head(kind_of_write(fd), name, place, (size_t)written);
    put_parts(parts, count, (size_t)written);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}

static void put_send(const struct iovec *parts, size_t count)
{
  put_head("send", "-", 0, length_of(parts, count));
  put_parts(parts, (int)count, length_of(parts, count));
}

/* The response leaves within the lock, so nothing that is written later stands before it. */
static ssize_t send_parts(int fd, const struct iovec *parts, size_t count, int flags)
{
  const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
  pthread_mutex_lock(&lock);
  put_send(parts, count);
  ssize_t sent = syscall(SYS_sendmsg, fd, &message, flags);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return sent;
}

static struct iovec one_part(const void *data, size_t length)
{
  return (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = length};
}

PUBLIC ssize_t write(int fd, const void *data, size_t length)
{
  const struct iovec part = one_part(data, length);
  return is_socket(fd) ? send_parts(fd, &part, 1, 0) : write_parts(fd, &part, 1, -1);
}

PUBLIC ssize_t writev(int fd, const struct iovec *parts, int count)
{
  return is_socket(fd) ? send_parts(fd, parts, (size_t)count, 0)
                       : write_parts(fd, parts, count, -1);
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
  const struct iovec part = one_part(data, length);
  return write_parts(fd, &part, 1, at);
}

PUBLIC ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
  return pwrite(fd, data, length, at);
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
  return write_parts(fd, parts, count, at);
}

PUBLIC ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
  return write_parts(fd, parts, count, at);
}

PUBLIC ssize_t send(int fd, const void *data, size_t length, int flags)
{
  const struct iovec part = one_part(data, length);
  if (!is_socket(fd))
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
  return send_parts(fd, &part, 1, flags);
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
  if (!is_socket(fd))
    return syscall(SYS_sendmsg, fd, message, flags);
  return send_parts(fd, message->msg_iov, message->msg_iovlen, flags);
}

/* Calls without bytes: recorded when they have succeeded. */

static int record(int status, const char *kind, const char *name, off_t at)
{
  int error = errno;
  if (status == 0)
    put_head(kind, name, at, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return status;
}

static int sync_by(long number, int fd)
{
  char name[NAME];
  if (!name_of(fd, name))
    return (int)syscall(number, fd);
  pthread_mutex_lock(&lock);
  return record((int)syscall(number, fd), "sync", name, 0);
}

PUBLIC int fdatasync(int fd)
{
  return sync_by(SYS_fdatasync, fd);
}

PUBLIC int fsync(int fd)
{
  return sync_by(SYS_fsync, fd);
}

PUBLIC int ftruncate(int fd, off_t length)
{
  char name[NAME];
  if (!name_of(fd, name))
    return (int)syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  return record((int)syscall(SYS_ftruncate, fd, length), "truncate", name, length);
}

PUBLIC int ftruncate64(int fd, off64_t length)
{
  return ftruncate(fd, length);
}

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

PUBLIC int renameat(int folder, const char *from, int new_folder, const char *to)
{
  if (output < 0)
    return (int)syscall(SYS_renameat, folder, from, new_folder, to);
  pthread_mutex_lock(&lock);
  int status = (int)syscall(SYS_renameat, folder, from, new_folder, to), error = errno;
  if (status == 0) {
    put_head("rename", last_part(from), 0, strlen(last_part(to)));
    put(last_part(to), strlen(last_part(to)));
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return status;
}

PUBLIC int rename(const char *from, const char *to)
{
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

PUBLIC void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at)
{
  char name[NAME];
  bool writes = fd > 2 && (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0;
  if (writes && name_of(fd, name)) {
    pthread_mutex_lock(&lock);
    (void)record(0, "mapped", name, at);
  }
  /* NOLINTNEXTLINE(performance-no-int-to-ptr): the system call returns an integer */
  return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, at);
}

PUBLIC void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t at)
{
  return mmap(address, length, protection, flags, fd, at);
}
