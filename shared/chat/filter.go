package chat

import (
	"slices"
	"strings"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

// A Filter selects configurations in a list. Different filters are combined with AND; several of
// the same name with OR. An impossible value selects nothing; an unknown name is an error.
//
// Names, in any case: Name (exact, or a prefix followed by *), Type, RamRole, ResourceGroupId,
// Status, tag:<key>, CreatedAfter, CreatedBefore, UpdatedAfter, UpdatedBefore. Dates are in RFC
// 3339 and compared by the second; After and Before exclude the given second.
type Filter struct {
	Name  string
	Value string
}

const maxFilters = 50

// A selection is a parsed list of filters.
type selection struct {
	names      []string // exact names, sorted; a name matches if it is in names or has one of prefixes
	prefixes   []string
	attributes map[string][]string // values by attribute
	dates      map[string][]time.Time
}

const (
	createdAfter  = "CreatedAfter"
	createdBefore = "CreatedBefore"
	updatedAfter  = "UpdatedAfter"
	updatedBefore = "UpdatedBefore"
)

// parseFilters checks filters. The known types are those of the service.
func parseFilters(ps platforms, filters []Filter) (*selection, error) {
	if len(filters) > maxFilters {
		return nil, fault.Invalid("Filters", "There are %d filters; the most is %d.", len(filters), maxFilters)
	}
	sel := &selection{attributes: make(map[string][]string), dates: make(map[string][]time.Time)}
	var mistakes error
	for _, f := range filters {
		mistakes = fault.Join(mistakes, sel.parse(ps, f))
	}
	if mistakes != nil {
		return nil, mistakes
	}
	slices.Sort(sel.names)
	sel.names = slices.Compact(sel.names)
	for name, values := range sel.attributes {
		slices.Sort(values)
		sel.attributes[name] = slices.Compact(values)
	}
	return sel, nil
}

func (sel *selection) parse(ps platforms, f Filter) error {
	if f.Name == "" {
		return fault.Missing("Filters.Name")
	}
	if len(f.Name) > len(tagAttribute) && strings.EqualFold(f.Name[:len(tagAttribute)], tagAttribute) {
		key := f.Name[len(tagAttribute):] // a tag's key keeps its case
		if err := checkTag("Filters", key, ""); err != nil {
			return err
		}
		sel.add(tagAttribute+key, f.Value, checkTag("Filters", key, f.Value))
		return nil
	}
	if f.Value == "" {
		return fault.Invalid("Filters", "The filter %s has no value; write one, or leave the filter out.",
			fault.Quote(f.Name))
	}
	switch strings.ToLower(f.Name) {
	case "name":
		if prefix, ok := strings.CutSuffix(f.Value, "*"); ok {
			sel.prefixes = append(sel.prefixes, prefix)
		} else {
			sel.names = append(sel.names, f.Value)
		}
	case "type":
		p, err := ps.find("Filters", f.Value)
		if err != nil {
			p = new(platform)
		}
		sel.add(attributeType, p.Type, err)
	case "ramrole":
		sel.add(attributeRole, f.Value, checkRole("Filters", f.Value))
	case "resourcegroupid":
		sel.add(attributeGroup, f.Value, checkGroup("Filters", f.Value))
	case "status":
		status, err := parseStatus("Filters", f.Value)
		sel.add(attributeStatus, status, err)
	default:
		for _, name := range [...]string{createdAfter, createdBefore, updatedAfter, updatedBefore} {
			if strings.EqualFold(f.Name, name) {
				t, err := time.Parse(time.RFC3339, f.Value)
				if err != nil {
					return fault.Invalid("Filters",
						"The filter %s has the value %s; write a date such as 2026-01-31T08:00:00Z.",
						name, fault.Quote(f.Value))
				}
				sel.dates[name] = append(sel.dates[name], t)
				return nil
			}
		}
		return fault.Invalid("Filters", "Unknown filter %s; %s.", fault.Quote(f.Name), suggestFilter(f.Name))
	}
	return nil
}

// suggestFilter suggests a similar name, if there is one, and lists all names.
func suggestFilter(name string) string {
	known := []string{"Name", "Type", "RamRole", "ResourceGroupId", "Status",
		createdAfter, createdBefore, updatedAfter, updatedBefore}
	all := strings.Join(known, ", ") + " or tag:<key>"
	if nearest, ok := Nearest(name, known); ok {
		return "did you mean " + nearest + "? The filters are " + all
	}
	return "use " + all
}

// add selects a value of an attribute, unless impossible says that no configuration can have it. An
// attribute with only impossible values selects nothing.
func (sel *selection) add(attribute, value string, impossible error) {
	values := sel.attributes[attribute]
	if impossible == nil {
		values = append(values, value)
	}
	sel.attributes[attribute] = values
}

func (sel *selection) matches(r *record) bool {
	if len(sel.names)+len(sel.prefixes) > 0 && !sel.matchesName(r.Name) {
		return false
	}
	for name, values := range sel.attributes {
		value, ok := r.attribute(name)
		if !ok || !slices.Contains(values, value) {
			return false
		}
	}
	for name, times := range sel.dates {
		if !slices.ContainsFunc(times, func(t time.Time) bool { return matchesDate(name, t, r) }) {
			return false
		}
	}
	return true
}

func (sel *selection) matchesName(name string) bool {
	if slices.Contains(sel.names, name) {
		return true
	}
	return slices.ContainsFunc(sel.prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func matchesDate(name string, t time.Time, r *record) bool {
	created, updated := r.Created.Truncate(time.Second), r.Updated.Truncate(time.Second)
	switch name {
	case createdAfter:
		return created.After(t)
	case createdBefore:
		return created.Before(t)
	case updatedAfter:
		return updated.After(t)
	default:
		return updated.Before(t)
	}
}

// attribute returns the value of an attribute, and whether the record has it.
func (r *record) attribute(name string) (string, bool) {
	switch name {
	case attributeType:
		return r.Type, true
	case attributeRole:
		return r.RamRole, true
	case attributeGroup:
		return r.ResourceGroupID, true
	case attributeStatus:
		return r.Status, true
	}
	value, ok := r.Tags[strings.TrimPrefix(name, tagAttribute)]
	return value, ok
}

// A keyRange is a range of sort keys with candidates in the order of their names: documents, or
// index entries that end in a name.
type keyRange struct {
	prefix string    // of the sort keys, up to the name
	start  string    // of the name, which needs no escaping
	of     attribute // of index entries; zero for documents
}

// holds reports whether a record still has the value of the range's index entries. A record that
// has changed since may be in a later range.
func (k keyRange) holds(r *record) bool {
	if k.of.name == "" {
		return true
	}
	value, ok := r.attribute(k.of.name)
	return ok && value == k.of.value
}

// keyRanges returns ranges that together hold every selected configuration exactly once, in a fixed
// order.
func (sel *selection) keyRanges() []keyRange {
	var list []keyRange
	name := sel.bestAttribute()
	for _, start := range sel.starts() {
		if name == "" {
			list = append(list, keyRange{prefix: configurationPrefix, start: start})
			continue
		}
		for _, value := range sel.attributes[name] {
			list = append(list, keyRange{prefix: indexRange(name, value), start: start, of: attribute{name, value}})
		}
	}
	return list
}

// starts returns the beginnings of the selected names; none of them is the beginning of another.
// Impossible beginnings are left out: they may be too long for a sort key.
func (sel *selection) starts() []string {
	all := slices.Concat(sel.names, sel.prefixes)
	if len(all) == 0 {
		return []string{""}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s != "" && !nameText.Fits(s) })
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	starts := all[:1]
	for _, s := range all[1:] {
		if !strings.HasPrefix(s, starts[len(starts)-1]) {
			starts = append(starts, s)
		}
	}
	return starts
}

// bestAttribute returns the attribute whose index is read: preferably one with a single value, and
// of these the one that is likely to select the fewest.
func (sel *selection) bestAttribute() string {
	best, least := "", 0
	for name, values := range sel.attributes {
		cost := len(values)*10 + slices.Index(rarity[:], name) // -1 for tags, the rarest
		if best == "" || cost < least || cost == least && name < best {
			best, least = name, cost
		}
	}
	return best
}

// rarity lists attributes, beginning with those of which one value is likely to select the fewest.
var rarity = [...]string{attributeGroup, attributeRole, attributeType, attributeStatus}

// exact reports whether all selected names are exact.
func (sel *selection) exact() bool { return len(sel.names) > 0 && len(sel.prefixes) == 0 }

// all reports whether every configuration is selected.
func (sel *selection) all() bool {
	return len(sel.names)+len(sel.prefixes)+len(sel.attributes)+len(sel.dates) == 0
}

// scope returns the selection as text, the same for filters in any order.
func (sel *selection) scope() []string {
	var out []string
	for _, name := range sel.names {
		out = append(out, "name="+name)
	}
	for _, prefix := range sel.prefixes {
		out = append(out, "prefix="+prefix)
	}
	for name, values := range sel.attributes {
		if len(values) == 0 {
			out = append(out, table.Escape(name))
		}
		for _, value := range values {
			out = append(out, table.Escape(name)+"#"+value)
		}
	}
	for name, times := range sel.dates {
		for _, t := range times {
			out = append(out, name+"="+t.UTC().Format(time.RFC3339Nano))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
