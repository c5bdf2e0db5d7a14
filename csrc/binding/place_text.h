/* place_text: error texts of the server, whose places follow JSON, in the words of the Lua caller:
 * "[0].key: ..." about an element of a list becomes "messages[1].key: ...". */
#ifndef UK_PLACE_TEXT_H
#define UK_PLACE_TEXT_H

#include "common/slice.h"

enum { UK_PLACE_TEXT_SIZE = 1024 };

/* Returns the text with places that count from 1, written to `out`, or the text itself when it does
 * not begin with such a place. `list` names the list that the caller passed, NULL = none. */
struct uk_slice uk_lua_place_text(char out[UK_PLACE_TEXT_SIZE], struct uk_slice text,
                                  const char *list);

#endif
