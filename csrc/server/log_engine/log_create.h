/* log_create: the topics that a consume names and that do not exist, created before it is served. */
#ifndef UK_LOG_CREATE_H
#define UK_LOG_CREATE_H

#include "server/log_engine/log.h"

/* Creates them all or none. Calls `then` once, from any thread, possibly before it returns, with the
 * operation as it was or failed. A consume that may create nothing, or misses no topic, passes at
 * once. */
void uk_log_create_missing(struct uk_log *log, struct uk_consume *consume,
                           void (*then)(void *context, struct uk_consume *consume), void *context);

#endif
