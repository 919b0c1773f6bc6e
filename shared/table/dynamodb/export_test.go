package dynamodb

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// SetSleep puts f in the place of the table's pauses.
func SetSleep(t *Table, f func(ctx context.Context, d time.Duration) error) { t.sleep = f }

// SetContainer has the container's credentials of c fetched through another transport, and by another clock.
func SetContainer(c aws.CredentialsProvider, transport http.RoundTripper, now func() time.Time) {
	c.(*container).http.Transport, c.(*container).now = transport, now
}

// AwaitFetch returns when the fetch of c's that is under way, if there is one, has ended.
func AwaitFetch(c aws.CredentialsProvider) {
	c.(*container).mu.Lock()
	under := c.(*container).under
	c.(*container).mu.Unlock()
	if under != nil {
		<-under.done
	}
}
