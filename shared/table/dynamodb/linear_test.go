package dynamodb_test

import (
	"math/rand/v2"
	"testing"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tabletest"
)

// Clients read and write the same few items at once, while every fourth request meets some fault,
// and what was given up may arrive later. Whatever they are told must fit one order of their calls,
// each done once or, where it is not known, at most once.
func TestLinearWithFaults(t *testing.T) {
	all := []fault{
		unconnected, throttled, conflict, brokenBefore, brokenAfter, resetBefore, resetAfter, mute,
		garbageAfter, halfAfter, emptyAfter, swapped,
		late, late, late, late, resetAfter, resetAfter,
	}
	for range 20 {
		f := dynamotest.New()
		front := &faulty{next: f}
		front.pick = func(string) fault {
			switch n := rand.IntN(16); {
			case n < 3:
				front.deliver()
				return none
			case n < 7:
				return all[rand.IntN(len(all))]
			default:
				return none
			}
		}
		tabletest.Linear(t, open(t, front, dynamodb.Options{}), 4, 25, tabletest.Faults{Settle: func() table.Table {
			front.deliver()
			return open(t, f, dynamodb.Options{})
		}})
	}
}
