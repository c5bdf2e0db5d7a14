/* for: http_hangup.c
 *
 * Clients that hang up: each is reported once, and never after it was removed. */
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "common/thread.h"
#include "server/http/http_hangup.h"

enum { CLIENTS = 200 };

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
  }
  for (int i = 0; i < CLIENTS; i += 2)
    shutdown(clients[i].ends[1], SHUT_WR);
  CHECK(await_reports(CLIENTS / 2));
  for (int i = 1; i < CLIENTS; i += 2)
    close(clients[i].ends[1]);
  CHECK(await_reports(CLIENTS));
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
  return check_end();
}
