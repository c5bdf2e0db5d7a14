/* for: nearest.c */
#include "common/nearest.h"

#include "check.h"
#include "guard.h"

static const char *nearest(const char *name, const char *const *names, size_t count)
{
  size_t length = strlen(name);
  char *copy = guard_copy(name, length);
  const char *found = uk_nearest(uk_slice_of(copy, length), names, count);
  guard_free(copy, length);
  return found;
}

static void names_the_one_with_the_fewest_changes(void)
{
  static const char *const names[] = {"topic", "partition", "offset", "timeout", "max_bytes"};
  static const struct {
    const char *name, *nearest;
  } cases[] = {
    {"ofset", "offset"},
    {"offsett", "offset"},
    {"offzet", "offset"},
    {"OFFSET", "offset"},
    {"Topic", "topic"},
    {"topics", "topic"},
    {"partitions", "partition"},
    {"maxBytes", "max_bytes"},
    {"timout", "timeout"},
    {"tpoic", "topic"},
    {"", "topic"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_EQ_STR(nearest(cases[i].name, names, 5), cases[i].nearest);
}

/* The first of several that are equally near; the case of every letter is ignored. */
static void names_the_first_of_equals(void)
{
  static const char *const names[] = {"bxyz", "aqyz", "azyx"};
  CHECK_EQ_STR(nearest("axyz", names, 3), "bxyz");
  CHECK_EQ_STR(nearest("AZYX", names, 3), "azyx");
  for (char letter = 'a'; letter <= 'z'; letter++) {
    const char lower[] = {letter, letter, '\0'};
    const char upper[] = {(char)(letter - 'a' + 'A'), (char)(letter - 'a' + 'A'), '\0'};
    const char *const known[] = {"..", lower};
    CHECK(nearest(upper, known, 2) == known[1]);
  }
  static const char *const marks[] = {"@[", "`{"};
  CHECK(nearest("`{", marks, 2) == marks[1]); /* only letters have a case */
}

static void names_end_at_their_count_or_at_null(void)
{
  static const char *const names[] = {"a", NULL, "b"};
  CHECK_EQ_STR(nearest("b", names, 3), "a");
  CHECK_EQ_STR(nearest("a", names, 1), "a");
  CHECK_EQ_STR(nearest("b", names, 0), NULL);
  CHECK_EQ_STR(nearest("b", NULL, 0), NULL);
}

/* Names of 64 bytes and more, known and unknown. */
static void long_names_count_as_far_as_their_first_64_bytes(void)
{
  char long_name[200], other[200];
  memset(long_name, 'x', sizeof long_name - 1);
  memset(other, 'x', sizeof other - 1);
  long_name[sizeof long_name - 1] = other[sizeof other - 1] = '\0';
  memset(other + 64, 'y', 100);
  const char *const names[] = {"xx", other};
  for (size_t length = 62; length < 70; length++) {
    long_name[length] = '\0';
    CHECK_EQ_STR(nearest(long_name, names, 2), other);
    long_name[length] = 'x';
  }
  /* As far as they count, the unknown name is the second one; its rest is the first one. */
  char both[129], x[65], y[65];
  memset(both, 'x', 64);
  memset(both + 64, 'y', 64);
  snprintf(x, sizeof x, "%.64s", both);
  snprintf(y, sizeof y, "%.64s", both + 64);
  both[128] = '\0';
  const char *const halves[] = {y, x};
  CHECK(nearest(both, halves, 2) == x);
}

int main(void)
{
  CHECK_RUN(names_the_one_with_the_fewest_changes);
  CHECK_RUN(names_the_first_of_equals);
  CHECK_RUN(names_end_at_their_count_or_at_null);
  CHECK_RUN(long_names_count_as_far_as_their_first_64_bytes);
  return check_end();
}
