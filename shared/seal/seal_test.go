package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/seal"
)

// key returns a key for tests.
func key(id string, fill byte) seal.Key {
	return seal.Key{ID: id, Secret: [seal.KeySize]byte(bytes.Repeat([]byte{fill}, seal.KeySize))}
}

func newRing(t testing.TB, keys ...seal.Key) *seal.Ring {
	t.Helper()
	r, err := seal.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSeal(t testing.TB, r *seal.Ring, p seal.Place, plaintext string) []byte {
	t.Helper()
	sealed, err := r.Seal(p, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// refuses fails the test unless Open returns only wantErr, and the error shows neither plaintext
// nor secret.
func refuses(t *testing.T, what string, r *seal.Ring, p seal.Place, sealed []byte, wantErr error) {
	t.Helper()
	got, err := r.Open(p, sealed)
	if !errors.Is(err, wantErr) || !errors.Is(err, seal.ErrOpen) || got != nil {
		t.Errorf("%s: Open = %q, %v, want %v", what, got, err, wantErr)
	}
	if wantErr == seal.ErrOpen && errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("%s: Open says %v, but the key is known", what, err)
	}
	if err != nil && strings.Contains(err.Error(), secretText) {
		t.Errorf("%s: the error shows the plaintext: %v", what, err)
	}
}

const secretText = "hunter2-of-the-test"

var place = seal.Place{Account: "1234567890123456", Region: "cn-hangzhou", Name: "prod", Field: "WeChatSecret"}

func TestSealOpen(t *testing.T) {
	r := newRing(t, key("2026-11", 1))
	for _, plaintext := range []string{"", "x", secretText, strings.Repeat("数", 10_000),
		strings.Repeat("x", seal.MaxPlaintext)} {
		sealed := mustSeal(t, r, place, plaintext)
		got, err := r.Open(place, sealed)
		if err != nil || string(got) != plaintext {
			t.Errorf("Open of %d sealed bytes = %d bytes, %v", len(plaintext), len(got), err)
		}
		if len(plaintext) > 1 && bytes.Contains(sealed, []byte(plaintext)) {
			t.Errorf("the sealed value shows its plaintext %.20q", plaintext)
		}
		if bytes.Equal(sealed, mustSeal(t, r, place, plaintext)) {
			t.Errorf("sealed %.20q twice to the same value", plaintext)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	r := newRing(t, key("2026-11", 1))
	if sealed, err := r.Seal(place, make([]byte, seal.MaxPlaintext+1)); err == nil || sealed != nil {
		t.Errorf("Seal of too much = %d bytes, %v, want an error", len(sealed), err)
	}
	if sealed, err := r.Seal(seal.Place{}, []byte(secretText)); err == nil || sealed != nil {
		t.Errorf("Seal at no place = %d bytes, %v, want an error", len(sealed), err)
	}
}

func TestOpenAtAnotherPlace(t *testing.T) {
	r := newRing(t, key("2026-11", 1))
	sealed := mustSeal(t, r, place, secretText)
	for what, change := range map[string]func(*seal.Place){
		"another account":           func(p *seal.Place) { p.Account = "1234567890123457" },
		"another region":            func(p *seal.Place) { p.Region = "cn-beijing" },
		"another name":              func(p *seal.Place) { p.Name = "Prod" },
		"another field":             func(p *seal.Place) { p.Field = "WeChatToken" },
		"no account":                func(p *seal.Place) { p.Account = "" },
		"no place":                  func(p *seal.Place) { *p = seal.Place{} },
		"region and name exchanged": func(p *seal.Place) { p.Region, p.Name = p.Name, p.Region },
		"a letter moved":            func(p *seal.Place) { p.Name, p.Field = "prodW", "eChatSecret" },
		"everything in one": func(p *seal.Place) {
			*p = seal.Place{Account: p.Account + p.Region + p.Name +
				p.Field}
		},
		"a zero byte more":           func(p *seal.Place) { p.Field += "\x00" },
		"the length of the next one": func(p *seal.Place) { p.Name, p.Field = "prod\x00\x00\x00\x0cWeChatSecret", "" },
	} {
		p := place
		change(&p)
		refuses(t, what, r, p, sealed, seal.ErrOpen)
	}
}

// TestPlacesDoNotRunTogether seals at every way to split "abc" into four and opens at every other.
func TestPlacesDoNotRunTogether(t *testing.T) {
	r := newRing(t, key("2026-11", 1))
	var places []seal.Place
	for i := 0; i <= 3; i++ {
		for j := i; j <= 3; j++ {
			for k := j; k <= 3; k++ {
				places = append(places, seal.Place{Account: "abc"[:i], Region: "abc"[i:j], Name: "abc"[j:k],
					Field: "abc"[k:]})
			}
		}
	}
	for _, from := range places {
		sealed := mustSeal(t, r, from, secretText)
		for _, to := range places {
			if from == to {
				if got, err := r.Open(to, sealed); err != nil || string(got) != secretText {
					t.Errorf("Open at %q = %q, %v", to, got, err)
				}
				continue
			}
			refuses(t, fmt.Sprintf("from %q to %q", from, to), r, to, sealed, seal.ErrOpen)
		}
	}
}

func TestOpenDamaged(t *testing.T) {
	// With a second key whose id differs in one bit, a changed id names an existing key.
	r := newRing(t, key("2026-11", 1), key("2026-10", 2))
	sealed := mustSeal(t, r, place, secretText)
	for bit := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[bit/8] ^= 1 << (bit % 8)
		if got, err := r.Open(place, damaged); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("bit %d flipped: Open = %q, %v, want %v", bit, got, err, seal.ErrOpen)
		}
	}
	for n := range sealed {
		refuses(t, fmt.Sprintf("cut to %d bytes", n), r, place, sealed[:n], seal.ErrOpen)
	}
	refuses(t, "nil", r, place, nil, seal.ErrOpen)
	refuses(t, "a byte more", r, place, append(bytes.Clone(sealed), 0), seal.ErrOpen)
	refuses(t, "far too long", r, place, append(bytes.Clone(sealed), make([]byte, seal.MaxPlaintext)...), seal.ErrOpen)
	refuses(t, "another version", r, place, append([]byte{2}, sealed[1:]...), seal.ErrOpen)
	refuses(t, "an invalid id", r, place, bytes.Replace(sealed, []byte("2026-11"), []byte("2026/11"), 1),
		seal.ErrOpen)
}

func TestRotation(t *testing.T) {
	older, newer := key("2026-10", 1), key("2026-11", 2)
	before, during, after := newRing(t, older), newRing(t, newer, older), newRing(t, newer)
	oldValue, newValue := mustSeal(t, before, place, "old"), mustSeal(t, during, place, "new")

	for _, c := range []struct {
		name   string
		ring   *seal.Ring
		sealed []byte
		want   string // an empty id is refused as unknown
	}{
		{"the ring before opens the old value", before, oldValue, "old"},
		{"the ring before refuses the new value", before, newValue, ""},
		{"the ring of both opens the old value", during, oldValue, "old"},
		{"the ring of both opens the new value", during, newValue, "new"},
		{"the ring after refuses the old value", after, oldValue, ""},
		{"the ring after opens the new value", after, newValue, "new"},
	} {
		if c.want == "" {
			refuses(t, c.name, c.ring, place, c.sealed, seal.ErrUnknownKey)
		} else if got, err := c.ring.Open(place, c.sealed); err != nil || string(got) != c.want {
			t.Errorf("%s: Open = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	refuses(t, "another secret under the same id", newRing(t, key("2026-10", 9)), place, oldValue, seal.ErrOpen)

	for _, c := range []struct {
		sealed []byte
		want   string
		stale  bool
	}{{oldValue, "2026-10", true}, {newValue, "2026-11", false}} {
		got, err := seal.KeyID(c.sealed)
		if err != nil || got != c.want {
			t.Errorf("KeyID = %q, %v, want %q", got, err, c.want)
		}
		if stale := got != during.Current(); stale != c.stale {
			t.Errorf("key %q: stale = %v, want %v", got, stale, c.stale)
		}
	}
}

func TestKeyIDRefusesWhatHasNotTheForm(t *testing.T) {
	r := newRing(t, key("2026-11", 1))
	empty, longest := mustSeal(t, r, place, ""), mustSeal(t, r, place, strings.Repeat("x", seal.MaxPlaintext))
	for _, sealed := range [][]byte{empty, longest} {
		if id, err := seal.KeyID(sealed); err != nil || id != "2026-11" {
			t.Errorf("KeyID of %d bytes = %q, %v", len(sealed), id, err)
		}
	}
	refused := [][]byte{[]byte("not sealed"), append(longest, 0),
		bytes.Replace(empty, []byte("2026-11"), []byte("2026/11"), 1)}
	for n := range empty {
		refused = append(refused, empty[:n])
	}
	for _, sealed := range refused {
		if id, err := seal.KeyID(sealed); !errors.Is(err, seal.ErrOpen) || id != "" {
			t.Errorf("KeyID of %d bytes %.20q = %q, %v, want %v", len(sealed), sealed, id, err, seal.ErrOpen)
		}
	}
}

func TestRingIsSafeForConcurrentUse(t *testing.T) {
	r := newRing(t, key("2026-11", 1), key("2026-10", 2))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			p := place
			p.Name = fmt.Sprint("name", g)
			for i := range 200 {
				want := fmt.Sprint("text", g, i)
				sealed, err := r.Seal(p, []byte(want))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := r.Open(p, sealed); err != nil || string(got) != want {
					t.Errorf("Open = %q, %v, want %q", got, err, want)
				}
				r.Derive("page")
			}
		})
	}
	wg.Wait()
}

// vectors are sealed values that must stay readable, because tables are full of them. The file may
// grow for a new version of the layout, but no line may change; therefore no test flag writes it.
type vectors struct {
	Ring   json.RawMessage
	Sealed []struct {
		Place  seal.Place
		Text   string
		Sealed []byte
	}
	Derived []struct {
		Purpose string
		Keys    [][]byte
	}
}

func readVectors(t testing.TB) (vectors, *seal.Ring) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Sealed) == 0 || len(v.Derived) == 0 {
		t.Fatal("no vectors in testdata/vectors.json")
	}
	r, err := seal.ParseRing(v.Ring)
	if err != nil {
		t.Fatal(err)
	}
	return v, r
}

func TestVectors(t *testing.T) {
	v, r := readVectors(t)
	for i, s := range v.Sealed {
		if got, err := r.Open(s.Place, s.Sealed); err != nil || string(got) != s.Text {
			t.Errorf("vector %d: Open = %q, %v, want %q", i, got, err, s.Text)
		}
	}
	for _, d := range v.Derived {
		got := r.Derive(d.Purpose)
		if len(got) != len(d.Keys) {
			t.Fatalf("Derive(%q): %d keys, want %d", d.Purpose, len(got), len(d.Keys))
		}
		for i := range got {
			if !bytes.Equal(got[i], d.Keys[i]) {
				t.Errorf("Derive(%q)[%d] = %x, want %x", d.Purpose, i, got[i], d.Keys[i])
			}
		}
	}
}

// TestLayout opens the vectors from the description of the layout alone, with its own HKDF and GCM.
func TestLayout(t *testing.T) {
	v, _ := readVectors(t)
	var ring struct {
		Keys []struct {
			ID  string
			Key []byte
		}
	}
	if err := json.Unmarshal(v.Ring, &ring); err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{}
	for _, k := range ring.Keys {
		secrets[k.ID] = k.Key
	}
	for i, s := range v.Sealed {
		n := int(s.Sealed[1])
		header, nonce, rest := s.Sealed[:2+n], s.Sealed[2+n:2+n+12], s.Sealed[2+n+12:]
		if header[0] != 1 {
			t.Fatalf("vector %d: version %d", i, header[0])
		}
		aad := bytes.Clone(header)
		for _, part := range []string{s.Place.Account, s.Place.Region, s.Place.Name, s.Place.Field} {
			aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
			aad = append(aad, part...)
		}
		block, err := aes.NewCipher(hkdfOneBlock(secrets[string(header[2:])], "chatconf/seal/v1", "AES-256-GCM"))
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := gcm.Open(nil, nonce, rest, aad); err != nil || string(got) != s.Text {
			t.Errorf("vector %d: opened to %q, %v, want %q", i, got, err, s.Text)
		}
	}
	for _, d := range v.Derived {
		for i, k := range ring.Keys {
			if want := hkdfOneBlock(k.Key, strings.Repeat("\x00", sha256.Size), d.Purpose); !bytes.Equal(d.Keys[i],
				want) {
				t.Errorf("derived %q[%d] = %x, want %x", d.Purpose, i, d.Keys[i], want)
			}
		}
	}
}

// hkdfOneBlock is RFC 5869 for an output of one hash.
func hkdfOneBlock(secret []byte, salt, info string) []byte {
	extract := hmac.New(sha256.New, []byte(salt))
	extract.Write(secret)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte(info + "\x01"))
	return expand.Sum(nil)
}

// FuzzOpen checks that only values from Seal open. The fuzzer does not have the keys, so an opened
// value must be one of the seeds.
func FuzzOpen(f *testing.F) {
	v, r := readVectors(f)
	texts := map[string]string{}
	for _, s := range v.Sealed {
		f.Add(s.Sealed, s.Place.Account, s.Place.Region, s.Place.Name, s.Place.Field)
		texts[string(s.Sealed)+fmt.Sprintf("%q", s.Place)] = s.Text
	}
	f.Fuzz(func(t *testing.T, sealed []byte, account, region, name, field string) {
		p := seal.Place{Account: account, Region: region, Name: name, Field: field}
		id, idErr := seal.KeyID(sealed)
		got, err := r.Open(p, sealed)
		if want, ok := texts[string(sealed)+fmt.Sprintf("%q", p)]; ok {
			if err != nil || string(got) != want || idErr != nil {
				t.Errorf("a vector opens to %q, %v, key %q, %v", got, err, id, idErr)
			}
			return
		}
		if !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("a forgery opens to %q, %v", got, err)
		}
		if idErr != nil && !errors.Is(idErr, seal.ErrOpen) {
			t.Errorf("KeyID: %v, want %v", idErr, seal.ErrOpen)
		}
		if idErr == nil && !bytes.HasPrefix(sealed, append([]byte{1, byte(len(id))}, id...)) {
			t.Errorf("KeyID = %q, the header is %q", id, sealed)
		}
		if p == (seal.Place{}) || len(sealed) > seal.MaxPlaintext {
			return
		}
		again, err := r.Seal(p, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Open(p, again); err != nil || !bytes.Equal(got, sealed) {
			t.Errorf("sealed %x and opened %x, %v", sealed, got, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r := newRing(b, key("2026-11", 1))
	plaintext := []byte(base64.StdEncoding.EncodeToString(make([]byte, 33)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Seal(place, plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	r := newRing(b, key("2026-11", 1))
	sealed := mustSeal(b, r, place, base64.StdEncoding.EncodeToString(make([]byte, 33)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Open(place, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
