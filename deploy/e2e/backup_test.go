package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// A writer makes configurations one after the other, and notes the last one in another
// configuration. So a copy of one moment has all of them up to some number, and the note says that
// number or the one before.
type writer struct {
	prefix string
	acked  atomic.Int64 // how many were made and noted
}

func (w *writer) name(n int64) string { return fmt.Sprintf("%s-%04d", w.prefix, n) }
func (w *writer) note() string        { return w.prefix + "-note" }
func noteOf(n int64) string           { return fmt.Sprintf("Role%d", n) }

// step makes the next configuration, or with n = 0 the note.
func (w *writer) step(client *oos.Client, n int64) error {
	name := w.name(n)
	if n == 0 {
		name = w.note()
	}
	_, err := client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name: dara.String(name), Type: dara.String("Slack"), RamRole: dara.String(noteOf(n)),
		Configuration: dara.String(`{"SlackSigningSecret":"not-a-real-secret"}`)})
	if err != nil || n == 0 {
		return err
	}
	if _, err = client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
		Name: dara.String(w.note()), RamRole: dara.String(noteOf(n))}); err == nil {
		w.acked.Store(n)
	}
	return err
}

// A backup of a running service, over HTTP, is of one moment: it has everything that was answered
// before it began, and of what was written meanwhile no later write without those before.
func TestABackupUnderWritersIsAPrefix(t *testing.T) {
	t.Parallel()
	onlyFile(t, "tables in a cloud have backups of their own")
	s := serve(t)
	const writers, before, backups = 8, 3, 3
	all := make([]writer, writers)
	var stop atomic.Bool
	var running sync.WaitGroup
	began := make(chan struct{}, 2*writers)
	for i, client := range s.clients(t, writers) {
		w := &all[i]
		w.prefix = fmt.Sprintf("w%d", i)
		running.Go(func() {
			for n := int64(0); !stop.Load() || n <= before; n++ {
				if err := w.step(client, n); err != nil {
					t.Errorf("writer %d: %v", i, err)
					break
				}
				if n == before {
					began <- struct{}{}
				}
			}
			began <- struct{}{} // also after an error
		})
	}
	defer running.Wait()
	defer stop.Store(true)
	for range writers {
		<-began
	}
	for range backups {
		var least [writers]int64
		for i := range all {
			least[i] = all[i].acked.Load()
		}
		dir := t.TempDir()
		path, data := filepath.Join(dir, "backup.db"), filepath.Join(dir, "restored")
		run(t, "backup", path, "--endpoint", "http://"+s.endpoint, "--data", s.data).ok(t)
		for _, file := range []string{"keyring.json", "access-key.json"} { // kept apart
			text, err := os.ReadFile(filepath.Join(s.data, file))
			if err == nil {
				err = os.MkdirAll(data, 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(data, file), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		run(t, "restore-backup", path, "--data", data).ok(t)
		if out := run(t, "check", "--data", data).ok(t); !strings.Contains(out, " 0 problems") {
			t.Errorf("check of the copy: %s", out)
		}
		wantPrefixes(t, data, all, least[:])
	}
}

// wantPrefixes asks a copy for all that each writer had been answered, and for no gap.
func wantPrefixes(t *testing.T, data string, all []writer, least []int64) {
	t.Helper()
	copied := serveOn(t, data)
	defer copied.stop()
	client := copied.client(t)
	names, _ := walk(t, client, 100, nil)
	for i := range all {
		w := &all[i]
		last := int64(0)
		for slices.Contains(names, w.name(last+1)) {
			last++
		}
		count := len(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return !strings.HasPrefix(name, w.prefix+"-")
		}))
		if last < least[i] || count != int(last)+1 { // and the note
			t.Errorf("writer %d: the copy has %d in order and %d in all, want at least %d and no other", i, last,
				count-1, least[i])
		}
		noted := dara.StringValue(get(t, client, w.note()).Body.ChatConfiguration.RamRole)
		if noted != noteOf(last) && noted != noteOf(last-1) {
			t.Errorf("writer %d: the copy has %d, and its note says %s", i, last, noted)
		}
	}
}
