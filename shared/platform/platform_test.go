package platform_test

import (
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/platform"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table/file"
)

// TestDeclarations holds what the control plane relies on, of every platform.
func TestDeclarations(t *testing.T) {
	all := platform.All().Descriptions()
	if got, want := len(all), 5; got != want {
		t.Fatalf("%d platforms, want %d", got, want)
	}
	common := map[string]bool{"BotName": true, "ConversationIds": true, "UserGroups": true,
		"Permissions": true, "Target": true}
	taken := make(map[string]string) // type or alias in lower case
	owner := make(map[string]string) // of a key
	for _, p := range all {
		for _, name := range append([]string{p.Type}, p.Aliases...) {
			if other, ok := taken[strings.ToLower(name)]; ok {
				t.Errorf("%s: the name %s is taken by %s", p.Type, name, other)
			}
			taken[strings.ToLower(name)] = p.Type
		}
		if p.Title == "" {
			t.Errorf("%s has no title", p.Type)
		}
		secrets := 0
		for _, s := range p.Settings {
			if other, ok := owner[s.Key]; ok || common[s.Key] {
				t.Errorf("%s: the key %s is taken by %s", p.Type, s.Key, other)
			}
			owner[s.Key] = p.Type
			if !strings.HasPrefix(s.Key, p.Type) {
				t.Errorf("%s: the key %s does not begin with the type", p.Type, s.Key)
			}
			if s.Secret && s.Required {
				secrets++
			}
			if s.Required && s.Generate {
				t.Errorf("%s: %s is required and generated", p.Type, s.Key)
			}
			for _, word := range []string{"Secret", "Token", "AesKey", "EncryptKey"} {
				if strings.HasSuffix(s.Key, word) && !s.Secret {
					t.Errorf("%s: %s is not declared secret", p.Type, s.Key)
				}
			}
			if s.Shape.Fits("") || s.Shape.Fits(strings.Repeat("a", 100_000)) ||
				s.Shape.Fits("a\nb") || s.Shape.Fits("a\x00") {
				t.Errorf("%s: %s takes nothing, too much, or a control character", p.Type, s.Key)
			}
			if s.Secret && s.Shape.Fits(secret.Mask) && !strings.Contains(s.Shape.Want, "printable") {
				t.Errorf("%s: the shape of %s takes the mask", p.Type, s.Key)
			}
			if !s.Generate {
				continue
			}
			for i := range 256 {
				random := make([]byte, 32)
				for j := range random {
					random[j] = byte(i * (j + 1))
				}
				if made := s.Shape.Make(random); !s.Shape.Fits(made) {
					t.Errorf("%s: %s is made as %q, which does not fit", p.Type, s.Key, made)
				}
			}
		}
		if secrets == 0 {
			t.Errorf("%s has no required secret: nothing would prove its messages genuine", p.Type)
		}
	}
}

// TestServiceTakesThem holds that a service with all platforms starts.
func TestServiceTakesThem(t *testing.T) {
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ring, err := seal.NewRing(seal.Key{ID: "k", Secret: [seal.KeySize]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chat.New(db.Table("t", file.TableOptions{}), ring, platform.All().Descriptions(),
		chat.Options{}); err != nil {
		t.Error(err)
	}
}
