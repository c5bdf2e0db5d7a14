/* api_rig: requests to the handlers without HTTP, on an engine that a test plays. */
#ifndef API_RIG_H
#define API_RIG_H

#include "server/api/server_state.h"
#include "server/request/request.h"

enum { API_RIG_BODY = 4096 }; /* bytes of an answer that are kept */

struct api_rig {
  struct uk_server server;
  struct uk_engine engine;
  const char *header, *header_value; /* that every request has besides, or NULL */
  bool is_client_gone, is_cut_off;   /* what the handlers hear of the client and the response */
};

struct api_answer {
  int status;
  long long retry_after;   /* seconds, -1 = not said */
  char text[API_RIG_BODY]; /* the beginning of the body */
};

/* Handlers for the users "full", "produce" and "consume", who hold the permission of that name for
 * every topic, each with the password "p". False: there was no memory; api_rig_close frees what
 * there is. */
bool api_rig_open(struct api_rig *rig, const struct uk_engine_methods *methods);
void api_rig_close(struct api_rig *rig);

/* The engine ends the operation before it returns. */
void api_rig_ask(struct api_rig *rig, const char *user, enum uk_method method, const char *path,
                 const char *body, struct api_answer *answer);

#endif
