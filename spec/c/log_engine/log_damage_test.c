/* A17: what the operations of the engine answer about damage. For: log_engine.c, log_fetch.c,
 * log_read.c, log_stage.c. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_engine.h"

static struct uk_engine *engine;
static struct rig_call call;

static bool open_engine(void)
{
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = RIG_MAP_BYTES,
                                                .partitions = 1,
                                                .auto_create = true,
                                                .no_sync = true};
  char message[UK_MESSAGE_SIZE] = "";
  return CHECK_EQ_INT(uk_log_engine_open(&engine, &options, message, sizeof message), UK_OK);
}

static void close_engine(void)
{
  engine->methods->drain(engine);
  engine->methods->close(engine);
  rig_remove();
}

/* Topics "t" (id 1) and "u", each with the records 0 to 9 in batches of one. */
static bool write_topics(void)
{
  struct uk_log_options options = rig_options();
  options.partitions = 1;
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  if (!CHECK(log != NULL))
    return false;
  for (int i = 0; i < 10; i++) {
    char value[2] = {(char)('0' + i), '\0'};
    CHECK_EQ_INT(rig_put(log, "t", 0, value, -1), i);
    CHECK_EQ_INT(rig_put(log, "u", 0, value, -1), i);
  }
  uk_log_close(log);
  return true;
}

/* A read, with its records as a text. */
struct reading {
  union {
    struct uk_operation operation;
    struct uk_fetch fetch;
    struct uk_consume consume;
  };
  char text[100];
};

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct reading *reading = (struct reading *)operation;
  size_t length = strlen(reading->text);
  snprintf(reading->text + length, sizeof reading->text - length, "%.*s", (int)record->value.length,
           record->value.data);
  return true;
}

static struct reading reading;

static void check_reading(enum uk_error error, const char *text)
{
  rig_call_wait(&call, &reading.operation);
  CHECK_EQ_INT(reading.operation.error, error);
  CHECK_EQ_STR(error == UK_OK ? reading.text : reading.operation.message, text);
}

static void check_fetch(const char *topic, int64_t offset, enum uk_error error, const char *text)
{
  const struct uk_topic_partition_offset at = {uk_slice_text(topic), 0, offset};
  reading = (struct reading){.fetch = {.positions = &at, .count = 1, .sink = {take, NULL}}};
  rig_call_init(&call, &reading.operation);
  engine->methods->fetch(engine, &reading.fetch);
  check_reading(error, text);
}

static void check_consume_of(const struct uk_slice *topics, size_t count, enum uk_error error,
                             const char *text)
{
  reading = (struct reading){.consume = {.group = uk_slice_text("g"),
                                         .instance = uk_slice_text("i"),
                                         .create = true,
                                         .topics = topics,
                                         .topic_count = count,
                                         .settings = {.auto_commit = true,
                                                      .auto_commit_interval = 5000,
                                                      .offset_reset = UK_RESET_EARLIEST,
                                                      .session_timeout = 60000},
                                         .sink = {take, NULL}}};
  rig_call_init(&call, &reading.operation);
  engine->methods->consume(engine, &reading.consume);
  check_reading(error, text);
  if (reading.consume.delivery != 0)
    engine->methods->response_finished(engine, reading.consume.group, reading.consume.instance,
                                       reading.consume.delivery, UK_RESPONSE_WRITTEN);
}

static void check_consume(const char *topic, enum uk_error error, const char *text)
{
  const struct uk_slice name = uk_slice_text(topic);
  check_consume_of(&name, 1, error, text);
}

static enum uk_error commit(const char *topic, int64_t offset)
{
  const struct uk_topic_partition_offset at = {uk_slice_text(topic), 0, offset};
  struct uk_commit operation = {
    .group = uk_slice_text("g"), .instance = uk_slice_text("i"), .offsets = &at, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->commit(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  return operation.operation.error;
}

static enum uk_error delete_consumer(void)
{
  struct uk_delete_consumer operation = {.group = uk_slice_text("g"),
                                         .instance = uk_slice_text("i")};
  rig_call_init(&call, &operation.operation);
  engine->methods->delete_consumer(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  return operation.operation.error;
}

static void check_offsets(const char *topic, int64_t timestamp, enum uk_error error, int64_t want)
{
  struct uk_topic_partition_offset at = {uk_slice_text(topic), 0, -7};
  struct uk_offsets operation = {.timestamp = timestamp, .offsets = &at, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->offsets(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  CHECK_EQ_INT(operation.operation.error, error);
  if (error == UK_OK)
    CHECK_EQ_INT(at.offset, want);
  else
    CHECK(strstr(operation.operation.message, "\"t\"") != NULL);
}

static enum uk_error produce(const char *topic)
{
  struct uk_record record = rig_record(topic, 0, "+");
  struct uk_produce operation = {.records = &record, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->produce(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  return operation.operation.error;
}

static void check_other_topic(void)
{
  check_fetch("u", 4, UK_OK, "456789");
  check_consume("u", UK_OK, "0123456789");
  CHECK_EQ_INT(delete_consumer(), UK_OK);
  CHECK_EQ_INT(produce("u"), UK_OK);
  check_offsets("u", UK_TIMESTAMP_LATEST, UK_OK, 11);
}

static const char MIDDLE[] = "the batch of offsets 4 to 4 of topic \"t\" partition 0 is damaged; "
                             "reading can continue at offset 5";

/* A fetch goes on at the offset that the message names, and so does a group: by a commit. */
static void a17_readers_continue_behind_a_damaged_batch(void)
{
  REQUIRE(write_topics());
  raw_flip("batches", raw_key(1, 0, 4), 54);
  REQUIRE(open_engine());
  check_fetch("t", 0, UK_OK, "0123");
  check_fetch("t", 4, UK_E_INTERNAL, MIDDLE);
  check_fetch("t", 5, UK_OK, "56789");
  check_consume("t", UK_OK, "0123");
  check_consume("t", UK_E_INTERNAL, MIDDLE);
  check_consume("t", UK_E_INTERNAL, MIDDLE);
  CHECK_EQ_INT(commit("t", 5), UK_OK);
  CHECK_EQ_INT(delete_consumer(), UK_OK);
  check_consume("t", UK_OK, "56789");
  CHECK_EQ_INT(delete_consumer(), UK_OK);
  CHECK_EQ_INT(produce("t"), UK_OK);
  check_offsets("t", UK_TIMESTAMP_LATEST, UK_OK, 11);
  check_other_topic();
  close_engine();
}

/* Nobody waits at an end that is not known. */
static void a17_a_damaged_last_batch_is_told_to_readers(void)
{
  static const char last[] =
    "the last batch of topic \"t\" partition 0 is damaged, from offset 9 on";
  REQUIRE(write_topics());
  raw_flip("batches", raw_key(1, 0, 9), 54);
  REQUIRE(open_engine());
  check_fetch("t", 0, UK_OK, "012345678");
  check_fetch("t", 9, UK_E_INTERNAL, last);
  check_fetch(
    "t", 10, UK_E_INTERNAL,
    "the last batch of topic \"t\" partition 0 is damaged: where the partition ends is not "
    "known, and nothing can be appended");
  check_consume("t", UK_OK, "012345678");
  check_consume("t", UK_E_INTERNAL, last);
  CHECK_EQ_INT(delete_consumer(), UK_OK);
  CHECK_EQ_INT(produce("t"), UK_E_INTERNAL);
  check_offsets("t", UK_TIMESTAMP_EARLIEST, UK_OK, 0);
  check_offsets("t", UK_TIMESTAMP_LATEST, UK_E_INTERNAL, 0);
  check_offsets("t", INT64_MAX, UK_E_INTERNAL, 0);
  check_other_topic();
  close_engine();
}

static void a17_a_damaged_topic_answers_500(void)
{
  static const char text[] = "the settings of topic \"t\" are damaged: it can only be deleted";
  REQUIRE(write_topics());
  raw_flip("topics", raw_text("t"), 10);
  REQUIRE(open_engine());
  check_fetch("t", 0, UK_E_INTERNAL, text);
  check_consume("t", UK_E_INTERNAL, text);
  check_consume_of((const struct uk_slice[]){uk_slice_text("u"), uk_slice_text("t")}, 2,
                   UK_E_INTERNAL, text);
  CHECK_EQ_INT(produce("t"), UK_E_INTERNAL);
  check_offsets("t", UK_TIMESTAMP_EARLIEST, UK_E_INTERNAL, 0);
  check_offsets("t", UK_TIMESTAMP_LATEST, UK_E_INTERNAL, 0);
  check_other_topic();
  close_engine();
}

/* The operator reads of it, once. */
static void a13_a_restored_copy_is_told_in_the_error_log(void)
{
  char text[4000] = "";
  REQUIRE(write_topics());
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  FILE *file = tmpfile();
  int before = dup(STDERR_FILENO);
  REQUIRE(file != NULL && before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
  bool open = open_engine();
  enum uk_error error = open ? produce("u") : UK_OK;
  if (open)
    close_engine();
  dup2(before, STDERR_FILENO);
  close(before);
  rewind(file);
  CHECK(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  CHECK_EQ_INT(error, UK_OK);
  const char *line =
    strstr(text, "data.mdb is a restored copy: it came without the file identity. ");
  CHECK(line != NULL && strstr(line + 30, "restored copy") == NULL);
}

int main(void)
{
  CHECK_RUN(a17_readers_continue_behind_a_damaged_batch);
  CHECK_RUN(a17_a_damaged_last_batch_is_told_to_readers);
  CHECK_RUN(a17_a_damaged_topic_answers_500);
  CHECK_RUN(a13_a_restored_copy_is_told_in_the_error_log);
  return check_end();
}
