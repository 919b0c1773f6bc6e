package policy_test

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"chatconf/shared/policy"
)

// TestDecisions tries every line of testdata/decisions.txt, which explains its own format.
func TestDecisions(t *testing.T) {
	file, err := os.Open("testdata/decisions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	var (
		group    string
		text     string // of the current policy, if any
		policies []*policy.Policy
		tried    = map[bool]int{}
	)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		atMargin := line != "" && strings.HasPrefix(lines.Text(), line[:1])
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case atMargin:
			group, policies = line, nil
			continue
		case strings.HasPrefix(line, "policy "):
			text = strings.TrimPrefix(line, "policy ")
		case text != "":
			text += line
		case line == "":
			continue
		default:
			req, want := parseRequest(t, n, line)
			if len(policies) == 0 {
				t.Fatalf("line %d: a request without a policy", n)
			}
			got := policy.Decide(req, policies...)
			if got.String() != want {
				t.Errorf("line %d: %s\n%s on %s:\n got %v\nwant %s", n, group, req.Action, req.Resource, got, want)
			}
			tried[got.Allowed]++
		}
		if text != "" && json.Valid([]byte(text)) {
			policies = append(policies, parse(t, text))
			text = ""
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if text != "" {
		t.Errorf("the last policy does not end: %s", text)
	}
	if tried[true] == 0 || tried[false] == 0 {
		t.Errorf("tried %d allowed and %d denied requests, want some of each", tried[true], tried[false])
	}
}

// parseRequest reads a line such as "oos:GetX on acs:…, when oos:tag/env is prod: allowed by
// Statement[0] of policy 0".
func parseRequest(t *testing.T, n int, line string) (req policy.Request, decision string) {
	t.Helper()
	request, decision, ok := cutLast(line, ": ")
	subject, when, _ := strings.Cut(request, ", when ")
	action, resource, ok2 := strings.Cut(subject, " on ")
	if !ok || !ok2 {
		t.Fatalf("line %d: not a request: %s", n, line)
	}
	values := map[string]string{}
	if when != "" {
		for _, w := range strings.Split(when, " and ") {
			key, value, ok := strings.Cut(w, " is ")
			if !ok {
				t.Fatalf("line %d: not a condition: %s", n, w)
			}
			values[key] = value
		}
	}
	return policy.Request{Action: action, Resource: resource, Value: lookup(values)}, decision
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func lookup(values map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		value, ok := values[key]
		return value, ok
	}
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return p
}

func TestDecideFailsClosed(t *testing.T) {
	admin := policy.Administrator()
	req := policy.Request{Action: "oos:GetChatConfiguration", Resource: "acs:oos:r:1:chatconfiguration/a"}
	everything := parse(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	none := policy.Decision{Policy: -1, Statement: -1}

	for _, c := range []struct {
		name     string
		req      policy.Request
		policies []*policy.Policy
		want     policy.Decision
	}{
		{"no policies", req, nil, none},
		{"no action", policy.Request{Resource: req.Resource}, []*policy.Policy{everything}, none},
		{"no resource", policy.Request{Action: req.Action}, []*policy.Policy{everything}, none},
		{"a nil policy after one that allows", req, []*policy.Policy{admin, nil},
			policy.Decision{Policy: 1, Statement: -1}},
		{"a zero policy after one that allows", req, []*policy.Policy{admin, {}},
			policy.Decision{Policy: 1, Statement: -1}},
		{"a policy that allows", req, []*policy.Policy{admin}, policy.Decision{Allowed: true}},
	} {
		if got := policy.Decide(c.req, c.policies...); got != c.want {
			t.Errorf("%s: Decide = %+v, want %+v", c.name, got, c.want)
		}
	}
	if (policy.Decision{}).Allowed {
		t.Error("the zero Decision allows")
	}
}

func TestDecisionString(t *testing.T) {
	for _, c := range []struct {
		decision policy.Decision
		explicit bool
		want     string
	}{
		{policy.Decision{Allowed: true, Policy: 1, Statement: 2}, true, "allowed by Statement[2] of policy 1"},
		{policy.Decision{Policy: 1, Statement: 2}, true, "denied by Statement[2] of policy 1"},
		{policy.Decision{Policy: 1, Statement: -1}, false, "denied because policy 1 is missing"},
		{policy.Decision{Policy: -1, Statement: -1}, false, "denied because no statement allows it"},
	} {
		if got := c.decision.String(); got != c.want {
			t.Errorf("%+v: String = %q, want %q", c.decision, got, c.want)
		}
		if got := c.decision.Explicit(); got != c.explicit {
			t.Errorf("%+v: Explicit = %v, want %v", c.decision, got, c.explicit)
		}
	}
}

func TestTally(t *testing.T) {
	var tally policy.Tally
	steps := []struct {
		effect policy.Effect
		final  bool
		want   policy.Decision
	}{
		{policy.Allow, false, policy.Decision{Allowed: true, Policy: 0, Statement: 0}},
		{policy.Allow, false, policy.Decision{Allowed: true, Policy: 0, Statement: 0}},
		{"allow", true, policy.Decision{Policy: 2, Statement: 2}}, // an unknown effect counts as Deny
		{policy.Deny, true, policy.Decision{Policy: 2, Statement: 2}},
		{policy.Allow, true, policy.Decision{Policy: 2, Statement: 2}},
	}
	if got, want := tally.Decision(), (policy.Decision{Policy: -1, Statement: -1}); got != want {
		t.Errorf("zero Tally: Decision = %+v, want %+v", got, want)
	}
	for i, s := range steps {
		if got := tally.Add(s.effect, i, i); got != s.final {
			t.Errorf("step %d: Add = %v, want %v", i, got, s.final)
		}
		if got := tally.Decision(); got != s.want {
			t.Errorf("step %d: Decision = %+v, want %+v", i, got, s.want)
		}
	}
}

func TestPredefined(t *testing.T) {
	const resource = "acs:oos:cn-hangzhou:1:chatconfiguration/a"
	changes := []string{"oos:CreateChatConfiguration", "oos:UpdateChatConfiguration", "oos:DeleteChatConfiguration",
		"oos:TagResources",
		"oos:UntagResources", "oos:ChangeResourceGroup", "oos:RestoreChatConfiguration", "oos:RotateChatWebhook"}
	reads := []string{"oos:GetChatConfiguration", "oos:ListChatConfigurations", "oos:ListTagResources",
		"oos:ListTagKeys",
		"oos:ListTagValues", "oos:ListChatConfigurationRevisions", "oos:SimulateChatPermission", "oos:ListChatCommands"}
	allowed := func(p *policy.Policy, action string) bool {
		return policy.Decide(policy.Request{Action: action, Resource: resource}, p).Allowed
	}
	for _, action := range append(changes, reads...) {
		if !allowed(policy.Administrator(), action) {
			t.Errorf("Administrator does not allow %s", action)
		}
	}
	for about, c := range map[string]struct {
		p    *policy.Policy
		want bool
	}{
		"Owner": {policy.Owner(), true}, "Administrator": {policy.Administrator(), true},
		"ReadOnly": {policy.ReadOnly(), false},
	} {
		for _, role := range []string{"Ops", "*"} {
			request := policy.Request{Action: policy.PassRole, Resource: policy.RoleResource("1", role)}
			if got := policy.Decide(request, c.p).Allowed; got != c.want {
				t.Errorf("%s allows to pass %s: %v, want %v", about, role, got, c.want)
			}
		}
	}
	const reveal = "oos:RevealChatConfigurationOutputs"
	for _, action := range append(changes, reads...) {
		for about, p := range map[string]*policy.Policy{"Owner": policy.Owner(),
			"Administrator": policy.Administrator()} {
			if !allowed(p, action) {
				t.Errorf("%s does not allow %s", about, action)
			}
		}
	}
	for p, want := range map[*policy.Policy]bool{policy.Administrator(): true, policy.Owner(): true,
		policy.ReadOnly(): false} {
		if allowed(p, reveal) != want {
			t.Errorf("%v allows %s: %v", p, reveal, !want)
		}
	}
	for _, action := range reads {
		if !allowed(policy.ReadOnly(), action) {
			t.Errorf("ReadOnly does not allow %s", action)
		}
	}
	for _, action := range changes {
		if allowed(policy.ReadOnly(), action) {
			t.Errorf("ReadOnly allows %s", action)
		}
	}
	if allowed(policy.Administrator(), "ecs:RunInstances") {
		t.Error("Administrator allows an action outside oos")
	}
}

// TestNamed checks that an action which must be named is allowed only by its name, and denied by
// any pattern.
func TestNamed(t *testing.T) {
	decide := func(actions ...string) policy.Decision {
		var statements []string
		for _, a := range actions {
			effect, action, _ := strings.Cut(a, " ")
			statements = append(statements, `{"Effect":"`+effect+`","Action":"`+action+`","Resource":"*"}`)
		}
		return policy.Decide(policy.Request{Action: "oos:SendChatMessage", Named: true,
			Resource: "acs:oos:r:1:chatconfiguration/a"},
			parse(t, `{"Version":"1","Statement":[`+strings.Join(statements, ",")+`]}`))
	}
	for _, action := range []string{"*", "**", "oos:*", "oos:Send*", "oos:SendChatMessag?", "oos:SendChatMessage*",
		"*:SendChatMessage", "?os:SendChatMessage"} {
		if d := decide("Allow " + action); d.Allowed || d.Explicit() {
			t.Errorf("%s: %v", action, d)
		}
		if d := decide("Allow oos:SendChatMessage", "Deny "+action); d.Allowed || d.Statement != 1 {
			t.Errorf("named, and %s denied: %v", action, d)
		}
	}
	for _, action := range []string{"oos:SendChatMessage", "OOS:sendchatmessage"} {
		if d := decide("Allow oos:*", "Allow "+action); !d.Allowed || d.Statement != 1 {
			t.Errorf("%s: %v", action, d)
		}
	}
	for p, want := range map[*policy.Policy]bool{policy.Administrator(): false, policy.ReadOnly(): false,
		policy.Owner(): true} {
		if d := policy.Decide(policy.Request{Action: "oos:SendChatMessage", Named: true, Resource: "acs:oos:r:1:x"},
			p); d.Allowed != want {
			t.Errorf("%v: %v, want allowed %v", p, d, want)
		}
	}
}

// TestPrefix checks that a Prefix must be in an Allow in full, and that any pattern denies.
func TestPrefix(t *testing.T) {
	const role, prefix = "acs:ram::2:role/Ops", "acs:ram::2:role/"
	for pattern, want := range map[string]bool{role: true, prefix + "*": true, prefix + "O?s": true, "*": false,
		"acs:ram::*:role/Ops": false, "acs:ram::?:role/Ops": false, "acs:ram::2:role*": false, prefix + "Dev": false} {
		for _, req := range []policy.Request{
			{Action: policy.PassRole, Resource: role, Prefix: prefix}, {Action: policy.PassRole, Resource: role},
		} {
			statement := `{"Effect":"Allow","Action":"ram:*","Resource":"` + pattern + `"}`
			allow := parse(t, `{"Version":"1","Statement":[`+statement+`]}`)
			matches := policy.Match(pattern, role)
			if got := policy.Decide(req, allow).Allowed; got != (want || matches && req.Prefix == "") {
				t.Errorf("%s, prefix %q: %v", pattern, req.Prefix, got)
			}
			denies := parse(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"`+role+
				`"},`+strings.Replace(statement, "Allow", "Deny", 1)+`]}`)
			if got := policy.Decide(req, denies).Allowed; got == matches {
				t.Errorf("a Deny of %s, prefix %q: %v", pattern, req.Prefix, got)
			}
		}
	}
}

// TestDecideAgainstOracle compares Decide with an oracle that reads the policies' JSON in the
// simplest way. It uses many small random policies and requests from few words, so that matches are
// frequent.
func TestDecideAgainstOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	some := func(words ...string) any {
		if random.IntN(3) == 0 {
			return pick(words...)
		}
		list := []any{}
		for range 1 + random.IntN(2) {
			list = append(list, pick(words...))
		}
		return list
	}
	tags := []string{"oos:tag/a", "oos:tag/b"}
	values := []string{"x", "y", "xy", ""}
	times := []string{"2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.5Z",
		"2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z"}
	addresses := []string{"10.0.0.1", "10.0.0.2", "11.0.0.1", "::1", "::ffff:10.0.0.1"}

	newCondition := func() map[string]any {
		cond := map[string]any{}
		for range 1 + random.IntN(2) {
			switch op := pick("StringEquals", "StringNotEquals", "NotStringEquals", "StringLike", "IpAddress", "Bool",
				"DateLessThan", "DateGreaterThan"); op {
			case "StringNotEquals", "NotStringEquals":
				delete(cond, "StringNotEquals")
				delete(cond, "NotStringEquals")
				fallthrough
			case "StringEquals":
				cond[op] = map[string]any{pick(tags...): some(values...), pick(tags...): some(values...)}
			case "StringLike":
				cond[op] = map[string]any{pick(tags...): some("x*", "?", "*", "y")}
			case "IpAddress":
				cond[op] = map[string]any{"acs:SourceIp": some("10.0.0.1", "10.0.0.0/24", "::/0", "0.0.0.0/0", "::1")}
			case "Bool":
				cond[op] = map[string]any{"acs:SecureTransport": some("true", "false")}
			default:
				cond[op] = map[string]any{"acs:CurrentTime": some(times...)}
			}
		}
		return cond
	}
	newPolicy := func() map[string]any {
		list := []any{}
		for range 1 + random.IntN(3) {
			s := map[string]any{
				"Effect":   pick("Allow", "Allow", "Deny"),
				"Action":   some("*", "oos:*", "oos:Get", "OOS:g?t", "oos:Put"),
				"Resource": some("*", "acs:a", "acs:?", "acs:b*"),
			}
			if random.IntN(3) > 0 {
				s["Condition"] = newCondition()
			}
			list = append(list, s)
		}
		return map[string]any{"Version": "1", "Statement": list}
	}

	decisions := map[policy.Decision]int{}
	for range 5000 {
		var policies []*policy.Policy
		var plain []map[string]any
		for range 1 + random.IntN(2) {
			m := newPolicy()
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var again map[string]any
			if err := json.Unmarshal(text, &again); err != nil {
				t.Fatal(err)
			}
			policies, plain = append(policies, parse(t, string(text))), append(plain, again)
		}
		for range 4 {
			known := map[string]string{}
			for key, words := range map[string][]string{
				"oos:tag/a": values, "oos:tag/b": values, "acs:SourceIp": append(addresses, "none"),
				"acs:SecureTransport": {"true", "false", "1"}, "acs:CurrentTime": append(times, "now"),
			} {
				if random.IntN(3) > 0 {
					known[key] = pick(words...)
				}
			}
			req := policy.Request{Action: pick("oos:Get", "oos:get", "oos:Put", "ecs:Get"),
				Resource: pick("acs:a", "acs:b", "acs:bb"), Value: lookup(known)}
			got, want := policy.Decide(req, policies...), oracle(req, known, plain)
			if got != want {
				t.Fatalf("%s on %s, known %v, policies %v: Decide = %+v, want %+v", req.Action, req.Resource, known,
					policies, got, want)
			}
			decisions[got]++
		}
	}
	if len(decisions) < 10 {
		t.Errorf("met only the decisions %v", decisions)
	}
}

// oracle is Decide on policies as encoding/json decodes them. It lists all matches, then looks for
// a Deny, then for an Allow.
func oracle(req policy.Request, known map[string]string, policies []map[string]any) policy.Decision {
	for _, effect := range []string{"Deny", "Allow"} {
		for i, p := range policies {
			for j, s := range p["Statement"].([]any) {
				s := s.(map[string]any)
				if s["Effect"] == effect && oracleMatches(s, req, known) {
					return policy.Decision{Allowed: effect == "Allow", Policy: i, Statement: j}
				}
			}
		}
	}
	return policy.Decision{Policy: -1, Statement: -1}
}

func oracleMatches(s map[string]any, req policy.Request, known map[string]string) bool {
	one := func(list any, test func(string) bool) bool {
		found := false
		for _, v := range oracleList(list) {
			found = found || test(v)
		}
		return found
	}
	if !one(s["Action"], func(p string) bool { return naiveMatch(strings.ToLower(p), strings.ToLower(req.Action)) }) ||
		!one(s["Resource"], func(p string) bool { return naiveMatch(p, req.Resource) }) {
		return false
	}
	conditions, _ := s["Condition"].(map[string]any)
	for op, keys := range conditions {
		for key, list := range keys.(map[string]any) {
			value, ok := known[key]
			result := false
			switch {
			case !ok:
				result = strings.Contains(op, "Not")
			case value == "none" || value == "now" || value == "1":
				result = s["Effect"] == "Deny"
			default:
				result = one(list, func(v string) bool { return oracleTest(op, value, v) })
				if strings.Contains(op, "Not") {
					result = !result
				}
			}
			if !result {
				return false
			}
		}
	}
	return true
}

func oracleTest(op, value, v string) bool {
	switch op {
	case "StringLike":
		return naiveMatch(v, value)
	case "IpAddress":
		if !strings.Contains(v, "/") {
			return netip.MustParseAddr(v) == netip.MustParseAddr(value).Unmap()
		}
		return netip.MustParsePrefix(v).Contains(netip.MustParseAddr(value).Unmap())
	case "DateLessThan", "DateGreaterThan":
		a, err1 := time.Parse(time.RFC3339Nano, value)
		b, err2 := time.Parse(time.RFC3339Nano, v)
		if err1 != nil || err2 != nil {
			panic("the test's times are wrong")
		}
		return op == "DateLessThan" && a.UnixNano() < b.UnixNano() || op == "DateGreaterThan" &&
			a.UnixNano() > b.UnixNano()
	default:
		return v == value
	}
}

func oracleList(list any) []string {
	if s, ok := list.(string); ok {
		return []string{s}
	}
	var texts []string
	for _, v := range list.([]any) {
		texts = append(texts, v.(string))
	}
	return texts
}

// ordinary is a typical request of the service, for the policies of an access key.
func ordinary(tb testing.TB) (policy.Request, []*policy.Policy) {
	p := parse(tb, `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":["oos:Get*","oos:List*"],
			"Resource":"acs:oos:*:1234567890123456:chatconfiguration/*"},
		{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{
			"StringEquals":{"oos:tag/env":["dev","test"]},
			"StringLike":{"oos:tag/team":"sre-*"},
			"IpAddress":{"acs:SourceIp":["10.0.0.0/8","2001:db8::/32"]},
			"Bool":{"acs:SecureTransport":"true"},
			"DateLessThan":{"acs:CurrentTime":"2030-01-01T00:00:00Z"}}},
		{"Effect":"Deny","Action":"oos:Delete*","Resource":"*",
			"Condition":{"StringNotEquals":{"oos:tag/env":"dev"}}}]}`)
	req := policy.Request{
		Action:   "oos:UpdateChatConfiguration",
		Resource: "acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/prod-alerts",
		Value: lookup(map[string]string{"oos:tag/env": "test", "oos:tag/team": "sre-1", "acs:SourceIp": "10.1.2.3",
			"acs:SecureTransport": "true", "acs:CurrentTime": "2026-11-15T12:00:00Z"}),
	}
	return req, []*policy.Policy{policy.ReadOnly(), p}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	req, policies := ordinary(t)
	if d := policy.Decide(req, policies...); !d.Allowed {
		t.Fatalf("Decide: %v", d)
	}
	if n := testing.AllocsPerRun(100, func() { policy.Decide(req, policies...) }); n != 0 {
		t.Errorf("Decide allocates %v times, want 0", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	req, policies := ordinary(b)
	b.ReportAllocs()
	for b.Loop() {
		policy.Decide(req, policies...)
	}
}

func TestRoleResource(t *testing.T) {
	for role, want := range map[string]string{
		"Ops":                               "acs:ram::1:role/Ops",
		"acs:ram::2:role/Ops":               "acs:ram::2:role/Ops",
		"arn:aws:iam::2:role/Ops":           "acs:ram::2:role/Ops",
		"arn:aws-us-gov:iam::2:role/path/O": "acs:ram::2:role/path/O",
		// not of a role
		"acs:ram:cn:2:role/Ops":    "acs:ram::1:role/acs:ram:cn:2:role/Ops",
		"arn:aws:iam:x:2:role/Ops": "acs:ram::1:role/arn:aws:iam:x:2:role/Ops",
		"arn:gcp:iam::2:role/Ops":  "acs:ram::1:role/arn:gcp:iam::2:role/Ops",
		"acs:ram::2:user/Ops":      "acs:ram::1:role/acs:ram::2:user/Ops",
		":role/Ops":                "acs:ram::1:role/:role/Ops",
	} {
		if got := policy.RoleResource("1", role); got != want {
			t.Errorf("RoleResource(%q) = %q, want %q", role, got, want)
		}
	}
}
