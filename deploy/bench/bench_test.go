package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The data of both: rows of about 560 bytes.
const (
	partitions = 20
	rows       = 100 // of each partition
	page       = 50
	tableName  = "bench"
)

var value = make([]byte, 500)

func partitionOf(i int) string { return fmt.Sprintf("account-%02d/region", i%partitions) }

func sortOf(i int) string { return fmt.Sprintf("row-%06d", i/partitions%rows) }

// A client does the work that is measured, on one server, through its SDK. Which row is meant, a
// number says.
type client interface {
	create() error
	get(i int) error
	pageFrom(i int) error
	put(i int) error
}

// What is measured, and how often in one round with one client.
var works = []struct {
	name  string
	round int
	do    func(client, int) error
}{
	{"Get", 150, client.get},
	// from a row that 50 follow
	{"Range50", 40, func(c client, i int) error { return c.pageFrom(i % (partitions * (rows - page))) }},
	{"Put", 60, client.put},
}

// BenchmarkSDK is the rate of the emulator, durable, and that of dynalite, in memory, each through
// its SDK.
func BenchmarkSDK(b *testing.B) {
	compare(b, startEmulator(b), throughSDK)
}

// BenchmarkCeiling is the same with a server that costs next to nothing in the emulator's place:
// what the SDKs leave room for.
func BenchmarkCeiling(b *testing.B) {
	compare(b, startCanned(b), throughSDK)
}

// BenchmarkServer is the same without the SDKs: what they have sent is sent again by a client that
// costs next to nothing.
func BenchmarkServer(b *testing.B) {
	compare(b, startEmulator(b), func(b *testing.B, e engine, do func(client, int) error, clients int) func(int) error {
		return newReplay(b, e, do, clients).do
	})
}

func throughSDK(b *testing.B, e engine, do func(client, int) error, _ int) func(int) error {
	c := e.connect(e.server.url, newTransport(b))
	return func(i int) error { return do(c, i) }
}

// An engine is a server, and how to connect to it.
type engine struct {
	server  *server
	connect func(url string, transport http.RoundTripper) client
}

// compare measures each work on both engines, with 1 and 16 clients. The two take turns, so that
// the machine's moods meet both.
func compare(b *testing.B, tablestore *server,
	prepare func(b *testing.B, e engine, do func(client, int) error, clients int) func(int) error) {
	theirs, ours := engine{startDynalite(b), newDynamoDB}, engine{tablestore, newTablestore}
	for _, e := range []engine{ours, theirs} {
		fill(b, e.connect(e.server.url, newTransport(b)))
	}
	for _, work := range works {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/clients=%d", work.name, clients), func(b *testing.B) {
				round := work.round
				if clients > 1 {
					round *= 4
				}
				us := &contender{server: ours.server, do: prepare(b, ours, work.do, clients)}
				them := &contender{server: theirs.server, do: prepare(b, theirs, work.do, clients)}
				for _, c := range []*contender{us, them} { // not measured: connections are made
					spread(b, clients, round/4, c.do)
				}
				n := 0
				for b.Loop() {
					n += round
					us.turn(b, clients, round)
					them.turn(b, clients, round)
				}
				b.ReportMetric(0, "ns/op") // of a round, which says nothing
				b.ReportMetric(float64(round)/median(us.took), "emulator/s")
				b.ReportMetric(float64(round)/median(them.took), "dynalite/s")
				b.ReportMetric(median(us.times(them)), "x-dynalite")
				if us.cpu > 0 && them.cpu > 0 {
					b.ReportMetric(float64(us.cpu.Microseconds())/float64(n), "emulator-cpu-µs")
					b.ReportMetric(float64(them.cpu.Microseconds())/float64(n), "dynalite-cpu-µs")
				}
			})
		}
	}
}

// fill makes the table and its rows.
func fill(b *testing.B, c client) {
	b.Helper()
	if err := c.create(); err != nil {
		b.Fatal(err)
	}
	for i := range partitions * rows {
		if err := c.put(i); err != nil {
			b.Fatal(err)
		}
	}
}

// A contender is a server, the work that it is given, and what that took.
type contender struct {
	server *server
	do     func(i int) error
	took   []float64     // seconds, each round
	cpu    time.Duration // of the server
}

func (c *contender) turn(b *testing.B, clients, n int) {
	b.Helper()
	before, _ := c.server.cpu()
	c.took = append(c.took, spread(b, clients, n, c.do).Seconds())
	if after, ok := c.server.cpu(); ok {
		c.cpu += after - before
	}
}

// times returns, for each round, how many times the other's rate its own was. The two turns of a
// round meet the same mood of the machine.
func (c *contender) times(other *contender) []float64 {
	out := make([]float64, len(c.took))
	for i := range out {
		out[i] = other.took[i] / c.took[i]
	}
	return out
}

// median returns what the round in the middle has: one that a pause has spoilt, such as an SDK's
// before it tries again, does not count.
func median(rounds []float64) float64 {
	sorted := slices.Sorted(slices.Values(rounds))
	return sorted[len(sorted)/2]
}

// turns counts what was done, so that no two rounds mean the same rows.
var turns atomic.Int64

// spread runs do n times on so many goroutines and returns how long that took.
func spread(b *testing.B, goroutines, n int, do func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	first := int(turns.Add(int64(n))) - n
	started := time.Now()
	for range goroutines {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do((first + i) * 7919); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(started)
}

// newTransport returns the transport of either SDK.
func newTransport(b *testing.B) *http.Transport {
	t := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	b.Cleanup(t.CloseIdleConnections)
	return t
}

// tablestoreClient is the official SDK of Tablestore.
type tablestoreClient struct{ *tablestore.TableStoreClient }

func newTablestore(url string, transport http.RoundTripper) client {
	config := tablestore.NewDefaultTableStoreConfig()
	config.Transport = transport
	return tablestoreClient{tablestore.NewClientWithConfig(url, "bench-instance", keyID, keySecret, "", config)}
}

func (c tablestoreClient) create() error {
	meta := &tablestore.TableMeta{TableName: tableName}
	meta.AddPrimaryKeyColumn("p", tablestore.PrimaryKeyType_STRING)
	meta.AddPrimaryKeyColumn("s", tablestore.PrimaryKeyType_STRING)
	_, err := c.CreateTable(&tablestore.CreateTableRequest{
		TableMeta:          meta,
		TableOption:        &tablestore.TableOption{TimeToAlive: -1, MaxVersion: 1},
		ReservedThroughput: &tablestore.ReservedThroughput{},
	})
	return err
}

func primaryKey(i int) *tablestore.PrimaryKey {
	key := new(tablestore.PrimaryKey)
	key.AddPrimaryKeyColumn("p", partitionOf(i))
	key.AddPrimaryKeyColumn("s", sortOf(i))
	return key
}

func (c tablestoreClient) get(i int) error {
	out, err := c.GetRow(&tablestore.GetRowRequest{
		SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: tableName,
			PrimaryKey: primaryKey(i), MaxVersion: 1},
	})
	if err == nil && len(out.Columns) != 4 {
		err = fmt.Errorf("row of %d columns", len(out.Columns))
	}
	return err
}

func (c tablestoreClient) pageFrom(i int) error {
	end := new(tablestore.PrimaryKey)
	end.AddPrimaryKeyColumn("p", partitionOf(i))
	end.AddPrimaryKeyColumnWithMaxValue("s")
	out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
		TableName: tableName, StartPrimaryKey: primaryKey(i), EndPrimaryKey: end, MaxVersion: 1,
		Limit: page, Direction: tablestore.FORWARD,
	}})
	if err == nil && len(out.Rows) != page {
		err = fmt.Errorf("range of %d rows", len(out.Rows))
	}
	return err
}

func (c tablestoreClient) put(i int) error {
	change := &tablestore.PutRowChange{TableName: tableName, PrimaryKey: primaryKey(i)}
	change.AddColumn("value", value)
	change.AddColumn("revision", int64(7))
	change.AddColumn("count", int64(1))
	change.AddColumn("written", int64(1_700_000_000_000))
	change.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	_, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: change})
	return err
}

// dynamoDBClient is the official SDK of DynamoDB.
type dynamoDBClient struct{ *dynamodb.Client }

func newDynamoDB(url string, transport http.RoundTripper) client {
	return dynamoDBClient{dynamodb.New(dynamodb.Options{
		Region:       "eu-central-1",
		BaseEndpoint: &url,
		HTTPClient:   &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keySecret}, nil
		}),
	})}
}

func (c dynamoDBClient) create() error {
	_, err := c.CreateTable(context.Background(), &dynamodb.CreateTableInput{
		TableName:   aws.String(tableName),
		BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("s"), KeyType: types.KeyTypeRange},
		},
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("p"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("s"), AttributeType: types.ScalarAttributeTypeS},
		},
	})
	return err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }

func (c dynamoDBClient) get(i int) error {
	out, err := c.GetItem(context.Background(), &dynamodb.GetItemInput{
		TableName:      aws.String(tableName),
		Key:            map[string]types.AttributeValue{"p": text(partitionOf(i)), "s": text(sortOf(i))},
		ConsistentRead: aws.Bool(true),
	})
	if err == nil && len(out.Item) != 6 {
		err = fmt.Errorf("item of %d attributes", len(out.Item))
	}
	return err
}

func (c dynamoDBClient) pageFrom(i int) error {
	out, err := c.Query(context.Background(), &dynamodb.QueryInput{
		TableName:                 aws.String(tableName),
		KeyConditionExpression:    aws.String("p = :p AND s >= :s"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": text(partitionOf(i)), ":s": text(sortOf(i))},
		ConsistentRead:            aws.Bool(true),
		Limit:                     aws.Int32(page),
	})
	if err == nil && len(out.Items) != page {
		err = fmt.Errorf("page of %d items", len(out.Items))
	}
	return err
}

func (c dynamoDBClient) put(i int) error {
	_, err := c.PutItem(context.Background(), &dynamodb.PutItemInput{
		TableName: aws.String(tableName),
		Item: map[string]types.AttributeValue{
			"p": text(partitionOf(i)), "s": text(sortOf(i)), "value": &types.AttributeValueMemberB{Value: value},
			"revision": number("7"), "count": number("1"), "written": number("1700000000000"),
		},
	})
	return err
}
