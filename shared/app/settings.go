package app

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

// Settings are all that the environment decides. The zero value of a field is its default.
type Settings struct {
	KeyRing           secret.Text       // CHATCONF_KEYRING: JSON, or file:PATH, or kms:BASE64
	Table             string            // CHATCONF_TABLE, default chatconf
	TicketTable       string            // CHATCONF_TICKET_TABLE, default chatconf_tickets
	JournalTable      string            // CHATCONF_JOURNAL_TABLE, default chatconf_journal
	KeyTable          string            // CHATCONF_KEY_TABLE, default chatconf_keys
	KeyUseTable       string            // CHATCONF_KEY_USE_TABLE, default chatconf_key_uses
	JournalAge        time.Duration     // CHATCONF_JOURNAL_DAYS, default journal.DefaultRetention
	DispatchFunction  string            // CHATCONF_DISPATCH_FUNCTION: dispatch-command by its name in the cloud
	AccountID         string            // CHATCONF_ACCOUNT_ID, default DefaultAccountID
	Region            string            // CHATCONF_REGION, default cn-hangzhou
	WebhookBaseURL    string            // CHATCONF_WEBHOOK_BASE_URL
	Hosts             []string          // CHATCONF_HOSTS, comma-separated
	MaxConfigurations int               // CHATCONF_MAX_CONFIGURATIONS, default chat.DefaultQuota
	History           int               // CHATCONF_HISTORY: revisions of a name, default chat.DefaultHistory
	RequestsPerSecond float64           // CHATCONF_REQUESTS_PER_SECOND per access key, default no limit
	MaxConnections    int               // CHATCONF_MAX_CONNECTIONS of a local server, default see serve.DefaultLimits
	MaxStreams        int               // CHATCONF_MAX_STREAMS: connections to platforms, default 1000
	MaxBodies         int               // CHATCONF_MAX_BODIES of a local server, default see serve.DefaultLimits
	AccessKeyID       string            // CHATCONF_ACCESS_KEY_ID, of the first start
	AccessKeySecret   secret.Text       // CHATCONF_ACCESS_KEY_SECRET, of the first start
	EventPolicy       *policy.Policy    // CHATCONF_EVENT_POLICY: what events may do, as JSON; nil: everything
	TargetNetworks    dial.Networks     // CHATCONF_TARGET_NETWORKS for targets, comma-separated
	Events            command.Target    // CHATCONF_EVENTS: where changes are announced, as JSON; empty: nowhere
	OwnRights         []string          // CHATCONF_OWN_RIGHTS: types of targets, comma-separated; see cloudTargets
	PlatformAddresses map[string]string // CHATCONF_PLATFORM_ADDRESSES: host=address, comma-separated; by host:port
	Roots             string            // CHATCONF_ROOTS: PEM file
	// PlatformRoots prove the servers at PlatformAddresses in place of Roots, if they are not nil.
	PlatformRoots  *dial.Roots
	Data           string // CHATCONF_DATA, the directory of a local service, default .chatconf
	Addr           string // CHATCONF_ADDR of a local service, default 127.0.0.1:9000
	TLSCert        string // CHATCONF_TLS_CERT: PEM file of a local service; empty: no TLS
	TLSKey         string // CHATCONF_TLS_KEY: PEM file with its private key
	Programs       string // CHATCONF_PROGRAMS: folder of the programs of a local service; empty: none
	ProgramsAtOnce int    // CHATCONF_PROGRAMS_AT_ONCE: how many run at the same time, default 4

	Log *os.File // of a local service; nil: standard error. It is no setting of the environment
}

// log returns where a local service writes its log.
func (s Settings) log() *os.File { return cmp.Or(s.Log, os.Stderr) }

func (s Settings) journalAge() time.Duration { return cmp.Or(s.JournalAge, journal.DefaultRetention) }

// Limits returns the limits of a server. A request takes up to bodySize bytes of memory.
func (s Settings) Limits(bodySize int64) serve.Limits {
	limits := serve.DefaultLimits(bodySize)
	limits.Connections = cmp.Or(s.MaxConnections, limits.Connections)
	limits.Bodies = cmp.Or(s.MaxBodies, limits.Bodies)
	return limits
}

// Defaults of the settings.
const (
	DefaultAccountID = "1000000000000000"
	DefaultRegion    = "cn-hangzhou"
	DefaultTable     = "chatconf"
	DefaultTickets   = "chatconf_tickets" // Tablestore allows no hyphen
	DefaultJournal   = "chatconf_journal"
	DefaultKeys      = "chatconf_keys"
	DefaultKeyUses   = "chatconf_key_uses"
	DefaultData      = ".chatconf"
	DefaultAddr      = "127.0.0.1:9000"
)

// ReadSettings reads the settings from an environment in which the given names are set. The error
// lists every mistake with the name of its variable, and no secret. An unknown name that begins
// with CHATCONF_ is an *UnknownSetting.
func ReadSettings(getenv func(string) string, names ...string) (Settings, error) {
	s, mistakes := readSettings(getenv, names)
	if len(mistakes) > 0 {
		return Settings{}, mistaken(mistakes)
	}
	return s, nil
}

// mistaken returns mistakes in the settings as one error.
func mistaken(mistakes []error) error { return fmt.Errorf("settings: %w", errors.Join(mistakes...)) }

// readSettings is ReadSettings for callers that add mistakes of their own.
func readSettings(getenv func(string) string, names []string) (Settings, []error) {
	r := &settingsReader{getenv: getenv, known: make(map[string]bool)}
	s := Settings{
		KeyRing:          secret.Text(r.get("CHATCONF_KEYRING")),
		Table:            r.text("CHATCONF_TABLE", DefaultTable),
		TicketTable:      r.text("CHATCONF_TICKET_TABLE", DefaultTickets),
		JournalTable:     r.text("CHATCONF_JOURNAL_TABLE", DefaultJournal),
		KeyTable:         r.text("CHATCONF_KEY_TABLE", DefaultKeys),
		KeyUseTable:      r.text("CHATCONF_KEY_USE_TABLE", DefaultKeyUses),
		AccountID:        r.text("CHATCONF_ACCOUNT_ID", DefaultAccountID),
		Region:           r.text("CHATCONF_REGION", DefaultRegion),
		WebhookBaseURL:   r.get("CHATCONF_WEBHOOK_BASE_URL"),
		DispatchFunction: r.get("CHATCONF_DISPATCH_FUNCTION"),
		Roots:            r.get("CHATCONF_ROOTS"),
		AccessKeyID:      r.get("CHATCONF_ACCESS_KEY_ID"),
		AccessKeySecret:  secret.Text(r.get("CHATCONF_ACCESS_KEY_SECRET")),
		Data:             r.text("CHATCONF_DATA", DefaultData),
		Addr:             r.text("CHATCONF_ADDR", DefaultAddr),
		TLSCert:          r.get("CHATCONF_TLS_CERT"),
		TLSKey:           r.get("CHATCONF_TLS_KEY"),
		Programs:         r.get("CHATCONF_PROGRAMS"),
	}
	r.check(s)
	r.checkKeyRing(s.KeyRing.Reveal())
	r.readTables(&s)
	r.readNetwork(&s)
	r.readLimits(&s)
	if text := r.get("CHATCONF_EVENTS"); text != "" {
		var err error
		if s.Events, err = chat.ParseEventTarget(text, s.TargetNetworks); err != nil {
			r.wrong("CHATCONF_EVENTS", "%w", err)
		}
	}
	if text := r.get("CHATCONF_EVENT_POLICY"); text != "" {
		var err error
		if s.EventPolicy, err = policy.Parse([]byte(text)); err != nil {
			r.wrong("CHATCONF_EVENT_POLICY", "%w", err)
		}
	}
	return s, append(r.mistakes, unknownSettings(getenv, names, r.known)...)
}

type settingsReader struct {
	getenv   func(string) string
	known    map[string]bool // the names that were read
	mistakes []error
}

func (r *settingsReader) wrong(name, format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

func (r *settingsReader) get(name string) string {
	r.known[name] = true
	return r.getenv(name)
}

func (r *settingsReader) text(name, otherwise string) string { return cmp.Or(r.get(name), otherwise) }

// list returns the items of a list with commas, without spaces around them and without empty ones.
func (r *settingsReader) list(name string) (items []string) {
	for item := range strings.SplitSeq(r.get(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// number returns a whole number from 1, or 0 if none.
func (r *settingsReader) number(name string) int {
	value := r.get(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		r.wrong(name, "invalid number %q; use a whole number from 1", value)
	}
	return n
}

func (r *settingsReader) history() int {
	const name = "CHATCONF_HISTORY"
	value := r.get(name)
	n, err := strconv.Atoi(value)
	if value != "" && (err != nil || n < chat.MinHistory || n > chat.MaxHistory) {
		r.wrong(name, "invalid number of revisions %q; use a whole number from %d to %d", value, chat.MinHistory,
			chat.MaxHistory)
	}
	return n
}

// CheckAddr returns an error unless a server can have addr as the address that it listens on.
func CheckAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("invalid address %q; write HOST:PORT, such as %s", addr, DefaultAddr)
	}
	return nil
}

func (r *settingsReader) check(s Settings) {
	if err := chat.CheckRegion(s.Region); err != nil {
		r.wrong("CHATCONF_REGION", "%w", err)
	}
	if s.WebhookBaseURL != "" {
		if err := chat.CheckBaseURL(s.WebhookBaseURL); err != nil {
			r.wrong("CHATCONF_WEBHOOK_BASE_URL", "%w", err)
		}
	}
	if err := CheckAddr(s.Addr); err != nil {
		r.wrong("CHATCONF_ADDR", "%w", err)
	}
	if strings.Trim(s.AccountID, "0123456789") != "" || len(s.AccountID) > 32 {
		r.wrong("CHATCONF_ACCOUNT_ID", "invalid account %q; use 1 to 32 digits", s.AccountID)
	}
	if (s.AccessKeyID == "") != (s.AccessKeySecret == "") {
		r.wrong("CHATCONF_ACCESS_KEY_ID", "set it together with CHATCONF_ACCESS_KEY_SECRET, or set neither")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		r.wrong("CHATCONF_TLS_CERT", "set it together with CHATCONF_TLS_KEY, or set neither")
	}
}

func (r *settingsReader) checkKeyRing(ring string) {
	sealed, ok := strings.CutPrefix(ring, sealedRing)
	if !ok {
		return
	}
	_, err := base64.StdEncoding.Strict().DecodeString(sealed)
	if err != nil || sealed == "" || len(sealed) > cloud.MaxSealed {
		r.wrong("CHATCONF_KEYRING", "the text after %s is not base64 of 1 to %d characters",
			sealedRing, cloud.MaxSealed)
	}
}

// readTables reads the age of the journal, and checks that each table has a name of its own.
func (r *settingsReader) readTables(s *Settings) {
	if value := r.get("CHATCONF_JOURNAL_DAYS"); value != "" {
		days, err := strconv.Atoi(value)
		s.JournalAge = time.Duration(min(max(days, 0), 1e5)) * 24 * time.Hour
		if err != nil || journal.CheckRetention(s.JournalAge) != nil {
			r.wrong("CHATCONF_JOURNAL_DAYS", "invalid number of days %q; use a whole number from 2 to 3650", value)
		}
	}
	tables := s.TableSettings()
	for i, t := range tables {
		for _, other := range tables[:i] {
			if t.Name == other.Name {
				r.wrong(t.Variable, "%q is also %s; use another name, such as %[1]s_2", t.Name, other.Variable)
			}
		}
	}
}

// readNetwork reads who may call the service, and whom it may call.
func (r *settingsReader) readNetwork(s *Settings) {
	for _, host := range r.list("CHATCONF_HOSTS") {
		if strings.ContainsAny(host, "/ @?#") {
			const use = "invalid host %q; use a list such as chatconf.example.com,chatconf.example.com:8443"
			r.wrong("CHATCONF_HOSTS", use, host)
			continue
		}
		s.Hosts = append(s.Hosts, host)
	}
	for _, text := range r.list("CHATCONF_TARGET_NETWORKS") {
		network, err := netip.ParsePrefix(text)
		if err != nil || network != network.Masked() || network.Addr().Is4In6() {
			r.wrong("CHATCONF_TARGET_NETWORKS", "invalid network %q; use a list such as 10.1.0.0/16,fd00::/8", text)
			continue
		}
		s.TargetNetworks = append(s.TargetNetworks, network)
	}
	for _, kind := range r.list("CHATCONF_OWN_RIGHTS") {
		if !slices.Contains(cloudTargets, kind) {
			r.wrong("CHATCONF_OWN_RIGHTS", "unknown target type %q; use a list of %s", kind,
				strings.Join(cloudTargets, ", "))
			continue
		}
		s.OwnRights = append(s.OwnRights, kind)
	}
	for _, text := range r.list("CHATCONF_PLATFORM_ADDRESSES") {
		host, address, ok := platformAddress(text)
		if !ok {
			const use = "invalid item %q; use a list such as open.feishu.cn=127.0.0.1:8443,slack.com=127.0.0.1:8443"
			r.wrong("CHATCONF_PLATFORM_ADDRESSES", use, text)
			continue
		}
		if s.PlatformAddresses == nil {
			s.PlatformAddresses = make(map[string]string)
		}
		s.PlatformAddresses[net.JoinHostPort(host, "443")] = address
	}
}

// platformAddress reads a host of a platform, and the address that is called in its place.
func platformAddress(text string) (host, address string, ok bool) {
	host, address, _ = strings.Cut(text, "=")
	at, port, err := net.SplitHostPort(address)
	if err != nil || at == "" || host == "" || strings.ContainsAny(host, "/ @?#:") {
		return "", "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, address, err == nil
}

func (r *settingsReader) readLimits(s *Settings) {
	s.MaxConfigurations = r.number("CHATCONF_MAX_CONFIGURATIONS")
	s.History = r.history()
	s.MaxConnections = r.number("CHATCONF_MAX_CONNECTIONS")
	s.MaxBodies = r.number("CHATCONF_MAX_BODIES")
	s.MaxStreams = r.number("CHATCONF_MAX_STREAMS")
	s.ProgramsAtOnce = r.number("CHATCONF_PROGRAMS_AT_ONCE")
	if value := r.get("CHATCONF_REQUESTS_PER_SECOND"); value != "" {
		rate, err := strconv.ParseFloat(value, 64)
		if err != nil || !(rate > 0 && rate <= 1e6) {
			r.wrong("CHATCONF_REQUESTS_PER_SECOND", "invalid rate %q; use a number over 0, such as 50", value)
		}
		s.RequestsPerSecond = rate
	}
}
