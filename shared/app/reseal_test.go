package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// ringText returns a ring of obviously fake keys, the current one first.
func ringText(t testing.TB, ids ...string) secret.Text {
	t.Helper()
	var keys []map[string]string
	for _, id := range ids {
		var key [32]byte
		copy(key[:], "not a real secret "+id)
		keys = append(keys, map[string]string{"id": id, "key": base64.StdEncoding.EncodeToString(key[:])})
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return secret.Text(text)
}

// A rotation is a service whose ring changes.
type rotation struct {
	*app.Local
	t        *testing.T
	settings app.Settings
	ctx      context.Context // of a caller that may do everything
}

func newRotation(t *testing.T, ids ...string) *rotation {
	t.Helper()
	r := &rotation{t: t, settings: settings(t)}
	r.ctx = chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID, Name: "test",
		Policies: []*policy.Policy{policy.Owner()}})
	r.open(ids...)
	return r
}

// open starts the service again, with another ring.
func (r *rotation) open(ids ...string) {
	r.t.Helper()
	if r.Local != nil {
		r.must(r.Close())
	}
	r.settings.KeyRing = ringText(r.t, ids...)
	l, err := app.OpenLocal(r.t.Context(), r.settings, app.Actions(rpc.Actions()...).Resealing())
	r.must(err)
	r.Local = l
	r.t.Cleanup(func() { l.Close() })
}

func (r *rotation) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// reseal does the whole walk.
func (r *rotation) reseal() *chat.ResealSecretsResponse {
	r.t.Helper()
	for restart := true; ; restart = false {
		out, err := r.Service.ResealSecrets(r.ctx, &chat.ResealSecretsRequest{Restart: restart})
		r.must(err)
		if out.Done {
			return out
		}
	}
}

func (r *rotation) create(name string) {
	r.t.Helper()
	_, err := r.Service.Create(r.ctx, &chat.CreateRequest{Name: name, Type: "Slack",
		Configuration: secret.Text(chattest.With(chattest.Slack, chattest.OpenToAll))})
	r.must(err)
}

// arrive records a command to a configuration.
func (r *rotation) arrive(name, id string, to command.ReplyTo) command.Ref {
	r.t.Helper()
	e, err := r.Service.OpenConfiguration(r.ctx, command.Ref{Account: app.DefaultAccountID,
		Region: app.DefaultRegion, Name: name})
	r.must(err)
	a := chattest.Arrival(r.t, e, id, "u1", "restart "+id)
	a.Pending = &journal.Pending{ReplyTo: to}
	ref, _, err := r.Journal.Record(r.ctx, e, a)
	r.must(err)
	return ref
}

// keep settles a command with an answer that is kept.
func (r *rotation) keep(ref command.Ref, answer string) {
	r.t.Helper()
	job, err := r.Journal.Claim(r.ctx, ref, time.Minute)
	r.must(err)
	job.Keep(answer)
	r.must(r.Journal.Settle(r.ctx, job, journal.Result{Outcome: journal.OutcomeDelivered}))
}

// everything returns the value of every item of the tables with secrets, by table and key.
func (r *rotation) everything() map[string]string {
	r.t.Helper()
	r.must(r.Close())
	r.Local = nil
	db, err := file.Open(r.settings.Data+"/"+app.TableFile, file.Options{})
	r.must(err)
	defer db.Close()
	all := make(map[string]string)
	for _, name := range []string{app.DefaultTable, app.DefaultKeys, app.DefaultJournal} {
		tb := db.Table(name, file.TableOptions{})
		partitions, err := table.AllPartitions(r.t.Context(), tb)
		r.must(err)
		for _, p := range partitions {
			items, err := tb.Query(r.t.Context(), table.Range{Partition: p, Limit: table.MaxQuery})
			r.must(err)
			for _, item := range items {
				all[fmt.Sprint(name, " ", item.Key, " ", item.Revision)] = string(item.Value)
			}
		}
	}
	return all
}

// Configurations, their history and previous secrets, access keys, commands that are not done, kept
// answers and the claim are sealed again. Nothing else of them changes.
func TestAfterResealTheOldKeyIsNotNeeded(t *testing.T) {
	r := newRotation(t, "old")
	for _, name := range []string{"one", "two", "gone"} {
		r.create(name)
	}
	_, err := r.Service.Rotate(r.ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](3600)})
	r.must(err)
	_, err = r.Service.Delete(r.ctx, &chat.DeleteRequest{Name: "gone"})
	r.must(err)
	_, err = r.Keys.Create(r.ctx, accesskey.Key{Account: app.DefaultAccountID, Name: "ci",
		Policies: []*policy.Policy{policy.Owner()}})
	r.must(err)
	pending := r.arrive("one", "m1", command.ReplyTo{Kind: "url", URL: "https://example.com/not-a-real-secret"})
	kept := r.arrive("two", "m2", command.ReplyTo{})
	r.keep(kept, "the answer")
	shown := func() []string {
		t.Helper()
		var all []string
		for _, name := range []string{"one", "two"} {
			out, err := r.Service.Get(r.ctx, &chat.GetRequest{Name: name})
			r.must(err)
			all = append(all, fmt.Sprint(out.ChatConfiguration))
			e, err := r.Service.OpenConfiguration(r.ctx, command.Ref{Account: app.DefaultAccountID,
				Region: app.DefaultRegion, Name: name})
			r.must(err)
			all = append(all, fmt.Sprintf("%q", e.Settings))
		}
		return all
	}
	before := shown()
	items := r.everything()

	r.open("new", "old")
	out := r.reseal()
	// one: create and rotate, with its history; two; gone: create and delete in history only
	values := map[string]int64{}
	for _, key := range out.Keys {
		values[key.Id] = key.Uses
	}
	if out.Key != "new" || out.Unreadable != 0 || values["old"] != 0 || values["new"] == 0 || len(out.Keys) != 2 {
		t.Errorf("ResealSecrets = %+v", out)
	}
	if again := r.reseal(); again.Resealed != 0 || again.Seen != out.Seen || again.Keys[0].Uses != values["new"] {
		t.Errorf("a second walk = %+v, after %+v", again, out)
	}

	r.open("new") // the old key is gone
	chattest.Equal(t, "what the service shows and opens", shown(), before)
	if ids := keys(t, r.Local); len(ids) != 2 {
		t.Errorf("the access keys are %q, want 2", ids)
	}
	job, err := r.Journal.Claim(r.ctx, pending, time.Minute)
	r.must(err)
	if got := job.ReplyTo.URL.Reveal(); got != "https://example.com/not-a-real-secret" {
		t.Errorf("the pending command answers to %q", got)
	}
	if m, recorded, err := r.Journal.Follow(r.ctx, kept, "m2"); err != nil || !recorded || m.Answer != "the answer" {
		t.Errorf("the kept answer is %q, %v", m.Answer, err)
	}
	after := r.everything()
	for key, value := range items {
		if now, ok := after[key]; !ok && !strings.Contains(key, "o#") { // which was claimed
			t.Errorf("%s is gone, or at another revision", key)
		} else if ok && strings.Contains(key, " i#") && now != value {
			t.Errorf("%s changed", key)
		}
	}
}

// Eight writers change, rotate, delete and create meanwhile.
func TestResealBesideWriters(t *testing.T) {
	r := newRotation(t, "old")
	const writers = 8
	for w := range writers {
		r.create(fmt.Sprint("bot-", w))
		r.create(fmt.Sprint("still-", w))
	}
	r.open("new", "old")
	var done atomic.Bool
	var wg sync.WaitGroup
	var writes atomic.Int64
	for w := range writers {
		wg.Go(func() {
			name := fmt.Sprint("bot-", w)
			for i := 0; !done.Load() || i < 8; i++ {
				var err error
				switch i % 4 {
				case 0:
					_, err = r.Service.Tag(r.ctx, &chat.TagRequest{ResourceType: "chatconfiguration",
						ResourceIDs: []string{name}, Tags: map[string]string{"n": fmt.Sprint(i)}})
				case 1:
					_, err = r.Service.Rotate(r.ctx, &chat.RotateRequest{Name: name})
				case 2:
					_, err = r.Service.Delete(r.ctx, &chat.DeleteRequest{Name: name})
				case 3:
					_, err = r.Service.Create(r.ctx, &chat.CreateRequest{Name: name, Type: "Slack",
						Configuration: chattest.Slack})
				}
				if err != nil {
					t.Errorf("writer %d, write %d: %v", w, i, err)
					return
				}
				writes.Add(1)
			}
		})
	}
	for range 3 {
		r.reseal()
	}
	done.Store(true)
	wg.Wait()
	if writes.Load() < 8*writers {
		t.Errorf("%d writes", writes.Load())
	}
	out := r.reseal()
	if out.Unreadable != 0 || out.Resealed != 0 || out.Keys[1].Id != "old" || out.Keys[1].Uses != 0 {
		t.Errorf("after the writers, the walk = %+v", out)
	}
	r.open("new")
	list, err := r.Service.List(r.ctx, &chat.ListRequest{})
	r.must(err)
	for _, c := range list.ChatConfigurations {
		if _, err := r.Service.OpenConfiguration(r.ctx, command.Ref{Account: app.DefaultAccountID,
			Region: app.DefaultRegion, Name: c.Name}); err != nil {
			t.Errorf("%s does not open with the new key alone: %v", c.Name, err)
		}
	}
	if report, err := r.Service.Check(r.ctx, app.DefaultAccountID, app.DefaultRegion); err != nil ||
		len(report.Problems) > 0 {
		t.Errorf("the table has problems: %v, %v", report, err)
	}
}

func TestResealSecretsNeedsItsPermission(t *testing.T) {
	r := newRotation(t, "old")
	p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` +
		`{"Effect":"Allow","Action":["oos:Get*","oos:List*","oos:Update*"],"Resource":"*"}]}`))
	r.must(err)
	ctx := chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID, Name: "ci",
		Policies: []*policy.Policy{p}})
	_, err = r.Service.ResealSecrets(ctx, new(chat.ResealSecretsRequest))
	chattest.WantError(t, "without the permission", err, fault.NoPermission, "", "oos:ResealSecrets", ":keyring")
	p, err = policy.Parse([]byte(`{"Version":"1","Statement":[` +
		`{"Effect":"Allow","Action":"oos:ResealSecrets","Resource":"acs:oos:*:*:keyring"}]}`))
	r.must(err)
	replayed := &fault.Error{Code: fault.Unavailable}
	ctx = chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID, Name: "ci",
		Policies: []*policy.Policy{p}, Confirm: func(context.Context) error { return replayed }})
	if _, err := r.Service.ResealSecrets(ctx, new(chat.ResealSecretsRequest)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a request that may be a replay: %v", err)
	}
	ctx = chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID, Name: "ci",
		Policies: []*policy.Policy{p}})
	if out, err := r.Service.ResealSecrets(ctx, new(chat.ResealSecretsRequest)); err != nil || !out.Done {
		t.Errorf("with the permission: %+v, %v", out, err)
	}

	// A service without the means says so.
	plain := open(t, settings(t))
	_, err = plain.Service.ResealSecrets(r.ctx, new(chat.ResealSecretsRequest))
	chattest.WantError(t, "without a resealer", err, fault.Unavailable, "")
}
