package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// TestDoneMeans is what the issue that built the control plane calls done: with the printed key,
// the official SDK creates a DingTalk configuration, reads it back with ******, lists it by type,
// updates it with the mask kept, is refused by a stale If-Match, and deletes it; kill -9 of the
// server in between loses nothing.
func TestDoneMeans(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if !strings.Contains(s.stdout.String(), "access key id    "+s.key.ID+"\n") {
		t.Errorf("serve printed %q, want it to have the access key id", s.stdout)
	}
	client := s.client(t)
	killed := func() {
		t.Helper()
		s.kill()
		s = s.restart()
		client = s.client(t)
	}
	name := dara.String("dingtalk-ops")

	must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name: name, Type: dara.String("DingTalk"),
		Configuration: dara.String(`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret"}`),
	}))(t)
	killed()

	got := must(client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: name}))(t)
	wantEqual(t, "Configuration", got.Body.ChatConfiguration.Configuration,
		`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"******"}`)
	read := extend(nil, headers{"If-Match": dara.StringValue(got.Headers["etag"])})
	killed()

	list := must(client.ListChatConfigurations(&oos.ListChatConfigurationsRequest{
		Filters: filters("Type", "DingTalk")}))(t)
	if n := len(list.Body.ChatConfigurations); n != 1 ||
		dara.StringValue(list.Body.ChatConfigurations[0].Name) != *name {
		t.Fatalf("the list by type is %v", list.Body)
	}
	killed()

	update := &oos.UpdateChatConfigurationRequest{Name: name,
		Configuration: dara.String(`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"******","BotName":"运维"}`)}
	must(client.UpdateChatConfigurationWithOptions(update, read))(t)
	killed()

	_, err := client.UpdateChatConfigurationWithOptions(update, read)
	wantSDKError(t, err, http.StatusConflict, "OperationConflict")
	killed()

	wantEqual(t, "Configuration", get(t, client, *name).Body.ChatConfiguration.Configuration, *update.Configuration)
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: name}))(t)
	killed()

	_, err = client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: name})
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	s.check()
}

// The README's program is run as a newcomer runs it: with the variables that "chatconf env" prints.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var env []string
	for line := range strings.Lines(run(t, "env", "--data", s.data).ok(t)) {
		env = append(env, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "export "))
	}
	for range 2 { // it cleans up after itself
		out := command{env: env}.runProgram(t, quickstart).ok(t)
		want := `^created quickstart
read "\d" \{"DingTalkClientId":"dingexample","DingTalkClientSecret":"\*{6}","BotName":"运维机器人"\}
listed quickstart DingTalk
updated, now "\d"
refused: SDKError:
(?s:.*)OperationConflict(?s:.*)
Chat configuration deleted successfully\.
$`
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("quickstart printed\n%s\nwant\n%s", out, want)
		}
	}
	r := command{env: append(env, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=wrong")}.runProgram(t, quickstart)
	if r.code == 0 || !strings.Contains(r.stderr, "SignatureDoesNotMatch") {
		t.Errorf("with a wrong secret it ends with %d and %s", r.code, r.stderr)
	}
}
