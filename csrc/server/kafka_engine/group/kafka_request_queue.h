/* kafka_request_queue: the requests that an instance has in hand, from its inbox to their answers. */
#ifndef UK_KAFKA_REQUEST_QUEUE_H
#define UK_KAFKA_REQUEST_QUEUE_H

#include "server/kafka_engine/group/kafka_instance.h"

void uk_kafka_requests_add(struct uk_kafka_requests *requests, struct uk_kafka_request *request);
/* NULL when there is none. */
struct uk_kafka_request *uk_kafka_requests_take(struct uk_kafka_requests *requests);
/* Takes out that one, which is in. */
void uk_kafka_requests_remove(struct uk_kafka_requests *requests, struct uk_kafka_request *request);

/* Ends the request with the outcome that its operation has. */
void uk_kafka_request_done(struct uk_kafka_request *request);
void uk_kafka_requests_done(struct uk_kafka_requests *requests);
/* Ends the request with the error; the text may be "". A commit or deletion of which something may be done (`sent`) ends
 * with GATEWAY_TIMEOUT in place of UNAVAILABLE, any other one with UNAVAILABLE in place of GATEWAY_TIMEOUT. */
void uk_kafka_request_fail(struct uk_kafka_request *request, enum uk_error error, const char *text);
void uk_kafka_requests_fail(struct uk_kafka_requests *requests, enum uk_error error,
                            const char *text);

/* Takes what came: what an earlier request returned was delivered. */
void uk_kafka_instance_take_inbox(struct uk_kafka_instance *instance, int64_t now);
/* Subscribes to what the last consume named, once the handle is open. */
void uk_kafka_instance_subscribe_kept(struct uk_kafka_instance *instance);
/* Subscribes to these. False: memory is out, or librdkafka refuses, with the code. */
bool uk_kafka_instance_subscribe(struct uk_kafka_instance *instance, const struct uk_slice *topics,
                                 size_t count, rd_kafka_resp_err_t *code);

/* Answers whose time has come. */
void uk_kafka_instance_expire(struct uk_kafka_instance *instance, int64_t now);
/* The earliest deadline, or `time`. */
int64_t uk_kafka_instance_deadline(const struct uk_kafka_instance *instance, int64_t time);

/* Gives the requests that wait to a new instance; this one is out of the table. A consume that came while the instance was
 * surely this server's ends without records: its client has asked elsewhere since. */
void uk_kafka_instance_pass_on(struct uk_kafka_instance *instance, int64_t now);

#endif
