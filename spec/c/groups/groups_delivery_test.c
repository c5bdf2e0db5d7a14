/* for: group*.c
 *
 * Groups under random clients that say what they hold, with fixed seeds. Their responses are lost,
 * whether or not the server notices, and commits are refused: still they get every record exactly
 * once and in order, and a batch that comes again is the same. When clients die too, every record
 * comes at least once. */
#include "check.h"
#include "check_groups.h"
#include "fake_clients.h"

#include <stdlib.h>

enum { GROUPS = 2, CLIENTS = 5, TOPICS = 3, MOST_PARTITIONS = 5, STEPS = 6000, SESSION = 3000 };

static const char *const group_names[GROUPS] = {"g", "h"};
static const char *const topic_names[TOPICS] = {"t0", "t1", "t2"};
static const int32_t topic_partitions[TOPICS] = {1, 3, 5};
static const char *const topic_lists[] = {"t0", "t1", "t2", "t0 t1", "t2 t0", "t2 t1 t0"};

enum doing { NOTHING, CONSUMING, COMMITTING, DELETING };

/* What was sent, or received, under one ID. */
struct batch {
  char id[UK_BATCH_ID_SIZE]; /* "": none */
  size_t count;
  struct call_record records[CALL_RECORDS];
};

struct client {
  const char *group;
  char name[8];
  int group_number;
  bool manual;         /* commits each batch that it received */
  bool holds;          /* a batch that it has not committed */
  bool alive, gave_up; /* believes that its instance lives; does not wait for its call any more */
  int64_t dead_until;
  enum doing doing;
  const char *topics;
  struct batch sent, received; /* the last ones */
  uint64_t unreported;         /* a delivery whose outcome the server does not know yet; 0 = none */
  struct call call;
};

static struct {
  uint64_t random;
  bool rough;  /* clients may die */
  bool manual; /* they commit by themselves */
  bool over;   /* no more misfortune */
  struct client clients[GROUPS * CLIENTS];
  int64_t next[GROUPS][TOPICS][MOST_PARTITIONS]; /* the next offset for the group */
  int64_t end[TOPICS][MOST_PARTITIONS];
  long delivered, again, lost, refused;
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

static void report(struct client *client, bool complete)
{
  uint64_t delivery = client->unreported;
  client->unreported = 0;
  if (delivery > 0)
    finished(client->group, client->name, delivery, complete);
}

/* The server sent a batch: the one before again, or one that never was. */
static void check_sent(struct client *client)
{
  const struct call *call = &client->call;
  struct batch *sent = &client->sent;
  bool same = strcmp(call->consume.batch, sent->id) == 0;
  CHECK(call->consume.batch[0] != '\0' && call->consume.delivery > 0);
  CHECK_EQ_INT(call->consume.redelivered, same);
  if (same) {
    world.again++;
    CHECK(strcmp(sent->id, client->received.id) != 0); /* not after its acknowledgement */
    CHECK_EQ_MEM((const char *)call->records, call->count * sizeof sent->records[0],
                 (const char *)sent->records, sent->count * sizeof sent->records[0]);
    return;
  }
  memcpy(sent->id, call->consume.batch, sizeof sent->id);
  sent->count = call->count;
  memcpy(sent->records, call->records, call->count * sizeof sent->records[0]);
}

static void receive(struct client *client)
{
  client->received = client->sent;
  client->holds = client->manual;
  for (size_t i = 0; i < client->sent.count; i++) {
    int topic = client->sent.records[i].topic[1] - '0';
    int64_t offset = client->sent.records[i].offset;
    int64_t *next = &world.next[client->group_number][topic][client->sent.records[i].partition];
    if (world.rough ? offset > *next : offset != *next) {
      CHECK_EQ_INT(offset, *next);
      return;
    }
    if (offset == *next)
      ++*next;
    world.delivered++;
  }
}

static void forget(struct client *client)
{
  client->alive = client->holds = false;
  client->sent.id[0] = client->received.id[0] = '\0';
}

/* What became of a response is one thing, what the server sees of it another. */
static void harvest_consume(struct client *client)
{
  const struct call *call = &client->call;
  bool lost = !world.over && (client->gave_up || chance(4));
  client->alive = true;
  if (!client->gave_up)
    client->holds = false;
  if (call->count == 0) {
    CHECK(call->consume.batch[0] == '\0' && call->consume.delivery == 0);
    return;
  }
  report(client, chance(2));
  check_sent(client);
  client->unreported = call->consume.delivery;
  if (!lost)
    receive(client);
  world.lost += lost;
  if (world.over || chance(2))
    report(client, lost ? chance(4) : !chance(4));
}

static void harvest(struct client *client)
{
  if (client->doing == NOTHING || client->call.ended == 0)
    return;
  CHECK_EQ_INT(client->call.ended, 1);
  enum uk_error error = client->call.consume.operation.error;
  enum doing doing = client->doing;
  client->doing = NOTHING;
  world.refused += error == UK_E_UNAVAILABLE;
  /* Its session may have ended, with all that the server knew. */
  bool gone = world.rough && (error == UK_E_CONFLICT || error == UK_E_NOT_FOUND);
  CHECK(error == UK_OK || error == UK_E_UNAVAILABLE || error == UK_E_CANCELLED || gone ||
        (doing == CONSUMING && error == UK_E_TOO_MANY) ||
        (world.rough && error == UK_E_GATEWAY_TIMEOUT && doing == DELETING));
  if (gone || (doing == DELETING && error != UK_E_UNAVAILABLE))
    forget(client);
  if (error == UK_OK && doing == CONSUMING)
    harvest_consume(client);
  if (error == UK_OK && doing == COMMITTING)
    client->holds = false;
  if (world.rough && !world.over && chance(60)) {
    client->dead_until = fake_now + SESSION + 1;
    forget(client);
  }
}

/* The position after each partition of the batch that it holds. */
static void commit_held(struct client *client)
{
  const struct batch *held = &client->received;
  for (size_t i = 0; i < held->count; i++) {
    bool last = true;
    for (size_t j = i + 1; j < held->count && last; j++)
      last = held->records[j].partition != held->records[i].partition ||
             strcmp(held->records[j].topic, held->records[i].topic) != 0;
    if (last)
      also_commit(&client->call, held->records[i].topic, held->records[i].partition,
                  held->records[i].offset + 1);
  }
}

/* What it says: that it got the last batch that it received, and that it is to be committed. */
static struct uk_acknowledgement words_of(const struct client *client, bool commit)
{
  if (client->received.id[0] == '\0')
    return (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  return (struct uk_acknowledgement){
    .kind = UK_ACKNOWLEDGE_BATCH, .batch = uk_slice_text(client->received.id), .commit = commit};
}

static void ask(struct client *client)
{
  struct call *call = &client->call;
  if (client->topics == NULL || chance(10))
    client->topics = topic_lists[pick(sizeof topic_lists / sizeof topic_lists[0])];
  call_consume(call, client->group, client->name, client->topics, fake_now + pick(200));
  call->limit = 1 + pick(40);
  call->unwanted = chance(20);
  call->unwritten = true;
  call->consume.settings.auto_commit = !client->manual;
  call->consume.settings.auto_commit_interval = 100;
  call->consume.settings.session_timeout = world.rough ? SESSION : 1000000000;
  bool by_id = chance(2);
  call->consume.acknowledgement = words_of(client, client->holds && by_id);
  if (client->holds && !by_id)
    commit_held(client);
  client->doing = CONSUMING;
  client->gave_up = false;
  uk_groups_consume(groups, &call->consume, fake_now);
}

static void call_other(struct client *client, enum doing doing)
{
  char text[UK_BATCH_ID_SIZE + 1] = "none";
  const char *number = strchr(client->received.id, '-');
  if (number != NULL)
    snprintf(text, sizeof text, "%s%s", client->holds ? "+" : "", number + 1);
  client->doing = doing;
  client->gave_up = false;
  fake_ack = text;
  if (doing == COMMITTING)
    commit_all(&client->call, client->group, client->name);
  else
    delete_consumer(&client->call, client->group, client->name);
  fake_ack = "";
}

static void act(struct client *client)
{
  if (client->doing != NOTHING) {
    if (client->doing == CONSUMING && !client->gave_up && chance(20)) {
      client->gave_up = true;
      expire(&client->call);
    }
    return;
  }
  if (fake_now < client->dead_until)
    return;
  if (client->alive && chance(15))
    call_other(client, DELETING);
  else if (client->alive && chance(8))
    call_other(client, COMMITTING);
  else
    ask(client);
}

static void produce_something(void)
{
  uint32_t topic = pick(TOPICS);
  int32_t partition = (int32_t)pick((uint32_t)topic_partitions[topic]);
  int64_t count = 1 + pick(20);
  world.end[topic][partition] += count;
  produce(topic_names[topic], partition, count);
}

/* When an auto-commit is refused, and its partition has no owner any more, records come again. */
static void finish_commits(void)
{
  bool refuse = (world.rough || world.manual) && chance(4);
  fake_finish((int)pick(6), refuse ? UK_E_UNAVAILABLE : UK_OK, refuse ? "the disk is full" : NULL);
}

static void step(void)
{
  uint32_t what = pick(11);
  struct client *client = &world.clients[pick(GROUPS * CLIENTS)];
  if (what < 2)
    produce_something();
  else if (what < 8)
    act(client);
  else if (what < 9)
    finish_commits();
  else if (what < 10)
    report(client, chance(2));
  else
    pass_time(pick(world.rough ? 400 : 60));
  for (int i = 0; i < GROUPS * CLIENTS; i++)
    harvest(&world.clients[i]);
}

static void settle(void)
{
  while (fake_finish(100, UK_OK, NULL) > 0)
    continue;
  for (int i = 0; i < GROUPS * CLIENTS; i++)
    harvest(&world.clients[i]);
}

static void read_the_rest(int group)
{
  static struct client last;
  memset(&last, 0, sizeof last);
  last.group = group_names[group];
  last.group_number = group;
  snprintf(last.name, sizeof last.name, "last");
  do {
    call_consume(&last.call, last.group, last.name, "t0 t1 t2", fake_now);
    uk_groups_consume(groups, &last.call.consume, fake_now);
    CHECK_EQ_INT(last.call.consume.operation.error, UK_OK);
    if (last.call.count > 0) {
      check_sent(&last);
      receive(&last);
    }
  } while (last.call.count > 0);
}

/* Ends all calls and instances. A last client of each group reads the rest. */
static void wind_up(void)
{
  world.over = true;
  pass_time(1000);
  settle();
  fake_hold_commits(false);
  for (int i = 0; i < GROUPS * CLIENTS; i++) {
    struct client *client = &world.clients[i];
    if (!world.rough)
      call_other(client, DELETING);
    client->doing = NOTHING;
  }
  pass_time(world.rough ? SESSION : 0);
  for (int g = 0; g < GROUPS; g++) {
    read_the_rest(g);
    CHECK_EQ_MEM((const char *)world.next[g], sizeof world.next[g], (const char *)world.end,
                 sizeof world.end);
  }
}

static void run(uint64_t seed, bool rough)
{
  memset(&world, 0, sizeof world);
  world.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  world.rough = rough;
  world.manual = seed % 2 == 0;
  start_groups();
  fake_hold_commits(true);
  for (int t = 0; t < TOPICS; t++)
    fake_topic(topic_names[t], topic_partitions[t]);
  for (int i = 0; i < GROUPS * CLIENTS; i++) {
    struct client *client = &world.clients[i];
    client->group_number = i / CLIENTS;
    client->group = group_names[i / CLIENTS];
    client->manual = world.manual;
    snprintf(client->name, sizeof client->name, "c%d", i % CLIENTS);
  }
  for (int i = 0; i < STEPS; i++) {
    step();
    if (i % 5 == 0)
      check_groups(groups);
  }
  wind_up();
  stop_groups();
}

static void run_all(bool rough)
{
  long delivered = 0, again = 0, lost = 0, refused = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    run(seed, rough);
    delivered += world.delivered;
    again += world.again;
    lost += world.lost;
    refused += world.refused;
  }
  CHECK(delivered > 40 * 5000);
  CHECK(again > 1000 && lost > 1000 && refused > 100);
}

static void lost_responses_lose_and_repeat_nothing(void)
{
  run_all(false);
}

static void clients_that_die_lose_nothing(void)
{
  run_all(true);
}

int main(void)
{
  CHECK_RUN(lost_responses_lose_and_repeat_nothing);
  CHECK_RUN(clients_that_die_lose_nothing);
  return check_end();
}
