package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/seal"
)

// sealed returns something that a ring sealed, and its place.
func sealed(t *testing.T, text string) (seal.Place, []byte) {
	t.Helper()
	place := seal.Place{Name: "test"}
	value, err := parsed(t, text).Seal(place, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	return place, value
}

func parsed(t *testing.T, text string) *seal.Ring {
	t.Helper()
	ring, err := seal.ParseRing([]byte(text))
	if err != nil {
		t.Fatalf("not a ring: %v", err)
	}
	return ring
}

func TestKeyRingNew(t *testing.T) {
	one, other := mustRun(t, "keyring", "new"), mustRun(t, "keyring", "new", "--id", "2026-11")
	if got := parsed(t, one).Current(); !strings.HasPrefix(got, "20") {
		t.Errorf("the key is called %q, want a time", got)
	}
	if got := parsed(t, other).Current(); got != "2026-11" {
		t.Errorf("the key is called %q, want what was asked for", got)
	}
	if _, err := parsed(t, other).Open(sealed(t, one)); err == nil {
		t.Error("two rings have one key")
	}

	path := filepath.Join(t.TempDir(), "keyring.json")
	if out := mustRun(t, "keyring", "new", "--out", path); strings.Contains(out, "keys\"") || !strings.HasPrefix(out,
		"Wrote "+path+"; it seals with the key 20") {
		t.Errorf("keyring new --out prints %q", out)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v, %v", info, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed(t, string(before))
	if _, err := run(t, "", "keyring", "new", "--out", path); !isUsage(err) {
		t.Errorf("keyring new over another = %v, want a usage error", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %v", err)
	}
	if _, err := run(t, "", "keyring", "new", "--id", "no good"); !isUsage(err) ||
		!strings.Contains(err.Error(), "--id") {
		t.Errorf("keyring new with an invalid id = %v", err)
	}
}

// What is shown on a terminal stays in its history.
func TestKeyRingsAreNotShownOnTerminals(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to open: %v", err)
	}
	defer terminal.Close()
	var ring ringFlags
	if err := ring.write(terminal, []byte("ring")); !isUsage(err) || !strings.Contains(err.Error(), "--out") {
		t.Errorf("write = %v, want a usage error", err)
	}
	closed, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := ring.write(closed, []byte("ring")); err == nil {
		t.Error("write to a closed file: no error")
	}
}

func TestKeyRingAdd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.json")
	mustRun(t, "keyring", "new", "--id", "old", "--out", path)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := mustRun(t, "keyring", "add", path, "--id", "new")
	ring := parsed(t, text)
	if got := ring.Current(); got != "new" {
		t.Errorf("the current key is %q, want the new one", got)
	}
	if _, err := ring.Open(sealed(t, string(old))); err != nil {
		t.Errorf("what the old ring sealed: %v", err)
	}
	if _, err := parsed(t, string(old)).Open(sealed(t, text)); err == nil {
		t.Error("the new ring seals with the old key")
	}
	third, err := run(t, text, "keyring", "add", "-")
	if err != nil {
		t.Fatal(err)
	}
	var keys struct{ Keys []struct{ ID string } }
	if err := json.Unmarshal([]byte(third), &keys); err != nil || len(keys.Keys) != 3 ||
		keys.Keys[1].ID != "new" || keys.Keys[2].ID != "old" {
		t.Errorf("keyring add - makes a ring of %+v, %v", keys, err)
	}
	for _, test := range []struct {
		name, stdin string
		args        []string
	}{
		{"no file", "", []string{}},
		{"a file that is not there", "", []string{path + ".none"}},
		{"an id that is there", "", []string{path, "--id", "old"}},
		{"an invalid id", "", []string{path, "--id", "/"}},
		{"what is no ring", `{"keys":"not-a-real-secret"}`, []string{"-"}},
		{"a ring with more to it", strings.Replace(string(old), "{", `{"note":"not-a-real-secret",`, 1), []string{"-"}},
	} {
		if out, err := run(t, test.stdin, append([]string{"keyring", "add"}, test.args...)...); !isUsage(err) ||
			out != "" || strings.Contains(err.Error(), "not-a-real-secret") {
			t.Errorf("%s: %q, %v, want a usage error", test.name, out, err)
		}
	}
}

// From an empty store to a first and a second key, all with the ring in a file.
func TestKeyRingClaim(t *testing.T) {
	onEmulator(t)
	dir := t.TempDir()
	ring, data := filepath.Join(dir, "keyring.json"), filepath.Join(dir, "data")
	mustRun(t, "keyring", "new", "--out", ring)
	claim := []string{"keyring", "claim", "--store", "tablestore", "--data", data}

	t.Setenv("CHATCONF_KEYRING", "")
	if _, err := run(t, "", claim...); !isUsage(err) || !strings.Contains(err.Error(), "CHATCONF_KEYRING") {
		t.Errorf("claim without a ring = %v, want a usage error", err)
	}
	t.Setenv("CHATCONF_KEYRING", "kms:AAAA")
	if _, err := run(t, "", claim...); err == nil || !strings.Contains(err.Error(), "is for functions") {
		t.Errorf("claim with a sealed ring = %v", err)
	}
	t.Setenv("CHATCONF_KEYRING", "file:"+ring)
	if _, err := run(t, "", "keyring", "claim", "--store", "floppy"); !isUsage(err) {
		t.Errorf("claim of an unknown store = %v", err)
	}
	if _, err := run(t, "", claim...); err == nil || !strings.Contains(err.Error(), "Tablestore table chatconf") {
		t.Errorf("claim without tables = %v", err)
	}
	mustRun(t, "tables", "--target", "fc")
	key := func() string {
		t.Helper()
		k, err := app.ReadAccessKey(data)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID
	}
	if out := mustRun(t, claim...); !lineHas(out, "Tablestore table chatconf", "is claimed") ||
		!lineHas(out, "access key id", key()) || !lineHas(out, "secret", data) {
		t.Errorf("claim prints %s", out)
	}
	first := key()
	if out := mustRun(t, claim...); !lineHas(out, "already") || key() != first {
		t.Errorf("claim again prints %s", out)
	}
	made := mustRun(t, "keys", "create", "--store", "tablestore", "--data", data, "--name",
		"ci", "--read-only", "-o", "json")
	var ci struct{ AccessKeyId string }
	if err := json.Unmarshal([]byte(made), &ci); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, "keys", "list", "--store", "tablestore", "--data", data); !lineHas(out, first,
		"administrator") || !lineHas(out, ci.AccessKeyId, "ci") {
		t.Errorf("keys list prints %s", out)
	}

	// With another ring nothing is changed; with the ring rotated all is well.
	rotated, other := filepath.Join(dir, "rotated.json"), filepath.Join(dir, "other.json")
	mustRun(t, "keyring", "add", ring, "--out", rotated)
	mustRun(t, "keyring", "new", "--out", other)
	t.Setenv("CHATCONF_KEYRING", "file:"+other)
	elsewhere := filepath.Join(dir, "elsewhere")
	if _, err := run(t, "", "keyring", "claim", "--store", "tablestore", "--data", elsewhere); err == nil ||
		isUsage(err) {
		t.Errorf("claim with another ring = %v", err)
	}
	if _, err := app.ReadAccessKey(elsewhere); !os.IsNotExist(err) {
		t.Errorf("a claim that was refused left a key behind: %v", err)
	}
	t.Setenv("CHATCONF_KEYRING", "file:"+rotated)
	if out := mustRun(t, claim...); !lineHas(out, "already") {
		t.Errorf("claim with the ring rotated prints %s", out)
	}
	if entries, err := fs.Glob(os.DirFS(data), "*"); err != nil || len(entries) != 1 {
		t.Errorf("the data directory holds %q, %v, want the access key only", entries, err)
	}
}
