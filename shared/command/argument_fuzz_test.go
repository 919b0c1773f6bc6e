package command_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/command"
)

// FuzzArguments checks for any text that only declared parameters have values, that every
// value obeys its bounds, that required and fixed ones are there, and that the values written back
// are the same command.
func FuzzArguments(f *testing.F) {
	for _, text := range []string{
		"deploy v1 prod 3 true 'a note' --dry-run", "deploy v1 --force false note=", "deploy -- v1 -- prod",
		"deploy --env=prod --version v1 -count 3 —force", "deploy v1 env=PROD –count=４", "deploy region=x",
		"发布 ｅｎｖ＝预发 最新 count=-2 note=a=b=c", `login "bob smith" password='hunter 2'`, "ping --dry-run=no",
	} {
		f.Add(text)
	}
	e := endpoint(f, twoActions+allowAll)
	version := regexp.MustCompile(`\A(?:v?[0-9.]+|最新)\z`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := e.Command(said(text))
		if c.Action == "" {
			if c.Parameters != nil || c.DryRun {
				t.Errorf("an undeclared command has %v", c.Parameters)
			}
			return
		}
		a := e.Actions.Find(c.Name)
		if a == nil || a.Name != c.Action {
			t.Fatalf("the action of %q is %q", c.Name, c.Action)
		}
		if err != nil {
			if c.Parameters != nil || e.Decide(c).Allowed {
				t.Errorf("a wrong command has %v", c.Parameters)
			}
			return
		}
		if c.DryRun && !a.DryRun {
			t.Errorf("%s has no dry run", a.Name)
		}
		left := c.Parameters
		for _, p := range a.Parameters {
			if len(left) == 0 || left[0].Name != p.Name {
				if p.Required || p.Fixed != nil || p.Default != nil {
					t.Errorf("%s is missing in %v", p.Name, c.Parameters)
				}
				continue
			}
			v := left[0]
			left = left[1:]
			ok := v.Type == p.Type && v.Secret == p.Secret && (p.Fixed == nil || *p.Fixed == v.Text)
			switch n, err := strconv.ParseInt(v.Text, 10, 64); p.Name {
			case "version":
				ok = ok && version.MatchString(v.Text) && utf8.RuneCountInString(v.Text) <= 20
			case "env":
				ok = ok && slices.Contains([]string{"test", "prod", "预发"}, v.Text)
			case "count":
				ok = ok && err == nil && n >= -2 && n <= 10 && strconv.FormatInt(n, 10) == v.Text
			case "force":
				ok = ok && (v.Text == "true" || v.Text == "false")
			case "password":
				ok = ok && utf8.RuneCountInString(v.Text) >= 4
			case "user":
				ok = ok && v.Text != ""
			}
			if !ok {
				t.Errorf("%s is %q of %s, secret %v", v.Name, v.Text, v.Type, v.Secret)
			}
		}
		if len(left) > 0 {
			t.Errorf("%v is not declared, or not in order", left)
		}
		object, err := json.Marshal(command.TypedObject(c.Parameters))
		var members map[string]any
		if err != nil || json.Unmarshal(object, &members) != nil || len(members) != len(c.Parameters) {
			t.Errorf("the object is %s, %v", object, err)
		}
		checkRoundTrip(t, e, c, a)
	})
}

// checkRoundTrip writes the values of a command as its sender could have, by name in the other
// order and by place, and reads them again.
func checkRoundTrip(t *testing.T, e *command.Endpoint, c command.Command, a *command.Action) {
	t.Helper()
	var named, placed []string
	isPlaced := true // every parameter before the last value has one
	for _, p := range a.Parameters {
		i := slices.IndexFunc(c.Parameters, func(v command.Value) bool { return v.Name == p.Name })
		switch {
		case p.Fixed != nil:
		case i < 0:
			isPlaced = false
		default:
			named = append(named, p.Name+"="+c.Parameters[i].Text)
			if isPlaced {
				placed = append(placed, c.Parameters[i].Text)
			}
		}
	}
	slices.Reverse(named)
	ways := [][]string{named}
	if len(placed) == len(named) {
		ways = append(ways, append([]string{"--"}, placed...))
	}
	for _, args := range ways {
		if c.DryRun {
			args = append([]string{"--dry-run"}, args...)
		}
		text := command.Format(c.Name, args)
		if len(text) > command.MaxText {
			return
		}
		again, err := e.Command(said(text))
		if err != nil || again.DryRun != c.DryRun || !slices.Equal(again.Parameters, c.Parameters) {
			t.Errorf("%s of %s is %v, %v", strings.ToValidUTF8(text, "?"), c.Text, again.Parameters, err)
		}
	}
	if err := e.Again(c); err != nil {
		t.Errorf("%s: %v", c.Text, err)
	}
}

// BenchmarkDecide compares a command of an action of six parameters with an undeclared one of as
// many arguments: to parse and to decide it.
func BenchmarkDecide(b *testing.B) {
	members := twoActions + rules
	for _, c := range []struct{ about, members, text string }{
		{"undeclared", `"BotName":"b"` + rules, "deploy v1 env=prod --count 3 --force 'note=a note'"},
		{"action", members, "deploy v1 env=prod --count 3 --force=no 'note=a note'"},
		{"wrong", members, "deploy v1 env=prd --count 3 --force 'note=a note'"},
	} {
		b.Run(c.about, func(b *testing.B) {
			e := endpoint(b, c.members)
			m := said(c.text)
			m.User = "sre"
			b.ReportAllocs()
			for b.Loop() {
				parsed, _ := e.Command(m)
				e.Decide(parsed)
			}
		})
	}
}

// TestDecideAllocatesLittle checks that an action costs at most 40 allocations more than a command
// that is not declared.
func TestDecideAllocatesLittle(t *testing.T) {
	of := func(members, text string) float64 {
		e := endpoint(t, members)
		m := said(text)
		m.User = "sre"
		return testing.AllocsPerRun(100, func() {
			parsed, _ := e.Command(m)
			e.Decide(parsed)
		})
	}
	undeclared := of(`"BotName":"b"`+rules, "deploy v1 env=prod --count 3 --force 'note=a note'")
	action := of(twoActions+rules, "deploy v1 env=prod --count 3 --force=no 'note=a note'")
	if action > undeclared+40 {
		t.Errorf("an action takes %v allocations, an undeclared command %v", action, undeclared)
	}
}
