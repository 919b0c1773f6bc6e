package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc"
)

// Every way in which official clients send parameters, and the plain JSON beyond it, does the same.
func TestParametersTravelInEveryWay(t *testing.T) {
	values := func(name string) url.Values {
		return url.Values{"Name": {name}, "Type": {"DingTalk"}, "Configuration": {configuration}, "RamRole": {"a.b@c"}}
	}
	with := func(v url.Values, name, value string) url.Values { v.Set(name, value); return v }
	text := func(name string) string {
		return fmt.Sprintf(`{"Name":%q,"Type":"DingTalk","Configuration":%s,"RamRole":"a.b@c","ResourceGroupId":null}`,
			name, configuration)
	}
	for name, r := range map[string]request{
		"v3-query":        {query: values("v3-query")},
		"v3-form":         {form: values("v3-form")},
		"v3-form-chunked": {form: values("v3-form-chunked"), chunked: true},
		"v3-json":         {json: text("v3-json")},
		"v3-json-chunked": {json: text("v3-json-chunked"), chunked: true},
		"v3-json-charset": {json: text("v3-json-charset"),
			header: map[string]string{"Content-Type": "application/json; charset=utf-8"}},
		"v3-query-as-form": {query: url.Values{"Name": {"v3-query-as-form"}},
			form: url.Values{"Type": {"DingTalk"}, "Configuration": {configuration}, "RamRole": {"a.b@c"}}},
		"v3-query-as-json": {query: url.Values{"Type": {"DingTalk"}, "RamRole": {"a.b@c"}},
			json: fmt.Sprintf(`{"Name":"v3-query-as-json","Configuration":%q}`, configuration)},
		"v1-query":        {v1: true, query: values("v1-query")},
		"v1-form":         {v1: true, form: values("v1-form")},
		"v1-form-chunked": {v1: true, form: values("v1-form-chunked"), chunked: true},
		"v1-query-and-form": {v1: true, query: url.Values{"Name": {"v1-query-and-form"}, "RamRole": {"a.b@c"}},
			form: url.Values{"Type": {"DingTalk"}, "Configuration": {configuration}}},
		"v1-with-headers": {v1: true, query: values("v1-with-headers"),
			header: map[string]string{"X-Acs-Action": "DeleteChatConfiguration",
				"Content-Type": "application/x-www-form-urlencoded"}},
		"v1-upper-case-type": {v1: true, form: with(values("v1-upper-case-type"), "Format", "json"),
			header: map[string]string{"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			r.action = "CreateChatConfiguration"
			w.wantOK(w.do(r))
			a := w.do(get(name))
			w.wantOK(a)
			for _, part := range []string{`"Name":"` + name + `"`, `"RamRole":"a.b@c"`,
				`\"DingTalkClientId\":\"dingtest\"`, `\"DingTalkClientSecret\":\"******\"`} {
				if !strings.Contains(a.body, part) {
					t.Errorf("the answer lacks %s: %v", part, a)
				}
			}
			list := request{action: "ListChatConfigurations", method: http.MethodGet, v1: r.v1,
				query: url.Values{"Filters.1.Name": {"name"}, "Filters.1.Value": {name + "*"}}}
			if a := w.do(list); a.status != http.StatusOK || !strings.Contains(a.body, `"Name":"`+name+`"`) {
				t.Errorf("GET: %v", a)
			}
		})
	}
}

// A request that two readers could read differently, or that cannot be read, is refused before
// anything is known of its caller.
func TestBadRequestsAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	body := func(kind, text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			r.Header.Set("Content-Type", kind)
		}
	}
	const form, plain = "application/x-www-form-urlencoded", "text/plain"
	query := func(raw string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = raw } }
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"a parameter twice in the query":             {query("Name=a&Name=a"), 400, "InvalidParameter.Name"},
		"a parameter twice in the form":              {body(form, "Name=a&Name=b"), 400, "InvalidParameter.Name"},
		"a parameter in query and form":              {body(form, "Name=other"), 400, "InvalidParameter.Name"},
		"of two mistakes the first by name":          {query("b=1&a=1&b=1&a=1&c=1&c=1"), 400, "InvalidParameter.a"},
		"JSON that nobody signed, before it is read": {body("application/json", `[`), 400, "IncompleteSignature"},
		"a body of another type":                     {body(plain, "Type=a"), 400, "InvalidParameter"},
		"a body of no type":                          {body("", "Type=a"), 400, "InvalidParameter"},
		"a multipart body": {body("multipart/form-data; boundary=x", "--x--"),
			400, "InvalidParameter"},
		"a percent sign alone in the query": {query("Name=%"), 400, "InvalidParameter"},
		"a bad escape in the query":         {query("Name=%zz"), 400, "InvalidParameter"},
		"a semicolon in the query":          {query("Name=a;Type=b"), 400, "InvalidParameter"},
		"a bad escape in the form":          {body(form, "Type=%2"), 400, "InvalidParameter"},
		"an invalid Format":                 {query("Format=YAML"), 400, "InvalidParameter.Format"},
		"no signature": {func(r *http.Request) { r.Header.Del("Authorization") },
			400, "MissingParameter.Signature"},
		"two signatures": {query("Signature=x"), 400, "IncompleteSignature"},
		"a body longer than it may be": {body(form, "Type="+strings.Repeat("a", rpc.MaxBody)),
			413, "RequestEntityTooLarge"},
		"more parameters than there may be": {query(strings.Repeat("&", rpc.MaxParams)),
			400, "InvalidParameter"},
		"more parameters in query and form together": {body(form, manyPairs(rpc.MaxParams)), 400, "InvalidParameter"},
		"a content type that goes on and on": {body(form+strings.Repeat("; a=b", 200), "Type=a"),
			400, "InvalidParameter"},
		"another path": {func(r *http.Request) { r.URL.Path = "/oos/" },
			404, "InvalidApi.NotFound"},
		"a path that looks like a webhook": {
			func(r *http.Request) { r.URL.Path = "/webhook/1/cn-hangzhou/ops/token" }, 404, "InvalidApi.NotFound"},
		"headers longer than they may be": {func(r *http.Request) {
			r.Header.Set("Cookie",
				strings.Repeat("a", rpc.MaxHead))
		}, 431, "RequestHeaderFieldsTooLarge"},
		"many small headers": {func(r *http.Request) {
			r.Header["Cookie"] = make([]string,
				rpc.MaxHead/8)
		}, 431, "RequestHeaderFieldsTooLarge"},
		"a URL longer than it may be": {func(r *http.Request) {
			r.RequestURI = "/?Name=" +
				strings.Repeat("a", rpc.MaxHead)
		}, 431, "RequestHeaderFieldsTooLarge"},
		"a method that the signature does not have": {func(r *http.Request) { r.Method = "post" },
			403, "UnsupportedHTTPMethod"},
	} {
		t.Run(name, func(t *testing.T) {
			r := get("ops")
			r.change = test.change
			w.TB = t
			w.want(w.do(r), test.status, test.code)
		})
	}
}

// manyPairs returns n parameters in URL encoding.
func manyPairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "p%d=&", i)
	}
	return strings.TrimSuffix(b.String(), "&")
}

// As many parameters as there may be are read, however they come, and one more is refused: before
// one of them is looked at, where nothing is proven yet.
func TestNumberOfParameters(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		query, form int
		ok          bool
	}{
		{rpc.MaxParams, 0, true}, {0, rpc.MaxParams, true}, {400, 600, true},
		{rpc.MaxParams + 1, 0, false}, {0, rpc.MaxParams + 1, false}, {400, 601, false}, {0, 40_000, false},
	} {
		r := &http.Request{URL: &url.URL{RawQuery: manyPairs(test.query)}, Header: http.Header{"Content-Type": {form}}}
		body := []byte(strings.ReplaceAll(manyPairs(test.form), "p", "q"))
		values, err := rpc.ReadParams(r, body)
		if (err == nil) != test.ok || test.ok && len(values) != rpc.MaxParams {
			t.Errorf("%d in the query and %d in the form: %d read, %v", test.query, test.form, len(values), err)
		}
		if !test.ok && !strings.Contains(fmt.Sprint(err), "too many parameters; the limit is 1000") {
			t.Errorf("%d in the query and %d in the form: %v", test.query, test.form, err)
		}
		if test.ok || underRace {
			continue
		}
		// The content type is looked at, and the body becomes a string.
		if got := testing.AllocsPerRun(10, func() { rpc.ReadParams(r, body) }); got > 5 {
			t.Errorf("%d in the query and %d in the form: %v allocations, want at most 5", test.query, test.form, got)
		}
	}

	// JSON is read once its signature is proven.
	members := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"Name":"ops"`)
		for i := range n - 1 {
			fmt.Fprintf(&b, `,"p%d":[{"a":1,"b":",\"{["}]`, i)
		}
		return b.String() + "}"
	}
	w := newWorld(t, nil)
	for _, test := range []struct {
		n      int
		status int
		code   string
	}{
		{rpc.MaxParams, 404, "EntityNotExists.ChatConfiguration"},
		{rpc.MaxParams + 1, 400, "InvalidParameter"},
	} {
		if _, err := rpc.ParseJSON(members(test.n)); (err == nil) != (test.n <= rpc.MaxParams) {
			t.Errorf("JSON of %d members: %v", test.n, err)
		}
		w.want(w.do(request{action: "GetChatConfiguration", json: members(test.n)}), test.status, test.code)
	}
	w.want(w.do(request{action: "GetChatConfiguration", query: url.Values{"RegionId": {"cn-hangzhou"}},
		json: members(rpc.MaxParams)}), 400, "InvalidParameter")
}

// A stranger who knows an access key's id is shown what we signed, but not five times as much as
// was sent.
func TestALongStringToSignIsNotShown(t *testing.T) {
	w := newWorld(t, nil)
	for size, shown := range map[int]bool{100: true, 50_000: false} {
		r := request{v1: true, action: "GetChatConfiguration", form: url.Values{"Name": {strings.Repeat("\xff", size)}}}
		r.key = admin
		r.key.Secret = "another"
		rec := w.do(r)
		w.want(rec, 400, "SignatureDoesNotMatch")
		if got := strings.Contains(rec.body, "server string to sign is:"); got != shown ||
			!shown && len(rec.body) > 1000 {
			t.Errorf("a parameter of %d bytes: the string to sign is shown: %v, in an answer of %d bytes",
				size, got, len(rec.body))
		}
	}
}

func TestBodySizes(t *testing.T) {
	w := newWorld(t, nil)
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		size    int
		chunked bool
		ends    error // after size bytes
		status  int
		code    string
	}{
		"as large as it may be":           {rpc.MaxBody, false, nil, 404, "EntityNotExists.ChatConfiguration"},
		"as large as it may be, chunked":  {rpc.MaxBody, true, nil, 404, "EntityNotExists.ChatConfiguration"},
		"a byte more":                     {rpc.MaxBody + 1, false, nil, 413, "RequestEntityTooLarge"},
		"a byte more, chunked":            {rpc.MaxBody + 1, true, nil, 413, "RequestEntityTooLarge"},
		"ends before its length":          {100, false, io.ErrUnexpectedEOF, 400, "ContentLengthDoesNotMatch"},
		"ends before its length, chunked": {100, true, broken, 400, "ContentLengthDoesNotMatch"},
		"endless":                         {10 * rpc.MaxBody, true, broken, 413, "RequestEntityTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			const start = "Name=ops&Pad="
			r := request{action: "GetChatConfiguration", form: url.Values{"Name": {"ops"},
				"Pad": {strings.Repeat("x", test.size-len(start))}}, chunked: test.chunked}
			req := w.build(r)
			read := 0
			ends := test.ends
			if ends == nil {
				ends = io.EOF
			}
			req.Body = io.NopCloser(io.MultiReader(counting(io.LimitReader(req.Body, int64(test.size)), &read),
				failing{ends}))
			w.want(w.serve(w.handler, req), test.status, test.code)
			if read > rpc.MaxBody+1 {
				t.Errorf("%d bytes of the body were read, want at most %d", read, rpc.MaxBody+1)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type counter struct {
	io.Reader
	n *int
}

func counting(r io.Reader, n *int) io.Reader { return counter{r, n} }

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}

// A body that a V1 signature does not cover is not believed.
func TestV1DoesNotTakeJSON(t *testing.T) {
	w := newWorld(t, nil)
	r := request{v1: true, action: "DeleteChatConfiguration", query: url.Values{"Name": {"ops"}}}
	w.wantOK(w.do(create("ops")))
	r.change = func(req *http.Request) {
		const text = `{"RamRole":"forged"}`
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		req.Header.Set("Content-Type", "application/json")
	}
	w.want(w.do(r), 400, "IncompleteSignature")
	if !w.exists("ops") {
		t.Error("the request was served")
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	for _, test := range []struct {
		method string
		read   string // the code that a read gets
		change string // the code that a change gets
	}{
		{http.MethodPost, "", ""},
		{http.MethodGet, "", "UnsupportedHTTPMethod"}, // but for those of TestChangesByGet
		{http.MethodHead, "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
		{http.MethodPut, "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
		{http.MethodDelete, "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
		{http.MethodPatch, "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
		{http.MethodOptions, "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
		{"FETCH", "UnsupportedHTTPMethod", "UnsupportedHTTPMethod"},
	} {
		for _, v1 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s v1=%v", test.method, v1), func(t *testing.T) {
				w.TB = t
				r := get("ops")
				r.method, r.v1 = test.method, v1
				if a := w.do(r); a.Code != test.read {
					t.Errorf("read: %v, want %q", a, test.read)
				}
				r = request{action: "UpdateChatConfiguration", v1: v1, method: test.method,
					query: url.Values{"Name": {"ops"}, "RamRole": {"new"}}}
				if a := w.do(r); a.Code != test.change || a.Code != "" && a.status != http.StatusForbidden {
					t.Errorf("change: %v, want %q", a, test.change)
				}
			})
		}
	}
	for _, a := range rpc.Actions() {
		reads := strings.HasPrefix(a.Name, "Get") || strings.HasPrefix(a.Name, "List") ||
			a.Name == "SimulateChatPermission"
		if a.ReadOnly() != reads {
			t.Errorf("%s: ReadOnly = %v", a.Name, a.ReadOnly())
		}
	}
}

// The official metadata has GET for tags and resource groups. They are changes all the same: the
// nonce counts once, everywhere. What changes a configuration is not done by GET.
func TestChangesByGet(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	gets := map[string]url.Values{
		"TagResources":   {"ResourceType": {"chatconfiguration"}, "ResourceIds": {"ops"}, "Tags": {`{"a":"b"}`}},
		"UntagResources": {"ResourceType": {"chatconfiguration"}, "ResourceIds": {"ops"}, "TagKeys": {"a"}},
		"ChangeResourceGroup": {"ResourceType": {"chatconfiguration"}, "ResourceId": {"ops"},
			"NewResourceGroupId": {"rg-1"}},
	}
	for action, query := range gets {
		for _, v1 := range []bool{false, true} {
			r := request{action: action, method: http.MethodGet, query: query, v1: v1,
				nonce: fmt.Sprintf("%s-%v", action, v1)}
			w.wantOK(w.do(r))
			w.want(w.do(r), 400, "SignatureNonceUsed")
			w.want(w.serve(w.newHandler(), w.build(r)), 400, "SignatureNonceUsed")
			r.key, r.nonce = reader, ""
			w.want(w.do(r), 403, "NoPermission")
		}
	}
	for _, a := range rpc.Actions() {
		if a.TakesGet() {
			continue
		}
		answer := w.do(request{action: a.Name, method: http.MethodGet, query: url.Values{"Name": {"ops"}}})
		w.want(answer, 403, "UnsupportedHTTPMethod")
		if !strings.Contains(answer.Message, "use POST") || !strings.Contains(answer.Message, "--method POST") {
			t.Errorf("%s: the message does not say what to do: %q", a.Name, answer.Message)
		}
	}
	w.want(w.do(request{action: "TagResources", method: http.MethodPut, query: gets["TagResources"]}),
		403, "UnsupportedHTTPMethod")
}

// The same parameter with the same value in query and body is one; with different values, or twice
// in one of them, it is refused. That holds for every parameter, of the signature too, and for
// JSON.
func TestSameParameterInQueryAndBody(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	region := url.Values{"RegionId": {"cn-hangzhou"}, "Name": {"ops"}}
	for _, v1 := range []bool{false, true} {
		w.wantOK(w.do(request{action: "GetChatConfiguration", v1: v1, query: clone(region), form: clone(region)}))
		w.wantOK(w.do(request{action: "GetChatConfiguration", v1: v1,
			query: url.Values{"RegionId": {""}, "Name": {"ops"}}, form: url.Values{"RegionId": {""}}}))
		bad := request{action: "GetChatConfiguration", v1: v1, query: clone(region),
			form: url.Values{"Name": {"ops"}, "RegionId": {"cn-beijing"}}}
		if v1 { // which cannot be signed
			bad.v1 = false
		}
		w.want(w.do(bad), 400, "InvalidParameter.RegionId")
	}
	w.wantOK(w.do(request{action: "GetChatConfiguration", query: clone(region),
		json: `{"RegionId":"cn-hangzhou","Name":"ops"}`}))
	w.want(w.do(request{action: "GetChatConfiguration", query: clone(region), json: `{"RegionId":"cn-beijing"}`}),
		400, "InvalidParameter.RegionId")
	w.want(w.do(request{action: "GetChatConfiguration", query: clone(region), json: `{"Name":["ops"]}`}),
		400, "InvalidParameter.Name")

	// What the core SDKs for Go and Python send: all that is signed in the query, and RegionId in
	// the form once more.
	signed := url.Values{"Action": {"GetChatConfiguration"}, "Version": {rpc.Version}, "RegionId": {"cn-hangzhou"},
		"Name": {"ops"}, "Format": {"JSON"}}
	if err := admin.SignV1(http.MethodPost, signed, w.clock.Now(), w.nonce()); err != nil {
		t.Fatal(err)
	}
	for form, code := range map[string]string{
		"RegionId=cn-hangzhou&Name=ops":    "",
		"RegionId=cn-beijing&Name=ops":     "InvalidParameter.RegionId",
		"Name=ops&Name=ops":                "InvalidParameter.Name",
		"RegionId=cn-hangzhou&Extra=1":     "SignatureDoesNotMatch",
		"SignatureNonce=other&Name=ops":    "InvalidParameter.SignatureNonce",
		"Signature=other&RegionId=cn-hang": "InvalidParameter.RegionId",
	} {
		req := httptest.NewRequest(http.MethodPost, "/?"+signed.Encode(), strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := w.serve(w.newHandler(), req); a.Code != code {
			t.Errorf("%s: %v, want %q", form, a, code)
		}
	}
}

func TestVersionAndActionMustBeKnown(t *testing.T) {
	w := newWorld(t, nil)
	for _, v1 := range []bool{false, true} {
		for _, test := range []struct{ action, version, code string }{
			{"GetChatConfiguration", "2014-05-26", "InvalidVersion"},
			{"getChatConfiguration", "", "InvalidApi.NotFound"},
			{"DescribeInstances", "", "InvalidApi.NotFound"},
			{"GetChatConfiguration ", "", "InvalidApi.NotFound"},
		} {
			if test.action != strings.TrimSpace(test.action) && !v1 {
				continue // a header has no space at its end
			}
			r := get("ops")
			r.action, r.version, r.v1 = test.action, test.version, v1
			if a := w.do(r); a.Code != test.code {
				t.Errorf("%q %q: %v, want %s", test.action, test.version, a, test.code)
			}
		}
	}
	one, err := rpc.NewHandler(w.options, rpc.Actions()[1])
	if err != nil {
		t.Fatal(err)
	}
	w.want(w.serve(one, w.build(create("ops"))), 404, "InvalidApi.NotFound")
	w.want(w.serve(one, w.build(get("ops"))), 404, "EntityNotExists.ChatConfiguration")
}

// Whoever looks in without a signature is told what this is; a load balancer that it lives. Both
// have a request id, and leave no log line.
func TestHintAndHealth(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct {
		method, path string
		status       int
		text         string
	}{
		{http.MethodGet, "/", 200, "chatconf: "},
		{http.MethodGet, "/healthz", 200, "ok\n"},
		{http.MethodHead, "/healthz", 200, ""},
		{http.MethodGet, "/?", 200, "chatconf: "},
		{http.MethodPost, "/", 400, `"Code":"MissingParameter.Signature"`},
		{http.MethodHead, "/", 200, ""},
		{http.MethodHead, "/?Name=ops", 400, `"Code":"MissingParameter.Signature"`},
		{http.MethodGet, "/?Name=ops", 400, `"Code":"MissingParameter.Signature"`},
		{http.MethodGet, "/favicon.ico", 404, `"Code":"InvalidApi.NotFound"`},
		{http.MethodGet, "//", 404, `"Code":"InvalidApi.NotFound"`},
		{http.MethodGet, "/healthz/", 404, `"Code":"InvalidApi.NotFound"`},
		{http.MethodOptions, "*", 404, `"Code":"InvalidApi.NotFound"`},
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(test.method, "/", nil)
		if _, err := url.ParseRequestURI(test.path); err == nil {
			req = httptest.NewRequest(test.method, test.path, nil)
			if strings.HasPrefix(test.path, "//") {
				req.URL = &url.URL{Path: test.path}
			}
		} else {
			req.URL = &url.URL{Path: test.path}
		}
		w.handler.ServeHTTP(rec, req.WithContext(invoke.With(t.Context(),
			&invoke.Invocation{RequestID: "the-id", Logger: quiet})))
		if rec.Code != test.status || !strings.Contains(rec.Body.String(), test.text) {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, rec.Code, rec.Body, test.status, test.text)
		}
		if got, want := rec.Header().Get("X-Acs-Request-Id"), "the-id"; got != want {
			t.Errorf("%s %s: x-acs-request-id = %q, want %q", test.method, test.path, got, want)
		}
	}
}

// A HEAD is answered as the GET would be, without the body.
func TestHeadIsGet(t *testing.T) {
	w := newWorld(t, nil)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	for _, path := range []string{"/", "/healthz"} {
		var lengths [2]int64
		for i, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || (len(body) == 0) != (method == http.MethodHead) {
				t.Errorf("%s %s: %s, %d bytes, %v", method, path, resp.Status, len(body), err)
			}
			lengths[i] = resp.ContentLength
		}
		if lengths[0] <= 0 || lengths[0] != lengths[1] {
			t.Errorf("HEAD %s says %d bytes, GET %d", path, lengths[1], lengths[0])
		}
	}
}

// Where no runtime has given a request its id, the handler does, a new one each time.
func TestRequestIDsAreMade(t *testing.T) {
	w := newWorld(t, nil)
	seen := make(map[string]bool)
	for range 100 {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		w.handler.ServeHTTP(rec, req.WithContext(invoke.With(req.Context(), &invoke.Invocation{Logger: quiet})))
		id := rec.Header().Get("X-Acs-Request-Id")
		if len(id) != 36 || seen[id] || !strings.Contains(rec.Body.String(), `"RequestId":"`+id+`"`) {
			t.Errorf("request id %q of %s is not new, not one, or not the same", id, rec.Body)
		}
		seen[id] = true
	}
}

func TestIfMatch(t *testing.T) {
	for name, test := range map[string]struct {
		header   []string
		revision string // the parameter
		code     string
		status   int
	}{
		"none":                              {nil, "", "", 200},
		"the revision as an ETag":           {[]string{`"1"`}, "", "", 200},
		"the revision bare, for the CLI":    {[]string{`1`}, "", "", 200},
		"with space around it":              {[]string{` "1" `}, "", "", 200},
		"an asterisk":                       {[]string{`*`}, "", "", 200},
		"an asterisk and the revision":      {[]string{`*`}, "1", "", 200},
		"an asterisk and a stale revision":  {[]string{`*`}, "2", "OperationConflict", 409},
		"a stale ETag":                      {[]string{`"2"`}, "", "OperationConflict", 409},
		"a stale parameter":                 {nil, "2", "OperationConflict", 409},
		"a weak ETag":                       {[]string{`W/"1"`}, "", "InvalidParameter.If-Match", 400},
		"a list of ETags":                   {[]string{`"1", "2"`}, "", "InvalidParameter.If-Match", 400},
		"two headers":                       {[]string{`"1"`, `"1"`}, "", "InvalidParameter.If-Match", 400},
		"two headers, one of them asterisk": {[]string{`*`, `"2"`}, "", "InvalidParameter.If-Match", 400},
		"empty":                             {[]string{``}, "", "InvalidParameter.If-Match", 400},
		"empty quotes":                      {[]string{`""`}, "", "InvalidParameter.If-Match", 400},
		"half quoted":                       {[]string{`"1`}, "", "InvalidParameter.If-Match", 400},
		"an ETag of somebody else":          {[]string{`"abc"`}, "", "InvalidParameter.If-Match", 400},
		"beyond 64 bits":                    {[]string{`"9223372036854775808"`}, "", "InvalidParameter.If-Match", 400},
		"header and parameter agree":        {[]string{`"1"`}, "1", "", 200},
		"header and parameter conflict":     {[]string{`"1"`}, "2", "InvalidParameter.Revision", 400},
		"a parameter that is no number":     {nil, "one", "InvalidParameter.Revision", 400},
		"an empty parameter":                {nil, " ", "", 200},
		"an empty parameter, and an ETag":   {[]string{`"2"`}, " ", "OperationConflict", 409},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			if etag := w.do(create("ops")).header.Get("ETag"); etag != `"1"` {
				t.Errorf("ETag of create = %s, want \"1\"", etag)
			}
			for _, action := range []string{"UpdateChatConfiguration", "DeleteChatConfiguration"} {
				form := url.Values{"Name": {"ops"}, "Status": {"Inactive"}}
				if test.revision != "" {
					form.Set("Revision", strings.TrimSpace(test.revision))
				}
				a := w.do(request{action: action, form: form, change: func(r *http.Request) {
					if test.header != nil {
						r.Header["If-Match"] = test.header
					}
				}})
				w.want(a, test.status, test.code)
				if test.code != "" {
					continue
				}
				if action == "UpdateChatConfiguration" {
					if got, want := a.header.Get("ETag"), `"2"`; got != want {
						t.Errorf("ETag of update = %s, want %s", got, want)
					}
					w = newWorld(t, nil)
					w.wantOK(w.do(create("ops")))
				}
			}
		})
	}
}

// A restore has the revision that it expects as another parameter than the one that it restores,
// and what only reads has none.
func TestIfMatchOfHistory(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	w.wantOK(w.do(request{action: "UpdateChatConfiguration", form: parse("Name=ops Status=Inactive")}))
	restore := func(form, header string) answer {
		return w.do(request{action: "RestoreChatConfiguration", form: parse(form),
			change: func(r *http.Request) { r.Header.Set("If-Match", header) }})
	}
	w.want(restore("Name=ops Revision=1", `"1"`), http.StatusConflict, "OperationConflict")
	w.want(restore("Name=ops Revision=1 ExpectedRevision=2", `"1"`), http.StatusBadRequest,
		"InvalidParameter.ExpectedRevision")
	got := restore("Name=ops Revision=1", `"2"`)
	w.wantOK(got)
	if etag := got.header.Get("ETag"); etag != `"3"` ||
		!strings.Contains(got.body, `"RestoredRevision":1,"Changes":[`) {
		t.Errorf("ETag %s of %s", etag, got.body)
	}
	w.want(w.do(request{action: "GetChatConfigurationRevision", query: url.Values{"Name": {"ops"}, "Revision": {"1"}},
		change: func(r *http.Request) { r.Header.Set("If-Match", `"1"`) }}), http.StatusBadRequest,
		"InvalidParameter.If-Match")
}

// What typed clients drop of a body is in headers too.
func TestETagAndNextTokenHeaders(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		w.wantOK(w.do(create(name)))
	}
	if got, want := w.do(get("a")).header.Get("ETag"), `"1"`; got != want {
		t.Errorf("ETag of get = %s, want %s", got, want)
	}
	query := url.Values{"MaxResults": {"2"}}
	first := w.do(request{action: "ListChatConfigurations", query: query})
	token := first.header.Get("X-Acs-Next-Token")
	if token == "" || !strings.Contains(first.body, `"NextToken":"`+token+`"`) {
		t.Fatalf("x-acs-next-token = %q of %v", token, first)
	}
	query.Set("NextToken", token)
	last := w.do(request{action: "ListChatConfigurations", query: query})
	if _, ok := last.header["X-Acs-Next-Token"]; ok || last.status != http.StatusOK ||
		!strings.Contains(last.body, `"Name":"c"`) {
		t.Errorf("last page: %v %v", last.header, last)
	}
	if _, ok := w.do(get("missing")).header["Etag"]; ok {
		t.Error("an error has an ETag")
	}
}

// An answer that cannot be written is an error of ours, in the usual envelope, and not an empty
// success.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	type bad struct{ Value func() }
	type none struct{}
	w := newWorld(t, nil, rpc.NewAction("GetBad", func(*chat.Service, context.Context, *none) (*bad, error) {
		return &bad{}, nil
	}))
	a := w.do(request{action: "GetBad"})
	w.want(a, 500, "InternalError")
	if !strings.Contains(a.log, "unsupported type") {
		t.Errorf("the log does not say why: %s", a.log)
	}
}

func TestNewHandlerRefusesWhatCannotWork(t *testing.T) {
	w := newWorld(t, nil)
	for name, break_ := range map[string]func(*rpc.Options){
		"no service": func(o *rpc.Options) { o.Service = nil },
		"no keys":    func(o *rpc.Options) { o.Keys = nil },
		"no tickets": func(o *rpc.Options) { o.Tickets = nil },
	} {
		o := w.options
		break_(&o)
		if _, err := rpc.NewHandler(o, rpc.Actions()...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := rpc.NewHandler(w.options); err == nil {
		t.Error("no actions: no error")
	}
	defer func() {
		if recover() == nil {
			t.Error("an action whose request has a field that is no parameter: no panic")
		}
	}()
	type bad struct{ Name string }
	rpc.NewAction("GetBad", func(*chat.Service, context.Context, *bad) (*chat.Empty, error) { return nil, nil })
}

// A guard that an action does not know is refused, not dropped.
func TestIfMatchWhereThereIsNoRevision(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	for action, form := range map[string]url.Values{
		"GetChatConfiguration": {"Name": {"ops"}},
		"TagResources": {"ResourceType": {"chatconfiguration"},
			"ResourceIds": {`["ops"]`}, "Tags": {`{"a":"b"}`}},
		"ChangeResourceGroup": {"ResourceType": {"chatconfiguration"}, "ResourceId": {"ops"},
			"NewResourceGroupId": {"rg-a"}},
	} {
		for header, status := range map[string]int{`"99"`: 400, `*`: 200} {
			a := w.do(request{action: action, form: form,
				change: func(r *http.Request) { r.Header.Set("If-Match", header) }})
			if code := "InvalidParameter.If-Match"; status == 400 {
				w.want(a, status, code)
			} else {
				w.wantOK(a)
			}
		}
	}
}
