package platformsim

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Enclose makes a callback with a given content, signed and encrypted as the enclosure of the
// platform requires. In the text it replaces {seconds} and {millis} with the time since 1970,
// {time} with the time in RFC 3339, and {id} with a new id. The answer is not read.
func (k *Maker) Enclose(platform, enclosure, text string) (*Callback, error) {
	s := Of(platform)
	if s == nil {
		return nil, fmt.Errorf("platformsim: unknown platform %q", platform)
	}
	enclose, ok := s.Enclosures[enclosure]
	if !ok {
		return nil, fmt.Errorf("platformsim: unknown enclosure %[2]q of %[1]s; use %[3]s", platform, enclosure,
			listed(s.Enclosures))
	}
	if k.Random == nil {
		k.Random = rand.Reader
	}
	fill := strings.NewReplacer("{seconds}", k.seconds(), "{millis}", k.millis(),
		"{time}", k.Now.UTC().Format(time.RFC3339Nano), "{id}", k.hex(8))
	c, err := enclose(k, fill.Replace(text))
	if err != nil {
		return nil, fmt.Errorf("platformsim: %s, %s: %w", platform, enclosure, err)
	}
	return c, nil
}
