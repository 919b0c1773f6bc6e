package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/bolt"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// The variables of a child that is killed at a step of a backup or of a restore.
const (
	killStep = "TEST_KILL_AT"
	killFrom = "TEST_KILL_FROM" // the data directory, or the backup
	killTo   = "TEST_KILL_TO"   // the backup, or the data directory
)

func TestMain(m *testing.M) {
	if os.Getenv(killStep) != "" {
		if err := killed(os.Getenv(killStep), os.Getenv(killFrom), os.Getenv(killTo)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// killed makes or restores a backup, and kills this process at a step of it.
func killed(step, from, to string) error {
	app.SetReached(func(s string) {
		if s == step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if strings.HasSuffix(from, ".db") {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = app.RestoreBackup(context.Background(), app.Settings{Data: to, Table: "chatconf",
			TicketTable: "chatconf_tickets"}, f)
		return err
	}
	s, err := app.ReadSettings(env(map[string]string{"CHATCONF_DATA": from}))
	if err != nil {
		return err
	}
	_, err = app.WriteBackup(context.Background(), s, to, app.CopyFile(from))
	return err
}

// backedUp returns the settings of a stopped service with some data, and its backup.
func backedUp(t *testing.T) (s app.Settings, backup string) {
	t.Helper()
	r := newRotation(t, "a")
	r.settings.KeyRing = ""
	r.must(app.WriteFile(filepath.Join(r.settings.Data, app.KeyRingFile), []byte(ringText(t, "a").Reveal())))
	r.create("ops")
	r.keep(r.arrive("ops", "m-1", command.ReplyTo{}), "an answer")
	r.must(r.Close())
	backup = filepath.Join(t.TempDir(), "backup.db")
	found, err := app.WriteBackup(t.Context(), r.settings, backup, app.CopyFile(r.settings.Data))
	r.must(err)
	if found.Items["configurations"] != 1 || found.Items["access keys"] != 1 || found.Items["commands"] != 1 ||
		!slices.Equal(found.Keys, []string{"a"}) || found.Unreadable != 0 {
		t.Errorf("the backup has %+v", found)
	}
	return r.settings, backup
}

// elsewhere returns settings of a new directory, with a copy of the key ring.
func elsewhere(t *testing.T, s app.Settings) app.Settings {
	t.Helper()
	ring := readAll(t, filepath.Join(s.Data, app.KeyRingFile))
	s.Data = filepath.Join(t.TempDir(), "restored")
	if err := os.Mkdir(s.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := app.WriteFile(filepath.Join(s.Data, app.KeyRingFile), ring); err != nil {
		t.Fatal(err)
	}
	return s
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// mustRestore restores a backup and returns the service on it.
func mustRestore(t *testing.T, s app.Settings, backup []byte) *app.Local {
	t.Helper()
	if _, err := app.RestoreBackup(t.Context(), s, bytes.NewReader(backup)); err != nil {
		t.Fatalf("RestoreBackup: %v", err)
	}
	return open(t, s)
}

// A backup of a service that eight callers change has everything of one moment.
func TestABackupUnderWritersIsConsistent(t *testing.T) {
	r := newRotation(t, "a")
	var stop atomic.Bool
	var writes atomic.Int64
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				name := fmt.Sprintf("bot-%d-%d", w, n%5)
				_, err := r.Service.Create(r.ctx, &chat.CreateRequest{Name: name, Type: "Slack",
					Tags:          map[string]string{"writer": fmt.Sprint(w), "n": fmt.Sprint(n)},
					Configuration: `{"SlackSigningSecret":"not-a-real-secret"}`})
				if err == nil && n%2 == 0 {
					_, err = r.Service.Delete(r.ctx, &chat.DeleteRequest{Name: name})
				}
				if err != nil {
					_, err = r.Service.Update(r.ctx, &chat.UpdateRequest{Name: name, Status: "Inactive"})
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				writes.Add(1)
			}
		})
	}
	defer writers.Wait()
	defer stop.Store(true)
	for range 5 {
		begun := writes.Load()
		for writes.Load() < begun+40 {
			r.must(t.Context().Err())
			_, err := r.Service.List(r.ctx, &chat.ListRequest{})
			r.must(err)
		}
		path := filepath.Join(t.TempDir(), "backup.db")
		during := writes.Load()
		_, err := app.WriteBackup(t.Context(), r.settings, path, func(ctx context.Context, w io.Writer) error {
			return r.File.Snapshot(ctx, func(_ context.Context, from io.WriterTo) error {
				for more := writes.Load() + 8; writes.Load() < more; { // changes go on beside an open copy
					if _, err := r.Service.List(r.ctx, &chat.ListRequest{}); err != nil {
						return err
					}
				}
				_, err := from.WriteTo(w)
				return err
			})
		})
		r.must(err)
		if writes.Load() == during {
			t.Error("no write while the backup was made")
		}
		s := r.settings
		s.Data = filepath.Join(t.TempDir(), "restored")
		l := mustRestore(t, s, readAll(t, path))
		report, err := l.Service.Check(t.Context(), s.AccountID, s.Region)
		if err != nil || len(report.Problems) > 0 || report.Configurations == 0 {
			t.Errorf("Check of the backup = %+v, %v", report, err)
		}
		if err := l.File.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		r.must(l.Close())
	}
}

// What was saved works after a restore: the configuration, its secrets, and the first access key.
func TestRestore(t *testing.T) {
	s, backup := backedUp(t)
	key := readKey(t, s)
	to := elsewhere(t, s)
	l := mustRestore(t, to, readAll(t, backup))
	e, err := l.Service.OpenConfiguration(caller(t.Context()), command.Ref{Account: app.DefaultAccountID,
		Region: app.DefaultRegion, Name: "ops"})
	if err != nil || e.Settings["SlackSigningSecret"] == "" {
		t.Errorf("the restored configuration: %v, %v", e, err)
	}
	if found, err := l.Keys.Find(t.Context(), key.ID); err != nil || found.Secret != key.Secret {
		t.Errorf("the restored access key: %v, %v", found, err)
	}
	if got, want := namesIn(t, to.Data), []string{app.TableFile, app.KeyRingFile}; !slices.Equal(got, want) {
		t.Errorf("the directory has %q, want %q", got, want)
	}
	for _, path := range []string{backup, filepath.Join(to.Data, app.TableFile)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", path, info, err)
		}
	}
	if bytes.Contains(readAll(t, backup), []byte("not a real secret a")) {
		t.Error("the backup has the key ring")
	}
}

// A backup that an earlier version could have made, with access keys in the table of
// configurations, is restored as it is. The first start brings it up to date.
func TestABackupOfAnEarlierVersionIsRestored(t *testing.T) {
	s := settings(t)
	l := open(t, s)
	admin := readKey(t, s)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	asBefore(t, s, admin, policy.Administrator())
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := app.WriteBackup(t.Context(), s, backup, app.CopyFile(s.Data)); err != nil {
		t.Fatal(err)
	}
	l = mustRestore(t, elsewhere(t, s), readAll(t, backup))
	for id, secret := range map[string]secret.Text{admin.ID: admin.Secret, "CCKother": "not-a-real-secret"} {
		if key, err := l.Keys.Find(t.Context(), id); err != nil || key.Secret != secret {
			t.Errorf("key %s after the restore: %v, %v", id, key, err)
		}
	}
}

// The steps of both, in order.
var backupSteps = []string{"created", "copied", "checked", "synced", "renamed"}

// A process that is killed at a step leaves the whole file, or none.
func TestKilledWhileABackupIsMadeAndRestored(t *testing.T) {
	s, backup := backedUp(t)
	whole := readAll(t, backup)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range backupSteps {
		to := elsewhere(t, s)
		for target, from := range map[string]string{
			filepath.Join(t.TempDir(), "new.db"): s.Data,
			to.Data:                              backup,
		} {
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = append(os.Environ(), killStep+"="+step, killFrom+"="+from, killTo+"="+target)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.Exited() {
				t.Fatalf("%s: the child ended by itself: %v\n%s", step, err, out)
			}
			made := target
			if from == backup {
				made = filepath.Join(target, app.TableFile)
			}
			got, err := os.ReadFile(made)
			switch isThere := i == len(backupSteps)-1; {
			case isThere && !bytes.Equal(got, whole):
				t.Errorf("%s of %s: the file has %d bytes, %v, want all", step, from, len(got), err)
			case !isThere && !errors.Is(err, fs.ErrNotExist):
				t.Errorf("%s of %s: the file is there: %d bytes, %v", step, from, len(got), err)
			case !isThere && from == backup:
				l := mustRestore(t, to, whole)
				if names := namesIn(t, to.Data); len(names) != 2 {
					t.Errorf("%s: after a second restore there are %q", step, names)
				}
				l.Close()
			}
		}
	}
}

func TestStepsOfABackup(t *testing.T) {
	s, backup := backedUp(t)
	var steps []string
	defer app.SetReached(func(step string) { steps = append(steps, step) })()
	if _, err := app.WriteBackup(t.Context(), s, backup+".2", app.CopyFile(s.Data)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(steps, backupSteps) {
		t.Errorf("a backup has the steps %q, want %q", steps, backupSteps)
	}
	to := elsewhere(t, s)
	steps = nil
	if _, err := app.RestoreBackup(t.Context(), to, bytes.NewReader(readAll(t, backup))); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(steps, backupSteps) {
		t.Errorf("a restore has the steps %q, want %q", steps, backupSteps)
	}
}

// A full disk is an error of both, and leaves nothing.
func TestFullDisk(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skipf("this system has no %s", full)
	}
	s, backup := backedUp(t)
	to := elsewhere(t, s)
	content := readAll(t, backup)
	defer app.SetCreateTemp(func(dir, pattern string) (*os.File, error) {
		link := filepath.Join(dir, "."+pattern+"full") // removing it does not remove the device
		if err := os.Symlink(full, link); err != nil {
			return nil, err
		}
		return os.OpenFile(link, os.O_WRONLY, 0)
	})()
	fresh := filepath.Join(t.TempDir(), "new.db")
	if _, err := app.WriteBackup(t.Context(), s, fresh, app.CopyFile(s.Data)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a backup to a full disk = %v", err)
	}
	if names := namesIn(t, filepath.Dir(fresh)); len(names) > 0 {
		t.Errorf("it leaves %q", names)
	}
	if _, err := app.RestoreBackup(t.Context(), to, bytes.NewReader(content)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a restore to a full disk = %v", err)
	}
	if names := namesIn(t, to.Data); !slices.Equal(names, []string{app.KeyRingFile}) {
		t.Errorf("it leaves %q", names)
	}
}

// A backup that is damaged, not one, or of a newer version is refused, and nothing of it stays.
func TestBackupsThatAreRefused(t *testing.T) {
	s, backup := backedUp(t)
	whole := readAll(t, backup)
	at := bytes.LastIndex(whole, []byte("SlackSigningSecret"))
	if at < 0 {
		t.Fatal("the backup has no row to damage")
	}
	damaged := bytes.Clone(whole)
	damaged[at] ^= 1
	newer := filepath.Join(t.TempDir(), "newer.db")
	db, err := bolt.Open(newer, bolt.Options{Kind: "chatconf tables", Version: file.Version + 1})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	for about, c := range map[string]struct {
		content []byte
		want    string
	}{
		"no content":      {nil, "not a valid backup"},
		"another file":    {[]byte(strings.Repeat("text", 9000)), "not a valid backup"},
		"a cut file":      {whole[:len(whole)-4096], "not a valid backup"},
		"a damaged row":   {damaged, "its checksum is wrong"},
		"a newer version": {readAll(t, newer), "a newer version of chatconf made the backup"},
		"a newer claim":   {withClaim(t, s, 3), "has revision 3, which this version of chatconf does not know"},
		"no claim":        {withClaim(t, s, 0), "does the service have another CHATCONF_TABLE?"},
	} {
		to := elsewhere(t, s)
		_, err := app.RestoreBackup(t.Context(), to, bytes.NewReader(c.content))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v, want an error with %q", about, err, c.want)
		}
		if names := namesIn(t, to.Data); !slices.Equal(names, []string{app.KeyRingFile}) {
			t.Errorf("%s leaves %q", about, names)
		}
	}
	damagedData := elsewhere(t, s)
	if err := os.WriteFile(filepath.Join(damagedData.Data, app.TableFile), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "new.db")
	_, err = app.WriteBackup(t.Context(), damagedData, fresh, app.CopyFile(damagedData.Data))
	if err == nil || !strings.Contains(err.Error(), "its checksum is wrong") ||
		len(namesIn(t, filepath.Dir(fresh))) > 0 {
		t.Errorf("a backup of damaged data = %v", err)
	}
}

// withClaim returns a backup whose claim has another revision, or with 0 no claim.
func withClaim(t *testing.T, s app.Settings, revision int64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed.db")
	if err := os.WriteFile(path, readAll(t, filepath.Join(s.Data, app.TableFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := file.Open(path, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	configurations := db.Table(s.Table, file.TableOptions{})
	items, err := configurations.Get(t.Context(), table.Key{Partition: "service", Sort: "keyring"})
	if err != nil || len(items) != 1 {
		t.Fatalf("the claim: %v, %v", items, err)
	}
	change := table.Change{Deletes: []table.Delete{{Sort: "keyring"}}}
	if revision > 0 {
		change = table.Change{Puts: []table.Put{{Sort: "keyring", Value: items[0].Value, Revision: revision}}}
	}
	if err := configurations.Write(t.Context(), "service", change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return readAll(t, path)
}

// A backup needs all keys that sealed something in it. The error names them.
func TestRestoreNeedsTheKeyRing(t *testing.T) {
	r := newRotation(t, "a")
	r.create("one")
	r.open("b", "a") // in the middle of a rotation
	r.create("two")
	r.must(r.Close())
	backup := filepath.Join(t.TempDir(), "backup.db")
	_, err := app.WriteBackup(t.Context(), r.settings, backup, app.CopyFile(r.settings.Data))
	r.must(err)
	content := readAll(t, backup)
	restore := func(ids ...string) (app.Settings, error) {
		s := r.settings
		s.Data, s.KeyRing = filepath.Join(t.TempDir(), "restored"), ""
		if len(ids) > 0 {
			s.KeyRing = ringText(t, ids...)
		}
		_, err := app.RestoreBackup(t.Context(), s, bytes.NewReader(content))
		return s, err
	}
	for _, c := range []struct {
		ids  []string
		want string
	}{
		{nil, "the backup needs the key ring with the keys a, b: "},
		{[]string{"c"}, "the backup needs the keys a, b"},
		{[]string{"a"}, "the backup needs the key b"},
		{[]string{"b"}, "the backup needs the key a"},
	} {
		s, err := restore(c.ids...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "not a real secret") {
			t.Errorf("a restore with the keys %q = %v, want %q", c.ids, err, c.want)
		}
		if _, err := os.Stat(s.Data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a restore with the keys %q leaves its directory: %v", c.ids, err)
		}
	}
	if _, err := restore("a", "b"); err != nil {
		t.Errorf("a restore with both keys = %v", err)
	}
	// Another key with the same id.
	s, _ := backedUp(t)
	other := elsewhere(t, s)
	other.KeyRing = `{"keys":[{"id":"a","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}`
	_, err = app.RestoreBackup(t.Context(), other, bytes.NewReader(readAll(t, filepath.Join(s.Data, app.TableFile))))
	if !errors.Is(err, seal.ErrOpen) || !strings.Contains(err.Error(), "the key ring is not the one") {
		t.Errorf("a restore with another ring = %v", err)
	}
}

func TestRestoreOnlyIntoAnEmptyDirectory(t *testing.T) {
	s, backup := backedUp(t)
	content := readAll(t, backup)
	before := readAll(t, filepath.Join(s.Data, app.TableFile))
	_, err := app.RestoreBackup(t.Context(), s, bytes.NewReader(content))
	if err == nil || !strings.Contains(err.Error(), "is not empty, it has "+app.TableFile+";") {
		t.Errorf("a restore over a service = %v", err)
	}
	if !bytes.Equal(readAll(t, filepath.Join(s.Data, app.TableFile)), before) {
		t.Error("it changed the service's data")
	}
	// A service starts there meanwhile.
	to := elsewhere(t, s)
	path := filepath.Join(to.Data, app.TableFile)
	defer app.SetReached(func(step string) {
		if step == "checked" {
			if err := os.WriteFile(path, []byte("of a service"), 0o600); err != nil {
				t.Error(err)
			}
		}
	})()
	_, err = app.RestoreBackup(t.Context(), to, bytes.NewReader(content))
	if err == nil || !strings.Contains(err.Error(), "has appeared meanwhile") {
		t.Errorf("a restore beside a first start = %v", err)
	}
	if got := readAll(t, path); string(got) != "of a service" {
		t.Errorf("it replaced the other file by %d bytes", len(got))
	}
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to.Data = plain
	if _, err := app.RestoreBackup(t.Context(), to, bytes.NewReader(content)); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a restore into a file = %v", err)
	}
}

// A backup replaces no file: not the data, not the key ring, and no other backup.
func TestABackupReplacesNothing(t *testing.T) {
	s, backup := backedUp(t)
	for _, path := range []string{backup, filepath.Join(s.Data, app.TableFile),
		filepath.Join(s.Data, app.KeyRingFile)} {
		before := readAll(t, path)
		_, err := app.WriteBackup(t.Context(), s, path, app.CopyFile(s.Data))
		if err == nil || !strings.Contains(err.Error(), path+" exists; name a new file") {
			t.Errorf("a backup to %s = %v", path, err)
		}
		if !bytes.Equal(readAll(t, path), before) {
			t.Errorf("it changed %s", path)
		}
	}
}

func TestABackupEndsWithItsContext(t *testing.T) {
	s, backup := backedUp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := filepath.Join(t.TempDir(), "new.db")
	if _, err := app.WriteBackup(ctx, s, fresh, app.CopyFile(s.Data)); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup whose context has ended = %v", err)
	}
	_, err := app.RestoreBackup(ctx, elsewhere(t, s), bytes.NewReader(readAll(t, backup)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a restore whose context has ended = %v", err)
	}
	if _, err := app.WriteBackup(t.Context(), s, fresh, app.CopyFile(t.TempDir())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup of no service = %v", err)
	}
	if names := namesIn(t, filepath.Dir(fresh)); len(names) > 0 {
		t.Errorf("they leave %q", names)
	}
}
