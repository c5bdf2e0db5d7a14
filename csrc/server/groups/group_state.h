/* group_state: what groups knows, in one place.
 *
 *   uk_groups ── uk_group ── uk_group_instance ── uk_group_request        a request that waits or is served
 *       │            └────── uk_group_assignment ───── uk_group_slot        a partition, as the group stands to it
 *       └─────── uk_group_topic ──┘ (one assignment for each group that reads the topic)
 *
 * One lock guards it all. It is held for bookkeeping only: records are read, commits handed to the log and `done`
 * called without it (group_deferred.h). Functions expect it held unless they say otherwise. */
#ifndef UK_GROUP_STATE_H
#define UK_GROUP_STATE_H

#include <pthread.h>

#include "server/engine/name_table.h"
#include "server/engine/timer.h"
#include "server/groups/groups.h"

enum {
  UK_GROUP_INSTANCES_MAX = 100000, /* in all groups */
  UK_GROUP_RETRY =
    1000 /* milliseconds until what failed for want of memory or disk is tried again */
};

#define UK_GROUP_UNKNOWN INT64_C(-1) /* an offset that is to be looked up */

/* A topic that some group reads. Freed with its last assignment. */
struct uk_group_topic {
  struct uk_name_node node;
  uint64_t id;
  int32_t partitions; /* 0: there is no such topic now */
  struct uk_group_assignment *assignments;
  char name[];
};

/* One partition of a assignment.
 *
 *   delivered <= position: what lies between is in the hands of the owner's client. It stays with the owner, and is
 *   what a delivery that failed is made of again, until the owner's next request says that it delivered. */
struct uk_group_partition {
  struct uk_group_assignment *assignment;
  struct uk_group_instance *owner; /* who reads it, NULL = nobody */
  struct uk_group_instance
    *target; /* who is to read it; differs from the owner until that one lets go */
  struct uk_group_partition *next, *previous; /* the owner's ring */
  int64_t
    position; /* the next offset to deliver, or UK_GROUP_UNKNOWN, and then delivered is, too */
  int64_t delivered;
  int64_t
    committed; /* the last value of `delivered` that was sent to the log, or that an explicit commit stands for */
  int64_t latest; /* the end when the owner got it: where `latest` starts */
  uint64_t
    barrier; /* position unknown: commits up to this number must be done before it is looked up */
  bool
    committable; /* the position says more than a look-up would find: records were read, or `latest` picked it */
  bool
    overridden; /* the last commit was an explicit one to another offset: that one is where to go on from */
};

/* A topic, as one group reads it. Freed by uk_group_rebalance when nobody subscribes and nobody owns. */
struct uk_group_assignment {
  struct uk_group *group;
  struct uk_group_topic *topic;
  struct uk_group_assignment *topic_next, *topic_previous; /* topic->assignments */
  struct uk_group_assignment *group_next, *group_previous; /* group->assignments */
  struct uk_group_assignment *dirty_next;
  bool dirty;                         /* listed for uk_group_rebalance */
  struct uk_group_instance **members; /* subscribers, sorted by name */
  size_t member_count, member_room;
  struct uk_group_partition *partitions;
  int32_t count; /* partitions; less than topic->partitions only while memory is out */
  size_t owned;  /* partitions with an owner */
};

/* A consume in hand. */
struct uk_group_request {
  struct uk_timer timer; /* its deadline, while it waits */
  struct uk_group_instance *instance;
  struct uk_consume *operation;
  struct uk_group_request *next, *previous; /* the instance's queue */
  bool asked;                               /* sink.is_client_alive was asked */
};

enum uk_group_activity {
  UK_GROUP_IDLE,   /* no request */
  UK_GROUP_PARKED, /* the first request waits for records */
  UK_GROUP_READING /* the first request is in the hands of a thread: the instance may not be freed, nor lose a partition */
};

struct uk_group_instance {
  struct uk_name_node node;
  struct uk_group *group;
  struct uk_timer timer; /* expiry or auto-commit, whichever comes first */
  struct uk_consumer_settings settings;
  struct uk_group_assignment *
    *assignments; /* the subscription, in the order of the last request that changed it */
  size_t assignment_count;
  struct uk_group_partition *cursor; /* the ring of its partitions, at the one to be read next */
  size_t owned;                      /* partitions in the ring */
  size_t leaving;                    /* of these with another target */
  struct uk_group_request *first, *last;
  enum uk_group_activity activity;
  struct uk_group_instance *reading_next;
  struct uk_operation *deletes; /* that came while it was READING */
  uint64_t delivery;            /* number of the last */
  uint64_t acknowledged;        /* deliveries up to this one delivered, or were taken back */
  int64_t last_request;
  int64_t next_commit; /* when an auto-commit may come */
  unsigned committing; /* auto-commits in flight */
  bool dirty;          /* an auto-commit may find something */
  bool fresh;          /* no request was answered yet: an error closes it again */
  char name[];
};

struct uk_group {
  struct uk_name_node node;
  struct uk_name_table instances;
  struct uk_group_assignment *assignments;
  struct uk_group_commit *commits, *last_commit; /* not yet done, in order */
  uint64_t sequence;                             /* number of the last commit */
  bool blocked;                                  /* a partition waits for commits to be done */
  char name[];
};

struct uk_groups {
  pthread_mutex_t lock;
  struct uk_groups_log log;
  int64_t now; /* the latest that anybody said */
  bool draining;
  size_t instance_count;
  struct uk_name_table groups, topics;
  struct uk_timers timers;
  struct uk_group_assignment *dirty; /* to be assigned anew */
  /* To be done without the lock by the thread that put it there. */
  struct uk_group_instance *reading, *last_reading;
  struct uk_operation *finished, *last_finished;
  /* To be handed to the log, one after another, whoever put it there. */
  struct uk_group_commit *outbox, *last_outbox;
  bool submitting; /* a thread is at it */
};

/* printf of a slice: "%.*s", UK_GROUP_TEXT(slice) */
#define UK_GROUP_TEXT(slice) (int)(slice).length, (slice).data == NULL ? "" : (slice).data

static inline bool uk_group_partition_leaving(const struct uk_group_partition *partition)
{
  return partition->owner != NULL && partition->owner != partition->target;
}

static inline bool uk_group_partition_in_flight(const struct uk_group_partition *partition)
{
  return partition->position != partition->delivered;
}

/* Whether an auto-commit has something to say about it. */
static inline bool uk_group_partition_dirty(const struct uk_group_partition *partition)
{
  return partition->committable && partition->delivered != partition->committed;
}

static inline int32_t uk_group_partition_number(const struct uk_group_partition *partition)
{
  return (int32_t)(partition - partition->assignment->partitions);
}

#endif
