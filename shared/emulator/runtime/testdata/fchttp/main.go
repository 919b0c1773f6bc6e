// Command fchttp is an HTTP function of FC, which uses fc.StartHttp.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

func handle(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	switch r.URL.Path {
	case "/error":
		return errors.New("on purpose")
	case "/panic":
		panic("in HTTP")
	case "/silent": // neither status nor body
		return nil
	case "/bytes":
		w.Header().Set("Content-Type", "application/octet-stream")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	case "/status":
		status, err := strconv.Atoi(r.URL.Query().Get("is"))
		if err != nil {
			return err
		}
		w.WriteHeader(status)
		return nil
	case "/broken-header":
		w.Header().Set("X-Broken", "a\r\nb")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	known, _ := fccontext.FromContext(ctx)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("X-Twice", "one")
	w.Header().Add("X-Twice", "two")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "uri": r.RequestURI, "host": r.URL.Host,
		"client": r.RemoteAddr,
		"header": r.Header, "body": string(body), "request": known.RequestID, "function": known.Function.Name,
	})
}

func main() { fc.StartHttp(handle) }
