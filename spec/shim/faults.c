/* A library for LD_PRELOAD: the system calls of an unmodified program fail by rules that a test
 * changes while the program runs. spec/support/faults.lua writes the rules and reads the counts.
 *
 * The environment variable FAULTS names a file of a page, which is mapped. Its first byte is '+'
 * while the rules hold. Then comes a text, "SEED KIND:WHAT:PERMILLE ...", as in
 *
 *   7 fdatasync:EIO:300 pwrite:short:100
 *
 * KIND is one of `names`. WHAT is an errno; an errno with a '!', which the call returns although it
 * was carried out; "short", half of a write; or "hang", which waits until the rules no longer hold.
 * Whether the n-th call of a kind fails depends on the seed, the kind and n alone.
 *
 * Of files, regular ones count whose number is above 2, so that logging works. Of sockets and what
 * else there is, only `send`, `recv`, `accept` and `connect` count. */
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

/* `meta` is a write of LMDB's that makes a commit valid: of less than a page, in the first two. */
#define KINDS(X)                                                                                   \
  X(fdatasync)                                                                                     \
  X(fsync)                                                                                         \
  X(pwrite)                                                                                        \
  X(meta)                                                                                          \
  X(write)                                                                                         \
  X(msync)                                                                                         \
  X(mmap)                                                                                          \
  X(malloc)                                                                                        \
  X(calloc)                                                                                        \
  X(realloc)                                                                                       \
  X(send)                                                                                          \
  X(recv)                                                                                          \
  X(accept)                                                                                        \
  X(connect)                                                                                       \
  X(open)                                                                                          \
  X(ftruncate)                                                                                     \
  X(fallocate)                                                                                     \
  X(rename)

enum kind {
#define KIND_ENUM(name) KIND_##name,
  KINDS(KIND_ENUM) KIND_COUNT
};

#define ERRORS(X)                                                                                  \
  X(EIO)                                                                                           \
  X(ENOSPC)                                                                                        \
  X(EROFS)                                                                                         \
  X(EFBIG)                                                                                         \
  X(EDQUOT)                                                                                        \
  X(EMFILE)                                                                                        \
  X(ENOMEM)                                                                                        \
  X(EPIPE)                                                                                         \
  X(ECONNRESET)                                                                                    \
  X(ECONNABORTED)                                                                                  \
  X(ECONNREFUSED)

#define COMMA_NAME(name) #name,
#define COMMA_NUMBER(name) name,

static const char *const names[] = {KINDS(COMMA_NAME)};
static const char *const error_names[] = {ERRORS(COMMA_NAME)};
static const int error_numbers[] = {ERRORS(COMMA_NUMBER)};

enum { PAGE = 4096, RULES = 2047, META_END = 8192 };

struct area {
  _Atomic char on;
  char rules[RULES];
  struct {
    _Atomic uint64_t calls, faults; /* while the rules held */
  } counts[KIND_COUNT];
};

static struct area *area;

__attribute__((constructor)) static void map_area(void)
{
  const char *path = getenv("FAULTS");
  long file = path != NULL ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0)
    return;
  long place = syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  (void)syscall(SYS_close, file);
  if (place > 0)
    area = (struct area *)place;
}

/* Reading the rules: without the C library, because malloc does it, too. */

enum act { PASS, FAIL, FAIL_DONE, SHORT, HANG };

struct fault {
  enum act act;
  int error;
};

static uint64_t read_number(const char *text)
{
  uint64_t number = 0;
  for (; *text >= '0' && *text <= '9'; text++)
    number = number * 10 + (uint64_t)(*text - '0');
  return number;
}

/* True when the text begins with the word, and then with `end`. */
static bool begins(const char *text, const char *word, char end)
{
  while (*word != '\0') {
    if (*text++ != *word++)
      return false;
  }
  return *text == end;
}

static const char *behind(const char *text, char separator)
{
  while (*text != '\0' && *text != separator)
    text++;
  return *text == '\0' ? text : text + 1;
}

static struct fault read_fault(const char *what)
{
  if (begins(what, "short", ':'))
    return (struct fault){SHORT, EIO};
  if (begins(what, "hang", ':'))
    return (struct fault){HANG, 0};
  for (size_t i = 0; i < sizeof error_numbers / sizeof *error_numbers; i++) {
    if (begins(what, error_names[i], ':'))
      return (struct fault){FAIL, error_numbers[i]};
    if (begins(what, error_names[i], '!'))
      return (struct fault){FAIL_DONE, error_numbers[i]};
  }
  return (struct fault){PASS, 0};
}

/* SplitMix64. */
static uint64_t mix(uint64_t x)
{
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* The first rule for the kind that hits the call. */
static struct fault find_fault(enum kind kind, uint64_t call)
{
  uint64_t place = 0, random = mix(read_number(area->rules)) ^ mix((uint64_t)kind << 40 | call);
  for (const char *rule = behind(area->rules, ' '); *rule != '\0'; rule = behind(rule, ' ')) {
    if (!begins(rule, names[kind], ':'))
      continue;
    const char *what = behind(rule, ':');
    if (mix(random + place++) % 1000 < read_number(behind(what, ':')))
      return read_fault(what);
  }
  return (struct fault){PASS, 0};
}

static void pause_while_on(void)
{
  const struct timespec moment = {.tv_nsec = 2000000};
  while (atomic_load(&area->on) == '+')
    (void)syscall(SYS_nanosleep, &moment, NULL);
}

/* What happens to this call. A hang is over when it returns. */
static struct fault decide(enum kind kind)
{
  if (area == NULL || atomic_load(&area->on) != '+')
    return (struct fault){PASS, 0};
  struct fault fault = find_fault(kind, atomic_fetch_add(&area->counts[kind].calls, 1));
  if (fault.act != PASS)
    atomic_fetch_add(&area->counts[kind].faults, 1);
  if (fault.act != HANG)
    return fault;
  pause_while_on();
  return (struct fault){PASS, 0};
}

/* The result of a call that is a fault or was carried out with this result. */
static long end_call(struct fault fault, long result)
{
  if (fault.act == PASS || fault.act == SHORT)
    return result;
  errno = fault.error;
  return -1;
}

#define SYSCALL(fault, ...)                                                                        \
  ((fault).act == FAIL ? end_call(fault, 0) : end_call(fault, syscall(__VA_ARGS__)))

/* What `mode` says of a descriptor, such as S_IFREG; 0 if that is not known, and for 0 to 2. */
static mode_t type_of(int fd)
{
  struct stat status;
  return fd > 2 && fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

static bool is_file(int fd)
{
  return area != NULL && atomic_load(&area->on) == '+' && type_of(fd) == S_IFREG;
}

static struct fault decide_file(int fd, enum kind kind)
{
  return is_file(fd) ? decide(kind) : (struct fault){PASS, 0};
}

/* Files. */

PUBLIC int fdatasync(int fd)
{
  struct fault fault = decide(KIND_fdatasync);
  return (int)SYSCALL(fault, SYS_fdatasync, fd);
}

PUBLIC int fsync(int fd)
{
  struct fault fault = decide(KIND_fsync);
  return (int)SYSCALL(fault, SYS_fsync, fd);
}

PUBLIC int msync(void *address, size_t length, int flags)
{
  struct fault fault = decide(KIND_msync);
  return (int)SYSCALL(fault, SYS_msync, address, length, flags);
}

static ssize_t write_at(int fd, const void *data, size_t length, off_t at)
{
  bool meta = at < META_END && length < PAGE;
  struct fault fault = decide_file(fd, meta ? KIND_meta : KIND_pwrite);
  if (fault.act == SHORT)
    length /= 2;
  return SYSCALL(fault, SYS_pwrite64, fd, data, length, at);
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
  return write_at(fd, data, length, at);
}

PUBLIC ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
  return write_at(fd, data, length, at);
}

/* Short is half of the first part. */
static ssize_t write_parts_at(int fd, const struct iovec *parts, int count, off_t at)
{
  struct fault fault = decide_file(fd, KIND_pwrite);
  if (fault.act == SHORT)
    return syscall(SYS_pwrite64, fd, parts[0].iov_base, parts[0].iov_len / 2, at);
  return SYSCALL(fault, SYS_pwritev, fd, parts, count, at, 0);
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
  return write_parts_at(fd, parts, count, at);
}

PUBLIC ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
  return write_parts_at(fd, parts, count, at);
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count)
{
  mode_t type = type_of(fd);
  struct fault fault = {PASS, 0};
  if (type == S_IFREG)
    fault = decide(KIND_pwrite);
  else if (type == S_IFSOCK)
    fault = decide(KIND_send);
  if (fault.act == SHORT)
    return syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2);
  return SYSCALL(fault, SYS_writev, fd, parts, count);
}

PUBLIC ssize_t writev(int fd, const struct iovec *parts, int count)
{
  return write_parts(fd, parts, count);
}

PUBLIC ssize_t write(int fd, const void *data, size_t length)
{
  mode_t type = type_of(fd);
  struct fault fault = {PASS, 0};
  if (type == S_IFREG)
    fault = decide(KIND_write);
  else if (type == S_IFSOCK)
    fault = decide(KIND_send);
  if (fault.act == SHORT)
    length /= 2;
  return SYSCALL(fault, SYS_write, fd, data, length);
}

PUBLIC void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at)
{
  struct fault fault = decide(KIND_mmap);
  /* NOLINTNEXTLINE(performance-no-int-to-ptr): the system call returns an integer */
  return (void *)SYSCALL(fault, SYS_mmap, address, length, protection, flags, fd, at);
}

PUBLIC void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t at)
{
  return mmap(address, length, protection, flags, fd, at);
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
  struct fault fault = decide(KIND_open);
  return (int)SYSCALL(fault, SYS_openat, folder, path, flags, mode);
}

static mode_t mode_in(int flags, va_list arguments)
{
  bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return creates ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
  PUBLIC int name(const char *path, int flags, ...)                                                \
  {                                                                                                \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = mode_in(flags, arguments);                                                       \
    va_end(arguments);                                                                             \
    return open_at(AT_FDCWD, path, flags, mode);                                                   \
  }

#define OPENAT(name)                                                                               \
  PUBLIC int name(int folder, const char *path, int flags, ...)                                    \
  {                                                                                                \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = mode_in(flags, arguments);                                                       \
    va_end(arguments);                                                                             \
    return open_at(folder, path, flags, mode);                                                     \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

PUBLIC int ftruncate(int fd, off_t length)
{
  struct fault fault = decide(KIND_ftruncate);
  return (int)SYSCALL(fault, SYS_ftruncate, fd, length);
}

PUBLIC int ftruncate64(int fd, off64_t length)
{
  return ftruncate(fd, length);
}

/* Returns the error, and leaves errno alone. */
PUBLIC int posix_fallocate(int fd, off_t at, off_t length)
{
  int before = errno;
  struct fault fault = decide(KIND_fallocate);
  int error = SYSCALL(fault, SYS_fallocate, fd, 0, at, length) == 0 ? 0 : errno;
  errno = before;
  return error;
}

PUBLIC int posix_fallocate64(int fd, off64_t at, off64_t length)
{
  return posix_fallocate(fd, at, length);
}

PUBLIC int renameat(int folder, const char *from, int new_folder, const char *to)
{
  struct fault fault = decide(KIND_rename);
  return (int)SYSCALL(fault, SYS_renameat, folder, from, new_folder, to);
}

PUBLIC int rename(const char *from, const char *to)
{
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* Sockets. The header declares addresses as a union, which a definition cannot have. */

ssize_t sendto(int fd, const void *data, size_t length, int flags, const void *address,
               uint32_t size);
ssize_t send(int fd, const void *data, size_t length, int flags);
ssize_t sendmsg(int fd, const void *message, int flags);
ssize_t recvfrom(int fd, void *data, size_t length, int flags, void *address, uint32_t *size);
ssize_t recv(int fd, void *data, size_t length, int flags);
int accept4(int fd, void *address, uint32_t *size, int flags);
int connect(int fd, const void *address, uint32_t size);

/* A connection that was reset stays so. */
static struct fault decide_socket(int fd, enum kind kind)
{
  struct fault fault = decide(kind);
  if (fault.act == FAIL && (fault.error == ECONNRESET || fault.error == EPIPE))
    (void)syscall(SYS_shutdown, fd, 2);
  return fault;
}

PUBLIC ssize_t sendto(int fd, const void *data, size_t length, int flags, const void *address,
                      uint32_t size)
{
  struct fault fault = decide_socket(fd, KIND_send);
  if (fault.act == SHORT)
    length = length / 2 + 1;
  return SYSCALL(fault, SYS_sendto, fd, data, length, flags, address, size);
}

PUBLIC ssize_t send(int fd, const void *data, size_t length, int flags)
{
  return sendto(fd, data, length, flags, NULL, 0);
}

PUBLIC ssize_t sendmsg(int fd, const void *message, int flags)
{
  struct fault fault = decide_socket(fd, KIND_send);
  return SYSCALL(fault, SYS_sendmsg, fd, message, flags);
}

PUBLIC ssize_t recvfrom(int fd, void *data, size_t length, int flags, void *address, uint32_t *size)
{
  struct fault fault = decide_socket(fd, KIND_recv);
  if (fault.act == SHORT)
    length = length / 2 + 1;
  return SYSCALL(fault, SYS_recvfrom, fd, data, length, flags, address, size);
}

PUBLIC ssize_t recv(int fd, void *data, size_t length, int flags)
{
  return recvfrom(fd, data, length, flags, NULL, NULL);
}

PUBLIC int accept4(int fd, void *address, uint32_t *size, int flags)
{
  struct fault fault = decide(KIND_accept);
  return (int)SYSCALL(fault, SYS_accept4, fd, address, size, flags);
}

PUBLIC int connect(int fd, const void *address, uint32_t size)
{
  struct fault fault = decide(KIND_connect);
  return (int)SYSCALL(fault, SYS_connect, fd, address, size);
}

/* Memory. */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool is_refused(enum kind kind)
{
  if (decide(kind).act == PASS)
    return false;
  errno = ENOMEM;
  return true;
}

PUBLIC void *malloc(size_t size)
{
  return is_refused(KIND_malloc) ? NULL : __libc_malloc(size);
}

PUBLIC void *calloc(size_t count, size_t size)
{
  return is_refused(KIND_calloc) ? NULL : __libc_calloc(count, size);
}

PUBLIC void *realloc(void *old, size_t size)
{
  return is_refused(KIND_realloc) ? NULL : __libc_realloc(old, size);
}
