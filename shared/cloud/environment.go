package cloud

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/table"
)

// A Cloud is a cloud as the environment describes it: its store, its key service and its functions.
// Package alibaba and package aws each read one. Nothing is sent before one of its functions is
// called.
type Cloud struct {
	Store    string // tablestore or dynamodb, as flags of the command-line tool name it
	Engine   string // the store, for people
	Where    string // the instance or the region of the store, for people
	SignedBy string // the id of the access key of the environment and its variable, for people; empty: there is none

	// OpenTable returns a table of the store. It sends nothing; an error says that the name is
	// invalid.
	OpenTable func(name string, ttl time.Duration) (table.Table, error)
	// Probe returns a table.ErrUnsupported if the store of the table lacks an operation that the
	// service needs. Nil where the store is the cloud's own, which has them all.
	Probe func(ctx context.Context, t table.Table) error
	// Unseal returns the plaintext of a base64 text that the key service sealed.
	Unseal func(ctx context.Context, sealed string) ([]byte, error)
	// Call invokes a function and returns its answer. Start starts one and does not wait for it.
	Call  func(ctx context.Context, name string, payload []byte) ([]byte, error)
	Start func(ctx context.Context, name string, payload []byte) error
	// Close closes idle connections. Tables are closed before.
	Close func()
}

// Trust has a transport verify servers with the few roots of a cloud before those of the machine.
// The PEM file that CHATCONF_ROOTS names, if any, takes the place of the few, for all hosts: the
// roots of a private endpoint.
func Trust(t *http.Transport, getenv func(string) string, few *dial.Roots) error {
	extra, err := dial.ReadRoots(getenv("CHATCONF_ROOTS"))
	if err != nil {
		return fmt.Errorf("CHATCONF_ROOTS: %w", err)
	}
	if extra != nil {
		few = extra
	}
	d := &dial.Dialer{Sets: []*dial.Roots{few}, Dial: t.DialContext, HandshakeTimeout: t.TLSHandshakeTimeout}
	t.DialTLSContext = d.DialTLSContext
	return nil
}
