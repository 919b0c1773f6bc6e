"use strict";
// A draft is checked a moment after each change: the server's page for it is fetched, and the parts
// that say what is wrong and what the draft means are put in. What is missing is said only after the
// person asks, by the button to check or to save. Without this script there are only the buttons.
(function () {
  const form = document.getElementById("draft");
  const checked = document.getElementById("checked");
  let timer = 0;
  let asking = null; // stops the question that is under way
  let last = "";
  let over = false; // another user changed the bot, so only the server can go on

  const sent = () => {
    const values = new URLSearchParams(new FormData(form));
    values.set("do", "look");
    return values.toString();
  };

  function say(sentence) {
    if (checked.textContent !== sentence) {
      checked.textContent = sentence;
    }
  }

  function put(page) {
    for (const item of form.querySelectorAll(".item")) { // of a long list only what matters has inputs
      const fresh = page.getElementById(item.id);
      if (fresh && fresh.querySelector(".inputs") && !item.querySelector(".inputs")) {
        const focused = item.contains(document.activeElement);
        item.replaceWith(document.importNode(fresh, true));
        if (focused) {
          document.getElementById(fresh.id).querySelector("summary").focus();
        }
      }
    }
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML) {
        part.replaceChildren(...fresh.childNodes);
      } else if (!fresh && part.closest(".item")) { // it is as it was
        part.replaceChildren();
      }
    }
    for (const input of form.querySelectorAll("[aria-describedby]")) {
      const fresh = page.getElementById(input.id);
      input.toggleAttribute("aria-invalid", Boolean(fresh) && fresh.hasAttribute("aria-invalid"));
      if (input.hasAttribute("aria-invalid")) {
        input.setAttribute("aria-invalid", "true");
      }
    }
    for (const item of form.querySelectorAll("details:has(.wrong)")) {
      item.open = true;
    }
  }

  async function check() {
    const body = sent();
    if (asking) { // about what was there before
      asking.abort();
    }
    if (over || body === last) {
      return;
    }
    const mine = asking = new AbortController();
    try {
      const answer = await fetch(form.getAttribute("action"), {method: "POST", cache: "no-store", redirect: "error",
        headers: {"Content-Type": "application/x-www-form-urlencoded"}, body, signal: mine.signal});
      const text = await answer.text();
      if (mine.signal.aborted) {
        return;
      }
      if (!answer.ok) {
        throw new Error(answer.status);
      }
      const page = new DOMParser().parseFromString(text, "text/html");
      if (page.getElementById("draft").dataset.merged) {
        over = true;
        say(form.dataset.conflict);
      } else {
        put(page);
        last = body;
      }
    } catch {
      if (!mine.signal.aborted) {
        last = "";
        say(form.dataset.failed);
      }
    }
  }

  function soon(event) {
    const input = event.target;
    if (input.form !== form) {
      return;
    }
    if ("submits" in input.dataset) { // there are other inputs then
      if (event.type !== "change") {
        return; // both events tell of one choice
      }
      const look = document.createElement("button");
      look.name = "do";
      look.value = "look";
      look.hidden = true;
      form.append(look);
      form.requestSubmit(look);
    } else {
      clearTimeout(timer);
      timer = setTimeout(check, 500);
    }
  }

  document.addEventListener("input", soon);
  document.addEventListener("change", soon);
  if (form.dataset.edited) {
    check();
  }
})();
