// Command serve runs the gateway of a platform on this machine, for black-box tests. It does what
// each line of its input says, a JSON object, and answers with a line. It ends with its input.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
)

// pushTime is how long a push may take, with the time until the program has connected.
const pushTime = time.Minute

// An order is a line of input. The first one opens a gateway.
type order struct {
	Do string // open, push, disturb, sent or connections

	// Of open: the platform, the server's certificate and key as PEM, and the secrets of its apps.
	Platform         string
	Certificate, Key secret.Text
	Secrets          map[string]secret.Text

	// Of the others: the settings of the app.
	Settings callback.Settings
	Message  platformsim.Message
	Limit    int // milliseconds that the platform waits for an acknowledgement; 0 is its own limit
	How      platformsim.Disturbance
}

// A report is a line of output.
type report struct {
	Address     string `json:",omitempty"`
	Pushed      platformsim.Pushed
	Sent        []string `json:",omitempty"`
	Connections int      `json:",omitempty"`
	Error       string   `json:",omitempty"`
}

func main() {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	var g gateway
	for in.Scan() {
		var o order
		var r report
		err := json.Unmarshal(in.Bytes(), &o)
		if err == nil {
			r, err = g.do(o)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			log.Fatal(err)
		}
	}
}

// A gateway is the one that is open.
type gateway struct {
	platformsim.Gateway
	limit int
}

// do does what an order says.
func (g *gateway) do(o order) (r report, err error) {
	if g.Gateway == nil && o.Do != "open" {
		return r, fmt.Errorf("no gateway is open; begin with open")
	}
	switch o.Do {
	case "open":
		r.Address, err = g.open(o)
	case "push":
		ctx, cancel := context.WithTimeout(context.Background(), pushTime)
		defer cancel()
		g.limit = o.Limit
		r.Pushed, err = g.Push(ctx, o.Settings, o.Message)
	case "disturb":
		err = g.Disturb(o.Settings, o.How)
	case "sent":
		r.Sent = g.Sent(o.Settings)
	case "connections":
		r.Connections = g.Connections(o.Settings)
	default:
		err = fmt.Errorf("unknown order %q; use open, push, disturb, sent or connections", o.Do)
	}
	return r, err
}

// open opens a gateway and returns its address.
func (g *gateway) open(o order) (string, error) {
	var err error
	g.Gateway, err = platformsim.NewGateway(o.Platform, platformsim.GatewayOptions{
		Secret:    func(app string) secret.Text { return o.Secrets[app] },
		Reconnect: time.Second, // a platform's own would take minutes
		After: func(d time.Duration) <-chan time.Time {
			if g.limit > 0 {
				d = time.Duration(g.limit) * time.Millisecond
			}
			return time.After(d)
		},
	})
	if err != nil {
		return "", err
	}
	certificate, err := tls.X509KeyPair([]byte(o.Certificate.Reveal()), []byte(o.Key.Reveal()))
	if err != nil {
		return "", err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return "", err
	}
	go func() { log.Fatal(http.Serve(listener, g)) }()
	return listener.Addr().(*net.TCPAddr).String(), nil
}
