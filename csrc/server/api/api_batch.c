#include "server/api/api_batch.h"

#include <stdio.h>
#include <strings.h>

/* Of Kafka-Commit-Skipped: it and the other headers fit into UK_REPLY_HEAD_BYTES. */
enum { SKIPPED_BYTES = 1000, SKIPPED_ITEM = UK_TOPIC_NAME_MAX + 16 };
static const char skipped_more[] = ", ...";

static bool is_none(struct uk_slice id)
{
  return id.length == strlen(UK_ACK_NONE) && strncasecmp(id.data, UK_ACK_NONE, id.length) == 0;
}

/* Kafka-Commit must name a batch, and the same one as Kafka-Ack. */
static bool check_commit(struct uk_request *request, struct uk_slice ack, struct uk_slice commit)
{
  if (is_none(commit))
    return uk_api_refuse(request, UK_HEADER_COMMIT, "the ID of a batch", commit);
  if (ack.data == NULL || uk_slice_equal(ack, commit))
    return true;
  return uk_api_refuse(request, UK_HEADER_COMMIT, "the same ID as in " UK_HEADER_ACK, commit);
}

bool uk_api_read_acknowledgement(struct uk_request *request,
                                 struct uk_acknowledgement *acknowledgement)
{
  struct uk_slice ack, commit;
  if (!uk_api_header_token(request, UK_HEADER_ACK, UK_BATCH_ID_SIZE - 1, &ack) ||
      !uk_api_header_token(request, UK_HEADER_COMMIT, UK_BATCH_ID_SIZE - 1, &commit) ||
      (commit.data != NULL && !check_commit(request, ack, commit)))
    return false;
  const struct uk_slice id = commit.data != NULL ? commit : ack;
  *acknowledgement = (struct uk_acknowledgement){.kind = id.data == NULL ? UK_ACKNOWLEDGE_WRITTEN
                                                         : is_none(id)   ? UK_ACKNOWLEDGE_NONE
                                                                         : UK_ACKNOWLEDGE_BATCH,
                                                 .commit = commit.data != NULL};
  if (acknowledgement->kind == UK_ACKNOWLEDGE_BATCH)
    acknowledgement->batch = id;
  return true;
}

void uk_api_explain_conflict(struct uk_request *request,
                             const struct uk_acknowledgement *acknowledgement)
{
  const struct uk_operation *operation = request->operation;
  if (operation->error != UK_E_CONFLICT || acknowledgement->kind != UK_ACKNOWLEDGE_BATCH)
    return;
  uk_request_error(request, UK_E_CONFLICT,
                   "%s: \"%.*s\" is neither the last batch of this consumer instance nor the last "
                   "one acknowledged; \"" UK_HEADER_ACK ": " UK_ACK_NONE
                   "\" delivers again what is outstanding",
                   acknowledgement->commit ? UK_HEADER_COMMIT : UK_HEADER_ACK,
                   (int)acknowledgement->batch.length, acknowledgement->batch.data);
}

char *uk_api_reserve_skipped(struct uk_request *request)
{
  char *text = uk_arena_allocate(&request->arena, 1, SKIPPED_BYTES + sizeof skipped_more);
  if (text == NULL)
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
  return text;
}

/* Appends "topic-partition". False: it does not fit, and the text says that there are more. */
static bool append_skipped(char *text, const struct uk_topic_partition_offset *position)
{
  char item[SKIPPED_ITEM];
  const size_t length = strlen(text);
  int size = snprintf(item, sizeof item, "%s%.*s-%d", length > 0 ? ", " : "",
                      (int)position->topic.length, position->topic.data, (int)position->partition);
  const bool fits = length + (size_t)size <= SKIPPED_BYTES;
  strcpy(text + length, fits ? item : skipped_more);
  return fits;
}

void uk_api_add_skipped(struct uk_request *request, const struct uk_consume *consume, char *text)
{
  bool fits = true;
  for (size_t i = 0; i < consume->commit_count && fits; i++) {
    if (consume->skipped[i])
      fits = append_skipped(text, &consume->commits[i]);
  }
  if (consume->commit_count > 0 && text[0] != '\0')
    uk_request_add_header(request, UK_HEADER_COMMIT_SKIPPED, text);
}
