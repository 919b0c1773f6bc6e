package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/announce"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// A Report is what Check found in one partition.
type Report struct {
	Configurations int
	IndexEntries   int
	Revisions      int
	Problems       []string // sentences that name an item; empty if all is consistent
}

// Check reads all items of one account and region and reports where documents, index entries,
// counters, history and sealed secrets are inconsistent. Nothing else may write meanwhile.
func (s *Service) Check(ctx context.Context, account, region string) (*Report, error) {
	k := checker{
		service: s,
		scope:   scopeOf(command.Ref{Account: account, Region: region}),
		report:  new(Report),
		records: make(map[string]*record),
		told:    make(map[string]bool),
		wanted:  make(map[string]bool),
		streams: make(map[string]*record),
		count:   make(map[string]int64),
	}
	for _, part := range []struct {
		prefix string
		look   func(table.Item)
	}{
		{"", k.lookAround}, // first, to find unknown items
		{configurationPrefix, k.lookAtConfiguration},
		{counterPrefix, k.lookAtCounter},
		{indexPrefix, k.lookAtIndex},
		{historyPrefix, k.lookAtHistory},
		{clientTokenPrefix, k.lookAtToken},
		{announce.Prefix, k.lookAtEvent},
		{streamPrefix, k.lookAtStream},
	} {
		if err := s.store.walk(ctx, k.scope, part.prefix, part.look); err != nil {
			return nil, storeError(ctx, "check", err)
		}
	}
	k.finish()
	slices.Sort(k.report.Problems)
	return k.report, nil
}

type checker struct {
	service *Service
	scope   scope
	report  *Report
	records map[string]*record // by name
	told    map[string]bool    // names whose latest revision is in history
	wanted  map[string]bool    // index entries of documents; true once seen
	streams map[string]*record // by stream: documents whose stream was not seen
	count   map[string]int64   // by counter: number of documents minus counter value
}

func (k *checker) problem(format string, args ...any) {
	k.report.Problems = append(k.report.Problems, fmt.Sprintf(format, args...))
}

func (k *checker) lookAround(item table.Item) {
	for _, prefix := range [...]string{configurationPrefix, counterPrefix, indexPrefix,
		historyPrefix, clientTokenPrefix, announce.Prefix, streamPrefix} {
		if strings.HasPrefix(item.Sort, prefix) {
			return
		}
	}
	k.problem("item %q is of no kind", item.Sort)
}

func (k *checker) lookAtConfiguration(item table.Item) {
	r, err := decodeRecord(item)
	if err != nil {
		k.problem("%v", err)
		return
	}
	k.report.Configurations++
	k.records[r.Name] = r
	k.count[counterKey(r.Name)]++
	for _, a := range r.attributes() {
		k.wanted[indexKey(a.name, a.value, r.Name)] = false
	}
	if streams, _ := r.streams(); streams { // lookAtSecrets reports the error
		k.streams[streamKey(r.Name)] = r
	}
	k.lookAtSecrets(r)
}

// lookAtSecrets checks that every secret of the record exists and can be unsealed.
func (k *checker) lookAtSecrets(r *record) {
	wanted := []string{fieldWebhookToken}
	p, err := k.service.platforms.of(r)
	if err != nil {
		k.problem("%v", err)
	}
	root, err := document.Parse(configurationParam, r.Configuration)
	if err != nil {
		k.problem("the configuration of %q: %v", r.Name, err)
	}
	if p != nil && root != nil {
		for _, setting := range p.Settings {
			required := setting.Required && setting.Applies(command.ReceiveOf(root))
			if setting.Secret && (required || root.Get(setting.Key) != nil) {
				wanted = append(wanted, setting.Key)
			}
		}
		wanted = append(wanted, targetSecrets(root)...)
	}
	for field := range r.Previous {
		wanted = append(wanted, previousField(field))
	}
	for _, field := range wanted {
		if _, ok := r.Secrets[field]; !ok {
			k.problem("%q has no %s", r.Name, field)
		}
	}
	for field := range r.Secrets {
		if _, err := k.service.vault.open(k.scope, r, field); err != nil {
			k.problem("%v", err)
		}
	}
}

func (k *checker) lookAtCounter(item table.Item) {
	var n int
	if _, err := fmt.Sscanf(item.Sort, counterPrefix+"%02d", &n); err != nil || n >= counters ||
		item.Sort != fmt.Sprintf(counterPrefix+"%02d", n) {
		k.problem("item %q is of no kind", item.Sort)
		return
	}
	k.count[item.Sort] -= item.Count
}

func (k *checker) lookAtIndex(item table.Item) {
	k.report.IndexEntries++
	if _, ok := k.wanted[item.Sort]; !ok {
		k.problem("index entry %q stands for no configuration", item.Sort)
		return
	}
	k.wanted[item.Sort] = true
}

func (k *checker) lookAtStream(item table.Item) {
	switch r := k.streams[item.Sort]; {
	case r == nil:
		k.problem("stream %q belongs to no active configuration with Receive Stream", item.Sort)
	case r.Revision != item.Revision:
		k.problem("stream %q has revision %d; the configuration is at %d", item.Sort, item.Revision, r.Revision)
	case r.life() != string(item.Value):
		k.problem("stream %q is of another life", item.Sort)
	}
	delete(k.streams, item.Sort)
}

func (k *checker) lookAtHistory(item table.Item) {
	rev, err := decodeRevision(item)
	if err != nil {
		k.problem("%v", err)
		return
	}
	k.report.Revisions++
	r := k.records[rev.Name]
	switch {
	case r == nil:
		return // deleted; its history is kept
	case rev.Revision > r.Revision:
		k.problem("history of %q has revision %d; the configuration is at %d", rev.Name, rev.Revision, r.Revision)
	case rev.Revision == r.Revision && rev.Deleted:
		k.problem("history of %q says that revision %d deleted it; the configuration is there", rev.Name, rev.Revision)
	case rev.Revision == r.Revision && rev.life() != r.life():
		k.problem("history of %q says that revision %d is of another life", rev.Name, rev.Revision)
	case rev.Revision == r.Revision:
		k.told[rev.Name] = true
	}
}

func (k *checker) lookAtToken(item table.Item) {
	if err := json.Unmarshal(item.Value, new(tokenEntry)); err != nil {
		k.problem("chat: item %q: %v", item.Sort, err)
	}
}

func (k *checker) lookAtEvent(item table.Item) {
	if err := announce.Check(item); err != nil {
		k.problem("%v", err)
	}
}

func (k *checker) finish() {
	for name, r := range k.records {
		if k.told[name] {
			continue
		}
		k.problem("history of %q lacks its revision %d", name, r.Revision)
	}
	for entry, seen := range k.wanted {
		if !seen {
			k.problem("index entry %q is missing", entry)
		}
	}
	for stream := range k.streams {
		k.problem("stream %q is missing", stream)
	}
	for counter, n := range k.count {
		if n != 0 {
			k.problem("counter %q is off by %d", counter, -n)
		}
	}
}
