/* kafka_settings: how each kind of connection to the cluster is configured: what the user set, between what suits
 * this server better than librdkafka's defaults and what the contract rests on. */
#ifndef UK_KAFKA_SETTINGS_H
#define UK_KAFKA_SETTINGS_H

#include "server/kafka_engine/rd/kafka_options.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum uk_kafka_role {
  UK_KAFKA_CONTROL,  /* metadata and admin requests */
  UK_KAFKA_PRODUCER, /* idempotent, acks=all */
  UK_KAFKA_FETCH,    /* reads partitions, without a group */
  UK_KAFKA_GROUP,    /* an instance of a group; the caller sets the group's own properties */
  UK_KAFKA_COMMITTED /* asks what a group has committed, and does not join it */
};

struct uk_kafka_settings;

/* Checks every property. BAD_REQUEST, with a message that names the property, for one that librdkafka does not know
 * or that the server sets itself, for a value that it does not take, and for a file that cannot be read. */
enum uk_error uk_kafka_settings_new(struct uk_kafka_settings **settings,
                                    const struct uk_kafka_options *options, char *message,
                                    size_t size);
void uk_kafka_settings_free(struct uk_kafka_settings *settings);

/* A configuration of that role, the caller's until rd_kafka_new takes it; NULL when memory is out. */
rd_kafka_conf_t *uk_kafka_conf(const struct uk_kafka_settings *settings, enum uk_kafka_role role);

/* What the user set it to, NULL when nothing. */
const char *uk_kafka_settings_value(const struct uk_kafka_settings *settings, const char *name);

/* Sets one property of a configuration by this server's own hand. False: memory is out, or librdkafka refuses. */
bool uk_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);

#endif
