/* for: http_sockets.c */
#include "server/http/http_sockets.h"

#include "check.h"
#include "fault.h"

enum { FAR = UK_SOCKETS_PER_BLOCK, LAST = UK_SOCKET_BLOCKS * UK_SOCKETS_PER_BLOCK - 1 };

static struct uk_sockets sockets;
static int taken[16], taken_count;

static void note(void *argument, int socket)
{
  CHECK(argument == &sockets);
  if (CHECK(taken_count < 16))
    taken[taken_count++] = socket;
}

static int take(void)
{
  taken_count = 0;
  uk_sockets_take(&sockets, note, &sockets);
  return taken_count;
}

/* A request is carried out or refused, never both. */
static void takes_what_has_no_request_in_hand(void)
{
  REQUIRE(uk_sockets_init(&sockets));
  CHECK_EQ_INT(take(), 0);
  uk_sockets_opened(&sockets, 5);
  uk_sockets_opened(&sockets, FAR + 3);
  uk_sockets_opened(&sockets, LAST);
  uk_sockets_opened(&sockets, 7);
  CHECK(uk_sockets_begin(&sockets, 5));
  CHECK(uk_sockets_begin(&sockets, 7));
  uk_sockets_end(&sockets, 7);
  CHECK_EQ_INT(take(), 3);
  CHECK(taken[0] == 7 && taken[1] == FAR + 3 && taken[2] == LAST);
  CHECK_EQ_INT(take(), 0);
  CHECK(!uk_sockets_begin(&sockets, 7));
  CHECK(!uk_sockets_begin(&sockets, LAST));
  uk_sockets_end(&sockets, 7); /* says nothing about one that was taken */
  CHECK(!uk_sockets_begin(&sockets, 7));
  uk_sockets_end(&sockets, 5);
  CHECK_EQ_INT(take(), 1);
  CHECK_EQ_INT(taken[0], 5);
  uk_sockets_free(&sockets);
}

static void a_number_is_used_again(void)
{
  REQUIRE(uk_sockets_init(&sockets));
  uk_sockets_opened(&sockets, 5);
  CHECK_EQ_INT(take(), 1);
  uk_sockets_closed(&sockets, 5);
  CHECK_EQ_INT(take(), 0);
  uk_sockets_opened(&sockets, 5);
  CHECK(uk_sockets_begin(&sockets, 5));
  uk_sockets_closed(&sockets, 5);
  CHECK_EQ_INT(take(), 0);
  uk_sockets_opened(&sockets, 5);
  CHECK_EQ_INT(take(), 1);
  uk_sockets_free(&sockets);
}

/* Their requests are answered, and none is refused at the end. */
static void unknown_sockets_are_left_alone(void)
{
  static const int unknown[] = {-1, 0, 5, LAST, LAST + 1};
  REQUIRE(uk_sockets_init(&sockets));
  for (int i = 0; i < 5; i++) {
    CHECK(uk_sockets_begin(&sockets, unknown[i]));
    uk_sockets_end(&sockets, unknown[i]);
    uk_sockets_closed(&sockets, unknown[i]);
  }
  uk_sockets_opened(&sockets, -1);
  uk_sockets_opened(&sockets, LAST + 1);
  CHECK_EQ_INT(take(), 0);
  fault_at(1);
  uk_sockets_opened(&sockets, FAR + 5);
  CHECK(fault_hit());
  fault_off();
  CHECK(uk_sockets_begin(&sockets, FAR + 5));
  CHECK_EQ_INT(take(), 0);
  uk_sockets_opened(&sockets, FAR + 6);
  CHECK(uk_sockets_begin(&sockets, FAR + 5)); /* still not known */
  CHECK_EQ_INT(take(), 1);
  uk_sockets_free(&sockets);
}

static void does_not_start_without_memory(void)
{
  fault_at(1);
  CHECK(!uk_sockets_init(&sockets));
  fault_off();
  CHECK_EQ_INT(take(), 0);
  uk_sockets_free(&sockets);
}

/* Nobody writes to a socket after `closed`. */
static pthread_t closer;
static atomic_bool is_closing, is_closed;

static void *close_it(void *unused)
{
  (void)unused;
  atomic_store(&is_closing, true);
  uk_sockets_closed(&sockets, 5);
  atomic_store(&is_closed, true);
  return NULL;
}

static void close_meanwhile(void *argument, int socket)
{
  (void)argument;
  (void)socket;
  CHECK(pthread_create(&closer, NULL, close_it, NULL) == 0);
  CHECK_EVENTUALLY(atomic_load(&is_closing));
  const struct timespec moment = {.tv_nsec = 20000000};
  nanosleep(&moment, NULL);
  CHECK(!atomic_load(&is_closed));
}

static void a_socket_is_not_closed_while_it_is_taken(void)
{
  REQUIRE(uk_sockets_init(&sockets));
  uk_sockets_opened(&sockets, 5);
  uk_sockets_take(&sockets, close_meanwhile, NULL);
  CHECK(pthread_join(closer, NULL) == 0);
  CHECK(atomic_load(&is_closed));
  uk_sockets_free(&sockets);
}

int main(void)
{
  CHECK_RUN(takes_what_has_no_request_in_hand);
  CHECK_RUN(a_number_is_used_again);
  CHECK_RUN(unknown_sockets_are_left_alone);
  CHECK_RUN(does_not_start_without_memory);
  CHECK_RUN(a_socket_is_not_closed_while_it_is_taken);
  return check_end();
}
