package platformsim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// A Gateway stands in for a platform's servers towards programs that open connections: the calls
// before a connection, the connections, and the calls by which answers are sent. It is the handler
// of all its hosts. Under another host, such as 127.0.0.1, it serves them all, and the addresses
// that it gives have that host. It keeps everything in memory and is safe for concurrent use.
type Gateway interface {
	http.Handler
	// Hosts are the platform's hosts that it serves.
	Hosts() []string
	// Push delivers a message to a connection of the app of the settings, as the platform would,
	// and waits for the acknowledgement. It waits for a connection if there is none. If none of the
	// platform's deliveries is acknowledged, it fails. WeCom has no acknowledgement, so there it
	// waits a while for the answer. Slack delivers only events more than once.
	Push(ctx context.Context, s callback.Settings, m Message) (Pushed, error)
	// MessageID returns the id that chatconf's receivers read from a message with an ID; empty if
	// that is not known.
	MessageID(m Message) string
	// Connections returns how many connections the app of the settings has.
	Connections(s callback.Settings) int
	// Disturb disturbs the connections of the app of the settings. It fails if there are none.
	Disturb(s callback.Settings, how Disturbance) error
	// Sent returns the answers that the app of the settings has sent later, by a call or over its
	// connection, in their order.
	Sent(s callback.Settings) []string
	// Close breaks all connections. The gateway can still be used.
	Close()
}

// GatewayOptions are what a Gateway needs.
type GatewayOptions struct {
	// Secret returns the secret of an app, by its id in the platform's terms; empty if the app is
	// unknown. Nil accepts every secret.
	Secret func(app string) secret.Text
	Now    func() time.Time // default time.Now
	// After returns a channel that receives when the platform has waited so long for an
	// acknowledgement. The default is time.After.
	After func(time.Duration) <-chan time.Time
	// Reconnect is how long programs are told to wait before they connect again, in whole seconds,
	// by platforms that tell it. The default is the platform's own.
	Reconnect time.Duration
}

// Pushed is what came of a message.
type Pushed struct {
	Answer     string // that the acknowledgement carries; empty if none
	Again      bool   // the program asked for another delivery, and there are no more
	Deliveries int    // how often the message was delivered
	MessageID  string // of the message, as chatconf's receivers read it; empty if that is not known
}

// A Disturbance is what can happen to connections.
type Disturbance string

// The disturbances.
const (
	Cut     Disturbance = "cut"     // the connections break without a close message
	Freeze  Disturbance = "freeze"  // the other side neither reads nor writes, and the connections stay open
	Silence Disturbance = "silence" // pings are answered, but nothing is delivered to the present connections
	Notice  Disturbance = "notice"  // the platform's own notice that the connection ends
	Split   Disturbance = "split"   // messages come in parts, in their order (only Feishu)
	Shuffle Disturbance = "shuffle" // messages come in parts, out of order (only Feishu)
)

// gateways make the gateways of the platforms that have them, by type.
var gateways = map[string]func(GatewayOptions) Gateway{"DingTalk": newDingtalkGateway, "Feishu": newFeishuGateway,
	"Slack": newSlackGateway, "WeChat": newWecomGateway}

// NewGateway returns the gateway of a platform.
func NewGateway(platform string, o GatewayOptions) (Gateway, error) {
	open, ok := gateways[platform]
	if !ok {
		return nil, fmt.Errorf("platformsim: %s has no gateway for connections; use %s", platform,
			listed(gateways))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	return open(o), nil
}

// listed lists the keys of a map, for people.
func listed[K ~string, V any](m map[K]V) string {
	var keys []string
	for key := range m {
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}
