package ots

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A change is one row of a write, checked as far as that can be done without the row it changes.
type change struct {
	table     *table
	op        otsprotocol.OperationType
	row       plainbuffer.Row
	key       []byte // that the row is stored under; not yet known of one with an AUTO_INCREMENT
	auto      bool
	given     bool // the client names the value of the AUTO_INCREMENT column itself
	expect    otsprotocol.RowExistenceExpectation
	condition filter
	returns   otsprotocol.ReturnType
	columns   []string // that are returned after the change
	size      int      // bytes that the service counts for what the request holds
}

// newChange checks what can be said of one row of a write without its table. The service does so
// before it looks for the table.
func newChange(
	op otsprotocol.OperationType, b []byte, c *otsprotocol.Condition, r *otsprotocol.ReturnContent,
) (*change, error) {
	out := &change{op: op}
	var err error
	if out.row, err = plainbuffer.DecodeRow(b); err != nil {
		return nil, brokenRow(err)
	}
	switch isDelete := op == otsprotocol.OperationType_DELETE; {
	case isDelete && !out.row.Deleted:
		return nil, invalid("Invalid request of delete row: missing RowDeleteMarker in request.")
	case !isDelete && out.row.Deleted:
		return nil, invalid("Invalid request of put/update row: unexpected RowDeleteMarker in request.")
	}
	if err := checkKeyCells(out.row.Key, maxKeyColumns, forWrite); err != nil {
		return nil, err
	}
	out.size = keySize(out.row.Key)
	if err := out.checkCells(); err != nil {
		return nil, err
	}
	if err := out.setCondition(c); err != nil {
		return nil, err
	}
	return out, out.setReturns(r)
}

// brokenRow returns the error for a row that is not PlainBuffer.
func brokenRow(err error) error { return invalid("Cell data broken, %v.", err) }

// bind says whether the change may be made to the table, and makes it one of that table.
func (c *change) bind(t *table) error {
	if t.Index != nil {
		return errIndexWrite
	}
	if c.op == otsprotocol.OperationType_UPDATE && t.AllowUpdate != nil && !*t.AllowUpdate {
		return errUpdate
	}
	c.table = t
	if err := t.matchKey(c.row.Key); err != nil {
		return err
	}
	i := t.autoColumn()
	c.auto = i >= 0 && c.row.Key[i].Value.Type == plainbuffer.AutoIncrement
	c.given = i >= 0 && !c.auto
	switch {
	case !c.auto:
		c.key = newKey(c.row.Key)
	case c.op == otsprotocol.OperationType_DELETE:
		return invalid("Invalid row to delete which with pk auto increment.")
	case c.expect != otsprotocol.RowExistenceExpectation_IGNORE:
		return invalid("Invalid expect:%s when modify row with pk auto increment.", c.expect)
	case c.condition != nil:
		return invalid("Can't set condition when modify row with pk auto increment.")
	}
	for i := range c.row.Cells {
		cell := &c.row.Cells[i]
		if t.isKey(string(cell.Name)) {
			return invalid("Duplicated attribute column name with primary key column: '%s'.", cell.Name)
		}
		if cell.HasTimestamp && len(t.indexes) > 0 {
			// The service's wording is not known.
			return invalid("Timestamp cannot be given for column '%s' of a table with secondary indexes.", cell.Name)
		}
	}
	return nil
}

func (c *change) checkCells() error {
	cells := c.row.Cells
	switch {
	case c.op == otsprotocol.OperationType_DELETE && len(cells) > 0:
		return invalid("Invalid delete row request: unexpected cells in request.")
	case c.op == otsprotocol.OperationType_UPDATE && len(cells) == 0:
		return errNoCells
	case len(cells) > maxCells:
		return invalid("The number of attribute columns exceeds the limit, limit count: %d, column count: %d.",
			maxCells, len(cells))
	}
	for i := range cells {
		if err := c.checkCell(&cells[i]); err != nil {
			return err
		}
	}
	if c.op == otsprotocol.OperationType_UPDATE {
		return checkOneOp(cells)
	}
	return nil
}

func (c *change) checkCell(cell *plainbuffer.Cell) error {
	if err := checkColumnName(string(cell.Name)); err != nil {
		return err
	}
	if err := checkOp(c.op, cell); err != nil {
		return err
	}
	if cell.HasTimestamp && (cell.Timestamp < 0 || cell.Timestamp >= maxTimestamp) {
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	}
	c.size += len(cell.Name)
	if cell.HasTimestamp {
		c.size += 8
	}
	if !cell.HasValue {
		return nil
	}
	c.size += cell.Value.Size()
	return checkValue(cell.Name, cell.Value)
}

// checkOp says whether value and timestamp suit what the cell does.
func checkOp(op otsprotocol.OperationType, cell *plainbuffer.Cell) error {
	if cell.Op != 0 && op == otsprotocol.OperationType_PUT {
		return invalid("OpType cannot be given for column name:%s in PutRow.", cell.Name)
	}
	switch cell.Op {
	case plainbuffer.DeleteAll, plainbuffer.DeleteOne:
		if cell.HasValue {
			return invalid("Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.")
		}
		if cell.Op == plainbuffer.DeleteOne && !cell.HasTimestamp {
			return invalid("Timestamp must be given when type is DELETE_ONE_VERSION.")
		}
		if cell.Op == plainbuffer.DeleteAll && cell.HasTimestamp {
			return invalid("Timestamp cannot be given when type is DELETE_ALL_VERSION.")
		}
	case plainbuffer.Increment:
		if cell.HasTimestamp {
			return invalid("Timestamp cannot be given when type is INCREMENT.") // the service's wording is not known
		}
		if !cell.HasValue || cell.Value.Type != plainbuffer.Integer {
			return invalid("Increment value of column '%s' must be integer.", cell.Name) // likewise
		}
	default:
		if !cell.HasValue {
			return invalid("Cell data broken, attr has no value, name:%s.", cell.Name)
		}
	}
	return nil
}

// checkOneOp says whether each column is changed in ways that go together: an increment is the only
// cell of its column, and all versions are removed at most once. What is put and removed is done in
// the order of the cells: the Java suite puts a column, removes it in the same update, and finds it
// removed.
func checkOneOp(cells []plainbuffer.Cell) error {
	seen := map[string]plainbuffer.Op{}
	for i := range cells {
		name, op := string(cells[i].Name), cells[i].Op
		before, again := seen[name]
		increments := op == plainbuffer.Increment || before == plainbuffer.Increment
		if again && (increments || op == plainbuffer.DeleteAll && before == plainbuffer.DeleteAll) {
			return invalid("Duplicated attribute column name: '%s' while updating row.", name)
		}
		if before != plainbuffer.DeleteAll {
			seen[name] = op
		}
	}
	return nil
}

func (c *change) setCondition(m *otsprotocol.Condition) error {
	c.expect = m.GetRowExistence()
	if c.expect < otsprotocol.RowExistenceExpectation_IGNORE ||
		c.expect > otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST {
		return invalid("Invalid row-existence expectation: %d.", c.expect)
	}
	var err error
	c.condition, _, err = parseFilter(m.GetColumnCondition(), false)
	return err
}

// setReturns takes over what is returned. Values after the change are those of incremented columns
// only. The service's wording of the refusals is not known.
func (c *change) setReturns(m *otsprotocol.ReturnContent) error {
	c.returns, c.columns = m.GetReturnType(), m.GetReturnColumnNames()
	switch c.returns {
	case otsprotocol.ReturnType_RT_NONE:
		return nil
	case otsprotocol.ReturnType_RT_PK:
		if len(c.columns) > 0 {
			return invalid("Return columns cannot be given when the primary key is returned.")
		}
		return nil
	case otsprotocol.ReturnType_RT_AFTER_MODIFY:
		for _, name := range c.columns {
			if !c.increments(name) {
				return invalid("The return column '%s' is not incremented.", name)
			}
		}
		return nil
	}
	return invalid("Invalid return type: %d.", c.returns)
}

func (c *change) increments(name string) bool {
	return slices.ContainsFunc(c.row.Cells, func(cell plainbuffer.Cell) bool {
		return cell.Op == plainbuffer.Increment && string(cell.Name) == name
	})
}

// conditional reports whether the change depends on the row: its outcome on existence or columns,
// or its result on a value.
func (c *change) conditional() bool {
	return c.expect != otsprotocol.RowExistenceExpectation_IGNORE || c.condition != nil
}

// onlyRemoves reports whether an update removes cells and writes none.
func (c *change) onlyRemoves() bool {
	return c.op == otsprotocol.OperationType_UPDATE && !slices.ContainsFunc(c.row.Cells,
		func(cell plainbuffer.Cell) bool {
			return cell.Op != plainbuffer.DeleteAll && cell.Op != plainbuffer.DeleteOne
		})
}

// checkSize says whether a put or an update that stands alone is small enough.
func (c *change) checkSize(operation string) error {
	if c.size > maxWrite {
		return invalid("The total data size of %s request exceeds the limit, limit size: %d, data size: %d.", operation,
			maxWrite, c.size)
	}
	return nil
}
