package e2e_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	"github.com/alibabacloud-go/tea/dara"
)

// emulated are a service, the emulators beside it, and the key that they print.
type emulated struct {
	*service
	oos, sts string // host and port
	role     string
	steps    string // the name of the role for steps
	key      accessKey
}

// emulators finds the lines that serve prints of its emulators.
var emulators = regexp.MustCompile(`(?s)OOS emulator +http://(\S+)\n +STS emulator +http://(\S+)\n` +
	` +signed with +(\S+) and the secret (\S+)\n +role +(\S+)\n.*? role of steps +(\S+), for the parameter`)

func serveEmulators(t *testing.T) emulated {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	c := serveCommand(data)
	makeTables(t, data, c.env)
	c.args = append(c.args, "--emulate", "oos,sts")
	s := c.serve(t, data)
	m := emulators.FindStringSubmatch(s.stdout.String())
	if m == nil {
		t.Fatalf("serve prints no emulators:\n%s", s.stdout)
	}
	return emulated{service: s, oos: m[1], sts: m[2], key: accessKey{m[3], m[4]}, role: m[5], steps: m[6]}
}

// config returns what the SDKs need to sign with a key. The token is nil for keys that have none.
func (e emulated) config(endpoint string, algorithm *string, key accessKey, token *string) *openapi.Config {
	return &openapi.Config{
		AccessKeyId: dara.String(key.ID), AccessKeySecret: dara.String(key.Secret), SecurityToken: token,
		Endpoint: dara.String(endpoint), Protocol: dara.String("HTTP"), SignatureAlgorithm: algorithm,
	}
}

// assume assumes the role with a session policy, and returns an OOS client of the session.
func (e emulated) assume(t *testing.T, algorithm *string, policy string) *oos.Client {
	t.Helper()
	client := must(sts.NewClient(e.config(e.sts, algorithm, e.key, nil)))(t)
	answer := must(client.AssumeRole(&sts.AssumeRoleRequest{
		RoleArn: dara.String(e.role), RoleSessionName: dara.String("slack.U1"), Policy: dara.String(policy),
		DurationSeconds: dara.Int64(900), ExternalId: dara.String("acs:oos:cn-hangzhou:1:chatconfiguration/ops"),
		SourceIdentity: dara.String("slack.U1"),
	}))(t)
	c, user := answer.Body.Credentials, answer.Body.AssumedRoleUser
	if got := dara.StringValue(user.Arn); got != e.role+"/slack.U1" ||
		dara.StringValue(answer.Body.SourceIdentity) != "slack.U1" {
		t.Errorf("assumed %q for %q", got, dara.StringValue(answer.Body.SourceIdentity))
	}
	expires := must(time.Parse(time.RFC3339, dara.StringValue(c.Expiration)))(t)
	if left := time.Until(expires); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("the session has %v left, want 15 minutes", left)
	}
	key := accessKey{dara.StringValue(c.AccessKeyId), dara.StringValue(c.AccessKeySecret)}
	return must(oos.NewClient(e.config(e.oos, algorithm, key, c.SecurityToken)))(t)
}

// find returns an execution as ListExecutions has it.
func find(t *testing.T, client *oos.Client, id string) *oos.ListExecutionsResponseBodyExecutions {
	t.Helper()
	answer := must(client.ListExecutions(&oos.ListExecutionsRequest{
		ExecutionId: dara.String(id), RegionId: dara.String("cn-hangzhou")}))(t)
	if n := len(answer.Body.Executions); n != 1 {
		t.Fatalf("%d executions are %s", n, id)
	}
	return answer.Body.Executions[0]
}

// awaitStatus waits until an execution has a status.
func awaitStatus(t *testing.T, client *oos.Client, id, status string) *oos.ListExecutionsResponseBodyExecutions {
	t.Helper()
	tick, limit := time.NewTicker(50*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		e := find(t, client, id)
		if dara.StringValue(e.Status) == status {
			return e
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("execution %s is %s, want %s", id, dara.StringValue(e.Status), status)
		}
	}
}

// The official SDKs of OOS and STS take an execution under an assumed role from its start to its
// end, in both dialects.
func TestSDKsRunExecutionsUnderARole(t *testing.T) {
	t.Parallel()
	e := serveEmulators(t)
	prefix := "acs:oos:cn-hangzhou:" + strings.Split(e.role, ":")[3] + ":"
	policy := jsonText(object{"Version": "1", "Statement": []object{
		{"Effect": "Allow", "Action": "oos:StartExecution",
			"Resource": []string{prefix + "template/restart-instance", prefix + "execution/*"}},
		{"Effect": "Allow", "Action": "oos:ListExecutions", "Resource": prefix + "execution/*"},
		{"Effect": "Allow", "Action": "ecs:RebootInstance", "Resource": "acs:ecs:*:*:instance/i-123"},
	}})
	for _, dialect := range dialects {
		t.Run(dialect.name, func(t *testing.T) {
			client := e.assume(t, dialect.algorithm, policy)
			request := &oos.StartExecutionRequest{
				TemplateName: dara.String("restart-instance"), Parameters: dara.String(`{"InstanceId":"i-123"}`),
				ClientToken: dara.String("record-" + dialect.name), SafetyCheck: dara.String("Skip"),
				Tags: map[string]any{"chatconf-sender": "slack.U1", "dialect": dialect.name},
			}
			first := must(client.StartExecution(request))(t).Body.Execution
			if got := dara.StringValue(first.Status); got != "Started" {
				t.Errorf("status = %s, want Started", got)
			}
			if again := must(client.StartExecution(
				request))(t).Body.Execution; *again.ExecutionId != *first.ExecutionId {
				t.Errorf("the same ClientToken started %s and %s", *first.ExecutionId, *again.ExecutionId)
			}
			ended := awaitStatus(t, client, *first.ExecutionId, "Success")
			wantJSON(t, ended.Outputs, object{"message": "i-123 has been restarted"})
			if ended.Parameters["InstanceId"] != "i-123" || ended.Tags["chatconf-sender"] != "slack.U1" {
				t.Errorf("parameters %v, tags %v", ended.Parameters, ended.Tags)
			}
			if by := dara.StringValue(ended.ExecutedBy); !strings.HasPrefix(by, "chatconf-operator/slack.U1(") {
				t.Errorf("executed by %s", by)
			}
			found := must(client.ListExecutions(&oos.ListExecutionsRequest{Status: dara.String("Success"),
				Tags: map[string]any{"dialect": dialect.name}, MaxResults: dara.Int32(10)}))(t).Body
			if len(found.Executions) != 1 || dara.Int32Value(found.TotalCount) != 1 ||
				dara.StringValue(found.NextToken) != "" {
				t.Errorf("by tag and status: %v", found)
			}

			request.ClientToken, request.Parameters = nil, dara.String(`{"InstanceId":"i-456"}`)
			other := must(client.StartExecution(request))(t).Body.Execution
			failed := awaitStatus(t, client, *other.ExecutionId, "Failed")
			if message := dara.StringValue(failed.StatusMessage); !strings.Contains(message, "ecs:RebootInstance") {
				t.Errorf("message = %q, want what the session may not do", message)
			}
			request.TemplateName = dara.String("slow")
			_, err := client.StartExecution(request)
			refused := wantSDKError(t, err, 403, "NoPermission")
			if detail := refused.AccessDeniedDetail; detail["PolicyType"] != "SessionPolicy" ||
				detail["AuthAction"] != "oos:StartExecution" {
				t.Errorf("detail = %v", detail)
			}
			_, err = client.CancelExecution(&oos.CancelExecutionRequest{ExecutionId: first.ExecutionId})
			wantSDKError(t, err, 403, "NoPermission")
		})
	}
}

// The SDKs cancel, approve, read pages, and get the services' errors.
func TestSDKsCancelApproveAndPage(t *testing.T) {
	t.Parallel()
	e := serveEmulators(t)
	for _, dialect := range dialects {
		t.Run(dialect.name, func(t *testing.T) {
			client := must(oos.NewClient(e.config(e.oos, dialect.algorithm, e.key, nil)))(t)
			start := func(template string) string {
				t.Helper()
				answer := must(client.StartExecution(&oos.StartExecutionRequest{TemplateName: dara.String(template),
					Description: dara.String(dialect.name)}))(t)
				return *answer.Body.Execution.ExecutionId
			}
			slow := start("slow")
			if running := awaitStatus(t, client, slow, "Running"); len(running.CurrentTasks) != 1 {
				t.Errorf("tasks = %v", running.CurrentTasks)
			}
			must(client.CancelExecution(&oos.CancelExecutionRequest{ExecutionId: dara.String(slow)}))(t)
			awaitStatus(t, client, slow, "Cancelled")
			awaitStatus(t, client, start("fails"), "Failed")
			asks := start("approve")
			awaitStatus(t, client, asks, "Waiting")
			must(client.NotifyExecution(&oos.NotifyExecutionRequest{ExecutionId: dara.String(asks),
				NotifyType: dara.String("Approve"), NotifyNote: dara.String("go ahead")}))(t)
			awaitStatus(t, client, asks, "Success")

			for range 9 {
				start("slow")
			}
			seen := make(map[string]bool)
			list := &oos.ListExecutionsRequest{MaxResults: dara.Int32(10), Description: dara.String(dialect.name)}
			for pages := 1; ; pages++ {
				body := must(client.ListExecutions(list))(t).Body
				for _, execution := range body.Executions {
					seen[*execution.ExecutionId] = true
				}
				if list.NextToken = body.NextToken; dara.StringValue(body.NextToken) == "" {
					if pages != 2 || len(seen) != 12 || dara.Int32Value(body.TotalCount) != 12 {
						t.Errorf("%d executions on %d pages, of %d", len(seen), pages, dara.Int32Value(body.TotalCount))
					}
					break
				}
			}

			_, err := client.StartExecution(&oos.StartExecutionRequest{TemplateName: dara.String("none")})
			wantSDKError(t, err, 404, "EntityNotExists.Template")
			_, err = client.CancelExecution(&oos.CancelExecutionRequest{ExecutionId: dara.String(slow)})
			wantSDKError(t, err, 400, "InvalidExecutionStatus")
			wrong := must(oos.NewClient(e.config(e.oos, dialect.algorithm, accessKey{e.key.ID, "wrong"}, nil)))(t)
			_, err = wrong.ListExecutions(&oos.ListExecutionsRequest{})
			wantSDKError(t, err, 400, "SignatureDoesNotMatch")
			bank := must(sts.NewClient(e.config(e.sts, dialect.algorithm, e.key, nil)))(t)
			_, err = bank.AssumeRole(&sts.AssumeRoleRequest{RoleArn: dara.String(e.role + "x"),
				RoleSessionName: dara.String("alice")})
			wantSDKError(t, err, 404, "EntityNotExist.Role")
			_, err = bank.AssumeRole(&sts.AssumeRoleRequest{RoleArn: dara.String(e.role),
				RoleSessionName: dara.String("alice"), Policy: dara.String(strings.Repeat(" ", 2049))})
			wantSDKError(t, err, 400, "InvalidParameter.PolicySize")
		})
	}
}

func TestEmulateTakesKnownNames(t *testing.T) {
	t.Parallel()
	run(t, "serve", "--emulate", "oos,ecs").fails(t, 2,
		`unknown --emulate "ecs"; use one or more of oos, sts, dingtalk`)
}
