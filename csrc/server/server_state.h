/* server_state: what the handlers see of the server. */
#ifndef UK_SERVER_STATE_H
#define UK_SERVER_STATE_H

#include "server/credentials.h"
#include "server/engine.h"
#include "server/http.h"
#include "server/server.h"

struct uk_server {
  struct uk_engine *engine;
  struct uk_credentials *credentials;
  struct uk_http *http;
  size_t max_message_bytes;
  char *url;
};

#endif
