package tabletest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/tabletest"
)

func TestMemory(t *testing.T) {
	tabletest.Run(t, func(_ *testing.T, o tabletest.Options) table.Table { return tabletest.NewMemory(o) },
		tabletest.Caps{})
}

func TestSlowTextMemory(t *testing.T) {
	tabletest.Run(t, func(_ *testing.T, o tabletest.Options) table.Table { return tabletest.NewMemory(o) },
		tabletest.Caps{Slow: true, TextKeys: true})
}

// brokenVariable names the broken table for a child process of TestBroken.
const brokenVariable = "TABLETEST_BROKEN"

// TestSubject is the child of TestBroken.
func TestSubject(t *testing.T) {
	name, ok := os.LookupEnv(brokenVariable)
	if !ok {
		t.Skip("it is what TestBroken runs in a process of its own")
	}
	tabletest.Run(t, func(_ *testing.T, o tabletest.Options) table.Table { return broken[name].make(o) },
		tabletest.Caps{})
}

// TestBroken runs the suite on tables that are each broken in one way. The right part of the suite
// must fail.
func TestBroken(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) == 0 {
		t.Fatal("there are no broken tables")
	}
	for name, b := range broken {
		for _, part := range b.foundBy {
			t.Run(name+"/"+part, func(t *testing.T) {
				t.Parallel()
				cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestSubject$/^"+part+
					"$", "-test.timeout=1m")
				cmd.Env = append(os.Environ(), brokenVariable+"="+name)
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 1 ||
					!strings.Contains(string(out), "--- FAIL: TestSubject/"+part) {
					t.Errorf("a table that %s passes %s: %v\n%s", name, part, err, out)
				}
			})
		}
	}
}

// broken are tables that violate the contract: how, and the parts of the suite that must fail.
var broken = map[string]struct {
	make    func(tabletest.Options) table.Table
	foundBy []string
}{
	"ignores conditions": {foundBy: []string{"Conditions", "Atomic", "Races", "Linear", "Random", "Age"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				t.write = func(ctx context.Context, p string, c table.Change) error {
					return t.Table.Write(ctx, p, unconditional(c))
				}
			})
		}},
	"checks conditions before it writes": {foundBy: []string{"Races", "Linear", "Age"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				t.write = func(ctx context.Context, p string, c table.Change) error {
					for _, put := range c.Puts {
						items, err := t.Table.Get(ctx, table.Key{Partition: p, Sort: put.Sort})
						revision, exact := put.If.Revision()
						if put.If.IsAbsent() && len(items) > 0 || exact &&
							(len(items) == 0 || items[0].Revision != revision) {
							return &table.ConditionError{Key: table.Key{Partition: p, Sort: put.Sort}, If: put.If}
						}
						if err != nil {
							return err
						}
					}
					for range 10 {
						runtime.Gosched()
					}
					for i := range c.Puts {
						c.Puts[i].If = table.Condition{}
					}
					return t.Table.Write(ctx, p, c)
				}
			})
		}},
	"writes part by part": {foundBy: []string{"Atomic", "Random"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				for i := range c.Puts {
					if err := t.Table.Write(ctx, p, table.Change{Puts: c.Puts[i : i+1]}); err != nil {
						return err
					}
				}
				if c.Puts = nil; len(c.Deletes)+len(c.Adds) == 0 {
					return nil
				}
				return t.Table.Write(ctx, p, c)
			}
		})
	}},
	"lists the partition of the cursor again": {foundBy: []string{"Partitions"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				all := t.partitions
				t.partitions = func(ctx context.Context, after string, limit int) ([]string, error) {
					page, err := all(ctx, after, limit)
					if err == nil && after != "" && len(page) > 1 {
						page[0] = after
					}
					return page, err
				}
			})
		}},
	"lists no partition behind one that is gone": {foundBy: []string{"Partitions"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				all := t.partitions
				t.partitions = func(ctx context.Context, after string, limit int) ([]string, error) {
					page, err := all(ctx, after, limit)
					if err != nil || after == "" {
						return page, err
					}
					items, err := t.Table.Query(ctx, table.Range{Partition: after, Limit: 1})
					if err != nil || len(items) == 0 {
						return nil, err
					}
					return page, nil
				}
			})
		}},
	"names the wrong condition": {foundBy: []string{"Atomic", "Random"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				slices.Reverse(c.Puts)
				return t.Table.Write(ctx, p, c)
			}
		})
	}},
	"calls a failed condition unavailable": {foundBy: []string{"Conditions", "Atomic", "Races", "Adds"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				t.write = func(ctx context.Context, p string, c table.Change) error {
					err := t.Table.Write(ctx, p, c)
					if failed := (*table.ConditionError)(nil); errors.As(err, &failed) {
						return table.ErrUnavailable
					}
					return err
				}
			})
		}},
	"loses adds": {foundBy: []string{"Adds"}, make: func(o tabletest.Options) table.Table {
		var n atomic.Int64
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				if len(c.Adds) > 1 && n.Add(1)%100 == 0 {
					c.Adds = c.Adds[:1]
				}
				return t.Table.Write(ctx, p, c)
			}
		})
	}},
	"keeps the count of what a put replaces": {foundBy: []string{"Verbs", "Linear", "Random"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				t.write = func(ctx context.Context, p string, c table.Change) error {
					var counts []table.Add
					for _, put := range c.Puts {
						if items, _ := t.Table.Get(ctx, table.Key{Partition: p, Sort: put.Sort}); len(items) > 0 {
							counts = append(counts, table.Add{Sort: put.Sort, N: items[0].Count})
						}
					}
					if err := t.Table.Write(ctx, p, c); err != nil || len(counts) == 0 {
						return err
					}
					return t.Table.Write(ctx, p, table.Change{Adds: counts})
				}
			})
		}},
	"returns stale reads": {foundBy: []string{"Linear"}, make: func(o tabletest.Options) table.Table {
		var mu sync.Mutex
		seen := make(map[table.Key][]table.Item)
		n := 0
		return tamper(o, func(t *tampered) {
			t.get = func(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
				items, err := t.Table.Get(ctx, keys...)
				if len(keys) != 1 || err != nil {
					return items, err
				}
				mu.Lock()
				defer mu.Unlock()
				if old, ok := seen[keys[0]]; ok {
					if n++; n%5 == 0 {
						return old, nil
					}
				}
				seen[keys[0]] = items
				return items, nil
			}
		})
	}},
	"folds keys": {foundBy: []string{"Keys"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				for i := range c.Puts {
					c.Puts[i].Sort = strings.TrimRight(c.Puts[i].Sort, "\x00") +
						strings.Repeat("0", strings.Count(c.Puts[i].Sort, "\x00"))
				}
				return t.Table.Write(ctx, p, c)
			}
		})
	}},
	"sorts without regard to case": {foundBy: []string{"Keys"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				items, err := t.Table.Query(ctx, r)
				if !r.Reverse {
					slices.SortStableFunc(items,
						func(a, b table.Item) int {
							return strings.Compare(strings.ToLower(a.Sort),
								strings.ToLower(b.Sort))
						})
				}
				return items, err
			}
		})
	}},
	"returns every page from the start": {foundBy: []string{"Pages"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				if r.Reverse {
					r.After = ""
				}
				return t.Table.Query(ctx, r)
			}
		})
	}},
	"includes the cursor": {foundBy: []string{"Pages", "Keys"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				if n := len(r.After); n > 0 && r.After[n-1] > 0 && !r.Reverse {
					r.After = r.After[:n-1] + string([]byte{r.After[n-1] - 1, 0xFF})
				}
				if len(r.After) > table.MaxKey {
					r.After = r.After[:table.MaxKey]
				}
				return t.Table.Query(ctx, r)
			}
		})
	}},
	"leaves the prefix behind a cursor": {foundBy: []string{"Pages", "Keys", "Random"},
		make: func(o tabletest.Options) table.Table {
			return tamper(o, func(t *tampered) {
				t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
					if r.After != "" {
						r.Prefix = ""
					}
					return t.Table.Query(ctx, r)
				}
			})
		}},
	"returns short pages": {foundBy: []string{"Pages"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				r.Limit = min(r.Limit, 200)
				return t.Table.Query(ctx, r)
			}
		})
	}},
	"keeps the slices of others": {foundBy: []string{"Copies"}, make: func(o tabletest.Options) table.Table {
		var kept sync.Map
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				for _, put := range c.Puts {
					kept.Store(table.Key{Partition: p, Sort: put.Sort}, put.Value)
				}
				return t.Table.Write(ctx, p, c)
			}
			t.get = func(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
				items, err := t.Table.Get(ctx, keys...)
				for i := range items {
					value, _ := kept.Load(items[i].Key)
					items[i].Value = value.([]byte)
				}
				return items, err
			}
		})
	}},
	"cuts large values": {foundBy: []string{"Values"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				for i, put := range c.Puts {
					c.Puts[i].Value = put.Value[:min(len(put.Value), 1<<18)]
				}
				return t.Table.Write(ctx, p, c)
			}
		})
	}},
	"shows too fine a time": {foundBy: []string{"Verbs", "Random"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				items, err := t.Table.Query(ctx, r)
				for i := range items {
					items[i].Written = items[i].Written.Add(time.Microsecond)
				}
				return items, err
			}
		})
	}},
	"takes calls after Close": {foundBy: []string{"Closed"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) { t.close = func() error { return nil } })
	}},
	"takes invalid calls": {foundBy: []string{"Invalid"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				if err := t.Table.Write(ctx, p, c); !errors.Is(err, table.ErrInvalid) {
					return err
				}
				return nil
			}
		})
	}},
	"does not look at contexts": {foundBy: []string{"Context"}, make: func(o tabletest.Options) table.Table {
		return tamper(o, func(t *tampered) {
			t.write = func(ctx context.Context, p string, c table.Change) error {
				return t.Table.Write(context.WithoutCancel(ctx), p, c)
			}
		})
	}},
	"remembers expired items": {foundBy: []string{"Age", "Random"}, make: func(o tabletest.Options) table.Table {
		ttl := o.TTL
		o.TTL = 0
		return tamper(o, func(t *tampered) {
			over := func(item table.Item) bool { return ttl > 0 && o.Now().Sub(item.Written) >= ttl }
			t.get = func(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
				items, err := t.Table.Get(ctx, keys...)
				return slices.DeleteFunc(items, over), err
			}
			t.query = func(ctx context.Context, r table.Range) ([]table.Item, error) {
				items, err := t.Table.Query(ctx, r)
				return slices.DeleteFunc(items, over), err
			}
		})
	}},
	"never forgets": {foundBy: []string{"Age", "Random"}, make: func(o tabletest.Options) table.Table {
		o.TTL = 0
		return tabletest.NewMemory(o)
	}},
}

// A tampered table is a correct table with some changed verbs. They change copies of their
// arguments.
type tampered struct {
	table.Table
	get   func(ctx context.Context, keys ...table.Key) ([]table.Item, error)
	query func(ctx context.Context, r table.Range) ([]table.Item, error)
	write func(ctx context.Context, p string, c table.Change) error
	close func() error

	partitions func(ctx context.Context, after string, limit int) ([]string, error)
}

func tamper(o tabletest.Options, how func(*tampered)) table.Table {
	m := tabletest.NewMemory(o)
	t := &tampered{Table: m, get: m.Get, query: m.Query, write: m.Write, close: m.Close,
		partitions: m.(table.Partitioner).Partitions}
	how(t)
	return t
}

func (t *tampered) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	return t.get(ctx, keys...)
}

func (t *tampered) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	return t.query(ctx, r)
}

func (t *tampered) Partitions(ctx context.Context, after string, limit int) ([]string, error) {
	return t.partitions(ctx, after, limit)
}

func (t *tampered) Write(ctx context.Context, p string, c table.Change) error {
	c.Puts, c.Deletes, c.Adds = slices.Clone(c.Puts), slices.Clone(c.Deletes), slices.Clone(c.Adds)
	return t.write(ctx, p, c)
}

func (t *tampered) Close() error { return t.close() }

func unconditional(c table.Change) table.Change {
	for i := range c.Puts {
		c.Puts[i].If = table.Condition{}
	}
	for i := range c.Deletes {
		c.Deletes[i].If = table.Condition{}
	}
	return c
}
