package stream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
	"chatconf/shared/stream/streamtest"
	"chatconf/shared/table"
	"chatconf/shared/webhook/webhooktest"
)

// benchApp returns the settings of one of many apps of Slack.
func benchApp(i int) callback.Settings {
	s := streamtest.Settings("Slack")
	s["SlackAppToken"] = secret.Text(fmt.Sprintf("xapp-1-A%07dBENCH-1-not-a-real-token", i))
	return s
}

// gatewayProcess is the variable by which BenchmarkConnections has its own program be a gateway.
const gatewayProcess = "CHATCONF_TEST_GATEWAY"

// A place is where a gateway is.
type place struct {
	Address, Authority string
	Hosts              []string
}

// TestGatewayProcess is the gateway of BenchmarkConnections, whose memory is not that of chatconf.
func TestGatewayProcess(t *testing.T) {
	if os.Getenv(gatewayProcess) == "" {
		t.Skip("it is for BenchmarkConnections")
	}
	g := streamtest.StartForAll(t, "Slack")
	if err := json.NewEncoder(os.Stdout).Encode(place{g.Address, string(g.Authority), g.Hosts()}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
}

// startGatewayProcess starts a gateway in a process of its own.
func startGatewayProcess(b *testing.B) place {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestGatewayProcess$")
	cmd.Env = append(os.Environ(), gatewayProcess+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = errors.Join(in.Close(), cmd.Wait()) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	var at place
	if err := json.Unmarshal(line, &at); err != nil {
		b.Fatal(err)
	}
	return at
}

// resident returns how much memory the process has after a collection, in bytes.
func resident(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats // not Linux
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// BenchmarkConnections is the memory of 500 connections to a gateway in another process, in
// addition to that of a supervisor with none, in MiB. The aim is at most 100.
func BenchmarkConnections(b *testing.B) {
	const bots = 500
	at := startGatewayProcess(b)
	roots, err := dial.ParseRoots(at.Authority)
	if err != nil {
		b.Fatal(err)
	}
	addresses := make(map[string]string)
	for _, host := range at.Hosts {
		addresses[host+":443"] = at.Address
	}
	transport := dial.NewRedirected(addresses, roots)
	all := make([]stream.Bot, bots)
	for i := range all {
		all[i] = stream.Bot{Ref: ref(strconv.Itoa(i)), Revision: 1}
	}
	var peak int64
	for b.Loop() {
		var mu sync.Mutex
		var wanted []stream.Bot
		var connected sync.WaitGroup
		connected.Add(bots)
		s, err := stream.New(stream.Options{
			Bots: func(context.Context) ([]stream.Bot, error) {
				mu.Lock()
				defer mu.Unlock()
				return wanted, nil
			},
			Open: func(_ context.Context, of command.Ref) (*command.Endpoint, error) {
				i, err := strconv.Atoi(of.Name)
				return &command.Endpoint{Name: of.Name, Type: "Slack", Settings: benchApp(i)}, err
			},
			Streams: platform.All().Streams(),
			Client:  callback.NewClient(callback.ClientOptions{Transport: transport}),
			Dialer:  stream.NewDialer(transport),
			Arrive: func(context.Context, command.Ref, callback.Answerer, *callback.Received,
				error) *callback.Response {
				return &callback.Response{Status: 200}
			},
			Note: func(_ context.Context, _ command.Ref, c journal.Connection) {
				switch c.State {
				case journal.Connected:
					connected.Done()
				case journal.Failed, journal.Lost, journal.Refused:
					b.Errorf("%+v", c)
				}
			},
			Poll: 10 * time.Millisecond,
		})
		if err != nil {
			b.Fatal(err)
		}
		s.Start(quiet())
		before := resident(b)
		mu.Lock()
		wanted = all
		mu.Unlock()
		connected.Wait()
		peak = max(peak, resident(b)-before)
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		transport.CloseIdleConnections()
	}
	b.ReportMetric(float64(peak)/(1<<20), "MiB")
	b.ReportMetric(float64(peak)/bots/1024, "KiB/connection")
}

// BenchmarkMessages is 2,000 messages a second over 16 connections: read, decided, recorded durably
// in a file and acknowledged. It reports the 99th percentile of the time from delivery to
// acknowledgement, as the gateway sees it: in milliseconds, and divided by that of as many bare
// writes of one item to the same engine. Slack waits for 3,000 milliseconds. A machine that is too
// slow reaches fewer messages a second. The time of the processor includes the gateway.
func BenchmarkMessages(b *testing.B) {
	const rate, bots = 2000, 16
	w := webhooktest.New(b)
	p := w.Process()
	h := p.Handler(func(context.Context, command.Ref) error { return nil })
	g := streamtest.StartForAll(b, "Slack")
	all := make([]stream.Bot, bots)
	for i := range all {
		name := fmt.Sprintf("bot-%d", i)
		p.Create(name, "Slack", benchApp(i), `"Receive":"Stream"`, webhooktest.Open)
		all[i] = stream.Bot{Ref: command.Ref{Account: webhooktest.Account, Region: webhooktest.Region, Name: name},
			Revision: 1}
	}
	s, err := stream.New(stream.Options{
		Bots:    func(context.Context) ([]stream.Bot, error) { return all, nil },
		Open:    p.Service.OpenConfiguration,
		Streams: platform.All().Streams(),
		Client:  g.Client,
		Dialer:  g.Dialer,
		Arrive:  h.Arrive,
		Note:    func(context.Context, command.Ref, journal.Connection) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start(quiet())
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	push := func(i int) {
		m := platformsim.Message{ID: "m" + strconv.Itoa(i), User: "u1", Text: "restart i-1"}
		if _, err := g.Push(b.Context(), benchApp(i%bots), m); err != nil {
			b.Error(err)
		}
	}
	for i := range bots { // which waits for the connections
		push(b.N*bots + i)
	}
	writes := func(i int) {
		err := w.Journals.Write(b.Context(), "floor", table.Change{Puts: []table.Put{{Sort: strconv.Itoa(i),
			Value: make([]byte, 512)}}})
		if err != nil {
			b.Error(err)
		}
	}
	b.ResetTimer()
	before := processorTime(b)
	took, elapsed := paced(b.N, rate, push)
	used := processorTime(b) - before
	b.StopTimer()
	floor, _ := paced(b.N, rate, writes)
	b.ReportMetric(float64(b.N)/elapsed.Seconds(), "messages/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/message")
	b.ReportMetric(float64(took.Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took)/float64(floor), "p99/bare-write")
}

// processorTime returns how much time of the processor this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// paced calls do n times, so many a second, at most 256 at the same time. It returns the 99th
// percentile of how long a call took, and how long all took.
func paced(n, rate int, do func(int)) (p99, elapsed time.Duration) {
	took := make([]time.Duration, n)
	var group sync.WaitGroup
	turn := make(chan struct{}, 256)
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		turn <- struct{}{}
		group.Go(func() {
			defer func() { <-turn }()
			start := time.Now()
			do(i)
			took[i] = time.Since(start)
		})
	}
	group.Wait()
	elapsed = time.Since(began)
	slices.Sort(took)
	return took[n*99/100], elapsed
}
