/* kafka_batch: the records of the outstanding batch of an instance. They are kept until the client
 * acknowledges them, so that the same batch can be delivered again, in the same order.
 *
 * Reading them again instead would need no memory, but it would be neither exact nor quick: the
 * batch is a mixture of partitions in the order in which brokers answered, a seek drops what was
 * read ahead, and no broker may answer when the client asks again. librdkafka's own messages would
 * not do either: each holds the whole response of its broker, so that a batch of one small record
 * could hold a megabyte. A copy takes what its records take, and memcpy is cheap compared with
 * writing them as JSON.
 *
 * Its bound is prefetch_bytes of keys, values and headers, as that of the read-ahead: a batch ends
 * where it would pass it. One record always fits. With it the batches of all instances stay within
 * prefetch_budget. */
#ifndef UK_KAFKA_BATCH_H
#define UK_KAFKA_BATCH_H

#include <stdint.h>

#include "server/kafka_engine/group/kafka_assigned_partition.h"

struct uk_kafka_batch_partition {
  struct uk_kafka_name topic;
  int32_t number;
  size_t last; /* where its last record begins; UK_KAFKA_BATCH_NO_RECORD: it has none */
  struct uk_kafka_assigned_partition *held; /* for a redelivery; NULL: its records are left out */
};

#define UK_KAFKA_BATCH_NO_RECORD SIZE_MAX

/* Zeroed, it is empty. */
struct uk_kafka_batch {
  struct uk_kafka_batch_partition *partitions;
  size_t partition_count, partition_room;
  struct uk_record_header *headers; /* room for those of any record */
  size_t header_room;
  char *bytes; /* the records, one after another */
  size_t length, room;
  size_t kept;            /* bytes of keys, values and headers */
  size_t last, last_kept; /* `length` and `kept` before the last record */
  size_t last_before;     /* `last` of its partition before that */
};

/* Copies the record. False: the batch is full or memory is out, and nothing has changed. */
bool uk_kafka_batch_add(struct uk_kafka_batch *batch, const struct uk_record *record,
                        int64_t prefetch_bytes);

/* Drops the record that was added last. */
void uk_kafka_batch_drop_last(struct uk_kafka_batch *batch);

/* The record at `*at`, which begins with 0 and moves on; it points into the batch. NULL: there is
 * none left. Otherwise the partition of the record. */
const struct uk_kafka_batch_partition *uk_kafka_batch_next(const struct uk_kafka_batch *batch,
                                                           size_t *at, struct uk_record *record);

/* The mark of the record at that offset of the partition; not known if the batch has none there. */
struct uk_record_mark uk_kafka_batch_mark(const struct uk_kafka_batch *batch, const char *topic,
                                          int32_t partition, int64_t offset);

/* The last record of one of its partitions; it points into the batch. False: it has none. */
bool uk_kafka_batch_last(const struct uk_kafka_batch *batch,
                         const struct uk_kafka_batch_partition *partition,
                         struct uk_record *record);

/* Makes it empty, and keeps the memory for the next batch: a consumer in a hurry fills one after
 * another, and each new page would cost as much as what is written to it. */
void uk_kafka_batch_clear(struct uk_kafka_batch *batch);

/* Makes it empty, and frees everything. */
void uk_kafka_batch_free(struct uk_kafka_batch *batch);

#endif
