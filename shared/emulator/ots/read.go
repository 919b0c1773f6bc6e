package ots

import (
	"math"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A query is the common part of all reads: what to return of a row.
type query struct {
	columns     []string
	times       *otsprotocol.TimeRange
	maxVersions *int32
	filter      []byte
	start, end  *string // range of column names
	token       []byte
}

// A selection is a checked query for rows of one table at one time.
//
// Versions beyond the table's number are hidden, and the next write to their row removes them.
// Raising the number before that write shows them again: it is not documented when the service
// removes them.
type selection struct {
	expiry   int64 // cells with this timestamp or an older one have expired
	stored   int   // versions of a column that the table keeps
	versions int   // versions to return, newest first, within the time range
	from, to int64 // the time range; to is exclusive

	columns    []string // sorted; nil selects all
	keyNamed   bool     // columns names a primary key column
	start, end string   // range of names; end is exclusive; empty is open
	filter     filter
	page       *columnPage
	keyColumns []string // primary key columns to return; nil returns all

	key     []plainbuffer.Cell // scratch memory of pick
	scratch []picked
}

// A picked cell is a selected cell and its stored bytes.
type picked struct {
	plainbuffer.Cell
	raw []byte
}

// selection checks a query.
func (t *table) selection(q query, now time.Time) (*selection, error) {
	s := &selection{
		expiry:   t.expiry(now),
		stored:   int(t.MaxVersions),
		versions: math.MaxInt,
		from:     math.MinInt64,
		to:       math.MaxInt64,
	}
	if err := s.setColumns(t, q); err != nil {
		return nil, err
	}
	if err := s.setVersions(q); err != nil {
		return nil, err
	}
	if len(q.token) > 0 {
		return nil, invalid("Invalid token.") // the emulator never returns one
	}
	var err error
	s.filter, s.page, err = parseFilter(q.filter, true)
	return s, err
}

func (s *selection) setVersions(q query) error {
	if q.maxVersions == nil && q.times == nil {
		return errNoVersions
	}
	if q.maxVersions != nil {
		if *q.maxVersions <= 0 {
			return invalid("Invalid max versions: %d. Reason: Max versions must be positive.", *q.maxVersions)
		}
		s.versions = int(*q.maxVersions)
	}
	if q.times == nil {
		return nil
	}
	t := q.times
	switch {
	case t.SpecificTime != nil && (t.StartTime != nil || t.EndTime != nil):
		return invalid("Specific timestamp and time range cannot be given at the same time.")
	case t.SpecificTime != nil && q.maxVersions != nil:
		return invalid("Specific timestamp and max versions cannot be given at the same time.")
	case t.SpecificTime != nil && t.GetSpecificTime() < 0:
		return invalid("Specific timestamp cannot be less than 0.")
	case t.SpecificTime != nil && t.GetSpecificTime() >= maxTimestamp:
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	case t.SpecificTime != nil:
		s.from, s.to = t.GetSpecificTime(), t.GetSpecificTime()+1
		return nil
	case t.StartTime == nil || t.EndTime == nil:
		return invalid("Start and end time must be given at the same time.")
	case t.GetStartTime() < 0 || t.GetStartTime() >= maxTimestamp || t.GetEndTime() < 0:
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	case t.GetStartTime() >= t.GetEndTime():
		return invalid("End timestamp must be larger than start timestamp.")
	}
	s.from, s.to = t.GetStartTime(), t.GetEndTime()
	return nil
}

func (s *selection) setColumns(t *table, q query) error {
	if n := len(q.columns); n > maxColumnsToGet {
		return invalid("The number of columns from the request exceeds the limit, limit count: %d, column count: %d.",
			maxColumnsToGet, n)
	}
	for _, name := range q.columns {
		if err := checkColumnName(name); err != nil {
			return err
		}
		s.keyNamed = s.keyNamed || t.isKey(name)
	}
	if len(q.columns) > 0 {
		s.columns = slices.Clone(q.columns)
		slices.Sort(s.columns)
	}
	if q.start != nil {
		s.start = *q.start
	}
	if q.end != nil {
		s.end = *q.end
	}
	if s.start != "" && s.end != "" && s.start >= s.end {
		return invalid("Start column must be less than end column.")
	}
	return nil
}

// whole reports whether the selection includes the whole row, so that its stored bytes can be
// copied.
func (s *selection) whole(r *row) bool {
	return s.columns == nil && s.filter == nil && s.page == nil && s.start == "" && s.end == "" &&
		s.keyColumns == nil &&
		!r.several && r.oldest > s.expiry && r.oldest >= s.from && r.newest < s.to
}

// append appends the selected part of a row that exists, without a buffer's header, and reports
// whether the row matches. Size is the number of bytes read in either case.
func (s *selection) append(b []byte, r *row) (_ []byte, size int, ok bool, err error) {
	if s.whole(r) {
		return append(b, r.body...), r.size, true, nil
	}
	v, size, ok, err := s.pick(r)
	if err != nil || !ok {
		return b, size, false, err
	}
	return v.append(b), size, true, nil
}

// append appends the view as PlainBuffer, without a buffer's header.
func (v *view) append(b []byte) []byte {
	b, checksum := plainbuffer.AppendKey(b, v.key)
	if len(v.cells) > 0 {
		b = plainbuffer.AppendDataTag(b)
		for i := range v.cells {
			b, checksum = plainbuffer.AppendRaw(b, v.cells[i].raw, checksum)
		}
	}
	return plainbuffer.AppendEnd(b, checksum, false)
}

// pick selects from a row that exists. The view is valid until the next call.
func (s *selection) pick(r *row) (v view, size int, ok bool, err error) {
	scan, err := plainbuffer.ScanRow(r.body)
	if err != nil {
		return v, 0, false, err
	}
	s.key = s.key[:0]
	for {
		var c plainbuffer.Cell
		_, ok, err := scan.Next(&c)
		if err != nil {
			return v, 0, false, err
		}
		if !ok {
			break
		}
		s.key = append(s.key, c)
	}
	v.key = s.key
	if v.cells, err = s.cells(&scan); err != nil {
		return v, 0, false, err
	}
	size = keySize(v.key)
	for i := range v.cells {
		size += v.cells[i].Size()
	}
	if s.columns != nil && len(v.cells) == 0 && !s.keyNamed {
		return v, size, false, nil
	}
	if s.filter != nil && !s.filter.match(&v) {
		return v, size, false, nil
	}
	if s.page != nil {
		v.cells = s.page.cut(v.cells)
	}
	if s.keyColumns != nil {
		v.key = slices.DeleteFunc(v.key, func(c plainbuffer.Cell) bool {
			return !slices.Contains(s.keyColumns,
				string(c.Name))
		})
	}
	return v, size, true, nil
}

// cells selects attribute cells by name, age and version.
func (s *selection) cells(scan *plainbuffer.Scanner) ([]picked, error) {
	s.scratch = s.scratch[:0]
	if !scan.Data() {
		return nil, nil
	}
	var column []byte
	named, stored, taken := false, 0, 0
	for {
		var c plainbuffer.Cell
		raw, ok, err := scan.Next(&c)
		if err != nil || !ok {
			return s.scratch, err
		}
		if column == nil || string(column) != string(c.Name) {
			column, named, stored, taken = c.Name, s.wants(c.Name), 0, 0
		}
		if !named || c.Timestamp <= s.expiry {
			continue
		}
		if stored++; stored > s.stored || c.Timestamp < s.from || c.Timestamp >= s.to || taken >= s.versions {
			continue
		}
		taken++
		s.scratch = append(s.scratch, picked{c, raw})
	}
}

func (s *selection) wants(name []byte) bool {
	if s.start != "" && string(name) < s.start || s.end != "" && string(name) >= s.end {
		return false
	}
	if s.columns == nil {
		return true
	}
	_, ok := slices.BinarySearchFunc(s.columns, name, func(column string, name []byte) int {
		switch {
		case column < string(name):
			return -1
		case column > string(name):
			return 1
		}
		return 0
	})
	return ok
}
