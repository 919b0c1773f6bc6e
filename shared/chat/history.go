package chat

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

const (
	actionListRevisions = "ListChatConfigurationRevisions"
	actionGetRevision   = "GetChatConfigurationRevision"
)

// An Operation is the kind of a change, in the history and in events.
type Operation string

// The operations.
const (
	OperationCreated  Operation = "Created" // also as a copy
	OperationUpdated  Operation = "Updated" // also its tags or its resource group
	OperationDeleted  Operation = "Deleted"
	OperationRestored Operation = "Restored" // also after its deletion
	OperationRotated  Operation = "Rotated"  // its webhook or a secret
)

// operation returns the kind of the change, by the verb in the action's name.
func (rev *revision) operation() Operation {
	for verb, operation := range map[string]Operation{"Create": OperationCreated, "Copy": OperationCreated,
		"Delete": OperationDeleted, "Restore": OperationRestored, "Rotate": OperationRotated} {
		if strings.HasPrefix(rev.Action, verb) {
			return operation
		}
	}
	return OperationUpdated
}

// ListRevisionsRequest are the parameters of ListChatConfigurationRevisions; Name is mandatory.
type ListRevisionsRequest struct {
	RegionID   string `param:"RegionId"`
	Name       string `param:"Name"`
	MaxResults *int64 `param:"MaxResults"` // 1 to MaxResults, default DefaultResults
	NextToken  string `param:"NextToken"`  // of the page before
}

// ListRevisionsResponse is the answer of ListChatConfigurationRevisions.
type ListRevisionsResponse struct {
	ChatConfigurationRevisions []Revision
	NextToken                  string `json:",omitempty"` // absent on the last page; a page may be short
	MaxResults                 int64
}

// NextPageToken returns NextToken.
func (r *ListRevisionsResponse) NextPageToken() string { return r.NextToken }

// GetRevisionRequest are the parameters of GetChatConfigurationRevision; Name and Revision are
// mandatory.
type GetRevisionRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
	Revision *int64 `param:"Revision"`
	Compared *int64 `param:"Compared"` // the revision that Changes refer to, default the one before
}

// GetRevisionResponse is the answer of GetChatConfigurationRevision.
type GetRevisionResponse struct {
	ChatConfigurationRevision Revision
	ChatConfiguration         Configuration // as it was then, secrets masked, without Outputs
}

// A Revision is an entry of a configuration's history.
type Revision struct {
	Revision         int64
	Life             int64 // the first revision of this life of the name; 0 if it began before this was kept
	Date             string
	Operation        Operation
	Action           string // the action that did it, such as TagResources
	Caller           string // access key id; the name for a caller without one
	SourceAddress    string `json:",omitempty"`
	RequestId        string `json:",omitempty"`
	Deleted          bool
	RestoredRevision int64 `json:",omitempty"` // the revision that this one restored
	// the revision before this one that is kept, to which Changes refer; absent if it is of another
	// life or none
	Compared int64 `json:",omitempty"`
	Changes  []Change
}

// ListRevisions returns a page of the history of a name, the latest entry first:
// ListChatConfigurationRevisions. History keeps the first and the latest revisions. It continues
// when a name is deleted and created again. The entries of an earlier life are shown only if the
// tags at the end of that life allow the caller to list them.
//
// Errors: MissingParameter, InvalidParameter, InvalidNextToken, NotFound, NoPermission,
// InvalidRegion.
func (s *Service) ListRevisions(ctx context.Context, in *ListRevisionsRequest) (*ListRevisionsResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	c, last, _, err := s.mayRead(ctx, in.RegionID, in.Name, actionListRevisions)
	if err != nil {
		return nil, err
	}
	if last == nil {
		return nil, notFound(in.Name)
	}
	scope := []string{actionListRevisions, c.account, c.region, in.Name}
	from, err := s.cursors.parse(in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults)
	list, next, err := s.revisions(ctx, c, last, from, n)
	if err != nil {
		return nil, storeError(ctx, "list revisions", err)
	}
	return &ListRevisionsResponse{ChatConfigurationRevisions: list, MaxResults: int64(n),
		NextToken: s.cursors.token(next, scope)}, nil
}

// maxRevisions is the size of the changes after which a page of revisions ends, in bytes. A
// function's answer has at most 6 MB, and one entry can have twice MaxConfiguration.
const maxRevisions = 1 << 20

// revisions returns up to n entries of history from the cursor on, and the cursor of the next page;
// nil at the end. last is the last life of the name, which the caller may read. A cursor has in
// After the sort key before the next entry.
func (s *Service) revisions(ctx context.Context, c scope, last *record, from cursor,
	n int) ([]Revision, *cursor, error) {
	list := []Revision{}
	var ends map[lifeID]*revision // of earlier lives, as far as they were seen
	may := func(rev *revision) (_ bool, err error) {
		if last.sameLife(rev.record) {
			return true, nil
		}
		if ends == nil {
			ends = make(map[lifeID]*revision)
			if from.After != "" {
				if ends, err = s.store.ends(ctx, c, rev.Name, rev.Revision); err != nil {
					return false, err
				}
			}
		}
		if ends[rev.lifeID()] == nil {
			ends[rev.lifeID()] = rev
		}
		return c.mayReadUntil(ctx, actionListRevisions, ends[rev.lifeID()]), nil
	}
	var shown *revision
	size := 0
	show := func(before *revision) error {
		out, err := s.showRevision(c, shown, before)
		if err != nil {
			return err
		}
		for _, ch := range out.Changes {
			size += ch.size()
		}
		list, shown = append(list, out), nil
		return nil
	}
	for rev, err := range s.store.past(ctx, c, last.Name, from.After, n+1) {
		if err == nil && shown != nil {
			err = show(rev)
		}
		if err != nil {
			return nil, nil, err
		}
		ok, err := may(rev)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case !ok:
			continue
		case len(list) == n || size > maxRevisions:
			return list, &cursor{After: historyKey(last.Name, rev.Revision+1)}, nil
		}
		shown = rev
	}
	if shown != nil {
		if err := show(nil); err != nil {
			return nil, nil, err
		}
	}
	return list, nil, nil
}

// past returns the history of a name from the latest entry to the first, or those before the sort
// key after. It reads n entries, and more only if the caller continues.
func (s store) past(ctx context.Context, c scope, name, after string, n int) iter.Seq2[*revision, error] {
	return func(yield func(*revision, error) bool) {
		for {
			items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: historyRange(name),
				After: after, Limit: n, Reverse: true})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range items {
				rev, err := decodeRevision(item)
				if !yield(rev, err) || err != nil {
					return
				}
				after = item.Sort
			}
			if len(items) < n {
				return
			}
			n = table.MaxGet
		}
	}
}

// A lifeID identifies a life of a name.
type lifeID struct{ born, created int64 }

func (r *record) lifeID() lifeID { return lifeID{r.Born, r.Created.UnixNano()} }

// ends returns the last entry of each life that has one at a revision or after it.
func (s store) ends(ctx context.Context, c scope, name string, from int64) (map[lifeID]*revision, error) {
	ends := make(map[lifeID]*revision)
	for rev, err := range s.past(ctx, c, name, "", table.MaxGet) {
		switch {
		case err != nil:
			return nil, err
		case rev.Revision < from:
			return ends, nil
		case ends[rev.lifeID()] == nil:
			ends[rev.lifeID()] = rev
		}
	}
	return ends, nil
}

// mayReadUntil reports whether the caller may read an earlier life. end is the last entry of it
// that history has. Without the entry of the deletion nobody may, because the last tags are not
// known.
func (c scope) mayReadUntil(ctx context.Context, action string, end *revision) bool {
	return end != nil && end.Deleted && c.allows(actionPrefix+action, c.request(ctx, end.Name, end.Tags))
}

// sameLife reports whether two records of a name belong to the same life.
func (r *record) sameLife(other *record) bool { return r.lifeID() == other.lifeID() }

// showRevision returns an entry of history with its changes. before is the entry before it; nil if
// none is kept.
func (s *Service) showRevision(c scope, rev, before *revision) (Revision, error) {
	out := Revision{
		Revision:         rev.Revision,
		Life:             rev.Born,
		Date:             date(rev.At),
		Operation:        rev.operation(),
		Action:           rev.Action,
		Caller:           rev.Actor,
		SourceAddress:    rev.SourceIP,
		RequestId:        rev.RequestID,
		Deleted:          rev.Deleted,
		RestoredRevision: rev.Restored,
		Changes:          []Change{},
	}
	var compared *record
	switch {
	case before != nil && before.sameLife(rev.record):
		compared, out.Compared = before.record, before.Revision
	case out.Operation != OperationCreated && out.Operation != OperationRestored:
		return out, nil // the entry before it is no longer kept
	}
	changes, err := s.changes(c, compared, rev.record)
	if err != nil {
		return out, err
	}
	out.Changes = append(out.Changes, changes...)
	return out, nil
}

// GetRevision returns a configuration as it was at a revision, its secrets masked:
// GetChatConfigurationRevision. The caller needs the permission for the last life of the name. For
// an entry of an earlier life, the caller needs it also with the tags at the end of that life;
// without it, there is no such revision.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) GetRevision(ctx context.Context, in *GetRevisionRequest) (*GetRevisionResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	c, last, _, err := s.mayRead(ctx, in.RegionID, in.Name, actionGetRevision)
	if err != nil {
		return nil, err
	}
	if last == nil {
		return nil, notFound(in.Name)
	}
	at, err := s.revisionAt(ctx, c, last, *in.Revision)
	if err != nil {
		return nil, storeError(ctx, "get revision", err)
	}
	out := new(GetRevisionResponse)
	if out.ChatConfiguration, err = s.show(c, at.rev.record); err != nil {
		return nil, storeError(ctx, "get revision", err)
	}
	if out.ChatConfigurationRevision, err = s.showRevision(c, at.rev, at.before); err != nil {
		return nil, storeError(ctx, "get revision", err)
	}
	if in.Compared == nil {
		return out, nil
	}
	other, err := s.revisionAt(ctx, c, last, *in.Compared)
	if err != nil {
		return nil, storeError(ctx, "get revision", err)
	}
	changes, err := s.changes(c, other.rev.record, at.rev.record)
	if err != nil {
		return nil, storeError(ctx, "get revision", err)
	}
	show := &out.ChatConfigurationRevision
	show.Compared, show.Changes = other.rev.Revision, append([]Change{}, changes...)
	return out, nil
}

// A moment is an entry of history that the caller may read.
type moment struct {
	rev    *revision
	before *revision // the entry before it that is kept; nil if none
	end    *record   // the last of its life
}

// revisionAt returns a revision of a name. last is the last life of the name. It costs one Get; for
// an earlier life also a Query to its end.
// Errors: NotFound, also if the caller may not read the life of the revision.
func (s *Service) revisionAt(ctx context.Context, c scope, last *record, n int64) (moment, error) {
	missing := &fault.Error{Code: fault.NotFound, Param: "Revision",
		Message: fmt.Sprintf("Chat configuration %s has no revision %d that the caller may read; "+
			"%s returns those that are kept.", fault.Quote(last.Name), n, actionListRevisions)}
	rev, before, err := s.store.entryAt(ctx, c, last.Name, n)
	switch {
	case err != nil:
		return moment{}, err
	case rev == nil:
		return moment{}, missing
	}
	if last.sameLife(rev.record) {
		return moment{rev, before, last}, nil
	}
	ends, err := s.store.ends(ctx, c, last.Name, n)
	end := ends[rev.lifeID()] // nil if it was pruned just now
	switch {
	case err != nil:
		return moment{}, err
	case !c.mayReadUntil(ctx, actionGetRevision, end):
		return moment{}, missing
	}
	return moment{rev, before, end.record}, nil
}

// entryAt reads the entry of a revision and the one before it that is kept. Each is nil if there is
// no such entry.
func (s store) entryAt(ctx context.Context, c scope, name string, n int64) (rev, before *revision, err error) {
	var keys []table.Key
	for _, revision := range slices.Compact([]int64{n, max(n-1, 1), 1}) {
		keys = append(keys, table.Key{Partition: c.partition(), Sort: historyKey(name, revision)})
	}
	items, err := s.table.Get(ctx, keys...)
	if err != nil {
		return nil, nil, err
	}
	for _, item := range items {
		found, err := decodeRevision(item)
		switch {
		case err != nil:
			return nil, nil, err
		case found.Revision == n:
			rev = found
		case before == nil || found.Revision > before.Revision:
			before = found
		}
	}
	return rev, before, nil
}
