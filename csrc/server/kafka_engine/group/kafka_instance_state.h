/* kafka_instance_state: the states of an instance, and what leads from one to another.
 *
 *   from                 when                                                        to
 *   INQUIRING            the coordinator names the owner, or cannot                  JOINING
 *   JOINING, SERVING     partitions; it is not known here where they start           HANDOVER
 *   JOINING              partitions                                                  SERVING
 *   HANDOVER             it is known where they start                                SERVING
 *   HANDOVER             the partitions are revoked                                  JOINING
 *   JOINING to SERVING   a deletion is confirmed; silence for a session; partitions  LEAVING
 *                        that do not fit; trouble that another member could not have
 *   INQUIRING to SERVING the server closes                                           STOPPING
 *   JOINING to LEAVING   another server has the instance                             LOST
 *   LEAVING              the group confirms that the member has left, or is late     ENDED
 *   STOPPING             the last commits are answered, or two seconds pass          ENDED
 *   LOST                 requests that wait are passed on                            ENDED
 *
 * While the instance serves, the answer to a revocation waits for what its client has in hand: see
 * kafka_instance_partitions. An instance in another state answers at once. */
#ifndef UK_KAFKA_INSTANCE_STATE_H
#define UK_KAFKA_INSTANCE_STATE_H

#include "server/engine/name_set.h"
#include "server/kafka_engine/group/kafka_delivery.h"
#include "server/kafka_engine/group/kafka_group_private.h"
#include "server/kafka_engine/group/kafka_verification.h"

enum uk_kafka_instance_state {
  UK_KAFKA_INQUIRING, /* the coordinator is asked who has the instance */
  UK_KAFKA_JOINING,   /* the group admits the instance */
  UK_KAFKA_HANDOVER,  /* reads where the partitions that it was given start */
  UK_KAFKA_SERVING,
  UK_KAFKA_STOPPING, /* the server closes: commits for the last time, and stays a member */
  UK_KAFKA_LOST,     /* another server has it */
  UK_KAFKA_LEAVING,
  UK_KAFKA_ENDED
};

/* What was found out for the first commit that is due: see kafka_instance_forward. */
struct uk_kafka_forward {
  struct uk_kafka_late_answer *holders, *reading; /* NULL: nothing is asked */
  bool holders_known;
  rd_kafka_topic_partition_list_t *own, *all; /* what this instance and its group hold; may be
                                                 NULL */
  rd_kafka_topic_partition_list_t *committed; /* NULL: not read */
};

struct uk_kafka_instance {
  struct uk_kafka_group_member member;
  enum uk_kafka_instance_state state;
  bool has_joined; /* it took partitions, perhaps none */
  bool has_served; /* a consume was answered */
  /* Under the mutex of the groups. */
  uint64_t finished; /* the delivery of whose response more is known since the task looked; 0 =
                        none */
  enum uk_response_outcome outcome; /* of that response */
  bool awaits;   /* requests wait for the last response: when it has finished, the task runs */
  bool migrates; /* its client sends requests to this server and to others */
  /* The task's. */
  struct uk_kafka_delivery delivery;
  int64_t give_up_by; /* a revocation waits for the client until then, at most; 0: none waits */
  struct uk_kafka_late_answer *handover;     /* NULL: nothing is read */
  struct uk_kafka_late_answer *verification; /* NULL: nothing is verified */
  struct uk_kafka_forward forward;
  struct uk_kafka_refused refused;              /* what the next consume is told */
  rd_kafka_topic_partition_list_t *group_holds; /* what its group had before this server took it
                                                   over, until it has joined; NULL: not known */
  bool disclaims; /* a client said what it holds of its batches: until it has joined, it does not
                     start where the server before believed that the client was */
  struct uk_name_set created; /* topics that its consumes created, until it has partitions */
  bool awaits_created;        /* there are some; not every broker knows them yet */
  bool metadata_due;          /* the position must be committed for the next server */
  int metadata_commits;
};

#endif
