/* for: murmur2.c */
#include "server/engine/murmur2.h"

#include <stdlib.h>

#include "check.h"
#include "guard.h"

/* Expected values from Kafka's tests of its partitioner. */
static const struct {
  const char *key;
  int32_t hash;
} published[] = {
  {"21", -973932308},
  {"foobar", -790332482},
  {"a-little-bit-long-string", -985981536},
  {"a-little-bit-longer-string", -1486304829},
  {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
  {"abc", 479470107},
};

static void published_values(void)
{
  for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
    CHECK_EQ_INT(uk_murmur2(uk_slice_text(published[i].key)), published[i].hash);
}

static void reads_no_byte_after_the_key(void)
{
  for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
    size_t length = strlen(published[i].key);
    char *key = guard_copy(published[i].key, length);
    CHECK_EQ_INT(uk_murmur2(uk_slice_of(key, length)), published[i].hash);
    guard_free(key, length);
  }
}

static void partitions_of_a_negative_hash(void)
{
  /* (-973932308 & 0x7fffffff) % 7 */
  CHECK_EQ_INT(uk_murmur2_partition(uk_slice_text("21"), 7), 1173551340 % 7);
  CHECK_EQ_INT(uk_murmur2_partition(uk_slice_text("abc"), 10), 7);
  CHECK_EQ_INT(uk_murmur2_partition(uk_slice_text("abc"), 1), 0);
}

static void an_empty_key(void)
{
  int32_t partition = uk_murmur2_partition(uk_slice_of(NULL, 0), 1000);
  CHECK(partition >= 0 && partition < 1000);
  CHECK_EQ_INT(uk_murmur2_partition(uk_slice_text(""), 1000), partition);
}

int main(void)
{
  CHECK_RUN(published_values);
  CHECK_RUN(reads_no_byte_after_the_key);
  CHECK_RUN(partitions_of_a_negative_hash);
  CHECK_RUN(an_empty_key);
  return check_end();
}
