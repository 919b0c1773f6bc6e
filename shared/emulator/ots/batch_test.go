package ots_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// batch writes changes in one request, and returns their results by table.
func (c *client) batch(atomic bool, changes ...tablestore.RowChange) (map[string][]string, error) {
	req := &tablestore.BatchWriteRowRequest{IsAtomic: atomic}
	for _, change := range changes {
		req.AddRowChange(change)
	}
	out, err := c.BatchWriteRow(req)
	if err != nil {
		return nil, err
	}
	results := map[string][]string{}
	for table, rows := range out.TableToRowsResult {
		for _, row := range rows {
			result := "ok"
			if !row.IsSucceed {
				result = row.Error.Code + ": " + row.Error.Message
			}
			results[table] = append(results[table], result)
		}
	}
	return results, nil
}

func expecting(p *tablestore.PutRowChange, e tablestore.RowExistenceExpectation) *tablestore.PutRowChange {
	p.SetCondition(e)
	return p
}

const notExist = tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST

func TestRowsOfABatchAreIndependent(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	c.create("u", "p:string")
	c.must(put("t", key("p", "there"), cols("a", 1)))
	got, err := c.batch(false,
		put("t", key("p", "new"), cols("a", 2)),
		expecting(put("t", key("p", "there"), cols("a", 3)), notExist),
		put("t", key("q", "wrong name"), nil),
		remove("t", key("p", "absent")),
		put("u", key("p", "other table"), cols("a", 4)),
		put("none", key("p", "no table"), nil),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"t": "[ok OTSConditionCheckFail: Condition check failed. OTSInvalidPK: Validate PK name fail. Input: " +
			"q, Meta: p. ok]",
		"u":    "[ok]",
		"none": "[OTSObjectNotExist: Requested table does not exist.]",
	}
	for table, want := range want {
		if got := fmt.Sprint(got[table]); got != want {
			t.Errorf("%s: %s, want %s", table, got, want)
		}
	}
	if got, want := c.get("t", key("p", "new"))+c.get("t", key("p", "there"))+c.get("u", key("p", "other table")),
		"a=2a=1a=4"; got != want {
		t.Errorf("rows: %s, want %s", got, want)
	}
}

func TestBatchWriteRefusals(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	many := make([]tablestore.RowChange, 201)
	for i := range many {
		many[i] = put("t", key("p", fmt.Sprint(i)), nil)
	}
	large := make([]tablestore.RowChange, 3)
	for i := range large {
		large[i] = put("t", key("p", fmt.Sprint(i)), cols("v", strings.Repeat("x", 3<<19)))
	}
	conditional := put("t", key("p", "k"), nil)
	conditional.SetColumnCondition(single("a", eq, 1))
	adding := update("t", key("p", "k"))
	adding.IncrementColumn("n", 1)
	for _, test := range []struct {
		name    string
		changes []tablestore.RowChange
		want    string
	}{
		{"no rows", nil, "OTSParameterInvalid: No row is specified in BatchWriteRow."},
		{"201 rows", many, "OTSParameterInvalid: Rows count exceeds the upper limit: 200."},
		{"more than 4 MB", large, "OTSParameterInvalid: The total data size of BatchWriteRow request exceeds the " +
			"limit, limit size: 4194304, data size: "},
		{"a repeated row that expects", []tablestore.RowChange{put("t", key("p", "k"), nil),
			expecting(put("t", key("p", "k"), nil), notExist)},
			"OTSParameterInvalid: Repeated rows do not support row exist expectation check in BatchModify."},
		{"a repeated row with a condition", []tablestore.RowChange{conditional, put("t", key("p", "k"), nil)},
			"OTSParameterInvalid: Repeated rows do not support row condition check in BatchModify."},
		{"a row that is invalid for every table", []tablestore.RowChange{put("t", key("p", "k"), cols("#a", 1))},
			"OTSParameterInvalid: Invalid column name: '#a'."},
	} {
		_, err := c.batch(false, test.changes...)
		fails(t, test.name, err, test.want)
	}
	if _, err := c.batch(false, adding, adding); err != nil || c.get("t", key("p", "k")) != "n=2" {
		t.Errorf("a row that is incremented twice: %v, %s", err, c.get("t", key("p", "k")))
	}
	if _, err := c.batch(false, put("t", key("p", "k"), cols("a", 1)),
		put("t", key("p", "k"), cols("a", 2))); err != nil {
		t.Errorf("a repeated row without conditions: %v", err)
	}
	if got, want := c.get("t", key("p", "k")), "a=2"; got != want {
		t.Errorf("after a repeated row: %s, want that of the last", got)
	}
}

func TestAtomicBatch(t *testing.T) {
	c := run(t)
	c.create("t", "p:string s:string")
	c.must(put("t", key("p", "a", "s", "there"), cols("n", 1)))
	got, err := c.batch(true,
		put("t", key("p", "a", "s", "new"), cols("n", 2)),
		expecting(put("t", key("p", "a", "s", "there"), cols("n", 3)), notExist),
		remove("t", key("p", "a", "s", "gone")))
	failed := "OTSConditionCheckFail: Condition check failed."
	if got, want := fmt.Sprint(got["t"], err), fmt.Sprint([]string{failed, failed, failed}, nil); got != want {
		t.Errorf("one condition fails: %s, want %s", got, want)
	}
	if got, want := c.get("t", key("p", "a", "s", "new")), "-"; got != want {
		t.Errorf("a row beside one whose condition failed: %s, want none", got)
	}
	got, err = c.batch(true, put("t", key("p", "a", "s", "x"), nil), put("t", key("p", "b", "s", "y"), nil))
	scope := "OTSDataOutOfRange: Data out of scope of atomic. Atomic PartKey:a. Data PartKey:b"
	if got, want := fmt.Sprint(got["t"], err), fmt.Sprint([]string{scope, scope}, nil); got != want {
		t.Errorf("two partitions: %s, want %s", got, want)
	}
	adding := update("t", key("p", "a", "s", "there"))
	adding.IncrementColumn("n", 41)
	got, err = c.batch(true,
		expecting(put("t", key("p", "a", "s", "new"), cols("n", 2)), notExist), adding,
		put("t", key("p", "a", "s", "twice"), cols("n", 1)), put("t", key("p", "a", "s", "twice"), cols("m", 2)))
	if got, want := fmt.Sprint(got["t"], err), "[ok ok ok ok] <nil>"; got != want {
		t.Errorf("all hold: %s, want %s", got, want)
	}
	rows := c.get("t", key("p", "a", "s", "new")) + " " + c.get("t", key("p", "a", "s", "there")) + " " +
		c.get("t", key("p", "a", "s", "twice"))
	if want := "n=2 n=42 m=2"; rows != want {
		t.Errorf("rows: %s, want %s", rows, want)
	}
}

func TestBatchGet(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	c.must(put("t", key("p", "a"), cols("n", 1, "m", 2)), put("t", key("p", "b"), cols("n", 3)))
	query := func(table string, names ...string) *tablestore.MultiRowQueryCriteria {
		q := &tablestore.MultiRowQueryCriteria{TableName: table, MaxVersion: 1}
		for _, name := range names {
			q.AddRow(key("p", name))
		}
		return q
	}
	read := func(queries ...*tablestore.MultiRowQueryCriteria) (string, error) {
		out, err := c.BatchGetRow(&tablestore.BatchGetRowRequest{MultiRowQueryCriteria: queries})
		if err != nil {
			return "", err
		}
		var parts []string
		for _, q := range queries {
			for _, row := range out.TableToRowsResult[q.TableName] {
				switch {
				case !row.IsSucceed:
					parts = append(parts, row.Error.Code)
				case len(row.PrimaryKey.PrimaryKeys) == 0:
					parts = append(parts, "-")
				default:
					parts = append(parts, show(row.Columns))
				}
			}
		}
		return strings.Join(parts, "; "), nil
	}
	selected := query("t", "b", "none", "a")
	selected.ColumnsToGet = []string{"n"}
	if got, err := read(selected); got != "n=3; -; n=1" || err != nil {
		t.Errorf("in the order asked for: %q, %v", got, err)
	}
	wrong := query("t", "a")
	wrong.AddRow(key("q", "x"))
	if got, err := read(wrong, query("absent", "x")); got != "n=1 m=2; OTSInvalidPK; OTSObjectNotExist" &&
		got != "m=2 n=1; OTSInvalidPK; OTSObjectNotExist" || err != nil {
		t.Errorf("errors of rows: %q, %v", got, err)
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	_, err := read(query("t", many...))
	fails(t, "101 rows", err, "OTSParameterInvalid: Rows count exceeds the upper limit: 100.")
	if got, err := read(query("t", "a", "a")); got != "m=2 n=1; m=2 n=1" || err != nil {
		t.Errorf("a row twice: %q, %v", got, err)
	}
	if got, err := read(query("t")); got != "" || err != nil {
		t.Errorf("no row of a table: %q, %v", got, err)
	}
	_, err = read(query("t", "a"), query("t", "b"))
	fails(t, "a table twice", err, "OTSParameterInvalid: Duplicated table name: 't'.")
	_, err = read()
	fails(t, "nothing", err, "OTSParameterInvalid: No row specified in the request of BatchGetRow.")
}
