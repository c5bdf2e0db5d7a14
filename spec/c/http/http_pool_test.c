/* for: http_pool.c, http_run.c, http.c
 *
 * E7: large bodies are read on threads of their own, and users take turns. First the pool alone,
 * then behind HTTP, with an engine that the test plays. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/gzip.h"
#include "fault.h"
#include "http_rig.h"
#include "server/http/http_pool.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n"      /* full:p */
#define OTHER "Host: x\r\nAuthorization: Basic b3RoZXI6cA==\r\n" /* other:p */
#define PRODUCE "POST /webhook?topic=t HTTP/1.1\r\n"
#define ZIPPED "Content-Encoding: gzip\r\n"
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "Connection: close\r\n\r\n"

enum { KIB = 1 << 10, LARGE = 64 << 10, LARGE_ZIPPED = 1 << 10 };

/* A gate in the way of a thread. */
static atomic_bool is_shut, is_reached;

static void pass_gate(void)
{
  const struct timespec moment = {.tv_nsec = 1000000};
  for (atomic_store(&is_reached, true); atomic_load(&is_shut);)
    nanosleep(&moment, NULL);
}

static void shut_gate(void)
{
  atomic_store(&is_reached, false);
  atomic_store(&is_shut, true);
}

static void open_gate(void)
{
  atomic_store(&is_shut, false);
}

/* The pool. */

static struct uk_pool pool;
static char order[UK_POOL_JOBS + 16];
static atomic_size_t ran;

static void stop_at_gate(struct uk_pool_job *job)
{
  (void)job;
  pass_gate();
}

/* One thread runs them all. */
static void note(struct uk_pool_job *job)
{
  const size_t at = atomic_load(&ran);
  order[at] = job->user.length > 0 ? job->user.data[0] : '-';
  order[at + 1] = '\0';
  atomic_store(&ran, at + 1);
}

static struct uk_pool_job holder = {.run = stop_at_gate};

/* A pool whose only thread waits at the gate. */
static void open_pool(void)
{
  atomic_store(&ran, 0);
  order[0] = '\0';
  shut_gate();
  REQUIRE(uk_pool_start(&pool, 1));
  REQUIRE(uk_pool_add(&pool, &holder));
  CHECK_EVENTUALLY(atomic_load(&is_reached));
}

static bool add_job(struct uk_pool_job *job, const char *user)
{
  *job = (struct uk_pool_job){.run = note, .user = uk_slice_text(user)};
  return uk_pool_add(&pool, job);
}

static void E7_users_take_turns(void)
{
  static const char *const users[] = {"a", "a", "b", "a", "", "b", "c", "a", ""};
  enum { JOBS = sizeof users / sizeof *users };
  struct uk_pool_job jobs[JOBS];
  open_pool();
  for (int i = 0; i < JOBS; i++)
    CHECK(add_job(&jobs[i], users[i]));
  open_gate();
  uk_pool_stop(&pool);
  CHECK_EQ_STR(order, "ab-cab-aa");
}

static void E7_a_user_has_a_share_of_the_queue(void)
{
  static struct uk_pool_job jobs[UK_POOL_JOBS + 1];
  static const char *const users[] = {"a", "b", "c", "d"};
  size_t count = 0;
  open_pool();
  for (int i = 0; i < 4; i++) {
    CHECK(i == 0 || !add_job(&jobs[UK_POOL_JOBS], users[i - 1]));
    for (int j = 0; j < UK_POOL_USER_JOBS; j++)
      CHECK(add_job(&jobs[count++], users[i]));
  }
  CHECK_EQ_INT(count, UK_POOL_JOBS);
  CHECK(!add_job(&jobs[UK_POOL_JOBS], "e"));
  open_gate();
  CHECK_EVENTUALLY(atomic_load(&ran) == UK_POOL_JOBS);
  CHECK(add_job(&jobs[UK_POOL_JOBS], "a"));
  uk_pool_stop(&pool);
  CHECK_EQ_INT(atomic_load(&ran), UK_POOL_JOBS + 1);
}

static atomic_bool is_shut_too, is_reached_too;

static void stop_at_other_gate(struct uk_pool_job *job)
{
  const struct timespec moment = {.tv_nsec = 1000000};
  (void)job;
  for (atomic_store(&is_reached_too, true); atomic_load(&is_shut_too);)
    nanosleep(&moment, NULL);
}

/* Two of a user's jobs have run: there is room for two others. */
static void E7_room_comes_back_with_each_job(void)
{
  static struct uk_pool_job jobs[UK_POOL_USER_JOBS + 3];
  open_pool();
  atomic_store(&is_shut_too, true);
  atomic_store(&is_reached_too, false);
  for (int i = 0; i < UK_POOL_USER_JOBS; i++) {
    jobs[i] =
      (struct uk_pool_job){.run = i == 1 ? stop_at_other_gate : note, .user = uk_slice_text("a")};
    CHECK(uk_pool_add(&pool, &jobs[i]));
  }
  open_gate();
  CHECK_EVENTUALLY(atomic_load(&is_reached_too));
  CHECK(add_job(&jobs[UK_POOL_USER_JOBS], "a"));
  CHECK(add_job(&jobs[UK_POOL_USER_JOBS + 1], "a"));
  CHECK(!add_job(&jobs[UK_POOL_USER_JOBS + 2], "a"));
  atomic_store(&is_shut_too, false);
  uk_pool_stop(&pool);
  CHECK_EQ_INT(atomic_load(&ran), UK_POOL_USER_JOBS + 1);
}

static void E7_a_pool_has_a_bound(void)
{
  REQUIRE(uk_pool_start(&pool, 100));
  CHECK_EQ_INT(pool.count, UK_POOL_THREADS_MAX);
  uk_pool_stop(&pool);
  CHECK(!pool.initialized);
  uk_pool_stop(&pool);
}

/* HTTP. */

static struct http_rig rig;
static _Atomic pthread_t reader; /* the thread that submitted the last operation */
static struct uk_operation *_Atomic kept;
static atomic_bool keeps, holds, was_expired;
static atomic_size_t produced;

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  operation->operation.done(&operation->operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  atomic_store(&reader, pthread_self());
  if (atomic_load(&holds))
    pass_gate();
  atomic_fetch_add(&produced, operation->records[0].value.length);
  if (atomic_load(&keeps))
    atomic_store(&kept, &operation->operation);
  else
    operation->operation.done(&operation->operation);
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  if (uk_operation_is_expired(&operation->operation))
    abort();
  atomic_store(&kept, &operation->operation);
}

static void fetch_expired(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  atomic_store(&was_expired, true);
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played",
                                                 .topics = topics,
                                                 .produce = produce,
                                                 .fetch = fetch,
                                                 .fetch_expired = fetch_expired};

static char bytes[2 << 20];

static void open_rig(void)
{
  atomic_store(&keeps, false);
  atomic_store(&holds, false);
  atomic_store(&was_expired, false);
  atomic_store(&kept, NULL);
  atomic_store(&produced, 0);
  memset(bytes, 'v', sizeof bytes);
  REQUIRE(http_rig_open_within(&rig, &methods, 256 << 20));
}

static void close_rig(void)
{
  CHECK_EVENTUALLY(atomic_load(&rig.server.memory.taken) == 0);
  http_rig_close(&rig);
}

static int post(const char *head, const char *user, struct uk_slice body)
{
  char text[500];
  int fd = wire_connect(uk_http_address(rig.server.http));
  snprintf(text, sizeof text, "%s%sContent-Length: %zu\r\n\r\n", head, user, body.length);
  wire_send(fd, text);
  for (size_t sent = 0; sent < body.length;) {
    ssize_t done = send(fd, body.data + sent, body.length - sent, MSG_NOSIGNAL);
    if (!CHECK(done > 0))
      break;
    sent += (size_t)done;
  }
  return fd;
}

static void check_status(int fd, int status)
{
  wire_receive(fd, true);
  CHECK(wire_has_status(status));
  close(fd);
}

static struct uk_slice plain(size_t length)
{
  return uk_slice_of(bytes, length);
}

/* gzip of so many bytes, compressed: noise hardly shrinks, and a second member is cut to fit. */
static struct uk_slice zipped(struct uk_buffer *packed, size_t length)
{
  static char noise[LARGE];
  unsigned state = 1;
  for (size_t size = 1;; size++) {
    for (size_t i = 0; i < size; i++)
      noise[i] = (char)((state = state * 1103515245u + 12345u) >> 16);
    uk_buffer_init(packed, LARGE);
    CHECK(uk_gzip(packed, uk_slice_of(noise, size)) == UK_OK);
    if (packed->length >= length)
      break;
    uk_buffer_free(packed);
  }
  CHECK_EQ_INT(packed->length, length);
  return uk_buffer_slice(packed);
}

static bool is_read_here(struct uk_slice body, const char *encoding)
{
  char user[200];
  snprintf(user, sizeof user, HEAD "%s", encoding);
  check_status(post(PRODUCE, HEAD, plain(1)), 200);
  const pthread_t here = atomic_load(&reader);
  check_status(post(PRODUCE, user, body), 200);
  return pthread_equal(here, atomic_load(&reader)) != 0;
}

/* At the limit, and one byte more. */
static void E7_large_bodies_are_read_on_a_thread_of_the_pool(void)
{
  struct uk_buffer packed;
  open_rig();
  CHECK(is_read_here(plain(LARGE), ""));
  CHECK(!is_read_here(plain(LARGE + 1), ""));
  CHECK(is_read_here(zipped(&packed, LARGE_ZIPPED), ZIPPED));
  uk_buffer_free(&packed);
  CHECK(!is_read_here(zipped(&packed, LARGE_ZIPPED + 1), ZIPPED));
  uk_buffer_free(&packed);
  close_rig();
}

/* The server's only HTTP thread is free meanwhile. */
static void E7_others_are_served_while_a_large_body_is_read(void)
{
  open_rig();
  shut_gate();
  atomic_store(&holds, true);
  int fd = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EVENTUALLY(atomic_load(&is_reached));
  CHECK_EQ_STR(wire_ask(uk_http_address(rig.server.http), GET_TOPICS), "{}");
  open_gate();
  check_status(fd, 200);
  close_rig();
}

/* The reply may come before the thread of the pool has done, or at any later time. */
static void E7_a_large_request_may_wait_in_the_engine(void)
{
  open_rig();
  atomic_store(&keeps, true);
  for (int i = 0; i < 20; i++) {
    int fd = post(PRODUCE, HEAD, plain(LARGE + 1));
    CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
    struct uk_operation *operation = atomic_exchange(&kept, NULL);
    operation->done(operation);
    check_status(fd, 200);
  }
  close_rig();
}

static void E7_what_is_wrong_with_a_large_body_is_said(void)
{
  static const char broken[2 * LARGE_ZIPPED] = {'\x1f', '\x8b', 8};
  struct uk_buffer packed;
  open_rig();
  int fd = post(PRODUCE, HEAD ZIPPED, uk_slice_of(broken, sizeof broken));
  CHECK_EQ_STR(wire_receive(fd, true), "{\"error\":\"body: malformed gzip\",\"status\":400}");
  close(fd);
  uk_buffer_init(&packed, sizeof bytes);
  CHECK(uk_gzip(&packed, uk_slice_of(bytes, HTTP_RIG_BODY_MAX + 1)) == UK_OK);
  fd = post(PRODUCE, HEAD ZIPPED, uk_buffer_slice(&packed));
  CHECK_EQ_STR(wire_receive(fd, true),
               "{\"error\":\"body: at most 1048576 bytes expected after decompression\","
               "\"status\":413}");
  close(fd);
  fd = post("POST /produce/t HTTP/1.1\r\n", HEAD, plain(LARGE + 1));
  CHECK(strstr(wire_receive(fd, true), "malformed JSON at byte 0") != NULL);
  CHECK(wire_has_status(400));
  close(fd);
  CHECK_EQ_INT(atomic_load(&produced), 0);
  uk_buffer_free(&packed);
  close_rig();
}

/* Without credentials: one share for all who have none. */
static void E7_an_open_endpoint_takes_a_large_body(void)
{
  open_rig();
  check_status(post("POST /health HTTP/1.1\r\nHost: x\r\n", "", plain(LARGE + 1)), 405);
  check_status(post("GET / HTTP/1.1\r\nHost: x\r\n", "", plain(LARGE + 1)), 200);
  close_rig();
}

static size_t waiting(void)
{
  struct uk_pool *own = &rig.server.http->pool;
  pthread_mutex_lock(&own->mutex);
  const size_t count = own->waiting;
  pthread_mutex_unlock(&own->mutex);
  return count;
}

/* The pool's only thread waits at the gate, for a request on this socket. */
static int hold_pool(void)
{
  shut_gate();
  atomic_store(&holds, true);
  int fd = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EVENTUALLY(atomic_load(&is_reached));
  return fd;
}

static void E7_past_the_users_share_a_request_is_refused(void)
{
  int fds[UK_POOL_USER_JOBS];
  open_rig();
  int first = hold_pool();
  for (int i = 0; i < UK_POOL_USER_JOBS; i++)
    fds[i] = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EVENTUALLY(waiting() == UK_POOL_USER_JOBS);
  int refused = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EQ_STR(wire_receive(refused, true), "{\"error\":\"too many large bodies wait to be read: "
                                            "try again\",\"status\":503}");
  CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
  CHECK_EQ_STR(wire_ask(uk_http_address(rig.server.http), GET_TOPICS), "{}");
  int other = post(PRODUCE, OTHER, plain(LARGE + 1));
  CHECK_EVENTUALLY(waiting() == UK_POOL_USER_JOBS + 1);
  atomic_store(&holds, false);
  open_gate();
  check_status(first, 200);
  check_status(other, 200);
  for (int i = 0; i < UK_POOL_USER_JOBS; i++)
    check_status(fds[i], 200);
  CHECK_EQ_INT(atomic_load(&produced), (UK_POOL_USER_JOBS + 2) * (LARGE + 1));
  wire_send(refused, "GET /topics HTTP/1.1\r\n" HEAD "\r\n");
  check_status(refused, 200);
  close_rig();
}

/* White space makes the body large. */
static struct uk_slice large_fetch(struct uk_buffer *body)
{
  uk_buffer_init(body, 2 * LARGE);
  for (int i = 0; i < LARGE; i++)
    uk_buffer_append_byte(body, ' ');
  uk_buffer_append_text(body, "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timeout\":600000}");
  return uk_buffer_slice(body);
}

/* The wait of a client that has hung up ends as soon as it begins, and nothing is left. */
static void E7_a_client_may_hang_up_while_its_body_waits(void)
{
  struct uk_buffer body;
  open_rig();
  int first = hold_pool();
  int gone = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EVENTUALLY(waiting() == 1);
  int waits = post("POST /fetch HTTP/1.1\r\n", HEAD, large_fetch(&body));
  CHECK_EVENTUALLY(waiting() == 2);
  close(gone);
  close(waits);
  atomic_store(&holds, false);
  open_gate();
  check_status(first, 200);
  CHECK_EVENTUALLY(atomic_load(&was_expired));
  CHECK_EQ_INT(atomic_load(&produced), 2 * (LARGE + 1));
  uk_buffer_free(&body);
  close_rig();
}

static void *close_server(void *argument)
{
  (void)argument;
  http_rig_close(&rig);
  return NULL;
}

/* What has been taken in hand is answered; what comes later is refused. */
static void E7_a_server_may_stop_while_bodies_wait(void)
{
  pthread_t closer;
  open_rig();
  int first = hold_pool();
  int second = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK_EVENTUALLY(waiting() == 1);
  struct uk_http *http = rig.server.http;
  uk_http_refuse(http);
  int late = post(PRODUCE, HEAD, plain(LARGE + 1));
  CHECK(strstr(wire_receive(late, true), UK_HTTP_STOPPING) != NULL);
  REQUIRE(pthread_create(&closer, NULL, close_server, NULL) == 0);
  open_gate();
  check_status(first, 200);
  check_status(second, 200);
  pthread_join(closer, NULL);
  CHECK_EQ_INT(atomic_load(&produced), 2 * (LARGE + 1));
  close(late);
}

/* Whichever allocation fails, the client gets an answer, or its connection ends; the next request
 * is served, and nothing is left. */
static void E7_memory_may_run_out_meanwhile(void)
{
  struct uk_buffer packed;
  open_rig();
  const struct uk_slice body = zipped(&packed, 4 * LARGE_ZIPPED);
  for (long n = 1, hit = 1; hit != 0; n++) {
    fault_at(n);
    int fd = post(PRODUCE, HEAD ZIPPED "Connection: close\r\n", body);
    wire_receive_all(fd);
    hit = fault_hit();
    fault_off();
    close(fd);
    CHECK(hit == 0 || strncmp(wire_answer, "HTTP/1.1 200", 12) == 0 ||
          strncmp(wire_answer, "HTTP/1.1 503", 12) == 0 || wire_answer[0] == '\0');
    CHECK_EVENTUALLY(atomic_load(&rig.server.memory.taken) == 0);
  }
  check_status(post(PRODUCE, HEAD ZIPPED, body), 200);
  uk_buffer_free(&packed);
  close_rig();
}

int main(void)
{
  CHECK_RUN(E7_users_take_turns);
  CHECK_RUN(E7_a_user_has_a_share_of_the_queue);
  CHECK_RUN(E7_room_comes_back_with_each_job);
  CHECK_RUN(E7_a_pool_has_a_bound);
  CHECK_RUN(E7_large_bodies_are_read_on_a_thread_of_the_pool);
  CHECK_RUN(E7_others_are_served_while_a_large_body_is_read);
  CHECK_RUN(E7_a_large_request_may_wait_in_the_engine);
  CHECK_RUN(E7_what_is_wrong_with_a_large_body_is_said);
  CHECK_RUN(E7_an_open_endpoint_takes_a_large_body);
  CHECK_RUN(E7_past_the_users_share_a_request_is_refused);
  CHECK_RUN(E7_a_client_may_hang_up_while_its_body_waits);
  CHECK_RUN(E7_a_server_may_stop_while_bodies_wait);
  CHECK_RUN(E7_memory_may_run_out_meanwhile);
  return check_end();
}
