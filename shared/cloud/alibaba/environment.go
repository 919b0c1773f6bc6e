package alibaba

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
)

// Read configures Alibaba Cloud from the environment, with Tablestore as its store. The error lists
// every mistake with its variable, and no secret.
//
//	TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE    required
//	TABLESTORE_ACCESS_KEY_ID, …_SECRET          for invocations without credentials; default
//	                                            ALIBABA_CLOUD_…, also with a security token
//	CHATCONF_KMS_ENDPOINT                       default https://kms.<region>.aliyuncs.com
//	CHATCONF_FC_ENDPOINT                        default https://<account>.<region>.fc.aliyuncs.com
//	FC_REGION, FC_ACCOUNT_ID                    default CHATCONF_REGION, CHATCONF_ACCOUNT_ID
//	CHATCONF_ROOTS                              see cloud.Trust
func Read(getenv func(string) string) (cloud.Cloud, error) {
	var mistakes []error
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	o := tablestore.Options{Endpoint: getenv("TABLESTORE_ENDPOINT"), Instance: getenv("TABLESTORE_INSTANCE")}
	_, err := tablestore.New("t", tablestore.Options{Endpoint: o.Endpoint, Instance: "i"})
	if o.Endpoint == "" {
		err = errors.New("set it to the endpoint of the instance, such as https://ops.cn-hangzhou.ots.aliyuncs.com")
	}
	wrong("TABLESTORE_ENDPOINT", err)
	_, err = tablestore.New("t", tablestore.Options{Endpoint: "https://endpoint", Instance: o.Instance})
	if o.Instance == "" {
		err = errors.New("set it to the name of the instance")
	}
	wrong("TABLESTORE_INSTANCE", err)
	credentials, key, err := credentialsOf(getenv)
	mistakes = append(mistakes, err)
	transport := tablestore.NewTransport()
	mistakes = append(mistakes, cloud.Trust(transport, getenv, Roots))
	o.Credentials, o.Transport = credentials, transport
	api := Options{
		Region:      regionOf(getenv),
		Credentials: credentials,
		Transport:   transport,
	}
	api.Endpoint = getenv("CHATCONF_KMS_ENDPOINT")
	keys, err := NewKeys(api)
	wrong("CHATCONF_KMS_ENDPOINT", err)
	api.Endpoint = getenv("CHATCONF_FC_ENDPOINT")
	functions, err := NewFunctions(accountOf(getenv), api)
	wrong("CHATCONF_FC_ENDPOINT", err)
	if err := errors.Join(mistakes...); err != nil {
		return cloud.Cloud{}, err
	}
	return cloud.Cloud{
		Store:    "tablestore",
		Engine:   "Tablestore",
		Where:    "instance " + o.Instance,
		SignedBy: key,
		OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
			o := o
			o.TTL = ttl
			return tablestore.New(name, o)
		},
		Unseal: keys.Open,
		Start:  functions.Start,
		Close:  transport.CloseIdleConnections,
	}, nil
}

func regionOf(getenv func(string) string) string {
	return cmp.Or(getenv("FC_REGION"), getenv("CHATCONF_REGION"), "cn-hangzhou")
}

func accountOf(getenv func(string) string) string {
	return cmp.Or(getenv("FC_ACCOUNT_ID"), getenv("CHATCONF_ACCOUNT_ID"), "account")
}

// Services are the services of Alibaba Cloud that run commands, and STS, which issues the
// credentials of their roles.
type Services struct {
	Roles      *Roles
	Executions *Executions
	Functions  *Functions
	Topics     *Topics
	Close      func() // closes idle connections
}

// ReadServices configures the services from the environment, as Read does. It sends nothing.
//
//	CHATCONF_STS_ENDPOINT    default https://sts.<region>.aliyuncs.com
//	CHATCONF_OOS_ENDPOINT    default https://oos.<region of the configuration>.aliyuncs.com
//	CHATCONF_MNS_ENDPOINT    default https://<account of the topic>.mns.<its region>.aliyuncs.com
func ReadServices(getenv func(string) string) (Services, error) {
	credentials, _, err := credentialsOf(getenv)
	mistakes := []error{err}
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	transport := tablestore.NewTransport()
	mistakes = append(mistakes, cloud.Trust(transport, getenv, Roots))
	s := Services{Close: transport.CloseIdleConnections}
	api := Options{Region: regionOf(getenv), Credentials: credentials, Transport: transport}
	api.Endpoint = getenv("CHATCONF_STS_ENDPOINT")
	s.Roles, err = NewRoles(api)
	wrong("CHATCONF_STS_ENDPOINT", err)
	api.Endpoint = getenv("CHATCONF_OOS_ENDPOINT")
	s.Executions, err = NewExecutions(api)
	wrong("CHATCONF_OOS_ENDPOINT", err)
	api.Endpoint = getenv("CHATCONF_FC_ENDPOINT")
	s.Functions, err = NewFunctions(accountOf(getenv), api)
	wrong("CHATCONF_FC_ENDPOINT", err)
	api.Endpoint = getenv("CHATCONF_MNS_ENDPOINT")
	s.Topics, err = NewTopics(api)
	wrong("CHATCONF_MNS_ENDPOINT", err)
	if err := errors.Join(mistakes...); err != nil {
		return Services{}, err
	}
	return s, nil
}

// credentialsOf returns the credentials of the environment and a display name for them. They may be
// empty, because invocations have the credentials of the role. Half an access key is an error.
func credentialsOf(getenv func(string) string) (_ invoke.Credentials, key string, err error) {
	for _, prefix := range []string{"TABLESTORE_", "ALIBABA_CLOUD_"} {
		idName, secretName := prefix+"ACCESS_KEY_ID", prefix+"ACCESS_KEY_SECRET"
		id, secret := getenv(idName), getenv(secretName)
		switch {
		case id == "" && secret == "":
			continue
		case secret == "":
			return invoke.Credentials{}, "", fmt.Errorf("%s is set without %s; set both or neither", idName, secretName)
		case id == "":
			return invoke.Credentials{}, "", fmt.Errorf("%s is set without %s; set both or neither", secretName, idName)
		}
		c := invoke.Credentials{AccessKeyID: id, AccessKeySecret: secret}
		if prefix == "ALIBABA_CLOUD_" {
			c.SecurityToken = getenv("ALIBABA_CLOUD_SECURITY_TOKEN")
		}
		return c, id + " of " + idName, nil
	}
	return invoke.Credentials{}, "", nil
}
