#include "server/api/api_group.h"

#include "common/clock.h"
#include "server/access/credentials.h"

enum { FIRST_POSITIONS = 16 };

/* Three questions to the engine, one after another: which topics there are, what the group has
 * committed in those that the credentials do not admit, and what live instances hold. */
struct group_check {
  union {
    struct uk_operation operation;
    struct uk_topics topics;
    struct uk_committed committed;
    struct uk_consumers consumers;
  };
  struct uk_request *request;
  void (*submit)(struct uk_request *request);
  struct uk_topic_partition_offset *positions;
  size_t count, capacity;
  bool is_foreign; /* a topic that the credentials do not admit */
  bool no_memory;
};

static struct group_check *of(struct uk_operation *operation)
{
  return operation->context;
}

static void begin(struct group_check *check, void (*done)(struct uk_operation *operation))
{
  memset(&check->consumers, 0, sizeof check->consumers);
  memset(&check->committed, 0, sizeof check->committed);
  memset(&check->topics, 0, sizeof check->topics);
  check->operation.done = done;
  check->operation.context = check;
  check->operation.deadline = uk_clock_monotonic() + UK_OFFSETS_TIMEOUT;
}

/* Replies without the operation. What the engine says may name topics of others. */
static void refuse(struct group_check *check, enum uk_error error)
{
  struct uk_request *request = check->request;
  const struct uk_slice group = request->parameters[0];
  request->finish = NULL;
  if (error == UK_E_FORBIDDEN)
    uk_request_error(request, error,
                     "group \"%.*s\": the credentials do not permit every topic of this group",
                     (int)group.length, group.data);
  else
    uk_request_error(
      request, error == UK_E_NO_MEMORY || error == UK_E_BAD_REQUEST ? error : UK_E_UNAVAILABLE,
      NULL);
  uk_request_reply(request);
}

/* The third answer. */

static void note_owned(struct uk_operation *operation, struct uk_slice group,
                       struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                       size_t count)
{
  struct group_check *check = of(operation);
  const struct uk_request *request = check->request;
  (void)instance, (void)partitions, (void)count;
  if (topic.length > 0 && uk_slice_equal(group, request->parameters[0]) &&
      !uk_credential_admits(request->credential, topic))
    check->is_foreign = true;
}

static void take_consumers(struct uk_operation *operation)
{
  struct group_check *check = of(operation);
  if (operation->error != UK_OK)
    refuse(check, operation->error);
  else if (check->is_foreign)
    refuse(check, UK_E_FORBIDDEN);
  else
    check->submit(check->request);
}

static void ask_consumers(struct group_check *check)
{
  struct uk_engine *engine = uk_api_engine(check->request);
  begin(check, take_consumers);
  check->consumers.owned = note_owned;
  engine->methods->consumers(engine, &check->consumers);
}

/* The second one. */

static void take_committed(struct uk_operation *operation)
{
  struct group_check *check = of(operation);
  for (size_t i = 0; operation->error == UK_OK && i < check->count; i++)
    check->is_foreign = check->is_foreign || check->positions[i].offset >= 0;
  if (operation->error != UK_OK)
    refuse(check, operation->error);
  else if (check->is_foreign)
    refuse(check, UK_E_FORBIDDEN);
  else
    ask_consumers(check);
}

static void ask_committed(struct group_check *check)
{
  struct uk_engine *engine = uk_api_engine(check->request);
  begin(check, take_committed);
  check->committed.group = check->request->parameters[0];
  check->committed.offsets = check->positions;
  check->committed.count = check->count;
  engine->methods->committed(engine, &check->committed);
}

/* The first one. */

static bool has_room(struct group_check *check, size_t more)
{
  size_t larger = check->capacity > 0 ? check->capacity : FIRST_POSITIONS;
  while (larger - check->count < more)
    larger *= 2;
  if (larger == check->capacity)
    return true;
  struct uk_topic_partition_offset *positions =
    uk_arena_allocate(&check->request->arena, larger, sizeof *positions);
  if (positions == NULL)
    return false;
  if (check->count > 0)
    memcpy(positions, check->positions, check->count * sizeof *positions);
  check->positions = positions;
  check->capacity = larger;
  return true;
}

static void note_topic(struct uk_operation *operation, struct uk_slice name, int32_t partitions)
{
  struct group_check *check = of(operation);
  if (check->no_memory || partitions < 1 || uk_topic_name_internal(name) ||
      uk_credential_admits(check->request->credential, name))
    return;
  const char *copy = uk_arena_copy(&check->request->arena, name.data, name.length);
  if (copy == NULL || !has_room(check, (size_t)partitions)) {
    check->no_memory = true;
    return;
  }
  for (int32_t i = 0; i < partitions; i++)
    check->positions[check->count++] =
      (struct uk_topic_partition_offset){uk_slice_of(copy, name.length), i, -1};
}

static void take_topics(struct uk_operation *operation)
{
  struct group_check *check = of(operation);
  if (operation->error != UK_OK || check->no_memory)
    refuse(check, check->no_memory ? UK_E_NO_MEMORY : operation->error);
  else if (check->count > 0)
    ask_committed(check);
  else
    ask_consumers(check);
}

bool uk_api_with_group(struct uk_request *request, void (*submit)(struct uk_request *request))
{
  struct uk_engine *engine = uk_api_engine(request);
  if (uk_credential_admits_all(request->credential)) {
    submit(request);
    return true;
  }
  struct group_check *check = uk_arena_allocate(&request->arena, 1, sizeof *check);
  if (check == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  check->request = request;
  check->submit = submit;
  begin(check, take_topics);
  check->topics.topic = note_topic;
  engine->methods->topics(engine, &check->topics);
  return true;
}
