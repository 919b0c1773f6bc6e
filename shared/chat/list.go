package chat

import (
	"context"
	"strings"
	"sync"

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

	WithConfiguration bool `param:"WithConfiguration"` // show Configurations too
	WithHealth        bool `param:"WithHealth"`        // show the health of webhooks too
}

// maxListed is how many bytes of Configurations a page shows. The answer of a Lambda function has
// at most 6 MB, and JSON in JSON needs escapes.
const maxListed = 2 << 20

// ListResponse is the answer of ListChatConfigurations. The fields that OOS does not have come
// last.
type ListResponse struct {
	ChatConfigurations []Summary
	// absent on the last page; any other page may be short or even empty
	NextToken  string `json:",omitempty"`
	MaxResults int64
	// absent in a filtered list of several pages, where it would have to be counted
	TotalCount *int64 `json:",omitempty"`
	// with WithHealth, of how many configurations of this page the caller may not get the health
	HealthDenied int64 `json:",omitempty"`
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
	// without Setup, secrets masked as in Get; empty if the caller may not get the configuration
	Outputs         string
	ResourceGroupId string // this field and the following are not in OOS
	Status          string
	Tags            map[string]string `json:",omitempty"`
	Revision        int64
	// only with WithConfiguration, secrets masked; absent if the caller may not get it, and after
	// 2 MiB in a page
	Configuration string `json:",omitempty"`
	// only with WithHealth; absent if the caller may not get it, and without a journal
	Health *Health `json:",omitempty"`
}

// List returns a page of the chat configurations that the filters select: ListChatConfigurations.
// Its cost depends on the size of the page, not on the number of configurations, if there is no
// filter or a filter has an index.
//
// Errors: InvalidParameter, InvalidNextToken, NoPermission, InvalidRegion.
func (s *Service) List(ctx context.Context, in *ListRequest) (*ListResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	sel, selected := parseFilters(s.platforms, in.Filters)
	if err := fault.Join(err, checkPageSize(in.MaxResults), selected); err != nil {
		return nil, err
	}
	if err := c.authorize(ctx, actionList, "*", nil); err != nil {
		return nil, err
	}
	scope := append([]string{actionList, c.account, c.region}, sel.scope()...)
	from, err := s.cursors.parse(in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	n := pageSize(in.MaxResults)
	found, next, err := s.store.find(ctx, c, sel, from, n)
	if err != nil {
		return nil, storeError(ctx, "list", err)
	}
	out := &ListResponse{ChatConfigurations: make([]Summary, len(found)), MaxResults: int64(n)}
	left := 0
	if in.WithConfiguration {
		left = maxListed
	}
	for i, r := range found {
		if out.ChatConfigurations[i], err = s.summary(ctx, c, r, left); err != nil {
			return nil, storeError(ctx, "list", err)
		}
		left -= len(out.ChatConfigurations[i].Configuration)
	}
	if in.WithHealth && s.journal != nil {
		if out.HealthDenied, err = s.addHealth(ctx, c, found, out.ChatConfigurations); err != nil {
			return nil, storeError(ctx, "list health", err)
		}
	}
	switch {
	case next != nil:
		out.TotalCount, out.NextToken = next.Total, s.cursors.token(next, scope)
	case in.NextToken == "":
		total := int64(len(found))
		out.TotalCount = &total
	default:
		out.TotalCount = from.Total
	}
	return out, nil
}

// healthsAtOnce is how many healths a list reads at a time.
const healthsAtOnce = 8

// addHealth adds health to the summaries of records. denied is the number of records whose health
// the caller may not get.
func (s *Service) addHealth(ctx context.Context, c scope, of []*record, to []Summary) (denied int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, healthsAtOnce)
	for i, r := range of {
		if !c.allows(actionPrefix+actionHealth, c.request(ctx, r.Name, r.Tags)) {
			denied++
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			h, err := s.health(ctx, c, r)
			if err != nil {
				cancel(err)
				return
			}
			to[i].Health = &h
		})
	}
	running.Wait()
	return denied, context.Cause(ctx)
}

// summary returns a record as List shows it, with its Configuration if that has at most as many
// bytes.
func (s *Service) summary(ctx context.Context, c scope, r *record, most int) (Summary, error) {
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
	of := c.request(ctx, r.Name, r.Tags)
	if !c.allows(actionPrefix+actionGet, of) {
		return out, nil
	}
	if len(r.Configuration) <= most {
		out.Configuration = r.Configuration
	}
	var err error
	out.Outputs, err = s.outputs.text(c, r, false, c.allows(actionPrefix+actionReveal, of))
	return out, err
}

// find returns up to n selected records after the cursor, and the cursor of the next page, nil at
// the end. It reads a bounded number of candidates, so it may return fewer than n records although
// there are more.
func (s store) find(ctx context.Context, c scope, sel *selection, from cursor, n int) ([]*record, *cursor, error) {
	if sel.exact() {
		return s.findNamed(ctx, c, sel, from, n)
	}
	const rounds = 5
	ranges := sel.keyRanges()
	var found []*record
	sparse := false // less than half of the last candidates were selected
	cur := from
	for round := 0; round < rounds && cur.Range < len(ranges); round++ {
		window := n - len(found)
		if sparse {
			window = table.MaxGet
		}
		candidates, more, total, err := s.candidates(ctx, c, ranges[cur.Range], cur.After, window,
			round == 0 && from.After == "" && sel.all())
		if err != nil {
			return nil, nil, err
		}
		if total != nil {
			cur.Total = total
		}
		before, current := len(found), ranges[cur.Range]
		for i, candidate := range candidates {
			cur.After = candidate.name
			// Check again: the configuration may have changed since the index entry was read.
			if candidate.record != nil && current.holds(candidate.record) && sel.matches(candidate.record) {
				found = append(found, candidate.record)
			}
			if len(found) == n {
				more = more || i < len(candidates)-1
				break
			}
		}
		sparse = 2*(len(found)-before) < len(candidates)
		if !more {
			cur.Range, cur.After = cur.Range+1, ""
		}
		if len(found) == n {
			break
		}
	}
	if cur.Range >= len(ranges) {
		return found, nil, nil
	}
	return found, &cur, nil
}

// findNamed does what find does for a selection by exact names.
func (s store) findNamed(ctx context.Context, c scope, sel *selection, from cursor,
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

// A candidate is a configuration that may be selected. Its record is nil if it was deleted after
// the index entry was read.
type candidate struct {
	name   string
	record *record
}

// candidates reads the next n candidates of a range: documents with one query, index entries with
// one more read. If counted is set, it also returns the number of all configurations, from the
// counters, which sort right before the documents.
func (s store) candidates(ctx context.Context, c scope, k keyRange, after string, n int,
	counted bool) (list []candidate, more bool, total *int64, err error) {
	r := table.Range{Partition: c.partition(), Prefix: k.prefix + k.start, Limit: n + 1}
	if after != "" {
		r.After = k.prefix + table.Escape(after)
	}
	counted = counted && k.prefix == configurationPrefix
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
	if k.prefix == configurationPrefix {
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

// takeCounters removes the counters at the front of items and returns their sum.
func takeCounters(items []table.Item) ([]table.Item, *int64) {
	var sum int64
	for len(items) > 0 && strings.HasPrefix(items[0].Sort, counterPrefix) {
		sum += items[0].Count
		items = items[1:]
	}
	return items, &sum
}
