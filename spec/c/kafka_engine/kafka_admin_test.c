/* for: kafka_admin.c, kafka_admin_topics.c
 *
 * Creating and deleting topics, within the limits of librdkafka's mock cluster: it refuses such
 * requests, but it lists topics. */
#include "server/kafka_engine/cluster/kafka_admin_private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "kafka_parts.h"

enum {
  PATIENCE = 20000,
  WHILE = 300 /* in which this cluster does not answer a request */
};

static struct uk_kafka_admin *admin;
static atomic_int forgotten;

static void forget(void *context, struct uk_slice topic)
{
  (void)context;
  (void)topic;
  forgotten++;
}

static struct uk_kafka_admin *open_admin(void)
{
  const struct uk_kafka_admin_parts parts = {.control = kafka_parts.control,
                                             .executor = kafka_parts.executor,
                                             .topics = kafka_parts.topics,
                                             .partitions = 1,
                                             .forget = forget};
  return uk_kafka_admin_new(&parts);
}

/* Requests. */

static void create(struct uk_create_topic *operation, const char *topic)
{
  struct kafka_probe probe;
  *operation = (struct uk_create_topic){
    .topic = uk_slice_text(topic), .partitions = -1, .has_retention_ms = true, .retention_ms = 5};
  kafka_probe_begin(&probe, &operation->operation, WHILE);
  uk_kafka_admin_create_topic(admin, operation);
  kafka_probe_await(&probe);
}

static void delete (struct uk_delete_topic *operation, const char *topic)
{
  struct kafka_probe probe;
  *operation = (struct uk_delete_topic){.topic = uk_slice_text(topic)};
  kafka_probe_begin(&probe, &operation->operation, WHILE);
  uk_kafka_admin_delete_topic(admin, operation);
  kafka_probe_await(&probe);
}

static void a_refusal_names_the_topic(void)
{
  struct uk_create_topic created;
  struct uk_delete_topic deleted;
  create(&created, "t");
  CHECK(created.operation.error != UK_OK);
  CHECK(strncmp(created.operation.message, "topic \"t\": ", 11) == 0);
  CHECK(!created.created);
  delete (&deleted, "t");
  CHECK(deleted.operation.error != UK_OK);
  CHECK(strncmp(deleted.operation.message, "topic \"t\": ", 11) == 0);
}

static void ends_without_memory(void)
{
  struct uk_create_topic created;
  struct uk_delete_topic deleted;
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    create(&created, "t");
    delete (&deleted, "t");
    hit = fault_hit();
    fault_off();
    if (n == 1)
      CHECK_EQ_INT(created.operation.error, UK_E_NO_MEMORY);
    CHECK(deleted.operation.error != UK_OK);
  }
}

static void is_not_created_without_memory(void)
{
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_kafka_admin *made = open_admin();
    hit = fault_hit();
    fault_off();
    CHECK((made == NULL) == hit);
    if (made != NULL)
      uk_kafka_admin_free(made);
    CHECK_EQ_INT(fault_live(), before);
  }
}

/* Waiting until the cluster lists the topic. */

struct wait {
  struct uk_operation operation;
  struct kafka_probe probe;
  int32_t partitions;
};

static void finish(struct uk_kafka_admin_call *call)
{
  struct wait *wait = (struct wait *)call->operation;
  wait->partitions = call->partitions;
  free(call);
  kafka_probe_done(&wait->probe);
}

static struct uk_kafka_admin_call *new_call(struct wait *wait, const char *topic, int64_t timeout)
{
  kafka_probe_begin(&wait->probe, &wait->operation, timeout);
  return uk_kafka_admin_call_new(admin, &wait->operation, uk_slice_text(topic));
}

/* On a busy machine a mock cluster counts as away for a moment. */
static bool start(struct wait *wait, const char *topic, bool gone, int64_t timeout)
{
  struct uk_kafka_admin_call *call = NULL;
  CHECK_EVENTUALLY((call = new_call(wait, topic, timeout)) != NULL);
  if (call == NULL)
    return false;
  call->gone = gone;
  call->finish = finish;
  uk_kafka_admin_await(call);
  return true;
}

static void waits_until_topics_exist_or_are_gone(void)
{
  const char *comes = kafka_parts_nowhere(), *goes = kafka_parts_topic(1);
  struct wait coming, going;
  REQUIRE(start(&coming, comes, false, PATIENCE) && start(&going, goes, true, PATIENCE));
  usleep(300000);
  CHECK_EQ_INT(coming.probe.dones, 0);
  CHECK_EQ_INT(going.probe.dones, 0);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, comes, RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, goes, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  kafka_probe_await(&coming.probe);
  kafka_probe_await(&going.probe);
  CHECK_EQ_INT(coming.operation.error, UK_OK);
  CHECK(coming.partitions > 0);
  CHECK_EQ_INT(going.operation.error, UK_OK);
}

static void does_not_wait_forever(void)
{
  struct wait coming, going;
  REQUIRE(start(&coming, kafka_parts_nowhere(), false, 300) &&
          start(&going, kafka_parts_topic(1), true, 300));
  kafka_probe_await(&coming.probe);
  kafka_probe_await(&going.probe);
  CHECK_EQ_INT(coming.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_INT(going.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK(strstr(coming.operation.message, UK_MAY_BE_DONE) != NULL);
  CHECK(strstr(going.operation.message, UK_MAY_BE_DONE) != NULL);
  CHECK(coming.probe.took < KAFKA_PROMPT && going.probe.took < KAFKA_PROMPT);
}

/* More than there are threads: none may block one. */
static void many_wait_and_others_continue(void)
{
  enum { MANY = 20 };
  static struct wait waits[MANY], quick;
  const char *nowhere = kafka_parts_nowhere();
  for (int i = 0; i < MANY; i++)
    REQUIRE(start(&waits[i], nowhere, false, KAFKA_PATIENCE));
  REQUIRE(start(&quick, kafka_parts_topic(1), false, KAFKA_PROMPT));
  kafka_probe_await(&quick.probe);
  CHECK_EQ_INT(quick.operation.error, UK_OK);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, nowhere, RD_KAFKA_RESP_ERR_NO_ERROR);
  for (int i = 0; i < MANY; i++) {
    kafka_probe_await(&waits[i].probe);
    CHECK_EQ_INT(waits[i].operation.error, UK_OK);
  }
}

int main(void)
{
  if (!kafka_parts_open(1) || (admin = open_admin()) == NULL)
    return 1;
  CHECK_RUN(a_refusal_names_the_topic);
  CHECK_RUN(ends_without_memory);
  CHECK_RUN(is_not_created_without_memory);
  CHECK_RUN(waits_until_topics_exist_or_are_gone);
  CHECK_RUN(does_not_wait_forever);
  CHECK_RUN(many_wait_and_others_continue);
  uk_kafka_admin_free(admin);
  kafka_parts_close();
  return check_end();
}
