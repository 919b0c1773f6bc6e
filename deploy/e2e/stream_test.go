package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// streamPrograms are the stand-in gateways and the official clients in Go.
var streamPrograms = sync.OnceValues(func() (programs struct{ gateway, peer string }, err error) {
	dir := filepath.Dir(chatconf) // which TestMain removes
	if programs.gateway, err = build(dir, "gateway", repository, "./shared/platform/platformsim/serve"); err == nil {
		programs.peer, err = build(dir, "streampeer", ".", "./streampeer")
	}
	return programs, err
})

// A streamPlatform is a platform with connections, and what its official clients are tried with.
type streamPlatform struct {
	name     string
	settings map[string]string
	secrets  map[string]string // by app, in the platform's terms
	wrong    map[string]string // settings that the platform refuses
	refused  string            // what the first of peers says then
	modes    []string          // in which a message can come
	again    string            // the one of them in which it comes again, if it is not handled
	disturb  []string          // disturbances that do not keep messages away
	ends     string            // after which disturbance clients connect again; default notice
	peers    []streamPeer
}

// A streamPeer is an official client. It answers "one" with "echo one", and does not handle a
// message that begins with "fail" when it comes for the first time.
type streamPeer struct {
	name  string
	probe []string // fails where the client is not installed; nil is nothing
	run   []string // in deploy/peers; nil is streampeer
	env   []string
	// waits says that after the platform's notice it connects again when the platform has ended the
	// connection.
	waits bool
}

// A streamGateway is the gateway of a platform, in a process of its own.
type streamGateway struct {
	platform streamPlatform
	address  string
	roots    string // file
	in       io.Writer
	out      *bufio.Reader
}

// A streamReport is what a gateway answers.
type streamReport struct {
	Address string
	Pushed  struct {
		Answer     string
		Again      bool
		Deliveries int
	}
	Sent        []string
	Connections int
	Error       string
}

// startStreamGateway starts the gateway of a platform.
func startStreamGateway(t *testing.T, p streamPlatform) *streamGateway {
	t.Helper()
	programs := must(streamPrograms())(t)
	cmd := exec.Command(programs.gateway)
	cmd.Env = cleanEnviron(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil || crash(stderr.String()) != "" {
			t.Errorf("the gateway: %v\n%s", err, stderr.String())
		}
	})
	certificate, authority := certify(t)
	key := must(x509.MarshalPKCS8PrivateKey(certificate.PrivateKey))(t)
	g := &streamGateway{platform: p, in: in, out: bufio.NewReader(out),
		roots: filepath.Join(t.TempDir(), "authority.pem")}
	if err := os.WriteFile(g.roots, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	g.address = g.ask(t, object{"Do": "open", "Platform": p.name, "Secrets": p.secrets,
		"Certificate": string(authority),
		"Key":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))}).Address
	return g
}

// tell has the gateway do something.
func (g *streamGateway) tell(t *testing.T, order object) (r streamReport) {
	t.Helper()
	if _, err := io.WriteString(g.in, jsonText(order)+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := g.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		t.Fatalf("the gateway: %q: %v", line, err)
	}
	return r
}

// ask has the gateway do something that must not fail.
func (g *streamGateway) ask(t *testing.T, order object) streamReport {
	t.Helper()
	order["Settings"] = g.platform.settings
	r := g.tell(t, order)
	if r.Error != "" {
		t.Fatalf("the gateway: %s", r.Error)
	}
	return r
}

// How long the gateway waits for an acknowledgement: for one that will come from a client on a busy
// machine, and for one that will not come.
const (
	patient   = 20 * time.Second
	impatient = 2 * time.Second
)

// says pushes a message and waits until it is answered, once, in the acknowledgement or later.
func (g *streamGateway) says(t *testing.T, mode, text string, limit time.Duration) streamReport {
	t.Helper()
	r := g.ask(t, object{"Do": "push", "Limit": limit.Milliseconds(), "Message": object{
		"User": "U0ALICE", "Text": text, "Mode": mode}})
	want := "echo " + text
	if r.Pushed.Answer == want {
		return r
	}
	await(t, "the message is answered: "+text, func() bool {
		return slices.Contains(g.ask(t, object{"Do": "sent"}).Sent, want)
	})
	return r
}

// environ is the environment of a client.
func (g *streamGateway) environ(t *testing.T, settings map[string]string) []string {
	t.Helper()
	return append(cleanEnviron(t), "GATEWAY_URL=https://"+g.address, "GATEWAY_SETTINGS="+jsonText(settings),
		"SSL_CERT_FILE="+g.roots, "NODE_EXTRA_CA_CERTS="+g.roots, "REQUESTS_CA_BUNDLE="+g.roots)
}

// goPeer is how the official client of Go is run.
func (g *streamGateway) goPeer(t *testing.T) []string {
	t.Helper()
	return []string{must(streamPrograms())(t).peer, g.platform.name}
}

// command returns the command that runs a client with settings. The test is skipped where the
// client is not installed.
func (p streamPeer) command(t *testing.T, g *streamGateway, settings map[string]string) *exec.Cmd {
	t.Helper()
	env := append(g.environ(t, settings), p.env...)
	if p.probe != nil {
		if out, err := runPeer(t, env, p.probe); err != nil {
			absent := t.Skipf
			if requireExternal {
				absent = t.Fatalf
			}
			absent("not tried: the client is not here: %v; make moto peers installs it\n%s", err, out)
		}
	}
	run, dir := p.run, peersFolder
	if run == nil {
		run, dir = g.goPeer(t), ""
	}
	cmd := exec.Command(run[0], run[1:]...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// start starts a client, which ends with the test.
func (p streamPeer) start(t *testing.T, g *streamGateway) {
	t.Helper()
	cmd := p.command(t, g, g.platform.settings)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	in := must(cmd.StdinPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		late := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("the client: %v\n%s", err, out.String())
		}
	})
}

// pythonPeer returns the official client in Python that a file of deploy/peers/stream uses. The
// module is one that it needs.
func pythonPeer(name, module, file string) streamPeer {
	return streamPeer{name: name, probe: []string{otsPython, "-c", "import " + module},
		run: []string{otsPython, "-B", filepath.Join("stream", file)}}
}

// nodePeer returns the official client in Node that a file of deploy/peers/stream uses. The module
// is one that it needs.
func nodePeer(name, module, file string) streamPeer {
	return streamPeer{name: name, probe: []string{"node", "-e", "require('" + module + "')"},
		run: []string{"node", filepath.Join("stream", file)}}
}

// streamPlatforms are the platforms with connections.
var streamPlatforms = []streamPlatform{dingtalkStream, feishuStream, slackStream, wecomStream}

// The official clients connect to the gateways that stand in for the platforms, receive messages in
// every mode, acknowledge and answer them, receive again what they did not acknowledge, and connect
// again when a connection ends, with the platform's notice and without.
func TestOfficialClientsTakeTheGatewaysForThePlatforms(t *testing.T) {
	onlyFile(t, "it starts no service")
	t.Parallel()
	for _, p := range streamPlatforms {
		for _, peer := range p.peers {
			t.Run(p.name+", "+peer.name, func(t *testing.T) {
				t.Parallel()
				g := startStreamGateway(t, p)
				peer.start(t, g)
				for _, mode := range p.modes {
					if r := g.says(t, mode, "one "+mode, patient); r.Pushed.Deliveries != 1 {
						t.Errorf("%s: %d deliveries", mode, r.Pushed.Deliveries)
					}
				}
				if n := g.ask(t, object{"Do": "connections"}).Connections; n != 1 {
					t.Errorf("%d connections", n)
				}
				if p.again != "" {
					if r := g.says(t, p.again, "fail", impatient); r.Pushed.Deliveries < 2 {
						t.Errorf("%d deliveries of what was not handled", r.Pushed.Deliveries)
					}
				}
				for _, how := range p.disturb {
					g.ask(t, object{"Do": "disturb", "How": how})
					g.says(t, p.modes[0], "one "+how, patient)
				}
				g.ask(t, object{"Do": "disturb", "How": cmp.Or(p.ends, "notice")})
				if peer.waits {
					g.ask(t, object{"Do": "disturb", "How": "cut"})
				}
				g.says(t, p.modes[0], "two", patient)
			})
		}
	}
}

// The official clients read the gateways' refusals as the platforms'.
func TestOfficialClientsAreRefusedByTheGateways(t *testing.T) {
	onlyFile(t, "it starts no service")
	t.Parallel()
	for _, p := range streamPlatforms {
		if p.wrong == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			g := startStreamGateway(t, p)
			cmd := p.peers[0].command(t, g, p.wrong)
			defer must(cmd.StdinPipe())(t).Close() // the client ends with its input
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), p.refused) {
				t.Errorf("%v, %s, want %q", err, out, p.refused)
			}
		})
	}
}
