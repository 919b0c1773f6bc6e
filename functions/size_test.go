package functions_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// maxSize is what a stripped function may weigh, in bytes: 9 MiB. Size is time when a cold instance reads its program.
const maxSize = 9 << 20

// build builds a program the way `make build` does and returns its path.
func build(t testing.TB, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // not the flags of the test, such as -race
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

func TestAFunctionIsSmall(t *testing.T) {
	for _, pkg := range []string{"./get-chat-configuration", "./api"} {
		info, err := os.Stat(build(t, pkg))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Size(); got > maxSize {
			t.Errorf("%s has %d bytes, want at most %d", pkg, got, maxSize)
		}
	}
}

// BenchmarkStart is the time from exec to the first answer of get-chat-configuration, on data that is there, in multiples of that of a
// bare net/http server. The two take turns; the figures are medians.
func BenchmarkStart(b *testing.B) {
	bare, ours := build(b, "./testdata/bare"), build(b, "./get-chat-configuration")
	data := b.TempDir()
	start(b, ours, data) // which makes the data
	var bares, starts []time.Duration
	for b.Loop() {
		bares = append(bares, start(b, bare, data))
		starts = append(starts, start(b, ours, data))
	}
	x, y := median(bares), median(starts)
	b.ReportMetric(float64(x.Microseconds())/1000, "bare-ms")
	b.ReportMetric(float64(y.Microseconds())/1000, "start-ms")
	b.ReportMetric(y.Seconds()/x.Seconds(), "x-bare")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// start runs a server until its first answer, and returns how long that took.
func start(b *testing.B, path, data string) time.Duration {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(os.Environ(), "CHATCONF_ADDR="+addr, "CHATCONF_DATA="+data)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", nil)
		if err != nil {
			b.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			return time.Since(began)
		} else if ctx.Err() != nil {
			b.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond)
	}
}
