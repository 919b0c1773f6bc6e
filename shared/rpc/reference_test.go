package rpc_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/rpc"
)

// The reference has every action with all of its parameters, every filter and every code of an
// error, and no other.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../functions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n### ")
	described := make(map[string][]string)
	row := regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|")
	for _, section := range sections[1:] {
		name, body, _ := strings.Cut(section, "\n")
		body, _, _ = strings.Cut(body, "\n## ")
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			described[name] = append(described[name], m[1])
		}
	}
	actions := slices.Concat(rpc.Actions(), rpc.KeyActions(), rpc.ResealActions())
	for _, a := range actions {
		// which all have
		want := slices.DeleteFunc(a.Parameters(), func(name string) bool { return name == "RegionId" })
		got := described[a.Name]
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the parameters %v, and the reference %v", a.Name, want, got)
		}
		delete(described, a.Name)
	}
	for name := range described {
		t.Errorf("the reference has an action %s", name)
	}

	_, errors, _ := strings.Cut(string(text), "\n## Errors\n")
	errors, _, _ = strings.Cut(errors, "\n## ")
	for _, code := range rpc.WireCodes() {
		if !strings.Contains(errors, "| `"+code+"` |") {
			t.Errorf("the reference lacks the code %s", code)
		}
	}

	w := newWorld(t, nil)
	_, filters, _ := strings.Cut(string(text), "\n## Filters\n")
	filters, _, _ = strings.Cut(filters, "\n## ")
	var names []string
	for _, m := range regexp.MustCompile("`([A-Za-z]+|tag:<key>)`").FindAllStringSubmatch(filters, -1) {
		if m[1] != "Active" && m[1] != "Inactive" && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	answer := w.do(request{action: "ListChatConfigurations",
		query: url.Values{"Filters": {`[{"Name":"Nmae!","Value":"x"}]`}}})
	_, known, ok := strings.Cut(answer.Message, "; use ")
	if !ok {
		t.Fatalf("the error for an unknown filter names none: %s", answer.Message)
	}
	known, _, _ = strings.Cut(known, ".")
	known = strings.ReplaceAll(known, " or ", ", ")
	want := strings.Split(known, ", ")
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("the reference has the filters %v, and the service %v", names, want)
	}
}
