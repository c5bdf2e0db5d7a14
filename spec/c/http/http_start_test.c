/* for: http.c, http_probe.c
 *
 * The HTTP library does not start, as when threads, descriptors or memory are short: the test
 * stands in its place. */
#include <dirent.h>
#include <stdarg.h>

#include "check.h"
#include "fault.h"
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

/* The first option says where to log. */
struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port,
                                    MHD_AcceptPolicyCallback accept, void *accept_context,
                                    MHD_AccessHandlerCallback handler, void *context, ...)
{
  va_list options;
  (void)flags, (void)port, (void)accept, (void)accept_context, (void)handler, (void)context;
  va_start(options, context);
  if (complaint != NULL && va_arg(options, int) == MHD_OPTION_EXTERNAL_LOGGER) {
    logger *log = va_arg(options, logger *);
    void *log_context = va_arg(options, void *);
    complain(log, log_context, "first", 5);
    complain(log, log_context, "second", 6);
  }
  va_end(options);
  return NULL;
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

static enum uk_error start(bool tls)
{
  struct uk_http *http = NULL;
  const struct uk_http_options options = {.listen = "127.0.0.1:0",
                                          .threads = 1,
                                          .max_connections = 1,
                                          .max_header_bytes = UK_HEADER_BYTES,
                                          .max_body_bytes = 1,
                                          .tls_cert = tls ? "cert" : NULL,
                                          .tls_key = tls ? "key" : NULL};
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
  CHECK_EQ_STR(message, "tls_cert, tls_key: the first cause: 5");
  complaint = NULL;
  CHECK_EQ_INT(start(false), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "threads: the HTTP server could not be started");
}

static void a_probe_that_cannot_start_leaves_nothing(void)
{
  int descriptors = count_descriptors();
  for (int i = 0; i < 2; i++)
    CHECK(!uk_http_refusals_are_json());
  CHECK_EQ_INT(count_descriptors(), descriptors);
}

int main(void)
{
  CHECK_RUN(says_what_the_library_says_first);
  CHECK_RUN(a_probe_that_cannot_start_leaves_nothing);
  return check_end();
}
