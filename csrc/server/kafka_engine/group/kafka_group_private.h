/* kafka_group_private: what the files of this folder share: the table of instances, and one member
 * of a group.
 *
 * kafka_groups finds the member that a request names, or creates it: an instance (kafka_instance),
 * or a takeover (kafka_takeover) for a commit or deletion of an instance that another server may
 * have. Both are conductors: they call the parts, and what they have in common (kafka_group_member)
 * calls parts for them. A part calls no other part, except request_queue, assigned_partition,
 * batch, position_metadata and membership; redelivery is a part of delivery. */
#ifndef UK_KAFKA_GROUP_PRIVATE_H
#define UK_KAFKA_GROUP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/engine/deliveries.h"
#include "server/engine/name_set.h"
#include "server/engine/name_table.h"
#include "server/kafka_engine/cluster/kafka_members.h"
#include "server/kafka_engine/group/kafka_batch.h"
#include "server/kafka_engine/group/kafka_groups.h"
#include "server/kafka_engine/group/kafka_request_queue.h"
#include "server/kafka_engine/rd/kafka_late_answer.h"

struct uk_kafka_groups {
  struct uk_kafka_groups_parts parts;
  struct uk_kafka_members *members;
  /* For a member to which librdkafka says that a topic of these consumes is missing. It may have
   * been created again since, or be new, and not every broker knows it yet: asks the cluster
   * whether the topics exist. If they do, the consumes arrive again; otherwise they end with
   * NOT_FOUND. Leaves the list empty. Precondition: the mutex is not held. */
  void (*check_again)(struct uk_list *consumes);
  pthread_mutex_t mutex;
  pthread_cond_t empty;
  struct uk_name_table table;
  struct uk_name_set missing;      /* see kafka_missing_topics */
  size_t count;                    /* members, including those that are ending */
  atomic_uint_fast64_t deliveries; /* the number of the last one, of all instances */
  char nonce[UK_BATCH_NONCE_SIZE]; /* of the IDs of batches */
  atomic_bool draining, closing;
};

/* The topics that a member subscribes to. Its task changes them under the mutex of the groups. */
struct uk_kafka_subscription {
  struct uk_kafka_name *topics;
  size_t count;
  bool active; /* librdkafka has taken them */
};

/* What the coordinator reported about the member: see kafka_lease. */
struct uk_kafka_lease {
  int64_t from, until; /* when the last confirmation was asked for, and when it expires */
  int64_t ask_at;      /* the coordinator is not asked again before */
  int64_t quiet_until; /* the server that had the instance may still believe that it has it */
  bool taken_over;     /* another server had it, or may have had it */
  struct uk_kafka_late_answer *query; /* NULL: nothing is asked */
};

struct uk_kafka_commits {
  struct uk_list under_way; /* requests that the group has not answered */
  size_t own;               /* commits under way that no request asked for */
  int64_t next;             /* when auto-commit commits again */
  int64_t again_at;         /* a commit that is due is not tried before */
};

struct uk_kafka_leaving {
  int64_t until; /* 0: the member does not leave */
  enum { UK_KAFKA_LEAVE_BEGUN, UK_KAFKA_LEAVE_UNSUBSCRIBED, UK_KAFKA_LEAVE_CLOSING } step;
};

/* The server drains or closes. */
struct uk_kafka_stopping {
  int64_t until; /* when pending commits and deletions fail; 0: the server does not stop */
  bool closing;  /* the last commit was sent, and the member ends when it is answered */
};

/* Only its task uses it, except where another rule is given. */
struct uk_kafka_group_member {
  struct uk_name_node node; /* in the table, by `key` */
  struct uk_kafka_task task;
  struct uk_kafka_groups *groups;
  struct uk_slice group, name; /* NUL-terminated */
  struct uk_consumer_settings settings;
  bool is_takeover;
  /* Under the mutex of the groups. */
  struct uk_list inbox;
  bool removed; /* from the table */
  struct uk_kafka_assigned_partitions published;
  struct uk_kafka_subscription subscription;
  /* librdkafka's. */
  rd_kafka_t *handle; /* NULL: not open yet */
  rd_kafka_queue_t *control, *records;
  /* Requests that wait. */
  struct uk_list consumes;
  struct uk_list commits; /* until the member has joined, and for the commit before them */
  struct uk_list deletes;
  struct uk_list left; /* when the task has ended: for the next member of this name */
  int64_t last_request;
  int64_t waiting_since; /* consumes wait without a break for records that do not come */
  int64_t next_refresh;  /* of what is known of the topics */
  int64_t beat_at;       /* librdkafka is not woken for a heartbeat before */
  int64_t verify_at;     /* positions are not verified before */
  bool awaits_offsets;   /* the group was asked where the partitions start */

  struct uk_kafka_assigned_partitions partitions;
  const struct uk_kafka_batch *batch; /* the outstanding one of an instance; NULL: of a takeover */
  struct uk_kafka_lease lease;
  struct uk_kafka_commits committing;
  struct uk_kafka_leaving leaving;
  struct uk_kafka_stopping stopping;
  char key[2 * (UK_GROUP_NAME_MAX + 1)]; /* "GROUP" NUL "INSTANCE" NUL */
};

#endif
