package ots

import (
	"math"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A query is what all reads have in common: which part of a row they want.
type query struct {
	columns     []string
	times       *otsprotocol.TimeRange
	maxVersions *int32
	filter      []byte
	start, end  *string // of the columns' names
	token       []byte
}

// A selection is a query that was checked, for rows of one table, at one time.
//
// Versions beyond the table's number are not selected, and the next write to their row removes
// them. Raising the number before that brings them back: no public text says when the service
// removes what a lower number leaves over.
type selection struct {
	expiry   int64 // cells up to this time are over age
	stored   int   // versions of a column that there are, at most
	versions int   // of those the newest that are in the time range
	from, to int64 // the time range, without its end

	columns    []string // sorted; nil is all
	keyNamed   bool     // one of the columns is in the primary key
	start, end string   // of names, without the end; empty is none
	filter     filter
	page       *columnPage
	keyColumns []string // of the primary key, what is returned; nil is all

	key     []plainbuffer.Cell // scratch of append
	scratch []picked
}

// A picked cell is one that a selection took, and how it is stored.
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
		return nil, invalid("Invalid token.") // none is ever given out
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

// whole reports whether the selection takes all of the row, so that it can be copied as it is
// stored.
func (s *selection) whole(r *row) bool {
	return s.columns == nil && s.filter == nil && s.page == nil && s.start == "" && s.end == "" &&
		s.keyColumns == nil &&
		!r.several && r.oldest > s.expiry && r.oldest >= s.from && r.newest < s.to
}

// append appends what the selection takes of a row that exists to b, without a buffer's header, and
// reports whether the row is one of the answer's. Size is how many bytes were read, whether it is
// or not.
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

// append appends what is seen as PlainBuffer, without a buffer's header.
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

// pick takes out of a row that exists what the answer holds of it. The view is valid until the next
// call.
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

// cells takes attribute cells by name, age and version.
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

// wants reports whether the selection takes the column with the given name.
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
