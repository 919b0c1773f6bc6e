package app

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/dial"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

// Settings are all that the environment decides. The zero value of a field means its default.
type Settings struct {
	KeyRing           secret.Text       // CHATCONF_KEYRING: JSON, or file:PATH, or kms:BASE64
	Table             string            // CHATCONF_TABLE, default chatconf
	TicketTable       string            // CHATCONF_TICKET_TABLE, default chatconf_tickets
	JournalTable      string            // CHATCONF_JOURNAL_TABLE, default chatconf_journal
	KeyTable          string            // CHATCONF_KEY_TABLE, default chatconf_keys
	KeyUseTable       string            // CHATCONF_KEY_USE_TABLE, default chatconf_key_uses
	JournalAge        time.Duration     // CHATCONF_JOURNAL_DAYS, default chat.DefaultRetention
	DispatchFunction  string            // CHATCONF_DISPATCH_FUNCTION: the function dispatch-command, as the cloud knows it
	AccountID         string            // CHATCONF_ACCOUNT_ID, default DefaultAccountID
	Region            string            // CHATCONF_REGION, default cn-hangzhou
	WebhookBaseURL    string            // CHATCONF_WEBHOOK_BASE_URL
	Hosts             []string          // CHATCONF_HOSTS, comma-separated
	MaxConfigurations int               // CHATCONF_MAX_CONFIGURATIONS, default chat.DefaultQuota
	RequestsPerSecond float64           // CHATCONF_REQUESTS_PER_SECOND per access key, default no limit
	MaxConnections    int               // CHATCONF_MAX_CONNECTIONS of a local server at once, default see serve.DefaultLimits
	MaxBodies         int               // CHATCONF_MAX_BODIES of a local server at once, default see serve.DefaultLimits
	AccessKeyID       string            // CHATCONF_ACCESS_KEY_ID, of the first start
	AccessKeySecret   secret.Text       // CHATCONF_ACCESS_KEY_SECRET, of the first start
	EventPolicy       *policy.Policy    // CHATCONF_EVENT_POLICY: what events may do, as JSON; nil is everything
	TargetNetworks    dial.Networks     // CHATCONF_TARGET_NETWORKS: that targets may be in, in addition to the public Internet, comma-separated
	PlatformAddresses map[string]string // CHATCONF_PLATFORM_ADDRESSES: host=address, comma-separated; what is connected to by the host's host:port
	Roots             string            // CHATCONF_ROOTS: PEM file
	Data              string            // CHATCONF_DATA, the directory of the local target, default .chatconf
	Addr              string            // CHATCONF_ADDR, where the local target listens, default 127.0.0.1:9000
	TLSCert           string            // CHATCONF_TLS_CERT: PEM file with the local target's certificate; empty is no TLS
	TLSKey            string            // CHATCONF_TLS_KEY: PEM file with its private key
}

// Journal returns the name of the journal's table, and its time to live.
func (s Settings) Journal() (name string, age time.Duration) {
	name, age = s.JournalTable, s.JournalAge
	if name == "" {
		name = DefaultJournal
	}
	if age == 0 {
		age = chat.DefaultRetention
	}
	return name, age
}

// Limits returns what a server of the settings holds at once, for requests that take up to bodySize bytes of memory each.
func (s Settings) Limits(bodySize int64) serve.Limits {
	limits := serve.DefaultLimits(bodySize)
	limits.Connections = cmp.Or(s.MaxConnections, limits.Connections)
	limits.Bodies = cmp.Or(s.MaxBodies, limits.Bodies)
	return limits
}

// KeyTables returns the names of the tables of access keys and of their use.
func (s Settings) KeyTables() (keys, uses string) {
	return cmp.Or(s.KeyTable, DefaultKeys), cmp.Or(s.KeyUseTable, DefaultKeyUses)
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

// ReadSettings reads the settings from an environment, in which the given names are set. The error lists every mistake in them, each with the
// variable's name, and no secret; a name that begins as ours and is none is an *UnknownSetting.
func ReadSettings(getenv func(string) string, names ...string) (Settings, error) {
	s, mistakes := readSettings(getenv, names)
	if len(mistakes) > 0 {
		return Settings{}, mistaken(mistakes)
	}
	return s, nil
}

// mistaken returns mistakes in the settings as one error.
func mistaken(mistakes []error) error { return fmt.Errorf("settings: %w", errors.Join(mistakes...)) }

// list returns what stands between commas, without spaces around it, and without what is empty.
func list(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// readSettings is ReadSettings for who has more to say of what is wrong.
func readSettings(environment func(string) string, names []string) (_ Settings, mistakes []error) {
	known := make(map[string]bool)
	getenv := func(name string) string {
		known[name] = true
		return environment(name)
	}
	wrong := func(name, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
	}
	text := func(name, otherwise string) string {
		if value := getenv(name); value != "" {
			return value
		}
		return otherwise
	}
	s := Settings{
		KeyRing:          secret.Text(getenv("CHATCONF_KEYRING")),
		Table:            text("CHATCONF_TABLE", DefaultTable),
		TicketTable:      text("CHATCONF_TICKET_TABLE", DefaultTickets),
		JournalTable:     text("CHATCONF_JOURNAL_TABLE", DefaultJournal),
		KeyTable:         text("CHATCONF_KEY_TABLE", DefaultKeys),
		KeyUseTable:      text("CHATCONF_KEY_USE_TABLE", DefaultKeyUses),
		AccountID:        text("CHATCONF_ACCOUNT_ID", DefaultAccountID),
		Region:           text("CHATCONF_REGION", DefaultRegion),
		WebhookBaseURL:   getenv("CHATCONF_WEBHOOK_BASE_URL"),
		DispatchFunction: getenv("CHATCONF_DISPATCH_FUNCTION"),
		Roots:            getenv("CHATCONF_ROOTS"),
		AccessKeyID:      getenv("CHATCONF_ACCESS_KEY_ID"),
		AccessKeySecret:  secret.Text(getenv("CHATCONF_ACCESS_KEY_SECRET")),
		Data:             text("CHATCONF_DATA", DefaultData),
		Addr:             text("CHATCONF_ADDR", DefaultAddr),
		TLSCert:          getenv("CHATCONF_TLS_CERT"),
		TLSKey:           getenv("CHATCONF_TLS_KEY"),
	}
	if err := chat.CheckRegion(s.Region); err != nil {
		wrong("CHATCONF_REGION", "%w", err)
	}
	if s.WebhookBaseURL != "" {
		if err := chat.CheckBaseURL(s.WebhookBaseURL); err != nil {
			wrong("CHATCONF_WEBHOOK_BASE_URL", "%w", err)
		}
	}
	if _, _, err := net.SplitHostPort(s.Addr); err != nil {
		wrong("CHATCONF_ADDR", "%q is no address; wanted host:port, such as %s", s.Addr, DefaultAddr)
	}
	tables := [...]struct{ variable, name string }{
		{"CHATCONF_TABLE", s.Table},
		{"CHATCONF_TICKET_TABLE", s.TicketTable},
		{"CHATCONF_JOURNAL_TABLE", s.JournalTable},
		{"CHATCONF_KEY_TABLE", s.KeyTable},
		{"CHATCONF_KEY_USE_TABLE", s.KeyUseTable},
	}
	for i, t := range tables {
		for _, other := range tables[:i] {
			if t.name == other.name {
				wrong(t.variable, "%q is %s too; write another name, such as %[1]s_2", t.name, other.variable)
			}
		}
	}
	if value := getenv("CHATCONF_JOURNAL_DAYS"); value != "" {
		days, err := strconv.Atoi(value)
		s.JournalAge = time.Duration(min(max(days, 0), 1e5)) * 24 * time.Hour
		if err != nil || chat.CheckRetention(s.JournalAge) != nil {
			wrong("CHATCONF_JOURNAL_DAYS", "%q is no age; wanted a whole number from 2 to 3650", value)
		}
	}
	if strings.Trim(s.AccountID, "0123456789") != "" || len(s.AccountID) > 32 {
		wrong("CHATCONF_ACCOUNT_ID", "%q is no account; wanted 1 to 32 digits", s.AccountID)
	}
	if (s.AccessKeyID == "") != (s.AccessKeySecret == "") {
		wrong("CHATCONF_ACCESS_KEY_ID", "wanted together with CHATCONF_ACCESS_KEY_SECRET, or neither of them")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		wrong("CHATCONF_TLS_CERT", "set it together with CHATCONF_TLS_KEY, or neither of them")
	}
	for _, host := range list(getenv("CHATCONF_HOSTS")) {
		if strings.ContainsAny(host, "/ @?#") {
			wrong("CHATCONF_HOSTS", "%q is no host; wanted a list such as chatconf.example.com,chatconf.example.com:8443", host)
			continue
		}
		s.Hosts = append(s.Hosts, host)
	}
	for _, text := range list(getenv("CHATCONF_TARGET_NETWORKS")) {
		network, err := netip.ParsePrefix(text)
		if err != nil || network != network.Masked() || network.Addr().Is4In6() {
			wrong("CHATCONF_TARGET_NETWORKS", "%q is no network; wanted a list such as 10.1.0.0/16,fd00::/8", text)
			continue
		}
		s.TargetNetworks = append(s.TargetNetworks, network)
	}
	for _, text := range list(getenv("CHATCONF_PLATFORM_ADDRESSES")) {
		host, address, _ := strings.Cut(text, "=")
		at, port, err := net.SplitHostPort(address)
		if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil || at == "" || host == "" || strings.ContainsAny(host, "/ @?#:") {
			wrong("CHATCONF_PLATFORM_ADDRESSES", "%q is no host and its address; wanted a list such as open.feishu.cn=127.0.0.1:8443,slack.com=127.0.0.1:8443", text)
			continue
		}
		if s.PlatformAddresses == nil {
			s.PlatformAddresses = make(map[string]string)
		}
		s.PlatformAddresses[net.JoinHostPort(host, "443")] = address
	}
	number := func(name, what string) int {
		value := getenv(name)
		if value == "" {
			return 0
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			wrong(name, "%q is no %s; wanted a whole number from 1", value, what)
		}
		return n
	}
	s.MaxConfigurations = number("CHATCONF_MAX_CONFIGURATIONS", "quota")
	s.MaxConnections = number("CHATCONF_MAX_CONNECTIONS", "limit")
	s.MaxBodies = number("CHATCONF_MAX_BODIES", "limit")
	if value := getenv("CHATCONF_REQUESTS_PER_SECOND"); value != "" {
		rate, err := strconv.ParseFloat(value, 64)
		if err != nil || !(rate > 0 && rate <= 1e6) {
			wrong("CHATCONF_REQUESTS_PER_SECOND", "%q is no rate; wanted a number over 0, such as 50", value)
		}
		s.RequestsPerSecond = rate
	}
	if sealed, ok := strings.CutPrefix(s.KeyRing.Reveal(), sealedRing); ok {
		if _, err := base64.StdEncoding.Strict().DecodeString(sealed); err != nil || sealed == "" || len(sealed) > cloud.MaxSealed {
			wrong("CHATCONF_KEYRING", "what follows %s is not base64 of 1 to %d characters", sealedRing, cloud.MaxSealed)
		}
	}
	if text := getenv("CHATCONF_EVENT_POLICY"); text != "" {
		var err error
		if s.EventPolicy, err = policy.Parse([]byte(text)); err != nil {
			wrong("CHATCONF_EVENT_POLICY", "%w", err)
		}
	}
	return s, append(mistakes, unknownSettings(environment, names, known)...)
}
