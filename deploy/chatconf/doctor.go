package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/seal"
)

func newDoctor() *cobra.Command {
	return newVerbWithout(&cobra.Command{
		Use:   "doctor [NAME]...",
		Short: "Check the service and the bots, and say what to do",
		Long: `Check the settings, the service, its clock, key ring and disk, whether the webhook's address
answers, and each bot, or the bots that are named. A bot is checked by CheckChatConfiguration: with
its platform; the calls count toward the app's limits there. Nothing is changed, and no message is
sent.

Key ring and disk are those of a local service, in its data directory. A line says Passed, Failed or
NotPossible, which means that it could not be checked. With -o wide there is a line for every step
of a bot.

Exit codes: 0 nothing failed; 1 something failed; 2 the command line is invalid.`,
		Example: `  chatconf doctor
  chatconf doctor ops -o wide`,
	}, func(ctx context.Context, v *verb, names []string) error {
		all := v.examine(ctx, names)
		if err := v.print(all, func() error { return v.printExamined(all) }); err != nil {
			return err
		}
		failed := 0
		for _, e := range all {
			if e.State == command.FindingFailed {
				failed++
			}
		}
		if failed > 0 {
			return fmt.Errorf("%s failed", count(failed, "check"))
		}
		return nil
	})
}

// An examined is one thing that doctor looked at, and what it found.
type examined struct {
	Check  string             // settings, service, clock, key ring, disk, webhook or bot
	Name   string             `json:",omitempty"` // of the bot
	State  string             // as in the answer of CheckChatConfiguration
	Reason string             `json:",omitempty"`
	Steps  []chat.CheckedStep `json:",omitempty"` // of a bot
}

func passed(check, note string, args ...any) examined {
	return examined{Check: check, State: command.FindingPassed, Reason: fmt.Sprintf(note, args...)}
}

func failed(check, reason string, args ...any) examined {
	return examined{Check: check, State: command.FindingFailed, Reason: fmt.Sprintf(reason, args...)}
}

func notPossible(check, reason string, args ...any) examined {
	return examined{Check: check, State: command.FindingNotPossible, Reason: fmt.Sprintf(reason, args...)}
}

// examine looks at everything.
func (v *verb) examine(ctx context.Context, names []string) []examined {
	settings, err := app.ReadSettings(os.Getenv, app.Names(os.Environ())...)
	all := []examined{passed("settings", "")}
	if err != nil {
		all[0] = failed("settings", "%v", err)
		settings.Data = cmp.Or(os.Getenv("CHATCONF_DATA"), app.DefaultData)
	}
	settings.Data = cmp.Or(v.data, settings.Data)
	local := examineLocal(settings)
	var bots []listed
	if err = v.connect(); err == nil {
		bots, err = v.chosen(ctx, names)
	}
	if err != nil {
		all = append(all, failed("service", "%s", firstLine(err)))
	} else {
		all = append(all, passed("service", "%s at %s", count(len(bots), "bot"), v.client.endpoint))
	}
	if v.client != nil {
		all = append(all, examineClock(ctx, v.client, time.Now))
	}
	all = append(all, local...)
	all = append(all, v.examineWebhook(ctx, settings.WebhookBaseURL, bots))
	webhook := len(all) - 1
	checked := make([]examined, len(bots))
	// The error is that of ctx; what is not checked then says so.
	inParallel(ctx, len(bots), func(ctx context.Context, i int) error {
		checked[i] = v.examineBot(ctx, bots[i].Name)
		return nil
	})
	needed := len(checked) == 0
	for i := range checked {
		if checked[i].Check == "" {
			checked[i] = notPossible("bot", "it was not checked: %v", context.Cause(ctx))
			checked[i].Name = bots[i].Name
		}
		needed = needed || !checked[i].connects()
	}
	if !needed {
		all[webhook] = passed("webhook", "no bot needs it: chatconf opens the connections to all platforms")
	}
	return append(all, checked...)
}

// connects reports whether a bot's messages come over a connection.
func (e *examined) connects() bool {
	return len(e.Steps) > 0 && e.Steps[len(e.Steps)-1].Step == "connection"
}

// chosen returns the bots of the names, or all bots.
func (v *verb) chosen(ctx context.Context, names []string) ([]listed, error) {
	if len(names) == 0 {
		return v.bots(ctx, false)
	}
	bots := make([]listed, len(names))
	for i, name := range names {
		bots[i].Name = name
	}
	return bots, nil
}

// mostSkew is the largest difference of two clocks that does no harm. Requests are valid for 15
// minutes and callbacks, of most platforms, for 5.
const mostSkew = time.Minute

// examineClock compares the clock of this machine with that of the service.
func examineClock(ctx context.Context, c *client, now func() time.Time) examined {
	const check = "clock"
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+"/", nil)
	if err != nil {
		return notPossible(check, "%v", err)
	}
	begun := now()
	response, err := c.http.Do(request)
	if err != nil {
		return notPossible(check, "%v", dial.NewError("call the service", err))
	}
	defer response.Body.Close()
	there, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return notPossible(check, "the service does not show its time")
	}
	here := begun.Add(now().Sub(begun) / 2)
	skew := there.Sub(here).Round(time.Second)
	switch {
	case skew > mostSkew:
		return failed(check, "the service is %v ahead of this machine; set both clocks by NTP", skew)
	case skew < -mostSkew:
		return failed(check, "the service is %v behind this machine; set both clocks by NTP", -skew)
	}
	return passed(check, "")
}

// probeTime is how long doctor waits for an address.
const probeTime = 10 * time.Second

// examineLocal looks at the key ring and the disk of a local service.
func examineLocal(s app.Settings) []examined {
	if _, err := os.Stat(filepath.Join(s.Data, app.TableFile)); errors.Is(err, fs.ErrNotExist) {
		return []examined{notPossible("key ring", "there is no local service in %s", s.Data)}
	}
	return []examined{examineRing(s), examineDisk(s.Data, freeBytes)}
}

// examineRing looks at the files with secrets, and at the keys of the ring.
func examineRing(s app.Settings) examined {
	const check = "key ring"
	path := filepath.Join(s.Data, app.KeyRingFile)
	if ring := s.KeyRing.Reveal(); ring != "" {
		named, ok := strings.CutPrefix(ring, "file:")
		if !ok {
			return notPossible(check, "it is in CHATCONF_KEYRING, and not in a file")
		}
		path = named
	}
	var wrong []string
	for _, file := range []string{path, filepath.Join(s.Data, app.AccessKeyFile)} {
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist) && file != path: // there need not be an access key
		case err != nil:
			wrong = append(wrong, err.Error())
		case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
			wrong = append(wrong, fmt.Sprintf("other users can read %s; run 'chmod 600 %[1]s'", file))
		}
	}
	text, err := os.ReadFile(path)
	if err == nil {
		var ring *seal.Ring
		if ring, err = seal.ParseRing(text); err == nil && len(wrong) == 0 {
			if ids := ring.IDs(); len(ids) > 1 {
				return passed(check, "%s seals, and %s only open; 'chatconf keyring reseal' and then 'keyring retire' "+
					"remove them", ids[0], strings.Join(ids[1:], ", "))
			}
			return passed(check, "")
		}
	}
	if err != nil && len(wrong) == 0 {
		wrong = append(wrong, fmt.Sprintf("%s: %v", path, err))
	}
	return failed(check, "%s", strings.Join(wrong, "; "))
}

// leastFree is how much space the disk of a local service should have: bbolt never returns space,
// and a journal grows by some hundred bytes with each command.
const leastFree = 100 << 20

// examineDisk looks at the space that is left where the data is.
func examineDisk(data string, free func(path string) (uint64, error)) examined {
	const check = "disk"
	n, err := free(data)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return notPossible(check, "this system does not show the free space")
	case err != nil:
		return failed(check, "%v", err)
	case n < leastFree:
		return failed(check, "%s has %d MiB left; make room for at least %d MiB", data, n>>20, leastFree>>20)
	}
	return passed(check, "%d MiB left", n>>20)
}

// examineWebhook looks at the address that the platforms call: base, or that of the first bot.
func (v *verb) examineWebhook(ctx context.Context, base string, bots []listed) examined {
	const check = "webhook"
	if base == "" && v.client != nil && len(bots) > 0 {
		var answer chat.GetResponse
		var outputs struct{ URL string }
		err := v.ask(ctx, "GetChatConfiguration", map[string]string{"Name": bots[0].Name}, "", &answer)
		if err == nil {
			err = json.Unmarshal([]byte(answer.ChatConfiguration.Outputs), &outputs)
		}
		if err != nil {
			return notPossible(check, "the address is not known: %s", firstLine(err))
		}
		base, _, _ = strings.Cut(outputs.URL, "/webhook/")
	}
	if base == "" {
		return notPossible(check, "there is no bot, and CHATCONF_WEBHOOK_BASE_URL is not set")
	}
	at := httpClient
	if v.client != nil {
		at = v.client.http
	}
	return examineAddress(ctx, at, strings.TrimRight(base, "/"))
}

// examineAddress calls a URL that no bot has. The service answers it like a wrong token.
func examineAddress(ctx context.Context, c *http.Client, base string) examined {
	const check = "webhook"
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/webhook/0/doctor/doctor/doctor", nil)
	if err != nil {
		return failed(check, "CHATCONF_WEBHOOK_BASE_URL is not a URL")
	}
	response, err := c.Do(request)
	if err != nil {
		return failed(check, "%v", dial.NewError(base+" does not answer", err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64))
	if err != nil || response.StatusCode != http.StatusUnauthorized || string(text) != "unauthorized\n" {
		return failed(check, "%s answers with status %d, and not as the webhook does; set CHATCONF_WEBHOOK_BASE_URL "+
			"to the address of the webhook", base, response.StatusCode)
	}
	u, err := url.Parse(base)
	switch {
	case err == nil && isLoopbackHost(u.Hostname()):
		return notPossible(check, "%s is an address of this machine, which the platforms cannot call; set "+
			"CHATCONF_WEBHOOK_BASE_URL to a public one", base)
	case err == nil && u.Scheme == "http":
		return passed(check, "%s has no TLS, so the token in each URL is sent in clear text", base)
	}
	return passed(check, "%s answers", base)
}

// examineBot checks a bot.
func (v *verb) examineBot(ctx context.Context, name string) (out examined) {
	var answer chat.CheckConfigurationResponse
	err := v.ask(ctx, "CheckChatConfiguration", map[string]string{"Name": name}, "", &answer)
	switch {
	case isForbidden(err):
		out = notPossible("bot", "the access key may not check it; it needs oos:CheckChatConfiguration")
	case isUnknownAction(err):
		out = notPossible("bot", "this service has no CheckChatConfiguration")
	case err != nil:
		out = failed("bot", "%s", firstLine(err))
	default:
		out = examined{Check: "bot", State: answer.Check.State, Steps: answer.Check.Steps}
	}
	out.Name = name
	return out
}

// firstLine returns an error without the lines that a cell of a table has no room for.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// uncheckedText says which step was not checked, and why.
func uncheckedText(s chat.CheckedStep) string {
	if s.Reason == "" {
		return s.Step
	}
	return s.Step + " (" + s.Reason + ")"
}

// printExamined prints what was found as a table: a line for each thing, and one for each failed
// step of a bot.
func (v *verb) printExamined(all []examined) error {
	var rows [][]string
	for _, e := range all {
		if len(e.Steps) == 0 {
			rows = append(rows, []string{strings.TrimSpace(e.Check + " " + e.Name), "", e.State, e.Reason, ""})
			continue
		}
		var unknown []string
		before := len(rows)
		for _, s := range e.Steps {
			if text := uncheckedText(s); s.State == command.FindingNotPossible && !slices.Contains(unknown, text) {
				unknown = append(unknown, text)
			}
			if s.State == command.FindingFailed || v.output == outputWide {
				step := strings.TrimSpace(s.Step + " " + s.ConversationId)
				rows = append(rows, []string{"bot " + e.Name, step, s.State, s.Reason, s.Page})
			}
		}
		if len(rows) == before {
			note := ""
			if len(unknown) > 0 {
				note = "not checked: " + strings.Join(unknown, ", ")
			}
			rows = append(rows, []string{"bot " + e.Name, "", e.State, note, ""})
		}
	}
	header := []string{"CHECK", "STEP", "STATE", "REASON", "PAGE"}
	if !slices.ContainsFunc(rows, func(row []string) bool { return row[1] != "" }) { // no row has a step
		header = []string{"CHECK", "STATE", "REASON"}
		for i, row := range rows {
			rows[i] = []string{row[0], row[2], row[3]}
		}
	}
	return printTable(v.out, header, rows)
}
