// Command serve runs dynamotest as a server on this machine, for black-box tests. It prints its
// address, and keeps everything in memory.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"chatconf/shared/table/dynamodb/dynamotest"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Running on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, new(dynamotest.Tables)))
}
