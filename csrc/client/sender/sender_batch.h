/* sender_batch: the messages of one request, from the queue to their end. No locks, no I/O.
 *
 * A batch holds its records and writes a window of them as a request: all that are not settled, or
 * fewer when the server refused more of them at once. The window shrinks by half until the message at
 * fault stands alone, and grows again behind it, so that one bad message costs a few small requests
 * and the order stays. A window that is sent again is the same bytes under the same Idempotency-Key. */
#ifndef UK_SENDER_BATCH_H
#define UK_SENDER_BATCH_H

#include "client/request.h"
#include "client/sender/sender_queue.h"

struct uk_sender_batch {
  struct uk_buffer records;
  struct uk_client_request request; /* the window, written */
  struct uk_buffer packed;          /* memory for gzip */
  size_t start, end;                /* of the window, in `records` */
  size_t pending;                   /* messages that are not settled */
  size_t window;                    /* of these, in the window */
  size_t most;                      /* that a window may have */
  uint64_t oldest;                  /* the sequence of the first that is not settled */
  bool mixed;                       /* the window has more than one topic */
};

void uk_sender_batch_init(struct uk_sender_batch *batch);
void uk_sender_batch_free(struct uk_sender_batch *batch);

/* Fills an empty batch from the run, up to the limits; one message may pass `bytes` alone. False, with
 * nothing taken, when memory is out. */
bool uk_sender_batch_fill(struct uk_sender_batch *batch, struct uk_sender_run *run, size_t bytes,
                          size_t messages);

/* Writes the next window as a request under `key`. Some message is pending. UK_OK, NO_MEMORY, or what
 * is wrong with a message of the window. */
enum uk_error uk_sender_batch_write(struct uk_sender_batch *batch, bool binary, bool gzip,
                                    const char *key);

/* The first record of the window, and the one behind `record`, that is not settled; NULL at the end. */
struct uk_sender_record *uk_sender_batch_first(struct uk_sender_batch *batch);
struct uk_sender_record *uk_sender_batch_next(struct uk_sender_batch *batch,
                                              struct uk_sender_record *record);

/* The first record of the batch behind `record` (NULL: of all) that is neither settled nor expired;
 * NULL when there is none. */
struct uk_sender_record *uk_sender_batch_live(struct uk_sender_batch *batch,
                                              const struct uk_sender_record *record);
/* Whether the window has such a record. */
bool uk_sender_batch_awaited(struct uk_sender_batch *batch);

/* Settles what has expired. The window must then be written again. */
void uk_sender_batch_forget(struct uk_sender_batch *batch);

void uk_sender_batch_settle(struct uk_sender_batch *batch, struct uk_sender_record *record);

/* The next window may be larger: the last one was taken. */
void uk_sender_batch_widen(struct uk_sender_batch *batch);

/* The next window is smaller: what stands in front of the message at fault, whose `index` in the window
 * is known, or it alone; or, with -1, half. The window has more than one message. */
void uk_sender_batch_narrow(struct uk_sender_batch *batch, int64_t index);

/* The next window is all that is pending, whatever it was; for those who settle all of it. */
void uk_sender_batch_whole(struct uk_sender_batch *batch);

#endif
