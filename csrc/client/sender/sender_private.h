/* sender_private: the sender as its own files and its owner see it. */
#ifndef UK_SENDER_PRIVATE_H
#define UK_SENDER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/idempotency_key.h"
#include "client/sender/sender.h"
#include "client/sender/sender_batch.h"
#include "client/sender/sender_failures.h"
#include "client/sender/sender_latency.h"
#include "client/sender/sender_reasons.h"
#include "client/transport_multi.h"

/* Milliseconds. */
enum {
  UK_SENDER_MEMORY_DELAY = 100,  /* before memory that was out is asked for again */
  UK_SENDER_LOG_INTERVAL = 1000, /* between two lines of the log */
  UK_SENDER_LOG_AGAIN = 60000,   /* between two that say that the server refuses us */
  UK_SENDER_IDLE = 5000          /* that an idle sender without references stays */
};

struct uk_client_failure;

/* What a sender asks of its owner, from its thread, with no lock held. */
struct uk_sender_owner {
  /* The sender is idle and had no references. Returns true when that is still so: the sender is
   * taken off the owner's list and its thread ends. */
  bool (*retire)(struct uk_sender *sender);
  /* The thread has ended and nobody waits for it: the owner frees the sender or drops a reference.
   * The thread does not touch the sender afterwards. */
  void (*ended)(struct uk_sender *sender);
};

struct uk_sender {
  struct uk_settings settings;
  struct uk_sender_options options;
  struct uk_transfers *transfers;
  const struct uk_sender_owner *owner;
  pthread_t thread;

  /* The owner's, under its lock. */
  struct uk_link link;
  unsigned references;
  bool listed;
  atomic_bool orphaned; /* no references; the thread reads it */

  /* Under `lock`. */
  pthread_mutex_t lock;
  pthread_cond_t changed; /* broadcast to the waiters: room, a message resolved, the end */
  unsigned waiters;
  struct uk_sender_queue queue;
  size_t wake_messages, wake_bytes; /* queue levels at which a caller wakes the thread */
  uint64_t flush_mark;              /* messages before this mark do not linger */
  uint64_t oldest_batched;          /* the oldest pending one in a batch, UINT64_MAX = none */
  bool stopping;
  int64_t stop_at; /* when everything left is given up */
  bool ended;      /* the thread no longer uses this struct */
  bool detached;   /* nobody joins the thread; it notifies the owner when it ends */
  struct uk_sender_stats counts;
  struct uk_sender_failures failures;
  struct uk_sender_reasons reasons;
  uint64_t logged;                   /* discarded messages that were logged */
  char trouble[UK_SENDER_TEXT_SIZE]; /* why the last request failed, "" when it succeeded */

  pthread_mutex_t latency_lock;
  struct uk_sender_latency latency;

  /* The thread's own. */
  struct uk_key_source keys;
  int64_t idle_since;
  int64_t no_memory_until; /* no batch is filled before */
  int64_t logged_at;
  enum uk_error logged_error; /* that the last line was about */
  int64_t refused_since;      /* when the server began to refuse us: 401 or 403 */
  int64_t refused_at;         /* when it did so last; 0 = it does not */
  enum uk_error refusal;      /* how it did so last */
  enum uk_error failure;      /* of the last request, UK_OK when it succeeded or was refused */
  int failure_status;         /* HTTP status, 0 = none */
  bool delays_skipped;
  unsigned sending; /* batches in that state */
  unsigned batch_count;
  struct uk_sender_batch batches[];
};

/* sender.c: for the owner. */

/* Starts the thread. NULL with the error. */
struct uk_sender *uk_sender_create(const struct uk_settings *settings,
                                   const struct uk_sender_options *options,
                                   const struct uk_sender_owner *owner, enum uk_error *error);
/* Precondition: the thread has ended, or is the caller. */
void uk_sender_destroy(struct uk_sender *sender);
/* Asks the thread to end, at the latest at `deadline` on the monotonic clock. */
void uk_sender_stop(struct uk_sender *sender, int64_t deadline);
/* Waits for the end of the thread until a moment after `deadline`. False when it has not ended: it
 * is then detached, and uses a reference of the caller's until it ends. */
bool uk_sender_join(struct uk_sender *sender, int64_t deadline);
/* In the child of a fork: frees what is safe to free there. */
void uk_sender_abandon(struct uk_sender *sender);

/* How many discarded messages have not been logged. Messages that were refused do not count: their
 * callers know. Precondition: the caller holds the lock. */
uint64_t uk_sender_unlogged(const struct uk_sender *sender);

/* Counts a message that is given up, or with `dropped` one that made room, and keeps the reason.
 * Precondition: the caller holds the lock. */
void uk_sender_count_discard(struct uk_sender *sender, bool dropped, enum uk_error error,
                             int status, struct uk_slice text);

/* Milliseconds from the last line of the log to the next. Precondition: the caller holds the
 * lock. */
int64_t uk_sender_log_interval(const struct uk_sender *sender);

/* True for 401 and 403: credentials and permissions change while messages wait. */
bool uk_sender_is_refusal(enum uk_error error);

/* The rest is called by the thread, without the lock. */

/* sender_run.c: the thread. Its argument is the sender. */
void *uk_sender_run_thread(void *sender);

/* sender_schedule.c: what is done next, and when. */

/* Fills the batch with what is due in the queue. False when nothing is due or memory is out. */
bool uk_sender_fill(struct uk_sender *sender, struct uk_sender_batch *batch, int64_t now);
/* A free batch; NULL when there is none. */
struct uk_sender_batch *uk_sender_free_batch(struct uk_sender *sender);
/* The batch to be sent next, at its time; NULL when none waits or no more may be in flight. */
struct uk_sender_batch *uk_sender_next_batch(struct uk_sender *sender, int64_t now);
/* How long the thread may sleep. Tells callers at which levels of the queue to wake it. */
int64_t uk_sender_next_wait(struct uk_sender *sender, int64_t now);
/* The first time that the sender is found stopping: makes every batch due. */
void uk_sender_skip_delays(struct uk_sender *sender, int64_t now);
/* True while neither batches nor queue hold a message. */
bool uk_sender_is_empty(struct uk_sender *sender);
/* True when the sender has been empty and without references for UK_SENDER_IDLE. */
bool uk_sender_is_unused(struct uk_sender *sender, bool empty, int64_t now);
/* True when the sender was stopped, and is empty or has no time left. */
bool uk_sender_is_stopped(struct uk_sender *sender, bool empty, int64_t now);

/* sender_expire.c: messages that are older than message_timeout. */

/* Gives up the expired messages of the queue, of the batches that wait, and of those whose request
 * is under way. A request continues while it holds an unexpired message. */
void uk_sender_expire(struct uk_sender *sender, int64_t now);
/* When the next message expires; INT64_MAX = none does. */
int64_t uk_sender_next_expiry(struct uk_sender *sender);
/* Updates `expires` of the batch. */
void uk_sender_set_expiry(const struct uk_sender *sender, struct uk_sender_batch *batch);

/* sender_results.c: answers. */

/* True when a 2xx confirms every message of the window; otherwise `failure` says what is wrong. */
bool uk_sender_confirmed(struct uk_sender *sender, struct uk_sender_batch *batch,
                         const struct uk_response *response, struct uk_client_failure *failure);
/* Takes a failure that has a result per message: some are stored, some failed, the rest is sent
 * again. False, with nothing changed, when it has none. */
bool uk_sender_take_results(struct uk_sender *sender, struct uk_sender_batch *batch,
                            const struct uk_client_failure *failure, const struct uk_buffer *body);

/* sender_resolve.c: what becomes of the messages of a window. */

/* Writes the next window of a batch. The batch is free when no message is pending. */
void uk_sender_write(struct uk_sender *sender, struct uk_sender_batch *batch);
/* Writes a window again, without the messages that have expired: its attempts count on. */
void uk_sender_rewrite(struct uk_sender *sender, struct uk_sender_batch *batch);
/* The server has stored the window, or one message. */
void uk_sender_deliver(struct uk_sender *sender, struct uk_sender_batch *batch);
void uk_sender_deliver_one(struct uk_sender *sender, struct uk_sender_batch *batch,
                           struct uk_sender_record *record);
/* The request failed: all or a part of the window is sent again later, or its messages are given
 * up. */
void uk_sender_fail(struct uk_sender *sender, struct uk_sender_batch *batch,
                    const struct uk_client_failure *failure);
/* Counts and keeps a message that is given up, but leaves it pending. */
void uk_sender_give_up(struct uk_sender *sender, const struct uk_sender_record *record,
                       enum uk_error error, int status, struct uk_slice text);
/* Gives up one message of the window. */
void uk_sender_discard_one(struct uk_sender *sender, struct uk_sender_batch *batch,
                           struct uk_sender_record *record, enum uk_error error, int status,
                           struct uk_slice text);
/* Updates `oldest_batched`, and wakes the waiters to check it. */
void uk_sender_update_waiters(struct uk_sender *sender);
/* Records why the last request failed: UK_OK and no text when it succeeded. */
void uk_sender_set_trouble(struct uk_sender *sender, enum uk_error error, int status,
                           struct uk_slice text);
/* Gives up everything left in the batches and the queue as lost. */
void uk_sender_lose(struct uk_sender *sender);

#endif
