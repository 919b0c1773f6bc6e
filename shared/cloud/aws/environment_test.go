package aws_test

import (
	"strings"
	"testing"

	"chatconf/shared/cloud/aws"
)

// environment is one with which AWS can be read, and changes to it.
func environment(changes map[string]string) func(string) string {
	return func(name string) string {
		if value, ok := changes[name]; ok {
			return value
		}
		return map[string]string{
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": planted,
		}[name]
	}
}

// The store is probed where it may be an emulator.
func TestRead(t *testing.T) {
	for endpoint, probed := range map[string]bool{"": false, "http://127.0.0.1:8000": true} {
		c, err := aws.Read(environment(map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": endpoint}))
		if err != nil || c.Store != "dynamodb" || c.Where != "region eu-central-1" || (c.Probe != nil) != probed {
			t.Fatalf("Read with the endpoint %q = %+v, %v", endpoint, c, err)
		}
		if probed {
			if err := c.Probe(t.Context(), nil); err != nil {
				t.Errorf("a table that is not of DynamoDB: %v", err)
			}
		}
		c.Close()
	}
	without := environment(map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
	if _, err := aws.Read(without); err == nil {
		t.Error("Read without an access key: no error")
	}
	c, err := aws.ReadWith(without, own)
	if err != nil {
		t.Fatalf("ReadWith credentials: %v", err)
	}
	c.Close()
}

// Every mistake is reported by its variable, and no secret is shown.
func TestReadMistakes(t *testing.T) {
	mistakes := map[string]string{
		"AWS_REGION": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL_DYNAMODB": "http://db.example",
		"AWS_ENDPOINT_URL_KMS": "ftp://kms.example", "AWS_ENDPOINT_URL_LAMBDA": "lambda",
		"CHATCONF_ROOTS": "/nowhere.pem",
	}
	_, all := aws.Read(environment(mistakes))
	for name, value := range mistakes {
		_, err := aws.Read(environment(map[string]string{name: value}))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s=%q: %v", name, value, err)
		}
		if all == nil || !strings.Contains(all.Error(), name) {
			t.Errorf("%s is not among all mistakes: %v", name, all)
		}
	}
}

// The services that commands run in are read from the same environment.
func TestReadServices(t *testing.T) {
	mistakes := map[string]string{
		"AWS_REGION": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL_STS": "http://sts.example",
		"AWS_ENDPOINT_URL_SSM": "ftp://ssm.example", "AWS_ENDPOINT_URL_SFN": "states",
		"AWS_ENDPOINT_URL_LAMBDA": "lambda", "AWS_ENDPOINT_URL_SNS": "sns", "CHATCONF_ROOTS": "/nowhere.pem",
	}
	_, all := aws.ReadServices(environment(mistakes))
	for name, value := range mistakes {
		_, err := aws.ReadServices(environment(map[string]string{name: value}))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s=%q: %v", name, value, err)
		}
		if all == nil || !strings.Contains(all.Error(), name) {
			t.Errorf("%s is not among all mistakes: %v", name, all)
		}
	}
	without := environment(map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "",
		"AWS_DEFAULT_REGION": "eu-west-1"})
	s, err := aws.ReadServicesWith(without, own)
	if err != nil || s.Roles == nil || s.StateMachines == nil || s.Functions == nil ||
		s.Automations.Region() != "eu-west-1" {
		t.Fatalf("ReadServicesWith = %+v, %v", s, err)
	}
	s.Close()
}
