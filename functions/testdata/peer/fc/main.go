// Command fc is the least that a function of Function Compute can be which reads what
// GetChatConfiguration reads, through the same SDKs: one row in the initializer and two in each
// invocation. It checks nothing, opens nothing and logs nothing.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/fc-runtime-go-sdk/fc"
)

var client = tablestore.NewClient(os.Getenv("TABLESTORE_ENDPOINT"), os.Getenv("TABLESTORE_INSTANCE"),
	os.Getenv("TABLESTORE_ACCESS_KEY_ID"), os.Getenv("TABLESTORE_ACCESS_KEY_SECRET"))

func get() (string, error) {
	key := &tablestore.PrimaryKey{}
	key.AddPrimaryKeyColumn("partition", "peer")
	key.AddPrimaryKeyColumn("sort", "hello")
	out, err := client.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{
		TableName: "chatconf", PrimaryKey: key, MaxVersion: 1,
	}})
	if err != nil {
		return "", err
	}
	return out.PrimaryKey.PrimaryKeys[1].Value.(string), nil
}

// handle answers with the last row that it has read.
func handle(context.Context, []byte) (json.RawMessage, error) {
	if _, err := get(); err != nil {
		return nil, err
	}
	value, err := get()
	if err != nil {
		return nil, err
	}
	return json.RawMessage(`"` + value + `"`), nil
}

func main() {
	fc.RegisterInitializerFunction(func(context.Context) {
		if _, err := get(); err != nil {
			panic(err)
		}
	})
	fc.Start(handle)
}
