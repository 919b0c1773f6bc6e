package file_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/bolt"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// childVariable holds the path that a child of this test binary is to write to until it is killed.
const childVariable = "FILE_CHILD"

func TestMain(m *testing.M) {
	path, ok := os.LookupEnv(childVariable)
	if !ok {
		os.Exit(m.Run())
	}
	fmt.Println("error", writeForEver(path, os.Getenv(childVariable+"_FROM")))
	os.Exit(1)
}

// writeForEver writes pairs of items from several goroutines, and prints the number of each pair
// once it is acknowledged.
func writeForEver(path, from string) error {
	first, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	db, err := file.Open(path, file.Options{})
	if err != nil {
		return err
	}
	tb := db.Table("items", file.TableOptions{TTL: time.Hour})
	errs := make(chan error)
	for g := range 4 {
		go func() {
			for i := first + g; ; i += 4 {
				if err := tb.Write(context.Background(), "p", pair(i)); err != nil {
					errs <- err
					return
				}
				fmt.Println("ack", i) // one write call each: a line is printed whole or not at all
			}
		}()
	}
	return <-errs
}

func pair(i int) table.Change {
	return table.Change{
		Puts: []table.Put{{Sort: fmt.Sprintf("a%09d", i), Value: pairValue(i), If: table.Absent()},
			{Sort: fmt.Sprintf("b%09d", i)}},
		Adds: []table.Add{{Sort: "n", N: 1}},
	}
}

func pairValue(i int) []byte { return bytes.Repeat([]byte(strconv.Itoa(i)), 1+i*37%300) }

// A process that is killed while it writes loses nothing that it was told is kept, leaves no half
// of a write, and leaves a file that opens: twenty times over the same file.
func TestKilledInMidWrite(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "data", "table.db")
	acknowledged := make(map[int]bool)
	for round := range 20 {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), childVariable+"="+path,
			fmt.Sprintf("%s_FROM=%d", childVariable, round*1_000_000))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed after so many answers, while others are under way; in some rounds while the file
		// is being opened.
		wanted := rand.IntN(60)
		if round%5 == 0 {
			wanted = round / 5
		}
		lines := bufio.NewScanner(out)
		for n := 0; ; n++ {
			if n == wanted {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if !lines.Scan() {
				break
			}
			i, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "ack "))
			if err != nil {
				t.Fatalf("the child said %q", lines.Text())
			}
			acknowledged[i] = true
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the child ended by itself: %v", err)
		}
		checkPairs(t, path, acknowledged)
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
}

// checkPairs opens the file and wants all acknowledged pairs in it, and no half of one.
func checkPairs(t *testing.T, path string, acknowledged map[int]bool) {
	t.Helper()
	db, err := file.Open(path, file.Options{})
	if err != nil {
		t.Fatalf("Open after a kill: %v", err)
	}
	defer db.Close()
	if err := db.Verify(t.Context()); err != nil {
		t.Fatalf("Verify after a kill: %v", err)
	}
	tb := db.Table("items", file.TableOptions{TTL: time.Hour})
	there := make(map[string]int)
	total, count := 0, int64(0)
	r := table.Range{Partition: "p", Limit: table.MaxQuery}
	for {
		items, err := tb.Query(t.Context(), r)
		if err != nil {
			t.Fatalf("Query: %v", err)
		}
		for _, item := range items {
			if item.Sort == "n" {
				count = item.Count
				continue
			}
			there[item.Sort[1:]]++
			total++
			if i, _ := strconv.Atoi(item.Sort[1:]); item.Sort[0] == 'a' && !bytes.Equal(item.Value, pairValue(i)) {
				t.Fatalf("%s has become %q", item.Sort, item.Value)
			}
			r.After = item.Sort
		}
		if len(items) < r.Limit {
			break
		}
	}
	if total != 2*len(there) || count != int64(len(there)) {
		t.Fatalf("there are %d items of %d pairs, and %d were counted", total, len(there), count)
	}
	for i := range acknowledged {
		if there[fmt.Sprintf("%09d", i)] != 2 {
			t.Fatalf("pair %d was acknowledged and is lost", i)
		}
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.db")
	open(t, path, file.Options{})
	if _, err := file.Open(path, file.Options{}); !errors.Is(err, bolt.ErrInUse) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("a second Open = %v, want ErrInUse and the path", err)
	}
}

func TestOpenRefusesAFileOfAnotherKind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.db")
	other, err := bolt.Open(path, bolt.Options{Kind: "something else", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(path, file.Options{}); !errors.Is(err, bolt.ErrForeign) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("Open = %v, want ErrForeign and the path", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Open changed the file: %v", err)
	}
}

func TestTablesOfOneFileAreApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.db")
	db := open(t, path, file.Options{})
	one, two := db.Table("one", file.TableOptions{}), db.Table("two", file.TableOptions{})
	write(t, one, table.Change{Puts: []table.Put{{Sort: "a", Revision: 1}}})
	write(t, two, table.Change{Puts: []table.Put{{Sort: "a", Revision: 2, If: table.Absent()}}})
	if err := one.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := one.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Get from a closed table = %v, want ErrClosed", err)
	}
	for name, want := range map[string]int64{"one": 1, "two": 2} {
		items, err := db.Table(name, file.TableOptions{}).Get(t.Context(), table.Key{Partition: "p", Sort: "a"})
		if err != nil || len(items) != 1 || items[0].Revision != want {
			t.Errorf("Get from %s = %v, %v, want revision %d", name, items, err, want)
		}
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := two.Write(t.Context(), "p", table.Change{Adds: []table.Add{{Sort: "a"}}}); !errors.Is(err,
		table.ErrClosed) {
		t.Errorf("Write to a closed file = %v, want ErrClosed", err)
	}
	if err := db.Verify(t.Context()); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Verify of a closed file = %v, want ErrClosed", err)
	}
}

func TestFullFileIsUnavailable(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{MaxSize: 4 << 20})
	tb := db.Table("items", file.TableOptions{})
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = tb.Write(t.Context(), "p",
			table.Change{Puts: []table.Put{{Sort: fmt.Sprint(i), Value: make([]byte, table.MaxValue)}}})
	}
	if !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("Write to a full file = %v, want ErrUnavailable", err)
	}
	if items, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 100}); err != nil || len(items) == 0 {
		t.Errorf("Query of a full file = %d items, %v", len(items), err)
	}
}

func TestAddBeyondTheLargestCountIsInvalid(t *testing.T) {
	tb := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{}).Table("items", file.TableOptions{})
	for _, extreme := range []int64{1<<63 - 1, -1 << 63} {
		c := table.Change{Puts: []table.Put{{Sort: "a"}}}
		write(t, tb, c)
		add := func(n int64) error {
			return tb.Write(t.Context(), "p", table.Change{Adds: []table.Add{{Sort: "a", N: n}}})
		}
		if err := add(extreme); err != nil {
			t.Errorf("add %d to 0: %v", extreme, err)
		}
		over := int64(1)
		if extreme < 0 {
			over = -1
		}
		if err := add(over); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("add %d to %d = %v, want ErrInvalid", over, extreme, err)
		}
		if err := add(-over); err != nil {
			t.Errorf("add %d to %d: %v", -over, extreme, err)
		}
	}
}

// A row that was spoiled is an error where it is met, and nowhere else.
func TestSpoiledRow(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{})
	tb := db.Table("items", file.TableOptions{TTL: time.Hour})
	write(t, tb, table.Change{Puts: []table.Put{{Sort: "a"}, {Sort: "b"}, {Sort: "c"}}})
	key, row := file.Row("p", "b", 1, 1, 1, []byte("value"))
	row[len(row)-1]++
	err := db.Engine().Update(t.Context(), 0, func(tx *bolt.Tx) error { return tx.Bucket(tb.Bucket()).Put(key, row) })
	if err != nil {
		t.Fatal(err)
	}
	get := func(sort string) error {
		_, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: sort})
		return err
	}
	_, queryErr := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 10})
	for what, err := range map[string]error{
		"Get":    get("b"),
		"Query":  queryErr,
		"an add": tb.Write(t.Context(), "p", table.Change{Adds: []table.Add{{Sort: "b"}}}),
		"a put on terms": tb.Write(t.Context(), "p",
			table.Change{Puts: []table.Put{{Sort: "b", If: table.AtRevision(1)}}}),
		"Verify": db.Verify(t.Context()),
	} {
		if !errors.Is(err, table.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), `item "b" of "p"`) {
			t.Errorf("%s of a spoiled row = %v, want ErrUnavailable and its name", what, err)
		}
	}
	if err := get("a"); err != nil {
		t.Errorf("Get of its neighbour: %v", err)
	}
	write(t, tb, table.Change{Deletes: []table.Delete{{Sort: "b"}}})
	if err := db.Verify(t.Context()); err != nil {
		t.Errorf("Verify after the row was deleted: %v", err)
	}
}

// What is over age leaves the file, in steps: no Write looks at more than a few rows, and none
// waits for ever.
func TestPurge(t *testing.T) {
	now := time.Now()
	db := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{Now: func() time.Time { return now }})
	tb := db.Table("tickets", file.TableOptions{TTL: time.Hour})
	keep := db.Table("items", file.TableOptions{})
	var c table.Change
	for i := range 100 {
		c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("old%03d", i)})
	}
	write(t, tb, c)
	write(t, keep, c)
	now = now.Add(59 * time.Minute)
	write(t, tb, table.Change{Puts: []table.Put{{Sort: "young"}}})
	now = now.Add(time.Minute)
	if got, want := rows(t, db, tb), 101; got != want {
		t.Errorf("before a Write the file has %d rows, want %d", got, want)
	}
	last := rows(t, db, tb)
	for n := range 20 {
		write(t, tb, table.Change{Puts: []table.Put{{Sort: "young"}}})
		left := rows(t, db, tb)
		if last-left > 8 {
			t.Errorf("Write %d removed %d rows, want at most 8", n, last-left)
		}
		last = left
	}
	if last != 1 {
		t.Errorf("after 20 Writes the file has %d rows, want 1", last)
	}
	if got, want := rows(t, db, keep), 100; got != want {
		t.Errorf("a table without a time to live has %d rows, want %d", got, want)
	}
	// A Write whose condition fails changes nothing, and so purges nothing.
	now = now.Add(time.Hour)
	var failed *table.ConditionError
	err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "young", If: table.AtRevision(0)}}})
	if !errors.As(err, &failed) || rows(t, db, tb) != 1 {
		t.Errorf("a Write whose condition fails = %v, and left %d rows, want a ConditionError and 1",
			err, rows(t, db, tb))
	}
}

// rows returns how many rows of a table are in the file, whatever their age.
func rows(t *testing.T, db *file.DB, tb *file.Table) int {
	t.Helper()
	n := 0
	err := db.Engine().View(func(tx *bolt.Tx) error {
		c := tx.Bucket(tb.Bucket()).Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return n
}

// A context that ends after so many looks at it. It stands for a client that leaves in the middle
// of a long scan.
type countdown struct {
	context.Context
	looks int
}

func (c *countdown) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestScansLookAtTheirContext(t *testing.T) {
	now := time.Now()
	db := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{Now: func() time.Time { return now }})
	tb := db.Table("items", file.TableOptions{TTL: time.Hour})
	for i := range 10 {
		var c table.Change
		for j := range 100 {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprint(i, "/", j)})
		}
		write(t, tb, c)
	}
	now = now.Add(time.Hour) // so that even a page of one has to pass them all
	if _, err := tb.Query(&countdown{t.Context(), 3}, table.Range{Partition: "p", Limit: 1}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("Query whose context ends meanwhile = %v, want Canceled", err)
	}
	if err := db.Verify(&countdown{t.Context(), 5}); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify whose context ends meanwhile = %v, want Canceled", err)
	}
}

func write(t testing.TB, tb table.Table, c table.Change) {
	t.Helper()
	if err := tb.Write(t.Context(), "p", c); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// filled returns a table with 1,000 items of 600 bytes.
func filled(b *testing.B) table.Table {
	tb := open(b, filepath.Join(b.TempDir(), "table.db"), file.Options{}).Table("items", file.TableOptions{})
	for i := range 10 {
		var c table.Change
		for j := range 100 {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("c#%03d", i*100+j), Value: make([]byte, 600)})
		}
		write(b, tb, c)
	}
	return tb
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			tb := filled(b)
			b.ReportAllocs()
			b.ResetTimer()
			var done sync.WaitGroup
			for w := range writers {
				done.Go(func() {
					for i := w; i < b.N; i += writers {
						c := table.Change{Puts: []table.Put{{Sort: fmt.Sprintf("c#%03d", i%1000),
							Value: make([]byte, 600), Revision: int64(i)}}}
						if err := tb.Write(b.Context(), "p", c); err != nil {
							b.Errorf("Write: %v", err)
						}
					}
				})
			}
			done.Wait()
		})
	}
}

func BenchmarkGet(b *testing.B) {
	tb := filled(b)
	key := table.Key{Partition: "p", Sort: "c#500"}
	b.ReportAllocs()
	for b.Loop() {
		if items, err := tb.Get(b.Context(), key); err != nil || len(items) != 1 {
			b.Fatalf("Get = %v, %v", items, err)
		}
	}
}

func BenchmarkQuery50(b *testing.B) {
	tb := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		items, err := tb.Query(b.Context(), table.Range{Partition: "p", Prefix: "c#", After: "c#500", Limit: 50})
		if err != nil || len(items) != 50 {
			b.Fatalf("Query = %v, %v", items, err)
		}
	}
}
