package console_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

var colour = regexp.MustCompile(`--([a-z]+): #([0-9a-f]+);`)

// Every text has the contrast that WCAG 2.2 asks for at level AA, in both schemes.
// https://www.w3.org/TR/WCAG22/#contrast-minimum
func TestColoursHaveContrast(t *testing.T) {
	text, err := os.ReadFile("asset/console.css")
	if err != nil {
		t.Fatal(err)
	}
	found := colour.FindAllStringSubmatch(string(text), -1)
	const names = 9
	if len(found) != 2*names {
		t.Fatalf("%d colours were found, want %d", len(found), 2*names)
	}
	for scheme := range 2 {
		colours := make(map[string]float64)
		for _, m := range found[scheme*names : (scheme+1)*names] {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, front := range []string{"text", "dim", "link", "good", "bad", "busy"} {
			for _, back := range []string{"back", "raised"} {
				a, b := colours[front], colours[back]
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("scheme %d: %s on %s has the contrast %.2f, want 4.5 or more", scheme, front, back, ratio)
				}
			}
		}
	}
}

// luminance returns the relative luminance of a colour, from 0 to 1.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = hex[:1] + hex[:1] + hex[1:2] + hex[1:2] + hex[2:] + hex[2:]
	}
	n, err := strconv.ParseUint(hex, 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}
