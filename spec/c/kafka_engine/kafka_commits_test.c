/* for: kafka_commits.c
 *
 * What an instance that moves between servers commits for the next server, on a mock cluster of
 * librdkafka in this process. */
#include "server/kafka_engine/group/kafka_commits.h"

#include <stdlib.h>

#include "check.h"
#include "kafka_parts.h"
#include "server/kafka_engine/group/kafka_position_metadata.h"

enum { PATIENCE = 20000, PARTITIONS = 4 };

static struct {
  struct uk_kafka_groups groups;
  struct uk_kafka_group_member *member;
  struct uk_kafka_assigned_partition partitions[PARTITIONS];
  const char *topic;
} rig;

/* The client has the records before `delivered`, and was sent those before `position`. */
static void set_partition(int partition, int64_t delivered, int64_t position)
{
  rig.partitions[partition] = (struct uk_kafka_assigned_partition){
    .topic = uk_kafka_name(uk_slice_text(rig.topic)), .number = partition, .assigned = true};
  if (position >= 0)
    uk_progress_resume(&rig.partitions[partition].progress, delivered, UK_OFFSET_UNKNOWN);
  else
    uk_progress_forget(&rig.partitions[partition].progress);
  if (position > delivered)
    uk_progress_advance(&rig.partitions[partition].progress, delivered, position);
}

static bool rig_open(void)
{
  char text[256];
  if (!kafka_parts_open(1))
    return false;
  rig.topic = kafka_parts_topic(PARTITIONS);
  rd_kafka_conf_t *conf = uk_kafka_conf(kafka_parts.settings, UK_KAFKA_GROUP);
  uk_kafka_conf_set(conf, "group.id", "g");
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_OFFSET_COMMIT);
  pthread_mutex_init(&rig.groups.mutex, NULL);
  rig.member = calloc(1, sizeof *rig.member);
  rig.member->groups = &rig.groups;
  rig.member->partitions = (struct uk_kafka_assigned_partitions){rig.partitions, PARTITIONS};
  rig.member->settings.auto_commit = true;
  rig.member->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (rig.member->handle == NULL)
    return false;
  rd_kafka_poll_set_consumer(rig.member->handle);
  rig.member->control = rd_kafka_queue_get_consumer(rig.member->handle);
  return true;
}

static void rig_close(void)
{
  rd_kafka_queue_destroy(rig.member->control);
  rd_kafka_destroy(rig.member->handle);
  free(rig.member);
  pthread_mutex_destroy(&rig.groups.mutex);
  kafka_parts_close();
}

/* What was committed, and the group's answer; NULL without one, which fails the case. */
static rd_kafka_event_t *await_commit(void)
{
  rd_kafka_event_t *event = rd_kafka_queue_poll(rig.member->control, PATIENCE);
  while (event != NULL && rd_kafka_event_type(event) != RD_KAFKA_EVENT_OFFSET_COMMIT) {
    rd_kafka_event_destroy(event);
    event = rd_kafka_queue_poll(rig.member->control, PATIENCE);
  }
  CHECK(event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
  return event;
}

static void end_commit(rd_kafka_event_t *event)
{
  CHECK(uk_kafka_commits_answered(rig.member, event));
  rd_kafka_event_destroy(event);
}

static void check_commit(rd_kafka_event_t *event, int partition, int64_t offset, int64_t position)
{
  const rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(
    rd_kafka_event_topic_partition_list(event), rig.topic, partition);
  if (!CHECK(at != NULL))
    return;
  CHECK_EQ_INT(at->offset, offset);
  CHECK_EQ_INT(uk_kafka_position_metadata_read(at).position, position);
}

static void metadata_says_how_far_the_client_got(void)
{
  set_partition(0, 3, 10);
  set_partition(1, 0, 2);
  set_partition(2, 5, 5);   /* nothing was sent since */
  set_partition(3, -1, -1); /* nothing is known */
  rig.partitions[0].mark = (struct uk_record_mark){.known = true, .timestamp = 9};
  rig.partitions[0].delivered_mark = (struct uk_record_mark){.known = true, .timestamp = 2};
  CHECK(uk_kafka_commits_send_metadata(rig.member));
  rd_kafka_event_t *event = await_commit();
  REQUIRE(event != NULL);
  CHECK_EQ_INT(rd_kafka_event_topic_partition_list(event)->cnt, 2);
  check_commit(event, 0, 3, 10);
  check_commit(event, 1, 0, 2);
  const struct uk_kafka_position_metadata metadata = uk_kafka_position_metadata_read(
    rd_kafka_topic_partition_list_find(rd_kafka_event_topic_partition_list(event), rig.topic, 0));
  CHECK_EQ_INT(metadata.mark.timestamp, 9);
  CHECK_EQ_INT(metadata.committed.timestamp, 2);
  end_commit(event);
}

/* A client that set its position has not reached the end of the last response. */
static void metadata_is_absent_after_an_explicit_commit(void)
{
  set_partition(0, 3, 10);
  set_partition(1, 0, 2);
  set_partition(2, -1, -1);
  rig.partitions[0].progress.overridden = true;
  set_partition(3, 3, 10);
  rig.partitions[3].assigned = false; /* others may have read on there */
  CHECK(uk_kafka_commits_send_metadata(rig.member));
  rd_kafka_event_t *event = await_commit();
  REQUIRE(event != NULL);
  CHECK_EQ_INT(rd_kafka_event_topic_partition_list(event)->cnt, 1);
  check_commit(event, 1, 0, 2);
  end_commit(event);
}

/* It would be newer than the commit under way, which may be resent after it. */
static void metadata_waits_for_a_pending_commit(void)
{
  for (int i = 0; i < PARTITIONS; i++)
    set_partition(i, 3, 10);
  uk_kafka_commits_send_delivered(rig.member);
  CHECK(!uk_kafka_commits_send_metadata(rig.member));
  rd_kafka_event_t *event = await_commit();
  REQUIRE(event != NULL);
  CHECK_EQ_INT(rd_kafka_event_topic_partition_list(event)->cnt, PARTITIONS);
  check_commit(event, 0, 3, 3);
  end_commit(event);
  CHECK(uk_kafka_commits_send_metadata(rig.member));
  event = await_commit();
  REQUIRE(event != NULL);
  check_commit(event, 0, 3, 10);
  end_commit(event);
}

int main(void)
{
  if (!rig_open()) {
    fputs("the rig could not be made\n", stderr);
    return 1;
  }
  CHECK_RUN(metadata_says_how_far_the_client_got);
  CHECK_RUN(metadata_is_absent_after_an_explicit_commit);
  CHECK_RUN(metadata_waits_for_a_pending_commit);
  rig_close();
  return check_end();
}
