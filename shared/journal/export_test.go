package journal

import (
	"context"
	"strconv"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/seal"
)

// EntryKey returns the sort key of the record of a command.
func EntryKey(r command.Ref) string { return recordKey(r) }

// HealthKey returns the sort key of something of the health of a configuration.
func HealthKey(r command.Ref, what string) string { return healthKey(r, what) }

// RefTime returns the time in a ref's id.
func RefTime(r command.Ref) time.Time { return timeOf(r) }

// SetJobEntry makes a job hold another record.
func SetJobEntry(job *Job, value []byte) { job.entry.Value = value }

// SealOutbox seals a text as an outbox item.
func SealOutbox(ring *seal.Ring, account, region, name, id, text string) []byte {
	sealed, err := ring.Seal(outboxPlace(command.Ref{Account: account, Region: region, Name: name, ID: id}),
		[]byte(text))
	if err != nil {
		panic(err)
	}
	return sealed
}

// MaxNotes is of how many configurations a process keeps notes.
const MaxNotes = maxNotes

// Notes returns of how many configurations notes are kept.
func Notes(j *Journal) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.notes)
}

// FillNotes makes j keep notes of n configurations.
func FillNotes(j *Journal, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range n {
		j.notes[command.Ref{Name: strconv.Itoa(i)}] = &notes{}
	}
}

// WaitNotes waits for the notes that are being written.
func WaitNotes(j *Journal) {
	for {
		j.mu.Lock()
		var under *noteWrite
		for _, kept := range j.notes {
			if kept.writing != nil {
				under = kept.writing
			}
		}
		j.mu.Unlock()
		if under == nil {
			return
		}
		<-under.done
	}
}

// Flushed makes sure that the notes of a configuration are written.
func Flushed(j *Journal, ctx context.Context, ref command.Ref) error { return j.FlushOf(ctx, ref) }
