package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/table/dynamodb/dynamotest"
)

// Without an access key in the environment the tool is who AWS's own tools would be: a profile,
// with its region, or the role of the instance that it runs on.
func TestWhoTheToolIsOnAWS(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "token")
		case "/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials-extended/":
			fmt.Fprint(w, "operator")
		case "/latest/meta-data/iam/security-credentials/operator",
			"/latest/meta-data/iam/security-credentials-extended/operator":
			fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AKIDINSTANCE",`+
				`"SecretAccessKey":"not-a-real-secret","Token":"t","Expiration":%q}`,
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			http.NotFound(w, r)
		}
	}))
	defer instance.Close()
	for about, test := range map[string]struct {
		env  map[string]string
		want string // in the signature
	}{
		"the environment": {map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDENV",
			"AWS_SECRET_ACCESS_KEY": "not-a-real-secret", "AWS_PROFILE": "ops"},
			"AKIDENV/*/eu-west-1/"},
		"a profile": {map[string]string{"AWS_PROFILE": "ops"}, "AKIDPROFILE/*/eu-central-1/"},
		"a profile in another region": {map[string]string{"AWS_PROFILE": "ops", "AWS_REGION": "eu-west-1"},
			"AKIDPROFILE/*/eu-west-1/"},
		"a program that has credentials": {map[string]string{"AWS_PROFILE": "program"}, "AKIDPROGRAM/*/eu-central-1/"},
		"the role of the instance": {map[string]string{"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "false",
			"AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.URL},
			"AKIDINSTANCE/*/eu-west-1/"},
	} {
		t.Run(about, func(t *testing.T) {
			onDynamo(t)
			var mu sync.Mutex
			var signed []string
			tables := new(dynamotest.Tables)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				signed = append(signed, r.Header.Get("Authorization"))
				mu.Unlock()
				tables.ServeHTTP(w, r)
			}))
			defer server.Close()
			for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID",
				"AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
				t.Setenv(name, "")
			}
			t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			program := `{\"Version\":1,\"AccessKeyId\":\"AKIDPROGRAM\",\"SecretAccessKey\":\"not-a-real-secret\"}`
			t.Setenv("AWS_CONFIG_FILE", write("config",
				"[profile ops]\nregion = eu-central-1\n[profile program]\nregion = "+
					"eu-central-1\ncredential_process = echo \""+program+"\"\n"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write("credentials",
				"[ops]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = not-a-real-secret\n"))
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if out := mustRun(t, "tables", "--target", "lambda"); !strings.Contains(out, "chatconf_keys") {
				t.Errorf("tables: %s", out)
			}
			id, scope, _ := strings.Cut(test.want, "*")
			for _, authorization := range signed {
				if !strings.Contains(authorization, "Credential="+id) || !strings.Contains(authorization, scope) {
					t.Errorf("signed as %s, want %s", authorization, test.want)
				}
			}
			if len(signed) == 0 {
				t.Error("nothing was sent")
			}
		})
	}
	t.Run("a profile that is not there", func(t *testing.T) {
		onDynamo(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_PROFILE", "nobody")
		t.Setenv("AWS_CONFIG_FILE", write("config", ""))
		if _, err := run(t, "", "tables", "--target", "lambda"); !isUsage(err) ||
			!strings.Contains(err.Error(), "nobody") {
			t.Errorf("tables = %v, want a usage error that names the profile", err)
		}
	})
}
