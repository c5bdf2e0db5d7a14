#include "server/kafka_engine/group/kafka_delivery.h"

#include <stdio.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_leave.h"
#include "server/kafka_engine/group/kafka_reset.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_request_queue.h"

/* Trouble. */

static void name_place(char *text, size_t size, const struct uk_kafka_instance *instance,
                       const rd_kafka_topic_partition_t *place)
{
  if (place != NULL)
    uk_kafka_place(text, size, uk_slice_text(place->topic), place->partition);
  else
    snprintf(text, size, "group \"%s\"", instance->group.data);
}

/* A topic that was created for this instance is not known to every broker yet. */
static bool is_early(const struct uk_kafka_instance *instance, enum uk_error error)
{
  return error == UK_E_NOT_FOUND && instance->awaits_created;
}

bool uk_kafka_instance_trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code,
                               const char *text, const rd_kafka_topic_partition_t *place)
{
  enum uk_error error = uk_kafka_error(code);
  char words[UK_MESSAGE_SIZE], what[UK_KAFKA_PLACE_SIZE];
  bool no_offset =
    code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__NO_OFFSET;
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF || uk_kafka_code_passes(code) ||
      is_early(instance, error))
    return true;
  if (instance->leaves_until != 0)
    return true; /* who waits while it leaves waits for the next one */
  if (no_offset) {
    uk_kafka_instance_fail_reset(instance, place);
    uk_kafka_instance_leave(instance, uk_clock_monotonic());
    return false;
  }
  name_place(what, sizeof what, instance, place);
  snprintf(words, sizeof words, "%s: %s", what, uk_kafka_reason(code, text));
  for (size_t i = 0; error == UK_E_NOT_FOUND && i < instance->topic_count; i++)
    uk_kafka_topics_forget(instance->groups->parts.topics, uk_slice_text(instance->topics[i].text));
  uk_kafka_requests_fail(&instance->consumes, error, words);
  if (instance->fresh) {
    uk_kafka_instance_leave(instance, uk_clock_monotonic());
    return false;
  }
  return true;
}

/* Delivering. */

static void finish_first(struct uk_kafka_instance *instance)
{
  instance->fresh = false;
  instance->last_request = uk_clock_monotonic(); /* waiting counts as asking */
  uk_kafka_request_done(uk_kafka_requests_take(&instance->consumes));
}

/* False: the batch is full. */
static bool take_record(struct uk_kafka_instance *instance, struct uk_consume *consume,
                        const rd_kafka_message_t *message, bool *taken)
{
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_instance_partition(instance, rd_kafka_topic_name(message->rkt), message->partition);
  *taken = false;
  if (partition == NULL || !partition->assigned || message->offset < partition->position)
    return true;
  if (!uk_kafka_record_fill(&instance->record, message) ||
      !consume->sink.record(&consume->operation, &instance->record.record))
    return false;
  if (partition->delivered < 0)
    partition->delivered = message->offset;
  partition->position = message->offset + 1;
  partition->ended = false;
  *taken = true;
  return true;
}

static bool next_event(struct uk_kafka_instance *instance, struct uk_kafka_event *event)
{
  if (instance->held.event == NULL)
    return uk_kafka_event_next(instance->records, event);
  *event = instance->held;
  instance->held = (struct uk_kafka_event){.event = NULL};
  return true;
}

static bool is_client_alive(struct uk_kafka_request *request)
{
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  if (request->asked || consume->sink.is_client_alive == NULL)
    return true;
  request->asked = true;
  return consume->sink.is_client_alive(request->operation);
}

/* librdkafka's threads sleep while the half of prefetch_bytes waits here. They are woken once less than three eighths
 * seem to be left, and not again before as much was taken: where more was left than it seemed, that is at the latest when
 * all of it was taken. */
static void nudge(struct uk_kafka_instance *instance)
{
  int64_t few = instance->groups->parts.prefetch_bytes / 8 * 3;
  if (instance->taken < few)
    return;
  int64_t mean = instance->taken / instance->taken_count;
  if ((int64_t)rd_kafka_queue_length(instance->records) * mean >= few)
    return;
  instance->taken = instance->taken_count = 0;
  uk_kafka_nudge(instance->handle, instance->groups->parts.settings);
}

static void note_taken(struct uk_kafka_instance *instance, const rd_kafka_message_t *message)
{
  int64_t step = instance->groups->parts.prefetch_bytes / 16, before = instance->taken / step;
  instance->taken += (int64_t)(message->len + message->key_len);
  instance->taken_count++;
  if (instance->taken / step > before)
    nudge(instance);
}

static void note_end(struct uk_kafka_instance *instance, const struct uk_kafka_event *event)
{
  if (event->code != RD_KAFKA_RESP_ERR__PARTITION_EOF || event->place == NULL)
    return;
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_instance_partition(instance, event->place->topic, event->place->partition);
  if (partition == NULL)
    return;
  partition->ended = true;
  /* Where it begins is committed at once: whoever takes it over must not begin at a later end. */
  if (partition->position < 0) {
    partition->position = partition->delivered = event->place->offset;
    instance->next_commit = 0;
  }
}

/* True: no more for this request; `count` records are in it. */
static bool take_event(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                       struct uk_kafka_event *event, size_t *count)
{
  bool taken = false;
  if (event->message == NULL) {
    note_end(instance, event);
    bool go_on = *count > 0 || uk_kafka_instance_trouble(instance, event->code, NULL, event->place);
    uk_kafka_event_free(event);
    return !go_on || instance->consumes.first != request;
  }
  bool alive = is_client_alive(request);
  if (!alive ||
      !take_record(instance, (struct uk_consume *)request->operation, event->message, &taken)) {
    instance->held = *event;
    request->operation->error = !alive ? UK_E_CANCELLED : *count == 0 ? UK_E_NO_MEMORY : UK_OK;
    return true;
  }
  *count += taken;
  note_taken(instance, event->message);
  uk_kafka_event_free(event);
  return false;
}

bool uk_kafka_instance_deliver(struct uk_kafka_instance *instance)
{
  struct uk_kafka_request *request = instance->consumes.first;
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  struct uk_kafka_event event;
  size_t count = 0;
  bool full = false;
  while (!full && next_event(instance, &event))
    full = take_event(instance, request, &event, &count);
  nudge(instance);
  if (instance->consumes.first != request)
    return true;
  if (count == 0 && request->operation->error == UK_OK)
    return false;
  if (count > 0) {
    consume->delivery = instance->delivery = atomic_fetch_add(&instance->groups->deliveries, 1) + 1;
    instance->metadata_due = false; /* this one is not sent yet */
  }
  finish_first(instance);
  instance->asked_since = instance->last_request;
  return true;
}
