package platformsim_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/platform/platformsim"
)

// officialFrames are frames that github.com/larksuite/oapi-sdk-go/v3 v3.5.3 wrote.
var officialFrames = map[string]platformsim.FeishuFrame{
	"0801108080808080808080800118fdffffffffffffffff0120012a0d0a047479706512056576656e742a100a0a6d6573736167655f6964" +
		"1202c3a93204677a69703a046a736f6e42027b7d4a036e6577": {
		Sequence: 1, Log: 1 << 63, Service: -3, Method: 1, Encoding: "gzip", Type: "json", Payload: []byte("{}"),
		NewLog:  "new",
		Headers: []platformsim.FeishuHeader{{Key: "type", Value: "event"}, {Key: "message_id", Value: "é"}},
	},
	"08001000180720002a0c0a0474797065120470696e6732003a004a00": {
		Service: 7, Headers: []platformsim.FeishuHeader{{Key: "type", Value: "ping"}},
	},
}

func TestFeishuFramesAreThoseOfTheOfficialClient(t *testing.T) {
	for text, want := range officialFrames {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := platformsim.ReadFeishuFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
		// The official client also writes texts that are empty.
		b = bytes.TrimSuffix(b, []byte("\x32\x00\x3a\x00\x4a\x00"))
		if written := platformsim.WriteFeishuFrame(got); !bytes.Equal(written, b) {
			t.Errorf("%x, want %x", written, b)
		}
	}
}

func TestFeishuFramesThatAreDamaged(t *testing.T) {
	const four = "\x08\x01\x10\x02\x18\x03\x20\x01"
	for name, b := range map[string]string{
		"nothing":                       "",
		"a required field is missing":   four[:6],
		"a number without an end":       four + "\x08\x80",
		"a tag without an end":          four + "\x80",
		"field 0":                       four + "\x00\x00",
		"bytes longer than the frame":   four + "\x42\x05ab",
		"a number where bytes belong":   four + "\x40\x01",
		"bytes where a number belongs":  four + "\x0a\x01a",
		"four bytes where bytes belong": four + "\x45abcd",
		"a group":                       four + "\x53\x54",
		"an unknown field cut short":    four + "\x51abc",
		"a header without its value":    four + "\x2a\x03\x0a\x01k",
		"a header that is a number":     four + "\x2a\x02\x08\x01",
		"a header cut short":            four + "\x2a\x01\x0a",
		"a key that is not UTF-8":       four + "\x2a\x06\x0a\x01\xff\x12\x01v",
		"a type that is not UTF-8":      four + "\x3a\x01\xff",
	} {
		if f, err := platformsim.ReadFeishuFrame([]byte(b)); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	const more = four + "\x50\x01\x59abcdefgh\x5dabcd\x62\x01x\x2a\x08\x0a\x01k\x12\x01v\x18\x01"
	f, err := platformsim.ReadFeishuFrame([]byte(more))
	if err != nil || len(f.Headers) != 1 || f.Headers[0] != (platformsim.FeishuHeader{Key: "k", Value: "v"}) {
		t.Errorf("with unknown fields: %+v, %v", f, err)
	}
}

// What is decoded, encoded and decoded again is the same.
func FuzzFeishuFrame(f *testing.F) {
	for text := range officialFrames {
		b, _ := hex.DecodeString(text)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := platformsim.ReadFeishuFrame(b)
		if err != nil {
			return
		}
		again, err := platformsim.ReadFeishuFrame(platformsim.WriteFeishuFrame(frame))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frame, again); diff != "" {
			t.Error(diff)
		}
	})
}
