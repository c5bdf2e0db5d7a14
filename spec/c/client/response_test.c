/* for: response.c */
#include <stdio.h>

#include "check.h"
#include "client/response.h"
#include "guard.h"

#define MESSAGE                                                                                    \
  "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":3,\"key\":\"k\","                   \
  "\"value\":\"v\\n\",\"headers\":[{\"key\":\"a\",\"value\":\"b\"},{\"value\":\"d\",\"key\":"      \
  "\"c\"}]}"
#define TOMBSTONE                                                                                  \
  " { \"headers\" : [ ] , \"more\" : [ { } , 1.5 ] , \"value\" : null , \"key\" : \"\" ,"          \
  " \"timestamp\" : -4 , \"offset\" : 9223372036854775807 , \"partition\" : 0 , \"topic\" : "      \
  "\"u\" } "

static char seen[1024];

static void see(const char *format, const char *name, struct uk_slice text, long long integer)
{
  size_t length = strlen(seen);
  snprintf(seen + length, sizeof seen - length, format, name, integer, (int)text.length,
           text.length > 0 ? text.data : "");
}

static void see_headers(struct uk_response_reader *reader)
{
  struct uk_response_object header;
  while (uk_response_element(reader, &header, &uk_shape_header)) {
    for (int field; (field = uk_response_field(reader, &header)) >= 0;)
      see("%s(%lld)%.*s,", uk_shape_header.fields[field].name, reader->value, 0);
  }
}

static void see_object(struct uk_response_reader *reader, struct uk_response_object *object)
{
  for (int field; (field = uk_response_field(reader, object)) >= 0;) {
    const struct uk_field *known = &object->shape->fields[field];
    if (known->type == UK_FIELD_HEADERS)
      see_headers(reader);
    else if (known->type == UK_FIELD_INTEGER)
      see("%s=%lld%.*s ", known->name, uk_slice_of(NULL, 0), (long long)reader->integer);
    else
      see(reader->value.data == NULL ? "%s(%lld)null%.*s " : "%s(%lld)%.*s ", known->name,
          reader->value, 0);
  }
}

/* Reads a guarded copy of the bytes as a list of the shape. `seen` lists the values. */
static enum uk_error read_list(const char *body, size_t length, const struct uk_shape *shape,
                               bool binary, char *message)
{
  struct uk_response_reader reader;
  struct uk_response_object object;
  char *copy = guard_copy(body, length);
  seen[0] = '\0';
  uk_response_open(&reader, copy, length, binary);
  if (uk_response_list(&reader))
    while (uk_response_element(&reader, &object, shape))
      see_object(&reader, &object);
  enum uk_error error = uk_response_close(&reader);
  if (message != NULL)
    memcpy(message, reader.message, sizeof reader.message);
  guard_free(copy, length);
  return error;
}

static void messages_are_read_field_by_field(void)
{
  static const char body[] = "[" MESSAGE "," TOMBSTONE "]";
  CHECK_EQ_INT(read_list(body, sizeof body - 1, &uk_shape_message, false, NULL), UK_OK);
  CHECK_EQ_STR(seen, "topic(0)t partition=1 offset=2 timestamp=3 key(0)k value(0)v\n "
                     "key(0)a,value(0)b,value(0)d,key(0)c,"
                     "value(0)null key(0) timestamp=-4 offset=9223372036854775807 partition=0 "
                     "topic(0)u ");
}

static void every_prefix_is_a_bad_response(void)
{
  static const char body[] = "[" MESSAGE "," TOMBSTONE "]";
  for (size_t length = 0; length < sizeof body - 1; length++) {
    char message[UK_RESPONSE_MESSAGE_SIZE];
    CHECK_EQ_INT(read_list(body, length, &uk_shape_message, false, message), UK_E_BAD_RESPONSE);
    CHECK(strncmp(message, "malformed JSON at byte ", 23) == 0);
  }
}

/* Replaces every byte of a valid response by each of several others: the reader ends without a
 * crash. */
static void no_byte_breaks_the_reader(void)
{
  static const char good[] = "[" MESSAGE "," TOMBSTONE "]";
  static const char others[] = "\"{}[],:0x\\ \n\xff-";
  char body[sizeof good];
  for (size_t at = 0; at < sizeof good - 1; at++) {
    for (const char *other = others; *other != '\0'; other++) {
      char message[UK_RESPONSE_MESSAGE_SIZE];
      memcpy(body, good, sizeof good);
      body[at] = *other;
      enum uk_error error = read_list(body, sizeof good - 1, &uk_shape_message, false, message);
      CHECK(error == UK_OK || error == UK_E_BAD_RESPONSE);
      CHECK((error == UK_OK) == (message[0] == '\0'));
    }
  }
}

static void mistakes_are_named(void)
{
  static const struct {
    const char *body, *message;
  } rows[] = {
    {"5", "the response: a list expected, got an integer"},
    {"[[]]", "element 1 of the response: message: an object expected, got a list"},
    {"[{}]", "element 1 of the response: topic expected in the message, got none"},
    {"[" MESSAGE ",{\"topic\":null}]",
     "element 2 of the response: topic: a string expected, got null"},
    {"[{\"topic\":\"t\",\"partition\":1.0}]",
     "element 1 of the response: partition: an integer expected, got a number"},
    {"[{\"topic\":\"t\",\"partition\":9223372036854775808}]",
     "element 1 of the response: partition: an integer expected, got a number"},
    {"[{\"value\":{}}]", "element 1 of the response: value: a string expected, got an object"},
    {"[{\"headers\":null}]", "element 1 of the response: headers: a list expected, got null"},
    {"[{\"headers\":[{\"key\":\"k\"}]}]",
     "element 1 of the response: value expected in the header, got none"},
    {"[{\"more\":]", "malformed JSON at byte 9 of the response: expected a value"},
    {"[true]", "element 1 of the response: message: an object expected, got true"},
    {"[false]", "element 1 of the response: message: an object expected, got false"},
    {"[\"x\"]", "element 1 of the response: message: an object expected, got a string"},
    {"[1.5]", "element 1 of the response: message: an object expected, got a number"},
    {"[] 5", "malformed JSON at byte 3 of the response: something follows the value"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char message[UK_RESPONSE_MESSAGE_SIZE];
    const char *body = rows[i].body;
    CHECK_EQ_INT(read_list(body, strlen(body), &uk_shape_message, false, message),
                 UK_E_BAD_RESPONSE);
    CHECK_EQ_STR(message, rows[i].message);
  }
}

/* Whatever its memory held before. */
static void a_reader_begins_anew(void)
{
  struct uk_response_reader reader;
  char body[] = "[]", before[sizeof reader];
  memset(before, 'x', sizeof before);
  memcpy(&reader, before, sizeof reader);
  uk_response_open(&reader, body, 2, false);
  CHECK_EQ_INT(reader.length, 2);
  CHECK_EQ_INT(reader.element, 0);
  CHECK_EQ_INT(reader.messages, 0);
  CHECK_EQ_INT(reader.error, UK_OK);
  CHECK_EQ_STR(reader.message, "");
  CHECK(!reader.binary && !reader.fault.known);
}

static void base64_is_decoded_when_binary(void)
{
  static const char good[] = "[{\"key\":\"aGk=\",\"value\":\"\\u0061GkA\"}]";
  static const char bad[] = "[{\"key\":\"aGk\"}]";
  char message[UK_RESPONSE_MESSAGE_SIZE];
  const struct uk_shape *shape = &uk_shape_message;
  read_list(good, sizeof good - 1, shape, true, message);
  CHECK_EQ_MEM(seen, strlen(seen), "key(0)hi value(0)hi ", 20); /* to the NUL in the value */
  CHECK_EQ_INT(read_list(bad, sizeof bad - 1, shape, true, message), UK_E_BAD_RESPONSE);
  CHECK_EQ_STR(message, "element 1 of the response: key: base64 expected");
}

static void failure_of(struct uk_client_failure *failure, int status, const char *body)
{
  static char copy[256];
  snprintf(copy, sizeof copy, "%s", body);
  CHECK(uk_response_failed(failure, status, 5, copy, strlen(copy)));
}

static void failures_have_a_code_and_a_text(void)
{
  static const char *const without[] = {
    "", "x", "[]", "5", "{\"error\":5}", "{\"error\":\"\"}", "{\"error\":\"", "{"};
  struct uk_client_failure failure;
  for (int status = 200; status <= 299; status++)
    CHECK(!uk_response_failed(&failure, status, -1, NULL, 0));
  failure_of(&failure, 199, "");
  failure_of(&failure, 300, "");
  failure_of(&failure, 429, "{\"status\":429,\"x\":{\"error\":\"no\"},\"error\":\"slow\\u0021\"}");
  CHECK_EQ_INT(failure.error, UK_E_TOO_MANY);
  CHECK_EQ_INT(failure.status, 429);
  CHECK_EQ_INT(failure.retry_after, 5);
  CHECK_EQ_SLICE(failure.message, "slow!");
  for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
    failure_of(&failure, 404, without[i]);
    CHECK_EQ_INT(failure.error, UK_E_NOT_FOUND);
    CHECK(failure.message.data == NULL);
  }
}

#define STORED "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":3}"
#define FAILED "{\"error\":\"no\\u0021\",\"status\":503}"

/* Reads the results of the body into `seen`, and the message of the reader into `message`. */
static enum uk_error read_results(const char *body, size_t length, size_t messages, char *message)
{
  struct uk_client_failure failure;
  struct uk_response_reader reader;
  struct uk_produce_result result;
  char *copy = guard_copy(body, length);
  seen[0] = message[0] = '\0';
  CHECK(uk_response_failed(&failure, 504, -1, copy, length));
  enum uk_error error = UK_E_NOT_FOUND;
  if (failure.has_results) {
    if (uk_response_results(&reader, &failure, messages))
      while (uk_response_result(&reader, &result)) {
        see("%s%lld:%.*s ", uk_error_word(result.error), result.topic, (long long)result.offset);
        see("%s%lld%.*s ", "", result.message, result.status);
      }
    error = reader.error;
    memcpy(message, reader.message, sizeof reader.message);
  }
  guard_free(copy, length);
  return error;
}

static void results_are_read_one_by_one(void)
{
  static const char body[] =
    "{\"error\":\"some\",\"status\":504,\"results\":[" STORED "," FAILED "],\"more\":1}";
  char message[UK_RESPONSE_MESSAGE_SIZE];
  CHECK_EQ_INT(read_results(body, sizeof body - 1, 2, message), UK_OK);
  CHECK_EQ_STR(seen, "ok2:t 0 unavailable0: 503no! ");
  CHECK_EQ_INT(read_results(body, sizeof body - 1, 0, message), UK_OK);
  CHECK_EQ_INT(read_results(body, sizeof body - 1, 3, message), UK_E_BAD_RESPONSE);
  CHECK_EQ_STR(message, "the response: metadata of 3 messages expected, got 2");
  CHECK_EQ_INT(read_results(body, sizeof body - 1, 1, message), UK_E_BAD_RESPONSE);
  CHECK_EQ_STR(message, "the response: metadata of 1 messages expected, got 2");
}

/* A status that HTTP does not have is none. */
static void a_result_has_a_status_of_three_digits(void)
{
  static const struct {
    const char *given;
    int status;
  } rows[] = {{"99", 0}, {"100", 100}, {"503", 503}, {"999", 999}, {"1000", 0}, {"-503", 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char body[128], message[UK_RESPONSE_MESSAGE_SIZE], end[16];
    const int length = snprintf(body, sizeof body,
                                "{\"results\":[{\"error\":\"no\",\"status\":%s}]}", rows[i].given);
    snprintf(end, sizeof end, " %dno ", rows[i].status);
    CHECK_EQ_INT(read_results(body, (size_t)length, 1, message), UK_OK);
    const char *space = strchr(seen, ' ');
    CHECK(space != NULL);
    if (space != NULL)
      CHECK_EQ_STR(space, end);
  }
}

static void mistakes_in_results_are_named(void)
{
  static const struct {
    const char *body, *message;
  } rows[] = {
    {"{\"results\":[{\"error\":\"no\"}]}",
     "element 1 of the response: topic expected in the result, got none"},
    {"{\"results\":[" STORED ",{\"topic\":\"t\",\"status\":5}]}",
     "element 2 of the response: partition expected in the result, got none"},
    {"{\"results\":[5]}", "element 1 of the response: result: an object expected, got an integer"},
    {"{\"results\":[" FAILED, "malformed JSON at byte 45 of the response: the text ends too early"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char message[UK_RESPONSE_MESSAGE_SIZE];
    CHECK_EQ_INT(read_results(rows[i].body, strlen(rows[i].body), 0, message), UK_E_BAD_RESPONSE);
    CHECK_EQ_STR(message, rows[i].message);
  }
}

static void no_prefix_of_results_is_complete(void)
{
  static const char body[] = "{\"error\":\"some\",\"results\":[" STORED "," FAILED "]";
  char message[UK_RESPONSE_MESSAGE_SIZE];
  for (size_t length = 0; length < sizeof body - 1; length++) {
    enum uk_error error = read_results(body, length, 0, message);
    CHECK(error == UK_E_NOT_FOUND || error == UK_E_BAD_RESPONSE);
  }
}

static void other_failures_have_no_results(void)
{
  static const char *const without[] = {"", "[]", "{\"error\":\"no\",\"status\":503}",
                                        "{\"error\":\"no\",\"results\":{}}",
                                        "{\"error\":\"no\",\"more\":{\"results\":[]}}"};
  struct uk_client_failure failure;
  for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
    failure_of(&failure, 503, without[i]);
    CHECK(!failure.has_results);
  }
  failure_of(&failure, 503, "{\"error\":\"n\\u006f\",\"results\":[]}");
  CHECK_EQ_SLICE(failure.message, "no");
  CHECK(failure.has_results);
}

static void the_same_calls_read_a_full_success(void)
{
  char body[] = "[" STORED "," STORED "]";
  struct uk_response_reader reader;
  struct uk_produce_result result;
  int count = 0;
  uk_response_open(&reader, body, sizeof body - 1, false);
  CHECK(uk_response_list(&reader));
  for (; uk_response_result(&reader, &result); count++)
    CHECK(result.error == UK_OK && result.partition == 1 && result.offset == 2 &&
          result.timestamp == 3);
  CHECK_EQ_INT(count, 2);
  CHECK_EQ_INT(uk_response_close(&reader), UK_OK);
}

static int64_t retry_after(const char *text)
{
  return uk_parse_retry_after(uk_slice_text(text), 784111777); /* Sun, 06 Nov 1994 08:49:37 GMT */
}

static void retry_after_is_seconds(void)
{
  CHECK_EQ_INT(retry_after("12"), 12);
  CHECK_EQ_INT(retry_after("0"), 0);
  CHECK_EQ_INT(retry_after("86399"), 86399);
  CHECK_EQ_INT(retry_after("99999999999"), 86400);
  CHECK_EQ_INT(retry_after("-1"), -1);
  CHECK_EQ_INT(retry_after("soon"), -1);
  CHECK_EQ_INT(uk_parse_retry_after(uk_slice_of(NULL, 0), 0), -1);
}

/* B11: a Retry-After that is a date. */
static void retry_after_may_be_a_date(void)
{
  CHECK_EQ_INT(retry_after("Sun, 06 Nov 1994 08:50:37 GMT"), 60);
  CHECK_EQ_INT(retry_after("Sunday, 06-Nov-94 08:49:38 GMT"), 1);
  CHECK_EQ_INT(retry_after("Sun Nov  6 08:49:39 1994"), 2);
  CHECK_EQ_INT(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
  CHECK_EQ_INT(retry_after("Sun, 06 Nov 1994 08:49:36 GMT"), 0);
  CHECK_EQ_INT(retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  CHECK_EQ_INT(retry_after("Mon, 07 Nov 1994 08:49:37 GMT"), 86400);
  CHECK_EQ_INT(retry_after("Mon, 07 Nov 1995 08:49:37 GMT"), 86400);
  CHECK_EQ_INT(retry_after("Mon, 32 Nov 1994 08:49:37 GMT"), -1);
}

/* A topic that is too long is truncated, not refused: it is only for messages. */
static void a_position_has_room_for_a_topic(void)
{
  struct uk_response_position position;
  char topic[UK_TOPIC_NAME_MAX + 2];
  memset(topic, 't', sizeof topic);
  for (size_t length = 0; length <= sizeof topic; length++) {
    uk_response_set_topic(&position, uk_slice_of(topic, length));
    CHECK_EQ_INT(strlen(position.topic), length < UK_TOPIC_NAME_MAX ? length : UK_TOPIC_NAME_MAX);
  }
}

/* In a body that is truncated at every byte. */
static void the_first_message_is_found(void)
{
  static const char body[] =
    "[{\"offset\":17,\"more\":[],\"topic\":\"u\",\"partition\":37,\"value\":\"v\"},";
  const size_t enough =
    (size_t)(strstr(body, ",\"value") - body) + 1; /* the comma shows that the number is complete */
  for (size_t length = 0; length < sizeof body; length++) {
    struct uk_response_position position = {.known = true};
    char *copy = guard_copy(body, length);
    uk_response_first(copy, length, &position);
    CHECK_EQ_INT(position.known, length >= enough);
    if (position.known) {
      CHECK_EQ_STR(position.topic, "u");
      CHECK_EQ_INT(position.partition, 37);
      CHECK_EQ_INT(position.offset, 17);
    }
    guard_free(copy, length);
  }
}

int main(void)
{
  CHECK_RUN(messages_are_read_field_by_field);
  CHECK_RUN(every_prefix_is_a_bad_response);
  CHECK_RUN(no_byte_breaks_the_reader);
  CHECK_RUN(mistakes_are_named);
  CHECK_RUN(a_reader_begins_anew);
  CHECK_RUN(base64_is_decoded_when_binary);
  CHECK_RUN(failures_have_a_code_and_a_text);
  CHECK_RUN(results_are_read_one_by_one);
  CHECK_RUN(a_result_has_a_status_of_three_digits);
  CHECK_RUN(mistakes_in_results_are_named);
  CHECK_RUN(no_prefix_of_results_is_complete);
  CHECK_RUN(other_failures_have_no_results);
  CHECK_RUN(the_same_calls_read_a_full_success);
  CHECK_RUN(retry_after_is_seconds);
  CHECK_RUN(retry_after_may_be_a_date);
  CHECK_RUN(a_position_has_room_for_a_topic);
  CHECK_RUN(the_first_message_is_found);
  return check_end();
}
