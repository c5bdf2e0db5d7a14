#include "server/kafka_engine/group/kafka_delivery.h"

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_handle.h"

/* Reading ahead. librdkafka's threads sleep while half of prefetch_bytes waits here. They are woken
 * when less than three eighths seem to be left, and not again before as much was taken: if more was
 * left than it seemed, that is at the latest when all of it was taken. */
static void wake_readers(struct uk_kafka_group_member *member, struct uk_kafka_delivery *delivery)
{
  int64_t few = member->groups->parts.prefetch_bytes / 8 * 3;
  if (delivery->taken < few)
    return;
  int64_t mean = delivery->taken / delivery->taken_count;
  if ((int64_t)rd_kafka_queue_length(member->records) * mean >= few)
    return;
  delivery->taken = delivery->taken_count = 0;
  uk_kafka_nudge(member->handle, member->groups->parts.settings);
}

static void count_taken(struct uk_kafka_group_member *member, struct uk_kafka_delivery *delivery,
                        const rd_kafka_message_t *message)
{
  int64_t step = member->groups->parts.prefetch_bytes / 16, before = delivery->taken / step;
  delivery->taken += (int64_t)(message->len + message->key_len);
  delivery->taken_count++;
  if (delivery->taken / step > before)
    wake_readers(member, delivery);
}

/* Events. */

static bool next_event(struct uk_kafka_group_member *member, struct uk_kafka_delivery *delivery,
                       struct uk_kafka_event *event)
{
  if (delivery->held.event == NULL)
    return uk_kafka_event_next(member->records, event);
  *event = delivery->held;
  delivery->held = (struct uk_kafka_event){.event = NULL};
  return true;
}

static void note_end(struct uk_kafka_group_member *member, const struct uk_kafka_event *event)
{
  if (event->code != RD_KAFKA_RESP_ERR__PARTITION_EOF || event->place == NULL)
    return;
  struct uk_kafka_assigned_partition *partition = uk_kafka_assigned_partition_find(
    &member->partitions, event->place->topic, event->place->partition);
  if (partition == NULL)
    return;
  if (event->place->offset < partition->progress.position) {
    partition->doubtful = true;
    return;
  }
  partition->ended = true;
  /* Where the instance starts is committed at once: a server that takes it over must not start at a
   * later end. */
  if (!uk_progress_is_known(&partition->progress)) {
    uk_progress_pin(&partition->progress, event->place->offset);
    member->committing.next = 0;
  }
}

enum taken {
  TAKEN, /* also a record that the instance has no use for */
  FULL,  /* the response is, or memory is out */
  UNSURE /* the position of the partition must be verified first */
};

/* Keeps the record first: once the client may get it, nothing may fail. */
static bool pass_record(const struct uk_kafka_group_member *member,
                        struct uk_kafka_delivery *delivery, struct uk_consume *consume)
{
  const struct uk_record *record = &delivery->record.record;
  if (!uk_kafka_batch_add(&delivery->batch, record, member->groups->parts.prefetch_bytes))
    return false;
  if (consume->sink.record(&consume->operation, record))
    return true;
  uk_kafka_batch_drop_last(&delivery->batch);
  return false;
}

static enum taken take_record(struct uk_kafka_group_member *member,
                              struct uk_kafka_delivery *delivery, struct uk_consume *consume,
                              const rd_kafka_message_t *message)
{
  struct uk_kafka_assigned_partition *partition = uk_kafka_assigned_partition_find(
    &member->partitions, rd_kafka_topic_name(message->rkt), message->partition);
  if (partition == NULL || !partition->assigned)
    return TAKEN;
  if (message->offset < partition->progress.position) {
    partition->doubtful = true;
    return TAKEN;
  }
  int64_t now = uk_clock_monotonic();
  partition->broker = rd_kafka_message_broker_id(message);
  if (!uk_kafka_assigned_partition_is_sure(partition, now)) {
    partition->wanted = true;
    partition->ended = false;
    return UNSURE;
  }
  if (!uk_kafka_record_fill(&delivery->record, message) || !pass_record(member, delivery, consume))
    return FULL;
  uk_kafka_assigned_partition_advance(partition, message->offset, now);
  return TAKEN;
}

/* False: no more records go into this response, because it is full, its client has gone, or a
 * position must be verified. */
static bool take_message(struct uk_kafka_group_member *member, struct uk_kafka_delivery *delivery,
                         struct uk_kafka_request *request, struct uk_kafka_event *event)
{
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  bool alive = uk_kafka_request_is_client_alive(request);
  enum taken taken = alive ? take_record(member, delivery, consume, event->message) : FULL;
  if (taken == TAKEN) {
    count_taken(member, delivery, event->message);
    uk_kafka_event_free(event);
    return true;
  }
  delivery->held = *event;
  bool none = delivery->batch.length == 0;
  request->operation->error = !alive                    ? UK_E_CANCELLED
                              : none && taken != UNSURE ? UK_E_NO_MEMORY
                                                        : UK_OK;
  return false;
}

/* Delivering. */

void uk_kafka_delivery_number(struct uk_kafka_group_member *member,
                              struct uk_kafka_delivery *delivery, struct uk_consume *consume)
{
  struct uk_deliveries *numbers = &delivery->numbers;
  consume->delivery = atomic_fetch_add(&member->groups->deliveries, 1) + 1;
  if (uk_deliveries_outstanding(numbers))
    uk_deliveries_redeliver(numbers, consume->delivery);
  else
    uk_deliveries_deliver(numbers, consume->delivery);
  uk_batch_id_write(consume->batch, member->groups->nonce, numbers->batch);
  delivery->plain = consume->acknowledgement.kind == UK_ACKNOWLEDGE_WRITTEN;
}

void uk_kafka_delivery_acknowledge(struct uk_kafka_group_member *member,
                                   struct uk_kafka_delivery *delivery)
{
  (void)uk_deliveries_acknowledge(&delivery->numbers, delivery->numbers.batch);
  uk_kafka_assigned_partitions_acknowledge(&member->partitions);
  uk_kafka_batch_clear(&delivery->batch);
}

/* A checksum of each record would cost as much as its JSON; only the last one of a partition is
 * needed. */
static void mark_positions(struct uk_kafka_group_member *member, const struct uk_kafka_batch *batch)
{
  struct uk_record record;
  for (size_t i = 0; i < batch->partition_count; i++) {
    const struct uk_kafka_batch_partition *of = &batch->partitions[i];
    struct uk_kafka_assigned_partition *partition =
      uk_kafka_assigned_partition_find(&member->partitions, of->topic.text, of->number);
    if (partition != NULL && uk_kafka_batch_last(batch, of, &record))
      partition->mark = uk_record_mark_of(&record);
  }
}

static enum uk_kafka_delivered answer(struct uk_kafka_group_member *member,
                                      struct uk_kafka_delivery *delivery,
                                      struct uk_kafka_request *request)
{
  bool none = delivery->batch.length == 0;
  mark_positions(member, &delivery->batch);
  if (none && request->operation->error == UK_OK)
    return UK_KAFKA_DELIVERED_NOTHING;
  if (!none)
    uk_kafka_delivery_number(member, delivery, (struct uk_consume *)request->operation);
  uk_kafka_requests_remove(request);
  uk_kafka_request_done(request);
  return UK_KAFKA_DELIVERED_RECORDS;
}

enum uk_kafka_delivered uk_kafka_delivery_run(struct uk_kafka_group_member *member,
                                              struct uk_kafka_delivery *delivery,
                                              struct uk_kafka_request *request,
                                              struct uk_kafka_event *event)
{
  bool room = true;
  while (room && next_event(member, delivery, event)) {
    if (event->message != NULL) {
      room = take_message(member, delivery, request, event);
      continue;
    }
    note_end(member, event);
    if (delivery->batch.length == 0)
      return UK_KAFKA_DELIVERED_TROUBLE;
    uk_kafka_event_free(event);
  }
  wake_readers(member, delivery);
  return answer(member, delivery, request);
}

void uk_kafka_delivery_rest(struct uk_kafka_delivery *delivery)
{
  if (delivery->batch.length == 0)
    uk_kafka_batch_free(&delivery->batch);
}

bool uk_kafka_delivery_has_events(const struct uk_kafka_group_member *member,
                                  const struct uk_kafka_delivery *delivery)
{
  return delivery->held.event != NULL || rd_kafka_queue_length(member->records) > 0;
}

void uk_kafka_delivery_drop_held(struct uk_kafka_delivery *delivery)
{
  if (delivery->held.event != NULL)
    uk_kafka_event_free(&delivery->held);
}

void uk_kafka_delivery_drop_moved(const struct uk_kafka_group_member *member,
                                  struct uk_kafka_delivery *delivery)
{
  const rd_kafka_message_t *message = delivery->held.event != NULL ? delivery->held.message : NULL;
  if (message == NULL)
    return;
  const struct uk_kafka_assigned_partition *partition = uk_kafka_assigned_partition_find(
    &member->partitions, rd_kafka_topic_name(message->rkt), message->partition);
  if (partition != NULL && partition->moved)
    uk_kafka_delivery_drop_held(delivery);
}

void uk_kafka_delivery_free(struct uk_kafka_delivery *delivery)
{
  uk_kafka_delivery_drop_held(delivery);
  uk_kafka_record_free(&delivery->record);
  uk_kafka_batch_free(&delivery->batch);
}
