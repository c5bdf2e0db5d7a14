/* for: http_reaper.c, http_places.c
 *
 * The test owns the clock, and plays the library: it opens and closes connections, and says what
 * they do. */
#include "server/http/http_reaper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

enum { HANDSHAKE = 10000, HEAD = 15000, IDLE = 75000, RATE = 500, PERIOD = 20000 };
static const struct uk_reaper_limits usual = {.connections = 3,
                                              .per_address = 2,
                                              .handshake = HANDSHAKE,
                                              .head = HEAD,
                                              .idle = IDLE,
                                              .rate = RATE,
                                              .period = PERIOD};

static int64_t now;
static struct uk_reaper reaper;
static struct uk_client_address one;

static int64_t clock_of_test(void)
{
  return now;
}

static void start(bool tls)
{
  now = 1000000;
  uk_client_address_read(&one, uk_slice_text("192.0.2.1"));
  REQUIRE(uk_reaper_init(&reaper, &usual, tls, clock_of_test));
}

/* What the acceptor does, after so many milliseconds. */
static void pass(int64_t milliseconds)
{
  now += milliseconds;
  reaper.looked = 0;
  uk_reaper_look(&reaper);
}

struct pair {
  int client, server;
};

static struct pair unix_pair(void)
{
  int ends[2] = {-1, -1};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  return (struct pair){ends[0], ends[1]};
}

static struct pair tcp_pair(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  struct pair pair;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0);
  pair.client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(pair.client, (struct sockaddr *)&address, length) == 0);
  pair.server = accept(listener, NULL, NULL);
  fcntl(pair.server, F_SETFL, O_NONBLOCK);
  fcntl(pair.client, F_SETFL, O_NONBLOCK);
  close(listener);
  return pair;
}

static enum uk_place open_from(int socket, const struct uk_client_address *address)
{
  return uk_reaper_open(&reaper, socket, address, address != NULL, NULL);
}

static void close_pair(struct pair pair)
{
  uk_reaper_closed(&reaper, pair.server);
  close(pair.server);
  close(pair.client);
}

/* Whether the server's reading side was shut down. */
static bool has_ended(struct pair pair)
{
  char byte;
  return recv(pair.server, &byte, 1, MSG_PEEK) == 0;
}

static bool is_late(struct pair pair)
{
  return has_ended(pair) && uk_reaper_verdict(&reaper, pair.server) == UK_VERDICT_LATE;
}

static bool is_open(struct pair pair)
{
  return !has_ended(pair) && uk_reaper_verdict(&reaper, pair.server) == UK_VERDICT_NONE;
}

/* Whether the client would be told that it can send no more, or its response. */
static bool can_write(struct pair pair)
{
  char byte = 'x';
  return send(pair.server, &byte, 1, MSG_NOSIGNAL) == 1;
}

static void E1_a_head_has_its_time(void)
{
  start(false);
  struct pair pair = unix_pair();
  CHECK_EQ_INT(open_from(pair.server, NULL), UK_PLACE_TAKEN);
  pass(HEAD);
  CHECK(is_open(pair));
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_HEAD)); /* its line: the time goes on */
  pass(1);
  CHECK(is_late(pair));
  CHECK(can_write(pair)); /* a 408 */
  CHECK(!uk_reaper_enter(&reaper, pair.server, UK_PHASE_BODY));
  CHECK(is_late(pair));
  close_pair(pair);
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pair.server), UK_VERDICT_NONE);
  uk_reaper_free(&reaper);
}

static void E1_a_handshake_has_its_time(void)
{
  const int session = 0, other = 0;
  for (int i = 0; i < 2; i++) {
    start(true);
    struct pair pair = unix_pair();
    CHECK_EQ_INT(uk_reaper_open(&reaper, pair.server, NULL, false, &session), UK_PLACE_TAKEN);
    CHECK(!uk_reaper_shook_hands(&reaper, pair.server, &other));
    CHECK(!uk_reaper_shook_hands(&reaper, pair.server + 1, &session));
    pass(HANDSHAKE);
    CHECK(is_open(pair));
    if (i == 1) {
      CHECK(uk_reaper_shook_hands(&reaper, pair.server, &session));
      pass(HEAD);
      CHECK(is_open(pair));
    }
    pass(1);
    CHECK(is_late(pair));
    CHECK(!can_write(pair)); /* it would not be TLS */
    close_pair(pair);
    uk_reaper_free(&reaper);
  }
}

/* While bytes of the client wait, the server is the slow one; but not for ever. */
static void E1_a_busy_server_waits_twice_as_long(void)
{
  start(false);
  struct pair pair = unix_pair();
  open_from(pair.server, NULL);
  CHECK(write(pair.client, "x", 1) == 1);
  pass(2 * HEAD);
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pair.server), UK_VERDICT_NONE);
  pass(1);
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pair.server), UK_VERDICT_LATE);
  close_pair(pair);
  uk_reaper_free(&reaper);
}

static void E1_a_handler_has_no_deadline(void)
{
  start(false);
  struct pair pair = unix_pair();
  open_from(pair.server, NULL);
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_BODY));
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_HANDLER));
  pass(100 * IDLE);
  CHECK(is_open(pair));
  CHECK(!uk_reaper_evict(&reaper));
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_REPLY));
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_IDLE));
  pass(IDLE);
  CHECK(is_open(pair));
  pass(1);
  CHECK(is_late(pair));
  close_pair(pair);
  uk_reaper_free(&reaper);
}

/* Each period counts for itself. */
static void E1_a_body_has_a_minimum_rate(void)
{
  enum { LEAST = RATE * PERIOD / 1000 };
  start(false);
  struct pair pair = unix_pair();
  open_from(pair.server, NULL);
  pass(HEAD);
  for (int request = 0; request < 2; request++) {
    uk_reaper_received(&reaper, pair.server, LEAST); /* says nothing about this body */
    CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_BODY));
    pass(PERIOD);
    CHECK(is_open(pair));
    for (int period = 0; period < 3; period++) {
      uk_reaper_received(&reaper, pair.server, LEAST);
      pass(1);
      CHECK(is_open(pair));
      pass(PERIOD);
      CHECK(is_open(pair));
    }
    uk_reaper_received(&reaper, pair.server, LEAST - 1);
    CHECK(request == 1 || uk_reaper_enter(&reaper, pair.server, UK_PHASE_HANDLER));
  }
  pass(1);
  CHECK(is_late(pair));
  CHECK(can_write(pair));
  close_pair(pair);
  uk_reaper_free(&reaper);
}

/* Fills the way to the client. */
static void fill(struct pair pair)
{
  static char bytes[1 << 16];
  while (send(pair.server, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
    continue;
}

static void drain(struct pair pair)
{
  static char bytes[1 << 16];
  while (recv(pair.client, bytes, sizeof bytes, 0) > 0)
    continue;
}

static bool is_queue_empty(struct pair pair)
{
  int queued = 1;
  return ioctl(pair.server, TIOCOUTQ, &queued) == 0 && queued == 0;
}

static enum uk_verdict verdict_after(struct pair pair, int64_t milliseconds)
{
  pass(milliseconds);
  return uk_reaper_verdict(&reaper, pair.server);
}

static void E1_a_reply_has_a_minimum_rate(void)
{
  for (int i = 0; i < 2; i++) {
    start(false);
    struct pair pair = i == 0 ? tcp_pair() : unix_pair();
    open_from(pair.server, NULL);
    CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_REPLY));
    fill(pair);
    CHECK_EQ_INT(verdict_after(pair, 0), UK_VERDICT_NONE); /* its first look */
    CHECK_EQ_INT(verdict_after(pair, PERIOD), UK_VERDICT_NONE);
    while (!is_queue_empty(pair))
      drain(pair);
    pass(0);
    fill(pair);
    CHECK_EQ_INT(verdict_after(pair, 1), UK_VERDICT_NONE); /* enough was read: another period */
    CHECK_EQ_INT(verdict_after(pair, PERIOD), UK_VERDICT_NONE);
    /* The kernel may still have moved bytes. */
    CHECK_EVENTUALLY(verdict_after(pair, PERIOD + 1) == UK_VERDICT_LATE);
    CHECK(!can_write(pair));
    struct linger linger = {0};
    socklen_t length = sizeof linger;
    getsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, &length);
    CHECK(linger.l_onoff != 0 && linger.l_linger == 0); /* the system keeps nothing of it */
    close_pair(pair);
    uk_reaper_free(&reaper);
  }
}

/* The library says nothing before the whole line has arrived. */
static void E1_the_first_byte_of_a_next_head_starts_its_time(void)
{
  enum { LOOK = 5000 };
  start(false);
  struct pair pair = tcp_pair();
  char byte;
  open_from(pair.server, NULL);
  CHECK(uk_reaper_enter(&reaper, pair.server, UK_PHASE_IDLE));
  pass(LOOK);
  CHECK(write(pair.client, "G", 1) == 1);
  CHECK_EVENTUALLY(recv(pair.server, &byte, 1, 0) == 1);
  pass(LOOK - 1);
  pass(HEAD + 1); /* noticed now */
  CHECK(is_open(pair));
  pass(HEAD);
  CHECK(is_open(pair));
  pass(1);
  CHECK(is_late(pair));
  close_pair(pair);
  uk_reaper_free(&reaper);
}

static void E1_it_looks_once_in_a_pause(void)
{
  start(false);
  struct pair pair = unix_pair();
  open_from(pair.server, NULL);
  pass(HEAD);
  now += UK_REAPER_PAUSE - 1;
  uk_reaper_look(&reaper);
  CHECK(is_open(pair));
  now++;
  uk_reaper_look(&reaper);
  CHECK(is_late(pair));
  close_pair(pair);
  uk_reaper_free(&reaper);
}

/* A number that was closed and opened again is another connection. */
static void E1_a_number_is_used_again(void)
{
  start(false);
  struct pair pair = unix_pair();
  open_from(pair.server, NULL);
  uk_reaper_trust(&reaper, pair.server);
  uk_reaper_mark_line(&reaper, pair.server, true);
  CHECK(uk_reaper_has_long_line(&reaper, pair.server));
  pass(HEAD);
  uk_reaper_closed(&reaper, pair.server);
  CHECK_EQ_INT(reaper.taken, 0);
  CHECK_EQ_INT(reaper.open, 0);
  pass(1);
  CHECK(!has_ended(pair));
  uk_reaper_closed(&reaper, pair.server); /* again: nothing */
  CHECK_EQ_INT(open_from(pair.server, NULL), UK_PLACE_TAKEN);
  CHECK(!uk_reaper_has_long_line(&reaper, pair.server));
  pass(HEAD);
  CHECK(is_open(pair));
  CHECK(uk_reaper_evict(&reaper)); /* what the one before has sent does not count */
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pair.server), UK_VERDICT_GAVE_WAY);
  CHECK(can_write(pair));
  close_pair(pair);
  uk_reaper_free(&reaper);
}

static void every_connection_is_looked_at(void)
{
  enum { COUNT = 300 }; /* more than at once */
  static struct pair pairs[COUNT];
  start(false);
  reaper.limits.connections = COUNT;
  for (int i = 0; i < COUNT; i++) {
    pairs[i] = unix_pair();
    open_from(pairs[i].server, NULL);
  }
  pass(HEAD + 1);
  for (int i = 0; i < COUNT; i++) {
    CHECK(is_late(pairs[i]));
    close_pair(pairs[i]);
  }
  uk_reaper_free(&reaper);
}

static void E2_the_oldest_stranger_gives_way(void)
{
  struct pair pairs[6];
  start(false);
  for (int i = 0; i < 6; i++)
    pairs[i] = unix_pair();
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(open_from(pairs[i].server, NULL), UK_PLACE_TAKEN);
  CHECK(is_open(pairs[0]) && is_open(pairs[1]) && is_open(pairs[2]));
  uk_reaper_trust(&reaper, pairs[0].server);
  uk_reaper_trust(&reaper, pairs[0].server);
  CHECK_EQ_INT(open_from(pairs[3].server, NULL), UK_PLACE_TAKEN);
  CHECK(is_open(pairs[0]) && is_open(pairs[2]));
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pairs[1].server), UK_VERDICT_GAVE_WAY);
  CHECK(has_ended(pairs[1]) && can_write(pairs[1])); /* a 429 */
  CHECK_EQ_INT(reaper.taken, 3);
  uk_reaper_trust(&reaper, pairs[2].server);
  uk_reaper_enter(&reaper, pairs[3].server, UK_PHASE_HANDLER);
  CHECK_EQ_INT(open_from(pairs[4].server, NULL), UK_PLACE_FULL);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[4].server), UK_PLACE_FULL);
  CHECK_EQ_INT(reaper.taken, 3);
  uk_reaper_closed(&reaper, pairs[1].server); /* its place was given away */
  CHECK_EQ_INT(reaper.taken, 3);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[4].server), UK_PLACE_FULL);
  uk_reaper_closed(&reaper, pairs[2].server);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[4].server), UK_PLACE_TAKEN);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[4].server), UK_PLACE_TAKEN);
  CHECK_EQ_INT(reaper.taken, 3);
  CHECK_EQ_INT(open_from(pairs[5].server, NULL), UK_PLACE_TAKEN); /* that one was a stranger */
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pairs[4].server), UK_VERDICT_GAVE_WAY);
  for (int i = 0; i < 6; i++)
    close_pair(pairs[i]);
  CHECK_EQ_INT(reaper.taken, 0);
  uk_reaper_free(&reaper);
}

/* Others wait for its place. */
static void E2_a_connection_without_a_place_has_less_time(void)
{
  struct pair pairs[4];
  start(false);
  for (int i = 0; i < 4; i++) {
    pairs[i] = unix_pair();
    CHECK_EQ_INT(open_from(pairs[i].server, NULL), i < 3 ? UK_PLACE_TAKEN : UK_PLACE_FULL);
    uk_reaper_trust(&reaper, pairs[i].server);
  }
  pass(UK_REAPER_SURPLUS);
  CHECK(is_open(pairs[3]));
  pass(1);
  CHECK(is_late(pairs[3]));
  CHECK(is_open(pairs[0]) && is_open(pairs[2]));
  for (int i = 0; i < 4; i++)
    close_pair(pairs[i]);
  uk_reaper_free(&reaper);
}

static void E2_an_address_has_so_many_places(void)
{
  enum { COUNT = 2 + UK_REAPER_CROWD + 1 };
  struct pair pairs[COUNT], other = unix_pair();
  struct uk_client_address elsewhere;
  uk_client_address_read(&elsewhere, uk_slice_text("192.0.2.2"));
  start(false);
  reaper.limits.connections = 100;
  for (int i = 0; i < COUNT; i++) {
    pairs[i] = unix_pair();
    CHECK_EQ_INT(open_from(pairs[i].server, &one), i < 2           ? UK_PLACE_TAKEN
                                                   : i < COUNT - 1 ? UK_PLACE_CROWD
                                                                   : UK_PLACE_NONE);
  }
  CHECK(has_ended(pairs[COUNT - 1]) && can_write(pairs[COUNT - 1]));
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pairs[COUNT - 1].server), UK_VERDICT_CROWD);
  CHECK_EQ_INT(open_from(other.server, &elsewhere), UK_PLACE_TAKEN);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[2].server), UK_PLACE_CROWD);
  CHECK_EQ_INT(reaper.taken, 3);
  for (int i = 2; i < COUNT; i++) {
    if (i != 3)
      close_pair(pairs[i]);
  }
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[3].server), UK_PLACE_CROWD);
  close_pair(pairs[0]);
  CHECK_EQ_INT(uk_reaper_place(&reaper, pairs[3].server), UK_PLACE_TAKEN);
  close_pair(pairs[1]);
  close_pair(pairs[3]);
  close_pair(other);
  CHECK_EQ_INT(reaper.taken, 0);
  uk_reaper_free(&reaper);
}

static void E2_what_is_not_counted_is_not_limited(void)
{
  struct pair pairs[3];
  start(false);
  for (int i = 0; i < 3; i++) {
    pairs[i] = unix_pair();
    CHECK_EQ_INT(uk_reaper_open(&reaper, pairs[i].server, &one, false, NULL), UK_PLACE_TAKEN);
  }
  for (int i = 0; i < 3; i++)
    close_pair(pairs[i]);
  uk_reaper_free(&reaper);
}

static struct uk_places places;

static unsigned count_of(const char *text)
{
  struct uk_client_address address;
  CHECK(uk_client_address_read(&address, uk_slice_text(text)));
  struct uk_address_places *of = uk_places_take(&places, &address);
  const unsigned count = of->count - 1;
  uk_places_give(of);
  return count;
}

/* A client commonly has the whole network. */
static void E2_an_ipv6_network_is_one_address(void)
{
  static const char *const texts[] = {"2001:db8:0:1::1", "192.0.2.1", "2001:db8:0:1::1"};
  struct uk_address_places *of[3];
  const long before = fault_live();
  uk_places_init(&places);
  for (int i = 0; i < 3; i++) {
    struct uk_client_address address;
    uk_client_address_read(&address, uk_slice_text(texts[i]));
    of[i] = uk_places_take(&places, &address);
  }
  CHECK(of[0] == of[2] && of[0] != of[1]);
  CHECK_EQ_INT(count_of("2001:db8:0:1:ffff::"), 2);
  CHECK_EQ_INT(count_of("2001:db8:0:2::1"), 0);
  CHECK_EQ_INT(count_of("192.0.2.1"), 1);
  CHECK_EQ_INT(count_of("::ffff:192.0.2.1"), 1);
  CHECK_EQ_INT(count_of("192.0.2.3"), 0);
  for (int i = 0; i < 3; i++)
    uk_places_give(of[i]);
  uk_places_give(NULL);
  CHECK_EQ_INT(fault_live(), before);
}

/* Addresses of a /16 do not all come into one list. */
static void addresses_are_spread(void)
{
  enum { COUNT = 4096 };
  static struct uk_address_places *of[COUNT];
  size_t most = 0;
  uk_places_init(&places);
  for (int i = 0; i < COUNT; i++) {
    struct uk_client_address address = one;
    address.bytes[14] = (unsigned char)(i >> 8);
    address.bytes[15] = (unsigned char)i;
    of[i] = uk_places_take(&places, &address);
  }
  for (int i = 0; i < UK_PLACES_LISTS; i++) {
    const size_t count = uk_list_count(&places.lists[i]);
    most = count > most ? count : most;
  }
  CHECK(most < 32);
  for (int i = 0; i < COUNT; i++)
    uk_places_give(of[i]);
}

/* What cannot be followed would have no deadline. */
static void without_memory_a_connection_ends(void)
{
  enum { FAR = UK_REAPER_PER_BLOCK, LAST = UK_REAPER_BLOCKS * UK_REAPER_PER_BLOCK };
  start(false);
  struct pair pair = unix_pair();
  fault_at(1);
  CHECK_EQ_INT(open_from(pair.server, &one), UK_PLACE_NONE);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(uk_reaper_verdict(&reaper, pair.server), UK_VERDICT_NO_MEMORY);
  CHECK(has_ended(pair) && can_write(pair));
  CHECK_EQ_INT(reaper.taken, 0);
  close_pair(pair);
  CHECK_EQ_INT(reaper.open, 0);
  pair = unix_pair();
  const int far = fcntl(pair.server, F_DUPFD, FAR);
  if (far >= 0) { /* the system may allow fewer */
    fault_at(1);
    CHECK_EQ_INT(open_from(far, NULL), UK_PLACE_NONE);
    fault_off();
    CHECK(has_ended(pair) && !can_write(pair));
    uk_reaper_closed(&reaper, far);
    CHECK_EQ_INT(open_from(far, NULL), UK_PLACE_TAKEN);
    uk_reaper_closed(&reaper, far);
    close(far);
  }
  CHECK_EQ_INT(open_from(LAST, NULL), UK_PLACE_NONE);
  CHECK_EQ_INT(open_from(-1, NULL), UK_PLACE_NONE);
  uk_reaper_closed(&reaper, LAST);
  CHECK(uk_reaper_enter(&reaper, -1, UK_PHASE_BODY));
  CHECK_EQ_INT(uk_reaper_place(&reaper, -1), UK_PLACE_TAKEN);
  close_pair(pair);
  uk_reaper_free(&reaper);
  fault_at(1);
  CHECK(!uk_reaper_init(&reaper, &usual, false, clock_of_test));
  fault_off();
  uk_reaper_free(&reaper);
}

static void one_that_was_not_started_does_nothing(void)
{
  static struct uk_reaper zeroed;
  struct pair pair = unix_pair();
  uk_reaper_look(&zeroed);
  CHECK(!uk_reaper_evict(&zeroed));
  CHECK_EQ_INT(uk_reaper_open(&zeroed, pair.server, &one, true, NULL), UK_PLACE_TAKEN);
  CHECK(uk_reaper_enter(&zeroed, pair.server, UK_PHASE_BODY));
  uk_reaper_trust(&zeroed, pair.server);
  uk_reaper_closed(&zeroed, pair.server);
  uk_reaper_free(&zeroed);
  close(pair.server);
  close(pair.client);
}

int main(void)
{
  const long before = fault_live();
  CHECK_RUN(E1_a_head_has_its_time);
  CHECK_RUN(E1_a_handshake_has_its_time);
  CHECK_RUN(E1_a_busy_server_waits_twice_as_long);
  CHECK_RUN(E1_a_handler_has_no_deadline);
  CHECK_RUN(E1_a_body_has_a_minimum_rate);
  CHECK_RUN(E1_a_reply_has_a_minimum_rate);
  CHECK_RUN(E1_the_first_byte_of_a_next_head_starts_its_time);
  CHECK_RUN(E1_it_looks_once_in_a_pause);
  CHECK_RUN(E1_a_number_is_used_again);
  CHECK_RUN(every_connection_is_looked_at);
  CHECK_RUN(E2_the_oldest_stranger_gives_way);
  CHECK_RUN(E2_a_connection_without_a_place_has_less_time);
  CHECK_RUN(E2_an_address_has_so_many_places);
  CHECK_RUN(E2_what_is_not_counted_is_not_limited);
  CHECK_RUN(E2_an_ipv6_network_is_one_address);
  CHECK_RUN(addresses_are_spread);
  CHECK_RUN(without_memory_a_connection_ends);
  CHECK_RUN(one_that_was_not_started_does_nothing);
  CHECK_EQ_INT(fault_live(), before);
  return check_end();
}
