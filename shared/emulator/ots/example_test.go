package ots_test

import (
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"chatconf/shared/emulator/ots"
)

// A program that uses the official SDK creates a table, writes rows, and reads a range through a
// filter.
func Example() {
	emulator, err := ots.New(ots.Options{AccessKeys: map[string]string{"id": "secret"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer emulator.Close()
	server := httptest.NewServer(emulator)
	defer server.Close()

	client := tablestore.NewClient(server.URL, "instance", "id", "secret")
	fmt.Println("create:", createPeople(client))
	for name, age := range map[string]int64{"Ada": 36, "Kurt": 71, "Emmy": 53} {
		if err := addPerson(client, name, age); err != nil {
			fmt.Println(err)
		}
	}

	from, to := &tablestore.PrimaryKey{}, &tablestore.PrimaryKey{}
	from.AddPrimaryKeyColumnWithMinValue("name")
	to.AddPrimaryKeyColumnWithMaxValue("name")
	rows, err := client.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
		TableName: "people", StartPrimaryKey: from, EndPrimaryKey: to, MaxVersion: 1,
		Filter: tablestore.NewSingleColumnCondition("age", tablestore.CT_GREATER_THAN, int64(50)),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range rows.Rows {
		fmt.Println(row.PrimaryKey.PrimaryKeys[0].Value, row.Columns[0].Value)
	}
	// Output:
	// create: <nil>
	// Emmy 53
	// Kurt 71
}

// The answer to a write is lost. The SDK retries the write, which has succeeded already.
func ExampleFault() {
	writes := 0
	emulator, err := ots.New(ots.Options{
		AccessKeys: map[string]string{"id": "secret"},
		Fault: func(r ots.Request) ots.Fault {
			if r.Operation != "PutRow" {
				return ots.Fault{}
			}
			writes++
			return ots.Fault{Applied: true, Drop: writes == 1} // execute it, but close the connection
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer emulator.Close()
	server := httptest.NewServer(emulator)
	defer server.Close()

	client := tablestore.NewClient(server.URL, "instance", "id", "secret")
	fmt.Println("create:", createPeople(client))
	var failed *tablestore.OtsError
	if errors.As(addPerson(client, "Ada", 36), &failed) {
		fmt.Println(writes, "writes:", failed.Code)
	}
	// Output:
	// create: <nil>
	// 2 writes: OTSConditionCheckFail
}

func createPeople(client *tablestore.TableStoreClient) error {
	meta := &tablestore.TableMeta{TableName: "people"}
	meta.AddPrimaryKeyColumn("name", tablestore.PrimaryKeyType_STRING)
	_, err := client.CreateTable(&tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: tablestore.NewTableOptionWithMaxVersion(1),
		ReservedThroughput: &tablestore.ReservedThroughput{},
	})
	return err
}

func addPerson(client *tablestore.TableStoreClient, name string, age int64) error {
	row := &tablestore.PutRowChange{TableName: "people", PrimaryKey: &tablestore.PrimaryKey{}}
	row.PrimaryKey.AddPrimaryKeyColumn("name", name)
	row.AddColumn("age", age)
	row.SetCondition(tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST)
	_, err := client.PutRow(&tablestore.PutRowRequest{PutRowChange: row})
	return err
}
