package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"chatconf/shared/secret"
)

func TestAlphanumericUsesAllBits(t *testing.T) {
	for i := range 256 {
		b := make([]byte, 32)
		base := secret.Alphanumeric(b, 43)
		b[i/8] ^= 1 << (i % 8)
		if got := secret.Alphanumeric(b, 43); got == base || len(got) != 43 {
			t.Errorf("bit %d makes no difference: %q", i, got)
		}
	}
}

// What embeds Hidden shows nothing of what is beside it, whatever prints it.
func TestHidden(t *testing.T) {
	type key struct {
		secret.Hidden
		ID, Secret string
	}
	k := key{ID: "PLANTED", Secret: "PLANTED"}
	var out strings.Builder
	for _, v := range []any{k, &k, []key{k}, map[string]key{"a": k}, struct{ K key }{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(data)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	hex := fmt.Sprintf("%x", "PLANTED")
	if text := out.String(); strings.Contains(text, "PLANTED") || strings.Contains(text, hex) ||
		strings.Count(text, secret.Mask) < 10 {
		t.Errorf("it prints:\n%s", text)
	}
}
