#include "server/kafka_engine/group/kafka_groups.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_request_queue.h"

enum { KEY_SIZE = 2 * UK_GROUP_NAME_MAX + 2 };

/* "GROUP" NUL "INSTANCE". */
static struct uk_slice key_of(char *bytes, struct uk_slice group, struct uk_slice name)
{
  memcpy(bytes, group.data, group.length);
  bytes[group.length] = '\0';
  memcpy(bytes + group.length + 1, name.data, name.length);
  return uk_slice_of(bytes, group.length + 1 + name.length);
}

static struct uk_kafka_instance *find(struct uk_kafka_groups *groups, struct uk_slice group,
                                      struct uk_slice name)
{
  char bytes[KEY_SIZE];
  return (struct uk_kafka_instance *)uk_name_table_find(&groups->table, key_of(bytes, group, name));
}

/* Making. The mutex is held. */

static bool is_named(const struct uk_consume *consume, const char *topic)
{
  for (size_t i = 0; i < consume->topic_count; i++) {
    if (uk_slice_is(consume->topics[i], topic))
      return true;
  }
  return false;
}

static enum uk_error check_limits(struct uk_kafka_groups *groups, struct uk_consume *consume)
{
  int64_t partitions = 0, live = 0;
  struct uk_kafka_topics *topics = groups->parts.topics;
  for (size_t i = 0; i < consume->topic_count; i++)
    partitions += uk_kafka_topics_partitions(topics, consume->topics[i]);
  for (struct uk_name_node *node = uk_name_table_next(&groups->table, NULL); node != NULL;
       node = uk_name_table_next(&groups->table, node)) {
    const struct uk_kafka_instance *other = (struct uk_kafka_instance *)node;
    if (other->takeover || !uk_slice_equal(other->group, consume->group))
      continue;
    live++;
    for (size_t i = 0; i < other->topic_count; i++) {
      if (!is_named(consume, other->topics[i].text))
        partitions += uk_kafka_topics_partitions(topics, uk_slice_text(other->topics[i].text));
    }
  }
  if (partitions == 0) /* forgotten since they were checked */
    uk_operation_fail(&consume->operation, UK_E_UNAVAILABLE,
                      "group \"%.*s\": its topics are being looked for", (int)consume->group.length,
                      consume->group.data);
  else if (live >= partitions)
    uk_operation_fail(&consume->operation, UK_E_TOO_MANY,
                      "group \"%.*s\" has %lld consumer instances already: the limit is %lld, the "
                      "partitions of its topics",
                      (int)consume->group.length, consume->group.data, (long long)live,
                      (long long)partitions);
  else if ((int64_t)(groups->count + 1) * groups->parts.prefetch_bytes >
           groups->parts.prefetch_budget)
    uk_operation_fail(
      &consume->operation, UK_E_TOO_MANY,
      "no room for an instance of group \"%.*s\": %zu read ahead for %lld bytes each, "
      "and prefetch_budget is %lld",
      (int)consume->group.length, consume->group.data, groups->count,
      (long long)groups->parts.prefetch_bytes, (long long)groups->parts.prefetch_budget);
  return consume->operation.error;
}

static struct uk_kafka_instance *make(struct uk_kafka_groups *groups, struct uk_slice group,
                                      struct uk_slice name,
                                      const struct uk_consumer_settings *settings)
{
  struct uk_kafka_instance *instance =
    calloc(1, sizeof *instance + group.length + 1 + name.length + 1);
  if (instance == NULL)
    return NULL;
  instance->node.name = key_of(instance->bytes, group, name);
  instance->group = uk_slice_of(instance->bytes, group.length);
  instance->name = uk_slice_of(instance->bytes + group.length + 1, name.length);
  instance->groups = groups;
  instance->settings = *settings;
  instance->fresh = true;
  instance->last_request = uk_clock_monotonic();
  instance->asked_since = instance->last_request;
  instance->next_commit = instance->last_request + settings->auto_commit_interval;
  uk_kafka_task_init(&instance->task, groups->parts.executor, uk_kafka_instance_run,
                     uk_kafka_instance_free);
  uk_name_set_init(&instance->created);
  if (!uk_name_table_add(&groups->table, &instance->node)) {
    uk_name_set_free(&instance->created);
    free(instance);
    return NULL;
  }
  groups->count++;
  return instance;
}

static struct uk_kafka_instance *make_consumer(struct uk_kafka_groups *groups,
                                               struct uk_consume *consume)
{
  if (check_limits(groups, consume) != UK_OK)
    return NULL;
  return make(groups, consume->group, consume->instance, &consume->settings);
}

/* Nothing is read ahead for it that counts. */
static struct uk_kafka_instance *make_takeover(struct uk_kafka_groups *groups,
                                               struct uk_slice group, struct uk_slice name)
{
  static const struct uk_consumer_settings settings = {
    .auto_commit = false, .offset_reset = UK_RESET_LATEST, .session_timeout = UK_SESSION_TIMEOUT};
  struct uk_kafka_instance *instance = make(groups, group, name, &settings);
  if (instance != NULL)
    instance->takeover = true;
  return instance;
}

/* Requests. */

static struct uk_kafka_instance *instance_for(struct uk_kafka_request *request,
                                              struct uk_slice group, struct uk_slice name)
{
  struct uk_kafka_instance *instance = find(request->groups, group, name);
  if (instance != NULL)
    return instance;
  if (request->kind == UK_KAFKA_CONSUME)
    instance = make_consumer(request->groups, (struct uk_consume *)request->operation);
  else
    instance = make_takeover(request->groups, group, name);
  if (instance == NULL && request->operation->error == UK_OK)
    request->operation->error = UK_E_NO_MEMORY;
  return instance;
}

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

void uk_kafka_groups_post(struct uk_kafka_request *request)
{
  struct uk_kafka_groups *groups = request->groups;
  struct uk_slice group, name;
  names_of(request, &group, &name);
  pthread_mutex_lock(&groups->mutex);
  struct uk_kafka_instance *instance = instance_for(request, group, name);
  if (instance != NULL) {
    uk_kafka_requests_add(&instance->inbox, request);
    uk_kafka_task_wake(&instance->task);
  }
  pthread_mutex_unlock(&groups->mutex);
  if (instance == NULL)
    uk_kafka_request_done(request);
}

static void checked(struct uk_kafka_check *check)
{
  struct uk_kafka_request *request = (struct uk_kafka_request *)check;
  if (request->operation->error == UK_OK)
    uk_kafka_groups_post(request);
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
  return request->kind == UK_KAFKA_CONSUME && request->groups->parts.create != NULL &&
         ((const struct uk_consume *)request->operation)->create;
}

static bool is_plain(struct uk_slice name)
{
  return name.length >= 1 && name.length <= UK_GROUP_NAME_MAX &&
         memchr(name.data, '\0', name.length) == NULL;
}

static void start(struct uk_kafka_groups *groups, enum uk_kafka_request_kind kind,
                  struct uk_operation *operation, struct uk_kafka_places places)
{
  struct uk_kafka_request *request = calloc(1, sizeof *request);
  struct uk_slice group, name;
  if (request == NULL) {
    operation->error = UK_E_NO_MEMORY;
    operation->done(operation);
    return;
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
    return;
  }
  request->check = (struct uk_kafka_check){.operation = operation,
                                           .places = places,
                                           .then = checked,
                                           .changes = kind == UK_KAFKA_COMMIT,
                                           .create = may_create(request) ? create_topic : NULL,
                                           .create_context = groups};
  uk_kafka_topics_check(groups->parts.topics, &request->check);
}

void uk_kafka_groups_consume(struct uk_kafka_groups *groups, struct uk_consume *operation)
{
  operation->delivery = 0;
  start(groups, UK_KAFKA_CONSUME, &operation->operation,
        uk_kafka_places_of_topics(operation->topics, operation->topic_count));
}

void uk_kafka_groups_commit(struct uk_kafka_groups *groups, struct uk_commit *operation)
{
  start(groups, UK_KAFKA_COMMIT, &operation->operation,
        uk_kafka_places_of_offsets(operation->offsets, operation->count));
}

void uk_kafka_groups_delete(struct uk_kafka_groups *groups, struct uk_delete_consumer *operation)
{
  start(groups, UK_KAFKA_DELETE, &operation->operation, (struct uk_kafka_places){.count = 0});
}

void uk_kafka_groups_response_finished(struct uk_kafka_groups *groups, struct uk_slice group,
                                       struct uk_slice name, uint64_t delivery, bool complete)
{
  pthread_mutex_lock(&groups->mutex);
  struct uk_kafka_instance *instance = find(groups, group, name);
  if (instance != NULL && !complete)
    instance->undelivered = delivery;
  else if (instance != NULL && instance->migrates)
    instance->sent = delivery;
  else
    instance = NULL;
  if (instance != NULL)
    uk_kafka_task_wake(&instance->task);
  pthread_mutex_unlock(&groups->mutex);
}

/* Listing. The mutex is held. */

static int by_name(const void *a, const void *b)
{
  const struct uk_kafka_instance *one = *(struct uk_kafka_instance *const *)a;
  const struct uk_kafka_instance *other = *(struct uk_kafka_instance *const *)b;
  int order = uk_name_order(one->group, other->group);
  return order != 0 ? order : uk_name_order(one->name, other->name);
}

static void list_one(const struct uk_kafka_instance *instance, struct uk_consumers *operation,
                     int32_t *partitions)
{
  size_t i = 0;
  while (i < instance->listed_count) {
    const struct uk_kafka_assigned_partition *first = &instance->listed[i];
    size_t count = 0;
    for (; i < instance->listed_count &&
           strcmp(instance->listed[i].topic.text, first->topic.text) == 0;
         i++)
      partitions[count++] = instance->listed[i].number;
    operation->owned(&operation->operation, instance->group, instance->name,
                     uk_slice_text(first->topic.text), partitions, count);
  }
  if (instance->listed_count == 0)
    operation->owned(&operation->operation, instance->group, instance->name, (struct uk_slice){0},
                     NULL, 0);
}

static enum uk_error list_all(struct uk_kafka_groups *groups, struct uk_consumers *operation)
{
  size_t count = 0, most = 0;
  struct uk_kafka_instance **sorted = calloc(groups->table.count + 1, sizeof *sorted);
  struct uk_name_node *node = uk_name_table_next(&groups->table, NULL);
  for (; sorted != NULL && node != NULL; node = uk_name_table_next(&groups->table, node)) {
    sorted[count] = (struct uk_kafka_instance *)node;
    if (sorted[count]->takeover)
      continue;
    most = sorted[count]->listed_count > most ? sorted[count]->listed_count : most;
    count++;
  }
  int32_t *partitions = calloc(most + 1, sizeof *partitions);
  if (count > 0)
    qsort(sorted, count, sizeof(struct uk_kafka_instance *), by_name);
  for (size_t i = 0; partitions != NULL && i < count; i++)
    list_one(sorted[i], operation, partitions);
  enum uk_error error = sorted != NULL && partitions != NULL ? UK_OK : UK_E_NO_MEMORY;
  free(partitions);
  free(sorted);
  return error;
}

void uk_kafka_groups_list(struct uk_kafka_groups *groups, struct uk_consumers *operation)
{
  pthread_mutex_lock(&groups->mutex);
  operation->operation.error = list_all(groups, operation);
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
  pthread_mutex_init(&groups->mutex, NULL);
  pthread_cond_init(&groups->empty, NULL);
  uk_name_table_init(&groups->table, uk_name_table_seed());
  groups->members = uk_kafka_members_new(parts->control, parts->executor, parts->topics);
  if (groups->members != NULL)
    return groups;
  uk_kafka_groups_free(groups);
  return NULL;
}

static void wake_all(struct uk_kafka_groups *groups)
{
  for (struct uk_name_node *node = uk_name_table_next(&groups->table, NULL); node != NULL;
       node = uk_name_table_next(&groups->table, node))
    uk_kafka_task_wake(&((struct uk_kafka_instance *)node)->task);
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
  pthread_cond_destroy(&groups->empty);
  pthread_mutex_destroy(&groups->mutex);
  free(groups);
}
