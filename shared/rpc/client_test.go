package rpc_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// The requests that real clients sent pass the handler under their key at their time: what is wrong
// with them, if anything, is not the signature.
func TestRequestsOfRealClients(t *testing.T) {
	paths, err := filepath.Glob("sign/testdata/*.http")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no requests: %v", err)
	}
	served := 0
	for _, path := range paths {
		key, at, raw := readClientRequest(t, path)
		if !strings.Contains(raw, rpc.Version) {
			continue // published examples are of other products
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			w := newWorld(t, nil)
			w.clock.Add(at.Sub(w.clock.Now()))
			w.addKey(sign.Key{ID: key.ID, Secret: key.Secret}, "client", policy.Administrator())
			req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Fatal(err)
			}
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			a := w.serve(w.handler, req)
			switch {
			case key.SecurityToken != "":
				w.want(a, 400, "InvalidSecurityToken.Malformed")
			case strings.Contains(raw, "GET /") && strings.Contains(raw, "Action=Create"):
				w.want(a, 403, "UnsupportedHTTPMethod")
			case a.status != 200 && !strings.HasPrefix(a.Code, "InvalidParameter.") &&
				!strings.HasPrefix(a.Code, "MissingParameter."):
				t.Errorf("answer = %v", a)
			}
		})
		served++
	}
	if served < 5 {
		t.Errorf("only %d requests of this API were found", served)
	}
}

// readClientRequest reads a request that package sign keeps as it was sent, and the key and time
// that stand before it.
func readClientRequest(t *testing.T, path string) (key sign.Key, at time.Time, raw string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw = strings.ReplaceAll(string(text), "\r\n", "\n")
	for strings.HasPrefix(raw, "#") {
		var line string
		line, raw, _ = strings.Cut(raw, "\n")
		if value, ok := strings.CutPrefix(line, "# key: "); ok {
			parts := append(strings.Fields(value), "", "", "")
			key = sign.Key{ID: parts[0], Secret: parts[1], SecurityToken: parts[2]}
		}
		if value, ok := strings.CutPrefix(line, "# time: "); ok {
			if at, err = time.Parse(sign.TimeFormat, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return key, at, strings.ReplaceAll(raw, "\n", "\r\n")
}
