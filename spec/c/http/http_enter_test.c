/* for: http_run.c
 *
 * Requests that arrive while the server begins to stop. The test includes the file, and so stands
 * in front of its loads: it chooses the moment at which the server begins to refuse. */
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "http_rig.h"
#include "wire.h"

static void before_load(const volatile void *object);
#undef atomic_load
#define atomic_load(object)                                                                        \
  (before_load(object), atomic_load_explicit(object, memory_order_seq_cst))

#include "server/http/http_run.c"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"

static struct http_rig rig;
static atomic_int looks; /* of requests at whether the server refuses */
static int refuses_at;   /* the look before which it begins to */

static void before_load(const volatile void *object)
{
  if (object == &rig.server.http->refusing && atomic_fetch_add(&looks, 1) + 1 == refuses_at)
    uk_http_refuse(rig.server.http);
}

static void serve_topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods played = {.name = "played", .topics = serve_topics};

static void check_reply(int status, const char *text)
{
  int fd = wire_connect(uk_http_address(rig.server.http));
  wire_send(fd, GET_TOPICS);
  CHECK(strstr(wire_receive(fd, true), text) != NULL);
  CHECK(wire_has_status(status));
  close(fd);
}

/* Each request looks twice. One that is refused is not counted any more: the stop would wait for
 * it. */
static void a_request_that_is_refused_is_not_waited_for(void)
{
  for (int i = 1; i <= 3; i++) {
    atomic_store(&looks, 0);
    refuses_at = i;
    REQUIRE(CHECK(http_rig_open(&rig, &played)));
    if (i <= 2)
      check_reply(503, "the server is stopping");
    else
      check_reply(200, "{}");
    CHECK_EQ_INT(atomic_load(&looks), i == 1 ? 1 : 2);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 0);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->unanswered) == 0);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->unsent) == 0);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->in_hand) == 0);
    http_rig_close(&rig);
  }
}

int main(void)
{
  CHECK_RUN(a_request_that_is_refused_is_not_waited_for);
  return check_end();
}
