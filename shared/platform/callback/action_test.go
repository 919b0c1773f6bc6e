package callback_test

import (
	"slices"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

func TestAct(t *testing.T) {
	for want, test := range map[string]struct {
		command string
		choices []callback.Choice
	}{
		"restart i-1":   {" restart i-1\u00a0", nil},
		"restart 'i 1'": {"restart", []callback.Choice{{Name: "instance", Value: "i 1 "}}},
		"restart instance=i-1 zone=a": {"restart", []callback.Choice{{Name: "instance", Value: "i-1"},
			{Name: "zone", Value: "a"}}},
		"stop i-1":                {"", []callback.Choice{{Value: "stop"}, {Name: "instance", Value: "i-1"}}},
		"start i-1 i-2":           {"start", []callback.Choice{{Value: "i-1"}, {Value: "i-2"}}},
		`say 'i-1; stop' '"' '“'`: {"say", []callback.Choice{{Value: "i-1; stop"}, {Value: `"`}, {Value: "“"}}},
		"":                        {"", nil},
		`kick 'a'\''b'`:           {"kick", []callback.Choice{{Value: "a'b"}}},
		"restart 'the instance=i-1' x": {"restart",
			[]callback.Choice{{Name: "the instance", Value: "i-1"}, {Value: "x"}}},
	} {
		if got := callback.Act(test.command, test.choices); got != want {
			t.Errorf("Act(%q, %q) = %q, want %q", test.command, test.choices, got, want)
		}
	}
}

// FuzzAct holds that a choice is one argument, whatever is in it.
func FuzzAct(f *testing.F) {
	f.Add("i-1 --all", "x")
	f.Add("'", "—f")
	f.Add("`a b`", "[a](http://b)")
	f.Fuzz(func(t *testing.T, first, second string) {
		text := callback.Act("restart", []callback.Choice{{Value: first}, {Value: second}})
		name, args, err := command.Parse(text)
		if err == nil && (name != "restart" || len(args) != 2 || args[0] != callback.Fold(first) ||
			args[1] != callback.Fold(second)) {
			t.Errorf("%q and %q are %q, whose arguments are %q", first, second, text, args)
		}
	})
}

func TestChoices(t *testing.T) {
	f, err := callback.Object("it", `{"command":"x","a":"1","b":["2","",3],"c":true,"d":null,"e":"","f":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	got, whole := f.Choices("command")
	if want := []callback.Choice{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}, {Name: "b", Value: "3"},
		{Name: "c", Value: "true"}}; !whole || !slices.Equal(got, want) {
		t.Errorf("Choices = %q, %v, want %q", got, whole, want)
	}
	for _, text := range []string{`{"a":{}}`, `{"a":[["x"]]}`, `{"a":[{"b":"c"}]}`} {
		f, err := callback.Object("it", text)
		if err != nil {
			t.Fatal(err)
		}
		if got, whole := f.Choices(); whole || len(got) > 0 {
			t.Errorf("the choices of %s are %q, and whole", text, got)
		}
	}
}

func TestOneInPlaceOfAnArray(t *testing.T) {
	f, err := callback.Object("it",
		`{"one":{"s":"x"},"two":[{"s":"x"},{"s":"y"}],"text":"x","texts":["x","y"],`+
			`"inner":"{\"s\":\"x\"}","empty":"","bad":"{","n":1}`)
	if err != nil {
		t.Fatal(err)
	}
	if one, two, none := f.Each("one"), f.Each("two"), f.Each("none"); len(one) != 1 ||
		one[0].Text("s") != "x" || len(two) != 2 || none != nil {
		t.Errorf("Each = %d, %d, %d", len(one), len(two), len(none))
	}
	if one, two, none := f.EachText("text"), f.EachText("texts"), f.EachText("none"); len(one) != 1 ||
		len(two) != 2 || none != nil {
		t.Errorf("EachText = %q, %q, %q", one, two, none)
	}
	if inner, none := f.Inner("inner"), f.Inner("none"); inner.Text("s") != "x" || none.Keys() != 0 || f.Err() != nil {
		t.Errorf("Inner: %v", f.Err())
	}
	if objects := f.Objects(); len(objects) != 1 || objects[0].Text("s") != "x" {
		t.Errorf("%d objects", len(objects))
	}
	for _, key := range []string{"empty", "bad", "n"} {
		f, err := callback.Object("it", `{"empty":"","bad":"{","n":1}`)
		if err != nil {
			t.Fatal(err)
		}
		if inner := f.Inner(key); inner.Keys() != 0 || stepOf(f.Err()) != callback.StepDecode {
			t.Errorf("Inner(%q): %v", key, f.Err())
		}
	}
}

func TestGap(t *testing.T) {
	text := func(parts []callback.Part) string {
		s := ""
		for _, p := range parts {
			s += p.Text
		}
		return s
	}
	for in, want := range map[string]string{"a": "a ", "a ": "a ", "a\n": "a\n", "a\u3000": "a\u3000"} {
		if got := text(callback.Gap([]callback.Part{{Text: in}})); got != want {
			t.Errorf("Gap(%q) = %q, want %q", in, got, want)
		}
	}
	if got := callback.Gap(nil); got != nil {
		t.Errorf("Gap of nothing = %v", got)
	}
	if got := callback.Gap([]callback.Part{{Mention: true, Text: "@a"}}); len(got) != 2 {
		t.Errorf("Gap behind a mention = %v", got)
	}
}
