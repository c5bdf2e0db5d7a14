/* Routes, headers, queries and bodies, through the handlers to an engine that carries out
 * everything at once. Byte 0 is the method, byte 1 the user; then the path with its query, a line
 * for each header, an empty line, and the body. */
#include "api_rig.h"
#include "check.h"
#include "common/json_reader.h"
#include "fuzz.h"

enum { LINE_MAX_BYTES = 1000, HEADERS_MAX = 16 };

static struct api_rig rig;

/* What operations end with. */
static enum uk_error outcome;

static void end(struct uk_operation *operation)
{
  operation->error = outcome;
  operation->done(operation);
}

static void touch(struct uk_slice slice)
{
  fuzz_touch(slice.data, slice.length);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  touch(operation->key.user);
  touch(operation->key.key);
  FUZZ_REQUIRE(operation->count >= 1);
  for (size_t i = 0; i < operation->count; i++) {
    struct uk_record *record = &operation->records[i];
    touch(record->topic);
    touch(record->key);
    touch(record->value);
    FUZZ_REQUIRE(record->header_count <= UK_HEADERS_PER_MESSAGE_MAX);
    for (size_t header = 0; header < record->header_count; header++) {
      touch(record->headers[header].key);
      touch(record->headers[header].value);
    }
    record->offset = (int64_t)i;
    record->partition = record->partition < 0 ? 0 : record->partition;
    record->timestamp = record->timestamp < 0 ? 1 : record->timestamp;
  }
  end(&operation->operation);
}

/* A record with a key, a value that is no JSON, and a header. */
static void deliver(struct uk_sink *sink, struct uk_operation *operation)
{
  static const struct uk_record_header header = {{"h", 1}, {"\x1b\"", 2}};
  const struct uk_record record = {.topic = uk_slice_text("t"),
                                   .offset = 1,
                                   .timestamp = 2,
                                   .has_key = true,
                                   .has_value = true,
                                   .key = uk_slice_of("k\0\xff", 3),
                                   .value = uk_slice_text("{\\"),
                                   .headers = &header,
                                   .header_count = 1};
  if (sink->is_client_alive == NULL || sink->is_client_alive(operation))
    sink->record(operation, &record);
}

static void touch_positions(const struct uk_topic_partition_offset *positions, size_t count)
{
  for (size_t i = 0; i < count; i++)
    touch(positions[i].topic);
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  FUZZ_REQUIRE(operation->count >= 1);
  touch_positions(operation->positions, operation->count);
  if (outcome == UK_OK)
    deliver(&operation->sink, &operation->operation);
  end(&operation->operation);
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  touch(operation->group);
  touch(operation->instance);
  touch(operation->acknowledgement.batch);
  FUZZ_REQUIRE(operation->topic_count >= 1);
  for (size_t i = 0; i < operation->topic_count; i++)
    touch(operation->topics[i]);
  touch_positions(operation->commits, operation->commit_count);
  for (size_t i = 0; i < operation->commit_count; i += 2)
    operation->skipped[i] = true;
  if (outcome == UK_OK) {
    deliver(&operation->sink, &operation->operation);
    operation->delivery = 1;
    strcpy(operation->batch, "b-1");
  }
  end(&operation->operation);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  (void)engine;
  touch(operation->group);
  touch(operation->acknowledgement.batch);
  touch_positions(operation->offsets, operation->count);
  end(&operation->operation);
}

static void committed(struct uk_engine *engine, struct uk_committed *operation)
{
  (void)engine;
  touch(operation->group);
  touch_positions(operation->offsets, operation->count);
  end(&operation->operation);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  (void)engine;
  touch(operation->group);
  touch(operation->instance);
  end(&operation->operation);
}

static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  static const int32_t partitions[] = {0, 7};
  (void)engine;
  operation->owned(&operation->operation, uk_slice_text("g\x1b"), uk_slice_text("i"),
                   uk_slice_text("t"), partitions, 2);
  end(&operation->operation);
}

static void offsets(struct uk_engine *engine, struct uk_offsets *operation)
{
  (void)engine;
  touch_positions(operation->offsets, operation->count);
  end(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  operation->topic(&operation->operation, uk_slice_text("t"), 3);
  end(&operation->operation);
}

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  (void)engine;
  touch(operation->topic);
  operation->partitions = operation->partitions < 0 ? 1 : operation->partitions;
  end(&operation->operation);
}

static void delete_topic(struct uk_engine *engine, struct uk_delete_topic *operation)
{
  (void)engine;
  touch(operation->topic);
  end(&operation->operation);
}

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t delivery,
                              enum uk_response_outcome became)
{
  (void)engine, (void)delivery, (void)became;
  touch(group);
  touch(instance);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  snprintf(detail, size, "%s", "well");
  return outcome;
}

static const struct uk_engine_methods methods = {.name = "fuzz",
                                                 .produce = produce,
                                                 .fetch = fetch,
                                                 .consume = consume,
                                                 .commit = commit,
                                                 .committed = committed,
                                                 .delete_consumer = delete_consumer,
                                                 .consumers = consumers,
                                                 .offsets = offsets,
                                                 .topics = topics,
                                                 .create_topic = create_topic,
                                                 .delete_topic = delete_topic,
                                                 .response_finished = response_finished,
                                                 .health = health};

/* Takes a line, as text without NUL or line end; NULL when it is too long for the rig. */
static char *take_line(const uint8_t **data, size_t *size)
{
  const uint8_t *end = memchr(*data, '\n', *size);
  const size_t length = end != NULL ? (size_t)(end - *data) : *size, taken = length + (end != NULL);
  char *line = length < LINE_MAX_BYTES ? malloc(length + 1) : NULL;
  if (line != NULL) {
    memcpy(line, *data, length);
    line[length] = '\0';
  }
  *data += taken;
  *size -= taken;
  return line;
}

/* Takes the headers. Returns their number. */
static size_t take_headers(const uint8_t **data, size_t *size, struct api_header *headers)
{
  size_t count = 0;
  for (char *line; count<HEADERS_MAX && * size> 0 && (line = take_line(data, size)) != NULL;) {
    char *colon = strstr(line, ": ");
    if (colon == NULL) {
      free(line);
      break;
    }
    *colon = '\0';
    headers[count++] = (struct api_header){line, colon + 2};
  }
  return count;
}

/* Every reply is JSON. Only its beginning is kept. */
static void check_answer(const struct api_answer *answer)
{
  struct uk_json_reader reader;
  enum uk_json_event event;
  const size_t length = strlen(answer->text);
  FUZZ_REQUIRE(answer->status >= 200 && answer->status <= 599);
  FUZZ_REQUIRE(atomic_load(&check_state.failures) == 0);
  if (length == 0 || length == API_RIG_BODY - 1)
    return;
  char *copy = fuzz_copy(answer->text, length);
  uk_json_reader_init(&reader, copy, length, UK_JSON_DEEP);
  do
    event = uk_json_next(&reader);
  while (event != UK_JSON_END && event != UK_JSON_ERROR);
  FUZZ_REQUIRE(event == UK_JSON_END);
  free(copy);
}

static void ask(unsigned method, const char *user, const char *path, const uint8_t *body)
{
  static const enum uk_method known[] = {UK_GET, UK_POST, UK_DELETE, UK_HEAD, UK_OPTIONS};
  static struct api_answer answer;
  api_rig_ask(&rig, user, known[method % 5], path, (const char *)body, &answer);
  check_answer(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const users[] = {"full", "full", "produce", "consume", "nobody"};
  static const enum uk_error outcomes[] = {UK_OK, UK_E_NOT_FOUND, UK_E_UNAVAILABLE, UK_E_CONFLICT};
  struct api_header headers[HEADERS_MAX];
  static bool is_open;
  if (!is_open)
    FUZZ_REQUIRE(is_open = api_rig_open(&rig, &methods));
  const unsigned method = fuzz_take_byte(&data, &size), user = fuzz_take_byte(&data, &size);
  char *path = take_line(&data, &size);
  outcome = outcomes[method / 5 % 4];
  rig.headers = headers;
  rig.header_count = path != NULL ? take_headers(&data, &size, headers) : 0;
  rig.body_length = size;
  if (path != NULL)
    ask(method, users[user % 5], path, size > 0 ? data : (const uint8_t *)"");
  for (size_t i = 0; i < rig.header_count; i++)
    free((char *)(uintptr_t)headers[i].name);
  free(path);
  return 0;
}
