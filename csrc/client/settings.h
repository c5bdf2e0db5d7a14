/* settings: where and how the requests of a client are sent. Checked and copied once, then
 * constant. */
#ifndef UK_SETTINGS_H
#define UK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum {
  UK_SETTINGS_URL_MAX = 8192,
  UK_SETTINGS_CREDENTIAL_MAX = 4096,
  UK_SETTINGS_SOCKET_MAX = 107 /* bytes in the path of a unix socket: the limit of the system */
};

/* Times in milliseconds. uk_settings_options_default fills all fields except url. */
struct uk_settings_options {
  struct uk_slice url;                /* http or https, a host, and optionally a port and a path; or
                          http://unix:/SOCKET, optionally followed by :/PATH */
  struct uk_slice username, password; /* data NULL = none */
  const char *ca_file;                /* NULL = that of the system */
  const char *proxy;                  /* a URL; "" = none, NULL = that of the environment */
  int64_t timeout; /* of a whole call, on top of the time that the server may wait */
  int64_t connect_timeout;
  int64_t retries;
  int64_t retry_delay; /* before the first retry */
  int64_t retry_delay_max;
  int64_t max_response_bytes;
  bool binary;     /* bytes travel as base64 */
  bool verify;     /* check TLS certificates */
  bool compress;   /* ask for gzip */
  bool idempotent; /* the server honours Idempotency-Key: a produce may be repeated */
};

void uk_settings_options_default(struct uk_settings_options *options);

struct uk_settings {
  struct uk_settings_options options; /* url, username and password empty: see below */
  struct uk_slice url;                /* without trailing slashes; NUL-terminated */
  struct uk_slice prefix;             /* the path inside `url`, "" or "/..." */
  const char *socket; /* path of a unix socket, or NULL; `url` names localhost then */
  /* options.proxy, but "" for a unix socket or this machine. May hold credentials: a secret. */
  const char *proxy;
  const char *proxy_name;    /* the proxy in use, without credentials; "" = none */
  const char *authorization; /* "Basic ..." or NULL. A secret. */
  char *memory;              /* holds what the others point to */
  size_t size;               /* of `memory` */
};

/* Copies everything. False when an option is invalid: nothing is held then, and `message` names the
 * option, without credentials. */
bool uk_settings_init(struct uk_settings *settings, const struct uk_settings_options *options,
                      char *message, size_t size);

/* Makes an independent copy. False, with nothing held, when memory is out. */
bool uk_settings_copy(struct uk_settings *copy, const struct uk_settings *settings);

/* True when requests made with either are the same. */
bool uk_settings_equal(const struct uk_settings *a, const struct uk_settings *b);

/* Wipes the credentials. Accepts a zeroed struct. */
void uk_settings_free(struct uk_settings *settings);

#endif
