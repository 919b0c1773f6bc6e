package cloud

// The encryption context of a sealed key ring: one pair. A key service writes it to its audit log,
// and a policy can require it. So no other ciphertext of the same key can take the place of the
// ring.
const (
	KeyContextKey   = "chatconf"
	KeyContextValue = "keyring"
)

// MaxSealed is the length of the longest sealed key ring in base64: AWS encrypts at most 4 KiB,
// Alibaba Cloud 6 KiB, and both add a header.
const MaxSealed = 16 << 10
