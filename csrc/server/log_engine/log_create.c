#include "server/log_engine/log_create.h"

#include <stdlib.h>

struct creation {
  struct uk_log_create_missing command;
  struct uk_consume *consume;
  void (*then)(void *context, struct uk_consume *consume);
  void *context;
};

static bool misses_topic(struct uk_log *log, const struct uk_consume *consume)
{
  uint64_t id;
  for (size_t i = 0; i < consume->topic_count; i++) {
    if (uk_log_partitions(log, consume->topics[i], &id) == 0)
      return true;
  }
  return false;
}

static void created(struct uk_operation *operation)
{
  struct creation *creation = (struct creation *)operation;
  if (operation->error != UK_OK)
    uk_operation_fail(&creation->consume->operation, operation->error, "%s", operation->message);
  creation->then(creation->context, creation->consume);
  free(creation);
}

void uk_log_create_missing(struct uk_log *log, struct uk_consume *consume,
                           void (*then)(void *context, struct uk_consume *consume), void *context)
{
  if (!consume->create || !uk_log_creates_topics(log) || !misses_topic(log, consume)) {
    then(context, consume);
    return;
  }
  struct creation *creation = calloc(1, sizeof *creation);
  if (creation == NULL) {
    uk_operation_fail(&consume->operation, UK_E_NO_MEMORY, "%s", "");
    then(context, consume);
    return;
  }
  *creation = (struct creation){.command = {.operation = {.done = created},
                                            .topics = consume->topics,
                                            .count = consume->topic_count},
                                .consume = consume,
                                .then = then,
                                .context = context};
  uk_log_submit(log, UK_LOG_CREATE_MISSING, &creation->command.operation);
}
