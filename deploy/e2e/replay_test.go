package e2e_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// A tap passes connections on to a service and keeps what the client sent, byte for byte.
type tap struct {
	addr string

	mu   sync.Mutex
	sent bytes.Buffer
}

// newTap listens in front of a service until the test ends.
func newTap(t *testing.T, s *service) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tp := &tap{addr: l.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		s.kill() // ends the connections
		open.Wait()
	})
	open.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { tp.pass(client, s.endpoint) })
		}
	})
	return tp
}

func (tp *tap) pass(client net.Conn, endpoint string) {
	defer client.Close()
	server, err := net.Dial("tcp", endpoint)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(io.MultiWriter(tp, server), client) // in this order: who was answered finds what it sent
		server.Close()
	}()
	io.Copy(client, server)
}

// Write implements io.Writer.
func (tp *tap) Write(p []byte) (int, error) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.sent.Write(p)
}

// take returns what was sent since the last time.
func (tp *tap) take() []byte {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	raw := bytes.Clone(tp.sent.Bytes())
	tp.sent.Reset()
	return raw
}

// replay sends the bytes of one request to a service.
func replay(t *testing.T, s *service, raw []byte) answer {
	t.Helper()
	conn, err := net.Dial("tcp", s.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("replay of %q: %v", raw, err)
	}
	return readAnswer(t, resp)
}

func TestACapturedRequestWorksOnce(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		t.Run(dialect.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			tp := newTap(t, s)
			client := s.client(t, func(c *openapi.Config) {
				c.Endpoint, c.SignatureAlgorithm = dara.String(tp.addr), dialect.algorithm
			})

			create(t, client, "ops")
			written := tp.take()
			get(t, client, "ops")
			read := tp.take()
			must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String("ops"),
				RamRole: dara.String("Role")}))(t)
			updated := tp.take()
			_, err := client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String("nobody")})
			wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
			failed := tp.take()

			for range 2 {
				for _, raw := range [][]byte{written, read, updated, failed} {
					replay(t, s, raw).wantFault(t, http.StatusBadRequest, "SignatureNonceUsed")
				}
			}
			wantEqual(t, "ETag", get(t, s.client(t), "ops").Headers["etag"], `"2"`)

			// A process that has just started knows what was written before, and a replayed delete
			// finds nothing to delete anew.
			must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")}))(t)
			deleted := tp.take()
			s.kill()
			s = s.restart()
			for _, raw := range [][]byte{written, updated, deleted} {
				replay(t, s, raw).wantFault(t, http.StatusBadRequest, "SignatureNonceUsed")
			}
			_, err = s.client(t).GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String("ops")})
			wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
		})
	}
}

// A write that was refused has spent its nonce all the same: what it asked for may have become
// possible since.
func TestARefusedWriteCannotBeReplayedLater(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	create(t, client, "ops")
	again := newACS3(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "DingTalk",
		"Configuration", dingTalk("replayed"))
	s.send(t, again).wantFault(t, http.StatusConflict, "EntityAlreadyExists.ChatConfiguration")
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")}))(t)
	s.send(t, again).wantFault(t, http.StatusBadRequest, "SignatureNonceUsed")
	s.kill()
	s.restart().send(t, again).wantFault(t, http.StatusBadRequest, "SignatureNonceUsed")
}

// Of many copies of one request that arrive at once, one is done.
func TestManyCopiesAtOnceAreDoneOnce(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	create(t, s.client(t), "ops")
	for _, c := range []struct {
		signed
		reads bool
	}{
		{newACS3(s.key, "UpdateChatConfiguration", "Name", "ops", "RamRole", "Role1"), false},
		{newV1(s.key, "UpdateChatConfiguration", "Name", "ops", "RamRole", "Role2"), false},
		{newV1(s.key, "GetChatConfiguration", "Name", "ops"), true},
	} {
		const copies = 16
		answers := make(chan answer, copies)
		for range copies {
			go func() { answers <- s.send(t, c.signed) }()
		}
		done := 0
		for range copies {
			if a := <-answers; a.status == http.StatusOK {
				done++
			} else {
				a.wantFault(t, http.StatusBadRequest, "SignatureNonceUsed")
			}
		}
		// of reads each process remembers its own
		if each := c.reads && functions.target != ""; done != 1 && !(each && done > 1) {
			t.Errorf("%d of %d copies were done, want 1", done, copies)
		}
	}
	wantEqual(t, "ETag", get(t, s.client(t), "ops").Headers["etag"], `"3"`)
}

// Each access key has nonces of its own, so that nobody can spend another's.
func TestNoncesOfOneKeyAreNotThoseOfAnother(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	other := createKey(t, data, "other", "--admin")
	s := serveOn(t, data)
	nonce := newNonce()
	for _, key := range []accessKey{s.key, other} {
		s.send(t, edited(newACS3(key, "ListChatConfigurations"),
			func(a *acs3) { a.header["x-acs-signature-nonce"] = nonce })).ok(t, nil)
	}
}
