package platformsim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
)

// gatewayClients are the least programs that gateways serve, by platform.
var gatewayClients = map[string]gatewayClient{"DingTalk": dingtalkClient, "Feishu": feishuClient,
	"Slack": slackClient, "WeChat": wecomClient}

// A gatewayClient is how a program uses the gateway of a platform.
type gatewayClient struct {
	settings    callback.Settings
	app, secret string // for GatewayOptions.Secret
	mode        string // in which messages come again
	once        bool   // there is one connection at a time, and one delivery of a message
	// open opens a connection and reads what comes first.
	open func(t *testing.T, g *gateway) *program
	// next reads the next message, and answers by itself what belongs to the protocol alone. It
	// returns "" for a notice.
	next func(p *program) (delivered, error)
}

// A delivered is a message as a program receives it.
type delivered struct {
	id, text string
	// acknowledge says that the message was recorded, or asks for another delivery.
	acknowledge func(again bool)
}

// A gateway is one under test, on this machine.
type gateway struct {
	platformsim.Gateway
	gatewayClient
	*httptest.Server
	ahead atomic.Int64   // by which the gateway's clock is ahead
	over  chan time.Time // ends a wait for an acknowledgement
}

// startGateway starts the gateway of a platform. It knows one app.
func startGateway(t *testing.T, platform string) *gateway {
	t.Helper()
	g := &gateway{gatewayClient: gatewayClients[platform], over: make(chan time.Time)}
	var err error
	g.Gateway, err = platformsim.NewGateway(platform, platformsim.GatewayOptions{
		Secret: func(app string) secret.Text {
			if app != g.app {
				return ""
			}
			return secret.Text(g.secret)
		},
		Now:   func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) },
		After: func(time.Duration) <-chan time.Time { return g.over },
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Server = httptest.NewTLSServer(g.Gateway)
	t.Cleanup(g.Server.Close)
	t.Cleanup(g.Gateway.Close)
	return g
}

// call calls the gateway under its address on this machine, and decodes the answer.
func (g *gateway) call(t *testing.T, method, path, body string, answer any, headers ...string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := g.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		t.Fatalf("%s %s: %q: %v", method, path, text, err)
	}
	return response.StatusCode
}

// under returns the path of an address that the gateway gave, which must be of its own host.
func (g *gateway) under(t *testing.T, address string) string {
	t.Helper()
	path, ok := strings.CutPrefix(address, g.URL)
	if !ok {
		t.Fatalf("the address %s is not under %s", address, g.URL)
	}
	return path
}

// A program is a connection to a gateway.
type program struct {
	t       *testing.T
	conn    *websocket.Conn
	early   []*platformsim.FeishuFrame // that came before a pong of Feishu
	waiting []wecomFrame               // that came before an answer of WeCom
}

// dial connects to an address that the gateway gave.
func (g *gateway) dial(t *testing.T, address string) (*program, error) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPClient: g.Client()})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &program{t: t, conn: conn}, nil
}

// read reads a frame of JSON.
func (p *program) read(to any) error {
	_, message, err := p.conn.Read(p.t.Context())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(message, to); err != nil {
		p.t.Errorf("%s: %v", message, err)
	}
	return nil
}

// write writes a frame of JSON.
func (p *program) write(frame any) {
	p.t.Helper()
	message, err := json.Marshal(frame)
	if err == nil {
		err = p.conn.Write(p.t.Context(), websocket.MessageText, message)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// A pushResult is what Push returns.
type pushResult struct {
	platformsim.Pushed
	err error
}

// push pushes a message in the background.
func (g *gateway) push(ctx context.Context, m platformsim.Message) <-chan pushResult {
	if m.Mode == "" {
		m.Mode = g.mode
	}
	done := make(chan pushResult, 1)
	go func() {
		pushed, err := g.Push(ctx, g.settings, m)
		done <- pushResult{pushed, err}
	}()
	return done
}

// mustNext reads the next message.
func (g *gateway) mustNext(t *testing.T, p *program) delivered {
	t.Helper()
	d, err := g.next(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// everyGateway runs a test on each gateway.
func everyGateway(t *testing.T, test func(t *testing.T, g *gateway)) {
	for platform := range gatewayClients {
		t.Run(platform, func(t *testing.T) { test(t, startGateway(t, platform)) })
	}
}

func TestNewGatewaySaysWhichThereAre(t *testing.T) {
	if _, err := platformsim.NewGateway("Teams", platformsim.GatewayOptions{}); err == nil ||
		!strings.Contains(err.Error(), "Teams") || !strings.Contains(err.Error(), "DingTalk") {
		t.Errorf("%v", err)
	}
	for platform := range gatewayClients {
		if _, err := platformsim.NewGateway(platform, platformsim.GatewayOptions{}); err != nil {
			t.Errorf("%s: %v", platform, err)
		}
	}
}

func TestGatewayPushesAMessage(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "restart i-123"})
		d := g.mustNext(t, p)
		if !strings.Contains(d.text, "restart i-123") || d.id != "m1" {
			t.Errorf("delivered: %+v", d)
		}
		d.acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 1 || got.Again {
			t.Errorf("pushed: %+v", got)
		}
		if n := g.Connections(g.settings); n != 1 {
			t.Errorf("%d connections", n)
		}
		if n := g.Connections(callback.Settings{}); n != 0 {
			t.Errorf("%d connections of no app", n)
		}
	})
}

func TestGatewayDeliversAgainWithoutAcknowledgement(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		first := g.mustNext(t, p)
		g.over <- time.Time{}
		if g.once {
			if got := <-done; got.err != nil || got.Deliveries != 1 || got.Answer != "" {
				t.Errorf("pushed: %+v", got)
			}
			return
		}
		second := g.mustNext(t, p)
		if first.id != second.id || first.text != second.text {
			t.Errorf("delivered: %+v, then %+v", first, second)
		}
		second.acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 2 {
			t.Errorf("pushed: %+v", got)
		}
		// the platform gives up at some time
		done = g.push(t.Context(), platformsim.Message{User: "ann", Text: "help"})
		for n := 1; ; n++ {
			select {
			case g.over <- time.Time{}:
				continue
			case got := <-done:
				if got.err == nil || got.Deliveries != n-1 || n < 3 {
					t.Errorf("pushed: %+v", got)
				}
			}
			break
		}
	})
}

func TestGatewayWaitsForAConnection(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		p := g.open(t, g)
		g.mustNext(t, p).acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 1 {
			t.Errorf("pushed: %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		other := startGateway(t, "DingTalk")
		done = other.push(ctx, platformsim.Message{User: "ann", Text: "help"})
		cancel()
		if got := <-done; got.err == nil {
			t.Error("a message was pushed without a connection")
		}
	})
}

// When a connection breaks before the acknowledgement, the message comes over the next one.
func TestGatewayCut(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		g.mustNext(t, p)
		if err := g.Disturb(g.settings, platformsim.Cut); err != nil {
			t.Fatal(err)
		}
		if d, err := g.next(p); err == nil {
			t.Errorf("a broken connection delivers %+v", d)
		}
		if g.once {
			if got := <-done; got.err == nil {
				t.Errorf("pushed: %+v", got)
			}
			return
		}
		g.mustNext(t, g.open(t, g)).acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 2 {
			t.Errorf("pushed: %+v", got)
		}
	})
}

// A frozen connection takes messages and delivers none.
func TestGatewayFreeze(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		if err := g.Disturb(g.settings, platformsim.Freeze); err != nil {
			t.Fatal(err)
		}
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		g.over <- time.Time{} // it was delivered, into nowhere
		if err := p.conn.CloseNow(); err != nil {
			t.Fatal(err)
		}
		if g.once {
			if got := <-done; got.err != nil || got.Answer != "" {
				t.Errorf("pushed: %+v", got)
			}
			p = g.open(t, g)
			done = g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
			g.mustNext(t, p).acknowledge(false)
			<-done
			return
		}
		g.mustNext(t, g.open(t, g)).acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries < 2 {
			t.Errorf("pushed: %+v", got)
		}
	})
}

// Nothing comes over the present connections, which answer pings all the time.
func TestGatewaySilence(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		if err := g.Disturb(g.settings, platformsim.Silence); err != nil {
			t.Fatal(err)
		}
		heard := make(chan delivered, 1)
		go func() {
			d, _ := g.next(p)
			heard <- d
		}()
		if err := p.conn.Ping(t.Context()); err != nil {
			t.Errorf("a ping: %v", err)
		}
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		g.mustNext(t, g.open(t, g)).acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 1 {
			t.Errorf("pushed: %+v", got)
		}
		select {
		case d := <-heard:
			if g.once && d.text == "" {
				return // the notice that there is another
			}
			t.Errorf("the silent connection has ended, or delivers %+v", d)
		default:
		}
	})
}

// After the platform's notice the next message comes over another connection.
func TestGatewayNotice(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		p := g.open(t, g)
		if err := g.Disturb(g.settings, platformsim.Notice); err != nil {
			t.Fatal(err)
		}
		if d := g.mustNext(t, p); d.text != "" {
			t.Errorf("delivered: %+v, want a notice", d)
		}
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
		g.mustNext(t, g.open(t, g)).acknowledge(false)
		if got := <-done; got.err != nil || got.Deliveries != 1 {
			t.Errorf("pushed: %+v", got)
		}
	})
}

func TestDisturbSaysWhatIsWrong(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		if err := g.Disturb(g.settings, platformsim.Cut); err == nil {
			t.Error("no connection: no error")
		}
		g.open(t, g)
		if err := g.Disturb(g.settings, "storm"); err == nil || !strings.Contains(err.Error(), `"storm"; use cut,`) {
			t.Errorf("an unknown disturbance: %v", err)
		}
	})
}

// A program may read nothing that it did not ask for under another host.
func TestGatewayServesItsHostsOnly(t *testing.T) {
	everyGateway(t, func(t *testing.T, g *gateway) {
		if len(g.Hosts()) == 0 {
			t.Error("it has no hosts")
		}
		if status := g.call(t, "GET", "/nowhere", "", nil); status != http.StatusNotFound {
			t.Errorf("status %d", status)
		}
	})
}
