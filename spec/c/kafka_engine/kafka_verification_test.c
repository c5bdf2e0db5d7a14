/* for: kafka_verification.c, kafka_assigned_partition.c, kafka_missing_topics.c
 *
 * A1: positions are valid for one life of a topic. One instance, one thread; librdkafka, the
 * cluster and the clock are the test's. */
#include "check.h"
#include "fake_kafka_group.h"
#include "fault.h"

enum { TIMEOUT = 30000, INTERVAL = 5000, SESSION = 120000, LEASE = 100 }; /* milliseconds */
enum { OLD = 1, NEW = 2 };                                                /* lives of topic "t" */

static enum uk_offset_reset reset;
static bool auto_commit;

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
  } as;
  struct uk_slice topic;
  struct uk_topic_partition_offset offset;
  int dones;
  size_t count;
  int64_t first, last; /* offsets of the records that it got */
};

static uint64_t delivery; /* of the last response with records, until it has finished; 0: none */

static void done(struct uk_operation *operation)
{
  struct request *request = (struct request *)operation;
  if (request->count > 0)
    delivery = request->as.consume.delivery;
  request->dones++;
}

static void finish(bool complete)
{
  if (delivery != 0)
    uk_kafka_groups_response_finished(fake.groups, uk_slice_text("g"), uk_slice_text("one"),
                                      delivery, complete);
  delivery = 0;
  fake_settle();
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = (struct request *)operation;
  if (request->count++ == 0)
    request->first = record->offset;
  request->last = record->offset;
  return true;
}

static bool begin_again(void)
{
  if (fake.watermarks != NULL)
    fake_range(0, 0, RD_KAFKA_RESP_ERR__TIMED_OUT);
  fake_close();
  delivery = 0;
  return fake_open();
}

static void begin(struct request *request)
{
  *request = (struct request){.topic = uk_slice_text("t"), .first = -1, .last = -1};
  request->as.operation.done = done;
  request->as.operation.deadline = fake.now + TIMEOUT;
  request->as.consume.group = uk_slice_text("g");
  request->as.consume.instance = uk_slice_text("one");
}

/* The response before it has arrived. */
static void consume_of(struct request *request, const char *topic)
{
  finish(true);
  begin(request);
  request->topic = uk_slice_text(topic);
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = auto_commit,
                                                               .auto_commit_interval = INTERVAL,
                                                               .offset_reset = reset,
                                                               .session_timeout = SESSION};
  request->as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
  fake_settle();
}

static void consume(struct request *request)
{
  consume_of(request, "t");
}

/* An offset of t/0; negative: what was consumed. */
static void commit(struct request *request, int64_t offset)
{
  finish(true);
  begin(request);
  request->offset = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, offset};
  request->as.commit.offsets = &request->offset;
  request->as.commit.count = offset >= 0;
  uk_kafka_groups_commit(fake.groups, &request->as.commit);
  fake_settle();
}

/* The request ended with the records from one offset to another; with none if `first` is -1. */
static void check_got(const struct request *request, int64_t first, int64_t last)
{
  CHECK_EQ_INT(request->dones, 1);
  CHECK_EQ_INT(request->as.operation.error, UK_OK);
  CHECK_EQ_INT(request->first, first);
  CHECK_EQ_INT(request->last, last);
}

static void check_waits(const struct request *request)
{
  CHECK_EQ_INT(request->dones, 0);
}

static struct uk_kafka_assigned_partition *partition(size_t i)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  return &((struct uk_kafka_group_member *)(uintptr_t)node)->partitions.all[i];
}

static const char *note_of(int64_t offset, int64_t position, int64_t mark_life,
                           int64_t committed_life)
{
  static char text[200];
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "t", 0);
  struct uk_kafka_position_metadata metadata = {.position = position};
  if (mark_life != 0)
    metadata.mark = fake_mark(mark_life);
  if (committed_life != 0)
    metadata.committed = fake_mark(committed_life);
  at->offset = offset;
  uk_kafka_position_metadata_write(at, &metadata);
  snprintf(text, sizeof text, "%.*s", (int)at->metadata_size, (char *)at->metadata);
  rd_kafka_topic_partition_list_destroy(list);
  return text;
}

/* The life of the topic that the commit under way was made in, by its metadata; 0: it does not
 * say. */
static int64_t life_of_commit(void)
{
  if (!CHECK(fake.commit_count > 0))
    return -1;
  const struct uk_kafka_position_metadata metadata =
    uk_kafka_position_metadata_read(&fake.commit_lists[0]->elems[0]);
  for (int64_t life = OLD; life <= NEW; life++) {
    struct uk_record_mark mark = fake_mark(life);
    if (uk_record_mark_equal(&metadata.committed, &mark))
      return life;
  }
  return 0;
}

static void confirm(void)
{
  while (!uk_list_is_empty(&fake.member_queries))
    fake_answer("me");
}

static void records(int64_t from, int64_t to)
{
  for (int64_t offset = from; offset <= to; offset++)
    fake_record(0, offset);
  fake_settle();
  confirm();
}

/* An instance joins; the group has committed that offset, or nothing if it is negative. */
static void join(struct request *request, int64_t committed, const char *note)
{
  fake.asks_records = fake.asks_committed = true;
  fake.life = OLD;
  consume(request);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  if (committed >= 0)
    fake_committed_is(0, committed, note);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  confirm();
  fake.log[0] = '\0';
}

/* An instance has the records before 10, and waits for more. */
static void have_ten(struct request *request)
{
  join(request, -1, NULL);
  records(0, 9);
  check_got(request, 0, 9);
  consume(request);
  confirm();
  fake.log[0] = '\0';
}

/* What the cluster answers about the record before position 10. */
static void answer_place(int64_t life)
{
  fake_saw(0, life);
  fake_records_read();
}

/* When there are records. */

static void A1_records_wait_until_the_one_before_them_is_found_in_its_place(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 12);
  check_waits(&request);
  FAKE_DID("verify(t/0@9)");
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
  CHECK(strstr(fake.log, "seek") == NULL);
}

static void A1_another_record_before_them_means_a_new_life(void)
{
  static struct request request;
  have_ten(&request);
  fake.life = NEW;
  records(10, 12);
  FAKE_DID("verify(t/0@9)");
  answer_place(NEW);
  FAKE_DID("watermarks(t/0)");
  fake_empty(&fake.handle->records); /* as librdkafka does when it is sent elsewhere */
  fake_range(0, 13, RD_KAFKA_RESP_ERR_NO_ERROR);
  check_waits(&request);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  records(0, 12);
  check_got(&request, 0, 12);
}

/* Otherwise the record that waited would be the first of the new life. */
static void A1_a_record_that_waits_is_dropped_with_the_old_life(void)
{
  static struct request request;
  have_ten(&request);
  fake.life = NEW;
  records(10, 10);
  CHECK_EQ_INT(rd_kafka_queue_length((rd_kafka_queue_t *)&fake.handle->records), 0);
  answer_place(NEW);
  fake_range(2, 11, RD_KAFKA_RESP_ERR_NO_ERROR);
  records(2, 3);
  answer_place(NEW); /* the record at 1 is gone, but the test need not know */
  confirm();
  check_got(&request, 2, 3);
}

/* Positions in other partitions go on, and so do their records. */
static void A1_a_record_of_another_partition_is_not_dropped(void)
{
  static struct request request;
  fake.asks_records = true;
  fake.life = OLD;
  consume(&request);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_record(0, 9);
  fake_record(1, 19);
  fake_settle();
  confirm();
  CHECK_EQ_INT(request.count, 2);
  consume(&request);
  confirm();
  fake_record(1, 20);
  fake_settle();
  confirm();
  CHECK(strstr(fake.log, "verify(t/1@19) verify(t/0@9)") != NULL); /* the one that waits first */
  fake.log[0] = '\0';
  fake_saw(0, NEW);
  fake_saw(1, OLD);
  fake_records_read();
  fake_range(0, 5, RD_KAFKA_RESP_ERR_NO_ERROR);
  confirm();
  check_got(&request, 20, 20);
  CHECK_EQ_INT(partition(0)->progress.position, 0);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  CHECK(strstr(fake.log, "seek(t/1") == NULL);
}

static void A1_what_was_read_in_one_run_is_verified_once(void)
{
  static struct request first, second;
  have_ten(&first);
  consume(&second);
  records(10, 10);
  answer_place(OLD);
  confirm();
  check_got(&first, 10, 10);
  CHECK(strstr(fake.log, "verify(t/0@9)") != NULL && strstr(fake.log, "verify(t/0@10)") == NULL);
  finish(true);
  records(11, 11); /* another run */
  CHECK(strstr(fake.log, "verify(t/0@10)") != NULL);
}

/* So many records cannot be in a new topic within that time. */
static void A1_a_large_position_is_trusted_for_a_while(void)
{
  static struct request request;
  join(&request, -1, NULL);
  records(38000, 38000);
  check_got(&request, 38000, 38000);
  for (int64_t offset = 38001; offset < 38003; offset++) {
    consume(&request);
    fake_pass(18);
    records(offset, offset);
    check_got(&request, offset, offset);
  }
  CHECK(strstr(fake.log, "verify") == NULL);
  consume(&request);
  fake_pass(2);
  records(38003, 38003);
  check_waits(&request);
  CHECK(strstr(fake.log, "verify(t/0@38002)") != NULL);
}

/* Two records are delivered, the second when half of the trust in the position is gone. */
static void deliver_until_it_ages(struct request *request)
{
  join(request, -1, NULL);
  records(50000, 50000);
  check_got(request, 50000, 50000);
  consume(request);
  fake_pass(25);
  CHECK(strstr(fake.log, "verify") == NULL);
  records(50001, 50001);
  check_got(request, 50001, 50001);
  REQUIRE(strstr(fake.log, "verify(t/0@50001)") != NULL);
  fake.log[0] = '\0';
}

/* A client that reads all the time must not wait each time that the trust is gone. */
static void A1_a_position_is_verified_again_before_its_trust_is_gone(void)
{
  static struct request request;
  deliver_until_it_ages(&request);
  answer_place(OLD);
  consume(&request);
  fake_pass(49);
  records(50002, 50002);
  check_got(&request, 50002, 50002);
}

static void A1_a_position_from_which_nothing_was_delivered_does_not_age(void)
{
  static struct request request;
  deliver_until_it_ages(&request);
  answer_place(OLD);
  fake_pass(40);
  consume(&request);
  confirm();
  CHECK(strstr(fake.log, "verify") == NULL);
}

/* Another one may be a former leader. */
static void A1_only_the_broker_of_the_last_record_renews_the_trust(void)
{
  static struct request request;
  deliver_until_it_ages(&request);
  fake_place(0)->broker = fake.broker + 1;
  answer_place(OLD);
  CHECK(strstr(fake.log, "seek") == NULL);
  consume(&request);
  fake_pass(30);
  records(50002, 50002);
  check_waits(&request);
}

static void A1_a_new_life_is_noticed_before_its_records_are(void)
{
  static struct request request;
  deliver_until_it_ages(&request);
  answer_place(NEW);
  fake_range(0, 60000, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  fake.life = NEW;
  consume(&request);
  records(0, 12);
  check_got(&request, 0, 12);
}

static void A1_without_an_answer_nothing_is_delivered(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__TIMED_OUT,
                                              RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                              RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE};
  static struct request request;
  have_ten(&request);
  records(10, 12);
  FAKE_DID("verify(t/0@9)");
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    fake_saw_end(0, -1);
    fake_place(0)->code = codes[i];
    fake_records_read();
    confirm();
    check_waits(&request);
    CHECK(fake.record_query == NULL); /* not at once */
    CHECK(fake.watermarks == NULL);
    fake.log[0] = '\0';
    fake_pass(99);
    CHECK(fake.record_query == NULL);
    fake_pass(1);
    confirm();
    REQUIRE(fake.record_query != NULL);
    CHECK(strstr(fake.log, "verify(t/0@9)") != NULL);
  }
  CHECK_EQ_INT(fake.record_query->query.deadline, fake.now + 2000);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
}

/* Whichever of them got no answer. */
static void A1_one_partition_without_an_answer_is_asked_about_after_a_pause(void)
{
  for (int silent = 0; silent < 2; silent++) {
    static struct request request;
    if (silent > 0) {
      REQUIRE(begin_again());
    }
    fake.asks_records = fake.asks_committed = true;
    consume(&request);
    fake_answer(NULL);
    fake_assigned("me", "t/0 t/1");
    for (int i = 0; i < 2; i++)
      fake_committed_is(i, 10, note_of(10, 10, OLD, OLD));
    fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
    confirm();
    fake_place(silent)->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    fake_saw(1 - silent, OLD);
    fake_records_read();
    fake_pass(99);
    CHECK(fake.record_query == NULL);
    fake_pass(1);
    REQUIRE(fake.record_query != NULL);
    CHECK_EQ_INT(fake.record_query->places[0].partition, silent);
  }
}

/* The range of a partition is not another one's. */
static void A1_each_partition_has_its_own_range(void)
{
  static struct request request;
  fake.asks_records = fake.asks_committed = true;
  consume(&request);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1 t/2");
  for (int i = 0; i < 3; i++)
    fake_committed_is(i, 10, note_of(10, 10, OLD, OLD));
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  confirm();
  fake_saw(0, NEW);
  fake_saw(1, OLD);
  fake_saw(2, NEW);
  fake.log[0] = '\0';
  fake_records_read();
  struct uk_kafka_watermarks *watermarks = fake.watermarks;
  REQUIRE(watermarks != NULL);
  fake.watermarks = NULL;
  CHECK_EQ_INT(watermarks->count, 2);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_SLICE(watermarks->first[i].topic, "t");
    CHECK_EQ_SLICE(watermarks->end[i].topic, "t");
    CHECK_EQ_INT(watermarks->first[i].partition, 2 * i);
    CHECK_EQ_INT(watermarks->end[i].partition, 2 * i);
  }
  watermarks->first[0].offset = 1;
  watermarks->end[0].offset = 2;
  watermarks->first[1].offset = 3;
  watermarks->end[1].offset = 14;
  watermarks->work.query.then(&watermarks->work.query);
  fake_settle();
  CHECK(strstr(fake.log, "seek(t/0@1)") != NULL);
  CHECK(strstr(fake.log, "seek(t/1") == NULL);
  CHECK(strstr(fake.log, "seek(t/2@3)") != NULL);
  CHECK_EQ_INT(partition(1)->progress.position, 10);
}

/* The first record has one before it as soon as it was delivered. */
static void A1_the_second_record_is_verified_too(void)
{
  static struct request request;
  join(&request, -1, NULL);
  records(0, 0);
  check_got(&request, 0, 0);
  consume(&request);
  records(1, 1);
  check_waits(&request);
  CHECK(strstr(fake.log, "verify(t/0@0)") != NULL);
}

/* A record that was delivered in this run, while another partition waits. */
static void A1_what_is_in_flight_is_verified_by_its_own_mark(void)
{
  static struct request request;
  fake.asks_records = fake.asks_committed = true;
  fake.life = OLD;
  consume(&request);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(1, 10, note_of(10, 10, OLD, OLD));
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  confirm();
  REQUIRE(fake.record_query != NULL);
  CHECK_EQ_INT(fake.record_query->count, 1); /* nothing lies before the start of the other */
  fake_saw(1, OLD);
  fake_records_read();
  fake_record(0, 5);
  fake_record(1, 10);
  fake_settle();
  confirm();
  check_got(&request, 5, 5);
  fake.log[0] = '\0';
  REQUIRE(fake.record_query != NULL && fake.record_query->count == 2);
  fake_saw(0, NEW);
  fake_saw(1, OLD);
  fake_records_read();
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

static void A1_a_range_that_does_not_come_leaves_it_open(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 12);
  answer_place(NEW);
  REQUIRE(fake.watermarks != NULL);
  CHECK_EQ_INT(fake.watermarks->work.query.deadline, fake.now + 4000);
  fake_range(0, 0, RD_KAFKA_RESP_ERR__TIMED_OUT);
  fake_pass(100);
  confirm();
  CHECK(fake.record_query != NULL);
  check_waits(&request);
  CHECK_EQ_INT(partition(0)->progress.position, 10);
}

/* One that was leader may not know it yet. */
static void A1_another_broker_cannot_vouch_for_a_record(void)
{
  static struct request request;
  have_ten(&request);
  fake.broker = 2;
  records(10, 12);
  FAKE_DID("verify(t/0@9)");
  fake_place(0)->broker = 1;
  fake_empty(&fake.handle->records); /* as librdkafka does when it is sent elsewhere */
  answer_place(OLD);
  check_waits(&request);
  CHECK(strstr(fake.log, "seek(t/0@10)") != NULL);
  records(10, 12);
  fake_pass(100);
  confirm();
  answer_place(NEW);
  CHECK(fake.watermarks != NULL);
}

/* A record that waits, and the one before it, from brokers of these numbers; -1: of none. */
static void answer_from(struct request *request, int32_t waits, int32_t before)
{
  have_ten(request);
  fake.broker = waits;
  records(10, 12);
  FAKE_DID("verify(t/0@9)");
  fake_place(0)->broker = before;
  answer_place(OLD);
  confirm();
}

static void A1_the_broker_of_a_record_may_vouch_for_it(void)
{
  static const int32_t brokers[][2] = {{2, 2}, {-1, 2}, {2, -1}};
  for (size_t i = 0; i < sizeof brokers / sizeof *brokers; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    answer_from(&request, brokers[i][0], brokers[i][1]);
    check_got(&request, 10, 12);
  }
}

/* Brokers are numbered from 0 on. */
static void A1_no_other_broker_can_vouch_for_a_record(void)
{
  static const int32_t brokers[][2] = {{0, 1}, {1, 0}};
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    answer_from(&request, brokers[i][0], brokers[i][1]);
    check_waits(&request);
    CHECK(strstr(fake.log, "seek(t/0@10)") != NULL);
  }
}

/* Where followers are read. */
static void A1_another_broker_may_vouch_for_a_record_of_a_rack(void)
{
  static struct request request;
  const struct uk_kafka_property rack = {.name = "client.rack", .value = "a"};
  fake_close();
  REQUIRE(fake_open_with(&rack, 1));
  answer_from(&request, 2, 1);
  check_got(&request, 10, 12);
}

/* However large the position is. */
static void A1_another_brokers_word_earns_no_trust(void)
{
  static struct request request;
  join(&request, -1, NULL);
  records(50000, 50000);
  check_got(&request, 50000, 50000);
  consume(&request);
  fake_pass(60);
  fake.broker = 2;
  records(50001, 50001);
  check_waits(&request);
  fake_place(0)->broker = 1;
  fake_empty(&fake.handle->records);
  answer_place(OLD);
  CHECK(strstr(fake.log, "seek(t/0@50001)") != NULL);
  records(50001, 50001);
  check_waits(&request);
}

/* A look that no record waits for is the present leader's to answer. */
static void A1_a_new_leader_may_vouch_for_a_position(void)
{
  static struct request request;
  have_ten(&request);
  fake.broker = 1;
  records(10, 12);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
  consume(&request);
  confirm();
  fake.broker = 2;
  fake_pass(INTERVAL + 1000);
  confirm();
  REQUIRE(fake.record_query != NULL);
  CHECK_EQ_INT(fake_place(0)->broker, 2);
  fake.log[0] = '\0';
  answer_place(OLD);
  CHECK(strstr(fake.log, "seek") == NULL);
  CHECK(partition(0)->verified_at != 0);
}

/* Others may have read on there. */
static void A1_what_was_revoked_is_not_verified(void)
{
  static struct request request;
  have_ten(&request);
  fake_revoked(false);
  fake_pass(INTERVAL + 1000);
  CHECK(strstr(fake.log, "verify") == NULL);
}

static void A1_a_seek_that_librdkafka_refuses_is_let_go(void)
{
  static struct request request;
  have_ten(&request);
  fake.seeks_fail = true;
  records(10, 10);
  answer_place(NEW);
  fake_range(0, 11, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

/* The coordinator is asked again for the record that waits, and for no other. */
static void A1_a_look_may_outlast_the_lease(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 10);
  CHECK_EQ_INT(rd_kafka_queue_length((rd_kafka_queue_t *)&fake.handle->records), 0);
  fake.now += 3 * LEASE;
  answer_place(OLD);
  confirm();
  fake_pass(100);
  confirm();
  answer_place(OLD); /* the first look counted for its run only */
  confirm();
  check_got(&request, 10, 10);
}

/* Without records. */

static void A1_an_end_below_the_position_is_looked_into(void)
{
  static struct request request;
  have_ten(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 10);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
  fake_settle();
  confirm();
  FAKE_DID("verify(t/0@9)");
  fake_saw_end(0, -1);
  fake_records_read();
  FAKE_DID("watermarks(t/0)");
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  CHECK(!partition(0)->doubtful && !partition(0)->ended);
  fake.life = NEW;
  records(0, 2);
  check_got(&request, 0, 2);
}

/* However large the position is. */
static void A1_an_end_below_a_trusted_position_is_looked_into(void)
{
  static struct request request;
  join(&request, -1, NULL);
  records(50000, 50000);
  check_got(&request, 50000, 50000);
  consume(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
  records(50001, 50001);
  check_waits(&request);
  CHECK(strstr(fake.log, "verify(t/0@50000)") != NULL);
}

/* It has begun at the end, and read nothing yet. */
static void A1_an_end_below_the_start_is_a_new_life(void)
{
  static struct request request;
  join(&request, -1, NULL);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 10);
  fake_settle();
  confirm();
  CHECK(strstr(fake.log, "verify(t/0@9)") != NULL);
  fake_saw_end(0, -1);
  fake_records_read();
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

/* A broker that answers no look is as silent as one that sends no records. */
static void A1_a_consume_that_waits_for_a_look_is_not_empty(void)
{
  static struct request request;
  have_ten(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 10);
  fake_settle();
  CHECK(partition(0)->ended);
  records(10, 10);
  for (int64_t i = 0; i < TIMEOUT + 1000; i += 100) { /* the coordinator answers */
    fake_pass(100);
    confirm();
  }
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_INT(request.as.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(request.as.operation.message, "topic \"t\" partition 0 did not answer in time");
}

static void A1_a_record_below_the_position_is_looked_into(void)
{
  static struct request request;
  have_ten(&request);
  fake.life = NEW;
  records(3, 4); /* librdkafka went to where the new topic ended */
  check_waits(&request);
  FAKE_DID("verify(t/0@9)");
  fake_saw_end(0, -1);
  fake_records_read();
  fake_range(0, 5, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  records(0, 4);
  check_got(&request, 0, 4);
}

/* As when librdkafka was misled for a moment. */
static void A1_a_position_that_is_still_good_is_returned_to(void)
{
  static struct request request;
  have_ten(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
  fake_record(0, 10);
  fake_settle();
  confirm();
  FAKE_DID("verify(t/0@9)");
  answer_place(OLD);
  CHECK(strstr(fake.log, "seek(t/0@10)") != NULL);
  check_waits(&request); /* for what librdkafka reads anew */
  CHECK(!partition(0)->doubtful);
}

static void A1_a_topic_that_ends_where_the_old_one_did_is_seen_within_seconds(void)
{
  static struct request request;
  have_ten(&request);
  fake_pass(INTERVAL - 1);
  CHECK(strstr(fake.log, "verify") == NULL);
  fake_pass(1000);
  CHECK(strstr(fake.log, "verify(t/0@9)") != NULL);
  answer_place(NEW);
  fake_range(0, 10, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

static void A1_nobody_looks_while_nobody_waits(void)
{
  static struct request request;
  join(&request, -1, NULL);
  records(0, 9);
  check_got(&request, 0, 9);
  fake_pass(60000);
  CHECK(strstr(fake.log, "verify") == NULL);
}

/* From the new life on. */

static void A1_a_new_life_is_committed_at_once(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 10);
  answer_place(NEW);
  fake_range(0, 11, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "commit(t/0=0)") != NULL);
  CHECK_EQ_INT(life_of_commit(), 0);
}

static void A1_a_commit_says_in_which_life(void)
{
  static struct request request;
  have_ten(&request);
  fake_pass(INTERVAL);
  CHECK(strstr(fake.log, "commit(t/0=10)") != NULL);
  CHECK_EQ_INT(life_of_commit(), OLD);
}

static void A1_a_commit_of_what_was_consumed_says_in_which_life(void)
{
  static const int64_t offsets[] = {-1, 10, 4};
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    static struct request request, committed;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    auto_commit = false;
    have_ten(&request);
    commit(&committed, offsets[i]);
    CHECK_EQ_INT(life_of_commit(), i < 2 ? OLD : 0); /* the record before 4 is not known any more */
  }
}

/* What was delivered and what is in flight end at different records. */
static void A1_a_commit_has_the_mark_of_its_own_offset(void)
{
  static struct request request;
  have_ten(&request);
  fake.life = NEW; /* only to tell the records apart */
  records(10, 12);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
  fake_pass(INTERVAL);
  CHECK(strstr(fake.log, "commit(t/0=10)") != NULL);
  CHECK_EQ_INT(life_of_commit(), OLD);
}

/* A response that was lost comes again. */

/* The position after its records is verified first. */
static void A1_a_response_that_was_lost_comes_again_in_its_life_of_the_topic(void)
{
  for (int64_t life = OLD; life <= NEW; life++) {
    static struct request request;
    if (life > OLD) {
      REQUIRE(begin_again());
    }
    have_ten(&request);
    fake.life = OLD;
    records(10, 12);
    answer_place(OLD);
    confirm();
    check_got(&request, 10, 12);
    finish(false);
    fake.now += 5000;
    fake.log[0] = '\0';
    consume(&request);
    confirm();
    check_waits(&request);
    CHECK(strstr(fake.log, "verify(t/0@12)") != NULL);
    answer_place(life);
    if (life == NEW) {
      fake_range(0, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
      check_waits(&request); /* nothing is left of it */
      CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
    } else {
      confirm();
      check_got(&request, 10, 12);
    }
  }
}

static void A1_a_response_that_was_lost_comes_again_after_a_rebalance(void)
{
  static struct request request;
  have_ten(&request);
  fake.life = NEW; /* only to tell the records apart */
  records(10, 12);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
  finish(false);
  fake_revoked(false);
  consume(&request);
  confirm();
  check_waits(&request); /* nobody knows yet whether the partition comes back */
  fake_assigned("me", "t/0");
  check_waits(&request);
  answer_place(NEW);
  confirm();
  check_got(&request, 10, 12);
}

/* When an instance starts. */

static void A1_a_committed_offset_is_verified_before_anything_is_delivered(void)
{
  static struct request request;
  join(&request, 10, note_of(10, 10, OLD, OLD));
  REQUIRE(fake.record_query != NULL);
  CHECK_EQ_INT(fake.record_query->places[0].offset, 9);
  records(10, 12);
  check_waits(&request);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
}

static void A1_a_committed_offset_of_another_life_is_not_used(void)
{
  static struct request request;
  join(&request, 10, note_of(10, 10, OLD, OLD));
  answer_place(NEW);
  fake_range(0, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

/* Of a client that commits by itself; `none` of these marks is known. */
static void A1_a_committed_offset_without_a_mark_gets_one(void)
{
  static struct request request;
  join(&request, 10, NULL);
  answer_place(OLD);
  fake_pass(INTERVAL + 1000);
  answer_place(NEW);
  fake_range(0, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

/* A record after the gap is not the one before the position. */
static void A1_a_gap_gives_no_mark(void)
{
  static struct request request;
  join(&request, 10, NULL);
  fake_saw(0, NEW);
  fake_place(0)->seen.offset = 12;
  fake_records_read();
  CHECK(!partition(0)->mark.known);
}

/* The coordinator has some time to say where the instance starts. */
static void A1_a_consume_whose_start_is_not_known_is_late_after_three_seconds(void)
{
  static const struct {
    int64_t timeout;
    bool revoked;
    enum uk_error error;
  } rows[] = {{2900, false, UK_OK}, {3000, false, UK_E_GATEWAY_TIMEOUT}, {4000, true, UK_OK}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    fake.asks_committed = true;
    consume(&request);
    request.as.operation.deadline = fake.now + rows[i].timeout;
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    if (rows[i].revoked)
      fake_revoked(false);
    fake_pass(rows[i].timeout + 1000);
    CHECK_EQ_INT(request.dones, 1);
    if (!CHECK_EQ_INT(request.as.operation.error, rows[i].error))
      fprintf(stderr, "  row %zu: %s\n", i, request.as.operation.message);
    if (rows[i].error != UK_OK)
      CHECK_EQ_STR(request.as.operation.message,
                   "group \"g\": its coordinator did not answer in time");
  }
}

/* An explicit commit may name any offset: what is out of range is, by the reset policy. */
static void A1_a_committed_offset_without_a_mark_may_be_out_of_range(void)
{
  static const struct {
    enum uk_offset_reset reset;
    int64_t first, end;
    const char *does;
  } rows[] = {
    {UK_RESET_LATEST, 0, 3, "seek(t/0@3)"},    {UK_RESET_EARLIEST, 1, 3, "seek(t/0@1)"},
    {UK_RESET_LATEST, 15, 20, "seek(t/0@20)"}, {UK_RESET_EARLIEST, 15, 20, "seek(t/0@15)"},
    {UK_RESET_EARLIEST, 10, 20, ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    reset = rows[i].reset;
    join(&request, 10, NULL);
    fake_saw_end(0, -1);
    fake_records_read();
    FAKE_DID("watermarks(t/0)");
    fake_range(rows[i].first, rows[i].end, RD_KAFKA_RESP_ERR_NO_ERROR);
    if (!CHECK(strncmp(fake.log, rows[i].does, strlen(rows[i].does)) == 0) ||
        !CHECK((strstr(fake.log, "seek") != NULL) == (rows[i].does[0] != '\0')))
      fprintf(stderr, "  row %zu: %s\n", i, fake.log);
  }
}

/* Removed from below: the reset policy decides, also for a live instance. */
static void A1_a_position_whose_records_were_removed_is_reset(void)
{
  static const struct {
    enum uk_offset_reset reset;
    const char *does;
  } rows[] = {{UK_RESET_LATEST, "seek(t/0@20)"}, {UK_RESET_EARLIEST, "seek(t/0@15)"}};
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    reset = rows[i].reset;
    have_ten(&request);
    records(15, 16);
    fake_saw_end(0, -1);
    fake_records_read();
    fake_range(15, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(strstr(fake.log, rows[i].does) != NULL);
  }
}

static void A1_without_a_reset_the_client_is_told(void)
{
  static const struct {
    bool other; /* the record at 9 is another one; otherwise the offset is out of range */
    int64_t first, end;
    const char *message;
  } rows[] = {
    {true, 0, 3,
     "no committed offset for topic \"t\" partition 0, and the auto offset reset is none"},
    {false, 0, 3,
     "the position 10 of topic \"t\" partition 0 is out of range 0 to 3, and the auto offset "
     "reset is none"},
    {false, 15, 20,
     "the position 10 of topic \"t\" partition 0 is out of range 15 to 20, and the auto offset "
     "reset is none"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    reset = UK_RESET_NONE;
    have_ten(&request);
    fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
    fake_settle();
    confirm();
    if (rows[i].other)
      fake_saw(0, NEW);
    else
      fake_saw_end(0, -1);
    fake_records_read();
    fake_range(rows[i].first, rows[i].end, RD_KAFKA_RESP_ERR_NO_ERROR);
    if (!rows[i].other)
      fake_range(rows[i].first, rows[i].end, RD_KAFKA_RESP_ERR_NO_ERROR); /* for the message */
    CHECK_EQ_INT(request.dones, 1);
    CHECK_EQ_INT(request.as.operation.error, UK_E_BAD_REQUEST);
    CHECK_EQ_STR(request.as.operation.message, rows[i].message);
    CHECK(strstr(fake.log, "unsubscribe") != NULL);
  }
}

/* An instance at position 10 learns that this position is out of range when no consume waits. */
static void lose_position_alone(struct request *request)
{
  reset = UK_RESET_NONE;
  have_ten(request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
  fake_settle();
  confirm();
  fake_pass(TIMEOUT);
  CHECK_EQ_INT(request->dones, 1);
  CHECK_EQ_INT(request->count, 0);
  fake.log[0] = '\0';
  fake_saw_end(0, -1);
  fake_records_read();
  fake_range(15, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
  fake.log[0] = '\0';
}

static void A1_without_a_reset_a_position_lost_between_two_consumes_is_told_to_the_second(void)
{
  static struct request request;
  lose_position_alone(&request);
  fake_pass(60000);
  confirm();
  CHECK_EQ_STR(fake.log, "");
  CHECK(fake.record_query == NULL); /* it is not asked again */
  consume(&request);
  fake_range(15, 20, RD_KAFKA_RESP_ERR_NO_ERROR); /* for the message */
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_INT(request.as.operation.error, UK_E_BAD_REQUEST);
  CHECK_EQ_STR(request.as.operation.message,
               "the position 10 of topic \"t\" partition 0 is out of range 15 to 20, and the auto "
               "offset reset is none");
  CHECK(strstr(fake.log, "unsubscribe") != NULL);
}

/* The partition is gone, or only its last owner knows of it. */
static void A1_a_lost_position_is_not_told_of_a_partition_that_was_revoked(void)
{
  for (int assigned_again = 0; assigned_again < 2; assigned_again++) {
    static struct request request;
    if (assigned_again) {
      REQUIRE(begin_again());
    }
    lose_position_alone(&request);
    fake_revoked(false);
    if (assigned_again)
      fake_assigned("me", "t/1");
    consume(&request);
    check_waits(&request);
    CHECK(strstr(fake.log, "unsubscribe") == NULL);
  }
}

static void A1_a_lost_position_is_not_told_to_a_consume_of_another_topic(void)
{
  static struct request request;
  lose_position_alone(&request);
  consume_of(&request, "u");
  check_waits(&request);
  CHECK(strstr(fake.log, "unsubscribe") == NULL);
}

/* What was in flight cannot come again either. */
static void A1_a_lost_position_is_told_when_its_response_was_lost_too(void)
{
  static struct request request;
  reset = UK_RESET_NONE;
  have_ten(&request);
  records(10, 12);
  answer_place(OLD);
  confirm();
  check_got(&request, 10, 12);
  uint64_t unfinished = delivery;
  delivery = 0;
  consume(&request);
  fake_pass(INTERVAL + 1000);
  fake_pass(TIMEOUT);
  CHECK_EQ_INT(request.dones, 1);
  fake_saw_end(0, -1);
  fake_records_read();
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  delivery = unfinished;
  finish(false);
  consume(&request);
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_INT(request.as.operation.error, UK_E_BAD_REQUEST);
}

/* The partition is named, whichever it is. */
static void A1_without_a_reset_the_partition_is_named(void)
{
  static struct request request;
  reset = UK_RESET_NONE;
  fake.asks_records = fake.asks_committed = true;
  consume(&request);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  for (int i = 0; i < 2; i++)
    fake_committed_is(i, 10, note_of(10, 10, OLD, OLD));
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  confirm();
  fake_saw(0, OLD);
  fake_saw_end(1, -1);
  fake_records_read();
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_range(0, 3, RD_KAFKA_RESP_ERR_NO_ERROR); /* for the message */
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_STR(request.as.operation.message,
               "the committed offset 10 of topic \"t\" partition 1 is out of range 0 to 3, and the "
               "auto offset reset is none");
}

/* A server that takes the instance over goes on where its client is, and verifies that record. */
static void A1_a_takeover_verifies_the_position_of_its_client(void)
{
  static struct request request;
  fake.asks_records = fake.asks_committed = true;
  consume(&request);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, note_of(3, 10, OLD, NEW));
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "assign(t/0@10)") != NULL);
  CHECK(strstr(fake.log, "verify(t/0@9)") != NULL);
  answer_place(OLD);
  CHECK(fake.watermarks == NULL);
  CHECK(strstr(fake.log, "seek") == NULL);
}

static void A1_a_takeover_does_not_believe_another_record(void)
{
  static struct request request;
  fake.asks_records = fake.asks_committed = true;
  consume(&request);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, note_of(3, 10, OLD, NEW));
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  answer_place(NEW);
  CHECK(fake.watermarks != NULL);
}

/* Without auto-commit, and for any other start, the committed offset counts. */
static void A1_any_other_start_verifies_the_committed_offset(void)
{
  static struct request request;
  join(&request, 3, note_of(3, 10, OLD, NEW));
  REQUIRE(fake.record_query != NULL);
  CHECK_EQ_INT(fake.record_query->places[0].offset, 2);
  answer_place(NEW);
  CHECK(strstr(fake.log, "watermarks") == NULL);
}

/* When partitions come back, librdkafka may have missed what happened to the topic. */
static void A1_a_partition_that_comes_back_is_verified(void)
{
  static struct request request;
  have_ten(&request);
  fake_revoked(false);
  fake_assigned("me", "t/0");
  CHECK(strstr(fake.log, "assign(t/0@10)") != NULL && strstr(fake.log, "verify(t/0@9)") != NULL);
  answer_place(NEW);
  fake_range(0, 10, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
}

static void A1_an_answer_about_what_is_revoked_is_not_used(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 10);
  fake_revoked(false);
  answer_place(NEW);
  fake_range(0, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek") == NULL);
  fake_assigned("me", "t/0");
  CHECK(strstr(fake.log, "assign(t/0@10)") != NULL);
}

static void A1_an_answer_may_come_after_the_end(void)
{
  static struct request request;
  have_ten(&request);
  records(10, 10);
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  answer_place(NEW);
  fake_range(0, 20, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek") == NULL);
}

/* Topics that were missing. */

static void lose_topic(const char *text)
{
  static struct request request;
  consume(&request);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  confirm();
  fake.error_text = text;
  fake.check_error = UK_E_NOT_FOUND;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  CHECK_EQ_INT(request.as.operation.error, UK_E_NOT_FOUND);
  fake.check_error = UK_OK;
  fake.handle->member[0] = '\0';
  fake_pass(10);
  fake.handle->closed = true;
  fake_pass(10);
  CHECK_EQ_INT(fake.groups->count, 0);
  fake.log[0] = '\0';
}

/* With `latest` too: what the server looks up is not the end. */
static void A1_a_topic_that_was_missing_is_looked_up_from_its_first_record(void)
{
  static struct request request;
  reset = UK_RESET_LATEST;
  lose_topic("Subscribed topic not available: t: Broker: Unknown topic or partition");
  fake.asks_starts = true;
  consume(&request);
  fake_answer(NULL);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0");
  CHECK_EQ_STR(fake.log, "starts(t/0=first)");
  fake_started(0);
  CHECK(strstr(fake.log, "assign(t/0@0)") != NULL);
}

static void A1_an_instance_whose_topic_was_missing_starts_at_its_first_record(void)
{
  static const struct {
    const char *text, *does;
    enum uk_offset_reset reset;
  } rows[] = {
    {"Subscribed topic not available: t: Broker: Unknown topic or partition", "assign(t/0@first)",
     UK_RESET_LATEST},
    {"Subscribed topic not available: tt: Broker: Unknown topic or partition", "assign(t/0@?)",
     UK_RESET_LATEST},
    {"Subscribed topic not available: t: Broker: Unknown topic or partition", "assign(t/0@?)",
     UK_RESET_NONE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      REQUIRE(begin_again());
    }
    reset = rows[i].reset;
    lose_topic(rows[i].text);
    consume(&request);
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    CHECK(strstr(fake.log, rows[i].does) != NULL);
    fake_revoked(true); /* the next time it is no news */
    fake.log[0] = '\0';
    fake_assigned("me", "t/0");
    CHECK(strstr(fake.log, "assign(t/0@?)") != NULL);
  }
}

/* What is committed is newer than the loss. */
static void A1_a_committed_offset_in_a_topic_that_was_missing_counts(void)
{
  static struct request request;
  lose_topic("Subscribed topic not available: t: Broker: Unknown topic or partition");
  join(&request, 5, NULL);
  CHECK_EQ_INT(partition(0)->progress.position, 5);
}

/* Many partitions. */

enum { MANY = 40 };

static void join_many(struct request *request)
{
  char list[MANY * 8] = "";
  fake.asks_records = fake.asks_committed = true;
  consume(request);
  fake_answer(NULL);
  for (int i = 0; i < MANY; i++)
    snprintf(list + strlen(list), sizeof list - strlen(list), " t/%d", i);
  fake_assigned("me", list + 1);
  for (int i = 0; i < MANY; i++)
    fake_committed_is(i, 10, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void A1_of_many_partitions_a_few_are_verified_at_a_time(void)
{
  static struct request request;
  join_many(&request);
  CHECK_EQ_INT(fake.record_query->count, MANY); /* none was verified yet: all of them */
  for (int i = 0; i < MANY; i++)
    fake_saw(i, OLD);
  fake_records_read();
  fake_record(MANY - 1, 10);
  fake_settle();
  while (fake.record_query == NULL && !uk_list_is_empty(&fake.member_queries))
    confirm();
  REQUIRE(fake.record_query != NULL);
  CHECK_EQ_INT(fake.record_query->count, 16);
  CHECK_EQ_INT(fake.record_query->places[0].partition, MANY - 1); /* the one with a record */
  fake_saw(MANY - 1, OLD);
  fake_records_read();
  confirm();
  CHECK_EQ_INT(request.count, 1);
  /* While a consume waits, those that were not looked at for the longest time come first. */
  consume(&request);
  bool seen[MANY] = {false};
  fake_pass(INTERVAL + 1000);
  for (int rounds = 0; rounds < 3; rounds++) {
    REQUIRE(fake.record_query != NULL);
    CHECK(fake.record_query->count <= 16);
    for (size_t i = 0; i < fake.record_query->count; i++)
      seen[fake.record_query->places[i].partition] = true;
    fake_records_read();
    fake_settle();
  }
  for (int i = 0; i < MANY; i++)
    CHECK(seen[i]);
}

static void A1_nothing_is_delivered_unverified_when_memory_is_out(void)
{
  for (long n = 1, hit = 1; hit; n++) {
    static struct request request;
    if (n > 1) {
      REQUIRE(begin_again());
    }
    have_ten(&request);
    fake.life = NEW;
    fake_record(0, 10);
    fault_at(n);
    fake_settle();
    confirm();
    if (fake.record_query != NULL)
      answer_place(NEW);
    if (fake.watermarks != NULL)
      fake_range(0, 11, RD_KAFKA_RESP_ERR_NO_ERROR);
    hit = fault_hit();
    fault_off();
    if (request.dones > 0)
      CHECK_EQ_INT(request.count, 0);
  }
}

static void (*current)(void);

/* All that was allocated is free when the last instance has ended. */
static void run_current(void)
{
  long live = fault_live();
  auto_commit = true;
  reset = UK_RESET_LATEST;
  delivery = 0;
  REQUIRE(fake_open());
  current();
  if (fake.watermarks != NULL)
    fake_range(0, 0, RD_KAFKA_RESP_ERR__TIMED_OUT);
  fake_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

/* The position alone. */

static struct uk_kafka_assigned_partition used_partition(void)
{
  struct uk_kafka_assigned_partition used = {.assigned = true,
                                             .ended = true,
                                             .floor = 7,
                                             .mark = fake_mark(OLD),
                                             .delivered_mark = fake_mark(OLD),
                                             .verified_at = 9,
                                             .cleared = true};
  uk_progress_start(&used.progress, 7);
  return used;
}

static void a_position_that_begins_again_has_nothing_of_the_one_before(void)
{
  struct uk_kafka_assigned_partition restarted = used_partition(), started = restarted;
  uk_kafka_assigned_partition_restart(&restarted, 3);
  CHECK_EQ_INT(restarted.progress.position, 3);
  CHECK_EQ_INT(restarted.floor, UK_KAFKA_FLOOR_NOTHING);
  CHECK(!restarted.mark.known && !restarted.delivered_mark.known && !restarted.ended);
  CHECK(uk_kafka_assigned_partition_is_dirty(&restarted));
  uk_kafka_assigned_partition_start(&started, 5);
  CHECK_EQ_INT(started.progress.position, 5);
  CHECK(!started.mark.known && !started.delivered_mark.known);
  CHECK(started.verified_at == 0 && !started.ended && !started.cleared);
  CHECK(!uk_kafka_assigned_partition_is_dirty(&started));
}

/* Zero is no time, however soon after the start of the machine. */
static void a_position_that_was_never_verified_is_not_sure(void)
{
  struct uk_kafka_assigned_partition partition = used_partition();
  uk_progress_start(&partition.progress, 10000000);
  partition.cleared = false;
  CHECK(uk_kafka_assigned_partition_is_sure(&partition, 10));
  partition.verified_at = 0;
  CHECK(!uk_kafka_assigned_partition_is_sure(&partition, 10));
}

/* At half of its trust, if that is long enough for another look. */
static void a_position_ages_while_its_partition_is_read(void)
{
  static const struct {
    int64_t position, verified_at;
    bool advanced, assigned, ages;
  } rows[] = {
    {40000, 20, true, true, false},  {40000, 19, true, true, false},
    {40000, 18, true, true, true},   {40000, 17, true, true, true},
    {39999, 17, true, true, false},  {40000, 17, false, true, false},
    {40000, 17, true, false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_kafka_assigned_partition partition = used_partition();
    uk_progress_start(&partition.progress, rows[i].position);
    partition.verified_at = rows[i].verified_at;
    partition.advanced = rows[i].advanced;
    partition.assigned = rows[i].assigned;
    CHECK_EQ_INT(uk_kafka_assigned_partition_ages(&partition, 38), rows[i].ages);
  }
}

int main(void)
{
  RUN(A1_records_wait_until_the_one_before_them_is_found_in_its_place);
  RUN(A1_another_record_before_them_means_a_new_life);
  RUN(A1_a_record_that_waits_is_dropped_with_the_old_life);
  RUN(A1_a_record_of_another_partition_is_not_dropped);
  RUN(A1_what_was_read_in_one_run_is_verified_once);
  RUN(A1_a_large_position_is_trusted_for_a_while);
  RUN(A1_a_position_is_verified_again_before_its_trust_is_gone);
  RUN(A1_a_position_from_which_nothing_was_delivered_does_not_age);
  RUN(A1_only_the_broker_of_the_last_record_renews_the_trust);
  RUN(A1_a_new_life_is_noticed_before_its_records_are);
  RUN(A1_without_an_answer_nothing_is_delivered);
  RUN(A1_one_partition_without_an_answer_is_asked_about_after_a_pause);
  RUN(A1_each_partition_has_its_own_range);
  RUN(A1_the_second_record_is_verified_too);
  RUN(A1_what_is_in_flight_is_verified_by_its_own_mark);
  RUN(A1_a_range_that_does_not_come_leaves_it_open);
  RUN(A1_another_broker_cannot_vouch_for_a_record);
  RUN(A1_the_broker_of_a_record_may_vouch_for_it);
  RUN(A1_no_other_broker_can_vouch_for_a_record);
  RUN(A1_another_broker_may_vouch_for_a_record_of_a_rack);
  RUN(A1_another_brokers_word_earns_no_trust);
  RUN(A1_a_new_leader_may_vouch_for_a_position);
  RUN(A1_what_was_revoked_is_not_verified);
  RUN(A1_a_seek_that_librdkafka_refuses_is_let_go);
  RUN(A1_a_look_may_outlast_the_lease);
  RUN(A1_an_end_below_the_position_is_looked_into);
  RUN(A1_an_end_below_a_trusted_position_is_looked_into);
  RUN(A1_an_end_below_the_start_is_a_new_life);
  RUN(A1_a_consume_that_waits_for_a_look_is_not_empty);
  RUN(A1_a_record_below_the_position_is_looked_into);
  RUN(A1_a_position_that_is_still_good_is_returned_to);
  RUN(A1_a_topic_that_ends_where_the_old_one_did_is_seen_within_seconds);
  RUN(A1_nobody_looks_while_nobody_waits);
  RUN(A1_a_new_life_is_committed_at_once);
  RUN(A1_a_commit_says_in_which_life);
  RUN(A1_a_commit_of_what_was_consumed_says_in_which_life);
  RUN(A1_a_commit_has_the_mark_of_its_own_offset);
  RUN(A1_a_response_that_was_lost_comes_again_in_its_life_of_the_topic);
  RUN(A1_a_response_that_was_lost_comes_again_after_a_rebalance);
  RUN(A1_a_committed_offset_is_verified_before_anything_is_delivered);
  RUN(A1_a_committed_offset_of_another_life_is_not_used);
  RUN(A1_a_committed_offset_without_a_mark_gets_one);
  RUN(A1_a_gap_gives_no_mark);
  RUN(A1_a_consume_whose_start_is_not_known_is_late_after_three_seconds);
  RUN(A1_a_committed_offset_without_a_mark_may_be_out_of_range);
  RUN(A1_a_position_whose_records_were_removed_is_reset);
  RUN(A1_without_a_reset_the_client_is_told);
  RUN(A1_without_a_reset_a_position_lost_between_two_consumes_is_told_to_the_second);
  RUN(A1_a_lost_position_is_not_told_of_a_partition_that_was_revoked);
  RUN(A1_a_lost_position_is_not_told_to_a_consume_of_another_topic);
  RUN(A1_a_lost_position_is_told_when_its_response_was_lost_too);
  RUN(A1_without_a_reset_the_partition_is_named);
  RUN(A1_a_takeover_verifies_the_position_of_its_client);
  RUN(A1_a_takeover_does_not_believe_another_record);
  RUN(A1_any_other_start_verifies_the_committed_offset);
  RUN(A1_a_partition_that_comes_back_is_verified);
  RUN(A1_an_answer_about_what_is_revoked_is_not_used);
  RUN(A1_an_answer_may_come_after_the_end);
  RUN(A1_a_topic_that_was_missing_is_looked_up_from_its_first_record);
  RUN(A1_an_instance_whose_topic_was_missing_starts_at_its_first_record);
  RUN(A1_a_committed_offset_in_a_topic_that_was_missing_counts);
  RUN(A1_of_many_partitions_a_few_are_verified_at_a_time);
  RUN(A1_nothing_is_delivered_unverified_when_memory_is_out);
  CHECK_RUN(a_position_that_begins_again_has_nothing_of_the_one_before);
  CHECK_RUN(a_position_that_was_never_verified_is_not_sure);
  CHECK_RUN(a_position_ages_while_its_partition_is_read);
  return check_end();
}
