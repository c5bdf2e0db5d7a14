/* for: list.h. Every way to add and remove a link, and the resulting order. */
#include "check.h"
#include "common/list.h"

enum { ITEMS = 4 };

/* The link is not the first member: its offset matters. */
struct item {
  int number;
  struct uk_link link;
};

static struct item items[ITEMS];
static struct uk_list list;

static void begin(void)
{
  list = (struct uk_list){.head = {NULL, NULL}};
  for (int i = 0; i < ITEMS; i++)
    items[i] = (struct item){.number = i};
}

/* The numbers of the items in order, such as "012". Checks both directions. */
static const char *order(const struct uk_list *of)
{
  static char text[ITEMS + 1];
  size_t count = 0;
  const struct uk_link *before = NULL;
  for (struct item *item = UK_LIST_FIRST(of, struct item, link); item != NULL && count < ITEMS;
       item = UK_LIST_NEXT(of, item, struct item, link)) {
    CHECK(uk_list_previous(of, &item->link) == before);
    CHECK(uk_link_is_linked(&item->link));
    before = &item->link;
    text[count++] = (char)('0' + item->number);
  }
  text[count] = '\0';
  CHECK(uk_list_last(of) == before);
  CHECK_EQ_INT(uk_list_count(of), count);
  CHECK(uk_list_is_empty(of) == (count == 0));
  return text;
}

/* Adds the first `count` items in order. */
static void fill(int count)
{
  begin();
  for (int i = 0; i < count; i++)
    uk_list_add(&list, &items[i].link);
}

static void is_empty_when_zeroed(void)
{
  begin();
  CHECK_EQ_STR(order(&list), "");
  CHECK(uk_list_first(&list) == NULL && uk_list_last(&list) == NULL);
  CHECK(uk_list_take(&list) == NULL);
  CHECK(UK_LIST_FIRST(&list, struct item, link) == NULL);
  CHECK(UK_LIST_LAST(&list, struct item, link) == NULL);
  CHECK(UK_LIST_TAKE(&list, struct item, link) == NULL);
  CHECK(!uk_link_is_linked(&items[0].link));
}

static void keeps_the_order_of_adding(void)
{
  fill(3);
  CHECK_EQ_STR(order(&list), "012");
  CHECK(UK_LIST_FIRST(&list, struct item, link) == &items[0]);
  CHECK(UK_LIST_LAST(&list, struct item, link) == &items[2]);
  uk_list_add_first(&list, &items[3].link);
  CHECK_EQ_STR(order(&list), "3012");
  begin();
  uk_list_add_first(&list, &items[1].link);
  uk_list_add_first(&list, &items[0].link);
  CHECK_EQ_STR(order(&list), "01");
}

static void inserts_in_front(void)
{
  fill(2);
  uk_list_insert(&items[1].link, &items[2].link);
  CHECK_EQ_STR(order(&list), "021");
  uk_list_insert(&items[0].link, &items[3].link);
  CHECK_EQ_STR(order(&list), "3021");
}

/* Each of three items, and all of them; the list can be used again. */
static void removes_any(void)
{
  static const char *const left[] = {"12", "02", "01"};
  for (int i = 0; i < 3; i++) {
    fill(3);
    uk_list_remove(&items[i].link);
    CHECK_EQ_STR(order(&list), left[i]);
    CHECK(!uk_link_is_linked(&items[i].link) && items[i].link.previous == NULL);
    uk_list_remove(&items[i].link); /* in no list: nothing changes */
    CHECK_EQ_STR(order(&list), left[i]);
    uk_list_add(&list, &items[i].link);
    CHECK_EQ_INT(uk_list_count(&list), 3);
  }
  for (int i = 0; i < 3; i++)
    uk_list_remove(&items[i].link);
  CHECK_EQ_STR(order(&list), "");
  uk_list_add(&list, &items[1].link);
  CHECK_EQ_STR(order(&list), "1");
}

static void takes_the_first(void)
{
  fill(3);
  for (int i = 0; i < 3; i++) {
    struct item *item = UK_LIST_TAKE(&list, struct item, link);
    CHECK(item == &items[i] && !uk_link_is_linked(&items[i].link));
  }
  CHECK(UK_LIST_TAKE(&list, struct item, link) == NULL);
  CHECK_EQ_STR(order(&list), "");
}

/* Moves a list of `from` items to the end of one with `to` items. Both can be used afterwards. */
static void moves(int to, int from, const char *want)
{
  struct uk_list other = {.head = {NULL, NULL}};
  fill(to);
  for (int i = to; i < to + from; i++)
    uk_list_add(&other, &items[i].link);
  uk_list_move(&list, &other);
  CHECK_EQ_STR(order(&list), want);
  CHECK_EQ_STR(order(&other), "");
  uk_list_add(&other, &items[3].link);
  CHECK_EQ_STR(order(&other), "3");
  uk_list_remove(&items[3].link);
  if (to + from > 0)
    uk_list_remove(&items[to + from - 1].link); /* its list has moved */
  CHECK_EQ_INT(uk_list_count(&list), to + from > 0 ? to + from - 1 : 0);
  CHECK_EQ_STR(order(&other), "");
}

static void moves_all(void)
{
  moves(0, 0, "");
  moves(0, 2, "01");
  moves(2, 0, "01");
  moves(1, 2, "012");
  moves(2, 1, "012");
}

int main(void)
{
  CHECK_RUN(is_empty_when_zeroed);
  CHECK_RUN(keeps_the_order_of_adding);
  CHECK_RUN(inserts_in_front);
  CHECK_RUN(removes_any);
  CHECK_RUN(takes_the_first);
  CHECK_RUN(moves_all);
  return check_end();
}
