#include "server/kafka_engine/group/kafka_verification.h"

#include <stdlib.h>

#include "server/kafka_engine/cluster/kafka_watermarks.h"

enum {
  TIMEOUT = 2000,  /* milliseconds */
  PAUSE = 100,     /* milliseconds before another query, if one got no clear answer */
  INTERVAL = 5000, /* milliseconds between two looks while a consume waits */
  PLACES_MOST = 16 /* partitions of a query, except those that need it at once */
};

/* Whose answer counts. */
enum voucher {
  VOUCHER_ANY,
  VOUCHER_OF_LAST,   /* the broker that the last record came from */
  VOUCHER_OF_WAITING /* the broker that the waiting record came from */
};

/* A query under way, which may outlive the member. */
struct verification {
  struct uk_kafka_record_query records;
  struct uk_kafka_watermarks watermarks; /* of the places that need the range */
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_late_answer late;
  int64_t asked_at;
  enum voucher *vouchers;                  /* of the places */
  struct uk_record_mark *marks;            /* of the records that should be in the places */
  struct uk_topic_partition_offset *range; /* first offsets, then ends */
  struct uk_kafka_record_place places[];
};

static struct verification *verification_of(struct uk_kafka_late_answer *late)
{
  return (struct verification *)((char *)late - offsetof(struct verification, late));
}

static void free_verification(struct uk_kafka_late_answer *late)
{
  struct verification *verification = verification_of(late);
  free(verification->vouchers);
  free(verification->marks);
  free(verification->range);
  free(verification);
}

/* The range. */

static bool needs_range(const struct verification *verification, size_t i)
{
  const struct uk_kafka_record_place *place = &verification->places[i];
  return place->code == RD_KAFKA_RESP_ERR_NO_ERROR &&
         uk_record_judge_needs_range(&verification->marks[i], place->offset + 1, &place->seen);
}

static void ranges_arrived(struct uk_kafka_query *query)
{
  struct uk_kafka_watermarks *watermarks = (struct uk_kafka_watermarks *)query;
  struct verification *verification =
    (struct verification *)((char *)watermarks - offsetof(struct verification, watermarks));
  size_t next = 0;
  bool good = query->code == RD_KAFKA_RESP_ERR_NO_ERROR;
  for (size_t i = 0; good && i < verification->records.count; i++) {
    if (!needs_range(verification, i))
      continue;
    verification->places[i].seen.first = watermarks->first[next].offset;
    verification->places[i].seen.end = watermarks->end[next++].offset;
  }
  uk_kafka_late_answer_arrive(&verification->late);
}

static void records_arrived(struct uk_kafka_query *query)
{
  struct verification *verification = (struct verification *)query;
  struct uk_kafka_watermarks *watermarks = &verification->watermarks;
  for (size_t i = 0; i < verification->records.count; i++) {
    const struct uk_kafka_record_place *place = &verification->places[i];
    if (needs_range(verification, i))
      watermarks->first[watermarks->count] = watermarks->end[watermarks->count] =
        (struct uk_topic_partition_offset){.topic = uk_slice_text(place->topic.text),
                                           .partition = place->partition};
    watermarks->count += needs_range(verification, i);
  }
  if (watermarks->count > 0)
    uk_kafka_watermarks_ask(watermarks, verification->blocking);
  else
    uk_kafka_late_answer_arrive(&verification->late);
}

/* Asking. */

static bool is_urgent(const struct uk_kafka_assigned_partition *partition)
{
  return uk_kafka_assigned_partition_has_past(partition) &&
         (partition->wanted || partition->doubtful || partition->verified_at == 0);
}

static bool is_old(const struct uk_kafka_assigned_partition *partition, int64_t now)
{
  return uk_kafka_assigned_partition_has_past(partition) &&
         now - partition->verified_at >= INTERVAL;
}

static bool is_due(const struct uk_kafka_group_member *member, int64_t now)
{
  bool due = false, waits = !uk_list_is_empty(&member->consumes);
  for (size_t i = 0; i < member->partitions.count && !due; i++) {
    const struct uk_kafka_assigned_partition *partition = &member->partitions.all[i];
    due = is_urgent(partition) || (waits && is_old(partition, now)) ||
          uk_kafka_assigned_partition_ages(partition, now);
  }
  return due;
}

/* At least as many as will be asked about. */
static size_t count_places(const struct uk_kafka_assigned_partitions *partitions)
{
  size_t count = PLACES_MOST;
  for (size_t i = 0; i < partitions->count; i++)
    count += is_urgent(&partitions->all[i]);
  return count < partitions->count ? count : partitions->count;
}

static struct verification *new_verification(struct uk_kafka_group_member *member, int64_t now)
{
  size_t count = count_places(&member->partitions);
  struct verification *verification =
    calloc(1, sizeof *verification + count * sizeof verification->places[0]);
  if (verification == NULL)
    return NULL;
  verification->marks = calloc(count, sizeof *verification->marks);
  verification->range = calloc(count * 2, sizeof *verification->range);
  verification->vouchers = calloc(count, sizeof *verification->vouchers);
  if (verification->marks == NULL || verification->range == NULL ||
      verification->vouchers == NULL) {
    free_verification(&verification->late);
    return NULL;
  }
  verification->asked_at = now;
  verification->blocking = member->groups->parts.blocking;
  verification->records = (struct uk_kafka_record_query){
    .query = {.deadline = now + TIMEOUT, .then = records_arrived}, .places = verification->places};
  verification->watermarks = (struct uk_kafka_watermarks){
    .work.query = {.deadline = now + 2 * TIMEOUT, .then = ranges_arrived},
    .control = member->groups->parts.control,
    .first = verification->range,
    .end = verification->range + count};
  return verification;
}

static void add_place(struct verification *verification,
                      const struct uk_kafka_assigned_partition *partition, bool ages)
{
  size_t i = verification->records.count++;
  verification->places[i] =
    (struct uk_kafka_record_place){.topic = partition->topic,
                                   .partition = partition->number,
                                   .offset = partition->progress.position - 1};
  verification->marks[i] = partition->mark;
  verification->vouchers[i] = partition->wanted ? VOUCHER_OF_WAITING
                              : ages            ? VOUCHER_OF_LAST
                                                : VOUCHER_ANY;
}

enum rank { URGENT, OLD, AGEING, UNSURE, SURE };

static enum rank rank_of(const struct uk_kafka_assigned_partition *partition, int64_t now)
{
  if (is_urgent(partition))
    return URGENT;
  if (is_old(partition, now))
    return OLD;
  if (uk_kafka_assigned_partition_ages(partition, now))
    return AGEING;
  return uk_kafka_assigned_partition_is_sure(partition, now) ? SURE : UNSURE;
}

/* Those that need it at once, and some of the others that will need it soon. */
static void add_places(struct verification *verification, struct uk_kafka_group_member *member,
                       int64_t now)
{
  struct uk_kafka_assigned_partitions *partitions = &member->partitions;
  for (enum rank rank = URGENT; rank < SURE; rank++) {
    for (size_t i = 0; i < partitions->count; i++) {
      if (rank_of(&partitions->all[i], now) == rank &&
          (rank == URGENT || verification->records.count < PLACES_MOST))
        add_place(verification, &partitions->all[i], rank == AGEING);
    }
  }
  for (size_t i = 0; i < partitions->count; i++)
    partitions->all[i].wanted = partitions->all[i].advanced = false;
}

void uk_kafka_verification_ask(struct uk_kafka_group_member *member,
                               struct uk_kafka_late_answer **slot, int64_t now)
{
  if (*slot != NULL || now < member->verify_at || !is_due(member, now))
    return;
  struct verification *verification = new_verification(member, now);
  member->verify_at = now + PAUSE;
  if (verification == NULL)
    return;
  add_places(verification, member, now);
  uk_kafka_late_answer_init(&verification->late, &member->task, free_verification);
  *slot = &verification->late;
  uk_kafka_record_reader_ask(member->groups->parts.records, &verification->records);
}

/* The answer. */

static void move(struct uk_kafka_group_member *member,
                 struct uk_kafka_assigned_partition *partition, int64_t offset)
{
  uk_kafka_assigned_partition_restart(partition, offset);
  uk_kafka_assigned_partition_seek(partition, member->handle);
  member->committing.next = 0;
}

/* The record is in its place. If librdkafka was elsewhere, it comes back. */
static void clear(struct uk_kafka_group_member *member,
                  struct uk_kafka_assigned_partition *partition,
                  const struct uk_kafka_record_place *place)
{
  bool seen = place->seen.offset == partition->progress.position - 1;
  partition->cleared = true;
  if (seen && !partition->mark.known) {
    partition->mark = partition->delivered_mark = place->seen.mark; /* nothing was read yet */
  }
  if (partition->doubtful)
    uk_kafka_assigned_partition_seek(partition, member->handle);
  partition->doubtful = false;
}

/* A former leader that has not noticed may still answer: only the broker that the waiting record
 * came from can vouch for it. librdkafka reads it again, from the leader by then. Where followers
 * are read, brokers may differ. */
static bool is_of_another_broker(const struct uk_kafka_group_member *member,
                                 const struct uk_kafka_assigned_partition *partition,
                                 const struct uk_kafka_record_place *place)
{
  return place->broker >= 0 && partition->broker >= 0 && place->broker != partition->broker &&
         uk_kafka_settings_value(member->groups->parts.settings, "client.rack") == NULL;
}

/* A committed offset without a mark says nothing about the topic's lives: beyond the end it is out
 * of range, like any other. */
static bool is_bare(const struct uk_kafka_assigned_partition *partition)
{
  return !partition->mark.known && !partition->progress.committable;
}

/* True: the partition has a position again. */
static bool reset(struct uk_kafka_group_member *member,
                  struct uk_kafka_assigned_partition *partition,
                  const struct uk_record_sighting *seen, bool to_first)
{
  enum uk_offset_reset policy = member->settings.offset_reset;
  if (policy == UK_RESET_NONE)
    return false;
  move(member, partition, to_first || policy == UK_RESET_EARLIEST ? seen->first : seen->end);
  partition->doubtful = false;
  partition->cleared = true;
  return true;
}

/* False: the partition has no position any more. */
static bool apply(struct uk_kafka_group_member *member,
                  struct uk_kafka_assigned_partition *partition,
                  const struct uk_kafka_record_place *place, const struct uk_record_mark *mark,
                  int64_t asked_at)
{
  const struct uk_record_sighting *seen = &place->seen;
  switch (uk_record_judge(mark, place->offset + 1, seen)) {
  case UK_RECORD_UNCLEAR: return true;
  case UK_RECORD_IN_PLACE: clear(member, partition, place); break;
  case UK_RECORD_OTHER:
    if (!reset(member, partition, seen, !is_bare(partition)))
      return false;
    partition->renewed = true;
    break;
  case UK_RECORD_REMOVED:
    if (!reset(member, partition, seen, false))
      return false;
    break;
  }
  partition->verified_at = asked_at;
  return true;
}

static struct uk_kafka_refused refuse(const struct uk_kafka_assigned_partition *partition,
                                      const struct uk_kafka_record_place *place)
{
  return (struct uk_kafka_refused){.found = true,
                                   .topic = partition->topic,
                                   .partition = partition->number,
                                   .position = partition->progress.position,
                                   .offset =
                                     place->seen.offset == place->offset ? -1 : place->offset + 1};
}

struct uk_kafka_refused uk_kafka_verification_take(struct uk_kafka_group_member *member,
                                                   struct uk_kafka_late_answer **slot, int64_t now)
{
  struct uk_kafka_refused refused = {.found = false};
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(slot);
  if (late == NULL)
    return refused;
  struct verification *verification = verification_of(late);
  bool all = true;
  for (size_t i = 0; i < verification->records.count; i++) {
    const struct uk_kafka_record_place *place = &verification->places[i];
    struct uk_kafka_assigned_partition *partition =
      uk_kafka_assigned_partition_find(&member->partitions, place->topic.text, place->partition);
    if (partition == NULL)
      continue;
    bool sound = place->code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (sound && verification->vouchers[i] != VOUCHER_ANY &&
        is_of_another_broker(member, partition, place)) {
      if (verification->vouchers[i] == VOUCHER_OF_WAITING)
        uk_kafka_assigned_partition_seek(partition, member->handle);
      sound = false;
    }
    if (sound && !apply(member, partition, place, &verification->marks[i], verification->asked_at))
      refused = refuse(partition, place);
    all = all && partition->cleared;
  }
  if (all)
    member->verify_at = now;
  uk_kafka_late_answer_release(late);
  return refused;
}

void uk_kafka_verification_drop(struct uk_kafka_late_answer **verification)
{
  uk_kafka_late_answer_drop(verification);
}
