package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/table"
)

// A closer counts how often it is closed.
type closer struct {
	table.Table
	closed *int
}

func (c closer) Close() error {
	*c.closed++
	return errors.New("closed with an error")
}

func TestAllTablesOrNone(t *testing.T) {
	closed := 0
	refused := errors.New("refused")
	c := clouds.Cloud{Engine: "Engine", Where: "region r",
		OpenTable: func(name string, _ time.Duration) (table.Table, error) {
			if name == "bad" {
				return closer{}, refused
			}
			return closer{closed: &closed}, nil
		}}
	for _, test := range []struct {
		settings app.Settings
		says     string
		closed   int
	}{
		{app.Settings{Table: "bad", TicketTable: "good"}, "CHATCONF_TABLE", 4},
		{app.Settings{Table: "good", TicketTable: "bad"}, "CHATCONF_TICKET_TABLE", 4},
		{app.Settings{Table: "good", TicketTable: "good", JournalTable: "bad"}, "CHATCONF_JOURNAL_TABLE", 4},
		{app.Settings{Table: "good", TicketTable: "good", KeyTable: "bad"}, "CHATCONF_KEY_TABLE", 4},
		{app.Settings{Table: "bad", TicketTable: "good", KeyUseTable: "bad"}, "CHATCONF_KEY_USE_TABLE", 3},
	} {
		closed = 0
		tables, err := test.settings.CloudTables(c)
		if !errors.Is(err, refused) || !strings.Contains(err.Error(), test.says+": refused") ||
			closed != test.closed || len(tables.All()) != 0 {
			t.Errorf("CloudTables = %v and %d closed, want an error about %s and %d",
				err, closed, test.says, test.closed)
		}
	}
	closed = 0
	tables, err := app.Settings{Table: "good", TicketTable: "good"}.CloudTables(c)
	if err != nil || closed != 0 || len(tables.All()) != 5 || tables.Where != "Engine table good in region r" ||
		tables.Probe != nil {
		t.Fatalf("CloudTables = %+v, %v and %d closed", tables, err, closed)
	}
	if err := tables.Close(); err == nil || strings.Count(err.Error(), "closed with an error") != 5 || closed != 5 {
		t.Errorf("Close = %v and %d closed, want all errors and all closed", err, closed)
	}
	lacks := errors.New("it lacks transactions")
	c.Probe = func(_ context.Context, probed table.Table) error {
		if probed == nil {
			t.Error("no table is probed")
		}
		return lacks
	}
	if tables, err = (app.Settings{Table: "good"}).CloudTables(c); err != nil || tables.Probe(t.Context()) != lacks {
		t.Errorf("the store is not probed: %v", err)
	}
}
