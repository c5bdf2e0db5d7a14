/* fake_clients: calls of groups with plain C strings, and their outcomes. */
#ifndef FAKE_CLIENTS_H
#define FAKE_CLIENTS_H

#include "fake_log.h"

enum { CALL_RECORDS = 160, CALL_TOPICS = 8, CALL_COMMITS = 16 };

struct call_record {
  int32_t partition;
  int64_t offset;
  char topic[16];
};

/* One operation. It keeps its address until `ended`. */
struct call {
  union {
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer delete_consumer;
  };
  struct uk_slice topics[CALL_TOPICS];
  char topic_names[FAKE_NAME]; /* separated by spaces */
  char group[FAKE_NAME], instance[FAKE_NAME];
  struct uk_topic_partition_offset given;
  struct uk_topic_partition_offset commits[CALL_COMMITS]; /* of a consume */
  char commit_topics[CALL_COMMITS][16];
  bool skipped[CALL_COMMITS];
  char id[UK_BATCH_ID_SIZE];
  size_t limit; /* records that the sink takes, of a batch that comes again as many as there are */
  bool unwanted;
  bool unwritten; /* its response is not finished before `finished` says so */
  int asked;      /* calls of `is_client_alive` */
  int refused;    /* records that the sink refused; the first refusal ends the reading */
  int ended;      /* calls of `done` */
  struct call_record records[CALL_RECORDS];
  size_t count;
};

/* The settings of new calls: auto_commit, interval 5000, earliest, session 10000. */
struct uk_consumer_settings fake_settings(void);

/* Fills a call, which the test may change before it starts it. */
void call_consume(struct call *call, const char *group, const char *instance, const char *topics,
                  int64_t deadline);

/* What a call says about batches: "" nothing, "none", a batch's number, or "+" and the number to
 * commit it. Commits and deletions say `fake_ack`; "" at the start. */
extern const char *fake_ack;
void say(struct call *call, struct uk_acknowledgement *acknowledgement, const char *text);
/* Adds one to what the consume commits. */
void also_commit(struct call *call, const char *topic, int32_t partition, int64_t offset);

/* Opens groups over an empty fake log at time 1000, and closes them. */
extern struct uk_groups *groups;
void start_groups(void);
void stop_groups(void);

/* Calls at the time `fake_now`. A commit and a deletion wait `fake_patience` milliseconds for the
 * last response; 0 at the start. */
extern int64_t fake_now, fake_patience;
void consume(struct call *call, const char *group, const char *instance, const char *topics,
             int64_t timeout);
void commit_all(struct call *call, const char *group, const char *instance);
void commit_nothing(struct call *call, const char *group, const char *instance);
void commit_one(struct call *call, const char *group, const char *instance, const char *topic,
                int32_t partition, int64_t offset);
/* The offsets stay the caller's. */
void commit_these(struct call *call, const char *group, const char *instance,
                  const struct uk_topic_partition_offset *offsets, size_t count);
void delete_consumer(struct call *call, const char *group, const char *instance);
/* Its response is not finished before `finished` says so; that of `consume` is written at once. */
void consume_unwritten(struct call *call, const char *group, const char *instance,
                       const char *topics, int64_t timeout);
/* Its client has gone. */
void expire(struct call *call);
void finished(const char *group, const char *instance, uint64_t delivery, bool complete);
void produce(const char *topic, int32_t partition, int64_t count);
void change_topic(const char *topic, int32_t partitions);
void pass_time(int64_t milliseconds);

/* "topic:partition:offset topic:partition:offset", "" for no records, "waits" for a call that has
 * not ended, or the word of its error. Static. */
const char *outcome(const struct call *call);

/* The answer to uk_groups_consumers: "group/instance topic=0,1 group/instance -". Static. */
const char *owners(void);

#define OUTCOME(call, text) CHECK_EQ_STR(outcome(call), text)
#define MESSAGE(call, text) CHECK_EQ_STR((call)->consume.operation.message, text)

#endif
