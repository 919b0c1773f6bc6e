package chat_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// A crowd is a house with many configurations of all sorts, and what they are.
type crowd struct {
	*house
	all []*chat.Stored // in the order of their names
}

func newCrowd(t testing.TB, n int) *crowd {
	t.Helper()
	c := &crowd{house: newHouse(t)}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	texts := map[string]string{"DingTalk": minDingTalk, "WeChat": minWeChat, "Feishu": minFeishu,
		"Slack": chattest.Slack, "Teams": minTeams}
	for i := range n {
		name := fmt.Sprint(pick("a", "b", "ab", "abc", "a-b", "A", "_", "b-"), pick("", "-", "x"), i)
		tags := make(map[string]string)
		for _, key := range []string{"env", "Env", "e", "env#", "空"} {
			if r.IntN(2) == 0 {
				tags[key] = pick("", "prod", "dev", "prod#1", "%", "prod ")
			}
		}
		as := pick("DingTalk", "WeChat", "Feishu", "Slack", "Slack", "Teams")
		c.MustCreate(name, func(in *chat.CreateRequest) {
			in.Type, in.Configuration, in.Tags = as, secret.Text(texts[as]), tags
			in.RamRole, in.ResourceGroupID, in.Status = pick("", "Ops", "Dev"), pick("", "", "rg-1", "rg-2"),
				pick("Active", "Active", "Inactive")
		})
		c.Clock.Advance(700 * time.Millisecond)
		if r.IntN(3) == 0 {
			c.MustUpdate(&chat.UpdateRequest{Name: name})
			c.Clock.Advance(700 * time.Millisecond)
		}
		c.all = append(c.all, c.stored(name))
	}
	slices.SortFunc(c.all, func(a, b *chat.Stored) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// selected returns the names that filters select, the slow way.
func (c *crowd) selected(filters []chat.Filter) []string {
	var out []string
	for _, r := range c.all {
		holds := make(map[string]bool) // by filter name
		for _, f := range filters {
			name := strings.ToLower(f.Name)
			if key, ok := cutFold(f.Name, "tag:"); ok {
				name = "tag:" + key
			}
			holds[name] = holds[name] || holdsFor(r, name, f.Value)
		}
		if !slices.Contains(slices.Collect(maps.Values(holds)), false) {
			out = append(out, r.Name)
		}
	}
	return out
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func holdsFor(r *chat.Stored, name, value string) bool {
	when := func() time.Time { t, _ := time.Parse(time.RFC3339, value); return t }
	switch name {
	case "name":
		prefix, ok := strings.CutSuffix(value, "*")
		return ok && strings.HasPrefix(r.Name, prefix) || r.Name == value
	case "type":
		return strings.EqualFold(r.Type, value) || value == "Lark" && r.Type == "Feishu" ||
			value == "wecom" && r.Type == "WeChat"
	case "ramrole":
		return r.RamRole == value
	case "resourcegroupid":
		return r.ResourceGroupID == value
	case "status":
		return strings.EqualFold(r.Status, value)
	case "createdafter":
		return r.Created.Truncate(time.Second).After(when())
	case "createdbefore":
		return r.Created.Truncate(time.Second).Before(when())
	case "updatedafter":
		return r.Updated.Truncate(time.Second).After(when())
	case "updatedbefore":
		return r.Updated.Truncate(time.Second).Before(when())
	}
	key, _ := strings.CutPrefix(name, "tag:")
	got, ok := r.Tags[key]
	return ok && got == value
}

// walk follows a list to its end, n results a page (0: the default), and returns all of them.
func (c *crowd) walk(filters []chat.Filter, n int64) []string {
	c.T.Helper()
	in := &chat.ListRequest{Filters: filters}
	if n > 0 {
		in.MaxResults = &n
	}
	var list []string
	for page := 0; ; page++ {
		c.Spy.Reset()
		out, err := c.List(c.Ctx, in)
		if err != nil {
			c.T.Fatalf("List(%+v) of %d: %v", filters, n, err)
		}
		if calls := c.Spy.Took(); len(strings.Fields(calls)) > 10 {
			c.T.Errorf("List(%+v) of %d: page %d made the calls %s", filters, n, page, calls)
		}
		list = append(list, namesOf(out.ChatConfigurations)...)
		if want := max(n, 0); n > 0 && (int64(len(out.ChatConfigurations)) > want || out.MaxResults != want) {
			c.T.Errorf("List(%+v) of %d: %d results, MaxResults = %d", filters,
				n, len(out.ChatConfigurations), out.MaxResults)
		}
		switch last := out.NextToken == ""; {
		case len(filters) == 0:
			if out.TotalCount == nil || *out.TotalCount != int64(len(c.all)) {
				c.T.Errorf("page %d of %d of all: TotalCount = %v, want %d", page, n, out.TotalCount, len(c.all))
			}
		case last && page == 0:
			if out.TotalCount == nil || *out.TotalCount != int64(len(list)) {
				c.T.Errorf("List(%+v) of %d: TotalCount = %v, want %d", filters, n, out.TotalCount, len(list))
			}
		case out.TotalCount != nil:
			c.T.Errorf("List(%+v) of %d: TotalCount = %d on page %d, want none", filters, n, *out.TotalCount, page)
		}
		if out.NextToken == "" {
			return list
		}
		if out.NextPageToken() != out.NextToken {
			c.T.Errorf("NextPageToken = %q", out.NextPageToken())
		}
		if in.NextToken = out.NextToken; page > 5*len(c.all) {
			c.T.Fatalf("List(%+v) of %d does not end", filters, n)
		}
	}
}

// check compares a walk with the slow way. Names come in order unless several ranges of the index
// had to be read.
func (c *crowd) check(filters []chat.Filter, n int64) {
	c.T.Helper()
	got, want := c.walk(filters, n), c.selected(filters)
	values := make(map[string][]string)
	for _, f := range filters {
		if name := strings.ToLower(f.Name); name != "name" && !strings.HasSuffix(name, "after") &&
			!strings.HasSuffix(name, "before") {
			if key, ok := cutFold(f.Name, "tag:"); ok {
				name = "tag:" + key
			}
			if !slices.Contains(values[name], f.Value) {
				values[name] = append(values[name], f.Value)
			}
		}
	}
	ordered := len(values) == 0
	for _, list := range values {
		ordered = ordered || len(list) == 1
	}
	if !ordered {
		slices.Sort(got)
	}
	if !slices.Equal(got, want) {
		c.T.Errorf("List(%+v) of %d = %q, want %q", filters, n, got, want)
	}
}

func TestListFilters(t *testing.T) {
	c := newCrowd(t, 60)
	some := c.all[30]
	type f = chat.Filter
	for about, filters := range map[string][]f{
		"none":   nil,
		"a name": {{"name", some.Name}},
		"names": {{"Name", some.Name}, {"NAME", c.all[3].Name},
			{"nAme", "none"}, {"Name", some.Name}},
		"a name that no configuration can have": {{"Name", "a+b*~/钉"}},
		"a name that no key has room for":       {{"Name", strings.Repeat("x", 5000)}},
		"such a name beside a prefix":           {{"Name", strings.Repeat("x", 5000)}, {"Name", "ab*"}},
		"a prefix that no key has room for":     {{"Name", strings.Repeat("x", 5000) + "*"}},
		"a prefix of other letters":             {{"Name", "钉*"}},
		"every name":                            {{"Name", "*"}},
		"a prefix":                              {{"Name", "ab*"}},
		"a prefix that ends in a star":          {{"Name", "ab**"}},
		"prefixes of each other":                {{"Name", "ab*"}, {"Name", "a*"}, {"Name", "abc*"}},
		"prefixes apart":                        {{"Name", "b*"}, {"Name", "A*"}, {"Name", "_*"}},
		"a prefix and names in and out": {{"Name", "ab*"}, {"Name", some.Name},
			{"Name", c.all[0].Name}, {"Name", c.all[59].Name}},
		"a type in another case":            {{"TYPE", "slack"}},
		"types by their aliases":            {{"type", "Lark"}, {"Type", "wecom"}},
		"a role":                            {{"ramrole", "Ops"}},
		"roles":                             {{"RamRole", "Ops"}, {"RamRole", "Dev"}},
		"a group":                           {{"ResourceGroupId", "rg-1"}},
		"a status":                          {{"Status", "inactive"}},
		"both status":                       {{"Status", "inactive"}, {"Status", "ACTIVE"}},
		"a tag":                             {{"tag:env", "prod"}},
		"a tag in upper case":               {{"TAG:env", "prod"}},
		"a tag whose key keeps its case":    {{"tag:Env", "prod"}},
		"a tag without value":               {{"tag:env", ""}},
		"a tag with a separator":            {{"tag:env#", "prod#1"}},
		"a tag beyond ASCII":                {{"tag:空", "%"}},
		"values of one tag and another tag": {{"tag:env", "prod"}, {"tag:env", "dev"}, {"tag:e", "prod"}},
		"type and status":                   {{"Type", "Slack"}, {"Status", "Active"}},
		"types and roles": {{"Type", "Slack"}, {"Type", "Teams"},
			{"RamRole", "Ops"}, {"RamRole", "Dev"}},
		"types and a prefix":      {{"Type", "Slack"}, {"Type", "Teams"}, {"Name", "a*"}, {"Name", "b*"}},
		"a type and a name":       {{"Type", some.Type}, {"Name", some.Name}},
		"another type and a name": {{"Status", "Active"}, {"Status", "Inactive"}, {"Name", some.Name}},
		"made after":              {{"CreatedAfter", some.Created.Format(time.RFC3339Nano)}},
		"made before, in another zone": {{"createdbefore",
			some.Created.In(time.FixedZone("", 8*3600)).Format(time.RFC3339Nano)}},
		"changed between": {{"UpdatedAfter", c.all[3].Updated.Format(time.RFC3339)},
			{"UPDATEDBEFORE", c.all[40].Updated.Format(time.RFC3339)}},
		"made after either": {{"CreatedAfter", some.Created.Format(time.RFC3339)},
			{"CreatedAfter", c.all[5].Created.Format(time.RFC3339)}},
		"nothing": {{"Type", "Slack"}, {"tag:none", ""}},
	} {
		for _, n := range []int64{0, 1, 2, 3, 59, 60, 61, 100} {
			c.check(filters, n)
		}
		if t.Failed() {
			t.Fatalf("with the filters of %s", about)
		}
	}
}

// TestListAnyFilters compares random filters with the slow way, at random page sizes.
func TestListAnyFilters(t *testing.T) {
	c := newCrowd(t, 80)
	r := rand.New(rand.NewPCG(3, 4))
	some := func() *chat.Stored { return c.all[r.IntN(len(c.all))] }
	kinds := []func() chat.Filter{
		func() chat.Filter { return chat.Filter{Name: "Name", Value: some().Name} },
		func() chat.Filter {
			n := some().Name
			return chat.Filter{Name: "Name", Value: n[:r.IntN(len(n)+1)] + "*"}
		},
		func() chat.Filter { return chat.Filter{Name: "Type", Value: some().Type} },
		func() chat.Filter { return chat.Filter{Name: "Status", Value: some().Status} },
		func() chat.Filter { return chat.Filter{Name: "RamRole", Value: "Ops"[:1+r.IntN(3)]} },
		func() chat.Filter { return chat.Filter{Name: "ResourceGroupId", Value: fmt.Sprint("rg-", r.IntN(3))} },
		func() chat.Filter {
			for {
				for k, v := range some().Tags {
					return chat.Filter{Name: "tag:" + k, Value: v}
				}
			}
		},
		func() chat.Filter {
			return chat.Filter{Name: "CreatedAfter", Value: some().Created.Format(time.RFC3339)}
		},
		func() chat.Filter {
			return chat.Filter{Name: "CreatedBefore", Value: some().Created.Format(time.RFC3339)}
		},
		func() chat.Filter {
			return chat.Filter{Name: "UpdatedAfter", Value: some().Updated.Format(time.RFC3339Nano)}
		},
		func() chat.Filter {
			return chat.Filter{Name: "UpdatedBefore", Value: some().Updated.Format(time.RFC3339Nano)}
		},
	}
	for range 200 {
		filters := make([]chat.Filter, r.IntN(6))
		for i := range filters {
			filters[i] = kinds[r.IntN(len(kinds))]()
		}
		c.check(filters, 1+r.Int64N(30))
		if t.Failed() {
			return
		}
	}
}

// A value that no configuration can have selects none, alone and beside one that some have, in
// every spelling of the name. These are the filters that the API's documentation shows.
func TestFiltersThatSelectNothing(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole, in.Tags, in.Status = "r", map[string]string{"k": ""}, "INACTIVE"
	})
	list := func(filters ...chat.Filter) []string {
		t.Helper()
		out, err := h.List(h.Ctx, &chat.ListRequest{Filters: filters})
		if err != nil {
			t.Errorf("List(%v): %v", filters, err)
			return nil
		}
		if out.NextToken != "" || out.TotalCount == nil || *out.TotalCount != int64(len(out.ChatConfigurations)) {
			t.Errorf("List(%v): NextToken %q, TotalCount %v", filters, out.NextToken, out.TotalCount)
		}
		return namesOf(out.ChatConfigurations)
	}
	chattest.Equal(t, "the documentation's filters", list(chat.Filter{Name: "status", Value: "inactive"},
		chat.Filter{Name: "type", Value: "private"}), []string{})
	for _, f := range []chat.Filter{
		{Name: "type", Value: "private"}, {Name: "Type", Value: strings.Repeat("t", 5000)},
		{Name: "STATUS", Value: "deleted"}, {Name: "ramrole", Value: "acs:ram::1:role/x"},
		{Name: "RamRole", Value: strings.Repeat("r", 5000)}, {Name: "resourceGroupId",
			Value: strings.Repeat("#", 5000)}, {Name: "name", Value: "no such/name"},
		{Name: "tag:k", Value: "http://x"}, {Name: "tag:k", Value: strings.Repeat("v", 5000)},
		{Name: "tag:none", Value: ""}, {Name: "CreatedAfter", Value: "2999-01-01T00:00:00Z"},
	} {
		chattest.Equal(t, fmt.Sprintf("the list with %.60v", f), list(f), []string{})
		if f.Name != "name" { // of which any counts
			chattest.Equal(t, fmt.Sprintf("the list of one with %.60v", f),
				list(f, chat.Filter{Name: "Name", Value: "one"}), []string{})
		}
		chattest.Equal(t, fmt.Sprintf("the list with %.60v twice", f), list(f, f), []string{})
	}
	for name, values := range map[string][2]string{"type": {"private", "slack"}, "status": {"x", "inActive"},
		"RamRole": {"a:b", "r"}, "tag:k": {"http://", ""}} {
		chattest.Equal(t, "the list with either "+name, list(chat.Filter{Name: name, Value: values[0]},
			chat.Filter{Name: name, Value: values[1]}), []string{"one"})
	}
}

func TestListRefuses(t *testing.T) {
	h := newHouse(t)
	many := make([]chat.Filter, 51)
	for i := range many {
		many[i] = chat.Filter{Name: "Name", Value: "x"}
	}
	one := func(name, value string) []chat.Filter { return []chat.Filter{{Name: name, Value: value}} }
	for _, c := range []struct {
		about   string
		filters []chat.Filter
		code    fault.Code
		param   string
		texts   []string
	}{
		{"51 filters", many, fault.InvalidParameter, "Filters", []string{"51 filters", "50"}},
		{"a filter without name", one("", "x"), fault.MissingParameter, "Filters.Name", nil},
		{"a filter without value", one("Type", ""), fault.InvalidParameter, "Filters", []string{`"Type" has no value`}},
		{"an unknown filter", one("Owner", "x"), fault.InvalidParameter, "Filters",
			[]string{`Unknown filter "Owner"`, "Name, Type, RamRole", "tag:<key>"}},
		{"a filter's name misspelt", one("Stauts", "x"), fault.InvalidParameter, "Filters",
			[]string{`Unknown filter "Stauts"; did you mean Status?`}},
		{"several mistakes", []chat.Filter{{Name: "Owner", Value: "x"}, {Name: "Type"}, {Value: "x"}},
			fault.InvalidParameter, "Filters",
			[]string{`Unknown filter "Owner"`, `"Type" has no value`, "Filters.Name is mandatory"}},
		{"a tag without key", one("tag:", "x"), fault.InvalidParameter, "Filters", []string{`"tag:"`}},
		{"a tag that cannot be", one("tag:aliyun", "x"), fault.InvalidParameter, "Filters", []string{`"aliyun"`}},
		{"a date without time", one("CreatedAfter", "2026-01-31"), fault.InvalidParameter, "Filters",
			[]string{"CreatedAfter", `"2026-01-31"`, "2026-01-31T08:00:00Z"}},
		{"an invalid date", one("updatedbefore", "now"), fault.InvalidParameter, "Filters",
			[]string{"UpdatedBefore", `"now"`}},
	} {
		_, err := h.List(h.Ctx, &chat.ListRequest{Filters: c.filters})
		chattest.WantError(t, c.about, err, c.code, c.param, c.texts...)
	}
	for _, n := range []int64{-1, 0, 101, 1 << 62} {
		_, err := h.List(h.Ctx, &chat.ListRequest{MaxResults: &n})
		chattest.WantError(t, fmt.Sprint(n, " results"), err, fault.InvalidParameter, "MaxResults",
			fmt.Sprint("MaxResults is ", n), "1 to 100")
		_, err = h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceType: "chatconfiguration",
			MaxResults: &n})
		chattest.WantError(t, fmt.Sprint(n, " tags"), err, fault.InvalidParameter, "MaxResults")
		_, err = h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: "chatconfiguration", MaxResults: &n})
		chattest.WantError(t, fmt.Sprint(n, " keys"), err, fault.InvalidParameter, "MaxResults")
	}
}

func TestListOfNothing(t *testing.T) {
	h := newHouse(t)
	out, err := h.List(h.Ctx, &chat.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "List of nothing", out, &chat.ListResponse{ChatConfigurations: []chat.Summary{}, MaxResults: 50,
		TotalCount: chattest.Ptr[int64](0)})
}

// TestPageTokens holds that a token is good for the list that gave it out, however that is spelt,
// and for nothing else.
func TestPageTokens(t *testing.T) {
	c := newCrowd(t, 20)
	other := *chattest.Administrator
	other.Account = "9"
	type f = chat.Filter
	filters := []f{{"Type", "Slack"}, {"Type", "Teams"}, {"Name", "*"}, {"Name", "a*"},
		{"CreatedAfter", "2026-11-23T00:00:00Z"}}
	first, err := c.List(c.Ctx, &chat.ListRequest{Filters: filters, MaxResults: chattest.Ptr[int64](1)})
	if err != nil || first.NextToken == "" {
		t.Fatalf("List = %+v, %v", first, err)
	}
	for about, in := range map[string]*chat.ListRequest{
		"the same":             {Filters: filters},
		"another page size":    {Filters: filters, MaxResults: chattest.Ptr[int64](7)},
		"the region spelt out": {Filters: filters, RegionID: chattest.Region},
		"filters in another way": {Filters: []f{{"name", "a*"}, {"createdAFTER", "2026-11-23T08:00:00+08:00"},
			{"TYPE", "teams"}, {"type", "SLACK"}, {"Type", "slack"}, {"NAME", "*"}}},
	} {
		in.NextToken = first.NextToken
		if _, err := c.List(c.Ctx, in); err != nil {
			t.Errorf("a token with %s: %v", about, err)
		}
	}
	tagged := &chat.ListTagResourcesRequest{ResourceType: "chatconfiguration", NextToken: first.NextToken}
	refused := map[string]func(token string) error{
		"no filters": func(token string) error {
			_, err := c.List(c.Ctx,
				&chat.ListRequest{NextToken: token})
			return err
		},
		"a filter less": func(token string) error {
			_, err := c.List(c.Ctx, &chat.ListRequest{Filters: filters[1:], NextToken: token})
			return err
		},
		"another value": func(token string) error {
			_, err := c.List(c.Ctx, &chat.ListRequest{Filters: append([]f{{"Type", "Feishu"}}, filters[1:]...),
				NextToken: token})
			return err
		},
		"a value in another filter": func(token string) error {
			_, err := c.List(c.Ctx, &chat.ListRequest{Filters: append([]f{{"RamRole", "Slack"}}, filters[1:]...),
				NextToken: token})
			return err
		},
		"another region": func(token string) error {
			_, err := c.List(c.Ctx, &chat.ListRequest{RegionID: "us-east-1", Filters: filters, NextToken: token})
			return err
		},
		"another account": func(token string) error {
			_, err := c.List(chattest.As(t.Context(), &other), &chat.ListRequest{Filters: filters, NextToken: token})
			return err
		},
		"another action": func(token string) error {
			tagged.NextToken = token
			_, err := c.ListTagResources(c.Ctx, tagged)
			return err
		},
		"the keys of tags": func(token string) error {
			_, err := c.ListTagKeys(c.Ctx, &chat.ListTagKeysRequest{ResourceType: "chatconfiguration",
				NextToken: token})
			return err
		},
	}
	for about, call := range refused {
		chattest.WantError(t, "a token with "+about, call(first.NextToken), fault.InvalidNextToken,
			"NextToken", "start again without NextToken")
	}
	for i := range first.NextToken {
		for _, b := range []byte{'A', 'z', '-', ' ', '\n'} {
			forged := first.NextToken[:i] + string(b) + first.NextToken[i+1:]
			if forged == first.NextToken {
				continue
			}
			_, err := c.List(c.Ctx, &chat.ListRequest{Filters: filters, NextToken: forged})
			chattest.WantError(t, fmt.Sprintf("a token with %q at %d", b, i), err, fault.InvalidNextToken, "NextToken")
		}
	}
	for _, token := range []string{"x", "c#a", first.NextToken + "A", first.NextToken[1:],
		first.NextToken[:len(first.NextToken)-1], strings.Repeat("A", 10_000)} {
		_, err := c.List(c.Ctx, &chat.ListRequest{Filters: filters, NextToken: token})
		chattest.WantError(t, "a made-up token", err, fault.InvalidNextToken, "NextToken")
	}
	rotated := c.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	if _, err := rotated.List(c.Ctx, &chat.ListRequest{Filters: filters, NextToken: first.NextToken}); err != nil {
		t.Errorf("a token after a rotation: %v", err)
	}
	foreign := c.ServiceWith(chat.Options{}, chattest.NewRing(t, 2))
	_, err = foreign.List(c.Ctx, &chat.ListRequest{Filters: filters, NextToken: first.NextToken})
	chattest.WantError(t, "a token of another ring", err, fault.InvalidNextToken, "NextToken")
}

// TestListWhileThingsChange holds that what stays is listed once, whatever comes and goes between
// two pages.
func TestListWhileThingsChange(t *testing.T) {
	for about, filters := range map[string][]chat.Filter{
		"all":         nil,
		"by type":     {{Name: "Type", Value: "Slack"}},
		"by names":    {{Name: "Name", Value: "n-*"}},
		"by each":     exactly(20),
		"by two tags": {{Name: "tag:a", Value: "b"}, {Name: "tag:c", Value: "d"}},
	} {
		h := newHouse(t)
		for i := range 20 {
			h.MustCreate(fmt.Sprintf("n-%02d", i),
				func(in *chat.CreateRequest) { in.Tags = map[string]string{"a": "b", "c": "d"} })
		}
		in := &chat.ListRequest{Filters: filters, MaxResults: chattest.Ptr[int64](3)}
		var got []string
		for {
			out, err := h.List(h.Ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			page := namesOf(out.ChatConfigurations)
			got = append(got, page...)
			if out.NextToken == "" {
				break
			}
			in.NextToken = out.NextToken
			// The item that the cursor stands on goes away, and so does one that is still to come;
			// a new one comes before the cursor.
			last := page[len(page)-1]
			h.MustDelete(last)
			if n := 0; len(got) == 6 {
				fmt.Sscanf(last, "n-%d", &n)
				h.MustDelete(fmt.Sprintf("n-%02d", n+2))
				h.MustCreate("n-00-new")
			}
		}
		var want []string
		for i := range 20 {
			if i != 7 {
				want = append(want, fmt.Sprintf("n-%02d", i))
			}
		}
		chattest.Equal(t, "listed "+about, got, want)
	}
}

func exactly(n int) []chat.Filter {
	list := make([]chat.Filter, n)
	for i := range list {
		list[i] = chat.Filter{Name: "Name", Value: fmt.Sprintf("n-%02d", i)}
	}
	return list
}

// TestListByNameBesidePrefix holds that a name is not taken for a prefix where prefixes are asked
// for too.
func TestListByNameBesidePrefix(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"ab", "abc", "ab-", "z", "zz", "y"} {
		h.MustCreate(name)
	}
	for _, n := range []int64{1, 2, 100} {
		in := &chat.ListRequest{MaxResults: &n, Filters: []chat.Filter{{Name: "Name", Value: "ab"},
			{Name: "Name", Value: "z*"}, {Name: "Name", Value: "zz"}}}
		var got []string
		for {
			out, err := h.List(h.Ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, namesOf(out.ChatConfigurations)...)
			if in.NextToken = out.NextToken; in.NextToken == "" {
				break
			}
		}
		chattest.Equal(t, "listed", got, []string{"ab", "z", "zz"})
	}
}

// TestListBetweenIndexAndDocument has a configuration go, and another one change, after their index
// entries were read.
func TestListBetweenIndexAndDocument(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"gone", "moved", "stays"} {
		h.MustCreate(name, func(in *chat.CreateRequest) { in.RamRole = "Ops" })
	}
	once := false
	h.Spy.OnRead = func(items []table.Item) []table.Item {
		if !once {
			once = true
			h.MustDelete("gone")
			h.MustUpdate(&chat.UpdateRequest{Name: "moved", RamRole: chattest.Ptr("Dev")})
		}
		return items
	}
	out, err := h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "RamRole", Value: "Ops"}}})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "listed", namesOf(out.ChatConfigurations), []string{"stays"})
}

// TestListShowsWhatMovesOnce has a configuration change its tag between the reading of an index and
// that of its document: from one of the values that are listed to the other, which is looked at
// later.
func TestListShowsWhatMovesOnce(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "a"} })
	h.Spy.Reset()
	h.Spy.Before = func(verb string, n int) error {
		if verb == "Get" && n == 1 {
			h.Spy.Before = nil
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: chat.ResourceType, ResourceIDs: []string{"one"},
				Tags: map[string]string{"env": "b"}})
			return err
		}
		return nil
	}
	out, err := h.List(h.Ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "tag:env", Value: "a"},
		{Name: "tag:env", Value: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "what was listed", namesOf(out.ChatConfigurations), []string{"one"})
}

// A list shows Configurations if it is asked to: of those that the caller may get, as Get shows
// them, and not more than fit into an answer.
func TestListWithConfiguration(t *testing.T) {
	h := newHouse(t)
	var commands []string
	for i := range 500 {
		commands = append(commands, fmt.Sprintf(`"%064d"`, i))
	}
	var statements []string
	for some := range slices.Chunk(commands, 5) {
		statements = append(statements,
			`{"Effect":"Allow","Principals":["*"],"Commands":[`+strings.Join(some, ",")+`]}`)
	}
	large := secret.Text(`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret",` +
		`"Permissions":[` + strings.Join(statements, ",") + `]}`)
	for i := range 80 {
		h.MustCreate(fmt.Sprintf("bot-%02d", i), func(in *chat.CreateRequest) {
			in.Type, in.Configuration = "DingTalk", large
		})
	}
	h.MustCreate("zz")
	n := int64(chat.MaxResults)
	list := func(ctx context.Context, with bool) (texts map[string]string) {
		t.Helper()
		out, err := h.List(ctx, &chat.ListRequest{MaxResults: &n, WithConfiguration: with})
		if err != nil || len(out.ChatConfigurations) != 81 {
			t.Fatalf("List: %d, %v", len(out.ChatConfigurations), err)
		}
		texts = make(map[string]string)
		for _, c := range out.ChatConfigurations {
			if c.Configuration != "" {
				texts[c.Name] = c.Configuration
			}
		}
		return texts
	}
	if got := list(h.Ctx, false); len(got) != 0 {
		t.Errorf("without being asked: %d Configurations", len(got))
	}
	got, size := list(h.Ctx, true), 0
	for name, text := range got {
		size += len(text)
		if want := h.MustGet(name).Configuration; text != want || strings.Contains(text, "not-a-real-secret") {
			t.Errorf("%s: %s\nGet shows %s", name, text, want)
		}
	}
	if whole := len(got["bot-00"]); size > 2<<20 || size < 2<<20-whole || got["bot-79"] != "" || got["zz"] == "" {
		t.Errorf("%d Configurations of %d bytes, want as many as fit into 2 MiB", len(got), size)
	}
	if got := list(h.only("ListChatConfigurations"), true); len(got) != 0 {
		t.Errorf("a caller that may not get them: %d Configurations", len(got))
	}
}

// A list shows the health of webhooks if it is asked to, as GetChatConfigurationHealth does, of
// those that the caller may get.
func TestListWithHealth(t *testing.T) {
	h := newHouse(t)
	for i := range 20 {
		e := h.Bot(fmt.Sprintf("bot-%02d", i))
		if i%2 == 0 {
			h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), "U1", "restart"))
		}
	}
	list := func(ctx context.Context, s *chat.Service, with bool) (states map[string]string, denied int64) {
		t.Helper()
		out, err := s.List(ctx, &chat.ListRequest{WithHealth: with})
		if err != nil || len(out.ChatConfigurations) != 20 {
			t.Fatalf("List: %d, %v", len(out.ChatConfigurations), err)
		}
		states = make(map[string]string)
		for _, c := range out.ChatConfigurations {
			if c.Health == nil {
				continue
			}
			states[c.Name] = c.Health.State
			chattest.Equal(t, "the health of "+c.Name, *c.Health, h.MustHealth(c.Name))
		}
		return states, out.HealthDenied
	}
	got, denied := list(h.Ctx, h.Service, true)
	if len(got) != 20 || denied != 0 || got["bot-00"] != chat.HealthWorking || got["bot-01"] != chat.HealthSilent {
		t.Errorf("all: %v, %d denied", got, denied)
	}
	if got, denied := list(h.Ctx, h.Service, false); len(got) != 0 || denied != 0 {
		t.Errorf("without being asked: %v, %d denied", got, denied)
	}
	if got, denied := list(h.only("ListChatConfigurations"), h.Service, true); len(got) != 0 || denied != 20 {
		t.Errorf("a caller that may not get it: %v, %d denied", got, denied)
	}
	if got, denied := list(h.Ctx, h.ServiceWith(chat.Options{}, h.Ring), true); len(got) != 0 || denied != 0 {
		t.Errorf("without a journal: %v, %d denied", got, denied)
	}
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition, table.Change{Puts: []table.Put{{
		Sort: journalKey("h#", h.Open("bot-07").Ref(), "last#error"), Value: []byte("planted")}}}); err != nil {
		t.Fatal(err)
	}
	_, err := h.List(h.Ctx, &chat.ListRequest{WithHealth: true})
	chattest.WantError(t, "a health that is tampered", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}
