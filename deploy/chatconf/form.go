package main

import (
	"slices"

	"chatconf/shared/chat"
	"chatconf/shared/document"
)

// formsOf returns the forms of the keys of an object. If it has several forms, a key that is secret
// in one of them is secret.
func formsOf(form chat.Form) map[string]chat.Form {
	out := make(map[string]chat.Form)
	for _, f := range form.Fields {
		out[f.Key] = f.Form
	}
	for _, choice := range form.Choice {
		for key, f := range formsOf(choice) {
			if !out[key].Secret {
				out[key] = f
			}
		}
	}
	return out
}

func itemOf(form chat.Form) chat.Form {
	for _, f := range slices.Concat([]chat.Form{form}, form.Choice) {
		if f.Items != nil {
			return *f.Items
		}
	}
	return chat.Form{}
}

func valuesOf(form chat.Form) *chat.Form {
	for _, f := range slices.Concat([]chat.Form{form}, form.Choice) {
		if f.Values != nil {
			return f.Values
		}
	}
	return nil
}

// cloneOf returns a copy of a document.
func cloneOf(n *document.Node) *document.Node {
	out := *n
	out.Members, out.Items = slices.Clone(n.Members), slices.Clone(n.Items)
	for i := range out.Members {
		out.Members[i].Value = cloneOf(out.Members[i].Value)
	}
	for i := range out.Items {
		out.Items[i] = cloneOf(out.Items[i])
	}
	return &out
}

// objectOf returns an object of texts, without the empty ones: keys and values in turn.
func objectOf(list ...string) *document.Node {
	out := &document.Node{Kind: document.Object}
	for ; len(list) > 0; list = list[2:] {
		if list[1] != "" {
			out.Members = append(out.Members, document.Member{Key: list[0], Value: textNode(list[1])})
		}
	}
	return out
}

func textNode(text string) *document.Node { return &document.Node{Kind: document.String, Text: text} }
