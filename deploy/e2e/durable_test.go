package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

func TestKillLosesNothingBetweenCalls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	key := s.key
	again := func() *oos.Client {
		t.Helper()
		s.kill()
		s = s.restart()
		if s.key != key {
			t.Fatal("a restart made another access key")
		}
		return s.client(t)
	}
	create(t, s.client(t), "ops")
	before := get(t, s.client(t), "ops").Body.ChatConfiguration

	after := get(t, again(), "ops").Body.ChatConfiguration
	// The port is another, and so is the webhook's address; its token is the same.
	if got, want := webhookPath(t, after.Outputs), webhookPath(t, before.Outputs); got != want {
		t.Errorf("the webhook's path after kill -9 = %s, want %s", got, want)
	}
	after.Outputs, before.Outputs = nil, nil
	if got, want := jsonText(after), jsonText(before); got != want {
		t.Errorf("after kill -9 there is %s, want %s", got, want)
	}

	must(again().TagResources(&oos.TagResourcesRequest{
		RegionId: dara.String("cn-hangzhou"), ResourceType: dara.String(resourceType),
		ResourceIds: ids("ops"), Tags: object{"env": "prod"},
	}))(t)
	must(again().UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String("ops"),
		RamRole: dara.String("Role")}))(t)
	list := must(again().ListChatConfigurations(&oos.ListChatConfigurationsRequest{
		Filters: filters("tag:env", "prod", "RamRole", "Role")}))(t)
	if n := len(list.Body.ChatConfigurations); n != 1 {
		t.Errorf("after kill -9 the indexes show %d configurations, want 1", n)
	}
	must(again().DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")}))(t)
	_, err := again().GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String("ops")})
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	s.check(": 0 configurations, 0 index entries, ")
}

// webhookPath returns the path of the URL in Outputs.
func webhookPath(t *testing.T, outputs *string) string {
	t.Helper()
	_, path, ok := strings.Cut(dara.StringValue(outputs), "/webhook/")
	path, _, _ = strings.Cut(path, `"`)
	if !ok {
		t.Fatalf("Outputs = %q, want a webhook's URL", dara.StringValue(outputs))
	}
	return path
}

// Writers are cut off in the middle, time and again. What was acknowledged is there; of what was
// not, nothing is there by half.
func TestKillInMidWriteLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	const rounds, writers = 4, 8
	s := serveCrowd(t)
	acknowledged := make(map[string]bool)
	for round := range rounds {
		names := make(chan string, 1000)
		var open sync.WaitGroup
		for w := range writers {
			open.Go(func() {
				for i := range 100 {
					name := fmt.Sprintf("bot-%d-%d-%d", round, w, i)
					in := newACS3(s.key, "CreateChatConfiguration", "Name", name, "Type", "DingTalk", "Configuration",
						dingTalk(name), "Tags", `{"a":"b"}`)
					if status, err := try(in.request(t, s.endpoint)); err != nil {
						return // killed
					} else if status == http.StatusOK {
						names <- name
					}
				}
			})
		}
		for range 10 * (round + 1) { // later and later in the life of the file
			acknowledged[<-names] = true
		}
		s.kill()
		open.Wait()
		close(names)
		for name := range names {
			acknowledged[name] = true
		}
		s = s.restart()
		found := make(map[string]bool)
		all, _ := walk(t, s.client(t), 100, filters("tag:a", "b"))
		for _, name := range all {
			found[name] = true
		}
		for name := range acknowledged {
			if !found[name] {
				t.Errorf("round %d: %s was acknowledged and is gone", round, name)
			}
		}
	}
	s.check()
}

// try sends a request whose connection may break.
func try(req *http.Request) (status int, err error) {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// A stop waits for the requests under way: one is held up halfway through its body while the signal
// arrives, others come all the time.
func TestASignalDrains(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := serveCrowd(t)
			held := holdUp(t, s, newACS3(s.key, "CreateChatConfiguration", "Name", "held", "Type", "DingTalk",
				"Configuration", dingTalk("held")).inForm())
			var mu sync.Mutex
			acknowledged := []string{"held"}
			var open sync.WaitGroup
			warm := make(chan struct{}, 1000)
			for w := range 4 {
				open.Go(func() {
					for i := range 1000 {
						name := fmt.Sprintf("bot-%d-%d", w, i)
						in := newACS3(s.key, "CreateChatConfiguration", "Name", name, "Type",
							"DingTalk", "Configuration", dingTalk(name))
						status, err := try(in.request(t, s.endpoint))
						if err != nil {
							return // stopped
						}
						if status != http.StatusOK {
							t.Errorf("a request during the stop was answered %d", status)
							continue
						}
						mu.Lock()
						acknowledged = append(acknowledged, name)
						mu.Unlock()
						warm <- struct{}{}
					}
				})
			}
			for range 8 {
				<-warm
			}
			started := time.Now()
			s.signal(sig)
			open.Wait()
			awaitRefusal(t, s)
			held.finish(t).ok(t, nil)
			s.awaitEnd(5*time.Second - time.Since(started))
			if code := s.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code = %d, want 0:\n%s", code, s.stderr)
			}
			s = s.restart()
			all, _ := walk(t, s.client(t), 100, nil)
			found := strings.Join(all, "\n") + "\n"
			for _, name := range acknowledged {
				if !strings.Contains(found, name+"\n") {
					t.Errorf("%s was acknowledged and is gone", name)
				}
			}
		})
	}
}

// A client that never finishes its request cannot keep the service from stopping.
func TestASignalDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	s := serve(t)
	holdUp(t, s, newACS3(s.key, "ListChatConfigurations").inForm())
	s.signal(syscall.SIGTERM)
	s.awaitEnd(6 * time.Second) // four to drain, one to close, and the rest for a slow machine
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code = %d, want 0:\n%s", code, s.stderr)
	}
	s.restart()
}

// A heldUp is a request of which the last byte is still to be sent.
type heldUp struct {
	body   *io.PipeWriter
	answer chan answer
	last   string
}

// holdUp sends a request but for its body's last byte, and returns once the service reads the body.
func holdUp(t *testing.T, s *service, in *acs3) heldUp {
	t.Helper()
	if in.body == "" {
		in.body = "MaxResults=1"
	}
	req := in.request(t, s.endpoint)
	r, w := io.Pipe()
	req.Body = r
	// answered when the handler starts to read, so it tells that the request is under way
	req.Header.Set("Expect", "100-continue")
	continued := make(chan struct{})
	h := heldUp{body: w, answer: make(chan answer, 1), last: in.body[len(in.body)-1:]}
	tr := &http.Transport{ExpectContinueTimeout: 20 * time.Second}
	t.Cleanup(func() {
		w.Close()
		tr.CloseIdleConnections()
	})
	go func() {
		resp, err := tr.RoundTrip(req)
		if err != nil {
			close(h.answer)
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		h.answer <- answer{resp.StatusCode, resp.Header, text}
	}()
	go func() {
		io.WriteString(w, in.body[:len(in.body)-1]) // returns when it was taken, which is after the server asked for it
		close(continued)
	}()
	select {
	case <-continued:
	case <-time.After(15 * time.Second):
		t.Fatal("the service does not read the request")
	}
	return h
}

// finish sends the last byte and returns the answer.
func (h heldUp) finish(t *testing.T) answer {
	t.Helper()
	io.WriteString(h.body, h.last)
	h.body.Close()
	a, ok := <-h.answer
	if !ok {
		t.Fatal("the request under way was cut off")
	}
	return a
}

// awaitRefusal returns when nobody listens any more.
func awaitRefusal(t *testing.T, s *service) {
	t.Helper()
	for limit := time.Now().Add(4 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.endpoint)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("the service goes on taking connections")
}

func TestOneProcessOwnsTheData(t *testing.T) {
	t.Parallel()
	onlyFile(t, "many processes may use its tables")
	s := serve(t)
	create(t, s.client(t), "ops")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "--addr", "127.0.0.1:0"},
			filepath.Join(s.data, "chatconf.db") + ": another process has it open"},
		{[]string{"check"}, "a service is using the data in " + s.data},
	} {
		args := c.args
		started := time.Now()
		run(t, append(args, "--data", s.data)...).fails(t, 1, c.says)
		if d := time.Since(started); d > 4*time.Second { // a second, and the start of a program on a busy machine
			t.Errorf("%q took %v to say so", args, d)
		}
	}
	get(t, s.client(t), "ops")
	// The endpoint that the first wrote for "chatconf call" is still there.
	run(t, "call", "GetChatConfiguration", "Name=ops", "--data", s.data).ok(t)
	s.check()
}

func TestTheDataAreTheirOwnersOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	create(t, s.client(t), "ops")
	info, err := os.Stat(s.data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory = %v, want 0700: %v", info.Mode(), err)
	}
	files := 3 // key ring, access key and endpoint
	if store.name == storeFile {
		files++
	}
	entries, err := os.ReadDir(s.data)
	if err != nil || len(entries) < files {
		t.Fatalf("the directory has %v: %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode of %s = %v, want 0600: %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestDamagedDataAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	onlyFile(t, "it keeps no file of its own")
	for name, damage := range map[string]func([]byte) []byte{
		"a foreign file": func([]byte) []byte { return []byte("#!/bin/sh\necho this is no table\n") },
		"a lost end":     func(db []byte) []byte { return db[:20_000] }, // far from the hole that the file ends with
		"lost headers":   func(db []byte) []byte { clear(db[:8192]); return db },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			create(t, s.client(t), "ops")
			s.kill()
			file := filepath.Join(s.data, "chatconf.db")
			db, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(db)
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "serve", "--addr", "127.0.0.1:0", "--data", s.data).fails(t, 1, file)
			if now, err := os.ReadFile(file); err != nil || string(now) != string(damaged) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestALostKeyRingIsNotReplaced(t *testing.T) {
	t.Parallel()
	s := serve(t)
	create(t, s.client(t), "ops")
	s.stop()
	ring := filepath.Join(s.data, "keyring.json")
	if err := os.Rename(ring, ring+".saved"); err != nil {
		t.Fatal(err)
	}
	serveCommand(s.data).run(t).fails(t, 1, "keyring.json is missing")
	s = s.restart("CHATCONF_KEYRING=file:" + ring + ".saved")
	get(t, s.client(t), "ops")
	s.stop()
	if err := os.Rename(ring+".saved", ring); err != nil {
		t.Fatal(err)
	}
	get(t, s.restart().client(t), "ops")
}
