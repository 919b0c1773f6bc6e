package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/table"
)

var quiet = slog.New(slog.NewJSONHandler(io.Discard, nil))

func TestWhoMayCall(t *testing.T) {
	for name, test := range map[string]struct {
		key    sign.Key
		change func(*http.Request)
		action string
		status int
		code   string
	}{
		"the administrator":  {key: admin, status: 200},
		"a reader who reads": {key: reader, status: 200},
		"a reader who writes": {key: reader, action: "DeleteChatConfiguration",
			status: 403, code: "NoPermission"},
		"an unknown key": {key: sign.Key{ID: "CCKnobody", Secret: "x"}, status: 404,
			code: "InvalidAccessKeyId.NotFound"},
		"an unknown key of hostile name": {key: sign.Key{ID: "k#/%00'\"<>", Secret: "x"}, status: 404,
			code: "InvalidAccessKeyId.NotFound"},
		"a disabled key": {key: off, status: 400, code: "InvalidAccessKeyId.Inactive"},
		"a disabled key with a wrong secret": {key: sign.Key{ID: off.ID, Secret: "x"},
			status: 400, code: "SignatureDoesNotMatch"},
		"a wrong secret": {key: sign.Key{ID: admin.ID, Secret: reader.Secret},
			status: 400, code: "SignatureDoesNotMatch"},
		"a security token": {key: sign.Key{ID: admin.ID, Secret: admin.Secret,
			SecurityToken: planted + "-token"}, status: 400, code: "InvalidSecurityToken.Malformed"},
		"another host than was signed": {key: admin,
			change: func(r *http.Request) { r.Host = "evil.example.com" }, status: 400, code: "SignatureDoesNotMatch"},
	} {
		for _, v1 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s v1=%v", name, v1), func(t *testing.T) {
				w := newWorld(t, nil)
				w.wantOK(w.do(create("ops")))
				r := get("ops")
				r.key, r.v1, r.change = test.key, v1, test.change
				if test.action != "" {
					r.action = test.action
				}
				a := w.do(r)
				if v1 && test.change != nil {
					w.wantOK(a) // V1 does not sign the host
					return
				}
				w.want(a, test.status, test.code)
				proven := a.status == 200 || a.Code == "NoPermission"
				if got := strings.Contains(a.log, test.key.ID); got != proven && !strings.Contains(test.key.ID, "#") {
					t.Errorf("the log names the caller: %v, want %v: %s", got, proven, a.log)
				}
			})
		}
	}
}

func TestHostsBesidesTheRequestsOwn(t *testing.T) {
	w := newWorld(t, func(o *rpc.Options) { o.Hosts = []string{"api.example.com", "api.example.com:8443"} })
	for host, code := range map[string]string{"api.example.com": "", "api.example.com:8443": "",
		"other.example.com": "SignatureDoesNotMatch"} {
		req := w.build(request{action: "ListChatConfigurations", change: func(r *http.Request) { r.Host = host }})
		if err := admin.SignACS3(req, nil, w.clock.Now(), w.nonce()); err != nil {
			t.Fatal(err)
		}
		req.Host = "10.0.0.1:9000" // what the proxy makes of it
		if a := w.serve(w.handler, req); a.Code != code {
			t.Errorf("signed for %s: %v, want %q", host, a, code)
		}
	}
}

// A request counts from 15 minutes before its time to 15 minutes after it, and not a moment longer.
func TestSkew(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct {
		at   time.Duration
		code string
	}{
		{0, ""},
		{sign.MaxSkew, ""},
		{-sign.MaxSkew, ""},
		{sign.MaxSkew + time.Second, "InvalidTimeStamp.Expired"},
		{-sign.MaxSkew - time.Second, "InvalidTimeStamp.Expired"},
		{24 * 365 * time.Hour, "InvalidTimeStamp.Expired"},
	} {
		for _, v1 := range []bool{false, true} {
			r := request{action: "ListChatConfigurations", v1: v1, at: w.clock.Now().Add(test.at)}
			if a := w.do(r); a.Code != test.code {
				t.Errorf("%v from now, v1=%v: %v, want %q", test.at, v1, a, test.code)
			}
		}
	}
	w.clock.Add(time.Millisecond)
	// in whole seconds on the wire: a bit more
	r := request{action: "ListChatConfigurations", at: w.clock.Now().Add(-sign.MaxSkew)}
	w.want(w.do(r), 400, "InvalidTimeStamp.Expired")
}

func TestReplayedReads(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	r := get("ops")
	r.nonce = "once"
	w.wantOK(w.do(r))
	w.want(w.do(r), 400, "SignatureNonceUsed")
	r.v1 = true
	w.want(w.do(r), 400, "SignatureNonceUsed")
	r.query = url.Values{"Name": {"other"}}
	w.want(w.do(r), 400, "SignatureNonceUsed")
	r.key = reader
	w.want(w.do(r), 404, "EntityNotExists.ChatConfiguration")

	// A nonce that was not proven to be its owner's is not spent.
	forged := get("ops")
	forged.nonce, forged.key = "mine", sign.Key{ID: admin.ID, Secret: "x"}
	w.want(w.do(forged), 400, "SignatureDoesNotMatch")
	forged.key = admin
	w.wantOK(w.do(forged))
}

// The nonce of a change counts once everywhere: here, and in another process that knows nothing but
// the ticket table.
func TestReplayedWrites(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		w := newWorld(t, nil)
		r := create("ops")
		r.nonce, r.v1 = "once", v1
		w.wantOK(w.do(r))
		w.want(w.do(r), 400, "SignatureNonceUsed")
		w.want(w.serve(w.newHandler(), w.build(r)), 400, "SignatureNonceUsed")
		w.wantOK(w.do(del("ops")))
		w.want(w.serve(w.newHandler(), w.build(r)), 400, "SignatureNonceUsed")
		if w.exists("ops") {
			t.Error("a replayed create made the configuration anew")
		}
		other := get("ops") // in memory only: the ticket table knows it from the create
		other.nonce = "once"
		w.want(w.do(other), 400, "SignatureNonceUsed")

		other = r
		other.key = sign.Key{ID: reader.ID, Secret: reader.Secret}
		w.want(w.do(other), 403, "NoPermission") // another key's nonce
	}
}

// A replay is told so whatever the original was answered: it must learn nothing new.
func TestReplayedWritesThatFail(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("there")))
	for name, r := range map[string]request{
		"EntityNotExists.ChatConfiguration":     del("missing"),
		"EntityAlreadyExists.ChatConfiguration": create("there"),
		"MissingParameter.Name":                 {action: "UpdateChatConfiguration"},
		"InvalidParameter.Revision": {action: "UpdateChatConfiguration",
			form: url.Values{"Name": {"there"}, "Revision": {"x"}}},
		"OperationConflict": {action: "UpdateChatConfiguration",
			form: url.Values{"Name": {"there"}, "Revision": {"7"}}},
		"NoPermission": {action: "DeleteChatConfiguration",
			form: url.Values{"Name": {"there"}}, key: reader},
	} {
		r.nonce = w.nonce()
		if a := w.do(r); a.Code != name {
			t.Errorf("first: %v, want %s", a, name)
		}
		w.want(w.do(r), 400, "SignatureNonceUsed")
		w.want(w.serve(w.newHandler(), w.build(r)), 400, "SignatureNonceUsed")
	}
}

// A nonce is remembered for as long as its request could be sent again: from the earliest moment at
// which it counts to the last.
func TestNoncesAreRememberedLongEnough(t *testing.T) {
	w := newWorld(t, nil)
	read, write := get("missing"), create("ops")
	for _, r := range []*request{&read, &write} {
		r.nonce, r.at = w.nonce(), w.clock.Now().Add(sign.MaxSkew)
	}
	w.want(w.do(read), 404, "EntityNotExists.ChatConfiguration")
	w.wantOK(w.do(write))
	w.clock.Add(2 * sign.MaxSkew) // the last moment
	w.want(w.do(read), 400, "SignatureNonceUsed")
	w.want(w.do(write), 400, "SignatureNonceUsed")
	w.want(w.serve(w.newHandler(), w.build(write)), 400, "SignatureNonceUsed")
	w.clock.Add(time.Second)
	w.want(w.serve(w.newHandler(), w.build(write)), 400, "InvalidTimeStamp.Expired")
}

// A ticketTable is a ticket table whose writes may fail or wait.
type ticketTable struct {
	table.Table
	write func(ctx context.Context, do func() error) error // in place of do, the real one
}

func (t *ticketTable) Write(ctx context.Context, partition string, c table.Change) error {
	return t.write(ctx, func() error { return t.Table.Write(ctx, partition, c) })
}

// Without the ticket table nobody can tell a replay, and nothing is changed.
func TestNothingChangesWithoutTickets(t *testing.T) {
	for name, cause := range map[string]error{
		"unavailable": fmt.Errorf("no route to 192.0.2.9: %w", table.ErrUnavailable),
		"closed":      table.ErrClosed,
		"unknown":     errors.New("something else about 192.0.2.9"),
	} {
		t.Run(name, func(t *testing.T) {
			broken := false
			w := newWorld(t, func(o *rpc.Options) {
				o.Tickets = &ticketTable{o.Tickets, func(_ context.Context, do func() error) error {
					if broken {
						return cause
					}
					return do()
				}}
			})
			w.wantOK(w.do(create("ops")))
			broken = true
			for _, r := range []request{
				create("new"),
				del("ops"),
				{action: "UpdateChatConfiguration", form: url.Values{"Name": {"ops"}, "RamRole": {"new"}}},
				{action: "TagResources", form: url.Values{"ResourceType": {"chatconfiguration"},
					"ResourceIds": {`["ops"]`}, "Tags": {`{"a":"b"}`}}},
				{action: "ChangeResourceGroup", form: url.Values{"ResourceType": {"chatconfiguration"},
					"ResourceId": {"ops"}, "NewResourceGroupId": {"rg-new"}}},
				del("missing"),
			} {
				a := w.do(r)
				w.want(a, 503, "ServiceUnavailable")
				if strings.Contains(a.body, "192.0.2.9") || !strings.Contains(a.log, cause.Error()) {
					t.Errorf("%s: the caller is told the cause, or the log is not: %v\n%s", r.action, a, a.log)
				}
			}
			a := w.do(get("ops")) // a read needs no ticket
			w.wantOK(a)
			if w.exists("new") || !strings.Contains(a.body, `"Revision":1`) {
				t.Errorf("something was changed: %v", a)
			}
		})
	}
}

// The nonce is spent even where the caller does not wait for it, and a change that was made is not
// denied.
func TestCallerWhoGoesAway(t *testing.T) {
	entered, release, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := true
	w := newWorld(t, func(o *rpc.Options) {
		o.Tickets = &ticketTable{o.Tickets, func(_ context.Context, do func() error) error {
			if !first {
				return do()
			}
			first = false
			close(entered)
			<-release
			err := do()
			written <- err
			return err
		}}
	})
	r := create("ops")
	r.nonce = "once"
	ctx, cancel := context.WithCancel(t.Context())
	req := w.build(r).WithContext(ctx)
	done := make(chan answer)
	go func() { done <- w.serve(w.handler, req) }()
	<-entered
	cancel()
	w.want(<-done, 503, "ServiceUnavailable")
	close(release)
	if err := <-written; err != nil {
		t.Errorf("the nonce was not spent: %v", err)
	}
	if w.exists("ops") {
		t.Error("the configuration was made before the nonce was proven new")
	}
	w.want(w.serve(w.newHandler(), w.build(r)), 400, "SignatureNonceUsed")
}

// Of identical requests at the same moment to as many processes exactly one is done.
func TestConcurrentReplays(t *testing.T) {
	const processes = 16
	w := newWorld(t, nil)
	for _, one := range []bool{true, false} {
		name := fmt.Sprintf("ops-%v", one)
		r := create(name)
		r.nonce = "once-" + name
		var handlers []*rpc.Handler
		var requests []*http.Request
		for range processes {
			handlers = append(handlers, w.newHandler())
			if one {
				handlers[len(handlers)-1] = w.handler
			}
			requests = append(requests, w.build(r))
		}
		codes := make([]string, processes)
		var start, end sync.WaitGroup
		start.Add(1)
		for i := range processes {
			end.Go(func() {
				start.Wait()
				codes[i] = w.serve(handlers[i], requests[i]).Code
			})
		}
		start.Done()
		end.Wait()
		count := make(map[string]int)
		for _, code := range codes {
			count[code]++
		}
		if count[""] != 1 || count["SignatureNonceUsed"] != processes-1 {
			t.Errorf("in one process=%v: answers = %v, want one success and else SignatureNonceUsed", one, count)
		}
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t, func(o *rpc.Options) { o.Rate = 2.5 })
	list := request{action: "ListChatConfigurations"}
	w.wantOK(w.do(list))
	w.wantOK(w.do(list))
	a := w.do(list)
	w.want(a, 429, "Throttling.User")
	for name, want := range map[string]string{"Retry-After": "1", "X-Acs-Retry-After": "1000",
		"X-Ratelimit-User": "Limit:3,Remain:0,TimeLeft:1"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	list.key = reader
	w.wantOK(w.do(list)) // another key has a bucket of its own
	list.key = sign.Key{ID: admin.ID, Secret: "x"}
	w.want(w.do(list), 400, "SignatureDoesNotMatch") // who is not proven takes nothing from the owner
	list.key = admin
	w.clock.Add(time.Second)
	w.wantOK(w.do(list))

	// A throttled request changed nothing, and its nonce is spent. A replay takes nothing from the
	// owner.
	list.nonce = "twice"
	w.wantOK(w.do(list))
	r := create("ops")
	r.nonce = "once"
	w.want(w.do(r), 429, "Throttling.User")
	if w.clock.Add(time.Second); w.exists("ops") {
		t.Error("a throttled request was served")
	}
	for range 10 {
		w.want(w.do(list), 400, "SignatureNonceUsed")
		w.want(w.do(r), 400, "SignatureNonceUsed")
	}
	r.nonce = ""
	w.wantOK(w.do(r))
	list.nonce = ""

	w = newWorld(t, nil)
	for range 1000 {
		if a := w.do(list); a.status != 200 {
			t.Fatalf("without a rate: %v", a)
		}
	}
	for _, name := range []string{"Retry-After", "X-Acs-Retry-After", "X-Ratelimit-User"} {
		if got := w.do(list).header.Get(name); got != "" {
			t.Errorf("%s of a request that is not throttled = %q", name, got)
		}
	}
}

func TestThrottleRefills(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	take := func(th *rpc.Throttle, key string, ok bool, seconds int) {
		t.Helper()
		if gotSeconds, got := th.Take(now, key); got != ok || gotSeconds != seconds {
			t.Errorf("Take(%q) = %d, %v, want %d, %v", key, gotSeconds, got, seconds, ok)
		}
	}
	slow := rpc.NewThrottle(0.1) // one request in ten seconds
	take(slow, "a", true, 0)
	take(slow, "a", false, 10)
	now = now.Add(9 * time.Second)
	take(slow, "a", false, 1)
	now = now.Add(time.Second)
	take(slow, "a", true, 0)
	now = now.Add(time.Hour) // no more than one is saved
	take(slow, "a", true, 0)
	take(slow, "a", false, 10)
	now = now.Add(-time.Minute) // the clock goes back: nothing is given, nothing is taken
	take(slow, "a", false, 10)
	take(slow, "b", true, 0)
}

// Memory is bounded: buckets that are full again go first.
func TestThrottleIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := rpc.NewThrottle(1)
	for i := range rpc.MaxBuckets {
		th.Take(now, fmt.Sprint("old", i))
	}
	now = now.Add(time.Second)
	th.Take(now, "old0") // not full
	th.Take(now, "new")
	if got, want := th.Buckets(), 2; got != want {
		t.Errorf("%d buckets, want %d", got, want)
	}
	if _, ok := th.Take(now, "old0"); ok {
		t.Error("a bucket that was not full was forgotten")
	}
	for i := range 3 * rpc.MaxBuckets { // none is ever full
		th.Take(now, fmt.Sprint("busy", i))
	}
	if got := th.Buckets(); got > rpc.MaxBuckets {
		t.Errorf("%d buckets, want at most %d", got, rpc.MaxBuckets)
	}
}

// Nonces are forgotten by age in two generations, so that none goes before its time and none stays
// for ever.
func TestNonceGenerations(t *testing.T) {
	var n rpc.Nonces
	now := time.Unix(1_800_000_000, 0)
	use := func(nonce string, want bool) {
		t.Helper()
		if got := n.Use(now, "key", nonce); got != want {
			t.Errorf("Use(%q) = %v, want %v", nonce, got, want)
		}
	}
	use("first", true)
	now = now.Add(rpc.NonceAge - 1)
	use("late", true)
	use("first", false)
	now = now.Add(1) // a new generation; both are in the old one
	use("first", false)
	now = now.Add(rpc.NonceAge - 1)
	use("late", false)
	use("first", false)
	now = now.Add(1) // and the old one goes
	use("first", true)
	use("late", true)
	if n.Use(now, "key\x00first", "") && !n.Use(now, "key", "other") {
		t.Error("two keys share a nonce")
	}
	if got, want := n.Kept(), 4; got != want {
		t.Errorf("%d nonces are kept, want %d", got, want)
	}
}

func TestNoncesAreBounded(t *testing.T) {
	var n rpc.Nonces
	now := time.Unix(1_800_000_000, 0)
	var first, last string
	for i := range 2*rpc.NoncesKept + 1 {
		last = fmt.Sprint(i)
		if i == rpc.NoncesKept {
			first = last
		}
		n.Use(now, "key", last)
	}
	if got := n.Kept(); got > 2*rpc.NoncesKept {
		t.Errorf("%d nonces are kept, want at most %d", got, 2*rpc.NoncesKept)
	}
	for _, nonce := range []string{first, last} {
		if n.Use(now, "key", nonce) {
			t.Errorf("nonce %s of the last two generations was forgotten", nonce)
		}
	}
	if !n.Use(now, "key", "0") {
		t.Error("the oldest generation was not dropped")
	}
}

// A panic of the ticket table's fails the request that it happened in, and the log has the stack.
func TestAPanicWhileATicketIsWritten(t *testing.T) {
	w := newWorld(t, func(o *rpc.Options) { o.Tickets = &panicking{Table: o.Tickets} })
	a := w.do(create("one"))
	w.want(a, http.StatusServiceUnavailable, "ServiceUnavailable")
	if strings.Contains(a.body, "planted") || !strings.Contains(a.log, "rpc: panic: planted") ||
		!strings.Contains(a.log, "auth_test.go") {
		t.Errorf("answer = %s, log = %s", a.body, a.log)
	}
	w.want(w.do(create("one")), http.StatusOK, "")
}

// A panicking table panics once.
type panicking struct {
	table.Table
	once sync.Once
}

func (p *panicking) Write(ctx context.Context, partition string, c table.Change) error {
	p.once.Do(func() { panic("planted") })
	return p.Table.Write(ctx, partition, c)
}
