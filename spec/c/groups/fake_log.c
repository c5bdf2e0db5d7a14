#include "fake_log.h"

#include <pthread.h>
#include <stdio.h>

enum { TOPICS = 8, COMMITTED = 1 << 15, HELD = 4096, OFFSETS = 64, SHORT_NAME = 24 };

struct topic {
  char name[FAKE_NAME];
  uint64_t id;
  int32_t partitions;
  int64_t first[FAKE_PARTITIONS], end[FAKE_PARTITIONS];
};

struct committed {
  char key[64];
  int64_t offset;
};

struct held {
  char group[SHORT_NAME];
  struct {
    char topic[SHORT_NAME];
    int32_t partition;
    int64_t offset;
  } offsets[OFFSETS];
  size_t count;
  bool forward;
  void (*then)(void *argument, enum uk_error error, const char *message);
  void *argument;
};

static struct {
  pthread_mutex_t lock;
  uint64_t last_id;
  struct topic topics[TOPICS];
  struct committed committed[COMMITTED];
  struct held held[HELD]; /* a ring */
  size_t held_first, held_count;
  bool hold;
  int commits;
  char last_commit[256];
  enum uk_error fail_committed, fail_read;
  int fail_committed_times;
  const char *fail_read_message;
  int64_t read_most;
  void (*during_read)(void), (*during_commit)(void);
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_log_reset(void)
{
  pthread_mutex_lock(&fake.lock);
  memset(fake.topics, 0, sizeof fake.topics);
  memset(fake.committed, 0, sizeof fake.committed);
  fake.held_first = fake.held_count = 0;
  fake.hold = false;
  fake.commits = 0;
  fake.last_commit[0] = '\0';
  fake.fail_committed = fake.fail_read = UK_OK;
  fake.read_most = INT64_MAX;
  fake.during_read = fake.during_commit = NULL;
  pthread_mutex_unlock(&fake.lock);
}

static struct topic *find(struct uk_slice name)
{
  for (int i = 0; i < TOPICS; i++) {
    if (fake.topics[i].partitions > 0 && uk_slice_is(name, fake.topics[i].name))
      return &fake.topics[i];
  }
  return NULL;
}

static struct topic *make(const char *name)
{
  for (int i = 0; i < TOPICS; i++) {
    struct topic *topic = &fake.topics[i];
    if (topic->partitions > 0)
      continue;
    memset(topic, 0, sizeof *topic);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->id = ++fake.last_id;
    return topic;
  }
  return NULL;
}

static void forget_committed(const char *topic);

void fake_topic(const char *name, int32_t partitions)
{
  pthread_mutex_lock(&fake.lock);
  struct topic *topic = find(uk_slice_text(name));
  if (topic == NULL)
    topic = make(name);
  else if (partitions == 0)
    forget_committed(name);
  topic->partitions = partitions;
  pthread_mutex_unlock(&fake.lock);
}

int64_t fake_produce(const char *name, int32_t partition, int64_t count)
{
  pthread_mutex_lock(&fake.lock);
  struct topic *topic = find(uk_slice_text(name));
  int64_t at = topic->end[partition];
  topic->end[partition] += count;
  pthread_mutex_unlock(&fake.lock);
  return at;
}

void fake_retain(const char *name, int32_t partition, int64_t first)
{
  pthread_mutex_lock(&fake.lock);
  find(uk_slice_text(name))->first[partition] = first;
  pthread_mutex_unlock(&fake.lock);
}

/* Offsets are stored plus one: 0 is none. */
static struct committed *entry(struct uk_slice group, struct uk_slice topic, int32_t partition)
{
  char key[64];
  snprintf(key, sizeof key, "%.*s/%.*s/%d", (int)group.length, group.data, (int)topic.length,
           topic.data, (int)partition);
  uint32_t hash = 2166136261u;
  for (const char *c = key; *c != '\0'; c++)
    hash = (hash ^ (unsigned char)*c) * 16777619u;
  struct committed *at = &fake.committed[hash % COMMITTED];
  while (at->key[0] != '\0' && strcmp(at->key, key) != 0)
    at = at == &fake.committed[COMMITTED - 1] ? fake.committed : at + 1;
  if (at->key[0] == '\0')
    memcpy(at->key, key, sizeof key);
  return at;
}

static void forget_committed(const char *topic)
{
  char part[80];
  snprintf(part, sizeof part, "/%s/", topic);
  for (int i = 0; i < COMMITTED; i++) {
    if (strstr(fake.committed[i].key, part) != NULL)
      fake.committed[i].offset = 0;
  }
}

static int32_t partitions(void *context, struct uk_slice name, uint64_t *topic_id)
{
  (void)context;
  pthread_mutex_lock(&fake.lock);
  struct topic *topic = find(name);
  int32_t count = topic != NULL ? topic->partitions : 0;
  if (topic != NULL)
    *topic_id = topic->id;
  pthread_mutex_unlock(&fake.lock);
  return count;
}

static bool bounds(void *context, struct uk_slice name, int32_t partition, int64_t *first,
                   int64_t *end)
{
  (void)context;
  pthread_mutex_lock(&fake.lock);
  struct topic *topic = find(name);
  bool there = topic != NULL && partition < topic->partitions;
  if (there) {
    *first = topic->first[partition];
    *end = topic->end[partition];
  }
  pthread_mutex_unlock(&fake.lock);
  return there;
}

static enum uk_error committed(void *context, struct uk_slice group, struct uk_slice topic,
                               int32_t partition, int64_t *offset)
{
  (void)context;
  pthread_mutex_lock(&fake.lock);
  enum uk_error error = fake.fail_committed;
  if (--fake.fail_committed_times <= 0)
    fake.fail_committed = UK_OK;
  *offset = entry(group, topic, partition)->offset - 1;
  pthread_mutex_unlock(&fake.lock);
  return error;
}

static void put(struct uk_slice group, struct uk_slice topic, int32_t partition, int64_t offset,
                bool forward)
{
  struct committed *at = entry(group, topic, partition);
  if (!forward || at->offset <= offset)
    at->offset = offset + 1;
}

static void apply(const struct held *held)
{
  for (size_t i = 0; i < held->count; i++)
    put(uk_slice_text(held->group), uk_slice_text(held->offsets[i].topic),
        held->offsets[i].partition, held->offsets[i].offset, held->forward);
}

static void fill(struct held *held, struct uk_slice group,
                 const struct uk_topic_partition_offset *offsets, size_t count)
{
  memset(held, 0, sizeof *held);
  memcpy(held->group, group.data, group.length);
  held->count = count;
  for (size_t i = 0; i < count; i++) {
    memcpy(held->offsets[i].topic, offsets[i].topic.data, offsets[i].topic.length);
    held->offsets[i].partition = offsets[i].partition;
    held->offsets[i].offset = offsets[i].offset;
  }
}

static void note_commit(const struct uk_topic_partition_offset *offsets, size_t count)
{
  size_t length = 0;
  fake.last_commit[0] = '\0';
  for (size_t i = 0; i < count && length < sizeof fake.last_commit; i++)
    length += (size_t)snprintf(fake.last_commit + length, sizeof fake.last_commit - length,
                               "%s%.*s:%d=%lld", i == 0 ? "" : " ", (int)offsets[i].topic.length,
                               offsets[i].topic.data, (int)offsets[i].partition,
                               (long long)offsets[i].offset);
}

/* Runs a call once. */
static void disturb(void (**place)(void))
{
  pthread_mutex_lock(&fake.lock);
  void (*call)(void) = *place;
  *place = NULL;
  pthread_mutex_unlock(&fake.lock);
  if (call != NULL)
    call();
}

static void commit(void *context, struct uk_slice group,
                   const struct uk_topic_partition_offset *offsets, size_t count, bool forward,
                   void (*then)(void *argument, enum uk_error error, const char *message),
                   void *argument)
{
  (void)context;
  disturb(&fake.during_commit);
  pthread_mutex_lock(&fake.lock);
  fake.commits++;
  note_commit(offsets, count);
  bool hold = fake.hold;
  if (hold) {
    struct held *held = &fake.held[(fake.held_first + fake.held_count++) % HELD];
    fill(held, group, offsets, count);
    held->forward = forward;
    held->then = then;
    held->argument = argument;
  } else {
    for (size_t i = 0; i < count; i++)
      put(group, offsets[i].topic, offsets[i].partition, offsets[i].offset, forward);
  }
  pthread_mutex_unlock(&fake.lock);
  if (!hold)
    then(argument, UK_OK, "");
}

void fake_hold_commits(bool hold)
{
  pthread_mutex_lock(&fake.lock);
  fake.hold = hold;
  pthread_mutex_unlock(&fake.lock);
}

int fake_finish(int most, enum uk_error error, const char *message)
{
  int count = 0;
  for (; count < most; count++) {
    pthread_mutex_lock(&fake.lock);
    if (fake.held_count == 0) {
      pthread_mutex_unlock(&fake.lock);
      break;
    }
    struct held *held = &fake.held[fake.held_first];
    fake.held_first = (fake.held_first + 1) % HELD;
    fake.held_count--;
    if (error == UK_OK)
      apply(held);
    void (*then)(void *, enum uk_error, const char *) = held->then;
    void *argument = held->argument;
    pthread_mutex_unlock(&fake.lock);
    then(argument, error, message != NULL ? message : "");
  }
  return count;
}

int fake_commits(void)
{
  pthread_mutex_lock(&fake.lock);
  int commits = fake.commits;
  pthread_mutex_unlock(&fake.lock);
  return commits;
}

const char *fake_last_commit(void)
{
  return fake.last_commit;
}

int64_t fake_committed(const char *group, const char *topic, int32_t partition)
{
  pthread_mutex_lock(&fake.lock);
  int64_t offset = entry(uk_slice_text(group), uk_slice_text(topic), partition)->offset - 1;
  pthread_mutex_unlock(&fake.lock);
  return offset;
}

void fake_fail_committed(enum uk_error error, int times)
{
  fake.fail_committed = error;
  fake.fail_committed_times = times;
}

void fake_fail_read(enum uk_error error, const char *message)
{
  fake.fail_read = error;
  fake.fail_read_message = message;
}

void fake_read_most(int64_t records)
{
  fake.read_most = records;
}

void fake_during_read(void (*call)(void))
{
  fake.during_read = call;
}

void fake_during_commit(void (*call)(void))
{
  fake.during_commit = call;
}

static enum uk_error take_failure(struct uk_operation *operation, int64_t *most)
{
  pthread_mutex_lock(&fake.lock);
  enum uk_error error = fake.fail_read;
  fake.fail_read = UK_OK;
  *most = fake.read_most;
  fake.read_most = INT64_MAX;
  if (error != UK_OK && fake.fail_read_message != NULL)
    uk_operation_fail(operation, error, "%s", fake.fail_read_message);
  pthread_mutex_unlock(&fake.lock);
  return error;
}

static enum uk_error read_records(void *context, struct uk_slice name, int32_t partition,
                                  int64_t offset, struct uk_operation *operation,
                                  const struct uk_sink *sink, int64_t *next, bool *full)
{
  int64_t most;
  enum uk_error error = take_failure(operation, &most);
  int64_t first, end;
  *next = offset;
  *full = false;
  if (error != UK_OK) {
    disturb(&fake.during_read);
    return error;
  }
  if (!bounds(context, name, partition, &first, &end))
    return UK_E_NOT_FOUND;
  for (int64_t at = offset < first ? first : offset; at < end && !*full && most > 0; at++, most--) {
    struct uk_record record = {.topic = name, .partition = partition, .offset = at};
    if (sink->record(operation, &record))
      *next = at + 1;
    else
      *full = true;
  }
  disturb(&fake.during_read);
  return UK_OK;
}

struct uk_groups_log fake_log(void)
{
  return (struct uk_groups_log){.partitions = partitions,
                                .bounds = bounds,
                                .committed = committed,
                                .commit = commit,
                                .read = read_records};
}
