#include "server/api/api_read.h"

#include "server/api/message_json.h"

/* Whether the engine delivers a batch again. */
static bool is_redelivered(const struct uk_request *request)
{
  const struct uk_read_call *call = request->operation;
  return request->endpoint != UK_ENDPOINT_FETCH && call->consume.redelivered;
}

/* Appends the record unless the batch is full; the first one always fits. If memory runs out, the
 * batch ends before this record; if it is the first, the operation fails.
 *
 * A batch that is delivered again has no limits. The other encoding makes it at most eight times as
 * large, and the reply's own limit is for more than that (uk_exchange_reply_bytes). It is delivered
 * whole or not at all: if memory runs out, the reply is an error, and the batch stays outstanding.
 */
static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct uk_request *request = operation->context;
  struct uk_read_call *call = request->operation;
  struct uk_buffer *reply = &request->reply;
  const bool limited = !is_redelivered(request);
  size_t before = reply->length;
  if ((limited && call->count >= call->max_messages) || reply->error != UK_OK)
    return false;
  uk_buffer_append_byte(reply, call->count > 0 ? ',' : '[');
  uk_json_write_message(reply, record, call->base64);
  bool full = reply->error != UK_OK || reply->length >= (size_t)call->max_bytes;
  if (limited && full && call->count > 0) {
    reply->length = before;
    reply->error = UK_OK;
    return false;
  }
  if (reply->error != UK_OK)
    return false;
  call->count++;
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  return uk_request_is_client_alive(operation->context);
}

const struct uk_sink uk_api_read_sink = {.record = take, .is_client_alive = is_client_alive};

void uk_api_read_client_gone(struct uk_request *request)
{
  struct uk_engine *engine = uk_api_engine(request);
  struct uk_operation *operation = request->operation;
  uk_operation_expire(operation);
  if (request->endpoint == UK_ENDPOINT_FETCH)
    engine->methods->fetch_expired(engine, (struct uk_fetch *)operation);
  else
    engine->methods->consume_expired(engine, (struct uk_consume *)operation);
}

void uk_api_read_finish(struct uk_request *request)
{
  const struct uk_read_call *call = request->operation;
  if (uk_api_failed(request))
    return;
  uk_buffer_append_text(&request->reply, call->count > 0 ? "]" : "[]");
}

static void override(int64_t *value, const struct uk_json_integer *given)
{
  *value = given->given ? given->value : *value;
}

struct uk_read_call *uk_api_read_start(struct uk_request *request,
                                       const struct uk_json_shape *shape, struct uk_read_body *body,
                                       int64_t timeout, void (*finish)(struct uk_request *))
{
  int64_t max_messages = UK_BATCH_MESSAGES, max_bytes = UK_BATCH_BYTES;
  bool base64;
  if (!uk_api_query_integer(request, "timeout", 0, UK_TIMEOUT_MAX, &timeout) ||
      !uk_api_query_integer(request, "max_messages", 1, UK_BATCH_MESSAGES_MAX, &max_messages) ||
      !uk_api_query_integer(request, "max_bytes", 1, UK_BATCH_BYTES_MAX, &max_bytes) ||
      !uk_api_encoding(request, &base64) || !uk_json_read_object(request, shape, body))
    return NULL;
  override(&timeout, &body->timeout);
  override(&max_messages, &body->max_messages);
  override(&max_bytes, &body->max_bytes);
  struct uk_read_call *call = uk_api_operation(request, sizeof *call, timeout, finish);
  if (call == NULL)
    return NULL;
  call->max_messages = max_messages;
  call->max_bytes = max_bytes;
  call->base64 = base64;
  return call;
}
