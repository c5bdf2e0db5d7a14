/* Groups under many threads at once, and with ten thousand waiting requests. For:
 * group_deferred.c. */
#include "check.h"
#include "common/clock.h"
#include "fake_clients.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { GROUPS = 2, CLIENTS = 3, PARTITIONS = 6, RECORDS = 4000, BATCH = 50 };

static atomic_bool over, ticked_enough;
static atomic_int counts[GROUPS][PARTITIONS][RECORDS]; /* deliveries of each record */
static atomic_long received[GROUPS];
static atomic_int ends[PARTITIONS];
static bool rough;

struct request {
  struct uk_consume consume; /* or a struct that begins alike */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool ended;
  int group;
  size_t count;
  struct {
    int32_t partition;
    int64_t offset;
  } records[BATCH];
};

struct client {
  pthread_t thread;
  int group, number;
  unsigned random;
  char batch[UK_BATCH_ID_SIZE]; /* the last one that it received */
};

/* When responses are lost, it says what it received. */
static struct uk_acknowledgement words_of(struct client *client)
{
  if (!rough)
    return (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_WRITTEN};
  if (client->batch[0] == '\0')
    return (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  return (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_BATCH,
                                     .batch = uk_slice_text(client->batch),
                                     .commit = rand_r(&client->random) % 4 == 0};
}

static void done(struct uk_operation *operation)
{
  struct request *request = (struct request *)operation;
  pthread_mutex_lock(&request->lock);
  request->ended = true;
  pthread_cond_signal(&request->changed);
  pthread_mutex_unlock(&request->lock);
}

static bool record(struct uk_operation *operation, const struct uk_record *what)
{
  struct request *request = (struct request *)operation;
  if (request->count == BATCH)
    return false;
  request->records[request->count].partition = what->partition;
  request->records[request->count++].offset = what->offset;
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  (void)operation;
  return true;
}

static void await(struct request *request)
{
  pthread_mutex_lock(&request->lock);
  while (!request->ended)
    pthread_cond_wait(&request->changed, &request->lock);
  pthread_mutex_unlock(&request->lock);
}

static void prepare(struct request *request, const struct client *client, char *group, char *name)
{
  memset(request, 0, sizeof *request);
  pthread_mutex_init(&request->lock, NULL);
  pthread_cond_init(&request->changed, NULL);
  sprintf(group, "g%d", client->group);
  sprintf(name, "c%d", client->number);
  request->consume.operation.done = done;
}

static void forget(struct request *request)
{
  pthread_mutex_destroy(&request->lock);
  pthread_cond_destroy(&request->changed);
}

static void take(const struct request *request, const struct client *client)
{
  for (size_t i = 0; i < request->count; i++) {
    int32_t partition = request->records[i].partition;
    int64_t offset = request->records[i].offset;
    if (atomic_fetch_add(&counts[client->group][partition][offset], 1) == 0)
      atomic_fetch_add(&received[client->group], 1);
  }
}

static void consume_once(struct client *client)
{
  struct uk_slice topics[] = {uk_slice_text("t")};
  struct request request;
  char group[16], name[16];
  prepare(&request, client, group, name);
  request.consume.group = uk_slice_text(group);
  request.consume.instance = uk_slice_text(name);
  request.consume.topics = topics;
  request.consume.topic_count = 1;
  request.consume.sink = (struct uk_sink){record, is_client_alive};
  request.consume.settings = (struct uk_consumer_settings){.auto_commit = true,
                                                           .auto_commit_interval = 2,
                                                           .offset_reset = UK_RESET_EARLIEST,
                                                           .session_timeout = 1000000};
  request.consume.acknowledgement = words_of(client);
  int64_t now = uk_clock_monotonic();
  request.consume.operation.deadline = now + rand_r(&client->random) % 20;
  uk_groups_consume(groups, &request.consume, now);
  await(&request);
  CHECK_EQ_INT(request.consume.operation.error, UK_OK);
  bool lost = rough && request.count > 0 && rand_r(&client->random) % 4 == 0;
  if (!lost && request.count > 0) {
    take(&request, client);
    memcpy(client->batch, request.consume.batch, sizeof client->batch);
  }
  /* The server does not see every loss. */
  bool written = !lost || rand_r(&client->random) % 2 == 0;
  uk_groups_response_finished(groups, request.consume.group, request.consume.instance,
                              request.consume.delivery,
                              written ? UK_RESPONSE_WRITTEN : UK_RESPONSE_FAILED, now);
  forget(&request);
}

static void call_other(struct client *client, bool delete)
{
  struct request request;
  char group[16], name[16];
  prepare(&request, client, group, name);
  if (delete) {
    struct uk_delete_consumer *operation = (struct uk_delete_consumer *)&request.consume;
    operation->group = uk_slice_text(group);
    operation->instance = uk_slice_text(name);
    operation->acknowledgement = words_of(client);
    uk_groups_delete_consumer(groups, operation, uk_clock_monotonic());
  } else {
    struct uk_commit *operation = (struct uk_commit *)&request.consume;
    operation->group = uk_slice_text(group);
    operation->instance = uk_slice_text(name);
    operation->acknowledgement = words_of(client);
    operation->count = 0;
    uk_groups_commit(groups, operation, uk_clock_monotonic());
  }
  await(&request);
  CHECK_EQ_INT(request.consume.operation.error, UK_OK);
  if (delete)
    client->batch[0] = '\0';
  forget(&request);
}

static void *run_client(void *argument)
{
  struct client *client = argument;
  while (!atomic_load(&over)) {
    consume_once(client);
    if (rand_r(&client->random) % 10 == 0)
      call_other(client, rand_r(&client->random) % 2 == 0);
  }
  return NULL;
}

static void *run_producer(void *argument)
{
  unsigned random = 7;
  for (int left = *(int *)argument; left > 0;) {
    int32_t partition = (int32_t)(rand_r(&random) % PARTITIONS);
    int count = 1 + (int)(rand_r(&random) % 9);
    if (count > left)
      count = left;
    left -= count;
    atomic_fetch_add(&ends[partition], count);
    fake_produce("t", partition, count);
    uk_groups_wake(groups, uk_slice_text("t"), partition, uk_clock_monotonic());
    if (rand_r(&random) % 8 == 0)
      usleep(200);
  }
  return NULL;
}

static void ignore(struct uk_operation *operation)
{
  (void)operation;
}

static void ignore_owned(struct uk_operation *operation, struct uk_slice group,
                         struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                         size_t count)
{
  (void)operation, (void)group, (void)instance, (void)topic, (void)partitions, (void)count;
}

/* The clock, and a log that finishes commits a little later. */
static void *run_ticker(void *argument)
{
  (void)argument;
  while (!atomic_load(&ticked_enough)) {
    struct uk_consumers list = {.operation = {.done = ignore}, .owned = ignore_owned};
    int64_t now = uk_clock_monotonic();
    if (uk_groups_next_tick(groups) <= now)
      uk_groups_tick(groups, now);
    fake_finish(3, UK_OK, NULL);
    uk_groups_consumers(groups, &list, now);
    usleep(100);
  }
  return NULL;
}

static bool all_received(int records)
{
  for (int g = 0; g < GROUPS; g++)
    if (atomic_load(&received[g]) < records)
      return false;
  return true;
}

static void hammer(void)
{
  struct client clients[GROUPS * CLIENTS];
  pthread_t producer, ticker, finisher;
  int records = RECORDS;
  memset(counts, 0, sizeof counts);
  memset(ends, 0, sizeof ends);
  memset(received, 0, sizeof received);
  start_groups();
  atomic_store(&over, false);
  atomic_store(&ticked_enough, false);
  fake_topic("t", PARTITIONS);
  fake_hold_commits(true);
  pthread_create(&ticker, NULL, run_ticker, NULL);
  pthread_create(&finisher, NULL, run_ticker, NULL);
  for (int i = 0; i < GROUPS * CLIENTS; i++) {
    clients[i] =
      (struct client){.group = i / CLIENTS, .number = i % CLIENTS, .random = (unsigned)i};
    pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
  }
  pthread_create(&producer, NULL, run_producer, &records);
  int64_t deadline = uk_clock_monotonic() + 600000; /* a bound for hangs */
  while (!all_received(records) && uk_clock_monotonic() < deadline)
    usleep(1000);
  CHECK(all_received(records));
  atomic_store(&over, true);
  pthread_join(producer, NULL);
  for (int i = 0; i < GROUPS * CLIENTS; i++)
    pthread_join(clients[i].thread, NULL);
  atomic_store(&ticked_enough, true);
  pthread_join(ticker, NULL);
  pthread_join(finisher, NULL);
  stop_groups();
}

static void check_once(void)
{
  for (int g = 0; g < GROUPS; g++)
    for (int p = 0; p < PARTITIONS; p++)
      for (int i = 0; i < atomic_load(&ends[p]); i++)
        CHECK(atomic_load(&counts[g][p][i]) == 1);
}

static void threads_get_each_record_once(void)
{
  rough = false;
  hammer();
  check_once();
}

static void lost_responses_are_repeated_under_threads(void)
{
  rough = true;
  hammer();
  check_once();
}

/* Ten thousand waiting requests. */

enum { WAITING = 10000 };

struct waiting {
  struct uk_consume consume;
  char group[16], name[16];
  struct uk_slice topics[1];
  size_t count;
};

static atomic_int answered, with_records;

static void waiting_done(struct uk_operation *operation)
{
  const struct waiting *one = (const struct waiting *)operation;
  atomic_fetch_add(&answered, 1);
  if (one->count > 0)
    atomic_fetch_add(&with_records, 1);
  uk_groups_response_finished(groups, one->consume.group, one->consume.instance,
                              one->consume.delivery, UK_RESPONSE_WRITTEN, 0);
}

static bool waiting_record(struct uk_operation *operation, const struct uk_record *what)
{
  (void)what;
  ((struct waiting *)operation)->count++;
  return true;
}

static long long join(struct waiting *all, int groups_in_all, const char *topic, int64_t deadline)
{
  long long before = check_work();
  for (int i = 0; i < WAITING; i++) {
    struct waiting *one = &all[i];
    memset(one, 0, sizeof *one);
    sprintf(one->group, "g%d", i % groups_in_all);
    sprintf(one->name, "c%d", i / groups_in_all);
    one->topics[0] = uk_slice_text(topic);
    one->consume = (struct uk_consume){.operation = {.done = waiting_done, .deadline = deadline},
                                       .group = uk_slice_text(one->group),
                                       .instance = uk_slice_text(one->name),
                                       .topics = one->topics,
                                       .topic_count = 1,
                                       .settings = {true, 5000, UK_RESET_LATEST, 10000},
                                       .sink = {waiting_record, is_client_alive}};
    uk_groups_consume(groups, &one->consume, 0);
  }
  return check_work() - before;
}

/* Without a sanitizer the slowest of these takes a second. */
static void wait_by_the_thousand(int groups_in_all, int32_t partitions)
{
  struct waiting *all = calloc(WAITING, sizeof *all);
  start_groups();
  atomic_store(&answered, 0);
  atomic_store(&with_records, 0);
  fake_topic("t", partitions);
  fake_topic("other", 1);
  long long joined = join(all, groups_in_all, "t", 60000);
  CHECK_EQ_INT(atomic_load(&answered), 0);
  long long before = check_work();
  fake_produce("other", 0, 1);
  for (int i = 0; i < 1000; i++)
    uk_groups_wake(groups, uk_slice_text("other"), 0, 1);
  long long idle = check_work() - before;
  before = check_work();
  for (int32_t partition = 0; partition < partitions; partition++) {
    fake_produce("t", partition, 1);
    uk_groups_wake(groups, uk_slice_text("t"), partition, 1);
  }
  long long woken = check_work() - before;
  CHECK_EQ_INT(atomic_load(&answered), WAITING);
  CHECK_EQ_INT(atomic_load(&with_records), WAITING);
  join(all, groups_in_all, "t", 700);
  before = check_work();
  uk_groups_tick(groups, 700);
  long long ended = check_work() - before;
  CHECK_EQ_INT(atomic_load(&answered), 2 * WAITING);
  printf(
    "%d groups: %d joined in %lld ms, woken in %lld, timed out in %lld, 1000 other wakes %lld\n",
    groups_in_all, WAITING, joined, woken, ended, idle);
  CHECK(joined < 60000 && woken < 10000 && ended < 10000 && idle < 1000);
  stop_groups();
  free(all);
}

static void ten_thousand_groups_wait(void)
{
  wait_by_the_thousand(WAITING, 3);
}

static void ten_groups_of_a_thousand_wait(void)
{
  wait_by_the_thousand(10, 1000);
}

int main(void)
{
  CHECK_RUN(threads_get_each_record_once);
  CHECK_RUN(lost_responses_are_repeated_under_threads);
  CHECK_RUN(ten_thousand_groups_wait);
  CHECK_RUN(ten_groups_of_a_thousand_wait);
  return check_end();
}
