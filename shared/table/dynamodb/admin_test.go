package dynamodb_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
)

// A control is the part of DynamoDB that tables are made by, for one table.
type control struct {
	exists   bool
	keys     string // the key schema, as name:type:role
	statuses []string
	billing  string
	kms      string
	ttl, by  string // status, attribute
	recovery bool
	notYet   int // requests for recovery that are refused because the table is new
	requests []string
}

type object = map[string]any

// RoundTrip implements http.RoundTripper.
func (c *control) RoundTrip(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(op, "Describe") {
		c.requests = append(c.requests, op)
	}
	var in struct {
		BillingMode                      string
		SSESpecification                 struct{ KMSMasterKeyId string }
		AttributeDefinitions             []struct{ AttributeName, AttributeType string }
		KeySchema                        []struct{ AttributeName, KeyType string }
		TimeToLiveSpecification          struct{ AttributeName string }
		PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	refuse := func(code string) (*http.Response, error) {
		return dynamotest.Answer(r, 400, dynamotest.Failure{Type: code}), nil
	}
	switch {
	case op == "CreateTable" && c.exists:
		return refuse("ResourceInUseException")
	case op == "CreateTable":
		c.exists, c.keys, c.billing, c.kms = true, "", in.BillingMode, in.SSESpecification.KMSMasterKeyId
		for i, k := range in.KeySchema {
			c.keys += " " + k.AttributeName + ":" + in.AttributeDefinitions[i].AttributeType + ":" + k.KeyType
		}
		c.statuses = []string{"CREATING", "CREATING"}
	case !c.exists:
		return refuse("ResourceNotFoundException")
	case op == "DescribeTable":
		return dynamotest.Answer(r, 200, c.describe()), nil
	case op == "UpdateTable":
		if in.BillingMode != "" {
			c.billing = in.BillingMode
		}
		if in.SSESpecification.KMSMasterKeyId != "" {
			c.kms = in.SSESpecification.KMSMasterKeyId
		}
		c.statuses = []string{"UPDATING"}
	case op == "DescribeTimeToLive":
		return dynamotest.Answer(r, 200, object{"TimeToLiveDescription": object{"TimeToLiveStatus": c.ttl,
			"AttributeName": c.by}}), nil
	case op == "UpdateTimeToLive":
		if c.ttl != "DISABLED" {
			return refuse("ValidationException")
		}
		c.ttl, c.by = "ENABLING", in.TimeToLiveSpecification.AttributeName
	case op == "DescribeContinuousBackups":
		status := map[bool]string{true: "ENABLED", false: "DISABLED"}[c.recovery]
		return dynamotest.Answer(r, 200,
			object{"ContinuousBackupsDescription": object{"ContinuousBackupsStatus": "ENABLED",
				"PointInTimeRecoveryDescription": object{"PointInTimeRecoveryStatus": status}}}), nil
	case op == "UpdateContinuousBackups":
		if c.notYet--; c.notYet >= 0 {
			return refuse("ContinuousBackupsUnavailableException")
		}
		c.recovery = in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled
	default:
		return refuse("UnknownOperationException")
	}
	return dynamotest.Answer(r, 200, object{}), nil
}

func (c *control) describe() object {
	var schema, attributes []object
	for _, k := range strings.Fields(c.keys) {
		of := strings.Split(k, ":")
		schema = append(schema, object{"AttributeName": of[0], "KeyType": of[2]})
		attributes = append(attributes, object{"AttributeName": of[0], "AttributeType": of[1]})
	}
	status := "ACTIVE"
	if len(c.statuses) > 0 {
		status, c.statuses = c.statuses[0], c.statuses[1:]
	}
	d := object{"TableStatus": status, "KeySchema": schema, "AttributeDefinitions": attributes,
		"BillingModeSummary": object{"BillingMode": c.billing}}
	if c.kms != "" {
		d["SSEDescription"] = object{"Status": "ENABLED", "SSEType": "KMS",
			"KMSMasterKeyArn": "arn:aws:kms:eu-central-1:1:key/" + c.kms}
	}
	return object{"Table": d}
}

// What stands in for DynamoDB may tell no status. No sentence ends for want of it.
func TestATableWithoutStatus(t *testing.T) {
	for _, status := range []string{"", "DELETING", "ARCHIVED"} {
		c := control{exists: true, keys: goodKeys, billing: "PAY_PER_REQUEST", ttl: "DISABLED",
			statuses: []string{status, status, status, status}}
		tb := open(t, &c, dynamodb.Options{})
		steps, err := dynamodb.Plan(t.Context(), tb, dynamodb.Setup{})
		if err != nil || len(steps) != 1 {
			t.Fatalf("Plan of a table with the status %q = %q, %v", status, steps, err)
		}
		err = dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(string) {})
		if err == nil {
			t.Fatalf("Ensure of a table with the status %q: no error", status)
		}
		want := "the status " + status
		if status == "" {
			want = "no status, which DynamoDB always returns"
		}
		for _, text := range []string{steps[0], err.Error()} {
			if !strings.HasSuffix(text, "has "+want) {
				t.Errorf("the status %q makes %q", status, text)
			}
		}
	}
}

const goodKeys = "p:S:HASH s:S:RANGE"

func TestEnsure(t *testing.T) {
	good := control{exists: true, keys: goodKeys, billing: "PAY_PER_REQUEST", kms: "k1",
		ttl: "ENABLED", by: "ttl", recovery: true}
	with := func(change func(c *control)) control {
		c := good
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		control control
		want    []string // requests that change something
		err     string   // or what the error says
	}{
		"no table": {control{ttl: "DISABLED", notYet: 2},
			[]string{"CreateTable", "UpdateTimeToLive", "UpdateContinuousBackups", "UpdateContinuousBackups",
				"UpdateContinuousBackups"}, ""},
		"the table as it should be": {good, nil, ""},
		"a table that is being made": {with(func(c *control) { c.statuses = []string{"CREATING", "CREATING"} }),
			nil, ""},
		"TTL that is being set up": {with(func(c *control) { c.ttl = "ENABLING" }), nil, ""},
		"no TTL": {with(func(c *control) { c.ttl, c.by = "DISABLED", "" }),
			[]string{"UpdateTimeToLive"}, ""},
		"no recovery": {with(func(c *control) { c.recovery = false }),
			[]string{"UpdateContinuousBackups"}, ""},
		// its owner's choice
		"provisioned": {with(func(c *control) { c.billing = "PROVISIONED" }), nil, ""},
		"another key": {with(func(c *control) { c.kms = "k2" }), []string{"UpdateTable"}, ""},
		"no key":      {with(func(c *control) { c.kms = "" }), []string{"UpdateTable"}, ""},
		"another schema": {with(func(c *control) { c.keys = "id:N:HASH" }), nil,
			"its keys are id (N, HASH); they must be p (S, HASH), s (S, RANGE)"},
		"keys the other way": {with(func(c *control) { c.keys = "s:S:HASH p:S:RANGE" }), nil,
			"its keys are s (S, HASH), p (S, RANGE)"},
		"binary keys": {with(func(c *control) { c.keys = "p:S:HASH s:B:RANGE" }),
			nil, "s (B, RANGE)"},
		"TTL by something else": {with(func(c *control) { c.by = "expires" }),
			nil, `expire by attribute "expires"`},
		"a table that is being deleted": {with(func(c *control) { c.statuses = []string{"DELETING", "DELETING"} }),
			nil, "DELETING"},
		"TTL that is being removed": {with(func(c *control) { c.ttl = "DISABLING" }), nil, "switched off"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := test.control
				o := options(&c)
				o.TTL = time.Hour
				tb, err := dynamodb.New("chatconf", o)
				if err != nil {
					t.Fatal(err)
				}
				setup := dynamodb.Setup{Recovery: true, Key: "k1"}
				statuses := slices.Clone(c.statuses)
				steps, err := dynamodb.Plan(t.Context(), tb, setup)
				if test.err == "DELETING" {
					if err != nil || len(steps) != 1 {
						t.Errorf("Plan = %q, %v, want one step", steps, err)
					}
				} else if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) {
						t.Errorf("Plan = %q, %v, want an error with %q", steps, err, test.err)
					}
				} else if err != nil {
					t.Errorf("Plan: %v", err)
				}
				if len(c.requests) > 0 {
					t.Errorf("a plan has sent %q", c.requests)
				}
				c.statuses = statuses

				var told []string
				err = dynamodb.Ensure(t.Context(), tb, setup, func(step string) { told = append(told, step) })
				if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) {
						t.Errorf("Ensure = %v, want an error with %q", err, test.err)
					}
				} else if err != nil {
					t.Errorf("Ensure: %v", err)
				}
				if want := past(steps); test.err == "" && !slices.Equal(told, want) || test.err != "" && len(told) > 0 {
					t.Errorf("Ensure told %q, %v, want what the plan %q says, done", told, err, steps)
				}
				if test.control.billing != "" && c.billing != test.control.billing {
					t.Errorf("the table is now %s, want %s as it was", c.billing, test.control.billing)
				}
				if !slices.Equal(c.requests, test.want) {
					t.Errorf("Ensure sent %q, want %q", c.requests, test.want)
				}
				if test.err != "" {
					return
				}
				if steps, err := dynamodb.Plan(t.Context(), tb, setup); err != nil || len(steps) > 0 {
					t.Errorf("a plan after Ensure = %q, %v, want nothing", steps, err)
				}
			})
		})
	}
}

// A table whose items expire is not one whose items must stay.
func TestEnsureRefusesATableThatForgets(t *testing.T) {
	c := control{exists: true, keys: goodKeys, billing: "PAY_PER_REQUEST", ttl: "ENABLED", by: "ttl"}
	tb, err := dynamodb.New("chatconf", options(&c))
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{},
		func(step string) { t.Errorf("Ensure told %q", step) }); err == nil ||
		!strings.Contains(err.Error(), "must not") {
		t.Errorf("Ensure = %v, want a refusal", err)
	}
	if len(c.requests) > 0 {
		t.Errorf("Ensure sent %q", c.requests)
	}
}

// past returns what Ensure tells when it has done what a plan says.
func past(plan []string) []string {
	if len(plan) == 0 {
		return []string{"nothing to do"}
	}
	var did []string
	for _, step := range plan {
		verb, object, _ := strings.Cut(step, " ")
		did = append(did, map[string]string{"create": "created", "wait": "waited", "encrypt": "encrypted",
			"switch": "switched"}[verb]+" "+object)
	}
	return did
}

// A step is told when it is done, and not when it has failed.
func TestEnsureTellsWhatIsDone(t *testing.T) {
	c := control{ttl: "DISABLED"}
	tb := open(t, &faulty{next: &c, pick: func(op string) fault {
		if op == "UpdateTimeToLive" {
			return forbidden
		}
		return none
	}}, dynamodb.Options{TTL: time.Hour})
	var told []string
	err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(step string) { told = append(told, step) })
	if err == nil || !strings.Contains(err.Error(),
		`switch the time to live of table "chatconf" on, by attribute ttl: dynamodb: `+
			`UpdateTimeToLive: AccessDeniedException`) {
		t.Errorf("Ensure = %v, want an error that says what it could not do", err)
	}
	if want := []string{`created table "chatconf": partition key p (S), sort key s (S), paid by ` +
		`the request`}; !slices.Equal(told, want) {
		t.Errorf("Ensure told %q, want %q", told, want)
	}
}

// Each request of Ensure is lost once after it was done, and the next are told that it was.
func TestEnsureWithFaults(t *testing.T) {
	for _, what := range []fault{resetBefore, resetAfter, throttled, brokenAfter} {
		synctest.Test(t, func(t *testing.T) {
			c := control{ttl: "DISABLED"}
			n := 0
			o := options(&faulty{next: &c, pick: func(string) fault {
				if n++; n%2 == 1 {
					return what
				}
				return none
			}})
			o.TTL = time.Hour
			tb, err := dynamodb.New("chatconf", o)
			if err != nil {
				t.Fatal(err)
			}
			if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{Recovery: true}, func(string) {}); err != nil {
				t.Errorf("Ensure, %s: %v", what, err)
			}
			if !c.exists || c.ttl != "ENABLING" || c.by != "ttl" || !c.recovery || c.billing != "PAY_PER_REQUEST" {
				t.Errorf("Ensure, %s, leaves %+v", what, c)
			}
		})
	}
}

func TestEnsureRefused(t *testing.T) {
	tb := open(t, &faulty{pick: func(string) fault { return forbidden }}, dynamodb.Options{})
	if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(string) {}); err == nil ||
		!strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("Ensure = %v, want an error that says AccessDenied", err)
	}
}
