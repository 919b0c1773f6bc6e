package streamtest

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
)

// A proxy is an HTTP proxy that tunnels to addresses, by the host and port that a client asks for.
type proxy struct {
	addresses map[string]string

	mu    sync.Mutex
	hosts []string
}

// connected returns the hosts and ports that clients asked for.
func (p *proxy) connected() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hosts)
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, ok := p.addresses[r.Host]
	if !ok || r.Method != http.MethodConnect {
		http.Error(w, "unknown host", http.StatusBadGateway)
		return
	}
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	up, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, "no connection", http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if _, err := io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		defer up.Close()
		_, _ = io.Copy(up, buffered)
	}()
	_, _ = io.Copy(down, up)
}
