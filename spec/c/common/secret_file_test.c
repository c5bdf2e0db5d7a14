/* for: secret_file.c
 *
 * A secret reaches the disk before it gets its name, and the name before the secret is used. */
#undef _FORTIFY_SOURCE /* its read is inline */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "common/secret_file.h"

/* The calls in order, one letter each: w write, s sync of a file, d sync of a directory, l link,
 * u unlink. */
static char done[64];
static bool sync_fails;
static bool close_fails;
static bool in_pieces, interrupted; /* reads and writes take a byte, or are interrupted */

static bool is_interrupted(void)
{
  interrupted = in_pieces && !interrupted;
  errno = EINTR;
  return interrupted;
}

static void note(char what)
{
  size_t length = strlen(done);
  if (length + 1 < sizeof done)
    done[length] = what;
}

#define IN_FRONT __attribute__((visibility("default")))

/* Some file systems report at the end only that a write failed. */
IN_FRONT int close(int fd)
{
  int failed = (int)syscall(SYS_close, fd);
  errno = close_fails ? EIO : errno;
  return close_fails ? -1 : failed;
}

/* No program that the process starts inherits it. */
static void check_is_private(int fd)
{
  CHECK(fd <= 2 || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

IN_FRONT int fsync(int fd)
{
  struct stat status;
  check_is_private(fd);
  note(fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? 'd' : 's');
  errno = EIO;
  return sync_fails ? -1 : (int)syscall(SYS_fsync, fd);
}

IN_FRONT ssize_t write(int fd, const void *data, size_t length)
{
  if (fd > 2)
    note('w');
  if (is_interrupted())
    return -1;
  return (ssize_t)syscall(SYS_write, fd, data, in_pieces ? 1 : length);
}

IN_FRONT ssize_t read(int fd, void *data, size_t length)
{
  check_is_private(fd);
  if (is_interrupted())
    return -1;
  return (ssize_t)syscall(SYS_read, fd, data, in_pieces ? 1 : length);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
ssize_t __read_chk(int fd, void *data, size_t length, size_t size);
IN_FRONT ssize_t __read_chk(int fd, void *data, size_t length, size_t size)
{
  (void)size;
  return read(fd, data, length);
}

IN_FRONT int link(const char *from, const char *to)
{
  note('l');
  return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

IN_FRONT int unlink(const char *path)
{
  note('u');
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static char folder[] = "/tmp/secret-XXXXXX", path[64], message[400], secret[32];

static int write_secret(const char *text)
{
  memset(done, 0, sizeof done);
  return uk_secret_write(path, text, strlen(text));
}

static enum uk_secret read_secret(void)
{
  return uk_secret_read(secret, sizeof secret, path, message, sizeof message);
}

static void is_on_the_disk_before_it_is_used(void)
{
  struct stat status;
  sync_fails = true;
  CHECK_EQ_INT(write_secret("secret"), EIO);
  CHECK(stat(path, &status) != 0); /* a file that may be incomplete has no name */
  CHECK_EQ_STR(done, "wsu");
  sync_fails = false;
  close_fails = true;
  CHECK_EQ_INT(write_secret("secret"), EIO);
  close_fails = false;
  CHECK(stat(path, &status) != 0);
  CHECK_EQ_STR(done, "wsu");
  CHECK_EQ_INT(write_secret("secret"), 0);
  CHECK_EQ_STR(done, "wslud");
  CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
  CHECK_EQ_INT(write_secret("other"), EEXIST);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  CHECK_EQ_STR(secret, "secret");
  unlink(path);
}

static void reads_and_writes_may_be_short_or_interrupted(void)
{
  in_pieces = true;
  CHECK_EQ_INT(write_secret("in many pieces"), 0);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  in_pieces = false;
  CHECK_EQ_STR(secret, "in many pieces");
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  CHECK_EQ_STR(secret, "in many pieces");
  unlink(path);
}

/* Nothing is left behind. */
static void says_why_it_cannot_be_written(void)
{
  char long_path[PATH_MAX], full[100];
  memset(long_path, 'x', sizeof long_path - 1);
  long_path[sizeof long_path - 1] = '\0';
  memset(done, 0, sizeof done);
  CHECK_EQ_INT(uk_secret_write(long_path, "s", 1), ENAMETOOLONG);
  CHECK_EQ_STR(done, "");
  snprintf(full, sizeof full, "%s/missing/secret", folder);
  CHECK_EQ_INT(uk_secret_write(full, "s", 1), ENOENT);
  CHECK_EQ_INT(write_secret("s"), 0);
  snprintf(long_path, sizeof long_path, "%s/below", path);
  CHECK_EQ_INT(uk_secret_read(secret, sizeof secret, long_path, message, sizeof message),
               UK_SECRET_REFUSED);
  snprintf(full, sizeof full, "%.60s: %s", long_path, strerror(ENOTDIR));
  CHECK_EQ_STR(message, full);
  unlink(path);
}

static void says_when_there_is_none(void)
{
  CHECK_EQ_INT(read_secret(), UK_SECRET_NONE);
}

static void only_the_first_line_counts(void)
{
  static const char *const texts[] = {"abc", "abc\n", "abc\ndef\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    CHECK_EQ_INT(write_secret(texts[i]), 0);
    CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
    CHECK_EQ_STR(secret, "abc");
    unlink(path);
  }
  CHECK_EQ_INT(write_secret(""), 0);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  CHECK_EQ_STR(secret, "");
  unlink(path);
}

static void a_line_has_room_or_is_refused(void)
{
  char text[sizeof secret + 1], expected[200];
  for (size_t length = sizeof secret - 1; length <= sizeof secret; length++) {
    memset(text, 'x', length);
    text[length] = '\0';
    CHECK_EQ_INT(write_secret(text), 0);
    CHECK_EQ_INT(read_secret(), length < sizeof secret ? UK_SECRET_READ : UK_SECRET_REFUSED);
    if (length < sizeof secret)
      CHECK_EQ_STR(secret, text);
    unlink(path);
  }
  snprintf(expected, sizeof expected, "%s: the first line holds a NUL, or 32 bytes or more", path);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(uk_secret_write(path, "a\0b\n", 4), 0);
  CHECK_EQ_INT(read_secret(), UK_SECRET_REFUSED);
  CHECK_EQ_STR(message, expected);
  unlink(path);
}

/* `format` has the path, once or twice. */
static void check_refused(const char *format, const char *name)
{
  char expected[400];
  snprintf(expected, sizeof expected, format, name);
  CHECK_EQ_INT(read_secret(), UK_SECRET_REFUSED);
  CHECK_EQ_STR(message, expected);
}

static void C6_a_file_that_others_may_use_is_refused(void)
{
  static const struct {
    mode_t mode;
    const char *text;
  } cases[] = {{0640, "others may read or write %s (mode 640); chmod 600 it"},
               {0620, "others may read or write %s (mode 620); chmod 600 it"},
               {0604, "others may read or write %s (mode 604); chmod 600 it"},
               {0602, "others may read or write %s (mode 602); chmod 600 it"}};
  CHECK_EQ_INT(write_secret("secret"), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    chmod(path, cases[i].mode);
    check_refused(cases[i].text, path);
  }
  chmod(path, 0400);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  unlink(path);
}

static void C6_what_is_no_file_is_refused(void)
{
  CHECK(symlink("/dev/null", path) == 0);
  check_refused("%s: a symbolic link, where a file is expected", path);
  unlink(path);
  CHECK(mkdir(path, 0700) == 0);
  check_refused("%s is not a regular file", path);
  rmdir(path);
  CHECK(mkfifo(path, 0600) == 0); /* an open would wait for a writer */
  check_refused("%s is not a regular file", path);
  unlink(path);
}

static void C6_a_folder_that_others_may_write_is_refused(void)
{
  static const struct {
    mode_t mode;
    const char *text;
  } cases[] = {{0770, "others may write to %s (mode 770); chmod go-w it"},
               {0702, "others may write to %s (mode 702); chmod go-w it"}};
  CHECK_EQ_INT(write_secret("secret"), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    chmod(folder, cases[i].mode);
    check_refused(cases[i].text, folder);
  }
  chmod(folder, 01777); /* nobody may rename or remove another's file */
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  chmod(folder, 0755);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  chmod(folder, 0700);
  unlink(path);
}

static void C6_what_belongs_to_another_user_is_refused(void)
{
  if (geteuid() != 0)
    CHECK_SKIP("needs root, to give a file away");
  CHECK_EQ_INT(write_secret("secret"), 0);
  CHECK(chown(path, 1, (gid_t)-1) == 0);
  check_refused("%s belongs to another user (uid 1)", path);
  CHECK(chown(path, 0, (gid_t)-1) == 0 && chown(folder, 2, (gid_t)-1) == 0);
  check_refused("%s belongs to another user (uid 2)", folder);
  CHECK(chown(folder, 0, (gid_t)-1) == 0);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  unlink(path);
}

static void a_relative_path_is_in_the_current_folder(void)
{
  REQUIRE(chdir(folder) == 0);
  CHECK_EQ_INT(uk_secret_write("here", "secret", 6), 0);
  CHECK_EQ_INT(uk_secret_read(secret, sizeof secret, "here", message, sizeof message),
               UK_SECRET_READ);
  chmod(folder, 0777);
  CHECK_EQ_INT(uk_secret_read(secret, sizeof secret, "here", message, sizeof message),
               UK_SECRET_REFUSED);
  CHECK_EQ_STR(message, "others may write to . (mode 777); chmod go-w it");
  unlink("here");
}

static int open_files(void)
{
  int files = 0;
  DIR *descriptors = opendir("/proc/self/fd");
  while (descriptors != NULL && readdir(descriptors) != NULL)
    files++;
  if (descriptors != NULL)
    closedir(descriptors);
  return files;
}

/* Whether it was written, read, refused or missing. */
static void no_file_stays_open(void)
{
  const int files = open_files();
  sync_fails = true;
  CHECK_EQ_INT(write_secret("secret"), EIO);
  sync_fails = false;
  CHECK_EQ_INT(read_secret(), UK_SECRET_NONE);
  CHECK_EQ_INT(write_secret("secret"), 0);
  CHECK_EQ_INT(write_secret("other"), EEXIST);
  CHECK_EQ_INT(read_secret(), UK_SECRET_READ);
  chmod(path, 0640);
  CHECK_EQ_INT(read_secret(), UK_SECRET_REFUSED);
  unlink(path);
  CHECK_EQ_INT(open_files(), files);
}

int main(void)
{
  if (mkdtemp(folder) == NULL)
    return 1;
  snprintf(path, sizeof path, "%s/secret", folder);
  CHECK_RUN(is_on_the_disk_before_it_is_used);
  CHECK_RUN(reads_and_writes_may_be_short_or_interrupted);
  CHECK_RUN(says_why_it_cannot_be_written);
  CHECK_RUN(says_when_there_is_none);
  CHECK_RUN(no_file_stays_open);
  CHECK_RUN(only_the_first_line_counts);
  CHECK_RUN(a_line_has_room_or_is_refused);
  CHECK_RUN(C6_a_file_that_others_may_use_is_refused);
  CHECK_RUN(C6_what_is_no_file_is_refused);
  CHECK_RUN(C6_a_folder_that_others_may_write_is_refused);
  CHECK_RUN(C6_what_belongs_to_another_user_is_refused);
  CHECK_RUN(a_relative_path_is_in_the_current_folder);
  rmdir(folder);
  return check_end();
}
