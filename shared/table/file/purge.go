package file

import (
	"bytes"
	"time"

	"chatconf/shared/bolt"
)

// A Write looks at this many rows for each of its parts, and removes those over age. The larger it
// is, the fewer dead rows the file holds: where writes come evenly, about one for eight living.
const purgePerPart = 8

// purge goes on where the last one ended, so that rounds over the whole table follow each other, in
// steps that are small beside the Write which pays for them. A row that does not decode stays, for
// whoever asks for it to be told.
func (t *Table) purge(b *bolt.Bucket, now time.Time, parts int) error {
	if t.ttl <= 0 {
		return nil
	}
	var dead [][]byte
	c := b.Cursor()
	k, v := c.Seek(t.swept)
	for n := parts * purgePerPart; n > 0 && k != nil; n-- {
		if r, err := decodeRow(k, v); err == nil && t.over(r, now) {
			dead = append(dead, bytes.Clone(k))
		}
		k, v = c.Next()
	}
	t.swept = append(t.swept[:0], k...)
	for _, key := range dead {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
