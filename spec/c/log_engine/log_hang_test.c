/* A16: a disk that hangs under the log, with the log's own threads. Everybody who waits is
 * answered, and what the writer worked on is carried out once the disk answers. For: log_watch.c,
 * log.c. */
#include <unistd.h>

#include "check.h"
#include "hang_rig.h"
#include "log_rig.h"

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  return hang_rig_sync(fd);
}

static struct uk_log *log_;

static bool open_log(void)
{
  struct uk_log_options options = rig_options();
  log_ = rig_open(&options);
  return CHECK(log_ != NULL) && CHECK_EQ_INT(rig_put(log_, "t", 0, "before", -1), 0);
}

static void close_log(void)
{
  uk_log_close(log_);
  rig_remove();
}

static struct asked *produce(const char *topic)
{
  struct asked *asked = new_asked();
  asked->record = rig_record(topic, 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  uk_log_submit(log_, UK_LOG_PRODUCE, &asked->operation);
  return asked;
}

static struct asked *produce_t(void)
{
  return produce("t");
}

static struct asked *create(void)
{
  struct asked *asked = new_asked();
  asked->create.topic = uk_slice_text("new");
  asked->create.partitions = -1;
  uk_log_submit(log_, UK_LOG_CREATE_TOPIC, &asked->operation);
  return asked;
}

static struct asked *delete_t(void)
{
  struct asked *asked = new_asked();
  asked->delete.topic = uk_slice_text("t");
  uk_log_submit(log_, UK_LOG_DELETE_TOPIC, &asked->operation);
  return asked;
}

static struct asked *commit_t(void)
{
  struct asked *asked = new_asked();
  asked->log_commit.group = uk_slice_text("g");
  asked->log_commit.offsets = &asked->at;
  asked->log_commit.count = 1;
  uk_log_submit(log_, UK_LOG_COMMIT, &asked->operation);
  return asked;
}

static int64_t end_of_t(void)
{
  int64_t first, end = -1;
  uk_log_bounds(log_, uk_slice_text("t"), 0, &first, &end);
  return end;
}

static bool t_has_two(void)
{
  return end_of_t() == 2;
}

static bool has_new(void)
{
  uint64_t id;
  return uk_log_partitions(log_, uk_slice_text("new"), &id) > 0;
}

static bool has_no_t(void)
{
  return end_of_t() == -1;
}

static bool is_committed(void)
{
  int64_t offset = -1;
  uk_log_committed(log_, uk_slice_text("g"), uk_slice_text("t"), 0, &offset);
  return offset == 1;
}

static const struct {
  struct asked *(*ask)(void);
  bool (*is_done)(void);
} commands[] = {
  {produce_t, t_has_two}, {create, has_new}, {delete_t, has_no_t}, {commit_t, is_committed}};

static void check_hung(void)
{
  char detail[UK_MESSAGE_SIZE];
  CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK(strstr(detail, "the disk has not answered for ") == detail);
}

static void A16_what_the_writer_works_on_is_late(void)
{
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char detail[UK_MESSAGE_SIZE];
    REQUIRE(open_log());
    hang_next();
    struct asked *worked_on = commands[i].ask();
    wait_until_hung();
    struct asked *waits = produce("other");
    CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_OK);
    CHECK_EQ_INT(atomic_load(&worked_on->lates), 0);
    CHECK_EQ_INT(atomic_load(&waits->ends), 0);
    hang_for_long();
    CHECK_EVENTUALLY(atomic_load(&worked_on->lates) == 1);
    CHECK_EQ_STR(without_seconds(worked_on->late_text), MAY_BE_DONE);
    check_end_of(waits, UK_E_UNAVAILABLE, HUNG);
    check_hung();
    check_end_of(produce("another"), UK_E_UNAVAILABLE, HUNG);
    CHECK(!commands[i].is_done());
    CHECK_EQ_INT(atomic_load(&worked_on->ends), 0);
    answer_again();
    CHECK_EVENTUALLY(atomic_load(&worked_on->ends) == 1);
    CHECK_EQ_INT(atomic_load(&worked_on->lates), 1);
    check_end_of(worked_on, UK_OK, "");
    CHECK(commands[i].is_done());
    CHECK_EQ_INT(rig_put(log_, "other", 0, "v", -1), 0);
    CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_OK);
    close_log();
  }
}

/* All of a transaction are late; each hang is told of. */
static void A16_a_second_hang_is_told_of_too(void)
{
  REQUIRE(open_log());
  for (int i = 0; i < 2; i++) {
    rig_hold_writer(log_);
    struct asked *first = produce_t(), *second = produce_t();
    hang_next();
    rig_release_writer();
    wait_until_hung();
    hang_for_long();
    CHECK_EVENTUALLY(atomic_load(&first->lates) == 1);
    CHECK_EVENTUALLY(atomic_load(&second->lates) == 1);
    answer_again();
    check_end_of(first, UK_OK, "");
    check_end_of(second, UK_OK, "");
    CHECK_EQ_INT(end_of_t(), 3 + 2 * i);
  }
  close_log();
}

/* The disk answers while the command is told that it is late: it does not end before that is over.
 * The writer has a moment for the mistake. */
static void answer_while_late(struct uk_operation *operation, const char *message)
{
  answer_again();
  CHECK_EVENTUALLY(end_of_t() == 2);
  rig_sleep(100);
  CHECK_EQ_INT(atomic_load(&((struct asked *)operation)->ends), 0);
  note_late(operation, message);
}

static void A16_a_command_does_not_end_while_it_is_told(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = new_asked();
  asked->operation.late = answer_while_late;
  asked->record = rig_record("t", 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  uk_log_submit(log_, UK_LOG_PRODUCE, &asked->operation);
  wait_until_hung();
  hang_for_long();
  CHECK_EVENTUALLY(atomic_load(&asked->ends) == 1);
  CHECK_EQ_INT(atomic_load(&asked->lates), 1);
  check_end_of(asked, UK_OK, "");
  close_log();
}

/* Without `late` a command waits as long as the disk does. */
static void A16_a_command_need_not_know_of_it(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = new_asked();
  asked->operation.late = NULL;
  asked->create.topic = uk_slice_text("new");
  asked->create.partitions = 1;
  uk_log_submit(log_, UK_LOG_CREATE_TOPIC, &asked->operation);
  wait_until_hung();
  struct asked *waits = produce_t();
  hang_for_long();
  CHECK_EVENTUALLY(atomic_load(&waits->ends) == 1);
  CHECK_EQ_INT(atomic_load(&asked->ends), 0);
  answer_again();
  check_end_of(waits, UK_E_UNAVAILABLE, HUNG);
  check_end_of(asked, UK_OK, "");
  close_log();
}

/* Finishing does not wait for a disk that hangs, and can be repeated. */
static void A16_a_log_that_hangs_is_not_finished(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = produce_t();
  wait_until_hung();
  hang_for_long();
  for (int i = 0; i < 2; i++)
    CHECK(!uk_log_finish(log_));
  uk_log_close(log_); /* which leaves it as it is */
  check_hung();
  CHECK_EVENTUALLY(atomic_load(&asked->lates) == 1);
  answer_again();
  check_end_of(asked, UK_OK, "");
  CHECK(uk_log_finish(log_));
  CHECK(uk_log_finish(log_));
  CHECK_EQ_INT(end_of_t(), 2);
  check_end_of(produce_t(), UK_E_UNAVAILABLE, "the log is closing");
  close_log();
}

/* A second server is refused meanwhile. */
static void A16_a_log_that_hangs_keeps_its_lock(void)
{
  struct uk_log *second;
  const struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE];
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = produce_t();
  wait_until_hung();
  hang_for_long();
  uk_log_close(log_);
  CHECK_EQ_INT(uk_log_open(&second, &options, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "is in use by another server") != NULL);
  answer_again();
  check_end_of(asked, UK_OK, "");
  close_log();
}

int main(void)
{
  CHECK_RUN(A16_what_the_writer_works_on_is_late);
  CHECK_RUN(A16_a_second_hang_is_told_of_too);
  CHECK_RUN(A16_a_command_does_not_end_while_it_is_told);
  CHECK_RUN(A16_a_command_need_not_know_of_it);
  CHECK_RUN(A16_a_log_that_hangs_is_not_finished);
  CHECK_RUN(A16_a_log_that_hangs_keeps_its_lock);
  return check_end();
}
