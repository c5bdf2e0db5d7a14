#include "server/kafka_engine/fetch/kafka_range.h"

#include <stdlib.h>

#include "server/kafka_engine/cluster/kafka_offsets.h"

static size_t count_unsure(const struct uk_kafka_range *range)
{
  size_t count = 0;
  for (size_t i = 0; i < range->count; i++)
    count += range->positions[i].unsure;
  return count;
}

/* The unsure ones, as what is asked. */
static void list_unsure(const struct uk_kafka_range *range, struct uk_topic_partition_offset *at)
{
  for (size_t i = 0; i < range->count; i++) {
    const struct uk_kafka_position *position = &range->positions[i];
    if (position->unsure)
      *at++ = (struct uk_topic_partition_offset){.topic = position->topic,
                                                 .partition = position->partition};
  }
}

static size_t nth_unsure(const struct uk_kafka_range *range, size_t n)
{
  for (size_t i = 0; i < range->count; i++) {
    if (range->positions[i].unsure && n-- == 0)
      return i;
  }
  return 0;
}

static void set_ranges(struct uk_kafka_range *range, const struct uk_topic_partition_offset *firsts,
                       const struct uk_topic_partition_offset *ends)
{
  for (size_t i = 0; i < range->count; i++) {
    struct uk_kafka_position *position = &range->positions[i];
    if (!position->unsure)
      continue;
    position->first = firsts++->offset;
    position->end = ends++->offset;
  }
}

static void ask(struct uk_kafka_range *range)
{
  size_t count = count_unsure(range), failed = 0;
  struct uk_topic_partition_offset *firsts = calloc(2 * count + 1, sizeof *firsts);
  range->code = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
  if (firsts == NULL)
    return;
  struct uk_topic_partition_offset *ends = firsts + count;
  list_unsure(range, firsts);
  list_unsure(range, ends);
  range->code = uk_kafka_offsets_ask(range->control, UK_TIMESTAMP_EARLIEST, firsts, count,
                                     range->work.deadline, &failed);
  if (range->code == RD_KAFKA_RESP_ERR_NO_ERROR)
    range->code = uk_kafka_offsets_ask(range->control, UK_TIMESTAMP_LATEST, ends, count,
                                       range->work.deadline, &failed);
  if (range->code == RD_KAFKA_RESP_ERR_NO_ERROR)
    set_ranges(range, firsts, ends);
  else
    range->failed = nth_unsure(range, failed);
  free(firsts);
}

static void run(struct uk_kafka_work *work)
{
  struct uk_kafka_range *range = (struct uk_kafka_range *)work;
  ask(range);
  range->then(range);
}

static void timed_out(struct uk_kafka_work *work)
{
  struct uk_kafka_range *range = (struct uk_kafka_range *)work;
  range->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  range->failed = nth_unsure(range, 0);
  range->then(range);
}

void uk_kafka_range_ask(struct uk_kafka_range *range, struct uk_kafka_blocking *blocking)
{
  range->work.run = run;
  range->work.timed_out = timed_out;
  uk_kafka_blocking_submit(blocking, &range->work);
}
