package command

// A Ref names a life of a chat configuration anywhere, or with an ID one command of it. Where only
// the name matters, Life may be empty.
type Ref struct {
	Account string
	Region  string
	Name    string
	Life    string `json:",omitempty"` // empty of a configuration that was made before lives had ids
	ID      string `json:",omitempty"` // of the record; also the id of the command's event
}
