package http

import "net/http"

// SetTransport has a client call by t.
func SetTransport(c *Client, t http.RoundTripper) { c.http.Transport = t }
