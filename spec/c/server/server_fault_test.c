/* for: server.c, http.c, request.c, with the allocator failing at every n.
 *
 * Each request gets its answer, an error (JSON, or HTML where the HTTP library refuses), or a
 * closed connection, and the next one succeeds. Only the address sanitizer can find leaks here,
 * because the HTTP library frees the replies, which our counter does not see. */
#include "check.h"
#include "fault.h"
#include "log_rig.h"
#include "server/http/http.h"
#include "server/server.h"
#include "wire.h"

#define HEAD(length)                                                                               \
  "Host: x\r\nAuthorization: Basic dTpw\r\nConnection: close\r\n"                                  \
  "Content-Length: " #length "\r\n\r\n"

enum { FAILURES_MAX = 300 };

static struct uk_server *server;

static enum uk_error start(char *message, size_t size)
{
  static char directory[512];
  struct uk_server_options options;
  snprintf(directory, sizeof directory, "%s/fault", rig_directory());
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "u";
  options.password = "p";
  options.data = directory;
  options.no_sync = true;
  options.map_bytes = 32 << 20;
  return uk_server_start(&server, &options, message, size);
}

static const char *ask(const char *request)
{
  return wire_ask(uk_server_url(server), request);
}

static const char *const requests[] = {
  "POST /produce/t HTTP/1.1\r\n" HEAD(76) "[{\"value\":\"v\",\"key\":\"k\",\"headers\":[{\"key\":"
                                          "\"a\",\"value\":\"b\"}]},{\"value\":null}]",
  "GET /produce/t/text?key=k HTTP/1.1\r\n" HEAD(0),
  "POST /webhook?topic=t HTTP/1.1\r\nX-One: 1\r\n" HEAD(3) "raw",
  "POST /consume/g/i HTTP/1.1\r\nKafka-Auto-Offset-Reset: earliest\r\n" HEAD(
    28) "{\"topics\":[\"t\"],\"timeout\":1}",
  "POST /fetch HTTP/1.1\r\nAccept-Encoding: gzip\r\n" HEAD(
    48) "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timeout\":0}",
  "POST /commit/g/i HTTP/1.1\r\n" HEAD(38) "{\"topic\":\"t\",\"partition\":0,\"offset\":0} ",
  "POST /committed/g/i HTTP/1.1\r\n" HEAD(27) "{\"topic\":\"t\",\"partition\":0}",
  "POST /offsets/5 HTTP/1.1\r\n" HEAD(27) "{\"topic\":\"t\",\"partition\":0}",
  "GET /topics HTTP/1.1\r\n" HEAD(0),
  "GET /consumers HTTP/1.1\r\n" HEAD(0),
  "POST /topics/u HTTP/1.1\r\n" HEAD(0),
  "DELETE /topics/u HTTP/1.1\r\n" HEAD(0),
  "POST /nowhere HTTP/1.1\r\n" HEAD(0),
  "GARBAGE\r\n\r\n",
  "OPTIONS /fetch HTTP/1.1\r\nOrigin: https://a\r\n" HEAD(0),
  "HEAD /topics HTTP/1.1\r\nOrigin: https://a\r\n" HEAD(0),
  "GET / HTTP/1.1\r\nOrigin: https://a\r\nSec-Fetch-Mode: cors\r\n" HEAD(0),
  "POST /topics HTTP/1.1\r\nOrigin: https://a\r\n" HEAD(0),
  "POST /fetch HTTP/1.1\r\nOrigin: https://a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  "GET /health HTTP/1.1\r\n" HEAD(0),
};

static bool is_as_promised(const char *said)
{
  return strchr(uk_http_refusals_are_json() ? "{[\x1f" : "{[\x1f<", *said) != NULL; /* or nothing */
}

static void answers_with_every_allocation_failing(void)
{
  char message[400];
  REQUIRE(start(message, sizeof message) == UK_OK);
  ask("POST /topics/t HTTP/1.1\r\n" HEAD(0));
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    bool hit = true;
    for (long n = 1; hit && n < FAILURES_MAX; n++) {
      fault_at(n);
      const char *said = ask(requests[i]);
      hit = fault_hit();
      fault_off();
      if (!CHECK(is_as_promised(said)))
        fprintf(stderr, "  to %s\n  came %s\n", requests[i], wire_answer);
    }
    CHECK(!hit);
    CHECK_EQ_STR(ask("GET /health HTTP/1.1\r\n" HEAD(0)), "{\"status\":\"ok\",\"engine\":\"log\"}");
  }
  CHECK(strstr(ask("GET /produce/t/after HTTP/1.1\r\n" HEAD(0)), "\"offset\":") != NULL);
  uk_server_stop(server);
}

#define LATEST "POST /offsets/latest HTTP/1.1\r\n" HEAD(27) "{\"topic\":\"t\",\"partition\":0}"
#define CONSUME                                                                                    \
  "POST /consume/g/i HTTP/1.1\r\nKafka-Enable-Auto-Commit: false\r\n" HEAD(                        \
    28) "{\"topics\":[\"t\"],\"timeout\":1}"
#define COMMIT(offset)                                                                             \
  "POST /commit/g/i HTTP/1.1\r\n" HEAD(38) "{\"topic\":\"t\",\"partition\":0,\"offset\":" #offset  \
                                           "} "

/* Every kind of request that changes something. */
static const struct change {
  const char *prepare; /* prepares so that `request` changes something each time, or NULL */
  const char *request;
  const char *look; /* its answer shows the change */
} changes[] = {
  {NULL, "POST /produce/t HTTP/1.1\r\n" HEAD(13) "{\"value\":\"v\"}", LATEST},
  {NULL, "POST /produce HTTP/1.1\r\n" HEAD(25) "{\"topic\":\"t\",\"value\":\"v\"}", LATEST},
  {NULL, "GET /produce/t/text?key=k HTTP/1.1\r\n" HEAD(0), LATEST},
  {NULL, "POST /webhook?topic=t HTTP/1.1\r\nX-One: 1\r\n" HEAD(3) "raw", LATEST},
  {COMMIT(0), COMMIT(1),
   "POST /committed/g/i HTTP/1.1\r\n" HEAD(27) "{\"topic\":\"t\",\"partition\":0}"},
  {CONSUME, "POST /delete-consumer/g/i HTTP/1.1\r\n" HEAD(0),
   "GET /consumers HTTP/1.1\r\n" HEAD(0)},
  {"DELETE /topics/u HTTP/1.1\r\n" HEAD(0), "POST /topics/u HTTP/1.1\r\n" HEAD(0),
   "GET /topics HTTP/1.1\r\n" HEAD(0)},
  {"POST /topics/u HTTP/1.1\r\n" HEAD(0), "DELETE /topics/u HTTP/1.1\r\n" HEAD(0),
   "GET /topics HTTP/1.1\r\n" HEAD(0)},
};

/* True if the request changed something. */
static bool change_with_failure(const struct change *change, long n, bool *hit)
{
  char before[400];
  if (change->prepare != NULL)
    ask(change->prepare);
  snprintf(before, sizeof before, "%s", ask(change->look));
  fault_at(n);
  ask(change->request);
  *hit = fault_hit();
  fault_off();
  const bool refused = strncmp(wire_answer, "HTTP/1.1 503", 12) == 0;
  const bool changed = strcmp(ask(change->look), before) != 0;
  if (!CHECK(!refused || !changed))
    fprintf(stderr, "  503 to %s, allocation %ld\n", change->request, n);
  return changed;
}

/* A 503 promises that nothing was done. If it was done but cannot be answered, that is a 504. */
static void a_503_means_that_nothing_was_done(void)
{
  char message[400];
  REQUIRE(start(message, sizeof message) == UK_OK);
  ask("POST /topics/t HTTP/1.1\r\n" HEAD(0));
  ask(CONSUME);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    bool hit = true, changed = false;
    for (long n = 1; hit && n < FAILURES_MAX; n++)
      changed = change_with_failure(&changes[i], n, &hit);
    CHECK(!hit && changed);
  }
  uk_server_stop(server);
}

static void starts_or_says_why_not(void)
{
  bool hit = true;
  for (long n = 1; hit && n < FAILURES_MAX; n++) {
    char message[400] = "";
    fault_at(n);
    enum uk_error error = start(message, sizeof message);
    hit = fault_hit();
    fault_off();
    CHECK(error == UK_OK || message[0] != '\0');
    if (error == UK_OK)
      uk_server_stop(server);
  }
  CHECK(!hit);
}

int main(void)
{
  CHECK_RUN(answers_with_every_allocation_failing);
  CHECK_RUN(a_503_means_that_nothing_was_done);
  CHECK_RUN(starts_or_says_why_not);
  rig_remove();
  return check_end();
}
