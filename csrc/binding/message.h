/* message: reads messages to produce from Lua values into a request. Misuse raises. */
#ifndef UK_MESSAGE_H
#define UK_MESSAGE_H

#include "binding/arguments.h"

/* The stack slots of a message while it is read. They keep its strings alive even if an encode
 * function changes the message's table. */
enum uk_lua_message_slot {
  UK_SLOT_TOPIC,
  UK_SLOT_VALUE,
  UK_SLOT_KEY,
  UK_SLOT_HEADERS,
  UK_SLOT_HEADER_KEY,
  UK_SLOT_HEADER_VALUE,
  UK_SLOT_COUNT
};

/* Reads the message whose value is argument 2 and whose options are argument 3, except its headers.
 * Pushes its stack slots, into which the slices point, and returns the first one's index; the
 * caller pops them. */
int uk_lua_read_message(const struct uk_lua_arguments *arguments, struct uk_message *message);

/* Calls `take` with the request and each header of the message in the stack slots. */
typedef void uk_lua_header_taker(struct uk_client_request *request, struct uk_slice key,
                                 struct uk_slice value);
void uk_lua_read_headers(const struct uk_lua_arguments *arguments, int slots,
                         uk_lua_header_taker *take);

/* For produce: adds the message as an object. Argument 2 is its value, argument 3 its options. */
void uk_lua_add_message(const struct uk_lua_arguments *arguments);

/* For produce_many: adds the messages of argument `number` as a list. With `topics` each message
 * must name a topic, else none may. */
void uk_lua_add_messages(const struct uk_lua_arguments *arguments, int number, bool topics);

#endif
