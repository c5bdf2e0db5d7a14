#include <stdio.h>

#include "common/clock.h"
#include "server/api/server_state.h"
#include "server/http/http.h"
#include "server/server.h"
#include "server/server_signals.h"
#include "server/watch/error_log.h"

static bool has_credentials(const struct uk_server *server)
{
  return uk_access_has_file(server->access);
}

static enum uk_error reload_credentials(struct uk_server *server, char *message, size_t size)
{
  return uk_access_reload(server->access, message, size);
}

static bool has_certificate(const struct uk_server *server)
{
  return server->http != NULL && uk_http_has_certificate(server->http);
}

/* The certificate logs nothing itself. */
static enum uk_error reload_certificate(struct uk_server *server, char *message, size_t size)
{
  const enum uk_error error = uk_http_reload_certificate(server->http, message, size);
  if (error != UK_OK)
    uk_error_log("the TLS certificate of before stays in use: %s",
                 message[0] != '\0' ? message : uk_error_text(error));
  return error;
}

/* What can be read again. `reload` logs why it fails, and changes nothing then. */
static const struct {
  const char *name;
  bool (*is_used)(const struct uk_server *server);
  enum uk_error (*reload)(struct uk_server *server, char *message, size_t size);
} parts[] = {
  {"credentials", has_credentials, reload_credentials},
  {"TLS certificate and key", has_certificate, reload_certificate},
};

/* Returns the first error. `used` is the number of parts that there are. Each that was read again
 * is logged after `prefix`, unless that is NULL. */
static enum uk_error reload_all(struct uk_server *server, const char *prefix, unsigned *used,
                                char *message, size_t size)
{
  enum uk_error first = UK_OK;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char reason[UK_SERVER_RELOAD_SIZE] = "";
    if (!parts[i].is_used(server))
      continue;
    const enum uk_error error = parts[i].reload(server, reason, sizeof reason);
    ++*used;
    if (error == UK_OK && prefix != NULL)
      uk_error_log("%s: the %s were read again", prefix, parts[i].name);
    if (first == UK_OK && error != UK_OK) {
      first = error;
      snprintf(message, size, "%s", reason);
    }
  }
  return first;
}

enum uk_error uk_server_reload(struct uk_server *server, char *message, size_t size)
{
  unsigned used = 0;
  message[0] = '\0';
  return reload_all(server, NULL, &used, message, size);
}

void uk_server_hang_up(void *argument)
{
  struct uk_server *server = argument;
  char message[UK_SERVER_RELOAD_SIZE];
  unsigned used = 0;
  (void)reload_all(server, "SIGHUP", &used, message, sizeof message);
  if (used == 0)
    uk_repeated_log(&server->hang_ups, uk_clock_monotonic(), UK_NOTHING_RELOADED);
}
