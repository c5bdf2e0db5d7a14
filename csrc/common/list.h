/* list: a doubly linked list of structs that hold their own links.
 *
 *   struct job { int number; struct uk_link link; };
 *   struct uk_list jobs = {0};
 *
 *   uk_list_add(&jobs, &job->link);
 *   for (struct job *job; (job = UK_LIST_TAKE(&jobs, struct job, link)) != NULL;)
 *     run(job);
 *
 * Nothing is allocated, and every call except uk_list_count takes constant time. A zeroed list is
 * empty, and a zeroed link is in no list. A struct needs one link for each list that it can be in
 * at the same time.
 *
 * A list that was used once stays at its address; uk_list_move passes its links on to another. A
 * list knows no locks: the caller holds one when threads share it. */
#ifndef UK_LIST_H
#define UK_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct uk_link {
  struct uk_link *next, *previous; /* both NULL: in no list */
};

struct uk_list {
  struct uk_link head; /* next is the first, previous the last; both NULL until the first use */
};

static inline bool uk_list_is_empty(const struct uk_list *list)
{
  return list->head.next == NULL || list->head.next == &list->head;
}

static inline bool uk_link_is_linked(const struct uk_link *link)
{
  return link->next != NULL;
}

/* The first, last, following and preceding link; NULL when there is none. */

static inline struct uk_link *uk_list_first(const struct uk_list *list)
{
  return uk_list_is_empty(list) ? NULL : list->head.next;
}

static inline struct uk_link *uk_list_last(const struct uk_list *list)
{
  return uk_list_is_empty(list) ? NULL : list->head.previous;
}

static inline struct uk_link *uk_list_next(const struct uk_list *list, const struct uk_link *link)
{
  return link->next != &list->head ? link->next : NULL;
}

static inline struct uk_link *uk_list_previous(const struct uk_list *list,
                                               const struct uk_link *link)
{
  return link->previous != &list->head ? link->previous : NULL;
}

static inline size_t uk_list_count(const struct uk_list *list)
{
  size_t count = 0;
  for (const struct uk_link *link = uk_list_first(list); link != NULL;
       link = uk_list_next(list, link))
    count++;
  return count;
}

/* Puts `link`, which is in no list, in front of `next`, which is in one. */
static inline void uk_list_insert(struct uk_link *next, struct uk_link *link)
{
  link->next = next;
  link->previous = next->previous;
  next->previous->next = link;
  next->previous = link;
}

static inline struct uk_link *uk_list_head_(struct uk_list *list)
{
  if (list->head.next == NULL)
    list->head.next = list->head.previous = &list->head;
  return &list->head;
}

/* Puts `link`, which is in no list, at the end, where a FIFO grows. */
static inline void uk_list_add(struct uk_list *list, struct uk_link *link)
{
  uk_list_insert(uk_list_head_(list), link);
}

static inline void uk_list_add_first(struct uk_list *list, struct uk_link *link)
{
  uk_list_insert(uk_list_head_(list)->next, link);
}

/* Takes the link out of its list. A link that is in no list stays so. */
static inline void uk_list_remove(struct uk_link *link)
{
  if (!uk_link_is_linked(link))
    return;
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link->next = link->previous = NULL;
}

/* Takes the first link out; NULL when the list is empty. */
static inline struct uk_link *uk_list_take(struct uk_list *list)
{
  struct uk_link *first = uk_list_first(list);
  if (first != NULL)
    uk_list_remove(first);
  return first;
}

/* Moves all links of `from` to the end of `to`, in their order. `from` is then empty. */
static inline void uk_list_move(struct uk_list *to, struct uk_list *from)
{
  struct uk_link *first = uk_list_first(from), *last = uk_list_last(from);
  struct uk_link *head = uk_list_head_(to);
  if (first == NULL)
    return;
  first->previous = head->previous;
  head->previous->next = first;
  last->next = head;
  head->previous = last;
  *from = (struct uk_list){.head = {NULL, NULL}};
}

static inline void *uk_link_owner_(const struct uk_link *link, size_t offset)
{
  return link != NULL ? (char *)link - offset : NULL;
}

/* The struct of that type whose `member` the link is; NULL for NULL. */
#define UK_LIST_ENTRY(link, type, member) ((type *)uk_link_owner_((link), offsetof(type, member)))

/* The same for the links that the functions above return. */
#define UK_LIST_FIRST(list, type, member) UK_LIST_ENTRY(uk_list_first(list), type, member)
#define UK_LIST_LAST(list, type, member) UK_LIST_ENTRY(uk_list_last(list), type, member)
#define UK_LIST_NEXT(list, item, type, member)                                                     \
  UK_LIST_ENTRY(uk_list_next((list), &(item)->member), type, member)
#define UK_LIST_TAKE(list, type, member) UK_LIST_ENTRY(uk_list_take(list), type, member)

#endif
