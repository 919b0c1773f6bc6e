import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.filter.*;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/** Checks of conditions, filters, ranges, versions and increments. */
class Reads extends Checks {
  static void all() {
    conditions();
    filters();
    ranges();
    versions();
    increments();
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
}
