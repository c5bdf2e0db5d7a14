/* kafka_send: a record, handed to a producer of librdkafka. */
#ifndef UK_KAFKA_SEND_H
#define UK_KAFKA_SEND_H

#include "server/kafka_rd.h"

/* NO_ERROR: a delivery report that carries `opaque` will come, and until then the value stays where it is. */
rd_kafka_resp_err_t uk_kafka_send(rd_kafka_t *handle, const struct uk_record *record, void *opaque);

#endif
