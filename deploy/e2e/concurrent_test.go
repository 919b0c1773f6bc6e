package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
)

const crowd = 32 // writers, and as many readers

// counted is a Configuration that says its number three times over, so that one that is torn shows.
func counted(n int, secret string) string {
	return jsonText(object{
		"DingTalkClientId":     fmt.Sprint("client-", n),
		"DingTalkClientSecret": secret,
		"BotName":              fmt.Sprint(n),
		"ConversationIds":      []string{fmt.Sprint("conversation-", n)},
	})
}

// count returns the number of a configuration, and an error if it is torn.
func count(c *oos.GetChatConfigurationResponseBodyChatConfiguration) (int, error) {
	var in struct {
		DingTalkClientId, DingTalkClientSecret, BotName string
		ConversationIds                                 []string
	}
	text := dara.StringValue(c.Configuration)
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return 0, fmt.Errorf("%s: %w", text, err)
	}
	n, err := strconv.Atoi(in.BotName)
	if err != nil || in.DingTalkClientId != fmt.Sprint("client-", n) || in.DingTalkClientSecret != "******" ||
		!slices.Equal(in.ConversationIds, []string{fmt.Sprint("conversation-", n)}) {
		return 0, fmt.Errorf("torn: %s", text)
	}
	return n, nil
}

// readAll has readers read a configuration until done is closed. What they see is whole, and never
// older than what they saw before.
func readAll(t *testing.T, s *service, name string, done <-chan struct{}, open *sync.WaitGroup) {
	for _, client := range s.clients(t, crowd) {
		open.Go(func() {
			lastCount, lastRevision := 0, 0
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)})
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				n, err := count(got.Body.ChatConfiguration)
				if err != nil {
					t.Error(err)
					return
				}
				revision, err := strconv.Atoi(strings.Trim(dara.StringValue(got.Headers["etag"]), `"`))
				if err != nil || n < lastCount || revision < lastRevision {
					t.Errorf("read %d at revision %d after %d at revision %d: %v", n,
						revision, lastCount, lastRevision, err)
					return
				}
				lastCount, lastRevision = n, revision
			}
		})
	}
}

func TestNoUpdateOfOneNameIsLost(t *testing.T) {
	t.Parallel()
	const increments, blind = 2, 2 // of each writer
	s := serveCrowd(t)
	client := s.client(t)
	must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name: dara.String("ops"), Type: dara.String("DingTalk"),
		Configuration: dara.String(counted(0, "not-a-real-secret")),
	}))(t)
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	readAll(t, s, "ops", done, &readers)
	for w, client := range s.clients(t, crowd) {
		writers.Go(func() {
			for i := range increments {
				if err := increment(client, "ops"); err != nil {
					t.Errorf("increment: %v", err)
				}
				if i < blind {
					_, err := client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
						Name: dara.String("ops"), RamRole: dara.String(fmt.Sprintf("Role%d-%d", w, i))})
					if err != nil {
						t.Errorf("blind update: %v", err)
					}
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()

	got := get(t, client, "ops")
	if n, err := count(got.Body.ChatConfiguration); err != nil || n != crowd*increments {
		t.Errorf("the counter is at %d, want %d: %v", n, crowd*increments, err)
	}
	wantEqual(t, "ETag", got.Headers["etag"], strconv.Quote(fmt.Sprint(1+crowd*(increments+blind))))
	s.check("1000000000000000/cn-hangzhou: 1 configuration, 3 index entries, ")
}

// increment adds one to the counter of a configuration: read, change, write if it is still what was
// read, else again.
func increment(client *oos.Client, name string) error {
	for {
		got, err := client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)})
		if err != nil {
			return err
		}
		n, err := count(got.Body.ChatConfiguration)
		if err != nil {
			return err
		}
		_, err = client.UpdateChatConfigurationWithOptions(&oos.UpdateChatConfigurationRequest{
			Name:          dara.String(name),
			Configuration: dara.String(counted(n+1, "******")),
		}, extend(nil, headers{"If-Match": dara.StringValue(got.Headers["etag"])}))
		var e *tea.SDKError
		if !errors.As(err, &e) || dara.StringValue(e.Code) != "OperationConflict" {
			return err
		}
	}
}

// Each writer has names of its own and takes them through everything, while readers list. In the
// end there is exactly what each writer left, by every index.
func TestManyNamesAtOnce(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	client := s.client(t)
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	lists := [][]*oos.ListChatConfigurationsRequestFilters{nil, filters("Type", "DingTalk"),
		filters("tag:kept", "yes"), filters("Name", "w1*")}
	for r, client := range s.clients(t, crowd) {
		readers.Go(func() { listUntil(t, client, done, lists[r%len(lists)]) })
	}
	for w, client := range s.clients(t, crowd) {
		writers.Go(func() {
			if err := liveManyLives(client, fmt.Sprintf("w%02d", w)); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()

	var want []string
	for w := range crowd {
		want = append(want, fmt.Sprintf("w%02d-kept", w))
	}
	for _, by := range [][]*oos.ListChatConfigurationsRequestFilters{
		nil, filters("tag:kept", "yes"), filters("RamRole", "Last"), filters("ResourceGroupId", "rg-last"),
		filters("Type", "DingTalk"), filters("Status", "Active"), filters("Name", "w*"),
	} {
		got, _ := walk(t, client, 7, by)
		if !slices.Equal(got, want) {
			t.Errorf("by %v there are %q, want %q", by, got, want)
		}
	}
	for _, by := range [][]*oos.ListChatConfigurationsRequestFilters{filters("tag:passing", "by"),
		filters("RamRole", "First")} {
		if got, _ := walk(t, client, 7, by); len(got) != 0 {
			t.Errorf("by %v there are %q, want none", by, got)
		}
	}
	var list struct{ TotalCount int }
	s.send(t, newACS3(s.key, "ListChatConfigurations")).ok(t, &list)
	if list.TotalCount != crowd {
		t.Errorf("TotalCount = %d, want %d", list.TotalCount, crowd)
	}
	// Type, RamRole, ResourceGroupId, Status and one tag of each.
	s.check(fmt.Sprintf("1000000000000000/cn-hangzhou: %d configurations, %d index entries, ", crowd, 5*crowd),
		" 0 problems")
}

// liveManyLives makes, changes, tags, regroups and deletes configurations, and leaves one.
func liveManyLives(client *oos.Client, prefix string) error {
	region, kind := dara.String("cn-hangzhou"), dara.String(resourceType)
	var failed error
	step := func(_ any, err error) {
		if failed == nil && err != nil {
			failed = err
		}
	}
	for i, suffix := range []string{"kept", "gone", "kept", "gone"} {
		name := dara.String(prefix + "-" + suffix)
		step(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
			RegionId: region, Name: name, Type: dara.String("DingTalk"), RamRole: dara.String("First"),
			Configuration: dara.String(counted(i, "not-a-real-secret")),
		}))
		step(client.TagResources(&oos.TagResourcesRequest{RegionId: region, ResourceType: kind, ResourceIds: ids(*name),
			Tags: object{"kept": "yes", "passing": "by"}}))
		step(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: name,
			RamRole: dara.String("Last"), Configuration: dara.String(counted(i+1, "******"))}))
		step(client.ChangeResourceGroup(&oos.ChangeResourceGroupRequest{RegionId: region, ResourceType: kind,
			ResourceId: name, NewResourceGroupId: dara.String("rg-last")}))
		step(client.UntagResources(&oos.UntagResourcesRequest{RegionId: region, ResourceType: kind,
			ResourceIds: ids(*name), TagKeys: ids("passing")}))
		if suffix == "gone" || i == 0 {
			step(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: name}))
		}
	}
	return failed
}

// listUntil lists again and again. No page may fail, repeat a name within a list, or show an entry
// that is not whole.
func listUntil(t *testing.T, client *oos.Client, done <-chan struct{}, by []*oos.ListChatConfigurationsRequestFilters) {
	for {
		last, token := "", (*string)(nil)
		for {
			select {
			case <-done:
				return
			default:
			}
			page, err := client.ListChatConfigurations(&oos.ListChatConfigurationsRequest{MaxResults: dara.Int32(10),
				NextToken: token, Filters: by})
			if err != nil {
				t.Errorf("list: %v", err)
				return
			}
			for _, c := range page.Body.ChatConfigurations {
				name := dara.StringValue(c.Name)
				if name <= last || dara.StringValue(c.Type) != "DingTalk" ||
					!strings.Contains(dara.StringValue(c.Outputs), "/"+name+"/") ||
					!date.MatchString(dara.StringValue(c.UpdatedDate)) {
					t.Errorf("after %q the list shows %v", last, c)
					return
				}
				last = name
			}
			if token = page.Headers["x-acs-next-token"]; token == nil {
				break
			}
		}
	}
}
