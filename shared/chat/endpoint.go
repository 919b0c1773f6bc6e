package chat

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// ErrNoWebhook is the one error of OpenWebhook for a URL that opens no configuration: there is no
// such configuration, or the token is wrong. Which of them it was is in the *Unproven around it,
// for log and health only.
var ErrNoWebhook = errors.New("chat: no such webhook")

// Unproven is the ErrNoWebhook of one URL. Its sender gets the same answer in both cases.
type Unproven struct {
	Reason string // "there is no such configuration" or "the token is wrong"
	Of     Ref    // the configuration whose token is another one; zero if there is no such configuration
}

// Error returns the reason.
func (e *Unproven) Error() string { return ErrNoWebhook.Error() + ": " + e.Reason }

// Unwrap returns ErrNoWebhook.
func (e *Unproven) Unwrap() error { return ErrNoWebhook }

// An Endpoint is one revision of one configuration as the data plane needs it, its secrets unsealed. It never changes, and the same
// revision may be the same Endpoint again. It shows no secret in fmt, JSON and slog.
type Endpoint struct {
	Account  string
	Region   string
	Name     string
	Type     string // of the platform
	Revision int64
	Life     string // another one each time that the name is created; empty where it was made before there were any
	Created  time.Time
	Active   bool   // Status
	Language string // English or Chinese
	BotName  string
	RamRole  string // the configuration's own

	// Settings are the platform's settings that are given, secret or not, by key, and BotName. Under a key that ends in Previous is the secret
	// that is taken besides the one before it: what the Configuration says, or while its grace lasts, what a rotation replaced.
	Settings map[string]secret.Text

	Target      Target
	Permissions *Permissions
}

// Ref names the configuration, in this life of its name.
func (e *Endpoint) Ref() Ref {
	return Ref{Account: e.Account, Region: e.Region, Name: e.Name, Life: e.Life}
}

// LogValue returns what a log may show.
func (e *Endpoint) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", e.Name), slog.String("type", e.Type), slog.Int64("revision", e.Revision))
}

// Command makes a command of a message that the platform's receiver read. One that is none, or of
// which something could not be read, is a *CommandError, and what is known of it is returned with
// it, without Name and Arguments.
func (e *Endpoint) Command(m *Message) (Command, error) {
	out := Command{
		Account:       e.Account,
		Region:        e.Region,
		Configuration: e.Name,
		Platform:      e.Type,
		Conversation:  m.Conversation,
		Direct:        m.Direct,
		User:          m.User,
		UserName:      m.UserName,
		Groups:        e.Permissions.Groups(m.User),
		MessageID:     m.ID,
		EventID:       m.EventID,
		Edit:          m.Edit,
		Sent:          m.Sent,
		Text:          m.Text,
	}
	if m.Unread != "" {
		out.Problem = unreadProblem(m.Unread)
	} else {
		out.Name, out.Arguments, out.Problem = ParseCommand(m.Text)
	}
	return out, out.Problem
}

// Decide returns whether the command may run. Of a message that is none, the reason says why.
func (e *Endpoint) Decide(c Command) Decision {
	out := e.Permissions.Decide(c.User, c.Conversation, c.Name)
	var problem *CommandError
	if out.Cause == CauseCommand && errors.As(c.Problem, &problem) {
		out.Reason = problem.Sentence(e.Language)
	}
	return out
}

// Reply returns what to tell who gave a command that was decided so: that it was accepted, what a built-in command has to say, or
// that it was refused, with the ids and the statement that an administrator would need to grant it. A user's own words are in it,
// so it is to be shown as plain text.
func (e *Endpoint) Reply(c Command, d Decision) string {
	say := func(p phrase, fill ...string) string {
		return sentenceIn(e.Language, p, append(fill, "name", e.Name, "user", c.User, "conversation", c.Conversation, "command", c.Name)...)
	}
	who := func() string {
		lines := []string{say(saidWho)}
		if len(c.Groups) > 0 {
			lines = append(lines, say(saidGroups, "groups", strings.Join(c.Groups, comma(e.Language))))
		}
		return strings.Join(lines, "\n")
	}
	switch {
	case d.Cause == CauseBuiltIn && c.Name == CommandWhoAmI:
		return who()
	case d.Cause == CauseBuiltIn:
		return strings.Join(e.help(c), "\n")
	case d.Allowed:
		return say(saidAccepted)
	case d.Cause == CauseDefault:
		return strings.Join([]string{say(saidDenied), who(), say(saidGrant, "grant", grant(c))}, "\n")
	case d.Cause == CauseStatement:
		return strings.Join([]string{say(saidDenied), d.Reason, who()}, "\n")
	case d.Cause == CauseConversation:
		return strings.Join([]string{d.Reason, who(), say(saidJoin)}, "\n")
	}
	return d.Reason
}

// Undelivered returns what to tell who gave a command that was accepted, and then was not taken by the target. id is the record's.
func (e *Endpoint) Undelivered(c Command, id string) string {
	return sentenceIn(e.Language, saidUndelivered, "command", c.Name, "name", e.Name, "id", id)
}

// help says what the asker may run here, and nothing of what others may.
func (e *Endpoint) help(c Command) []string {
	var lines []string
	list := func(p phrase, commands []string) {
		if len(commands) > 0 {
			lines = append(lines, sentenceIn(e.Language, p, "commands", strings.Join(commands, comma(e.Language))))
		}
	}
	may := e.Permissions.Runnable(c.User, c.Conversation)
	list(saidCommands, may.Commands)
	list(saidExcept, may.Except)
	if len(may.Commands) == 0 {
		lines = append(lines, sentenceIn(e.Language, saidNothing))
	}
	if may.More {
		lines = append(lines, sentenceIn(e.Language, saidMore))
	}
	return append(lines, sentenceIn(e.Language, saidBuiltIn))
}

// grant returns the statement that would allow a command to its user where it was given.
func grant(c Command) string {
	var b bytes.Buffer
	b.WriteString(`{"Effect":"Allow","Principals":[`)
	document.WriteString(&b, "user:"+c.User)
	b.WriteString(`],"Commands":[`)
	document.WriteString(&b, c.Name)
	b.WriteString(`],"Conversations":[`)
	document.WriteString(&b, c.Conversation)
	b.WriteString(`]}`)
	return b.String()
}

// OpenWebhook returns the configuration whose webhook has the given URL. It costs one Get, and none
// for a URL whose parts cannot be. The token, 128 bits of chance, is compared in constant time; the
// one that a rotation replaced is good too during its grace time.
//
// A URL that opens no configuration is an *Unproven, which is ErrNoWebhook. Names are no secret, so
// nothing hides by the time it takes whether there is a configuration. Other errors are *Error.
func (s *Service) OpenWebhook(ctx context.Context, account, region, name, token string) (*Endpoint, error) {
	unknown := &Unproven{Reason: "there is no such configuration"}
	if !validAccount(account) || !validRegion(region) || checkName(name) != nil {
		return nil, unknown
	}
	known, err := s.endpoint(ctx, Ref{Account: account, Region: region, Name: name})
	switch {
	case CodeOf(err) == NotFound:
		return nil, unknown
	case err != nil:
		return nil, storeError(ctx, "open webhook", err)
	case !known.opens(token):
		return nil, &Unproven{Reason: "the token is wrong", Of: known.made.Ref()}
	}
	return known.made, nil
}

// OpenConfiguration returns a configuration to a caller that needs no proof, such as a function
// that dispatches commands. It costs one Get.
//
// Errors: NotFound.
func (s *Service) OpenConfiguration(ctx context.Context, ref Ref) (*Endpoint, error) {
	known, err := s.endpoint(ctx, ref)
	if err != nil {
		return nil, storeError(ctx, "open configuration", err)
	}
	return known.made, nil
}

// maxEndpoints bounds the endpoints that a process keeps; beyond it, any may go.
const maxEndpoints = 1000

// endpoints are what records were made into, so that a record that did not change is not parsed and
// unsealed again. A record is still read each time. A request with a wrong token makes one too: the
// next then costs a comparison.
type endpoints struct {
	mu    sync.Mutex
	cache map[Ref]madeEndpoint
}

type madeEndpoint struct {
	of     []byte    // the record as it was stored
	until  time.Time // when it must be made again; zero if never
	tokens [][]byte  // of the webhook's URL: the present one, and the one before while it is good
	made   *Endpoint
}

// opens reports whether token is one of the webhook's.
func (m *madeEndpoint) opens(token string) bool {
	found := 0
	for _, good := range m.tokens {
		found |= subtle.ConstantTimeCompare(good, []byte(token))
	}
	return found == 1
}

// endpoint reads a configuration and returns what it is made into. Errors: NotFound.
func (s *Service) endpoint(ctx context.Context, ref Ref) (*madeEndpoint, error) {
	ref = Ref{Account: ref.Account, Region: ref.Region, Name: ref.Name}
	c := ref.scope()
	items, err := s.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(ref.Name)})
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, notFound(ref.Name)
	}
	s.endpoints.mu.Lock()
	known, ok := s.endpoints.cache[ref]
	s.endpoints.mu.Unlock()
	if ok && bytes.Equal(known.of, items[0].Value) && (known.until.IsZero() || s.now().Before(known.until)) {
		return &known, nil
	}
	r, err := decodeRecord(items[0])
	if err != nil {
		return nil, err
	}
	known = madeEndpoint{of: items[0].Value}
	if known.made, err = s.makeEndpoint(c, r); err != nil {
		return nil, err
	}
	if known.tokens, err = s.webhookTokens(c, r); err != nil {
		return nil, err
	}
	if r.Rotation.live(s.now()) {
		known.until = r.Rotation.Until
	}
	s.endpoints.mu.Lock()
	defer s.endpoints.mu.Unlock()
	if s.endpoints.cache == nil {
		s.endpoints.cache = make(map[Ref]madeEndpoint)
	}
	keep(s.endpoints.cache, maxEndpoints, ref, known)
	return &known, nil
}

// webhookTokens returns the tokens that are good in the URL of a configuration's webhook, the
// present one first.
func (s *Service) webhookTokens(c scope, r *record) ([][]byte, error) {
	current, err := s.open(c, r, fieldWebhookToken)
	if err != nil {
		return nil, err
	}
	if len(current) == 0 {
		return nil, fmt.Errorf("chat: %q has no webhook token", r.Name)
	}
	if !r.Rotation.live(s.now()) {
		return [][]byte{current}, nil
	}
	before, err := s.open(c, r, previousField(fieldWebhookToken))
	if err != nil || len(before) == 0 {
		return [][]byte{current}, err
	}
	return [][]byte{current, before}, nil
}

func (s *Service) makeEndpoint(c scope, r *record) (*Endpoint, error) {
	p, err := s.platformOf(r)
	if err != nil {
		return nil, err
	}
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	target, err := s.open(c, r, fieldTargetSecret)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		Account:     c.account,
		Region:      c.region,
		Name:        r.Name,
		Type:        r.Type,
		Revision:    r.Revision,
		Life:        r.life(),
		Created:     r.Created,
		Active:      r.Status == StatusActive,
		Language:    textOf(root, keyLanguage, English),
		BotName:     textOf(root, keyBotName, ""),
		RamRole:     r.RamRole,
		Settings:    make(map[string]secret.Text),
		Target:      newTarget(root, secret.Text(target)),
		Permissions: newPermissions(r, p, root),
	}
	if e.BotName != "" {
		e.Settings[keyBotName] = secret.Text(e.BotName)
	}
	for _, setting := range p.Settings {
		n := root.Get(setting.Key)
		switch {
		case n == nil:
			continue
		case !setting.Secret:
			e.Settings[setting.Key] = secret.Text(n.Text)
			continue
		}
		hidden, err := s.open(c, r, setting.Key)
		if err != nil {
			return nil, err
		}
		e.Settings[setting.Key] = secret.Text(hidden)
	}
	if !r.Rotation.live(s.now()) {
		return e, nil
	}
	for _, field := range r.Rotation.Fields {
		hidden, err := s.open(c, r, previousField(field))
		if err != nil {
			return nil, err
		}
		if field != fieldWebhookToken && len(hidden) > 0 {
			e.Settings[field+Previous] = secret.Text(hidden)
		}
	}
	return e, nil
}
