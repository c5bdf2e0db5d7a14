#include "server/kafka_engine/group/kafka_instance_turns.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_instance_commits.h"
#include "server/kafka_engine/group/kafka_instance_empty.h"
#include "server/kafka_engine/group/kafka_instance_lease.h"
#include "server/kafka_engine/group/kafka_instance_slots.h"

enum {
  BREAK = 1000, /* milliseconds without a request after which waiting begins anew */
  GRACE = 1000  /* milliseconds that records wait for the coordinator's word past their deadline */
};

/* Lists. */

void uk_kafka_turns_add(struct uk_kafka_turns *turns, struct uk_kafka_turn *turn)
{
  turn->next = NULL;
  if (turns->last != NULL)
    turns->last->next = turn;
  else
    turns->first = turn;
  turns->last = turn;
}

struct uk_kafka_turn *uk_kafka_turns_take(struct uk_kafka_turns *turns)
{
  struct uk_kafka_turn *turn = turns->first;
  if (turn != NULL)
    turns->first = turn->next;
  if (turns->first == NULL)
    turns->last = NULL;
  return turn;
}

void uk_kafka_turns_remove(struct uk_kafka_turns *turns, struct uk_kafka_turn *turn)
{
  struct uk_kafka_turn *before = NULL, **link = &turns->first;
  while (*link != turn) {
    before = *link;
    link = &before->next;
  }
  *link = turn->next;
  if (turns->last == turn)
    turns->last = before;
}

void uk_kafka_turn_done(struct uk_kafka_turn *turn)
{
  struct uk_operation *operation = turn->operation;
  free(turn);
  operation->done(operation);
}

void uk_kafka_turns_done(struct uk_kafka_turns *turns)
{
  struct uk_kafka_turn *turn;
  while ((turn = uk_kafka_turns_take(turns)) != NULL)
    uk_kafka_turn_done(turn);
}

void uk_kafka_turn_fail(struct uk_kafka_turn *turn, enum uk_error error, const char *text)
{
  bool late =
    turn->kind != UK_KAFKA_CONSUME && (error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT);
  if (late)
    error = turn->sent ? UK_E_GATEWAY_TIMEOUT : UK_E_UNAVAILABLE;
  uk_operation_fail(turn->operation, error, "%s%s", text,
                    late && turn->sent ? "; it " UK_MAY_BE_DONE : "");
  uk_kafka_turn_done(turn);
}

void uk_kafka_turns_fail(struct uk_kafka_turns *turns, enum uk_error error, const char *text)
{
  struct uk_kafka_turn *turn;
  while ((turn = uk_kafka_turns_take(turns)) != NULL)
    uk_kafka_turn_fail(turn, error, text);
}

/* Subscribing. */

static bool same_topics(const struct uk_kafka_instance *instance, const struct uk_slice *topics,
                        size_t count)
{
  if (!instance->subscribed || instance->topic_count != count)
    return false;
  for (size_t i = 0; i < count; i++) {
    bool found = false;
    for (size_t j = 0; !found && j < instance->topic_count; j++)
      found = uk_slice_is(topics[i], instance->topics[j].text);
    if (!found)
      return false;
  }
  return true;
}

static bool keep_topics(struct uk_kafka_instance *instance, const struct uk_slice *given,
                        size_t count)
{
  struct uk_kafka_name *topics = calloc(count + 1, sizeof *topics);
  if (topics == NULL)
    return false;
  for (size_t i = 0; i < count; i++)
    topics[i] = uk_kafka_name(given[i]);
  pthread_mutex_lock(&instance->groups->mutex);
  free(instance->topics);
  instance->topics = topics;
  instance->topic_count = count;
  pthread_mutex_unlock(&instance->groups->mutex);
  return true;
}

/* Subscribes to what is kept. */
static rd_kafka_resp_err_t subscribe(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list =
    rd_kafka_topic_partition_list_new((int)instance->topic_count);
  for (size_t i = 0; i < instance->topic_count; i++)
    rd_kafka_topic_partition_list_add(list, instance->topics[i].text, RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t code = rd_kafka_subscribe(instance->handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  instance->subscribed = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  return code;
}

bool uk_kafka_instance_subscribe(struct uk_kafka_instance *instance, const struct uk_slice *topics,
                                 size_t count, rd_kafka_resp_err_t *code)
{
  *code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (same_topics(instance, topics, count))
    return true;
  if (!keep_topics(instance, topics, count))
    return false;
  *code = subscribe(instance);
  return instance->subscribed;
}

/* No code: memory is out. */
static void fail_turn(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn,
                      rd_kafka_resp_err_t code)
{
  turn->operation->error = UK_E_NO_MEMORY;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail(turn->operation, code, "subscribe");
  uk_kafka_turns_remove(&instance->turns, turn);
  uk_kafka_turn_done(turn);
}

static void subscribe_for(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  const struct uk_consume *consume = (const struct uk_consume *)turn->operation;
  rd_kafka_resp_err_t code;
  if (!uk_kafka_instance_subscribe(instance, consume->topics, consume->topic_count, &code))
    fail_turn(instance, turn, code);
}

void uk_kafka_instance_subscribe_kept(struct uk_kafka_instance *instance)
{
  rd_kafka_resp_err_t code =
    instance->topic_count > 0 ? subscribe(instance) : RD_KAFKA_RESP_ERR_NO_ERROR;
  while (code != RD_KAFKA_RESP_ERR_NO_ERROR && instance->turns.first != NULL)
    fail_turn(instance, instance->turns.first, code);
}

/* Taking. */

/* True: the last response counts as delivered only since this request. */
static bool acknowledge(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->turns.first == NULL && now > instance->last_request + BREAK)
    instance->asked_since = now;
  instance->last_request = now;
  if (instance->acknowledged == instance->delivery)
    return false;
  instance->acknowledged = instance->delivery;
  for (size_t i = 0; i < instance->slot_count; i++)
    instance->slots[i].arrived = instance->slots[i].position;
  return true;
}

static void note_created(struct uk_kafka_instance *instance, const struct uk_kafka_turn *turn)
{
  const struct uk_consume *consume = (const struct uk_consume *)turn->operation;
  for (size_t i = 0; i < UK_TOPICS_PER_CONSUME_MAX / 64; i++) {
    for (uint64_t bits = turn->created[i]; bits != 0; bits &= bits - 1) {
      (void)uk_name_set_add(&instance->created,
                            consume->topics[i * 64 + (size_t)__builtin_ctzll(bits)]);
      instance->awaits_created = true;
    }
  }
}

static void take_consume(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  const struct uk_consume *consume = (const struct uk_consume *)turn->operation;
  note_created(instance, turn);
  uk_kafka_turns_add(&instance->turns, turn);
  if (instance->errand || instance->leaves_until != 0)
    return;
  if (instance->handle != NULL)
    subscribe_for(instance, turn);
  else if (!keep_topics(instance, consume->topics, consume->topic_count))
    fail_turn(instance, turn, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void take_commit(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  uk_kafka_turns_add(&instance->commits, turn);
  if (!instance->errand && instance->joined && instance->leaves_until == 0)
    uk_kafka_instance_commit_next(instance);
}

static void take(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn, int64_t now)
{
  bool leaves = instance->leaves_until != 0;
  turn->came = now;
  turn->settled = !leaves && now < instance->sure_until;
  if (!leaves) {
    bool acknowledged = acknowledge(instance, now);
    /* Auto-commit commits what a deletion acknowledged also when the deletion fails. */
    turn->sent = acknowledged && turn->kind == UK_KAFKA_DELETE && instance->settings.auto_commit;
    uk_kafka_instance_auto_commit(instance, now);
  }
  if (turn->kind == UK_KAFKA_CONSUME)
    take_consume(instance, turn);
  else if (turn->kind == UK_KAFKA_COMMIT)
    take_commit(instance, turn);
  else
    uk_kafka_turns_add(&instance->deletes, turn);
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

static struct uk_kafka_turns empty_inbox(struct uk_kafka_instance *instance, uint64_t *undelivered,
                                         uint64_t *sent)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_turns came = instance->inbox;
  *undelivered = instance->undelivered;
  *sent = instance->sent;
  instance->inbox = (struct uk_kafka_turns){NULL, NULL};
  instance->undelivered = instance->sent = 0;
  pthread_mutex_unlock(&instance->groups->mutex);
  return came;
}

void uk_kafka_instance_take_inbox(struct uk_kafka_instance *instance, int64_t now)
{
  uint64_t undelivered, sent;
  struct uk_kafka_turns came = empty_inbox(instance, &undelivered, &sent);
  struct uk_kafka_turn *turn;
  if (sent > instance->acknowledged && sent == instance->delivery)
    instance->note_due = instance->settings.auto_commit;
  if (undelivered > instance->acknowledged && instance->handle != NULL &&
      instance->leaves_until == 0)
    take_back(instance);
  while ((turn = uk_kafka_turns_take(&came)) != NULL)
    take(instance, turn, now);
}

/* Deadlines. */

static bool is_over(const struct uk_kafka_turn *turn, int64_t now)
{
  return turn->operation->deadline <= now;
}

static void take_expired(struct uk_kafka_turns *from, struct uk_kafka_turns *expired, bool all,
                         int64_t now)
{
  struct uk_kafka_turns left = {NULL, NULL};
  struct uk_kafka_turn *turn;
  while ((turn = uk_kafka_turns_take(from)) != NULL)
    uk_kafka_turns_add(all || is_over(turn, now) ? expired : &left, turn);
  *from = left;
}

static void expire_consumes(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_turns expired = {NULL, NULL};
  struct uk_kafka_turn *turn;
  bool awaited = uk_kafka_lease_is_awaited(instance, now);
  take_expired(&instance->turns, &expired, instance->groups->draining, awaited ? now - GRACE : now);
  if (expired.first == NULL)
    return;
  instance->fresh = false;
  instance->last_request = now; /* waiting counts as asking */
  if (awaited && !instance->groups->draining)
    uk_kafka_turns_fail(&expired, UK_E_UNAVAILABLE,
                        "the group's coordinator did not answer in time");
  while ((turn = uk_kafka_turns_take(&expired)) != NULL)
    uk_kafka_instance_end_empty(instance, turn, now);
}

void uk_kafka_instance_expire(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_turns expired = {NULL, NULL};
  bool stopping = instance->stops_until != 0 && now >= instance->stops_until;
  expire_consumes(instance, now);
  take_expired(&instance->commits, &expired, stopping, now);
  if (instance->leaves_until == 0)
    take_expired(&instance->deletes, &expired, stopping, now);
  uk_kafka_turns_fail(&expired, UK_E_UNAVAILABLE, "the group's coordinator did not answer in time");
  for (struct uk_kafka_turn *turn = instance->committing.first; turn != NULL; turn = turn->next) {
    struct uk_operation *operation = turn->operation;
    if (operation == NULL || !(stopping || is_over(turn, now)))
      continue;
    turn->operation = NULL;
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "commit: the group's coordinator did not answer in time; it " UK_MAY_BE_DONE);
    operation->done(operation);
  }
}

static int64_t earlier(const struct uk_kafka_turns *turns, int64_t time)
{
  for (const struct uk_kafka_turn *turn = turns->first; turn != NULL; turn = turn->next) {
    if (turn->operation != NULL && turn->operation->deadline < time)
      time = turn->operation->deadline;
  }
  return time;
}

int64_t uk_kafka_instance_deadline(const struct uk_kafka_instance *instance, int64_t time)
{
  int64_t consumes = earlier(&instance->turns, INT64_MAX - GRACE);
  consumes += uk_kafka_lease_is_awaited(instance, uk_clock_monotonic()) ? GRACE : 0;
  time = consumes < time ? consumes : time;
  time = earlier(&instance->commits, time);
  time = earlier(&instance->committing, time);
  return instance->leaves_until == 0 ? earlier(&instance->deletes, time) : time;
}

/* Passing on. */

static void pass_on(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn, int64_t now)
{
  bool stale = turn->kind == UK_KAFKA_CONSUME && turn->settled;
  if (!stale && !is_over(turn, now) && !instance->groups->draining) {
    turn->moved = true;
    uk_kafka_groups_post(turn);
    return;
  }
  if (turn->kind != UK_KAFKA_CONSUME)
    uk_kafka_turn_fail(turn, UK_E_UNAVAILABLE, "the instance moved to another server");
  else
    uk_kafka_turn_done(turn);
}

void uk_kafka_instance_pass_on(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_turns *const lists[] = {&instance->turns, &instance->commits, &instance->deletes};
  uint64_t undelivered, sent;
  struct uk_kafka_turns came = empty_inbox(instance, &undelivered, &sent);
  struct uk_kafka_turn *turn;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    struct uk_kafka_turns list = *lists[i];
    *lists[i] = (struct uk_kafka_turns){NULL, NULL};
    while ((turn = uk_kafka_turns_take(&list)) != NULL)
      pass_on(instance, turn, now);
  }
  while ((turn = uk_kafka_turns_take(&came)) != NULL)
    pass_on(instance, turn, now);
}
