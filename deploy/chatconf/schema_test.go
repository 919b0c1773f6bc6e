package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"chatconf/deploy/schema"
	"chatconf/shared/app"
)

// Every action of a local service is described, but SendChatMessage, which only the tool calls.
func TestEveryActionIsDescribed(t *testing.T) {
	text, err := schema.Made(schema.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range serveActions(nil) {
		path := []byte(`"/#` + a.Name + `": {`)
		if bytes.Contains(text, path) == (a.Name == sendAction) {
			t.Errorf("%s is in the description: %v", a.Name, a.Name == sendAction)
		}
	}
}

// A local service shows its schemas to anyone, and serves the API and webhooks as without them.
func TestServeShowsSchemas(t *testing.T) {
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	settings.Data = t.TempDir()
	role, closeTargets, err := localRole(&settings, "", nil, nil, new(localConsole))
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := closeTargets(); err != nil {
			t.Error(err)
		}
	})
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		l.Handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	for path, name := range schemas {
		want, err := schema.Made(name)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(http.MethodGet, path)
		if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), want) ||
			w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("GET %s: %d, %d bytes, %v", path, w.Code, w.Body.Len(), w.Header())
		}
		if w := ask(http.MethodHead, path); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
		if w := ask(http.MethodPost, path); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("POST %s: %d, %v", path, w.Code, w.Header())
		}
	}
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/openapi.yaml": 404, "/schema/": 404,
		"/webhook/1/cn-hangzhou/ops/x": 401} {
		if w := ask(http.MethodGet, path); w.Code != want {
			t.Errorf("GET %s: %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	schemaPage("other.json").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a file that does not exist: %d", w.Code)
	}
}
