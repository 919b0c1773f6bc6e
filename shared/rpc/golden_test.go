package rpc_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// The answers, byte for byte. Clients key on names, their case, their order in some cases, and on
// the content type to the letter.
func TestGoldenAnswers(t *testing.T) {
	xml := func(r request) request {
		r.v1, r.query = true, clone(r.query)
		r.query.Set("Format", "xml")
		return r
	}
	tag := request{action: "TagResources", form: url.Values{
		"ResourceType": {"chatconfiguration"}, "ResourceIds": {`["ops"]`},
		"Tags": {`{"env":"prod","团队":"运维 <&>","1st":"\"quoted\""}`},
	}}
	list := request{action: "ListChatConfigurations"}
	tags := request{action: "ListTagResources", query: url.Values{"ResourceType": {"chatconfiguration"}}}
	wrong := sign.Key{ID: admin.ID, Secret: "wrong"}
	wecom := request{action: "CreateChatConfiguration", form: url.Values{"Name": {"wecom"}, "Type": {"WeCom"},
		"Configuration": {`{"WeChatCorpId":"ww1","WeChatAgentId":"1000002","WeChatSecret":"` + planted + `"}`}}}
	signed := get("ops")
	signed.v1, signed.key, signed.nonce = true, wrong, "fixed"
	w := newWorld(t, func(o *rpc.Options) { o.Rate = 100 })
	seen := make(map[string]bool)
	for i, step := range []struct {
		name string
		r    request
	}{
		{"create", create("ops")},
		{"create-xml", xml(request{action: "CreateChatConfiguration",
			form: url.Values{"Name": {"xml"}, "Type": {"Lark"},
				"Configuration": {`{"FeishuAppId":"cli_1","FeishuAppSecret":"` + planted +
					`","FeishuEncryptKey":"` + planted + `"}`}}})},
		{"create-wecom", wecom},
		{"tag", tag},
		{"get", get("ops")},
		{"get-xml", xml(get("ops"))},
		{"get-wecom", get("wecom")},
		{"list", list},
		{"list-xml", xml(list)},
		{"list-empty", request{action: "ListChatConfigurations",
			query: parse("Filters.1.Name=Name Filters.1.Value=none")}},
		{"list-empty-xml", xml(request{action: "ListChatConfigurations",
			query: parse("Filters.1.Name=Name Filters.1.Value=none")})},
		{"list-tag-resources", tags},
		{"list-tag-resources-xml", xml(tags)},
		{"list-tag-keys", request{action: "ListTagKeys", query: tags.query}},
		{"list-tag-keys-xml", xml(request{action: "ListTagKeys", query: tags.query})},
		{"update", request{action: "UpdateChatConfiguration", form: parse("Name=ops Status=inactive")}},
		{"tag-xml", xml(tag)},
		{"delete", del("ops")},
		{"delete-xml", xml(del("xml"))},
		{"error-not-found", get("missing")},
		{"error-not-found-xml", xml(get("missing"))},
		{"error-no-permission", request{action: "DeleteChatConfiguration", form: parse("Name=wecom"), key: reader}},
		{"error-no-permission-xml", xml(request{action: "DeleteChatConfiguration",
			form: parse("Name=wecom"), key: reader})},
		{"error-signature", signed},
		{"error-hostile-name-xml", xml(get(`<a href="x">&]]>` + "\x00\xff"))},
	} {
		t.Run(step.name, func(t *testing.T) {
			w.TB = t
			a := w.serveAs(w.handler, w.build(step.r), fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
			if strings.HasPrefix(step.name, "error-") == (a.status == 200) {
				t.Errorf("answer = %v", a)
			}
			golden(t, step.name, a)
			seen[step.name+".golden"] = true
		})
	}
	w.TB = t
	for range 100 {
		if a := w.do(list); a.Code == "Throttling.User" {
			golden(t, "error-throttling", w.serveAs(w.handler, w.build(list), "00000000-0000-4000-8000-999999999999"))
			golden(t, "error-throttling-xml", w.serveAs(w.handler, w.build(xml(list)),
				"00000000-0000-4000-8000-999999999998"))
			seen["error-throttling.golden"], seen["error-throttling-xml.golden"] = true, true
			break
		}
	}
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range files {
		if !seen[filepath.Base(path)] {
			t.Errorf("%s belongs to no test", path)
		}
		text, err := os.ReadFile(path)
		if err != nil || bytes.Contains(text, []byte(planted)) {
			t.Errorf("%s holds a secret: %v", path, err)
		}
	}
}

// golden compares an answer, status, headers and body, with its file.
func golden(t *testing.T, name string, a answer) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", a.status)
	for _, header := range slices.Sorted(maps.Keys(a.header)) {
		fmt.Fprintf(&b, "%s: %s\n", header, strings.Join(a.header[header], " | "))
	}
	fmt.Fprintf(&b, "\n%s\n", a.body)
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s: -want +got\n%s", path, diff)
	}
}
