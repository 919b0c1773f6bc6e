package policy_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/policy"
)

func TestParseRoundTrip(t *testing.T) {
	text := `
		{ "Statement" : [ { "Condition" : { "NotStringEquals" : { "oos:tag/env" : [ "prod <&> \u6570" ] },
			"Bool" : { "acs:SecureTransport" : [ true, "false" ] } },
			"Resource" : "*", "Action" : [ "oos:Get*", "*" ], "Effect" : "Deny" } ], "Version" : "1" } `
	want := `{"Statement":[{"Condition":{"NotStringEquals":{"oos:tag/env":["prod <&> \u6570"]},` +
		`"Bool":{"acs:SecureTransport":[true,"false"]}},"Resource":"*","Action":["oos:Get*","*"],"Effect":"Deny"}],` +
		`"Version":"1"}`
	p := parse(t, text)
	if got := p.String(); got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if again := parse(t, p.String()); !reflect.DeepEqual(again, p) {
		t.Errorf("Parse of String = %v, want %v", again, p)
	}

	type document struct{ Policies []*policy.Policy }
	data, err := json.Marshal(document{[]*policy.Policy{p, policy.Administrator()}})
	if err != nil {
		t.Fatal(err)
	}
	var back document
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	// Marshal writes < as \u003c, so the texts may differ, but not their meaning.
	if got, want := len(back.Policies), 2; got != want {
		t.Fatalf("%d policies came back, want %d", got, want)
	}
	if diff := cmp.Diff(decode(t, want), decode(t, back.Policies[0].String())); diff != "" {
		t.Errorf("policy came back changed (-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestZeroPolicyHasNoText(t *testing.T) {
	if data, err := json.Marshal(&policy.Policy{}); err == nil {
		t.Errorf("Marshal = %s, want an error", data)
	}
	p := parse(t, policy.ReadOnly().String())
	if err := json.Unmarshal([]byte(`{"Version":"1"}`), p); err == nil {
		t.Error("Unmarshal of a policy without statements: no error")
	}
	if got, want := p.String(), policy.ReadOnly().String(); got != want {
		t.Errorf("after a failed Unmarshal the policy is %s, want %s", got, want)
	}
}

// TestParseErrors checks that every mistake is an error with its path.
func TestParseErrors(t *testing.T) {
	statement := func(s string) string { return `{"Version":"1","Statement":[` + s + `]}` }
	condition := func(c string) string {
		return statement(`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*",` +
			`"Resource":"*","Condition":` + c + `}`)
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "policy: the text is not JSON: it ends too early, at line 1, column 1"},
		{"not JSON", `{"Version":1,}`, "policy: the text is not JSON at line 1, column 14"},
		{"data after the end", statement(`{}`) + `x`,
			"policy: the text is not JSON: it has text after its end, at line 1, column 33"},
		{"two policies", policy.ReadOnly().String() + policy.ReadOnly().String(), "text after its end"},
		{"not UTF-8", "{\"Version\":\"\xff\"}", "policy: the text is not UTF-8"},
		{"too long", strings.Repeat(" ", policy.MaxSize) + "1", "policy: 65537 bytes are too long; use at most 65536"},
		{"null", `null`, "policy: write an object"},
		{"a string", `"1"`, "policy: write an object"},

		{"no version", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, "policy: Version: missing"},
		{"another version", `{"Version":"2012-10-17"}`, `policy: Version: write "1"`},
		{"a version that is a number", `{"Version":1}`, `policy: Version: write "1"`},
		{"no statement", `{"Version":"1"}`, "policy: Statement: missing"},
		{"no statements", statement(``), "policy: Statement: empty"},
		{"a statement without array", `{"Version":"1","Statement":{}}`, "policy: Statement: write an array"},
		{"an invalid statement", statement(`1e999`), "policy: Statement[0]: write an object"},
		{"an empty statement", statement(`{}`), "policy: Statement[0].Effect: missing"},
		{"unknown member", `{"Version":"1","Id":"x"}`, "policy: Id: unknown member; use Version, Statement"},
		{"member in another case", `{"version":"1"}`, "policy: version: unknown member"},
		{"member twice", `{"Version":"1","Version":"1"}`, "policy: Version: given twice"},
		{"member twice, once escaped", `{"Version":"1","\u0056ersion":"1"}`, "policy: Version: given twice"},
		{"unknown member of a statement", statement(`{"Effect":"Allow","NotAction":"*"}`),
			"policy: Statement[0].NotAction: unknown member; use Effect, Action, Resource, Condition"},
		{"member of a statement twice", statement(`{"Effect":"Deny","Effect":"Allow"}`),
			"policy: Statement[0].Effect: given twice"},

		{"unknown effect", statement(`{"Effect":"allow"}`), "policy: Statement[0].Effect: write Allow or Deny"},
		{"an effect that is an array", statement(`{"Effect":["Allow"]}`),
			"policy: Statement[0].Effect: write Allow or Deny"},
		{"no action", statement(`{"Effect":"Allow","Resource":"*"}`), "policy: Statement[0].Action: missing"},
		{"no actions", statement(`{"Action":[]}`), "policy: Statement[0].Action: empty"},
		{"an empty action", statement(`{"Action":""}`), "policy: Statement[0].Action: write service:operation"},
		{"an action without service", statement(`{"Action":["oos:Get*","GetChatConfiguration"]}`),
			"policy: Statement[0].Action[1]: write service:operation such as oos:Get*, or * for all"},
		{"an action with a space", statement(`{"Action":"oos: Get"}`),
			"policy: Statement[0].Action: write service:operation"},
		{"an action that is a bool", statement(`{"Action":true}`), "policy: Statement[0].Action: write a string"},
		{"an action in two arrays", statement(`{"Action":[["*"]]}`), "policy: Statement[0].Action[0]: write a string"},
		{"no resource", statement(`{"Effect":"Allow","Action":"*"}`), "policy: Statement[0].Resource: missing"},
		{"no resources", statement(`{"Resource":[]}`), "policy: Statement[0].Resource: empty"},
		{"an empty resource", statement(`{"Resource":["*",""]}`),
			"policy: Statement[0].Resource[1]: write a resource such as"},
		{"a resource that is only a name", statement(`{"Resource":"prod"}`),
			"policy: Statement[0].Resource: write a resource such as"},
		{"a resource that is null", statement(`{"Resource":null}`), "policy: Statement[0].Resource: write a string"},

		{"an empty condition", condition(`{}`), "policy: Statement[1].Condition: empty"},
		{"an invalid condition", condition(`[]`), "policy: Statement[1].Condition: write an object"},
		{"unknown operator", condition(`{"StringEqual":{}}`),
			"policy: Statement[1].Condition.StringEqual: unknown operator; use " +
				"StringEquals, StringNotEquals, NotStringEquals, StringLike, IpAddress, Bool, DateGreaterThan, " +
				"DateLessThan"},
		{"operator in another case", condition(`{"stringEquals":{"oos:tag/a":"b"}}`),
			"policy: Statement[1].Condition.stringEquals: unknown operator"},
		{"strange operator", condition(`{"a b\n":{}}`), `policy: Statement[1].Condition."a b\n": unknown operator`},
		{"long operator", condition(`{"` + strings.Repeat("x", 1000) + `":{}}`), `policy: Statement[1].Condition."` +
			strings.Repeat("x", 64) + `": unknown operator`},
		{"an operator twice", condition(`{"Bool":{"acs:SecureTransport":true},"Bool":{"acs:SecureTransport":true}}`),
			"policy: Statement[1].Condition.Bool: given twice"},
		{"an operator by both names",
			condition(`{"StringNotEquals":{"oos:tag/a":"b"},"NotStringEquals":{"oos:tag/a":"b"}}`),
			"policy: Statement[1].Condition.NotStringEquals: StringNotEquals and NotStringEquals are the same " +
				"operator, given twice"},
		{"an operator without keys", condition(`{"StringEquals":{}}`),
			"policy: Statement[1].Condition.StringEquals: empty"},
		{"an operator without object", condition(`{"StringEquals":"x"}`),
			"policy: Statement[1].Condition.StringEquals: write an object"},

		{"unknown key", condition(`{"StringEquals":{"acs:UserAgent":"x"}}`),
			"policy: Statement[1].Condition.StringEquals.acs:UserAgent: " +
				"unknown condition key; use acs:SourceIp, acs:CurrentTime, acs:SecureTransport " +
				"or oos:tag/<key>"},
		{"key in another case", condition(`{"IpAddress":{"acs:SourceIP":"::1"}}`),
			"policy: Statement[1].Condition.IpAddress.acs:SourceIP: unknown condition key"},
		{"a tag without key", condition(`{"StringEquals":{"oos:tag/":"x"}}`),
			"policy: Statement[1].Condition.StringEquals.oos:tag/: unknown condition key"},
		{"a key twice", condition(`{"StringEquals":{"oos:tag/a":"x","oos:tag/a":"x"}}`),
			"policy: Statement[1].Condition.StringEquals.oos:tag/a: given twice"},
		{"an address as a string", condition(`{"StringLike":{"acs:SourceIp":"10.*"}}`),
			"policy: Statement[1].Condition.StringLike.acs:SourceIp: StringLike needs the key oos:tag/<key>"},
		{"a tag as an address", condition(`{"IpAddress":{"oos:tag/a":"10.0.0.0/8"}}`),
			"policy: Statement[1].Condition.IpAddress.oos:tag/a: IpAddress needs the key acs:SourceIp"},
		{"a tag as a time", condition(`{"DateLessThan":{"oos:tag/a":"2026-01-01T00:00:00Z"}}`),
			"DateLessThan needs the key acs:CurrentTime"},
		{"an address as a time", condition(`{"DateGreaterThan":{"acs:SourceIp":"2026-01-01T00:00:00Z"}}`),
			"DateGreaterThan needs the key acs:CurrentTime"},
		{"a time as a bool", condition(`{"Bool":{"acs:CurrentTime":"true"}}`),
			"Bool needs the key acs:SecureTransport"},
		{"a transport as a string", condition(`{"StringNotEquals":{"acs:SecureTransport":"true"}}`),
			"StringNotEquals needs the key oos:tag/<key>"},

		{"no values", condition(`{"StringEquals":{"oos:tag/a":[]}}`),
			"policy: Statement[1].Condition.StringEquals.oos:tag/a: empty"},
		{"a number", condition(`{"StringEquals":{"oos:tag/a":1}}`),
			"policy: Statement[1].Condition.StringEquals.oos:tag/a: write a string"},
		{"a bool for a string", condition(`{"StringEquals":{"oos:tag/a":["x",true]}}`),
			"policy: Statement[1].Condition.StringEquals.oos:tag/a[1]: write a string"},
		{"an invalid bool", condition(`{"Bool":{"acs:SecureTransport":"True"}}`),
			"policy: Statement[1].Condition.Bool.acs:SecureTransport: write true or false"},
		{"a time that is a date", condition(`{"DateLessThan":{"acs:CurrentTime":"2026-01-01"}}`),
			"policy: Statement[1].Condition.DateLessThan.acs:CurrentTime: write a time such as"},
		{"an invalid address", condition(`{"IpAddress":{"acs:SourceIp":["::1","10.0.0"]}}`),
			"policy: Statement[1].Condition.IpAddress.acs:SourceIp[1]: write an address or a network such as"},
		{"an address with a zone", condition(`{"IpAddress":{"acs:SourceIp":"fe80::1%eth0"}}`),
			"write an address or a network such as"},
		{"an invalid network", condition(`{"IpAddress":{"acs:SourceIp":"10.0.0.0/33"}}`),
			"write an address or a network such as"},
		{"a network with host bits", condition(`{"IpAddress":{"acs:SourceIp":"10.1.2.3/8"}}`),
			"the address has bits after the prefix; write 10.0.0.0/8"},
		{"an IPv4 network as IPv6", condition(`{"IpAddress":{"acs:SourceIp":"::ffff:10.0.0.0/104"}}`),
			"this IPv4 network is written as IPv6"},
	} {
		p, err := policy.Parse([]byte(c.text))
		if err == nil || p != nil {
			t.Errorf("%s: Parse = %v, %v, want only an error", c.name, p, err)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is\n%v, want\n%s", c.name, err, c.want)
		}
	}
}

// All mistakes are reported at once, in the order of the text; missing members come last.
func TestParseNamesAllMistakes(t *testing.T) {
	text := `{"Version":1,"Id":{"Statement":[{}]},"Statement":[
		{"Effect":["Allow"],"Action":["oos:Get*","Get",7],"Resource":{"a":[1,{}]}},
		{"Effect":"deny","Effect":"Deny","Resource":[],
			"Condition":{"StringEqual":{"x":"y"},"StringEquals":{"acs:User":["z"],"oos:tag/a":[1e999]},"Bool":7}},7]}`
	_, err := policy.Parse([]byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	want := `policy: Version: write "1"; Id: unknown member; use Version, Statement; Statement[0].Effect: ` +
		`write Allow or Deny; ` +
		`Statement[0].Action[1]: write service:operation such as oos:Get*, or * for all; Statement[0].Action[2]: ` +
		`write a string; ` +
		`Statement[0].Resource: write a string; Statement[1].Effect: write Allow or Deny; Statement[1].Effect: ` +
		`given twice; Statement[1].Resource: empty; ` +
		`Statement[1].Condition.StringEqual: unknown operator; use StringEquals, StringNotEquals, ` +
		`NotStringEquals, StringLike, IpAddress, Bool, DateGreaterThan, DateLessThan; ` +
		`and more`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for text, want := range map[string]string{
		`{}`: `policy: Version: missing; write "1"; Statement: missing; write an array of statements`,
		`{"Version":"1","Statement":[{}]}`: `policy: Statement[0].Effect: missing; write Allow or Deny; ` +
			`Statement[0].Action: missing; write an action such as oos:Get*, or * for all; ` +
			`Statement[0].Resource: missing; write a resource such as acs:oos:*:*:chatconfiguration/prod-*, or ` +
			`* for all`,
		"{\n\"Version\": \"1\",\n  Statement": `policy: the text is not JSON at line 3, column 3`,
	} {
		if _, err := policy.Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("Parse(%s):\n%v, want\n%s", text, err, want)
		}
	}
}

func TestParseTakesTheLongestText(t *testing.T) {
	text := policy.Administrator().String()
	text += strings.Repeat(" ", policy.MaxSize-len(text))
	if got, want := parse(t, text).String(), policy.Administrator().String(); got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}

// FuzzParse checks that String of a parsed policy parses to an equal policy with the same String.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/decisions.txt")
	if err != nil {
		f.Fatal(err)
	}
	seeds := strings.Split(string(data), "\n  policy ")[1:]
	if len(seeds) == 0 {
		f.Fatal("no policies in testdata/decisions.txt")
	}
	for _, seed := range seeds {
		text, _, _ := strings.Cut(seed, "\n\n")
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(data)
		if err != nil {
			if p != nil {
				t.Errorf("Parse gave a policy and the error %v", err)
			}
			if len(err.Error()) > 11*400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		marshalled, err := p.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.Parse(marshalled)
		if err != nil {
			t.Fatalf("Parse of %s: %v", marshalled, err)
		}
		if !reflect.DeepEqual(again, p) {
			t.Errorf("%s came back as %s", p, again)
		}
		policy.Decide(policy.Request{Action: "oos:Get", Resource: "acs:x",
			Value: func(key string) (string, bool) { return key, true }}, p)
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte(policy.ReadOnly().String())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
