/* message_json: writes records and their metadata as JSON. */
#ifndef UK_MESSAGE_JSON_H
#define UK_MESSAGE_JSON_H

#include "common/buffer.h"
#include "server/engine/engine.h"

/* Appends {"topic":…,"partition":…,"offset":…,"timestamp":…}. */
void uk_json_write_metadata(struct uk_buffer *buffer, const struct uk_record *record);

/* The same with "key", "value" and "headers". With `base64`, key, value and header values are
 * encoded. */
void uk_json_write_message(struct uk_buffer *buffer, const struct uk_record *record, bool base64);

#endif
