package cloud

// The encryption context of a sealed key ring: one pair. A key service writes it to its audit log,
// and a policy can require it. So another ciphertext of the same key cannot replace the ring.
const (
	KeyContextKey   = "chatconf"
	KeyContextValue = "keyring"
)

// MaxSealed is the maximum length of a sealed key ring in base64. AWS encrypts at most 4 KiB,
// Alibaba Cloud 6 KiB, and both add a header.
const MaxSealed = 16 << 10
