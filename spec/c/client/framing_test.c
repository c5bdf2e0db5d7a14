/* for: framing.c */
#include "check.h"
#include "client/framing.h"
#include "guard.h"

static bool is_cut(const char *json)
{
  return uk_framing_cut(uk_slice_text(json));
}

/* Every proper prefix of a text is cut; the text itself is not. */
static void json_without_its_end_is_truncated(void)
{
  static const char *const texts[] = {"[]", "{}", " \t\r\n[1,{\"a\":[2]}]",
                                      "{\"]\":\"}\\\"}\",\"b\":[\"\\\\\"]}", "[\"[{\\\\\\\"\"]"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct uk_slice text = uk_slice_text(texts[i]);
    for (size_t length = 0; length < text.length; length++) {
      char *prefix = guard_copy(text.data, length);
      CHECK(uk_framing_cut(uk_slice_of(prefix, length)));
      guard_free(prefix, length);
    }
    CHECK(!uk_framing_cut(text));
  }
}

static void other_text_is_not_truncated(void)
{
  CHECK(!is_cut("<html>"));
  CHECK(!is_cut("\"[\""));
  CHECK(!is_cut("] ["));
  CHECK(!is_cut("[] and more"));
  CHECK(!uk_framing_cut(uk_slice_of("\0[", 2)));
  CHECK(is_cut("[\"\\"));
}

static struct uk_framing after(const char *const *lines)
{
  struct uk_framing framing = {.headed = false};
  for (; *lines != NULL; lines++)
    uk_framing_line(&framing, uk_slice_text(*lines));
  return framing;
}

static bool whole(const struct uk_framing *framing, int status, const char *body)
{
  return uk_framing_whole(framing, status, uk_slice_text(body));
}

static void a_head_ends_with_an_empty_line(void)
{
  static const char *const lines[] = {"HTTP/1.1 200 OK\r\n", "content-LENGTH: 2\r\n", "\r\n", NULL};
  static const char *const bare[] = {"HTTP/1.1 200 OK\n", "Transfer-Encoding: chunked\n", "\n",
                                     NULL};
  struct uk_framing framing = {.headed = false};
  CHECK(!whole(&framing, 0, ""));
  for (int i = 0; i < 2; i++) {
    uk_framing_line(&framing, uk_slice_text(lines[i]));
    CHECK(!whole(&framing, 200, "[]"));
  }
  framing = after(lines);
  CHECK(whole(&framing, 200, "[]"));
  CHECK(whole(&framing, 200, "[")); /* the transport checks the length */
  framing = after(bare);
  CHECK(whole(&framing, 200, "["));
}

static void an_interim_answer_does_not_count(void)
{
  static const char *const interim[] = {"HTTP/1.1 100 Continue\r\n", "Content-Length: 2\r\n",
                                        "\r\n", NULL};
  static const char *const started[] = {"HTTP/1.1 100 Continue\r\n", "Content-Length: 2\r\n",
                                        "\r\n", "HTTP/1.1 200 OK\r\n", NULL};
  struct uk_framing framing = after(interim);
  CHECK(!whole(&framing, 100, ""));
  CHECK(!whole(&framing, 103, ""));
  CHECK(!whole(&framing, 199, ""));
  CHECK(whole(&framing, 101, ""));
  framing = after(started);
  CHECK(!whole(&framing, 200, "[]"));
  uk_framing_line(&framing, uk_slice_text("\r\n"));
  CHECK(whole(&framing, 200, "[]"));
  CHECK(!whole(&framing, 200, "[")); /* the interim answer had the length */
}

static void an_unbounded_body_must_be_complete_json(void)
{
  static const char *const lines[] = {"HTTP/1.0 200 OK\r\n", "\r\n", NULL};
  const struct uk_framing framing = after(lines);
  CHECK(whole(&framing, 200, "[]"));
  CHECK(!whole(&framing, 200, "[{\"a\":1"));
  CHECK(!whole(&framing, 200, ""));
  CHECK(whole(&framing, 200, "<html>"));
  CHECK(whole(&framing, 204, ""));
  CHECK(whole(&framing, 101, ""));
  CHECK(!whole(&framing, 299, ""));
  CHECK(whole(&framing, 300, ""));
  CHECK(whole(&framing, 503, "{\"error\":"));
}

static bool header_is(const char *line, const char *name, const char *value)
{
  struct uk_slice found = uk_slice_text("none");
  char *copy = guard_copy(line, strlen(line));
  const bool right =
    uk_framing_header(uk_slice_of(copy, strlen(line)), name, &found) == (value != NULL) &&
    uk_slice_is(found, value != NULL ? value : "none");
  guard_free(copy, strlen(line));
  return right;
}

static void headers_have_a_name_and_a_value(void)
{
  CHECK(header_is("Retry-After: 12\r\n", "Retry-After", "12"));
  CHECK(header_is("RETRY-after:\t Sun, 06 Nov \t\n", "Retry-After", "Sun, 06 Nov"));
  CHECK(header_is("Retry-After:", "Retry-After", ""));
  CHECK(header_is("Retry-After: \r\n", "Retry-After", ""));
  CHECK(header_is("Retry-After", "Retry-After", NULL));
  CHECK(header_is("Retry-Afters: 1\r\n", "Retry-After", NULL));
  CHECK(header_is("Retry", "Retry-After", NULL));
  CHECK(header_is("", "Retry-After", NULL));
}

int main(void)
{
  CHECK_RUN(headers_have_a_name_and_a_value);
  CHECK_RUN(json_without_its_end_is_truncated);
  CHECK_RUN(other_text_is_not_truncated);
  CHECK_RUN(a_head_ends_with_an_empty_line);
  CHECK_RUN(an_interim_answer_does_not_count);
  CHECK_RUN(an_unbounded_body_must_be_complete_json);
  return check_end();
}
