/* Reads the settings for a new instance from the request headers. */
#include <strings.h>

#include "server/api/api_read.h"

struct word {
  const char *word;
  int value;
};

/* Matches one of the words, in any letter case. Leaves `*value` alone if the header is absent. */
static bool read_word(struct uk_request *request, const char *name, const struct word *words,
                      size_t count, const char *expected, int *value)
{
  struct uk_slice text = uk_request_header(request, name);
  for (size_t i = 0; i < count && text.data != NULL; i++) {
    if (text.length == strlen(words[i].word) &&
        strncasecmp(text.data, words[i].word, text.length) == 0) {
      *value = words[i].value;
      return true;
    }
  }
  return text.data == NULL || uk_api_refuse(request, name, expected, text);
}

bool uk_api_read_settings(struct uk_request *request, struct uk_consumer_settings *settings)
{
  static const struct word booleans[] = {{"true", true}, {"false", false}};
  static const struct word resets[] = {
    {"latest", UK_RESET_LATEST}, {"earliest", UK_RESET_EARLIEST}, {"none", UK_RESET_NONE}};
  int auto_commit = true, reset = UK_RESET_LATEST;
  int64_t interval = UK_AUTO_COMMIT_INTERVAL, session = UK_SESSION_TIMEOUT;
  if (!read_word(request, UK_HEADER_AUTO_COMMIT, booleans, 2, "true or false", &auto_commit) ||
      !read_word(request, UK_HEADER_OFFSET_RESET, resets, 3, "latest, earliest or none", &reset) ||
      !uk_api_header_integer(request, UK_HEADER_AUTO_COMMIT_INTERVAL, 0,
                             UK_AUTO_COMMIT_INTERVAL_MAX, &interval) ||
      !uk_api_header_integer(request, UK_HEADER_SESSION_TIMEOUT, UK_SESSION_TIMEOUT_MIN,
                             UK_SESSION_TIMEOUT_MAX, &session))
    return false;
  *settings = (struct uk_consumer_settings){.auto_commit = auto_commit != 0,
                                            .auto_commit_interval = (int32_t)interval,
                                            .offset_reset = (enum uk_offset_reset)reset,
                                            .session_timeout = (int32_t)session};
  return true;
}
