package ots_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots/otstest"
)

func compress(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decompress(t testing.TB, body []byte) []byte {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	original, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return original
}

func TestCompression(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	value := string(bytes.Repeat([]byte("value "), 10_000))
	c.must(put("t", key("p", "k"), cols("v", value)))
	body := message(t, &otsprotocol.GetRowRequest{
		TableName: proto.String("t"), PrimaryKey: key("p", "k").Build(false), MaxVersions: proto.Int32(1),
	})
	r := newRaw(c.in, "GetRow", compress(t, body))
	r.headers["x-ots-request-compress-type"] = "deflate"
	r.headers["x-ots-request-compress-size"] = strconv.Itoa(len(body))
	r.headers["x-ots-response-compress-type"] = "deflate"
	res, original, failure := r.sign(c.in.KeySecret).send(t, c.in)
	if failure != "ok" || !bytes.Contains(original, []byte(value)) {
		t.Fatalf("the answer lacks the value: %s", failure)
	}
	if res.ContentLength > 1000 {
		t.Errorf("the answer has %d bytes", res.ContentLength)
	}
	text := ""
	for _, name := range []string{
		"x-ots-contentmd5", "x-ots-contenttype", "x-ots-date", "x-ots-requestid",
		"x-ots-response-compress-size", "x-ots-response-compress-type",
	} {
		text += name + ":" + res.Header.Get(name) + "\n"
	}
	for name, want := range map[string]string{
		"Authorization":                "OTS " + c.in.KeyID + ":" + hash(c.in.KeySecret, text+"/GetRow"),
		"x-ots-contentmd5":             md5Of(original),
		"x-ots-response-compress-size": strconv.Itoa(len(original)),
		"x-ots-response-compress-type": "deflate",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

// An empty answer is not compressed: the SDK for Java refuses the size 0. An error is compressed
// like a result.
func TestCompressionOfSmallAnswers(t *testing.T) {
	in := otstest.RunT(t)
	for operation, want := range map[string]string{"ListTable": "", "DescribeTable": "deflate"} {
		r := newRaw(in, operation, nil)
		r.headers["x-ots-response-compress-type"] = "deflate"
		res, _, _ := r.sign(in.KeySecret).send(t, in)
		if got := res.Header.Get("x-ots-response-compress-type"); got != want {
			t.Errorf("%s: x-ots-response-compress-type = %q, want %q", operation, got, want)
		}
	}
}

func TestCompressedRequestsThatAreRefused(t *testing.T) {
	in := otstest.RunT(t)
	const tooLarge = "413 OTSRequestBodyTooLarge: The size of POST data is too large."
	const invalid = "400 OTSParameterInvalid: "
	small := compress(t, make([]byte, 100))
	damaged := bytes.Clone(small)
	damaged[len(damaged)-1] ^= 1
	bomb := compress(t, make([]byte, 512<<20))
	for _, test := range []struct {
		name, kind, size string
		body             []byte
		want             string
	}{
		{"the largest", "deflate", "5242880", compress(t, make([]byte, 5<<20)),
			invalid + "Failed to parse the ProtoBuf message."},
		{"a larger one", "deflate", "5242881", compress(t, make([]byte, 5<<20+1)), tooLarge},
		{"a bomb", "deflate", "5242880", bomb, invalid + "Failed to decompress the request."},
		{"a bomb that says its size", "deflate", "536870912", bomb, tooLarge},
		{"a larger size", "deflate", "101", small, invalid + "Failed to decompress the request."},
		{"a smaller size", "deflate", "99", small, invalid + "Failed to decompress the request."},
		{"a wrong checksum", "deflate", "100", damaged, invalid + "Failed to decompress the request."},
		{"half of it", "deflate", "100", small[:len(small)/2], invalid + "Failed to decompress the request."},
		{"no zlib", "deflate", "100", []byte("text"), invalid + "Failed to decompress the request."},
		{"the size 0", "deflate", "0", small, invalid + "Invalid compress size: '0'."},
		{"an empty body", "deflate", "1", nil, invalid + "Failed to decompress the request."},
		{"no size", "deflate", "", small, invalid + "Invalid compress size: ''."},
		{"a negative size", "deflate", "-1", small, invalid + "Invalid compress size: '-1'."},
		{"another type", "gzip", "100", small, invalid + "Unsupported compress type: 'gzip'."},
	} {
		r := newRaw(in, "ListTable", test.body)
		r.headers["x-ots-request-compress-type"] = test.kind
		r.headers["x-ots-request-compress-size"] = test.size
		r.sign(in.KeySecret)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, _, got := r.send(t, in)
		runtime.ReadMemStats(&after)
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if res.StatusCode == http.StatusOK {
			t.Errorf("%s: status %d", test.name, res.StatusCode)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%s: allocated %d bytes", test.name, grown)
		}
	}
}
