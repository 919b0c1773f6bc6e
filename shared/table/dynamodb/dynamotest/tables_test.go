package dynamotest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tabletest"
)

// open returns a table of a stand-in, which need not be there.
func open(t *testing.T, endpoint, name string, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	credentials, err := dynamodb.Environment(func(name string) string {
		return map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-secret"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Region, o.Endpoint, o.Credentials = "eu-central-1", endpoint, credentials
	tb, err := dynamodb.New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tb.Close() })
	return tb
}

func ensure(t *testing.T, tb *dynamodb.Table) string {
	t.Helper()
	var told []string
	if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{},
		func(step string) { told = append(told, step) }); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return strings.Join(told, "; ")
}

// Over a network, beside other tables, it keeps the contract without being spared anything.
func TestTablesKeepTheContract(t *testing.T) {
	server := httptest.NewServer(new(dynamotest.Tables))
	defer server.Close()
	n := 0
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		n++
		tb := open(t, server.URL, fmt.Sprint("table-", n), dynamodb.Options{TTL: o.TTL, Now: o.Now})
		ensure(t, tb)
		return tb
	}, tabletest.Caps{TextKeys: true, Slow: true})
}

func TestTablesAreMadeAndDescribed(t *testing.T) {
	server := httptest.NewServer(new(dynamotest.Tables))
	defer server.Close()
	one, aged := open(t, server.URL, "one", dynamodb.Options{}),
		open(t, server.URL, "aged", dynamodb.Options{TTL: time.Hour})
	if _, err := one.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err == nil ||
		!strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("Get from a table that is not there = %v", err)
	}
	for tb, want := range map[*dynamodb.Table]string{one: "created table", aged: "by attribute ttl"} {
		if got := ensure(t, tb); !strings.Contains(got, want) {
			t.Errorf("Ensure told %q, want %q", got, want)
		}
		if got := ensure(t, tb); got != "nothing to do" {
			t.Errorf("Ensure told %q again", got)
		}
	}
	// Two tables are apart, and a table that ages is told from one that does not.
	if err := one.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if items, err := aged.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err != nil || len(items) > 0 {
		t.Errorf("another table has %v, %v", items, err)
	}
	if _, err := dynamodb.Plan(t.Context(), open(t, server.URL, "aged", dynamodb.Options{}),
		dynamodb.Setup{}); err == nil {
		t.Error("a table that ages passes for one that does not")
	}
}

// What DynamoDB would refuse is refused, and what is no request about one table too.
func TestTablesRefuse(t *testing.T) {
	server := httptest.NewServer(new(dynamotest.Tables))
	defer server.Close()
	ensure(t, open(t, server.URL, "one", dynamodb.Options{TTL: time.Hour}))
	for _, test := range []struct{ op, body, says string }{
		{"GetItem", `no JSON`, "ValidationException"},
		{"GetItem", `{}`, "ValidationException"},
		{"BatchGetItem", `{"RequestItems":{"one":{},"two":{}}}`, "not about one table"},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"one"}},{"Put":{"TableName":"two"}}]}`,
			"not about one table"},
		{"CreateTable", `{"TableName":"two"}`, "not described"},
		{"CreateTable", `{"TableName":"one"}`, "ResourceInUseException"},
		{"DescribeTable", `{"TableName":"two"}`, "ResourceNotFoundException"},
		{"DescribeTimeToLive", `{"TableName":"two"}`, "ResourceNotFoundException"},
		{"UpdateTimeToLive", `{"TableName":"one","TimeToLiveSpecification":{"AttributeName":"ttl","Enabled":true}}`,
			"already true"},
		{"DropEverything", `{"TableName":"one"}`, "UnknownOperationException"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+test.op)
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := resp.Write(&text); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text.String(), test.says) {
			t.Errorf("%s %s is answered %q, want %q", test.op, test.body, &text, test.says)
		}
	}
}
