/* for: kafka_consumer_pool.c, kafka_consumer_pool_task.c, kafka_session.c, kafka_event.c
 *
 * Which consumer handle a session gets, how long sessions and handles are kept, and what a session
 * returns of what its handle delivers. librdkafka and the clock are the test's. */
#include "server/kafka_engine/fetch/kafka_consumer_pool_private.h"

#include "fake_kafka_reader.h"
#include "fault.h"

enum { NOW = READER_NOW, BEFORE = 4, NUDGE = 512 << 10 };

struct waiting {
  struct uk_kafka_task task; /* first */
  struct uk_kafka_pool_waiter waiter;
  int runs;
};

static struct uk_kafka_consumer_pool *pool;
static struct waiting waitings[16];

static void run_waiting(struct uk_kafka_task *task, int64_t now)
{
  (void)now;
  ((struct waiting *)task)->runs++;
}

static struct uk_kafka_position place(const char *topic, int32_t partition, int64_t offset)
{
  const struct uk_slice name = uk_slice_text(topic);
  return (struct uk_kafka_position){.hash = uk_kafka_hash(name, partition),
                                    .topic = name,
                                    .partition = partition,
                                    .offset = offset};
}

static struct uk_kafka_session *session;
static char text[UK_MESSAGE_SIZE];

static enum uk_kafka_acquired acquire_all(struct waiting *waiting,
                                          const struct uk_kafka_position *positions, size_t count)
{
  session = NULL;
  text[0] = '\0';
  return uk_kafka_consumer_pool_acquire(pool, positions, count, &waiting->waiter, &session, text,
                                        sizeof text);
}

/* A session that has started. */
static struct uk_kafka_session *acquire(const char *topic, int32_t partition, int64_t offset)
{
  const struct uk_kafka_position position = place(topic, partition, offset);
  CHECK_EQ_INT(acquire_all(&waitings[0], &position, 1), UK_KAFKA_ACQUIRED);
  if (session != NULL)
    CHECK(uk_kafka_session_start(session, &position, 1));
  return session;
}

static void give_back(struct uk_kafka_session *given)
{
  CHECK(uk_kafka_session_stop(given, SIZE_MAX));
  uk_kafka_consumer_pool_release(pool, given);
}

static void park(struct uk_kafka_session *parked)
{
  uk_kafka_consumer_pool_park(pool, parked);
}

static long handle_of(const struct uk_kafka_session *of)
{
  return (const struct reader_handle *)of->handle - reader.handles;
}

/* Handles. */

static void sessions_share_a_handle_until_it_has_four(void)
{
  struct uk_kafka_session *sessions[2 * BEFORE];
  for (int32_t i = 0; i < 2 * BEFORE; i++) {
    sessions[i] = acquire("t", i, 0);
    REQUIRE(sessions[i] != NULL);
    CHECK_EQ_INT(handle_of(sessions[i]), i / BEFORE);
  }
  CHECK_EQ_INT(reader.opened, 2);
  CHECK_EQ_INT(reader.handles[0].wait, 5);
  for (int32_t i = 0; i < 2 * BEFORE; i++)
    give_back(sessions[i]);
}

/* Where no further handle may be opened, the one with the fewest sessions is taken, up to 64 on
 * each. */
static void then_they_are_spread_over_all_handles(void)
{
  enum { ALL = UK_KAFKA_POOL_SIZE * UK_KAFKA_SESSIONS_EACH };
  static struct uk_kafka_session *sessions[ALL];
  const struct uk_kafka_position another = place("t", ALL, 0);
  for (int32_t i = 0; i < ALL; i++) {
    sessions[i] = acquire("t", i, 0);
    REQUIRE(sessions[i] != NULL);
    for (size_t j = 0; i == 5 * UK_KAFKA_POOL_SIZE - 1 && j < UK_KAFKA_POOL_SIZE; j++)
      CHECK_EQ_INT(pool->consumers[j].sessions, 5);
  }
  CHECK_EQ_INT(reader.opened, UK_KAFKA_POOL_SIZE);
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++)
    CHECK_EQ_INT(pool->consumers[i].sessions, UK_KAFKA_SESSIONS_EACH);
  CHECK_EQ_INT(acquire_all(&waitings[1], &another, 1), UK_KAFKA_ACQUIRE_BUSY);
  give_back(sessions[3]);
  CHECK_EQ_INT(acquire_all(&waitings[1], &another, 1), UK_KAFKA_ACQUIRED);
  give_back(session);
  for (int32_t i = 0; i < ALL; i++) {
    if (i != 3)
      give_back(sessions[i]);
  }
}

/* A handle reads a partition once. */
static void sessions_of_one_partition_have_handles_of_their_own(void)
{
  struct uk_kafka_session *sessions[UK_KAFKA_POOL_SIZE];
  const struct uk_kafka_position same = place("t", 0, 5);
  for (int32_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    sessions[i] = acquire("t", 0, 5);
    REQUIRE(sessions[i] != NULL);
    CHECK_EQ_INT(handle_of(sessions[i]), i);
  }
  CHECK_EQ_INT(acquire_all(&waitings[1], &same, 1), UK_KAFKA_ACQUIRE_BUSY);
  CHECK(session == NULL);
  CHECK_EQ_INT(handle_of(acquire("t", 1, 5)), 0); /* another partition is in nobody's way */
  give_back(session);
  give_back(sessions[5]);
  CHECK_EQ_INT(handle_of(acquire("t", 0, 6)), 5);
  give_back(session);
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    if (i != 5)
      give_back(sessions[i]);
  }
}

/* Their places in the table are the same, but not their hashes. */
static void partitions_of_one_bucket_share_a_handle(void)
{
  int32_t other = 1;
  while (uk_kafka_hash(uk_slice_text("t"), other) % UK_KAFKA_PART_BUCKETS !=
         uk_kafka_hash(uk_slice_text("t"), 0) % UK_KAFKA_PART_BUCKETS)
    other++;
  struct uk_kafka_session *first = acquire("t", 0, 5), *second = acquire("t", other, 5);
  CHECK_EQ_INT(handle_of(first), handle_of(second));
  CHECK_EQ_INT(reader.opened, 1);
  give_back(first);
  give_back(second);
}

static void a_handle_that_cannot_be_opened_is_the_reason(void)
{
  const struct uk_kafka_position position = place("t", 0, 0);
  reader.refuses_handles = true;
  CHECK_EQ_INT(acquire_all(&waitings[0], &position, 1), UK_KAFKA_ACQUIRE_UNCONNECTED);
  CHECK_EQ_STR(text, "no handle");
  CHECK(session == NULL && !pool->making);
  reader.refuses_handles = false;
  give_back(acquire("t", 0, 0));
}

/* Other threads ask for sessions meanwhile. */
static void ask_meanwhile(void)
{
  for (int i = 1; i <= 6; i++) {
    const struct uk_kafka_position other = place("t", i, 0);
    CHECK_EQ_INT(acquire_all(&waitings[i], &other, 1), UK_KAFKA_ACQUIRE_BUSY);
  }
  session = NULL;
}

static void one_handle_opens_at_a_time(void)
{
  reader.opening = ask_meanwhile;
  struct uk_kafka_session *first = acquire("t", 0, 0);
  CHECK_EQ_INT(reader.opened, 1);
  reader_run(NOW);
  for (int i = 1; i <= 6; i++)
    CHECK_EQ_INT(waitings[i].runs, 1); /* all of them may try again now */
  give_back(first);
}

/* Another one asks for what a parked session reads. */
static void ask_for_what_is_parked(void)
{
  const struct uk_kafka_position same = place("t", 0, 9);
  CHECK_EQ_INT(acquire_all(&waitings[1], &same, 1), UK_KAFKA_ACQUIRE_BUSY);
  CHECK_EQ_INT(pool->parked_count, 1);
  session = NULL;
}

/* The handle that opens may have room for both. */
static void a_parked_session_gives_way_to_no_one_while_a_handle_opens(void)
{
  struct uk_kafka_session *sessions[BEFORE];
  for (int32_t i = 0; i < BEFORE; i++)
    sessions[i] = acquire("t", i, 5);
  park(sessions[0]);
  reader.opening = ask_for_what_is_parked;
  struct uk_kafka_session *other = acquire("t", BEFORE, 5);
  CHECK_EQ_INT(reader.opened, 2);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
  give_back(other);
  for (int32_t i = 1; i < BEFORE; i++)
    give_back(sessions[i]);
}

static void there_is_no_session_without_memory(void)
{
  const struct uk_kafka_position position = place("t", 0, 0);
  fault_at(1);
  CHECK_EQ_INT(acquire_all(&waitings[0], &position, 1), UK_KAFKA_ACQUIRE_NO_MEMORY);
  fault_off();
  CHECK(session == NULL);
}

/* Waiting. */

static int woken(void)
{
  int count = 0;
  reader_run(reader.now);
  for (size_t i = 0; i < 16; i++) {
    count += waitings[i].runs;
    waitings[i].runs = 0;
  }
  return count;
}

static void each_session_that_is_given_back_wakes_four_waiters(void)
{
  struct uk_kafka_session *sessions[UK_KAFKA_POOL_SIZE];
  const struct uk_kafka_position same = place("t", 0, 5);
  for (int32_t i = 0; i < UK_KAFKA_POOL_SIZE; i++)
    sessions[i] = acquire("t", 0, 5);
  for (int i = 1; i <= 11; i++)
    CHECK_EQ_INT(acquire_all(&waitings[i], &same, 1), UK_KAFKA_ACQUIRE_BUSY);
  /* Another try does not make it wait twice. */
  CHECK_EQ_INT(acquire_all(&waitings[11], &same, 1), UK_KAFKA_ACQUIRE_BUSY);
  uk_kafka_consumer_pool_leave(pool, &waitings[1].waiter);
  CHECK_EQ_INT(woken(), 0);
  give_back(sessions[0]);
  reader_run(reader.now);
  CHECK_EQ_INT(waitings[1].runs, 0); /* it has left */
  CHECK_EQ_INT(waitings[2].runs, 1); /* the first that came */
  CHECK_EQ_INT(waitings[5].runs, 1);
  CHECK_EQ_INT(woken(), 4);
  give_back(sessions[1]);
  CHECK_EQ_INT(woken(), 4);
  give_back(sessions[2]);
  CHECK_EQ_INT(woken(), 2);
  give_back(sessions[3]);
  CHECK_EQ_INT(woken(), 0);
  for (size_t i = 4; i < UK_KAFKA_POOL_SIZE; i++)
    give_back(sessions[i]);
}

static void who_gets_a_session_waits_no_more(void)
{
  struct uk_kafka_session *sessions[UK_KAFKA_POOL_SIZE];
  const struct uk_kafka_position same = place("t", 0, 5), other = place("t", 1, 5);
  for (int32_t i = 0; i < UK_KAFKA_POOL_SIZE; i++)
    sessions[i] = acquire("t", 0, 5);
  CHECK_EQ_INT(acquire_all(&waitings[1], &same, 1), UK_KAFKA_ACQUIRE_BUSY);
  CHECK_EQ_INT(acquire_all(&waitings[1], &other, 1), UK_KAFKA_ACQUIRED);
  struct uk_kafka_session *got = session;
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++)
    give_back(sessions[i]);
  CHECK_EQ_INT(woken(), 0);
  give_back(got);
}

/* The queue of a session wakes the task that has it. */
static void records_wake_the_task_of_the_session(void)
{
  const struct uk_kafka_position position = place("t", 0, 0);
  CHECK_EQ_INT(acquire_all(&waitings[2], &position, 1), UK_KAFKA_ACQUIRED);
  struct uk_kafka_session *first = session;
  CHECK(uk_kafka_session_start(first, &position, 1));
  reader_record("t", 0, 0, 1);
  reader_run(NOW);
  CHECK_EQ_INT(waitings[2].runs, 1);
  park(first);
  reader_record("t", 0, 1, 1);
  reader_run(NOW);
  CHECK_EQ_INT(waitings[2].runs, 1); /* nobody has it */
  CHECK_EQ_INT(acquire_all(&waitings[3], &position, 1), UK_KAFKA_ACQUIRED);
  CHECK(session == first);
  reader_record("t", 0, 2, 1);
  reader_run(NOW);
  CHECK_EQ_INT(waitings[2].runs, 1);
  CHECK_EQ_INT(waitings[3].runs, 1);
  give_back(first);
}

/* Parked sessions. */

static void a_parked_session_is_for_who_continues_there(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    int64_t offset;
  } others[] = {{"t", 0, 6}, {"t", 0, 4}, {"t", 1, 5}, {"u", 0, 5}};
  struct uk_kafka_session *parked = acquire("t", 0, 5);
  park(parked);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    CHECK(acquire(others[i].topic, others[i].partition, others[i].offset) != parked);
    give_back(session);
  }
  CHECK(acquire("t", 0, 5) == parked);
  CHECK_EQ_INT(pool->parked_count, 0);
  CHECK(acquire("t", 0, 5) != parked); /* it is in use */
  give_back(session);
  give_back(parked);
}

static void a_parked_session_ends_after_three_seconds(void)
{
  struct uk_kafka_session *first = acquire("t", 0, 5), *next = acquire("t", 1, 5);
  park(first);
  reader_run(NOW + 1000);
  park(next);
  reader_run(NOW + UK_KAFKA_PARK_TIME - 1);
  CHECK_EQ_INT(reader.read_count, 2);
  reader_run(NOW + UK_KAFKA_PARK_TIME);
  CHECK_EQ_INT(reader_offset("t", 0), -1);
  CHECK_EQ_INT(reader_offset("t", 1), 5);
  CHECK_EQ_INT(pool->consumers[0].sessions, 1);
  reader_run(NOW + UK_KAFKA_PARK_TIME + 999);
  CHECK_EQ_INT(reader.read_count, 1);
  reader_run(NOW + UK_KAFKA_PARK_TIME + 1000);
  CHECK_EQ_INT(reader.read_count, 0);
  CHECK_EQ_INT(pool->consumers[0].sessions, 0);
}

static void the_oldest_of_too_many_parked_sessions_ends(void)
{
  struct uk_kafka_session *sessions[UK_KAFKA_PARKED + 1];
  for (int32_t i = 0; i <= UK_KAFKA_PARKED; i++)
    sessions[i] = acquire("t", i, 0);
  for (int32_t i = 0; i < UK_KAFKA_PARKED; i++)
    park(sessions[i]);
  reader_run(NOW);
  CHECK_EQ_INT(pool->parked_count, UK_KAFKA_PARKED);
  park(sessions[UK_KAFKA_PARKED]);
  reader_run(NOW);
  CHECK_EQ_INT(pool->parked_count, UK_KAFKA_PARKED);
  CHECK_EQ_INT(reader_offset("t", 0), -1);
  CHECK_EQ_INT(reader_offset("t", 1), 0);
}

/* Every handle reads the partition for a parked session. */
static void the_oldest_parked_session_gives_way(void)
{
  struct uk_kafka_session *sessions[UK_KAFKA_POOL_SIZE];
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++)
    sessions[i] = acquire("t", 0, 5);
  static const size_t order[UK_KAFKA_POOL_SIZE] = {3, 0, 6, 1, 7, 2, 5, 4};
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    reader.now = NOW + (int64_t)i;
    park(sessions[order[i]]);
  }
  CHECK_EQ_INT(handle_of(acquire("t", 0, 9)), 3);
  CHECK_EQ_INT(pool->parked_count, UK_KAFKA_POOL_SIZE - 1);
  struct uk_kafka_session *next = session;
  CHECK_EQ_INT(handle_of(acquire("t", 0, 9)), 0);
  give_back(session);
  give_back(next);
}

static void a_forgotten_topic_has_no_parked_session(void)
{
  struct uk_kafka_session *gone = acquire("t", 0, 5), *kept = acquire("u", 0, 5);
  park(gone);
  park(kept);
  uk_kafka_consumer_pool_forget(pool, uk_slice_text("t"));
  CHECK(acquire("t", 0, 5) != gone);
  struct uk_kafka_session *fresh = session;
  CHECK(acquire("u", 0, 5) == kept);
  park(kept);
  reader_run(NOW);
  CHECK_EQ_INT(pool->parked_count, 1);
  CHECK_EQ_INT(reader.read_count, 2);
  give_back(fresh);
}

/* Its handle has outdated knowledge of topics. */
static void a_retired_handle_ends_with_its_last_session(void)
{
  struct uk_kafka_session *parked = acquire("t", 0, 5), *other = acquire("t", 1, 5);
  park(parked);
  uk_kafka_consumer_pool_retire(pool, other);
  CHECK_EQ_INT(handle_of(acquire("t", 2, 5)), 1);
  give_back(session);
  reader_run(NOW);
  CHECK_EQ_INT(reader_offset("t", 0), -1); /* no fetch continues there */
  CHECK_EQ_INT(reader.reaped, 0);
  give_back(other);
  reader_run(NOW);
  CHECK_EQ_INT(reader.reaped, 1);
  CHECK(!reader.handles[0].open && reader.handles[1].open);
}

static void an_idle_handle_ends_after_a_minute(void)
{
  give_back(acquire("t", 0, 5));
  reader_run(NOW);
  reader_run(NOW + 10000);
  give_back(acquire("t", 0, 5));
  reader_run(NOW + UK_KAFKA_CONSUMER_IDLE + 9999);
  CHECK_EQ_INT(reader.reaped, 0);
  reader_run(NOW + UK_KAFKA_CONSUMER_IDLE + 10000);
  CHECK_EQ_INT(reader.reaped, 1);
  /* One that has a session is not idle. */
  acquire("t", 0, 5);
  CHECK_EQ_INT(reader.opened, 2);
  reader_run(NOW + 10 * UK_KAFKA_CONSUMER_IDLE);
  CHECK_EQ_INT(reader.reaped, 1);
  give_back(session);
}

/* Each of its topics may be the one. */
static void a_parked_session_of_two_topics_is_forgotten_with_either(void)
{
  static const char *const names[] = {"t", "u"};
  for (size_t i = 0; i < 2; i++) {
    struct uk_kafka_position both[] = {place("t", 0, 5), place("u", 0, 5)};
    if (both[0].hash > both[1].hash) {
      const struct uk_kafka_position swapped = both[0];
      both[0] = both[1];
      both[1] = swapped;
    }
    CHECK_EQ_INT(acquire_all(&waitings[0], both, 2), UK_KAFKA_ACQUIRED);
    CHECK(uk_kafka_session_start(session, both, 2));
    park(session);
    reader_run(NOW);
    CHECK_EQ_INT(reader.read_count, 2);
    uk_kafka_consumer_pool_forget(pool, uk_slice_text(names[i]));
    reader_run(NOW);
    CHECK_EQ_INT(reader.read_count, 0);
    CHECK_EQ_INT(pool->parked_count, 0);
  }
}

/* In whichever order they became idle. */
static void each_idle_handle_ends_in_its_time(void)
{
  for (int order = 0; order < 2; order++) {
    int64_t begun = reader.now;
    struct uk_kafka_session *sessions[2] = {acquire("t", 0, 5), NULL};
    sessions[1] = acquire("t", 0, 5);
    size_t reaped = reader.reaped;
    give_back(sessions[order]);
    reader_run(begun + 10000);
    give_back(sessions[1 - order]);
    reader_run(begun + 10000);
    reader_run(begun + UK_KAFKA_CONSUMER_IDLE - 1);
    CHECK_EQ_INT(reader.reaped, reaped);
    reader_run(begun + UK_KAFKA_CONSUMER_IDLE);
    CHECK_EQ_INT(reader.reaped, reaped + 1);
    reader_run(begun + UK_KAFKA_CONSUMER_IDLE + 9999);
    CHECK_EQ_INT(reader.reaped, reaped + 1);
    reader_run(begun + UK_KAFKA_CONSUMER_IDLE + 10000);
    CHECK_EQ_INT(reader.reaped, reaped + 2);
  }
}

/* Sessions. */

static struct uk_kafka_position three[3];

/* In the order of their hashes, as positions are. */
static void acquire_three(size_t first)
{
  for (int32_t i = 0; i < 3; i++)
    three[i] = place("t", i, 10 * (i + 1));
  for (size_t i = 1; i < 3; i++) {
    for (size_t j = i; j > 0 && three[j - 1].hash > three[j].hash; j--) {
      struct uk_kafka_position swapped = three[j];
      three[j] = three[j - 1];
      three[j - 1] = swapped;
    }
  }
  CHECK_EQ_INT(acquire_all(&waitings[0], three, 3), UK_KAFKA_ACQUIRED);
  session->first = first;
}

/* Each part of a session is in the way of others, and has others in its way. */
static void no_part_is_read_twice_by_a_handle(void)
{
  for (int32_t i = 0; i < 3; i++) {
    struct uk_kafka_session *alone = acquire("t", i, 5);
    acquire_three(0);
    struct uk_kafka_session *all = session;
    CHECK(handle_of(alone) != handle_of(all));
    give_back(alone);
    CHECK(uk_kafka_session_start(all, three, 3));
    alone = acquire("t", i, 5);
    CHECK(handle_of(alone) != handle_of(all));
    give_back(alone);
    give_back(all);
  }
}

static void parts_start_from_the_first_round_to_it(void)
{
  acquire_three(1);
  CHECK(uk_kafka_session_start(session, three, 1));
  CHECK_EQ_INT(reader.starts, 1);
  CHECK_EQ_INT(reader_offset("t", three[1].partition), three[1].offset);
  CHECK(uk_kafka_session_start(session, three, 2));
  CHECK_EQ_INT(reader_offset("t", three[2].partition), three[2].offset);
  CHECK_EQ_INT(reader_offset("t", three[0].partition), -1);
  CHECK(uk_kafka_session_start(session, three, 3));
  CHECK_EQ_INT(reader_offset("t", three[0].partition), three[0].offset);
  CHECK(uk_kafka_session_start(session, three, 3));
  CHECK_EQ_INT(reader.starts, 3);
  give_back(session);
}

static void a_part_past_its_end_is_not_read(void)
{
  acquire_three(0);
  give_back(session);
  three[1].past = true;
  CHECK_EQ_INT(acquire_all(&waitings[0], three, 3), UK_KAFKA_ACQUIRED);
  CHECK_EQ_INT(session->ended, 1);
  CHECK(session->parts[1].answered);
  CHECK(uk_kafka_session_start(session, three, 3));
  CHECK_EQ_INT(reader.starts, 2);
  CHECK_EQ_INT(session->started, 3);
  CHECK_EQ_INT(reader_offset("t", three[1].partition), -1);
  give_back(session);
}

static void a_part_that_is_refused_is_the_one_at_started(void)
{
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 1));
  reader.refuses = "t";
  CHECK(!uk_kafka_session_start(session, three, 3));
  CHECK_EQ_INT(session->started, 1);
  CHECK_EQ_INT(reader.live, 2); /* a queue, and the topic of the part that has started */
  reader.refuses = NULL;
  CHECK(uk_kafka_session_start(session, three, 3));
  give_back(session);
}

static void stops_a_number_of_parts_at_a_time(void)
{
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 3));
  reader_record("t", 0, 10, 1);
  struct uk_kafka_part *part;
  CHECK_EQ_INT(uk_kafka_session_read(session, &part), UK_KAFKA_READ_RECORD);
  CHECK(!uk_kafka_session_stop(session, 2));
  CHECK_EQ_INT(reader.stops, 2);
  CHECK(session->queue != NULL);
  CHECK(uk_kafka_session_stop(session, 2));
  CHECK_EQ_INT(reader.stops, 3);
  CHECK(session->queue == NULL);
  CHECK_EQ_INT(reader.live, 0);
  uk_kafka_consumer_pool_release(pool, session);
}

static enum uk_kafka_read look(int32_t partition, struct uk_kafka_part **part)
{
  *part = NULL;
  enum uk_kafka_read found = uk_kafka_session_read(session, part);
  if (found != UK_KAFKA_READ_NOTHING)
    CHECK_EQ_INT((*part)->partition, partition);
  return found;
}

static void a_record_stays_until_it_is_taken(void)
{
  struct uk_kafka_part *part;
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 3));
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_NOTHING);
  reader_record("t", 1, 20, 5);
  reader_record("t", 2, 35, 5); /* offsets may have gaps */
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(look(1, &part), UK_KAFKA_READ_RECORD);
  CHECK(!part->answered);
  uk_kafka_session_take(session, part);
  CHECK(part->answered);
  CHECK_EQ_INT(part->next_offset, 21);
  CHECK_EQ_INT(session->taken, 6);
  CHECK_EQ_INT(look(2, &part), UK_KAFKA_READ_RECORD);
  uk_kafka_session_take(session, part);
  CHECK_EQ_INT(part->next_offset, 36);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_NOTHING);
  give_back(session);
}

/* What is below the offset, of another partition or about none is dropped. */
static void what_was_not_asked_for_is_dropped(void)
{
  struct uk_kafka_part *part;
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 3));
  struct reader_read *at = reader_find("t", 0, NULL);
  reader_record("t", 0, 9, 1);
  struct reader_event *strange = reader_event_of("u", 0);
  strange->code = RD_KAFKA_RESP_ERR_UNKNOWN;
  reader_add(at->queue, strange);
  struct reader_event *nowhere = reader_event_of("t", 0);
  nowhere->code = RD_KAFKA_RESP_ERR_UNKNOWN;
  nowhere->has_place = false;
  reader_add(at->queue, nowhere);
  struct reader_event *far = reader_event_of("t", 7);
  far->code = RD_KAFKA_RESP_ERR_UNKNOWN;
  reader_add(at->queue, far);
  reader_record("t", 0, 10, 1);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_RECORD);
  CHECK_EQ_INT(session->event.message->offset, 10);
  uk_kafka_session_take(session, part);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_NOTHING);
  give_back(session);
}

static void an_end_counts_until_the_next_record(void)
{
  struct uk_kafka_part *part;
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 3));
  reader_end("t", 0, 14);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_END);
  CHECK(part->ended && part->answered);
  CHECK_EQ_INT(part->next_offset, 14); /* nothing is between */
  CHECK_EQ_INT(session->ended, 1);
  reader_end("t", 0, 12); /* an end never moves back */
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_END);
  CHECK_EQ_INT(part->next_offset, 14);
  CHECK_EQ_INT(session->ended, 1);
  reader_record("t", 0, 14, 1);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_RECORD);
  uk_kafka_session_take(session, part);
  CHECK(!part->ended);
  CHECK_EQ_INT(session->ended, 0);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_NOTHING);
  give_back(session);
}

static void a_code_stays_until_it_is_taken(void)
{
  struct uk_kafka_part *part;
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 3));
  reader_code("t", 2, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  CHECK_EQ_INT(look(2, &part), UK_KAFKA_READ_CODE);
  CHECK_EQ_INT(look(2, &part), UK_KAFKA_READ_CODE);
  CHECK_EQ_INT(session->event.code, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  uk_kafka_session_take(session, part);
  CHECK(!part->answered);
  CHECK_EQ_INT(session->taken, 0);
  CHECK_EQ_INT(part->next_offset, 30);
  uk_kafka_session_end(session, part);
  uk_kafka_session_end(session, part);
  CHECK_EQ_INT(session->ended, 1);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_NOTHING);
  give_back(session);
}

/* librdkafka's threads sleep when enough is read ahead. */
static void much_that_was_taken_nudges_the_handle(void)
{
  struct uk_kafka_part *part;
  acquire("t", 0, 0);
  uk_kafka_session_nudge(session);
  CHECK_EQ_INT(reader.nudges, 0); /* nothing was taken */
  reader_record("t", 0, 0, NUDGE - 2);
  reader_record("t", 0, 1, 0);
  reader_record("t", 0, 2, 0);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_RECORD);
    CHECK_EQ_INT(reader.nudges, i == 2);
    uk_kafka_session_take(session, part);
  }
  CHECK_EQ_INT(reader.nudges, 1);
  CHECK_EQ_INT(session->taken, 1);
  uk_kafka_session_nudge(session);
  uk_kafka_session_nudge(session);
  CHECK_EQ_INT(reader.nudges, 2);
  give_back(session);
}

/* Keys count as well. */
static void keys_that_were_taken_nudge_the_handle_too(void)
{
  struct uk_kafka_part *part;
  acquire("t", 0, 0);
  reader.key_size = 100;
  reader_record("t", 0, 0, 20);
  CHECK_EQ_INT(look(0, &part), UK_KAFKA_READ_RECORD);
  uk_kafka_session_take(session, part);
  CHECK_EQ_INT(session->taken, 121);
  give_back(session);
}

/* Partitions of different topics may have equal hashes: each gets its own records. */
static void parts_of_equal_hashes_are_told_apart(void)
{
  struct uk_kafka_position equal[] = {place("u", 0, 10), place("v", 0, 20), place("t", 0, 30)};
  struct uk_kafka_part *part;
  equal[0].hash = equal[1].hash = equal[2].hash;
  CHECK_EQ_INT(acquire_all(&waitings[0], equal, 3), UK_KAFKA_ACQUIRED);
  CHECK(uk_kafka_session_start(session, equal, 3));
  reader_record("t", 0, 30, 1);
  CHECK_EQ_INT(uk_kafka_session_read(session, &part), UK_KAFKA_READ_RECORD);
  CHECK(part == &session->parts[2]);
  uk_kafka_session_take(session, part);
  CHECK_EQ_INT(session->parts[2].next_offset, 31);
  CHECK_EQ_INT(session->parts[0].next_offset, 10);
  give_back(session);
}

/* The part that was read last need not have started. */
static void a_part_that_has_not_started_is_not_looked_at(void)
{
  struct uk_kafka_position both[] = {place("t", 0, 5), place("u", 0, 6)};
  struct uk_kafka_part *part;
  if (both[0].hash > both[1].hash) {
    const struct uk_kafka_position swapped = both[0];
    both[0] = both[1];
    both[1] = swapped;
  }
  CHECK_EQ_INT(acquire_all(&waitings[0], both, 2), UK_KAFKA_ACQUIRED);
  session->first = 1;
  CHECK(uk_kafka_session_start(session, both, 1));
  reader_record(both[1].topic.data, 0, both[1].offset, 1);
  CHECK_EQ_INT(uk_kafka_session_read(session, &part), UK_KAFKA_READ_RECORD);
  CHECK(part == &session->parts[1]);
  give_back(session);
}

/* A session is parked with what it has read; only one that started all its parts, at the same
 * places, fits. */
static void a_session_fits_its_positions_only(void)
{
  acquire_three(0);
  CHECK(uk_kafka_session_start(session, three, 2));
  CHECK(!uk_kafka_session_fits(session, three, 3));
  CHECK(uk_kafka_session_start(session, three, 3));
  CHECK(uk_kafka_session_fits(session, three, 3));
  CHECK(!uk_kafka_session_fits(session, three, 2));
  three[2].offset++;
  CHECK(!uk_kafka_session_fits(session, three, 3));
  three[2].offset--;
  three[1].topic = uk_slice_text("x"); /* of an equal hash */
  CHECK(!uk_kafka_session_fits(session, three, 3));
  give_back(session);
}

/* Each case has its own pool, and leaves nothing open. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  REQUIRE(reader_open());
  pool = uk_kafka_consumer_pool_new((const struct uk_kafka_settings *)&reader, reader.executor,
                                    (struct uk_kafka_reaper *)&reader);
  REQUIRE(pool != NULL);
  for (size_t i = 0; i < 16; i++) {
    waitings[i] = (struct waiting){.waiter.task = &waitings[i].task};
    uk_kafka_task_init(&waitings[i].task, reader.executor, run_waiting, NULL);
  }
  reader_run(NOW);
  current();
  uk_kafka_consumer_pool_free(pool);
  reader_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

static void is_not_made_without_memory(void)
{
  long live = fault_live();
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    CHECK(uk_kafka_consumer_pool_new(NULL, NULL, NULL) == NULL);
    CHECK(fault_hit());
    fault_off();
  }
  CHECK_EQ_INT(fault_live(), live);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(sessions_share_a_handle_until_it_has_four);
  RUN(then_they_are_spread_over_all_handles);
  RUN(sessions_of_one_partition_have_handles_of_their_own);
  RUN(partitions_of_one_bucket_share_a_handle);
  RUN(a_handle_that_cannot_be_opened_is_the_reason);
  RUN(one_handle_opens_at_a_time);
  RUN(a_parked_session_gives_way_to_no_one_while_a_handle_opens);
  RUN(there_is_no_session_without_memory);
  RUN(each_session_that_is_given_back_wakes_four_waiters);
  RUN(who_gets_a_session_waits_no_more);
  RUN(records_wake_the_task_of_the_session);
  RUN(a_parked_session_is_for_who_continues_there);
  RUN(a_parked_session_ends_after_three_seconds);
  RUN(the_oldest_of_too_many_parked_sessions_ends);
  RUN(the_oldest_parked_session_gives_way);
  RUN(a_forgotten_topic_has_no_parked_session);
  RUN(a_retired_handle_ends_with_its_last_session);
  RUN(an_idle_handle_ends_after_a_minute);
  RUN(a_parked_session_of_two_topics_is_forgotten_with_either);
  RUN(each_idle_handle_ends_in_its_time);
  RUN(no_part_is_read_twice_by_a_handle);
  RUN(parts_start_from_the_first_round_to_it);
  RUN(a_part_past_its_end_is_not_read);
  RUN(a_part_that_is_refused_is_the_one_at_started);
  RUN(stops_a_number_of_parts_at_a_time);
  RUN(a_record_stays_until_it_is_taken);
  RUN(what_was_not_asked_for_is_dropped);
  RUN(an_end_counts_until_the_next_record);
  RUN(a_code_stays_until_it_is_taken);
  RUN(much_that_was_taken_nudges_the_handle);
  RUN(keys_that_were_taken_nudge_the_handle_too);
  RUN(parts_of_equal_hashes_are_told_apart);
  RUN(a_part_that_has_not_started_is_not_looked_at);
  RUN(a_session_fits_its_positions_only);
  CHECK_RUN(is_not_made_without_memory);
  return check_end();
}
