package runtime_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

func TestTheLogOfAnInvocation(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		j := newJournal()
		h := runtime.RunT(t, runtime.Options{Log: j.log}, hello(t, kind))
		first := invoke(t, h, `{"do":"print","arg":"one\ntwo\r\nno end"}`)
		second := invoke(t, h, `{"do":"print","arg":"three\n"}`)
		for _, test := range []struct {
			r    *runtime.Result
			want []string
		}{
			{first, []string{"one", "two", "no end", "err:one"}},
			{second, []string{"three", "err:three"}},
		} {
			got := j.of(test.r.RequestID)
			for _, line := range test.want {
				if !slices.Contains(got, line) || !strings.Contains("\n"+string(test.r.Log), "\n"+line+"\n") {
					t.Errorf("no line %q in %q or in %q", line, got, test.r.Log)
				}
			}
			joined := strings.Join(got, "\n")
			want := []string{`FC Invoke Start RequestId: ID`, `FC Invoke End RequestId: ID`,
				`RequestId: ID, Duration: [0-9.]+ ms, Billed Duration: [0-9]+ ms, Memory Size: 128 MB, Max Memory ` +
					`Used: [0-9.]+MB$`}
			if kind == runtime.Lambda {
				want = []string{`^START RequestId: ID Version: \$LATEST\n`, `\nEND RequestId: ID\n`,
					`\nREPORT RequestId: ID\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\tMemory Size: 128 ` +
						`MB\tMax Memory Used: [0-9]+ MB`}
				if test.r == first {
					want = append(want, `\tInit Duration: [0-9.]+ ms$`)
				}
			}
			for _, pattern := range want {
				if !regexp.MustCompile(strings.ReplaceAll(pattern, "ID", test.r.RequestID)).MatchString(joined) {
					t.Errorf("nothing like %q in %q", pattern, joined)
				}
			}
		}
		if strings.Contains(string(second.Log), "one") {
			t.Errorf("the log of the second invocation has lines of the first: %q", second.Log)
		}
	})
}

func TestALongLogIsCutAtItsBeginning(t *testing.T) {
	j := newJournal()
	h := runtime.RunT(t, runtime.Options{Log: j.log}, hello(t, runtime.Lambda))
	long := strings.Repeat("x", 100<<10)
	r := invoke(t, h, `{"do":"print","arg":"first\n`+long+`\nlast\n"}`)
	if len(r.Log) > 64<<10 || !bytes.Contains(r.Log, []byte("last\n")) || bytes.Contains(r.Log, []byte("first")) {
		t.Errorf("the log has %d bytes, and ends in %q", len(r.Log), r.Log[max(0, len(r.Log)-20):])
	}
	for _, line := range j.of(r.RequestID) {
		if len(line) > 80<<10 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}

func TestWaysToWriteTheLog(t *testing.T) {
	var text, structured bytes.Buffer
	line := runtime.Line{Time: time.Unix(0, 0), Function: "f", Instance: "i", RequestID: "r", Stream: runtime.Stdout,
		Text: "hello there"}
	write := runtime.WriteLines(&text)
	write(line)
	line.RequestID = ""
	write(line)
	if got, want := text.String(), "f r hello there\nf - hello there\n"; got != want {
		t.Errorf("WriteLines wrote %q, want %q", got, want)
	}
	line.RequestID = "r"
	runtime.LogLines(slog.New(slog.NewTextHandler(&structured, nil)))(line)
	if got, want := structured.String(), ` msg="function log" function=f request=r instance=i stream=stdout `+
		`line="hello there"`; !strings.Contains(got, want) {
		t.Errorf("LogLines wrote %q, want %q", got, want)
	}
}
