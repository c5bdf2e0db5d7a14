/* for: request.c */
#include <stdlib.h>

#include "check.h"
#include "client/request.h"
#include "client/settings.h"
#include "fault.h"

static struct uk_slice text(const char *data)
{
  return uk_slice_text(data);
}

static void produce_all(struct uk_client_request *request, bool binary)
{
  const struct uk_slice topic = text("a/b");
  const struct uk_message full = {text("t"), text("k\n"), text("v\"\xe2\x82\xac"), 3, 5};
  const struct uk_message tombstone = {{NULL, 0}, {NULL, 0}, {NULL, 0}, -1, -1};
  uk_client_request_begin(request, UK_ENDPOINT_PRODUCE_TOPIC, binary, &topic);
  uk_client_request_list(request);
  uk_client_request_message_begin(request, &full);
  uk_client_request_message_header(request, text("h"), text("1"));
  uk_client_request_message_header(request, text("h"), text(""));
  uk_client_request_message_end(request);
  uk_client_request_message_begin(request, &tombstone);
  uk_client_request_message_end(request);
  uk_client_request_list_end(request);
}

static void a_produce_is_one_body(void)
{
  struct uk_client_request request;
  uk_client_request_init(&request);
  produce_all(&request, false);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_INT(request.method, UK_POST);
  CHECK_EQ_SLICE(request.path, "/produce/a%2Fb");
  CHECK_EQ_SLICE(request.body,
                 "[{\"topic\":\"t\",\"partition\":3,\"timestamp\":5,\"key\":\"k\\n\",\"value\":"
                 "\"v\\\"\xe2\x82\xac\",\"headers\":[{\"key\":\"h\",\"value\":\"1\"},"
                 "{\"key\":\"h\",\"value\":\"\"}]},{\"value\":null}]");
  CHECK_EQ_MEM(request.headers.data, request.headers.length, "Content-Type: application/json", 31);
  CHECK_EQ_INT(request.messages, 2);
  uk_client_request_free(&request);
}

static void bytes_are_base64_when_binary(void)
{
  struct uk_client_request request;
  const struct uk_slice topic = text("t");
  const struct uk_message message = {{NULL, 0}, text("\xff"), text("\xfe\xfd"), -1, -1};
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE_TOPIC, true, &topic);
  uk_client_request_message_begin(&request, &message);
  uk_client_request_message_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.body, "{\"key\":\"/w==\",\"value\":\"/v0=\"}");
  const char *lines = "Content-Type: application/json\0Kafka-Encoding: base64";
  CHECK_EQ_MEM(request.headers.data, request.headers.length, lines, 31 + 23);
  uk_client_request_free(&request);
}

/* Encoding is a matter of the endpoints that carry messages. */
static void only_messages_have_an_encoding(void)
{
  struct uk_client_request request;
  const struct uk_slice none[UK_REQUEST_PARAMETERS] = {text("a"), text("b"), text("c")};
  uk_client_request_init(&request);
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    const bool carries = i == UK_ENDPOINT_PRODUCE || i == UK_ENDPOINT_PRODUCE_TOPIC ||
                         i == UK_ENDPOINT_CONSUME || i == UK_ENDPOINT_FETCH;
    for (int binary = 0; binary <= 1; binary++) {
      uk_client_request_begin(&request, (enum uk_endpoint)i, binary, none);
      CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
      CHECK_EQ_MEM(request.headers.data, request.headers.length, "Kafka-Encoding: base64",
                   carries && binary ? 23 : 0);
    }
  }
  uk_client_request_free(&request);
}

/* A body of one byte has a type too, except that of a webhook, whose caller names it. */
static void a_body_has_a_type(void)
{
  struct uk_client_request request;
  const struct uk_slice none[UK_REQUEST_PARAMETERS] = {text("a"), text("b"), text("c")};
  uk_client_request_init(&request);
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++)
    for (size_t length = 0; length <= 2; length++) {
      uk_client_request_begin(&request, (enum uk_endpoint)i, false, none);
      uk_client_request_raw(&request, uk_slice_of("[]", length));
      CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
      CHECK_EQ_MEM(request.headers.data, request.headers.length, "Content-Type: application/json",
                   length > 0 && i != UK_ENDPOINT_WEBHOOK ? 31 : 0);
    }
  uk_client_request_free(&request);
}

static void zero_is_not_absent(void)
{
  struct uk_client_request request;
  const struct uk_slice topic = text("t");
  const struct uk_message message = {{NULL, 0}, text(""), text(""), 0, 0};
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE_TOPIC, false, &topic);
  uk_client_request_message_begin(&request, &message);
  uk_client_request_message_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.body, "{\"partition\":0,\"timestamp\":0,\"key\":\"\",\"value\":\"\"}");
  uk_client_request_free(&request);
}

/* Lists, objects and fields, with a comma exactly where one belongs. */
static void a_body_is_json(void)
{
  struct uk_client_request request;
  const struct uk_slice group[] = {text("g"), text("i")};
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_COMMIT, false, group);
  uk_client_request_list(&request);
  uk_client_request_partition(&request, text("t"), 0, 0);
  uk_client_request_partition(&request, text("u"), 7, -1);
  uk_client_request_list_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.body, "[{\"topic\":\"t\",\"partition\":0,\"offset\":0},"
                               "{\"topic\":\"u\",\"partition\":7}]");
  CHECK_EQ_INT(request.messages, 2);
  uk_client_request_begin(&request, UK_ENDPOINT_CONSUME, false, group);
  uk_client_request_object(&request);
  uk_client_request_field_list(&request, "topics");
  uk_client_request_element(&request, "topic", text("t"));
  uk_client_request_element(&request, "topic", text("u"));
  uk_client_request_list_end(&request);
  uk_client_request_text(&request, "a", text("b"));
  uk_client_request_name(&request, "c");
  uk_client_request_object(&request);
  uk_client_request_object_end(&request);
  uk_client_request_integer(&request, "n", -1);
  uk_client_request_object_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.body, "{\"topics\":[\"t\",\"u\"],\"a\":\"b\",\"c\":{},\"n\":-1}");
  uk_client_request_free(&request);
}

/* Nothing of the last request is left, except the memory. */
static void a_request_begins_empty(void)
{
  struct uk_client_request request;
  const struct uk_slice topic = text("t");
  uk_client_request_init(&request);
  produce_all(&request, true);
  uk_client_request_query(&request, "q", text("v"));
  uk_client_request_text(&request, "bad", text("\xff"));
  request.wait = 5;
  CHECK_EQ_INT(uk_client_request_end(&request), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(uk_client_request_message(&request), "bad is not valid UTF-8");
  const char *memory = request.body.data;
  uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE_TOPIC, false, &topic);
  CHECK_EQ_INT(request.wait, 0);
  CHECK_EQ_INT(request.messages, 0);
  uk_client_request_query(&request, "q", text("w"));
  uk_client_request_list(&request);
  uk_client_request_list_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.path, "/produce/t?q=w");
  CHECK_EQ_SLICE(request.body, "[]");
  CHECK_EQ_MEM(request.headers.data, request.headers.length, "Content-Type: application/json", 31);
  CHECK(request.body.data == memory);
  uk_client_request_free(&request);
}

static void the_first_failure_counts(void)
{
  struct uk_client_request request;
  const struct uk_slice topic = text("t");
  const struct uk_message good = {{NULL, 0}, {NULL, 0}, text("v"), -1, -1};
  const struct uk_message bad = {{NULL, 0}, text("\xc0\x80"), text("\xff"), -1, -1};
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE_TOPIC, false, &topic);
  uk_client_request_list(&request);
  uk_client_request_message_begin(&request, &good);
  uk_client_request_message_end(&request);
  uk_client_request_message_begin(&request, &bad);
  uk_client_request_message_end(&request);
  uk_client_request_list_end(&request);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(uk_client_request_message(&request),
               "message 2: key is not valid UTF-8 (binary = true sends any bytes)");
  produce_all(&request, false);
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  uk_client_request_free(&request);
}

static void paths_and_queries_are_escaped(void)
{
  struct uk_client_request request;
  const struct uk_slice group[] = {text(".."), text("a b?")};
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_COMMITTED, false, group);
  uk_client_request_query_integer(&request, "timeout", INT64_MIN);
  uk_client_request_query(&request, "x", text("&=+"));
  CHECK_EQ_INT(uk_client_request_end(&request), UK_OK);
  CHECK_EQ_SLICE(request.path,
                 "/committed/%2E%2E/a%20b%3F?timeout=-9223372036854775808&x=%26%3D%2B");
  CHECK_EQ_INT(request.headers.length, 0);
  uk_client_request_free(&request);
}

static void methods_prefer_post(void)
{
  struct uk_client_request request;
  const struct uk_slice none[UK_REQUEST_PARAMETERS] = {text("a"), text("b"), text("c")};
  uk_client_request_init(&request);
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    unsigned methods = uk_endpoints[i].methods;
    uk_client_request_begin(&request, (enum uk_endpoint)i, false, none);
    CHECK((methods & request.method) != 0);
    CHECK_EQ_INT(request.method == UK_POST, (methods & UK_POST) != 0);
    CHECK(memchr(request.path.data, '{', request.path.length) == NULL);
  }
  uk_client_request_free(&request);
}

/* One byte below, at and above the limit. */
static void limits_hold(void)
{
  struct uk_client_request request;
  char *name = malloc(UK_REQUEST_PATH_MAX + 1);
  REQUIRE(name != NULL);
  memset(name, 'x', UK_REQUEST_PATH_MAX + 1);
  const size_t room = UK_REQUEST_PATH_MAX - strlen("/produce/");
  uk_client_request_init(&request);
  for (size_t length = room - 1; length <= room + 1; length++) {
    struct uk_slice topic = {name, length};
    uk_client_request_begin(&request, UK_ENDPOINT_PRODUCE_TOPIC, false, &topic);
    CHECK_EQ_INT(uk_client_request_end(&request), length <= room ? UK_OK : UK_E_TOO_LARGE);
  }
  CHECK_EQ_STR(uk_client_request_message(&request), "the request's path is too long");
  uk_client_request_free(&request);
  free(name);
}

/* Each part of a request has its own. The limit of a body is lowered here: it takes 256 MiB. */
static void what_is_too_large_is_named(void)
{
  struct uk_client_request request;
  uk_client_request_init(&request);
  CHECK_EQ_INT(request.path.limit, UK_REQUEST_PATH_MAX);
  CHECK_EQ_INT(request.headers.limit, UK_REQUEST_HEADERS_MAX);
  CHECK_EQ_INT(request.body.limit, UK_REQUEST_BODY_MAX);
  request.headers.limit = strlen("X: v") + 1;
  request.body.limit = 2;
  for (int more = 0; more < 4; more++) {
    uk_client_request_begin(&request, UK_ENDPOINT_WEBHOOK, false, NULL);
    uk_client_request_header(&request, text("X"), text((more & 1) != 0 ? "vw" : "v"));
    uk_client_request_raw(&request, text((more & 2) != 0 ? "abc" : "ab"));
    CHECK_EQ_INT(uk_client_request_end(&request), more == 0 ? UK_OK : UK_E_TOO_LARGE);
    if (more != 0)
      CHECK_EQ_STR(uk_client_request_message(&request), (more & 1) != 0
                                                          ? "the request's headers are too long"
                                                          : "the request's body is too large");
  }
  uk_client_request_free(&request);
}

static void header_names_and_values(void)
{
  static const char *const names[] = {"X", "x-y_z.1", "Kafka-Ack", "!#$%&'*+-.^_`|~"};
  static const char *const no_names[] = {"",    "a b", "a:", "a\n", "\xc3\xa9",
                                         "(a)", " a",  ":",  "\ta"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    CHECK(uk_header_name_valid(text(names[i])));
  for (size_t i = 0; i < sizeof no_names / sizeof *no_names; i++)
    CHECK(!uk_header_name_valid(text(no_names[i])));
  CHECK(!uk_header_name_valid(uk_slice_of("a\0", 2)));
  CHECK(uk_header_value_valid(text("a\tb \xc3\xa9")));
  CHECK(uk_header_value_valid(text("")));
  CHECK(uk_header_value_valid(text(" ~\x80\xff")));
  CHECK(!uk_header_value_valid(text("\x1f")));
  CHECK(!uk_header_value_valid(text("\x7f")));
  CHECK(!uk_header_value_valid(text("a\r\nX: y")));
  CHECK(!uk_header_value_valid(uk_slice_of("a\0b", 3)));
}

static void memory_may_run_out_anywhere(void)
{
  struct uk_client_request request;
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    uk_client_request_init(&request);
    fault_at(n);
    produce_all(&request, false);
    enum uk_error error = uk_client_request_end(&request);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    uk_client_request_free(&request);
    CHECK_EQ_INT(fault_live(), live);
  }
}

static bool try_settings(const char *url, char *message)
{
  struct uk_settings_options options;
  struct uk_settings settings;
  uk_settings_options_default(&options);
  options.url = text(url);
  bool fine = uk_settings_init(&settings, &options, message, 128);
  if (fine)
    uk_settings_free(&settings);
  return fine;
}

static void urls_are_checked(void)
{
  static const char *const good[] = {"http://h", "HTTPS://h:1/", "http://[::1]:80/a/b//"};
  static const char *const bad[] = {
    "",           "h",          "http://",    "https:///x",   "ftp://h", "http://u@h",
    "http://h?x", "http://h/#", "http://h /", "http://h\x7f", "http:/h"};
  char message[128] = "";
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    CHECK(try_settings(good[i], message));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(!try_settings(bad[i], message));
    CHECK(strncmp(message, "url: ", 5) == 0);
  }
  CHECK(!try_settings("http://user:secret@host", message));
  CHECK(strstr(message, "secret") == NULL);
}

static void settings_are_copied(void)
{
  struct uk_settings_options options;
  struct uk_settings settings;
  char message[128], url[] = "http://host:1/prefix//", user[] = "user", password[] = "p:w",
                     file[] = "/ca.pem";
  uk_settings_options_default(&options);
  options.url = text(url);
  options.username = text(user);
  options.password = text(password);
  options.ca_file = file;
  REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
  memset(url, '!', sizeof url - 1);
  memset(user, '!', sizeof user - 1);
  memset(file, '!', sizeof file - 1);
  CHECK_EQ_STR(settings.url.data, "http://host:1/prefix");
  CHECK_EQ_SLICE(settings.prefix, "/prefix");
  CHECK_EQ_STR(settings.authorization, "Basic dXNlcjpwOnc=");
  CHECK_EQ_STR(settings.options.ca_file, "/ca.pem");
  CHECK_EQ_INT(settings.options.timeout, 30000);
  uk_settings_free(&settings);
  uk_settings_free(&settings);
  CHECK(settings.authorization == NULL);
}

static void settings_without_memory(void)
{
  struct uk_settings_options options;
  struct uk_settings settings;
  char message[128];
  uk_settings_options_default(&options);
  options.url = text("http://host");
  fault_at(1);
  CHECK(!uk_settings_init(&settings, &options, message, sizeof message));
  fault_off();
  CHECK_EQ_STR(message, "out of memory");
}

int main(void)
{
  CHECK_RUN(a_produce_is_one_body);
  CHECK_RUN(bytes_are_base64_when_binary);
  CHECK_RUN(only_messages_have_an_encoding);
  CHECK_RUN(a_body_has_a_type);
  CHECK_RUN(zero_is_not_absent);
  CHECK_RUN(a_body_is_json);
  CHECK_RUN(a_request_begins_empty);
  CHECK_RUN(the_first_failure_counts);
  CHECK_RUN(paths_and_queries_are_escaped);
  CHECK_RUN(methods_prefer_post);
  CHECK_RUN(limits_hold);
  CHECK_RUN(what_is_too_large_is_named);
  CHECK_RUN(header_names_and_values);
  CHECK_RUN(memory_may_run_out_anywhere);
  CHECK_RUN(urls_are_checked);
  CHECK_RUN(settings_are_copied);
  CHECK_RUN(settings_without_memory);
  return check_end();
}
