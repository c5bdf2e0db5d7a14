/* key_rig: produces with idempotency keys, for the tests of the log. */
#ifndef KEY_RIG_H
#define KEY_RIG_H

#include "check.h"
#include "log_rig.h"

enum { KEY_WINDOW = 600000, KEY_RECORDS_MAX = 64 };

/* A produce with a key, of records for partition 0. */
struct keyed {
  struct uk_produce produce;
  struct uk_record records[KEY_RECORDS_MAX];
  struct rig_call call;
  char message[UK_MESSAGE_SIZE];
};

static inline struct uk_produce_key key_of(const char *user, const char *key, uint8_t fingerprint)
{
  struct uk_produce_key made = {.user = uk_slice_text(user), .key = uk_slice_text(key)};
  memset(made.fingerprint, fingerprint, sizeof made.fingerprint);
  return made;
}

static inline void keyed_init(struct keyed *keyed, const char *key, const char *topic, int count)
{
  *keyed = (struct keyed){.produce = {.records = keyed->records, .count = (size_t)count}};
  keyed->produce.key = key_of("u", key, 1);
  for (int i = 0; i < count; i++)
    keyed->records[i] = rig_record(topic, 0, "v");
}

static inline enum uk_error keyed_submit(struct uk_log *log, struct keyed *keyed)
{
  return rig_submit(log, UK_LOG_PRODUCE, &keyed->produce.operation, keyed->message);
}

/* Produces a record to partition 0 of "t", and returns its offset; -1 when it fails. */
static inline int64_t keyed_put(struct uk_log *log, const char *key, bool *replayed)
{
  struct keyed keyed;
  keyed_init(&keyed, key, "t", 1);
  bool ok = keyed_submit(log, &keyed) == UK_OK;
  *replayed = keyed.produce.replayed;
  return ok ? keyed.records[0].offset : -1;
}

static inline bool is_new(struct uk_log *log, const char *key, int64_t offset)
{
  bool replayed;
  bool met = CHECK_EQ_INT(keyed_put(log, key, &replayed), offset);
  return CHECK(!replayed) && met;
}

static inline bool is_replay(struct uk_log *log, const char *key, int64_t offset)
{
  bool replayed;
  bool met = CHECK_EQ_INT(keyed_put(log, key, &replayed), offset);
  return CHECK(replayed) && met;
}

static inline struct uk_log_options keyed_options(void)
{
  struct uk_log_options options = rig_options();
  options.key_window = KEY_WINDOW;
  return options;
}

static inline struct uk_log *keyed_open(void)
{
  struct uk_log_options options = keyed_options();
  return rig_open(&options);
}

#endif
