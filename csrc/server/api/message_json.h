/* message_json: records and what became of them as JSON text. */
#ifndef UK_MESSAGE_JSON_H
#define UK_MESSAGE_JSON_H

#include "common/buffer.h"
#include "server/engine/engine.h"

/* {"topic":…,"partition":…,"offset":…,"timestamp":…} */
void uk_json_write_metadata(struct uk_buffer *buffer, const struct uk_record *record);

/* The same with "key", "value" and "headers"; key, value and header values in base64 when asked. */
void uk_json_write_message(struct uk_buffer *buffer, const struct uk_record *record, bool base64);

#endif
