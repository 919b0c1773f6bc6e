package chat

import "context"

// actionSend is for who plays the platform to try a configuration out. No function has it: it is what `chatconf serve` adds, and what it
// allows is to be anybody in the chat.
const actionSend = "SendChatMessage"

// OpenToSend returns a configuration, and the URL of its webhook, for a caller who may do SendChatMessage on it: to make a callback with
// its secrets, as the platform would. It costs one Get.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion.
func (s *Service) OpenToSend(ctx context.Context, regionID, name string) (*Endpoint, Secret, error) {
	c, r, err := s.mayRead(ctx, actionSend, regionID, name)
	if err != nil {
		return nil, "", err
	}
	if r == nil {
		return nil, "", notFound(name)
	}
	e, err := s.makeEndpoint(c, r)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	url, err := s.webhookURL(c, r)
	if err != nil {
		return nil, "", storeError(ctx, "open to send", err)
	}
	return e, Secret(url), nil
}
