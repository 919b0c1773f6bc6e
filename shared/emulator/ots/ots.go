// Package ots is an emulator of Tablestore, Alibaba Cloud's wide-column store: what the service's
// own SDKs speak to, in one http.Handler over one file, or over memory.
//
// The protocol is HTTP with protobuf messages, in which rows travel as PlainBuffer. Every instance
// name is served, and each instance has its own tables. Requests are verified as the service does
// it, and answers are signed. What is acknowledged is on the disk, and every read sees it.
//
// It implements tables, rows, batches, ranges, conditions and filters, versions and time to live,
// AUTO_INCREMENT, secondary indexes, local transactions, bulk imports and streams, with the limits
// and the error texts of the service. Search indexes, SQL, time series, tunnels, BulkExport and
// ComputeSplits are refused by name. Where the service's behaviour is not published, the code says
// what it assumes.
package ots

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"chatconf/shared/emulator/ots/store"
)

// Options say how a Server behaves. AccessKeys or Unsigned must be given.
type Options struct {
	// Path is the file that the data is kept in; it is made if there is none. Empty is memory.
	Path string
	// AccessKeys are the secrets by access key id.
	AccessKeys AccessKeys
	// STSTokens are the tokens of those access keys that STS gave out, by access key id. A request
	// must bring the token of its key; one that brings another, or one where the key has none, is
	// refused.
	STSTokens AccessKeys
	// Unsigned serves requests whatever their signature and date.
	Unsigned bool
	// Now is the clock of data: versions, ages and transactions. Nil is time.Now.
	Now func() time.Time
	// Wall is the clock that the dates of requests are compared with, and answers are dated by. Nil
	// is time.Now.
	Wall func() time.Time
	// NewID makes the ids of requests, transactions and streams, each another. Nil is random.
	NewID func() string
	// Fault, if not nil, is asked about every request that is well signed, by the goroutine that
	// serves it.
	Fault func(Request) Fault
	// Log is told of errors that are the emulator's own. Nil is nobody.
	Log *slog.Logger
}

// AccessKeys are secrets, or tokens, by access key id. They print as a placeholder.
type AccessKeys map[string]string

const keysPlaceholder = "[access keys]"

// String returns a placeholder.
func (AccessKeys) String() string { return keysPlaceholder }

// Format writes the placeholder of String, whatever the verb.
func (AccessKeys) Format(s fmt.State, _ rune) { io.WriteString(s, keysPlaceholder) }

// LogValue returns the placeholder of String.
func (AccessKeys) LogValue() slog.Value { return slog.StringValue(keysPlaceholder) }

// MarshalJSON returns the placeholder of String.
func (AccessKeys) MarshalJSON() ([]byte, error) { return []byte(`"` + keysPlaceholder + `"`), nil }

// A Server is an emulator. It is an http.Handler, to be served at the root.
type Server struct {
	store    store.Store
	keys     map[string]*keyring
	unsigned bool
	now      func() time.Time
	wall     func() time.Time
	newID    func() string
	fault    func(Request) Fault
	log      *slog.Logger

	schema   sync.RWMutex // held for reading by whatever reads or writes rows, for writing by whatever changes tables
	tables   map[string]*table
	sessions sessions
	swept    map[string][]byte // where the last sweep of a table ended; only in updates of the store
}

var _ http.Handler = (*Server)(nil)

// New opens the data and returns a server of it.
func New(o Options) (*Server, error) {
	if len(o.AccessKeys) == 0 && !o.Unsigned {
		return nil, errors.New("ots: no access keys are given, and signatures are wanted")
	}
	s := &Server{
		keys: map[string]*keyring{}, unsigned: o.Unsigned, now: o.Now, wall: o.Wall, newID: o.NewID, fault: o.Fault,
		log:      o.Log,
		sessions: sessions{byID: map[string]*session{}, byLock: map[string]*session{}},
		swept:    map[string][]byte{},
	}
	for id, secret := range o.AccessKeys {
		if id == "" || secret == "" {
			return nil, errors.New("ots: an access key without id or secret")
		}
		s.keys[id] = newKeyring(id, secret, o.STSTokens[id])
	}
	s.setDefaults()
	s.store = store.Memory()
	var err error
	if o.Path != "" {
		if s.store, err = store.Open(o.Path); err != nil {
			return nil, fmt.Errorf("ots: %w", err)
		}
	}
	if s.tables, err = loadTables(s.store); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

func (s *Server) setDefaults() {
	if s.now == nil {
		s.now = time.Now
	}
	if s.wall == nil {
		s.wall = time.Now
	}
	if s.newID == nil {
		s.newID = randomID
	}
	if s.fault == nil {
		s.fault = func(Request) Fault { return Fault{} }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
}

// randomID returns an id that looks like the service's. The generator is cryptographically strong.
func randomID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	var text [36]byte
	b := hex.AppendEncode(text[:0], id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return string(b)
}

// Close waits for the requests that read or write, and lets go of the file.
func (s *Server) Close() error {
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("ots: %w", err)
	}
	return nil
}
