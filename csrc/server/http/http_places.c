#include "server/http/http_places.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void uk_places_init(struct uk_places *places)
{
  *places = (struct uk_places){.seed = (uintptr_t)places};
  (void)!getrandom(&places->seed, sizeof places->seed, GRND_NONBLOCK);
}

static struct uk_list *list_of(struct uk_places *places, const struct uk_client_address *address)
{
  static const uint64_t odd[] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb};
  uint64_t halves[2];
  _Static_assert(sizeof halves == sizeof address->bytes, "an address is two numbers");
  memcpy(halves, address->bytes, sizeof halves);
  uint64_t hash = (halves[0] ^ places->seed) * odd[0];
  hash = (hash ^ hash >> 29 ^ halves[1]) * odd[1];
  hash = (hash ^ hash >> 32 ^ places->seed) * odd[2];
  return &places->lists[(hash >> 40) % UK_PLACES_LISTS];
}

static struct uk_address_places *find(const struct uk_list *list,
                                      const struct uk_client_address *address)
{
  struct uk_address_places *of = UK_LIST_FIRST(list, struct uk_address_places, link);
  while (of != NULL && !uk_client_address_equals(&of->address, address))
    of = UK_LIST_NEXT(list, of, struct uk_address_places, link);
  return of;
}

struct uk_address_places *uk_places_take(struct uk_places *places,
                                         const struct uk_client_address *address)
{
  const struct uk_client_address network = uk_client_address_network(address);
  struct uk_list *list = list_of(places, &network);
  struct uk_address_places *of = find(list, &network);
  if (of == NULL) {
    of = calloc(1, sizeof *of);
    if (of == NULL)
      return NULL;
    of->address = network;
    uk_list_add(list, &of->link);
  }
  of->count++;
  return of;
}

void uk_places_give(struct uk_address_places *of)
{
  if (of == NULL || --of->count > 0)
    return;
  uk_list_remove(&of->link);
  free(of);
}
