/* The JSON reader: byte 0 is its flags, the rest the text. */
#include "common/json_reader.h"
#include "fuzz.h"

enum {
  FLAGS = UK_JSON_TRAILING_COMMA | UK_JSON_STRICT_SURROGATE | UK_JSON_AS_SENT | UK_JSON_ANY_BYTES |
          UK_JSON_DEEP
};

/* How a text ended. */
struct verdict {
  enum uk_json_event event;
  enum uk_json_error error;
  size_t position;
};

static struct verdict verdict_of(const struct uk_json_reader *reader, enum uk_json_event event)
{
  return (struct verdict){event, reader->error, event == UK_JSON_ERROR ? reader->position : 0};
}

static void check_event(const struct uk_json_reader *reader, enum uk_json_event event,
                        const char *text, size_t size)
{
  FUZZ_REQUIRE(reader->position <= size);
  if (event != UK_JSON_KEY && event != UK_JSON_STRING && event != UK_JSON_NUMBER)
    return;
  const struct uk_slice string = reader->string;
  FUZZ_REQUIRE(string.data >= text && string.data + string.length <= text + size);
  fuzz_touch(string.data, string.length);
}

/* Reads one event after another. */
static struct verdict read_events(const uint8_t *data, size_t size, unsigned flags)
{
  char *text = fuzz_copy(data, size);
  struct uk_json_reader reader;
  enum uk_json_event event;
  size_t events = 0;
  uk_json_reader_init(&reader, text, size, flags);
  do {
    event = uk_json_next(&reader);
    check_event(&reader, event, text, size);
    FUZZ_REQUIRE(++events <= size + 2);
  } while (event != UK_JSON_ERROR && event != UK_JSON_END);
  FUZZ_REQUIRE(uk_json_next(&reader) == event);
  free(text);
  return verdict_of(&reader, event);
}

/* Skips the value. */
static struct verdict skip(const uint8_t *data, size_t size, unsigned flags)
{
  char *text = fuzz_copy(data, size);
  struct uk_json_reader reader;
  uk_json_reader_init(&reader, text, size, flags);
  enum uk_json_event event = uk_json_next(&reader);
  if (event != UK_JSON_ERROR)
    event = uk_json_skip(&reader, event);
  if (event != UK_JSON_ERROR)
    event = uk_json_next(&reader);
  free(text);
  return verdict_of(&reader, event);
}

/* The raw text of a value is a text of its own. */
static void take_raw(const uint8_t *data, size_t size, unsigned flags)
{
  char *text = fuzz_copy(data, size);
  struct uk_json_reader reader;
  struct uk_slice raw;
  uk_json_reader_init(&reader, text, size, flags);
  const enum uk_json_event event = uk_json_next(&reader);
  if (event != UK_JSON_ERROR && event != UK_JSON_STRING &&
      uk_json_raw(&reader, event, &raw) != UK_JSON_ERROR) {
    FUZZ_REQUIRE(raw.data >= text && raw.data + raw.length <= text + size);
    const struct verdict again = read_events((const uint8_t *)raw.data, raw.length, UK_JSON_DEEP);
    FUZZ_REQUIRE(again.event == UK_JSON_END);
  }
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const unsigned flags = fuzz_take_byte(&data, &size) & FLAGS;
  const struct verdict read = read_events(data, size, flags);
  const struct verdict skipped = skip(data, size, flags);
  FUZZ_REQUIRE(read.event == skipped.event && read.error == skipped.error);
  FUZZ_REQUIRE(read.position == skipped.position);
  take_raw(data, size, flags);
  return 0;
}
