package callback_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// samples are the vendors' published envelopes.
func samples(t testing.TB) map[string]map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) < 7 {
		t.Fatalf("%d samples: %v", len(names), err)
	}
	all := make(map[string]map[string]string)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fields := make(map[string]string)
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok &&
				!strings.HasPrefix(line, "#") {
				fields[key] = value
			}
		}
		message, err := hex.DecodeString(fields["message"])
		if err != nil {
			t.Fatal(err)
		}
		fields["message"] = string(message)
		all[name] = fields
	}
	return all
}

func key(t testing.TB, text string) callback.EnvelopeKey {
	t.Helper()
	k, err := callback.ParseEnvelopeKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// crypt is AES-256-CBC as the vendors describe it, by another way than the package's.
func crypt(t testing.TB, keyText string, plain []byte) string {
	t.Helper()
	k, err := base64.StdEncoding.DecodeString(keyText + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, k[:16]).CryptBlocks(out, plain)
	return base64.StdEncoding.EncodeToString(out)
}

func decrypt(t testing.TB, keyText, text string) []byte {
	t.Helper()
	k, _ := base64.StdEncoding.DecodeString(keyText + "=")
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, k[:16]).CryptBlocks(b, b)
	return b
}

func TestPublishedSamples(t *testing.T) {
	for name, s := range samples(t) {
		if got := callback.SignEnvelope(s["token"], s["timestamp"], s["nonce"], s["encrypt"]); got != s["signature"] {
			t.Errorf("%s: signature = %s, want %s", name, got, s["signature"])
		}
		message, receiver, err := key(t, s["key"]).Open(s["encrypt"], 32)
		if err != nil || message != s["message"] || receiver != s["receiver"] {
			t.Errorf("%s: opens to %q for %q, %v", name, message, receiver, err)
		}
		plain := decrypt(t, s["key"], s["encrypt"])
		if got := strconv.Itoa(int(plain[len(plain)-1])); got != s["pad"] {
			t.Errorf("%s: its padding is %s, want %s", name, got, s["pad"])
		}
		again, err := key(t, s["key"]).Seal(bytes.NewReader(plain[:16]), s["message"], s["receiver"])
		if err != nil || again != s["encrypt"] {
			t.Errorf("%s: sealed again it is another: %v", name, err)
		}
	}
}

func TestEveryPublishedSampleIsDamagedByAnyChange(t *testing.T) {
	for name, s := range samples(t) {
		k := key(t, s["key"])
		for at := range len(s["encrypt"]) {
			for _, c := range []byte{'A', 'z', '=', '\n', ' ', '-'} {
				changed := s["encrypt"][:at] + string(c) + s["encrypt"][at+1:]
				if changed == s["encrypt"] {
					continue
				}
				// The envelope's cipher authenticates nothing, so a change may open: but never to
				// the same message, which would be two forms of one.
				message, receiver, err := k.Open(changed, 32)
				if err == nil && message == s["message"] && receiver == s["receiver"] && at > 22 {
					t.Errorf("%s: changed at %d it opens to the same", name, at)
				}
				if strings.ContainsAny(string(c), "\n -") && err == nil {
					t.Errorf("%s: %q at %d is taken", name, c, at)
				}
			}
		}
		for n := range len(s["encrypt"]) + 1 { // which the decoder of base64 would pass over
			for _, end := range []string{"\n", "\r", "\r\n"} {
				if _, _, err := k.Open(s["encrypt"][:n]+end+s["encrypt"][n:], 32); err == nil {
					t.Errorf("%s: with a line end at %d it opens", name, n)
				}
			}
		}
		for n := range len(s["encrypt"]) {
			if _, _, err := k.Open(s["encrypt"][:n], 32); n < 43 && err == nil {
				t.Errorf("%s: cut to %d it opens", name, n)
			}
		}
	}
}

const keyText = "notarealkeynotarealkeynotarealkeynotarealke"

func TestDamage(t *testing.T) {
	sealed := func(length uint32, rest string, pad ...byte) string {
		plain := binary.BigEndian.AppendUint32(make([]byte, 16), length)
		return crypt(t, keyText, append(append(plain, rest...), pad...))
	}
	run := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }
	for name, test := range map[string]struct {
		encrypt  string
		multiple int
		opens    bool
	}{
		"a message and a receive id": {sealed(2, "hi"+"me", run(8)...), 32, true},
		"nothing, for nobody":        {sealed(0, "", run(12)...), 32, true},
		"a whole block of padding":   {sealed(2, "hi"+"0123456789", run(32)...), 32, true},
		"padding of no bytes": {sealed(2, "hi0123456789"+strings.Repeat("\x00", 32)),
			32, false},
		"padding of 33 bytes":                        {sealed(2, "hi012345678"+strings.Repeat("!", 33)), 32, false},
		"padding whose bytes differ":                 {sealed(2, "hi"+"me", 8, 8, 8, 7, 8, 8, 8, 8), 32, false},
		"padding that reaches into the length":       {sealed(0x1f1f1f1f, "", run(12)...), 32, false},
		"a length beyond the end":                    {sealed(5, "hi"+"me", run(8)...), 32, false},
		"a length that is negative as 32 bits":       {sealed(0xffffffff, "hi"+"me", run(8)...), 32, false},
		"no multiple of 32, where there must be":     {sealed(2, "hi"+"0123456789abcdef01", run(8)...), 32, false},
		"no multiple of 32, where there need not be": {sealed(2, "hi"+"0123456789abcdef01", run(8)...), 16, true},
		"nothing at all":                             {"", 16, false},
		"one block":                                  {crypt(t, keyText, run(16)), 16, false},
		"no multiple of the cipher's block": {base64.StdEncoding.EncodeToString(make([]byte, 40)),
			16, false},
		"base64 without its end": {strings.TrimRight(sealed(2, "hi"+"me", run(8)...), "="),
			32, false},
		"the alphabet of URLs": {strings.NewReplacer("+", "-", "/",
			"_").Replace(sealed(2, "hi"+"mz", run(8)...)) + "-_", 32, false},
		"a padding longer than all that is not a header": {crypt(t, keyText, run(32)), 32, false},
	} {
		_, _, err := key(t, keyText).Open(test.encrypt, test.multiple)
		if opens := err == nil; opens != test.opens {
			t.Errorf("%s: opens = %v, want %v", name, opens, test.opens)
		}
	}
	good := sealed(2, "hi"+"me", run(8)...)
	last := strings.TrimRight(good, "=")
	if i := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		last[len(last)-1]); i >= 0 {
		other := last[:len(last)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i^1]) +
			good[len(last):]
		if _, _, err := key(t, keyText).Open(other, 32); err == nil {
			t.Error("base64 with other bits where none are looked at: opens")
		}
	}
}

func TestParseKey(t *testing.T) {
	for _, text := range []string{"", keyText[1:], keyText + "a", keyText[1:] +
		"=", keyText[1:] + "\n", "!" + keyText[1:]} {
		if _, err := callback.ParseEnvelopeKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("ParseEnvelopeKey(%q) = %v", text, err)
		}
	}
}

func settings(pairs ...string) callback.Settings {
	s := callback.Settings{"Token": "notarealtoken", "Key": keyText}
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = secret.Text(pairs[i+1])
	}
	return s
}

func TestNewBox(t *testing.T) {
	for name, s := range map[string]callback.Settings{
		"no token": settings("Token", ""), "no key": settings("Key", ""),
		"an invalid key": settings("Key", "short"), "an invalid previous key": settings("KeyPrevious", "short"),
		"only previous ones": {"TokenPrevious": "notarealtoken", "KeyPrevious": keyText},
	} {
		if _, err := callback.NewBox(s, "Token", "Key", "Receiver", 32); err == nil {
			t.Errorf("%s: a box is made", name)
		}
	}
}

// While both are rotated, either token goes with either key: a console may save them one after the
// other.
func TestRotation(t *testing.T) {
	const oldKey = "anoldkeyanoldkeyanoldkeyanoldkeyanoldkeyano"
	box, err := callback.NewBox(settings("TokenPrevious", "oldtoken", "KeyPrevious", oldKey),
		"Token", "Key", "Receiver", 32)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"notarealtoken", "oldtoken"} {
		for _, k := range []string{keyText, oldKey} {
			encrypt, err := key(t, k).Seal(bytes.NewReader(make([]byte, 16)), "hi", "me")
			if err != nil {
				t.Fatal(err)
			}
			session, err := box.Verify(callback.SignEnvelope(token, "1", "2", encrypt), "1", "2", encrypt)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := box.Open(session, encrypt, "you", "me"); err != nil || got != "hi" {
				t.Errorf("%s, %s: opens to %q, %v", token, k, got, err)
			}
			a, err := session.Seal(bytes.NewReader(make([]byte, 16)), "ho", "3", "4")
			if err != nil {
				t.Fatal(err)
			}
			if a.Signature != callback.SignEnvelope(token, "3", "4", a.Encrypt) {
				t.Errorf("the answer is not signed with the token that verified")
			}
			if message, receiver, err := key(t, k).Open(a.Encrypt, 32); err != nil ||
				message != "ho" || receiver != "me" {
				t.Errorf("the answer opens to %q for %q, %v", message, receiver, err)
			}
			if _, err := session.Seal(iotest.ErrReader(errors.New("no random bytes")), "ho", "3", "4"); err == nil {
				t.Error("an answer is sealed without random bytes")
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	box, err := callback.NewBox(settings(), "Token", "Key", "Receiver", 32)
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := key(t, keyText).Seal(bytes.NewReader(make([]byte, 16)), "hi", "me")
	if err != nil {
		t.Fatal(err)
	}
	good := callback.SignEnvelope("notarealtoken", "1", "2", encrypt)
	for name, signature := range map[string]string{"empty": "", "in capitals": strings.ToUpper(good), "short": good[1:],
		"no digits": "x" + good[1:], "with a blank": " " + good[1:],
		"with an empty token": callback.SignEnvelope("", "1", "2", encrypt)} {
		if _, err := box.Verify(signature, "1", "2", encrypt); stepOf(err) != callback.StepSignature {
			t.Errorf("a signature that is %s: %v", name, err)
		}
	}
	if _, err := box.Verify(good, "1", "2", encrypt[:3]+" "+encrypt[4:]); stepOf(err) != callback.StepSignature ||
		!strings.Contains(err.Error(), "blanks") {
		t.Errorf("blanks in the ciphertext: %v", err)
	}
	session, err := box.Verify(good, "1", "2", encrypt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Open(session, encrypt, "you", ""); stepOf(err) != callback.StepReceiver {
		t.Errorf("for another: %v", err)
	}
	if _, err := box.Open(session, encrypt); stepOf(err) != callback.StepReceiver {
		t.Errorf("for nobody: %v", err)
	}
	if _, err := box.Open(session, encrypt[1:], "me"); stepOf(err) != callback.StepDecrypt {
		t.Errorf("damaged: %v", err)
	}
}

// FuzzOpen holds that whatever opens is what Seal makes of it with the same random bytes, or has
// other padding: there is no second form.
func FuzzOpen(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s["encrypt"], s["key"])
	}
	f.Add("", keyText)
	f.Fuzz(func(t *testing.T, encrypt, text string) {
		k, err := callback.ParseEnvelopeKey(text)
		if err != nil {
			return
		}
		message, receiver, err := k.Open(encrypt, 16)
		if err != nil {
			if message != "" || receiver != "" {
				t.Error("something of what is damaged is given out")
			}
			return
		}
		plain := decrypt(t, text, encrypt)
		again, err := k.Seal(bytes.NewReader(plain[:16]), message, receiver)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) == len(encrypt) && again != encrypt {
			t.Errorf("%q and %q are one envelope", encrypt, again)
		}
	})
}

// FuzzSeal holds that what is sealed opens to itself, and with another key to nothing.
func FuzzSeal(f *testing.F) {
	f.Add("hello", "wwexample", []byte("0123456789abcdef"))
	f.Add("", "", make([]byte, 16))
	f.Fuzz(func(t *testing.T, message, receiver string, random []byte) {
		encrypt, err := key(t, keyText).Seal(bytes.NewReader(random), message, receiver)
		if err != nil {
			if len(random) >= 16 {
				t.Error(err)
			}
			return
		}
		gotMessage, gotReceiver, err := key(t, keyText).Open(encrypt, 32)
		if err != nil || gotMessage != message || gotReceiver != receiver {
			t.Errorf("opens to %q for %q, %v", gotMessage, gotReceiver, err)
		}
		if m, r, err := key(t, "x"+keyText[1:]).Open(encrypt, 32); err == nil && m == message && r == receiver {
			t.Error("another key opens it")
		}
	})
}

// An old callback is not made fresh by exchanging its time and its nonce, or by moving digits
// between them.
func TestCurrent(t *testing.T) {
	now := time.Unix(1_795_420_800, 0) // 2026-11-23
	for name, test := range map[string]struct {
		timestamp, nonce string
		ok               bool
	}{
		"a nonce of letters":                        {"1795420800", "nEXhMP4r", true},
		"a nonce of letters and digits":             {"1795420800", "q7q1m3ag1ws", true},
		"a nonce of nine digits":                    {"1795420800", "263014780", true},
		"a nonce of ten digits, before any robot":   {"1795420800", "1372623149", true},
		"a nonce a few hours ahead, as WeCom's":     {"1795420800", "1795452441", true},
		"a nonce that is as fresh":                  {"1795420800", "1795420700", true},
		"a nonce a day ago: exchanged":              {"1795420800", "1795334400", false},
		"a nonce an hour ago: exchanged":            {"1795420700", "1795417200", false},
		"a nonce just older than the window":        {"1795420800", "1795420499", false},
		"digits moved, of 1795334401 and 795420800": {"1795420800", "179533440", false},
		"milliseconds, exchanged":                   {"1795420800000", "1795334400000", false},
		"an old time in seconds, a new one in both": {"1795420800000", "1795334400", false},
		"a digit moved over from an old time":       {"1795420800", "17953344001", false},
		"a nonce that begins with a zero":           {"1795420800", "0795334400", true},
	} {
		err := callback.Current(now, test.timestamp, test.nonce, 5*time.Minute)
		if (err == nil) != test.ok || err != nil && stepOf(err) != callback.StepFreshness {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzCurrent holds that of an old callback no other time and nonce with the same signature pass.
func FuzzCurrent(f *testing.F) {
	now := time.Unix(1_795_420_800, 0)
	f.Add(int64(86_400), "1795420800", "notarealtoken")
	f.Add(int64(86_400), "17954208005", "1token")
	f.Add(int64(7_000_000), "795420800123", "17")
	f.Fuzz(func(t *testing.T, age int64, nonce, token string) {
		if age < 301 || age > 50_000_000 || nonce == "" || len(nonce) > 40 || token == "" {
			return
		}
		old := strconv.FormatInt(now.Unix()-age, 10)
		signature := callback.SignEnvelope(token, old, nonce, "RypE")
		for _, joined := range []string{old + nonce, nonce + old} {
			for cut := 1; cut < len(joined); cut++ {
				for _, other := range [][2]string{{joined[:cut], joined[cut:]}, {joined[cut:], joined[:cut]}} {
					if other == [2]string{old, nonce} || callback.SignEnvelope(token,
						other[0], other[1], "RypE") != signature {
						continue
					}
					at, err := callback.SecondsOrMillis(other[0])
					if err != nil || callback.Fresh("it", now, at, 5*time.Minute) != nil {
						continue
					}
					if callback.Current(now, other[0], other[1], 5*time.Minute) == nil {
						t.Errorf("of the time %s and the nonce %s, %q became fresh", old, nonce, other)
					}
				}
			}
		}
	})
}

func TestARefusalNamesTheReceiveIDAndItsSetting(t *testing.T) {
	box, err := callback.NewBox(settings(), "Token", "Key", "Receiver", 32)
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := key(t, keyText).Seal(bytes.NewReader(make([]byte, 16)), "hi", "dingcorp")
	if err != nil {
		t.Fatal(err)
	}
	_, err = box.Open(new(callback.Session), encrypt, "dingexample")
	if stepOf(err) != callback.StepReceiver || !strings.Contains(err.Error(), `set Receiver to it`) ||
		!strings.Contains(err.Error(), `"dingcorp"`) {
		t.Errorf("Open = %v", err)
	}
}
