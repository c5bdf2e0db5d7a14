/* An idempotency key has the fate of its records: after commits that fail, and on a disk that
 * hangs. For: log_replay.c, log_key_set.c, log_keys.c, log_maintenance.c, log_recovery.c,
 * log_store_write.c, log_watch.c, log.c. */
#include "server/log_engine/log_private.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hang_rig.h"
#include "key_rig.h"
#include "log_raw.h"

enum { META_BYTES = 8192 }; /* LMDB's two meta pages */

/* As in log_recovery_test.c: what becomes of the next writes of a meta page, and how many syncs
 * succeed before some fail. */
static const char *_Atomic metas = "";
static atomic_int good_syncs, bad_syncs;
static atomic_int syncs; /* all of them */

static atomic_int full_writes; /* so many writes of pages find no room */

static bool lacks_room(void)
{
  if (atomic_load(&full_writes) == 0)
    return false;
  atomic_fetch_sub(&full_writes, 1);
  errno = ENOSPC;
  return true;
}

/* LMDB writes pages that follow each other so. */
__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *parts, int count)
{
  return lacks_room() ? -1 : (ssize_t)syscall(SYS_writev, fd, parts, (long)count);
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *data, size_t length,
                                                      off_t at)
{
  const char *fate = at < META_BYTES ? atomic_load(&metas) : "";
  if (at >= META_BYTES && lacks_room())
    return -1;
  if (fate[0] != '\0')
    atomic_store(&metas, fate + 1);
  if (fate[0] != '-') {
    ssize_t done = (ssize_t)syscall(SYS_pwrite64, fd, data, length, at);
    if (fate[0] != 'w')
      return done;
  }
  errno = EIO;
  return -1;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  atomic_fetch_add(&syncs, 1);
  if (atomic_load(&good_syncs) > 0) {
    atomic_fetch_sub(&good_syncs, 1);
  } else if (atomic_load(&bad_syncs) > 0) {
    atomic_fetch_sub(&bad_syncs, 1);
    errno = EIO;
    return -1;
  }
  return hang_rig_sync(fd);
}

static const struct fate {
  const char *name;
  const char *metas;
  int good_syncs, bad_syncs;
  enum uk_error error;
  bool there;
} fates[] = {
  {"the pages are not synced", "", 0, 1, UK_E_UNAVAILABLE, false},
  {"nothing is written", "--", 0, 0, UK_E_UNAVAILABLE, false},
  {"the old page is written over it", "w.", 0, 0, UK_E_UNAVAILABLE, false},
  {"it is there all the same", "w-", 0, 0, UK_OK, true},
  {"it is there, but the log cannot sync", "w-", 1, 1, UK_E_GATEWAY_TIMEOUT, true},
  {"it is there, but the log cannot commit", "w---", 0, 0, UK_E_GATEWAY_TIMEOUT, true},
  {"it is not there, and the log cannot sync", "--", 1, 1, UK_E_GATEWAY_TIMEOUT, false},
  {"it is not there, and the log cannot commit", "----", 0, 0, UK_E_GATEWAY_TIMEOUT, false},
};

enum { FATES = sizeof fates / sizeof *fates };

static void set_fate(const struct fate *fate)
{
  atomic_store(&good_syncs, fate->good_syncs);
  atomic_store(&bad_syncs, fate->bad_syncs);
  atomic_store(&metas, fate->metas);
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

static void a_key_has_the_fate_of_its_records(void)
{
  for (const struct fate *fate = fates; fate < fates + FATES; fate++) {
    struct keyed keyed;
    struct uk_log *log = keyed_open();
    REQUIRE(log != NULL && is_new(log, "before", 0));
    set_fate(fate);
    keyed_init(&keyed, "a", "t", 1);
    if (!CHECK_EQ_INT(keyed_submit(log, &keyed), fate->error))
      fprintf(stderr, "  %s\n", fate->name);
    if (fate->there)
      is_replay(log, "a", 1);
    else
      is_new(log, "a", 1);
    is_replay(log, "before", 0);
    is_new(log, "after", 2);
    uk_log_close(log);
    log = keyed_open();
    REQUIRE(log != NULL);
    is_replay(log, "a", 1);
    is_replay(log, "after", 2);
    close_log(log);
  }
}

/* While the log is broken, only requests whose fate is open are 504. */
static void until_a_fate_is_known_its_key_is_a_504(void)
{
  static const struct {
    const char *key;
    enum uk_error error;
  } asked[] = {{"a", UK_E_GATEWAY_TIMEOUT},
               {"b", UK_E_UNAVAILABLE},
               {"before", UK_E_UNAVAILABLE},
               {"", UK_E_UNAVAILABLE}};
  for (int there = 0; there < 2; there++) {
    struct keyed keyed;
    struct uk_log *log = keyed_open();
    REQUIRE(log != NULL && is_new(log, "before", 0));
    rig_hold_writer(log); /* so that maintenance is over */
    rig_release_writer();
    atomic_store(&good_syncs, 1);
    atomic_store(&bad_syncs, 1000);
    atomic_store(&metas, there ? "w-" : "--");
    keyed_init(&keyed, "a", "t", 1);
    CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_GATEWAY_TIMEOUT);
    for (int i = 0; i < 8; i++) {
      keyed_init(&keyed, asked[i % 4].key, "t", 1);
      CHECK_EQ_INT(keyed_submit(log, &keyed), asked[i % 4].error);
    }
    atomic_store(&bad_syncs, 0);
    if (there)
      is_replay(log, "a", 1);
    else
      is_new(log, "a", 1);
    is_new(log, "b", 2);
    atomic_store(&bad_syncs, 1000); /* it breaks again: the fate of "a" is known now */
    keyed_init(&keyed, "z", "t", 1);
    CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNAVAILABLE);
    keyed_init(&keyed, "a", "t", 1);
    CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNAVAILABLE);
    atomic_store(&bad_syncs, 0);
    close_log(log);
  }
}

/* What a killed process has written may not be on the disk yet: the first replay after an open
 * syncs. The others cost no sync. */
static void a_replay_is_durable(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && is_new(log, "a", 0));
  atomic_store(&syncs, 0);
  is_replay(log, "a", 0);
  CHECK_EQ_INT(atomic_load(&syncs), 0);
  uk_log_close(log);
  log = keyed_open();
  REQUIRE(log != NULL);
  atomic_store(&syncs, 0);
  is_replay(log, "a", 0);
  CHECK_EQ_INT(atomic_load(&syncs), 1);
  is_replay(log, "a", 0);
  CHECK_EQ_INT(atomic_load(&syncs), 1);
  atomic_store(&bad_syncs, 1); /* the one that proves it fails */
  log = (uk_log_close(log), keyed_open());
  REQUIRE(log != NULL);
  CHECK_EQ_INT(keyed_put(log, "a", &(bool){false}), -1);
  CHECK_EQ_INT(atomic_load(&bad_syncs), 0);
  is_replay(log, "a", 0);
  close_log(log);
}

/* A replay needs a commit, once: for that it may use the reserve. */
static void a_replay_needs_no_room(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && is_new(log, "a", 0));
  uk_log_close(log);
  log = keyed_open();
  REQUIRE(log != NULL);
  atomic_store(&full_writes, 1);
  is_replay(log, "a", 0);
  CHECK_EQ_INT(atomic_load(&full_writes), 0);
  close_log(log);
}

/* A key that was not stored does not count. */
static void what_found_no_room_counts_for_no_limit(void)
{
  struct keyed keyed;
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){3, 1 << 20, 3, 1 << 20};
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL && is_new(log, "a", 0));
  for (int i = 0; i < 5; i++) {
    atomic_store(&full_writes, 1);
    keyed_init(&keyed, "b", "t", 1);
    CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNAVAILABLE);
    CHECK_EQ_INT(atomic_load(&full_writes), 0);
  }
  is_new(log, "c", 1);
  is_new(log, "d", 2);
  is_replay(log, "a", 0);
  is_new(log, "e", 3);
  is_replay(log, "c", 1);
  close_log(log);
}

/* The transaction that says what the log needs may fail: the next one says it. */
static void the_need_is_written_with_the_first_key_that_is_stored(void)
{
  uint8_t bytes[8];
  struct keyed keyed;
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && rig_create(log, "t", 1, -1, -1) == UK_OK);
  atomic_store(&full_writes, 1);
  keyed_init(&keyed, "a", "t", 1);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(atomic_load(&full_writes), 0);
  is_new(log, "a", 0);
  uk_log_close(log);
  CHECK_EQ_INT(raw_row(rig_directory(), "meta", raw_text("needs keys"), bytes, sizeof bytes), 4);
  rig_remove();
}

/* A removal that finds no room is repeated in the reserve: what it removed counts once. */
static void a_removal_that_found_no_room_counts_once(void)
{
  char key[8];
  struct uk_log_options options = keyed_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 8; i++) {
    snprintf(key, sizeof key, "k%d", i);
    is_new(log, key, i);
  }
  uk_log_close(log);
  options.key_limits = (struct uk_log_key_limits){6, 1 << 20, 6, 1 << 20};
  atomic_store(&full_writes, 1);
  log = rig_open(&options); /* the first maintenance removes two */
  REQUIRE(log != NULL);
  rig_hold_writer(log);
  rig_release_writer();
  CHECK_EQ_INT(atomic_load(&full_writes), 0);
  is_replay(log, "k2", 2);
  is_new(log, "k8", 8);
  uk_log_close(log);
  struct raw raw = raw_begin();
  CHECK_EQ_INT(raw_count(&raw, "keys"), 6);
  CHECK_EQ_INT(raw_count(&raw, "expiries"), 6);
  raw_end(&raw);
  rig_remove();
}

/* A disk that hangs. */

static struct asked *ask(struct uk_log *log, const char *key)
{
  struct asked *asked = new_asked();
  asked->record = rig_record("t", 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  asked->produce.key = key_of("u", key, 1);
  uk_log_submit(log, UK_LOG_PRODUCE, &asked->operation);
  return asked;
}

/* What waits behind a produce that hangs is refused; with the same key, it may have been carried
 * out. */
static void a_key_that_hangs_is_a_504(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && is_new(log, "before", 0));
  hang_next();
  struct asked *first = ask(log, "a");
  wait_until_hung();
  struct asked *same = ask(log, "a"), *other = ask(log, "b"), *none = ask(log, "");
  hang_for_long();
  uk_log_watch_look(log);
  CHECK_EVENTUALLY(atomic_load(&first->lates) == 1);
  check_end_of(same, UK_E_GATEWAY_TIMEOUT, MAY_BE_DONE);
  check_end_of(other, UK_E_UNAVAILABLE, HUNG);
  check_end_of(none, UK_E_UNAVAILABLE, HUNG);
  check_end_of(ask(log, "a"), UK_E_GATEWAY_TIMEOUT, MAY_BE_DONE);
  check_end_of(ask(log, "b"), UK_E_UNAVAILABLE, HUNG);
  check_end_of(ask(log, ""), UK_E_UNAVAILABLE, HUNG);
  answer_again();
  check_end_of(first, UK_OK, "");
  is_replay(log, "a", 1);
  is_new(log, "b", 2);
  close_log(log);
}

int main(void)
{
  CHECK_RUN(a_key_has_the_fate_of_its_records);
  CHECK_RUN(until_a_fate_is_known_its_key_is_a_504);
  CHECK_RUN(a_replay_is_durable);
  CHECK_RUN(a_replay_needs_no_room);
  CHECK_RUN(what_found_no_room_counts_for_no_limit);
  CHECK_RUN(the_need_is_written_with_the_first_key_that_is_stored);
  CHECK_RUN(a_removal_that_found_no_room_counts_once);
  CHECK_RUN(a_key_that_hangs_is_a_504);
  return check_end();
}
