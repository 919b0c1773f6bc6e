package ots_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

// streamed enables a stream with the given hours of life, and columns of the former row.
func streamed(hours int32, origin ...string) func(*tablestore.CreateTableRequest) {
	return func(r *tablestore.CreateTableRequest) {
		r.StreamSpec = &tablestore.StreamSpecification{
			EnableStream: true, ExpirationTime: hours, OriginColumnsToGet: origin,
		}
	}
}

// stream returns the id of the table's stream, or "".
func (c *client) stream(table string) *tablestore.StreamId {
	c.t.Helper()
	out, err := c.ListStream(&tablestore.ListStreamRequest{TableName: &table})
	if err != nil {
		c.t.Fatalf("ListStream(%s): %v", table, err)
	}
	if len(out.Streams) == 0 {
		return new(tablestore.StreamId)
	}
	return out.Streams[0].Id
}

// shard returns the table's stream and its only shard.
func (c *client) shard(table string) (*tablestore.StreamId, *tablestore.ShardId) {
	c.t.Helper()
	id := c.stream(table)
	out, err := c.DescribeStream(&tablestore.DescribeStreamRequest{StreamId: id})
	if err != nil || len(out.Shards) != 1 || out.NextShardId != nil {
		c.t.Fatalf("DescribeStream(%s): %+v, %v", *id, out, err)
	}
	return id, out.Shards[0].SelfShard
}

// iterate returns an iterator at the oldest record, or, if since is not 0, at the first record
// since that time in microseconds.
func (c *client) iterate(table string, since ...int64) *tablestore.ShardIterator {
	c.t.Helper()
	id, shard := c.shard(table)
	req := &tablestore.GetShardIteratorRequest{StreamId: id, ShardId: shard}
	for _, us := range since {
		req.Timestamp = &us
	}
	out, err := c.GetShardIterator(req)
	if err != nil {
		c.t.Fatalf("GetShardIterator(%s): %v", table, err)
	}
	return out.ShardIterator
}

// records reads the records after an iterator as text, and returns the next iterator.
func (c *client) records(it *tablestore.ShardIterator) ([]string, *tablestore.ShardIterator) {
	c.t.Helper()
	all := []string{}
	for {
		out, err := c.GetStreamRecord(&tablestore.GetStreamRecordRequest{ShardIterator: it})
		if err != nil {
			c.t.Fatalf("GetStreamRecord(%s): %v", *it, err)
		}
		for _, r := range out.Records {
			all = append(all, showRecord(r))
		}
		if *out.NextShardIterator == *it {
			return all, it
		}
		it = out.NextShardIterator
	}
}

func (c *client) recordError(it *tablestore.ShardIterator) error {
	_, err := c.GetStreamRecord(&tablestore.GetStreamRecordRequest{ShardIterator: it})
	return err
}

// showRecord writes a record as text: "update a x=1 -y -z@5 was x=0".
func showRecord(r *tablestore.StreamRecord) string {
	kind := map[tablestore.ActionType]string{
		tablestore.AT_Put: "put", tablestore.AT_Update: "update", tablestore.AT_Delete: "delete",
	}[r.Type]
	s := kind + " " + showKey(r.PrimaryKey) + showRecordColumns(r.Columns)
	if len(r.OriginColumns) > 0 {
		s += " was" + showRecordColumns(r.OriginColumns)
	}
	return s
}

func showRecordColumns(columns []*tablestore.RecordColumn) (s string) {
	for _, column := range columns {
		switch column.Type {
		case tablestore.RCT_Put:
			s += fmt.Sprintf(" %s=%v", *column.Name, column.Value)
		case tablestore.RCT_DeleteOneVersion:
			s += fmt.Sprintf(" -%s@%d", *column.Name, *column.Timestamp)
		case tablestore.RCT_DeleteAllVersions:
			s += " -" + *column.Name
		}
	}
	return s
}

func checkRecords(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("%s: records (-want +got):\n%s", what, diff)
	}
}

func setStream(c *client, table string, spec tablestore.StreamSpecification) {
	c.t.Helper()
	if _, err := c.UpdateTable(&tablestore.UpdateTableRequest{TableName: table, StreamSpec: &spec}); err != nil {
		c.t.Fatal(err)
	}
}

const (
	exist     = tablestore.RowExistenceExpectation_EXPECT_EXIST
	condition = "OTSConditionCheckFail: "
	trimmed   = "OTSTrimmedDataAccess: Requested stream data is already trimmed or does not exist."
)

func TestPlacesInAStream(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:integer", streamed(24))
	var at []int64
	for n := range 6 {
		at = append(at, now.now.UnixMicro())
		c.must(put("t", key("p", n), nil))
		if n == 2 {
			now.advance(-time.Hour) // the records keep their order
		} else {
			now.advance(time.Second)
		}
	}
	var keys, places []string
	var times []int64
	it := c.iterate("t")
	limit := int32(4)
	for page := 0; ; page++ {
		out, err := c.GetStreamRecord(&tablestore.GetStreamRecordRequest{ShardIterator: it, Limit: &limit})
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, fmt.Sprint(len(out.Records), *out.MayMoreRecord, out.CapacityUnit.Read))
		for _, r := range out.Records {
			keys, times = append(keys, showKey(r.PrimaryKey)), append(times, r.Info.Timestamp)
		}
		if *out.NextShardIterator == *it {
			break
		}
		it = out.NextShardIterator
	}
	if got, want := fmt.Sprint(places), "[4 true 1 2 false 1 0 false 1]"; got != want {
		t.Errorf("pages: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(keys), "[0 1 2 3 4 5]"; got != want {
		t.Errorf("keys: %s, want %s", got, want)
	}
	want := []int64{at[0], at[1], at[2], at[2] + 1, at[2] + 2, at[2] + 3}
	if !slices.Equal(times, want) {
		t.Errorf("times: %d, want %d", times, want)
	}
	for _, test := range []struct {
		since int64
		want  int
	}{{0, 6}, {at[0], 6}, {at[0] + 1, 5}, {at[2], 4}, {at[2] + 3, 1}, {at[2] + 4, 0}} {
		if got, _ := c.records(c.iterate("t", test.since)); len(got) != test.want {
			t.Errorf("records since %d: %q, want %d", test.since, got, test.want)
		}
	}
	it = c.iterate("t", now.now.UnixMicro()+2*time.Hour.Microseconds())
	c.must(put("t", key("p", 6), nil))
	now.advance(2 * time.Hour)
	c.must(put("t", key("p", 7), nil))
	got, _ := c.records(it)
	checkRecords(t, "since a time to come", got, "put 7")
}

func TestStreamsComeAndGo(t *testing.T) {
	c := run(t)
	c.create("a", "p:string")
	c.create("t", "p:string n:integer", transactional, streamed(24))
	c.create("s", "p:string", streamed(168))
	list := func() (names []string) {
		out, err := c.ListStream(&tablestore.ListStreamRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.Streams {
			names = append(names, *s.TableName)
		}
		return names
	}
	if got := list(); !slices.Equal(got, []string{"s", "t"}) {
		t.Errorf("ListStream: %q", got)
	}
	if got := c.stream("a"); *got != "" {
		t.Errorf("the stream of a table without: %q", *got)
	}
	other := &otstest.Instance{Endpoint: c.in.Endpoint, Name: "another", KeyID: c.in.KeyID, KeySecret: c.in.KeySecret}
	_, err := newClient(t, other).DescribeStream(&tablestore.DescribeStreamRequest{StreamId: c.stream("t")})
	fails(t, "DescribeStream in another instance", err, "OTSObjectNotExist: Requested stream does not exist.")
	d, err := c.DescribeStream(&tablestore.DescribeStreamRequest{StreamId: c.stream("s")})
	if err != nil || d.ExpirationTime != 168 || *d.TableName != "s" || d.Status != tablestore.SS_Active ||
		d.CreationTime == 0 {
		t.Errorf("DescribeStream: %+v, %v", d, err)
	}
	c.must(put("t", key("p", "a", "n", 1), nil))
	id, it := *c.stream("t"), c.iterate("t")

	setStream(c, "t", tablestore.StreamSpecification{EnableStream: true, ExpirationTime: 7})
	if d, err = c.DescribeStream(&tablestore.DescribeStreamRequest{StreamId: &id}); err != nil ||
		d.ExpirationTime != 7 {
		t.Errorf("DescribeStream after a change: %+v, %v", d, err)
	}
	setStream(c, "t", tablestore.StreamSpecification{EnableStream: true})
	if d, err = c.DescribeStream(&tablestore.DescribeStreamRequest{StreamId: &id}); err != nil ||
		d.ExpirationTime != 7 {
		t.Errorf("DescribeStream after a change without expiration: %+v, %v", d, err)
	}
	got, _ := c.records(it)
	checkRecords(t, "after the changes", got, "put a/1")

	txn := c.mustStart("t", key("p", "b"))
	c.must(putIn(txn, key("p", "b", "n", 1), nil))
	setStream(c, "t", tablestore.StreamSpecification{})
	fails(t, "a transaction with records of a stream that has gone", c.commit(txn), "OTSSessionNotExist: ")
	fails(t, "an iterator of a stream that has gone", c.recordError(it), trimmed)
	c.must(put("t", key("p", "a", "n", 2), nil))
	txn = c.mustStart("t", key("p", "b"))
	c.must(putIn(txn, key("p", "b", "n", 1), nil))
	setStream(c, "t", tablestore.StreamSpecification{EnableStream: true})
	fails(t, "a transaction without records", c.commit(txn), "OTSSessionNotExist: ")
	if *c.stream("t") == id {
		t.Error("a stream that was enabled again has its former id")
	}
	got, _ = c.records(c.iterate("t"))
	checkRecords(t, "a stream that was enabled again", got)
	c.must(put("t", key("p", "a", "n", 3), nil))
	it = c.iterate("t")
	if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
		t.Fatal(err)
	}
	fails(t, "an iterator of a table that has gone", c.recordError(it), trimmed)
	c.create("t", "p:string", streamed(24))
	got, _ = c.records(c.iterate("t"))
	checkRecords(t, "a table created again", got)
	if got := list(); !slices.Equal(got, []string{"s", "t"}) {
		t.Errorf("ListStream at the end: %q", got)
	}
}

func TestStreamRefusals(t *testing.T) {
	c := run(t)
	c.create("t", "p:string", streamed(24))
	id, shard := c.shard("t")
	it := c.iterate("t")
	noStream, noShard, none, minus, table := tablestore.StreamId("x"), tablestore.ShardId("x"), int32(0), int64(-1), "x"
	describe := func(r tablestore.DescribeStreamRequest) error { return errorOf(c.DescribeStream(&r)) }
	iterator := func(r tablestore.GetShardIteratorRequest) error { return errorOf(c.GetShardIterator(&r)) }
	get := func(r tablestore.GetStreamRecordRequest) error { return errorOf(c.GetStreamRecord(&r)) }
	text := func(s string) *tablestore.ShardIterator { return (*tablestore.ShardIterator)(&s) }
	last := string(*id) + "/7fffffffffffffff"
	long, zero := strings.Repeat("x", 255), "/0000000000000000"
	if n := len(*id); n != len("t_")+16 {
		t.Errorf("the stream %s has %d characters beside the name, want 17", *id, n-1)
	}
	const noSuch = "OTSObjectNotExist: Requested stream does not exist."
	const badIterator = "OTSParameterInvalid: Invalid shard iterator."
	for _, test := range []struct {
		what string
		err  error
		want string
	}{
		{"streams of no table", errorOf(c.ListStream(&tablestore.ListStreamRequest{TableName: &table})),
			"OTSObjectNotExist: "},
		{"no such stream", describe(tablestore.DescribeStreamRequest{StreamId: &noStream}), noSuch},
		{"from its shard on", describe(tablestore.DescribeStreamRequest{StreamId: id, InclusiveStartShardId: shard}),
			"ok"},
		{"from another shard on", describe(tablestore.DescribeStreamRequest{StreamId: id,
			InclusiveStartShardId: &noShard}),
			"OTSParameterInvalid: Invalid shard id: 'x'."},
		{"no shards", describe(tablestore.DescribeStreamRequest{StreamId: id, ShardLimit: &none}),
			"OTSParameterInvalid: "},
		{"an iterator of no stream", iterator(tablestore.GetShardIteratorRequest{StreamId: &noStream, ShardId: shard}),
			noSuch},
		{"of another shard", iterator(tablestore.GetShardIteratorRequest{StreamId: id, ShardId: &noShard}),
			"OTSParameterInvalid: Invalid shard id: 'x'."},
		{"before 1970", iterator(tablestore.GetShardIteratorRequest{StreamId: id, ShardId: shard, Timestamp: &minus}),
			"OTSParameterInvalid: The timestamp must not be negative."},
		{"a token", iterator(tablestore.GetShardIteratorRequest{StreamId: id, ShardId: shard, Token: &table}),
			"OTSParameterInvalid: Invalid token."},
		{"no records", get(tablestore.GetStreamRecordRequest{ShardIterator: it, Limit: &none}),
			"OTSParameterInvalid: The limit must be greater than 0."},
		{"of another table", get(tablestore.GetStreamRecordRequest{ShardIterator: it, TableName: &table}), trimmed},
		{"another stream's", get(tablestore.GetStreamRecordRequest{ShardIterator: text("x/0000000000000000")}),
			trimmed},
		{"an id of 255 characters", get(tablestore.GetStreamRecordRequest{ShardIterator: text(long + zero)}), trimmed},
		{"one of 256", get(tablestore.GetStreamRecordRequest{ShardIterator: text(long + "x" + zero)}),
			"OTSParameterInvalid: Invalid stream id."},
		{"no place", get(tablestore.GetStreamRecordRequest{ShardIterator: text("x")}), badIterator},
		{"a negative place", get(tablestore.GetStreamRecordRequest{ShardIterator: text("x/-00000001")}), badIterator},
		{"a place too large", get(tablestore.GetStreamRecordRequest{ShardIterator: text("x/8000000000000000")}),
			badIterator},
		{"the last place", get(tablestore.GetStreamRecordRequest{ShardIterator: text(last)}),
			"ok"},
		{"a place in upper case", get(tablestore.GetStreamRecordRequest{ShardIterator: text("x/000000000000000A")}),
			badIterator},
	} {
		fails(t, test.what, test.err, test.want)
	}
	for _, hours := range []int32{-1, 169} {
		req := definition("u", "p:string")
		streamed(hours)(req)
		want := fmt.Sprintf("OTSParameterInvalid: Invalid stream expiration time: %d.", hours)
		fails(t, fmt.Sprint(hours, " hours at first"), errorOf(c.CreateTable(req)), want)
		update := &tablestore.UpdateTableRequest{TableName: "t", StreamSpec: req.StreamSpec}
		fails(t, fmt.Sprint(hours, " hours later"), errorOf(c.UpdateTable(update)), want)
	}
}

func TestStreamsOverARestartAndDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ots.db")
	set := func(o *ots.Options) { o.Path = path }
	var it *tablestore.ShardIterator
	var id string
	t.Run("write", func(t *testing.T) {
		c := run(t, set)
		c.create("t", "p:string", streamed(24))
		it, id = c.iterate("t"), string(*c.stream("t"))
		c.must(put("t", key("p", "a"), cols("v", 1)), remove("t", key("p", "a")))
	})
	t.Run("read", func(t *testing.T) {
		c := run(t, set)
		c.must(put("t", key("p", "b"), nil))
		got, _ := c.records(it)
		checkRecords(t, "after a restart", got, "put a v=1", "delete a", "put b")
	})
	s, err := ots.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(context.Background(), 0, func(tx *bolt.Tx) error {
		b := tx.Bucket("stream/" + otstest.Name + "/" + id)
		k, v := b.Cursor().Seek([]byte{0})
		k, v = bytes.Clone(k), bytes.Clone(v)
		v[len(v)-1]++
		return b.Put(k, v)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	t.Run("damaged", func(t *testing.T) {
		var log bytes.Buffer
		c := run(t, set, func(o *ots.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		fails(t, "a damaged record", c.recordError(it), "OTSServerUnavailable: ")
		if !strings.Contains(log.String(), "damaged stream record") {
			t.Errorf("the log: %s", &log)
		}
	})
}
