package chat_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const resourceType = "chatconfiguration"

func (h *house) tag(tags map[string]string, names ...string) error {
	_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: resourceType, ResourceIDs: names, Tags: tags})
	return err
}

// tagsOf returns the tags of several configurations, by name.
func (h *house) tagsOf(names ...string) map[string]map[string]string {
	out := make(map[string]map[string]string)
	for _, name := range names {
		out[name] = h.MustGet(name).Tags
	}
	return out
}

// numberedNames returns n names in byte order.
func numberedNames(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("n-%04d", i)
	}
	return list
}

func (h *house) createNamed(names []string, edit func(i int, in *chat.CreateRequest)) {
	h.T.Helper()
	list := make([]*chat.CreateRequest, len(names))
	for i, name := range names {
		list[i] = &chat.CreateRequest{Name: name, Type: "Slack", Configuration: chattest.Slack}
		if edit != nil {
			edit(i, list[i])
		}
	}
	h.MustCreateAll(list)
}

func TestTagAndUntag(t *testing.T) {
	h := newHouse(t)
	h.createNamed([]string{"one", "two"}, nil)
	step := func(err error, want map[string]map[string]string, revisions ...int64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		chattest.Equal(t, "tags", h.tagsOf("one", "two"), want)
		chattest.Equal(t, "revisions", []int64{h.MustGet("one").Revision, h.MustGet("two").Revision}, revisions)
		h.MustAgree()
	}
	type tags = map[string]string
	untag := func(in *chat.UntagRequest, names ...string) error {
		in.ResourceType, in.ResourceIDs = "ChatConfiguration", names
		_, err := h.Untag(h.Ctx, in)
		return err
	}
	step(h.tag(tags{"a": "1", "b": ""}, "one", "two"), map[string]map[string]string{"one": {"a": "1", "b": ""},
		"two": {"a": "1", "b": ""}}, 2, 2)
	step(h.tag(tags{"a": "1", "b": ""}, "one", "two"), map[string]map[string]string{"one": {"a": "1", "b": ""},
		"two": {"a": "1", "b": ""}}, 2, 2)
	step(h.tag(tags{"a": "2", "c": "#"}, "two", "two", "two"), map[string]map[string]string{"one": {"a": "1", "b": ""},
		"two": {"a": "2", "b": "", "c": "#"}}, 2, 3)
	step(untag(&chat.UntagRequest{TagKeys: []string{"c", "none", "c"}}, "one", "two"),
		map[string]map[string]string{"one": {"a": "1", "b": ""}, "two": {"a": "2", "b": ""}}, 2, 4)
	step(untag(&chat.UntagRequest{TagKeys: []string{"c"}, All: true}, "one"),
		map[string]map[string]string{"one": {"a": "1", "b": ""}, "two": {"a": "2", "b": ""}}, 2, 4)
	step(untag(&chat.UntagRequest{All: true}, "one", "two"), map[string]map[string]string{"one": nil, "two": nil}, 3, 5)
	step(untag(&chat.UntagRequest{All: true}, "one", "two"), map[string]map[string]string{"one": nil, "two": nil}, 3, 5)
}

func TestTagOperationsRefuse(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"a": "b"} })
	many := numberedNames(51)
	ab := map[string]string{"a": "b"}
	keys21 := strings.Fields(strings.Repeat("k ", 21))
	before := h.Dump()
	for _, c := range []struct {
		about string
		call  func() error
		code  fault.Code
		param string
		texts []string
	}{
		{"Tag without type", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceIDs: []string{"one"}, Tags: ab})
			return err
		}, fault.MissingParameter, "ResourceType", nil},
		{"Tag of another type", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "template", ResourceIDs: []string{"one"}, Tags: ab})
			return err
		}, fault.InvalidParameter, "ResourceType", []string{`"template"`, "chatconfiguration"}},
		{"Tag of nothing", func() error { return h.tag(ab) }, fault.MissingParameter, "ResourceIds", nil},
		{"Tag without tags", func() error { return h.tag(nil, "one") }, fault.MissingParameter, "Tags", nil},
		{"Tag of 51", func() error { return h.tag(ab, many...) }, fault.InvalidParameter, "ResourceIds",
			[]string{"51 ResourceIds", "50"}},
		{"Tag of what is not there", func() error { return h.tag(ab, "one", "none") }, fault.ResourceNotFound,
			"ResourceIds", []string{`"none"`}},
		{"Tag of what cannot be", func() error { return h.tag(ab, "one", "c#one") }, fault.ResourceNotFound,
			"ResourceIds", []string{`"c#one"`}},
		{"Tag of an empty name", func() error { return h.tag(ab, "one", "") }, fault.ResourceNotFound,
			"ResourceIds", []string{`""`}},
		{"Untag without keys", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType, ResourceIDs: []string{"one"}})
			return err
		}, fault.MissingParameter, "TagKeys", nil},
		{"Untag of 21 keys", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
				ResourceIDs: []string{"one"}, TagKeys: keys21})
			return err
		}, fault.InvalidParameter, "TagKeys", []string{"21 TagKeys", "20"}},
		{"Untag of an empty key", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
				ResourceIDs: []string{"one"}, TagKeys: []string{"a", ""}})
			return err
		}, fault.InvalidParameter, "TagKeys", nil},
		{"Untag of what is not there", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
				ResourceIDs: []string{"one", "none"}, All: true})
			return err
		}, fault.ResourceNotFound, "ResourceIds", []string{`"none"`}},
		{"ListTagResources of what is not there", func() error {
			_, err := h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceType: resourceType,
				ResourceIDs: []string{"one", "none"}})
			return err
		}, fault.ResourceNotFound, "ResourceIds", []string{`"none"`}},
		{"ListTagResources of another type", func() error {
			_, err := h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceType: "parameter"})
			return err
		}, fault.InvalidParameter, "ResourceType", nil},
		{"ListTagKeys of another type", func() error {
			_, err := h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: "parameter"})
			return err
		}, fault.InvalidParameter, "ResourceType", []string{"write chatconfiguration"}},
		{"ListTagValues without key", func() error {
			_, err := h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: resourceType})
			return err
		}, fault.MissingParameter, "Key", nil},
		{"ListTagValues of a key that cannot be", func() error {
			_, err := h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: resourceType,
				Key: strings.Repeat("k", 2000)})
			return err
		}, fault.InvalidParameter, "Key", nil},
		{"ChangeResourceGroup of nothing", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
				NewResourceGroupID: "rg"})
			return err
		}, fault.MissingParameter, "ResourceId", nil},
		{"ChangeResourceGroup without group", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
				ResourceID: "one"})
			return err
		}, fault.MissingParameter, "NewResourceGroupId", nil},
		{"ChangeResourceGroup to what cannot be", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
				ResourceID: "one", NewResourceGroupID: "r g"})
			return err
		}, fault.InvalidParameter, "NewResourceGroupId", []string{`"r g"`}},
		{"ChangeResourceGroup of what is not there", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
				ResourceID: "none", NewResourceGroupID: "rg"})
			return err
		}, fault.ResourceNotFound, "ResourceIds", []string{`"none"`}},
	} {
		chattest.WantError(t, c.about, c.call(), c.code, c.param, c.texts...)
	}
	chattest.Equal(t, "the table after what was refused", h.Dump(), before)
}

// TestTagIsAllOrNothing holds that one configuration that is missing, full or forbidden keeps all
// others as they are.
func TestTagIsAllOrNothing(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(50)
	h.createNamed(list[:49], func(i int, in *chat.CreateRequest) {
		if i == 48 {
			in.Tags = manyTags(20)
		}
	})
	before := h.Dump()
	chattest.WantError(t, "Tag when the last is missing", h.tag(map[string]string{"a": "b"},
		slices.Delete(slices.Clone(list), 48, 49)...), fault.ResourceNotFound, "ResourceIds", `"n-0049"`)
	chattest.WantError(t, "Tag when one is full", h.tag(map[string]string{"a": "b"}, list[:49]...), fault.QuotaExceeded,
		"Tag", `"n-0048"`, "21 tags", "20")
	some := chattest.As(t.Context(), callerOf(t, "CCKsome", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"oos:*","Resource":"*/n-0047"}`))
	_, err := h.Tag(some, &chat.TagRequest{ResourceType: resourceType, ResourceIDs: list[:48],
		Tags: map[string]string{"a": "b"}})
	chattest.WantError(t, "Tag when one is forbidden", err, fault.NoPermission, "", "n-0047")
	chattest.Equal(t, "the table afterwards", h.Dump(), before)
	if err := h.tag(map[string]string{"key-00": "other"}, "n-0048"); err != nil {
		t.Errorf("Tag of a full one with a key that it has: %v", err)
	}
}

// TestTagOfManyInSeveralWrites holds that the largest request is done in writes that the store can
// take, and may be repeated when one fails.
func TestTagOfManyInSeveralWrites(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(50)
	h.createNamed(list, nil)
	largest := 0
	h.Spy.OnWrite = func(c *table.Change) error {
		largest = max(largest, len(c.Puts)+len(c.Deletes)+len(c.Adds))
		return table.CheckWrite(chattest.Partition, *c)
	}
	writes := func() int { return strings.Count(h.Spy.Took(), "Write") }
	writes()
	h.Spy.Fail("Write", 3, table.ErrUnavailable)
	chattest.WantError(t, "Tag whose third write fails", h.tag(manyTags(20), list...), fault.Unavailable, "")
	if got := len(h.tagsOf(list...)["n-0000"]); got != 20 {
		t.Errorf("%d tags of the first, want 20: whole writes stay", got)
	}
	h.MustAgree()
	h.Spy.Fail("Write", 0, nil)
	if err := h.tag(manyTags(20), list...); err != nil {
		t.Fatal(err)
	}
	if n := writes(); n < 10 || n > 13 || largest < 80 {
		t.Errorf("the repeat made %d writes, the largest of %d parts; want them to be filled", n, largest)
	}
	for name, tags := range h.tagsOf(list...) {
		if len(tags) != 20 || h.MustGet(name).Revision != 2 {
			t.Errorf("%s has %d tags at revision %d", name, len(tags), h.MustGet(name).Revision)
		}
	}
	h.MustAgree()
	changed := manyTags(20)
	for k := range changed {
		changed[k] += "-changed"
	}
	if err := h.tag(changed, list...); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
		ResourceIDs: list, All: true}); err != nil {
		t.Fatal(err)
	}
	h.MustAgree()
}

// TestTagOfLargeDocuments holds that a write of several documents stays within what the store takes
// at once.
func TestTagOfLargeDocuments(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(20)
	text := secret.Text(filled(65000, `\"`))
	h.createNamed(list, func(_ int, in *chat.CreateRequest) { in.Configuration = text })
	h.Spy.OnWrite = func(c *table.Change) error {
		n := 0
		for _, p := range c.Puts {
			n += len(p.Value)
		}
		if n > 4<<20 {
			return fmt.Errorf("a write of %d bytes", n)
		}
		return nil
	}
	if err := h.tag(map[string]string{"a": "b"}, list...); err != nil {
		t.Fatal(err)
	}
	h.MustAgree()
}

func TestListTagResources(t *testing.T) {
	h := newHouse(t)
	type tags = map[string]string
	all := map[string]tags{
		"a": {"env": "prod", "z": "1", "é": "", "A": "2"}, "b": nil, "c": {"env": "dev"}, "d": manyTags(20), "e": nil,
		"f": {"env": "prod", "": ""}, "g": nil,
	}
	delete(all["f"], "")
	for name, of := range all {
		h.MustCreate(name, func(in *chat.CreateRequest) { in.Tags = of })
	}
	lines := func(names ...string) (want []string) {
		for _, name := range names {
			for _, key := range slices.Sorted(maps.Keys(all[name])) {
				want = append(want, name+" "+key+"="+all[name][key])
			}
		}
		return want
	}
	walk := func(in chat.ListTagResourcesRequest, n int64) (got []string) {
		in.ResourceType = "CHATCONFIGURATION"
		if n > 0 {
			in.MaxResults = &n
		}
		for page := 0; ; page++ {
			out, err := h.ListTagResources(h.Ctx, &in)
			if err != nil || page > 50 {
				t.Fatalf("page %d of %+v: %v", page, in, err)
			}
			if int64(len(out.TagResources.TagResource)) > out.MaxResults || out.TagResources.TagResource == nil {
				t.Errorf("a page of %d holds %d", out.MaxResults, len(out.TagResources.TagResource))
			}
			for _, r := range out.TagResources.TagResource {
				if r.ResourceType != resourceType {
					t.Errorf("ResourceType = %q", r.ResourceType)
				}
				got = append(got, r.ResourceId+" "+r.TagKey+"="+r.TagValue)
			}
			if in.NextToken = out.NextPageToken(); in.NextToken == "" {
				return got
			}
		}
	}
	for n := range int64(35) {
		chattest.Equal(t, fmt.Sprint("all, pages of ", n), walk(chat.ListTagResourcesRequest{}, n),
			lines("a", "c", "d", "f"))
		chattest.Equal(t, fmt.Sprint("some, pages of ", n),
			walk(chat.ListTagResourcesRequest{ResourceIDs: []string{"d", "g", "a", "d"}}, n), lines("a", "d"))
		chattest.Equal(t, fmt.Sprint("by tag, pages of ", n),
			walk(chat.ListTagResourcesRequest{Tags: tags{"env": "prod"}}, n), lines("a", "f"))
		chattest.Equal(t, fmt.Sprint("by two tags, pages of ", n),
			walk(chat.ListTagResourcesRequest{Tags: tags{"env": "prod", "z": "1"}}, n), lines("a"))
		chattest.Equal(t, fmt.Sprint("some by tag, pages of ", n),
			walk(chat.ListTagResourcesRequest{ResourceIDs: []string{"c", "f"}, Tags: tags{"env": "dev"}}, n),
			lines("c"))
		chattest.Equal(t, fmt.Sprint("by a tag of none, pages of ", n),
			walk(chat.ListTagResourcesRequest{Tags: tags{"env": ""}}, n), []string(nil))
	}
}

// TestListTagResourcesWhileThingsChange has the configuration that a page ends within change before
// the next page.
func TestListTagResourcesWhileThingsChange(t *testing.T) {
	for about, c := range map[string]struct {
		change func(h *house)
		want   []string
	}{
		"nothing happens": {func(*house) {}, []string{"key-00", "key-01", "key-02", "key-03", "z"}},
		"it is deleted":   {func(h *house) { h.MustDelete("a") }, []string{"key-00", "key-01", "z"}},
		"its last tag given goes": {func(h *house) { h.untag("a", "key-01") },
			[]string{"key-00", "key-01", "key-02", "key-03", "z"}},
		"its next tag goes": {func(h *house) { h.untag("a", "key-02") },
			[]string{"key-00", "key-01", "key-03", "z"}},
		"all its tags go": {func(h *house) { h.untag("a", "key-00", "key-01", "key-02", "key-03") },
			[]string{"key-00", "key-01", "z"}},
		"the next one is deleted": {func(h *house) { h.MustDelete("b") },
			[]string{"key-00", "key-01", "key-02", "key-03"}},
	} {
		h := newHouse(t)
		h.MustCreate("a", func(in *chat.CreateRequest) { in.Tags = manyTags(4) })
		h.MustCreate("b", func(in *chat.CreateRequest) { in.Tags = map[string]string{"z": ""} })
		in := &chat.ListTagResourcesRequest{ResourceType: resourceType, MaxResults: chattest.Ptr[int64](2)}
		var got []string
		for page := 0; ; page++ {
			out, err := h.ListTagResources(h.Ctx, in)
			if err != nil || page > 10 {
				t.Fatalf("page %d: %v", page, err)
			}
			for _, r := range out.TagResources.TagResource {
				got = append(got, r.TagKey)
			}
			if in.NextToken = out.NextToken; in.NextToken == "" {
				break
			}
			if page == 0 {
				c.change(h)
			}
		}
		chattest.Equal(t, "when "+about, got, c.want)
	}
}

func (h *house) untag(name string, keys ...string) {
	h.T.Helper()
	if _, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType, ResourceIDs: []string{name},
		TagKeys: keys}); err != nil {
		h.T.Fatal(err)
	}
}

// plant writes index entries of tags without their configurations: what ListTagKeys and
// ListTagValues read.
func (h *house) plant(key, value string, names ...string) {
	h.T.Helper()
	for chunk := range slices.Chunk(names, table.MaxWrite) {
		var c table.Change
		for _, name := range chunk {
			c.Puts = append(c.Puts, table.Put{Sort: chat.IndexKey("tag:"+key, value, name)})
		}
		h.Tamper(c)
	}
}

// TestListTagKeysAndValues holds that each thing is listed once, in byte order, at a cost of its
// number and not of its entries.
func TestListTagKeysAndValues(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(1500)
	keys := []string{"a", "a ", "a!", "a#", "a$", "a%", "a&", "a-", "aa", "A", "b", "é",
		"空", "~", "a\u0080", "tag:a", "#", "$"}
	values := []string{"", " ", "#", "##", "$", "%", "%23", "v", "v#", "v w", "V", "é", "空", "value"}
	for i, key := range keys {
		h.plant(key, "x", list[:1+i*7]...)
	}
	h.plant("many", "", list...)
	h.plant("many", "same", list...)
	for i, value := range values {
		h.plant("of", value, list[:1+i*23]...)
	}
	// What must not be mistaken for a tag.
	for _, name := range list[:200] {
		h.Tamper(table.Change{Puts: []table.Put{{Sort: chat.IndexKey("Type", "Slack", name)},
			{Sort: chat.IndexKey("tag", "x", name)}, {Sort: chat.IndexKey("of", "y", name)}}})
	}
	wantKeys := slices.Sorted(slices.Values(append(slices.Clone(keys), "many", "of")))
	wantValues := slices.Sorted(slices.Values(values))

	walk := func(n int64, page func(n *int64, token string) ([]string, int64, string, error)) (got []string) {
		t.Helper()
		var size *int64
		if n > 0 {
			size = &n
		}
		for token := ""; ; {
			h.Spy.Reset()
			things, asked, next, err := page(size, token)
			if err != nil {
				t.Fatal(err)
			}
			if calls := len(strings.Fields(h.Spy.Took())); calls > 20 || things == nil ||
				int64(len(things)) > asked || n > 0 && asked != n {
				t.Errorf("a page of %d holds %d and took %d calls", asked, len(things), calls)
			}
			got = append(got, things...)
			if token = next; token == "" {
				return got
			}
			if len(got) > 1000 {
				t.Fatalf("a list in pages of %d does not end", n)
			}
		}
	}
	for _, n := range []int64{0, 1, 2, 3, 7, 19, 20, 21, 100} {
		chattest.Equal(t, fmt.Sprint("keys, pages of ", n),
			walk(n, func(n *int64, token string) ([]string, int64, string, error) {
				out, err := h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: resourceType,
					MaxResults: n, NextToken: token})
				if err != nil {
					return nil, 0, "", err
				}
				return out.Keys, out.MaxResults, out.NextPageToken(), err
			}), wantKeys)
		for key, want := range map[string][]string{"of": wantValues, "many": {"", "same"}, "a": {"x"},
			"a#": {"x"}, "none": nil, "tag:a": {"x"}} {
			chattest.Equal(t, fmt.Sprintf("values of %s, pages of %d", key, n),
				walk(n, func(n *int64, token string) ([]string, int64, string, error) {
					out, err := h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: resourceType,
						Key: key, MaxResults: n, NextToken: token})
					if err != nil {
						return nil, 0, "", err
					}
					return out.Values, out.MaxResults, out.NextPageToken(), err
				}), want)
		}
	}
	out, err := h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: resourceType, Key: "of",
		MaxResults: chattest.Ptr[int64](1)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: resourceType,
		Key: "many", NextToken: out.NextToken})
	chattest.WantError(t, "a token of another key's values", err, fault.InvalidNextToken, "NextToken")
	_, err = h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{ResourceType: resourceType, NextToken: out.NextToken})
	chattest.WantError(t, "a token of values in a list of keys", err, fault.InvalidNextToken, "NextToken")
}

// TestManyDifferentValues goes beyond what one call skims.
func TestManyDifferentValues(t *testing.T) {
	h := newHouse(t)
	h.plant("few", "0", numberedNames(30)...)
	var want []string
	for chunk := range slices.Chunk(numberedNames(2500), table.MaxWrite) {
		var c table.Change
		for _, value := range chunk {
			c.Puts = append(c.Puts, table.Put{Sort: chat.IndexKey("tag:k", value, "n")})
			want = append(want, value)
		}
		h.Tamper(c)
	}
	var got []string
	in := &chat.ListTagValuesRequest{ResourceType: resourceType, Key: "k", MaxResults: chattest.Ptr[int64](100)}
	for {
		out, err := h.ListTagValues(h.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out.Values...)
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
		if len(got) > len(want) {
			t.Fatal("the list does not end")
		}
	}
	chattest.Equal(t, "values", got, want)

	// Each key has so many entries that a call, bounded, sees only some of the keys: its page is
	// short and goes on.
	var puts []table.Put
	for key := range 30 {
		for _, name := range numberedNames(101) {
			puts = append(puts, table.Put{Sort: chat.IndexKey(fmt.Sprintf("tag:wide-%02d", key), "", name)})
		}
	}
	for chunk := range slices.Chunk(puts, table.MaxWrite) {
		h.Tamper(table.Change{Puts: chunk})
	}
	pages, keys := 0, 0
	for in := (&chat.ListTagKeysRequest{ResourceType: resourceType, MaxResults: chattest.Ptr[int64](100)}); ; pages++ {
		out, err := h.ListTagKeys(h.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		keys += len(out.Keys)
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if keys != 32 || pages == 0 {
		t.Errorf("%d keys in %d pages, want 32 in more than one", keys, pages+1)
	}
}

// TestTagsByMany has 32 callers tag and untag the same configurations at once.
func TestTagsByMany(t *testing.T) {
	h := newHouse(t)
	list := numberedNames(6)
	h.createNamed(list, nil)
	chattest.InParallel(t, 32, func(i int) error {
		key := fmt.Sprint("k", i%10)
		if err := h.tag(map[string]string{key: fmt.Sprint(i), "same": "same"}, list...); err != nil {
			return err
		}
		_, err := h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType,
			ResourceIDs: list[:3], TagKeys: []string{key}})
		return err
	})
	for _, name := range list[:3] {
		chattest.Equal(t, "tags of "+name, h.MustGet(name).Tags, map[string]string{"same": "same"})
	}
	for _, name := range list[3:] {
		if got := len(h.MustGet(name).Tags); got != 11 {
			t.Errorf("%s has %d tags, want 11", name, got)
		}
	}
	h.MustAgree()
}

func TestChangeResourceGroup(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for i, group := range []string{"rg-1", "rg-1", "rg-2"} {
		if _, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
			ResourceID: "one", NewResourceGroupID: group}); err != nil {
			t.Fatal(err)
		}
		if got, want := h.MustGet("one"), []int64{2, 2, 3}[i]; got.ResourceGroupId != group || got.Revision != want {
			t.Errorf("change %d: group %q at revision %d, want %q at %d",
				i, got.ResourceGroupId, got.Revision, group, want)
		}
	}
	h.MustAgree()
	_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType,
		ResourceID: "a#b", NewResourceGroupID: "g"})
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.ResourceNotFound {
		t.Errorf("ChangeResourceGroup of what cannot be: %v", err)
	}
}
