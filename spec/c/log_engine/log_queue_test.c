/* Commands that share a transaction do not affect each other. For: log_stage.c, log_writer.c. */
#include "check.h"
#include "log_rig.h"
#include "server/log_engine/log_stage.h"

enum { COMMANDS = 5, RECORDS = 4 };

static struct rig_read got;

static struct uk_log *open_log(bool auto_create)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  options.auto_create = auto_create;
  return rig_open(&options);
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

static void each_gets_its_own_records(void)
{
  struct uk_record records[COMMANDS][RECORDS];
  struct uk_produce produces[COMMANDS];
  struct rig_call calls[COMMANDS];
  char values[COMMANDS][RECORDS][4], all[COMMANDS * RECORDS * 4] = "";
  struct uk_log *log = open_log(true);
  REQUIRE(log != NULL);
  rig_hold_writer(log);
  for (int i = 0; i < COMMANDS; i++) {
    for (int j = 0; j < RECORDS; j++) {
      sprintf(values[i][j], "%c%d", 'a' + i, j);
      strcat(strcat(all, values[i][j]), "\n");
      records[i][j] = rig_record("t", 0, values[i][j]);
    }
    produces[i] = (struct uk_produce){.records = records[i], .count = RECORDS};
    rig_call_init(&calls[i], &produces[i].operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
  }
  rig_release_writer();
  for (int i = 0; i < COMMANDS; i++) {
    rig_call_wait(&calls[i], &produces[i].operation);
    CHECK_EQ_INT(produces[i].operation.error, UK_OK);
    for (int j = 0; j < RECORDS; j++)
      CHECK_EQ_INT(records[i][j].offset, i * RECORDS + j);
  }
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, all);
  close_log(log);
}

/* Commands in the order of the queue, and how each ends. */
struct line {
  enum uk_log_command_kind kind;
  const char *topics; /* or one of them */
  enum uk_error error;
};

static const struct {
  const char *name;
  int64_t committed; /* at the end; -1 = nothing */
  struct line lines[5];
} lists[] = {
  {"a produce behind the removal of its topic finds none",
   -1,
   {{UK_LOG_DELETE_TOPIC, "t", UK_OK}, {UK_LOG_PRODUCE, "t", UK_E_NOT_FOUND}}},
  {"a produce before the removal of its topic is stored",
   -1,
   {{UK_LOG_PRODUCE, "t", UK_OK},
    {UK_LOG_DELETE_TOPIC, "t", UK_OK},
    {UK_LOG_DELETE_TOPIC, "t", UK_E_NOT_FOUND}}},
  {"a topic removed and made again is another",
   -1,
   {{UK_LOG_DELETE_TOPIC, "t", UK_OK},
    {UK_LOG_CREATE_TOPIC, "t", UK_OK},
    {UK_LOG_PRODUCE, "t", UK_OK}}},
  {"a commit behind the removal of its topic is refused",
   -1,
   {{UK_LOG_COMMIT, "t", UK_OK},
    {UK_LOG_DELETE_TOPIC, "t", UK_OK},
    {UK_LOG_COMMIT, "t", UK_E_NOT_FOUND}}},
  {"a refused command does not affect the others",
   1,
   {{UK_LOG_PRODUCE, "t", UK_OK},
    {UK_LOG_PRODUCE, "none", UK_E_NOT_FOUND},
    {UK_LOG_COMMIT, "none", UK_E_NOT_FOUND},
    {UK_LOG_COMMIT, "t", UK_OK},
    {UK_LOG_PRODUCE, "t", UK_OK}}},
};

struct command {
  union {
    struct uk_operation operation;
    struct uk_produce produce;
    struct uk_log_commit commit;
    struct uk_create_topic create;
    struct uk_delete_topic delete;
  };
  struct uk_record record;
  struct uk_topic_partition_offset offset;
  struct rig_call call;
};

static void submit(struct uk_log *log, struct command *command, const struct line *line)
{
  struct uk_slice topic = uk_slice_text(line->topics);
  memset(command, 0, sizeof *command);
  command->record = rig_record(line->topics, 0, "v");
  command->offset = (struct uk_topic_partition_offset){topic, 0, 1};
  if (line->kind == UK_LOG_PRODUCE)
    command->produce = (struct uk_produce){.records = &command->record, .count = 1};
  else if (line->kind == UK_LOG_COMMIT)
    command->commit =
      (struct uk_log_commit){.group = uk_slice_text("g"), .offsets = &command->offset, .count = 1};
  else if (line->kind == UK_LOG_CREATE_TOPIC)
    command->create = (struct uk_create_topic){.topic = topic, .partitions = 1};
  else
    command->delete.topic = topic;
  rig_call_init(&command->call, &command->operation);
  uk_log_submit(log, line->kind, &command->operation);
}

static void each_has_its_own_outcome(void)
{
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    struct command commands[5];
    const struct line *lines = lists[i].lines;
    struct uk_log *log = open_log(false);
    REQUIRE(log != NULL);
    REQUIRE(rig_create(log, "t", 1, -1, -1) == UK_OK);
    REQUIRE(rig_create(log, "hold", 1, -1, -1) == UK_OK);
    rig_hold_writer(log);
    for (size_t j = 0; j < 5 && lines[j].topics != NULL; j++)
      submit(log, &commands[j], &lines[j]);
    rig_release_writer();
    for (size_t j = 0; j < 5 && lines[j].topics != NULL; j++) {
      rig_call_wait(&commands[j].call, &commands[j].operation);
      if (!CHECK_EQ_INT(commands[j].operation.error, lines[j].error))
        printf("  command %zu of \"%s\"\n", j + 1, lists[i].name);
    }
    int64_t offset = -1;
    uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset);
    CHECK_EQ_INT(offset, lists[i].committed);
    close_log(log);
  }
}

static enum uk_error create_missing(struct uk_log *log, const char *first, const char *second)
{
  struct uk_slice topics[] = {uk_slice_text(first), uk_slice_text(second)};
  struct uk_log_create_missing command = {.topics = topics, .count = 2};
  return rig_submit(log, UK_LOG_CREATE_MISSING, &command.operation, NULL);
}

static void missing_topics_are_created_all_or_none(void)
{
  uint64_t id;
  struct uk_log *log = open_log(true);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(create_missing(log, "good", "bad name"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("good"), &id), 0);
  CHECK_EQ_INT(create_missing(log, "good", "other"), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("good"), &id), 2);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("other"), &id), 2);
  CHECK_EQ_INT(create_missing(log, "good", "third"), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("third"), &id), 2);
  close_log(log);
}

static void every_topic_of_a_failed_creation_is_removed(void)
{
  uint64_t id;
  struct uk_slice topics[] = {uk_slice_text("first"), uk_slice_text("second"),
                              uk_slice_text("bad name")};
  struct uk_log_create_missing command = {.topics = topics, .count = 3};
  struct uk_log *log = open_log(true);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_MISSING, &command.operation, NULL), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_log_partitions(log, topics[0], &id), 0);
  CHECK_EQ_INT(uk_log_partitions(log, topics[1], &id), 0);
  CHECK_EQ_INT(create_missing(log, "first", "second"), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, topics[0], &id), 2);
  CHECK_EQ_INT(uk_log_partitions(log, topics[1], &id), 2);
  close_log(log);
}

/* The stage alone: it reads no value, so that one may be larger than the memory. */
static void messages_at_the_limit(void)
{
  enum { MOST = 1 << 29 };
  static const struct {
    size_t key, value, header;
    enum uk_error error;
  } rows[] = {{0, MOST, 0, UK_OK},     {0, MOST + 1, 0, UK_E_TOO_LARGE},
              {MOST, 0, 0, UK_OK},     {1, MOST, 0, UK_E_TOO_LARGE},
              {1, MOST - 1, 0, UK_OK}, {0, MOST, 1, UK_E_TOO_LARGE},
              {1, MOST - 2, 1, UK_OK}, {MOST, 1, 0, UK_E_TOO_LARGE}};
  static char byte[1];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t count = 1; count <= 2; count++) {
      struct uk_log_topics topics;
      struct uk_log_stage stage;
      struct uk_record_header header = {uk_slice_of(byte, rows[i].header), uk_slice_of(byte, 0)};
      struct uk_record records[2] = {rig_record("t", 0, "v"), rig_record("t", 0, "v")};
      struct uk_produce produce = {.records = records, .count = count};
      struct uk_record *last = &records[count - 1];
      last->has_key = true;
      last->key = uk_slice_of(byte, rows[i].key);
      last->value = uk_slice_of(byte, rows[i].value);
      last->headers = &header;
      last->header_count = 1;
      REQUIRE(uk_log_topics_init(&topics));
      uk_log_stage_init(&stage, &topics);
      stage.auto_create = true;
      stage.default_partitions = 1;
      REQUIRE(uk_log_stage_begin(&stage, count));
      uk_log_stage_command(&stage, UK_LOG_PRODUCE, &produce.operation);
      CHECK_EQ_INT(produce.operation.error, rows[i].error);
      if (rows[i].error != UK_OK)
        CHECK_EQ_STR(produce.operation.message,
                     count == 1 ? "the message is larger than 536870912 bytes"
                                : "[1]: the message is larger than 536870912 bytes");
      CHECK_EQ_INT(stage.count, rows[i].error == UK_OK ? count : 0);
      CHECK_EQ_INT(topics.count, rows[i].error == UK_OK ? 1 : 0);
      uk_log_stage_drop(&stage);
      CHECK_EQ_INT(topics.count, 0);
      uk_log_stage_free(&stage);
      uk_log_topics_free(&topics);
    }
  }
}

static void memory_of_large_transactions_is_freed(void)
{
  struct uk_log_topics topics;
  struct uk_log_stage stage;
  REQUIRE(uk_log_topics_init(&topics));
  uk_log_stage_init(&stage, &topics);
  REQUIRE(uk_log_stage_begin(&stage, UK_LOG_STAGE_KEEP));
  uk_log_stage_end(&stage);
  CHECK_EQ_INT(stage.capacity, UK_LOG_STAGE_KEEP);
  REQUIRE(uk_log_stage_begin(&stage, UK_LOG_STAGE_KEEP + 1));
  uk_log_stage_end(&stage);
  CHECK_EQ_INT(stage.capacity, 0);
  uk_log_stage_free(&stage);
  uk_log_topics_free(&topics);
}

int main(void)
{
  CHECK_RUN(each_gets_its_own_records);
  CHECK_RUN(each_has_its_own_outcome);
  CHECK_RUN(missing_topics_are_created_all_or_none);
  CHECK_RUN(every_topic_of_a_failed_creation_is_removed);
  CHECK_RUN(messages_at_the_limit);
  CHECK_RUN(memory_of_large_transactions_is_freed);
  return check_end();
}
