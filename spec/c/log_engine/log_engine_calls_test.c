/* Each method of the log engine: what it passes on to the log and the groups, and what it answers.
 * For: log_engine.c, log_create.c, log_fetch.c, log_notifier.c. */
#include "server/log_engine/log_engine.h"

#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"

static struct uk_engine *engine;

static bool open_with(size_t map_bytes, int32_t partitions)
{
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = map_bytes,
                                                .partitions = partitions,
                                                .auto_create = true,
                                                .no_sync = true};
  char message[UK_MESSAGE_SIZE] = "";
  return CHECK_EQ_INT(uk_log_engine_open(&engine, &options, message, sizeof message), UK_OK);
}

static bool open_engine(void)
{
  return open_with(RIG_MAP_BYTES, 2);
}

static void close_engine(void)
{
  engine->methods->drain(engine);
  engine->methods->close(engine);
  rig_remove();
}

/* Calls a method, and waits for its end. */
#define CALL(method, command)                                                                      \
  do {                                                                                             \
    struct rig_call call_;                                                                         \
    rig_call_init(&call_, &(command)->operation);                                                  \
    engine->methods->method(engine, (command));                                                    \
    rig_call_wait(&call_, &(command)->operation);                                                  \
  } while (0)

static struct uk_topic_partition_offset at(const char *topic, int32_t partition, int64_t offset)
{
  return (struct uk_topic_partition_offset){uk_slice_text(topic), partition, offset};
}

static enum uk_error produce(const char *topic, int32_t partition, size_t length, char *message)
{
  static char bytes[400000];
  struct uk_record record = rig_record(topic, partition, "");
  struct uk_produce operation = {.records = &record, .count = 1};
  record.value = uk_slice_of(bytes, length);
  CALL(produce, &operation);
  memcpy(message, operation.operation.message, UK_MESSAGE_SIZE);
  return operation.operation.error;
}

static void put(const char *topic, int32_t partition)
{
  char message[UK_MESSAGE_SIZE];
  CHECK_EQ_INT(produce(topic, partition, 1, message), UK_OK);
}

static int64_t committed(const char *group, const char *topic, int32_t partition)
{
  struct uk_topic_partition_offset asked = at(topic, partition, -7);
  struct uk_committed operation = {.group = uk_slice_text(group), .offsets = &asked, .count = 1};
  CALL(committed, &operation);
  CHECK_EQ_INT(operation.operation.error, UK_OK);
  return asked.offset;
}

/* A consume, with settings that never come due by themselves. */

struct consume {
  struct uk_consume operation;
  struct rig_call call;
  struct uk_slice topic;
  size_t count;
};

static bool count_record(struct uk_operation *operation, const struct uk_record *record)
{
  (void)record;
  ((struct consume *)operation)->count++;
  return true;
}

enum { LONG = 100000000 }; /* milliseconds: longer than any test */

static struct consume consume_of(const char *group, const char *instance, const char *topic)
{
  return (struct consume){.topic = uk_slice_text(topic),
                          .operation = {.group = uk_slice_text(group),
                                        .instance = uk_slice_text(instance),
                                        .topic_count = 1,
                                        .settings = {.offset_reset = UK_RESET_EARLIEST,
                                                     .auto_commit_interval = LONG,
                                                     .session_timeout = LONG},
                                        .sink = {count_record, NULL}}};
}

static void consume_begin(struct consume *consume, int timeout)
{
  consume->operation.topics = &consume->topic;
  consume->operation.operation.deadline = uk_clock_monotonic() + timeout;
  rig_call_init(&consume->call, &consume->operation.operation);
  engine->methods->consume(engine, &consume->operation);
}

/* What becomes of the response is not known yet. */
static enum uk_error consume_wait(struct consume *consume)
{
  rig_call_wait(&consume->call, &consume->operation.operation);
  return consume->operation.operation.error;
}

/* The response arrives whole. */
static enum uk_error consume_end(struct consume *consume)
{
  const struct uk_consume *operation = &consume->operation;
  consume_wait(consume);
  if (operation->delivery != 0)
    engine->methods->response_finished(engine, operation->group, operation->instance,
                                       operation->delivery, UK_RESPONSE_WRITTEN);
  return consume->operation.operation.error;
}

static bool consume_ended(struct consume *consume)
{
  pthread_mutex_lock(&consume->call.mutex);
  bool done = consume->call.done;
  pthread_mutex_unlock(&consume->call.mutex);
  return done;
}

static enum uk_error commit(const char *group, const char *instance,
                            const struct uk_topic_partition_offset *offsets, size_t count,
                            char *message)
{
  struct uk_commit operation = {.group = uk_slice_text(group),
                                .instance = uk_slice_text(instance),
                                .offsets = offsets,
                                .count = count};
  CALL(commit, &operation);
  memcpy(message, operation.operation.message, UK_MESSAGE_SIZE);
  return operation.operation.error;
}

static enum uk_error delete_consumer(const char *group, const char *instance, char *message)
{
  struct uk_delete_consumer operation = {.group = uk_slice_text(group),
                                         .instance = uk_slice_text(instance)};
  CALL(delete_consumer, &operation);
  memcpy(message, operation.operation.message, UK_MESSAGE_SIZE);
  return operation.operation.error;
}

/* Options. */

static void a_full_log_is_unhealthy(void)
{
  char message[UK_MESSAGE_SIZE] = "", detail[UK_MESSAGE_SIZE] = "?";
  enum uk_error error = UK_OK;
  REQUIRE(open_with(1 << 20, 2));
  for (int i = 0; i < 20 && error == UK_OK; i++)
    error = produce("t", 0, 300000, message);
  CHECK_EQ_INT(error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "the log is full (map_bytes 1048576)");
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, message);
  close_engine();
}

static void topics_have_the_default_number_of_partitions(void)
{
  struct uk_create_topic create = {.topic = uk_slice_text("t"), .partitions = -1};
  REQUIRE(open_with(RIG_MAP_BYTES, 3));
  CALL(create_topic, &create);
  CHECK_EQ_INT(create.operation.error, UK_OK);
  CHECK(create.created);
  CHECK_EQ_INT(create.partitions, 3);
  put("u", 2);
  close_engine();
}

/* Topics and offsets. */

struct listing {
  struct uk_topics operation;
  char text[200];
};

static void list_topic(struct uk_operation *operation, struct uk_slice name, int32_t partitions)
{
  struct listing *listing = (struct listing *)operation;
  size_t length = strlen(listing->text);
  snprintf(listing->text + length, sizeof listing->text - length, "%.*s=%d ", (int)name.length,
           name.data, (int)partitions);
}

static void check_topics(const char *text)
{
  struct listing listing = {.operation = {.topic = list_topic}};
  struct rig_call call;
  rig_call_init(&call, &listing.operation.operation);
  engine->methods->topics(engine, &listing.operation);
  rig_call_wait(&call, &listing.operation.operation);
  CHECK_EQ_INT(listing.operation.operation.error, UK_OK);
  CHECK_EQ_STR(listing.text, text);
}

static void lists_its_topics(void)
{
  struct uk_create_topic create = {.topic = uk_slice_text("b"), .partitions = 5};
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  put("a", 0);
  check_topics("a=2 b=5 ");
  close_engine();
}

/* Each position gets its own answer. The first one at fault ends the operation with its text. */
static void several_offsets_at_once(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {"t", 0, UK_OK, ""},
    {"none", 0, UK_E_NOT_FOUND, "topic \"none\" does not exist"},
    {"t", 2, UK_E_BAD_REQUEST, "topic \"t\" has no partition 2; it has 2"},
    {"one", 1, UK_E_BAD_REQUEST, "topic \"one\" has no partition 1; it has 1"},
  };
  static const int64_t timestamps[] = {UK_TIMESTAMP_LATEST, UK_TIMESTAMP_EARLIEST, 1};
  struct uk_create_topic create = {.topic = uk_slice_text("one"), .partitions = 1};
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  put("t", 1);
  put("t", 1);
  put("u", 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t j = 0; j < 3; j++) {
      struct uk_topic_partition_offset asked[] = {
        at("t", 1, -7), at(rows[i].topic, rows[i].partition, -7), at("u", 0, -7)};
      struct uk_offsets operation = {.timestamp = timestamps[j], .offsets = asked, .count = 3};
      CALL(offsets, &operation);
      CHECK_EQ_INT(operation.operation.error, rows[i].error);
      CHECK_EQ_STR(operation.operation.message, rows[i].message);
      CHECK_EQ_INT(asked[0].offset, j == 0 ? 2 : 0);
      if (rows[i].error == UK_OK)
        CHECK_EQ_INT(asked[2].offset, j == 0 ? 1 : 0);
    }
    struct uk_topic_partition_offset asked[] = {
      at("t", 1, -7), at(rows[i].topic, rows[i].partition, -7), at("u", 0, -7)};
    struct uk_committed operation = {.group = uk_slice_text("g"), .offsets = asked, .count = 3};
    CALL(committed, &operation);
    CHECK_EQ_INT(operation.operation.error, rows[i].error);
    CHECK_EQ_STR(operation.operation.message, rows[i].message);
    if (rows[i].error == UK_OK)
      CHECK_EQ_INT(asked[2].offset, -1);
  }
  close_engine();
}

static void the_earliest_offset_is_the_first_kept_one(void)
{
  struct uk_create_topic create = {.topic = uk_slice_text("t"),
                                   .partitions = 1,
                                   .has_retention_bytes = true,
                                   .retention_bytes = 0};
  struct uk_topic_partition_offset asked = at("t", 0, -7);
  struct uk_offsets operation = {.timestamp = UK_TIMESTAMP_EARLIEST, .offsets = &asked, .count = 1};
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  put("t", 0);
  int waited = 0;
  do
    CALL(offsets, &operation);
  while (asked.offset == 0 && check_pause(&waited));
  CHECK_EQ_INT(operation.operation.error, UK_OK);
  CHECK_EQ_INT(asked.offset, 1);
  close_engine();
}

/* Commits. */

/* All names are as long as they may be: the commit has a copy of each. */
static void a_commit_of_several_topics(void)
{
  static char group[UK_GROUP_NAME_MAX + 1], first[UK_TOPIC_NAME_MAX + 1],
    second[UK_TOPIC_NAME_MAX + 1];
  char message[UK_MESSAGE_SIZE];
  memset(group, 'g', sizeof group - 1);
  memset(first, 'a', sizeof first - 1);
  memset(second, 'b', sizeof second - 1);
  REQUIRE(open_engine());
  put(first, 0);
  put(second, 0);
  struct consume consume = consume_of(group, "i", first);
  consume_begin(&consume, 0);
  CHECK_EQ_INT(consume_end(&consume), UK_OK);
  const struct uk_topic_partition_offset offsets[] = {at(first, 1, 3), at(second, 1, 4),
                                                      at(first, 0, 5)};
  CHECK_EQ_INT(commit(group, "i", offsets, 3, message), UK_OK);
  CHECK_EQ_INT(committed(group, first, 1), 3);
  CHECK_EQ_INT(committed(group, second, 1), 4);
  CHECK_EQ_INT(committed(group, first, 0), 5);
  CHECK_EQ_INT(committed("g", first, 0), -1); /* another group */
  close_engine();
}

/* The first position at fault is named, and none is committed. */
static void a_refused_commit_says_why(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    int64_t offset;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {"none", 0, 1, UK_E_NOT_FOUND, "topic \"none\" does not exist"},
    {"t", 2, 1, UK_E_BAD_REQUEST, "topic \"t\" has no partition 2; it has 2"},
    {"t", -1, 1, UK_E_BAD_REQUEST, "topic \"t\" has no partition -1; it has 2"},
    {"t", 0, -1, UK_E_BAD_REQUEST, "offset -1 of topic \"t\" partition 0 is negative"},
  };
  char message[UK_MESSAGE_SIZE];
  struct consume consume = consume_of("g", "i", "t");
  REQUIRE(open_engine());
  put("t", 0);
  consume_begin(&consume, 0);
  CHECK_EQ_INT(consume_end(&consume), UK_OK);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct uk_topic_partition_offset offsets[] = {
      at("t", 1, 0), at(rows[i].topic, rows[i].partition, rows[i].offset), at("later", 0, 0)};
    CHECK_EQ_INT(commit("g", "i", offsets, 3, message), rows[i].error);
    CHECK_EQ_STR(message, rows[i].message);
    CHECK_EQ_INT(committed("g", "t", 1), -1);
  }
  CHECK_EQ_INT(commit("g", "nobody", NULL, 0, message), UK_E_NOT_FOUND);
  CHECK_EQ_STR(message, "group \"g\" has no consumer instance \"nobody\"");
  close_engine();
}

/* Instances. */

struct owners {
  struct uk_consumers operation;
  char text[200];
};

static void list_owner(struct uk_operation *operation, struct uk_slice group,
                       struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                       size_t count)
{
  struct owners *owners = (struct owners *)operation;
  size_t length = strlen(owners->text);
  snprintf(owners->text + length, sizeof owners->text - length, "%.*s/%.*s %.*s %d+%zu ",
           (int)group.length, group.data, (int)instance.length, instance.data, (int)topic.length,
           topic.length > 0 ? topic.data : "", count > 0 ? (int)partitions[0] : -1, count);
}

static void check_owners(const char *text)
{
  struct owners owners = {.operation = {.owned = list_owner}};
  struct rig_call call;
  rig_call_init(&call, &owners.operation.operation);
  engine->methods->consumers(engine, &owners.operation);
  rig_call_wait(&call, &owners.operation.operation);
  CHECK_EQ_INT(owners.operation.operation.error, UK_OK);
  CHECK_EQ_STR(owners.text, text);
}

static void instances_are_listed_and_deleted(void)
{
  char message[UK_MESSAGE_SIZE];
  struct consume a = consume_of("g", "a", "t"), b = consume_of("g", "b", "t");
  REQUIRE(open_engine());
  check_owners("");
  put("t", 0);
  consume_begin(&a, 0);
  consume_begin(&b, 0);
  CHECK_EQ_INT(consume_end(&a) | consume_end(&b), UK_OK);
  check_owners("g/a t 0+1 g/b t 1+1 ");
  CHECK_EQ_INT(delete_consumer("g", "a", message), UK_OK);
  check_owners("g/b t 0+2 ");
  CHECK_EQ_INT(delete_consumer("g", "a", message), UK_E_NOT_FOUND);
  CHECK_EQ_STR(message, "group \"g\" has no consumer instance \"a\"");
  close_engine();
}

/* The commits of a consume. */

static void a_consume_whose_commits_are_refused_says_why_and_creates_nothing(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    int64_t offset;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {"none", 0, 1, UK_E_NOT_FOUND, "topic \"none\" does not exist"},
    {"t", 2, 1, UK_E_BAD_REQUEST, "topic \"t\" has no partition 2; it has 2"},
    {"t", 0, -1, UK_E_BAD_REQUEST, "offset -1 of topic \"t\" partition 0 is negative"},
  };
  REQUIRE(open_engine());
  put("t", 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct uk_topic_partition_offset offsets[] = {
      at("t", 1, 0), at(rows[i].topic, rows[i].partition, rows[i].offset)};
    bool skipped[2] = {false};
    struct consume consume = consume_of("g", "i", "t");
    consume.operation.commits = offsets;
    consume.operation.commit_count = 2;
    consume.operation.skipped = skipped;
    consume_begin(&consume, LONG);
    CHECK_EQ_INT(consume_end(&consume), rows[i].error);
    CHECK_EQ_STR(consume.operation.operation.message, rows[i].message);
    CHECK_EQ_INT(consume.count, 0);
    CHECK_EQ_INT(committed("g", "t", 1), -1);
    check_owners("");
  }
  close_engine();
}

/* Never back, and never beyond the end. */
static void the_commits_of_a_consume_move_forward(void)
{
  const struct uk_topic_partition_offset offsets[] = {at("u", 1, 3), at("u", 1, 2), at("u", 1, 1)};
  static const int64_t kept[] = {-1, 2, 2};
  bool skipped[1] = {false};
  struct consume consume = consume_of("g", "i", "t");
  REQUIRE(open_engine());
  put("t", 0);
  put("u", 1);
  put("u", 1);
  consume.operation.commit_count = 1;
  consume.operation.skipped = skipped;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    consume.operation.commits = &offsets[i];
    consume_begin(&consume, 0);
    CHECK_EQ_INT(consume_end(&consume), UK_OK);
    CHECK_EQ_INT(consume.count, 1);
    CHECK_EQ_INT(skipped[0], i == 0);
    CHECK_EQ_INT(committed("g", "u", 1), kept[i]);
  }
  close_engine();
}

/* An ID is of no use to the instance of another engine, which its number alone would suit. */
static void a_conflict_creates_no_topic(void)
{
  struct consume first = consume_of("g", "i", "t"), second = consume_of("g", "i", "made");
  REQUIRE(open_engine());
  put("t", 0);
  consume_begin(&first, 0);
  CHECK_EQ_INT(consume_end(&first), UK_OK);
  close_engine();
  REQUIRE(open_engine());
  put("t", 0);
  second.operation.acknowledgement =
    (struct uk_acknowledgement){UK_ACKNOWLEDGE_BATCH, uk_slice_text(first.operation.batch), true};
  second.operation.create = true;
  consume_begin(&second, LONG);
  CHECK_EQ_INT(consume_end(&second), UK_E_CONFLICT);
  CHECK(strstr(second.operation.operation.message, "Kafka-Commit: batch \"") != NULL);
  check_topics("t=2 ");
  check_owners("");
  second = consume_of("g", "i", "t");
  consume_begin(&second, 0);
  CHECK_EQ_INT(consume_end(&second), UK_OK);
  CHECK_EQ_INT(second.operation.delivery, first.operation.delivery);
  CHECK(strcmp(second.operation.batch, first.operation.batch) != 0);
  close_engine();
}

/* The records are read from the disk again, and end where the batch ended. */
static void a_batch_comes_again_from_the_log(void)
{
  struct consume consume = consume_of("g", "i", "t");
  REQUIRE(open_engine());
  for (int i = 0; i < 6; i++)
    put("t", i % 2);
  consume_begin(&consume, 0);
  CHECK_EQ_INT(consume_end(&consume), UK_OK);
  CHECK_EQ_INT(consume.count, 6);
  put("t", 0);
  consume.count = 0;
  consume.operation.acknowledgement.kind = UK_ACKNOWLEDGE_NONE;
  consume_begin(&consume, 0);
  CHECK_EQ_INT(consume_end(&consume), UK_OK);
  CHECK(consume.operation.redelivered);
  CHECK_EQ_INT(consume.count, 6);
  close_engine();
}

/* Of several topics, only the missing ones are created. */
static void a_consume_creates_each_missing_topic(void)
{
  const struct uk_slice topics[] = {uk_slice_text("t"), uk_slice_text("made"),
                                    uk_slice_text("made-too")};
  struct uk_create_topic create = {.topic = uk_slice_text("t"), .partitions = 1};
  struct consume consume = consume_of("g", "i", "t");
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  consume.operation.create = true;
  consume.operation.topics = topics;
  consume.operation.topic_count = 3;
  CALL(consume, &consume.operation);
  CHECK_EQ_INT(consume.operation.operation.error, UK_OK);
  check_owners("g/i made 0+2 g/i made-too 0+2 g/i t 0+1 ");
  close_engine();
}

static void a_drain_ends_a_waiting_consume(void)
{
  struct consume waiting = consume_of("g", "i", "t"), later = waiting;
  REQUIRE(open_engine());
  put("u", 0);
  put("t", 0);
  waiting.topic = later.topic = uk_slice_text("u");
  consume_begin(&waiting, 0);
  CHECK_EQ_INT(consume_end(&waiting), UK_OK);
  waiting.count = 0;
  consume_begin(&waiting, LONG);
  CHECK(!consume_ended(&waiting));
  engine->methods->drain(engine);
  CHECK_EQ_INT(consume_end(&waiting), UK_OK);
  CHECK_EQ_INT(waiting.count, 0);
  consume_begin(&later, LONG);
  CHECK_EQ_INT(consume_end(&later), UK_OK);
  close_engine();
}

/* C4: nothing else comes that would wake the thread. */
static void a_consume_whose_client_has_gone_ends(void)
{
  struct consume first = consume_of("g", "i", "t"), waiting = first;
  REQUIRE(open_engine());
  put("t", 0);
  consume_begin(&first, 0);
  CHECK_EQ_INT(consume_end(&first), UK_OK);
  consume_begin(&waiting, LONG);
  rig_sleep(5); /* the thread falls asleep; an earlier end finds fewer faults */
  CHECK(!consume_ended(&waiting));
  uk_operation_expire(&waiting.operation.operation);
  engine->methods->consume_expired(engine, &waiting.operation);
  CHECK_EVENTUALLY(consume_ended(&waiting));
  engine->methods->drain(engine);
  CHECK_EQ_INT(consume_end(&waiting), UK_OK);
  CHECK_EQ_INT(waiting.count, 0);
  close_engine();
}

/* Its session ends in time, too: its partitions go to the other instance, which waits. */
static void the_session_of_a_client_that_has_gone_ends(void)
{
  struct consume gone = consume_of("g", "a", "t"), other = consume_of("g", "b", "t");
  REQUIRE(open_engine());
  put("t", 0);
  gone.operation.settings.offset_reset = UK_RESET_LATEST;
  gone.operation.settings.session_timeout = 20;
  consume_begin(&gone, LONG);
  consume_begin(&other, LONG);
  check_owners("g/a t 0+1 g/b t 1+1 ");
  rig_sleep(5); /* the thread falls asleep */
  uk_operation_expire(&gone.operation.operation);
  engine->methods->consume_expired(engine, &gone.operation);
  CHECK_EQ_INT(consume_wait(&gone), UK_OK);
  CHECK_EQ_INT(gone.count, 0);
  CHECK_EVENTUALLY(consume_ended(&other));
  engine->methods->drain(engine);
  CHECK_EQ_INT(consume_end(&other), UK_OK);
  CHECK_EQ_INT(other.count, 1);
  close_engine();
}

/* A call that makes something due earlier wakes the thread, which would sleep for LONG. */

static const struct uk_consumer_settings soon = {.auto_commit = true,
                                                 .auto_commit_interval = 20,
                                                 .offset_reset = UK_RESET_EARLIEST,
                                                 .session_timeout = LONG};

/* Waits until the thread sleeps until the end of a session: it has nothing earlier to do. */
static void settle(const char *group, const char *topic, int32_t partition, int64_t offset)
{
  CHECK_EVENTUALLY(committed(group, topic, partition) == offset);
}

static void a_commit_makes_the_auto_commit_due(void)
{
  struct uk_topic_partition_offset other = at("u", 0, 1);
  char message[UK_MESSAGE_SIZE];
  struct consume consume = consume_of("g", "i", "t");
  REQUIRE(open_engine());
  put("u", 0);
  for (int i = 0; i < 3; i++)
    put("t", 0);
  consume.operation.settings = soon;
  consume_begin(&consume, 0);
  CHECK_EQ_INT(consume_end(&consume), UK_OK);
  CHECK_EQ_INT(consume.count, 3);
  rig_sleep(5); /* the thread falls asleep; an earlier commit finds fewer faults */
  CHECK_EQ_INT(commit("g", "i", &other, 1, message), UK_OK);
  CHECK_EVENTUALLY(committed("g", "t", 0) == 3); /* no other request comes */
  close_engine();
}

/* The next owner's `latest` is to be committed. */
static void a_deletion_makes_the_next_owners_commit_due(void)
{
  char message[UK_MESSAGE_SIZE];
  struct consume a = consume_of("g", "a", "t"), b = consume_of("g", "b", "t");
  REQUIRE(open_engine());
  for (int i = 0; i < 5; i++)
    put("t", 0);
  a.operation.settings.offset_reset = UK_RESET_LATEST;
  b.operation.settings = soon;
  b.operation.settings.offset_reset = UK_RESET_LATEST;
  consume_begin(&a, 0);
  CHECK_EQ_INT(consume_end(&a), UK_OK);
  consume_begin(&b, 0);
  CHECK_EQ_INT(consume_end(&b), UK_OK);
  settle("g", "t", 1, 0);
  CHECK_EQ_INT(committed("g", "t", 0), -1);
  rig_sleep(5);
  CHECK_EQ_INT(delete_consumer("g", "a", message), UK_OK);
  settle("g", "t", 0, 5);
  close_engine();
}

/* The consume that waited for the response acknowledges it. Where that takes longer than the
 * interval, the commit is made at once. */
static void a_written_response_makes_the_auto_commit_due(void)
{
  struct consume first = consume_of("g", "i", "t"), next = first;
  REQUIRE(open_engine());
  for (int i = 0; i < 5; i++)
    put("t", 1);
  first.operation.settings = soon;
  first.operation.settings.auto_commit_interval = 200;
  consume_begin(&first, 0);
  CHECK_EQ_INT(consume_wait(&first), UK_OK);
  CHECK_EQ_INT(first.count, 5);
  consume_begin(&next, LONG);
  rig_sleep(5); /* the thread falls asleep */
  CHECK_EQ_INT(committed("g", "t", 1), -1);
  engine->methods->response_finished(engine, uk_slice_text("g"), uk_slice_text("i"),
                                     first.operation.delivery, UK_RESPONSE_WRITTEN);
  settle("g", "t", 1, 5);
  engine->methods->drain(engine);
  CHECK_EQ_INT(consume_end(&next), UK_OK);
  close_engine();
}

/* Fetches. */

struct fetch {
  struct uk_fetch operation;
  struct rig_call call;
  struct uk_topic_partition_offset at[3];
  bool unwanted;
  size_t limit, count, length;
  char text[500];
};

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct fetch *fetch = (struct fetch *)operation;
  if (fetch->limit > 0 && fetch->count == fetch->limit)
    return false;
  fetch->count++;
  fetch->length += (size_t)snprintf(fetch->text + fetch->length, sizeof fetch->text - fetch->length,
                                    "%.*s/%d/%d ", (int)record->topic.length, record->topic.data,
                                    (int)record->partition, (int)record->offset);
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  return !((struct fetch *)operation)->unwanted;
}

static void fetch_begin(struct fetch *fetch, size_t count, int timeout)
{
  fetch->operation.positions = fetch->at;
  fetch->operation.count = count;
  fetch->operation.sink = (struct uk_sink){take, is_client_alive};
  fetch->operation.operation.deadline = uk_clock_monotonic() + timeout;
  rig_call_init(&fetch->call, &fetch->operation.operation);
  engine->methods->fetch(engine, &fetch->operation);
}

static const char *fetch_end(struct fetch *fetch)
{
  engine->methods->drain(engine); /* ends what waits */
  rig_call_wait(&fetch->call, &fetch->operation.operation);
  return fetch->operation.operation.error == UK_OK ? fetch->text
                                                   : fetch->operation.operation.message;
}

/* One position with records is enough, wherever it is in the list. */
static void a_fetch_waits_only_if_no_position_has_records(void)
{
  static const int64_t offsets[][3] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
  for (size_t i = 0; i < 3; i++) {
    struct uk_create_topic create = {.topic = uk_slice_text("t"), .partitions = 3};
    char want[20];
    REQUIRE(open_engine());
    CALL(create_topic, &create);
    for (int32_t j = 0; j < 3; j++)
      put("t", j);
    struct fetch fetch = {
      .at = {at("t", 0, offsets[i][0]), at("t", 1, offsets[i][1]), at("t", 2, offsets[i][2])}};
    fetch_begin(&fetch, 3, LONG);
    snprintf(want, sizeof want, "t/%zu/0 ", i);
    CHECK_EQ_STR(fetch_end(&fetch), want);
    close_engine();
  }
}

static void a_fetch_of_a_topic_with_one_partition(void)
{
  struct uk_create_topic create = {.topic = uk_slice_text("t"), .partitions = 1};
  struct fetch fetch = {.at = {at("t", 1, 0)}};
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  fetch_begin(&fetch, 1, 0);
  CHECK_EQ_STR(fetch_end(&fetch), "topic \"t\" has no partition 1; it has 1");
  CHECK_EQ_INT(fetch.operation.operation.error, UK_E_BAD_REQUEST);
  close_engine();
}

/* Offset 0 is valid until it is removed; it is not negative. */
static void a_fetch_of_a_removed_first_offset(void)
{
  struct uk_create_topic create = {.topic = uk_slice_text("t"),
                                   .partitions = 1,
                                   .has_retention_bytes = true,
                                   .retention_bytes = 0};
  struct fetch fetch;
  int waited = 0;
  REQUIRE(open_engine());
  CALL(create_topic, &create);
  put("t", 0);
  do {
    fetch = (struct fetch){.at = {at("t", 0, 0)}};
    fetch_begin(&fetch, 1, 0);
    fetch_end(&fetch);
  } while (fetch.operation.operation.error == UK_OK && check_pause(&waited));
  CHECK_EQ_INT(fetch.operation.operation.error, UK_E_BAD_REQUEST);
  CHECK_EQ_STR(fetch.operation.operation.message,
               "offset 0 of topic \"t\" partition 0 is below the first kept offset (range 1 to 1)");
  close_engine();
}

/* A record larger than the quantum uses it up, and no more than one quantum. */
static void a_record_larger_than_the_quantum(void)
{
  char message[UK_MESSAGE_SIZE];
  REQUIRE(open_engine());
  for (int i = 0; i < 2; i++)
    CHECK_EQ_INT(produce("t", 0, (256 << 10) + 1, message), UK_OK);
  put("t", 1);
  struct fetch fetch = {.at = {at("t", 0, 0), at("t", 1, 0)}};
  fetch_begin(&fetch, 2, 0);
  CHECK_EQ_STR(fetch_end(&fetch), "t/0/0 t/1/0 t/0/1 ");
  close_engine();
}

/* Only a fetch with several positions moves the start of the next one. */
static void a_fetch_of_one_position_leaves_the_turns_alone(void)
{
  REQUIRE(open_engine());
  for (int32_t i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      put("t", i);
  struct fetch one = {.at = {at("t", 0, 0)}, .limit = 1};
  fetch_begin(&one, 1, 0);
  CHECK_EQ_STR(fetch_end(&one), "t/0/0 ");
  struct fetch two = {.at = {at("t", 0, 0), at("t", 1, 0)}, .limit = 1};
  fetch_begin(&two, 2, 0);
  CHECK_EQ_STR(fetch_end(&two), "t/0/0 ");
  close_engine();
}

static void a_fetch_of_a_client_that_left_says_so(void)
{
  struct fetch fetch = {.at = {at("t", 0, 0)}, .unwanted = true};
  REQUIRE(open_engine());
  put("t", 0);
  fetch_begin(&fetch, 1, 0);
  CHECK_EQ_STR(fetch_end(&fetch), "the client has gone");
  CHECK_EQ_INT(fetch.operation.operation.error, UK_E_CANCELLED);
  close_engine();
}

int main(void)
{
  CHECK_RUN(a_full_log_is_unhealthy);
  CHECK_RUN(topics_have_the_default_number_of_partitions);
  CHECK_RUN(lists_its_topics);
  CHECK_RUN(several_offsets_at_once);
  CHECK_RUN(the_earliest_offset_is_the_first_kept_one);
  CHECK_RUN(a_commit_of_several_topics);
  CHECK_RUN(a_refused_commit_says_why);
  CHECK_RUN(instances_are_listed_and_deleted);
  CHECK_RUN(a_consume_whose_commits_are_refused_says_why_and_creates_nothing);
  CHECK_RUN(the_commits_of_a_consume_move_forward);
  CHECK_RUN(a_conflict_creates_no_topic);
  CHECK_RUN(a_batch_comes_again_from_the_log);
  CHECK_RUN(a_consume_creates_each_missing_topic);
  CHECK_RUN(a_drain_ends_a_waiting_consume);
  CHECK_RUN(a_consume_whose_client_has_gone_ends);
  CHECK_RUN(the_session_of_a_client_that_has_gone_ends);
  CHECK_RUN(a_commit_makes_the_auto_commit_due);
  CHECK_RUN(a_deletion_makes_the_next_owners_commit_due);
  CHECK_RUN(a_written_response_makes_the_auto_commit_due);
  CHECK_RUN(a_fetch_waits_only_if_no_position_has_records);
  CHECK_RUN(a_fetch_of_a_topic_with_one_partition);
  CHECK_RUN(a_fetch_of_a_removed_first_offset);
  CHECK_RUN(a_record_larger_than_the_quantum);
  CHECK_RUN(a_fetch_of_one_position_leaves_the_turns_alone);
  CHECK_RUN(a_fetch_of_a_client_that_left_says_so);
  return check_end();
}
