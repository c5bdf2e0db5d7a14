#include "server/api/cors.h"

#include <stdio.h>
#include <stdlib.h>

enum { ORIGIN_SHOWN = 64 };

static const char any[] = "*", none[] = "none";

struct uk_cors {
  bool any;
  size_t count;
  char origins[][UK_ORIGIN_MAX + 1]; /* lower case, as browsers send them */
};

static char to_lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_scheme_character(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* Visible ASCII, except characters that would begin a path, a query, a user or a list. */
static bool is_host_character(char c)
{
  return c > ' ' && c < 0x7f && strchr("/?#@,\\\"*", c) == NULL;
}

/* Whether the lower-case text is SCHEME://HOST[:PORT]. */
static bool is_origin(const char *text)
{
  const char *at = text;
  while (is_scheme_character(*at))
    at++;
  if (at == text || strncmp(at, "://", 3) != 0)
    return false;
  const char *host = at += 3;
  while (is_host_character(*at))
    at++;
  return at > host && *at == '\0';
}

/* Browsers omit a scheme's default port. */
static void drop_default_port(char *origin, size_t length)
{
  static const struct {
    struct uk_slice scheme, port;
  } defaults[] = {{{"https://", 8}, {":443", 4}}, {{"http://", 7}, {":80", 3}}};
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
    const struct uk_slice scheme = defaults[i].scheme, port = defaults[i].port;
    if (length < scheme.length + port.length || strncmp(origin, scheme.data, scheme.length) != 0)
      continue;
    char *end = origin + length - port.length;
    if (strcmp(end, port.data) == 0)
      *end = '\0';
  }
}

static bool take_origin(struct uk_cors *cors, const char *text)
{
  size_t length = strlen(text);
  char *origin = cors->origins[cors->count];
  if (length > UK_ORIGIN_MAX)
    return false;
  for (size_t i = 0; i <= length; i++)
    origin[i] = to_lower(text[i]);
  drop_default_port(origin, length);
  cors->count++;
  return is_origin(origin);
}

static enum uk_error fill(struct uk_cors *cors, const char *const *origins, size_t count,
                          char *message, size_t size)
{
  cors->any = count == 0 || (count == 1 && strcmp(origins[0], any) == 0);
  if (cors->any || (count == 1 && strcmp(origins[0], none) == 0))
    return UK_OK;
  for (size_t i = 0; i < count; i++) {
    if (take_origin(cors, origins[i]))
      continue;
    bool alone = strcmp(origins[i], any) == 0 || strcmp(origins[i], none) == 0;
    snprintf(message, size,
             alone ? "cors_origin: \"%.*s\" cannot be combined with other origins"
                   : "cors_origin: SCHEME://HOST[:PORT], * or none expected, got \"%.*s\"",
             ORIGIN_SHOWN, origins[i]);
    return UK_E_BAD_REQUEST;
  }
  return UK_OK;
}

enum uk_error uk_cors_new(struct uk_cors **out, const char *const *origins, size_t count,
                          char *message, size_t size)
{
  if (count > UK_ORIGINS_MAX) {
    snprintf(message, size, "cors_origin: at most %d origins expected, got %zu", UK_ORIGINS_MAX,
             count);
    return UK_E_BAD_REQUEST;
  }
  struct uk_cors *cors = calloc(1, sizeof *cors + count * sizeof cors->origins[0]);
  if (cors == NULL)
    return UK_E_NO_MEMORY;
  enum uk_error error = fill(cors, origins, count, message, size);
  if (error == UK_OK)
    *out = cors;
  else
    uk_cors_free(cors);
  return error;
}

void uk_cors_free(struct uk_cors *cors)
{
  free(cors);
}

const char *uk_cors_admit(const struct uk_cors *cors, struct uk_slice origin)
{
  if (cors->any)
    return any;
  for (size_t i = 0; i < cors->count; i++) {
    if (uk_slice_is(origin, cors->origins[i]))
      return cors->origins[i];
  }
  return NULL;
}

static bool is_off(const struct uk_cors *cors)
{
  return !cors->any && cors->count == 0;
}

static bool has_headers(const struct uk_request *request, const char *vary)
{
  for (unsigned i = 0; i < request->reply_header_count; i++) {
    if (request->reply_headers[i].name == vary)
      return true;
  }
  return false;
}

static void add_preflight_headers(struct uk_request *request)
{
  uk_request_add_header(request, "Access-Control-Allow-Methods", request->allow);
  uk_request_add_header(request, "Access-Control-Allow-Headers", UK_CORS_REQUEST_HEADERS);
  uk_request_add_header(request, "Access-Control-Max-Age", UK_PREFLIGHT_SECONDS);
}

void uk_cors_add_headers(const struct uk_cors *cors, struct uk_request *request)
{
  static const char vary[] = "Vary";
  const struct uk_browser *browser = &request->browser;
  bool described = request->method == UK_OPTIONS && request->status == 204;
  if ((browser->origin.data == NULL && !described) || is_off(cors) || has_headers(request, vary))
    return;
  uk_request_add_header(request, vary, "Origin");
  if (described)
    add_preflight_headers(request);
  if (browser->allowed == NULL)
    return;
  uk_request_add_header(request, "Access-Control-Allow-Origin", browser->allowed);
  uk_request_add_header(request, "Access-Control-Expose-Headers", UK_CORS_RESPONSE_HEADERS);
}

/* Whether the page belongs to this server. Without Sec-Fetch-Site, which old browsers do not send,
 * compares the Origin's host with Host; the scheme may differ because a proxy may add TLS. */
static bool is_own(const struct uk_request *request)
{
  struct uk_slice origin = request->browser.origin;
  struct uk_slice host = uk_request_header(request, "Host");
  const char *end = origin.data + origin.length;
  return request->browser.own || (host.length > 0 && origin.length > host.length + 3 &&
                                  memcmp(end - host.length, host.data, host.length) == 0 &&
                                  memcmp(end - host.length - 3, "://", 3) == 0);
}

bool uk_cors_is_unasked(const struct uk_request *request)
{
  const struct uk_browser *browser = &request->browser;
  if (browser->foreign && browser->unscripted)
    return true;
  return browser->origin.data != NULL && browser->allowed == NULL && !is_own(request);
}
