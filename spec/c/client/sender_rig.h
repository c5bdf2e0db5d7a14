/* sender_rig: a real server in its own process, and senders for it. */
#ifndef SENDER_RIG_H
#define SENDER_RIG_H

#include "client/sender/sender_registry.h"

enum { RIG_PATIENCE = 60000 };

/* Starts the server. Call it first. Returns settings for the server, with short retry delays; NULL
 * when it did not start. */
const struct uk_settings *rig_serve(void);
/* Kills the server and removes its data. */
void rig_serve_end(void);

/* The same settings for a server at that port. */
struct uk_settings rig_settings(int port);

/* The number of messages in partition 0 of the topic; -1 when there is no such topic. */
int64_t rig_stored(const char *topic);

/* Options for a sender that lingers for 1 ms and does not log. */
struct uk_sender_options rig_options_named(const char *name);

struct uk_sender *rig_acquire(const struct uk_sender_options *options);
enum uk_error rig_send(struct uk_sender *sender, const char *topic, const char *text);
/* False too when it returned only at its deadline: a wake-up was lost. */
bool rig_flush(struct uk_sender *sender);
/* Closes and releases the sender. Returns the number of messages lost. */
uint64_t rig_close(struct uk_sender *sender, int64_t timeout);

#endif
