package chat

import (
	"context"
	"errors"
	"io"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// MaxBackupTime is how long a caller may take to read a backup. The file reuses no space meanwhile.
const MaxBackupTime = 2 * time.Minute

// A Snapshot calls fn with a copy of everything that the service stores, at one moment. It ends the
// context of fn when the copy must end.
type Snapshot func(ctx context.Context, fn func(context.Context, io.WriterTo) error) error

// BackupRequest are the parameters of BackupService.
type BackupRequest struct {
	RegionID string `param:"RegionId"` // without effect: a backup has all regions
}

// A BackupResponse is the answer of BackupService: it is sent as it is.
type BackupResponse struct{ snapshot Snapshot }

// Stream calls send with the content of the answer.
func (r *BackupResponse) Stream(ctx context.Context, send func(context.Context, io.WriterTo) error) error {
	ctx, cancel := context.WithTimeout(ctx, MaxBackupTime)
	defer cancel()
	if err := r.snapshot(ctx, send); err != nil {
		return storeError(ctx, "backup", err)
	}
	return nil
}

// Backup returns a copy of all tables of the service, of all accounts and regions. Secrets in it
// stay sealed; the key ring is not in it. Only `chatconf serve` has it, no function.
//
// Errors: NoPermission, InvalidRegion, Unsupported.
func (s *Service) Backup(ctx context.Context, in *BackupRequest) (*BackupResponse, error) {
	c, err := s.scope(ctx, in.RegionID)
	if err != nil {
		return nil, err
	}
	of := c.requestOn(ctx, "acs:oos::"+c.account+":service", nil)
	if err := c.require(need{action: actionPrefix + policy.BackupService, of: of}); err != nil {
		return nil, err
	}
	if s.snapshot == nil {
		return nil, &fault.Error{Code: fault.Unsupported, Err: errors.New("chat: the data is not in a file of its own")}
	}
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	return &BackupResponse{s.snapshot}, nil
}
