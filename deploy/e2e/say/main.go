// Program say is a function of one's own for both clouds. It says what it was told, or fails. It
// speaks the clouds' runtime APIs itself, which are the same but for their names.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	if api := os.Getenv("FC_RUNTIME_API"); api != "" {
		base = "http://" + api + "/2020-11-11/runtime/"
	}
	for {
		if err := serve(base + "invocation/"); err != nil {
			log.Fatal(err)
		}
	}
}

// serve answers one invocation.
func serve(base string) error {
	resp, err := http.Get(base + "next")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	payload, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id") + resp.Header.Get("X-Fc-Request-Id")
	var event struct {
		Subject string // the command
		Data    struct{ Parameters struct{ Token string } }
	}
	verb, answer := "response", any(nil)
	if err := json.Unmarshal(payload, &event); err != nil {
		return err
	}
	said := fmt.Sprintf("%s says %s", event.Subject, event.Data.Parameters.Token)
	if event.Subject == "fails" {
		verb, answer = "error", map[string]string{"errorMessage": said, "errorType": "Planned"}
	} else {
		answer = map[string]string{"text": said}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	done, err := http.Post(base+id+"/"+verb, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return done.Body.Close()
}
