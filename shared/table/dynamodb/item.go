package dynamodb

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The names of the attributes; see the package comment. count and ttl are reserved words;
// expressions use #count and #ttl.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
const (
	attrPartition = "p"
	attrSort      = "s"
	attrValue     = "value"
	attrRevision  = "revision"
	attrCount     = "count"
	attrWritten   = "written"
	attrTTL       = "ttl"
	attrMark      = "mark"
)

var errItem = errors.New("damaged item")

// attributes are an item, a key, or the values of an expression.
type attributes = map[string]types.AttributeValue

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
func integer(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
func keyOf(partition, sort string) attributes {
	return attributes{attrPartition: text(partition), attrSort: text(sort)}
}

func decodeKey(a attributes) (table.Key, error) {
	p, okP := a[attrPartition].(*types.AttributeValueMemberS)
	s, okS := a[attrSort].(*types.AttributeValueMemberS)
	if !okP || !okS {
		return table.Key{}, fmt.Errorf("%w: it has no key", errItem)
	}
	return table.Key{Partition: p.Value, Sort: s.Value}, nil
}

// decodeItem returns the item in a. It ignores other attributes. The value shares memory with a.
func decodeItem(a attributes) (item table.Item, err error) {
	if item.Key, err = decodeKey(a); err != nil {
		return table.Item{}, err
	}
	switch v := a[attrValue].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		if len(v.Value) > 0 {
			item.Value = v.Value
		}
	default:
		return table.Item{}, fmt.Errorf("%w: the value of %q is not binary", errItem, item.Sort)
	}
	if item.Revision, err = decodeInteger(a, attrRevision); err != nil {
		return table.Item{}, err
	}
	if item.Count, err = decodeInteger(a, attrCount); err != nil {
		return table.Item{}, err
	}
	if a[attrWritten] == nil {
		return table.Item{}, fmt.Errorf("%w: %q has no write time", errItem, item.Sort)
	}
	ms, err := decodeInteger(a, attrWritten)
	if err != nil {
		return table.Item{}, err
	}
	item.Written = time.UnixMilli(ms).UTC()
	return item, nil
}

// decodeInteger returns a number of an item; zero if absent.
func decodeInteger(a attributes, name string) (int64, error) {
	switch v := a[name].(type) {
	case nil:
		return 0, nil
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: its %s is %.40q", errItem, name, v.Value)
		}
		return n, nil
	default:
		return 0, fmt.Errorf("%w: its %s is not a number", errItem, name)
	}
}

// sizeOf is the largest size of an item as DynamoDB counts it: names and values, a number as 21
// bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func sizeOf(partition, sort string, value []byte) int {
	const names = len(attrPartition + attrSort + attrValue + attrRevision + attrCount + attrWritten + attrTTL)
	return names + len(partition) + len(sort) + len(value) + 4*21
}

// cutoff is the time in milliseconds: items written until then have expired at now.
func (t *Table) cutoff(now time.Time) int64 { return now.Add(-t.ttl).UnixMilli() }

// over reports whether item has expired at now.
func (t *Table) over(item table.Item, now time.Time) bool {
	return t.ttl > 0 && item.Written.UnixMilli() <= t.cutoff(now)
}

// expiry is when DynamoDB may delete an item that is written now, in whole seconds, rounded up.
func (t *Table) expiry(now time.Time) int64 {
	return (now.Add(t.ttl).UnixMilli() + 999) / 1000
}
