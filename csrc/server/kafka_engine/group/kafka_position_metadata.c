#include "server/kafka_engine/group/kafka_position_metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORM_1[] = "upstash-kafka: delivered up to ";
static const char FORM_2[] = "upstash-kafka 2: ";

enum { TEXT_SIZE = 160, MARK_SIZE = 48, DIGITS_MOST = 19, CHECKSUM_DIGITS = 16 };

/* Writing. */

static const char *write_mark(char text[static MARK_SIZE], const struct uk_record_mark *mark)
{
  if (mark->known)
    snprintf(text, MARK_SIZE, "%" PRId64 "/%016" PRIx64, mark->timestamp, mark->checksum);
  else
    snprintf(text, MARK_SIZE, "-");
  return text;
}

void uk_kafka_position_metadata_write(rd_kafka_topic_partition_t *at,
                                      const struct uk_kafka_position_metadata *metadata)
{
  char *text = NULL; /* librdkafka frees it with its list */
  char mark[MARK_SIZE], committed[MARK_SIZE];
  int length = -1;
  free(at->metadata);
  at->metadata = NULL;
  at->metadata_size = 0;
  if (metadata->mark.known || metadata->committed.known)
    length =
      asprintf(&text, "%s%" PRId64 " %s %s", FORM_2, metadata->position,
               write_mark(mark, &metadata->mark), write_mark(committed, &metadata->committed));
  else if (metadata->position != at->offset)
    length = asprintf(&text, "%s%" PRId64, FORM_1, metadata->position);
  if (length < 0)
    return;
  at->metadata = text;
  at->metadata_size = (size_t)length;
}

/* Reading. Each takes what it names from the front of the text; false: it is not there. */

static bool take_word(const char **text, const char *word)
{
  size_t length = strlen(word);
  if (strncmp(*text, word, length) != 0)
    return false;
  *text += length;
  return true;
}

static bool take_number(const char **text, int64_t *number)
{
  size_t digits = strspn(*text, "0123456789");
  if (digits == 0 || digits > DIGITS_MOST)
    return false;
  *number = strtoll(*text, NULL, 10);
  *text += digits;
  return *number < INT64_MAX;
}

static bool take_checksum(const char **text, uint64_t *checksum)
{
  if (strspn(*text, "0123456789abcdef") != CHECKSUM_DIGITS)
    return false;
  *checksum = strtoull(*text, NULL, 16);
  *text += CHECKSUM_DIGITS;
  return true;
}

/* A record without a timestamp has -1. */
static bool take_mark(const char **text, struct uk_record_mark *mark)
{
  *mark = (struct uk_record_mark){.known = false};
  if (take_word(text, "-1/"))
    mark->timestamp = -1;
  else if (take_word(text, "-"))
    return true;
  else if (!take_number(text, &mark->timestamp) || !take_word(text, "/"))
    return false;
  mark->known = take_checksum(text, &mark->checksum);
  return mark->known;
}

static bool take_metadata(const char *text, struct uk_kafka_position_metadata *metadata)
{
  if (take_word(&text, FORM_1))
    return take_number(&text, &metadata->position) && *text == '\0';
  return take_word(&text, FORM_2) && take_number(&text, &metadata->position) &&
         take_word(&text, " ") && take_mark(&text, &metadata->mark) && take_word(&text, " ") &&
         take_mark(&text, &metadata->committed) && *text == '\0';
}

struct uk_kafka_position_metadata
uk_kafka_position_metadata_read(const rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_position_metadata nothing = {.position = at->offset};
  struct uk_kafka_position_metadata metadata = nothing;
  char text[TEXT_SIZE] = "";
  if (at->metadata == NULL || at->metadata_size >= sizeof text)
    return nothing;
  memcpy(text, at->metadata, at->metadata_size);
  bool good = take_metadata(text, &metadata) && metadata.position >= at->offset;
  return good ? metadata : nothing;
}
