package oos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// call signs a request as the aliyun CLI does, sends it, and decodes the answer into out.
func call(address string, key sign.Key, nonce string, params map[string]string, out any) error {
	values := make(url.Values)
	for name, value := range params {
		values.Set(name, value)
	}
	if err := key.SignV1(http.MethodPost, values, time.Now(), nonce); err != nil {
		return err
	}
	resp, err := http.PostForm(address, values)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(out)
}

// A program assumes a role with a session policy that is wider than its work, and starts an
// execution. The clock is ours, so the execution ends at once, and what was too wide is listed.
func Example() {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	account, err := sts.New(sts.Options{
		Users: []sts.User{{Name: "bot", KeyID: "id", KeySecret: "secret", Policies: []string{
			`{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`}}},
		Roles: []sts.Role{{
			Name: "ops",
			Trust: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
				"Principal":{"RAM":"acs:ram::1234567890123456:user/bot"}}]}`,
			Policies: []string{`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*"}]}`},
		}},
		Now: func() time.Time { return now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	executions, err := oos.New(oos.Options{Account: account, Templates: []oos.Template{{
		Name: "restart", Steps: []oos.Step{{Name: "reboot", Takes: time.Minute}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	bank, service := httptest.NewServer(account.Handler()), httptest.NewServer(executions)
	defer bank.Close()
	defer service.Close()

	var lent struct {
		Credentials struct{ AccessKeyId, AccessKeySecret, SecurityToken string }
	}
	err = call(bank.URL, sign.Key{ID: "id", Secret: "secret"}, "1", map[string]string{
		"Action": "AssumeRole", "Version": "2015-04-01",
		"RoleArn": "acs:ram::1234567890123456:role/ops", "RoleSessionName": "alice",
		"Policy": `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:StartExecution","Resource":[
			"acs:oos:cn-hangzhou:1234567890123456:template/*",
			"acs:oos:cn-hangzhou:1234567890123456:execution/*"]}]}`,
	}, &lent)
	fmt.Println("assume:", err)
	c := lent.Credentials
	session := sign.Key{ID: c.AccessKeyId, Secret: c.AccessKeySecret, SecurityToken: c.SecurityToken}
	var started struct{ Execution struct{ Status string } }
	err = call(service.URL, session, "2", map[string]string{
		"Action": "StartExecution", "Version": "2019-06-01", "TemplateName": "restart",
	}, &started)
	fmt.Println("start:", started.Execution.Status, err)

	fmt.Println(executions.Executions()[0].Status)
	now = now.Add(time.Minute)
	fmt.Println(executions.Executions()[0].Status)
	for _, grant := range account.Unused() {
		fmt.Println("too wide:", grant.Action, "on", grant.Resource)
	}
	// Output:
	// assume: <nil>
	// start: Started <nil>
	// Running
	// Success
	// too wide: oos:StartExecution on acs:oos:cn-hangzhou:1234567890123456:template/*
}
