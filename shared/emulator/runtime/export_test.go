package runtime

import "net/http"

// AnyPeer lets every process speak to the runtime API.
func AnyPeer(o Options) Options {
	o.anyPeer = true
	return o
}

// An Answer is an HTTP response that a function gave.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// DecodeAnswer decodes a function's answer as the HTTP endpoint does.
func DecodeAnswer(k Kind, contentType string, payload []byte) (*Answer, error) {
	a, err := decodeAnswer(k, contentType, payload)
	if err != nil {
		return nil, err
	}
	return &Answer{a.status, a.header, a.body}, nil
}

// DecodeParams decodes x-fc-http-params of an HTTP function as the HTTP endpoint does.
func DecodeParams(params string) (*Answer, error) {
	a, err := decodeParams(params, nil)
	if err != nil {
		return nil, err
	}
	return &Answer{a.status, a.header, a.body}, nil
}
