/* kafka_settings: the properties of each kind of connection to the cluster. The user's properties
 * override defaults that suit this server; properties that the contract depends on override the
 * user's. */
#ifndef UK_KAFKA_SETTINGS_H
#define UK_KAFKA_SETTINGS_H

#include "server/kafka_engine/rd/kafka_options.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum uk_kafka_role {
  UK_KAFKA_CONTROL,  /* metadata and admin requests */
  UK_KAFKA_PRODUCER, /* idempotent, acks=all */
  UK_KAFKA_FETCH,    /* reads partitions without a group */
  UK_KAFKA_GROUP,    /* an instance of a group; the caller sets the properties of its group */
  UK_KAFKA_COMMITTED /* reads what a group has committed, without joining it */
};

struct uk_kafka_settings;

/* Checks every property. BAD_REQUEST, with a message that names the property, if librdkafka does
 * not know it, if the server sets it itself, if its value is not accepted, or if its file cannot be
 * read. */
enum uk_error uk_kafka_settings_new(struct uk_kafka_settings **settings,
                                    const struct uk_kafka_options *options, char *message,
                                    size_t size);
void uk_kafka_settings_free(struct uk_kafka_settings *settings);

/* A configuration for that role; the caller's until rd_kafka_new takes it. NULL when memory runs
 * out. */
rd_kafka_conf_t *uk_kafka_conf(const struct uk_kafka_settings *settings, enum uk_kafka_role role);

/* The user's value, or NULL. */
const char *uk_kafka_settings_value(const struct uk_kafka_settings *settings, const char *name);

/* Sets one property on the server's behalf. False when memory runs out or librdkafka refuses. */
bool uk_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);

#endif
