/* counted_conf: counts librdkafka's configurations. librdkafka allocates them, so the failing
 * allocator does not see one that is left behind. Include it in one file of a program. */
#ifndef COUNTED_CONF_H
#define COUNTED_CONF_H

#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/* That were not destroyed. librdkafka's own rd_kafka_new takes one without destroying it. */
static atomic_int counted_confs;

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
  rd_kafka_conf_t *(*real)(void) = NULL;
  atomic_fetch_add(&counted_confs, 1);
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_conf_new");
  return real();
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
  void (*real)(rd_kafka_conf_t *) = NULL;
  atomic_fetch_sub(&counted_confs, 1);
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_conf_destroy");
  real(conf);
}

#endif
