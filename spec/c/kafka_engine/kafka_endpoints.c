#include "kafka_endpoints.h"

#include <string.h>
#include <unistd.h>

#include "common/clock.h"

enum { RECOVERY = 30000 }; /* milliseconds */

#define PARTITION "{\"topic\":\"$T\",\"partition\":0}"
#define FETCH(offset) "{\"topic\":\"$T\",\"partition\":0,\"offset\":" offset ",\"timeout\":$M}"

const struct kafka_endpoint kafka_produce = {UK_POST, "/produce/$T", "{\"value\":\"new\"}", false,
                                             false};
const struct kafka_endpoint kafka_produce_one = {UK_GET, "/produce/$T/new", "", false, false};
const struct kafka_endpoint kafka_batch = {
  UK_POST, "/produce", "[{\"topic\":\"$T\",\"value\":\"a\"},{\"topic\":\"$T\",\"value\":\"b\"}]",
  false, false};
const struct kafka_endpoint kafka_webhook = {UK_POST, "/webhook?topic=$T", "new", false, false};
const struct kafka_endpoint kafka_consume = {UK_GET, "/consume/$G/i/$T?timeout=$M", "", false,
                                             true};
const struct kafka_endpoint kafka_consume_on = {UK_GET, "/consume/$G/i/$T?timeout=$M", "", true,
                                                true};
const struct kafka_endpoint kafka_commit = {
  UK_POST, "/commit/$G/i", "{\"topic\":\"$T\",\"partition\":0,\"offset\":1}", true, false};
const struct kafka_endpoint kafka_committed = {UK_POST, "/committed/$G/i?timeout=$M", PARTITION,
                                               false, false};
const struct kafka_endpoint kafka_leave = {UK_DELETE, "/delete-consumer/$G/i", "", true, false};
const struct kafka_endpoint kafka_fetch = {UK_POST, "/fetch", FETCH("0"), false, true};
/* At the end of the records that earlier tests produced. */
const struct kafka_endpoint kafka_wait = {UK_POST, "/fetch", FETCH("1"), false, true};
const struct kafka_endpoint kafka_offsets = {UK_POST, "/offsets/latest?timeout=$M", PARTITION,
                                             false, false};
const struct kafka_endpoint kafka_topics = {UK_GET, "/topics", "", false, false};
const struct kafka_endpoint kafka_consumers = {UK_GET, "/consumers", "", false, false};
const struct kafka_endpoint kafka_health = {UK_GET, "/health", "", false, false};

/* The names are long because librdkafka 2.3, asked by its own mock, which knows no newer request,
 * leaves too little room for many topics of one partition, one replica and short names. */
bool kafka_place_make(struct kafka_place *place, struct kafka_rig *rig, size_t number)
{
  snprintf(place->topic, sizeof place->topic, "topic-of-row-%zu", number);
  snprintf(place->group, sizeof place->group, "g%zu", number);
  return rd_kafka_mock_topic_create(rig->cluster, place->topic, 1, 1) ==
           RD_KAFKA_RESP_ERR_NO_ERROR &&
         rd_kafka_mock_partition_set_leader(rig->cluster, place->topic, 0, 1) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void fill(char *text, size_t size, const char *pattern, const struct kafka_place *place)
{
  size_t length = 0;
  for (const char *at = pattern; *at != '\0' && length + 1 < size; at++) {
    if (*at != '$') {
      text[length++] = *at;
      continue;
    }
    at++;
    if (*at == 'M')
      length += (size_t)snprintf(text + length, size - length, "%d", place->timeout);
    else
      length += (size_t)snprintf(text + length, size - length, "%s",
                                 *at == 'T' ? place->topic : place->group);
  }
  text[length] = '\0';
}

void kafka_ask(struct kafka_rig *rig, const struct kafka_endpoint *endpoint,
               const struct kafka_place *place, struct kafka_answer *answer)
{
  char path[256], body[256];
  fill(path, sizeof path, endpoint->path, place);
  fill(body, sizeof body, endpoint->body, place);
  kafka_rig_ask(rig, endpoint->method, path, body, answer);
}

bool kafka_is_good(const struct kafka_endpoint *endpoint, const struct kafka_answer *answer)
{
  return answer->status == 200 &&
         (!endpoint->returns_records || strstr(answer->text, "\"offset\":") != NULL);
}

bool kafka_settle(struct kafka_rig *rig, const struct kafka_endpoint *endpoint,
                  const struct kafka_place *place, struct kafka_answer *answer)
{
  int64_t until = uk_clock_monotonic() + RECOVERY;
  do {
    kafka_ask(rig, endpoint, place, answer);
    if (kafka_is_good(endpoint, answer))
      return true;
    usleep(20000);
  } while (uk_clock_monotonic() < until);
  return false;
}
