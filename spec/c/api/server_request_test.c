/* for: request.c */
#include "server/request/request.h"

#include "check.h"
#include "fault.h"

static char query_buffer[256];

static struct uk_request make(const char *query)
{
  struct uk_request request = {.status = 200};
  snprintf(query_buffer, sizeof query_buffer, "%s", query);
  request.query = query_buffer;
  uk_arena_init(&request.arena, 1 << 20);
  uk_buffer_init(&request.reply, 1 << 20);
  return request;
}

static void done(struct uk_request *request)
{
  uk_arena_free(&request->arena);
  uk_buffer_free(&request->reply);
}

#define CHECK_REPLY(request, text) CHECK_EQ_SLICE(uk_buffer_slice(&(request)->reply), text)

static void writes_errors(void)
{
  struct uk_request request = make("");
  uk_buffer_append_text(&request.reply, "half of an answer");
  uk_request_error(&request, UK_E_BAD_REQUEST, "topic: a \"name\" expected, got %d", 5);
  CHECK_EQ_INT(request.status, 400);
  CHECK_REPLY(&request, "{\"error\":\"topic: a \\\"name\\\" expected, got 5\",\"status\":400}");
  uk_request_error(&request, UK_E_NOT_FOUND, NULL);
  CHECK_EQ_INT(request.status, 404);
  CHECK_REPLY(&request, "{\"error\":\"no such path, topic or consumer instance\",\"status\":404}");
  CHECK_EQ_INT(request.reply_header_count, 0);
  done(&request);
}

/* Error texts are truncated to 1023 bytes. */
static void writes_long_errors(void)
{
  for (size_t length = 1023; length <= 1024; length++) {
    struct uk_request request = make("");
    char text[1025];
    memset(text, 'x', length);
    text[length] = '\0';
    uk_request_error(&request, UK_E_BAD_REQUEST, "%s", text);
    CHECK_EQ_INT(request.reply.length, strlen("{\"error\":\"\",\"status\":400}") + 1023);
    done(&request);
  }
}

/* More fields may follow. If memory ran out there is no brace to remove. */
static void opens_an_error(void)
{
  struct uk_request request = make("");
  uk_request_error(&request, UK_E_UNAVAILABLE, "no");
  uk_request_open_error(&request);
  CHECK_REPLY(&request, "{\"error\":\"no\",\"status\":503");
  done(&request);
  request = make("");
  request.reply.error = UK_E_NO_MEMORY;
  uk_request_open_error(&request);
  CHECK_EQ_INT(request.reply.length, 0);
  done(&request);
}

static void adds_the_headers_of_a_status(void)
{
  static const struct {
    enum uk_error error;
    const char *name, *value;
  } cases[] = {
    {UK_E_UNAUTHORIZED, "WWW-Authenticate", "Basic realm=\"upstash-kafka\", charset=\"UTF-8\""},
    {UK_E_TOO_MANY, "Retry-After", "1"},
    {UK_E_UNAVAILABLE, "Retry-After", "1"},
    {UK_E_NO_MEMORY, "Retry-After", "1"}};
  struct uk_request request = make("");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uk_request_error(&request, cases[i].error, NULL);
    CHECK_EQ_INT(request.reply_header_count, 1);
    CHECK_EQ_STR(request.reply_headers[0].name, cases[i].name);
    CHECK_EQ_STR(request.reply_headers[0].value, cases[i].value);
  }
  uk_request_error(&request, UK_E_CANCELLED, NULL);
  CHECK_EQ_INT(request.status, 503);
  uk_request_error(&request, UK_E_BAD_RESPONSE, NULL);
  CHECK_EQ_INT(request.status, 500);
  done(&request);
}

/* A page's script handles the 401; the browser must not ask for credentials and remember them. */
static void does_not_challenge_pages(void)
{
  static const struct uk_browser pages[] = {{.has_fetch_mode = true}, {.origin = {"null", 4}}};
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
    struct uk_request request = make("");
    request.browser = pages[i];
    uk_request_error(&request, UK_E_UNAUTHORIZED, NULL);
    CHECK_EQ_INT(request.status, 401);
    CHECK_EQ_INT(request.reply_header_count, 0);
    uk_request_error(&request, UK_E_UNAVAILABLE, NULL);
    CHECK_EQ_INT(request.reply_header_count, 1);
    done(&request);
  }
}

/* An extra header is an error; it is never dropped silently. */
static void limits_its_number_of_headers(void)
{
  struct uk_request request = make("");
  uk_buffer_append_text(&request.reply, "{}");
  for (int i = 0; i < UK_REPLY_HEADERS; i++)
    uk_request_add_header(&request, "A", "b");
  CHECK_EQ_INT(request.reply_header_count, UK_REPLY_HEADERS);
  CHECK_EQ_INT(request.reply.error, UK_OK);
  uk_request_add_header(&request, "A", "b");
  CHECK_EQ_INT(request.reply_header_count, UK_REPLY_HEADERS);
  CHECK_EQ_INT(request.reply.error, UK_E_INTERNAL);
  done(&request);
}

static void finds_query_values(void)
{
  struct uk_request request = make("a=1&&b=x%20y+z&c&d=&e%3D=%3D");
  struct uk_slice value;
  CHECK_EQ_INT(uk_request_query(&request, "a", &value), 1);
  CHECK_EQ_SLICE(value, "1");
  CHECK_EQ_INT(uk_request_query(&request, "b", &value), 1);
  CHECK_EQ_SLICE(value, "x y z");
  CHECK_EQ_INT(uk_request_query(&request, "c", &value), 1);
  CHECK_EQ_SLICE(value, "");
  CHECK_EQ_INT(uk_request_query(&request, "d", &value), 1);
  CHECK_EQ_SLICE(value, "");
  CHECK_EQ_INT(uk_request_query(&request, "e=", &value), 1);
  CHECK_EQ_SLICE(value, "=");
  CHECK_EQ_INT(uk_request_query(&request, "f", &value), 0);
  done(&request);
}

static void refuses_malformed_query_values(void)
{
  struct uk_request request = make("a=1&b=%x");
  struct uk_slice value;
  CHECK_EQ_INT(uk_request_query(&request, "a", &value), 1);
  CHECK_EQ_INT(uk_request_query(&request, "b", &value), -1);
  CHECK_EQ_INT(request.status, 400);
  CHECK_REPLY(&request, "{\"error\":\"query: malformed percent escape in %x\",\"status\":400}");
  done(&request);
}

static void refuses_unknown_and_repeated_parameters(void)
{
  static const char *const names[] = {"timeout", "max_bytes", NULL};
  struct uk_request request = make("max_bytes=1&timeout=2");
  CHECK(uk_request_query_known(&request, names, 3));
  done(&request);
  request = make("timeout=2&timeou%74=3");
  CHECK(!uk_request_query_known(&request, names, 3));
  CHECK_REPLY(&request, "{\"error\":\"query: repeated parameter \\\"timeout\\\"\",\"status\":400}");
  done(&request);
  request = make("timeout=2&x=3");
  CHECK(!uk_request_query_known(&request, names, 3));
  CHECK_REPLY(&request, "{\"error\":\"query: unknown parameter \\\"x\\\"; did you mean "
                        "\\\"timeout\\\"?\",\"status\":400}");
  done(&request);
  request = make("");
  CHECK(uk_request_query_known(&request, NULL, 0));
  done(&request);
  request = make("x=1");
  CHECK(!uk_request_query_known(&request, NULL, 0));
  CHECK_REPLY(&request, "{\"error\":\"query: unknown parameter \\\"x\\\"\",\"status\":400}");
  done(&request);
  request = make("max_byte=1");
  CHECK(!uk_request_query_known(&request, names, 3));
  CHECK_REPLY(&request, "{\"error\":\"query: unknown parameter \\\"max_byte\\\"; did you mean "
                        "\\\"max_bytes\\\"?\",\"status\":400}");
  done(&request);
}

/* A name that cannot be decoded is not one of ours. */
static void refuses_a_repeated_name_among_others(void)
{
  static const char *const names[] = {"topic", "user", "pass"};
  struct uk_request request = make("x=1&topic=a&x=2&%zz&_&user=u&pass=%");
  CHECK(uk_request_query_unique(&request, names, 3));
  done(&request);
  request = make("%zz&topic=a&x=1&topi%63=a");
  CHECK(!uk_request_query_unique(&request, names, 3));
  CHECK_REPLY(&request, "{\"error\":\"query: repeated parameter \\\"topic\\\"\",\"status\":400}");
  done(&request);
}

static void ignores_parameters_that_start_with_an_underscore(void)
{
  static const char *const names[] = {"timeout", NULL};
  struct uk_request request = make("_=123&_&timeout=2&%5Ft=%zz&_=4");
  CHECK(uk_request_query_known(&request, names, 2));
  done(&request);
}

static void reads_a_value_from_any_form(void)
{
  static const char *const values[] = {"a b c+", "a+b c+", "a+b%20c%2B"};
  for (int form = UK_QUERY_FORM; form <= UK_QUERY_AS_SENT; form++) {
    struct uk_request request = make("%zz=1&us%65r=a+b%20c%2B&bad=%");
    struct uk_slice value;
    CHECK(uk_request_query_as(&request, "user", (enum uk_query_form)form, &value));
    CHECK_EQ_SLICE(value, values[form]);
    CHECK(!uk_request_query_as(&request, "nobody", (enum uk_query_form)form, &value));
    CHECK_EQ_INT(uk_request_query_as(&request, "bad", (enum uk_query_form)form, &value),
                 form == UK_QUERY_AS_SENT);
    CHECK_EQ_INT(request.status, 200);
    CHECK_EQ_INT(request.reply.length, 0);
    done(&request);
  }
}

static void survives_every_failing_allocation(void)
{
  long before = fault_live();
  long hit = 1;
  for (long n = 1; hit != 0; n++) {
    struct uk_request request = make("a=1");
    struct uk_slice value;
    fault_at(n);
    int found = uk_request_query(&request, "a", &value);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(found, hit ? -1 : 1);
    CHECK_EQ_INT(request.status, hit ? 503 : 200);
    done(&request);
  }
  CHECK_EQ_INT(fault_live(), before);
}

int main(void)
{
  CHECK_RUN(writes_errors);
  CHECK_RUN(writes_long_errors);
  CHECK_RUN(opens_an_error);
  CHECK_RUN(adds_the_headers_of_a_status);
  CHECK_RUN(does_not_challenge_pages);
  CHECK_RUN(limits_its_number_of_headers);
  CHECK_RUN(finds_query_values);
  CHECK_RUN(refuses_malformed_query_values);
  CHECK_RUN(refuses_unknown_and_repeated_parameters);
  CHECK_RUN(refuses_a_repeated_name_among_others);
  CHECK_RUN(ignores_parameters_that_start_with_an_underscore);
  CHECK_RUN(reads_a_value_from_any_form);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
