"""Checks the Tablestore emulator through the official SDK for Python.

    export TABLESTORE_ENDPOINT=… TABLESTORE_INSTANCE=…
    export TABLESTORE_ACCESS_KEY_ID=… TABLESTORE_ACCESS_KEY_SECRET=…
    python suite.py

Each check prints a line "ok capability: what" or "failed capability: what: why". The exit status
is 1 if a check failed.
"""

import asyncio
import contextlib
import os
import sys
import time

from tablestore import *
from tablestore.retry import RetryPolicy

ENDPOINT, INSTANCE, KEY_ID, KEY_SECRET = (
    os.environ["TABLESTORE_" + name] for name in ("ENDPOINT", "INSTANCE", "ACCESS_KEY_ID", "ACCESS_KEY_SECRET"))
INVALID = "OTSParameterInvalid"
NO_TABLE = ("OTSObjectNotExist", "Requested table does not exist.", 404)
FAILED = ("OTSConditionCheckFail", "Condition check failed.", 403)


class NoRetry(RetryPolicy):
    def should_retry(self, retry_times, exception, api_name):
        return False


def connect(key_id=KEY_ID, secret=KEY_SECRET, instance=INSTANCE, **options):
    return OTSClient(ENDPOINT, key_id, secret, instance, retry_policy=NoRetry(), **options)


client = connect()
failures = 0


@contextlib.contextmanager
def check(capability, what):
    global failures
    try:
        yield
    except Exception as e:
        failures += 1
        print(f"failed {capability}: {what}: {type(e).__name__}: {e}")
    else:
        print(f"ok {capability}: {what}")


def same(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


@contextlib.contextmanager
def refused(code, message, status=400):
    try:
        yield
    except OTSServiceError as e:
        same((e.http_status, e.code, e.message), (status, code, message))
        if not e.request_id:
            raise AssertionError("the error has no request id")
        return
    raise AssertionError("it was not refused")


# Short forms of the SDK's requests. A row is given by its primary key's values; the columns are
# always p, n, ….

def key(*values):
    return list(zip("pnmo", values))


def table(name, *types, defined=(), options=None, read=0, write=0, indexes=None):
    schema = [(column, *(t if isinstance(t, tuple) else (t,))) for column, t in zip("pnmo", types)]
    client.create_table(TableMeta(name, schema, list(defined)), options or TableOptions(),
                        ReservedThroughput(CapacityUnit(read, write)), indexes)
    return name


def where(expectation=RowExistenceExpectation.IGNORE, column=None):
    return Condition(expectation, column)


EXIST, NOT_EXIST = where(RowExistenceExpectation.EXPECT_EXIST), where(RowExistenceExpectation.EXPECT_NOT_EXIST)


def put(name, pk, columns, condition=None, **more):
    return client.put_row(name, Row(pk, columns), condition or where(), **more)


def update(name, pk, changes, condition=None, **more):
    return client.update_row(name, Row(pk, changes), condition or where(), **more)


def delete(name, pk, condition=None, **more):
    return client.delete_row(name, Row(pk), condition or where(), **more)


def get(name, pk, columns=None, condition=None, max_version=1, **more):
    """Returns the attributes without timestamps, or None if the row is absent."""
    _, row, _ = client.get_row(name, pk, columns, condition, max_version, **more)
    return row and [(column[0], column[1]) for column in row.attribute_columns]


def page(name, start, end, direction=Direction.FORWARD, **more):
    """Returns a page's cost, the start of the next page, and the rows."""
    return client.get_range(name, direction, start, end, **{"max_version": 1, **more})[:3]


def walk(name, start, end, direction=Direction.FORWARD, **more):
    """Returns the primary keys' last values from all pages, and each page's number of rows."""
    found, pages = [], []
    while start:
        _, start, rows = page(name, start, end, direction, **more)
        found += [row.primary_key[-1][1] for row in rows]
        pages.append(len(rows))
    return found, pages


def put_item(pk, columns, condition=None, *more):
    return PutRowItem(Row(pk, columns), condition or where(), *more)


def update_item(pk, changes, condition=None):
    return UpdateRowItem(Row(pk, changes), condition or where())


def delete_item(pk, condition=None):
    return DeleteRowItem(Row(pk), condition or where())


def write_batch(items, transaction_id=None):
    request = BatchWriteRowRequest()
    for name, changes in items.items():
        request.add(TableInBatchWriteRowItem(name, changes))
    request.set_transaction_id(transaction_id)
    return client.batch_write_row(request)


def column(name, value, comparator=ComparatorType.EQUAL, missing=False, latest=True):
    return SingleColumnCondition(name, value, comparator, missing, latest)


def every(combinator, *conditions):
    composite = CompositeColumnCondition(combinator)
    for condition in conditions:
        composite.add_sub_condition(condition)
    return composite


def tables():
    it = "tables"
    with check(it, "create, and list"):
        table("made", "STRING", "INTEGER", "BINARY", read=1, write=2)
        same("made" in client.list_table(), True)
    with check(it, "describe: key, throughput and options"):
        d = client.describe_table("made")
        same(d.table_meta.schema_of_primary_key, [("p", "STRING"), ("n", "INTEGER"), ("m", "BINARY")])
        unit = d.reserved_throughput_details.capacity_unit
        same((unit.read, unit.write), (1, 2))
        o = d.table_options
        same((o.time_to_live, o.max_version, o.max_time_deviation), (-1, 1, 86400))
        if abs(d.reserved_throughput_details.last_increase_time - time.time()) > 60:
            raise AssertionError("the throughput's time is not now")
    with check(it, "update options, and throughput alone"):
        client.update_table("made", TableOptions(86400, 5, 1000))
        client.update_table("made", None, ReservedThroughput(CapacityUnit(3, 4)))
        d = client.describe_table("made")
        o, unit = d.table_options, d.reserved_throughput_details.capacity_unit
        same((o.time_to_live, o.max_version, o.max_time_deviation, unit.read, unit.write), (86400, 5, 1000, 3, 4))
    with check(it, "options at creation"):
        table("optioned", "STRING", options=TableOptions(1200000, 2, 86401, True))
        table("fixed", "STRING", options=TableOptions(allow_update=False))
        with refused(INVALID, "Update operation is not allowed in this table"):
            update("fixed", key("a"), {"PUT": [("v", 1)]})
        o = client.describe_table("optioned").table_options
        same((o.time_to_live, o.max_version, o.max_time_deviation), (1200000, 2, 86401))
    with check(it, "an existing name"), refused("OTSObjectAlreadyExist", "Requested table already exists.", 409):
        table("made", "STRING")
    with check(it, "an invalid table name"), refused(INVALID, "Invalid table name: '9-lives'."):
        table("9-lives", "STRING")
    with check(it, "one column twice in the key"), refused(INVALID, "Duplicated primary key name: 'p'."):
        client.create_table(TableMeta("twice", [("p", "STRING"), ("p", "INTEGER")]), TableOptions(),
                            ReservedThroughput(CapacityUnit(0, 0)))
    with check(it, "five columns in the key"), refused(
            INVALID, "The number of primary key columns must be in range: [1, 4]."):
        client.create_table(TableMeta("five", [(c, "STRING") for c in "abcde"]), TableOptions(),
                            ReservedThroughput(CapacityUnit(0, 0)))
    with check(it, "a time to live of 0"), refused(INVALID, "TimeToLive cannot be 0 or less than -1."):
        table("short", "STRING", options=TableOptions(0, 1))
    with check(it, "a max version of 0"), refused(INVALID, "The maximum versions cannot be less than or equal to 0."):
        table("none", "STRING", options=TableOptions(-1, 0))
    with check(it, "delete"):
        client.delete_table("made")
        same("made" in client.list_table(), False)
        with refused(*NO_TABLE):
            client.describe_table("made")
    with check(it, "delete an absent table"), refused(*NO_TABLE):
        client.delete_table("made")
    with check(it, "created again, with another key and no rows"):
        table("again", "STRING")
        put("again", key("a"), [("v", 1)])
        client.delete_table("again")
        table("again", "INTEGER")
        same(walk("again", key(INF_MIN), key(INF_MAX)), ([], [0]))


def rows():
    it = "rows"
    name = table("rows", "STRING", "INTEGER")
    values = [("blob", bytearray([0, 255, 10])), ("double", -0.32), ("empty", ""), ("false", False), ("int", -2**63),
              ("max", 2**63 - 1), ("string", "表格存储"), ("true", True)]
    with check(it, "every type of value"):
        put(name, key("types", 1), values)
        same(get(name, key("types", 1)), values)
    with check(it, "an absent row is None"):
        consumed, row, _ = client.get_row(name, key("none", 1), max_version=1)
        same((row, consumed.read, consumed.write), (None, 1, 0))
    with check(it, "binary keys"):
        binary = table("binary", "BINARY", "BINARY")
        put(binary, key(bytearray([0, 1]), bytearray("武汉", "utf-8")), [("v", 1)])
        _, row, _ = client.get_row(binary, key(bytearray([0, 1]), bytearray("武汉", "utf-8")), max_version=1)
        same(row.primary_key, key(bytearray([0, 1]), bytearray("武汉", "utf-8")))
    with check(it, "put replaces the whole row"):
        put(name, key("put", 1), [("a", 1), ("b", 2)])
        put(name, key("put", 1), [("c", 3)])
        same(get(name, key("put", 1)), [("c", 3)])
    with check(it, "update puts and deletes columns"):
        put(name, key("update", 1), [("a", 1), ("b", 2), ("c", 3)])
        update(name, key("update", 1), {"PUT": [("a", "x"), ("d", 4)], "DELETE_ALL": ["b"]})
        same(get(name, key("update", 1)), [("a", "x"), ("c", 3), ("d", 4)])
    with check(it, "an update creates a row"):
        update(name, key("made", 1), {"PUT": [("a", 1)]})
        same(get(name, key("made", 1)), [("a", 1)])
    with check(it, "an update that only deletes creates no row"):
        update(name, key("only", 1), {"DELETE_ALL": ["a", "b"]})
        same(get(name, key("only", 1)), None)
    with check(it, "a row without columns"):
        put(name, key("bare", 1), [])
        same(get(name, key("bare", 1)), [])
    with check(it, "delete, also of an absent row"):
        put(name, key("gone", 1), [("a", 1)])
        delete(name, key("gone", 1))
        delete(name, key("gone", 1))
        same(get(name, key("gone", 1)), None)
    with check(it, "columns by name, also of the key, sorted"):
        same(get(name, key("types", 1), ["true", "int", "p", "none"]), [("int", -2**63), ("true", True)])
    with check(it, "no row if all selected columns are absent"):
        same(get(name, key("types", 1), ["none"]), None)
    with check(it, "a range of column names"):
        same(get(name, key("types", 1), start_column="double", end_column="int"), values[1:4])
    with check(it, "column names in any script"):
        odd = [("a b", 1), ("a.b", 2), ("price-2", 3), ("公司", 4)]
        put(name, key("names", 1), [(n.encode(), v) for n, v in odd])  # the SDK counts characters of a str as bytes
        same(get(name, key("names", 1)), odd)
    with check(it, "the key is returned on request"):
        _, row = put(name, key("returned", 1), [("a", 1)], return_type=ReturnType.RT_PK)
        same(row.primary_key, key("returned", 1))
        _, row = delete(name, key("returned", 1), return_type=ReturnType.RT_PK)
        same(row.primary_key, key("returned", 1))
    with check(it, "capacity units of 4 KB"):
        consumed, _ = put(name, key("large", 1), [("a", "x" * 9000)])
        same((consumed.read, consumed.write), (0, 3))
        consumed, _, _ = client.get_row(name, key("large", 1), max_version=1)
        same((consumed.read, consumed.write), (3, 0))


def conditions():
    it = "conditions"
    name = table("conditions", "STRING")
    put(name, key("a"), [("int", 5), ("text", "b")])
    with check(it, "a row that must exist"):
        put(name, key("a"), [("int", 5), ("text", "b")], EXIST)
        for change in (put, lambda *a: update(a[0], a[1], {"PUT": a[2]}, a[3]), lambda *a: delete(a[0], a[1], a[3])):
            with refused(*FAILED):
                change(name, key("none"), [("v", 1)], EXIST)
    with check(it, "a row that must not exist"):
        put(name, key("new"), [("v", 1)], NOT_EXIST)
        with refused(*FAILED):
            put(name, key("new"), [("v", 2)], NOT_EXIST)
        same(get(name, key("new")), [("v", 1)])
    with check(it, "the six comparators"):
        passing = {
            ComparatorType.EQUAL: (5,), ComparatorType.NOT_EQUAL: (4, 6), ComparatorType.GREATER_THAN: (4,),
            ComparatorType.GREATER_EQUAL: (4, 5), ComparatorType.LESS_THAN: (6,), ComparatorType.LESS_EQUAL: (5, 6),
        }
        for comparator, good in passing.items():
            for value in (4, 5, 6):
                try:
                    update(name, key("a"), {"PUT": [("seen", value)]}, where(column=column("int", value, comparator)))
                    same((comparator, value in good), (comparator, True))
                except OTSServiceError as e:
                    same((comparator, value, e.code, value in good), (comparator, value, FAILED[0], False))
    with check(it, "a missing column"):
        update(name, key("a"), {"PUT": [("seen", 0)]}, where(column=column("none", 1, missing=True)))
        with refused(*FAILED):
            update(name, key("a"), {"PUT": [("seen", 1)]}, where(column=column("none", 1, missing=False)))
    with check(it, "nested NOT, AND and OR"):
        no = every(LogicalOperator.NOT, column("int", 9))
        either = every(LogicalOperator.OR, column("text", "z"), column("text", "a", ComparatorType.GREATER_THAN))
        both = every(LogicalOperator.AND, no, either)
        update(name, key("a"), {"PUT": [("seen", "both")]}, where(RowExistenceExpectation.EXPECT_EXIST, both))
        with refused(*FAILED):
            update(name, key("a"), {"PUT": [("seen", 1)]}, where(column=every(LogicalOperator.NOT, both)))
        same(get(name, key("a"), ["seen"]), [("seen", "both")])
    with check(it, "a value of another type is not equal"), refused(*FAILED):
        update(name, key("a"), {"PUT": [("seen", 1)]}, where(column=column("int", "5")))
    with check(it, "NOT of two"), refused(INVALID, "Invalid NOT operator: the number of sub-filters must be 1."):
        delete(name, key("a"), where(column=every(LogicalOperator.NOT, column("int", 1), column("int", 2))))
    with check(it, "more than 32 filters"), refused(INVALID, "The count of filter exceeds the max: 32."):
        delete(name, key("a"), where(column=every(LogicalOperator.OR, *(column("int", i) for i in range(40)))))
    with check(it, "delete under a condition"):
        with refused(*FAILED):
            delete(name, key("a"), where(column=column("int", 6)))
        delete(name, key("a"), where(column=column("int", 5)))
        same(get(name, key("a")), None)


def filters():
    it = "filters"
    name = table("filters", "STRING", "INTEGER")
    for i in range(20):
        put(name, key("p", i), [("half", i // 2), ("text", f"v{i}")])

    def passing(condition):
        return walk(name, key("p", INF_MIN), key("p", INF_MAX), column_filter=condition)[0]

    with check(it, "a row that does not match is not returned"):
        same(get(name, key("p", 4), None, column("half", 2)), [("half", 2), ("text", "v4")])
        same(get(name, key("p", 4), None, column("half", 3)), None)
    with check(it, "a range"):
        same(passing(column("half", 7, ComparatorType.GREATER_EQUAL)), [14, 15, 16, 17, 18, 19])
    with check(it, "a column that is not selected counts as missing"):
        same(get(name, key("p", 4), ["text"], column("half", 2, missing=False)), None)
        same(get(name, key("p", 4), ["text"], column("half", 3, missing=True)), [("text", "v4")])
    with check(it, "a column of the key"):
        same(passing(column("n", 3, ComparatorType.LESS_THAN)), [0, 1, 2])
    with check(it, "an existing and an absent column"):
        put(name, key("p", 20), [("other", "v7")])
        same(passing(SingleColumnRegexCondition("other", ComparatorType.EXIST)), [20])
        same(passing(SingleColumnRegexCondition("text", ComparatorType.NOT_EXIST)), [20])
        delete(name, key("p", 20))
    with check(it, "a number extracted from a text"):
        number = RegexRule("v([0-9]+)", CastType.VT_INTEGER)
        same(passing(SingleColumnRegexCondition("text", ComparatorType.EQUAL, 7, number)), [7])


def ranges():
    it = "ranges"
    name = table("ranges", "STRING", "INTEGER")
    for p in "abc":
        for n in range(4):
            put(name, key(p, n), [("v", p), ("w", n)])
    with check(it, "all, forward"):
        same(walk(name, key(INF_MIN, INF_MIN), key(INF_MAX, INF_MAX)), ([0, 1, 2, 3] * 3, [12]))
    with check(it, "all, backward"):
        same(walk(name, key(INF_MAX, INF_MAX), key(INF_MIN, INF_MIN), Direction.BACKWARD), ([3, 2, 1, 0] * 3, [12]))
    with check(it, "from a row, up to another"):
        same(walk(name, key("a", 1), key("a", 3))[0], [1, 2])
        same(walk(name, key("a", 3), key("a", 1), Direction.BACKWARD)[0], [3, 2])
    with check(it, "the edges of a partition"):
        same(walk(name, key("b", INF_MIN), key("b", INF_MAX))[0], [0, 1, 2, 3])
        same(walk(name, key("a", INF_MAX), key("c", INF_MIN))[0], [0, 1, 2, 3])
    with check(it, "limits, and the start of the next page"):
        _, following, found = page(name, key("a", 0), key("c", INF_MAX), limit=5)
        same((len(found), following), (5, key("b", 1)))
        same(walk(name, key("a", 0), key("c", INF_MAX), limit=5), ([0, 1, 2, 3] * 3, [5, 5, 2]))
    with check(it, "xget_range, which counts capacity units"):
        consumed = CapacityUnit(0, 0)
        found = client.xget_range(name, Direction.FORWARD, key("a", 0), key("c", INF_MAX), consumed, count=7)
        same((len(list(found)), consumed.read > 0, consumed.write), (7, True, 0))
    with check(it, "columns by name"):
        _, _, found = page(name, key("a", 0), key("a", 2), columns_to_get=["w"])
        same([[c[:2] for c in row.attribute_columns] for row in found], [[("w", 0)], [("w", 1)]])
    with check(it, "an empty range"):
        consumed, following, found = page(name, key("x", INF_MIN), key("y", INF_MAX))
        same((consumed.read, following, found), (1, None, []))
    with check(it, "ends in the wrong order, or equal"):
        for start, end in ((key("b", 0), key("a", 0)), (key("a", 0), key("a", 0))):
            with refused(INVALID, "Begin key must less than end key in FORWARD"):
                walk(name, start, end)
        with refused(INVALID, "Begin key must more than end key in BACKWARD"):
            walk(name, key("a", 0), key("b", 0), Direction.BACKWARD)
    with check(it, "a limit of 0 and below"):
        for limit in (0, -1):
            with refused(INVALID, "The limit must be greater than 0."):
                walk(name, key("a", 0), key("b", 0), limit=limit)
    with check(it, "more than one page"):
        many = table("many", "STRING", "INTEGER")
        for first in range(0, 5200, 200):
            changes = [put_item(key("p", i), [("v", i)]) for i in range(first, first + 200)]
            same(write_batch({many: changes}).is_all_succeed(), True)
        found, pages = walk(many, key("p", INF_MIN), key("p", INF_MAX))
        same((found == list(range(5200)), pages), (True, [5000, 200]))


def auto_increment():
    it = "auto-increment"
    name = table("auto", "STRING", ("INTEGER", PK_AUTO_INCR))
    with check(it, "described"):
        same(client.describe_table(name).table_meta.schema_of_primary_key[1][2], PK_AUTO_INCR)
    with check(it, "new values rise, and are returned"):
        returned = [put(name, key("p", PK_AUTO_INCR), [("i", i)], return_type=ReturnType.RT_PK)[1] for i in range(5)]
        made = [row.primary_key[1][1] for row in returned]
        same(made, sorted(set(made)))
        same(walk(name, key("p", INF_MIN), key("p", INF_MAX))[0], made)
        update(name, key("p", made[0]), {"PUT": [("i", "changed")]}, EXIST)
        same(get(name, key("p", made[0])), [("i", "changed")])
    with check(it, "a value that the table did not assign"), refused(*FAILED):
        put(name, key("p", 12345), [("i", 1)])
    with check(it, "row expectations are refused"), refused(
            INVALID, "Invalid expect:EXPECT_EXIST when modify row with pk auto increment."):
        put(name, key("p", PK_AUTO_INCR), [("i", 1)], EXIST)
    with check(it, "refused in a read"), refused(INVALID, "PKAutoIncr can't be used for read operations."):
        get(name, key("p", PK_AUTO_INCR))
    with check(it, "refused as the first column"), refused(
            INVALID, "First primary key can't be auto increment, table: first."):
        table("first", ("INTEGER", PK_AUTO_INCR))


def versions():
    it = "versions"
    name = table("versions", "STRING", options=TableOptions(-1, 3))
    now = int(time.time() * 1000)

    def cells(**more):
        _, row, _ = client.get_row(name, key("a"), **more)
        return row and [(value, at - now) for _, value, at in row.attribute_columns]

    with check(it, "newest first, and only as many as the table keeps"):
        for i in range(5):
            update(name, key("a"), {"PUT": [("v", f"v{i}", now + i)]})
        same(cells(max_version=10), [("v4", 4), ("v3", 3), ("v2", 2)])
        same(cells(max_version=2), [("v4", 4), ("v3", 3)])
    with check(it, "a range of times, and one time"):
        same(cells(max_version=None, time_range=(now + 2, now + 4)), [("v3", 3), ("v2", 2)])
        same(cells(max_version=None, time_range=now + 3), [("v3", 3)])
    with check(it, "delete one version"):
        update(name, key("a"), {"DELETE": [("v", None, now + 3)]})
        same(cells(max_version=10), [("v4", 4), ("v2", 2)])
    with check(it, "the server's time when none is given"):
        put(name, key("b"), [("v", 1)])
        _, row, _ = client.get_row(name, key("b"), max_version=1)
        if abs(row.attribute_columns[0][2] - now) > 60000:
            raise AssertionError("its time is not now")
    with check(it, "a time too far from now"), refused(INVALID, "Invalid timestamp. Cell:v."):
        put(name, key("b"), [("v", 1, now - 2 * 86400 * 1000)])
    with check(it, "neither versions nor a time range"), refused(INVALID, "No version condition is specified."):
        cells(max_version=None)
    with check(it, "both versions and one time"), refused(
            INVALID, "Specific timestamp and max versions cannot be given at the same time."):
        cells(max_version=1, time_range=now)
    with check(it, "time to live"):
        brief = table("brief", "STRING", options=TableOptions(3, 1))
        put(brief, key("a"), [("v", 1)])
        same(get(brief, key("a")), [("v", 1)])
        end = time.monotonic() + 30
        while get(brief, key("a")) is not None and time.monotonic() < end:
            time.sleep(0.2)
        same(get(brief, key("a")), None)


def increments():
    it = "increments"
    name = table("increments", "STRING")
    with check(it, "from an absent value, up and down"):
        for by, want in ((5, 5), (37, 42), (-50, -8)):
            update(name, key("a"), {"INCREMENT": [("n", by)]})
            same(get(name, key("a")), [("n", want)])
    with check(it, "together with other changes"):
        update(name, key("a"), {"PUT": [("s", "x")], "INCREMENT": [("n", 1)]})
        same(get(name, key("a")), [("n", -7), ("s", "x")])
    with check(it, "a value that is not an integer"):
        try:
            update(name, key("a"), {"INCREMENT": [("s", 1)]})
        except OTSServiceError as e:
            same((e.http_status, e.code), (400, INVALID))
        else:
            raise AssertionError("it was not refused")
        same(get(name, key("a"), ["s"]), [("s", "x")])
    with check(it, "an increment that is not an integer"):
        try:
            update(name, key("a"), {"INCREMENT": [("n", "1")]})
        except OTSServiceError as e:
            same((e.http_status, e.code), (400, INVALID))
        else:
            raise AssertionError("it was not refused")
        same(get(name, key("a"), ["n"]), [("n", -7)])


def batches():
    it = "batches"
    one, two = table("one", "INTEGER"), table("two", "INTEGER")

    def write(**items):
        return write_batch(items)

    def read(columns=None, condition=None, **items):
        request = BatchGetRowRequest()
        for name, keys in items.items():
            request.add(TableInBatchGetRowItem(name, [key(k) for k in keys], columns, condition, 1))
        return client.batch_get_row(request)

    def values(items):
        return [item.row and [column[:2] for column in item.row.attribute_columns] for item in items]

    def why(items):
        return [(item.error_code, item.error_message) for item in items]

    with check(it, "puts, updates and deletes of two tables"):
        put(one, key(3), [("v", 3)])
        out = write(one=[put_item(key(1), [("v", 1)]), update_item(key(2), {"PUT": [("v", 2)]}), delete_item(key(3))],
                    two=[put_item(key(1), [("v", "two")])])
        same([len(succeeded) for succeeded, _ in (out.get_put(), out.get_update(), out.get_delete())], [2, 1, 1])
        out = read(one=[1, 2, 3], two=[1])
        same(values(out.get_result_by_table(one)), [[("v", 1)], [("v", 2)], None])
        same(values(out.get_result_by_table(two)), [[("v", "two")]])
    with check(it, "a failed row does not affect the others"):
        out = write(one=[put_item(key(4), [("v", 4)]), put_item(key(5), [("v", 5)], EXIST), delete_item(key(6), EXIST)])
        succeeded, failed = out.get_put()
        same((len(succeeded), why(failed), why(out.get_delete()[1])), (1, [FAILED[:2]], [FAILED[:2]]))
        same(values(read(one=[4, 5]).get_result_by_table(one)), [[("v", 4)], None])
    with check(it, "one row read twice"):
        same(values(read(one=[1, 1]).get_result_by_table(one)), [[("v", 1)], [("v", 1)]])
    with check(it, "a table without rows in the request"):
        out = read(one=[], two=[1])
        same(values(out.get_result_by_table(two)), [[("v", "two")]])
    with check(it, "columns, and a filter"):
        out = read(columns=["v"], condition=column("v", 2), one=[1, 2])
        same(values(out.get_result_by_table(one)), [None, [("v", 2)]])
    with check(it, "an absent table"):
        out = read(one=[1], none=[1])
        same(why(out.get_failed_rows()), [NO_TABLE[:2]])
    with check(it, "a key of another table"):
        request = BatchGetRowRequest()
        request.add(TableInBatchGetRowItem(one, [[("q", 1)]], None, None, 1))
        request.add(TableInBatchGetRowItem(two, [key(1)], None, None, 1))
        out = client.batch_get_row(request)
        same(why(out.get_failed_rows()), [("OTSInvalidPK", "Validate PK name fail. Input: q, Meta: p.")])
        same(len(out.get_succeed_rows()), 1)
    with check(it, "keys are returned on request"):
        out = write(one=[put_item(key(7), [("v", 7)], None, ReturnType.RT_PK)])
        same(out.get_put()[0][0].row.primary_key, key(7))
    with check(it, "two increments of one row"):
        out = write(one=[update_item(key(8), {"INCREMENT": [("v", n)]}) for n in (2, 3)])
        same((out.is_all_succeed(), get(one, key(8))), (True, [("v", 5)]))
    with check(it, "one row twice, with a condition"):
        with refused(INVALID, "Repeated rows do not support row exist expectation check in BatchModify."):
            write(one=[put_item(key(9), [("v", n)], EXIST) for n in (1, 2)])
    with check(it, "more than 200 rows, and more than 100"):
        with refused(INVALID, "Rows count exceeds the upper limit: 200."):
            write(one=[put_item(key(n), [("v", n)]) for n in range(201)])
        with refused(INVALID, "Rows count exceeds the upper limit: 100."):
            read(one=range(101))


def transactions():
    it = "transactions"
    name = table("transactional", "STRING", "INTEGER")

    def begin(partition):
        put(name, key(partition, 1), [("v", "before")])
        return client.start_local_transaction(name, key(partition))

    with check(it, "others see a write after the commit"):
        id = begin("commit")
        put(name, key("commit", 1), [("v", "after")], transaction_id=id)
        update(name, key("commit", 2), {"PUT": [("v", "new")]}, transaction_id=id)
        same(get(name, key("commit", 1), transaction_id=id), [("v", "after")])
        same(get(name, key("commit", 1)), [("v", "before")])
        client.commit_transaction(id)
        same((get(name, key("commit", 1)), get(name, key("commit", 2))), ([("v", "after")], [("v", "new")]))
    with check(it, "an abort changes nothing"):
        id = begin("abort")
        delete(name, key("abort", 1), transaction_id=id)
        same(get(name, key("abort", 1), transaction_id=id), None)
        client.abort_transaction(id)
        same(get(name, key("abort", 1)), [("v", "before")])
    with check(it, "a batch in a transaction"):
        id = begin("batch")
        changes = [put_item(key("batch", n), [("v", n)]) for n in (1, 2)]
        same(write_batch({name: changes}, id).is_all_succeed(), True)
        same(get(name, key("batch", 2)), None)
        client.commit_transaction(id)
        same(get(name, key("batch", 2)), [("v", 2)])
    with check(it, "other writers are refused"):
        id = begin("locked")
        with refused("OTSRowOperationConflict", "Data is being modified by the other request.", 409):
            put(name, key("locked", 1), [("v", 1)])
        client.abort_transaction(id)
        put(name, key("locked", 1), [("v", 1)])
    with check(it, "an ended transaction"):
        id = begin("ended")
        client.commit_transaction(id)
        with refused("OTSSessionNotExist", "Session not exist or may be timeout.", 404):
            client.commit_transaction(id)
    with check(it, "an invalid id"), refused(INVALID, "TransactionID is invalid."):
        put(name, key("none", 1), [("v", 1)], transaction_id="not an id at all")


def indexes():
    it = "indexes"
    defined = [("i", "INTEGER"), ("s", "STRING"), ("d", "DOUBLE"), ("b", "BINARY")]
    name = table("indexed", "INTEGER", "STRING", defined=defined, indexes=[SecondaryIndexMeta("by_s", ["s"], ["i"])])
    with check(it, "described"):
        d = client.describe_table(name)
        same(d.table_meta.defined_columns, defined)
        found = d.secondary_indexes
        same([(x.index_name, x.primary_key_names, x.defined_column_names) for x in found], [("by_s", ["s"], ["i"])])
    with check(it, "follows puts and deletes"):
        put(name, key(1, "x"), [("i", 7), ("s", "one"), ("d", 1.5)])
        put(name, key(2, "x"), [("i", 8)])
        at = [("s", "one"), ("p", 1), ("n", "x")]
        same(get("by_s", at), [("i", 7)])
        start, end = ([(column, bound) for column in "spn"] for bound in (INF_MIN, INF_MAX))
        same(walk("by_s", start, end)[0], ["x"])
        delete(name, key(1, "x"))
        same(get("by_s", at), None)
    with check(it, "created later, with the existing rows"):
        put(name, key(3, "x"), [("i", 9), ("s", "three"), ("d", 2.5)])
        client.create_secondary_index(name, SecondaryIndexMeta("by_i", ["i"], ["d"]), True)
        same(get("by_i", [("i", 9), ("p", 3), ("n", "x")]), [("d", 2.5)])
    with check(it, "a local one"):
        local = SecondaryIndexMeta("local", ["p", "s"], ["d"], SecondaryIndexType.LOCAL_INDEX)
        client.create_secondary_index(name, local, True)
        same(get("local", [("p", 3), ("s", "three"), ("n", "x")]), [("d", 2.5)])
    with check(it, "direct writes are refused"), refused(INVALID, "Can't write index table directly."):
        put("by_s", [("s", "a"), ("p", 1), ("n", "x")], [("i", 1)])
    with check(it, "deleted"):
        client.delete_secondary_index(name, "by_i")
        same(sorted(x.index_name for x in client.describe_table(name).secondary_indexes), ["by_s", "local"])


def others():
    it = "search, SQL, time series"
    with check(it, "the list is empty"):
        same((list(client.list_search_index("rows")), list(client.list_timeseries_table())), ([], []))
    with check(it, "search indexes are refused by name"), refused(
            INVALID, "Unsupported operation: 'CreateSearchIndex'."):
        client.create_search_index("rows", "index", SearchIndexMeta([FieldSchema("v", FieldType.LONG)]))
    with check(it, "a search is refused by name"), refused(INVALID, "Unsupported operation: 'Search'."):
        client.search("rows", "index", SearchQuery(MatchAllQuery()))
    with check(it, "SQL is refused by name"), refused(INVALID, "Unsupported operation: 'SQLQuery'."):
        client.exe_sql_query("select 1")
    with check(it, "time series are refused by name"), refused(
            INVALID, "Unsupported operation: 'DescribeTimeseriesTable'."):
        client.describe_timeseries_table("series")


def asynchronous():
    it = "asynchronous client"
    name = table("asynchronous", "STRING", "INTEGER")

    def run(body):
        async def main():
            async with AsyncOTSClient(ENDPOINT, KEY_ID, KEY_SECRET, INSTANCE, retry_policy=NoRetry()) as concurrent:
                return await body(concurrent)
        return asyncio.run(main())

    async def write(concurrent):
        rows = [Row(key("p", i), [("v", i)]) for i in range(50)]
        await asyncio.gather(*(concurrent.put_row(name, row, where()) for row in rows))

    async def read(concurrent):
        start, end = key("p", INF_MAX), key("p", INF_MIN)
        found = concurrent.xget_range(name, Direction.BACKWARD, start, end, CapacityUnit(0, 0))
        return [row.primary_key[1][1] async for row in found]

    with check(it, "50 rows at once"):
        run(write)
        same(run(read), list(reversed(range(50))))
    with check(it, "an absent table"), refused(*NO_TABLE):
        run(lambda concurrent: concurrent.describe_table("none"))


def keys():
    it = "access keys"
    with check(it, "a wrong secret"), refused("OTSAuthFailed", "Signature mismatch.", 403):
        connect(secret="wrong").list_table()
    with check(it, "an unknown id"), refused("OTSAuthFailed", "The AccessKeyID does not exist.", 403):
        connect(key_id="unknown").list_table()
    with check(it, "V4 signatures, of answers too"):
        same("rows" in connect(region="cn-hangzhou").list_table(), True)
        with refused("OTSAuthFailed", "Signature mismatch.", 403):
            connect(secret="wrong", region="cn-hangzhou").list_table()
    with check(it, "an invalid STS token"), refused("OTSAuthFailed", "The STS token is invalid.", 403):
        connect(sts_token="token").list_table()
    with check(it, "instances share nothing"):
        same(list(connect(instance="another-instance").list_table()), [])
    with check(it, "an invalid instance name"), refused(INVALID, "Invalid instance name: 'no instance'."):
        connect(instance="no instance").list_table()


def errors():
    it = "errors"
    name = table("errors", "STRING", "INTEGER")
    operations = {
        "get": lambda pk: get(name, pk),
        "put": lambda pk: put(name, pk, [("v", 1)]),
        "update": lambda pk: update(name, pk, {"PUT": [("v", 1)]}),
        "delete": lambda pk: delete(name, pk),
        "range": lambda pk: walk(name, pk, [(k, INF_MAX) for k, _ in pk]),
    }
    for what, pk, text in (
            ("another name", [("q", "a"), ("n", 1)], "Validate PK name fail. Input: q, Meta: p."),
            ("another name and type, by its name", [("q", 1), ("n", 1)], "Validate PK name fail. Input: q, Meta: p."),
            ("another order", [("n", 1), ("p", "a")], "Validate PK name fail. Input: n, Meta: p."),
            ("another type", [("p", "a"), ("n", "1")], "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER."),
            ("one column", key("a"), "Validate PK size fail. Input: 1, Meta: 2."),
            ("three columns", key("a", 1, "c"), "Validate PK size fail. Input: 3, Meta: 2.")):
        with check(it, f"a key with {what}, in every operation"):
            for operation in operations.values():
                with refused("OTSInvalidPK", text):
                    operation(pk)
    with check(it, "a key of five columns, in every operation"):
        for operation in operations.values():
            with refused(INVALID, "The number of primary key columns must be in range: [1, 4]."):
                operation([(column, "a") for column in "abcde"])
    with check(it, "an update without changes"):
        with refused(INVALID, "Attribute column is missing."):
            update(name, key("a", 1), {})
        with refused(INVALID, "Invalid update row request: missing cells in request."):
            write_batch({name: [update_item(key("a", 1), {})]})
    with check(it, "one column deleted twice"), refused(
            INVALID, "Duplicated attribute column name: 'v' while updating row."):
        update(name, key("a", 1), {"DELETE_ALL": ["v", "v"]})
    with check(it, "no key at all"), refused(INVALID, "Cell data broken, empty PK."):
        put(name, [], [("v", 1)])
    with check(it, "errors of the request are reported before an absent table"), refused(
            INVALID, "Invalid column name: '#v'."):
        put("none", key("a"), [("#v", 1)])
    with check(it, "an absent table is reported before its key"):
        for operation in (lambda: get("none", [("q", 1)]), lambda: put("none", [("q", 1)], [])):
            with refused(*NO_TABLE):
                operation()
    with check(it, "a key longer than 1024 bytes"), refused(
            INVALID, "The length of primary key column: 'p' exceeds the MaxLength:1024 with CurrentLength:1025."):
        put(name, key("x" * 1025, 1), [("v", 1)])
    with check(it, "a value longer than 2 MB"), refused(
            INVALID, "The length of attribute column: 'v' exceeds the MaxLength:2097152 with CurrentLength:2097153."):
        put(name, key("a", 1), [("v", "x" * 2097153)])
    with check(it, "an invalid column name"), refused(INVALID, "Invalid column name: '#v'."):
        put(name, key("a", 1), [("#v", 1)])
    with check(it, "a column of the key as an attribute"), refused(
            INVALID, "Duplicated attribute column name with primary key column: 'n'."):
        put(name, key("a", 1), [("n", 1)])
    with check(it, "more than 1024 columns"), refused(
            INVALID, "The number of attribute columns exceeds the limit, limit count: 1024, column count: 1025."):
        put(name, key("a", 1), [(f"c{i}", i) for i in range(1025)])
    with check(it, "infinity in a key"), refused(INVALID, "VT_INF_MAX is an invalid type for the primary key."):
        get(name, key("a", INF_MAX))
    with check(it, "not a number"), refused(INVALID, "NaN can't be set to double value."):
        put(name, key("a", 1), [("v", float("nan"))])


for suite in (tables, rows, conditions, filters, ranges, auto_increment, versions, increments, batches, transactions,
              indexes, others, asynchronous, keys, errors):
    suite()
sys.exit(1 if failures else 0)
