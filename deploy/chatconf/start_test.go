package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// BenchmarkServeStart is the time from exec until serve says where it listens, over an empty file
// and over one whose journal has 100,000 records of 600 bytes, in multiples of the first.
func BenchmarkServeStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "chatconf")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program,
		".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	empty, full := filepath.Join(b.TempDir(), "data"), filepath.Join(b.TempDir(), "data")
	startServe(b, program, empty)
	startServe(b, program, full)
	fillJournal(b, full, 100_000)
	var took [2][]time.Duration
	for b.Loop() {
		for i, data := range []string{empty, full} {
			took[i] = append(took[i], startServe(b, program, data))
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = float64(took[i][len(took[i])/2].Microseconds()) / 1000
	}
	b.ReportMetric(median[0], "empty-ms")
	b.ReportMetric(median[1], "full-ms")
	b.ReportMetric(median[1]/median[0], "x-empty")
	b.ReportMetric(0, "ns/op")
}

// startServe starts serve over a data directory and ends it, and returns how long it took until it
// listened.
func startServe(b *testing.B, program, data string) time.Duration {
	b.Helper()
	c := exec.Command(program, "serve", "--data", data, "--addr", "127.0.0.1:0")
	c.Env = []string{"HOME=" + data}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	took := time.Since(began)
	if err != nil || !strings.Contains(said, "http://") {
		b.Errorf("serve said %q, %v", said, err)
	}
	c.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, out)
	if err := c.Wait(); err != nil {
		b.Errorf("serve ended with %v", err)
	}
	return took
}

// fillJournal writes n rows to the journal of a data directory, in no order.
func fillJournal(b *testing.B, data string, n int) {
	b.Helper()
	path := filepath.Join(data, app.TableFile)
	db, err := file.Open(path, file.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	journal := db.Table(app.DefaultJournal, file.TableOptions{})
	order := rand.Perm(n)
	for len(order) > 0 {
		var c table.Change
		for _, i := range order[:min(100, len(order))] {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("r#%016x", i), Value: make([]byte, 600)})
		}
		if err := journal.Write(context.Background(), "benchmark", c); err != nil {
			b.Fatal(err)
		}
		order = order[len(c.Puts):]
	}
	if info, err := os.Stat(path); err == nil {
		b.Logf("the file has %d MiB", info.Size()>>20)
	}
}
