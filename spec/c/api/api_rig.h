/* api_rig: the HTTP side of the server on an engine that a test plays, and a client of it. */
#ifndef API_RIG_H
#define API_RIG_H

#include "client/request.h"
#include "server/api/server_state.h"

enum { API_RIG_BODY = 4096 }; /* bytes of an answer that are kept */

struct api_rig {
  struct uk_server server;
  struct uk_engine engine;
  const char *header, *header_value; /* that every request has besides, or NULL */
};

struct api_answer {
  int status;              /* 0: no answer at all */
  long long retry_after;   /* seconds, -1 = not said */
  char text[API_RIG_BODY]; /* the beginning of the body, or what went wrong */
};

/* A server whose users "full", "produce" and "consume" hold the permission of that name for every
 * topic, each with the password "p". False: it could not be made; api_rig_close frees what there is
 * of it. */
bool api_rig_open(struct api_rig *rig, const struct uk_engine_methods *methods);
void api_rig_close(struct api_rig *rig);

void api_rig_ask(struct api_rig *rig, const char *user, enum uk_method method, const char *path,
                 const char *body, struct api_answer *answer);

#endif
