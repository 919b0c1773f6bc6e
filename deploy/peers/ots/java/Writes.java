import com.alicloud.openservices.tablestore.DefaultTableStoreWriter;
import com.alicloud.openservices.tablestore.TableStoreCallback;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentials;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.writer.RowWriteResult;
import com.alicloud.openservices.tablestore.writer.WriterConfig;
import com.alicloud.openservices.tablestore.writer.WriterResult;
import com.alicloud.openservices.tablestore.writer.enums.BatchRequestType;
import com.alicloud.openservices.tablestore.writer.enums.WriteMode;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/** Checks of batches, bulk imports and secondary indexes. */
class Writes extends Checks {
  static void all() {
    batches();
    imports();
    indexes();
  }

  static void batches() {
    check("batches", "put, update and delete in two tables", () -> {
      String a = table(1, "p");
      String b = table(1, "p");
      write(put(a, key("p", "u"), "x", 1));
      write(put(b, key("p", "d"), "x", 1));
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      r.addRowChange(put(a, key("p", "n"), "x", 2));
      r.addRowChange(update(a, key("p", "u"), "y", 3));
      r.addRowChange(new RowDeleteChange(b, key("p", "d")));
      same(client.batchWriteRow(r).isAllSucceed(), true);
      same(get(a, key("p", "n")) + ", " + get(a, key("p", "u")) + ", " + get(b, key("p", "d")),
          "p=n x=2, p=u x=1 y=3, none");
    });
    check("batches", "read of several tables, a row twice, an absent row", () -> {
      String a = table(1, "p");
      String b = table(1, "p");
      write(put(a, key("p", "1"), "x", 1));
      write(put(b, key("p", "2"), "x", 2));
      BatchGetRowRequest r = new BatchGetRowRequest();
      for (String name : List.of(a, b)) {
        MultiRowQueryCriteria c = new MultiRowQueryCriteria(name);
        c.setMaxVersions(1);
        c.addRow(key("p", "1"));
        c.addRow(key("p", "2"));
        c.addRow(key("p", "1"));
        r.addMultiRowQueryCriteria(c);
      }
      BatchGetRowResponse out = client.batchGetRow(r);
      same(out.isAllSucceed(), true);
      String seen = "";
      for (String name : List.of(a, b)) {
        for (BatchGetRowResponse.RowResult row : out.getBatchGetRowResult(name)) {
          seen += text(row.getRow()) + ", ";
        }
      }
      same(seen, "p=1 x=1, none, p=1 x=1, none, p=2 x=2, none, ");
    });
    check("batches", "an atomic batch has one partition", () -> {
      String name = table(1, "p", "n:INTEGER");
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      r.setAtomic(true);
      r.addRowChange(put(name, key("p", "0", "n", 1), "x", 1));
      r.addRowChange(put(name, key("p", "0", "n", 2), "x", 1));
      same(client.batchWriteRow(r).isAllSucceed(), true);
      r.addRowChange(put(name, key("p", "1", "n", 1), "x", 1));
      BatchWriteRowResponse out = client.batchWriteRow(r);
      same(out.getFailedRows().size(), 3);
      same(out.getFailedRows().get(0).getError().getCode() + ": " + out.getFailedRows().get(0).getError().getMessage(),
          "OTSDataOutOfRange: Data out of scope of atomic. Atomic PartKey:0. Data PartKey:1");
      same(get(name, key("p", "1", "n", 1)), "none");
    });
    check("batches", "too many rows", () -> {
      String name = table(1, "p");
      BatchWriteRowRequest w = new BatchWriteRowRequest();
      for (int i = 0; i < 201; i++) {
        w.addRowChange(put(name, key("p", "k" + i)));
      }
      refused(INVALID, "Rows count exceeds the upper limit: 200.", () -> client.batchWriteRow(w));
      MultiRowQueryCriteria c = new MultiRowQueryCriteria(name);
      c.setMaxVersions(1);
      for (int i = 0; i < 101; i++) {
        c.addRow(key("p", "k" + i));
      }
      BatchGetRowRequest g = new BatchGetRowRequest();
      g.addMultiRowQueryCriteria(c);
      refused(INVALID, "Rows count exceeds the upper limit: 100.", () -> client.batchGetRow(g));
    });
    check("batches", "an absent table fails only its own rows", () -> {
      String name = table(1, "p");
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      r.addRowChange(put(name, key("p", "a"), "x", 1));
      r.addRowChange(put("nowhere", key("p", "a"), "x", 1));
      BatchWriteRowResponse out = client.batchWriteRow(r);
      same(out.getRowStatus(name).get(0).isSucceed(), true);
      same(out.getRowStatus("nowhere").get(0).getError().getCode(), "OTSObjectNotExist");
    });
  }

  static void imports() {
    check("bulk import", "rows are put, updated and deleted", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "d"), "x", 1));
      BulkImportRequest r = new BulkImportRequest(name);
      r.addRowChange(put(name, key("p", "a"), "x", 1));
      r.addRowChange(update(name, key("p", "b"), "x", 2));
      r.addRowChange(new RowDeleteChange(name, key("p", "d")));
      BulkImportResponse out = client.bulkImport(r);
      same(out.isAllSucceed() + " " + out.getRowResults().size(), "true 3");
      same(get(name, key("p", "a")) + ", " + get(name, key("p", "b")) + ", " + get(name, key("p", "d")),
          "p=a x=1, p=b x=2, none");
    });
    check("bulk import", "a row costs bytes in place of units", () -> {
      String name = table(1, "p");
      BulkImportRequest r = new BulkImportRequest(name);
      r.addRowChange(new RowPutChange(name, key("p", "abc")).addColumn("x", value(1), System.currentTimeMillis()));
      ConsumedCapacity cost = client.bulkImport(r).getRowResults().get(0).getConsumedCapacity();
      same(cost.getCapacityUnit(), new CapacityUnit(0, 0));
      same(cost.getCapacityDataSize().getWriteCapacityDataSize(), 1 + 3 + 1 + 8);
    });
    check("bulk import", "a defined column of another type fails its row", () -> {
      TableMeta meta = meta("p");
      meta.addDefinedColumn("n", DefinedColumnType.INTEGER);
      client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1)));
      BulkImportRequest r = new BulkImportRequest(meta.getTableName());
      r.addRowChange(put(meta.getTableName(), key("p", "a"), "n", bytes("x")));
      r.addRowChange(put(meta.getTableName(), key("p", "b"), "n", 1));
      BulkImportResponse out = client.bulkImport(r);
      same(out.getSucceedRows().size() + " " + out.getFailedRows().size(), "1 1");
      same(out.getFailedRows().get(0).getError().getMessage(),
          "Invalid column type for column n expect VT_INTEGER actual VT_BLOB");
    });
    for (BatchRequestType type : BatchRequestType.values()) {
      check("writer", "a thousand rows by " + type, () -> {
        String name = table(1, "p", "n:INTEGER");
        AtomicInteger good = new AtomicInteger();
        AtomicInteger bad = new AtomicInteger();
        try (Writer w = new Writer(name, type, good, bad)) {
          for (int i = 0; i < 1000; i++) {
            w.writer.addRowChange(put(name, key("p", "k" + i % 7, "n", i), "x", i));
          }
          w.writer.flush();
        }
        counted(good, bad, "1000 0");
        RangeIteratorParameter p = new RangeIteratorParameter(name);
        p.setInclusiveStartPrimaryKey(key("p", PrimaryKeyValue.INF_MIN, "n", PrimaryKeyValue.INF_MIN));
        p.setExclusiveEndPrimaryKey(key("p", PrimaryKeyValue.INF_MAX, "n", PrimaryKeyValue.INF_MAX));
        p.setMaxVersions(1);
        int n = 0;
        for (Iterator<Row> it = client.createRangeIterator(p); it.hasNext(); n++) {
          it.next();
        }
        same(n, 1000);
      });
    }
    check("writer", "a row that is too large fails alone, and so does its future", () -> {
      String name = table(1, "p");
      AtomicInteger good = new AtomicInteger();
      AtomicInteger bad = new AtomicInteger();
      try (Writer w = new Writer(name, BatchRequestType.BULK_IMPORT, good, bad)) {
        Future<WriterResult> all = w.writer.addRowChangeWithFuture(List.of(
            put(name, key("p", "a"), "x", 1), put(name, key("p", "b"), "#x", 1), put(name, key("p", "c"), "x", 3)));
        w.writer.flush();
        WriterResult result = all.get();
        same(result.getSucceedRows().size() + " " + result.getFailedRows().size(), "2 1");
      }
      counted(good, bad, "2 1");
      same(get(name, key("p", "a")) + ", " + get(name, key("p", "b")) + ", " + get(name, key("p", "c")),
          "p=a x=1, none, p=c x=3");
    });
  }

  /** Waits until the callbacks, which follow the writes, have counted these rows. */
  static void counted(AtomicInteger good, AtomicInteger bad, String want) throws InterruptedException {
    for (int i = 0; i < 100 && !want.equals(good + " " + bad); i++) {
      Thread.sleep(50);
    }
    same(good + " " + bad, want);
  }

  /** A writer of the SDK that counts successful and failed rows. */
  static class Writer implements AutoCloseable {
    final DefaultTableStoreWriter writer;

    Writer(String table, BatchRequestType type, AtomicInteger good, AtomicInteger bad) {
      WriterConfig config = new WriterConfig();
      config.setBatchRequestType(type);
      config.setWriteMode(WriteMode.PARALLEL);
      config.setConcurrency(4);
      config.setBucketCount(2);
      config.setMaxBatchRowsCount(100);
      writer = new DefaultTableStoreWriter(endpoint, new DefaultCredentials(id, secret), instance, table, config,
          new TableStoreCallback<RowChange, RowWriteResult>() {
            @Override
            public void onCompleted(RowChange change, RowWriteResult result) {
              good.incrementAndGet();
            }

            @Override
            public void onFailed(RowChange change, Exception e) {
              bad.incrementAndGet();
            }
          });
    }

    @Override
    public void close() {
      writer.close();
    }
  }

  static void indexes() {
    check("indexes", "a global and a local index follow the table", () -> {
      TableMeta meta = meta("p", "q");
      meta.addDefinedColumn("city", DefinedColumnType.STRING);
      meta.addDefinedColumn("age", DefinedColumnType.INTEGER);
      CreateTableRequest r = new CreateTableRequest(meta, new TableOptions(-1, 1));
      String name = meta.getTableName();
      IndexMeta global = new IndexMeta(name + "_city");
      global.addPrimaryKeyColumn("city");
      global.addDefinedColumn("age");
      r.addIndex(global);
      IndexMeta local = new IndexMeta(name + "_age");
      local.addPrimaryKeyColumn("p");
      local.addPrimaryKeyColumn("age");
      local.setIndexType(IndexType.IT_LOCAL_INDEX);
      local.setIndexUpdateMode(IndexUpdateMode.IUM_SYNC_INDEX);
      r.addIndex(local);
      client.createTable(r);
      write(put(name, key("p", "a", "q", "1"), "city", "x", "age", 7));
      write(put(name, key("p", "a", "q", "2"), "age", 3));
      PrimaryKey min = key("city", PrimaryKeyValue.INF_MIN, "p", PrimaryKeyValue.INF_MIN, "q", PrimaryKeyValue.INF_MIN);
      PrimaryKey max = key("city", PrimaryKeyValue.INF_MAX, "p", PrimaryKeyValue.INF_MAX, "q", PrimaryKeyValue.INF_MAX);
      same(range(range(name + "_city", min, max, Direction.FORWARD)), "city=x p=a q=1 age=7");
      min = key("p", "a", "age", PrimaryKeyValue.INF_MIN, "q", PrimaryKeyValue.INF_MIN);
      max = key("p", "a", "age", PrimaryKeyValue.INF_MAX, "q", PrimaryKeyValue.INF_MAX);
      same(range(range(name + "_age", min, max, Direction.FORWARD)), "p=a age=3 q=2, p=a age=7 q=1");
      refused(INVALID, "Can't write index table directly.", () -> write(put(name + "_city", key("city", "x"))));
      same(client.describeTable(new DescribeTableRequest(name)).getIndexMeta().size(), 2);
    });
    check("indexes", "created from existing rows, and dropped", () -> {
      TableMeta meta = meta("p");
      meta.addDefinedColumn("city", DefinedColumnType.STRING);
      client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1)));
      String name = meta.getTableName();
      write(put(name, key("p", "a"), "city", "x"));
      IndexMeta index = new IndexMeta(name + "_i");
      index.addPrimaryKeyColumn("city");
      client.createIndex(new CreateIndexRequest(name, index, true));
      PrimaryKey min = key("city", PrimaryKeyValue.INF_MIN, "p", PrimaryKeyValue.INF_MIN);
      PrimaryKey max = key("city", PrimaryKeyValue.INF_MAX, "p", PrimaryKeyValue.INF_MAX);
      same(range(range(name + "_i", min, max, Direction.FORWARD)), "city=x p=a");
      client.deleteIndex(new DeleteIndexRequest(name, name + "_i"));
      refused("OTSObjectNotExist", "Requested table does not exist.",
          () -> range(range(name + "_i", min, max, Direction.FORWARD)));
    });
    check("indexes", "too many columns, and too many indexes", () -> {
      TableMeta meta = meta("p");
      for (int i = 0; i < 8; i++) {
        meta.addDefinedColumn("c" + i, DefinedColumnType.STRING);
      }
      client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1)));
      String name = meta.getTableName();
      IndexMeta wide = new IndexMeta(name + "_w");
      for (int i = 0; i < 5; i++) {
        wide.addPrimaryKeyColumn("c" + i);
      }
      refused(INVALID, "The number of primary key columns must be in range: [1, 4] in index.",
          () -> client.createIndex(new CreateIndexRequest(name, wide, false)));
      for (int i = 0; i < 6; i++) {
        IndexMeta next = new IndexMeta(name + "_" + i);
        next.addPrimaryKeyColumn("c" + i);
        CreateIndexRequest r = new CreateIndexRequest(name, next, false);
        if (i < 5) {
          client.createIndex(r);
        } else {
          refused(INVALID, "Number of index per table exceeds the quota:5.", () -> client.createIndex(r));
        }
      }
    });
  }
}
