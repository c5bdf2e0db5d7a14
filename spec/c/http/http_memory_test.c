/* for: http_exchange.c, http_reply.c, request.c, budget.c
 *
 * E3: the memory of all requests together, over sockets. The test plays the engine. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/gzip.h"
#include "common/json_writer.h"
#include "fault.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define HEALTHY "{\"status\":\"ok\",\"engine\":\"played\"}"
#define WAIT "POST /fetch?timeout=600000 HTTP/1.1\r\n" HEAD
#define IN_USE "the memory for requests is in use: --max-request-memory is "

enum { KIB = 1 << 10, MIB = 1 << 20, SLACK = 16 << 10 };

static struct http_rig rig;

/* The engine keeps what it is asked, and delivers one record of this size. */

static struct uk_operation *_Atomic kept;
static atomic_bool keeps;
static size_t value_length;
static char value[16 << 20]; /* more than the sockets of a connection take */
static char topic[16];

static void end(struct uk_operation *operation)
{
  operation->done(operation);
}

static void keep_or_end(struct uk_operation *operation)
{
  if (atomic_load(&keeps))
    atomic_store(&kept, operation);
  else
    end(operation);
}

static void deliver(struct uk_fetch *operation)
{
  const struct uk_record record = {.topic = operation->positions[0].topic,
                                   .has_value = true,
                                   .value = uk_slice_of(value, value_length)};
  if (!operation->sink.record(&operation->operation, &record))
    operation->operation.error = UK_E_NO_MEMORY;
  end(&operation->operation);
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  snprintf(topic, sizeof topic, "%.*s", (int)operation->positions[0].topic.length,
           operation->positions[0].topic.data);
  if (atomic_load(&keeps))
    atomic_store(&kept, &operation->operation);
  else
    deliver(operation);
}

static void fetch_expired(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine, (void)operation;
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  keep_or_end(&operation->operation);
}

static atomic_uint_fast64_t finished; /* the delivery that was reported last */

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  operation->delivery = 7;
  end(&operation->operation);
}

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t delivery,
                              enum uk_response_outcome outcome)
{
  (void)engine;
  CHECK_EQ_SLICE(group, "g");
  CHECK_EQ_SLICE(instance, "i");
  CHECK_EQ_INT(outcome, UK_RESPONSE_WRITTEN);
  atomic_store(&finished, delivery);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine, (void)detail, (void)size;
  return UK_OK;
}

static const struct uk_engine_methods methods = {.name = "played",
                                                 .fetch = fetch,
                                                 .fetch_expired = fetch_expired,
                                                 .produce = produce,
                                                 .consume = consume,
                                                 .response_finished = response_finished,
                                                 .health = health};

static void open_rig(size_t memory)
{
  atomic_store(&keeps, false);
  atomic_store(&kept, NULL);
  value_length = 0;
  memset(value, 'v', sizeof value);
  REQUIRE(http_rig_open_within(&rig, &methods, memory));
}

static size_t taken(void)
{
  return atomic_load(&rig.server.memory.taken);
}

/* Nothing is left, whatever became of the requests. */
static void close_rig(void)
{
  CHECK_EVENTUALLY(taken() == 0);
  http_rig_close(&rig);
}

static struct uk_operation *wait_for_operation(void)
{
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  return atomic_exchange(&kept, NULL);
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

/* Until the server has closed it; then it has let go of what the request held, or soon will. */
static void send_body(int fd, const char *bytes, size_t length)
{
  for (size_t sent = 0; sent < length;) {
    ssize_t done = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
    if (!CHECK(done > 0))
      return;
    sent += (size_t)done;
  }
}

static int post(const char *head, struct uk_slice body)
{
  char text[500];
  int fd = connect_to_rig();
  snprintf(text, sizeof text, "%sContent-Length: %zu\r\n\r\n", head, body.length);
  wire_send(fd, text);
  send_body(fd, body.data, body.length);
  return fd;
}

/* {"value":"vvv…"}, of so many bytes. */
static struct uk_slice message(struct uk_buffer *buffer, size_t length)
{
  uk_buffer_init(buffer, 4 * MIB);
  uk_buffer_append_text(buffer, "{\"value\":\"");
  uk_buffer_append(buffer, value, length - strlen("{\"value\":\"\"}"));
  uk_buffer_append_text(buffer, "\"}");
  CHECK(buffer->error == UK_OK && buffer->length == length);
  return uk_buffer_slice(buffer);
}

static void check_refusal(int fd, int status, const char *text)
{
  const char *said = wire_receive(fd, true);
  CHECK(wire_has_status(status));
  CHECK((strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL) == (status == 503));
  if (!CHECK(strstr(said, text) != NULL))
    fprintf(stderr, "  %s\n", said);
  close(fd);
}

static void E3_a_body_past_the_budget_is_refused_and_others_are_not(void)
{
  struct uk_buffer buffer;
  open_rig(MIB);
  const struct uk_slice body = message(&buffer, 500 * KIB);
  atomic_store(&keeps, true);
  int first = post("POST /produce/t HTTP/1.1\r\n" HEAD, body);
  struct uk_operation *operation = wait_for_operation();
  CHECK(taken() >= 500 * KIB && taken() <= 600 * KIB);
  check_refusal(post("POST /produce/t HTTP/1.1\r\n" HEAD, body), 503, IN_USE "1048576 bytes");
  CHECK_EQ_STR(wire_ask(uk_http_address(rig.server.http), GET_HEALTH), HEALTHY);
  end(operation);
  wire_receive(first, true);
  CHECK(wire_has_status(200));
  atomic_store(&keeps, false);
  int second = post("POST /produce/t HTTP/1.1\r\n" HEAD, body);
  wire_receive(second, true);
  CHECK(wire_has_status(200));
  close(first);
  close(second);
  uk_buffer_free(&buffer);
  close_rig();
}

/* 256 KiB may use the whole budget, more only three quarters: a body of 192 KiB fits beside what
 * the request needs besides, one of 256 KiB never does. */
static void E3_a_request_that_never_fits_is_told_the_limit(void)
{
  struct uk_buffer buffer;
  open_rig(256 * KIB);
  int fd = post("POST /produce/t HTTP/1.1\r\n" HEAD, message(&buffer, 100 * KIB));
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  close(fd);
  uk_buffer_free(&buffer);
  check_refusal(post("POST /produce/t HTTP/1.1\r\n" HEAD, message(&buffer, 300 * KIB)), 413,
                "--max-request-memory allows 262144 for one request");
  uk_buffer_free(&buffer);
  close_rig();
}

/* Memory is taken as the body arrives. */
static void E3_a_body_that_is_only_announced_takes_nothing(void)
{
  int fds[20];
  open_rig(2 * MIB);
  for (int i = 0; i < 20; i++) {
    fds[i] = connect_to_rig();
    wire_send(fds[i], "POST /produce/t HTTP/1.1\r\n" HEAD "Content-Length: 1048576\r\n\r\n{");
    CHECK_EVENTUALLY(taken() >= (size_t)(i + 1) * 64 * KIB);
    CHECK_EQ_INT(taken(), (i + 1) * 64 * KIB);
  }
  for (int i = 0; i < 20; i++)
    close(fds[i]);
  close_rig();
}

static struct uk_slice zipped(struct uk_buffer *packed, size_t length)
{
  struct uk_buffer plain;
  const struct uk_slice text = message(&plain, length);
  uk_buffer_init(packed, MIB);
  CHECK(uk_gzip(packed, text) == UK_OK);
  uk_buffer_free(&plain);
  return uk_buffer_slice(packed);
}

static void E3_a_body_is_accounted_for_while_it_is_inflated(void)
{
  struct uk_buffer packed;
  open_rig(512 * KIB);
  const struct uk_slice body = zipped(&packed, 700 * KIB);
  check_refusal(post("POST /produce/t HTTP/1.1\r\n" HEAD "Content-Encoding: gzip\r\n", body), 413,
                "--max-request-memory allows 393216 for one request");
  CHECK_EQ_STR(wire_ask(uk_http_address(rig.server.http), GET_HEALTH), HEALTHY);
  uk_buffer_free(&packed);
  close_rig();
}

/* Room that the inflated body does not need is given back. */
static void E3_an_inflated_body_takes_what_it_needs(void)
{
  struct uk_buffer packed;
  open_rig(0);
  atomic_store(&keeps, true);
  int fd = post("POST /produce/t HTTP/1.1\r\n" HEAD "Content-Encoding: gzip\r\n",
                zipped(&packed, 300 * KIB));
  struct uk_operation *operation = wait_for_operation();
  CHECK(taken() >= 300 * KIB && taken() < 400 * KIB);
  end(operation);
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  close(fd);
  uk_buffer_free(&packed);
  close_rig();
}

/* Many empty headers: a small body that takes much memory when it is read. */
static void E3_what_is_read_from_a_body_is_accounted_for(void)
{
  struct uk_buffer text;
  open_rig(512 * KIB);
  uk_buffer_init(&text, MIB);
  uk_buffer_append_byte(&text, '[');
  for (int i = 0; i < 20; i++) {
    uk_buffer_append_text(&text, i > 0 ? ",{\"value\":\"\",\"headers\":{"
                                       : "{\"value\":\"\",\"headers\":{");
    for (int j = 0; j < 1000; j++)
      uk_buffer_append_text(&text, j > 0 ? ",\"\":\"\"" : "\"\":\"\"");
    uk_buffer_append_text(&text, "}}");
  }
  uk_buffer_append_byte(&text, ']');
  check_refusal(post("POST /produce/t HTTP/1.1\r\n" HEAD, uk_buffer_slice(&text)), 413,
                "--max-request-memory allows 393216 for one request");
  uk_buffer_free(&text);
  close_rig();
}

static struct uk_slice positions(struct uk_buffer *text, int count)
{
  uk_buffer_init(text, MIB);
  uk_buffer_append_text(text, "{\"topicPartitionOffsets\":[");
  for (int i = 0; i < count; i++)
    uk_buffer_append_text(text, i > 0 ? ",{\"topic\":\"topic\",\"partition\":0,\"offset\":0}"
                                      : "{\"topic\":\"topic\",\"partition\":0,\"offset\":0}");
  uk_buffer_append_text(text, "]}");
  return uk_buffer_slice(text);
}

/* What waits keeps its positions, not the body, nor what was read from it. */
static void E3_a_request_that_waits_keeps_no_body(void)
{
  static const int counts[] = {1, 50, 2000};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    struct uk_buffer text;
    open_rig(0);
    atomic_store(&keeps, true);
    int fd = post(WAIT, positions(&text, counts[i]));
    struct uk_operation *operation = wait_for_operation();
    CHECK_EVENTUALLY(taken() <=
                     (size_t)counts[i] * sizeof(struct uk_topic_partition_offset) * 2 + SLACK);
    CHECK_EQ_STR(topic, "topic");
    deliver((struct uk_fetch *)operation);
    wire_receive(fd, true);
    CHECK(wire_has_status(200));
    CHECK(strstr(wire_answer, "{\"topic\":\"topic\",\"partition\":0") != NULL);
    close(fd);
    uk_buffer_free(&text);
    close_rig();
  }
}

/* A client that does not read holds its reply and nothing else. Small requests go on. */
static void E3_replies_that_are_not_read_are_accounted_for(void)
{
  struct uk_buffer text;
  int fds[3];
  open_rig(44 * MIB);
  value_length = 16 * MIB;
  for (int i = 0; i < 2; i++) {
    fds[i] = post(WAIT, positions(&text, 1000));
    CHECK(recv(fds[i], wire_answer, 1, MSG_PEEK) == 1);
    CHECK(taken() >= (size_t)(i + 1) * 16 * MIB);
    CHECK_EVENTUALLY(taken() <= (size_t)(i + 1) * (16 * MIB + 64 * KIB));
    uk_buffer_free(&text);
  }
  fds[2] = post(WAIT, positions(&text, 1));
  check_refusal(fds[2], 503, IN_USE "46137344 bytes");
  CHECK_EQ_STR(wire_ask(uk_http_address(rig.server.http), GET_HEALTH), HEALTHY);
  close(fds[0]);
  close(fds[1]);
  uk_buffer_free(&text);
  close_rig();
}

/* The first record alone needs more than there is. */
static void E3_a_reply_that_never_fits_is_told_the_limit(void)
{
  struct uk_buffer text;
  open_rig(MIB);
  value_length = 3 * MIB;
  check_refusal(post(WAIT, positions(&text, 1)), 413,
                "--max-request-memory allows 786432 for one request");
  uk_buffer_free(&text);
  close_rig();
}

/* Every byte is taken, and the refusal still says why. */
static void E3_a_refusal_needs_no_memory_of_the_budget(void)
{
  struct uk_account account;
  open_rig(MIB);
  uk_account_init(&account, &rig.server.memory);
  REQUIRE(uk_account_take(&account, 768 * KIB));
  struct uk_account rest;
  uk_account_init(&rest, &rig.server.memory);
  REQUIRE(uk_account_take(&rest, 256 * KIB));
  CHECK_EQ_INT(taken(), MIB);
  int fd = connect_to_rig();
  wire_send(fd, "GET /produce/t/v HTTP/1.1\r\n" HEAD "\r\n");
  check_refusal(fd, 503, IN_USE "1048576 bytes");
  fd = connect_to_rig();
  wire_send(fd, "GET /nowhere HTTP/1.1\r\n" HEAD "\r\n");
  check_refusal(fd, 404, "no such path");
  uk_account_give(&rest, 256 * KIB);
  fd = connect_to_rig();
  wire_send(fd, "GET /produce/t/v HTTP/1.1\r\n" HEAD "\r\n");
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  close(fd);
  uk_account_give(&account, account.used);
  close_rig();
}

static void scribble(const void *memory)
{
  if (memory != NULL)
    memset((void *)(uintptr_t)memory, 0x5a, malloc_usable_size((void *)(uintptr_t)memory));
}

/* The operation is freed when its reply is queued. */
static void E3_a_delivery_is_reported_when_its_operation_has_gone(void)
{
  open_rig(0);
  atomic_store(&finished, 0);
  fault_watch_free(scribble);
  int fd = post("GET /consume/g/i/t HTTP/1.1\r\n" HEAD, (struct uk_slice){"", 0});
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  CHECK_EVENTUALLY(atomic_load(&finished) != 0);
  CHECK_EQ_INT(atomic_load(&finished), 7);
  fault_watch_free(NULL);
  close(fd);
  close_rig();
}

int main(void)
{
  CHECK_RUN(E3_a_delivery_is_reported_when_its_operation_has_gone);
  CHECK_RUN(E3_a_body_past_the_budget_is_refused_and_others_are_not);
  CHECK_RUN(E3_a_request_that_never_fits_is_told_the_limit);
  CHECK_RUN(E3_a_body_that_is_only_announced_takes_nothing);
  CHECK_RUN(E3_a_body_is_accounted_for_while_it_is_inflated);
  CHECK_RUN(E3_an_inflated_body_takes_what_it_needs);
  CHECK_RUN(E3_what_is_read_from_a_body_is_accounted_for);
  CHECK_RUN(E3_a_request_that_waits_keeps_no_body);
  CHECK_RUN(E3_replies_that_are_not_read_are_accounted_for);
  CHECK_RUN(E3_a_reply_that_never_fits_is_told_the_limit);
  CHECK_RUN(E3_a_refusal_needs_no_memory_of_the_budget);
  return check_end();
}
