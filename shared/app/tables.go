package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/rpc"
	"chatconf/shared/table"
)

// TicketAge is the time to live of the ticket table: longer than a nonce has to be remembered.
const TicketAge = rpc.NonceAge + time.Minute

// A TableSetting is a table of the service as the settings name it.
type TableSetting struct {
	Variable, Name string
	TTL            time.Duration // 0: its items do not expire
}

// TableSettings returns the tables of the settings: configurations, access keys, their use, tickets
// and journal, in this order.
func (s Settings) TableSettings() [5]TableSetting {
	return [...]TableSetting{
		{"CHATCONF_TABLE", s.Table, 0},
		{"CHATCONF_KEY_TABLE", cmp.Or(s.KeyTable, DefaultKeys), 0},
		{"CHATCONF_KEY_USE_TABLE", cmp.Or(s.KeyUseTable, DefaultKeyUses), accesskey.UseAge},
		{"CHATCONF_TICKET_TABLE", s.TicketTable, TicketAge},
		{"CHATCONF_JOURNAL_TABLE", cmp.Or(s.JournalTable, DefaultJournal), s.journalAge()},
	}
}

// CloudTables opens the tables of the settings in the store of a cloud, for the caller to close. It
// sends nothing. The error lists every table that cannot be opened; none is open then.
func (s Settings) CloudTables(c cloud.Cloud) (Tables, error) {
	t, err := s.openTables(c.OpenTable)
	t.Where = fmt.Sprintf("%s table %s in %s", c.Engine, s.Table, c.Where)
	if c.Probe != nil {
		t.Probe = func(ctx context.Context) error { return c.Probe(ctx, t.Configurations) }
	}
	return t, err
}

func (s Settings) openTables(open func(name string, ttl time.Duration) (table.Table, error)) (Tables, error) {
	var opened [5]table.Table
	var errs []error
	for i, setting := range s.TableSettings() {
		var err error
		if opened[i], err = open(setting.Name, setting.TTL); err != nil {
			opened[i] = nil
			errs = append(errs, fmt.Errorf("%s: %w", setting.Variable, err))
		}
	}
	t := Tables{Configurations: opened[0], Keys: opened[1], KeyUses: opened[2], Tickets: opened[3], Journal: opened[4]}
	if len(errs) > 0 {
		return Tables{}, errors.Join(append(errs, t.Close())...)
	}
	return t, nil
}

// Tables are the tables of a service.
type Tables struct {
	Configurations table.Table
	Keys           table.Table // access keys
	KeyUses        table.Table // the days on which keys were used; nil: these are not recorded
	Tickets        table.Table // its time to live is TicketAge or longer
	Journal        table.Table // nil: no journal is kept
	Where          string      // for people
	Alone          bool        // no other process uses the tables
	// Snapshot copies all tables; nil: they are not in a file of their own.
	Snapshot chat.Snapshot

	// Probe returns a table.ErrUnsupported if the store lacks an operation that the service needs.
	// Nil: it is known to have them all.
	Probe func(context.Context) error
}

// probe returns an error if the store lacks an operation that the service needs.
func (t Tables) probe(ctx context.Context) error {
	if t.Probe == nil {
		return nil
	}
	if err := t.Probe(ctx); err != nil {
		return fmt.Errorf("%s: %w", t.Where, err)
	}
	return nil
}

// Claimed reports whether a key ring has claimed the tables.
func (t Tables) Claimed(ctx context.Context) (bool, error) {
	claims, err := t.Configurations.Get(ctx, claimKey)
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.Where, err)
	}
	return len(claims) > 0, nil
}

// All returns the tables that there are.
func (t Tables) All() []table.Table {
	all := []table.Table{t.Configurations, t.Keys, t.KeyUses, t.Tickets, t.Journal}
	return slices.DeleteFunc(all, func(one table.Table) bool { return one == nil })
}

// Close closes the tables.
func (t Tables) Close() error {
	var errs []error
	for _, one := range t.All() {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
