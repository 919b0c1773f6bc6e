package chat

import (
	"context"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
)

const actionListCommands = "ListChatCommands"

// ListCommandsRequest are the parameters of ListChatCommands. Without a Name they are about all
// bots.
type ListCommandsRequest struct {
	RegionID   string `param:"RegionId"`
	Name       string `param:"Name"`
	User       string `param:"User"`       // only of this user, in any case
	Command    string `param:"Command"`    // only of this name; may have '*' and '?'
	Decision   string `param:"Decision"`   // only Allowed or Denied
	State      string `param:"State"`      // only of operations in this state, such as Running
	Target     string `param:"Target"`     // only of this type, or type and name; may have '*' and '?'
	Since      string `param:"Since"`      // only from this date on, or this long ago: parseBound
	Until      string `param:"Until"`      // only before this date, or this long ago
	MaxResults *int64 `param:"MaxResults"` // 1 to MaxResults, default DefaultResults
	NextToken  string `param:"NextToken"`  // of the page before, for the same filters
}

// ListCommandsResponse is the answer of ListChatCommands.
type ListCommandsResponse struct {
	ChatCommands []ChatCommand
	// absent on the last page; a page may be short, even empty, and still have one
	NextToken  string `json:",omitempty"`
	MaxResults int64
}

// NextPageToken returns NextToken.
func (r *ListCommandsResponse) NextPageToken() string { return r.NextToken }

// ChatCommand is the record of a command.
type ChatCommand struct {
	Id             string
	Date           string
	Name           string // of the configuration
	Revision       int64  // of the configuration at the decision
	Platform       string
	ConversationId string
	Direct         bool
	UserId         string
	UserName       string
	Command        string
	Arguments      []string // likely secrets are masked as ******
	Decision       string   // Allowed or Denied
	Statement      *int     `json:",omitempty"` // index into Permissions of the one that decided
	StatementText  string   `json:",omitempty"`
	Reason         string
	RamRole        string
	Target         string
	Outcome        journal.Outcome
	Answered       bool
	Detail         string
	Attempts       int64
	// State is how far the operation of an allowed command is: Accepted, Running, Succeeded,
	// Failed, Cancelled, TimedOut or Unknown. It is empty for other commands, and in records from
	// before states were kept.
	State       journal.State
	ExecutionId string // the target's id of the operation, if it has one
	SessionName string // of the role's session that started it, if it ran under a role
	// milliseconds from the operation's start to its end, or until now; absent without a start
	Duration    *int64 `json:",omitempty"`
	Latency     int64  // milliseconds from the callback's arrival to the record
	SettledDate string // date of the outcome; empty if it was known at once, or is not known yet
	MessageId   string
	EventId     string `json:",omitempty"` // of the delivery, if the platform gives it a separate id
}

// ListCommands returns a page of commands, the latest first: ListChatCommands. With a Name, they
// are those of a bot in the present life of its name; after its deletion those of the last life,
// until the name is created again. The caller needs the permission for its last tags. Without a
// Name, they are those of all bots of the region. The caller needs the permission for all names,
// and sees only bots whose commands it may list by name.
//
// Errors: InvalidParameter, InvalidNextToken, NotFound, NoPermission, InvalidRegion, Unavailable
// without a journal.
func (s *Service) ListCommands(ctx context.Context, in *ListCommandsRequest) (*ListCommandsResponse, error) {
	sel, err := in.check(s)
	if err != nil {
		return nil, err
	}
	var c scope
	var ref command.Ref
	var begun time.Time
	there := true
	if in.Name == "" {
		c, ref, err = s.mayReadAll(ctx, in.RegionID, actionListCommands)
		sel.May = s.mayShow(c, actionListCommands)
	} else {
		var r *record
		c, r, there, err = s.mayRead(ctx, in.RegionID, in.Name, actionListCommands)
		if err == nil && r == nil {
			err = notFound(in.Name)
		}
		if err == nil {
			ref, begun = c.ref(r), r.begun()
		}
	}
	if err != nil {
		return nil, err
	}
	scope := append([]string{actionListCommands, c.account, c.region, ref.Name, ref.Life}, sel.scope()...)
	from, err := s.cursors.parse(in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	if s.journal == nil {
		return nil, noJournal()
	}
	sel.resume(from)
	sel.Since = later(sel.Since, begun)
	n := pageSize(in.MaxResults)
	found, next, err := s.journal.Find(ctx, ref, &sel.Selection, from.After, n)
	if err != nil {
		return nil, storeError(ctx, "list commands", err)
	}
	if !there && len(found) == 0 && next == "" && in.NextToken == "" {
		return nil, notFound(in.Name)
	}
	out := &ListCommandsResponse{ChatCommands: make([]ChatCommand, len(found)), MaxResults: int64(n)}
	for i, e := range found {
		out.ChatCommands[i] = showCommand(e, s.now())
	}
	if next != "" {
		out.NextToken = s.cursors.token(sel.cursor(next), scope)
	}
	return out, nil
}

// check returns what the filters select, or all mistakes of the request but those of NextToken.
func (in *ListCommandsRequest) check(s *Service) (*commandSelection, error) {
	var name error
	if in.Name != "" {
		name = checkName(in.Name)
	}
	sel, filters := parseCommandFilters(in, s.now())
	return sel, fault.Join(checkRegion(in.RegionID), name, checkPageSize(in.MaxResults), filters)
}

// mayReadAll returns the place of the records of all bots, if the caller has the permission for all
// names.
func (s *Service) mayReadAll(ctx context.Context, regionID, action string) (scope, command.Ref, error) {
	c, err := s.scope(ctx, regionID)
	if err != nil {
		return scope{}, command.Ref{}, err
	}
	return c, command.Ref{Account: c.account, Region: c.region}, c.authorize(ctx, action, "*", nil)
}

// maxGone is how many deleted bots are looked up in history for a page of commands.
const maxGone = 20

// mayShow returns a journal.Selection.May: a record is shown if it is of the last life of its name
// and the caller has the permission for the last tags of that life, as mayRead wants it. It costs
// one Get, and one Query for each deleted bot, at most maxGone.
func (s *Service) mayShow(c scope, action string) func(context.Context, []*journal.Record) ([]bool, error) {
	lives := make(map[string]*record) // by name; nil if the caller may not see it
	gone := 0
	return func(ctx context.Context, records []*journal.Record) ([]bool, error) {
		var names []string
		for _, e := range records {
			if _, known := lives[e.Name]; !known && !slices.Contains(names, e.Name) {
				names = append(names, e.Name)
			}
		}
		found, err := s.store.getAll(ctx, c, names)
		if err != nil {
			return nil, err
		}
		may := make([]bool, len(records))
		for i, e := range records {
			r, known := lives[e.Name]
			if !known {
				if r = found[e.Name]; r == nil {
					if gone++; gone > maxGone {
						return may[:i], nil
					}
					if r, err = s.store.lastRecord(ctx, c, e.Name); err != nil {
						return nil, err
					}
				}
				if !c.allows(actionPrefix+action, c.request(ctx, e.Name, r.tags())) {
					r = nil
				}
				lives[e.Name] = r
			}
			may[i] = r != nil && e.Life == r.life() && !e.Time.Before(r.begun())
		}
		return may, nil
	}
}

// A commandSelection is what the filters of ListChatCommands select.
type commandSelection struct {
	journal.Selection
	since, until bound
}

func parseCommandFilters(in *ListCommandsRequest, now time.Time) (*commandSelection, error) {
	sel := &commandSelection{Selection: journal.Selection{User: in.User, Command: command.FoldName(in.Command)}}
	var mistakes error
	if in.Decision != "" {
		for _, decision := range [...]string{journal.DecisionAllowed, journal.DecisionDenied} {
			if strings.EqualFold(in.Decision, decision) {
				sel.Decision = decision
			}
		}
		if sel.Decision == "" {
			mistakes = fault.Invalid("Decision", "Unknown Decision %s; use %s or %s.", fault.Quote(in.Decision),
				journal.DecisionAllowed, journal.DecisionDenied)
		}
	}
	var states []string
	for _, state := range journal.States {
		if states = append(states, string(state)); strings.EqualFold(in.State, string(state)) {
			sel.State = state
		}
	}
	if in.State != "" && sel.State == "" {
		mistakes = fault.Join(mistakes, fault.Invalid("State", "Unknown State %s; use one of %s.",
			fault.Quote(in.State), strings.Join(states, ", ")))
	}
	if sel.Command != "" && !command.NamePattern.Fits(sel.Command) {
		mistakes = fault.Join(mistakes, fault.Invalid("Command",
			"Command %s is not a command's name; write %s, and perhaps '*' and '?'.",
			fault.Quote(in.Command), command.NamePattern.Want))
	}
	var wrong, early, late error
	sel.Target, wrong = parseTargetFilter(in.Target)
	sel.since, early = parseBound("Since", in.Since, now)
	sel.until, late = parseBound("Until", in.Until, now)
	if mistakes = fault.Join(mistakes, wrong, early, late); mistakes != nil {
		return nil, mistakes
	}
	sel.Since, sel.Until = sel.since.at, sel.until.at
	// A next page may be late: the time that a relative Since means may have passed Until by then.
	if in.Since != "" && in.Until != "" && in.NextToken == "" && !sel.Since.Before(sel.Until) {
		return nil, fault.Invalid("Until", "Until %s is not after Since %s; write a later Until, or an earlier Since.",
			fault.Quote(in.Until), fault.Quote(in.Since))
	}
	return sel, nil
}

// parseTargetFilter returns the pattern of a target's type, or of its type and name, with the type
// as records have it.
func parseTargetFilter(text string) (string, error) {
	kind, name, named := strings.Cut(text, " ")
	if text == "" || strings.ContainsAny(kind, "*?") {
		return text, nil
	}
	for _, k := range targetKinds {
		if !strings.EqualFold(kind, k.name) {
			continue
		}
		if named {
			return k.name + " " + strings.TrimSpace(name), nil
		}
		return k.name, nil
	}
	return "", fault.Invalid("Target", "Target %s has an unknown type; use %s, perhaps with the name of the target, "+
		"such as \"Program backup-*\".", fault.Quote(text), targetTypes(true))
}

// scope returns a selection as text, for a page token.
func (sel *commandSelection) scope() []string {
	scope := []string{sel.User, sel.Command, sel.Decision, sel.since.scope(), sel.until.scope()}
	// Tokens from before these were filters stay valid.
	if sel.State != "" {
		scope = append(scope, string(sel.State))
	}
	if sel.Target != "" {
		scope = append(scope, "Target="+sel.Target)
	}
	return scope
}

// cursor returns the cursor of the page that begins before the record next. Since is that of the
// first page, so that the list has one beginning, however long its reader takes. Until needs no
// place in it: next is earlier.
func (sel *commandSelection) cursor(next string) *cursor {
	cur := &cursor{After: next}
	if sel.since.relative != "" {
		cur.Since = &sel.since.at
	}
	return cur
}

// resume continues a list at a cursor.
func (sel *commandSelection) resume(from cursor) {
	if from.Since != nil {
		sel.since.at, sel.Since = *from.Since, *from.Since
	}
}

func showCommand(e *journal.Record, now time.Time) ChatCommand {
	out := ChatCommand{
		Id:             e.ID,
		Date:           date(e.Time),
		Name:           e.Name,
		Revision:       e.Revision,
		Platform:       e.Platform,
		ConversationId: e.Conversation,
		Direct:         e.Direct,
		UserId:         e.User,
		UserName:       e.UserName,
		Command:        e.Command,
		Arguments:      list(e.Arguments),
		Decision:       e.Decision,
		StatementText:  e.Text,
		Reason:         e.Reason,
		RamRole:        e.RamRole,
		Target:         e.Target,
		Outcome:        e.Outcome,
		Answered:       e.Answered,
		Detail:         e.Detail,
		Attempts:       int64(e.Attempts),
		State:          e.State,
		ExecutionId:    e.Execution,
		SessionName:    e.SessionName,
		Latency:        e.Latency,
		SettledDate:    dateOf(e.Settled),
		MessageId:      e.MessageID,
		EventId:        e.EventID,
	}
	if !e.Started.IsZero() {
		if !e.Ended.IsZero() {
			now = e.Ended
		}
		took := max(0, now.Sub(e.Started).Milliseconds())
		out.Duration = &took
	}
	if e.Statement >= 0 {
		out.Statement = &e.Statement
	}
	return out
}
