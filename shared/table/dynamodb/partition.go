package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

var _ table.Partitioner = (*Table)(nil)

// lastSort is the greatest sort key.
var lastSort = strings.Repeat(string(utf8.MaxRune), table.MaxKey/utf8.UTFMax)

// Partitions implements table.Partitioner, in the order of DynamoDB's hash. It is one Scan for each
// partition, and each Scan reads one item: it costs a read unit for every 4 KB of that item. It
// needs the right dynamodb:Scan, which no IAM condition can restrict to partitions.
func (t *Table) Partitions(ctx context.Context, after string, limit int) ([]string, error) {
	if err := t.gate.EnterPartitions(ctx, after, limit); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var partitions []string
	for len(partitions) < limit {
		next, err := t.nextPartition(ctx, after)
		if err != nil {
			return nil, fmt.Errorf("table: partitions: %w", mapError(ctx, err))
		}
		if next == "" {
			break
		}
		partitions = append(partitions, next)
		after = next
	}
	return partitions, nil
}

// nextPartition returns the partition behind the given one; empty at the end. The start key of a
// Scan need not exist, so the last possible one of a partition skips all its items.
func (t *Table) nextPartition(ctx context.Context, after string) (string, error) {
	in := &dynamodb.ScanInput{
		TableName:            &t.name,
		ConsistentRead:       aws.Bool(true),
		Limit:                aws.Int32(1),
		ProjectionExpression: aws.String(attrPartition + ", " + attrSort),
	}
	if after != "" {
		in.ExclusiveStartKey = keyOf(after, lastSort)
	}
	out, err := ask(ctx, t, t.client.Scan, in)
	if err != nil {
		return "", err
	}
	if len(out.Items) == 0 {
		return "", nil
	}
	k, err := decodeKey(out.Items[0])
	if err != nil || k.Partition == after || k.Partition == "" {
		return "", errAnswer
	}
	return k.Partition, nil
}
