#include "server/kafka_engine/fetch/kafka_fetch_private.h"

bool uk_kafka_fetch_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state)
{
  fetch->state = state;
  return true;
}

bool uk_kafka_fetch_stop_and_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state)
{
  fetch->after = state;
  return uk_kafka_fetch_go(fetch, UK_FETCH_STOPPING);
}

bool uk_kafka_fetch_end(struct uk_kafka_fetch *fetch)
{
  return uk_kafka_fetch_stop_and_go(fetch, UK_FETCH_ENDING);
}

struct uk_operation *uk_kafka_fetch_operation_of(struct uk_kafka_fetch *fetch)
{
  return &fetch->operation->operation;
}

bool uk_kafka_fetch_fail_at(struct uk_kafka_fetch *fetch, size_t index, rd_kafka_resp_err_t code)
{
  const struct uk_kafka_position *at = &fetch->positions[index];
  char place[UK_KAFKA_PLACE_SIZE];
  uk_kafka_fail(uk_kafka_fetch_operation_of(fetch), code,
                uk_kafka_place(place, sizeof place, at->topic, at->partition));
  return uk_kafka_fetch_end(fetch);
}

bool uk_kafka_fetch_fail_memory(struct uk_kafka_fetch *fetch)
{
  uk_operation_fail(uk_kafka_fetch_operation_of(fetch), UK_E_NO_MEMORY, "%s", "");
  return uk_kafka_fetch_end(fetch);
}

/* True if the cluster is away according to `ask`; the operation has then failed. */
static bool is_away(struct uk_kafka_fetch *fetch,
                    enum uk_error (*ask)(struct uk_kafka_topics *, char *, size_t))
{
  char detail[UK_MESSAGE_SIZE] = "";
  if (ask(fetch->fetches->parts.topics, detail, sizeof detail) == UK_OK)
    return false;
  uk_operation_fail(uk_kafka_fetch_operation_of(fetch), UK_E_UNAVAILABLE, "%s", detail);
  return true;
}

bool uk_kafka_fetch_is_down(struct uk_kafka_fetch *fetch)
{
  return is_away(fetch, uk_kafka_topics_health);
}

bool uk_kafka_fetch_fail_late(struct uk_kafka_fetch *fetch, size_t index, const char *what)
{
  const struct uk_kafka_position *at = &fetch->positions[index];
  char place[UK_KAFKA_PLACE_SIZE];
  if (!is_away(fetch, uk_kafka_topics_contact))
    uk_operation_fail(uk_kafka_fetch_operation_of(fetch), UK_E_GATEWAY_TIMEOUT, "%s %s",
                      uk_kafka_place(place, sizeof place, at->topic, at->partition), what);
  return uk_kafka_fetch_end(fetch);
}

bool uk_kafka_fetch_end_empty(struct uk_kafka_fetch *fetch)
{
  struct uk_kafka_topics *topics = fetch->fetches->parts.topics;
  if (is_away(fetch, uk_kafka_topics_contact))
    return uk_kafka_fetch_end(fetch);
  for (size_t i = 0; i < fetch->count; i++) {
    const struct uk_kafka_position *at = &fetch->positions[i];
    if (uk_kafka_topics_leaderless(topics, at->topic, at->partition))
      return uk_kafka_fetch_fail_at(fetch, i, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  }
  return uk_kafka_fetch_end(fetch);
}

void uk_kafka_fetch_refresh(const struct uk_kafka_fetch *fetch)
{
  struct uk_slice topic = {0};
  for (size_t i = 0; i < fetch->count; i++) {
    if (i == 0 || !uk_slice_equal(fetch->positions[i].topic, topic))
      uk_kafka_topics_refresh(fetch->fetches->parts.topics, fetch->positions[i].topic);
    topic = fetch->positions[i].topic;
  }
}

bool uk_kafka_fetch_check_again(struct uk_kafka_fetch *fetch, size_t index, int64_t now)
{
  uk_kafka_topics_forget(fetch->fetches->parts.topics, fetch->positions[index].topic);
  fetch->not_before = now + UK_FETCH_AGAIN_AFTER;
  return uk_kafka_fetch_stop_and_go(fetch, UK_FETCH_RECHECKING);
}

bool uk_kafka_fetch_is_draining(const struct uk_kafka_fetch *fetch)
{
  return __atomic_load_n(&fetch->fetches->draining, __ATOMIC_ACQUIRE);
}

bool uk_kafka_fetch_may_not_wait(const struct uk_kafka_fetch *fetch)
{
  return uk_kafka_fetch_is_draining(fetch) || uk_operation_is_expired(&fetch->operation->operation);
}

bool uk_kafka_fetch_take_answer(struct uk_kafka_fetch *fetch)
{
  bool answered = __atomic_load_n(&fetch->answered, __ATOMIC_ACQUIRE);
  if (answered)
    fetch->answered = false;
  return answered;
}

/* The sink. */

bool uk_kafka_fetch_give(void *argument, const struct uk_record *record)
{
  struct uk_kafka_fetch *fetch = argument;
  struct uk_operation *operation = uk_kafka_fetch_operation_of(fetch);
  const struct uk_sink *sink = &fetch->operation->sink;
  if (!fetch->asked && sink->is_client_alive != NULL && !sink->is_client_alive(operation)) {
    uk_operation_fail(operation, UK_E_CANCELLED, "the client has gone");
    fetch->full = true;
    return false;
  }
  fetch->asked = true;
  fetch->full = !sink->record(operation, record);
  fetch->any = fetch->any || !fetch->full;
  return !fetch->full;
}

size_t uk_kafka_fetch_rotation(const struct uk_kafka_fetch *fetch)
{
  return __atomic_load_n(&fetch->fetches->rotation, __ATOMIC_RELAXED) % fetch->count;
}

void uk_kafka_fetch_rotate(struct uk_kafka_fetch *fetch)
{
  if (fetch->count > 1)
    __atomic_fetch_add(&fetch->fetches->rotation, 1, __ATOMIC_RELAXED);
}
