package alibaba_test

import (
	"testing"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/cloudtest"
)

func TestRoots(t *testing.T) {
	cloudtest.CheckRoots(t, alibaba.RootsPEM, []string{
		"ebd41040e4bb3ec742c9e381d31ef2a41a48b6685c96e7cef3c1df6cd4331c99 GlobalSign Root CA",
		"cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b GlobalSign",
		"2cabeafe37d06ca22aba7391c0033d25982952c453647349763a3ab5ad6ccf69 GlobalSign",
		"4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9 GlobalSign Root R46",
		"4348a0e9444c78cb265e058d5e8944b4d84f9662bd26db257f8934a443c70161 DigiCert Global Root CA",
		"cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f DigiCert Global Root G2",
	})
	for host, want := range map[string]bool{"i.cn-hangzhou.ots.aliyuncs.com": true,
		"aliyuncs.com.evil.example": false} {
		if got := alibaba.Roots.Covers(host); got != want {
			t.Errorf("%s is covered: %v, want %v", host, got, want)
		}
	}
}
