#include "server/groups/group_redelivery.h"

#include "server/groups/group_batch.h"
#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_topic.h"

/* A topic that went, or was replaced, takes its partitions with it. The instance may hold
 * partitions of a topic that it no longer subscribes. */
static void refresh_topics(struct uk_groups *groups, const struct uk_group *group)
{
  struct uk_group_assignment *assignment = NULL;
  while ((assignment = uk_group_next(group, assignment)) != NULL)
    uk_group_topic_refresh(groups, assignment->topic->node.name);
}

void uk_group_redelivery_plan(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_group_redelivery *redelivery)
{
  struct uk_group_partition *partitions[UK_GROUP_BATCH_MAX];
  refresh_topics(groups, instance->group);
  redelivery->count = uk_group_batch_list(instance, partitions);
  redelivery->any = false;
  redelivery->error = UK_OK;
  for (size_t i = 0; i < redelivery->count; i++) {
    struct uk_group_assignment *assignment = partitions[i]->assignment;
    assignment->reads++;
    redelivery->steps[i].assignment = assignment;
    redelivery->steps[i].number = uk_group_partition_number(partitions[i]);
    redelivery->steps[i].from = partitions[i]->progress.redelivery;
    redelivery->steps[i].to = partitions[i]->progress.position;
  }
}

/* Stands between the log and the sink, which would be offered what follows the batch, too. */
struct bounded {
  struct uk_operation operation; /* the log sees this one */
  struct uk_consume *consume;
  int64_t to;
  bool any, refused; /* the sink took a record; it refused one */
};

static bool pass_on(struct uk_operation *operation, const struct uk_record *record)
{
  struct bounded *bounded = (struct bounded *)operation;
  struct uk_consume *consume = bounded->consume;
  if (record->offset >= bounded->to)
    return false;
  bounded->refused = !consume->sink.record(&consume->operation, record);
  if (bounded->refused)
    return false;
  bounded->any = true;
  return true;
}

/* Reads until there is nothing more: a reading ends before a batch of the log that is damaged, and
 * only the next one says so. What is gone since the plan was made is left out. */
static enum uk_error read_all(const struct uk_groups_log *log, struct bounded *bounded,
                              struct uk_slice topic, int32_t number, int64_t from)
{
  const struct uk_sink sink = {.record = pass_on};
  enum uk_error error = UK_OK;
  bool full = false;
  int64_t next = from;
  for (int64_t at = from; at < bounded->to && error == UK_OK; at = next) {
    error = log->read(log->context, topic, number, at, &bounded->operation, &sink, &next, &full);
    if (error == UK_OK && bounded->refused)
      error = UK_E_NO_MEMORY;
    if (next <= at)
      break;
  }
  return error == UK_E_NOT_FOUND ? UK_OK : error;
}

static void run_step(const struct uk_groups_log *log, struct uk_consume *operation,
                     struct uk_group_redelivery *redelivery, size_t index)
{
  struct uk_slice topic = redelivery->steps[index].assignment->topic->node.name;
  int32_t number = redelivery->steps[index].number;
  struct bounded bounded = {.consume = operation, .to = redelivery->steps[index].to};
  enum uk_error error = read_all(log, &bounded, topic, number, redelivery->steps[index].from);
  redelivery->any = redelivery->any || bounded.any;
  redelivery->error = error;
  if (error != UK_OK && bounded.operation.message[0] == '\0')
    uk_operation_fail(&operation->operation, error, "cannot read topic \"%.*s\" partition %d: %s",
                      UK_GROUP_TEXT(topic), (int)number, uk_error_text(error));
  else if (error != UK_OK)
    uk_operation_fail(&operation->operation, error, "%s", bounded.operation.message);
}

void uk_group_redelivery_run(const struct uk_groups_log *log, struct uk_consume *operation,
                             struct uk_group_redelivery *redelivery)
{
  operation->redelivered = true;
  for (size_t i = 0; i < redelivery->count && redelivery->error == UK_OK; i++)
    run_step(log, operation, redelivery, i);
  operation->redelivered = redelivery->error == UK_OK && redelivery->any;
}

void uk_group_redelivery_end(struct uk_groups *groups, struct uk_group_redelivery *redelivery)
{
  for (size_t i = 0; i < redelivery->count; i++) {
    struct uk_group_assignment *assignment = redelivery->steps[i].assignment;
    assignment->reads--;
    if (assignment->member_count == 0 && assignment->owned == 0 && assignment->reads == 0)
      uk_group_list_rebalance(groups, assignment);
  }
}
