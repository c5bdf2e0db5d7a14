/* for: json_reader.c, json_string.c, json_number.c. The cases of spec/json/cases.txt, complete and
 * truncated at every byte. */
#include "check.h"
#include "common/json_reader.h"
#include "json_events.h"

struct outcome {
  const char *verdict;
  bool plain, comma, surrogate; /* accepted without flags, and with each flag */
};

static const struct outcome outcomes[] = {
  {"accept", true, true, true},
  {"reject", false, false, false},
  {"comma", false, true, false},
  {"surrogate", true, true, false},
};

static const struct outcome *outcome_of(const char *verdict)
{
  for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
    if (strcmp(outcomes[i].verdict, verdict) == 0)
      return &outcomes[i];
  }
  return NULL;
}

static bool accepts(const struct json_case *json_case, unsigned flags)
{
  int error;
  size_t position;
  return json_accepts(json_case->text, json_case->length, flags, &error, &position);
}

static void check_verdict(const struct json_case *json_case)
{
  const struct outcome *outcome = outcome_of(json_case->verdict);
  bool right = CHECK(outcome != NULL) && CHECK(accepts(json_case, 0) == outcome->plain) &&
               CHECK(accepts(json_case, UK_JSON_TRAILING_COMMA) == outcome->comma) &&
               CHECK(accepts(json_case, UK_JSON_STRICT_SURROGATE) == outcome->surrogate);
  if (!right)
    fprintf(stderr, "  %s: %s\n", json_case->name,
            json_events(json_case->text, json_case->length, 0));
}

static void every_case_has_its_verdict(void)
{
  CHECK(json_each_case(check_verdict));
}

static size_t length_without_space_behind(const struct json_case *json_case)
{
  size_t length = json_case->length;
  while (length > 0 && strchr(" \t\r\n", json_case->text[length - 1]) != NULL)
    length--;
  return length;
}

/* No prefix of an array, an object, a string or a literal is complete; a prefix of a number may
 * be. */
static void check_prefixes(const struct json_case *json_case)
{
  const unsigned all = UK_JSON_TRAILING_COMMA | UK_JSON_STRICT_SURROGATE;
  size_t whole = length_without_space_behind(json_case);
  size_t first = strspn(json_case->text, " \t\r\n");
  if (!accepts(json_case, all) || strchr("-0123456789", json_case->text[first]) != NULL)
    return;
  for (size_t length = 0; length < whole; length++) {
    int error;
    size_t position;
    bool accepted = json_accepts(json_case->text, length, all, &error, &position);
    bool right = CHECK(!accepted) && CHECK_EQ_INT(position, length) &&
                 CHECK_EQ_INT(error, length <= first ? UK_JSON_E_EMPTY : UK_JSON_E_CUT_OFF);
    if (!right)
      fprintf(stderr, "  %s, cut to %zu\n", json_case->name, length);
  }
}

static void no_prefix_of_a_text_is_complete(void)
{
  CHECK(json_each_case(check_prefixes));
}

static void check_kind_of_error(const struct json_case *json_case)
{
  for (size_t length = 0; accepts(json_case, 0) && length <= json_case->length; length++) {
    int error;
    size_t position;
    if (!json_accepts(json_case->text, length, 0, &error, &position))
      CHECK(error == UK_JSON_E_CUT_OFF || error == UK_JSON_E_EMPTY);
  }
}

static void a_truncated_text_is_reported_as_truncated(void)
{
  CHECK(json_each_case(check_kind_of_error));
}

/* Replaces each byte of each case in turn. There is no expected verdict, but json_events checks its
 * invariants. */
static void check_changed_bytes(const struct json_case *json_case)
{
  static const char bytes[] = "\"\\,:[]{}0e-. \x00\x1f\x7f\x80\xc3\xe2\xf0\xff";
  struct json_case changed = *json_case;
  int error;
  size_t position;
  for (size_t i = 0; i < changed.length && i < 64; i++) {
    for (size_t k = 0; k < sizeof bytes; k++) {
      changed.text[i] = bytes[k];
      json_accepts(changed.text, changed.length, UK_JSON_TRAILING_COMMA, &error, &position);
    }
    changed.text[i] = json_case->text[i];
  }
}

static void a_changed_byte_breaks_no_invariant(void)
{
  CHECK(json_each_case(check_changed_bytes));
}

int main(void)
{
  CHECK_RUN(every_case_has_its_verdict);
  CHECK_RUN(no_prefix_of_a_text_is_complete);
  CHECK_RUN(a_truncated_text_is_reported_as_truncated);
  CHECK_RUN(a_changed_byte_breaks_no_invariant);
  return check_end();
}
