/* kafka_instance: one instance of a group that this server holds, or takes over for a while. For kafka_groups and
 * kafka_instance_*.c, each of which is a room of it: requests, records, partitions, commits, membership, leaving.
 *
 * An instance is a task with a handle of librdkafka. It asks the coordinator whether another server holds it, joins,
 * delivers, and ends: by a deletion, by silence, because another server took it over, or with this server.
 *
 * A takeover is an instance that takes over another server's for a commit or a deletion alone. It delivers nothing, and
 * when it is done the instance belongs to whoever is asked next. */
#ifndef UK_KAFKA_INSTANCE_H
#define UK_KAFKA_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/engine/name_set.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/group/kafka_groups.h"
#include "server/kafka_engine/cluster/kafka_members.h"
#include "server/kafka_engine/rd/kafka_late_answer.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum uk_kafka_request_kind { UK_KAFKA_CONSUME, UK_KAFKA_COMMIT, UK_KAFKA_DELETE };

/* A request in hand. */
struct uk_kafka_request {
  struct uk_kafka_check check;
  enum uk_kafka_request_kind kind;
  struct uk_operation *operation; /* NULL: answered, but librdkafka still has it */
  struct uk_kafka_groups *groups;
  struct uk_kafka_request *next;
  int64_t came;
  bool asked;   /* sink.is_client_alive was asked */
  bool moved;   /* an instance here had it, and was lost to another server */
  bool settled; /* since it came, the instance was surely this server's */
  bool sent;    /* of a commit or deletion: some of it may be done, whatever becomes of the rest */
  uint64_t created[UK_TOPICS_PER_CONSUME_MAX / 64]; /* a bit for each topic that it created */
};

struct uk_kafka_requests {
  struct uk_kafka_request *first, *last;
};

/* A partition that is, or was until the last rebalance, the instance's. delivered <= position: what lies between is in the
 * hands of its client. */
struct uk_kafka_assigned_partition {
  struct uk_kafka_name topic;
  int32_t number;
  bool assigned, overridden; /* overridden: an explicit commit says where to go on */
  bool ended; /* there was nothing behind `position` when the cluster last said something */
  int64_t position, delivered; /* -1: not known yet */
  int64_t committed;           /* the last that was committed for it, -1 = none */
};

struct uk_kafka_instance {
  struct uk_name_node node; /* "GROUP" NUL "INSTANCE" */
  struct uk_kafka_task task;
  struct uk_kafka_groups *groups;
  struct uk_slice group, name;
  struct uk_consumer_settings settings; /* of a takeover: the defaults */
  bool takeover;
  /* Under the mutex of the groups. */
  struct uk_kafka_requests inbox;
  uint64_t undelivered; /* a delivery to be made again, 0 = none */
  uint64_t sent;        /* a delivery that was sent as a whole, where that is of use */
  bool migrates;        /* its client speaks now to this server and now to another */
  struct uk_kafka_assigned_partition *listed; /* what /consumers says */
  size_t listed_count;
  struct uk_kafka_name *topics; /* the subscription */
  size_t topic_count;
  bool gone; /* no longer in the table */
  /* The task's from here on. */
  struct uk_kafka_late_answer *lease_answer, *handover_answer; /* that it waits for */
  rd_kafka_t *handle;                                          /* NULL: not opened yet */
  rd_kafka_queue_t *control, *records;
  struct uk_kafka_requests consumes; /* that wait */
  struct uk_kafka_requests
    commits; /* that wait until the instance is this server's, and for the one before */
  struct uk_kafka_requests deletes;
  bool subscribed, joined;
  bool fresh; /* has not served a consume yet */
  int64_t last_request;
  int64_t next_refresh; /* of what is known of the topics */
  int64_t asked_since;  /* requests wait without a break, for what has not come, since then */
  /* Records. */
  struct uk_kafka_event held; /* a record that the last delivery had no room for */
  struct uk_kafka_record record;
  int64_t taken;       /* bytes, since librdkafka was last told that there is room */
  int64_t taken_count; /* records, since then */
  uint64_t delivery, acknowledged;
  /* Partitions and commits. */
  struct uk_kafka_assigned_partition *partitions;
  size_t partition_count;
  struct uk_kafka_requests committing; /* explicit commits under way */
  size_t auto_commits;                 /* under way */
  struct uk_name_set created; /* topics that its consumes created, until it is assigned partitions:
                                 `latest` starts at their first offset */
  bool awaits_created;        /* there are some */
  int64_t next_commit;
  bool metadata_due;    /* how far the client is, to be committed for who takes over */
  int metadata_commits; /* that were made */
  /* Membership. */
  int64_t sure_from,
    sure_until;        /* when the coordinator was asked that last said so; when that gets old */
  int64_t ask_at;      /* not before that */
  int64_t quiet_until; /* the server that had the instance may believe that it still has it */
  bool taken_over, lost;
  rd_kafka_topic_partition_list_t *group_holds; /* what its group held when it was taken over, until
                                                   it has joined; NULL: not known */
  /* Ending. */
  int64_t leaves_until;                                                    /* 0 = not leaving */
  enum { UK_KAFKA_STAYS, UK_KAFKA_UNSUBSCRIBED, UK_KAFKA_CLOSES } leaving; /* how far it is */
  int64_t
    stops_until;  /* the server stops: when it waits no longer for commits; 0 = it does not stop */
  bool said_last; /* it stops, and has committed what was delivered */
  bool ended;
  char bytes[];
};

struct uk_kafka_groups {
  struct uk_kafka_groups_parts parts;
  struct uk_kafka_members *members;
  pthread_mutex_t mutex;
  pthread_cond_t empty;
  struct uk_name_table table;
  size_t count;                    /* instances, those that are ending too */
  atomic_uint_fast64_t deliveries; /* numbers them, of all instances */
  bool draining, closing;
};

void uk_kafka_instance_run(struct uk_kafka_task *task, int64_t now);
void uk_kafka_instance_free(struct uk_kafka_task *task);

/* From now on requests make a new instance. */
void uk_kafka_instance_take_out(struct uk_kafka_instance *instance);

/* Gives a request to the instance that it names, which is made where need be. In kafka_groups.c. */
void uk_kafka_groups_post(struct uk_kafka_request *request);

#endif
