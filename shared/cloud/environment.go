package cloud

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/table"
)

// A Cloud is one cloud, configured from the environment: its store, its key service and its
// functions. The packages alibaba and aws each make one. No request is sent before one of its
// functions is called.
type Cloud struct {
	Store    string // tablestore or dynamodb, as the tool's flags name it
	Engine   string // the display name of the store
	Where    string // the display name of the store's instance or region
	SignedBy string // the id of the environment's access key and its variable, for display; empty if none

	// OpenTable returns a table of the store. It sends nothing. It returns an error for an invalid
	// name.
	OpenTable func(name string, ttl time.Duration) (table.Table, error)
	// Probe returns table.ErrUnsupported if the table's store lacks an operation that the service
	// needs. It is nil for the cloud's own store, which has them all.
	Probe func(ctx context.Context, t table.Table) error
	// Unseal asks the key service to decrypt a base64 text.
	Unseal func(ctx context.Context, sealed string) ([]byte, error)
	// Start invokes a function without waiting for the answer.
	Start func(ctx context.Context, name string, payload []byte) error
	// Close closes idle connections. Close the tables first.
	Close func()
}

// Trust makes a transport verify servers with the few roots of a cloud before the system's roots.
// If CHATCONF_ROOTS names a PEM file, its certificates replace the few roots for all hosts. Private
// endpoints need that.
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
