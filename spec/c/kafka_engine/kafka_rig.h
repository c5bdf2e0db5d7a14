/* kafka_rig: a mock cluster of librdkafka in this process, our server on it, and a client of that
 * server.
 *
 * Several may live at once; each is used by one thread at a time. */
#ifndef KAFKA_RIG_H
#define KAFKA_RIG_H

#include "server/kafka_engine/rd/kafka_rd.h"
/* needs the header before it */
#include <librdkafka/rdkafka_mock.h>

#include "client/request.h"

enum {
  KAFKA_RIG_BROKERS = 2,
  KAFKA_RIG_SEND_TIMEOUT = 9000, /* milliseconds until its server gives up a produce */
  KAFKA_RIG_BODY = 512           /* bytes of an answer that are kept */
};

struct kafka_rig {
  rd_kafka_t *player;
  rd_kafka_mock_cluster_t *cluster;
  struct uk_server *server;
  struct uk_settings *settings;
  struct uk_transport *transport;
  struct uk_client_request request;
  struct uk_buffer body;
};

struct kafka_answer {
  int status;                /* 0: no answer at all */
  long long retry_after;     /* seconds, -1 = absent */
  long long took;            /* milliseconds */
  char text[KAFKA_RIG_BODY]; /* the beginning of the body, or what went wrong */
};

/* False: it failed; kafka_rig_close frees what was created. */
bool kafka_rig_open(struct kafka_rig *rig);
void kafka_rig_close(struct kafka_rig *rig);

/* Sends one request; waits a minute for the answer. */
void kafka_rig_ask(struct kafka_rig *rig, enum uk_method method, const char *path, const char *body,
                   struct kafka_answer *answer);

#endif
