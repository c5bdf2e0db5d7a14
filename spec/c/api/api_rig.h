/* api_rig: sends requests to the handlers, without HTTP, with an engine that the test plays. */
#ifndef API_RIG_H
#define API_RIG_H

#include "access_rig.h"
#include "server/api/server_state.h"
#include "server/request/request.h"

enum { API_RIG_BODY = 4096, API_RIG_HEADERS = 2048 }; /* bytes of a reply that are kept */

struct api_header {
  const char *name, *value;
};

struct api_rig {
  struct uk_server server;
  struct uk_engine engine;
  const char *header, *header_value; /* an extra header of every request, or NULL */
  const struct api_header *headers;  /* more of them */
  size_t header_count;
  struct uk_browser browser;       /* what a browser says in every request */
  size_t body_length;              /* of bodies that contain NUL; 0: up to the first one */
  size_t reply_bytes;              /* the maximum size of a reply; 0: the default */
  bool is_client_gone, is_cut_off; /* what handlers learn about the client and the response */
  bool cannot_follow;              /* no memory to follow the response */
  int *trusted;                    /* counts requests with valid credentials; may be NULL */
  int *asked;                      /* counts questions about earlier responses; may be NULL */
  int *dropped; /* counts bodies that are freed before their operation ends; may be NULL */
};

struct api_answer {
  int status;
  bool carried_out;              /* what http learns: the reply must not be denied */
  long long retry_after;         /* seconds; -1: absent */
  char text[API_RIG_BODY];       /* the beginning of the body */
  char headers[API_RIG_HEADERS]; /* "Name: value" and a line feed for each */
};

/* Prepares the users "full", "produce" and "consume". Each has the permission of that name for
 * every topic, and the password "p". False: out of memory; api_rig_close frees what there is. */
bool api_rig_open(struct api_rig *rig, const struct uk_engine_methods *methods);
void api_rig_close(struct api_rig *rig);

/* Precondition: the engine calls `done` before its method returns. */
void api_rig_ask(struct api_rig *rig, const char *user, enum uk_method method, const char *path,
                 const char *body, struct api_answer *answer);

#endif
