/* for: kafka_catalog.c
 *
 * What the catalog learns about a cluster's topics and brokers from its metadata. */
#include "server/kafka_engine/cluster/kafka_catalog.h"

#include <malloc.h>
#include <stdlib.h>

#include "check.h"
#include "fault.h"

enum { MANY = 2 * UK_KAFKA_BROKERS_MAX };

static struct uk_kafka_catalog catalog;

/* Metadata of a topic with partitions 0 to `count` - 1, of which `leaderless` has no leader (-1:
 * all have one). */
static rd_kafka_metadata_topic_t said(const char *name, int count, int leaderless,
                                      rd_kafka_resp_err_t code)
{
  static rd_kafka_metadata_partition_t partitions[8][4];
  static int next;
  rd_kafka_metadata_partition_t *mine = partitions[next++ % 8];
  for (int i = 0; i < count; i++) {
    int id = count - 1 - i; /* brokers name them in any order */
    mine[i] = (rd_kafka_metadata_partition_t){
      .id = id, .leader = id == leaderless || leaderless == 9 ? -1 : 0};
  }
  return (rd_kafka_metadata_topic_t){
    .topic = (char *)(uintptr_t)name, .partition_cnt = count, .partitions = mine, .err = code};
}

static int32_t known(const char *name)
{
  const struct uk_kafka_topic *topic = uk_kafka_catalog_find(&catalog, uk_slice_text(name));
  return topic != NULL ? topic->partitions : 0;
}

static enum uk_error learn(const rd_kafka_metadata_topic_t topic, int32_t *partitions)
{
  return uk_kafka_error(uk_kafka_catalog_learn(&catalog, &topic, partitions));
}

/* For a topic that was known with two partitions. */
static void learns_the_metadata_of_a_topic(void)
{
  static const struct {
    const char *name;
    int count;
    rd_kafka_resp_err_t code;
    enum uk_error error;
    int32_t known;
  } rows[] = {
    {"t", 3, RD_KAFKA_RESP_ERR_NO_ERROR, UK_OK, 3},
    {"t", 1, RD_KAFKA_RESP_ERR_NO_ERROR, UK_OK, 1},
    {"t", 0, RD_KAFKA_RESP_ERR_NO_ERROR, UK_E_UNAVAILABLE, 2}, /* being created */
    {"t", 3, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, UK_OK, 3},
    {"t", 0, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, UK_E_UNAVAILABLE, 2},
    {"t", 0, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, UK_E_NOT_FOUND, 0},
    {"t", 3, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, UK_E_NOT_FOUND, 0},
    {"t", 0, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, UK_E_NOT_FOUND, 0}, /* not a topic name */
    {"t", 3, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN, 2},
    {"t", 0, RD_KAFKA_RESP_ERR_UNKNOWN, UK_E_INTERNAL, 2},
    {"__consumer_offsets", 3, RD_KAFKA_RESP_ERR_NO_ERROR, UK_E_NOT_FOUND, 0},
    {"__transaction_state", 3, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, UK_E_NOT_FOUND, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int32_t partitions = -1;
    uk_kafka_catalog_init(&catalog);
    CHECK_EQ_INT(learn(said("t", 2, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions), UK_OK);
    CHECK_EQ_INT(partitions, 2);
    CHECK_EQ_INT(learn(said(rows[i].name, rows[i].count, -1, rows[i].code), &partitions),
                 rows[i].error);
    if (rows[i].error == UK_OK)
      CHECK_EQ_INT(partitions, rows[i].count);
    if (!CHECK_EQ_INT(known(rows[i].name), rows[i].known))
      fprintf(stderr, "  row %zu\n", i);
    uk_kafka_catalog_free(&catalog);
  }
}

static bool leaderless(int32_t partition)
{
  return uk_kafka_topic_leaderless(uk_kafka_catalog_find(&catalog, uk_slice_text("t")), partition);
}

static void knows_which_partitions_have_no_leader(void)
{
  int32_t partitions;
  long live = fault_live();
  uk_kafka_catalog_init(&catalog);
  (void)learn(said("t", 3, 1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(!leaderless(0) && leaderless(1) && !leaderless(2) && !leaderless(3));
  CHECK(uk_kafka_catalog_find(&catalog, uk_slice_text("t"))->reported_at > 0);
  uk_kafka_catalog_find(&catalog, uk_slice_text("t"))->reported_at = -1; /* long ago */
  (void)learn(said("t", 3, 9, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE), &partitions);
  CHECK(leaderless(0) && leaderless(1) && leaderless(2));
  CHECK(uk_kafka_catalog_find(&catalog, uk_slice_text("t"))->reported_at > 0);
  (void)learn(said("t", 3, 2, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(!leaderless(0) && !leaderless(1) && leaderless(2));
  (void)learn(said("t", 3, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(!leaderless(0) && !leaderless(1) && !leaderless(2));
  uk_kafka_catalog_free(&catalog);
  CHECK_EQ_INT(fault_live(), live);
}

static void learn_all(rd_kafka_metadata_topic_t *topics, int count)
{
  const rd_kafka_metadata_t all = {.topics = topics, .topic_cnt = count};
  uk_kafka_catalog_learn_all(&catalog, &all);
}

/* Metadata of all topics removes topics that it does not contain, however recent. */
static void forgets_topics_that_are_not_listed(void)
{
  int32_t partitions;
  rd_kafka_metadata_topic_t first[] = {said("a", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR),
                                       said("b", 2, -1, RD_KAFKA_RESP_ERR_NO_ERROR)};
  rd_kafka_metadata_topic_t next[] = {said("__consumer_offsets", 3, -1, RD_KAFKA_RESP_ERR_NO_ERROR),
                                      said("b", 3, -1, RD_KAFKA_RESP_ERR_NO_ERROR)};
  uk_kafka_catalog_init(&catalog);
  CHECK(!catalog.groupless); /* nothing is known yet */
  learn_all(first, 2);
  CHECK(catalog.groupless);
  (void)learn(said("c", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK_EQ_INT(known("a"), 1);
  CHECK_EQ_INT(known("b"), 2);
  CHECK_EQ_INT(known("c"), 1);
  learn_all(next, 2);
  CHECK(!catalog.groupless);
  CHECK_EQ_INT(known("a"), 0);
  CHECK_EQ_INT(known("b"), 3);
  CHECK_EQ_INT(known("c"), 0);
  learn_all(first, 2);
  CHECK(catalog.groupless);
  uk_kafka_catalog_forget(&catalog, uk_slice_text("a"));
  uk_kafka_catalog_forget(&catalog, uk_slice_text("nothing"));
  CHECK_EQ_INT(known("a"), 0);
  learn_all(NULL, 0);
  CHECK_EQ_INT(catalog.table.count, 0);
  uk_kafka_catalog_free(&catalog);
}

static bool renewed(const char *name)
{
  return uk_kafka_catalog_is_renewed(&catalog, uk_slice_text(name));
}

/* A name must not be read once its topic is freed. */
static void spoil(const void *memory)
{
  memset((void *)(uintptr_t)memory, '#', malloc_usable_size((void *)(uintptr_t)memory));
}

static const rd_kafka_resp_err_t GONE = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;

/* What was forgotten may have been gone in between; what the cluster never had is new. */
static void knows_which_topics_were_created_again(void)
{
  int32_t partitions;
  rd_kafka_metadata_topic_t topics[2];
  long live = fault_live();
  uk_kafka_catalog_init(&catalog);
  learn(said("new", 0, -1, GONE), &partitions);
  learn(said("new", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(!renewed("new"));
  learn(said("new", 0, -1, GONE), &partitions);
  learn(said("new", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(renewed("new"));
  /* As a deletion through this server does. */
  learn(said("deleted", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  uk_kafka_catalog_forget(&catalog, uk_slice_text("deleted"));
  CHECK(!renewed("deleted"));
  learn(said("deleted", 0, -1, GONE), &partitions);
  CHECK(renewed("deleted"));
  learn(said("doubted", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  uk_kafka_catalog_forget(&catalog, uk_slice_text("doubted"));
  learn(said("doubted", 2, -1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions);
  CHECK(!renewed("doubted"));
  CHECK_EQ_INT(catalog.forgotten.table.count, 0);
  uk_kafka_catalog_forget(&catalog, uk_slice_text("unknown"));
  learn(said("unknown", 0, -1, GONE), &partitions);
  CHECK(!renewed("unknown"));
  topics[0] = said("new", 1, -1, RD_KAFKA_RESP_ERR_NO_ERROR);
  fault_watch_free(spoil);
  learn_all(topics, 1);
  fault_watch_free(NULL);
  CHECK(renewed("doubted"));
  CHECK_EQ_INT(known("doubted"), 0);
  CHECK_EQ_INT(catalog.gone.table.count, 3);
  CHECK_EQ_INT(catalog.forgotten.table.count, 0); /* whether they are there is known */
  uk_kafka_catalog_free(&catalog);
  CHECK_EQ_INT(fault_live(), live);
}

static void keeps_as_many_brokers_as_fit(void)
{
  static const int counts[] = {0, 1, UK_KAFKA_BROKERS_MAX, UK_KAFKA_BROKERS_MAX + 1, MANY, 3};
  static rd_kafka_metadata_broker_t brokers[MANY];
  uk_kafka_catalog_init(&catalog);
  for (int i = 0; i < MANY; i++)
    brokers[i].id = 1000 + i;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    const rd_kafka_metadata_t all = {.brokers = brokers, .broker_cnt = counts[i]};
    size_t wanted =
      (size_t)counts[i] < UK_KAFKA_BROKERS_MAX ? (size_t)counts[i] : (size_t)UK_KAFKA_BROKERS_MAX;
    uk_kafka_catalog_learn_brokers(&catalog, &all);
    CHECK_EQ_INT(catalog.broker_count, wanted);
    for (size_t j = 0; j < wanted; j++)
      CHECK_EQ_INT(catalog.brokers[j], 1000 + j);
  }
  uk_kafka_catalog_free(&catalog);
}

static void note(void *argument, struct uk_slice topic, int32_t partitions)
{
  char *text = argument;
  snprintf(text + strlen(text), 100 - strlen(text), "%.*s=%d ", (int)topic.length, topic.data,
           (int)partitions);
}

/* Clients choose the names, and must not know the order of the table. */
static void each_catalog_has_a_seed_of_its_own(void)
{
  uint64_t seeds[2];
  for (int i = 0; i < 2; i++) {
    uk_kafka_catalog_init(&catalog);
    seeds[i] = catalog.table.seed;
    uk_kafka_catalog_free(&catalog);
  }
  CHECK(seeds[0] != seeds[1]);
}

static void names_all_in_order(void)
{
  static const char *const names[] = {"b", "ab", "a", "c", "B", "aa"};
  char text[100] = "";
  uk_kafka_catalog_init(&catalog);
  CHECK(uk_kafka_catalog_each(&catalog, note, text));
  CHECK_EQ_STR(text, "");
  for (int32_t i = 0; i < 6; i++)
    CHECK(uk_kafka_catalog_keep(&catalog, uk_slice_text(names[i]), i + 1) != NULL);
  CHECK(uk_kafka_catalog_each(&catalog, note, text));
  CHECK_EQ_STR(text, "B=5 a=3 aa=6 ab=2 b=1 c=4 ");
  uk_kafka_catalog_free(&catalog);
}

static void without_memory_a_topic_stays_unknown(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    int32_t partitions;
    uk_kafka_catalog_init(&catalog);
    fault_at(n);
    CHECK_EQ_INT(learn(said("t", 2, 1, RD_KAFKA_RESP_ERR_NO_ERROR), &partitions), UK_OK);
    hit = fault_hit();
    fault_off();
    CHECK(known("t") == 2 || hit);
    uk_kafka_catalog_free(&catalog);
  }
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(learns_the_metadata_of_a_topic);
  CHECK_RUN(knows_which_partitions_have_no_leader);
  CHECK_RUN(forgets_topics_that_are_not_listed);
  CHECK_RUN(knows_which_topics_were_created_again);
  CHECK_RUN(keeps_as_many_brokers_as_fit);
  CHECK_RUN(each_catalog_has_a_seed_of_its_own);
  CHECK_RUN(names_all_in_order);
  CHECK_RUN(without_memory_a_topic_stays_unknown);
  return check_end();
}
