/* for: api_group.c, dispatch.c, api_consumers.c, api_health.c, api_webhook.c
 *
 * The matrix of permissions: each kind of credential, each endpoint, topics and groups inside and
 * outside of the patterns. No answer names what the credentials do not admit. */
#include "api_rig.h"
#include "check.h"
#include "common/clock.h"

static struct api_rig rig;
static struct api_answer answer;
static int acts;                 /* operations that did what the request asks */
static const char *committed_in; /* the topic in which every group has committed; NULL: none */
static const char *held;         /* the topic that an instance of every group holds */
static enum uk_error committed_error;

static void end(struct uk_operation *operation)
{
  acts++;
  operation->done(operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void committed(struct uk_engine *engine, struct uk_committed *operation)
{
  (void)engine;
  for (size_t i = 0; i < operation->count; i++) {
    CHECK_EQ_SLICE(operation->group, rig.header_value); /* the group of the request */
    operation->offsets[i].offset = committed_in != NULL &&
                                       uk_slice_is(operation->offsets[i].topic, committed_in) &&
                                       operation->offsets[i].partition == 2
                                     ? 0
                                     : -1;
  }
  if (committed_error != UK_OK)
    uk_operation_fail(&operation->operation, committed_error, "topic \"secret\" hides");
  operation->operation.done(&operation->operation);
}

static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  static const int32_t partition = 0;
  const struct uk_slice groups[] = {uk_slice_text("mine"), uk_slice_text("other")};
  (void)engine;
  for (size_t i = 0; held != NULL && i < 2; i++)
    operation->owned(&operation->operation, groups[i], uk_slice_text("i"), uk_slice_text(held),
                     &partition, 1);
  for (size_t i = 0; i < 2; i++)
    operation->owned(&operation->operation, groups[i], uk_slice_text("idle"), (struct uk_slice){0},
                     NULL, 0);
  end(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  operation->topic(&operation->operation, uk_slice_text("__consumer_offsets"), 50);
  operation->topic(&operation->operation, uk_slice_text("own"), 1);
  operation->topic(&operation->operation, uk_slice_text("secret"), 3);
  operation->topic(&operation->operation, uk_slice_text("secret2"), 40);
  end(&operation->operation);
}

static void offsets(struct uk_engine *engine, struct uk_offsets *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  (void)engine;
  end(&operation->operation);
}

static void delete_topic(struct uk_engine *engine, struct uk_delete_topic *operation)
{
  (void)engine;
  end(&operation->operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  snprintf(detail, size, "secret broker");
  return UK_E_UNAVAILABLE;
}

static const struct uk_engine_methods methods = {.name = "played",
                                                 .produce = produce,
                                                 .fetch = fetch,
                                                 .consume = consume,
                                                 .commit = commit,
                                                 .committed = committed,
                                                 .delete_consumer = delete_consumer,
                                                 .consumers = consumers,
                                                 .offsets = offsets,
                                                 .topics = topics,
                                                 .create_topic = create_topic,
                                                 .delete_topic = delete_topic,
                                                 .health = health};

/* Users. "narrow" ones have the topics own*, and "grouped" the groups mine* too. */
enum {
  P = 1, /* may produce */
  C = 2,
  M = 4,
  F = 8,
  WIDE = 16,
  GROUPED = 32
};

static const struct {
  const char *name;
  unsigned is;
} users[] = {
  {"full", P | C | M | F | WIDE}, {"full-narrow", P | C | M | F}, {"produce", P | WIDE},
  {"produce-narrow", P},          {"consume", C | WIDE},          {"consume-narrow", C},
  {"grouped", C | GROUPED},       {"monitor", M | WIDE},          {"monitor-narrow", M},
};
enum { USERS = sizeof users / sizeof *users };

static void add_user(const char *name, unsigned is)
{
  const struct uk_slice topic = uk_slice_text((is & WIDE) != 0 ? "*" : "own*");
  const struct uk_slice group = uk_slice_text("mine*");
  const struct uk_credential_settings settings = {
    .username = uk_slice_text(name),
    .password = uk_slice_text("p"),
    .permissions = is & (P | C | M | F),
    .topics = &topic,
    .topic_count = 1,
    .groups = &group,
    .group_count = (is & GROUPED) != 0 ? 1 : 0,
  };
  const enum uk_error error = uk_access_add(rig.server.access, &settings);
  CHECK(error == UK_OK || error == UK_E_CONFLICT); /* the rig has three of them */
}

static void open_rig(void)
{
  REQUIRE(api_rig_open(&rig, &methods));
  rig.header = "X-Group";
  rig.header_value = "mine";
  for (size_t i = 0; i < USERS; i++)
    add_user(users[i].name, users[i].is);
  committed_in = held = NULL;
  committed_error = UK_OK;
}

/* Each endpoint: who may call it, and where it names a topic ($T) and a group ($G). */
static const struct {
  enum uk_endpoint endpoint;
  unsigned may;
  enum uk_method method;
  const char *path, *body;
} rows[] = {
  {UK_ENDPOINT_PRODUCE_ONE, P, UK_GET, "/produce/$T/v", ""},
  {UK_ENDPOINT_PRODUCE_TOPIC, P, UK_POST, "/produce/$T", "{\"value\":\"v\"}"},
  {UK_ENDPOINT_PRODUCE, P, UK_POST, "/produce", "{\"topic\":\"$T\",\"value\":\"v\"}"},
  {UK_ENDPOINT_WEBHOOK, P, UK_POST, "/webhook?topic=$T", "v"},
  {UK_ENDPOINT_CONSUME_TOPIC, C, UK_GET, "/consume/$G/i/$T", ""},
  {UK_ENDPOINT_CONSUME, C, UK_POST, "/consume/$G/i", "{\"topics\":[\"own\",\"$T\"]}"},
  {UK_ENDPOINT_COMMIT, C, UK_POST, "/commit/$G/i",
   "{\"topic\":\"$T\",\"partition\":0,\"offset\":1}"},
  {UK_ENDPOINT_DELETE_CONSUMER, C, UK_DELETE, "/delete-consumer/$G/i", ""},
  {UK_ENDPOINT_COMMITTED, C, UK_POST, "/committed/$G/i", "{\"topic\":\"$T\",\"partition\":0}"},
  {UK_ENDPOINT_CONSUMERS, C | M, UK_GET, "/consumers", ""},
  {UK_ENDPOINT_FETCH, C, UK_POST, "/fetch", "{\"topic\":\"$T\",\"partition\":0,\"offset\":0}"},
  {UK_ENDPOINT_TOPICS, P | C | M | F, UK_GET, "/topics", ""},
  {UK_ENDPOINT_OFFSETS, C, UK_POST, "/offsets/latest", "{\"topic\":\"$T\",\"partition\":0}"},
  {UK_ENDPOINT_CREATE_TOPIC, F, UK_POST, "/topics/$T", ""},
  {UK_ENDPOINT_DELETE_TOPIC, F, UK_DELETE, "/topics/$T", ""},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void fill_in(char *out, size_t size, const char *text, const char *topic, const char *group)
{
  size_t length = 0;
  for (; *text != '\0' && length + 1 < size; text++) {
    const char *word = text[0] != '$' ? NULL : text[1] == 'T' ? topic : group;
    if (word == NULL) {
      out[length++] = *text;
      continue;
    }
    length += (size_t)snprintf(out + length, size - length, "%s", word);
    text++;
  }
  out[length] = '\0';
}

static void ask(size_t row, const char *user, const char *topic, const char *group)
{
  char path[200], body[200];
  fill_in(path, sizeof path, rows[row].path, topic, group);
  fill_in(body, sizeof body, rows[row].body, topic, group);
  rig.header_value = group;
  acts = 0;
  api_rig_ask(&rig, user, rows[row].method, path, body, &answer);
}

static bool names(size_t row, const char *what)
{
  return strstr(rows[row].path, what) != NULL || strstr(rows[row].body, what) != NULL;
}

/* Without a foreign topic of the group. */
static void check_cell(size_t row, size_t user, bool own_topic, bool own_group)
{
  const unsigned is = users[user].is;
  const bool topic = own_topic || (is & WIDE) != 0 || !names(row, "$T");
  const bool group = own_group || (is & GROUPED) == 0 || !names(row, "$G");
  const bool may = (rows[row].may & is) != 0 && topic && group;
  ask(row, users[user].name, own_topic ? "own" : "secret", own_group ? "mine" : "other");
  if (!CHECK_EQ_INT(answer.status == 403, !may) || !CHECK(may || acts == 0))
    fprintf(stderr, "  %s, row %zu, topic %d, group %d: %d %s\n", users[user].name, row, own_topic,
            own_group, answer.status, answer.text);
  if (may)
    CHECK(answer.status == 200 || answer.status == 201);
  if ((is & WIDE) == 0 && own_topic)
    CHECK(strstr(answer.text, "secret") == NULL);
  if ((is & GROUPED) != 0 && own_group)
    CHECK(strstr(answer.text, "other") == NULL);
}

static void every_cell_of_the_matrix(void)
{
  open_rig();
  held = "own";
  committed_in = "own";
  for (size_t row = 0; row < ROWS; row++) {
    CHECK_EQ_INT(rows[row].endpoint, row); /* none is left out but /health and / */
    for (size_t user = 0; user < USERS; user++) {
      for (int i = 0; i < 4; i++)
        check_cell(row, user, (i & 1) != 0, (i & 2) != 0);
    }
  }
  CHECK_EQ_INT(ROWS + 2, UK_ENDPOINT_COUNT);
  api_rig_close(&rig);
}

/* A group with a topic that the credentials do not admit belongs to somebody else too. */
static void a_group_with_a_foreign_topic_is_refused(void)
{
  static const size_t group_rows[] = {UK_ENDPOINT_CONSUME_TOPIC, UK_ENDPOINT_CONSUME,
                                      UK_ENDPOINT_COMMIT, UK_ENDPOINT_DELETE_CONSUMER};
  static const char *const foreign = "secret";
  open_rig();
  for (int way = 0; way < 2; way++) {
    committed_in = way == 0 ? foreign : NULL;
    held = way == 0 ? NULL : foreign;
    for (size_t i = 0; i < sizeof group_rows / sizeof *group_rows; i++) {
      ask(group_rows[i], "consume-narrow", "own", "mine");
      CHECK_EQ_INT(answer.status, 403);
      CHECK_EQ_STR(answer.text,
                   "{\"error\":\"group \\\"mine\\\": the credentials do not permit every topic of "
                   "this group\",\"status\":403}");
      CHECK(!answer.carried_out);
      CHECK_EQ_INT(acts, way == 0 ? 1 : 2); /* it only looked */
      ask(group_rows[i], "consume", "own", "mine");
      CHECK_EQ_INT(answer.status, 200);
      CHECK_EQ_INT(acts, 1); /* it did not look */
    }
    ask(UK_ENDPOINT_COMMITTED, "consume-narrow", "own", "mine");
    CHECK_EQ_INT(answer.status, 200);
  }
  held = "secret";
  ask(UK_ENDPOINT_CONSUME_TOPIC, "consume-narrow", "own", "third"); /* another group */
  CHECK_EQ_INT(answer.status, 200);
  api_rig_close(&rig);
}

/* What the engine says about topics of others reaches nobody. */
static void a_failed_look_names_nothing(void)
{
  static const enum uk_error errors[] = {UK_E_NOT_FOUND, UK_E_UNAVAILABLE, UK_E_INTERNAL,
                                         UK_E_NO_MEMORY};
  open_rig();
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    committed_error = errors[i];
    ask(UK_ENDPOINT_COMMIT, "consume-narrow", "own", "mine");
    CHECK_EQ_INT(answer.status, 503);
    CHECK(strstr(answer.text, "secret") == NULL);
    CHECK_EQ_INT(acts, 1);
  }
  committed_error = UK_E_BAD_REQUEST; /* the group's name is none for the cluster */
  ask(UK_ENDPOINT_COMMIT, "consume-narrow", "own", "mine");
  CHECK_EQ_INT(answer.status, 400);
  api_rig_close(&rig);
}

static void listings_show_the_admitted_part(void)
{
  open_rig();
  held = "secret";
  ask(UK_ENDPOINT_CONSUMERS, "monitor-narrow", "", "mine");
  CHECK_EQ_STR(answer.text, "[]");
  ask(UK_ENDPOINT_CONSUMERS, "monitor", "", "mine");
  CHECK(strstr(answer.text, "secret") != NULL && strstr(answer.text, "idle") != NULL);
  held = "own";
  ask(UK_ENDPOINT_CONSUMERS, "grouped", "", "mine");
  CHECK_EQ_STR(answer.text, "[{\"name\":\"mine\",\"instances\":[{\"name\":\"i\",\"topics\":"
                            "[{\"topic\":\"own\",\"partitions\":[0]}]}]}]");
  ask(UK_ENDPOINT_TOPICS, "produce-narrow", "", "mine");
  CHECK_EQ_STR(answer.text, "{\"own\":1}");
  api_rig_close(&rig);
}

static void health_explains_to_those_with_credentials(void)
{
  open_rig();
  for (size_t i = 0; i < USERS; i++) {
    api_rig_ask(&rig, users[i].name, UK_GET, "/health", "", &answer);
    CHECK_EQ_STR(answer.text, "{\"error\":\"secret broker\",\"status\":503,\"engine\":\"played\"}");
  }
  api_rig_ask(&rig, "nobody", UK_GET, "/health", "", &answer);
  CHECK_EQ_STR(answer.text, "{\"error\":\"the server cannot serve this "
                            "now\",\"status\":503,\"engine\":\"played\"}");
  api_rig_close(&rig);
}

static void a_webhook_takes_no_control_character(void)
{
  static const struct {
    const char *value;
    int status;
  } values[] = {{"a\tb", 200}, {"caf\xc3\xa9", 200}, {"", 200},      {"a\x1b[2J", 400},
                {"\n", 400},   {"a\x7f", 400},       {"a\x1f", 400}, {"~ ", 200}};
  open_rig();
  rig.header = "X-Trace";
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    rig.header_value = values[i].value;
    acts = 0;
    api_rig_ask(&rig, "full", UK_POST, "/webhook?topic=own", "v", &answer);
    CHECK_EQ_INT(answer.status, values[i].status);
    CHECK_EQ_INT(acts, values[i].status == 200);
    if (values[i].status == 400)
      CHECK_EQ_STR(answer.text, "{\"error\":\"X-Trace: a value without control characters "
                                "expected\",\"status\":400}");
  }
  rig.header = "User-Agent"; /* becomes no header of the message */
  rig.header_value = "a\x1b";
  api_rig_ask(&rig, "full", UK_POST, "/webhook?topic=own", "v", &answer);
  CHECK_EQ_INT(answer.status, 200);
  api_rig_close(&rig);
}

/* Whatever is wrong with a query that holds credentials, no error repeats them. */
static void no_error_repeats_credentials_of_a_query(void)
{
  static const char *const paths[] = {
    "/webhook?topic=own&user=hush1&pass=hush2",
    "/webhook?topic=own&user=hush1%zz&pass=hush2%zz",
    "/webhook?topic=own&user=full&user=hush1&pass=hush2",
    "/webhook?topic=own&pass=hush2&pass=p&user=full",
    "/webhook?user=full&pass=hush2",
    "/produce?user=hush1&pass=hush2",
    "/produce/own/v?user=hush1&pass=hush2%",
    "/topics?user=hush1%zz&pass=hush2",
    "/nowhere?user=hush1&pass=hush2",
  };
  static const struct uk_browser foreign_link = {
    .has_fetch_mode = true, .foreign = true, .unscripted = true};
  for (int browser = 0; browser < 2; browser++) {
    open_rig();
    rig.browser = browser ? foreign_link : (struct uk_browser){0};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
      api_rig_ask(&rig, i % 2 ? "full" : "nobody", UK_POST, paths[i], "v", &answer);
      if (!CHECK(strstr(answer.text, "hush") == NULL && strstr(answer.headers, "hush") == NULL))
        fprintf(stderr, "  %s: %s\n", paths[i], answer.text);
    }
    api_rig_close(&rig);
  }
}

int main(void)
{
  check_run("E9: every cell of the matrix", every_cell_of_the_matrix);
  check_run("E9: a group with a foreign topic is refused", a_group_with_a_foreign_topic_is_refused);
  check_run("E9: a failed look names nothing", a_failed_look_names_nothing);
  check_run("E9: listings show the admitted part", listings_show_the_admitted_part);
  check_run("E9: health explains to those with credentials",
            health_explains_to_those_with_credentials);
  check_run("E9: a webhook takes no control character", a_webhook_takes_no_control_character);
  check_run("E9: no error repeats credentials of a query", no_error_repeats_credentials_of_a_query);
  return check_end();
}
