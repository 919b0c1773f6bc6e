// Package platformtest has what tests of chat platforms share: example settings, a server that
// records what a sender sends, and the kinds of messages in a platform's files.
package platformtest

import (
	"errors"
	"maps"
	"path"
	"reflect"
	"testing"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
)

// A New makes a receiver.
type New func(callback.Settings) (callback.Receiver, error)

// Folder returns the name of a platform's folder in shared/platform: the name of its package.
func Folder(p callback.Platform) string { return path.Base(reflect.TypeOf(p).PkgPath()) }

// Now is the time of simulated callbacks.
var Now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// Settings returns example values for all settings of a type that a receiver checks.
func Settings(platform string) callback.Settings {
	if s := platformsim.Of(platform); s != nil {
		return maps.Clone(s.Example)
	}
	return nil
}

// With returns the Settings of a type with other values for some keys, each followed by its value.
func With(platform string, pairs ...string) callback.Settings {
	s := Settings(platform)
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = secret.Text(pairs[i+1])
	}
	return s
}

// Receiver makes a receiver with valid settings.
func Receiver(t testing.TB, n New, s callback.Settings) callback.Receiver {
	t.Helper()
	r, err := n(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// StepOf returns the step of a refusal, empty for any other error and for nil.
func StepOf(err error) callback.Step {
	var refusal *callback.Refusal
	if errors.As(err, &refusal) {
		return refusal.Step
	}
	return ""
}
