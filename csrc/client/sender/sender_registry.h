/* sender_registry: the senders of this process, one for each set of settings and options.
 *
 * Whoever asks for the same settings and options gets the same sender, and holds a reference to it. A
 * sender without references goes on until its queue is empty, and ends by itself when nobody has
 * asked for it for a while: a Lua state that is made for a request and closed after it starts no thread
 * and waits for none.
 *
 * After a fork the child's registry is empty; what the parent's senders hold is the parent's to send. A
 * reference from before the fork is void in the child: uk_registry_generation tells. At the exit of the
 * process all senders are stopped, within their flush_timeout. */
#ifndef UK_SENDER_REGISTRY_H
#define UK_SENDER_REGISTRY_H

#include "client/sender/sender.h"

enum { UK_REGISTRY_SENDERS_MAX = 64, UK_REGISTRY_KEEP = 5000 /* milliseconds */ };

/* Changes with each fork, in the child. */
unsigned uk_registry_generation(void);

/* A reference to the sender of these settings and options, started when there is none. NULL with the
 * error: NO_MEMORY, TOO_MANY senders, TRANSPORT_FAILED, CANCELLED at the exit of the process. */
struct uk_sender *uk_registry_acquire(const struct uk_settings *settings,
                                      const struct uk_sender_options *options,
                                      enum uk_error *error);

/* Gives a reference of this generation back. Does not wait. */
void uk_registry_release(struct uk_sender *sender);

/* Stops the sender when the caller's reference is the only one, and else waits until all that was
 * sent is settled; for `timeout` milliseconds. Returns how many messages were lost, or are not settled
 * yet. The reference stays the caller's: what a sender that was stopped has counted and kept can still
 * be asked for. */
uint64_t uk_registry_close(struct uk_sender *sender, int64_t timeout, bool *stopped);

/* Stops every sender of the process, whoever holds it, within that many milliseconds. Returns how many
 * messages were lost. */
uint64_t uk_registry_close_all(int64_t timeout);

/* For the thread: whether it is to end, because nobody holds its sender. The sender is then its own to
 * destroy. */
bool uk_registry_retire(struct uk_sender *sender);
void uk_registry_retired(void);

#endif
