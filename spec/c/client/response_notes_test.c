/* for: response_notes.c. */
#include "client/response_notes.h"

#include <string.h>

#include "check.h"

static struct uk_response_notes notes_of(const char *const *lines)
{
  struct uk_response_notes notes = {.replayed = false};
  for (; *lines != NULL; lines++)
    uk_response_notes_line(&notes, uk_slice_text(*lines));
  return notes;
}

static void headers_are_taken_in_any_case(void)
{
  const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
                               "kafka-batch:  b-1 \r\n",
                               "KAFKA-COMMIT-SKIPPED: t-0,\x1bu-1\r\n",
                               "Idempotent-Replayed: True\r\n",
                               "\r\n",
                               NULL};
  const struct uk_response_notes notes = notes_of(lines);
  CHECK_EQ_STR(notes.batch, "b-1");
  CHECK_EQ_STR(notes.skipped, "t-0,?u-1"); /* E8 */
  CHECK(notes.replayed);
}

static void other_headers_say_nothing(void)
{
  const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
                               "Kafka-Batches: b\r\n",
                               "X-Kafka-Batch: b\r\n",
                               "Kafka-Batch\r\n",
                               "Idempotent-Replayed: no\r\n",
                               "Kafka-Commit: t-0\r\n",
                               "\r\n",
                               NULL};
  const struct uk_response_notes notes = notes_of(lines);
  CHECK_EQ_STR(notes.batch, "");
  CHECK_EQ_STR(notes.skipped, "");
  CHECK(!notes.replayed);
}

static void an_interim_response_is_forgotten(void)
{
  const char *const lines[] = {"HTTP/1.1 103 Early Hints\r\n",
                               "Kafka-Batch: b-1\r\n",
                               "Kafka-Commit-Skipped: t-0\r\n",
                               "Idempotent-Replayed: true\r\n",
                               "\r\n",
                               "http/1.1 200 OK\r\n",
                               "\r\n",
                               NULL};
  const struct uk_response_notes notes = notes_of(lines);
  CHECK(notes.batch[0] == '\0' && notes.skipped[0] == '\0' && !notes.replayed);
}

static bool is_valid(const char *id, size_t length)
{
  return uk_batch_id_valid(uk_slice_of(id, length));
}

static void the_id_of_a_batch_is_visible_and_short(void)
{
  char longest[UK_NOTE_BATCH_MAX + 1];
  memset(longest, 'x', sizeof longest);
  CHECK(is_valid("!", 1) && is_valid("~", 1) && is_valid(longest, UK_NOTE_BATCH_MAX));
  CHECK(!is_valid("", 0) && !is_valid(" ", 1) && !is_valid("\x7f", 1) && !is_valid("\x80", 1));
  CHECK(!is_valid("a\r\nb", 4) && !is_valid(longest, sizeof longest));
}

static void take(struct uk_response_notes *notes, const char *name, struct uk_slice value)
{
  uk_response_notes_take(notes, uk_slice_text(name), value);
}

static void an_invalid_id_is_ignored(void)
{
  struct uk_response_notes notes = {.replayed = false};
  take(&notes, "Kafka-Batch", uk_slice_text("b-1"));
  take(&notes, "Kafka-Batch", uk_slice_text("b 2"));
  CHECK_EQ_STR(notes.batch, "b-1");
}

static void what_is_too_long_is_clipped(void)
{
  static char text[UK_NOTE_SKIPPED_MAX + 100];
  struct uk_response_notes notes = {.replayed = false};
  memset(text, 'x', sizeof text);
  take(&notes, "Kafka-Commit-Skipped", uk_slice_of(text, UK_NOTE_SKIPPED_MAX));
  CHECK_EQ_INT(strlen(notes.skipped), UK_NOTE_SKIPPED_MAX);
  take(&notes, "Kafka-Commit-Skipped", uk_slice_of(text, sizeof text));
  CHECK_EQ_INT(strlen(notes.skipped), UK_NOTE_SKIPPED_MAX);
  take(&notes, "Kafka-Batch", uk_slice_of(text, UK_NOTE_BATCH_MAX));
  CHECK_EQ_INT(strlen(notes.batch), UK_NOTE_BATCH_MAX);
}

int main(void)
{
  CHECK_RUN(headers_are_taken_in_any_case);
  CHECK_RUN(other_headers_say_nothing);
  CHECK_RUN(an_interim_response_is_forgotten);
  CHECK_RUN(the_id_of_a_batch_is_visible_and_short);
  CHECK_RUN(an_invalid_id_is_ignored);
  CHECK_RUN(what_is_too_long_is_clipped);
  return check_end();
}
