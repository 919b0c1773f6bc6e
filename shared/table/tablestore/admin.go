package tablestore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// ErrDiffers: a table with the name exists, with other properties. It is not changed.
var ErrDiffers = errors.New("the table has another layout")

// A Plan describes what Ensure does for one table.
type Plan struct {
	Name   string
	Exists bool
	Made   bool // by this Ensure
	TTL    int  // the table's time to live in seconds; -1: none
}

// String returns the plan as text.
func (p Plan) String() string {
	if p.Exists {
		return "nothing to do"
	}
	age := "items do not expire"
	if p.TTL > 0 {
		age = fmt.Sprintf("items expire %d seconds after their last write", p.TTL)
	}
	verb := "create"
	if p.Made {
		verb = "created"
	}
	return fmt.Sprintf("%s table %q: primary key %s and %s, both strings; one version of each column; %s",
		verb, p.Name, partitionColumn, sortColumn, age)
}

// Inspect returns what Ensure would do, and changes nothing. If the table exists with other
// properties, the error is an ErrDiffers with all differences.
func Inspect(ctx context.Context, t *Table) (Plan, error) {
	if err := t.gate.Enter(ctx); err != nil {
		return Plan{}, fmt.Errorf("tablestore: inspect %s: %w", t.name, err)
	}
	defer t.gate.Leave()
	plan, err := t.inspect(ctx, newTries(ctx))
	if err != nil {
		return Plan{}, adminError(ctx, "inspect", t.name, err)
	}
	return plan, nil
}

// Ensure creates a missing table and waits until it accepts calls. It never changes an existing
// table. It returns what it found.
func Ensure(ctx context.Context, t *Table) (Plan, error) {
	if err := t.gate.Enter(ctx); err != nil {
		return Plan{}, fmt.Errorf("tablestore: make %s: %w", t.name, err)
	}
	defer t.gate.Leave()
	plan, err := t.ensure(ctx)
	if err != nil {
		return Plan{}, adminError(ctx, "make", t.name, err)
	}
	plan.Made = !plan.Exists
	return plan, nil
}

func (t *Table) ensure(ctx context.Context) (Plan, error) {
	tries := newTries(ctx)
	plan, err := t.inspect(ctx, tries)
	if err != nil || plan.Exists {
		return plan, err
	}
	for {
		err := t.create(ctx)
		if err == nil {
			break
		}
		// The table may exist now: created by a lost request or by another caller.
		found, inspectErr := t.inspect(ctx, tries)
		switch {
		case inspectErr != nil:
			return Plan{}, inspectErr
		case found.Exists:
			return plan, t.ready(ctx, tries)
		}
		if f := fateOf(err); f == invalid || f == hopeless || !tries.again(ctx) {
			return Plan{}, err
		}
	}
	return plan, t.ready(ctx, tries)
}

// ready waits until a new table accepts calls, which takes some seconds.
func (t *Table) ready(ctx context.Context, tries *tries) error {
	for {
		_, err := t.getRow(ctx, table.Key{Partition: "ready", Sort: "ready"}, traceColumns)
		var f *failure
		if err == nil || errors.As(err, &f) && f.fate == hopeless && f.code != notExist || !tries.again(ctx) {
			return err
		}
	}
}

func (t *Table) inspect(ctx context.Context, tries *tries) (Plan, error) {
	plan := Plan{Name: t.name, TTL: t.engineTTL()}
	for {
		var found *sdk.DescribeTableResponse
		err := t.send(ctx, func(c *sdk.TableStoreClient) (err error) {
			found, err = c.DescribeTable(&sdk.DescribeTableRequest{TableName: t.name})
			return err
		})
		var f *failure
		switch {
		case err == nil:
			plan.Exists = true
			return plan, t.compare(found)
		case errors.As(err, &f) && f.code == notExist:
			return plan, nil
		case fateOf(err) == invalid, fateOf(err) == hopeless, !tries.again(ctx):
			return Plan{}, err
		}
	}
}

func (t *Table) compare(found *sdk.DescribeTableResponse) error {
	var differences []string
	differ := func(what string, got, want any) {
		if got != want {
			differences = append(differences, fmt.Sprintf("%s is %v; it must be %v", what, got, want))
		}
	}
	var keys []string
	for _, k := range found.TableMeta.SchemaEntry {
		keys = append(keys, *k.Name+" "+keyType(*k.Type))
	}
	differ("its primary key", strings.Join(keys, ", "), partitionColumn+" string, "+sortColumn+" string")
	differ("its number of versions", found.TableOption.MaxVersion, 1)
	differ("its time to live in seconds", found.TableOption.TimeToAlive, t.engineTTL())
	if found.TableOption.AllowUpdate != nil {
		differ("its permission of updates", *found.TableOption.AllowUpdate, true)
	}
	if differences == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDiffers, strings.Join(differences, "; "))
}

func keyType(t sdk.PrimaryKeyType) string {
	switch t {
	case sdk.PrimaryKeyType_INTEGER:
		return "integer"
	case sdk.PrimaryKeyType_STRING:
		return "string"
	default:
		return "binary"
	}
}

func (t *Table) create(ctx context.Context) error {
	meta := &sdk.TableMeta{TableName: t.name}
	meta.AddPrimaryKeyColumn(partitionColumn, sdk.PrimaryKeyType_STRING)
	meta.AddPrimaryKeyColumn(sortColumn, sdk.PrimaryKeyType_STRING)
	return t.send(ctx, func(c *sdk.TableStoreClient) error {
		_, err := c.CreateTable(&sdk.CreateTableRequest{
			TableMeta:          meta,
			TableOption:        sdk.NewTableOption(t.engineTTL(), 1),
			ReservedThroughput: &sdk.ReservedThroughput{}, // paid by use
		})
		return err
	})
}

// adminError maps an error of Inspect and Ensure to ErrDiffers or an error of the port.
func adminError(ctx context.Context, verb, name string, err error) error {
	var f *failure
	if errors.As(err, &f) && f.code == quotaExhausted && f.fate == hopeless {
		err = fmt.Errorf("the instance's table quota is used up; delete a table or raise the quota: %w", err)
	}
	if !errors.Is(err, ErrDiffers) {
		err = portError(ctx, err)
	}
	return fmt.Errorf("tablestore: %s %s: %w", verb, name, err)
}
