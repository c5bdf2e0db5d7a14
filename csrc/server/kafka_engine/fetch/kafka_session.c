#include "server/kafka_engine/fetch/kafka_session.h"

#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_handle.h"

/* Taken bytes after which librdkafka is nudged: a part of what it may read ahead. */
enum { NUDGE_BYTES = 512 << 10 };

struct uk_kafka_session *uk_kafka_session_new(const struct uk_kafka_position *positions,
                                              size_t count)
{
  struct uk_kafka_session *session = calloc(1, sizeof *session + count * sizeof session->parts[0]);
  if (session == NULL)
    return NULL;
  session->count = count;
  for (size_t i = 0; i < count; i++) {
    const struct uk_kafka_position *at = &positions[i];
    session->parts[i] = (struct uk_kafka_part){.session = session,
                                               .hash = at->hash,
                                               .partition = at->partition,
                                               .next_offset = at->offset,
                                               .answered = at->past,
                                               .ended = at->past};
    session->ended += at->past;
  }
  return session;
}

static bool is_at(const struct uk_kafka_part *part, const struct uk_kafka_position *position)
{
  return part->hash == position->hash && part->partition == position->partition &&
         part->next_offset == position->offset && part->topic != NULL &&
         uk_slice_is(position->topic, rd_kafka_topic_name(part->topic));
}

bool uk_kafka_session_fits(const struct uk_kafka_session *session,
                           const struct uk_kafka_position *positions, size_t count)
{
  if (session->count != count || session->started < count)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (!is_at(&session->parts[i], &positions[i]))
      return false;
  }
  return true;
}

static bool start(struct uk_kafka_session *session, struct uk_kafka_part *part,
                  const struct uk_kafka_position *position)
{
  struct uk_kafka_name name = uk_kafka_name(position->topic);
  part->topic = rd_kafka_topic_new(session->handle, name.text, NULL);
  if (part->topic == NULL)
    return false;
  if (rd_kafka_consume_start_queue(part->topic, part->partition, part->next_offset,
                                   session->queue) == 0)
    return true;
  rd_kafka_topic_destroy(part->topic);
  part->topic = NULL;
  return false;
}

bool uk_kafka_session_start(struct uk_kafka_session *session,
                            const struct uk_kafka_position *positions, size_t upto)
{
  while (session->started < upto) {
    size_t i = (session->first + session->started) % session->count;
    if (!session->parts[i].ended && !start(session, &session->parts[i], &positions[i]))
      return false;
    session->started++;
  }
  return true;
}

/* Reading. */

static bool is_of(const struct uk_kafka_part *part, const char *topic, int32_t partition)
{
  return part->topic != NULL && part->partition == partition &&
         strcmp(rd_kafka_topic_name(part->topic), topic) == 0;
}

static struct uk_kafka_part *find_part(struct uk_kafka_session *session, const char *topic,
                                       int32_t partition)
{
  if (is_of(&session->parts[session->latest], topic, partition))
    return &session->parts[session->latest];
  uint64_t hash = uk_kafka_hash(uk_slice_text(topic), partition);
  size_t low = 0, high = session->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (session->parts[middle].hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < session->count && session->parts[low].hash == hash &&
         !is_of(&session->parts[low], topic, partition))
    low++;
  if (low == session->count || session->parts[low].hash != hash)
    return NULL;
  session->latest = low;
  return &session->parts[low];
}

/* What the event is; NOTHING for one that does not matter. */
static enum uk_kafka_read classify(struct uk_kafka_session *session, struct uk_kafka_part **found)
{
  const struct uk_kafka_event *event = &session->event;
  struct uk_kafka_part *part = NULL;
  if (event->message != NULL)
    part = find_part(session, rd_kafka_topic_name(event->message->rkt), event->message->partition);
  else if (event->place != NULL)
    part = find_part(session, event->place->topic, event->place->partition);
  *found = part;
  if (part == NULL)
    return UK_KAFKA_READ_NOTHING;
  if (event->message != NULL)
    return event->message->offset < part->next_offset ? UK_KAFKA_READ_NOTHING
                                                      : UK_KAFKA_READ_RECORD;
  return event->code == RD_KAFKA_RESP_ERR__PARTITION_EOF ? UK_KAFKA_READ_END : UK_KAFKA_READ_CODE;
}

enum uk_kafka_read uk_kafka_session_read(struct uk_kafka_session *session,
                                         struct uk_kafka_part **part)
{
  while (session->event.event != NULL || uk_kafka_event_next(session->queue, &session->event)) {
    enum uk_kafka_read found = classify(session, part);
    if (found == UK_KAFKA_READ_RECORD || found == UK_KAFKA_READ_CODE)
      return found;
    if (found == UK_KAFKA_READ_END) {
      if (session->event.place->offset > (*part)->next_offset)
        (*part)->next_offset = session->event.place->offset;
      uk_kafka_session_end(session, *part);
    }
    uk_kafka_event_free(&session->event);
    if (found == UK_KAFKA_READ_END)
      return found;
  }
  return UK_KAFKA_READ_NOTHING;
}

void uk_kafka_session_nudge(struct uk_kafka_session *session)
{
  if (session->taken == 0)
    return;
  uk_kafka_nudge(session->handle, session->settings);
  session->taken = 0;
}

void uk_kafka_session_take(struct uk_kafka_session *session, struct uk_kafka_part *part)
{
  if (session->event.message != NULL) {
    session->taken += session->event.message->len + session->event.message->key_len + 1;
    if (session->taken >= NUDGE_BYTES)
      uk_kafka_session_nudge(session);
    part->next_offset = session->event.message->offset + 1;
    part->answered = true;
    session->ended -= part->ended;
    part->ended = false;
  }
  uk_kafka_event_free(&session->event);
}

void uk_kafka_session_end(struct uk_kafka_session *session, struct uk_kafka_part *part)
{
  part->answered = true;
  session->ended += !part->ended;
  part->ended = true;
}

bool uk_kafka_session_stop(struct uk_kafka_session *session, size_t most)
{
  if (session->event.event != NULL)
    uk_kafka_event_free(&session->event);
  for (; session->stopped < session->count && most > 0; session->stopped++) {
    struct uk_kafka_part *part = &session->parts[session->stopped];
    if (part->topic == NULL)
      continue;
    rd_kafka_consume_stop(part->topic, part->partition);
    rd_kafka_topic_destroy(part->topic);
    part->topic = NULL;
    most--;
  }
  if (session->stopped < session->count)
    return false;
  if (session->queue != NULL) {
    uk_kafka_queue_unwatch(session->queue);
    rd_kafka_queue_destroy(session->queue);
    session->queue = NULL;
  }
  return true;
}
