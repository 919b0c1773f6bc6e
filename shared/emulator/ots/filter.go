package ots

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"strconv"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// maxFilters is how many filters one condition may contain, including composite ones.
const maxFilters = 32

// Limits for the patterns of one condition: the length of each, and the compiled size of all, in
// instructions and characters of classes. A few bytes of repetition can compile to thousands of
// instructions. The service's limits are not known.
const (
	maxPattern  = 1 << 10
	maxPrograms = 4 << 10
)

// A filter decides about a row. A nil filter matches every row.
type filter interface {
	match(r *view) bool
}

// A view is the part of a row that filters see: the primary key and the selected attribute cells,
// by name, newest version first. The zero view is an absent row.
type view struct {
	key   []plainbuffer.Cell
	cells []picked
}

// versions returns the position and number of a column's cells.
func (v *view) versions(name string) (first int, n int) {
	for i := range v.cells {
		switch {
		case string(v.cells[i].Name) == name:
			if n == 0 {
				first = i
			}
			n++
		case n > 0:
			return first, n
		}
	}
	return first, n
}

// parseFilter decodes the filter of a condition or of a read. A read can have a page of columns
// instead of a filter.
func parseFilter(b []byte, reading bool) (filter, *columnPage, error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	p := filterParser{}
	var m otsprotocol.Filter
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, nil, invalid("Deserialize filter failed.")
	}
	if m.GetType() == otsprotocol.FilterType_FT_COLUMN_PAGINATION && reading {
		page, err := parsePage(m.Filter)
		return nil, page, err
	}
	f, err := p.parse(&m)
	if err == nil && p.shape != nil {
		return nil, nil, p.shape
	}
	return f, nil, err
}

var (
	errNotFilter = invalid("Invalid NOT operator: the number of sub-filters must be 1.")
	errAndFilter = invalid("Invalid AND/OR operator: the number of sub-filters must be more than 1.")
)

type filterParser struct {
	count    int
	shape    *Error // the first operator with a wrong number of filters; the limit of all filters is checked first
	programs int    // compiled size of all patterns so far
}

func (p *filterParser) parse(m *otsprotocol.Filter) (filter, error) {
	if p.count++; p.count > maxFilters {
		return nil, invalid("The count of filter exceeds the max: %d.", maxFilters)
	}
	switch m.GetType() {
	case otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE:
		return p.parseSingle(m.Filter)
	case otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE:
		return p.parseComposite(m.Filter)
	}
	return nil, invalid("Invalid type of filter: %d.", m.GetType())
}

func (p *filterParser) parseComposite(b []byte) (filter, error) {
	var m otsprotocol.CompositeColumnValueFilter
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, invalid("Deserialize composite filter failed.")
	}
	op := m.GetCombinator()
	switch n := len(m.SubFilters); {
	case op == otsprotocol.LogicalOperator_LO_NOT && n != 1:
		p.shape = cmp.Or(p.shape, errNotFilter)
	case op == otsprotocol.LogicalOperator_LO_AND && n < 2, op == otsprotocol.LogicalOperator_LO_OR && n < 2:
		p.shape = cmp.Or(p.shape, errAndFilter)
	case op < otsprotocol.LogicalOperator_LO_NOT || op > otsprotocol.LogicalOperator_LO_OR:
		return nil, invalid("Invalid relation operator: %d.", op)
	}
	f := compositeFilter{op: op}
	for _, sub := range m.SubFilters {
		g, err := p.parse(sub)
		if err != nil {
			return nil, err
		}
		f.subs = append(f.subs, g)
	}
	return &f, nil
}

// A compositeFilter combines other filters.
type compositeFilter struct {
	op   otsprotocol.LogicalOperator
	subs []filter
}

func (f *compositeFilter) match(r *view) bool {
	switch f.op {
	case otsprotocol.LogicalOperator_LO_NOT:
		return !f.subs[0].match(r)
	case otsprotocol.LogicalOperator_LO_AND:
		for _, sub := range f.subs {
			if !sub.match(r) {
				return false
			}
		}
		return true
	}
	for _, sub := range f.subs {
		if sub.match(r) {
			return true
		}
	}
	return false
}

// Comparators that the Go SDK's messages lack: whether the column exists. With a pattern, whether
// the pattern matches one of its values.
const (
	compareExists    = otsprotocol.ComparatorType(7)
	compareNotExists = otsprotocol.ComparatorType(8)
)

// A singleFilter compares one column with a value.
type singleFilter struct {
	column          string
	comparator      otsprotocol.ComparatorType
	value           plainbuffer.Value
	filterIfMissing bool // a row without the column does not match
	latestOnly      bool // compare the newest version only; otherwise one matching version is enough

	pattern *regexp.Regexp // extracts the text to compare, which is then cast; nil compares the column itself
	cast    otsprotocol.VariantType
}

func (p *filterParser) parseSingle(b []byte) (filter, error) {
	var m otsprotocol.SingleColumnValueFilter
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, invalid("Deserialize relation filter failed.")
	}
	if c := m.GetComparator(); c < otsprotocol.ComparatorType_CT_EQUAL || c > compareNotExists {
		return nil, invalid("Invalid relation operator: %d.", c)
	}
	if err := checkColumnName(m.GetColumnName()); err != nil {
		return nil, err
	}
	v, err := plainbuffer.DecodeValue(m.ColumnValue)
	if err != nil || !isAttribute(v.Type) {
		return nil, invalid("Deserialize relation filter failed.")
	}
	if len(v.Data) > maxCellValue {
		return nil, tooLong([]byte(m.GetColumnName()), v)
	}
	f := &singleFilter{
		column:          m.GetColumnName(),
		comparator:      m.GetComparator(),
		value:           v,
		filterIfMissing: m.GetFilterIfMissing(),
		latestOnly:      m.GetLatestVersionOnly(),
	}
	if rule := m.ValueTransRule; rule != nil {
		if f.pattern, err = p.compile(rule.GetRegex()); err != nil {
			return nil, err
		}
		f.cast = otsprotocol.VariantType_VT_STRING
		if rule.CastType != nil {
			f.cast = rule.GetCastType()
		}
	}
	return f, nil
}

// compile checks the compiled size of a pattern, and compiles it.
func (p *filterParser) compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, invalid("The regex of the filter exceeds the limit, limit size: %d, size: %d.", maxPattern,
			len(pattern))
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, invalid("Deserialize relation filter failed.")
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, invalid("Deserialize relation filter failed.")
	}
	for i := range program.Inst {
		p.programs += 1 + len(program.Inst[i].Rune)
	}
	if p.programs > maxPrograms {
		return nil, invalid("The regexes of the filter are too complex.")
	}
	out, err := regexp.Compile(pattern)
	if err != nil {
		return nil, invalid("Deserialize relation filter failed.")
	}
	return out, nil
}

// match reports whether a row matches. A row without the column matches compareNotExists, even if
// filterIfMissing is set: the SDKs always set it, and the service's behaviour is not documented.
func (f *singleFilter) match(r *view) bool {
	found, matched := f.find(r)
	switch {
	case f.comparator == compareNotExists:
		return !matched
	case !found && f.comparator != compareExists:
		return !f.filterIfMissing
	}
	return matched
}

// find reports whether a row has the column, and whether one of its values matches.
func (f *singleFilter) find(r *view) (found, matched bool) {
	for i := range r.key {
		if string(r.key[i].Name) == f.column {
			return true, f.matchValue(r.key[i].Value)
		}
	}
	first, n := r.versions(f.column)
	if found = n > 0; found && f.latestOnly {
		n = 1
	}
	for i := first; i < first+n; i++ {
		if f.matchValue(r.cells[i].Value) {
			return true, true
		}
	}
	return found, false
}

// matchValue compares v with the filter's value. Values of different types are not equal, and have
// no order: the service's behaviour is not documented.
func (f *singleFilter) matchValue(v plainbuffer.Value) bool {
	if f.pattern != nil {
		var ok bool
		if v, ok = f.transform(v); !ok {
			return false
		}
	}
	if f.comparator >= compareExists {
		return true
	}
	c, ok := v.Compare(f.value)
	switch f.comparator {
	case otsprotocol.ComparatorType_CT_EQUAL:
		return ok && c == 0
	case otsprotocol.ComparatorType_CT_NOT_EQUAL:
		return !ok || c != 0
	case otsprotocol.ComparatorType_CT_GREATER_THAN:
		return ok && c > 0
	case otsprotocol.ComparatorType_CT_GREATER_EQUAL:
		return ok && c >= 0
	case otsprotocol.ComparatorType_CT_LESS_THAN:
		return ok && c < 0
	}
	return ok && c <= 0
}

// transform extracts the first group of the pattern from a string, or the whole match, and casts
// it.
func (f *singleFilter) transform(v plainbuffer.Value) (plainbuffer.Value, bool) {
	if v.Type != plainbuffer.String {
		return v, false
	}
	found := f.pattern.FindSubmatch(v.Data)
	if found == nil {
		return v, false
	}
	text := found[min(1, len(found)-1)]
	switch f.cast {
	case otsprotocol.VariantType_VT_INTEGER:
		n, err := strconv.ParseInt(string(text), 10, 64)
		return plainbuffer.IntegerValue(n), err == nil
	case otsprotocol.VariantType_VT_DOUBLE:
		n, err := strconv.ParseFloat(string(text), 64)
		return plainbuffer.DoubleValue(n), err == nil
	}
	return plainbuffer.Value{Type: plainbuffer.String, Data: text}, true
}

// A columnPage selects columns of a row by position: ColumnPaginationFilter.
type columnPage struct{ offset, limit int }

func parsePage(b []byte) (*columnPage, error) {
	var m otsprotocol.ColumnPaginationFilter
	switch err := proto.Unmarshal(b, &m); {
	case err != nil:
		return nil, invalid("Deserialize column pagination filter failed.")
	case m.GetOffset() < 0:
		return nil, invalid("Offset in ColumnPaginationFilter must be greater than or equal to 0.")
	case m.GetLimit() <= 0:
		return nil, invalid("Limit in ColumnPaginationFilter must be greater than 0.")
	}
	return &columnPage{int(m.GetOffset()), int(m.GetLimit())}, nil
}

// cut returns the cells of the selected columns.
func (p *columnPage) cut(cells []picked) []picked {
	start, column := len(cells), -1
	for i := range cells {
		if i == 0 || string(cells[i].Name) != string(cells[i-1].Name) {
			column++
		}
		if column == p.offset && start == len(cells) {
			start = i
		}
		if column >= p.offset+p.limit {
			return cells[start:i]
		}
	}
	return cells[start:]
}
