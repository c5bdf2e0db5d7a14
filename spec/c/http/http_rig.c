#include "http_rig.h"

#include "access_rig.h"
#include "check.h"
#include "server/http/http.h"

bool http_rig_open(struct http_rig *rig, const struct uk_engine_methods *methods)
{
  return http_rig_open_within(rig, methods, 0);
}

bool http_rig_open_within(struct http_rig *rig, const struct uk_engine_methods *methods,
                          size_t memory)
{
  char message[512] = "";
  *rig = (struct http_rig){.engine = {methods}};
  rig->server = (struct uk_server){
    .engine = &rig->engine, .access = access_rig_open(), .max_message_bytes = HTTP_RIG_BODY_MAX};
  uk_budget_init(&rig->server.memory, memory);
  const struct uk_http_options options = {.server = &rig->server,
                                          .listen = "127.0.0.1:0",
                                          .threads = 1,
                                          .max_connections = 100,
                                          .max_header_bytes = UK_HEADER_BYTES,
                                          .max_body_bytes = HTTP_RIG_BODY_MAX};
  bool good = rig->server.access != NULL &&
              access_rig_add(rig->server.access, "full", "p", UK_PERMIT_FULL, "*") == UK_OK &&
              access_rig_add(rig->server.access, "other", "p", UK_PERMIT_FULL, "*") == UK_OK &&
              uk_http_start(&rig->server.http, &options, message, sizeof message) == UK_OK &&
              uk_http_accept(rig->server.http, message, sizeof message) == UK_OK;
  if (!good)
    fprintf(stderr, "no server: %s\n", message);
  return good;
}

void http_rig_close(struct http_rig *rig)
{
  if (rig->server.http != NULL) {
    uk_http_refuse(rig->server.http);
    uk_http_stop(rig->server.http);
  }
  uk_access_close(rig->server.access);
}
