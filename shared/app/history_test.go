package app_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// openFile opens tables in a file.
func openFile(t *testing.T, _ *wire) (configurations, keys, tickets table.Table) {
	t.Helper()
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	open := func(name string) table.Table { return db.Table(name, file.TableOptions{}) }
	return open("chatconf"), open("chatconf_keys"), open("chatconf_tickets")
}

// A written is what the answer to a change says.
type written struct {
	ChatConfiguration struct{ Revision int64 }
}

// TestHistoryUnderManyWriters has 32 callers change one configuration at once, on each engine, and
// holds that history has one entry for each change, in the order in which they happened: each says
// what its own writer changed, from what the one before had made.
func TestHistoryUnderManyWriters(t *testing.T) {
	const writers, each = 32, 3
	for name, open := range map[string]func(*testing.T, *wire) (configurations, keys, tickets table.Table){
		"file":       openFile,
		"Tablestore": openTablestore,
		"DynamoDB":   openDynamoDB,
	} {
		t.Run(name, func(t *testing.T) {
			configurations, keys, tickets := open(t, new(wire))
			p := newPlane(t, configurations, keys, tickets)
			must := func(action string, params url.Values) (out written) {
				body, err := p.send(action, params)
				if err == nil {
					err = json.Unmarshal(body, &out)
				}
				if err != nil {
					t.Errorf("%s: %v", action, err)
				}
				return out
			}
			must("CreateChatConfiguration", with(typical, "Name", "ops"))
			var mu sync.Mutex
			wrote := make(map[int64]string) // by revision: what its writer set
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for i := range each {
						role := fmt.Sprintf("Role-%d-%d", w, i)
						n := must("UpdateChatConfiguration", url.Values{"Name": {"ops"},
							"RamRole": {role}}).ChatConfiguration.Revision
						mu.Lock()
						if other, twice := wrote[n]; twice {
							t.Errorf("revision %d is that of %s and of %s", n, other, role)
						}
						wrote[n] = role
						mu.Unlock()
					}
					// These write too, and nobody knows what.
					must("RestoreChatConfiguration", url.Values{"Name": {"ops"}, "Revision": {"1"}})
					must("TagResources", url.Values{"ResourceType": {"chatconfiguration"}, "ResourceIds": {"ops"},
						"Tags": {fmt.Sprintf(`{"env":"w%d"}`, w)}})
				})
			}
			all.Wait()
			var list []chat.Revision
			for token := ""; ; {
				body, err := p.send("ListChatConfigurationRevisions", url.Values{"Name": {"ops"}, "NextToken": {token}})
				if err != nil {
					t.Fatal(err)
				}
				var page chat.ListRevisionsResponse
				if err := json.Unmarshal(body, &page); err != nil {
					t.Fatal(err)
				}
				list = append(list, page.ChatConfigurationRevisions...)
				if token = page.NextToken; token == "" {
					break
				}
			}
			if len(list) != chat.DefaultHistory || list[0].Revision <= int64(chat.DefaultHistory) {
				t.Fatalf("%d entries, the last of revision %d", len(list), list[0].Revision)
			}
			role, date := typical.Get("RamRole"), "" // of the entry before
			for i := len(list) - 1; i >= 0; i-- {
				entry := list[i]
				if i < len(list)-1 && (entry.Compared != list[i+1].Revision ||
					i < len(list)-2 && entry.Revision != list[i+1].Revision+1) {
					t.Errorf("revision %d comes after %d, and is compared with %d", entry.Revision,
						list[i+1].Revision, entry.Compared)
				}
				if entry.Date < date {
					t.Errorf("revision %d is of %s, and the one before of %s", entry.Revision, entry.Date, date)
				}
				date = entry.Date
				changed := false
				for _, c := range entry.Changes {
					if c.Path != "RamRole" || entry.Operation == chat.OperationCreated {
						continue
					}
					if changed = true; i < len(list)-2 && *c.Before != role {
						t.Errorf("revision %d changes the role %s, and was made from %s", entry.Revision,
							*c.Before, role)
					}
					role = *c.After
				}
				if want, ok := wrote[entry.Revision]; ok && (!changed || role != want ||
					entry.Action != "UpdateChatConfiguration") {
					t.Errorf("revision %d is %s of the role %s, want that of %s", entry.Revision, entry.Action,
						role, want)
				}
				delete(wrote, entry.Revision)
			}
			for n, role := range wrote {
				if n >= list[len(list)-2].Revision {
					t.Errorf("history has no entry for revision %d, which set %s", n, role)
				}
			}
			body, err := p.send("GetChatConfiguration", url.Values{"Name": {"ops"}})
			if want := fmt.Sprintf(`"RamRole":%q`, role); err != nil || !strings.Contains(string(body), want) ||
				!strings.Contains(string(body), fmt.Sprintf(`"Revision":%d`, list[0].Revision)) {
				t.Errorf("history ends with %s at revision %d, and there is %s, %v", want, list[0].Revision, body, err)
			}
		})
	}
}
