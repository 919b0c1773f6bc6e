package app_test

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"chatconf/shared/app"
)

func TestReachable(t *testing.T) {
	for addr, want := range map[string]struct {
		host     string
		loopback bool
	}{
		"127.0.0.1:9000":     {"127.0.0.1", true},
		"127.1.2.3:9000":     {"127.1.2.3", true},
		"[::1]:9000":         {"::1", true},
		"0.0.0.0:9000":       {"127.0.0.1", false},
		"[::]:9000":          {"127.0.0.1", false},
		"192.0.2.7:9000":     {"192.0.2.7", false},
		"[2001:db8::1]:9000": {"2001:db8::1", false},
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if host, port, loopback := app.Reachable(tcp); host != want.host ||
			port != "9000" || loopback != want.loopback {
			t.Errorf("%s: %s, %s, %v, want %+v", addr, host, port, loopback, want)
		}
	}
}

// An address that others reach without TLS is warned of, one of this machine is not, and what is
// wrong with a certificate takes no address.
func TestListen(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	l, endpoint, cert, err := app.Listen("127.0.0.1:0", "", "", logger)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if want := "http://" + l.Addr().String(); endpoint != want || cert != nil || log.Len() > 0 {
		t.Errorf("%s, %v, log %q, want %s", endpoint, cert, &log, want)
	}
	app.WarnOpen(logger, &net.TCPAddr{IP: net.IPv4zero, Port: 9000})
	for _, want := range []string{"level=WARN", "other machines can reach the service",
		"0.0.0.0:9000", "--tls-cert and --tls-key"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the warning lacks %q: %s", want, &log)
		}
	}
	if _, _, _, err := app.Listen(l.Addr().String(), "none.pem", "none.pem", logger); err == nil ||
		!strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a certificate that is not there: %v", err)
	}
	if _, _, _, err := app.Listen(l.Addr().String(), "", "", logger); err == nil {
		t.Error("an address that is taken: no error")
	}
}
