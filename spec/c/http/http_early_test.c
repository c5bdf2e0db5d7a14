/* for: http_reply.c, http_exchange.c, http.c
 *
 * A16: replies to requests whose operation has not ended. The test plays the engine, which says of
 * a produce that it is late, and ends it at some other time. */
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define PRODUCE "GET /produce/t/hello HTTP/1.1\r\n" HEAD "\r\n"
#define PRODUCE_BODY "{\"topic\":\"t\",\"value\":\"hello\"}"
#define POST_PRODUCE "POST /produce HTTP/1.1\r\n" HEAD "Content-Length: 29\r\n\r\n" PRODUCE_BODY
#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEALTHY "{\"status\":\"ok\",\"engine\":\"played\"}"
#define LATE "{\"error\":\"slow; may be done\",\"status\":504}"

_Static_assert(sizeof PRODUCE_BODY - 1 == 29, "Content-Length");

static struct http_rig rig;
static struct uk_produce *_Atomic kept;
static atomic_bool late_at_once, ends_at_once;

static void be_late(struct uk_produce *operation)
{
  char message[] = "slow; may be done";
  operation->operation.late(&operation->operation, message);
  memset(message, 'x', sizeof message);
}

static void end(struct uk_produce *operation)
{
  operation->operation.done(&operation->operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  if (atomic_load(&late_at_once))
    be_late(operation);
  if (atomic_load(&ends_at_once))
    end(operation);
  else
    atomic_store(&kept, operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine, (void)detail, (void)size;
  return UK_OK;
}

static const struct uk_engine_methods methods = {
  .name = "played", .produce = produce, .health = health};

static void open_rig(void)
{
  atomic_store(&kept, NULL);
  atomic_store(&late_at_once, false);
  atomic_store(&ends_at_once, false);
  CHECK(http_rig_open(&rig, &methods));
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

static struct uk_produce *wait_for_operation(void)
{
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  return atomic_exchange(&kept, NULL);
}

/* All of it is still there for the engine. */
static void check_operation(const struct uk_produce *operation)
{
  CHECK_EQ_INT(operation->count, 1);
  CHECK_EQ_SLICE(operation->records[0].topic, "t");
  CHECK_EQ_SLICE(operation->records[0].value, "hello");
}

static void check_late(int fd)
{
  CHECK_EQ_STR(wire_receive(fd, true), LATE);
  CHECK(wire_has_status(504));
  CHECK(strstr(wire_answer, "\r\nRetry-After") == NULL);
}

/* The connection goes on to the next request, before the operation ends and after. */
static void A16_a_late_operation_is_answered(void)
{
  static const char *const requests[] = {PRODUCE, POST_PRODUCE};
  open_rig();
  int fd = connect_to_rig();
  for (int i = 0; i < 100; i++) {
    wire_send(fd, requests[i % 2]);
    struct uk_produce *operation = wait_for_operation();
    REQUIRE(operation != NULL);
    be_late(operation);
    check_late(fd);
    wire_send(fd, GET_HEALTH);
    CHECK_EQ_STR(wire_receive(fd, true), HEALTHY);
    check_operation(operation);
    end(operation);
    wire_send(fd, GET_HEALTH);
    CHECK_EQ_STR(wire_receive(fd, true), HEALTHY);
  }
  close(fd);
  http_rig_close(&rig);
}

/* Before the connection waits for the reply. */
static void A16_an_operation_may_be_late_at_once(void)
{
  open_rig();
  atomic_store(&late_at_once, true);
  int fd = connect_to_rig();
  for (int i = 0; i < 10; i++) {
    wire_send(fd, PRODUCE);
    struct uk_produce *operation = wait_for_operation();
    REQUIRE(operation != NULL);
    check_late(fd);
    check_operation(operation);
    end(operation);
  }
  atomic_store(&ends_at_once, true);
  for (int i = 0; i < 10; i++) {
    wire_send(fd, PRODUCE);
    check_late(fd);
  }
  close(fd);
  http_rig_close(&rig);
}

/* An operation that ends right after it was late races with the response. */
static void A16_a_late_operation_may_end_at_any_time(void)
{
  open_rig();
  int fd = connect_to_rig();
  for (int i = 0; i < 200; i++) {
    wire_send(fd, POST_PRODUCE);
    struct uk_produce *operation = wait_for_operation();
    REQUIRE(operation != NULL);
    be_late(operation);
    end(operation);
    check_late(fd);
  }
  close(fd);
  http_rig_close(&rig);
}

static void A16_the_client_of_a_late_operation_may_be_gone(void)
{
  open_rig();
  for (int i = 0; i < 20; i++) {
    int fd = connect_to_rig();
    wire_send(fd, POST_PRODUCE);
    struct uk_produce *operation = wait_for_operation();
    REQUIRE(operation != NULL);
    close(fd);
    be_late(operation);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 0);
    check_operation(operation);
    end(operation);
  }
  http_rig_close(&rig);
}

/* A late operation no longer counts as one without an answer: the server stops, and the operation
 * ends after that. */
static void A16_a_late_operation_may_outlive_the_server(void)
{
  long live = fault_live();
  for (int i = 0; i < 3; i++) {
    open_rig();
    struct uk_http *http = rig.server.http;
    int fd = connect_to_rig();
    wire_send(fd, POST_PRODUCE);
    struct uk_produce *operation = wait_for_operation();
    REQUIRE(operation != NULL);
    CHECK_EQ_INT(atomic_load(&http->unanswered), 1);
    CHECK(!uk_http_wait(http, uk_clock_monotonic()));
    be_late(operation);
    CHECK(uk_http_wait(http, INT64_MAX));
    CHECK_EQ_INT(atomic_load(&http->unanswered), 0);
    check_late(fd);
    CHECK_EVENTUALLY(atomic_load(&http->unsent) == 0);
    CHECK_EQ_INT(atomic_load(&http->resuming), 0);
    http_rig_close(&rig);
    check_operation(operation);
    end(operation);
    close(fd);
    CHECK_EQ_INT(fault_live(), live);
  }
}

int main(void)
{
  CHECK_RUN(A16_a_late_operation_is_answered);
  CHECK_RUN(A16_an_operation_may_be_late_at_once);
  CHECK_RUN(A16_a_late_operation_may_end_at_any_time);
  CHECK_RUN(A16_the_client_of_a_late_operation_may_be_gone);
  CHECK_RUN(A16_a_late_operation_may_outlive_the_server);
  return check_end();
}
