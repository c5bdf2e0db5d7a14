/* sender: messages sent in the background. A caller puts them into a queue of bounded size, which
 * costs a copy; a thread of the sender's own makes batches of them, sends these, tries again what may
 * succeed later, and keeps what could not be delivered, with the reason.
 *
 * Delivery is at least once: what may have been stored is sent again, under the same
 * Idempotency-Key. With one request in flight the order of the messages is kept.
 *
 * Any thread may call these functions. Who holds a sender is the registry's business
 * (sender_registry.h). */
#ifndef UK_SENDER_H
#define UK_SENDER_H

#include "client/request.h"
#include "client/settings.h"

struct uk_sender;

enum uk_overflow {
  UK_OVERFLOW_ERROR,      /* the new message is refused */
  UK_OVERFLOW_BLOCK,      /* the caller waits, then the message is refused */
  UK_OVERFLOW_DROP_OLDEST /* the oldest ones waiting are given up */
};

enum {
  UK_SENDER_NAME_MAX = 64,
  UK_SENDER_IN_FLIGHT_MAX = 64,
  UK_SENDER_QUEUE_BYTES_MIN = 4096,
  UK_SENDER_FLUSH_MAX = 2000, /* milliseconds at the exit of the process */
  UK_SENDER_TEXT_SIZE = 256,
  UK_SENDER_FAILURES_MAX = 1000,
  UK_SENDER_FAILURE_BYTES_MAX = 1 << 20 /* of the records among the failures */
};

/* Times in milliseconds. uk_sender_options_default fills all. */
struct uk_sender_options {
  int64_t queue_bytes;
  int64_t batch_bytes; /* of records, before they are written as JSON */
  int64_t batch_messages;
  int64_t linger;          /* how long a message may wait for others */
  int64_t in_flight;       /* requests */
  int64_t message_timeout; /* from send to delivery; 0: for ever */
  int64_t block_timeout;
  int64_t flush_timeout; /* at the exit of the process */
  int overflow;          /* enum uk_overflow */
  bool gzip;
  bool log; /* a line on standard error about discards, at most one a second */
  char name[UK_SENDER_NAME_MAX + 1]; /* senders of different names share nothing */
};

void uk_sender_options_default(struct uk_sender_options *options);

/* Counts of messages since the sender began, but where it says otherwise. */
struct uk_sender_stats {
  uint64_t sent;                     /* taken into the queue */
  uint64_t delivered;                /* the server says so */
  uint64_t failed;                   /* given up, lost ones included */
  uint64_t dropped;                  /* by UK_OVERFLOW_DROP_OLDEST */
  uint64_t refused;                  /* never taken: the queue was full */
  uint64_t lost;                     /* given up because the sender was stopped */
  uint64_t missed;                   /* failures that found no room among those kept */
  uint64_t retried;                  /* requests that were made again */
  uint64_t requests;                 /* that were answered or failed */
  uint64_t queued;                   /* waiting now */
  uint64_t in_flight;                /* taken out of the queue and not settled, now */
  uint64_t bytes;                    /* of the queue in use now */
  char trouble[UK_SENDER_TEXT_SIZE]; /* why the last request failed, "" when it did not */
  double latency_mean, latency_p50, latency_p99, latency_max; /* milliseconds, send to answer */
};

void uk_sender_stats(struct uk_sender *sender, struct uk_sender_stats *stats);

/* Takes the message in. UK_OK, or with nothing done QUEUE_FULL, TOO_LARGE (over what the queue can
 * hold), CANCELLED (the sender was stopped). A timestamp that is absent becomes the time of the call.
 * Everything is copied. `headers` are packed (sender_record.h); UTF-8 is not looked at. */
enum uk_error uk_sender_send(struct uk_sender *sender, const struct uk_message *message,
                             struct uk_slice headers);

/* Asks for everything sent so far to go out at once, and returns the mark that stands behind it. */
uint64_t uk_sender_hurry(struct uk_sender *sender);
/* Whether everything before the mark is delivered or given up. */
bool uk_sender_settled(struct uk_sender *sender, uint64_t mark);
/* Waits for that until the time on the monotonic clock. */
bool uk_sender_wait(struct uk_sender *sender, uint64_t mark, int64_t deadline);

/* A message that was not delivered. `record` stands behind it. */
struct uk_sender_failure {
  struct uk_sender_failure *next;
  enum uk_error error;
  int status;                     /* of HTTP, 0 = none */
  char text[UK_SENDER_TEXT_SIZE]; /* "": the error's own */
};

const struct uk_sender_record *uk_sender_failure_record(const struct uk_sender_failure *failure);

/* Hands the failures over, the oldest first; free each with free(). `missed` is how many found no
 * room since the last call. */
struct uk_sender_failure *uk_sender_failures(struct uk_sender *sender, uint64_t *missed);

#endif
