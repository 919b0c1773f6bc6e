package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// readme returns the README's code blocks of a language under a heading.
func readme(t *testing.T, heading, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(section, -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%q has no block of %q", heading, language)
	}
	return blocks
}

// A newcomer follows the first screens word for word, in a shell that has a cloud account: all of it works, what the README shows is printed, no
// platform is called, and no record is left open.
func TestREADME(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	if err := os.Mkdir(filepath.Join(work, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(chatconf, filepath.Join(work, "dist", "chatconf")); err != nil {
		t.Fatal(err)
	}
	first := readme(t, "Five minutes", "sh")
	if got, want := first[0], "make run\n"; got != want {
		t.Fatalf("the first command is %q, want %q", got, want)
	}
	plan := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "run")
	plan.Dir = repository
	if out, err := plan.CombinedOutput(); err != nil || !strings.Contains(string(out), " -o dist/chatconf ./deploy/chatconf\n") || !strings.HasSuffix(string(out), "exec dist/chatconf serve\n") {
		t.Errorf("make run does %s: %v", out, err)
	}
	s := serveOn(t, filepath.Join(work, ".chatconf"))

	const sdk = "(cd deploy/e2e && go run ./quickstart)"
	script := "set -eu\n"
	for _, block := range append(first[1:], readme(t, "Chat platforms", "sh")...) {
		if strings.Contains(block, "make run") { // with other settings
			continue
		}
		if strings.Contains(block, "go run ./deploy") {
			t.Errorf("a block compiles the tool: %s", block)
		}
		script += block
	}
	if strings.Count(script, sdk) != 1 {
		t.Fatalf("the script has not %q: %s", sdk, script)
	}
	script = strings.Replace(script, sdk, quickstart, 1)

	sh := exec.CommandContext(t.Context(), "sh", "-c", script)
	sh.WaitDelay = time.Second
	sh.Dir = work
	sh.Env = append(cleanEnviron(t), "ALIBABA_CLOUD_ACCESS_KEY_ID=LTAIsomebody", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=planted-secret", "ALIBABA_CLOUD_SECURITY_TOKEN=planted-token")
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "planted") || strings.Contains(string(out), "LTAI") {
		t.Errorf("the cloud account is printed:\n%s", out)
	}
	// Lines of JSON are shown with fewer line ends than they have.
	blanks := regexp.MustCompile(`\s+`)
	printed := blanks.ReplaceAllString(string(out), " ")
	shown := 0
	for _, block := range append(readme(t, "Five minutes", ""), readme(t, "Chat platforms", "")...) {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "user0815 says") || strings.HasPrefix(line, "manager4220 says") || strings.HasSuffix(line, ":\n") {
				continue // the README's own words
			}
			shown++
			line = strings.TrimRight(blanks.ReplaceAllString(line, " "), " ,")
			for _, part := range regexp.MustCompile(`…|, "`).Split(line, -1) {
				if !strings.Contains(printed, part) {
					t.Errorf("%q is not printed", part)
				}
			}
		}
	}
	if shown < 15 {
		t.Errorf("the README shows %d lines", shown)
	}
	if strings.Contains(string(out), `"Outcome": "Pending"`) || strings.Contains(string(out), `"Outcome": "Failed"`) {
		t.Errorf("records are left open:\n%s", out)
	}
	for _, bot := range []string{"DingTalk", "WeChat", "Feishu", "Slack", "Teams"} {
		if n := strings.Count(string(out), bot+" shows:\n\n  restart was accepted.\n"); n < 1 {
			t.Errorf("%s did not accept the command:\n%s", bot, out)
		}
	}
	if log := s.stderr.String(); strings.Contains(log, "open.feishu.cn") {
		t.Errorf("a platform was called:\n%s", log)
	}
}
