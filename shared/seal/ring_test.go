package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

func TestNewRingRefuses(t *testing.T) {
	longest := strings.Repeat("a", seal.MaxID)
	newRing(t, key(longest, 1), key("A-z_0.9", 2)) // are both fine

	for _, c := range []struct {
		name string
		keys []seal.Key
		want string
	}{
		{"no keys", nil, "seal: no keys; give at least one"},
		{"no id", []seal.Key{key("", 1)}, "seal: keys[0]: invalid id"},
		{"long id", []seal.Key{key(longest+"a", 1)}, "seal: keys[0]: invalid id"},
		{"id with a space", []seal.Key{key("a", 1), key("b c", 2)}, "seal: keys[1]: invalid id"},
		{"id with a letter beyond ASCII", []seal.Key{key("é", 1)}, "seal: keys[0]: invalid id"},
		{"id twice", []seal.Key{key("a", 1), key("b", 2), key("a", 3)}, "seal: keys[2]: same id as keys[0]"},
		{"secret twice", []seal.Key{key("a", 1), key("b", 1)}, "seal: keys[1]: same key as keys[0], with another id"},
		{"no secret", []seal.Key{{ID: "a"}}, "seal: keys[0]: key is all zero"},
	} {
		r, err := seal.NewRing(c.keys...)
		if err == nil || r != nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: NewRing = %v, %v, want the error %q", c.name, r, err, c.want)
		}
	}
}

func TestGenerateRing(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		text, err := seal.GenerateRing("2026-11")
		if err != nil {
			t.Fatal(err)
		}
		r, err := seal.ParseRing(text)
		if err != nil {
			t.Fatalf("ParseRing of what GenerateRing made: %v", err)
		}
		if got, want := r.Current(), "2026-11"; got != want {
			t.Errorf("Current = %q, want %q", got, want)
		}
		seen[string(text)] = true
	}
	if got, want := len(seen), 10; got != want {
		t.Errorf("made %d different rings, want %d", got, want)
	}
	if text, err := seal.GenerateRing("a b"); err == nil || text != nil {
		t.Errorf("GenerateRing of a bad id: %d bytes, %v, want an error", len(text), err)
	}
}

// testSecret is the base64 of a key with unusual characters, so that a leak is visible.
const testSecret = "TESTTESTTESTTESTTESTTESTTESTTESTTESTTESTTEE="

func TestParseRing(t *testing.T) {
	other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize))
	r, err := seal.ParseRing([]byte(` { "keys" : [ {"key":"` + testSecret + `","id":"new"}, {"id":"old","key":"` +
		other + `"} ] } `))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Current(), "new"; got != want {
		t.Errorf("Current = %q, want %q", got, want)
	}
	if got, want := r.IDs(), []string{"new", "old"}; !slices.Equal(got, want) {
		t.Errorf("IDs = %q, want %q", got, want)
	}
	if got, err := r.Open(place, mustSeal(t, newRing(t, key("old", 7)), place, "x")); err != nil || string(got) != "x" {
		t.Errorf("Open of an old value = %q, %v", got, err)
	}
}

func TestParseRingRefuses(t *testing.T) {
	one := func(key string) string { return `{"keys":[{"id":"a","key":` + key + `}]}` }
	good := one(`"` + testSecret + `"`)
	if _, err := seal.ParseRing([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "seal: ring is not valid JSON"},
		{"no JSON", testSecret, "seal: ring is not valid JSON"},
		{"data after the end", good + `{}`, "seal: ring is not valid JSON"},
		{"not UTF-8", strings.Replace(good, `"a"`, "\"\xff\"", 1), "seal: ring is not valid JSON"},
		{"too long", strings.Repeat(" ", seal.MaxRing) + good, "seal: the ring has "},
		{"null", `null`, "seal: ring: write an object"},
		{"a secret alone", `"` + testSecret + `"`, "seal: ring: write an object"},
		{"no keys", `{}`, "seal: ring.keys: missing"},
		{"empty keys", `{"keys":[]}`, "seal: no keys; give at least one"},
		{"keys that are no array", `{"keys":{"` + testSecret + `":1}}`, "seal: keys: write an array"},
		{"keys twice", `{"keys":[],"keys":[]}`, "seal: ring.keys: given twice"},
		{"unknown member", `{"` + testSecret + `":[]}`, "seal: ring: unknown member; use keys"},
		{"member in another case", `{"Keys":[]}`, "seal: ring: unknown member"},
		{"a key that is no object", `{"keys":["` + testSecret + `"]}`, "seal: keys[0]: write an object"},
		{"unknown member of a key", `{"keys":[{"id":"a","` + testSecret + `":""}]}`,
			"seal: keys[0]: unknown member; use id, key"},
		{"member of a key twice", `{"keys":[{"id":"a","id":"b"}]}`, "seal: keys[0].id: given twice"},
		{"member of a key twice, once escaped", `{"keys":[{"id":"a","\u0069d":"b"}]}`, "seal: keys[0].id: given twice"},
		{"no id", `{"keys":[{"key":"` + testSecret + `"}]}`, "seal: keys[0].id: missing"},
		{"no secret", `{"keys":[{"id":"a"}]}`, "seal: keys[0].key: missing"},
		{"an id that is a number", `{"keys":[{"id":1e999,"key":"` + testSecret + `"}]}`,
			"seal: keys[0].id: write a string"},
		{"an id that is the secret", `{"keys":[{"id":"` + testSecret + `","key":"` + testSecret + `"}]}`,
			"seal: keys[0]: invalid id"},
		{"a secret that is null", one(`null`), "seal: keys[0].key: write a string"},
		{"a secret in an array", one(`["` + testSecret + `"]`), "seal: keys[0].key: write a string"},
		{"an empty secret", one(`""`), "seal: keys[0].key: not base64 of 32 bytes"},
		{"a short secret", one(`"TESTTEST"`), "seal: keys[0].key: not base64 of 32 bytes"},
		{"a long secret", one(`"TEST` + testSecret + `"`), "seal: keys[0].key: not base64 of 32 bytes"},
		{"a secret without padding", one(`"` + strings.TrimRight(testSecret, "=") + `"`),
			"seal: keys[0].key: not base64"},
		{"a secret with a newline", one(`"` + testSecret + `\n"`), "seal: keys[0].key: not base64"},
		{"a secret with bits after its end", one(`"` + strings.Replace(testSecret, "E=", "F=", 1) + `"`),
			"seal: keys[0].key: not base64"},
		{"a secret in base64url", one(`"` + strings.Replace(testSecret, "T", "_", 1) + `"`),
			"seal: keys[0].key: not base64"},
		{"a secret of zeros", one(`"` + strings.Repeat("A", 43) + `="`), "seal: keys[0]: key is all zero"},
	} {
		r, err := seal.ParseRing([]byte(c.text))
		if err == nil || r != nil {
			t.Errorf("%s: ParseRing = %v, %v, want only an error", c.name, r, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: error is %q, want %q", c.name, err, c.want)
		}
		if strings.Contains(err.Error(), "TEST") {
			t.Errorf("%s: the error shows key material: %v", c.name, err)
		}
	}
}

func TestDerive(t *testing.T) {
	older, newer := key("2026-10", 1), key("2026-11", 2)
	r := newRing(t, newer, older)
	page, nonce := r.Derive("page"), r.Derive("nonce")
	if len(page) != 2 || len(nonce) != 2 {
		t.Fatalf("Derive gives %d and %d keys, want 2 and 2", len(page), len(nonce))
	}
	seen := map[string]bool{string(newer.Secret[:]): true, string(older.Secret[:]): true}
	for _, k := range append(append([][]byte{}, page...), nonce...) {
		if len(k) != seal.KeySize || seen[string(k)] {
			t.Errorf("key %x is of the wrong size or there twice", k)
		}
		seen[string(k)] = true
	}
	if !bytes.Equal(newRing(t, older).Derive("page")[0], page[1]) {
		t.Error("a key derives something else when it is behind another")
	}
	clear(page[0])
	if bytes.Equal(r.Derive("page")[0], page[0]) {
		t.Error("Derive gives what an earlier caller wrote to")
	}
}

// TestNothingPrintsSecrets prints keys and rings in every possible way.
func TestNothingPrintsSecrets(t *testing.T) {
	k := seal.Key{ID: "2026-11", Secret: [seal.KeySize]byte([]byte("SECRETSECRETSECRETSECRETSECRET!!"))}
	r := newRing(t, k)
	var out strings.Builder
	for _, v := range []any{k, &k, []seal.Key{k}, map[string]seal.Key{"a": k}, struct{ K seal.Key }{k}, r, *r,
		[]*seal.Ring{r}, struct{ r *seal.Ring }{r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	fmt.Fprintln(&out, k.String(), r.String())

	text := out.String()
	if !strings.Contains(text, secret.Mask) {
		t.Errorf("no mask in:\n%s", text)
	}
	derived := r.Derive("page")[0]
	for _, secret := range [][]byte{k.Secret[:6], derived[:6]} {
		decimal := strings.Trim(fmt.Sprint(secret), "[]")
		for _, leak := range []string{string(secret), hex.EncodeToString(secret),
			strings.ToUpper(hex.EncodeToString(secret)), decimal,
			base64.StdEncoding.EncodeToString(secret), strings.ReplaceAll(decimal, " ", ",")} {
			if strings.Contains(text, leak) {
				t.Errorf("%q is in:\n%s", leak, text)
			}
		}
	}
}

// FuzzParseRing checks every ring that parses: its keys differ, its ids are valid, and it opens
// what it seals.
func FuzzParseRing(f *testing.F) {
	v, _ := readVectors(f)
	f.Add([]byte(v.Ring))
	f.Add([]byte(`{"keys":[{"id":"a","key":"` + testSecret + `"}]}`))
	f.Add([]byte(`{"keys":[{"id":"a","key":"` + testSecret + `"},{"id":"a","key":"` + testSecret + `"}]}`))
	f.Add([]byte(`{"keys":[{"id":"a","id":"b","key":1e999}]} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := seal.ParseRing(data)
		if err != nil {
			if r != nil {
				t.Errorf("ParseRing gave a ring and the error %v", err)
			}
			if len(err.Error()) > 120 {
				t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
			}
			return
		}
		// encoding/json, which ignores duplicates, must read the same ring from the text.
		var plain struct {
			Keys []struct {
				ID  string
				Key []byte
			}
		}
		if err := json.Unmarshal(data, &plain); err != nil {
			t.Fatalf("ParseRing accepted invalid JSON: %v", err)
		}
		var keys []seal.Key
		for _, k := range plain.Keys {
			keys = append(keys, seal.Key{ID: k.ID, Secret: [seal.KeySize]byte(k.Key)})
		}
		same := newRing(t, keys...)
		if got, want := r.Current(), same.Current(); got != want {
			t.Errorf("Current = %q, want %q", got, want)
		}
		got, want := r.Derive("x"), same.Derive("x")
		if len(got) != len(want) {
			t.Fatalf("%d keys, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("key %d differs", i)
			}
		}
		if got, err := r.Open(place, mustSeal(t, same, place, "x")); err != nil || string(got) != "x" {
			t.Errorf("Open = %q, %v", got, err)
		}
	})
}
