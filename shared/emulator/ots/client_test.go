package ots_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

// A client is the official SDK's client with short forms for the tests.
type client struct {
	*tablestore.TableStoreClient
	t  testing.TB
	in *otstest.Instance
}

// newClient returns a client that does not retry.
func newClient(t testing.TB, in *otstest.Instance) *client {
	config := tablestore.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	return &client{tablestore.NewClientWithConfig(in.Endpoint, in.Name, in.KeyID, in.KeySecret, "", config), t, in}
}

// run starts an emulator over a file and returns a client of it.
func run(t testing.TB, set ...func(*ots.Options)) *client {
	t.Helper()
	file := func(o *ots.Options) { o.Path = filepath.Join(t.TempDir(), "ots.db") }
	return newClient(t, otstest.RunT(t, append([]func(*ots.Options){file}, set...)...))
}

// A clock is a clock that the test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }
func (c *clock) ms() int64               { return c.now.UnixMilli() }
func withClock(c *clock) func(*ots.Options) {
	return func(o *ots.Options) { o.Now = c.Now }
}

// Key values before and after all others, and the value that the server assigns.
type place int

const (
	infMin place = iota
	infMax
	auto
)

// key returns a primary key from alternating names and values.
func key(namesAndValues ...any) *tablestore.PrimaryKey {
	pk := &tablestore.PrimaryKey{}
	for i := 0; i < len(namesAndValues); i += 2 {
		name := namesAndValues[i].(string)
		switch v := namesAndValues[i+1].(type) {
		case place:
			switch v {
			case infMin:
				pk.AddPrimaryKeyColumnWithMinValue(name)
			case infMax:
				pk.AddPrimaryKeyColumnWithMaxValue(name)
			case auto:
				pk.AddPrimaryKeyColumnWithAutoIncrement(name)
			}
		case int:
			pk.AddPrimaryKeyColumn(name, int64(v))
		default:
			pk.AddPrimaryKeyColumn(name, v)
		}
	}
	return pk
}

// A cell is a column to write; timestamp 0 sends none.
type cell struct {
	name  string
	value any
	at    int64
}

// cols returns cells from alternating names and values.
func cols(namesAndValues ...any) []cell {
	var cells []cell
	for i := 0; i < len(namesAndValues); i += 2 {
		cells = append(cells, cell{name: namesAndValues[i].(string), value: namesAndValues[i+1]})
	}
	return cells
}

// put returns the change that puts a row without conditions.
func put(table string, pk *tablestore.PrimaryKey, cells []cell) *tablestore.PutRowChange {
	c := &tablestore.PutRowChange{TableName: table, PrimaryKey: pk}
	for _, cell := range cells {
		v := cell.value
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		if cell.at != 0 {
			c.AddColumnWithTimestamp(cell.name, v, cell.at)
		} else {
			c.AddColumn(cell.name, v)
		}
	}
	c.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	return c
}

func update(table string, pk *tablestore.PrimaryKey) *tablestore.UpdateRowChange {
	c := &tablestore.UpdateRowChange{TableName: table, PrimaryKey: pk}
	c.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	return c
}

func remove(table string, pk *tablestore.PrimaryKey) *tablestore.DeleteRowChange {
	c := &tablestore.DeleteRowChange{TableName: table, PrimaryKey: pk}
	c.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	return c
}

// definition returns the request for a table such as "p:string n:integer+ b:binary"; + is
// AUTO_INCREMENT.
func definition(name, schema string) *tablestore.CreateTableRequest {
	meta := &tablestore.TableMeta{TableName: name}
	for column := range strings.FieldsSeq(schema) {
		name, kind, _ := strings.Cut(column, ":")
		switch kind {
		case "string":
			meta.AddPrimaryKeyColumn(name, tablestore.PrimaryKeyType_STRING)
		case "integer":
			meta.AddPrimaryKeyColumn(name, tablestore.PrimaryKeyType_INTEGER)
		case "integer+":
			meta.AddPrimaryKeyColumnOption(name, tablestore.PrimaryKeyType_INTEGER, tablestore.AUTO_INCREMENT)
		case "binary":
			meta.AddPrimaryKeyColumn(name, tablestore.PrimaryKeyType_BINARY)
		default:
			panic(column)
		}
	}
	return &tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: tablestore.NewTableOptionWithMaxVersion(1),
		ReservedThroughput: &tablestore.ReservedThroughput{},
	}
}

// create creates a table from a definition, after set has changed the request.
func (c *client) create(name, schema string, set ...func(*tablestore.CreateTableRequest)) {
	c.t.Helper()
	req := definition(name, schema)
	for _, fn := range set {
		fn(req)
	}
	if _, err := c.CreateTable(req); err != nil {
		c.t.Fatalf("CreateTable(%s): %v", name, err)
	}
}

func versions(n int) func(*tablestore.CreateTableRequest) {
	return func(r *tablestore.CreateTableRequest) { r.TableOption.MaxVersion = n }
}

func timeToLive(seconds int) func(*tablestore.CreateTableRequest) {
	return func(r *tablestore.CreateTableRequest) { r.TableOption.TimeToAlive = seconds }
}

// write applies one change and returns its error.
func (c *client) write(change tablestore.RowChange) error {
	var err error
	switch change := change.(type) {
	case *tablestore.PutRowChange:
		_, err = c.PutRow(&tablestore.PutRowRequest{PutRowChange: change})
	case *tablestore.UpdateRowChange:
		_, err = c.UpdateRow(&tablestore.UpdateRowRequest{UpdateRowChange: change})
	case *tablestore.DeleteRowChange:
		_, err = c.DeleteRow(&tablestore.DeleteRowRequest{DeleteRowChange: change})
	}
	return err
}

// must applies changes that must succeed.
func (c *client) must(changes ...tablestore.RowChange) {
	c.t.Helper()
	for _, change := range changes {
		if err := c.write(change); err != nil {
			c.t.Fatalf("write of %T: %v", change, err)
		}
	}
}

// get reads a row as text: "a=1 b=x", with versions in the order of the answer; "-" is an absent
// row.
func (c *client) get(table string, pk *tablestore.PrimaryKey, set ...func(*tablestore.SingleRowQueryCriteria)) string {
	c.t.Helper()
	q := &tablestore.SingleRowQueryCriteria{TableName: table, PrimaryKey: pk, MaxVersion: 1}
	for _, fn := range set {
		fn(q)
	}
	out, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: q})
	if err != nil {
		return codeOf(err)
	}
	if len(out.PrimaryKey.PrimaryKeys) == 0 {
		return "-"
	}
	return show(out.Columns)
}

func show(columns []*tablestore.AttributeColumn) string {
	var parts []string
	for _, column := range columns {
		if b, ok := column.Value.([]byte); ok {
			parts = append(parts, fmt.Sprintf("%s=%s", column.ColumnName, b))
		} else {
			parts = append(parts, fmt.Sprintf("%s=%v", column.ColumnName, column.Value))
		}
	}
	return strings.Join(parts, " ")
}

func showKey(pk *tablestore.PrimaryKey) string {
	if pk == nil {
		return "-"
	}
	var parts []string
	for _, column := range pk.PrimaryKeys {
		if b, ok := column.Value.([]byte); ok {
			parts = append(parts, fmt.Sprintf("%q", b))
		} else {
			parts = append(parts, fmt.Sprint(column.Value))
		}
	}
	return strings.Join(parts, "/")
}

// page reads one page of a range: its keys, and the key of the next page; "-" is the end.
func (c *client) page(q *tablestore.RangeRowQueryCriteria) (keys []string, next string) {
	c.t.Helper()
	if q.MaxVersion == 0 && q.TimeRange == nil {
		q.MaxVersion = 1
	}
	out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: q})
	if err != nil {
		c.t.Fatalf("GetRange: %v", err)
	}
	for _, row := range out.Rows {
		keys = append(keys, showKey(row.PrimaryKey))
	}
	return keys, showKey(out.NextStartPrimaryKey)
}

// codeOf returns the code and message of a service error.
func codeOf(err error) string {
	var e *tablestore.OtsError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.Code + ": " + e.Message
	}
	return err.Error()
}

// fails checks that err starts with want: a code and the beginning of a message.
func fails(t testing.TB, what string, err error, want string) {
	t.Helper()
	if got := codeOf(err); !strings.HasPrefix(got, want) {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}
