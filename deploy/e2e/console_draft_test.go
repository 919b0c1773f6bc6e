package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// wrongAt is an expression for what a page says at an input.
func wrongAt(id string) string {
	return `document.getElementById(` + jsonText(id+".wrong") + `).innerText`
}

// A person whom the simulator refused is granted one command. Mistakes appear and disappear while
// the statement is typed, and the page shows what it means. Nothing counts before it is saved.
func TestADraftIsCheckedWhileAPersonTypes(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/permissions")
	b.simulate("bob", "team", "restart i-1")
	b.press(`button[value="grant"]`)
	b.sees("by statement 3") // the check may already have taken the place of what is said first
	b.await(`document.activeElement.id === "p3.sum"`)
	b.fill("p3.Principals", "user:bob\n\ncarol")
	b.await(wrongAt("p3.Principals") + `.startsWith('Line 3: "carol" is not a principal')`)
	b.await(`document.getElementById("p3.Principals").getAttribute("aria-invalid") === "true"`)
	b.await(`document.getElementById("checked").innerText === "Not saved. Correct: Statement 3: Who"`)
	b.fill("p3.Principals", "user:bob\nuser:carol")
	b.await(wrongAt("p3.Principals") + ` === ""`)
	b.await(`!document.getElementById("p3.Principals").hasAttribute("aria-invalid")`)
	b.await(`document.getElementById("cells").innerText.includes("User carol")`)
	b.await(`document.getElementById("p3.sum").innerText.includes("user:bob, user:carol")`)
	b.fill("p3.Conversations", "other")
	b.await(`document.getElementById("decided").innerText.startsWith("Denied")`)
	b.fill("p3.Conversations", "te*")
	b.await(`document.getElementById("decided").innerText.startsWith("Allowed")`)
	b.choose("p3.Effect", "Deny")
	b.await(`document.getElementById("decided").innerText.startsWith("Denied")`)
	b.choose("p3.Effect", "Allow")
	b.await(`document.getElementById("checked").innerText.startsWith("No mistakes.")`)
	if got := get(t, s.client(t), "ops").String(); strings.Contains(got, "carol") {
		t.Errorf("it was saved before: %s", got)
	}
	b.press(`button[value="save"]`)
	b.sees("The changes were saved.", "Statement 3 decides.", "user:bob, user:carol")
}

// Who takes a change back while the answer about it is under way does not see that answer.
func TestTheAnswerAboutATextThatWasTakenBackIsNotShown(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/permissions/edit")
	b.fill("p1.RamRole", "OneRole")
	b.await(`document.getElementById("checked").innerText.startsWith("No mistakes.")`)
	b.does(`(() => {
		const real = window.fetch;
		window.fetch = (address, asked) => asked.body.includes("not-a+role") ?
			new Promise((done, failed) => {
				window.held = true;
				asked.signal.addEventListener("abort", () => {
					window.stopped = true;
					real(address, asked).then(done, failed);
				});
			}) : real(address, asked);
		return true;
	})()`)
	b.fill("p1.RamRole", "not-a role")
	b.await(`window.held`)
	b.fill("p1.RamRole", "OneRole")
	b.await(`window.stopped`)
	b.await(wrongAt("p1.RamRole") + ` === ""`)
	b.await(`document.getElementById("checked").innerText.startsWith("No mistakes.")`)
}

// While others change the bot, the page says so, and saving shows both.
func TestADraftThatOthersOvertakeSaysSo(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/permissions")
	b.follow("Edit statements")
	s.send(t, newACS3(s.key, "UpdateChatConfiguration", "Name", "ops", "RamRole", "TheirRole")).ok(t, nil)
	b.press(`button[value="add.p"]`)
	b.fill("p3.Principals", "user:bob")
	b.fill("p3.Commands", "uptime")
	b.await(`document.getElementById("checked").innerText.startsWith("Another user changed this bot meanwhile.")`)
	if status := b.press(`button[value="save"]`); status != 409 {
		t.Errorf("the status is %d, want 409", status)
	}
	b.sees("Nothing was saved.", "TheirRole")
	b.press(`button[value="save"]`)
	b.sees("The changes were saved.", "user:bob")
}

// The form of an action has the inputs of its target as soon as the type is chosen.
func TestAnActionIsMadeInTheConsole(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	createOps(t, s)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/permissions")
	b.follow("New action")
	b.fill("a0.Name", "deploy")
	b.choose("t0.Type", "Http")
	b.await(`document.getElementById("t0.Url")`)
	b.press(`button[value="add.v"]`)
	b.fill("v0.Name", "version")
	b.fill("v0.Pattern", "v[0-9")
	b.await(wrongAt("v0.Pattern") + `.includes("missing closing ]")`)
	b.fill("v0.Pattern", "v[0-9]+")
	b.await(wrongAt("v0.Pattern") + ` === ""`)
	b.fill("t0.Url", "https://ci.example.com/deploy")
	b.fill("t0.Secret", "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2YtMzItYnl0ZXM=")
	b.await(`document.getElementById("lines").innerText.includes("Usage: deploy [version=…]")`)
	b.press(`button[value="save"]`)
	b.sees("The changes were saved.", "https://ci.example.com/deploy", "text in the form v[0-9]+")
	b.lacks("whsec_")
}

// A mistake in a statement whose inputs are not in the page opens it.
func TestAMistakeOpensAStatementOfALongDraft(t *testing.T) {
	inBrowser(t)
	s := serve(t)
	statements := `{"Effect":"Allow","Principals":["group:sre"],"Commands":["c0"]}`
	for i := range 19 {
		statements += fmt.Sprintf(`,{"Effect":"Allow","Principals":["user:u%d"],"Commands":["c%d"]}`, i, i+1)
	}
	s.send(t, newACS3(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "DingTalk", "Configuration",
		`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret",
		"UserGroups":{"sre":["manager4220"]},"Permissions":[`+statements+`]}`)).ok(t, nil)
	b := newTab(t, s)
	b.signIn(s.key)
	b.open("bots/ops/permissions/edit")
	if b.does(`document.getElementById("p0.Principals")`) {
		t.Error("the inputs of a statement that is as it was are in the page")
	}
	for _, name := range []string{"ops", "sre", "ops"} {
		b.fill("g0.Name", name)
		if name == "sre" {
			b.await(wrongAt("p0.Principals") + ` === ""`)
			continue
		}
		b.await(`document.getElementById("p0").open && ` + wrongAt("p0.Principals") +
			`.startsWith('Line 1: the group "sre" is not among')`)
	}
}
