#include "log_check_rig.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"

struct checked checked;

static void add_line(char *text, size_t size, const char *line)
{
  size_t used = strlen(text);
  snprintf(text + used, size - used, "%s\n", line);
}

static void on_damage(void *context, const char *line)
{
  CHECK(context == &checked);
  add_line(checked.told, sizeof checked.told, line);
}

static void on_note(void *context, const char *line)
{
  (void)context;
  add_line(checked.notes, sizeof checked.notes, line);
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  (void)context;
  checked.pages = pages;
  checked.all = all;
  if (checked.meanwhile != NULL)
    checked.meanwhile();
}

enum uk_error checked_folder(const char *directory, const char *salvage)
{
  bool own = strcmp(directory, rig_directory()) == 0;
  const struct uk_log_check check = {.directory = directory,
                                     .salvage = salvage,
                                     .context = &checked,
                                     .damaged = on_damage,
                                     .note = on_note,
                                     .progress = own ? on_progress : NULL};
  checked.told[0] = checked.notes[0] = checked.message[0] = '\0';
  return uk_log_check(&check, &checked.result, checked.message, sizeof checked.message);
}

enum uk_error checked_into(const char *salvage)
{
  return checked_folder(rig_directory(), salvage);
}

void checked_tells(const char *lines)
{
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK_EQ_STR(checked.told, lines);
}

void checked_remove_target(void)
{
  static const char *const names[] = {"data.mdb", "lock.mdb", "server.lock", "identity", "reserve"};
  char path[600];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", checked.target, names[i]);
    unlink(path);
  }
  rmdir(checked.target);
}

const char *checked_target(void)
{
  snprintf(checked.target, sizeof checked.target, "%s-new", rig_directory());
  return checked.target;
}

void checked_salvage(void)
{
  checked_target();
  if (!CHECK_EQ_INT(checked_into(checked.target), UK_OK))
    fprintf(stderr, "  %s\n", checked.message);
}

struct uk_log *checked_open_target(void)
{
  struct uk_log_options options = rig_options();
  options.directory = checked.target;
  return rig_open(&options);
}

static void put(struct uk_log *log, int count, int64_t timestamp)
{
  struct uk_record records[3];
  for (int i = 0; i < count; i++) {
    records[i] = rig_record("a", 0, "value");
    records[i].timestamp = timestamp;
  }
  CHECK_EQ_INT(rig_produce(log, records, (size_t)count, checked.message), UK_OK);
}

void checked_write_log(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  put(log, 2, 1000);
  put(log, 1, 2000);
  put(log, 3, 3000);
  CHECK_EQ_INT(rig_put(log, "a", 1, "one", 1000), 0);
  CHECK_EQ_INT(rig_put(log, "b", 0, "of b", 1000), 0);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 0, 6), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 1, 1), UK_OK);
  uk_log_close(log);
}

void checked_log(struct uk_log *log, const char *topic, int32_t partition, int64_t want_first,
                 int64_t want_end, const char *text)
{
  static struct rig_read read;
  int64_t first = -1, end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text(topic), partition, &first, &end));
  CHECK_EQ_INT(first, want_first);
  CHECK_EQ_INT(end, want_end);
  if (!CHECK_EQ_INT(rig_read(log, &read, topic, partition, first), UK_OK))
    fprintf(stderr, "  %s\n", read.operation.message);
  CHECK_EQ_STR(read.text, text);
  CHECK_EQ_INT(read.next, want_end);
}

int64_t checked_committed(struct uk_log *log, const char *topic, int32_t partition)
{
  int64_t offset = -2;
  CHECK_EQ_INT(
    uk_log_committed(log, uk_slice_text("readers"), uk_slice_text(topic), partition, &offset),
    UK_OK);
  return offset;
}
