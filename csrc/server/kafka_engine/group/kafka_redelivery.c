#include "server/kafka_engine/group/kafka_redelivery.h"

#include "common/clock.h"

enum { RECENT = 5000 }; /* milliseconds */

/* The records were valid when they were delivered first. A look as young as those that a waiting
 * consume gets will do: what is delivered again moves no position. */
static bool is_sure(const struct uk_kafka_assigned_partition *partition, int64_t now)
{
  return partition->cleared || (!partition->doubtful && partition->verified_at != 0 &&
                                now - partition->verified_at < RECENT);
}

/* False: it is not known yet whether the instance holds the partition, or whether the position
 * after its records is valid. Any broker may vouch for that: no record waits that came from one. */
static bool look_at(struct uk_kafka_group_member *member, struct uk_kafka_batch_partition *of,
                    int64_t now)
{
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&member->partitions, of->topic.text, of->number);
  bool in_flight = partition != NULL && uk_progress_in_flight(&partition->progress);
  of->held = in_flight ? partition : NULL;
  if (!in_flight)
    return true;
  if (!partition->assigned)
    return false;
  if (is_sure(partition, now))
    return true;
  partition->wanted = true;
  partition->broker = -1;
  return false;
}

/* Looks at all of them, so that one query verifies all. */
static bool look_at_all(struct uk_kafka_group_member *member, struct uk_kafka_batch *batch)
{
  int64_t now = uk_clock_monotonic();
  bool known = true;
  for (size_t i = 0; i < batch->partition_count; i++)
    known = look_at(member, &batch->partitions[i], now) && known;
  return known;
}

/* The next record that is not left out. False: there is none. */
static bool next_record(const struct uk_kafka_batch *batch, size_t *at, struct uk_record *record)
{
  const struct uk_kafka_batch_partition *partition;
  while ((partition = uk_kafka_batch_next(batch, at, record)) != NULL) {
    if (partition->held != NULL && record->offset >= partition->held->progress.redelivery)
      return true;
  }
  return false;
}

/* False: memory is out. */
static bool pass_records(const struct uk_kafka_batch *batch, struct uk_consume *consume)
{
  struct uk_record record;
  size_t at = 0;
  bool taken = true;
  while (taken && next_record(batch, &at, &record))
    taken = consume->sink.record(&consume->operation, &record);
  return taken;
}

enum uk_kafka_redelivered uk_kafka_redelivery_run(struct uk_kafka_group_member *member,
                                                  struct uk_kafka_delivery *delivery,
                                                  struct uk_kafka_request *request)
{
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  struct uk_record record;
  size_t at = 0;
  if (!look_at_all(member, &delivery->batch))
    return UK_KAFKA_REDELIVERY_WAITS;
  if (!next_record(&delivery->batch, &at, &record)) {
    uk_kafka_delivery_acknowledge(member, delivery);
    return UK_KAFKA_REDELIVERY_IS_OVER;
  }
  consume->redelivered = true;
  if (!uk_kafka_request_is_client_alive(request))
    consume->operation.error = UK_E_CANCELLED;
  else if (!pass_records(&delivery->batch, consume))
    consume->operation.error = UK_E_NO_MEMORY;
  else
    uk_kafka_delivery_number(member, delivery, consume);
  uk_kafka_requests_remove(request);
  uk_kafka_request_done(request);
  return UK_KAFKA_REDELIVERED;
}
