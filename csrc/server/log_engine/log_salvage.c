#include "server/log_engine/log_salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/directory.h"
#include "server/log_engine/log_answer.h"
#include "server/log_engine/log_store.h"

enum {
  TRANSACTION_BYTES = 16 << 20,
  ROW_BYTES = 100,           /* of a small row, with what LMDB needs for it */
  MAP_BYTES_MORE = 64 << 20, /* beyond twice the old file */
  TEXT_SIZE = PATH_MAX + 200
};

struct uk_log_salvage {
  struct uk_log_origin origin;
  char *directory, *unfinished; /* its name, and the one until it is complete */
  struct uk_log_store *store;
  struct uk_buffer batch; /* scratch */
  size_t bytes;           /* written in this transaction */
  enum uk_log_status status;
  uint64_t next_topic;
};

/* The folder. */

static void remove_folder(const char *path)
{
  DIR *folder = opendir(path);
  const struct dirent *entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL)
    unlinkat(dirfd(folder), entry->d_name, 0);
  if (folder != NULL)
    closedir(folder);
  rmdir(path);
}

static enum uk_error failed(char *message, size_t size, const char *path, int error)
{
  snprintf(message, size, "cannot make the folder %s: %s", path, strerror(error));
  return error == ENOMEM ? UK_E_NO_MEMORY : UK_E_UNAVAILABLE;
}

/* Makes the folder with the identity of the old log in its next life: a log that is made there
 * takes both. */
static int make_folder(const struct uk_log_salvage *salvage)
{
  const struct uk_log_origin *origin = &salvage->origin;
  struct uk_log_identity identity = {.life = origin->life + 1, .topics = 1};
  int error = uk_directory_make(salvage->unfinished);
  if (error != 0 || !origin->has_id)
    return error;
  memcpy(identity.id, origin->id, sizeof identity.id);
  int folder = open(salvage->unfinished, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return errno;
  error = uk_log_identity_write(folder, &identity, true);
  close(folder);
  return error;
}

/* A name without the slashes at its end. */
static char *joined(const char *directory, const char *end)
{
  size_t length = strlen(directory);
  while (length > 1 && directory[length - 1] == '/')
    length--;
  char *name = malloc(length + strlen(end) + 1);
  if (name == NULL)
    return NULL;
  memcpy(name, directory, length);
  memcpy(name + length, end, strlen(end) + 1);
  return name;
}

/* Open and finish. */

static void free_salvage(struct uk_log_salvage *salvage)
{
  uk_log_store_close(salvage->store);
  uk_buffer_free(&salvage->batch);
  free(salvage->directory);
  free(salvage->unfinished);
  free(salvage);
}

/* NULL if out of memory. */
static struct uk_log_salvage *new_salvage(const char *directory)
{
  struct uk_log_salvage *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  made->directory = joined(directory, "");
  made->unfinished = joined(directory, ".unfinished");
  uk_buffer_init(&made->batch, SIZE_MAX / 2);
  if (made->directory != NULL && made->unfinished != NULL)
    return made;
  free_salvage(made);
  return NULL;
}

/* Neither name may exist. */
static enum uk_error check_names(const struct uk_log_salvage *salvage, char *message, size_t size)
{
  const char *const names[] = {salvage->directory, salvage->unfinished};
  struct stat status;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (lstat(names[i], &status) == 0)
      return failed(message, size, names[i], EEXIST);
  }
  return UK_OK;
}

enum uk_error uk_log_salvage_check(const char *directory, char *message, size_t size)
{
  struct uk_log_salvage *made = new_salvage(directory);
  if (made == NULL)
    return failed(message, size, directory, ENOMEM);
  enum uk_error error = check_names(made, message, size);
  free_salvage(made);
  return error;
}

static enum uk_error start(struct uk_log_salvage *salvage, char *message, size_t size)
{
  size_t map = salvage->origin.bytes > SIZE_MAX / 16 ? SIZE_MAX / 8 : salvage->origin.bytes * 2;
  enum uk_error refused = check_names(salvage, message, size);
  int error = refused == UK_OK ? make_folder(salvage) : 0;
  if (error != 0)
    refused = failed(message, size, salvage->directory, error);
  if (refused != UK_OK)
    return refused;
  enum uk_error opened = uk_log_store_open(&salvage->store, salvage->unfinished,
                                           map + MAP_BYTES_MORE, false, message, size);
  if (opened == UK_OK) {
    salvage->status = uk_log_store_begin(salvage->store);
    return UK_OK;
  }
  remove_folder(salvage->unfinished);
  return opened;
}

enum uk_error uk_log_salvage_open(struct uk_log_salvage **salvage, const char *directory,
                                  const struct uk_log_origin *origin, char *message, size_t size)
{
  struct uk_log_salvage *made = new_salvage(directory);
  *salvage = NULL;
  if (made == NULL)
    return failed(message, size, directory, ENOMEM);
  made->origin = *origin;
  made->next_topic = origin->next_topic;
  enum uk_error error = start(made, message, size);
  if (error == UK_OK)
    *salvage = made;
  else
    free_salvage(made);
  return error;
}

static void complete(struct uk_log_salvage *salvage)
{
  struct uk_log_store *store = salvage->store;
  if (salvage->status == UK_LOG_OK)
    salvage->status = uk_log_store_put_next_topic(store, salvage->next_topic);
  if (salvage->status == UK_LOG_OK)
    salvage->status = uk_log_store_commit(store);
  if (salvage->status == UK_LOG_OK)
    uk_log_store_save_identity(store, salvage->next_topic, true);
}

static const char *why_full(const struct uk_log_store *store)
{
  return uk_log_store_is_limited(store) ? UK_LOG_AT_LIMIT : "it is too large";
}

/* What the status of the first failure means. */
static enum uk_error explain(const struct uk_log_salvage *salvage, char *message, size_t size)
{
  const char *why = salvage->status == UK_LOG_NO_MEMORY   ? "out of memory"
                    : salvage->status == UK_LOG_DISK_FULL ? "the disk is full"
                    : salvage->status == UK_LOG_FULL      ? why_full(salvage->store)
                                                          : uk_log_store_failure(salvage->store);
  snprintf(message, size, "cannot write the log in %s: %s", salvage->directory, why);
  return salvage->status == UK_LOG_NO_MEMORY ? UK_E_NO_MEMORY : UK_E_UNAVAILABLE;
}

/* Gives the folder its name, and makes that durable. */
static int give_name(const struct uk_log_salvage *salvage)
{
  char parent[PATH_MAX];
  const char *slash = strrchr(salvage->directory, '/');
  snprintf(parent, sizeof parent, "%.*s",
           slash == NULL                 ? 1
           : slash == salvage->directory ? 1
                                         : (int)(slash - salvage->directory),
           slash == NULL ? "." : salvage->directory);
  return rename(salvage->unfinished, salvage->directory) != 0 ? errno : uk_directory_sync(parent);
}

enum uk_error uk_log_salvage_finish(struct uk_log_salvage *salvage, bool keep, char *message,
                                    size_t size)
{
  enum uk_error error = UK_OK;
  if (keep)
    complete(salvage);
  uk_log_store_abort(salvage->store); /* what was not committed */
  if (keep && salvage->status != UK_LOG_OK)
    error = explain(salvage, message, size);
  uk_log_store_close(salvage->store);
  salvage->store = NULL;
  int named = keep && error == UK_OK ? give_name(salvage) : 0;
  if (named != 0)
    error = failed(message, size, salvage->directory, named);
  if (!keep || error != UK_OK)
    remove_folder(salvage->unfinished);
  free_salvage(salvage);
  return error;
}

/* Rows. */

/* Counts what was written, and commits when it is enough. */
static void wrote(struct uk_log_salvage *salvage, enum uk_log_status status, size_t bytes)
{
  salvage->status = status;
  salvage->bytes += bytes;
  if (status != UK_LOG_OK || salvage->bytes < TRANSACTION_BYTES)
    return;
  salvage->bytes = 0;
  salvage->status = uk_log_store_commit(salvage->store);
  if (salvage->status == UK_LOG_OK)
    salvage->status = uk_log_store_begin(salvage->store);
}

void uk_log_salvage_topic(struct uk_log_salvage *salvage, struct uk_log_topic *topic)
{
  static const uint8_t none[UK_LOG_ID_BYTES];
  if (salvage->status != UK_LOG_OK)
    return;
  if (topic->id >= salvage->next_topic)
    salvage->next_topic = topic->id + 1;
  bool has_life = memcmp(topic->life, none, sizeof none) != 0;
  wrote(salvage,
        has_life ? uk_log_store_copy_topic(salvage->store, topic)
                 : uk_log_store_put_topic(salvage->store, topic),
        ROW_BYTES);
}

static bool is_empty(const struct uk_log_partition *partition)
{
  return partition->end == 0;
}

/* A batch without records: it covers `missing` offsets, or marks the end when there are none. */
static void put_gap(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                    int64_t offset, uint32_t missing)
{
  struct uk_log_builder builder;
  const struct uk_log_seal seal = {.place = {partition->topic->id, partition->index, offset},
                                   .position = partition->position,
                                   .arrival = uk_clock_epoch(),
                                   .life = uk_log_store_life(salvage->store),
                                   .missing = missing};
  uk_log_builder_init(&builder);
  const struct uk_slice bytes = uk_log_builder_seal(&builder, &seal);
  wrote(salvage,
        bytes.length > 0 ? uk_log_store_put_batch(salvage->store, partition, offset, bytes)
                         : UK_LOG_NO_MEMORY,
        ROW_BYTES);
  partition->end = offset + missing;
  partition->position += missing > 0 ? bytes.length : 0;
  uk_log_builder_free(&builder);
}

/* Covers what is missing up to `offset`. So large a hole as no batch covers stays one. */
static void cover(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                  int64_t offset)
{
  if (!is_empty(partition) && offset > partition->end && offset - partition->end <= UINT32_MAX)
    put_gap(salvage, partition, partition->end, (uint32_t)(offset - partition->end));
}

void uk_log_salvage_end(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                        int64_t end)
{
  if (salvage->status != UK_LOG_OK || end <= partition->end)
    return;
  cover(salvage, partition, end);
  if (partition->end < end)
    put_gap(salvage, partition, end, 0);
}

static void put_time(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                     const struct uk_log_batch *batch, int64_t offset)
{
  if (salvage->status != UK_LOG_OK || batch->max_timestamp <= partition->latest)
    return;
  partition->latest = batch->max_timestamp;
  wrote(salvage, uk_log_store_put_time(salvage->store, partition, batch->max_timestamp, offset),
        ROW_BYTES);
}

void uk_log_salvage_batch(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                          const struct uk_log_place *place, const struct uk_log_batch *batch,
                          struct uk_slice bytes)
{
  if (salvage->status != UK_LOG_OK)
    return;
  if (is_empty(partition))
    partition->position = batch->position;
  if (batch->span == 0) {
    uk_log_salvage_end(salvage, partition, place->offset);
    return;
  }
  cover(salvage, partition, place->offset);
  const struct uk_log_seal seal = {
    .place = *place,
    .position = partition->position,
    .arrival = salvage->origin.upgraded == INT64_MAX ? uk_clock_epoch() : salvage->origin.upgraded,
    .life = batch->life};
  uk_buffer_clear(&salvage->batch);
  if (salvage->status != UK_LOG_OK ||
      uk_log_batch_copy(&salvage->batch, batch, bytes, &seal) != UK_OK) {
    salvage->status = salvage->status == UK_LOG_OK ? UK_LOG_NO_MEMORY : salvage->status;
    return;
  }
  const struct uk_slice copy = uk_buffer_slice(&salvage->batch);
  wrote(salvage, uk_log_store_put_batch(salvage->store, partition, place->offset, copy),
        copy.length + ROW_BYTES);
  partition->end = place->offset + batch->span;
  partition->position += copy.length;
  if (batch->count > 0)
    put_time(salvage, partition, batch, place->offset);
}

void uk_log_salvage_committed(struct uk_log_salvage *salvage,
                              const struct uk_log_partition *partition, struct uk_slice group,
                              int64_t offset)
{
  if (salvage->status == UK_LOG_OK)
    wrote(salvage, uk_log_store_put_committed(salvage->store, partition, group, offset), ROW_BYTES);
}

void uk_log_salvage_key(struct uk_log_salvage *salvage, struct uk_slice row, struct uk_slice answer)
{
  size_t replaced;
  if (salvage->status != UK_LOG_OK)
    return;
  uk_buffer_clear(&salvage->batch);
  enum uk_log_status status = UK_LOG_NO_MEMORY;
  if (uk_buffer_append(&salvage->batch, answer.data, answer.length) == UK_OK)
    status = uk_log_store_put_key(salvage->store, row, &salvage->batch, &replaced);
  if (status == UK_LOG_OK)
    status = uk_log_store_put_expiry(salvage->store, uk_log_answer_ends(answer), row);
  wrote(salvage, status, answer.length + 2 * row.length + ROW_BYTES);
}
