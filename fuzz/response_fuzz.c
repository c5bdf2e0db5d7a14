/* What the client reads of a response: byte 0 says how, byte 1 how many messages were sent; then
 * header lines, an empty line, and the body. */
#include "client/framing.h"
#include "client/response.h"
#include "client/response_notes.h"
#include "common/utf8.h"
#include "fuzz.h"

static const int64_t NOW = 1800000000;

/* No byte of a text from a server may reach a terminal as a control character. */
static void check_text(const char *text, size_t length)
{
  char *copy = fuzz_copy(text, length);
  uk_utf8_replace_controls(copy, length);
  FUZZ_REQUIRE(length == 0 || memcmp(copy, text, length) == 0);
  free(copy);
}

static void check_value(const struct uk_response_reader *reader, const char *body, size_t size)
{
  const struct uk_slice value = reader->value;
  if (value.data == NULL || value.length == 0)
    return;
  FUZZ_REQUIRE(value.data >= body && value.data + value.length <= body + size);
  fuzz_touch(value.data, value.length);
}

/* Reads the fields of an object, and those of its headers. */
static void read_fields(struct uk_response_reader *reader, struct uk_response_object *object,
                        const char *body, size_t size)
{
  struct uk_response_object header;
  for (int field; (field = uk_response_field(reader, object)) >= 0;) {
    const enum uk_field_type type = object->shape->fields[field].type;
    if (type != UK_FIELD_INTEGER && type != UK_FIELD_HEADERS)
      check_value(reader, body, size);
    if (type == UK_FIELD_TEXT)
      uk_response_set_topic(&reader->fault, reader->value);
    while (type == UK_FIELD_HEADERS && uk_response_element(reader, &header, &uk_shape_header))
      while (uk_response_field(reader, &header) >= 0)
        check_value(reader, body, size);
  }
}

static void close_reader(struct uk_response_reader *reader)
{
  uk_response_close(reader);
  check_text(reader->message, strlen(reader->message));
}

static void read_list(const uint8_t *data, size_t size, bool binary, size_t messages,
                      const struct uk_shape *shape)
{
  char *body = fuzz_copy(data, size);
  struct uk_response_reader reader;
  struct uk_response_object object;
  uk_response_open(&reader, body, size, binary);
  reader.messages = messages;
  if (uk_response_list(&reader))
    while (uk_response_element(&reader, &object, shape))
      read_fields(&reader, &object, body, size);
  FUZZ_REQUIRE(shape != &uk_shape_metadata || messages == 0 || reader.element <= messages + 1);
  close_reader(&reader);
  free(body);
}

static void read_object(const uint8_t *data, size_t size, const struct uk_shape *shape)
{
  char *body = fuzz_copy(data, size);
  struct uk_response_reader reader;
  struct uk_response_object object;
  uk_response_open(&reader, body, size, false);
  if (uk_response_object(&reader, &object, shape))
    read_fields(&reader, &object, body, size);
  close_reader(&reader);
  free(body);
}

static void read_results(struct uk_response_reader *reader, size_t messages)
{
  struct uk_produce_result result;
  size_t count = 0;
  while (uk_response_result(reader, &result)) {
    check_text(result.message.data, result.message.length);
    fuzz_touch(result.topic.data, result.topic.length);
    FUZZ_REQUIRE(messages == 0 || ++count <= messages);
  }
  FUZZ_REQUIRE(reader->error != UK_OK || messages == 0 || count == messages);
}

/* A failure, and the results of a produce that was stored in part. */
static void read_failure(const uint8_t *data, size_t size, size_t messages)
{
  char *body = fuzz_copy(data, size);
  struct uk_client_failure failure;
  struct uk_response_reader reader;
  FUZZ_REQUIRE(uk_response_failed(&failure, 503, -1, body, size));
  check_text(failure.message.data, failure.message.length);
  if (failure.has_results && uk_response_results(&reader, &failure, messages))
    read_results(&reader, messages);
  free(body);
}

/* A produce that was stored as a whole, as the sender reads it. */
static void read_confirmation(const uint8_t *data, size_t size, size_t messages)
{
  char *body = fuzz_copy(data, size);
  struct uk_response_reader reader;
  uk_response_open(&reader, body, size, false);
  reader.messages = messages;
  if (uk_response_list(&reader))
    read_results(&reader, messages);
  close_reader(&reader);
  free(body);
}

static void read_first(const uint8_t *data, size_t size)
{
  char *body = fuzz_copy(data, size);
  struct uk_response_position position;
  uk_response_first(body, size, &position);
  if (position.known)
    check_text(position.topic, strlen(position.topic));
  free(body);
}

static void read_line(struct uk_framing *framing, struct uk_response_notes *notes,
                      struct uk_slice line)
{
  struct uk_slice value;
  uk_framing_line(framing, line);
  uk_response_notes_line(notes, line);
  check_text(notes->batch, strlen(notes->batch));
  check_text(notes->skipped, strlen(notes->skipped));
  if (!uk_framing_header(line, "Retry-After", &value))
    return;
  const int64_t seconds = uk_parse_retry_after(value, NOW);
  FUZZ_REQUIRE(seconds >= -1 && seconds <= 86400);
}

/* Returns the length of the header lines, the empty line included. */
static size_t read_head(const uint8_t *data, size_t size)
{
  struct uk_framing framing = {.headed = false};
  struct uk_response_notes notes = {.replayed = false};
  size_t at = 0;
  while (at < size && !framing.headed) {
    const uint8_t *end = memchr(data + at, '\n', size - at);
    const size_t length = end != NULL ? (size_t)(end - data) + 1 - at : size - at;
    char *line = fuzz_copy(data + at, length);
    read_line(&framing, &notes, uk_slice_of(line, length));
    free(line);
    at += length;
  }
  uk_framing_whole(&framing, 200, uk_slice_of((const char *)data + at, size - at));
  return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const bool binary = fuzz_take_byte(&data, &size) & 1;
  const size_t messages = fuzz_take_byte(&data, &size) % 4;
  const size_t head = read_head(data, size);
  data += head;
  size -= head;
  read_list(data, size, binary, messages, &uk_shape_metadata);
  read_list(data, size, binary, messages, &uk_shape_message);
  read_list(data, size, binary, messages, &uk_shape_offset);
  read_object(data, size, &uk_shape_metadata);
  read_object(data, size, &uk_shape_topic);
  read_object(data, size, &uk_shape_result);
  read_confirmation(data, size, messages);
  read_failure(data, size, messages);
  read_first(data, size);
  return 0;
}
