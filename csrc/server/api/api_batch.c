#include "server/api/api_batch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What the engine is told of a response that delivers a batch. */
struct batch_receipt {
  struct uk_receipt receipt;
  struct uk_engine *engine;
  char recipient[];
};

/* A byte with the length of the group, the group, and the instance. */
_Static_assert(UK_GROUP_NAME_MAX <= UCHAR_MAX, "the length of a group fits into a byte");

static size_t recipient_length(const struct uk_request *request)
{
  return request->parameters[0].length + 1 + request->parameters[1].length;
}

static void write_recipient(const struct uk_request *request, char *recipient)
{
  const struct uk_slice group = request->parameters[0], instance = request->parameters[1];
  recipient[0] = (char)(unsigned char)group.length;
  memcpy(recipient + 1, group.data, group.length);
  memcpy(recipient + 1 + group.length, instance.data, instance.length);
}

bool uk_api_ask(struct uk_request *request, const struct uk_acknowledgement *acknowledgement)
{
  if (acknowledgement->kind != UK_ACKNOWLEDGE_WRITTEN)
    return true;
  const size_t length = recipient_length(request);
  char *recipient = uk_arena_allocate(&request->arena, length, 1);
  if (recipient == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  write_recipient(request, recipient);
  uk_request_ask(request, uk_slice_of(recipient, length));
  return true;
}

static void report(struct uk_receipt *receipt, enum uk_response_outcome outcome)
{
  const struct batch_receipt *batch = (const struct batch_receipt *)receipt;
  const size_t length = (unsigned char)batch->recipient[0];
  const struct uk_slice group = uk_slice_of(batch->recipient + 1, length);
  const struct uk_slice instance =
    uk_slice_of(batch->recipient + 1 + length, receipt->recipient.length - 1 - length);
  batch->engine->methods->response_finished(batch->engine, group, instance, receipt->delivery,
                                            outcome);
}

bool uk_api_follow(struct uk_request *request, const struct uk_consume *consume)
{
  const size_t length = recipient_length(request);
  struct batch_receipt *batch = calloc(1, sizeof *batch + length);
  if (batch != NULL) {
    write_recipient(request, batch->recipient);
    batch->engine = uk_api_engine(request);
    batch->receipt.report = report;
    batch->receipt.delivered = &consume->delivery;
    batch->receipt.recipient = uk_slice_of(batch->recipient, length);
  }
  if (batch != NULL && uk_request_follow(request, &batch->receipt))
    return true;
  uk_request_error(request, UK_E_NO_MEMORY, NULL);
  return false;
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
