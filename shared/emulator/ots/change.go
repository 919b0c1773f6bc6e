package ots

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A change is one row of a write, checked as far as possible without reading the row.
type change struct {
	table     *table
	op        otsprotocol.OperationType
	row       plainbuffer.Row
	key       []byte // under which the row is stored; nil until an AUTO_INCREMENT value is known
	auto      bool
	given     bool // the client sets the value of the AUTO_INCREMENT column
	expect    otsprotocol.RowExistenceExpectation
	condition filter
	returns   otsprotocol.ReturnType
	columns   []string // to return after the change
	size      int      // bytes that the service counts for the request
}

// newChange checks everything about one row that does not depend on its table. Like the service, it
// runs before the table is looked up.
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

// bind checks the change against the table, and attaches it to the table.
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

// checkOp returns an error if value or timestamp do not fit the cell's operation.
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
			// The service's wording is not known, here and below.
			return invalid("Timestamp cannot be given when type is INCREMENT.")
		}
		if !cell.HasValue || cell.Value.Type != plainbuffer.Integer {
			return invalid("Increment value of column '%s' must be integer.", cell.Name)
		}
	default:
		if !cell.HasValue {
			return invalid("Cell data broken, attr has no value, name:%s.", cell.Name)
		}
	}
	return nil
}

// checkOneOp returns an error if one column is changed in ways that cannot be combined: an
// increment is the only cell of its column, and all versions are deleted at most once. Other cells
// are applied in order: the Java suite puts a column and deletes it in the same update.
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

// setReturns checks and sets the columns to return. Values after the change are available for
// incremented columns only. The service's wording of the errors is not known.
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

// conditional reports whether the change has a condition on the row's existence or columns.
func (c *change) conditional() bool {
	return c.expect != otsprotocol.RowExistenceExpectation_IGNORE || c.condition != nil
}

// onlyRemoves reports whether the change is an update that only deletes cells.
func (c *change) onlyRemoves() bool {
	return c.op == otsprotocol.OperationType_UPDATE && !slices.ContainsFunc(c.row.Cells,
		func(cell plainbuffer.Cell) bool {
			return cell.Op != plainbuffer.DeleteAll && cell.Op != plainbuffer.DeleteOne
		})
}

func (c *change) checkSize(operation string) error {
	if c.size > maxWrite {
		return invalid("The total data size of %s request exceeds the limit, limit size: %d, data size: %d.", operation,
			maxWrite, c.size)
	}
	return nil
}
