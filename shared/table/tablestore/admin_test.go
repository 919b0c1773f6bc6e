package tablestore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func TestEnsure(t *testing.T) {
	for name, test := range map[string]struct {
		ttl     time.Duration
		seconds int
		says    string
	}{
		"items":   {0, -1, "items do not expire"},
		"tickets": {15 * time.Minute, 86_400, "expire 86400 seconds"},
		"week":    {7 * 24 * time.Hour, 7*86_400 + 3600, "expire 608400 seconds"},
	} {
		s := local(t)
		s.TTL = test.ttl
		tb := newTable(t, name, s.Options)
		steps := []struct {
			do     func(context.Context, *tablestore.Table) (tablestore.Plan, error)
			exists bool
			sends  []string
		}{
			{tablestore.Inspect, false, []string{"DescribeTable"}},
			{tablestore.Inspect, false, []string{"DescribeTable"}}, // the first has made nothing
			{tablestore.Ensure, false, []string{"DescribeTable", "CreateTable", "GetRow"}},
			{tablestore.Ensure, true, []string{"DescribeTable"}},
			{tablestore.Inspect, true, []string{"DescribeTable"}},
		}
		for i, step := range steps {
			s.wire.set(nil)
			plan, err := step.do(t.Context(), tb)
			if err != nil || plan.Name != name || plan.Exists != step.exists || plan.TTL != test.seconds {
				t.Errorf("%s, step %d = %+v, %v, want exists: %v, ttl %d", name,
					i, plan, err, step.exists, test.seconds)
			}
			if got := s.wire.operations(); !slices.Equal(got, step.sends) {
				t.Errorf("%s, step %d sends %q, want %q", name, i, got, step.sends)
			}
			if says := plan.String(); !plan.Exists && !strings.Contains(says, test.says) || plan.Exists &&
				!strings.Contains(says, "nothing to do") {
				t.Errorf("%s, step %d says %q", name, i, says)
			}
		}
	}
}

func TestTableThatDiffersIsLeftAlone(t *testing.T) {
	in := otstest.RunT(t)
	client := sdk.NewClient(in.Endpoint, in.Name, in.KeyID, in.KeySecret)
	for name, test := range map[string]struct {
		keys     map[string]sdk.PrimaryKeyType
		ttl      int
		versions int
		says     []string
	}{
		"keys": {map[string]sdk.PrimaryKeyType{"partition": sdk.PrimaryKeyType_STRING,
			"sort": sdk.PrimaryKeyType_INTEGER}, -1, 1, []string{"sort integer"}},
		"binary": {map[string]sdk.PrimaryKeyType{"partition": sdk.PrimaryKeyType_BINARY,
			"sort": sdk.PrimaryKeyType_STRING}, -1, 1, []string{"partition binary"}},
		"one_key": {map[string]sdk.PrimaryKeyType{"partition": sdk.PrimaryKeyType_STRING}, -1, 1,
			[]string{"primary key is partition string; it must be"}},
		"ttl":      {nil, 86_400, 1, []string{"time to live in seconds is 86400; it must be -1"}},
		"versions": {nil, 86_400, 3, []string{"versions is 3; it must be 1", "time to live"}},
	} {
		meta := &sdk.TableMeta{TableName: name}
		if test.keys == nil {
			test.keys = map[string]sdk.PrimaryKeyType{"partition": sdk.PrimaryKeyType_STRING,
				"sort": sdk.PrimaryKeyType_STRING}
		}
		for _, key := range []string{"partition", "sort"} {
			if kind, ok := test.keys[key]; ok {
				meta.AddPrimaryKeyColumn(key, kind)
			}
		}
		if _, err := client.CreateTable(&sdk.CreateTableRequest{TableMeta: meta,
			TableOption:        sdk.NewTableOption(test.ttl, test.versions),
			ReservedThroughput: &sdk.ReservedThroughput{}}); err != nil {
			t.Fatal(err)
		}
		tb := newTable(t, name, tablestore.Options{Endpoint: in.Endpoint, Instance: in.Name,
			Credentials: invoke.Credentials{AccessKeyID: in.KeyID, AccessKeySecret: in.KeySecret}})
		for verb, do := range map[string]func(context.Context, *tablestore.Table) (tablestore.Plan,
			error){"Inspect": tablestore.Inspect, "Ensure": tablestore.Ensure} {
			_, err := do(t.Context(), tb)
			if !errors.Is(err, tablestore.ErrDiffers) || errors.Is(err, table.ErrUnavailable) {
				t.Errorf("%s of %s = %v, want ErrDiffers alone", verb, name, err)
				continue
			}
			for _, want := range append(test.says, name) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s of %s = %v, which does not say %q", verb, name, err, want)
				}
			}
		}
	}
}

// Ensure gets over what goes wrong on the way.
func TestEnsureOverFaults(t *testing.T) {
	s := remote(t)
	for name, hook := range map[string]ots.Fault{
		"busy":    busy("OTSServerBusy"),
		"before":  busy("OTSTimeout"),
		"after":   lost("OTSTimeout"),
		"dropped": {Drop: true, Applied: true},
	} {
		for _, operation := range []string{"DescribeTable", "CreateTable", "GetRow"} {
			s.set(fault{hook: hook}, 1, func(o string) bool { return o == operation })
			tb := newTable(t, name+"_"+operation, s.Options)
			if _, err := tablestore.Ensure(t.Context(), tb); err != nil ||
				!slices.Contains(s.wire.operations(), operation) {
				t.Errorf("Ensure, %s %s = %v", operation, name, err)
			}
			if plan, err := tablestore.Inspect(t.Context(), tb); err != nil || !plan.Exists {
				t.Errorf("Inspect after it = %+v, %v", plan, err)
			}
		}
	}
	s.fault(func(ots.Request) ots.Fault { return busy("OTSNoPermissionAccess") })
	tb := newTable(t, "denied", s.Options)
	if _, err := tablestore.Ensure(t.Context(), tb); !errors.Is(err, table.ErrUnavailable) ||
		!strings.Contains(err.Error(), "OTSNoPermissionAccess") {
		t.Errorf("Ensure without permission = %v, want ErrUnavailable that says why", err)
	}
	s.fault(nil)
	if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); !errors.Is(err, table.ErrUnavailable) ||
		!strings.Contains(err.Error(), "OTSObjectNotExist") {
		t.Errorf("Get from a table that is not there = %v, want ErrUnavailable that says so", err)
	}
	if err := tb.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tablestore.Ensure(t.Context(), tb); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Ensure after Close = %v, want ErrClosed", err)
	}
}

// An instance that is full is said to be at once; one that has had enough for this second is asked
// again.
func TestEnsureInAFullInstance(t *testing.T) {
	s := local(t)
	const quota = 64
	for n := range quota {
		s.table(t, fmt.Sprint("table_", n))
	}
	s.wire.set(nil)
	tb := newTable(t, "one_more", s.Options)
	_, err := tablestore.Ensure(t.Context(), tb)
	if !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("Ensure = %v, want ErrUnavailable", err)
	}
	for _, part := range []string{"one_more", "table quota is used up", "Number of tables exceeds the quota:64."} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("Ensure = %v, which does not say %q", err, part)
		}
	}
	if got, want := s.wire.operations(), []string{"DescribeTable", "CreateTable",
		"DescribeTable"}; !slices.Equal(got, want) {
		t.Errorf("Ensure sends %q, want %q", got, want)
	}

	s = local(t)
	frequent := fault{hook: ots.Fault{Err: &ots.Error{Code: "OTSQuotaExhausted",
		Message: "Too frequent table operations."}}}
	s.set(frequent, 2, func(o string) bool { return o == "CreateTable" })
	if plan, err := tablestore.Ensure(t.Context(), newTable(t, "items", s.Options)); err != nil || !plan.Made {
		t.Errorf("Ensure that was too frequent = %+v, %v, want success", plan, err)
	}
}

// putRow writes a row through the SDK, past the adapter.
func putRow(t *testing.T, in *otstest.Instance, name, partition, sort string, columns map[string]any) {
	t.Helper()
	key := new(sdk.PrimaryKey)
	key.AddPrimaryKeyColumn("partition", partition)
	key.AddPrimaryKeyColumn("sort", sort)
	change := &sdk.PutRowChange{TableName: name, PrimaryKey: key}
	for column, value := range columns {
		change.AddColumn(column, value)
	}
	change.SetCondition(sdk.RowExistenceExpectation_IGNORE)
	client := sdk.NewClient(in.Endpoint, in.Name, in.KeyID, in.KeySecret)
	if _, err := client.PutRow(&sdk.PutRowRequest{PutRowChange: change}); err != nil {
		t.Fatal(err)
	}
}
