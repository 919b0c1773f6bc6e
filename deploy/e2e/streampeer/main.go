// Command streampeer connects to the gateway of a chat platform through the platform's official
// client for Go, and answers messages. Its argument is the platform. The gateway's URL is in
// GATEWAY_URL, and the settings of the app, as JSON, in GATEWAY_SETTINGS. It answers "one" with
// "echo one". A message that begins with "fail" is handled only when it comes again. It ends with
// its input.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// platforms are the clients by platform. They run until they fail.
var platforms = map[string]func(*peer) error{"DingTalk": dingtalk, "Feishu": feishu, "Slack": slackSocket}

// A peer is what a client needs.
type peer struct {
	url      string
	settings map[string]string

	mu     sync.Mutex
	failed map[string]bool
}

// fails reports whether a message is not to be handled this time.
func (p *peer) fails(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.HasPrefix(text, "fail") || p.failed[text] {
		return false
	}
	p.failed[text] = true
	return true
}

func echo(text string) string { return "echo " + text }

func main() {
	p := &peer{url: os.Getenv("GATEWAY_URL"), failed: map[string]bool{}}
	if err := json.Unmarshal([]byte(os.Getenv("GATEWAY_SETTINGS")), &p.settings); err != nil {
		end(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	end(platforms[os.Args[1]](p))
}

func end(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
