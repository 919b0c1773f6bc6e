package tablestore

import (
	"context"
	"fmt"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// Write implements table.Table. It is one request. One more is sent to read, when several
// conditions were asked for and one did not hold, when the outcome of the first is not known, and
// ahead of it when it adds to items of a table with a time to live.
//
// Nothing is done twice. A request is sent again only if the last one has certainly not happened:
// the service refused to begin, it never left, or a condition of the Write itself, which the Write
// would have made false, still holds. That condition then also keeps out a request that is late.
// (If it holds again because somebody has undone the Write in between, the Write is done again
// after that, as if its caller had repeated it.) If the Write's own number is found on a row, it
// has happened. Where nothing proves either, as for an add by itself that another has followed, the
// Write ends with table.ErrUnavailable.
func (t *Table) Write(ctx context.Context, partition string, c table.Change) error {
	if err := table.CheckWrite(partition, c); err != nil {
		return err
	}
	w := t.newWriting(partition, c)
	if err := w.check(); err != nil {
		return err
	}
	if err := t.gate.Enter(ctx); err != nil {
		return fmt.Errorf("table: write: %w", err)
	}
	defer t.gate.Leave()
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

// A part is one of a Write's.
type part struct {
	operation operation
	sort      string
	condition table.Condition
	revision  int64 // of a put
	value     []byte
	n         int64 // of an add
	base      row   // that an add on a table with a time to live adds to
}

// A writing is a Write under way.
type writing struct {
	table     *Table
	partition string
	parts     []part // in the port's order
	id        int64
	written   int64
	cutoff    int64
	rereads   bool // adds need to know what they add to
	fenced    bool // a condition of a put or a delete keeps the Write from being done twice
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

// check returns an ErrInvalid when the service could not take the Write.
func (w *writing) check() error {
	if err := table.CheckText("write", w.partition); err != nil {
		return err
	}
	// What a row takes beside keys and value: five columns with their names, and two conditions,
	// are less than this.
	const frame = 512
	size := 0
	for i := range w.parts {
		p := &w.parts[i]
		if err := table.CheckText("write", p.sort); err != nil {
			return err
		}
		size += len(w.partition) + len(p.sort) + len(p.value) + len(p.base.value) + frame
	}
	if size > maxBatch {
		return fmt.Errorf("table: write: %d parts with %d bytes; use at most %d: %w",
			len(w.parts), size, maxBatch, table.ErrInvalid)
	}
	return nil
}

// run sends the Write until it is known what became of it, or no time is left.
func (w *writing) run(ctx context.Context) error {
	tries := newTries(ctx)
	doubt := false // a request may have happened, or may yet
	for {
		if w.rereads && (!doubt || w.fenced) { // else what it added to, unchanged, must keep it from adding twice
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

// prepare reads what adds on a table with a time to live add to. There an add is a put of the sum,
// on the condition that nobody has written the item since: the service's own increment would go on
// from an item that is over age, and would leave the other columns, which the service ages one by
// one, to vanish before it.
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

// send makes one request of the parts.
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

// judge returns the failure of a batch, given what became of its rows. A condition that did not
// hold is the end of all. When some rows have failed otherwise and some have not, as cannot be in
// an atomic batch, nothing is known.
func (w *writing) judge(ctx context.Context, results []sdk.RowResult) error {
	if len(results) != len(w.parts) {
		return garbled("%d rows, wanted %d", len(results), len(w.parts))
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

// change returns a part as the SDK wants it.
func (w *writing) change(p *part) sdk.RowChange {
	key, name := primaryKey(w.key(p)), w.table.name
	switch {
	case p.operation == deleting:
		return &sdk.DeleteRowChange{TableName: name, PrimaryKey: key, Condition: w.condition(p)}
	case p.operation == adding && !w.rereads:
		change := &sdk.UpdateRowChange{TableName: name, PrimaryKey: key, Condition: w.condition(p)}
		change.IncrementColumn(countColumn, p.n)
		change.IncrementColumn(revisionColumn, 0) // makes one where there is none, for conditions to find
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

// condition returns the condition of a part as the SDK wants it.
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

// is returns a condition that fails when the column is missing, and looks at no old versions. The
// SDK's own, without these two, passes on a row that is not there.
func is(column string, comparator sdk.ComparatorType, value int64) *sdk.SingleColumnCondition {
	c := sdk.NewSingleColumnCondition(column, comparator, value)
	c.FilterIfMissing, c.LatestVersionOnly = true, true
	return c
}

// overAge returns a condition that holds when there is no row, which has no columns, or one that is
// over age.
func (w *writing) overAge() *sdk.SingleColumnCondition {
	c := is(writtenColumn, sdk.CT_LESS_EQUAL, w.cutoff)
	c.FilterIfMissing = false
	return c
}

// settle finds out what became of a Write after a request that was refused, or whose outcome is not
// known, and says whether that is the end. If not, the Write has not happened, and now it might.
// doubt says that the outcome of any request so far is not known.
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
			stale = true // what it adds to has changed; perhaps this very Write lies under the change
		case !holds && broken == nil:
			broken = p
		}
	}
	switch {
	// with a broken condition too: it may be mended before a late request arrives
	case doubt && (broken != nil || !guarded || stale && !w.fenced):
		return true, uncertain(cause)
	case broken != nil:
		return true, w.conditionError(broken)
	default:
		return false, nil
	}
}

// onlyCondition returns the part that a refusal must be about; nil if it may be one of several.
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

// guards reports whether a part has a condition that does not hold any more once the part is done.
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

// holds reports whether the condition of a part holds for a row.
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

// uncertain returns the failure of a Write of which nobody knows whether it has happened.
func uncertain(cause error) *failure {
	return &failure{fate: unknown, text: cause.Error() +
		"; whether it has happened cannot be told from what is there now"}
}
