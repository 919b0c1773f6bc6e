package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/dispatch"
	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
	targetalibaba "chatconf/shared/target/alibaba"
)

// The values of --emulate.
const (
	emulateOOS = "oos"
	emulateSTS = "sts"
)

// The access key and the roles of the emulated account: for executions, for the steps of templates,
// and for functions on this machine. They are valid nowhere else, so they are not secret. The key
// cannot assume the role for functions: everyone on this machine knows it.
const (
	emulatedKeyID     = "emulated-key"
	emulatedKeySecret = "not-a-real-secret"
	emulatedRole      = "chatconf-operator"
	emulatedSteps     = "chatconf-steps"
	emulatedInvoker   = "chatconf-invoker"
)

// emulatedBody is how much memory a request to an emulator needs, in bytes.
const emulatedBody = 4 << 20

// emulators are the emulators of --emulate. A nil *emulators is empty.
type emulators struct {
	secret.Hidden
	account *sts.Account
	region  string
	urls    map[string]string   // by name
	key     runtime.Credentials // of the functions
	stop    func()              // ends them, and waits until they have ended
}

// functionsKey returns the access key that functions have on this machine: a new one, which the
// emulators accept too.
func (e *emulators) functionsKey() (runtime.Credentials, error) {
	if e != nil {
		return e.key, nil
	}
	id, text, err := accesskey.Draw(rand.Reader)
	return runtime.Credentials{AccessKeyID: id, AccessKeySecret: text.Reveal()}, err
}

// environment returns the settings with which functions of FC use the emulators.
func (e *emulators) environment() map[string]string {
	out := make(map[string]string)
	if e != nil {
		for name, variable := range map[string]string{emulateOOS: "CHATCONF_OOS_ENDPOINT",
			emulateSTS: "CHATCONF_STS_ENDPOINT"} {
			if url := e.urls[name]; url != "" {
				out[variable] = url
			}
		}
	}
	return out
}

// splitEmulate returns the values of --emulate that name services of a cloud, and those that name
// chat platforms, each once.
func splitEmulate(names []string) (services, platforms []string, err error) {
	for _, name := range names {
		switch {
		case name == emulateOOS || name == emulateSTS:
			services = append(services, name)
		case standIns[name] != "":
			platforms = append(platforms, name)
		default:
			return nil, nil, usagef("unknown --emulate %q; use one or more of %s, such as --emulate %s,%s", name,
				strings.Join(append([]string{emulateOOS, emulateSTS}, slices.Sorted(maps.Keys(standIns))...), ", "),
				emulateOOS, emulateSTS)
		}
	}
	slices.Sort(platforms)
	return services, slices.Compact(platforms), nil
}

// openEmulators starts the named emulators, each on a free port of this machine.
func openEmulators(ctx context.Context, names []string, settings app.Settings, log *slog.Logger) (*emulators, error) {
	if len(names) == 0 {
		return nil, nil
	}
	key, err := (*emulators)(nil).functionsKey()
	if err != nil {
		return nil, err
	}
	account, err := sts.New(emulatedAccount(settings.AccountID, key))
	if err != nil {
		return nil, err
	}
	executions, err := oos.New(oos.Options{Account: account, Region: settings.Region, Templates: demoTemplates()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	e := &emulators{account: account, region: settings.Region, urls: make(map[string]string), key: key}
	e.stop = func() { cancel(); running.Wait() }
	for name, handler := range map[string]http.Handler{emulateOOS: executions, emulateSTS: account.Handler()} {
		if !slices.Contains(names, name) {
			continue
		}
		listener, endpoint, _, err := app.Listen("127.0.0.1:0", "", "", log)
		if err != nil {
			e.stop()
			return nil, err
		}
		e.urls[name] = endpoint
		running.Go(func() {
			if err := serve.HTTP(ctx, listener, handler, log, settings.Limits(emulatedBody)); err != nil {
				log.Error("an emulator has ended", "emulator", name, "error", err)
			}
		})
	}
	return e, nil
}

// close ends the emulators.
func (e *emulators) close() {
	if e != nil {
		e.stop()
	}
}

// cloud returns the targets of the emulated cloud; ok is false unless both emulators run.
func (e *emulators) cloud(region string) (c dispatch.Cloud, ok bool, err error) {
	if e == nil || e.urls[emulateOOS] == "" || e.urls[emulateSTS] == "" {
		return dispatch.Cloud{}, false, nil
	}
	environment := e.environment()
	maps.Copy(environment, map[string]string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID": emulatedKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": emulatedKeySecret,
		"CHATCONF_REGION": region, "CHATCONF_ACCOUNT_ID": e.account.ID(),
	})
	if c, err = targetalibaba.Read(func(name string) string { return environment[name] }); err != nil {
		return dispatch.Cloud{}, false, err
	}
	for _, kind := range unemulated { // its requests would go to the real cloud
		c.Targets[kind] = dispatch.Unavailable("the emulators have no targets of type " + kind)
	}
	return c, true, nil
}

// introduce prints the addresses of the emulators, and a call to try.
func (e *emulators) introduce(w io.Writer) {
	if e == nil {
		return
	}
	for _, name := range []string{emulateOOS, emulateSTS} {
		if url := e.urls[name]; url != "" {
			fmt.Fprintf(w, "  %-17s%s\n", strings.ToUpper(name)+" emulator", url)
		}
	}
	fmt.Fprintf(w, "    signed with    %s and the secret %s\n", emulatedKeyID, emulatedKeySecret)
	fmt.Fprintf(w, "    role           acs:ram::%s:role/%s\n", e.account.ID(), emulatedRole)
	if url := e.urls[emulateOOS]; url != "" {
		var names []string
		for _, t := range demoTemplates() {
			names = append(names, t.Name)
		}
		fmt.Fprintf(w, "    templates      %s\n", strings.Join(names, ", "))
		fmt.Fprintf(w, "    role of steps  %s, for the parameter OOSAssumeRole\n", emulatedSteps)
		fmt.Fprintf(w, "    try            aliyun oos StartExecution --endpoint %s "+
			"--insecure --region %s --mode AK \\\n"+
			"      --access-key-id %s --access-key-secret %s \\\n"+
			"      --TemplateName restart-instance --Parameters '{\"InstanceId\":\"i-123\"}'\n",
			strings.TrimPrefix(url, "http://"), e.region, emulatedKeyID, emulatedKeySecret)
	}
}

// emulatedAccount is an account with two users and three roles. The role for executions may pass
// the role for steps, which only OOS can assume. One user may do all of this, and assume the role
// for executions. The other user, for the functions on this machine, may only assume that role and
// the one that may invoke functions.
func emulatedAccount(id string, functions runtime.Credentials) sts.Options {
	const work = `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*","Action":["oos:StartExecution",
		"oos:ListExecutions","oos:CancelExecution","oos:NotifyExecution"]}]}`
	const step = `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*","Action":"ecs:RebootInstance"}]}`
	assume := `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"acs:ram::` + id + `:role/chatconf-*",
		"Action":["sts:AssumeRole","sts:SetSourceIdentity","ram:PassRole"]}]}`
	const call = `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*","Action":"fc:InvokeFunction"}]}`
	pass := `{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:PassRole",
		"Resource":"acs:ram::` + id + `:role/` + emulatedSteps + `"}]}`
	trust := func(principal string) string {
		return `{"Version":"1","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity"],
			"Principal":{` + principal + `}}]}`
	}
	return sts.Options{
		AccountID: id,
		Users: []sts.User{{Name: "chatconf", KeyID: emulatedKeyID, KeySecret: emulatedKeySecret,
			Policies: []string{work, step, assume}},
			{Name: "functions", KeyID: functions.AccessKeyID, KeySecret: functions.AccessKeySecret,
				Policies: []string{assume}}},
		Roles: []sts.Role{
			{Name: emulatedRole, Trust: trust(`"RAM":"acs:ram::` + id + `:root"`),
				Policies: []string{work, step, pass}},
			{Name: emulatedSteps, Trust: trust(`"Service":"oos.aliyuncs.com"`), Policies: []string{step}},
			{Name: emulatedInvoker, Trust: trust(`"RAM":"acs:ram::` + id + `:user/functions"`),
				Policies: []string{call}},
		},
	}
}

// demoTemplates are templates that succeed, run for long, fail, and wait for approval.
func demoTemplates() []oos.Template {
	reboot := []oos.Permission{{Action: "ecs:RebootInstance", Resource: "acs:ecs:*:*:instance/{{ InstanceId }}"}}
	return []oos.Template{
		{
			Name:       "restart-instance",
			RamRole:    "{{ OOSAssumeRole }}",
			Parameters: []oos.Parameter{{Name: "InstanceId", Required: true}, {Name: "OOSAssumeRole"}},
			Steps: []oos.Step{
				{Name: "reboot", Action: "ACS::ECS::RebootInstance", Takes: time.Second, Needs: reboot},
				{Name: "wait", Action: "ACS::Sleep", Takes: 2 * time.Second},
			},
			Outputs: map[string]string{"message": "{{ InstanceId }} has been restarted"},
		},
		{Name: "slow", Steps: []oos.Step{{Name: "wait", Action: "ACS::Sleep", Takes: 10 * time.Minute}}},
		{Name: "fails", Steps: []oos.Step{
			{Name: "check", Action: "ACS::ExecuteApi", Takes: time.Second, Fails: "the disk is full"},
		}},
		{Name: "approve", Steps: []oos.Step{
			{Name: "ask", Action: "ACS::Approve", Approve: true},
			{Name: "wait", Action: "ACS::Sleep", Takes: time.Second},
		}},
	}
}
