package tablestore_test

import (
	"testing"

	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
	"chatconf/shared/table/tabletest"
)

func TestTable(t *testing.T) {
	in := otstest.RunT(t)
	transport := tablestore.NewTransport()
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		name := "items"
		if o.TTL > 0 {
			name += "_" + o.TTL.String()
		}
		return open(t, in, name, tablestore.Options{TTL: o.TTL, Now: o.Now, Transport: transport})
	}, tabletest.Caps{TextKeys: true})
}

// open opens a table of the emulator, and makes it if it does not exist. Endpoint, instance and
// credentials are the emulator's unless options say otherwise.
func open(t testing.TB, in *otstest.Instance, name string, o tablestore.Options) *tablestore.Table {
	t.Helper()
	o.Endpoint, o.Instance = in.Endpoint, in.Name
	plain := o
	if o.Credentials == (invoke.Credentials{}) {
		o.Credentials = invoke.Credentials{AccessKeyID: in.KeyID, AccessKeySecret: in.KeySecret}
	}
	plain.Credentials, plain.Transport = invoke.Credentials{AccessKeyID: in.KeyID, AccessKeySecret: in.KeySecret}, nil
	if _, err := tablestore.Ensure(t.Context(), newTable(t, name, plain)); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return newTable(t, name, o)
}

// newTable returns a table that is closed when the test ends.
func newTable(t testing.TB, name string, o tablestore.Options) *tablestore.Table {
	t.Helper()
	tb, err := tablestore.New(name, o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := tb.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return tb
}
