package chat

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/table"
)

// ErrNoWebhook is the one error of OpenWebhook for a URL that is nobody's, whether there is no such configuration or the token is
// wrong. Why it was is in a *Unproven around it, for the log alone.
var ErrNoWebhook = errors.New("chat: no such webhook")

// Unproven is the ErrNoWebhook of one URL. Its sender must not learn which it was.
type Unproven struct {
	Reason string // "there is no such configuration" or "the token is wrong"
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
	Created  time.Time // tells it from another that had the name before it
	Active   bool      // Status
	Language string    // English or Chinese
	BotName  string
	RamRole  string // the configuration's own

	// Settings are the platform's settings that are given, secret or not, by key, and BotName. Under a key that ends in Previous is the secret
	// that is taken besides the one before it: what the Configuration says, or while its grace lasts, what a rotation replaced.
	Settings map[string]Secret

	Target      Target
	Permissions *Permissions
}

// Ref names the configuration.
func (e *Endpoint) Ref() Ref { return Ref{Account: e.Account, Region: e.Region, Name: e.Name} }

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

// OpenWebhook returns the configuration whose webhook has the given URL. It costs one Get. Token is compared in constant time, with the
// one that a rotation replaced too while its grace lasts.
//
// A URL that is nobody's is ErrNoWebhook, and takes the same work whether there is no such configuration or the token is wrong: the tokens of
// a decoy are unsealed where there are none, and of a configuration of any size they are kept as they were decoded first. Where a wrong
// token meets a configuration, its health will say so, without delay to this call. Other errors are *Error.
func (s *Service) OpenWebhook(ctx context.Context, account, region, name, token string) (*Endpoint, error) {
	decoy := s.decoy()
	ref := Ref{Account: account, Region: region, Name: name}
	c := ref.scope()
	known := validAccount(account) && validRegion(region) && checkName(name) == nil
	where := table.Key{Partition: c.partition(), Sort: configurationKey(name)}
	if !known {
		where = decoy.key
	}
	items, err := s.table.Get(ctx, where)
	if err != nil {
		return nil, storeError(ctx, "open webhook", err)
	}
	lock, whole := decoy.lock, (*record)(nil)
	if known = known && len(items) == 1; known {
		if lock, whole, err = s.lock(ref, items[0]); err != nil {
			return nil, storeError(ctx, "open webhook", err)
		}
	} else {
		c = decoy.scope
	}
	matches, err := s.matchesToken(c, lock, token, decoy)
	switch {
	case err != nil:
		return nil, storeError(ctx, "open webhook", err)
	case !known:
		return nil, &Unproven{"there is no such configuration"}
	case !matches:
		if s.journal != nil {
			s.journal.NoteLater(ctx, ref, Note{Counter: CountRefused, Step: stepToken, Reason: "the URL has another token"})
		}
		return nil, &Unproven{"the token is wrong"}
	}
	e, err := s.endpoint(ref, items[0], whole)
	if err != nil {
		return nil, storeError(ctx, "open webhook", err)
	}
	return e, nil
}

// matchesToken reports whether token is the record's, or the one before it while that is good. It unseals two tokens in any case.
func (s *Service) matchesToken(c scope, r *record, token string, d *decoy) (bool, error) {
	current, err := s.open(c, r, fieldWebhookToken)
	if err != nil {
		return false, err
	}
	if len(current) == 0 {
		return false, fmt.Errorf("chat: %q has no webhook token", r.Name)
	}
	place, old, good := c, r, 1
	if _, ok := r.Secrets[previousField(fieldWebhookToken)]; !ok || !r.Rotation.live(s.now()) {
		place, old, good = d.scope, d.lock, 0
	}
	before, err := s.open(place, old, previousField(fieldWebhookToken))
	if err != nil {
		return false, err
	}
	given := []byte(token)
	return subtle.ConstantTimeCompare(given, current)|subtle.ConstantTimeCompare(given, before)&good == 1, nil
}

// OpenConfiguration returns a configuration for whoever needs no proof, such as a function that hands commands on. It costs one Get.
//
// Errors: NotFound.
func (s *Service) OpenConfiguration(ctx context.Context, ref Ref) (*Endpoint, error) {
	c := ref.scope()
	items, err := s.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(ref.Name)})
	if err != nil {
		return nil, storeError(ctx, "open configuration", err)
	}
	if len(items) == 0 {
		return nil, notFound(ref.Name)
	}
	e, err := s.endpoint(ref, items[0], nil)
	if err != nil {
		return nil, storeError(ctx, "open configuration", err)
	}
	return e, nil
}

// maxEndpoints bounds the endpoints that a process keeps; beyond it, any may go.
const maxEndpoints = 1000

// endpoints are what records were made into, so that a record that did not change is not parsed and unsealed again. A record is
// still read each time.
type endpoints struct {
	mu    sync.Mutex
	cache map[Ref]madeEndpoint
}

type madeEndpoint struct {
	of    []byte    // the record as it was stored
	lock  *record   // what of it says who has the URL
	until time.Time // when it is to be made again; zero if never
	made  *Endpoint // nil: nobody has proven to have the URL since
}

// get returns what is kept of an item that did not change since.
func (e *endpoints) get(ref Ref, item table.Item) (madeEndpoint, bool) {
	e.mu.Lock()
	known, ok := e.cache[ref]
	e.mu.Unlock()
	return known, ok && bytes.Equal(known.of, item.Value)
}

// put keeps what a record was made into.
func (e *endpoints) put(ref Ref, known madeEndpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cache == nil {
		e.cache = make(map[Ref]madeEndpoint)
	}
	keep(e.cache, maxEndpoints, ref, known)
}

// lock returns what of a configuration says who has its URL, and all of it if it had to be decoded. What it returns is kept for who has not the
// URL, too: a large configuration is to cost them no more than one that is not there.
func (s *Service) lock(ref Ref, item table.Item) (lock, whole *record, err error) {
	if known, ok := s.endpoints.get(ref, item); ok {
		return known.lock, nil, nil
	}
	if whole, err = decodeRecord(item); err != nil {
		return nil, nil, err
	}
	lock = lockOf(whole)
	s.endpoints.put(ref, madeEndpoint{of: item.Value, lock: lock})
	return lock, whole, nil
}

// lockOf returns a record without what matchesToken does not look at.
func lockOf(r *record) *record {
	lock := &record{Name: r.Name, Rotation: r.Rotation, Secrets: make(map[string][]byte)}
	for _, field := range [...]string{fieldWebhookToken, previousField(fieldWebhookToken)} {
		if sealed, ok := r.Secrets[field]; ok {
			lock.Secrets[field] = sealed
		}
	}
	return lock
}

// endpoint returns what an item is made into, whose record is given if it is decoded already.
func (s *Service) endpoint(ref Ref, item table.Item, r *record) (*Endpoint, error) {
	known, ok := s.endpoints.get(ref, item)
	if ok && known.made != nil && (known.until.IsZero() || s.now().Before(known.until)) {
		return known.made, nil
	}
	var err error
	if r == nil {
		if r, err = decodeRecord(item); err != nil {
			return nil, err
		}
	}
	e, err := s.makeEndpoint(ref.scope(), r)
	if err != nil {
		return nil, err
	}
	known = madeEndpoint{of: item.Value, lock: lockOf(r), made: e}
	if r.Rotation.live(s.now()) {
		known.until = r.Rotation.Until
	}
	s.endpoints.put(ref, known)
	return e, nil
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
		Created:     r.Created,
		Active:      r.Status == StatusActive,
		Language:    textOf(root, keyLanguage, English),
		BotName:     textOf(root, keyBotName, ""),
		RamRole:     r.RamRole,
		Settings:    make(map[string]Secret),
		Target:      newTarget(root, Secret(target)),
		Permissions: newPermissions(r, p, root),
	}
	if e.BotName != "" {
		e.Settings[keyBotName] = Secret(e.BotName)
	}
	for _, setting := range p.Settings {
		n := root.Get(setting.Key)
		switch {
		case n == nil:
			continue
		case !setting.Secret:
			e.Settings[setting.Key] = Secret(n.Text)
			continue
		}
		secret, err := s.open(c, r, setting.Key)
		if err != nil {
			return nil, err
		}
		e.Settings[setting.Key] = Secret(secret)
	}
	if !r.Rotation.live(s.now()) {
		return e, nil
	}
	for _, field := range r.Rotation.Fields {
		secret, err := s.open(c, r, previousField(field))
		if err != nil {
			return nil, err
		}
		if field != fieldWebhookToken && len(secret) > 0 {
			e.Settings[field+Previous] = Secret(secret)
		}
	}
	return e, nil
}

// A decoy is a configuration that is nobody's, to be worked on where there is none.
type decoy struct {
	scope scope
	key   table.Key
	lock  *record
}

// newDecoy makes the decoy of this process. Its tokens are random, and not even this process knows them.
func (s *Service) newDecoy() *decoy {
	const name = "acs-decoy" // no configuration can have the name
	d := &decoy{scope: scope{caller: &nobody, account: "0", region: s.region}}
	d.key = table.Key{Partition: d.scope.partition(), Sort: configurationKey(name)}
	d.lock = &record{Name: name, Secrets: make(map[string][]byte)}
	for _, field := range [...]string{fieldWebhookToken, previousField(fieldWebhookToken)} {
		sealed, err := s.ring.Seal(d.scope.place(name, field), []byte(rand.Text()[:22]))
		if err != nil {
			panic("chat: seal decoy: " + err.Error()) // only of an empty place or a text that is too long
		}
		d.lock.Secrets[field] = sealed
	}
	return d
}
