#include "server/log_engine/log_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log_engine/log_check_private.h"
#include "server/log_engine/log_folder.h"
#include "server/log_engine/pages/page_walk.h"

enum { LINE_SIZE = 600, NAME_SIZE = UK_TOPIC_NAME_MAX + 40 };

/* Reports. */

static void damaged(struct uk_check *check, const char *format, va_list arguments, char *line,
                    size_t used)
{
  vsnprintf(line + used, LINE_SIZE - used, format, arguments);
  check->result->damaged++;
  check->options->damaged(check->options->context, line);
}

void uk_check_damaged(struct uk_check *check, enum uk_log_table table, const char *format, ...)
{
  char line[LINE_SIZE];
  va_list arguments;
  int used = snprintf(line, sizeof line, "%s: ", uk_log_table_names[table]);
  va_start(arguments, format);
  damaged(check, format, arguments, line, (size_t)used);
  va_end(arguments);
}

static void name_topic(const struct uk_check *check, uint64_t id, char *text)
{
  struct uk_log_topic *topic = NULL;
  uk_check_owner(check, id, &topic);
  if (topic != NULL)
    snprintf(text, NAME_SIZE, "topic \"%s\"", topic->name);
  else
    snprintf(text, NAME_SIZE, "topic with the ID %" PRIu64, id);
}

void uk_check_damaged_in(struct uk_check *check, enum uk_log_table table, uint64_t topic_id,
                         int32_t partition, const char *format, ...)
{
  char line[LINE_SIZE], name[NAME_SIZE];
  va_list arguments;
  name_topic(check, topic_id, name);
  int used = snprintf(line, sizeof line, "%s: %s partition %d ", uk_log_table_names[table], name,
                      (int)partition);
  va_start(arguments, format);
  damaged(check, format, arguments, line, (size_t)used);
  va_end(arguments);
}

void uk_check_note(struct uk_check *check, const char *format, ...)
{
  char line[LINE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  check->options->note(check->options->context, line);
}

void uk_check_fail(struct uk_check *check, enum uk_error error, const char *format, ...)
{
  va_list arguments;
  if (check->error != UK_OK)
    return;
  check->error = error;
  va_start(arguments, format);
  vsnprintf(check->message, check->message_size, format, arguments);
  va_end(arguments);
}

bool uk_check_make_room(struct uk_check *check, void **array, size_t count, size_t *capacity,
                        size_t size)
{
  if (count < *capacity)
    return true;
  size_t more = *capacity == 0 ? 16 : *capacity * 2;
  void *grown = realloc(*array, more * size);
  if (grown == NULL) {
    uk_check_fail(check, UK_E_NO_MEMORY, "out of memory while checking the log in %s",
                  check->options->directory);
    return false;
  }
  *array = grown;
  *capacity = more;
  return true;
}

/* The tables. */

struct stage {
  enum uk_log_table table;
  void (*row)(struct uk_check *check, const MDB_val *key, const MDB_val *value);
  void (*end)(struct uk_check *check); /* after the last row; may be NULL */
};

/* In the order of the visit: what explains the other rows comes first. */
static const struct stage stages[UK_LOG_TABLES] = {
  {UK_LOG_META, uk_check_meta, uk_check_meta_end},
  {UK_LOG_LIVES, uk_check_life, NULL},
  {UK_LOG_PURGES, uk_check_purge, NULL},
  {UK_LOG_TOPICS, uk_check_topic, uk_check_topics_end},
  {UK_LOG_BATCHES, uk_check_batch, uk_check_batches_end},
  {UK_LOG_TIMES, uk_check_time, uk_check_times_end},
  {UK_LOG_COMMITTED, uk_check_committed, uk_check_committed_end},
  {UK_LOG_KEYS, uk_check_key, NULL},
  {UK_LOG_EXPIRIES, uk_check_expiry, uk_check_expiries_end},
};

/* Goes on to this stage. */
static void enter(struct uk_check *check, int stage)
{
  for (; check->stage < stage; check->stage++) {
    if (check->error == UK_OK && stages[check->stage].end != NULL)
      stages[check->stage].end(check);
  }
}

static int stage_of(struct uk_slice table)
{
  for (int i = 0; i < UK_LOG_TABLES; i++) {
    if (uk_slice_is(table, uk_log_table_names[stages[i].table]))
      return i;
  }
  return -1;
}

/* The walk. */

static void on_damage(void *context, uint64_t page, struct uk_slice table, const char *text)
{
  struct uk_check *check = context;
  char line[LINE_SIZE];
  int stage = stage_of(table);
  if (stage >= 0)
    check->lost[stages[stage].table] = true;
  for (int i = 0; stage < 0 && i < UK_LOG_TABLES; i++)
    check->lost[i] = true; /* a table may be missing as a whole */
  if (table.length > 0)
    snprintf(line, sizeof line, "%.*s: page %" PRIu64 " %s", (int)table.length, table.data, page,
             text);
  else
    snprintf(line, sizeof line, "data.mdb: page %" PRIu64 " %s", page, text);
  check->result->damaged++;
  check->options->damaged(check->options->context, line);
}

static void on_row(void *context, struct uk_slice table, struct uk_slice key, struct uk_slice value)
{
  struct uk_check *check = context;
  const MDB_val row_key = {key.length, (void *)(uintptr_t)key.data};
  const MDB_val row_value = {value.length, (void *)(uintptr_t)value.data};
  int stage = stage_of(table);
  if (stage < 0) {
    uk_check_fail(check, UK_E_UNAVAILABLE, "%s/data.mdb holds something other than a log",
                  check->options->directory);
    return;
  }
  check->has_rows = true;
  enter(check, stage);
  if (check->error == UK_OK)
    stages[stage].row(check, &row_key, &row_value);
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  const struct uk_check *check = context;
  if (check->options->progress != NULL)
    check->options->progress(check->options->context, pages, all);
}

static void walk(struct uk_check *check, int file)
{
  const char *first[UK_LOG_TABLES + 1] = {NULL};
  for (int i = 0; i < UK_LOG_TABLES; i++)
    first[i] = uk_log_table_names[stages[i].table];
  const struct uk_page_visitor visitor = {
    .context = check, .damaged = on_damage, .row = on_row, .progress = on_progress, .first = first};
  enum uk_error error = uk_page_walk(file, &visitor);
  if (error == UK_E_NO_MEMORY)
    uk_check_fail(check, error, "out of memory while checking the log in %s",
                  check->options->directory);
  else if (error != UK_OK && check->options->salvage != NULL)
    uk_check_fail(check, error, "nothing can be copied out of %s: data.mdb has no whole meta page",
                  check->options->directory);
  else if (error == UK_OK)
    enter(check, UK_LOG_TABLES);
  if (check->error == UK_OK && check->has_rows && !check->has_format && !check->lost[UK_LOG_META])
    uk_check_damaged(check, UK_LOG_META, "the row \"format\" is missing");
}

/* The folder. */

/* A folder without the lock's file is one that no server has open. The check makes no file. */
static int lock_folder(struct uk_check *check, int folder)
{
  char holder[24] = "";
  int lock = openat(folder, "server.lock", O_RDONLY | O_CLOEXEC);
  if (lock < 0 && errno != ENOENT)
    uk_check_fail(check, UK_E_UNAVAILABLE, "cannot open %s/server.lock: %s",
                  check->options->directory, strerror(errno));
  if (lock < 0 || flock(lock, LOCK_SH | LOCK_NB) == 0)
    return lock;
  if (errno != EWOULDBLOCK) {
    uk_check_fail(check, UK_E_UNAVAILABLE, "cannot lock %s/server.lock: %s",
                  check->options->directory, strerror(errno));
    return lock;
  }
  ssize_t length = pread(lock, holder, sizeof holder - 1, 0);
  uk_check_fail(check, UK_E_UNAVAILABLE,
                "the directory %s is in use by a server (process %ld); stop it first",
                check->options->directory, length > 0 ? strtol(holder, NULL, 10) : 0L);
  return lock;
}

static void read_identity(struct uk_check *check, int folder)
{
  switch (uk_log_identity_read(folder, &check->identity)) {
  case UK_LOG_IDENTITY_OK: check->has_identity = true; break;
  case UK_LOG_IDENTITY_MISSING: break;
  default:
    check->result->damaged++;
    check->options->damaged(check->options->context, "identity: cannot be read");
  }
}

static void check_data(struct uk_check *check, int folder)
{
  struct stat status;
  int file = openat(folder, "data.mdb", O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &status) != 0) {
    uk_check_fail(check, UK_E_UNAVAILABLE, "cannot read %s/data.mdb: %s", check->options->directory,
                  strerror(errno));
  } else {
    check->result->bytes = (uint64_t)status.st_size;
    walk(check, file);
  }
  if (file >= 0)
    close(file);
}

static void check_folder(struct uk_check *check)
{
  const char *directory = check->options->directory;
  char text[UK_LOG_FAILURE_MAX * 2];
  enum uk_error error = uk_log_folder_check(directory, directory, text, sizeof text);
  if (error != UK_OK) {
    uk_check_fail(check, error, "%s", text);
    return;
  }
  int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    uk_check_fail(check, UK_E_UNAVAILABLE, "cannot open %s: %s", directory, strerror(errno));
    return;
  }
  int lock = lock_folder(check, folder);
  if (check->error == UK_OK)
    read_identity(check, folder);
  if (check->error == UK_OK)
    check_data(check, folder);
  if (lock >= 0)
    close(lock);
  close(folder);
}

static void free_check(struct uk_check *check)
{
  for (size_t i = 0; i < check->topic_count; i++)
    free(check->topics[i]);
  for (size_t i = 0; i < check->partition_count; i++)
    uk_buffer_free(&check->partitions[i].bases);
  free(check->topics);
  free(check->partitions);
  free(check->purges);
  free(check);
}

enum uk_error uk_log_check(const struct uk_log_check *options, struct uk_log_check_result *result,
                           char *message, size_t size)
{
  struct uk_check *check = calloc(1, sizeof *check);
  *result = (struct uk_log_check_result){0};
  if (check == NULL) {
    snprintf(message, size, "out of memory while checking the log in %s", options->directory);
    return UK_E_NO_MEMORY;
  }
  check->options = options;
  check->result = result;
  check->message = message;
  check->message_size = size;
  check->meta = (struct uk_log_meta){.next_topic = 1, .upgraded = INT64_MAX};
  if (options->salvage != NULL)
    check->error = uk_log_salvage_check(options->salvage, message, size);
  if (check->error == UK_OK)
    check_folder(check);
  enum uk_error error = check->error;
  if (check->salvage != NULL) {
    char text[UK_LOG_FAILURE_MAX * 2];
    enum uk_error finished =
      uk_log_salvage_finish(check->salvage, error == UK_OK, text, sizeof text);
    if (error == UK_OK && finished != UK_OK)
      snprintf(message, size, "%s", text);
    error = error == UK_OK ? finished : error;
  }
  free_check(check);
  return error;
}
