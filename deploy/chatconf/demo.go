package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/rpc/sign"
)

func newDemo() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "demo [--data DIR]",
		Short: "Show a bot that runs three kinds of actions, and what is recorded",
		Long: `Start the service with an emulator of Alibaba Cloud's OOS and STS, make a bot with three actions,
send it messages of two people, and print the conversation with the records behind it.

The three actions are an execution of an OOS template, a program, and an HTTPS endpoint. The
output is not prepared: every message is a signed callback to the bot's webhook, and every line is
what the service answered. Only the emulators and the endpoint replace a cloud. The settings in the
environment are ignored.

The data is in a temporary directory, which is removed at the end. With --data it is in an empty
directory that you name, and is kept; the last lines say how to continue with the same bot.`,
		Example: `  chatconf demo
  chatconf demo --data ./demo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			keep := data != ""
			if keep {
				err = emptyDirectory(data)
			} else if data, err = os.MkdirTemp("", "chatconf-demo-"); err == nil {
				defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
			}
			if err != nil {
				return err
			}
			return showDemo(cmd.Context(), cmd.OutOrStdout(), data, keep)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "empty directory for the data, which is kept (default a temporary one)")
	return cmd
}

// emptyDirectory creates a directory, or checks that it is empty.
func emptyDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(path)
	if err == nil && len(there) > 0 {
		return usagef("--data %s is not empty; name a new directory", path)
	}
	return err
}

// Names in the demo.
const (
	demoBot          = "ops"
	demoConversation = "cidexample"
	demoProgram      = "disk"
	demoScript       = "#!/bin/sh\n# Says how full the disk is.\n" +
		`df -P / | awk 'NR == 2 { print $5 " of the disk is used" }'` + "\n"
)

// A demo is a service with a bot, and what is needed to talk to both.
type demo struct {
	out      io.Writer
	data     string
	keep     bool
	settings app.Settings
	emulated *emulators
	echo     *echo
	admin    *client
}

// Format writes a placeholder for every verb.
func (*demo) Format(s fmt.State, _ rune) { io.WriteString(s, "[demo]") }

// showDemo runs the demo on an empty directory.
func showDemo(ctx context.Context, out io.Writer, data string, keep bool) (err error) {
	d := &demo{out: out, data: data, keep: keep}
	if d.settings, err = app.ReadSettings(func(string) string { return "" }); err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(data, "log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := app.NewLogger(logFile)
	d.settings.Log = logFile
	d.settings.Data, d.settings.Addr = data, "127.0.0.1:0"
	d.settings.TargetNetworks = append(d.settings.TargetNetworks, netip.MustParsePrefix("127.0.0.1/32"))
	if d.settings.Programs, err = demoPrograms(data); err != nil {
		return err
	}
	if d.echo, d.settings.Roots, err = openEcho(data, log); err != nil {
		return err
	}
	defer d.echo.Close()
	if d.emulated, err = openEmulators(ctx, []string{emulateOOS, emulateSTS}, d.settings, log); err != nil {
		return err
	}
	defer d.emulated.close()
	return d.serve(ctx, log)
}

// demoPrograms writes the program of the demo, and returns its folder.
func demoPrograms(data string) (string, error) {
	folder := filepath.Join(data, "programs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, demoProgram), []byte(demoScript), 0o700)
}

// serve serves the service as long as the demo is played.
func (d *demo) serve(ctx context.Context, log *slog.Logger) error {
	role, closed, err := localRole(&d.settings, "", d.emulated, nil, new(localConsole))
	if err != nil {
		return err
	}
	defer closed()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	played := make(chan error, 1)
	err = app.ServeLocal(ctx, d.settings, func(s app.Started) {
		go func() {
			defer cancel()
			played <- d.play(ctx, s)
		}()
	}, role)
	select {
	case failed := <-played:
		return errors.Join(failed, err)
	default:
		return err // it did not start
	}
}

// play makes the bot and sends the messages.
func (d *demo) play(ctx context.Context, s app.Started) error {
	key, err := localKey(d.data)
	if err != nil {
		return err
	}
	d.admin = &client{endpoint: s.Endpoint, key: key, http: httpClient}
	d.introduce(s.Endpoint)
	for _, scene := range []func(context.Context) error{
		d.make, d.restart, d.program, d.endpoint, d.refusals, d.passRole,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	if d.keep {
		program, _ := self()
		data := shellQuote(d.data)
		fmt.Fprintf(d.out, `
To continue with this bot, start the service again, and talk to the bot from another shell:

  %[1]s serve --data %[2]s --emulate oos,sts --programs %[3]s
  %[1]s send --data %[2]s --wait 10s %[4]s --user alice "restart i-123"
  %[1]s log --data %[2]s %[4]s

The endpoint of echo ended with this demo.
`, program, data, shellQuote(d.settings.Programs), demoBot)
	}
	return nil
}

// bot returns the Configuration of the bot.
func (d *demo) bot() string {
	return `{"DingTalkClientId":"dingexample", "DingTalkClientSecret":"not-a-real-secret", "StrictActions":"true",
 "UserGroups":{"sre":["alice"]},
 "Actions":{
  "restart":{"Summary":"restart an instance", "Aliases":["重启"],
   "Parameters":[
    {"Name":"instance","Required":true,"Pattern":"i-[a-z0-9]{1,20}"},
    {"Name":"env","Type":"Enum","Values":["test","staging","prod"],"Default":"test"}],
   "Target":{"Type":"Oos","TemplateName":"restart-instance",
    "Parameters":{"InstanceId":"{instance}","OOSAssumeRole":"` + emulatedSteps + `"}},
   "RamRole":"` + emulatedRole + `"},
  "disk":{"Summary":"how full the disk is", "Target":{"Type":"Program","Name":"` + demoProgram + `"}},
  "echo":{"Summary":"what an endpoint receives", "Parameters":[{"Name":"text","Required":true}],
   "Target":{"Type":"Http","Url":"` + d.echo.url + `","Secret":"` + d.echo.secret.Reveal() + `"}}},
 "Permissions":[
  {"Effect":"Allow","Principals":["group:sre"],"Commands":["restart"],"Parameters":{"env":["test","staging"]}},
  {"Effect":"Allow","Principals":["*"],"Commands":["disk","echo"]}]}`
}

// introduce prints the address of the service, and the bot with its actions.
func (d *demo) introduce(endpoint string) {
	where := "in " + d.data + ", removed at the end"
	if d.keep {
		where = "in " + d.data
	}
	fmt.Fprintf(d.out, `The service listens on %s. Its data is %s.

The bot %q in DingTalk has three actions:

  restart   an execution of an OOS template (emulated), under the role %s
  disk      a program of this machine
  echo      an HTTPS endpoint, which is in this process

alice is in the group sre, which may restart, but not with env=prod. Everyone may run the others.
`, endpoint, where, demoBot, emulatedRole)
}

// make makes the bot.
func (d *demo) make(ctx context.Context) error {
	return d.admin.ask(ctx, "CreateChatConfiguration", map[string]string{
		"Name": demoBot, "Type": "DingTalk", "Configuration": d.bot()}, "", nil)
}

// send sends a message as DingTalk would, and waits for a late answer for some seconds.
func (d *demo) send(ctx context.Context, user, text string, wait int64) (*sendResponse, error) {
	in := sendRequest{Name: demoBot, UserID: user, ConversationID: demoConversation, WaitSeconds: &wait}
	params := in.params()
	params["Text"] = text
	sent := new(sendResponse)
	if err := d.admin.ask(ctx, sendAction, params, "", sent); err != nil {
		return nil, err
	}
	return sent, sent.refusal()
}

// say prints what a person says.
func (d *demo) say(user, text string) { fmt.Fprintf(d.out, "\n%s: %s\n", user, text) }

// hear prints what the bot says; nothing if it is empty.
func (d *demo) hear(text string) {
	if text != "" {
		fmt.Fprintf(d.out, "  %s: %s\n", demoBot, strings.ReplaceAll(printable(text), "\n", "\n       "))
	}
}

// converse sends a message and prints the conversation, and the record.
func (d *demo) converse(ctx context.Context, user, text string) error {
	d.say(user, text)
	sent, err := d.send(ctx, user, text, int64(maxWait/time.Second))
	if err != nil {
		return err
	}
	d.hear(sent.Answer.Text)
	d.hear(sent.Later)
	return d.record(ctx, sent.CommandId)
}

// find returns the record of a command; nil if none.
func (d *demo) find(ctx context.Context, match func(*chat.ChatCommand) bool) (*chat.ChatCommand, error) {
	var answer chat.ListCommandsResponse
	err := d.admin.ask(ctx, "ListChatCommands", map[string]string{"Name": demoBot}, "", &answer)
	if err != nil {
		return nil, err
	}
	for i := range answer.ChatCommands {
		if match(&answer.ChatCommands[i]) {
			return &answer.ChatCommands[i], nil
		}
	}
	return nil, nil
}

// record prints the record of a command.
func (d *demo) record(ctx context.Context, id string) error {
	r, err := d.find(ctx, func(r *chat.ChatCommand) bool { return r.Id == id })
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("there is no record %q", id)
	}
	line := func(name, format string, args ...any) {
		text := printable(fmt.Sprintf(format, args...))
		fmt.Fprintf(d.out, "    %-10s %s\n", name, strings.ReplaceAll(text, "\n", "\n               "))
	}
	line("record", "%s", r.Id)
	line(strings.ToLower(r.Decision), "%s", r.Reason)
	if r.Target != "" {
		line("target", "%s", r.Target)
	}
	if r.RamRole != "" {
		line("role", "%s, in the session %s", r.RamRole, r.SessionName)
	}
	if r.ExecutionId != "" {
		line("execution", "%s", r.ExecutionId)
	}
	if r.State != "" {
		took := ""
		if r.Duration != nil {
			took = fmt.Sprintf(" after %d ms", *r.Duration)
		}
		line("state", "%s%s", r.State, took)
	}
	return nil
}

// restart shows an operation from its start to its end.
func (d *demo) restart(ctx context.Context) error {
	type result struct {
		sent *sendResponse
		err  error
	}
	const user, text = "alice", "restart i-123"
	ended := make(chan result, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		sent, err := d.send(ctx, user, text, int64(maxWait/time.Second))
		ended <- result{sent, err}
	}()
	d.say(user, text)
	running, err := d.running(ctx)
	if err != nil {
		return err
	}
	asked, err := d.send(ctx, user, command.Status, 0)
	if err != nil {
		return err
	}
	after := <-ended
	if after.err != nil {
		return after.err
	}
	d.hear(after.sent.Answer.Text)
	d.say(user, command.Status)
	d.hear(asked.Answer.Text)
	fmt.Fprintln(d.out)
	d.hear(after.sent.Later)
	if after.sent.CommandId != running.Id {
		return fmt.Errorf("the record is %q, and was %q", after.sent.CommandId, running.Id)
	}
	return d.record(ctx, running.Id)
}

// running waits for the record of an operation that is running, for at most 30 seconds.
func (d *demo) running(ctx context.Context) (*chat.ChatCommand, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		r, err := d.find(ctx, func(r *chat.ChatCommand) bool {
			return r.State != "" && r.State != journal.StateAccepted
		})
		if r != nil || err != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the operation did not start")
		case <-time.After(pause):
		}
	}
}

func (d *demo) program(ctx context.Context) error { return d.converse(ctx, "alice", "disk") }

func (d *demo) endpoint(ctx context.Context) error {
	return d.converse(ctx, "bob", "echo 'hello world'")
}

// refusals shows commands that do not run.
func (d *demo) refusals(ctx context.Context) error {
	for _, m := range [][2]string{
		{"bob", "restart i-123"}, // another person
		{"alice", "restart i-123 env=prod"},
		{"alice", "restart i-123 env=stagin"},
	} {
		if err := d.converse(ctx, m[0], m[1]); err != nil {
			return err
		}
	}
	return nil
}

// passRole shows that saving a role needs the permission to pass it.
func (d *demo) passRole(ctx context.Context) error {
	const rights = `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*",
		"Action":["oos:GetChatConfiguration","oos:UpdateChatConfiguration"]}]}`
	var key struct {
		AccessKey struct{ AccessKeyId, AccessKeySecret string }
	}
	if err := d.admin.ask(ctx, "CreateAccessKey", map[string]string{"Name": "carol", "PolicyDocument": rights}, "",
		&key); err != nil {
		return err
	}
	carol := &client{endpoint: d.admin.endpoint, http: httpClient, key: credential{sign.Key{
		ID: key.AccessKey.AccessKeyId, Secret: key.AccessKey.AccessKeySecret}, "CreateAccessKey"}}
	bot := strings.Replace(d.bot(), `"`+emulatedRole+`"`, `"AdministratorRole"`, 1)
	fmt.Fprintln(d.out, "\ncarol may update the bot, but pass no role. She saves restart with another RamRole:")
	err := carol.ask(ctx, "UpdateChatConfiguration", map[string]string{"Name": demoBot, "Configuration": bot}, "", nil)
	var refused *refusedError
	if !errors.As(err, &refused) {
		return fmt.Errorf("the change was not refused: %w", err)
	}
	first, _, _ := strings.Cut(refused.text, "\n")
	fmt.Fprintf(d.out, "    %s\n", printable(first))
	return nil
}
