package chat

import (
	"fmt"
	"hash/fnv"
	"strings"

	"chatconf/shared/table"
)

// Sort keys. The separator is '#'. A key with '$', the next byte, in place of the last separator
// sorts after all entries with that prefix. Escaped names contain neither, and all their bytes sort
// after both.
const (
	configurationPrefix = "c#"
	counterPrefix       = "c!" // sorts right before configurationPrefix, and both start with listPrefix
	listPrefix          = "c"
	indexPrefix         = "i#"
	historyPrefix       = "h#"
	clientTokenPrefix   = "t#"
	streamPrefix        = "s#"

	// streamPartitions is the partition that lists partitions with streams. Its form is that of an
	// account and a region, since functions may write no other partition.
	streamPartitions = "streams/partitions"

	counters       = 16
	revisionDigits = 10
)

func configurationKey(name string) string { return configurationPrefix + table.Escape(name) }

func counterKey(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s%02d", counterPrefix, h.Sum32()%counters)
}

func historyKey(name string, revision int64) string {
	return fmt.Sprintf("%s%0*d", historyRange(name), revisionDigits, revision)
}

// historyRange returns the prefix of all entries of a name in history.
func historyRange(name string) string { return historyPrefix + table.Escape(name) + "#" }

func streamKey(name string) string { return streamPrefix + table.Escape(name) }

// indexKey returns the sort key of a configuration's index entry.
func indexKey(attribute, value, name string) string {
	return indexRange(attribute, value) + table.Escape(name)
}

// indexRange returns the prefix of all index entries of one value.
func indexRange(attribute, value string) string {
	return indexPrefix + table.Escape(attribute) + "#" + table.Escape(value) + "#"
}

// parseIndexKey parses the sort key of an index entry.
func parseIndexKey(key string) (attribute, value, name string, err error) {
	rest, ok := strings.CutPrefix(key, indexPrefix)
	parts := strings.Split(rest, "#")
	if !ok || len(parts) != 3 {
		return "", "", "", fmt.Errorf("chat: index entry %q is malformed", key)
	}
	for i := range parts {
		if parts[i], err = table.Unescape(parts[i]); err != nil {
			return "", "", "", fmt.Errorf("chat: index entry %q: %w", key, err)
		}
	}
	return parts[0], parts[1], parts[2], nil
}
