/* for: kafka_record_reader.c, kafka_event.c
 *
 * A1: when the reader of records reads, asks for leaders, gives up and closes its handle.
 * librdkafka and the clock are the test's. */
#include "server/kafka_engine/cluster/kafka_record_reader.h"

#include "counted_conf.h"
#include "fake_kafka_reader.h"
#include "fault.h"

enum {
  TIMEOUT = 500000,    /* of a query, where the deadline does not matter */
  KICK_PAUSE = 100,    /* milliseconds between two requests for leaders */
  READS_MOST = 64,     /* partitions at a time */
  HANDLE_IDLE = 60000, /* milliseconds that an unused handle is kept */
  PLACES = 70
};

static struct {
  struct uk_kafka_record_reader *reader;
  char log[400];  /* the topics whose leaders were asked for */
  int metadata;   /* answers that were not destroyed */
  int callbacks;  /* handles that get OAuth tokens in the background */
  int32_t broker; /* that records come from */
} fake;

static struct uk_kafka_settings *settings;

#define CHECK_KICKED(wanted)                                                                       \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes. */

/* A record is read alone, and no read waits for the one before it. */
rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  static const char *const wanted[][2] = {
    {"fetch.wait.max.ms", "1"},          {"fetch.min.bytes", "1"},
    {"queued.min.messages", "1"},        {"topic.metadata.propagation.max.ms", "1000"},
    {"auto.offset.reset", "error"},      {"client.id", "upstash-kafka"},
    {"fetch.message.max.bytes", "16384"}};
  CHECK_EQ_INT(type, RD_KAFKA_CONSUMER);
  if (reader.refuses_handles) {
    snprintf(text, size, "refused");
    return NULL;
  }
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    char value[64] = "";
    size_t length = sizeof value;
    CHECK_EQ_INT(rd_kafka_conf_get(conf, wanted[i][0], value, &length), RD_KAFKA_CONF_OK);
    CHECK_EQ_STR(value, wanted[i][1]);
  }
  rd_kafka_conf_destroy(conf);
  reader.handles[reader.opened].open = true;
  return (rd_kafka_t *)&reader.handles[reader.opened++];
}

rd_kafka_error_t *rd_kafka_sasl_background_callbacks_enable(rd_kafka_t *handle)
{
  CHECK(((struct reader_handle *)handle)->open);
  fake.callbacks++;
  return NULL;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *handle, int all, rd_kafka_topic_t *topic,
                                      const struct rd_kafka_metadata **metadata, int timeout)
{
  size_t length = strlen(fake.log);
  CHECK(((struct reader_handle *)handle)->open);
  CHECK_EQ_INT(all, 0);
  CHECK_EQ_INT(timeout, 1); /* it blocks the task */
  snprintf(fake.log + length, sizeof fake.log - length, "%s ", rd_kafka_topic_name(topic));
  fake.metadata++;
  *metadata = (const struct rd_kafka_metadata *)&fake;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
  CHECK(metadata == (const struct rd_kafka_metadata *)&fake);
  fake.metadata--;
}

int32_t rd_kafka_message_broker_id(const rd_kafka_message_t *message)
{
  (void)message;
  return fake.broker;
}

/* Steps of a test. */

struct asked {
  struct uk_kafka_record_query query; /* first */
  struct uk_kafka_record_place places[PLACES];
  int dones;
};

static struct asked asked[3];

static void answered(struct uk_kafka_query *query)
{
  ((struct asked *)query)->dones++;
}

static void add(size_t i, const char *topic, int32_t partition, int64_t offset)
{
  struct uk_kafka_record_place *place = &asked[i].places[asked[i].query.count++];
  memset(place, 0x5a, sizeof *place); /* left from something else */
  place->topic = uk_kafka_name(uk_slice_text(topic));
  place->partition = partition;
  place->offset = offset;
}

static void run_now(void)
{
  reader_run(reader.now);
}

static void ask(size_t i, int64_t timeout)
{
  asked[i].query.places = asked[i].places;
  asked[i].query.query.deadline = reader.now + timeout;
  asked[i].query.query.then = answered;
  asked[i].query.query.code = RD_KAFKA_RESP_ERR_UNKNOWN;
  uk_kafka_record_reader_ask(fake.reader, &asked[i].query);
}

static void ask_for(size_t i, const char *topic, int32_t partition, int64_t offset, int64_t timeout)
{
  asked[i] = (struct asked){.dones = 0};
  add(i, topic, partition, offset);
  ask(i, timeout);
  run_now();
}

static void check_place(size_t i, size_t place, rd_kafka_resp_err_t code, int64_t offset,
                        int64_t ended_at)
{
  const struct uk_kafka_record_place *at = &asked[i].places[place];
  CHECK_EQ_INT(at->code, code);
  CHECK_EQ_INT(at->seen.offset, offset);
  CHECK_EQ_INT(at->seen.ended_at, ended_at);
  CHECK_EQ_INT(at->seen.first, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(at->seen.end, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(at->broker, offset >= 0 ? fake.broker : -1);
}

static void check_done(size_t i)
{
  CHECK_EQ_INT(asked[i].dones, 1);
  CHECK_EQ_INT(asked[i].query.query.code, 0);
}

static void check_answer(size_t i, rd_kafka_resp_err_t code, int64_t offset, int64_t ended_at)
{
  check_done(i);
  check_place(i, 0, code, offset, ended_at);
}

static void read_one(const char *topic)
{
  ask_for(2, topic, 9, 3, TIMEOUT);
  reader_record(topic, 9, 3, 1);
  run_now();
  check_answer(2, 0, 3, UK_RECORD_UNSEEN);
}

/* What is read. */

static void A1_the_first_record_at_or_after_the_offset_is_the_answer(void)
{
  static const char value[4] = "";
  fake.broker = 7;
  ask_for(0, "t", 2, 5, TIMEOUT);
  CHECK_EQ_INT(reader_offset("t", 2), 5);
  CHECK_EQ_INT(fake.callbacks, 1);
  reader_record("t", 2, 4, 1); /* a broker sends whole batches */
  run_now();
  CHECK_EQ_INT(asked[0].dones, 0);
  reader_record("t", 2, 6, sizeof value);
  reader_record("t", 2, 7, 1);
  run_now();
  check_answer(0, 0, 6, UK_RECORD_UNSEEN);
  const struct uk_record record = {
    .timestamp = 60, .has_value = true, .value = {value, sizeof value}};
  const struct uk_record_mark mark = uk_record_mark_of(&record);
  CHECK(uk_record_mark_equal(&asked[0].places[0].seen.mark, &mark));
  CHECK_EQ_INT(reader.stops, 1);
  CHECK_EQ_INT(reader.live, 1); /* the queue */
}

static void A1_an_answer_may_be_that_there_is_no_record(void)
{
  static const struct {
    rd_kafka_resp_err_t event, code;
    bool ends;
  } rows[] = {
    {RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, true},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 0, false}, /* out of range */
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
     false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask_for(0, "t", 0, 5, TIMEOUT);
    reader_code("t", 0, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 5); /* that passes */
    reader_code("t", 0, RD_KAFKA_RESP_ERR__TRANSPORT, 5);
    run_now();
    CHECK_EQ_INT(asked[0].dones, 0);
    reader_code("t", 0, rows[i].event, 4);
    run_now();
    check_answer(0, rows[i].code, UK_RECORD_UNSEEN, rows[i].ends ? 4 : UK_RECORD_UNSEEN);
    CHECK_EQ_INT(reader.read_count, 0);
  }
}

/* The event of another partition, or of none, answers nothing. */
static void A1_an_event_belongs_to_one_place(void)
{
  reader.headers = 1;
  asked[0] = (struct asked){.dones = 0};
  add(0, "t", 0, 5);
  add(0, "t", 1, 6);
  add(0, "u", 0, 7);
  ask(0, TIMEOUT);
  run_now();
  CHECK_EQ_INT(reader.read_count, 3);
  reader_record("u", 0, 7, 1);
  run_now();
  CHECK_EQ_INT(reader_offset("u", 0), -1);
  reader_end("t", 1, 6);
  reader_code("t", 1, RD_KAFKA_RESP_ERR_UNKNOWN, 0); /* nobody waits for it any more */
  run_now();
  CHECK_EQ_INT(asked[0].dones, 0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_UNKNOWN, 0);
  reader.queues[0].first->has_place = false;
  run_now();
  CHECK_EQ_INT(asked[0].dones, 0);
  reader_record("t", 0, 5, 1);
  run_now();
  check_done(0);
  check_place(0, 0, 0, 5, UK_RECORD_UNSEEN);
  check_place(0, 1, 0, UK_RECORD_UNSEEN, 6);
  check_place(0, 2, 0, 7, UK_RECORD_UNSEEN);
}

/* How much at a time. */

static void A1_sixty_four_partitions_are_read_at_a_time(void)
{
  asked[0] = (struct asked){.dones = 0};
  for (int32_t i = 0; i < PLACES; i++)
    add(0, "t", i, 5);
  ask(0, TIMEOUT);
  run_now();
  CHECK_EQ_INT(reader.read_count, READS_MOST);
  for (int32_t i = 0; i < PLACES; i++) {
    CHECK_EQ_INT(reader_offset("t", i), 5);
    reader_record("t", i, 5, 1);
    run_now();
    CHECK_EQ_INT(reader.read_count, i < PLACES - READS_MOST ? READS_MOST : PLACES - 1 - i);
  }
  check_done(0);
}

static void A1_a_partition_is_read_for_one_query_at_a_time(void)
{
  ask_for(0, "t", 0, 5, TIMEOUT);
  asked[1] = (struct asked){.dones = 0};
  add(1, "t", 0, 8);
  add(1, "t", 1, 9);
  ask(1, TIMEOUT);
  run_now();
  CHECK_EQ_INT(reader.starts, 2);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
  CHECK_EQ_INT(reader_offset("t", 1), 9);
  reader_record("t", 0, 5, 1);
  run_now();
  check_answer(0, 0, 5, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(reader_offset("t", 0), 8);
  reader_record("t", 0, 8, 1);
  reader_record("t", 1, 9, 1);
  run_now();
  check_done(1);
}

/* Leaders. */

/* A topic that was read once has its leaders, as long as the handle lives. */
static void A1_leaders_of_a_new_topic_are_asked_for_at_once(void)
{
  read_one("t");
  CHECK_KICKED("t ");
  read_one("t");
  CHECK_KICKED("");
  read_one("u");
  CHECK_KICKED("u ");
  ask_for(0, "gone", 0, 5, TIMEOUT);
  reader_code("gone", 0, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  run_now();
  ask_for(0, "gone", 0, 5, TIMEOUT);
  CHECK_KICKED("gone gone ");
  reader_end("gone", 0, 5);
  run_now();
  reader_run(reader.now + HANDLE_IDLE);
  read_one("t"); /* on another handle */
  CHECK_KICKED("t ");
  CHECK_EQ_INT(reader.opened, 2);
}

/* Those of the place that waits for the longest. A query that comes meanwhile delays nothing. */
static void A1_leaders_are_asked_for_again_while_a_read_takes_long(void)
{
  read_one("t");
  read_one("u");
  ask_for(0, "t", 0, 5, TIMEOUT);
  fake.log[0] = '\0';
  reader_run(READER_NOW + KICK_PAUSE - 1);
  ask_for(1, "u", 0, 5, TIMEOUT);
  CHECK_KICKED("");
  reader_run(READER_NOW + KICK_PAUSE);
  CHECK_KICKED("t ");
  run_now();
  reader_run(READER_NOW + 2 * KICK_PAUSE - 1);
  CHECK_KICKED("");
  reader_record("t", 0, 5, 1);
  reader_run(READER_NOW + 2 * KICK_PAUSE);
  CHECK_KICKED("u ");
  reader_record("u", 0, 5, 1);
  run_now();
  reader_run(READER_NOW + 10 * KICK_PAUSE);
  CHECK_KICKED(""); /* nothing is being read */
  ask_for(0, "t", 0, 6, TIMEOUT);
  CHECK_KICKED(""); /* it has the whole pause */
  reader_run(READER_NOW + 11 * KICK_PAUSE - 1);
  CHECK_KICKED("");
  reader_run(READER_NOW + 11 * KICK_PAUSE);
  CHECK_KICKED("t ");
  reader_record("t", 0, 6, 1);
  run_now();
}

/* Deadlines. */

/* While it reads, every five milliseconds. */
static void A1_threads_of_librdkafka_do_not_sleep_while_it_reads(void)
{
  ask_for(0, "t", 0, 5, TIMEOUT);
  int nudges = reader.nudges;
  CHECK(nudges > 0);
  reader_run(READER_NOW + 4);
  CHECK_EQ_INT(reader.nudges, nudges);
  reader_run(READER_NOW + 5);
  CHECK_EQ_INT(reader.nudges, nudges + 1);
  reader_record("t", 0, 5, 1);
  run_now();
  check_answer(0, 0, 5, UK_RECORD_UNSEEN);
  nudges = reader.nudges;
  reader_run(READER_NOW + 100);
  CHECK_EQ_INT(reader.nudges, nudges);
}

static void A1_each_query_has_its_own_deadline(void)
{
  ask_for(0, "t", 0, 5, 30);
  asked[1] = (struct asked){.dones = 0};
  add(1, "u", 0, 6);
  add(1, "u", 1, 7);
  ask(1, 20);
  run_now();
  ask_for(2, "v", 0, 8, 40);
  reader_record("u", 0, 6, 1);
  run_now();
  reader_run(READER_NOW + 19);
  CHECK_EQ_INT(asked[1].dones, 0);
  reader_run(READER_NOW + 20);
  check_done(1);
  check_place(1, 0, 0, 6, UK_RECORD_UNSEEN);
  check_place(1, 1, RD_KAFKA_RESP_ERR__TIMED_OUT, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(reader_offset("u", 1), -1);
  CHECK_EQ_INT(asked[0].dones + asked[2].dones, 0);
  reader_run(READER_NOW + 30);
  check_answer(0, RD_KAFKA_RESP_ERR__TIMED_OUT, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(asked[2].dones, 0);
  reader_run(READER_NOW + 40);
  check_answer(2, RD_KAFKA_RESP_ERR__TIMED_OUT, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
}

/* Also a place that is not being read yet. */
static void A1_what_waits_is_read_when_something_late_makes_room(void)
{
  ask_for(0, "t", 0, 5, 20);
  ask_for(1, "t", 0, 6, 10);
  ask_for(2, "t", 0, 7, TIMEOUT);
  reader_run(READER_NOW + 10);
  check_answer(1, RD_KAFKA_RESP_ERR__TIMED_OUT, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
  reader_run(READER_NOW + 20);
  check_answer(0, RD_KAFKA_RESP_ERR__TIMED_OUT, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(reader_offset("t", 0), 7);
  reader_record("t", 0, 7, 1);
  run_now();
  check_answer(2, 0, 7, UK_RECORD_UNSEEN);
}

static void A1_a_handle_is_kept_for_a_minute_after_its_last_query(void)
{
  asked[0] = (struct asked){.dones = 0};
  ask(0, TIMEOUT); /* for nothing, which needs none */
  run_now();
  check_done(0);
  CHECK_EQ_INT(reader.opened, 0);
  read_one("t");
  reader_run(READER_NOW + 30000);
  ask_for(0, "t", 0, 5, TIMEOUT);
  reader_run(READER_NOW + 100000); /* a read that takes longer */
  reader_record("t", 0, 5, 1);
  run_now();
  check_done(0);
  CHECK_EQ_INT(reader.reaped, 0);
  read_one("t");
  reader_run(READER_NOW + 100000 + HANDLE_IDLE - 1);
  CHECK_EQ_INT(reader.reaped, 0);
  reader_run(READER_NOW + 100000 + HANDLE_IDLE);
  CHECK_EQ_INT(reader.reaped, 1);
  CHECK_EQ_INT(reader.live, 0);
  read_one("t");
  CHECK_EQ_INT(reader.opened, 2);
  CHECK_EQ_INT(fake.callbacks, 2);
}

static void A1_what_cannot_be_read_fails(void)
{
  reader.refuses_handles = true;
  ask_for(0, "t", 0, 5, TIMEOUT);
  check_answer(0, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  reader.refuses_handles = false;
  reader.refuses = "t";
  ask_for(0, "t", 0, 5, TIMEOUT);
  check_answer(0, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  reader.refuses = NULL;
  CHECK_KICKED("");
  fault_at(1); /* the topic */
  ask_for(0, "t", 0, 5, TIMEOUT);
  fault_off();
  check_answer(0, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  ask_for(0, "t", 0, 5, TIMEOUT);
  reader.headers = 2;
  reader_record("t", 0, 5, 1);
  fault_at(1); /* the record's headers */
  run_now();
  fault_off();
  check_answer(0, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
}

/* What is being read, what waits for that, and what has just been asked for. */
static void A1_the_end_answers_everything_and_starts_nothing(void)
{
  ask_for(0, "t", 0, 5, TIMEOUT);
  ask_for(1, "t", 0, 6, TIMEOUT);
  asked[2] = (struct asked){.dones = 0};
  add(2, "u", 0, 7);
  ask(2, TIMEOUT);
  uk_kafka_record_reader_free(fake.reader);
  fake.reader = NULL;
  for (size_t i = 0; i < 3; i++)
    check_answer(i, RD_KAFKA_RESP_ERR__DESTROY, UK_RECORD_UNSEEN, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(reader.starts, 1);
}

/* Each case has its own reader, and leaves nothing behind. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  int confs = atomic_load(&counted_confs);
  memset(&fake, 0, sizeof fake);
  REQUIRE(reader_open());
  reader.settings = settings;
  fake.reader = uk_kafka_record_reader_new(settings, reader.executor,
                                           (struct uk_kafka_reaper *)(void *)&reader);
  REQUIRE(fake.reader != NULL);
  reader_run(READER_NOW);
  current();
  if (fake.reader != NULL)
    uk_kafka_record_reader_free(fake.reader);
  reader_close();
  CHECK_EQ_INT(counted_confs, confs);
  CHECK_EQ_INT(fake.metadata, 0);
  CHECK_EQ_INT(fault_live(), live);
}

#define RUN(test) (current = (test), check_run(#test, run_current))

int main(void)
{
  char message[UK_MESSAGE_SIZE];
  const struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 1 << 20};
  if (uk_kafka_settings_new(&settings, &options, message, sizeof message) != UK_OK)
    return 1;
  RUN(A1_the_first_record_at_or_after_the_offset_is_the_answer);
  RUN(A1_an_answer_may_be_that_there_is_no_record);
  RUN(A1_an_event_belongs_to_one_place);
  RUN(A1_sixty_four_partitions_are_read_at_a_time);
  RUN(A1_a_partition_is_read_for_one_query_at_a_time);
  RUN(A1_leaders_of_a_new_topic_are_asked_for_at_once);
  RUN(A1_leaders_are_asked_for_again_while_a_read_takes_long);
  RUN(A1_threads_of_librdkafka_do_not_sleep_while_it_reads);
  RUN(A1_each_query_has_its_own_deadline);
  RUN(A1_what_waits_is_read_when_something_late_makes_room);
  RUN(A1_a_handle_is_kept_for_a_minute_after_its_last_query);
  RUN(A1_what_cannot_be_read_fails);
  RUN(A1_the_end_answers_everything_and_starts_nothing);
  uk_kafka_settings_free(settings);
  return check_end();
}
