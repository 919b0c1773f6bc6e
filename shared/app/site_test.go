package app_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
)

// A site gets what is under its prefix, and nothing else.
func TestARoleWithASite(t *testing.T) {
	site := func(p app.SiteParts) (http.Handler, error) {
		sealed, err := p.Ring.Seal(seal.Place{Name: "x"}, []byte("x"))
		if err != nil || len(sealed) == 0 || p.API == nil {
			t.Errorf("the parts are %+v, %v", p, err)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the site") }), nil
	}
	l, err := app.OpenLocal(t.Context(), settings(t), app.Everything(rpc.Actions()...).Under("/console", site))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]bool{
		"/console": true, "/console/": true, "/console/bots/ops": true,
		"/": false, "/consoles": false, "/healthz": false, "/x/console": false,
		"/webhook/1/cn-hangzhou/console/x": false,
	} {
		w := httptest.NewRecorder()
		l.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Body.String() == "the site"; got != want {
			t.Errorf("GET %s is the site's: %v, want %v", path, got, want)
		}
	}
}

func TestASiteThatCannotBeOpened(t *testing.T) {
	broken := errors.New("planted")
	fails := func(app.SiteParts) (http.Handler, error) { return nil, broken }
	if _, err := app.OpenLocal(t.Context(), settings(t), app.Everything(rpc.Actions()...).Under("/console",
		fails)); !errors.Is(err, broken) {
		t.Errorf("OpenLocal = %v", err)
	}
	if _, err := app.OpenLocal(t.Context(), settings(t), app.LocalWebhook().Under("/console", fails)); err == nil {
		t.Error("a role without actions has a site")
	}
}
