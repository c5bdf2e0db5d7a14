/* For: log_structure.c, log_check.c, log_guard.c, page_walk.c.
 *
 * Files that are damaged at random (bits, pages, lengths, metas), each opened by a log in a child
 * process and looked at by a check: each is told or refused, or the damage lies where nothing is.
 * UK_DAMAGED_FILES says how many; UK_DAMAGED_SEED, which. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_check.h"

enum { FILES = 200, PAGE = 4096, SMALL = 300, LARGE = 20, LARGE_BYTES = 9000 };
enum { WHOLE = 10, TOLD, REFUSED, BELIEVED, ENDED = 1 };

static uint8_t *whole, *bytes;
static size_t length;
static uint64_t state;

/* What a log holds. */
static const struct {
  const char *topic;
  int partition;
  int64_t end;
} partitions[] = {{"small", 0, SMALL / 2}, {"small", 1, SMALL / 2}, {"large", 0, LARGE}};

static uint64_t any(uint64_t below)
{
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (state >> 33) % below;
}

static void value_of(char *text, size_t size, const char *topic, int partition, int64_t offset)
{
  int used = snprintf(text, size, "%s %d %" PRId64 " ", topic, partition, offset);
  size_t full = strcmp(topic, "large") == 0 ? LARGE_BYTES : 60;
  memset(text + used, 'a' + (int)(offset % 26), full - (size_t)used);
  text[full] = '\0';
}

static void write_log(void)
{
  static char value[LARGE_BYTES + 1];
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  for (int i = 0; i < SMALL; i++) {
    value_of(value, sizeof value, "small", i % 2, i / 2);
    CHECK_EQ_INT(rig_put(log, "small", i % 2, value, i), i / 2);
    if (i % 30 == 0)
      CHECK(rig_put(log, "gone", 0, value, i) >= 0);
    if (i % 3 == 0)
      CHECK_EQ_INT(rig_commit(log, i % 2 ? "readers" : "others", "small", i % 2, i / 2), UK_OK);
  }
  for (int i = 0; i < LARGE; i++) {
    value_of(value, sizeof value, "large", 0, i);
    CHECK_EQ_INT(rig_put(log, "large", 0, value, i), i);
  }
  CHECK_EQ_INT(rig_delete(log, "gone"), UK_OK);
  uk_log_close(log);
}

static void load(void)
{
  struct stat status;
  int file = open(raw_path("data.mdb"), O_RDONLY);
  REQUIRE(file >= 0 && fstat(file, &status) == 0);
  length = (size_t)status.st_size;
  whole = malloc(length);
  bytes = malloc(length);
  REQUIRE(whole != NULL && bytes != NULL && read(file, whole, length) == (ssize_t)length);
  close(file);
}

/* Damages the file in one way. Returns its length. */
static size_t damage(unsigned kind)
{
  uint8_t *page = bytes + any(length / PAGE) * PAGE;
  switch (kind) {
  case 0: /* bits */
    for (uint64_t i = any(8) + 1; i > 0; i--)
      bytes[any(length)] ^= (uint8_t)(1U << any(8));
    return length;
  case 1: memset(page, 0, PAGE); return length;
  case 2:
    for (size_t i = 0; i < PAGE; i++)
      page[i] = (uint8_t)any(256);
    return length;
  case 3: memcpy(page, whole + any(length / PAGE) * PAGE, PAGE); return length;
  case 4: return any(length);
  case 5: /* a bit of a meta */
    bytes[any(2) * PAGE + any(160)] ^= (uint8_t)(1U << any(8));
    return length;
  case 6: return length - (any(3) + 1) * PAGE;
  default: /* bits of a header */ page[any(24)] ^= (uint8_t)(1U << any(8)); return length;
  }
}

/* What the child saw. */
static int outcome;
static struct {
  const char *topic;
  int partition;
  int64_t next;
} expected;

static bool compare(struct uk_operation *operation, const struct uk_record *record)
{
  static char value[LARGE_BYTES + 1];
  (void)operation;
  value_of(value, sizeof value, expected.topic, expected.partition, expected.next);
  if (record->offset != expected.next || !record->has_value || !uk_slice_is(record->value, value))
    outcome = BELIEVED;
  expected.next++;
  return true;
}

static void told(void)
{
  if (outcome == WHOLE)
    outcome = TOLD;
}

static void read_partition(struct uk_log *log, size_t which)
{
  static const struct uk_sink sink = {.record = compare};
  struct uk_operation operation = {.error = UK_OK};
  int64_t next = 0;
  bool full;
  const int64_t end = partitions[which].end;
  while (next < end) {
    expected.topic = partitions[which].topic;
    expected.partition = partitions[which].partition;
    expected.next = next;
    const int64_t before = next;
    enum uk_error error = uk_log_read(log, uk_slice_text(expected.topic), expected.partition, next,
                                      &operation, &sink, &next, &full);
    const char *go_on = strstr(operation.message, "continue at offset ");
    if (error == UK_OK && (next == before || next != expected.next)) { /* it has said nothing */
      outcome = BELIEVED;
      return;
    }
    if (error != UK_OK) {
      told();
      if (go_on == NULL)
        return;
      next = strtoll(go_on + strlen("continue at offset "), NULL, 10);
    }
  }
}

static void write_partition(struct uk_log *log, size_t which)
{
  struct uk_record record = rig_record(partitions[which].topic, partitions[which].partition, "new");
  char text[UK_MESSAGE_SIZE];
  if (rig_produce(log, &record, 1, text) != UK_OK)
    told();
  else if (record.offset < partitions[which].end)
    outcome = BELIEVED;
}

static int use_log(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log;
  char text[UK_MESSAGE_SIZE];
  options.auto_create = false;
  options.no_sync = true;
  if (uk_log_open(&log, &options, text, sizeof text) != UK_OK)
    return REFUSED;
  outcome = WHOLE;
  for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++) {
    read_partition(log, i);
    write_partition(log, i);
  }
  uk_log_close(log);
  return outcome;
}

static int use_in_child(void)
{
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    int none = open("/dev/null", O_WRONLY);
    dup2(none, STDERR_FILENO);
    _exit(use_log());
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void count_line(void *context, const char *line)
{
  (void)line;
  ++*(int *)context;
}

static void ignore_line(void *context, const char *line)
{
  (void)context;
  (void)line;
}

/* True when the check tells of damage, or cannot go on. */
static bool check_tells(void)
{
  int lines = 0;
  char text[UK_MESSAGE_SIZE];
  struct uk_log_check_result result;
  const struct uk_log_check check = {
    .directory = rig_directory(), .context = &lines, .damaged = count_line, .note = ignore_line};
  return uk_log_check(&check, &result, text, sizeof text) != UK_OK || lines > 0;
}

static void write_file(size_t size)
{
  int file = open(raw_path("data.mdb"), O_WRONLY | O_TRUNC);
  CHECK(file >= 0 && write(file, bytes, size) == (ssize_t)size);
  close(file);
}

static int number_from(const char *name, int otherwise)
{
  const char *text = getenv(name);
  return text == NULL ? otherwise : atoi(text);
}

static void A5_A6_A7_damaged_files_are_told_or_refused(void)
{
  int count = number_from("UK_DAMAGED_FILES", FILES), seen[BELIEVED + 1] = {0}, tells = 0;
  state = (uint64_t)number_from("UK_DAMAGED_SEED", 1);
  write_log();
  load();
  for (int i = 0; i < count; i++) {
    memcpy(bytes, whole, length);
    uint64_t seed = state;
    size_t size = damage((unsigned)i % 8);
    bool same = size == length && memcmp(bytes, whole, length) == 0;
    write_file(size);
    bool check_told = check_tells();
    int got = use_in_child();
    bool good = got == REFUSED || got == TOLD || got == WHOLE || got == ENDED;
    if (!CHECK(good) || !CHECK(check_told || got == WHOLE || (size == 0 && got == REFUSED)) ||
        !CHECK(!same || got == WHOLE))
      fprintf(stderr, "  file %d (kind %d, state %" PRIu64 "): outcome %d, check told %d\n", i,
              i % 8, seed, got, check_told);
    seen[good ? got : 0]++;
    tells += check_told;
  }
  printf("%d damaged files: %d refused, %d told, %d ended, %d served right; check told %d\n", count,
         seen[REFUSED], seen[TOLD], seen[ENDED], seen[WHOLE], tells);
  free(whole);
  free(bytes);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(A5_A6_A7_damaged_files_are_told_or_refused);
  return check_end();
}
