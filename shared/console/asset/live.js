"use strict";
// The parts of a page that change are fetched again every few seconds, while the page is visible and
// not paused. Without this script the page shows them as they were.
(function () {
  const bar = document.getElementById("live");
  const pause = document.getElementById("pause");
  const status = document.getElementById("livestatus");
  const parts = Array.from(document.querySelectorAll("[data-live]"));
  const last = new Map(); // the parts as the server sent them; those of the page have local dates already
  let timer = 0;
  let asking = false;

  const rowsOf = (elements) => elements.flatMap((one) => Array.from(one.querySelectorAll("tr[id]"), (row) => row.id));
  const scrollOf = (element) => element.querySelector(":scope > .scroll");
  const isRead = (part) => { // a person marks something in it, or is on a link in it
    const selection = getSelection();
    const focus = document.activeElement;
    return part.contains(focus) && focus !== scrollOf(part) ||
      !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  function stop(sentence) {
    clearInterval(timer);
    timer = 0;
    pause.hidden = true;
    status.textContent = sentence;
  }

  // put replaces a part if it has changed.
  function put(part, found) {
    if (found.innerHTML === last.get(part.id)) {
      return;
    }
    last.set(part.id, found.innerHTML);
    const scroll = scrollOf(part);
    const fresh = scrollOf(found);
    localDates(found);
    if (scroll && fresh) { // which keeps its focus and its place
      scroll.replaceChildren(...fresh.childNodes);
    } else {
      part.replaceChildren(...found.childNodes);
    }
  }

  async function refresh() {
    if (asking || document.hidden || parts.some(isRead)) {
      return;
    }
    let page = null;
    asking = true;
    try {
      const answer = await fetch(bar.dataset.from || location.href, {cache: "no-store", redirect: "error"});
      if (!answer.ok) {
        throw new Error(answer.status);
      }
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      // the sentence below says it
    }
    asking = false;
    if (!timer) {
      return; // paused meanwhile
    }
    const found = parts.map((part) => page && page.getElementById(part.id));
    if (!found.every(Boolean)) {
      stop(bar.dataset.failed);
      return;
    }
    if (parts.some(isRead)) {
      return;
    }
    const known = new Set(rowsOf(parts));
    const added = rowsOf(found).filter((id) => !known.has(id)).length;
    const done = !page.getElementById("live"); // nothing will change any more
    parts.forEach((part, i) => put(part, found[i]));
    if (done) {
      stop("");
    } else if (added) {
      status.textContent = bar.dataset.added.replace("%d", added);
    }
  }

  function start() {
    timer = setInterval(refresh, bar.dataset.every * 1000);
  }

  pause.addEventListener("click", () => {
    const paused = timer !== 0;
    pause.setAttribute("aria-pressed", paused);
    status.textContent = "";
    if (paused) {
      clearInterval(timer);
      timer = 0;
    } else {
      start();
      refresh();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (timer) {
      refresh();
    }
  });
  bar.hidden = false;
  start();
})();
