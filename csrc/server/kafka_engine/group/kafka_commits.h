/* kafka_commits: a member's commits, for requests and by auto-commit.
 *
 * At most one commit is under way: after an outage librdkafka may resend a commit after a later
 * one. */
#ifndef UK_KAFKA_COMMITS_H
#define UK_KAFKA_COMMITS_H

#include "server/kafka_engine/group/kafka_group_private.h"

bool uk_kafka_commits_are_idle(const struct uk_kafka_group_member *member);

/* Sends the commits of requests that wait, one after another: when the group answers, the next one
 * follows. A commit without offsets commits all that was delivered. */
void uk_kafka_commits_send_next(struct uk_kafka_group_member *member);

/* Sends the commit of a request, which is in no queue. Precondition: the commits are idle. */
void uk_kafka_commits_send(struct uk_kafka_group_member *member, struct uk_kafka_request *request);

/* The same for a request that is due, with the offsets that it moves forward, and destroys the
 * list. Offsets that a commit names come on top, and are committed as given. False: there is
 * nothing to commit. */
bool uk_kafka_commits_send_list(struct uk_kafka_group_member *member,
                                rd_kafka_topic_partition_list_t *list,
                                struct uk_kafka_request *request);

/* Commits what was delivered and not committed. */
void uk_kafka_commits_send_delivered(struct uk_kafka_group_member *member);

/* The same with the metadata of the position, for records in flight. False: a commit is under way;
 * call it again. */
bool uk_kafka_commits_send_metadata(struct uk_kafka_group_member *member);

/* When auto-commit is due; INT64_MAX: it has nothing to commit, or a commit is under way. */
int64_t uk_kafka_commits_next(const struct uk_kafka_group_member *member);
void uk_kafka_commits_auto(struct uk_kafka_group_member *member, int64_t now);

/* What the group's answer says, for the caller to use; what it says of partitions is noted. */
struct uk_kafka_commit_outcome {
  rd_kafka_resp_err_t code;
  const rd_kafka_topic_partition_t *failed; /* NULL: none, or the whole commit */
  bool lost;                                /* another server has the instance */
};
struct uk_kafka_commit_outcome uk_kafka_commits_note(struct uk_kafka_group_member *member,
                                                     rd_kafka_event_t *event);

/* Ends a request, which is in no queue, with what the group said. */
void uk_kafka_commits_answer(struct uk_kafka_group_member *member, struct uk_kafka_request *request,
                             const struct uk_kafka_commit_outcome *outcome);

/* Takes the group's answer. False: another server has the instance; the request then waits again. A
 * member that leaves cannot lose the instance. */
bool uk_kafka_commits_answered(struct uk_kafka_group_member *member, rd_kafka_event_t *event);

/* Answers the requests whose deadline has come, or all of them. The group may still carry them
 * out. */
void uk_kafka_commits_expire(struct uk_kafka_group_member *member, bool all, int64_t now);

/* The group will not answer any more. If `lost`, another server has the instance and the requests
 * wait again; otherwise they fail. */
void uk_kafka_commits_abandon(struct uk_kafka_group_member *member, bool lost);

#endif
