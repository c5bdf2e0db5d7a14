/* for: http_hangup.c
 *
 * Clients that hang up: each is reported once, and never after it was removed. The test stands
 * between the thread and the system: it sees each event, can hold it, and can refuse what a start
 * needs. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "common/thread.h"
#include "fault.h"
#include "server/http/http_hangup.h"

enum { CLIENTS = 200 };

/* The system. */

static atomic_int events_seen;
static atomic_bool holds_events, has_event;
enum { NOTHING, EPOLL, EVENTFD, WATCH, THREAD, FAILURES };
static int failing;

static void *of_system(const char *name)
{
  return dlsym(RTLD_NEXT, name);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
  union {
    void *symbol;
    int (*wait)(int, struct epoll_event *, int, int);
  } own = {.symbol = of_system("epoll_wait")};
  int count = own.wait(epoll, events, most, timeout);
  atomic_fetch_add(&events_seen, count > 0 ? count : 0);
  for (atomic_store(&has_event, true); atomic_load(&holds_events);)
    usleep(100);
  return count;
}

int epoll_create1(int flags)
{
  union {
    void *symbol;
    int (*create)(int);
  } own = {.symbol = of_system("epoll_create1")};
  return failing == EPOLL ? -1 : own.create(flags);
}

int eventfd(unsigned int count, int flags)
{
  union {
    void *symbol;
    int (*create)(unsigned int, int);
  } own = {.symbol = of_system("eventfd")};
  return failing == EVENTFD ? -1 : own.create(count, flags);
}

int epoll_ctl(int epoll, int operation, int file, struct epoll_event *event)
{
  union {
    void *symbol;
    int (*change)(int, int, int, struct epoll_event *);
  } own = {.symbol = of_system("epoll_ctl")};
  return failing == WATCH ? -1 : own.change(epoll, operation, file, event);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
  union {
    void *symbol;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  } own = {.symbol = of_system("pthread_create")};
  return failing == THREAD ? 1 : own.create(thread, attributes, run, argument);
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

/* The clients. */

struct client {
  int ends[2]; /* the server's, and its own */
  atomic_int gone;
};

static struct uk_hangups hangups;
static atomic_int reported;
static atomic_bool holds; /* `gone` does not return yet */

static void gone(void *owner)
{
  struct client *client = owner;
  atomic_fetch_add(&client->gone, 1);
  atomic_fetch_add(&reported, 1);
  while (atomic_load(&holds))
    usleep(100);
  uk_hangups_remove(&hangups, client->ends[0], client); /* as a reply does */
}

static bool open_hangups(void)
{
  atomic_store(&reported, 0);
  atomic_store(&holds, false);
  atomic_store(&holds_events, false);
  atomic_store(&has_event, false);
  atomic_store(&events_seen, 0);
  return uk_hangups_start(&hangups, gone);
}

static void connect_client(struct client *client)
{
  atomic_store(&client->gone, 0);
  CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, client->ends), 0);
}

static bool await_reports(int count)
{
  int64_t deadline = uk_clock_monotonic() + 60000;
  while (atomic_load(&reported) < count && uk_clock_monotonic() < deadline)
    usleep(100);
  return atomic_load(&reported) == count;
}

/* C4: a FIN counts as gone, and so does a closed socket. */
static void each_client_that_hangs_up_is_reported_once(void)
{
  static struct client clients[CLIENTS];
  REQUIRE(open_hangups());
  for (int i = 0; i < CLIENTS; i++) {
    connect_client(&clients[i]);
    uk_hangups_add(&hangups, clients[i].ends[0], &clients[i]);
    CHECK(hangups.room > (size_t)clients[i].ends[0]);
  }
  for (int i = 0; i < CLIENTS; i += 2)
    shutdown(clients[i].ends[1], SHUT_WR);
  CHECK(await_reports(CLIENTS / 2));
  for (int i = 1; i < CLIENTS; i += 2)
    close(clients[i].ends[1]);
  CHECK(await_reports(CLIENTS));
  CHECK_EQ_INT(atomic_load(&events_seen), CLIENTS); /* it does not turn in a circle */
  for (int i = 0; i < CLIENTS; i++) {
    CHECK_EQ_INT(atomic_load(&clients[i].gone), 1);
    close(clients[i].ends[0]);
    if (i % 2 == 0)
      close(clients[i].ends[1]);
  }
  uk_hangups_stop(&hangups);
}

/* A client that sends more is still there; one that left before it was watched is not. */
static void only_a_hang_up_is_reported(void)
{
  static struct client talks, left;
  REQUIRE(open_hangups());
  connect_client(&talks);
  connect_client(&left);
  close(left.ends[1]);
  uk_hangups_add(&hangups, talks.ends[0], &talks);
  CHECK_EQ_INT(write(talks.ends[1], "GET", 3), 3);
  uk_hangups_add(&hangups, left.ends[0], &left);
  CHECK(await_reports(1));
  CHECK_EQ_INT(atomic_load(&talks.gone), 0);
  uk_hangups_remove(&hangups, talks.ends[0], &talks);
  close(left.ends[0]);
  close(talks.ends[0]);
  close(talks.ends[1]);
  uk_hangups_stop(&hangups);
}

/* The next owner of the same socket number is another one. */
static void what_was_removed_is_not_reported(void)
{
  static struct client first, next;
  REQUIRE(open_hangups());
  for (int i = 0; i < 100; i++) {
    connect_client(&first);
    uk_hangups_add(&hangups, first.ends[0], &first);
    close(first.ends[1]);
    uk_hangups_remove(&hangups, first.ends[0], &first);
    int reports = atomic_load(&first.gone);
    close(first.ends[0]);
    connect_client(&next);
    uk_hangups_add(&hangups, next.ends[0], &next);
    uk_hangups_remove(&hangups, next.ends[0], &first); /* of another owner */
    close(next.ends[1]);
    int64_t deadline = uk_clock_monotonic() + 60000;
    while (atomic_load(&next.gone) == 0 && uk_clock_monotonic() < deadline)
      usleep(100);
    CHECK_EQ_INT(atomic_load(&next.gone), 1);
    CHECK_EQ_INT(atomic_load(&first.gone), reports);
    uk_hangups_remove(&hangups, next.ends[0], &next);
    close(next.ends[0]);
  }
  uk_hangups_stop(&hangups);
}

/* An event that was under way when its owner was removed says nothing about the next owner. */
static void an_event_of_an_earlier_owner_is_dropped(void)
{
  static struct client first, next, last;
  REQUIRE(open_hangups());
  connect_client(&first);
  connect_client(&last);
  uk_hangups_add(&hangups, first.ends[0], &first);
  uk_hangups_add(&hangups, last.ends[0], &last);
  atomic_store(&holds_events, true);
  close(first.ends[1]);
  CHECK_EVENTUALLY(atomic_load(&has_event));
  uk_hangups_remove(&hangups, first.ends[0], &first);
  connect_client(&next);
  REQUIRE(dup2(next.ends[0], first.ends[0]) == first.ends[0]);
  close(next.ends[0]);
  next.ends[0] = first.ends[0];
  uk_hangups_add(&hangups, next.ends[0], &next);
  atomic_store(&holds_events, false);
  close(last.ends[1]);
  CHECK(await_reports(1));
  CHECK_EQ_INT(atomic_load(&last.gone), 1);
  CHECK_EQ_INT(atomic_load(&next.gone), 0);
  CHECK_EQ_INT(atomic_load(&first.gone), 0);
  close(next.ends[1]);
  CHECK(await_reports(2));
  CHECK_EQ_INT(atomic_load(&next.gone), 1);
  close(next.ends[0]);
  close(last.ends[0]);
  uk_hangups_stop(&hangups);
}

/* Requests of one connection wait one after another. */
static void a_socket_is_watched_again(void)
{
  static struct client client;
  REQUIRE(open_hangups());
  connect_client(&client);
  for (int i = 0; i < 3; i++) {
    uk_hangups_add(&hangups, client.ends[0], &client);
    CHECK(hangups.sockets[client.ends[0]].owner == &client);
    uk_hangups_remove(&hangups, client.ends[0], &client);
    CHECK(hangups.sockets[client.ends[0]].owner == NULL);
  }
  uk_hangups_add(&hangups, client.ends[0], &client);
  close(client.ends[1]);
  CHECK(await_reports(1));
  CHECK_EQ_INT(atomic_load(&client.gone), 1);
  close(client.ends[0]);
  uk_hangups_stop(&hangups);
}

/* The table grows with the numbers, by powers of two. */
static void a_socket_of_any_number_is_watched(void)
{
  static const int numbers[] = {63, 64, 65, 127, 128, 255, 256};
  static struct client clients[sizeof numbers / sizeof *numbers];
  enum { COUNT = sizeof numbers / sizeof *numbers };
  REQUIRE(open_hangups());
  for (int i = 0; i < COUNT; i++) {
    connect_client(&clients[i]);
    REQUIRE(dup2(clients[i].ends[0], numbers[i]) == numbers[i]);
    close(clients[i].ends[0]);
    clients[i].ends[0] = numbers[i];
    uk_hangups_add(&hangups, numbers[i], &clients[i]);
    REQUIRE(hangups.room > (size_t)numbers[i]);
    CHECK(hangups.room <= 64 || hangups.room <= 2 * (size_t)numbers[i]);
  }
  for (int i = 0; i < COUNT; i++)
    close(clients[i].ends[1]);
  CHECK(await_reports(COUNT));
  for (int i = 0; i < COUNT; i++)
    close(numbers[i]);
  uk_hangups_stop(&hangups);
}

/* Without memory a socket is not watched; the next one may be. */
static void a_socket_needs_memory(void)
{
  static struct client client;
  long before = fault_live();
  REQUIRE(open_hangups());
  connect_client(&client);
  fault_at(1);
  uk_hangups_add(&hangups, client.ends[0], &client);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(hangups.room, 0);
  uk_hangups_remove(&hangups, client.ends[0], &client);
  uk_hangups_add(&hangups, -1, &client);
  uk_hangups_remove(&hangups, -1, &client);
  CHECK_EQ_INT(hangups.room, 0);
  uk_hangups_add(&hangups, client.ends[0], &client);
  close(client.ends[1]);
  CHECK(await_reports(1));
  close(client.ends[0]);
  uk_hangups_stop(&hangups);
  CHECK_EQ_INT(fault_live(), before);
}

static void a_start_that_fails_leaves_nothing(void)
{
  struct uk_hangups zeroed = {0};
  int before = count_descriptors(), in = fcntl(STDIN_FILENO, F_GETFD);
  for (int i = EPOLL; i < FAILURES; i++) {
    failing = i;
    CHECK(!open_hangups());
    CHECK(!hangups.running);
    failing = NOTHING;
    uk_hangups_stop(&hangups);
    CHECK_EQ_INT(count_descriptors(), before);
  }
  REQUIRE(open_hangups());
  CHECK((fcntl(hangups.epoll, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(hangups.stop, F_GETFD) & FD_CLOEXEC) != 0);
  uk_hangups_stop(&hangups);
  uk_hangups_stop(&hangups); /* of nothing */
  uk_hangups_stop(&zeroed);
  CHECK_EQ_INT(count_descriptors(), before);
  CHECK_EQ_INT(fcntl(STDIN_FILENO, F_GETFD), in);
}

static atomic_bool removed;

static void *remove_client(void *argument)
{
  struct client *client = argument;
  uk_hangups_remove(&hangups, client->ends[0], client);
  atomic_store(&removed, true);
  return NULL;
}

/* The owner may be freed after its removal, so that waits for a report under way. */
static void a_removal_waits_for_the_report(void)
{
  static struct client client;
  pthread_t thread;
  REQUIRE(open_hangups());
  connect_client(&client);
  atomic_store(&holds, true);
  atomic_store(&removed, false);
  uk_hangups_add(&hangups, client.ends[0], &client);
  close(client.ends[1]);
  CHECK(await_reports(1));
  REQUIRE(uk_thread_start(&thread, remove_client, &client));
  usleep(20000);
  CHECK(!atomic_load(&removed));
  atomic_store(&holds, false);
  pthread_join(thread, NULL);
  CHECK(atomic_load(&removed));
  close(client.ends[0]);
  uk_hangups_stop(&hangups);
}

int main(void)
{
  CHECK_RUN(each_client_that_hangs_up_is_reported_once);
  CHECK_RUN(only_a_hang_up_is_reported);
  CHECK_RUN(what_was_removed_is_not_reported);
  CHECK_RUN(a_removal_waits_for_the_report);
  CHECK_RUN(an_event_of_an_earlier_owner_is_dropped);
  CHECK_RUN(a_socket_is_watched_again);
  CHECK_RUN(a_socket_of_any_number_is_watched);
  CHECK_RUN(a_socket_needs_memory);
  CHECK_RUN(a_start_that_fails_leaves_nothing);
  return check_end();
}
