/* sender_queue: a ring of records in one piece of memory, allocated once. Not thread-safe: the
 * threads that share a queue share a lock.
 *
 * A reader copies records out without holding the lock: it is opened and closed under the lock, and
 * what it passed leaves the queue when it is closed. While it is open, messages may be added, and
 * none may be dropped. */
#ifndef UK_SENDER_QUEUE_H
#define UK_SENDER_QUEUE_H

#include "client/sender/sender_record.h"

struct uk_sender_queue {
  char *memory;
  size_t capacity;   /* bytes, a multiple of the alignment */
  size_t used;       /* bytes from `tail` on, padding included; used <= capacity */
  size_t head, tail; /* where the next record goes, and where the oldest is; < capacity */
  size_t messages;   /* waiting */
  uint64_t sequence; /* of the next message to be added */
  bool open;         /* a reader is open */
};

/* False when memory is out. The kernel provides the memory page by page, as it is used. */
bool uk_sender_queue_init(struct uk_sender_queue *queue, size_t capacity);
/* Safe in the child of the process that filled the queue. */
void uk_sender_queue_free(struct uk_sender_queue *queue);

/* Room for a record of `size` bytes at the end, or NULL. The record joins the queue, and gets its
 * sequence, when it is committed. */
struct uk_sender_record *uk_sender_queue_reserve(struct uk_sender_queue *queue, size_t size);
void uk_sender_queue_commit(struct uk_sender_queue *queue, struct uk_sender_record *record);

/* The sequence of the oldest message waiting; of the next message when none waits. */
static inline uint64_t uk_sender_queue_oldest(const struct uk_sender_queue *queue)
{
  return queue->sequence - queue->messages;
}

/* The oldest record; NULL when the queue is empty. */
const struct uk_sender_record *uk_sender_queue_first(struct uk_sender_queue *queue);

/* Removes the oldest message. Precondition: no reader is open. */
void uk_sender_queue_drop(struct uk_sender_queue *queue);

struct uk_queue_reader {
  const struct uk_sender_queue *queue;
  size_t at, left;        /* bytes */
  size_t bytes, messages; /* passed so far */
};

void uk_queue_reader_open(struct uk_queue_reader *reader, struct uk_sender_queue *queue);
/* The next record, which stays the next one until it is passed; NULL at the end. */
const struct uk_sender_record *uk_queue_reader_next(struct uk_queue_reader *reader);
void uk_queue_reader_pass(struct uk_queue_reader *reader, const struct uk_sender_record *record);
/* Removes what was passed from the queue. */
void uk_queue_reader_close(struct uk_queue_reader *reader, struct uk_sender_queue *queue);

#endif
