/* for: kafka_batch.c, kafka_redelivery.c
 *
 * What is kept of a batch, and what comes again of it. */
#include "fault.h"
#include "kafka_batch_requests.h"

/* What is left of a batch. */

static void partitions_that_are_gone_are_left_out(void)
{
  static struct request first, again;
  deliver(&first);
  fake_revoked(false);
  fake_pass(PATIENCE);
  consume(&again, "none");
  CHECK_EQ_INT(again.dones, 0); /* they may come back */
  fake_assigned("me", "t/1");
  while (again.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 107);
  CHECK_EQ_STR(id_of(&again), id_of(&first));
  CHECK(again.as.consume.redelivered);
}

/* Another member has read it since. */
static void a_partition_that_comes_back_from_another_is_left_out(void)
{
  static struct request first, again;
  deliver(&first);
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/1");
  fake_revoked(false);
  fake.asks_committed = true;
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(0, 5, NULL);
  fake_committed_is(1, 7, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  consume(&again, "none");
  while (again.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 107);
}

static void a_batch_of_which_nothing_is_left_ends(void)
{
  static struct request first, next, wrong;
  deliver(&first);
  fake_revoked(true);
  fake_assigned("me", "t/1");
  consume(&next, "none");
  record(1, 9);
  while (next.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 109);
  CHECK(!next.as.consume.redelivered);
  CHECK(strcmp(id_of(&next), id_of(&first)) != 0);
  consume(&wrong, id_of(&first)); /* it counts as acknowledged */
  check_same(&wrong, &next);
}

/* Its topics count from the next batch: the group does not rebalance for it. */
static void a_batch_comes_again_before_other_topics(void)
{
  static struct request first, again, over;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  fake_answer("me");
  check_same(&again, &first);
  fake.log[0] = '\0';
  begin(&over, &over.as.consume.acknowledgement);
  over.topic = uk_slice_text("u");
  over.as.consume.acknowledgement = (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  over.as.consume.topics = &over.topic;
  over.as.consume.topic_count = 1;
  over.as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &over.as.consume);
  fake_settle();
  check_same(&over, &first);
  FAKE_DID("");
  fake_revoked(true);
  fake_assigned("me", "t/1");
  fake.log[0] = '\0';
  static struct request next;
  begin(&next, &next.as.consume.acknowledgement);
  next.topic = uk_slice_text("u");
  next.as.consume.acknowledgement = (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  next.as.consume.topics = &next.topic;
  next.as.consume.topic_count = 1;
  next.as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &next.as.consume);
  fake_settle();
  CHECK(strstr(fake.log, "subscribe(u)") != NULL); /* nothing was left of it */
}

/* Memory. */

/* FAKE_PREFETCH is 1600 bytes. */
static void a_batch_keeps_as_much_as_is_read_ahead(void)
{
  static struct request first, second, third;
  fake.size = 800;
  consume(&first, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  for (int i = 0; i < 3; i++)
    fake_record(0, i);
  fake.size = 1601;
  fake_record(0, 3); /* one always fits */
  fake_answer("me");
  check_ended(&first, UK_OK, 2);
  consume(&second, id_of(&first));
  check_ended(&second, UK_OK, 1);
  CHECK_EQ_INT(second.got[0], 2);
  consume(&third, id_of(&second));
  check_ended(&third, UK_OK, 1);
  CHECK_EQ_INT(third.sizes, 1601);
}

static void headers_count_too(void)
{
  static struct request request;
  fake.headers = 2;
  fake.size = 791; /* and 18 */
  consume(&request, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_record(0, 1);
  fake_answer("me");
  check_ended(&request, UK_OK, 1);
}

/* The batch itself, against a list of the records that it should hold. */

enum { ROUNDS = 60, MOST = 200, LIMIT = 4000 };

static uint32_t next_random(uint32_t *seed)
{
  *seed = *seed * 1103515245u + 12345u;
  return *seed >> 16;
}

static struct uk_slice random_bytes(uint32_t *seed)
{
  static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  size_t length = next_random(seed) % 20;
  return uk_slice_of(bytes + next_random(seed) % 16, length);
}

static size_t fill_record(struct uk_record *record, struct uk_record_header headers[3],
                          uint32_t *seed)
{
  static const char *const topics[] = {"t", "u", "tt"};
  *record = (struct uk_record){.topic = uk_slice_text(topics[next_random(seed) % 3]),
                               .partition = (int32_t)(next_random(seed) % 10),
                               .offset = next_random(seed) % 8,
                               .timestamp = (int64_t)next_random(seed) - 1,
                               .has_key = next_random(seed) % 2 != 0,
                               .has_value = next_random(seed) % 2 != 0,
                               .headers = headers,
                               .header_count = next_random(seed) % 4};
  record->key = record->has_key ? random_bytes(seed) : uk_slice_text("");
  record->value = record->has_value ? random_bytes(seed) : uk_slice_text("");
  size_t payload = record->key.length + record->value.length;
  for (size_t i = 0; i < record->header_count; i++) {
    headers[i] = (struct uk_record_header){random_bytes(seed), random_bytes(seed)};
    payload += headers[i].key.length + headers[i].value.length;
  }
  return payload;
}

static void check_record(const struct uk_record *got, const struct uk_record *wanted)
{
  CHECK(uk_slice_equal(got->topic, wanted->topic));
  CHECK_EQ_INT(got->partition, wanted->partition);
  CHECK_EQ_INT(got->offset, wanted->offset);
  CHECK_EQ_INT(got->timestamp, wanted->timestamp);
  CHECK_EQ_INT(got->has_key, wanted->has_key);
  CHECK_EQ_INT(got->has_value, wanted->has_value);
  CHECK(uk_slice_equal(got->key, wanted->key) && uk_slice_equal(got->value, wanted->value));
  if (!CHECK_EQ_INT(got->header_count, wanted->header_count))
    return;
  for (size_t i = 0; i < got->header_count; i++)
    CHECK(uk_slice_equal(got->headers[i].key, wanted->headers[i].key) &&
          uk_slice_equal(got->headers[i].value, wanted->headers[i].value));
}

/* The mark is that of the first such record. */
static void check_mark(const struct uk_kafka_batch *batch, const struct uk_record *records,
                       const struct uk_record *of)
{
  size_t i = 0;
  while (records[i].offset != of->offset || records[i].partition != of->partition ||
         !uk_slice_equal(records[i].topic, of->topic))
    i++;
  const struct uk_record_mark wanted = uk_record_mark_of(&records[i]);
  const struct uk_record_mark got =
    uk_kafka_batch_mark(batch, uk_kafka_name(of->topic).text, of->partition, of->offset);
  CHECK(uk_record_mark_equal(&got, &wanted));
}

/* A partition whose only record was dropped has none. */
static void check_last(const struct uk_kafka_batch *batch, const struct uk_record *records,
                       size_t count)
{
  struct uk_record got;
  for (size_t i = 0; i < batch->partition_count; i++) {
    const struct uk_kafka_batch_partition *partition = &batch->partitions[i];
    const struct uk_record *wanted = NULL;
    for (size_t j = 0; j < count; j++) {
      if (records[j].partition == partition->number &&
          uk_slice_is(records[j].topic, partition->topic.text))
        wanted = &records[j];
    }
    if (CHECK_EQ_INT(uk_kafka_batch_last(batch, partition, &got), wanted != NULL) && wanted != NULL)
      check_record(&got, wanted);
  }
}

static void check_batch(const struct uk_kafka_batch *batch, const struct uk_record *records,
                        size_t count)
{
  struct uk_record got;
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    const struct uk_kafka_batch_partition *partition = uk_kafka_batch_next(batch, &at, &got);
    REQUIRE(partition != NULL);
    CHECK_EQ_INT(partition->number, records[i].partition);
    CHECK(uk_slice_is(records[i].topic, partition->topic.text));
    check_record(&got, &records[i]);
    check_mark(batch, records, &records[i]);
  }
  CHECK(uk_kafka_batch_next(batch, &at, &got) == NULL);
  check_last(batch, records, count);
}

/* Each one is added while the batch is empty or does not pass the limit with it. Some are dropped
 * again at once. */
static void a_batch_holds_what_was_added(void)
{
  static struct uk_record records[MOST];
  static struct uk_record_header headers[MOST][3];
  uint32_t seed = 1;
  for (int round = 0; round < ROUNDS; round++) {
    struct uk_kafka_batch batch = {.length = 0};
    size_t count = 0, kept = 0, limit = next_random(&seed) % LIMIT;
    for (int i = 0; i < MOST; i++) {
      size_t payload = fill_record(&records[count], headers[count], &seed);
      bool fits = count == 0 || kept + payload <= limit;
      if (!CHECK_EQ_INT(uk_kafka_batch_add(&batch, &records[count], (int64_t)limit), fits))
        break;
      bool dropped = fits && next_random(&seed) % 8 == 0;
      if (dropped)
        uk_kafka_batch_drop_last(&batch);
      kept += fits && !dropped ? payload : 0;
      count += fits && !dropped;
    }
    CHECK(batch.partition_count <= 30); /* each partition once */
    check_batch(&batch, records, count);
    size_t room = batch.room;
    uk_kafka_batch_clear(&batch);
    CHECK_EQ_INT(batch.room, room);
    check_batch(&batch, records, 0);
    uk_kafka_batch_free(&batch);
    CHECK(batch.bytes == NULL);
  }
}

/* The memory of a batch is kept for the next one until a consume ends without records. */
static void an_instance_at_rest_keeps_no_memory(void)
{
  static struct request first, more, none;
  deliver(&first);
  const struct uk_kafka_group_member *member =
    (const struct uk_kafka_group_member *)uk_name_table_next(&fake.groups->table, NULL);
  REQUIRE(member != NULL);
  const char *bytes = member->batch->bytes;
  CHECK(bytes != NULL);
  fake_record(0, 5);
  consume(&more, id_of(&first));
  check_ended(&more, UK_OK, 1);
  CHECK(member->batch->bytes == bytes);
  consume(&none, id_of(&more));
  uk_operation_expire(&none.as.operation);
  uk_kafka_groups_consume_expired(fake.groups, &none.as.consume);
  fake_settle();
  check_ended(&none, UK_OK, 0);
  CHECK(member->batch->bytes == NULL);
}

/* A record that the sink refused is not of the batch. */
static void what_had_no_room_is_not_kept(void)
{
  static struct request first, again, next;
  consume(&first, NULL);
  first.room = 2;
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_record(0, 0);
  fake_record(0, 1);
  fake_record(1, 2);
  fake_answer("me");
  check_ended(&first, UK_OK, 2);
  consume(&again, "none");
  check_same(&again, &first);
  consume(&next, id_of(&first));
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 102);
}

static void a_batch_is_kept_or_not_delivered(void)
{
  bool hit = true;
  for (long at = 1; hit; at++) {
    static struct request first, next;
    consume(&first, NULL);
    fake.headers = 1;
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    fake_record(0, 0);
    fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
    fake_pass(LEASE);
    struct uk_kafka_member_query *query = fake_member_query();
    REQUIRE(query != NULL);
    uk_list_remove(&query->query.link);
    query->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    query->live = true;
    snprintf(query->member, sizeof query->member, "me");
    query->query.then(&query->query);
    fault_at(at);
    fake_settle();
    hit = fault_hit();
    fault_off();
    if (first.as.operation.error != UK_OK)
      check_ended(&first, UK_E_NO_MEMORY, 0);
    else
      check_ended(&first, UK_OK, 1);
    consume(&next, "none");
    check_ended(&next, UK_OK, 1);
    CHECK_EQ_INT(next.got[0], 0);
    CHECK_EQ_INT(next.again, first.as.operation.error == UK_OK);
    fake_close();
    REQUIRE(fake_open());
  }
}

static void a_client_without_room_for_the_batch_gets_it_later(void)
{
  static struct request first, again;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  again.room = 1;
  fake_answer("me");
  check_ended(&again, UK_E_NO_MEMORY, 1);
  CHECK_EQ_INT(again.as.consume.delivery, 0);
  consume(&again, "none");
  check_same(&again, &first);
}

/* Position metadata. */

static void take_over(struct request *request, const char *acknowledged)
{
  auto_commit = fake.asks_committed = true;
  consume(request, acknowledged);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", "t/0");
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* It may not have got what the server before believes that it got. */
static void a_client_that_holds_nothing_starts_at_the_commit(void)
{
  static struct request request;
  take_over(&request, "none");
  CHECK(strstr(fake.log, "assign(t/0@3)") != NULL);
  fake_close();
  REQUIRE(fake_open());
  take_over(&request, NULL);
  CHECK(strstr(fake.log, "assign(t/0@10)") != NULL);
}

static void what_a_client_has_to_acknowledge_is_not_noted(void)
{
  static const char *const acknowledgements[] = {"none", NULL, NULL};
  for (size_t i = 0; i < 3; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    take_over(&request, acknowledgements[i]);
    fake_pass(LEASE);
    fake_record(0, 10);
    while (fake_member_query() != NULL)
      fake_answer("me");
    check_ended(&request, UK_OK, 1);
    fake.log[0] = '\0';
    sent(&request, i < 2); /* nor what did not arrive */
    FAKE_DID(i == 1 ? "commit(t/0=10+11)" : "");
    if (i == 1)
      fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  }
}

/* A client that has said so once, whatever it says later. */
static void one_that_held_nothing_starts_at_the_commit(void)
{
  static struct request first, next;
  auto_commit = fake.asks_committed = true;
  consume(&first, "none");
  consume(&next, NULL);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", "t/0");
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "assign(t/0@3)") != NULL);
}

static struct uk_kafka_assigned_partition *partition_of(int32_t number)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  const struct uk_kafka_group_member *member = (const struct uk_kafka_group_member *)node;
  return uk_kafka_assigned_partition_find(&member->partitions, "t", number);
}

/* Of every partition at once, where that is long ago or librdkafka was elsewhere. */
static void a_batch_comes_again_when_its_positions_are_verified(void)
{
  enum { RECENT = 5000 };
  for (int i = 0; i < 3; i++) {
    static struct request first, again;
    deliver(&first);
    partition_of(0)->verified_at = partition_of(1)->verified_at = fake.now;
    fake.now += RECENT - (i != 1);
    partition_of(0)->doubtful = partition_of(1)->doubtful = i == 2;
    fake.asks_records = true;
    consume(&again, "none");
    fake_answer("me");
    CHECK_EQ_INT(again.dones, i == 0);
    if (i > 0) {
      CHECK(strstr(fake.log, "verify(t/0@4) verify(t/1@7)") != NULL);
      fake_saw(0, fake.life);
      fake_saw(1, fake.life);
      fake_records_read();
    }
    while (again.dones == 0 && fake_member_query() != NULL)
      fake_answer("me");
    check_same(&again, &first);
    fake_close();
    REQUIRE(fake_open());
  }
}

/* A look may take longer than it is trusted: what it found counts when it is answered. */
static void a_look_that_took_long_is_not_repeated(void)
{
  static struct request first, again;
  deliver(&first);
  partition_of(0)->verified_at = partition_of(1)->verified_at = fake.now;
  fake.now += 5000;
  fake.asks_records = true;
  consume(&again, "none");
  fake_answer("me");
  CHECK(strstr(fake.log, "verify(t/0@4) verify(t/1@7)") != NULL);
  fake_pass(5000);
  while (fake_member_query() != NULL)
    fake_answer("me");
  fake_saw(0, fake.life);
  fake_saw(1, fake.life);
  fake_records_read();
  fake.asks_records = false;
  check_same(&again, &first);
}

/* Right after the start of the machine, too. */
static void a_position_that_was_never_verified_is_looked_at(void)
{
  static struct request first, again;
  fake.now = 1000;
  deliver(&first);
  partition_of(0)->verified_at = partition_of(1)->verified_at = 0;
  fake.asks_records = true;
  consume(&again, "none");
  CHECK(strstr(fake.log, "verify(t/0@4) verify(t/1@7)") != NULL);
  CHECK_EQ_INT(again.dones, 0);
}

int main(void)
{
  RUN(partitions_that_are_gone_are_left_out);
  RUN(a_partition_that_comes_back_from_another_is_left_out);
  RUN(a_batch_of_which_nothing_is_left_ends);
  RUN(a_batch_comes_again_before_other_topics);
  RUN(a_batch_keeps_as_much_as_is_read_ahead);
  RUN(headers_count_too);
  RUN(a_batch_holds_what_was_added);
  RUN(an_instance_at_rest_keeps_no_memory);
  RUN(what_had_no_room_is_not_kept);
  RUN(a_batch_is_kept_or_not_delivered);
  RUN(a_client_without_room_for_the_batch_gets_it_later);
  RUN(a_client_that_holds_nothing_starts_at_the_commit);
  RUN(what_a_client_has_to_acknowledge_is_not_noted);
  RUN(one_that_held_nothing_starts_at_the_commit);
  RUN(a_batch_comes_again_when_its_positions_are_verified);
  RUN(a_look_that_took_long_is_not_repeated);
  RUN(a_position_that_was_never_verified_is_looked_at);
  return check_end();
}
