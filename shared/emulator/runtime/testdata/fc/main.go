// Command fc is hello as a function of FC.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aliyun/fc-runtime-go-sdk/fc"

	"chatconf/shared/emulator/runtime/testdata/hello"
)

// handle is a function: the SDK's StartHandler takes a Handler, but then reports that it is not a
// function.
func handle(ctx context.Context, payload []byte) (json.RawMessage, error) {
	return hello.Handle(ctx, payload)
}

func main() {
	hello.Start()
	fc.RegisterInitializerFunction(func(context.Context) {
		hello.Note("initializer")
		if os.Getenv("HELLO_INITIALIZER") == "panic" {
			panic("no network")
		}
	})
	fc.RegisterPreStopFunction(func(context.Context) { hello.Note("pre-stop") })
	fc.Start(handle)
}
