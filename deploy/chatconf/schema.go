package main

import (
	"bytes"
	"net/http"
	"time"

	"chatconf/deploy/schema"
)

// schemas are the files of package schema that a local service shows, by path.
var schemas = map[string]string{
	"/openapi.json":    schema.OpenAPI,
	"/schema/bot.json": schema.Bot,
}

// schemaPage shows a file of package schema. It is public: it describes the program, and no data.
func schemaPage(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := schema.Made(name)
		if err != nil {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	})
}
