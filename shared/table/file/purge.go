package file

import (
	"bytes"
	"time"

	"chatconf/shared/bolt"
)

// A Write checks this many rows for each of its parts, and deletes the expired ones. With even
// writes, the file has about one expired row for eight others.
const purgePerPart = 8

// purge continues where the last one ended, so it visits the whole table in small steps. It keeps
// damaged rows, so that readers get the error.
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
