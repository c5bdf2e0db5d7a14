/* commit, committed, delete-consumer: a group's committed offsets and its instances. */
#include "server/api/api_batch.h"
#include "server/api/api_group.h"

static void finish_commit(struct uk_request *request)
{
  const struct uk_commit *commit = request->operation;
  uk_api_finish_success(request);
  uk_api_explain_conflict(request, &commit->acknowledgement);
}

static void submit_commit(struct uk_request *request)
{
  struct uk_engine *engine = uk_api_engine(request);
  engine->methods->commit(engine, request->operation);
}

/* An empty array commits nothing, and without an acknowledgement the engine has nothing to do. An
 * empty body commits everything consumed so far. */
bool uk_api_commit(struct uk_request *request)
{
  struct uk_json_list list;
  struct uk_acknowledgement acknowledgement;
  if (!uk_api_check_group(request) || !uk_api_read_acknowledgement(request, &acknowledgement) ||
      !uk_json_read_objects(request, &uk_api_position_shape, UK_POSITIONS_MAX, &list))
    return false;
  const bool nothing = list.given && list.count == 0;
  if (nothing && acknowledgement.kind == UK_ACKNOWLEDGE_WRITTEN) {
    uk_api_write_success(request);
    return false;
  }
  struct uk_commit *commit =
    uk_api_operation(request, sizeof *commit, UK_OFFSETS_TIMEOUT, finish_commit);
  if (commit == NULL)
    return false;
  commit->group = request->parameters[0];
  commit->instance = request->parameters[1];
  commit->acknowledgement = acknowledgement;
  commit->nothing = nothing;
  commit->offsets = uk_api_positions(request, &list);
  commit->count = list.count;
  if (commit->offsets == NULL || !uk_api_ask(request, &acknowledgement))
    return false;
  uk_request_drop_input(request, false);
  return uk_api_with_group(request, submit_commit);
}

static void finish_committed(struct uk_request *request)
{
  const struct uk_committed *committed = request->operation;
  if (!uk_api_failed(request))
    uk_api_write_positions(&request->reply, committed->offsets, committed->count);
}

bool uk_api_committed(struct uk_request *request)
{
  struct uk_json_list list;
  int64_t timeout = UK_OFFSETS_TIMEOUT;
  if (!uk_api_check_group(request) ||
      !uk_api_query_integer(request, "timeout", 0, UK_TIMEOUT_MAX, &timeout) ||
      !uk_api_read_partitions(request, &list))
    return false;
  struct uk_committed *committed =
    uk_api_operation(request, sizeof *committed, timeout, finish_committed);
  if (committed == NULL)
    return false;
  committed->group = request->parameters[0];
  committed->offsets = uk_api_positions(request, &list);
  committed->count = list.count;
  if (committed->offsets == NULL)
    return false;
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->committed(engine, committed);
  return true;
}

static void finish_delete_consumer(struct uk_request *request)
{
  const struct uk_delete_consumer *operation = request->operation;
  uk_api_finish_success(request);
  uk_api_explain_conflict(request, &operation->acknowledgement);
}

static void submit_deletion(struct uk_request *request)
{
  struct uk_engine *engine = uk_api_engine(request);
  engine->methods->delete_consumer(engine, request->operation);
}

bool uk_api_delete_consumer(struct uk_request *request)
{
  if (!uk_api_check_group(request))
    return false;
  struct uk_delete_consumer *operation =
    uk_api_operation(request, sizeof *operation, UK_OFFSETS_TIMEOUT, finish_delete_consumer);
  if (operation == NULL || !uk_api_read_acknowledgement(request, &operation->acknowledgement) ||
      !uk_api_ask(request, &operation->acknowledgement))
    return false;
  operation->group = request->parameters[0];
  operation->instance = request->parameters[1];
  uk_request_drop_input(request, false);
  return uk_api_with_group(request, submit_deletion);
}
