/* sender_latency: how long deliveries took, as a histogram of milliseconds. */
#ifndef UK_SENDER_LATENCY_H
#define UK_SENDER_LATENCY_H

#include <stdint.h>

/* One bucket per millisecond up to 16, then eight per power of two: a percentile is at most an
 * eighth too high. */
enum { UK_LATENCY_EXACT = 16, UK_LATENCY_STEPS = 8, UK_LATENCY_BUCKETS = 16 + 8 * 40 };

/* Zeroed = empty. */
struct uk_sender_latency {
  uint64_t buckets[UK_LATENCY_BUCKETS];
  uint64_t count, sum;
  int64_t max;
};

void uk_sender_latency_add(struct uk_sender_latency *latency, int64_t milliseconds);

double uk_sender_latency_mean(const struct uk_sender_latency *latency);
/* The smallest number of milliseconds within which `share` (0 to 1) of the messages were
 * delivered. */
double uk_sender_latency_percentile(const struct uk_sender_latency *latency, double share);

#endif
