#include "server/kafka_engine/group/kafka_instance_reset.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_instance_slots.h"
#include "server/kafka_engine/group/kafka_instance_turns.h"
#include "server/kafka_engine/fetch/kafka_range.h"

enum { RANGE_TIMEOUT = 2000 }; /* milliseconds; without the range the answer does without it */

/* A question under way, with the requests that wait for its answer. It outlives the instance. */
struct question {
  struct uk_kafka_range range;
  struct uk_kafka_position position;
  struct uk_kafka_turns turns;
  struct uk_kafka_name topic;
  const char *what;
};

/* Where the cluster does not say what the range is. */
static void write_out_of_range(char text[static UK_MESSAGE_SIZE], const char *what, int64_t offset,
                               struct uk_slice topic, int32_t partition)
{
  snprintf(text, UK_MESSAGE_SIZE,
           "the %s %lld of topic \"%.*s\" partition %d is out of range" UK_RESET_IS_NONE, what,
           (long long)offset, (int)topic.length, topic.data, (int)partition);
}

static void answered(struct uk_kafka_range *range)
{
  struct question *question = (struct question *)range;
  const struct uk_kafka_position *at = &question->position;
  char text[UK_MESSAGE_SIZE];
  if (range->code == RD_KAFKA_RESP_ERR_NO_ERROR)
    snprintf(text, sizeof text, UK_RESET_OUT_OF_RANGE, question->what, (long long)at->offset,
             (int)at->topic.length, at->topic.data, (int)at->partition, (long long)at->first,
             (long long)at->end);
  else
    write_out_of_range(text, question->what, at->offset, at->topic, at->partition);
  uk_kafka_turns_fail(&question->turns, UK_E_BAD_REQUEST, text);
  free(question);
}

/* False when memory is out. */
static bool ask_range(struct uk_kafka_instance *instance, const rd_kafka_topic_partition_t *place)
{
  const struct uk_kafka_slot *slot =
    uk_kafka_instance_slot(instance, place->topic, place->partition);
  struct question *question = calloc(1, sizeof *question);
  if (question == NULL)
    return false;
  question->topic = uk_kafka_name(uk_slice_text(place->topic));
  question->what = slot != NULL && slot->position >= 0 ? "position" : "committed offset";
  question->position = (struct uk_kafka_position){.topic = uk_slice_text(question->topic.text),
                                                  .partition = place->partition,
                                                  .offset = place->offset,
                                                  .unsure = true};
  question->turns = instance->turns;
  instance->turns = (struct uk_kafka_turns){NULL, NULL};
  question->range =
    (struct uk_kafka_range){.work = {.deadline = uk_clock_monotonic() + RANGE_TIMEOUT},
                            .control = instance->groups->parts.control,
                            .positions = &question->position,
                            .count = 1,
                            .then = answered};
  uk_kafka_range_ask(&question->range, instance->groups->parts.blocking);
  return true;
}

void uk_kafka_instance_fail_reset(struct uk_kafka_instance *instance,
                                  const rd_kafka_topic_partition_t *place)
{
  char text[UK_MESSAGE_SIZE] = "no committed offset" UK_RESET_IS_NONE;
  struct uk_slice topic = uk_slice_text(place != NULL ? place->topic : "");
  if (place != NULL && place->offset >= 0 && ask_range(instance, place))
    return;
  if (place != NULL && place->offset >= 0)
    write_out_of_range(text, "committed offset", place->offset, topic, place->partition);
  else if (place != NULL)
    snprintf(text, sizeof text, UK_RESET_NO_OFFSET, (int)topic.length, topic.data,
             (int)place->partition);
  uk_kafka_turns_fail(&instance->turns, UK_E_BAD_REQUEST, text);
}
