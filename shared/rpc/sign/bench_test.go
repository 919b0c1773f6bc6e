package sign_test

import (
	"testing"

	"chatconf/shared/rpc/sign"
)

func BenchmarkVerify(b *testing.B) {
	for _, f := range fixtures(b, "") {
		b.Run(f.name, func(b *testing.B) {
			c := f.call(b)
			params := c.params()
			b.ReportAllocs()
			for b.Loop() {
				s, err := sign.Parse(c.Request, params, c.body)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Verify(f.key.Secret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Every request costs this, also an unauthenticated one.
func TestParseAndVerifyAllocateLittle(t *testing.T) {
	const most = 20
	for _, f := range fixtures(t, "") {
		c := f.call(t)
		params := c.params()
		got := testing.AllocsPerRun(100, func() {
			s, err := sign.Parse(c.Request, params, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(f.key.Secret); err != nil {
				t.Fatal(err)
			}
		})
		if got > most {
			t.Errorf("%s: %v allocations, want at most %d", f.name, got, most)
		}
	}
}
