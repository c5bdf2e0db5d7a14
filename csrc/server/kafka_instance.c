#include "server/kafka_instance.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

enum {
  BREAK = 1000, /* milliseconds without a request after which waiting begins anew */
  NUDGE_BYTES = 256 << 10,
  NUDGE_PAUSE = 20,     /* milliseconds of silence after which more is asked for */
  LEAVE_TIMEOUT = 5000, /* milliseconds in which the group hears that it leaves */
  LEAVE_PAUSE = 10,     /* between two looks whether it has */
  SESSION_LEAST = 6000  /* milliseconds; a broker takes no shorter session by default */
};

void uk_kafka_turn_done(struct uk_kafka_turn *turn)
{
  struct uk_operation *operation = turn->operation;
  free(turn);
  operation->done(operation);
}

/* Opening. */

static rd_kafka_conf_t *make_conf(const struct uk_kafka_instance *instance)
{
  static const char *const resets[] = {"latest", "earliest", "error"};
  char session[24], heartbeat[24];
  int32_t timeout = instance->settings.session_timeout;
  timeout = timeout < SESSION_LEAST ? SESSION_LEAST : timeout;
  snprintf(session, sizeof session, "%d", (int)timeout);
  snprintf(heartbeat, sizeof heartbeat, "%d", (int)(timeout / 3 < 3000 ? timeout / 3 : 3000));
  rd_kafka_conf_t *conf = uk_kafka_conf(instance->groups->parts.settings, UK_KAFKA_GROUP);
  if (conf == NULL)
    return NULL;
  if (uk_kafka_conf_set(conf, "group.id", instance->group.data) &&
      uk_kafka_conf_set(conf, "group.instance.id", instance->name.data) &&
      uk_kafka_conf_set(conf, "session.timeout.ms", session) &&
      uk_kafka_conf_set(conf, "heartbeat.interval.ms", heartbeat) &&
      uk_kafka_conf_set(conf, "auto.offset.reset", resets[instance->settings.offset_reset])) {
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                     RD_KAFKA_EVENT_ERROR);
    return conf;
  }
  rd_kafka_conf_destroy(conf);
  return NULL;
}

static bool open_handle(struct uk_kafka_instance *instance, char *text, size_t size)
{
  rd_kafka_conf_t *conf = make_conf(instance);
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (conf == NULL)
    return false;
  instance->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, size);
  if (instance->handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return false;
  }
  rd_kafka_poll_set_consumer(instance->handle);
  instance->control = rd_kafka_queue_get_consumer(instance->handle);
  instance->records = rd_kafka_queue_new(instance->handle);
  uk_kafka_queue_watch(instance->control, &instance->task);
  uk_kafka_queue_watch(instance->records, &instance->task);
  return true;
}

/* Ending. */

static void end_turns(struct uk_kafka_instance *instance, enum uk_error error, const char *text)
{
  struct uk_kafka_turn *turn = instance->turns;
  instance->turns = instance->turns_last = NULL;
  while (turn != NULL) {
    struct uk_kafka_turn *next = turn->next;
    if (error != UK_OK)
      uk_operation_fail(turn->operation, error, "%s", text);
    uk_kafka_turn_done(turn);
    turn = next;
  }
}

/* From now on requests make a new instance. */
static void take_out(struct uk_kafka_instance *instance)
{
  struct uk_kafka_groups *groups = instance->groups;
  pthread_mutex_lock(&groups->mutex);
  if (!instance->gone)
    uk_name_table_remove(&groups->table, &instance->node);
  instance->gone = true;
  pthread_mutex_unlock(&groups->mutex);
}

static void take_inbox(struct uk_kafka_instance *instance, int64_t now);

static void end(struct uk_kafka_instance *instance, enum uk_error error, const char *text)
{
  take_out(instance);
  take_inbox(instance, uk_clock_monotonic());
  end_turns(instance, error, text);
  while (instance->deletes != NULL) {
    struct uk_kafka_turn *turn = instance->deletes;
    instance->deletes = turn->next;
    uk_kafka_turn_done(turn);
  }
  /* The cluster will not say any more what became of these. */
  while (instance->committing != NULL) {
    struct uk_kafka_turn *turn = instance->committing;
    instance->committing = turn->next;
    if (turn->operation == NULL) {
      free(turn);
      continue;
    }
    uk_operation_fail(turn->operation, UK_E_UNAVAILABLE, "commit: the instance was closed");
    uk_kafka_turn_done(turn);
  }
  if (instance->control != NULL) {
    uk_kafka_queue_unwatch(instance->control);
    uk_kafka_queue_unwatch(instance->records);
  }
  uk_kafka_task_end(&instance->task);
}

static void leave(struct uk_kafka_instance *instance, int64_t now)
{
  take_out(instance);
  if (instance->leaves_until != 0)
    return;
  if (instance->settings.auto_commit)
    uk_kafka_instance_commit_arrived(instance);
  instance->leaves_until = now + LEAVE_TIMEOUT;
}

static bool is_member(const struct uk_kafka_instance *instance)
{
  char *member = rd_kafka_memberid(instance->handle);
  bool is = member != NULL && member[0] != '\0';
  if (member != NULL)
    rd_kafka_mem_free(instance->handle, member);
  return is;
}

/* A static member leaves only by unsubscribing, and by the name that it joined under, so a join under way comes first.
 * librdkafka forgets the name before the request is on its way, and a handle that is destroyed then takes the request
 * with it: the group would keep the member until its session is over. Only a close waits for the coordinator's
 * answer. True: it has left. */
static bool has_left(struct uk_kafka_instance *instance)
{
  if (instance->leaving == UK_KAFKA_STAYS && instance->subscribed && !is_member(instance))
    return false;
  if (instance->leaving == UK_KAFKA_STAYS) {
    rd_kafka_unsubscribe(instance->handle);
    instance->leaving = UK_KAFKA_UNSUBSCRIBED;
  }
  if (instance->leaving == UK_KAFKA_UNSUBSCRIBED && !is_member(instance)) {
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(instance->handle, instance->records);
    instance->leaving = UK_KAFKA_CLOSES;
    if (error != NULL) { /* fenced: there is nothing left to leave */
      rd_kafka_error_destroy(error);
      return true;
    }
  }
  return instance->leaving == UK_KAFKA_CLOSES && rd_kafka_consumer_closed(instance->handle) != 0;
}

/* Requests. */

static void acknowledge(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->turns == NULL && now > instance->last_request + BREAK)
    instance->asked_since = now;
  instance->last_request = now;
  if (instance->acknowledged == instance->delivery)
    return;
  instance->acknowledged = instance->delivery;
  for (size_t i = 0; i < instance->slot_count; i++)
    instance->slots[i].arrived = instance->slots[i].position;
}

static void auto_commit(struct uk_kafka_instance *instance, int64_t now)
{
  if (!instance->settings.auto_commit || now < instance->next_commit ||
      !uk_kafka_instance_dirty(instance))
    return;
  uk_kafka_instance_commit_arrived(instance);
  instance->next_commit = now + instance->settings.auto_commit_interval;
}

static bool same_topics(const struct uk_kafka_instance *instance, const struct uk_consume *consume)
{
  if (!instance->subscribed || instance->topic_count != consume->topic_count)
    return false;
  for (size_t i = 0; i < consume->topic_count; i++) {
    bool found = false;
    for (size_t j = 0; !found && j < instance->topic_count; j++)
      found = uk_slice_is(consume->topics[i], instance->topics[j].text);
    if (!found)
      return false;
  }
  return true;
}

static bool keep_topics(struct uk_kafka_instance *instance, const struct uk_consume *consume)
{
  struct uk_kafka_name *topics = calloc(consume->topic_count, sizeof *topics);
  if (topics == NULL)
    return false;
  for (size_t i = 0; i < consume->topic_count; i++)
    topics[i] = uk_kafka_name(consume->topics[i]);
  pthread_mutex_lock(&instance->groups->mutex);
  free(instance->topics);
  instance->topics = topics;
  instance->topic_count = consume->topic_count;
  pthread_mutex_unlock(&instance->groups->mutex);
  return true;
}

static enum uk_error subscribe(struct uk_kafka_instance *instance, struct uk_consume *consume)
{
  if (same_topics(instance, consume))
    return UK_OK;
  if (!keep_topics(instance, consume))
    return UK_E_NO_MEMORY;
  rd_kafka_topic_partition_list_t *list =
    rd_kafka_topic_partition_list_new((int)consume->topic_count);
  for (size_t i = 0; i < instance->topic_count; i++)
    rd_kafka_topic_partition_list_add(list, instance->topics[i].text, RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t code = rd_kafka_subscribe(instance->handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  instance->subscribed = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (!instance->subscribed)
    uk_kafka_fail(&consume->operation, code, "subscribe");
  return consume->operation.error;
}

static void take_consume(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  turn->next = NULL;
  enum uk_error error = subscribe(instance, (struct uk_consume *)turn->operation);
  if (error != UK_OK) {
    turn->operation->error = error;
    uk_kafka_turn_done(turn);
    return;
  }
  if (instance->turns_last != NULL)
    instance->turns_last->next = turn;
  else
    instance->turns = turn;
  instance->turns_last = turn;
}

static void refuse(struct uk_kafka_turn *turn)
{
  if (turn->kind != UK_KAFKA_CONSUME)
    uk_operation_fail(turn->operation, UK_E_NOT_FOUND, "the consumer instance was closed");
  uk_kafka_turn_done(turn);
}

static void take_turn(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn, int64_t now)
{
  acknowledge(instance, now);
  auto_commit(instance, now);
  if (instance->handle == NULL || instance->leaves_until != 0) {
    refuse(turn);
  } else if (turn->kind == UK_KAFKA_CONSUME) {
    take_consume(instance, turn);
  } else if (turn->kind == UK_KAFKA_COMMIT) {
    uk_kafka_instance_commit(instance, turn);
  } else {
    turn->next = instance->deletes;
    instance->deletes = turn;
    end_turns(instance, UK_OK, "");
    leave(instance, now);
  }
}

/* What was delivered to nobody is read once more. */
static void take_back(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  uk_kafka_event_free(&instance->held);
  for (size_t i = 0; i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (!slot->assigned || slot->position < 0)
      continue;
    slot->position = slot->arrived;
    slot->ended = false;
    rd_kafka_topic_partition_list_add(list, slot->topic.text, slot->partition)->offset =
      slot->position;
  }
  instance->acknowledged = instance->delivery;
  if (list->cnt > 0) {
    rd_kafka_error_t *error = rd_kafka_seek_partitions(instance->handle, list, 0);
    if (error != NULL)
      rd_kafka_error_destroy(error);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

static void take_inbox(struct uk_kafka_instance *instance, int64_t now)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_turn *turn = instance->inbox;
  uint64_t undelivered = instance->undelivered;
  instance->inbox = instance->inbox_last = NULL;
  instance->undelivered = 0;
  pthread_mutex_unlock(&instance->groups->mutex);
  if (undelivered > instance->acknowledged && instance->handle != NULL)
    take_back(instance);
  while (turn != NULL) {
    struct uk_kafka_turn *next = turn->next;
    take_turn(instance, turn, now);
    turn = next;
  }
}

/* What the group says. */

static void name_place(char *text, size_t size, const struct uk_kafka_instance *instance,
                       const rd_kafka_topic_partition_t *place)
{
  if (place != NULL)
    uk_kafka_place(text, size, uk_slice_text(place->topic), place->partition);
  else
    snprintf(text, size, "group \"%s\"", instance->group.data);
}

/* Fails the consume that waits; an instance that never served one is ended by it. False: it was. `place` is NULL where
 * it is about the group. */
static bool trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code, const char *text,
                    const rd_kafka_topic_partition_t *place)
{
  enum uk_error error = uk_kafka_error(code);
  char words[UK_MESSAGE_SIZE], what[UK_MESSAGE_SIZE];
  bool no_offset =
    code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__NO_OFFSET;
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF || (uk_kafka_code_passes(code)))
    return true;
  name_place(what, sizeof what, instance, place);
  snprintf(words, sizeof words,
           no_offset ? "%s: no committed offset, and the reset is none (%s)" : "%s: %s", what,
           uk_kafka_reason(code, text));
  for (size_t i = 0; error == UK_E_NOT_FOUND && i < instance->topic_count; i++)
    uk_kafka_topics_forget(instance->groups->parts.topics, uk_slice_text(instance->topics[i].text));
  end_turns(instance, error, words);
  if (no_offset || instance->fresh) {
    leave(instance, uk_clock_monotonic());
    return false;
  }
  return true;
}

/* NULL: none, or what failed is said of all. */
static const rd_kafka_topic_partition_t *first_failed(const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; list != NULL && i < list->cnt; i++) {
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return &list->elems[i];
  }
  return NULL;
}

static void committed(rd_kafka_event_t *event, struct uk_kafka_instance *instance)
{
  struct uk_kafka_turn *turn = rd_kafka_event_opaque(event);
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  const rd_kafka_topic_partition_t *failed = first_failed(list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && failed != NULL)
    code = failed->err;
  for (int i = 0; code != RD_KAFKA_RESP_ERR_NO_ERROR && list != NULL && i < list->cnt; i++) {
    struct uk_kafka_slot *slot =
      uk_kafka_instance_slot(instance, list->elems[i].topic, list->elems[i].partition);
    if (slot != NULL)
      slot->saved = -1; /* the next auto-commit tries again */
  }
  if (turn == NULL)
    return;
  struct uk_kafka_turn **link = &instance->committing;
  while (*link != turn)
    link = &(*link)->next;
  *link = turn->next;
  if (turn->operation == NULL) { /* answered before */
    free(turn);
    return;
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    char what[UK_MESSAGE_SIZE];
    name_place(what, sizeof what, instance, failed);
    uk_kafka_fail(turn->operation, code, what);
  }
  uk_kafka_turn_done(turn);
}

/* False: another server has taken the instance over. */
static bool serve_control(struct uk_kafka_instance *instance)
{
  rd_kafka_event_t *event;
  char text[UK_MESSAGE_SIZE];
  bool mine = true;
  while (mine && (event = rd_kafka_queue_poll(instance->control, 0)) != NULL) {
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    if (type == RD_KAFKA_EVENT_REBALANCE)
      uk_kafka_instance_rebalance(instance, event);
    else if (type == RD_KAFKA_EVENT_OFFSET_COMMIT)
      committed(event, instance);
    else if (type == RD_KAFKA_EVENT_ERROR && rd_kafka_event_error_is_fatal(event))
      mine = false;
    else if (type == RD_KAFKA_EVENT_ERROR)
      trouble(instance, rd_kafka_event_error(event), rd_kafka_event_error_string(event), NULL);
    rd_kafka_event_destroy(event);
  }
  return mine &&
         rd_kafka_fatal_error(instance->handle, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Delivering. */

static void finish_first(struct uk_kafka_instance *instance)
{
  struct uk_kafka_turn *turn = instance->turns;
  instance->turns = turn->next;
  if (instance->turns == NULL)
    instance->turns_last = NULL;
  instance->fresh = false;
  instance->last_request = uk_clock_monotonic(); /* waiting counts as asking */
  uk_kafka_turn_done(turn);
}

/* False: the batch is full. */
static bool take_record(struct uk_kafka_instance *instance, struct uk_consume *consume,
                        const rd_kafka_message_t *message, bool *taken)
{
  struct uk_kafka_slot *slot =
    uk_kafka_instance_slot(instance, rd_kafka_topic_name(message->rkt), message->partition);
  *taken = false;
  if (slot == NULL || !slot->assigned || message->offset < slot->position)
    return true;
  if (!uk_kafka_record_fill(&instance->record, message) ||
      !consume->sink.record(&consume->operation, &instance->record.record))
    return false;
  if (slot->arrived < 0)
    slot->arrived = message->offset;
  slot->position = message->offset + 1;
  slot->ended = false;
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

static bool is_wanted(struct uk_kafka_turn *turn)
{
  struct uk_consume *consume = (struct uk_consume *)turn->operation;
  if (turn->asked || consume->sink.wanted == NULL)
    return true;
  turn->asked = true;
  return consume->sink.wanted(turn->operation);
}

static void note_end(struct uk_kafka_instance *instance, const struct uk_kafka_event *event)
{
  if (event->code != RD_KAFKA_RESP_ERR__PARTITION_EOF || event->place == NULL)
    return;
  struct uk_kafka_slot *slot =
    uk_kafka_instance_slot(instance, event->place->topic, event->place->partition);
  if (slot != NULL)
    slot->ended = true;
}

/* Fills the first turn with what is there. False when there was nothing. */
static bool deliver(struct uk_kafka_instance *instance)
{
  struct uk_kafka_turn *turn = instance->turns;
  struct uk_consume *consume = (struct uk_consume *)turn->operation;
  struct uk_kafka_event event;
  size_t count = 0, bytes = 0;
  bool full = false, taken;
  while (!full && next_event(instance, &event)) {
    if (event.message == NULL) {
      note_end(instance, &event);
      bool go_on = count > 0 || trouble(instance, event.code, NULL, event.place);
      uk_kafka_event_free(&event);
      if (!go_on || instance->turns != turn)
        return true;
      continue;
    }
    if (!is_wanted(turn)) {
      instance->held = event;
      turn->operation->error = UK_E_CANCELLED;
      finish_first(instance);
      return true;
    }
    full = !take_record(instance, consume, event.message, &taken);
    if (full) {
      instance->held = event;
      break;
    }
    count += taken;
    bytes += event.message->len;
    if (bytes >= NUDGE_BYTES) {
      bytes = 0;
      uk_kafka_nudge(instance->handle, rd_kafka_topic_name(event.message->rkt),
                     event.message->partition);
    }
    uk_kafka_event_free(&event);
  }
  if (count == 0 && !full)
    return false;
  if (count == 0)
    turn->operation->error = UK_E_NO_MEMORY;
  else
    consume->delivery = ++instance->delivery;
  finish_first(instance);
  instance->asked_since = instance->last_request;
  return true;
}

/* Deadlines. */

static void expire(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_turn **link = &instance->turns;
  instance->turns_last = NULL;
  while (*link != NULL) {
    struct uk_kafka_turn *turn = *link;
    if (turn->operation->deadline > now && !instance->groups->draining) {
      instance->turns_last = turn;
      link = &turn->next;
      continue;
    }
    *link = turn->next;
    instance->fresh = false;
    instance->last_request = now;
    uk_kafka_instance_end_empty(instance, turn, now);
  }
}

/* What became of a commit may show later. Until then its turn stays, without an operation. */
static void expire_commits(struct uk_kafka_instance *instance, int64_t now)
{
  for (struct uk_kafka_turn *turn = instance->committing; turn != NULL; turn = turn->next) {
    struct uk_operation *operation = turn->operation;
    if (operation == NULL || operation->deadline > now)
      continue;
    turn->operation = NULL;
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "commit: the group's coordinator did not answer in time");
    operation->done(operation);
  }
}

static int64_t next_time(const struct uk_kafka_instance *instance, int64_t now)
{
  int64_t time = instance->last_request + instance->settings.session_timeout;
  if (instance->turns != NULL)
    time = now + NUDGE_PAUSE * 50;
  for (const struct uk_kafka_turn *turn = instance->turns; turn != NULL; turn = turn->next)
    time = turn->operation->deadline < time ? turn->operation->deadline : time;
  for (const struct uk_kafka_turn *turn = instance->committing; turn != NULL; turn = turn->next) {
    if (turn->operation != NULL && turn->operation->deadline < time)
      time = turn->operation->deadline;
  }
  if (instance->settings.auto_commit && uk_kafka_instance_dirty(instance) &&
      instance->next_commit < time)
    time = instance->next_commit;
  return time;
}

static bool serve_leaving(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->leaves_until == 0)
    return false;
  if ((instance->committing == NULL && has_left(instance)) || now >= instance->leaves_until)
    end(instance, UK_OK, "");
  else
    uk_kafka_task_at(&instance->task, now + LEAVE_PAUSE);
  return true;
}

static void close_staying(struct uk_kafka_instance *instance)
{
  if (instance->settings.auto_commit && uk_kafka_instance_dirty(instance)) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < instance->slot_count; i++) {
      const struct uk_kafka_slot *slot = &instance->slots[i];
      if (slot->assigned && slot->arrived >= 0)
        rd_kafka_topic_partition_list_add(list, slot->topic.text, slot->partition)->offset =
          slot->arrived;
    }
    rd_kafka_commit(instance->handle, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
  }
  end(instance, UK_OK, "");
}

void uk_kafka_instance_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, task));
  char text[UK_MESSAGE_SIZE];
  if (instance->handle == NULL && !open_handle(instance, text, sizeof text)) {
    take_inbox(instance, now);
    end(instance, UK_E_UNAVAILABLE, text);
    return;
  }
  if (!serve_control(instance)) {
    end(instance, UK_OK, "");
    return;
  }
  take_inbox(instance, now);
  if (instance->groups->closing && instance->leaves_until == 0 && instance->committing == NULL) {
    close_staying(instance);
    return;
  }
  while (instance->leaves_until == 0 && instance->turns != NULL && deliver(instance))
    continue;
  expire_commits(instance, now);
  if (serve_leaving(instance, now))
    return;
  expire(instance, now);
  auto_commit(instance, now);
  if (instance->turns == NULL &&
      now >= instance->last_request + instance->settings.session_timeout) {
    leave(instance, now);
    serve_leaving(instance, now);
    return;
  }
  uk_kafka_task_at(&instance->task, next_time(instance, now));
}

void uk_kafka_instance_free(struct uk_kafka_task *task)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, task));
  struct uk_kafka_groups *groups = instance->groups;
  uk_kafka_event_free(&instance->held);
  if (instance->records != NULL)
    rd_kafka_queue_destroy(instance->records);
  if (instance->control != NULL)
    rd_kafka_queue_destroy(instance->control);
  if (instance->handle != NULL)
    uk_kafka_reap(groups->parts.reaper, instance->handle, NULL, NULL);
  uk_kafka_record_free(&instance->record);
  free(instance->slots);
  free(instance->listed);
  free(instance->topics);
  free(instance);
  pthread_mutex_lock(&groups->mutex);
  groups->count--;
  pthread_cond_broadcast(&groups->empty);
  pthread_mutex_unlock(&groups->mutex);
}
