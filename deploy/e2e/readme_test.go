package e2e_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fence finds the code blocks of a page: the words behind the fence, and the text.
var fence = regexp.MustCompile("(?ms)^```([a-z ]*)\\n(.*?)^```$")

// markdown returns the text of every page of the repository by its path.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "dist" || strings.HasPrefix(d.Name(), ".") &&
			d.Name() != ".github" && path != repository):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(repository, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil || len(found) < 15 {
		t.Fatalf("%d pages were found: %v", len(found), err)
	}
	return found
}

// blocks returns a page's code blocks whose fence has these words.
func blocks(text, words string) (out []string) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == words {
			out = append(out, m[2])
		}
	}
	return out
}

// A followed page is a page whose commands a new user follows word for word.
type followed struct {
	page  string
	serve string            // the block that starts what the others talk to
	flags []string          // of serve, besides those of that block
	with  map[string]string // what is put in the place of a command that compiles for long
	shown int               // how many lines of output the page shows
	table bool              // commands are in a table, too; they run after the first block
}

// oneCommand finds a command in the second column of a table.
var oneCommand = regexp.MustCompile("(?m)^\\| [^|]+ \\| `([^`]+)` \\|$")

var pagesToFollow = []followed{
	{page: "README.md", serve: "make run\n", flags: []string{"--emulate", "slack"}, with: map[string]string{
		"make tool": ":", "(cd deploy/e2e && go run ./quickstart)": "QUICKSTART"}, shown: 4},
	{page: "deploy/docs/zh/README.md", serve: "make run\n", flags: []string{"--emulate", "dingtalk"},
		with: map[string]string{"make tool": ":"}},
	{page: "functions/README.md"},
	{page: "shared/platform/README.md", flags: []string{"--emulate", "dingtalk,feishu,slack,wecom"}},
	{page: "shared/command/README.md", shown: 10},
	// The platform cannot be reached here, and a person would set the variable of the secret.
	{page: "deploy/docs/daily.md", shown: 4, table: true, with: map[string]string{
		"chatconf doctor":      "! chatconf doctor",
		"chatconf diff ./bots": "export OPS_DING_TALK_CLIENT_SECRET=not-a-real-secret\nchatconf diff ./bots"}},
}

// A newcomer follows the pages word for word, in a shell that has a cloud account. All of it works,
// what a page shows is printed, no platform is called, and no record is left open. Blocks that need
// a cloud, Docker or a build are in TestPagesParse.
func TestPagesRun(t *testing.T) {
	t.Parallel()
	all := markdown(t)
	for _, r := range pagesToFollow {
		t.Run(r.page, func(t *testing.T) {
			t.Parallel()
			text := all[r.page]
			commands := blocks(text, "sh")
			if r.serve != "" {
				i := slices.Index(commands, r.serve)
				if i < 0 {
					t.Fatalf("the page has no block %q", r.serve)
				}
				commands = slices.Delete(commands, i, i+1)
			}
			if len(commands) == 0 {
				t.Fatal("the page has no command")
			}
			if r.table {
				var rows []string
				for _, m := range oneCommand.FindAllStringSubmatch(text, -1) {
					rows = append(rows, m[1]+"\n")
				}
				if len(rows) < 20 {
					t.Fatalf("the table has %d commands", len(rows))
				}
				commands = slices.Insert(commands, 1, rows...)
			}
			if !oneProcess { // functions are backed up by their cloud, and open no connections
				commands = slices.DeleteFunc(commands, func(block string) bool {
					return strings.Contains(block, "chatconf backup ") || strings.Contains(block, "--mode stream")
				})
			}
			script := "set -eu\n" + strings.Join(commands, "")
			for command, program := range r.with {
				if strings.Count(script, command) != 1 {
					t.Fatalf("the page does not have %q once", command)
				}
				if program == "QUICKSTART" {
					program = quickstart
				}
				script = strings.Replace(script, command, program, 1)
			}
			// Functions on a busy machine may take longer to answer than a person waits.
			script = strings.ReplaceAll(script, "chatconf send ", "chatconf send --wait 30s ")
			work := t.TempDir()
			if err := os.Mkdir(filepath.Join(work, "dist"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(chatconf, filepath.Join(work, "dist", "chatconf")); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(work, ".chatconf")
			c := serveCommand(data)
			makeTables(t, data, c.env)
			if oneProcess {
				c.args = append(c.args, r.flags...)
			}
			s := c.serve(t, data)
			sh := exec.CommandContext(t.Context(), "sh", "-c", script)
			sh.WaitDelay = time.Second
			sh.Dir = work
			sh.Env = append(cleanEnviron(t), "EDITOR=true", "ALIBABA_CLOUD_ACCESS_KEY_ID=LTAIsomebody",
				"ALIBABA_CLOUD_ACCESS_KEY_SECRET=planted-secret", "ALIBABA_CLOUD_SECURITY_TOKEN=planted-token")
			out, err := sh.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "planted") || strings.Contains(string(out), "LTAI") {
				t.Errorf("the cloud account is printed:\n%s", out)
			}
			if strings.Contains(string(out), `"Outcome": "Pending"`) ||
				strings.Contains(string(out), `"Outcome": "Failed"`) {
				t.Errorf("records are left open:\n%s", out)
			}
			if log := s.stderr.String(); strings.Contains(log, "open.feishu.cn") {
				t.Errorf("a platform was called:\n%s", log)
			}
			if shown := printed(t, string(out), blocks(text, "")); shown != r.shown {
				t.Errorf("the page shows %d lines of output, want %d", shown, r.shown)
			}
			if r.page == "shared/platform/README.md" {
				for _, bot := range []string{"DingTalk", "WeChat", "Feishu", "Slack", "Teams"} {
					want := 1
					if oneProcess && bot != "Teams" {
						want = 2 // the other one over a connection
					}
					if n := strings.Count(string(out), bot+" shows:\n\n  restart was accepted.\n"); n != want {
						t.Errorf("%s has accepted %d commands, want %d:\n%s", bot, n, want, out)
					}
				}
			}
			if r.page == "README.md" {
				for _, line := range []string{"Restored revision 1 of ops as revision 3.",
					"Rotated DingTalkClientSecret of ops.", "Restored revision 4 of ops as revision 6."} {
					if !strings.Contains(string(out), line) {
						t.Errorf("%q is not printed:\n%s", line, out)
					}
				}
				still, err := os.ReadFile(filepath.Join(repository, "deploy", "docs", "send.svg"))
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range regexp.MustCompile(`preserve"(?: class="[gr]")?>([^<]+)<`).FindAllStringSubmatch(
					string(still), -1) {
					if !strings.Contains(string(out), strings.TrimSpace(m[1])) {
						t.Errorf("the picture shows %q, which is not printed", m[1])
					}
				}
			}
		})
	}
}

// printed checks that every line of the blocks is in out, and returns how many lines there are.
// Lines of JSON may be shown with fewer line ends than they have, and … stands for what differs.
func printed(t *testing.T, out string, shown []string) int {
	t.Helper()
	blanks := regexp.MustCompile(`\s+`)
	out = blanks.ReplaceAllString(out, " ")
	n := 0
	for _, block := range shown {
		for line := range strings.Lines(block) {
			n++
			line = strings.TrimRight(blanks.ReplaceAllString(line, " "), " ,")
			for part := range strings.SplitSeq(line, "…") {
				if !strings.Contains(out, part) {
					t.Errorf("%q is not printed", part)
				}
			}
		}
	}
	return n
}

// Every block of commands is a shell's, whether it runs in a test or not, and the tool has every
// command and flag that a page uses.
func TestPagesParse(t *testing.T) {
	t.Parallel()
	known := make(map[string]string) // the help of each command of the tool
	use := regexp.MustCompile(`(?m)(?:dist/|sudo |/)chatconf ((?:[a-z][a-z-]* ?)+)((?:[^|\n&;#]|\\\n)*)`)
	flag := regexp.MustCompile(`(?:^| )(--[a-z-]+)`)
	uses := 0
	for name, text := range markdown(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] != "sh" && !strings.HasPrefix(m[1], "sh ") {
				continue
			}
			sh := exec.CommandContext(t.Context(), "sh", "-n")
			sh.Stdin = strings.NewReader(m[2])
			if out, err := sh.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", name, err, out, m[2])
			}
			for _, u := range use.FindAllStringSubmatch(m[2], -1) {
				words := strings.Fields(u[1])
				if len(words) == 0 {
					continue
				}
				command := words[0]
				if len(words) > 1 && (command == "keys" || command == "keyring" ||
					command == "tables" && words[1] == "check") {
					command += " " + words[1]
				}
				if known[command] == "" {
					help, err := exec.CommandContext(t.Context(), chatconf,
						append(strings.Fields(command), "--help")...).CombinedOutput()
					if err != nil || !strings.Contains(string(help), "chatconf "+command) {
						t.Errorf("%s: there is no command %q: %v", name, command, err)
						continue
					}
					known[command] = string(help)
				}
				for _, f := range flag.FindAllStringSubmatch(u[2], -1) {
					if !strings.Contains(known[command], f[1]) {
						t.Errorf("%s: chatconf %s has no flag %s", name, command, f[1])
					}
				}
				uses++
			}
		}
	}
	if uses < 40 {
		t.Errorf("the pages use the tool %d times", uses)
	}
}

// Links lead somewhere, headings that are linked exist, and prose is at most 100 columns wide; the
// README has at most 150 lines.
func TestPagesRead(t *testing.T) {
	t.Parallel()
	all := markdown(t)
	if n := strings.Count(all["README.md"], "\n"); n > 150 {
		t.Errorf("the README has %d lines", n)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for name, text := range all {
		plain := fence.ReplaceAllString(text, "")
		for _, m := range link.FindAllStringSubmatch(plain, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[1])
				continue
			}
			if info, _ := os.Stat(filepath.Join(repository, target)); heading != "" && !info.IsDir() &&
				!hasHeading(all[target], heading) {
				t.Errorf("%s: %s has no heading #%s", name, target, heading)
			}
		}
		for line := range strings.Lines(plain) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 &&
				!strings.HasPrefix(line, "|") && !made.MatchString(line) {
				t.Errorf("%s: a line has %d columns: %s", name, n, line)
			}
		}
	}
}

// made matches the lines that a test writes into the platforms' pages: the steps of Setup.
var made = regexp.MustCompile(`^[0-9]+\. `)

// hasHeading reports whether a page has a heading that is linked so.
func hasHeading(text, link string) bool {
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range strings.Lines(fence.ReplaceAllString(text, "")) {
		if title := strings.TrimLeft(line, "#"); title != line {
			if strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""),
				" ", "-") == link {
				return true
			}
		}
	}
	return false
}
