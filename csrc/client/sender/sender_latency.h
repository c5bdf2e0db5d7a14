/* sender_latency: how long messages took, as a histogram of milliseconds. */
#ifndef UK_SENDER_LATENCY_H
#define UK_SENDER_LATENCY_H

#include <stdint.h>

/* Up to 16 ms a bucket for each, above that eight for each doubling: a percentile is at most an
 * eighth too high. */
enum { UK_LATENCY_EXACT = 16, UK_LATENCY_STEPS = 8, UK_LATENCY_BUCKETS = 16 + 8 * 40 };

struct uk_sender_latency {
  uint64_t buckets[UK_LATENCY_BUCKETS];
  uint64_t count, sum;
  int64_t max;
};

void uk_sender_latency_add(struct uk_sender_latency *latency, int64_t milliseconds);

double uk_sender_latency_mean(const struct uk_sender_latency *latency);
/* The least number of milliseconds that `share` (0 to 1) of the messages did not pass. */
double uk_sender_latency_percentile(const struct uk_sender_latency *latency, double share);

#endif
