/* kafka_group_member: the life that an instance and a takeover have in common: requests arrive and
 * expire, the handle opens, the member leaves its group, the server stops, and the task ends. */
#ifndef UK_KAFKA_GROUP_MEMBER_H
#define UK_KAFKA_GROUP_MEMBER_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Fills a zeroed member. `run` and `ended` are those of its task; `ended` frees it, and posts the
 * requests in `left`. */
void uk_kafka_group_member_init(struct uk_kafka_group_member *member,
                                struct uk_kafka_groups *groups, struct uk_slice group,
                                struct uk_slice name, const struct uk_consumer_settings *settings,
                                void (*run)(struct uk_kafka_task *task, int64_t now),
                                void (*ended)(struct uk_kafka_task *task));
void uk_kafka_group_member_free(struct uk_kafka_group_member *member);

/* Opens the handle. False, with a text: librdkafka refuses, or memory is out. */
bool uk_kafka_group_member_open(struct uk_kafka_group_member *member, char *text, size_t size);

/* Moves the requests that have arrived to `arrived`. Precondition: the mutex of the groups is not
 * held. */
void uk_kafka_group_member_take_inbox(struct uk_kafka_group_member *member,
                                      struct uk_list *arrived);

/* Why consumes get a little more time than their timeout. */
enum uk_kafka_grace {
  UK_KAFKA_NO_GRACE,
  UK_KAFKA_GRACE_FOR_LEASE, /* records wait only for the coordinator's confirmation */
  UK_KAFKA_GRACE_FOR_START  /* no broker has said yet whether there are records */
};

/* Ends the requests whose deadline has come; all of them when the server drains, or has waited long
 * enough to stop. True: a consume has ended. */
bool uk_kafka_group_member_expire(struct uk_kafka_group_member *member, enum uk_kafka_grace grace,
                                  int64_t now);

/* Keeps heartbeats at their interval. */
void uk_kafka_group_member_beat(struct uk_kafka_group_member *member, int64_t now);

/* When the task has to run next. */
int64_t uk_kafka_group_member_next_run(const struct uk_kafka_group_member *member,
                                       enum uk_kafka_grace grace, int64_t now);

/* Begins to leave the group. What was delivered is committed first. */
void uk_kafka_group_member_leave(struct uk_kafka_group_member *member, int64_t now);
/* Continues leaving. True: it is over, deletions are answered, and the member has to end. */
bool uk_kafka_group_member_leave_on(struct uk_kafka_group_member *member, int64_t now);

/* Checks whether the server drains or closes. When it closes, commits what was delivered once
 * more. */
void uk_kafka_group_member_stop(struct uk_kafka_group_member *member, int64_t now);
/* True: the server closes, and the commits are answered or late, so the member has to end. It stays
 * in its group: another server, or this one after its restart, takes it over. */
bool uk_kafka_group_member_has_stopped(const struct uk_kafka_group_member *member, int64_t now);

/* Fails all requests, also those that arrive until the member is out of the table. */
void uk_kafka_group_member_fail(struct uk_kafka_group_member *member, enum uk_error error,
                                const char *text);

/* Ends the task. `lost`: another server has the instance. Requests that wait go to `left`. A
 * consume that arrived while this server had the instance ends without records instead: its client
 * has consumed elsewhere since. */
void uk_kafka_group_member_end(struct uk_kafka_group_member *member, bool lost, int64_t now);

#endif
