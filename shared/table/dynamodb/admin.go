package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// pollEvery is the time between two reads of the status of a changing table.
const pollEvery = 2 * time.Second

// maxMissing is how often a new table may be missing.
const maxMissing = 30

// A Setup has the wanted properties of a table, in addition to its keys and the time to live of the
// Table.
type Setup struct {
	// Recovery is point-in-time recovery, to any second of the last 35 days.
	Recovery bool
	// Key is the id or the ARN of the KMS key that encrypts the table. Empty: no change; the
	// default is DynamoDB's own key.
	Key string
}

// errSchema: there is a table with that name, but for another purpose.
var errSchema = errors.New("the table has another layout")

// Plan returns the steps of Ensure as text; none if there is nothing to do. The error is Ensure's.
func Plan(ctx context.Context, t *Table, s Setup) ([]string, error) {
	steps, err := t.steps(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("table: plan %q: %w", t.name, err)
	}
	var words []string
	for _, st := range steps {
		words = append(words, st.what)
	}
	return words, nil
}

const nothing = "nothing to do"

// Ensure creates the table or sets its missing properties, and waits until it can be used. It tells
// each completed step of Plan, in the past tense, or that there is nothing to do. If the table has
// other keys, or its items expire by another attribute, it changes nothing, and the error says what
// differs. It is safe to call again, also concurrently.
//
// A new table is paid per request. Ensure does not change how an existing table is paid, nor any
// property that Setup does not ask for.
func Ensure(ctx context.Context, t *Table, s Setup, tell func(step string)) error {
	steps, err := t.steps(ctx, s)
	if err != nil {
		return fmt.Errorf("table: ensure %q: %w", t.name, err)
	}
	if len(steps) == 0 {
		tell(nothing)
	}
	for _, st := range steps {
		if err := st.do(ctx); err != nil {
			return fmt.Errorf("table: ensure %q: %s: %w", t.name, st.what, err)
		}
		tell(st.did)
	}
	return nil
}

type step struct {
	what string
	did  string // what, in the past tense
	do   func(ctx context.Context) error
}

func (t *Table) steps(ctx context.Context, s Setup) ([]step, error) {
	d, err := t.describe(ctx)
	if err != nil {
		return nil, err
	}
	var steps []step
	add := func(do func(ctx context.Context) error, what, did, object string) {
		steps = append(steps, step{what + " " + object, did + " " + object, do})
	}
	if d == nil {
		object := fmt.Sprintf("table %q: partition key p (S), sort key s (S), paid by the request", t.name)
		if s.Key != "" {
			object += ", encrypted by KMS key " + s.Key
		}
		add(func(ctx context.Context) error { return t.create(ctx, s) }, "create", "created", object)
	} else {
		if err := checkSchema(d); err != nil {
			return nil, err
		}
		if d.TableStatus != types.TableStatusActive {
			add(t.wait, "wait", "waited", fmt.Sprintf("for table %q, which has %s", t.name, statusOf(d)))
		}
		if s.Key != "" && !encryptedBy(d.SSEDescription, s.Key) {
			add(func(ctx context.Context) error { return t.encrypt(ctx, s) }, "encrypt", "encrypted",
				fmt.Sprintf("table %q by KMS key %s", t.name, s.Key))
		}
	}
	if t.ttl > 0 || d != nil {
		on, err := t.hasTTL(ctx, d)
		switch {
		case err != nil:
			return nil, err
		case on && t.ttl == 0:
			return nil, fmt.Errorf("%w: its items expire by attribute %q; they must not expire",
				errSchema, attrTTL)
		case !on && t.ttl > 0:
			add(t.enableTTL, "switch", "switched", fmt.Sprintf("the time to live of table %q on, by attribute %s",
				t.name, attrTTL))
		}
	}
	if s.Recovery {
		on, err := t.hasRecovery(ctx, d)
		if err != nil {
			return nil, err
		}
		if !on {
			add(t.enableRecovery, "switch", "switched", fmt.Sprintf("point-in-time recovery of table %q on", t.name))
		}
	}
	return steps, nil
}

// statusOf returns the table's status for display. A substitute for DynamoDB may return none.
func statusOf(d *types.TableDescription) string {
	if d.TableStatus == "" {
		return "no status, which DynamoDB always returns"
	}
	return "the status " + string(d.TableStatus)
}

// encryptedBy reports whether d has the key with the given id or ARN.
func encryptedBy(d *types.SSEDescription, key string) bool {
	if d == nil {
		return false
	}
	arn := aws.ToString(d.KMSMasterKeyArn)
	return arn == key || strings.HasSuffix(arn, ":key/"+key)
}

// checkSchema returns an error unless the keys of d are this adapter's.
func checkSchema(d *types.TableDescription) error {
	want := "p (S, HASH), s (S, RANGE)"
	var got []string
	for _, k := range d.KeySchema {
		name := aws.ToString(k.AttributeName)
		kind := "?"
		for _, a := range d.AttributeDefinitions {
			if aws.ToString(a.AttributeName) == name {
				kind = string(a.AttributeType)
			}
		}
		got = append(got, fmt.Sprintf("%s (%s, %s)", name, kind, k.KeyType))
	}
	if got := strings.Join(got, ", "); got != want {
		return fmt.Errorf("%w: its keys are %s; they must be %s", errSchema, got, want)
	}
	return nil
}

func (t *Table) describe(ctx context.Context) (*types.TableDescription, error) {
	out, err := ask(ctx, t, t.client.DescribeTable, &dynamodb.DescribeTableInput{TableName: &t.name})
	var none *types.ResourceNotFoundException
	switch {
	case errors.As(err, &none):
		return nil, nil
	case err != nil:
		return nil, err
	case out.Table == nil:
		return nil, errAnswer
	}
	return out.Table, nil
}

// create creates the table, unless another caller just has.
func (t *Table) create(ctx context.Context, s Setup) error {
	in := &dynamodb.CreateTableInput{
		TableName: &t.name,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(attrPartition), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(attrSort), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(attrPartition), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(attrSort), KeyType: types.KeyTypeRange},
		},
		BillingMode:      types.BillingModePayPerRequest,
		SSESpecification: sse(s),
	}
	_, err := ask(ctx, t, t.client.CreateTable, in)
	if inUse(err) {
		err = nil // created by another caller, or by a lost request of this one
	}
	if err != nil {
		return err
	}
	return t.wait(ctx)
}

func inUse(err error) bool {
	var inUse *types.ResourceInUseException
	return errors.As(err, &inUse)
}

func sse(s Setup) *types.SSESpecification {
	if s.Key == "" {
		return nil
	}
	return &types.SSESpecification{Enabled: aws.Bool(true), SSEType: types.SSETypeKms, KMSMasterKeyId: &s.Key}
}

func (t *Table) wait(ctx context.Context) error {
	for missing := 0; ; {
		d, err := t.describe(ctx)
		switch {
		case err != nil:
			return err
		case d == nil: // a new table may be missing for some time
			if missing++; missing > maxMissing {
				return errors.New("the table no longer exists")
			}
		case d.TableStatus == types.TableStatusActive:
			return checkSchema(d)
		case d.TableStatus != types.TableStatusCreating && d.TableStatus != types.TableStatusUpdating:
			return fmt.Errorf("the table has %s", statusOf(d))
		}
		if err := t.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func (t *Table) encrypt(ctx context.Context, s Setup) error {
	in := &dynamodb.UpdateTableInput{TableName: &t.name, SSESpecification: sse(s)}
	_, err := ask(ctx, t, t.client.UpdateTable, in)
	if err != nil {
		return err
	}
	return t.wait(ctx)
}

// hasTTL reports whether DynamoDB deletes items by their ttl. Another attribute is an error.
func (t *Table) hasTTL(ctx context.Context, d *types.TableDescription) (bool, error) {
	if d == nil {
		return false, nil
	}
	out, err := ask(ctx, t, t.client.DescribeTimeToLive, &dynamodb.DescribeTimeToLiveInput{TableName: &t.name})
	if err != nil || out.TimeToLiveDescription == nil {
		return false, err
	}
	name := aws.ToString(out.TimeToLiveDescription.AttributeName)
	switch out.TimeToLiveDescription.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		if name != attrTTL {
			return false, fmt.Errorf("%w: its items expire by attribute %q; it must be %q", errSchema, name, attrTTL)
		}
		return true, nil
	case types.TimeToLiveStatusDisabling:
		return false, errors.New("its time to live is being switched off, which takes up to an hour; try again then")
	default:
		return false, nil
	}
}

func (t *Table) enableTTL(ctx context.Context) error {
	in := &dynamodb.UpdateTimeToLiveInput{
		TableName: &t.name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attrTTL),
			Enabled: aws.Bool(true)},
	}
	_, err := ask(ctx, t, t.client.UpdateTimeToLive, in)
	if err == nil {
		return nil
	}
	// DynamoDB refuses to switch it on twice: another caller, or a lost request of this one,
	// has done it.
	if on, err := t.hasTTL(ctx, &types.TableDescription{}); err == nil && on {
		return nil
	}
	return err
}

func (t *Table) hasRecovery(ctx context.Context, d *types.TableDescription) (bool, error) {
	if d == nil {
		return false, nil
	}
	out, err := ask(ctx, t, t.client.DescribeContinuousBackups,
		&dynamodb.DescribeContinuousBackupsInput{TableName: &t.name})
	var notActive *types.TableNotFoundException
	if errors.As(err, &notActive) { // the table is still being created
		return false, nil
	}
	if err != nil || out.ContinuousBackupsDescription == nil {
		return false, err
	}
	recovery := out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
	return recovery != nil && recovery.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled, nil
}

// enableRecovery waits until a new table can be backed up.
func (t *Table) enableRecovery(ctx context.Context) error {
	in := &dynamodb.UpdateContinuousBackupsInput{
		TableName: &t.name,
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: aws.Bool(true)},
	}
	for {
		_, err := ask(ctx, t, t.client.UpdateContinuousBackups, in)
		var notYet *types.ContinuousBackupsUnavailableException
		if !errors.As(err, &notYet) {
			return err
		}
		if err := t.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}
