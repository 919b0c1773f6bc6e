package ots_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"chatconf/shared/emulator/ots"
)

// A program that knows only the SDK creates a table, writes, and reads a range through a filter.
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
	meta := &tablestore.TableMeta{TableName: "people"}
	meta.AddPrimaryKeyColumn("name", tablestore.PrimaryKeyType_STRING)
	_, err = client.CreateTable(&tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: tablestore.NewTableOptionWithMaxVersion(1),
		ReservedThroughput: &tablestore.ReservedThroughput{},
	})
	fmt.Println("create:", err)

	for name, age := range map[string]int64{"Ada": 36, "Kurt": 71, "Emmy": 53} {
		row := &tablestore.PutRowChange{TableName: "people", PrimaryKey: &tablestore.PrimaryKey{}}
		row.PrimaryKey.AddPrimaryKeyColumn("name", name)
		row.AddColumn("age", age)
		row.SetCondition(tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST)
		if _, err := client.PutRow(&tablestore.PutRowRequest{PutRowChange: row}); err != nil {
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
