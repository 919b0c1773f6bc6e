import com.alicloud.openservices.tablestore.TimeseriesClient;
import com.alicloud.openservices.tablestore.TunnelClient;
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
import java.util.Arrays;
import java.util.List;

/** Checks of tables, rows, keys, limits, and of operations that the emulator refuses. */
class Tables extends Checks {
  static void all() {
    tables();
    definitions();
    rows();
    keys();
    limits();
    refused();
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
