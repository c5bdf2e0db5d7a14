/* Sends the reply of an exchange. */
#include "common/gzip.h"
#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http_exchange.h"
#include "server/http/http_response.h"

const size_t uk_exchange_reply_bytes =
  (size_t)1 << 30; /* enough for the largest batch and one record, both escaped at worst */

static void pack(struct uk_request *request)
{
  struct uk_buffer packed;
  uk_buffer_init(&packed, uk_exchange_reply_bytes);
  packed.account = request->reply.account;
  if (uk_gzip(&packed, uk_buffer_slice(&request->reply)) == UK_OK) {
    uk_buffer_free(&request->reply);
    request->reply = packed;
    uk_request_add_header(request, "Content-Encoding", "gzip");
  } else {
    uk_buffer_free(&packed);
  }
}

void uk_exchange_finish(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  uk_request_finish(request);
  if (exchange->accepts_gzip && request->reply.length >= UK_GZIP_LEAST)
    pack(request);
}

/* The library has no memory for the reply, and will close the connection. uk_http_on_completed then
 * writes the reply if it says what was carried out, and otherwise an error. */
static enum MHD_Result give_up(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  exchange->abandoned = true;
  request->finish = NULL;
  if (!request->carried_out)
    request->reply.error = UK_E_NO_MEMORY;
  uk_request_finish(request);
  return MHD_NO;
}

static bool says_close(const struct uk_request *request)
{
  for (unsigned i = 0; i < request->reply_header_count; i++) {
    if (strcmp(request->reply_headers[i].name, "Connection") == 0)
      return true;
  }
  return false;
}

/* A client must not send another request to a server that stops, nor after a body whose end the
 * library may have found elsewhere than others (see http_lines.h). */
static void add_close(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  const bool ends = exchange->chunked || atomic_load(&exchange->http->refusing);
  if (ends && !says_close(request))
    uk_request_add_header(request, "Connection", "close");
  exchange->is_last = says_close(request);
}

/* The library has copied the reply's headers. What the receipt needs of the operation is kept. */
static void drop_request(struct uk_exchange *exchange)
{
  struct uk_receipt *receipt = exchange->request.receipt;
  if (receipt != NULL && receipt->delivered != NULL) {
    receipt->delivery = *receipt->delivered;
    receipt->delivered = &receipt->delivery;
  }
  uk_exchange_drop_request(exchange);
}

enum MHD_Result uk_exchange_queue(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  if (!uk_exchange_begin(exchange))
    return MHD_NO;
  uk_reaper_enter(&exchange->http->reaper, exchange->socket, UK_PHASE_REPLY);
  uk_exchange_finish(exchange);
  uk_cors_add_headers(exchange->http->server->cors, request);
  add_close(exchange);
  /* The library drops the response before on_completed frees the body. A client may take long to
   * read it. */
  uk_buffer_trim(&request->reply);
  struct MHD_Response *response = uk_http_make_response(request, MHD_RESPMEM_PERSISTENT);
  if (response == NULL)
    return give_up(exchange);
  enum MHD_Result result =
    exchange->http->queue_response(exchange->connection, (unsigned)request->status, response);
  MHD_destroy_response(response);
  exchange->queued = result == MHD_YES;
  if (!exchange->queued)
    return give_up(exchange);
  if (!exchange->early)
    drop_request(exchange);
  return result;
}

static void send_reply(struct uk_exchange *exchange)
{
  struct uk_http *http = exchange->http;
  struct MHD_Connection *connection = exchange->connection;
  atomic_fetch_add(&http->resuming, 1);
  if (atomic_exchange(&exchange->state, UK_REPLIED) == UK_SUSPENDED) {
    uk_exchange_unwatch(exchange);
    MHD_resume_connection(connection);
  }
  atomic_fetch_sub(&http->unanswered, 1);
  atomic_fetch_sub(&http->resuming, 1);
}

void uk_exchange_reply(struct uk_request *request)
{
  struct uk_exchange *exchange = uk_exchange_of(request);
  if (exchange->early)
    uk_exchange_release(exchange);
  else
    send_reply(exchange);
}

void uk_exchange_reply_early(struct uk_request *request)
{
  struct uk_exchange *exchange = uk_exchange_of(request);
  exchange->early = true;
  atomic_store(&exchange->owners, 2);
  send_reply(exchange);
}
