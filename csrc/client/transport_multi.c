#include "client/transport_multi.h"

#include <limits.h>
#include <stdlib.h>

#include "client/transport_handle.h"
#include "client/transport_private.h"
#include "client/transport_socket.h"

struct place {
  struct uk_transport *transport;
  struct uk_buffer body;
  struct uk_response response;
  bool busy;
};

struct uk_transfers {
  CURLM *multi;
  int busy; /* places with a transfer */
  unsigned count;
  struct place places[];
};

bool uk_transfers_prepare(void)
{
  return uk_transport_global();
}

static bool open_places(struct uk_transfers *transfers, const struct uk_settings *settings)
{
  for (unsigned i = 0; i < transfers->count; i++) {
    struct place *place = &transfers->places[i];
    uk_buffer_init(&place->body, (size_t)settings->options.max_response_bytes);
    place->response.body = &place->body;
    place->transport = uk_transport_open(settings);
    if (place->transport == NULL)
      return false;
  }
  return true;
}

struct uk_transfers *uk_transfers_open(const struct uk_settings *settings, unsigned places)
{
  if (!uk_transport_global())
    return NULL;
  struct uk_transfers *transfers =
    calloc(1, sizeof *transfers + places * sizeof transfers->places[0]);
  if (transfers == NULL)
    return NULL;
  transfers->count = places;
  transfers->multi = uk_transport_multi();
  if (transfers->multi == NULL || !open_places(transfers, settings)) {
    uk_transfers_close(transfers);
    return NULL;
  }
  curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, (long)places);
  return transfers;
}

void uk_transfers_close(struct uk_transfers *transfers)
{
  if (transfers == NULL)
    return;
  for (unsigned i = 0; i < transfers->count; i++) {
    uk_transfers_cancel(transfers, i);
    uk_transport_close(transfers->places[i].transport);
    uk_buffer_free(&transfers->places[i].body);
  }
  curl_multi_cleanup(transfers->multi);
  free(transfers);
}

enum uk_error uk_transfers_start(struct uk_transfers *transfers, unsigned number,
                                 const struct uk_client_request *request, int64_t timeout)
{
  struct place *place = &transfers->places[number];
  enum uk_error error =
    uk_transport_begin(place->transport, request, timeout, true, &place->response);
  if (error != UK_OK)
    return error;
  CURL *curl = uk_transport_curl(place->transport);
  curl_easy_setopt(curl, CURLOPT_PRIVATE, place);
  if (curl_multi_add_handle(transfers->multi, curl) != CURLM_OK)
    return UK_E_NO_MEMORY;
  place->busy = true;
  transfers->busy++;
  return UK_OK;
}

void uk_transfers_run(struct uk_transfers *transfers, int64_t wait)
{
  int running;
  curl_multi_perform(transfers->multi, &running);
  if (running < transfers->busy)
    return; /* a transfer has ended already */
  curl_multi_poll(transfers->multi, NULL, 0, wait > INT_MAX ? INT_MAX : (int)wait, NULL);
  curl_multi_perform(transfers->multi, &running);
}

bool uk_transfers_next(struct uk_transfers *transfers, struct uk_transfer *ended)
{
  int left;
  const CURLMsg *message = curl_multi_info_read(transfers->multi, &left);
  if (message == NULL)
    return false;
  const CURLcode code = message->data.result; /* removing the handle frees the message */
  struct place *place = NULL;
  curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&place);
  curl_multi_remove_handle(transfers->multi, message->easy_handle);
  place->busy = false;
  transfers->busy--;
  ended->place = (unsigned)(place - transfers->places);
  ended->error = uk_transport_end(place->transport, code, &place->response);
  ended->message = uk_transport_message(place->transport);
  ended->response = place->response;
  return true;
}

void uk_transfers_cancel(struct uk_transfers *transfers, unsigned number)
{
  struct place *place = &transfers->places[number];
  if (!place->busy)
    return;
  curl_multi_remove_handle(transfers->multi, uk_transport_curl(place->transport));
  place->busy = false;
  transfers->busy--;
}

void uk_transfers_wake(struct uk_transfers *transfers)
{
  curl_multi_wakeup(transfers->multi);
}
