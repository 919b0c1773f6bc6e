package feishu_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/platform/feishu"
)

// pushed is a frame as the official client writes it: SeqID 7, LogID 300, service -1, method 1, two
// headers, and texts. The bytes were computed by hand from the definition.
var pushed = []byte("\x08\x07\x10\xac\x02" + "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + "\x20\x01" +
	"\x2a\x0d\x0a\x04type\x12\x05event" + "\x2a\x08\x0a\x03sum\x12\x011" +
	"\x32\x00" + "\x3a\x04json" + "\x42\x02{}" + "\x4a\x03new")

func TestFrame(t *testing.T) {
	want := feishu.Frame{SeqID: 7, LogID: 300, Service: -1, Method: 1,
		Headers: [][2]string{{"type", "event"}, {"sum", "1"}}, Kind: "json", Payload: []byte("{}"), NewLogID: "new"}
	got, err := feishu.DecodeFrame(pushed)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if b := got.Encode(); !bytes.Equal(b, pushed) {
		t.Errorf("encoded\n%q, want\n%q", b, pushed)
	}
	// A ping has no payload, which is not an empty one.
	ping := feishu.Frame{Headers: [][2]string{{"type", "ping"}}}
	if b := ping.Encode(); bytes.Contains(b, []byte{0x42}) {
		t.Errorf("a frame without a payload has one: %q", b)
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	const required = "\x08\x01\x10\x01\x18\x01\x20\x01"
	for name, test := range map[string]struct {
		frame string
		ok    bool
	}{
		"the required fields":                {required, true},
		"an unknown varint":                  {required + "\x50\x01", true},
		"unknown bytes":                      {required + "\x52\x01x", true},
		"unknown 64 bits":                    {required + "\x5112345678", true},
		"unknown 32 bits":                    {required + "\x551234", true},
		"a header with an unknown field":     {required + "\x2a\x08\x0a\x01a\x12\x01b\x18\x01", true},
		"nothing":                            {"", false},
		"no method":                          {"\x08\x01\x10\x01\x18\x01", false},
		"no SeqID":                           {"\x10\x01\x18\x01\x20\x01", false},
		"field 0":                            {required + "\x00\x01", false},
		"a field number that is too large":   {required + "\x80\x80\x80\x80\x10\x01", false},
		"a group":                            {required + "\x53\x54", false},
		"a wire type that does not exist":    {required + "\x57", false},
		"a known field of another wire type": {"\x0a\x01x" + required[2:], false},
		"a payload of another wire type":     {required + "\x40\x01", false},
		"a field twice":                      {required + "\x08\x01", false},
		"a payload twice":                    {required + "\x42\x01x\x42\x01x", false},
		"a service beyond 32 bits":           {"\x08\x01\x10\x01\x18\x80\x80\x80\x80\x08\x20\x01", false},
		"a varint without an end":            {required + "\x50\x80", false},
		"a varint of eleven bytes":           {required + "\x50" + strings.Repeat("\x80", 10) + "\x01", false},
		"a tag without an end":               {required + "\x80", false},
		"a length without an end":            {required + "\x42\x80", false},
		"bytes beyond the end":               {required + "\x42\x02x", false},
		"bytes far beyond the end":           {required + "\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", false},
		"64 bits beyond the end":             {required + "\x511234567", false},
		"32 bits beyond the end":             {required + "\x55123", false},
		"a header without a key":             {required + "\x2a\x03\x12\x01b", false},
		"a header without a value":           {required + "\x2a\x03\x0a\x01a", false},
		"a header with two keys":             {required + "\x2a\x09\x0a\x01a\x0a\x01a\x12\x01b", false},
		"a header with a number for a value": {required + "\x2a\x05\x0a\x01a\x10\x01", false},
		"a damaged header":                   {required + "\x2a\x01\x0a", false},
		"64 headers":                         {required + strings.Repeat("\x2a\x06\x0a\x01a\x12\x01b", 64), true},
		"65 headers":                         {required + strings.Repeat("\x2a\x06\x0a\x01a\x12\x01b", 65), false},
	} {
		if _, err := feishu.DecodeFrame([]byte(test.frame)); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFrame holds that a frame that is decoded is the same when it is encoded and decoded again,
// and that a frame without its last byte is none.
func FuzzFrame(f *testing.F) {
	f.Add(pushed)
	f.Add([]byte("\x08\x01\x10\x01\x18\x01\x20\x01\x50\x01"))
	f.Add([]byte("\x08\x01\x10\x01\x18\x01\x20\x00\x2a\x0c\x0a\x04type\x12\x04ping"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := feishu.DecodeFrame(b)
		if err != nil {
			return
		}
		encoded := once.Encode()
		twice, err := feishu.DecodeFrame(encoded)
		if diff := cmp.Diff(once, twice); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if _, err := feishu.DecodeFrame(encoded[:len(encoded)-1]); err == nil {
			t.Errorf("a frame without its last byte is a frame: %q", encoded)
		}
	})
}
