package functions_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// maxSize is what a stripped function may weigh, in bytes: 9.75 MiB. Size is time when a cold
// instance reads its program.
const maxSize = 39 << 18

// targets are what functions are built for, each with the tags and the machine that make has for
// it.
var targets = []struct{ name, tags, arch string }{
	{"local", "", runtime.GOARCH},
	{"fc", "fc,nethttpomithttp2", "amd64"},
	{"lambda", "lambda,lambda.norpc,nethttpomithttp2", "arm64"},
}

// build builds programs for this machine the way `make build` does and returns the path of the
// last.
func build(t testing.TB, pkgs ...string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, nil, append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir +
		string(filepath.Separator)}, pkgs...)...)
	return filepath.Join(dir, filepath.Base(pkgs[len(pkgs)-1]))
}

// run runs the go command and returns what it prints.
func run(t testing.TB, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	// not the flags of the test, such as -race
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// Every function, for every target, is small.
func TestAFunctionIsSmall(t *testing.T) {
	for _, target := range targets {
		dir := t.TempDir()
		run(t, []string{"GOOS=linux", "GOARCH=" + target.arch},
			"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", target.tags, "-o", dir+
				string(filepath.Separator), "./...")
		for _, f := range functions(t) {
			info, err := os.Stat(filepath.Join(dir, f.folder))
			if err != nil {
				t.Error(err)
				continue
			}
			t.Logf("%s for %s: %d bytes", f.folder, target.name, info.Size())
			if got := info.Size(); got > maxSize {
				t.Errorf("%s for %s has %d bytes, want at most %d", f.folder, target.name, got, maxSize)
			}
		}
	}
}

// BenchmarkStart is the time from exec to the first answer of get-chat-configuration, on data that
// is there, in multiples of that of a bare net/http server. The two take turns; the figures are
// medians.
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
