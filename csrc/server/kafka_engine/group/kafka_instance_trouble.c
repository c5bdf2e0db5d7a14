#include "server/kafka_engine/group/kafka_instance_trouble.h"

#include <stdio.h>

#include "server/kafka_engine/group/kafka_instance_leave.h"
#include "server/kafka_engine/group/kafka_missing_topics.h"
#include "server/kafka_engine/group/kafka_request_queue.h"
#include "server/kafka_engine/group/kafka_reset.h"
#include "server/kafka_engine/group/kafka_subscription.h"

static bool is_leaving(const struct uk_kafka_instance *instance)
{
  return instance->state == UK_KAFKA_LEAVING;
}

static void name_place(char *text, size_t size, const struct uk_kafka_group_member *member,
                       const rd_kafka_topic_partition_t *place)
{
  if (place != NULL)
    uk_kafka_place(text, size, uk_slice_text(place->topic), place->partition);
  else
    snprintf(text, size, "group \"%s\"", member->group.data);
}

/* A topic that was created for this instance is not known to every broker yet. */
static bool is_early(const struct uk_kafka_instance *instance, rd_kafka_resp_err_t code)
{
  return uk_kafka_error(code) == UK_E_NOT_FOUND && instance->awaits_created;
}

static bool is_reset(rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__NO_OFFSET;
}

void uk_kafka_instance_trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code,
                               const char *text, const rd_kafka_topic_partition_t *place,
                               int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  char what[UK_KAFKA_PLACE_SIZE], words[UK_MESSAGE_SIZE];
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF || uk_kafka_code_passes(code) ||
      is_early(instance, code))
    return;
  if (is_leaving(instance)) /* consumes wait for the next instance */
    return;
  uk_kafka_requests_take_consumes(&member->commits, &member->consumes);
  if (is_reset(code)) {
    uk_kafka_reset_fail(member, place, now);
    (void)uk_kafka_instance_leave(instance, now);
    return;
  }
  if (!instance->has_served)
    (void)uk_kafka_instance_leave(instance, now);
  if (uk_kafka_error(code) == UK_E_NOT_FOUND) {
    uk_kafka_subscription_forget_topics(member);
    member->groups->check_again(&member->consumes);
    return;
  }
  name_place(what, sizeof what, member, place);
  snprintf(words, sizeof words, "%s: %s", what, uk_kafka_reason(code, text));
  uk_kafka_requests_fail(&member->consumes, uk_kafka_error(code), words);
}

/* Without its only topic librdkafka stops being a member, and would not notice that another server
 * takes the instance over or deletes it. */
static bool is_pointless(const struct uk_kafka_instance *instance, rd_kafka_resp_err_t code)
{
  return uk_kafka_error(code) == UK_E_NOT_FOUND && instance->member.subscription.count == 1 &&
         !instance->awaits_created;
}

void uk_kafka_instance_trouble_error(struct uk_kafka_instance *instance, rd_kafka_event_t *event,
                                     int64_t now)
{
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  if (rd_kafka_event_error_is_fatal(event)) {
    instance->state = UK_KAFKA_LOST;
    return;
  }
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    uk_kafka_missing_topics_note(&instance->member, rd_kafka_event_error_string(event));
  uk_kafka_instance_trouble(instance, code, rd_kafka_event_error_string(event), NULL, now);
  if (is_pointless(instance, code) && !is_leaving(instance))
    (void)uk_kafka_instance_leave(instance, now);
}
