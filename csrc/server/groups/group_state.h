/* group_state: what groups knows, in one place.
 *
 *   uk_groups ── uk_group ── uk_group_instance ──── uk_group_request    a pending consume
 *       │            │               └───────────── uk_group_held       a commit, a deletion
 *       │            └────── uk_group_assignment ── uk_group_partition  one of its partitions
 *       └─────── uk_group_topic ──┘  (one assignment for each group that reads the topic)
 *
 * One lock guards everything. It is held for bookkeeping alone: records are read, commits are
 * handed to the log, and `done` is called without it (group_deferred.h). Functions expect the
 * caller to hold the lock unless they say otherwise. */
#ifndef UK_GROUP_STATE_H
#define UK_GROUP_STATE_H

#include <pthread.h>

#include "common/list.h"
#include "server/engine/deliveries.h"
#include "server/engine/name_table.h"
#include "server/engine/progress.h"
#include "server/engine/timer.h"
#include "server/groups/groups.h"

enum {
  UK_GROUP_INSTANCES_MAX = 100000, /* in all groups */
  UK_GROUP_RETRY = 1000,           /* milliseconds before a commit that failed is tried again */
  UK_GROUP_BATCH_MAX = 128 /* partitions in one batch; the others come first in the next one */
};

/* A topic that at least one group reads. Freed with its last assignment. */
struct uk_group_topic {
  struct uk_name_node node;
  uint64_t id;
  int32_t partitions;         /* 0: the topic does not exist now */
  struct uk_list assignments; /* uk_group_assignment.in_topic */
  char name[];
};

/* One partition of an assignment. What is in flight belongs to the owner's outstanding batch, and
 * stays with the owner until that is acknowledged or ends. */
struct uk_group_partition {
  struct uk_group_assignment *assignment;
  struct uk_group_instance *owner;  /* the instance that reads it; NULL = none */
  struct uk_group_instance *target; /* the instance that gets it once the owner releases it */
  struct uk_group_partition *next, *previous; /* the owner's ring */
  struct uk_progress progress;
  size_t place;     /* in the batch, while it has records in flight; below UK_GROUP_BATCH_MAX */
  int64_t latest;   /* the end when the owner got it: where `latest` starts */
  uint64_t barrier; /* position unknown: look it up once commits up to this number are done */
  bool renewed;     /* the topic is another one, and its owner acknowledged none of it yet */
};

/* A topic, as one group reads it. uk_group_rebalance frees it when it has neither subscribers nor
 * owners, and no thread reads it. */
struct uk_group_assignment {
  struct uk_group *group;
  struct uk_group_topic *topic;
  struct uk_link in_topic, in_group;
  struct uk_link to_rebalance;        /* uk_groups.to_rebalance */
  struct uk_group_instance **members; /* subscribers, sorted by name */
  size_t member_count, member_room;
  struct uk_group_partition *partitions;
  int32_t count; /* of partitions; below topic->partitions only while memory is out */
  bool renewed;  /* the topic is another one than the group has read */
  size_t owned;  /* partitions with an owner */
  size_t reads;  /* of its partitions, under way without the lock: it and its topic stay */
};

/* A pending request: a consume. */
struct uk_group_request {
  struct uk_timer timer; /* its deadline, while it waits */
  struct uk_group_instance *instance;
  struct uk_consume *operation;
  struct uk_link link; /* uk_group_instance.requests */
  bool asked;          /* sink.is_client_alive was asked */
  bool committed;      /* what it commits is durable, or it commits nothing */
};

/* A commit or deletion that waits until it is known what became of the last response. */
struct uk_group_held {
  struct uk_timer timer; /* its deadline */
  struct uk_group_instance *instance;
  struct uk_operation *operation;
  void (*run)(struct uk_groups *groups, struct uk_operation *operation);
  struct uk_link link; /* uk_group_instance.held */
};

enum uk_group_activity {
  UK_GROUP_IDLE,       /* no request is pending */
  UK_GROUP_AWAITING,   /* the first request waits for the outcome of the last response */
  UK_GROUP_PARKED,     /* the first request waits for records */
  UK_GROUP_COMMITTING, /* what the first request commits is on its way: the instance may not be
                          freed, nor lose a partition */
  UK_GROUP_READING     /* a thread serves the first request; the same holds */
};

struct uk_group_instance {
  struct uk_name_node node;
  struct uk_group *group;
  struct uk_timer timer; /* expiry or auto-commit, whichever comes first */
  struct uk_consumer_settings settings;
  struct uk_group_assignment **assignments; /* the subscription, in the order of the request */
  size_t assignment_count;
  struct uk_group_partition *cursor; /* the ring of its partitions, at the next one to read */
  size_t owned;                      /* partitions in the ring */
  size_t leaving;                    /* of these, the ones with another target */
  struct uk_list requests;           /* the first one is served, the others wait for it */
  enum uk_group_activity activity;
  struct uk_link to_read; /* uk_groups.to_read */
  struct uk_list deletes; /* operations that came while it was COMMITTING or READING */
  struct uk_list held;
  struct uk_deliveries deliveries;
  int64_t last_request;
  int64_t next_commit; /* the earliest time of the next auto-commit */
  unsigned committing; /* auto-commits under way */
  unsigned pending;    /* other commits under way that concern it */
  bool dirty;          /* an auto-commit may find something */
  bool fresh;          /* no request was answered yet: an error closes the instance again */
  char name[];
};

/* A commit on its way into the log. */
struct uk_group_commit {
  struct uk_groups *groups;
  struct uk_group *group;
  struct uk_group_instance *instance; /* the one it concerns, if any; NULL once it is closed */
  bool automatic;                     /* the instance's auto-commit */
  bool given;                         /* a client named the offsets, or a batch */
  bool forward;                       /* moves no commit back */
  uint64_t batch;                     /* of the instance: acknowledged with it; 0 = none */
  struct uk_operation *operation;     /* may be NULL; ends with the commit unless there is `then` */
  bool closes;                        /* the operation deletes the instance */
  /* The commit was only the first part; may be NULL. Called last, when it is known what became of
   * the commit. It ends the operation, now or later, and may close the instance. */
  void (*then)(struct uk_groups *groups, const struct uk_group_commit *commit, enum uk_error error,
               const char *message);
  struct uk_link in_group;  /* uk_group.commits, until it is done */
  struct uk_link to_submit; /* uk_groups.to_submit, until it is handed to the log */
  uint64_t sequence;
  const struct uk_topic_partition_offset *offsets; /* `own`, or the operation's */
  size_t count;
  struct uk_topic_partition_offset own[];
};

struct uk_group {
  struct uk_name_node node;
  struct uk_name_table instances;
  struct uk_list assignments; /* uk_group_assignment.in_group */
  struct uk_list commits;     /* under way, in order: uk_group_commit.in_group */
  uint64_t sequence;          /* number of the last commit */
  bool blocked;               /* a partition waits for commits to be done */
  char name[];
};

struct uk_groups {
  pthread_mutex_t lock;
  struct uk_groups_log log;
  int64_t now; /* the latest time that any call brought */
  bool draining;
  size_t instance_count;
  uint64_t deliveries;             /* the number of the last one, of all instances */
  char nonce[UK_BATCH_NONCE_SIZE]; /* of the IDs of batches */
  struct uk_name_table groups, topics;
  struct uk_timers timers;
  /* What the holder of the lock leaves behind (group_lists.h, group_deferred.h). */
  struct uk_list to_rebalance;
  struct uk_list to_read;
  struct uk_list finished;  /* operations */
  struct uk_list to_submit; /* handed to the log in this order, by one thread at a time */
  bool submitting;          /* a thread is doing so */
};

/* printf of a slice: "%.*s", UK_GROUP_TEXT(slice) */
#define UK_GROUP_TEXT(slice) (int)(slice).length, (slice).data == NULL ? "" : (slice).data

/* The next assignment of a topic or a group; the first one after NULL. */

static inline struct uk_group_assignment *
uk_group_topic_next(const struct uk_group_topic *topic, const struct uk_group_assignment *after)
{
  return after == NULL
           ? UK_LIST_FIRST(&topic->assignments, struct uk_group_assignment, in_topic)
           : UK_LIST_NEXT(&topic->assignments, after, struct uk_group_assignment, in_topic);
}

static inline struct uk_group_assignment *uk_group_next(const struct uk_group *group,
                                                        const struct uk_group_assignment *after)
{
  return after == NULL
           ? UK_LIST_FIRST(&group->assignments, struct uk_group_assignment, in_group)
           : UK_LIST_NEXT(&group->assignments, after, struct uk_group_assignment, in_group);
}

static inline struct uk_group_request *
uk_group_first_request(const struct uk_group_instance *instance)
{
  return UK_LIST_FIRST(&instance->requests, struct uk_group_request, link);
}

/* No request is pending: the instance's session runs out. */
static inline bool uk_group_instance_is_idle(const struct uk_group_instance *instance)
{
  return instance->activity == UK_GROUP_IDLE && uk_list_is_empty(&instance->held) &&
         instance->pending == 0;
}

/* Its first request is being served: the instance may not be freed, nor lose a partition. */
static inline bool uk_group_instance_is_busy(const struct uk_group_instance *instance)
{
  return instance->activity == UK_GROUP_COMMITTING || instance->activity == UK_GROUP_READING;
}

/* Requests without a batch's ID wait until it is known what became of the last response. */
static inline bool uk_group_instance_awaits(const struct uk_group_instance *instance)
{
  return uk_deliveries_outstanding(&instance->deliveries) &&
         instance->deliveries.outcome == UK_RESPONSE_PENDING;
}

#endif
