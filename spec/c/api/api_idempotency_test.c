/* for: api_idempotency.c, api_produce.c, api_webhook.c, request.c, credentials.c
 *
 * The key of a produce: what it consists of, and which requests are the same. */
#include "api_rig.h"
#include "check.h"
#include "fault.h"

enum { FINGERPRINT = sizeof((struct uk_produce_key){0}.fingerprint), KEY_MAX = 128 };

static struct api_rig rig;
static struct api_answer answer;

/* What the engine was asked last, and what it answers. */
static int calls;
static char user[300], key[KEY_MAX + 1];
static uint8_t fingerprint[FINGERPRINT];
static bool replays;
static enum uk_error outcome;
static const char *reason;

static void copy(char *out, size_t size, struct uk_slice slice)
{
  snprintf(out, size, "%.*s", (int)slice.length, slice.length > 0 ? slice.data : "");
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  struct uk_request *request = operation->operation.context;
  void *more = uk_arena_allocate(&request->arena, 1, 64);
  (void)engine;
  if (CHECK(more != NULL))
    memset(more, 0xff, 64); /* the key must be in memory of its own */
  calls++;
  copy(user, sizeof user, operation->key.user);
  copy(key, sizeof key, operation->key.key);
  memcpy(fingerprint, operation->key.fingerprint, sizeof fingerprint);
  operation->replayed = replays;
  if (outcome != UK_OK)
    uk_operation_fail(&operation->operation, outcome, "%s", reason);
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played", .produce = produce};

static void open_rig(void)
{
  replays = false;
  outcome = UK_OK;
  CHECK(api_rig_open(&rig, &methods));
}

struct asking {
  enum uk_method method;
  const char *path, *body, *encoding;
};

static void ask_as(const char *name, const struct asking *asking, const char *idempotency_key)
{
  const struct api_header headers[] = {{"Idempotency-Key", idempotency_key},
                                       {"Kafka-Encoding", asking->encoding}};
  calls = 0;
  user[0] = key[0] = '\0';
  memset(fingerprint, 0, sizeof fingerprint);
  rig.headers = idempotency_key != NULL ? headers : headers + 1;
  rig.header_count = (size_t)(idempotency_key != NULL) + (asking->encoding != NULL);
  api_rig_ask(&rig, name, asking->method, asking->path, asking->body, &answer);
}

static void ask(const struct asking *asking, const char *idempotency_key)
{
  ask_as("full", asking, idempotency_key);
}

static const struct asking endpoints[] = {
  {UK_GET, "/produce/t/v", "", NULL},
  {UK_POST, "/produce/t", "{\"value\":\"v\"}", NULL},
  {UK_GET, "/produce", "[{\"topic\":\"t\",\"value\":\"v\"}]", NULL},
  {UK_POST, "/webhook?topic=t", "v", NULL},
};
enum { ENDPOINTS = sizeof endpoints / sizeof *endpoints };

static bool has_fingerprint(void)
{
  static const uint8_t none[FINGERPRINT];
  return memcmp(fingerprint, none, sizeof none) != 0;
}

static void every_produce_takes_a_key(void)
{
  char longest[KEY_MAX + 1];
  memset(longest, '~', KEY_MAX);
  longest[KEY_MAX] = '\0';
  const char *const keys[] = {"k", "!", "8e03978e-40d5-43e8-bc93-6894a57f9324", longest};
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    ask(&endpoints[i], NULL);
    CHECK_EQ_INT(calls, 1);
    CHECK_EQ_STR(key, "");
    CHECK(!has_fingerprint());
    for (size_t j = 0; j < sizeof keys / sizeof *keys; j++) {
      ask_as("produce", &endpoints[i], keys[j]);
      CHECK_EQ_INT(answer.status, 200);
      CHECK_EQ_STR(key, keys[j]);
      CHECK_EQ_STR(user, "produce");
      CHECK(has_fingerprint());
    }
  }
  api_rig_close(&rig);
}

static void refuses_a_wrong_key(void)
{
  char longer[KEY_MAX + 2], expected[300];
  memset(longer, 'x', KEY_MAX + 1);
  longer[KEY_MAX + 1] = '\0';
  const struct {
    const char *key, *shown;
  } rows[] = {{"", ""},
              {"a b", "a b"},
              {" a", " a"},
              {"\x7f", "\x7f"},
              {"\xc3\xa4", "\xc3\xa4"},
              {longer, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}};
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
      ask(&endpoints[i], rows[j].key);
      snprintf(expected, sizeof expected,
               "{\"error\":\"Idempotency-Key: 1 to 128 visible ASCII characters expected, got "
               "\\\"%s\\\"\",\"status\":400}",
               rows[j].shown);
      CHECK_EQ_STR(answer.text, expected);
      CHECK_EQ_INT(calls, 0);
    }
  }
  api_rig_close(&rig);
}

/* Rows with the same number are the same request. All others differ. */
static const struct {
  int number;
  struct asking asking;
} requests[] = {
  {1, {UK_GET, "/produce/t/v", "", NULL}},
  {1, {UK_GET, "/produce/t/v/", "", NULL}},
  {1, {UK_GET, "//produce/t/%76", "", NULL}},
  {1, {UK_GET, "/produce/t/v?_=1764000000000", "", NULL}},
  {2, {UK_GET, "/produce/t/w", "", NULL}},
  {3, {UK_GET, "/produce/tv/v", "", NULL}},
  {4, {UK_GET, "/produce/t/v?key=k", "", NULL}},
  {4, {UK_GET, "/produce/t/v?%6bey=%6b&_x=%zz", "", NULL}},
  {5, {UK_GET, "/produce/t/v?key=l", "", NULL}},
  {6, {UK_GET, "/produce/t/v?key=", "", NULL}},
  {7, {UK_GET, "/produce/t/djdn", "", "base64"}},
  {7, {UK_GET, "/produce/t/djdn", "", "BASE64"}},
  {8, {UK_GET, "/produce/t/djdn", "", NULL}},
  {9, {UK_GET, "/produce/t/djdn?key=a%2bbb", "", "base64"}},
  {10, {UK_POST, "/produce/t", "{\"value\":\"v\"}", NULL}},
  {10, {UK_POST, "/produce/t?_x", "{\"value\":\"v\"}", NULL}},
  {11, {UK_GET, "/produce/t", "{\"value\":\"v\"}", NULL}},
  {12, {UK_POST, "/produce/t", "{\"value\":\"\\u0076\"}", NULL}},
  {13, {UK_POST, "/produce/t", "{\"value\":\"v\"} ", NULL}},
  {14, {UK_POST, "/produce/t", "{\"value\":\"djdn\",\"headers\":{\"a\":\"YQ==\"}}", "base64"}},
  {15, {UK_POST, "/produce/t", "{\"value\":\"djdn\",\"headers\":{\"a\":\"YQ==\"}}", NULL}},
  {16, {UK_POST, "/produce", "[{\"topic\":\"t\",\"value\":\"a\\nb\"}]", NULL}},
  {17, {UK_POST, "/webhook?topic=t", "v", NULL}},
  {17, {UK_POST, "/webhook?topic=t&user=full&pass=p", "v", NULL}},
  {17, {UK_POST, "/webhook?topic=%74&pass=q&_=1", "v", NULL}},
  {18, {UK_POST, "/webhook?topic=t", "w", NULL}},
  {19, {UK_POST, "/webhook?topic=t&source=a", "v", NULL}},
  {20, {UK_POST, "/webhook?topic=t&sourcea=", "v", NULL}},
  {21, {UK_POST, "/webhook?topic=t&source=%zz", "v", NULL}},
  {22, {UK_POST, "/webhook?topic=t&source=%zy", "v", NULL}},
  {23, {UK_GET, "/webhook?topic=t", "v", NULL}},
};
enum { REQUESTS = sizeof requests / sizeof *requests };

/* Also after the readers have changed path and body in place: each is asked twice. */
static void tells_requests_apart(void)
{
  uint8_t seen[REQUESTS][FINGERPRINT];
  open_rig();
  for (size_t i = 0; i < 2 * REQUESTS; i++) {
    const size_t row = i % REQUESTS;
    ask(&requests[row].asking, i < REQUESTS ? "first" : "second");
    if (!CHECK(answer.status == 200 && calls == 1))
      fprintf(stderr, "  %s: %s\n", requests[row].asking.path, answer.text);
    CHECK(i < REQUESTS || memcmp(seen[row], fingerprint, FINGERPRINT) == 0);
    memcpy(seen[row], fingerprint, FINGERPRINT);
  }
  for (size_t i = 0; i < REQUESTS; i++) {
    for (size_t j = 0; j < i; j++) {
      const bool same = memcmp(seen[i], seen[j], FINGERPRINT) == 0;
      if (!CHECK(same == (requests[i].number == requests[j].number)))
        fprintf(stderr, "  rows %zu and %zu\n", i, j);
    }
  }
  api_rig_close(&rig);
}

/* A key that is kept must mean the same to the next version. */
static void a_fingerprint_never_changes(void)
{
  static const char digits[] = "0123456789abcdef";
  char text[2 * FINGERPRINT + 1] = "";
  open_rig();
  ask(&(struct asking){UK_POST, "/webhook?topic=t&source=a", "v", "base64"}, "k");
  for (size_t i = 0; i < FINGERPRINT; i++) {
    text[2 * i] = digits[fingerprint[i] >> 4];
    text[2 * i + 1] = digits[fingerprint[i] & 15];
  }
  CHECK_EQ_STR(text, "a877f4a41e5c16dd08cd88f141d375d0");
  api_rig_close(&rig);
}

static void says_that_an_answer_is_replayed(void)
{
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    for (int j = 0; j < 2; j++) {
      replays = j == 1;
      ask(&endpoints[i], "k");
      CHECK_EQ_INT(answer.status, 200);
      CHECK_EQ_STR(answer.headers, replays ? "Idempotent-Replayed: true\n" : "");
    }
  }
  api_rig_close(&rig);
}

static void answers_with_the_engines_error(void)
{
  open_rig();
  outcome = UK_E_UNPROCESSABLE;
  reason = "";
  ask(&endpoints[1], "k");
  CHECK_EQ_STR(answer.text, "{\"error\":\"the idempotency key belongs to another request\","
                            "\"status\":422}");
  CHECK(!answer.carried_out);
  outcome = UK_E_GATEWAY_TIMEOUT;
  reason = "the first request with this key may have been carried out";
  ask(&endpoints[1], "k");
  CHECK_EQ_STR(answer.text, "{\"error\":\"the first request with this key may have been carried "
                            "out\",\"status\":504}");
  CHECK(answer.carried_out);
  api_rig_close(&rig);
}

static void without_memory_a_request_is_a_503(void)
{
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    bool hit = true;
    for (long n = 1; hit; n++) {
      fault_at(n);
      ask(&endpoints[i], "k");
      hit = fault_hit();
      fault_off();
      CHECK_EQ_INT(answer.status, hit ? 503 : 200);
      CHECK_EQ_INT(calls, !hit);
    }
  }
  api_rig_close(&rig);
}

/* The same for a key that needs memory of its own. */
static void a_key_without_memory_is_a_503(void)
{
  char name[UK_IDEMPOTENCY_KEY_MAX + 1];
  open_rig();
  for (size_t length = 1; length <= UK_IDEMPOTENCY_KEY_MAX; length++) {
    bool hit = true;
    memset(name, 'k', length);
    name[length] = '\0';
    for (long n = 1; hit; n++) {
      fault_at(n);
      ask(&endpoints[0], name);
      hit = fault_hit();
      fault_off();
      CHECK_EQ_INT(answer.status, hit ? 503 : 200);
    }
  }
  api_rig_close(&rig);
}

/* Its memory is that of the arena: a query that fills it is refused before anything is stored. */
static void a_fingerprint_without_memory_is_a_503(void)
{
  static char path[900] = "/webhook?topic=t";
  for (int i = 0; i < 100; i++)
    strcat(path, "&a=1");
  open_rig();
  const struct asking asking = {UK_POST, path, "v", NULL};
  bool hit = true;
  for (long n = 1; hit; n++) {
    fault_at(n);
    ask(&asking, "k");
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(answer.status, hit ? 503 : 200);
    CHECK_EQ_INT(calls, !hit);
  }
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(every_produce_takes_a_key);
  CHECK_RUN(refuses_a_wrong_key);
  CHECK_RUN(tells_requests_apart);
  CHECK_RUN(a_fingerprint_never_changes);
  CHECK_RUN(says_that_an_answer_is_replayed);
  CHECK_RUN(answers_with_the_engines_error);
  CHECK_RUN(without_memory_a_request_is_a_503);
  CHECK_RUN(a_key_without_memory_is_a_503);
  CHECK_RUN(a_fingerprint_without_memory_is_a_503);
  return check_end();
}
