/* kafka_batch_requests: an instance on fake_kafka_group, and requests that say something about its
 * batches. One file of a test program includes it. */
#ifndef KAFKA_BATCH_REQUESTS_H
#define KAFKA_BATCH_REQUESTS_H

#include "fake_kafka_group.h"

enum { SESSION = 30000, INTERVAL = 5000, LEASE = 100, TIMEOUT = 10000, PATIENCE = 1000 };

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer deletion;
  } as;
  struct uk_slice topic;
  struct uk_topic_partition_offset offset, commits[5]; /* those of a consume: see `also` */
  bool skipped[5];
  char id[UK_BATCH_ID_SIZE]; /* what the acknowledgement names */
  int dones;
  size_t room;                 /* for records */
  int64_t got[16];             /* partition * 100 + offset */
  size_t count, sizes, labels; /* records; the bytes of their keys and values; their headers */
  bool again;                  /* `redelivered`, at the first record */
};

static bool auto_commit;

static void done(struct uk_operation *operation)
{
  ((struct request *)operation)->dones++;
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = (struct request *)operation;
  if (request->count == request->room)
    return false;
  if (request->count == 0)
    request->again = request->as.consume.redelivered;
  CHECK(uk_slice_is(record->topic, "t"));
  CHECK(record->has_value && !record->has_key);
  CHECK_EQ_INT(record->timestamp, fake.life);
  CHECK(memcmp(record->value.data, fake_bytes, record->value.length) == 0);
  for (size_t i = 0; i < record->header_count; i++)
    request->labels +=
      uk_slice_is(record->headers[i].key, "name") && uk_slice_is(record->headers[i].value, "value");
  request->sizes += record->key.length + record->value.length;
  request->got[request->count++] = record->partition * 100 + record->offset;
  return true;
}

/* The commits of the next consumes: offsets of t/0 to t/3; negative: none of that partition. */
static int64_t also[4] = {-1, -1, -1, -1};
static int64_t also_of_u = -1; /* of u/2 */
static bool says_commit;       /* the next request also commits the batch that it names */

static void add_commits(struct request *request)
{
  for (int32_t i = 0; i < 4; i++) {
    if (also[i] >= 0)
      request->commits[request->as.consume.commit_count++] =
        (struct uk_topic_partition_offset){uk_slice_text("t"), i, also[i]};
    also[i] = -1;
  }
  if (also_of_u >= 0)
    request->commits[request->as.consume.commit_count++] =
      (struct uk_topic_partition_offset){uk_slice_text("u"), 2, also_of_u};
  also_of_u = -1;
  request->as.consume.commits = request->commits;
  request->as.consume.skipped = request->skipped;
}

/* What the next request says: NULL: nothing; otherwise "none" or the ID of a batch. */
static const char *says;

static void begin(struct request *request, struct uk_acknowledgement *acknowledgement)
{
  *request = (struct request){.room = 16, .topic = uk_slice_text("t")};
  request->as.operation.done = done;
  request->as.operation.deadline = fake.now + TIMEOUT;
  request->as.consume.group = uk_slice_text("g");
  request->as.consume.instance = uk_slice_text("one");
  if (says == NULL)
    return;
  snprintf(request->id, sizeof request->id, "%s", says);
  bool none = strcmp(says, "none") == 0;
  *acknowledgement =
    (struct uk_acknowledgement){.kind = none ? UK_ACKNOWLEDGE_NONE : UK_ACKNOWLEDGE_BATCH,
                                .batch = uk_slice_text(request->id),
                                .commit = says_commit};
  says_commit = false;
}

static void consume(struct request *request, const char *acknowledged)
{
  says = acknowledged;
  begin(request, &request->as.consume.acknowledgement);
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = auto_commit,
                                                               .auto_commit_interval = INTERVAL,
                                                               .offset_reset = UK_RESET_EARLIEST,
                                                               .session_timeout = SESSION};
  request->as.consume.sink = (struct uk_sink){.record = take};
  add_commits(request);
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
  fake_settle();
}

/* Everything that was consumed; or offset `offset` of t/0. */
__attribute__((unused)) static void commit(struct request *request, const char *acknowledged,
                                           int64_t offset)
{
  says = acknowledged;
  begin(request, &request->as.commit.acknowledgement);
  request->offset = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, offset};
  request->as.commit.offsets = &request->offset;
  request->as.commit.count = offset >= 0;
  uk_kafka_groups_commit(fake.groups, &request->as.commit);
  fake_settle();
}

__attribute__((unused)) static void delete (struct request *request, const char *acknowledged)
{
  says = acknowledged;
  begin(request, &request->as.deletion.acknowledgement);
  uk_kafka_groups_delete(fake.groups, &request->as.deletion);
  fake_settle();
}

__attribute__((unused)) static void sent(const struct request *request, bool complete)
{
  uk_kafka_groups_response_finished(fake.groups, uk_slice_text("g"), uk_slice_text("one"),
                                    request->as.consume.delivery, complete);
  fake_settle();
}

__attribute__((unused)) static const char *id_of(const struct request *request)
{
  return request->as.consume.batch;
}

static void check_ended(const struct request *request, enum uk_error error, size_t count)
{
  CHECK_EQ_INT(request->dones, 1);
  CHECK_EQ_INT(request->as.operation.error, error);
  CHECK_EQ_INT(request->count, count);
}

/* It got the batch of the other request, all of it and under its ID, in a delivery of its own. */
__attribute__((unused)) static void check_same(const struct request *request,
                                               const struct request *other)
{
  check_ended(request, UK_OK, other->count);
  CHECK_EQ_STR(id_of(request), id_of(other));
  CHECK(request->again && request->as.consume.redelivered);
  CHECK(request->as.consume.delivery > other->as.consume.delivery);
  CHECK_EQ_INT(request->sizes, other->sizes);
  CHECK_EQ_INT(request->labels, other->labels);
  for (size_t i = 0; i < request->count; i++)
    CHECK_EQ_INT(request->got[i], other->got[i]);
}

__attribute__((unused)) static void record(int32_t partition, int64_t offset)
{
  fake_record(partition, offset);
  fake_settle();
}

/* An instance with t/0 and t/1 that has delivered records of both in one batch. */
__attribute__((unused)) static void deliver(struct request *request)
{
  consume(request, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_record(0, 3);
  fake_record(1, 7);
  fake_record(0, 4);
  fake_answer("me");
  check_ended(request, UK_OK, 3);
  CHECK(!request->again);
  fake.log[0] = '\0';
}

static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  auto_commit = false;
  REQUIRE(fake_open());
  current();
  fake_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

#endif
