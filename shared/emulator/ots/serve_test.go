package ots_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"chatconf/shared/emulator/ots/otstest"
)

// TestAnswersKeepApartInReusedMemory sends concurrent requests of very different sizes. Requests
// reuse memory, and each must get its own answer.
func TestAnswersKeepApartInReusedMemory(t *testing.T) {
	c := newClient(t, otstest.RunT(t))
	c.create("t", "p:string s:string")
	value := func(client, row int) []byte {
		return bytes.Repeat([]byte{'a' + byte(client)}, 1+row*(1<<(2*client))) // the largest page exceeds maxScratch
	}
	const clients, rows = 8, 16
	write := func(client, row int) error {
		_, err := c.PutRow(&tablestore.PutRowRequest{
			PutRowChange: put("t", key("p", fmt.Sprint(client), "s", fmt.Sprintf("%02d", row)),
				cols("v", value(client, row))),
		})
		return err
	}
	read := func(client, row int) error {
		out, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{
			TableName: "t", PrimaryKey: key("p", fmt.Sprint(client), "s", fmt.Sprintf("%02d", row)), MaxVersion: 1,
		}})
		if err != nil {
			return err
		}
		return isValue(out.Columns, value(client, row))
	}
	page := func(client, _ int) error {
		out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
			TableName: "t", MaxVersion: 1, Direction: tablestore.FORWARD,
			StartPrimaryKey: key("p", fmt.Sprint(client), "s", infMin),
			EndPrimaryKey:   key("p", fmt.Sprint(client), "s", infMax),
		}})
		if err != nil {
			return err
		}
		if got, want := len(out.Rows), rows; got != want {
			return fmt.Errorf("GetRange: %d rows, want %d", got, want)
		}
		for row := range out.Rows {
			if err := isValue(out.Rows[row].Columns, value(client, row)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, do := range []func(client, row int) error{write, read, page} {
		var wait sync.WaitGroup
		for client := range clients {
			wait.Go(func() {
				for row := range rows {
					if err := do(client, row); err != nil {
						t.Errorf("client %d, row %d: %v", client, row, err)
						return
					}
				}
			})
		}
		wait.Wait()
	}
}

// isValue reports whether a row consists of one value.
func isValue(columns []*tablestore.AttributeColumn, want []byte) error {
	if len(columns) != 1 {
		return fmt.Errorf("%d columns, want 1", len(columns))
	}
	if got := columns[0].Value.([]byte); !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes of %.1q, want %d of %.1q", len(got), got, len(want), want)
	}
	return nil
}
