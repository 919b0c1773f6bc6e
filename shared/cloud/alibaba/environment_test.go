package alibaba_test

import (
	"strings"
	"testing"

	"chatconf/shared/cloud/alibaba"
)

// environment is one with which Alibaba Cloud can be read, and changes to it.
func environment(changes map[string]string) func(string) string {
	return func(name string) string {
		if value, ok := changes[name]; ok {
			return value
		}
		return map[string]string{
			"TABLESTORE_ENDPOINT": "https://i.cn-hangzhou.ots.aliyuncs.com", "TABLESTORE_INSTANCE": "i",
			"TABLESTORE_ACCESS_KEY_ID": "LTAIown", "TABLESTORE_ACCESS_KEY_SECRET": planted,
			"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIother", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": planted,
		}[name]
	}
}

func TestRead(t *testing.T) {
	for signedBy, changes := range map[string]map[string]string{
		"LTAIown of TABLESTORE_ACCESS_KEY_ID": nil,
		"LTAIother of ALIBABA_CLOUD_ACCESS_KEY_ID": {"TABLESTORE_ACCESS_KEY_ID": "",
			"TABLESTORE_ACCESS_KEY_SECRET": ""},
		"": {
			"TABLESTORE_ACCESS_KEY_ID": "", "TABLESTORE_ACCESS_KEY_SECRET": "",
			"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "",
		},
	} {
		c, err := alibaba.Read(environment(changes))
		if err != nil || c.SignedBy != signedBy || c.Store != "tablestore" ||
			c.Where != "instance i" || c.Probe != nil {
			t.Errorf("Read = %+v, %v, want requests signed by %q", c, err, signedBy)
		}
		c.Close()
	}
}

// Every mistake is reported by its variable, and no secret is shown.
func TestReadMistakes(t *testing.T) {
	mistakes := map[string]string{
		"TABLESTORE_ENDPOINT": "nowhere", "TABLESTORE_INSTANCE": "", "TABLESTORE_ACCESS_KEY_ID": "",
		"CHATCONF_KMS_ENDPOINT": "http://kms.example", "CHATCONF_FC_ENDPOINT": "ftp://fc.example",
		"CHATCONF_ROOTS": "/nowhere.pem",
	}
	_, all := alibaba.Read(environment(mistakes))
	for name, value := range mistakes {
		_, err := alibaba.Read(environment(map[string]string{name: value}))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s=%q: %v", name, value, err)
		}
		if all == nil || !strings.Contains(all.Error(), name) {
			t.Errorf("%s is not among all mistakes: %v", name, all)
		}
	}
	half := map[string]string{
		"TABLESTORE_ACCESS_KEY_ID":     "TABLESTORE_ACCESS_KEY_SECRET is set without TABLESTORE_ACCESS_KEY_ID",
		"TABLESTORE_ACCESS_KEY_SECRET": "TABLESTORE_ACCESS_KEY_ID is set without TABLESTORE_ACCESS_KEY_SECRET",
	}
	for name, want := range half { // and not the other key, which is whole
		if _, err := alibaba.Read(environment(map[string]string{name: ""})); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q", name, err, want)
		}
	}
}

// The services that commands run in are read from the same environment, without a store.
func TestReadServices(t *testing.T) {
	mistakes := map[string]string{
		"TABLESTORE_ACCESS_KEY_ID": "", "CHATCONF_STS_ENDPOINT": "http://sts.example",
		"CHATCONF_OOS_ENDPOINT": "ftp://oos.example", "CHATCONF_FC_ENDPOINT": "fc", "CHATCONF_ROOTS": "/nowhere.pem",
		"CHATCONF_MNS_ENDPOINT": "mns",
	}
	_, all := alibaba.ReadServices(environment(mistakes))
	for name, value := range mistakes {
		_, err := alibaba.ReadServices(environment(map[string]string{name: value}))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s=%q: %v", name, value, err)
		}
		if all == nil || !strings.Contains(all.Error(), name) {
			t.Errorf("%s is not among all mistakes: %v", name, all)
		}
	}
	s, err := alibaba.ReadServices(environment(map[string]string{"TABLESTORE_ENDPOINT": "", "TABLESTORE_INSTANCE": "",
		"FC_ACCOUNT_ID": "1", "FC_REGION": "cn-beijing"}))
	if err != nil || s.Roles == nil || s.Executions == nil {
		t.Fatalf("ReadServices = %+v, %v", s, err)
	}
	if _, resource := s.Functions.Right("", "f"); resource != "acs:fc:cn-beijing:1:functions/f" {
		t.Errorf("functions are at %s", resource)
	}
	s.Close()
}
