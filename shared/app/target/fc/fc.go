// Package fc is Alibaba Cloud as a target: Function Compute, Tablestore and KMS.
package fc

import (
	"errors"
	"fmt"
	"time"

	"chatconf/shared/app/target"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/invoke"
	runtime "chatconf/shared/serve/fc"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
)

// Read returns the target that the environment describes. The error lists every mistake, each with the variable's name, and no secret.
//
//	TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE                  required
//	TABLESTORE_ACCESS_KEY_ID, TABLESTORE_ACCESS_KEY_SECRET    of invocations that bring no credentials; else the same under
//	                                                          ALIBABA_CLOUD_…, with a security token
//	CHATCONF_KMS_ENDPOINT                                     default https://kms.<region>.aliyuncs.com, by FC_REGION or CHATCONF_REGION
//	CHATCONF_FC_ENDPOINT                                      default https://<account>.<region>.fc.aliyuncs.com, likewise, and by
//	                                                          FC_ACCOUNT_ID or CHATCONF_ACCOUNT_ID
//	CHATCONF_ROOTS                                            see target.Dial
func Read(getenv func(string) string) (target.Target, error) {
	var mistakes []error
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	o := tablestore.Options{Endpoint: getenv("TABLESTORE_ENDPOINT"), Instance: getenv("TABLESTORE_INSTANCE")}
	_, err := tablestore.New("t", tablestore.Options{Endpoint: o.Endpoint, Instance: "i"})
	wrong("TABLESTORE_ENDPOINT", err)
	_, err = tablestore.New("t", tablestore.Options{Endpoint: "https://endpoint", Instance: o.Instance})
	wrong("TABLESTORE_INSTANCE", err)
	o.Credentials, err = credentials(getenv)
	mistakes = append(mistakes, err)
	transport := tablestore.NewTransport()
	mistakes = append(mistakes, target.Dial(transport, getenv, alibaba.Roots))
	o.Transport = transport
	api := alibaba.Options{
		Region:      target.FirstOf(getenv("FC_REGION"), getenv("CHATCONF_REGION"), "cn-hangzhou"),
		Credentials: o.Credentials,
		Transport:   transport,
	}
	api.Endpoint = getenv("CHATCONF_KMS_ENDPOINT")
	keys, err := alibaba.NewKeys(api)
	wrong("CHATCONF_KMS_ENDPOINT", err)
	api.Endpoint = getenv("CHATCONF_FC_ENDPOINT")
	functions, err := alibaba.NewFunctions(target.FirstOf(getenv("FC_ACCOUNT_ID"), getenv("CHATCONF_ACCOUNT_ID"), "account"), api)
	wrong("CHATCONF_FC_ENDPOINT", err)
	if err := errors.Join(mistakes...); err != nil {
		return target.Target{}, err
	}
	return target.Target{
		Runtime: runtime.Runtime,
		Store:   "tablestore",
		Where:   "instance " + o.Instance,
		OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
			o := o
			o.TTL = ttl
			return tablestore.New(name, o)
		},
		Unseal: keys.Open,
		Call:   functions.Call,
		Start:  functions.Start,
		Close:  transport.CloseIdleConnections,
	}, nil
}

// credentials returns those of the environment, none if it has none: an invocation brings the role's.
func credentials(getenv func(string) string) (invoke.Credentials, error) {
	for _, prefix := range []string{"TABLESTORE_", "ALIBABA_CLOUD_"} {
		id, secret := getenv(prefix+"ACCESS_KEY_ID"), getenv(prefix+"ACCESS_KEY_SECRET")
		if (id == "") != (secret == "") {
			return invoke.Credentials{}, fmt.Errorf("%[1]sACCESS_KEY_ID: wanted together with %[1]sACCESS_KEY_SECRET, or neither of them", prefix)
		}
		if id != "" {
			c := invoke.Credentials{AccessKeyID: id, AccessKeySecret: secret}
			if prefix == "ALIBABA_CLOUD_" {
				c.SecurityToken = getenv("ALIBABA_CLOUD_SECURITY_TOKEN")
			}
			return c, nil
		}
	}
	return invoke.Credentials{}, nil
}
