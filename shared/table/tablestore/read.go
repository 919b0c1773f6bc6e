package tablestore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// Get implements table.Table. It is one request.
func (t *Table) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := t.gate.EnterGet(ctx, keys); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := t.fetch(ctx, newTries(ctx), keys, itemColumns)
	if err != nil {
		return nil, fmt.Errorf("table: get: %w", portError(ctx, err))
	}
	var items []table.Item
	cutoff := t.cutoff()
	for i, r := range rows {
		if !t.alive(r, cutoff) {
			continue
		}
		if items == nil {
			items = make([]table.Item, 0, len(keys))
		}
		items = append(items, r.item(keys[i]))
	}
	return items, nil
}

// fetch returns the given columns of the rows under keys, in the order of keys. It retries only the
// rows that the service could not read.
func (t *Table) fetch(ctx context.Context, tries *tries, keys []table.Key, columns []string) ([]row, error) {
	rows := make([]row, len(keys))
	wanted := make([]int, len(keys)) // indexes of keys
	for i := range wanted {
		wanted[i] = i
	}
	for {
		var err error
		if len(wanted) == 1 {
			rows[wanted[0]], err = t.getRow(ctx, keys[wanted[0]], columns)
		} else {
			wanted, err = t.getRows(ctx, keys, wanted, columns, rows)
		}
		if err == nil {
			return rows, nil
		}
		if f := fateOf(err); f == invalid || f == hopeless || !tries.again(ctx) {
			return nil, err
		}
	}
}

func (t *Table) getRow(ctx context.Context, k table.Key, columns []string) (row, error) {
	var resp *sdk.GetRowResponse
	err := t.send(ctx, func(c *sdk.TableStoreClient) (err error) {
		resp, err = c.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
			TableName: t.name, PrimaryKey: primaryKey(k), ColumnsToGet: columns, MaxVersion: 1,
		}})
		return err
	})
	if err != nil {
		return row{}, err
	}
	return readRow(k, &resp.PrimaryKey, resp.Columns)
}

// getRows reads the wanted rows into rows. With an error it returns the indexes that are still
// missing.
func (t *Table) getRows(ctx context.Context, keys []table.Key, wanted []int,
	columns []string, rows []row) ([]int, error) {
	criteria := &sdk.MultiRowQueryCriteria{TableName: t.name, ColumnsToGet: columns, MaxVersion: 1}
	for _, i := range wanted {
		criteria.AddRow(primaryKey(keys[i]))
	}
	var results []sdk.RowResult
	err := t.send(ctx, func(c *sdk.TableStoreClient) error {
		resp, err := c.BatchGetRow(&sdk.BatchGetRowRequest{
			MultiRowQueryCriteria: []*sdk.MultiRowQueryCriteria{criteria}})
		if err == nil {
			results = resp.TableToRowsResult[t.name]
		}
		return err
	})
	if err != nil {
		return wanted, err
	}
	if len(results) != len(wanted) {
		return wanted, garbled("%d rows for %d keys", len(results), len(wanted))
	}
	var failed error
	var again []int
	for n, i := range wanted {
		if r := &results[n]; r.IsSucceed {
			rows[i], err = readRow(keys[i], &r.PrimaryKey, r.Columns)
		} else {
			err = mapError(&sdk.OtsError{Code: r.Error.Code, Message: r.Error.Message}, t.credentialsOf(ctx))
		}
		if f := fateOf(err); err != nil && (f == invalid || f == hopeless) {
			return wanted, err
		}
		if err != nil {
			failed, again = err, append(again, i)
		}
	}
	return again, failed
}

// readRow returns the row in the answer for k; the zero row if none.
func readRow(k table.Key, answered *sdk.PrimaryKey, columns []*sdk.AttributeColumn) (row, error) {
	if len(answered.PrimaryKeys) == 0 && len(columns) == 0 {
		return row{}, nil
	}
	if got, ok := parseKey(answered); !ok || got != k {
		return row{}, garbled("the wrong row")
	}
	return decodeRow(k, columns)
}

// Query implements table.Table. It is one request for every 5,000 rows or 4 MB, and more if the
// table still has expired items.
func (t *Table) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := t.gate.EnterQuery(ctx, r); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	items, err := t.query(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("table: query: %w", portError(ctx, err))
	}
	return items, nil
}

func (t *Table) query(ctx context.Context, r table.Range) ([]table.Item, error) {
	start, end, ok := ends(r)
	if !ok {
		return nil, nil
	}
	var items []table.Item
	cutoff, tries := t.cutoff(), newTries(ctx)
	last, reached := r.After, "" // the last key, and the start of the page if it is not the first
	for ask := r.Limit; ; {
		page, err := t.page(ctx, tries, r, start, end, ask)
		if err != nil {
			return nil, err
		}
		if items == nil {
			items = make([]table.Item, 0, min(len(page.Rows), r.Limit))
		}
		for _, found := range page.Rows {
			k, ok := parseKey(found.PrimaryKey)
			if !ok || k.Partition != r.Partition || !strings.HasPrefix(k.Sort, r.Prefix) || !follows(r, k.Sort, last) {
				return nil, garbled("a row outside of the range or in wrong order")
			}
			last = k.Sort
			row, err := decodeRow(k, found.Columns)
			if err != nil {
				return nil, err
			}
			if !t.alive(row, cutoff) {
				continue
			}
			if items = append(items, row.item(k)); len(items) == r.Limit {
				return items, nil
			}
		}
		if page.NextStartPrimaryKey == nil {
			return items, nil
		}
		next, ok := parseKey(page.NextStartPrimaryKey)
		if !ok || next.Partition != r.Partition || !follows(r, next.Sort, last) || !follows(r, next.Sort, reached) {
			return nil, garbled("a next row outside of the range or in wrong order")
		}
		start, reached = primaryKey(next), next.Sort
		if ask = r.Limit - len(items); t.ttl > 0 {
			ask = table.MaxQuery // most rows may have expired
		}
	}
}

// follows reports whether sort comes after last in the direction of r.
func follows(r table.Range, sort, last string) bool {
	return last == "" || !r.Reverse && sort > last || r.Reverse && sort < last
}

func (t *Table) page(ctx context.Context, tries *tries, r table.Range, start, end *sdk.PrimaryKey,
	limit int) (*sdk.GetRangeResponse, error) {
	criteria := &sdk.RangeRowQueryCriteria{
		TableName: t.name, StartPrimaryKey: start, EndPrimaryKey: end, ColumnsToGet: itemColumns,
		MaxVersion: 1, Limit: int32(limit),
	}
	if r.Reverse {
		criteria.Direction = sdk.BACKWARD
	}
	for {
		var resp *sdk.GetRangeResponse
		err := t.send(ctx, func(c *sdk.TableStoreClient) (err error) {
			resp, err = c.GetRange(&sdk.GetRangeRequest{RangeRowQueryCriteria: criteria})
			return err
		})
		if err == nil {
			return resp, nil
		}
		if f := fateOf(err); f == invalid || f == hopeless || !tries.again(ctx) {
			return nil, err
		}
	}
}

// quote returns a key for errors, cut.
func quote(key string) string { return strconv.Quote(key[:min(len(key), 80)]) }
