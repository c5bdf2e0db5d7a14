#include "client/transport_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/signals.h"
#include "client/transport_handle.h"
#include "client/transport_outcome.h"
#include "client/transport_request.h"
#include "client/transport_socket.h"

enum {
  URL_LIMIT = UK_REQUEST_PATH_MAX + 16384,
  WAIT_MAX = 1000 /* milliseconds */
};

struct uk_transport *uk_transport_open(const struct uk_settings *settings)
{
  struct uk_transport *transport = calloc(1, sizeof *transport);
  if (transport == NULL)
    return NULL;
  transport->settings = settings;
  transport->socket = CURL_SOCKET_BAD;
  uk_buffer_init(&transport->headers, UK_REQUEST_HEADERS_MAX);
  uk_buffer_init(&transport->url, URL_LIMIT);
  return transport;
}

void uk_transport_close(struct uk_transport *transport)
{
  if (transport == NULL)
    return;
  uk_transport_handle_forget(transport);
  uk_buffer_free(&transport->headers);
  uk_buffer_free(&transport->url);
  free(transport);
}

void uk_transport_set_signals(struct uk_transport *transport, unsigned signals)
{
  transport->signals = signals;
}

const struct uk_response_notes *uk_transport_notes(const struct uk_transport *transport)
{
  return &transport->notes;
}

const char *uk_transport_message(const struct uk_transport *transport)
{
  return transport->message;
}

enum uk_error uk_transport_begin(struct uk_transport *transport,
                                 const struct uk_client_request *request, int64_t timeout,
                                 bool resend, struct uk_response *response)
{
  uk_buffer_clear(response->body);
  response->status = 0;
  response->retry_after = -1;
  transport->message[0] = '\0';
  transport->body = response->body;
  transport->framing = (struct uk_framing){.headed = false};
  transport->header_bytes = 0;
  transport->retry_after = -1;
  transport->notes = (struct uk_response_notes){.replayed = false};
  const enum uk_error error = uk_transport_handle_prepare(transport);
  return error != UK_OK ? error : uk_transport_request_set(transport, request, timeout, resend);
}

enum uk_error uk_transport_end(struct uk_transport *transport, CURLcode code,
                               struct uk_response *response)
{
  if (code != CURLE_OK)
    return uk_transport_outcome(transport, code);
  long status = 0;
  curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &status);
  if (!uk_framing_whole(&transport->framing, (int)status, uk_buffer_slice(response->body)))
    return UK_E_CONNECTION_LOST;
  response->status = (int)status;
  if (status >= 300)
    response->retry_after = transport->retry_after;
  return UK_OK;
}

CURL *uk_transport_curl(struct uk_transport *transport)
{
  return transport->curl;
}

/* Sleeps until there is something to do, a signal arrives, or a second has passed. */
static CURLMcode wait_for_input(const struct uk_transport *transport)
{
  int descriptors[UK_SIGNAL_COUNT];
  struct curl_waitfd waits[UK_SIGNAL_COUNT];
  const unsigned count = uk_signals_descriptors(transport->signals, descriptors);
  for (unsigned i = 0; i < count; i++)
    waits[i] = (struct curl_waitfd){.fd = descriptors[i], .events = CURL_WAIT_POLLIN};
  return curl_multi_poll(transport->multi, waits, count, WAIT_MAX, NULL);
}

/* Runs the transfer to its end. Sets `*stopped` when a signal ends it before. */
static CURLcode run(struct uk_transport *transport, bool *stopped)
{
  int running = 1, left;
  CURLMcode code = CURLM_OK;
  while (code == CURLM_OK && running > 0 && !*stopped) {
    code = curl_multi_perform(transport->multi, &running);
    *stopped = running > 0 && uk_signals_arrived(transport->signals) != 0;
    if (code == CURLM_OK && running > 0 && !*stopped)
      code = wait_for_input(transport);
  }
  const CURLMsg *message = curl_multi_info_read(transport->multi, &left);
  if (code != CURLM_OK || message == NULL)
    return code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_BAD_FUNCTION_ARGUMENT;
  return message->data.result;
}

/* Runs the transfer and remembers the socket of the connection that stays. */
static enum uk_error run_transfer(struct uk_transport *transport, struct uk_response *response)
{
  bool stopped = false;
  if (transport->multi == NULL)
    transport->multi = uk_transport_multi();
  if (transport->multi == NULL)
    return UK_E_NO_MEMORY;
  curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, 1L);
  if (curl_multi_add_handle(transport->multi, transport->curl) != CURLM_OK)
    return UK_E_NO_MEMORY;
  const CURLcode code = run(transport, &stopped);
  transport->socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(transport->curl, CURLINFO_ACTIVESOCKET, &transport->socket);
  curl_multi_remove_handle(transport->multi, transport->curl);
  if (stopped)
    snprintf(transport->message, sizeof transport->message, "a signal ended the wait");
  return stopped ? UK_E_CANCELLED : uk_transport_end(transport, code, response);
}

enum uk_error uk_transport_perform(struct uk_transport *transport,
                                   const struct uk_client_request *request, int64_t timeout,
                                   bool resend, struct uk_response *response)
{
  enum uk_error error = uk_transport_begin(transport, request, timeout, resend, response);
  return error != UK_OK ? error : run_transfer(transport, response);
}
