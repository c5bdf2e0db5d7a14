/* settings: where a client's requests go and how: checked once, copied, then only read. */
#ifndef UK_SETTINGS_H
#define UK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum {
  UK_SETTINGS_URL_MAX = 8192,
  UK_SETTINGS_CREDENTIAL_MAX = 4096,
  UK_SETTINGS_SOCKET_MAX = 107 /* of the path of a unix socket, what the system takes */
};

/* What a caller may say; times in milliseconds. uk_settings_options_default fills all but url. */
struct uk_settings_options {
  struct uk_slice url; /* http or https, a host, perhaps a port and a path; or http://unix:/SOCKET,
                          perhaps with :/PATH behind it */
  struct uk_slice username, password; /* data NULL: none */
  const char *ca_file;                /* NULL: the system's */
  int64_t timeout;                    /* of a whole call, beyond what the server is asked to wait */
  int64_t connect_timeout;
  int64_t retries;
  int64_t retry_delay;     /* the first backoff */
  int64_t retry_delay_max; /* the longest */
  int64_t max_response_bytes;
  bool binary;   /* bytes travel as base64 */
  bool verify;   /* TLS certificates */
  bool compress; /* ask for gzip */
};

void uk_settings_options_default(struct uk_settings_options *options);

struct uk_settings {
  struct uk_settings_options options; /* url, username and password empty: see below */
  struct uk_slice url;                /* without a slash at the end; NUL-terminated */
  struct uk_slice prefix;             /* the path inside `url`, "" or "/..." */
  const char *socket;        /* the path of a unix socket, or NULL; then `url` names localhost */
  const char *authorization; /* "Basic ..." or NULL. A secret. */
  char *memory;              /* holds what the others point to */
  size_t size;               /* of `memory` */
};

/* Copies everything. False, with nothing held and a text in `message` that names the option at
 * fault and shows no credentials, when the options are not usable. */
bool uk_settings_init(struct uk_settings *settings, const struct uk_settings_options *options,
                      char *message, size_t size);

/* A copy of its own. False, with nothing held, when memory is out. */
bool uk_settings_copy(struct uk_settings *copy, const struct uk_settings *settings);

/* Whether requests made with the one and with the other cannot be told apart. */
bool uk_settings_equal(const struct uk_settings *a, const struct uk_settings *b);

/* Wipes the credentials. A zeroed struct is fine. */
void uk_settings_free(struct uk_settings *settings);

#endif
