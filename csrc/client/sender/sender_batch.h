/* sender_batch: the messages of one request, from the queue to their end. No locks, no I/O.
 *
 * A batch holds its records and writes a window of them as a request: all pending ones, or fewer
 * after the server refused a larger window. The window halves until the bad message is alone in it,
 * and grows again after that message. So one bad message costs a few small requests, and the order
 * is kept. A window that is sent again is the same bytes under the same Idempotency-Key.
 *
 * A message of a batch is pending until it is resolved: delivered, or given up. */
#ifndef UK_SENDER_BATCH_H
#define UK_SENDER_BATCH_H

#include "client/request.h"
#include "client/sender/sender_queue.h"

enum uk_batch_state {
  UK_BATCH_FREE,
  UK_BATCH_READY,     /* the request is written, and is sent when it is due */
  UK_BATCH_UNWRITTEN, /* the request is written when due: memory was out, or messages expired */
  UK_BATCH_SENDING
};

struct uk_sender_batch {
  struct uk_buffer records;
  struct uk_client_request request; /* the window, written */
  struct uk_buffer packed;          /* memory for gzip */
  size_t start, end;                /* of the window, in `records` */
  size_t pending;                   /* messages of the batch */
  size_t window;                    /* pending messages of the window */
  size_t most;                      /* messages that the next window may have */
  uint64_t oldest;                  /* sequence of the first pending message */
  bool mixed;                       /* the window has more than one topic */

  /* For the sender, which decides when the batch is sent. */
  enum uk_batch_state state;
  int64_t due;      /* milliseconds on the monotonic clock */
  int64_t attempts; /* made with this window */
  int64_t expires;  /* when the oldest message expires; INT64_MAX = never */
};

void uk_sender_batch_init(struct uk_sender_batch *batch);
void uk_sender_batch_free(struct uk_sender_batch *batch);

/* Replaces what the batch held by messages from the queue, up to both limits; a single message may
 * exceed `bytes`. False, with no message taken, when memory is out. */
bool uk_sender_batch_fill(struct uk_sender_batch *batch, struct uk_queue_reader *reader,
                          size_t bytes, size_t messages);

/* Writes the next window as a request under `key`, "" = none. Precondition: a message is pending.
 * Returns UK_OK, NO_MEMORY, or what is wrong with a message of the window. */
enum uk_error uk_sender_batch_write(struct uk_sender_batch *batch, bool binary, bool gzip,
                                    const char *key);

/* The first pending record of the window, and the next one behind `record`; NULL at the end. */
struct uk_sender_record *uk_sender_batch_first(struct uk_sender_batch *batch);
struct uk_sender_record *uk_sender_batch_next(struct uk_sender_batch *batch,
                                              struct uk_sender_record *record);

/* The first record behind `record` (NULL: the first of the batch) that is pending and not expired;
 * NULL when there is none. Not limited to the window. */
struct uk_sender_record *uk_sender_batch_live(struct uk_sender_batch *batch,
                                              const struct uk_sender_record *record);
/* True while the window has such a record. */
bool uk_sender_batch_is_awaited(struct uk_sender_batch *batch);

/* Resolves the expired messages. The window must be written again afterwards. */
void uk_sender_batch_resolve_expired(struct uk_sender_batch *batch);

void uk_sender_batch_resolve(struct uk_sender_batch *batch, struct uk_sender_record *record);

/* After a window was accepted: lets the next one be larger. */
void uk_sender_batch_widen(struct uk_sender_batch *batch);

/* After a window of more than one message was refused: makes the next one smaller. `index` is the
 * position of the bad message in the window: the next window ends in front of it, or is that
 * message alone. -1 = unknown: the next window is half as large. */
void uk_sender_batch_narrow(struct uk_sender_batch *batch, int64_t index);

/* Makes all pending messages the window, to resolve them together. */
void uk_sender_batch_select_all(struct uk_sender_batch *batch);

#endif
