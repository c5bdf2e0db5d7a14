#include "server/kafka_engine/rd/kafka_query.h"

#include <limits.h>

#include "common/clock.h"

int uk_kafka_time_left(int64_t deadline)
{
  int64_t left = deadline - uk_clock_monotonic();
  return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (int)left;
}
