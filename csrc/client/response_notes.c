#include "client/response_notes.h"

#include <string.h>
#include <strings.h>

#include "client/framing.h"
#include "common/protocol.h"
#include "common/utf8.h"

static bool is_name(struct uk_slice name, const char *wanted)
{
  return name.length == strlen(wanted) && strncasecmp(name.data, wanted, name.length) == 0;
}

bool uk_batch_id_valid(struct uk_slice id)
{
  for (size_t i = 0; i < id.length; i++)
    if (id.data[i] <= ' ' || id.data[i] > '~')
      return false;
  return id.length > 0 && id.length <= UK_NOTE_BATCH_MAX;
}

static void copy(char *text, size_t most, struct uk_slice value)
{
  const size_t length = value.length < most ? value.length : most;
  memcpy(text, value.data, length);
  uk_utf8_replace_controls(text, length);
  text[length] = '\0';
}

void uk_response_notes_take(struct uk_response_notes *notes, struct uk_slice name,
                            struct uk_slice value)
{
  if (is_name(name, UK_HEADER_BATCH) && uk_batch_id_valid(value))
    copy(notes->batch, UK_NOTE_BATCH_MAX, value);
  else if (is_name(name, UK_HEADER_COMMIT_SKIPPED))
    copy(notes->skipped, UK_NOTE_SKIPPED_MAX, value);
  else if (is_name(name, UK_HEADER_REPLAYED))
    notes->replayed = is_name(value, "true");
}

void uk_response_notes_line(struct uk_response_notes *notes, struct uk_slice line)
{
  static const char *const names[] = {UK_HEADER_BATCH, UK_HEADER_COMMIT_SKIPPED,
                                      UK_HEADER_REPLAYED};
  struct uk_slice value;
  if (line.length >= 5 && strncasecmp(line.data, "HTTP/", 5) == 0)
    *notes = (struct uk_response_notes){.replayed = false};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (uk_framing_header(line, names[i], &value))
      uk_response_notes_take(notes, uk_slice_text(names[i]), value);
}
