package command

// A Ref names one life of a chat configuration or, with an ID, one command of it. A life lasts from
// the creation of a name to its deletion. Life may be empty if only the name matters.
type Ref struct {
	Account string
	Region  string
	Name    string
	Life    string `json:",omitempty"` // empty in configurations from before lives had ids
	ID      string `json:",omitempty"` // the record's id, and the id of the command's event
}
