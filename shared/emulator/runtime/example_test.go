package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"

	"chatconf/shared/emulator/runtime"
)

// A program runs a function for Lambda from its binary, as it is deployed, and invokes it. The
// function's source is testdata/hello.
func Example() {
	dir, err := buildAll()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	host := runtime.New(runtime.Options{})
	defer host.Close(ctx)
	err = host.Add(runtime.Function{Name: "hello", Kind: runtime.Lambda, Dir: filepath.Join(dir, "lambda")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range []string{`{"Do":"echo"}`, `{"Do":"error","Arg":"unknown instance"}`} {
		result, err := host.Invoke(ctx, "hello", runtime.Request{Payload: []byte(event)})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q %s\n", result.Failure, result.Payload)
	}
	// Output:
	// "" {"Do":"echo"}
	// "error" {"errorMessage":"unknown instance","errorType":"errorString"}
}

// A program serves a function for Function Compute by HTTP, like an HTTP trigger. A JSON string in
// the function's answer becomes the body.
func ExampleHost_HTTP() {
	dir, err := buildAll()
	if err != nil {
		fmt.Println(err)
		return
	}
	host := runtime.New(runtime.Options{})
	defer host.Close(context.Background())
	if err := host.Add(runtime.Function{Name: "hello", Kind: runtime.FC, Dir: filepath.Join(dir, "fc")}); err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(host.HTTP("hello"))
	defer server.Close()
	resp, err := http.Post(server.URL, "text/plain", strings.NewReader(`"restart i-123"`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	// Output: 200 restart i-123 <nil>
}
