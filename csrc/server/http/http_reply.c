/* The reply of a request, on its way out. */
#include <stdlib.h>

#include "common/gzip.h"
#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http_exchange.h"
#include "server/http/http_refusal.h"

const size_t uk_exchange_reply_bytes =
  (size_t)1 << 30; /* the largest batch and one record escaped at worst fit */

static void pack(struct uk_request *request)
{
  struct uk_buffer packed;
  uk_buffer_init(&packed, uk_exchange_reply_bytes);
  if (uk_gzip(&packed, uk_buffer_slice(&request->reply)) == UK_OK) {
    uk_buffer_free(&request->reply);
    request->reply = packed;
    uk_request_add_header(request, "Content-Encoding", "gzip");
  } else {
    uk_buffer_free(&packed);
  }
}

void uk_exchange_settle(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  if (request->finish != NULL && !exchange->refused)
    request->finish(request);
  if (request->reply.error != UK_OK)
    uk_request_replace_reply(request);
  if (exchange->accepts_gzip && request->reply.length >= UK_GZIP_LEAST)
    pack(request);
}

/* A reply that is not 204 has a body, and none only where there was no memory for it. */
static struct MHD_Response *take_body(struct uk_request *request)
{
  size_t length = 0;
  if (request->status == MHD_HTTP_NO_CONTENT)
    return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
  char *text = uk_buffer_take(&request->reply, &length);
  struct MHD_Response *response =
    text != NULL ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE) : NULL;
  if (response == NULL)
    free(text);
  return response;
}

struct MHD_Response *uk_http_make_response(struct uk_request *request)
{
  struct MHD_Response *response = take_body(request);
  if (response == NULL)
    return NULL;
  enum MHD_Result added = MHD_YES;
  if (request->status != MHD_HTTP_NO_CONTENT)
    added = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  for (unsigned i = 0; i < request->reply_header_count && added == MHD_YES; i++)
    added = MHD_add_response_header(response, request->reply_headers[i].name,
                                    request->reply_headers[i].value);
  if (added == MHD_YES)
    return response;
  MHD_destroy_response(response);
  return NULL;
}

enum MHD_Result uk_exchange_queue(struct uk_exchange *exchange)
{
  uk_exchange_settle(exchange);
  uk_cors_add_headers(exchange->http->server->cors, &exchange->request);
  struct MHD_Response *response = uk_http_make_response(&exchange->request);
  if (response == NULL)
    return MHD_NO;
  enum MHD_Result result = exchange->http->queue_response(
    exchange->connection, (unsigned)exchange->request.status, response);
  MHD_destroy_response(response);
  exchange->queued = result == MHD_YES;
  return result;
}

void uk_request_reply(struct uk_request *request)
{
  struct uk_exchange *exchange = uk_exchange_of(request);
  struct uk_http *http = exchange->http;
  struct MHD_Connection *connection = exchange->connection;
  atomic_fetch_add(&http->resuming, 1);
  if (atomic_exchange(&exchange->state, UK_REPLIED) == UK_SUSPENDED)
    MHD_resume_connection(connection);
  atomic_fetch_sub(&http->unanswered, 1);
  atomic_fetch_sub(&http->resuming, 1);
}
