/* for: dispatch.c
 *
 * Which requests reach a handler: by path and method, page, credentials and query, in this order.
 */
#include "server/api/dispatch.h"

#include "api_rig.h"
#include "check.h"

static struct api_rig rig;
static struct api_answer answer;
static int calls;

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  calls++;
  operation->operation.done(&operation->operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  calls++;
  operation->operation.done(&operation->operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine, (void)detail, (void)size;
  calls++;
  return UK_OK;
}

static const struct uk_engine_methods methods = {
  .name = "played", .topics = topics, .produce = produce, .health = health};

static void open_rig(void)
{
  calls = 0;
  REQUIRE(api_rig_open(&rig, &methods));
}

static void ask(const char *user, enum uk_method method, const char *path)
{
  api_rig_ask(&rig, user, method, path, "", &answer);
}

#define ERROR(text, status) "{\"error\":\"" text "\",\"status\":" #status "}"
#define CHALLENGE "WWW-Authenticate: Basic realm=\"upstash-kafka\", charset=\"UTF-8\"\n"

static void names_the_methods_of_a_path(void)
{
  static const struct {
    enum uk_method method;
    const char *path;
    int status;
    const char *headers, *text;
  } rows[] = {
    {UK_POST, "/topics", 405, "Allow: GET, HEAD, OPTIONS\n",
     ERROR("the path does not take this method", 405)},
    {UK_HEAD, "/fetch", 405, "Allow: GET, POST, OPTIONS\n",
     ERROR("the path does not take this method", 405)},
    {UK_GET, "/topics/t", 405, "Allow: POST, DELETE, OPTIONS\n",
     ERROR("the path does not take this method", 405)},
    {UK_OTHER_METHOD, "/health", 405, "Allow: GET, HEAD, OPTIONS\n",
     ERROR("the path does not take this method", 405)},
    {UK_GET, "/delete-consumer/g/i", 405, "Allow: POST, DELETE, OPTIONS\n",
     ERROR("the path does not take this method", 405)},
    {UK_OPTIONS, "/topics", 204, "Allow: GET, HEAD, OPTIONS\n", ""},
    {UK_OPTIONS, "/topics/t", 204, "Allow: POST, DELETE, OPTIONS\n", ""},
    {UK_OPTIONS, "/produce?any=thing", 204, "Allow: GET, POST, OPTIONS\n", ""},
    {UK_OPTIONS, "/nowhere", 404, "", ERROR("no such path", 404)},
    {UK_OPTIONS, "/produce/%f", 400, "", ERROR("path: malformed percent escape", 400)},
    {UK_GET, "/nowhere", 404, "", ERROR("no such path", 404)},
    {UK_GET, "/produce/%f", 400, "", ERROR("path: malformed percent escape", 400)},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask("nobody", rows[i].method, rows[i].path);
    CHECK_EQ_INT(answer.status, rows[i].status);
    CHECK_EQ_STR(answer.headers, rows[i].headers);
    CHECK_EQ_STR(answer.text, rows[i].text);
  }
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

/* What needs credentials, and which permission. */
static void admits_by_permission(void)
{
  static const struct {
    const char *user, *path;
    int status;
  } rows[] = {
    {"nobody", "/health", 200},     {"nobody", "/", 200},
    {"nobody", "/topics", 401},     {"nobody", "/topics?x=1", 401},
    {"produce", "/topics", 200},    {"consume", "/topics", 200},
    {"full", "/topics", 200},       {"produce", "/produce/t/v", 200},
    {"full", "/produce/t/v", 200},  {"consume", "/produce/t/v", 403},
    {"produce", "/consumers", 403}, {"nobody", "/produce/t/v", 401},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(rows[i].user, UK_GET, rows[i].path);
    if (!CHECK_EQ_INT(answer.status, rows[i].status))
      fprintf(stderr, "  %s to %s\n", rows[i].user, rows[i].path);
    CHECK_EQ_STR(answer.headers, rows[i].status == 401 ? CHALLENGE : "");
  }
  atomic_store(&rig.server.refused_logins.next, INT64_MAX); /* it counts, and does not log */
  atomic_store(&rig.server.refused_logins.count, 0);
  ask("nobody", UK_GET, "/topics");
  CHECK_EQ_STR(answer.text, ERROR("no or wrong credentials", 401));
  CHECK_EQ_INT(atomic_load(&rig.server.refused_logins.count), 1);
  atomic_store(&rig.server.refused_logins.next, 1); /* long ago: it logs, and not again soon */
  ask("nobody", UK_GET, "/topics");
  CHECK_EQ_INT(atomic_load(&rig.server.refused_logins.count), 0);
  CHECK(atomic_load(&rig.server.refused_logins.next) > 1);
  ask("consume", UK_GET, "/produce/t/v");
  CHECK_EQ_STR(answer.text, ERROR("the credentials do not permit produce_one", 403));
  ask("full", UK_GET, "/topics?x=1");
  CHECK_EQ_STR(answer.text, ERROR("query: unknown parameter \\\"x\\\"", 400));
  api_rig_close(&rig);
}

/* Past ten wrong logins an address gets a 429, right or wrong; who was right before does not, and
 * what needs no credentials is answered as without. */
static void slows_wrong_logins(void)
{
  open_rig();
  atomic_store(&rig.server.delayed_logins.next, INT64_MAX); /* it counts, and does not log */
  ask("full", UK_GET, "/topics");
  CHECK_EQ_INT(answer.status, 200);
  for (int i = 0; i < 10; i++) {
    ask("nobody", UK_GET, "/topics");
    CHECK_EQ_INT(answer.status, 401);
  }
  ask("nobody", UK_GET, "/topics");
  CHECK_EQ_STR(answer.text, ERROR("too many logins: try again later", 429));
  CHECK_EQ_STR(answer.headers, "Retry-After: 1\n");
  CHECK_EQ_INT(atomic_load(&rig.server.delayed_logins.count), 1);
  ask("produce", UK_GET, "/topics");
  CHECK_EQ_INT(answer.status, 429);
  ask("full", UK_GET, "/topics");
  CHECK_EQ_INT(answer.status, 200);
  ask("nobody", UK_GET, "/health");
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_INT(atomic_load(&rig.server.delayed_logins.count), 2);
  api_rig_close(&rig);
}

/* Only a webhook takes credentials from the query, in any form, and other parameters. */
static void admits_by_the_query(void)
{
  static const struct {
    const char *user, *path;
    int status;
  } rows[] = {
    {"nobody", "/webhook?topic=t&user=full&pass=p", 200},
    {"nobody", "/webhook?topic=t&user=f%75ll&pass=%70&more=1&more=2", 200},
    {"nobody", "/webhook?topic=t&user=full&pass=q", 401},
    {"nobody", "/webhook?topic=t&user=full", 401},
    {"nobody", "/webhook?topic=t&pass=p", 401},
    {"nobody", "/webhook?topic=t&user=consume&pass=p", 403},
    {"nobody", "/produce?user=full&pass=p", 401},
    {"full", "/webhook?topic=t&user=nobody&pass=p", 200},
    {"full", "/webhook?topic=t&topic=t", 400},
    {"nobody", "/webhook?topic=t&user=full&user=full&pass=p", 400},
    {"nobody", "/webhook?topic=t&user=a+b&pass=c+d", 200},
    {"nobody", "/webhook?topic=t&user=a+b&pass=c%20d", 401},
    {"nobody", "/webhook?topic=t&user=a%2Bb&pass=c%2Bd", 200},
    {"nobody", "/webhook?topic=t&user=50%&pass=%", 200},
    {"nobody", "/webhook?topic=t&user=x+y&pass=c%20d", 200}, /* a plus is itself */
    {"nobody", "/webhook?topic=t&user=x%20y&pass=c%20d", 401},
  };
  open_rig();
  struct uk_access *access = rig.server.access;
  CHECK_EQ_INT(access_rig_add(access, "a+b", "c+d", UK_PERMIT_FULL, "*"), UK_OK);
  CHECK_EQ_INT(access_rig_add(access, "50%", "%", UK_PERMIT_FULL, "*"), UK_OK);
  CHECK_EQ_INT(access_rig_add(access, "x+y", "c d", UK_PERMIT_FULL, "*"), UK_OK);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(rows[i].user, UK_POST, rows[i].path);
    if (!CHECK_EQ_INT(answer.status, rows[i].status))
      fprintf(stderr, "  %s to %s\n", rows[i].user, rows[i].path);
  }
  api_rig_close(&rig);
}

/* What a page of another site makes a browser send without a script. */

static const struct uk_browser foreign_link = {
  .has_fetch_mode = true, .foreign = true, .unscripted = true};
static const struct uk_browser foreign_script = {.has_fetch_mode = true, .foreign = true};
static const struct uk_browser refused_origin = {.origin = {"https://evil", 12}};
static const struct uk_browser admitted_origin = {.origin = {"https://a", 9}, .allowed = "*"};

#define OF_SITE                                                                                    \
  ERROR("Sec-Fetch-Site: a page of another site may send this only from a script", 403)
#define OF_ORIGIN ERROR("Origin: \\\"https://evil\\\" is not allowed by --cors-origin", 403)

static void refuses_what_no_script_asked_for(void)
{
  static const struct {
    const struct uk_browser *browser;
    const char *user, *path;
    int status;
    const char *text; /* NULL: any */
  } rows[] = {
    {&foreign_link, "full", "/produce/t/v", 403, OF_SITE},
    {&foreign_link, "nobody", "/produce/t/v", 403, OF_SITE},
    {&foreign_link, "full", "/topics?x=1", 403, OF_SITE},
    {&foreign_link, "full", "/nowhere", 404, NULL},
    {&foreign_link, "full", "/health", 200, NULL},
    {&foreign_link, "full", "/", 200, NULL},
    {&refused_origin, "full", "/produce/t/v", 403, OF_ORIGIN},
    {&refused_origin, "full", "/health", 200, NULL},
    {&foreign_script, "full", "/produce/t/v", 200, NULL},
    {&foreign_script, "nobody", "/produce/t/v", 401, NULL},
    {&admitted_origin, "full", "/produce/t/v", 200, NULL},
    {&foreign_link, "full", "/webhook?topic=t", 403, OF_SITE},
    {&foreign_link, "full", "/webhook?topic=t&user=full", 403, OF_SITE},
    {&foreign_link, "full", "/webhook?topic=t&pass=p", 403, OF_SITE},
    {&foreign_link, "nobody", "/webhook?topic=t&user=full&pass=p", 200, NULL},
    {&foreign_link, "full", "/webhook?topic=t&user=full&pass=q", 401, NULL},
    {&refused_origin, "full", "/webhook?topic=t&user=full&pass=q", 401, NULL},
    {&foreign_link, "full", "/topics?user=full&pass=p", 403, OF_SITE},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    rig.browser = *rows[i].browser;
    ask(rows[i].user, UK_GET, rows[i].path);
    if (!CHECK_EQ_INT(answer.status, rows[i].status))
      fprintf(stderr, "  row %zu, %s\n", i, rows[i].path);
    if (rows[i].text != NULL)
      CHECK_EQ_STR(answer.text, rows[i].text);
    CHECK_EQ_STR(answer.headers, ""); /* no page is challenged for credentials */
  }
  api_rig_close(&rig);
}

/* A script that comes from a refused origin may be of another site too: its origin is the cause. */
static void names_the_cause(void)
{
  char origin[66], expected[200];
  open_rig();
  rig.browser = (struct uk_browser){.foreign = true, .origin = {"https://evil", 12}};
  ask("full", UK_GET, "/topics");
  CHECK_EQ_STR(answer.text, OF_ORIGIN);
  memset(origin, 'x', sizeof origin);
  rig.browser.origin = uk_slice_of(origin, 65);
  ask("full", UK_GET, "/topics");
  snprintf(expected, sizeof expected,
           ERROR("Origin: \\\"%.64s\\\" is not allowed by --cors-origin", 403), origin);
  CHECK_EQ_STR(answer.text, expected);
  rig.browser = refused_origin; /* its preflight is refused too */
  ask("full", UK_OPTIONS, "/topics");
  CHECK_EQ_INT(answer.status, 403);
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(names_the_methods_of_a_path);
  CHECK_RUN(admits_by_permission);
  check_run("E6: slows wrong logins", slows_wrong_logins);
  CHECK_RUN(admits_by_the_query);
  CHECK_RUN(refuses_what_no_script_asked_for);
  CHECK_RUN(names_the_cause);
  return check_end();
}
