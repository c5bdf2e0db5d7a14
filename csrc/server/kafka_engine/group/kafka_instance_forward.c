#include "server/kafka_engine/group/kafka_instance_forward.h"

#include <stdio.h>

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_holders.h"

enum { PAUSE = 100 }; /* milliseconds before another attempt */

/* An attempt. */

static void destroy(rd_kafka_topic_partition_list_t **list)
{
  if (*list != NULL)
    rd_kafka_topic_partition_list_destroy(*list);
  *list = NULL;
}

void uk_kafka_instance_forward_forget(struct uk_kafka_instance *instance)
{
  struct uk_kafka_forward *forward = &instance->forward;
  uk_kafka_holders_drop(&forward->holders);
  uk_kafka_handover_drop(&forward->reading);
  destroy(&forward->own);
  destroy(&forward->all);
  destroy(&forward->committed);
  forward->holders_known = false;
}

/* Another attempt follows a little later. */
static bool pause(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_instance_forward_forget(instance);
  instance->member.committing.again_at = now + PAUSE;
  return false;
}

/* The request says that the outstanding batch has arrived. */
static bool acknowledges(const struct uk_kafka_instance *instance,
                         const struct uk_kafka_request *request)
{
  return uk_deliveries_outstanding(&instance->delivery.numbers) &&
         instance->delivery.numbers.batch == request->batch;
}

/* The request goes on. */
static void pass(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  struct uk_kafka_group_member *member = &instance->member;
  request->due = request->sent = false;
  request->confirmed = request->confirmed || request->arrived_at <= member->lease.from;
  if (acknowledges(instance, request)) {
    uk_kafka_delivery_acknowledge(member, &instance->delivery);
    request->sent = request->kind == UK_KAFKA_DELETE && member->settings.auto_commit;
  }
  if (request->kind == UK_KAFKA_CONSUME)
    uk_kafka_requests_add(&member->consumes, request);
  else if (request->kind == UK_KAFKA_DELETE)
    uk_kafka_requests_add(&member->deletes, request);
  else
    uk_kafka_request_done(request);
}

/* What is to be committed. */

/* The highest offset counts. */
static void add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition,
                int64_t offset)
{
  rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(list, topic, partition);
  if (at == NULL)
    at = rd_kafka_topic_partition_list_add(list, topic, partition);
  if (at->offset < offset)
    at->offset = offset;
}

/* The positions after the batch, of the partitions that the instance still holds. */
static void add_batch(const struct uk_kafka_instance *instance,
                      rd_kafka_topic_partition_list_t *list)
{
  const struct uk_kafka_batch *batch = &instance->delivery.batch;
  for (size_t i = 0; i < batch->partition_count; i++) {
    const struct uk_kafka_batch_partition *of = &batch->partitions[i];
    const struct uk_kafka_assigned_partition *partition =
      uk_kafka_assigned_partition_find(&instance->member.partitions, of->topic.text, of->number);
    if (partition != NULL && partition->assigned && uk_progress_in_flight(&partition->progress))
      add(list, of->topic.text, of->number, partition->progress.position);
  }
}

static rd_kafka_topic_partition_list_t *make_list(const struct uk_kafka_instance *instance,
                                                  const struct uk_kafka_request *request)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  if (acknowledges(instance, request))
    add_batch(instance, list);
  for (size_t i = 0; request->kind == UK_KAFKA_CONSUME && i < consume->commit_count; i++)
    add(list, uk_kafka_name(consume->commits[i].topic).text, consume->commits[i].partition,
        consume->commits[i].offset);
  return list;
}

/* Partitions of others, and of topics before. */

static const struct uk_kafka_assigned_partition *find_own(const struct uk_kafka_instance *instance,
                                                          const rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&instance->member.partitions, at->topic, at->partition);
  return partition != NULL && partition->assigned ? partition : NULL;
}

static bool has(const rd_kafka_topic_partition_list_t *list, const rd_kafka_topic_partition_t *at)
{
  return list != NULL &&
         rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
                                            at->topic, at->partition) != NULL;
}

/* Where brokers cannot tell, only the instances of this server are known. */
static bool is_held_here(const struct uk_kafka_group_member *member,
                         const rd_kafka_topic_partition_t *at)
{
  struct uk_kafka_groups *groups = member->groups;
  bool held = false;
  pthread_mutex_lock(&groups->mutex);
  for (struct uk_name_node *node = uk_name_table_next(&groups->table, NULL); node != NULL && !held;
       node = uk_name_table_next(&groups->table, node)) {
    const struct uk_kafka_group_member *other = (const struct uk_kafka_group_member *)node;
    held = other != member && uk_slice_equal(other->group, member->group) &&
           uk_kafka_assigned_partition_find(&other->published, at->topic, at->partition) != NULL;
  }
  pthread_mutex_unlock(&groups->mutex);
  return held;
}

/* The topic is another one, of which the client has nothing: the offset is from the one before. */
static bool is_outdated(const struct uk_kafka_instance *instance,
                        const struct uk_kafka_request *request,
                        const rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_assigned_partition *own = find_own(instance, at);
  return own != NULL && own->renewed &&
         !(acknowledges(instance, request) && uk_progress_in_flight(&own->progress));
}

static bool is_of_another(const struct uk_kafka_instance *instance,
                          const rd_kafka_topic_partition_t *at)
{
  if (find_own(instance, at) != NULL)
    return false;
  return instance->forward.all != NULL ? has(instance->forward.all, at)
                                       : is_held_here(&instance->member, at);
}

static void skip(struct uk_kafka_request *request, const rd_kafka_topic_partition_t *at)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  for (size_t i = 0; request->kind == UK_KAFKA_CONSUME && i < consume->commit_count; i++) {
    const struct uk_topic_partition_offset *commit = &consume->commits[i];
    if (commit->partition == at->partition && uk_slice_is(commit->topic, at->topic))
      consume->skipped[i] = true;
  }
}

static void skip_others(const struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                        rd_kafka_topic_partition_list_t *list)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  for (size_t i = 0; request->kind == UK_KAFKA_CONSUME && i < consume->commit_count; i++)
    consume->skipped[i] = false; /* of an attempt before */
  for (int i = list->cnt - 1; i >= 0; i--) {
    if (!is_outdated(instance, request, &list->elems[i]) &&
        !is_of_another(instance, &list->elems[i]))
      continue;
    skip(request, &list->elems[i]);
    rd_kafka_topic_partition_list_del_by_idx(list, i);
  }
}

/* The group has given this instance a partition that it has not taken yet. */
static bool is_coming(const struct uk_kafka_instance *instance,
                      const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++) {
    if (find_own(instance, &list->elems[i]) == NULL && has(instance->forward.own, &list->elems[i]))
      return true;
  }
  return false;
}

static bool has_foreign(const struct uk_kafka_instance *instance,
                        const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++) {
    if (find_own(instance, &list->elems[i]) == NULL)
      return true;
  }
  return false;
}

/* False: it is not known yet. */
static bool learn_holders(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_forward *forward = &instance->forward;
  struct uk_kafka_holdings holdings;
  if (forward->holders_known)
    return true;
  if (forward->holders == NULL)
    return uk_kafka_holders_ask(&instance->member, &forward->holders, now) ? false
                                                                           : pause(instance, now);
  if (!uk_kafka_holders_take(&forward->holders, &holdings))
    return false;
  forward->own = holdings.own;
  forward->all = holdings.all;
  forward->holders_known =
    holdings.all != NULL || holdings.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
  return forward->holders_known ? true : pause(instance, now);
}

/* What is committed already. */

/* UK_KAFKA_FLOOR_UNKNOWN: it has to be read. */
static int64_t floor_of(const struct uk_kafka_instance *instance,
                        const rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_assigned_partition *own = find_own(instance, at);
  rd_kafka_topic_partition_list_t *committed = instance->forward.committed;
  if (own != NULL && own->floor != UK_KAFKA_FLOOR_UNKNOWN)
    return own->floor;
  const rd_kafka_topic_partition_t *read =
    committed != NULL ? rd_kafka_topic_partition_list_find(committed, at->topic, at->partition)
                      : NULL;
  if (read == NULL)
    return UK_KAFKA_FLOOR_UNKNOWN;
  return read->offset >= 0 ? read->offset : UK_KAFKA_FLOOR_NOTHING;
}

static bool are_floors_known(const struct uk_kafka_instance *instance,
                             const rd_kafka_topic_partition_list_t *list)
{
  bool known = true;
  for (int i = 0; i < list->cnt && known; i++)
    known = floor_of(instance, &list->elems[i]) != UK_KAFKA_FLOOR_UNKNOWN;
  return known;
}

/* The offsets could not be read. False: the request failed. */
static bool survive(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                    rd_kafka_resp_err_t code, int64_t now)
{
  char what[UK_GROUP_NAME_MAX + 16];
  enum uk_error error = uk_kafka_error(code);
  if (error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT) {
    (void)pause(instance, now);
    return true;
  }
  snprintf(what, sizeof what, "group \"%s\"", instance->member.group.data);
  uk_kafka_fail(request->operation, code, what);
  uk_kafka_requests_remove(request);
  uk_kafka_request_done(request);
  return false;
}

/* False: they are not known yet. */
static bool learn_floors(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                         const rd_kafka_topic_partition_list_t *list, int64_t now)
{
  struct uk_kafka_forward *forward = &instance->forward;
  struct uk_kafka_handed_over read;
  if (are_floors_known(instance, list))
    return true;
  if (forward->reading == NULL)
    return uk_kafka_handover_ask(&instance->member, &forward->reading, list, NULL, now)
             ? false
             : pause(instance, now);
  if (!uk_kafka_handover_take(&forward->reading, &read))
    return false;
  destroy(&forward->committed);
  if (read.code == RD_KAFKA_RESP_ERR_NO_ERROR)
    forward->committed = read.committed;
  else
    rd_kafka_topic_partition_list_destroy(read.committed);
  if (read.code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return are_floors_known(instance, list) ? true : pause(instance, now);
  (void)survive(instance, request, read.code, now);
  return false;
}

static void drop_committed(const struct uk_kafka_instance *instance,
                           rd_kafka_topic_partition_list_t *list)
{
  for (int i = list->cnt - 1; i >= 0; i--) {
    if (list->elems[i].offset <= floor_of(instance, &list->elems[i]))
      rd_kafka_topic_partition_list_del_by_idx(list, i);
  }
}

/* Sending. */

/* True: the list is what the request commits. */
static bool prepare(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                    rd_kafka_topic_partition_list_t *list, int64_t now)
{
  if (has_foreign(instance, list) && !learn_holders(instance, now))
    return false;
  if (is_coming(instance, list))
    return pause(instance, now);
  skip_others(instance, request, list);
  if (!learn_floors(instance, request, list, now))
    return false;
  drop_committed(instance, list);
  return true;
}

/* False: the request waits. */
static bool send_due(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                     int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (now < member->committing.again_at)
    return false;
  if (!request->asked)
    uk_kafka_instance_forward_forget(instance);
  request->asked = true;
  rd_kafka_topic_partition_list_t *list = make_list(instance, request);
  if (!prepare(instance, request, list, now)) {
    rd_kafka_topic_partition_list_destroy(list);
    return false;
  }
  uk_kafka_instance_forward_forget(instance);
  uk_kafka_requests_remove(request);
  if (!uk_kafka_commits_send_list(member, list, request))
    pass(instance, request);
  return true;
}

/* A request that waits for a response does not hold up others. */
static struct uk_kafka_request *first_ready(const struct uk_list *commits)
{
  struct uk_kafka_request *request = uk_kafka_requests_first(commits);
  while (request != NULL && request->held && !request->due)
    request = uk_kafka_requests_next(commits, request);
  return request;
}

void uk_kafka_instance_forward_send(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_request *request;
  bool goes_on = true;
  while (goes_on && uk_kafka_commits_are_idle(member) &&
         (request = first_ready(&member->commits)) != NULL) {
    if (request->due) {
      goes_on = send_due(instance, request, now);
    } else {
      uk_kafka_requests_remove(request);
      uk_kafka_commits_send(member, request);
    }
  }
}

/* Answers. */

/* What the client has finished is not delivered again. An instance that has read nothing of the
 * partition starts there. */
static void cover(struct uk_kafka_instance *instance, const rd_kafka_topic_partition_t *at)
{
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&instance->member.partitions, at->topic, at->partition);
  if (partition == NULL || uk_kafka_assigned_partition_is_new(partition))
    return;
  struct uk_progress *progress = &partition->progress;
  uk_progress_cover(progress, at->offset, true);
  bool unread = !uk_progress_is_known(progress) || !progress->committable;
  if (partition->assigned && unread && progress->position < at->offset) {
    uk_kafka_assigned_partition_start(partition, at->offset);
    uk_kafka_assigned_partition_seek(partition, instance->member.handle);
  } else if (uk_progress_is_known(progress)) {
    uk_progress_forward(progress, at->offset);
  }
}

static void finish(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                   const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++)
    cover(instance, &list->elems[i]);
  uk_kafka_delivery_drop_moved(&instance->member, &instance->delivery);
  pass(instance, request);
}

/* A member of an earlier generation, a coordinator that moved: the commit is made again. If it is
 * not known whether it was made, it does no harm twice. */
static bool may_retry(rd_kafka_resp_err_t code)
{
  enum uk_error error = uk_kafka_error(code);
  return error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT;
}

bool uk_kafka_instance_forward_answered(struct uk_kafka_instance *instance, rd_kafka_event_t *event,
                                        int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_request *request = rd_kafka_event_opaque(event);
  if (request == NULL || !request->due || request->operation == NULL)
    return uk_kafka_commits_answered(member, event);
  struct uk_kafka_commit_outcome outcome = uk_kafka_commits_note(member, event);
  if (outcome.lost)
    return uk_kafka_commits_answered(member, event);
  uk_kafka_requests_remove(request);
  if (outcome.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    finish(instance, request, rd_kafka_event_topic_partition_list(event));
    return true;
  }
  request->uncertain =
    request->uncertain || uk_kafka_error_of_change(outcome.code) == UK_E_GATEWAY_TIMEOUT;
  request->sent = request->uncertain;
  if (may_retry(outcome.code)) {
    uk_kafka_requests_add_first(&member->commits, request);
    (void)pause(instance, now);
  } else {
    uk_kafka_commits_answer(member, request, &outcome);
  }
  return true;
}
