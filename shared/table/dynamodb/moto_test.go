package dynamodb_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/tabletest"
)

const (
	// motoVariable names the environment variable with the path of moto's server; without it, it is
	// looked for in PATH.
	motoVariable = "CHATCONF_MOTO_SERVER"
	// requireVariable set to 1 makes it an error that programs which tests need are absent.
	requireVariable = "CHATCONF_REQUIRE_EXTERNAL"
)

func TestMain(m *testing.M) {
	code := m.Run()
	moto.stop()
	os.Exit(code)
}

// moto is the one server of this test binary.
var moto motoServer

// A motoServer runs moto's server, from its first use to the end of the test binary, whatever that
// is.
type motoServer struct {
	once     sync.Once
	endpoint string
	err      error
	cmd      *exec.Cmd
	stdin    io.Closer // closed when this process ends, which ends the server
	tables   atomic.Int64
}

// url returns the address of the server. It skips t, or fails it where it is required, if there is
// none.
func (m *motoServer) url(t *testing.T) string {
	t.Helper()
	m.once.Do(func() { m.err = m.start() })
	if m.err != nil {
		if os.Getenv(requireVariable) == "1" {
			t.Fatalf("moto's server is required: %v", m.err)
		}
		t.Skipf("no moto server, which %s may name: %v", motoVariable, m.err)
	}
	return m.endpoint
}

var running = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

func (m *motoServer) start() error {
	program := os.Getenv(motoVariable)
	if program == "" {
		program = "moto_server"
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	// A shell stands between, which ends the server when this process has ended, in any way, and
	// with it this end of a pipe.
	const script = `exec 3<&0; "$@" 3<&- & server=$!; { cat <&3; kill $server; } >/dev/null 2>&1 & wait $server`
	m.cmd = exec.Command("sh", "-c", script, "sh", program, "-H", "127.0.0.1", "-p", "0")
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	var said strings.Builder
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(io.TeeReader(stderr, &said)); lines.Scan(); {
			if match := running.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
				io.Copy(io.Discard, stderr)
				return
			}
		}
	}()
	select {
	case m.endpoint = <-found:
	case <-time.After(time.Minute):
	}
	if m.endpoint == "" {
		m.stop()
		return fmt.Errorf("%s did not start: %.500s", program, said.String())
	}
	return nil
}

func (m *motoServer) stop() {
	if m.stdin != nil {
		m.stdin.Close()
		m.cmd.Wait()
	}
}

// open opens a new table of the server, through Ensure.
func (m *motoServer) open(t *testing.T, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	tb := m.table(t, fmt.Sprint("table-", m.tables.Add(1)), o)
	if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(string) {}); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return tb
}

func (m *motoServer) table(t *testing.T, name string, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	o.Region, o.Endpoint, o.Transport = "eu-central-1", m.url(t), oneByOne{}
	o.Credentials = credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}
	tb, err := dynamodb.New(name, o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return tb
}

// oneByOne lets one request at a time reach the server. Moto 5.2.1 does not isolate transactions:
// one that is cancelled puts the whole table back to what it was when the transaction began, and
// undoes what others have written since. (Nor does it know client request tokens; the fake of the
// fault tests does.)
type oneByOne struct{}

var motoTurn sync.Mutex

// RoundTrip implements http.RoundTripper. A request whose context ends is waited for nevertheless.
func (oneByOne) RoundTrip(r *http.Request) (*http.Response, error) {
	motoTurn.Lock()
	defer motoTurn.Unlock()
	resp, err := http.DefaultTransport.RoundTrip(r.Clone(context.WithoutCancel(r.Context())))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err := cmp.Or(err, r.Context().Err()); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

func TestMotoTable(t *testing.T) {
	moto.url(t)
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		return moto.open(t, dynamodb.Options{Now: o.Now, TTL: o.TTL})
	}, tabletest.Caps{TextKeys: true, Slow: true})
}

func TestMotoEnsure(t *testing.T) {
	tb := moto.table(t, "ensured", dynamodb.Options{TTL: time.Hour})
	setup := dynamodb.Setup{Recovery: true, Key: "11111111-2222-3333-4444-555555555555"}
	want := []string{
		`create table "ensured": partition key p (S), sort key s (S), paid by the request, encrypted by KMS key ` +
			`11111111-2222-3333-4444-555555555555`,
		`switch the time to live of table "ensured" on, by attribute ttl`,
		`switch point-in-time recovery of table "ensured" on`,
	}
	for range 2 { // a plan changes nothing
		got, err := dynamodb.Plan(t.Context(), tb, setup)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("Plan = %q, %v, want %q", got, err, want)
		}
	}
	var told []string
	tell := func(step string) { told = append(told, step) }
	for _, want := range [][]string{past(want), {"nothing to do"}} { // the second time
		told = nil
		if err := dynamodb.Ensure(t.Context(), tb, setup, tell); err != nil {
			t.Fatalf("Ensure: %v", err)
		}
		if !slices.Equal(told, want) {
			t.Fatalf("Ensure told %q, want %q", told, want)
		}
	}
	if steps, err := dynamodb.Plan(t.Context(), tb, setup); err != nil || len(steps) > 0 {
		t.Errorf("Plan after Ensure = %q, %v, want nothing", steps, err)
	}
	if err := tb.Write(t.Context(), "p", table.Change{Adds: []table.Add{{Sort: "n", N: 1}}}); err != nil {
		t.Errorf("Write to the new table: %v", err)
	}

	other := moto.table(t, "ensured", dynamodb.Options{})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(context.Background()); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Get after Close = %v, want ErrClosed", err)
	}
}
