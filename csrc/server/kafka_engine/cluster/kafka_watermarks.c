#include "server/kafka_engine/cluster/kafka_watermarks.h"

#include "server/kafka_engine/cluster/kafka_offsets.h"

static void run(struct uk_kafka_work *work)
{
  struct uk_kafka_watermarks *watermarks = (struct uk_kafka_watermarks *)work;
  int64_t deadline = work->query.deadline;
  rd_kafka_resp_err_t code =
    uk_kafka_offsets_ask(watermarks->control, UK_TIMESTAMP_EARLIEST, watermarks->first,
                         watermarks->count, deadline, &watermarks->failed);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = uk_kafka_offsets_ask(watermarks->control, UK_TIMESTAMP_LATEST, watermarks->end,
                                watermarks->count, deadline, &watermarks->failed);
  work->query.code = code;
}

void uk_kafka_watermarks_ask(struct uk_kafka_watermarks *watermarks,
                             struct uk_kafka_blocking *blocking)
{
  watermarks->failed = 0;
  watermarks->work.run = run;
  uk_kafka_blocking_submit(blocking, &watermarks->work);
}
