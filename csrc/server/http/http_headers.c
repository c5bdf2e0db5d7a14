#include "server/http/http_headers.h"

#include <strings.h>

#include "common/gzip.h"
#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http_exchange.h"
#include "server/http/http_lines.h"

/* The library removes the optional white space before a value, but not after it. */
static struct uk_slice trim_end(struct uk_slice value)
{
  while (value.length > 0 &&
         (value.data[value.length - 1] == ' ' || value.data[value.length - 1] == '\t'))
    value.length--;
  return value;
}

struct uk_slice uk_http_header(struct MHD_Connection *connection, const char *name)
{
  const char *value = NULL;
  size_t length = 0;
  if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, name, strlen(name), &value,
                                    &length) == MHD_NO ||
      value == NULL)
    return (struct uk_slice){0};
  return trim_end(uk_slice_of(value, length));
}

struct uk_client_address uk_http_peer(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == NULL || info->client_addr == NULL)
    return (struct uk_client_address){0};
  return uk_client_address_of(info->client_addr);
}

struct uk_slice uk_exchange_header(const struct uk_request *request, const char *name)
{
  return uk_http_header(uk_exchange_of(request)->connection, name);
}

struct header_visit {
  bool as_sent; /* keep trailing white space in values */
  uk_header_visitor *each;
  void *argument;
};

static enum MHD_Result visit_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    size_t name_length, const char *value, size_t value_length)
{
  const struct header_visit *visit = context;
  const struct uk_slice sent = uk_slice_of(value, value != NULL ? value_length : 0);
  (void)kind;
  visit->each(visit->argument, uk_slice_of(name, name_length),
              visit->as_sent ? sent : trim_end(sent));
  return MHD_YES;
}

void uk_exchange_each_header(const struct uk_request *request, uk_header_visitor *each,
                             void *argument)
{
  struct header_visit visit = {false, each, argument};
  MHD_get_connection_values_n(uk_exchange_of(request)->connection, MHD_HEADER_KIND, visit_header,
                              &visit);
}

/* Headers that http itself needs. */

static bool is(struct uk_slice text, const char *word)
{
  return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

static void read_length(struct uk_exchange *exchange, struct uk_slice value)
{
  int64_t length = -1;
  bool good = uk_parse_int64(value, &length) && length >= 0;
  if (!good || (exchange->has_length && exchange->content_length != (uint64_t)length))
    exchange->bad_framing = true;
  exchange->has_length = true;
  exchange->content_length = good ? (uint64_t)length : 0;
}

static void read_transfer_encoding(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->bad_framing = exchange->bad_framing || exchange->chunked || !is(value, "chunked");
  exchange->chunked = true;
}

static void read_host(struct uk_exchange *exchange, struct uk_slice value)
{
  (void)value;
  exchange->hosts++;
}

static void read_expect(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->expects_continue = is(value, "100-continue");
}

static void read_accept_encoding(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->accepts_gzip = uk_gzip_accepted(value);
}

/* Several headers name one coding after the other. A body is compressed once at most. */
static void read_content_encoding(struct uk_exchange *exchange, struct uk_slice value)
{
  bool codes = value.length > 0 && !is(value, "identity");
  bool is_gzip = is(value, "gzip") || is(value, "x-gzip");
  exchange->bad_encoding = exchange->bad_encoding || (codes && (!is_gzip || exchange->is_gzip));
  exchange->is_gzip = exchange->is_gzip || is_gzip;
}

/* What the library stores for each header and each cookie besides its text. */
enum { ENTRY_BYTES = 64 };

/* The library stores a second copy of the cookies, split into pairs. */
static void read_cookie(struct uk_exchange *exchange, struct uk_slice value)
{
  size_t count = 2;
  for (size_t i = 0; i < value.length; i++)
    count += value.data[i] == ';';
  exchange->entry_bytes += value.length + count * ENTRY_BYTES;
}

static void read_origin(struct uk_exchange *exchange, struct uk_slice value)
{
  struct uk_request *request = &exchange->request;
  request->browser.origin = value;
  request->browser.allowed = uk_cors_admit(request->server->cors, value);
}

static void read_fetch_site(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->request.browser.foreign = is(value, "cross-site") || is(value, "same-site");
  exchange->request.browser.own = is(value, "same-origin");
}

static void read_fetch_mode(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->request.browser.has_fetch_mode = true;
  exchange->request.browser.unscripted = is(value, "navigate") || is(value, "no-cors");
}

static void read_forwarded(struct uk_exchange *exchange, struct uk_slice value)
{
  exchange->forwarded = value;
}

#define NAMED(text)                                                                                \
  {                                                                                                \
    text, sizeof text - 1                                                                          \
  }

/* A proxy may read a name that contains white space ("Content-Length :") differently, so it is
 * refused. The library does not trim the values that frame bodies: version 0.9.75 refuses
 * "Content-Length: 5 " and treats "Transfer-Encoding: chunked " as a body that ends with the
 * connection. Therefore those values are read `as_sent`, and refused. Cookies are read `as_sent` to
 * count their size in the library's memory. */
static void read_header(void *argument, struct uk_slice name, struct uk_slice value)
{
  static const struct {
    struct uk_slice name;
    void (*read)(struct uk_exchange *exchange, struct uk_slice value);
    bool as_sent;
  } readers[] = {
    {NAMED("Content-Length"), read_length, true},
    {NAMED("Transfer-Encoding"), read_transfer_encoding, true},
    {NAMED("Host"), read_host, false},
    {NAMED("Expect"), read_expect, false},
    {NAMED("Accept-Encoding"), read_accept_encoding, false},
    {NAMED("Content-Encoding"), read_content_encoding, false},
    {NAMED("Cookie"), read_cookie, true},
    {NAMED("Origin"), read_origin, false},
    {NAMED("Sec-Fetch-Site"), read_fetch_site, false},
    {NAMED("Sec-Fetch-Mode"), read_fetch_mode, false},
    {NAMED("X-Forwarded-For"), read_forwarded, false},
  };
  struct uk_exchange *exchange = argument;
  exchange->entry_bytes += ENTRY_BYTES;
  if (name.length == 0 || memchr(name.data, ' ', name.length) != NULL ||
      memchr(name.data, '\t', name.length) != NULL)
    exchange->bad_framing = true;
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
    if (name.length == readers[i].name.length &&
        strncasecmp(name.data, readers[i].name.data, name.length) == 0)
      readers[i].read(exchange, readers[i].as_sent ? value : trim_end(value));
  }
}

/* Sets the client's address. A proxy that does not name its clients hides them behind one address.
 */
static void find_client(struct uk_exchange *exchange)
{
  struct uk_http *http = exchange->http;
  const struct uk_client_address peer = uk_http_peer(exchange->connection);
  exchange->request.client = uk_proxies_resolve(&http->proxies, &peer, exchange->forwarded);
  if (http->proxies.count == 0 || !uk_proxies_hold(&http->proxies, &peer) ||
      !uk_client_address_equals(&exchange->request.client, &peer))
    return;
  char text[UK_CLIENT_ADDRESS_SIZE];
  uk_client_address_write(&peer, text);
  uk_alarm_raise(&http->unforwarded,
                 "the proxy %s sent a request without an address in X-Forwarded-For; such "
                 "requests count as those of one client",
                 text);
}

void uk_exchange_read_headers(struct uk_exchange *exchange, const char *method, const char *version)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  exchange->header_bytes = info != NULL ? info->header_size : 0;
  exchange->is_http_1_0 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
  exchange->bad_lines =
    exchange->http->lines_are_kept && !uk_http_lines_hold(exchange->connection, method, version);
  exchange->body_start = exchange->http->lines_are_kept ? method + exchange->header_bytes : NULL;
  struct header_visit visit = {true, read_header, exchange};
  MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, visit_header, &visit);
  find_client(exchange);
}
