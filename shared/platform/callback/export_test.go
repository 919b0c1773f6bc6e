package callback

// MaxTokens is maxTokens.
const MaxTokens = maxTokens

// KeptTokens returns how many tokens a client keeps.
func KeptTokens(c *Client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.tokens)
}
