package main

import (
	"encoding/json"
	"strings"
	"testing"

	"chatconf/shared/chat"
)

func TestCopy(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	do := func(args ...string) string {
		t.Helper()
		out := mustRun(t, append(append([]string{"copy"}, args...), at...)...)
		if leak.MatchString(out) {
			t.Errorf("copy %q shows a secret: %s", args, out)
		}
		return out
	}
	if got := do("ops", "test"); !strings.HasPrefix(got, "Copied ops to test. It has a webhook URL of its own.") ||
		!strings.HasSuffix(got, "'chatconf show test --show-url'.\n") {
		t.Errorf("under another name: %s", got)
	}
	if got := do("ops", "--to-region", "cn-beijing"); !strings.HasPrefix(got, "Copied ops to ops in cn-beijing.") ||
		!strings.HasSuffix(got, "show ops --show-url --region cn-beijing'.\n") {
		t.Errorf("into another region: %s", got)
	}
	if got := do("ops", "again", "--region", "cn-beijing"); !strings.HasPrefix(got,
		"Copied ops to again in cn-beijing.") {
		t.Errorf("in another region: %s", got)
	}
	var answer chat.WriteResponse
	if got := do("ops", "json", "-o", "json"); json.Unmarshal([]byte(got), &answer) != nil ||
		answer.ChatConfiguration.Name != "json" {
		t.Errorf("copy -o json: %s", got)
	}
	if got := mustRun(t, append([]string{"history", "again", "--region", "cn-beijing"}, at...)...); strings.Count(got,
		"\n") != 2 || !strings.Contains(got, "Created") {
		t.Errorf("the history of the copy: %s", got)
	}
	for _, args := range []string{"", "ops", "ops a b", "ops a -o xml"} {
		if out, err := run(t, "", append(append([]string{"copy"}, strings.Fields(args)...), at...)...); !isUsage(err) ||
			out != "" {
			t.Errorf("copy %s: %q, %v, want a usage error", args, out, err)
		}
	}
	for _, args := range []string{"missing new", "ops test", "ops ops", "ops --to-region Nowhere!"} {
		out, err := run(t, "", append(append([]string{"copy"}, strings.Fields(args)...), at...)...)
		if err == nil || isUsage(err) || out != "" {
			t.Errorf("copy %s: %q, %v, want the error of the service", args, out, err)
		}
	}
}
