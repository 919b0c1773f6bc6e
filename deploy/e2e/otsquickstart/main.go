// Command otsquickstart is a first program for the Tablestore emulator. It creates a table, writes
// rows, and reads a range of them, also through a filter. It uses only the official SDK, so it runs
// against the real service too.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func main() {
	client := tablestore.NewClient(os.Getenv("TABLESTORE_ENDPOINT"), os.Getenv("TABLESTORE_INSTANCE"),
		os.Getenv("TABLESTORE_ACCESS_KEY_ID"), os.Getenv("TABLESTORE_ACCESS_KEY_SECRET"))

	meta := &tablestore.TableMeta{TableName: "orders"}
	meta.AddPrimaryKeyColumn("shop", tablestore.PrimaryKeyType_STRING)
	meta.AddPrimaryKeyColumn("number", tablestore.PrimaryKeyType_INTEGER)
	_, err := client.CreateTable(&tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: &tablestore.TableOption{TimeToAlive: -1, MaxVersion: 1},
		ReservedThroughput: &tablestore.ReservedThroughput{},
	})
	var refused *tablestore.OtsError
	if errors.As(err, &refused) && refused.Code == "OTSObjectAlreadyExist" {
		fmt.Println("table orders exists")
	} else {
		check(err)
		fmt.Println("created table orders")
	}

	for number := range int64(5) {
		row := &tablestore.PutRowChange{TableName: "orders", PrimaryKey: key("kyoto", number)}
		row.AddColumn("price", 100*number)
		row.AddColumn("tea", "玉露")
		row.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
		_, err := client.PutRow(&tablestore.PutRowRequest{PutRowChange: row})
		check(err)
	}

	criteria := &tablestore.RangeRowQueryCriteria{
		TableName: "orders", StartPrimaryKey: key("kyoto", 1), EndPrimaryKey: key("kyoto", 5), MaxVersion: 1,
		Direction: tablestore.FORWARD,
	}
	show(client, "range", criteria)
	criteria.Filter = tablestore.NewSingleColumnCondition("price", tablestore.CT_GREATER_THAN, int64(200))
	show(client, "filter", criteria)
}

func key(shop string, number int64) *tablestore.PrimaryKey {
	k := &tablestore.PrimaryKey{}
	k.AddPrimaryKeyColumn("shop", shop)
	k.AddPrimaryKeyColumn("number", number)
	return k
}

// show prints the rows of a range that fits into one page.
func show(client *tablestore.TableStoreClient, what string, criteria *tablestore.RangeRowQueryCriteria) {
	page, err := client.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: criteria})
	check(err)
	for _, row := range page.Rows {
		fmt.Println(what, row.PrimaryKey.PrimaryKeys[1].Value, row.Columns[0].Value, row.Columns[1].Value)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
