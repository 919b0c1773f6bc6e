package chat

import (
	"context"
	"fmt"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A StreamBot is an active configuration whose Receive is Stream: chatconf opens a connection for
// it.
type StreamBot struct {
	Ref      command.Ref // of its life
	Revision int64
}

// Streams returns every StreamBot of all accounts and regions, in the order of their partitions and
// escaped names. It costs one Query, and one for each partition that ever had a StreamBot; more if
// there are more than table.MaxQuery.
//
// Streams is for the process that holds the connections. It needs no caller.
func (s *Service) Streams(ctx context.Context) ([]StreamBot, error) {
	partitions, err := s.store.streaming.All(ctx)
	if err != nil {
		return nil, storeError(ctx, "list streams", err)
	}
	var all []StreamBot
	for _, partition := range partitions {
		account, region, ok := strings.Cut(partition, "/")
		if !ok {
			return nil, storeError(ctx, "list streams", fmt.Errorf("partition %q is not ACCOUNT/REGION", partition))
		}
		ref := command.Ref{Account: account, Region: region}
		err := s.store.walk(ctx, scopeOf(ref), streamPrefix, func(item table.Item) {
			name, err := table.Unescape(strings.TrimPrefix(item.Sort, streamPrefix))
			if err != nil { // it must not hide the others
				invoke.Logger(ctx).ErrorContext(ctx, "a stream cannot be read", "partition", partition,
					"item", item.Sort, "error", err)
				return
			}
			ref.Name, ref.Life = name, string(item.Value)
			all = append(all, StreamBot{Ref: ref, Revision: item.Revision})
		})
		if err != nil {
			return nil, storeError(ctx, "list streams in "+partition, err)
		}
	}
	return all, nil
}

// streams reports whether chatconf opens a connection for a configuration. It does not for nil.
func (r *record) streams() (bool, error) {
	if r == nil || r.Status != StatusActive {
		return false, nil
	}
	receive, err := r.receive()
	return receive == command.ReceiveStream, err
}

// addStream adds to a change what a step means for the stream of its configuration.
func addStream(st step, to *table.Change) error {
	was, err := st.before.streams()
	if err != nil {
		return err
	}
	is, err := st.after.streams()
	switch {
	case err != nil:
		return err
	case is:
		to.Puts = append(to.Puts, table.Put{Sort: streamKey(st.after.Name), Value: []byte(st.after.life()),
			Revision: st.after.Revision})
	case was:
		to.Deletes = append(to.Deletes, table.Delete{Sort: streamKey(st.before.Name)})
	}
	return nil
}

// isStream reports whether a put is of a stream.
func isStream(p table.Put) bool { return strings.HasPrefix(p.Sort, streamPrefix) }
