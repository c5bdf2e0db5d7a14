/* server: starts and stops the whole server. The only header that csrc/binding uses. */
#ifndef UK_SERVER_H
#define UK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "server/kafka_engine/kafka_engine.h"

/* Every field except the credentials has a default (uk_server_options_default). Strings are
 * copied. */
struct uk_server_options {
  const char *listen;   /* see http/listen.h; port 0 chooses a free one */
  const char *username; /* a credential with every permission; both or, with credentials, neither */
  const char *password;
  const char *credentials; /* a file of more; see access/credential_file.h */
  const char *data;        /* directory of the log engine */
  const char *brokers; /* "HOST:PORT,…": store records in this Kafka cluster, not in the log */
  const struct uk_kafka_property *properties; /* for librdkafka; only with brokers */
  size_t property_count;
  int64_t prefetch_bytes;  /* records read ahead from the cluster, per consumer instance */
  int64_t prefetch_budget; /* for all instances; one that does not fit is refused with 429 */
  int64_t map_bytes;       /* the maximum size of the log */
  int64_t partitions;      /* for topics created without a number */
  bool auto_create_topics;
  bool no_sync;
  int64_t idempotency_window; /* seconds for which an idempotency key is kept; 0: not at all */
  int64_t threads;            /* HTTP threads; 0 = one per processor, at most 8 */
  int64_t max_connections;
  int64_t max_connections_per_address; /* not for this machine's, nor proxies'; see http_reaper.h */
  int64_t tls_timeout, head_timeout, idle_timeout; /* seconds */
  int64_t min_rate;                                /* bytes a second, of bodies and replies */
  int64_t rate_period;                             /* seconds in which it is measured */
  int64_t max_header_bytes; /* request line and headers; a connection takes 4 KiB more */
  int64_t max_body_bytes;
  int64_t max_message_bytes;
  int64_t max_request_memory;      /* of all requests in hand; 0 = a quarter of what is available */
  const char *const *cors_origins; /* allowed origins of pages; see api/cors.h. NULL: any */
  size_t cors_origin_count;
  const char *const *proxies; /* addresses that may name their clients; see client_address.h */
  size_t proxy_count;
  bool insecure;        /* plain HTTP on an address that others can reach, also without a proxy */
  const char *tls_cert; /* PEM files; both or neither */
  const char *tls_key;
  const char *tls_priorities; /* in GnuTLS's words; NULL: see http/http_certificate.h */
};

void uk_server_options_default(struct uk_server_options *options);

struct uk_server;

/* UK_OK: it is already accepting requests. Otherwise `message` names the option at fault. */
enum uk_error uk_server_start(struct uk_server **server, const struct uk_server_options *options,
                              char *message, size_t size);

/* "http://HOST:PORT" (https with TLS), with the actual port. Lives as long as the server. */
const char *uk_server_url(const struct uk_server *server);

enum { UK_SERVER_RELOAD_SIZE = 512 }; /* room for what uk_server_reload says */

/* Reads the files again that may change while the server serves. No connection is dropped. A file
 * that cannot be used leaves what was read before in use: its error is returned, and logged.
 * Several threads may call. */
enum uk_error uk_server_reload(struct uk_server *server, char *message, size_t size);

/* The same for SIGHUP: `server` is a struct uk_server. Logs what was read again, or that nothing
 * was. */
void uk_server_hang_up(void *server);

/* Whether requests that the HTTP library itself refuses are answered in JSON, like all others. */
bool uk_server_refusals_are_json(void);

/* Whether the server itself checks each line of a request's head; otherwise the HTTP library does,
 * in its strict mode. */
bool uk_server_checks_heads(void);

enum { UK_SERVER_LEFT_SIZE = 1024 }; /* room for what uk_server_try_stop says */

/* Refuses new requests, answers the pending ones, joins every thread and frees everything.
 * GATEWAY_TIMEOUT: the disk does not answer, or requests are not answered within 40 seconds.
 * `message` says what was left: the server, with its threads and the lock of its data folder. Then
 * this may be called again. */
enum uk_error uk_server_try_stop(struct uk_server *server, char *message, size_t size);

/* The same, for the last time: logs what was left. NULL is allowed. */
void uk_server_stop(struct uk_server *server);

#endif
