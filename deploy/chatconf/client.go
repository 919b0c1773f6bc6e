package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// A client calls a service.
type client struct {
	endpoint string // with http:// or https://
	key      sign.Key
}

// clientFlags are the flags that say which service, and as whom.
type clientFlags struct {
	endpoint, id, secret, data string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "URL of the service (default CHATCONF_ENDPOINT, else that of the local service)")
	cmd.Flags().StringVar(&f.id, "access-key-id", "", "access key id (default ALIBABA_CLOUD_ACCESS_KEY_ID or CHATCONF_ACCESS_KEY_ID, else that of the local service)")
	cmd.Flags().StringVar(&f.secret, "access-key-secret", "", "its secret (default from the environment likewise; a flag is seen by other users of the machine)")
	dataFlag(cmd, &f.data)
}

// resolve finds endpoint and key: flags, then environment, then the data directory of a local service.
func (f *clientFlags) resolve(getenv func(string) string) (*client, error) {
	data := firstOf(f.data, getenv("CHATCONF_DATA"), app.DefaultData)
	endpoint := firstOf(f.endpoint, getenv("CHATCONF_ENDPOINT"))
	if endpoint == "" {
		var err error
		if endpoint, err = app.ReadEndpoint(data); errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("no service: give --endpoint or CHATCONF_ENDPOINT, or start one with 'chatconf serve' (nothing is in %s)", data)
		} else if err != nil {
			return nil, err
		}
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, usagef("endpoint %q: wanted http:// or https:// and a host", endpoint)
	}
	key, err := f.resolveKey(getenv, data)
	if err != nil {
		return nil, err
	}
	return &client{endpoint: u.Scheme + "://" + u.Host, key: key}, nil
}

func (f *clientFlags) resolveKey(getenv func(string) string, data string) (sign.Key, error) {
	for _, pair := range [...][2]string{
		{f.id, f.secret},
		{getenv("CHATCONF_ACCESS_KEY_ID"), getenv("CHATCONF_ACCESS_KEY_SECRET")},
		{getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"), getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET")},
	} {
		switch {
		case pair[0] != "" && pair[1] != "":
			return sign.Key{ID: pair[0], Secret: pair[1]}, nil
		case pair[0] != "" || pair[1] != "":
			return sign.Key{}, usagef("an access key is its id and its secret; only one of them is given")
		}
	}
	key, err := app.ReadAccessKey(data)
	if errors.Is(err, fs.ErrNotExist) {
		return sign.Key{}, usagef("no access key: give --access-key-id and --access-key-secret, or set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET (none is in %s)", data)
	}
	return sign.Key{ID: key.ID, Secret: key.Secret.Reveal()}, err
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// httpClient follows no redirects: the body may hold secrets, and the signature is for one host.
var httpClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// do sends one action and returns its answer. What the service refuses is a *refusedError.
func (c *client) do(ctx context.Context, action string, params map[string]string, ifMatch string) ([]byte, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Acs-Action", action)
	req.Header.Set("X-Acs-Version", rpc.Version)
	if ifMatch != "" {
		req.Header.Set("If-Match", ifMatch)
	}
	if err := c.key.SignACS3(req, body, time.Now(), invoke.NewRequestID()); err != nil {
		return nil, err
	}
	resp, err := httpClient.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("call %s: %w; start the service with 'chatconf serve' first", action, err)
	}
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", action, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answerError(resp, answer)
	}
	return answer, nil
}

// A refusedError is an error that the service answered.
type refusedError struct {
	code string // as the wire has it
	text string // all of it, for people
}

func (e *refusedError) Error() string { return e.text }

// answerError returns the error that the service answered.
func answerError(resp *http.Response, answer []byte) error {
	var fault struct {
		RequestId, Code, Message string
		AccessDeniedDetail       json.RawMessage
	}
	if err := json.Unmarshal(answer, &fault); err != nil || fault.Code == "" {
		return fmt.Errorf("the service answered %s, and nothing that is an error of its own", resp.Status)
	}
	detail := ""
	if len(fault.AccessDeniedDetail) > 0 {
		detail = "\n  detail: " + string(fault.AccessDeniedDetail)
	}
	return &refusedError{fault.Code, fmt.Sprintf("%s (%d): %s%s\n  request id: %s", fault.Code, resp.StatusCode, fault.Message, detail, fault.RequestId)}
}
