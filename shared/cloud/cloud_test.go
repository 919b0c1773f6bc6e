package cloud_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/cloud"
)

// planted is part of every secret in these tests.
const planted = "PLANTED"

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// An answer is the response to one request. Status zero means no response, after the given time; a
// negative status means a server with an unknown certificate.
type answer struct {
	status int
	body   string
	after  time.Duration
}

// ask calls a service that gives these answers, repeating the last, and returns the number of
// requests.
func ask(ctx context.Context, answers ...answer) (opened []byte, asked int, err error) {
	network := transport(func(r *http.Request) (*http.Response, error) {
		a := answers[min(asked, len(answers)-1)]
		asked++
		if a.status < 0 {
			return nil, &tls.CertificateVerificationError{Err: errors.New("a stranger")}
		}
		if a.status == 0 {
			select {
			case <-time.After(a.after):
				return nil, errors.New("connection reset, says " + planted)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return &http.Response{StatusCode: a.status, Body: io.NopCloser(strings.NewReader(a.body)),
			Header: http.Header{"Location": {"http://192.0.2.1/"}}, Request: r}, nil
	})
	sign := func(context.Context) (cloud.Request, error) {
		r, err := http.NewRequest(http.MethodPost, "http://kms.example/", strings.NewReader("body"))
		return cloud.Request{Request: r, Secrets: []string{planted, ""}}, err
	}
	opened, err = cloud.Ask(ctx, cloud.Question{Transport: network, Sign: sign,
		Read: func(status int, _ http.Header, body []byte) ([]byte, error) {
			if status == http.StatusOK {
				return body, nil
			}
			return nil, &cloud.Refusal{Status: status, Code: "Code", Message: string(body),
				Retryable: cloud.Retryable(status)}
		}})
	return opened, asked, err
}

func TestWhatIsAskedAgain(t *testing.T) {
	good := answer{status: 200, body: "ring"}
	for _, test := range []struct {
		name    string
		answers []answer
		asked   int
		says    string // empty: the call succeeds
	}{
		{"answered at once", []answer{good}, 1, ""},
		{"answered in the end", []answer{{status: 503}, {status: 500}, {status: 429}, {}, good}, 5, ""},
		{"never answered in the time of a request", []answer{{after: time.Hour}, good}, 2, ""},
		{"refused", []answer{{status: 400, body: "no, " + planted}, good}, 1, `Code, status 400: "no, [secret]"`},
		{"refused at length", []answer{{status: 400, body: strings.Repeat("x", 296) + planted}}, 1, `xxx[sec"`},
		{"sent elsewhere", []answer{{status: 307}, good}, 1, "status 307"},
		{"not to be had", []answer{{status: 503}}, 5, "status 503"},
		{"cut off", []answer{{}}, 5, "connection reset, says [secret]"},
		{"answered by a stranger", []answer{{status: -1}, good}, 1, "a stranger"},
		{"answered too much", []answer{{status: 200, body: strings.Repeat("x", 65<<10)}, good}, 1, "more than"},
	} {
		synctest.Test(t, func(t *testing.T) {
			opened, asked, err := ask(t.Context(), test.answers...)
			if asked != test.asked || (err == nil) != (test.says == "") || err == nil && string(opened) != "ring" {
				t.Errorf("%s: %.20q, %v after %d requests, want %d", test.name, opened, err, asked, test.asked)
			}
			if err != nil && (!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), planted)) {
				t.Errorf("%s: %v, want %q", test.name, err, test.says)
			}
		})
	}
}

func TestTheCallersTimeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, asked, err := ask(ctx, answer{after: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || asked != 2 || time.Since(began) > 5*time.Second {
			t.Errorf("Ask = %v after %d requests and %v", err, asked, time.Since(began))
		}
		// There is no time for a pause, so the last answer is the error.
		ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		if _, asked, err := ask(ctx, answer{status: 503}); err == nil || asked != 1 ||
			!strings.Contains(err.Error(), "503") {
			t.Errorf("Ask = %v after %d requests", err, asked)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(0, cancel)
		if _, asked, err := ask(ctx, answer{status: 503}); !errors.Is(err, context.Canceled) || asked > 2 {
			t.Errorf("Ask = %v after %d requests", err, asked)
		}
	})
}

func TestSigningFails(t *testing.T) {
	want := errors.New("no credentials")
	_, err := cloud.Ask(t.Context(),
		cloud.Question{Sign: func(context.Context) (cloud.Request, error) { return cloud.Request{}, want }})
	if !errors.Is(err, want) {
		t.Errorf("Ask = %v, want %v", err, want)
	}
}

// An incomplete answer counts as no answer.
func TestBrokenAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		network := transport(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("ri"),
				broken{}))}, nil
		})
		sign := func(context.Context) (cloud.Request, error) {
			r, err := http.NewRequest(http.MethodPost, "http://kms.example/", nil)
			return cloud.Request{Request: r}, err
		}
		_, err := cloud.Ask(t.Context(), cloud.Question{Transport: network, Sign: sign,
			Read: func(int, http.Header, []byte) ([]byte, error) { return []byte("ring"), nil }})
		if !errors.Is(err, io.ErrUnexpectedEOF) || asked != 5 {
			t.Errorf("Ask = %v after %d requests", err, asked)
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRefusalsArePlain(t *testing.T) {
	for _, test := range []struct {
		refusal cloud.Refusal
		want    string
	}{
		{cloud.Refusal{Status: 500}, "status 500"},
		{cloud.Refusal{Status: 400, Code: "A", Message: "m\n", RequestID: "r"}, `A, status 400, request r: "m\n"`},
		{cloud.Refusal{Status: 400, Code: "A\nB", RequestID: "\x00"}, `"A\nB", status 400, request "\x00"`},
	} {
		if got := test.refusal.Error(); got != test.want {
			t.Errorf("Error = %s, want %s", got, test.want)
		}
	}
	long := fmt.Sprint(&cloud.Refusal{Code: strings.Repeat("c", 1000), Message: strings.Repeat("m", 1000),
		RequestID: strings.Repeat("r", 1000)})
	if len(long) > 500 {
		t.Errorf("a long answer makes an error of %d bytes", len(long))
	}
}

func TestEndpoints(t *testing.T) {
	for text, good := range map[string]bool{
		"https://cloud.cn-hangzhou.aliyuncs.com": true, "http://127.0.0.1:8080/": true, "http://[::1]:8080": true,
		"http://localhost":     true,
		"http://cloud.example": false, "http://10.0.0.1": false, "http://127.0.0.1.example": false,
		"http://localhost.example:80": false, "http://:80": false,
		"": false, "cloud.example": false, "ftp://cloud.example": false, "https://": false, "https://user:" + planted +
			"@cloud.example": false,
		"https://cloud.example/path": false, "https://cloud.example?q": false, "https://cloud.example#f": false,
		"https://%zz": false,
	} {
		if err := cloud.CheckEndpoint(text); (err == nil) != good || err != nil &&
			strings.Contains(err.Error(), planted) {
			t.Errorf("CheckEndpoint(%q) = %v", text, err)
		}
	}
}
