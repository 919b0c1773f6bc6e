// Package ots emulates Tablestore, Alibaba Cloud's wide-column store, for the service's own SDKs.
// The emulator is one http.Handler with data in one file.
//
// The protocol is HTTP with protobuf messages that contain rows as PlainBuffer. Every instance name
// is served, and each instance has its own tables. Signatures are verified as the service does, and
// answers are signed. Acknowledged writes are durable, and every later read sees them.
//
// Implemented are tables, rows, batches, ranges, conditions and filters, versions and time to live,
// AUTO_INCREMENT, secondary indexes, local transactions, bulk imports and streams, with the limits
// and error texts of the service. Requests for search indexes, SQL, time series, tunnels,
// BulkExport and ComputeSplits get an error that names the operation. Where the service's behaviour
// is not documented, the code says what it assumes.
package ots

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"chatconf/shared/bolt"
	"chatconf/shared/secret"
)

// FileVersion is the version of the file in Options.Path; this code opens no other. A change to the
// stored data needs a new version.
const FileVersion = 1

// fileOptions describe the file to package bolt.
var fileOptions = bolt.Options{Kind: "chatconf tablestore emulator", Version: FileVersion}

// Options configure a Server. Either AccessKeys or Unsigned is required.
type Options struct {
	secret.Hidden

	// Path is the data file; New creates it if needed. Empty keeps the data until Close only.
	Path string
	// AccessKeys maps access key ids to secrets.
	AccessKeys secret.Map
	// STSTokens maps ids of temporary access keys to their STS tokens. A request with such a key
	// must have the key's token; a request with any other key must have none.
	STSTokens secret.Map
	// Unsigned accepts requests without checking signature and date.
	Unsigned bool
	// Now is the clock for versions, time to live and transactions. The default is time.Now.
	Now func() time.Time
	// Wall is the clock for the dates of requests and answers. The default is time.Now.
	Wall func() time.Time
	// NewID returns a new id for a request, transaction or stream. The default is random.
	NewID func() string
	// Fault, if not nil, is called for every authenticated request, in that request's goroutine.
	Fault func(Request) Fault
	// Log receives internal errors of the emulator. The default discards them.
	Log *slog.Logger
}

// A Server is an emulator: an http.Handler for the root path.
type Server struct {
	secret.Hidden

	store    *bolt.DB
	keys     map[string]*keyring
	unsigned bool
	now      func() time.Time
	wall     func() time.Time
	newID    func() string
	fault    func(Request) Fault
	log      *slog.Logger

	schema   sync.RWMutex // read lock: reading or writing rows; write lock: changing tables
	tables   map[string]*table
	sessions sessions
	swept    map[string][]byte // where the last sweep of each table ended; guarded by updates of the store
}

var _ http.Handler = (*Server)(nil)

// New opens the data and returns its server.
func New(o Options) (*Server, error) {
	if len(o.AccessKeys) == 0 && !o.Unsigned {
		return nil, errors.New("ots: set AccessKeys, or Unsigned to accept all requests")
	}
	s := &Server{
		keys: map[string]*keyring{}, unsigned: o.Unsigned, now: o.Now, wall: o.Wall, newID: o.NewID, fault: o.Fault,
		log:      o.Log,
		sessions: sessions{byID: map[string]*session{}, byLock: map[string]*session{}},
		swept:    map[string][]byte{},
	}
	for id, secret := range o.AccessKeys {
		if id == "" || secret == "" {
			return nil, errors.New("ots: an access key has an empty id or secret")
		}
		s.keys[id] = newKeyring(id, secret, o.STSTokens[id])
	}
	s.setDefaults()
	var err error
	if o.Path == "" {
		s.store, err = bolt.OpenTemporary(fileOptions)
	} else {
		s.store, err = bolt.Open(o.Path, fileOptions)
	}
	if err != nil {
		return nil, fmt.Errorf("ots: %w", err)
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

// randomID returns an id in the service's format. The generator is cryptographically strong.
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

// Close waits for running requests, and closes the file.
func (s *Server) Close() error {
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("ots: %w", err)
	}
	return nil
}
