package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/chat"
	"chatconf/shared/document"
)

// A middle is between the tool and a service. It counts requests, and answers some by itself.
type middle struct {
	mu     sync.Mutex
	counts map[string]int
	// answer returns the answer to a request; status 0 lets the service answer.
	answer func(action string, params map[string]string) (status int, body string)
}

// newMiddle returns the flags of a middle before the service that at finds.
func newMiddle(t *testing.T, at []string) (*middle, []string) {
	t.Helper()
	m := &middle{counts: make(map[string]int)}
	to, err := url.Parse(at[1])
	if err != nil || at[0] != "--endpoint" {
		t.Fatal(at, err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		params := make(map[string]string)
		if err := json.Unmarshal(body, &params); err != nil {
			t.Error(err)
		}
		action := r.Header.Get("X-Acs-Action")
		m.mu.Lock()
		m.counts[action]++
		status, text := 0, ""
		if m.answer != nil {
			status, text = m.answer(action, params)
		}
		m.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
			io.WriteString(w, text)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	key, err := localKey(at[3])
	if err != nil {
		t.Fatal(err)
	}
	return m, []string{"--endpoint", s.URL, "--access-key-id", key.ID, "--access-key-secret", key.Secret}
}

// verbAt returns a verb that uses the flags of a middle and does not wait.
func verbAt(t *testing.T, through []string) *verb {
	t.Helper()
	v := &verb{out: io.Discard, messages: io.Discard}
	v.pause = func(context.Context, time.Duration) error { return nil }
	v.endpoint, v.id, v.clientFlags.secret = through[1], through[3], through[5]
	var err error
	if v.client, err = v.resolve(func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	return v
}

func (m *middle) take() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.counts
	m.counts = make(map[string]int)
	return counts
}

func faultText(code, message string) string {
	return fmt.Sprintf(`{"RequestId":"R","Code":%q,"Message":%q}`, code, message)
}

// 10,000 bots are exported in at most 200 requests, and a few are planned in fewer. The service has
// 100 bots, and its one page stands for each of 100 pages.
func TestRequestsOfManyBots(t *testing.T) {
	at, _ := newSendService(t)
	for i := range chat.MaxResults {
		create(t, at, fmt.Sprintf("bot-%02d", i), "Slack", "")
	}
	page := callAt(t, at, "ListChatConfigurations", "MaxResults=100", "WithConfiguration=true")
	m, through := newMiddle(t, at)
	const pages = 100
	m.answer = func(_ string, params map[string]string) (int, string) {
		if params["MaxResults"] != "100" || params["WithConfiguration"] != "true" {
			t.Errorf("a page is asked for with %v", params)
		}
		n, _ := strconv.Atoi(params["NextToken"])
		text := strings.ReplaceAll(page, `"bot-`, fmt.Sprintf(`"bot-%02d`, n))
		if n++; n < pages {
			text = strings.Replace(text, "{", fmt.Sprintf(`{"NextToken":"%d",`, n), 1)
		}
		return http.StatusOK, text
	}
	found, failed, err := verbAt(t, through).present(t.Context(), nil, false)
	if err != nil || len(found) != 10_000 || len(failed) != 0 {
		t.Errorf("export finds %d bots and %d it may not read, %v", len(found), len(failed), err)
	}
	if got, want := m.take(), map[string]int{"ListChatConfigurations": pages}; !maps.Equal(got, want) {
		t.Errorf("10,000 bots take %v, want %v", got, want)
	}
	m.answer = nil
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	for name, text := range filesOf(t, dir) {
		kept := regexp.MustCompile(`\$\{env:.*\}`).ReplaceAllString(text, "'******'")
		writeFile(t, filepath.Join(dir, name), []byte(kept))
	}
	const unchanged = "Plan: 0 to create, 0 to change, 0 to delete, 100 unchanged\n"
	if got := mustAtDir(t, through, "diff", dir); got != unchanged {
		t.Errorf("planned: %s", got)
	}
	want := map[string]int{"CreateChatConfiguration": 1, "ListChatConfigurations": 2}
	if got := m.take(); !maps.Equal(got, want) {
		t.Errorf("a plan of 100 takes %v, want %v", got, want)
	}
}

// A service that is not chatconf may ignore CheckOnly and create the bot. It never gets CheckOnly
// in a request that it could fulfil, and the tool plans by itself. It does not know Tags of an
// update, so they are set and removed by requests of their own.
func TestApplyToAnotherService(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"ops", "dev", "old"} {
		create(t, at, name, "Slack", "")
	}
	callAt(t, at, "TagResources", "ResourceType=chatconfiguration", `ResourceIds=["ops","dev"]`,
		`Tags={"env":"prod","x":"1"}`)
	m, at := newMiddle(t, at)
	var writes []string
	m.answer = func(action string, params map[string]string) (int, string) {
		_, checks := params["CheckOnly"]
		delete(params, "CheckOnly")
		_, tags := params["Tags"]
		switch {
		case checks && params["Name"] == "":
			return http.StatusBadRequest, faultText("MissingParameter.Name", "Name is mandatory for this action.")
		case checks:
			t.Errorf("%s %s has CheckOnly", action, params["Name"])
		case tags && strings.HasPrefix(action, "Update"):
			t.Errorf("%s %s has Tags", action, params["Name"])
		case strings.HasSuffix(action, "TagResources") || action == "UntagResources":
			writes = append(writes, action+" "+params["ResourceIds"]+" "+params["Tags"]+params["TagKeys"])
		case strings.HasSuffix(action, "eChatConfiguration"):
			writes = append(writes, action+" "+params["Name"])
		case action == "ListChatConfigurations":
			return http.StatusOK, `{"ChatConfigurations":[{"Name":"dev","Type":"Slack"},` +
				`{"Name":"old","Type":"Slack"},{"Name":"ops","Type":"Slack"}]}`
		}
		return 0, ""
	}
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	if got := m.take(); got["GetChatConfiguration"] != 3 {
		t.Errorf("exported by %v", got)
	}
	replaceIn(t, filepath.Join(dir, "dev.yaml"), "Name: dev", "Name: new")
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "Active", "Inactive")
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "${env:OPS_SLACK_SIGNING_SECRET_PREVIOUS}", "'******'")
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "  x: \"1\"\n", "  y: new\n")
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	got := mustAtDir(t, at, "apply", dir, "--yes", "--prune")
	holdGolden(t, "apply-other.golden", got)
	want := []string{"CreateChatConfiguration new", "DeleteChatConfiguration dev", "DeleteChatConfiguration old",
		`TagResources ["ops"] {"y":"new"}`, `UntagResources ["ops"] ["x"]`, "UpdateChatConfiguration ops"}
	if slices.Sort(writes); !slices.Equal(writes, want) {
		t.Errorf("written: %q, want %q", writes, want)
	}
}

// A service that accepts a bot without a name, or cannot be reached, is not asked for more. The
// shell completes folders.
func TestApplyToNoService(t *testing.T) {
	at, _ := newSendService(t)
	m, through := newMiddle(t, at)
	m.answer = func(string, map[string]string) (int, string) { return http.StatusOK, "{}" }
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), []byte("Name: a\nType: Slack\nConfiguration: {}\n"))
	if _, err := atDir(t, through, "diff", dir); err == nil || !strings.Contains(err.Error(), "without a name") ||
		len(m.take()) != 1 {
		t.Errorf("a service that accepts everything: %v", err)
	}
	m.answer = func(action string, _ map[string]string) (int, string) {
		if action == "CreateChatConfiguration" {
			return http.StatusServiceUnavailable, faultText("ServiceUnavailable", "Busy.")
		}
		return http.StatusOK, "{}"
	}
	checks, err := verbAt(t, through).knowsCheckOnly(t.Context(), "CreateChatConfiguration")
	if checks || !isPassing(err) {
		t.Errorf("a busy service knows CheckOnly: %v, %v", checks, err)
	}
	nowhere := []string{"--endpoint", "http://127.0.0.1:1", "--access-key-id", "a", "--access-key-secret", "b"}
	for _, verb := range []string{"export", "apply", "diff"} {
		if out, err := atDir(t, nowhere, verb, dir); err == nil || out != "" {
			t.Errorf("%s without a service: %q, %v", verb, out, err)
		}
	}
	for _, line := range []string{"export", "apply"} {
		if got, err := completeLine(t, line, ""); err != nil || got != ":16\n" {
			t.Errorf("%s completes %q, %v", line, got, err)
		}
		if got, err := completeLine(t, line, "bots", ""); err != nil || got != ":4\n" {
			t.Errorf("%s completes a second %q, %v", line, got, err)
		}
	}
}

// replaceIn replaces a text in a file, which must have it.
func replaceIn(t *testing.T, path, old, after string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q: %v", path, old, err)
	}
	writeFile(t, path, []byte(strings.ReplaceAll(string(text), old, after)))
}

// If one bot fails, the others are still done. What the service is too busy for is tried again,
// and a bot that another caller has changed is left.
func TestOneFailsTheRestIsDone(t *testing.T) {
	at, _ := newSendService(t)
	m, through := newMiddle(t, at)
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d"} {
		create(t, at, name, "Slack", "")
	}
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	for _, name := range []string{"a", "b", "c", "d"} {
		replaceIn(t, filepath.Join(dir, name+".yaml"), "Active", "Inactive")
	}
	busy, tokens := 0, make(map[string]bool)
	m.answer = func(action string, params map[string]string) (int, string) {
		if action != "UpdateChatConfiguration" || params["CheckOnly"] != "" {
			return 0, ""
		}
		switch {
		case params["Revision"] != "1" || params["ClientToken"] == "":
			t.Errorf("an update without revision or ClientToken: %q, %q", params["Revision"], params["ClientToken"])
		case params["Name"] == "b":
			return http.StatusConflict, faultText("Conflict", "The revision is 2.")
		case params["Name"] == "c":
			tokens[params["ClientToken"]] = true
			if busy++; busy < 3 {
				return http.StatusServiceUnavailable, faultText("ServiceUnavailable", "Busy.")
			}
		case params["Name"] == "d":
			return http.StatusTooManyRequests, faultText("Throttling", "Slower.")
		}
		return 0, ""
	}
	var out bytes.Buffer
	v := verbAt(t, through)
	v.out, v.asks, v.in = &out, true, bufio.NewReader(strings.NewReader("y\n"))
	err := v.apply(t.Context(), dir, applyFlags{exitCode: true})
	if err == nil || !strings.HasPrefix(err.Error(), "2 of 4 bots failed:\nb: Conflict (409): The revision is 2.") ||
		!strings.Contains(err.Error(), "\nd: Throttling (429)") || errors.Is(err, errChanges) {
		t.Errorf("the error: %v", err)
	}
	if !strings.HasSuffix(out.String(), "\na: changed\nb: failed\nc: changed\nd: failed\n") {
		t.Errorf("the output: %s", &out)
	}
	if len(tokens) != 1 || busy != 3 {
		t.Errorf("%d tries with %d tokens, want 3 with one", busy, len(tokens))
	}
	m.answer = nil
	if got := mustAtDir(t, at, "diff", dir); !strings.HasSuffix(got,
		"Plan: 0 to create, 2 to change, 0 to delete, 2 unchanged\n") {
		t.Errorf("what is left: %s", got)
	}
	m.answer = func(_ string, params map[string]string) (int, string) {
		if params["Name"] != "" && params["CheckOnly"] != "" {
			return http.StatusOK, `{"ChatConfiguration":{"Name":"b"}}`
		}
		return 0, ""
	}
	if _, err := run(t, "", append([]string{"apply", dir, "--yes"}, through...)...); err == nil ||
		!strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "may have changed") {
		t.Errorf("a service that does not say what would change: %v", err)
	}
}

// Ctrl-C leaves no bot in doubt: one is changed, or was not begun.
func TestApplyIsStopped(t *testing.T) {
	at, _ := newSendService(t)
	m, through := newMiddle(t, at)
	dir := t.TempDir()
	const bots = 2 * atOnce
	for i := range bots {
		create(t, at, fmt.Sprintf("bot-%02d", i), "Slack", "")
	}
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	for name := range filesOf(t, dir) {
		replaceIn(t, filepath.Join(dir, name), "Active", "Inactive")
	}
	ctx, stop := context.WithCancel(t.Context())
	m.answer = func(action string, params map[string]string) (int, string) {
		if action == "UpdateChatConfiguration" && params["CheckOnly"] == "" {
			stop()
		}
		return 0, ""
	}
	var out bytes.Buffer
	v := verbAt(t, through)
	v.out = &out
	err := v.apply(ctx, dir, applyFlags{yes: true})
	changed := strings.Count(out.String(), ": changed\n")
	if changed == 0 || changed > atOnce || err == nil ||
		strings.Count(err.Error(), ": it was not begun: context canceled") != bots-changed {
		t.Errorf("%d bots were changed, and the error is %v", changed, err)
	}
	if got := strings.Count(callAt(t, at, "ListChatConfigurations", "MaxResults=100"), `"Inactive"`); got != changed {
		t.Errorf("%d bots are changed, and %d are said to be", got, changed)
	}
}

// With --wait a bot that does not pass its check in time has failed. One that passes at last has
// not, nor one that cannot be checked.
func TestApplyWaits(t *testing.T) {
	at, _ := newSendService(t)
	m, through := newMiddle(t, at)
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		create(t, at, name, "Slack", "")
	}
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	for _, name := range []string{"a", "b", "c"} {
		replaceIn(t, filepath.Join(dir, name+".yaml"), "Active", "Inactive")
	}
	checks := make(map[string]int)
	m.answer = func(action string, params map[string]string) (int, string) {
		if action != "CheckChatConfiguration" {
			return 0, ""
		}
		name, state := params["Name"], "Failed"
		if checks[name]++; name == "b" && checks[name] == 3 {
			state = "Passed"
		}
		if name == "c" {
			return http.StatusForbidden, faultText("NoPermission", "Not allowed.")
		}
		return http.StatusOK, fmt.Sprintf(`{"Check":{"State":%q,"Steps":[{"Step":"settings","State":"Passed"},`+
			`{"Step":"token","State":%q,"Reason":"the secret is wrong"}]}}`, state, state)
	}
	var out bytes.Buffer
	v := verbAt(t, through)
	v.out = &out
	err := v.apply(t.Context(), dir, applyFlags{yes: true, wait: true})
	want := "1 of 3 bots failed:\na: it was changed, and its check fails\n  token: the secret is wrong"
	if err == nil || err.Error() != want || !strings.HasSuffix(out.String(), "\na: failed\nb: changed\nc: changed\n") {
		t.Errorf("%v, %s, want %s", err, &out, want)
	}
	if want := map[string]int{"a": maxChecks, "b": 3, "c": 1}; !maps.Equal(checks, want) {
		t.Errorf("checked %v times, want %v", checks, want)
	}
	for _, name := range []string{"a", "b"} {
		replaceIn(t, filepath.Join(dir, name+".yaml"), "Inactive", "Active")
	}
	clear(checks)
	v.pause = func(context.Context, time.Duration) error { return context.Canceled }
	if err := v.apply(t.Context(), dir, applyFlags{yes: true, wait: true}); err == nil ||
		!strings.HasPrefix(err.Error(), "2 of 2 bots failed:") || checks["a"] != 1 {
		t.Errorf("a person does not wait: %v, checked %v times", err, checks)
	}
}

// A person sees how far it is, and the plan in colors.
func TestApplyOnATerminal(t *testing.T) {
	at, _ := newSendService(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	dir := t.TempDir()
	for _, name := range []string{"dev", "ops"} {
		create(t, at, name, "Slack", "")
	}
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "Active", "Inactive")
	replaceIn(t, filepath.Join(dir, "dev.yaml"), "T0EXAMPLE", "T0OTHER")
	got, err := onTerminal(t, map[string]string{"Apply this plan to " + at[1] + "? [y/N] ": "y"},
		append([]string{"apply", dir}, at...)...)
	for _, progress := range []string{"\rPlan 1 of 2\rPlan 2 of 2\r\x1b[K", "\rApply 1 of 2\rApply 2 of 2\r\x1b[K"} {
		if !strings.Contains(got, progress) {
			t.Errorf("%q shows no %q", got, progress)
		}
		got = strings.Replace(got, progress, "", 1)
	}
	if err != nil || leak.MatchString(got) {
		t.Errorf("%v, %s", err, got)
	}
	golden(t, "apply.terminal", screen(strings.ReplaceAll(got, at[1], "http://SERVICE")))
}

// In a wrong region, or with a wrong folder, no bot has a file, and all would be lost.
func TestPruneDeletesNotEveryBot(t *testing.T) {
	at, _ := newSendService(t)
	dir := t.TempDir()
	create(t, at, "ops", "Slack", "")
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	if err := os.Rename(filepath.Join(dir, "ops.yaml"), filepath.Join(dir, "other.YAML")); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(dir, "other.YAML"), "Name: ops", "Name: other")
	if _, err := atDir(t, at, "apply", dir, "--prune", "--yes"); err == nil ||
		!strings.Contains(err.Error(), "--prune would delete every bot of the region, 1 bot, "+
			"because none has a file in "+dir) {
		t.Errorf("to prune without a match: %v", err)
	}
	if got := mustRun(t, append([]string{"bots", "--no-health"}, at...)...); !strings.Contains(got, "\nops ") ||
		strings.Contains(got, "\nother ") {
		t.Errorf("after it there are %s", got)
	}
	mustAtDir(t, at, "apply", dir, "--yes")
	if got := mustAtDir(t, at, "apply", dir, "--prune", "--yes"); !strings.Contains(got, "\nops: deleted\n") {
		t.Errorf("in two steps: %s", got)
	}
}

// Who asks for a bot does not run the commands of a folder with its name.
func TestDiffOfABotAndAFolder(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	t.Chdir(t.TempDir())
	for _, dir := range []string{"ops", "bots"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "ops.yaml"), []byte("Name: ops\nType: Slack\nConfiguration:\n"+
			"  SlackSigningSecret: ${command:touch ran; echo not-a-real-secret}\n"))
	}
	ran := func(dir string) bool { _, err := os.Stat(filepath.Join(dir, "ran")); return err == nil }
	if out, err := atDir(t, at, "diff", "ops"); !isUsage(err) || out != "" || ran("ops") ||
		!strings.Contains(err.Error(), "write ./ops for the folder") {
		t.Errorf("a bot and a folder: %s, %v", out, err)
	}
	if out, err := atDir(t, at, "diff", "ops", "1"); err != nil || ran("ops") {
		t.Errorf("the bot: %s, %v", out, err)
	}
	for _, dir := range []string{"./ops", "bots"} {
		if out, err := atDir(t, at, "diff", dir); err != nil || !ran(dir) {
			t.Errorf("the folder %s: %s, %v", dir, out, err)
		}
	}
}

// A file or a service of others writes nothing that a terminal obeys.
func TestErrorsDoNotControlATerminal(t *testing.T) {
	noEnv(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"Code":"Refused","Message":"\u001b]0;title\u0007"}`)
	}))
	defer s.Close()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ops.yaml"), []byte(`"\e]0;title\a": 1`))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{{[]string{"diff", dir}, exitError}, {[]string{"show", "ops"}, exitError},
		{[]string{"context", "use", "--none", "\x9b31m", "\u009b31m"}, exitUsage}} {
		cmd := exec.Command(self, c.args...)
		if c.code == exitError {
			cmd.Args = append(cmd.Args, "--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b")
		}
		cmd.Env = []string{asTool + "=1", "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if text := string(out); !errors.As(err, &exit) || exit.ExitCode() != c.code || len(text) < 20 ||
			strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Errorf("%v prints %q, %v", c.args, text, err)
		}
	}
}

// Mistakes and missing permissions of any bot are found before anything is changed.
func TestNothingIsChangedAfterAMistake(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	path := filepath.Join(dir, "ops.yaml")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replaceIn(t, path, "Active", "Inactive")
	bad := filepath.Join(dir, "z.yaml")
	const signing = "${env:OPS_SLACK_SIGNING_SECRET}"
	for about, c := range map[string]struct{ old, new, want string }{
		"an invalid value":     {"T0EXAMPLE", "x y", "Configuration.SlackTeamId"},
		"a secret":             {signing, "PLANTED-1", "must not be in a file"},
		"an unknown variable":  {"${env:OPS", "${env:NO", "NO_SLACK_SIGNING_SECRET}: the variable is not set"},
		"a file that is not":   {"${env:", "${file:", "no such file"},
		"a command that fails": {signing, "${command:false}", "exit status 1"},
		"an empty secret":      {signing, "${command:true}", "the secret is empty"},
		"the mask as secret":   {signing, `"${command:echo '******'}"`, "is the mask"},
		"a large secret":       {signing, "${command:head -c 20000 /dev/zero}", "the most is"},
		"a file without end":   {signing, "${file:/dev/zero}", "the most is"},
		"a mask without a bot": {signing, "'******'", "is masked"},
		"a name of a console":  {"SlackSigningSecret:", "SigningSecret:", "did you mean SlackSigningSecret?"},
		"a list as secret":     {signing, "[PLANTED]", "is an array"},
		"an unknown type":      {"Type: Slack", "Type: IRC", "IRC"},
		"an unknown key":       {"Status:", "Statsu:", "did you mean Status?"},
		"a key twice":          {"Status:", "Type: Slack\nStatus:", "is given twice"},
		"no Name":              {"Name: ops\n", "", "Name: is missing"},
		"a strange name":       {"Name: ops", "Name: ../ops", "is invalid"},
		"a number as name":     {"Name: ops", "Name: 5", "is a number"},
		"a list":               {string(whole), "- a\n", "is an array"},
		"no tags":              {"Status:", "Tags: [a]\nStatus:", "write keys and values"},
		"a number as tag":      {"Status:", "Tags: {a: 5}\nStatus:", "Tags.a: is a number"},
		"two documents":        {"Status:", "---\nStatus:", "after its first document"},
		"no YAML":              {string(whole), "Name: [PLANTED", "is not YAML"},
		"nothing":              {string(whole), "", "is empty"},
		"the same bot":         {"Status:", "Status:", "is in"},
	} {
		text := strings.ReplaceAll(string(whole), c.old, c.new)
		if !strings.Contains(string(whole), c.old) {
			t.Fatalf("%s: the file has no %s", about, c.old)
		}
		if about != "the same bot" {
			text = strings.Replace(text, "Name: ops\n", "Name: z\n", 1)
		}
		writeFile(t, bad, []byte(text))
		out, err := atDir(t, at, "apply", dir, "--yes")
		if err == nil || out != "" || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), "z.yaml") || !strings.HasPrefix(err.Error(), "nothing was changed:\n") {
			t.Errorf("%s: %q, %v, want an error with %q", about, out, err, c.want)
		}
	}
	for want, make := range map[string]func() error{
		"is not a regular file": func() error { return os.Symlink("/dev/zero", bad) },
		"has at most": func() error {
			return errors.Join(os.WriteFile(bad, nil, 0o600), os.Truncate(bad, 1<<40))
		},
	} {
		if err := errors.Join(os.Remove(bad), make()); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"diff", "export"} {
			if _, err := atDir(t, at, verb, dir); err == nil || !strings.Contains(err.Error(), "z.yaml") ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s of a file that %s: %v", verb, want, err)
			}
		}
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, path, "Type: Slack", "Type: Teams")
	if _, err := atDir(t, at, "diff", dir); err == nil {
		t.Errorf("another Type: %v", err)
	}
	if _, err := atDir(t, at, "apply", t.TempDir(), "--prune", "--yes"); err == nil ||
		!strings.Contains(err.Error(), "has no bot files") {
		t.Errorf("to prune for an empty folder: %v", err)
	}
	if got := callAt(t, at, "GetChatConfiguration", "Name=ops"); !strings.Contains(got, `"Revision": 1`) {
		t.Errorf("the bot was changed: %s", got)
	}
}

// keyFor makes a key with a policy, and returns the flags that use it.
func keyFor(t *testing.T, at []string, statements string) []string {
	t.Helper()
	var made chat.AccessKeyResponse
	if err := json.Unmarshal([]byte(callAt(t, at, "CreateAccessKey", "Name=little",
		`PolicyDocument={"Version":"1","Statement":[`+statements+`]}`)), &made); err != nil {
		t.Fatal(err)
	}
	return []string{at[0], at[1], "--access-key-id", made.AccessKey.AccessKeyId, "--access-key-secret",
		made.AccessKey.AccessKeySecret}
}

// A key that may do little sees what it may see, and why the rest was not done.
func TestApplyWithAKeyThatMayDoLittle(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"ops", "dev"} {
		create(t, at, name, "Slack", "")
	}
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "Status: Active", "Status: Active\nRamRole: OpsRole")
	allow := func(action, resource string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Action":[%s],"Resource":"%s"}`, action, resource)
	}
	reads := keyFor(t, at, allow(`"oos:Get*","oos:List*"`, "*"))
	if got := mustAtDir(t, reads, "export", t.TempDir()); !strings.Contains(got, "Exported 2 bots") {
		t.Errorf("a key that reads exports: %s", got)
	}
	if got := mustAtDir(t, reads, "diff", dir); !strings.Contains(got, "RamRole\n  + OpsRole\n"+
		"Configuration.SlackSigningSecret\n  - ******\n  + ${env:OPS_SLACK_SIGNING_SECRET}\n") {
		t.Errorf("a key that reads sees: %s", got)
	}
	edits := keyFor(t, at, allow(`"oos:Get*","oos:List*","oos:UpdateChatConfiguration"`, "*"))
	for about, c := range map[string]struct {
		key  []string
		want string
	}{"a key that reads": {reads, "oos:UpdateChatConfiguration"}, "a key that may not pass the role": {edits,
		"ram:PassRole"}} {
		out, err := atDir(t, c.key, "apply", dir, "--yes")
		if err == nil || out != "" || !strings.HasPrefix(err.Error(), "nothing was changed:\n") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", about, out, err)
		}
	}
	one := keyFor(t, at, allow(`"oos:*ChatConfiguration"`, "acs:oos:*:*:chatconfiguration/dev"))
	if out, err := atDir(t, one, "export", t.TempDir()); err == nil || !strings.Contains(err.Error(),
		"oos:ListChatConfigurations") {
		t.Errorf("a key for one bot exports: %q, %v", out, err)
	}
	if out, err := atDir(t, one, "apply", dir); err == nil || !strings.Contains(err.Error(), "ops.yaml") ||
		strings.Contains(err.Error(), "dev.yaml") {
		t.Errorf("a key for one bot applies two: %q, %v", out, err)
	}
	if err := os.Remove(filepath.Join(dir, "ops.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := mustAtDir(t, one, "apply", dir); got != "Plan: 0 to create, 0 to change, 0 to delete, 1 unchanged\n" {
		t.Errorf("a key for one bot applies it: %s", got)
	}
}

// Tags and deletions are planned by the service, too: a key that may not tag, untag or delete
// learns it before anything is changed. With the permissions, one request changes a bot.
func TestTagsAndDeletionsAreCheckedBefore(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"dev", "old", "ops"} {
		create(t, at, name, "Slack", "")
	}
	callAt(t, at, "TagResources", "ResourceType=chatconfiguration", `ResourceIds=["dev","ops"]`,
		`Tags={"env":"prod","x":"1"}`)
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	replaceIn(t, filepath.Join(dir, "dev.yaml"), "  env: prod\n  x: \"1\"\n", "  env: prod\n")
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "Active", "Inactive")
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "env: prod", "env: test")
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	before := callAt(t, at, "ListChatConfigurations")
	little := keyFor(t, at, `{"Effect":"Allow","Action":["oos:Get*","oos:List*","oos:UpdateChatConfiguration"],`+
		`"Resource":"*"}`)
	out, err := atDir(t, little, "apply", dir, "--prune", "--yes")
	if err == nil || out != "" || !strings.HasPrefix(err.Error(), "nothing was changed:\n") {
		t.Errorf("a key that may only update: %q, %v", out, err)
	}
	for _, want := range []string{"dev.yaml: NoPermission", "oos:UntagResources on ", "ops.yaml: NoPermission",
		"oos:TagResources on ", "old: NoPermission", "oos:DeleteChatConfiguration on "} {
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if after := callAt(t, at, "ListChatConfigurations"); requestIDs.ReplaceAllString(after, "") !=
		requestIDs.ReplaceAllString(before, "") {
		t.Errorf("before %s\nafter %s", before, after)
	}
	m, through := newMiddle(t, at)
	if got := mustAtDir(t, through, "apply", dir, "--prune", "--yes"); !strings.HasSuffix(got,
		"\ndev: changed\nold: deleted\nops: changed\n") {
		t.Errorf("applied: %s", got)
	}
	want := map[string]int{"CreateChatConfiguration": 1, "ListChatConfigurations": 1,
		"UpdateChatConfiguration": 2 * 2, "DeleteChatConfiguration": 1 + 2*1}
	if got := m.take(); !maps.Equal(got, want) {
		t.Errorf("the requests are %v, want %v", got, want)
	}
	for name, tags := range map[string]string{"dev": `"Tags":{"env":"prod"}`, "ops": `"Tags":{"env":"test","x":"1"}`} {
		got := callAt(t, at, "GetChatConfiguration", "Name="+name)
		if text := strings.NewReplacer(" ", "", "\n", "").Replace(got); !strings.Contains(text, tags) {
			t.Errorf("%s has %s, want %s", name, text, tags)
		}
	}
	// Any key can be that of a tag, and all tags go by an empty set.
	replaceIn(t, filepath.Join(dir, "dev.yaml"), "env: prod\n", "Key: a\n  Value: \"\"\n")
	text, err := os.ReadFile(filepath.Join(dir, "dev.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "new.yaml"), bytes.Replace(text, []byte("Name: dev"), []byte("Name: new"), 1))
	mustAtDir(t, at, "apply", dir, "--yes")
	if got := mustAtDir(t, at, "apply", dir); !strings.HasSuffix(got, " 0 to delete, 3 unchanged\n") {
		t.Errorf("applied twice: %s", got)
	}
	replaceIn(t, filepath.Join(dir, "dev.yaml"), "Tags:\n  Key: a\n  Value: \"\"\n", "")
	mustAtDir(t, at, "apply", dir, "--yes")
	if got := callAt(t, at, "GetChatConfiguration", "Name=dev"); strings.Contains(got, "Tags") {
		t.Errorf("dev still has tags: %s", got)
	}
}

var requestIDs = regexp.MustCompile(`"RequestId": *"[^"]*"`)

// The processes of a service may have several versions. One that does not know CheckOnly of a
// deletion never gets it, and one that would not change tags is found out before.
func TestApplyToAServiceOfSeveralVersions(t *testing.T) {
	at, _ := newSendService(t)
	for _, name := range []string{"old", "ops"} {
		create(t, at, name, "Slack", "")
	}
	dir := t.TempDir()
	setReferences(t, mustRun(t, append([]string{"export", dir, "-o", "json"}, at...)...))
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	m, through := newMiddle(t, at)
	answer, status := faultText("MissingParameter.Name", "Name is mandatory for this action."), http.StatusBadRequest
	m.answer = func(action string, params map[string]string) (int, string) {
		_, checks := params["CheckOnly"]
		switch {
		case action != "DeleteChatConfiguration" || !checks:
			return 0, ""
		case params["Name"] != "":
			t.Errorf("a deletion of %s has CheckOnly", params["Name"])
		}
		return status, answer
	}
	got := mustAtDir(t, through, "apply", dir, "--prune", "--dry-run")
	if !strings.HasSuffix(got, "Plan: 0 to create, 0 to change, 1 to delete, 1 unchanged\n") {
		t.Errorf("planned: %s", got)
	}
	answer, status = faultText("ServiceUnavailable", "Busy."), http.StatusServiceUnavailable
	v := verbAt(t, through)
	if err := v.apply(t.Context(), dir, applyFlags{prune: true, yes: true}); err == nil ||
		!strings.HasPrefix(err.Error(), "nothing was changed:\nServiceUnavailable") {
		t.Errorf("it is not known whether the service knows CheckOnly: %v", err)
	}
	// The question was for a new process, and an old one deletes.
	m.answer = func(action string, params map[string]string) (int, string) {
		if action == "DeleteChatConfiguration" && params["Name"] != "" {
			return http.StatusOK, `{"Content":"Chat configuration deleted successfully."}`
		}
		return 0, ""
	}
	if _, err := atDir(t, through, "apply", dir, "--prune", "--yes"); err == nil ||
		!strings.Contains(err.Error(), "old: the service did not say what would change") {
		t.Errorf("an old process deletes: %v", err)
	}
	replaceIn(t, filepath.Join(dir, "ops.yaml"), "Type: Slack", "Type: Slack\nTags: {env: prod}")
	m.answer = func(action string, params map[string]string) (int, string) {
		if action == "UpdateChatConfiguration" {
			return http.StatusOK, `{"ChatConfiguration":{"Name":"ops"},"Changes":[]}`
		}
		return 0, ""
	}
	if _, err := atDir(t, through, "apply", dir, "--yes"); err == nil || !strings.Contains(err.Error(),
		"nothing was changed:\n") || !strings.Contains(err.Error(), "the service would not change the tags") {
		t.Errorf("an old process that ignores Tags: %v", err)
	}
	if got := callAt(t, at, "ListChatConfigurations"); strings.Count(got, `"Name"`) != 2 {
		t.Errorf("something was changed: %s", got)
	}
}

// Export over files keeps comments, references, order and style, and says which file has no bot.
func TestExportOverFiles(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	dir := t.TempDir()
	path := filepath.Join(dir, "production.yml")
	const before = `# The bot of production.
Type: Slack # fixed
Name: "ops"
Configuration:
  # from the vault
  SlackSigningSecret: ${command:printf PLANTED-1}
  SlackSigningSecretPrevious: '******'
  Permissions: # who may
    - {Effect: Allow, Principals: ["user:manager4220"], Commands: [restart], Conversations: ["*"]} # on call
  SlackTeamId: 'T0OTHER'
# the end
`
	writeFile(t, path, []byte(before))
	writeFile(t, filepath.Join(dir, "gone.yaml"), []byte("Name: gone\nType: Slack\nConfiguration: {}\n"))
	writeFile(t, filepath.Join(dir, "note.txt"), []byte("no bot"))
	got := mustAtDir(t, at, "export", dir)
	if want := dir + "/production.yml: changed\n" + dir + "/gone.yaml: the service has no such bot; " +
		"the file is kept\n\nExported 1 bot: 0 created, 1 changed, 0 unchanged\n"; got != want {
		t.Errorf("exported: %s, want %s", got, want)
	}
	want := strings.Replace(strings.Replace(before, "T0OTHER", "T0EXAMPLE", 1), "Name:", "Status: Active\nName:", 1)
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("the file: %v\n%s\nwant\n%s", err, text, want)
	}
	callAt(t, at, "UpdateChatConfiguration", "Name=ops", `Configuration={"SlackSigningSecret":"******","BotName":"b",`+
		`"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["x"]},{"Effect":"Allow",`+
		`"Principals":["user:manager4220"],"Commands":["restart"],"Conversations":["*"]}]}`)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	mustAtDir(t, at, "export", dir)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file has another mode: %v, %v", info, err)
	}
	const after = `# The bot of production.
Type: Slack # fixed
Status: Active
Name: "ops"
Configuration:
  # from the vault
  SlackSigningSecret: ${command:printf PLANTED-1}
  BotName: b
  Permissions: # who may
    - Effect: Deny
      Principals:
        - '*'
      Commands:
        - x
    - {Effect: Allow, Principals: ["user:manager4220"], Commands: [restart], Conversations: ["*"]} # on call
# the end
`
	if text, err := os.ReadFile(path); err != nil || string(text) != after {
		t.Errorf("the file: %v\n%s\nwant\n%s", err, text, after)
	}
	// A file with anchors is left as it is, unless it would have to change.
	writeFile(t, path, []byte("x: &a 1\n"))
	if _, err := atDir(t, at, "export", dir); err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("a file that is no bot: %v", err)
	}
}

// A bot that the tool does not understand fails, and the others are exported.
func TestExportOfAStranger(t *testing.T) {
	at, _ := newSendService(t)
	m, through := newMiddle(t, at)
	m.answer = func(string, map[string]string) (int, string) {
		bot := func(name, kind, configuration string) string {
			return fmt.Sprintf(`{"Name":%q,"Type":%q,"Configuration":%q}`, name, kind, configuration)
		}
		return http.StatusOK, `{"ChatConfigurations":[` + bot("a", "IRC", "{}") + "," + bot("b", "Slack", "[]") + "," +
			bot("../c", "Slack", "{}") + "," + bot("d", "Slack", "PLANTED") + "," +
			bot("e", "Lark", `{"FeishuAppSecret":"PLANTED","New":"******"}`) + "]}"
	}
	dir := t.TempDir()
	out, err := atDir(t, through, "export", dir)
	for _, want := range []string{"../c: the service shows it in an unknown form", "\na: unknown type \"IRC\"",
		"\nb: the service shows", "\nd: the service shows"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	const want = "Name: e\nType: Feishu\nStatus: Active\nConfiguration:\n" +
		"  FeishuAppSecret: ${env:E_FEISHU_APP_SECRET}\n  New: ${env:E_NEW}\n"
	if files := filesOf(t, dir); len(files) != 1 || files["e.yaml"] != want {
		t.Errorf("exported %s: %v", out, files)
	}
}

// Anchors are read. A file with anchors that would have to change in one place is left.
func TestAnchors(t *testing.T) {
	const text = "Name: ops\nType: Slack\nConfiguration:\n  SlackTeamId: T0\n  UserGroups:\n    a: &a [u1]\n    b: *a\n"
	f, err := parseBot("ops.yaml", []byte(text))
	if err != nil || f.configuration.String() != `{"SlackTeamId":"T0","UserGroups":{"a":["u1"],"b":["u1"]}}` {
		t.Fatalf("%v, %v", f, err)
	}
	b := f.botState
	if got, err := textOfBot(&b, f); err != nil || string(got) != text {
		t.Errorf("unchanged: %v\n%s", err, got)
	}
	change := func(configuration string) (string, error) {
		t.Helper()
		n, err := document.Parse("", configuration)
		if err != nil {
			t.Fatal(err)
		}
		b.configuration = n
		got, err := textOfBot(&b, f)
		return string(got), err
	}
	got, err := change(`{"SlackTeamId":"T1","UserGroups":{"a":["u1"],"b":["u1"]}}`)
	if want := strings.Replace(text, "T0", "T1", 1); err != nil || got != strings.Replace(want, "Slack\n",
		"Slack\nStatus: Active\n", 1) {
		t.Errorf("changed elsewhere: %v\n%s", err, got)
	}
	if got, err := change(`{"UserGroups":{"a":["u2"],"b":["u1"]}}`); err == nil ||
		!strings.Contains(err.Error(), "write it without anchors") {
		t.Errorf("changed under the anchor: %v\n%s", err, got)
	}
	for about, text := range map[string]string{"a merge key": "a: &a {b: c}\nd: {<<: *a}\n", "a tag": "a: !x b\n",
		"a list as key": "? [a]\n: b\n", "a number of YAML": "a: 0x1f\n", "an alias of itself": "a: &a [*a]\n"} {
		if _, err := parseBot("x.yaml", []byte(text)); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
}

// References are found from the folder of their file, once, without the end of the line.
func TestReferences(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "sub", "s.txt"), []byte("PLANTED-1\r\n"))
	ran := 0
	r := newReferences(io.Discard)
	run := r.run
	r.run = func(ctx context.Context, command, dir string) ([]byte, error) { ran++; return run(ctx, command, dir) }
	t.Setenv("SOME_SECRET", "PLANTED-1")
	for _, text := range []string{"${env:SOME_SECRET}", "${file:sub/s.txt}", "${file:" + dir + "/sub/s.txt}",
		"${command:cat sub/s.txt}", "${command:cat sub/s.txt}"} {
		if got, err := r.find(t.Context(), dir, text); err != nil || got.Reveal() != "PLANTED-1" {
			t.Errorf("%s: %q, %v", text, got.Reveal(), err)
		}
	}
	if ran != 1 {
		t.Errorf("the command ran %d times, want once", ran)
	}
	for text, want := range map[string]string{"ops_SlackSigningSecret": "OPS_SLACK_SIGNING_SECRET",
		"ops-eu_Actions.restart.Target.Secret": "OPS_EU_ACTIONS_RESTART_TARGET_SECRET", "1_A": "BOT_1_A",
		"ops_Actions[\"停止\"].Target": "OPS_ACTIONS_TARGET", "停": "BOT_"} {
		if got := variableOf(text); got != want {
			t.Errorf("variableOf(%q) = %s, want %s", text, got, want)
		}
	}
}

// The end of apply does not wait for what a command has started.
func TestAReferenceEndsWithApply(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	r := newReferences(stopper(stop))
	if _, err := r.find(ctx, dir, "${command:echo begun >&2; (sleep 4; touch ended); true}"); err == nil {
		t.Error("a command that was ended has a secret")
	}
	if _, err := os.Stat(filepath.Join(dir, "ended")); err == nil {
		t.Error("apply has waited for the end of the command")
	}
}

// A text is the same after it was written and read, whatever it is.
func FuzzYAMLKeepsTexts(f *testing.F) {
	for _, text := range []string{"", "a", "yes", "5", "0x1f",
		"null", "~", "a\nb", "a\n", "\n", " a", "a ", "a: b", "# a",
		"'", `"`, "- a", "\t", "a\tb\nc", "2026-01-31",
		"\u2028", "\u0085", "\ufeff", "a\n\n", " \n", "******",
		"${env:X}", "a\n b\n", "|", "1e999", "!x", "&a", "*a", "%", "@", "`", "\x00", "\u202e",
		"<<", "a\r\nb", "停止", "\U0001f600"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		n := &document.Node{Kind: document.Object, Members: []document.Member{{Key: text, Value: textNode(text)},
			{Key: text + "x", Value: &document.Node{Kind: document.Array, Items: []*document.Node{textNode(text)}}}}}
		out, err := yamlText(yamlOf(n))
		if err != nil {
			t.Fatal(err)
		}
		root, err := decodeYAML("text", out)
		if err != nil {
			t.Fatalf("%q: %v\n%s", text, err, out)
		}
		var r reader
		if got := r.read("", root, 0); !document.Same(got, n) || len(r.mistakes) > 0 {
			t.Errorf("%q is %v, %v\n%s", text, got, r.mistakes, out)
		}
	})
}
