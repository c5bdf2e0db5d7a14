#include "server/kafka_engine/fetch/kafka_loan.h"

#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_executor.h"

/* That are taken before more is asked to be read ahead: a part of what may be. */
enum { NUDGE_BYTES = 512 << 10 };

struct uk_kafka_loan *uk_kafka_loan_new(const struct uk_kafka_position *positions, size_t count)
{
  struct uk_kafka_loan *loan = calloc(1, sizeof *loan + count * sizeof loan->parts[0]);
  if (loan == NULL)
    return NULL;
  loan->count = count;
  for (size_t i = 0; i < count; i++) {
    const struct uk_kafka_position *at = &positions[i];
    loan->parts[i] = (struct uk_kafka_part){.loan = loan,
                                            .hash = at->hash,
                                            .partition = at->partition,
                                            .next_offset = at->offset,
                                            .heard = at->past,
                                            .ended = at->past};
    loan->ended += at->past;
  }
  return loan;
}

static bool is_at(const struct uk_kafka_part *part, const struct uk_kafka_position *position)
{
  return part->hash == position->hash && part->partition == position->partition &&
         part->next_offset == position->offset && part->topic != NULL &&
         uk_slice_is(position->topic, rd_kafka_topic_name(part->topic));
}

bool uk_kafka_loan_fits(const struct uk_kafka_loan *loan, const struct uk_kafka_position *positions,
                        size_t count)
{
  if (loan->count != count || loan->started < count)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (!is_at(&loan->parts[i], &positions[i]))
      return false;
  }
  return true;
}

static bool start(struct uk_kafka_loan *loan, struct uk_kafka_part *part,
                  const struct uk_kafka_position *position)
{
  struct uk_kafka_name name = uk_kafka_name(position->topic);
  part->topic = rd_kafka_topic_new(loan->handle, name.text, NULL);
  if (part->topic == NULL)
    return false;
  if (rd_kafka_consume_start_queue(part->topic, part->partition, part->next_offset, loan->queue) ==
      0)
    return true;
  rd_kafka_topic_destroy(part->topic);
  part->topic = NULL;
  return false;
}

bool uk_kafka_loan_start(struct uk_kafka_loan *loan, const struct uk_kafka_position *positions,
                         size_t upto)
{
  while (loan->started < upto) {
    size_t i = (loan->first + loan->started) % loan->count;
    if (!loan->parts[i].ended && !start(loan, &loan->parts[i], &positions[i]))
      return false;
    loan->started++;
  }
  return true;
}

/* Reading. */

static bool is_of(const struct uk_kafka_part *part, const char *topic, int32_t partition)
{
  return part->topic != NULL && part->partition == partition &&
         strcmp(rd_kafka_topic_name(part->topic), topic) == 0;
}

static struct uk_kafka_part *find_part(struct uk_kafka_loan *loan, const char *topic,
                                       int32_t partition)
{
  if (is_of(&loan->parts[loan->latest], topic, partition))
    return &loan->parts[loan->latest];
  uint64_t hash = uk_kafka_hash(uk_slice_text(topic), partition);
  size_t low = 0, high = loan->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (loan->parts[middle].hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < loan->count && loan->parts[low].hash == hash &&
         !is_of(&loan->parts[low], topic, partition))
    low++;
  if (low == loan->count || loan->parts[low].hash != hash)
    return NULL;
  loan->latest = low;
  return &loan->parts[low];
}

/* What the event is; NOTHING for one that is of no use. */
static enum uk_kafka_read classify(struct uk_kafka_loan *loan, struct uk_kafka_part **found)
{
  const struct uk_kafka_event *event = &loan->event;
  struct uk_kafka_part *part = NULL;
  if (event->message != NULL)
    part = find_part(loan, rd_kafka_topic_name(event->message->rkt), event->message->partition);
  else if (event->place != NULL)
    part = find_part(loan, event->place->topic, event->place->partition);
  *found = part;
  if (part == NULL)
    return UK_KAFKA_READ_NOTHING;
  if (event->message != NULL)
    return event->message->offset < part->next_offset ? UK_KAFKA_READ_NOTHING
                                                      : UK_KAFKA_READ_RECORD;
  return event->code == RD_KAFKA_RESP_ERR__PARTITION_EOF ? UK_KAFKA_READ_END : UK_KAFKA_READ_CODE;
}

enum uk_kafka_read uk_kafka_loan_read(struct uk_kafka_loan *loan, struct uk_kafka_part **part)
{
  while (loan->event.event != NULL || uk_kafka_event_next(loan->queue, &loan->event)) {
    enum uk_kafka_read found = classify(loan, part);
    if (found == UK_KAFKA_READ_RECORD || found == UK_KAFKA_READ_CODE)
      return found;
    if (found == UK_KAFKA_READ_END) {
      if (loan->event.place->offset > (*part)->next_offset)
        (*part)->next_offset = loan->event.place->offset;
      uk_kafka_loan_end(loan, *part);
    }
    uk_kafka_event_free(&loan->event);
    if (found == UK_KAFKA_READ_END)
      return found;
  }
  return UK_KAFKA_READ_NOTHING;
}

void uk_kafka_loan_nudge(struct uk_kafka_loan *loan)
{
  if (loan->taken == 0)
    return;
  uk_kafka_nudge(loan->handle, loan->settings);
  loan->taken = 0;
}

void uk_kafka_loan_take(struct uk_kafka_loan *loan, struct uk_kafka_part *part)
{
  if (loan->event.message != NULL) {
    loan->taken += loan->event.message->len + loan->event.message->key_len + 1;
    if (loan->taken >= NUDGE_BYTES)
      uk_kafka_loan_nudge(loan);
    part->next_offset = loan->event.message->offset + 1;
    part->heard = true;
    loan->ended -= part->ended;
    part->ended = false;
  }
  uk_kafka_event_free(&loan->event);
}

void uk_kafka_loan_end(struct uk_kafka_loan *loan, struct uk_kafka_part *part)
{
  part->heard = true;
  loan->ended += !part->ended;
  part->ended = true;
}

bool uk_kafka_loan_stop(struct uk_kafka_loan *loan, size_t most)
{
  if (loan->event.event != NULL)
    uk_kafka_event_free(&loan->event);
  for (; loan->stopped < loan->count && most > 0; loan->stopped++) {
    struct uk_kafka_part *part = &loan->parts[loan->stopped];
    if (part->topic == NULL)
      continue;
    rd_kafka_consume_stop(part->topic, part->partition);
    rd_kafka_topic_destroy(part->topic);
    part->topic = NULL;
    most--;
  }
  if (loan->stopped < loan->count)
    return false;
  if (loan->queue != NULL) {
    uk_kafka_queue_unwatch(loan->queue);
    rd_kafka_queue_destroy(loan->queue);
    loan->queue = NULL;
  }
  return true;
}
