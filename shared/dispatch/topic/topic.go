// Package topic is the target Topic: it publishes the events of changes to a topic of the cloud.
package topic

import (
	"context"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
)

// Topics are the topics of a cloud.
type Topics interface {
	// Publish publishes a message with the service's own rights. A topic that keeps an order keeps
	// that of a group, and drops a message whose id it has had before.
	Publish(ctx context.Context, arn, group, id string, message []byte) error
	// Check returns an error unless the ARN is that of a topic of this cloud.
	Check(arn string) error
	// Right returns what the policies of the service must allow for it.
	Right(arn string) (action, resource string)
}

// A Target publishes to topics.
type Target struct {
	service string
	topics  Topics
}

var (
	_ dispatch.Target    = (*Target)(nil)
	_ dispatch.Deliverer = (*Target)(nil)
)

// New returns a target. service is the cloud's service for people.
func New(service string, topics Topics) *Target { return &Target{service, topics} }

// Start implements dispatch.Target. No command can be dispatched to a topic.
func (t *Target) Start(context.Context, *dispatch.Call) (dispatch.Progress, error) {
	return dispatch.Progress{}, &dispatch.Error{Why: "a topic takes only the events of changes", Refused: true}
}

// Check implements dispatch.Deliverer.
func (t *Target) Check(to command.Target) error { return t.topics.Check(to.TopicArn) }

// Deliver implements dispatch.Deliverer.
func (t *Target) Deliver(ctx context.Context, d dispatch.Delivery) error {
	arn := d.Target.TopicArn
	group := d.ID[:max(0, strings.LastIndexByte(d.ID, '/'))] // the configuration
	err := t.topics.Publish(ctx, arn, group, d.ID, d.Body)
	if err == nil {
		return nil
	}
	action, resource := t.topics.Right(arn)
	return (&dispatch.Call{Target: d.Target}).CloudError(t.service, err,
		cloud.Reason{Codes: []string{"AuthorizationError", "AccessDenied", "AccessDeniedException"},
			Why: "this service was denied by " + t.service + ". Its policies must allow " + action + " on " + resource},
		cloud.Reason{Codes: []string{"NotFound", "TopicNotExist"}, Why: t.service + " has no topic " + arn},
		cloud.Reason{Codes: []string{"Throttled", "Throttling", "ThrottlingException", "QpsLimitExceeded"},
			Why: t.service + " is throttled", Again: true},
		cloud.Reason{Codes: []string{"ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch",
			"InvalidAccessKeyId", "InvalidSecurity"}, Again: true,
			Why: "the credentials of this service are invalid or have expired"},
	)
}
