#include "server/kafka_engine/cluster/kafka_starts.h"

#include "common/clock.h"

enum { BATCH = 500 }; /* librdkafka compares each partition of a request with every other */

/* librdkafka would wait for the leader until the deadline, and answer for no partition before. */
static bool is_leaderless(const struct uk_kafka_starts *starts,
                          const rd_kafka_topic_partition_t *at)
{
  return uk_kafka_topics_leaderless(starts->topics, uk_slice_text(at->topic), at->partition);
}

/* The next partitions from `*from` on, which moves on. */
static rd_kafka_topic_partition_list_t *take_batch(const struct uk_kafka_starts *starts, int *from)
{
  rd_kafka_topic_partition_list_t *batch = rd_kafka_topic_partition_list_new(BATCH);
  for (; *from < starts->list->cnt && batch->cnt < BATCH; ++*from) {
    const rd_kafka_topic_partition_t *at = &starts->list->elems[*from];
    if (!is_leaderless(starts, at))
      rd_kafka_topic_partition_list_add(batch, at->topic, at->partition)->offset = at->offset;
  }
  return batch;
}

static void use(const struct uk_kafka_starts *starts, const rd_kafka_topic_partition_list_t *batch)
{
  for (int i = 0; i < batch->cnt; i++) {
    const rd_kafka_topic_partition_t *answer = &batch->elems[i];
    rd_kafka_topic_partition_t *at =
      rd_kafka_topic_partition_list_find(starts->list, answer->topic, answer->partition);
    if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && answer->offset >= 0)
      at->offset = answer->offset;
  }
}

static void run(struct uk_kafka_work *work)
{
  struct uk_kafka_starts *starts = (struct uk_kafka_starts *)work;
  int from = 0;
  while (from < starts->list->cnt && uk_clock_monotonic() < work->query.deadline) {
    rd_kafka_topic_partition_list_t *batch = take_batch(starts, &from);
    if (batch->cnt > 0 && rd_kafka_offsets_for_times(starts->control, batch,
                                                     uk_kafka_time_left(work->query.deadline)) ==
                            RD_KAFKA_RESP_ERR_NO_ERROR)
      use(starts, batch);
    rd_kafka_topic_partition_list_destroy(batch);
  }
  work->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
}

void uk_kafka_starts_ask(struct uk_kafka_starts *starts, struct uk_kafka_blocking *blocking)
{
  starts->work.run = run;
  uk_kafka_blocking_submit(blocking, &starts->work);
}
