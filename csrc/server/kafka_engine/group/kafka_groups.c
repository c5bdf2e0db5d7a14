#include "server/kafka_engine/group/kafka_groups.h"

#include <stdlib.h>

#include "server/kafka_engine/group/kafka_group_limits.h"
#include "server/kafka_engine/group/kafka_group_listing.h"
#include "server/kafka_engine/group/kafka_instance.h"
#include "server/kafka_engine/group/kafka_takeover.h"

static struct uk_kafka_group_member *member_of(struct uk_name_node *node)
{
  return (struct uk_kafka_group_member *)node;
}

/* Its key is "GROUP" NUL "INSTANCE". */
static struct uk_kafka_group_member *find(struct uk_kafka_groups *groups, struct uk_slice group,
                                          struct uk_slice name)
{
  char key[2 * UK_GROUP_NAME_MAX + 1];
  memcpy(key, group.data, group.length);
  key[group.length] = '\0';
  memcpy(key + group.length + 1, name.data, name.length);
  return member_of(
    uk_name_table_find(&groups->table, uk_slice_of(key, group.length + 1 + name.length)));
}

/* New members. The mutex is held. */

static void free_member(struct uk_kafka_group_member *member)
{
  if (member->is_takeover)
    uk_kafka_takeover_free(member);
  else
    uk_kafka_instance_free(member);
}

static void post(struct uk_kafka_request *request);

/* The requests that the member left create the next one. The groups stay until they are posted. */
static void ended(struct uk_kafka_task *task)
{
  struct uk_kafka_group_member *member =
    (struct uk_kafka_group_member *)((char *)task - offsetof(struct uk_kafka_group_member, task));
  struct uk_kafka_groups *groups = member->groups;
  struct uk_list left = {0};
  struct uk_kafka_request *request;
  uk_list_move(&left, &member->left);
  free_member(member);
  while ((request = uk_kafka_requests_take(&left)) != NULL)
    post(request);
  pthread_mutex_lock(&groups->mutex);
  groups->count--;
  pthread_cond_broadcast(&groups->empty);
  pthread_mutex_unlock(&groups->mutex);
}

/* A consume gets an instance; a commit or a deletion gets a takeover, which does not count as
 * reading ahead. */
static struct uk_kafka_group_member *new_member(struct uk_kafka_request *request,
                                                struct uk_slice group, struct uk_slice name)
{
  struct uk_kafka_groups *groups = request->groups;
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  if (request->kind != UK_KAFKA_CONSUME)
    return uk_kafka_takeover_new(groups, group, name, ended);
  if (uk_kafka_group_limits_check(groups, consume) != UK_OK)
    return NULL;
  return uk_kafka_instance_new(groups, group, name, &consume->settings, ended);
}

static struct uk_kafka_group_member *add_member(struct uk_kafka_request *request,
                                                struct uk_slice group, struct uk_slice name)
{
  struct uk_kafka_groups *groups = request->groups;
  struct uk_kafka_group_member *member = new_member(request, group, name);
  if (member != NULL && uk_name_table_add(&groups->table, &member->node)) {
    groups->count++;
    return member;
  }
  if (member != NULL)
    free_member(member);
  if (request->operation->error == UK_OK)
    request->operation->error = UK_E_NO_MEMORY;
  return NULL;
}

/* Requests. */

/* group and instance stand first, and in this order, in every operation that names them. */
static void names_of(const struct uk_kafka_request *request, struct uk_slice *group,
                     struct uk_slice *name)
{
  const struct uk_delete_consumer *operation =
    (const struct uk_delete_consumer *)request->operation;
  *group = operation->group;
  *name = operation->instance;
}
_Static_assert(offsetof(struct uk_consume, group) == offsetof(struct uk_delete_consumer, group) &&
                 offsetof(struct uk_commit, group) == offsetof(struct uk_delete_consumer, group) &&
                 offsetof(struct uk_consume, instance) ==
                   offsetof(struct uk_delete_consumer, instance) &&
                 offsetof(struct uk_commit, instance) ==
                   offsetof(struct uk_delete_consumer, instance),
               "names_of reads them alike");

/* An instance that is not alive here has no batch that the request could name. */
static bool names_no_batch(const struct uk_kafka_request *request,
                           const struct uk_kafka_group_member *member)
{
  return (member == NULL || member->is_takeover) &&
         uk_kafka_request_acknowledgement(request)->kind == UK_ACKNOWLEDGE_BATCH;
}

/* Hands the request to the member that it names. */
static void post(struct uk_kafka_request *request)
{
  struct uk_kafka_groups *groups = request->groups;
  struct uk_slice group, name;
  names_of(request, &group, &name);
  pthread_mutex_lock(&groups->mutex);
  struct uk_kafka_group_member *member = find(groups, group, name);
  bool conflicts = names_no_batch(request, member);
  if (member == NULL && !conflicts)
    member = add_member(request, group, name);
  if (member != NULL && !conflicts) {
    uk_kafka_requests_add(&member->inbox, request);
    uk_kafka_task_wake(&member->task);
  }
  pthread_mutex_unlock(&groups->mutex);
  if (conflicts)
    uk_kafka_request_conflict(request);
  else if (member == NULL)
    uk_kafka_request_done(request);
}

static void checked(struct uk_kafka_check *check)
{
  struct uk_kafka_request *request = (struct uk_kafka_request *)check;
  if (request->operation->error == UK_OK)
    post(request);
  else
    uk_kafka_request_done(request);
}

static void create_topic(void *context, struct uk_kafka_check *check, struct uk_slice topic)
{
  const struct uk_kafka_groups *groups = context;
  struct uk_kafka_request *request = (struct uk_kafka_request *)check;
  request->created[check->index / 64] |= UINT64_C(1) << check->index % 64;
  groups->parts.create(groups->parts.create_context, check, topic);
}

static bool may_create(const struct uk_kafka_request *request)
{
  return request->kind == UK_KAFKA_CONSUME && !request->rechecked &&
         request->groups->parts.create != NULL &&
         ((const struct uk_consume *)request->operation)->create;
}

static bool is_plain(struct uk_slice name)
{
  return name.length >= 1 && name.length <= UK_GROUP_NAME_MAX &&
         memchr(name.data, '\0', name.length) == NULL;
}

/* Whether what the request names exists, then `then`. */
static void check(struct uk_kafka_request *request, struct uk_kafka_places places,
                  void (*then)(struct uk_kafka_check *check))
{
  bool creates = then == checked && may_create(request);
  request->check = (struct uk_kafka_check){.operation = request->operation,
                                           .places = places,
                                           .then = then,
                                           .changes = request->kind == UK_KAFKA_COMMIT,
                                           .create = creates ? create_topic : NULL,
                                           .create_context = request->groups};
  uk_kafka_topics_check(request->groups->parts.topics, &request->check);
}

static void check_topics(struct uk_kafka_check *commits)
{
  struct uk_kafka_request *request = (struct uk_kafka_request *)commits;
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  if (request->operation->error == UK_OK)
    check(request, uk_kafka_places_of_topics(consume->topics, consume->topic_count), checked);
  else
    uk_kafka_request_done(request);
}

/* The commits of a consume come first: to refuse one of them later, topics would have been created
 * in vain. */
static void check_consume(struct uk_kafka_request *request, const struct uk_consume *consume)
{
  if (consume->commit_count > 0)
    check(request, uk_kafka_places_of_offsets(consume->commits, consume->commit_count),
          check_topics);
  else
    check_topics(&request->check);
}

static void check_again(struct uk_list *consumes)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(consumes)) != NULL) {
    request->rechecked = true;
    check_consume(request, (const struct uk_consume *)request->operation);
  }
}

static bool conflicts(struct uk_kafka_request *request, struct uk_slice group, struct uk_slice name)
{
  pthread_mutex_lock(&request->groups->mutex);
  bool conflicts = names_no_batch(request, find(request->groups, group, name));
  pthread_mutex_unlock(&request->groups->mutex);
  return conflicts;
}

/* NULL: the operation has ended. */
static struct uk_kafka_request *start(struct uk_kafka_groups *groups,
                                      enum uk_kafka_request_kind kind,
                                      struct uk_operation *operation)
{
  struct uk_kafka_request *request = calloc(1, sizeof *request);
  struct uk_slice group, name;
  if (request == NULL) {
    operation->error = UK_E_NO_MEMORY;
    operation->done(operation);
    return NULL;
  }
  request->groups = groups;
  request->kind = kind;
  request->operation = operation;
  names_of(request, &group, &name);
  if (!is_plain(group) || !is_plain(name)) {
    uk_operation_fail(operation, UK_E_BAD_REQUEST,
                      "group, instance: names of 1 to %d bytes without NUL expected",
                      (int)UK_GROUP_NAME_MAX);
    uk_kafka_request_done(request);
    return NULL;
  }
  if (!conflicts(request, group, name))
    return request;
  uk_kafka_request_conflict(request);
  return NULL;
}

void uk_kafka_groups_consume(struct uk_kafka_groups *groups, struct uk_consume *operation)
{
  operation->delivery = 0;
  operation->redelivered = false;
  operation->batch[0] = '\0';
  struct uk_kafka_request *request = start(groups, UK_KAFKA_CONSUME, &operation->operation);
  if (request != NULL)
    check_consume(request, operation);
}

void uk_kafka_groups_commit(struct uk_kafka_groups *groups, struct uk_commit *operation)
{
  struct uk_kafka_request *request = start(groups, UK_KAFKA_COMMIT, &operation->operation);
  if (request != NULL)
    check(request, uk_kafka_places_of_offsets(operation->offsets, operation->count), checked);
}

void uk_kafka_groups_delete(struct uk_kafka_groups *groups, struct uk_delete_consumer *operation)
{
  struct uk_kafka_request *request = start(groups, UK_KAFKA_DELETE, &operation->operation);
  if (request != NULL)
    check(request, (struct uk_kafka_places){.count = 0}, checked);
}

void uk_kafka_groups_response_finished(struct uk_kafka_groups *groups, struct uk_slice group,
                                       struct uk_slice name, uint64_t delivery,
                                       enum uk_response_outcome outcome)
{
  pthread_mutex_lock(&groups->mutex);
  struct uk_kafka_group_member *member = find(groups, group, name);
  if (member != NULL && !member->is_takeover)
    uk_kafka_instance_response_finished(member, delivery, outcome);
  pthread_mutex_unlock(&groups->mutex);
}

void uk_kafka_groups_consume_expired(struct uk_kafka_groups *groups, struct uk_consume *operation)
{
  pthread_mutex_lock(&groups->mutex);
  struct uk_kafka_group_member *member = find(groups, operation->group, operation->instance);
  if (member != NULL)
    uk_kafka_task_wake(&member->task);
  pthread_mutex_unlock(&groups->mutex);
}

void uk_kafka_groups_list(struct uk_kafka_groups *groups, struct uk_consumers *operation)
{
  pthread_mutex_lock(&groups->mutex);
  operation->operation.error = uk_kafka_group_listing_write(groups, operation);
  pthread_mutex_unlock(&groups->mutex);
  operation->operation.done(&operation->operation);
}

/* Life. */

struct uk_kafka_groups *uk_kafka_groups_new(const struct uk_kafka_groups_parts *parts)
{
  struct uk_kafka_groups *groups = calloc(1, sizeof *groups);
  if (groups == NULL)
    return NULL;
  groups->parts = *parts;
  groups->check_again = check_again;
  pthread_mutex_init(&groups->mutex, NULL);
  pthread_cond_init(&groups->empty, NULL);
  uk_name_table_init(&groups->table, uk_name_table_seed());
  uk_name_set_init(&groups->missing);
  groups->members = uk_kafka_members_new(parts->control, parts->executor, parts->topics);
  if (groups->members != NULL && uk_batch_nonce_make(groups->nonce))
    return groups;
  uk_kafka_groups_free(groups);
  return NULL;
}

static void wake_all(struct uk_kafka_groups *groups)
{
  for (struct uk_name_node *node = uk_name_table_next(&groups->table, NULL); node != NULL;
       node = uk_name_table_next(&groups->table, node))
    uk_kafka_task_wake(&member_of(node)->task);
}

void uk_kafka_groups_drain(struct uk_kafka_groups *groups)
{
  pthread_mutex_lock(&groups->mutex);
  groups->draining = true;
  wake_all(groups);
  pthread_mutex_unlock(&groups->mutex);
}

void uk_kafka_groups_free(struct uk_kafka_groups *groups)
{
  pthread_mutex_lock(&groups->mutex);
  groups->closing = true;
  wake_all(groups);
  while (groups->count > 0)
    pthread_cond_wait(&groups->empty, &groups->mutex);
  pthread_mutex_unlock(&groups->mutex);
  if (groups->members != NULL)
    uk_kafka_members_free(groups->members);
  uk_name_table_free(&groups->table);
  uk_name_set_free(&groups->missing);
  pthread_cond_destroy(&groups->empty);
  pthread_mutex_destroy(&groups->mutex);
  free(groups);
}
