// Package otstest runs the Tablestore emulator in a test.
package otstest

import (
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"chatconf/shared/emulator/ots"
)

// The access key and the instance for tests. Every other instance name is served too.
const (
	KeyID     = "test-key"
	KeySecret = "test-secret"
	Name      = "test-instance"
)

// An Instance is a running emulator.
type Instance struct {
	Endpoint  string // http://127.0.0.1:port
	Name      string
	KeyID     string
	KeySecret string
	Server    *ots.Server

	fault atomic.Pointer[func(ots.Request) ots.Fault]
	http  *httptest.Server
}

// RunT starts an emulator for the duration of the test, by default with data in memory. Each
// function in set can change the options; the default AccessKeys are those of this package.
func RunT(t testing.TB, set ...func(*ots.Options)) *Instance {
	t.Helper()
	in := &Instance{Name: Name, KeyID: KeyID, KeySecret: KeySecret}
	o := ots.Options{AccessKeys: map[string]string{KeyID: KeySecret}}
	for _, fn := range set {
		fn(&o)
	}
	if hook := o.Fault; hook != nil {
		in.SetFault(hook)
	}
	o.Fault = in.ask
	server, err := ots.New(o)
	if err != nil {
		t.Fatal(err)
	}
	in.Server, in.http = server, httptest.NewServer(server)
	in.Endpoint = in.http.URL
	t.Cleanup(func() {
		in.http.CloseClientConnections() // ends requests that a fault delays
		in.http.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// SetFault sets the fault hook for later requests. Nil removes it.
func (in *Instance) SetFault(hook func(ots.Request) ots.Fault) {
	if hook == nil {
		in.fault.Store(nil)
		return
	}
	in.fault.Store(&hook)
}

func (in *Instance) ask(r ots.Request) ots.Fault {
	if hook := in.fault.Load(); hook != nil {
		return (*hook)(r)
	}
	return ots.Fault{}
}
