import com.alicloud.openservices.tablestore.ClientConfiguration;
import com.alicloud.openservices.tablestore.ClientException;
import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.filter.*;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;
import java.util.concurrent.TimeUnit;

/** Runs checks, and has short forms of the SDK's requests for them. */
class Checks {
  interface Body {
    void run() throws Exception;
  }

  static final String INVALID = "OTSParameterInvalid";
  static final String endpoint = System.getenv("TABLESTORE_ENDPOINT");
  static final String instance = System.getenv("TABLESTORE_INSTANCE");
  static final String id = System.getenv("TABLESTORE_ACCESS_KEY_ID");
  static final String secret = System.getenv("TABLESTORE_ACCESS_KEY_SECRET");
  static SyncClient client;
  static int failed;
  private static int tables;

  /**
   * Runs one check, and prints a line "ok capability: what" or "failed capability: what: why". It
   * deletes all tables first, because an instance can have only 64.
   *
   * <p>It repeats a check after "Connection closed": about once in some thousand calls, the SDK's
   * HTTP client fails an answered call with that error.
   */
  static void check(String capability, String what, Body body) {
    Throwable reason = null;
    for (int attempt = 0; attempt < 4; attempt++) {
      try {
        for (String table : client.listTable().getTableNames()) {
          client.deleteTable(new DeleteTableRequest(table));
        }
        body.run();
        System.out.println("ok " + capability + ": " + what);
        return;
      } catch (Exception | AssertionError e) {
        reason = e;
      }
      if (!(reason instanceof ClientException) || !reason.getMessage().endsWith(": Connection closed")) {
        break;
      }
    }
    failed++;
    System.out.println("failed " + capability + ": " + what + ": " + reason);
  }

  /** Fails the check unless both have the same text. */
  static void same(Object got, Object want) {
    if (!String.valueOf(got).equals(String.valueOf(want))) {
      throw new AssertionError("got " + got + ", want " + want);
    }
  }

  /** Fails the check unless the service refuses the call with this code and text. */
  static void refused(String code, String text, Body body) throws Exception {
    TableStoreException e = refusal(body);
    same(e.getErrorCode() + ": " + e.getMessage(), code + ": " + text);
    if (e.getRequestId() == null || e.getRequestId().isEmpty()) {
      throw new AssertionError("the error has no request id");
    }
  }

  static TableStoreException refusal(Body body) throws Exception {
    try {
      body.run();
    } catch (TableStoreException e) {
      return e;
    }
    throw new AssertionError("the call succeeded");
  }

  static ClientConfiguration configuration() {
    ClientConfiguration c = new ClientConfiguration();
    c.setRetryStrategy(new DefaultRetryStrategy(1, TimeUnit.MILLISECONDS));
    return c;
  }

  /**
   * Creates a table with a new name. Its key columns are strings, unless a type follows, as in
   * "name:INTEGER".
   */
  static String table(int versions, String... key) {
    TableMeta meta = meta(key);
    client.createTable(new CreateTableRequest(meta, new TableOptions(-1, versions)));
    return meta.getTableName();
  }

  static TableMeta meta(String... key) {
    TableMeta meta = new TableMeta("java_" + ++tables);
    for (String column : key) {
      String[] parts = column.split(":");
      if (parts.length == 1) {
        meta.addPrimaryKeyColumn(column, PrimaryKeyType.STRING);
      } else if (parts[1].equals("AUTO")) {
        meta.addAutoIncrementPrimaryKeyColumn(parts[0]);
      } else {
        meta.addPrimaryKeyColumn(parts[0], PrimaryKeyType.valueOf(parts[1]));
      }
    }
    return meta;
  }

  /** Returns a primary key from alternating names and values. */
  static PrimaryKey key(Object... pairs) {
    PrimaryKeyBuilder b = PrimaryKeyBuilder.createPrimaryKeyBuilder();
    for (int i = 0; i < pairs.length; i += 2) {
      Object v = pairs[i + 1];
      PrimaryKeyValue value;
      if (v instanceof PrimaryKeyValue) {
        value = (PrimaryKeyValue) v;
      } else if (v instanceof byte[]) {
        value = PrimaryKeyValue.fromBinary((byte[]) v);
      } else if (v instanceof Number) {
        value = PrimaryKeyValue.fromLong(((Number) v).longValue());
      } else {
        value = PrimaryKeyValue.fromString((String) v);
      }
      b.addPrimaryKeyColumn((String) pairs[i], value);
    }
    return b.build();
  }

  static ColumnValue value(Object v) {
    if (v instanceof byte[]) {
      return ColumnValue.fromBinary((byte[]) v);
    } else if (v instanceof Double) {
      return ColumnValue.fromDouble((Double) v);
    } else if (v instanceof Boolean) {
      return ColumnValue.fromBoolean((Boolean) v);
    } else if (v instanceof Number) {
      return ColumnValue.fromLong(((Number) v).longValue());
    }
    return ColumnValue.fromString((String) v);
  }

  /** Returns a put with columns from alternating names and values. */
  static RowPutChange put(String table, PrimaryKey key, Object... pairs) {
    RowPutChange change = new RowPutChange(table, key);
    for (int i = 0; i < pairs.length; i += 2) {
      change.addColumn((String) pairs[i], value(pairs[i + 1]));
    }
    return change;
  }

  /** Returns an update with columns from alternating names and values. */
  static RowUpdateChange update(String table, PrimaryKey key, Object... pairs) {
    RowUpdateChange change = new RowUpdateChange(table, key);
    for (int i = 0; i < pairs.length; i += 2) {
      change.put((String) pairs[i], value(pairs[i + 1]));
    }
    return change;
  }

  static void write(RowPutChange change) {
    client.putRow(new PutRowRequest(change));
  }

  static void write(RowUpdateChange change) {
    client.updateRow(new UpdateRowRequest(change));
  }

  static void write(RowDeleteChange change) {
    client.deleteRow(new DeleteRowRequest(change));
  }

  /** Returns all versions of a row as text, or "none" if the row is absent. */
  static String get(String table, PrimaryKey key, String... columns) throws IOException {
    SingleRowQueryCriteria c = new SingleRowQueryCriteria(table, key);
    c.setMaxVersions(Integer.MAX_VALUE);
    c.addColumnsToGet(columns);
    return get(c);
  }

  static String get(SingleRowQueryCriteria c) throws IOException {
    return text(client.getRow(new GetRowRequest(c)).getRow());
  }

  /** Returns a row as text: "k=a x=1 y=2". */
  static String text(Row row) throws IOException {
    if (row == null) {
      return "none";
    }
    StringJoiner out = new StringJoiner(" ");
    for (PrimaryKeyColumn c : row.getPrimaryKey().getPrimaryKeyColumns()) {
      out.add(c.getName() + "=" + text(c.getValue().toColumnValue()));
    }
    for (Column c : row.getColumns()) {
      out.add(c.getName() + "=" + text(c.getValue()));
    }
    return out.toString();
  }

  static String text(List<Row> rows) throws IOException {
    List<String> out = new ArrayList<>();
    for (Row row : rows) {
      out.add(text(row));
    }
    return String.join(", ", out);
  }

  private static String text(ColumnValue v) {
    if (v.getValue() instanceof byte[]) {
      return Arrays.toString(v.asBinary());
    }
    return v.getValue().toString();
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static final SingleColumnValueFilter.CompareOperator EQUAL = SingleColumnValueFilter.CompareOperator.EQUAL;
  static final SingleColumnValueFilter.CompareOperator ABOVE = SingleColumnValueFilter.CompareOperator.GREATER_THAN;

  static SingleColumnValueFilter one(String name, SingleColumnValueFilter.CompareOperator op, Object v) {
    return new SingleColumnValueFilter(name, op, value(v));
  }

  static CompositeColumnValueFilter both(CompositeColumnValueFilter.LogicOperator op, ColumnValueFilter... of) {
    CompositeColumnValueFilter f = new CompositeColumnValueFilter(op);
    for (ColumnValueFilter sub : of) {
      f.addFilter(sub);
    }
    return f;
  }

  static Condition when(ColumnValueFilter filter) {
    Condition c = new Condition(RowExistenceExpectation.IGNORE);
    c.setColumnCondition(filter instanceof SingleColumnValueFilter
        ? ((SingleColumnValueFilter) filter).toCondition() : ((CompositeColumnValueFilter) filter).toCondition());
    return c;
  }

  static String reading(String table, Filter filter) throws Exception {
    SingleRowQueryCriteria c = new SingleRowQueryCriteria(table, key("p", "a"));
    c.setMaxVersions(1);
    c.setFilter(filter);
    return get(c);
  }

  static RangeRowQueryCriteria range(String table, PrimaryKey from, PrimaryKey to, Direction direction) {
    RangeRowQueryCriteria c = new RangeRowQueryCriteria(table);
    c.setInclusiveStartPrimaryKey(from);
    c.setExclusiveEndPrimaryKey(to);
    c.setDirection(direction);
    c.setMaxVersions(1);
    return c;
  }

  static String range(RangeRowQueryCriteria c) throws Exception {
    GetRangeResponse out = client.getRange(new GetRangeRequest(c));
    return text(out.getRows()) + (out.getNextStartPrimaryKey() == null ? "" : " …");
  }
}
