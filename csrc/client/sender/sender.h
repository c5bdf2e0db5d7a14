/* sender: delivers messages in the background. A caller adds a message to a bounded queue, which
 * costs a copy. The sender's thread makes batches of the messages, sends them, retries what may
 * succeed later, and keeps the messages that it gave up, with the reason.
 *
 * Delivery is at least once: a request that may have been stored is sent again under the same
 * Idempotency-Key. With one request in flight the order of the messages is kept.
 *
 * All functions are thread-safe. The registry (sender_registry.h) creates and frees senders. */
#ifndef UK_SENDER_H
#define UK_SENDER_H

#include "client/request.h"
#include "client/settings.h"
#include "common/list.h"

struct uk_sender;

/* What happens to a message that finds the queue full. */
enum uk_overflow {
  UK_OVERFLOW_ERROR,      /* it is refused */
  UK_OVERFLOW_BLOCK,      /* the caller waits for up to block_timeout, then it is refused */
  UK_OVERFLOW_DROP_OLDEST /* the oldest waiting messages are dropped */
};

enum {
  UK_SENDER_NAME_MAX = 64,
  UK_SENDER_IN_FLIGHT_MAX = 64,
  UK_SENDER_QUEUE_BYTES_MIN = 4096,
  UK_SENDER_FLUSH_MAX = 2000, /* milliseconds at the exit of the process */
  UK_SENDER_TEXT_SIZE = 256,
  UK_SENDER_FAILURES_MAX = 1000,
  UK_SENDER_FAILURE_BYTES_MAX = 1 << 20 /* of the records of the failures that are kept */
};

/* Times in milliseconds. uk_sender_options_default fills all fields. */
struct uk_sender_options {
  int64_t queue_bytes;
  int64_t batch_bytes; /* of records, before they become JSON */
  int64_t batch_messages;
  int64_t linger;          /* how long a message may wait for others */
  int64_t in_flight;       /* requests */
  int64_t message_timeout; /* from send to delivery; 0: no limit */
  int64_t give_up_after;   /* how long 401 and 403 are retried */
  int64_t block_timeout;
  int64_t flush_timeout; /* at the exit of the process */
  int overflow;          /* enum uk_overflow */
  bool gzip;
  bool log; /* log discarded messages to stderr, at most one line per second */
  char name[UK_SENDER_NAME_MAX + 1]; /* senders with different names share nothing */
};

void uk_sender_options_default(struct uk_sender_options *options);

/* Messages since the sender was created, unless a comment says otherwise. */
struct uk_sender_stats {
  uint64_t sent;                     /* accepted into the queue */
  uint64_t delivered;                /* confirmed by the server */
  uint64_t failed;                   /* given up, including the lost ones */
  uint64_t dropped;                  /* by UK_OVERFLOW_DROP_OLDEST */
  uint64_t refused;                  /* not accepted: the queue was full */
  uint64_t lost;                     /* given up because the sender was stopped */
  uint64_t dropped_failures;         /* failures that were not kept: no room */
  uint64_t retried;                  /* requests that were sent again */
  uint64_t requests;                 /* requests that were answered or failed */
  uint64_t queued;                   /* in the queue now */
  uint64_t in_flight;                /* out of the queue and pending now */
  uint64_t bytes;                    /* of the queue in use now */
  char trouble[UK_SENDER_TEXT_SIZE]; /* why the last request failed; "" when it succeeded */
  double latency_mean, latency_p50, latency_p99, latency_max; /* milliseconds, send to answer */
};

void uk_sender_stats(struct uk_sender *sender, struct uk_sender_stats *stats);

/* Adds a copy of the message to the queue. Returns UK_OK, or, with nothing changed, QUEUE_FULL,
 * TOO_LARGE (larger than the queue) or CANCELLED (the sender was stopped). An absent timestamp
 * becomes the current time. `headers` are packed (sender_record.h). UTF-8 is not checked. */
enum uk_error uk_sender_send(struct uk_sender *sender, const struct uk_message *message,
                             struct uk_slice headers);

/* Why messages were given up. */
struct uk_sender_reason {
  uint64_t number; /* of the last one */
  enum uk_error error;
  int status;                     /* HTTP status, 0 = none */
  char text[UK_SENDER_TEXT_SIZE]; /* never "" */
};

/* How many messages were given up or dropped since the sender was created. Sets `first` to the
 * reason of the first one after the number `since`, if it is kept; leaves it alone when
 * there is none. */
uint64_t uk_sender_discards(struct uk_sender *sender, uint64_t since,
                            struct uk_sender_reason *first);

/* Asks the thread to send everything in the queue without lingering. Returns a mark after the last
 * message sent so far. */
uint64_t uk_sender_flush_start(struct uk_sender *sender);
/* True when every message before the mark is delivered or given up. */
bool uk_sender_is_flushed(struct uk_sender *sender, uint64_t mark);
/* Waits until then, or until `deadline` on the monotonic clock. False at the deadline. */
bool uk_sender_wait(struct uk_sender *sender, uint64_t mark, int64_t deadline);

/* A message that was given up. Its record follows in memory. */
struct uk_sender_failure {
  struct uk_link link;
  enum uk_error error;
  int status;                     /* HTTP status, 0 = none */
  char text[UK_SENDER_TEXT_SIZE]; /* "": the error's own text */
};

const struct uk_sender_record *uk_sender_failure_record(const struct uk_sender_failure *failure);

/* Moves the failures, the oldest first, to the end of `failures`; free each with free(). Returns
 * how many failures were not kept since the last call. */
uint64_t uk_sender_take_failures(struct uk_sender *sender, struct uk_list *failures);

#endif
