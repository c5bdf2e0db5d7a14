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

/* Commits what was delivered and not committed. */
void uk_kafka_commits_send_delivered(struct uk_kafka_group_member *member);

/* The same with the metadata of the position, for records in flight. False: a commit is under way;
 * call it again. */
bool uk_kafka_commits_send_metadata(struct uk_kafka_group_member *member);

/* When auto-commit is due; INT64_MAX: it has nothing to commit, or a commit is under way. */
int64_t uk_kafka_commits_next(const struct uk_kafka_group_member *member);
void uk_kafka_commits_auto(struct uk_kafka_group_member *member, int64_t now);

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
