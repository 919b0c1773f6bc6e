package platformsim

// FeishuFrame and FeishuHeader are a frame of Feishu's connections.
type (
	FeishuFrame  = feishuFrame
	FeishuHeader = feishuHeader
)

// ReadFeishuFrame decodes a frame.
var ReadFeishuFrame = readFeishuFrame

// WriteFeishuFrame encodes a frame.
var WriteFeishuFrame = (*feishuFrame).bytes
