/* kafka_commits: what an instance tells its group to remember: by request, and by itself. */
#ifndef UK_KAFKA_COMMITS_H
#define UK_KAFKA_COMMITS_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Commits what the first request says that waits for it, or all that was delivered, unless a commit is under way. The answer of
 * the group, or its absence, ends the request, and the next one may follow. */
void uk_kafka_instance_commit_next(struct uk_kafka_instance *instance);
/* Whether something was delivered that was not committed. */
bool uk_kafka_instance_dirty(const struct uk_kafka_instance *instance);
/* Commits it. */
void uk_kafka_instance_commit_delivered(struct uk_kafka_instance *instance);
/* Commits it with a note of how far the client is, where that is due and no commit is under way. */
void uk_kafka_instance_commit_metadata(struct uk_kafka_instance *instance);
/* When the settings want it next; INT64_MAX while there is nothing to commit, or a commit is under way. */
int64_t uk_kafka_instance_next_commit(const struct uk_kafka_instance *instance);
/* Commits it where that time has come. */
void uk_kafka_instance_auto_commit(struct uk_kafka_instance *instance, int64_t now);
/* What the group answered. Says so where the instance is lost to another server. */
void uk_kafka_instance_committed(struct uk_kafka_instance *instance, rd_kafka_event_t *event);
/* The group will not answer any more: ends the requests that wait for it. Of an instance that is lost, they wait for the
 * server that has it now. */
void uk_kafka_instance_abandon_commits(struct uk_kafka_instance *instance);

#endif
