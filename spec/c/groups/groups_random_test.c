/* for: group*.c
 *
 * Groups under random clients, one step after another, with fixed seeds. Well-behaved clients get
 * every record exactly once and in order. When clients die, responses are lost and commits are
 * refused, every record comes at least once. */
#include "check.h"
#include "check_groups.h"
#include "fake_clients.h"

#include <stdlib.h>

enum { GROUPS = 2, CLIENTS = 7, TOPICS = 3, MOST_PARTITIONS = 5, STEPS = 6000, SESSION = 3000 };

static const char *const group_names[GROUPS] = {"g", "h"};
static const char *const topic_names[TOPICS] = {"t0", "t1", "t2"};
static const int32_t topic_partitions[TOPICS] = {1, 3, 5};
static const char *const topic_lists[] = {"t0",    "t1",    "t2",       "t0 t1",    "t1 t2",
                                          "t2 t0", "t2 t1", "t0 t1 t2", "t2 t1 t0", "t1 t2 t0"};

enum doing { NOTHING, CONSUMING, COMMITTING, DELETING };

struct client {
  const char *group;
  char name[8];
  int group_number;
  bool manual; /* commits what it got before it requests more */
  bool uncommitted;
  bool alive; /* believes that its instance lives */
  int64_t dead_until;
  enum doing doing;
  const char *topics;
  struct call call;
};

static struct {
  uint64_t random;
  bool rough; /* clients may misbehave */
  bool over;  /* no more misbehaviour */
  struct client clients[GROUPS * CLIENTS];
  int64_t next[GROUPS][TOPICS][MOST_PARTITIONS]; /* the next offset for the group */
  int64_t end[TOPICS][MOST_PARTITIONS];
  int seen[GROUPS][TOPICS][MOST_PARTITIONS]; /* owners in one listing */
  long delivered, refused;
} world;

static uint32_t pick(uint32_t below)
{
  world.random ^= world.random << 13;
  world.random ^= world.random >> 7;
  world.random ^= world.random << 17;
  return (uint32_t)(world.random >> 33) % below;
}

static bool chance(uint32_t in)
{
  return pick(in) == 0;
}

static int topic_number(const char *name)
{
  return name[1] - '0';
}

static void receive(const struct client *client)
{
  for (size_t i = 0; i < client->call.count; i++) {
    int topic = topic_number(client->call.records[i].topic);
    int32_t partition = client->call.records[i].partition;
    int64_t offset = client->call.records[i].offset;
    int64_t *next = &world.next[client->group_number][topic][partition];
    if (world.rough ? offset > *next : offset != *next) {
      CHECK_EQ_INT(offset, *next);
      return;
    }
    if (offset == *next)
      ++*next;
    world.delivered++;
  }
}

/* Its response is lost, or the client dies with it and comes back after its session. */
static bool misfortune(struct client *client)
{
  if (client->call.unwritten) {
    finished(client->group, client->name, client->call.consume.delivery, false);
    return true;
  }
  if (world.rough && !world.over && chance(20)) {
    client->dead_until = fake_now + SESSION + 1;
    client->alive = client->uncommitted = false;
    return true;
  }
  return false;
}

/* Takes the outcome of the client's last call, if it has ended. */
static void harvest(struct client *client)
{
  struct call *call = &client->call;
  if (client->doing == NOTHING || call->ended == 0)
    return;
  CHECK_EQ_INT(call->ended, 1);
  enum uk_error error = call->consume.operation.error;
  if (client->doing == CONSUMING) {
    client->alive |= error == UK_OK;
    world.refused += error == UK_E_TOO_MANY;
    CHECK(error == UK_OK || error == UK_E_TOO_MANY || (world.rough && error == UK_E_CANCELLED));
    if (error == UK_OK && call->count > 0 && !misfortune(client)) {
      receive(client);
      client->uncommitted = client->manual;
    }
  }
  if (client->doing == COMMITTING) {
    CHECK(error == UK_OK || world.rough);
    client->uncommitted = false;
  }
  if (client->doing == DELETING)
    client->alive = false;
  client->doing = NOTHING;
}

static void ask(struct client *client)
{
  if (client->topics == NULL || chance(10))
    client->topics = topic_lists[pick(sizeof topic_lists / sizeof topic_lists[0])];
  call_consume(&client->call, client->group, client->name, client->topics, fake_now + pick(200));
  client->call.limit = 1 + pick(40);
  client->call.unwanted = world.rough && chance(20);
  client->call.unwritten = world.rough && chance(20);
  client->call.consume.settings.auto_commit = !client->manual;
  client->call.consume.settings.auto_commit_interval = 100;
  client->call.consume.settings.session_timeout = world.rough ? SESSION : 1000000000;
  client->doing = CONSUMING;
  uk_groups_consume(groups, &client->call.consume, fake_now);
}

static void act(struct client *client)
{
  if (client->doing != NOTHING || fake_now < client->dead_until)
    return;
  if (client->uncommitted && !(world.rough && chance(5))) {
    client->doing = COMMITTING;
    commit_all(&client->call, client->group, client->name);
  } else if (client->alive && chance(12)) {
    client->doing = DELETING;
    delete_consumer(&client->call, client->group, client->name);
    client->uncommitted = false;
  } else if (!client->manual && client->alive && chance(8)) {
    client->doing = COMMITTING;
    commit_all(&client->call, client->group, client->name);
  } else {
    ask(client);
  }
}

static void owned(struct uk_operation *operation, struct uk_slice group, struct uk_slice instance,
                  struct uk_slice topic, const int32_t *partitions, size_t count)
{
  (void)operation, (void)instance;
  for (size_t i = 0; i < count; i++)
    world.seen[group.data[0] - 'g'][topic_number(topic.data)][partitions[i]]++;
}

static void listed(struct uk_operation *operation)
{
  (void)operation;
}

static void check_owners(void)
{
  struct uk_consumers operation = {.operation = {.done = listed}, .owned = owned};
  memset(world.seen, 0, sizeof world.seen);
  uk_groups_consumers(groups, &operation, fake_now);
  for (int g = 0; g < GROUPS; g++)
    for (int t = 0; t < TOPICS; t++)
      for (int p = 0; p < MOST_PARTITIONS; p++)
        CHECK(world.seen[g][t][p] <= 1);
}

static void produce_something(void)
{
  uint32_t topic = pick(TOPICS);
  int32_t partition = (int32_t)pick((uint32_t)topic_partitions[topic]);
  int64_t count = 1 + pick(20);
  world.end[topic][partition] += count;
  if (chance(4)) /* groups is not notified now */
    fake_produce(topic_names[topic], partition, count);
  else
    produce(topic_names[topic], partition, count);
}

static void finish_commits(void)
{
  bool refuse = world.rough && chance(4);
  fake_finish((int)pick(6), refuse ? UK_E_UNAVAILABLE : UK_OK, refuse ? "the disk is full" : NULL);
}

static void step(void)
{
  uint32_t what = pick(10);
  if (what < 2)
    produce_something();
  else if (what < 8)
    act(&world.clients[pick(GROUPS * CLIENTS)]);
  else if (what < 9)
    finish_commits();
  else
    pass_time(pick(world.rough ? 400 : 60));
  for (int i = 0; i < GROUPS * CLIENTS; i++)
    harvest(&world.clients[i]);
}

/* Ends all calls and instances. A last client of each group reads the rest. */
static void wind_up(void)
{
  world.over = true;
  pass_time(1000);
  while (fake_finish(100, UK_OK, NULL) > 0)
    continue;
  fake_hold_commits(false);
  for (int i = 0; i < GROUPS * CLIENTS; i++)
    harvest(&world.clients[i]);
  if (world.rough)
    pass_time(SESSION);
  for (int i = 0; i < GROUPS * CLIENTS && !world.rough; i++) {
    struct client *client = &world.clients[i];
    if (client->uncommitted)
      commit_all(&client->call, client->group, client->name);
    delete_consumer(&client->call, client->group, client->name);
  }
  for (int g = 0; g < GROUPS; g++) {
    struct client last = {.group = group_names[g], .group_number = g};
    do {
      call_consume(&last.call, last.group, "last", "t0 t1 t2", fake_now);
      uk_groups_consume(groups, &last.call.consume, fake_now);
      receive(&last);
    } while (last.call.count > 0);
    CHECK_EQ_INT(last.call.consume.operation.error, UK_OK);
  }
  for (int g = 0; g < GROUPS; g++)
    CHECK_EQ_MEM((const char *)world.next[g], sizeof world.next[g], (const char *)world.end,
                 sizeof world.end);
}

static void run(uint64_t seed, bool rough)
{
  memset(&world, 0, sizeof world);
  world.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  world.rough = rough;
  start_groups();
  fake_hold_commits(true);
  for (int t = 0; t < TOPICS; t++)
    fake_topic(topic_names[t], topic_partitions[t]);
  for (int i = 0; i < GROUPS * CLIENTS; i++) {
    struct client *client = &world.clients[i];
    client->group_number = i / CLIENTS;
    client->group = group_names[i / CLIENTS];
    client->manual = i % 3 == 0;
    snprintf(client->name, sizeof client->name, "c%d", i % CLIENTS);
  }
  for (int i = 0; i < STEPS; i++) {
    step();
    if (i % 5 == 0)
      check_groups(groups);
    if (i % 50 == 0)
      check_owners();
  }
  wind_up();
  stop_groups();
}

static void well_behaved_clients_get_each_record_once(void)
{
  long delivered = 0, refused = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    run(seed, false);
    delivered += world.delivered;
    refused += world.refused;
  }
  CHECK(delivered > 40 * 5000);
  CHECK(refused > 0);
}

static void clients_that_die_lose_nothing(void)
{
  long delivered = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    run(seed, true);
    delivered += world.delivered;
  }
  CHECK(delivered > 40 * 5000);
}

int main(void)
{
  CHECK_RUN(well_behaved_clients_get_each_record_once);
  CHECK_RUN(clients_that_die_lose_nothing);
  return check_end();
}
