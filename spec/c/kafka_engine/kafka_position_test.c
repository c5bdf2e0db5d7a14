/* for: kafka_position.c
 *
 * The positions that a fetch reads from. */
#include "server/kafka_engine/fetch/kafka_position.h"

#include <stdlib.h>

#include "check.h"

enum { MOST = 60 };

static size_t fill(struct uk_kafka_position *positions, const struct uk_topic_partition_offset *at,
                   size_t count)
{
  const struct uk_fetch fetch = {.positions = at, .count = count};
  return uk_kafka_positions_fill(positions, &fetch);
}

static void keeps_positions_named_once(void)
{
  struct uk_kafka_position positions[3];
  const struct uk_topic_partition_offset at[] = {
    {uk_slice_text("b"), 0, 7}, {uk_slice_text("a"), 1, 8}, {uk_slice_text("a"), 0, 9}};
  REQUIRE(fill(positions, at, 3) == 3);
  for (size_t i = 0; i < 3; i++) {
    const struct uk_kafka_position *got = &positions[i];
    const struct uk_topic_partition_offset *want = &at[got->offset - 7];
    CHECK(uk_slice_equal(got->topic, want->topic) && got->partition == want->partition);
    CHECK(!got->unsure && !got->past && got->waiter.end == NULL);
    CHECK(i == 0 || positions[i - 1].hash <= got->hash);
  }
}

/* Whatever lies before the positions. */
static void the_first_position_has_none_before_it(void)
{
  const struct uk_topic_partition_offset at = {uk_slice_text("a"), 0, 9};
  struct uk_kafka_position positions[2];
  REQUIRE(fill(positions, &at, 1) == 1);
  CHECK_EQ_INT(fill(positions + 1, &at, 1), 1);
  CHECK_EQ_INT(positions[1].offset, 9);
}

static void takes_the_lower_of_two_offsets(void)
{
  static const char *const names[] = {"one", "two", "three", "o", "on"};
  struct uk_topic_partition_offset at[MOST];
  struct uk_kafka_position positions[MOST];
  unsigned seed = 1;
  for (size_t i = 0; i < MOST; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text(names[i % 5]), (int32_t)(i / 5 % 3),
                                               rand_r(&seed) % 1000};
  size_t count = fill(positions, at, MOST);
  CHECK_EQ_INT(count, 15);
  for (size_t i = 0; i < count; i++) {
    int64_t least = INT64_MAX;
    for (size_t j = 0; j < MOST; j++) {
      if (uk_slice_equal(at[j].topic, positions[i].topic) &&
          at[j].partition == positions[i].partition && at[j].offset < least)
        least = at[j].offset;
    }
    CHECK_EQ_INT(positions[i].offset, least);
  }
}

static void is_unsure_of_special_offsets(void)
{
  const struct uk_topic_partition_offset at[] = {{uk_slice_text("a"), 0, -1},
                                                 {uk_slice_text("a"), 1, INT64_MIN},
                                                 {uk_slice_text("a"), 2, INT64_MAX},
                                                 {uk_slice_text("a"), 3, INT64_MAX - 1},
                                                 {uk_slice_text("a"), 4, 0}};
  struct uk_kafka_position positions[5];
  REQUIRE(fill(positions, at, 5) == 5);
  for (size_t i = 0; i < 5; i++)
    CHECK_EQ_INT(positions[i].unsure, positions[i].partition < 3);
}

int main(void)
{
  CHECK_RUN(keeps_positions_named_once);
  CHECK_RUN(the_first_position_has_none_before_it);
  CHECK_RUN(takes_the_lower_of_two_offsets);
  CHECK_RUN(is_unsure_of_special_offsets);
  return check_end();
}
