package feishu

// Open decrypts a ciphertext with a key.
var Open = open

// A Frame is a frame of a connection, for tests.
type Frame struct {
	SeqID, LogID    uint64
	Service, Method int32
	Headers         [][2]string
	Encoding, Kind  string
	Payload         []byte
	NewLogID        string
}

// Encode returns the frame as it is on the wire.
func (f Frame) Encode() []byte {
	out := frame{seqID: f.SeqID, logID: f.LogID, service: f.Service, method: f.Method, encoding: f.Encoding,
		kind: f.Kind, payload: f.Payload, newLogID: f.NewLogID}
	for _, h := range f.Headers {
		out.headers = append(out.headers, header{h[0], h[1]})
	}
	return out.encode()
}

// DecodeFrame is what the connection decodes frames with.
func DecodeFrame(b []byte) (Frame, error) {
	f, err := decodeFrame(b)
	if err != nil {
		return Frame{}, err
	}
	out := Frame{SeqID: f.seqID, LogID: f.logID, Service: f.service, Method: f.method, Encoding: f.encoding,
		Kind: f.kind, Payload: f.payload, NewLogID: f.newLogID}
	for _, h := range f.headers {
		out.Headers = append(out.Headers, [2]string{h.key, h.value})
	}
	return out, nil
}
