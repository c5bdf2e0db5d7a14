/* kafka_instance: one live instance of a group. For kafka_groups and kafka_instance*.c. */
#ifndef UK_KAFKA_INSTANCE_H
#define UK_KAFKA_INSTANCE_H

#include <pthread.h>

#include "server/kafka_consumer.h"
#include "server/kafka_groups.h"
#include "server/kafka_record.h"
#include "server/name_table.h"

enum uk_kafka_turn_kind { UK_KAFKA_CONSUME, UK_KAFKA_COMMIT, UK_KAFKA_DELETE };

/* A request in hand. */
struct uk_kafka_turn {
  struct uk_kafka_check check;
  enum uk_kafka_turn_kind kind;
  struct uk_operation *operation;
  struct uk_kafka_groups *groups;
  struct uk_kafka_turn *next;
  bool asked; /* sink.wanted was asked */
};

/* A partition that is, or was until the last rebalance, the instance's. arrived <= position: what lies between is in the
 * hands of its client. */
struct uk_kafka_slot {
  struct uk_kafka_name topic;
  int32_t partition;
  bool assigned, overridden; /* overridden: an explicit commit says where to go on */
  bool ended;                /* there was nothing behind `position` when the cluster last said something */
  int64_t position, arrived; /* -1: not known yet */
  int64_t saved;             /* the last that was committed for it, -1 = none */
};

struct uk_kafka_instance {
  struct uk_name_node node; /* "GROUP" NUL "INSTANCE" */
  struct uk_kafka_task task;
  struct uk_kafka_groups *groups;
  struct uk_slice group, name;
  struct uk_consumer_settings settings;
  /* Under the mutex of the groups. */
  struct uk_kafka_turn *inbox, *inbox_last;
  uint64_t undelivered;         /* a delivery to be made again, 0 = none */
  struct uk_kafka_slot *listed; /* what /consumers says */
  size_t listed_count;
  struct uk_kafka_name *topics; /* the subscription */
  size_t topic_count;
  bool gone; /* no longer in the table */
  /* The task's. */
  rd_kafka_t *handle;
  rd_kafka_queue_t *control, *records;
  struct uk_kafka_slot *slots;
  size_t slot_count;
  struct uk_kafka_turn *turns, *turns_last; /* consumes that wait */
  struct uk_kafka_turn *deletes;
  struct uk_kafka_event held; /* a record that the last delivery had no room for */
  struct uk_kafka_record record;
  uint64_t delivery, acknowledged;
  int64_t last_request, next_commit, leaves_until; /* leaves_until: 0 = not leaving */
  int64_t asked_since; /* requests wait without a break, for what has not come, since then */
  enum { UK_KAFKA_STAYS, UK_KAFKA_UNSUBSCRIBED, UK_KAFKA_CLOSES } leaving; /* how far it is */
  bool fresh, subscribed;
  struct uk_kafka_turn *committing; /* explicit commits under way */
  char bytes[];
};

struct uk_kafka_groups {
  struct uk_kafka_groups_parts parts;
  pthread_mutex_t mutex;
  pthread_cond_t empty;
  struct uk_name_table table;
  size_t count; /* instances, those that are ending too */
  bool draining, closing;
};

void uk_kafka_instance_run(struct uk_kafka_task *task, int64_t now);
void uk_kafka_instance_free(struct uk_kafka_task *task);

/* Ends the turn with the outcome that its operation has. */
void uk_kafka_turn_done(struct uk_kafka_turn *turn);

/* Ends a consume whose time is over without a record: with none, or saying what is out of order, if anything is. */
void uk_kafka_instance_end_empty(const struct uk_kafka_instance *instance,
                                 struct uk_kafka_turn *turn, int64_t now);

/* Commits what arrived (explicit: all that was read); `turn` is ended by it, NULL for an auto-commit. */
void uk_kafka_instance_commit(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn);
/* Whether an auto-commit has something to say. */
bool uk_kafka_instance_dirty(const struct uk_kafka_instance *instance);
void uk_kafka_instance_commit_arrived(struct uk_kafka_instance *instance);

/* Serves a rebalance. */
void uk_kafka_instance_rebalance(struct uk_kafka_instance *instance, rd_kafka_event_t *event);
struct uk_kafka_slot *uk_kafka_instance_slot(struct uk_kafka_instance *instance, const char *topic,
                                             int32_t partition);

#endif
