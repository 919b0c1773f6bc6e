// Command serve runs what stands in for DynamoDB in tests, for programs that are tested from
// outside. It prints its address when it listens, on this machine only, and keeps everything in
// memory.
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
