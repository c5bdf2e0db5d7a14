/* for: http.c, http_exchange.c, http_completion.c, http_headers.c, http_refusal.c, http_reply.c,
 * http_response.c
 *
 * What a request occupies is freed when it ends, whatever becomes of it. The test stands between
 * the server and the HTTP library: it sees what the library takes over, and can fail in its place.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/gzip.h"
#include "fault.h"
#include "http_rig.h"
#include "server/api/cors.h"
#include "server/http/http_exchange.h"
#include "server/http/http_private.h"
#include "server/http/http_refusal.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define LAST HEAD "Connection: close\r\n"

static struct http_rig rig;

/* The library. */

static atomic_int responses; /* made and not yet destroyed by the server */
static atomic_bool makes_none, adds_no_header;
static atomic_int header_to_fail; /* of the next responses, from 1 */
static atomic_bool may_end;       /* what the server waits for before it stops the library */

/* The functions that the library calls in turn are its own: the test's are not exported. */
static void *library(const char *name)
{
  return dlsym(RTLD_NEXT, name);
}

/* Frees the bytes with the allocator that counts. */
struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *bytes,
                                                     enum MHD_ResponseMemoryMode mode)
{
  union {
    void *symbol;
    struct MHD_Response *(*make)(size_t, void *, enum MHD_ResponseMemoryMode);
  } own = {.symbol = library("MHD_create_response_from_buffer")};
  if (atomic_load(&makes_none))
    return NULL;
  bool taken = mode == MHD_RESPMEM_MUST_FREE;
  struct MHD_Response *response = own.make(size, bytes, taken ? MHD_RESPMEM_MUST_COPY : mode);
  if (response == NULL)
    return NULL;
  if (taken)
    free(bytes);
  atomic_fetch_add(&responses, 1);
  return response;
}

void MHD_destroy_response(struct MHD_Response *response)
{
  union {
    void *symbol;
    void (*destroy)(struct MHD_Response *);
  } own = {.symbol = library("MHD_destroy_response")};
  atomic_fetch_sub(&responses, 1);
  own.destroy(response);
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *name,
                                        const char *value)
{
  union {
    void *symbol;
    enum MHD_Result (*add)(struct MHD_Response *, const char *, const char *);
  } own = {.symbol = library("MHD_add_response_header")};
  bool fails = atomic_load(&adds_no_header) || atomic_fetch_sub(&header_to_fail, 1) == 1;
  return fails ? MHD_NO : own.add(response, name, value);
}

/* uk_http_stop must not free what this still uses. Replies come from the test's thread, to requests
 * that are suspended (ask_with). */
void MHD_resume_connection(struct MHD_Connection *connection)
{
  union {
    void *symbol;
    void (*resume)(struct MHD_Connection *);
  } own = {.symbol = library("MHD_resume_connection")};
  CHECK_EQ_INT(atomic_load(&rig.server.http->resuming), 1);
  own.resume(connection);
}

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
  union {
    void *symbol;
    void (*stop)(struct MHD_Daemon *);
  } own = {.symbol = library("MHD_stop_daemon")};
  CHECK(atomic_load(&may_end));
  own.stop(daemon);
}

/* The engine. */

static struct uk_topics *_Atomic kept;
static atomic_bool keeps;
static atomic_int outcome; /* of a produce */
static char topic_name[2 * UK_GZIP_LEAST];
static atomic_int idle_seconds;

static void end_topics(struct uk_topics *operation)
{
  operation->topic(&operation->operation, uk_slice_text(topic_name), 1);
  operation->operation.done(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  struct uk_exchange *exchange = operation->operation.context;
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_TIMEOUT);
  (void)engine;
  atomic_store(&idle_seconds, (int)info->connection_timeout);
  if (atomic_load(&keeps))
    atomic_store(&kept, operation);
  else
    end_topics(operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  operation->records[0].partition = 0;
  operation->operation.error = (enum uk_error)atomic_load(&outcome);
  operation->operation.done(&operation->operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  (void)detail;
  (void)size;
  return UK_OK;
}

static const struct uk_engine_methods methods = {
  .name = "played", .topics = topics, .produce = produce, .health = health};

/* The balance. */

static long at_rest; /* allocations of a server without connections */

static bool is_balanced(void)
{
  return atomic_load(&rig.server.http->acceptor.open) == 0 && fault_live() == at_rest &&
         atomic_load(&responses) == 0;
}

static void open_rig(void)
{
  char message[200];
  atomic_store(&keeps, false);
  atomic_store(&kept, NULL);
  atomic_store(&may_end, true);
  memset(topic_name, 'n', sizeof topic_name - 1);
  REQUIRE(http_rig_open(&rig, &methods));
  CHECK_EQ_INT(uk_cors_new(&rig.server.cors, NULL, 0, message, sizeof message), UK_OK);
  at_rest = fault_live();
}

static void close_rig(void)
{
  http_rig_close(&rig);
  uk_cors_free(rig.server.cors);
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

/* The requests. */

#define ZIPPED_SIZE 200
static char zipped[ZIPPED_SIZE + 300], long_header[12000], surplus_chunk[HTTP_RIG_BODY_MAX + 400];
static size_t zipped_length;

struct request {
  const char *bytes;
  size_t length; /* 0: up to its NUL */
  int status;
  bool half_closes; /* the client stops sending after these bytes */
};

static const char body[] = "{\"value\":\"v\"}";

static void make_long_requests(void)
{
  struct uk_buffer packed;
  uk_buffer_init(&packed, ZIPPED_SIZE);
  CHECK_EQ_INT(uk_gzip(&packed, uk_slice_text(body)), UK_OK);
  int head = snprintf(zipped, sizeof zipped,
                      "POST /produce/t HTTP/1.1\r\n" LAST
                      "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                      packed.length);
  memcpy(zipped + head, packed.data, packed.length);
  zipped_length = (size_t)head + packed.length;
  uk_buffer_free(&packed);
  snprintf(long_header, sizeof long_header, "GET /topics HTTP/1.1\r\n" LAST "X: %09000d\r\n\r\n",
           0);
  int start =
    snprintf(surplus_chunk, sizeof surplus_chunk,
             "POST /produce/t HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
             HTTP_RIG_BODY_MAX + 1);
  memset(surplus_chunk + start, ' ', HTTP_RIG_BODY_MAX + 1);
  strcpy(surplus_chunk + start + HTTP_RIG_BODY_MAX + 1, "\r\n0\r\n\r\n");
}

#define PRODUCE "POST /produce/t HTTP/1.1\r\n" LAST

static struct request requests[] = {
  {"GET /topics HTTP/1.1\r\n" LAST "\r\n", 0, 200, false},
  {"GET /topics HTTP/1.1\r\nAccept-Encoding: gzip\r\n" LAST "\r\n", 0, 200, false},
  {"HEAD /topics HTTP/1.1\r\n" LAST "\r\n", 0, 200, false},
  {"GET /health HTTP/1.1\r\n" LAST "\r\n", 0, 200, false},
  {"GET /health HTTP/1.1\r\nOrigin: https://a\r\n" LAST "\r\n", 0, 200, false},
  {"OPTIONS /topics HTTP/1.1\r\nOrigin: https://a\r\n" LAST "\r\n", 0, 204, false},
  {"GET /nowhere HTTP/1.1\r\n" LAST "\r\n", 0, 404, false},
  {PRODUCE "Content-Length: 13\r\n\r\n{\"value\":\"v\"}", 0, 200, false},
  {PRODUCE "Content-Length: 50\r\n\r\n{\"value\":\"v\"}", 0, 400, true},
  {PRODUCE "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nwrong", 0, 400, false},
  {zipped, 0, 200, false},
  {surplus_chunk, 0, 413, false},
  {long_header, 0, 431, false},
  {"GET /hea", 0, 400, true},
  {"GARBAGE\r\n\r\n", 0, 400, false},
  {"GET /health HTTP/9.9\r\n\r\n", 0, 505, false},
  {PRODUCE "Content-Length: five\r\n\r\n", 0, 400, false},
  {PRODUCE "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 0, 400, false},
  {"POST /produce/t HTTP/1.1\r\nOrigin: https://a\r\n" LAST
   "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
   0, 400, false},
};

/* The server's socket of a connection; it is in the same process. */
static int served_end(int fd)
{
  struct sockaddr_in own, peer;
  socklen_t length = sizeof own;
  getsockname(fd, (struct sockaddr *)&own, &length);
  for (int other = 0; other < 1024; other++) {
    length = sizeof peer;
    if (getpeername(other, (struct sockaddr *)&peer, &length) == 0 && peer.sin_port == own.sin_port)
      return other;
  }
  return -1;
}

/* Whether the server has read everything that was sent. */
static bool has_read(int fd)
{
  int unread = 1, served = served_end(fd);
  return served >= 0 && ioctl(served, FIONREAD, &unread) == 0 && unread == 0;
}

/* Whether the server has answered, or closed the connection. */
static bool is_settled(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* Sends all of it, although the server may close before the end. */
static void send_request(int fd, const struct request *request)
{
  size_t length = request->length > 0 ? request->length : strlen(request->bytes);
  for (size_t sent = 0; sent < length;) {
    ssize_t part = send(fd, request->bytes + sent, length - sent, MSG_NOSIGNAL);
    if (part <= 0)
      return;
    sent += (size_t)part;
  }
  if (!request->half_closes)
    return;
  CHECK_EVENTUALLY(has_read(fd) || is_settled(fd));
  shutdown(fd, SHUT_WR);
}

/* Returns the body of the answer; the connection is closed then. */
static const char *ask(const struct request *request)
{
  int fd = connect_to_rig();
  send_request(fd, request);
  const char *said = wire_receive_all(fd);
  close(fd);
  return said;
}

/* The cases. */

static void every_request_frees_what_it_took(void)
{
  open_rig();
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    ask(&requests[i]);
    if (!CHECK(uk_http_refusals_are_json() ? wire_has_status(requests[i].status) : true))
      fprintf(stderr, "  to %s\n", requests[i].bytes);
    CHECK(requests[i].status != 204 || strstr(wire_answer, "\r\nContent-Type: ") == NULL);
    bool of_page = strstr(requests[i].bytes, "\r\nOrigin: ") != NULL;
    bool is_ours = uk_http_refusals_are_json() || requests[i].status < 300;
    CHECK(!is_ours ||
          of_page == (strstr(wire_answer, "\r\nAccess-Control-Allow-Origin: *\r\n") != NULL));
    CHECK_EVENTUALLY(is_balanced());
  }
  close_rig();
}

/* White space after an origin does not belong to it. */
static void a_page_is_told_that_it_may_read(void)
{
  static const struct request of_page = {
    "GET /health HTTP/1.1\r\nOrigin: https://a \t\r\n" LAST "\r\n", 0, 200, false};
  static const char *const origins[] = {"https://a"};
  char message[300];
  open_rig();
  uk_cors_free(rig.server.cors);
  CHECK_EQ_INT(uk_cors_new(&rig.server.cors, origins, 1, message, sizeof message), UK_OK);
  ask(&of_page);
  CHECK(wire_has_status(200));
  CHECK(strstr(wire_answer, "\r\nAccess-Control-Allow-Origin: https://a\r\n") != NULL);
  close_rig();
}

/* Whichever allocation fails, the rest is freed, and the next request is served. */
static void a_request_without_memory_frees_what_it_took(void)
{
  open_rig();
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    bool hit = true;
    for (long n = 1; hit && n < 100; n++) {
      int fd = connect_to_rig();
      fault_at(n);
      send_request(fd, &requests[i]);
      wire_receive_all(fd);
      hit = fault_hit();
      fault_off();
      close(fd);
      CHECK_EVENTUALLY(is_balanced());
    }
    CHECK(!hit);
    ask(&requests[0]);
    CHECK(wire_has_status(200));
  }
  CHECK_EVENTUALLY(is_balanced());
  close_rig();
}

/* A response that cannot be compressed is sent as it is. */
static void sends_what_it_cannot_compress(void)
{
  int plain = 0;
  bool hit = true;
  open_rig();
  for (long n = 1; hit; n++) {
    int fd = connect_to_rig();
    fault_at(n);
    send_request(fd, &requests[1]);
    const char *said = wire_receive_all(fd);
    hit = fault_hit();
    fault_off();
    close(fd);
    if (strncmp(wire_answer, "HTTP/1.1 200", 12) != 0)
      continue;
    bool compressed = strstr(wire_answer, "\r\nContent-Encoding: gzip\r\n") != NULL;
    CHECK(compressed ? said[0] == '\x1f' : strncmp(said, "{\"nnn", 5) == 0);
    CHECK(!compressed || !hit);
    plain += !compressed;
  }
  CHECK_EQ_INT(plain, 1);
  CHECK_EVENTUALLY(is_balanced());
  close_rig();
}

static enum MHD_Result queue_nothing(struct MHD_Connection *connection, unsigned int status,
                                     struct MHD_Response *response)
{
  (void)connection;
  (void)status;
  (void)response;
  return MHD_NO;
}

enum { NO_RESPONSE, NO_HEADER, NO_QUEUE, FAILURES };

static void fail_as(int failure, bool fails, uk_queue_response *queue)
{
  atomic_store(&makes_none, fails && failure == NO_RESPONSE);
  atomic_store(&adds_no_header, fails && failure == NO_HEADER);
  rig.server.http->queue_response = fails && failure == NO_QUEUE ? queue_nothing : queue;
}

/* Whether the engine keeps an operation, and its connection is suspended. */
static bool is_waiting(void)
{
  struct uk_topics *operation = atomic_load(&kept);
  if (operation == NULL)
    return false;
  struct uk_exchange *exchange = operation->operation.context;
  return atomic_load(&exchange->state) == UK_SUSPENDED;
}

/* Asks while the engine ends the operation at once, or only when the request waits for it. */
static const char *ask_with(const struct request *request, bool later)
{
  int fd = connect_to_rig();
  atomic_store(&keeps, later);
  send_request(fd, request);
  if (later) {
    CHECK_EVENTUALLY(is_waiting());
    end_topics(atomic_exchange(&kept, NULL));
  }
  const char *said = wire_receive_all(fd);
  close(fd);
  atomic_store(&keeps, false);
  return said;
}

/* How often the answer has the text. */
static int count(const char *text)
{
  int times = 0;
  for (const char *at = wire_answer; (at = strstr(at, text)) != NULL; at++)
    times++;
  return times;
}

/* "A14": where the library has no memory for the response, the client gets a 503 if nothing was
 * done, and otherwise its reply. */
static void answers_although_the_library_takes_no_response(void)
{
  static const struct request of_page = {
    PRODUCE "Origin: https://a\r\nContent-Length: 13\r\n\r\n{\"value\":\"v\"}", 0, 200, false};
  open_rig();
  uk_queue_response *queue = rig.server.http->queue_response;
  for (int i = 0; i < 2 * FAILURES; i++) {
    fail_as(i / 2, true, queue);
    CHECK_EQ_STR(ask_with(&requests[0], i % 2 == 1),
                 "{\"error\":\"out of memory\",\"status\":503}");
    CHECK(wire_has_status(503));
    CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
    CHECK(strncmp(ask(&requests[7]), "[{\"topic\":\"t\",\"partition\":0,", 28) == 0);
    CHECK(wire_has_status(200));
    ask(&of_page);
    CHECK(wire_has_status(200));
    CHECK_EQ_INT(count("\r\nAccess-Control-Allow-Origin: "), 1);
    fail_as(i / 2, false, queue);
    CHECK_EVENTUALLY(is_balanced() && atomic_load(&rig.server.http->unsent) == 0);
  }
  ask(&requests[0]);
  CHECK(wire_has_status(200));
  close_rig();
}

/* "A14": what may have been carried out is not denied for lack of memory. */
static void answers_504_although_the_library_takes_no_response(void)
{
  static const struct {
    enum uk_error outcome;
    int status;
  } rows[] = {{UK_E_GATEWAY_TIMEOUT, 504}, {UK_E_UNAVAILABLE, 503}, {UK_E_NOT_FOUND, 503}};
  open_rig();
  uk_queue_response *queue = rig.server.http->queue_response;
  for (int i = 0; i < 3 * FAILURES; i++) {
    fail_as(i / 3, true, queue);
    atomic_store(&outcome, (int)rows[i % 3].outcome);
    ask(&requests[7]);
    CHECK(wire_has_status(rows[i % 3].status));
    fail_as(i / 3, false, queue);
    CHECK_EVENTUALLY(is_balanced());
  }
  atomic_store(&outcome, UK_OK);
  close_rig();
}

/* A response with all of its headers, or another one. */
static void leaves_out_no_header(void)
{
  open_rig();
  for (int i = 1; i <= 6; i++) {
    atomic_store(&header_to_fail, i);
    ask(&requests[4]);
    CHECK(wire_has_status(503));
    CHECK_EVENTUALLY(is_balanced());
  }
  atomic_store(&header_to_fail, 7);
  ask(&requests[4]);
  CHECK(wire_has_status(200));
  atomic_store(&header_to_fail, 0);
  CHECK_EVENTUALLY(is_balanced());
  close_rig();
}

/* "A14": a request that is well-formed is never called malformed, whatever memory there is. */
static void blames_no_client_for_its_own_shortage(void)
{
  static const size_t good[] = {0, 2, 3, 4, 7, 10};
  open_rig();
  uk_queue_response *queue = rig.server.http->queue_response;
  for (size_t i = 0; i < 4 * sizeof good / sizeof *good; i++) {
    const struct request *request = &requests[good[i / 4]];
    bool hit = true;
    fail_as(NO_RESPONSE, i % 2 == 1, queue);
    for (long n = 1; hit; n++) {
      int fd = connect_to_rig();
      if (i / 2 % 2 == 0)
        fault_at(n);
      else
        fault_from(n);
      send_request(fd, request);
      const char *said = wire_receive_all(fd);
      hit = fault_hit();
      fault_off();
      close(fd);
      CHECK(*said == '\0' || strncmp(request->bytes, "HEAD ", 5) != 0);
      bool blames =
        strncmp(wire_answer, "HTTP/1.1 4", 10) == 0 || strstr(wire_answer, "malformed") != NULL;
      if (!CHECK(!blames))
        fprintf(stderr, "  to %s\n  came %s\n", request->bytes, wire_answer);
    }
    fail_as(NO_RESPONSE, false, queue);
    CHECK_EVENTUALLY(is_balanced());
  }
  close_rig();
}

/* A refused body occupies no memory while its rest arrives. */
static void a_refused_body_is_freed_at_once(void)
{
  enum { OWN = 2 }; /* the exchange and its reply */
  open_rig();
  int fd = connect_to_rig();
  struct request first = requests[11];
  first.length = strlen(surplus_chunk) - strlen("\r\n0\r\n\r\n");
  send_request(fd, &first);
  CHECK_EVENTUALLY(fault_live() == at_rest + OWN);
  wire_send(fd, "\r\n0\r\n\r\n");
  wire_receive_all(fd);
  CHECK(wire_has_status(413));
  close(fd);
  CHECK_EVENTUALLY(is_balanced());
  close_rig();
}

/* A start that fails frees what it took, and no later server is confused by it. */
static void a_failed_start_leaves_nothing(void)
{
  struct uk_http *http = NULL;
  char message[200];
  struct uk_http_options options = {.server = &rig.server,
                                    .listen = "127.0.0.1:0",
                                    .threads = 1,
                                    .max_connections = 1,
                                    .max_header_bytes = UK_HEADER_BYTES,
                                    .max_body_bytes = 1};
  long before = fault_live();
  fault_at(1);
  CHECK_EQ_INT(uk_http_start(&http, &options, message, sizeof message), UK_E_NO_MEMORY);
  fault_off();
  CHECK_EQ_STR(message, uk_error_text(UK_E_NO_MEMORY));
  CHECK_EQ_INT(fault_live(), before);
  options.listen = "nowhere";
  CHECK_EQ_INT(uk_http_start(&http, &options, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(fault_live(), before);
  open_rig();
  ask(&requests[14]);
  close_rig();
  CHECK_EQ_INT(fault_live(), before);
}

static enum MHD_Result answer_mine(void *context, struct MHD_Connection *connection,
                                   const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **own)
{
  static char text[] = "mine";
  struct MHD_Response *response = MHD_create_response_from_buffer(4, text, MHD_RESPMEM_PERSISTENT);
  (void)context, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
  (void)own;
  enum MHD_Result result = MHD_queue_response(connection, 404, response);
  MHD_destroy_response(response);
  return result;
}

/* A read of the block after this finds nonsense. */
static void spoil(const void *memory)
{
  void *block = (void *)(uintptr_t)memory;
  memset(block, 0xff, malloc_usable_size(block));
}

/* Another server of the process, whose connections are compared with those of each of ours. */
static void a_server_that_stopped_is_forgotten(void)
{
  struct uk_http_options options = {.listen = "nowhere", .max_header_bytes = UK_HEADER_BYTES};
  struct uk_http *http = NULL;
  char message[200], address[32];
  fault_watch_free(spoil);
  for (int i = 0; i < 3; i++) {
    open_rig();
    close_rig();
    CHECK_EQ_INT(uk_http_start(&http, &options, message, sizeof message), UK_E_BAD_REQUEST);
    uk_http_refusals_are_json();
  }
  fault_watch_free(NULL);
  struct MHD_Daemon *other = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
                                              answer_mine, NULL, MHD_OPTION_END);
  REQUIRE(other != NULL);
  snprintf(address, sizeof address, ":%d",
           (int)MHD_get_daemon_info(other, MHD_DAEMON_INFO_BIND_PORT)->port);
  CHECK_EQ_STR(wire_ask(address, "GET / HTTP/1.1\r\n" LAST "\r\n"), "mine");
  MHD_stop_daemon(other);
}

static int tasks_alone; /* without a server */

static int count_tasks(void)
{
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; (task = readdir(tasks)) != NULL;)
    count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void runs_as_many_threads_as_it_should(void)
{
  for (unsigned threads = 1; threads <= 3; threads++) {
    struct uk_http *http = NULL;
    char message[200];
    const struct uk_http_options options = {.server = &rig.server,
                                            .listen = "127.0.0.1:0",
                                            .threads = threads,
                                            .max_connections = 10,
                                            .max_header_bytes = UK_HEADER_BYTES,
                                            .max_body_bytes = 1};
    CHECK_EVENTUALLY(count_tasks() == tasks_alone); /* the others are joined, and end */
    REQUIRE(uk_http_start(&http, &options, message, sizeof message) == UK_OK);
    /* As many read large bodies. One looks for hang-ups, one at responses that were written. */
    CHECK_EQ_INT(count_tasks() - tasks_alone, 2 * (int)threads + 2);
    CHECK(http->log == NULL); /* it would point into the stack of the start */
    uk_http_refuse(http);
    uk_http_stop(http);
  }
}

/* With TLS, a connection on which the library's own timeout has passed keeps its place for ever. */
static void E1_the_library_ends_no_connection(void)
{
  open_rig();
  ask(&requests[0]);
  CHECK_EQ_INT(atomic_load(&idle_seconds), 0);
  close_rig();
}

static void *stop(void *unused)
{
  (void)unused;
  uk_http_refuse(rig.server.http);
  uk_http_stop(rig.server.http);
  return NULL;
}

/* Lets the server stop after each of its counters in turn has reached zero, and never before. */
static void stops_the_library_last(void)
{
  const struct timespec moment = {.tv_nsec = 20000000};
  for (int i = 0; i < 3; i++) {
    pthread_t stopper;
    open_rig();
    struct uk_http *http = rig.server.http;
    atomic_int *const counters[] = {&http->unanswered, &http->resuming, &http->unsent};
    atomic_store(&may_end, false);
    atomic_store(counters[i], 1);
    REQUIRE(pthread_create(&stopper, NULL, stop, NULL) == 0);
    nanosleep(&moment, NULL); /* time for a wrong order to show */
    atomic_store(&may_end, true);
    atomic_store(counters[i], 0);
    pthread_join(stopper, NULL);
    rig.server.http = NULL;
    close_rig();
  }
}

int main(void)
{
  tasks_alone = count_tasks() + CHECK_TSAN;
  make_long_requests();
  requests[10].length = zipped_length;
  CHECK_RUN(every_request_frees_what_it_took);
  CHECK_RUN(a_page_is_told_that_it_may_read);
  CHECK_RUN(a_request_without_memory_frees_what_it_took);
  CHECK_RUN(sends_what_it_cannot_compress);
  CHECK_RUN(answers_although_the_library_takes_no_response);
  CHECK_RUN(answers_504_although_the_library_takes_no_response);
  CHECK_RUN(leaves_out_no_header);
  CHECK_RUN(blames_no_client_for_its_own_shortage);
  CHECK_RUN(a_refused_body_is_freed_at_once);
  CHECK_RUN(a_failed_start_leaves_nothing);
  CHECK_RUN(a_server_that_stopped_is_forgotten);
  CHECK_RUN(runs_as_many_threads_as_it_should);
  CHECK_RUN(E1_the_library_ends_no_connection);
  CHECK_RUN(stops_the_library_last);
  return check_end();
}
