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

/* A reply that failed is freed and replaced. The replacement denies nothing that was done. */
static void replaces_a_reply_that_failed(void)
{
  static const struct {
    enum uk_error error;
    bool carried_out;
    int status;
    const char *text;
  } cases[] = {
    {UK_E_NO_MEMORY, false, 503, "{\"error\":\"out of memory\",\"status\":503}"},
    {UK_E_INTERNAL, false, 500, "{\"error\":\"the server failed\",\"status\":500}"},
    {UK_E_TOO_LARGE, false, 500, "{\"error\":\"the server failed\",\"status\":500}"},
    {UK_E_NO_MEMORY, true, 504,
     "{\"error\":\"no memory for the response: the request may have been carried out\","
     "\"status\":504}"},
    {UK_E_INTERNAL, true, 504,
     "{\"error\":\"no memory for the response: the request may have been carried out\","
     "\"status\":504}"},
  };
  long before = fault_live();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_request request = make("");
    request.carried_out = cases[i].carried_out;
    uk_buffer_append_text(&request.reply, "half of an answer");
    uk_request_add_header(&request, "Content-Encoding", "gzip");
    request.reply.error = cases[i].error;
    uk_request_finish(&request);
    CHECK_EQ_INT(request.status, cases[i].status);
    CHECK_REPLY(&request, cases[i].text);
    CHECK_EQ_INT(request.reply_header_count, cases[i].status == 503); /* Retry-After */
    done(&request);
  }
  CHECK_EQ_INT(fault_live(), before);
}

static void builds_its_reply_at_the_end(struct uk_request *request)
{
  uk_buffer_append_text(&request->reply, "]");
}

static void finishes_a_reply_once(void)
{
  struct uk_request request = make("");
  uk_buffer_append_text(&request.reply, "[");
  request.finish = builds_its_reply_at_the_end;
  uk_request_finish(&request);
  CHECK_REPLY(&request, "[]");
  CHECK_EQ_INT(request.status, 200);
  done(&request);
}

/* An error shows the first 64 bytes of a name or value. */
static void shows_the_beginning_of_a_long_parameter(void)
{
  static const char *const names[] = {"timeout"};
  char query[100], expected[200];
  struct uk_slice value;
  for (int length = 64; length <= 65; length++) {
    snprintf(query, sizeof query, "%.*s", length,
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    struct uk_request request = make(query);
    CHECK(!uk_request_query_known(&request, names, 0));
    snprintf(expected, sizeof expected,
             "{\"error\":\"query: unknown parameter \\\"%.64s\\\"\",\"status\":400}", query);
    CHECK_REPLY(&request, expected);
    done(&request);
    query[0] = '%';
    char whole[120];
    snprintf(whole, sizeof whole, "a=%s", query);
    request = make(whole);
    CHECK_EQ_INT(uk_request_query(&request, "a", &value), -1);
    snprintf(expected, sizeof expected,
             "{\"error\":\"query: malformed percent escape in %.64s\",\"status\":400}", query);
    CHECK_REPLY(&request, expected);
    done(&request);
  }
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
  request = make("=1");
  CHECK(!uk_request_query_known(&request, NULL, 0));
  CHECK_REPLY(&request, "{\"error\":\"query: unknown parameter \\\"\\\"\",\"status\":400}");
  done(&request);
  request = make("timeout=2&%zz=1");
  CHECK(!uk_request_query_known(&request, names, 3));
  CHECK_REPLY(&request, "{\"error\":\"query: malformed percent escape in %zz\",\"status\":400}");
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

/* Each way to read a query says that memory is short, and never takes a parameter for absent. */
static int read_query(struct uk_request *request, int way)
{
  static const char *const names[] = {"a", "b"};
  struct uk_slice value;
  if (way == 0)
    return uk_request_query(request, "b", &value);
  return way == 1 ? uk_request_query_known(request, names, 2)
                  : uk_request_query_unique(request, names, 2);
}

static void survives_every_failing_allocation(void)
{
  long before = fault_live();
  for (int way = 0; way < 3; way++) {
    long hit = 1;
    for (long n = 1; hit != 0; n++) {
      struct uk_request request = make("a=1&b=2");
      fault_at(n);
      int found = read_query(&request, way);
      hit = fault_hit();
      fault_off();
      CHECK_EQ_INT(found, hit == 0 ? 1 : way == 0 ? -1 : 0);
      CHECK_EQ_INT(request.status, hit ? 503 : 200);
      if (hit)
        CHECK_REPLY(&request, "{\"error\":\"out of memory\",\"status\":503}");
      done(&request);
    }
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
  CHECK_RUN(replaces_a_reply_that_failed);
  CHECK_RUN(finishes_a_reply_once);
  CHECK_RUN(shows_the_beginning_of_a_long_parameter);
  CHECK_RUN(finds_query_values);
  CHECK_RUN(refuses_malformed_query_values);
  CHECK_RUN(refuses_unknown_and_repeated_parameters);
  CHECK_RUN(refuses_a_repeated_name_among_others);
  CHECK_RUN(ignores_parameters_that_start_with_an_underscore);
  CHECK_RUN(reads_a_value_from_any_form);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
