/* for: kafka_keys.c
 *
 * The topic and the producer are fakes. */
#include "server/kafka_engine/produce/kafka_keys.h"

#include <stdio.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "server/kafka_engine/produce/kafka_key_topic.h"
#include "server/kafka_engine/produce/kafka_keyed_produce.h"

static struct {
  struct uk_kafka_key_topic_parts topic;
  bool open, shared;
  int frees, shares;
  struct uk_produce *produced;
} fake;

static char topic_, producer_, settings_, executor_, blocking_, reaper_;

struct uk_kafka_key_topic *uk_kafka_key_topic_new(const struct uk_kafka_key_topic_parts *parts)
{
  fake.topic = *parts;
  return (struct uk_kafka_key_topic *)(void *)&topic_;
}

void uk_kafka_key_topic_free(struct uk_kafka_key_topic *topic)
{
  CHECK((void *)topic == &topic_);
  fake.frees++;
}

bool uk_kafka_key_topic_await(struct uk_kafka_key_topic *topic, struct uk_produce *operation)
{
  (void)operation;
  CHECK((void *)topic == &topic_);
  return fake.open;
}

void uk_kafka_key_topic_share(struct uk_kafka_key_topic *topic, const struct uk_produce *operation)
{
  CHECK((void *)topic == &topic_);
  CHECK_EQ_SLICE(operation->key.key, "k");
  fake.shares++;
}

bool uk_kafka_key_topic_is_shared(struct uk_kafka_key_topic *topic, char *text, size_t size)
{
  CHECK((void *)topic == &topic_);
  snprintf(text, size, "not shared");
  return fake.shared;
}

void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  CHECK((void *)producer == &producer_);
  fake.produced = operation;
}

static bool creates = true;

static struct uk_kafka_keys *open_keys(void)
{
  const struct uk_kafka_keys_parts parts = {.settings = (void *)&settings_,
                                            .control = NULL,
                                            .executor = (void *)&executor_,
                                            .blocking = (void *)&blocking_,
                                            .reaper = (void *)&reaper_,
                                            .producer = (void *)&producer_,
                                            .window = 600000,
                                            .create = creates};
  memset(&fake, 0, sizeof fake);
  return uk_kafka_keys_new(&parts);
}

static int dones;

static void on_done(struct uk_operation *operation)
{
  (void)operation;
  dones++;
}

static struct uk_record record;

static struct uk_produce keyed(void)
{
  struct uk_produce operation = {.operation.done = on_done, .records = &record, .count = 1};
  operation.key.key = uk_slice_text("k");
  return operation;
}

static void the_topic_is_given_what_it_needs(void)
{
  creates = !creates;
  struct uk_kafka_keys *keys = open_keys();
  REQUIRE(keys != NULL);
  CHECK((void *)fake.topic.settings == &settings_ && (void *)fake.topic.executor == &executor_);
  CHECK((void *)fake.topic.blocking == &blocking_ && (void *)fake.topic.reaper == &reaper_);
  CHECK((void *)fake.topic.producer == &producer_ && fake.topic.keys != NULL);
  CHECK_EQ_INT(fake.topic.window, 600000);
  CHECK_EQ_INT(fake.topic.create, creates);
  uk_kafka_keys_free(keys);
  CHECK_EQ_INT(fake.frees, 1);
}

static void finish_produced(int64_t offset)
{
  REQUIRE(fake.produced != NULL);
  struct uk_produce *produced = fake.produced;
  fake.produced = NULL;
  produced->records[0].offset = offset;
  produced->operation.done(&produced->operation);
}

static void a_produce_may_wait_for_the_topic(void)
{
  struct uk_kafka_keys *keys = open_keys();
  struct uk_produce first = keyed(), repeat = keyed();
  dones = 0;
  uk_kafka_keys_produce(keys, &first);
  CHECK(fake.produced == NULL);
  fake.topic.ready(fake.topic.context, &first);
  finish_produced(3);
  CHECK_EQ_INT(dones, 1);
  CHECK_EQ_INT(fake.shares, 1);
  fake.open = true;
  uk_kafka_keys_produce(keys, &repeat);
  CHECK(repeat.replayed && fake.produced == NULL);
  CHECK_EQ_INT(dones, 2);
  CHECK_EQ_INT(fake.shares, 1);
  uk_kafka_keys_free(keys);
}

static void the_note_says_what_is_wrong(void)
{
  char text[UK_MESSAGE_SIZE] = "before";
  struct uk_kafka_keys *keys = open_keys();
  fake.shared = true;
  uk_kafka_keys_note(keys, text, sizeof text);
  CHECK_EQ_STR(text, "");
  fake.shared = false;
  uk_kafka_keys_note(keys, text, sizeof text);
  CHECK_EQ_STR(text, "not shared");
  uk_kafka_keys_free(keys);
}

/* With keys whose answers are so long that half of all bytes are too many for one user. */
static void the_note_says_that_the_window_is_smaller(void)
{
  enum { LENGTH = 1 << 20 };
  static char answer[LENGTH];
  char text[UK_MESSAGE_SIZE];
  struct uk_kafka_keys *keys = open_keys();
  int64_t now = uk_clock_monotonic();
  fake.shared = true;
  for (int i = 0; i < UK_KAFKA_USER_KEYS_BYTES_MAX / LENGTH; i++) {
    struct uk_produce operation = keyed();
    char name[12];
    snprintf(name, sizeof name, "%d", i);
    operation.key.key = uk_slice_text(name);
    CHECK(uk_produce_keys_learn(fake.topic.keys, &operation.key, uk_slice_of(answer, LENGTH),
                                now - 5500, now));
  }
  uk_kafka_keys_note(keys, text, sizeof text);
  CHECK_EQ_STR(text, "repeated requests are recognized for 5 s, not for 600 s: there are more "
                     "idempotency keys than fit");
  uk_kafka_keys_free(keys);
}

/* Nor has one user more than half of all keys, however short their answers are. */
static void the_note_says_that_there_are_too_many_keys(void)
{
  char text[UK_MESSAGE_SIZE];
  struct uk_kafka_keys *keys = open_keys();
  int64_t now = uk_clock_monotonic();
  fake.shared = true;
  for (int i = 0; i <= UK_KAFKA_USER_KEYS_MAX; i++) {
    struct uk_produce operation = keyed();
    char name[12];
    snprintf(name, sizeof name, "%d", i);
    operation.key.key = uk_slice_text(name);
    (void)uk_produce_keys_learn(fake.topic.keys, &operation.key, uk_slice_text("a"), now - 5500,
                                now);
    if (i < UK_KAFKA_USER_KEYS_MAX - 1)
      continue;
    uk_kafka_keys_note(keys, text, sizeof text);
    CHECK_EQ_INT(strncmp(text, "repeated", 8) == 0, i == UK_KAFKA_USER_KEYS_MAX);
  }
  uk_kafka_keys_free(keys);
}

static void without_memory(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_kafka_keys *keys = open_keys();
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(keys == NULL, hit);
    if (keys != NULL)
      uk_kafka_keys_free(keys);
  }
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(the_topic_is_given_what_it_needs);
  CHECK_RUN(the_topic_is_given_what_it_needs); /* with leave to create it, and without */
  CHECK_RUN(a_produce_may_wait_for_the_topic);
  CHECK_RUN(the_note_says_what_is_wrong);
  CHECK_RUN(the_note_says_that_the_window_is_smaller);
  CHECK_RUN(the_note_says_that_there_are_too_many_keys);
  CHECK_RUN(without_memory);
  return check_end();
}
