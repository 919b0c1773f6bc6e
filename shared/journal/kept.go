package journal

import (
	"context"
	"fmt"

	"chatconf/shared/command"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// KeepsAnswers reports whether answers are kept for SendChatMessage and not sent.
func (job *Job) KeepsAnswers() bool { return job.ReplyTo.IsKept() }

// Keep makes Settle store an answer in the record, sealed.
func (job *Job) Keep(answer string) { job.kept = answer }

// maxKept is the size of a kept answer, in bytes.
const maxKept = 16 << 10

func keptPlace(r command.Ref) seal.Place { return placeOf(r, "#Kept/"+r.ID) }

// A SentMessage is the result of a message of SendChatMessage.
type SentMessage struct {
	ID      string // of the record
	Outcome Outcome
	Detail  string
	Answer  string // the kept answer; empty if none yet
}

// Follow returns the result of a message of SendChatMessage by its id, and whether it was recorded.
// It costs two Gets.
func (j *Journal) Follow(ctx context.Context, ref command.Ref,
	messageID string) (m SentMessage, recorded bool, err error) {
	ref.ID, err = j.firstRecord(ctx, ref, onceKey(ref, messagePrefix, messageID))
	if err != nil || ref.ID == "" {
		return SentMessage{}, false, err
	}
	return j.FollowRecord(ctx, ref)
}

// FollowRecord is Follow of a record by its reference. It costs one Get.
func (j *Journal) FollowRecord(ctx context.Context, ref command.Ref) (m SentMessage, recorded bool, err error) {
	if !isID(ref.ID) {
		return SentMessage{}, false, nil
	}
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: recordKey(ref)})
	if err != nil || len(items) == 0 {
		return SentMessage{}, false, err // the record may have expired
	}
	found, err := decodeRecord(items[0])
	if err != nil {
		return SentMessage{}, false, err
	}
	m = SentMessage{ID: ref.ID, Outcome: found.Outcome, Detail: found.Detail}
	if len(found.Kept) > 0 {
		answer, err := j.ring.Open(keptPlace(ref), found.Kept)
		if err != nil {
			return SentMessage{}, false, fmt.Errorf("journal: open the kept answer of %q: %w", ref.ID, err)
		}
		m.Answer = string(answer)
	}
	return m, true, nil
}

// DetailKept is the Detail of a record whose answer was kept, if it has no other. It says nothing
// about the operation.
const DetailKept = "the message came from SendChatMessage, so the answer was kept and not sent to the platform"

// keep seals the job's kept answer into the record.
func (j *Journal) keep(job *Job, e *Record) error {
	if job.kept == "" {
		return nil
	}
	sealed, err := j.ring.Seal(keptPlace(job.Ref), []byte(cut(job.kept, maxKept)))
	if err != nil {
		return fmt.Errorf("journal: keep an answer: %w", err)
	}
	e.Kept = sealed
	if e.Detail == "" {
		e.Detail = DetailKept
	}
	return nil
}
