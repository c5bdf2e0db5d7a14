/* for: log_waiters.c */
#include "server/log_engine/log_waiters.h"

#include <stdlib.h>

#include "check.h"
#include "fault.h"

enum { MANY = 300, TOPICS = 5, POSITIONS = 3 };

static const char *const names[TOPICS] = {"t", "u", "t-0", "", "topic"};

struct sample {
  struct uk_fetch fetch;
  struct uk_topic_partition_offset at[POSITIONS];
  struct uk_log_waiter *waiter; /* NULL while it is not waiting */
};

static struct sample samples[MANY];

static void fill(struct sample *sample, unsigned *seed)
{
  sample->fetch =
    (struct uk_fetch){.positions = sample->at, .count = 1 + (size_t)rand_r(seed) % POSITIONS};
  sample->fetch.operation.deadline = rand_r(seed) % 1000;
  for (size_t i = 0; i < POSITIONS; i++) {
    const char *name = names[rand_r(seed) % TOPICS];
    sample->at[i] =
      (struct uk_topic_partition_offset){uk_slice_text(name), rand_r(seed) % 3, rand_r(seed) % 100};
  }
}

struct query {
  struct uk_slice topic;
  int32_t partition;
  int64_t end, now;
};

static bool grown(const struct sample *sample, const struct query *query)
{
  for (size_t i = 0; i < sample->fetch.count; i++) {
    if (uk_slice_equal(sample->at[i].topic, query->topic) &&
        sample->at[i].partition == query->partition && sample->at[i].offset < query->end)
      return true;
  }
  return false;
}

static bool named(const struct sample *sample, const struct query *query)
{
  for (size_t i = 0; i < sample->fetch.count; i++) {
    if (uk_slice_equal(sample->at[i].topic, query->topic))
      return true;
  }
  return false;
}

static bool expired(const struct sample *sample, const struct query *query)
{
  return sample->fetch.operation.deadline <= query->now;
}

/* Exactly the waiters that a linear search finds were taken, each once. */
static void check_taken(struct uk_log_waiter *taken,
                        bool (*matches)(const struct sample *, const struct query *),
                        const struct query *query)
{
  size_t want = 0, have = 0;
  for (int i = 0; i < MANY; i++)
    want += samples[i].waiter != NULL && matches(&samples[i], query);
  while (taken != NULL) {
    struct uk_log_waiter *next = taken->next;
    struct sample *sample = (struct sample *)taken->fetch;
    CHECK(sample->waiter == taken && matches(sample, query));
    sample->waiter = NULL;
    have++;
    free(taken);
    taken = next;
  }
  CHECK_EQ_INT(have, want);
}

static void check_deadline(const struct uk_log_waiters *waiters)
{
  int64_t want = INT64_MAX;
  for (int i = 0; i < MANY; i++) {
    if (samples[i].waiter != NULL && samples[i].fetch.operation.deadline < want)
      want = samples[i].fetch.operation.deadline;
  }
  CHECK_EQ_INT(uk_log_waiters_deadline(waiters), want);
}

static void add_some(struct uk_log_waiters *waiters, unsigned *seed)
{
  for (int i = 0; i < MANY; i++) {
    if (samples[i].waiter != NULL || rand_r(seed) % 2 == 0)
      continue;
    fill(&samples[i], seed);
    samples[i].waiter = uk_log_waiter_new(&samples[i].fetch);
    REQUIRE(samples[i].waiter != NULL && uk_log_waiters_add(waiters, samples[i].waiter));
  }
}

static void like_a_linear_search(void)
{
  struct uk_log_waiters waiters;
  unsigned seed = 11;
  REQUIRE(uk_log_waiters_init(&waiters));
  for (int round = 0; round < 500; round++) {
    struct query query = {uk_slice_text(names[rand_r(&seed) % TOPICS]), rand_r(&seed) % 3,
                          rand_r(&seed) % 120, rand_r(&seed) % 300};
    add_some(&waiters, &seed);
    check_deadline(&waiters);
    if (round % 3 == 0)
      check_taken(uk_log_waiters_take_partition(&waiters, query.topic, query.partition, query.end),
                  grown, &query);
    else if (round % 3 == 1)
      check_taken(uk_log_waiters_take_expired(&waiters, query.now), expired, &query);
    else
      check_taken(uk_log_waiters_take_topic(&waiters, query.topic), named, &query);
    check_deadline(&waiters);
  }
  struct query all = {.now = INT64_MAX};
  check_taken(uk_log_waiters_take_all(&waiters), expired, &all);
  CHECK_EQ_INT(uk_log_waiters_deadline(&waiters), INT64_MAX);
  uk_log_waiters_free(&waiters);
}

/* In every order of arrival: the earliest deadline is known after each end. */
static void deadlines_come_in_order(void)
{
  enum { COUNT = 7, ORDERS = 5040 };
  for (int order = 0; order < ORDERS; order++) {
    struct uk_log_waiters waiters;
    int left = order, deadlines[COUNT];
    REQUIRE(uk_log_waiters_init(&waiters));
    for (int i = 0; i < COUNT; i++) { /* the i-th is one of i + 1 places among those before it */
      int place = left % (i + 1);
      left /= i + 1;
      for (int j = i; j > place; j--)
        deadlines[j] = deadlines[j - 1];
      deadlines[place] = i;
    }
    for (int i = 0; i < COUNT; i++) {
      samples[i].fetch = (struct uk_fetch){.positions = samples[i].at, .count = 1};
      samples[i].fetch.operation.deadline = deadlines[i];
      samples[i].waiter = uk_log_waiter_new(&samples[i].fetch);
      REQUIRE(samples[i].waiter != NULL && uk_log_waiters_add(&waiters, samples[i].waiter));
    }
    for (int i = 0; i < COUNT; i++) {
      struct query query = {.now = i};
      CHECK_EQ_INT(uk_log_waiters_deadline(&waiters), i);
      check_taken(uk_log_waiters_take_expired(&waiters, i), expired, &query);
    }
    CHECK_EQ_INT(uk_log_waiters_deadline(&waiters), INT64_MAX);
    uk_log_waiters_free(&waiters);
  }
}

static void a_partition_named_twice(void)
{
  struct uk_log_waiters waiters;
  struct sample *one = &samples[0];
  REQUIRE(uk_log_waiters_init(&waiters));
  one->fetch = (struct uk_fetch){.positions = one->at, .count = 3};
  for (int i = 0; i < 3; i++)
    one->at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, i};
  one->waiter = uk_log_waiter_new(&one->fetch);
  REQUIRE(one->waiter != NULL && uk_log_waiters_add(&waiters, one->waiter));
  struct query query = {uk_slice_text("t"), 0, 10, 0};
  check_taken(uk_log_waiters_take_partition(&waiters, query.topic, 0, 10), grown, &query);
  CHECK(uk_log_waiters_take_all(&waiters) == NULL);
  uk_log_waiters_free(&waiters);
}

static void survives_a_failing_allocator(void)
{
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_log_waiters waiters;
    unsigned seed = 1;
    fill(&samples[0], &seed);
    fault_at(n);
    if (uk_log_waiters_init(&waiters)) {
      struct uk_log_waiter *waiter = uk_log_waiter_new(&samples[0].fetch);
      bool added = waiter != NULL && uk_log_waiters_add(&waiters, waiter);
      CHECK((uk_log_waiters_take_all(&waiters) != NULL) == added);
      free(waiter);
      uk_log_waiters_free(&waiters);
    }
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(fault_live(), before);
  }
}

int main(void)
{
  CHECK_RUN(like_a_linear_search);
  CHECK_RUN(deadlines_come_in_order);
  CHECK_RUN(a_partition_named_twice);
  CHECK_RUN(survives_a_failing_allocator);
  return check_end();
}
