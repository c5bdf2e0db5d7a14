/* http_rig: the HTTP side of the server, with an engine that the test plays. */
#ifndef HTTP_RIG_H
#define HTTP_RIG_H

#include "server/api/server_state.h"

enum { HTTP_RIG_BODY_MAX = 1 << 20 }; /* bytes in a body or a message */

struct http_rig {
  struct uk_server server;
  struct uk_engine engine;
};

/* Starts a server with the users "full" and "other", who may do everything, with the password "p".
 * False: it failed; http_rig_close frees what there is. */
bool http_rig_open(struct http_rig *rig, const struct uk_engine_methods *methods);
/* The same, with so many bytes for all requests. */
bool http_rig_open_within(struct http_rig *rig, const struct uk_engine_methods *methods,
                          size_t memory);

void http_rig_close(struct http_rig *rig);

#endif
