#include "api_rig.h"

#include "check.h"
#include "client/transport.h"
#include "server/http/http.h"

enum { PATIENCE = 60000, MAX_BYTES = 1 << 20 }; /* milliseconds; of a message, a body, an answer */

static bool add_users(struct uk_credentials *credentials)
{
  return uk_credentials_add(credentials, "full", "p", UK_PERMIT_FULL, "*") == UK_OK &&
         uk_credentials_add(credentials, "produce", "p", UK_PERMIT_PRODUCE, "*") == UK_OK &&
         uk_credentials_add(credentials, "consume", "p", UK_PERMIT_CONSUME, "*") == UK_OK;
}

bool api_rig_open(struct api_rig *rig, const struct uk_engine_methods *methods)
{
  char message[512] = "";
  *rig = (struct api_rig){.engine = {methods}};
  rig->server = (struct uk_server){
    .engine = &rig->engine, .credentials = uk_credentials_new(), .max_message_bytes = MAX_BYTES};
  const struct uk_http_options options = {.server = &rig->server,
                                          .listen = "127.0.0.1:0",
                                          .threads = 1,
                                          .max_connections = 100,
                                          .max_header_bytes = UK_HEADER_BYTES,
                                          .max_body_bytes = MAX_BYTES};
  bool good = rig->server.credentials != NULL && add_users(rig->server.credentials) &&
              uk_http_start(&rig->server.http, &options, message, sizeof message) == UK_OK;
  if (!good)
    fprintf(stderr, "no server: %s\n", message);
  return good;
}

void api_rig_close(struct api_rig *rig)
{
  if (rig->server.http != NULL) {
    uk_http_refuse(rig->server.http);
    uk_http_stop(rig->server.http);
  }
  uk_credentials_free(rig->server.credentials);
}

static bool open_settings(const struct api_rig *rig, const char *user, struct uk_settings *settings)
{
  char message[512], url[256];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  snprintf(url, sizeof url, "http://%s", uk_http_address(rig->server.http));
  options.url = uk_slice_text(url);
  options.username = uk_slice_text(user);
  options.password = uk_slice_text("p");
  return uk_settings_init(settings, &options, message, sizeof message);
}

static void perform(struct uk_transport *transport, struct uk_client_request *request,
                    struct api_answer *answer)
{
  struct uk_buffer body;
  uk_buffer_init(&body, MAX_BYTES);
  struct uk_response response = {.retry_after = -1, .body = &body};
  enum uk_error error = uk_transport_perform(transport, request, PATIENCE, true, &response);
  *answer = (struct api_answer){.status = error == UK_OK ? response.status : 0,
                                .retry_after = error == UK_OK ? response.retry_after : -1};
  snprintf(answer->text, sizeof answer->text, "%.*s", (int)body.length,
           error != UK_OK    ? uk_transport_message(transport)
           : body.length > 0 ? body.data
                             : "");
  uk_buffer_free(&body);
}

void api_rig_ask(struct api_rig *rig, const char *user, enum uk_method method, const char *path,
                 const char *body, struct api_answer *answer)
{
  struct uk_settings settings;
  struct uk_client_request request;
  *answer = (struct api_answer){.status = 0};
  if (!CHECK(open_settings(rig, user, &settings)))
    return;
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE, false, NULL);
  uk_buffer_clear(&request.path);
  uk_buffer_append_text(&request.path, path);
  uk_buffer_append_text(&request.body, body);
  request.method = method;
  if (rig->header != NULL)
    uk_client_request_header(&request, uk_slice_text(rig->header),
                             uk_slice_text(rig->header_value));
  struct uk_transport *transport = uk_transport_open(&settings);
  if (CHECK(transport != NULL))
    perform(transport, &request, answer);
  uk_transport_close(transport);
  uk_client_request_free(&request);
  uk_settings_free(&settings);
}
