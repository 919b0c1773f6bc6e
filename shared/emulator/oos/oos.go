// Package oos emulates the executions of Alibaba Cloud CloudOps Orchestration Service (OOS,
// 2019-06-01) for tests and demonstrations: StartExecution, ListExecutions, CancelExecution and
// NotifyExecution, on the wire of the official SDKs and the aliyun CLI.
//
// Templates are Go values: a few steps, each with a duration and an outcome, and outputs that are
// made from the parameters. Nothing is really run. How far an execution is follows from the
// account's clock alone, so a test moves the clock and sees every state.
//
// Requests are signed by users of an account of package sts, or by its sessions, and both the
// role's policies and the session policy are evaluated, for the operation and for what each step
// needs. Everything is in memory.
package oos

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/emulator/sts"
	"chatconf/shared/page"
	"chatconf/shared/secret"
)

// DefaultRegion is the region of a Server whose Options have none.
const DefaultRegion = "cn-hangzhou"

// service is the name that a role's trust policy must have for its steps to run under it.
const service = "oos.aliyuncs.com"

// Options configure a Server.
type Options struct {
	// Account is whose executions these are. It is required, and gives clock, ids and faults.
	Account *sts.Account
	// Region is the one region. The default is DefaultRegion.
	Region string
	// Templates can be started. Of several with one name the last is the latest version.
	Templates []Template
}

// A Template is what an execution does.
type Template struct {
	Name    string
	Version string // the default is v1
	// RamRole is the role that the steps run under, such as "{{ OOSAssumeRole }}". Empty is the
	// caller's own permissions.
	RamRole    string
	Parameters []Parameter
	// Queued is how long an execution waits for its turn.
	Queued time.Duration
	Steps  []Step
	// Outputs are what a successful execution answers. In a value, {{ name }} stands for a
	// parameter, ACS::ExecutionId, ACS::RegionId or ACS::AccountId.
	Outputs map[string]string
}

// A Parameter is one that a template declares. One that is not Required and not given has the
// Default.
type Parameter struct {
	Name     string
	Default  string
	Required bool
}

// A Step is one task of a template.
type Step struct {
	Name   string
	Action string // such as ACS::ECS::RebootInstance; shown, never run
	Takes  time.Duration
	// Endless steps end only when the execution is cancelled.
	Endless bool
	// Approve waits for a NotifyExecution of type Approve or Reject, as ACS::Approve does.
	Approve bool
	// Risky waits likewise, unless SafetyCheck is Skip.
	Risky bool
	// Fails is the message with which the step fails after its time; empty is success.
	Fails string
	// FailTimes is after how many failures a retried step succeeds. Zero is never.
	FailTimes int
	// Needs are the permissions without which the step fails at once.
	Needs []Permission
}

// A Permission is an action and a resource; the resource may have {{ name }} as Outputs do.
type Permission struct{ Action, Resource string }

// A Server is an emulator: an http.Handler for the root path. Its methods may be called from many
// goroutines at once.
type Server struct {
	secret.Hidden

	handler   http.Handler
	account   *sts.Account
	region    string
	templates []Template
	pages     *page.Codec

	mu         sync.Mutex
	executions []*execution // in the order of their starts
	byToken    map[string]*execution
}

var _ http.Handler = (*Server)(nil)

// New returns a server without executions. All mistakes in the templates are errors.
func New(o Options) (*Server, error) {
	if o.Account == nil {
		return nil, errors.New("oos: no Account")
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	pages, err := page.New(randomKey())
	if err != nil {
		return nil, fmt.Errorf("oos: %w", err)
	}
	s := &Server{
		account: o.Account, region: o.Region, templates: slices.Clone(o.Templates), pages: pages,
		byToken: make(map[string]*execution),
	}
	for i := range s.templates {
		t := &s.templates[i]
		if t.Version == "" {
			t.Version = "v1"
		}
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("oos: template %q: %w", t.Name, err)
		}
		for _, other := range s.templates[:i] {
			if other.Name == t.Name && other.Version == t.Version {
				return nil, fmt.Errorf("oos: template %q has the version %s twice", t.Name, t.Version)
			}
		}
	}
	s.handler = o.Account.Serve(sts.API{
		Product: "Oos", Version: "2019-06-01",
		Operations: map[string]func(*sts.Call) (any, error){
			"StartExecution":  s.start,
			"ListExecutions":  s.list,
			"CancelExecution": s.cancel,
			"NotifyExecution": s.notify,
		},
	})
	return s, nil
}

// ServeHTTP serves OOS.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// templateName is the form of a template's name, but for the words that it must not start with.
var templateName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// check returns an error unless the template can be executed.
func (t *Template) check() error {
	if !templateName.MatchString(t.Name) {
		return errors.New("the name is not of 1 to 200 letters, digits, - and _")
	}
	if len(t.Steps) == 0 {
		return errors.New("no Steps")
	}
	known := map[string]bool{executionID: true, regionID: true, accountID: true}
	for _, p := range t.Parameters {
		if p.Name == "" || known[p.Name] {
			return fmt.Errorf("the parameter %q has no name or is listed twice", p.Name)
		}
		known[p.Name] = true
	}
	texts := []string{t.RamRole}
	for _, text := range t.Outputs {
		texts = append(texts, text)
	}
	for i, step := range t.Steps {
		if step.Name == "" || step.Takes < 0 || step.FailTimes < 0 {
			return fmt.Errorf("field Steps[%d] has no name, or a number below zero", i)
		}
		for _, need := range step.Needs {
			texts = append(texts, need.Resource)
		}
	}
	for _, text := range texts {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				return fmt.Errorf("{{ %s }} is no parameter", m[1])
			}
		}
	}
	return nil
}

// The names that every template knows.
const (
	executionID = "ACS::ExecutionId"
	regionID    = "ACS::RegionId"
	accountID   = "ACS::AccountId"
)

// reference is a parameter in a text.
var reference = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

// template returns a template by its name and version; an empty version is the latest.
func (s *Server) template(name, version string) *Template {
	for i := len(s.templates) - 1; i >= 0; i-- {
		if t := &s.templates[i]; t.Name == name && (version == "" || t.Version == version) {
			return t
		}
	}
	return nil
}

// resource returns the ARN of a template or an execution.
func (s *Server) resource(kind, name string) string {
	return strings.Join([]string{"acs:oos", s.region, s.account.ID(), kind + "/" + name}, ":")
}

// common are the parameters that every operation takes.
var common = []string{"RegionId", "AcceptLanguage", "SecureTransport", "SourceIp"}

// onlyTakes returns an error when a call has parameters other than these and the common ones, or
// asks for another region. The service ignores what it does not know; an emulator that did would
// hide mistakes.
func (s *Server) onlyTakes(c *sts.Call, names ...string) error {
	params := c.Params()
	for name := range params {
		if !slices.Contains(names, name) && !slices.Contains(common, name) {
			return sts.Errorf("InvalidParameter", "The emulator's %s does not take the parameter %q.", c.Action, name)
		}
	}
	if region := params["RegionId"]; region != "" && region != s.region {
		return sts.Errorf("InvalidRegionId", "The emulator has the region %s only.", s.region)
	}
	return nil
}
