package aws_test

import (
	"testing"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/cloud/cloudtest"
)

func TestRoots(t *testing.T) {
	cloudtest.CheckRoots(t, aws.RootsPEM, []string{
		"8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e Amazon Root CA 1",
		"1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4 Amazon Root CA 2",
		"18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4 Amazon Root CA 3",
		"e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092 Amazon Root CA 4",
		"568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5 Starfield Services Root Certificate " +
			"Authority - G2",
	})
	for host, want := range map[string]bool{
		"dynamodb.eu-central-1.amazonaws.com": true, "dynamodb.cn-north-1.amazonaws.com.cn": true,
		"dynamodb.eu-central-1.api.aws": true,
		"notamazonaws.com":              false, "i.ots.aliyuncs.com": false,
	} {
		if got := aws.Roots.Covers(host); got != want {
			t.Errorf("%s is covered: %v, want %v", host, got, want)
		}
	}
}
