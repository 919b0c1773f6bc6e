package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/journal"
)

// said makes two bots and sends them messages.
func said(t *testing.T) (at []string) {
	t.Helper()
	at, _ = newSendService(t)
	create(t, at, "ops", "DingTalk", ``)
	create(t, at, "dev", "Slack", ``)
	for _, args := range [][]string{
		{"ops", "--user", "manager4220", "--user-name", "Alice", "restart 'i 1' env=prod"},
		{"dev", "--user", "U1", "help"},
		{"ops", "--user", "user0815", "drop 'all tables'"},
		{"dev", "--user", "manager4220", "restart i-2"},
	} {
		mustRun(t, append(append([]string{"send", "--wait", "0s"}, args...), at...)...)
	}
	return at
}

func TestLog(t *testing.T) {
	at := said(t)
	dates := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  `)
	show := func(args ...string) string {
		t.Helper()
		out, note, err := runBoth(t, "", append(append([]string{"log"}, args...), at...)...)
		if none := note == "No such commands.\n"; err != nil || none != (out == "") {
			t.Fatalf("log %q: %v, %q", args, err, note)
		}
		if n := strings.Count(out, "\n"); len(dates.FindAllString(out, -1)) != n {
			t.Errorf("log %q: not every line has a date: %s", args, out)
		}
		return dates.ReplaceAllString(out, "")
	}
	restart := "Accepted   ops  Alice (manager4220): restart 'i 1' env=prod\n"
	help := "Recorded   dev  U1: help\n"
	drop := "Denied     ops  user0815: drop 'all tables'  # No statement of Permissions allows drop " +
		"for the user user0815 in the conversation cidexample==.\n"
	second := "Accepted   dev  manager4220: restart i-2\n"
	for _, c := range []struct{ args, want string }{
		{"", restart + help + drop + second},
		{"ops", restart + drop},
		{"dev ops dev", restart + help + drop + second},
		{"-n 1", second},
		{"--last 3 ops dev", help + drop + second},
		{"--since 1d", restart + help + drop + second},
		{"--since 1d --last 2", drop + second},
		{"--since yesterday --until today", ""},
		{"--decision Denied", drop},
		{"--user manager4220 --command re* dev", second},
		{"--state accepted ops", restart},
		{"--target Journal", restart + second},
		{"--target Oos", ""},
	} {
		if got := show(strings.Fields(c.args)...); got != c.want {
			t.Errorf("log %s:\n%s\nwant\n%s", c.args, got, c.want)
		}
	}
	var first chat.ChatCommand
	out := mustRun(t, append([]string{"log", "-o", "json"}, at...)...)
	if lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n"); len(lines) != 4 ||
		json.Unmarshal([]byte(lines[0]), &first) != nil || first.Command != "restart" || first.Name != "ops" {
		t.Errorf("log -o json: %s", out)
	}
	for _, args := range []string{"--since tomorrow", "--target Cron", "missing", "ops missing"} {
		if out, err := run(t, "", append(append([]string{"log"}, strings.Fields(args)...), at...)...); err == nil ||
			isUsage(err) || out != "" {
			t.Errorf("log %s: %q, %v, want the error of the service", args, out, err)
		}
	}
	for _, args := range []string{"-f --until today", "--last -1", "-f --last 0", "-o xml"} {
		if out, err := run(t, "", append(append([]string{"log"}, strings.Fields(args)...), at...)...); !isUsage(err) ||
			out != "" {
			t.Errorf("log %s: %q, %v, want a usage error", args, out, err)
		}
	}
}

// A key that may not read all bots may still read one.
func TestLogOfWhoMayNotReadAll(t *testing.T) {
	noEnv(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"Code":"NoPermission","Message":"planted"}`)
	}))
	defer s.Close()
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b"}
	for args, want := range map[string]bool{"log": true, "log ops": false} {
		_, err := run(t, "", append(strings.Fields(args), at...)...)
		if err == nil || isUsage(err) || strings.Contains(err.Error(), "name it: chatconf log NAME") != want {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestLogNamesEveryUnknownBot(t *testing.T) {
	_, err := run(t, "", append([]string{"log", "ops", "none", "nope"}, said(t)...)...)
	if err == nil || !strings.Contains(err.Error(), `no chat configuration "none"`) ||
		!strings.Contains(err.Error(), `no chat configuration "nope"`) {
		t.Errorf("log of two unknown bots: %v", err)
	}
}

// A list of several pages is read to its end, in pages that the service may make short or empty.
func TestLogReadsEveryPage(t *testing.T) {
	noEnv(t)
	var sizes []string
	pages := map[string]string{
		"": `{"ChatCommands":[{"Id":"3","Name":"ops","Command":"c"},{"Id":"2","Name":"ops","Command":"b"}],` +
			`"NextToken":"p"}`,
		"p": `{"ChatCommands":[],"NextToken":"q"}`,
		"q": `{"ChatCommands":[{"Id":"1","Name":"ops","Command":"a"}],"NextToken":"r"}`,
		"r": `{"ChatCommands":[]}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["Name"] != "ops" ||
			in["RegionId"] != "cn-beijing" {
			t.Errorf("asked for %v, %v", in, err)
		}
		sizes = append(sizes, in["MaxResults"])
		io.WriteString(w, pages[in["NextToken"]])
	}))
	defer s.Close()
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b", "--region", "cn-beijing"}
	for _, c := range []struct{ args, names, sizes string }{
		{"--last 0", "a b c", "100 100 100 100"}, {"--last 3", "a b c", "3 1 1"}, {"--last 2", "b c", "2"},
	} {
		sizes = nil
		out := mustRun(t, append(append([]string{"log", "ops", "-o", "json"}, strings.Fields(c.args)...), at...)...)
		var names []string
		for line := range strings.Lines(out) {
			var one chat.ChatCommand
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(err)
			}
			names = append(names, one.Command)
		}
		if strings.Join(names, " ") != c.names || strings.Join(sizes, " ") != c.sizes {
			t.Errorf("log %s: %v in pages of %v", c.args, names, sizes)
		}
	}
}

// A look is an answer that a follower gets.
type look struct {
	found []chat.ChatCommand
	err   error
	after time.Duration // since the look before
	want  int           // minutes that are asked for
}

func at(seconds int, state journal.State, outcome journal.Outcome) chat.ChatCommand {
	return chat.ChatCommand{Id: fmt.Sprintf("%013d-0", 1_700_000_000_000+seconds*1000), State: state, Outcome: outcome}
}

// follow plays looks to a follower that has printed some commands, and returns what it prints: the
// second of a command, and its state.
func follow(t *testing.T, printed []chat.ChatCommand, looks ...look) (lines []string, warnings int, err error) {
	t.Helper()
	clock := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	ctx, stop := context.WithCancel(t.Context())
	f := newFollower(printed)
	f.now = func() time.Time { return clock }
	f.pause = func(context.Context) {
		if len(looks) == 0 {
			stop()
			return
		}
		clock = clock.Add(looks[0].after)
	}
	f.find = func(_ context.Context, minutes int) ([]chat.ChatCommand, error) {
		l := looks[0]
		looks = looks[1:]
		if minutes != l.want {
			t.Errorf("it looks back %d minutes, want %d", minutes, l.want)
		}
		return l.found, l.err
	}
	f.print = func(c *chat.ChatCommand) error {
		ms, _ := strconv.Atoi(strings.TrimSuffix(c.Id, "-0"))
		lines = append(lines, fmt.Sprint((ms-1_700_000_000_000)/1000, c.State))
		return nil
	}
	f.warn = func(error) { warnings++ }
	err = f.run(ctx)
	if len(f.seen) > 3 {
		t.Errorf("it remembers %d commands", len(f.seen))
	}
	return lines, warnings, err
}

func TestLogFollows(t *testing.T) {
	const running, done, settled = journal.StateRunning, journal.StateSucceeded, journal.OutcomeDelivered
	old, pending, ended := at(10, done, settled), at(11, running, "Pending"), at(11, done, settled)
	lines, warnings, err := follow(t, []chat.ChatCommand{old, pending},
		look{[]chat.ChatCommand{at(9, done, settled), old, pending}, nil, time.Second, 15},
		look{[]chat.ChatCommand{old, pending, at(12, done, settled)}, nil, time.Second, 15},
		look{nil, errors.New("no network"), time.Second, 15},
		look{nil, &refusedError{status: 503}, 20 * time.Minute, 22},
		look{nil, &refusedError{status: 429}, time.Minute, 23},
		look{[]chat.ChatCommand{old, ended, at(12, done, settled), at(13, done, settled)}, nil, 0, 23},
		look{[]chat.ChatCommand{at(13, done, settled)}, nil, time.Second, 2},
		look{[]chat.ChatCommand{at(3000, done, settled)}, nil, time.Second, 2})
	want := []string{"12Succeeded", "11Succeeded", "13Succeeded", "3000Succeeded"}
	if !slices.Equal(lines, want) || warnings != 1 || err != nil {
		t.Errorf("it prints %v with %d warnings, %v, want %v", lines, warnings, err, want)
	}
	refused := &refusedError{status: 403}
	if _, _, err := follow(t, nil, look{nil, refused, 0, 2}); !errors.Is(err, refused) {
		t.Errorf("a refused request: %v", err)
	}
}

// The command follows a service until the user ends it.
func TestLogFollowsAService(t *testing.T) {
	service := said(t)
	defer func(pause time.Duration) { followPause = pause }(followPause)
	followPause = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	lines, printed := make(chan string), make(chan error, 1)
	reader, writer := io.Pipe()
	root := newRoot()
	root.SetArgs(append([]string{"log", "-f", "-n", "1"}, service...))
	root.SetOut(writer)
	go func() { printed <- root.ExecuteContext(ctx); writer.Close() }()
	go func() {
		defer close(lines)
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			if err != nil {
				return
			}
			lines <- string(buffer[:n])
		}
	}()
	if line := <-lines; !strings.HasSuffix(line, "dev  manager4220: restart i-2\n") {
		t.Errorf("the last command: %q", line)
	}
	mustRun(t, append([]string{"send", "--wait", "0s", "ops", "--user", "manager4220", "restart"}, service...)...)
	if line := <-lines; !strings.HasSuffix(line, "ops  manager4220: restart\n") {
		t.Errorf("the next command: %q", line)
	}
	stop()
	go func() { // what it may still print
		for range lines {
		}
	}()
	if err := <-printed; err != nil {
		t.Errorf("at the end: %v", err)
	}
}
