package e2e_test

import (
	"archive/zip"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ways are the ways that a command can go. Every target has a cell for each, or a reason why it
// cannot have one.
var ways = []string{"accepted", "runs", "succeeds", "fails", "cancelled", "times-out", "unknown",
	"refused",   // the role may not be assumed
	"denied",    // the target refuses
	"throttled", // the target, or the service for roles, is called too often
}

// absent is the way of a command for a target that a service does not have.
const absent = "absent"

// A cell is a command that goes one way, and what becomes of it.
type cell struct {
	target  object // of its action
	timeout int    // its TimeoutSeconds; 0: none
	role    string // its RamRole; empty: that of the stage
	after   string // the way of the command that must be Running before this one is said
	cancel  bool   // the sender cancels it once it runs
	crash   bool   // the service is killed while it runs

	state, outcome string
	execution      string // the form of ExecutionId; empty: none
	session        bool   // it was started in a session of the role
	seenRunning    bool   // it is Running on the way to its end
	detail         string // Detail has it
	says           string // the last answer has it; empty: the first answer is the only one
}

// wantedTargets are the targets of every run.
var wantedTargets = []string{"Journal", "Http", "Function", "Oos", "Ssm", "StepFunctions", "Program"}

// A row has the cells of one target by their way. A string in place of a cell is the reason why
// the target cannot have one.
type row map[string]any

// A stage is a service with a cloud around it, and the targets that commands go to.
type stage struct {
	name string
	command
	role   string // of commands
	rows   map[string]row
	ends   func()          // checks what was asked of the cloud
	secret func() []string // the credentials that the cloud has issued
}

// planted is the secret parameter of every command. Every target tells it, and nobody may read it.
const planted = "planted-token-of-the-matrix"

// Reasons.
const (
	onlyRecords = "the record is all"
	onlyAnswers = "the operation has ended when the target answers"
	onlyRuns    = "an operation that was started runs"
	noRole      = "the target runs under no role"
	inAnother   = "another service of the one process has it"
)

// undelivered returns a command that is not started.
func undelivered(target object, detail string) cell {
	return cell{target: target, state: "Failed", outcome: "Failed", detail: detail, says: "could not be delivered"}
}

// retried returns a command that is tried again later.
func retried(target object, detail string) cell {
	return cell{target: target, state: "Accepted", outcome: "Pending", detail: detail}
}

// started returns a command with an operation.
func started(target object, execution, state, says string) cell {
	return cell{target: target, state: state, outcome: "Delivered", execution: execution, says: says}
}

// running returns a command whose operation goes on.
func running(target object, execution string) cell {
	c := started(target, execution, "Running", "")
	c.outcome = "Pending"
	return c
}

// The ways in which a cell differs from what its constructor makes.
func (c cell) as(role string) cell        { c.role = role; return c }
func (c cell) because(detail string) cell { c.detail = detail; return c }
func (c cell) within(seconds int) cell    { c.timeout = seconds; return c }
func (c cell) following(way string) cell  { c.after = way; return c }
func (c cell) inSession() cell            { c.session = true; return c }
func (c cell) seenToRun() cell            { c.session, c.seenRunning = true, true; return c }
func (c cell) byCancel() cell             { c.cancel = true; return c }
func (c cell) byCrash() cell              { c.crash = true; return c }

// told is how people read what a target tells.
func told(way string) string { return way + " says ******" }

// missing is the row of a target that a service does not have.
func missing(target object, why string) row { return row{absent: undelivered(target, why)} }

// missingIn is missing for a cloud without targets of a type.
func missingIn(target object) row {
	return missing(target, fmt.Sprintf("the cloud of this service has no targets of type %s", target["Type"]))
}

func journalRow() row {
	r := row{"accepted": cell{target: object{"Type": "Journal"}, state: "Accepted", outcome: "Recorded"}}
	for _, way := range ways[1:] {
		r[way] = onlyRecords
	}
	return r
}

func httpRow(o *outside) row {
	hook := func(way string, answer func(n int64) (int, string)) object {
		var n atomic.Int64
		return o.hook("/matrix/"+way, func(*http.Request, []byte) (int, string) { return answer(n.Add(1)) })
	}
	answers := func(status int, text string) func(int64) (int, string) {
		return func(int64) (int, string) { return status, jsonText(object{"text": text}) }
	}
	delivered := func(target object, state, says string) cell { return started(target, "", state, says) }
	unknown := hook("unknown", func(n int64) (int, string) {
		if n == 1 {
			panic(http.ErrAbortHandler) // it has the event, and its answer is lost
		}
		return http.StatusForbidden, ""
	})
	return row{
		"accepted":  delivered(hook("accepted", answers(202, "")), "Accepted", ""),
		"runs":      onlyAnswers,
		"succeeds":  delivered(hook("succeeds", answers(200, "succeeds says "+planted)), "Succeeded", told("succeeds")),
		"fails":     undelivered(hook("fails", answers(410, "")), "the endpoint answered 410"),
		"cancelled": onlyAnswers,
		"times-out": onlyAnswers,
		"unknown": cell{target: unknown, state: "Unknown", outcome: "Failed", detail: "the endpoint answered 403",
			says: "It is not known how unknown ended"},
		"refused":   noRole,
		"denied":    undelivered(hook("denied", answers(401, "")), "the endpoint answered 401"),
		"throttled": retried(hook("throttled", answers(429, "")), "the endpoint answered 429"),
	}
}

func program(name string) object { return object{"Type": "Program", "Name": name} }

// programExecution is a process and the time of its start.
const programExecution = `[0-9]+\.[0-9]+`

// programRow writes programs to a folder.
func programRow(t *testing.T, dir string) row {
	t.Helper()
	const read = `token=$(sed 's/.*"token":"\([^"]*\)".*/\1/')` + "\n"
	for name, script := range map[string]string{"runs": "exec sleep 300", "denied": "echo denied",
		"succeeds": read + `echo "succeeds says $token"`, "fails": read + `echo "fails says $token"; exit 3`} {
		path := filepath.Join(dir, name)
		err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755)
		if err == nil && name == "denied" {
			err = os.Chmod(path, 0o777)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	runs := func(state, says string) cell { return started(program("runs"), programExecution, state, says) }
	return row{
		"accepted": onlyRuns,
		"runs":     running(program("runs"), programExecution),
		"succeeds": started(program("succeeds"), programExecution, "Succeeded", told("succeeds")),
		"fails": started(program("fails"), programExecution, "Failed", "fails failed.\n"+told("fails")).
			because("it ended with the exit code 3"),
		"cancelled": runs("Cancelled", "cancelled was cancelled.").byCancel(),
		"times-out": runs("TimedOut", "times-out took too long and was stopped.").
			within(3),
		"unknown": runs("Unknown", "It is not known how unknown ended").byCrash().
			because("the service stopped while the program was running"),
		"refused":   noRole,
		"denied":    undelivered(program("denied"), "the program is writable by its group or by others"),
		"throttled": inAnother,
	}
}

// The roles of the emulated account.
const (
	operatorRole = "chatconf-operator"
	stepsRole    = "chatconf-steps"
	invokerRole  = "chatconf-invoker"
	noSuchRole   = "chatconf-nobody"
)

func template(name string) object {
	return object{"Type": "Oos", "TemplateName": name, "Parameters": object{}} // the templates take no token
}

// oosRow has the templates of the emulator, whose executions end with the service.
func oosRow() row {
	restart := func(steps string) object {
		return object{"Type": "Oos", "TemplateName": "restart-instance",
			"Parameters": object{"InstanceId": "{token}", "OOSAssumeRole": steps}}
	}
	of := func(target object, state, says string) cell {
		return started(target, `exec-[0-9a-z]+`, state, says).seenToRun()
	}
	return row{
		"accepted":  onlyRuns,
		"runs":      running(template("slow"), `exec-[0-9a-z]+`).inSession(),
		"succeeds":  of(restart(stepsRole), "Succeeded", "succeeds succeeded.\n****** has been restarted"),
		"fails":     of(template("fails"), "Failed", "fails failed.\ncheck: the disk is full"),
		"cancelled": of(template("slow"), "Cancelled", "cancelled was cancelled.").byCancel(),
		"times-out": of(template("slow"), "TimedOut", "times-out took too long and was stopped.").
			within(3),
		"unknown": of(template("slow"), "Unknown", "It is not known how unknown ended").byCrash().
			because("OOS does not know the execution, or no longer"),
		"refused": undelivered(template("slow"), notAssumed(noSuchRole)+"there is no such role").as(noSuchRole),
		"denied": undelivered(restart(operatorRole), `the role "chatconf-operator" was denied by OOS`).
			inSession(),
		"throttled": inAnother,
	}
}

// notAssumed is how Detail begins for a role that is refused.
func notAssumed(role string) string { return fmt.Sprintf("the role %q could not be assumed: ", role) }

// awsRole is the role in AWS. With a way at its end it is refused.
const awsRole = "chatconf-operator"

// awsRow has the ways of Ssm and StepFunctions in an awsCloud.
func awsRow(target func(name string) object, service, execution string) row {
	of := func(name, state, says string) cell {
		return started(target(name), execution, state, says).seenToRun()
	}
	return row{
		"accepted":  onlyRuns,
		"runs":      running(target("runs"), execution).inSession(),
		"succeeds":  of("succeeds", "Succeeded", "succeeds succeeded.\n"+told("succeeds")),
		"fails":     of("fails", "Failed", told("fails")).because(told("fails")),
		"cancelled": of("runs", "Cancelled", "cancelled was cancelled.").byCancel(),
		"times-out": of("times-out", "TimedOut", "times-out took too long and was stopped."),
		"stopped":   of("runs", "TimedOut", "stopped took too long and was stopped.").within(3),
		"unknown": of("forgotten", "Unknown", "It is not known how unknown ended").
			because(service + " does not know the execution, or no longer"),
		"refused": undelivered(target("runs"), notAssumed(awsRole+"-refused")+"access was denied").
			as(awsRole + "-refused"),
		"denied": undelivered(target("refused"), `the role "chatconf-operator" was denied by `+service).
			inSession(),
		"throttled": retried(target("throttled"), service+" is throttled").inSession(),
	}
}

func runbook(name string) object {
	return object{"Type": "Ssm", "DocumentName": name, "Parameters": object{"Token": "{token}"}}
}

func stateMachine(name string) object {
	return object{"Type": "StepFunctions", "Parameters": object{"Token": "{token}"},
		"StateMachineArn": "arn:aws:states:eu-central-1:" + awsAccount + ":stateMachine:" + name}
}

// The forms of ExecutionId in AWS. An execution of a state machine has the id of the record.
const (
	runbookExecution = `[0-9A-Z]+`
	machineExecution = `arn:aws:states:eu-central-1:` + awsAccount + `:execution:[a-z-]+:RECORD`
)

func function(name string) object { return object{"Type": "Function", "Name": name} }

// functionRow has the ways of Function. more are those that differ between clouds.
func functionRow(role, service string, more row) row {
	r := row{
		"accepted":  "see fails",
		"runs":      onlyAnswers,
		"succeeds":  started(function("say"), "", "Succeeded", told("succeeds")).inSession(),
		"fails":     retried(function("say"), `the function "say" failed: `+told("fails")).inSession(),
		"cancelled": onlyAnswers,
		"times-out": onlyAnswers,
		"unknown":   "it takes five attempts, which is a quarter of an hour",
		"nothing":   undelivered(function("nothing"), service+` has no function "nothing"`).inSession(),
	}
	for way, c := range r {
		if c, ok := c.(cell); ok {
			c.role = role
			r[way] = c
		}
	}
	maps.Copy(r, more)
	return r
}

// nothing are the credentials that a cloud has issued and does not tell.
func nothing() []string { return nil }

// with returns the command of a service on a new data directory.
func with(t *testing.T, o *outside, arguments []string, env ...string) command {
	t.Helper()
	c := serveCommand(filepath.Join(t.TempDir(), "data"), append(slices.Clone(o.env), env...)...)
	c.args = append(c.args, arguments...)
	return c
}

// stages returns the services of this run.
func stages(t *testing.T, o *outside) []*stage {
	t.Helper()
	switch functions.target {
	case targetFC:
		return []*stage{fcStage(t, o)}
	case targetLambda:
		return []*stage{lambdaStage(t, o)}
	}
	onlyFile(t, "it does not matter for the targets where one process keeps its data")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // or the folder is not safe
		t.Fatal(err)
	}
	programs := programRow(t, dir)
	return []*stage{{
		name: "one process with the emulators", role: operatorRole, ends: func() {}, secret: nothing,
		command: with(t, o, []string{"--emulate", "oos,sts", "--programs", dir}),
		rows: map[string]row{"Journal": journalRow(), "Http": httpRow(o), "Oos": oosRow(), "Program": programs,
			"Function": missing(function("say"), "the emulators have no targets of type Function"),
			"Ssm":      missingIn(runbook("runs")), "StepFunctions": missingIn(stateMachine("runs"))},
	}, awsStage(t, o), throttledStage(t, o, dir)}
}

// noPrograms is the row of Program in a service without programs.
func noPrograms() row { return missing(program("runs"), "this service runs no programs") }

func fcStage(t *testing.T, o *outside) *stage {
	t.Helper()
	more := row{
		"refused":   undelivered(function("say"), notAssumed(noSuchRole)).as(noSuchRole),
		"denied":    undelivered(function("say"), `"chatconf-operator" was denied by Function Compute`).inSession(),
		"throttled": "the emulators throttle nobody",
	}
	return &stage{name: "fc", command: with(t, o, []string{"--emulate", "oos,sts", "--dist", distWithSay(t)}),
		role: operatorRole, ends: func() {}, secret: nothing,
		rows: map[string]row{"Journal": journalRow(), "Http": httpRow(o), "Oos": oosRow(), "Program": noPrograms(),
			"Ssm": missingIn(runbook("runs")), "StepFunctions": missingIn(stateMachine("runs")),
			"Function": functionRow(invokerRole, "Function Compute", more)}}
}

func lambdaStage(t *testing.T, o *outside) *stage {
	t.Helper()
	aws := newAWSCloud(t)
	more := row{
		"refused": undelivered(function("say"), notAssumed(awsRole+"-refused")).as(awsRole + "-refused"),
		"denied":  "on this machine a session may do what its policy allows",
		"throttled": retried(function("say"), "the security token service is throttled").
			as(awsRole + "-throttled"),
	}
	return &stage{name: "lambda", role: awsRole, secret: aws.issued,
		command: with(t, o, []string{"--dist", distWithSay(t)}, "CHATCONF_ACCOUNT_ID="+awsAccount,
			"AWS_ENDPOINT_URL_STS="+aws.URL, "AWS_ENDPOINT_URL_SSM="+aws.URL, "AWS_ENDPOINT_URL_SFN="+aws.URL),
		ends: func() { aws.checkGrants("lambda:InvokeFunction") }, // functions are invoked elsewhere
		rows: map[string]row{"Journal": journalRow(), "Http": httpRow(o), "Program": noPrograms(),
			"Ssm":           awsRow(runbook, "Systems Manager", runbookExecution),
			"StepFunctions": awsRow(stateMachine, "Step Functions", machineExecution),
			"Oos":           missingIn(template("slow")), "Function": functionRow(awsRole, "Lambda", more)}}
}

// awsStage is one process that runs commands in AWS.
func awsStage(t *testing.T, o *outside) *stage {
	t.Helper()
	aws := newAWSCloud(t)
	more := row{
		"refused":   undelivered(function("say"), notAssumed(awsRole+"-refused")).as(awsRole + "-refused"),
		"denied":    undelivered(function("denied"), `"chatconf-operator" was denied by Lambda`).inSession(),
		"throttled": retried(function("throttled"), "Lambda is throttled").inSession(),
		"role-throttled": retried(function("say"), "the security token service is throttled").
			as(awsRole + "-throttled"),
	}
	return &stage{name: "one process with AWS", role: awsRole, secret: aws.issued, ends: func() { aws.checkGrants() },
		command: with(t, o, []string{"--cloud", "aws"}, "CHATCONF_ACCOUNT_ID="+awsAccount, "AWS_REGION=eu-central-1",
			"AWS_ACCESS_KEY_ID="+awsKey.ID, "AWS_SECRET_ACCESS_KEY="+awsKey.Secret, "AWS_ENDPOINT_URL="+aws.URL),
		rows: map[string]row{"Program": noPrograms(), "Oos": missingIn(template("slow")),
			"Ssm":           awsRow(runbook, "Systems Manager", runbookExecution),
			"StepFunctions": awsRow(stateMachine, "Step Functions", machineExecution),
			"Function":      functionRow(awsRole, "Lambda", more)}}
}

// throttledStage is one process with a cloud that throttles, and one place for programs.
func throttledStage(t *testing.T, o *outside, programs string) *stage {
	t.Helper()
	url := newThrottling(t)
	return &stage{name: "one process that is throttled", role: operatorRole, ends: func() {},
		secret: func() []string { return []string{throttledSecret, throttledToken} },
		command: with(t, o, []string{"--cloud", "alibaba", "--programs", programs}, "CHATCONF_PROGRAMS_AT_ONCE=1",
			"ALIBABA_CLOUD_ACCESS_KEY_ID=example", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=not-a-real-secret",
			"CHATCONF_STS_ENDPOINT="+url, "CHATCONF_OOS_ENDPOINT="+url, "CHATCONF_FC_ENDPOINT="+url),
		rows: map[string]row{
			"Oos":      {"throttled": retried(template("slow"), "OOS is throttled").inSession()},
			"Function": {"throttled": retried(function("say"), "Function Compute is throttled").inSession()},
			"Program": {"runs": running(program("runs"), programExecution),
				"throttled": retried(program("succeeds"), "too many programs are running").following("runs")},
		}}
}

// The credentials that a throttling cloud issues.
const (
	throttledSecret = "not-a-real-secret-of-a-throttled-session"
	throttledToken  = "not-a-real-token-of-a-throttled-session"
)

// newThrottling returns the URL of services of Alibaba Cloud that issue sessions, and do nothing
// else for anybody.
func newThrottling(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action")+r.Header.Get("X-Acs-Action") == "AssumeRole" {
			fmt.Fprint(w, jsonText(object{"Credentials": object{"AccessKeyId": "STS.example",
				"AccessKeySecret": throttledSecret, "SecurityToken": throttledToken,
				"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}}))
			return
		}
		code := "Throttling.User"
		if strings.HasPrefix(r.URL.Path, "/2023-03-30/") {
			code = "ResourceThrottled"
		}
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, jsonText(object{"Code": code, "Message": "too many requests"}))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// distWithSay returns a folder with the functions of the run and one of our own, say.
func distWithSay(t *testing.T) string {
	t.Helper()
	folder, name := functions.target, "main"
	if functions.target == targetLambda {
		if name = "bootstrap"; runtime.GOARCH != "arm64" {
			folder = filepath.Join(folder, runtime.GOARCH)
		}
	}
	dist := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dist, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	zips := must(filepath.Glob(filepath.Join(functions.dist, folder, "*.zip")))(t)
	for _, file := range zips {
		if err := os.Symlink(file, filepath.Join(dist, folder, filepath.Base(file))); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dist, "say"), "./say")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./say: %v\n%s", err, out)
	}
	file := must(os.Create(filepath.Join(dist, folder, "say.zip")))(t)
	defer file.Close()
	archive := zip.NewWriter(file)
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(0o755)
	_, err := must(archive.CreateHeader(header))(t).Write(must(os.ReadFile(filepath.Join(dist, "say")))(t))
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dist
}

// Every target of every kind of service, in every state: the record has the state, the execution,
// the role and its session; the conversation reads the end; and the secret parameter and the
// credentials of sessions are nowhere. A target that a service does not have says so.
func TestEachTargetInEachState(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	all := stages(t, o)
	for _, kind := range wantedTargets {
		for _, way := range ways {
			known := func(s *stage) bool { return s.rows[kind][way] != nil || s.rows[kind].isMissing() }
			if !slices.ContainsFunc(all, known) {
				t.Errorf("no service has %s that is %s, and none says why", kind, way)
			}
		}
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			if len(all) > 1 { // or it would only wait for its turn once more
				t.Parallel()
			}
			s.run(t, o)
		})
	}
}

// isMissing reports whether the row is of a target that the service does not have.
func (r row) isMissing() bool { return len(r) == 1 && r[absent] != nil }

// A play is a stage in one run.
type play struct {
	*testing.T
	stage   *stage
	outside *outside
	peer    peer
	data    string
	service *service
	cells   []*acted
	find    *searcher
	logs    string // of the service before it was killed
}

// An acted is a cell in a play.
type acted struct {
	cell
	kind, way    string
	bot          *bot
	conversation string
	begun        time.Time // when it was said
	cancelled    bool
	seen         []string // the states
	last         operation
}

// user is who says everything.
var user = users["DingTalk"].grants

// run has everything said, and asks what became of it.
func (s *stage) run(t *testing.T, o *outside) {
	p := &play{T: t, stage: s, outside: o, peer: ofType("DingTalk"), data: s.args[slices.Index(s.args, "--data")+1],
		find: &searcher{t, make(map[string][]string)}}
	p.find.add("the secret parameter", planted)
	if store.crowd != nil { // moto takes longer than platforms wait
		crowds.Store(p.data, true)
		s.env = append(s.env, tableEnv(p.data)...)
	}
	p.service = s.command.serve(t, p.data)
	for kind, r := range s.rows {
		p.makeBot(kind, r)
	}
	slices.SortFunc(p.cells, func(a, b *acted) int { // what takes long begins first
		return strings.Compare(fmt.Sprint(!a.crash, a.kind, a.way), fmt.Sprint(!b.crash, b.kind, b.way))
	})
	p.follow(func(c *acted) bool {
		if c.crash {
			return c.last.State == "Running" && (functions.target == "" || time.Since(c.begun) > heldTime)
		}
		tried := c.outcome != "Pending" || c.state == "Running" || c.last.Detail != ""
		return c.last.State == c.state && c.last.Outcome == c.outcome && tried
	})
	p.searchProcesses()
	p.askStatus()
	p.check(false)
	if slices.ContainsFunc(p.cells, func(c *acted) bool { return c.crash }) {
		p.crash()
		p.follow(func(c *acted) bool { return !c.crash || c.last.State == c.state && c.last.Outcome == c.outcome })
		p.check(true)
	}
	s.ends()
	p.service.stop()
	p.searchTheRest()
}

// makeBot makes a bot with an action for each cell of a row.
func (p *play) makeBot(kind string, r row) {
	p.Helper()
	actions, bot := make(object), new(bot)
	for way, one := range r {
		c, ok := one.(cell)
		if !ok {
			continue
		}
		if c.role == "" {
			c.role = p.stage.role
		}
		action := object{"Target": c.target, "RamRole": c.role,
			"Parameters": []any{object{"Name": "token", "Secret": true}}}
		if c.timeout > 0 {
			action["TimeoutSeconds"] = c.timeout
		}
		actions[way] = action
		p.cells = append(p.cells, &acted{cell: c, kind: kind, way: way, bot: bot,
			conversation: "cid-" + strings.ReplaceAll(p.stage.name, " ", "-") + "-" + kind + "-" + way})
	}
	*bot = *newBot(p.T, p.service, p.peer.typ, "matrix-"+strings.ToLower(kind), object{"Actions": actions,
		"Permissions": []any{allow(user, "*")}})
}

// say says something in the conversation of a cell, and returns the first answer.
func (p *play) say(c *acted, text string) string {
	p.Helper()
	answer := c.bot.shows(p.T, p.peer.say(p.T, c.bot, said(user, c.conversation, text)))
	p.find.search("an answer", []byte(answer))
	return answer
}

// follow says what was not said and may be, cancels, and reads the records until all are done.
func (p *play) follow(done func(*acted) bool) {
	p.Helper()
	redriven := time.Now()
	for limit := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		left := 0
		for _, c := range p.cells {
			if c.begun.IsZero() && p.mayBegin(c) {
				c.begun = time.Now()
				if got := p.say(c, c.way+" token="+planted); got != c.way+" was accepted." {
					p.Errorf("%s %s is answered %q", c.kind, c.way, got)
				}
			}
		}
		p.look()
		for _, c := range p.cells {
			if c.cancel && !c.cancelled && c.last.State == "Running" {
				c.cancelled = true
				p.say(c, "cancel "+c.last.Id)
			}
			if !done(c) {
				left++
				if time.Now().After(limit) {
					p.Errorf("%s %s is still %+v", c.kind, c.way, c.last)
				}
			}
		}
		switch {
		case left == 0:
			return
		case p.Failed():
			p.FailNow()
		case functions.target != "" && time.Since(redriven) > 2*time.Second: // as the timer does each minute
			redriven = time.Now()
			p.service.redrive(p.T)
		}
	}
}

// mayBegin reports whether a command may be said: that before it is Running.
func (p *play) mayBegin(c *acted) bool {
	return c.after == "" || slices.ContainsFunc(p.cells, func(before *acted) bool {
		return before.kind == c.kind && before.way == c.after && before.last.State == "Running"
	})
}

// look reads the records.
func (p *play) look() {
	p.Helper()
	records := make(map[*bot][]operation)
	for _, c := range p.cells {
		if _, ok := records[c.bot]; !ok {
			records[c.bot] = p.service.operations(p.T, c.bot.name, "MaxResults", "100")
		}
		for _, o := range records[c.bot] {
			if o.Command == c.way {
				c.last = o
			}
		}
		if state := c.last.State; state != "" && !slices.Contains(c.seen, state) {
			c.seen = append(c.seen, state)
		}
	}
}

// askStatus asks in the chat for what is running.
func (p *play) askStatus() {
	p.Helper()
	for _, c := range p.cells {
		if c.state != "Running" {
			continue
		}
		if got := p.say(c, "status"); !strings.Contains(got, c.way+": Running. Its id is "+c.last.Id) {
			p.Errorf("the status of %s %s is %q", c.kind, c.way, got)
		}
	}
}

// crash kills the service and starts it again.
func (p *play) crash() {
	p.Helper()
	p.service.kill()
	p.logs = p.service.stderr.String() + p.service.stdout.String()
	p.service = p.stage.command.serve(p.T, p.data)
	moved := make(map[*bot]bool)
	for _, c := range p.cells {
		if !moved[c.bot] {
			*c.bot, moved[c.bot] = *c.bot.moved(p.T, p.service), true
		}
	}
}

// check compares the records, and what the conversations have read, with the cells: those of the
// crash or the others.
func (p *play) check(crash bool) {
	p.Helper()
	for _, c := range p.cells {
		if c.crash == crash {
			late := p.outside.said(c.conversation)
			c.check(p.T, late)
			p.find.search("a record", []byte(jsonText(c.last)))
			p.find.search("a late answer", []byte(strings.Join(late, "\n")))
		}
	}
}

// searchProcesses searches what everyone on the machine sees of processes, and their user.
func (p *play) searchProcesses() {
	p.Helper()
	for i, secret := range p.stage.secret() {
		p.find.add(fmt.Sprint("the credentials ", i), secret)
	}
	p.find.search("the list of processes", must(exec.Command("ps", "axeww").Output())(p.T))
}

// searchTheRest searches what the service, which has ended, has printed and stored.
func (p *play) searchTheRest() {
	p.Helper()
	for i, secret := range p.stage.secret() {
		p.find.add(fmt.Sprint("the credentials ", i), secret)
	}
	logs := p.logs + p.service.stderr.String() + p.service.stdout.String()
	p.find.search("the log", []byte(logs))
	if strings.Contains(logs, "fake-secret-") || strings.Contains(logs, "fake-token-") {
		p.Error("the log shows credentials of the emulated account")
	}
	p.find.everywhere(p.data)
}

// check compares a record, and what its conversation has read late, with the cell.
func (c *acted) check(t *testing.T, late []string) {
	t.Helper()
	about, o, session := c.kind+" "+c.way, c.last, ""
	if c.session {
		session = "DingTalk." + user
	}
	form := regexp.MustCompile(strings.ReplaceAll("^("+c.execution+")$", "RECORD", o.Id))
	timed := c.execution != "" || c.state == "Succeeded"
	if o.State != c.state || o.Outcome != c.outcome || o.Decision != "Allowed" || o.RamRole != c.role ||
		o.SessionName != session || !form.MatchString(o.ExecutionId) || !strings.Contains(o.Detail, c.detail) ||
		!strings.HasPrefix(o.Target, c.kind) || !slices.Equal(o.Arguments, []string{"token=******"}) ||
		(o.Duration != nil) != timed {
		t.Errorf("%s is %+v, want %+v", about, o, c.cell)
	}
	if c.seenRunning && !slices.Contains(c.seen, "Running") {
		t.Errorf("%s was never Running: %q", about, c.seen)
	}
	for i, state := range c.seen { // Accepted, Running, and one end
		if i > 0 && (state == "Accepted" || c.seen[i-1] != "Accepted" && c.seen[i-1] != "Running") {
			t.Errorf("%s was %q", about, c.seen)
		}
	}
	switch {
	case c.says == "" && len(late) > 0:
		t.Errorf("%s: late answers %q", about, late)
	case c.says != "" && (len(late) != 1 || !strings.Contains(visible(late[0]), c.says)):
		t.Errorf("%s: late answers %q, want one with %q", about, late, c.says)
	}
}

// heldTime is how long the function that starts an operation may hold it to follow it. What is held
// when the service is killed is followed again only after a lease, which takes longer.
const heldTime = 25 * time.Second

// redrive invokes the function that follows what is due, as its timer does.
func (s *service) redrive(t *testing.T) []byte {
	t.Helper()
	return s.invoke(t, "redrive-commands", map[string]string{
		targetFC:     `{"triggerTime":"2026-11-23T01:02:03Z","triggerName":"redrive","payload":""}`,
		targetLambda: text(t, eventBridge(newNonce(), "Scheduled Event", []byte(`{}`))),
	}[functions.target])
}
