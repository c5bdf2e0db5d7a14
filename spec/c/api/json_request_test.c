/* for: json_request.c, json_failure.c */
#include "server/api/json_request.h"

#include "check.h"
#include "fault.h"

struct inner {
  struct uk_json_text name;
  struct uk_json_integer size;
};

struct pair {
  struct uk_json_text key, value;
};

struct outer {
  struct uk_json_text text, nullable, value;
  struct uk_json_integer number, partition;
  struct uk_json_list words, inners, pairs;
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
static const struct uk_json_field pair_fields[] = {
  {.name = "key", .type = UK_FIELD_TEXT, .required = true, .offset = offsetof(struct pair, key)},
  {.name = "value",
   .type = UK_FIELD_TEXT_OR_NULL,
   .required = true,
   .offset = offsetof(struct pair, value)},
};
static const struct uk_json_shape pair_shape = {pair_fields, 2, sizeof(struct pair)};
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
  {.name = "value", .type = UK_FIELD_VALUE, .offset = offsetof(struct outer, value)},
  {.name = "partition",
   .type = UK_FIELD_INTEGER,
   .offset = offsetof(struct outer, partition),
   .most = INT32_MAX},
  {.name = "pairs",
   .type = UK_FIELD_PAIRS,
   .offset = offsetof(struct outer, pairs),
   .most = 3,
   .most_in_all = 5,
   .shape = &pair_shape},
};
static const struct uk_json_shape outer_shape = {
  outer_fields, sizeof outer_fields / sizeof *outer_fields, sizeof(struct outer)};

static struct uk_request request;
static char *body;
static size_t body_length;

static void give(const char *text, size_t length)
{
  request = (struct uk_request){.status = 200};
  uk_arena_init(&request.arena, 1 << 20);
  uk_arena_init(&request.scratch, 1 << 20);
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
  uk_arena_free(&request.scratch);
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

/* The items of all objects count together, as objects and as fields of one. */
static void E3_limits_the_items_of_all_objects_together(void)
{
  static const char *const texts[] = {
    "[{\"pairs\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}},{\"pairs\":{\"d\":\"\",\"e\":\"\"}}]",
    "[{\"pairs\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}},{\"pairs\":[{\"key\":\"d\",\"value\":\"\"}]},"
    "{\"pairs\":{\"e\":\"\",\"f\":\"\"}}]"};
  struct uk_json_list list;
  give(texts[0], strlen(texts[0]));
  CHECK(uk_json_read_objects(&request, &outer_shape, 10, &list));
  done();
  give(texts[1], strlen(texts[1]));
  CHECK(!uk_json_read_objects(&request, &outer_shape, 10, &list));
  CHECK_EQ_SLICE(uk_buffer_slice(&request.reply),
                 "{\"error\":\"[2].pairs: at most 5 items expected in one request\","
                 "\"status\":400}");
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

/* Reads the text as an outer object, which lives until `done`. */
static struct outer take(const char *text)
{
  struct outer outer;
  give(text, strlen(text));
  if (!CHECK(uk_json_read_object(&request, &outer_shape, &outer)))
    fprintf(stderr, "  %s: %.*s\n", text, (int)request.reply.length, request.reply.data);
  return outer;
}

static void an_integer_may_be_text_or_a_number_with_an_integral_value(void)
{
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {
    {"\"42\"", 42},
    {"\"0\"", 0},
    {"\"\\u0034\\u0032\"", 42},
    {"1764000000000.0", 1764000000000},
    {"\"1764000000000.0\"", 1764000000000},
    {"1e3", 1000},
    {"\"1E+3\"", 1000},
    {"1.5e1", 15},
    {"1200e-2", 12},
    {"-0", 0},
    {"-0.0", 0},
    {"0e99999999999999999999", 0},
    {"9007199254740993.0", 9007199254740993},
    {"9223372036854775807.0", INT64_MAX},
    {"\"9223372036854775807\"", INT64_MAX},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[100];
    snprintf(text, sizeof text, "{\"number\":%s}", cases[i].text);
    struct outer outer = take(text);
    CHECK(outer.number.given);
    CHECK_EQ_INT(outer.number.value, cases[i].value);
    done();
  }
}

static void an_integer_ends_at_its_limits_however_it_is_written(void)
{
  static const char *const forms[] = {"%s", "\"%s\"", "%s.0", "%s.00e0"};
  static const struct {
    const char *number;
    bool good;
  } cases[] = {{"2147483647", true}, {"2147483648", false}, {"0", true}, {"-1", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases * 4; i++) {
    char number[40], text[80];
    struct outer outer;
    snprintf(number, sizeof number, forms[i % 4], cases[i / 4].number);
    snprintf(text, sizeof text, "{\"partition\":%s}", number);
    give(text, strlen(text));
    CHECK_EQ_INT(uk_json_read_object(&request, &outer_shape, &outer), cases[i / 4].good);
    CHECK_EQ_INT(request.status, cases[i / 4].good ? 200 : 400);
    static const char expected[] = "partition: an integer of 0 to 2147483647";
    if (!cases[i / 4].good)
      CHECK(memmem(request.reply.data, request.reply.length, expected, strlen(expected)) != NULL);
    done();
  }
}

static void a_number_or_boolean_where_a_text_belongs_is_its_text(void)
{
  static const char *const texts[] = {"42",    "4.20", "-0",    "1E+3",
                                      "1e999", "true", "false", "123456789012345678901234567890"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char text[400];
    snprintf(text, sizeof text,
             "{\"text\":%s,\"nullable\": %s ,\"value\":%s,\"words\":[%s],\"pairs\":{\"k\":%s}}",
             texts[i], texts[i], texts[i], texts[i], texts[i]);
    struct outer outer = take(text);
    CHECK_EQ_SLICE(outer.text.bytes, texts[i]);
    CHECK_EQ_SLICE(outer.nullable.bytes, texts[i]);
    CHECK_EQ_SLICE(outer.value.bytes, texts[i]);
    CHECK_EQ_SLICE(((struct uk_json_text *)outer.words.items)[0].bytes, texts[i]);
    CHECK_EQ_SLICE(((struct pair *)outer.pairs.items)[0].value.bytes, texts[i]);
    CHECK(outer.text.given && outer.text.unquoted && outer.value.unquoted);
    done();
  }
  CHECK(!take("{\"text\":\"42\"}").text.unquoted);
  done();
}

static void an_object_or_array_as_value_is_its_bytes(void)
{
  static const char *const values[] = {
    "{}", "[]", "[ 1 ,\t2.50 ]", "{\"a\":\"\\u0041\\n\xe2\x82\xac\",\"a\":{\"b\":[null,1e999]}}"};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char text[200];
    snprintf(text, sizeof text, "{\"value\": %s , \"text\":\"\\n\",}", values[i]);
    struct outer outer = take(text);
    CHECK_EQ_SLICE(outer.value.bytes, values[i]);
    CHECK(outer.value.given && outer.value.unquoted && !outer.value.null);
    CHECK_EQ_SLICE(outer.text.bytes, "\n");
    done();
  }
}

static void null_is_absent_where_nothing_is_required(void)
{
  struct outer outer = take("{\"text\":null,\"number\":null,\"words\":null,\"inners\":null,"
                            "\"pairs\":null,\"partition\":null}");
  CHECK(!outer.text.given && !outer.number.given && !outer.words.given);
  CHECK(!outer.inners.given && !outer.pairs.given && !outer.partition.given);
  done();
  outer = take("{\"nullable\":null,\"value\":null}");
  CHECK(outer.nullable.given && outer.nullable.null && outer.nullable.bytes.length == 0);
  CHECK(outer.value.given && outer.value.null);
  done();
  outer = take("{\"inners\":[{\"name\":\"a\",\"size\":null}]}");
  CHECK(!((struct inner *)outer.inners.items)[0].size.given);
  done();
}

static void one_text_is_a_list_of_one(void)
{
  struct outer outer = take("{\"words\":\"a\"}");
  REQUIRE(outer.words.count == 1 && outer.words.given && !outer.words.array);
  CHECK_EQ_SLICE(((struct uk_json_text *)outer.words.items)[0].bytes, "a");
  done();
}

static void pairs_may_be_an_object(void)
{
  static const char *const texts[] = {
    "{\"pairs\":{\"a\":\"1\",\"\":null,\"\\u0061\":2,}}",
    "{\"pairs\":[{\"key\":\"a\",\"value\":\"1\"},{\"value\":null,\"key\":\"\"},"
    "{\"key\":\"a\",\"value\":\"2\"}]}",
  };
  static const char *const keys[] = {"a", "", "a"}, *const values[] = {"1", "", "2"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct outer outer = take(texts[i]);
    const struct pair *pairs = outer.pairs.items;
    REQUIRE(outer.pairs.count == 3);
    for (size_t j = 0; j < 3; j++) {
      CHECK_EQ_SLICE(pairs[j].key.bytes, keys[j]);
      CHECK(pairs[j].key.given && pairs[j].value.given);
      CHECK_EQ_SLICE(pairs[j].value.bytes, values[j]);
    }
    done();
  }
  CHECK_EQ_INT(take("{\"pairs\":{}}").pairs.count, 0);
  done();
}

static void a_byte_order_mark_is_skipped(void)
{
  struct uk_json_list list;
  struct outer outer = take("\xef\xbb\xbf{\"text\":\"a\"}");
  CHECK_EQ_SLICE(outer.text.bytes, "a");
  done();
  give("\xef\xbb\xbf", 3);
  CHECK(uk_json_read_objects(&request, &outer_shape, 10, &list));
  CHECK(!list.given);
  done();
}

static void names_the_mistake(void)
{
  static const struct {
    const char *body, *error;
  } cases[] = {
    {"[1]", "[0]: object expected, got number"},
    {"5", "body: object or array of objects expected, got number"},
    {"[null]", "[0]: object expected, got null"},
    {"[{\"text\":{}}]", "[0].text: string expected, got object"},
    {"{\"nullable\":[]}", "nullable: string or null expected, got array"},
    {"{\"inners\":[{\"name\":null}]}", "inners[0].name: string expected, got null"},
    {"[{},{\"partition\":\"one\"}]",
     "[1].partition: an integer of 0 to 2147483647 expected, got \\\"one\\\""},
    {"{\"partition\":\"\"}", "partition: an integer of 0 to 2147483647 expected, got \\\"\\\""},
    {"{\"partition\":\" 1\"}", "partition: an integer of 0 to 2147483647 expected, got \\\" 1\\\""},
    {"{\"partition\":5.5}", "partition: an integer of 0 to 2147483647 expected, got 5.5"},
    {"{\"partition\":1e-1}", "partition: an integer of 0 to 2147483647 expected, got 1e-1"},
    {"{\"partition\":true}", "partition: an integer of 0 to 2147483647 expected, got boolean"},
    {"{\"partition\":false}", "partition: an integer of 0 to 2147483647 expected, got boolean"},
    {"{\"partition\":[1]}", "partition: an integer of 0 to 2147483647 expected, got array"},
    {"{\"number\":9223372036854775808}",
     "number: an integer of 0 to 9223372036854775807 expected, got 9223372036854775808"},
    {"{\"number\":-1}", "number: an integer of 0 to 9223372036854775807 expected, got -1"},
    {"{\"words\":{}}", "words: string or array of strings expected, got object"},
    {"{\"words\":[\"a\",{}]}", "words[1]: string expected, got object"},
    {"{\"words\":[null]}", "words[0]: string expected, got null"},
    {"{\"words\":[\"a\",\"b\",\"c\",\"d\"]}", "words: at most 3 items expected"},
    {"{\"inners\":{}}", "inners: array of objects expected, got object"},
    {"{\"inners\":[{\"name\":\"a\"},{\"size\":1}]}", "inners[1].name: missing"},
    {"{\"inners\":[{\"name\":\"a\",\"size\":6}]}",
     "inners[0].size: an integer of -5 to 5 expected, got 6"},
    {"{\"inners\":[{\"name\":\"a\",\"sice\":6}]}",
     "inners[0]: unknown field \\\"sice\\\"; did you mean \\\"size\\\"?"},
    {"{\"pairs\":\"a\"}", "pairs: object or array of objects expected, got string"},
    {"{\"pairs\":{\"a\":{}}}", "pairs.a: string or null expected, got object"},
    {"{\"pairs\":[{\"key\":\"a\"}]}", "pairs[0].value: missing"},
    {"{\"pairs\":[{\"key\":null,\"value\":\"\"}]}", "pairs[0].key: string expected, got null"},
    {"{\"pairs\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4}}", "pairs: at most 3 items expected"},
    {"{\"text\":\"a\",\"text\":\"b\"}", "text: given twice"},
    {"{\"text\":null,\"text\":\"b\"}", "text: given twice"},
    {"{\"value\":{},\"value\":[]}", "value: given twice"},
    {"{\"Numbr\":1}", "body: unknown field \\\"Numbr\\\"; did you mean \\\"number\\\"?"},
    {"{\"text\":\"a\"} x", "malformed JSON at byte 13: something follows the value"},
    {"\xef\xbb\xbf{\"text\":\"a\"} x", "malformed JSON at byte 16: something follows the value"},
    {"{\"text\":\"a\"", "malformed JSON at byte 11: the text ends too early"},
    {"{\"value\":[1,]}", "malformed JSON at byte 11: a comma before the closing bracket"},
    {"{\"value\":{\"a\":[{\"b\":1,}]}}",
     "malformed JSON at byte 21: a comma before the closing bracket"},
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

static const char whole[] =
  "[{\"text\":\"a\\n\",\"number\":12,\"inners\":[{\"name\":\"n\",\"size\":-5}],\"words\":\"w\","
  "\"value\":{ \"a\" : [1.50, \"\\u0041\xe2\x82\xac\", null] },\"partition\":\"7\","
  "\"pairs\":{\"k\":null,\"l\":true}},{\"pairs\":[{\"key\":7,\"value\":1e3}],\"value\":null}]";

/* An empty body is an object without fields, so required fields are missing. */
static void an_empty_body_lacks_required_fields(void)
{
  struct inner inner;
  static const char *const empty[] = {"", "\xef\xbb\xbf"};
  for (size_t i = 0; i < 2; i++) {
    give(empty[i], strlen(empty[i]));
    CHECK(!uk_json_read_object(&request, &inner_shape, &inner));
    CHECK_EQ_SLICE(uk_buffer_slice(&request.reply), "{\"error\":\"name: missing\",\"status\":400}");
    done();
  }
}

/* Where one object belongs, an array may hold one, and not two. */
static void one_object_is_one(void)
{
  struct inner inner;
  give("[{\"name\":\"n\"}]", 14);
  CHECK(uk_json_read_object(&request, &inner_shape, &inner));
  CHECK_EQ_SLICE(inner.name.bytes, "n");
  done();
  give("[{\"name\":\"n\"},{\"name\":\"m\"}]", 27);
  CHECK(!uk_json_read_object(&request, &inner_shape, &inner));
  CHECK_EQ_SLICE(uk_buffer_slice(&request.reply),
                 "{\"error\":\"body: at most 1 items expected\",\"status\":400}");
  done();
}

/* Errors show the first 64 bytes of a long name or number. */
static void shows_the_beginning_of_long_names(void)
{
  static const struct {
    const char *before, *after, *expected;
  } cases[] = {
    {"{\"", "\":1}", "unknown field \\\""},
    {"{\"number\":", "}", "number: an integer of 0 to 9223372036854775807 expected, got "},
    {"{\"number\":\"", "\"}", "number: an integer of 0 to 9223372036854775807 expected, got \\\""},
    {"{\"pairs\":{\"", "\":[]}}", "pairs."},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t length = 64; length <= 65; length++) {
      char text[300], digits[100], shown[300], more[300];
      struct outer outer;
      memset(digits, '7', sizeof digits);
      digits[length] = '\0';
      snprintf(text, sizeof text, "%s%s%s", cases[i].before, digits, cases[i].after);
      give(text, strlen(text));
      CHECK(!uk_json_read_object(&request, &outer_shape, &outer));
      snprintf(shown, sizeof shown, "%s%.64s", cases[i].expected, digits);
      snprintf(more, sizeof more, "%.64s7", digits);
      uk_buffer_append_byte(&request.reply, '\0');
      CHECK(strstr(request.reply.data, shown) != NULL);
      CHECK(strstr(request.reply.data, more) == NULL);
      done();
    }
  }
}

/* A place is truncated to the buffer. */
static void a_long_place_is_truncated(void)
{
  static const char place[] = "[12].name.key";
  const struct uk_json_place root = {0};
  const struct uk_json_place item = {.parent = &root, .index = 12};
  const struct uk_json_place name = {.parent = &item, .name = {"name", 4}};
  const struct uk_json_place key = {.parent = &name, .name = {"key", 3}};
  for (size_t size = 1; size <= sizeof place + 1; size++) {
    char out[sizeof place + 1] = "";
    size_t length = uk_json_write_place(out, size, &key);
    CHECK_EQ_INT(length, size < sizeof place ? size - 1 : sizeof place - 1);
    CHECK_EQ_INT(strlen(out), length);
    CHECK(strncmp(out, place, length) == 0);
  }
}

static void refuses_every_prefix(void)
{
  struct uk_json_list list;
  for (size_t length = 1; length < strlen(whole); length++) {
    give(whole, length);
    CHECK(!uk_json_read_objects(&request, &outer_shape, 10, &list));
    CHECK_EQ_INT(request.status, 400);
    done();
  }
  give(whole, strlen(whole));
  CHECK(uk_json_read_objects(&request, &outer_shape, 10, &list));
  done();
}

/* With any byte of a body replaced, the body is either read or refused. */
static void survives_every_changed_byte(void)
{
  static const char bytes[] = "\"\\{}[]:,0-e.n \x80\xef";
  for (size_t at = 0; at < strlen(whole); at++) {
    for (size_t i = 0; i < sizeof bytes; i++) {
      struct uk_json_list list;
      give(whole, strlen(whole));
      body[at] = bytes[i];
      bool good = uk_json_read_objects(&request, &outer_shape, 10, &list);
      CHECK_EQ_INT(request.status, good ? 200 : 400);
      CHECK((request.reply.length == 0) == good);
      done();
    }
  }
}

static uint64_t seed = 88172645463325252;

static size_t chance(size_t below)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (size_t)(seed >> 33) % below;
}

/* Pieces in random order, most of them after a valid beginning. */
static void survives_any_mixture_of_tokens(void)
{
  static const char *const pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\"text\":",
    "\"a\"",
    "\"value\":",
    "\"pairs\":",
    "\"words\":",
    "\"inners\":",
    "\"key\":",
    "\"name\":",
    "null",
    "true",
    "1e3",
    "-0",
    "\"42\"",
    "4.20",
    "\"\\n\"",
    "\"\\u0\"",
    "\"number\":",
    "\"partition\":",
    "{}",
    "[1,]",
    "\xef\xbb\xbf",
  };
  for (int i = 0; i < 20000; i++) {
    struct uk_json_list list;
    char text[400] = "";
    if (chance(2) == 0)
      strcat(text, "[{");
    for (size_t count = 1 + chance(12); count > 0; count--)
      strcat(text, pieces[chance(sizeof pieces / sizeof *pieces)]);
    give(text, strlen(text));
    bool good = uk_json_read_objects(&request, &outer_shape, 10, &list);
    CHECK_EQ_INT(request.status, good ? 200 : 400);
    CHECK((request.reply.length == 0) == good);
    done();
  }
}

/* Enclosing objects and arrays do not count. */
static void a_value_may_be_nested_to_its_limit(void)
{
  for (int depth = UK_JSON_DEEP_MAX; depth <= UK_JSON_DEEP_MAX + 1; depth++) {
    static char text[2 * UK_JSON_DEEP_MAX + 40];
    struct uk_json_list list;
    const size_t start = strlen(strcpy(text, "[{\"value\":")), levels = (size_t)depth;
    memset(text + start, '[', levels);
    memset(text + start + levels, ']', levels);
    strcpy(text + start + 2 * levels, "}]");
    give(text, strlen(text));
    bool good = uk_json_read_objects(&request, &outer_shape, 10, &list);
    CHECK_EQ_INT(good, depth == UK_JSON_DEEP_MAX);
    if (good)
      CHECK_EQ_INT(((struct outer *)list.items)->value.bytes.length, 2 * levels);
    else
      CHECK_EQ_SLICE(uk_buffer_slice(&request.reply),
                     "{\"error\":\"[0].value: at most 1000 levels expected\",\"status\":400}");
    done();
  }
}

static void survives_every_failing_allocation(void)
{
  long hit = 1;
  for (long n = 1; hit != 0; n++) {
    struct uk_json_list list;
    give(whole, strlen(whole));
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
  CHECK_RUN(E3_limits_the_items_of_all_objects_together);
  CHECK_RUN(reads_many_items);
  CHECK_RUN(an_integer_may_be_text_or_a_number_with_an_integral_value);
  CHECK_RUN(an_integer_ends_at_its_limits_however_it_is_written);
  CHECK_RUN(a_number_or_boolean_where_a_text_belongs_is_its_text);
  CHECK_RUN(an_object_or_array_as_value_is_its_bytes);
  CHECK_RUN(null_is_absent_where_nothing_is_required);
  CHECK_RUN(one_text_is_a_list_of_one);
  CHECK_RUN(pairs_may_be_an_object);
  CHECK_RUN(a_byte_order_mark_is_skipped);
  CHECK_RUN(names_the_mistake);
  CHECK_RUN(an_empty_body_lacks_required_fields);
  CHECK_RUN(one_object_is_one);
  CHECK_RUN(shows_the_beginning_of_long_names);
  CHECK_RUN(a_long_place_is_truncated);
  CHECK_RUN(refuses_every_prefix);
  CHECK_RUN(survives_every_changed_byte);
  CHECK_RUN(survives_any_mixture_of_tokens);
  CHECK_RUN(a_value_may_be_nested_to_its_limit);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
