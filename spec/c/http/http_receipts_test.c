/* for: http_receipts.c, http_arrival.c
 *
 * What becomes known of replies that were written, on connections over loopback. The test plays the
 * library and the clients, and owns the clock. */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "common/thread.h"
#include "fault.h"
#include "server/http/http_arrival.h"
#include "server/http/http_receipts.h"

enum { REPORTS = 8, LARGE = 8 << 20 };

/* What uk_arrival_judge says. */

static const struct {
  struct uk_socket_facts facts;
  bool shut, late;
  enum uk_arrival arrival;
} rows[] = {
  {{.tcp = true}, false, false, UK_ARRIVAL_OPEN},
  {{.tcp = true}, true, true, UK_ARRIVAL_OPEN},
  {{.tcp = true, .queued = 1}, false, false, UK_ARRIVAL_DUE},
  {{.tcp = true, .queued = 1}, false, true, UK_ARRIVAL_DUE},
  {{.tcp = true, .queued = 1}, true, false, UK_ARRIVAL_OPEN}, /* the end itself */
  {{.tcp = true, .queued = 2}, true, false, UK_ARRIVAL_DUE},
  {{.tcp = true, .queued = 1, .silent = true}, false, false, UK_ARRIVAL_FAILED},
  {{.tcp = true, .silent = true}, false, false, UK_ARRIVAL_OPEN},
  {{.tcp = true, .over = true}, false, false, UK_ARRIVAL_FAILED},
  {{.tcp = true, .over = true}, false, true, UK_ARRIVAL_ENDED},
  {{.tcp = true, .over = true, .queued = 1}, false, true, UK_ARRIVAL_FAILED},
  {{.tcp = true, .over = true}, true, false, UK_ARRIVAL_ENDED},
  {{.tcp = true, .over = true, .queued = 1}, true, false, UK_ARRIVAL_ENDED},
  {{.tcp = true, .over = true, .queued = 2}, true, false, UK_ARRIVAL_FAILED},
  {{.tcp = true, .over = true, .error = ECONNRESET}, true, false, UK_ARRIVAL_FAILED},
  {{.tcp = true, .error = ECONNRESET}, false, false, UK_ARRIVAL_FAILED},
  {{.tcp = true, .error = ECONNRESET}, false, true, UK_ARRIVAL_ENDED},
  {{.tcp = false}, false, false, UK_ARRIVAL_OPEN},
  {{.queued = 1}, false, false, UK_ARRIVAL_DUE},
  {{.queued = 1}, true, false, UK_ARRIVAL_DUE},
  {{.over = true}, false, false, UK_ARRIVAL_ENDED},
  {{.over = true, .error = ECONNRESET}, false, false, UK_ARRIVAL_FAILED},
};

static void each_fact_counts(void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!CHECK_EQ_INT(uk_arrival_judge(&rows[i].facts, rows[i].shut, rows[i].late),
                      rows[i].arrival))
      printf("  row %zu\n", i);
  }
}

/* The rig. */

static struct uk_receipts receipts;
static _Atomic int64_t now;
static int listener = -1;

/* For how many milliseconds the thread sleeps, or last slept. */
static atomic_int sleep_of_thread;

__attribute__((visibility("default"))) int epoll_wait(int epoll, struct epoll_event *events,
                                                      int count, int timeout)
{
  union {
    void *symbol;
    int (*epoll_wait)(int, struct epoll_event *, int, int);
  } own = {.symbol = dlsym(RTLD_NEXT, "epoll_wait")};
  atomic_store(&sleep_of_thread, timeout);
  return own.epoll_wait(epoll, events, count, timeout);
}

/* The thread may be at it. */

static size_t lingering(void)
{
  pthread_mutex_lock(&receipts.mutex);
  const size_t count = receipts.lingering_count;
  pthread_mutex_unlock(&receipts.mutex);
  return count;
}

static const struct uk_receipt *receipt_of(int socket)
{
  pthread_mutex_lock(&receipts.mutex);
  const struct uk_receipt *receipt = receipts.sockets[socket];
  pthread_mutex_unlock(&receipts.mutex);
  return receipt;
}

static int socket_of(const struct uk_receipt *receipt)
{
  pthread_mutex_lock(&receipts.mutex);
  const int socket = receipt->socket;
  pthread_mutex_unlock(&receipts.mutex);
  return socket;
}

static bool is_any_doubted(void)
{
  pthread_mutex_lock(&receipts.mutex);
  const bool any = !uk_list_is_empty(&receipts.doubted);
  pthread_mutex_unlock(&receipts.mutex);
  return any;
}

static int64_t clock_of_test(void)
{
  return atomic_load(&now);
}

/* A reply and what was reported of it. */
struct reply {
  struct uk_receipt *receipt;
  int server, client; /* the sockets */
  uint64_t delivery;
  atomic_int count;
  atomic_int reports[REPORTS];
  atomic_bool holds; /* reports do not return */
};

struct receipt {
  struct uk_receipt receipt;
  struct reply *reply;
};

static void note(struct uk_receipt *receipt, enum uk_response_outcome outcome)
{
  struct reply *reply = ((struct receipt *)receipt)->reply;
  CHECK_EQ_INT(receipt->delivery, reply->delivery);
  const int count = atomic_load(&reply->count);
  if (count < REPORTS)
    atomic_store(&reply->reports[count], (int)outcome);
  atomic_store(&reply->count, count + 1);
  while (atomic_load(&reply->holds))
    usleep(100);
}

static void open_rig(void)
{
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  atomic_store(&now, 1000);
  atomic_store(&sleep_of_thread, 0);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQ_INT(bind(listener, (const struct sockaddr *)&any, sizeof any), 0);
  CHECK_EQ_INT(listen(listener, 16), 0);
  CHECK(uk_receipts_start(&receipts, clock_of_test));
}

static void close_rig(void)
{
  uk_receipts_close(&receipts);
  uk_receipts_free(&receipts);
  close(listener);
}

static void connect_to(struct reply *reply)
{
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  CHECK_EQ_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  reply->client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQ_INT(connect(reply->client, (const struct sockaddr *)&address, length), 0);
  reply->server = accept(listener, NULL, NULL);
  CHECK(reply->server >= 0);
}

static struct uk_slice name = {"g", 1};

static bool follow(struct reply *reply, uint64_t delivery)
{
  struct receipt *receipt = calloc(1, sizeof *receipt);
  if (!CHECK(receipt != NULL))
    return false;
  atomic_store(&reply->count, 0);
  receipt->reply = reply;
  reply->delivery = delivery;
  receipt->receipt.report = note;
  receipt->receipt.delivered = &reply->delivery;
  receipt->receipt.recipient = name;
  reply->receipt = &receipt->receipt;
  if (uk_receipts_follow(&receipts, reply->receipt, reply->server))
    return true;
  free(receipt);
  return false;
}

/* A reply of so many bytes is written; the system takes at least one. */
static void write_reply(struct reply *reply, size_t bytes)
{
  static char block[1 << 16];
  fcntl(reply->server, F_SETFL, O_NONBLOCK);
  while (bytes > 0) {
    const ssize_t written =
      send(reply->server, block, bytes < sizeof block ? bytes : sizeof block, MSG_NOSIGNAL);
    if (written <= 0)
      break;
    bytes -= (size_t)written;
  }
  uk_receipts_written(&receipts, reply->receipt, true);
}

static void read_what_is_there(const struct reply *reply)
{
  static char block[1 << 16];
  while (recv(reply->client, block, sizeof block, MSG_DONTWAIT) > 0)
    continue;
}

static void read_all(const struct reply *reply)
{
  char byte;
  CHECK_EQ_INT(recv(reply->client, &byte, 1, 0), 1);
  read_what_is_there(reply);
}

static void reply_to(struct reply *reply, uint64_t delivery, size_t bytes)
{
  connect_to(reply);
  CHECK(follow(reply, delivery));
  write_reply(reply, bytes);
}

/* What was reported, a letter for each: W, F, P. */
static const char *told(struct reply *reply)
{
  static char text[REPORTS + 1];
  const int count = atomic_load(&reply->count);
  for (int i = 0; i < REPORTS; i++)
    text[i] = i < count ? "FWP"[atomic_load(&reply->reports[i])] : '\0';
  return text;
}

static bool tells(struct reply *reply, const char *text)
{
  return strcmp(told(reply), text) == 0;
}

static int count_descriptors(void)
{
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

/* As the library does. */
static bool close_server(const struct reply *reply)
{
  const bool lingers = uk_receipts_closing(&receipts, reply->server);
  close(reply->server);
  return lingers;
}

static void reset(const struct reply *reply)
{
  const struct linger at_once = {.l_onoff = 1};
  CHECK_EQ_INT(setsockopt(reply->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  close(reply->client);
}

/* Connections that stay. */

static void the_next_request_says_that_a_reply_arrived(void)
{
  struct reply reply = {0};
  open_rig();
  reply_to(&reply, 7, 100);
  CHECK(tells(&reply, "W"));
  CHECK(receipt_of(reply.server) == reply.receipt);
  uk_receipts_next(&receipts, reply.server);
  CHECK(receipt_of(reply.server) == NULL);
  uk_receipts_next(&receipts, reply.server);
  close(reply.client); /* without having read: it asked for more, so it has */
  uk_receipts_ask(&receipts, name);
  CHECK(!close_server(&reply));
  CHECK(tells(&reply, "W"));
  close_rig();
}

static void a_reset_is_seen_by_the_next_request_elsewhere(void)
{
  struct reply reply = {0};
  open_rig();
  reply_to(&reply, 7, 100);
  uk_receipts_ask(&receipts, uk_slice_text("other"));
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "W"));
  close(reply.client);
  uk_receipts_ask(&receipts, uk_slice_text("other"));
  CHECK(tells(&reply, "W"));
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "WF"));
  uk_receipts_ask(&receipts, name);
  CHECK(!close_server(&reply));
  CHECK(tells(&reply, "WF"));
  close_rig();
}

static void a_reset_is_seen_when_the_library_closes(void)
{
  struct reply reply = {0};
  char byte;
  open_rig();
  reply_to(&reply, 7, 100);
  close(reply.client);
  CHECK_EQ_INT(recv(reply.server, &byte, 1, MSG_DONTWAIT), -1); /* the library takes the error */
  CHECK(!close_server(&reply));
  CHECK(tells(&reply, "WF"));
  close_rig();
}

/* What stands in between may reset a connection that was idle for long. */
static void a_late_reset_says_nothing(void)
{
  struct reply reply = {0}, last = {0}, earlier = {0};
  open_rig();
  reply_to(&reply, 7, 100);
  read_all(&reply);
  atomic_fetch_add(&now, UK_RECEIPT_PATIENCE);
  reset(&reply);
  uk_receipts_ask(&receipts, name);
  CHECK(!close_server(&reply));
  CHECK(tells(&reply, "W"));
  reply_to(&last, 8, 100);
  atomic_fetch_add(&now, UK_RECEIPT_PATIENCE);
  CHECK(!close_server(&last)); /* nothing lingers either */
  CHECK(tells(&last, "W"));
  close(last.client);
  reply_to(&earlier, 9, 100);
  atomic_fetch_add(&now, UK_RECEIPT_PATIENCE - 1);
  reset(&earlier);
  CHECK(!close_server(&earlier));
  CHECK(tells(&earlier, "WF"));
  close_rig();
}

static void only_the_last_reply_counts(void)
{
  struct reply first = {0}, second = {0};
  open_rig();
  reply_to(&first, 7, 100);
  reply_to(&second, 8, 100);
  CHECK(receipt_of(first.server) == NULL);
  close(first.client);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&first, "W"));
  CHECK(tells(&second, "W"));
  CHECK(!close_server(&first));
  close(second.client);
  CHECK(!close_server(&second));
  CHECK(tells(&second, "WF"));
  close_rig();
}

/* Also where a reply that is not written yet began before it. */
static void a_reply_that_is_to_come_hides_none(void)
{
  struct reply coming = {0}, first = {0}, second = {0};
  open_rig();
  connect_to(&coming);
  CHECK(follow(&coming, 7));
  reply_to(&first, 8, 100);
  reply_to(&second, 9, 100);
  CHECK(receipt_of(first.server) == NULL);
  CHECK(receipt_of(second.server) == second.receipt);
  write_reply(&coming, 100);
  CHECK(tells(&coming, "W"));
  CHECK(receipt_of(second.server) == NULL);
  CHECK(!close_server(&first) && !close_server(&second));
  uk_receipts_next(&receipts, coming.server);
  CHECK(!close_server(&coming));
  close(coming.client);
  close(first.client);
  close(second.client);
  close_rig();
}

static void a_reply_that_failed_or_delivers_nothing_is_not_followed(void)
{
  struct reply reply = {0};
  open_rig();
  connect_to(&reply);
  CHECK(follow(&reply, 7));
  uk_receipts_written(&receipts, reply.receipt, false);
  CHECK(tells(&reply, "F"));
  CHECK(follow(&reply, 0));
  uk_receipts_written(&receipts, reply.receipt, true);
  CHECK(tells(&reply, ""));
  CHECK(follow(&reply, 9));
  reply.receipt->delivered = NULL;
  uk_receipts_written(&receipts, reply.receipt, true);
  CHECK(tells(&reply, ""));
  uk_receipts_ask(&receipts, name);
  CHECK(!close_server(&reply));
  close(reply.client);
  close_rig();
}

/* Replies that the client's system has not acknowledged. */

static void a_reply_is_pending_while_bytes_are_due(void)
{
  struct reply reply = {0};
  open_rig();
  reply_to(&reply, 7, LARGE);
  CHECK(tells(&reply, "W"));
  uk_receipts_ask(&receipts, name);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "WP"));
  for (int64_t until = uk_clock_monotonic() + 60000;
       !tells(&reply, "WPW") && uk_clock_monotonic() < until;)
    read_what_is_there(&reply);
  CHECK(tells(&reply, "WPW"));
  uk_receipts_next(&receipts, reply.server);
  CHECK(tells(&reply, "WPW"));
  CHECK(!close_server(&reply));
  close(reply.client);
  close_rig();
}

static void a_reply_that_was_pending_fails_with_its_connection(void)
{
  struct reply reply = {0};
  open_rig();
  reply_to(&reply, 7, LARGE);
  uk_receipts_ask(&receipts, name);
  close(reply.client);
  CHECK_EVENTUALLY(tells(&reply, "WPF"));
  CHECK(!close_server(&reply));
  close_rig();
}

static void the_next_request_ends_the_doubt(void)
{
  struct reply reply = {0};
  open_rig();
  reply_to(&reply, 7, LARGE);
  uk_receipts_ask(&receipts, name);
  uk_receipts_next(&receipts, reply.server);
  CHECK(tells(&reply, "WPW"));
  CHECK(!is_any_doubted());
  close(reply.client);
  CHECK(!close_server(&reply));
  close_rig();
}

/* A request that came before the reply was written waits for what becomes of it. */
static void a_reply_is_looked_at_that_was_asked_about_before(void)
{
  struct reply due = {0}, reset_ = {0}, fine = {0};
  open_rig();
  connect_to(&due);
  CHECK(follow(&due, 7));
  uk_receipts_ask(&receipts, name);
  write_reply(&due, LARGE);
  CHECK(tells(&due, ""));
  close(due.client);
  CHECK_EVENTUALLY(tells(&due, "F"));
  CHECK(!close_server(&due));
  connect_to(&reset_);
  CHECK(follow(&reset_, 8));
  uk_receipts_ask(&receipts, name);
  close(reset_.client);
  write_reply(&reset_, 100); /* answered by a reset */
  CHECK(tells(&reset_, "F"));
  CHECK(!close_server(&reset_));
  connect_to(&fine);
  CHECK(follow(&fine, 9));
  uk_receipts_ask(&receipts, name);
  CHECK_EQ_INT(send(fine.server, "x", 1, MSG_NOSIGNAL), 1);
  read_all(&fine);
  uk_receipts_written(&receipts, fine.receipt, true);
  CHECK_EVENTUALLY(tells(&fine, "W"));
  CHECK(!tells(&fine, "F"));
  close_server(&fine);
  close(fine.client);
  close_rig();
}

/* Connections that the library closes. */

static void a_connection_lingers_until_the_client_ends_it(void)
{
  struct reply reply = {0};
  char byte;
  open_rig();
  int before = count_descriptors();
  reply_to(&reply, 7, 100);
  CHECK(close_server(&reply));
  CHECK_EQ_INT(lingering(), 1);
  CHECK((fcntl(socket_of(reply.receipt), F_GETFD) & FD_CLOEXEC) != 0);
  read_all(&reply);
  CHECK_EQ_INT(recv(reply.client, &byte, 1, 0), 0); /* the end is sent at once */
  close(reply.client);
  CHECK_EVENTUALLY(count_descriptors() == before);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "W"));
  CHECK_EQ_INT(lingering(), 0);
  close_rig();
}

static void a_connection_that_lingers_is_reset(void)
{
  struct reply seen = {0}, asked = {0}, half = {0};
  open_rig();
  reply_to(&seen, 7, 100);
  CHECK(close_server(&seen));
  close(seen.client);
  CHECK_EVENTUALLY(tells(&seen, "WF"));
  reply_to(&asked, 8, 100);
  CHECK(close_server(&asked));
  close(asked.client);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&asked, "WF"));
  reply_to(&half, 9, 100); /* ends in order, and then is reset */
  shutdown(half.client, SHUT_WR);
  close(half.client);
  CHECK(!close_server(&half));
  CHECK(tells(&half, "WF"));
  close_rig();
}

static void a_client_that_ends_first_has_read_everything(void)
{
  struct reply reply = {0};
  open_rig();
  int before = count_descriptors();
  reply_to(&reply, 7, 100);
  read_all(&reply);
  close(reply.client);
  close_server(&reply);
  CHECK_EVENTUALLY(count_descriptors() == before);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "W"));
  close_rig();
}

static void nothing_lingers_for_ever(void)
{
  struct reply read = {0}, due = {0}, next = {0};
  open_rig();
  int before = count_descriptors();
  reply_to(&read, 7, 100);
  CHECK(close_server(&read));
  atomic_fetch_add(&now, UK_RECEIPT_PATIENCE);
  name = uk_slice_text("h");
  reply_to(&due, 8, LARGE);
  CHECK(close_server(&due));
  uk_receipts_ask(&receipts, name);                    /* the thread wakes up for this one */
  CHECK_EVENTUALLY(count_descriptors() == before + 3); /* two clients, and the last one */
  CHECK(tells(&read, "W"));
  CHECK(tells(&due, "WP"));
  atomic_fetch_add(&now, UK_RECEIPT_PATIENCE);
  CHECK_EVENTUALLY(tells(&due, "WPF"));
  name = uk_slice_text("g");
  reply_to(&next, 9, 100);
  close(next.client);
  CHECK(!close_server(&next));
  close(read.client);
  close(due.client);
  close_rig();
}

static void the_oldest_gives_way(void)
{
  static struct reply replies[UK_RECEIPTS_LINGERING + 2];
  static char names[UK_RECEIPTS_LINGERING + 2][8];
  const struct uk_slice before = name;
  open_rig();
  for (int i = 0; i < UK_RECEIPTS_LINGERING + 2; i++) {
    name = uk_slice_of(names[i], (size_t)snprintf(names[i], sizeof names[i], "n%d", i));
    reply_to(&replies[i], (uint64_t)i + 1, 100);
    CHECK(close_server(&replies[i]));
    CHECK(lingering() <= UK_RECEIPTS_LINGERING);
  }
  CHECK_EQ_INT(lingering(), UK_RECEIPTS_LINGERING);
  for (int i = 0; i < UK_RECEIPTS_LINGERING + 2; i++)
    close(replies[i].client);
  for (int i = 0; i < UK_RECEIPTS_LINGERING + 2; i++)
    CHECK_EVENTUALLY(tells(&replies[i], i < 2 ? "W" : "WF"));
  name = before;
  close_rig();
}

static void without_a_descriptor_a_reply_counts_as_arrived(void)
{
  struct reply reply = {0};
  struct rlimit limit, none;
  open_rig();
  reply_to(&reply, 7, 100);
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
  CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  CHECK(!uk_receipts_closing(&receipts, reply.server));
  CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  CHECK(receipt_of(reply.server) == NULL);
  CHECK(tells(&reply, "W"));
  close(reply.server);
  close(reply.client);
  close_rig();
}

/* The thread sleeps until the first connection has lingered long enough, and looks soon again at a
 * reply that is pending. */
static void the_thread_sleeps_until_something_is_due(void)
{
  struct reply lingers = {0}, later = {0}, due = {0};
  open_rig();
  CHECK_EVENTUALLY(atomic_load(&sleep_of_thread) == -1);
  reply_to(&lingers, 7, 100);
  CHECK(close_server(&lingers));
  CHECK_EVENTUALLY(atomic_load(&sleep_of_thread) == UK_RECEIPT_PATIENCE);
  atomic_fetch_add(&now, 1000);
  name = uk_slice_text("h");
  reply_to(&later, 8, 100);
  CHECK(close_server(&later));
  name = uk_slice_text("i");
  reply_to(&due, 9, LARGE);
  uk_receipts_ask(&receipts, name);
  CHECK_EVENTUALLY(atomic_load(&sleep_of_thread) == 10);
  close(due.client);
  CHECK_EVENTUALLY(tells(&due, "WPF"));
  CHECK_EVENTUALLY(atomic_load(&sleep_of_thread) == UK_RECEIPT_PATIENCE - 1000);
  CHECK(!close_server(&due));
  name = uk_slice_text("g");
  close(lingers.client);
  close(later.client);
  close_rig();
}

/* Unix sockets. */

static void over_a_unix_socket_the_program_reads(void)
{
  struct reply reply = {0};
  int ends[2];
  open_rig();
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  reply.server = ends[0];
  reply.client = ends[1];
  CHECK(follow(&reply, 7));
  write_reply(&reply, 100);
  uk_receipts_ask(&receipts, name);
  CHECK(tells(&reply, "WP"));
  read_all(&reply);
  CHECK_EVENTUALLY(tells(&reply, "WPW"));
  uk_receipts_next(&receipts, reply.server);
  CHECK(follow(&reply, 8));
  write_reply(&reply, 100);
  CHECK(uk_receipts_closing(&receipts, reply.server));
  close(reply.server);
  close(reply.client);
  CHECK_EVENTUALLY(tells(&reply, "WF"));
  close_rig();
}

/* Threads and life. */

static void *ask(void *argument)
{
  uk_receipts_ask(&receipts, name);
  atomic_store((atomic_bool *)argument, true);
  return NULL;
}

/* A request that asks waits until a report that is under way has been made. */
static void a_report_under_way_comes_first(void)
{
  struct reply reply = {0};
  atomic_bool asked = false;
  pthread_t closing, asking;
  open_rig();
  reply_to(&reply, 7, 100);
  atomic_store(&reply.holds, true);
  close(reply.client);
  atomic_bool first = false;
  REQUIRE(uk_thread_start(&closing, ask, &first));
  CHECK_EVENTUALLY(tells(&reply, "WF"));
  REQUIRE(uk_thread_start(&asking, ask, &asked));
  usleep(1000);
  CHECK(!atomic_load(&asked));
  atomic_store(&reply.holds, false);
  pthread_join(asking, NULL);
  pthread_join(closing, NULL);
  CHECK(tells(&reply, "WF"));
  CHECK(!close_server(&reply));
  close_rig();
}

static void a_server_that_stops_follows_nothing(void)
{
  struct reply open = {0}, lingers = {0}, later = {0};
  long before = fault_live();
  open_rig();
  reply_to(&open, 7, 100);
  name = uk_slice_text("h");
  reply_to(&lingers, 8, LARGE);
  CHECK(close_server(&lingers));
  uk_receipts_ask(&receipts, name);
  name = uk_slice_text("g");
  connect_to(&later);
  CHECK(follow(&later, 9));
  uk_receipts_close(&receipts);
  uk_receipts_written(&receipts, later.receipt, true);
  CHECK(tells(&later, "W"));
  close(open.client);
  uk_receipts_ask(&receipts, name);
  CHECK(!close_server(&open));
  CHECK(!close_server(&later));
  CHECK(tells(&open, "W"));
  close(lingers.client);
  close(later.client);
  close_rig();
  CHECK_EQ_INT(fault_live(), before);
}

static void it_needs_memory_for_a_socket(void)
{
  struct reply reply = {0};
  open_rig();
  connect_to(&reply);
  fault_at(2); /* the first is the receipt */
  CHECK(!follow(&reply, 7));
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(receipts.room, 0);
  uk_receipts_ask(&receipts, name);
  CHECK(!uk_receipts_closing(&receipts, reply.server));
  CHECK(!uk_receipts_closing(&receipts, -1));
  uk_receipts_next(&receipts, -1);
  close(reply.server);
  close(reply.client);
  close_rig();
  uk_receipts_free(&receipts); /* of nothing */
}

int main(void)
{
  CHECK_RUN(each_fact_counts);
  CHECK_RUN(the_next_request_says_that_a_reply_arrived);
  CHECK_RUN(a_reset_is_seen_by_the_next_request_elsewhere);
  CHECK_RUN(a_reset_is_seen_when_the_library_closes);
  CHECK_RUN(a_late_reset_says_nothing);
  CHECK_RUN(only_the_last_reply_counts);
  CHECK_RUN(a_reply_that_is_to_come_hides_none);
  CHECK_RUN(a_reply_that_failed_or_delivers_nothing_is_not_followed);
  CHECK_RUN(a_reply_is_pending_while_bytes_are_due);
  CHECK_RUN(a_reply_that_was_pending_fails_with_its_connection);
  CHECK_RUN(the_next_request_ends_the_doubt);
  CHECK_RUN(a_reply_is_looked_at_that_was_asked_about_before);
  CHECK_RUN(a_connection_lingers_until_the_client_ends_it);
  CHECK_RUN(a_connection_that_lingers_is_reset);
  CHECK_RUN(a_client_that_ends_first_has_read_everything);
  CHECK_RUN(nothing_lingers_for_ever);
  CHECK_RUN(the_oldest_gives_way);
  CHECK_RUN(without_a_descriptor_a_reply_counts_as_arrived);
  CHECK_RUN(the_thread_sleeps_until_something_is_due);
  CHECK_RUN(over_a_unix_socket_the_program_reads);
  CHECK_RUN(a_report_under_way_comes_first);
  CHECK_RUN(a_server_that_stops_follows_nothing);
  CHECK_RUN(it_needs_memory_for_a_socket);
  return check_end();
}
