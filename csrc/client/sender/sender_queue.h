/* sender_queue: a ring of records in one piece of memory, allocated once. It knows no locks: whoever
 * shares it holds one.
 *
 * The reader of the queue copies a run of records without holding the lock: it opens the run, reads,
 * and closes it with what it has taken. Meanwhile messages may be put, and none may be dropped. */
#ifndef UK_SENDER_QUEUE_H
#define UK_SENDER_QUEUE_H

#include "client/sender/sender_record.h"

struct uk_sender_queue {
  char *memory;
  size_t capacity;   /* bytes, a multiple of the alignment */
  size_t used;       /* from `tail` on, paddings included; used <= capacity */
  size_t head, tail; /* where the next record goes, where the oldest stands; < capacity */
  size_t messages;   /* waiting */
  uint64_t sequence; /* of the next message that is put */
  bool open;         /* a run is being read */
};

/* False when memory is out. The memory is the system's, zero, and not touched before it is used. */
bool uk_sender_queue_init(struct uk_sender_queue *queue, size_t capacity);
/* Safe in a child of the process that filled it. */
void uk_sender_queue_free(struct uk_sender_queue *queue);

/* Room for a record of `size` bytes at the end, NULL when there is not enough; nothing is queued
 * before it is committed, which gives it its sequence. */
struct uk_sender_record *uk_sender_queue_reserve(struct uk_sender_queue *queue, size_t size);
void uk_sender_queue_commit(struct uk_sender_queue *queue, struct uk_sender_record *record);

/* The sequence of the oldest message waiting, or of the next one. */
static inline uint64_t uk_sender_queue_oldest(const struct uk_sender_queue *queue)
{
  return queue->sequence - queue->messages;
}

/* The oldest record, NULL when there is none. */
const struct uk_sender_record *uk_sender_queue_first(struct uk_sender_queue *queue);

/* Takes the oldest message off. Not while a run is open. */
void uk_sender_queue_drop(struct uk_sender_queue *queue);

/* A run of records that is being read. */
struct uk_sender_run {
  const struct uk_sender_queue *queue;
  size_t at, left;        /* bytes */
  size_t bytes, messages; /* read so far */
};

void uk_sender_run_open(struct uk_sender_run *run, struct uk_sender_queue *queue);
/* The next record, NULL at the end; it is not taken before it is passed. */
const struct uk_sender_record *uk_sender_run_next(struct uk_sender_run *run);
void uk_sender_run_pass(struct uk_sender_run *run, const struct uk_sender_record *record);
/* What was passed leaves the queue. */
void uk_sender_run_close(struct uk_sender_run *run, struct uk_sender_queue *queue);

#endif
