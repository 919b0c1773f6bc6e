package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/google/go-cmp/cmp"
)

// filters returns the filters of names and values in turn.
func filters(pairs ...string) []*oos.ListChatConfigurationsRequestFilters {
	var list []*oos.ListChatConfigurationsRequestFilters
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, &oos.ListChatConfigurationsRequestFilters{Name: dara.String(pair[0]),
			Value: dara.String(pair[1])})
	}
	return list
}

// walk lists page by page, following the header, until there is no next page, and returns the names
// and the number of pages.
func walk(t *testing.T, client *oos.Client, size int32,
	filters []*oos.ListChatConfigurationsRequestFilters) (names []string, pages int) {
	t.Helper()
	token := ""
	for {
		in := &oos.ListChatConfigurationsRequest{MaxResults: dara.Int32(size), Filters: filters}
		if token != "" {
			in.NextToken = dara.String(token)
		}
		page := must(client.ListChatConfigurations(in))(t)
		pages++
		if n := len(page.Body.ChatConfigurations); n > int(size) {
			t.Fatalf("a page has %d entries, want at most %d", n, size)
		}
		for _, c := range page.Body.ChatConfigurations {
			names = append(names, dara.StringValue(c.Name))
		}
		if token = dara.StringValue(page.Headers["x-acs-next-token"]); token == "" {
			return names, pages
		}
		if pages > 1000 {
			t.Fatal("the list does not end")
		}
	}
}

func TestPagesThroughTheHeaderShowEverythingOnce(t *testing.T) {
	t.Parallel()
	client := serve(t).client(t)
	if names, pages := walk(t, client, 10, nil); len(names) != 0 || pages != 1 {
		t.Errorf("an empty list has %d pages with %q, want one with nothing", pages, names)
	}
	const n = 23
	var want []string
	for i := range n {
		name := fmt.Sprintf("bot-%02d", i*7%n)
		create(t, client, name)
		want = append(want, name)
	}
	slices.Sort(want)
	for _, size := range []int32{1, 2, 5, 22, 23, 24, 100} {
		got, pages := walk(t, client, size, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, diff)
		}
		if want := (n + int(size) - 1) / int(size); pages != want {
			t.Errorf("pages of %d: there are %d, want %d", size, pages, want)
		}
		got, _ = walk(t, client, size, filters("Type", "DingTalk", "Name", "bot-1*"))
		if diff := cmp.Diff(want[10:20], got); diff != "" {
			t.Errorf("filtered pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestAListSaysMoreInItsBody(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 5 {
		create(t, s.client(t), fmt.Sprint("bot-", i))
	}
	type body struct {
		ChatConfigurations []struct {
			Name, Type, Status, ResourceGroupId string
			Revision                            int
		}
		NextToken              *string
		MaxResults, TotalCount int
	}
	var first, last body
	a := s.send(t, newACS3(s.key, "ListChatConfigurations", "MaxResults", "3"))
	a.ok(t, &first)
	if first.NextToken == nil || *first.NextToken != a.header.Get("x-acs-next-token") || first.MaxResults != 3 ||
		first.TotalCount != 5 || len(first.ChatConfigurations) != 3 {
		t.Fatalf("first page = %s", a.body)
	}
	if c := first.ChatConfigurations[0]; c.Name != "bot-0" || c.Type != "DingTalk" ||
		c.Status != "Active" || c.Revision != 1 {
		t.Errorf("first entry = %+v", c)
	}
	a = s.send(t, newACS3(s.key, "ListChatConfigurations", "MaxResults", "3", "NextToken", *first.NextToken))
	a.ok(t, &last)
	if last.NextToken != nil || a.header.Values("x-acs-next-token") != nil || last.TotalCount != 5 ||
		len(last.ChatConfigurations) != 2 {
		t.Errorf("last page = %s", a.body)
	}
}

func TestPageTokensFitTheirListOnly(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var other accessKey
	if store.name == storeFile {
		other = createKey(t, data, "other", "--admin", "--account", "2000000000000000")
	}
	s := serveOn(t, data)
	client := s.client(t)
	for i := range 3 {
		create(t, client, fmt.Sprint("bot-", i))
	}
	list := func(client *oos.Client, token string,
		edit func(*oos.ListChatConfigurationsRequest)) (*oos.ListChatConfigurationsResponse, error) {
		in := &oos.ListChatConfigurationsRequest{MaxResults: dara.Int32(1)}
		if token != "" {
			in.NextToken = dara.String(token)
		}
		if edit != nil {
			edit(in)
		}
		return client.ListChatConfigurations(in)
	}
	token := dara.StringValue(must(list(client, "", nil))(t).Headers["x-acs-next-token"])
	must(list(client, token, nil))(t)
	must(list(client, token, func(in *oos.ListChatConfigurationsRequest) { in.MaxResults = dara.Int32(2) }))(t)

	refused := map[string]func() (*oos.ListChatConfigurationsResponse, error){
		"with other filters": func() (*oos.ListChatConfigurationsResponse, error) {
			return list(client, token, func(in *oos.ListChatConfigurationsRequest) {
				in.Filters = filters("Type",
					"DingTalk")
			})
		},
		"in another region": func() (*oos.ListChatConfigurationsResponse, error) {
			return list(client, token,
				func(in *oos.ListChatConfigurationsRequest) { in.RegionId = dara.String("cn-beijing") })
		},
		"cut short": func() (*oos.ListChatConfigurationsResponse, error) {
			return list(client,
				token[:len(token)-4], nil)
		},
		"made up": func() (*oos.ListChatConfigurationsResponse, error) {
			return list(client,
				"AQEBARoBBgEAAgIBBQ==", nil)
		},
	}
	if store.name == storeFile {
		refused["of another account"] = func() (*oos.ListChatConfigurationsResponse, error) {
			return list(
				s.clientOf(t, other), token, nil)
		}
	}
	for i := range token { // one character changed, anywhere
		if i%5 != 0 {
			continue
		}
		c := "A"
		if token[i] == 'A' {
			c = "B"
		}
		refused[fmt.Sprintf("changed at %d", i)] = func() (*oos.ListChatConfigurationsResponse, error) {
			return list(client, token[:i]+c+token[i+1:], nil)
		}
	}
	for name, try := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := try()
			wantSDKError(t, err, http.StatusBadRequest, "InvalidNextToken")
		})
	}

	// A token outlives the process that gave it out, and the entry that it stands at.
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("bot-0")}))(t)
	s.kill()
	page := must(list(s.restart().client(t), token, nil))(t)
	wantEqual(t, "Name", page.Body.ChatConfigurations[0].Name, "bot-1")
}

func TestFiltersSelect(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	teams, slack := `{"TeamsWebhookSecret":"bm90LWEtcmVhbC1zZWNyZXQ="}`, `{"SlackSigningSecret":"not-a-real-secret"}`
	for _, c := range []struct{ name, typ, configuration, role, group, status, tags string }{
		{"a-ding", "DingTalk", dingTalk("a"), "Role1", "rg-one", "Active", `{"env":"prod","团队":"运维 +*~/=&%"}`},
		{"a-ding-2", "DingTalk", dingTalk("a"), "Role2", "rg-two", "Inactive", `{"env":"test"}`},
		{"b-teams", "Teams", teams, "Role1", "rg-two", "Active", `{"env":"prod","empty":""}`},
		{"c-slack", "Slack", slack, "", "", "Inactive", ``},
	} {
		more := queries{"Status": c.status}
		if c.tags != "" {
			more["Tags"] = c.tags
		}
		must(client.CreateChatConfigurationWithOptions(&oos.CreateChatConfigurationRequest{
			Name:            dara.String(c.name),
			Type:            dara.String(c.typ),
			Configuration:   dara.String(c.configuration),
			RamRole:         dara.String(c.role),
			ResourceGroupId: dara.String(c.group),
		}, extend(more, nil)))(t)
	}
	for _, c := range []struct{ filters, want string }{
		{"Name=a-ding", "a-ding"},
		{"Name=a-*", "a-ding a-ding-2"},
		{"Name=a-ding Name=c-slack Name=nobody", "a-ding c-slack"},
		{"Name=b* Name=c-slack", "b-teams c-slack"},
		{"Name=不存在", ""},
		{"type=DingTalk", "a-ding a-ding-2"},
		{"TYPE=teams Type=Slack", "b-teams c-slack"},
		{"RamRole=Role1", "a-ding b-teams"},
		{"RamRole=Role1 Type=DingTalk", "a-ding"},
		{"ResourceGroupId=rg-two", "a-ding-2 b-teams"},
		{"status=inactive", "a-ding-2 c-slack"},
		{"Status=Active Status=Inactive", "a-ding a-ding-2 b-teams c-slack"},
		{"tag:env=prod", "a-ding b-teams"},
		{"tag:env=prod tag:env=test", "a-ding a-ding-2 b-teams"},
		{"tag:env=prod Type=Teams", "b-teams"},
		{"tag:团队=运维_+*~/=&%", "a-ding"},
		{"tag:empty=", "b-teams"},
		{"tag:env=nothing", ""},
		{"CreatedAfter=2020-01-01T00:00:00Z", "a-ding a-ding-2 b-teams c-slack"},
		{"CreatedBefore=2020-01-01T00:00:00Z", ""},
		{"UpdatedAfter=2020-01-01T00:00:00+08:00 Type=Slack", "c-slack"},
	} {
		t.Run(c.filters, func(t *testing.T) {
			var pairs []string
			type pair struct{ Name, Value string }
			var list []pair
			for _, filter := range strings.Fields(c.filters) {
				name, value, _ := strings.Cut(filter, "=")
				value = strings.ReplaceAll(value, "_", " ")
				pairs, list = append(pairs, name, value), append(list, pair{name, value})
			}
			for _, size := range []int32{1, 50} {
				got, _ := walk(t, client, size, filters(pairs...))
				slices.Sort(got)
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("pages of %d show %q, want %q", size, got, c.want)
				}
			}
			// The CLI can pass the list on as JSON.
			var body struct{ ChatConfigurations []struct{ Name string } }
			s.send(t, newV1(s.key, "ListChatConfigurations", "Filters", jsonText(list))).ok(t, &body)
			var names []string
			for _, c := range body.ChatConfigurations {
				names = append(names, c.Name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("filters as JSON show %q, want %q", got, c.want)
			}
		})
	}
}

func TestAListShowsOutputsOnlyToWhoMayGet(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	key := createKeyWith(t, data, "lister", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:List*","Resource":"*"},
		{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"acs:oos:*:*:chatconfiguration/mine-*"}]}`)
	s := serveOn(t, data)
	create(t, s.client(t), "mine-1")
	create(t, s.client(t), "yours")
	list := must(s.clientOf(t, key).ListChatConfigurations(
		&oos.ListChatConfigurationsRequest{}))(t).Body.ChatConfigurations
	if len(list) != 2 {
		t.Fatalf("the list has %d entries, want 2", len(list))
	}
	var outputs map[string]string
	if err := json.Unmarshal([]byte(dara.StringValue(list[0].Outputs)), &outputs); err != nil || outputs["URL"] == "" {
		t.Errorf("Outputs of mine-1 = %q, want a URL", dara.StringValue(list[0].Outputs))
	}
	wantEqual(t, "Outputs of yours", list[1].Outputs, "")
}
