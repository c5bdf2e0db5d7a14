#include "server/api/json_request.h"

#include "check.h"
#include "fault.h"

struct inner {
  struct uk_json_text name;
  struct uk_json_integer size;
};

struct outer {
  struct uk_json_text text, nullable;
  struct uk_json_integer number;
  struct uk_json_list words, inners;
};

static const struct uk_json_field inner_fields[] = {
  {.name = "name", .type = UK_FIELD_TEXT, .required = true, .offset = offsetof(struct inner, name)},
  {.name = "size",
   .type = UK_FIELD_INTEGER,
   .offset = offsetof(struct inner, size),
   .least = -5,
   .most = 5},
};
static const struct uk_json_shape inner_shape = {inner_fields, 2, sizeof(struct inner)};
static const struct uk_json_field outer_fields[] = {
  {.name = "text", .type = UK_FIELD_TEXT, .offset = offsetof(struct outer, text)},
  {.name = "nullable", .type = UK_FIELD_TEXT_OR_NULL, .offset = offsetof(struct outer, nullable)},
  {.name = "number",
   .type = UK_FIELD_INTEGER,
   .offset = offsetof(struct outer, number),
   .most = INT64_MAX},
  {.name = "words", .type = UK_FIELD_TEXTS, .offset = offsetof(struct outer, words), .most = 3},
  {.name = "inners",
   .type = UK_FIELD_OBJECTS,
   .offset = offsetof(struct outer, inners),
   .most = 100,
   .shape = &inner_shape},
};
static const struct uk_json_shape outer_shape = {outer_fields, 5, sizeof(struct outer)};

static struct uk_request request;
static char *body;
static size_t body_length;

static void give(const char *text, size_t length)
{
  request = (struct uk_request){.status = 200};
  uk_arena_init(&request.arena, 1 << 20);
  uk_buffer_init(&request.reply, 1 << 16);
  body = guard_copy(text, length);
  body_length = length;
  request.body = body;
  request.body_length = length;
}

static void done(void)
{
  guard_free(body, body_length);
  uk_arena_free(&request.arena);
  uk_buffer_free(&request.reply);
}

static void reads_an_object(void)
{
  struct outer outer;
  const char *text =
    "{\"text\":\"a\\u0041\",\"nullable\":null,\"number\":9223372036854775807,"
    "\"words\":[\"x\",\"y\",],\"inners\":[{\"name\":\"n\",\"size\":-5},{\"name\":\"m\",},],}";
  give(text, strlen(text));
  REQUIRE(uk_json_read_object(&request, &outer_shape, &outer));
  CHECK_EQ_SLICE(outer.text.bytes, "aA");
  CHECK(outer.nullable.given && outer.nullable.null);
  CHECK(outer.number.given && outer.number.value == INT64_MAX);
  CHECK_EQ_INT(outer.words.count, 2);
  CHECK_EQ_SLICE(((struct uk_json_text *)outer.words.items)[1].bytes, "y");
  CHECK_EQ_INT(outer.inners.count, 2);
  const struct inner *inners = outer.inners.items;
  CHECK_EQ_INT(inners[0].size.value, -5);
  CHECK(inners[0].size.given && !inners[1].size.given);
  CHECK_EQ_SLICE(inners[1].name.bytes, "m");
  done();
}

static void reads_one_object_or_many(void)
{
  struct uk_json_list list;
  char place[UK_PLACE_SIZE];
  give("{\"name\":\"n\"}", 12);
  CHECK(uk_json_read_objects(&request, &inner_shape, 10, &list));
  CHECK(list.count == 1 && list.given && !list.array);
  uk_json_field_place(place, sizeof place, &list, 0, "name");
  CHECK_EQ_STR(place, "name");
  done();
  give("[{\"name\":\"n\"}]", 14);
  CHECK(uk_json_read_objects(&request, &inner_shape, 10, &list));
  CHECK(list.count == 1 && list.array);
  uk_json_field_place(place, sizeof place, &list, 0, "name");
  CHECK_EQ_STR(place, "[0].name");
  done();
  give("[]", 2);
  CHECK(uk_json_read_objects(&request, &inner_shape, 10, &list));
  CHECK(list.count == 0 && list.given);
  done();
  give("", 0);
  CHECK(uk_json_read_objects(&request, &inner_shape, 10, &list));
  CHECK(list.count == 0 && !list.given);
  done();
}

static void reads_many_items(void)
{
  enum { COUNT = 1000 };
  struct uk_json_list list;
  struct uk_buffer text;
  uk_buffer_init(&text, 1 << 20);
  for (int i = 0; i < COUNT; i++)
    uk_buffer_append_text(&text,
                          i > 0 ? ",{\"name\":\"n\",\"size\":1}" : "[{\"name\":\"n\",\"size\":1}");
  uk_buffer_append_byte(&text, ']');
  give(text.data, text.length);
  CHECK(uk_json_read_objects(&request, &inner_shape, COUNT, &list));
  CHECK_EQ_INT(list.count, COUNT);
  CHECK_EQ_SLICE(((struct inner *)list.items)[COUNT - 1].name.bytes, "n");
  done();
  give(text.data, text.length);
  CHECK(!uk_json_read_objects(&request, &inner_shape, COUNT - 1, &list));
  CHECK_EQ_SLICE(uk_buffer_slice(&request.reply),
                 "{\"error\":\"body: at most 999 items expected\",\"status\":400}");
  done();
  uk_buffer_free(&text);
}

static void names_what_is_wrong(void)
{
  static const struct {
    const char *body, *error;
  } cases[] = {
    {"[1]", "[0]: object expected, got number"},
    {"5", "body: object or array of objects expected, got number"},
    {"[{\"text\":5}]", "[0].text: string expected, got number"},
    {"{\"text\":null}", "text: string expected, got null"},
    {"{\"nullable\":true}", "nullable: string or null expected, got boolean"},
    {"[{},{\"number\":\"1\"}]", "[1].number: integer expected, got string"},
    {"{\"number\":5.0}", "number: integer expected, got 5.0"},
    {"{\"number\":1e3}", "number: integer expected, got 1e3"},
    {"{\"number\":9223372036854775808}", "number: integer expected, got 9223372036854775808"},
    {"{\"number\":-1}", "number: 0 to 9223372036854775807 expected, got -1"},
    {"{\"words\":\"a\"}", "words: array of strings expected, got string"},
    {"{\"words\":[\"a\",{}]}", "words[1]: string expected, got object"},
    {"{\"words\":[\"a\",\"b\",\"c\",\"d\"]}", "words: at most 3 items expected"},
    {"{\"inners\":{}}", "inners: array of objects expected, got object"},
    {"{\"inners\":[{\"name\":\"a\"},{\"size\":1}]}", "inners[1].name: missing"},
    {"{\"inners\":[{\"name\":\"a\",\"size\":6}]}", "inners[0].size: -5 to 5 expected, got 6"},
    {"{\"inners\":[{\"name\":\"a\",\"x\":6}]}", "inners[0]: unknown field \\\"x\\\""},
    {"{\"text\":\"a\",\"text\":\"b\"}", "text: given twice"},
    {"{\"foo\":1}", "body: unknown field \\\"foo\\\""},
    {"{\"text\":\"a\"} x", "malformed JSON at byte 13: something follows the value"},
    {"{\"text\":\"a\"", "malformed JSON at byte 11: the text ends too early"},
    {" ", "malformed JSON at byte 1: the text is empty"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_json_list list;
    char reply[300];
    give(cases[i].body, strlen(cases[i].body));
    CHECK(!uk_json_read_objects(&request, &outer_shape, 10, &list));
    snprintf(reply, sizeof reply, "{\"error\":\"%s\",\"status\":400}", cases[i].error);
    CHECK_EQ_SLICE(uk_buffer_slice(&request.reply), reply);
    done();
  }
}

static void refuses_every_prefix(void)
{
  const char *text =
    "[{\"text\":\"a\\n\",\"number\":12,\"inners\":[{\"name\":\"n\",\"size\":-5}]}]";
  for (size_t length = 1; length < strlen(text); length++) {
    struct uk_json_list list;
    give(text, length);
    CHECK(!uk_json_read_objects(&request, &outer_shape, 10, &list));
    CHECK_EQ_INT(request.status, 400);
    done();
  }
}

static void survives_every_failing_allocation(void)
{
  const char *text = "[{\"words\":[\"a\"],\"inners\":[{\"name\":\"n\"}]}]";
  long hit = 1;
  for (long n = 1; hit != 0; n++) {
    struct uk_json_list list;
    give(text, strlen(text));
    fault_at(n);
    bool good = uk_json_read_objects(&request, &outer_shape, 10, &list);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(good, hit == 0);
    CHECK_EQ_INT(request.status, hit ? 503 : 200);
    done();
  }
}

int main(void)
{
  CHECK_RUN(reads_an_object);
  CHECK_RUN(reads_one_object_or_many);
  CHECK_RUN(reads_many_items);
  CHECK_RUN(names_what_is_wrong);
  CHECK_RUN(refuses_every_prefix);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
