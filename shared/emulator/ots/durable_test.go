package ots_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

// childFile names the environment variable with the file that this program serves instead of
// running tests.
const childFile = "OTS_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		if err := serveChild(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// serveChild serves a file until the process is killed, and prints its endpoint.
func serveChild(path string) error {
	s, err := ots.New(ots.Options{Path: path, AccessKeys: map[string]string{otstest.KeyID: otstest.KeySecret}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	return http.Serve(l, s)
}

// startChild runs this program as the server of a file.
func startChild(t *testing.T, path string) (*client, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFile+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	endpoint, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	in := &otstest.Instance{Endpoint: strings.TrimSpace(endpoint), Name: otstest.Name, KeyID: otstest.KeyID,
		KeySecret: otstest.KeySecret}
	return newClient(t, in), cmd
}

// killUnderWrites calls write in 8 goroutines, kills the server after 200 successful calls, and
// waits until the calls fail.
func killUnderWrites(t *testing.T, cmd *exec.Cmd, write func(writer, n int) error) {
	t.Helper()
	var count atomic.Int64
	var wait sync.WaitGroup
	enough := make(chan struct{})
	for writer := range 8 {
		wait.Go(func() {
			for n := 0; write(writer, n) == nil; n++ {
				if count.Add(1) == 200 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	cmd.Wait()
}

func TestKillLosesNoAcknowledgedRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ots.db")
	c, cmd := startChild(t, path)
	c.create("t", "p:integer s:string", withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_age", false, "age"))
	})
	var acknowledged sync.Map
	killUnderWrites(t, cmd, func(writer, n int) error {
		s := fmt.Sprint(n)
		results, err := c.batch(true, put("t", key("p", writer, "s", s), cols("age", n)),
			put("t", key("p", writer, "s", s+"x"), cols("n", n)))
		if err != nil {
			return err
		}
		if results["t"][0] != "ok" {
			t.Errorf("batch: %q", results)
		}
		acknowledged.Store(fmt.Sprintf("%d/%s", writer, s), n)
		return nil
	})

	c, _ = startChild(t, path)
	rows, seconds := map[string]bool{}, 0
	q := whole("t", "p", "s")
	q.MaxVersion = 1
	keys, _ := c.walk(q)
	for _, key := range keys {
		rows[key] = true
	}
	acknowledged.Range(func(key, _ any) bool {
		if !rows[key.(string)] {
			t.Errorf("the acknowledged row %s is lost", key)
		}
		return true
	})
	for key := range rows {
		if strings.HasSuffix(key, "x") {
			seconds++
		} else if !rows[key+"x"] {
			t.Errorf("the batch of %s has only half its rows", key)
		}
	}
	q = whole("by_age", "age", "p", "s")
	q.MaxVersion = 1
	if indexed, _ := c.walk(q); len(indexed) != len(rows)-seconds {
		t.Errorf("the index has %d rows, want %d", len(indexed), len(rows)-seconds)
	}
}

func TestAFileKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ots.db")
	set := func(o *ots.Options) { o.Path = path }
	var before []string
	look := func(c *client) []string {
		d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
		if err != nil {
			t.Fatal(err)
		}
		return append(c.dump("t", "p", "n"), fmt.Sprintf("%+v %+v %d", *d.TableOption, d.StreamDetails.EnableStream,
			len(d.IndexMetas)), fmt.Sprint(c.dump("by_age", "age", "p", "n")))
	}
	t.Run("write", func(t *testing.T) {
		c := run(t, set)
		c.create("t", "p:string n:integer", withDefined, func(r *tablestore.CreateTableRequest) {
			r.StreamSpec = &tablestore.StreamSpecification{EnableStream: true, ExpirationTime: 1}
			r.AddIndexMeta(indexMeta("by_age", false, "age", "city"))
		})
		for i := range 10 {
			c.must(put("t", key("p", "a", "n", i), cols("age", i, "city", "Ulm", "x", 2.5)))
		}
		before = look(c)
		_, err := ots.New(ots.Options{Path: path, Unsigned: true})
		if !errors.Is(err, bolt.ErrInUse) {
			t.Errorf("New of a file in use: %v", err)
		}
	})
	t.Run("read", func(t *testing.T) {
		c := run(t, set)
		after := look(c)
		// AllowUpdate and UpdateFullRow are pointers, which differ.
		for i := range after {
			before[i], _, _ = strings.Cut(before[i], " AllowUpdate")
			after[i], _, _ = strings.Cut(after[i], " AllowUpdate")
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("after opening the file again (-before +after):\n%s", diff)
		}
		c.must(put("t", key("p", "a", "n", 10), cols("age", 10)))
		if got := c.dump("by_age", "age", "p", "n"); len(got) != 11 {
			t.Errorf("the index after one more row: %q", got)
		}
	})
}

func TestDamageIsFound(t *testing.T) {
	damage := func(t *testing.T, path, bucket string) {
		s, err := ots.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(context.Background(), 0, func(tx *bolt.Tx) error {
			k, v := tx.Bucket(bucket).Cursor().Seek([]byte{0})
			v = bytes.Clone(v)
			v[len(v)-1]++
			return tx.Bucket(bucket).Put(bytes.Clone(k), v)
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "ots.db")
	set := func(o *ots.Options) { o.Path = path }
	t.Run("write", func(t *testing.T) {
		c := run(t, set)
		c.create("t", "p:string")
		c.must(put("t", key("p", "a"), cols("a", 1)), put("t", key("p", "b"), cols("a", 2)))
	})
	damage(t, path, "rows/"+otstest.Name+"/t")
	t.Run("a row", func(t *testing.T) {
		var log bytes.Buffer
		c := run(t, set, func(o *ots.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		if got, want := c.get("t", key("p", "a")), "OTSServerUnavailable: Server is not available."; got != want {
			t.Errorf("a damaged row: %s, want %s", got, want)
		}
		if got, want := c.get("t", key("p", "b")), "a=2"; got != want {
			t.Errorf("the row after it: %s, want %s", got, want)
		}
		if !strings.Contains(log.String(), "damaged row") {
			t.Errorf("the log: %s", &log)
		}
	})
	damage(t, path, "catalog")
	if _, err := ots.New(ots.Options{Path: path, Unsigned: true}); err == nil {
		t.Error("New of a file with a damaged definition: no error")
	}
}

func TestConcurrentIncrementsAreExact(t *testing.T) {
	for name, set := range map[string]func(*ots.Options){
		"memory": func(*ots.Options) {},
		"file":   func(o *ots.Options) { o.Path = filepath.Join(t.TempDir(), "ots.db") },
	} {
		t.Run(name, func(t *testing.T) {
			c := run(t, set)
			c.create("t", "p:string")
			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					for range 25 {
						u := update("t", key("p", "k"))
						u.IncrementColumn("n", 1)
						if err := c.write(u); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			if got := c.get("t", key("p", "k")); got != "n=200" {
				t.Errorf("after 200 increments: %s", got)
			}
		})
	}
}
