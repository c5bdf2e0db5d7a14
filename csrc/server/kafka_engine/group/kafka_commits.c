#include "server/kafka_engine/group/kafka_commits.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/group/kafka_position_metadata.h"

bool uk_kafka_commits_are_idle(const struct uk_kafka_group_member *member)
{
  return member->committing.own == 0 && uk_list_is_empty(&member->committing.under_way);
}

/* Of the record before an offset: from the partition, or from the outstanding batch. */
static struct uk_record_mark mark_at(const struct uk_kafka_group_member *member,
                                     const struct uk_kafka_assigned_partition *partition,
                                     int64_t offset)
{
  struct uk_record_mark mark = uk_kafka_assigned_partition_mark_at(partition, offset);
  if (!mark.known && member->batch != NULL)
    mark = uk_kafka_batch_mark(member->batch, partition->topic.text, partition->number, offset - 1);
  return mark;
}

/* `position`: how far the client may be, at least the offset. */
static void add_metadata(const struct uk_kafka_group_member *member,
                         const struct uk_kafka_assigned_partition *partition, int64_t position,
                         rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_position_metadata metadata = {.position = position,
                                                      .mark = mark_at(member, partition, position),
                                                      .committed =
                                                        mark_at(member, partition, at->offset)};
  uk_kafka_position_metadata_write(at, &metadata);
}

/* `flying`: with the position of records in flight. */
static void add_delivered(const struct uk_kafka_group_member *member,
                          struct uk_kafka_assigned_partition *partition, bool flying,
                          rd_kafka_topic_partition_list_t *list)
{
  rd_kafka_topic_partition_t *at =
    rd_kafka_topic_partition_list_add(list, partition->topic.text, partition->number);
  at->offset = uk_progress_commit(&partition->progress);
  add_metadata(member, partition, flying ? partition->progress.position : at->offset, at);
}

/* Destroys the list. `request` is NULL for a commit that no request asked for. */
static void send_commit(struct uk_kafka_group_member *member, rd_kafka_topic_partition_list_t *list,
                        struct uk_kafka_request *request)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (list->cnt > 0)
    code = rd_kafka_commit_queue(member->handle, list, member->control, NULL, request);
  bool sent = list->cnt > 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_topic_partition_list_destroy(list);
  if (request == NULL) {
    member->committing.own += sent;
  } else if (sent) {
    request->sent = true;
    uk_kafka_requests_add(&member->committing.under_way, request);
  } else {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      uk_kafka_fail(request->operation, code, "commit");
    uk_kafka_request_done(request);
  }
}

/* Without a request. */

void uk_kafka_commits_send_delivered(struct uk_kafka_group_member *member)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < member->partitions.count; i++) {
    if (uk_kafka_assigned_partition_is_dirty(&member->partitions.all[i]))
      add_delivered(member, &member->partitions.all[i], false, list);
  }
  send_commit(member, list, NULL);
}

bool uk_kafka_commits_send_metadata(struct uk_kafka_group_member *member)
{
  if (!uk_kafka_commits_are_idle(member))
    return false;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < member->partitions.count; i++) {
    struct uk_kafka_assigned_partition *partition = &member->partitions.all[i];
    if (partition->assigned && uk_progress_continues(&partition->progress) &&
        uk_progress_in_flight(&partition->progress))
      add_delivered(member, partition, true, list);
  }
  send_commit(member, list, NULL);
  return true;
}

int64_t uk_kafka_commits_next(const struct uk_kafka_group_member *member)
{
  bool due = member->settings.auto_commit && uk_kafka_commits_are_idle(member) &&
             uk_kafka_assigned_partitions_are_dirty(&member->partitions);
  return due ? member->committing.next : INT64_MAX;
}

void uk_kafka_commits_auto(struct uk_kafka_group_member *member, int64_t now)
{
  if (now < uk_kafka_commits_next(member))
    return;
  uk_kafka_commits_send_delivered(member);
  member->committing.next = now + member->settings.auto_commit_interval;
}

/* For a request. */

/* If a partition is named twice, its last offset counts. */
static void add_given(struct uk_kafka_group_member *member,
                      const struct uk_topic_partition_offset *given,
                      rd_kafka_topic_partition_list_t *list)
{
  struct uk_kafka_name name = uk_kafka_name(given->topic);
  rd_kafka_topic_partition_t *at =
    rd_kafka_topic_partition_list_find(list, name.text, given->partition);
  if (at == NULL)
    at = rd_kafka_topic_partition_list_add(list, name.text, given->partition);
  at->offset = given->offset;
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&member->partitions, name.text, given->partition);
  if (partition == NULL)
    return;
  add_metadata(member, partition, at->offset, at);
  if (uk_progress_is_known(&partition->progress))
    uk_progress_override(&partition->progress, given->offset);
  else
    partition->progress.overridden = true;
}

/* Without a name, everything delivered, except what the list has. */
static void add_named(struct uk_kafka_group_member *member, const struct uk_commit *commit,
                      rd_kafka_topic_partition_list_t *list)
{
  for (size_t i = 0; i < commit->count; i++)
    add_given(member, &commit->offsets[i], list);
  const bool all = commit->count == 0 && !commit->nothing;
  for (size_t i = 0; all && i < member->partitions.count; i++) {
    struct uk_kafka_assigned_partition *partition = &member->partitions.all[i];
    if (partition->assigned && partition->progress.committable &&
        rd_kafka_topic_partition_list_find(list, partition->topic.text, partition->number) == NULL)
      add_delivered(member, partition, false, list);
  }
}

void uk_kafka_commits_send(struct uk_kafka_group_member *member, struct uk_kafka_request *request)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  add_named(member, (const struct uk_commit *)request->operation, list);
  send_commit(member, list, request);
}

bool uk_kafka_commits_send_list(struct uk_kafka_group_member *member,
                                rd_kafka_topic_partition_list_t *list,
                                struct uk_kafka_request *request)
{
  if (request->kind == UK_KAFKA_COMMIT)
    add_named(member, (const struct uk_commit *)request->operation, list);
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &list->elems[i];
    const struct uk_kafka_assigned_partition *partition =
      uk_kafka_assigned_partition_find(&member->partitions, at->topic, at->partition);
    if (partition != NULL && at->metadata == NULL)
      add_metadata(member, partition, at->offset, at);
  }
  if (list->cnt == 0) {
    rd_kafka_topic_partition_list_destroy(list);
    return false;
  }
  send_commit(member, list, request);
  return true;
}

void uk_kafka_commits_send_next(struct uk_kafka_group_member *member)
{
  struct uk_kafka_request *request;
  while (uk_kafka_commits_are_idle(member) &&
         (request = uk_kafka_requests_first(&member->commits)) != NULL && !request->held) {
    uk_kafka_requests_remove(request);
    uk_kafka_commits_send(member, request);
  }
}

/* Answers. */

/* NULL: none failed, or the whole commit did. */
static const rd_kafka_topic_partition_t *first_failed(const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; list != NULL && i < list->cnt; i++) {
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return &list->elems[i];
  }
  return NULL;
}

/* True: nothing more is to be delivered below what this commit names. */
static bool covers(const struct uk_kafka_request *request)
{
  return request != NULL && request->operation != NULL && request->kind == UK_KAFKA_COMMIT &&
         ((const struct uk_commit *)request->operation)->count > 0;
}

/* If it failed, the next auto-commit tries again. */
static void note(struct uk_kafka_group_member *member, const rd_kafka_topic_partition_t *at,
                 bool good, bool covers)
{
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&member->partitions, at->topic, at->partition);
  if (partition == NULL)
    return;
  bool is_new = uk_kafka_assigned_partition_is_new(partition);
  partition->floor = !good ? UK_KAFKA_FLOOR_UNKNOWN : is_new ? UK_KAFKA_FLOOR_NOTHING : at->offset;
  if (!good)
    uk_progress_refused(&partition->progress);
  else if (covers)
    uk_progress_cover(&partition->progress, at->offset, false);
}

struct uk_kafka_commit_outcome uk_kafka_commits_note(struct uk_kafka_group_member *member,
                                                     rd_kafka_event_t *event)
{
  const struct uk_kafka_request *request = rd_kafka_event_opaque(event);
  const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  struct uk_kafka_commit_outcome outcome = {.code = rd_kafka_event_error(event),
                                            .failed = first_failed(list)};
  if (outcome.code == RD_KAFKA_RESP_ERR_NO_ERROR && outcome.failed != NULL)
    outcome.code = outcome.failed->err;
  for (int i = 0; list != NULL && i < list->cnt; i++)
    note(member, &list->elems[i], outcome.code == RD_KAFKA_RESP_ERR_NO_ERROR, covers(request));
  outcome.lost =
    member->leaving.until == 0 && (outcome.code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ||
                                   outcome.code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
  return outcome;
}

void uk_kafka_commits_answer(struct uk_kafka_group_member *member, struct uk_kafka_request *request,
                             const struct uk_kafka_commit_outcome *outcome)
{
  const rd_kafka_topic_partition_t *failed = outcome->failed;
  char what[UK_KAFKA_PLACE_SIZE + UK_GROUP_NAME_MAX];
  if (failed != NULL)
    (void)uk_kafka_place(what, sizeof what, uk_slice_text(failed->topic), failed->partition);
  else
    snprintf(what, sizeof what, "group \"%s\"", member->group.data);
  if (outcome->code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail_change(request->operation, outcome->code, NULL, what);
  uk_kafka_request_done(request);
}

static void end_request(struct uk_kafka_group_member *member, struct uk_kafka_request *request,
                        const struct uk_kafka_commit_outcome *outcome)
{
  uk_kafka_requests_remove(request);
  if (request->operation == NULL)
    free(request);
  else if (outcome->lost)
    uk_kafka_requests_add(&member->commits, request);
  else
    uk_kafka_commits_answer(member, request, outcome);
}

bool uk_kafka_commits_answered(struct uk_kafka_group_member *member, rd_kafka_event_t *event)
{
  struct uk_kafka_request *request = rd_kafka_event_opaque(event);
  const struct uk_kafka_commit_outcome outcome = uk_kafka_commits_note(member, event);
  if (request != NULL)
    end_request(member, request, &outcome);
  else if (member->committing.own > 0)
    member->committing.own--;
  return !outcome.lost;
}

/* Without an answer. */

void uk_kafka_commits_expire(struct uk_kafka_group_member *member, bool all, int64_t now)
{
  const struct uk_list *requests = &member->committing.under_way;
  for (struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request)) {
    struct uk_operation *operation = request->operation;
    if (operation == NULL || !(all || uk_kafka_request_deadline(request) <= now))
      continue;
    request->operation = NULL;
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "commit: the group's coordinator did not answer in time; it " UK_MAY_BE_DONE);
    operation->done(operation);
  }
}

void uk_kafka_commits_abandon(struct uk_kafka_group_member *member, bool lost)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(&member->committing.under_way)) != NULL) {
    if (request->operation == NULL)
      free(request);
    else if (lost)
      uk_kafka_requests_add(&member->commits, request);
    else
      uk_kafka_request_fail(request, UK_E_UNAVAILABLE,
                            "commit: the instance was closed before its group answered");
  }
}
