package runtime_test

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"chatconf/shared/emulator/runtime"
)

// A program serves a function as its trigger would, from the deployed zip file.
func Example() {
	host := runtime.New(runtime.Options{Log: runtime.WriteLines(os.Stderr)})
	defer host.Close(context.Background())
	err := host.Add(runtime.Function{
		Name: "hello", Kind: runtime.Lambda, Zip: "dist/lambda/hello.zip",
		Env: map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(http.ListenAndServe("127.0.0.1:9000", host.HTTP("hello")))
}
