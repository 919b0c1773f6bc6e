// Package target is what a cloud gives a function: a runtime, a store and a key service. Its folders are one cloud each; a function
// links one of them.
package target

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/serve"
	"chatconf/shared/table"
)

// A Target is one cloud, as the environment describes it.
type Target struct {
	Runtime serve.Runtime
	Store   string // as the command-line tool names it
	Where   string // the instance or region of the store, for people

	// OpenTable returns a table of the store. It sends nothing; an error says that the name is none.
	OpenTable func(name string, ttl time.Duration) (table.Table, error)
	// Probe returns a table.ErrUnsupported if the store of the table lacks an operation that the
	// service relies on. Nil where the store is the cloud's own, which lacks none.
	Probe func(ctx context.Context, t table.Table) error
	// Unseal returns what the key service sealed as the given base64.
	Unseal func(ctx context.Context, sealed string) ([]byte, error)
	// Call invokes a function of the cloud and returns its answer; Start has one invoked, and does not wait for it.
	Call  func(ctx context.Context, name string, payload []byte) ([]byte, error)
	Start func(ctx context.Context, name string, payload []byte) error
	// Close drops the connections that nobody uses, after the tables are closed.
	Close func()
}

// Dial has a transport try the few roots of a cloud before those of the machine, or in their place those of the PEM file that
// CHATCONF_ROOTS names, for all hosts: what a private endpoint chains to.
func Dial(t *http.Transport, getenv func(string) string, cloud *dial.Roots) error {
	d := &dial.Dialer{Sets: []*dial.Roots{cloud}, Dial: t.DialContext, HandshakeTimeout: t.TLSHandshakeTimeout}
	extra, err := ReadRoots(getenv("CHATCONF_ROOTS"))
	if err != nil {
		return err
	}
	if extra != nil {
		d.Sets = []*dial.Roots{extra}
	}
	t.DialTLSContext = d.DialTLSContext
	return nil
}

// ReadRoots returns the set of the PEM file that CHATCONF_ROOTS names, nil if it is empty.
func ReadRoots(path string) (*dial.Roots, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_ROOTS: %w", err)
	}
	set, err := dial.ParseRoots(string(text))
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_ROOTS: %s: %w", path, err)
	}
	return set, nil
}

// FirstOf returns the first that is not empty.
func FirstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
