package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
	"chatconf/shared/webhook"
)

// Files of a data directory.
const (
	TableFile     = "chatconf.db"
	KeyRingFile   = "keyring.json"
	AccessKeyFile = "access-key.json"
	endpointFile  = "endpoint"
)

// A Local is the service on one file.
type Local struct {
	*App
	File        *file.DB
	Table       table.Table // of the configurations
	AccessKeyID string      // of the administrator whose key is in KeyFile; empty if none
	KeyFile     string
	First       bool // this was the first start
}

// OpenLocal opens the service on the data directory of the settings. The first start creates the
// key ring and an access key that may do everything, in files that only their owner can read.
func OpenLocal(ctx context.Context, s Settings, r Role) (*Local, error) {
	if err := checkFirst(s); err != nil {
		return nil, err
	}
	path := filepath.Join(s.Data, TableFile)
	_, before := os.Stat(path)
	db, err := file.Open(path, file.Options{})
	switch {
	case err != nil && errors.Is(before, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist, and the first start could not create it: %w", path, err)
	case err != nil:
		return nil, err
	}
	configurations := db.Table(s.Table, file.TableOptions{})
	partitions, err := configurations.Partitions(ctx, "", 1)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	tables, err := s.fileTables(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	tables.Where, tables.Alone, tables.Snapshot = path, true, db.Snapshot
	l, err := openLocal(ctx, s, tables, len(partitions) == 0, r)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l.File = db
	l.closers = append(l.closers, db)
	return l, nil
}

// fileTables returns the tables of the settings in a file.
func (s Settings) fileTables(db *file.DB) (Tables, error) {
	return s.openTables(func(name string, ttl time.Duration) (table.Table, error) {
		return db.Table(name, file.TableOptions{TTL: ttl}), nil
	})
}

// checkFirst returns all mistakes in the key ring, the roots and the access key of the settings,
// before anything is created.
func checkFirst(s Settings) error {
	var mistakes []error
	if s.KeyRing != "" {
		_, err := readRing(s)
		mistakes = append(mistakes, err)
	}
	_, err := readRoots(s)
	mistakes = append(mistakes, err)
	if s.AccessKeyID != "" {
		if err := administrator(s, AccessKey{ID: s.AccessKeyID, Secret: s.AccessKeySecret}).Check(); err != nil {
			mistakes = append(mistakes, fmt.Errorf("CHATCONF_ACCESS_KEY_ID, CHATCONF_ACCESS_KEY_SECRET: %w", err))
		}
	}
	return errors.Join(mistakes...)
}

// administrator returns an access key that may do everything, SendChatMessage included.
func administrator(s Settings, key AccessKey) accesskey.Key {
	return accesskey.Key{
		ID:       key.ID,
		Secret:   key.Secret,
		Account:  s.AccountID,
		Name:     "administrator",
		Policies: []*policy.Policy{policy.Owner()},
	}
}

// OpenTables is OpenLocal with the data in other tables. Key ring, access key and endpoint stay in
// the data directory. Closing the service closes the tables.
func OpenTables(ctx context.Context, s Settings, t Tables, r Role) (_ *Local, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if err := checkFirst(s); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, err
	}
	if err := t.probe(ctx); err != nil {
		return nil, err
	}
	later, err := t.Claimed(ctx)
	if err != nil {
		return nil, err
	}
	l, err := openLocal(ctx, s, t, !later, r)
	if err != nil {
		return nil, err
	}
	l.closers = append(l.closers, t)
	return l, nil
}

// The claim is an item that binds the tables to a key ring: a value that only this ring can open.
var (
	claimKey   = table.Key{Partition: "service", Sort: "keyring"}
	claimPlace = seal.Place{Account: claimKey.Partition, Region: claimKey.Partition,
		Name: claimKey.Sort, Field: "claim"}
)

// Revisions of the claim.
const (
	claimed = 1 // by a first start that has not ended
	settled = 2 // the first access key was created; it may have been deleted since
)

// claim claims the tables for the key ring, or verifies that they are claimed by it, and returns
// the revision of the claim. If two services start at once with different rings, one of them gets
// an error before it has sealed anything; with the same ring, both are the first.
//
// Only the first start writes. So later starts work on a disk that is full or read-only.
func claim(ctx context.Context, t Tables, ring *seal.Ring, first bool) (revision int64, err error) {
	if !first {
		claims, err := t.Configurations.Get(ctx, claimKey)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: the claim of the key ring: %w", t.Where, err)
		case len(claims) > 0:
			return proveClaim(t, ring, claims[0])
		}
	}
	err = putClaim(ctx, t, ring, claimed, table.Absent())
	var there *table.ConditionError
	switch {
	case err == nil:
		return claimed, nil
	case !errors.As(err, &there):
		return 0, err
	}
	claims, err := t.Configurations.Get(ctx, claimKey)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: the claim of the key ring: %w", t.Where, err)
	case len(claims) == 0:
		return 0, fmt.Errorf("%s: the claim of the key ring has vanished", t.Where)
	}
	return proveClaim(t, ring, claims[0])
}

// proveClaim returns the revision of a claim. The key ring must have made it, and this version must
// know it.
func proveClaim(t Tables, ring *seal.Ring, there table.Item) (revision int64, err error) {
	if _, err := ring.Open(claimPlace, there.Value); err != nil {
		return 0, fmt.Errorf("the key ring is not the one that %s was sealed with: %w", t.Where, err)
	}
	if there.Revision != claimed && there.Revision != settled {
		const unknown = "%s: the claim of the key ring has revision %d, which this version of chatconf does not know"
		return 0, fmt.Errorf(unknown, t.Where, there.Revision)
	}
	return there.Revision, nil
}

func putClaim(ctx context.Context, t Tables, ring *seal.Ring, revision int64, condition table.Condition) error {
	sealed, err := ring.Seal(claimPlace, []byte(claimKey.Sort))
	if err != nil {
		return err
	}
	err = t.Configurations.Write(ctx, claimKey.Partition, table.Change{
		Puts: []table.Put{{Sort: claimKey.Sort, Value: sealed, Revision: revision, If: condition}},
	})
	if err != nil {
		return fmt.Errorf("%s: the claim of the key ring: %w", t.Where, err)
	}
	return nil
}

// openLocal opens the service on its tables, which are empty at the first start. Later the key ring
// must exist: a new one could open nothing.
func openLocal(ctx context.Context, s Settings, t Tables, first bool, r Role) (*Local, error) {
	ring, err := localRing(s, t.Where, first)
	if err != nil {
		return nil, err
	}
	revision, err := claim(ctx, t, ring, first)
	if err != nil {
		return nil, err
	}
	a, err := wire(s, t, ring, around{cloud: r.local}, r)
	if err != nil {
		return nil, err
	}
	l := &Local{App: a, Table: t.Configurations, KeyFile: filepath.Join(s.Data, AccessKeyFile),
		First: revision == claimed}
	moved, err := l.Keys.Move(ctx, t.Configurations)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", t.Where, err), l.Close())
	}
	if err := l.settle(ctx, s, t, ring, revision); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if !moved {
		return l, nil
	}
	if err := l.renewAdministrator(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// settle finds the first access key; the first start creates it.
func (l *Local) settle(ctx context.Context, s Settings, t Tables, ring *seal.Ring, revision int64) error {
	key, err := ReadAccessKey(s.Data)
	switch {
	case err == nil:
		l.AccessKeyID = key.ID
	case revision == settled && errors.Is(err, fs.ErrPermission): // it is shown, and no more
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if revision == settled {
		return nil
	}
	if err := l.makeFirstKey(ctx, s, key); err != nil {
		return err
	}
	return putClaim(ctx, t, ring, settled, table.Condition{})
}

// formerAdministrator is the policy that administrators had when oos:* covered every action.
const formerAdministrator = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*"}]}`

// renewAdministrator gives the first access key the rights that a first access key has today. It is
// called once, after the key was moved, and does nothing if the key has been given other rights.
func (l *Local) renewAdministrator(ctx context.Context) error {
	if l.AccessKeyID == "" {
		return nil
	}
	key, err := l.Keys.Find(ctx, l.AccessKeyID)
	if fault.CodeOf(err) == fault.KeyNotFound {
		return nil
	}
	if err != nil || len(key.Policies) != 1 || key.Policies[0].String() != formerAdministrator {
		return err
	}
	_, err = l.Keys.Update(ctx, key.Account, key.ID, accesskey.Change{Policies: []*policy.Policy{policy.Owner()}})
	return err
}

// localRing returns the key ring of the settings, else that of the data directory, which the first
// start creates.
func localRing(s Settings, where string, first bool) (*seal.Ring, error) {
	if s.KeyRing != "" {
		return readRing(s)
	}
	path := filepath.Join(s.Data, KeyRingFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && first:
		if text, err = seal.GenerateRing(time.Now().UTC().Format("2006-01-02-150405.000")); err != nil {
			return nil, err
		}
		if err := WriteFile(path, text); err != nil {
			return nil, fmt.Errorf("the first start could not write the key ring: %w", err)
		}
	case errors.Is(err, fs.ErrNotExist):
		const missing = "%s is missing, and secrets in %s are sealed with it; put it back, or set CHATCONF_KEYRING"
		return nil, fmt.Errorf(missing, path, where)
	case err != nil:
		return nil, err
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// makeFirstKey stores an access key of the administrator: that of the settings, else that of the
// key file, which an earlier start may have written, else a new one. The file is written before the
// table, so that the next start completes one that was interrupted.
func (l *Local) makeFirstKey(ctx context.Context, s Settings, key AccessKey) error {
	if s.AccessKeyID != "" {
		key = AccessKey{ID: s.AccessKeyID, Secret: s.AccessKeySecret}
	}
	if key.ID == "" {
		var err error
		if key.ID, key.Secret, err = accesskey.Draw(rand.Reader); err != nil {
			return err
		}
	}
	first := administrator(s, key)
	if err := first.Check(); err != nil {
		return err
	}
	if err := writeAccessKey(l.KeyFile, key); err != nil {
		return fmt.Errorf("the first start could not write the access key: %w", err)
	}
	l.AccessKeyID = key.ID
	_, err := l.Keys.Create(ctx, first)
	if fault.CodeOf(err) != fault.AlreadyExists {
		return err
	}
	there, err := l.Keys.Find(ctx, key.ID) // created by a start that was interrupted right after
	if err != nil {
		return err
	}
	if there.Secret != key.Secret {
		const other = "access key %s exists with another secret: set that secret, or remove %s and use another key"
		return fmt.Errorf(other, key.ID, l.KeyFile)
	}
	return nil
}

// An AccessKey is the content of the key file of a data directory.
type AccessKey struct {
	ID     string
	Secret secret.Text
}

// ReadAccessKey reads the administrator's access key of a data directory. Its error is
// fs.ErrNotExist if none exists.
func ReadAccessKey(data string) (AccessKey, error) {
	path := filepath.Join(data, AccessKeyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return AccessKey{}, err
	}
	var in struct{ AccessKeyId, AccessKeySecret string }
	if err := json.Unmarshal(text, &in); err != nil || in.AccessKeyId == "" || in.AccessKeySecret == "" {
		return AccessKey{}, fmt.Errorf("%s: not a JSON object with AccessKeyId and AccessKeySecret", path)
	}
	return AccessKey{ID: in.AccessKeyId, Secret: secret.Text(in.AccessKeySecret)}, nil
}

// ForgetAccessKey removes the key file of a data directory if it holds the access key with the
// given id. So a deleted key does not come back with a later start that finds no key at all.
func ForgetAccessKey(data, id string) error {
	key, err := ReadAccessKey(data)
	if errors.Is(err, fs.ErrNotExist) || err == nil && key.ID != id {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(filepath.Join(data, AccessKeyFile))
}

// ReadOrMakeAccessKey reads the access key of a data directory. If none exists, it makes one,
// and the directory.
func ReadOrMakeAccessKey(data string) (AccessKey, error) {
	key, err := ReadAccessKey(data)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key.ID, key.Secret, err = accesskey.Draw(rand.Reader); err != nil {
		return AccessKey{}, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return AccessKey{}, err
	}
	return key, writeAccessKey(filepath.Join(data, AccessKeyFile), key)
}

func writeAccessKey(path string, key AccessKey) error {
	text, err := json.MarshalIndent(struct{ AccessKeyId, AccessKeySecret string }{key.ID, key.Secret.Reveal()},
		"", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(text, '\n'))
}

// ReadEndpoint returns where the service on a data directory listens, or last listened. It returns
// an error if others may read the file. A service never writes such a file, but a cloned repository
// may contain one. Requests with secrets would then go to the address in it.
func ReadEndpoint(data string) (string, error) {
	path := filepath.Join(data, endpointFile)
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("%s has the mode %#o, and 'chatconf serve' writes it with 0600; if another program "+
			"made the file, remove it, or name the service with --endpoint", path, mode)
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// WriteFile writes a file that only its owner can read, whole or not at all. It is on disk when
// WriteFile returns.
func WriteFile(path string, text []byte) error { return writeFileSync(path, text, true) }

func writeFileSync(path string, text []byte, sync bool) error {
	return fillFile(path, sync, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// createTemp is os.CreateTemp, but for tests.
var createTemp = os.CreateTemp

// fillFile is WriteFile with a function that writes the content.
func fillFile(path string, sync bool, fill func(*os.File) error) error {
	f, err := createTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once the file has its name
	reached("created")
	err = fill(f)
	if err == nil && sync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	reached("synced")
	if err := os.Rename(f.Name(), path); err != nil || !sync {
		return err
	}
	reached("renamed")
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close()) // or a power cut may undo the rename
}

// Listen listens on an address, with TLS if there is a certificate, and returns the URL for this
// machine. It logs when other machines can reach the address without TLS. The certificate is nil
// without TLS.
func Listen(addr, certFile, keyFile string, log *slog.Logger) (
	l net.Listener, endpoint string, cert *serve.Certificate, err error,
) {
	if certFile != "" {
		if cert, err = serve.OpenCertificate(certFile, keyFile, log); err != nil {
			return nil, "", nil, err
		}
	}
	if l, err = net.Listen("tcp", addr); err != nil {
		return nil, "", nil, err
	}
	host, port, loopback := reachable(l.Addr())
	if cert != nil {
		return cert.Listen(l), "https://" + net.JoinHostPort(cert.Host(host), port), cert, nil
	}
	if !loopback {
		warnOpen(log, l.Addr())
	}
	return l, "http://" + net.JoinHostPort(host, port), nil, nil
}

// warnOpen logs that other machines can reach an address that has no TLS.
func warnOpen(log *slog.Logger, addr net.Addr) {
	log.Warn("other machines can reach the service, and what they send can be read on its way",
		"address", addr.String(),
		"advice", "give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that ends TLS")
}

// reachable returns the host and port at which this machine reaches a listener, and whether no
// other machine can. For a listener on all addresses the host is the loopback address.
func reachable(addr net.Addr) (host, port string, loopback bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String(), "", false // net.Listen of "tcp" has no others
	}
	if port = strconv.Itoa(tcp.Port); tcp.IP.IsUnspecified() {
		return "127.0.0.1", port, false
	}
	return (&net.IPAddr{IP: tcp.IP, Zone: tcp.Zone}).String(), port, tcp.IP.IsLoopback()
}

// Started describes a local service that listens.
type Started struct {
	Endpoint    string
	AccessKeyID string
	KeyFile     string
	First       bool
	// the file of a certificate that clients must be given, since the roots of this machine refuse
	// it
	Certificate string
}

// ServeLocal serves a role on the data directory and the address of the settings until ctx ends. It
// calls started once, when requests are answered.
func ServeLocal(ctx context.Context, s Settings, started func(Started), r Role) error {
	return Serve(ctx, s, started, func(s Settings) (Opened, error) { return opened(OpenLocal(ctx, s, r)) })
}

// ServeTables is ServeLocal with the data in other tables, which it closes at its end.
func ServeTables(ctx context.Context, s Settings, t Tables, started func(Started), r Role) error {
	tried := false
	err := Serve(ctx, s, started, func(s Settings) (Opened, error) {
		tried = true
		return opened(OpenTables(ctx, s, t, r))
	})
	if !tried {
		err = errors.Join(err, t.Close())
	}
	return err
}

// An Opened is a service that answers requests until it is closed, and its first access key as in
// Local.
type Opened struct {
	http.Handler
	io.Closer
	BodySize    int64 // how much memory a request with a body takes, in bytes
	AccessKeyID string
	KeyFile     string
	First       bool
	ReadOnly    error // why the data cannot be written; nil: it can
}

// bodySize is how much memory a request takes, in bytes: the largest body of a callback, and its
// parts.
const bodySize = 4 * webhook.MaxBody

func opened(l *Local, err error) (Opened, error) {
	if err != nil {
		return Opened{}, err
	}
	var readOnly error
	if l.File != nil {
		readOnly = l.File.ReadOnly()
	}
	return Opened{l.Handler, l, bodySize, l.AccessKeyID, l.KeyFile, l.First, readOnly}, nil
}

// Serve serves the service that open opens, and closes it at the end. It tells open the URL of the
// service in the settings, for Outputs. It calls started once, when requests are answered.
func Serve(ctx context.Context, s Settings, started func(Started), open func(Settings) (Opened, error)) (err error) {
	logger, flush := NewServerLogger(s.log())
	defer flush()
	listener, endpoint, cert, err := Listen(s.Addr, s.TLSCert, s.TLSKey, logger)
	if err != nil {
		return err
	}
	if s.WebhookBaseURL == "" {
		s.WebhookBaseURL = endpoint
	}
	o, err := open(s)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.ReadOnly != nil {
		logger.Warn("the data cannot be written: reads are served, and changes are answered with ServiceUnavailable",
			"error", o.ReadOnly)
	}
	// Not synced: after a crash the next start writes it again.
	if err := writeFileSync(filepath.Join(s.Data, endpointFile), []byte(endpoint+"\n"), false); err != nil {
		logger.Warn("the tool does not find the service by itself: give it --endpoint and an access key",
			"endpoint", endpoint, "error", err)
	}
	said := Started{Endpoint: endpoint, AccessKeyID: o.AccessKeyID, KeyFile: o.KeyFile, First: o.First}
	if cert != nil && !cert.IsTrusted() {
		said.Certificate = s.TLSCert
	}
	started(said)
	return serve.HTTP(ctx, listener, o.Handler, logger, s.Limits(o.BodySize))
}
