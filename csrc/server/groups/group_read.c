#include "server/groups/group_read.h"

#include "server/groups/group_batch.h"
#include "server/groups/group_held.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_position.h"
#include "server/groups/group_redelivery.h"
#include "server/groups/group_request.h"

struct step {
  struct uk_group_assignment *assignment; /* it and its topic stay while a member is READING */
  uint64_t topic_id;
  int32_t number;
  int64_t offset;
  int64_t next; /* out: where reading ended */
};

struct plan {
  struct step steps[UK_GROUP_BATCH_MAX];
  size_t count;
  size_t done;
  enum uk_error error; /* of the step after the last done one */
};

static enum uk_error check_topics(struct uk_group_instance *instance)
{
  for (size_t i = 0; i < instance->assignment_count; i++) {
    const struct uk_group_topic *topic = instance->assignments[i]->topic;
    if (topic->partitions > 0)
      continue;
    uk_operation_fail(&uk_group_first_request(instance)->operation->operation, UK_E_NOT_FOUND,
                      "topic \"%.*s\" was deleted", UK_GROUP_TEXT(topic->node.name));
    return UK_E_NOT_FOUND;
  }
  return UK_OK;
}

/* The partitions that have records, from the cursor on. */
static enum uk_error make_plan(struct uk_groups *groups, struct uk_group_instance *instance,
                               struct plan *plan)
{
  struct uk_operation *operation = &uk_group_first_request(instance)->operation->operation;
  plan->count = plan->done = 0;
  plan->error = UK_OK;
  enum uk_error error = check_topics(instance);
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned;
       left > 0 && error == UK_OK && plan->count < UK_GROUP_BATCH_MAX;
       left--, partition = partition->next) {
    if (uk_group_partition_leaving(partition))
      continue;
    int64_t end = 0;
    error = uk_group_position_locate(groups, partition, operation, &end);
    int64_t position = partition->progress.position;
    if (error != UK_OK || position == UK_OFFSET_UNKNOWN || position >= end)
      continue;
    plan->steps[plan->count++] = (struct step){.assignment = partition->assignment,
                                               .topic_id = partition->assignment->topic->id,
                                               .number = uk_group_partition_number(partition),
                                               .offset = position,
                                               .next = position};
  }
  return error;
}

/* Asks once. Called without the lock. */
static bool is_client_alive(struct uk_group_request *request)
{
  const struct uk_sink *sink = &request->operation->sink;
  if (request->asked)
    return true;
  request->asked = true;
  return sink->is_client_alive == NULL || sink->is_client_alive(&request->operation->operation);
}

/* Called without the lock. */
static void carry_out(const struct uk_groups_log *log, struct uk_group_request *request,
                      struct plan *plan)
{
  struct uk_operation *operation = &request->operation->operation;
  const struct uk_sink *sink = &request->operation->sink;
  if (!is_client_alive(request))
    plan->error = UK_E_CANCELLED;
  bool full = false, any = false;
  while (plan->done < plan->count && !full && plan->error == UK_OK) {
    struct step *step = &plan->steps[plan->done];
    plan->error = log->read(log->context, step->assignment->topic->node.name, step->number,
                            step->offset, operation, sink, &step->next, &full);
    any = any || step->next != step->offset;
    if (plan->error == UK_OK && full && !any)
      plan->error = UK_E_NO_MEMORY; /* for the first record */
    if (plan->error == UK_OK)
      plan->done++;
  }
}

/* Leaves a position alone that has changed since: the topic was deleted. */
static void advance(struct uk_group_instance *instance, const struct step *step, size_t place)
{
  struct uk_group_assignment *assignment = step->assignment;
  if (assignment->topic->id != step->topic_id || step->number >= assignment->count)
    return;
  struct uk_group_partition *partition = &assignment->partitions[step->number];
  if (partition->owner != instance || partition->progress.position != step->offset)
    return;
  uk_progress_advance(&partition->progress, step->offset, step->next);
  partition->place = place;
  instance->cursor = partition->next;
}

/* False when there was no record. */
static bool apply(struct uk_groups *groups, struct uk_group_instance *instance,
                  const struct plan *plan)
{
  bool any = false;
  for (size_t i = 0; i < plan->done; i++) {
    if (plan->steps[i].next == plan->steps[i].offset)
      continue;
    advance(instance, &plan->steps[i], i);
    any = true;
  }
  if (any)
    uk_group_batch_deliver(groups, instance, uk_group_first_request(instance)->operation);
  return any;
}

/* Sets a message, unless the log has set one. */
static void explain(struct uk_operation *operation, const struct plan *plan)
{
  const struct step *step = &plan->steps[plan->done];
  if (operation->message[0] == '\0' && plan->error != UK_E_CANCELLED)
    uk_operation_fail(operation, plan->error, "cannot read topic \"%.*s\" partition %d: %s",
                      UK_GROUP_TEXT(step->assignment->topic->node.name), (int)step->number,
                      uk_error_text(plan->error));
}

/* Delivers the outstanding batch again. True: the request ends with `*error`. False: nothing was
 * left of the batch, and it has ended. */
static bool redeliver(struct uk_groups *groups, struct uk_group_instance *instance,
                      enum uk_error *error)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  struct uk_group_redelivery redelivery;
  uk_group_redelivery_plan(groups, instance, &redelivery);
  pthread_mutex_unlock(&groups->lock);
  if (is_client_alive(request))
    uk_group_redelivery_run(&groups->log, request->operation, &redelivery);
  else
    redelivery.error = UK_E_CANCELLED;
  pthread_mutex_lock(&groups->lock);
  uk_group_redelivery_end(groups, &redelivery);
  *error = redelivery.error;
  if (redelivery.error != UK_OK)
    return true;
  if (redelivery.any) {
    uk_group_batch_deliver(groups, instance, request->operation);
    return true;
  }
  uk_group_batch_end(instance);
  uk_group_held_run(groups, instance); /* frees nothing: the instance is READING */
  return false;
}

/* Delivers the next records. True: the request ends with `*error`. False: there are none. */
static bool read_on(struct uk_groups *groups, struct uk_group_instance *instance,
                    enum uk_error *error)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  struct uk_operation *operation = &request->operation->operation;
  struct plan plan;
  *error = make_plan(groups, instance, &plan);
  if (*error != UK_OK || plan.count == 0)
    return *error != UK_OK;
  pthread_mutex_unlock(&groups->lock);
  carry_out(&groups->log, request, &plan);
  pthread_mutex_lock(&groups->lock);
  if (apply(groups, instance, &plan)) {
    operation->message[0] = '\0';
    return true;
  }
  *error = plan.error;
  if (plan.error != UK_OK)
    explain(operation, &plan);
  return plan.error != UK_OK;
}

void uk_group_read(struct uk_groups *groups, struct uk_group_instance *instance)
{
  enum uk_error error = UK_OK;
  bool ends = false;
  if (uk_deliveries_outstanding(&instance->deliveries))
    ends = redeliver(groups, instance, &error);
  if (!ends && uk_list_is_empty(&instance->deletes))
    ends = read_on(groups, instance, &error);
  if (ends)
    uk_group_request_end(groups, instance, error);
  else
    uk_group_request_park(groups, instance);
}
