package tablestore

import (
	"context"
	"fmt"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// Write implements table.Table. It is one request. It needs a second one, to read, if one of
// several conditions did not hold, if the result of the first is unknown, or before adds on a table
// with a time to live.
//
// Nothing is done twice. Write retries only if the last request was certainly not done: the service
// rejected it, it was not sent, or a condition still holds that the Write itself would have made
// false. That condition also stops a late request. (If another writer has undone the Write
// meanwhile, a retry does it again, like a second call.) If a row has the number of the Write, the
// Write was done. If neither is known, such as for an add alone before another add, the error is
// table.ErrUnavailable.
func (t *Table) Write(ctx context.Context, partition string, c table.Change) error {
	if err := t.gate.EnterWrite(ctx, partition, c); err != nil {
		return err
	}
	defer t.gate.Leave()
	w := t.newWriting(partition, c)
	if err := w.check(); err != nil {
		return err
	}
	if err := w.run(ctx); err != nil {
		return fmt.Errorf("table: write: %w", portError(ctx, err))
	}
	return nil
}

type operation uint8

const (
	putting operation = iota
	deleting
	adding
)

type part struct {
	operation operation
	sort      string
	condition table.Condition
	revision  int64 // of a put
	value     []byte
	n         int64 // of an add
	base      row   // the row before an add; only with a time to live
}

type writing struct {
	table     *Table
	partition string
	parts     []part // in the port's order
	id        int64
	written   int64
	cutoff    int64
	rereads   bool // adds must read their rows first
	fenced    bool // a condition of a put or delete prevents a second execution
}

func (t *Table) newWriting(partition string, c table.Change) *writing {
	w := &writing{
		table:     t,
		partition: partition,
		parts:     make([]part, 0, len(c.Puts)+len(c.Deletes)+len(c.Adds)),
		id:        t.newID(),
		written:   t.now().UnixMilli(),
		cutoff:    t.cutoff(),
		rereads:   t.ttl > 0 && len(c.Adds) > 0,
	}
	for _, p := range c.Puts {
		w.parts = append(w.parts, part{operation: putting, sort: p.Sort, condition: p.If,
			revision: p.Revision, value: p.Value})
	}
	for _, d := range c.Deletes {
		w.parts = append(w.parts, part{operation: deleting, sort: d.Sort, condition: d.If})
	}
	for _, a := range c.Adds {
		w.parts = append(w.parts, part{operation: adding, sort: a.Sort, n: a.N})
	}
	for i := range w.parts {
		w.fenced = w.fenced || w.guards(&w.parts[i]) && w.parts[i].operation != adding
	}
	return w
}

// check returns ErrInvalid for a Write beyond the service's own limits.
func (w *writing) check() error {
	// An upper bound for the rest of a row: five columns with their names, and two conditions.
	const frame = 512
	size := 0
	for i := range w.parts {
		p := &w.parts[i]
		size += len(w.partition) + len(p.sort) + len(p.value) + len(p.base.value) + frame
	}
	if size > maxBatch {
		return fmt.Errorf("table: write: %d parts with %d bytes; use at most %d: %w",
			len(w.parts), size, maxBatch, table.ErrInvalid)
	}
	return nil
}

// run sends the Write until its result is known or no time is left.
func (w *writing) run(ctx context.Context) error {
	tries := newTries(ctx)
	doubt := false // an earlier request may have been done, or may still arrive
	for {
		if w.rereads && (!doubt || w.fenced) { // else the unchanged base prevents a second add
			if err := w.prepare(ctx, tries); err != nil && doubt {
				return uncertain(err)
			} else if err != nil {
				return err
			}
		}
		err := w.send(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		switch f := fateOf(err); {
		case f == refused, f == unknown:
			doubt = doubt || f == unknown
			if over, err := w.settle(ctx, tries, err, doubt); over {
				return err
			}
		case f != rejected && doubt:
			return uncertain(err)
		case f != rejected:
			return err
		}
		if !tries.again(ctx) {
			return err
		}
	}
}

// prepare reads the rows of adds on a table with a time to live. There an add is a put of the sum,
// on the condition that the row has not changed. The service's own increment would continue from an
// expired row, and would let the other columns expire before the count, because the service expires
// each column separately.
func (w *writing) prepare(ctx context.Context, tries *tries) error {
	var keys []table.Key
	var adds []*part
	for i := range w.parts {
		if p := &w.parts[i]; p.operation == adding {
			keys, adds = append(keys, w.key(p)), append(adds, p)
		}
	}
	rows, err := w.table.fetch(ctx, tries, keys, allColumns)
	if err != nil {
		return err
	}
	for i, p := range adds {
		if p.base = rows[i]; !w.table.alive(p.base, w.cutoff) {
			p.base = row{}
		}
		if sum := p.base.count + p.n; (sum > p.base.count) != (p.n > 0) && p.n != 0 {
			return fmt.Errorf("add %d to %q, which is %d: %w", p.n, p.sort, p.base.count, table.ErrInvalid)
		}
	}
	return w.check()
}

func (w *writing) key(p *part) table.Key { return table.Key{Partition: w.partition, Sort: p.sort} }

func (w *writing) send(ctx context.Context) error {
	if len(w.parts) > 1 {
		return w.sendBatch(ctx)
	}
	change := w.change(&w.parts[0])
	return w.table.send(ctx, func(c *sdk.TableStoreClient) (err error) {
		switch change := change.(type) {
		case *sdk.PutRowChange:
			_, err = c.PutRow(&sdk.PutRowRequest{PutRowChange: change})
		case *sdk.UpdateRowChange:
			_, err = c.UpdateRow(&sdk.UpdateRowRequest{UpdateRowChange: change})
		case *sdk.DeleteRowChange:
			_, err = c.DeleteRow(&sdk.DeleteRowRequest{DeleteRowChange: change})
		}
		return err
	})
}

func (w *writing) sendBatch(ctx context.Context) error {
	name := w.table.name
	changes := make([]sdk.RowChange, len(w.parts))
	for i := range w.parts {
		changes[i] = w.change(&w.parts[i])
	}
	req := &sdk.BatchWriteRowRequest{RowChangesGroupByTable: map[string][]sdk.RowChange{name: changes}, IsAtomic: true}
	var results []sdk.RowResult
	err := w.table.send(ctx, func(c *sdk.TableStoreClient) error {
		resp, err := c.BatchWriteRow(req)
		if err == nil {
			results = resp.TableToRowsResult[name]
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.judge(ctx, results)
}

// judge returns the failure of a batch from the results of its rows. A failed condition is final.
// If only some rows failed otherwise, which an atomic batch excludes, the result is unknown.
func (w *writing) judge(ctx context.Context, results []sdk.RowResult) error {
	if len(results) != len(w.parts) {
		return garbled("%d rows for %d parts", len(results), len(w.parts))
	}
	var worst *failure
	failed := 0
	for i := range results {
		r := &results[i]
		if r.IsSucceed {
			continue
		}
		failed++
		f := mapError(&sdk.OtsError{Code: r.Error.Code, Message: r.Error.Message}, w.table.credentialsOf(ctx))
		if f.fate == refused {
			return f
		}
		if worst == nil || f.fate == unknown || worst.fate == rejected {
			worst = f
		}
	}
	if worst != nil && failed < len(results) {
		return &failure{fate: unknown, text: fmt.Sprintf("%s; in %d of %d rows of an atomic batch",
			worst.text, failed, len(results))}
	}
	if worst != nil {
		return worst
	}
	return nil
}

func (w *writing) change(p *part) sdk.RowChange {
	key, name := primaryKey(w.key(p)), w.table.name
	switch {
	case p.operation == deleting:
		return &sdk.DeleteRowChange{TableName: name, PrimaryKey: key, Condition: w.condition(p)}
	case p.operation == adding && !w.rereads:
		change := &sdk.UpdateRowChange{TableName: name, PrimaryKey: key, Condition: w.condition(p)}
		change.IncrementColumn(countColumn, p.n)
		change.IncrementColumn(revisionColumn, 0) // creates the column, which conditions need
		change.PutColumn(writtenColumn, w.written)
		change.PutColumn(writeColumn, w.id)
		return change
	}
	value, revision, count := p.value, p.revision, int64(0)
	if p.operation == adding {
		value, revision, count = p.base.value, p.base.revision, p.base.count+p.n
	}
	change := &sdk.PutRowChange{TableName: name, PrimaryKey: key, Condition: w.condition(p),
		Columns: make([]sdk.AttributeColumn, 0, 5)}
	if len(value) > 0 {
		change.AddColumn(valueColumn, value)
	}
	change.AddColumn(revisionColumn, revision)
	if count != 0 {
		change.AddColumn(countColumn, count)
	}
	change.AddColumn(writtenColumn, w.written)
	change.AddColumn(writeColumn, w.id)
	return change
}

func (w *writing) condition(p *part) *sdk.RowCondition {
	revision, exact := p.condition.Revision()
	switch {
	case p.condition.IsAbsent() && w.table.ttl == 0:
		return &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_NOT_EXIST}
	case p.condition.IsAbsent(), w.rereads && p.operation == adding && !p.base.exists:
		return &sdk.RowCondition{ColumnCondition: w.overAge()}
	case exact && w.table.ttl == 0:
		return exists(is(revisionColumn, sdk.CT_EQUAL, revision))
	case exact:
		both := sdk.NewCompositeColumnCondition(sdk.LO_AND)
		both.AddFilter(is(revisionColumn, sdk.CT_EQUAL, revision))
		both.AddFilter(is(writtenColumn, sdk.CT_GREATER_THAN, w.cutoff))
		return exists(both)
	case w.rereads && p.operation == adding:
		return exists(is(writeColumn, sdk.CT_EQUAL, p.base.write))
	default:
		return &sdk.RowCondition{}
	}
}

func exists(filter sdk.ColumnFilter) *sdk.RowCondition {
	return &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: filter}
}

// is returns a condition that fails if the column is missing, and ignores old versions. The SDK's
// default holds for a missing row.
func is(column string, comparator sdk.ComparatorType, value int64) *sdk.SingleColumnCondition {
	c := sdk.NewSingleColumnCondition(column, comparator, value)
	c.FilterIfMissing, c.LatestVersionOnly = true, true
	return c
}

// overAge returns a condition that holds if the row is missing or expired.
func (w *writing) overAge() *sdk.SingleColumnCondition {
	c := is(writtenColumn, sdk.CT_LESS_EQUAL, w.cutoff)
	c.FilterIfMissing = false
	return c
}

// settle finds the result of a Write after a refused request or one with an unknown result, and
// reports whether the result is final. If it is not, the Write was not done, and a retry may
// succeed. doubt tells that the result of any request so far is unknown.
func (w *writing) settle(ctx context.Context, tries *tries, cause error, doubt bool) (over bool, err error) {
	if p := w.onlyCondition(); p != nil && !doubt {
		return true, w.conditionError(p)
	}
	keys := make([]table.Key, len(w.parts))
	for i := range w.parts {
		keys[i] = w.key(&w.parts[i])
	}
	rows, err := w.table.fetch(ctx, tries, keys, traceColumns)
	if err != nil {
		return true, err
	}
	var guarded, stale bool
	var broken *part
	for i := range w.parts {
		p := &w.parts[i]
		if rows[i].exists && rows[i].write == w.id {
			return true, nil
		}
		switch holds := w.holds(p, rows[i]); {
		case holds && w.guards(p):
			guarded = true
		case !holds && p.operation == adding:
			stale = true // the row has changed, perhaps after this very Write
		case !holds && broken == nil:
			broken = p
		}
	}
	switch {
	// also with a broken condition, which may hold again before a late request arrives
	case doubt && (broken != nil || !guarded || stale && !w.fenced):
		return true, uncertain(cause)
	case broken != nil:
		return true, w.conditionError(broken)
	default:
		return false, nil
	}
}

// onlyCondition returns the only part with a condition; nil if there are several.
func (w *writing) onlyCondition() *part {
	if w.rereads {
		return nil
	}
	var only *part
	for i := range w.parts {
		if p := &w.parts[i]; !p.condition.IsAlways() {
			if only != nil {
				return nil
			}
			only = p
		}
	}
	return only
}

// guards reports whether doing a part makes its condition false.
func (w *writing) guards(p *part) bool {
	revision, exact := p.condition.Revision()
	switch p.operation {
	case putting:
		return p.condition.IsAbsent() || exact && revision != p.revision
	case deleting:
		return exact
	default:
		return w.rereads && !w.fenced
	}
}

func (w *writing) holds(p *part, r row) bool {
	alive := w.table.alive(r, w.cutoff)
	revision, exact := p.condition.Revision()
	switch {
	case w.rereads && p.operation == adding && p.base.exists:
		return r.exists && r.write == p.base.write
	case w.rereads && p.operation == adding, p.condition.IsAbsent():
		return !alive
	case exact:
		return alive && r.revision == revision
	default:
		return true
	}
}

func (w *writing) conditionError(p *part) error {
	return &table.ConditionError{Key: w.key(p), If: p.condition}
}

// uncertain returns the failure of a Write with an unknown result.
func uncertain(cause error) *failure {
	return &failure{fate: unknown, text: cause.Error() +
		"; it is unknown whether the write was done"}
}
