package fault_test

import (
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	name := &fault.Error{Code: fault.MissingParameter, Param: "Name", Message: "No name."}
	wrong := &fault.Error{Code: fault.InvalidParameter, Param: "Name", Message: "Wrong name."}
	size := &fault.Error{Code: fault.InvalidParameter, Param: "Size", Message: "Wrong size."}
	if err := fault.Join(); err != nil {
		t.Errorf("Join of nothing = %v", err)
	}
	if err := fault.Join(nil, nil); err != nil {
		t.Errorf("Join of nil = %v", err)
	}
	if err := fault.Join(nil, name, nil); err != error(name) {
		t.Errorf("Join of one = %v", err)
	}
	chattest.WantError(t, "two", fault.Join(name, size), fault.MissingParameter, "Name", "No name. Wrong size.")
	chattest.WantError(t, "joined again", fault.Join(size, fault.Join(name, wrong)), fault.InvalidParameter,
		"Size", "Wrong size. Wrong name.")
	if err := fault.Join(name, wrong); err == nil || err.Error() != "Wrong name." {
		t.Errorf("what is wrong is called missing, too: %v", err)
	}
	for _, other := range []error{
		errors.New("planted"), &fault.Error{Code: fault.NotFound}, &fault.Error{Code: fault.NoPermission},
		&fault.Error{Code: fault.Unavailable}, &fault.Error{Code: fault.Internal},
	} {
		if err := fault.Join(name, other, size); err != other {
			t.Errorf("Join with %v = %v, want it alone", other, err)
		}
	}
	var many error
	for range 25 {
		many = fault.Join(many, size)
	}
	if got := many.Error(); strings.Count(got, "Wrong size.") != 20 ||
		!strings.HasSuffix(got, "There are 5 more mistakes.") {
		t.Errorf("Join of 25 = %q", got)
	}
}

func TestCodeOf(t *testing.T) {
	for about, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"an error of the domain":      {&fault.Error{Code: fault.NotFound}, fault.NotFound},
		"one that is wrapped":         {fmt.Errorf("x: %w", &fault.Error{Code: fault.Conflict}), fault.Conflict},
		"an error of somebody else's": {errors.New("x"), fault.Internal},
		"none":                        {nil, fault.Internal},
	} {
		if got := fault.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf %s = %v, want %v", about, got, c.want)
		}
	}
	for got, want := range map[string]string{
		(&fault.Error{Message: "m", Err: errors.New("d")}).Error(): "m",
		(&fault.Error{Err: errors.New("d")}).Error():               "d",
		(&fault.Error{}).Error():                                   "",
	} {
		if got != want {
			t.Errorf("Error = %q, want %q", got, want)
		}
	}
}

func TestParts(t *testing.T) {
	missing, invalid := fault.Missing("Name"), fault.Invalid("Type", "Unknown Type.")
	for _, c := range []struct {
		err  error
		want []string
	}{
		{nil, nil},
		{errors.New("x"), nil},
		{missing, []string{"Name"}},
		{fmt.Errorf("call: %w", fault.Join(missing, invalid)), []string{"Name", "Type"}},
	} {
		var got []string
		for _, e := range fault.Parts(c.err) {
			got = append(got, e.Param)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Parts(%v) are of %q, want %q", c.err, got, c.want)
		}
	}
}
