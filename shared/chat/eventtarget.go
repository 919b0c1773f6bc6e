package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

const keyTopic = "TopicArn"

// eventTargets are what the target of the events of changes may be.
var eventTargets = []targetKind{
	{name: command.TargetHTTP, required: []string{"Url", keySecret}},
	{name: command.TargetFunction, required: []string{"Name"}},
	{name: command.TargetTopic, required: []string{keyTopic}},
}

// topic is the shape of the ARN of a topic.
var topic = command.Shape{
	Want: "the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:chatconf or " +
		"acs:mns:cn-hangzhou:1234567890123456:/topics/chatconf",
	Least: 1, Most: 512,
	Also: func(s string) bool {
		fields := strings.Split(s, ":")
		name := fields[len(fields)-1]
		switch {
		case len(fields) == 6 && fields[0] == "arn" && fields[2] == "sns":
			name = strings.TrimSuffix(name, ".fifo")
		case len(fields) == 5 && fields[0] == "acs" && fields[1] == "mns":
			name, _ = strings.CutPrefix(name, "/topics/")
		default:
			return false
		}
		return !slices.Contains(fields, "") && name != "" && only(name, nameBytes)
	},
}

// ParseEventTarget reads the target of the events of changes: JSON in the form of a Target, of type
// Http, Function or Topic. A URL may be in networks, in addition to the public Internet. The error
// holds all mistakes, and no secret.
func ParseEventTarget(text string, networks dial.Networks) (command.Target, error) {
	const path, use = keyTarget, `use {"Type":"Http","Url":"https://…","Secret":"whsec_…"}, ` +
		`{"Type":"Function","Name":"…"} or {"Type":"Topic","TopicArn":"…"}`
	root, twice, err := document.ParseRepeated(path, text)
	if err != nil {
		return command.Target{}, fmt.Errorf("%w; "+use, err)
	}
	out := &settled{secrets: make(map[string]string), targets: networks}
	for _, at := range twice {
		out.wrong(at, "is given twice; write it once")
	}
	kind := root.TextOf(keyType, "")
	i := slices.IndexFunc(eventTargets, func(k targetKind) bool { return k.name == kind })
	switch {
	case root.Kind != document.Object:
		out.wrong(path, "is %v; "+use, root.Kind)
	case i < 0 && kind == "":
		out.wrong(path+"."+keyType, "is missing; "+use)
	case i < 0:
		out.wrong(path, "unknown type %s; "+use, fault.Quote(kind))
	default:
		out.targetOf(eventTargets[i], path, fieldTargetSecret, root, nil, func(string) bool { return false })
	}
	if len(out.list) > 0 {
		return command.Target{}, errors.New(strings.TrimSuffix(strings.Join(out.list, " "), "."))
	}
	return command.NewTarget(root, secret.Text(out.secrets[fieldTargetSecret])), nil
}
