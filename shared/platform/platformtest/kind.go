package platformtest

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// A Kind is one kind of message or event that a platform sends, and its outcome.
//
// The file testdata/kinds.txt of a platform has a paragraph for each kind: a line with a
// description; a line with the enclosure of package platformsim, a blank and the outcome; and lines
// with the text, which are joined. Lines that begin with # are comments. The outcome is "heard" and
// the text of the command, "answered" and the content that cannot be read, "counted" and the kind,
// or "unproven" and the kind. A text with line ends is quoted as in Go.
type Kind struct {
	About     string
	Enclosure string
	Outcome   string
	Text      string
}

// ReadKinds reads the kinds in a platform's folder. A platform without kinds is an error.
func ReadKinds(folder fs.FS) ([]Kind, error) {
	text, err := fs.ReadFile(folder, "testdata/kinds.txt")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	var all []Kind
	for paragraph := range strings.SplitSeq(strings.Join(lines, "\n"), "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		if paragraph == "" {
			continue
		}
		about, rest, _ := strings.Cut(paragraph, "\n")
		head, body, ok := strings.Cut(rest, "\n")
		enclosure, outcome, _ := strings.Cut(head, " ")
		if !ok || outcome == "" {
			return nil, fmt.Errorf("kinds: %q has no enclosure, outcome or text", about)
		}
		if word, quoted, _ := strings.Cut(outcome, " "); strings.HasPrefix(quoted, `"`) {
			unquoted, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("kinds: %q: %s: %w", about, quoted, err)
			}
			outcome = word + " " + unquoted
		}
		all = append(all, Kind{about, enclosure, outcome, strings.ReplaceAll(body, "\n", "")})
	}
	if len(all) == 0 {
		return nil, errors.New("kinds.txt contains no kinds")
	}
	return all, nil
}
