import com.alicloud.openservices.tablestore.ClientConfiguration;
import com.alicloud.openservices.tablestore.DefaultTableStoreWriter;
import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.TableStoreCallback;
import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.TimeseriesClient;
import com.alicloud.openservices.tablestore.TunnelClient;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentials;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.delivery.ListDeliveryTaskRequest;
import com.alicloud.openservices.tablestore.model.filter.*;
import com.alicloud.openservices.tablestore.model.search.*;
import com.alicloud.openservices.tablestore.model.search.query.MatchAllQuery;
import com.alicloud.openservices.tablestore.model.sql.SQLQueryRequest;
import com.alicloud.openservices.tablestore.model.timeseries.CreateTimeseriesTableRequest;
import com.alicloud.openservices.tablestore.model.tunnel.CreateTunnelRequest;
import com.alicloud.openservices.tablestore.model.tunnel.ListTunnelRequest;
import com.alicloud.openservices.tablestore.model.tunnel.TunnelType;
import com.alicloud.openservices.tablestore.writer.RowWriteResult;
import com.alicloud.openservices.tablestore.writer.WriterConfig;
import com.alicloud.openservices.tablestore.writer.WriterResult;
import com.alicloud.openservices.tablestore.writer.enums.BatchRequestType;
import com.alicloud.openservices.tablestore.writer.enums.WriteMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Checks the Tablestore emulator through the official SDK for Java. The error texts are those that
 * the vendor's own Java suite expects. Each check prints a line "ok capability: what" or "failed
 * capability: what: why". The exit status is 1 if a check failed.
 *
 * <p>It reads TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE, TABLESTORE_ACCESS_KEY_ID and
 * TABLESTORE_ACCESS_KEY_SECRET.
 */
public class Suite extends Checks {
  static final SingleColumnValueFilter.CompareOperator EQUAL = SingleColumnValueFilter.CompareOperator.EQUAL;
  static final SingleColumnValueFilter.CompareOperator ABOVE = SingleColumnValueFilter.CompareOperator.GREATER_THAN;

  public static void main(String[] args) {
    client = new SyncClient(endpoint, id, secret, instance, configuration());
    tables();
    definitions();
    rows();
    conditions();
    filters();
    ranges();
    keys();
    versions();
    increments();
    batches();
    imports();
    indexes();
    streams();
    transactions();
    authentication();
    compression();
    limits();
    refused();
    client.shutdown();
    System.exit(failed > 0 ? 1 : 0);
  }

  static void tables() {
    check("tables", "create, list, describe, update, delete", () -> {
      TableMeta meta = meta("p", "n:INTEGER", "b:BINARY", "id:AUTO");
      client.createTable(new CreateTableRequest(meta, new TableOptions(86400 * 3, 5, 1000)));
      String name = meta.getTableName();
      same(client.listTable().getTableNames().contains(name), true);
      DescribeTableResponse d = client.describeTable(new DescribeTableRequest(name));
      same(d.getTableMeta().getPrimaryKeyList(), meta.getPrimaryKeyList());
      TableOptions o = d.getTableOptions();
      same(o.getTimeToLive() + " " + o.getMaxVersions() + " " + o.getMaxTimeDeviation(), "259200 5 1000");
      UpdateTableRequest update = new UpdateTableRequest(name);
      update.setTableOptionsForUpdate(new TableOptions(-1, 2));
      o = client.updateTable(update).getTableOptions();
      same(o.getTimeToLive() + " " + o.getMaxVersions() + " " + o.getMaxTimeDeviation(), "-1 2 1000");
      client.deleteTable(new DeleteTableRequest(name));
      same(client.listTable().getTableNames().contains(name), false);
    });
    check("tables", "the creation time is now", () -> {
      String name = table(1, "p");
      long created = client.describeTable(new DescribeTableRequest(name)).getCreationTime() / 1000;
      same(Math.abs(System.currentTimeMillis() - created) < 60_000, true);
    });
    check("tables", "reserved throughput", () -> {
      TableMeta meta = meta("p");
      CapacityUnit three = new CapacityUnit(3, 4);
      client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1), new ReservedThroughput(three)));
      DescribeTableResponse d = client.describeTable(new DescribeTableRequest(meta.getTableName()));
      same(d.getReservedThroughputDetails().getCapacityUnit(), three);
    });
    check("tables", "an existing table, and an absent one", () -> {
      TableMeta meta = meta("p");
      client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1)));
      refused("OTSObjectAlreadyExist", "Requested table already exists.",
          () -> client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1))));
      refused("OTSObjectNotExist", "Requested table does not exist.",
          () -> client.describeTable(new DescribeTableRequest("nowhere")));
      refused("OTSObjectNotExist", "Requested table does not exist.",
          () -> client.deleteTable(new DeleteTableRequest("nowhere")));
      same(refusal(() -> client.deleteTable(new DeleteTableRequest("nowhere"))).getHttpStatus(), 404);
    });
    check("tables", "splits by size", () -> {
      String name = table(1, "p");
      String big = "x".repeat(700_000);
      for (String p : List.of("a", "b", "c", "d")) {
        write(put(name, key("p", p), "v", big));
      }
      ComputeSplitsBySizeRequest r = new ComputeSplitsBySizeRequest();
      r.setTableName(name);
      r.setSplitSizeInByte(1, 1 << 20);
      List<Split> splits = client.computeSplitsBySize(r).getSplits();
      same(splits.size(), 2);
      same(splits.get(1).getLowerBound().getPrimaryKeyColumn("p").getValue().asString(), "c");
      same(splits.get(0).getLocation().length(), 32);
      r.setSplitSizeInByte(1000, 0);
      refused(INVALID, "The split_size_unit_in_byte should be greater equal than: 1048576",
          () -> client.computeSplitsBySize(r));
      r.setSplitSizeIn100MB(0);
      refused(INVALID, "The split_size should be greater than 0.", () -> client.computeSplitsBySize(r));
    });
  }

  static void definitions() {
    check("tables", "definitions that are refused", () -> {
      TableOptions plain = new TableOptions(-1, 1);
      refused(INVALID, "Invalid table name: '1x'.", () -> {
        TableMeta m = meta("p");
        m.setTableName("1x");
        client.createTable(new CreateTableRequest(m, plain));
      });
      refused(INVALID, "The number of primary key columns must be in range: [1, 4].",
          () -> client.createTable(new CreateTableRequest(meta("a", "b", "c", "d", "e"), plain)));
      refused(INVALID, "Invalid column name: '#a'.",
          () -> client.createTable(new CreateTableRequest(meta("#a"), plain)));
      refused(INVALID, "First primary key can't be auto increment, table: java_x.", () -> {
        TableMeta m = meta("p:AUTO");
        m.setTableName("java_x");
        client.createTable(new CreateTableRequest(m, plain));
      });
    });
    check("tables", "defined columns are added and removed", () -> {
      String name = table(1, "p");
      AddDefinedColumnRequest add = new AddDefinedColumnRequest();
      add.setTableName(name);
      add.addDefinedColumn("city", DefinedColumnType.STRING);
      add.addDefinedColumn("age", DefinedColumnType.INTEGER);
      client.addDefinedColumn(add);
      DeleteDefinedColumnRequest remove = new DeleteDefinedColumnRequest();
      remove.setTableName(name);
      remove.addDefinedColumn("city");
      client.deleteDefinedColumn(remove);
      DescribeTableResponse d = client.describeTable(new DescribeTableRequest(name));
      same(d.getTableMeta().getDefinedColumnMap(), "{age=INTEGER}");
    });
  }

  static void rows() {
    check("rows", "put and get every type", () -> {
      String name = table(1, "p", "n:INTEGER", "b:BINARY");
      PrimaryKey k = key("p", "玉", "n", Long.MIN_VALUE, "b", new byte[] {0, -1});
      write(put(name, k, "s", "公司", "i", Long.MAX_VALUE, "d", -0.5, "t", true, "f", false, "y", new byte[] {0, 1}));
      same(get(name, k), "p=玉 n=-9223372036854775808 b=[0, -1] "
          + "d=-0.5 f=false i=9223372036854775807 s=公司 t=true y=[0, 1]");
    });
    check("rows", "empty values", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "")));
      same(get(name, key("p", "")), "p=");
      write(put(name, key("p", "a"), "s", "", "y", new byte[0]));
      same(get(name, key("p", "a")), "p=a s= y=[]");
    });
    check("rows", "a put replaces the row, an update changes part of it", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1, "y", 2));
      write(put(name, key("p", "a"), "z", 3));
      same(get(name, key("p", "a")), "p=a z=3");
      write(update(name, key("p", "a"), "x", "new").deleteColumns("z"));
      same(get(name, key("p", "a")), "p=a x=new");
    });
    check("rows", "an update creates a row, unless it only deletes", () -> {
      String name = table(1, "p");
      write(update(name, key("p", "a"), "x", 1));
      same(get(name, key("p", "a")), "p=a x=1");
      write(new RowUpdateChange(name, key("p", "b")).deleteColumns("x"));
      same(get(name, key("p", "b")), "none");
    });
    check("rows", "a column that is put and deleted is deleted", () -> {
      String name = table(1, "p");
      write(update(name, key("p", "a"), "x", 1, "y", 2).deleteColumns("x"));
      same(get(name, key("p", "a")), "p=a y=2");
      refused(INVALID, "Duplicated attribute column name: 'x' while updating row.",
          () -> write(new RowUpdateChange(name, key("p", "a")).deleteColumns("x").deleteColumns("x")));
    });
    check("rows", "delete", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1));
      write(new RowDeleteChange(name, key("p", "a")));
      same(get(name, key("p", "a")), "none");
      write(new RowDeleteChange(name, key("p", "a")));
    });
    check("rows", "selected columns, and a row without any of them", () -> {
      String name = table(1, "p", "q");
      PrimaryKey k = key("p", "a", "q", "b");
      write(put(name, k, "x", 1, "y", 2));
      same(get(name, k, "y", "nothing"), "p=a q=b y=2");
      same(get(name, k, "nothing"), "none");
      same(get(name, k, "q", "x"), "p=a q=b x=1");
    });
    check("rows", "column names in other scripts", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "公司", 1, "price-2", 2, "a.b", 3, "a b", 4));
      same(get(name, key("p", "a")), "p=a a b=4 a.b=3 price-2=2 公司=1");
      refused(INVALID, "Invalid column name: '#x'.", () -> write(put(name, key("p", "a"), "#x", 1)));
    });
    check("rows", "capacity units", () -> {
      String name = table(1, "p");
      PutRowRequest put = new PutRowRequest(put(name, key("p", "a"), "v", "x".repeat(5000)));
      same(client.putRow(put).getConsumedCapacity().getCapacityUnit(), new CapacityUnit(0, 2));
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      GetRowResponse got = client.getRow(new GetRowRequest(c));
      same(got.getConsumedCapacity().getCapacityUnit(), new CapacityUnit(2, 0));
    });
    check("rows", "a wide row is read part by part", () -> {
      String name = table(1, "p");
      RowPutChange wide = put(name, key("p", "a"));
      for (int i = 0; i < 100; i++) {
        wide.addColumn(String.format("c%03d", i), value(i));
      }
      write(wide);
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      c.setStartColumn("c010");
      c.setEndColumn("c013");
      same(get(c), "p=a c010=10 c011=11 c012=12");
      c.setFilter(new ColumnPaginationFilter(1, 1));
      same(get(c), "p=a c011=11");
    });
    check("rows", "pages of columns", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "a", 1, "b", 2, "c", 3));
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      String seen = "";
      for (int offset = 0; offset < 4; offset += 2) {
        c.setFilter(new ColumnPaginationFilter(2, offset));
        seen += get(c) + "; ";
      }
      same(seen, "p=a a=1 b=2; p=a c=3; ");
    });
  }

  static void conditions() {
    check("conditions", "a row that must or must not exist", () -> {
      String name = table(1, "p");
      RowPutChange absent = put(name, key("p", "a"), "x", 1);
      absent.setCondition(new Condition(RowExistenceExpectation.EXPECT_NOT_EXIST));
      write(absent);
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(absent));
      same(refusal(() -> write(absent)).getHttpStatus(), 403);
      RowUpdateChange there = update(name, key("p", "b"), "x", 1);
      there.setCondition(new Condition(RowExistenceExpectation.EXPECT_EXIST));
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(there));
      RowDeleteChange gone = new RowDeleteChange(name, key("p", "b"));
      gone.setCondition(new Condition(RowExistenceExpectation.EXPECT_EXIST));
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(gone));
    });
    check("conditions", "compare and set", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1));
      RowUpdateChange set = update(name, key("p", "a"), "x", 2);
      set.setCondition(when(one("x", EQUAL, 1)));
      write(set);
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(set));
      same(get(name, key("p", "a")), "p=a x=2");
    });
    check("conditions", "a missing column matches or not, as requested", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a")));
      RowUpdateChange set = update(name, key("p", "a"), "y", 1);
      set.setCondition(when(one("x", EQUAL, 1).setPassIfMissing(false)));
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(set));
      set.setCondition(when(one("x", EQUAL, 1).setPassIfMissing(true)));
      write(set);
      same(get(name, key("p", "a")), "p=a y=1");
    });
    check("conditions", "and, or, not", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 5, "s", "b"));
      ColumnValueFilter above = one("x", ABOVE, 4);
      ColumnValueFilter wrong = one("s", EQUAL, "c");
      CompositeColumnValueFilter or = both(CompositeColumnValueFilter.LogicOperator.OR, above, wrong);
      CompositeColumnValueFilter and = both(CompositeColumnValueFilter.LogicOperator.AND, above, wrong);
      RowUpdateChange set = update(name, key("p", "a"), "y", 1);
      set.setCondition(when(and));
      refused("OTSConditionCheckFail", "Condition check failed.", () -> write(set));
      set.setCondition(when(or));
      write(set);
      CompositeColumnValueFilter not = both(CompositeColumnValueFilter.LogicOperator.NOT, and);
      set.setCondition(when(not));
      write(set);
    });
    check("conditions", "a row of a batch fails alone", () -> {
      String name = table(1, "p");
      RowPutChange a = put(name, key("p", "a"), "x", 1);
      a.setCondition(new Condition(RowExistenceExpectation.EXPECT_EXIST));
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      r.addRowChange(a);
      r.addRowChange(put(name, key("p", "b"), "x", 2));
      BatchWriteRowResponse out = client.batchWriteRow(r);
      same(out.getFailedRows().size() + " " + out.getSucceedRows().size(), "1 1");
      same(out.getFailedRows().get(0).getError().getCode(), "OTSConditionCheckFail");
      same(get(name, key("p", "b")), "p=b x=2");
    });
  }

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

  static void filters() {
    check("filters", "every comparison, of every type", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "i", 5, "d", 0.5, "s", "m", "t", true, "y", bytes("m")));
      Object[][] below = {{"i", 4}, {"d", 0.25}, {"s", "l"}, {"t", false}, {"y", bytes("l")}};
      Object[][] equal = {{"i", 5}, {"d", 0.5}, {"s", "m"}, {"t", true}, {"y", bytes("m")}};
      for (int i = 0; i < equal.length; i++) {
        String seen = "";
        for (SingleColumnValueFilter.CompareOperator op : SingleColumnValueFilter.CompareOperator.values()) {
          for (Object[] with : new Object[][] {below[i], equal[i]}) {
            if (!reading(name, one((String) with[0], op, with[1])).equals("none")) {
              seen += op + (with == equal[i] ? "= " : "< ");
            }
          }
        }
        same(seen, "EQUAL= NOT_EQUAL< GREATER_THAN< GREATER_EQUAL< GREATER_EQUAL= LESS_EQUAL= ");
      }
    });
    check("filters", "a missing column", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1));
      same(reading(name, one("z", EQUAL, 1).setPassIfMissing(true)), "p=a x=1");
      same(reading(name, one("z", EQUAL, 1).setPassIfMissing(false)), "none");
    });
    check("filters", "nested AND, OR and NOT", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1, "y", 2));
      CompositeColumnValueFilter and = both(CompositeColumnValueFilter.LogicOperator.AND,
          one("x", EQUAL, 1), one("y", EQUAL, 3));
      CompositeColumnValueFilter or = both(CompositeColumnValueFilter.LogicOperator.OR, and, one("y", EQUAL, 4));
      same(reading(name, or), "none");
      same(reading(name, both(CompositeColumnValueFilter.LogicOperator.NOT, or)), "p=a x=1 y=2");
    });
    check("filters", "a pattern and a cast", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "s", "t1:12,t2:34"));
      RegexRule second = new RegexRule("t2:([0-9]+)", RegexRule.CastType.VT_INTEGER);
      ColumnValueFilter above = new SingleColumnValueRegexFilter("s", second,
          SingleColumnValueRegexFilter.CompareOperator.GREATER_THAN, value(33));
      ColumnValueFilter far = new SingleColumnValueRegexFilter("s", second,
          SingleColumnValueRegexFilter.CompareOperator.GREATER_THAN, value(34));
      same(reading(name, above), "p=a s=t1:12,t2:34");
      same(reading(name, far), "none");
    });
    check("filters", "33 of them are too many", () -> {
      String name = table(1, "p");
      CompositeColumnValueFilter f = new CompositeColumnValueFilter(CompositeColumnValueFilter.LogicOperator.AND);
      for (int i = 0; i < 33; i++) {
        f.addFilter(one("c" + i, EQUAL, i));
      }
      refused(INVALID, "The count of filter exceeds the max: 32.", () -> reading(name, f));
    });
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

  static void ranges() {
    check("ranges", "forward, backward, with a limit", () -> {
      String name = table(1, "p", "n:INTEGER");
      for (int n : new int[] {2, -1, 10}) {
        write(put(name, key("p", "a", "n", n)));
      }
      PrimaryKey min = key("p", "a", "n", PrimaryKeyValue.INF_MIN);
      PrimaryKey max = key("p", "a", "n", PrimaryKeyValue.INF_MAX);
      same(range(range(name, min, max, Direction.FORWARD)), "p=a n=-1, p=a n=2, p=a n=10");
      same(range(range(name, max, min, Direction.BACKWARD)), "p=a n=10, p=a n=2, p=a n=-1");
      RangeRowQueryCriteria two = range(name, min, key("p", "a", "n", 10), Direction.FORWARD);
      same(range(two), "p=a n=-1, p=a n=2");
      two.setLimit(1);
      same(range(two), "p=a n=-1 …");
    });
    check("ranges", "an iterator walks all pages", () -> {
      String name = table(1, "p");
      List<RowChange> all = new ArrayList<>();
      for (int i = 0; i < 150; i++) {
        all.add(put(name, key("p", String.format("%03d", i)), "x", i));
      }
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      all.forEach(r::addRowChange);
      same(client.batchWriteRow(r).isAllSucceed(), true);
      RangeIteratorParameter p = new RangeIteratorParameter(name);
      p.setInclusiveStartPrimaryKey(key("p", PrimaryKeyValue.INF_MIN));
      p.setExclusiveEndPrimaryKey(key("p", PrimaryKeyValue.INF_MAX));
      p.setMaxVersions(1);
      p.setBufferSize(7);
      int n = 0;
      for (Iterator<Row> it = client.createRangeIterator(p); it.hasNext(); n++) {
        same(text(it.next()), String.format("p=%03d x=%d", n, n));
      }
      same(n, 150);
      p.setMaxCount(11);
      n = 0;
      for (Iterator<Row> it = client.createRangeIterator(p); it.hasNext(); n++) {
        it.next();
      }
      same(n, 11);
    });
    check("ranges", "a filter, and columns to get", () -> {
      String name = table(1, "p");
      for (String p : List.of("a", "b", "c")) {
        write(put(name, key("p", p), "x", p, "y", 1));
      }
      RangeRowQueryCriteria c = range(name, key("p", PrimaryKeyValue.INF_MIN), key("p", PrimaryKeyValue.INF_MAX),
          Direction.FORWARD);
      c.addColumnsToGet("x");
      c.setFilter(one("x", ABOVE, "a"));
      same(range(c), "p=b x=b, p=c x=c");
    });
    check("ranges", "bounds that are refused", () -> {
      String name = table(1, "p");
      refused(INVALID, "Begin key must less than end key in FORWARD",
          () -> range(range(name, key("p", "a"), key("p", "a"), Direction.FORWARD)));
      refused(INVALID, "Begin key must more than end key in BACKWARD",
          () -> range(range(name, key("p", "a"), key("p", "b"), Direction.BACKWARD)));
      RangeRowQueryCriteria unsaid = new RangeRowQueryCriteria(name);
      unsaid.setInclusiveStartPrimaryKey(key("p", "a"));
      unsaid.setExclusiveEndPrimaryKey(key("p", "b"));
      refused(INVALID, "No version condition is specified.", () -> range(unsaid));
    });
  }

  static void keys() {
    check("auto increment", "values rise, and are returned", () -> {
      String name = table(1, "p", "id:AUTO");
      long last = 0;
      for (int i = 0; i < 3; i++) {
        RowPutChange change = put(name, key("p", "a", "id", PrimaryKeyValue.AUTO_INCREMENT), "x", i);
        change.setReturnType(ReturnType.RT_PK);
        Row row = client.putRow(new PutRowRequest(change)).getRow();
        long next = row.getPrimaryKey().getPrimaryKeyColumn("id").getValue().asLong();
        same(next > last, true);
        last = next;
      }
      same(get(name, key("p", "a", "id", last)), "p=a id=" + last + " x=2");
      write(update(name, key("p", "a", "id", last), "x", 9));
      same(get(name, key("p", "a", "id", last)), "p=a id=" + last + " x=9");
    });
    check("auto increment", "a value that the client chooses creates no row", () -> {
      String name = table(1, "p", "id:AUTO");
      refused("OTSConditionCheckFail", "Condition check failed.",
          () -> write(put(name, key("p", "a", "id", 5), "x", 1)));
    });
    check("keys", "wrong names, types and numbers of columns", () -> {
      String name = table(1, "p", "n:INTEGER");
      refused("OTSInvalidPK", "Validate PK size fail. Input: 1, Meta: 2.", () -> write(put(name, key("p", "a"))));
      refused("OTSInvalidPK", "Validate PK name fail. Input: m, Meta: n.",
          () -> write(put(name, key("p", "a", "m", 1))));
      refused("OTSInvalidPK", "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER.",
          () -> write(put(name, key("p", "a", "n", "b"))));
      refused(INVALID, "VT_INF_MIN is an invalid type for the primary key.",
          () -> write(put(name, key("p", "a", "n", PrimaryKeyValue.INF_MIN))));
    });
    check("keys", "the order of errors", () -> {
      String name = table(1, "p");
      PrimaryKey five = key("a", 1, "b", 2, "c", 3, "d", 4, "e", 5);
      String count = "The number of primary key columns must be in range: [1, 4].";
      refused(INVALID, count, () -> write(put("nowhere", five, "x", 1)));
      refused(INVALID, count, () -> write(new RowDeleteChange(name, five)));
      refused(INVALID, count, () -> get(name, five));
      refused(INVALID, "Invalid column name: '#x'.", () -> write(put(name, key("q", 1), "#x", 1)));
      refused(INVALID, "Invalid column name: '#x'.", () -> write(update(name, key("q", 1), "#x", 1)));
      SingleRowQueryCriteria unsaid = new SingleRowQueryCriteria(name, key("q", 1));
      unsaid.addColumnsToGet("#x");
      refused(INVALID, "Invalid column name: '#x'.", () -> get(unsaid));
    });
  }

  static void versions() {
    check("versions", "the newest are kept, and all are read", () -> {
      String name = table(2, "p");
      long now = System.currentTimeMillis();
      for (long t = now; t < now + 3; t++) {
        write(new RowUpdateChange(name, key("p", "a")).put("x", value(t - now), t));
      }
      same(get(name, key("p", "a")), "p=a x=2 x=1");
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      same(get(c), "p=a x=2");
      c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setTimestamp(now + 1);
      same(get(c), "p=a x=1");
      c.setTimeRange(new TimeRange(now, now + 2));
      same(get(c), "p=a x=1");
    });
    check("versions", "one version is deleted", () -> {
      String name = table(5, "p");
      long now = System.currentTimeMillis();
      RowPutChange change = new RowPutChange(name, key("p", "a"));
      write(change.addColumn("x", value(1), now).addColumn("x", value(2), now + 1));
      write(new RowUpdateChange(name, key("p", "a")).deleteColumn("x", now + 1));
      same(get(name, key("p", "a")), "p=a x=1");
    });
    check("versions", "the server's clock", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x", 1));
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      long t = client.getRow(new GetRowRequest(c)).getRow().getColumns()[0].getTimestamp();
      same(Math.abs(System.currentTimeMillis() - t) < 60_000, true);
    });
    check("versions", "time to live", () -> {
      TableMeta meta = meta("p");
      client.createTable(new CreateTableRequest(meta, new TableOptions(86400, 1)));
      String name = meta.getTableName();
      long now = System.currentTimeMillis();
      RowPutChange change = new RowPutChange(name, key("p", "a"));
      write(change.addColumn("old", value(1), now - 86_399_000).addColumn("new", value(2), now));
      same(get(name, key("p", "a")), "p=a new=2 old=1");
      Thread.sleep(1100);
      same(get(name, key("p", "a")), "p=a new=2");
    });
    check("versions", "reads with missing or conflicting versions", () -> {
      String name = table(1, "p");
      SingleRowQueryCriteria none = new SingleRowQueryCriteria(name, key("p", "a"));
      refused(INVALID, "No version condition is specified.", () -> get(none));
      MultiRowQueryCriteria rows = new MultiRowQueryCriteria(name);
      rows.addRow(key("p", "a"));
      BatchGetRowRequest batch = new BatchGetRowRequest();
      batch.addMultiRowQueryCriteria(rows);
      refused(INVALID, "No version condition is specified while querying row.", () -> client.batchGetRow(batch));
      refused(INVALID, "Timestamp must be in range [0, INT64_MAX/1000).",
          () -> write(new RowPutChange(name, key("p", "a")).addColumn("x", value(1), Long.MAX_VALUE / 1000)));
    });
  }

  static void increments() {
    check("increments", "a counter, and its value returned", () -> {
      String name = table(1, "p");
      for (long want : new long[] {5, 10}) {
        RowUpdateChange add = new RowUpdateChange(name, key("p", "a")).increment(new Column("n", value(5)));
        add.addReturnColumn("n");
        add.setReturnType(ReturnType.RT_AFTER_MODIFY);
        Row row = client.updateRow(new UpdateRowRequest(add)).getRow();
        same(row.getLatestColumn("n").getValue(), want);
      }
      write(new RowUpdateChange(name, key("p", "a")).increment(new Column("n", value(-11))));
      same(get(name, key("p", "a")), "p=a n=-1");
    });
    check("increments", "columns to return that are not incremented", () -> {
      String name = table(1, "p");
      RowUpdateChange add = new RowUpdateChange(name, key("p", "a")).increment(new Column("n", value(5)));
      add.put("s", value("x"));
      add.addReturnColumn("s");
      for (ReturnType type : List.of(ReturnType.RT_AFTER_MODIFY, ReturnType.RT_PK)) {
        add.setReturnType(type);
        same(refusal(() -> write(add)).getErrorCode(), INVALID);
      }
      same(get(name, key("p", "a")), "none");
    });
    check("increments", "values that are not integers, and overflow", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "s", "x", "n", Long.MAX_VALUE));
      for (String column : List.of("s", "n")) {
        TableStoreException e = refusal(
            () -> write(new RowUpdateChange(name, key("p", "a")).increment(new Column(column, value(1)))));
        same(e.getErrorCode() + " " + e.getHttpStatus(), INVALID + " 400");
      }
    });
    check("increments", "of one row twice in a batch", () -> {
      String name = table(1, "p");
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      for (int i = 1; i <= 2; i++) {
        r.addRowChange(new RowUpdateChange(name, key("p", "a")).increment(new Column("n", value(i))));
      }
      same(client.batchWriteRow(r).isAllSucceed(), true);
      same(get(name, key("p", "a")), "p=a n=3");
    });
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

  /** Fails the check unless a client with this key and token gets OTSAuthFailed. */
  static void stranger(String keyID, String keySecret, String token, String text) throws Exception {
    SyncClient other = new SyncClient(endpoint, keyID, keySecret, instance, configuration(), token);
    try {
      TableStoreException e = refusal(other::listTable);
      same(e.getErrorCode() + " " + e.getHttpStatus() + ": " + e.getMessage(), "OTSAuthFailed 403: " + text);
      if (e.getMessage().contains(secret)) {
        throw new AssertionError("the error has the secret");
      }
    } finally {
      other.shutdown();
    }
  }

  static void authentication() {
    check("authentication", "a wrong secret", () -> stranger(id, "wrong", null, "Signature mismatch."));
    check("authentication", "an unknown access key",
        () -> stranger("unknown", secret, null, "The AccessKeyID does not exist."));
    check("authentication", "an invalid STS token", () -> {
      SyncClient other = new SyncClient(endpoint, id, secret, instance, configuration(), "made-up");
      same(refusal(other::listTable).getErrorCode(), "OTSAuthFailed");
      other.shutdown();
    });
    check("authentication", "instances share no tables", () -> {
      String name = table(1, "p");
      SyncClient other = new SyncClient(endpoint, id, secret, instance + "-2", configuration());
      same(other.listTable().getTableNames(), "[]");
      other.shutdown();
      same(client.listTable().getTableNames().contains(name), true);
    });
    check("authentication", "the SDK verifies signature and checksum of answers", () -> {
      ClientConfiguration strict = configuration();
      same(strict.isEnableResponseValidation(), true);
      strict.setEnableResponseContentMD5Checking(true);
      SyncClient other = new SyncClient(endpoint, id, secret, instance, strict);
      same(other.listTable().getTableNames(), "[]");
      other.shutdown();
    });
  }

  static void compression() {
    check("compression", "requests and answers", () -> {
      ClientConfiguration compressed = configuration();
      compressed.setEnableRequestCompression(true);
      compressed.setEnableResponseCompression(true);
      compressed.setEnableResponseContentMD5Checking(true);
      SyncClient other = new SyncClient(endpoint, id, secret, instance, compressed);
      String name = table(1, "p");
      other.putRow(new PutRowRequest(put(name, key("p", "a"), "v", "x".repeat(100_000))));
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      Row row = other.getRow(new GetRowRequest(c)).getRow();
      same(text(row), "p=a v=" + "x".repeat(100_000));
      TableStoreException e =
          refusal(() -> other.deleteTable(new DeleteTableRequest("nowhere")));
      same(e.getErrorCode(), "OTSObjectNotExist");
      other.shutdown();
    });
  }

  static void limits() {
    check("limits", "keys, values and columns that are too large", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "x".repeat(1024))));
      refused(INVALID, "The length of primary key column: 'p' exceeds the MaxLength:1024 with CurrentLength:1025.",
          () -> write(put(name, key("p", "x".repeat(1025)))));
      refused(INVALID,
          "The length of attribute column: 'attr' exceeds the MaxLength:2097152 with CurrentLength:2097153.",
          () -> write(put(name, key("p", "a"), "attr", "x".repeat(2097153))));
      RowPutChange wide = put(name, key("p", "a"));
      for (int i = 0; i < 1025; i++) {
        wide.addColumn("c" + i, value(i));
      }
      refused(INVALID,
          "The number of attribute columns exceeds the limit, limit count: 1024, column count: 1025.",
          () -> write(wide));
    });
    check("limits", "a batch of more than 4 MB", () -> {
      String name = table(1, "p");
      BatchWriteRowRequest r = new BatchWriteRowRequest();
      r.addRowChange(put(name, key("p", "a"), "v", "x".repeat(2097152 - 3)));
      r.addRowChange(put(name, key("p", "b"), "v", "x".repeat(2097152 - 2)));
      refused(INVALID,
          "The total data size of BatchWriteRow request exceeds the limit, limit size: 4194304, data size: 4194305.",
          () -> client.batchWriteRow(r));
    });
    check("limits", "names", () -> {
      String name = table(1, "p");
      write(put(name, key("p", "a"), "x".repeat(255), 1));
      same(refusal(() -> write(put(name, key("p", "a"), "x".repeat(256), 1))).getErrorCode(), INVALID);
      refused(INVALID,
          "The number of columns from the request exceeds the limit, limit count: 1024, column count: 1025.",
          () -> {
            String[] columns = new String[1025];
            Arrays.setAll(columns, i -> "c" + i);
            get(name, key("p", "a"), columns);
          });
    });
  }

  static void unsupported(String operation, Body body) throws Exception {
    refused(INVALID, "Unsupported operation: '" + operation + "'.", body);
  }

  static void refused() {
    check("refused by name", "search", () -> {
      ListSearchIndexRequest list = new ListSearchIndexRequest();
      list.setTableName("java_1");
      same(client.listSearchIndex(list).getIndexInfos().size(), 0);
      CreateSearchIndexRequest r = new CreateSearchIndexRequest("java_1", "i");
      IndexSchema schema = new IndexSchema();
      schema.addFieldSchema(new FieldSchema("x", FieldType.LONG));
      r.setIndexSchema(schema);
      unsupported("CreateSearchIndex", () -> client.createSearchIndex(r));
      SearchQuery q = new SearchQuery();
      q.setQuery(new MatchAllQuery());
      unsupported("Search", () -> client.search(new SearchRequest("java_1", "i", q)));
    });
    check("refused by name", "SQL", () -> unsupported("SQLQuery",
        () -> client.sqlQuery(new SQLQueryRequest("SELECT * FROM t"))));
    check("refused by name", "delivery", () -> {
      ListDeliveryTaskRequest r = new ListDeliveryTaskRequest("java_1");
      unsupported("ListDeliveryTask", () -> client.listDeliveryTask(r));
    });
    check("refused by name", "tunnels", () -> {
      TunnelClient tunnels = new TunnelClient(endpoint, id, secret, instance, configuration());
      try {
        CreateTunnelRequest r = new CreateTunnelRequest("java_1", "t", TunnelType.Stream);
        same(refusal(() -> tunnels.createTunnel(r)).getMessage(), "Unsupported operation: 'tunnel/create'.");
        same(refusal(() -> tunnels.listTunnel(new ListTunnelRequest("java_1"))).getMessage(),
            "Unsupported operation: 'tunnel/list'.");
      } finally {
        tunnels.shutdown();
      }
    });
    check("refused by name", "time series", () -> {
      TimeseriesClient series = new TimeseriesClient(endpoint, id, secret, instance, configuration());
      try {
        same(series.listTimeseriesTable().getTimeseriesTableNames().size(), 0);
        TimeseriesTableMeta meta = new TimeseriesTableMeta("ts", new TimeseriesTableOptions(-1));
        CreateTimeseriesTableRequest r = new CreateTimeseriesTableRequest(meta);
        unsupported("CreateTimeseriesTable", () -> series.createTimeseriesTable(r));
      } finally {
        series.shutdown();
      }
    });
  }
}
