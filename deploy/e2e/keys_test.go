package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/tea"
)

// Access keys are made, used, disabled and deleted while the service runs, by the tool that finds
// it in the data directory. Through functions it is the one that manages keys, and another one that
// verifies them, which learns of a change within ten seconds.
func TestKeysWhileTheServiceRuns(t *testing.T) {
	t.Parallel()
	s := serve(t)
	keys := func(args ...string) string {
		t.Helper()
		return command{args: append(append([]string{"keys"}, args...), "--data", s.data), env: []string{
			"ALIBABA_CLOUD_ACCESS_KEY_ID=somebody-else", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=not-a-real-secret",
		}}.run(t).ok(t)
	}
	var made struct{ AccessKeyId, AccessKeySecret, ExpireDate string }
	if err := json.Unmarshal([]byte(keys("create", "--name", "ci", "--read-only", "--expires", "30d", "-o", "json")),
		&made); err != nil {
		t.Fatal(err)
	}
	key := accessKey{made.AccessKeyId, made.AccessKeySecret}
	call := func() string {
		_, err := s.clientOf(t, key).ListChatConfigurations(&oos.ListChatConfigurationsRequest{})
		var refused *tea.SDKError
		if errors.As(err, &refused) {
			return tea.StringValue(refused.Code)
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	within := func(d time.Duration, want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
			if got = call(); got == want || time.Now().After(deadline) {
				break
			}
		}
		if got != want {
			t.Errorf("code = %q after %v, want %q", got, d, want)
		}
	}
	within(0, "")
	_, err := s.clientOf(t, key).DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: tea.String("ops")})
	wantSDKError(t, err, http.StatusForbidden, "NoPermission")
	keys("disable", key.ID)
	within(12*time.Second, "InvalidAccessKeyId.Inactive")
	today := time.Now().UTC().Format(time.DateOnly)
	if out := keys("list"); !strings.Contains(out, "Inactive") || strings.Count(out, today) < 2 ||
		strings.Contains(out, key.Secret) {
		t.Errorf("keys list printed %s, want the day of the last uses", out)
	}
	keys("enable", key.ID)
	within(12*time.Second, "")
	keys("delete", key.ID)
	within(12*time.Second, "InvalidAccessKeyId.NotFound")
}
