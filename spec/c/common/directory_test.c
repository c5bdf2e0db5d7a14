/* for: directory.c */
#undef _FORTIFY_SOURCE /* its open is inline */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "common/directory.h"

enum { SYNCS_MAX = 16 };
static char synced[SYNCS_MAX][PATH_MAX];
static int syncs, sync_error, open_error;

#define IN_FRONT __attribute__((visibility("default")))

/* In front of that of libc. */
IN_FRONT int open(const char *path, int flags, ...)
{
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  CHECK((flags & (O_CLOEXEC | O_CREAT)) != 0); /* no program that is started inherits it */
  errno = open_error;
  return open_error != 0 ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Stands in for the C library's: records the path of what is synced. */
int fsync(int fd)
{
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (syncs < SYNCS_MAX) {
    ssize_t length = readlink(link, synced[syncs], PATH_MAX - 1);
    synced[syncs++][length > 0 ? length : 0] = '\0';
  }
  errno = sync_error;
  return sync_error == 0 ? 0 : -1;
}

static char home[] = "/tmp/directory-XXXXXX";

/* Checks that the last syncs were of these directories below home, in this order. */
static void check_syncs(const char *const *below, int count)
{
  CHECK(syncs >= count);
  for (int i = 0; i < count && syncs >= count; i++) {
    char expected[PATH_MAX];
    snprintf(expected, sizeof expected, "%s%s", home, below[i]);
    CHECK_EQ_STR(synced[syncs - count + i], expected);
  }
}

static int mode_of(const char *path)
{
  struct stat status;
  return stat(path, &status) == 0 ? (int)(status.st_mode & 0777) : -1;
}

static void A18_every_level_is_synced_into_its_parent(void)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/a//b/c/", home);
  for (int run = 0; run < 2; run++) { /* the second time, they are there already */
    syncs = 0;
    CHECK_EQ_INT(uk_directory_make(path), 0);
    CHECK_EQ_INT(mode_of(path), 0700);
    check_syncs((const char *[]){"", "/a", "/a/b"}, 3);
    CHECK_EQ_STR(synced[0], "/");
  }
}

static void a_relative_path_begins_in_the_current_directory(void)
{
  REQUIRE(chdir(home) == 0);
  syncs = 0;
  CHECK_EQ_INT(uk_directory_make("r/s"), 0);
  CHECK_EQ_INT(syncs, 2);
  check_syncs((const char *[]){"", "/r"}, 2);
  CHECK_EQ_INT(mode_of("r/s"), 0700);
}

static void a_sync_that_fails_is_reported(void)
{
  static const struct {
    int sync, result;
  } cases[] = {{EIO, EIO},  {ENOSPC, ENOSPC}, {EINVAL, 0},   {EROFS, 0},
               {EACCES, 0}, {EPERM, 0},       {EBADF, EBADF}};
  REQUIRE(chdir(home) == 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sync_error = cases[i].sync;
    CHECK_EQ_INT(uk_directory_make("failing"), cases[i].result);
  }
  sync_error = 0;
}

/* A directory that may not be read cannot be synced; one that there is no descriptor for can. */
static void a_directory_that_cannot_be_opened(void)
{
  static const struct {
    int open, result;
  } cases[] = {{EACCES, 0}, {EPERM, 0}, {EMFILE, EMFILE}, {ENOENT, ENOENT}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    open_error = cases[i].open;
    CHECK_EQ_INT(uk_directory_sync(home), cases[i].result);
  }
  open_error = 0;
}

static int open_files(void)
{
  int files = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL)
    files++;
  if (folder != NULL)
    closedir(folder);
  return files;
}

static void no_file_stays_open(void)
{
  int files = open_files();
  CHECK_EQ_INT(uk_directory_sync(home), 0);
  sync_error = EIO;
  CHECK_EQ_INT(uk_directory_sync(home), EIO);
  sync_error = 0;
  CHECK_EQ_INT(open_files(), files);
}

static void reports_why_a_directory_cannot_be_made(void)
{
  char path[PATH_MAX], long_path[PATH_MAX + 1];
  memset(long_path, 'x', PATH_MAX);
  long_path[PATH_MAX] = '\0';
  CHECK_EQ_INT(uk_directory_make(long_path), ENAMETOOLONG);
  CHECK_EQ_INT(uk_directory_make(""), ENOENT);
  CHECK_EQ_INT(uk_directory_make("/"), 0);
  snprintf(path, sizeof path, "%s/file", home);
  int file = open(path, O_CREAT | O_WRONLY, 0600);
  close(file);
  CHECK_EQ_INT(uk_directory_make(path), ENOTDIR);
  snprintf(path, sizeof path, "%s/file/below", home);
  CHECK_EQ_INT(uk_directory_make(path), ENOTDIR);
  CHECK_EQ_INT(uk_directory_sync(path), ENOTDIR);
}

int main(void)
{
  char command[PATH_MAX];
  if (mkdtemp(home) == NULL)
    return 1;
  CHECK_RUN(A18_every_level_is_synced_into_its_parent);
  CHECK_RUN(a_relative_path_begins_in_the_current_directory);
  CHECK_RUN(a_sync_that_fails_is_reported);
  CHECK_RUN(a_directory_that_cannot_be_opened);
  CHECK_RUN(no_file_stays_open);
  CHECK_RUN(reports_why_a_directory_cannot_be_made);
  snprintf(command, sizeof command, "rm -rf '%s'", home);
  return system(command) == 0 ? check_end() : 1;
}
