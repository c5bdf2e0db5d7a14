/* for: api_consume.c, api.c */
#include "api_rig.h"
#include "check.h"

static bool asked, may_create;

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  asked = true;
  may_create = operation->create;
  operation->operation.error = UK_OK;
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played", .consume = consume};

/* B7: credentials that may not produce to a topic do not create it. */
static void a_consume_creates_a_topic_if_a_produce_would(void)
{
  static const struct {
    const char *user;
    int status;
    bool creates;
  } rows[] = {{"full", 200, true}, {"consume", 200, false}, {"produce", 403, false}};
  struct api_rig rig;
  struct api_answer answer;
  REQUIRE(api_rig_open(&rig, &methods));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    asked = may_create = false;
    api_rig_ask(&rig, rows[i].user, UK_GET, "/consume/g/i/t", "", &answer);
    CHECK_EQ_INT(answer.status, rows[i].status);
    CHECK(asked == (rows[i].status == 200));
    CHECK(may_create == rows[i].creates);
  }
  api_rig_close(&rig);
}

/* A4: no engine is asked about an internal topic. */
static void internal_topics_reach_no_engine(void)
{
  struct api_rig rig;
  struct api_answer answer;
  asked = false;
  REQUIRE(api_rig_open(&rig, &methods));
  api_rig_ask(&rig, "full", UK_GET, "/consume/g/i/__consumer_offsets", "", &answer);
  CHECK_EQ_INT(answer.status, 404);
  CHECK_EQ_STR(answer.text,
               "{\"error\":\"topic \\\"__consumer_offsets\\\" does not exist\",\"status\":404}");
  CHECK(!asked);
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(a_consume_creates_a_topic_if_a_produce_would);
  CHECK_RUN(internal_topics_reach_no_engine);
  return check_end();
}
