package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/rpc"
)

// A describer makes the OpenAPI description of the API.
type describer struct {
	writer
	service  *chat.Service
	types    []string // of platforms
	sections map[string]section
	statuses map[string]string // of errors, with their codes
	comments *comments
	schemas  object // of components
}

const jsonBody, formBody, xmlBody = "application/json", "application/x-www-form-urlencoded", "text/xml"

const about = `The chat-configuration API of Alibaba Cloud OOS, version ` + rpc.Version + `, as chatconf serves it, with
the actions that chatconf adds.

All actions are at one URL, "/". The part of a path behind "#" names the action here and is not
sent. A request is signed in one of two dialects:

- ACS3-HMAC-SHA256: the action is in the header x-acs-action, and the signature in Authorization.
- V1 (HMAC-SHA1): the action is the parameter Action, and the signature the parameter Signature.

An action's parameters may be in the query, in a form or, with ACS3, in a JSON body. In a query and
in a form, lists and maps are JSON text, or flattened: ResourceIds.1=ops.`

// openAPI returns the description of the actions on configurations, and of others.
func (d *describer) openAPI(actions, others []rpc.Action) (object, error) {
	paths := object{}
	forms := chat.ParameterForms()
	for _, a := range actions {
		item, err := d.path(a, forms)
		if err != nil {
			return nil, err
		}
		paths["/#"+a.Name] = item
	}
	few := map[string]chat.Form{"MaxResults": forms["MaxResults"], "Status": forms["Status"]}
	for _, a := range others { // Name is another kind of name there
		item, err := d.path(a, few)
		if err != nil {
			return nil, err
		}
		paths["/#"+a.Name] = item
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	fault, err := d.answer(reflect.TypeFor[faultBody]())
	if err != nil {
		return nil, err
	}
	d.schemas["Error"] = fault
	responses := object{}
	for status, text := range d.statuses {
		responses[status] = object{"description": text, "headers": object{"x-acs-request-id": headerRef("RequestId")},
			"content": object{jsonBody: object{"schema": schemaRef("Error")}, xmlBody: object{}}}
	}
	responses["429"].(object)["headers"].(object)["Retry-After"] = object{"description": "seconds",
		"schema": object{"type": "integer"}}
	return object{
		"openapi": "3.1.1", "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
		"info": object{"title": "chatconf", "version": rpc.Version, "description": about,
			"license": object{"name": "Apache 2.0", "identifier": "Apache-2.0"}},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		"components": object{"schemas": d.schemas, "responses": responses, "parameters": dialects(),
			"headers": headers(), "securitySchemes": object{
				"ACS3": object{"type": "apiKey", "in": "header", "name": "Authorization",
					"description": "ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…"},
				"V1": object{"type": "apiKey", "in": "query", "name": "Signature",
					"description": "HMAC-SHA1 over the method and all parameters, in base64"},
			}},
		"security": []object{{"ACS3": []string{}}, {"V1": []string{}}},
	}, nil
}

// faultBody is the envelope of an error.
type faultBody struct {
	HostId             string
	Code               string
	Message            string
	Recommend          string
	AccessDeniedDetail *fault.AccessDenied `json:",omitempty"`
}

func headers() object {
	text := object{"type": "string"}
	return object{
		"RequestId": object{"description": "the id of the request, as in the answer", "schema": text},
		"ETag":      object{"description": "the revision, for If-Match", "schema": text},
		"NextToken": object{"description": "NextToken of the answer", "schema": text},
	}
}

// dialects returns the parameters of the two dialects, in addition to the action's own.
func dialects() object {
	out := object{}
	add := func(dialect, in, name, about string, schema object) {
		out[name] = object{"name": name, "in": in, "description": dialect + ": " + about, "schema": schema,
			"x-dialect": dialect}
	}
	text := object{"type": "string"}
	add("ACS3", "header", "x-acs-version", "the version of the API", object{"const": rpc.Version})
	add("ACS3", "header", "x-acs-date", "the time in UTC, such as 2026-01-31T08:00:00Z", text)
	add("ACS3", "header", "x-acs-signature-nonce", "a new text for each request", text)
	add("ACS3", "header", "x-acs-content-sha256", "the hash of the body in hexadecimal", text)
	add("V1", "query", "Version", "the version of the API", object{"const": rpc.Version})
	add("V1", "query", "AccessKeyId", "the access key", text)
	add("V1", "query", "SignatureMethod", "the method of the signature", object{"const": "HMAC-SHA1"})
	add("V1", "query", "SignatureVersion", "the version of the signature", object{"const": "1.0"})
	add("V1", "query", "SignatureNonce", "a new text for each request", text)
	add("V1", "query", "Timestamp", "the time in UTC, such as 2026-01-31T08:00:00Z", text)
	out["Format"] = object{"name": "Format", "in": "query", "description": "the form of the answer; default JSON",
		"schema": object{"enum": []string{"JSON", "XML"}}, "x-dialect": "both"}
	return out
}

func schemaRef(name string) object { return object{"$ref": "#/components/schemas/" + name} }
func headerRef(name string) object { return object{"$ref": "#/components/headers/" + name} }

// path returns the path of an action.
func (d *describer) path(a rpc.Action, forms map[string]chat.Form) (object, error) {
	parameters := a.Describe(d.service)
	answer, err := d.answer(a.Answer())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	d.schemas[a.Name+"Response"] = answer
	headers := object{"x-acs-request-id": headerRef("RequestId")}
	if reflect.PointerTo(a.Answer()).Implements(reflect.TypeFor[interface{ ETag() string }]()) {
		headers["ETag"] = headerRef("ETag")
	}
	if reflect.PointerTo(a.Answer()).Implements(reflect.TypeFor[interface{ NextPageToken() string }]()) {
		headers["x-acs-next-token"] = headerRef("NextToken")
	}
	s := d.sections[a.Name]
	operation := func(id string) object {
		responses := object{"200": object{"description": "the answer", "headers": headers,
			"content": object{jsonBody: object{"schema": schemaRef(a.Name + "Response")}, xmlBody: object{}}}}
		for status := range d.statuses {
			responses[status] = object{"$ref": "#/components/responses/" + status}
		}
		out := object{"operationId": id, "summary": words(a.Name), "tags": []string{s.heading}, "responses": responses,
			"parameters": d.dialectsOf(a)}
		if s.intro != "" {
			out["description"] = s.intro
		}
		return out
	}
	inJSON, inForm := d.request(a.Name, parameters, forms)
	d.schemas[a.Name+"Request"], d.schemas[a.Name+"Form"] = inJSON, inForm
	post := operation(a.Name)
	required, _ := inJSON["required"].([]string)
	post["requestBody"] = object{"required": len(required) > 0, "content": object{
		formBody: object{"schema": schemaRef(a.Name + "Form")},
		jsonBody: object{"schema": schemaRef(a.Name + "Request")},
	}}
	if slices.ContainsFunc(parameters, func(p rpc.Parameter) bool { return p.Name == "Revision" }) {
		post["parameters"] = append(post["parameters"].([]object), object{"name": "If-Match", "in": "header",
			"description": `the revision, as in the header ETag of an answer, such as "3"; stands for Revision`,
			"schema":      object{"type": "string", "pattern": `^("[0-9]+"|[0-9]+|\*)$`}})
	}
	item := object{"post": post}
	if !a.TakesGet() {
		return item, nil
	}
	get := operation(a.Name + "ByGet")
	properties := inForm["properties"].(object)
	for _, p := range parameters {
		get["parameters"] = append(get["parameters"].([]object), object{"name": p.Name, "in": "query",
			"required": p.Mandatory, "schema": properties[p.Name]})
	}
	item["get"] = get
	return item, nil
}

// dialectsOf returns the parameters of both dialects.
func (d *describer) dialectsOf(a rpc.Action) []object {
	out := []object{
		{"name": "x-acs-action", "in": "header", "description": "ACS3: the action", "schema": object{"const": a.Name},
			"x-dialect": "ACS3"},
		{"name": "Action", "in": "query", "description": "V1: the action", "schema": object{"const": a.Name},
			"x-dialect": "V1"},
	}
	for _, name := range slices.Sorted(maps.Keys(dialects())) {
		out = append(out, object{"$ref": "#/components/parameters/" + name})
	}
	return out
}

// request returns the schemas of an action's parameters in a JSON body, and in a form or a query.
func (d *describer) request(action string, parameters []rpc.Parameter, forms map[string]chat.Form) (inJSON,
	inForm object) {
	inJSONs, inForms, required := object{}, object{}, []string{}
	for _, p := range parameters {
		help := d.sections[action].meanings[p.Name]
		if p.Name == "RegionId" {
			help = "the region; the service has a default"
		}
		if help == "" {
			d.undefined = append(d.undefined, p.Name+" of "+action)
		}
		form, known := forms[p.Name]
		var schema object
		switch {
		case known:
			schema = d.of(form)
			if !p.Mandatory { // an empty text means that it is absent
				delete(schema, "minLength")
			}
		case p.Name == "Type" && d.sections[action].heading == "Configurations":
			schema = object{"enum": d.types}
		default:
			schema = ofType(p.Type)
		}
		asText := schema
		switch p.Type.Kind() {
		case reflect.Slice, reflect.Map:
			asText = object{"type": "string", "contentMediaType": jsonBody, "contentSchema": schema}
		}
		if p.Name == "Configuration" || p.Name == "PolicyDocument" {
			asText = object{"type": "string", "contentMediaType": jsonBody}
			schema = object{"anyOf": []object{{"type": "object"}, asText}}
		}
		if p.Secret {
			help += ". It may hold secrets"
		}
		inJSONs[p.Name], inForms[p.Name] = described(schema, help), described(asText, help)
		if p.Mandatory {
			required = append(required, p.Name)
		}
	}
	for _, properties := range [...]object{inJSONs, inForms} {
		out := object{"type": "object", "properties": properties}
		if len(required) > 0 {
			out["required"] = required
		}
		if inJSON == nil {
			inJSON = out
		} else {
			inForm = out
		}
	}
	return inJSON, inForm
}

// described returns a copy of a schema with a description.
func described(schema object, text string) object {
	schema = maps.Clone(schema)
	schema["description"] = text + "."
	return schema
}

// ofType returns the schema of a parameter of a type.
func ofType(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[[]chat.Filter]():
		filter := object{"type": "object", "required": []string{"Name", "Value"}, "additionalProperties": false,
			"properties": object{"Name": object{"type": "string"}, "Value": object{"type": "string"}}}
		return object{"type": "array", "items": filter}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": object{"type": "string"}}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": object{"type": "string"}}
	case t.Kind() == reflect.Int64:
		return object{"type": "integer"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	}
	return object{"type": "string"}
}

// answer returns the schema of an answer: RequestId, and the fields of a type.
func (d *describer) answer(t reflect.Type) (object, error) {
	out, err := d.structure(t)
	if err != nil {
		return nil, err
	}
	out["properties"].(object)["RequestId"] = object{"type": "string"}
	required, _ := out["required"].([]string)
	out["required"] = append([]string{"RequestId"}, required...)
	return out, nil
}

// structure returns the schema of a struct in an answer.
func (d *describer) structure(t reflect.Type) (object, error) {
	properties, required := object{}, []string{}
	comments, err := d.comments.of(t)
	if err != nil {
		return nil, err
	}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		schema, err := d.value(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if text := comments[f.Name]; text != "" && schema["$ref"] == nil {
			schema["description"] = text
		}
		properties[name] = schema
		if options == "" {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out, nil
}

// value returns the schema of a value in an answer.
func (d *describer) value(t reflect.Type) (object, error) {
	switch {
	case t == reflect.TypeFor[command.TypedObject]():
		return object{"type": "object"}, nil
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return nil, fmt.Errorf("%s has a form of its own, which this package does not know", t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.value(t.Elem())
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}, nil
	case reflect.Slice:
		items, err := d.value(t.Elem())
		return object{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := d.value(t.Elem())
		return object{"type": "object", "additionalProperties": values}, err
	case reflect.Struct:
		name := t.Name()
		if _, known := d.schemas[name]; !known {
			d.schemas[name] = nil // a type may contain itself
			schema, err := d.structure(t)
			if err != nil {
				return nil, err
			}
			d.schemas[name] = schema
		}
		return schemaRef(name), nil
	}
	return nil, fmt.Errorf("%s cannot be in an answer", t)
}

// words returns the name of an action as a person reads it: Get chat configuration.
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// A section of the reference describes an action.
type section struct {
	heading  string // of the part of the page
	intro    string
	meanings map[string]string // of parameters
}

// sectionsOf returns the sections of the reference by action.
func sectionsOf(page string) map[string]section {
	out := make(map[string]section)
	for _, part := range strings.Split(page, "\n## ")[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		for _, text := range strings.Split(rest, "\n### ")[1:] {
			name, text, _ := strings.Cut(text, "\n")
			intro, _, _ := strings.Cut(text, "\n| parameter")
			out[name] = section{heading, plain(intro), tables(text)["parameter"]}
		}
	}
	return out
}

// statusesOf returns, by status, the codes of errors with their meanings, from the reference.
func statusesOf(page string) map[string]string {
	out := make(map[string]string)
	_, part, _ := strings.Cut(page, "\n## Errors\n")
	codes := tables(part)["code"]
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		status, meaning, _ := strings.Cut(codes[code], "; ")
		out[status] += "- `" + code + "`: " + meaning + "\n"
	}
	return out
}
