package feishu

// Open decrypts a ciphertext with a key.
var Open = open
