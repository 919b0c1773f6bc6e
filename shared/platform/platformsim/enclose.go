package platformsim

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Enclose makes a callback of what the platform would say, as it is: signed, and encrypted where
// that is so. The answer is not read. In the text {seconds}, {millis} and {time} are filled in,
// which are now, since 1970 or by RFC 3339, and {id}, which is another one each time.
func (k *Maker) Enclose(platform, enclosure, text string) (*Callback, error) {
	s := Of(platform)
	if s == nil {
		return nil, fmt.Errorf("platformsim: there is no platform %q", platform)
	}
	enclose, ok := s.Enclosures[enclosure]
	if !ok {
		return nil, fmt.Errorf("platformsim: %s has no enclosure %q; it has %s", platform, enclosure,
			strings.Join(slices.Sorted(maps.Keys(s.Enclosures)), ", "))
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
