// Command fcsdk is an FC function for each kind of handler of the SDK. MODE selects one.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/aliyun/fc-runtime-go-sdk/events"
	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

type person struct {
	Name string
	Age  int
}

var warm = "cold"

var handlers = map[string]any{
	"typed": func(p person) (string, error) { return fmt.Sprintf("%s is %d", p.Name, p.Age), nil },
	"context": func(ctx context.Context) (*fccontext.FcContext, error) {
		known, ok := fccontext.FromContext(ctx)
		if !ok {
			return nil, errors.New("no context")
		}
		return known, nil
	},
	"error":       func() error { return errors.New("on purpose") },
	"raw":         func(event []byte) (string, error) { return fmt.Sprintf("%x", event), nil },
	"nothing":     func() {},
	"initializer": func() (string, error) { return warm, nil },
	"trigger": func(r events.HTTPTriggerEvent) (*events.HTTPTriggerResponse, error) {
		return &events.HTTPTriggerResponse{StatusCode: http.StatusAccepted, Body: *r.Body + " at " + *r.RawPath}, nil
	},
}

func main() {
	fc.RegisterInitializerFunction(func(context.Context) { warm = "warm" })
	mode := os.Getenv("MODE")
	switch {
	case mode == "http": // of a program that starts either
		fc.StartHttp(func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
			fmt.Println("called")
			_, err := fmt.Fprint(w, "over HTTP at "+r.URL.Path)
			return err
		})
	case handlers[mode] == nil:
		fmt.Println("unknown MODE", mode)
		os.Exit(2)
	}
	fc.Start(handlers[mode])
}
