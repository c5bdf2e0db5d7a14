/* log_create: creates the missing topics of a consume before it is served. */
#ifndef UK_LOG_CREATE_H
#define UK_LOG_CREATE_H

#include "server/log_engine/log.h"

/* Creates them, all or none. Calls `then` once, on any thread, possibly before it returns; the
 * operation is unchanged or has failed. Calls it at once when the consume may not create topics or
 * none is missing. */
void uk_log_create_missing(struct uk_log *log, struct uk_consume *consume,
                           void (*then)(void *context, struct uk_consume *consume), void *context);

#endif
