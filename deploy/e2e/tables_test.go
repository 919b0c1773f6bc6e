package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// tables returns the command "chatconf tables" with arguments, for tables of a test's own, and
// their names.
func tables(t *testing.T, args ...string) (c command, configurations, tickets string) {
	t.Helper()
	onlyOn(t, "it has no tables to be made", storeTablestore, storeDynamoDB)
	c.env = tableEnv(t.TempDir())
	c.args = append([]string{"tables", "--target", store.target}, args...)
	return c, lookup(c.env, "CHATCONF_TABLE"), lookup(c.env, "CHATCONF_TICKET_TABLE")
}

// with returns the command with other arguments than its last, and more settings.
func (c command) with(args []string, env ...string) command {
	c.args = append(c.args[:3:3], args...)
	c.env = append(slices.Clone(c.env), env...)
	return c
}

func TestTablesAreMadeOnce(t *testing.T) {
	t.Parallel()
	c, configurations, tickets := tables(t)
	dryRun := c.with([]string{"--dry-run"})

	plan := dryRun.run(t).ok(t)
	for _, name := range []string{configurations, tickets} {
		if !regexp.MustCompile(`(?m)^` + name + `: .*create table.*$`).MatchString(plan) {
			t.Errorf("a dry run printed %q, want it to say that %s is to be made", plan, name)
		}
	}
	if again := dryRun.run(t).ok(t); again != plan {
		t.Errorf("a second dry run printed %q after %q: the first did something", again, plan)
	}
	data := filepath.Join(t.TempDir(), "data")
	storeCommand(data, c.env...).run(t).fails(t, 1, configurations)

	made := c.run(t).ok(t)
	for _, name := range []string{configurations, tickets} {
		if !regexp.MustCompile(`(?m)^` + name + `: .*created table.*$`).MatchString(made) {
			t.Errorf("tables printed %q, want it to say that %s was made", made, name)
		}
	}
	if got, want := strings.Count(made, "\n"), strings.Count(plan, "\n"); got != want {
		t.Errorf("tables printed %d lines, and its dry run %d", got, want)
	}
	for _, again := range []command{c, dryRun} {
		out := again.run(t).ok(t)
		for line := range strings.Lines(out) {
			if !strings.Contains(line, "nothing to do") {
				t.Errorf("with the tables there, %q printed %q", again.args, line)
			}
		}
	}
	// A service on them needs nothing else.
	s := serveOn(t, data, c.env...)
	create(t, s.client(t), "ops")
	s.stop()
	c.run(t).ok(t)
	get(t, serveOn(t, data, c.env...).client(t), "ops")
}

// A table of another shape is refused and left alone; the other table is made nevertheless.
func TestTablesOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	c, configurations, tickets := tables(t)
	before := otherTable(t, c.env, configurations)
	for _, args := range [][]string{{"--dry-run"}, nil, nil} {
		r := c.with(args).run(t)
		if r.code != 1 || !strings.Contains(r.stderr, configurations) ||
			strings.Contains(r.stdout, configurations+":") {
			t.Errorf("tables %q ended with %d, %q and %q, want it to refuse %s", args, r.code,
				r.stdout, r.stderr, configurations)
		}
	}
	storeCommand(filepath.Join(t.TempDir(), "data"), c.env...).run(t).fails(t, 1)
	if after := describe(t, c.env, configurations); after != before {
		t.Errorf("the table is now %s, and was %s", after, before)
	}
	describe(t, c.env, tickets)
}

// otherTable makes a table that is none of the service's, and returns its description.
func otherTable(t *testing.T, env []string, name string) string {
	t.Helper()
	if store.name == storeTablestore {
		if err := createOTSTable(newTablestore(env), name, "id"); err != nil {
			t.Fatal(err)
		}
	} else {
		dynamo(t, env, "CreateTable", object{
			"TableName": name, "BillingMode": "PAY_PER_REQUEST",
			"AttributeDefinitions": []object{{"AttributeName": "id", "AttributeType": "S"}},
			"KeySchema":            []object{{"AttributeName": "id", "KeyType": "HASH"}},
		})
	}
	return describe(t, env, name)
}

// describe returns what the store says of a table, which must be there.
func describe(t *testing.T, env []string, name string) string {
	t.Helper()
	if store.name == storeDynamoDB {
		return dynamo(t, env, "DescribeTable", object{"TableName": name})
	}
	got, err := newTablestore(env).DescribeTable(&tablestore.DescribeTableRequest{TableName: name})
	if err != nil {
		t.Fatal(err)
	}
	return jsonText(got.TableMeta) + jsonText(got.TableOption)
}

// dynamo calls DynamoDB's stand-in, which takes any signature.
func dynamo(t *testing.T, env []string, action string, in object) string {
	t.Helper()
	req := newRequest(t, http.MethodPost, lookup(env, "AWS_ENDPOINT_URL_DYNAMODB"),
		jsonText(in), "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+action)
	req.Header.Set("Authorization",
		fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/%s/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
			lookup(env, "AWS_ACCESS_KEY_ID"), lookup(env, "AWS_REGION")))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s: %v", action, resp.StatusCode, text, err)
	}
	return string(text)
}

func TestTablesCheckProvesWhatIsReliedOn(t *testing.T) {
	t.Parallel()
	onlyOn(t, "moto's adds are not exact under contention, and check says so", storeTablestore)
	c, configurations, tickets := tables(t)
	check := command{args: []string{"tables", "check", "--target", store.target}, env: c.env}
	check.run(t).fails(t, 1, configurations) // there are none yet
	c.run(t).ok(t)
	data := filepath.Join(t.TempDir(), "data")
	s := serveOn(t, data, c.env...)
	create(t, s.client(t), "ops")
	s.stop()
	client := newTablestore(c.env)
	before := make(map[string]map[string]any)
	for _, name := range []string{configurations, tickets} {
		before[name] = otsRows(t, client, name, "partition", "sort")
	}
	for range 2 {
		out := check.run(t).ok(t)
		for _, name := range []string{configurations, tickets} {
			if n := len(regexp.MustCompile(`(?m)^`+name+`: ok      \S.*$`).FindAllString(out, -1)); n != 5 {
				t.Errorf("tables check printed %d lines about %s, want 5:\n%s", n, name, out)
			}
		}
		if n := strings.Count(out, "\n"); n != 25 {
			t.Errorf("tables check printed %d lines, want 25:\n%s", n, out)
		}
	}
	for name, rows := range before {
		if got, want := slices.Sorted(maps.Keys(otsRows(t, client, name, "partition", "sort"))),
			slices.Sorted(maps.Keys(rows)); !slices.Equal(got, want) {
			t.Errorf("after tables check %s has %q, want %q", name, got, want)
		}
	}
}
