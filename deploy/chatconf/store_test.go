package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// onEmulator has the commands of a test find a Tablestore emulator.
func onEmulator(t *testing.T) {
	t.Helper()
	instance := otstest.RunT(t)
	for name, value := range map[string]string{
		"TABLESTORE_ENDPOINT":          instance.Endpoint,
		"TABLESTORE_INSTANCE":          instance.Name,
		"TABLESTORE_ACCESS_KEY_ID":     instance.KeyID,
		"TABLESTORE_ACCESS_KEY_SECRET": instance.KeySecret,
	} {
		t.Setenv(name, value)
	}
}

func TestTables(t *testing.T) {
	onEmulator(t)
	step := func(want string, args ...string) {
		t.Helper()
		out, err := run(t, "", append([]string{"tables", "--target", "fc"}, args...)...)
		if err != nil || strings.Count(out, want) != 2 {
			t.Errorf("tables %q = %v, want %q of both tables:\n%s", args, err, want, out)
		}
	}
	step("is to be made", "--dry-run")
	step("is to be made", "--dry-run") // the first did nothing
	step("was made")
	step("is there and as it must be", "--dry-run")
	step("is there and as it must be")

	out, err := run(t, "", "tables", "check", "--target", "fc")
	if err != nil || strings.Count(out, ": ok ") != 10 {
		t.Errorf("tables check = %v, want ten lines:\n%s", err, out)
	}

	t.Setenv("CHATCONF_TICKET_TABLE", "chatconf_2")
	t.Setenv("CHATCONF_TABLE", "chatconf_tickets") // which has a time to live
	if out, err := run(t, "", "tables", "--target", "fc"); err == nil || isUsage(err) {
		t.Errorf("tables with a table that differs = %v:\n%s", err, out)
	}
}

func TestTablesNeedToKnowWhere(t *testing.T) {
	for _, name := range []string{"TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE", "TABLESTORE_ACCESS_KEY_ID", "TABLESTORE_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCESS_KEY_ID",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	for _, step := range []struct {
		set, to string // before
		says    string
		args    []string
	}{
		{"", "", "TABLESTORE_ENDPOINT", []string{"tables", "--target", "fc"}},
		{"", "", "TABLESTORE_ENDPOINT", []string{"serve", "--store", "tablestore"}},
		{"TABLESTORE_ENDPOINT", "http://127.0.0.1:1", "TABLESTORE_INSTANCE", []string{"tables", "check", "--target", "fc"}},
		{"TABLESTORE_INSTANCE", "local", "TABLESTORE_ACCESS_KEY_ID", []string{"tables", "--target", "fc"}},
		{"", "", "AWS_REGION", []string{"tables", "--target", "lambda"}},
		{"", "", "AWS_REGION", []string{"serve", "--store", "dynamodb"}},
		{"", "", "floppy", []string{"serve", "--store", "floppy"}},
		{"", "", "laptop", []string{"tables", "--target", "laptop"}},
		{"", "", "target", []string{"tables"}},
	} {
		if step.set != "" {
			t.Setenv(step.set, step.to)
		}
		if _, err := run(t, "", step.args...); !isUsage(err) || !strings.Contains(err.Error(), step.says) {
			t.Errorf("%q = %v, want a usage error that names %s", step.args, err, step.says)
		}
	}
}

func TestServeNeedsItsTables(t *testing.T) {
	onEmulator(t)
	_, err := run(t, "", "serve", "--store", "tablestore", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	if err == nil || isUsage(err) || !strings.Contains(err.Error(), "Tablestore table chatconf in instance ") {
		t.Errorf("serve without tables = %v, want an error that names the table", err)
	}
}

// A liar is a table that does not keep one of its promises.
type liar struct {
	table.Table
	write func(table.Table, context.Context, string, table.Change) error
	query func([]table.Item) []table.Item
}

func (l liar) Write(ctx context.Context, partition string, c table.Change) error {
	if l.write == nil {
		return l.Table.Write(ctx, partition, c)
	}
	return l.write(l.Table, ctx, partition, c)
}

func (l liar) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	items, err := l.Table.Query(ctx, r)
	if l.query != nil {
		items = l.query(items)
	}
	return items, err
}

func TestProbeFindsBrokenPromises(t *testing.T) {
	for says, broken := range map[string]liar{
		"leaves nothing behind": {write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
			for _, add := range c.Adds { // each by itself
				if err := t.Write(ctx, partition, table.Change{Adds: []table.Add{add}}); err != nil {
					return err
				}
			}
			if c.Adds = nil; len(c.Puts)+len(c.Deletes) == 0 {
				return nil
			}
			return t.Write(ctx, partition, c)
		}},
		"reads are strong": {query: func(items []table.Item) []table.Item {
			for i := range items {
				items[i].Revision = 0
			}
			return items
		}},
		"order is byte order": {query: func(items []table.Item) []table.Item {
			if n := len(items); n > 1 {
				items[0], items[n-1] = items[n-1], items[0]
			}
			return items
		}},
		"adds are exact": {write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
			if len(c.Adds) == 1 && len(c.Puts) == 0 {
				c.Puts, c.Adds = []table.Put{{Sort: c.Adds[0].Sort}}, nil
			}
			return t.Write(ctx, partition, c)
		}},
		"one wins": {write: func(t table.Table, ctx context.Context, partition string, c table.Change) error {
			if len(c.Puts) == 1 {
				c.Puts[0].If = table.Condition{}
			}
			return t.Write(ctx, partition, c)
		}},
	} {
		db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
		if err != nil {
			t.Fatal(err)
		}
		broken.Table = db.Table("t", file.TableOptions{})
		var out strings.Builder
		err = probe(t.Context(), &out, "t", broken)
		if err == nil || strings.Count(out.String(), "FAILED") != 1 || !lineHas(out.String(), "FAILED", says) {
			t.Errorf("probe of a table of which %q does not hold = %v:\n%s", says, err, &out)
		}
		if partitions, err := db.Table("t", file.TableOptions{}).Partitions(t.Context()); err != nil || len(partitions) > 0 {
			t.Errorf("probe left %q behind, %v", partitions, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// lineHas reports whether one line of text has all parts.
func lineHas(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestOTSKeyIsMadeOnce(t *testing.T) {
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "")
	data := filepath.Join(t.TempDir(), "new")
	first, err := otsKey(data)
	if err != nil || first.ID == "" || len(first.Secret) < 40 {
		t.Fatalf("otsKey = %v, %v", first.ID, err)
	}
	if again, err := otsKey(data); again != first || err != nil {
		t.Errorf("otsKey again = %v, %v, want %v", again.ID, err, first.ID)
	}
	if other, err := otsKey(""); other.ID == first.ID || err != nil {
		t.Errorf("otsKey in memory = %v, %v, want another", other.ID, err)
	}
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "mine")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "not-a-real-secret")
	if mine, err := otsKey(data); mine.ID != "mine" || mine.Secret.Reveal() != "not-a-real-secret" || err != nil {
		t.Errorf("otsKey with a key in the environment = %v, %v", mine.ID, err)
	}
}
