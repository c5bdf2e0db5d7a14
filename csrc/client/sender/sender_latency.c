#include "client/sender/sender_latency.h"

static unsigned bucket_of(uint64_t value)
{
  if (value < UK_LATENCY_EXACT)
    return (unsigned)value;
  const unsigned power = 63U - (unsigned)__builtin_clzll(value); /* 4 and up */
  const unsigned step = (unsigned)(value >> (power - 3)) & (UK_LATENCY_STEPS - 1);
  const unsigned bucket = UK_LATENCY_EXACT + (power - 4) * UK_LATENCY_STEPS + step;
  return bucket < UK_LATENCY_BUCKETS ? bucket : UK_LATENCY_BUCKETS - 1;
}

/* The largest value that the bucket counts. */
static uint64_t end_of(unsigned bucket)
{
  if (bucket < UK_LATENCY_EXACT)
    return bucket;
  const unsigned power = (bucket - UK_LATENCY_EXACT) / UK_LATENCY_STEPS + 4;
  const uint64_t step = (bucket - UK_LATENCY_EXACT) % UK_LATENCY_STEPS;
  return ((UK_LATENCY_STEPS + step + 1) << (power - 3)) - 1;
}

void uk_sender_latency_add(struct uk_sender_latency *latency, int64_t milliseconds)
{
  const int64_t value = milliseconds > 0 ? milliseconds : 0;
  latency->buckets[bucket_of((uint64_t)value)]++;
  latency->count++;
  latency->sum += (uint64_t)value;
  if (value > latency->max)
    latency->max = value;
}

double uk_sender_latency_mean(const struct uk_sender_latency *latency)
{
  return latency->count > 0 ? (double)latency->sum / (double)latency->count : 0;
}

double uk_sender_latency_percentile(const struct uk_sender_latency *latency, double share)
{
  const double wanted = share * (double)latency->count;
  uint64_t passed = 0;
  for (unsigned bucket = 0; bucket < UK_LATENCY_BUCKETS; bucket++) {
    passed += latency->buckets[bucket];
    if ((double)passed >= wanted)
      return (double)(end_of(bucket) < (uint64_t)latency->max ? end_of(bucket)
                                                              : (uint64_t)latency->max);
  }
  return 0;
}
