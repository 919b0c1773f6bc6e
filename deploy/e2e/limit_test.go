package e2e_test

import (
	"errors"
	"net/http"
	"regexp"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
)

func TestTheQuota(t *testing.T) {
	t.Parallel()
	s := serve(t, "CHATCONF_MAX_CONFIGURATIONS=3")
	client := s.client(t)
	for _, name := range []string{"one", "two", "three"} {
		create(t, client, name)
	}
	make := func(region, name string) error {
		_, err := client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
			RegionId: dara.String(region), Name: dara.String(name), Type: dara.String("DingTalk"),
			Configuration: dara.String(dingTalk(name)),
		})
		return err
	}
	wantSDKError(t, make("cn-hangzhou", "four"), http.StatusBadRequest, "QuotaExceeded.ChatConfiguration")
	if err := make("cn-beijing", "four"); err != nil {
		t.Errorf("another region: %v", err)
	}
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("two")}))(t)
	if err := make("cn-hangzhou", "four"); err != nil {
		t.Errorf("after a delete: %v", err)
	}
	s.kill()
	client = s.restart("CHATCONF_MAX_CONFIGURATIONS=3").client(t)
	wantSDKError(t, make("cn-hangzhou", "five"), http.StatusBadRequest, "QuotaExceeded.ChatConfiguration")
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var other accessKey
	if store.name == storeFile {
		other = createKey(t, data, "other", "--admin")
	}
	// One request in twenty seconds, so that the second comes too early however slow the machine
	// is.
	s := serveOn(t, data, "CHATCONF_REQUESTS_PER_SECOND=0.05")
	s.send(t, newACS3(s.key, "ListChatConfigurations")).ok(t, nil)

	a := s.send(t, newV1(s.key, "ListChatConfigurations"))
	a.wantFault(t, http.StatusTooManyRequests, "Throttling.User")
	seconds := a.header.Get("Retry-After")
	if !regexp.MustCompile(`^(1?\d|20)$`).MatchString(seconds) {
		t.Errorf("Retry-After = %q, want seconds up to 20", seconds)
	}
	if got, want := a.header.Get("x-acs-retry-after"), seconds+"000"; got != want {
		t.Errorf("x-acs-retry-after = %q, want milliseconds: %s", got, want)
	}
	if got := a.header.Get("x-ratelimit-user"); !regexp.MustCompile(`^Limit:\d+,Remain:0,TimeLeft:` +
		seconds + `$`).MatchString(got) {
		t.Errorf("x-ratelimit-user = %q, want TimeLeft:%s", got, seconds)
	}

	_, err := s.client(t).ListChatConfigurations(&oos.ListChatConfigurationsRequest{})
	var e *tea.SDKError
	if !errors.As(err, &e) || dara.StringValue(e.Code) != "Throttling.User" {
		t.Errorf("the SDK's error = %v, want Throttling.User", err)
	}
	if store.name != storeFile {
		return
	}
	must(s.clientOf(t, other).ListChatConfigurations(&oos.ListChatConfigurationsRequest{}))(t)
	// Who cannot sign cannot use up a key's requests.
	s.send(t, newACS3(accessKey{other.ID, "wrong"}, "ListChatConfigurations")).wantFault(t,
		http.StatusBadRequest, "SignatureDoesNotMatch")
}

func TestWithoutASettingNothingIsThrottled(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for range 200 {
		s.send(t, newACS3(s.key, "ListChatConfigurations")).ok(t, nil)
	}
}
