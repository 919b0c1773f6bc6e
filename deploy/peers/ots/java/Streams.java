import com.alicloud.openservices.tablestore.model.*;
import java.util.ArrayList;
import java.util.List;

/** Checks of streams and local transactions. */
class Streams extends Checks {
  static void all() {
    streams();
    transactions();
  }

  /** Creates a table with a stream whose records include these columns of the former row. */
  static String streamed(String... origin) {
    TableMeta meta = meta("p");
    CreateTableRequest r = new CreateTableRequest(meta, new TableOptions(-1, 1));
    StreamSpecification stream = new StreamSpecification(true, 24);
    if (origin.length > 0) {
      stream.addOriginColumnsToGet(origin);
    }
    r.setStreamSpecification(stream);
    client.createTable(r);
    return meta.getTableName();
  }

  static String iterator(String table) {
    String stream = client.listStream(new ListStreamRequest(table)).getStreams().get(0).getStreamId();
    String shard = client.describeStream(new DescribeStreamRequest(stream)).getShards().get(0).getShardId();
    return client.getShardIterator(new GetShardIteratorRequest(stream, shard)).getShardIterator();
  }

  static List<StreamRecord> records(String table) {
    return client.getStreamRecord(new GetStreamRecordRequest(iterator(table))).getRecords();
  }

  static String columns(List<RecordColumn> columns) {
    List<String> out = new ArrayList<>();
    for (RecordColumn c : columns) {
      out.add(c.getColumnType() + " " + c.getColumn().getName()
          + (c.getColumnType() == RecordColumn.ColumnType.PUT ? "=" + c.getColumn().getValue() : ""));
    }
    return String.join(", ", out);
  }

  static void streams() {
    check("streams", "records of put, update and delete", () -> {
      String name = streamed();
      write(put(name, key("p", "a"), "x", 1, "y", 2));
      write(update(name, key("p", "a"), "x", 3).deleteColumns("y"));
      write(new RowDeleteChange(name, key("p", "a")));
      List<StreamRecord> all = records(name);
      List<String> seen = new ArrayList<>();
      for (StreamRecord r : all) {
        seen.add(r.getRecordType() + ": " + columns(r.getColumns()));
        same(r.getPrimaryKey(), key("p", "a"));
      }
      same(String.join("; ", seen), "PUT: PUT x=1, PUT y=2; UPDATE: PUT x=3, DELETE_ALL_VERSION y; DELETE: ");
      long first = all.get(0).getSequenceInfo().getTimestamp();
      same(first < all.get(2).getSequenceInfo().getTimestamp(), true);
      same(Math.abs(System.currentTimeMillis() * 1000 - first) < 60_000_000, true);
    });
    check("streams", "selected columns of the former row", () -> {
      String name = streamed("x", "z");
      write(put(name, key("p", "a"), "x", 1, "y", 2));
      write(update(name, key("p", "a"), "x", 3));
      write(update(name, key("p", "a"), "z", 4));
      write(new RowDeleteChange(name, key("p", "a")));
      List<String> seen = new ArrayList<>();
      for (StreamRecord r : records(name)) {
        seen.add(r.getRecordType() + ": " + columns(r.getOriginColumns()));
      }
      same(String.join("; ", seen), "PUT: ; UPDATE: PUT x=1; UPDATE: PUT x=3; DELETE: PUT x=3, PUT z=4");
    });
    check("streams", "selected columns are described, and can be added", () -> {
      String name = streamed("x");
      UpdateTableRequest more = new UpdateTableRequest(name);
      StreamSpecification stream = new StreamSpecification(true, 48);
      stream.addOriginColumnsToGet(List.of("x", "y"));
      more.setStreamSpecification(stream);
      client.updateTable(more);
      StreamDetails d = client.describeTable(new DescribeTableRequest(name)).getStreamDetails();
      same(d.isEnableStream() + " " + d.getExpirationTime() + " " + d.getOriginColumnsToGet(), "true 48 [x, y]");
    });
    check("streams", "pages, and whether there is more", () -> {
      String name = streamed();
      for (int i = 0; i < 3; i++) {
        write(put(name, key("p", "k" + i), "x", i));
      }
      GetStreamRecordRequest r = new GetStreamRecordRequest(iterator(name));
      r.setTableName(name);
      r.setLimit(2);
      GetStreamRecordResponse out = client.getStreamRecord(r);
      same(out.getRecords().size() + " " + out.getMayMoreRecord(), "2 true");
      r.setShardIterator(out.getNextShardIterator());
      out = client.getStreamRecord(r);
      same(out.getRecords().size() + " " + out.getMayMoreRecord(), "1 false");
      r.setShardIterator(out.getNextShardIterator());
      same(client.getStreamRecord(r).getRecords().size(), 0);
      write(put(name, key("p", "later")));
      r.setLimit(1);
      out = client.getStreamRecord(r);
      same(out.getRecords().size() + " " + out.getMayMoreRecord(), "1 true"); // a full page cannot tell
    });
    check("streams", "from a given time", () -> {
      String name = streamed();
      write(put(name, key("p", "a")));
      write(put(name, key("p", "b")));
      StreamRecord second = records(name).get(1);
      String stream = client.listStream(new ListStreamRequest(name)).getStreams().get(0).getStreamId();
      DescribeStreamResponse d = client.describeStream(new DescribeStreamRequest(stream));
      same(d.getTableName() + " " + d.getExpirationTime() + " " + d.getStatus(), name + " 24 ACTIVE");
      GetShardIteratorRequest from = new GetShardIteratorRequest(stream, d.getShards().get(0).getShardId());
      from.setTimestamp(second.getSequenceInfo().getTimestamp());
      String it = client.getShardIterator(from).getShardIterator();
      same(client.getStreamRecord(new GetStreamRecordRequest(it)).getRecords().size(), 1);
    });
    check("streams", "enabled and disabled later", () -> {
      String name = table(1, "p");
      same(client.listStream(new ListStreamRequest(name)).getStreams().size(), 0);
      UpdateTableRequest r = new UpdateTableRequest(name);
      r.setStreamSpecification(new StreamSpecification(true, 168));
      StreamDetails d = client.updateTable(r).getStreamDetails();
      same(d.isEnableStream() + " " + d.getExpirationTime(), "true 168");
      write(put(name, key("p", "a")));
      same(records(name).size(), 1);
      r.setStreamSpecification(new StreamSpecification(false));
      same(client.updateTable(r).getStreamDetails().isEnableStream(), false);
      same(client.listStream(new ListStreamRequest(name)).getStreams().size(), 0);
    });
    check("streams", "of a table whose name is too long", () -> {
      for (int length : new int[] {238, 239}) {
        TableMeta meta = meta("p");
        meta.setTableName("s".repeat(length));
        CreateTableRequest r = new CreateTableRequest(meta, new TableOptions(-1, 1));
        r.setStreamSpecification(new StreamSpecification(true, 24));
        client.createTable(r);
        write(put(meta.getTableName(), key("p", "a")));
        if (length == 238) {
          same(records(meta.getTableName()).size(), 1);
        } else {
          same(refusal(() -> records(meta.getTableName())).getMessage().startsWith("Invalid stream id"), true);
        }
      }
    });
  }

  static void transactions() {
    check("transactions", "commit, abort and isolation", () -> {
      String name = table(1, "p", "n:INTEGER");
      String txn = begin(name);
      PutRowRequest put = new PutRowRequest(put(name, key("p", "a", "n", 1), "x", 1));
      put.setTransactionId(txn);
      client.putRow(put);
      same(get(name, key("p", "a", "n", 1)), "none");
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a", "n", 1));
      c.setMaxVersions(1);
      GetRowRequest inside = new GetRowRequest(c);
      inside.setTransactionId(txn);
      same(text(client.getRow(inside).getRow()), "p=a n=1 x=1");
      client.commitTransaction(new CommitTransactionRequest(txn));
      same(get(name, key("p", "a", "n", 1)), "p=a n=1 x=1");
      txn = begin(name);
      BatchWriteRowRequest batch = new BatchWriteRowRequest();
      batch.addRowChange(put(name, key("p", "a", "n", 2), "x", 2));
      batch.setTransactionId(txn);
      same(client.batchWriteRow(batch).isAllSucceed(), true);
      client.abortTransaction(new AbortTransactionRequest(txn));
      same(get(name, key("p", "a", "n", 2)), "none");
    });
    check("transactions", "other writers are refused", () -> {
      String name = table(1, "p", "n:INTEGER");
      String txn = begin(name);
      String busy = "Data is being modified by the other request.";
      refused("OTSRowOperationConflict", busy, () -> begin(name));
      refused("OTSRowOperationConflict", busy, () -> write(put(name, key("p", "a", "n", 1))));
      write(put(name, key("p", "b", "n", 1)));
      client.commitTransaction(new CommitTransactionRequest(txn));
      write(put(name, key("p", "a", "n", 1)));
    });
    check("transactions", "invalid requests", () -> {
      String name = table(1, "p", "n:INTEGER");
      String txn = begin(name);
      client.commitTransaction(new CommitTransactionRequest(txn));
      refused("OTSSessionNotExist", "Session not exist or may be timeout.",
          () -> client.commitTransaction(new CommitTransactionRequest(txn)));
      refused(INVALID, "TransactionID is invalid.", () -> client.abortTransaction(new AbortTransactionRequest("")));
      refused(INVALID, "StartLocalTransaction support only one primary key.", () -> client.startLocalTransaction(
          new StartLocalTransactionRequest(name, key("p", "a", "n", 1))));
      TableMeta without = meta("p");
      CreateTableRequest r = new CreateTableRequest(without, new TableOptions(-1, 1));
      r.setLocalTxnEnabled(false);
      client.createTable(r);
      refused(INVALID, "Try to call method using explicit transaction on explicit-transaction-disabled table.",
          () -> begin(without.getTableName()));
    });
  }

  static String begin(String table) {
    return client.startLocalTransaction(new StartLocalTransactionRequest(table, key("p", "a"))).getTransactionID();
  }
}
