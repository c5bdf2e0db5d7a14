#include "server/api/dispatch.h"

#include <stdio.h>
#include <strings.h>

#include "common/clock.h"
#include "server/api/api.h"
#include "server/api/cors.h"
#include "server/api/router.h"
#include "server/api/server_state.h"

enum { QUERY_NAMES_MAX = 3, ORIGIN_SHOWN = 64 };

/* One row for each endpoint. With `any_query`, senders may add parameters of their own. */
static const struct {
  uk_handler *handler;
  const char *query[QUERY_NAMES_MAX];
  bool any_query;
  bool open;        /* needs no credentials */
  bool any_login;   /* looks at credentials nevertheless; wrong ones are the same as none */
  bool query_login; /* accepts credentials as ?user=&pass= */
} routes[UK_ENDPOINT_COUNT] = {
  [UK_ENDPOINT_PRODUCE_ONE] = {.handler = uk_api_produce_one, .query = {"key"}},
  [UK_ENDPOINT_PRODUCE_TOPIC] = {.handler = uk_api_produce},
  [UK_ENDPOINT_PRODUCE] = {.handler = uk_api_produce},
  [UK_ENDPOINT_WEBHOOK] = {.handler = uk_api_webhook,
                           .query = {"topic", "user", "pass"},
                           .any_query = true,
                           .query_login = true},
  [UK_ENDPOINT_CONSUME_TOPIC] = {.handler = uk_api_consume,
                                 .query = {"timeout", "max_messages", "max_bytes"}},
  [UK_ENDPOINT_CONSUME] = {.handler = uk_api_consume,
                           .query = {"timeout", "max_messages", "max_bytes"}},
  [UK_ENDPOINT_COMMIT] = {.handler = uk_api_commit},
  [UK_ENDPOINT_DELETE_CONSUMER] = {.handler = uk_api_delete_consumer},
  [UK_ENDPOINT_COMMITTED] = {.handler = uk_api_committed, .query = {"timeout"}},
  [UK_ENDPOINT_CONSUMERS] = {.handler = uk_api_consumers},
  [UK_ENDPOINT_FETCH] = {.handler = uk_api_fetch,
                         .query = {"timeout", "max_messages", "max_bytes"}},
  [UK_ENDPOINT_TOPICS] = {.handler = uk_api_topics},
  [UK_ENDPOINT_OFFSETS] = {.handler = uk_api_offsets, .query = {"timeout"}},
  [UK_ENDPOINT_CREATE_TOPIC] = {.handler = uk_api_create_topic},
  [UK_ENDPOINT_DELETE_TOPIC] = {.handler = uk_api_delete_topic},
  [UK_ENDPOINT_HEALTH] = {.handler = uk_api_health, .open = true, .any_login = true},
  [UK_ENDPOINT_ROOT] = {.handler = uk_api_root, .open = true},
};

static const struct {
  enum uk_method method;
  const char *name;
} method_names[] = {{UK_GET, "GET"},
                    {UK_HEAD, "HEAD"},
                    {UK_POST, "POST"},
                    {UK_DELETE, "DELETE"},
                    {UK_OPTIONS, "OPTIONS"}};

/* Writes "GET, POST, OPTIONS" into the arena; NULL if out of memory. */
static char *allowed(struct uk_request *request, unsigned methods)
{
  char text[64] = "";
  for (size_t i = 0; i < sizeof method_names / sizeof *method_names; i++) {
    if ((methods & (unsigned)method_names[i].method) != 0) {
      size_t length = strlen(text);
      snprintf(text + length, sizeof text - length, "%s%s", length > 0 ? ", " : "",
               method_names[i].name);
    }
  }
  return uk_arena_copy(&request->arena, text, strlen(text));
}

static bool find_route(struct uk_request *request)
{
  struct uk_route route;
  enum uk_error error = uk_route_find(&route, request->method, request->path);
  memcpy(request->parameters, route.parameters, sizeof route.parameters);
  request->endpoint = route.endpoint;
  if (error == UK_OK)
    return true;
  if (error == UK_E_METHOD_NOT_ALLOWED) {
    request->allow = allowed(request, route.methods | UK_OPTIONS);
    error = request->allow != NULL ? error : UK_E_NO_MEMORY;
  }
  if (request->allow != NULL && request->method == UK_OPTIONS)
    return true;
  const char *text = error == UK_E_NOT_FOUND     ? "no such path"
                     : error == UK_E_BAD_REQUEST ? "path: malformed percent escape"
                                                 : NULL;
  uk_request_error(request, error, text != NULL ? "%s" : NULL, text);
  if (request->allow != NULL)
    uk_request_add_header(request, "Allow", request->allow);
  return false;
}

/* Headers with one value. A request that gives two may mean either. */
static const char *const single_headers[] = {
  "Authorization",
  "Content-Type",
  "Origin",
  "Sec-Fetch-Mode",
  "Sec-Fetch-Site",
  UK_HEADER_ACK,
  UK_HEADER_AUTO_COMMIT,
  UK_HEADER_AUTO_COMMIT_INTERVAL,
  UK_HEADER_COMMIT,
  UK_HEADER_ENCODING,
  UK_HEADER_IDEMPOTENCY_KEY,
  UK_HEADER_OFFSET_RESET,
  UK_HEADER_SESSION_TIMEOUT,
};

enum { SINGLE_HEADERS = sizeof single_headers / sizeof *single_headers };

struct single_values {
  struct uk_slice values[SINGLE_HEADERS];
  bool seen[SINGLE_HEADERS];
  const char *ambiguous; /* the name of a header with two values */
};

static void note_single(void *argument, struct uk_slice name, struct uk_slice value)
{
  struct single_values *found = argument;
  for (size_t i = 0; i < SINGLE_HEADERS; i++) {
    const char *known = single_headers[i];
    if (name.length != strlen(known) || strncasecmp(name.data, known, name.length) != 0)
      continue;
    if (found->seen[i] && !uk_slice_equal(found->values[i], value))
      found->ambiguous = known;
    found->seen[i] = true;
    found->values[i] = value;
  }
}

static bool accept_headers(struct uk_request *request)
{
  struct single_values found = {.ambiguous = NULL};
  uk_request_each_header(request, note_single, &found);
  if (found.ambiguous != NULL)
    uk_request_error(request, UK_E_BAD_REQUEST, "%s: given twice, with different values",
                     found.ambiguous);
  return found.ambiguous == NULL;
}

/* Adds ?user=&pass=. Senders encode them differently, or not at all, so each form counts that gives
 * another result. False: out of memory. */
static bool add_query_logins(struct uk_request *request, struct uk_logins *logins)
{
  static const enum uk_query_form forms[] = {UK_QUERY_FORM, UK_QUERY_PERCENT, UK_QUERY_AS_SENT};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct uk_slice username, password;
    const int has_user = uk_request_query_as(request, "user", forms[i], &username);
    const int has_pass =
      has_user == 1 ? uk_request_query_as(request, "pass", forms[i], &password) : has_user;
    if (has_pass == -1)
      return false;
    if (has_pass == 1)
      uk_logins_add(logins, username, password);
  }
  return true;
}

static bool has_query_login(struct uk_request *request)
{
  struct uk_slice text;
  return routes[request->endpoint].query_login && uk_request_query(request, "user", &text) == 1 &&
         uk_request_query(request, "pass", &text) == 1;
}

/* Refuses what a browser sends without a script of an allowed page, except requests that need no
 * credentials, or that have them in the query and so do not rely on remembered ones. */
static bool admit_page(struct uk_request *request)
{
  const struct uk_browser *browser = &request->browser;
  bool unasked = uk_cors_is_unasked(request);
  if (!unasked || routes[request->endpoint].open || has_query_login(request))
    return true;
  if (browser->foreign && browser->unscripted)
    uk_request_error(request, UK_E_FORBIDDEN,
                     "Sec-Fetch-Site: a page of another site may send this only from a script");
  else
    uk_request_error(
      request, UK_E_FORBIDDEN, "Origin: \"%.*s\" is not allowed by --cors-origin",
      (int)(browser->origin.length < ORIGIN_SHOWN ? browser->origin.length : ORIGIN_SHOWN),
      browser->origin.data);
  return false;
}

/* Ignores the Authorization header of a request that no script asked for: the browser may have
 * remembered those credentials. False: out of memory. */
static bool read_logins(struct uk_request *request, struct uk_logins *logins)
{
  uk_logins_init(logins);
  if (!uk_cors_is_unasked(request))
    uk_logins_add_basic(logins, uk_request_header(request, "Authorization"));
  return !routes[request->endpoint].query_login || add_query_logins(request, logins);
}

static bool refuse_login(struct uk_request *request)
{
  uk_repeated_log(&request->server->refused_logins, uk_clock_monotonic(),
                  "a request with wrong credentials, or without any, was refused (401)");
  uk_request_error(request, UK_E_UNAUTHORIZED, NULL);
  return false;
}

/* It has not been looked at: right or wrong, it may come again. */
static bool delay_login(struct uk_request *request)
{
  uk_repeated_log(&request->server->delayed_logins, uk_clock_monotonic(),
                  "a login was delayed (429), after wrong ones from the same address or many new "
                  "ones at once");
  uk_request_error(request, UK_E_TOO_MANY, "too many logins: try again later");
  return false;
}

/* Finds who sent the request. */
static bool authenticate(struct uk_request *request)
{
  struct uk_logins logins;
  const struct uk_access_result unknown = {.outcome = UK_ACCESS_NO_MEMORY};
  const struct uk_access_result result =
    read_logins(request, &logins)
      ? uk_access_find(request->server->access, &logins, &request->client)
      : unknown;
  request->credential = result.credential;
  uk_logins_wipe(&logins);
  if (result.credential != NULL)
    uk_request_trust(request);
  if (result.outcome == UK_ACCESS_GRANTED || routes[request->endpoint].open)
    return true;
  if (result.outcome == UK_ACCESS_REFUSED)
    return refuse_login(request);
  if (result.outcome == UK_ACCESS_LATER)
    return delay_login(request);
  uk_request_error(request, UK_E_NO_MEMORY, NULL);
  return false;
}

/* Precondition: the request has a credential, or its endpoint needs none. */
static bool authorize(struct uk_request *request)
{
  if (routes[request->endpoint].open ||
      uk_credential_holds(request->credential, uk_endpoints[request->endpoint].permissions))
    return true;
  uk_request_error(request, UK_E_FORBIDDEN, "the credentials do not permit %s",
                   uk_endpoints[request->endpoint].name);
  return false;
}

static bool admit(struct uk_request *request)
{
  const bool looks = !routes[request->endpoint].open || routes[request->endpoint].any_login;
  return request->method == UK_OPTIONS || !looks || (authenticate(request) && authorize(request));
}

static bool accept_query(struct uk_request *request)
{
  const char *const *names = routes[request->endpoint].query;
  if (request->method == UK_OPTIONS)
    return true;
  return routes[request->endpoint].any_query
           ? uk_request_query_unique(request, names, QUERY_NAMES_MAX)
           : uk_request_query_known(request, names, QUERY_NAMES_MAX);
}

bool uk_dispatch_accept(struct uk_request *request)
{
  return find_route(request) && accept_headers(request) && admit_page(request) && admit(request) &&
         accept_query(request);
}

struct uk_slice uk_dispatch_user(const struct uk_request *request)
{
  return request->credential != NULL ? uk_credential_username(request->credential)
                                     : (struct uk_slice){0};
}

/* Answers OPTIONS with the path's methods; http adds the CORS headers. */
static bool describe_path(struct uk_request *request)
{
  request->status = 204;
  uk_request_add_header(request, "Allow", request->allow);
  return false;
}

bool uk_dispatch_run(struct uk_request *request)
{
  if (request->method == UK_OPTIONS)
    return describe_path(request);
  return routes[request->endpoint].handler(request);
}

void uk_dispatch_end(struct uk_request *request)
{
  uk_access_release(request->credential);
  request->credential = NULL;
}
