#include "server/engine/produce_answer.h"

struct run {
  uint32_t records;
  int32_t partition;
  enum uk_error error;
  int64_t offset, timestamp;
};

static struct run run_of(const struct uk_record *record)
{
  bool stored = record->error == UK_OK;
  return (struct run){.records = 1,
                      .partition = record->partition,
                      .error = record->error,
                      .offset = stored ? record->offset : 0,
                      .timestamp = stored ? record->timestamp : 0};
}

static bool continues(const struct run *run, const struct run *next)
{
  int64_t offset = next->error == UK_OK ? run->offset + run->records : run->offset;
  return next->partition == run->partition && next->error == run->error && next->offset == offset &&
         next->timestamp == run->timestamp && run->records < UINT32_MAX;
}

static void append_integer(struct uk_buffer *buffer, uint64_t value, unsigned bytes)
{
  while (bytes-- > 0)
    uk_buffer_append_byte(buffer, (char)(value >> 8 * bytes & 0xff));
}

static void append_run(struct uk_buffer *buffer, const struct run *run)
{
  uint32_t status = run->error != UK_OK ? (uint32_t)uk_error_status(run->error) : 0;
  append_integer(buffer, run->records, 4);
  append_integer(buffer, (uint32_t)run->partition, 4);
  append_integer(buffer, status, 4);
  append_integer(buffer, (uint64_t)run->offset, 8);
  append_integer(buffer, (uint64_t)run->timestamp, 8);
}

void uk_produce_answer_write(struct uk_buffer *buffer, const struct uk_produce *produce)
{
  struct run run = run_of(&produce->records[0]);
  for (size_t i = 1; i < produce->count; i++) {
    struct run next = run_of(&produce->records[i]);
    if (continues(&run, &next)) {
      run.records++;
      continue;
    }
    append_run(buffer, &run);
    run = next;
  }
  append_run(buffer, &run);
}

static uint64_t take_integer(const uint8_t **at, unsigned bytes)
{
  uint64_t value = 0;
  while (bytes-- > 0)
    value = value << 8 | *(*at)++;
  return value;
}

static struct run take_run(const uint8_t **at)
{
  struct run run = {.records = (uint32_t)take_integer(at, 4),
                    .partition = (int32_t)(uint32_t)take_integer(at, 4)};
  uint32_t status = (uint32_t)take_integer(at, 4);
  run.error = status != 0 ? uk_error_from_status((int)status) : UK_OK;
  run.offset = (int64_t)take_integer(at, 8);
  run.timestamp = (int64_t)take_integer(at, 8);
  return run;
}

static bool is_whole(struct uk_slice answer, size_t count)
{
  const uint8_t *at = (const uint8_t *)answer.data, *end = at + answer.length;
  size_t records = 0;
  if (answer.length % UK_PRODUCE_RUN_BYTES != 0)
    return false;
  while (at < end)
    records += take_run(&at).records;
  return records == count;
}

bool uk_produce_answer_read(struct uk_slice answer, struct uk_produce *produce)
{
  const uint8_t *at = (const uint8_t *)answer.data, *end = at + answer.length;
  struct uk_record *record = produce->records;
  if (!is_whole(answer, produce->count))
    return false;
  while (at < end) {
    struct run run = take_run(&at);
    for (uint32_t i = 0; i < run.records; i++, record++) {
      record->partition = run.partition;
      record->error = run.error;
      record->reason = NULL;
      record->offset = run.error == UK_OK ? run.offset + i : record->offset;
      record->timestamp = run.error == UK_OK ? run.timestamp : record->timestamp;
    }
  }
  return true;
}
