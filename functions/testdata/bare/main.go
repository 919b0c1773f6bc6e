// Command bare is the floor that start-up is measured against: a net/http server with one handler.
package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	if err := http.ListenAndServe(os.Getenv("CHATCONF_ADDR"), nil); err != nil {
		os.Exit(1)
	}
}
