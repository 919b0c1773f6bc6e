package e2e_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// awsAccount is the account of the roles in these tests.
const awsAccount = "123456789012"

// An awsCloud stands in for the services of AWS that commands run in: STS, Systems Manager
// Automation, which moto lacks, Step Functions, and Lambda. It takes the requests that the API
// pages describe and no others, each signed by a session whose policy has exactly this right. What
// happens is in the names of roles, runbooks, state machines and functions, such as "fails".
type awsCloud struct {
	*httptest.Server
	t *testing.T

	mu         sync.Mutex
	leases     map[string]*awsLease     // by access key id
	executions map[string]*awsExecution // by id
	byToken    map[string]string        // the ids, by what makes a start idempotent
	secrets    []string                 // of the sessions
}

// An awsLease is a session of a role.
type awsLease struct {
	secret, token string
	grants        map[string]bool // "action resource", and whether it was used
}

// An awsExecution is an execution of a runbook or a state machine.
type awsExecution struct {
	name   string // of what is executed
	token  string // its parameter
	asked  int    // how often its state was asked for
	ending bool   // it was stopped
}

func newAWSCloud(t *testing.T) *awsCloud {
	t.Helper()
	c := &awsCloud{t: t, leases: make(map[string]*awsLease), executions: make(map[string]*awsExecution),
		byToken: make(map[string]string)}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

// fields are what a test reads of a JSON request.
type awsFields struct {
	DocumentName, ClientToken, AutomationExecutionId, Type string
	Parameters                                             map[string][]string
	StateMachineArn, Name, Input, ExecutionArn             string
}

func (c *awsCloud) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its service was killed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	signer, scope := c.prove(r, string(body))
	fault := func(status int, code string) {
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":"com.amazonaws#%s","message":"of %s"}`, code, awsAccount)
	}
	target := r.Header.Get("X-Amz-Target")
	function, isFunction := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/invocations")
	switch {
	case scope == "eu-central-1/sts" && signer == nil:
		c.assumeRole(w, string(body))
		return
	case signer == nil:
		c.t.Errorf("%s %s is not signed by a session", r.URL, target)
		fault(http.StatusForbidden, "UnrecognizedClientException")
		return
	case scope == "eu-central-1/lambda" && isFunction:
		c.invoke(w, signer, function, body)
		return
	}
	var in awsFields
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		c.t.Errorf("%s of %s: %v", target, body, err)
	}
	version, service := "1.1", "ssm"
	if strings.HasPrefix(target, "AWSStepFunctions.") {
		version, service = "1.0", "states"
	}
	if r.Header.Get("Content-Type") != "application/x-amz-json-"+version || scope != "eu-central-1/"+service {
		c.t.Errorf("%s comes as %s, for %s", target, r.Header.Get("Content-Type"), scope)
	}
	answer, code := c.operation(signer, target, in)
	if code != "" {
		fault(http.StatusBadRequest, code)
		return
	}
	io.WriteString(w, jsonText(answer))
}

// prove returns the session that signed a request, nil for the key of the service, and the region
// and service that it is signed for.
func (c *awsCloud) prove(r *http.Request, body string) (*awsLease, string) {
	var id, date, region, service, names, signature string
	text := strings.NewReplacer("/", " ", ",", " ", "=", " ").Replace(r.Header.Get("Authorization"))
	if _, err := fmt.Sscanf(text, "AWS4-HMAC-SHA256 Credential %s %s %s %s aws4_request SignedHeaders %s Signature %s",
		&id, &date, &region, &service, &names, &signature); err != nil {
		c.t.Errorf("Authorization = %q: %v", r.Header.Get("Authorization"), err)
		return nil, ""
	}
	secret, token, lease := awsKey.Secret, "", c.leases[id]
	if lease != nil {
		secret, token = lease.secret, lease.token
	} else if id != awsKey.ID {
		c.t.Errorf("the key %s is unknown", id)
		return nil, ""
	}
	canonical := "POST\n" + r.URL.EscapedPath() + "\n\n"
	for name := range strings.SplitSeq(names, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + names + "\n" + sum(body)
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	want := mac(key, "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+
		strings.Join([]string{date, region, service, "aws4_request"}, "/")+"\n"+sum(canonical))
	if signature != fmt.Sprintf("%x", want) || r.Header.Get("X-Amz-Security-Token") != token {
		c.t.Errorf("the signature of %s is invalid", id)
	}
	return lease, region + "/" + service
}

// assumeRole answers AssumeRole.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (c *awsCloud) assumeRole(w http.ResponseWriter, body string) {
	in, err := url.ParseQuery(body)
	if err != nil {
		c.t.Error(err)
	}
	get := func(name string) string {
		value := in.Get(name)
		in.Del(name)
		return value
	}
	role, session, text := get("RoleArn"), get("RoleSessionName"), get("Policy")
	bot := get("Tags.member.1.Value")
	user := get("Tags.member.3.Value")
	seconds, _ := strconv.Atoi(get("DurationSeconds"))
	if get("Action")+get("Version") != "AssumeRole2011-06-15" || get("SourceIdentity") != session ||
		session != "DingTalk."+user || get("Tags.member.1.Key")+get("Tags.member.2.Key")+
		get("Tags.member.2.Value")+get("Tags.member.3.Key") != "configurationplatformDingTalkuser" ||
		get("ExternalId") != "acs:oos:cn-hangzhou:"+awsAccount+":chatconfiguration/"+bot ||
		seconds < 900 || seconds > 3600 || len(in) > 0 {
		c.t.Errorf("AssumeRole with %s", body)
	}
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>of %s</Message></Error></ErrorResponse>",
			code, awsAccount)
	}
	switch {
	case strings.HasSuffix(role, ":role/chatconf-operator-refused"):
		refuse(http.StatusForbidden, "AccessDenied")
		return
	case strings.HasSuffix(role, ":role/chatconf-operator-throttled"):
		refuse(http.StatusBadRequest, "Throttling")
		return
	case role != "arn:aws:iam::"+awsAccount+":role/chatconf-operator":
		c.t.Errorf("the role %q is unknown", role)
	}
	var policy struct {
		Version   string
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil || policy.Version != "2012-10-17" {
		c.t.Errorf("the session policy is %s: %v", text, err)
	}
	one := &awsLease{secret: "not-a-real-secret-of-" + newNonce(), token: "not-a-real-token-" + newNonce(),
		grants: make(map[string]bool)}
	for _, s := range policy.Statement {
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				one.grants[action+" "+resource] = false
			}
		}
		if s.Effect != "Allow" {
			c.t.Errorf("the session policy is %s", text)
		}
	}
	c.secrets = append(c.secrets, one.secret, one.token)
	id := "ASIA" + strings.ToUpper(newNonce())
	c.leases[id] = one
	type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
	answer := must(xml.Marshal(struct {
		XMLName     xml.Name    `xml:"AssumeRoleResponse"`
		Credentials credentials `xml:"AssumeRoleResult>Credentials"`
	}{Credentials: credentials{id, one.secret, one.token,
		time.Now().Add(15 * time.Minute).UTC().Format(time.RFC3339)}}))(c.t)
	w.Write(answer)
}

// need asks that the policy of a session has rights, word for word.
func (c *awsCloud) need(l *awsLease, action string, resources ...string) {
	for _, resource := range resources {
		grant := action + " " + resource
		if _, ok := l.grants[grant]; !ok {
			c.t.Errorf("the session may not do %s, only %v", grant, slices.Collect(maps.Keys(l.grants)))
		}
		l.grants[grant] = true
	}
}

// operation answers an operation of Systems Manager or Step Functions, with the code of an error or
// without.
func (c *awsCloud) operation(l *awsLease, target string, in awsFields) (answer any, code string) {
	ssm, states := "arn:aws:ssm:eu-central-1:"+awsAccount+":", "arn:aws:states:eu-central-1:"+awsAccount+":"
	_, operation, _ := strings.Cut(target, ".")
	switch operation {
	case "StartAutomationExecution":
		c.need(l, "ssm:"+operation, ssm+"document/"+in.DocumentName,
			ssm+"automation-definition/"+in.DocumentName+":$DEFAULT")
		id, code := c.start(in.DocumentName, in.ClientToken, strings.Join(in.Parameters["Token"], ""), newNonce())
		return object{"AutomationExecutionId": id}, code
	case "GetAutomationExecution":
		c.need(l, "ssm:"+operation, ssm+"automation-execution/"+in.AutomationExecutionId)
		e, state := c.look(in.AutomationExecutionId)
		status := map[string]string{"running": "InProgress", "succeeds": "Success", "fails": "Failed",
			"times-out": "TimedOut", "stopped": "Cancelled"}[state]
		if status == "" {
			return nil, "AutomationExecutionNotFoundException"
		}
		out := object{"AutomationExecutionId": in.AutomationExecutionId, "AutomationExecutionStatus": status}
		switch state {
		case "running":
			out["CurrentStepName"], out["CurrentAction"] = "check", "aws:executeScript"
		case "succeeds":
			out["Outputs"] = object{"check.Says": []string{e.name + " says " + e.token}}
		default:
			out["FailureMessage"] = e.name + " says " + e.token
		}
		return object{"AutomationExecution": out}, ""
	case "StopAutomationExecution":
		c.need(l, "ssm:"+operation, ssm+"automation-execution/"+in.AutomationExecutionId)
		if in.Type != "Cancel" {
			c.t.Errorf("it is stopped by %q", in.Type)
		}
		c.executions[in.AutomationExecutionId].ending = true
		return object{}, ""
	case "StartExecution":
		c.need(l, "states:"+operation, in.StateMachineArn)
		var input struct{ Token string }
		if err := json.Unmarshal([]byte(in.Input), &input); err != nil {
			c.t.Errorf("the input is %s: %v", in.Input, err)
		}
		name := strings.TrimPrefix(in.StateMachineArn, states+"stateMachine:")
		id, code := c.start(name, in.Name, input.Token, states+"execution:"+name+":"+in.Name)
		return object{"executionArn": id, "startDate": 1}, code
	case "DescribeExecution":
		c.need(l, "states:"+operation, in.ExecutionArn)
		e, state := c.look(in.ExecutionArn)
		status := map[string]string{"running": "RUNNING", "succeeds": "SUCCEEDED", "fails": "FAILED",
			"times-out": "TIMED_OUT", "stopped": "ABORTED"}[state]
		if status == "" {
			return nil, "ExecutionDoesNotExist"
		}
		out := object{"executionArn": in.ExecutionArn, "status": status}
		switch state {
		case "running":
		case "succeeds":
			out["output"] = jsonText(e.name + " says " + e.token)
		default:
			out["error"], out["cause"] = "Planned", e.name+" says "+e.token
		}
		return out, ""
	case "StopExecution":
		c.need(l, "states:"+operation, in.ExecutionArn)
		c.executions[in.ExecutionArn].ending = true
		return object{"stopDate": 1}, ""
	}
	c.t.Errorf("%s is unknown", target)
	return nil, "UnknownOperationException"
}

// start starts one execution for a token.
func (c *awsCloud) start(name, idempotent, token, id string) (string, string) {
	switch name {
	case "refused":
		return "", "AccessDeniedException"
	case "throttled":
		return "", "ThrottlingException"
	}
	if before, ok := c.byToken[idempotent]; ok {
		return before, ""
	}
	c.byToken[idempotent], c.executions[id] = id, &awsExecution{name: name, token: token}
	return id, ""
}

// look returns an execution and its state: running at first, then what its name says; empty if it
// is unknown.
func (c *awsCloud) look(id string) (*awsExecution, string) {
	e := c.executions[id]
	if e == nil {
		return nil, ""
	}
	e.asked++
	switch {
	case e.ending:
		return e, "stopped"
	case e.name == "runs" || e.asked == 1:
		return e, "running"
	}
	return e, e.name
}

// invoke answers Invoke. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func (c *awsCloud) invoke(w http.ResponseWriter, l *awsLease, name string, payload []byte) {
	c.need(l, "lambda:InvokeFunction", "arn:aws:lambda:eu-central-1:"+awsAccount+":function:"+name)
	var event struct {
		Subject string
		Data    struct{ Parameters struct{ Token string } }
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		c.t.Errorf("the event is %s: %v", payload, err)
	}
	said := event.Subject + " says " + event.Data.Parameters.Token
	switch {
	case name == "denied":
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
	case name == "nothing":
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
	case name == "throttled":
		w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
		w.WriteHeader(http.StatusTooManyRequests)
	case event.Subject == "fails":
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		io.WriteString(w, jsonText(object{"errorMessage": said, "errorType": "Planned"}))
	default:
		io.WriteString(w, jsonText(object{"text": said}))
	}
}

// issued returns the secrets of the sessions.
func (c *awsCloud) issued() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.secrets)
}

// checkGrants asks that every session used all that its policy allowed. elsewhere are the actions
// that are done elsewhere.
func (c *awsCloud) checkGrants(elsewhere ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.leases {
		for grant, used := range l.grants {
			if action, _, _ := strings.Cut(grant, " "); !used && !slices.Contains(elsewhere, action) {
				c.t.Errorf("a session was allowed %s, and did not use it", grant)
			}
		}
	}
}
