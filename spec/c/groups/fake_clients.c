#include "fake_clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/groups/group_state.h"

int64_t fake_now, fake_patience;
const char *fake_ack = "";
struct uk_groups *groups;

void start_groups(void)
{
  fake_log_reset();
  fake_now = 1000;
  fake_patience = 0;
  fake_ack = "";
  struct uk_groups_log log = fake_log();
  groups = uk_groups_open(&log);
}

void stop_groups(void)
{
  uk_groups_drain(groups, fake_now);
  while (fake_finish(100, UK_OK, NULL) > 0)
    continue;
  uk_groups_close(groups);
}

struct uk_consumer_settings fake_settings(void)
{
  return (struct uk_consumer_settings){.auto_commit = true,
                                       .auto_commit_interval = 5000,
                                       .offset_reset = UK_RESET_EARLIEST,
                                       .session_timeout = 10000};
}

static void done(struct uk_operation *operation)
{
  struct call *call = (struct call *)operation;
  call->ended++;
  if (call->consume.operation.error == UK_OK && call->consume.delivery > 0 && !call->unwritten)
    uk_groups_response_finished(groups, call->consume.group, call->consume.instance,
                                call->consume.delivery, UK_RESPONSE_WRITTEN, fake_now);
}

static bool record(struct uk_operation *operation, const struct uk_record *what)
{
  struct call *call = (struct call *)operation;
  bool limited = call->limit == 0 || !call->consume.redelivered;
  if (call->count == (limited ? call->limit : CALL_RECORDS)) {
    call->refused++;
    return false;
  }
  call->records[call->count].partition = what->partition;
  call->records[call->count].offset = what->offset;
  snprintf(call->records[call->count].topic, sizeof call->records[0].topic, "%.*s",
           (int)what->topic.length, what->topic.data);
  call->count++;
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  struct call *call = (struct call *)operation;
  call->asked++;
  return !call->unwanted;
}

void say(struct call *call, struct uk_acknowledgement *acknowledgement, const char *text)
{
  *acknowledgement = (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_WRITTEN};
  if (text[0] == '\0')
    return;
  acknowledgement->kind = UK_ACKNOWLEDGE_NONE;
  if (strcmp(text, "none") == 0)
    return;
  acknowledgement->kind = UK_ACKNOWLEDGE_BATCH;
  acknowledgement->commit = text[0] == '+';
  uk_batch_id_write(call->id, groups->nonce, strtoull(text + acknowledgement->commit, NULL, 10));
  acknowledgement->batch = uk_slice_text(call->id);
}

void also_commit(struct call *call, const char *topic, int32_t partition, int64_t offset)
{
  char *name = call->commit_topics[call->consume.commit_count];
  snprintf(name, sizeof call->commit_topics[0], "%s", topic);
  call->commits[call->consume.commit_count++] =
    (struct uk_topic_partition_offset){uk_slice_text(name), partition, offset};
  call->consume.commits = call->commits;
  call->consume.skipped = call->skipped;
}

static void split_topics(struct call *call, const char *topics)
{
  snprintf(call->topic_names, sizeof call->topic_names, "%s", topics);
  call->consume.topics = call->topics;
  char *at = call->topic_names;
  while (*at != '\0') {
    size_t length = strcspn(at, " ");
    call->topics[call->consume.topic_count++] = uk_slice_of(at, length);
    at += length + (at[length] == ' ');
  }
}

static void name(struct call *call, const char *group, const char *instance)
{
  memset(call, 0, sizeof *call);
  snprintf(call->group, sizeof call->group, "%s", group);
  snprintf(call->instance, sizeof call->instance, "%s", instance);
  call->consume.operation.done = done;
  call->consume.operation.deadline = fake_now + fake_patience;
  call->consume.group = uk_slice_text(call->group);
  call->consume.instance = uk_slice_text(call->instance);
}

void call_consume(struct call *call, const char *group, const char *instance, const char *topics,
                  int64_t deadline)
{
  name(call, group, instance);
  call->limit = CALL_RECORDS;
  call->consume.operation.deadline = deadline;
  call->consume.settings = fake_settings();
  call->consume.sink.record = record;
  call->consume.sink.is_client_alive = is_client_alive;
  split_topics(call, topics);
}

void consume(struct call *call, const char *group, const char *instance, const char *topics,
             int64_t timeout)
{
  call_consume(call, group, instance, topics, fake_now + timeout);
  uk_groups_consume(groups, &call->consume, fake_now);
}

void consume_unwritten(struct call *call, const char *group, const char *instance,
                       const char *topics, int64_t timeout)
{
  call_consume(call, group, instance, topics, fake_now + timeout);
  call->unwritten = true;
  uk_groups_consume(groups, &call->consume, fake_now);
}

void commit_all(struct call *call, const char *group, const char *instance)
{
  name(call, group, instance);
  say(call, &call->commit.acknowledgement, fake_ack);
  uk_groups_commit(groups, &call->commit, fake_now);
}

void commit_nothing(struct call *call, const char *group, const char *instance)
{
  name(call, group, instance);
  call->commit.nothing = true;
  say(call, &call->commit.acknowledgement, fake_ack);
  uk_groups_commit(groups, &call->commit, fake_now);
}

void commit_one(struct call *call, const char *group, const char *instance, const char *topic,
                int32_t partition, int64_t offset)
{
  name(call, group, instance);
  snprintf(call->topic_names, sizeof call->topic_names, "%s", topic);
  call->given =
    (struct uk_topic_partition_offset){uk_slice_text(call->topic_names), partition, offset};
  call->commit.offsets = &call->given;
  call->commit.count = 1;
  say(call, &call->commit.acknowledgement, fake_ack);
  uk_groups_commit(groups, &call->commit, fake_now);
}

void commit_these(struct call *call, const char *group, const char *instance,
                  const struct uk_topic_partition_offset *offsets, size_t count)
{
  name(call, group, instance);
  call->commit.offsets = offsets;
  call->commit.count = count;
  say(call, &call->commit.acknowledgement, fake_ack);
  uk_groups_commit(groups, &call->commit, fake_now);
}

void delete_consumer(struct call *call, const char *group, const char *instance)
{
  name(call, group, instance);
  say(call, &call->delete_consumer.acknowledgement, fake_ack);
  uk_groups_delete_consumer(groups, &call->delete_consumer, fake_now);
}

void expire(struct call *call)
{
  uk_operation_expire(&call->consume.operation);
  uk_groups_consume_expired(groups, &call->consume, fake_now);
}

void finished(const char *group, const char *instance, uint64_t delivery, bool complete)
{
  uk_groups_response_finished(groups, uk_slice_text(group), uk_slice_text(instance), delivery,
                              complete, fake_now);
}

void produce(const char *topic, int32_t partition, int64_t count)
{
  fake_produce(topic, partition, count);
  uk_groups_wake(groups, uk_slice_text(topic), partition, fake_now);
}

void change_topic(const char *topic, int32_t partitions)
{
  fake_topic(topic, partitions);
  uk_groups_wake(groups, uk_slice_text(topic), -1, fake_now);
}

void pass_time(int64_t milliseconds)
{
  fake_now += milliseconds;
  uk_groups_tick(groups, fake_now);
}

const char *outcome(const struct call *call)
{
  static char text[4096];
  const struct uk_operation *operation = &call->consume.operation;
  if (call->ended != 1)
    return call->ended == 0 ? "waits" : "ended twice";
  if (call->refused > 1)
    return "offered more after a refusal";
  if (operation->error != UK_OK)
    return uk_error_word(operation->error);
  size_t length = 0;
  text[0] = '\0';
  for (size_t i = 0; i < call->count; i++)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%s:%d:%lld",
                               i == 0 ? "" : " ", call->records[i].topic,
                               (int)call->records[i].partition, (long long)call->records[i].offset);
  return text;
}

static struct {
  char text[8192];
  size_t length;
  char last[2 * FAKE_NAME];
  int ended;
} listing;

static void listed(struct uk_operation *operation)
{
  (void)operation;
  listing.ended++;
}

static void add(const char *text)
{
  listing.length += (size_t)snprintf(listing.text + listing.length,
                                     sizeof listing.text - listing.length, "%s", text);
}

static void owned(struct uk_operation *operation, struct uk_slice group, struct uk_slice instance,
                  struct uk_slice topic, const int32_t *partitions, size_t count)
{
  (void)operation;
  char piece[2 * FAKE_NAME];
  snprintf(piece, sizeof piece, "%.*s/%.*s", (int)group.length, group.data, (int)instance.length,
           instance.data);
  if (strcmp(piece, listing.last) != 0) {
    add(listing.length == 0 ? "" : " ");
    add(piece);
    snprintf(listing.last, sizeof listing.last, "%s", piece);
  }
  snprintf(piece, sizeof piece, " %.*s", (int)topic.length, topic.length > 0 ? topic.data : "");
  add(count == 0 ? " -" : piece);
  for (size_t i = 0; i < count; i++) {
    snprintf(piece, sizeof piece, "%s%d", i == 0 ? "=" : ",", (int)partitions[i]);
    add(piece);
  }
}

const char *owners(void)
{
  struct uk_consumers operation = {.operation = {.done = listed}, .owned = owned};
  listing.length = 0;
  listing.text[0] = listing.last[0] = '\0';
  listing.ended = 0;
  uk_groups_consumers(groups, &operation, fake_now);
  if (listing.ended != 1)
    return "not ended once";
  return operation.operation.error == UK_OK ? listing.text
                                            : uk_error_word(operation.operation.error);
}
