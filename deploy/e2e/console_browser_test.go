package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The environment of the tests in a browser, which TestMain takes away.
var (
	// chromium is the browser: Debian's, or another program of the same kind.
	chromium = cmp.Or(os.Getenv("CHATCONF_E2E_CHROMIUM"), "chromium")
	// screenshots is the folder for pictures of every page. Without a folder no picture is made.
	screenshots = os.Getenv("CHATCONF_E2E_SCREENSHOTS")
)

// patience is how long a step in the browser may take, on a machine that is busy.
const patience = time.Minute

// browser is the one process of Chromium of the run. It starts with the first test that needs it.
var browser struct {
	once  sync.Once
	ctx   context.Context
	err   error
	close func()
}

// inBrowser makes a test one of the console that serve has, beside others of its kind.
func inBrowser(t *testing.T) {
	t.Helper()
	onlyFile(t, "the console is the same on every store, and no function has it")
	startBrowser(t)
	t.Parallel()
}

// startBrowser returns the context of the browser, and skips the test where there is no Chromium.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	browser.once.Do(func() {
		var program, dir string
		if program, browser.err = exec.LookPath(chromium); browser.err != nil {
			return
		}
		if dir, browser.err = os.MkdirTemp("", "chatconf-e2e-chromium-"); browser.err != nil {
			return
		}
		ctx, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
			chromedp.Env("HOME="+dir, "TMPDIR="+dir, "TZ=UTC", "LANG=C.UTF-8"),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
		browser.ctx, _ = chromedp.NewContext(ctx)
		browser.err = chromedp.Do(browser.ctx)
		browser.close = func() {
			_ = chromedp.Cancel(browser.ctx) // it ends with this process at the latest
			end()
			os.RemoveAll(dir)
		}
	})
	switch {
	case browser.err != nil && requireExternal:
		t.Fatalf("this test needs Chromium: %v", browser.err)
	case browser.err != nil:
		t.Skipf("this test needs Chromium (Debian: apt-get install chromium): %v", browser.err)
	}
	return browser.ctx
}

// A tab is one person's window of the browser, with cookies of its own. At the end of the test it
// reports what no page may do: open a dialog, fail in a script, break its own policy, or ask
// another host for anything.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // the address of the service
	wide int64  // the width of the window

	mu     sync.Mutex
	faults []string
}

// newTab opens a tab for the console of a service.
func newTab(t *testing.T, s *service) *tab {
	t.Helper()
	tab := openTab(t, "http://"+s.endpoint)
	t.Cleanup(func() {
		for _, fault := range tab.reported() {
			t.Error(fault)
		}
	})
	return tab
}

func openTab(t *testing.T, base string) *tab {
	t.Helper()
	tab := &tab{t: t, base: base}
	ctx, end := chromedp.NewContext(startBrowser(t), chromedp.WithNewBrowserContext(),
		chromedp.WithListener(tab.listen))
	tab.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // its context lives as long as the tab
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && screenshots != "" {
			tab.picture("failed " + t.Name())
		}
		end()
	})
	// Each of several windows behaves as the one that the person looks at.
	tell(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	tab.screen(1200, false)
	return tab
}

// listen notes an event that must not happen.
func (b *tab) listen(event any) {
	note := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		note("a dialog opened: %s", e.Message)
		go chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	case *runtime.EventExceptionThrown:
		note("a script failed: %v", &chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails})
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			note("console.%s: %s%s", e.Type, arg.Value, arg.Description)
		}
	case *log.EventEntryAdded: // also that a page has the status of an error, which is right
		if level := e.Entry.Level; e.Entry.Source != log.EntrySourceNetwork &&
			(level == log.EntryLevelError || level == log.EntryLevelWarning) {
			note("log: %s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent: // the browser's own pictures, such as of a calendar, are data
		if !strings.HasPrefix(e.Request.URL, b.base+"/console") && !strings.HasPrefix(e.Request.URL, "data:") {
			note("a page asked for %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Type != network.ResourceTypeDocument && e.Response.Status >= 400 {
			note("%s has the status %d", e.Response.URL, e.Response.Status)
		}
	}
}

// reported returns what was noted so far.
func (b *tab) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

// step runs an action, which has patience.
func step[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v, on the page\n%s", what, err, b.seen())
	}
	return v
}

// tell sends a command of the protocol to the tab.
func tell[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	step(b, "command", func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, command, params)
	})
}

// seen returns the text of the page, for messages.
func (b *tab) seen() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href+"\n"+document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// screen sets the width of the window, and whether the reader's system is dark.
func (b *tab) screen(width int64, dark bool) {
	b.t.Helper()
	b.wide = width
	tell(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900,
		DeviceScaleFactor: 1, Mobile: width < 500})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	tell(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// open opens a page of the console and returns its status.
func (b *tab) open(path string) int64 {
	b.t.Helper()
	return b.arrive("open "+path, chromedp.Navigate(b.base+"/console/"+path))
}

// arrive takes steps that lead to another page, and returns its status.
func (b *tab) arrive(what string, steps ...chromedp.Action[chromedp.Void]) int64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.t.Fatalf("%s: %v, on the page\n%s", what, err, b.seen())
	}
	if answer == nil {
		return 0
	}
	return answer.Status
}

// press clicks on what leads to another page, and returns its status.
func (b *tab) press(selector string) int64 {
	b.t.Helper()
	return b.arrive("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// follow clicks on the link with a text, and returns the status of its page.
func (b *tab) follow(text string) int64 {
	b.t.Helper()
	return b.arrive("follow "+text, chromedp.Click(chromedp.Search(`//a[normalize-space(.)="`+text+`"]`)))
}

// fill replaces the text of an input, as by a keyboard. It unfolds the part of the form first.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	found := b.does(`(() => {const e = document.getElementById(` + jsonText(id) + `);
		const part = e?.closest("details:not([open])");
		if (part) { part.querySelector("summary").click(); }
		if (e) { e.focus(); e.select(); } return document.activeElement === e})()`)
	if !found {
		b.t.Fatalf("there is no input %s on the page\n%s", id, b.seen())
	}
	if text == "" {
		step(b, "empty "+id, chromedp.KeyEvent("\b"))
		return
	}
	tell(b, input.InsertText, input.InsertTextParams{Text: text})
}

// choose chooses an option of a list.
func (b *tab) choose(id, value string) {
	b.t.Helper()
	if !b.does(`(() => {const e = document.getElementById(` + jsonText(id) + `); e.value = ` + jsonText(value) +
		`; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value === ` + jsonText(value) + `})()`) {
		b.t.Fatalf("%s has no option %s", id, value)
	}
}

// key presses a key of the keyboard.
func (b *tab) key(name, text string, code int64) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown,
		input.DispatchKeyEventTypeKeyUp} {
		tell(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: name, Code: name, Text: text,
			WindowsVirtualKeyCode: code})
		text = ""
	}
}

func (b *tab) tabKey() { b.t.Helper(); b.key("Tab", "", 9) }
func (b *tab) enter()  { b.t.Helper(); b.key("Enter", "\r", 13) }

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return step(b, expression, chromedp.Evaluate[T](expression))
}

// does reports whether an expression is true in the page.
func (b *tab) does(expression string) bool {
	b.t.Helper()
	return eval[bool](b, "!!("+expression+")")
}

// await waits until an expression is true in the page, or in the one that comes after it.
func (b *tab) await(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	so := chromedp.Evaluate[bool]("!!(" + expression + ")")
	for ok := false; !ok; time.Sleep(20 * time.Millisecond) {
		ok, _ = chromedp.Run(ctx, so) // an error means that the page is not there yet
		if ctx.Err() != nil {
			b.t.Fatalf("it is still not so: %s, on the page\n%s", expression, b.seen())
		}
	}
}

// text returns the text of an element; empty without it.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(`+jsonText(selector)+`)?.innerText ?? ""`)
}

// path returns the path of the page, with its query.
func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, `location.pathname + location.search`)
}

// awaitText waits until the page shows a text.
func (b *tab) awaitText(text string) {
	b.t.Helper()
	b.await(`document.body.innerText.includes(` + jsonText(text) + `)`)
}

// sees asks that the page shows some texts.
func (b *tab) sees(texts ...string) {
	b.t.Helper()
	shown := b.text("body")
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			b.t.Errorf("the page %s lacks %q:\n%s", b.path(), text, shown)
		}
	}
}

// lacks asks that the page, with all that is not shown, has none of some texts.
func (b *tab) lacks(texts ...string) {
	b.t.Helper()
	source := eval[string](b, `document.documentElement.outerHTML`)
	for _, text := range texts {
		if strings.Contains(source, text) {
			b.t.Errorf("the page %s has %q", b.path(), text)
		}
	}
}

// signIn signs in with an access key, in the form.
func (b *tab) signIn(key accessKey) {
	b.t.Helper()
	b.open("signin")
	b.fill("id", key.ID)
	b.fill("secret", key.Secret)
	if status := b.press("main form button"); status != 200 || b.path() != "/console/" {
		b.t.Fatalf("signed in with status %d, on the page\n%s", status, b.seen())
	}
}

// unfit are the characters that are not in names of pictures, and keyID is the id of a key.
var (
	unfit = regexp.MustCompile(`[^A-Za-z0-9=.-]+`)
	keyID = regexp.MustCompile(`CCK[A-Za-z0-9]{20}`)
)

// picture writes a picture of the whole page, if there is a folder for it.
func (b *tab) picture(name string) {
	b.t.Helper()
	if screenshots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(screenshots, 0o755)
	}
	if err == nil {
		name = unfit.ReplaceAllString(keyID.ReplaceAllString(name, "key"), "-")
		err = os.WriteFile(filepath.Join(screenshots, strings.Trim(name, "-")+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Errorf("picture %s: %v", name, err)
	}
}
