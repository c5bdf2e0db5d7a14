/* http_rig: the HTTP side of the server on an engine that a test plays. */
#ifndef HTTP_RIG_H
#define HTTP_RIG_H

#include "server/api/server_state.h"

enum { HTTP_RIG_BODY_MAX = 1 << 20 }; /* bytes of a body, and of a message */

struct http_rig {
  struct uk_server server;
  struct uk_engine engine;
};

/* A server with one user, "full" with the password "p". False: it could not be made; http_rig_close
 * frees what there is of it. */
bool http_rig_open(struct http_rig *rig, const struct uk_engine_methods *methods);
void http_rig_close(struct http_rig *rig);

#endif
