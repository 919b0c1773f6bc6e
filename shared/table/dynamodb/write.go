package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// maxTransaction is the size of all items of one transaction, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
const maxTransaction = 4 << 20

// conditionalCheckFailed is the reason of a part whose condition did not hold.
const conditionalCheckFailed = "ConditionalCheckFailed"

// Write implements table.Table: one request for a single part, and one transaction for several.
// Several puts of more than 4 MB together are table.ErrInvalid.
//
// An Add to an expired item that DynamoDB has not deleted yet takes a second request, which
// replaces the item.
func (t *Table) Write(ctx context.Context, partition string, c table.Change) error {
	if err := t.gate.EnterWrite(ctx, partition, c); err != nil {
		return err
	}
	defer t.gate.Leave()
	size := 0
	for _, p := range c.Puts {
		size += sizeOf(partition, p.Sort, p.Value)
	}
	if size > maxTransaction {
		return fmt.Errorf("table: write: %d bytes in one write; use at most %d: %w",
			size, maxTransaction, table.ErrInvalid)
	}
	if err := t.write(ctx, partition, c); err != nil {
		return fmt.Errorf("table: write: %w", mapError(ctx, err))
	}
	return nil
}

// A plan is a Write as DynamoDB's requests: puts, deletes, adds.
type plan struct {
	table     *Table
	partition string
	parts     []part
	now       time.Time
	mark      []byte // of a single part
}

type part struct {
	sort      string
	condition table.Condition
	add       *table.Add
	asPut     bool // an add to a missing or expired item, sent as a put
	types.TransactWriteItem
}

// errAge says that an item of an add has expired or reappeared; the plan is changed and must be
// sent again.
var errAge = errors.New("items kept expiring during the write")

func (t *Table) write(ctx context.Context, partition string, c table.Change) error {
	p := t.plan(partition, c)
	for range attempts {
		var err error
		if len(p.parts) == 1 {
			err = p.writeOne(ctx)
		} else {
			err = p.transact(ctx)
		}
		if !errors.Is(err, errAge) {
			return err
		}
	}
	return errAge
}

func (t *Table) plan(partition string, c table.Change) *plan {
	n := len(c.Puts) + len(c.Deletes) + len(c.Adds)
	p := &plan{table: t, partition: partition, parts: make([]part, 0, n), now: t.now()}
	if n == 1 {
		p.mark = make([]byte, 16)
		rand.Read(p.mark) // never fails
	}
	for _, put := range c.Puts {
		p.parts = append(p.parts, part{sort: put.Sort, condition: put.If, TransactWriteItem: p.put(put, 0)})
	}
	for _, d := range c.Deletes {
		p.parts = append(p.parts, part{sort: d.Sort, condition: d.If, TransactWriteItem: p.delete(d)})
	}
	for i := range c.Adds {
		a := &c.Adds[i]
		p.parts = append(p.parts, part{sort: a.Sort, add: a, TransactWriteItem: p.update(*a)})
	}
	return p
}

func (p *plan) put(put table.Put, count int64) types.TransactWriteItem {
	item := keyOf(p.partition, put.Sort)
	item[attrRevision] = integer(put.Revision)
	item[attrWritten] = integer(p.now.UnixMilli())
	if len(put.Value) > 0 {
		item[attrValue] = binary(put.Value)
	}
	if count != 0 {
		item[attrCount] = integer(count)
	}
	if p.table.ttl > 0 {
		item[attrTTL] = integer(p.table.expiry(p.now))
	}
	if p.mark != nil {
		item[attrMark] = binary(p.mark)
	}
	condition, values := p.expression(put.If)
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                 &p.table.name,
		Item:                      item,
		ConditionExpression:       condition,
		ExpressionAttributeValues: values,
	}}
}

func (p *plan) delete(d table.Delete) types.TransactWriteItem {
	condition, values := p.expression(d.If)
	return types.TransactWriteItem{Delete: &types.Delete{
		TableName:                 &p.table.name,
		Key:                       keyOf(p.partition, d.Sort),
		ConditionExpression:       condition,
		ExpressionAttributeValues: values,
	}}
}

// expression returns a condition as an expression of DynamoDB.
func (p *plan) expression(c table.Condition) (*string, attributes) {
	var text string
	values := attributes{}
	aging := p.table.ttl > 0
	revision, exact := c.Revision()
	switch {
	case c.IsAlways():
		return nil, nil
	case c.IsAbsent() && aging:
		text = "attribute_not_exists(p) OR written <= :cutoff"
	case c.IsAbsent():
		return aws.String("attribute_not_exists(p)"), nil
	case exact:
		text = "revision = :revision"
		values[":revision"] = integer(revision)
		if aging {
			text += " AND written > :cutoff"
		}
	}
	if aging {
		values[":cutoff"] = integer(p.table.cutoff(p.now))
	}
	return &text, values
}

// update returns the request for an add. Its condition is that the count does not overflow and the
// item has not expired. A refusal returns the item, which tells which of the two failed.
func (p *plan) update(a table.Add) types.TransactWriteItem {
	set := "ADD #count :n SET written = :written, revision = if_not_exists(revision, :zero)"
	names := map[string]string{"#count": attrCount}
	values := attributes{
		":n":       integer(a.N),
		":zero":    integer(0),
		":written": integer(p.now.UnixMilli()),
	}
	if p.mark != nil {
		set += ", mark = :mark"
		values[":mark"] = binary(p.mark)
	}
	var condition string
	switch {
	case a.N > 0:
		condition = "(attribute_not_exists(#count) OR #count <= :bound)"
		values[":bound"] = integer(math.MaxInt64 - a.N)
	case a.N < 0:
		condition = "(attribute_not_exists(#count) OR #count >= :bound)"
		values[":bound"] = integer(math.MinInt64 - a.N)
	}
	if p.table.ttl > 0 {
		set += ", #ttl = :ttl"
		names["#ttl"] = attrTTL
		values[":ttl"] = integer(p.table.expiry(p.now))
		if condition != "" {
			condition += " AND "
		}
		condition += "(attribute_not_exists(p) OR written > :cutoff)"
		values[":cutoff"] = integer(p.table.cutoff(p.now))
	}
	u := &types.Update{
		TableName:                 &p.table.name,
		Key:                       keyOf(p.partition, a.Sort),
		UpdateExpression:          &set,
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	}
	if condition != "" {
		u.ConditionExpression = &condition
		u.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return types.TransactWriteItem{Update: u}
}

// fail returns the error for part i, whose condition did not hold. old is the item of an add. If
// the part must be sent in another form, fail changes it and returns errAge.
func (p *plan) fail(i int, old attributes) error {
	it := &p.parts[i]
	if it.add == nil {
		return &table.ConditionError{Key: table.Key{Partition: p.partition, Sort: it.sort}, If: it.condition}
	}
	if it.asPut { // another writer was faster: add to its item
		it.asPut = false
		it.TransactWriteItem = p.update(*it.add)
		return errAge
	}
	item, err := decodeItem(old)
	switch {
	case err != nil:
		return err
	case p.table.over(item, p.now):
		it.asPut = true
		it.TransactWriteItem = p.put(table.Put{Sort: it.sort, If: table.Absent()}, it.add.N)
		return errAge
	default:
		return fmt.Errorf("add %d to %q, which is %d: %w", it.add.N, it.sort, item.Count, table.ErrInvalid)
	}
}

// writeOne sends the only part. If the result is unknown, the item's mark tells; a delete leaves no
// mark.
func (p *plan) writeOne(ctx context.Context) error {
	o := p.table.call(ctx, false, p.sendOne)
	if o.fate < unsettled || ctx.Err() != nil {
		return o.err
	}
	it := p.parts[0]
	if it.Delete == nil && p.marked(ctx, it.sort) {
		return nil
	}
	return fmt.Errorf("the result of the write is unknown: %w", o.err)
}

func (p *plan) sendOne(ctx context.Context, with func(*dynamodb.Options)) (err error) {
	switch it := p.parts[0].TransactWriteItem; {
	case it.Put != nil:
		_, err = p.table.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName:                 it.Put.TableName,
			Item:                      it.Put.Item,
			ConditionExpression:       it.Put.ConditionExpression,
			ExpressionAttributeValues: it.Put.ExpressionAttributeValues,
		}, with)
	case it.Delete != nil:
		_, err = p.table.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName:                 it.Delete.TableName,
			Key:                       it.Delete.Key,
			ConditionExpression:       it.Delete.ConditionExpression,
			ExpressionAttributeValues: it.Delete.ExpressionAttributeValues,
		}, with)
	default:
		_, err = p.table.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                           it.Update.TableName,
			Key:                                 it.Update.Key,
			UpdateExpression:                    it.Update.UpdateExpression,
			ConditionExpression:                 it.Update.ConditionExpression,
			ExpressionAttributeNames:            it.Update.ExpressionAttributeNames,
			ExpressionAttributeValues:           it.Update.ExpressionAttributeValues,
			ReturnValuesOnConditionCheckFailure: it.Update.ReturnValuesOnConditionCheckFailure,
		}, with)
	}
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return &verdict{refused, p.fail(0, failed.Item)}
	}
	return err
}

// marked reports whether the item has the mark of this plan. If not, or if it cannot be read, the
// result is still unknown: another writer may have replaced the item, or the write may still
// arrive.
func (p *plan) marked(ctx context.Context, sort string) bool {
	item, err := p.table.getItem(ctx, table.Key{Partition: p.partition, Sort: sort}, aws.String(attrMark))
	if err != nil {
		return false
	}
	mark, ok := item[attrMark].(*types.AttributeValueMemberB)
	return ok && string(mark.Value) == string(p.mark)
}

// transact sends all parts as one transaction. The token makes retries harmless.
//
// A lost request may arrive after a later one was refused, and then succeed. So after a lost
// request, a refusal is not final, and the result is unknown. A request that got an internal error
// has arrived: DynamoDB knows the token, and its next answer is for both.
func (p *plan) transact(ctx context.Context) error {
	in := &dynamodb.TransactWriteItemsInput{
		ClientRequestToken: aws.String(rand.Text()),
		TransactItems:      make([]types.TransactWriteItem, len(p.parts)),
	}
	for i, it := range p.parts {
		in.TransactItems[i] = it.TransactWriteItem
	}
	var body sameBody
	o := p.table.call(ctx, true, func(ctx context.Context, with func(*dynamodb.Options)) error {
		_, err := p.table.client.TransactWriteItems(ctx, in, with, body.keep)
		var canceled *types.TransactionCanceledException
		if errors.As(err, &canceled) {
			return p.canceled(canceled)
		}
		return err
	})
	if o.fate == refused && o.lost {
		return fmt.Errorf("%w: the result of the write is unknown: %v", table.ErrUnavailable, o.err)
	}
	return o.err
}

// Probe returns table.ErrUnsupported if the store has no transactions. It ignores all other errors;
// the first call shows them. It sends an empty transaction, which needs no permission and which a
// store with transactions refuses.
func (t *Table) Probe(ctx context.Context) error {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{}}
	_, _, err := t.once(ctx, func(ctx context.Context, with func(*dynamodb.Options)) error {
		_, err := t.client.TransactWriteItems(ctx, in, with)
		return err
	})
	if !unsupported(err) {
		return nil
	}
	return fmt.Errorf("table: probe %q: %w: it lacks transactions, which the service needs: %v",
		t.name, table.ErrUnsupported, err)
}

// canceled returns the error of a cancelled transaction: the first condition that certainly did not
// hold; else a verdict to retry, unchanged or with changed adds.
func (p *plan) canceled(err *types.TransactionCanceledException) error {
	if len(err.CancellationReasons) != len(p.parts) {
		return err
	}
	var busy, changed bool
	var last error
	for i, reason := range err.CancellationReasons {
		it := &p.parts[i]
		switch fate := judgeReason(reason); {
		case fate == done:
		case fate == deferred && it.add == nil && !it.condition.IsAlways():
			return &verdict{deferred, err} // its condition comes first, and may not hold either
		case fate == deferred:
			busy = true
		case aws.ToString(reason.Code) != conditionalCheckFailed:
			return &verdict{refused, err}
		default:
			last = p.fail(i, reason.Item)
			if !errors.Is(last, errAge) {
				return &verdict{refused, last}
			}
			changed = true
		}
	}
	switch {
	case changed:
		return &verdict{refused, last}
	case busy:
		return &verdict{deferred, err}
	default:
		return &verdict{refused, err}
	}
}
