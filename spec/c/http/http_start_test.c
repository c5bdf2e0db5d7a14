/* for: http.c, http_probe.c
 *
 * The HTTP library does not start, as when threads, descriptors or memory are short: the test
 * stands in its place. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"
#include "fault.h"
#include "log_rig.h"
#include "made_certificate.h"
#include "server/http/http_certificate.h"
#include "server/http/http_lines.h"
#include "server/http/http_private.h"

static char message[200];

typedef void logger(void *context, const char *format, va_list arguments);

static const char *complaint; /* what the library logs, or NULL */

static void complain(logger *log, void *context, ...)
{
  va_list arguments;
  va_start(arguments, context);
  log(context, complaint, arguments);
  va_end(arguments);
}

static char daemon_of_test;
static bool has_daemon;
static int stops;

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
  CHECK((void *)daemon == &daemon_of_test);
  stops++;
}

/* The system: refuses the call of this number, from 1. */

static int eventfds_left, epolls_left, threads_left;

static bool refuses(int *left)
{
  errno = EMFILE;
  return *left > 0 && --*left == 0;
}

int eventfd(unsigned int count, int flags)
{
  union {
    void *symbol;
    int (*create)(unsigned int, int);
  } own = {.symbol = dlsym(RTLD_NEXT, "eventfd")};
  return refuses(&eventfds_left) ? -1 : own.create(count, flags);
}

int epoll_create1(int flags)
{
  union {
    void *symbol;
    int (*create)(int);
  } own = {.symbol = dlsym(RTLD_NEXT, "epoll_create1")};
  return refuses(&epolls_left) ? -1 : own.create(flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
  union {
    void *symbol;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  } own = {.symbol = dlsym(RTLD_NEXT, "pthread_create")};
  return refuses(&threads_left) ? EAGAIN : own.create(thread, attributes, run, argument);
}

static const char *priorities; /* what the library was told last, or NULL */
static int strictness;         /* the same; -1: nothing */

static void log_twice(logger *log, void *context)
{
  if (complaint == NULL)
    return;
  complain(log, context, "first", 5);
  complain(log, context, "second", 6);
}

/* Options with one value of the size of a pointer are not looked at, nor those with two. */
static void read_options(va_list *options)
{
  priorities = NULL;
  strictness = -1;
  for (int option; (option = va_arg(*options, int)) != MHD_OPTION_END;) {
    if (option == MHD_OPTION_STRICT_FOR_CLIENT) {
      strictness = va_arg(*options, int);
    } else if (option == MHD_OPTION_HTTPS_PRIORITIES) {
      priorities = va_arg(*options, const char *);
    } else if (option == MHD_OPTION_EXTERNAL_LOGGER) {
      logger *log = va_arg(*options, logger *);
      log_twice(log, va_arg(*options, void *));
    } else if (option == MHD_OPTION_UNESCAPE_CALLBACK || option == MHD_OPTION_URI_LOG_CALLBACK ||
               option == MHD_OPTION_NOTIFY_CONNECTION || option == MHD_OPTION_NOTIFY_COMPLETED) {
      (void)va_arg(*options, void *);
      (void)va_arg(*options, void *);
    } else {
      (void)va_arg(*options, void *);
    }
  }
}

/* A probe's daemon, which has no thread, never starts. */
struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port,
                                    MHD_AcceptPolicyCallback accept, void *accept_context,
                                    MHD_AccessHandlerCallback handler, void *context, ...)
{
  va_list options;
  const bool starts = has_daemon && (flags & MHD_USE_INTERNAL_POLLING_THREAD) != 0;
  (void)port, (void)accept, (void)accept_context, (void)handler, (void)context;
  va_start(options, context);
  if (starts || complaint != NULL)
    read_options(&options);
  va_end(options);
  return starts ? (struct MHD_Daemon *)(void *)&daemon_of_test : NULL;
}

static int count_descriptors(void)
{
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

static char cert[300], key[300];

static const struct uk_http_options plain = {.listen = "127.0.0.1:0",
                                             .threads = 1,
                                             .max_connections = 1,
                                             .max_header_bytes = UK_HEADER_BYTES,
                                             .max_body_bytes = 1};

static enum uk_error start(bool tls)
{
  struct uk_http *http = NULL;
  struct uk_http_options options = plain;
  options.tls_cert = tls ? cert : NULL;
  options.tls_key = tls ? key : NULL;
  int descriptors = count_descriptors();
  long allocations = fault_live();
  enum uk_error error = uk_http_start(&http, &options, message, sizeof message);
  CHECK(http == NULL);
  CHECK_EQ_INT(count_descriptors(), descriptors);
  CHECK_EQ_INT(fault_live(), allocations);
  return error;
}

/* The library's first message is the cause; later ones follow from it. */
static void says_what_the_library_says_first(void)
{
  complaint = "the %s cause: %d\nand more";
  CHECK_EQ_INT(start(false), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "threads: the first cause: 5");
  CHECK_EQ_INT(start(true), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "threads: the first cause: 5");
  complaint = NULL;
  CHECK_EQ_INT(start(false), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "threads: the HTTP server could not be started");
}

/* Whatever the system refuses, nothing remains. */
static void a_start_needs_descriptors_and_threads(void)
{
  static const struct {
    int eventfds, epolls, threads;
  } rows[] = {{1, 0, 0}, {2, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}};
  has_daemon = true;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    eventfds_left = rows[i].eventfds;
    epolls_left = rows[i].epolls;
    threads_left = rows[i].threads;
    message[0] = '\0';
    CHECK_EQ_INT(start(false), UK_E_UNAVAILABLE);
    CHECK_EQ_INT(eventfds_left + epolls_left + threads_left, 0);
    CHECK_EQ_STR(message, "");
  }
  CHECK_EQ_INT(stops, 0);
  has_daemon = false;
}

/* Also without memory for the sockets, the first thing that it makes. */
static void a_start_needs_memory(void)
{
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    CHECK_EQ_INT(start(false), UK_E_NO_MEMORY);
    CHECK(fault_hit());
    fault_off();
  }
}

/* The server stops, although it never accepted a connection. */
static void accepting_needs_a_thread(void)
{
  struct uk_http *http = NULL;
  int descriptors = count_descriptors();
  long allocations = fault_live();
  has_daemon = true;
  stops = 0;
  REQUIRE(uk_http_start(&http, &plain, message, sizeof message) == UK_OK);
  threads_left = 1;
  CHECK_EQ_INT(uk_http_accept(http, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "threads: the system has no resources for another thread");
  CHECK(!http->acceptor.running);
  uk_http_refuse(http);
  uk_http_stop(http);
  CHECK_EQ_INT(stops, 1);
  CHECK_EQ_INT(count_descriptors(), descriptors);
  CHECK_EQ_INT(fault_live(), allocations);
  has_daemon = false;
}

static void a_probe_that_cannot_start_leaves_nothing(void)
{
  int descriptors = count_descriptors();
  for (int i = 0; i < 2; i++) {
    CHECK(!uk_http_refusals_are_json());
    CHECK(!uk_http_lines_are_kept());
  }
  CHECK_EQ_INT(count_descriptors(), descriptors);
}

static void make_files(void)
{
  snprintf(cert, sizeof cert, "%s/cert.pem", rig_directory());
  snprintf(key, sizeof key, "%s/key.pem", rig_directory());
  made_certificate(cert, key, "here");
}

/* Before it listens. */
static void e5_a_start_names_what_tls_cannot_use(void)
{
  struct uk_http *http = NULL;
  struct uk_http_options options = plain;
  const int descriptors = count_descriptors();
  options.listen = "nowhere";
  options.tls_cert = options.tls_key = cert;
  CHECK_EQ_INT(uk_http_start(&http, &options, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK(strncmp(message, "tls_key: ", 9) == 0);
  options.tls_priorities = "NONSENSE";
  CHECK_EQ_INT(uk_http_start(&http, &options, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "tls_priorities: not understood from \"NONSENSE\" on (GnuTLS)");
  CHECK(http == NULL);
  CHECK_EQ_INT(count_descriptors(), descriptors);
}

/* What the library is told about TLS. */
static void e5_the_library_gets_the_priorities(void)
{
  static const char *const rows[] = {NULL, "NORMAL"};
  for (int i = 0; i < 2; i++) {
    struct uk_http *http = NULL;
    struct uk_http_options options = plain;
    options.tls_cert = cert;
    options.tls_key = key;
    options.tls_priorities = rows[i];
    has_daemon = true;
    REQUIRE(uk_http_start(&http, &options, message, sizeof message) == UK_OK);
    CHECK_EQ_STR(priorities, rows[i] != NULL ? rows[i] : UK_TLS_PRIORITIES);
    CHECK_EQ_INT(strictness, 1); /* no probe saw that heads stay where they are */
    CHECK(uk_http_has_certificate(http));
    CHECK_EQ_INT(uk_http_reload_certificate(http, message, sizeof message), UK_OK);
    uk_http_refuse(http);
    uk_http_stop(http);
    has_daemon = false;
  }
}

int main(void)
{
  make_files();
  CHECK_RUN(says_what_the_library_says_first);
  CHECK_RUN(a_start_needs_descriptors_and_threads);
  CHECK_RUN(a_start_needs_memory);
  CHECK_RUN(accepting_needs_a_thread);
  CHECK_RUN(a_probe_that_cannot_start_leaves_nothing);
  CHECK_RUN(e5_a_start_names_what_tls_cannot_use);
  CHECK_RUN(e5_the_library_gets_the_priorities);
  rig_remove();
  return check_end();
}
