/* for: cors.c */
#include "server/api/cors.h"

#include "check.h"
#include "fault.h"

static char message[200];

/* cors reads one request header. */
static const char *host;

static struct uk_slice header_of(const struct uk_request *request, const char *name)
{
  (void)request;
  CHECK_EQ_STR(name, "Host");
  return host != NULL ? uk_slice_text(host) : (struct uk_slice){0};
}

static const struct uk_request_methods methods = {.header = header_of};

static struct uk_cors *make(const char *const *origins, size_t count)
{
  struct uk_cors *cors = NULL;
  CHECK_EQ_INT(uk_cors_new(&cors, origins, count, message, sizeof message), UK_OK);
  return cors;
}

static const char *admitted(const struct uk_cors *cors, const char *origin)
{
  return uk_cors_admit(cors, uk_slice_text(origin));
}

static void admits_every_origin(void)
{
  static const char *const any[] = {"*"};
  for (size_t count = 0; count <= 1; count++) {
    struct uk_cors *cors = make(any, count);
    CHECK_EQ_STR(admitted(cors, "https://app.example.com"), "*");
    CHECK_EQ_STR(admitted(cors, "null"), "*");
    uk_cors_free(cors);
  }
}

static void admits_the_listed_ones(void)
{
  static const char *const list[] = {"https://App.Example.com", "http://localhost:3000",
                                     "capacitor://localhost", "http://[::1]:8080",
                                     "moZ-extension+v2.09://a~b"};
  struct uk_cors *cors = make(list, 5);
  CHECK_EQ_STR(admitted(cors, "moz-extension+v2.09://a~b"), "moz-extension+v2.09://a~b");
  CHECK_EQ_STR(admitted(cors, "https://app.example.com"), "https://app.example.com");
  CHECK_EQ_STR(admitted(cors, "http://localhost:3000"), "http://localhost:3000");
  CHECK_EQ_STR(admitted(cors, "capacitor://localhost"), "capacitor://localhost");
  CHECK_EQ_STR(admitted(cors, "http://[::1]:8080"), "http://[::1]:8080");
  static const char *const others[] = {"http://app.example.com",
                                       "https://app.example.com:443",
                                       "https://app.example.com.evil.example",
                                       "https://app.example.co",
                                       "http://localhost",
                                       "null",
                                       "*",
                                       ""};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    CHECK(admitted(cors, others[i]) == NULL);
  uk_cors_free(cors);
}

static void ignores_the_default_port(void)
{
  static const struct {
    const char *listed, *sent;
  } cases[] = {
    {"https://A.Example:443", "https://a.example"},
    {"http://a.example:80", "http://a.example"},
    {"http://[::1]:80", "http://[::1]"},
    {"https://[::1]:443", "https://[::1]"},
    {"https://a:80", "https://a:80"},
    {"http://a:443", "http://a:443"},
    {"https://a:8443", "https://a:8443"},
    {"http://a:8080", "http://a:8080"},
    {"https://a:4430", "https://a:4430"},
    {"app://a:443", "app://a:443"},
    {"http://a:180", "http://a:180"},
    {"http://[::80]", "http://[::80]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_cors *cors = make(&cases[i].listed, 1);
    CHECK_EQ_STR(admitted(cors, cases[i].sent), cases[i].sent);
    uk_cors_free(cors);
  }
}

static void admits_no_origin(void)
{
  static const char *const none[] = {"none"};
  struct uk_cors *cors = make(none, 1);
  CHECK(admitted(cors, "https://app.example.com") == NULL);
  CHECK(admitted(cors, "none") == NULL);
  uk_cors_free(cors);
}

static void names_an_invalid_origin(void)
{
  static const char *const wrong[] = {"",
                                      "app.example.com",
                                      "https://",
                                      "://host",
                                      "https://:443",
                                      "http://:80",
                                      "https://host/",
                                      "https://host/path",
                                      "https://user@host",
                                      "https://host?x",
                                      "https://ho st",
                                      "https://*.example.com",
                                      "https://a,https://b",
                                      "https://h\xc3\xb6st",
                                      "https://h\x7fst",
                                      "ht!p://host",
                                      "null",
                                      "None"};
  long before = fault_live();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct uk_cors *cors = NULL;
    CHECK_EQ_INT(uk_cors_new(&cors, &wrong[i], 1, message, sizeof message), UK_E_BAD_REQUEST);
    CHECK(strncmp(message, "cors_origin: SCHEME://HOST[:PORT], * or none expected, got \"", 60) ==
          0);
    CHECK(strstr(message, wrong[i]) != NULL && cors == NULL);
  }
  static const char *const mixed[][2] = {{"https://a", "*"}, {"none", "https://a"}, {"*", "*"}};
  for (size_t i = 0; i < 3; i++) {
    struct uk_cors *cors = NULL;
    CHECK_EQ_INT(uk_cors_new(&cors, mixed[i], 2, message, sizeof message), UK_E_BAD_REQUEST);
    CHECK(strstr(message, "cannot be combined with other origins") != NULL);
  }
  CHECK_EQ_INT(fault_live(), before);
}

static void obeys_its_limits(void)
{
  const char *many[UK_ORIGINS_MAX + 1];
  char longest[UK_ORIGIN_MAX + 2] = "https://", expected[200];
  const char *const text = longest;
  struct uk_cors *cors = NULL;
  for (size_t i = 0; i <= UK_ORIGINS_MAX; i++)
    many[i] = "https://a";
  uk_cors_free(make(many, UK_ORIGINS_MAX));
  CHECK_EQ_INT(uk_cors_new(&cors, many, UK_ORIGINS_MAX + 1, message, sizeof message),
               UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "cors_origin: at most 64 origins expected, got 65");
  memset(longest + 8, 'a', UK_ORIGIN_MAX - 8);
  cors = make(&text, 1);
  CHECK_EQ_STR(admitted(cors, longest), longest);
  uk_cors_free(cors);
  char other[UK_ORIGIN_MAX + 1];
  memcpy(other, longest, sizeof other);
  other[UK_ORIGIN_MAX - 1] = 'b';
  cors = make((const char *const[]){longest, other}, 2);
  CHECK_EQ_STR(admitted(cors, longest), longest);
  CHECK_EQ_STR(admitted(cors, other), other);
  uk_cors_free(cors);
  longest[UK_ORIGIN_MAX] = 'a';
  CHECK_EQ_INT(uk_cors_new(&cors, &text, 1, message, sizeof message), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected,
           "cors_origin: SCHEME://HOST[:PORT], * or none expected, got \"%.64s\"", longest);
  CHECK_EQ_STR(message, expected);
}

static void survives_without_memory(void)
{
  struct uk_cors *cors = NULL;
  long before = fault_live();
  fault_at(1);
  CHECK_EQ_INT(uk_cors_new(&cors, NULL, 0, message, sizeof message), UK_E_NO_MEMORY);
  fault_off();
  CHECK_EQ_INT(fault_live(), before);
}

static struct uk_request make_request(const struct uk_cors *cors, const char *origin)
{
  struct uk_request request = {.status = 200, .method = UK_GET};
  if (origin != NULL) {
    request.browser.origin = uk_slice_text(origin);
    request.browser.allowed = uk_cors_admit(cors, request.browser.origin);
  }
  return request;
}

static const char *header(const struct uk_request *request, const char *name)
{
  const char *value = NULL;
  for (unsigned i = 0; i < request->reply_header_count; i++) {
    if (strcmp(request->reply_headers[i].name, name) == 0) {
      CHECK(value == NULL);
      value = request->reply_headers[i].value;
    }
  }
  return value != NULL ? value : "";
}

static void adds_its_headers_once(void)
{
  struct uk_cors *cors = make(NULL, 0);
  struct uk_request request = make_request(cors, "https://a");
  uk_cors_add_headers(cors, &request);
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 3);
  CHECK_EQ_STR(header(&request, "Access-Control-Allow-Origin"), "*");
  CHECK_EQ_STR(header(&request, "Access-Control-Expose-Headers"), UK_CORS_RESPONSE_HEADERS);
  CHECK_EQ_STR(header(&request, "Vary"), "Origin");
  request = make_request(cors, NULL);
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 0);
  uk_cors_free(cors);
}

/* A preflight is described to everybody: a cache may hold its answer. Other answers are not. */
static void describes_a_path_without_an_origin_too(void)
{
  struct uk_cors *cors = make(NULL, 0);
  struct uk_request request = make_request(cors, NULL);
  request.method = UK_OPTIONS;
  request.status = 204;
  request.allow = "GET, OPTIONS";
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 4);
  CHECK_EQ_STR(header(&request, "Vary"), "Origin");
  CHECK_EQ_STR(header(&request, "Access-Control-Allow-Methods"), "GET, OPTIONS");
  CHECK_EQ_STR(header(&request, "Access-Control-Allow-Headers"), UK_CORS_REQUEST_HEADERS);
  CHECK_EQ_STR(header(&request, "Access-Control-Max-Age"), "600");
  request = make_request(cors, "https://a");
  request.method = UK_OPTIONS;
  request.status = 404;
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 3);
  request = make_request(cors, "https://a");
  request.status = 204;
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 3);
  uk_cors_free(cors);
}

static void sends_nothing_to_other_origins(void)
{
  static const char *const list[] = {"https://a"}, *const none[] = {"none"};
  struct uk_cors *cors = make(list, 1);
  struct uk_request request = make_request(cors, "https://b");
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 1);
  CHECK_EQ_STR(header(&request, "Vary"), "Origin");
  uk_cors_free(cors);
  cors = make(none, 1);
  request = make_request(cors, "https://a");
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_INT(request.reply_header_count, 0);
  uk_cors_free(cors);
}

/* "F6": all headers that a reply can have, each at its longest, fit the limits. */
static void has_room_for_every_header(void)
{
  char origin[UK_ORIGIN_MAX + 1] = "https://", id[129] = "", batch[65] = "";
  const char *const text = origin;
  memset(origin + 8, 'a', UK_ORIGIN_MAX - 8);
  memset(id, 'x', sizeof id - 1);
  memset(batch, 'x', sizeof batch - 1);
  struct uk_cors *cors = make(&text, 1);
  struct uk_request request = make_request(cors, origin);
  request.method = UK_OPTIONS;
  request.status = 204;
  request.allow = "GET, HEAD, POST, DELETE, OPTIONS";
  uk_request_add_header(&request, "WWW-Authenticate",
                        "Basic realm=\"" UK_REALM "\", charset=\"UTF-8\"");
  uk_request_add_header(&request, "Retry-After", "1");
  uk_request_add_header(&request, "Allow", request.allow);
  uk_request_add_header(&request, "Connection", "close");
  uk_request_add_header(&request, "Content-Encoding", "gzip");
  uk_request_add_header(&request, "X-Request-Id", id);
  uk_request_add_header(&request, "Kafka-Batch", batch);
  uk_request_add_header(&request, "Kafka-Commit-Skipped", "");
  uk_request_add_header(&request, "Idempotent-Replayed", "true");
  uk_cors_add_headers(cors, &request);
  CHECK_EQ_STR(header(&request, "Access-Control-Allow-Methods"), request.allow);
  CHECK_EQ_STR(header(&request, "Access-Control-Allow-Headers"), UK_CORS_REQUEST_HEADERS);
  CHECK_EQ_STR(header(&request, "Access-Control-Max-Age"), "600");
  CHECK_EQ_INT(request.reply.error, UK_OK);
  size_t head = strlen("HTTP/1.1 431 Request Header Fields Too Large\r\n"
                       "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                       "Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n");
  for (unsigned i = 0; i < request.reply_header_count; i++)
    head += strlen(request.reply_headers[i].name) + strlen(request.reply_headers[i].value) + 4;
  CHECK(head + 256 <= UK_REPLY_HEAD_BYTES);
  uk_cors_free(cors);
}

/* The reply to a consume has the longest header, and no headers of an error or of OPTIONS. */
static void the_head_of_a_consume_has_room_for_its_headers(void)
{
  char origin[UK_ORIGIN_MAX + 1] = "https://", id[129] = "", batch[65] = "", skipped[1006] = "";
  const char *const text = origin;
  memset(origin + 8, 'a', UK_ORIGIN_MAX - 8);
  memset(id, 'x', sizeof id - 1);
  memset(batch, 'x', sizeof batch - 1);
  memset(skipped, 'x', sizeof skipped - 1);
  struct uk_cors *cors = make(&text, 1);
  struct uk_request request = make_request(cors, origin);
  uk_request_add_header(&request, "Connection", "close");
  uk_request_add_header(&request, "Content-Encoding", "gzip");
  uk_request_add_header(&request, "X-Request-Id", id);
  uk_request_add_header(&request, "Kafka-Batch", batch);
  uk_request_add_header(&request, "Kafka-Commit-Skipped", skipped);
  uk_cors_add_headers(cors, &request);
  size_t head = strlen("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                       "Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n");
  for (unsigned i = 0; i < request.reply_header_count; i++)
    head += strlen(request.reply_headers[i].name) + strlen(request.reply_headers[i].value) + 4;
  CHECK(head <= UK_REPLY_HEAD_BYTES);
  uk_cors_free(cors);
}

static void detects_requests_without_a_script(void)
{
  static const struct {
    struct uk_browser browser;
    const char *host;
    bool unasked;
  } cases[] = {
    {{.has_fetch_mode = true}, NULL, false},
    {{.foreign = true}, NULL, false},
    {{.unscripted = true}, NULL, false},
    {{.foreign = true, .unscripted = true}, NULL, true},
    {{.foreign = true, .unscripted = true, .origin = {"http://a", 8}, .allowed = "*"}, "a", true},
    {{.foreign = true, .origin = {"http://a", 8}, .allowed = "*"}, NULL, false},
    {{.foreign = true, .origin = {"http://a", 8}}, NULL, true},
    {{.origin = {"http://a", 8}}, NULL, true},
    {{.origin = {"null", 4}}, "ull", true},
    {{.origin = {"http://a", 8}}, "a", false},
    {{.origin = {"http://ba", 9}}, "a", true},
    {{.origin = {"http://a", 8}}, "http://a", true},
    {{.origin = {"http://a", 8}}, "", true},
    {{.origin = {"http://", 7}}, "", true},
    {{.origin = {"://a", 4}}, "a", true},
    {{.origin = {"http://a", 8}, .own = true}, NULL, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_request request = {.methods = &methods, .browser = cases[i].browser};
    host = cases[i].host;
    if (!CHECK_EQ_INT(uk_cors_is_unasked(&request), cases[i].unasked))
      fprintf(stderr, "  case %zu\n", i);
  }
}

int main(void)
{
  CHECK_RUN(admits_every_origin);
  CHECK_RUN(admits_the_listed_ones);
  CHECK_RUN(ignores_the_default_port);
  CHECK_RUN(admits_no_origin);
  CHECK_RUN(names_an_invalid_origin);
  CHECK_RUN(obeys_its_limits);
  CHECK_RUN(survives_without_memory);
  CHECK_RUN(adds_its_headers_once);
  CHECK_RUN(the_head_of_a_consume_has_room_for_its_headers);
  CHECK_RUN(describes_a_path_without_an_origin_too);
  CHECK_RUN(sends_nothing_to_other_origins);
  CHECK_RUN(has_room_for_every_header);
  CHECK_RUN(detects_requests_without_a_script);
  return check_end();
}
