#include "server/log_engine/log_create.h"

#include <stdlib.h>

/* The names are copied: when the disk hangs, the consume is answered first. */
struct creation {
  struct uk_log_create_missing command;
  struct uk_consume *consume; /* NULL once it was answered */
  void (*then)(void *context, struct uk_consume *consume);
  void *context;
  struct uk_slice topics[];
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

/* Goes on with the consume, unless that was done before. */
static void go_on(struct creation *creation, enum uk_error error, const char *message)
{
  struct uk_consume *consume = creation->consume;
  creation->consume = NULL;
  if (consume == NULL)
    return;
  if (error != UK_OK)
    uk_operation_fail(&consume->operation, error, "%s", message);
  creation->then(creation->context, consume);
}

static void late(struct uk_operation *operation, const char *message)
{
  go_on((struct creation *)operation, UK_E_GATEWAY_TIMEOUT, message);
}

static void created(struct uk_operation *operation)
{
  struct creation *creation = (struct creation *)operation;
  go_on(creation, operation->error, operation->message);
  free(creation);
}

static struct creation *new_creation(const struct uk_consume *consume)
{
  size_t count = consume->topic_count, bytes = 0;
  for (size_t i = 0; i < count; i++)
    bytes += consume->topics[i].length;
  struct creation *made = calloc(1, sizeof *made + count * sizeof made->topics[0] + bytes);
  if (made == NULL)
    return NULL;
  char *names = (char *)(made->topics + count);
  for (size_t i = 0; i < count; i++) {
    const struct uk_slice name = consume->topics[i];
    made->topics[i] = uk_slice_of(memcpy(names, name.data, name.length), name.length);
    names += name.length;
  }
  made->command.operation.done = created;
  made->command.operation.late = late;
  made->command.topics = made->topics;
  made->command.count = count;
  return made;
}

void uk_log_create_missing(struct uk_log *log, struct uk_consume *consume,
                           void (*then)(void *context, struct uk_consume *consume), void *context)
{
  if (!consume->create || !uk_log_creates_topics(log) || !misses_topic(log, consume)) {
    then(context, consume);
    return;
  }
  struct creation *creation = new_creation(consume);
  if (creation == NULL) {
    uk_operation_fail(&consume->operation, UK_E_NO_MEMORY, "%s", "");
    then(context, consume);
    return;
  }
  creation->consume = consume;
  creation->then = then;
  creation->context = context;
  uk_log_submit(log, UK_LOG_CREATE_MISSING, &creation->command.operation);
}
