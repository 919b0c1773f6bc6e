package deploy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/deploy"
	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	clouds "chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	awscloud "chatconf/shared/cloud/aws"
	"chatconf/shared/dispatch"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tablestore"
	alibabatarget "chatconf/shared/target/alibaba"
	awstarget "chatconf/shared/target/aws"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A policy is the file of a function.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string
}

func readPolicy(t *testing.T, cloud, folder string) policy {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(cloud, "policies", folder+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var p policy
	if err := json.Unmarshal(text, &p); err != nil || len(p.Statement) == 0 {
		t.Fatalf("%s: %s: %v", cloud, folder, err)
	}
	return p
}

// like reports whether text fits a pattern of IAM.
func like(pattern, text string) bool {
	expression := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile("^" + expression + "$").MatchString(text)
}

// allows reports whether a policy allows an action on a resource, whose name is given as the policy
// spells it, in a request with the given condition keys.
func (p policy) allows(t *testing.T, action, resource string, context map[string][]string) bool {
	t.Helper()
	return slices.ContainsFunc(p.Statement, func(s statement) bool {
		if !slices.Contains(s.Action, action) || s.Resource != resource {
			return false
		}
		for operator, pairs := range s.Condition {
			for key, want := range pairs {
				got, there := context[key]
				var holds bool
				switch operator {
				case "ForAllValues:StringLike": // which holds too when there are none
					holds = !slices.ContainsFunc(got, func(v string) bool { return !like(want, v) })
				case "Null":
					holds = there == (want == "false")
				case "StringEquals":
					holds = len(got) == 1 && got[0] == want
				default:
					t.Errorf("what does the operator %s mean?", operator)
				}
				if !holds {
					return false
				}
			}
		}
		return true
	})
}

const (
	tableName   = "chatconf"
	ticketName  = "chatconf_tickets"
	journalName = "chatconf_journal"
	keyName     = "chatconf_keys"
	useName     = "chatconf_key_uses"

	dispatchName = "chatconf-dispatch-command"
	// a function that a configuration has as its target; who may invoke it is said at the
	// deployment
	targetName = "restart-bot"
	// the function that changes are announced to; who may invoke it is said there too
	listenerName = "audit"
	events       = `{"Type":"Function","Name":"` + listenerName + `"}`
)

// A world is a cloud in which a test can take rights away.
type world struct {
	cloud  string
	getenv func(name string) string
	read   func(getenv func(string) string) (clouds.Cloud, error)

	targets dispatch.CloudReader

	mu      sync.Mutex
	granted policy
	denied  []string        // what was asked for and not allowed
	used    map[string]bool // what was asked for and allowed: action and resource
	started [][]byte        // what dispatch-command was invoked with
	noted   bool            // that the administrator's key was used today is written
}

// functions returns the clouds' API for invoking functions, as far as it is used. kind is the
// header that says how.
func (w *world) functions(t *testing.T, kind, action, dispatch string) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		parts := strings.Split(r.URL.Path, "/") // /<version>/functions/<name>/invocations
		switch how := r.Header.Get(kind); {
		case len(parts) == 5 && parts[3] == targetName && (how == "RequestResponse" || how == "Sync"):
			if !strings.Contains(r.Header.Get("Authorization"), lentID) {
				t.Errorf("the target is not invoked under the role: %s", r.Header.Get("Authorization"))
			}
			io.WriteString(out, `{"text":"done"}`)
		case len(parts) == 5 && parts[3] == listenerName && (how == "RequestResponse" || how == "Sync"):
			if strings.Contains(r.Header.Get("Authorization"), lentID) {
				t.Error("the target of events is invoked under a role of commands")
			}
		case len(parts) == 5 && parts[3] == dispatchName && (how == "Event" || how == "Async"):
			if !w.ask(t, action, dispatch, nil) {
				deny(out)
				return
			}
			w.mu.Lock()
			w.started = append(w.started, body)
			w.mu.Unlock()
			out.WriteHeader(http.StatusAccepted)
		default:
			t.Errorf("invoked is %s, %s", r.URL.Path, how)
		}
	})
}

// roleName is the role that commands run under, and lentID the access key of its sessions.
const roleName, lentID = "chatconf-operator-ops", "LENTEXAMPLE"

// roles returns the clouds' security token service. resource is that of the policies.
func (w *world) roles(t *testing.T, resource string, actions []string, answer string) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action")+r.Header.Get("X-Acs-Action") != "AssumeRole" ||
			!strings.HasSuffix(r.FormValue("RoleArn"), ":role/"+roleName) {
			t.Errorf("asked for %s", r.Form)
		}
		for _, action := range actions {
			if !w.ask(t, action, resource, nil) {
				deny(out)
				return
			}
		}
		fmt.Fprintf(out, answer, lentID, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
}

// grant makes p the only policy from now on.
func (w *world) grant(p policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.granted, w.denied, w.used = p, nil, make(map[string]bool)
}

// uses returns what was allowed since the last grant.
func (w *world) uses() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.used)
}

// refusals returns what was not allowed since the last grant.
func (w *world) refusals() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.denied)
}

func (w *world) ask(t *testing.T, action, resource string, context map[string][]string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.granted.allows(t, action, resource, context) {
		w.used[action+" "+resource] = true
		return true
	}
	w.denied = append(w.denied, fmt.Sprint(action, " on ", resource, " ", context))
	return false
}

// administrator is the access key that requests are signed with.
var administrator = sign.Key{ID: "CCKtest", Secret: "not-a-real-secret"}

// settle claims the tables for the ring, as `chatconf keys create` does, and makes the
// administrator's key.
func settle(t *testing.T, ring []byte, tables app.Tables) {
	t.Helper()
	local, err := app.OpenTables(t.Context(), app.Settings{
		Table: tableName, TicketTable: ticketName, AccountID: app.DefaultAccountID,
		Region: app.DefaultRegion, Data: t.TempDir(),
		KeyRing: secret.Text(ring), AccessKeyID: administrator.ID, AccessKeySecret: secret.Text(administrator.Secret),
	}, tables, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
}

// onAWS returns a world of DynamoDB and KMS.
func onAWS(t *testing.T) *world {
	t.Helper()
	ring := newRing(t)
	servers := map[string]*dynamotest.Server{tableName: dynamotest.New(), ticketName: dynamotest.New(),
		journalName: dynamotest.New(), keyName: dynamotest.New(), useName: dynamotest.New()}
	open := func(name string, ttl time.Duration) *dynamodb.Table {
		opened, err := dynamodb.New(name, dynamodb.Options{
			Region: "eu-west-1", TTL: ttl, Transport: servers[name],
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "not-a-real-secret"}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	settle(t, ring, app.Tables{Configurations: open(tableName, 0), Keys: open(keyName, 0),
		Tickets: open(ticketName, app.TicketAge), Where: "here"})

	w := &world{cloud: "aws", read: awscloud.Read, targets: awstarget.Read}
	resources := map[string]string{
		tableName:   "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TABLE}",
		keyName:     "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_TABLE}",
		useName:     "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_KEY_USE_TABLE}",
		ticketName:  "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TICKET_TABLE}",
		journalName: "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_JOURNAL_TABLE}",
	}
	functions := w.functions(t, "X-Amz-Invocation-Type", "lambda:InvokeFunction",
		"arn:aws:lambda:${AWS_REGION}:${AWS_ACCOUNT_ID}:function:${STACK}-dispatch-command")
	roles := w.roles(t, "arn:aws:iam::${AWS_ACCOUNT_ID}:role/${OPERATOR_ROLES}",
		[]string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, `<AssumeRoleResponse><AssumeRoleResult>
		<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
		<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") {
			functions.ServeHTTP(out, r)
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			roles(out, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if operation == "Decrypt" {
			var in struct{ EncryptionContext map[string]string }
			if err := json.Unmarshal(body, &in); err != nil {
				t.Error(err)
			}
			context := make(map[string][]string)
			for key, value := range in.EncryptionContext {
				context["kms:EncryptionContext:"+key] = []string{value}
			}
			if !w.ask(t, "kms:Decrypt", "arn:aws:kms:${AWS_REGION}:${AWS_ACCOUNT_ID}:key/${KMS_KEY_ID}", context) {
				deny(out)
				return
			}
			json.NewEncoder(out).Encode(map[string]string{"Plaintext": base64.StdEncoding.EncodeToString(ring)})
			return
		}
		table := tableName // of a transaction of nothing, which asks whether there are any
		allowed := true
		for _, asked := range itemsOf(t, operation, body) {
			table = asked.table
			allowed = w.ask(t, "dynamodb:"+asked.action, resources[asked.table],
				map[string][]string{"dynamodb:LeadingKeys": asked.partitions}) && allowed
		}
		if !allowed {
			deny(out)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		servers[table].ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	environment := map[string]string{
		"CHATCONF_KEYRING": sealedRing, "CHATCONF_TABLE": tableName, "CHATCONF_TICKET_TABLE": ticketName,
		"CHATCONF_KEY_TABLE": keyName, "CHATCONF_KEY_USE_TABLE": useName,
		"CHATCONF_JOURNAL_TABLE": journalName, "CHATCONF_DISPATCH_FUNCTION": dispatchName,
		"CHATCONF_WEBHOOK_BASE_URL": "https://chatconf.example.com", "CHATCONF_EVENTS": events,
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
		"AWS_ENDPOINT_URL":      server.URL,
	}
	w.getenv = func(name string) string { return environment[name] }
	return w
}

func deny(out http.ResponseWriter) {
	out.Header().Set("Content-Type", "application/x-amz-json-1.0")
	out.WriteHeader(http.StatusBadRequest)
	io.WriteString(out, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized"}`)
}

// An asking is what a request needs an action of a policy for.
type asking struct {
	action, table string
	partitions    []string
}

// itemsOf returns what a request to DynamoDB asks for. The parts of a transaction are asked for one
// by one.
func itemsOf(t *testing.T, operation string, body []byte) []asking {
	t.Helper()
	type item = map[string]map[string]any
	type part struct {
		TableName string
		Key, Item item
	}
	var in struct {
		part
		ExpressionAttributeValues item
		RequestItems              map[string]struct{ Keys []item }
		TransactItems             []map[string]part
	}
	if err := json.Unmarshal(body, &in); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	partition := func(p part) string {
		if p.Item != nil {
			return fmt.Sprint(p.Item["p"]["S"])
		}
		return fmt.Sprint(p.Key["p"]["S"])
	}
	var out []asking
	switch operation {
	case "GetItem", "PutItem", "DeleteItem", "UpdateItem":
		out = append(out, asking{operation, in.TableName, []string{partition(in.part)}})
	case "Query":
		out = append(out, asking{operation, in.TableName,
			[]string{fmt.Sprint(in.ExpressionAttributeValues[":p"]["S"])}})
	case "Scan":
		out = append(out, asking{operation, in.TableName, nil})
	case "BatchGetItem":
		for table, wanted := range in.RequestItems {
			a := asking{operation, table, nil}
			for _, key := range wanted.Keys {
				a.partitions = append(a.partitions, partition(part{Key: key}))
			}
			out = append(out, a)
		}
	case "TransactWriteItems":
		for _, one := range in.TransactItems {
			for kind, p := range one {
				out = append(out, asking{kind + "Item", p.TableName, []string{partition(p)}})
			}
		}
	}
	if len(out) == 0 && !strings.Contains(string(body), `"TransactItems":[]`) {
		t.Fatalf("%s: what does it ask for? %s", operation, body)
	}
	return out
}

// onAlibaba returns a world of Tablestore.
func onAlibaba(t *testing.T) *world {
	t.Helper()
	ring := newRing(t)
	instance := otstest.RunT(t)
	open := func(name string, ttl time.Duration) *tablestore.Table {
		opened, err := tablestore.New(name, tablestore.Options{
			Endpoint: instance.Endpoint, Instance: instance.Name, TTL: ttl,
			Credentials: invoke.Credentials{AccessKeyID: instance.KeyID, AccessKeySecret: instance.KeySecret},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tablestore.Ensure(t.Context(), opened); err != nil {
			t.Fatal(err)
		}
		return opened
	}
	settle(t, ring, app.Tables{Configurations: open(tableName, 0), Keys: open(keyName, 0),
		Tickets: open(ticketName, app.TicketAge), Where: "here"})
	for name, ttl := range map[string]time.Duration{journalName: journal.DefaultRetention, useName: accesskey.UseAge} {
		if err := open(name, ttl).Close(); err != nil {
			t.Fatal(err)
		}
	}

	w := &world{cloud: "fc", read: alibaba.Read, targets: alibabatarget.Read}
	functions := httptest.NewServer(w.functions(t, "X-Fc-Invocation-Type", "fc:InvokeFunction",
		"acs:fc:${REGION}:${ACCOUNT_ID}:functions/${PREFIX}-dispatch-command"))
	t.Cleanup(functions.Close)
	roles := httptest.NewServer(w.roles(t, "acs:ram::${ACCOUNT_ID}:role/${OPERATOR_ROLES}",
		[]string{"sts:AssumeRole", "sts:SetSourceIdentity"}, `{"Credentials":{"AccessKeyId":%q,"AccessKeySecret":"s",
		"SecurityToken":"t","Expiration":%q}}`))
	t.Cleanup(roles.Close)
	instance.SetFault(func(r ots.Request) ots.Fault {
		asked := 0
		for table, variable := range map[string]string{tableName: "CHATCONF_TABLE", ticketName: "CHATCONF_TICKET_TABLE",
			journalName: "CHATCONF_JOURNAL_TABLE",
			keyName:     "CHATCONF_KEY_TABLE", useName: "CHATCONF_KEY_USE_TABLE"} {
			named := append([]byte{1<<3 | 2, byte(len(table))}, table...) // field 1, a text, in all requests
			if !bytes.Contains(r.Body, named) {
				continue
			}
			asked++
			if !w.ask(t, "ots:"+r.Operation, "acs:ots:${REGION}:${ACCOUNT_ID}:instance/${TABLESTORE_INSTANCE}/table/${"+
				variable+"}", nil) {
				return ots.Fault{Err: &ots.Error{Status: http.StatusForbidden,
					Code: "OTSNoPermissionAccess", Message: "not authorized"}}
			}
		}
		if asked != 1 {
			t.Errorf("%s names %d tables", r.Operation, asked)
		}
		return ots.Fault{}
	})
	environment := map[string]string{
		"CHATCONF_KEYRING": string(ring), "CHATCONF_TABLE": tableName, "CHATCONF_TICKET_TABLE": ticketName,
		"CHATCONF_KEY_TABLE": keyName, "CHATCONF_KEY_USE_TABLE": useName,
		"CHATCONF_JOURNAL_TABLE": journalName, "CHATCONF_DISPATCH_FUNCTION": dispatchName,
		"CHATCONF_WEBHOOK_BASE_URL": "https://chatconf.example.com",
		"CHATCONF_EVENTS":           events,
		"CHATCONF_FC_ENDPOINT":      functions.URL,
		"CHATCONF_STS_ENDPOINT":     roles.URL,
		"TABLESTORE_ENDPOINT":       instance.Endpoint, "TABLESTORE_INSTANCE": instance.Name,
		"TABLESTORE_ACCESS_KEY_ID": instance.KeyID, "TABLESTORE_ACCESS_KEY_SECRET": instance.KeySecret,
	}
	w.getenv = func(name string) string { return environment[name] }
	return w
}

// A function that is deployed, as a test calls it.
type deployed struct {
	*app.Function
	actions map[string]bool
	world   *world
	noted   bool // the use of the caller's key
}

// open starts a function in the world.
func (w *world) open(t *testing.T, f deploy.Function) *deployed {
	t.Helper()
	var actions []rpc.Action
	names := make(map[string]bool)
	role, ok := map[deploy.Part]app.Role{deploy.Webhook: app.CloudWebhook(), deploy.Dispatch: app.DispatchIn(w.targets),
		deploy.Redrive: app.RedriveIn(w.targets)}[f.Part]
	for _, a := range rpc.Actions() {
		if f.IsAPI() || a.Name == f.Name() {
			actions = append(actions, a)
			names[a.Name] = true
		}
	}
	if f.ManagesKeys() {
		actions = rpc.KeyActions()
	}
	switch {
	case f.Reseals():
		role = app.Reseal()
	case f.Checks():
		role = app.Check()
	case !ok:
		role = app.Actions(actions...)
	}
	opened, err := app.NewFunction(w.getenv, w.read, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.grant(readPolicy(t, w.cloud, f.Folder)) // what it knows of the webhooks' health is written at its end
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return &deployed{Function: opened, actions: names, world: w}
}

// signingSecret is that of every configuration of these tests.
const signingSecret = "not-a-real-secret-of-32-letters."

// say sends what somebody says to the bot ops, as Slack does. path is of the webhook's URL.
func (d *deployed) say(t *testing.T, path, id, text string) *httptest.ResponseRecorder {
	t.Helper()
	c, err := (&platformsim.Maker{Settings: callback.Settings{"SlackSigningSecret": signingSecret},
		Now: time.Now()}).Make("Slack", "command", platformsim.Message{ID: id, User: "u1", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Request("https://chatconf.example.com" + path)
	if err != nil {
		t.Fatal(err)
	}
	out := httptest.NewRecorder()
	d.ServeHTTP(out, r.WithContext(invoke.With(t.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)})))
	return out
}

// event hands over an event.
func (d *deployed) event(t *testing.T, e serve.Event) *httptest.ResponseRecorder {
	t.Helper()
	out := httptest.NewRecorder()
	answer, err := d.ServeEvent(invoke.With(t.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)}), e)
	if err != nil || strings.Contains(string(answer), "Code") {
		out.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(out, string(answer), err)
	}
	return out
}

// call sends a signed request; to a function that does no action, what it is there for.
func (d *deployed) call(t *testing.T, action, body string) *httptest.ResponseRecorder {
	t.Helper()
	switch action {
	case "Webhook":
		id, text, _ := strings.Cut(body, " ")
		return d.say(t, d.world.path(t), id, text)
	case "DispatchCommand":
		d.world.mu.Lock()
		started := d.world.started
		d.world.started = nil
		d.world.mu.Unlock()
		if fmt.Sprint(len(started)) != body {
			t.Fatalf("dispatch-command was invoked %d times, want %s", len(started), body)
		}
		var out *httptest.ResponseRecorder
		for _, data := range started {
			if out = d.event(t, serve.Event{Source: serve.Direct, ID: "1", Data: data}); out.Code != http.StatusOK {
				break
			}
		}
		return out
	case "RedriveCommands":
		return d.event(t, serve.Event{Source: serve.Timer, ID: "1", Data: []byte(`{}`)})
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Acs-Action", action)
	r.Header.Set("X-Acs-Version", rpc.Version)
	if err := administrator.SignACS3(r, []byte(body), time.Now(), invoke.NewRequestID()); err != nil {
		t.Fatal(err)
	}
	out := httptest.NewRecorder()
	d.ServeHTTP(out, r.WithContext(invoke.With(t.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)})))
	if out.Code < http.StatusInternalServerError {
		d.awaitNote(t)
	}
	return out
}

// awaitNote waits until the function's first request has noted in the background that the caller's
// key was used.
func (d *deployed) awaitNote(t *testing.T) {
	t.Helper()
	if d.noted {
		return
	}
	d.noted = true
	wanted := "Get"
	if !d.world.noted {
		wanted, d.world.noted = "Put", true
	}
	for range 500 {
		for what := range d.world.uses() {
			if strings.Contains(what, ":"+wanted) && strings.HasSuffix(what, "/${CHATCONF_KEY_USE_TABLE}") {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the use of the key was not noted, refused %q", d.world.refusals())
}

// path returns the path of the bot's webhook. It is found out by a function that may do everything.
func (w *world) path(t *testing.T) string {
	t.Helper()
	w.mu.Lock()
	granted, denied, used := w.granted, w.denied, w.used
	w.mu.Unlock()
	api := deploy.Functions[0]
	w.grant(readPolicy(t, w.cloud, api.Folder))
	out := w.open(t, api).call(t, "GetChatConfiguration", `{"Name":"ops"}`)
	var answer struct{ ChatConfiguration struct{ Outputs string } }
	var outputs struct{ URL string }
	if err := json.Unmarshal(out.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%d %v", out.Code, err)
	}
	if err := json.Unmarshal([]byte(answer.ChatConfiguration.Outputs), &outputs); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.granted, w.denied, w.used = granted, denied, used
	return strings.TrimPrefix(outputs.URL, "https://chatconf.example.com")
}

// steps are requests that make every function do all that it can do to the tables.
var steps = []struct{ action, body string }{
	{"CreateChatConfiguration",
		`{"Name":"ops","Type":"Slack","Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."},` +
			`"Tags":{"env":"prod"},"ClientToken":"once"}`},
	{"CreateChatConfiguration",
		`{"Name":"ops","Type":"Slack","Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."},` +
			`"Tags":{"env":"prod"},"ClientToken":"once"}`},
	{"CreateChatConfiguration",
		`{"Name":"dev","Type":"Slack","Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."},` +
			`"ResourceGroupId":"rg-acfmxexample0001"}`},
	{"UpdateChatConfiguration",
		`{"Name":"ops","RamRole":"` + roleName + `","Status":"Inactive","ClientToken":"twice"}`},
	{"TagResources", `{"ResourceType":"chatconfiguration","ResourceIds":["dev","ops"],` +
		`"Tags":{"env":"test","team":"sre"}}`},
	{"UntagResources", `{"ResourceType":"chatconfiguration","ResourceIds":["dev","ops"],"TagKeys":["team"]}`},
	{"TagResources", `{"ResourceType":"chatconfiguration","ResourceIds":["ops"],"Tags":{"team":"ops"}}`},
	{"UntagResources", `{"ResourceType":"chatconfiguration","ResourceIds":["ops"],"TagKeys":["team"]}`},
	{"ChangeResourceGroup",
		`{"ResourceType":"chatconfiguration","ResourceId":"dev","NewResourceGroupId":"rg-acfmxexample0002"}`},
	{"UpdateChatConfiguration",
		`{"Name":"ops","Status":"Active","Configuration":{"SlackSigningSecret":"******",` +
			`"Actions":{"run":{"Target":{"Type":"Ssm","DocumentName":"d"}}},` + // which makes status a command
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}],"Target":{"Type":"Function",` +
			`"Name":"` + targetName + `"}}}`},
	{"SimulateChatPermission", `{"Name":"ops","UserId":"u1","ConversationId":"c1","Command":"restart"}`},
	{"Webhook", "m1 restart i-1"},
	{"Webhook", "m1 restart i-1"}, // delivered again
	{"Webhook", "m2 restart i-2"},
	{"Webhook", "m3 status"},
	{"DispatchCommand", "2"},
	{"RedriveCommands", ""},
	{"ListChatCommands", `{"Name":"ops"}`},
	{"ListChatCommands", `{}`},
	{"GetChatConfigurationHealth", `{"Name":"ops"}`},
	{"CheckChatConfiguration", `{"Name":"ops"}`},
	{"RotateChatWebhook", `{"Name":"ops","ClientToken":"four"}`},
	{"RotateChatWebhook", `{"Name":"ops","ClientToken":"four"}`},
	{"RotateChatSecret", `{"Name":"ops","Key":"SlackSigningSecret","Value":"not-a-real-secret","ClientToken":"five"}`},
	{"RotateChatSecret", `{"Name":"ops","Key":"SlackSigningSecret","Value":"not-a-real-secret","ClientToken":"five"}`},
	{"ResealSecrets", `{}`},
	{"GetChatConfiguration", `{"Name":"ops"}`},
	{"ListChatConfigurations", `{}`},
	{"ListChatConfigurations", `{"WithHealth":"true"}`},
	{"ListChatConfigurations", `{"Filters":[{"Name":"Type","Value":"Slack"},{"Name":"tag:env","Value":"test"}]}`},
	{"ListChatConfigurations", `{"Filters":[{"Name":"Name","Value":"ops"}]}`},
	{"ListTagResources", `{"ResourceType":"chatconfiguration","ResourceIds":["dev","ops"]}`},
	{"ListTagResources", `{"ResourceType":"chatconfiguration","Tags":[{"Key":"env","Value":"test"}]}`},
	{"ListTagKeys", `{"ResourceType":"chatconfiguration"}`},
	{"ListTagValues", `{"ResourceType":"chatconfiguration","Key":"env"}`},
	{"CopyChatConfiguration", `{"Name":"ops","DestinationName":"copy","ClientToken":"six"}`},
	{"CopyChatConfiguration", `{"Name":"ops","DestinationName":"copy","ClientToken":"six"}`},
	{"DeleteChatConfiguration", `{"Name":"dev","ClientToken":"thrice"}`},
	// which had a life before
	{"CreateChatConfiguration",
		`{"Name":"dev","Type":"Slack","Configuration":{"SlackSigningSecret":"not-a-real-secret-of-32-letters."}}`},
	{"ListChatConfigurationRevisions", `{"Name":"dev","MaxResults":1}`},
	{"GetChatConfigurationRevision", `{"Name":"dev","Revision":3}`},
	{"GetChatConfigurationRevision", `{"Name":"dev","Revision":1}`},
	{"RestoreChatConfiguration", `{"Name":"dev","Revision":3,"ClientToken":"restore-dev"}`},
	{"RestoreChatConfiguration", `{"Name":"dev","Revision":3,"ClientToken":"restore-dev"}`},
	{"DeleteChatConfiguration", `{"Name":"dev"}`},
	{"RestoreChatConfiguration", `{"Name":"dev","Revision":3}`}, // which is not there
	{"RestoreChatConfiguration", `{"Name":"dev","Revision":1}`},
	{"DeleteChatConfiguration", `{"Name":"dev"}`},
	{"DeleteChatConfiguration", `{"Name":"ops"}`},
	{"ListChatCommands", `{"Name":"ops"}`},
	{"GetChatConfigurationHealth", gone},
	{"CheckChatConfiguration", gone},
	{"SimulateChatPermission", gone},
	{"CreateAccessKey", `{"Name":"ci","Policy":"ReadOnly"}`},
	{"ListAccessKeys", `{}`},
	{"UpdateAccessKey", `{"UserAccessKeyId":"` + administrator.ID + `","Description":"of the test"}`},
	{"DeleteAccessKey", `{"UserAccessKeyId":"` + administrator.ID + `"}`},
}

// gone names a configuration that is not there any more.
const gone = `{"Name":"dev","UserId":"u1","ConversationId":"c1","Command":"restart"}`

// seldom are rights that the steps do not use, one on each line, and those to other services than
// DynamoDB and Tablestore.
var seldom = regexp.MustCompile(strings.Join([]string{
	// what became of a write without an answer
	`(dynamodb:GetItem|ots:GetRow) .*/\$\{CHATCONF_(TICKET|JOURNAL)_TABLE\}$`,
	`ots:BatchGetRow .*TABLE\}$`,                                     // the same, of several rows
	`(dynamodb:PutItem|ots:PutRow) .*/\$\{CHATCONF_KEY_USE_TABLE\}$`, // the day is written once, by one of them
	// a batch of one; who may BatchWriteRow can do as much anyway
	`ots:(PutRow|UpdateRow|DeleteRow) .*/\$\{CHATCONF_(JOURNAL_)?TABLE\}$`,
	`^redrive-commands (.*JOURNAL_TABLE|sts:.*)\}$`, // nothing is due within a minute
	// client tokens of yesterday
	`^(rotate-chat-(webhook|secret)|(create|copy)-chat-configuration) dynamodb:DeleteItem `,
	`^list-chat-commands dynamodb:BatchGetItem `, // for the commands of several bots; here one has some
	// the ring of the test was not rotated
	`^reseal (dynamodb:PutItem|ots:PutRow) .*_(KEY|JOURNAL)_TABLE\}$`, `^reseal ots:BatchWriteRow `,
	` (kms:Decrypt|logs?:[A-Za-z]+|sqs:SendMessage|mns:SendMessage) .+$`, // the runtimes', and the key ring's
}, "|"))

// does reports whether a step is for a function: for the one that does only it, or else for the one
// that does every action.
func does(f deploy.Function, action string, single bool) bool {
	switch {
	case f.Name() == action && (single || !f.IsAction()):
		return true
	case f.Reseals():
		return action == rpc.ResealActions()[0].Name
	case f.ManagesKeys():
		return slices.ContainsFunc(rpc.KeyActions(), func(a rpc.Action) bool { return a.Name == action })
	case f.IsAPI() && !single:
		return slices.ContainsFunc(rpc.Actions(), func(a rpc.Action) bool { return a.Name == action })
	}
	return false
}

// With its own policy, and nothing else, each function does all that it is there for, on both
// clouds. There is nothing in it that it has no use for.
func TestPoliciesAreEnough(t *testing.T) {
	for _, cloud := range []struct {
		name  string
		begin func(t *testing.T) *world
	}{{"aws", onAWS}, {"fc", onAlibaba}} {
		t.Run(cloud.name, func(t *testing.T) {
			for _, single := range []bool{true, false} {
				w := cloud.begin(t)
				opened := make(map[string]*deployed)
				used := make(map[string]map[string]bool)
				for _, step := range steps {
					for _, f := range deploy.Functions {
						if !does(f, step.action, single) {
							continue
						}
						w.grant(readPolicy(t, cloud.name, f.Folder))
						if opened[f.Folder] == nil {
							opened[f.Folder] = w.open(t, f)
							used[f.Folder] = make(map[string]bool)
						}
						out := opened[f.Folder].call(t, step.action, step.body)
						want := http.StatusOK
						if step.body == gone {
							want = http.StatusNotFound
						}
						if refused := w.refusals(); out.Code != want || len(refused) > 0 {
							t.Errorf("%s: %s %s: %d %s, refused %q", f.Folder, step.action,
								step.body, out.Code, out.Body, refused)
						}
						maps.Copy(used[f.Folder], w.uses())
					}
				}
				for _, f := range deploy.Functions {
					if f.IsAPI() == single {
						continue
					}
					for _, s := range readPolicy(t, cloud.name, f.Folder).Statement {
						for _, action := range s.Action {
							if what := action + " " + s.Resource; !used[f.Folder][what] &&
								!seldom.MatchString(f.Folder+" "+what) {
								t.Errorf("%s has no use for %s", f.Folder, what)
							}
						}
					}
				}
			}
		})
	}
}

// A function that got a reader's policy by mistake, or by somebody's hand, changes nothing; nor
// does one whose key ring may not be opened serve.
func TestPoliciesHold(t *testing.T) {
	for _, cloud := range []struct {
		name  string
		begin func(t *testing.T) *world
	}{{"aws", onAWS}, {"fc", onAlibaba}} {
		t.Run(cloud.name, func(t *testing.T) {
			w := cloud.begin(t)
			api := w.open(t, deploy.Functions[0])
			reader := readPolicy(t, cloud.name, "list-chat-configurations")
			w.grant(reader)
			if out := api.call(t, steps[0].action, steps[0].body); out.Code == http.StatusOK || len(w.refusals()) == 0 {
				t.Errorf("with a reader's policy: %d %s", out.Code, out.Body)
			}
			if out := api.call(t, "ListChatConfigurations", `{}`); out.Code != http.StatusOK ||
				!strings.Contains(out.Body.String(), `"TotalCount":0`) {
				t.Errorf("after it: %d %s, want nothing there", out.Code, out.Body)
			}
			w.grant(policy{})
			if out := w.open(t, deploy.Functions[0]).call(t, "ListChatConfigurations",
				`{}`); out.Code == http.StatusOK {
				t.Errorf("without a policy: %d %s", out.Code, out.Body)
			}
		})
	}
}

// On AWS the policies keep functions from the partitions of access keys and of the claim, whatever
// they are made to do.
func TestPoliciesSpareTheKeys(t *testing.T) {
	const table = "arn:aws:dynamodb:${AWS_REGION}:${AWS_ACCOUNT_ID}:table/${CHATCONF_TABLE}"
	for _, f := range deploy.Functions {
		p := readPolicy(t, "aws", f.Folder)
		for _, action := range []string{"PutItem", "DeleteItem", "UpdateItem", "Query", "BatchGetItem"} {
			for _, partitions := range [][]string{{"keys"}, {"service"}, {"1000000000000000/cn-hangzhou", "keys"}} {
				claim := f.Reseals() && partitions[0] == "service" && (action == "PutItem" || action == "Query")
				if p.allows(t, "dynamodb:"+action, table,
					map[string][]string{"dynamodb:LeadingKeys": partitions}) != claim {
					t.Errorf("%s may %s in %q", f.Folder, action, partitions)
				}
			}
			if p.allows(t, "dynamodb:"+action, table, nil) {
				t.Errorf("%s may %s nobody knows where", f.Folder, action)
			}
		}
		for name, context := range map[string]map[string][]string{
			"what was not sealed as a key ring": {"kms:EncryptionContext:chatconf": {"another"}},
			"what has no encryption context":    {},
			"for another service":               {"kms:ViaService": {"s3.${AWS_REGION}.amazonaws.com"}},
		} {
			if p.allows(t, "kms:Decrypt", "arn:aws:kms:${AWS_REGION}:${AWS_ACCOUNT_ID}:key/${KMS_KEY_ID}", context) {
				t.Errorf("%s may open %s", f.Folder, name)
			}
		}
	}
}
