/* message: messages to produce, read from Lua values into a request. Misuse raises. */
#ifndef UK_MESSAGE_H
#define UK_MESSAGE_H

#include "binding/arguments.h"

/* Stack slots of one message while it is read. They keep its strings alive, also from an encode
 * function that changes the message's table. */
enum uk_lua_message_slot {
  UK_SLOT_TOPIC,
  UK_SLOT_VALUE,
  UK_SLOT_KEY,
  UK_SLOT_HEADERS,
  UK_SLOT_HEADER_KEY,
  UK_SLOT_HEADER_VALUE,
  UK_SLOT_COUNT
};

/* Reads the message whose value is argument 2 and whose options are argument 3, all but its headers.
 * Its slices point into the slots, whose first index it returns; the caller drops them. */
int uk_lua_read_message(const struct uk_lua_arguments *arguments, struct uk_message *message);

/* Gives the request of the arguments each header of the message in the slots. */
typedef void uk_lua_header_taker(struct uk_client_request *request, struct uk_slice key,
                                 struct uk_slice value);
void uk_lua_read_headers(const struct uk_lua_arguments *arguments, int slots,
                         uk_lua_header_taker *take);

/* produce: value is argument 2, the rest are the options of argument 3. Adds one object. */
void uk_lua_add_message(const struct uk_lua_arguments *arguments);

/* produce_many: argument `number` is a list of messages. With `topics` each names its own, else
 * none may. Adds a list. */
void uk_lua_add_messages(const struct uk_lua_arguments *arguments, int number, bool topics);

#endif
