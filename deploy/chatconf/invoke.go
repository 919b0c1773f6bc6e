package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/emulator/localcloud"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// asHTTP is the shape of an invocation by an HTTP request.
const asHTTP = "http"

// shapes are the ways to invoke a function.
var shapes = []string{
	asHTTP, string(runtime.Direct), string(runtime.SQS), string(runtime.MNS),
	string(runtime.CloudEvent), string(runtime.Timer),
}

// An invocation holds the flags of invoke.
type invocation struct {
	function, target, dist, data string
	event, as, id                string
	zip, kind                    string
	env                          []string
	initializer, preStop         bool
	memory                       int
	timeout                      seconds
	output                       string
}

// seconds is a duration in flags: a number of seconds, as in the clouds' settings, or a number with
// a unit.
type seconds time.Duration

// String returns the duration with a unit, or an empty string for zero.
func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Set reads the value of a flag.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d <= 0 {
		return errors.New("write seconds, such as 5, or a number with a unit, such as 500ms")
	}
	*s = seconds(d)
	return nil
}

// Type returns the name of the value in help.
func (*seconds) Type() string { return "seconds" }

func newInvoke() *cobra.Command {
	var in invocation
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Invoke a built function once, as its cloud does",
		Long: `Invoke one function of 'make build' in --dist once, as it is deployed, under the runtime of its
cloud. Its store is that of 'chatconf serve --target …' on the same data directory; stop 'chatconf
serve --target fc' first. The answer goes to standard output. The function's output, and the report
of duration and memory, go to standard error.

The event holds the parameters of the action as JSON. It is --event FILE (- for standard input),
else functions/FUNCTION/event.json, else {}. --as selects how it is delivered:
  direct      the event itself
  http        a request that is signed with the local administrator's key
  sqs         a message of SQS (lambda); a list of events is one batch
  mns         a message of MNS (fc); a list of events is one batch
  cloudevent  a CloudEvent
  timer       a timer's event
--id is the id of the message; a second message with the same id is a redelivery.

--zip runs your own function, without a store: its zip file, its folder, or the program itself.
--env sets its environment, and --initializer and --pre-stop call its hooks on fc. The event is JSON
on lambda, and any bytes on fc. --as http sends it as the body of an unsigned POST request; a
function started by fc.StartHttp is always called this way.

--memory and --timeout are the settings that the function is given. It is killed at the timeout. Its
memory is reported, and not limited.

Exit codes: 0 the function answered; 1 it failed, refused the event, or answered with an HTTP status
of 400 or more; 2 the command line is invalid.`,
		Example: `  chatconf invoke get-chat-configuration
  chatconf invoke create-chat-configuration --as mns --id message-1
  echo '[{"Name":"ops"},{"Name":"dev"}]' |
    chatconf invoke delete-chat-configuration --target lambda --as sqs --event -
  chatconf invoke hello --zip hello.zip --kind lambda --event event.json
  chatconf invoke hello --zip main --kind fc --initializer --memory 512 --timeout 5`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.function = args[0]
			return in.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.target, "target", targetFC, "cloud of the function: fc or lambda")
	distFlag(cmd, &in.dist)
	dataFlag(cmd, &in.data)
	flags.StringVar(&in.event, "event", "",
		"file with the event, - for standard input (default functions/FUNCTION/event.json)")
	flags.StringVar(&in.as, "as", "",
		"how to deliver the event: "+strings.Join(shapes, ", ")+" (default direct; http for fc.StartHttp)")
	flags.StringVar(&in.id, "id", "", "id of the message (default generated)")
	flags.StringVar(&in.zip, "zip", "", "your own function: its zip file, folder or program")
	flags.StringVar(&in.kind, "kind", "", "runtime for --zip: fc or lambda")
	flags.StringArrayVar(&in.env, "env", nil, "NAME=VALUE for the environment of --zip; may be repeated")
	flags.BoolVar(&in.initializer, "initializer", false, "call the initializer of --zip before the event (fc)")
	flags.BoolVar(&in.preStop, "pre-stop", false, "call the pre-stop hook of --zip at the end (fc)")
	flags.IntVar(&in.memory, "memory", 0, "memory in MB (default 128 with --zip, else 256)")
	flags.Var(&in.timeout, "timeout",
		"timeout in seconds, or with a unit (default 60 with --zip, else as deployed)")
	flags.StringVarP(&in.output, "output", "o", "",
		"format of the output: json is one object with answer, duration and log")
	cmd.MarkFlagsRequiredTogether("zip", "kind")
	cmd.MarkFlagsMutuallyExclusive("zip", "target")
	return cmd
}

// An outcome is the result of an invocation, as -o json prints it.
type outcome struct {
	Function  string
	RequestId string
	Status    int             `json:",omitempty"` // of HTTP
	Failure   string          `json:",omitempty"` // why there is no answer
	Answer    json.RawMessage // a string if it is not JSON
	Duration  float64         // in milliseconds, from the report
	Report    string
	Log       []string

	answer []byte
}

func (in *invocation) run(cmd *cobra.Command) (err error) {
	switch {
	case in.as != "" && !slices.Contains(shapes, in.as):
		return usagef("unknown --as %q; use %s", in.as, strings.Join(shapes, ", "))
	case in.output != "" && in.output != "json":
		return usagef("unknown -o %q; use json", in.output)
	case in.memory < 0:
		return usagef("--memory %d is negative; write MB, such as 512", in.memory)
	case in.zip == "" && (in.initializer || in.preStop):
		return usagef("--initializer and --pre-stop need --zip; " +
			"the hooks of chatconf's functions are always called on fc")
	case in.zip == "" && len(in.env) > 0:
		return usagef("--env needs --zip; chatconf's functions read the settings in the environment, " +
			"as 'chatconf serve' does")
	}
	event, err := in.readEvent(cmd.InOrStdin())
	if err != nil {
		return err
	}
	var lines []runtime.Line
	log := func(l runtime.Line) { lines = append(lines, l) }
	if in.output == "" {
		write := runtime.WriteLines(cmd.ErrOrStderr())
		log = func(l runtime.Line) {
			lines = append(lines, l)
			write(l)
		}
	}
	out, err := in.on(cmd.Context(), event, log)
	if err != nil {
		return err
	}
	out.take(lines)
	if err := in.print(cmd.OutOrStdout(), out); err != nil {
		return err
	}
	refused := out.refusal(in.zip == "")
	switch {
	case out.Failure != "":
		return fmt.Errorf("%s failed: %s", in.function, out.why())
	case out.Status >= http.StatusBadRequest:
		return fmt.Errorf("%s answered with status %d", in.function, out.Status)
	case refused != "":
		return fmt.Errorf("%s refused: %s", in.function, refused)
	}
	return nil
}

// why returns why there is no answer, with the message of the cloud's error document if there is
// one.
func (o *outcome) why() string {
	var document struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(o.answer, &document); err != nil || document.Message == "" {
		return o.Failure
	}
	return o.Failure + ": " + document.Message
}

// refusal returns the error in an answer, empty if the whole event was processed. Only functions of
// chatconf answer with errors of actions.
func (o *outcome) refusal(ours bool) string {
	var batch struct {
		Failures []json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(o.answer, &batch); err == nil && len(batch.Failures) > 0 {
		return fmt.Sprintf("%d message(s) must be delivered again", len(batch.Failures))
	}
	if !ours {
		return ""
	}
	var list []struct {
		Id     string
		Answer json.RawMessage
	}
	if err := json.Unmarshal(o.answer, &list); err != nil {
		return faultIn(o.answer)
	}
	for _, m := range list {
		if fault := faultIn(m.Answer); fault != "" {
			return fmt.Sprintf("message %s: %s", m.Id, fault)
		}
	}
	return ""
}

// faultIn returns the code and the message of an error envelope, and an empty string for any other
// answer.
func faultIn(answer []byte) string {
	var envelope struct{ RequestId, Code, Message string }
	if err := json.Unmarshal(answer, &envelope); err != nil || envelope.RequestId == "" || envelope.Code == "" ||
		envelope.Message == "" {
		return ""
	}
	return envelope.Code + ": " + envelope.Message
}

// readEvent returns the event. Only some ways of delivery require JSON.
func (in *invocation) readEvent(stdin io.Reader) ([]byte, error) {
	path := in.event
	if path == "" {
		path = filepath.Join("functions", filepath.Base(in.function), "event.json")
	}
	event, err := readFileOrStdin(path, stdin)
	switch {
	case in.event == "" && errors.Is(err, fs.ErrNotExist):
		return []byte("{}"), nil
	case err != nil:
		return nil, usagef("--event: %w", err)
	}
	return event, nil
}

// on invokes the function on a host of its own, and closes the host.
func (in *invocation) on(ctx context.Context, event []byte, log func(runtime.Line)) (_ *outcome, err error) {
	if in.zip != "" {
		f, err := in.own()
		if err != nil {
			return nil, err
		}
		c := localcloud.New(localcloud.Options{Log: log})
		defer func() { err = errors.Join(err, c.Close()) }()
		c.Add(f)
		if err := c.Prepare(f.Name); err != nil {
			return nil, usagef("--zip: %w", err)
		}
		return in.invoke(ctx, c.Host(), event, sign.Key{})
	}
	settings, err := localSettings(in.data)
	if err != nil {
		return nil, err
	}
	if settings.WebhookBaseURL == "" {
		endpoint, _ := app.ReadEndpoint(settings.Data) // where the service last ran
		settings.WebhookBaseURL = cmp.Or(endpoint, "http://"+settings.Addr)
	}
	d, err := openDeployment(ctx, deploymentOptions{
		target: in.target, dist: in.dist, only: in.function, settings: settings, getenv: os.Getenv, log: log,
		logger: slog.New(slog.DiscardHandler),
		memory: in.memory, timeout: time.Duration(in.timeout),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Prepare(in.function); err != nil {
		return nil, err
	}
	var key sign.Key
	if in.as == asHTTP {
		own, err := localKey(settings.Data)
		if err != nil {
			return nil, fmt.Errorf("read the access key to sign the request: %w", err)
		}
		key = own.Key
	}
	return in.invoke(ctx, d.Host(), event, key)
}

// own returns the user's own function as the flags describe it.
func (in *invocation) own() (runtime.Function, error) {
	kind, err := runtime.ParseKind(in.kind)
	if err != nil {
		return runtime.Function{}, usagef("unknown --kind %q; use %s or %s", in.kind, targetFC, targetLambda)
	}
	f := runtime.Function{
		Name: in.function, Kind: kind, Timeout: cmp.Or(time.Duration(in.timeout), time.Minute), Memory: in.memory,
		Env:         map[string]string{},
		Initializer: in.initializer, PreStop: in.preStop,
		Credentials: runtime.Credentials{AccessKeyID: "AKIDEXAMPLE", AccessKeySecret: "not-a-real-secret"},
	}
	for _, setting := range in.env {
		name, value, ok := strings.Cut(setting, "=")
		if !ok || name == "" { // not shown: it may be a secret without its name
			return runtime.Function{}, usagef("--env has a value without a name; write NAME=VALUE")
		}
		f.Env[name] = value
	}
	if info, err := os.Stat(in.zip); err == nil && info.IsDir() {
		f.Dir = in.zip
		return f, nil
	}
	r, err := zip.OpenReader(in.zip)
	switch {
	case errors.Is(err, zip.ErrFormat):
		f.Dir, f.Binary = filepath.Dir(in.zip), filepath.Base(in.zip)
		return f, nil
	case err != nil:
		return runtime.Function{}, usagef("--zip: %w", err)
	}
	f.Zip = in.zip
	return f, r.Close()
}

// invoke delivers the event in the selected way.
func (in *invocation) invoke(ctx context.Context, host *runtime.Host, event []byte, key sign.Key) (*outcome, error) {
	if in.as == asHTTP || in.as == "" && host.IsHTTP(in.function) {
		return in.request(ctx, host, event, key)
	}
	shape := runtime.Shape(cmp.Or(in.as, string(runtime.Direct)))
	messages, err := in.messages(event)
	if err != nil {
		return nil, err
	}
	payload, err := host.Event(in.function, shape, messages...)
	if err != nil {
		return nil, &usageError{err}
	}
	request := runtime.Request{Payload: payload}
	if shape == runtime.Direct {
		request.RequestID = in.id
	}
	result, err := host.Invoke(ctx, in.function, request)
	if err != nil {
		return nil, err
	}
	if in.as == "" && host.IsHTTP(in.function) { // the function has just announced it, before its handler was called
		return in.request(ctx, host, event, key)
	}
	return &outcome{Function: in.function, RequestId: result.RequestID, Failure: string(result.Failure),
		answer: result.Payload}, nil
}

// messages returns the event as messages: one for each element if it is a list for a batch.
func (in *invocation) messages(event []byte) ([]runtime.Message, error) {
	batch := in.as == string(runtime.SQS) || in.as == string(runtime.MNS)
	if !batch || !bytes.HasPrefix(bytes.TrimSpace(event), []byte("[")) {
		return []runtime.Message{{ID: in.id, Body: event}}, nil
	}
	var events []json.RawMessage
	if err := json.Unmarshal(event, &events); err != nil {
		return nil, usagef("--event: %w", err)
	}
	messages := make([]runtime.Message, len(events))
	for i, e := range events {
		messages[i].Body = e
		if in.id != "" {
			messages[i].ID = in.id + "-" + strconv.Itoa(i+1)
		}
	}
	return messages, nil
}

// request sends the event as an HTTP request, signed if the key is not empty.
func (in *invocation) request(ctx context.Context, host *runtime.Host, event []byte, key sign.Key) (*outcome, error) {
	action := ""
	if key.ID != "" {
		var err error
		if action, event, err = in.action(event); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/", bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "127.0.0.1:0"
	kind := "application/json"
	if !json.Valid(event) {
		kind = http.DetectContentType(event)
	}
	r.Header.Set("Content-Type", kind)
	if key.ID != "" {
		r.Header.Set("X-Acs-Action", action)
		r.Header.Set("X-Acs-Version", rpc.Version)
		if err := key.SignACS3(r, event, time.Now(), cmp.Or(in.id, invoke.NewRequestID())); err != nil {
			return nil, err
		}
	}
	w := httptest.NewRecorder()
	host.HTTP(in.function).ServeHTTP(w, r)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &outcome{
		Function:  in.function,
		RequestId: cmp.Or(w.Header().Get("X-Fc-Request-Id"), w.Header().Get("X-Amzn-Requestid")),
		Status:    w.Code,
		answer:    w.Body.Bytes(),
	}, nil
}

// action returns the action of an event, and the event's other members. A request has the action in
// its headers.
func (in *invocation) action(event []byte) (name string, parameters []byte, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		return "", nil, usagef("--event: write a JSON object of parameters: %w", err)
	}
	for _, a := range slices.Concat(rpc.Actions(), rpc.ResealActions()) {
		if functionOf(a.Name) == in.function {
			name = a.Name
		}
	}
	if text, ok := members["Action"]; ok {
		if err := json.Unmarshal(text, &name); err != nil {
			return "", nil, usagef("--event: Action: %w", err)
		}
	}
	if name == "" {
		return "", nil, usagef("--event: Action is missing; %s serves several actions", in.function)
	}
	delete(members, "Action")
	delete(members, "Version")
	parameters, err = json.Marshal(members)
	return name, parameters, err
}

// functionOf returns the name of an action's function: get-chat-configuration for
// GetChatConfiguration.
func functionOf(action string) string {
	if action == rpc.ResealActions()[0].Name {
		return resealFunction
	}
	var b strings.Builder
	for i, c := range action {
		if i > 0 && 'A' <= c && c <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// duration matches the duration in the report of either cloud.
var duration = regexp.MustCompile(`\bDuration: ([0-9.]+) ms`)

// take sets the report, the duration and the log from the logged lines.
func (o *outcome) take(lines []runtime.Line) {
	o.Log = []string{}
	for _, l := range lines {
		m := duration.FindStringSubmatch(l.Text)
		switch {
		case l.Stream == runtime.Platform && m != nil && (l.RequestID == o.RequestId || o.RequestId == ""):
			o.Report = l.Text
			o.Duration, _ = strconv.ParseFloat(m[1], 64) // what matched is a number
		case l.Stream != runtime.Platform:
			o.Log = append(o.Log, l.Text)
		}
	}
}

// print writes the answer, or the whole outcome as JSON.
func (in *invocation) print(w io.Writer, o *outcome) error {
	if in.output == "" {
		_, err := w.Write(append(bytes.TrimRight(o.answer, "\n"), '\n'))
		return err
	}
	o.Answer = o.answer
	if !json.Valid(o.answer) {
		o.Answer, _ = json.Marshal(string(o.answer)) // a string: it cannot fail
	}
	return printJSON(w, o)
}
