/* kafka_readers: the consumer handles that fetches read through: made when they are needed, lent, kept for a while.
 *
 * A handle reads a partition for one at a time; several fetches that read different partitions share it. A loan whose
 * fetch left something is kept as it stands, with what was read ahead, for the next fetch that goes on from there. */
#ifndef UK_KAFKA_READERS_H
#define UK_KAFKA_READERS_H

#include "server/kafka_engine/fetch/kafka_loan.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"

enum {
  UK_KAFKA_READERS = 8,         /* handles at most */
  UK_KAFKA_LOANS_EACH = 64,     /* at once */
  UK_KAFKA_KEPT = 8,            /* loans that are kept, each with what one handle may read ahead */
  UK_KAFKA_KEEP = 3000,         /* milliseconds that a loan is kept */
  UK_KAFKA_READER_IDLE = 60000, /* milliseconds that a handle without loans stays */
  UK_KAFKA_STOP_SLICE =
    64 /* parts that are stopped without a pause, for a thread that others need */
};

struct uk_kafka_readers;

/* NULL when memory is out. */
struct uk_kafka_readers *uk_kafka_readers_new(const struct uk_kafka_settings *settings,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_reaper *reaper);
/* Nothing is lent, and the executor still runs. The handles go to the reaper. */
void uk_kafka_readers_free(struct uk_kafka_readers *readers);

/* A task that waits for a loan. */
struct uk_kafka_turn {
  struct uk_kafka_task *task;
  struct uk_kafka_turn *next, **link; /* link NULL: not in the line */
};

enum uk_kafka_lent {
  UK_KAFKA_LENT,
  UK_KAFKA_BUSY, /* the turn is in the line: the task is woken when it may be worth to ask again */
  UK_KAFKA_UNCONNECTED, /* no handle can be made: see the text */
  UK_KAFKA_UNLENT       /* memory is out */
};

/* Lends what reads these positions, none of them started yet unless the loan was kept. Its queue wakes the task, but not
 * for what is in it already. */
enum uk_kafka_lent uk_kafka_readers_lend(struct uk_kafka_readers *readers,
                                         const struct uk_kafka_position *positions, size_t count,
                                         struct uk_kafka_turn *turn, struct uk_kafka_loan **loan,
                                         char *text, size_t size);

/* Out of the line, if the turn is in it. */
void uk_kafka_readers_leave(struct uk_kafka_readers *readers, struct uk_kafka_turn *turn);

/* Takes back a loan that was stopped. */
void uk_kafka_readers_return(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan);

/* Takes back a loan that goes on. */
void uk_kafka_readers_keep(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan);

/* What the handle of the loan knows of topics is out of date: it is not lent again. */
void uk_kafka_readers_retire(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan);

/* The topic is gone: what was read ahead of it is not the records of another of its name. */
void uk_kafka_readers_forget(struct uk_kafka_readers *readers, struct uk_slice topic);

#endif
