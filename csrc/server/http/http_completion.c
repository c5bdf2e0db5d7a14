/* Ends an exchange: writes the reply that the library did not, and says what became of it. */
#include <sys/socket.h>

#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http_exchange.h"
#include "server/http/http_refusal.h"
#include "server/http/http_response.h"

/* Whether there is a reply for a client whose connection the library closes without one. */
static bool has_closing_response(struct uk_exchange *exchange, enum MHD_RequestTerminationCode code)
{
  struct uk_request *request = &exchange->request;
  if (exchange->abandoned)
    return true;
  /* After a resume the library reads first. Whatever it meets there, the request was carried out,
   * and its client may still read: a client that has shut down only its sending side does. */
  if (atomic_load(&exchange->state) == UK_REPLIED) {
    uk_exchange_finish(exchange);
    return true;
  }
  if (uk_http_explain_end(exchange->http, exchange->socket, request))
    return true;
  bool timed_out = code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED;
  if (code == MHD_REQUEST_TERMINATED_CLIENT_ABORT || (timed_out && exchange->at_end))
    uk_exchange_refuse_cut_off(exchange);
  else if (timed_out)
    uk_request_error(request, UK_E_REQUEST_TIMEOUT, NULL);
  else
    return false;
  return true;
}

/* Ends a connection whose reply failed, perhaps before its first byte: uk_http_on_connection would
 * otherwise call the request malformed, although it was carried out. */
static void end_output(const struct uk_exchange *exchange)
{
  shutdown(exchange->socket, SHUT_WR);
}

static void write_closing_response(struct uk_exchange *exchange,
                                   enum MHD_RequestTerminationCode code)
{
  if (exchange->http->tls || (exchange->queued && code == MHD_REQUEST_TERMINATED_COMPLETED_OK))
    return;
  if (exchange->queued) {
    end_output(exchange);
    return;
  }
  if (!has_closing_response(exchange, code))
    return;
  uk_cors_add_headers(exchange->http->server->cors, &exchange->request);
  if (exchange->request.reply.error == UK_OK)
    uk_http_write_response(exchange->socket, &exchange->request);
  else /* no memory for it */
    end_output(exchange);
}

void uk_http_on_completed(void *context, struct MHD_Connection *connection, void **exchange_pointer,
                          enum MHD_RequestTerminationCode code)
{
  struct uk_exchange *exchange = *exchange_pointer;
  struct uk_http *http = context;
  (void)connection;
  if (exchange == NULL)
    return;
  *exchange_pointer = NULL;
  write_closing_response(exchange, code);
  const bool was_running = exchange->running, was_in_hand = exchange->in_hand;
  const bool complete = exchange->queued && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
  if (complete)
    uk_reaper_enter(&http->reaper, exchange->socket, UK_PHASE_IDLE);
  if (complete && !exchange->is_last)
    uk_sockets_end(&http->sockets, exchange->socket);
  if (exchange->request.receipt != NULL)
    uk_receipts_written(&http->receipts, exchange->request.receipt,
                        complete && exchange->request.status == 200);
  uk_exchange_release(exchange);
  atomic_fetch_sub(&http->begun, 1);
  if (was_in_hand)
    atomic_fetch_sub(&http->in_hand, 1);
  if (was_running)
    atomic_fetch_sub(&http->unsent, 1);
}
