package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var errAnswer = errors.New("the answer does not match the request")

// Get implements table.Table: a GetItem for one key, a BatchGetItem for several.
func (t *Table) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := t.gate.EnterGet(ctx, keys); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var items []table.Item
	var err error
	switch len(keys) {
	case 0:
		return nil, nil
	case 1:
		items, err = t.getOne(ctx, keys[0])
	default:
		items, err = t.getAll(ctx, keys)
	}
	if err != nil {
		return nil, fmt.Errorf("table: get: %w", mapError(ctx, err))
	}
	now := t.now()
	return slices.DeleteFunc(items, func(i table.Item) bool { return t.over(i, now) }), nil
}

func (t *Table) getOne(ctx context.Context, k table.Key) ([]table.Item, error) {
	a, err := t.getItem(ctx, k, nil)
	if err != nil || len(a) == 0 {
		return nil, err
	}
	item, err := decodeItem(a)
	if err == nil && item.Key != k {
		err = errAnswer
	}
	if err != nil {
		return nil, err
	}
	return []table.Item{item}, nil
}

// getItem returns the attributes of the projection, or all, of the item under k.
func (t *Table) getItem(ctx context.Context, k table.Key, projection *string) (attributes, error) {
	in := &dynamodb.GetItemInput{
		TableName:            &t.name,
		Key:                  keyOf(k.Partition, k.Sort),
		ConsistentRead:       aws.Bool(true),
		ProjectionExpression: projection,
	}
	out, err := ask(ctx, t, t.client.GetItem, in)
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// getAll reads the items under keys. It repeats the request for unprocessed keys: the answer would
// exceed 16 MB, or DynamoDB is busy.
func (t *Table) getAll(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	items := make([]table.Item, 0, len(keys))
	pending := make(map[table.Key]bool, len(keys))
	wanted := make([]attributes, len(keys))
	for i, k := range keys {
		pending[k] = true
		wanted[i] = keyOf(k.Partition, k.Sort)
	}
	for idle := 0; ; {
		out, err := t.batchGet(ctx, wanted)
		if err != nil {
			return nil, err
		}
		for _, a := range out.Responses[t.name] {
			item, err := decodeItem(a)
			if err != nil {
				return nil, err
			}
			if !pending[item.Key] {
				return nil, errAnswer
			}
			delete(pending, item.Key)
			items = append(items, item)
		}
		left := out.UnprocessedKeys[t.name].Keys
		if len(left) == 0 {
			return items, nil
		}
		if idle++; len(left) < len(wanted) {
			idle = 0
		}
		wanted = left
		if err := checkUnprocessed(wanted, pending); err != nil {
			return nil, err
		}
		if idle >= attempts || !t.pause(ctx, idle) {
			return nil, fmt.Errorf("the store did not process %d of %d keys", len(wanted), len(keys))
		}
	}
}

func (t *Table) batchGet(ctx context.Context, wanted []attributes) (*dynamodb.BatchGetItemOutput, error) {
	in := &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: wanted, ConsistentRead: aws.Bool(true)}},
	}
	return ask(ctx, t, t.client.BatchGetItem, in)
}

// checkUnprocessed returns an error unless all keys are pending and different. The caller asks only
// for these again: other pending keys have no item.
func checkUnprocessed(keys []attributes, pending map[table.Key]bool) error {
	seen := make(map[table.Key]bool, len(keys))
	for _, a := range keys {
		k, err := decodeKey(a)
		if err != nil || !pending[k] || seen[k] {
			return errAnswer
		}
		seen[k] = true
	}
	return nil
}

// Query implements table.Table: one Query, and more if the answer exceeds 1 MB or has expired
// items.
func (t *Table) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := t.gate.EnterQuery(ctx, r); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	start, empty := clamp(r)
	if empty {
		return nil, nil
	}
	items, err := t.scan(ctx, r, start)
	if err != nil {
		return nil, fmt.Errorf("table: query: %w", mapError(ctx, err))
	}
	return items, nil
}

// clamp returns the exclusive start key for a Query of r, and whether r is certainly empty.
// DynamoDB refuses a start key outside of the key condition.
func clamp(r table.Range) (start string, empty bool) {
	if r.After == "" || strings.HasPrefix(r.After, r.Prefix) {
		return r.After, false
	}
	ahead := r.After < r.Prefix // of all items with the prefix
	return "", ahead == r.Reverse
}

func (t *Table) scan(ctx context.Context, r table.Range, start string) ([]table.Item, error) {
	in := t.queryInput(r)
	var items []table.Item
	limit := r.Limit
	last := start
	now := t.now()
	for {
		if last != "" {
			in.ExclusiveStartKey = keyOf(r.Partition, last)
		}
		in.Limit = aws.Int32(int32(limit))
		out, err := ask(ctx, t, t.client.Query, in)
		if err != nil {
			return nil, err
		}
		for _, a := range out.Items {
			item, err := decodeItem(a)
			if err != nil {
				return nil, err
			}
			if !inRange(r, item.Key, last) {
				return nil, errAnswer
			}
			last = item.Sort
			if !t.over(item, now) && len(items) < r.Limit {
				if items == nil {
					items = make([]table.Item, 0, min(r.Limit, len(out.Items)))
				}
				items = append(items, item)
			}
		}
		if len(out.LastEvaluatedKey) == 0 || len(items) == r.Limit {
			return items, nil
		}
		next, err := decodeKey(out.LastEvaluatedKey)
		if err != nil || next.Sort != last && !inRange(r, next, last) || len(out.Items) == 0 && next.Sort == last {
			return nil, errAnswer
		}
		last = next.Sort
		// Ask for the missing items. If items can expire, double the limit each time, or a
		// page behind a thousand expired items could take a thousand requests.
		if limit = r.Limit - len(items); t.ttl > 0 {
			limit = min(2*int(*in.Limit), table.MaxQuery)
		}
	}
}

func (t *Table) queryInput(r table.Range) *dynamodb.QueryInput {
	condition := "p = :p"
	values := attributes{":p": text(r.Partition)}
	if r.Prefix != "" {
		condition += " AND begins_with(s, :prefix)"
		values[":prefix"] = text(r.Prefix)
	}
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    &condition,
		ExpressionAttributeValues: values,
		ConsistentRead:            aws.Bool(true),
		ScanIndexForward:          aws.Bool(!r.Reverse),
	}
}

// inRange reports whether k is in r and after last.
func inRange(r table.Range, k table.Key, last string) bool {
	beyond := last == "" || !r.Reverse && k.Sort > last || r.Reverse && k.Sort < last
	return k.Partition == r.Partition && strings.HasPrefix(k.Sort, r.Prefix) && beyond
}
