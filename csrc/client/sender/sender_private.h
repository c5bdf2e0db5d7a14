/* sender_private: the sender's own rooms: what is shared between callers and thread, under one lock. */
#ifndef UK_SENDER_PRIVATE_H
#define UK_SENDER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/sender/sender.h"
#include "client/sender/sender_batch.h"
#include "client/sender/sender_failures.h"
#include "client/sender/sender_latency.h"
#include "client/transport_multi.h"

enum { UK_SENDER_STARVED = 100 /* milliseconds until memory that was out is asked for again */ };

enum uk_slot_state {
  UK_SLOT_FREE,
  UK_SLOT_READY,     /* to be sent when it is due */
  UK_SLOT_UNWRITTEN, /* to be written when it is due: memory was out, or messages have expired */
  UK_SLOT_SENDING
};

struct uk_client_failure;

/* A batch and how far it has come. */
struct uk_sender_slot {
  struct uk_sender_batch batch;
  enum uk_slot_state state;
  int64_t due;      /* milliseconds of the monotonic clock */
  int64_t attempts; /* of the window, made so far */
  int64_t expires;  /* when its oldest message does; INT64_MAX = never */
};

struct uk_sender {
  struct uk_settings settings;
  struct uk_sender_options options;
  struct uk_transfers *transfers;
  pthread_t thread;

  /* Under the registry's lock. */
  struct uk_sender *next;
  unsigned references;
  bool listed;
  atomic_bool orphaned; /* no references; read by the thread */

  /* Under `lock`. */
  pthread_mutex_t lock;
  pthread_cond_t changed; /* broadcast for those who wait: room, something settled, the end */
  unsigned waiters;
  struct uk_sender_queue queue;
  size_t wake_messages, wake_bytes; /* with so many waiting the thread is woken */
  uint64_t hurried;                 /* messages before this mark do not linger */
  uint64_t batched;                 /* the oldest one in a batch, UINT64_MAX when there is none */
  bool stopping;
  int64_t stop_at; /* when what is left is given up */
  bool ended;      /* the thread has nothing more to do with this struct */
  bool left;       /* nobody waits for the thread any more: it releases a reference when it ends */
  struct uk_sender_stats counts;
  struct uk_sender_failures failures;
  uint64_t logged;                   /* discards told of so far */
  char trouble[UK_SENDER_TEXT_SIZE]; /* why the last request failed, "" when it did not */
  char discard[UK_SENDER_TEXT_SIZE]; /* why the last message was discarded */

  pthread_mutex_t latency_lock;
  struct uk_sender_latency latency;

  /* The thread's own. */
  uint64_t seed; /* for its Idempotency-Keys */
  uint64_t keys; /* made so far */
  int64_t idle_since;
  int64_t starved_until; /* no batch could be filled: memory was out */
  int64_t logged_at;
  enum uk_error failure; /* of the last request, UK_OK when it did not fail or was refused */
  int failure_status;    /* of HTTP, 0 = none */
  bool hastened;
  unsigned sending; /* slots in that state */
  unsigned slot_count;
  struct uk_sender_slot slots[];
};

/* sender.c: for the registry. `create` starts the thread; NULL with the error. `destroy` frees a sender
 * whose thread has ended or is the caller. `stop` asks the thread to end at the latest at that time of
 * the monotonic clock, `join` waits for it and for a moment longer; false when it did not end, and then
 * it takes a reference of the caller's with it. */
struct uk_sender *uk_sender_create(const struct uk_settings *settings,
                                   const struct uk_sender_options *options, enum uk_error *error);
void uk_sender_destroy(struct uk_sender *sender);
void uk_sender_stop(struct uk_sender *sender, int64_t deadline);
bool uk_sender_join(struct uk_sender *sender, int64_t deadline);
/* In a child of the process that made it: frees what is safe to free. */
void uk_sender_abandon(struct uk_sender *sender);

/* sender_expire.c: messages that are older than message_timeout. Called by the thread, without the
 * lock. */

/* Gives up what has expired: in the queue, in slots that wait, and in those whose request is under
 * way. A request goes on for the others in it, and is given up with the last. */
void uk_sender_expire(struct uk_sender *sender, int64_t now);
/* When the next message expires, INT64_MAX = none does. */
int64_t uk_sender_next_expiry(struct uk_sender *sender);
/* Puts the slot's `expires` right. */
void uk_sender_set_expiry(const struct uk_sender *sender, struct uk_sender_slot *slot);

/* sender_results.c: answers. */

/* Whether a 2xx tells of every message of the window; otherwise what is wrong is in `failure`. */
bool uk_sender_confirmed(struct uk_sender *sender, struct uk_sender_slot *slot,
                         const struct uk_response *response, struct uk_client_failure *failure);
/* A failure that tells of each message: some are stored, some failed, the rest is sent again. False, with
 * nothing done, when it does not. */
bool uk_sender_take_results(struct uk_sender *sender, struct uk_sender_slot *slot,
                            const struct uk_client_failure *failure, const struct uk_buffer *body);

/* sender_run.c: the thread. Its argument is the sender. */
void *uk_sender_run_thread(void *sender);
/* How many discards it has not told of yet; what was refused, its caller knows. Holds the lock. */
uint64_t uk_sender_untold(const struct uk_sender *sender);

/* sender_settle.c: what becomes of a slot's window, by the thread. None holds the lock. */

/* Writes the next window of a slot whose last one is settled; the slot is free when nothing is left. */
void uk_sender_write(struct uk_sender *sender, struct uk_sender_slot *slot);
/* The server has stored it: all of it, or one message. */
void uk_sender_deliver(struct uk_sender *sender, struct uk_sender_slot *slot);
void uk_sender_deliver_one(struct uk_sender *sender, struct uk_sender_slot *slot,
                           struct uk_sender_record *record);
/* It failed: it is tried again later, in part or whole, or its messages are failures. */
void uk_sender_fail(struct uk_sender *sender, struct uk_sender_slot *slot,
                    const struct uk_client_failure *failure);
/* One message of it is a failure; `give_up` only counts and keeps it, and settles nothing. */
void uk_sender_give_up(struct uk_sender *sender, const struct uk_sender_record *record,
                       enum uk_error error, int status, struct uk_slice text);
void uk_sender_discard_one(struct uk_sender *sender, struct uk_sender_slot *slot,
                           struct uk_sender_record *record, enum uk_error error, int status,
                           struct uk_slice text);
/* Makes known to those who wait what the slots still hold. */
void uk_sender_publish(struct uk_sender *sender);
/* Notes why the last request failed; UK_OK, without a text, when it did not. */
void uk_sender_set_trouble(struct uk_sender *sender, enum uk_error error, int status,
                           struct uk_slice text);
/* Everything left, in slots and queue, is lost. */
void uk_sender_lose(struct uk_sender *sender);

#endif
