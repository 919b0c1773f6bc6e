package page_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/page"
)

// key returns a key for tests.
func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, page.KeySize) }

func newCodec(t testing.TB, keys ...[]byte) *page.Codec {
	t.Helper()
	c, err := page.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refuses fails the test unless Decode returns exactly ErrInvalid and no cursor.
func refuses(t *testing.T, what string, c *page.Codec, token string, scope ...string) {
	t.Helper()
	if got, err := c.Decode(token, scope...); err != page.ErrInvalid || got != nil {
		t.Errorf("%s: Decode = %q, %v, want %v", what, got, err, page.ErrInvalid)
	}
}

var scope = []string{"1234567890123456", "cn-hangzhou", "ListChatConfigurations", "Type=Slack"}

func TestNewRefuses(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"no keys":           nil,
		"an empty key":      {{}},
		"a short key":       {key(1)[:16]},
		"a long key":        {append(key(1), 1)},
		"a short key later": {key(1), key(2)[:31]},
		"a key of zeros":    {key(0)},
	} {
		if c, err := page.New(keys...); err == nil || c != nil {
			t.Errorf("%s: New = %v, %v, want an error", name, c, err)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	c := newCodec(t, key(1))
	for _, cursor := range []string{"", "c#prod", "c#\x00\xff", strings.Repeat("x", 1024),
		strings.Repeat("x", page.MaxCursor)} {
		token := c.Encode([]byte(cursor), scope...)
		got, err := c.Decode(token, scope...)
		if err != nil || string(got) != cursor {
			t.Errorf("Decode of a cursor of %d bytes = %d bytes, %v", len(cursor), len(got), err)
		}
		if len(token) > page.MaxToken {
			t.Errorf("a cursor of %d bytes makes a token of %d characters, the most is %d", len(cursor), len(token),
				page.MaxToken)
		}
		if escaped := url.QueryEscape(token); escaped != token || url.PathEscape(token) != token {
			t.Errorf("token %q needs escaping", token)
		}
		if token == c.Encode([]byte(cursor), scope...) {
			t.Errorf("the same token twice: %q", token)
		}
	}
	if got, want := len(c.Encode(make([]byte, page.MaxCursor))), page.MaxToken; got != want {
		t.Errorf("the longest token has %d characters, want %d", got, want)
	}
}

func TestTokenIsOpaque(t *testing.T) {
	token := newCodec(t, key(1)).Encode([]byte("c#very-secret-name"), scope...)
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range append([]string{"secret"}, scope...) {
		if bytes.Contains(data, []byte(word)) {
			t.Errorf("the token shows %q", word)
		}
	}
}

func TestEncodePanicsBeyondMaxCursor(t *testing.T) {
	c := newCodec(t, key(1))
	defer func() {
		if recover() == nil {
			t.Error("Encode of a cursor over MaxCursor does not panic")
		}
	}()
	c.Encode(make([]byte, page.MaxCursor+1))
}

func TestDecodeForeignScope(t *testing.T) {
	c := newCodec(t, key(1))
	token := c.Encode([]byte("c#prod"), scope...)
	for name, other := range map[string][]string{
		"another account":      {"1234567890123457", scope[1], scope[2], scope[3]},
		"another region":       {scope[0], "cn-beijing", scope[2], scope[3]},
		"another action":       {scope[0], scope[1], "ListTagKeys", scope[3]},
		"another filter":       {scope[0], scope[1], scope[2], "Type=Teams"},
		"no filter":            {scope[0], scope[1], scope[2]},
		"an empty one more":    {scope[0], scope[1], scope[2], scope[3], ""},
		"another order":        {scope[1], scope[0], scope[2], scope[3]},
		"a letter moved":       {scope[0], "cn-hangzhouL", "istChatConfigurations", scope[3]},
		"all in one":           {strings.Join(scope, "")},
		"lengths in the words": {scope[0], scope[1], scope[2] + "\x00\x00\x00\x0a" + scope[3]},
		"none":                 nil,
	} {
		refuses(t, name, c, token, other...)
	}
}

// TestScopesDoNotRunTogether tries every way to split "ab" into up to three strings against every
// other.
func TestScopesDoNotRunTogether(t *testing.T) {
	c := newCodec(t, key(1))
	scopes := [][]string{nil, {""}, {"", ""}, {"", "", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a", "", "b"},
		{"", "a", "b"},
		{"a", "b", ""}, {"ab", "", ""}, {"", "ab", ""}, {"", "", "ab"}}
	for i, from := range scopes {
		token := c.Encode([]byte("x"), from...)
		for j, to := range scopes {
			if i != j {
				refuses(t, fmt.Sprintf("from %q to %q", from, to), c, token, to...)
			} else if got, err := c.Decode(token, to...); err != nil || string(got) != "x" {
				t.Errorf("scope %q: Decode = %q, %v", to, got, err)
			}
		}
	}
}

func TestDecodeDamaged(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	c := newCodec(t, key(1))
	for _, cursor := range []string{"c#p", "c#pr", "c#pro"} { // one for each number of bits after the end
		token := c.Encode([]byte(cursor), scope...)
		for i := range token {
			for _, b := range []byte(alphabet) {
				if b != token[i] {
					refuses(t, fmt.Sprintf("character %d changed to %c", i, b), c, token[:i]+string(b)+token[i+1:],
						scope...)
				}
			}
			for bit := range 8 {
				refuses(t, fmt.Sprintf("bit %d of character %d flipped", bit, i), c, token[:i]+
					string([]byte{token[i] ^ 1<<bit})+token[i+1:], scope...)
			}
			refuses(t, fmt.Sprintf("cut to %d characters", i), c, token[:i], scope...)
			for _, extra := range []string{"\n", "\r", "\r\n", "=", " ", "A"} {
				refuses(t, fmt.Sprintf("%q put in at %d", extra, i), c, token[:i]+extra+token[i:], scope...)
			}
		}
		for _, extra := range []string{"\n", "\r\n", "=", "==", " ", "A", "AA", "%3D", "\x00"} {
			refuses(t, fmt.Sprintf("%q at the end", extra), c, token+extra, scope...)
		}
		data, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(data) * 8 {
			damaged := bytes.Clone(data)
			damaged[bit/8] ^= 1 << (bit % 8)
			refuses(t, fmt.Sprintf("bit %d flipped", bit), c, base64.RawURLEncoding.EncodeToString(damaged), scope...)
		}
		for n := range data {
			refuses(t, fmt.Sprintf("cut to %d bytes", n), c, base64.RawURLEncoding.EncodeToString(data[:n]), scope...)
		}
		if len(data)%3 != 0 {
			refuses(t, "padded", c, base64.URLEncoding.EncodeToString(data), scope...)
		}
		data[0]++
		refuses(t, "another version", c, base64.RawURLEncoding.EncodeToString(data), scope...)
	}
	refuses(t, "too long", c, strings.Repeat("A", page.MaxToken+4), scope...)
	refuses(t, "something else", c, "c#prod", scope...)
}

func TestRotation(t *testing.T) {
	before, during, after := newCodec(t, key(1)), newCodec(t, key(2), key(1)), newCodec(t, key(2))
	oldToken, newToken := before.Encode([]byte("old"), scope...), during.Encode([]byte("new"), scope...)

	refuses(t, "the new token before", before, newToken, scope...)
	refuses(t, "the old token after its key is gone", after, oldToken, scope...)
	for _, c := range []struct {
		name  string
		codec *page.Codec
		token string
		want  string
	}{
		{"the old token with both keys", during, oldToken, "old"},
		{"the new token with both keys", during, newToken, "new"},
		{"the new token with its key", after, newToken, "new"},
	} {
		if got, err := c.codec.Decode(c.token, scope...); err != nil || string(got) != c.want {
			t.Errorf("%s: Decode = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// golden is a token for the cursor c#prod and scope, made when version 1 was introduced. It must
// stay valid: clients keep such tokens across a deployment.
const golden = "AfHj10DLI7lgLGBswu6_jnrr4zvalj2tHYYZX52Ql-kiivY"

func TestGoldenToken(t *testing.T) {
	if got, err := newCodec(t, key(1)).Decode(golden, scope...); err != nil || string(got) != "c#prod" {
		t.Errorf("Decode = %q, %v, want %q", got, err, "c#prod")
	}
}

// TestLayout makes tokens from the description of the layout alone. A token that is too long is
// refused, even if it is genuine.
func TestLayout(t *testing.T) {
	block, err := aes.NewCipher(key(1))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(cursor []byte) string {
		aad := []byte{1}
		for _, s := range scope {
			aad = append(binary.BigEndian.AppendUint32(aad, uint32(len(s))), s...)
		}
		nonce := []byte("twelve bytes")
		return base64.RawURLEncoding.EncodeToString(gcm.Seal(append([]byte{1}, nonce...), nonce, cursor, aad))
	}
	c := newCodec(t, key(1))
	cursor := bytes.Repeat([]byte("x"), page.MaxCursor)
	if got, err := c.Decode(encode(cursor), scope...); err != nil || !bytes.Equal(got, cursor) {
		t.Errorf("Decode of the longest token = %d bytes, %v", len(got), err)
	}
	refuses(t, "a byte too long", c, encode(append(cursor, 'x')), scope...)
}

// FuzzDecode checks that only tokens from Encode decode. The fuzzer does not have the key, so a
// decoded token must be the golden one.
func FuzzDecode(f *testing.F) {
	c := newCodec(f, key(1))
	f.Add(golden, scope[0], scope[1], scope[2], scope[3])
	f.Add(golden, scope[0]+"c", scope[1][1:], scope[2], scope[3])
	f.Add(golden+"\n", scope[0], scope[1], scope[2], scope[3])
	f.Add(golden+"=", "", "", "", "")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, token, scope1, scope2, scope3, scope4 string) {
		foreign := []string{scope1, scope2, scope3, scope4}
		got, err := c.Decode(token, foreign...)
		if isGolden := token == golden && slices.Equal(foreign, scope); isGolden != (err == nil) {
			t.Errorf("Decode(%q, %q) = %q, %v", token, foreign, got, err)
		}
		if err != nil && (err != page.ErrInvalid || got != nil) {
			t.Errorf("Decode = %q, %v, want %v", got, err, page.ErrInvalid)
		}
		if len(token) > page.MaxCursor {
			return
		}
		again, err := c.Decode(c.Encode([]byte(token), foreign...), foreign...)
		if err != nil || string(again) != token {
			t.Errorf("encoded %q and decoded %q, %v", token, again, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	c := newCodec(b, key(1))
	cursor := []byte("i#Type#Slack#prod-alerts")
	b.ReportAllocs()
	for b.Loop() {
		c.Encode(cursor, scope...)
	}
}

func BenchmarkDecode(b *testing.B) {
	c := newCodec(b, key(1))
	token := c.Encode([]byte("i#Type#Slack#prod-alerts"), scope...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(token, scope...); err != nil {
			b.Fatal(err)
		}
	}
}
