/* server: the whole server as a thing to start and stop. What csrc/binding knows of it. */
#ifndef UK_SERVER_H
#define UK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "server/kafka_engine/kafka_engine.h"

/* Every field has a default (uk_server_options_default) but username and password. Strings are copied. */
struct uk_server_options {
  const char *listen;   /* "HOST:PORT", "[IPv6]:PORT"; port 0 picks a free one */
  const char *username; /* required */
  const char *password; /* required */
  const char *data;     /* directory of the log engine */
  const char *brokers;  /* "HOST:PORT,…": a Kafka cluster keeps the records, not the log; NULL */
  const struct uk_kafka_property *properties; /* of librdkafka; only with brokers */
  size_t property_count;
  int64_t prefetch_bytes;  /* of records read ahead from the cluster, for each consumer instance */
  int64_t prefetch_budget; /* for all instances; one more than fit in is refused with 429 */
  int64_t map_bytes;       /* the most that the log may grow to */
  int64_t partitions;      /* of a topic created without a number */
  bool auto_create_topics;
  bool no_sync;
  int64_t threads; /* that serve HTTP; 0 = one for each processor, at most 8 */
  int64_t max_connections;
  int64_t
    max_header_bytes; /* request line and headers of a request; a connection keeps 4 KiB more */
  int64_t max_body_bytes;
  int64_t max_message_bytes;
  const char *const
    *cors_origins; /* that browsers' pages may come from; see api/cors.h. NULL: any */
  size_t cors_origin_count;
  const char *tls_cert; /* PEM files; both or neither */
  const char *tls_key;
};

void uk_server_options_default(struct uk_server_options *options);

struct uk_server;

/* Listens, and takes requests when it returns UK_OK. Otherwise `message` names the option at fault. */
enum uk_error uk_server_start(struct uk_server **server, const struct uk_server_options *options,
                              char *message, size_t size);

/* "http://HOST:PORT" (https with TLS), with the port that was picked. Lives as long as the server. */
const char *uk_server_url(const struct uk_server *server);

/* Whether what the HTTP library refuses by itself is answered in JSON, as all else is. */
bool uk_server_refusals_are_json(void);

/* Takes no more requests, answers those in hand, joins every thread, frees everything. */
void uk_server_stop(struct uk_server *server);

#endif
