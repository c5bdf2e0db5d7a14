/* sender_rig: what the tests of senders share: a real server in a process of its own, and senders of it. */
#ifndef SENDER_RIG_H
#define SENDER_RIG_H

#include "client/sender/sender_registry.h"

enum { RIG_PATIENCE = 60000 };

/* Starts the server, before anything else; NULL when that fails. They reach it, with short delays between
 * retries. */
const struct uk_settings *rig_serve(void);
/* Kills it, and removes what it kept. */
void rig_serve_end(void);

/* The same, of a server at that port. */
struct uk_settings rig_settings(int port);

/* How many messages the topic's partition 0 holds; -1 when there is none. */
int64_t rig_stored(const char *topic);

/* Options of a sender that lingers for 1 ms and does not log. */
struct uk_sender_options rig_options_named(const char *name);

struct uk_sender *rig_acquire(const struct uk_sender_options *options);
enum uk_error rig_send(struct uk_sender *sender, const char *topic, const char *text);
/* False also when nobody woke it before its deadline. */
bool rig_flush(struct uk_sender *sender);
/* Closes and releases. */
uint64_t rig_close(struct uk_sender *sender, int64_t timeout);

#endif
