/* sender_registry: the senders of this process, one for each combination of settings and options.
 *
 * Callers with the same settings and options share a sender; each holds a reference. A sender
 * without references empties its queue, stays for UK_SENDER_IDLE milliseconds in case a caller asks
 * for it again, and ends. So a Lua state that lives for one request neither starts a thread nor
 * waits for one.
 *
 * A forked child starts with an empty registry: the parent delivers what its senders hold.
 * References from before the fork are void in the child; uk_registry_generation tells them apart.
 * At the exit of the process all senders are stopped, each within its flush_timeout. */
#ifndef UK_SENDER_REGISTRY_H
#define UK_SENDER_REGISTRY_H

#include "client/sender/sender.h"

enum { UK_REGISTRY_SENDERS_MAX = 64 };

/* A number that changes in the child of each fork. */
unsigned uk_registry_generation(void);

/* A reference to the sender with these settings and options, which is started when there is none.
 * NULL with the error: NO_MEMORY, TOO_MANY senders, TRANSPORT_FAILED, or CANCELLED at the exit of
 * the process. */
struct uk_sender *uk_registry_acquire(const struct uk_settings *settings,
                                      const struct uk_sender_options *options,
                                      enum uk_error *error);

/* Gives back a reference of this generation. Does not block. */
void uk_registry_release(struct uk_sender *sender);

/* Stops the sender if the caller's reference is the only one; otherwise waits until everything sent
 * so far is delivered or given up. Takes at most `timeout` milliseconds. Returns how many messages
 * were lost or are still pending. The caller keeps its reference, and can still read the stats and
 * failures of a stopped sender. */
uint64_t uk_registry_close(struct uk_sender *sender, int64_t timeout, bool *stopped);

/* Stops every sender of the process within `timeout` milliseconds, even if it has references.
 * Returns how many messages were lost. */
uint64_t uk_registry_close_all(int64_t timeout);

#endif
