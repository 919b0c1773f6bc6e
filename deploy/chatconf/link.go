package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/console"
	"chatconf/shared/fault"
	"chatconf/shared/rpc"
)

// linkAction is an action that only `chatconf serve` offers, and 'chatconf open' calls: it makes a
// link that signs the caller in to the console. Its answer is secret, so it is not for 'chatconf
// call'.
const linkAction = "CreateConsoleLink"

// A consoleLinkRequest holds the parameters of CreateConsoleLink.
type consoleLinkRequest struct {
	RegionID string `param:"RegionId"` // without effect: the console has all regions
}

// A consoleLinkResponse is the answer of CreateConsoleLink.
type consoleLinkResponse struct {
	ConsolePath string // with the query, which has the token; the host is that of the request
	ExpireDate  string
}

// Format writes a placeholder, for every verb.
func (*consoleLinkResponse) Format(s fmt.State, _ rune) { io.WriteString(s, "[console link]") }

// consolePrefix is the path of the console.
const consolePrefix = console.Prefix

// A localConsole is the console of a local service. It makes links to it.
type localConsole struct {
	console *console.Console
	about   console.About
	hosts   []string // the names of the service
}

// open is openConsole, and remembers the console.
func (d *localConsole) open(p app.SiteParts) (handler http.Handler, err error) {
	d.console, err = openConsole(p, d.about)
	return onlyFor(d.hosts, d.console), err
}

// actions is CreateConsoleLink alone.
func (d *localConsole) actions() []rpc.Action {
	return []rpc.Action{rpc.NewAction(linkAction, d.link)}
}

// link makes a link for the key that signed the request. It needs no permission: a page of the
// console shows and does what the key may.
func (d *localConsole) link(_ *chat.Service, ctx context.Context, _ *consoleLinkRequest) (*consoleLinkResponse, error) {
	caller := chat.CallerFrom(ctx)
	if d.console == nil {
		return nil, &fault.Error{Code: fault.Unavailable, Err: errors.New("chatconf: the console is not open")}
	}
	if caller.Confirm != nil {
		if err := caller.Confirm(ctx); err != nil { // a replay of the request gets no second link
			return nil, err
		}
	}
	link, err := d.console.NewLink(ctx, caller.AccessKeyID)
	if err != nil {
		return nil, err
	}
	return &consoleLinkResponse{ConsolePath: link.Path.Reveal(),
		ExpireDate: link.Expires.UTC().Format(time.RFC3339)}, nil
}

// introduce prints where the console is. At the first start a person at a terminal gets a link that
// signs in. Elsewhere the output may be kept in a log, so it gets the command that makes one.
func (d *localConsole) introduce(ctx context.Context, w io.Writer, s app.Started, openCommand string) {
	switch {
	case d == nil || d.console == nil:
		return
	case s.First && s.AccessKeyID != "" && isTerminal(w):
		if link, err := d.console.NewLink(ctx, s.AccessKeyID); err == nil {
			fmt.Fprintf(w, "  console          %s%s\n", s.Endpoint, link.Path.Reveal())
			fmt.Fprintf(w, "                   (works once, for 5 minutes; for another one: %s)\n", openCommand)
			return
		}
	}
	fmt.Fprintf(w, "  console          %s%s/ (to sign in: %s)\n", s.Endpoint, consolePrefix, openCommand)
}
