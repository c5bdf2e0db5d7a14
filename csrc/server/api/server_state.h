/* server_state: the parts of the server that handlers use. */
#ifndef UK_SERVER_STATE_H
#define UK_SERVER_STATE_H

#include "common/budget.h"
#include "server/access/access.h"
#include "server/engine/engine.h"
#include "server/watch/error_log.h"

struct uk_cors;
struct uk_http;

struct uk_server {
  struct uk_engine *engine;
  struct uk_access *access;
  struct uk_cors *cors;
  struct uk_http *http;
  struct uk_repeated refused_logins;
  struct uk_repeated delayed_logins;
  struct uk_repeated hang_ups; /* SIGHUP without anything to read again */
  size_t max_message_bytes;
  struct uk_budget memory; /* of the requests in hand; outlives those that end late */
  char *url;
  struct uk_server *next_abandoned; /* see server.c */
};

#endif
