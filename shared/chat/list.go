package chat

import (
	"context"
	"encoding/json"
	"strings"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

const actionList = "ListChatConfigurations"

// ListRequest are the parameters of ListChatConfigurations.
type ListRequest struct {
	RegionID   string   `param:"RegionId"`
	Filters    []Filter `param:"Filters"`
	MaxResults *int64   `param:"MaxResults"` // 1 to MaxResults, default DefaultResults
	NextToken  string   `param:"NextToken"`  // of the page before, for the same filters
}

// ListResponse is the answer of ListChatConfigurations. What OOS does not have comes behind what it
// has.
type ListResponse struct {
	ChatConfigurations []Summary
	// absent on the last page; a page may be short, even empty, and still have one
	NextToken  string `json:",omitempty"`
	MaxResults int64
	// absent where it would have to be counted: a filtered list of several pages
	TotalCount *int64 `json:",omitempty"`
}

// NextPageToken returns NextToken.
func (r *ListResponse) NextPageToken() string { return r.NextToken }

// Summary is a chat configuration as List shows it.
type Summary struct {
	Name        string
	Type        string
	RamRole     string
	CreatedDate string
	UpdatedDate string
	// without Setup; empty for a caller who may not get the configuration, secrets masked as in Get
	Outputs         string
	ResourceGroupId string // this and what follows: beyond OOS
	Status          string
	Tags            map[string]string `json:",omitempty"`
	Revision        int64
}

// List returns a page of the chat configurations that the filters select: ListChatConfigurations.
// Without a filter, and with one that has an index, its cost depends on the page and not on how
// many there are.
//
// Errors: InvalidParameter, InvalidNextToken, NoPermission, InvalidRegion.
func (s *Service) List(ctx context.Context, in *ListRequest) (*ListResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	n, sized := pageSize(in.MaxResults)
	sel, selected := s.parseFilters(in.Filters)
	if err := fault.Join(err, sized, selected); err != nil {
		return nil, err
	}
	if err := s.authorize(ctx, c, actionList, "*", nil); err != nil {
		return nil, err
	}
	scope := append([]string{actionList, c.account, c.region}, sel.scope()...)
	from, err := s.parseCursor(in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	found, next, err := s.find(ctx, c, sel, from, n)
	if err != nil {
		return nil, storeError(ctx, "list", err)
	}
	out := &ListResponse{ChatConfigurations: make([]Summary, len(found)), MaxResults: int64(n)}
	for i, r := range found {
		if out.ChatConfigurations[i], err = s.summary(ctx, c, r); err != nil {
			return nil, storeError(ctx, "list", err)
		}
	}
	if next == nil && in.NextToken == "" {
		total := int64(len(found))
		out.TotalCount = &total
	}
	if next != nil {
		out.TotalCount = next.Total
		out.NextToken, err = s.cursorToken(next, scope)
	} else if from.Total != nil {
		out.TotalCount = from.Total
	}
	if err != nil {
		return nil, storeError(ctx, "list", err)
	}
	return out, nil
}

func (s *Service) summary(ctx context.Context, c scope, r *record) (Summary, error) {
	out := Summary{
		Name:            r.Name,
		Type:            r.Type,
		RamRole:         r.RamRole,
		CreatedDate:     date(r.Created),
		UpdatedDate:     date(r.Updated),
		ResourceGroupId: r.ResourceGroupID,
		Status:          r.Status,
		Tags:            r.Tags,
		Revision:        r.Revision,
	}
	of := s.request(ctx, c, r.Name, r.Tags)
	if !c.allows(actionPrefix+actionGet, of) {
		return out, nil
	}
	var err error
	out.Outputs, err = s.outputs(c, r, false, c.allows(actionPrefix+actionReveal, of))
	return out, err
}

// pageSize returns how many results a page may have.
func pageSize(given *int64) (int, error) {
	if given == nil {
		return DefaultResults, nil
	}
	if *given < 1 || *given > MaxResults {
		return 0, fault.Invalid("MaxResults", "MaxResults is %d; use 1 to %d.", *given, MaxResults)
	}
	return int(*given), nil
}

// A cursor is where the next page of a list begins.
type cursor struct {
	Lane int `json:"l,omitempty"` // index into the selection's lanes
	// the name after which it goes on in that lane; within a resource, more of it in Rest
	After string `json:"a,omitempty"`
	// for lists whose entries are parts of a configuration: the part after which it goes on
	Rest  string `json:"r,omitempty"`
	Total *int64 `json:"t,omitempty"` // how many there were when the first page was read
}

func (s *Service) parseCursor(token string, scope []string) (cursor, error) {
	var cur cursor
	if token == "" {
		return cur, nil
	}
	text, err := s.pages.Decode(token, scope...)
	if err == nil {
		err = json.Unmarshal(text, &cur)
	}
	if err != nil || cur.Lane < 0 {
		return cursor{}, &fault.Error{Code: fault.InvalidNextToken, Param: "NextToken",
			Message: "NextToken does not belong to this list. Use it with the parameters of the first page, or " +
				"start again without NextToken."}
	}
	return cur, nil
}

func (s *Service) cursorToken(cur *cursor, scope []string) (string, error) {
	text, err := json.Marshal(cur)
	if err != nil {
		return "", err
	}
	return s.pages.Encode(text, scope...), nil
}

// find returns up to n selected records from the cursor on, and where to go on; no cursor when
// there is no more. It reads at most a few pages' worth of candidates, so it may return fewer than
// n and still have more.
func (s *Service) find(ctx context.Context, c scope, sel *selection, from cursor, n int) ([]*record, *cursor, error) {
	if sel.exact() {
		return s.findNamed(ctx, c, sel, from, n)
	}
	const rounds = 5
	lanes := sel.lanes()
	var found []*record
	sparse := false // the last look found less than half of what it looked at
	cur := from
	for round := 0; round < rounds && cur.Lane < len(lanes); round++ {
		window := n - len(found)
		if sparse {
			window = table.MaxGet
		}
		candidates, more, total, err := s.candidates(ctx, c, lanes[cur.Lane], cur.After, window,
			round == 0 && from.After == "" && sel.all())
		if err != nil {
			return nil, nil, err
		}
		if total != nil {
			cur.Total = total
		}
		before, lane := len(found), cur.Lane
		for i, candidate := range candidates {
			cur.After = candidate.name
			// Looked at again even where an index entry says so: the configuration may have changed
			// since the entry was read.
			if candidate.record != nil && lanes[lane].holds(candidate.record) && sel.matches(candidate.record) {
				found = append(found, candidate.record)
			}
			if len(found) == n {
				more = more || i < len(candidates)-1
				break
			}
		}
		sparse = 2*(len(found)-before) < len(candidates)
		if !more {
			cur.Lane, cur.After = cur.Lane+1, ""
		}
		if len(found) == n {
			break
		}
	}
	if cur.Lane >= len(lanes) {
		return found, nil, nil
	}
	return found, &cur, nil
}

// findNamed returns the selected among the configurations that the selection names.
func (s *Service) findNamed(ctx context.Context, c scope, sel *selection, from cursor,
	n int) ([]*record, *cursor, error) {
	var names []string
	for _, name := range sel.names { // sorted
		if name > from.After && checkName(name) == nil {
			names = append(names, name)
		}
	}
	records, err := s.getAll(ctx, c, names)
	if err != nil {
		return nil, nil, err
	}
	var found []*record
	for _, name := range names {
		r := records[name]
		if r == nil || !sel.matches(r) {
			continue
		}
		if len(found) == n {
			return found, &cursor{After: found[n-1].Name}, nil
		}
		found = append(found, r)
	}
	return found, nil, nil
}

// A candidate may be selected: its name, and its record, nil if it went away in between.
type candidate struct {
	name   string
	record *record
}

// candidates reads the next n of a lane: with one query where the lane holds documents, with one
// more read where it holds index entries. With counted it also returns the number of all
// configurations, from the counters that stand right before the documents.
func (s *Service) candidates(ctx context.Context, c scope, l lane, after string, n int,
	counted bool) (list []candidate, more bool, total *int64, err error) {
	r := table.Range{Partition: c.partition(), Prefix: l.prefix + l.start, Limit: n + 1}
	if after != "" {
		r.After = l.prefix + table.Escape(after)
	}
	counted = counted && l.prefix == configurationPrefix
	if counted {
		r.Prefix, r.Limit = listPrefix, n+1+counters
	}
	items, err := s.table.Query(ctx, r)
	if err != nil {
		return nil, false, nil, err
	}
	if counted {
		items, total = takeCounters(items)
	}
	if len(items) > n {
		items, more = items[:n], true
	}
	list = make([]candidate, len(items))
	if l.prefix == configurationPrefix {
		for i, item := range items {
			if list[i].record, err = decodeRecord(item); err != nil {
				return nil, false, nil, err
			}
			list[i].name = list[i].record.Name
		}
		return list, more, total, nil
	}
	names := make([]string, len(items))
	for i, item := range items {
		if _, _, names[i], err = parseIndexKey(item.Sort); err != nil {
			return nil, false, nil, err
		}
	}
	records, err := s.getAll(ctx, c, names)
	if err != nil {
		return nil, false, nil, err
	}
	for i, name := range names {
		list[i] = candidate{name, records[name]}
	}
	return list, more, nil, nil
}

// takeCounters splits the counters off the front of items and returns their sum.
func takeCounters(items []table.Item) ([]table.Item, *int64) {
	var sum int64
	for len(items) > 0 && strings.HasPrefix(items[0].Sort, counterPrefix) {
		sum += items[0].Count
		items = items[1:]
	}
	return items, &sum
}
