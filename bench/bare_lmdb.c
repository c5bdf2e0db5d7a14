/* bare_lmdb: LMDB alone with the same durability: records of 100 bytes under rising 8-byte keys,
 * one synced transaction for every RECORDS of them.
 *
 *   bare_lmdb DIRECTORY RECORDS COMMITS
 *
 * Prints the commits a second. */
#include <endian.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void check(int rc, const char *what)
{
  if (rc == MDB_SUCCESS)
    return;
  fprintf(stderr, "bare_lmdb: %s: %s\n", what, mdb_strerror(rc));
  exit(1);
}

static void commit_once(MDB_env *env, MDB_dbi dbi, long records, uint64_t *next)
{
  char value[100];
  memset(value, 'x', sizeof value);
  MDB_txn *txn;
  check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
  for (long i = 0; i < records; i++) {
    uint64_t key = htobe64((*next)++);
    MDB_val k = {sizeof key, &key}, v = {sizeof value, value};
    check(mdb_put(txn, dbi, &k, &v, MDB_APPEND), "put");
  }
  check(mdb_txn_commit(txn), "commit");
}

int main(int argc, char **argv)
{
  if (argc != 4) {
    fprintf(stderr, "usage: bare_lmdb DIRECTORY RECORDS COMMITS\n");
    return 2;
  }
  long records = atol(argv[2]), commits = atol(argv[3]);
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  check(mdb_env_create(&env), "create");
  check(mdb_env_set_mapsize(env, (size_t)16 << 30), "mapsize");
  check(mdb_env_open(env, argv[1], 0, 0600), "open");
  check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
  check(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi");
  MDB_stat before;
  check(mdb_stat(txn, dbi, &before), "stat");
  check(mdb_txn_commit(txn), "commit");

  uint64_t next = before.ms_entries;
  int64_t start = bench_now_ns();
  for (long i = 0; i < commits; i++)
    commit_once(env, dbi, records, &next);
  double seconds = (double)(bench_now_ns() - start) / 1e9;
  printf("%.1f\n", (double)commits / seconds);
  mdb_env_close(env);
  return 0;
}
