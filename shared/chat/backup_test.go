package chat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// copied is a snapshot with some content.
func copied(ctx context.Context, fn func(context.Context, io.WriterTo) error) error {
	return fn(ctx, strings.NewReader("the tables"))
}

// A backup needs a policy that names its operation: it has the data of all accounts.
func TestBackupNeedsAPermissionOfItsOwn(t *testing.T) {
	h := newHouse(t)
	s := h.ServiceWith(chat.Options{Snapshot: copied}, chattest.NewRing(t, 1))
	for about, c := range map[string]struct {
		policies []*policy.Policy
		may      bool
	}{
		"an owner":             {[]*policy.Policy{policy.Owner()}, true},
		"a caller of its name": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:BackupService", "*")}, true},
		"an administrator":     {[]*policy.Policy{policy.Administrator()}, false},
		"a reader":             {[]*policy.Policy{policy.ReadOnly()}, false},
		"one of another account": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:BackupService",
			"acs:oos:*:42:service")}, false},
		"an owner that is denied": {[]*policy.Policy{policy.Owner(), mustPolicy(t, "Deny", "oos:Backup*", "*")}, false},
	} {
		ctx := chattest.As(t.Context(), &chat.Caller{Account: chattest.Account, Policies: c.policies})
		out, err := s.Backup(ctx, &chat.BackupRequest{})
		if !c.may {
			chattest.WantError(t, about, err, fault.NoPermission, "", "oos:BackupService on acs:oos::"+
				chattest.Account+":service", "A policy has to name oos:BackupService; no pattern allows it.")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", about, err)
			continue
		}
		var got bytes.Buffer
		err = out.Stream(ctx, func(ctx context.Context, from io.WriterTo) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > chat.MaxBackupTime {
				t.Errorf("%s: the copy may take until %v", about, at)
			}
			_, err := from.WriteTo(&got)
			return err
		})
		if err != nil || got.String() != "the tables" {
			t.Errorf("%s: %q, %v", about, &got, err)
		}
	}
}

func TestBackupsThatCannotBeMade(t *testing.T) {
	h := newHouse(t)
	ring := chattest.NewRing(t, 1)
	owner := &chat.Caller{Account: chattest.Account, Policies: []*policy.Policy{policy.Owner()}}
	ctx := chattest.As(t.Context(), owner)
	_, err := h.ServiceWith(chat.Options{}, ring).Backup(ctx, &chat.BackupRequest{})
	chattest.WantError(t, "without a file", err, fault.Unsupported, "")
	_, err = h.ServiceWith(chat.Options{Snapshot: copied}, ring).Backup(ctx, &chat.BackupRequest{RegionID: "no region"})
	chattest.WantError(t, "in no region", err, fault.InvalidRegion, "RegionId")
	fails := func(context.Context, func(context.Context, io.WriterTo) error) error { return table.ErrUnavailable }
	failed := h.ServiceWith(chat.Options{Snapshot: fails}, ring)
	out, err := failed.Backup(ctx, &chat.BackupRequest{})
	if err != nil {
		t.Fatal(err)
	}
	chattest.WantError(t, "of a file that fails", out.Stream(ctx, nil), fault.Unavailable, "")
	replay := errors.New("a replay")
	owner.Confirm = func(context.Context) error { return replay }
	if _, err := failed.Backup(ctx, &chat.BackupRequest{}); err != replay {
		t.Errorf("a replay = %v", err)
	}
}
