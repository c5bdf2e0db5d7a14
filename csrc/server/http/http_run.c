/* Takes a request that has arrived to its handler, and waits for the reply without a thread. A
 * large body is read on another thread meanwhile (see http_pool.h). */
#include "common/gzip.h"
#include "server/api/dispatch.h"
#include "server/http/http_exchange.h"

/* A body that is read on a thread of the pool. It takes longer than most requests: a millisecond
 * and more. A compressed one may become a thousand times as large. */
enum {
  LARGE_BODY = 64 << 10, /* bytes */
  LARGE_GZIP = 1 << 10   /* bytes, compressed */
};

static bool unpack(struct uk_exchange *exchange)
{
  struct uk_buffer unpacked;
  uk_buffer_init(&unpacked, exchange->http->max_body_bytes);
  unpacked.account = exchange->body.account;
  enum uk_error error = uk_gunzip(&unpacked, uk_buffer_slice(&exchange->body));
  uk_buffer_free(&exchange->body);
  exchange->body = unpacked;
  if (error == UK_E_TOO_LARGE)
    uk_request_error(&exchange->request, error,
                     "body: at most %zu bytes expected after decompression",
                     exchange->http->max_body_bytes);
  else if (error == UK_E_BAD_REQUEST)
    uk_request_error(&exchange->request, error, "body: malformed gzip");
  else if (error != UK_OK)
    uk_request_error(&exchange->request, error, NULL);
  if (error != UK_OK)
    uk_buffer_free(&exchange->body);
  uk_buffer_trim(&exchange->body);
  return error == UK_OK;
}

static bool refuse_stopping(struct uk_exchange *exchange)
{
  uk_request_error(&exchange->request, UK_E_UNAVAILABLE, UK_HTTP_STOPPING);
  uk_request_add_header(&exchange->request, "Connection", "close");
  return false;
}

bool uk_exchange_begin(struct uk_exchange *exchange)
{
  if (exchange->in_hand)
    return true;
  atomic_fetch_add(&exchange->http->in_hand, 1); /* first: the stop counts after it has taken */
  exchange->in_hand = uk_sockets_begin(&exchange->http->sockets, exchange->socket);
  if (!exchange->in_hand)
    atomic_fetch_sub(&exchange->http->in_hand, 1);
  return exchange->in_hand;
}

/* Increments the counters before it reads `refusing`, because uk_http_stop sets `refusing` before
 * it reads the counters. The first check only spares uk_http_stop from waiting for late requests.
 */
static bool enter(struct uk_exchange *exchange)
{
  struct uk_http *http = exchange->http;
  if (atomic_load(&http->refusing) || !uk_exchange_begin(exchange))
    return refuse_stopping(exchange);
  if (!uk_exchange_is_served(exchange, UK_PHASE_HANDLER))
    return false;
  atomic_fetch_add(&http->unanswered, 1);
  atomic_fetch_add(&http->unsent, 1);
  if (!atomic_load(&http->refusing))
    return true;
  atomic_fetch_sub(&http->unanswered, 1);
  atomic_fetch_sub(&http->unsent, 1);
  return refuse_stopping(exchange);
}

/* Reads the body and runs the handler. True: the reply comes through uk_request_reply, or already
 * has. */
static bool run(struct uk_exchange *exchange)
{
  exchange->request.body = exchange->body.data;
  exchange->request.body_length = exchange->body.length;
  exchange->running = true;
  if (uk_dispatch_run(&exchange->request))
    return true;
  exchange->request.finish = NULL;
  return false;
}

static bool is_packed(const struct uk_exchange *exchange)
{
  return exchange->is_gzip && exchange->body.length > 0;
}

/* The same on the library's thread, for a small body. */
static bool run_here(struct uk_exchange *exchange)
{
  if ((is_packed(exchange) && !unpack(exchange)) || !enter(exchange))
    return false;
  if (run(exchange))
    return true;
  atomic_fetch_sub(&exchange->http->unanswered, 1);
  return false;
}

/* From now on the reply resumes the connection, which is suspended. It may have come already. */
static void await_reply(struct uk_exchange *exchange)
{
  int expected = UK_RUNNING;
  if (exchange->request.client_gone != NULL)
    uk_hangups_add(&exchange->http->hangups, exchange->socket, exchange);
  if (!atomic_compare_exchange_strong(&exchange->state, &expected, UK_SUSPENDED)) {
    uk_exchange_unwatch(exchange);
    MHD_resume_connection(exchange->connection);
  }
}

/* On a thread of the pool. The connection is suspended, so that the exchange stays until it is
 * resumed here or by the reply; `resuming` keeps the server. */
static void run_elsewhere(struct uk_pool_job *job)
{
  struct uk_exchange *exchange = job->owner;
  struct uk_http *http = exchange->http;
  struct MHD_Connection *connection = exchange->connection;
  if ((!is_packed(exchange) || unpack(exchange)) && run(exchange)) {
    await_reply(exchange);
  } else {
    atomic_store(&exchange->state, UK_REPLIED);
    MHD_resume_connection(connection);
    atomic_fetch_sub(&http->unanswered, 1);
  }
  atomic_fetch_sub(&http->resuming, 1);
}

static bool is_large(const struct uk_exchange *exchange)
{
  return exchange->body.length > (exchange->is_gzip ? LARGE_GZIP : LARGE_BODY);
}

/* Passes the request on to the pool. */
static enum MHD_Result pass_on(struct uk_exchange *exchange)
{
  struct uk_http *http = exchange->http;
  struct MHD_Connection *connection = exchange->connection;
  if (!enter(exchange))
    return uk_exchange_queue(exchange);
  exchange->running = true;
  exchange->job = (struct uk_pool_job){
    .run = run_elsewhere, .owner = exchange, .user = uk_dispatch_user(&exchange->request)};
  atomic_fetch_add(&http->resuming, 1);
  MHD_suspend_connection(connection);
  if (uk_pool_add(&http->pool, &exchange->job))
    return MHD_YES;
  uk_request_error(&exchange->request, UK_E_UNAVAILABLE,
                   "too many large bodies wait to be read: try again");
  exchange->refused = true;
  MHD_resume_connection(connection);
  atomic_fetch_sub(&http->unanswered, 1);
  atomic_fetch_sub(&http->resuming, 1);
  return MHD_YES;
}

enum MHD_Result uk_exchange_proceed(struct uk_exchange *exchange)
{
  if (exchange->refused || atomic_load(&exchange->state) == UK_REPLIED)
    return uk_exchange_queue(exchange);
  if (exchange->running)
    return MHD_YES;
  if (is_large(exchange))
    return pass_on(exchange);
  if (!run_here(exchange) || atomic_load(&exchange->state) == UK_REPLIED)
    return uk_exchange_queue(exchange);
  MHD_suspend_connection(exchange->connection);
  await_reply(exchange);
  return MHD_YES;
}

/* The exchange is not resumed before this has returned, unless this itself leads to the reply. */
void uk_http_on_hangup(void *owner)
{
  struct uk_exchange *exchange = owner;
  exchange->request.client_gone(&exchange->request);
}

void uk_exchange_unwatch(struct uk_exchange *exchange)
{
  if (exchange->request.client_gone != NULL)
    uk_hangups_remove(&exchange->http->hangups, exchange->socket, exchange);
}
