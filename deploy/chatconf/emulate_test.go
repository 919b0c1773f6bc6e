package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

func TestEmulators(t *testing.T) {
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	for _, test := range []struct {
		names     []string
		says, not string
	}{
		{nil, "", "emulator"},
		{[]string{"sts"}, "STS emulator", "OOS"},
		{[]string{"oos"}, "--TemplateName", "STS"},
		{[]string{"oos"}, "templates      restart-instance, slow, fails, approve", "STS"},
		{[]string{"sts", "oos", "oos"}, "STS emulator", "none"},
	} {
		e, err := openEmulators(t.Context(), test.names, settings, log)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		e.introduce(&b)
		if !strings.Contains(b.String(), test.says) || strings.Contains(b.String(), test.not) {
			t.Errorf("%v says %q", test.names, &b)
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(test.names))) {
			resp, err := http.Get(e.urls[name])
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), `"Code":"MissingParameter"`) {
				t.Errorf("%s answers %d %s, %v", name, resp.StatusCode, body, err)
			}
		}
		_, ok, err := e.cloud(settings.Region)
		if err != nil || ok != (len(test.names) > 1) {
			t.Errorf("%v: a cloud is there: %v, %v", test.names, ok, err)
		}
		e.close()
		for _, name := range test.names {
			if c, err := net.Dial("tcp", strings.TrimPrefix(e.urls[name], "http://")); err == nil {
				c.Close()
				t.Errorf("%s listens after its end", name)
			}
		}
	}
}

func TestSplitEmulate(t *testing.T) {
	services, platforms, err := splitEmulate([]string{"slack", "oos", "dingtalk", "slack", "sts"})
	if !slices.Equal(services, []string{"oos", "sts"}) || !slices.Equal(platforms, []string{"dingtalk", "slack"}) ||
		err != nil {
		t.Errorf("splitEmulate = %v, %v, %v", services, platforms, err)
	}
	var usage *usageError
	_, _, err = splitEmulate([]string{"oos", "ecs"})
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "ecs") || !strings.Contains(err.Error(), "wecom") {
		t.Errorf("error = %v, want one of usage", err)
	}
}

// Everyone on this machine knows the key that is printed, so it cannot assume the role that may
// invoke functions. The key of the functions can.
func TestThePrintedKeyInvokesNoFunctions(t *testing.T) {
	account, err := sts.New(emulatedAccount("1",
		runtime.Credentials{AccessKeyID: "own", AccessKeySecret: "own-secret"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key    sign.Key
		role   string
		status int
	}{
		{sign.Key{ID: "own", Secret: "own-secret"}, emulatedInvoker, 200},
		{sign.Key{ID: emulatedKeyID, Secret: emulatedKeySecret}, emulatedRole, 200},
		{sign.Key{ID: emulatedKeyID, Secret: emulatedKeySecret}, emulatedInvoker, 403},
	} {
		r := httptest.NewRequest(http.MethodPost, "/?RoleSessionName=alice&RoleArn=acs:ram::1:role/"+test.role, nil)
		r.Header.Set("X-Acs-Action", "AssumeRole")
		r.Header.Set("X-Acs-Version", "2015-04-01")
		if err := test.key.SignACS3(r, nil, time.Now(), test.key.ID+test.role); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		account.Handler().ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s assumes %s: %d %s", test.key.ID, test.role, w.Code, w.Body)
		}
	}
}
