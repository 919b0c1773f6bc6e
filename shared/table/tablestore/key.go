package tablestore

import (
	"strings"
	"unicode/utf8"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// Keys are UTF-8 of at most table.MaxKey bytes, in byte order, which is the order of their code
// points. So each key has a next and a previous one. The service's ranges include their start and
// exclude their end, in both directions; with next and previous keys they can express every range.

// maxKeys are the greatest code points of one to four bytes.
var maxKeys = [...]string{"\u007f", "\u07ff", "\uffff", "\U0010ffff"}

// beyond returns the smallest key that is greater than all keys with the prefix; empty if
// none exists.
func beyond(prefix string) string {
	for prefix != "" {
		last, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		next := last + 1
		if next == 0xD800 {
			next = 0xE000 // after the surrogates
		}
		// If the next code point does not fit, no greater one does.
		if next <= utf8.MaxRune && len(prefix)+utf8.RuneLen(next) <= table.MaxKey {
			return prefix + string(next)
		}
	}
	return ""
}

// after returns the smallest key that is greater than k; empty if none.
func after(k string) string {
	if len(k) < table.MaxKey {
		return k + "\x00"
	}
	return beyond(k)
}

// before returns the greatest key that is less than k; empty if none. k is not empty.
func before(k string) string {
	last, n := utf8.DecodeLastRuneInString(k)
	head := k[:len(k)-n]
	if last == 0 {
		return head
	}
	previous := last - 1
	if previous == 0xDFFF {
		previous = 0xD7FF
	}
	var b strings.Builder
	b.Grow(table.MaxKey)
	b.WriteString(head)
	b.WriteRune(previous)
	for room := table.MaxKey - b.Len(); room > 0; room = table.MaxKey - b.Len() {
		b.WriteString(maxKeys[min(room, len(maxKeys))-1])
	}
	return b.String()
}

// bounds returns the sort keys of r, from low to below high; empty: no bound. ok is false if r is
// certainly empty.
func bounds(r table.Range) (low, high string, ok bool) {
	low, high = r.Prefix, beyond(r.Prefix)
	switch {
	case r.After == "":
	case r.Reverse && (high == "" || r.After < high):
		high = r.After
	case !r.Reverse && r.After >= low:
		if low = after(r.After); low == "" {
			return "", "", false
		}
	}
	return low, high, high == "" || low < high
}

// ends returns r as the ends of a GetRange: the first key, inclusive, and the last, exclusive, in
// the direction of r. ok is false if r is certainly empty.
func ends(r table.Range) (start, end *sdk.PrimaryKey, ok bool) {
	low, high, ok := bounds(r)
	if !ok {
		return nil, nil, false
	}
	if !r.Reverse {
		return edge(r.Partition, low, sdk.MIN), edge(r.Partition, high, sdk.MAX), true
	}
	if high != "" {
		if high = before(high); high == "" {
			return nil, nil, false
		}
	}
	if low != "" {
		low = before(low)
	}
	return edge(r.Partition, high, sdk.MAX), edge(r.Partition, low, sdk.MIN), true
}

// edge returns the primary key of an item; if sort is empty, none in place of the sort key.
func edge(partition, sort string, none sdk.PrimaryKeyOption) *sdk.PrimaryKey {
	k := primaryKey(table.Key{Partition: partition, Sort: sort})
	if sort == "" {
		k.PrimaryKeys[1] = &sdk.PrimaryKeyColumn{ColumnName: sortColumn, PrimaryKeyOption: none}
	}
	return k
}

func primaryKey(k table.Key) *sdk.PrimaryKey {
	return &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{
		{ColumnName: partitionColumn, Value: k.Partition},
		{ColumnName: sortColumn, Value: k.Sort},
	}}
}

// parseKey is the reverse of primaryKey. ok is false for other keys.
func parseKey(k *sdk.PrimaryKey) (table.Key, bool) {
	if len(k.PrimaryKeys) != 2 || k.PrimaryKeys[0].ColumnName != partitionColumn ||
		k.PrimaryKeys[1].ColumnName != sortColumn {
		return table.Key{}, false
	}
	partition, ok := k.PrimaryKeys[0].Value.(string)
	sort, also := k.PrimaryKeys[1].Value.(string)
	return table.Key{Partition: partition, Sort: sort}, ok && also && partition != "" && sort != ""
}
